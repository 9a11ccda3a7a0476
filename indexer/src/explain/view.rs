//! An explanation as it is printed.

use serde::Serialize;
use serde_json::Value;
use stxworx_clarity::events;

use super::lineage::FieldChange;
use crate::chain::is_final;
use crate::model::EventKind;
use crate::store::inbox::Source;
use crate::store::read::completeness::ProofRow;
use crate::store::read::explain::{CauseRow, OriginOfBlock};

/// Where a state comes from.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    /// What was asked for.
    pub subject: String,
    /// The projection that holds it.
    pub projection: String,
    /// Its entity.
    pub entity: String,
    /// The block as of which it is explained.
    pub as_of: String,
    /// Its height.
    pub as_of_height: u32,
    /// Is that block canonical?
    pub as_of_canonical: bool,
    /// Versions that were walked.
    pub versions: usize,
    /// Was every field's setter found? Else some were set before the versions that were walked.
    pub whole: bool,
    /// The state.
    pub state: Value,
    /// Its fields.
    pub fields: Vec<Field>,
    /// The changes that set them, oldest first.
    pub changes: Vec<Change>,
    /// The blocks of the changes, with their payloads.
    pub blocks: Vec<BlockView>,
    /// What a node said of the contracts' chains of events.
    pub audits: Vec<Audit>,
}

/// A field of the state.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Field {
    /// Its path.
    pub path: String,
    /// Its value.
    pub value: Value,
    /// The change that set it, by its place among the changes.
    pub set_by: Option<usize>,
}

/// One version: what it changed, and what caused it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// The block.
    pub block: String,
    /// Its height.
    pub height: u32,
    /// `seen`, `burn_n`, `final`, or none off the canonical chain.
    pub finality: Option<String>,
    /// The event that caused it; several where one version stands for a transaction.
    pub events: Vec<EventView>,
    /// All that it changed.
    pub fields: Vec<FieldChange>,
}

/// An event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EventView {
    /// Its kind, in the node's words.
    pub kind: String,
    /// Who printed it, or whose asset moved.
    pub contract: Option<String>,
    /// Its number among the contract's events, decimal.
    pub seq: Option<String>,
    /// What happened.
    pub topic: Option<String>,
    /// Who called the contract.
    pub by: Option<String>,
    /// Who gave.
    pub sender: Option<String>,
    /// Who received.
    pub recipient: Option<String>,
    /// Base units, decimal.
    pub amount: Option<String>,
    /// The transaction.
    pub txid: String,
    /// The transaction's place in the block.
    pub tx_index: i32,
    /// Its place in the transaction.
    pub ordinal: i32,
}

impl EventView {
    pub(super) fn new(row: &CauseRow) -> Self {
        let kind = EventKind::ALL.into_iter().find(|k| k.code() == row.kind);
        let header = row.value.as_deref().and_then(events::header);
        Self {
            kind: kind.map_or_else(|| row.kind.to_string(), |k| k.as_str().to_owned()),
            contract: row.contract.clone(),
            seq: header.as_ref().map(|h| h.seq.to_string()),
            by: header.as_ref().map(|h| h.by.to_string()),
            topic: row.topic.clone(),
            sender: row.sender.clone(),
            recipient: row.recipient.clone(),
            amount: row.amount.clone(),
            txid: row.txid.to_string(),
            tx_index: row.tx_index,
            ordinal: row.ordinal,
        }
    }
}

/// A block and the payload that it came of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BlockView {
    /// The block.
    pub index_block_hash: String,
    /// Its height.
    pub height: u32,
    /// `seen`, `burn_n`, `final`, or none off the canonical chain.
    pub finality: Option<String>,
    /// Its payload's place in the inbox.
    pub inbox_id: i64,
    /// When that came; none if it is gone.
    pub received_at: Option<String>,
    /// SHA-256 of its bytes.
    pub sha256: Option<String>,
    /// Who delivered it first.
    pub source: Option<&'static str>,
    /// Was it cut down to what is followed?
    pub cut_down: bool,
    /// How often exactly these bytes came.
    pub deliveries: Option<i32>,
}

impl BlockView {
    pub(super) fn new(row: OriginOfBlock, burn_tip: u32, finality_burn_blocks: u32) -> Self {
        let depth = burn_tip.saturating_sub(row.burn_block_height.0);
        let finality = if is_final(burn_tip, row.burn_block_height.0, finality_burn_blocks) {
            "final".to_owned()
        } else if depth == 0 {
            "seen".to_owned()
        } else {
            format!("burn_{depth}")
        };
        Self {
            index_block_hash: row.block.to_string(),
            height: row.height.0,
            finality: row.canonical.then_some(finality),
            inbox_id: row.inbox_id,
            received_at: row.received_at,
            sha256: row.sha256.map(|h| h.to_string()),
            source: row.source.and_then(Source::from_code).map(Source::as_str),
            cut_down: row.cut_down.unwrap_or(false),
            deliveries: row.deliveries,
        }
    }
}

/// What a node said of a contract's chain of events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Audit {
    /// The contract.
    pub contract: String,
    /// `proved`, `differs` or `no_cursor`; none if no node was asked.
    pub verdict: Option<String>,
    /// At which block.
    pub block: Option<String>,
    /// Its height.
    pub height: Option<u32>,
    /// Number of the newest event there.
    pub seq: Option<String>,
    /// When.
    pub checked_at: Option<String>,
}

impl Audit {
    pub(super) fn new(contract: String, proof: Option<&ProofRow>) -> Self {
        Self {
            contract,
            verdict: proof.map(|p| p.verdict.clone()),
            block: proof.map(|p| p.block.to_string()),
            height: proof.map(|p| p.height.0),
            seq: proof.map(|p| p.seq.clone()),
            checked_at: proof.map(|p| p.checked_at.clone()),
        }
    }
}

/// A transaction as it stands in one block.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TransactionView {
    /// The transaction.
    pub txid: String,
    /// The block with its payload.
    pub block: BlockView,
    /// Its place in the block.
    pub tx_index: i32,
    /// What it is.
    pub kind: String,
    /// What became of it.
    pub status: String,
    /// Who sent it.
    pub sender: Option<String>,
    /// What it called.
    pub contract: Option<String>,
    /// Which function.
    pub function: Option<String>,
    /// Its events.
    pub events: Vec<EventView>,
    /// What they changed.
    pub touched: Vec<Touched>,
    /// What a node said of the contracts' chains of events.
    pub audits: Vec<Audit>,
}

/// An entity that a transaction changed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Touched {
    /// The projection.
    pub projection: String,
    /// The entity.
    pub entity: String,
    /// What was changed.
    pub fields: Vec<FieldChange>,
}
