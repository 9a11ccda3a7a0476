//! What a workload consists of, counted.

use super::block::Block;
use super::event::Event;
use super::fork::Fork;
use super::network::Network;
use super::tx::Outcome;
use crate::recording::Entry;
use serde::Serialize;
use std::collections::{BTreeMap, HashSet};

/// Counts of a [`super::Workload`], of which those about the canonical chain are what an indexer must arrive at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct WorkloadSummary {
    /// Payloads handed out.
    pub payloads: u64,
    /// Bytes of their bodies.
    pub bytes: u64,
    /// Payloads by path.
    pub by_path: BTreeMap<String, u64>,
    /// Different Stacks blocks produced, genesis included if it is announced.
    pub blocks: u64,
    /// Of these, those that forks orphaned.
    pub orphaned_blocks: u64,
    /// Height of the canonical tip.
    pub tip_height: u64,
    /// Index block hash of the canonical tip.
    pub tip: String,
    /// Bitcoin height of the tip's tenure.
    pub tip_burn_height: u64,
    /// Transactions in canonical blocks.
    pub transactions: u64,
    /// Of these, those that failed.
    pub failed_transactions: u64,
    /// Events in canonical blocks.
    pub events: u64,
    /// Of these, prints.
    pub prints: u64,
    /// Of these, prints by each followed contract.
    pub followed_prints: BTreeMap<String, u64>,
}

impl WorkloadSummary {
    pub(super) fn new(network: Network) -> Self {
        let followed = network
            .followed_contracts()
            .map(|contract| (contract.to_string(), 0));
        Self {
            followed_prints: followed.into(),
            ..Self::default()
        }
    }

    /// Some lines for people.
    pub fn text(&self) -> String {
        let Self {
            payloads,
            bytes,
            blocks,
            orphaned_blocks,
            ..
        } = self;
        let mut text = format!(
            "{payloads} payloads, {bytes} bytes, {blocks} blocks, {orphaned_blocks} of them orphaned\n"
        );
        for (path, count) in &self.by_path {
            text.push_str(&format!("  {path}: {count}\n"));
        }
        let Self {
            tip_height,
            tip,
            tip_burn_height,
            transactions,
            failed_transactions,
            events,
            prints,
            ..
        } = self;
        text.push_str(&format!(
            "canonical tip: height {tip_height}, {tip}, Bitcoin height {tip_burn_height}\n"
        ));
        text.push_str(&format!(
            "on it: {transactions} transactions ({failed_transactions} failed), "
        ));
        text.push_str(&format!("{events} events, {prints} prints\n"));
        for (contract, count) in &self.followed_prints {
            text.push_str(&format!("  {contract}: {count}\n"));
        }
        text
    }

    pub(super) fn sent(&mut self, entry: &Entry) {
        self.payloads += 1;
        self.bytes += u64::try_from(entry.body.len()).unwrap_or(u64::MAX);
        *self.by_path.entry(entry.path.clone()).or_default() += 1;
    }

    pub(super) fn extended(&mut self, block: &Block) {
        self.blocks += 1;
        self.canonical(block, u64::wrapping_add);
        self.tip_is(block);
    }

    pub(super) fn forked(&mut self, fork: &Fork) {
        let announced: HashSet<_> = fork
            .announced
            .iter()
            .map(|block| block.index_block_hash)
            .collect();
        let orphaned: HashSet<_> = fork
            .orphaned
            .iter()
            .map(|block| block.index_block_hash)
            .collect();
        self.blocks += u64::try_from(announced.len()).unwrap_or(0);
        self.orphaned_blocks += u64::try_from(orphaned.len()).unwrap_or(0);
        for block in fork
            .orphaned
            .iter()
            .filter(|block| !announced.contains(&block.index_block_hash))
        {
            self.canonical(block, u64::wrapping_sub);
        }
        for block in fork
            .announced
            .iter()
            .filter(|block| !orphaned.contains(&block.index_block_hash))
        {
            self.canonical(block, u64::wrapping_add);
        }
        if let Some(tip) = fork.canonical.last() {
            self.tip_is(tip);
        }
    }

    fn tip_is(&mut self, block: &Block) {
        self.tip_height = block.height;
        self.tip = block.id();
        self.tip_burn_height = block.tenure.height;
    }

    /// Adds a block to the canonical chain's counts or takes it away.
    fn canonical(&mut self, block: &Block, change: fn(u64, u64) -> u64) {
        // The transactions that begin a tenure are not among the block's own.
        let begin = if block.tenure_blocks == 1 { 2 } else { 0 };
        let own = u64::try_from(block.txs.len()).unwrap_or(0);
        self.transactions = change(self.transactions, own + begin);
        for tx in block.txs.iter() {
            if *tx.outcome() != Outcome::Success {
                self.failed_transactions = change(self.failed_transactions, 1);
                continue;
            }
            for event in tx.all_events() {
                self.events = change(self.events, 1);
                let Event::Print { contract, .. } = event else {
                    continue;
                };
                self.prints = change(self.prints, 1);
                if let Some(count) = self.followed_prints.get_mut(contract) {
                    *count = change(*count, 1);
                }
            }
        }
    }
}
