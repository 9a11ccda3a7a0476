//! A chain made of real Clarity execution, for devnets and tests: deterministic, and forked at no cost.
//!
//! Contracts run in clarity-vm over a store of our own. Around it are the parts of a node that a
//! follower can see: signatures, nonces, fees, post-conditions, a mempool with the node's reasons to
//! refuse, tenures on Bitcoin blocks, forks of both, and payloads of the event observer in the node's
//! form. What a node has beside that is not there: costs, stacking, microblocks, miners.
//!
//! The same configuration and the same calls give the same bytes. Nothing here knows a clock, a
//! network or a file; the one thread that is started is the machine's deep stack.

mod admit;
mod apply;
mod block;
mod convert;
mod forks;
mod machine;
mod mempool;
mod mine;
mod payload;
mod post_conditions;
mod read;
mod store;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use clarity::types::chainstate::StacksBlockId;
use secp256k1::SecretKey;

pub use block::{
    BlockId, BurnBlock, GENESIS_PARENT, Header, Receipt, SealedBlock, SimEvent, TxId, TxStatus,
};
pub use convert::ConvertError;
pub use mempool::{Dropped, MAX_CHAINING, Rejection};
pub use payload::new_mempool_tx_payload;
pub use read::ReadError;

use crate::codec::Principal;
use machine::Machine;
use mempool::Mempool;
use store::{Meta, State};

/// How a chain begins.
#[derive(Debug, Clone)]
pub struct SimnetConfig {
    /// Makes its hashes differ from those of other chains.
    pub seed: u64,
    /// Who owns what at the start, micro-STX.
    pub genesis: Vec<(Principal, u128)>,
    /// Height of the Bitcoin block that elects the first tenure.
    pub first_burn_height: u32,
    /// Time of that block, Unix seconds.
    pub genesis_time: u64,
    /// Blocks below the tip whose state stays readable and on which a fork may build.
    pub keep_states: u32,
    /// The lowest fee that is admitted, micro-STX for a whole transaction.
    pub minimum_fee: u64,
}

impl Default for SimnetConfig {
    fn default() -> Self {
        Self {
            seed: 0,
            genesis: Vec::new(),
            first_burn_height: 100,
            genesis_time: 1_700_000_000,
            keep_states: 1_000,
            minimum_fee: 180,
        }
    }
}

/// What cannot be done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SimnetError {
    /// The block is not of this chain.
    #[error("block 0x{} is not known", hex::encode(.0))]
    UnknownBlock(BlockId),
    /// The block is known, its state was given up.
    #[error("the state of block 0x{} is not kept any more", hex::encode(.0))]
    Pruned(BlockId),
    /// The machine would not start.
    #[error("the machine does not start: {0}")]
    Machine(String),
}

/// An account at a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Account {
    /// Micro-STX.
    pub balance: u128,
    /// The next nonce.
    pub nonce: u64,
}

/// A block and what can still be done with it.
struct Node {
    sealed: Arc<SealedBlock>,
    state: Option<State>,
}

/// The chain, with all its forks.
pub struct Simnet {
    config: SimnetConfig,
    blocks: HashMap<BlockId, Node>,
    metas: HashMap<StacksBlockId, Meta>,
    tip: BlockId,
    /// Canonical Bitcoin blocks; the first is at `first_burn_height - 1`.
    burns: Vec<Arc<BurnBlock>>,
    burn_salt: u64,
    mempool: Mempool,
    /// Makes the ids of blocks under construction differ.
    attempts: u64,
    miner: SecretKey,
}

impl std::fmt::Debug for Simnet {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Simnet")
            .field("tip", &hex::encode(self.tip))
            .field("blocks", &self.blocks.len())
            .finish_non_exhaustive()
    }
}

/// Seconds between Bitcoin blocks, and between Stacks blocks.
const BURN_SECONDS: u64 = 600;
const BLOCK_SECONDS: u64 = 10;

impl Simnet {
    /// A chain with its block 0.
    ///
    /// # Errors
    /// When the machine does not start.
    pub fn new(config: SimnetConfig) -> Result<Self, SimnetError> {
        let burn_height = config.first_burn_height.saturating_sub(1);
        let burn = Arc::new(BurnBlock::derive(
            config.seed,
            [0; 32],
            burn_height,
            config.genesis_time,
            0,
        ));
        let miner = crate::market::secret_key(&format!("miner {}", config.seed));
        let mut chain = Self {
            config,
            blocks: HashMap::new(),
            metas: HashMap::new(),
            tip: [0; 32],
            burns: vec![burn],
            burn_salt: 0,
            mempool: Mempool::default(),
            attempts: 0,
            miner,
        };
        chain.make_genesis()?;
        Ok(chain)
    }

    fn make_genesis(&mut self) -> Result<(), SimnetError> {
        let block_hash = [0; 32];
        let id = crate::codec::index_block_hash(&block_hash, &[0; 20]);
        let nowhere = Arc::new(BurnBlock {
            hash: [0; 32],
            height: 0,
            parent_hash: [0; 32],
            consensus_hash: [0; 20],
            time: 0,
            miner_txid: [0; 32],
        });
        let meta = Meta {
            id: StacksBlockId(id),
            parent: StacksBlockId(GENESIS_PARENT),
            height: 0,
            burn_height: self.burns[0].height,
            time: self.config.genesis_time,
        };
        self.metas.insert(meta.id, meta);
        let open = Meta {
            id: StacksBlockId([0xee; 32]),
            parent: meta.id,
            height: 1,
            ..meta
        };
        let grants = self.config.genesis.clone();
        let machine = Machine {
            metas: &self.metas,
            open,
        };
        let ((), state) = machine
            .database(&State::new(), |database| {
                database.set_clarity_epoch_version(store::EPOCH);
                for (who, amount) in &grants {
                    let mut account = database.get_stx_balance_snapshot(&convert::principal(who));
                    account.credit(*amount);
                    account.save();
                    // Fails only past the supply of all STX.
                    let _ = database.increment_ustx_liquid_supply(*amount);
                }
            })
            .map_err(|e| SimnetError::Machine(e.vm_error()))?;
        let header = Header {
            id,
            block_hash,
            height: 0,
            parent: GENESIS_PARENT,
            parent_block_hash: [0; 32],
            time: None,
            burn: Arc::clone(&nowhere),
            parent_burn: nowhere,
            tenure_height: 0,
        };
        let receipts = apply::genesis_receipts(&self.config.genesis);
        self.blocks.insert(
            id,
            Node {
                sealed: Arc::new(SealedBlock { header, receipts }),
                state: Some(state),
            },
        );
        self.tip = id;
        Ok(())
    }

    /// The block that the next one builds on.
    pub fn tip(&self) -> Arc<SealedBlock> {
        Arc::clone(&self.blocks[&self.tip].sealed)
    }

    /// A block of any fork, unless it was given up long ago.
    pub fn block(&self, id: &BlockId) -> Option<Arc<SealedBlock>> {
        self.blocks.get(id).map(|n| Arc::clone(&n.sealed))
    }

    /// The ancestor of the tip at a height.
    pub fn at_height(&self, height: u32) -> Option<Arc<SealedBlock>> {
        let mut id = self.tip;
        loop {
            let node = self.blocks.get(&id)?;
            let header = &node.sealed.header;
            if header.height <= height {
                return (header.height == height).then(|| Arc::clone(&node.sealed));
            }
            id = header.parent;
        }
    }

    fn state_at(&self, id: &BlockId) -> Result<&State, SimnetError> {
        let node = self.blocks.get(id).ok_or(SimnetError::UnknownBlock(*id))?;
        node.state.as_ref().ok_or(SimnetError::Pruned(*id))
    }
}
