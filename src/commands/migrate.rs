//! `stxworx migrate`.

use stxworx_indexer::store::{self, Access, migrate as schema};

use crate::cli::{CommandError, Outcome};
use crate::config::Config;
use crate::daemon::Database;

/// Brings the schema to this version; a second run does nothing.
///
/// # Errors
/// When the database cannot be reached or was written by a later version.
pub async fn migrate(config: &Config) -> Result<Outcome, CommandError> {
    let database = Database::attach(config)
        .await
        .map_err(CommandError::other)?;
    let result = async {
        let pool = store::pool(database.url(), Access::Write, 2)?;
        schema::migrate(&pool).await?;
        pool.close().await;
        Ok::<_, store::StoreError>(())
    }
    .await;
    database.close().await;
    result.map_err(CommandError::other)?;
    crate::cli::say!("the schema is at {}", schema::latest_version());
    Ok(Outcome::Done)
}
