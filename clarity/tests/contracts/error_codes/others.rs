//! Codes of the other contracts.

use stxworx_clarity::codec::{Principal, Value};

use crate::world::*;

const NONE: Value = Value::None;

pub fn data(w: &mut World) {
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
    let writer = Args {
        p1: Some(who("other-client")),
        b: true,
        ..Args::default()
    };
    w.governed("set-writer", writer);
    let mut most = paid.clone();
    most[3] = u(u128::MAX);
    w.fails(1114, "other-client", name, "record-paid", &most);
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

pub fn badges(w: &mut World) {
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

pub fn security(w: &mut World) {
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
