//! Every error code, from every contract, by a call that meets it.

use std::collections::BTreeSet;

use stxworx_clarity::codec::{Principal, Value};
use stxworx_clarity::market::SOURCES;

use super::world::*;

const NONE: Value = Value::None;

/// Codes that no call can return, and why.
const UNREACHABLE: &[(u128, &str)] = &[
    (
        1290,
        "stx-transfer? of an escrow that holds what is locked; at opening a client without STX aborts with it, see below",
    ),
    (
        1292,
        "needs a token whose balance lies, which the governor would have to enable",
    ),
    (1308, "nft-mint? of a fresh number never fails"),
    (
        1591,
        "needs a treasury without the token; spends are within its balance here",
    ),
];

/// The codes that the sources define.
fn defined() -> BTreeSet<u128> {
    let mut codes = BTreeSet::new();
    for (name, source) in SOURCES {
        if name == "test-token" {
            continue;
        }
        for line in source
            .lines()
            .filter(|l| l.starts_with("(define-constant ERR-"))
        {
            let code = line
                .split("(err u")
                .nth(1)
                .and_then(|rest| rest.split(')').next())
                .expect("a code");
            assert!(
                codes.insert(code.parse().expect("a number")),
                "{code} is used twice"
            );
        }
    }
    codes
}

fn logic(w: &mut World) {
    for (function, arguments) in [
        ("set-fee", vec![u(1)]),
        ("set-treasury", vec![p("stranger")]),
        ("set-arbiter", vec![p("stranger")]),
        ("set-asset", vec![NONE, Value::Bool(true), u(1_000), u(6)]),
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
    let source = SOURCES
        .iter()
        .find(|(n, _)| *n == "test-token")
        .expect("a token")
        .1;
    w.deploy("worthless", source);
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

fn data(w: &mut World) {
    let name = "freelance-data";
    w.fails(
        1100,
        "deployer",
        name,
        "set-writer",
        &[p("stranger"), Value::Bool(true)],
    );
    w.fails(
        1100,
        "deployer",
        name,
        "set-attestor",
        &[p("stranger"), Value::Bool(true)],
    );
    w.fails(
        1100,
        "deployer",
        name,
        "set-category",
        &[u(1), ascii("x"), Value::Bool(true)],
    );
    let paid = [
        p("stranger"),
        p("client"),
        NONE,
        u(1),
        u(1),
        u(1),
        ascii("release"),
        NONE,
        NONE,
    ];
    w.fails(1101, "stranger", name, "record-paid", &paid);
    w.fails(
        1101,
        "stranger",
        name,
        "record-dispute",
        &[p("client"), p("freelancer"), u(1), u(1)],
    );
    let later = u(w.burn_height() + 50);
    w.fails(
        1102,
        "stranger",
        name,
        "attest-x",
        &[p("stranger"), hash(1), later.clone()],
    );
    w.fails(
        1103,
        "stranger",
        name,
        "set-profile",
        &[ascii("ab"), hash(1)],
    );
    w.ok("client", name, "set-profile", &[ascii("taken"), hash(1)]);
    w.fails(
        1104,
        "stranger",
        name,
        "set-profile",
        &[ascii("taken"), hash(1)],
    );
    w.fails(
        1105,
        "attestor",
        name,
        "attest-x",
        &[p("stranger"), hash(1), u(1)],
    );
    w.ok(
        "attestor",
        name,
        "attest-x",
        &[p("client"), hash(1), later.clone()],
    );
    w.fails(
        1104,
        "attestor",
        name,
        "attest-x",
        &[p("stranger"), hash(1), later],
    );
    w.fails(1106, "attestor", name, "revoke-x", &[p("stranger")]);
    w.fails(1102, "stranger", name, "revoke-x", &[p("client")]);
    let logic = Value::Principal(escrow());
    w.fails(
        1107,
        "client",
        name,
        "rate",
        &[logic.clone(), u(99), u(5), hash(1)],
    );
    let id = w.active(&[10_000]);
    w.does("client", "release", &[id.clone(), u(1), NONE]);
    w.fails(
        1108,
        "stranger",
        name,
        "rate",
        &[logic.clone(), id.clone(), u(5), hash(1)],
    );
    for stars in [0, 6, u128::MAX] {
        w.fails(
            1109,
            "client",
            name,
            "rate",
            &[logic.clone(), id.clone(), u(stars), hash(1)],
        );
    }
    w.ok(
        "client",
        name,
        "rate",
        &[logic.clone(), id.clone(), u(5), hash(1)],
    );
    w.fails(1110, "client", name, "rate", &[logic, id, u(5), hash(1)]);
    let anchor =
        |from: u128, to: u128| [u(1), ascii("b"), hash(1), u(1), ascii("a"), u(from), u(to)];
    w.fails(1102, "stranger", name, "publish-leaderboard", &anchor(1, 2));
    w.fails(1112, "attestor", name, "publish-leaderboard", &anchor(2, 1));
    w.fails(
        1112,
        "attestor",
        name,
        "publish-leaderboard",
        &anchor(1, u128::MAX),
    );
    w.ok("attestor", name, "publish-leaderboard", &anchor(1, 2));
    w.fails(1111, "attestor", name, "publish-leaderboard", &anchor(1, 2));
    let same = Args {
        p1: Some(who("attestor")),
        b: true,
        ..Args::default()
    };
    assert_eq!(
        w.try_governed("set-attestor", same, NONE),
        Outcome::Err(1113)
    );
}

fn badges(w: &mut World) {
    let name = "freelance-badges";
    w.fails(
        1300,
        "deployer",
        name,
        "set-minter",
        &[p("stranger"), Value::Bool(true)],
    );
    w.fails(
        1300,
        "deployer",
        name,
        "set-kind",
        &[u(1), ascii("x"), u(0), u(0), Value::Bool(false)],
    );
    w.fails(1300, "deployer", name, "set-uri", &[ascii("x")]);
    w.fails(1301, "stranger", name, "mint", &[p("stranger"), u(5)]);
    w.fails(1302, "stranger", name, "claim", &[u(99)]);
    w.fails(
        1303,
        "client",
        name,
        "transfer",
        &[u(1), p("client"), p("stranger")],
    );
    w.fails(1304, "stranger", name, "claim", &[u(1)]);
    let later = u(w.burn_height() + 9_999);
    w.ok(
        "attestor",
        "freelance-data",
        "attest-x",
        &[p("freelancer"), hash(8), later],
    );
    w.ok("freelancer", name, "claim", &[u(5)]);
    w.fails(1300, "deployer", name, "revoke", &[u(1), hash(1)]);
    w.fails(1300, "deployer", name, "migrate", &[u(1), p("client")]);
    w.fails(1305, "freelancer", name, "claim", &[u(5)]);
    w.fails(1307, "stranger", name, "revoke", &[u(77), hash(1)]);
    let same = Args {
        p1: Some(who("minter")),
        b: true,
        ..Args::default()
    };
    assert_eq!(w.try_governed("set-minter", same, NONE), Outcome::Err(1309));
    w.governed(
        "revoke-badge",
        Args {
            n: [1, 0, 0, 0],
            ..Args::default()
        },
    );
    w.fails(1306, "freelancer", name, "claim", &[u(5)]);
}

fn security(w: &mut World) {
    let name = "freelance-security";
    let nothing = Args::default().value();
    w.fails(
        1500,
        "stranger",
        name,
        "propose",
        &[ascii("unpause"), nothing.clone()],
    );
    w.fails(
        1501,
        "signer-1",
        name,
        "propose",
        &[ascii("nonsense"), nothing],
    );
    for (function, more) in [
        ("approve", vec![]),
        ("revoke-approval", vec![]),
        ("reject", vec![]),
        ("cancel", vec![]),
        ("execute", vec![NONE]),
    ] {
        let arguments: Vec<_> = std::iter::once(u(999)).chain(more).collect();
        w.fails(1502, "signer-1", name, function, &arguments);
    }
    let fee = Args {
        n: [500, 0, 0, 0],
        ..Args::default()
    }
    .value();
    let id = w.ok(
        "signer-1",
        name,
        "propose",
        &[ascii("set-fee"), fee.clone()],
    );
    let one = [id.clone()];
    for function in ["approve", "revoke-approval", "reject", "cancel"] {
        w.fails(1500, "stranger", name, function, &one);
    }
    w.fails(1504, "signer-1", name, "approve", &one);
    w.fails(1505, "signer-2", name, "revoke-approval", &one);
    w.ok("signer-2", name, "reject", &one);
    w.fails(1506, "signer-2", name, "reject", &one);
    w.fails(1507, "signer-2", name, "cancel", &one);
    w.fails(1508, "signer-2", name, "execute", &[id.clone(), NONE]);
    w.ok("signer-2", name, "approve", &one);
    w.ok("signer-3", name, "approve", &one);
    w.fails(1509, "signer-2", name, "execute", &[id.clone(), NONE]);
    w.ok("signer-1", name, "cancel", &one);
    w.fails(1503, "signer-4", name, "approve", &one);
    assert_eq!(
        w.try_governed("set-treasury", Args::default(), NONE),
        Outcome::Err(1510)
    );
    assert_eq!(
        w.try_governed(
            "swap-signer",
            Args {
                p1: Some(who("stranger")),
                p2: Some(who("client")),
                ..Args::default()
            },
            NONE
        ),
        Outcome::Err(1511)
    );
    let spend = |amount| Args {
        p1: Some(who("stranger")),
        n: [amount, 0, 0, 0],
        ..Args::default()
    };
    assert_eq!(w.try_governed("spend", spend(1), NONE), Outcome::Err(1512));
    w.governed(
        "set-budget",
        Args {
            n: [1_000_000_000_000, 100, 0, 0],
            ..Args::default()
        },
    );
    assert_eq!(
        w.try_governed("spend", spend(1_000_000_000_001), NONE),
        Outcome::Err(1512)
    );
    assert_eq!(
        w.try_governed("spend", spend(999_999_999_999), NONE),
        Outcome::Err(1590)
    );
    let token = Principal::Contract(contract("test-token"));
    assert_eq!(
        w.try_governed(
            "spend",
            Args {
                p2: Some(token),
                ..spend(1)
            },
            NONE
        ),
        Outcome::Err(1512)
    );
}

#[test]
fn every_code_is_met() {
    let mut seen = BTreeSet::new();
    for contract in [logic as fn(&mut World), data, badges, security] {
        let mut world = World::ready();
        contract(&mut world);
        check_chains(&world);
        seen.extend(world.seen);
    }
    let unreachable: BTreeSet<u128> = UNREACHABLE.iter().map(|(code, _)| *code).collect();
    let missing: Vec<_> = defined()
        .difference(&seen)
        .filter(|c| !unreachable.contains(c))
        .copied()
        .collect();
    assert!(missing.is_empty(), "never met: {missing:?}");
    let wrong: Vec<_> = seen.intersection(&unreachable).collect();
    assert!(
        wrong.is_empty(),
        "said to be unreachable, but met: {wrong:?}"
    );
}
