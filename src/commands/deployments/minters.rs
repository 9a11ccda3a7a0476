//! Whom the mirror ever saw being named a minter. The contract answers for one principal, and lists none.

use stxworx_clarity::codec::{ContractId, Principal};
use stxworx_indexer::store::read::projection::{self, EntityFilter};
use stxworx_indexer::store::read::{ReadError, Snapshot};
use stxworx_indexer::store::{self, Access, Pool};

use crate::config::Config;
use crate::daemon::Database;

/// Minters that are asked for at most.
const MOST: u32 = 50;

/// Minters of a contract of badges; none where there is no mirror to ask.
pub(super) async fn of(config: &Config, id: &ContractId) -> Vec<Principal> {
    let has_mirror = config.database_url.is_some() || config.data_dir.join("pgdata").exists();
    if id.name.as_str() != "freelance-badges" || !has_mirror {
        return Vec::new();
    }
    match named(config, id).await {
        Ok(minters) => minters,
        Err(error) => {
            let error = error.to_string();
            tracing::warn!(
                error,
                "the mirror cannot say who mints; the contract is not asked for anybody"
            );
            Vec::new()
        }
    }
}

async fn named(
    config: &Config,
    id: &ContractId,
) -> Result<Vec<Principal>, Box<dyn std::error::Error + Send + Sync>> {
    let database = Database::attach(config).await?;
    let pool = store::pool(database.url(), Access::Read, 1);
    let minters = match &pool {
        Ok(pool) => read(pool, id).await,
        Err(_) => Ok(Vec::new()),
    };
    if let Ok(pool) = pool {
        pool.close().await;
    }
    database.close().await;
    Ok(minters?)
}

async fn read(pool: &Pool, id: &ContractId) -> Result<Vec<Principal>, ReadError> {
    let mut snapshot = Snapshot::open(pool).await?;
    let at = snapshot.tip.as_ref().map_or(0, |tip| tip.height);
    let connection = snapshot.connection();
    let Some(settings) = projection::id(connection, "settings").await? else {
        return Ok(Vec::new());
    };
    let prefix = format!("{id}/minter-set/");
    let filter = EntityFilter {
        projection: settings,
        at: i32::try_from(at).unwrap_or(i32::MAX),
        prefix: Some(prefix.clone()),
        limit: MOST,
        ..EntityFilter::default()
    };
    let page = projection::entities(connection, &filter).await?;
    let named = page.rows.iter().filter_map(|row| {
        let name = row.entity.strip_prefix(&prefix)?;
        name.parse().ok()
    });
    Ok(named.collect())
}
