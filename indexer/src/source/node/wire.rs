//! A node's answers (stacks-core, `stackslib/src/net/api`). Hashes come with 0x in sortitions and events, and without
//! elsewhere; either is read anywhere.

use serde::{Deserialize, Deserializer};

use crate::model::{BlockHash, BurnBlockHash, ConsensusHash, IndexBlockHash, TxId};

/// `/v2/info`, as far as it is needed.
#[derive(Debug, Deserialize)]
pub(super) struct Info {
    pub server_version: String,
    pub network_id: u32,
    pub burn_block_height: u32,
    pub stacks_tip_height: u32,
    /// Header hash of the tip; not its identity.
    pub stacks_tip: BlockHash,
    pub stacks_tip_consensus_hash: ConsensusHash,
}

/// `/v3/tenures/info`, as far as it is needed.
#[derive(Debug, Deserialize)]
pub(super) struct TenureInfo {
    pub consensus_hash: ConsensusHash,
    pub tip_block_id: IndexBlockHash,
    pub tip_height: u32,
}

/// A tenure's blocks, the highest first.
#[derive(Debug, Deserialize)]
pub(super) struct Tenure {
    pub burn_block_height: u32,
    pub stacks_blocks: Vec<TenureBlock>,
}

/// A block in the list of its tenure.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct TenureBlock {
    pub block_id: IndexBlockHash,
    /// `nakamoto` or `epoch2`; older nodes list the former only and do not say so.
    #[serde(default)]
    pub header_type: Option<String>,
    pub parent_block_id: IndexBlockHash,
    pub height: u32,
}

/// `/v3/sortitions` and below: a list with one element, or, of some versions, the element.
#[derive(Debug)]
pub(super) struct Sortitions(Vec<Sortition>);

impl Sortitions {
    pub(super) fn one(self) -> Option<Sortition> {
        self.0.into_iter().next()
    }
}

impl<'de> Deserialize<'de> for Sortitions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        let list = if value.is_array() {
            serde_json::from_value(value)
        } else {
            serde_json::from_value(value).map(|one| vec![one])
        };
        list.map(Self).map_err(serde::de::Error::custom)
    }
}

/// What a Bitcoin block elected.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Sortition {
    pub burn_block_hash: BurnBlockHash,
    pub burn_block_height: u32,
    /// Unix seconds.
    pub burn_header_timestamp: u64,
    pub sortition_id: String,
    pub parent_sortition_id: String,
    pub consensus_hash: ConsensusHash,
}

/// `/v3/blocks/replay/{id}`.
#[derive(Debug, Deserialize)]
pub(super) struct Replayed {
    pub block_id: IndexBlockHash,
    pub block_hash: BlockHash,
    pub block_height: u32,
    pub parent_block_id: IndexBlockHash,
    pub consensus_hash: ConsensusHash,
    /// Unix seconds.
    pub timestamp: u64,
    /// Is what was executed what the header commits to?
    pub valid_merkle_root: bool,
    pub transactions: Vec<ReplayedTransaction>,
}

/// A transaction of a replayed block. `tx_index` is 0 everywhere and not read: the order is the block's.
#[derive(Debug, Deserialize)]
pub(super) struct ReplayedTransaction {
    pub txid: TxId,
    /// SIP-005 bytes.
    pub hex: String,
    pub result_hex: String,
    /// In the observer's form, numbered from 0 in each transaction.
    pub events: Vec<serde_json::Map<String, serde_json::Value>>,
    pub post_condition_aborted: bool,
    #[serde(default)]
    pub vm_error: Option<String>,
}

/// `/v2/pox`, as far as it is needed.
#[derive(Debug, Deserialize)]
pub(super) struct Pox {
    #[serde(default)]
    pub epochs: Vec<Epoch>,
}

/// An epoch of the chain.
#[derive(Debug, Deserialize)]
pub(super) struct Epoch {
    pub epoch_id: String,
    /// Bitcoin height.
    pub start_height: u32,
}
