//! `stxworx rebuild`.

use stxworx_indexer::store::{self, Access, StoreError, load, migrate};

use crate::cli::{CommandError, Outcome};
use crate::config::Config;
use crate::daemon::Database;

/// Empties what derives from the stored payloads and adopts the configured network and follow set; the
/// daemon then builds it anew. A running daemon loses its claim and ends.
///
/// # Errors
/// When the database cannot be reached.
pub async fn rebuild(config: &Config, yes: bool) -> Result<Outcome, CommandError> {
    let database = Database::attach(config)
        .await
        .map_err(CommandError::other)?;
    let result = rebuild_in(config, database.url(), yes).await;
    database.close().await;
    result.map_err(CommandError::other)
}

async fn rebuild_in(config: &Config, url: &str, yes: bool) -> Result<Outcome, StoreError> {
    let pool = store::pool(url, Access::Write, 2)?;
    migrate::migrate(&pool).await?;
    let payloads = load::payload_count(&pool).await?;
    if !yes {
        crate::cli::say!(
            "would empty the derived tables and mark {payloads} stored payloads as not yet processed; \
             add --yes to do it"
        );
        return Ok(Outcome::Done);
    }
    store::rebuild::rebuild_as(&pool, config.network.as_str(), &config.follow).await?;
    pool.close().await;
    crate::cli::say!(
        "{payloads} payloads will be processed anew by the next `stxworx run` or `stxworx up`"
    );
    Ok(Outcome::Done)
}
