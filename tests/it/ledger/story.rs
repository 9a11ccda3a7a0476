//! From the first block to closed periods.

use std::collections::BTreeMap;

use stxworx_indexer::store::ledger::{Side, read};
use stxworx_reconciler::ledger::keep;

use super::{FINALITY, assert_proved, booked, live};
use crate::devnet::history::History;
use crate::support::chain::Engine;
use crate::support::db::TestDb;
use crate::support::run;

/// Books of a node that only ever saw the canonical chain.
async fn plain(history: &History) -> TestDb {
    let db = TestDb::new().await;
    let engine = Engine::start_with(&db, history.follow());
    let entries: Vec<_> = history.canonical_entries().collect();
    for part in entries.chunks(100) {
        engine.feed(&db, part).await;
    }
    engine.stop().await;
    keep::catch_up(&db.pool, FINALITY, false).await.unwrap();
    db
}

/// What each holder has by the books is what the model of the tip says.
async fn assert_is_the_models(db: &TestDb, history: &History) -> usize {
    let model = history.model(&history.chain.tip().header.id);
    let mut compared = 0;
    for asset in model.logic.assets.keys() {
        let name = asset.as_ref().map_or("STX".to_owned(), ToString::to_string);
        for holder in [&model.contracts.logic, &model.contracts.security] {
            let held = db
                .text(format!(
                    "select coalesce(sum(posted + pending), 0)::text from ledger_balance
                     where asset = '{name}' and account not like 'external:%' and split_part(account, ':', 2) = '{holder}'"
                ))
                .await
                .unwrap();
            assert_eq!(
                held,
                model.balance(asset, holder).to_string(),
                "{name} of {holder}"
            );
            compared += 1;
        }
        let escrow = &model.contracts.logic;
        let locked = db
            .text(format!(
                "select coalesce(sum(posted + pending), 0)::text from ledger_balance where asset = '{name}'
                 and starts_with(account, 'escrow:{escrow}:') and account not like '%:unattributed'"
            ))
            .await
            .unwrap();
        assert_eq!(locked, model.logic.locked_of(asset).to_string(), "{name}");
    }
    compared
}

#[test]
fn books_of_a_chain_of_forks_are_those_of_its_canonical_part_and_of_the_model() {
    run(async {
        let mut history = History::new(51, 160);
        let (db, total) = booked(&mut history, 160, 6).await;
        assert!(total.voided > 20, "{total:?}");
        assert!(total.posted > 100, "{total:?}");
        assert!(
            total.reversed > 0,
            "deep forks leave final blocks: {total:?}"
        );
        assert_proved(&db, &history).await;
        let compared = assert_is_the_models(&db, &history).await;
        assert!(compared >= 4);
        let noted = "select string_agg(seq || ' ' || state || ' ' || kind || ': ' || note, E'\\n') from ledger_booking
                     where note is not null and kind <> 'reversal'";
        assert_eq!(db.text(noted).await, None, "a sound chain adds up");
        let plain = plain(&history).await;
        assert_eq!(live(&db).await, live(&plain).await);
        assert_proved(&plain, &history).await;
        println!("{total:?}, {compared} balances equal to the model's");
        plain.drop().await;
        db.drop().await;
    });
}

#[test]
fn a_mirror_made_anew_and_a_watermark_set_back_book_nothing_twice() {
    run(async {
        let mut history = History::new(52, 60);
        let (db, _) = booked(&mut history, 60, 10).await;
        let (before, count) = (
            live(&db).await,
            db.number("select count from ledger_head").await,
        );
        db.sql("update ledger_progress set outbox_watermark = 0")
            .await;
        let again = keep::catch_up(&db.pool, FINALITY, true).await.unwrap();
        assert_eq!(
            (again.booked, again.voided, again.reversed),
            (0, 0, 0),
            "{again:?}"
        );
        assert_eq!(live(&db).await, before);
        assert_eq!(db.number("select count from ledger_head").await, count);
        let engine = Engine::start_with(&db, history.follow());
        let epoch = "(select writer_epoch from mirror)";
        engine.quiet(&db).await;
        engine.stop().await;
        // As `stxworx rebuild` does: everything that derives from the inbox is made again, in a new outbox.
        db.sql(format!(
            "update mirror set tip_block_id = null, inbox_watermark = 0;
             select empty_derived_tables({epoch}); update inbox set state = 0, error = null where state <> 0"
        ))
        .await;
        let engine = Engine::start_with(&db, history.follow());
        engine.quiet(&db).await;
        engine.stop().await;
        let again = keep::catch_up(&db.pool, FINALITY, true).await.unwrap();
        assert!(again.lines > 0);
        assert_eq!(
            (again.booked, again.voided, again.reversed),
            (0, 0, 0),
            "{again:?}"
        );
        assert_eq!(live(&db).await, before);
        assert_proved(&db, &history).await;
        db.drop().await;
    });
}

#[test]
fn two_bookers_at_once_and_interrupted_ones_book_once() {
    run(async {
        let mut history = History::new(53, 50);
        let db = TestDb::new().await;
        let engine = Engine::start_with(&db, history.follow());
        history.grow(50);
        engine.feed(&db, &history.said()).await;
        engine.stop().await;
        let book = || async {
            loop {
                match keep::step(&db.pool, &FINALITY.into(), false).await {
                    Ok(done) if !done.more && done.lines == 0 => return,
                    Ok(_) => {}
                    Err(error) => assert!(error.is_transient(), "{error:?}"),
                }
            }
        };
        // A step that is dropped anywhere in the middle leaves nothing behind.
        for micros in [200, 900, 3_000, 9_000, 20_000] {
            let limit = std::time::Duration::from_micros(micros);
            let rules = FINALITY.into();
            let _ = tokio::time::timeout(limit, keep::step(&db.pool, &rules, false)).await;
        }
        tokio::join!(book(), book(), book());
        assert_proved(&db, &history).await;
        let plain = plain(&history).await;
        assert_eq!(live(&db).await, live(&plain).await);
        plain.drop().await;
        db.drop().await;
    });
}

#[test]
fn every_journal_balances_and_every_prefix_does() {
    run(async {
        let mut history = History::new(54, 60);
        let (db, _) = booked(&mut history, 60, 15).await;
        let filter = read::Filter {
            limit: 1_000_000,
            ..read::Filter::default()
        };
        let booked = read::booked(&db.pool, &filter).await.unwrap();
        assert!(booked.len() > 50);
        let mut off: BTreeMap<String, stxworx_indexer::store::ledger::Net> = BTreeMap::new();
        for booking in &booked {
            for line in &booking.lines {
                off.entry(line.asset.clone())
                    .or_default()
                    .add(line.side, line.amount);
            }
            assert!(
                off.values().all(|n| n.is_zero()),
                "behind journal {}",
                booking.seq
            );
            let credits = booking.lines.iter().filter(|l| l.side == Side::Credit);
            assert!(credits.count() > 0);
        }
        db.drop().await;
    });
}
