//! A node's answers, put into the form of its observer's payloads; pure.

use serde_json::{Value as Json, json};
use stxworx_clarity::codec::transaction::{Payload, Transaction};
use stxworx_clarity::codec::{index_block_hash, sha512_256};

use super::wire::{Replayed, ReplayedTransaction, Sortition};
use crate::model::{BlockRef, TxId, TxStatus};
use crate::source::pull::Fetched;

/// What may happen in a block that starts or extends a tenure and is not told by a replay.
const MAY_LACK: [&str; 3] = [
    "bitcoin operations",
    "phantom unlocks",
    "matured miner rewards",
];

/// A block in the form of `/new_block`, or why the answer cannot be used.
pub(super) fn new_block(replayed: &Replayed, sortition: &Sortition) -> Result<Fetched, String> {
    let id = replayed.block_id;
    let hashed = index_block_hash(&replayed.block_hash.0, &replayed.consensus_hash.0);
    if hashed != id.0 {
        return Err(format!(
            "block hash {} and consensus hash {} make block 0x{}, not {id}",
            replayed.block_hash,
            replayed.consensus_hash,
            hex::encode(hashed)
        ));
    }
    if !replayed.valid_merkle_root {
        return Err("what the node executed is not what the block's header commits to".to_owned());
    }
    let mut transactions = Vec::with_capacity(replayed.transactions.len());
    let mut events = Vec::new();
    let mut changes_tenure = false;
    for (place, told) in replayed.transactions.iter().enumerate() {
        let at = |why: String| format!("transaction {place} ({}): {why}", told.txid);
        let status = status(told).map_err(at)?;
        changes_tenure |= is_tenure_change(told).map_err(at)?;
        if status == TxStatus::Success {
            push_events(&mut events, told).map_err(at)?;
        }
        transactions.push(json!({
            "txid": told.txid,
            "tx_index": place,
            "status": status.as_str(),
            "raw_result": with_0x(&told.result_hex),
            "raw_tx": with_0x(&told.hex),
            "burnchain_op": null,
            "vm_error": told.vm_error,
        }));
    }
    let mut body = json!({
        "index_block_hash": id,
        "parent_index_block_hash": replayed.parent_block_id,
        "block_height": replayed.block_height,
        "block_hash": replayed.block_hash,
        "block_time": replayed.timestamp,
        "burn_block_hash": sortition.burn_block_hash,
        "burn_block_height": sortition.burn_block_height,
        "burn_block_time": sortition.burn_header_timestamp,
        "consensus_hash": replayed.consensus_hash,
        "transactions": transactions,
        "events": events,
    });
    if changes_tenure && let Some(body) = body.as_object_mut() {
        body.insert("may_lack".into(), json!(MAY_LACK));
    }
    Ok(Fetched {
        block: BlockRef {
            id,
            height: replayed.block_height,
        },
        parent: replayed.parent_block_id,
        body: body.to_string().into_bytes(),
    })
}

/// A replay has no status: it follows from what is there.
fn status(told: &ReplayedTransaction) -> Result<TxStatus, String> {
    if told.post_condition_aborted {
        return Ok(TxStatus::AbortByPostCondition);
    }
    let digits = told.result_hex.strip_prefix("0x");
    match digits.unwrap_or(&told.result_hex).get(..2) {
        Some("07") => Ok(TxStatus::Success),
        Some("08") => Ok(TxStatus::AbortByResponse),
        _ => Err(format!(
            "its result is no response, so that what became of it is not known: {:?}",
            told.result_hex.chars().take(40).collect::<String>()
        )),
    }
}

/// The bytes must be those of the transaction that they are said to be of.
fn is_tenure_change(told: &ReplayedTransaction) -> Result<bool, String> {
    let digits = told.hex.strip_prefix("0x").unwrap_or(&told.hex);
    let bytes = hex::decode(digits).map_err(|e| format!("its bytes are not hexadecimal: {e}"))?;
    let hashed = TxId(sha512_256(&bytes));
    if hashed != told.txid {
        return Err(format!("its bytes are of transaction {hashed}"));
    }
    // What this version cannot read is kept raw further on.
    Ok(Transaction::decode(&bytes).is_ok_and(|t| matches!(t.payload, Payload::TenureChange(_))))
}

/// Numbers events over the whole block, as an observer gets them.
fn push_events(events: &mut Vec<Json>, told: &ReplayedTransaction) -> Result<(), String> {
    let mut before = None;
    for event in &told.events {
        let index = event.get("event_index").and_then(Json::as_u64);
        let index = index.ok_or("an event has no event_index")?;
        if before.is_some_and(|b| b >= index) {
            return Err(format!("event {index} comes out of order"));
        }
        before = Some(index);
        let of = event.get("txid").and_then(Json::as_str);
        let of: Option<TxId> = of.and_then(|t| t.parse().ok());
        if of != Some(told.txid) {
            return Err(format!("event {index} is of another transaction"));
        }
        if event.get("committed") == Some(&Json::Bool(false)) {
            continue;
        }
        let mut event = event.clone();
        event.insert("event_index".into(), json!(events.len()));
        event.insert("committed".into(), Json::Bool(true));
        event.insert("txid".into(), json!(told.txid));
        events.push(Json::Object(event));
    }
    Ok(())
}

fn with_0x(digits: &str) -> String {
    format!("0x{}", digits.strip_prefix("0x").unwrap_or(digits))
}

/// A Bitcoin block in the form of `/new_burn_block`.
pub(super) fn new_burn_block(here: &Sortition, below: Option<&Sortition>) -> Vec<u8> {
    let mut body = json!({
        "burn_block_hash": here.burn_block_hash,
        "burn_block_height": here.burn_block_height,
        "consensus_hash": here.consensus_hash,
    });
    if let (Some(below), Some(body)) = (below, body.as_object_mut()) {
        body.insert(
            "parent_burn_block_hash".into(),
            json!(below.burn_block_hash),
        );
    }
    body.to_string().into_bytes()
}
