//! The node's payloads, as sent (stacks-core, `stacks-node/src/event_dispatcher/payloads.rs` and
//! `clarity/src/vm/events.rs`).
//!
//! Texts are borrowed from the body. Unknown fields are tolerated; fields that nodes of some version
//! leave out are optional. Amounts are texts, because they are `u128`.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

/// Body of `/new_block`.
#[derive(Debug, Deserialize)]
pub struct NewBlock<'a> {
    #[serde(borrow)]
    pub index_block_hash: Cow<'a, str>,
    #[serde(borrow)]
    pub parent_index_block_hash: Cow<'a, str>,
    pub block_height: u64,
    #[serde(borrow)]
    pub block_hash: Cow<'a, str>,
    #[serde(default)]
    pub block_time: Option<u64>,
    #[serde(borrow)]
    pub burn_block_hash: Cow<'a, str>,
    pub burn_block_height: u64,
    #[serde(default)]
    pub burn_block_time: u64,
    #[serde(borrow, default)]
    pub consensus_hash: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub miner_txid: Cow<'a, str>,
    #[serde(default)]
    pub tenure_height: Option<u64>,
    #[serde(borrow)]
    pub transactions: Vec<Transaction<'a>>,
    #[serde(borrow)]
    pub events: Vec<Event<'a>>,
}

/// One element of `transactions`.
#[derive(Debug, Deserialize)]
pub struct Transaction<'a> {
    #[serde(borrow)]
    pub txid: Cow<'a, str>,
    pub tx_index: u64,
    #[serde(borrow)]
    pub status: Cow<'a, str>,
    #[serde(borrow)]
    pub raw_result: Cow<'a, str>,
    #[serde(borrow)]
    pub raw_tx: Cow<'a, str>,
    #[serde(borrow, default)]
    pub burnchain_op: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub vm_error: Option<Cow<'a, str>>,
}

/// One element of `events`. Exactly one of the typed bodies is present, named by `type`.
#[derive(Debug, Deserialize)]
pub struct Event<'a> {
    #[serde(borrow)]
    pub txid: Cow<'a, str>,
    pub event_index: u64,
    pub committed: bool,
    #[serde(borrow, rename = "type")]
    pub kind: Cow<'a, str>,
    #[serde(borrow, default)]
    pub contract_event: Option<ContractEvent<'a>>,
    #[serde(borrow, default)]
    pub stx_transfer_event: Option<Movement<'a>>,
    #[serde(borrow, default)]
    pub stx_mint_event: Option<Movement<'a>>,
    #[serde(borrow, default)]
    pub stx_burn_event: Option<Movement<'a>>,
    #[serde(borrow, default)]
    pub stx_lock_event: Option<StxLock<'a>>,
    #[serde(borrow, default)]
    pub ft_transfer_event: Option<Movement<'a>>,
    #[serde(borrow, default)]
    pub ft_mint_event: Option<Movement<'a>>,
    #[serde(borrow, default)]
    pub ft_burn_event: Option<Movement<'a>>,
    #[serde(borrow, default)]
    pub nft_transfer_event: Option<Movement<'a>>,
    #[serde(borrow, default)]
    pub nft_mint_event: Option<Movement<'a>>,
    #[serde(borrow, default)]
    pub nft_burn_event: Option<Movement<'a>>,
}

/// `contract_event`.
#[derive(Debug, Deserialize)]
pub struct ContractEvent<'a> {
    #[serde(borrow)]
    pub contract_identifier: Cow<'a, str>,
    #[serde(borrow)]
    pub raw_value: Cow<'a, str>,
}

/// Any event that moves an asset; which fields are present depends on the kind.
#[derive(Debug, Deserialize)]
pub struct Movement<'a> {
    #[serde(borrow, default)]
    pub asset_identifier: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub sender: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub recipient: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub amount: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub memo: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub raw_value: Option<Cow<'a, str>>,
}

/// `stx_lock_event`.
#[derive(Debug, Deserialize)]
pub struct StxLock<'a> {
    #[serde(borrow)]
    pub locked_amount: Cow<'a, str>,
    #[serde(borrow)]
    pub unlock_height: Cow<'a, str>,
    #[serde(borrow)]
    pub locked_address: Cow<'a, str>,
    #[serde(borrow, default)]
    pub contract_identifier: Option<Cow<'a, str>>,
}

/// Body of `/new_burn_block`.
#[derive(Debug, Deserialize)]
pub struct NewBurnBlock<'a> {
    #[serde(borrow)]
    pub burn_block_hash: Cow<'a, str>,
    pub burn_block_height: u64,
    #[serde(borrow, default)]
    pub parent_burn_block_hash: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub consensus_hash: Option<Cow<'a, str>>,
}

/// Body of `/drop_mempool_tx`.
#[derive(Debug, Deserialize)]
pub struct DropMempoolTx<'a> {
    #[serde(borrow)]
    pub dropped_txids: Vec<Cow<'a, str>>,
    #[serde(borrow)]
    pub reason: Cow<'a, str>,
    #[serde(borrow, default)]
    pub new_txid: Option<Cow<'a, str>>,
}
