//! What the writer reads to begin or to go on: its position, what waits, prior states.

use std::collections::{BTreeSet, HashMap};

use sqlx::{PgConnection, PgPool};

use super::StoreError;
use crate::model::canonical::DIGEST_RULES;
use crate::model::ids::HexError;
use crate::model::{FollowSet, IndexBlockHash};
use crate::project::{AnyProjection, EntityKey, States};

/// The committed position of the mirror, and the writer's claim on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// This writer's epoch.
    pub epoch: i64,
    /// Commits so far: every one moves it, so a lost one shows.
    pub commits: i64,
    /// Reorgs so far.
    pub generation: i64,
    /// Canonical tip, by its local number.
    pub tip_block_id: Option<i64>,
    /// Every inbox row up to this one is processed.
    pub inbox_watermark: i64,
    /// Where the mirror begins.
    pub origin: Option<IndexBlockHash>,
    /// The next free number of a block.
    pub next_block_id: i64,
    /// The next free number of a projection version.
    pub next_version_id: i64,
    /// The next free number of a principal.
    pub next_principal_id: i32,
}

pub(super) fn corrupt(table: &'static str) -> impl Fn(HexError) -> StoreError {
    move |e| StoreError::Corrupt {
        table,
        detail: e.to_string(),
    }
}

pub(super) fn unsigned(table: &'static str, value: i32) -> Result<u32, StoreError> {
    u32::try_from(value).map_err(|_| StoreError::Corrupt {
        table,
        detail: format!("{value} is negative"),
    })
}

/// Is this the mirror of that network and follow set? An empty database is anybody's.
///
/// # Errors
/// When it is not, or the database fails.
pub(super) async fn check(
    pool: &PgPool,
    network: &str,
    follow: &FollowSet,
) -> Result<(), StoreError> {
    let row = sqlx::query!("select network, follow, digest_rules from mirror")
        .fetch_optional(pool)
        .await
        .map_err(StoreError::db("see what the mirror is of"))?;
    match row {
        Some(row) => same_mirror(&row.network, row.digest_rules, &row.follow, network, follow),
        None => Ok(()),
    }
}

fn same_mirror(
    stored: &str,
    digest_rules: i32,
    stored_follow: &serde_json::Value,
    network: &str,
    follow: &FollowSet,
) -> Result<(), StoreError> {
    if stored != network {
        return Err(StoreError::OtherMirror {
            what: "network",
            stored: stored.to_owned(),
            configured: network.to_owned(),
        });
    }
    if digest_rules != DIGEST_RULES {
        return Err(StoreError::OtherMirror {
            what: "digest rules",
            stored: format!("version {digest_rules}"),
            configured: format!("version {DIGEST_RULES}"),
        });
    }
    let wanted = follow_json(follow)?;
    if *stored_follow != wanted {
        return Err(StoreError::OtherMirror {
            what: "follow set",
            stored: stored_follow.to_string(),
            configured: wanted.to_string(),
        });
    }
    Ok(())
}

/// Claims the mirror within the transaction that took the lease: raises the epoch, so that every earlier writer's
/// next commit fails. Creates the mirror's row on an empty database. Returns the epoch.
///
/// # Errors
/// When the mirror was built for another network, follow set or projection rules.
pub(super) async fn claim(
    tx: &mut PgConnection,
    network: &str,
    follow: &FollowSet,
    registry: &[Box<dyn AnyProjection>],
) -> Result<i64, StoreError> {
    sqlx::query!(
        "insert into mirror (network, follow, digest_rules) values ($1, $2, $3) on conflict do nothing",
        network,
        follow_json(follow)?,
        DIGEST_RULES
    )
    .execute(&mut *tx)
    .await
    .map_err(StoreError::db("create the mirror's row"))?;
    let row = sqlx::query!(
        r#"update mirror set writer_epoch = writer_epoch + 1
           returning network, follow, writer_epoch, digest_rules"#
    )
    .fetch_one(&mut *tx)
    .await
    .map_err(StoreError::db("claim the mirror"))?;
    same_mirror(&row.network, row.digest_rules, &row.follow, network, follow)?;
    for projection in registry {
        let stored = sqlx::query_scalar!(
            "insert into projection (id, name, version) values ($1, $2, $3)
             on conflict (id) do update set name = excluded.name returning version",
            projection.id(),
            projection.name(),
            projection.version()
        )
        .fetch_one(&mut *tx)
        .await
        .map_err(StoreError::db("register a projection"))?;
        if stored != projection.version() {
            return Err(StoreError::OtherMirror {
                what: projection.name(),
                stored: format!("version {stored}"),
                configured: format!("version {}", projection.version()),
            });
        }
    }
    // This version may read what an earlier one could not.
    sqlx::query!("update inbox set state = 0, error = null where state = 4")
        .execute(&mut *tx)
        .await
        .map_err(StoreError::db("take quarantined payloads up again"))?;
    Ok(row.writer_epoch)
}

/// The committed position again, for a writer that lost its connection.
///
/// # Errors
/// [`StoreError::LostWatermark`] when another writer has taken over since.
pub async fn resume(pool: &PgPool, epoch: i64) -> Result<Position, StoreError> {
    let mut connection = pool.acquire().await.map_err(StoreError::db("connect"))?;
    let position = position(&mut connection).await?;
    if position.epoch != epoch {
        return Err(StoreError::LostWatermark);
    }
    Ok(position)
}

/// The committed position, whoever's it is.
///
/// # Errors
/// When the database fails or holds an unreadable row.
pub(super) async fn position(connection: &mut PgConnection) -> Result<Position, StoreError> {
    let row = sqlx::query!(
        r#"select writer_epoch, commits, generation, tip_block_id, inbox_watermark, origin,
             (select coalesce(max(id), 0) + 1 from block) as "next_block_id!",
             (select coalesce(max(id), 0) + 1 from projection_version) as "next_version_id!",
             (select coalesce(max(id), 0) + 1 from principal) as "next_principal_id!"
           from mirror"#
    )
    .fetch_one(connection)
    .await
    .map_err(StoreError::db("read the mirror's position"))?;
    let origin = row
        .origin
        .map(|o| IndexBlockHash::from_slice(&o))
        .transpose();
    Ok(Position {
        epoch: row.writer_epoch,
        commits: row.commits,
        generation: row.generation,
        tip_block_id: row.tip_block_id,
        inbox_watermark: row.inbox_watermark,
        origin: origin.map_err(corrupt("mirror"))?,
        next_block_id: row.next_block_id,
        next_version_id: row.next_version_id,
        next_principal_id: row.next_principal_id,
    })
}

/// The parent that a stored block names.
///
/// # Errors
/// When the database fails or holds an unreadable row.
pub async fn parent_of(
    pool: &PgPool,
    id: IndexBlockHash,
) -> Result<Option<IndexBlockHash>, StoreError> {
    let parent = sqlx::query_scalar!(
        "select parent from block where index_block_hash = $1",
        id.as_bytes()
    )
    .fetch_optional(pool)
    .await
    .map_err(StoreError::db("look a parent up"))?;
    parent
        .map(|p| IndexBlockHash::from_slice(&p))
        .transpose()
        .map_err(corrupt("block"))
}

/// Takes up again what waits for a parent that is there by now: a writer ended after it committed the
/// parent and before it came to the children.
///
/// # Errors
/// When the database fails.
pub async fn free_detached(pool: &PgPool) -> Result<(), StoreError> {
    sqlx::query!(
        "update inbox i set state = 0 where state = 3
             and exists (select from block b where b.index_block_hash = i.parent_index_block_hash)"
    )
    .execute(pool)
    .await
    .map_err(StoreError::db("free detached blocks"))?;
    Ok(())
}

/// Payloads whose block waits for its parent: (inbox id, block, parent).
///
/// # Errors
/// When the database fails or holds an unreadable row.
pub async fn detached(
    pool: &PgPool,
) -> Result<Vec<(i64, IndexBlockHash, IndexBlockHash)>, StoreError> {
    let rows = sqlx::query!(
        r#"select id, index_block_hash as "block!", parent_index_block_hash as "parent!"
           from inbox where state = 3 order by id"#
    )
    .fetch_all(pool)
    .await
    .map_err(StoreError::db("load the detached blocks"))?;
    rows.into_iter()
        .map(|row| {
            let bad = corrupt("inbox");
            Ok((
                row.id,
                IndexBlockHash::from_slice(&row.block).map_err(&bad)?,
                IndexBlockHash::from_slice(&row.parent).map_err(&bad)?,
            ))
        })
        .collect()
}

/// States of entities as of a block: its branch is given by local numbers down to, and excluding, a
/// canonical block of height `trunk_height`. Entities without a state are left out.
///
/// # Errors
/// When the database fails.
pub async fn states(
    pool: &PgPool,
    entities: &[EntityKey],
    branch: &[i64],
    trunk_height: i32,
) -> Result<States, StoreError> {
    let unique: BTreeSet<&EntityKey> = entities.iter().collect();
    let projections: Vec<i16> = unique.iter().map(|k| k.0).collect();
    let names: Vec<String> = unique.iter().map(|k| k.1.clone()).collect();
    let rows = sqlx::query!(
        r#"select k.projection as "projection!", k.entity as "entity!", newest.state as "state!"
           from unnest($1::smallint[], $2::text[]) as k (projection, entity)
           cross join lateral (
               select v.state from projection_version v
               where v.projection = k.projection and v.entity = k.entity
                 and (v.block_id = any ($3) or (v.height <= $4 and exists (
                     select from canonical c where c.height = v.height and c.block_id = v.block_id)))
               order by v.height desc, v.position desc limit 1
           ) newest"#,
        &projections,
        &names,
        branch,
        trunk_height
    )
    .fetch_all(pool)
    .await
    .map_err(StoreError::db("load prior states"))?;
    Ok(rows
        .into_iter()
        .map(|row| ((row.projection, row.entity), row.state))
        .collect())
}

/// Local numbers of principals, for those that have one.
///
/// # Errors
/// When the database fails.
pub async fn principals(
    pool: &PgPool,
    names: &[String],
) -> Result<HashMap<String, i32>, StoreError> {
    let rows = sqlx::query!(
        "select id, name from principal where name = any ($1)",
        names
    )
    .fetch_all(pool)
    .await
    .map_err(StoreError::db("look principals up"))?;
    Ok(rows.into_iter().map(|row| (row.name, row.id)).collect())
}

/// Where the states of a block are to be read: local numbers from it down to, and excluding, the
/// highest canonical ancestor, and that ancestor's height (-1 for none).
///
/// # Errors
/// When the database fails.
pub async fn base_of(pool: &PgPool, id: IndexBlockHash) -> Result<(Vec<i64>, i32), StoreError> {
    let rows = sqlx::query!(
        r#"with recursive branch as (
               select b.id, b.parent, b.height,
                      exists (select from canonical c where c.block_id = b.id) as canonical
               from block b where b.index_block_hash = $1
               union all
               select p.id, p.parent, p.height,
                      exists (select from canonical c where c.block_id = p.id)
               from branch b join block p on p.index_block_hash = b.parent where not b.canonical
           ) select id as "id!", height as "height!", canonical as "canonical!" from branch"#,
        id.as_bytes()
    )
    .fetch_all(pool)
    .await
    .map_err(StoreError::db("walk a branch"))?;
    let trunk = rows.iter().find(|r| r.canonical).map_or(-1, |r| r.height);
    Ok((
        rows.iter().filter(|r| !r.canonical).map(|r| r.id).collect(),
        trunk,
    ))
}

/// The follow set as the mirror's row holds it.
pub(super) fn follow_json(follow: &FollowSet) -> Result<serde_json::Value, StoreError> {
    serde_json::to_value(follow).map_err(|e| StoreError::Corrupt {
        table: "mirror",
        detail: format!("the follow set is not JSON: {e}"),
    })
}

/// What the mirror follows, as stored; none for an empty database.
///
/// # Errors
/// When the database fails or holds an unreadable row.
pub async fn follow_set(pool: &PgPool) -> Result<Option<FollowSet>, StoreError> {
    let stored = sqlx::query_scalar!("select follow from mirror")
        .fetch_optional(pool)
        .await
        .map_err(StoreError::db("read the follow set"))?;
    stored
        .map(serde_json::from_value)
        .transpose()
        .map_err(|e| StoreError::Corrupt {
            table: "mirror",
            detail: e.to_string(),
        })
}

/// How many payloads are stored.
///
/// # Errors
/// When the database fails.
pub async fn payload_count(pool: &PgPool) -> Result<i64, StoreError> {
    let count = sqlx::query_scalar!(r#"select count(*) as "count!" from inbox"#)
        .fetch_one(pool)
        .await;
    count.map_err(StoreError::db("count the payloads"))
}
