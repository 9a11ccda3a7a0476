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

/// Where sqlx notes what it has applied.
const TABLE: &str = "_sqlx_migrations";

/// The version of the newest migration that this build knows.
pub fn latest_version() -> i64 {
    MIGRATOR.iter().map(|m| m.version).max().unwrap_or(0)
}
