//! A mirror that is filled from a Stacks API alone, and what a broken or hostile one can do to it.

mod chaos;
mod hostile;
mod story;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _};
use stxworx_indexer::metrics::Metrics;
use stxworx_indexer::model::{FollowSet, IndexBlockHash, Mirror};
use stxworx_indexer::source::api::socket::Socket;
use stxworx_indexer::source::api::{ApiConfig, ApiError, ApiSource};
use stxworx_indexer::source::http::FetchError;
use stxworx_indexer::source::pull::{BLOCKS, BURN_BLOCKS, Pull as _, RANGE};
use stxworx_indexer::store::inbox::{self, Provenance};
use tokio::sync::Notify;
use tokio_tungstenite::tungstenite::Message;
use tokio_util::sync::CancellationToken;

use crate::support::chain::{Engine, in_state, reorgs};
use crate::support::db::TestDb;
use crate::support::mirror::{assert_verifies, canonical_digests};
use crate::support::{eventually, run};
use story::{Served, Story};

fn config(urls: &[String]) -> ApiConfig {
    ApiConfig {
        urls: urls.to_vec(),
        key: Some("a key".into()),
        timeout: Duration::from_secs(10),
        concurrency: 4,
        answer_limit: 4 << 20,
    }
}

/// A mirror and the source that fills it.
struct Filler {
    source: ApiSource,
    metrics: Arc<Metrics>,
    db: TestDb,
    engine: Engine,
    known: BTreeMap<u32, IndexBlockHash>,
}

impl Filler {
    async fn new(urls: &[String], follow: FollowSet) -> Self {
        Self::with(&config(urls), follow).await
    }

    async fn with(config: &ApiConfig, follow: FollowSet) -> Self {
        let metrics = Arc::new(Metrics::new().unwrap());
        let db = TestDb::new().await;
        Self {
            source: ApiSource::new(config, follow.clone(), Arc::clone(&metrics)).unwrap(),
            metrics,
            engine: Engine::start_with(&db, follow),
            db,
            known: BTreeMap::new(),
        }
    }

    fn from(&self) -> Provenance {
        Provenance {
            source: self.source.source(),
            scope: self.source.scope(),
        }
    }

    /// Brings the inbox to the source's tip: back to where both agree, and up from there.
    async fn catch_up(&mut self) -> Result<(), FetchError> {
        let tip = self.source.tip().await?;
        let low = tip.burn_height.saturating_sub(30);
        for body in self.source.burn_blocks(low, tip.burn_height).await? {
            let from = self.from();
            inbox::put(&self.db.pool, BURN_BLOCKS, from, &body)
                .await
                .unwrap();
        }
        let newest = self
            .known
            .last_key_value()
            .map_or(0, |(height, _)| height + 1);
        let mut from = newest.min(tip.block.height);
        while from <= tip.block.height {
            let to = tip.block.height.min(from + RANGE - 1);
            let blocks = self.source.range(from, to).await?;
            let below = from.checked_sub(1).and_then(|h| self.known.get(&h));
            if below.is_some_and(|id| *id != blocks[0].parent) {
                from = from.saturating_sub(7);
                self.known.retain(|height, _| *height < from);
                continue;
            }
            for block in blocks {
                let from = self.from();
                inbox::put(&self.db.pool, BLOCKS, from, &block.body)
                    .await
                    .unwrap();
                self.known.insert(block.block.height, block.block.id);
            }
            from = to + 1;
        }
        self.engine.wake.notify_one();
        Ok(())
    }

    /// The same, again after each failure, as an engine does.
    async fn catch_up_in_the_end(&mut self) {
        let deadline = std::time::Instant::now() + Duration::from_secs(60);
        while let Err(error) = self.catch_up().await {
            assert!(error.is_transient(), "{error}");
            assert!(std::time::Instant::now() < deadline, "{error}");
            tokio::time::sleep(error.retry_after().unwrap_or(Duration::from_millis(20))).await;
        }
        self.engine.quiet(&self.db).await;
    }

    fn requests(&self, outcome: &str) -> u64 {
        let metric = &self.metrics.api_source_requests;
        metric.with_label_values(&[outcome]).get()
    }

    fn troubles(&self, cause: &str) -> u64 {
        let metric = &self.metrics.api_source_troubles;
        metric.with_label_values(&[cause]).get()
    }

    async fn end(self) {
        self.engine.stop().await;
        assert_eq!(in_state(&self.db, 4).await, 0, "something was quarantined");
        assert_verifies(&self.db).await;
        self.db.drop().await;
    }
}

#[test]
fn a_mirror_filled_by_an_api_is_the_one_that_a_node_fills() {
    run(async {
        let mut story = Story::new(31);
        let served = Served::start(story.chain.clone()).await;
        let by_node = TestDb::new().await;
        let node = Engine::start_with(&by_node, story.follow());
        let mut by_api = Filler::new(&[served.url()], story.follow()).await;
        for round in 0..8 {
            story.grow(9);
            // So that what is left behind was there.
            by_api.catch_up().await.unwrap();
            by_api.engine.quiet(&by_api.db).await;
            match round % 4 {
                1 => story.fork(3),
                2 => story.reorg_bitcoin(),
                3 => story.fork(6),
                _ => {}
            }
            node.feed(&by_node, &story.said()).await;
            by_api.catch_up().await.unwrap();
            by_api.engine.quiet(&by_api.db).await;
            let expected = canonical_digests(&by_node).await;
            assert_eq!(
                canonical_digests(&by_api.db).await,
                expected,
                "round {round}"
            );
        }
        let kept = by_api.db.number("select count(*) from event").await;
        assert!(kept > 300, "{kept} events");
        let causes = reorgs(&by_api.db).await;
        for cause in ["stacks", "burn"] {
            assert!(causes.iter().any(|r| r.starts_with(cause)), "{causes:?}");
        }
        println!(
            "{} blocks, {kept} events, {} requests, {} reorgs",
            story.height(),
            served.asked().len(),
            causes.len()
        );
        node.stop().await;
        by_node.drop().await;
        by_api.end().await;
    });
}

/// What a late start finds is the same, however the blocks are reached: in ranges from below, one by one, from above.
#[test]
fn blocks_are_the_same_in_ranges_and_one_by_one() {
    run(async {
        let mut story = Story::new(32);
        story.grow(40);
        story.fork(4);
        let served = Served::start(story.chain.clone()).await;
        let source = |follow| {
            let metrics = Arc::new(Metrics::new().unwrap());
            ApiSource::new(&config(&[served.url()]), follow, metrics).unwrap()
        };
        let upwards = source(story.follow());
        let tip = upwards.tip().await.unwrap().block.height;
        let mut blocks = Vec::new();
        for from in (0..=tip).step_by(17) {
            let to = tip.min(from + 16);
            blocks.extend(upwards.range(from, to).await.unwrap());
        }
        let downwards = source(story.follow());
        let alone = source(story.follow());
        for block in blocks.iter().rev().step_by(3) {
            let height = block.block.height;
            let one = downwards.range(height, height).await.unwrap();
            assert_eq!(one, std::slice::from_ref(block), "height {height}");
            assert_eq!(alone.block(&block.block.id).await.unwrap(), *block);
        }
        // A block that was left is not there, and neither is one that never was.
        let orphan = IndexBlockHash([9; 32]);
        let error = alone.block(&orphan).await.unwrap_err();
        assert!(matches!(error, FetchError::NotFound { .. }), "{error}");
        let error = alone.range(tip, tip + 1).await.unwrap_err();
        assert!(matches!(error, FetchError::NotFound { .. }), "{error}");
        let error = alone.range(3, 2).await.unwrap_err();
        assert!(error.to_string().contains("lowest first"), "{error}");
    });
}

#[test]
fn bitcoin_blocks_are_found_anywhere_in_a_list_with_gaps() {
    run(async {
        let mut story = Story::new(33);
        for n in 0..90 {
            // Gaps of every width, and two wide ones.
            story.burn(if n % 40 == 39 { 300 } else { 1 + n % 3 });
            story.mine();
        }
        let served = Served::start(story.chain.clone()).await;
        let metrics = Arc::new(Metrics::new().unwrap());
        let source = ApiSource::new(&config(&[served.url()]), story.follow(), metrics).unwrap();
        let mut expected = BTreeMap::new();
        for height in 1..=story.height() {
            let block = story.chain.lock().at_height(height).unwrap();
            expected.insert(
                block.header.burn.height,
                hex::encode(block.header.burn.hash),
            );
        }
        let (first, last) = (
            *expected.keys().next().unwrap(),
            *expected.keys().last().unwrap(),
        );
        for from in (first..=last).step_by(23) {
            for width in [0, 11, 80] {
                let to = from + width;
                let bodies = source.burn_blocks(from, to).await.unwrap();
                let found: Vec<(u32, String)> = bodies
                    .iter()
                    .map(|b| serde_json::from_slice::<serde_json::Value>(b).unwrap())
                    .map(|b| {
                        let height =
                            u32::try_from(b["burn_block_height"].as_u64().unwrap()).unwrap();
                        let parent = b.get("parent_burn_block_hash").and_then(|p| p.as_str());
                        let below = expected.get(&(height - 1)).map(|h| format!("0x{h}"));
                        assert_eq!(parent, below.as_deref(), "parent at {height}");
                        (
                            height,
                            b["burn_block_hash"].as_str().unwrap()[2..].to_owned(),
                        )
                    })
                    .collect();
                let wanted: Vec<_> = expected
                    .range(from..=to)
                    .map(|(h, id)| (*h, id.clone()))
                    .collect();
                assert_eq!(found, wanted, "{from} to {to}");
            }
        }
    });
}

/// Requests for a chain of this many blocks, of which each fortieth has a followed transfer, and each this many others.
async fn cost(blocks: u32, others: u32) -> (usize, usize) {
    let mut story = Story::new(34);
    let mut followed = 0;
    for n in 1..=blocks {
        if n % 5 == 1 {
            story.burn(1);
        }
        for other in 0..others {
            story.transfer(&format!("client-{}", 3 + other), "freelancer-3");
        }
        if n % 40 == 0 {
            story.transfer("client-2", "freelancer-1");
            followed += 1;
        }
        story.mine();
    }
    let served = Served::start(story.chain.clone()).await;
    let metrics = Arc::new(Metrics::new().unwrap());
    let source = ApiSource::new(&config(&[served.url()]), story.follow(), metrics).unwrap();
    let tip = source.tip().await.unwrap();
    let mut found = 0;
    for from in (1..=tip.block.height).step_by(30) {
        let to = tip.block.height.min(from + 29);
        for block in source.range(from, to).await.unwrap() {
            let body: serde_json::Value = serde_json::from_slice(&block.body).unwrap();
            found += body["transactions"].as_array().unwrap().len();
        }
    }
    assert_eq!(found, followed);
    (served.asked().len(), followed)
}

#[test]
fn the_cost_grows_with_headers_and_what_is_followed() {
    run(async {
        let blocks = 600;
        let (few, followed) = cost(blocks, 1).await;
        let (many, _) = cost(blocks, 5).await;
        println!(
            "{blocks} blocks, {followed} followed transactions: {few} requests; with five times the others: {many}"
        );
        assert_eq!(few, many, "what is not followed is paid for");
        // Headers; each transaction and its events; each of nine lists; a look at the tip per range that had contents,
        // and once for the lists; the tip, its tag, and the first place in the list of headers.
        let pages = usize::try_from(blocks / RANGE).unwrap();
        let bound = pages + 2 * followed + 9 + followed + 1 + 3;
        assert!(few <= bound, "{few} requests, more than {bound}");
    });
}

#[test]
fn a_new_block_costs_a_question_per_list() {
    run(async {
        let mut story = Story::new(35);
        story.grow(40);
        let served = Served::start(story.chain.clone()).await;
        let mut filler = Filler::new(&[served.url()], story.follow()).await;
        filler.catch_up().await.unwrap();
        served.asked();
        // Nothing happened.
        filler.catch_up().await.unwrap();
        let idle = served.asked();
        assert!(idle.len() <= 3, "{idle:#?}");
        // A block without anything that is followed: status and Bitcoin's list, header and status, the lists, the
        // tip again.
        story.mine();
        story.mine();
        served.asked();
        filler.catch_up().await.unwrap();
        let asked = served.asked();
        let lists = asked
            .iter()
            .filter(|p| p.contains("/logs") || p.contains("/principals/"));
        println!(
            "two blocks at the tip: {} requests, {} of them to lists",
            asked.len(),
            lists.count()
        );
        assert!(asked.len() <= 60, "{asked:#?}");
        filler.engine.quiet(&filler.db).await;
        filler.end().await;
    });
}

#[test]
fn everything_is_refused_with_a_way_out() {
    let metrics = Arc::new(Metrics::new().unwrap());
    let story_follow = FollowSet {
        mirror: Mirror::All,
        contracts: ["*".to_owned()].into(),
        principals: [].into(),
    };
    let urls = ["http://127.0.0.1:1".to_owned()];
    for follow in [
        story_follow.clone(),
        FollowSet {
            mirror: Mirror::Followed,
            ..story_follow
        },
    ] {
        let refused = ApiSource::new(&config(&urls), follow, Arc::clone(&metrics))
            .err()
            .unwrap();
        assert!(matches!(refused, ApiError::Everything), "{refused}");
        assert!(refused.to_string().contains("follow.mirror"), "{refused}");
    }
}

#[test]
fn the_websocket_wakes_and_is_connected_again() {
    run(async {
        let mut story = Story::new(36);
        let served = Served::start(story.chain.clone()).await;
        let address = served.address;
        let metrics = Arc::new(Metrics::new().unwrap());
        let wake = Arc::new(Notify::new());
        let cancel = CancellationToken::new();
        let socket = Socket::new(&format!("ws://{address}/extended/v1/ws"), Some("a key")).unwrap();
        let listening =
            tokio::spawn(socket.listen(Arc::clone(&wake), Arc::clone(&metrics), cancel.clone()));
        let connected = async |expected: i64| {
            eventually("the websocket", || async {
                let now = metrics.api_source_websocket.get();
                if now == expected {
                    Ok(())
                } else {
                    Err(now.to_string())
                }
            })
            .await;
        };
        connected(1).await;
        let hinted = async |story: &mut Story| {
            let before = metrics.api_source_hints.get();
            for _ in 0..600 {
                // The subscription begins a little after the connection.
                story.mine();
                let woken = tokio::time::timeout(Duration::from_millis(100), wake.notified());
                if woken.await.is_ok() {
                    break;
                }
            }
            assert!(metrics.api_source_hints.get() > before);
        };
        hinted(&mut story).await;
        cancel.cancel();
        listening.await.unwrap();
        assert_eq!(metrics.api_source_websocket.get(), 0);
    });
}

#[test]
fn a_websocket_that_is_lost_is_connected_again() {
    run(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}", listener.local_addr().unwrap());
        let metrics = Arc::new(Metrics::new().unwrap());
        let (wake, cancel) = (Arc::new(Notify::new()), CancellationToken::new());
        let socket = Socket::new(&url, None).unwrap();
        let listening = tokio::spawn(socket.listen(wake, Arc::clone(&metrics), cancel.clone()));
        // A connection that is no websocket, one that breaks off, one that talks nonsense, and one that hints.
        drop(listener.accept().await.unwrap());
        for said in [
            "",
            "nonsense",
            r#"{"jsonrpc":"2.0","method":"block","params":{}}"#,
        ] {
            let (stream, _) = listener.accept().await.unwrap();
            let mut served = tokio_tungstenite::accept_async(stream).await.unwrap();
            let subscription = served.next().await.unwrap().unwrap();
            assert!(subscription.to_text().unwrap().contains("subscribe"));
            served.send(Message::text(said)).await.unwrap();
        }
        eventually("the hint", || async {
            let hints = metrics.api_source_hints.get();
            if hints == 1 {
                Ok(())
            } else {
                Err(hints.to_string())
            }
        })
        .await;
        cancel.cancel();
        listening.await.unwrap();
        let lost = metrics
            .api_source_troubles
            .with_label_values(&["websocket"])
            .get();
        assert!(lost >= 3, "{lost}");
    });
}
