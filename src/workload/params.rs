//! What a generated workload consists of.

use super::network::Network;
use std::str::FromStr;

/// Parameters of a [`super::Workload`]. The same parameters give the same bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct Params {
    /// Addresses and version bytes.
    pub network: Network,
    /// Seed of everything that looks random.
    pub seed: u64,
    /// Height of the canonical chain above its root; forks come on top.
    pub blocks: u64,
    /// Transactions per block, without those that begin a tenure.
    pub txs: u32,
    /// Prints per block, exactly, but for what forks change. Transfers and tokens come on top.
    pub events: u32,
    /// Share of the prints that followed contracts make, 0 to 1.
    pub share: f64,
    /// Percentage of transactions that are plain transfers.
    pub transfer_percent: u8,
    /// Percentage of transactions that fail.
    pub failure_percent: u8,
    /// Stacks blocks per Bitcoin block; 0 counts as 1.
    pub tenure: u32,
    /// Signatures per block.
    pub signers: u32,
    /// Accounts that act.
    pub users: u32,
    /// Contracts that nobody follows.
    pub other_contracts: u32,
    /// Height of the unannounced block below the first one; 0 begins the chain with genesis.
    pub root_height: u64,
    /// Bitcoin height before the first tenure.
    pub burn_height: u64,
    /// Whether genesis is announced (only with a `root_height` of 0).
    pub genesis: bool,
    /// Whether the `events` arrays are out of order, as a node sends them.
    pub shuffle_events: bool,
    /// Percentage of blocks whose transactions are announced in `/new_mempool_tx` before.
    pub mempool_percent: u8,
    /// A fork of `reorg_depth` blocks whenever the height is a multiple of this; 0: none.
    pub reorg_every: u64,
    /// Blocks that such a fork orphans.
    pub reorg_depth: u32,
    /// What else happens, and at which canonical height.
    pub happenings: Vec<(u64, Happening)>,
}

impl Default for Params {
    /// A thousand mainnet-like blocks: 50 transactions and 100 prints each, 2 % of them followed, no forks.
    fn default() -> Self {
        Self {
            network: Network::Mainnet,
            seed: 1,
            blocks: 1_000,
            txs: 50,
            events: 100,
            share: 0.02,
            transfer_percent: 20,
            failure_percent: 4,
            tenure: 20,
            signers: 15,
            users: 2_000,
            other_contracts: 200,
            root_height: 0,
            burn_height: 930_000,
            genesis: true,
            shuffle_events: true,
            mempool_percent: 0,
            reorg_every: 0,
            reorg_depth: 3,
            happenings: Vec::new(),
        }
    }
}

impl Params {
    /// The recording that is shipped: a small lively marketplace with a bit of everything that an indexer has to
    /// survive.
    pub fn demo() -> Self {
        Self {
            network: Network::Testnet,
            seed: 2_026,
            blocks: 240,
            txs: 3,
            events: 4,
            share: 0.65,
            transfer_percent: 15,
            failure_percent: 15,
            tenure: 12,
            signers: 1,
            users: 40,
            other_contracts: 6,
            burn_height: 100,
            mempool_percent: 15,
            happenings: vec![
                (40, Happening::GenesisAgain),
                (70, Happening::Duplicate),
                (100, Happening::Fork { depth: 3 }),
                (130, Happening::Replacement),
                (180, Happening::BitcoinReorg { burn_depth: 2 }),
            ],
            ..Self::default()
        }
    }
}

/// Something out of the ordinary, after the block at some height and before the next.
///
/// As text: `genesis`, `duplicate`, `replacement`, `fork:3`, `fork-and-back:3`, `bitcoin-reorg:2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happening {
    /// Genesis arrives again, empty, as at every start of a node.
    GenesisAgain,
    /// The last block is delivered a second time.
    Duplicate,
    /// A transaction appears in the mempool, and is replaced by one with a higher fee, which is mined next.
    Replacement,
    /// A competing branch orphans so many blocks.
    Fork {
        /// Blocks.
        depth: u32,
    },
    /// A competing branch orphans so many blocks, then the old branch wins.
    ForkAndBack {
        /// Blocks.
        depth: u32,
    },
    /// Bitcoin replaces so many of its blocks.
    BitcoinReorg {
        /// Bitcoin blocks.
        burn_depth: u32,
    },
}

/// A happening that is not one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected genesis, duplicate, replacement, fork:N, fork-and-back:N or bitcoin-reorg:N with N from 1, not {given:?}"
)]
pub struct HappeningError {
    given: String,
}

impl FromStr for Happening {
    type Err = HappeningError;

    fn from_str(text: &str) -> Result<Self, HappeningError> {
        let (kind, number) = match text.split_once(':') {
            Some((kind, number)) => (kind, number.parse().ok().filter(|number| *number > 0_u32)),
            None => (text, None),
        };
        match (kind, number) {
            ("genesis", None) if text == kind => Ok(Self::GenesisAgain),
            ("duplicate", None) if text == kind => Ok(Self::Duplicate),
            ("replacement", None) if text == kind => Ok(Self::Replacement),
            ("fork", Some(depth)) => Ok(Self::Fork { depth }),
            ("fork-and-back", Some(depth)) => Ok(Self::ForkAndBack { depth }),
            ("bitcoin-reorg", Some(burn_depth)) => Ok(Self::BitcoinReorg { burn_depth }),
            _ => Err(HappeningError {
                given: text.to_owned(),
            }),
        }
    }
}
