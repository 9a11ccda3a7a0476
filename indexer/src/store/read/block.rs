//! Blocks of every fork.

use sqlx::PgConnection;

use super::{Hex, Order, ReadError, Rows, Uint, Ulong, collect};

/// A block as it is stored.
#[derive(Debug)]
pub struct BlockRow {
    /// Index block hash.
    pub id: Hex,
    /// Index block hash of the parent.
    pub parent: Hex,
    /// Stacks height.
    pub height: Uint,
    /// Header hash.
    pub block_hash: Hex,
    /// Unix seconds.
    pub block_time: Option<Ulong>,
    /// Bitcoin block of the tenure's sortition.
    pub burn_block_hash: Hex,
    /// Its height.
    pub burn_block_height: Uint,
    /// Its time, Unix seconds.
    pub burn_block_time: Ulong,
    /// The tenure.
    pub consensus_hash: Option<Hex>,
    /// Winning block-commit.
    pub miner_txid: Option<Hex>,
    /// Coinbase height.
    pub tenure_height: Option<Uint>,
    /// Transactions in the payload.
    pub listed_transactions: Uint,
    /// Events in the payload.
    pub listed_events: Uint,
    /// Transactions kept.
    pub mirrored_transactions: Ulong,
    /// Events kept.
    pub mirrored_events: Ulong,
    /// Digest over this block's rows.
    pub rows_digest: Hex,
    /// Digest chain.
    pub digest: Hex,
    /// Is it on the canonical chain?
    pub canonical: bool,
    /// When the mirror took it in, RFC 3339.
    pub seen_at: String,
}

macro_rules! block_query {
    ($tail:literal, $($args:expr),*) => {
        sqlx::query_as!(
            BlockRow,
            r#"
            select b.index_block_hash as "id!: Hex", b.parent as "parent!: Hex", b.height as "height!: Uint",
                   b.block_hash as "block_hash!: Hex", b.block_time as "block_time?: Ulong",
                   b.burn_block_hash as "burn_block_hash!: Hex", b.burn_block_height as "burn_block_height!: Uint",
                   b.burn_block_time as "burn_block_time!: Ulong", b.consensus_hash as "consensus_hash?: Hex",
                   b.miner_txid as "miner_txid?: Hex", b.tenure_height as "tenure_height?: Uint",
                   b.listed_transactions as "listed_transactions!: Uint", b.listed_events as "listed_events!: Uint",
                   (select count(*) from transaction t where t.block_id = b.id) as "mirrored_transactions!: Ulong",
                   (select count(*) from event e where e.block_id = b.id) as "mirrored_events!: Ulong",
                   b.rows_digest as "rows_digest!: Hex", b.digest as "digest!: Hex",
                   c.block_id is not null as "canonical!",
                   to_char(b.seen_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as "seen_at!"
            from block b
            left join canonical c on c.block_id = b.id
            "# + $tail,
            $($args),*
        )
    };
}

/// Which canonical blocks, and where the page begins.
#[derive(Debug, Clone, Copy)]
pub struct BlockFilter {
    /// Lowest height.
    pub from: i32,
    /// Highest height.
    pub to: i32,
    /// Direction.
    pub order: Order,
    /// Rows behind this height only.
    pub after: i32,
    /// At most this many.
    pub limit: u32,
}

/// A page of canonical blocks by height.
///
/// # Errors
/// When the database cannot be read.
pub async fn page(
    connection: &mut PgConnection,
    filter: &BlockFilter,
) -> Result<Rows<BlockRow>, ReadError> {
    let BlockFilter {
        from,
        to,
        order,
        after,
        limit,
    } = *filter;
    let take = i64::from(limit) + 1;
    let rows = match order {
        Order::Asc => block_query!(
            "where c.height between $1 and $2 and c.height > $3 order by c.height limit $4",
            from,
            to,
            after,
            take
        )
        .fetch(connection),
        Order::Desc => block_query!(
            "where c.height between $1 and $2 and c.height < $3 order by c.height desc limit $4",
            from,
            to,
            after,
            take
        )
        .fetch(connection),
    };
    collect(rows, limit, |_| 0)
        .await
        .map_err(ReadError::reading("blocks"))
}

/// A block of any fork.
///
/// # Errors
/// When the database cannot be read.
pub async fn by_hash(
    connection: &mut PgConnection,
    id: &[u8],
) -> Result<Option<BlockRow>, ReadError> {
    block_query!("where b.index_block_hash = $1", id)
        .fetch_optional(connection)
        .await
        .map_err(ReadError::reading("a block"))
}

/// The canonical block at a height.
///
/// # Errors
/// When the database cannot be read.
pub async fn by_height(
    connection: &mut PgConnection,
    height: i32,
) -> Result<Option<BlockRow>, ReadError> {
    block_query!("where c.height = $1", height)
        .fetch_optional(connection)
        .await
        .map_err(ReadError::reading("a block"))
}
