//! The thread that makes blocks and tells of them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use serde_json::Value as Json;
use stxworx_clarity::market::Marketplace;
use stxworx_clarity::simnet::{SealedBlock, Simnet, SimnetError, new_mempool_tx_payload};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::gate::Gate;
use super::queue::Said;
use super::{Dials, SharedChain};
use crate::recording::Entry;

/// Counts that others may read while the chain grows.
#[derive(Debug, Clone, Default)]
pub struct Progress(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    blocks: AtomicU64,
    burn_blocks: AtomicU64,
    transactions: AtomicU64,
    events: AtomicU64,
    forks: AtomicU64,
    burn_reorgs: AtomicU64,
    restarts: AtomicU64,
}

/// What a devnet has produced so far, over all forks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Produced {
    /// Stacks blocks.
    pub blocks: u64,
    /// Bitcoin blocks.
    pub burn_blocks: u64,
    /// Transactions in blocks.
    pub transactions: u64,
    /// Events in blocks.
    pub events: u64,
    /// Forks of Stacks blocks.
    pub forks: u64,
    /// Bitcoin reorgs.
    pub burn_reorgs: u64,
    /// Restarts of the node, as an observer sees them.
    pub restarts: u64,
}

impl Progress {
    /// The counts of now.
    pub fn produced(&self) -> Produced {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Produced {
            blocks: of(&self.0.blocks),
            burn_blocks: of(&self.0.burn_blocks),
            transactions: of(&self.0.transactions),
            events: of(&self.0.events),
            forks: of(&self.0.forks),
            burn_reorgs: of(&self.0.burn_reorgs),
            restarts: of(&self.0.restarts),
        }
    }
}

fn count(counter: &AtomicU64, by: usize) {
    counter.fetch_add(u64::try_from(by).unwrap_or(u64::MAX), Ordering::Relaxed);
}

pub(super) struct Producer {
    pub chain: SharedChain,
    pub market: Marketplace,
    pub gate: Arc<Gate>,
    pub dials: Dials,
    pub queues: Vec<SyncSender<Said>>,
    pub progress: Progress,
    pub cancel: CancellationToken,
}

/// Bitcoin blocks that a reorg replaces, and by how many.
const BURN_REORG: (u32, u32) = (2, 3);

/// Starts the thread; the receiver tells how it ended.
pub(super) fn start(
    mut producer: Producer,
) -> std::io::Result<oneshot::Receiver<Result<(), SimnetError>>> {
    let (done, ended) = oneshot::channel();
    std::thread::Builder::new()
        .name("devnet".into())
        .spawn(move || {
            // Nobody waits for the result once the devnet is dropped.
            let _ = done.send(producer.run());
        })?;
    Ok(ended)
}

impl Producer {
    fn run(&mut self) -> Result<(), SimnetError> {
        let genesis = self.chain.lock().tip();
        let first_burn = self.chain.lock().burn_tip();
        self.tell("/new_burn_block", &first_burn.new_burn_block_payload());
        self.tell("/new_block", &genesis.new_block_payload());
        let mut grown = 0u32;
        while !self.cancel.is_cancelled() {
            let told = self.turn(&mut grown)?;
            for (path, body) in told {
                self.tell(path, &body);
            }
            if every(self.dials.restart_every, grown) {
                self.restart(&genesis);
            }
            if self.chain.lock().tip().header.height >= self.dials.hurry_to {
                self.pause();
            }
        }
        Ok(())
    }

    /// One step of the chain; what is to be told of it is told after the chain is free again.
    fn turn(&mut self, grown: &mut u32) -> Result<Vec<(&'static str, Json)>, SimnetError> {
        let chain = self.chain.clone();
        let mut chain = chain.lock();
        let mut told = Vec::new();
        let sent = self.gate.begin_turn(&mut chain);
        if !sent.is_empty() {
            told.push(("/new_mempool_tx", new_mempool_tx_payload(&sent)));
        }
        *grown += 1;
        let jump = self.market.patience(&chain);
        let height = chain.tip().header.height;
        if every(self.dials.burn_reorg_every, *grown) && height > 20 {
            self.reorg_bitcoin(&mut chain, &mut told);
        } else if jump > 0 || every(self.dials.tenure_blocks, *grown) || *grown == 1 {
            self.burn(&mut chain, jump.max(1), &mut told);
        }
        if every(self.dials.fork_every, *grown) && height > self.dials.fork_depth + 20 {
            self.fork(&mut chain, &mut told)?;
        } else {
            self.block(&mut chain, &mut told)?;
        }
        self.gate.end_turn(&chain);
        Ok(told)
    }

    fn burn(
        &self,
        chain: &mut MutexGuard<'_, Simnet>,
        blocks: u32,
        told: &mut Vec<(&'static str, Json)>,
    ) {
        let new = chain.burn(blocks);
        count(&self.progress.0.burn_blocks, new.len());
        told.extend(
            new.iter()
                .map(|b| ("/new_burn_block", b.new_burn_block_payload())),
        );
    }

    fn reorg_bitcoin(
        &self,
        chain: &mut MutexGuard<'_, Simnet>,
        told: &mut Vec<(&'static str, Json)>,
    ) {
        let (lost, new) = BURN_REORG;
        chain.reorg_burn(lost);
        count(&self.progress.0.burn_reorgs, 1);
        self.burn(chain, new, told);
    }

    /// A branch that begins below the tip and becomes longer than what it replaces.
    fn fork(
        &mut self,
        chain: &mut MutexGuard<'_, Simnet>,
        told: &mut Vec<(&'static str, Json)>,
    ) -> Result<(), SimnetError> {
        let height = chain.tip().header.height - self.dials.fork_depth;
        let Some(ancestor) = chain.at_height(height) else {
            return Ok(());
        };
        // A new tenure, as in Nakamoto: within one, a miner does not fork itself.
        self.burn(chain, 1, told);
        chain.fork_to(&ancestor.header.id)?;
        count(&self.progress.0.forks, 1);
        for _ in 0..=self.dials.fork_depth {
            self.block(chain, told)?;
        }
        Ok(())
    }

    fn block(
        &mut self,
        chain: &mut MutexGuard<'_, Simnet>,
        told: &mut Vec<(&'static str, Json)>,
    ) -> Result<(), SimnetError> {
        let sent = self.market.act(chain, self.dials.transactions);
        if !sent.is_empty() {
            told.push(("/new_mempool_tx", new_mempool_tx_payload(&sent)));
        }
        let dropped = chain.take_dropped();
        told.extend(dropped.iter().map(|d| ("/drop_mempool_tx", d.payload())));
        let block = chain.mine(self.dials.transactions.saturating_mul(3).max(32))?;
        count(&self.progress.0.blocks, 1);
        count(&self.progress.0.transactions, block.receipts.len());
        count(
            &self.progress.0.events,
            block.receipts.iter().map(|r| r.events.len()).sum(),
        );
        told.push(("/new_block", block.new_block_payload()));
        Ok(())
    }

    fn restart(&self, genesis: &SealedBlock) {
        count(&self.progress.0.restarts, 1);
        for queue in &self.queues {
            // A delivery that is gone has ended the devnet.
            let _ = queue.send(Said::Restart);
        }
        self.tell("/new_block", &genesis.empty_payload());
    }

    fn tell(&self, path: &str, body: &Json) {
        let body = axum::body::Bytes::from(body.to_string());
        for queue in &self.queues {
            let _ = queue.send(Said::Payload(Entry::new(path, body.clone())));
        }
    }

    /// Sleeps in short pieces, so that an end is an end.
    fn pause(&self) {
        let mut left = self.dials.block_interval;
        while !left.is_zero() && !self.cancel.is_cancelled() {
            let piece = left.min(Duration::from_millis(50));
            std::thread::sleep(piece);
            left = left.saturating_sub(piece);
        }
    }
}

fn every(interval: u32, grown: u32) -> bool {
    interval > 0 && grown.is_multiple_of(interval)
}
