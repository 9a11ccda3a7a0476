//! Codes of the escrow.

use stxworx_clarity::codec::{Principal, Value};

use crate::world::*;

const NONE: Value = Value::None;

pub fn logic(w: &mut World) {
    for (function, arguments) in [
        ("set-fee", vec![u(1)]),
        ("set-treasury", vec![p("stranger")]),
        ("set-arbiter", vec![p("stranger")]),
        (
            "set-asset",
            vec![NONE, Value::Bool(true), u(1_000), u(6), p("signer-1"), NONE],
        ),
        ("set-params", vec![u(6), u(6), u(6), u(6)]),
        ("set-paused", vec![Value::Bool(true), u(1)]),
    ] {
        w.cannot(1200, "deployer", function, &arguments);
    }
    let no = u(99);
    for (function, more) in [
        ("accept-project", vec![]),
        ("cancel-unaccepted", vec![NONE]),
        ("decline", vec![NONE]),
        ("submit", vec![u(1), hash(1)]),
        ("reject", vec![u(1), hash(1)]),
        ("extend-due", vec![u(1), u(1)]),
        ("open-dispute", vec![u(1), hash(1)]),
        ("offer-settlement", vec![u(1), u(1), u(1)]),
        ("release", vec![u(1), NONE]),
        ("claim-timeout", vec![u(1), NONE]),
        ("reclaim-expired", vec![u(1), NONE]),
        ("resolve", vec![u(1), u(1), NONE]),
        ("claim-stale-dispute", vec![u(1), NONE]),
        ("accept-settlement", vec![u(1), u(1), NONE]),
    ] {
        let arguments: Vec<_> = std::iter::once(no.clone()).chain(more).collect();
        w.cannot(1210, "client", function, &arguments);
    }
    opening(w);
    let id = w.open(&[10_000], 20);
    w.cannot(1202, "client", "accept-project", std::slice::from_ref(&id));
    w.cannot(1201, "stranger", "cancel-unaccepted", &[id.clone(), NONE]);
    w.cannot(1202, "stranger", "decline", &[id.clone(), NONE]);
    w.cannot(1212, "freelancer", "submit", &[id.clone(), u(1), hash(1)]);
    w.cannot(1212, "client", "release", &[id.clone(), u(1), NONE]);
    w.cannot(
        1212,
        "client",
        "offer-settlement",
        &[id.clone(), u(1), u(1), u(1)],
    );
    w.cannot(
        1224,
        "client",
        "cancel-unaccepted",
        &[id.clone(), some(token("test-token"))],
    );
    w.burn(11);
    w.cannot(
        1216,
        "freelancer",
        "accept-project",
        std::slice::from_ref(&id),
    );
    w.does("client", "cancel-unaccepted", &[id.clone(), NONE]);
    w.cannot(
        1212,
        "freelancer",
        "accept-project",
        std::slice::from_ref(&id),
    );
    w.cannot(1212, "client", "cancel-unaccepted", &[id.clone(), NONE]);
    w.cannot(1212, "client", "extend-due", &[id, u(1), u(9_999)]);
    working(w);
    disputing(w);
}

fn opening(w: &mut World) {
    // A token that nobody enabled, with the shape of one.
    w.deploy("worthless", source("test-token"));
    let good = w.opening(&[10_000], 20, NONE);
    let with = |place: usize, value: Value| {
        let mut arguments = good.clone();
        arguments[place] = value;
        arguments
    };
    let term = |amount, due| tuple(&[("amount", u(amount)), ("due", u(due))]);
    let now = w.burn_height();
    w.cannot(1223, "client", "open-project", &with(0, p("client")));
    w.cannot(
        1223,
        "client",
        "open-project",
        &with(0, Value::Principal(escrow())),
    );
    w.cannot(
        1223,
        "client",
        "open-project",
        &with(1, some(p("freelancer"))),
    );
    w.cannot(1223, "client", "open-project", &with(1, some(p("client"))));
    w.cannot(
        1220,
        "client",
        "open-project",
        &with(2, Value::List(vec![])),
    );
    for amount in [0, 999, 1_000_000_000_001, u128::MAX] {
        w.cannot(
            1221,
            "client",
            "open-project",
            &with(2, Value::List(vec![term(amount, now + 5)])),
        );
    }
    for due in [0, now, now + 52_561, u128::MAX] {
        w.cannot(
            1222,
            "client",
            "open-project",
            &with(2, Value::List(vec![term(10_000, due)])),
        );
    }
    w.cannot(1225, "client", "open-project", &with(3, u(10_001)));
    w.cannot(
        1224,
        "client",
        "open-project",
        &with(5, some(token("worthless"))),
    );
    // A client without tokens.
    let tokens = w.opening(&[10_000], 20, some(token("test-token")));
    w.cannot(1291, "other-client", "open-project", &tokens);
}

fn working(w: &mut World) {
    let id = w.active(&[10_000]);
    let ms = |f: &[Value]| -> Vec<Value> { [id.clone(), u(1)].iter().chain(f).cloned().collect() };
    for function in ["release", "claim-timeout", "reclaim-expired"] {
        w.cannot(1211, "client", function, &[id.clone(), u(2), NONE]);
    }
    w.cannot(1211, "client", "reject", &[id.clone(), u(0), hash(1)]);
    w.cannot(1202, "client", "submit", &ms(&[hash(1)]));
    w.cannot(1201, "freelancer", "release", &ms(&[NONE]));
    w.cannot(1224, "client", "release", &ms(&[some(token("test-token"))]));
    w.cannot(1201, "freelancer", "reclaim-expired", &ms(&[NONE]));
    w.cannot(1215, "client", "reclaim-expired", &ms(&[NONE]));
    w.cannot(1213, "stranger", "claim-timeout", &ms(&[NONE]));
    w.cannot(1213, "client", "reject", &ms(&[hash(1)]));
    w.cannot(1213, "client", "open-dispute", &ms(&[hash(1)]));
    w.cannot(1203, "stranger", "open-dispute", &ms(&[hash(1)]));
    w.cannot(1201, "freelancer", "extend-due", &ms(&[u(9_999)]));
    w.cannot(1222, "client", "extend-due", &ms(&[u(1)]));
    w.cannot(1222, "client", "extend-due", &ms(&[u(u128::MAX)]));
    let until = w.burn_height() + 2;
    w.cannot(1203, "stranger", "offer-settlement", &ms(&[u(1), u(until)]));
    w.cannot(
        1225,
        "client",
        "offer-settlement",
        &ms(&[u(10_001), u(until)]),
    );
    w.cannot(1228, "client", "offer-settlement", &ms(&[u(1), u(1)]));
    w.cannot(
        1228,
        "client",
        "offer-settlement",
        &ms(&[u(1), u(u128::MAX)]),
    );
    w.cannot(1227, "freelancer", "accept-settlement", &ms(&[u(1), NONE]));
    w.cannot(1227, "client", "withdraw-settlement", &ms(&[]));
    w.does("client", "offer-settlement", &ms(&[u(1), u(until)]));
    w.cannot(
        1228,
        "freelancer",
        "offer-settlement",
        &ms(&[u(2), u(until)]),
    );
    w.cannot(1203, "freelancer", "withdraw-settlement", &ms(&[]));
    w.cannot(1203, "client", "accept-settlement", &ms(&[u(1), NONE]));
    w.cannot(1228, "freelancer", "accept-settlement", &ms(&[u(2), NONE]));
    w.burn(3);
    w.cannot(1216, "freelancer", "accept-settlement", &ms(&[u(1), NONE]));
    for _ in 0..2 {
        w.does("freelancer", "submit", &ms(&[hash(1)]));
        w.does("client", "reject", &ms(&[hash(1)]));
    }
    w.does("freelancer", "submit", &ms(&[hash(1)]));
    w.cannot(1213, "freelancer", "submit", &ms(&[hash(1)]));
    w.cannot(1226, "client", "reject", &ms(&[hash(1)]));
    w.cannot(1213, "client", "reclaim-expired", &ms(&[NONE]));
    w.cannot(1213, "client", "extend-due", &ms(&[u(9_999)]));
    w.cannot(1215, "stranger", "claim-timeout", &ms(&[NONE]));
    w.cannot(1213, "arbiter", "resolve", &ms(&[u(1), NONE]));
    w.burn(7);
    w.cannot(1216, "client", "open-dispute", &ms(&[hash(1)]));
    w.does("client", "release", &ms(&[NONE]));
    for (role, function, more) in [
        ("client", "release", vec![NONE]),
        ("client", "reclaim-expired", vec![NONE]),
        ("client", "claim-stale-dispute", vec![NONE]),
    ] {
        w.cannot(1213, role, function, &ms(&more));
    }
}

fn disputing(w: &mut World) {
    let late = w.submitted();
    w.burn(7);
    w.cannot(1216, "client", "reject", &[late, u(1), hash(1)]);
    let id = w.disputed();
    let ms = |f: &[Value]| -> Vec<Value> { [id.clone(), u(1)].iter().chain(f).cloned().collect() };
    w.cannot(1204, "client", "resolve", &ms(&[u(1), NONE]));
    w.cannot(1225, "arbiter", "resolve", &ms(&[u(10_001), NONE]));
    w.cannot(1203, "stranger", "claim-stale-dispute", &ms(&[NONE]));
    w.cannot(1215, "client", "claim-stale-dispute", &ms(&[NONE]));
    w.burn(9);
    w.cannot(1216, "arbiter", "resolve", &ms(&[u(1), NONE]));
    let id = w.disputed();
    let until = w.burn_height() + 5;
    let action = w.ok(
        "signer-1",
        "freelance-security",
        "propose",
        &[
            ascii("pause"),
            Args {
                n: [until, 0, 0, 0],
                ..Args::default()
            }
            .value(),
        ],
    );
    w.ok(
        "signer-2",
        "freelance-security",
        "approve",
        std::slice::from_ref(&action),
    );
    w.ok("signer-2", "freelance-security", "execute", &[action, NONE]);
    w.cannot(1214, "arbiter", "resolve", &[id, u(1), u(1), NONE]);
    let opening = w.opening(&[10_000], 20, NONE);
    w.cannot(1214, "client", "open-project", &opening);
    for (kind, args) in [
        (
            "set-fee",
            Args {
                n: [1_001, 0, 0, 0],
                ..Args::default()
            },
        ),
        (
            "set-treasury",
            Args {
                p1: Some(escrow()),
                ..Args::default()
            },
        ),
        (
            "set-arbiter",
            Args {
                p1: Some(escrow()),
                ..Args::default()
            },
        ),
        (
            "set-asset",
            Args {
                n: [999, 6, 0, 0],
                ..Args::default()
            },
        ),
        (
            "set-asset",
            Args {
                n: [1_000, 19, 0, 0],
                ..Args::default()
            },
        ),
        (
            "set-params",
            Args {
                n: [5, 6, 6, 6],
                ..Args::default()
            },
        ),
        (
            "set-params",
            Args {
                n: [6, 6, 6, 4_321],
                ..Args::default()
            },
        ),
        (
            "pause",
            Args {
                n: [u128::MAX, 0, 0, 0],
                ..Args::default()
            },
        ),
    ] {
        assert_eq!(
            w.try_governed(kind, args, NONE),
            Outcome::Err(1229),
            "{kind}"
        );
    }
}

/// What the assets themselves refuse.
pub fn money(w: &mut World) {
    // All that the client has is locked, ten milestones at a time; then there is too little.
    let full = [1_000_000_000_000; 10];
    for _ in 0..9 {
        let arguments = w.opening(&full, 20, NONE);
        w.does("other-client", "open-project", &arguments);
    }
    let arguments = w.opening(&full, 20, NONE);
    w.cannot(1290, "other-client", "open-project", &arguments);
    let tokens = w.opening(&[10_000], 20, some(token("test-token")));
    w.cannot(1291, "other-client", "open-project", &tokens);
    // A token that keeps a part of what it moves.
    let skimming = source("test-token").replace(
        "(ft-transfer? test-token amount",
        "(ft-transfer? test-token (if (> amount u1) (/ amount u2) amount)",
    );
    w.deploy("skimmer", &skimming);
    let args = Args {
        p1: Some(Principal::Contract(contract("skimmer"))),
        b: true,
        n: [1_000_000, 8, 0, 0],
        ..Args::default()
    };
    w.ok("signer-4", "skimmer", "mint", &[u(1), p("signer-4")]);
    w.governed("set-asset", args);
    w.ok("client", "skimmer", "mint", &[u(1_000_000), p("client")]);
    let arguments = w.opening(&[10_000], 20, some(token("skimmer")));
    w.cannot(1292, "client", "open-project", &arguments);
    // A treasury without the token that it may spend.
    let token_id = Some(Principal::Contract(contract("test-token")));
    let budget = Args {
        p1: token_id.clone(),
        n: [5_000, 100, 0, 0],
        ..Args::default()
    };
    w.governed("set-budget", budget);
    let spend = Args {
        p1: Some(who("stranger")),
        p2: token_id,
        n: [5_000, 0, 0, 0],
        ..Args::default()
    };
    let outcome = w.try_governed("spend", spend, some(token("test-token")));
    assert_eq!(outcome, Outcome::Err(1591));
}
