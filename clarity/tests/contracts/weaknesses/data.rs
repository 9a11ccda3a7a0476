//! Reputation and badges that are not earned.

use stxworx_clarity::codec::Value;
use stxworx_clarity::market::Conditions;

use crate::world::*;

const NONE: Value = Value::None;
const DATA: &str = "freelance-data";
const BADGES: &str = "freelance-badges";

fn attested(w: &mut World, role: &str, account: u8) {
    let expires = u(w.burn_height() + 2_000);
    w.ok(
        "attestor",
        DATA,
        "attest-x",
        &[p(role), hash(account), expires],
    );
}

/// A freelancer with a badge, of the kind that needs an attested account only.
fn with_badge(w: &mut World) -> Value {
    attested(w, "freelancer", 1);
    w.ok("freelancer", BADGES, "claim", &[u(5)])
}

#[test]
fn w16_nobody_verifies_himself_and_names_are_unique() {
    let mut w = World::ready();
    let expires = u(w.burn_height() + 100);
    w.fails(
        1102,
        "freelancer",
        DATA,
        "attest-x",
        &[p("freelancer"), hash(1), expires.clone()],
    );
    w.ok(
        "freelancer",
        DATA,
        "set-profile",
        &[ascii("maker"), hash(1)],
    );
    assert_eq!(
        w.read(DATA, "x-valid?", &[p("freelancer")]),
        Value::Bool(false)
    );
    w.fails(
        1104,
        "stranger",
        DATA,
        "set-profile",
        &[ascii("maker"), hash(1)],
    );
    attested(&mut w, "freelancer", 1);
    w.fails(
        1104,
        "attestor",
        DATA,
        "attest-x",
        &[p("stranger"), hash(1), expires],
    );
}

#[test]
fn w17_statistics_follow_the_escrow_per_asset_and_cannot_be_set() {
    let mut w = World::ready();
    let id = w.active(&[10_000]);
    w.does("client", "release", &[id.clone(), u(1), NONE]);
    let arguments = w.opening(&[7_000], 20, some(token("test-token")));
    let second = w.does("client", "open-project", &arguments);
    w.does(
        "freelancer",
        "accept-project",
        std::slice::from_ref(&second),
    );
    w.does(
        "client",
        "release",
        &[second, u(1), some(token("test-token"))],
    );
    let earned = |w: &World, asset: Value| w.read(DATA, "get-earned", &[p("freelancer"), asset]);
    assert_eq!(earned(&w, NONE), u(10_000));
    assert_eq!(earned(&w, some(token("test-token"))), u(7_000));
    assert_eq!(
        w.field(DATA, "get-stats", &[p("freelancer")], "completed"),
        u(2)
    );
    let record = [
        p("stranger"),
        p("client"),
        NONE,
        u(1),
        u(9),
        u(1),
        ascii("x"),
        NONE,
        NONE,
    ];
    for role in ["stranger", "deployer", "signer-1", "attestor"] {
        w.fails(1101, role, DATA, "record-paid", &record);
        w.fails(
            1101,
            role,
            DATA,
            "record-dispute",
            &[p("client"), p("freelancer"), u(1), u(1)],
        );
    }
    let rating = |w: &World| w.field(DATA, "get-stats", &[p("freelancer")], "rating-sum");
    let escrow = Value::Principal(escrow());
    w.ok(
        "client",
        DATA,
        "rate",
        &[escrow.clone(), id.clone(), u(5), hash(1)],
    );
    w.fails(1110, "client", DATA, "rate", &[escrow, id, u(1), hash(1)]);
    assert_eq!(rating(&w), u(5));
}

#[test]
fn w18_badges_are_tokens_that_wallets_and_post_conditions_see() {
    let mut w = World::ready();
    attested(&mut w, "freelancer", 1);
    let receipt = w.receipt("freelancer", BADGES, "claim", &[u(5)], Conditions::None);
    let kinds: Vec<_> = receipt.events.iter().map(|e| e.kind).collect();
    assert_eq!(kinds, ["nft_mint_event", "contract_event"]);
    assert_eq!(w.read(BADGES, "get-last-token-id", &[]), Value::ok(u(1)));
    assert_eq!(
        w.read(BADGES, "get-owner", &[u(1)]),
        Value::ok(some(p("freelancer")))
    );
    assert_eq!(w.read(BADGES, "get-owner", &[u(99)]), Value::ok(NONE));
    assert_eq!(w.read(BADGES, "get-token-uri", &[u(99)]), Value::ok(NONE));
    assert!(source(BADGES).contains("(impl-trait .freelance-traits.nft-trait)"));
}

#[test]
fn w19_a_badge_is_of_a_known_kind_and_earned() {
    let mut w = World::ready();
    w.fails(1302, "minter", BADGES, "mint", &[p("freelancer"), u(99)]);
    for kind in 1..=5 {
        w.fails(1304, "minter", BADGES, "mint", &[p("freelancer"), u(kind)]);
        w.fails(1304, "freelancer", BADGES, "claim", &[u(kind)]);
    }
    // A dozen more kinds break nothing.
    for kind in 6..=17 {
        let args = Args {
            n: [kind, 0, 0, 0],
            s: "helper",
            ..Args::default()
        };
        w.governed("set-kind", args);
        w.ok("freelancer", BADGES, "claim", &[u(kind)]);
    }
}

#[test]
fn w20_badges_cannot_be_sold_and_minters_can_be_dismissed() {
    let mut w = World::ready();
    let id = with_badge(&mut w);
    w.fails(
        1303,
        "freelancer",
        BADGES,
        "transfer",
        &[id.clone(), p("freelancer"), p("stranger")],
    );
    w.fails(
        1303,
        "minter",
        BADGES,
        "transfer",
        &[id.clone(), p("freelancer"), p("stranger")],
    );
    assert_eq!(
        w.read(BADGES, "get-owner", &[id]),
        Value::ok(some(p("freelancer")))
    );
    w.fails(1305, "freelancer", BADGES, "claim", &[u(5)]);
    attested(&mut w, "stranger", 2);
    let off = Args {
        p1: Some(who("minter")),
        ..Args::default()
    };
    w.governed("set-minter", off);
    w.fails(1301, "minter", BADGES, "mint", &[p("stranger"), u(5)]);
}

#[test]
fn w21_one_contract_one_authority_and_a_uri_that_is_read() {
    let mut w = World::ready();
    let id = with_badge(&mut w);
    w.governed(
        "set-uri",
        Args {
            s: "ipfs://second/{id}.json",
            ..Args::default()
        },
    );
    let uri = w.read(BADGES, "get-token-uri", &[id]);
    assert_eq!(uri, Value::ok(some(ascii("ipfs://second/{id}.json"))));
    assert_eq!(
        source(BADGES).matches("define-non-fungible-token").count(),
        1
    );
    assert!(!source(BADGES).contains("tx-sender"));
}
