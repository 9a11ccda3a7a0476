//! Rows as the API writes them. Names and forms are those of its 9.x schemas; where a row holds more there,
//! nobody here reads it.

use serde_json::{Value as Json, json};
use stxworx_clarity::codec::Value;
use stxworx_clarity::codec::transaction::{Payload, TenureCause, TenureChange};
use stxworx_clarity::simnet::{Receipt, SealedBlock, SimEvent};

/// A hash as the API writes it.
pub(super) fn hex0x(bytes: &[u8]) -> String {
    format!("0x{}", hex::encode(bytes))
}

/// A row of `v2/blocks`. Before epoch 3.0 a block has no time of its own, and the API writes Bitcoin's.
pub(super) fn block(block: &SealedBlock) -> Json {
    let h = &block.header;
    json!({
        "canonical": true,
        "height": h.height,
        "hash": hex0x(&h.block_hash),
        "block_time": h.time.unwrap_or(h.burn.time),
        "block_time_iso": "",
        "tenure_height": h.tenure_height,
        "index_block_hash": hex0x(&h.id),
        "parent_block_hash": hex0x(&h.parent_block_hash),
        "parent_index_block_hash": hex0x(&h.parent),
        "burn_block_time": h.burn.time,
        "burn_block_time_iso": "",
        "burn_block_hash": hex0x(&h.burn.hash),
        "burn_block_height": h.burn.height,
        "miner_txid": hex0x(&h.burn.miner_txid),
        "tx_count": block.receipts.len(),
        "execution_cost_read_count": 0,
        "execution_cost_read_length": 0,
        "execution_cost_runtime": 0,
        "execution_cost_write_count": 0,
        "execution_cost_write_length": 0,
    })
}

/// A row of `v2/burn-blocks`, made of the Stacks blocks that it elected, the newest first. The API names no
/// parent, and has no row for a Bitcoin block without a Stacks block.
pub(super) fn burn_block(elected: &[&SealedBlock]) -> Json {
    let Some(first) = elected.first() else {
        return Json::Null;
    };
    let burn = &first.header.burn;
    json!({
        "burn_block_time": burn.time,
        "burn_block_time_iso": "",
        "burn_block_hash": hex0x(&burn.hash),
        "burn_block_height": burn.height,
        "stacks_blocks": elected.iter().map(|b| hex0x(&b.header.block_hash)).collect::<Vec<_>>(),
        "avg_block_time": 0,
        "total_tx_count": elected.iter().map(|b| b.receipts.len()).sum::<usize>(),
    })
}

/// Bytes of a value, and the text that a Clarity prompt prints.
fn value(bytes: &[u8]) -> Json {
    let repr = Value::decode_exact(bytes).map(|v| v.to_string());
    json!({ "hex": hex0x(bytes), "repr": repr.unwrap_or_default() })
}

/// What a list says of a transaction.
pub(super) fn summary(block: &SealedBlock, index: u32, receipt: &Receipt) -> Json {
    let (h, t) = (&block.header, &receipt.transaction);
    let mut row = json!({
        "tx_id": hex0x(&receipt.txid),
        "sender": { "address": t.origin_address().to_string(), "nonce": t.nonce() },
        "sponsor": t.sponsor_address().map(|p| json!({ "address": p.to_string(), "nonce": 0 })),
        "fee_rate": t.fee().to_string(),
        "block": {
            "height": h.height,
            "hash": hex0x(&h.block_hash),
            "index_hash": hex0x(&h.id),
            "time": h.time.unwrap_or(h.burn.time),
            "tx_index": index,
        },
        "bitcoin_block": { "height": h.burn.height, "time": h.burn.time },
        "status": receipt.status.as_str(),
    });
    let (kind, body) = payload(receipt);
    put(&mut row, "type", json!(kind));
    if let Some(body) = body {
        put(&mut row, kind, body);
    }
    row
}

fn put(row: &mut Json, key: &str, value: Json) {
    if let Some(object) = row.as_object_mut() {
        object.insert(key.to_owned(), value);
    }
}

/// The API's name for the kind, and what it says of the payload under that name.
fn payload(receipt: &Receipt) -> (&'static str, Option<Json>) {
    let t = &receipt.transaction;
    match &t.payload {
        Payload::TokenTransfer {
            recipient,
            amount,
            memo,
        } => {
            let body = json!({
                "recipient": recipient.to_string(),
                "amount": amount.to_string(),
                "memo": { "hex": hex0x(memo), "repr": "" },
            });
            ("token_transfer", Some(body))
        }
        Payload::SmartContract { version, .. } => {
            let body = json!({
                "clarity_version": version.map(|v| v.to_byte()),
                "contract_id": t.contract_id().map(|c| c.to_string()),
            });
            ("smart_contract", Some(body))
        }
        Payload::ContractCall {
            contract, function, ..
        } => {
            let body =
                json!({ "contract_id": contract.to_string(), "function_name": function.as_str() });
            ("contract_call", Some(body))
        }
        Payload::Coinbase { data } => {
            let body = json!({ "alt_recipient": null, "payload": hex0x(data), "vrf_proof": null });
            ("coinbase", Some(body))
        }
        Payload::CoinbaseToAltRecipient { data, recipient } => {
            let recipient = recipient.to_string();
            let body =
                json!({ "alt_recipient": recipient, "payload": hex0x(data), "vrf_proof": null });
            ("coinbase", Some(body))
        }
        Payload::NakamotoCoinbase {
            data,
            recipient,
            vrf_proof,
        } => {
            let body = json!({
                "alt_recipient": recipient.as_ref().map(|p| p.to_string()),
                "payload": hex0x(data),
                "vrf_proof": hex0x(&vrf_proof[..]),
            });
            ("coinbase", Some(body))
        }
        Payload::TenureChange(change) => ("tenure_change", Some(tenure_change(change))),
        Payload::PoisonMicroblock { .. } | Payload::Unknown(_) => ("poison_microblock", None),
    }
}

fn tenure_change(change: &TenureChange) -> Json {
    let cause = match change.cause {
        TenureCause::BlockFound => "block_found",
        TenureCause::ExtendedRuntime => "extended_runtime",
        TenureCause::ExtendedReadCount => "extended_read_count",
        TenureCause::ExtendedReadLength => "extended_read_length",
        TenureCause::ExtendedWriteCount => "extended_write_count",
        TenureCause::ExtendedWriteLength => "extended_write_length",
        TenureCause::Extended | TenureCause::Unknown(_) => "extended",
    };
    json!({
        "cause": cause,
        "tenure_consensus_hash": hex0x(&change.tenure_consensus_hash),
        "prev_tenure_consensus_hash": hex0x(&change.previous_tenure_consensus_hash),
        "burn_view_consensus_hash": hex0x(&change.burn_view_consensus_hash),
        "previous_tenure_end": hex0x(&change.previous_tenure_end),
        "previous_tenure_blocks": change.previous_tenure_blocks,
        "pubkey_hash": hex0x(&change.public_key_hash),
    })
}

/// A transaction, with the heavy fields that were asked for.
pub(super) fn transaction(
    block: &SealedBlock,
    index: u32,
    receipt: &Receipt,
    include: &[String],
) -> Json {
    let mut row = summary(block, index, receipt);
    let parent = json!({
        "hash": hex0x(&block.header.parent_block_hash),
        "index_hash": hex0x(&block.header.parent),
    });
    let cost = json!({ "read_count": 0, "read_length": 0, "runtime": 0, "write_count": 0, "write_length": 0 });
    put(&mut row, "parent_block", parent);
    put(&mut row, "event_count", json!(receipt.events.len()));
    put(&mut row, "execution_cost", cost);
    put(&mut row, "vm_error", json!(receipt.vm_error));
    let asked = |field: &str| include.iter().any(|i| i == field);
    if asked("result") {
        put(&mut row, "result", value(&receipt.raw_result));
    }
    match (&receipt.transaction.payload, row.as_object_mut()) {
        (Payload::ContractCall { arguments, .. }, Some(object)) if asked("function_args") => {
            let arguments: Vec<_> = arguments.iter().map(|a| value(a.as_bytes())).collect();
            if let Some(call) = object.get_mut("contract_call") {
                put(call, "function_args", json!(arguments));
            }
        }
        (Payload::SmartContract { code, .. }, Some(object)) if asked("source_code") => {
            if let Some(contract) = object.get_mut("smart_contract") {
                put(contract, "source_code", json!(code));
            }
        }
        _ => {}
    }
    row
}

/// A row of a transaction's events.
pub(super) fn event(index: u32, event: &SimEvent) -> Json {
    let text = |field: &str| event.body.get(field).cloned().unwrap_or(Json::Null);
    let bytes = |field: &str| {
        let digits = event
            .body
            .get(field)
            .and_then(Json::as_str)
            .unwrap_or_default();
        hex::decode(digits.strip_prefix("0x").unwrap_or(digits)).unwrap_or_default()
    };
    let (kind, mut body) = match event.kind.split_once('_') {
        Some(("contract", _)) => {
            let body = json!({
                "contract_id": text("contract_identifier"),
                "topic": "print",
                "value": value(&bytes("raw_value")),
            });
            ("contract_log", body)
        }
        Some(("stx", "lock_event")) => {
            let body = json!({
                "amount": text("locked_amount"),
                "unlock_bitcoin_height": text("unlock_height").as_str().and_then(|h| h.parse::<u32>().ok()),
                "address": text("locked_address"),
            });
            ("stx_lock", body)
        }
        Some(("stx", _)) => ("stx_asset", json!({ "amount": text("amount") })),
        Some(("ft", _)) => {
            let body =
                json!({ "asset_identifier": text("asset_identifier"), "amount": text("amount") });
            ("ft_asset", body)
        }
        _ => {
            let body = json!({
                "asset_identifier": text("asset_identifier"),
                "value": value(&bytes("raw_value")),
            });
            ("nft_asset", body)
        }
    };
    if kind.ends_with("_asset") {
        let act = ["transfer", "mint", "burn"]
            .into_iter()
            .find(|act| event.kind.contains(act));
        put(&mut body, "type", json!(act));
        for side in ["sender", "recipient"] {
            if let Some(who) = event.body.get(side) {
                put(&mut body, side, who.clone());
            }
        }
        if event.kind == "stx_transfer_event" {
            let memo = bytes("memo");
            let memo = (!memo.is_empty()).then(|| json!({ "hex": hex0x(&memo), "repr": "" }));
            put(&mut body, "memo", json!(memo));
        }
    }
    json!({ "event_index": index, "type": kind, kind: body })
}
