//! The multisig and the treasury.

use stxworx_clarity::codec::{Principal, Value};

use super::world::*;

const NONE: Value = Value::None;
const SECURITY: &str = "freelance-security";

#[test]
fn every_kind_of_action_really_acts() {
    let mut w = World::ready();
    w.governed(
        "set-fee",
        Args {
            n: [250, 0, 0, 0],
            ..Args::default()
        },
    );
    assert_eq!(
        w.field("freelance-logic", "get-config", &[], "fee-bps"),
        u(250)
    );
    w.governed(
        "set-treasury",
        Args {
            p1: Some(who("stranger")),
            ..Args::default()
        },
    );
    assert_eq!(
        w.field("freelance-logic", "get-config", &[], "treasury"),
        p("stranger")
    );
    w.governed("disable-asset", Args::default());
    assert_eq!(
        w.field("freelance-logic", "get-asset", &[NONE], "enabled"),
        Value::Bool(false)
    );
    w.governed("unpause", Args::default());
    w.governed(
        "set-writer",
        Args {
            p1: Some(who("stranger")),
            b: true,
            ..Args::default()
        },
    );
    assert_eq!(
        w.read("freelance-data", "writer?", &[p("stranger")]),
        Value::Bool(true)
    );
    w.governed(
        "set-category",
        Args {
            n: [7, 0, 0, 0],
            s: "design",
            b: true,
            ..Args::default()
        },
    );
    assert_eq!(
        w.field("freelance-data", "get-category", &[u(7)], "name"),
        ascii("design")
    );
    w.governed(
        "set-kind",
        Args {
            n: [6, 2, 300, 0],
            s: "helper",
            ..Args::default()
        },
    );
    assert_eq!(
        w.field("freelance-badges", "get-kind", &[u(6)], "projects"),
        u(2)
    );
    w.governed(
        "set-uri",
        Args {
            s: "ipfs://new/{id}.json",
            ..Args::default()
        },
    );
    check_chains(&w);
}

#[test]
fn the_treasury_pays_within_its_budget_and_period() {
    let mut w = World::ready();
    let id = w.active(&[1_000_000]);
    w.does("client", "release", &[id, u(1), NONE]);
    w.governed(
        "set-budget",
        Args {
            n: [60_000, 200, 0, 0],
            ..Args::default()
        },
    );
    let spend = |amount| Args {
        p1: Some(who("stranger")),
        n: [amount, 0, 0, 0],
        ..Args::default()
    };
    let before = w.stx(&who("stranger"));
    w.governed("spend", spend(50_000));
    assert_eq!(w.stx(&who("stranger")), before + 50_000);
    // The next period has begun by the time that another action is due twice over.
    w.governed("spend", spend(50_000));
    check_chains(&w);
}

#[test]
fn the_treasury_pays_in_tokens() {
    let mut w = World::ready();
    let treasury = Principal::Contract(contract(SECURITY));
    w.ok(
        "client",
        "test-token",
        "mint",
        &[u(500), Value::Principal(treasury)],
    );
    let asset = Some(Principal::Contract(contract("test-token")));
    w.governed(
        "set-budget",
        Args {
            p1: asset.clone(),
            n: [500, 100, 0, 0],
            ..Args::default()
        },
    );
    let spend = Args {
        p1: Some(who("stranger")),
        p2: asset,
        n: [200, 0, 0, 0],
        ..Args::default()
    };
    assert_eq!(
        w.try_governed("spend", spend.clone(), NONE),
        Outcome::Err(1510),
        "the token must be given"
    );
    let paid = w.try_governed("spend", spend, some(token("test-token")));
    assert_eq!(paid, Outcome::Ok(Value::Bool(true)));
    assert_eq!(w.tokens(&who("stranger")), 200);
}

#[test]
fn a_failing_action_changes_nothing_and_can_be_tried_again() {
    let mut w = World::ready();
    w.governed(
        "set-budget",
        Args {
            n: [10_000, 10_000, 0, 0],
            ..Args::default()
        },
    );
    let spend = Args {
        p1: Some(who("stranger")),
        n: [5_000, 0, 0, 0],
        ..Args::default()
    };
    assert_eq!(
        w.try_governed("spend", spend, NONE),
        Outcome::Err(1590),
        "the treasury is empty"
    );
    let id = w.read(SECURITY, "get-last-action", &[]);
    assert_eq!(
        w.read(SECURITY, "pending?", std::slice::from_ref(&id)),
        Value::Bool(true)
    );
    let project = w.active(&[100_000]);
    w.does("client", "release", &[project, u(1), NONE]);
    w.ok("signer-1", SECURITY, "execute", &[id, NONE]);
    check_chains(&w);
}

#[test]
fn a_swapped_signer_ends_every_pending_action() {
    let mut w = World::ready();
    let id = w.ok(
        "signer-5",
        SECURITY,
        "propose",
        &[ascii("unpause"), Args::default().value()],
    );
    w.governed(
        "swap-signer",
        Args {
            p1: Some(who("signer-5")),
            p2: Some(who("signer-6")),
            ..Args::default()
        },
    );
    w.fails(
        1503,
        "signer-1",
        SECURITY,
        "approve",
        std::slice::from_ref(&id),
    );
    w.fails(
        1500,
        "signer-5",
        SECURITY,
        "propose",
        &[ascii("unpause"), Args::default().value()],
    );
    w.ok(
        "signer-6",
        SECURITY,
        "propose",
        &[ascii("unpause"), Args::default().value()],
    );
}

#[test]
fn approvals_can_be_taken_back_and_actions_expire() {
    let mut w = World::ready();
    let id = w.ok(
        "signer-1",
        SECURITY,
        "propose",
        &[ascii("unpause"), Args::default().value()],
    );
    let one = std::slice::from_ref(&id);
    w.ok("signer-2", SECURITY, "approve", one);
    w.ok("signer-2", SECURITY, "revoke-approval", one);
    w.burn(30);
    w.fails(1508, "signer-1", SECURITY, "execute", &[id.clone(), NONE]);
    w.burn(2_100);
    w.fails(1503, "signer-2", SECURITY, "approve", one);
}

#[test]
fn three_rejections_end_an_action() {
    let mut w = World::ready();
    let id = w.ok(
        "signer-1",
        SECURITY,
        "propose",
        &[ascii("unpause"), Args::default().value()],
    );
    for role in ["signer-3", "signer-4", "signer-5"] {
        w.ok(role, SECURITY, "reject", std::slice::from_ref(&id));
    }
    w.fails(
        1503,
        "signer-2",
        SECURITY,
        "approve",
        std::slice::from_ref(&id),
    );
    check_chains(&w);
}
