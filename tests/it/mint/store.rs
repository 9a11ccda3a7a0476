//! What the mints remember, in PostgreSQL, and what they see of the mirror.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;
use sha2::{Digest as _, Sha256};
use stxworx_indexer::model::{IndexBlockHash, TxId};
use stxworx_reconciler::mint::policy::Policy;
use stxworx_reconciler::mint::ports::{
    Adopted, AdoptedTx, Effect, Lease, Mirror as _, Move, NewAttempt, PortError, SlotEnd,
    Store as _, Wrote,
};
use stxworx_reconciler::mint::postgres::{PgMirror, PgStore};
use stxworx_reconciler::mint::types::{
    Answer, AwardKey, Evidence, Inclusion, IntentId, IntentState, LaneId, Line, LineKind, Meaning,
    PauseCode, Payload, Reason, Scope, Signed, SlotState, Verdict, Wanted,
};

use crate::devnet::history::History;
use crate::support::chain::Engine;
use crate::support::db::TestDb;
use crate::support::run;

const FINAL_AFTER: u32 = 6;
const TTL: Duration = Duration::from_secs(60);

fn lane() -> LaneId {
    LaneId {
        contract: "ST2.freelance-badges".into(),
        sender: "ST1".into(),
    }
}

fn evidence() -> Evidence {
    let json = "{\"v\":1}".to_owned();
    let hash = Sha256::digest(&json).into();
    Evidence { json, hash }
}

fn policy() -> Policy {
    Policy {
        fee_cap: 10_000,
        ..Policy::careful("")
    }
}

/// A store with an open lane whose first nonce is 7.
async fn opened(db: &TestDb) -> (PgStore, i64) {
    let store = PgStore::new(db.pool.clone(), FINAL_AFTER, &policy());
    let lease = store.lease(&lane(), "a", TTL).await.unwrap();
    let Lease::Taken { epoch } = lease else {
        panic!("{lease:?}")
    };
    assert_eq!(
        store.open_lane(&lane(), epoch, 7).await.unwrap(),
        Wrote::Done(())
    );
    (store, epoch)
}

async fn awarded(store: &PgStore, epoch: i64, kind: u64, state: IntentState) -> IntentId {
    let award = AwardKey {
        contract: lane().contract,
        recipient: "ST3".into(),
        kind,
        seq: 1,
    };
    let done = store
        .upsert_award(&lane(), epoch, &award, &evidence(), state)
        .await;
    match done.unwrap() {
        Wrote::Done(id) => id,
        other => panic!("{other:?}"),
    }
}

fn attempt(txid: u8, nonce: u64, payload: Payload, fee: u64) -> NewAttempt {
    NewAttempt {
        nonce,
        payload,
        fee,
        signed: Signed {
            txid: TxId([txid; 32]),
            bytes: vec![txid; 9],
        },
        height: 40,
    }
}

fn included(txid: u8, verdict: Verdict) -> Inclusion {
    Inclusion {
        txid: TxId([txid; 32]),
        block: IndexBlockHash([0xB0; 32]),
        height: 41,
        burn_height: 50,
        verdict,
    }
}

fn to(intent: IntentId, from: IntentState, to: IntentState) -> Move {
    Move {
        intent,
        from,
        to,
        reason: None,
        note: "a test".into(),
        failed: false,
    }
}

fn effect(intent: IntentId, round: u32) -> Effect {
    Effect {
        line: Line {
            id: format!("mint-{intent}-{round}"),
            kind: LineKind::Minted,
            intent,
            body: json!({ "badge": 3 }),
        },
        txid: Some(TxId([0xA1; 32])),
        badge: Some(3),
    }
}

/// Bitcoin is known up to this height.
async fn bitcoin(db: &TestDb, height: u32) {
    db.sql(format!(
        "insert into burn_block (hash, height, inbox_id) values (sha256('{height}'), {height}, 1)"
    ))
    .await;
}

#[test]
fn parallel_reservations_leave_no_hole_and_pass_no_limit() {
    run(async {
        let db = TestDb::new().await;
        let (store, epoch) = opened(&db).await;
        let mut intents = Vec::new();
        for kind in 0..26 {
            intents.push(awarded(&store, epoch, kind, IntentState::Queued).await);
        }
        // Each of these is rolled back: what is held is not reserved for.
        for kind in 26..40 {
            intents.push(awarded(&store, epoch, kind, IntentState::Held).await);
        }
        intents.rotate_left(13);
        let tasks = intents.iter().map(|intent| {
            let (store, intent) = (store.clone(), *intent);
            tokio::spawn(async move { store.reserve(&lane(), epoch, intent, 20).await.unwrap() })
        });
        let mut nonces = BTreeSet::new();
        let mut stale = 0;
        for done in futures::future::join_all(tasks).await {
            match done.unwrap() {
                Wrote::Done(nonce) => assert!(nonces.insert(nonce), "{nonce} twice"),
                Wrote::Stale => stale += 1,
                Wrote::Lost => panic!("nobody took the lease"),
            }
        }
        assert_eq!(
            nonces,
            (7..27).collect(),
            "contiguous, and no more than twenty"
        );
        assert_eq!(stale, 20);
        let book = store.book(&lane()).await.unwrap();
        assert_eq!((book.next_nonce, book.slots.len()), (27, 20));
        assert_eq!((book.used.mints_per_hour, book.used.fees_per_day), (20, 0));
        assert_eq!(book.used.mints_per_recipient, [("ST3".to_owned(), 20)]);
        db.drop().await;
    });
}

#[test]
fn a_holder_whose_lease_was_taken_writes_nothing() {
    run(async {
        let db = TestDb::new().await;
        let (store, epoch) = opened(&db).await;
        let queued = awarded(&store, epoch, 1, IntentState::Queued).await;
        let signed = awarded(&store, epoch, 2, IntentState::Queued).await;
        assert_eq!(
            store.reserve(&lane(), epoch, signed, 20).await.unwrap(),
            Wrote::Done(7)
        );
        let held = store.lease(&lane(), "b", TTL).await.unwrap();
        assert_eq!(held, Lease::Held { holder: "a".into() });
        assert_eq!(
            store.lease(&lane(), "a", TTL).await.unwrap(),
            Lease::Taken { epoch }
        );
        store.release(&lane(), "a", epoch).await.unwrap();
        let taken = store.lease(&lane(), "b", TTL).await.unwrap();
        assert_eq!(taken, Lease::Taken { epoch: epoch + 1 });
        let image = "(select string_agg(l::text, ',') from mint_lane l) || (select string_agg(s::text, ',') from nonce_slot s)
            || (select string_agg(i::text, ',' order by id) from mint_intent i) || (select count(*) from tx_attempt)";
        let before = db.text(format!("select {image}")).await;
        let (l, bytes) = (lane(), attempt(1, 7, Payload::Mint, 100));
        let step = to(queued, IntentState::Queued, IntentState::Held);
        assert_eq!(
            store.reserve(&l, epoch, queued, 20).await.unwrap(),
            Wrote::Lost
        );
        assert_eq!(
            store.record_attempt(&l, epoch, &bytes).await.unwrap(),
            Wrote::Lost
        );
        assert_eq!(
            store.move_intent(&l, epoch, &step).await.unwrap(),
            Wrote::Lost
        );
        assert_eq!(
            store.observe(&l, epoch, 7, None).await.unwrap(),
            Wrote::Lost
        );
        assert_eq!(store.reopen(&l, epoch, 7).await.unwrap(), Wrote::Lost);
        assert_eq!(
            store.note_unexplained(&l, epoch, true).await.unwrap(),
            Wrote::Lost
        );
        assert_eq!(db.text(format!("select {image}")).await, before);
        let other = LaneId {
            contract: "ST9.freelance-badges".into(),
            ..lane()
        };
        let elsewhere = store.lease(&other, "b", TTL).await.unwrap_err();
        assert!(
            matches!(elsewhere, PortError::Unusable { .. }),
            "{elsewhere}"
        );
        db.drop().await;
    });
}

#[test]
fn a_pause_stops_what_was_planned_before_it() {
    run(async {
        let db = TestDb::new().await;
        let (store, epoch) = opened(&db).await;
        let l = lane();
        let slotted = awarded(&store, epoch, 1, IntentState::Queued).await;
        let queued = awarded(&store, epoch, 2, IntentState::Queued).await;
        let nonce = store.reserve(&l, epoch, slotted, 20).await.unwrap();
        assert_eq!(nonce, Wrote::Done(7));
        let bytes = attempt(0xA1, 7, Payload::Mint, 100);
        for scope in [
            Scope::Global,
            Scope::Contract {
                contract: l.contract.clone(),
            },
            Scope::Lane(l.clone()),
        ] {
            store
                .pause(&scope, PauseCode::Manual, "", "ann")
                .await
                .unwrap();
            let signed = store.record_attempt(&l, epoch, &bytes).await.unwrap();
            assert_eq!(signed, Wrote::Stale, "{scope:?}");
            let reserved = store.reserve(&l, epoch, queued, 20).await.unwrap();
            assert_eq!(reserved, Wrote::Stale, "{scope:?}");
            store
                .resume(&scope, PauseCode::Manual, "ann")
                .await
                .unwrap();
        }
        assert_eq!(db.number("select count(*) from tx_attempt").await, 0);
        // For want of budget nothing begins; what is kept for the head of the line may be spent.
        let lane = Scope::Lane(l.clone());
        store
            .pause(&lane, PauseCode::FeeBudget, "", "minter")
            .await
            .unwrap();
        let reserved = store.reserve(&l, epoch, queued, 20).await.unwrap();
        assert_eq!(reserved, Wrote::Stale);
        let signed = store.record_attempt(&l, epoch, &bytes).await.unwrap();
        assert_eq!(signed, Wrote::Done(()));
        db.drop().await;
    });
}

#[test]
fn the_days_fees_stay_within_the_budget_of_whoever_holds_the_lane() {
    run(async {
        let db = TestDb::new().await;
        let (store, epoch) = opened(&db).await;
        let l = lane();
        let poor = Policy {
            fee_budget_per_day: 250,
            ..policy()
        };
        let store_of = |policy| PgStore::new(db.pool.clone(), FINAL_AFTER, policy);
        for kind in 0..2 {
            let intent = awarded(&store, epoch, kind, IntentState::Queued).await;
            store.reserve(&l, epoch, intent, 20).await.unwrap();
        }
        let renewed = store_of(&poor).lease(&l, "a", TTL).await.unwrap();
        assert_eq!(renewed, Lease::Taken { epoch });
        let sign = async |txid, nonce, fee| {
            let new = attempt(txid, nonce, Payload::Mint, fee);
            store.record_attempt(&l, epoch, &new).await
        };
        assert_eq!(sign(0xA1, 7, 100).await.unwrap(), Wrote::Done(()));
        let past = sign(0xB1, 8, 151).await.unwrap_err();
        assert!(matches!(past, PortError::Refused { .. }), "{past}");
        assert!(past.to_string().contains("budget is 250"), "{past}");
        assert_eq!(sign(0xB1, 8, 150).await.unwrap(), Wrote::Done(()));
        let past = sign(0xA2, 7, 101).await.unwrap_err();
        assert!(matches!(past, PortError::Refused { .. }), "{past}");
        // Another one's budget holds once it has the lane.
        store.lease(&l, "a", TTL).await.unwrap();
        assert_eq!(sign(0xA2, 7, 101).await.unwrap(), Wrote::Done(()));
        let book = store.book(&l).await.unwrap();
        assert_eq!(book.used.fees_per_day, 251);
        db.drop().await;
    });
}

#[test]
fn a_mint_lives_to_its_effect_and_back_when_the_chain_leaves_what_was_final() {
    run(async {
        let db = TestDb::new().await;
        let (store, epoch) = opened(&db).await;
        let l = lane();
        let intent = awarded(&store, epoch, 1, IntentState::Queued).await;
        assert_eq!(
            awarded(&store, epoch, 1, IntentState::Held).await,
            intent,
            "it keeps what it has"
        );
        store.reserve(&l, epoch, intent, 20).await.unwrap();
        for (txid, fee) in [(0xA1, 100), (0xA2, 150)] {
            let new = attempt(txid, 7, Payload::Mint, fee);
            assert_eq!(
                store.record_attempt(&l, epoch, &new).await.unwrap(),
                Wrote::Done(())
            );
            assert_eq!(
                store.record_attempt(&l, epoch, &new).await.unwrap(),
                Wrote::Done(()),
                "again"
            );
        }
        let cheaper = attempt(0xA3, 7, Payload::Mint, 120);
        let refused = store.record_attempt(&l, epoch, &cheaper).await.unwrap_err();
        assert!(matches!(refused, PortError::Refused { .. }), "{refused}");
        let said = Answer::Unclear {
            reason: "504".into(),
        };
        store
            .record_send(&TxId([0xA1; 32]), 1, &said)
            .await
            .unwrap();
        let success = included(0xA1, Verdict::Success { badge: Some(3) });
        store.observe(&l, epoch, 7, Some(&success)).await.unwrap();
        let book = store.book(&l).await.unwrap();
        assert_eq!(book.intents[0].state, IntentState::Included);
        let slot = &book.slots[0];
        assert_eq!(
            (slot.state, slot.included.as_ref()),
            (SlotState::Live, Some(&success))
        );
        assert_eq!(slot.attempts[0].sends[0].answer, said);
        assert_eq!((slot.attempts.len(), book.used.fees_per_day), (2, 150));
        store.observe(&l, epoch, 7, None).await.unwrap();
        assert_eq!(
            store.book(&l).await.unwrap().intents[0].state,
            IntentState::Submitting
        );
        store.observe(&l, epoch, 7, Some(&success)).await.unwrap();
        // Not final: refused, whoever asks.
        bitcoin(&db, 55).await;
        let (end, last) = (
            SlotEnd::Ours(success.clone()),
            to(intent, IntentState::Included, IntentState::FinalOk),
        );
        let early = store
            .finish(&l, epoch, 7, &end, Some(&last), Some(&effect(intent, 0)))
            .await;
        assert!(matches!(early, Err(PortError::Refused { .. })), "{early:?}");
        assert_eq!(
            store.book(&l).await.unwrap().slots[0].state,
            SlotState::Live
        );
        bitcoin(&db, 56).await;
        for _ in 0..2 {
            let done = store
                .finish(&l, epoch, 7, &end, Some(&last), Some(&effect(intent, 0)))
                .await;
            assert_eq!(done.unwrap(), Wrote::Done(()));
        }
        let lines = store.untold(&l, 10).await.unwrap();
        assert_eq!(lines, [effect(intent, 0).line]);
        store.told(&lines[0].id).await.unwrap();
        assert_eq!(store.untold(&l, 10).await.unwrap(), []);
        let known = store.known(&l.contract, &["ST3".into()]).await.unwrap();
        assert_eq!(
            (known[0].state, known[0].intent),
            (IntentState::FinalOk, intent)
        );
        assert_eq!(
            store.reopen(&l, epoch, 7).await.unwrap(),
            Wrote::Stale,
            "nobody marked it"
        );
        let retraction = Line {
            id: format!("mint-{intent}-0-retracted"),
            kind: LineKind::Retracted,
            ..effect(intent, 0).line
        };
        assert_eq!(
            store
                .retract(&l, epoch, 7, Some(&retraction))
                .await
                .unwrap(),
            Wrote::Done(())
        );
        assert_eq!(
            store
                .retract(&l, epoch, 7, Some(&retraction))
                .await
                .unwrap(),
            Wrote::Stale
        );
        assert!(store.book(&l).await.unwrap().slots[0].left_final);
        assert_eq!(store.reopen(&l, epoch, 7).await.unwrap(), Wrote::Done(()));
        let book = store.book(&l).await.unwrap();
        assert_eq!(
            (book.intents[0].state, book.intents[0].retractions),
            (IntentState::Submitting, 1)
        );
        store.observe(&l, epoch, 7, Some(&success)).await.unwrap();
        let again = store
            .finish(&l, epoch, 7, &end, Some(&last), Some(&effect(intent, 1)))
            .await;
        assert_eq!(again.unwrap(), Wrote::Done(()));
        let ids: Vec<String> = store
            .untold(&l, 10)
            .await
            .unwrap()
            .into_iter()
            .map(|l| l.id)
            .collect();
        assert_eq!(ids, [retraction.id, format!("mint-{intent}-1")]);
        assert_eq!(
            db.number("select count(*) from mint_effect where taken_back_at is null")
                .await,
            1
        );
        db.drop().await;
    });
}

#[test]
fn slots_without_a_mint_are_let_go_adopted_or_lost_to_others() {
    run(async {
        let db = TestDb::new().await;
        let (store, epoch) = opened(&db).await;
        let l = lane();
        bitcoin(&db, 60).await;
        let (first, second) = (
            awarded(&store, epoch, 1, IntentState::Queued).await,
            awarded(&store, epoch, 2, IntentState::Queued).await,
        );
        store.reserve(&l, epoch, first, 20).await.unwrap();
        store.reserve(&l, epoch, second, 20).await.unwrap();
        let held = Move {
            reason: Some(Reason::NotEarned),
            ..to(first, IntentState::Submitting, IntentState::Held)
        };
        assert_eq!(
            store.let_go(&l, epoch, 7, &held).await.unwrap(),
            Wrote::Done(())
        );
        let mint = store
            .record_attempt(&l, epoch, &attempt(1, 7, Payload::Mint, 10))
            .await;
        assert!(matches!(mint, Err(PortError::Refused { .. })), "{mint:?}");
        store
            .record_attempt(&l, epoch, &attempt(1, 7, Payload::Noop, 10))
            .await
            .unwrap();
        let failed = Move {
            failed: true,
            ..to(second, IntentState::Submitting, IntentState::Queued)
        };
        let foreign = SlotEnd::Foreign {
            txid: TxId([9; 32]),
            block: IndexBlockHash([0xB0; 32]),
            height: 41,
            burn_height: 50,
        };
        let done = store
            .finish(&l, epoch, 8, &foreign, Some(&failed), None)
            .await;
        assert_eq!(done.unwrap(), Wrote::Done(()));
        let found = Adopted {
            nonce: 9,
            intent: Some(second),
            tx: Some(AdoptedTx {
                payload: Payload::Mint,
                fee: 500_000,
                signed: Signed {
                    txid: TxId([0xAD; 32]),
                    bytes: vec![1],
                },
                inclusion: included(0xAD, Verdict::Aborted { code: Some(1304) }),
            }),
        };
        let early = Adopted {
            nonce: 10,
            ..found.clone()
        };
        assert_eq!(store.adopt(&l, epoch, &early).await.unwrap(), Wrote::Stale);
        assert_eq!(
            store.adopt(&l, epoch, &found).await.unwrap(),
            Wrote::Done(())
        );
        let gone = Adopted {
            nonce: 10,
            intent: None,
            tx: None,
        };
        assert_eq!(
            store.adopt(&l, epoch, &gone).await.unwrap(),
            Wrote::Done(())
        );
        let book = store.book(&l).await.unwrap();
        let states: Vec<_> = book.slots.iter().map(|s| (s.nonce, s.state)).collect();
        let (live, dead) = (SlotState::Live, SlotState::Dead);
        assert_eq!(states, [(7, live), (8, dead), (9, live), (10, dead)]);
        assert!(book.slots[2].attempts[0].adopted);
        assert_eq!(
            book.used.fees_per_day, 10,
            "what is adopted was not spent here"
        );
        let intents: Vec<_> = book
            .intents
            .iter()
            .map(|i| (i.state, i.reason, i.failures))
            .collect();
        let held = (IntentState::Held, Some(Reason::NotEarned), 0);
        assert_eq!(intents, [held, (IntentState::Included, None, 1)]);
        store
            .pause(&Scope::Global, PauseCode::Manual, "why", "ann")
            .await
            .unwrap();
        store
            .pause(&Scope::Global, PauseCode::Manual, "again", "bob")
            .await
            .unwrap();
        let book = store.book(&l).await.unwrap();
        assert_eq!(
            (book.pauses.len(), book.pauses[0].author.as_str()),
            (1, "ann")
        );
        let third = awarded(&store, epoch, 3, IntentState::Queued).await;
        assert_eq!(
            store.reserve(&l, epoch, third, 20).await.unwrap(),
            Wrote::Stale,
            "paused"
        );
        store
            .resume(&Scope::Global, PauseCode::Manual, "ann")
            .await
            .unwrap();
        assert_eq!(
            store.reserve(&l, epoch, third, 20).await.unwrap(),
            Wrote::Done(11)
        );
        db.drop().await;
    });
}

#[test]
fn a_lane_that_began_too_high_is_lowered_with_slots_for_noops() {
    run(async {
        let db = TestDb::new().await;
        let (store, epoch) = opened(&db).await;
        let l = lane();
        assert_eq!(store.lower_base(&l, epoch, 7).await.unwrap(), Wrote::Stale);
        assert_eq!(
            store.lower_base(&l, epoch, 6).await.unwrap(),
            Wrote::Done(())
        );
        let book = store.book(&l).await.unwrap();
        let none_given_out = (Some(6), 6, 0);
        assert_eq!(
            (book.base_nonce, book.next_nonce, book.slots.len()),
            none_given_out
        );
        let intent = awarded(&store, epoch, 1, IntentState::Queued).await;
        assert_eq!(
            store.reserve(&l, epoch, intent, 20).await.unwrap(),
            Wrote::Done(6)
        );
        assert_eq!(
            store.lower_base(&l, epoch, 3).await.unwrap(),
            Wrote::Done(())
        );
        let book = store.book(&l).await.unwrap();
        let slots: Vec<_> = book.slots.iter().map(|s| (s.nonce, s.intent)).collect();
        assert_eq!(slots, [(3, None), (4, None), (5, None), (6, Some(intent))]);
        assert_eq!((book.base_nonce, book.next_nonce), (Some(3), 7));
        db.drop().await;
    });
}

#[test]
fn the_mirror_tells_of_users_kinds_badges_and_the_keys_transactions() {
    run(async {
        let mut history = History::new(71, 60);
        let db = TestDb::new().await;
        let engine = Engine::start_with(&db, history.follow());
        history.grow(60);
        engine.feed(&db, &history.said()).await;
        engine.stop().await;
        let contract = history.contracts().badges.to_string();
        // Whoever minted most by hand is taken for the key.
        let sender = db
            .text(
                "select sender from canonical_transaction where sender is not null and contract is not null
                 group by sender order by count(*) desc, sender limit 1",
            )
            .await
            .unwrap();
        let lane = LaneId { contract, sender };
        let mirror = PgMirror::new(db.pool.clone(), FINAL_AFTER);
        let wanted = |walk| Wanted {
            lane: lane.clone(),
            from_nonce: 0,
            users: Vec::new(),
            walk,
        };
        let all = mirror.look(&wanted(Some((None, 1_000)))).await.unwrap();
        let names: Vec<_> = all.kinds.iter().map(|k| k.name.as_str()).collect();
        assert_eq!(names, ["bronze", "silver", "gold", "platinum", "verified"]);
        let tip = db.number("select max(height) from canonical").await;
        assert_eq!(i64::from(all.tip.height), tip);
        assert!(
            all.tip.final_height.is_some_and(|h| h < all.tip.height),
            "{:?}",
            all.tip
        );
        assert!(
            all.people.len() > 5 && all.next.is_none(),
            "{}",
            all.people.len()
        );
        let (mut walked, mut after) = (Vec::new(), None);
        loop {
            let page = mirror.look(&wanted(Some((after, 3)))).await.unwrap();
            assert!(page.people.len() <= 3);
            walked.extend(page.people);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(walked, all.people);
        let mut held = 0;
        for person in &all.people {
            let told = db
                .text(format!(
                    "select string_agg(v.state ->> 'id', ',') from projection_current k
                     join projection_version v on v.id = k.version_id
                     where k.projection = 13 and v.state ->> 'owner' = '{}'",
                    person.user
                ))
                .await;
            let ids = told.iter().flat_map(|ids| ids.split(','));
            let told: BTreeSet<u64> = ids.map(|id| id.parse().unwrap()).collect();
            let badges = person.badges.iter().filter(|b| !b.gone);
            assert_eq!(badges.map(|b| b.id).collect::<BTreeSet<_>>(), told);
            held += told.len();
        }
        assert!(held > 0, "no badge in this history");
        assert_eq!((&all.breaks, &all.violations), (&Vec::new(), &Vec::new()));
        // A lane that is open from the first nonce on sees every transaction of its key, in order.
        let store = PgStore::new(db.pool.clone(), FINAL_AFTER, &policy());
        let Lease::Taken { epoch } = store.lease(&lane, "a", TTL).await.unwrap() else {
            panic!("somebody else has it")
        };
        store.open_lane(&lane, epoch, 0).await.unwrap();
        db.sql("update mint_lane set opened_height = 0").await;
        let own = PgMirror::new(db.pool.clone(), FINAL_AFTER)
            .look(&wanted(None))
            .await
            .unwrap()
            .own;
        let nonces: Vec<u64> = own.iter().map(|t| t.nonce).collect();
        assert_eq!(
            nonces,
            (0..u64::try_from(own.len()).unwrap()).collect::<Vec<_>>()
        );
        assert!(own.len() > 3, "{}", own.len());
        assert!(
            own.iter()
                .all(|t| t.meaning == Meaning::Other || matches!(t.meaning, Meaning::Mint { .. }))
        );
        assert!(
            own.iter()
                .any(|t| matches!(t.inclusion.verdict, Verdict::Success { .. }))
        );
        db.drop().await;
    });
}
