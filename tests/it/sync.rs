//! Sources that are asked, on a real database: following, repair, backfill, and two sources that disagree.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use stxworx::commands::backfill::from_source;
use stxworx::daemon::sources;
use stxworx::recording::Entry;
use stxworx::workload::{Block, BurnBlock, SeededRng};
use stxworx_indexer::chain::{ForkTree, Node};
use stxworx_indexer::decode::{decode_block, decode_burn_block};
use stxworx_indexer::metrics::Metrics;
use stxworx_indexer::model::{BlockRef, IndexBlockHash};
use stxworx_indexer::source::http::FetchError;
use stxworx_indexer::source::pull::{Fetched, Pull, Tip};
use stxworx_indexer::source::sync::PgShelf;
use stxworx_indexer::source::sync::run::Turn;
use stxworx_indexer::store::inbox::{self, Endpoint, Provenance, Source};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::simulation::World;
use crate::support::app::{App, config};
use crate::support::chain::{Engine, busy_branch, in_state, mirror_of, put};
use crate::support::db::TestDb;
use crate::support::mirror::{assert_verifies, canonical_digests, settled};
use crate::support::{eventually, run};
use crate::tools::{metric, small_chain, status, stdout, stxworx_on, trade};

/// What a source knows of a world, and how it behaves.
#[derive(Clone)]
pub struct Told {
    blocks: Arc<Vec<(Node, Entry)>>,
    burns: Arc<Vec<Entry>>,
    pub behaves: Arc<Mutex<Behaves>>,
}

#[derive(Default)]
pub struct Behaves {
    /// So many of the blocks are not known yet.
    pub lags: usize,
    /// Every so many questions, one fails; 0 for never.
    pub fails_every: usize,
    asked: usize,
    /// Has lost its block of this height.
    pub hides: Option<u32>,
}

impl Told {
    pub fn new(blocks: &[Block], burns: &[BurnBlock]) -> Self {
        let blocks = blocks.iter().map(|b| {
            let entry = b.entry();
            let header = decode_block(&entry.body).unwrap().header;
            (Node::from(&header), entry)
        });
        Self {
            blocks: Arc::new(blocks.collect()),
            burns: Arc::new(burns.iter().map(BurnBlock::entry).collect()),
            behaves: Arc::default(),
        }
    }

    fn ask(&self, what: &str) -> Result<(ForkTree, usize), FetchError> {
        let mut behaves = self.behaves.lock().unwrap();
        behaves.asked += 1;
        if behaves.fails_every > 0 && behaves.asked.is_multiple_of(behaves.fails_every) {
            return Err(FetchError::Busy {
                what: what.to_owned(),
                status: 429,
                retry_after: None,
            });
        }
        let known = self.blocks.len().saturating_sub(behaves.lags).max(1);
        let mut tree = ForkTree::default();
        for (node, _) in &self.blocks[..known] {
            tree.insert(node.clone());
        }
        for burn in self.burns.iter() {
            tree.insert_burn_block(decode_burn_block(&burn.body).unwrap());
        }
        Ok((tree, known))
    }

    fn fetched(&self, place: usize) -> Fetched {
        let (node, entry) = &self.blocks[place];
        Fetched {
            block: node.block,
            parent: node.parent,
            body: variant(&entry.body, |_| {}),
        }
    }
}

/// The same payload in other bytes, as another source would write it; `change` may make it say otherwise.
fn variant(body: &[u8], change: impl FnOnce(&mut serde_json::Value)) -> Vec<u8> {
    let mut json: serde_json::Value = serde_json::from_slice(body).unwrap();
    change(&mut json);
    format!(" {json}").into_bytes()
}

impl Pull for Told {
    fn source(&self) -> Source {
        Source::Node
    }

    fn name(&self) -> &str {
        "http://scripted"
    }

    fn scope(&self) -> Option<[u8; 32]> {
        None
    }

    async fn tip(&self) -> Result<Tip, FetchError> {
        let (tree, _) = self.ask("the tip")?;
        Ok(Tip {
            block: tree.tip().unwrap(),
            burn_height: tree.burn_tip_height(),
        })
    }

    async fn range(&self, from: u32, to: u32) -> Result<Vec<Fetched>, FetchError> {
        let (tree, known) = self.ask("a range")?;
        let hides = self.behaves.lock().unwrap().hides;
        let canonical = (0..known).filter(|place| {
            let block = self.blocks[*place].0.block;
            Some(block.height) != hides
                && tree.is_canonical(&block.id)
                && (from..=to).contains(&block.height)
        });
        let mut found: Vec<_> = canonical.map(|place| self.fetched(place)).collect();
        found.sort_by_key(|f| f.block.height);
        Ok(found)
    }

    async fn block(&self, id: &IndexBlockHash) -> Result<Fetched, FetchError> {
        let (_, known) = self.ask("a block")?;
        let hides = self.behaves.lock().unwrap().hides;
        let place = (0..known).find(|place| {
            let block: BlockRef = self.blocks[*place].0.block;
            block.id == *id && Some(block.height) != hides
        });
        place.map(|p| self.fetched(p)).ok_or(FetchError::NotFound {
            what: id.to_string(),
        })
    }

    async fn burn_blocks(&self, from: u32, to: u32) -> Result<Vec<Vec<u8>>, FetchError> {
        let (tree, _) = self.ask("Bitcoin blocks")?;
        let mut found = Vec::new();
        for entry in self.burns.iter() {
            let burn = decode_burn_block(&entry.body).unwrap();
            let canonical = tree.burn_view().at_height(burn.height) == Some(burn.hash);
            if canonical && (from..=to).contains(&burn.height) {
                found.push((burn.height, variant(&entry.body, |_| {})));
            }
        }
        found.sort();
        Ok(found.into_iter().map(|(_, body)| body).collect())
    }
}

/// Following and repair as tasks, beside a pipeline that is somebody else's.
pub struct Syncing {
    pub metrics: Arc<Metrics>,
    stop: CancellationToken,
    tasks: JoinSet<(&'static str, Result<(), ()>)>,
    _leading: watch::Sender<Option<i64>>,
}

impl Syncing {
    pub fn start(db: &TestDb, follow: Option<Told>, repair: Vec<Told>) -> Self {
        let leading = watch::Sender::new(Some(1));
        let stop = CancellationToken::new();
        let metrics = Arc::new(Metrics::new().unwrap());
        let mut tasks = JoinSet::new();
        let shelf = PgShelf {
            pool: db.pool.clone(),
            wake: Arc::new(Notify::new()),
        };
        let turn = Turn {
            leading: leading.subscribe(),
            stop: stop.clone(),
        };
        let config = config(&[
            ("sources.poll_ms", "50"),
            ("sources.repair_grace_ms", "0"),
            ("sources.repair_rest_ms", "200"),
            ("sources.repair_attempts", "2"),
        ]);
        let hint = Arc::new(Notify::new());
        sources::start(
            (follow, repair),
            &shelf,
            &config,
            &metrics,
            &hint,
            &turn,
            &mut tasks,
        );
        Self {
            metrics,
            stop,
            tasks,
            _leading: leading,
        }
    }

    pub async fn stop(mut self) {
        self.stop.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap().1.unwrap();
        }
    }
}

pub async fn becomes(db: &TestDb, expected: &str) {
    eventually("the same canonical chain", || async {
        let now = canonical_digests(db).await;
        let detached = in_state(db, 3).await;
        if now == expected && detached == 0 {
            Ok(())
        } else {
            let lines = (now.lines().count(), expected.lines().count());
            Err(format!("{lines:?} blocks, {detached} detached"))
        }
    })
    .await;
}

/// The digests of a mirror that got everything.
pub async fn expected_of(payloads: &[Entry]) -> String {
    let reference = TestDb::new().await;
    mirror_of(&reference, payloads).await;
    let digests = canonical_digests(&reference).await;
    reference.drop().await;
    digests
}

#[test]
fn a_follower_alone_mirrors_a_world_with_forks_and_bitcoin_reorgs() {
    run(async {
        for seed in 1..4 {
            let world = World::new(seed);
            let expected = expected_of(&world.payloads).await;
            let db = TestDb::new().await;
            let told = Told::new(&world.blocks, &world.burns);
            // It begins where the world does.
            put(&db.pool, &world.payloads[0]).await;
            let engine = Engine::start(&db);
            engine.quiet(&db).await;
            told.behaves.lock().unwrap().fails_every = 7;
            told.behaves.lock().unwrap().lags = world.blocks.len();
            let syncing = Syncing::start(&db, Some(told.clone()), vec![]);
            while told.behaves.lock().unwrap().lags > 0 {
                told.behaves.lock().unwrap().lags -= 1;
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            becomes(&db, &expected).await;
            let of_node = syncing.metrics.sources.fetched.with_label_values(&["node"]);
            assert!(of_node.get() > 0);
            syncing.stop().await;
            engine.stop().await;
            assert_verifies(&db).await;
            db.drop().await;
        }
    });
}

/// Some of what the node tells is lost, late or doubled; the pipeline is killed now and then.
#[test]
fn what_the_observer_loses_is_repaired_and_nothing_is_doubled() {
    run(async {
        for seed in 11..15 {
            let world = World::new(seed);
            let expected = expected_of(&world.payloads).await;
            let mut rng = SeededRng::new(seed);
            let db = TestDb::new().await;
            let told = Told::new(&world.blocks, &world.burns);
            told.behaves.lock().unwrap().fails_every = 5;
            put(&db.pool, &world.payloads[0]).await;
            let mut engine = Engine::start(&db);
            engine.quiet(&db).await;
            let syncing = Syncing::start(&db, Some(told.clone()), vec![told.clone(), told.clone()]);
            let mut late = Vec::new();
            for entry in &world.payloads {
                match rng.index(10) {
                    0..3 => {}
                    3..5 => late.push(entry),
                    5 => {
                        put(&db.pool, entry).await;
                        put(&db.pool, entry).await;
                    }
                    _ => put(&db.pool, entry).await,
                }
                if rng.percent(30) && !late.is_empty() {
                    put(&db.pool, late.remove(rng.index(late.len()))).await;
                }
                if rng.percent(5) {
                    engine.crash().await;
                    engine = Engine::start(&db);
                }
            }
            becomes(&db, &expected).await;
            syncing.stop().await;
            engine.stop().await;
            let doubled = "select count(*) - count(distinct index_block_hash) from block";
            assert_eq!(db.number(doubled).await, 0);
            assert_eq!(
                db.number("select count(*) from source_disagreement").await,
                0,
                "the same facts in other bytes are no disagreement"
            );
            assert_verifies(&db).await;
            db.drop().await;
        }
    });
}

#[test]
fn a_gap_that_no_source_fills_is_given_up_shown_and_filled_later() {
    run(async {
        let (db, small) = (TestDb::new().await, small_chain());
        let chain = &small.chain;
        let blocks = busy_branch(chain, &chain.root(), &chain.first_tenure(), 8);
        let all = [&[chain.root()][..], &blocks].concat();
        let told = Told::new(&all, &[chain.first_tenure()]);
        told.behaves.lock().unwrap().hides = Some(4);
        let engine = Engine::start(&db);
        // Heights 3 to 6 are lost.
        for block in all[..3].iter().chain(&all[7..]) {
            put(&db.pool, &block.entry()).await;
        }
        let syncing = Syncing::start(&db, None, vec![told.clone()]);
        let sources = &syncing.metrics.sources;
        eventually("that it is given up", || async {
            let given_up = sources.repairs_given_up.get();
            (given_up > 0).then_some(()).ok_or("not yet".to_owned())
        })
        .await;
        assert_eq!(db.number("select max(height) from canonical").await, 2);
        let listed = stxworx_on(&db, &["gaps", "--output", "json"]).await;
        assert_eq!(listed.status.code(), Some(3), "{listed:?}");
        let json: serde_json::Value = serde_json::from_str(&stdout(&listed)).unwrap();
        let gap = &json["gaps"][0];
        assert_eq!(gap["missing"], all[4].id());
        assert_eq!(
            (&gap["waiting_height"], &gap["within_mirror"]),
            (&5.into(), &true.into())
        );
        assert!(gap["fetched"].as_u64().unwrap() >= 2, "{gap}");
        let error = gap["error"].as_str().unwrap_or_default();
        assert!(error.contains("http://scripted"), "{error}");
        // The state is one of these two, by whether an attempt is under way.
        let state = db
            .text("select state from repair_gap")
            .await
            .unwrap_or_default();
        assert!(state == "given_up" || state == "open", "{state}");

        told.behaves.lock().unwrap().hides = None;
        eventually("the tip", || async {
            let height = db.number("select max(height) from canonical").await;
            if height == 8 {
                Ok(())
            } else {
                Err(height.to_string())
            }
        })
        .await;
        eventually("no gap", || async {
            let open = db.number("select count(*) from repair_gap").await;
            (open == 0).then_some(()).ok_or(open.to_string())
        })
        .await;
        assert_eq!(sources.repaired.with_label_values(&["node"]).get(), 4);
        let listed = stxworx_on(&db, &["gaps"]).await;
        assert_eq!(listed.status.code(), Some(0), "{listed:?}");
        syncing.stop().await;
        engine.stop().await;
        assert_verifies(&db).await;
        db.drop().await;
    });
}

#[test]
fn a_second_telling_that_says_otherwise_is_recorded_and_changes_nothing() {
    run(async {
        let (db, small) = (TestDb::new().await, small_chain());
        let app = App::start(&db, &config(&[])).await;
        let block = trade(&small.chain, &small.blocks[0], 1).build();
        for entry in [&small.blocks[0].entry(), &block.entry()] {
            put(&db.pool, entry).await;
        }
        settled(&db).await;
        let before = canonical_digests(&db).await;
        let body = block.entry().body;
        let whole = Provenance::whole(Source::Api);
        let tell = async |body: Vec<u8>| {
            inbox::put(&db.pool, Endpoint::NewBlock, whole, &body)
                .await
                .unwrap();
            settled(&db).await;
        };
        tell(variant(&body, |json| {
            // What not every source knows.
            json["miner_txid"] = serde_json::Value::Null;
            json["tenure_height"] = serde_json::Value::Null;
        }))
        .await;
        let recorded = "select count(*) from source_disagreement";
        assert_eq!(db.number(recorded).await, 0);
        tell(variant(&body, |json| {
            let events = json["events"].as_array_mut().unwrap();
            let transfer = events.iter_mut().find(|e| {
                e["type"] == "stx_transfer_event" && e["stx_transfer_event"]["amount"] == "5"
            });
            transfer.unwrap()["stx_transfer_event"]["amount"] = "6".into();
        }))
        .await;
        assert_eq!(db.number(recorded).await, 1);
        let counted = "stxworx_source_disagreements_total{source=\"api\"}";
        assert!((metric(&app, counted).await - 1.0).abs() < 0.1);
        let sync = status(&app).await["sync"].clone();
        assert_eq!(sync["disagreements"], 1);
        let last = &sync["last_disagreements"][0];
        assert_eq!(last["index_block_hash"], block.id());
        assert_eq!(
            (&last["applied"]["source"], &last["other"]["source"]),
            (&"observer".into(), &"api".into())
        );
        let differences = last["differences"].as_str().unwrap();
        assert!(differences.ends_with("amount 5 against 6"), "{differences}");
        assert_eq!(canonical_digests(&db).await, before, "the first one stays");
        app.stop().await.unwrap();
        assert_verifies(&db).await;
        db.drop().await;
    });
}

#[test]
fn a_backfill_is_resumed_and_handed_over_to_what_the_node_tells() {
    run(async {
        let (db, small) = (TestDb::new().await, small_chain());
        let chain = &small.chain;
        let blocks = busy_branch(chain, &chain.root(), &chain.first_tenure(), 150);
        let all = [&[chain.root()][..], &blocks].concat();
        let settings = [("sources.repair_grace_ms", "0")];
        let mut entries: Vec<_> = all.iter().map(Block::entry).collect();
        entries.insert(1, chain.first_tenure().entry());
        let reference = TestDb::new().await;
        let app = App::start(&reference, &config(&settings)).await;
        app.post(entries, Default::default()).await;
        settled(&reference).await;
        app.stop().await.unwrap();
        let expected = canonical_digests(&reference).await;
        reference.drop().await;

        let told = Told::new(&all, &[chain.first_tenure()]);
        // The source reaches to where the node's telling begins, and beyond.
        told.behaves.lock().unwrap().lags = 20;
        let settings = config(&settings);
        let range = (0, Some(125));
        let stopped = CancellationToken::new();
        stopped.cancel();
        let first = from_source(&told, &db.url, &settings, range, &stopped).await;
        first.unwrap();
        let job = |what: &'static str| format!("select {what} from backfill_job");
        assert_eq!(db.text(job("state")).await.as_deref(), Some("stopped"));
        let app = App::start(&db, &settings).await;
        // The node tells of the newest blocks all the while: they wait for what is below.
        let node = async {
            for block in &all[115..] {
                put(&db.pool, &block.entry()).await;
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let going_on = CancellationToken::new();
        let backfill = from_source(&told, &db.url, &settings, range, &going_on);
        let ((), result) = tokio::join!(node, backfill);
        result.unwrap();
        becomes(&db, &expected).await;
        eventually("the end of the job", || async {
            let state = db.text(job("state")).await.unwrap();
            if state == "done" { Ok(()) } else { Err(state) }
        })
        .await;
        assert_eq!(db.number("select count(*) from backfill_job").await, 1);
        assert_eq!(db.text(job("error")).await, None);
        eventually("the state of one that follows", || async {
            let state = status(&app).await["sync"]["state"].clone();
            if state == "following" {
                Ok(())
            } else {
                Err(state.to_string())
            }
        })
        .await;
        app.stop().await.unwrap();
        assert_verifies(&db).await;
        db.drop().await;
    });
}

#[test]
fn a_backfill_of_another_network_or_beyond_the_tip_is_refused() {
    run(async {
        let (db, small) = (TestDb::new().await, small_chain());
        let chain = &small.chain;
        let blocks = busy_branch(chain, &chain.root(), &chain.first_tenure(), 5);
        let all = [&[chain.root()][..], &blocks].concat();
        let settings = config(&[]);
        let app = App::start(&db, &settings).await;
        for entry in small.entries() {
            put(&db.pool, &entry).await;
        }
        settled(&db).await;
        let cancel = CancellationToken::new();
        let refused = async |told: &Told, range| {
            let error = from_source(told, &db.url, &settings, range, &cancel).await;
            stxworx_indexer::error_chain(&error.expect_err("a refusal")).to_string()
        };
        let told = Told::new(&all, &[chain.first_tenure()]);
        let said = refused(&told, (0, Some(3))).await;
        assert!(
            said.contains("http://scripted is of another network: at height 1"),
            "{said}"
        );
        let mut same = vec![small.blocks[0].clone(), small.blocks[1].clone()];
        same.extend(small.fork.iter().cloned());
        let told = Told::new(&same, &[chain.first_tenure()]);
        let said = refused(&told, (0, Some(9))).await;
        assert_eq!(
            said,
            "height 9 lies beyond the end of http://scripted, which is at 4; take --to tip, or wait until it is there"
        );
        assert_eq!(db.number("select count(*) from backfill_job").await, 0);
        app.stop().await.unwrap();
        for (arguments, code, expected) in [
            (
                ["backfill", "--from", "9", "--to", "8", "--source", "node"],
                2,
                "--from 9 lies after --to 8",
            ),
            (
                ["backfill", "--from", "9", "--to", "tip", "--source", "api"],
                1,
                "not set up in the configuration",
            ),
            (
                ["backfill", "--from", "9", "--to", "end", "--source", "api"],
                2,
                "\"end\" is no height",
            ),
        ] {
            let output = stxworx_on(&db, &arguments).await;
            let said = crate::tools::stderr(&output);
            assert_eq!(output.status.code(), Some(code), "{said}");
            assert!(said.contains(expected), "{said}");
        }
        db.drop().await;
    });
}
