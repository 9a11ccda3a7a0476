//! Power that one could take, or that does nothing.

use stxworx_clarity::codec::Value;
use stxworx_clarity::market::{Actor, SOURCES};
use stxworx_clarity::simnet::TxStatus;

use crate::world::*;

const NONE: Value = Value::None;
const SECURITY: &str = "freelance-security";

#[test]
fn w12_the_signers_are_five_different_ones_from_the_deployment_on() {
    let five = (1..=5).map(|n| who(&format!("signer-{n}")).to_string());
    let five: Vec<_> = five.collect();
    let twice = source(SECURITY).replace(&five[4], &five[0]);
    assert_ne!(twice, source(SECURITY));
    let four = source(SECURITY).replace(&format!("'{}", five[4]), "");
    for wrong in [&twice, &four] {
        let mut w = World::bare();
        for (name, source) in SOURCES.iter().filter(|(n, _)| *n != SECURITY) {
            let receipt = w.try_deploy("stranger", name, source);
            assert_eq!(receipt.status, TxStatus::Success, "{name}");
        }
        let receipt = w.try_deploy("stranger", SECURITY, wrong);
        assert_ne!(receipt.status, TxStatus::Success);
        let theirs = Actor::of("stranger").contract(SECURITY);
        assert_eq!(w.chain.source(&w.tip(), &theirs), Ok(None));
        let receipt = w.try_deploy("stranger", SECURITY, source(SECURITY));
        assert_eq!(receipt.status, TxStatus::Success);
    }
    let w = World::bare();
    for n in 1..=5 {
        assert_eq!(
            w.read(SECURITY, "signer?", &[p(&format!("signer-{n}"))]),
            Value::Bool(true)
        );
    }
    assert_eq!(
        w.read(SECURITY, "signer?", &[p("deployer")]),
        Value::Bool(false)
    );
    // Nothing to call before somebody else does.
    assert!(!source(SECURITY).contains("initiali"));
}

#[test]
fn w13_an_executed_action_has_happened() {
    let mut w = World::ready();
    let args = Args {
        p1: Some(who("stranger")),
        ..Args::default()
    };
    w.governed("set-treasury", args);
    let id = w.active(&[10_000]);
    let before = w.stx(&who("stranger"));
    w.does("client", "release", &[id, u(1), NONE]);
    assert_eq!(w.stx(&who("stranger")), before + 1_000);
}

#[test]
fn w14_actions_are_the_signers_can_be_undone_and_expire() {
    let mut w = World::ready();
    let proposal = [ascii("set-fee"), Args::default().value()];
    let propose = |w: &mut World| w.ok("signer-1", SECURITY, "propose", &proposal);
    let approve = |w: &mut World, id: &Value| {
        for signer in ["signer-2", "signer-3"] {
            w.ok(signer, SECURITY, "approve", std::slice::from_ref(id));
        }
    };
    w.fails(1500, "stranger", SECURITY, "propose", &proposal);
    let id = propose(&mut w);
    approve(&mut w, &id);
    w.burn(145);
    w.fails(1500, "stranger", SECURITY, "execute", &[id.clone(), NONE]);
    w.ok(
        "signer-3",
        SECURITY,
        "revoke-approval",
        std::slice::from_ref(&id),
    );
    w.fails(1508, "signer-1", SECURITY, "execute", &[id.clone(), NONE]);
    w.ok("signer-1", SECURITY, "cancel", std::slice::from_ref(&id));
    w.fails(1503, "signer-1", SECURITY, "execute", &[id, NONE]);
    let late = propose(&mut w);
    approve(&mut w, &late);
    w.burn(144 + 2_016 + 1);
    w.fails(1503, "signer-1", SECURITY, "execute", &[late, NONE]);
    let swap = Args {
        p1: Some(who("signer-5")),
        p2: Some(who("signer-6")),
        ..Args::default()
    };
    w.governed("swap-signer", swap);
    assert_eq!(
        w.read(SECURITY, "signer?", &[p("signer-5")]),
        Value::Bool(false)
    );
    let until = w.burn_height() + 300;
    w.governed(
        "pause",
        Args {
            n: [until, 0, 0, 0],
            ..Args::default()
        },
    );
    w.governed("unpause", Args::default());
    w.open(&[10_000], 20);
}

#[test]
fn w15_bitcoins_height_is_the_only_clock() {
    for name in CONTRACTS {
        let code: String = source(name)
            .lines()
            .filter(|line| !line.trim_start().starts_with(";;"))
            .collect();
        let rest = code.replace("burn-block-height", "");
        for clock in [
            "block-height",
            "get-block-info",
            "get-stacks-block-info",
            "get-tenure-info",
        ] {
            assert!(!rest.contains(clock), "{name} looks at {clock}");
        }
    }
    // Stacks blocks alone make nothing due.
    let mut w = World::ready();
    let id = w.ok(
        "signer-1",
        SECURITY,
        "propose",
        &[ascii("set-fee"), Args::default().value()],
    );
    for signer in ["signer-2", "signer-3"] {
        w.ok(signer, SECURITY, "approve", std::slice::from_ref(&id));
    }
    for _ in 0..200 {
        w.chain.mine(1).expect("a block");
    }
    w.fails(1509, "signer-1", SECURITY, "execute", &[id.clone(), NONE]);
    w.burn(144);
    w.ok("signer-1", SECURITY, "execute", &[id, NONE]);
}
