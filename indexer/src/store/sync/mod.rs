//! What those need who bring payloads: what is there, what is missing, and the journal of what was asked for.

pub mod gaps;
pub mod jobs;

use sqlx::{PgConnection, PgPool};

use super::StoreError;
use super::batch::Disagreement;
use super::inbox::{self, Endpoint, Provenance, Source, Stored};
use super::load::{corrupt, unsigned};
use crate::model::{BlockRef, BurnBlockHash, IndexBlockHash};

/// What has become of a block so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is in the mirror, on whichever fork.
    Applied,
    /// Its payload is stored and not processed yet.
    Received,
    /// Its payload is stored, and waits for its parent.
    Detached,
    /// It is not there.
    Unknown,
}

impl Standing {
    /// Is its payload there?
    pub fn is_stored(self) -> bool {
        self != Self::Unknown
    }

    /// Will what is put on top of it connect?
    pub fn connects(self) -> bool {
        matches!(self, Self::Applied | Self::Received)
    }
}

/// The canonical chain as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The lowest block.
    pub origin: BlockRef,
    /// The highest.
    pub tip: BlockRef,
}

fn id_of(bytes: &[u8]) -> Result<IndexBlockHash, StoreError> {
    IndexBlockHash::from_slice(bytes).map_err(corrupt("block"))
}

/// The canonical chain's ends; none while the mirror is empty.
///
/// # Errors
/// When the database fails or holds an unreadable row.
pub async fn span(pool: &PgPool) -> Result<Option<Span>, StoreError> {
    let row = sqlx::query!(
        r#"select lo.index_block_hash as lo_id, lo.height as lo_height, hi.index_block_hash as hi_id,
               hi.height as hi_height
           from (select min(height) as lo, max(height) as hi from canonical) ends
           join canonical lc on lc.height = ends.lo join block lo on lo.id = lc.block_id
           join canonical hc on hc.height = ends.hi join block hi on hi.id = hc.block_id"#
    )
    .fetch_optional(pool)
    .await
    .map_err(StoreError::db("see where the mirror begins and ends"))?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Span {
        origin: BlockRef {
            id: id_of(&row.lo_id)?,
            height: unsigned("block", row.lo_height)?,
        },
        tip: BlockRef {
            id: id_of(&row.hi_id)?,
            height: unsigned("block", row.hi_height)?,
        },
    }))
}

/// How each of these blocks stands, in their order.
///
/// # Errors
/// When the database fails.
pub async fn standing(pool: &PgPool, ids: &[IndexBlockHash]) -> Result<Vec<Standing>, StoreError> {
    let wanted: Vec<Vec<u8>> = ids.iter().map(|id| id.0.to_vec()).collect();
    let rows = sqlx::query!(
        r#"select exists (select from block b where b.index_block_hash = w.id) as "applied!",
               (select min(i.state) from inbox i where i.index_block_hash = w.id and i.state in (0, 3)) as state
           from unnest($1::bytea[]) with ordinality as w (id, place) order by w.place"#,
        &wanted
    )
    .fetch_all(pool)
    .await
    .map_err(StoreError::db("see which blocks are there"))?;
    let standing = rows.into_iter().map(|row| match (row.applied, row.state) {
        (true, _) => Standing::Applied,
        (false, Some(0)) => Standing::Received,
        (false, Some(_)) => Standing::Detached,
        (false, None) => Standing::Unknown,
    });
    Ok(standing.collect())
}

/// The canonical block of a height.
///
/// # Errors
/// When the database fails or holds an unreadable row.
pub async fn canonical_at(
    pool: &PgPool,
    height: u32,
) -> Result<Option<IndexBlockHash>, StoreError> {
    let id = sqlx::query_scalar!(
        "select b.index_block_hash from canonical c join block b on b.id = c.block_id where c.height = $1",
        i32::try_from(height).unwrap_or(i32::MAX)
    )
    .fetch_optional(pool)
    .await
    .map_err(StoreError::db("look a height up"))?;
    id.map(|id| id_of(&id)).transpose()
}

/// The height of the Bitcoin block that elected the tenure of a block's highest canonical ancestor, itself included: up to
/// there the mirror and whoever named the block agree. None for a block that is not in the mirror.
///
/// # Errors
/// When the database fails or holds an unreadable row.
pub async fn trunk_burn_height(
    pool: &PgPool,
    id: IndexBlockHash,
) -> Result<Option<u32>, StoreError> {
    let height = sqlx::query_scalar!(
        r#"with recursive branch as (
               select b.parent, b.burn_block_height,
                      exists (select from canonical c where c.block_id = b.id) as canonical
               from block b where b.index_block_hash = $1
               union all
               select p.parent, p.burn_block_height,
                      exists (select from canonical c where c.block_id = p.id)
               from branch b join block p on p.index_block_hash = b.parent where not b.canonical
           ) select burn_block_height as "height!" from branch where canonical"#,
        id.as_bytes()
    )
    .fetch_optional(pool)
    .await
    .map_err(StoreError::db("look a branch's Bitcoin height up"))?;
    height.map(|h| unsigned("block", h)).transpose()
}

/// Is this Bitcoin block in the mirror?
///
/// # Errors
/// When the database fails.
pub async fn knows_burn_block(pool: &PgPool, hash: &BurnBlockHash) -> Result<bool, StoreError> {
    let known = sqlx::query_scalar!(
        r#"select exists (select from burn_block where hash = $1) as "known!""#,
        hash.as_bytes()
    )
    .fetch_one(pool)
    .await;
    known.map_err(StoreError::db("look a Bitcoin block up"))
}

/// A canonical block by which another chain can be told from this one: the highest that is so many Bitcoin blocks
/// deep, else the lowest above genesis, whose identity is the same on every network.
///
/// # Errors
/// When the database fails or holds an unreadable row.
pub async fn landmark(pool: &PgPool, depth: u32) -> Result<Option<BlockRef>, StoreError> {
    let row = sqlx::query!(
        r#"select b.index_block_hash, b.height from canonical c join block b on b.id = c.block_id
           where c.height > 0
           order by (b.burn_block_height <= (select max(t.burn_block_height)
                         from canonical n join block t on t.id = n.block_id
                         where n.height = (select max(height) from canonical)) - $1) desc,
               case when b.burn_block_height <= (select max(t.burn_block_height)
                         from canonical n join block t on t.id = n.block_id
                         where n.height = (select max(height) from canonical)) - $1
                    then -c.height else c.height end
           limit 1"#,
        i32::try_from(depth).unwrap_or(i32::MAX)
    )
    .fetch_optional(pool)
    .await
    .map_err(StoreError::db("find a block to compare with"))?;
    row.map(|row| {
        Ok(BlockRef {
            id: id_of(&row.index_block_hash)?,
            height: unsigned("block", row.height)?,
        })
    })
    .transpose()
}

/// Stores the payload of a block that was asked for. True when these bytes were not there.
///
/// # Errors
/// When the database fails.
pub async fn put_block(
    pool: &PgPool,
    from: Provenance,
    block: BlockRef,
    parent: IndexBlockHash,
    body: &[u8],
) -> Result<bool, StoreError> {
    let Stored::New(id) = inbox::put(pool, Endpoint::NewBlock, from, body).await? else {
        return Ok(false);
    };
    // Known without decoding: whoever looks for the block finds it from now on. The pipeline writes it as well, and
    // what it decoded is what counts.
    sqlx::query!(
        "update inbox set index_block_hash = $2, parent_index_block_hash = $3
         where id = $1 and index_block_hash is null",
        id,
        block.id.as_bytes(),
        parent.as_bytes()
    )
    .execute(pool)
    .await
    .map_err(StoreError::db("note which block a payload carries"))?;
    Ok(true)
}

/// The payload from which a mirrored block was made.
///
/// # Errors
/// When the database fails.
pub async fn payload_of(pool: &PgPool, id: IndexBlockHash) -> Result<Option<i64>, StoreError> {
    let found = sqlx::query_scalar!(
        "select inbox_id from block where index_block_hash = $1",
        id.as_bytes()
    )
    .fetch_optional(pool)
    .await;
    found.map_err(StoreError::db("find a block's payload"))
}

/// Who delivered a payload first.
///
/// # Errors
/// When there is no such row, or the database fails.
pub async fn source_of(pool: &PgPool, id: i64) -> Result<Source, StoreError> {
    let code = sqlx::query_scalar!("select source from inbox where id = $1", id)
        .fetch_one(pool)
        .await
        .map_err(StoreError::db("read a payload's source"))?;
    Source::from_code(code).ok_or_else(|| StoreError::Corrupt {
        table: "inbox",
        detail: format!("row {id} has source {code}"),
    })
}

/// Records that sources disagree, once for each pair of payloads.
pub(super) async fn insert_disagreements(
    tx: &mut PgConnection,
    found: &[Disagreement],
) -> Result<(), StoreError> {
    for d in found {
        sqlx::query!(
            "insert into source_disagreement (applied_inbox_id, other_inbox_id, index_block_hash, height,
                 applied_source, other_source, differences)
             values ($1, $2, $3, $4, $5, $6, $7) on conflict do nothing",
            d.applied_inbox_id,
            d.other_inbox_id,
            d.block.id.as_bytes(),
            i32::try_from(d.block.height).unwrap_or(i32::MAX),
            d.applied_source as i16,
            d.other_source as i16,
            d.differences.replace('\0', "\u{fffd}")
        )
        .execute(&mut *tx)
        .await
        .map_err(StoreError::db("record that two sources disagree"))?;
    }
    Ok(())
}
