//! The marketplace: pages of numbered entities, the events of a project, the keys of treasuries.
//!
//! Most of these entities are named `CONTRACT/NUMBER`; they are paged in the order of their numbers.

use std::collections::BTreeSet;

use serde_json::Value;
use sqlx::PgConnection;

use super::projection::VersionRow;
use super::{Hex, ReadError, Rows, Uint, Ulong, collect};

use crate::project::Projection;
use crate::project::market as projections;

pub use projections::Units;
pub use projections::actions::{ActionState, ActionStatus};
pub use projections::assets::AssetState;
pub use projections::badges::BadgeState;
pub use projections::profiles::ProfileState;
pub use projections::projects::{Milestone, MilestoneStatus, ProjectState, ProjectStatus};
pub use projections::settings::SettingState;
pub use projections::signers::SignersState;
pub use projections::treasury::TreasuryState;

/// A projection that this program knows.
#[derive(Debug, Clone, Copy)]
pub struct Known {
    /// Its local number.
    pub id: i16,
    /// Its name.
    pub name: &'static str,
}

const fn known<P: Projection>() -> Known {
    Known {
        id: P::ID,
        name: P::NAME,
    }
}

/// Projects; `CONTRACT/NUMBER`.
pub const PROJECTS: Known = known::<projections::projects::Projects>();
/// Assets of escrows; `CONTRACT|ASSET`.
pub const ASSETS: Known = known::<projections::assets::Assets>();
/// Users; `CONTRACT/PRINCIPAL`.
pub const PROFILES: Known = known::<projections::profiles::Profiles>();
/// Badges; `CONTRACT/NUMBER`.
pub const BADGES: Known = known::<projections::badges::Badges>();
/// Governed actions; `CONTRACT/NUMBER`.
pub const ACTIONS: Known = known::<projections::actions::Actions>();
/// Signers; the contract's id.
pub const SIGNERS: Known = known::<projections::signers::Signers>();
/// Settings; `CONTRACT/TOPIC` or `CONTRACT/TOPIC/KEY`.
pub const SETTINGS: Known = known::<projections::settings::Settings>();
/// Treasuries; `PRINCIPAL|ASSET`.
pub const TREASURY: Known = known::<projections::treasury::Treasury>();

/// A part that somebody has in an entity. It hardly ever changes, and an index serves it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Who pays for a project.
    Client,
    /// Who works on a project.
    Freelancer,
    /// Who rules on a project.
    Arbiter,
    /// Who has a badge.
    Owner,
}

/// Which numbered entities, and where the page begins.
#[derive(Debug, Clone, Default)]
pub struct NumberedFilter {
    /// Local number of the projection.
    pub projection: i16,
    /// As of this canonical height.
    pub at: i32,
    /// Of this contract.
    pub contract: Option<String>,
    /// States that contain this JSON.
    pub matching: Option<Value>,
    /// Who has which part. A hint for what `matching` says as well.
    pub parts: Vec<(Part, String)>,
    /// Entities behind this name only, in the order of contract and number.
    pub after: String,
    /// At most this many.
    pub limit: u32,
}

/// Someone with more versions than this is so common that the page is found by reading in order.
const CANDIDATES: i64 = 4_000;

macro_rules! candidates_query {
    ($field:literal, $projection:expr, $who:expr) => {
        sqlx::query_scalar!(
            "select entity from projection_version where projection = $1 and state->>'"
                + $field
                + "' = $2 limit $3",
            $projection,
            $who,
            CANDIDATES + 1,
        )
    };
}

/// Entities in which someone has a part in a version of any fork or height: all that can match, and some
/// that do not. None when they are many.
pub(crate) async fn candidates(
    connection: &mut PgConnection,
    projection: i16,
    (part, who): &(Part, String),
) -> Result<Option<BTreeSet<String>>, ReadError> {
    let found = match part {
        Part::Client => candidates_query!("client", projection, who).fetch_all(connection),
        Part::Freelancer => candidates_query!("freelancer", projection, who).fetch_all(connection),
        Part::Arbiter => candidates_query!("arbiter", projection, who).fetch_all(connection),
        Part::Owner => candidates_query!("owner", projection, who).fetch_all(connection),
    }
    .await
    .map_err(ReadError::reading("the parties of entities"))?;
    let many = i64::try_from(found.len()).map_or(true, |count| count > CANDIDATES);
    Ok((!many).then(|| found.into_iter().collect()))
}

/// A page of entities `CONTRACT/NUMBER`, by contract and number, each with its state at a canonical height.
///
/// # Errors
/// When the database cannot be read.
pub async fn numbered(
    connection: &mut PgConnection,
    filter: &NumberedFilter,
) -> Result<Rows<VersionRow>, ReadError> {
    let mut chosen: Option<BTreeSet<String>> = None;
    for part in &filter.parts {
        let found = candidates(&mut *connection, filter.projection, part).await?;
        if let Some(found) = found
            && chosen.as_ref().is_none_or(|c| found.len() < c.len())
        {
            chosen = Some(found);
        }
    }
    let chosen: Option<Vec<String>> = chosen.map(|names| names.into_iter().collect());
    // The contract's own name stands in front of its entities.
    let contract = filter.contract.as_deref();
    let after = match filter.after.as_str() {
        "" => contract.unwrap_or_default(),
        after => after,
    };
    // Numbers have no leading zeros, so the longer name of two is the higher number.
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
        where k.projection = $1
          and (split_part(k.entity, '/', 1), length(k.entity), k.entity)
              > (split_part($3::text, '/', 1), length($3::text), $3::text)
          and ($5::text is null or split_part(k.entity, '/', 1) <= $5)
          and ($6::jsonb is null or v.state @> $6)
          and ($7::text[] is null or k.entity = any($7))
        order by split_part(k.entity, '/', 1), length(k.entity), k.entity
        limit $4
        "#,
        filter.projection,
        filter.at,
        after,
        i64::from(filter.limit) + 1,
        contract,
        filter.matching.as_ref(),
        chosen.as_deref(),
    )
    .fetch(connection);
    collect(rows, filter.limit, |row| row.state.len())
        .await
        .map_err(ReadError::reading("the marketplace's entities"))
}

/// Mirrored contracts of this name (`freelance-logic`) that had printed by a canonical height, in order.
///
/// # Errors
/// When the database cannot be read.
pub async fn deployments(
    connection: &mut PgConnection,
    name: &str,
    at: i32,
    limit: i64,
) -> Result<Vec<String>, ReadError> {
    sqlx::query_scalar!(
        r#"
        select k.entity
        from projection_current k
        where k.projection = (select id from projection where name = 'event_chain')
          and split_part(k.entity, '.', 2) = $1
          and exists (
              select from projection_version v
              join canonical c on c.block_id = v.block_id
              where v.projection = k.projection and v.entity = k.entity and v.height <= $2
          )
        order by k.entity
        limit $3
        "#,
        name,
        at,
        limit,
    )
    .fetch_all(connection)
    .await
    .map_err(ReadError::reading("the deployments of a contract"))
}

/// An event that changed a project, as it is stored.
#[derive(Debug)]
pub struct TimelineRow {
    /// The block.
    pub block: Hex,
    /// Its height.
    pub height: Uint,
    /// Bitcoin height of the block's sortition.
    pub burn_block_height: Uint,
    /// The block's own time, or its Bitcoin block's before epoch 3.0; Unix seconds.
    pub time_s: i64,
    /// The transaction.
    pub txid: Hex,
    /// Its position in the block.
    pub tx_index: Uint,
    /// Position among the transaction's committed events.
    pub ordinal: Uint,
    /// Both positions in one, as versions have them.
    pub position: Ulong,
    /// What was printed.
    pub value: Hex,
}

/// Whose events, and where the page begins.
#[derive(Debug, Clone)]
pub struct TimelineFilter {
    /// The project: `CONTRACT/NUMBER`.
    pub project: String,
    /// Up to this canonical height.
    pub at: i32,
    /// Events behind this (height, position) only.
    pub after: (i32, i64),
    /// At most this many.
    pub limit: u32,
}

/// A page of a project's canonical events, in chain order.
///
/// # Errors
/// When the database cannot be read.
pub async fn timeline(
    connection: &mut PgConnection,
    filter: &TimelineFilter,
) -> Result<Rows<TimelineRow>, ReadError> {
    // Each event of a project makes a version of it at the event's own position.
    let (height, position) = filter.after;
    let rows = sqlx::query_as!(
        TimelineRow,
        r#"
        select b.index_block_hash as "block!: Hex", v.height as "height!: Uint",
               b.burn_block_height as "burn_block_height!: Uint",
               coalesce(b.block_time, b.burn_block_time) as "time_s!", t.txid as "txid!: Hex",
               e.tx_index as "tx_index!: Uint", e.ordinal as "ordinal!: Uint",
               v.position as "position!: Ulong", e.value as "value!: Hex"
        from projection_version v
        join canonical c on c.block_id = v.block_id
        join block b on b.id = v.block_id
        join event e on e.block_id = v.block_id and e.tx_index = (v.position >> 32)::integer
                    and e.ordinal = (v.position & 4294967295)::integer
        join transaction t on t.block_id = e.block_id and t.tx_index = e.tx_index
        where v.projection = (select id from projection where name = 'projects')
          and v.entity = $1 and v.height <= $2
          and (v.height, v.position) > ($3::integer, $4::bigint)
        order by v.height, v.position
        limit $5
        "#,
        filter.project,
        filter.at,
        height,
        position,
        i64::from(filter.limit) + 1,
    )
    .fetch(connection);
    collect(rows, filter.limit, |row| row.value.0.len())
        .await
        .map_err(ReadError::reading("a project's events"))
}

/// A page of treasuries by name, `PRINCIPAL|ASSET`: those that moved money, and those that have a budget.
///
/// # Errors
/// When the database cannot be read.
pub async fn treasuries(
    connection: &mut PgConnection,
    prefix: Option<&str>,
    after: &str,
    limit: u32,
) -> Result<Rows<String>, ReadError> {
    let rows = sqlx::query_scalar!(
        r#"
        select n.entity as "entity!"
        from (
            select k.entity from projection_current k
            where k.projection = (select id from projection where name = 'treasury')
            union
            select replace(k.entity, '/budget-set/', '|') from projection_current k
            where k.projection = (select id from projection where name = 'settings')
              and k.entity like '%/budget-set/%'
        ) n
        where n.entity > $1 and ($2::text is null or starts_with(n.entity, $2))
        order by n.entity
        limit $3
        "#,
        after,
        prefix,
        i64::from(limit) + 1,
    )
    .fetch(connection);
    collect(rows, limit, |_| 0)
        .await
        .map_err(ReadError::reading("the treasuries"))
}
