//! Rows 49 to 62: operators, and what is below.

use super::chain::{Does, TREASURY};
use super::memory::Memory;
use super::scene::{ANN, BEN, Scene, policy};
use super::world::{World, honest, now, pass};
use crate::mint::plan::Note;
use crate::mint::policy::Policy;
use crate::mint::ports::{NewAttempt, Wrote};
use crate::mint::types::{Answer, IntentState, PauseCode, Payload, Reason, Signed, SlotState};

#[test]
fn matrix_49_two_processes() {
    let mut scene = Scene::new();
    let mut second = honest(&scene.world, 77, &scene.policy);
    scene.wait("signed", |w| w.signatures == 1);
    assert!(pass(&mut second).unwrap().standby.is_some());
    // The first one's lease ends, and the second one takes over.
    scene.world().db.now_s += 91;
    let done = pass(&mut second).unwrap();
    assert!(done.standby.is_none());
    let mut world = scene.world();
    assert_eq!(world.db.epoch, 2);
    let before = world.db.slots.clone();
    assert_eq!(world.db.reserve(1, 1, 20).unwrap(), Wrote::Lost);
    let attempt = NewAttempt {
        nonce: 0,
        payload: Payload::Mint,
        fee: 400_000,
        signed: Signed {
            txid: before[0].attempts[0].txid,
            bytes: vec![1],
        },
        height: 1,
    };
    assert_eq!(world.db.record_attempt(1, &attempt).unwrap(), Wrote::Lost);
    assert_eq!(world.db.slots, before, "0 rows");
    // Both may send what is stored; what the node said is kept from either.
    let txid = before[0].attempts[0].txid;
    world.db.record_send(&txid, 0, &Answer::Accepted);
    drop(world);
    assert!(pass(&mut scene.daemon).unwrap().standby.is_some());
    for _ in 0..20 {
        let _ = pass(&mut second);
        scene.world().mine(1);
        scene.world().db.now_s += 20;
    }
    assert_eq!(scene.world().mints_of(ANN, 1), 1);
}

#[test]
fn matrix_50_a_process_that_slept_through_its_lease() {
    for call in ["reserve", "record_attempt", "observe", "finish"] {
        let mut scene = Scene::new();
        scene.world().sleeps_at = Some(call);
        let mut lost = false;
        for _ in 0..30 {
            let done = pass(&mut scene.daemon);
            lost |= done.is_ok_and(|d| d.lost);
            if lost {
                break;
            }
            scene.world().mine(1);
            scene.world().db.now_s += 5;
        }
        assert!(lost, "{call}: its write touches nothing");
        scene.world().db.now_s += 100;
        scene.minted();
        assert_eq!(scene.slots(), 1, "{call}");
    }
}

#[test]
fn matrix_51_only_the_stores_clock_counts() {
    // Nothing that decides or acts reads another one.
    let sources = [
        include_str!("../plan/mod.rs"),
        include_str!("../plan/sends.rs"),
        include_str!("../plan/signs.rs"),
        include_str!("../plan/explain.rs"),
        include_str!("../plan/finals.rs"),
        include_str!("../plan/pauses.rs"),
        include_str!("../plan/awards.rs"),
        include_str!("../exec.rs"),
    ];
    for source in sources {
        assert!(!source.contains("Instant") && !source.contains("SystemTime"));
    }
    let mut scene = Scene::new();
    scene.sent();
    for _ in 0..200 {
        scene.step(0);
        scene.world().mine_empty(0);
    }
    assert_eq!((scene.sendings(), scene.slot().attempts.len()), (1, 1));
    // The store's clock goes on, once.
    scene.step(400);
    scene.step(0);
    assert_eq!(scene.slot().attempts.len(), 2);
}

/// The database as it was.
fn backup(scene: &Scene) -> Memory {
    scene.world().db.clone()
}

fn restore(scene: &mut Scene, backup: Memory) {
    let now_s = scene.world().db.now_s;
    scene.world().db = backup;
    scene.world().db.now_s = now_s;
    scene.restart();
}

#[test]
fn matrix_52_a_failover_loses_the_last_commits() {
    // The slot is there, and the attempt that was sent is lost.
    let mut scene = Scene::new();
    scene.dies("sign", super::world::When::Before);
    scene.wait("a death", |w| w.crashes == 1);
    let old = backup(&scene);
    let lost = scene.sent();
    restore(&mut scene, old);
    // What it signs now meets its own lost bytes in the mempool.
    for _ in 0..5 {
        scene.step(20);
    }
    scene.world().nodes[0]
        .mempool
        .retain(|_, t| t.txid() == lost);
    scene.world().nodes[1]
        .mempool
        .retain(|_, t| t.txid() == lost);
    scene.live("minted", |w| w.state_of(ANN, 1) == IntentState::FinalOk);
    assert_eq!(scene.world().mints_of(ANN, 1), 1);
    assert_eq!(scene.slots(), 1);
    let slot = scene.slot();
    if scene.own()[0].inclusion.txid == lost {
        assert!(slot.attempt(&lost).unwrap().adopted);
    }
    assert!(scene.world().db.pauses.is_empty());
}

#[test]
fn matrix_53_restored_from_an_old_backup() {
    let mut scene = Scene::new();
    scene.world().chain.change(|state, _| {
        state.deeds.clear();
    });
    scene.wait("a lane", |w| w.db.base.is_some());
    let old = backup(&scene);
    scene.world().chain.deserve(ANN, 10, 45, None);
    scene.minted();
    let signed = scene.world().signatures;
    restore(&mut scene, old);
    assert!(scene.world().db.slots.is_empty());
    scene.live("taken over", |w| {
        w.db.intents.iter().any(|i| i.state == IntentState::FinalOk)
    });
    assert_eq!(scene.world().db.next, 1);
    assert!(scene.slot().attempts[0].adopted);
    assert_eq!(scene.world().signatures, signed, "nothing is signed");
    assert_eq!(scene.world().mints_of(ANN, 1), 1);
    // And the next one goes on behind it.
    scene.world().chain.deserve(BEN, 10, 45, None);
    scene.live("Ben", |w| w.mints_of(BEN, 1) == 1);
    assert_eq!(scene.slot().nonce, 1);
}

#[test]
fn matrix_54_the_key_is_used_by_hand() {
    let mut scene = Scene::new();
    scene.minted();
    scene.world().foreign(Does::Other { mirrored: true });
    scene.world().chain.deserve(BEN, 10, 45, None);
    scene.wait("a pause", |w| w.paused(PauseCode::ForeignUse));
    let signed = scene.world().signatures;
    for _ in 0..20 {
        scene.step(60);
        scene.world().mine(1);
    }
    assert_eq!(scene.world().signatures, signed);
    assert_eq!(
        scene.slot().state,
        SlotState::Dead,
        "written down, once final"
    );
    scene.world().db.pauses.clear();
    scene.live("Ben", |w| w.mints_of(BEN, 1) == 1);

    // A mint by hand of what somebody earned is understood.
    let mut scene = Scene::new();
    scene.wait("queued", |w| !w.db.intents.is_empty());
    let (user, kind) = (ANN.to_owned(), 1);
    scene.world().foreign(Does::Mint { user, kind });
    scene.minted();
    assert!(scene.slot().attempts[0].adopted);
    assert_eq!(scene.world().signatures, 0, "nothing is signed here");
}

#[test]
fn matrix_55_called_off_before_anything_is_signed() {
    let mut scene = Scene::new();
    scene.dies("sign", super::world::When::Before);
    scene.wait("a death", |w| w.crashes == 1);
    scene.world().db.cancel(1, "ops");
    scene.wait("off", |w| w.state_of(ANN, 1) == IntentState::Cancelled);
    assert!(scene.slot().intent.is_none());
    scene.live("filled", |w| w.db.slots[0].state == SlotState::Consumed);
    assert_eq!(scene.slot().newest().unwrap().payload, Payload::Noop);
    assert_eq!(scene.world().mints_of(ANN, 1), 0);
}

#[test]
fn matrix_56_called_off_when_bytes_exist() {
    for mint_wins in [false, true] {
        let mut scene = Scene::new();
        scene.sent();
        let mint = scene.world().nodes[0].mempool[&0].clone();
        scene.world().db.cancel(1, "ops");
        scene.wait("a noop", |w| {
            w.nodes
                .iter()
                .any(|n| n.mempool.values().any(|t| t.does == Does::Noop))
        });
        assert!(scene.slot().newest().unwrap().fee > mint.fee);
        if mint_wins {
            scene.world().extend(1, vec![mint]);
        } else {
            scene.world().nodes[0]
                .mempool
                .retain(|_, t| t.does == Does::Noop);
            scene.world().mine(1);
        }
        scene.step(20);
        assert_eq!(
            scene.state(),
            IntentState::Included,
            "not before it is final"
        );
        scene.live("over", |w| w.state_of(ANN, 1).is_over());
        let expected = if mint_wins {
            IntentState::FinalOk
        } else {
            IntentState::Cancelled
        };
        assert_eq!(scene.state(), expected);
        assert_eq!(scene.world().mints_of(ANN, 1), usize::from(mint_wins));
    }
}

#[test]
fn matrix_57_revoked_while_ours_is_on_its_way() {
    let mut scene = Scene::with(policy(), false);
    scene.sent();
    scene.world().chain.claim(ANN, 1);
    scene.world().chain.revoke(ANN, 1);
    scene.live("dead", |w| w.state_of(ANN, 1) == IntentState::Dead);
    assert_eq!(
        scene.world().intent_of(ANN, 1).reason,
        Some(Reason::Revoked)
    );
    for _ in 0..20 {
        scene.step(60);
        scene.world().mine(1);
    }
    // The contract bars its owner for ever, so that there never is a second award.
    assert_eq!(scene.world().db.intents.len(), 1);
    assert_eq!(scene.world().intent_of(ANN, 1).award.seq, 1);
}

#[test]
fn matrix_58_an_award_is_to_an_address_and_no_platform_changes_it() {
    // What earns is an address on the chain; a platform's idea of whose wallet that is takes no part. Another address
    // with deeds of its own has an award of its own.
    let mut scene = Scene::new();
    scene.sent();
    scene.world().chain.deserve(BEN, 10, 45, None);
    scene.live("both", |w| w.mints_of(ANN, 1) + w.mints_of(BEN, 1) == 2);
    let recipients: Vec<String> = {
        let world = scene.world();
        let of = world.db.intents.iter();
        of.map(|i| i.award.recipient.clone()).collect()
    };
    assert_eq!(recipients, [ANN, BEN]);
}

#[test]
fn matrix_59_no_metadata_is_part_of_a_mint() {
    let source = include_str!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../clarity/contracts/freelance-badges.clar"
    ));
    // One address for all badges, with which the contract begins; a mint names none.
    assert!(source.contains("(define-data-var uri (string-ascii 80) FIRST-URI)"));
    assert!(source.contains("(define-public (mint (recipient principal) (kind uint))"));
    let mut scene = Scene::new();
    scene.sent();
    let does = scene.world().nodes[0].mempool[&0].does.clone();
    let (user, kind) = (ANN.to_owned(), 1);
    assert_eq!(does, Does::Mint { user, kind });
}

fn storm(world: &mut World, users: u32) {
    for user in 0..users {
        world.chain.deserve(&format!("STU{user}"), 10, 45, None);
    }
    for _ in 0..5 {
        world.mine_empty(1);
    }
}

#[test]
fn matrix_60_a_storm_of_awards() {
    let limits = Policy {
        per_hour: 7,
        approve_first: 3,
        ..policy()
    };
    let mut scene = Scene::with(limits, true);
    storm(&mut scene.world(), 500);
    let mut said = false;
    for _ in 0..20 {
        said |= scene.step(20).unwrap().notes.contains(&Note::PerHour);
        scene.world().mine(1);
    }
    // Nobody approved anything: none goes by itself.
    assert_eq!(scene.slots(), 0);
    assert_eq!(scene.world().db.intents.len(), 501);
    for id in 1..=501 {
        scene.world().db.approve(id);
    }
    for _ in 0..20 {
        said |= scene.step(20).unwrap().notes.contains(&Note::PerHour);
        scene.world().mine(1);
    }
    assert!(said);
    assert_eq!(scene.slots(), 7, "in an hour");

    // One recipient, several kinds.
    let limits = Policy {
        per_recipient_per_day: 2,
        ..policy()
    };
    let mut scene = Scene::with(limits, true);
    scene.world().chain.deserve(ANN, 25, 45, Some(1_000_000));
    for _ in 0..5 {
        scene.world().mine_empty(1);
    }
    for _ in 0..20 {
        scene.step(20);
        scene.world().mine(1);
    }
    assert_eq!((scene.slots(), scene.world().db.intents.len()), (2, 3));
}

#[test]
fn matrix_61_the_budget_for_fees_is_used_up() {
    let limits = Policy {
        fee_budget_per_day: 20_000,
        ..policy()
    };
    let mut scene = Scene::with(limits, true);
    storm(&mut scene.world(), 15);
    for _ in 0..10 {
        scene.step(20);
    }
    assert!(scene.world().paused(PauseCode::FeeBudget));
    assert_eq!(scene.slots(), 9, "18,000 of 20,000");
    // The head of the line gets dearer from what is kept for it, and never beyond the budget.
    for _ in 0..10 {
        scene.step(400);
        scene.world().mine_empty(1);
    }
    let head = scene.world().db.slots[0].clone();
    assert!(head.attempts.len() > 1);
    let used = scene.world().db.used().fees_per_day;
    assert!(used > 18_000 && used <= 20_000, "{used}");
    assert_eq!(scene.slots(), 9);
    // A day later there is a new one.
    scene.live("mined", |w| w.db.slots.iter().all(|s| !s.state.is_open()));
    scene.world().db.now_s += 86_400;
    scene.live("the rest", |w| w.db.slots.len() == 16);
    assert_eq!(scene.policy.treasury, TREASURY);
}

#[test]
fn matrix_62_a_graceful_stop() {
    let mut scene = Scene::new();
    scene.wait("signed", |w| w.signatures == 1);
    scene.world().chain.deserve(BEN, 10, 45, None);
    for _ in 0..5 {
        scene.world().mine_empty(1);
    }
    let sent = scene.sendings();
    now(scene.daemon.stop()).unwrap();
    assert_eq!(scene.sendings(), sent + 1, "what is stored is sent");
    assert_eq!((scene.slots(), scene.world().signatures), (1, 1));
    // The lease is free at once.
    let mut next = honest(&scene.world, 78, &scene.policy);
    assert!(pass(&mut next).unwrap().standby.is_none());
}

#[test]
fn what_is_unexplained_stays_so_while_every_node_is_ahead_of_the_mirror() {
    let mut scene = Scene::new();
    {
        // A node had invented nonces when the lane was opened.
        let mut world = scene.world();
        (world.db.base, world.db.next) = (Some(7), 7);
    }
    scene.step(20);
    let since = scene.world().db.unexplained_s;
    assert!(since.is_some(), "{}", scene.world().story());
    scene.world().mirror_lag = 1;
    for _ in 0..40 {
        scene.step(20);
        let world = scene.world();
        assert_eq!(world.db.unexplained_s, since, "{}", world.story());
        assert!(world.db.slots.is_empty() && world.db.pauses.is_empty());
    }
    scene.world().mirror_lag = 0;
    scene.live("the badge", |w| w.state_of(ANN, 1) == IntentState::FinalOk);
    assert_eq!(scene.world().db.base, Some(0));
}
