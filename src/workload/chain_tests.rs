//! Blocks and forks built by hand.

use super::*;
use crate::recording::Entry;
use serde_json::{Value as Json, json};

fn body(entry: &Entry) -> Json {
    serde_json::from_slice(&entry.body).unwrap()
}

fn chain() -> ChainBuilder {
    ChainBuilder::new(ChainOptions::default())
}

#[test]
fn genesis_is_the_known_one_and_empty_the_second_time() {
    let chain = chain();
    let (first, again) = (chain.root(), body(&chain.genesis_again()));
    // SHA-512/256 of 52 zero bytes, as every node computes it.
    let known = "0x55c9861be5cff984a20ce6d99d4aa65941412889bdc665094136429b84f8c2ee";
    assert_eq!(first.id(), known);
    let first = body(&first.entry());
    assert_eq!(first["index_block_hash"], known);
    assert_eq!(
        first["parent_index_block_hash"],
        format!("0x{}", "ff".repeat(32))
    );
    assert_eq!(first["block_time"], Json::Null);
    assert!(first.get("signer_signature").is_none());
    assert_eq!(first["events"].as_array().unwrap().len(), 12);
    assert_eq!(again["events"], json!([]));
    assert_eq!(again["transactions"], json!([]));
    assert_eq!(again["index_block_hash"], known);
}

#[test]
fn a_scenario_reads_like_what_it_tests() {
    let chain = chain();
    let [_, logic, ..] = chain.network().followed_contracts();
    let (alice, bob) = (chain.account("alice"), chain.account("bob"));
    let a1 = chain
        .block(&chain.root())
        .label("a1")
        .tx(chain
            .call(&alice, &logic, "pay", &[uint(5u8)])
            .print(&logic, event("paid", [("n", uint(5u8))])))
        .tx(chain
            .call(&alice, &logic, "pay", &[])
            .print(&logic, uint(1u8))
            .refused(117))
        .transfer(&alice, &bob, 3)
        .event(Event::nft_mint(&asset(&logic, "badge"), bob, uint(1u8)))
        .build();
    let a2 = chain.block(&a1).print(&logic, ascii("plain")).build();
    assert_eq!(
        (a1.height, a2.height, a1.tenure_blocks, a2.tenure_blocks),
        (1, 2, 1, 2)
    );
    assert_eq!(a2.parent_id(), a1.id());
    assert_eq!(a1.tenure, chain.first_tenure());
    let first = body(&a1.entry());
    // Tenure change, coinbase, and the three transactions.
    assert_eq!(first["transactions"].as_array().unwrap().len(), 5);
    assert_eq!(first["transactions"][3]["status"], "abort_by_response");
    assert_eq!(
        first["transactions"][3]["raw_result"],
        "0x080100000000000000000000000000000075"
    );
    assert_eq!(first["events"].as_array().unwrap().len(), 3);
    assert_eq!(
        body(&a2.entry())["transactions"].as_array().unwrap().len(),
        1
    );
}

#[test]
fn nonces_count_per_sender() {
    let chain = chain();
    let (alice, bob) = (chain.account("alice"), chain.account("bob"));
    let nonce = |tx: &Tx| {
        stxworx_clarity::codec::Transaction::decode(tx.raw())
            .unwrap()
            .nonce()
    };
    let nonces = [
        nonce(&chain.transfer(&alice, &bob, 1, "")),
        nonce(&chain.transfer(&alice, &bob, 1, "")),
        nonce(&chain.transfer(&bob, &alice, 1, "")),
    ];
    assert_eq!(nonces, [0, 1, 0]);
    assert_eq!(chain.nonce(&alice), 2);
}

#[test]
fn a_transaction_in_two_blocks_keeps_its_id() {
    let chain = chain();
    let tx = chain.transfer(&chain.account("a"), &chain.account("b"), 1, "");
    let one = chain.block(&chain.root()).tx(tx.clone()).build();
    let two = chain.block(&chain.root()).tx(tx.clone().refused(1)).build();
    assert_ne!(one.id(), two.id());
    assert_eq!(one.txs[0].id(), two.txs[0].id());
    assert_ne!(one.txs[0].status(), two.txs[0].status());
}

#[test]
fn special_transactions() {
    let chain = chain();
    let (alice, bob) = (chain.account("alice"), chain.account("bob"));
    let [_, logic, ..] = chain.network().followed_contracts();
    let lock = Event::StxLock {
        locked_address: alice.to_string(),
        locked_amount: 5,
        unlock_height: 380,
        contract: "ST000000000000000000002AMW42H.pox-4".into(),
    };
    let block = chain
        .block(&chain.root())
        .tx(chain.transfer(&alice, &bob, 1, "hi"))
        .tx(Tx::bitcoin_transfer(&alice, &bob, 9, 101))
        .tx(chain
            .call(&alice, &logic, "f", &[])
            .runtime_error("DivisionByZero"))
        .tx(chain
            .call(&alice, &logic, "f", &[])
            .print(&logic, uint(1u8))
            .post_condition_failed())
        .tx(Tx::phantom_unlock(chain.network(), 1, vec![lock]))
        .build();
    let body = body(&block.entry());
    let txs = body["transactions"].as_array().unwrap();
    assert_eq!(txs[0]["raw_tx"], "0x00");
    assert_eq!(txs[0]["burnchain_op"]["transfer_stx"]["transfered_ustx"], 9);
    assert_eq!(txs[4]["raw_result"], "0x0809");
    assert_eq!(txs[4]["vm_error"], "DivisionByZero");
    assert_eq!(
        (&txs[5]["status"], &txs[5]["raw_result"]),
        (&json!("abort_by_post_condition"), &json!("0x0703"))
    );
    let memo = hex::encode("Block 1 token unlocks");
    assert!(txs[6]["raw_tx"].as_str().unwrap().contains(&memo));
    let mut kinds: Vec<_> = body["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| &event["type"])
        .collect();
    kinds.sort_by_key(|kind| kind.to_string());
    assert_eq!(
        kinds,
        ["stx_lock_event", "stx_transfer_event", "stx_transfer_event"]
    );
}

#[test]
fn old_nodes_sent_more_and_less() {
    let chain = chain();
    let [_, logic, ..] = chain.network().followed_contracts();
    let alice = chain.account("alice");
    let block = chain
        .block(&chain.root())
        .print(
            &logic,
            event("paid", [("to", account(&alice)), ("n", uint(1u128 << 70))]),
        )
        .tx(chain
            .call(&alice, &logic, "f", &[])
            .print(&logic, uint(7u8))
            .post_condition_failed())
        .form(PayloadForm::OldNode)
        .build();
    let body = body(&block.entry());
    for absent in [
        "block_time",
        "tenure_height",
        "consensus_hash",
        "signer_signature",
        "signer_bitvec",
    ] {
        assert!(body.get(absent).is_none(), "{absent}");
    }
    let events = body["events"].as_array().unwrap();
    let find = |committed: bool| {
        events
            .iter()
            .find(|event| event["committed"] == committed)
            .unwrap()
    };
    let value = &find(true)["contract_event"]["value"]["Tuple"];
    assert_eq!(
        value["data_map"]["event"]["Sequence"]["String"]["ASCII"]["data"],
        json!(b"paid")
    );
    assert_eq!(
        value["data_map"]["n"]["UInt"],
        json!(1_180_591_620_717_411_303_424.0)
    );
    assert_eq!(value["type_signature"]["type_map"]["to"], "PrincipalType");
    assert_eq!(find(false)["contract_event"]["value"]["UInt"], 7);
    assert!(body["transactions"][0].get("contract_abi").is_some());
    assert!(body["transactions"][0].get("vm_error").is_none());
}

#[test]
fn epoch_2_and_damaged_payloads() {
    let chain = chain();
    let a1 = chain.block(&chain.root()).form(PayloadForm::Epoch2).build();
    let body_of_a1 = body(&a1.entry());
    assert_eq!(
        (&body_of_a1["block_time"], &body_of_a1["signer_bitvec"]),
        (&Json::Null, &Json::Null)
    );
    assert!(body_of_a1.get("miner_signature").is_none());
    let damaged = chain
        .block(&a1)
        .field("transactions", json!("nonsense"))
        .without_field("events")
        .build();
    let damaged = body(&damaged.entry());
    assert_eq!(damaged["transactions"], "nonsense");
    assert!(damaged.get("events").is_none());
}

#[test]
fn events_are_out_of_order_unless_asked_otherwise() {
    let order = |shuffle_events| {
        let chain = ChainBuilder::new(ChainOptions {
            shuffle_events,
            ..ChainOptions::default()
        });
        let [_, logic, ..] = chain.network().followed_contracts();
        let prints = (0..20u8).map(|number| Event::print(&logic, uint(number)));
        let tx = chain
            .call(&chain.account("a"), &logic, "f", &[])
            .events(prints);
        let body = body(&chain.block(&chain.root()).tx(tx).build().entry());
        let indexes = body["events"]
            .as_array()
            .unwrap()
            .iter()
            .map(|event| event["event_index"].as_u64().unwrap());
        indexes.collect::<Vec<_>>()
    };
    assert_eq!(order(false), (0..20).collect::<Vec<_>>());
    let mut shuffled = order(true);
    assert_ne!(shuffled, (0..20).collect::<Vec<_>>());
    shuffled.sort_unstable();
    assert_eq!(shuffled, (0..20).collect::<Vec<_>>());
}

/// Three tenures of four blocks with a few transactions.
fn twelve(chain: &ChainBuilder) -> Vec<Block> {
    let (alice, bob) = (chain.account("alice"), chain.account("bob"));
    let [_, logic, ..] = chain.network().followed_contracts();
    let mut blocks = vec![chain.root()];
    for number in 0..12u64 {
        let parent = blocks.last().unwrap();
        let mut block = chain.block(parent).transfer(&alice, &bob, number + 1);
        for _ in 0..3 {
            block = block.print(&logic, uint(number));
        }
        if number > 0 && number % 4 == 0 {
            block = block.tenure(&chain.burn_block(&chain.burn_tip()));
        }
        blocks.push(block.build());
    }
    blocks
}

fn heights(blocks: &[Block]) -> Vec<u64> {
    blocks.iter().map(|block| block.height).collect()
}

fn assert_linked(blocks: &[Block]) {
    for pair in blocks.windows(2) {
        assert_eq!(pair[1].parent_index_block_hash, pair[0].index_block_hash);
        assert_eq!(pair[1].height, pair[0].height + 1);
        assert!(pair[1].time > pair[0].time);
    }
}

#[test]
fn a_fork_overtakes_by_one_block_on_the_same_bitcoin_chain() {
    let chain = chain();
    let blocks = twelve(&chain);
    let burn_tip = chain.burn_tip();
    let fork = chain.fork(&blocks, 3);
    assert_eq!(heights(&fork.orphaned), [10, 11, 12]);
    assert_eq!(heights(&fork.announced), [10, 11, 12, 13]);
    assert_linked(&fork.canonical);
    assert_eq!(fork.canonical.len(), 14);
    assert_eq!(fork.entries[0].path, "/new_burn_block");
    assert_eq!(
        body(&fork.entries[0])["parent_burn_block_hash"],
        burn_tip.id()
    );
    let (old, new) = (&fork.orphaned[1].txs, &fork.announced[1].txs);
    assert!(
        old.iter()
            .zip(new.iter())
            .all(|(old, new)| old.txid() == new.txid())
    );
    let is_changed = old
        .iter()
        .zip(new.iter())
        .any(|(old, new)| old.status() != new.status());
    assert!(is_changed, "some transactions end otherwise");
    assert_eq!(fork.announced[0].txs.len(), fork.orphaned[0].txs.len() - 1);
    // As deep as the chain, and deeper.
    assert_eq!(chain.fork(&blocks, 12).announced.len(), 13);
    assert_eq!(
        heights(&chain.fork(&blocks, 99).orphaned),
        (1..=12).collect::<Vec<_>>()
    );
}

#[test]
fn a_bitcoin_reorganization_ends_lower() {
    let chain = chain();
    let blocks = twelve(&chain);
    let fork = chain.bitcoin_reorg(&blocks, 2);
    assert_eq!(heights(&fork.orphaned), [5, 6, 7, 8, 9, 10, 11, 12]);
    assert_eq!(heights(&fork.announced), [5, 6]);
    assert_linked(&fork.canonical);
    let burns: Vec<_> = fork.entries.iter().take(3).map(body).collect();
    let burn_heights: Vec<_> = burns
        .iter()
        .map(|burn| burn["burn_block_height"].as_u64().unwrap())
        .collect();
    assert_eq!(burn_heights, [102, 103, 104]);
    assert_eq!(
        burns[0]["parent_burn_block_hash"],
        chain.first_tenure().id()
    );
    assert_ne!(burns[0]["burn_block_hash"], blocks[5].tenure.id());
    let again: usize = fork.announced.iter().map(|block| block.txs.len()).sum();
    assert_eq!(again, 8 * 4 - 1);
    assert_eq!(fork.entries.len(), 5);
    // A second one goes from there.
    let next = chain.bitcoin_reorg(&fork.canonical, 1);
    assert_eq!(
        body(&next.entries[0])["parent_burn_block_hash"],
        burns[1]["burn_block_hash"]
    );
}

#[test]
fn a_fork_and_the_way_back() {
    let chain = chain();
    let blocks = twelve(&chain);
    let fork = chain.fork_and_back(&blocks, 2);
    assert_eq!(heights(&fork.announced), [11, 12, 13, 13, 14]);
    assert_eq!(heights(&fork.orphaned), [11, 12, 13]);
    assert_linked(&fork.canonical);
    assert_eq!(fork.canonical[..13], blocks[..]);
    assert_eq!(fork.canonical.len(), 15);
}

#[test]
fn mempool_payloads() {
    let chain = chain();
    let (alice, bob) = (chain.account("alice"), chain.account("bob"));
    let first = chain.transfer(&alice, &bob, 1, "");
    chain.set_nonce(&alice, 0);
    let second = chain.transfer(&alice, &bob, 1, "");
    assert_ne!(first.id(), second.id());
    assert_eq!(
        body(&chain.mempool(std::slice::from_ref(&first))),
        json!([format!("0x{}", hex::encode(first.raw()))])
    );
    let dropped = body(&chain.replaced(&first, &second));
    let expected =
        json!({"dropped_txids": [first.id()], "new_txid": second.id(), "reason": "ReplaceByFee"});
    assert_eq!(dropped, expected);
    assert_eq!(body(&chain.stale(&first))["reason"], "StaleGarbageCollect");
}
