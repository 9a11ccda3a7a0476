//! The marketplace must reach every corner of the contracts by itself.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::events;
use crate::simnet::{SimEvent, SimnetConfig, TxStatus};

#[test]
fn the_signers_are_those_of_the_contract() {
    let security = SOURCES
        .iter()
        .find(|(n, _)| *n == "freelance-security")
        .expect("a source")
        .1;
    for n in 1..=5 {
        let address = Actor::of(&format!("signer-{n}")).address.to_string();
        assert!(
            security.contains(&format!("'{address}")),
            "signer-{n} is {address}"
        );
    }
}

#[test]
fn every_topic_of_the_catalogue_is_printed_and_understood() {
    let mut market = Marketplace::new(7);
    let mut chain = Simnet::new(SimnetConfig {
        seed: 7,
        genesis: market.genesis(),
        keep_states: 50,
        ..SimnetConfig::default()
    })
    .expect("a chain");
    let mut results: BTreeMap<(String, String), u64> = BTreeMap::new();
    let mut missing = topics();
    for n in 0..900u32 {
        if missing.is_empty() {
            break;
        }
        let jump = market.patience(&chain);
        if jump > 0 || n % 4 == 0 {
            chain.burn(jump.max(1));
        }
        market.act(&mut chain, 8);
        let block = chain.mine(100).expect("a block");
        for receipt in &block.receipts {
            if let Payload::ContractCall { function, .. } = &receipt.transaction.payload {
                let result = match receipt.status {
                    TxStatus::Success => "ok".to_owned(),
                    other => format!(
                        "{} {} {:?}",
                        other.as_str(),
                        hex::encode(&receipt.raw_result),
                        receipt.vm_error
                    ),
                };
                *results.entry((function.to_string(), result)).or_default() += 1;
            }
            for (contract, raw) in receipt.events.iter().filter_map(SimEvent::print) {
                let name = contract.split_once('.').map_or("", |(_, n)| n).to_owned();
                let envelope = events::decode(&name, &raw)
                    .unwrap_or_else(|e| panic!("{contract}: {e}: {}", hex::encode(&raw)));
                missing.remove(&(name, envelope.event.topic()));
            }
        }
    }
    println!("block {}", chain.tip().header.height);
    for ((function, result), count) in &results {
        println!("{function} {result} {count}");
    }
    assert!(missing.is_empty(), "never printed: {missing:?}");
}

/// Contract and topic of everything that the catalogue knows.
fn topics() -> BTreeSet<(String, &'static str)> {
    let of = |c: events::ContractSchema| {
        let name = c.contract.to_owned();
        c.topics.into_iter().map(move |t| (name.clone(), t.topic))
    };
    events::schema().into_iter().flat_map(of).collect()
}

#[test]
fn with_the_minter_apart_its_key_is_still_and_badges_wait_for_it() {
    let mut market = Marketplace::new(7).with_the_minter_apart();
    let mut chain = Simnet::new(SimnetConfig {
        seed: 7,
        genesis: market.genesis(),
        keep_states: 50,
        ..SimnetConfig::default()
    })
    .expect("a chain");
    let minter = Actor::of("minter").principal();
    let mut claims = 0;
    let mut waiting = 0;
    for n in 0..400u32 {
        if claims > 0 && waiting > 0 {
            break;
        }
        let jump = market.patience(&chain);
        if jump > 0 || n % 4 == 0 {
            chain.burn(jump.max(1));
        }
        market.act(&mut chain, 8);
        let block = chain.mine(100).expect("a block");
        for receipt in &block.receipts {
            let sender = receipt.transaction.origin_address();
            assert_ne!(sender, minter, "somebody used the key");
            if let Payload::ContractCall { function, .. } = &receipt.transaction.payload
                && function.as_str() == "claim"
            {
                let claimers =
                    [4, 8, 12].map(|n| Actor::of(&format!("freelancer-{n}")).principal());
                assert!(claimers.contains(&sender), "{sender} claimed");
                claims += 1;
            }
        }
        let view = View::new(&chain, market.contracts());
        let x_valid = |who: &Principal| view.x_until(who).is_some_and(|x| x >= view.burn_height);
        waiting = (1..=12u64)
            .filter(|n| !n.is_multiple_of(4))
            .map(|n| Actor::of(&format!("freelancer-{n}")).principal())
            .filter(|who| x_valid(who) && !view.holds_badge(who, 5))
            .count();
    }
    assert!(claims > 0 && waiting > 0, "{claims} claims, {waiting} wait");
    let tip = chain.tip().header.id;
    let account = chain.account(&tip, &minter).expect("an account");
    assert_eq!((account.nonce, account.balance), (0, 10_000_000_000_000));
}
