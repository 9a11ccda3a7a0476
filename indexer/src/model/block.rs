//! Blocks, transactions and Bitcoin blocks as the mirror understands them.

use super::event::Event;
use super::ids::{BlockHash, BurnBlockHash, ConsensusHash, IndexBlockHash, TxId};

/// Names one block: its identity, and its height for people and for ordering.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BlockRef {
    /// The identity.
    pub id: IndexBlockHash,
    /// Stacks chain length at this block. Not unique over forks.
    pub height: u32,
}

/// What a block says about itself and its place in both chains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockHeader {
    /// The identity.
    pub id: IndexBlockHash,
    /// The identity of the parent.
    pub parent: IndexBlockHash,
    /// Stacks chain length.
    pub height: u32,
    /// Header hash.
    pub block_hash: BlockHash,
    /// Unix seconds of the header; absent before epoch 3.0.
    pub block_time: Option<u64>,
    /// Bitcoin block of the sortition that elected this tenure (not the current burn view).
    pub burn_block_hash: BurnBlockHash,
    /// Its height.
    pub burn_block_height: u32,
    /// Its time, Unix seconds.
    pub burn_block_time: u64,
    /// The tenure; absent in payloads of old nodes.
    pub consensus_hash: Option<ConsensusHash>,
    /// The sortition up to which a tenure change in this block says it has seen Bitcoin.
    pub burn_view: Option<ConsensusHash>,
    /// Winning block-commit of the sortition; not every source knows it.
    pub miner_txid: Option<TxId>,
    /// Coinbase height; absent in payloads of old nodes.
    pub tenure_height: Option<u32>,
}

impl BlockHeader {
    /// The block's name.
    pub fn block_ref(&self) -> BlockRef {
        BlockRef {
            id: self.id,
            height: self.height,
        }
    }
}

/// A decoded block: header, transactions in order, events in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The header.
    pub header: BlockHeader,
    /// How many transactions the payload listed, kept or not.
    pub listed_transactions: u32,
    /// How many events the payload listed, kept or not.
    pub listed_events: u32,
    /// The mirrored transactions, by `tx_index`.
    pub transactions: Vec<Transaction>,
    /// The mirrored events, by (`tx_index`, `ordinal`).
    pub events: Vec<Event>,
}

/// What the chain decided about a transaction. Judge by this, never by the raw result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TxStatus {
    /// Executed and committed.
    Success,
    /// The contract answered `err`, or failed at run time.
    AbortByResponse,
    /// A post-condition did not hold.
    AbortByPostCondition,
    /// Left out of execution as problematic (epoch 4.0 and later).
    ProblematicSkipped,
    /// A status of a later node, kept by its name.
    Other(String),
}

impl TxStatus {
    /// The node's word for it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Success => "success",
            Self::AbortByResponse => "abort_by_response",
            Self::AbortByPostCondition => "abort_by_post_condition",
            Self::ProblematicSkipped => "problematic_skipped",
            Self::Other(name) => name,
        }
    }

    /// From the node's word; an unknown word is kept.
    pub fn from_name(name: &str) -> Self {
        match name {
            "success" => Self::Success,
            "abort_by_response" => Self::AbortByResponse,
            "abort_by_post_condition" => Self::AbortByPostCondition,
            "problematic_skipped" => Self::ProblematicSkipped,
            other => Self::Other(other.to_owned()),
        }
    }
}

/// What a transaction is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TxKind {
    /// A SIP-005 transaction; the payload kind of the codec.
    Stacks(stxworx_clarity::codec::transaction::PayloadKind),
    /// An operation sent on Bitcoin (`raw_tx` is `0x00`).
    BurnchainOp,
    /// Named by an event but absent from the block's list of transactions.
    Unlisted,
    /// Bytes that no codec of this version reads; kept raw.
    Undecoded,
}

impl TxKind {
    /// A stable name, used in the database and the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stacks(kind) => kind.as_str(),
            Self::BurnchainOp => "burnchain_op",
            Self::Unlisted => "unlisted",
            Self::Undecoded => "undecoded",
        }
    }
}

/// A transaction as it stands in one block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction {
    /// Position in the node's list.
    pub tx_index: u32,
    /// The id.
    pub txid: TxId,
    /// What it is.
    pub kind: TxKind,
    /// What became of it.
    pub status: TxStatus,
    /// Who sent it; unknown for what could not be decoded.
    pub sender: Option<String>,
    /// Who paid for it, if not the sender.
    pub sponsor: Option<String>,
    /// The sender's nonce.
    pub nonce: Option<u64>,
    /// Micro-STX paid to the miner.
    pub fee: Option<u64>,
    /// The contract called or deployed.
    pub contract: Option<String>,
    /// The function called.
    pub function: Option<String>,
    /// SIP-005 bytes; empty where the source does not know them. The id commits to them.
    pub raw_tx: Vec<u8>,
    /// The result as a serialised Clarity value.
    pub raw_result: Vec<u8>,
    /// JSON of an operation sent on Bitcoin.
    pub burnchain_op: Option<String>,
    /// The node's explanation of a failure. Not consensus data, so not part of any digest.
    pub vm_error: Option<String>,
}

/// A Bitcoin block as the node evaluated it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BurnBlock {
    /// The identity.
    pub hash: BurnBlockHash,
    /// Bitcoin height.
    pub height: u32,
    /// The parent; absent in payloads of old nodes.
    pub parent: Option<BurnBlockHash>,
    /// The sortition's identity; absent in payloads of old nodes.
    pub consensus_hash: Option<ConsensusHash>,
}
