//! Forks of both chains, in every order in which a node may tell of them.

use stxworx::post::Order;
use stxworx::recording::Entry;
use stxworx::workload::{Block, BurnBlock, ChainBuilder, ChainOptions, Fork};

use crate::support::app::{App, config};
use crate::support::chain::{
    Engine, assert_outbox_leads_here, break_commits, busy, busy_branch, busy_tx, canonical_ids,
    commits, entries, in_state, mirror_of, put_all, reorgs, tenure_extend,
};
use crate::support::db::TestDb;
use crate::support::mirror::{assert_verifies, canonical_digests, fingerprint, settled, tip};
use crate::support::run;

pub fn chain(seed: u64) -> ChainBuilder {
    ChainBuilder::new(ChainOptions {
        seed,
        ..ChainOptions::default()
    })
}

/// Genesis and blocks on it in the first tenure, and their payloads.
pub fn start(chain: &ChainBuilder, count: usize) -> (Vec<Block>, Vec<Entry>) {
    let mut blocks = vec![chain.root()];
    blocks.extend(busy_branch(
        chain,
        &chain.root(),
        &chain.first_tenure(),
        count,
    ));
    let mut payloads = vec![chain.first_tenure().entry()];
    payloads.extend(entries(&blocks));
    (blocks, payloads)
}

/// What must hold after anything.
pub async fn assert_sound(db: &TestDb) {
    assert_eq!(in_state(db, 4).await, 0, "quarantined");
    assert_verifies(db).await;
    assert_outbox_leads_here(db).await;
}

/// The canonical chain is this, and its digests are those of a mirror that saw nothing else.
pub async fn assert_mirrors_only(db: &TestDb, canonical: &[Block], burn: &[Entry]) {
    let ids: Vec<_> = canonical
        .iter()
        .map(|b| hex::encode(b.index_block_hash))
        .collect();
    assert_eq!(canonical_ids(db).await, ids);
    let plain = TestDb::new().await;
    mirror_of(&plain, burn.iter().chain(&entries(canonical))).await;
    assert_eq!(canonical_digests(db).await, canonical_digests(&plain).await);
    plain.drop().await;
}

pub fn burn_entries(payloads: &[Entry]) -> Vec<Entry> {
    payloads
        .iter()
        .filter(|e| e.path == "/new_burn_block")
        .cloned()
        .collect()
}

/// Feeds one payload and says how long it took until the tip was another, and how much of it was commits.
async fn measure_switch(db: &TestDb, engine: &Engine, entry: &Entry) -> String {
    let before = (
        tip(db).await,
        engine.commit_seconds(),
        std::time::Instant::now(),
    );
    put_all(&db.pool, [entry]).await;
    engine.wake.notify_one();
    while tip(db).await == before.0 {
        assert!(before.2.elapsed().as_secs() < 60, "no switch");
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    let visible = before.2.elapsed().as_secs_f64() * 1000.0;
    engine.quiet(db).await;
    format!(
        "stored to visible {visible:.1} ms, commits {:.1} ms",
        (engine.commit_seconds() - before.1) * 1000.0
    )
}

/// Feeds payloads; measures the ones at these places.
async fn feed_measuring(db: &TestDb, engine: &Engine, payloads: &[Entry], switches: &[usize]) {
    let mut from = 0;
    for at in switches {
        engine.feed(db, &payloads[from..*at]).await;
        println!(
            "switch at payload {at}: {}",
            measure_switch(db, engine, &payloads[*at]).await
        );
        from = at + 1;
    }
    engine.feed(db, &payloads[from..]).await;
}

#[test]
fn five_hundred_blocks_away_and_back() {
    run(async {
        let chain = chain(500);
        let (blocks, payloads) = start(&chain, 500);
        let fork = chain.fork_and_back(&blocks, 500);
        assert_eq!(fork.announced.len(), 503);
        let db = TestDb::new().await;
        let engine = Engine::start(&db);
        engine.feed(&db, &payloads).await;
        // A tenure, B1 to B501, a tenure, A501, A502. At equal heights the later sortition wins, so
        // B500 and A501 make the switches.
        feed_measuring(&db, &engine, &fork.entries, &[500, 503]).await;
        engine.stop().await;
        assert_eq!(reorgs(&db).await, ["stacks 500 f", "stacks 501 f"]);
        assert_sound(&db).await;
        let burn = [burn_entries(&payloads), burn_entries(&fork.entries)].concat();
        assert_mirrors_only(&db, &fork.canonical, &burn).await;
        db.drop().await;
    });
}

/// Three tenures of four blocks; the payloads as a node sends them.
fn three_tenures(chain: &ChainBuilder) -> (Vec<Block>, Vec<Entry>) {
    let (mut blocks, mut payloads) = start(chain, 4);
    for _ in 0..2 {
        let tenure = chain.burn_block(&chain.burn_tip());
        let more = busy_branch(chain, blocks.last().unwrap(), &tenure, 4);
        payloads.push(tenure.entry());
        payloads.extend(entries(&more));
        blocks.extend(more);
    }
    (blocks, payloads)
}

#[test]
fn bitcoin_makes_a_lower_block_canonical() {
    run(async {
        let chain = chain(2);
        let (blocks, payloads) = three_tenures(&chain);
        let fork = chain.bitcoin_reorg(&blocks, 2);
        assert!(fork.canonical.last().unwrap().height < blocks.last().unwrap().height);
        let db = TestDb::new().await;
        let engine = Engine::start(&db);
        engine.feed(&db, &payloads).await;
        let (burn, stacks) = fork.entries.split_at(3);
        engine.feed(&db, burn).await;
        assert_eq!(
            tip(&db).await,
            Some(blocks[4].id()),
            "the last block that Bitcoin still carries"
        );
        assert_sound(&db).await;
        engine.feed(&db, stacks).await;
        assert_eq!(reorgs(&db).await, ["burn 8 f"]);
        assert_sound(&db).await;
        // What was announced again is no news.
        engine.feed(&db, &burn_entries(&payloads)).await;
        engine.stop().await;
        assert_mirrors_only(&db, &fork.canonical, &burn_entries(&fork.entries)).await;
        db.drop().await;
    });
}

#[test]
fn bitcoin_goes_back_to_where_it_was() {
    run(async {
        let chain = chain(3);
        let (blocks, payloads) = three_tenures(&chain);
        let away = chain.bitcoin_reorg(&blocks, 1);
        let mut back = blocks.last().unwrap().tenure.clone();
        let mut home = Vec::new();
        for _ in 0..2 {
            back = chain.burn_block(&back);
            home.push(back.entry());
        }
        let db = TestDb::new().await;
        let engine = Engine::start(&db);
        engine.feed(&db, payloads.iter().chain(&away.entries)).await;
        engine.feed(&db, &home).await;
        engine.stop().await;
        assert_eq!(tip(&db).await, Some(blocks.last().unwrap().id()));
        assert_eq!(reorgs(&db).await, ["burn 4 f", "burn 2 f"]);
        assert_sound(&db).await;
        assert_mirrors_only(&db, &blocks, &[]).await;
        db.drop().await;
    });
}

#[test]
fn a_tenure_that_was_extended_into_an_orphaned_view_dies_from_there() {
    run(async {
        let chain = chain(4);
        let (blocks, payloads) = start(&chain, 3);
        let view = chain.burn_block(&chain.first_tenure());
        let top = blocks.last().unwrap();
        let extended = chain
            .block(top)
            .tx(tenure_extend(&chain, top, &view))
            .tx(busy_tx(&chain, 1))
            .build();
        let more = busy(&chain, &extended, 1).build();
        let mut rivals: Vec<BurnBlock> = vec![chain.burn_block(&chain.first_tenure())];
        rivals.push(chain.burn_block(&rivals[0]));
        let db = TestDb::new().await;
        let engine = Engine::start(&db);
        engine
            .feed(
                &db,
                payloads
                    .iter()
                    .chain(&[view.entry(), extended.entry(), more.entry()]),
            )
            .await;
        assert_eq!(tip(&db).await, Some(more.id()));
        engine
            .feed(
                &db,
                &rivals.iter().map(BurnBlock::entry).collect::<Vec<_>>(),
            )
            .await;
        assert_eq!(
            tip(&db).await,
            Some(top.id()),
            "the sortition lives, the view does not"
        );
        // The same tenure extended into the view that holds now, from the block that is left.
        let again = chain
            .block(top)
            .tx(tenure_extend(&chain, top, &rivals[1]))
            .build();
        engine.feed(&db, &[again.entry()]).await;
        engine.stop().await;
        assert_eq!(tip(&db).await, Some(again.id()));
        assert_eq!(reorgs(&db).await, ["burn 2 f"]);
        assert_sound(&db).await;
        db.drop().await;
    });
}

#[test]
fn a_transaction_in_two_blocks_has_two_statuses() {
    run(async {
        let chain = chain(5);
        let (blocks, payloads) = start(&chain, 2);
        let top = blocks.last().unwrap();
        let tx = busy_tx(&chain, 7);
        let old = chain.block(top).tx(tx.clone()).build();
        let tenure = chain.burn_block(&chain.burn_tip());
        let new = chain
            .block(top)
            .tenure(&tenure)
            .tx(tx.clone().refused(117))
            .build();
        let db = TestDb::new().await;
        mirror_of(
            &db,
            payloads
                .iter()
                .chain(&[old.entry(), tenure.entry(), new.entry()]),
        )
        .await;
        let of = |block: &Block| {
            format!(
                "select concat_ws(' ', t.status, (select count(*) from event e where (e.block_id, e.tx_index) = (t.block_id, t.tx_index)))
                 from transaction t join block b on b.id = t.block_id
                 where t.txid = '\\x{}' and b.index_block_hash = '\\x{}'",
                hex::encode(tx.txid()),
                hex::encode(block.index_block_hash)
            )
        };
        assert_eq!(db.text(of(&old)).await.as_deref(), Some("success 3"));
        assert_eq!(
            db.text(of(&new)).await.as_deref(),
            Some("abort_by_response 0")
        );
        let canonical = format!(
            "select string_agg(status, ',') from canonical_transaction where txid = '\\x{}'",
            hex::encode(tx.txid())
        );
        assert_eq!(
            db.text(canonical).await.as_deref(),
            Some("abort_by_response")
        );
        assert_sound(&db).await;
        db.drop().await;
    });
}

#[test]
fn a_missing_block_arrives_fifty_blocks_late() {
    run(async {
        let chain = chain(6);
        let (blocks, payloads) = start(&chain, 60);
        // The tenure, genesis and blocks 1 to 8 come first; block 9 comes after block 60.
        let late = payloads[10].clone();
        let db = TestDb::new().await;
        let engine = Engine::start(&db);
        engine
            .feed(&db, payloads.iter().filter(|e| **e != late))
            .await;
        assert_eq!(tip(&db).await, Some(blocks[8].id()));
        assert_eq!(in_state(&db, 3).await, 51);
        assert_sound(&db).await;
        engine.feed(&db, [&late]).await;
        engine.stop().await;
        assert_eq!(in_state(&db, 3).await, 0);
        assert_eq!(reorgs(&db).await, [] as [&str; 0]);
        assert_sound(&db).await;
        assert_mirrors_only(&db, &blocks, &burn_entries(&payloads)).await;
        db.drop().await;
    });
}

#[test]
fn at_equal_height_the_later_sortition_wins_in_either_order() {
    run(async {
        let chain = chain(7);
        let (blocks, payloads) = start(&chain, 5);
        let top = blocks.last().unwrap();
        let tenures = [
            chain.burn_block(&chain.burn_tip()),
            chain.burn_block(&chain.burn_tip()),
        ];
        let rivals = [&tenures[0], &tenures[1]].map(|t| busy(&chain, top, 1).tenure(t).build());
        assert!(rivals[0].tenure.height < rivals[1].tenure.height);
        let mut seen = Vec::new();
        for order in [[0, 1], [1, 0]] {
            let db = TestDb::new().await;
            let engine = Engine::start(&db);
            engine
                .feed(
                    &db,
                    payloads
                        .iter()
                        .chain(&[tenures[0].entry(), tenures[1].entry()]),
                )
                .await;
            engine.feed(&db, [&rivals[order[0]].entry()]).await;
            engine.feed(&db, [&rivals[order[1]].entry()]).await;
            engine.stop().await;
            assert_eq!(tip(&db).await, Some(rivals[1].id()));
            assert_sound(&db).await;
            seen.push(fingerprint(&db).await);
            db.drop().await;
        }
        assert_eq!(seen[0], seen[1]);
    });
}

#[test]
fn a_final_block_that_bitcoin_leaves_is_counted_and_left() {
    run(async {
        let chain = chain(8);
        let (mut blocks, mut payloads) = start(&chain, 2);
        for _ in 0..8 {
            let tenure = chain.burn_block(&chain.burn_tip());
            let block = busy(&chain, blocks.last().unwrap(), 1)
                .tenure(&tenure)
                .build();
            payloads.extend([tenure.entry(), block.entry()]);
            blocks.push(block);
        }
        let fork = chain.bitcoin_reorg(&blocks, 7);
        let db = TestDb::new().await;
        let engine = Engine::start(&db);
        engine.feed(&db, payloads.iter().chain(&fork.entries)).await;
        assert_eq!(engine.metrics.violations(), [("CH-3".to_owned(), 1)]);
        engine.stop().await;
        assert_eq!(reorgs(&db).await, ["burn 7 t"]);
        assert_sound(&db).await;
        assert_mirrors_only(&db, &fork.canonical, &burn_entries(&fork.entries)).await;
        db.drop().await;
    });
}

#[test]
fn an_empty_genesis_first_is_replaced_by_the_full_one() {
    run(async {
        let chain = chain(9);
        let (_, payloads) = start(&chain, 6);
        let full = TestDb::new().await;
        mirror_of(&full, payloads.iter().chain([&chain.genesis_again()])).await;
        for place in [1, 5, payloads.len()] {
            let db = TestDb::new().await;
            let mut order: Vec<Entry> = payloads
                .iter()
                .filter(|e| **e != chain.root().entry())
                .cloned()
                .collect();
            order.insert(0, chain.genesis_again());
            order.insert(place, chain.root().entry());
            let engine = Engine::start(&db);
            for entry in &order {
                engine.feed(&db, [entry]).await;
            }
            engine.stop().await;
            assert_eq!(
                fingerprint(&db).await,
                fingerprint(&full).await,
                "the full one at place {place}"
            );
            assert_eq!(in_state(&db, 6).await, 1);
            assert_sound(&db).await;
            db.drop().await;
        }
        full.drop().await;
    });
}

/// Blocks of heights 3 to 9 of a chain whose lower part was never announced.
fn from_height_three(seed: u64) -> (Vec<Block>, Vec<Entry>) {
    let chain = ChainBuilder::new(ChainOptions {
        seed,
        root_height: 2,
        ..ChainOptions::default()
    });
    let blocks = busy_branch(&chain, &chain.root(), &chain.first_tenure(), 7);
    let payloads = entries(&blocks);
    (blocks, payloads)
}

#[test]
fn a_mirror_that_began_late_begins_lower_when_it_can() {
    run(async {
        let (blocks, payloads) = from_height_three(10);
        let whole = TestDb::new().await;
        mirror_of(&whole, &payloads).await;
        for late in [[1, 0], [0, 1]] {
            let db = TestDb::new().await;
            let engine = Engine::start(&db);
            engine.feed(&db, &payloads[2..]).await;
            assert_eq!(canonical_ids(&db).await.len(), 5);
            for place in late {
                engine.feed(&db, [&payloads[place]]).await;
            }
            engine.stop().await;
            let origin = db
                .text("select '0x' || encode(origin, 'hex') from mirror")
                .await;
            assert_eq!(origin, Some(blocks[0].id()), "{late:?}");
            assert_eq!(fingerprint(&db).await, fingerprint(&whole).await);
            assert_eq!(in_state(&db, 3).await, 0);
            assert_sound(&db).await;
            db.drop().await;
        }
        whole.drop().await;
    });
}

/// A small world in which everything happens: an empty genesis first, side forks with other states, a
/// late block with descendants on two branches, a Bitcoin reorg.
fn eventful(chain: &ChainBuilder) -> Vec<Entry> {
    let (mut blocks, payloads) = start(chain, 4);
    let side = busy_branch(chain, &blocks[2], &chain.burn_block(&chain.burn_tip()), 4);
    let mut order: Vec<Entry> = payloads
        .into_iter()
        .filter(|e| *e != chain.root().entry())
        .collect();
    order.insert(0, chain.genesis_again());
    order.push(chain.root().entry());
    let more = busy_branch(chain, &blocks[4], &chain.burn_block(&chain.burn_tip()), 3);
    for (a, b) in more[1..].iter().zip(&side[1..]) {
        order.extend([b.entry(), a.entry()]);
    }
    order.extend([side[0].entry(), more[0].entry(), side[3].entry()]);
    blocks.extend(more);
    let reorg: Fork = chain.bitcoin_reorg(&blocks, 1);
    order.extend(reorg.entries);
    order
}

async fn with_broken_commits(order: &[Entry], numbers: &[u64]) -> (TestDb, u64) {
    let db = TestDb::new().await;
    break_commits(&db, numbers).await;
    mirror_of(&db, order).await;
    let attempted = commits(&db).await;
    (db, attempted)
}

#[test]
fn every_commit_may_fail_once() {
    run(async {
        let chain = chain(11);
        let order = eventful(&chain);
        let (undisturbed, count) = with_broken_commits(&order, &[]).await;
        assert_sound(&undisturbed).await;
        assert_eq!(in_state(&undisturbed, 3).await, 0);
        println!("{count} commits, each of which fails once");
        let mut differing = Vec::new();
        for number in 1..=count {
            let (db, _) = with_broken_commits(&order, &[number]).await;
            if fingerprint(&db).await == fingerprint(&undisturbed).await {
                assert_sound(&db).await;
            } else {
                differing.push((number, in_state(&db, 2).await, in_state(&db, 3).await));
            }
            db.drop().await;
        }
        assert_eq!(
            differing,
            [],
            "(failed commit, duplicates, detached) with another outcome"
        );
        undisturbed.drop().await;
    });
}

#[test]
fn a_branch_out_of_history_that_memory_no_longer_holds() {
    run(async {
        let chain = chain(12);
        let trunk = {
            let mut blocks = vec![chain.root()];
            blocks.extend(chain.branch(&chain.root(), &chain.first_tenure(), 4300));
            blocks
        };
        let tenure = chain.burn_block(&chain.burn_tip());
        let branch = chain.branch(&trunk[100], &tenure, 4202);
        let (losing, winning) = branch.split_at(4190);
        let db = TestDb::new().await;
        put_all(&db.pool, &entries(&trunk)).await;
        put_all(&db.pool, &[tenure.entry()]).await;
        put_all(&db.pool, &entries(losing)).await;
        let engine = Engine::start(&db);
        engine.quiet(&db).await;
        // What the window leaves out is known only after a restart.
        engine.stop().await;
        assert_eq!(tip(&db).await, Some(trunk.last().unwrap().id()));
        let engine = Engine::start(&db);
        engine.feed(&db, &entries(winning)).await;
        engine.stop().await;
        assert_eq!(tip(&db).await, Some(branch.last().unwrap().id()));
        assert_eq!(reorgs(&db).await, ["stacks 4200 f"]);
        let expected: Vec<_> = trunk[..=100]
            .iter()
            .chain(&branch)
            .map(|b| hex::encode(b.index_block_hash))
            .collect();
        assert!(
            canonical_ids(&db).await == expected,
            "the canonical chain is another"
        );
        assert_outbox_leads_here(&db).await;
        db.drop().await;
    });
}

#[test]
fn a_height_that_does_not_follow_the_parents_is_quarantined() {
    run(async {
        let db = TestDb::new().await;
        let app = App::start(&db, &config(&[])).await;
        let builder = ChainBuilder::new(ChainOptions::default());
        let first = builder.block(&builder.root()).build();
        let wrong = builder
            .block(&first)
            .field("block_height", serde_json::json!(first.height + 7))
            .build();
        app.post(vec![first.entry(), wrong.entry()], Order::default())
            .await;
        settled(&db).await;
        let error = db.text("select error from inbox where state = 4").await;
        let expected = format!(
            "block {} says height {}, but its parent has {}",
            wrong.id(),
            first.height + 7,
            first.height
        );
        assert_eq!(error, Some(expected));
        assert_eq!(tip(&db).await, Some(first.id()));
        app.stop().await.unwrap();
        db.drop().await;
    });
}
