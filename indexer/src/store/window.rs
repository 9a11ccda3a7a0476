//! The part of the chain that the writer holds in memory, as stored: the fork tree's window and what
//! must be grafted onto it.

use std::collections::{HashMap, HashSet};

use sqlx::PgPool;

use super::StoreError;
use super::load::{corrupt, unsigned};
use crate::chain::{ForkTree, Node};
use crate::model::{BlockRef, BurnBlock, BurnBlockHash, ConsensusHash, Digest, IndexBlockHash};

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
