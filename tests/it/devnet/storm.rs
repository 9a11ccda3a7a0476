//! Reading while the chain forks all the time: no answer, and no walk over pages, mixes two forks.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value as Json;
use stxworx::post::Order;
use stxworx_clarity::rng::SeededRng;

use super::compare::{Image, JUDGED, agrees, image};
use super::history::History;
use crate::support::app::{App, config};
use crate::support::db::TestDb;
use crate::support::mirror::settled;
use crate::support::run;
use crate::tools::get;

/// What the model says after each block of each fork, by index block hash.
type Truth = HashMap<String, Image>;

/// What the readers saw.
#[derive(Debug, Default)]
struct Seen {
    /// Lists read to their end.
    lists: usize,
    /// Walks that ended because their block left the chain.
    ended: usize,
    /// Answers for a block that the client named.
    travels: usize,
    /// By block, how many answers stood on it.
    blocks: BTreeMap<String, usize>,
}

impl Seen {
    fn add(&mut self, other: Self) {
        self.lists += other.lists;
        self.ended += other.ended;
        self.travels += other.travels;
        for (block, count) in other.blocks {
            *self.blocks.entry(block).or_default() += count;
        }
    }
}

struct Reader {
    api: SocketAddr,
    truth: Arc<Truth>,
    blocks: Arc<Vec<String>>,
    rng: SeededRng,
    seen: Seen,
}

/// A list that was read: the block for which it is true, and its entities.
type List = (String, BTreeMap<String, Json>);

impl Reader {
    /// Reads a projection to its end, in pages of a few; none when the walk was ended by a fork, or nothing is there.
    async fn list(&mut self, projection: &str, at_block: Option<&str>) -> Option<List> {
        let limit = [1, 2, 3, 7, 200][self.rng.index(5)];
        let at_block = at_block.map_or(String::new(), |id| format!("&at_block={id}"));
        let (mut cursor, mut stands, mut all) = (String::new(), None::<String>, BTreeMap::new());
        loop {
            let path = format!("/v1/projections/{projection}?limit={limit}{at_block}{cursor}");
            let answer = get(self.api, &path).await;
            let body = answer.json();
            match (answer.status(), body["code"].as_str()) {
                (200, _) => {}
                (409, Some("fork_changed")) => {
                    self.seen.ended += 1;
                    return None;
                }
                // Of a block that has not come yet.
                (404, _) if !at_block.is_empty() => return None,
                // The mirror has not begun.
                (404 | 503, _) if stands.is_none() => return None,
                (status, _) => panic!("{path}: {status} {body}"),
            }
            let id = body["as_of"]["index_block_hash"].as_str()?.to_owned();
            *self.seen.blocks.entry(id.clone()).or_default() += 1;
            let before = stands.get_or_insert_with(|| id.clone());
            assert_eq!(*before, id, "one walk, two blocks: {path}");
            for row in body["data"].as_array().unwrap() {
                let entity = row["entity"].as_str().unwrap().to_owned();
                let twice = all.insert(entity, row["state"].clone());
                assert!(twice.is_none(), "{path} repeats {row}");
            }
            match body["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Some((id, all)),
            }
        }
    }

    /// The list is what the model says after the block for which the answer is true.
    fn check(&self, projection: &str, (id, list): &List) {
        let truth = self
            .truth
            .get(id)
            .unwrap_or_else(|| panic!("a block {id} that no one made"));
        let expected: BTreeMap<_, _> = truth
            .iter()
            .filter(|((name, _), _)| *name == projection)
            .map(|((_, entity), state)| (entity.clone(), state))
            .collect();
        // The chain of events of a contract begins with its first event, the model's with the contract.
        if projection != "event_chain" {
            let names = |keys: Vec<&String>| keys.into_iter().cloned().collect::<Vec<_>>();
            assert_eq!(
                names(list.keys().collect()),
                names(expected.keys().collect()),
                "{projection} as of {id}"
            );
        }
        for (entity, state) in list {
            let model = expected
                .get(entity)
                .unwrap_or_else(|| panic!("{projection} {entity} as of {id}"));
            if let Err(error) = agrees(model, state, projection) {
                panic!("{projection} {entity} as of {id}: {error}");
            }
        }
    }

    async fn read(&mut self) {
        let projection = JUDGED[self.rng.index(JUDGED.len())];
        let named = match self.rng.index(4) {
            0 => Some(self.blocks[self.rng.index(self.blocks.len())].clone()),
            _ => None,
        };
        let Some(list) = self.list(projection, named.as_deref()).await else {
            return;
        };
        if let Some(named) = named {
            assert_eq!(list.0, named, "it answers for another block than asked");
            self.seen.travels += 1;
        }
        self.check(projection, &list);
        self.seen.lists += 1;
    }
}

async fn storm(seed: u64, steps: u32) -> (Seen, u64) {
    let mut history = History::new(seed, steps);
    history.grow(steps);
    let said = history.said();
    let follow = history.follow();
    let truth: Truth = history
        .models()
        .map(|(id, model)| (format!("0x{}", hex::encode(id)), image(model)))
        .collect();
    // Genesis has no contracts, and the model has them from the beginning.
    let blocks: Vec<_> = truth.keys().cloned().collect();
    let db = TestDb::new().await;
    let contracts = format!("{:?}", follow.contracts.iter().collect::<Vec<_>>());
    let principals = format!("{:?}", follow.principals.iter().collect::<Vec<_>>());
    let config = config(&[
        ("follow.mirror", "\"followed\""),
        ("follow.contracts", &contracts),
        ("follow.principals", &principals),
        // Four readers at full speed are more than a stranger may ask.
        ("api.address_rate_per_second", "0"),
    ]);
    let app = App::start(&db, &config).await;
    // With genesis and the contracts: from here on the model and the chain are the same.
    let (first, rest) = said.split_at(4);
    app.post(first.to_vec(), Order::default()).await;
    settled(&db).await;

    let (truth, blocks) = (Arc::new(truth), Arc::new(blocks));
    let over = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..4)
        .map(|number| {
            let mut reader = Reader {
                api: app.addresses.api.unwrap(),
                truth: Arc::clone(&truth),
                blocks: Arc::clone(&blocks),
                rng: SeededRng::new(seed * 100 + number),
                seen: Seen::default(),
            };
            let over = Arc::clone(&over);
            tokio::spawn(async move {
                while !over.load(Ordering::Relaxed) {
                    reader.read().await;
                }
                reader.seen
            })
        })
        .collect();
    app.post(rest.to_vec(), Order::default()).await;
    settled(&db).await;
    over.store(true, Ordering::Relaxed);
    let mut seen = Seen::default();
    for reader in readers {
        seen.add(reader.await.unwrap());
    }
    app.stop().await.unwrap();
    let reorgs = db.number("select count(*) from reorg").await;
    db.drop().await;
    (seen, u64::try_from(reorgs).unwrap())
}

/// One storm; as many by STXWORX_STORMS.
fn seeds() -> std::ops::Range<u64> {
    let storms = std::env::var("STXWORX_STORMS").map_or(1, |n| n.parse().unwrap());
    31..31 + storms
}

#[test]
fn readers_in_a_storm_of_forks_never_see_two_of_them_at_once() {
    run(async {
        let mut all = Seen::default();
        for seed in seeds() {
            let (seen, reorgs) = storm(seed, 130).await;
            println!(
                "seed {seed}: {reorgs} reorgs, {} lists on {} blocks, {} ended by a fork, {} for a named block",
                seen.lists,
                seen.blocks.len(),
                seen.ended,
                seen.travels
            );
            assert!(reorgs >= 15, "{reorgs} reorgs make no storm");
            all.add(seen);
        }
        // Else it has shown nothing.
        assert!(
            all.lists > 50 && all.blocks.len() > 20 && all.travels > 5,
            "{all:?}"
        );
    });
}
