//! Properties of generated chains.

use super::*;
use crate::recording::{Entry, Recording};
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use stxworx_clarity::codec::{PayloadKind, Transaction, Value, index_block_hash, sha512_256};

fn json(entry: &Entry) -> Json {
    serde_json::from_slice(&entry.body).unwrap()
}

fn text<'a>(json: &'a Json, field: &str) -> &'a str {
    json[field]
        .as_str()
        .unwrap_or_else(|| panic!("{field} is no text in {json}"))
}

fn bytes<const N: usize>(json: &Json, field: &str) -> [u8; N] {
    let hex = text(json, field).strip_prefix("0x").unwrap();
    hex::decode(hex).unwrap().try_into().unwrap()
}

fn small() -> Params {
    Params {
        blocks: 60,
        txs: 8,
        events: 12,
        share: 0.25,
        tenure: 7,
        users: 20,
        other_contracts: 5,
        ..Params::default()
    }
}

/// Checks what every chain must satisfy; returns the announced blocks by id.
fn check_chain(entries: &[Entry]) -> BTreeMap<String, Json> {
    let mut blocks: BTreeMap<String, Json> = BTreeMap::new();
    let mut burns: HashSet<String> = HashSet::new();
    for entry in entries {
        let body = json(entry);
        match entry.path.as_str() {
            "/new_burn_block" => {
                let parent = text(&body, "parent_burn_block_hash");
                assert!(burns.is_empty() || burns.contains(parent), "{body}");
                burns.insert(text(&body, "burn_block_hash").to_owned());
            }
            "/new_block" => {
                check_ids(&body);
                check_events(&body);
                let parent = text(&body, "parent_index_block_hash");
                if let Some(parent) = blocks.get(parent) {
                    assert_eq!(
                        body["block_height"].as_u64(),
                        parent["block_height"].as_u64().map(|height| height + 1)
                    );
                    assert_eq!(body["parent_block_hash"], parent["block_hash"]);
                    assert_eq!(body["parent_burn_block_hash"], parent["burn_block_hash"]);
                } else {
                    assert!(
                        blocks.is_empty() || body["block_height"] == 0,
                        "unknown parent {parent}"
                    );
                }
                assert!(
                    body["block_height"] == 0 || burns.contains(text(&body, "burn_block_hash"))
                );
                blocks
                    .entry(text(&body, "index_block_hash").to_owned())
                    .or_insert(body);
            }
            _ => {}
        }
    }
    blocks
}

fn check_ids(body: &Json) {
    let (block, consensus) = (
        bytes::<32>(body, "block_hash"),
        bytes::<20>(body, "consensus_hash"),
    );
    assert_eq!(
        bytes::<32>(body, "index_block_hash"),
        index_block_hash(&block, &consensus)
    );
    for (index, tx) in body["transactions"].as_array().unwrap().iter().enumerate() {
        assert_eq!(tx["tx_index"], index);
        let raw = hex::decode(&text(tx, "raw_tx")[2..]).unwrap();
        let transaction = Transaction::decode(&raw).unwrap();
        assert_eq!(transaction.encode(), raw);
        assert_eq!(bytes::<32>(tx, "txid"), sha512_256(&raw));
        Value::decode_exact(&hex::decode(&text(tx, "raw_result")[2..]).unwrap()).unwrap();
    }
}

fn check_events(body: &Json) {
    let statuses: HashMap<&str, &str> = body["transactions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tx| (text(tx, "txid"), text(tx, "status")))
        .collect();
    let events = body["events"].as_array().unwrap();
    let indexes: BTreeSet<u64> = events
        .iter()
        .map(|event| event["event_index"].as_u64().unwrap())
        .collect();
    assert_eq!(indexes, (0..u64::try_from(events.len()).unwrap()).collect());
    for event in events {
        assert_eq!(event["committed"], true);
        assert_eq!(statuses[text(event, "txid")], "success");
        assert!(event[text(event, "type")].is_object());
    }
}

fn prints(body: &Json, contracts: &[String]) -> usize {
    let is_of = |event: &&Json| {
        let contract = event["contract_event"]["contract_identifier"].as_str();
        contract.is_some_and(|contract| {
            contracts.is_empty() || contracts.iter().any(|one| one == contract)
        })
    };
    body["events"]
        .as_array()
        .unwrap()
        .iter()
        .filter(is_of)
        .count()
}

#[test]
fn a_workload_is_a_chain_with_true_ids() {
    let mut workload = Workload::new(small());
    let entries: Vec<Entry> = workload.by_ref().collect();
    let blocks = check_chain(&entries);
    assert_eq!(blocks.len(), 61);
    let summary = workload.summary();
    assert_eq!(
        (summary.tip_height, summary.blocks, summary.orphaned_blocks),
        (60, 61, 0)
    );
    assert_eq!(summary.by_path["/new_block"], 61);
    // Tenures of 7 blocks: 60 / 7, rounded up.
    assert_eq!(summary.by_path["/new_burn_block"], 9);
    assert_eq!(blocks[&summary.tip]["block_height"], 60);
}

#[test]
fn every_block_has_the_prints_asked_for_and_the_share_is_kept() {
    let params = small();
    let followed = params
        .network
        .followed_contracts()
        .map(|contract| contract.to_string());
    let mut workload = Workload::new(params);
    let (mut all, mut theirs) = (0, 0);
    for entry in workload.by_ref().filter(Entry::is_block).skip(1) {
        let body = json(&entry);
        assert_eq!(prints(&body, &[]), 12);
        all += 12;
        theirs += prints(&body, &followed);
    }
    assert_eq!(all, 720);
    assert!(theirs.abs_diff(all / 4) <= 12, "{theirs} of {all}");
    let counted: u64 = workload.summary().followed_prints.values().sum();
    assert_eq!(counted, u64::try_from(theirs).unwrap());
    assert_eq!(workload.summary().prints, 720);
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let params = || Params {
        reorg_every: 10,
        happenings: Params::demo().happenings,
        mempool_percent: 30,
        ..small()
    };
    let all = |params| Workload::new(params).collect::<Vec<_>>();
    let first = all(params());
    assert_eq!(first, all(params()));
    assert_ne!(
        first,
        all(Params {
            seed: 2,
            ..params()
        })
    );
}

#[test]
fn transactions_are_as_many_as_asked_for_and_some_fail() {
    let entries: Vec<Json> = Workload::new(small())
        .filter(Entry::is_block)
        .skip(2)
        .map(|entry| json(&entry))
        .collect();
    let decoded =
        |tx: &Json| Transaction::decode(&hex::decode(&text(tx, "raw_tx")[2..]).unwrap()).unwrap();
    let is_tenure = |tx: &Json| {
        matches!(
            decoded(tx).payload_kind(),
            PayloadKind::TenureChange | PayloadKind::NakamotoCoinbase
        )
    };
    let mut failed = 0;
    for body in &entries {
        let txs = body["transactions"].as_array().unwrap();
        assert_eq!(txs.iter().filter(|tx| !is_tenure(tx)).count(), 8);
        let begins = body["parent_burn_block_hash"] != body["burn_block_hash"];
        assert_eq!(txs.len(), if begins { 10 } else { 8 });
        failed += txs.iter().filter(|tx| tx["status"] != "success").count();
    }
    assert!(failed > 5);
}

#[test]
fn reorganizations_are_what_a_node_sends() {
    let params = Params {
        reorg_every: 10,
        reorg_depth: 4,
        ..small()
    };
    let mut workload = Workload::new(params);
    let entries: Vec<Entry> = workload.by_ref().collect();
    let blocks = check_chain(&entries);
    let summary = workload.summary();
    assert_eq!(
        (summary.tip_height, summary.orphaned_blocks, summary.blocks),
        (60, 20, 81)
    );
    assert_eq!(blocks.len(), 81);
    check_summary(&blocks, summary);
}

/// Recounts the canonical chain from its tip.
fn check_summary(blocks: &BTreeMap<String, Json>, summary: &WorkloadSummary) {
    let (mut height, mut transactions, mut failed, mut events, mut printed) = (0, 0, 0, 0, 0);
    let mut at = summary.tip.as_str();
    while let Some(body) = blocks.get(at) {
        let txs = body["transactions"].as_array().unwrap();
        height += 1;
        transactions += txs.len();
        failed += txs.iter().filter(|tx| tx["status"] != "success").count();
        events += body["events"].as_array().unwrap().len();
        printed += prints(body, &[]);
        at = text(body, "parent_index_block_hash");
    }
    let counted =
        [height, transactions, failed, events, printed].map(|count| u64::try_from(count).unwrap());
    let expected = [
        summary.tip_height + 1,
        summary.transactions,
        summary.failed_transactions,
        summary.events,
        summary.prints,
    ];
    assert_eq!(counted, expected);
}

#[test]
fn without_genesis_the_chain_hangs_on_an_unknown_block() {
    let params = Params {
        root_height: 200_000,
        blocks: 5,
        ..small()
    };
    let entries: Vec<Entry> = Workload::new(params).collect();
    let blocks = check_chain(&entries);
    let mut heights: Vec<_> = blocks
        .values()
        .map(|body| body["block_height"].as_u64().unwrap())
        .collect();
    heights.sort_unstable();
    assert_eq!(heights, [200_001, 200_002, 200_003, 200_004, 200_005]);
}

#[test]
fn memory_is_bounded_but_deep_forks_work() {
    let happenings = vec![
        (900, Happening::Fork { depth: 500 }),
        (1_000, Happening::ForkAndBack { depth: 9 }),
    ];
    let params = Params {
        blocks: 1_200,
        txs: 1,
        events: 1,
        happenings,
        ..small()
    };
    let mut workload = Workload::new(params);
    let entries: Vec<Entry> = workload.by_ref().collect();
    let blocks = check_chain(&entries);
    assert_eq!(workload.summary().orphaned_blocks, 510);
    check_summary(&blocks, workload.summary());
}

/// The field names of a value, down to the leaves that are not free-form.
fn shape(json: &Json, path: &str, names: &mut BTreeSet<String>) {
    match json {
        Json::Object(fields) => {
            for (name, value) in fields {
                let path = format!("{path}.{name}");
                if !path.ends_with("contract_interface") {
                    shape(value, &path, names);
                }
                names.insert(path);
            }
        }
        Json::Array(elements) => elements
            .iter()
            .for_each(|element| shape(element, path, names)),
        _ => {}
    }
}

#[test]
fn fields_are_those_of_a_real_node() {
    let Some(folder) = crate::recording::fixture_tests::fixtures() else {
        return;
    };
    let shape_of = |entries: &mut dyn Iterator<Item = Entry>| {
        let mut names = BTreeSet::new();
        for entry in entries {
            let body = json(&entry);
            let is_known = match entry.path.as_str() {
                "/new_block" => {
                    body["signer_signature_hash"].is_string() && body["reward_set"].is_null()
                }
                "/new_burn_block" => true,
                "/drop_mempool_tx" => true,
                _ => false,
            };
            if is_known {
                shape(&body, &entry.path, &mut names);
            }
        }
        names.retain(|name| !name.contains("matured_miner_rewards."));
        names
    };
    let recording = Recording::open(&folder.join("nakamoto.ndjson.gz")).unwrap();
    let real = shape_of(&mut recording.map(Result::unwrap));
    let made = shape_of(&mut Workload::new(Params::demo()));
    let unknown: Vec<_> = made.difference(&real).collect();
    assert!(unknown.is_empty(), "a node does not send {unknown:?}");
    let is_expected = |name: &&String| {
        [
            "stx_lock",
            "stx_burn",
            "stx_mint",
            "ft_",
            "nft_",
            "pox_transactions",
            "reward_",
        ]
        .iter()
        .any(|part| name.contains(part))
    };
    let missing: Vec<_> = real
        .difference(&made)
        .filter(|name| !is_expected(name))
        .collect();
    assert!(missing.is_empty(), "a node also sends {missing:?}");
}

#[test]
fn the_command_line() {
    #[derive(clap::Parser)]
    struct Command {
        #[command(flatten)]
        args: WorkloadArgs,
    }
    let parse = |line: &str| {
        let command: Result<Command, _> = clap::Parser::try_parse_from(line.split(' '));
        command.map(|command| command.args)
    };
    assert_eq!(parse("workload -o x").unwrap().params(), Params::default());
    assert_eq!(
        parse("workload -o x --demo").unwrap().params(),
        Params::demo()
    );
    assert!(parse("workload -o x --demo --blocks 3").is_err());
    let args = parse("workload -o x --at 5=fork:2 --at 9=genesis --no-genesis")
        .unwrap()
        .params();
    assert_eq!(
        args.happenings,
        [
            (5, Happening::Fork { depth: 2 }),
            (9, Happening::GenesisAgain)
        ]
    );
    assert!(!args.genesis);
    for wrong in [
        "5",
        "x=genesis",
        "5=fork",
        "5=fork:0",
        "5=genesis:1",
        "5=what",
    ] {
        assert!(
            parse(&format!("workload -o x --at {wrong}")).is_err(),
            "{wrong}"
        );
    }
}

#[test]
fn a_written_workload_is_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("w.ndjson.gz");
    let command = [
        "w",
        "-o",
        file.to_str().unwrap(),
        "--blocks",
        "5",
        "--txs",
        "3",
        "--events",
        "2",
    ];
    #[derive(clap::Parser)]
    struct Command {
        #[command(flatten)]
        args: WorkloadArgs,
    }
    let args = <Command as clap::Parser>::parse_from(command).args;
    let summary = write_file(&args).unwrap();
    let read: Vec<Entry> = Recording::open(&file)
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(read, Workload::new(args.params()).collect::<Vec<_>>());
    assert_eq!(summary.payloads, u64::try_from(read.len()).unwrap());
}

#[test]
fn the_shipped_recording_is_the_demo() {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("recordings/demo.ndjson.gz");
    let read: Vec<Entry> = Recording::open(&file)
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let mut workload = Workload::new(Params::demo());
    let made: Vec<Entry> = workload.by_ref().collect();
    assert!(
        read == made,
        "make it anew: stxworx workload --demo -o recordings/demo.ndjson.gz"
    );
    let blocks = check_chain(&read);
    check_summary(&blocks, workload.summary());
    let readme = file.with_file_name("README.md");
    let readme = std::fs::read_to_string(readme).unwrap();
    for line in workload.summary().text().lines() {
        assert!(
            readme.contains(line.trim()),
            "recordings/README.md lacks {line:?}"
        );
    }
}
