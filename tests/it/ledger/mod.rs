//! The DAO's books, on the devnet's marketplace: whatever forks, crashes and repetitions there are, what counts is the
//! canonical chain, to the last unit.

mod api;
mod dao;
mod faces;
mod guards;
mod prover;
mod story;

use stxworx_indexer::store::ledger::{prove, read};
use stxworx_reconciler::ledger::keep;

use crate::devnet::history::History;
use crate::support::chain::Engine;
use crate::support::db::TestDb;

pub const FINALITY: u32 = 6;

/// A mirror that was fed in pieces, and booked after each.
pub async fn booked(history: &mut History, steps: u32, piece: u32) -> (TestDb, keep::Step) {
    let db = TestDb::new().await;
    let engine = Engine::start_with(&db, history.follow());
    let mut total = keep::Step::default();
    let mut left = steps;
    while left > 0 {
        let some = left.min(piece);
        history.grow(some);
        engine.feed(&db, &history.said()).await;
        let done = keep::catch_up(&db.pool, FINALITY, false).await.unwrap();
        total.booked += done.booked;
        total.posted += done.posted;
        total.voided += done.voided;
        total.reversed += done.reversed;
        total.lines += done.lines;
        left -= some;
    }
    engine.stop().await;
    (db, total)
}

/// What counts: each live booking with its block and its lines.
pub async fn live(db: &TestDb) -> String {
    let live = db
        .text(
            "select string_agg(concat_ws(' ', l.event_key, l.kind, encode(j.index_block_hash, 'hex'), j.note, p.lines),
                 E'\\n' order by l.event_key, l.kind)
             from live_event l join journal j on j.seq = l.seq
             cross join lateral (select string_agg(concat_ws(' ', account, asset, side, amount, part), ', ' order by line)
                 as lines from posting where seq = l.seq) p",
        )
        .await;
    live.unwrap_or_default()
}

/// Trial balance, hash chain, projects and holders against the mirror.
pub async fn assert_proved(db: &TestDb, history: &History) {
    let at = history.contracts();
    let holders = [at.logic.to_string(), at.security.to_string()];
    for (asset, off) in read::trial_balance(&db.pool).await.unwrap() {
        assert_eq!(off, "0", "trial balance of {asset}");
    }
    let (_, faults) = read::walk(&db.pool).await.unwrap();
    assert_eq!(faults, []);
    let sides = prove::sides(&db.pool, &holders, None).await.unwrap();
    assert_eq!(sides.unbooked, 0);
    assert_eq!(sides.locked, []);
    for held in &sides.held {
        assert_eq!(
            held.booked, held.counted,
            "{} of {}",
            held.asset, held.holder
        );
    }
}

/// What decides about the books has no clock, no I/O and no database.
#[test]
fn what_is_booked_is_decided_by_what_is_given_alone() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/reconciler/src/ledger/");
    let pure = [
        "account",
        "money",
        "booker",
        "plan",
        "rounding",
        "html",
        "export/mod",
        "export/csv",
        "export/hledger",
        "export/beancount",
    ];
    for name in pure {
        let text = std::fs::read_to_string(format!("{folder}{name}.rs")).unwrap();
        for word in [
            "tokio",
            "async fn",
            "Pool",
            "std::fs",
            "SystemTime",
            "Instant",
            "NodeReader",
            "Metrics",
        ] {
            assert!(!text.contains(word), "{name} reaches out: {word}");
        }
    }
}
