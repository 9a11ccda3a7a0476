//! What the platform's query gives, and the statements that read it.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest as _, Sha256};
use sqlx::{
    AssertSqlSafe, Column as _, Executor as _, PgPool, SqlSafeStr as _, Statement as _,
    TypeInfo as _,
};
use stxworx_indexer::store::reconcile::image::NOWHERE;

use super::{Filter, PlatformError};

/// A row larger than this, in bytes of JSON, has its long values cut.
const LARGE_ROW: usize = 65_536;
/// Milestones that the platform's own schema has.
const SEED_MILESTONES: u32 = 4;
/// Rows may be committed so much later than their `updated_at` says.
const LATE: &str = "10 minutes";

/// What the platform's query gives: its columns, and what is wrong with them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    pub(super) query: String,
    /// Columns by name, with their types.
    pub columns: BTreeMap<String, String>,
    /// Why nothing of the query can be read.
    pub broken: Option<String>,
}

/// Amounts in a binary fraction are not what was written.
const FRACTIONS: [&str; 2] = ["FLOAT4", "FLOAT8"];

impl Shape {
    /// SHA-256 over names and types.
    pub fn fingerprint(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        for (name, kind) in &self.columns {
            hash.update(format!("{name} {kind}\n"));
        }
        hash.finalize().into()
    }

    /// Of the columns that a rule reads, those that it cannot; each with the reason.
    pub fn lacks(&self, reads: &[&str]) -> Vec<String> {
        if reads.is_empty() {
            return Vec::new();
        }
        if let Some(broken) = &self.broken {
            return vec![broken.clone()];
        }
        // Whatever a rule reads of a row, it must know which row it is, and which project it points to.
        let wanted: BTreeSet<&str> = ["key", "on_chain_id"]
            .into_iter()
            .chain(
                reads
                    .iter()
                    .filter_map(|name| name.strip_prefix("projects.")),
            )
            .collect();
        wanted
            .into_iter()
            .filter_map(|name| match self.columns.get(name) {
                None => Some(format!("there is no column {name}")),
                Some(kind) if FRACTIONS.contains(&kind.as_str()) => {
                    Some(format!("column {name} has the inexact type {kind}"))
                }
                Some(_) => None,
            })
            .collect()
    }

    fn has(&self, column: &str) -> bool {
        self.columns.contains_key(column)
    }

    /// The type of `updated_at`, if it can be compared with a time.
    fn update_type(&self) -> Option<&'static str> {
        match self.columns.get("updated_at")?.as_str() {
            "TIMESTAMPTZ" => Some("timestamptz"),
            "TIMESTAMP" => Some("timestamp"),
            _ => None,
        }
    }

    /// Can changed rows be asked for?
    pub fn tells_changes(&self) -> bool {
        self.update_type().is_some()
    }

    /// The statement that reads rows, in order; the filter's values are bound.
    pub(super) fn rows_sql(&self, filter: &Filter) -> String {
        let number = if self.has("on_chain_id") {
            r"btrim(q.on_chain_id::text, E' \t\r\n')"
        } else {
            "null::text"
        };
        let key = if self.has("key") {
            "coalesce(q.key::text, '')"
        } else {
            "''"
        };
        let place = format!(
            "coalesce(case when n.t ~ '^[0-9]{{1,20}}$' then
                 case when n.t::numeric <= {} then n.t::numeric end end, {NOWHERE})",
            u64::MAX
        );
        // What is left out is left out before it is made into JSON.
        let wanted = match filter {
            Filter::All => String::new(),
            Filter::Changed { .. } => {
                let kind = self.update_type().unwrap_or("timestamptz");
                format!(
                    "where q.updated_at is null or q.updated_at >= $1::text::{kind} - interval '{LATE}'"
                )
            }
            Filter::Of(scope) => self.of_places(&place, key, scope.keys.is_empty()),
            Filter::Keys(_) => format!("where btrim({key}, E' \\t\\r\\n') = any($1::text[])"),
        };
        let mut sql = format!(
            "select o.place::text as place, o.key as key, case when octet_length(o.cells) > {LARGE_ROW} then (
                 select json_object_agg(e.key, case when length(e.value) > 1000
                            then left(e.value, 1000) || ' … ' || md5(e.value) else e.value end)::text
                 from json_each_text(o.cells::json) as e) else o.cells end as cells
             from (
                 select {place} as place, {key} collate \"C\" as key, to_json(q)::text collate \"C\" as cells
                 from ({}) as q cross join lateral (select {number} as t) as n {wanted}
             ) as o",
            self.query
        );
        sql.push_str(" order by o.place, o.key, o.cells");
        sql
    }

    /// Rows of some places, and rows without one by key. Where numbers are of a plain type, an index can find them.
    fn of_places(&self, place: &str, key: &str, no_keys: bool) -> String {
        let kind = match self.columns.get("on_chain_id").map(String::as_str) {
            Some("INT2") => Some(("smallint", "32767")),
            Some("INT4") => Some(("integer", "2147483647")),
            Some("INT8") => Some(("bigint", "9223372036854775807")),
            _ => None,
        };
        let by_place = match kind {
            Some((kind, most)) => format!(
                "q.on_chain_id = any(array(select p::{kind} from unnest($1::text[]) as p where p::numeric <= {most}))"
            ),
            None => {
                format!("{place} = any(array(select p::numeric from unnest($1::text[]) as p))")
            }
        };
        // Both values are always bound.
        if no_keys {
            return format!("where {by_place} and $2::text[] is not null");
        }
        format!("where {by_place} or ({place} = {NOWHERE} and {key} = any($2::text[]))")
    }
}

/// The platform's own names of what its projects are compared by.
fn seed_columns() -> Vec<(String, String)> {
    let mut names: Vec<(String, String)> = [
        ("key", "id"),
        ("on_chain_id", "on_chain_id"),
        ("tx_id", "tx_id"),
        ("client", "client_address"),
        ("freelancer", "freelancer_address"),
        ("asset", "token_type"),
        ("total", "total_amount"),
        ("status", "status"),
        ("updated_at", "updated_at"),
    ]
    .map(|(ours, theirs)| (ours.to_owned(), theirs.to_owned()))
    .into();
    for m in 1..=SEED_MILESTONES {
        for part in ["amount", "funded", "complete", "released"] {
            let name = format!("milestone_{m}_{part}");
            names.push((name.clone(), name));
        }
    }
    names
}

/// Names and types of what a query gives.
async fn columns(pool: &PgPool, query: &str) -> Result<BTreeMap<String, String>, sqlx::Error> {
    let sql = AssertSqlSafe(format!("select * from ({query}) as q limit 0"));
    let mut connection = pool.acquire().await?;
    let statement = (&mut *connection).prepare(sql.into_sql_str()).await?;
    Ok(statement
        .columns()
        .iter()
        .map(|c| (c.name().to_owned(), c.type_info().name().to_owned()))
        .collect())
}

/// Looks at what a configured query gives, or the platform's own table.
pub(super) async fn shape(pool: &PgPool, configured: &str) -> Result<Shape, PlatformError> {
    let configured = configured.trim().trim_end_matches(';');
    let query = if configured.is_empty() {
        let there = columns(pool, "select * from projects")
            .await
            .map_err(refused)?;
        let parts: Vec<_> = seed_columns()
            .into_iter()
            .filter(|(_, theirs)| there.contains_key(theirs))
            .map(|(ours, theirs)| format!("\"{theirs}\" as {ours}"))
            .collect();
        if parts.is_empty() {
            let why = "the table projects has none of the columns that are compared";
            return Ok(Shape {
                query: "select null::text as key".to_owned(),
                columns: BTreeMap::new(),
                broken: Some(why.to_owned()),
            });
        }
        format!("select {} from projects", parts.join(", "))
    } else {
        configured.to_owned()
    };
    match columns(pool, &query).await {
        Ok(columns) => Ok(Shape {
            query,
            columns,
            broken: None,
        }),
        // A column that the query names is not there any more.
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("42703") => {
            Ok(Shape {
                query: "select null::text as key where false".to_owned(),
                columns: BTreeMap::new(),
                broken: Some(error.message().to_owned()),
            })
        }
        Err(error) => Err(refused(error)),
    }
}

/// A refusal of the server is about the query; anything else is about reaching it.
fn refused(error: sqlx::Error) -> PlatformError {
    match &error {
        sqlx::Error::Database(d)
            if d.code()
                .is_some_and(|c| c.starts_with("42") || c.starts_with("25")) =>
        {
            PlatformError::Query(error)
        }
        _ => PlatformError::Database {
            operation: "be reached",
            source: error,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(columns: &[(&str, &str)]) -> Shape {
        Shape {
            query: "select 1".to_owned(),
            columns: columns
                .iter()
                .map(|(name, kind)| ((*name).to_owned(), (*kind).to_owned()))
                .collect(),
            broken: None,
        }
    }

    #[test]
    fn a_rule_lacks_what_is_not_there_or_is_inexact() {
        let shape = shape(&[
            ("key", "TEXT"),
            ("on_chain_id", "INT4"),
            ("total", "FLOAT8"),
        ]);
        assert_eq!(shape.lacks(&[]), Vec::<String>::new());
        assert_eq!(shape.lacks(&["projects.key"]), Vec::<String>::new());
        assert_eq!(
            shape.lacks(&["projects.total", "projects.status"]),
            [
                "there is no column status",
                "column total has the inexact type FLOAT8"
            ]
        );
    }

    #[test]
    fn the_fingerprint_is_of_names_and_types() {
        let one = shape(&[("a", "TEXT"), ("b", "INT4")]);
        assert_eq!(
            one.fingerprint(),
            shape(&[("b", "INT4"), ("a", "TEXT")]).fingerprint()
        );
        assert_ne!(
            one.fingerprint(),
            shape(&[("a", "TEXT"), ("b", "INT8")]).fingerprint()
        );
    }
}
