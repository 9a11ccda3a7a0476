//! What readers see: whole answers while forks switch, and new blocks soon.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value as Json;
use stxworx::post::Order;
use stxworx::workload::Block;

use crate::forks::{chain, start};
use crate::support::app::{App, config};
use crate::support::db::TestDb;
use crate::support::mirror::{assert_verifies, settled, tip};
use crate::support::run;
use crate::tools::{deliver, get, trade};

/// The block and digest for which an answer is true.
fn as_of(answer: &Json) -> (String, String) {
    let as_of = &answer["as_of"];
    let text = |name: &str| as_of[name].as_str().unwrap_or_default().to_owned();
    (text("index_block_hash"), text("digest"))
}

/// A page of the newest blocks is one branch, from the block that it is true for downwards.
fn assert_one_branch(page: &Json) {
    let (mut expected, _) = as_of(page);
    let blocks = page["data"].as_array().unwrap();
    assert!(blocks.len() > 5, "{page}");
    for block in blocks {
        assert_eq!(block["index_block_hash"], expected, "a torn page: {page}");
        expected = block["parent_index_block_hash"]
            .as_str()
            .unwrap()
            .to_owned();
    }
}

/// Reads until told to stop; returns every (block, digest) that an answer named.
async fn read(
    at: std::net::SocketAddr,
    path: &'static str,
    stop: Arc<AtomicBool>,
) -> BTreeSet<(String, String)> {
    let mut seen = BTreeSet::new();
    while !stop.load(Ordering::Relaxed) {
        let reply = get(at, path).await;
        assert_eq!(reply.status(), 200, "{path}: {}", reply.text());
        let answer = reply.json();
        if path.starts_with("/v1/blocks") {
            assert_one_branch(&answer);
        }
        seen.insert(as_of(&answer));
    }
    seen
}

#[test]
fn no_answer_is_torn_while_forks_switch() {
    run(async {
        let chain = chain(81);
        let (blocks, payloads) = start(&chain, 30);
        let db = TestDb::new().await;
        let app = App::start(&db, &config(&[])).await;
        app.post(payloads, Order::default()).await;
        settled(&db).await;
        let stop = Arc::new(AtomicBool::new(false));
        let at = app.addresses.api.unwrap();
        let paths = [
            "/v1/blocks?limit=20&order=desc",
            "/v1/blocks?limit=8&order=desc",
            "/v1/transactions?limit=20",
            "/v1/events?limit=50",
            "/v1/status",
        ];
        let readers = paths.map(|path| tokio::spawn(read(at, path, Arc::clone(&stop))));
        let mut canonical = blocks;
        for depth in [1, 12, 3, 20, 7, 15, 2, 18] {
            let fork = chain.fork(&canonical, depth);
            app.post(fork.entries, Order::default()).await;
            settled(&db).await;
            canonical = fork.canonical;
        }
        stop.store(true, Ordering::Relaxed);
        let mut seen = BTreeSet::new();
        for reader in readers {
            seen.extend(reader.await.unwrap());
        }
        let stored = db
            .text(
                "select string_agg('0x' || encode(index_block_hash, 'hex') || ' ' || encode(digest, 'hex'), E'\\n')
                 from block",
            )
            .await
            .unwrap();
        let digests: BTreeMap<_, _> = stored.lines().filter_map(|l| l.split_once(' ')).collect();
        for (block, digest) in &seen {
            let stored = digests.get(block.as_str()).expect("a block that was there");
            assert_eq!(digest.trim_start_matches("0x"), *stored, "at {block}");
        }
        println!("{} states were read while 8 forks switched", seen.len());
        assert!(seen.len() > 3, "the forks were not seen: {seen:?}");
        assert_eq!(tip(&db).await, canonical.last().map(Block::id));
        app.stop().await.unwrap();
        assert_verifies(&db).await;
        db.drop().await;
    });
}

/// Of a sorted list.
fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)]
}

/// From the beginning of its delivery until the API tells of it.
async fn latency(app: &App, block: &Block) -> Duration {
    let began = Instant::now();
    assert_eq!(deliver(app, &block.entry()).await.status(), 200);
    let path = format!("/v1/blocks/{}", block.id());
    loop {
        let reply = get(app.addresses.api.unwrap(), &path).await;
        if reply.status() == 200 && reply.json()["data"]["canonical"] == true {
            return began.elapsed();
        }
        assert!(began.elapsed() < Duration::from_secs(60), "not told of");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// A block of Stacks comes every five seconds at the most; these limits are far from what is measured.
#[test]
fn new_blocks_are_told_of_within_a_blocks_time_before_and_after_a_reorg() {
    run(async {
        let chain = chain(82);
        let (mut blocks, payloads) = start(&chain, 5);
        let db = TestDb::new().await;
        let app = App::start(&db, &config(&[])).await;
        app.post(payloads, Order::default()).await;
        for part in ["before a reorg", "after it"] {
            let mut took = Vec::new();
            for number in 0..60 {
                let block = trade(&chain, blocks.last().unwrap(), number).build();
                took.push(latency(&app, &block).await);
                blocks.push(block);
            }
            took.sort();
            let (median, slow) = (percentile(&took, 50), percentile(&took, 99));
            println!("{part}: median {median:?}, slowest of a hundred {slow:?}");
            assert!(median <= Duration::from_secs(5), "{part}: {median:?}");
            assert!(slow <= Duration::from_secs(10), "{part}: {slow:?}");
            let fork = chain.fork(&blocks, 10);
            app.post(fork.entries, Order::default()).await;
            blocks = fork.canonical;
        }
        app.stop().await.unwrap();
        assert_verifies(&db).await;
        db.drop().await;
    });
}

/// Blocks come as fast as they are taken, with forks in between. The mirror may fall behind for a moment, not for long.
#[test]
fn the_mirror_is_never_far_behind_for_long() {
    run(async {
        let chain = chain(83);
        let (mut blocks, payloads) = start(&chain, 5);
        let db = TestDb::new().await;
        let app = App::start(&db, &config(&[])).await;
        app.post(payloads, Order::default()).await;
        settled(&db).await;
        let (mut behind_since, mut longest, mut widest) = (None, Duration::ZERO, 0);
        for number in 0..150 {
            if number % 50 == 49 {
                let fork = chain.fork(&blocks, 8);
                app.post(fork.entries, Order::default()).await;
                blocks = fork.canonical;
            }
            let block = trade(&chain, blocks.last().unwrap(), number).build();
            assert_eq!(deliver(&app, &block.entry()).await.status(), 200);
            let answer = get(app.addresses.api.unwrap(), "/v1/blocks?limit=1")
                .await
                .json();
            let told = answer["as_of"]["height"].as_u64().unwrap();
            let gap = block.height.saturating_sub(told);
            widest = widest.max(gap);
            if gap > 5 {
                let since = *behind_since.get_or_insert_with(Instant::now);
                longest = longest.max(since.elapsed());
            } else {
                behind_since = None;
            }
            blocks.push(block);
        }
        settled(&db).await;
        assert_eq!(tip(&db).await, blocks.last().map(Block::id));
        println!("at most {widest} blocks behind, more than five for {longest:?}");
        assert!(longest <= Duration::from_secs(15), "{longest:?}");
        app.stop().await.unwrap();
        assert_verifies(&db).await;
        db.drop().await;
    });
}
