//! The canonical encoding of mirrored rows, and the digests over it.
//!
//! `rows_digest` = SHA-256 over one block's rows: header, transactions by `tx_index`, events by
//! (`tx_index`, `ordinal`), versions by (projection, entity, position). Each row is a tag byte and its
//! fields; a field is a presence byte, then a fixed-width integer or a length (u32) and bytes, all big
//! endian. `digest` = SHA-256(digest of the parent ‖ index block hash ‖ `rows_digest`), with a zero
//! digest before the origin. Local numbers, times of arrival and the node's prose (`vm_error`) are
//! left out, and so is what not every source knows, so that two honest mirrors of one chain agree whoever
//! told them: the identity commits to the consensus hash and a txid to the transaction's bytes; the tenure's
//! height, its view and commit on Bitcoin, and the JSON of an operation sent there, say nothing about what happened.

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::block::{Block, BlockHeader, Transaction};
use super::change::{Change, Version};
use super::event::Event;
use super::ids::{Digest, IndexBlockHash};

/// Version of these rules, stored with the mirror. Raise it when the same rows would give other digests.
pub const DIGEST_RULES: i32 = 2;

/// Writes fields in the canonical form.
#[derive(Default)]
struct Encoder(Vec<u8>);

impl Encoder {
    fn tag(&mut self, tag: u8) -> &mut Self {
        self.0.push(tag);
        self
    }

    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        // A field of 4 GiB cannot come out of a body limited to far less.
        let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        self.0.push(1);
        self.0.extend_from_slice(&len.to_be_bytes());
        self.0.extend_from_slice(bytes);
        self
    }

    fn none(&mut self) -> &mut Self {
        self.0.push(0);
        self
    }

    fn text(&mut self, text: Option<&str>) -> &mut Self {
        match text {
            Some(text) => self.bytes(text.as_bytes()),
            None => self.none(),
        }
    }

    fn opt_bytes(&mut self, bytes: Option<&[u8]>) -> &mut Self {
        match bytes {
            Some(bytes) => self.bytes(bytes),
            None => self.none(),
        }
    }

    fn int(&mut self, value: Option<u128>) -> &mut Self {
        match value {
            Some(value) => {
                self.0.push(1);
                self.0.extend_from_slice(&value.to_be_bytes());
                self
            }
            None => self.none(),
        }
    }
}

fn header(e: &mut Encoder, block: &BlockHeader) {
    e.tag(b'B')
        .bytes(block.id.as_bytes())
        .bytes(block.parent.as_bytes())
        .int(Some(block.height.into()))
        .bytes(block.block_hash.as_bytes())
        .int(block.block_time.map(Into::into))
        .bytes(block.burn_block_hash.as_bytes())
        .int(Some(block.burn_block_height.into()))
        .int(Some(block.burn_block_time.into()));
}

fn transaction(e: &mut Encoder, t: &Transaction) {
    e.tag(b'T')
        .int(Some(t.tx_index.into()))
        .bytes(t.txid.as_bytes())
        .text(Some(t.kind.as_str()))
        .text(Some(t.status.as_str()))
        .text(t.sender.as_deref())
        .text(t.sponsor.as_deref())
        .int(t.nonce.map(Into::into))
        .int(t.fee.map(Into::into))
        .text(t.contract.as_deref())
        .text(t.function.as_deref())
        .bytes(&t.raw_result);
}

fn event(e: &mut Encoder, event: &Event) {
    let b = &event.body;
    e.tag(b'E')
        .int(Some(event.tx_index.into()))
        .int(Some(event.ordinal.into()))
        .text(Some(b.kind.as_str()))
        .text(b.contract.as_deref())
        .text(b.asset.as_deref())
        .text(b.sender.as_deref())
        .text(b.recipient.as_deref())
        .int(b.amount)
        .text(b.topic.as_deref())
        .opt_bytes(b.value.as_deref())
        .int(b.unlock_height.map(Into::into));
}

fn version(e: &mut Encoder, v: &Version) {
    e.tag(b'V')
        .int(Some(u128::from(v.projection.unsigned_abs())))
        .text(Some(&v.entity))
        .int(Some(v.position.into()))
        .text(Some(&canonical_json(&v.state)));
}

/// JSON with sorted keys and no white space: what a state is hashed as, however a database orders it.
pub fn canonical_json(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<_> = map.iter().collect();
            keys.sort_by(|a, b| a.0.cmp(b.0));
            let fields: Vec<_> = keys
                .into_iter()
                .map(|(k, v)| format!("{}:{}", Value::from(k.as_str()), canonical_json(v)))
                .collect();
            format!("{{{}}}", fields.join(","))
        }
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(canonical_json).collect();
            format!("[{}]", items.join(","))
        }
        scalar => scalar.to_string(),
    }
}

/// Digest over the rows of one block.
pub fn rows_digest(block: &Block, change: &Change) -> Digest {
    let mut hasher = Sha256::new();
    let mut e = Encoder::default();
    let flush = |e: &mut Encoder, hasher: &mut Sha256| {
        hasher.update(&e.0);
        e.0.clear();
    };
    header(&mut e, &block.header);
    flush(&mut e, &mut hasher);
    for t in &block.transactions {
        transaction(&mut e, t);
        flush(&mut e, &mut hasher);
    }
    for ev in &block.events {
        event(&mut e, ev);
        flush(&mut e, &mut hasher);
    }
    for v in &change.versions {
        version(&mut e, v);
        flush(&mut e, &mut hasher);
    }
    Digest(hasher.finalize().into())
}

/// The next link of the digest chain.
pub fn chain_digest(parent: Digest, id: IndexBlockHash, rows: Digest) -> Digest {
    let mut hasher = Sha256::new();
    hasher.update(parent.as_bytes());
    hasher.update(id.as_bytes());
    hasher.update(rows.as_bytes());
    Digest(hasher.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_sorted_at_every_level() {
        let value: Value = serde_json::from_str(r#"{"b":[{"z":1,"a":"\""}],"a":null}"#).unwrap();
        assert_eq!(
            canonical_json(&value),
            r#"{"a":null,"b":[{"a":"\"","z":1}]}"#
        );
    }

    #[test]
    fn neighbouring_fields_cannot_trade_bytes() {
        let mut one = Encoder::default();
        one.text(Some("ab")).text(Some("c"));
        let mut two = Encoder::default();
        two.text(Some("a")).text(Some("bc"));
        assert_ne!(one.0, two.0);
        let mut absent = Encoder::default();
        absent.text(None);
        let mut empty = Encoder::default();
        empty.text(Some(""));
        assert_ne!(absent.0, empty.0);
    }
}
