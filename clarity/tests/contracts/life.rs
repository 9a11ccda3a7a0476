//! Every public function, when it succeeds.

use stxworx_clarity::codec::Value;

use super::world::*;

const NONE: Value = Value::None;

#[test]
fn a_project_is_released_milestone_by_milestone() {
    let mut w = World::ready();
    let (client, freelancer) = (w.stx(&who("client")), w.stx(&who("freelancer")));
    let id = w.active(&[10_000, 15_555]);
    assert_eq!(w.locked(), 25_555);
    w.does("freelancer", "submit", &[id.clone(), u(1), hash(1)]);
    assert_eq!(w.milestone(&id, 1, "review-until"), w.burn_height() + 6);
    w.does("client", "release", &[id.clone(), u(1), NONE]);
    assert_eq!(
        (w.milestone(&id, 1, "payout"), w.milestone(&id, 1, "fee")),
        (9_000, 1_000)
    );
    assert_eq!(w.project(&id, "status"), 1);
    w.does("client", "release", &[id.clone(), u(2), NONE]);
    // 15,555 * 10 % is 1,555.5: the fraction stays with the freelancer.
    assert_eq!(
        (w.milestone(&id, 2, "payout"), w.milestone(&id, 2, "fee")),
        (14_000, 1_555)
    );
    assert_eq!((w.project(&id, "status"), w.locked()), (2, 0));
    assert_eq!(w.stx(&who("freelancer")), freelancer + 23_000 - 2 * 1_000);
    assert_eq!(w.stx(&who("client")), client - 25_555 - 3 * 1_000);
    let treasury = stxworx_clarity::codec::Principal::Contract(contract("freelance-security"));
    assert_eq!(w.stx(&treasury), 2_555);
    assert_eq!(
        w.field(
            "freelance-data",
            "get-stats",
            &[p("freelancer")],
            "completed"
        ),
        u(1)
    );
    assert_eq!(
        w.read("freelance-data", "get-earned", &[p("freelancer"), NONE]),
        u(25_555)
    );
    check_chains(&w);
}

#[test]
fn a_project_in_tokens_moves_tokens() {
    let mut w = World::ready();
    let arguments = w.opening(&[50_000], 20, some(token("test-token")));
    let id = w.does("client", "open-project", &arguments);
    assert_eq!(w.tokens(&escrow()), 50_000);
    w.does("freelancer", "accept-project", std::slice::from_ref(&id));
    w.does("client", "release", &[id, u(1), some(token("test-token"))]);
    assert_eq!(
        (w.tokens(&escrow()), w.tokens(&who("freelancer"))),
        (0, 45_000)
    );
    check_chains(&w);
}

#[test]
fn before_acceptance_either_side_undoes_everything() {
    let mut w = World::ready();
    let before = w.stx(&who("client"));
    let id = w.open(&[10_000], 20);
    w.does("client", "cancel-unaccepted", &[id.clone(), NONE]);
    assert_eq!(
        (w.project(&id, "status"), w.stx(&who("client"))),
        (5, before - 2_000)
    );
    let id = w.open(&[10_000], 20);
    w.does("freelancer", "decline", &[id.clone(), NONE]);
    assert_eq!(
        (w.project(&id, "status"), w.stx(&who("client"))),
        (5, before - 3_000)
    );
    assert_eq!(w.locked(), 0);
    check_chains(&w);
}

#[test]
fn rejected_work_is_due_again_and_a_date_can_move() {
    let mut w = World::ready();
    let id = w.submitted();
    w.burn(5);
    w.does("client", "reject", &[id.clone(), u(1), hash(3)]);
    assert_eq!(
        (w.milestone(&id, 1, "status"), w.milestone(&id, 1, "rev")),
        (0, 1)
    );
    let due = w.milestone(&id, 1, "due");
    w.does("client", "extend-due", &[id.clone(), u(1), u(due + 9)]);
    assert_eq!(w.milestone(&id, 1, "due"), due + 9);
    check_chains(&w);
}

#[test]
fn silence_of_the_client_pays_the_freelancer() {
    let mut w = World::ready();
    let id = w.submitted();
    w.burn(7);
    w.does("stranger", "claim-timeout", &[id.clone(), u(1), NONE]);
    assert_eq!(
        (w.milestone(&id, 1, "payout"), w.project(&id, "status")),
        (9_000, 2)
    );
}

#[test]
fn silence_of_the_freelancer_refunds_the_client() {
    let mut w = World::ready();
    let id = w.active(&[10_000]);
    w.burn(27);
    w.does("client", "reclaim-expired", &[id.clone(), u(1), NONE]);
    assert_eq!(
        (w.milestone(&id, 1, "refund"), w.project(&id, "status")),
        (10_000, 3)
    );
}

#[test]
fn a_ruling_divides_and_a_silent_arbiter_means_the_agreed_split() {
    let mut w = World::ready();
    let id = w.disputed();
    w.does("arbiter", "resolve", &[id.clone(), u(1), u(3_333), NONE]);
    let of = |w: &World, f| w.milestone(&id, 1, f);
    assert_eq!(
        (of(&w, "payout"), of(&w, "fee"), of(&w, "refund")),
        (3_000, 333, 6_667)
    );
    assert_eq!((of(&w, "status"), w.project(&id, "status")), (5, 4));
    assert_eq!(
        w.field("freelance-data", "get-stats", &[p("freelancer")], "lost"),
        u(1)
    );
    let id = w.disputed();
    w.burn(9);
    w.does(
        "freelancer",
        "claim-stale-dispute",
        &[id.clone(), u(1), NONE],
    );
    assert_eq!(
        (w.milestone(&id, 1, "payout"), w.milestone(&id, 1, "refund")),
        (2_250, 7_500)
    );
    check_chains(&w);
}

#[test]
fn the_parties_settle() {
    let mut w = World::ready();
    let id = w.disputed();
    let until = u(w.burn_height() + 4);
    w.does(
        "client",
        "offer-settlement",
        &[id.clone(), u(1), u(1_000), until.clone()],
    );
    w.does("client", "withdraw-settlement", &[id.clone(), u(1)]);
    w.does(
        "freelancer",
        "offer-settlement",
        &[id.clone(), u(1), u(6_000), until],
    );
    w.does(
        "client",
        "accept-settlement",
        &[id.clone(), u(1), u(6_000), NONE],
    );
    assert_eq!(
        (w.milestone(&id, 1, "payout"), w.milestone(&id, 1, "refund")),
        (5_400, 4_000)
    );
    check_chains(&w);
}

#[test]
fn profiles_ratings_attestations_and_anchors() {
    let mut w = World::ready();
    let data = "freelance-data";
    w.ok("freelancer", data, "set-profile", &[ascii("ada"), hash(1)]);
    w.ok(
        "freelancer",
        data,
        "set-profile",
        &[ascii("ada-2"), hash(1)],
    );
    assert_eq!(w.read(data, "get-handle", &[ascii("ada")]), NONE);
    w.ok("stranger", data, "set-profile", &[ascii("ada"), hash(2)]);
    let expires = u(w.burn_height() + 5);
    w.ok(
        "attestor",
        data,
        "attest-x",
        &[p("freelancer"), hash(5), expires],
    );
    assert_eq!(
        w.read(data, "x-valid?", &[p("freelancer")]),
        Value::Bool(true)
    );
    w.ok("attestor", data, "revoke-x", &[p("freelancer")]);
    assert_eq!(
        w.read(data, "x-valid?", &[p("freelancer")]),
        Value::Bool(false)
    );
    let id = w.active(&[10_000]);
    w.does("client", "release", &[id.clone(), u(1), NONE]);
    let logic = Value::Principal(escrow());
    w.ok(
        "client",
        data,
        "rate",
        &[logic.clone(), id.clone(), u(5), hash(6)],
    );
    w.ok("freelancer", data, "rate", &[logic, id, u(4), hash(6)]);
    assert_eq!(
        w.field(data, "get-stats", &[p("freelancer")], "rating-sum"),
        u(5)
    );
    let now = w.burn_height();
    let anchor = [
        u(1),
        ascii("earnings"),
        hash(9),
        u(3),
        ascii("sha256"),
        u(now - 5),
        u(now),
    ];
    w.ok("attestor", data, "publish-leaderboard", &anchor);
    assert_eq!(
        w.field(data, "get-root", &[u(1), ascii("earnings")], "count"),
        u(3)
    );
    check_chains(&w);
}

#[test]
fn badges_are_minted_claimed_revoked_and_migrated() {
    let mut w = World::ready();
    let badges = "freelance-badges";
    let expires = u(w.burn_height() + 10_000);
    for (user, account) in [("freelancer", 5), ("stranger", 6)] {
        w.ok(
            "attestor",
            "freelance-data",
            "attest-x",
            &[p(user), hash(account), expires.clone()],
        );
    }
    assert_eq!(
        w.ok("minter", badges, "mint", &[p("freelancer"), u(5)]),
        u(1)
    );
    assert_eq!(w.ok("stranger", badges, "claim", &[u(5)]), u(2));
    assert_eq!(
        w.read(badges, "get-owner", &[u(1)]),
        Value::Ok(Box::new(some(p("freelancer"))))
    );
    w.governed(
        "migrate-badge",
        Args {
            n: [1, 0, 0, 0],
            p1: Some(who("client")),
            ..Args::default()
        },
    );
    assert_eq!(
        w.read(badges, "get-owner", &[u(1)]),
        Value::Ok(Box::new(some(p("client"))))
    );
    w.governed(
        "revoke-badge",
        Args {
            n: [2, 0, 0, 0],
            ..Args::default()
        },
    );
    assert_eq!(
        w.read(badges, "get-owner", &[u(2)]),
        Value::Ok(Box::new(NONE))
    );
    w.fails(1306, "stranger", badges, "claim", &[u(5)]);
    w.fails(1306, "minter", badges, "mint", &[p("freelancer"), u(5)]);
    check_chains(&w);
}
