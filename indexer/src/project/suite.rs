//! What every projection must do, and what each of them says about a chain computed by hand.

use std::collections::BTreeSet;

use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::market::testing;
use super::*;
use crate::model::change::position;
use crate::model::{
    BlockHash, BlockHeader, BurnBlockHash, Digest, Event, EventBody, EventKind, IndexBlockHash,
    Mirror, Transaction, TxId, TxKind, TxStatus,
};

const CONTRACT: &str = "ST000000000000000000002AMW42H.shop";
const OTHER: &str = "ST000000000000000000002AMW42H.elsewhere";
const ALICE: &str = "ST2J6ZY48GV1EZ5V2V5RB9MP66SW86PYKKQ9H6DPR";
const BOB: &str = "ST1SJ3DTE5DN7X54YDH5D64R3BCB6A2AG2ZQ8YPD5";

fn follow() -> FollowSet {
    FollowSet {
        mirror: Mirror::All,
        contracts: ["data", "logic", "badges", "security"]
            .map(|name| testing::contract(&format!("freelance-{name}")))
            .into_iter()
            .chain([CONTRACT.to_owned()])
            .collect(),
        principals: BTreeSet::from([ALICE.to_owned()]),
    }
}

fn id(height: u32) -> IndexBlockHash {
    IndexBlockHash([u8::try_from(height).unwrap(); 32])
}

fn header(height: u32) -> BlockHeader {
    BlockHeader {
        id: id(height),
        parent: id(height - 1),
        height,
        block_hash: BlockHash([1; 32]),
        block_time: Some(1),
        burn_block_hash: BurnBlockHash([2; 32]),
        burn_block_height: 100,
        burn_block_time: 1,
        consensus_hash: None,
        burn_view: None,
        miner_txid: Some(TxId([3; 32])),
        tenure_height: None,
    }
}

pub(super) fn call(tx_index: u32, contract: &str, status: TxStatus) -> Transaction {
    Transaction {
        tx_index,
        txid: TxId([u8::try_from(tx_index).unwrap(); 32]),
        kind: TxKind::Undecoded,
        status,
        sender: Some(ALICE.to_owned()),
        sponsor: None,
        nonce: Some(0),
        fee: Some(1),
        contract: Some(contract.to_owned()),
        function: Some("act".to_owned()),
        raw_tx: vec![1],
        raw_result: vec![3],
        burnchain_op: None,
        vm_error: None,
    }
}

pub(super) fn block(
    height: u32,
    transactions: Vec<Transaction>,
    events: Vec<(u32, u32, EventBody)>,
) -> Block {
    let events: Vec<_> = events
        .into_iter()
        .map(|(tx_index, ordinal, body)| Event {
            tx_index,
            ordinal,
            body,
        })
        .collect();
    Block {
        header: header(height),
        listed_transactions: u32::try_from(transactions.len()).unwrap(),
        listed_events: u32::try_from(events.len()).unwrap(),
        transactions,
        events,
    }
}

fn print(contract: &str, value: u8) -> EventBody {
    let mut body = EventBody::new(EventKind::Contract);
    body.contract = Some(contract.to_owned());
    body.value = Some(vec![value]);
    body
}

fn stx(sender: &str, recipient: &str, amount: u128) -> EventBody {
    let mut body = EventBody::new(EventKind::StxTransfer);
    body.sender = Some(sender.to_owned());
    body.recipient = Some(recipient.to_owned());
    body.amount = Some(amount);
    body
}

fn ft_mint(contract: &str, recipient: &str, amount: u128) -> EventBody {
    let mut body = EventBody::new(EventKind::FtMint);
    body.contract = Some(contract.to_owned());
    body.asset = Some("coin".to_owned());
    body.recipient = Some(recipient.to_owned());
    body.amount = Some(amount);
    body
}

fn nft_burn(contract: &str, sender: &str, token: u8) -> EventBody {
    let mut body = EventBody::new(EventKind::NftBurn);
    body.contract = Some(contract.to_owned());
    body.asset = Some("badge".to_owned());
    body.sender = Some(sender.to_owned());
    body.value = Some(vec![token]);
    body
}

/// Five blocks that touch every projection, among things that are not followed.
fn chain() -> Vec<Block> {
    let mut blocks = plain_chain();
    let events = (0..).zip(testing::example());
    let events = events.map(|(ordinal, body)| (0, ordinal, body)).collect();
    blocks.push(block(5, vec![call(0, OTHER, TxStatus::Success)], events));
    blocks
}

/// The blocks without the marketplace's contracts.
fn plain_chain() -> Vec<Block> {
    use TxStatus::{AbortByResponse, Success};
    vec![
        block(
            1,
            vec![call(0, CONTRACT, Success), call(1, OTHER, Success)],
            vec![
                (0, 0, print(CONTRACT, 1)),
                (0, 1, stx(ALICE, CONTRACT, 100)),
                (1, 0, print(OTHER, 9)),
            ],
        ),
        block(
            2,
            vec![call(0, OTHER, Success)],
            vec![(0, 0, stx(BOB, OTHER, 5))],
        ),
        block(
            3,
            vec![
                call(0, CONTRACT, AbortByResponse),
                call(1, CONTRACT, Success),
            ],
            vec![
                (1, 0, print(CONTRACT, 2)),
                (1, 1, stx(CONTRACT, ALICE, 30)),
                (1, 2, ft_mint(CONTRACT, ALICE, 7)),
                (1, 3, print(CONTRACT, 3)),
            ],
        ),
        block(
            4,
            vec![call(0, OTHER, Success)],
            vec![
                (0, 0, stx(ALICE, ALICE, 1)),
                (0, 1, nft_burn(CONTRACT, ALICE, 8)),
            ],
        ),
    ]
}

fn apply(p: &dyn AnyProjection, block: &Block, states: &mut States) -> Vec<Version> {
    p.apply(block, &follow(), states)
        .unwrap_or_else(|e| panic!("{e}"))
        .versions
}

fn every(check: impl Fn(&dyn AnyProjection)) {
    let all = registry();
    assert_eq!(
        all.len(),
        13,
        "a new projection: give chain() something for it"
    );
    for projection in &all {
        check(&**projection);
    }
}

#[test]
fn ids_and_names_are_never_shared() {
    let all = registry();
    let ids: BTreeSet<_> = all.iter().map(|p| p.id()).collect();
    let names: BTreeSet<_> = all.iter().map(|p| p.name()).collect();
    assert_eq!((ids.len(), names.len()), (all.len(), all.len()));
    assert!(
        all.is_sorted_by_key(|p| p.id()),
        "versions are hashed in order of the ids"
    );
}

#[test]
fn an_empty_block_gives_nothing() {
    every(|p| {
        let mut states = States::new();
        let empty = block(1, vec![], vec![]);
        assert_eq!(apply(p, &empty, &mut states), []);
        assert!(
            states.is_empty() && p.touched(&empty, &follow()).is_empty(),
            "{}",
            p.name()
        );
    });
}

#[test]
fn a_block_without_followed_things_gives_nothing() {
    every(|p| {
        let mut states = States::new();
        assert_eq!(apply(p, &chain()[1], &mut states), [], "{}", p.name());
        assert!(states.is_empty());
    });
}

#[test]
fn something_is_said_about_the_example() {
    every(|p| {
        let mut states = States::new();
        let versions = chain()
            .iter()
            .map(|b| apply(p, b, &mut states).len())
            .sum::<usize>();
        assert!(
            versions > 0,
            "{} is not exercised by the chain of this suite",
            p.name()
        );
    });
}

#[test]
fn the_same_block_on_the_same_states_gives_the_same_versions() {
    every(|p| {
        let mut states = States::new();
        for block in chain() {
            let mut again = states.clone();
            assert_eq!(
                apply(p, &block, &mut states),
                apply(p, &block, &mut again),
                "{}",
                p.name()
            );
            assert_eq!(states, again);
        }
    });
}

/// The newest version of each touched entity, as the store gives them: nothing else, and only as JSON text.
fn reloaded(p: &dyn AnyProjection, block: &Block, written: &[Version]) -> States {
    let mut states = States::new();
    for entity in p.touched(block, &follow()) {
        if let Some(newest) = written.iter().rev().find(|v| v.entity == entity) {
            let text = newest.state.to_string();
            states.insert((p.id(), entity), serde_json::from_str(&text).unwrap());
        }
    }
    states
}

#[test]
fn a_chain_cut_anywhere_gives_the_same_versions() {
    every(|p| {
        let mut in_one_go = States::new();
        let mut written: Vec<Version> = Vec::new();
        for block in chain() {
            let expected = apply(p, &block, &mut in_one_go);
            let mut cut = reloaded(p, &block, &written);
            assert_eq!(
                apply(p, &block, &mut cut),
                expected,
                "{} block {}",
                p.name(),
                block.header.height
            );
            written.extend(expected);
        }
        for ((_, entity), state) in &in_one_go {
            let newest = written.iter().rev().find(|v| v.entity == *entity).unwrap();
            assert_eq!(
                newest.state,
                *state,
                "{} {entity}: the state at the end",
                p.name()
            );
        }
    });
}

#[test]
fn versions_are_sorted_and_only_of_touched_entities() {
    every(|p| {
        let mut states = States::new();
        for block in chain() {
            let versions = apply(p, &block, &mut states);
            let keys: Vec<_> = versions
                .iter()
                .map(|v| (v.entity.as_str(), v.position))
                .collect();
            assert!(keys.is_sorted_by(|a, b| a < b), "{}: {keys:?}", p.name());
            let touched = p.touched(&block, &follow());
            assert!(touched.is_sorted_by(|a, b| a < b));
            assert!(
                versions
                    .iter()
                    .all(|v| v.projection == p.id() && touched.contains(&v.entity))
            );
        }
    });
}

#[test]
fn all_projections_together_are_sorted_by_projection() {
    let (all, mut states) = (registry(), States::new());
    for block in chain() {
        let change = apply_all(&all, &block, &follow(), &mut states).unwrap();
        let keys: Vec<_> = change
            .versions
            .iter()
            .map(|v| (v.projection, v.entity.clone(), v.position))
            .collect();
        assert!(keys.is_sorted_by(|a, b| a < b), "{keys:?}");
        let touched: BTreeSet<_> = touched(&all, &block, &follow()).into_iter().collect();
        assert!(
            keys.iter()
                .all(|(p, entity, _)| touched.contains(&(*p, entity.clone())))
        );
    }
}

#[test]
fn a_state_that_cannot_be_read_is_an_error_that_names_its_place() {
    every(|p| {
        let blocks = chain();
        let first = blocks
            .iter()
            .find(|b| !p.touched(b, &follow()).is_empty())
            .unwrap();
        let entity = p.touched(first, &follow()).remove(0);
        let mut states = States::from([((p.id(), entity.clone()), json!("nonsense"))]);
        let error = p.apply(first, &follow(), &mut states).unwrap_err();
        assert_eq!(
            (error.projection, error.entity.as_str()),
            (p.name(), entity.as_str())
        );
        assert_eq!(error.block, first.header.id.to_string());
        assert!(
            error
                .reason
                .starts_with("its stored state is not readable: "),
            "{error}"
        );
    });
}

/// A stranger's token can be minted to a watched principal, burned and minted again: that must not stop a mirror.
#[test]
fn a_total_may_grow_beyond_128_bits() {
    let transfers = transfers::Transfers;
    let mut states = States::new();
    let mut totals = Vec::new();
    for (height, amount) in [(1, u128::MAX), (2, 1), (3, u128::MAX)] {
        let block = block(
            height,
            vec![call(0, OTHER, TxStatus::Success)],
            vec![(0, 0, stx(BOB, ALICE, amount))],
        );
        apply(&transfers, &block, &mut states);
        let entity = (transfers::Transfers::ID, format!("{ALICE}|STX"));
        totals.push(states[&entity]["received"].clone());
    }
    assert_eq!(
        totals,
        [
            "340282366920938463463374607431768211455",
            "340282366920938463463374607431768211456",
            "680564733841876926926749214863536422911"
        ]
    );
}

fn run(p: &dyn AnyProjection) -> Vec<(u32, String, u64, Value)> {
    let mut states = States::new();
    let mut said = Vec::new();
    for block in plain_chain() {
        for v in apply(p, &block, &mut states) {
            said.push((block.header.height, v.entity, v.position, v.state));
        }
    }
    said
}

#[test]
fn the_cursor_is_a_hash_chain_over_the_prints() {
    let link = |head: [u8; 32], value: u8| -> [u8; 32] {
        Sha256::digest([&head[..], &[value]].concat()).into()
    };
    let one = link([0; 32], 1);
    let three = link(link(one, 2), 3);
    let state = |prints: u64, head, height: u32| json!({"prints": prints, "head": Digest(head), "height": height});
    let expected = [
        (1, CONTRACT.to_owned(), 0, state(1, one, 1)),
        (3, CONTRACT.to_owned(), 0, state(3, three, 3)),
    ];
    assert_eq!(run(&cursor::ContractCursor), expected);
}

#[test]
fn activity_counts_calls_prints_and_movements() {
    let state = |last: u32, ok: u64, failed: u64, prints: u64, movements: u64| {
        json!({"first_height": 1, "last_height": last, "calls_succeeded": ok, "calls_failed": failed,
               "prints": prints, "movements": movements})
    };
    let expected = [
        (1, CONTRACT.to_owned(), 0, state(1, 1, 0, 1, 1)),
        // Received 100 before; now sent 30 and minted its own coin.
        (3, CONTRACT.to_owned(), 0, state(3, 2, 1, 3, 3)),
        (4, CONTRACT.to_owned(), 0, state(4, 2, 1, 3, 4)),
    ];
    assert_eq!(run(&activity::ContractActivity), expected);
}

fn transfer_state(
    totals: (&str, &str, u64),
    tx: u8,
    direction: &str,
    amount: &str,
    other: Option<&str>,
    token: Option<&str>,
) -> Value {
    json!({"received": totals.0, "sent": totals.1, "count": totals.2, "last": {
        "txid": TxId([tx; 32]), "direction": direction, "amount": amount, "counterparty": other, "token": token,
    }})
}

#[test]
fn transfers_are_told_one_by_one_from_each_watched_side() {
    let entity = |principal: &str, asset: &str| format!("{principal}|{asset}");
    let (alice, contract) = (entity(ALICE, "STX"), entity(CONTRACT, "STX"));
    let coin = entity(ALICE, &format!("{CONTRACT}::coin"));
    let badge = entity(ALICE, &format!("{CONTRACT}::badge"));
    let at = |tx: u32, ordinal: u32, side: u32| position(tx, ordinal * 2 + side);
    let mut expected = vec![
        (
            1,
            contract.clone(),
            at(0, 1, 1),
            transfer_state(("100", "0", 1), 0, "in", "100", Some(ALICE), None),
        ),
        (
            1,
            alice.clone(),
            at(0, 1, 0),
            transfer_state(("0", "100", 1), 0, "out", "100", Some(CONTRACT), None),
        ),
        (
            3,
            contract,
            at(1, 1, 0),
            transfer_state(("100", "30", 2), 1, "out", "30", Some(ALICE), None),
        ),
        (
            3,
            alice.clone(),
            at(1, 1, 1),
            transfer_state(("30", "100", 2), 1, "in", "30", Some(CONTRACT), None),
        ),
        (
            3,
            coin,
            at(1, 2, 1),
            transfer_state(("7", "0", 1), 1, "in", "7", None, None),
        ),
        // To herself: out first, then in.
        (
            4,
            alice.clone(),
            at(0, 0, 0),
            transfer_state(("30", "101", 3), 0, "out", "1", Some(ALICE), None),
        ),
        (
            4,
            alice,
            at(0, 0, 1),
            transfer_state(("31", "101", 4), 0, "in", "1", Some(ALICE), None),
        ),
        (
            4,
            badge,
            at(0, 1, 0),
            transfer_state(("0", "1", 1), 0, "out", "1", None, Some("08")),
        ),
    ];
    expected.sort_by(|a, b| (a.0, &a.1, a.2).cmp(&(b.0, &b.1, b.2)));
    assert_eq!(run(&transfers::Transfers), expected);
}

#[test]
fn everyone_is_followed_by_a_star_but_only_named_ones_are_watched() {
    let star = FollowSet {
        contracts: BTreeSet::from(["*".to_owned()]),
        principals: BTreeSet::new(),
        ..follow()
    };
    let block = &chain()[0];
    let cursors = cursor::ContractCursor
        .apply(block, &star, &mut States::new())
        .unwrap();
    assert_eq!(
        cursors
            .versions
            .iter()
            .map(|v| v.entity.as_str())
            .collect::<Vec<_>>(),
        [OTHER, CONTRACT]
    );
    assert_eq!(
        transfers::Transfers
            .apply(block, &star, &mut States::new())
            .unwrap(),
        Change::default()
    );
}
