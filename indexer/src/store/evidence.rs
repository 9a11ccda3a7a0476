//! What is compared with a node beyond chains of events, and what came of it.

use serde::Serialize;
use serde_json::Value as Json;
use sqlx::PgPool;

use super::StoreError;
use super::load::corrupt;
use crate::model::{BlockRef, IndexBlockHash};

/// How good the evidence for a part of the mirror is; later ones are better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Evidence {
    /// The block is here.
    Ingested,
    /// It names the canonical block below it as its parent.
    HashLinked,
    /// By the contracts' own cursors no event is missing or altered.
    CursorProved,
    /// A node executed the block again, and the same came out.
    ReplayAudited,
    /// The contracts' own state at the block is the mirror's.
    StateReconciled,
}

impl Evidence {
    /// Every level, from the least.
    pub const ALL: [Self; 5] = [
        Self::Ingested,
        Self::HashLinked,
        Self::CursorProved,
        Self::ReplayAudited,
        Self::StateReconciled,
    ];

    /// As stored and served.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ingested => "ingested",
            Self::HashLinked => "hash_linked",
            Self::CursorProved => "cursor_proved",
            Self::ReplayAudited => "replay_audited",
            Self::StateReconciled => "state_reconciled",
        }
    }

    /// From its stored form.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|e| e.as_str() == name)
    }
}

/// What a comparison with a node came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AuditVerdict {
    /// Both say the same.
    Agrees,
    /// They do not.
    Differs,
    /// The node could not say.
    Unavailable,
}

impl AuditVerdict {
    /// As stored, and as the label of the metric.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Agrees => "agrees",
            Self::Differs => "differs",
            Self::Unavailable => "unavailable",
        }
    }
}

/// One comparison.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuditResult {
    /// What kind of thing: a projection's name, `balances`, `contract` or `block`.
    pub subject_kind: &'static str,
    /// Which.
    pub subject: String,
    /// The block at which both were asked.
    pub index_block_hash: IndexBlockHash,
    /// Its height.
    pub height: u32,
    /// What an agreement shows.
    pub evidence: Evidence,
    /// What it came to.
    pub verdict: AuditVerdict,
    /// What differs, or why there is no answer, in words.
    pub detail: Option<String>,
}

/// Keeps the newest comparison of a subject.
///
/// # Errors
/// When the database cannot be written.
pub async fn store(pool: &PgPool, result: &AuditResult) -> Result<(), StoreError> {
    sqlx::query!(
        r#"insert into audit_result
               (subject_kind, subject, index_block_hash, height, evidence, verdict, detail, last_difference)
           values ($1, $2, $3, $4, $5, $6, $7, case when $6 = 'differs' then $7 end)
           on conflict (subject_kind, subject) do update set
               index_block_hash = excluded.index_block_hash, height = excluded.height,
               evidence = excluded.evidence, verdict = excluded.verdict, detail = excluded.detail,
               checked_at = clock_timestamp(),
               last_difference = coalesce(excluded.last_difference, audit_result.last_difference)"#,
        result.subject_kind,
        result.subject,
        result.index_block_hash.as_bytes(),
        signed(result.height)?,
        result.evidence.as_str(),
        result.verdict.as_str(),
        result.detail,
    )
    .execute(pool)
    .await
    .map_err(StoreError::db("store the result of an audit"))?;
    Ok(())
}

fn signed(height: u32) -> Result<i32, StoreError> {
    i32::try_from(height).map_err(|_| StoreError::Corrupt {
        table: "block",
        detail: format!("height {height} is beyond what is stored"),
    })
}

fn block_ref(id: &[u8], height: i32) -> Result<BlockRef, StoreError> {
    Ok(BlockRef {
        id: IndexBlockHash::from_slice(id).map_err(corrupt("block"))?,
        height: super::load::unsigned("block", height)?,
    })
}

/// An entity of a projection, where the mirror stands.
#[derive(Debug, Clone)]
pub struct EntityState {
    /// The projection's name.
    pub projection: String,
    /// The entity.
    pub entity: String,
    /// Its newest canonical state.
    pub state: Json,
    /// The mirror's tip, for which that is true.
    pub tip: BlockRef,
}

/// Entities that changed since a node last agreed with them at a block that is still canonical; those that were never
/// compared first, then those that were compared longest ago. All of one statement, so of one tip.
///
/// # Errors
/// When the database cannot be read.
pub async fn changed_entities(
    pool: &PgPool,
    projections: &[String],
    limit: u32,
) -> Result<Vec<EntityState>, StoreError> {
    let rows = sqlx::query!(
        r#"with tip as (
               select b.index_block_hash, c.height from canonical c join block b on b.id = c.block_id
               order by c.height desc limit 1
           )
           select p.name as projection, k.entity, v.state, tip.index_block_hash, tip.height
           from projection_current k
           join projection_version v on v.id = k.version_id
           join projection p on p.id = k.projection
           cross join tip
           left join audit_result r on r.subject_kind = p.name and r.subject = k.entity
           where p.name = any($1)
             and (r.subject is null or r.verdict <> 'agrees' or r.height < v.height
                  or not exists (select from block b join canonical c on c.block_id = b.id
                                 where b.index_block_hash = r.index_block_hash))
           order by r.checked_at nulls first, v.height desc, p.name, k.entity
           limit $2"#,
        projections,
        i64::from(limit)
    )
    .fetch_all(pool)
    .await
    .map_err(StoreError::db("read the states to compare with a node"))?;
    let read = rows.into_iter().map(|r| {
        Ok(EntityState {
            projection: r.projection,
            entity: r.entity,
            state: r.state,
            tip: block_ref(&r.index_block_hash, r.height)?,
        })
    });
    read.collect()
}

/// Every entity, a page at a time, by projection and entity.
///
/// # Errors
/// When the database cannot be read.
pub async fn entities_after(
    pool: &PgPool,
    projections: &[String],
    after: (&str, &str),
    limit: u32,
) -> Result<Vec<EntityState>, StoreError> {
    let rows = sqlx::query!(
        r#"with tip as (
               select b.index_block_hash, c.height from canonical c join block b on b.id = c.block_id
               order by c.height desc limit 1
           )
           select p.name as projection, k.entity, v.state, tip.index_block_hash, tip.height
           from projection_current k
           join projection_version v on v.id = k.version_id
           join projection p on p.id = k.projection
           cross join tip
           where p.name = any($1) and (p.name collate "C", k.entity collate "C") > ($2, $3)
           order by p.name collate "C", k.entity collate "C"
           limit $4"#,
        projections,
        after.0,
        after.1,
        i64::from(limit)
    )
    .fetch_all(pool)
    .await
    .map_err(StoreError::db("read the states to compare with a node"))?;
    let read = rows.into_iter().map(|r| {
        Ok(EntityState {
            projection: r.projection,
            entity: r.entity,
            state: r.state,
            tip: block_ref(&r.index_block_hash, r.height)?,
        })
    });
    read.collect()
}

/// A canonical block to replay.
#[derive(Debug, Clone, Copy)]
pub struct AuditBlock {
    /// Local number.
    pub id: i64,
    /// The block.
    pub block: BlockRef,
}

/// Canonical blocks above block 0 with mirrored transactions that no replay agreed with yet, the newest first.
///
/// # Errors
/// When the database cannot be read.
pub async fn unaudited_blocks(pool: &PgPool, limit: u32) -> Result<Vec<AuditBlock>, StoreError> {
    let rows = sqlx::query!(
        r#"select b.id, b.index_block_hash, c.height
           from canonical c join block b on b.id = c.block_id
           where c.height > 0 and exists (select from transaction t where t.block_id = b.id)
             and not exists (select from audit_result r
                             where r.subject_kind = 'block' and r.verdict <> 'differs'
                               and r.subject = '0x' || encode(b.index_block_hash, 'hex'))
           order by c.height desc limit $1"#,
        i64::from(limit)
    )
    .fetch_all(pool)
    .await
    .map_err(StoreError::db("read the blocks to replay"))?;
    let read = rows.into_iter().map(|r| {
        Ok(AuditBlock {
            id: r.id,
            block: block_ref(&r.index_block_hash, r.height)?,
        })
    });
    read.collect()
}

/// Canonical blocks between two heights, both included, lowest first, a page of them; `touching` ones only, those with
/// mirrored transactions, or all.
///
/// # Errors
/// When the database cannot be read.
pub async fn blocks_between(
    pool: &PgPool,
    from_inclusive: u32,
    to_inclusive: u32,
    touching: bool,
    limit: u32,
) -> Result<Vec<AuditBlock>, StoreError> {
    let rows = sqlx::query!(
        r#"select b.id, b.index_block_hash, c.height
           from canonical c join block b on b.id = c.block_id
           where c.height between $1 and $2
             and (not $3 or exists (select from transaction t where t.block_id = b.id))
           order by c.height limit $4"#,
        i32::try_from(from_inclusive).unwrap_or(i32::MAX),
        i32::try_from(to_inclusive).unwrap_or(i32::MAX),
        touching,
        i64::from(limit)
    )
    .fetch_all(pool)
    .await
    .map_err(StoreError::db("read the blocks to replay"))?;
    let read = rows.into_iter().map(|r| {
        Ok(AuditBlock {
            id: r.id,
            block: block_ref(&r.index_block_hash, r.height)?,
        })
    });
    read.collect()
}

/// The lowest and the highest canonical block.
///
/// # Errors
/// When the database cannot be read.
pub async fn canonical_ends(pool: &PgPool) -> Result<Option<(BlockRef, BlockRef)>, StoreError> {
    let rows = sqlx::query!(
        r#"select b.index_block_hash, c.height from canonical c join block b on b.id = c.block_id
           where c.height in ((select min(height) from canonical), (select max(height) from canonical))
           order by c.height"#
    )
    .fetch_all(pool)
    .await
    .map_err(StoreError::db("read the canonical chain's ends"))?;
    let (Some(low), Some(high)) = (rows.first(), rows.last()) else {
        return Ok(None);
    };
    Ok(Some((
        block_ref(&low.index_block_hash, low.height)?,
        block_ref(&high.index_block_hash, high.height)?,
    )))
}

/// An entity's state after the canonical block at a height, with that block.
#[derive(Debug, Clone)]
pub struct StateThen {
    /// The block.
    pub block: BlockRef,
    /// The state; none before the entity's first.
    pub state: Option<Json>,
}

/// The state of an entity as of a canonical height; none where the mirror has no block there.
///
/// # Errors
/// When the database cannot be read.
pub async fn state_at(
    pool: &PgPool,
    projection: &str,
    entity: &str,
    height: u32,
) -> Result<Option<StateThen>, StoreError> {
    let row = sqlx::query!(
        r#"select b.index_block_hash, c.height,
                  (select v.state from projection_version v join canonical k on k.block_id = v.block_id
                   where v.projection = (select id from projection where name = $1) and v.entity = $2
                     and v.height <= $3
                   order by v.height desc, v.position desc limit 1) as state
           from canonical c join block b on b.id = c.block_id where c.height = $3"#,
        projection,
        entity,
        signed(height)?
    )
    .fetch_optional(pool)
    .await
    .map_err(StoreError::db("read a state of the past"))?;
    row.map(|r| {
        Ok(StateThen {
            block: block_ref(&r.index_block_hash, r.height)?,
            state: r.state,
        })
    })
    .transpose()
}
