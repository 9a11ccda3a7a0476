//! How the mirror is being filled, and by whom.

use sqlx::PgConnection;

use super::super::StoreError;
use super::super::load::unsigned;
use super::{Hex, ReadError, Uint, Ulong};
use crate::model::handover::Facts;

/// Gaps, backfills and disagreements listed by name.
pub const LISTED: i64 = 20;

/// What the state of the hand-over follows from.
///
/// # Errors
/// When the database fails or holds an unreadable row.
pub async fn facts(connection: &mut PgConnection) -> Result<Facts, StoreError> {
    let row = sqlx::query!(
        r#"with gap as (
               select distinct d.parent_index_block_hash as missing
               from inbox d
               where d.state = 3
                 and coalesce(d.block_height, 2147483647) > (select min(height) from canonical)
                 and not exists (select from block b where b.index_block_hash = d.parent_index_block_hash)
                 and not exists (select from inbox p
                     where p.state in (0, 3) and p.index_block_hash = d.parent_index_block_hash)
           )
           select (select min(next_height) from backfill_job
                   where state = 'running' and changed_at > clock_timestamp() - interval '2 minutes') as backfilling_at,
                  exists (select from backfill_job where state = 'overlapping') as "overlapping!",
                  (select count(*) from gap)::int as "gaps!",
                  (select count(*) from gap g join repair_gap r on r.missing = g.missing
                   where r.state = 'given_up')::int as "given_up!",
                  (select count(*) from gap g join repair_gap r on r.missing = g.missing)::int as "asked_for!",
                  exists (select from canonical) as "has_tip!""#
    )
    .fetch_one(connection)
    .await
    .map_err(StoreError::db("see how the mirror is being filled"))?;
    let count = |n: i32| u32::try_from(n).unwrap_or(0);
    Ok(Facts {
        backfilling_at: row
            .backfilling_at
            .map(|h| unsigned("backfill_job", h))
            .transpose()?,
        overlapping: row.overlapping,
        gaps: count(row.gaps),
        given_up: count(row.given_up),
        asked_for: count(row.asked_for),
        has_tip: row.has_tip,
    })
}

/// Who writes.
#[derive(Debug)]
pub struct LeaseRow {
    /// The process.
    pub holder: String,
    /// Its epoch.
    pub epoch: Ulong,
    /// RFC 3339.
    pub taken_at: String,
    /// Milliseconds since the last renewal.
    pub renewed_ms_ago: Ulong,
    /// Is it still held?
    pub is_held: bool,
}

/// The lease; none where nobody ever took it.
///
/// # Errors
/// When the database cannot be read.
pub async fn lease(connection: &mut PgConnection) -> Result<Option<LeaseRow>, ReadError> {
    sqlx::query_as!(
        LeaseRow,
        r#"select holder, epoch as "epoch!: Ulong",
               to_char(taken_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as "taken_at!",
               greatest(0, extract(epoch from clock_timestamp() - renewed_at) * 1000)::bigint as "renewed_ms_ago!: Ulong",
               expires_at > clock_timestamp() as "is_held!"
           from lease"#
    )
    .fetch_optional(connection)
    .await
    .map_err(ReadError::reading("the lease"))
}

/// A block that is missing and was asked for.
#[derive(Debug)]
pub struct RepairRow {
    /// The missing block.
    pub missing: Hex,
    /// The lowest block above it.
    pub waiting: Hex,
    /// Its height.
    pub waiting_height: Option<Uint>,
    /// `open` or `given_up`.
    pub state: String,
    /// Attempts at this block.
    pub attempts: Uint,
    /// Blocks fetched for the gap.
    pub fetched: Uint,
    /// Seconds since it was opened.
    pub seconds: Ulong,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
}

/// Gaps that sources were asked for, oldest first.
///
/// # Errors
/// When the database cannot be read.
pub async fn repairs(connection: &mut PgConnection) -> Result<Vec<RepairRow>, ReadError> {
    sqlx::query_as!(
        RepairRow,
        r#"select missing as "missing!: Hex", waiting as "waiting!: Hex", waiting_height as "waiting_height?: Uint", state,
               attempts as "attempts!: Uint", fetched as "fetched!: Uint",
               greatest(0, extract(epoch from clock_timestamp() - opened_at))::bigint as "seconds!: Ulong", last_error
           from repair_gap order by opened_at, missing limit $1"#,
        LISTED
    )
    .fetch_all(connection)
    .await
    .map_err(ReadError::reading("the gaps"))
}

/// A backfill that is not over.
#[derive(Debug)]
pub struct JobRow {
    /// Its number.
    pub id: Ulong,
    /// Who is asked.
    pub source: String,
    /// First height.
    pub from_height: Uint,
    /// Last height; none for the tip.
    pub to_height: Option<Uint>,
    /// The next height.
    pub next_height: Uint,
    /// Its state.
    pub state: String,
    /// RFC 3339.
    pub started_at: String,
    /// Why it stopped.
    pub error: Option<String>,
}

/// Backfills that are not over, oldest first.
///
/// # Errors
/// When the database cannot be read.
pub async fn jobs(connection: &mut PgConnection) -> Result<Vec<JobRow>, ReadError> {
    sqlx::query_as!(
        JobRow,
        r#"select id as "id!: Ulong", source, from_height as "from_height!: Uint", to_height as "to_height?: Uint",
               next_height as "next_height!: Uint", state,
               to_char(started_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as "started_at!", error
           from backfill_job where state <> 'done' order by id limit $1"#,
        LISTED
    )
    .fetch_all(connection)
    .await
    .map_err(ReadError::reading("the backfills"))
}

/// Two sources that tell different facts of one block.
#[derive(Debug)]
pub struct DisagreementRow {
    /// The block.
    pub index_block_hash: Hex,
    /// Its height.
    pub height: Uint,
    /// The payload that is mirrored.
    pub applied_inbox_id: Ulong,
    /// The other one.
    pub other_inbox_id: Ulong,
    /// Code of who delivered the first.
    pub applied_source: i16,
    /// Code of who delivered the second.
    pub other_source: i16,
    /// What differs.
    pub differences: String,
}

/// The newest disagreements, and how many there are.
///
/// # Errors
/// When the database cannot be read.
pub async fn disagreements(
    connection: &mut PgConnection,
) -> Result<(u64, Vec<DisagreementRow>), ReadError> {
    let count =
        sqlx::query_scalar!(r#"select count(*) as "count!: Ulong" from source_disagreement"#)
            .fetch_one(&mut *connection)
            .await
            .map_err(ReadError::reading("where sources disagree"))?;
    let rows = sqlx::query_as!(
        DisagreementRow,
        r#"select index_block_hash as "index_block_hash!: Hex", height as "height!: Uint",
               applied_inbox_id as "applied_inbox_id!: Ulong", other_inbox_id as "other_inbox_id!: Ulong",
               applied_source, other_source, differences
           from source_disagreement order by seen_at desc, other_inbox_id desc limit $1"#,
        LISTED
    )
    .fetch_all(connection)
    .await
    .map_err(ReadError::reading("where sources disagree"))?;
    Ok((count.0, rows))
}
