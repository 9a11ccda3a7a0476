//! Forks of both chains, ready to be delivered.

use super::block::{Block, BurnBlock};
use super::chain::ChainBuilder;
use super::tx::{Outcome, Tx};
use crate::recording::Entry;

/// Every so-many-th transaction that is mined again ends otherwise on the new fork.
const CHANGES_ITS_STATUS: usize = 4;
/// The answer of those.
const REFUSAL_CODE: u128 = 117;

/// What a fork delivers, and the chain that is canonical after it.
#[derive(Clone, Debug, Default)]
pub struct Fork {
    /// The payloads, in the order in which a node sends them.
    pub entries: Vec<Entry>,
    /// All Stacks blocks in `entries`, in that order.
    pub announced: Vec<Block>,
    /// The part of the given chain that is still canonical, then the new canonical blocks.
    pub canonical: Vec<Block>,
    /// Blocks that are not canonical (any more), of the given chain and of the announced ones.
    pub orphaned: Vec<Block>,
}

impl ChainBuilder {
    /// A competing branch on the same Bitcoin chain: it leaves `canonical` `depth` blocks below its tip, begins a
    /// tenure of its own, mines the orphaned transactions again (some with another status, one not at all), and
    /// becomes canonical with its last block, which is one higher than the old tip.
    ///
    /// `canonical` is a chain in ascending order, whose last block is the tip; `depth` is at most its length
    /// less one, deeper means that. Depth 0 only adds a block.
    pub fn fork(&self, canonical: &[Block], depth: usize) -> Fork {
        let Some(mut fork) = Fork::new(canonical, depth) else {
            return Fork::default();
        };
        let depth = fork.orphaned.len();
        let tenure = fork.burn_block(self, &self.burn_tip());
        let mut again = fork.orphaned.clone().into_iter();
        for number in 0..=depth {
            let txs = again
                .next()
                .map(|block| mined_again(&block.txs, number == 0))
                .unwrap_or_default();
            fork.extend(self, (number == 0).then_some(&tenure), txs);
        }
        fork
    }

    /// A Bitcoin reorganization: the last `burn_depth` Bitcoin blocks of the tip's chain are replaced by
    /// `burn_depth + 1` others, all announced first. The Stacks blocks of the orphaned tenures are gone; two new
    /// blocks mine their transactions again. The new tip is mostly **lower** than the old one: the only sign
    /// that it is canonical are the Bitcoin blocks. A `burn_depth` below the first tenure means that one.
    pub fn bitcoin_reorg(&self, canonical: &[Block], burn_depth: u64) -> Fork {
        let mut burn = self.burn_ancestor(burn_depth);
        let burn_depth = self.burn_tip().height.saturating_sub(burn.height);
        let depth = canonical
            .iter()
            .rev()
            .take_while(|block| block.tenure.height > burn.height)
            .count();
        let Some(mut fork) = Fork::new(canonical, depth) else {
            return Fork::default();
        };
        let mut tenure = None;
        for _ in 0..=burn_depth {
            burn = fork.burn_block(self, &burn);
            tenure.get_or_insert_with(|| burn.clone());
        }
        let orphaned: Vec<Tx> = fork
            .orphaned
            .iter()
            .flat_map(|block| block.txs.to_vec())
            .collect();
        let again = mined_again(&orphaned, true);
        let (first, second) = again.split_at(again.len() / 2);
        fork.extend(self, tenure.as_ref(), first.to_vec());
        fork.extend(self, None, second.to_vec());
        fork
    }

    /// A fork and the way back: a competing branch as in [`ChainBuilder::fork`] overtakes the tip, then two blocks
    /// on the old tip overtake that branch. The blocks in between are not announced again.
    pub fn fork_and_back(&self, canonical: &[Block], depth: usize) -> Fork {
        let away = self.fork(canonical, depth);
        let mut fork = Fork {
            entries: away.entries,
            canonical: canonical.to_vec(),
            orphaned: away.announced.clone(),
            announced: away.announced.clone(),
        };
        let tenure = fork.burn_block(self, &self.burn_tip());
        fork.extend(self, Some(&tenure), Vec::new());
        fork.extend(self, None, Vec::new());
        fork
    }
}

impl Fork {
    /// Splits a chain below its last `depth` blocks; nothing if it is empty.
    fn new(canonical: &[Block], depth: usize) -> Option<Self> {
        canonical.last()?;
        let kept = canonical.len().saturating_sub(depth).max(1);
        let (canonical, orphaned) = canonical.split_at(kept);
        let (canonical, orphaned) = (canonical.to_vec(), orphaned.to_vec());
        Some(Self {
            canonical,
            orphaned,
            ..Self::default()
        })
    }

    fn burn_block(&mut self, chain: &ChainBuilder, parent: &BurnBlock) -> BurnBlock {
        let block = chain.burn_block(parent);
        self.entries.push(block.entry());
        block
    }

    /// Mines a block on the canonical chain, in a new tenure if one is given.
    fn extend(&mut self, chain: &ChainBuilder, tenure: Option<&BurnBlock>, txs: Vec<Tx>) {
        let Some(parent) = self.canonical.last() else {
            return;
        };
        let mut block = chain.block(parent).txs(txs);
        if let Some(tenure) = tenure {
            block = block.tenure(tenure);
        }
        let block = block.build();
        self.entries.push(block.entry());
        self.announced.push(block.clone());
        self.canonical.push(block);
    }
}

/// The transactions as another miner would mine them: some end otherwise, and the last may be left out.
fn mined_again(txs: &[Tx], leave_one_out: bool) -> Vec<Tx> {
    let kept = if leave_one_out && txs.len() > 1 {
        txs.len() - 1
    } else {
        txs.len()
    };
    let change = |(number, tx): (usize, &Tx)| {
        let may_change = tx.has_cost && tx.contract_interface.is_null();
        if may_change && tx.outcome == Outcome::Success && number % CHANGES_ITS_STATUS == 1 {
            tx.clone().refused(REFUSAL_CODE)
        } else {
            tx.clone()
        }
    };
    txs.iter().take(kept).enumerate().map(change).collect()
}
