//! Recordings of real nodes, counted by other code than the mirror's.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value as Json;
use stxworx::config::Config;
use stxworx::post::Order;
use stxworx::recording::Recording;
use stxworx_clarity::codec::{Transaction, sha512_256};

use crate::support::app::{App, config};
use crate::support::chain::in_state;
use crate::support::db::TestDb;
use crate::support::mirror::{assert_verifies, fingerprint, tip};
use crate::support::{eventually, fixtures, run};

/// How many there are of each.
type Counts = BTreeMap<String, u64>;

/// What a mirror of everything must hold.
#[derive(Debug, Default, PartialEq)]
struct Census {
    blocks: u64,
    burn_blocks: u64,
    mempool: u64,
    events: Counts,
    statuses: Counts,
}

/// A recording as plain JSON.
struct Plain {
    /// Each block once, the fullest copy of genesis.
    blocks: BTreeMap<String, Json>,
    burn_blocks: BTreeSet<String>,
    mempool: BTreeSet<[u8; 32]>,
}

fn text<'a>(json: &'a Json, name: &str) -> &'a str {
    json[name]
        .as_str()
        .unwrap_or_else(|| panic!("{name} in {json}"))
}

fn list<'a>(json: &'a Json, name: &str) -> &'a [Json] {
    json[name].as_array().unwrap()
}

fn bytes(hex_text: &str) -> Vec<u8> {
    hex::decode(hex_text.trim_start_matches("0x")).unwrap()
}

fn add(counts: &mut Counts, name: &str) {
    *counts.entry(name.to_owned()).or_default() += 1;
}

impl Plain {
    fn read(file: &Path) -> Self {
        let mut plain = Self {
            blocks: BTreeMap::new(),
            burn_blocks: BTreeSet::new(),
            mempool: BTreeSet::new(),
        };
        for entry in Recording::open(file).unwrap() {
            let entry = entry.unwrap();
            let body: Json = serde_json::from_slice(&entry.body).unwrap();
            match entry.path.as_str() {
                "/new_block" => plain.add_block(body),
                "/new_burn_block" => {
                    plain
                        .burn_blocks
                        .insert(text(&body, "burn_block_hash").to_owned());
                }
                "/new_mempool_tx" => {
                    let raw = body
                        .as_array()
                        .unwrap()
                        .iter()
                        .map(|tx| bytes(tx.as_str().unwrap()));
                    plain.mempool.extend(raw.map(|raw| sha512_256(&raw)));
                }
                _ => {}
            }
        }
        plain
    }

    fn add_block(&mut self, body: Json) {
        let id = text(&body, "index_block_hash").to_owned();
        let is_fuller = |there: &Json| list(there, "transactions").is_empty();
        if self.blocks.get(&id).is_none_or(is_fuller) {
            self.blocks.insert(id, body);
        }
    }

    fn census(&self) -> Census {
        let mut census = Census {
            blocks: self.blocks.len() as u64,
            burn_blocks: self.burn_blocks.len() as u64,
            mempool: self.mempool.len() as u64,
            ..Census::default()
        };
        for block in self.blocks.values() {
            list(block, "transactions")
                .iter()
                .for_each(|tx| add(&mut census.statuses, text(tx, "status")));
            valid_events(block).for_each(|event| add(&mut census.events, text(event, "type")));
        }
        census
    }
}

/// Events that took effect.
fn valid_events(block: &Json) -> impl Iterator<Item = &Json> {
    let succeeded: BTreeMap<&str, bool> = list(block, "transactions")
        .iter()
        .map(|tx| (text(tx, "txid"), text(tx, "status") == "success"))
        .collect();
    list(block, "events").iter().filter(move |event| {
        event["committed"] == true && succeeded.get(text(event, "txid")).copied().unwrap_or(true)
    })
}

const EVENT_NAMES: &str = "'{contract_event,stx_transfer_event,stx_mint_event,stx_burn_event,stx_lock_event,\
    ft_transfer_event,ft_mint_event,ft_burn_event,nft_transfer_event,nft_mint_event,nft_burn_event,other}'";

async fn grouped(db: &TestDb, name: &str, table: &str) -> Counts {
    let query = format!(
        "select string_agg(concat_ws(' ', name, n), E'\\n')
         from (select {name} as name, count(*) as n from {table} group by 1) counts"
    );
    let lines = db.text(query).await.unwrap_or_default();
    let pair = |line: &str| {
        let (name, count) = line.split_once(' ').unwrap();
        (name.to_owned(), count.parse().unwrap())
    };
    lines.lines().map(pair).collect()
}

async fn stored(db: &TestDb) -> Census {
    let count = async |table| {
        u64::try_from(db.number(&format!("select count(*) from {table}")).await).unwrap()
    };
    Census {
        blocks: count("block").await,
        burn_blocks: count("burn_block").await,
        mempool: count("mempool_sighting").await,
        events: grouped(db, &format!("({EVENT_NAMES}::text[])[kind]"), "event").await,
        statuses: grouped(db, "status", "transaction where kind <> 'unlisted'").await,
    }
}

/// A recording and what is known of it.
struct Case {
    file: &'static str,
    tip_begins: &'static str,
    tip_height: i64,
}

const NAKAMOTO: Case = Case {
    file: "nakamoto.ndjson.gz",
    tip_begins: "0x54079698",
    tip_height: 405,
};
const MOCKNET: Case = Case {
    file: "mocknet.ndjson.gz",
    tip_begins: "0x36141dc7",
    tip_height: 382,
};
const EPOCH_3: Case = Case {
    file: "archive-epoch-3-transition.tsv.gz",
    tip_begins: "0xf5be33ab",
    tip_height: 50,
};
const MAINNET_REORG: Case = Case {
    file: "archive-mainnet-reorg.tsv.gz",
    tip_begins: "0x68fb02f8",
    tip_height: 47,
};
const OLD_MOCKNET: Case = Case {
    file: "archive-mocknet.tsv.gz",
    tip_begins: "0x76cd67a6",
    tip_height: 28,
};

fn everything() -> Config {
    config(&[("network", "\"devnet\"")])
}

/// Posts recordings in these orders to a new mirror, and waits until it holds all blocks.
async fn mirrored(file: &Path, config: &Config, orders: Vec<Order>, blocks: u64) -> TestDb {
    let db = TestDb::new().await;
    let app = App::start(&db, config).await;
    for order in orders {
        app.post_from(Recording::open(file).unwrap(), order).await;
    }
    // A mirror that begins lower takes everything up again, so an empty backlog alone says nothing.
    eventually("all blocks", || async {
        let waiting = in_state(&db, 0).await;
        let there = db.number("select count(*) from block").await;
        if waiting == 0 && u64::try_from(there).unwrap() == blocks {
            Ok(())
        } else {
            let detached = in_state(&db, 3).await;
            Err(format!(
                "{there} of {blocks} blocks, {waiting} payloads wait, {detached} are detached"
            ))
        }
    })
    .await;
    app.stop().await.unwrap();
    db
}

fn shuffled(seed: u64) -> Order {
    Order {
        shuffle_window: 20,
        duplicate_percent: 30,
        seed,
        ..Order::default()
    }
}

/// Counts, tip and digests of a recording, in order and shuffled.
fn mirror_case(case: &Case) {
    let Some(folder) = fixtures() else { return };
    let file: PathBuf = folder.join(case.file);
    run(async {
        let expected = Plain::read(&file).census();
        let db = mirrored(
            &file,
            &everything(),
            vec![Order::default()],
            expected.blocks,
        )
        .await;
        assert_eq!(in_state(&db, 4).await, 0, "quarantined");
        assert_eq!(in_state(&db, 3).await, 0, "detached");
        assert!(
            tip(&db).await.unwrap().starts_with(case.tip_begins),
            "{:?}",
            tip(&db).await
        );
        assert_eq!(
            db.number("select max(height) from canonical").await,
            case.tip_height
        );
        assert_eq!(stored(&db).await, expected);
        assert_verifies(&db).await;
        println!("{}: {expected:?}", case.file);

        let orders = vec![shuffled(1), shuffled(2)];
        let other = mirrored(&file, &everything(), orders, expected.blocks).await;
        assert_eq!(
            fingerprint(&other).await,
            fingerprint(&db).await,
            "shuffled"
        );
        assert_eq!(stored(&other).await, expected, "shuffled");
        assert_verifies(&other).await;
        let rebuilds = other.number("select max(generation) from mirror").await
            - other.number("select count(*) from reorg").await;
        println!(
            "{}: began lower or anew {rebuilds} times when shuffled",
            case.file
        );
        db.drop().await;
        other.drop().await;
    });
}

#[test]
fn a_nakamoto_chain() {
    mirror_case(&NAKAMOTO);
}

#[test]
fn a_mocknet() {
    mirror_case(&MOCKNET);
}

#[test]
fn an_archive_of_the_third_epochs_beginning() {
    mirror_case(&EPOCH_3);
}

#[test]
fn an_archive_of_mainnet_with_a_reorg() {
    mirror_case(&MAINNET_REORG);
}

#[test]
fn an_archive_of_an_old_mocknet() {
    mirror_case(&OLD_MOCKNET);
}

#[test]
fn the_plain_count_is_the_recorders_own() {
    let Some(folder) = fixtures() else { return };
    let census = Plain::read(&folder.join(NAKAMOTO.file)).census();
    let counts = |pairs: &[(&str, u64)]| -> Counts {
        pairs.iter().map(|(n, c)| ((*n).to_owned(), *c)).collect()
    };
    assert_eq!((census.blocks, census.burn_blocks), (406, 192));
    let events = [
        ("contract_event", 681),
        ("stx_transfer_event", 382),
        ("stx_mint_event", 41),
        ("stx_burn_event", 1),
        ("stx_lock_event", 1),
        ("ft_mint_event", 5),
        ("ft_transfer_event", 6),
        ("ft_burn_event", 1),
        ("nft_mint_event", 2),
        ("nft_transfer_event", 1),
        ("nft_burn_event", 1),
    ];
    assert_eq!(census.events, counts(&events));
    let statuses = [
        ("success", 766),
        ("abort_by_response", 266),
        ("abort_by_post_condition", 1),
    ];
    assert_eq!(census.statuses, counts(&statuses));
}

const DEPLOYER: &str = "ST3YQGBH9XW55MCH5G02ZXJJJ730ZV4BNC7CJ9F4M";
const CONTRACTS: [&str; 4] = [
    "escrow-multi-token",
    "freelance-data",
    "freelance-security",
    "achievement-nfts",
];

/// The contracts that an event names in any role.
fn named(event: &Json) -> Vec<&str> {
    let body = &event[text(event, "type")];
    let fields = [
        "contract_identifier",
        "asset_identifier",
        "sender",
        "recipient",
    ];
    let contract_of = |text: &'_ str| text.split("::").next().unwrap().len();
    fields
        .iter()
        .filter_map(|f| body[*f].as_str())
        .map(|text| &text[..contract_of(text)])
        .collect()
}

/// (block, txid) of what concerns the contracts, and how many events belong to it.
fn concerned(plain: &Plain, contracts: &BTreeSet<String>) -> BTreeMap<(String, String), u64> {
    let mut kept = BTreeMap::new();
    for (id, block) in &plain.blocks {
        let calls = list(block, "transactions").iter().filter(|tx| {
            let raw = Transaction::decode(&bytes(text(tx, "raw_tx"))).ok();
            raw.and_then(|raw| raw.contract_id())
                .is_some_and(|c| contracts.contains(&c.to_string()))
        });
        let told =
            valid_events(block).filter(|e| named(e).iter().any(|name| contracts.contains(*name)));
        let txids: BTreeSet<&str> = calls.chain(told).map(|json| text(json, "txid")).collect();
        for txid in txids {
            let events = valid_events(block)
                .filter(|e| text(e, "txid") == txid)
                .count() as u64;
            kept.insert((id.clone(), txid.to_owned()), events);
        }
    }
    kept
}

#[test]
fn only_what_concerns_the_followed_contracts() {
    let Some(folder) = fixtures() else { return };
    let file = folder.join(NAKAMOTO.file);
    run(async {
        let contracts: BTreeSet<String> = CONTRACTS
            .iter()
            .map(|name| format!("{DEPLOYER}.{name}"))
            .collect();
        let plain = Plain::read(&file);
        let expected = concerned(&plain, &contracts);
        let listed = format!("{:?}", contracts.iter().collect::<Vec<_>>());
        let config = config(&[
            ("follow.mirror", "\"followed\""),
            ("follow.contracts", &listed),
        ]);
        let blocks = plain.blocks.len() as u64;
        let db = mirrored(&file, &config, vec![Order::default()], blocks).await;
        let lines = db
            .text(
                "select string_agg(concat_ws(' ', '0x' || encode(b.index_block_hash, 'hex'),
                     '0x' || encode(t.txid, 'hex'), (select count(*) from event e
                         where e.block_id = t.block_id and e.tx_index = t.tx_index)), E'\\n')
                 from transaction t join block b on b.id = t.block_id",
            )
            .await;
        let kept: BTreeMap<(String, String), u64> = lines
            .unwrap()
            .lines()
            .map(|line| {
                let words: Vec<_> = line.split(' ').collect();
                (
                    (words[0].to_owned(), words[1].to_owned()),
                    words[2].parse().unwrap(),
                )
            })
            .collect();
        assert_eq!(kept, expected);
        let events: u64 = expected.values().sum();
        assert_eq!(
            db.number("select count(*) from event").await,
            i64::try_from(events).unwrap()
        );
        println!("kept {} transactions and {events} events", expected.len());
        assert!(!expected.is_empty() && events > 0);
        assert_verifies(&db).await;
        db.drop().await;
    });
}
