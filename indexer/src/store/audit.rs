//! Chains of events at the tip, and what a node said of them.

use serde::Serialize;
use sqlx::PgPool;

use super::StoreError;
use crate::audit::CursorProof;

/// A contract's chain of events, where the mirror stands.
#[derive(Debug, Clone)]
pub struct ChainHead {
    /// The contract.
    pub contract: String,
    /// Number of the newest event.
    pub seq: String,
    /// Its hash, with 0x.
    pub head: String,
    /// The mirror's tip.
    pub index_block_hash: Vec<u8>,
    /// Its height.
    pub height: i32,
}

/// What a comparison comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Number and hash are the contract's own.
    Proved,
    /// They are not.
    Differs,
    /// The contract keeps no chain.
    NoCursor,
}

impl Verdict {
    /// As stored, and as the label of the metric.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Proved => "proved",
            Self::Differs => "differs",
            Self::NoCursor => "no_cursor",
        }
    }

    /// From its stored form.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Proved, Self::Differs, Self::NoCursor]
            .into_iter()
            .find(|verdict| verdict.as_str() == name)
    }
}

/// Every contract's chain at the canonical tip; all of one statement, so of one tip.
///
/// # Errors
/// When the database cannot be read.
pub async fn chain_heads(pool: &PgPool) -> Result<Vec<ChainHead>, StoreError> {
    sqlx::query_as!(
        ChainHead,
        r#"with tip as (
               select b.index_block_hash, c.height from canonical c join block b on b.id = c.block_id
               order by c.height desc limit 1
           )
           select k.entity as contract, v.state->>'seq' as "seq!", v.state->>'head' as "head!",
                  tip.index_block_hash, tip.height
           from projection_current k
           join projection_version v on v.id = k.version_id
           cross join tip
           where k.projection = (select id from projection where name = 'event_chain')
           order by k.entity"#
    )
    .fetch_all(pool)
    .await
    .map_err(StoreError::db("read the chains of events"))
}

/// Keeps the newest comparison of a contract.
///
/// # Errors
/// When the database cannot be written.
pub async fn store(
    pool: &PgPool,
    proof: &CursorProof,
    difference: Option<&str>,
) -> Result<(), StoreError> {
    sqlx::query!(
        r#"insert into cursor_proof
               (contract, index_block_hash, height, seq, head, node_seq, node_head, verdict, last_difference)
           values ($1, decode(substr($2, 3), 'hex'), $3, $4::text::numeric, decode(substr($5, 3), 'hex'),
                   $6::text::numeric, decode(substr($7, 3), 'hex'), $8, $9)
           on conflict (contract) do update set
               index_block_hash = excluded.index_block_hash, height = excluded.height, seq = excluded.seq,
               head = excluded.head, node_seq = excluded.node_seq, node_head = excluded.node_head,
               verdict = excluded.verdict, checked_at = clock_timestamp(),
               last_difference = coalesce(excluded.last_difference, cursor_proof.last_difference)"#,
        proof.contract,
        proof.index_block_hash,
        proof.height,
        proof.seq as _,
        proof.head,
        proof.node_seq.as_deref() as _,
        proof.node_head,
        proof.verdict.as_str(),
        difference
    )
    .execute(pool)
    .await
    .map_err(StoreError::db("store a proof"))?;
    Ok(())
}

/// A print as it is stored.
#[derive(Debug, Clone)]
pub struct StoredPrint {
    /// The contract.
    pub contract: String,
    /// Height of its block.
    pub height: i32,
    /// Its transaction's place in the block.
    pub tx_index: i32,
    /// Its place in the transaction.
    pub ordinal: i32,
    /// The block.
    pub index_block_hash: Vec<u8>,
    /// The transaction.
    pub txid: Vec<u8>,
    /// The serialised value.
    pub value: Vec<u8>,
}

impl StoredPrint {
    /// Where it is, in words.
    pub fn place(&self) -> String {
        format!(
            "block 0x{} at height {}, transaction 0x{}, event {}",
            hex::encode(&self.index_block_hash),
            self.height,
            hex::encode(&self.txid),
            self.ordinal
        )
    }
}

/// Canonical prints behind a place, in order, a page of them.
///
/// # Errors
/// When the database cannot be read.
pub async fn prints_after(
    pool: &PgPool,
    after: (i32, i32, i32),
) -> Result<Vec<StoredPrint>, StoreError> {
    let (height, tx_index, ordinal) = after;
    sqlx::query_as!(
        StoredPrint,
        r#"select k.name as contract, e.height, e.tx_index, e.ordinal, b.index_block_hash, t.txid, e.value as "value!"
           from canonical c
           join block b on b.id = c.block_id
           join event e on e.block_id = b.id
           join transaction t on t.block_id = e.block_id and t.tx_index = e.tx_index
           join principal k on k.id = e.contract
           where c.height >= $1 and (e.height, e.tx_index, e.ordinal) > ($1, $2, $3)
             and e.kind = 1 and e.value is not null
           order by c.height, e.tx_index, e.ordinal
           limit 2000"#,
        height,
        tx_index,
        ordinal
    )
    .fetch_all(pool)
    .await
    .map_err(StoreError::db("read the stored events"))
}
