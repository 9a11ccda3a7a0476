//! The mirror against the chain itself: completeness that is proved, not hoped for.
//!
//! Each contract counts and hash-chains its events. When our count and head are those that the contract's
//! `get-cursor` returns at the block where the mirror stands, the mirror has every event of the contract,
//! byte for byte (EV-2). One read-only call per contract and block.

mod bisect;
mod chains;
mod deep;
mod node;
mod replay;
mod states;

use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;
use stxworx_clarity::codec::Value;
use tokio_util::sync::CancellationToken;

pub use bisect::{FirstBad, bisect};
pub use chains::{ChainReport, walk};
pub use deep::{DeepOptions, DeepReport, deep};
pub use node::{NodeError, NodeReader};
pub use states::balance;

use crate::metrics::Metrics;
use crate::model::IndexBlockHash;
use crate::retry::Backoff;
use crate::source::http::FetchError;
use crate::source::node::NodeSource;
use crate::store::StoreError;
use crate::store::audit::{self as table, ChainHead, Verdict};
use crate::store::evidence::AuditVerdict;

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
    /// What it came to, in words.
    pub fn text(&self) -> String {
        self.difference().unwrap_or_else(|| {
            let verdict = match self.verdict {
                Verdict::NoCursor => "the contract has no cursor",
                _ => "equal to the contract's cursor",
            };
            format!(
                "{}: {verdict} at block {} (height {})",
                self.contract, self.index_block_hash, self.height
            )
        })
    }

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
    /// The node, for a block.
    #[error("the node cannot be asked for a block")]
    Source(#[source] FetchError),
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

/// The contract's own cursor as of a block; none where it keeps none, or is not there yet.
async fn cursor_at(
    node: &NodeReader,
    contract: &str,
    block: &IndexBlockHash,
) -> Result<Option<(u128, Vec<u8>)>, NodeError> {
    match node.call_read(contract, "get-cursor", &[], block).await {
        Ok(value) => Ok(cursor(&value).map(|(seq, head)| (seq, head.to_vec()))),
        // The contract has no such function: it keeps no chain that could be compared.
        Err(NodeError::Refused { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

async fn prove_one(node: &NodeReader, ours: &ChainHead) -> Result<CursorProof, AuditError> {
    let block = IndexBlockHash::from_slice(&ours.index_block_hash);
    let block = block.map_err(|e| StoreError::Corrupt {
        table: "block",
        detail: e.to_string(),
    })?;
    let theirs = cursor_at(node, &ours.contract, &block).await?;
    let verdict = match theirs {
        None => Verdict::NoCursor,
        Some((seq, ref head)) if seq.to_string() == ours.seq && hex0x(head) == ours.head => {
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
        node_seq: theirs.as_ref().map(|(seq, _)| seq.to_string()),
        node_head: theirs.as_ref().map(|(_, head)| hex0x(head)),
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

/// The same as [`prove`], and keeps what it came to.
///
/// # Errors
/// As [`prove`].
pub async fn prove_and_store(
    pool: &PgPool,
    node: &NodeReader,
) -> Result<Vec<CursorProof>, AuditError> {
    let proofs = prove(pool, node).await?;
    for proof in &proofs {
        table::store(pool, proof, proof.difference().as_deref()).await?;
    }
    Ok(proofs)
}

/// What is compared at each change of the tip, beside the chains of events.
const SAMPLE: DeepOptions = DeepOptions {
    all: false,
    range: None,
    entities: 8,
    blocks: 2,
};

/// Compares after each change of the tip until stopped; the newest tip only, however many were passed.
pub async fn run(
    pool: PgPool,
    node: NodeReader,
    source: Option<NodeSource>,
    pause: Duration,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) {
    if let Some(source) = &source {
        tell_what_is_missing(source).await;
    }
    let mut proved_at = None;
    let mut backoff = Backoff::default();
    while !stop.is_cancelled() {
        let wait = match step(&pool, &node, source.as_ref(), &metrics, &mut proved_at).await {
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

/// Once, at the start: what a misconfigured node cannot do would otherwise only show in what is not audited.
async fn tell_what_is_missing(source: &NodeSource) {
    match source.probe().await {
        Ok(probe) => {
            let version = probe.server_version;
            for missing in probe.missing {
                tracing::warn!(
                    version,
                    missing,
                    "the node cannot do all that the audit needs"
                );
            }
        }
        Err(error) => {
            let error = crate::error_chain(&error).to_string();
            tracing::warn!(error, "the node does not say what it can do");
        }
    }
}

async fn step(
    pool: &PgPool,
    node: &NodeReader,
    source: Option<&NodeSource>,
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
    let report = deep(pool, node, source, &SAMPLE).await?;
    for (verdict, count) in report.compared.values().flatten() {
        let counter = metrics.audit_results.with_label_values(&[verdict]);
        counter.inc_by(*count);
    }
    for finding in report.findings {
        if finding.verdict == AuditVerdict::Differs {
            metrics.violated(
                invariant(finding.subject_kind),
                &format!(
                    "{} {} at block {}: {}",
                    finding.subject_kind,
                    finding.subject,
                    finding.index_block_hash,
                    finding.detail.unwrap_or_default()
                ),
            );
        }
    }
    Ok(())
}

/// The invariant that a difference breaks.
fn invariant(subject_kind: &str) -> &'static str {
    match subject_kind {
        states::BALANCES | "treasury" => "MO-2",
        _ => "AU-1",
    }
}
