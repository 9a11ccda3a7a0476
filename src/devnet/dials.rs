//! What a devnet does to those who follow it.

use std::time::Duration;

use super::RpcFaults;

/// How a devnet behaves. The same dials make the same blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dials {
    /// Seed of everything that looks like chance.
    pub seed: u64,
    /// Pause between two Stacks blocks.
    pub block_interval: Duration,
    /// About so many transactions a block.
    pub transactions: usize,
    /// Stacks blocks in a tenure.
    pub tenure_blocks: u32,
    /// A fork each time the chain has grown by so many blocks; 0 for none.
    pub fork_every: u32,
    /// Blocks that a fork replaces.
    pub fork_depth: u32,
    /// A Bitcoin reorg each time the chain has grown by so many blocks; 0 for none.
    pub burn_reorg_every: u32,
    /// A restart of the node, as an observer sees it, each time the chain has grown by so many blocks; 0 for none.
    pub restart_every: u32,
    /// Percentage of payloads that are delivered twice.
    pub doubled_percent: u8,
    /// Payloads arrive up to so many places late; 0 and 1 keep the order.
    pub late_by: usize,
    /// Percentage of payloads that are not delivered before the next restart, or 40 payloads later.
    pub lost_percent: u8,
    /// Up to this height blocks are made without a pause: a mirror that was kept waits there.
    pub hurry_to: u32,
    /// Somebody outside has the key of the role `minter`, and most badges are left to it.
    pub minter_apart: bool,
    /// What the RPC does wrong.
    pub faults: RpcFaults,
}

impl Default for Dials {
    fn default() -> Self {
        Self {
            seed: 1,
            block_interval: Duration::from_millis(500),
            transactions: 8,
            tenure_blocks: 5,
            fork_every: 25,
            fork_depth: 3,
            burn_reorg_every: 0,
            restart_every: 0,
            doubled_percent: 0,
            late_by: 0,
            lost_percent: 0,
            hurry_to: 0,
            minter_apart: false,
            faults: RpcFaults::default(),
        }
    }
}

/// Dials that make no chain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DialsError {
    /// A percentage above 100.
    #[error("{name} is a percentage: {given} is above 100")]
    Percent {
        /// Which.
        name: &'static str,
        /// What was given.
        given: u8,
    },
    /// Forks without end.
    #[error(
        "a fork of depth {depth} every {every} blocks would never let the chain grow: give --fork-every a number, or a depth of at least 1"
    )]
    Depth {
        /// Depth given.
        depth: u32,
        /// Interval given.
        every: u32,
    },
    /// Deeper than the states that are kept.
    #[error("a fork can be at most {limit} blocks deep, not {depth}: older states are not kept")]
    TooDeep {
        /// Depth given.
        depth: u32,
        /// Largest depth.
        limit: u32,
    },
}

/// Deepest fork; a chain keeps 1,000 states.
const DEEPEST: u32 = 900;

impl Dials {
    /// Checks them.
    ///
    /// # Errors
    /// When they make no chain.
    pub fn check(&self) -> Result<(), DialsError> {
        let delivery = [
            ("--doubled", self.doubled_percent),
            ("--lost", self.lost_percent),
        ];
        for (name, given) in delivery.into_iter().chain(self.faults.named()) {
            if given > 100 {
                return Err(DialsError::Percent { name, given });
            }
        }
        if self.fork_every > 0 && self.fork_depth == 0 {
            return Err(DialsError::Depth {
                depth: 0,
                every: self.fork_every,
            });
        }
        if self.fork_depth > DEEPEST {
            return Err(DialsError::TooDeep {
                depth: self.fork_depth,
                limit: DEEPEST,
            });
        }
        Ok(())
    }
}
