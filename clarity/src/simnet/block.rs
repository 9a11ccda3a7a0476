//! Blocks, as they stand once they are mined.

use std::sync::Arc;

use crate::codec::transaction::Transaction;
use crate::codec::{index_block_hash, sha512_256};

/// Identity of a Stacks block: its index block hash.
pub type BlockId = [u8; 32];
/// Identity of a transaction.
pub type TxId = [u8; 32];

/// Parent of block 0 in payloads (stacks-core `FIRST_STACKS_BLOCK_ID`'s sentinel).
pub const GENESIS_PARENT: BlockId = [0xff; 32];

/// A Bitcoin block, each of which elects a tenure here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BurnBlock {
    /// Its hash.
    pub hash: [u8; 32],
    /// Its height.
    pub height: u32,
    /// Hash of the one below.
    pub parent_hash: [u8; 32],
    /// The sortition that it held.
    pub consensus_hash: [u8; 20],
    /// Unix seconds.
    pub time: u64,
    /// The winning block commit.
    pub miner_txid: [u8; 32],
}

impl BurnBlock {
    pub(super) fn derive(
        seed: u64,
        parent_hash: [u8; 32],
        height: u32,
        time: u64,
        salt: u64,
    ) -> Self {
        let mut bytes = b"burn block".to_vec();
        bytes.extend_from_slice(&seed.to_be_bytes());
        bytes.extend_from_slice(&parent_hash);
        bytes.extend_from_slice(&height.to_be_bytes());
        bytes.extend_from_slice(&salt.to_be_bytes());
        let hash = sha512_256(&bytes);
        let mut consensus_hash = [0; 20];
        consensus_hash.copy_from_slice(&sha512_256(&[&b"sortition"[..], &hash].concat())[..20]);
        let miner_txid = sha512_256(&[&b"commit"[..], &hash].concat());
        Self {
            hash,
            height,
            parent_hash,
            consensus_hash,
            time,
            miner_txid,
        }
    }
}

/// How a transaction ended, by the node's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TxStatus {
    /// `success`
    Success,
    /// `abort_by_response`: an error response, or an error at run time.
    AbortByResponse,
    /// `abort_by_post_condition`
    AbortByPostCondition,
}

impl TxStatus {
    /// The node's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::AbortByResponse => "abort_by_response",
            Self::AbortByPostCondition => "abort_by_post_condition",
        }
    }
}

/// One event of a transaction.
#[derive(Debug, Clone, PartialEq)]
pub struct SimEvent {
    /// The node's name, for instance `contract_event`.
    pub kind: &'static str,
    /// The inner object, as the node writes it.
    pub body: serde_json::Value,
}

impl SimEvent {
    /// Contract and raw value of a print.
    pub fn print(&self) -> Option<(&str, Vec<u8>)> {
        if self.kind != "contract_event" {
            return None;
        }
        let contract = self.body.get("contract_identifier")?.as_str()?;
        let raw = self.body.get("raw_value")?.as_str()?;
        Some((contract, hex::decode(raw.strip_prefix("0x")?).ok()?))
    }
}

/// What became of a transaction.
#[derive(Debug, Clone)]
pub struct Receipt {
    /// Its id.
    pub txid: TxId,
    /// The transaction.
    pub transaction: Transaction,
    /// How it ended.
    pub status: TxStatus,
    /// The serialised result.
    pub raw_result: Vec<u8>,
    /// Its events; none unless it succeeded.
    pub events: Vec<SimEvent>,
    /// The machine's words for an error.
    pub vm_error: Option<String>,
    /// The interface of a contract that was deployed.
    pub interface: Option<serde_json::Value>,
}

/// Identity and place of a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The index block hash.
    pub id: BlockId,
    /// Hash of the header.
    pub block_hash: [u8; 32],
    /// Stacks height.
    pub height: u32,
    /// Index block hash of the parent.
    pub parent: BlockId,
    /// Header hash of the parent.
    pub parent_block_hash: [u8; 32],
    /// Unix seconds; none for block 0.
    pub time: Option<u64>,
    /// The Bitcoin block that elected the tenure.
    pub burn: Arc<BurnBlock>,
    /// That of the parent's tenure.
    pub parent_burn: Arc<BurnBlock>,
    /// Tenures up to this one.
    pub tenure_height: u32,
}

/// A mined block.
#[derive(Debug, Clone)]
pub struct SealedBlock {
    /// Identity and place.
    pub header: Header,
    /// Its transactions, in order.
    pub receipts: Vec<Receipt>,
}

impl SealedBlock {
    /// The hash of a header with these contents.
    pub(super) fn hash_of(
        seed: u64,
        parent: &BlockId,
        height: u32,
        time: u64,
        burn: &BurnBlock,
        receipts: &[Receipt],
    ) -> [u8; 32] {
        let mut bytes = b"block".to_vec();
        bytes.extend_from_slice(&seed.to_be_bytes());
        bytes.extend_from_slice(parent);
        bytes.extend_from_slice(&height.to_be_bytes());
        bytes.extend_from_slice(&time.to_be_bytes());
        bytes.extend_from_slice(&burn.hash);
        for receipt in receipts {
            bytes.extend_from_slice(&receipt.txid);
            bytes.extend_from_slice(receipt.status.as_str().as_bytes());
            bytes.extend_from_slice(&receipt.raw_result);
        }
        sha512_256(&bytes)
    }

    pub(super) fn id_of(block_hash: &[u8; 32], burn: &BurnBlock) -> BlockId {
        index_block_hash(block_hash, &burn.consensus_hash)
    }
}
