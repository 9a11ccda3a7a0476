//! Bringing the schema to this version.

use sqlx::PgPool;
use sqlx::migrate::{Migrate as _, MigrateError, Migrator};

use super::StoreError;

static MIGRATOR: Migrator = sqlx::migrate!("../migrations");

/// Applies what is missing; a second call does nothing. Concurrent calls wait for each other.
///
/// # Errors
/// When a later version has migrated this database, or a migration fails.
pub async fn migrate(pool: &PgPool) -> Result<(), StoreError> {
    // A daemon whose role may not change the schema starts on one that needs no change.
    if let Ok(applied) = applied(pool).await {
        let unknown = applied
            .iter()
            .find(|v| !MIGRATOR.iter().any(|m| m.version == **v));
        if let Some(version) = unknown {
            return Err(StoreError::NewerSchema { version: *version });
        }
        if applied.contains(&latest_version()) {
            return Ok(());
        }
    }
    MIGRATOR.run(pool).await.map_err(|error| match error {
        MigrateError::VersionMissing(version) => StoreError::NewerSchema { version },
        MigrateError::Execute(source) => StoreError::Db {
            operation: "run a migration",
            source,
        },
        other => StoreError::Migrate(other),
    })
}

/// Versions of the migrations that were applied.
async fn applied(pool: &PgPool) -> Result<Vec<i64>, StoreError> {
    let mut connection = pool.acquire().await.map_err(StoreError::db("connect"))?;
    let applied = connection
        .list_applied_migrations(TABLE)
        .await
        .map_err(StoreError::Migrate)?;
    Ok(applied.into_iter().map(|m| m.version).collect())
}

/// Has every migration of this build been applied?
///
/// # Errors
/// When the database fails, or was never migrated.
pub async fn is_current(pool: &PgPool) -> Result<bool, StoreError> {
    Ok(applied(pool).await?.contains(&latest_version()))
}

/// How a database's schema stands to this build's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// Migrations of this build that were not applied.
    pub missing: Vec<i64>,
    /// Applied ones that this build does not know.
    pub unknown: Vec<i64>,
}

/// Compares the schema with this build's.
///
/// # Errors
/// When the database fails, or was never migrated.
pub async fn standing(pool: &PgPool) -> Result<Standing, StoreError> {
    let applied = applied(pool).await?;
    let known: Vec<i64> = MIGRATOR.iter().map(|m| m.version).collect();
    let without = |these: &[i64], those: &[i64]| -> Vec<i64> {
        let left = these.iter().filter(|v| !those.contains(v));
        left.copied().collect()
    };
    Ok(Standing {
        missing: without(&known, &applied),
        unknown: without(&applied, &known),
    })
}

/// Where sqlx notes what it has applied.
const TABLE: &str = "_sqlx_migrations";

/// The version of the newest migration that this build knows.
pub fn latest_version() -> i64 {
    MIGRATOR.iter().map(|m| m.version).max().unwrap_or(0)
}

/// The indexes that the migrations make, those of primary keys included, in order of their names.
pub fn indexes() -> Vec<String> {
    indexes_in(MIGRATOR.iter().map(|m| m.sql.as_str()))
}

/// Reads them from statements as this project writes them: lower case, one object a statement, constraints of a
/// table in its own statement. A test compares the result with a migrated database.
fn indexes_in<'a>(scripts: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut names = std::collections::BTreeSet::new();
    let code = |script: &str| -> String {
        let lines = script.lines().map(|l| l.split("--").next().unwrap_or(""));
        lines.collect::<Vec<_>>().join("\n")
    };
    for script in scripts {
        for statement in code(script).split(';') {
            let words: Vec<&str> = statement.split_whitespace().collect();
            let name = |at: usize| words.get(at).map(|w| w.trim_matches('(').to_owned());
            let skip = |at: usize| match words.get(at..) {
                Some(["if", "not", "exists", ..]) => at + 3,
                Some(["if", "exists" | "not", ..]) => at + 2,
                Some(["concurrently", ..]) => at + 1,
                _ => at,
            };
            match words.as_slice() {
                ["create", "index", ..] => names.extend(name(skip(2))),
                ["create", "unique", "index", ..] => names.extend(name(skip(3))),
                ["drop", "index", ..] => {
                    name(skip(2)).map(|n| names.remove(&n));
                }
                ["create", "table", ..] | ["create", "unlogged", "table", ..] => {
                    let at = if words[1] == "table" { 2 } else { 3 };
                    names.extend(constraints(&name(skip(at)).unwrap_or_default(), statement));
                }
                ["drop", "table", ..] => {
                    let table = name(skip(2)).unwrap_or_default();
                    names.remove(&format!("{table}_pkey"));
                }
                _ => {}
            }
        }
    }
    names.into_iter().collect()
}

/// Indexes that come with a table's own constraints.
fn constraints(table: &str, statement: &str) -> Vec<String> {
    let mut names = Vec::new();
    if statement.contains("primary key") {
        names.push(format!("{table}_pkey"));
    }
    for line in statement.lines().map(str::trim) {
        let words: Vec<_> = line
            .split_whitespace()
            .map(|word| word.trim_end_matches(','))
            .collect();
        let column = words.first().copied().unwrap_or_default();
        let named = words
            .windows(3)
            .find(|w| w[0] == "constraint" && w[2] == "unique");
        match named {
            Some(named) => names.push(named[1].to_owned()),
            None if words.contains(&"unique") && column != "unique" => {
                names.push(format!("{table}_{column}_key"));
            }
            None => {}
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indexes_are_read_from_statements() {
        let script = "create table a (\n  x integer primary key, -- unique\n  y text not null unique,\n  z text constraint z_once unique check (z > ''),\n  \
             constraint b_once unique (x, z)\n);\n\
             create unique index a_y on a (y); create index a_x on a (x) where x > 1;\n drop index a_x;";
        assert_eq!(
            indexes_in([script].into_iter()),
            ["a_pkey", "a_y", "a_y_key", "b_once", "z_once"]
        );
    }
}
