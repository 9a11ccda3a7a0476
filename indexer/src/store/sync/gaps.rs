//! Blocks that others wait for.

use std::time::Duration;

use sqlx::PgPool;

use super::super::StoreError;
use super::super::load::{corrupt, unsigned};
use crate::model::IndexBlockHash;

/// A block that is not there, and what waits for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// The block that is missing.
    pub missing: IndexBlockHash,
    /// The lowest block above it.
    pub waiting: IndexBlockHash,
    /// Its height, if it is known.
    pub waiting_height: Option<u32>,
    /// Since when that block waits, in seconds.
    pub age_seconds: u64,
    /// Has it waited longer than what merely arrives late?
    pub is_ripe: bool,
    /// Attempts at this very block so far.
    pub attempts: u32,
    /// Blocks fetched for this gap so far.
    pub fetched: u32,
    /// Were all sources asked in vain?
    pub given_up: bool,
    /// May it be tried (again)?
    pub is_due: bool,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
}

/// Gaps listed at once.
pub const MAX_GAPS: i64 = 256;

/// The gaps below blocks above a height (none for all of them), oldest first, [`MAX_GAPS`] at most: parents of waiting
/// blocks that are neither mirrored nor stored.
///
/// # Errors
/// When the database fails or holds an unreadable row.
pub async fn gaps(
    pool: &PgPool,
    grace: Duration,
    above: Option<u32>,
) -> Result<Vec<Gap>, StoreError> {
    let grace_ms = i64::try_from(grace.as_millis()).unwrap_or(i64::MAX);
    let rows = sqlx::query!(
        r#"with gap as (
               select d.parent_index_block_hash as missing,
                      (array_agg(d.index_block_hash order by d.block_height, d.id))[1] as waiting,
                      min(d.block_height) as height, min(d.received_at) as since
               from inbox d
               where d.state = 3 and coalesce(d.block_height, 2147483647) > $3::integer
                 and not exists (select from block b where b.index_block_hash = d.parent_index_block_hash)
                 and not exists (select from inbox p
                     where p.state in (0, 3) and p.index_block_hash = d.parent_index_block_hash)
               group by d.parent_index_block_hash
           )
           select g.missing as "missing!", g.waiting as "waiting!", g.height,
                  greatest(0, extract(epoch from clock_timestamp() - g.since))::bigint as "age!",
                  extract(epoch from clock_timestamp() - g.since) * 1000 >= $1::bigint as "ripe!",
                  coalesce(r.attempts, 0) as "attempts!", coalesce(r.fetched, 0) as "fetched!",
                  coalesce(r.state = 'given_up', false) as "given_up!",
                  coalesce(r.retry_at <= clock_timestamp(), true) as "due!", r.last_error
           from gap g left join repair_gap r on r.missing = g.missing
           order by g.since, g.missing limit $2"#,
        grace_ms,
        MAX_GAPS,
        above.map_or(-1, |h| i32::try_from(h).unwrap_or(i32::MAX))
    )
    .fetch_all(pool)
    .await
    .map_err(StoreError::db("look for gaps"))?;
    let count = |value: i32| u32::try_from(value).unwrap_or(0);
    rows.into_iter()
        .map(|row| {
            Ok(Gap {
                missing: IndexBlockHash::from_slice(&row.missing).map_err(corrupt("inbox"))?,
                waiting: IndexBlockHash::from_slice(&row.waiting).map_err(corrupt("inbox"))?,
                waiting_height: row.height.map(|h| unsigned("inbox", h)).transpose()?,
                age_seconds: u64::try_from(row.age).unwrap_or(0),
                is_ripe: row.ripe,
                attempts: count(row.attempts),
                fetched: count(row.fetched),
                given_up: row.given_up,
                is_due: row.due,
                last_error: row.last_error,
            })
        })
        .collect()
}

/// Is a block that nobody has looked at yet older than this? It may be the one that others wait for.
///
/// # Errors
/// When the database fails.
pub async fn is_behind(pool: &PgPool, grace: Duration) -> Result<bool, StoreError> {
    let grace_ms = i64::try_from(grace.as_millis()).unwrap_or(i64::MAX);
    let behind = sqlx::query_scalar!(
        r#"select exists (select from inbox where state = 0 and endpoint = 1 and index_block_hash is null
               and extract(epoch from clock_timestamp() - received_at) * 1000 >= $1::bigint) as "behind!""#,
        grace_ms
    )
    .fetch_one(pool)
    .await;
    behind.map_err(StoreError::db("look at the backlog"))
}

/// Writes down how far a gap has come; `was` is the block that was missing before, where the gap has moved down.
/// `pause` is how long to leave it alone.
///
/// # Errors
/// When the database fails.
pub async fn note(
    pool: &PgPool,
    was: &IndexBlockHash,
    gap: &Gap,
    pause: Duration,
) -> Result<(), StoreError> {
    let pause_ms = i64::try_from(pause.as_millis()).unwrap_or(i64::MAX);
    let int = |value: u32| i32::try_from(value).unwrap_or(i32::MAX);
    let mut tx = super::super::begin(pool, "begin")
        .await
        .map_err(StoreError::db("begin"))?;
    if *was != gap.missing {
        sqlx::query!("delete from repair_gap where missing = $1", was.as_bytes())
            .execute(&mut *tx)
            .await
            .map_err(StoreError::db("move a gap down"))?;
    }
    sqlx::query!(
        "insert into repair_gap (missing, waiting, waiting_height, opened_at, state, attempts, fetched, retry_at, last_error)
         values ($1, $2, $3, clock_timestamp() - make_interval(secs => $9::bigint), $4, $5, $6,
             clock_timestamp() + make_interval(secs => $7::bigint / 1000.0), $8)
         on conflict (missing) do update set waiting = excluded.waiting, waiting_height = excluded.waiting_height,
             state = excluded.state, attempts = excluded.attempts, fetched = excluded.fetched,
             retry_at = excluded.retry_at, last_error = excluded.last_error",
        gap.missing.as_bytes(),
        gap.waiting.as_bytes(),
        gap.waiting_height.map(int),
        if gap.given_up { "given_up" } else { "open" },
        int(gap.attempts),
        int(gap.fetched),
        pause_ms,
        gap.last_error.as_deref().map(|e| e.replace('\0', "\u{fffd}")),
        i64::try_from(gap.age_seconds).unwrap_or(0)
    )
    .execute(&mut *tx)
    .await
    .map_err(StoreError::db("write down a gap"))?;
    tx.commit().await.map_err(StoreError::db("commit a gap"))
}

/// Forgets gaps that are none any more.
///
/// # Errors
/// When the database fails.
pub async fn close_filled(pool: &PgPool) -> Result<u64, StoreError> {
    let closed = sqlx::query!(
        "delete from repair_gap r
         where exists (select from block b where b.index_block_hash = r.missing)
            or exists (select from inbox i where i.state in (0, 3) and i.index_block_hash = r.missing)
            or not exists (select from inbox d where d.state = 3 and d.parent_index_block_hash = r.missing)"
    )
    .execute(pool)
    .await
    .map_err(StoreError::db("close gaps"))?;
    Ok(closed.rows_affected())
}

/// Ranges of heights between the mirror's ends that have no canonical block, both ends included. There are none unless
/// somebody else wrote to the tables (CH-1).
///
/// # Errors
/// When the database fails or holds an unreadable row.
pub async fn holes(pool: &PgPool) -> Result<Vec<(u32, u32)>, StoreError> {
    let rows = sqlx::query!(
        r#"select height + 1 as "first!", next - 1 as "last!"
           from (select height, lead(height) over (order by height) as next from canonical) c
           where next > height + 1 order by height limit $1"#,
        MAX_GAPS
    )
    .fetch_all(pool)
    .await
    .map_err(StoreError::db("look for heights without a block"))?;
    rows.into_iter()
        .map(|row| {
            Ok((
                unsigned("canonical", row.first)?,
                unsigned("canonical", row.last)?,
            ))
        })
        .collect()
}
