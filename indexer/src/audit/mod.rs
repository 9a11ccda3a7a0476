//! The mirror against the chain itself: completeness that is proved, not hoped for.
//!
//! Each contract counts and hash-chains its events. When our count and head are those that the contract's
//! `get-cursor` returns at the block where the mirror stands, the mirror has every event of the contract,
//! byte for byte (EV-2). One read-only call per contract and block.

mod chains;
mod node;

use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;
use stxworx_clarity::codec::Value;
use tokio_util::sync::CancellationToken;

pub use chains::{ChainReport, walk};
pub use node::{NodeError, NodeReader};

use crate::metrics::Metrics;
use crate::retry::Backoff;
use crate::store::StoreError;
use crate::store::audit::{self as table, ChainHead, Verdict};

/// One comparison.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct CursorProof {
    /// The contract.
    pub contract: String,
    /// The block at which it was asked, with 0x.
    pub index_block_hash: String,
    /// Its height.
    pub height: i32,
    /// Number of the newest event in the mirror.
    pub seq: String,
    /// Hash of that event, with 0x.
    pub head: String,
    /// The contract's own number, if it has a cursor.
    pub node_seq: Option<String>,
    /// The contract's own hash, with 0x.
    pub node_head: Option<String>,
    /// What it comes to.
    pub verdict: Verdict,
}

impl CursorProof {
    /// What differs, in words.
    pub fn difference(&self) -> Option<String> {
        (self.verdict == Verdict::Differs).then(|| {
            format!(
                "{} at block {} (height {}): the mirror has {} events up to {}, the contract {} up to {}",
                self.contract,
                self.index_block_hash,
                self.height,
                self.seq,
                self.head,
                self.node_seq.as_deref().unwrap_or("?"),
                self.node_head.as_deref().unwrap_or("?"),
            )
        })
    }
}

/// Why a comparison could not be made.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The mirror cannot be read, or the result not stored.
    #[error("the mirror is not usable for a proof")]
    Store(#[from] StoreError),
    /// The node.
    #[error("the node cannot be asked")]
    Node(#[from] NodeError),
}

fn hex0x(bytes: &[u8]) -> String {
    format!("0x{}", hex::encode(bytes))
}

/// Number and hash of a cursor, as the contract returns it.
fn cursor(value: &Value) -> Option<(u128, &[u8])> {
    match value.get("head")? {
        Value::Buffer(head) => Some((value.get("seq")?.as_u128()?, head)),
        _ => None,
    }
}

async fn prove_one(node: &NodeReader, ours: &ChainHead) -> Result<CursorProof, NodeError> {
    let said = node
        .call_read(&ours.contract, "get-cursor", &[], &ours.index_block_hash)
        .await;
    let value = match said {
        Ok(value) => Some(value),
        // The contract has no such function: it keeps no chain that could be compared.
        Err(NodeError::Refused { .. }) => None,
        Err(error) => return Err(error),
    };
    let theirs = value.as_ref().and_then(cursor);
    let verdict = match theirs {
        None => Verdict::NoCursor,
        Some((seq, head)) if seq.to_string() == ours.seq && hex0x(head) == ours.head => {
            Verdict::Proved
        }
        Some(_) => Verdict::Differs,
    };
    Ok(CursorProof {
        contract: ours.contract.clone(),
        index_block_hash: hex0x(&ours.index_block_hash),
        height: ours.height,
        seq: ours.seq.clone(),
        head: ours.head.clone(),
        node_seq: theirs.map(|(seq, _)| seq.to_string()),
        node_head: theirs.map(|(_, head)| hex0x(head)),
        verdict,
    })
}

/// Compares every contract's chain of events with the contract's cursor, at the mirror's tip.
///
/// # Errors
/// When mirror or node cannot be read; what differs is no error but a verdict.
pub async fn prove(pool: &PgPool, node: &NodeReader) -> Result<Vec<CursorProof>, AuditError> {
    let mut proofs = Vec::new();
    for ours in table::chain_heads(pool).await? {
        proofs.push(prove_one(node, &ours).await?);
    }
    Ok(proofs)
}

/// Compares after each change of the tip until stopped; the newest tip only, however many were passed.
pub async fn run(
    pool: PgPool,
    node: NodeReader,
    pause: Duration,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) {
    let mut proved_at = None;
    let mut backoff = Backoff::default();
    while !stop.is_cancelled() {
        let wait = match step(&pool, &node, &metrics, &mut proved_at).await {
            Ok(()) => {
                backoff.reset();
                pause
            }
            Err(error) => {
                metrics
                    .cursor_proofs
                    .with_label_values(&["unavailable"])
                    .inc();
                let error = crate::error_chain(&error).to_string();
                tracing::debug!(error, "no proof against the node for now");
                backoff.next_delay().max(pause)
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = stop.cancelled() => {}
        }
    }
}

async fn step(
    pool: &PgPool,
    node: &NodeReader,
    metrics: &Metrics,
    proved_at: &mut Option<Vec<u8>>,
) -> Result<(), AuditError> {
    let heads = table::chain_heads(pool).await?;
    let Some(tip) = heads.first().map(|h| h.index_block_hash.clone()) else {
        return Ok(());
    };
    if proved_at.as_ref() == Some(&tip) {
        return Ok(());
    }
    for ours in &heads {
        let proof = prove_one(node, ours).await?;
        metrics
            .cursor_proofs
            .with_label_values(&[proof.verdict.as_str()])
            .inc();
        let difference = proof.difference();
        if let Some(difference) = &difference {
            metrics.violated("EV-2", difference);
        }
        table::store(pool, &proof, difference.as_deref()).await?;
    }
    metrics.cursor_proof_height.set(i64::from(heads[0].height));
    *proved_at = Some(tip);
    Ok(())
}
