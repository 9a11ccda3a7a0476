//! Answers of the Stacks Blockchain API 9.x, as far as they are read.
//!
//! Amounts are texts: a number there is refused, because it may have been rounded. Fields that are not read
//! are tolerated; kinds that this version does not know are kept raw.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::model::{BlockHash, BurnBlockHash, ConsensusHash, IndexBlockHash, TxId};

/// `/extended`
#[derive(Debug, Deserialize)]
pub(super) struct Status {
    pub chain_tip: ChainTip,
}

#[derive(Debug, Deserialize)]
pub(super) struct ChainTip {
    pub block_height: u32,
    pub index_block_hash: IndexBlockHash,
    pub burn_block_height: u32,
}

/// A page of version 2: `next` is newer, `prev` older.
#[derive(Debug, Deserialize)]
pub(super) struct Page<T> {
    pub results: Vec<T>,
    #[serde(default)]
    pub total: Option<u64>,
    #[serde(default)]
    pub next_cursor: Option<String>,
    #[serde(default)]
    pub prev_cursor: Option<String>,
    #[serde(default)]
    pub cursor: Option<String>,
}

/// A page of version 3: `next` is what comes after in the page's own order.
#[derive(Debug, Deserialize)]
pub(super) struct PageV3<T> {
    pub results: Vec<T>,
    pub cursor: Cursors,
}

#[derive(Debug, Deserialize)]
pub(super) struct Cursors {
    pub next: Option<String>,
}

/// A row of `v2/blocks`.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct BlockRow {
    #[serde(default = "yes")]
    pub canonical: bool,
    pub height: u32,
    pub hash: BlockHash,
    pub block_time: u64,
    #[serde(default)]
    pub tenure_height: Option<i64>,
    pub index_block_hash: IndexBlockHash,
    pub parent_block_hash: BlockHash,
    pub parent_index_block_hash: IndexBlockHash,
    pub burn_block_time: u64,
    pub burn_block_hash: BurnBlockHash,
    pub burn_block_height: u32,
    #[serde(default)]
    pub miner_txid: Option<TxId>,
    pub tx_count: u32,
}

fn yes() -> bool {
    true
}

/// A row of `v2/burn-blocks`.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct BurnRow {
    pub burn_block_hash: BurnBlockHash,
    pub burn_block_height: u32,
}

/// A row of a contract's logs. It says nothing of its block.
#[derive(Debug, Deserialize)]
pub(super) struct LogRow {
    pub tx_id: TxId,
    pub contract_log: LogOf,
}

#[derive(Debug, Deserialize)]
pub(super) struct LogOf {
    pub contract_id: String,
}

/// A row of a principal's transactions.
#[derive(Debug, Deserialize)]
pub(super) struct PrincipalRow {
    pub transaction: Summary,
}

#[derive(Debug, Deserialize)]
pub(super) struct Summary {
    pub tx_id: TxId,
    pub block: TxPlace,
}

/// Where a transaction was mined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) struct TxPlace {
    pub height: u32,
    pub index_hash: IndexBlockHash,
    pub tx_index: u32,
}

/// A transaction. One that is not mined (any more) has no block.
#[derive(Debug, Deserialize)]
pub(super) struct TxRow {
    pub tx_id: TxId,
    pub sender: Account,
    #[serde(default)]
    pub sponsor: Option<Account>,
    pub fee_rate: String,
    #[serde(default)]
    pub block: Option<TxPlace>,
    pub status: String,
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(default)]
    pub smart_contract: Option<Deployed>,
    #[serde(default)]
    pub contract_call: Option<Called>,
    #[serde(default)]
    pub coinbase: Option<Coinbase>,
    #[serde(default)]
    pub tenure_change: Option<TenureChange>,
    #[serde(default)]
    pub event_count: u32,
    #[serde(default)]
    pub vm_error: Option<String>,
    #[serde(default)]
    pub result: Option<Bytes>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Account {
    pub address: String,
    #[serde(default)]
    pub nonce: u64,
}

#[derive(Debug, Deserialize)]
pub(super) struct Deployed {
    pub contract_id: String,
    #[serde(default)]
    pub clarity_version: Option<u8>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Called {
    pub contract_id: String,
    pub function_name: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Coinbase {
    #[serde(default)]
    pub alt_recipient: Option<String>,
    #[serde(default)]
    pub vrf_proof: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct TenureChange {
    pub burn_view_consensus_hash: ConsensusHash,
}

/// A value, of which only the bytes count.
#[derive(Debug, Deserialize)]
pub(super) struct Bytes {
    pub hex: String,
}

/// An event of a transaction, whatever it is.
pub(super) type RawEvent = Box<RawValue>;

/// What every event has.
#[derive(Debug, Deserialize)]
pub(super) struct EventHead {
    pub event_index: u32,
    #[serde(rename = "type")]
    pub kind: String,
}

/// The kinds of event that are known, each under the field of its name.
#[derive(Debug, Deserialize)]
pub(super) struct EventBody {
    #[serde(default)]
    pub contract_log: Option<ContractLog>,
    #[serde(default)]
    pub stx_lock: Option<StxLock>,
    #[serde(default)]
    pub stx_asset: Option<Asset>,
    #[serde(default)]
    pub ft_asset: Option<Asset>,
    #[serde(default)]
    pub nft_asset: Option<Asset>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ContractLog {
    pub contract_id: String,
    pub value: Bytes,
}

#[derive(Debug, Deserialize)]
pub(super) struct StxLock {
    pub amount: String,
    pub unlock_bitcoin_height: u64,
    pub address: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Asset {
    #[serde(rename = "type")]
    pub act: String,
    #[serde(default)]
    pub asset_identifier: Option<String>,
    #[serde(default)]
    pub sender: Option<String>,
    #[serde(default)]
    pub recipient: Option<String>,
    #[serde(default)]
    pub amount: Option<String>,
    #[serde(default)]
    pub memo: Option<Bytes>,
    #[serde(default)]
    pub value: Option<Bytes>,
}
