//! Rows 1 to 14: the process dies between each pair of steps.

use super::scene::{ANN, BEN, Scene, policy};
use super::world::When;
use crate::mint::types::{IntentState, Payload, Preflight, SlotState};

#[test]
fn matrix_01_dies_before_the_award_is_stored() {
    let mut scene = Scene::new();
    scene.dies("upsert_award", When::Before);
    assert!(scene.pass().is_err() || scene.pass().is_err());
    assert!(scene.world().db.intents.is_empty());
    scene.minted();
    assert_eq!(scene.world().db.intents.len(), 1);
}

#[test]
fn matrix_02_dies_before_the_preflight_which_is_asked_anew() {
    let mut scene = Scene::new();
    scene.wait("an intent", |w| !w.db.intents.is_empty());
    scene.dies("preflight", When::After);
    assert!(scene.pass().is_err());
    assert_eq!((scene.state(), scene.slots()), (IntentState::Queued, 0));
    // What it said before the death counts for nothing.
    let no = Preflight {
        minter: true,
        kind_known: true,
        earned: false,
        badge: None,
        barred: false,
    };
    for node in &mut scene.world().nodes {
        node.preflight = Some(no.clone());
    }
    for _ in 0..5 {
        scene.step(20);
    }
    assert_eq!((scene.state(), scene.slots()), (IntentState::Queued, 0));
    for node in &mut scene.world().nodes {
        node.preflight = None;
    }
    scene.minted();
}

#[test]
fn matrix_03_dies_before_a_nonce_is_reserved() {
    let mut scene = Scene::new();
    scene.wait("an intent", |w| !w.db.intents.is_empty());
    scene.dies("reserve", When::Before);
    assert!(scene.pass().is_err());
    assert_eq!((scene.slots(), scene.world().db.next), (0, 0));
    scene.minted();
    assert_eq!(scene.world().db.next, 1);
}

#[test]
fn matrix_04_dies_with_a_slot_and_no_signature() {
    let mut scene = Scene::new();
    scene.wait("an intent", |w| !w.db.intents.is_empty());
    scene.dies("sign", When::Before);
    scene.wait("a death", |w| w.crashes == 1);
    assert_eq!(scene.slot().state, SlotState::Reserved);
    scene.minted();
    assert_eq!((scene.slots(), scene.world().signatures), (1, 1));

    // Where the intent is gone meanwhile, a noop fills the slot, and the next one goes on behind it.
    let mut scene = Scene::new();
    scene.wait("an intent", |w| !w.db.intents.is_empty());
    scene.dies("sign", When::Before);
    scene.wait("a death", |w| w.crashes == 1);
    scene.world().db.cancel(1, "ops");
    scene.world().chain.deserve(BEN, 10, 45, None);
    scene.live("Ben has his", |w| w.mints_of(BEN, 1) == 1);
    assert_eq!(scene.state(), IntentState::Cancelled);
    let first = scene.world().db.slots[0].clone();
    assert_eq!(first.intent, None);
    assert!(first.attempts.iter().all(|a| a.payload == Payload::Noop));
    assert_eq!(scene.world().mints_of(ANN, 1), 0);
}

#[test]
fn matrix_05_dies_with_a_signature_that_is_not_stored() {
    let mut scene = Scene::new();
    scene.dies("record_attempt", When::Before);
    scene.wait("a death", |w| w.crashes == 1);
    assert_eq!(scene.world().signatures, 1);
    assert!(scene.slot().attempts.is_empty());
    scene.minted();
    // Signed again in the same slot; the lost bytes were never sent, which `submit` itself asserts.
    assert_eq!((scene.slots(), scene.world().signatures), (1, 2));
}

#[test]
fn matrix_06_dies_with_bytes_that_were_not_sent() {
    let mut scene = Scene::new();
    scene.dies("record_attempt", When::After);
    scene.wait("a death", |w| w.crashes == 1);
    let txid = scene.txid();
    assert!(scene.world().nodes.iter().all(|n| n.submitted.is_empty()));
    scene.minted();
    assert_eq!(scene.world().signatures, 1);
    assert_eq!(scene.own()[0].inclusion.txid, txid);
}

#[test]
fn matrix_07_dies_before_the_answer_is_stored() {
    for mined in [false, true] {
        let mut scene = Scene::new();
        scene.dies("submit", When::After);
        scene.wait("a death", |w| w.crashes == 1);
        assert!(scene.slot().newest().unwrap().sends.is_empty());
        if mined {
            scene.world().mine(1);
        } else {
            scene.step(0);
            let world = scene.world();
            let sent: Vec<_> = world.nodes.iter().flat_map(|n| &n.submitted).collect();
            assert_eq!(sent.len(), 2, "the same bytes again");
            assert_eq!(sent[0], sent[1]);
        }
        scene.minted();
        assert_eq!((scene.slots(), scene.world().signatures), (1, 1));
    }
}

#[test]
fn matrix_08_accepted_and_thrown_away() {
    let mut scene = Scene::new();
    scene.world().nodes[0].tricks = vec![super::node::Trick::Lose];
    scene.wait("asked twice", |w| {
        w.nodes.iter().map(|n| n.submitted.len()).sum::<usize>() == 2
    });
    // The other node was asked the second time, with the same bytes.
    {
        let world = scene.world();
        assert_eq!(world.nodes[0].submitted, world.nodes[1].submitted);
    }
    scene.minted();
    assert_eq!((scene.slots(), scene.world().signatures), (1, 1));
}

#[test]
fn matrix_09_dies_while_it_waits_in_a_mempool() {
    let mut scene = Scene::new();
    scene.sent();
    scene.step(0);
    scene.restart();
    scene.step(10);
    scene.step(10);
    let sent = scene.sendings();
    assert_eq!(sent, 1, "timers are in the store: nothing was due");
    scene.minted();
    assert_eq!(scene.world().signatures, 1);
}

#[test]
fn matrix_10_dies_between_inclusion_and_finality() {
    let mut scene = Scene::new();
    scene.included();
    let was = scene.slot().included;
    scene.restart();
    scene.step(10);
    assert_eq!(scene.state(), IntentState::Included);
    assert_eq!(scene.slot().included, was);
    scene.minted();
}

#[test]
fn matrix_11_dies_at_finality_before_or_after_the_effect() {
    for when in [When::Before, When::After] {
        let mut scene = Scene::new();
        scene.included();
        scene.dies("finish", when);
        scene.live("a death", |w| w.crashes == 1);
        let stored = scene.world().db.effects.len();
        assert_eq!(stored, usize::from(when == When::After));
        scene.minted();
    }
}

#[test]
fn matrix_12_dies_before_the_line_is_told() {
    let mut scene = Scene::new();
    scene.included();
    scene.dies("tell", When::Before);
    scene.live("a death", |w| w.crashes == 1);
    let id = scene.world().db.lines[0].0.id.clone();
    assert!(scene.world().heard.is_empty());
    scene.minted();
    assert_eq!(scene.world().heard, [id]);
}

#[test]
fn matrix_13_told_twice_with_the_same_id() {
    let mut scene = Scene::new();
    scene.included();
    scene.dies("told", When::Before);
    scene.live("a death", |w| w.crashes == 1);
    scene.minted();
    let heard = scene.world().heard.clone();
    assert_eq!(heard.len(), 2);
    assert_eq!(heard[0], heard[1]);
}

#[test]
fn matrix_14_a_commit_whose_answer_is_lost() {
    for call in [
        "reserve",
        "record_attempt",
        "observe",
        "finish",
        "upsert_award",
    ] {
        let mut scene = Scene::new();
        scene.fails(call, When::After);
        scene.minted();
        assert_eq!((scene.slots(), scene.world().signatures), (1, 1), "{call}");
        assert_eq!(scene.world().crashes, 0);
    }
    assert_eq!(policy().in_flight, 20);
}
