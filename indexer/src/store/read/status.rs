//! What the mirror is, and what it is waiting for.

use sqlx::PgConnection;

use super::{Hex, ReadError, Uint, Ulong};

/// How many quarantined and detached payloads are listed by name.
pub const LISTED: i64 = 20;

/// Sightings counted at most: the table has no bound of its own.
pub const SIGHTINGS_COUNTED: i64 = 100_000;

/// The mirror's settings.
#[derive(Debug)]
pub struct MirrorRow {
    /// The follow set, JSON.
    pub follow: String,
    /// Lowest mirrored block.
    pub origin: Option<Hex>,
    /// RFC 3339.
    pub created_at: String,
    /// Every inbox row up to this id has been processed.
    pub inbox_watermark: Ulong,
    /// Highest inbox id given out.
    pub inbox_last: Ulong,
}

/// Reads the mirror's settings.
///
/// # Errors
/// When the database cannot be read.
pub async fn mirror(connection: &mut PgConnection) -> Result<MirrorRow, ReadError> {
    sqlx::query_as!(
        MirrorRow,
        r#"
        select follow::text as "follow!", origin as "origin?: Hex",
               to_char(created_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as "created_at!",
               inbox_watermark as "inbox_watermark!: Ulong",
               coalesce((select max(id) from inbox), 0) as "inbox_last!: Ulong"
        from mirror
        "#
    )
    .fetch_one(connection)
    .await
    .map_err(ReadError::reading("the mirror's settings"))
}

/// Payloads that wait, and the age of the oldest unprocessed one.
#[derive(Debug)]
pub struct WaitingRow {
    /// Received and not processed yet.
    pub received: Ulong,
    /// Blocks whose parent is missing.
    pub detached: Ulong,
    /// Could not be decoded.
    pub quarantined: Ulong,
    /// Seconds since the oldest unprocessed payload arrived.
    pub oldest_received_seconds: Option<Ulong>,
    /// Age of the tip by the chain's own clock, in seconds.
    pub tip_age_seconds: Option<Ulong>,
}

/// Counts what waits in the inbox. Served by the partial index over these states.
///
/// # Errors
/// When the database cannot be read.
pub async fn waiting(connection: &mut PgConnection) -> Result<WaitingRow, ReadError> {
    sqlx::query_as!(
        WaitingRow,
        r#"
        select (select count(*) from inbox where state = 0) as "received!: Ulong",
               (select count(*) from inbox where state = 3) as "detached!: Ulong",
               (select count(*) from inbox where state = 4) as "quarantined!: Ulong",
               (select greatest(0, extract(epoch from clock_timestamp() - received_at))::bigint
                from inbox where state = 0 order by id limit 1) as "oldest_received_seconds?: Ulong",
               (select greatest(0, extract(epoch from clock_timestamp())::bigint
                                   - coalesce(b.block_time, b.burn_block_time))
                from mirror m join block b on b.id = m.tip_block_id) as "tip_age_seconds?: Ulong"
        "#
    )
    .fetch_one(connection)
    .await
    .map_err(ReadError::reading("the inbox"))
}

/// A payload that could not be decoded.
#[derive(Debug)]
pub struct QuarantinedRow {
    /// Its number.
    pub inbox_id: Ulong,
    /// Code of the endpoint.
    pub endpoint: i16,
    /// Why.
    pub error: Option<String>,
    /// RFC 3339.
    pub received_at: String,
}

/// The first quarantined payloads.
///
/// # Errors
/// When the database cannot be read.
pub async fn quarantined(connection: &mut PgConnection) -> Result<Vec<QuarantinedRow>, ReadError> {
    sqlx::query_as!(
        QuarantinedRow,
        r#"
        select id as "inbox_id!: Ulong", endpoint, error,
               to_char(received_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as "received_at!"
        from inbox where state = 4 order by id limit $1
        "#,
        LISTED,
    )
    .fetch_all(connection)
    .await
    .map_err(ReadError::reading("quarantined payloads"))
}

/// A block whose parent is missing.
#[derive(Debug)]
pub struct DetachedRow {
    /// Number of its payload.
    pub inbox_id: Ulong,
    /// The block.
    pub id: Option<Hex>,
    /// The parent it waits for.
    pub parent: Option<Hex>,
}

/// The first detached blocks.
///
/// # Errors
/// When the database cannot be read.
pub async fn detached(connection: &mut PgConnection) -> Result<Vec<DetachedRow>, ReadError> {
    sqlx::query_as!(
        DetachedRow,
        r#"
        select id as "inbox_id!: Ulong", index_block_hash as "id?: Hex", parent_index_block_hash as "parent?: Hex"
        from inbox where state = 3 order by id limit $1
        "#,
        LISTED,
    )
    .fetch_all(connection)
    .await
    .map_err(ReadError::reading("detached blocks"))
}

/// Mempool sightings by state.
#[derive(Debug)]
pub struct MempoolRow {
    /// Seen and not dropped; mined ones included until the mirror forgets them.
    pub seen: Ulong,
    /// Dropped by the node.
    pub dropped: Ulong,
}

/// Counts mempool sightings, [`SIGHTINGS_COUNTED`] at most.
///
/// # Errors
/// When the database cannot be read.
pub async fn mempool(connection: &mut PgConnection) -> Result<MempoolRow, ReadError> {
    sqlx::query_as!(
        MempoolRow,
        r#"
        select count(*) filter (where dropped_at is null) as "seen!: Ulong",
               count(*) filter (where dropped_at is not null) as "dropped!: Ulong"
        from (select dropped_at from mempool_sighting limit $1) s
        "#,
        SIGHTINGS_COUNTED,
    )
    .fetch_one(connection)
    .await
    .map_err(ReadError::reading("the mempool"))
}

/// A projection of this mirror.
#[derive(Debug)]
pub struct ProjectionRow {
    /// Its name.
    pub name: String,
    /// Version of its rules.
    pub version: Uint,
}

/// The projections of this mirror.
///
/// # Errors
/// When the database cannot be read.
pub async fn projections(connection: &mut PgConnection) -> Result<Vec<ProjectionRow>, ReadError> {
    sqlx::query_as!(
        ProjectionRow,
        r#"select name, version as "version!: Uint" from projection order by id"#
    )
    .fetch_all(connection)
    .await
    .map_err(ReadError::reading("the projections"))
}
