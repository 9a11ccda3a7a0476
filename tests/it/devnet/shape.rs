//! The devnet's payloads against those of a real node, field by field: names, and what kind of value stands there.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;
use stxworx::recording::{Entry, Recording};
use stxworx_clarity::simnet::new_mempool_tx_payload;

use super::history::History;
use crate::support::fixtures;

/// What may stand at a place, over many payloads.
#[derive(Debug, Default)]
struct Place {
    kinds: BTreeSet<String>,
    /// Objects seen here, and in how many of them each field stood.
    objects: u32,
    fields: BTreeMap<String, u32>,
}

/// Places by path, such as `/new_block.transactions[].txid`.
#[derive(Debug, Default)]
struct Shape(BTreeMap<String, Place>);

fn kind(value: &Json) -> String {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_hexdigit());
    match value {
        Json::Null => "null".to_owned(),
        Json::Bool(_) => "bool".to_owned(),
        Json::Number(_) => "number".to_owned(),
        Json::Object(_) => "object".to_owned(),
        Json::Array(_) => "array".to_owned(),
        Json::String(text) => match text.strip_prefix("0x") {
            // Hashes and ids have a length of their own; values and transactions have any.
            Some(rest) if digits(rest) && rest.len() == 64 => "0x and 32 bytes".to_owned(),
            Some(rest) if rest.is_empty() || digits(rest) => "0x and bytes".to_owned(),
            _ if text.bytes().all(|b| b.is_ascii_digit()) => "digits".to_owned(),
            _ if digits(text) && text.len() >= 12 => "bytes without 0x".to_owned(),
            _ => "text".to_owned(),
        },
    }
}

impl Shape {
    fn see(&mut self, path: &str, value: &Json) {
        let place = self.0.entry(path.to_owned()).or_default();
        place.kinds.insert(kind(value));
        match value {
            Json::Object(fields) => {
                place.objects += 1;
                for name in fields.keys() {
                    *place.fields.entry(name.clone()).or_default() += 1;
                }
                for (name, inner) in fields {
                    self.see(&format!("{path}.{name}"), inner);
                }
            }
            Json::Array(items) => {
                for item in items {
                    self.see(&format!("{path}[]"), item);
                }
            }
            _ => {}
        }
    }

    /// An interface says of a contract what it likes, and its names are the contract's own.
    fn see_entry(&mut self, entry: &Entry) {
        let mut body: Json = serde_json::from_slice(&entry.body).unwrap();
        let interface = |tx: &mut Json| {
            if let Some(interface) = tx.get_mut("contract_interface").filter(|i| !i.is_null()) {
                let fields: Vec<_> = interface.as_object().unwrap().keys().cloned().collect();
                *interface = Json::from(fields);
            }
        };
        if let Some(transactions) = body.get_mut("transactions").and_then(Json::as_array_mut) {
            transactions.iter_mut().for_each(interface);
        }
        self.see(&entry.path, &body);
    }

    /// Where the other shape has a field, or a kind of value, that this one never has; or lacks one that is always there.
    fn strange(&self, other: &Shape) -> Vec<String> {
        let mut strange = Vec::new();
        for (path, there) in &other.0 {
            let Some(here) = self.0.get(path) else {
                strange.push(format!("{path}: a node says no such thing"));
                continue;
            };
            // Bytes may happen to have no letter.
            let bytes = here.kinds.contains("bytes without 0x");
            for kind in there
                .kinds
                .difference(&here.kinds)
                .filter(|k| !bytes || *k != "digits")
            {
                strange.push(format!("{path}: {kind}, where a node has {:?}", here.kinds));
            }
            for (name, count) in &here.fields {
                let always = *count == here.objects;
                let in_all = there.fields.get(name) == Some(&there.objects);
                if always && there.objects > 0 && !in_all {
                    strange.push(format!(
                        "{path}: {name} is missing, which a node always says"
                    ));
                }
            }
        }
        strange
    }
}

fn played() -> Vec<Entry> {
    let mut history = History::new(5, 160);
    history.grow(160);
    let mut said = history.said();
    let empty = history
        .chain
        .block(&history.canonical()[0].header.id)
        .unwrap();
    said.push(Entry::new("/new_block", empty.empty_payload().to_string()));
    let raw = history.chain.tip().receipts[0].transaction.encode();
    said.push(Entry::new(
        "/new_mempool_tx",
        new_mempool_tx_payload(&[raw]).to_string(),
    ));
    said
}

#[test]
fn a_shape_finds_what_differs() {
    let shape = |body: &str| {
        let mut shape = Shape::default();
        shape.see_entry(&Entry::new("/p", body.to_owned()));
        shape
    };
    let node = shape(r#"{"a":"0x00","b":1,"c":null}"#);
    assert_eq!(
        node.strange(&shape(r#"{"a":"0x01","b":2,"c":null}"#)),
        Vec::<String>::new()
    );
    let found = node.strange(&shape(r#"{"a":1,"b":"2","d":null}"#));
    let expected = [
        "/p: c is missing",
        "/p.a: number",
        "/p.b: digits",
        "/p.d: a node says no such thing",
    ];
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found}");
    }
}

#[test]
fn payloads_have_the_fields_and_forms_of_a_real_nodes() {
    let Some(folder) = fixtures() else { return };
    let (mut node, mut devnet) = (Shape::default(), Shape::default());
    for entry in Recording::open(&folder.join("nakamoto.ndjson.gz")).unwrap() {
        node.see_entry(&entry.unwrap());
    }
    for entry in played() {
        devnet.see_entry(&entry);
    }
    assert_eq!(node.strange(&devnet), Vec::<String>::new());
    for path in [
        "/new_block",
        "/new_burn_block",
        "/new_mempool_tx",
        "/new_block.transactions[]",
        "/new_block.events[]",
    ] {
        assert!(devnet.0.contains_key(path), "{path} was not compared");
    }
}
