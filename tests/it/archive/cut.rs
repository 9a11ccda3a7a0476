//! A payload that was cut down decodes to what the whole one decodes to.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::{Value as Json, json};
use stxworx::recording::Recording;
use stxworx::workload::{ChainBuilder, ChainOptions, Event, Tx, asset, event, uint};
use stxworx_indexer::decode::{decode_block, decode_block_for};
use stxworx_indexer::model::{FollowSet, Mirror};
use stxworx_indexer::source::archive::cut::cut;
use stxworx_indexer::source::archive::needles::Needles;

use crate::support::chain::tenure_extend;
use crate::support::fixtures;

const FILES: [&str; 5] = [
    "nakamoto.ndjson.gz",
    "mocknet.ndjson.gz",
    "archive-epoch-3-transition.tsv.gz",
    "archive-mainnet-reorg.tsv.gz",
    "archive-mocknet.tsv.gz",
];

/// Checks one payload; returns its bytes before and after, if it was cut down.
fn check(body: &[u8], follow: &FollowSet, needles: &Needles) -> Option<(usize, usize)> {
    let expected = decode_block_for(body, follow);
    let Some(cut) = cut(body, follow, needles) else {
        assert!(expected.is_err(), "a good payload counts as bad");
        return None;
    };
    let left = cut.body?;
    let expected = expected.unwrap_or_else(|e| panic!("a bad payload was cut down: {e}"));
    assert_eq!(decode_block_for(&left, follow).unwrap(), expected);
    assert_eq!(cut.outline.block, expected.header.block_ref());
    assert_eq!(cut.outline.parent, expected.header.parent);
    Some((body.len(), left.len()))
}

/// Every name that a block tells of.
fn names(body: &[u8]) -> BTreeSet<String> {
    let block = decode_block(body).unwrap();
    let of_txs = block
        .transactions
        .iter()
        .flat_map(|t| [&t.sender, &t.sponsor, &t.contract]);
    let of_events = block
        .events
        .iter()
        .flat_map(|e| [&e.body.contract, &e.body.sender, &e.body.recipient]);
    of_txs.chain(of_events).flatten().cloned().collect()
}

fn follow_sets(names: &BTreeSet<String>) -> Vec<FollowSet> {
    let (contracts, principals): (Vec<_>, Vec<_>) =
        names.iter().cloned().partition(|n| n.contains('.'));
    let set = |contracts: Vec<String>, principals: Vec<String>| FollowSet {
        mirror: Mirror::Followed,
        contracts: contracts.into_iter().collect(),
        principals: principals.into_iter().collect(),
    };
    let mut sets = vec![
        set(vec![], vec![]),
        set(vec!["*".into()], vec![]),
        set(contracts.clone(), principals.clone()),
    ];
    // Some names alone.
    sets.extend(
        contracts
            .iter()
            .take(5)
            .map(|c| set(vec![c.clone()], vec![])),
    );
    sets.extend(
        principals
            .iter()
            .take(4)
            .map(|p| set(vec![], vec![p.clone()])),
    );
    sets
}

#[test]
fn recordings_of_real_nodes() {
    let Some(folder) = fixtures() else { return };
    for file in FILES {
        let entries = Recording::open(&folder.join(file)).unwrap();
        let bodies: Vec<_> = entries
            .map(Result::unwrap)
            .filter(|e| e.is_block())
            .map(|e| e.body)
            .collect();
        let all: BTreeSet<_> = bodies.iter().flat_map(|b| names(b)).collect();
        let sets = follow_sets(&all);
        for follow in &sets {
            let needles = Needles::new(follow);
            let (mut before, mut after, mut whole) = (0, 0, 0);
            for body in &bodies {
                match check(body, follow, &needles) {
                    Some((b, a)) => (before, after) = (before + b, after + a),
                    None => whole += 1,
                }
            }
            if follow.contracts.len() + follow.principals.len() == 0 {
                println!(
                    "{file}: {} blocks, {before} bytes become {after}",
                    bodies.len()
                );
                assert!(after * 2 < before && whole == 0, "{whole} stay whole");
            }
        }
        println!("{file}: {} follow sets", sets.len());
    }
}

/// What may be done to a payload.
#[derive(Debug, Clone)]
enum Twist {
    /// Characters of a text spelled as `\uXXXX`.
    Spelled(usize),
    /// Transactions' digits in capitals.
    Capitals(usize),
    /// An event of a transaction that is not listed.
    Unlisted(usize),
    /// An event that was not committed.
    Uncommitted(usize),
    /// A transaction that failed although it has events.
    Failed(usize),
    /// Two transactions of one id.
    SameId(usize, usize),
    /// Two transactions of one place.
    SamePlace(usize, usize),
    /// A transaction without bytes.
    Bare(usize),
    /// Elements out of order.
    Shuffled(usize),
    /// An event that names no body of its type.
    Foreign(usize),
    /// A field that a payload must have.
    Missing(usize),
}

fn twist() -> impl Strategy<Value = Twist> {
    let at = 0..64_usize;
    prop_oneof![
        at.clone().prop_map(Twist::Spelled),
        at.clone().prop_map(Twist::Capitals),
        at.clone().prop_map(Twist::Unlisted),
        at.clone().prop_map(Twist::Uncommitted),
        at.clone().prop_map(Twist::Failed),
        (at.clone(), at.clone()).prop_map(|(a, b)| Twist::SameId(a, b)),
        (at.clone(), at.clone()).prop_map(|(a, b)| Twist::SamePlace(a, b)),
        at.clone().prop_map(Twist::Bare),
        at.clone().prop_map(Twist::Shuffled),
        at.clone().prop_map(Twist::Foreign),
        at.prop_map(Twist::Missing),
    ]
}

fn element<'a>(json: &'a mut Json, list: &str, at: usize) -> Option<&'a mut Json> {
    let list = json.get_mut(list)?.as_array_mut()?;
    let length = list.len().max(1);
    list.get_mut(at % length)
}

/// Spells one character of the first text under this name.
fn spell(text: &str, name: &str, at: usize) -> String {
    let begin = format!("\"{name}\":\"");
    let Some(start) = text.find(&begin).map(|s| s + begin.len()) else {
        return text.to_owned();
    };
    let end = start + text[start..].find('"').unwrap();
    let place = start + at % (end - start).max(1);
    let Some(c) = text[place..].chars().next().filter(|c| *c != '"') else {
        return text.to_owned();
    };
    format!(
        "{}\\u{:04x}{}",
        &text[..place],
        u32::from(c),
        &text[place + 1..]
    )
}

fn twisted(mut json: Json, twists: &[Twist]) -> String {
    const SPELLED: [&str; 6] = [
        "contract_identifier",
        "asset_identifier",
        "sender",
        "recipient",
        "raw_tx",
        "txid",
    ];
    let mut spelled = Vec::new();
    for twist in twists {
        match *twist {
            Twist::Spelled(at) => spelled.push(at),
            Twist::Capitals(at) => {
                if let Some(tx) = element(&mut json, "transactions", at) {
                    let digits = tx["raw_tx"].as_str().unwrap().trim_start_matches("0x");
                    tx["raw_tx"] = json!(format!("0x{}", digits.to_uppercase()));
                }
            }
            Twist::Unlisted(at) => {
                if let Some(e) = element(&mut json, "events", at) {
                    e["txid"] = json!(format!("0x{}", "ab".repeat(32)));
                }
            }
            Twist::Uncommitted(at) => {
                if let Some(e) = element(&mut json, "events", at) {
                    e["committed"] = json!(false);
                }
            }
            Twist::Failed(at) => {
                if let Some(tx) = element(&mut json, "transactions", at) {
                    tx["status"] = json!("abort_by_response");
                }
            }
            Twist::SameId(a, b) | Twist::SamePlace(a, b) => {
                let name = match twist {
                    Twist::SameId(..) => "txid",
                    _ => "tx_index",
                };
                let of = element(&mut json, "transactions", a).map(|tx| tx[name].clone());
                if let (Some(of), Some(tx)) = (of, element(&mut json, "transactions", b)) {
                    tx[name] = of;
                }
            }
            Twist::Bare(at) => {
                if let Some(tx) = element(&mut json, "transactions", at) {
                    tx["raw_tx"] = json!("0x");
                    tx["facts"] = json!({"kind": "contract_call", "sender": "ST000000000000000000002AMW42H",
                        "nonce": 1, "fee": 2});
                }
            }
            Twist::Shuffled(at) => {
                for list in ["transactions", "events"] {
                    // Another twist may have taken the list away.
                    let list = json.get_mut(list).and_then(Json::as_array_mut);
                    if let Some(list) = list.filter(|list| !list.is_empty()) {
                        let by = at % list.len();
                        list.rotate_left(by);
                    }
                }
            }
            Twist::Foreign(at) => {
                if let Some(e) = element(&mut json, "events", at) {
                    e["type"] = json!("later_event");
                    e["later_event"] = json!({"sender": "SP000000000000000000002Q6VF78"});
                }
            }
            Twist::Missing(at) => {
                let names = [
                    "block_hash",
                    "burn_block_time",
                    "txid",
                    "consensus_hash",
                    "events",
                ];
                json.as_object_mut()
                    .unwrap()
                    .remove(names[at % names.len()]);
            }
        }
    }
    let mut text = json.to_string();
    for at in spelled {
        text = spell(&text, SPELLED[at % SPELLED.len()], at);
    }
    text
}

/// A block in which several people do several things, and the names of all that could be followed.
fn block(chain: &ChainBuilder, doings: &[(u8, u8, u8)]) -> (Json, Vec<String>) {
    const PEOPLE: [&str; 4] = ["alice", "bob", "carol", "dave"];
    let person = |n: u8| chain.account(PEOPLE[usize::from(n) % PEOPLE.len()]);
    let contracts = chain.network().followed_contracts();
    let tenure = chain.burn_block(&chain.burn_tip());
    let mut builder = chain.block(&chain.root()).tenure(&tenure);
    for (what, who, whom) in doings {
        let (a, b) = (person(*who), person(*whom));
        let contract = &contracts[usize::from(*whom) % contracts.len()];
        let coin = asset(contract, "coin");
        let tx: Tx = match what % 8 {
            0 => chain.transfer(&a, &b, 5, ""),
            1 => chain
                .call(&a, contract, "act", &[uint(1u8)])
                .print(contract, event("acted", [("n", uint(2u8))])),
            2 => chain
                .call(&a, &contracts[0], "route", &[])
                .print(contract, event("inner", []))
                .event(Event::stx_transfer(&contracts[0], b, 3)),
            3 => chain
                .call(&a, contract, "mint", &[])
                .event(Event::ft_mint(&coin, b, 7))
                .event(Event::nft_mint(&coin, a, uint(1u8))),
            4 => chain.call(&a, contract, "act", &[]).refused(7),
            5 => chain.deploy(&a, "helper", "(print 1)"),
            6 => tenure_extend(chain, &chain.root(), &tenure),
            _ => Tx::phantom_unlock(chain.network(), 3, vec![Event::stx_transfer(a, b, 1)]),
        };
        builder = builder.tx(tx);
    }
    let body = builder.build().entry().body;
    let mut names: Vec<String> = contracts.iter().map(ToString::to_string).collect();
    names.extend(PEOPLE.map(|p| chain.account(p).to_string()));
    names.push(format!("{}.helper", chain.account("alice")));
    (serde_json::from_slice(&body).unwrap(), names)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn chains_made_up_and_twisted(
        doings in prop::collection::vec(any::<(u8, u8, u8)>(), 0..8),
        followed in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
        twists in prop::collection::vec(twist(), 0..3),
    ) {
        let chain = ChainBuilder::new(ChainOptions::default());
        let (json, names) = block(&chain, &doings);
        let ids = json["transactions"].as_array().unwrap().iter();
        let ids: Vec<String> = ids.map(|tx| tx["txid"].to_string()).collect();
        let repeats = ids.iter().collect::<BTreeSet<_>>().len() < ids.len();
        let body = twisted(json, &twists);
        let (contracts, principals) = followed
            .iter()
            .map(|index| index.get(&names).clone())
            .partition(|name| name.contains('.'));
        let follow = FollowSet { mirror: Mirror::Followed, contracts, principals };
        let needles = Needles::new(&follow);
        let Ok(expected) = decode_block_for(body.as_bytes(), &follow) else {
            // What is wrong with a transaction or an event that nobody follows is nobody's business.
            return Ok(());
        };
        let cut = cut(body.as_bytes(), &follow, &needles).expect("a good payload");
        if let Some(left) = cut.body {
            prop_assert_eq!(decode_block_for(&left, &follow).unwrap(), expected);
        } else {
            // Only what no chain has keeps a payload whole: twists, one id twice, several changes of the tenure.
            prop_assert!(!twists.is_empty() || repeats || doings.iter().any(|d| d.0 % 8 == 6));
        }
    }

    /// The needles alone: where they find nothing, a mirror keeps nothing.
    #[test]
    fn nothing_that_is_followed_is_overlooked(
        doings in prop::collection::vec(any::<(u8, u8, u8)>(), 0..8),
        followed in prop::collection::vec(any::<prop::sample::Index>(), 0..3),
        spelled in prop::collection::vec(0..64_usize, 0..2),
    ) {
        let chain = ChainBuilder::new(ChainOptions::default());
        let (json, names) = block(&chain, &doings);
        let twists: Vec<_> = spelled.into_iter().map(Twist::Spelled).collect();
        let body = twisted(json, &twists);
        let (contracts, principals) = followed
            .iter()
            .map(|index| index.get(&names).clone())
            .partition(|name| name.contains('.'));
        let follow = FollowSet { mirror: Mirror::Followed, contracts, principals };
        let kept = decode_block_for(body.as_bytes(), &follow).unwrap();
        let found = Needles::new(&follow).may_hold(body.as_bytes());
        prop_assert!(found || (kept.transactions.is_empty() && kept.events.is_empty()));
    }
}
