//! Payloads that real nodes have posted: every transaction and every value in them.
//!
//! The recordings are not part of the repository. They are looked for in `STXWORX_FIXTURES`, or in
//! `shared/fixtures` beside the workspace; without them the tests say so and pass.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use serde_json::Value as Json;
use stxworx_clarity::codec::transaction::{Authorization, HighS, MessageSignature};
use stxworx_clarity::codec::{Transaction, Value, ValueRef, sha512_256};

fn folder() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/fixtures");
    let folder = std::env::var_os("STXWORX_FIXTURES").map_or(beside, PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    println!(
        "skipped: no recordings in {} (set STXWORX_FIXTURES)",
        folder.display()
    );
    None
}

/// The JSON documents of a recording: one a line, in TSV escaped as PostgreSQL's COPY does.
fn documents(path: &Path) -> Vec<Json> {
    let name = path.to_string_lossy().into_owned();
    let lines = BufReader::new(GzDecoder::new(File::open(path).expect("a recording"))).lines();
    let mut documents = Vec::new();
    for line in lines {
        let line = line.expect("text");
        let text = if name.contains(".tsv") {
            let Some(field) = line.splitn(4, '\t').nth(3) else {
                continue;
            };
            field.replace("\\\\", "\\")
        } else {
            line
        };
        documents.push(
            serde_json::from_str(&text)
                .unwrap_or_else(|error| panic!("{name}: {error}: {text:.200}")),
        );
    }
    documents
}

#[derive(Default)]
struct Found {
    transactions: BTreeMap<String, Option<String>>,
    values: BTreeSet<String>,
}

fn collect(json: &Json, found: &mut Found) {
    match json {
        Json::Object(map) => {
            let text = |key: &str| map.get(key).and_then(Json::as_str).map(str::to_owned);
            if let Some(raw) = text("raw_tx") {
                found.transactions.insert(raw, text("txid"));
            }
            found
                .values
                .extend(["raw_value", "raw_result"].into_iter().filter_map(text));
            map.values().for_each(|value| collect(value, found));
        }
        Json::Array(items) => items.iter().for_each(|item| collect(item, found)),
        _ => {}
    }
}

/// `/new_mempool_tx` is a bare array of transactions.
fn collect_mempool(document: &Json, found: &mut Found) {
    if document["path"] == "/new_mempool_tx" {
        let raw = document["body"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Json::as_str);
        raw.for_each(|raw| {
            found.transactions.entry(raw.to_owned()).or_default();
        });
    }
}

fn recordings() -> Vec<(String, Found)> {
    let Some(folder) = folder() else {
        return Vec::new();
    };
    let mut recordings = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|extension| extension != "gz") {
            continue;
        }
        let mut found = Found::default();
        for document in documents(&path) {
            collect_mempool(&document, &mut found);
            collect(&document, &mut found);
        }
        recordings.push((path.display().to_string(), found));
    }
    recordings
}

fn bytes(text: &str) -> Vec<u8> {
    hex::decode(text.trim_start_matches("0x")).expect("hex")
}

fn is_signed(transaction: &Transaction) -> bool {
    let unsigned = MessageSignature::EMPTY;
    !matches!(&transaction.auth.origin().authorization, Authorization::Single { signature, .. } if *signature == unsigned)
}

#[test]
fn every_transaction_goes_both_ways() {
    for (name, found) in recordings() {
        let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
        let mut signed = 0;
        // Operations that came through Bitcoin have no transaction: the node writes 0x00.
        for (raw, txid) in found.transactions.iter().filter(|(raw, _)| *raw != "0x00") {
            let raw = bytes(raw);
            let transaction =
                Transaction::decode(&raw).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(transaction.encode(), raw);
            assert_eq!(transaction.txid(), sha512_256(&raw));
            if let Some(txid) = txid {
                assert_eq!(
                    hex::encode(transaction.txid()),
                    txid.trim_start_matches("0x")
                );
            }
            // The genesis block installs the boot contracts with transactions that nobody signed.
            if is_signed(&transaction) {
                transaction
                    .verify(HighS::Allow)
                    .unwrap_or_else(|error| panic!("{name}: {txid:?}: {error}"));
                signed += 1;
            }
            *kinds
                .entry(transaction.payload_kind().as_str())
                .or_default() += 1;
        }
        println!("{name}: {kinds:?}, {signed} signed");
        assert!(!kinds.contains_key("unknown"));
    }
}

#[test]
fn every_value_goes_both_ways() {
    for (name, found) in recordings() {
        for raw in &found.values {
            let raw = bytes(raw);
            let value = Value::decode_exact(&raw).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(value.encode(), raw);
            let borrowed = ValueRef::decode_exact(&raw).expect("the same grammar");
            assert_eq!(borrowed.to_value(), value);
            assert_eq!(borrowed.to_string(), value.to_string());
        }
        println!("{name}: {} values", found.values.len());
    }
}
