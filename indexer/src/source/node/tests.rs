use serde_json::{Value as Json, json};
use stxworx_clarity::codec::{index_block_hash, sha512_256};

use super::assemble::new_block;
use super::wire::{Replayed, Sortition, Sortitions};
use crate::decode::decode_block;
use crate::model::{EventKind, TxStatus};

const CH: [u8; 20] = [3; 20];

fn sortition() -> Sortition {
    let answer: Sortitions = serde_json::from_value(json!([{
        "burn_block_hash": format!("0x{}", "05".repeat(32)), "burn_block_height": 120,
        "burn_header_timestamp": 1_700_000_000, "sortition_id": "0x01", "parent_sortition_id": "0x02",
        "consensus_hash": format!("0x{}", hex::encode(CH)), "was_sortition": true,
    }]))
    .unwrap();
    answer.one().unwrap()
}

fn print(txid: &str, index: u64) -> Json {
    json!({
        "txid": format!("0x{txid}"), "event_index": index, "committed": true, "type": "contract_event",
        "contract_event": {"contract_identifier": "ST1.x", "topic": "print", "raw_value": "0x03"},
    })
}

/// An answer with transactions of these bytes and results; each has two events.
fn answer(results: &[(&str, bool)]) -> Json {
    let transactions: Vec<Json> = results
        .iter()
        .zip(0u8..)
        .map(|((result, aborted), n)| {
            let txid = hex::encode(sha512_256(&[n]));
            json!({
                "txid": txid, "tx_index": 0, "data": null, "hex": hex::encode([n]), "result_hex": result,
                "events": [print(&txid, 0), print(&txid, 1)], "post_condition_aborted": aborted, "vm_error": null,
            })
        })
        .collect();
    let block_hash = [9; 32];
    json!({
        "block_id": hex::encode(index_block_hash(&block_hash, &CH)), "block_hash": hex::encode(block_hash),
        "block_height": 77, "parent_block_id": "08".repeat(32), "consensus_hash": hex::encode(CH),
        "timestamp": 1_700_000_100, "valid_merkle_root": true, "transactions": transactions,
    })
}

fn assembled(answer: Json) -> Result<Json, String> {
    let replayed: Replayed = serde_json::from_value(answer).map_err(|e| e.to_string())?;
    let fetched = new_block(&replayed, &sortition())?;
    assert_eq!(fetched.block.id, replayed.block_id);
    Ok(serde_json::from_slice(&fetched.body).unwrap())
}

#[test]
fn statuses_follow_and_only_what_happened_is_told() {
    let results = [
        ("0x0703", false),
        ("0x0703", true),
        ("0x0809", false),
        ("0703", false),
    ];
    let body = assembled(answer(&results)).unwrap();
    let block = decode_block(body.to_string().as_bytes()).unwrap();
    let statuses: Vec<_> = block
        .transactions
        .iter()
        .map(|t| t.status.clone())
        .collect();
    assert_eq!(
        statuses,
        [
            TxStatus::Success,
            TxStatus::AbortByPostCondition,
            TxStatus::AbortByResponse,
            TxStatus::Success
        ]
    );
    let places: Vec<_> = block
        .events
        .iter()
        .map(|e| (e.tx_index, e.ordinal))
        .collect();
    assert_eq!(places, [(0, 0), (0, 1), (3, 0), (3, 1)]);
    assert!(
        block
            .events
            .iter()
            .all(|e| e.body.kind == EventKind::Contract)
    );
    let numbers: Vec<_> = body["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["event_index"].as_u64().unwrap())
        .collect();
    assert_eq!(numbers, [0, 1, 2, 3], "numbered over the block");
    assert_eq!(block.header.burn_block_height, 120);
    assert_eq!(block.header.block_time, Some(1_700_000_100));
    assert_eq!(body.get("may_lack"), None, "no tenure begins here");
}

#[test]
fn what_contradicts_itself_is_refused_with_the_reason() {
    let sound = answer(&[("0x0703", false)]);
    let other = hex::encode([1; 32]);
    let cases: [(&str, Json, &str); 9] = [
        ("/block_hash", json!(other), "make block"),
        ("/consensus_hash", json!("04".repeat(20)), "make block"),
        ("/valid_merkle_root", json!(false), "header commits to"),
        ("/transactions/0/hex", json!("ff"), "its bytes are of"),
        ("/transactions/0/hex", json!("zz"), "not hexadecimal"),
        ("/transactions/0/result_hex", json!("0x03"), "no response"),
        ("/transactions/0/result_hex", json!("é"), "no response"),
        (
            "/transactions/0/events/0/txid",
            json!(other),
            "another transaction",
        ),
        (
            "/transactions/0/events/1/event_index",
            json!(0),
            "out of order",
        ),
    ];
    for (pointer, value, reason) in cases {
        let mut lie = sound.clone();
        *lie.pointer_mut(pointer).unwrap() = value;
        let error = assembled(lie).unwrap_err();
        assert!(error.contains(reason), "{pointer}: {error}");
    }
    for pointer in ["/block_id", "/parent_block_id"] {
        let mut short = sound.clone();
        *short.pointer_mut(pointer).unwrap() = json!("12");
        let error = assembled(short).unwrap_err();
        assert!(error.contains("64 hexadecimal digits"), "{error}");
    }
}

#[test]
fn a_sortition_is_read_alone_and_in_a_list() {
    let one = json!({
        "burn_block_hash": "05".repeat(32), "burn_block_height": 1, "burn_header_timestamp": 2,
        "sortition_id": "0x01", "parent_sortition_id": "0x02", "consensus_hash": hex::encode(CH),
    });
    let alone: Sortitions = serde_json::from_value(one).unwrap();
    assert_eq!(alone.one().unwrap().burn_block_height, 1);
    let none: Sortitions = serde_json::from_value(json!([])).unwrap();
    assert!(none.one().is_none());
}
