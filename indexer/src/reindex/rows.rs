//! A block's rows as the mirror's tables hold them, by column; principals by name, versions without numbers. Pure.

use serde_json::{Value, json};

use crate::model::{Block, Version};

fn bytea(bytes: &[u8]) -> String {
    format!("\\x{}", hex::encode(bytes))
}

/// Numbers are text: columns hold more digits than a JSON number can be trusted with.
fn digits(value: Option<impl ToString>) -> Option<String> {
    value.map(|v| v.to_string())
}

/// Every row of a block, with its table.
pub(super) fn of(block: &Block, versions: &[Version]) -> Vec<(&'static str, Value)> {
    let h = &block.header;
    let header = json!({
        "parent": bytea(h.parent.as_bytes()), "height": h.height,
        "block_hash": bytea(h.block_hash.as_bytes()), "block_time": h.block_time,
        "burn_block_hash": bytea(h.burn_block_hash.as_bytes()), "burn_block_height": h.burn_block_height,
        "burn_block_time": h.burn_block_time,
        "consensus_hash": h.consensus_hash.as_ref().map(|c| bytea(c.as_bytes())),
        "burn_view": h.burn_view.as_ref().map(|c| bytea(c.as_bytes())),
        "miner_txid": h.miner_txid.as_ref().map(|t| bytea(t.as_bytes())),
        "tenure_height": h.tenure_height, "listed_transactions": block.listed_transactions,
        "listed_events": block.listed_events,
    });
    let transactions = block.transactions.iter().map(|t| {
        let row = json!({
            "tx_index": t.tx_index, "height": h.height, "txid": bytea(t.txid.as_bytes()),
            "kind": t.kind.as_str(), "status": t.status.as_str(), "sender": t.sender, "sponsor": t.sponsor,
            "contract": t.contract, "nonce": digits(t.nonce), "fee": digits(t.fee), "function": t.function,
            "raw_tx": bytea(&t.raw_tx), "raw_result": bytea(&t.raw_result), "burnchain_op": t.burnchain_op,
            "vm_error": t.vm_error,
        });
        ("transaction", row)
    });
    let events = block.events.iter().map(|e| {
        let b = &e.body;
        let row = json!({
            "tx_index": e.tx_index, "ordinal": e.ordinal, "height": h.height, "kind": b.kind.code(),
            "contract": b.contract, "sender": b.sender, "recipient": b.recipient, "amount": digits(b.amount),
            "unlock_height": digits(b.unlock_height), "asset": b.asset, "topic": b.topic,
            "value": b.value.as_deref().map(bytea),
        });
        ("event", row)
    });
    let versions = versions.iter().map(|v| {
        let row = json!({
            "projection": v.projection, "height": h.height, "position": v.position, "entity": v.entity,
            "state": v.state,
        });
        ("projection_version", row)
    });
    std::iter::once(("block", header))
        .chain(transactions)
        .chain(events)
        .chain(versions)
        .collect()
}
