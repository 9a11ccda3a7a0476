//! Rows 15 to 32: what nodes answer, and what they do not.

use super::chain::{Does, Tx};
use super::node::Trick;
use super::scene::{ANN, BEN, Scene, policy};
use crate::mint::plan::Note;
use crate::mint::policy::Policy;
use crate::mint::types::{
    Answer, Dropped, IntentState, PauseCode, Payload, Presence, Reason, SlotState,
};

fn unclear(reason: &str) -> Trick {
    let reason = reason.to_owned();
    Trick::Say(Answer::Unclear { reason })
}

fn stranger(nonce: u64, fee: u64) -> Tx {
    Tx {
        nonce,
        fee,
        does: Does::Other { mirrored: true },
        salt: 777,
    }
}

#[test]
fn matrix_15_time_out_5xx_429_and_bodies_that_cannot_be_read() {
    let tricks = [
        Trick::TimeoutBefore,
        Trick::TimeoutAfter,
        unclear("503"),
        unclear("429"),
        unclear("<html>"),
    ];
    for trick in tricks {
        let mut scene = Scene::new();
        scene.world().nodes[0].tricks = vec![trick];
        scene.wait("the other node", |w| !w.nodes[1].submitted.is_empty());
        let world = scene.world();
        assert_eq!(world.nodes[0].submitted, world.nodes[1].submitted);
        drop(world);
        scene.minted();
        assert_eq!((scene.slots(), scene.world().signatures), (1, 1));
    }
}

#[test]
fn matrix_16_said_200_and_never_seen() {
    let mut scene = Scene::new();
    for node in &mut scene.world().nodes {
        node.tricks = vec![Trick::Lose; 3];
    }
    scene.wait("three to each", |w| {
        w.nodes.iter().all(|n| n.submitted.len() >= 3)
    });
    scene.minted();
    assert_eq!(scene.slots(), 1);
}

#[test]
fn matrix_17_fee_too_low_for_the_node() {
    let mut scene = Scene::new();
    for node in &mut scene.world().nodes {
        node.min_fee = 5_000;
    }
    scene.sent();
    let slot = scene.slot();
    assert_eq!(
        slot.attempts.len(),
        2,
        "signed again, dearer, in the same slot"
    );
    assert!(slot.newest().unwrap().fee >= 5_000);
    scene.minted();
    assert_eq!(scene.slots(), 1);
}

#[test]
fn matrix_18_only_the_head_of_the_line_gets_dearer_up_to_the_cap() {
    let mut scene = Scene::with(
        Policy {
            fee_cap: 4_000,
            ..policy()
        },
        true,
    );
    scene.world().chain.deserve(BEN, 10, 45, None);
    for _ in 0..5 {
        scene.world().mine_empty(1);
    }
    let mut at_cap = false;
    for _ in 0..100 {
        let done = scene.step(60).unwrap();
        at_cap |= done.notes.contains(&Note::AtCap { nonce: 0 });
        scene.world().mine_empty(1);
    }
    assert!(at_cap, "at the cap it waits, and says so");
    let slots = scene.world().db.slots.clone();
    assert_eq!(slots.len(), 2);
    assert_eq!(slots[0].newest().unwrap().fee, 4_000);
    let fees: Vec<_> = slots[0].attempts.iter().map(|a| a.fee).collect();
    assert!(fees.windows(2).all(|w| w[0] < w[1]) && fees.len() > 2);
    assert_eq!(slots[1].attempts.len(), 1);
    assert_eq!(scene.state(), IntentState::Submitting, "held, not dropped");
    scene.live("minted", |w| w.mints_of(ANN, 1) + w.mints_of(BEN, 1) == 2);
}

#[test]
fn matrix_19_the_nonce_is_taken_by_our_own_older_attempt() {
    let mut scene = Scene::new();
    scene.world().nodes[0].tricks = vec![Trick::TimeoutAfter];
    scene.world().nodes[1].tricks = vec![Trick::Say(Answer::ConflictingNonce)];
    scene.wait("sent", |w| !w.nodes[0].submitted.is_empty());
    // Nodes talk: the second one has it from the first.
    {
        let mut world = scene.world();
        let tx = world.nodes[0].mempool[&0].clone();
        world.nodes[1].mempool.insert(0, tx);
        world.nodes[0].down = true;
    }
    scene.wait("refused", |w| !w.nodes[1].submitted.is_empty());
    scene.step(0);
    assert!(scene.world().db.pauses.is_empty());
    scene.minted();
    assert_eq!(scene.world().signatures, 1);
}

#[test]
fn matrix_20_the_nonce_is_taken_by_a_stranger() {
    let mut scene = Scene::new();
    for node in &mut scene.world().nodes {
        node.mempool.insert(0, stranger(0, 9_000));
    }
    scene.wait("a pause", |w| w.paused(PauseCode::Occupied));
    for _ in 0..10 {
        scene.step(30);
    }
    assert_eq!(scene.slots(), 1, "never under another nonce");
    assert_eq!(scene.slot().attempts.len(), 1, "and no race for it");
    // Signed by our key, it is mined: somebody else has the key.
    scene.live("foreign", |w| w.paused(PauseCode::ForeignUse));
    assert_eq!(scene.world().mints_of(ANN, 1), 0);
}

#[test]
fn matrix_21_bad_nonce_because_ours_was_mined() {
    let mut scene = Scene::new();
    let txid = scene.sent();
    scene.step(0);
    scene.world().mirror_lag = 1;
    scene.world().mine(1);
    scene.world().nodes[0].mempool.clear();
    scene.wait("bad nonce", |w| {
        let sends = w.db.slots[0].attempts[0].sends.iter();
        sends
            .filter(|s| matches!(s.answer, Answer::BadNonce { .. }))
            .count()
            > 0
    });
    assert_eq!((scene.slots(), scene.world().signatures), (1, 1));
    assert!(scene.world().db.pauses.is_empty());
    scene.world().mirror_lag = 0;
    scene.wait("included", |w| w.state_of(ANN, 1) == IntentState::Included);
    assert_eq!(scene.slot().included.unwrap().txid, txid);
    scene.minted();
}

#[test]
fn matrix_22_bad_nonce_and_none_of_ours_was_mined() {
    for mirrored in [true, false] {
        let mut scene = Scene::new();
        for node in &mut scene.world().nodes {
            node.tricks = vec![Trick::Lose; 10];
        }
        scene.wait("sent", |w| w.nodes.iter().any(|n| !n.submitted.is_empty()));
        scene.world().foreign(Does::Other { mirrored });
        scene.wait("a pause", |w| w.paused(PauseCode::ForeignUse));
        let signed = scene.world().signatures;
        scene.world().chain.deserve(BEN, 10, 45, None);
        for _ in 0..20 {
            scene.step(60);
            scene.world().mine_empty(1);
        }
        assert_eq!(scene.world().signatures, signed, "nothing is signed");
        assert_eq!(scene.world().mints_of(ANN, 1), 0);
        // A person looks, accepts what the mirror cannot see, and resumes.
        if !mirrored {
            scene.world().db.accept_slot(0);
        }
        scene.world().db.pauses.clear();
        scene.live("minted", |w| w.state_of(ANN, 1) == IntentState::FinalOk);
        assert_eq!(scene.world().db.slots[0].state, SlotState::Dead);
        assert_eq!(scene.world().mints_of(ANN, 1), 1);
    }
}

#[test]
fn matrix_23_too_far_above_the_account() {
    let mut scene = Scene::new();
    let high = Answer::BadNonce {
        expected: 0,
        actual: 3,
    };
    for node in &mut scene.world().nodes {
        let said = [Answer::TooMuchChaining, high.clone()];
        node.tricks = said.into_iter().map(Trick::Say).collect();
    }
    scene.sent();
    assert_eq!((scene.slots(), scene.world().signatures), (1, 1));
    assert!(scene.world().db.pauses.is_empty());
    scene.minted();
}

#[test]
fn matrix_24_not_enough_funds() {
    let mut scene = Scene::new();
    scene.wait("signed", |w| w.signatures == 1);
    scene.world().chain.change(|state, _| state.balance = 100);
    scene.wait("a pause", |w| w.paused(PauseCode::NoFunds));
    for _ in 0..10 {
        scene.step(60);
    }
    assert_eq!((scene.slots(), scene.world().signatures), (1, 1));
    scene
        .world()
        .chain
        .change(|state, _| state.balance = 1_000_000);
    scene.minted();
    assert!(scene.world().db.pauses.is_empty(), "it goes on by itself");
}

#[test]
fn matrix_25_impossible_says_one_node_or_each() {
    let never = || {
        Trick::Say(Answer::Permanent {
            reason: "NoSuchContract".to_owned(),
        })
    };
    // One node alone may lie.
    let mut scene = Scene::new();
    scene.world().nodes[0].tricks = vec![never(); 50];
    scene.minted();
    assert_eq!(scene.slots(), 1);

    let mut scene = Scene::new();
    for node in &mut scene.world().nodes {
        node.tricks = vec![never()];
    }
    scene.live("dead", |w| w.state_of(ANN, 1) == IntentState::Dead);
    assert_eq!(
        scene.world().intent_of(ANN, 1).reason,
        Some(Reason::Unsendable)
    );
    let slot = scene.slot();
    assert_eq!(slot.newest().unwrap().payload, Payload::Noop);
    assert_eq!(slot.state, SlotState::Consumed);
    assert_eq!(scene.world().mints_of(ANN, 1), 0);
}

#[test]
fn matrix_26_the_estimate_is_missing_or_absurd() {
    let mut scene = Scene::new();
    for node in &mut scene.world().nodes {
        node.fee = None;
    }
    scene.sent();
    assert_eq!(scene.slot().newest().unwrap().fee, 2 * policy().fee_floor);
    for _ in 0..20 {
        scene.step(60);
        scene.world().mine_empty(1);
    }
    assert!(
        scene.slot().attempts.len() > 1,
        "it gets dearer all the same"
    );
    scene.minted();

    let mut scene = Scene::new();
    for node in &mut scene.world().nodes {
        node.fee = Some(u64::MAX);
    }
    scene.sent();
    assert_eq!(scene.slot().newest().unwrap().fee, policy().fee_cap);
    scene.minted();
}

#[test]
fn matrix_27_dropped_for_another_with_a_higher_fee() {
    // Ours: the dearer attempt is followed.
    let mut scene = Scene::new();
    let first = scene.sent();
    for _ in 0..10 {
        scene.step(60);
        scene.world().mine_empty(1);
    }
    let newest = scene.txid();
    assert_ne!(first, newest);
    let dropped = scene.world().nodes[0].dropped.get(&first).cloned();
    assert_eq!(dropped, Some(Dropped::ReplacedByFee { by: Some(newest) }));
    scene.minted();

    // Not ours: as in row 20.
    let mut scene = Scene::new();
    let txid = scene.sent();
    for node in &mut scene.world().nodes {
        node.mempool.insert(0, stranger(0, 400_000));
        node.dropped
            .insert(txid, Dropped::ReplacedByFee { by: None });
    }
    scene.wait("a pause", |w| w.paused(PauseCode::Occupied));
    assert_eq!(scene.slots(), 1);
}

#[test]
fn matrix_28_dropped_as_stale_as_too_dear_or_across_forks() {
    for why in [
        Dropped::Stale,
        Dropped::TooExpensive,
        Dropped::ReplacedAcrossFork,
    ] {
        let mut scene = Scene::new();
        let txid = scene.sent();
        for node in &mut scene.world().nodes {
            node.mempool.clear();
            node.dropped.insert(txid, why.clone());
        }
        scene.step(0);
        assert_eq!(scene.state(), IntentState::Submitting, "that is no failure");
        scene.wait("sent again", |w| {
            w.nodes.iter().any(|n| !n.mempool.is_empty())
        });
        assert_eq!((scene.txid(), scene.world().signatures), (txid, 1));
        scene.minted();
    }
}

#[test]
fn matrix_29_dropped_as_problematic() {
    let mut scene = Scene::new();
    let txid = scene.sent();
    for node in &mut scene.world().nodes {
        node.mempool.clear();
        node.dropped.insert(txid, Dropped::Problematic);
    }
    scene.wait("a pause", |w| w.paused(PauseCode::Problematic));
    let sent = scene.sendings();
    for _ in 0..10 {
        scene.step(120);
        scene.world().mine_empty(1);
    }
    let after = scene.sendings();
    assert_eq!((sent, scene.world().signatures), (after, 1), "it stops");
    // A person looked, and calls it off: the slot gets a noop.
    scene.world().db.cancel(1, "ops");
    scene.world().db.pauses.clear();
    scene.live("over", |w| w.state_of(ANN, 1) == IntentState::Cancelled);
    assert_eq!(scene.world().mints_of(ANN, 1), 0);
    assert_eq!(scene.slot().state, SlotState::Consumed);
}

#[test]
fn matrix_30_all_nodes_are_down() {
    let mut scene = Scene::new();
    scene.sent();
    scene.step(0);
    for node in &mut scene.world().nodes {
        node.down = true;
    }
    let before = scene.slot();
    let mut said = false;
    for _ in 0..50 {
        let done = scene.step(3_600).unwrap();
        said |= done.notes.contains(&Note::NoNode);
        scene.world().mine_empty(1);
    }
    assert!(said, "it is shown");
    assert_eq!(scene.slot(), before, "and changes nothing");
    assert_eq!(scene.state(), IntentState::Submitting);
    for node in &mut scene.world().nodes {
        node.down = false;
    }
    scene.minted();
}

#[test]
fn matrix_31_a_node_that_is_behind() {
    let mut scene = Scene::new();
    scene.minted();
    // Both roll back to before the mint: their account says nonce 0.
    let height = scene.height();
    {
        let mut world = scene.world();
        world.chain.deserve(BEN, 10, 45, None);
        let lag = usize::try_from(height - 5).unwrap();
        world.nodes[0].lag = lag;
        world.nodes[1].lag = 1;
        for _ in 0..4 {
            world.mine_empty(1);
        }
    }
    let mut behind = false;
    for _ in 0..10 {
        let done = scene.step(30).unwrap();
        behind |= done.notes.contains(&Note::NodeBehind { node: 0 });
    }
    assert!(behind);
    let slots = scene.world().db.slots.clone();
    assert_eq!(slots.last().unwrap().nonce, 1, "never lower");
    assert_eq!(scene.world().db.next, 2);
    let txid = scene.txid();
    assert!(!scene.world().nodes[0].submitted.contains(&txid));
    assert!(scene.world().nodes[1].submitted.contains(&txid));
}

#[test]
fn matrix_32_two_nodes_disagree_on_the_tip() {
    let mut scene = Scene::new();
    let txid = scene.included();
    // The second one does not have the block yet, and does not know the transaction either.
    scene.world().nodes[1].lag = 1;
    let before = scene.slot();
    for _ in 0..10 {
        scene.step(60);
    }
    assert_eq!(scene.state(), IntentState::Included);
    assert_eq!(scene.slot(), before, "nothing is decided");
    // Orphaned on the chain that the mirror follows: the same bytes go on.
    scene.world().include_percent = 0;
    scene.world().fork(1, 0, 1);
    scene.wait("sent again", |w| {
        w.nodes.iter().any(|n| !n.mempool.is_empty())
    });
    assert_eq!(scene.txid(), txid);
    scene.minted();
    let mut rng = stxworx_clarity::rng::SeededRng::new(1);
    let gone = scene.world().nodes[0].presence(&mut rng, &txid);
    assert_ne!(gone, Presence::Pending);
}
