//! Blocks of both chains, as values to build upon.

use super::json::hex0x;
use super::tx::Tx;
use crate::recording::Entry;
use std::sync::Arc;

/// A Bitcoin block with its sortition.
#[derive(Clone, Debug, PartialEq)]
pub struct BurnBlock {
    /// Bitcoin height.
    pub height: u64,
    /// Bitcoin block hash.
    pub hash: [u8; 32],
    /// Hash of the block before.
    pub parent_hash: [u8; 32],
    /// Consensus hash of the sortition, which names the tenure.
    pub consensus_hash: [u8; 20],
    /// Id of the winning block-commit.
    pub winning_txid: [u8; 32],
    /// Unix seconds.
    pub time: u64,
    pub(super) entry: Entry,
}

impl BurnBlock {
    /// The `/new_burn_block` that announces it.
    pub fn entry(&self) -> Entry {
        self.entry.clone()
    }

    /// The block hash as a node writes it.
    pub fn id(&self) -> String {
        hex0x(self.hash)
    }
}

/// A Stacks block.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// The name given by whoever built it, for messages of tests; may be empty.
    pub label: String,
    /// Chain length.
    pub height: u64,
    /// Header hash.
    pub block_hash: [u8; 32],
    /// The block's identity: SHA-512/256 of header hash and consensus hash.
    pub index_block_hash: [u8; 32],
    /// Identity of the block before.
    pub parent_index_block_hash: [u8; 32],
    /// Unix seconds.
    pub time: u64,
    /// The Bitcoin block whose sortition elected the tenure's miner.
    pub tenure: BurnBlock,
    /// Number of tenures up to this one.
    pub tenure_height: u64,
    /// Number of blocks of the tenure up to this one.
    pub tenure_blocks: u32,
    /// The transactions without those that begin a tenure.
    pub txs: Arc<[Tx]>,
    pub(super) entry: Entry,
}

impl Block {
    /// The `/new_block` that announces it.
    pub fn entry(&self) -> Entry {
        self.entry.clone()
    }

    /// The index block hash as a node writes it.
    pub fn id(&self) -> String {
        hex0x(self.index_block_hash)
    }

    /// The parent's index block hash as a node writes it.
    pub fn parent_id(&self) -> String {
        hex0x(self.parent_index_block_hash)
    }

    /// The same without the payload, for those who keep many blocks to build upon.
    #[must_use]
    pub fn without_payload(mut self) -> Self {
        self.entry = Entry::new(self.entry.path, Vec::new());
        self
    }
}
