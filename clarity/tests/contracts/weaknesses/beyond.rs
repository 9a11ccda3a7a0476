//! What a review of these very contracts found, beyond the known weaknesses of their kind.

use stxworx_clarity::codec::{Principal, Value};

use crate::world::*;

const NONE: Value = Value::None;
const DATA: &str = "freelance-data";
const LOGIC: &str = "freelance-logic";
const SECURITY: &str = "freelance-security";

/// A token that uses whoever's authority it is called with: it empties the escrow and the treasury if it can.
fn thief() -> String {
    let take = |from: &str| {
        let from = contract(from);
        format!(
            "(if (is-eq tx-sender '{from}) (is-ok (stx-transfer? (stx-get-balance tx-sender) tx-sender '{})) true)
             (if (is-eq tx-sender '{from}) (is-ok (contract-call? .test-token transfer u5000 tx-sender '{} none)) true)",
            who("stranger"),
            who("stranger")
        )
    };
    source("test-token").replace(
        "(try! (ft-transfer? test-token amount sender recipient))",
        &format!(
            "{}\n{}\n(try! (ft-transfer? test-token amount sender recipient))",
            take(LOGIC),
            take(SECURITY)
        ),
    )
}

fn enable(w: &mut World, name: &str) -> Outcome {
    let args = Args {
        p1: Some(Principal::Contract(contract(name))),
        b: true,
        n: [1_000_000, 8, 0, 0],
        ..Args::default()
    };
    w.ok("signer-4", name, "mint", &[u(1), p("signer-4")]);
    w.try_governed("set-asset", args, some(token(name)))
}

#[test]
fn an_enabled_token_takes_nothing_but_itself() {
    let mut w = World::ready();
    w.open(&[10_000_000], 20);
    let arguments = w.opening(&[5_000], 20, some(token("test-token")));
    w.does("client", "open-project", &arguments);
    w.deploy("thief", &thief());
    assert!(matches!(enable(&mut w, "thief"), Outcome::Ok(_)));
    w.ok("client", "thief", "mint", &[u(1_000_000), p("client")]);
    let before = (w.stx(&who("stranger")), w.tokens(&who("stranger")));

    // Every way by which the escrow pays.
    let opening = w.opening(&[10_000], 20, some(token("thief")));
    let id = w.does("client", "open-project", &opening);
    w.does("client", "cancel-unaccepted", &[id, some(token("thief"))]);
    let id = w.does("client", "open-project", &opening);
    w.does("freelancer", "accept-project", std::slice::from_ref(&id));
    w.does("client", "release", &[id, u(1), some(token("thief"))]);
    // And the one by which the treasury does.
    let asset = Some(Principal::Contract(contract("thief")));
    let budget = Args {
        p1: asset.clone(),
        n: [5_000, 100, 0, 0],
        ..Args::default()
    };
    w.governed("set-budget", budget);
    let spend = Args {
        p1: Some(who("other-client")),
        p2: asset,
        n: [500, 0, 0, 0],
        ..Args::default()
    };
    let spent = w.try_governed("spend", spend, some(token("thief")));
    assert!(matches!(spent, Outcome::Ok(_)), "{spent:?}");

    assert_eq!(w.stx(&escrow()), 10_000_000);
    assert_eq!(w.tokens(&escrow()), 5_000);
    assert_eq!(
        (w.stx(&who("stranger")), w.tokens(&who("stranger"))),
        before
    );
}

/// A token that only moves for whoever signed the transaction could never leave the escrow again.
#[test]
fn a_token_that_a_contract_cannot_move_is_not_enabled() {
    let mut w = World::ready();
    let stiff = source("test-token").replace(
        "(or (is-eq tx-sender sender) (is-eq contract-caller sender))",
        "(is-eq tx-sender sender)",
    );
    w.deploy("stiff", &stiff);
    assert_eq!(enable(&mut w, "stiff"), Outcome::Err(1291));
    w.ok("client", "stiff", "mint", &[u(1_000_000), p("client")]);
    let opening = w.opening(&[10_000], 20, some(token("stiff")));
    w.cannot(1224, "client", "open-project", &opening);
    // Another token than the one to be enabled proves nothing.
    let args = Args {
        p1: Some(Principal::Contract(contract("stiff"))),
        b: true,
        n: [1_000_000, 8, 0, 0],
        ..Args::default()
    };
    let other = w.try_governed("set-asset", args, some(token("test-token")));
    assert_eq!(other, Outcome::Err(1224));
}

#[test]
fn a_writer_cannot_freeze_what_others_are_paid() {
    let mut w = World::ready();
    let id = w.active(&[10_000]);
    let writer = Args {
        p1: Some(who("stranger")),
        b: true,
        ..Args::default()
    };
    w.governed("set-writer", writer);
    let record = |gross| {
        [
            p("freelancer"),
            p("client"),
            NONE,
            u(gross),
            u(9),
            u(1),
            ascii("x"),
            NONE,
            NONE,
        ]
    };
    w.fails(1114, "stranger", DATA, "record-paid", &record(u128::MAX));
    let most = 1_000_000_000_000_000_000;
    w.fails(1114, "stranger", DATA, "record-paid", &record(most + 1));
    w.ok("stranger", DATA, "record-paid", &record(most));
    w.does("client", "release", &[id, u(1), NONE]);
    let earned = w.read(DATA, "get-earned", &[p("freelancer"), NONE]);
    assert_eq!(earned, u(most + 10_000));
}

/// The arbiter of projects that name none is the multisig, until it names another; so it must be able to rule.
#[test]
fn the_signers_can_rule_where_they_are_the_arbiter() {
    let mut w = World::bare();
    let arguments = w.opening(&[10_000], 20, NONE);
    let id = w.does("client", "open-project", &arguments);
    w.does("freelancer", "accept-project", std::slice::from_ref(&id));
    w.does("freelancer", "submit", &[id.clone(), u(1), hash(1)]);
    w.does("client", "open-dispute", &[id.clone(), u(1), hash(2)]);
    let before = w.stx(&who("freelancer"));
    let ruling = Args {
        n: [id.as_u128().expect("a number"), 1, 6_000, 0],
        ..Args::default()
    };
    w.governed("resolve", ruling);
    assert_eq!(w.milestone(&id, 1, "payout"), 5_400);
    assert_eq!(w.milestone(&id, 1, "refund"), 4_000);
    assert_eq!(w.stx(&who("freelancer")), before + 5_400);
}

#[test]
fn a_dispute_that_could_not_be_recorded_says_so() {
    let mut w = World::ready();
    let id = w.submitted();
    let off = Args {
        p1: Some(escrow()),
        ..Args::default()
    };
    w.governed("set-writer", off);
    let receipt = w.receipt(
        "freelancer",
        LOGIC,
        "open-dispute",
        &[id, u(1), hash(2)],
        stxworx_clarity::market::Conditions::None,
    );
    let (_, raw) = receipt.events[0].print().expect("a print");
    let envelope = Value::decode_exact(&raw).expect("a value");
    let data = envelope.get("data").expect("data");
    assert_eq!(data.get("recorded"), Some(&Value::Bool(false)));
}
