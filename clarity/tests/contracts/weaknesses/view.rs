//! What a mirror or a wallet could not know.

use stxworx_clarity::codec::transaction::{ConditionPrincipal, FungibleCode, PostCondition};
use stxworx_clarity::codec::{Principal, Value};
use stxworx_clarity::events::logic::LogicEvent;
use stxworx_clarity::events::{self, Event};
use stxworx_clarity::market::Conditions;
use stxworx_clarity::simnet::{Receipt, SimEvent, TxStatus};

use crate::world::*;

const NONE: Value = Value::None;
const LOGIC: &str = "freelance-logic";

fn told(receipt: &Receipt) -> LogicEvent {
    let mut found = receipt
        .events
        .iter()
        .filter_map(SimEvent::print)
        .filter_map(|(_, raw)| match events::decode(LOGIC, &raw).ok()?.event {
            Event::Logic(event) => Some(event),
            _ => None,
        });
    found.next().expect("an event of the escrow")
}

/// Every call of these tests goes through `World::receipt`, which compares what each contract keeps before and
/// after with what it printed; this one makes sure that the comparison sees a silent change.
#[test]
fn w22_every_change_is_told_of() {
    let mut w = World::ready();
    let id = w.disputed();
    w.does("arbiter", "resolve", &[id, u(1), u(5_000), NONE]);
    check_chains(&w);
    let silent = "(define-data-var seq uint u0) (define-data-var other uint u0)
        (define-public (change) (ok (var-set other u1)))
        (define-public (nothing) (ok true))";
    w.deploy("silent", silent);
    let id = contract("silent");
    let kept = |w: &World| w.chain.contract_data(&w.tip(), &id).expect("a state");
    let before = kept(&w);
    w.ok("stranger", "silent", "nothing", &[]);
    assert_eq!(kept(&w), before);
    w.ok("stranger", "silent", "change", &[]);
    assert_ne!(kept(&w), before);
}

#[test]
fn w23_an_event_holds_what_the_contract_keeps() {
    let mut w = World::ready();
    let arguments = w.opening(&[10_000, 20_000], 20, some(token("test-token")));
    let receipt = w.receipt(
        "client",
        LOGIC,
        "open-project",
        &arguments,
        Conditions::None,
    );
    let LogicEvent::ProjectOpened(opened) = told(&receipt) else {
        panic!("no opening")
    };
    let id = u(opened.project.0);
    assert_eq!(opened.client, who("client"));
    assert_eq!(
        opened.asset,
        Some(Principal::Contract(contract("test-token")))
    );
    let amounts: Vec<_> = opened.milestones.iter().map(|m| m.amount.0).collect();
    assert_eq!(amounts, [10_000, 20_000]);
    for (n, milestone) in (1..).zip(&opened.milestones) {
        assert_eq!(w.milestone(&id, n, "due"), milestone.due.0);
    }
    for (field, told) in [
        ("total", opened.total.0),
        ("fee-bps", opened.fee_bps.0),
        ("split-bps", opened.split_bps.0),
        ("accept-until", opened.accept_until.0),
        ("review", opened.review.0),
        ("resolve", opened.resolve.0),
        ("grace", opened.grace.0),
    ] {
        assert_eq!(w.project(&id, field), told, "{field}");
    }
    w.does("freelancer", "accept-project", std::slice::from_ref(&id));
    let release = [id.clone(), u(2), some(token("test-token"))];
    let receipt = w.receipt("client", LOGIC, "release", &release, Conditions::None);
    let LogicEvent::MilestoneSettled(settled) = told(&receipt) else {
        panic!("no settlement")
    };
    assert_eq!(
        (settled.project.0, settled.m.0, settled.amount.0),
        (opened.project.0, 2, 20_000)
    );
    for (field, told) in [
        ("payout", settled.payout.0),
        ("fee", settled.fee.0),
        ("refund", settled.refund.0),
        ("status", settled.status.0),
    ] {
        assert_eq!(w.milestone(&id, 2, field), told, "{field}");
    }
    assert_eq!(w.project(&id, "status"), settled.project_status.0);
    assert_eq!(settled.asset, opened.asset);
    assert_eq!(settled.locked_after.0, w.tokens(&escrow()));
}

#[test]
fn w24_events_have_a_version_a_number_and_a_hash_of_the_one_before() {
    let mut w = World::ready();
    w.disputed();
    check_chains(&w);
    for name in CONTRACTS {
        let seq = w.field(name, "get-cursor", &[], "seq").as_u128();
        assert!(seq >= Some(1), "{name}");
    }
    // A lost event does not go unnoticed: the next one names its hash.
    let opened = w.opening(&[10_000], 20, NONE);
    let raw_of = |receipt: &Receipt| {
        let (_, raw) = receipt
            .events
            .iter()
            .find_map(SimEvent::print)
            .expect("a print");
        raw
    };
    let first = raw_of(&w.receipt("client", LOGIC, "open-project", &opened, Conditions::None));
    let second = raw_of(&w.receipt("client", LOGIC, "open-project", &opened, Conditions::None));
    let (first_header, second_header) = (events::header(&first), events::header(&second));
    let (first_header, second_header) = (first_header.expect("one"), second_header.expect("one"));
    assert_eq!(second_header.seq, first_header.seq + 1);
    use sha2::Digest as _;
    assert_eq!(
        second_header.prev.as_slice(),
        sha2::Sha256::digest(&first).as_slice()
    );
}

#[test]
fn w25_what_was_paid_and_what_went_back_are_counted_apart() {
    let mut w = World::ready();
    let arguments = w.opening(&[1_000, 2_000], 3, NONE);
    let id = w.does("client", "open-project", &arguments);
    w.does("freelancer", "accept-project", std::slice::from_ref(&id));
    w.does("client", "release", &[id.clone(), u(1), NONE]);
    w.burn(10);
    w.does("client", "reclaim-expired", &[id.clone(), u(2), NONE]);
    assert_eq!(
        (w.project(&id, "paid"), w.project(&id, "refunded")),
        (1_000, 2_000)
    );
    assert_eq!(w.milestone(&id, 1, "payout"), 900);
    let second = w.open(&[5_000], 20);
    w.does("client", "cancel-unaccepted", &[second.clone(), NONE]);
    assert_eq!(
        (w.project(&second, "status"), w.project(&second, "refunded")),
        (5, 5_000)
    );
}

#[test]
fn w26_errors_are_the_contracts_own() {
    let mut w = World::ready();
    crate::error_codes::logic::money(&mut w);
    // Numbers at the edge are refused, not broken on.
    let id = w.active(&[10_000]);
    w.cannot(
        1222,
        "client",
        "extend-due",
        &[id.clone(), u(1), u(u128::MAX)],
    );
    w.cannot(1211, "client", "release", &[id, u(u128::MAX), NONE]);
    w.cannot(1210, "client", "release", &[u(u128::MAX), u(1), NONE]);
}

#[test]
fn w27_milestones_are_numbered_from_one_without_a_hole() {
    let mut w = World::ready();
    let due = u(w.burn_height() + 20);
    let term = |amount| tuple(&[("amount", u(amount)), ("due", due.clone())]);
    let mut arguments = w.opening(&[1_000], 20, NONE);
    arguments[2] = Value::List([0, 0, 9_000, 0].map(term).to_vec());
    w.cannot(1221, "client", "open-project", &arguments);
    let id = w.open(&[1_000, 2_000, 3_000], 20);
    for (m, amount) in [(1, 1_000), (2, 2_000), (3, 3_000)] {
        assert_eq!(w.milestone(&id, m, "amount"), amount);
    }
    assert_eq!(w.read(LOGIC, "get-milestone", &[id, u(4)]), NONE);
    assert_eq!(w.read(LOGIC, "get-milestone", &[u(99), u(1)]), NONE);
}

#[test]
fn w28_exact_post_conditions_fit_every_payment() {
    let mut w = World::ready();
    let sends = |principal, amount| {
        let code = FungibleCode::Equal;
        Conditions::Exactly(vec![PostCondition::Stx {
            principal,
            code,
            amount,
        }])
    };
    let arguments = w.opening(&[10_000], 20, NONE);
    let open = |w: &mut World, amount| {
        let exactly = sends(ConditionPrincipal::Origin, amount);
        w.receipt("client", LOGIC, "open-project", &arguments, exactly)
            .status
    };
    assert_eq!(open(&mut w, 9_999), TxStatus::AbortByPostCondition);
    assert_eq!(open(&mut w, 10_001), TxStatus::AbortByPostCondition);
    assert_eq!(open(&mut w, 10_000), TxStatus::Success);
    let id = w.read(LOGIC, "get-last-project", &[]);
    w.does("freelancer", "accept-project", std::slice::from_ref(&id));
    let from_escrow = |amount| sends(ConditionPrincipal::Contract(contract(LOGIC)), amount);
    let release = [id, u(1), NONE];
    for (amount, status) in [
        (9_000, TxStatus::AbortByPostCondition),
        (10_000, TxStatus::Success),
    ] {
        let receipt = w.receipt("client", LOGIC, "release", &release, from_escrow(amount));
        assert_eq!(receipt.status, status);
    }
}

#[test]
fn w29_questions_about_what_is_not_there_have_an_answer() {
    let w = World::ready();
    let who = p("stranger");
    let reads: [(&str, &str, Vec<Value>); 10] = [
        (LOGIC, "get-project", vec![u(u128::MAX)]),
        (LOGIC, "get-milestone", vec![u(0), u(0)]),
        (LOGIC, "get-offer", vec![u(1), u(1)]),
        (LOGIC, "get-asset", vec![some(who.clone())]),
        ("freelance-data", "get-profile", vec![who.clone()]),
        ("freelance-data", "get-x", vec![who.clone()]),
        ("freelance-badges", "get-badge", vec![u(9)]),
        ("freelance-badges", "badge-of", vec![who.clone(), u(1)]),
        ("freelance-security", "get-action", vec![u(0)]),
        ("freelance-security", "get-budget", vec![NONE]),
    ];
    for (name, function, arguments) in reads {
        assert_eq!(w.read(name, function, &arguments), NONE, "{function}");
    }
    assert_eq!(w.read(LOGIC, "get-locked", &[some(who.clone())]), u(0));
    assert_eq!(
        w.read(LOGIC, "get-milestones", &[u(9)]),
        Value::List(vec![NONE; 10])
    );
    assert_eq!(
        w.field("freelance-data", "get-stats", &[who], "completed"),
        u(0)
    );
}

#[test]
fn w30_metadata_is_addressed_by_content() {
    let mut w = World::ready();
    let expires = u(w.burn_height() + 100);
    w.ok(
        "attestor",
        "freelance-data",
        "attest-x",
        &[p("freelancer"), hash(1), expires],
    );
    let id = w.ok("freelancer", "freelance-badges", "claim", &[u(5)]);
    let Value::Ok(uri) = w.read("freelance-badges", "get-token-uri", &[id]) else {
        panic!("no uri")
    };
    assert_eq!(*uri, some(ascii("ipfs://stxworx-badges/{id}.json")));
    for name in CONTRACTS {
        assert!(!source(name).contains("http"), "{name} names a server");
    }
}
