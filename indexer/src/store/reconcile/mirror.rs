//! The chain's side: states of projects at a block of any fork, and what changed since.

use sqlx::PgConnection;

use crate::store::StoreError;
use crate::store::read::market::{self, NumberedFilter, PROJECTS};
use crate::store::read::{ReadError, Snapshot};

/// Why the chain's side cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum MirrorError {
    /// The database.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A block of any fork, and the way from the canonical chain to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Its height.
    pub height: i32,
    /// Greatest height at which the canonical chain is its ancestry; its own where it is canonical.
    pub canonical_to: i32,
    /// Local numbers of the blocks above that.
    pub fork: Vec<i64>,
}

/// The newest state of a project at a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateRow {
    /// `CONTRACT/NUMBER`.
    pub entity: String,
    /// JSON.
    pub state: String,
}

/// Finds a block. None when it is not stored, or its fork parts below the mirror's origin.
///
/// # Errors
/// When the database fails.
pub async fn standing(
    snapshot: &mut Snapshot,
    block: &[u8],
) -> Result<Option<Standing>, StoreError> {
    let rows = sqlx::query!(
        r#"
        with recursive walk as (
            select b.id, b.parent, b.height, c.block_id is not null as canonical
            from block b left join canonical c on c.block_id = b.id
            where b.index_block_hash = $1
            union all
            select b.id, b.parent, b.height, c.block_id is not null
            from walk w
            join block b on b.index_block_hash = w.parent
            left join canonical c on c.block_id = b.id
            where not w.canonical
        )
        select id as "id!", height as "height!", canonical as "canonical!" from walk order by height desc
        "#,
        block,
    )
    .fetch_all(snapshot.connection())
    .await
    .map_err(StoreError::db("find a block and its fork"))?;
    let (Some(top), Some(base)) = (rows.first(), rows.last().filter(|row| row.canonical)) else {
        return Ok(None);
    };
    Ok(Some(Standing {
        height: top.height,
        canonical_to: base.height,
        fork: rows.iter().filter(|r| !r.canonical).map(|r| r.id).collect(),
    }))
}

/// A page of a contract's projects by number, as of a block. The flag says whether there are more.
///
/// # Errors
/// When the database fails.
pub async fn projects(
    connection: &mut PgConnection,
    contract: &str,
    at: &Standing,
    after: &str,
    limit: u32,
) -> Result<(Vec<StateRow>, bool), MirrorError> {
    if at.fork.is_empty() {
        let filter = NumberedFilter {
            projection: PROJECTS.id,
            at: at.height,
            contract: Some(contract.to_owned()),
            after: after.to_owned(),
            limit,
            ..NumberedFilter::default()
        };
        let page = market::numbered(connection, &filter).await?;
        let row = |row: crate::store::read::projection::VersionRow| StateRow {
            entity: row.entity,
            state: row.state,
        };
        return Ok((page.rows.into_iter().map(row).collect(), page.more));
    }
    // Beside what is canonical now, what only the fork has.
    let rows = sqlx::query_as!(
        StateRow,
        r#"
        select n.entity as "entity!", v.state::text as "state!"
        from (
            select k.entity from projection_current k
            where k.projection = $1 and split_part(k.entity, '/', 1) = $2
            union
            select w.entity from projection_version w
            where w.block_id = any($3) and w.projection = $1 and split_part(w.entity, '/', 1) = $2
        ) n
        cross join lateral (
            select v.state
            from projection_version v left join canonical c on c.block_id = v.block_id
            where v.projection = $1 and v.entity = n.entity
              and (v.block_id = any($3) or (c.block_id is not null and v.height <= $4))
            order by v.height desc, v.position desc limit 1
        ) v
        where (length(n.entity), n.entity) > (length($5::text), $5::text)
        order by length(n.entity), n.entity
        limit $6
        "#,
        PROJECTS.id,
        contract,
        &at.fork,
        at.canonical_to,
        after,
        i64::from(limit),
    )
    .fetch_all(connection)
    .await
    .map_err(StoreError::db("read a fork's projects"))?;
    let more = u32::try_from(rows.len()).is_ok_and(|n| n == limit);
    Ok((rows, more))
}

/// Projects by name, as of a block, by number; what was not there then is left out.
///
/// # Errors
/// When the database fails.
pub async fn projects_named(
    connection: &mut PgConnection,
    entities: &[String],
    at: &Standing,
) -> Result<Vec<StateRow>, StoreError> {
    sqlx::query_as!(
        StateRow,
        r#"
        select n.entity as "entity!", v.state::text as "state!"
        from unnest($2::text[]) as n (entity)
        cross join lateral (
            select v.state
            from projection_version v left join canonical c on c.block_id = v.block_id
            where v.projection = $1 and v.entity = n.entity
              and (v.block_id = any($3) or (c.block_id is not null and v.height <= $4))
            order by v.height desc, v.position desc limit 1
        ) v
        order by length(n.entity), n.entity
        "#,
        PROJECTS.id,
        entities,
        &at.fork,
        at.canonical_to,
    )
    .fetch_all(connection)
    .await
    .map_err(StoreError::db("read projects by name"))
}

/// First and last line of the outbox; none while it is empty.
///
/// # Errors
/// When the database fails.
pub async fn outbox_ends(connection: &mut PgConnection) -> Result<Option<(i64, i64)>, StoreError> {
    let row = sqlx::query!("select min(id) as first, max(id) as last from outbox")
        .fetch_one(connection)
        .await
        .map_err(StoreError::db("read the ends of the outbox"))?;
    Ok(row.first.zip(row.last))
}

/// Entities of a contract that blocks touched which were applied or retracted in these lines of the outbox (the first
/// excluded).
///
/// # Errors
/// When the database fails.
pub async fn touched(
    connection: &mut PgConnection,
    projection: i16,
    contract: &str,
    lines: (i64, i64),
    limit: i64,
) -> Result<Vec<String>, StoreError> {
    sqlx::query_scalar!(
        "select distinct v.entity
         from outbox o join projection_version v on v.block_id = o.block_id
         where o.id > $1 and o.id <= $2 and v.projection = $3 and split_part(v.entity, '/', 1) = $4
         order by v.entity limit $5",
        lines.0,
        lines.1,
        projection,
        contract,
        limit,
    )
    .fetch_all(connection)
    .await
    .map_err(StoreError::db("read what was touched"))
}
