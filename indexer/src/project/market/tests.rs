//! Events of the contracts, by hand, and what the projections say of them.

use serde_json::Value;
use stxworx_clarity::events::field::Uint;
use stxworx_clarity::events::logic::LogicEvent;

use super::testing::*;
use crate::model::{EventBody, FollowSet, Mirror};
use crate::project::suite::{block, call};
use crate::project::{States, Violation, apply_all, registry};

fn follow() -> FollowSet {
    FollowSet {
        mirror: Mirror::All,
        contracts: ["*".to_owned()].into(),
        principals: Default::default(),
    }
}

/// Applies one transaction a block; returns the violations and the final states.
fn told(transactions: Vec<Vec<EventBody>>) -> (Vec<Violation>, States) {
    let (all, mut states, mut violations) = (registry(), States::new(), Vec::new());
    for (height, events) in (1..).zip(transactions) {
        let events = (0..)
            .zip(events)
            .map(|(ordinal, body)| (0, ordinal, body))
            .collect();
        let transaction = call(
            0,
            &contract("freelance-logic"),
            crate::model::TxStatus::Success,
        );
        let block = block(height, vec![transaction], events);
        violations.extend(
            apply_all(&all, &block, &follow(), &mut states)
                .unwrap()
                .violations,
        );
    }
    (violations, states)
}

fn ids(violations: &[Violation]) -> Vec<&'static str> {
    violations.iter().map(|v| v.id).collect()
}

fn state(states: &States, projection: i16, entity: &str) -> Value {
    states[&(projection, entity.to_owned())].clone()
}

fn escrow() -> String {
    contract("freelance-logic")
}

fn opening(printer: &mut Printer) -> Vec<EventBody> {
    vec![
        transfer(&person(1).to_string(), &escrow(), 5_000),
        printer.logic(opened()),
    ]
}

#[test]
fn a_project_and_its_money_are_followed() {
    let mut printer = Printer::default();
    let pays = |to: u8, amount| transfer(&escrow(), &person(to).to_string(), amount);
    let history = vec![
        opening(&mut printer),
        vec![printer.logic(accepted())],
        vec![
            pays(2, 1_800),
            pays(8, 200),
            printer.logic(LogicEvent::MilestoneSettled(settled())),
        ],
    ];
    let (violations, states) = told(history);
    assert_eq!(violations, []);
    let project = state(&states, 10, &format!("{}/1", escrow()));
    assert_eq!(project["status"], "active");
    assert_eq!(project["paid"], "1800");
    assert_eq!(project["milestones"][0]["status"], "released");
    assert_eq!(project["milestones"][1]["status"], "funded");
    let asset = state(&states, 11, &format!("{}|STX", escrow()));
    assert_eq!(
        (&asset["locked"], &asset["fees"]),
        (&"3000".into(), &"200".into())
    );
    let treasury = state(&states, 17, &format!("{}|STX", person(8)));
    assert_eq!(treasury["fees"], "200");
    let chain = state(&states, 4, &escrow());
    assert_eq!((&chain["seq"], &chain["breaks"]), (&"3".into(), &0.into()));
}

#[test]
fn money_that_does_not_add_up_is_a_violation_of_the_project_and_the_asset() {
    let mut printer = Printer::default();
    let mut odd = settled();
    odd.payout = Uint(1_700);
    let pays = |to: u8, amount| transfer(&escrow(), &person(to).to_string(), amount);
    let history = vec![
        opening(&mut printer),
        vec![
            pays(2, 1_700),
            pays(8, 200),
            printer.logic(LogicEvent::MilestoneSettled(odd)),
        ],
    ];
    assert_eq!(ids(&told(history).0), ["MO-1", "MO-1"]);
}

#[test]
fn an_event_without_its_transfer_is_a_violation() {
    let mut printer = Printer::default();
    let history = vec![
        opening(&mut printer),
        vec![printer.logic(LogicEvent::MilestoneSettled(settled()))],
    ];
    assert_eq!(ids(&told(history).0), ["MO-3"]);
}

#[test]
fn money_that_leaves_without_an_event_is_a_violation() {
    let mut printer = Printer::default();
    let theft = vec![transfer(&escrow(), &person(7).to_string(), 1)];
    assert_eq!(ids(&told(vec![opening(&mut printer), theft]).0), ["MO-2"]);
}

#[test]
fn a_gift_is_no_violation() {
    let mut printer = Printer::default();
    let gift = vec![transfer(&person(7).to_string(), &escrow(), 1)];
    assert_eq!(told(vec![gift, opening(&mut printer)]).0, []);
}

#[test]
fn a_mirror_that_began_late_does_not_accuse_anybody() {
    let mut printer = Printer::default();
    let _unseen = opening(&mut printer);
    let (violations, states) = told(vec![vec![
        printer.logic(LogicEvent::MilestoneSettled(settled())),
    ]]);
    assert_eq!(violations, []);
    assert_eq!(
        state(&states, 10, &format!("{}/1", escrow()))["partial"],
        true
    );
    assert_eq!(state(&states, 4, &escrow())["from_seq"], "2");
}

#[test]
fn a_missing_event_breaks_the_chain_by_name() {
    let mut printer = Printer::default();
    let first = opening(&mut printer);
    let _lost = printer.logic(accepted());
    let later = vec![printer.logic(accepted())];
    let (violations, states) = told(vec![first, later]);
    assert_eq!(ids(&violations), ["EV-1"]);
    assert!(
        violations[0].detail.contains("seq 3 where 2 was due"),
        "{}",
        violations[0].detail
    );
    assert_eq!(state(&states, 4, &escrow())["breaks"], 1);
}

#[test]
fn an_altered_event_breaks_the_chain_at_the_next_one() {
    let mut printer = Printer::default();
    let mut first = opening(&mut printer);
    let value = first[1].value.as_mut().unwrap();
    let last = value.len() - 1;
    value[last] ^= 1;
    let second = vec![printer.logic(accepted())];
    assert_eq!(ids(&told(vec![first, second]).0), ["EV-1"]);
}

#[test]
fn a_badge_without_its_token_is_a_violation() {
    let mut printer = Printer::default();
    let minted = |p: &mut Printer| {
        p.print(stxworx_clarity::events::Event::Badges(badge_minted(
            1,
            &person(2),
        )))
    };
    assert_eq!(ids(&told(vec![vec![minted(&mut printer)]]).0), ["BA-1"]);
    let mut printer = Printer::default();
    let agreeing = vec![native_mint(1, &person(2)), minted(&mut printer)];
    assert_eq!(told(vec![agreeing]).0, []);
    let mut printer = Printer::default();
    let other_owner = vec![native_mint(1, &person(3)), minted(&mut printer)];
    assert_eq!(ids(&told(vec![other_owner]).0), ["BA-1"]);
}

#[test]
fn a_contract_that_speaks_another_language_is_not_held_to_the_catalogue() {
    let mut strange = EventBody::new(crate::model::EventKind::Contract);
    strange.value = Some(vec![3]);
    let mut printer = Printer::default();
    let minted = native_mint(1, &person(2));
    strange.contract.clone_from(&minted.contract);
    let outflow = transfer(&escrow(), &person(7).to_string(), 1);
    assert_eq!(
        told(vec![vec![strange, minted.clone()], vec![outflow]]).0,
        []
    );
    let event = stxworx_clarity::events::Event::Badges(badge_minted(1, &person(2)));
    assert_eq!(ids(&told(vec![vec![minted.clone()]]).0), ["BA-1"]);
    let both = vec![minted.clone(), minted, printer.print(event)];
    assert_eq!(ids(&told(vec![both]).0), ["BA-1"]);
}

#[test]
fn what_the_catalogue_does_not_have_is_counted_with_its_reason() {
    let mut strange = EventBody::new(crate::model::EventKind::Contract);
    strange.contract = Some(escrow());
    strange.value = Some(vec![3]);
    let (_, states) = told(vec![vec![strange.clone(), strange]]);
    let state = state(&states, 5, &escrow());
    assert_eq!(state["count"], 2);
    assert_eq!(state["last"]["reason"], "the print is no event envelope");
}
