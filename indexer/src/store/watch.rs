//! What a daemon looks at in its database, every few seconds.

use sqlx::PgPool;

use super::StoreError;

/// Tables that grow with the chain; the size of others is of no interest. Bounded, for each is a series.
const TABLES: [&str; 8] = [
    "inbox",
    "inbox_chunk",
    "block",
    "transaction",
    "event",
    "projection_version",
    "outbox",
    "posting",
];
/// A digest is shown at every so many blocks, so that two mirrors show the same one for a while.
const CHECKPOINT_BLOCKS: i32 = 100;
/// Blocks above a digest that is shown; forks are seldom so deep.
const CHECKPOINT_DEPTH: i32 = 20;

/// How the database stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// When the newest payload was stored, Unix seconds; 0 for never.
    pub last_received: i64,
    /// Age of the oldest payload that is not processed, in seconds; 0 for none.
    pub oldest_received: i64,
    /// Age of the oldest block that waits for its parent, in seconds; 0 for none.
    pub oldest_detached: i64,
    /// Age of the oldest payload that cannot be decoded, in seconds; 0 for none.
    pub oldest_quarantined: i64,
    /// Time of the tip's block, Unix seconds; before epoch 3.0 that of its Bitcoin block.
    pub tip_time: Option<i64>,
    /// Age of the oldest line of the outbox that is not booked, in seconds; 0 for none.
    pub unbooked_seconds: i64,
    /// Age of the oldest line that no comparison with a platform has seen, in seconds; 0 for none, and before the
    /// first comparison.
    pub unreconciled_seconds: i64,
    /// Has a process the lease?
    pub lease_held: bool,
    /// The epoch that a commit must name.
    pub epoch: i64,
    /// Height of the digest that is shown; 0 for none.
    pub checkpoint_height: i64,
    /// The first six bytes of that digest: a number that a double holds exactly.
    pub checkpoint: i64,
}

/// Looks at the database.
///
/// # Errors
/// When it does not answer.
pub async fn look(pool: &PgPool) -> Result<Look, StoreError> {
    let row = sqlx::query_file!("src/store/watch.sql", CHECKPOINT_BLOCKS, CHECKPOINT_DEPTH)
        .fetch_one(pool)
        .await
        .map_err(StoreError::db("say how far it is"))?;
    let mut first = [0; 8];
    if let Some(bytes) = row.checkpoint.as_deref().and_then(|d| d.get(..6)) {
        first[2..].copy_from_slice(bytes);
    }
    Ok(Look {
        last_received: row.last_received.unwrap_or(0),
        oldest_received: row.oldest_received.unwrap_or(0).max(0),
        oldest_detached: row.oldest_detached.unwrap_or(0).max(0),
        oldest_quarantined: row.oldest_quarantined.unwrap_or(0).max(0),
        tip_time: row.tip_time,
        unbooked_seconds: row.unbooked_seconds.unwrap_or(0).max(0),
        unreconciled_seconds: row.unreconciled_seconds.unwrap_or(0).max(0),
        lease_held: row.lease_held,
        epoch: row.epoch,
        checkpoint_height: row.checkpoint_height.map_or(0, i64::from),
        checkpoint: i64::from_be_bytes(first),
    })
}

/// How large the database is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sizes {
    /// All of it, bytes.
    pub database_bytes: i64,
    /// Tables that grow with the chain, with their indexes, bytes.
    pub tables: Vec<(String, i64)>,
}

/// Measures the database. It looks at every file, so it is for now and then.
///
/// # Errors
/// When it does not answer.
pub async fn sizes(pool: &PgPool) -> Result<Sizes, StoreError> {
    let database_bytes =
        sqlx::query_scalar!(r#"select pg_database_size(current_database()) as "bytes!""#)
            .fetch_one(pool)
            .await
            .map_err(StoreError::db("say how large it is"))?;
    let names = TABLES.map(str::to_owned);
    let rows = sqlx::query!(
        r#"select relname::text as "name!", pg_total_relation_size(oid) as "bytes!" from pg_class
           where relkind = 'r' and relnamespace = 'public'::regnamespace and relname = any($1)"#,
        &names[..]
    )
    .fetch_all(pool)
    .await
    .map_err(StoreError::db("say how large its tables are"))?;
    Ok(Sizes {
        database_bytes,
        tables: rows.into_iter().map(|r| (r.name, r.bytes)).collect(),
    })
}
