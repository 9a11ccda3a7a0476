//! Rows 33 to 48: what the chain says, and what it takes back.

use super::chain::{CONTRACT, Does, FINAL};
use super::scene::{ANN, BEN, Scene, policy};
use crate::mint::plan::Note;
use crate::mint::types::{IntentState, LineKind, PauseCode, Payload, Reason, SlotState, Verdict};

/// The badge contract itself, as it is deployed.
const SOURCE: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../clarity/contracts/freelance-badges.clar"
));

#[test]
fn matrix_33_success_counts_when_it_is_final() {
    let mut scene = Scene::new();
    scene.included();
    for _ in 0..FINAL {
        assert_eq!(scene.state(), IntentState::Included);
        assert!(scene.world().db.effects.is_empty());
        scene.step(20);
        scene.world().mine(1);
    }
    scene.step(20);
    assert_eq!(scene.state(), IntentState::FinalOk);
    scene.once();
    let world = scene.world();
    assert_eq!(world.db.lines[0].0.kind, LineKind::Minted);
    assert_eq!(world.db.effects[&1].badge, Some(1));
}

#[test]
fn matrix_34_refused_because_it_is_held_already() {
    // The owner claims it while ours is on its way.
    let mut scene = Scene::with(policy(), false);
    scene.sent();
    scene.world().chain.claim(ANN, 1);
    scene.live("settled", |w| {
        w.state_of(ANN, 1) == IntentState::SatisfiedElsewhere
    });
    assert!(matches!(
        scene.own()[0].inclusion.verdict,
        Verdict::Aborted { code: Some(1305) }
    ));
    scene.once();
    assert_eq!(
        scene.world().db.lines[0].0.kind,
        LineKind::SatisfiedElsewhere
    );

    // The contract says so, and the mirror has no badge: one of the two is wrong.
    let mut scene = Scene::new();
    scene.sent();
    scene.world().chain.whims.abort = Some(1305);
    scene.live("review", |w| w.state_of(ANN, 1) == IntentState::Review);
    assert_eq!(
        scene.world().intent_of(ANN, 1).reason,
        Some(Reason::AlreadyHeld)
    );
}

#[test]
fn matrix_35_this_contract_cannot_be_paused() {
    assert!(SOURCE.contains("(define-public (mint (recipient principal) (kind uint))"));
    assert!(!SOURCE.contains("pause"));
    // A code that the contract does not have is for a person.
    let mut scene = Scene::new();
    scene.sent();
    scene.world().chain.whims.abort = Some(210);
    scene.live("review", |w| w.state_of(ANN, 1) == IntentState::Review);
    assert_eq!(
        scene.world().intent_of(ANN, 1).reason,
        Some(Reason::UnknownFailure)
    );
}

#[test]
fn matrix_36_our_key_is_no_minter() {
    let mut scene = Scene::new();
    scene.sent();
    scene.world().chain.change(|state, _| state.minter = false);
    scene.live("held", |w| w.state_of(ANN, 1) == IntentState::Held);
    assert!(scene.world().paused(PauseCode::NotMinter));
    for _ in 0..20 {
        scene.step(60);
        scene.world().mine(1);
    }
    assert_eq!((scene.slots(), scene.world().signatures), (1, 1));
    // Set again, it goes on.
    scene.world().chain.change(|state, _| state.minter = true);
    scene.minted();
    assert_eq!(scene.slots(), 2);
}

#[test]
fn matrix_37_a_kind_that_the_contract_does_not_know() {
    let mut scene = Scene::new();
    scene.sent();
    scene.world().chain.change(|state, _| {
        state.kinds.remove(&1);
    });
    scene.live("dead", |w| w.state_of(ANN, 1) == IntentState::Dead);
    assert_eq!(
        scene.world().intent_of(ANN, 1).reason,
        Some(Reason::UnknownKind)
    );
    assert_eq!(scene.slots(), 1);
}

#[test]
fn matrix_38_stopped_by_post_conditions() {
    let mut scene = Scene::new();
    scene.sent();
    scene.world().chain.whims.post_condition = 1;
    scene.live("failed", |w| !w.db.slots[0].state.is_open());
    assert_eq!(scene.slots(), 1, "no new slot before the failure is final");
    scene.minted();
    assert_eq!(scene.slots(), 2);
    // Again and again, a person must look.
    let mut scene = Scene::new();
    scene.world().chain.whims.post_condition = 9;
    scene.live("review", |w| w.state_of(ANN, 1) == IntentState::Review);
    assert_eq!(
        scene.world().intent_of(ANN, 1).reason,
        Some(Reason::TooManyFailures)
    );
    assert_eq!(scene.slots(), 3);
}

#[test]
fn matrix_39_skipped_as_problematic() {
    let mut scene = Scene::new();
    scene.sent();
    scene.world().chain.whims.skip = 1;
    scene.live("review", |w| w.state_of(ANN, 1) == IntentState::Review);
    assert!(scene.world().paused(PauseCode::Problematic));
    assert_eq!(scene.slot().state, SlotState::Consumed, "the nonce is gone");
    scene.world().db.pauses.clear();
    scene.world().db.retry(1);
    scene.minted();
    assert_eq!(scene.slots(), 2);
}

#[test]
fn matrix_40_a_noop_in_the_mints_place() {
    let mut scene = Scene::new();
    for node in &mut scene.world().nodes {
        node.tricks = vec![super::node::Trick::Lose; 2];
    }
    scene.wait("sent", |w| w.nodes.iter().any(|n| !n.submitted.is_empty()));
    // A noop that a lost database knew.
    scene.world().foreign(Does::Noop);
    scene.wait("included", |w| w.state_of(ANN, 1) == IntentState::Included);
    assert_eq!(scene.slots(), 1, "no new slot before it is final");
    scene.live("queued", |w| !w.db.slots[0].state.is_open());
    assert!(scene.world().db.effects.is_empty());
    scene.minted();
    assert_eq!(scene.slots(), 2);
}

#[test]
fn matrix_41_orphaned_and_replayed() {
    let mut scene = Scene::new();
    let txid = scene.included();
    scene.world().include_percent = 0;
    scene.world().fork(1, 100, 1);
    scene.step(20);
    assert_eq!(scene.state(), IntentState::Submitting);
    assert_eq!(scene.slot().included, None);
    scene.minted();
    assert_eq!((scene.slots(), scene.world().signatures), (1, 1));
    assert_eq!(scene.own()[0].inclusion.txid, txid);
}

#[test]
fn matrix_42_orphaned_and_not_replayed() {
    let mut scene = Scene::new();
    scene.world().chain.deserve(BEN, 10, 45, None);
    for _ in 0..5 {
        scene.world().mine_empty(1);
    }
    scene.wait("both sent", |w| {
        w.signatures == 2 && {
            let sent: usize = w.nodes.iter().map(|n| n.submitted.len()).sum();
            sent == 2
        }
    });
    scene.world().mine(1);
    scene.step(20);
    scene.world().include_percent = 0;
    scene.world().fork(1, 0, 1);
    for node in &mut scene.world().nodes {
        node.submitted.clear();
        node.mempool.clear();
    }
    scene.wait("sent again", |w| {
        w.nodes.iter().map(|n| n.submitted.len()).sum::<usize>() == 2
    });
    {
        let world = scene.world();
        let ids: Vec<_> = world.db.slots.iter().map(|s| s.attempts[0].txid).collect();
        let sent: Vec<_> = world.nodes.iter().flat_map(|n| &n.submitted).collect();
        assert_eq!(
            sent,
            ids.iter().collect::<Vec<_>>(),
            "in the order of nonces"
        );
    }
    scene.live("both", |w| w.mints_of(ANN, 1) + w.mints_of(BEN, 1) == 2);
    assert_eq!(scene.world().signatures, 2);
}

#[test]
fn matrix_43_orphaned_and_another_attempt_of_the_slot_wins() {
    let mut scene = Scene::new();
    scene.sent();
    let older = scene.world().nodes[0].mempool[&0].clone();
    for _ in 0..10 {
        scene.step(60);
        scene.world().mine_empty(1);
    }
    assert!(scene.slot().attempts.len() > 1);
    scene.included();
    scene.world().include_percent = 0;
    scene.world().fork(1, 0, 1);
    scene.world().extend(1, vec![older.clone()]);
    scene.minted();
    assert_eq!(scene.own()[0].inclusion.txid, older.txid());
    assert_eq!(scene.slots(), 1);

    // The noop that was mined is orphaned, and the mint wins: that is what is reported.
    let mut scene = Scene::new();
    scene.sent();
    let mint = scene.world().nodes[0].mempool[&0].clone();
    scene.world().db.cancel(1, "ops");
    scene.wait("a noop", |w| {
        w.nodes
            .iter()
            .any(|n| n.mempool.values().any(|t| t.does == Does::Noop))
    });
    scene.world().nodes[0]
        .mempool
        .retain(|_, t| t.does == Does::Noop);
    scene.world().mine(1);
    scene.step(20);
    assert_eq!(scene.state(), IntentState::Included);
    scene.world().include_percent = 0;
    scene.world().fork(1, 0, 1);
    scene.world().extend(1, vec![mint]);
    scene.live("minted", |w| w.state_of(ANN, 1) == IntentState::FinalOk);
    scene.once();
    assert!(!scene.history().contains(&IntentState::Cancelled));
}

#[test]
fn matrix_44_orphaned_and_the_nonce_taken_by_a_stranger() {
    let mut scene = Scene::new();
    scene.included();
    scene.world().include_percent = 0;
    scene.world().fork(1, 0, 1);
    scene.world().foreign(Does::Other { mirrored: true });
    scene.wait("a pause", |w| w.paused(PauseCode::ForeignUse));
    assert_eq!(scene.world().signatures, 1);
    scene.live("the slot is dead", |w| {
        w.db.slots[0].state == SlotState::Dead
    });
    scene.world().db.pauses.clear();
    scene.live("minted", |w| w.state_of(ANN, 1) == IntentState::FinalOk);
    assert_eq!((scene.slots(), scene.world().signatures), (2, 2));
    assert_eq!(scene.world().mints_of(ANN, 1), 1);
}

#[test]
fn matrix_45_deeds_that_are_not_final_earn_nothing() {
    let mut scene = Scene::new();
    scene.world().chain.deserve(BEN, 10, 45, None);
    let at = scene.height();
    while scene.height() < at + FINAL {
        scene.step(20);
        let world = scene.world();
        assert!(world.db.intents.iter().all(|i| i.award.recipient != BEN));
        drop(world);
        scene.world().mine_empty(1);
    }
    scene.step(20);
    assert_eq!(scene.world().intent_of(BEN, 1).award.contract, CONTRACT);
    let id = scene.world().intent_of(BEN, 1).id;
    assert!(
        scene.world().db.evidence[&id]
            .json
            .contains("\"completed\":10")
    );
}

#[test]
fn matrix_46_no_badge_stands_on_another() {
    assert!(!SOURCE.contains("upgrade"));
    // Several kinds of one user are minted beside each other, none waiting for the other.
    let mut scene = Scene::new();
    scene.world().chain.deserve(BEN, 25, 45, Some(1_000_000));
    for _ in 0..5 {
        scene.world().mine_empty(1);
    }
    scene.wait("all in slots", |w| w.db.slots.len() == 4);
    scene.live("all", |w| {
        [1, 2, 5].iter().all(|kind| w.mints_of(BEN, *kind) == 1)
    });
}

#[test]
fn matrix_47_deeper_than_final_after_the_effect() {
    let mut scene = Scene::new();
    scene.minted();
    let txid = scene.txid();
    scene.world().include_percent = 0;
    for _ in 0..4 {
        scene.world().mine_empty(1);
    }
    let back = usize::try_from(scene.height()).unwrap() - 5;
    scene.world().fork(back, 0, 1);
    scene.wait("a pause", |w| w.paused(PauseCode::DeepReorg));
    let sent = scene.sendings();
    for _ in 0..10 {
        scene.step(120);
        scene.world().mine_empty(1);
    }
    assert_eq!((scene.sendings(), scene.world().signatures), (sent, 1));
    assert_eq!(scene.state(), IntentState::FinalOk, "nothing is rewritten");
    let kinds: Vec<_> = scene.world().db.lines.iter().map(|(l, _)| l.kind).collect();
    assert_eq!(kinds, [LineKind::Minted, LineKind::Retracted]);
    // A person compared with other nodes, and believes it: the same bytes again.
    scene.world().db.pauses.clear();
    scene.live("minted again", |w| {
        w.db.lines.len() == 3 && w.db.lines.iter().all(|(_, told)| *told)
    });
    assert_eq!(scene.world().mints_of(ANN, 1), 1);
    assert_eq!((scene.txid(), scene.world().signatures), (txid, 1));
    let mut ids = scene.world().heard.clone();
    ids.dedup();
    assert_eq!(ids.len(), 3, "each with an id of its own");
}

#[test]
fn matrix_48_the_chain_stands_still() {
    let mut scene = Scene::new();
    scene.sent();
    for _ in 0..100 {
        scene.step(3_600);
    }
    assert_eq!(scene.state(), IntentState::Submitting);
    assert_eq!(scene.slot().attempts.len(), 1, "nothing gets dearer");
    assert!(scene.world().db.pauses.is_empty());
    let done = scene.step(20).unwrap();
    assert!(!done.notes.contains(&Note::NoNode));
    scene.minted();
    assert_eq!(scene.slot().attempts[0].payload, Payload::Mint);
}
