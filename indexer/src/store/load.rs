//! What the writer reads to begin or to go on: its position, the fork tree's window, prior states.

use std::collections::{BTreeSet, HashMap, HashSet};

use sqlx::{PgConnection, PgPool};

use super::StoreError;
use crate::chain::{ForkTree, Node};
use crate::model::ids::HexError;
use crate::model::{
    BlockRef, BurnBlock, BurnBlockHash, ConsensusHash, Digest, FollowSet, IndexBlockHash,
};
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

fn corrupt(table: &'static str) -> impl Fn(HexError) -> StoreError {
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

/// Claims the mirror for this writer: raises the epoch, so that every earlier writer's next commit
/// fails. Creates the mirror's row on an empty database.
///
/// # Errors
/// When the mirror was built for another network, follow set or projection rules.
pub async fn claim(
    pool: &PgPool,
    network: &str,
    follow: &FollowSet,
    registry: &[Box<dyn AnyProjection>],
) -> Result<Position, StoreError> {
    let wanted = serde_json::to_value(follow).map_err(|e| StoreError::Corrupt {
        table: "mirror",
        detail: format!("the follow set is not JSON: {e}"),
    })?;
    let mut tx = super::begin(pool, "begin")
        .await
        .map_err(StoreError::db("begin"))?;
    sqlx::query!(
        "insert into mirror (network, follow) values ($1, $2) on conflict do nothing",
        network,
        wanted
    )
    .execute(&mut *tx)
    .await
    .map_err(StoreError::db("create the mirror's row"))?;
    let row = sqlx::query!(
        r#"update mirror set writer_epoch = writer_epoch + 1
           returning network, follow, writer_epoch"#
    )
    .fetch_one(&mut *tx)
    .await
    .map_err(StoreError::db("claim the mirror"))?;
    if row.network != network {
        return Err(StoreError::OtherMirror {
            what: "network",
            stored: row.network,
            configured: network.to_owned(),
        });
    }
    if row.follow != wanted {
        return Err(StoreError::OtherMirror {
            what: "follow set",
            stored: row.follow.to_string(),
            configured: wanted.to_string(),
        });
    }
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
    tx.commit()
        .await
        .map_err(StoreError::db("commit the claim"))?;
    resume(pool, row.writer_epoch).await
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

/// A block as the pipeline remembers it next to the fork tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// Its local number.
    pub id: i64,
    /// The digest chain up to it.
    pub digest: Digest,
}

struct BlockRow {
    id: i64,
    index_block_hash: Vec<u8>,
    parent: Vec<u8>,
    height: i32,
    burn_block_hash: Vec<u8>,
    burn_block_height: i32,
    consensus_hash: Option<Vec<u8>>,
    burn_view: Option<Vec<u8>>,
    digest: Vec<u8>,
    canonical: bool,
}

/// Blocks for the window, parents first, and what is known of them.
#[derive(Debug, Default)]
pub struct Window {
    /// For the tree.
    pub nodes: Vec<Node>,
    /// For the pipeline.
    pub known: HashMap<IndexBlockHash, Known>,
    /// Which are canonical.
    pub canonical: HashSet<IndexBlockHash>,
}

impl Window {
    /// Leaves out branches that hang on blocks below the base, the first node, as pruning does.
    fn drop_unconnected(&mut self) {
        let Some(base) = self.nodes.first().map(|n| n.block.id) else {
            return;
        };
        let mut kept = HashSet::new();
        self.nodes.retain(|n| {
            (n.block.id == base || kept.contains(&n.parent)) && kept.insert(n.block.id)
        });
        self.known.retain(|id, _| kept.contains(id));
    }

    fn push(&mut self, row: BlockRow) -> Result<(), StoreError> {
        let bad = corrupt("block");
        let id = IndexBlockHash::from_slice(&row.index_block_hash).map_err(&bad)?;
        let hash20 = |bytes: Option<Vec<u8>>| -> Result<Option<ConsensusHash>, StoreError> {
            bytes
                .map(|b| ConsensusHash::from_slice(&b))
                .transpose()
                .map_err(&bad)
        };
        self.nodes.push(Node {
            block: BlockRef {
                id,
                height: unsigned("block", row.height)?,
            },
            parent: IndexBlockHash::from_slice(&row.parent).map_err(&bad)?,
            burn_block_hash: BurnBlockHash::from_slice(&row.burn_block_hash).map_err(&bad)?,
            burn_block_height: unsigned("block", row.burn_block_height)?,
            consensus_hash: hash20(row.consensus_hash)?,
            burn_view: hash20(row.burn_view)?,
        });
        let digest = Digest::from_slice(&row.digest).map_err(&bad)?;
        self.known.insert(id, Known { id: row.id, digest });
        if row.canonical {
            self.canonical.insert(id);
        }
        Ok(())
    }
}

/// The window of the fork tree: the top `depth` canonical heights and everything at or above them.
///
/// # Errors
/// When the database fails or holds an unreadable row.
pub async fn window(pool: &PgPool, depth: i32) -> Result<(ForkTree, Window), StoreError> {
    let rows = sqlx::query_as!(
        BlockRow,
        r#"select b.id, b.index_block_hash, b.parent, b.height, b.burn_block_hash, b.burn_block_height,
                  b.consensus_hash, b.burn_view, b.digest,
                  exists (select from canonical c where c.block_id = b.id) as "canonical!"
           from block b
           where b.height >= (select greatest(coalesce(max(height), 0) - $1, coalesce(min(height), 0)) from canonical)
           order by b.height, b.id"#,
        depth
    )
    .fetch_all(pool)
    .await
    .map_err(StoreError::db("load the recent blocks"))?;
    let mut window = Window::default();
    for row in rows {
        window.push(row)?;
    }
    // The base must come first: of several blocks at the lowest height it is the canonical one.
    if let Some(base) = window
        .nodes
        .iter()
        .position(|n| window.canonical.contains(&n.block.id))
    {
        window.nodes.swap(0, base);
    }
    window.drop_unconnected();
    let tree = ForkTree::restore(
        burn_blocks(pool, BURN_WINDOW).await?,
        window.nodes.clone(),
        &window.canonical,
    );
    Ok((tree, window))
}

/// Bitcoin heights whose announcements are kept in memory.
const BURN_WINDOW: i32 = 2000;

/// The Bitcoin blocks of the top `depth` heights, upwards.
///
/// # Errors
/// When the database fails or holds an unreadable row.
pub async fn burn_blocks(pool: &PgPool, depth: i32) -> Result<Vec<BurnBlock>, StoreError> {
    let rows = sqlx::query!(
        "select hash, height, parent, consensus_hash from burn_block
         where height >= (select coalesce(max(height), 0) - $1 from burn_block) order by height",
        depth
    )
    .fetch_all(pool)
    .await
    .map_err(StoreError::db("load the recent Bitcoin blocks"))?;
    let bad = corrupt("burn_block");
    rows.into_iter()
        .map(|row| {
            Ok(BurnBlock {
                hash: BurnBlockHash::from_slice(&row.hash).map_err(&bad)?,
                height: unsigned("burn_block", row.height)?,
                parent: row
                    .parent
                    .map(|p| BurnBlockHash::from_slice(&p))
                    .transpose()
                    .map_err(&bad)?,
                consensus_hash: row
                    .consensus_hash
                    .map(|c| ConsensusHash::from_slice(&c))
                    .transpose()
                    .map_err(&bad)?,
            })
        })
        .collect()
}

/// The stored block of this id with its ancestors down to a canonical one, and every canonical block
/// from there up to `below`: what a branch out of old history needs to be judged. Empty when the
/// block is not stored.
///
/// # Errors
/// When the database fails or holds an unreadable row.
pub async fn ancestry(pool: &PgPool, id: IndexBlockHash, below: u32) -> Result<Window, StoreError> {
    let rows = sqlx::query_as!(
        BlockRow,
        r#"with recursive branch as (
               select b.*, exists (select from canonical c where c.block_id = b.id) as canonical
               from block b where b.index_block_hash = $1
               union all
               select p.*, exists (select from canonical c where c.block_id = p.id)
               from branch b join block p on p.index_block_hash = b.parent
               where not b.canonical
           ), trunk as (
               select b.* from canonical c join block b on b.id = c.block_id
               where c.height >= (select min(height) from branch) and c.height < $2
           )
           select id as "id!", index_block_hash as "index_block_hash!", parent as "parent!",
                  height as "height!", burn_block_hash as "burn_block_hash!",
                  burn_block_height as "burn_block_height!", consensus_hash, burn_view,
                  digest as "digest!",
                  canonical as "canonical!"
           from (
               select id, index_block_hash, parent, height, burn_block_hash, burn_block_height,
                      consensus_hash, burn_view, digest, canonical
               from branch
               union
               select id, index_block_hash, parent, height, burn_block_hash, burn_block_height,
                      consensus_hash, burn_view, digest, true
               from trunk
           ) found
           order by height, canonical desc"#,
        id.as_bytes(),
        i32::try_from(below).unwrap_or(i32::MAX)
    )
    .fetch_all(pool)
    .await
    .map_err(StoreError::db("load an old branch"))?;
    let mut window = Window::default();
    for row in rows {
        window.push(row)?;
    }
    Ok(window)
}

/// What is known of one stored block, wherever it lies.
///
/// # Errors
/// When the database fails or holds an unreadable row.
pub async fn known(pool: &PgPool, id: IndexBlockHash) -> Result<Option<Known>, StoreError> {
    let row = sqlx::query!(
        "select id, digest from block where index_block_hash = $1",
        id.as_bytes()
    )
    .fetch_optional(pool)
    .await
    .map_err(StoreError::db("look a block up"))?;
    row.map(|row| {
        let digest = Digest::from_slice(&row.digest).map_err(corrupt("block"))?;
        Ok(Known { id: row.id, digest })
    })
    .transpose()
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
