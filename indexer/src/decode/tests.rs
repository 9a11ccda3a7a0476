use proptest::prelude::*;
use serde_json::{Value as Json, json};
use stxworx_clarity::codec::Value;

use super::*;
use crate::model::{
    Block, ConsensusHash, Event, EventBody, EventKind, Transaction, TxKind, TxStatus,
};

/// A deployment as a node sends it: of `freelance-data`, nonce 0, fee 28272.
const DEPLOYMENT: &str = "0x80800000000400709ee79f641b777c80b39b76a7b32392719f24a900000000000000000000000000006e700001d120007fd22d60d39b9e3fc3880407c758361bf9eb9f9a4aa24952cdf2dc7671cda8da318be58e1d513b1e9229432efc4f2dcb0fe303c3d4a42bf65e7faa8da903010000000006030e667265656c616e63652d64617461000000433b3b2041207374616e642d696e20666f7220667265656c616e63652d646174612e0a28646566696e652d7075626c696320286e6f6f702920286f6b207472756529290a";
/// A tenure change whose burn view is `be20…3073`, cut: see [`TENURE_VIEW`].
const TENURE_CHANGE: &str = "0x8080000000040028362f53cb07828f428fa882d5c5db32e332236300000000000000000000000000007e4300008fd2f2475b9300795d0fa968f18da5ab66493773aa01382fe5d2f61a61c6792ef14c1c8e7c900eae08ec850729229c12405dececa0fdd0e62b26a4edc144598b03010000000007be209077c04d1dadaf64679685f27a1f4cebc3070000000000000000000000000000000000000000be209077c04d1dadaf64679685f27a1f4cebc30755c9861be5cff984a20ce6d99d4aa65941412889bdc665094136429b84f8c2ee000000000028362f53cb07828f428fa882d5c5db32e3322363";
const TENURE_VIEW: &str = "0xbe209077c04d1dadaf64679685f27a1f4cebc307";
const ALICE: &str = "ST2J6ZY48GV1EZ5V2V5RB9MP66SW86PYKKQ9H6DPR";
const BOB: &str = "ST1SJ3DTE5DN7X54YDH5D64R3BCB6A2AG2ZQ8YPD5";
const LOGIC: &str = "ST2J6ZY48GV1EZ5V2V5RB9MP66SW86PYKKQ9H6DPR.freelance-logic";

fn h32(byte: u8) -> String {
    format!("0x{}", hex::encode([byte; 32]))
}

fn tx(index: u64, status: &str) -> Json {
    let byte = u8::try_from(index % 200).unwrap();
    json!({
        "txid": h32(0x10 + byte), "tx_index": index, "status": status,
        "raw_result": "0x0703", "raw_tx": "0xfe01", "contract_interface": null,
        "burnchain_op": null, "vm_error": null,
    })
}

fn event(index: u64, txid: u8, kind: &str, body: Json) -> Json {
    json!({"txid": h32(txid), "event_index": index, "committed": true, "type": kind, kind: body})
}

fn transfer(index: u64, txid: u8, amount: &str) -> Json {
    let body = json!({"sender": ALICE, "recipient": BOB, "amount": amount, "memo": ""});
    event(index, txid, "stx_transfer_event", body)
}

fn print(index: u64, txid: u8, value: &Value) -> Json {
    let raw = format!("0x{}", hex::encode(value.encode()));
    let body = json!({"contract_identifier": LOGIC, "topic": "print", "raw_value": raw});
    event(index, txid, "contract_event", body)
}

/// Transaction 0 (id 0x10…) and 1 (id 0x11…) succeeded; one transfer each.
fn payload() -> Json {
    json!({
        "index_block_hash": h32(1), "parent_index_block_hash": h32(2), "block_height": 7,
        "block_hash": h32(3), "block_time": 1_700_000_000, "burn_block_hash": h32(4),
        "burn_block_height": 100, "burn_block_time": 1_699_999_000,
        "consensus_hash": format!("0x{}", "05".repeat(20)), "miner_txid": h32(6), "tenure_height": 3,
        "transactions": [tx(0, "success"), tx(1, "success")],
        "events": [transfer(0, 0x10, "5"), transfer(1, 0x11, "6")],
    })
}

fn with(edit: impl FnOnce(&mut Json)) -> Json {
    let mut payload = payload();
    edit(&mut payload);
    payload
}

fn decoded(payload: &Json) -> Block {
    decode_block(payload.to_string().as_bytes())
        .unwrap_or_else(|e| panic!("{}", crate::error_chain(&e)))
}

fn refused(payload: &Json) -> String {
    let error = decode_block(payload.to_string().as_bytes()).expect_err("a refusal");
    crate::error_chain(&error).to_string()
}

fn decoded_event(body: Json) -> EventBody {
    let block = decoded(&with(|p| p["events"] = json!([body])));
    assert_eq!(block.events.len(), 1);
    block.events[0].body.clone()
}

fn places(events: &[Event]) -> Vec<(u32, u32, Option<u128>)> {
    events
        .iter()
        .map(|e| (e.tx_index, e.ordinal, e.body.amount))
        .collect()
}

#[test]
fn events_are_ordered_by_index_and_numbered_within_their_transaction() {
    let block = decoded(&with(|p| {
        p["events"] = json!([
            transfer(9, 0x11, "4"),
            transfer(3, 0x10, "2"),
            transfer(5, 0x11, "3"),
            transfer(0, 0x10, "1")
        ]);
    }));
    let expected = [
        (0, 0, Some(1)),
        (0, 1, Some(2)),
        (1, 0, Some(3)),
        (1, 1, Some(4)),
    ];
    assert_eq!(places(&block.events), expected);
    assert_eq!(block.listed_events, 4);
}

#[test]
fn transactions_are_ordered_by_index() {
    let block = decoded(&with(|p| {
        p["transactions"] = json!([tx(1, "success"), tx(0, "success")])
    }));
    assert_eq!(
        block
            .transactions
            .iter()
            .map(|t| t.tx_index)
            .collect::<Vec<_>>(),
        [0, 1]
    );
    assert_eq!(places(&block.events), [(0, 0, Some(5)), (1, 0, Some(6))]);
}

#[test]
fn what_was_not_committed_is_dropped() {
    let block = decoded(&with(|p| {
        p["events"] = json!([
            transfer(0, 0x10, "1"),
            transfer(1, 0x10, "2"),
            transfer(2, 0x10, "3")
        ]);
        p["events"][1]["committed"] = json!(false);
    }));
    assert_eq!(places(&block.events), [(0, 0, Some(1)), (0, 1, Some(3))]);
    assert_eq!(
        block.listed_events, 3,
        "what the payload lists is counted all the same"
    );
}

#[test]
fn events_of_failed_transactions_are_dropped() {
    for status in [
        "abort_by_response",
        "abort_by_post_condition",
        "problematic_skipped",
        "of_tomorrow",
    ] {
        let block = decoded(&with(|p| p["transactions"][0]["status"] = json!(status)));
        assert_eq!(places(&block.events), [(1, 0, Some(6))], "{status}");
        assert_eq!(block.transactions[0].status.as_str(), status);
    }
}

#[test]
fn payloads_of_old_nodes_are_read() {
    let value =
        json!({"Tuple": {"data_map": {"n": {"UInt": 7}}, "type_signature": {"type_map": {}}}});
    let block = decoded(&with(|p| {
        let map = p.as_object_mut().unwrap();
        for absent in [
            "block_time",
            "consensus_hash",
            "tenure_height",
            "burn_block_time",
        ] {
            map.remove(absent);
        }
        for absent in ["contract_interface", "burnchain_op", "vm_error"] {
            map["transactions"][0]
                .as_object_mut()
                .unwrap()
                .remove(absent);
        }
        map["transactions"][0]["contract_abi"] = json!({"functions": [{"name": "f"}]});
        map["events"] = json!([print(0, 0x10, &Value::UInt(7))]);
        map["events"][0]["contract_event"]["value"] = value;
    }));
    let header = &block.header;
    assert_eq!(
        (
            header.block_time,
            header.consensus_hash,
            header.tenure_height
        ),
        (None, None, None)
    );
    assert_eq!(header.burn_block_time, 0);
    assert_eq!(block.events[0].body.value, Some(Value::UInt(7).encode()));
}

#[test]
fn an_operation_sent_on_bitcoin_is_kept() {
    let op = r#"{"transfer_stx":{"transfered_ustx":9}}"#;
    let block = decoded(&with(|p| {
        p["transactions"][0]["raw_tx"] = json!("0x00");
        p["transactions"][0]["burnchain_op"] = op.parse().unwrap();
    }));
    let first = &block.transactions[0];
    assert_eq!(
        (first.kind, first.burnchain_op.as_deref()),
        (TxKind::BurnchainOp, Some(op))
    );
    assert_eq!(first.raw_tx, [0]);
    assert_eq!(
        places(&block.events)[0],
        (0, 0, Some(5)),
        "its events are those of any other"
    );
    assert_eq!(
        block.transactions[1].burnchain_op, None,
        "a JSON null is no operation"
    );
}

#[test]
fn a_transaction_is_read_into_its_parts() {
    let block = decoded(&with(|p| {
        p["transactions"][0]["raw_tx"] = json!(DEPLOYMENT);
        p["transactions"][1]["raw_tx"] = json!(TENURE_CHANGE);
    }));
    let first = &block.transactions[0];
    assert_eq!(first.kind.as_str(), "versioned_smart_contract");
    assert_eq!((first.nonce, first.fee), (Some(0), Some(0x6e70)));
    let sender = first.sender.clone().unwrap();
    assert_eq!(first.contract, Some(format!("{sender}.freelance-data")));
    assert_eq!((&first.sponsor, &first.function), (&None, &None));
    let view: ConsensusHash = TENURE_VIEW.parse().unwrap();
    assert_eq!(
        block.header.burn_view,
        Some(view),
        "a tenure change tells the block's burn view"
    );
}

#[test]
fn bytes_of_a_later_epoch_are_kept_undecoded() {
    let block = decoded(&payload());
    let first = &block.transactions[0];
    assert_eq!(first.kind, TxKind::Undecoded);
    assert_eq!(first.raw_tx, [0xfe, 0x01]);
    let known = (&first.sender, first.nonce, first.fee, &first.contract);
    assert_eq!(known, (&None, None, None, &None));
}

#[test]
fn an_event_of_an_unlisted_transaction_gets_a_stand_in_after_all_others() {
    let block = decoded(&with(|p| {
        p["events"] = json!([
            transfer(1, 0xaa, "2"),
            transfer(0, 0xaa, "1"),
            transfer(2, 0xbb, "3")
        ]);
    }));
    let kinds: Vec<_> = block
        .transactions
        .iter()
        .map(|t| (t.tx_index, t.kind))
        .collect();
    assert_eq!(kinds[2..], [(2, TxKind::Unlisted), (3, TxKind::Unlisted)]);
    assert_eq!(
        places(&block.events),
        [(2, 0, Some(1)), (2, 1, Some(2)), (3, 0, Some(3))]
    );
    assert_eq!(block.listed_transactions, 2);
}

#[test]
fn an_event_in_a_block_without_transactions_stands_at_zero() {
    let block = decoded(&with(|p| p["transactions"] = json!([])));
    assert_eq!(
        block
            .transactions
            .iter()
            .map(|t| t.tx_index)
            .collect::<Vec<_>>(),
        [0, 1]
    );
}

/// The column of `tx_index` ends below 2^31: a row beyond it would stop the writer for good.
#[test]
fn a_stand_in_has_no_place_beyond_the_last_index() {
    let payload = with(|p| {
        p["transactions"][1]["tx_index"] = json!(2_147_483_647u32);
        p["events"] = json!([transfer(0, 0xaa, "1")]);
    });
    assert!(refused(&payload).contains("tx_index"));
}

#[test]
fn what_is_unknown_is_kept_by_its_name() {
    let body = decoded_event(event(0, 0x10, "sbtc_event", json!({"amount": "1"})));
    assert_eq!(
        (body.kind, body.topic.as_deref()),
        (EventKind::Other, Some("sbtc_event"))
    );
    let block = decoded(&with(|p| {
        p["transactions"][0]["status"] = json!("postponed")
    }));
    assert_eq!(
        block.transactions[0].status,
        TxStatus::Other("postponed".to_owned())
    );
}

#[test]
fn two_transactions_in_one_place_are_refused() {
    let error = refused(&with(|p| p["transactions"][1]["tx_index"] = json!(0)));
    assert_eq!(
        error,
        format!(
            "transactions {} and {} both have tx_index 0",
            h32(0x10),
            h32(0x11)
        )
    );
}

#[test]
fn numbers_out_of_range_are_refused_by_name() {
    for name in ["block_height", "burn_block_height", "tenure_height"] {
        decoded(&with(|p| p[name] = json!(2_147_483_647u64)));
        let error = refused(&with(|p| p[name] = json!(2_147_483_648u64)));
        assert_eq!(
            error,
            format!("block: {name} must be a height below 2147483648; got \"2147483648\"")
        );
    }
    for name in ["block_time", "burn_block_time"] {
        decoded(&with(|p| p[name] = json!(i64::MAX)));
        let error = refused(&with(|p| p[name] = json!(1u64 << 63)));
        let expected = "must be Unix seconds below 2^63; got \"9223372036854775808\"";
        assert_eq!(error, format!("block: {name} {expected}"));
    }
    let error = refused(&with(|p| {
        p["transactions"][0]["tx_index"] = json!(u64::MAX)
    }));
    let expected = "must be a height below 2147483648; got \"18446744073709551615\"";
    assert_eq!(
        error,
        format!("transaction {}: tx_index {expected}", u64::MAX)
    );
    let error = refused(&with(|p| p["block_height"] = json!(-1)));
    assert!(
        error.starts_with("the body is not a new_block payload: "),
        "{error}"
    );
}

#[test]
fn bad_hexadecimal_is_refused_with_the_place_the_form_and_the_text() {
    let id = |field: &mut Json| *field = json!("0x12");
    assert_eq!(
        refused(&with(|p| id(&mut p["index_block_hash"]))),
        "block: index_block_hash is not valid: index block hash must be 64 hexadecimal digits, with or \
         without 0x; got \"0x12\""
    );
    assert_eq!(
        refused(&with(|p| id(&mut p["consensus_hash"]))),
        "block: consensus_hash is not valid: consensus hash must be 40 hexadecimal digits, with or \
         without 0x; got \"0x12\""
    );
    assert_eq!(
        refused(&with(|p| p["transactions"][1]["raw_tx"] = json!("0xzz"))),
        "transaction 1: raw_tx must be hexadecimal; got \"0xzz\""
    );
    assert_eq!(
        refused(&with(
            |p| p["transactions"][1]["raw_result"] = json!("0x070")
        )),
        "transaction 1: raw_result must be hexadecimal; got \"0x070\""
    );
    assert_eq!(
        refused(&with(|p| p["events"][1]["txid"] = json!(""))),
        "event 1: txid is not valid: transaction id must be 64 hexadecimal digits, with or without 0x; got \"\""
    );
    let long = "q".repeat(500);
    let error = refused(&with(|p| p["transactions"][0]["raw_tx"] = json!(long)));
    assert!(error.len() < 200, "what was sent is cut: {error}");
}

#[test]
fn amounts_have_128_bits() {
    let max = u128::MAX.to_string();
    assert_eq!(
        decoded_event(transfer(0, 0x10, &max)).amount,
        Some(u128::MAX)
    );
    for wrong in [
        "340282366920938463463374607431768211456",
        "-1",
        "1.5",
        "1e3",
        "",
        "0x10",
    ] {
        let error = refused(&with(|p| p["events"] = json!([transfer(0, 0x10, wrong)])));
        let expected =
            format!("event 0: amount must be an unsigned integer below 2^128; got {wrong:?}");
        assert_eq!(error, expected);
    }
    let number = with(|p| p["events"][0]["stx_transfer_event"]["amount"] = json!(5));
    assert!(refused(&number).starts_with("the body is not a new_block payload: "));
}

#[test]
fn locks_tokens_and_memos_are_read() {
    let lock = json!({"locked_amount": "5", "unlock_height": "380", "locked_address": ALICE,
        "contract_identifier": LOGIC});
    let body = decoded_event(event(0, 0x10, "stx_lock_event", lock.clone()));
    assert_eq!((body.amount, body.unlock_height), (Some(5), Some(380)));
    assert_eq!(
        (body.sender.as_deref(), body.contract.as_deref()),
        (Some(ALICE), Some(LOGIC))
    );
    let mut wrong = lock;
    wrong["unlock_height"] = json!("soon");
    let error = refused(&with(|p| {
        p["events"] = json!([event(0, 0x10, "stx_lock_event", wrong)])
    }));
    assert_eq!(
        error,
        "event 0: unlock_height must be a burn height; got \"soon\""
    );

    let asset = format!("{LOGIC}::badge");
    let nft = json!({"asset_identifier": asset, "recipient": BOB, "raw_value": "0x0100000000000000000000000000000001"});
    let body = decoded_event(event(0, 0x10, "nft_mint_event", nft));
    assert_eq!(
        (body.contract.as_deref(), body.asset.as_deref()),
        (Some(LOGIC), Some("badge"))
    );
    assert_eq!(body.value, Some(Value::UInt(1).encode()));
    let ft = json!({"asset_identifier": LOGIC, "recipient": BOB, "amount": "1"});
    let error = refused(&with(|p| {
        p["events"] = json!([event(0, 0x10, "ft_mint_event", ft)])
    }));
    assert_eq!(
        error,
        format!("event 0: asset_identifier must be CONTRACT::asset; got {LOGIC:?}")
    );

    let memo = json!({"sender": ALICE, "recipient": BOB, "amount": "1", "memo": "6869"});
    assert_eq!(
        decoded_event(event(0, 0x10, "stx_transfer_event", memo))
            .value
            .as_deref(),
        Some(&b"hi"[..])
    );
    assert_eq!(
        decoded_event(transfer(0, 0x10, "1")).value,
        None,
        "an empty memo is none"
    );
}

/// Read as what it is not, it would be a burn of no token at all.
#[test]
fn an_event_must_hold_the_body_that_its_type_names() {
    for wrong in [
        "ft_burn_event",
        "stx_burn_event",
        "contract_event",
        "stx_lock_event",
    ] {
        let error = refused(&with(|p| p["events"][0]["type"] = json!(wrong)));
        assert!(
            error.starts_with("event 0: type must be the name of "),
            "{wrong}: {error}"
        );
    }
}

#[test]
fn an_event_must_hold_a_body() {
    let error = refused(&with(|p| {
        let event = p["events"][0].as_object_mut().unwrap();
        event.remove("stx_transfer_event");
    }));
    assert!(
        error.starts_with("event 0: type must be the name of "),
        "{error}"
    );
}

/// Postgres holds no NUL in texts: what comes through would stop the writer.
#[test]
fn no_text_of_a_block_holds_a_nul() {
    let nul = "a\0b";
    let lock = json!({"locked_amount": "5", "unlock_height": "3", "locked_address": nul, "contract_identifier": nul});
    let ft =
        json!({"asset_identifier": "a\0::b\0", "sender": nul, "recipient": nul, "amount": "1"});
    let named = Value::tuple([("topic", Value::Utf8(nul.to_owned()))]).unwrap();
    let block = decoded(&with(|p| {
        p["transactions"][0]["vm_error"] = json!(nul);
        p["events"] = json!([
            event(0, 0x10, "stx_lock_event", lock),
            event(1, 0x10, "ft_transfer_event", ft),
            event(2, 0x10, nul, json!({})),
            print(3, 0x10, &named)
        ]);
        p["events"][3]["contract_event"]["contract_identifier"] = json!(nul);
    }));
    assert_eq!(block.events.len(), 4);
    assert_eq!(block.events[3].body.topic.as_deref(), Some("a\u{fffd}b"));
    assert_storable(&block);
}

#[test]
fn no_unknown_status_holds_a_nul() {
    assert_storable(&decoded(&with(|p| {
        p["transactions"][0]["status"] = json!("a\0b")
    })));
}

fn topic_of(value: &Value) -> Option<String> {
    decoded_event(print(0, 0x10, value)).topic
}

#[test]
fn a_print_is_named_by_its_topic_or_else_by_its_event() {
    let ascii = |text: &str| Value::ascii(text).unwrap();
    let tuple = |fields: Vec<(&'static str, Value)>| Value::tuple(fields).unwrap();
    let both = tuple(vec![("event", ascii("e")), ("topic", ascii("t"))]);
    assert_eq!(topic_of(&both).as_deref(), Some("t"));
    assert_eq!(
        topic_of(&tuple(vec![("event", ascii("paid"))])).as_deref(),
        Some("paid")
    );
    assert_eq!(
        topic_of(&tuple(vec![("topic", Value::Utf8("größe".into()))])).as_deref(),
        Some("größe")
    );
    assert_eq!(
        topic_of(&tuple(vec![("topic", Value::UInt(1))])),
        None,
        "a number is no name"
    );
    assert_eq!(topic_of(&tuple(vec![("name", ascii("x"))])), None);
    assert_eq!(topic_of(&ascii("plain")), None, "only tuples have fields");
    let of = |length| tuple(vec![("topic", ascii(&"x".repeat(length)))]);
    assert_eq!(topic_of(&of(128)), Some("x".repeat(128)));
    assert_eq!(topic_of(&of(129)), None, "a long text is data and no name");
}

#[test]
fn a_print_that_is_no_clarity_value_is_kept() {
    let mut body = print(0, 0x10, &Value::UInt(1));
    body["contract_event"]["raw_value"] = json!("0xff00");
    let body = decoded_event(body);
    assert_eq!((body.topic, body.value), (None, Some(vec![0xff, 0])));
}

#[test]
fn what_is_no_block_is_refused() {
    for body in [
        "",
        "{",
        "[]",
        "null",
        "1",
        "\"x\"",
        "{}",
        r#"{"index_block_hash":1}"#,
    ] {
        let error = crate::error_chain(&decode_block(body.as_bytes()).unwrap_err()).to_string();
        assert!(
            error.starts_with("the body is not a new_block payload: "),
            "{body}: {error}"
        );
    }
    assert!(decode_block(b"\xff\xfe").is_err());
    let missing = with(|p| {
        p.as_object_mut().unwrap().remove("events");
    });
    assert!(refused(&missing).contains("missing field `events`"));
    let deep = format!("{{\"x\":{}", "[".repeat(100_000));
    assert!(decode_block(deep.as_bytes()).is_err());
}

#[test]
fn unknown_fields_are_tolerated_anywhere() {
    let block = decoded(&with(|p| {
        p["of_tomorrow"] = json!({"deep": [1, 2, {"x": null}]});
        p["transactions"][0]["of_tomorrow"] = json!([]);
        p["events"][0]["of_tomorrow"] = json!(1);
        p["events"][0]["stx_transfer_event"]["of_tomorrow"] = json!("x");
    }));
    assert_eq!(block, decoded(&payload()));
}

#[test]
fn bitcoin_blocks_with_and_without_what_old_nodes_leave_out() {
    let full = json!({"burn_block_hash": h32(1), "burn_block_height": 9, "parent_burn_block_hash": h32(2),
        "consensus_hash": format!("0x{}", "03".repeat(20)), "burn_amount": 0, "reward_recipients": []});
    let block = decode_burn_block(full.to_string().as_bytes()).unwrap();
    assert_eq!((block.hash.to_string(), block.height), (h32(1), 9));
    assert_eq!(block.parent.map(|p| p.to_string()), Some(h32(2)));
    assert!(block.consensus_hash.is_some());
    let old = json!({"burn_block_hash": h32(1), "burn_block_height": 9, "reward_slot_holders": []});
    let block = decode_burn_block(old.to_string().as_bytes()).unwrap();
    assert_eq!((block.parent, block.consensus_hash), (None, None));
}

fn burn_refusal(body: &Json) -> String {
    crate::error_chain(&decode_burn_block(body.to_string().as_bytes()).unwrap_err()).to_string()
}

#[test]
fn bad_bitcoin_blocks_are_refused_by_name() {
    let high = json!({"burn_block_hash": h32(1), "burn_block_height": 1u64 << 31});
    let expected =
        "burn block: burn_block_height must be a height below 2147483648; got \"2147483648\"";
    assert_eq!(burn_refusal(&high), expected);
    let short = json!({"burn_block_hash": "0xab", "burn_block_height": 1});
    assert!(
        burn_refusal(&short)
            .starts_with("burn block: burn_block_hash is not valid: burn block hash must")
    );
    assert!(burn_refusal(&json!([])).starts_with("the body is not a new_burn_block payload: "));
}

#[test]
fn mempool_transactions_are_known_by_the_hash_of_their_bytes() {
    let txids = decode_mempool(json!(["0x00", "01ff"]).to_string().as_bytes()).unwrap();
    let expected = [&[0u8][..], &[1, 0xff]].map(|bytes| TxId(Sha512_256::digest(bytes).into()));
    assert_eq!(txids, expected);
    assert_eq!(decode_mempool(b"[]").unwrap(), []);
    let error = decode_mempool(br#"["0x00","0xq"]"#)
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        "mempool transaction 1: raw_tx must be hexadecimal; got \"0xq\""
    );
    let error = decode_mempool(b"{}").unwrap_err().to_string();
    assert_eq!(error, "the body is not a new_mempool_tx payload");
}

#[test]
fn mempool_drops_with_and_without_a_replacement() {
    let drop = |new: Json| json!({"dropped_txids": [h32(1), h32(2)], "reason": "ReplaceByFee", "new_txid": new});
    let decode = |body: Json| decode_mempool_drop(body.to_string().as_bytes());
    let replaced = decode(drop(json!(h32(3)))).unwrap();
    assert_eq!(replaced.txids.len(), 2);
    assert_eq!(replaced.reason, "ReplaceByFee");
    assert_eq!(replaced.replaced_by.map(|t| t.to_string()), Some(h32(3)));
    assert_eq!(decode(drop(Json::Null)).unwrap().replaced_by, None);
    assert_eq!(
        decode(json!({"dropped_txids": [], "reason": "x"}))
            .unwrap()
            .replaced_by,
        None
    );
    let error = decode(json!({"dropped_txids": ["0x1"], "reason": "x"}))
        .unwrap_err()
        .to_string();
    assert_eq!(error, "mempool drop: dropped_txids is not valid");
}

#[test]
fn no_reason_of_a_drop_holds_a_nul() {
    let body = json!({"dropped_txids": [], "reason": "a\0b"}).to_string();
    assert!(
        !decode_mempool_drop(body.as_bytes())
            .unwrap()
            .reason
            .contains('\0')
    );
}

/// Every promise about a decoded block on which the store relies.
fn assert_storable(block: &Block) {
    let limit = u32::try_from(i32::MAX).unwrap();
    assert!(block.header.height <= limit && block.header.burn_block_height <= limit);
    let indexes: Vec<_> = block.transactions.iter().map(|t| t.tx_index).collect();
    assert!(indexes.is_sorted_by(|a, b| a < b), "{indexes:?}");
    assert!(indexes.iter().all(|i| *i <= limit), "{indexes:?}");
    let places: Vec<_> = block
        .events
        .iter()
        .map(|e| (e.tx_index, e.ordinal))
        .collect();
    assert!(places.is_sorted_by(|a, b| a < b), "{places:?}");
    assert!(places.iter().all(|(tx, _)| indexes.contains(tx)));
    for text in block.transactions.iter().flat_map(texts_of_transaction) {
        assert!(!text.contains('\0'), "{text:?}");
    }
    for text in block.events.iter().flat_map(|e| texts_of_event(&e.body)) {
        assert!(!text.contains('\0'), "{text:?}");
    }
}

fn texts_of_transaction(t: &Transaction) -> Vec<String> {
    let status = Some(t.status.as_str().to_owned());
    let texts = [
        &t.sender,
        &t.sponsor,
        &t.contract,
        &t.function,
        &t.burnchain_op,
        &t.vm_error,
    ];
    texts
        .into_iter()
        .cloned()
        .chain([status])
        .flatten()
        .collect()
}

fn texts_of_event(body: &EventBody) -> Vec<String> {
    let texts = [
        &body.contract,
        &body.asset,
        &body.sender,
        &body.recipient,
        &body.topic,
    ];
    texts.into_iter().flatten().cloned().collect()
}

/// A payload with one of everything.
fn rich_payload() -> Json {
    with(|p| {
        p["transactions"][0]["raw_tx"] = json!(DEPLOYMENT);
        p["transactions"][1]["raw_tx"] = json!(TENURE_CHANGE);
        let nft = json!({"asset_identifier": format!("{LOGIC}::badge"), "sender": ALICE, "recipient": BOB, "raw_value": "0x03"});
        let lock = json!({"locked_amount": "5", "unlock_height": "3", "locked_address": ALICE});
        p["events"] = json!([
            transfer(4, 0x10, "1"),
            print(
                0,
                0x10,
                &Value::tuple([("event", Value::ascii("paid").unwrap())]).unwrap()
            ),
            event(2, 0x11, "nft_transfer_event", nft),
            event(1, 0x11, "stx_lock_event", lock),
            event(3, 0xaa, "new_event", json!({}))
        ]);
    })
}

fn json_value() -> impl Strategy<Value = Json> {
    prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<u64>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        any::<String>().prop_map(Json::from),
        "(0x)?[0-9a-f]{0,80}".prop_map(Json::from),
        Just(json!(2_147_483_647)),
        Just(json!([])),
        Just(json!({})),
    ]
}

/// Every place of a JSON document, as pointers.
fn pointers(value: &Json, at: &str, out: &mut Vec<String>) {
    out.push(at.to_owned());
    match value {
        Json::Object(map) => map
            .iter()
            .for_each(|(k, v)| pointers(v, &format!("{at}/{k}"), out)),
        Json::Array(items) => {
            items
                .iter()
                .enumerate()
                .for_each(|(i, v)| pointers(v, &format!("{at}/{i}"), out));
        }
        _ => {}
    }
}

fn decode_all(body: &[u8]) {
    if let Ok(block) = decode_block(body) {
        assert_storable(&block);
    }
    let others = (
        decode_burn_block(body),
        decode_mempool(body),
        decode_mempool_drop(body),
    );
    drop(others);
}

proptest! {
    #[test]
    fn any_bytes_give_a_block_or_an_error(body in proptest::collection::vec(any::<u8>(), 0..400)) {
        decode_all(&body);
    }

    #[test]
    fn any_damage_to_a_payload_gives_a_block_or_an_error(
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3u8), 1..6),
    ) {
        let mut body = rich_payload().to_string().into_bytes();
        for (at, byte, how) in damage {
            let at = at.index(body.len());
            match how {
                0 => body[at] = byte,
                1 => body.insert(at, byte),
                _ => drop(body.remove(at)),
            }
        }
        decode_all(&body);
    }

    #[test]
    fn any_other_value_in_any_place_gives_a_storable_block_or_an_error(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), json_value()), 1..4),
    ) {
        let mut payload = rich_payload();
        for (at, value) in changes {
            let mut places = Vec::new();
            pointers(&payload, "", &mut places);
            let place = places[at.index(places.len())].clone();
            *payload.pointer_mut(&place).unwrap() = value;
        }
        decode_all(payload.to_string().as_bytes());
    }

    #[test]
    fn order_in_the_payload_does_not_matter(seed in any::<u64>()) {
        let mut payload = rich_payload();
        let expected = decoded(&payload);
        for list in ["transactions", "events"] {
            let items = payload[list].as_array_mut().unwrap();
            let turn = usize::try_from(seed % 7).unwrap() % items.len();
            items.rotate_left(turn);
            if seed % 2 == 0 { items.reverse(); }
        }
        prop_assert_eq!(decoded(&payload), expected);
    }
}

#[test]
fn decoding_what_is_followed_equals_selecting_from_the_whole() {
    use crate::model::{FollowSet, Mirror};
    let payload = with(|p| {
        p["transactions"] = json!([tx(0, "success"), tx(1, "success"), tx(2, "success")]);
        p["transactions"][2]["raw_tx"] = DEPLOYMENT.into();
        let value = Value::UInt(1);
        p["events"] = json!([
            transfer(3, 0x11, "6"),
            print(0, 0x10, &value),
            transfer(1, 0x10, "5"),
            transfer(2, 0x30, "1")
        ]);
    });
    let deployed = decoded(&payload).transactions[2].contract.clone().unwrap();
    for (contracts, principals, kept) in [
        (vec![LOGIC.to_owned()], vec![], 1),
        (vec![], vec![BOB.to_owned()], 3),
        (vec![deployed], vec![], 1),
        (vec!["*".to_owned()], vec![], 2),
        (vec![], vec![], 0),
    ] {
        let follow = FollowSet {
            mirror: Mirror::Followed,
            contracts: contracts.into_iter().collect(),
            principals: principals.into_iter().collect(),
        };
        let mut whole = decoded(&payload);
        follow.select(&mut whole);
        let chosen = decode_block_for(payload.to_string().as_bytes(), &follow).unwrap();
        assert_eq!(chosen, whole);
        assert_eq!(chosen.transactions.len(), kept, "{follow:?}");
    }
}

/// What a source writes that knows facts of a transaction, and not its bytes.
fn with_facts(edit: impl FnOnce(&mut Json)) -> Json {
    with(|p| {
        p.as_object_mut().unwrap().remove("miner_txid");
        p["burn_view"] = json!(format!("0x{}", "07".repeat(20)));
        p["listed_transactions"] = json!(50);
        p["listed_events"] = json!(90);
        p["transactions"][0]["raw_tx"] = json!("");
        p["transactions"][0]["facts"] = json!({
            "kind": "contract_call", "sender": ALICE, "sponsor": BOB, "nonce": 7, "fee": 1_000,
            "contract": LOGIC, "function": "release",
        });
        edit(p);
    })
}

#[test]
fn facts_stand_for_the_bytes_that_a_source_does_not_know() {
    let block = decoded(&with_facts(|_| {}));
    let t = &block.transactions[0];
    assert_eq!(t.kind.as_str(), "contract_call");
    assert_eq!(t.sender.as_deref(), Some(ALICE));
    assert_eq!(t.sponsor.as_deref(), Some(BOB));
    assert_eq!((t.nonce, t.fee), (Some(7), Some(1_000)));
    assert_eq!(t.contract.as_deref(), Some(LOGIC));
    assert_eq!(t.function.as_deref(), Some("release"));
    assert!(t.raw_tx.is_empty());
    assert_eq!(block.header.miner_txid, None);
    assert_eq!(block.header.burn_view.map(|v| v.0), Some([7; 20]));
    assert_eq!((block.listed_transactions, block.listed_events), (50, 90));
}

#[test]
fn facts_of_no_kind_or_without_a_sender_are_refused() {
    let no_kind = with_facts(|p| p["transactions"][0]["facts"]["kind"] = json!("dance"));
    assert!(
        refused(&no_kind).contains("facts.kind"),
        "{}",
        refused(&no_kind)
    );
    let no_sender = with_facts(|p| {
        p["transactions"][0]["facts"]
            .as_object_mut()
            .unwrap()
            .remove("sender");
    });
    assert!(
        refused(&no_sender).contains("sender"),
        "{}",
        refused(&no_sender)
    );
}

/// Bytes say more than anybody's word.
#[test]
fn facts_beside_bytes_are_not_looked_at() {
    let plain = decoded(&payload());
    let both = decoded(&with(|p| {
        p["transactions"][0]["facts"] =
            json!({"kind": "contract_call", "sender": BOB, "nonce": 9, "fee": 9});
    }));
    assert_eq!(plain, both);
}

/// Two mirrors of one chain agree, whoever told them.
#[test]
fn the_digest_says_what_every_source_knows() {
    use crate::model::Change;
    use crate::model::canonical::rows_digest;
    let digest = |p: &Json| rows_digest(&decoded(p), &Change::default());
    let less = with(|p| {
        let p = p.as_object_mut().unwrap();
        for name in ["miner_txid", "consensus_hash", "tenure_height"] {
            p.remove(name);
        }
    });
    assert_eq!(digest(&payload()), digest(&less));
    for (name, value) in [
        ("block_time", json!(5)),
        ("burn_block_height", json!(101)),
        ("burn_block_hash", json!(h32(9))),
        ("parent_index_block_hash", json!(h32(9))),
    ] {
        assert_ne!(
            digest(&payload()),
            digest(&with(|p| p[name] = value)),
            "{name}"
        );
    }
}
