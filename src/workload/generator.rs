//! A workload: one payload after the other.

use super::SeededRng;
use super::block::Block;
use super::chain::{ChainBuilder, ChainOptions};
use super::fork::Fork;
use super::market::Market;
use super::params::{Happening, Params};
use super::summary::WorkloadSummary;
use super::tx::Tx;
use crate::recording::Entry;
use std::collections::VecDeque;

/// Blocks kept to fork from, at least.
const KEPT_BLOCKS: usize = 128;

/// A generated workload: an iterator over the payloads in the order in which a node sends them.
///
/// Blocks are made as they are asked for; the memory used does not grow with their number.
#[derive(Debug)]
pub struct Workload {
    params: Params,
    chain: ChainBuilder,
    market: Market,
    rng: SeededRng,
    /// The last blocks of the canonical chain, without their payloads.
    canonical: Vec<Block>,
    queue: VecDeque<Entry>,
    happenings: Vec<(u64, Happening)>,
    last_reorg: u64,
    last_block: Option<Entry>,
    /// Transactions that the next block has to mine.
    waiting: Vec<Tx>,
    is_started: bool,
    /// Followed prints owed to the share.
    owed: f64,
    summary: WorkloadSummary,
}

impl Workload {
    /// A workload of these parameters.
    pub fn new(params: Params) -> Self {
        let chain = ChainBuilder::new(ChainOptions {
            network: params.network,
            seed: params.seed,
            root_height: params.root_height,
            burn_height: params.burn_height,
            signers: params.signers,
            shuffle_events: params.shuffle_events,
        });
        let market = Market::new(&chain, params.users, params.other_contracts);
        let mut happenings = params.happenings.clone();
        happenings.sort_by_key(|(height, _)| *height);
        Self {
            market,
            rng: SeededRng::new(params.seed.rotate_left(32)),
            canonical: vec![chain.root().without_payload()],
            queue: VecDeque::new(),
            happenings,
            last_reorg: params.root_height,
            last_block: None,
            waiting: Vec::new(),
            is_started: false,
            owed: 0.0,
            summary: WorkloadSummary::new(params.network),
            chain,
            params,
        }
    }

    /// What has been handed out so far.
    pub fn summary(&self) -> &WorkloadSummary {
        &self.summary
    }

    /// The chain that the workload is built on.
    pub fn chain(&self) -> &ChainBuilder {
        &self.chain
    }

    /// Produces the next payloads; false at the end.
    fn advance(&mut self) -> bool {
        if !self.is_started {
            self.start();
            return true;
        }
        let Some(tip) = self.canonical.last().cloned() else {
            return false;
        };
        if let Some(happening) = self.due(tip.height) {
            self.happen(happening, &tip);
            return true;
        }
        if tip.height >= self.params.root_height.saturating_add(self.params.blocks) {
            return false;
        }
        self.mine(&tip);
        true
    }

    fn start(&mut self) {
        self.is_started = true;
        let root = self.chain.root();
        if self.params.genesis && self.params.root_height == 0 {
            self.summary.extended(&root);
            self.queue.push_back(root.entry());
        }
        self.queue.push_back(self.chain.first_tenure().entry());
    }

    fn due(&mut self, height: u64) -> Option<Happening> {
        if let Some(at) = self.happenings.iter().position(|(due, _)| *due <= height) {
            return Some(self.happenings.remove(at).1);
        }
        let Params {
            reorg_every,
            reorg_depth,
            root_height,
            blocks,
            ..
        } = self.params;
        let is_last = height >= root_height.saturating_add(blocks);
        let is_due =
            reorg_every > 0 && height.is_multiple_of(reorg_every) && height > self.last_reorg;
        if !is_due || is_last || height - root_height <= u64::from(reorg_depth) {
            return None;
        }
        self.last_reorg = height;
        Some(Happening::Fork { depth: reorg_depth })
    }

    fn happen(&mut self, happening: Happening, tip: &Block) {
        // The root cannot be orphaned, so a fork is never deeper than what is above it.
        let depth = |depth: u32| {
            usize::try_from(depth)
                .unwrap_or(usize::MAX)
                .min(self.canonical.len().saturating_sub(1))
        };
        match happening {
            Happening::GenesisAgain => self.queue.push_back(self.chain.genesis_again()),
            Happening::Duplicate => self.queue.extend(self.last_block.clone()),
            Happening::Replacement => self.replace(tip),
            Happening::Fork { depth: blocks } => {
                self.deliver(self.chain.fork(&self.canonical, depth(blocks)))
            }
            Happening::ForkAndBack { depth: blocks } => {
                self.deliver(self.chain.fork_and_back(&self.canonical, depth(blocks)));
            }
            Happening::BitcoinReorg { burn_depth } => {
                self.deliver(
                    self.chain
                        .bitcoin_reorg(&self.canonical, u64::from(burn_depth)),
                );
            }
        }
    }

    fn deliver(&mut self, fork: Fork) {
        self.summary.forked(&fork);
        self.last_block = fork.announced.last().map(Block::entry);
        self.queue.extend(fork.entries);
        self.canonical = fork
            .canonical
            .into_iter()
            .map(Block::without_payload)
            .collect();
    }

    fn replace(&mut self, tip: &Block) {
        let (sender, recipient) = (self.chain.account("user-0"), self.chain.account("user-1"));
        let nonce = self.chain.nonce(&sender);
        let first = self.chain.transfer(
            &sender,
            &recipient,
            1_000_000,
            &format!("at {}", tip.height),
        );
        self.chain.set_nonce(&sender, nonce);
        let second = self
            .chain
            .transfer(&sender, &recipient, 1_000_000, "a better fee");
        self.queue
            .push_back(self.chain.mempool(std::slice::from_ref(&first)));
        self.queue
            .push_back(self.chain.mempool(std::slice::from_ref(&second)));
        self.queue.push_back(self.chain.replaced(&first, &second));
        self.waiting.push(second);
    }

    fn mine(&mut self, tip: &Block) {
        let is_first = tip.height == self.params.root_height;
        let tenure = (!is_first && tip.tenure_blocks >= self.params.tenure.max(1)).then(|| {
            let tenure = self.chain.burn_block(&self.chain.burn_tip());
            self.queue.push_back(tenure.entry());
            tenure
        });
        let mut txs = std::mem::take(&mut self.waiting);
        if is_first {
            txs.extend(self.market.deployments(&self.chain));
        }
        self.fill(&mut txs);
        if self.rng.percent(self.params.mempool_percent) {
            self.queue.push_back(self.chain.mempool(&txs));
        }
        let mut block = self.chain.block(tip).txs(txs);
        if let Some(tenure) = &tenure {
            block = block.tenure(tenure);
        }
        let block = block.build();
        self.summary.extended(&block);
        self.queue.push_back(block.entry());
        self.last_block = Some(block.entry());
        self.canonical.push(block.without_payload());
        self.forget();
    }

    /// Adds the marketplace's transactions up to the number per block.
    fn fill(&mut self, txs: &mut Vec<Tx>) {
        let Params {
            txs: wanted,
            events,
            transfer_percent,
            failure_percent,
            ..
        } = self.params;
        let made = u32::try_from(txs.len()).unwrap_or(u32::MAX);
        let left = wanted.saturating_sub(made);
        let mut kinds: Vec<Kind> = (0..left)
            .map(|_| match self.rng.below(100) {
                percent if percent < u64::from(transfer_percent) => Kind::Transfer,
                percent if percent < u64::from(transfer_percent) + u64::from(failure_percent) => {
                    Kind::Failure
                }
                _ => Kind::Activity,
            })
            .collect();
        if events > 0 && !kinds.contains(&Kind::Activity) {
            kinds.push(Kind::Activity);
        }
        let calls = kinds.iter().filter(|kind| **kind == Kind::Activity).count();
        let mut calls = u32::try_from(calls).unwrap_or(u32::MAX);
        let mut prints = events;
        for kind in kinds {
            txs.push(match kind {
                Kind::Transfer => self.market.transfer(&self.chain),
                Kind::Failure => self.market.failure(&self.chain),
                Kind::Activity => {
                    let share = prints.div_ceil(calls.max(1));
                    (calls, prints) = (calls.saturating_sub(1), prints.saturating_sub(share));
                    self.activity(share)
                }
            });
        }
    }

    /// A call with so many prints, by a followed contract as often as the share wants.
    fn activity(&mut self, prints: u32) -> Tx {
        let weight = f64::from(prints);
        self.owed += self.params.share.clamp(0.0, 1.0) * weight;
        let is_followed = prints > 0 && self.owed >= weight / 2.0 && self.params.share > 0.0;
        if is_followed {
            self.owed -= weight;
        }
        self.market.activity(&self.chain, is_followed, prints)
    }

    /// Lets go of blocks that no fork will ask for.
    fn forget(&mut self) {
        let tenures = usize::try_from(self.params.tenure)
            .unwrap_or(usize::MAX)
            .saturating_mul(8);
        let depth = usize::try_from(self.params.reorg_depth).unwrap_or(usize::MAX);
        let kept = self
            .deepest()
            .max(tenures)
            .max(depth)
            .max(KEPT_BLOCKS)
            .saturating_add(1);
        if self.canonical.len() > kept.saturating_mul(2) {
            self.canonical.drain(..self.canonical.len() - kept);
        }
    }

    fn deepest(&self) -> usize {
        let blocks = |happening: &Happening| match happening {
            Happening::Fork { depth } | Happening::ForkAndBack { depth } => *depth,
            Happening::BitcoinReorg { burn_depth } => burn_depth
                .saturating_add(1)
                .saturating_mul(self.params.tenure),
            Happening::GenesisAgain | Happening::Duplicate | Happening::Replacement => 0,
        };
        let deepest = self
            .happenings
            .iter()
            .map(|(_, happening)| blocks(happening))
            .max()
            .unwrap_or(0);
        usize::try_from(deepest).unwrap_or(usize::MAX)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Transfer,
    Failure,
    Activity,
}

impl Iterator for Workload {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        while self.queue.is_empty() {
            if !self.advance() {
                return None;
            }
        }
        let entry = self.queue.pop_front()?;
        self.summary.sent(&entry);
        Some(entry)
    }
}
