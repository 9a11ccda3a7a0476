//! Metrics of what a block adds.

use crate::metrics::Metrics;
use crate::model::{Block, EventKind, TxKind};

/// Counts a block that is added to the mirror.
pub(super) fn count(metrics: &Metrics, block: &Block) {
    metrics.blocks.inc();
    metrics
        .rows
        .with_label_values(&["transaction"])
        .inc_by(block.transactions.len() as u64);
    metrics
        .rows
        .with_label_values(&["event"])
        .inc_by(block.events.len() as u64);
    for transaction in &block.transactions {
        if matches!(transaction.kind, TxKind::Undecoded | TxKind::Unlisted) {
            metrics
                .undecoded
                .with_label_values(&[transaction.kind.as_str()])
                .inc();
        }
    }
    for event in block
        .events
        .iter()
        .filter(|e| e.body.kind == EventKind::Other)
    {
        metrics
            .undecoded
            .with_label_values(&[event.body.kind.as_str()])
            .inc();
    }
}
