//! Chains that are rewritten while nobody looks, while history is still being read, and between two nodes.

use std::time::Duration;

use stxworx::commands::backfill::from_source;
use stxworx::recording::Entry;
use stxworx::workload::{Block, BurnBlock};
use tokio_util::sync::CancellationToken;

use crate::forks::{assert_mirrors_only, assert_sound, burn_entries, chain, start};
use crate::support::app::{App, config};
use crate::support::chain::{
    Engine, assert_outbox_leads_here, busy, busy_branch, busy_tx, canonical_ids, entries, put,
    put_all, reorgs, tenure_extend,
};
use crate::support::db::TestDb;
use crate::support::mirror::{assert_verifies, canonical_digests, settled, tip};
use crate::support::{eventually, run};
use crate::sync::{Syncing, Told, becomes};
use crate::tools::small_chain;

/// The digests of a daemon's mirror that got everything from its node.
async fn told_everything(payloads: Vec<Entry>) -> String {
    let db = TestDb::new().await;
    let app = App::start(&db, &config(&[])).await;
    app.post(payloads, stxworx::post::Order::default()).await;
    settled(&db).await;
    app.stop().await.unwrap();
    let digests = canonical_digests(&db).await;
    db.drop().await;
    digests
}

/// Nobody tells of the new branch: the source that is asked knows no other.
#[test]
fn a_chain_rewritten_while_the_daemon_was_down_is_noticed_by_asking() {
    run(async {
        let chain = chain(61);
        let (blocks, payloads) = start(&chain, 30);
        let db = TestDb::new().await;
        let engine = Engine::start(&db);
        engine.feed(&db, &payloads).await;
        engine.stop().await;
        assert_eq!(tip(&db).await, Some(blocks[30].id()));

        let tenure = chain.burn_block(&chain.burn_tip());
        let new = busy_branch(&chain, &blocks[10], &tenure, 24);
        let now = [&blocks[..=10], &new].concat();
        let told = Told::new(&now, &[chain.first_tenure(), tenure.clone()]);
        let engine = Engine::start(&db);
        let syncing = Syncing::start(&db, Some(told), vec![]);
        eventually("the new tip", || async {
            let now = tip(&db).await;
            let there = now == new.last().map(Block::id);
            there.then_some(()).ok_or(format!("{now:?}"))
        })
        .await;
        syncing.stop().await;
        engine.quiet(&db).await;
        engine.stop().await;
        assert_eq!(reorgs(&db).await, ["stacks 20 f"]);
        assert_sound(&db).await;
        let burn = [burn_entries(&payloads), vec![tenure.entry()]].concat();
        assert_mirrors_only(&db, &now, &burn).await;
        db.drop().await;
    });
}

/// The node has posted both branches while no writer ran: the first look sees the end of it.
#[test]
fn a_chain_rewritten_while_the_daemon_was_down_is_taken_from_the_inbox() {
    run(async {
        let chain = chain(62);
        let (blocks, payloads) = start(&chain, 20);
        let db = TestDb::new().await;
        let engine = Engine::start(&db);
        engine.feed(&db, &payloads).await;
        engine.stop().await;
        let fork = chain.fork(&blocks, 12);
        put_all(&db.pool, &fork.entries).await;
        let engine = Engine::start(&db);
        engine.quiet(&db).await;
        engine.stop().await;
        assert_sound(&db).await;
        let burn = [burn_entries(&payloads), burn_entries(&fork.entries)].concat();
        assert_mirrors_only(&db, &fork.canonical, &burn).await;
        db.drop().await;
    });
}

/// Each of six forks arrives while the one before may still be under way, and the writer is killed in between.
#[test]
fn forks_that_come_faster_than_they_are_followed_end_on_the_last() {
    run(async {
        let chain = chain(63);
        let (blocks, payloads) = start(&chain, 25);
        let db = TestDb::new().await;
        let mut engine = Engine::start(&db);
        engine.feed(&db, &payloads).await;
        let (mut canonical, mut burn) = (blocks, burn_entries(&payloads));
        for (number, depth) in [1, 9, 3, 20, 1, 6].into_iter().enumerate() {
            let fork = chain.fork(&canonical, depth);
            burn.extend(burn_entries(&fork.entries));
            for entry in &fork.entries {
                put(&db.pool, entry).await;
                engine.wake.notify_one();
            }
            if number % 2 == 1 {
                engine.crash().await;
                engine = Engine::start(&db);
            }
            canonical = fork.canonical;
        }
        engine.quiet(&db).await;
        engine.stop().await;
        assert_sound(&db).await;
        assert_mirrors_only(&db, &canonical, &burn).await;
        db.drop().await;
    });
}

#[test]
fn three_hundred_blocks_fall_with_one_bitcoin_block() {
    run(async {
        let chain = chain(64);
        let (mut blocks, mut payloads) = start(&chain, 3);
        let tenure = chain.burn_block(&chain.burn_tip());
        let more = busy_branch(&chain, blocks.last().unwrap(), &tenure, 300);
        payloads.push(tenure.entry());
        payloads.extend(entries(&more));
        blocks.extend(more);
        let fork = chain.bitcoin_reorg(&blocks, 1);
        assert_eq!(fork.orphaned.len(), 300);
        let db = TestDb::new().await;
        let engine = Engine::start(&db);
        engine.feed(&db, &payloads).await;
        assert_eq!(tip(&db).await, Some(blocks[303].id()));
        engine.feed(&db, &fork.entries).await;
        engine.stop().await;
        assert_eq!(reorgs(&db).await, ["burn 300 f"]);
        assert_sound(&db).await;
        let burn = [burn_entries(&payloads), burn_entries(&fork.entries)].concat();
        assert_mirrors_only(&db, &fork.canonical, &burn).await;
        db.drop().await;
    });
}

/// The source changes its mind about blocks that a backfill has read already, far below where it is heading.
#[test]
fn history_rewritten_behind_a_running_backfill_is_followed() {
    run(async {
        let (db, small) = (TestDb::new().await, small_chain());
        let chain = &small.chain;
        let old = busy_branch(chain, &chain.root(), &chain.first_tenure(), 150);
        let tenure = chain.burn_block(&chain.burn_tip());
        let new = busy_branch(chain, &old[19], &tenure, 140);
        let all = [&[chain.root()][..], &old, &new].concat();
        let burns = [chain.first_tenure(), tenure];
        let mut payloads: Vec<Entry> = burns.iter().map(BurnBlock::entry).collect();
        payloads.extend(entries(&all));
        let expected = told_everything(payloads).await;

        let told = Told::new(&all, &burns);
        told.behaves.lock().unwrap().lags = new.len();
        let settings = config(&[("sources.repair_grace_ms", "0")]);
        let app = App::start(&db, &settings).await;
        let changing = async {
            eventually("half of the old history", || async {
                let height = db
                    .number("select coalesce(max(height), 0) from canonical")
                    .await;
                (height >= 60).then_some(()).ok_or(height.to_string())
            })
            .await;
            told.behaves.lock().unwrap().lags = 0;
        };
        let reading = async {
            let going_on = CancellationToken::new();
            // What it began under another chain it may refuse to end; then it is run again, as its message says.
            for _ in 0..5 {
                match from_source(&told, &db.url, &settings, (0, Some(125)), &going_on).await {
                    Ok(_) => return,
                    Err(error) => println!("{}", stxworx_indexer::error_chain(&error)),
                }
            }
            panic!("the backfill does not end");
        };
        tokio::join!(changing, reading);
        let syncing = Syncing::start(&db, Some(told.clone()), vec![told.clone()]);
        becomes(&db, &expected).await;
        syncing.stop().await;
        app.stop().await.unwrap();
        assert_verifies(&db).await;
        assert_outbox_leads_here(&db).await;
        db.drop().await;
    });
}

/// What a node tells again after it was set back changes nothing; what it then tells otherwise does.
#[test]
fn a_node_set_back_to_a_snapshot_tells_old_blocks_again_and_then_others() {
    run(async {
        let chain = chain(65);
        let (blocks, payloads) = start(&chain, 40);
        let db = TestDb::new().await;
        let engine = Engine::start(&db);
        engine.feed(&db, &payloads).await;
        let (before, count) = (
            canonical_digests(&db).await,
            db.number("select count(*) from block").await,
        );
        engine.feed(&db, &entries(&blocks[15..=30])).await;
        assert_eq!(canonical_digests(&db).await, before);
        assert_eq!(db.number("select count(*) from block").await, count);
        assert_eq!(reorgs(&db).await, [] as [&str; 0]);
        let tenure = chain.burn_block(&chain.burn_tip());
        let others = busy_branch(&chain, &blocks[30], &tenure, 12);
        engine.feed(&db, &[tenure.entry()]).await;
        engine.feed(&db, &entries(&others)).await;
        engine.stop().await;
        assert_sound(&db).await;
        let now = [&blocks[..=30], &others].concat();
        let burn = [burn_entries(&payloads), vec![tenure.entry()]].concat();
        assert_mirrors_only(&db, &now, &burn).await;
        db.drop().await;
    });
}

/// The second source holds a shorter branch: it is kept, and wins only when it is the better one.
#[test]
fn a_second_source_on_another_fork_wins_only_with_the_better_one() {
    run(async {
        let chain = chain(66);
        let (blocks, payloads) = start(&chain, 20);
        let others = busy_branch(&chain, &blocks[10], &chain.first_tenure(), 14);
        let now = [&blocks[..=10], &others].concat();
        let told = Told::new(&now, &[chain.first_tenure()]);
        // It is at height 16 of the other fork, against 20.
        told.behaves.lock().unwrap().lags = 8;
        let db = TestDb::new().await;
        let engine = Engine::start(&db);
        engine.feed(&db, &payloads).await;
        let syncing = Syncing::start(&db, Some(told.clone()), vec![told.clone()]);
        eventually("the other fork", || async {
            let known = db.number("select count(*) from block").await;
            engine.wake.notify_one();
            (known == 21 + 6).then_some(()).ok_or(known.to_string())
        })
        .await;
        assert_eq!(tip(&db).await, Some(blocks[20].id()));
        assert_eq!(reorgs(&db).await, [] as [&str; 0]);
        told.behaves.lock().unwrap().lags = 0;
        eventually("the better tip", || async {
            engine.wake.notify_one();
            let now = tip(&db).await;
            let there = now == others.last().map(Block::id);
            there.then_some(()).ok_or(format!("{now:?}"))
        })
        .await;
        syncing.stop().await;
        engine.quiet(&db).await;
        engine.stop().await;
        assert_sound(&db).await;
        assert_mirrors_only(&db, &now, &burn_entries(&payloads)).await;
        db.drop().await;
    });
}

/// Sortitions without a block, a block without transactions, and a tenure that goes on over later sortitions.
#[test]
fn empty_tenures_and_extended_ones_are_followed() {
    run(async {
        let chain = chain(67);
        let (mut blocks, mut payloads) = start(&chain, 2);
        for round in 0..6u32 {
            let without_blocks = chain.burn_block(&chain.burn_tip());
            let tenure = chain.burn_block(&without_blocks);
            let later = chain.burn_block(&tenure);
            let top = blocks.last().unwrap();
            let first = chain.block(top).tenure(&tenure).build();
            let extended = chain
                .block(&first)
                .tx(tenure_extend(&chain, &first, &later))
                .tx(busy_tx(&chain, round.into()))
                .build();
            let more = busy(&chain, &extended, 1).build();
            payloads.extend([&without_blocks, &tenure, &later].map(BurnBlock::entry));
            payloads.extend(entries(&[first.clone(), extended.clone(), more.clone()]));
            blocks.extend([first, extended, more]);
        }
        let db = TestDb::new().await;
        let engine = Engine::start(&db);
        engine.feed(&db, &payloads).await;
        engine.stop().await;
        let ids: Vec<_> = blocks
            .iter()
            .map(|b| hex::encode(b.index_block_hash))
            .collect();
        assert_eq!(canonical_ids(&db).await, ids);
        assert_eq!(reorgs(&db).await, [] as [&str; 0]);
        assert_sound(&db).await;
        db.drop().await;
    });
}

/// Everything that could be followed goes quiet but one poll: the observer ends, no hint comes.
#[test]
fn a_subscription_that_goes_quiet_is_made_up_for_by_asking() {
    run(async {
        let chain = chain(68);
        let (blocks, payloads) = start(&chain, 30);
        let told = Told::new(&blocks, &[chain.first_tenure()]);
        told.behaves.lock().unwrap().lags = 20;
        let db = TestDb::new().await;
        let engine = Engine::start(&db);
        // The node says so much, and then nothing.
        engine.feed(&db, &payloads[..8]).await;
        let syncing = Syncing::start(&db, Some(told.clone()), vec![]);
        for lags in (0..20).rev() {
            told.behaves.lock().unwrap().lags = lags;
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
        eventually("the tip", || async {
            engine.wake.notify_one();
            let now = tip(&db).await;
            let there = now == blocks.last().map(Block::id);
            there.then_some(()).ok_or(format!("{now:?}"))
        })
        .await;
        syncing.stop().await;
        engine.stop().await;
        assert_sound(&db).await;
        assert_mirrors_only(&db, &blocks, &burn_entries(&payloads)).await;
        db.drop().await;
    });
}
