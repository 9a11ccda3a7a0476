//! Projections: states of entities, now, at a block, and over time.

use serde_json::Value;
use sqlx::PgConnection;

use super::{Hex, Order, ReadError, Rows, Uint, Ulong, collect};

/// One state of an entity, and what made it so.
#[derive(Debug)]
pub struct VersionRow {
    /// Name of the projection.
    pub projection: String,
    /// The entity.
    pub entity: String,
    /// The state, JSON.
    pub state: String,
    /// The block.
    pub block: Hex,
    /// Its height.
    pub height: Uint,
    /// Bitcoin height of the block's sortition.
    pub burn_block_height: Uint,
    /// `tx_index * 2^32 + ordinal` of the cause.
    pub position: Ulong,
}

/// The local number of a projection.
///
/// # Errors
/// When the database cannot be read.
pub async fn id(connection: &mut PgConnection, name: &str) -> Result<Option<i16>, ReadError> {
    sqlx::query_scalar!("select id from projection where name = $1", name)
        .fetch_optional(connection)
        .await
        .map_err(ReadError::reading("a projection"))
}

/// States of some entities in some projections, as they stood at a canonical height. What had no state
/// then is missing from the answer.
///
/// # Errors
/// When the database cannot be read.
pub async fn at_height(
    connection: &mut PgConnection,
    projections: &[String],
    entities: &[String],
    height: i32,
) -> Result<Vec<VersionRow>, ReadError> {
    sqlx::query_as!(
        VersionRow,
        r#"
        select p.name as "projection!", w.entity as "entity!", v.state::text as "state!",
               b.index_block_hash as "block!: Hex", v.height as "height!: Uint",
               b.burn_block_height as "burn_block_height!: Uint", v.position as "position!: Ulong"
        from unnest($2::text[]) as w (entity)
        cross join projection p
        cross join lateral (
            select v.state, v.height, v.position, v.block_id
            from projection_version v
            join canonical c on c.block_id = v.block_id
            where v.projection = p.id and v.entity = w.entity and v.height <= $3
            order by v.height desc, v.position desc
            limit 1
        ) v
        join block b on b.id = v.block_id
        where p.name = any($1)
        order by w.entity, p.name
        "#,
        projections,
        entities,
        height,
    )
    .fetch_all(connection)
    .await
    .map_err(ReadError::reading("states"))
}

/// Which entities, and where the page begins.
#[derive(Debug, Clone, Default)]
pub struct EntityFilter {
    /// Local number of the projection.
    pub projection: i16,
    /// As of this canonical height.
    pub at: i32,
    /// Entities behind this name only.
    pub after: String,
    /// At most this many.
    pub limit: u32,
    /// Entities whose name begins so.
    pub prefix: Option<String>,
    /// States that contain this JSON.
    pub matching: Option<Value>,
}

/// A page of entities by name, each with its state at a canonical height.
///
/// # Errors
/// When the database cannot be read.
pub async fn entities(
    connection: &mut PgConnection,
    filter: &EntityFilter,
) -> Result<Rows<VersionRow>, ReadError> {
    // An entity with a state at a canonical block has one now, so `projection_current` names them all.
    let rows = sqlx::query_as!(
        VersionRow,
        r#"
        select p.name as "projection!", k.entity as "entity!", v.state::text as "state!",
               b.index_block_hash as "block!: Hex", v.height as "height!: Uint",
               b.burn_block_height as "burn_block_height!: Uint", v.position as "position!: Ulong"
        from projection_current k
        join projection p on p.id = k.projection
        cross join lateral (
            select v.state, v.height, v.position, v.block_id
            from projection_version v
            join canonical c on c.block_id = v.block_id
            where v.projection = k.projection and v.entity = k.entity and v.height <= $2
            order by v.height desc, v.position desc
            limit 1
        ) v
        join block b on b.id = v.block_id
        where k.projection = $1 and k.entity > $3
          and ($5::text is null or starts_with(k.entity, $5))
          and ($6::jsonb is null or v.state @> $6)
        order by k.entity
        limit $4
        "#,
        filter.projection,
        filter.at,
        filter.after,
        i64::from(filter.limit) + 1,
        filter.prefix.as_deref(),
        filter.matching.as_ref(),
    )
    .fetch(connection);
    collect(rows, filter.limit, |row| row.state.len())
        .await
        .map_err(ReadError::reading("entities"))
}

/// Which versions of one entity, and where the page begins.
#[derive(Debug, Clone)]
pub struct HistoryFilter {
    /// Local number of the projection.
    pub projection: i16,
    /// The entity.
    pub entity: String,
    /// Up to this canonical height.
    pub at: i32,
    /// Direction.
    pub order: Order,
    /// Versions behind this (height, position) only.
    pub after: (i32, i64),
    /// At most this many.
    pub limit: u32,
}

macro_rules! history_query {
    ($tail:literal, $($args:expr),*) => {
        sqlx::query_as!(
            VersionRow,
            r#"
            select p.name as "projection!", v.entity as "entity!", v.state::text as "state!",
                   b.index_block_hash as "block!: Hex", v.height as "height!: Uint",
                   b.burn_block_height as "burn_block_height!: Uint", v.position as "position!: Ulong"
            from projection_version v
            join canonical c on c.block_id = v.block_id
            join block b on b.id = v.block_id
            join projection p on p.id = v.projection
            where v.projection = $1 and v.entity = $2 and v.height <= $3
            "# + $tail,
            $($args),*
        )
    };
}

/// A page of an entity's canonical versions.
///
/// # Errors
/// When the database cannot be read.
pub async fn history(
    connection: &mut PgConnection,
    filter: &HistoryFilter,
) -> Result<Rows<VersionRow>, ReadError> {
    let HistoryFilter {
        projection,
        at,
        order,
        after: (height, position),
        limit,
        ..
    } = *filter;
    let entity = filter.entity.as_str();
    let take = i64::from(limit) + 1;
    let rows = match order {
        Order::Asc => history_query!(
            "and (v.height, v.position) > ($4::integer, $5::bigint) order by v.height, v.position limit $6",
            projection,
            entity,
            at,
            height,
            position,
            take
        )
        .fetch(connection),
        Order::Desc => history_query!(
            "and (v.height, v.position) < ($4::integer, $5::bigint) order by v.height desc, v.position desc limit $6",
            projection,
            entity,
            at,
            height,
            position,
            take
        )
        .fetch(connection),
    };
    collect(rows, limit, |row| row.state.len())
        .await
        .map_err(ReadError::reading("versions"))
}
