//! Money that could be stolen, frozen or lost.

use stxworx_clarity::codec::{Principal, Value};
use stxworx_clarity::market::Conditions;
use stxworx_clarity::simnet::TxStatus;

use crate::world::*;

const NONE: Value = Value::None;
const LOGIC: &str = "freelance-logic";

fn enable(w: &mut World, name: &str, max: u128) {
    w.ok("signer-4", name, "mint", &[u(1), p("signer-4")]);
    let args = Args {
        p1: Some(Principal::Contract(contract(name))),
        b: true,
        n: [max, 8, 0, 0],
        ..Args::default()
    };
    w.governed("set-asset", args);
}

/// Every way out, with the arguments before the token.
fn ways_out(id: &Value) -> Vec<(&'static str, &'static str, Vec<Value>)> {
    let milestone = || vec![id.clone(), u(1)];
    vec![
        ("client", "cancel-unaccepted", vec![id.clone()]),
        ("freelancer", "decline", vec![id.clone()]),
        ("client", "release", milestone()),
        ("stranger", "claim-timeout", milestone()),
        ("client", "reclaim-expired", milestone()),
        ("arbiter", "resolve", vec![id.clone(), u(1), u(5_000)]),
        ("client", "claim-stale-dispute", milestone()),
        (
            "freelancer",
            "accept-settlement",
            vec![id.clone(), u(1), u(5_000)],
        ),
    ]
}

/// Brings a project with a token to where a way out is open.
fn ready_for(w: &mut World, function: &str) -> Value {
    let arguments = w.opening(&[10_000], 3, some(token("test-token")));
    let id = w.does("client", "open-project", &arguments);
    let m = [id.clone(), u(1)];
    let with = |more: Value| [id.clone(), u(1), more];
    if !matches!(function, "cancel-unaccepted" | "decline") {
        w.does("freelancer", "accept-project", std::slice::from_ref(&id));
    }
    match function {
        "claim-timeout" => {
            w.does("freelancer", "submit", &with(hash(1)));
            w.burn(7);
        }
        "reclaim-expired" => w.burn(10),
        "resolve" | "claim-stale-dispute" => {
            w.does("freelancer", "submit", &with(hash(1)));
            w.does("client", "open-dispute", &with(hash(2)));
            if function == "claim-stale-dispute" {
                w.burn(9);
            }
        }
        "accept-settlement" => {
            let until = u(w.burn_height() + 5);
            w.does(
                "client",
                "offer-settlement",
                &[m[0].clone(), m[1].clone(), u(5_000), until],
            );
        }
        _ => {}
    }
    id
}

#[test]
fn w01_a_project_pays_in_its_own_token_and_no_other() {
    let mut w = World::ready();
    w.deploy("gold", source("test-token"));
    enable(&mut w, "gold", 1_000_000_000);
    w.ok(
        "other-client",
        "gold",
        "mint",
        &[u(500_000), p("other-client")],
    );
    // Somebody else's gold is in the escrow; the attacker's project is in the other token.
    let victims = w.opening(&[400_000], 20, some(token("gold")));
    w.does("other-client", "open-project", &victims);
    for (_, function, _) in ways_out(&NONE) {
        let id = ready_for(&mut w, function);
        let (role, _, mut arguments) = ways_out(&id)
            .into_iter()
            .find(|(_, f, _)| *f == function)
            .expect("a way out");
        for other in [some(token("gold")), NONE] {
            arguments.push(other);
            w.cannot(1224, role, function, &arguments);
            arguments.pop();
        }
        arguments.push(some(token("test-token")));
        w.does(role, function, &arguments);
    }
    assert_eq!(w.tokens_of("gold", &escrow()), 400_000);
}

#[test]
fn w02_one_milestone_at_work_holds_back_no_other_and_work_is_not_refunded() {
    let mut w = World::ready();
    let arguments = w.opening(&[10_000, 50_000], 3, NONE);
    let id = w.does("client", "open-project", &arguments);
    w.does("freelancer", "accept-project", std::slice::from_ref(&id));
    w.does("freelancer", "submit", &[id.clone(), u(1), hash(1)]);
    // The mirror image: nothing can be taken back while the freelancer still has time, or has delivered.
    w.cannot(1212, "client", "cancel-unaccepted", &[id.clone(), NONE]);
    w.cannot(1215, "client", "reclaim-expired", &[id.clone(), u(2), NONE]);
    w.burn(10);
    w.cannot(1213, "client", "reclaim-expired", &[id.clone(), u(1), NONE]);
    let before = w.stx(&who("client"));
    w.does("client", "reclaim-expired", &[id.clone(), u(2), NONE]);
    assert_eq!(w.stx(&who("client")), before + 50_000 - 1_000);
    w.does("stranger", "claim-timeout", &[id, u(1), NONE]);
    assert_eq!(w.stx(&escrow()), 0);
}

#[test]
fn w03_a_silent_client_cannot_keep_the_freelancers_money() {
    let mut w = World::ready();
    let id = w.submitted();
    w.cannot(
        1215,
        "freelancer",
        "claim-timeout",
        &[id.clone(), u(1), NONE],
    );
    w.burn(7);
    // Too late for the client to dispute; anybody may push the money.
    w.cannot(1216, "client", "open-dispute", &[id.clone(), u(1), hash(2)]);
    let before = w.stx(&who("freelancer"));
    w.does("stranger", "claim-timeout", &[id, u(1), NONE]);
    assert_eq!(w.stx(&who("freelancer")), before + 9_000);
}

#[test]
fn w04_a_dispute_is_ruled_on_chain_and_may_divide() {
    let mut w = World::ready();
    let id = w.disputed();
    let before = (w.stx(&who("client")), w.stx(&who("freelancer")));
    w.does("arbiter", "resolve", &[id.clone(), u(1), u(3_000), NONE]);
    assert_eq!(w.stx(&who("client")), before.0 + 7_000);
    assert_eq!(w.stx(&who("freelancer")), before.1 + 2_700);
    assert_eq!(w.project(&id, "status"), 4);
    assert_eq!(
        (w.project(&id, "paid"), w.project(&id, "refunded")),
        (3_000, 7_000)
    );
}

#[test]
fn w05_a_pause_closes_no_way_out_and_lapses() {
    let mut w = World::ready();
    for (_, function, _) in ways_out(&NONE) {
        let id = ready_for(&mut w, function);
        let until = w.burn_height() + 1_000;
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
        let (role, _, mut arguments) = ways_out(&id)
            .into_iter()
            .find(|(_, f, _)| *f == function)
            .expect("a way out");
        arguments.push(some(token("test-token")));
        let opening = w.opening(&[10_000], 3, NONE);
        w.cannot(1214, "client", "open-project", &opening);
        if function == "resolve" {
            // The arbiter waits; the parties still have theirs, after the time for a ruling.
            w.cannot(1214, role, function, &arguments);
            w.burn(9);
            let stale = [id.clone(), u(1), some(token("test-token"))];
            w.does("freelancer", "claim-stale-dispute", &stale);
        } else {
            w.does(role, function, &arguments);
        }
        w.governed("unpause", Args::default());
    }
    assert_eq!(w.tokens(&escrow()), 0);
    // And without anybody's help it is over after its last block.
    let until = w.burn_height() + 145 + 50;
    w.governed(
        "pause",
        Args {
            n: [until, 0, 0, 0],
            ..Args::default()
        },
    );
    let opening = w.opening(&[10_000], 300, NONE);
    w.cannot(1214, "client", "open-project", &opening);
    w.burn(until + 1 - w.burn_height());
    w.does("client", "open-project", &opening);
    let forever = Args {
        n: [w.burn_height() + 145 + 1_009, 0, 0, 0],
        ..Args::default()
    };
    assert_eq!(w.try_governed("pause", forever, NONE), Outcome::Err(1229));
}

#[test]
fn w06_a_strangers_contract_cannot_act_for_who_calls_it() {
    let mut w = World::ready();
    let id = w.active(&[10_000]).as_u128().expect("a number");
    let (logic, security) = (contract(LOGIC), contract("freelance-security"));
    let lure = format!(
        "(define-public (gift) (contract-call? '{logic} release u{id} u1 none))
         (define-public (vote) (contract-call? '{security} approve u1))
         (define-public (badge) (contract-call? '{} set-profile \"stolen\" 0x{}))",
        contract("freelance-data"),
        "00".repeat(32)
    );
    let deployed = w.try_deploy("stranger", "lure", &lure);
    assert_eq!(
        deployed.status,
        TxStatus::Success,
        "{:?}",
        deployed.vm_error
    );
    let call = |w: &mut World, role: &str, function: &str| {
        let actor = stxworx_clarity::market::Actor::of(role);
        let lure = stxworx_clarity::market::Actor::of("stranger").contract("lure");
        let nonce = w.chain.next_nonce(&actor.principal());
        let payload = stxworx_clarity::market::call(&lure, function, &[]);
        let tx = actor.sign(nonce, 1_000, payload, Conditions::None);
        w.chain.submit(&tx.encode()).expect("admitted");
        let block = w.chain.mine(1).expect("a block");
        Value::decode_exact(&block.receipts.last().expect("a receipt").raw_result).expect("a value")
    };
    assert_eq!(call(&mut w, "client", "gift"), Value::err(u(1201)));
    assert_eq!(call(&mut w, "signer-1", "vote"), Value::err(u(1500)));
    // What is done is done in the name of the contract, not of the caller.
    call(&mut w, "client", "badge");
    assert_eq!(
        w.read("freelance-data", "get-profile", &[p("client")]),
        NONE
    );
    assert_eq!(w.stx(&escrow()), 10_000);
}

#[test]
fn w07_the_escrow_cannot_become_its_own_treasury_arbiter_or_party() {
    let mut w = World::ready();
    for kind in ["set-treasury", "set-arbiter"] {
        let args = Args {
            p1: Some(escrow()),
            ..Args::default()
        };
        assert_eq!(
            w.try_governed(kind, args, NONE),
            Outcome::Err(1229),
            "{kind}"
        );
    }
    let mut arguments = w.opening(&[10_000], 20, NONE);
    arguments[0] = Value::Principal(escrow());
    w.cannot(1223, "client", "open-project", &arguments);
    let id = w.active(&[10_000]);
    w.does("client", "release", &[id, u(1), NONE]);
}

#[test]
fn w08_no_single_key_owns_anything() {
    let mut w = World::ready();
    for role in ["deployer", "signer-1"] {
        w.cannot(1200, role, "set-fee", &[u(0)]);
        w.fails(
            1100,
            role,
            "freelance-data",
            "set-writer",
            &[p(role), Value::Bool(true)],
        );
        w.fails(1300, role, "freelance-badges", "set-uri", &[ascii("x")]);
    }
    let proposal = [ascii("set-fee"), Args::default().value()];
    let id = w.ok("signer-1", "freelance-security", "propose", &proposal);
    w.ok(
        "signer-2",
        "freelance-security",
        "approve",
        std::slice::from_ref(&id),
    );
    w.burn(145);
    w.fails(
        1508,
        "signer-1",
        "freelance-security",
        "execute",
        &[id.clone(), NONE],
    );
    w.ok(
        "signer-3",
        "freelance-security",
        "approve",
        std::slice::from_ref(&id),
    );
    w.ok("signer-1", "freelance-security", "execute", &[id, NONE]);
    assert_eq!(w.field(LOGIC, "get-config", &[], "fee-bps"), u(0));
}

#[test]
fn w09_opening_moves_the_total_once_in_the_same_call() {
    let mut w = World::ready();
    let before = w.tokens(&who("client"));
    let arguments = w.opening(&[10_000, 20_000], 20, some(token("test-token")));
    let receipt = w.receipt(
        "client",
        LOGIC,
        "open-project",
        &arguments,
        Conditions::None,
    );
    let transfers: Vec<_> = receipt
        .events
        .iter()
        .filter(|e| e.kind == "ft_transfer_event")
        .collect();
    assert_eq!(transfers.len(), 1);
    assert_eq!(transfers[0].body["amount"], "30000");
    assert_eq!(w.tokens(&who("client")), before - 30_000);
    assert_eq!(w.tokens(&escrow()), 30_000);
}

#[test]
fn w10_every_base_unit_of_a_milestone_is_payout_fee_or_refund() {
    let mut w = World::ready();
    for fee in [0, 1, 333, 1_000] {
        w.governed(
            "set-fee",
            Args {
                n: [fee, 0, 0, 0],
                ..Args::default()
            },
        );
        for (amount, bps) in [
            (1_000, 1),
            (1_001, 9_999),
            (33_333, 3_333),
            (999_999_999_999, 5_001),
        ] {
            let id = w.active(&[amount]);
            let m = [id.clone(), u(1)];
            let until = u(w.burn_height() + 1);
            w.does(
                "client",
                "offer-settlement",
                &[m[0].clone(), u(1), u(bps), until],
            );
            w.does(
                "freelancer",
                "accept-settlement",
                &[m[0].clone(), u(1), u(bps), NONE],
            );
            let [payout, cut, refund] = ["payout", "fee", "refund"].map(|f| w.milestone(&id, 1, f));
            assert_eq!(payout + cut + refund, amount, "{fee} {amount} {bps}");
            let gross = amount * bps / 10_000;
            assert_eq!((cut, refund), (gross * fee / 10_000, amount - gross));
        }
    }
    assert_eq!(w.stx(&escrow()), 0);
    assert_eq!(w.locked(), 0);
    let too_much = Args {
        n: [1_001, 0, 0, 0],
        ..Args::default()
    };
    assert_eq!(
        w.try_governed("set-fee", too_much, NONE),
        Outcome::Err(1229)
    );
}

#[test]
fn w11_each_asset_has_a_limit_of_its_own() {
    let mut w = World::ready();
    w.ok(
        "client",
        "test-token",
        "mint",
        &[u(5_000_000_000), p("client")],
    );
    let in_tokens = |w: &World, n| w.opening(&[n], 20, some(token("test-token")));
    let arguments = in_tokens(&w, 1_000_000_001);
    w.cannot(1221, "client", "open-project", &arguments);
    let arguments = in_tokens(&w, 1_000_000_000);
    w.does("client", "open-project", &arguments);
    w.open(&[1_000_000_001], 20);
}
