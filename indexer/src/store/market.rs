//! The marketplace at a glance, from the newest canonical states.

use serde::Serialize;
use sqlx::PgPool;

use super::StoreError;

/// What a summary shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MarketSummary {
    /// Canonical blocks.
    pub canonical_blocks: i64,
    /// Blocks of all forks.
    pub blocks: i64,
    /// Times that the canonical chain was anything but extended.
    pub reorgs: i64,
    /// Deepest of them, blocks.
    pub deepest_reorg: i32,
    /// Events in canonical blocks.
    pub events: i64,
    /// Projects by status.
    pub projects: Vec<(String, i64)>,
    /// Money per escrow and asset.
    pub assets: Vec<AssetLine>,
    /// Badges that somebody holds.
    pub badges: i64,
    /// Governed actions by status.
    pub actions: Vec<(String, i64)>,
    /// The hash chain of each contract's events.
    pub chains: Vec<ChainLine>,
    /// Prints of the contracts that the catalogue does not have.
    pub unrecognised: i64,
}

/// An asset of an escrow, base units as text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AssetLine {
    /// The escrow.
    pub contract: String,
    /// `STX` or the token's contract.
    pub asset: String,
    /// In open milestones.
    pub locked: String,
    /// Ever locked.
    pub deposited: String,
    /// To freelancers.
    pub paid: String,
    /// To the treasury.
    pub fees: String,
    /// Back to clients.
    pub refunded: String,
}

/// A contract's chain of events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChainLine {
    /// The contract.
    pub contract: String,
    /// Events.
    pub seq: String,
    /// Hash of the newest, with 0x.
    pub head: String,
    /// Links that did not hold.
    pub breaks: i64,
}

/// Reads the summary.
///
/// # Errors
/// When the database cannot be read.
pub async fn summary(pool: &PgPool) -> Result<MarketSummary, StoreError> {
    let failed = || StoreError::db("sum up the marketplace");
    let counts = sqlx::query!(
        r#"select (select count(*) from canonical) as "canonical!",
                  (select count(*) from block) as "blocks!",
                  (select count(*) from reorg) as "reorgs!",
                  (select coalesce(max(depth), 0) from reorg) as "deepest!",
                  (select count(*) from event e join canonical c on c.block_id = e.block_id) as "events!""#
    )
    .fetch_one(pool)
    .await
    .map_err(failed())?;
    let assets = sqlx::query_as!(
        AssetLine,
        r#"select state->>'contract' as "contract!", state->>'asset' as "asset!", state->>'locked' as "locked!",
                  state->>'deposited' as "deposited!", state->>'paid' as "paid!", state->>'fees' as "fees!",
                  state->>'refunded' as "refunded!"
           from projection_current c join projection_version v on v.id = c.version_id
           join projection p on p.id = c.projection
           where p.name = 'assets' order by c.entity"#
    )
    .fetch_all(pool)
    .await
    .map_err(failed())?;
    let chains = sqlx::query_as!(
        ChainLine,
        r#"select c.entity as contract, state->>'seq' as "seq!", state->>'head' as "head!",
                  (state->>'breaks')::bigint as "breaks!"
           from projection_current c join projection_version v on v.id = c.version_id
           join projection p on p.id = c.projection
           where p.name = 'event_chain' order by c.entity"#
    )
    .fetch_all(pool)
    .await
    .map_err(failed())?;
    let others = sqlx::query!(
        r#"select coalesce(sum((p.name = 'badges' and state->>'owner' is not null)::int), 0) as "badges!",
                  coalesce(sum((state->>'count')::bigint) filter (where p.name = 'unrecognised'), 0)::bigint as "unrecognised!"
           from projection_current c join projection_version v on v.id = c.version_id
           join projection p on p.id = c.projection
           where p.name in ('badges', 'unrecognised')"#
    )
    .fetch_one(pool)
    .await
    .map_err(failed())?;
    Ok(MarketSummary {
        canonical_blocks: counts.canonical,
        blocks: counts.blocks,
        reorgs: counts.reorgs,
        deepest_reorg: counts.deepest,
        events: counts.events,
        projects: by_status(pool, "projects").await?,
        assets,
        badges: others.badges,
        actions: by_status(pool, "governance_actions").await?,
        chains,
        unrecognised: others.unrecognised,
    })
}

/// Index block hash of the canonical tip.
///
/// # Errors
/// When the database cannot be read.
pub async fn tip(pool: &PgPool) -> Result<Option<[u8; 32]>, StoreError> {
    let row = sqlx::query_scalar!(
        "select b.index_block_hash from canonical c join block b on b.id = c.block_id order by c.height desc limit 1"
    )
    .fetch_optional(pool)
    .await
    .map_err(StoreError::db("read the tip"))?;
    Ok(row.and_then(|id| id.try_into().ok()))
}

async fn by_status(pool: &PgPool, projection: &str) -> Result<Vec<(String, i64)>, StoreError> {
    let rows = sqlx::query!(
        r#"select state->>'status' as "status!", count(*) as "count!"
           from projection_current c join projection_version v on v.id = c.version_id
           join projection p on p.id = c.projection
           where p.name = $1 group by 1 order by 1"#,
        projection
    )
    .fetch_all(pool)
    .await
    .map_err(StoreError::db("count the marketplace's entities"))?;
    Ok(rows.into_iter().map(|r| (r.status, r.count)).collect())
}
