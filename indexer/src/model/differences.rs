//! What two tellings of one block have not in common.

use super::block::{Block, Transaction};
use super::event::Event;

/// So many are named; where there are more, that is said.
const NAMED: usize = 8;

struct Notes {
    found: Vec<String>,
    more: usize,
}

impl Notes {
    fn differ(&mut self, place: &str, field: &str, ours: impl ToString, theirs: impl ToString) {
        let (ours, theirs) = (ours.to_string(), theirs.to_string());
        if ours == theirs {
            return;
        }
        if self.found.len() < NAMED {
            let short = |text: String| -> String { text.chars().take(100).collect() };
            self.found.push(format!(
                "{place}: {field} {} against {}",
                short(ours),
                short(theirs)
            ));
        } else {
            self.more += 1;
        }
    }
}

fn shown<T: ToString>(value: &Option<T>) -> String {
    value.as_ref().map_or("none".to_owned(), T::to_string)
}

fn bytes(value: &[u8]) -> String {
    format!("0x{}", hex::encode(value))
}

/// What differs between a block as it is mirrored and as another source tells it, in words; none if nothing does.
/// Only facts that every source knows are compared: those that go into digests.
pub fn differences(ours: &Block, theirs: &Block) -> Option<String> {
    let mut notes = Notes {
        found: Vec::new(),
        more: 0,
    };
    header(&mut notes, ours, theirs);
    let (o, t) = (&ours.transactions, &theirs.transactions);
    notes.differ("block", "transactions", o.len(), t.len());
    for (ours, theirs) in o.iter().zip(t) {
        transaction(&mut notes, ours, theirs);
    }
    let (o, t) = (&ours.events, &theirs.events);
    notes.differ("block", "events", o.len(), t.len());
    for (ours, theirs) in o.iter().zip(t) {
        event(&mut notes, ours, theirs);
    }
    if notes.found.is_empty() {
        return None;
    }
    let mut text = notes.found.join("; ");
    if notes.more > 0 {
        text.push_str(&format!("; and {} more", notes.more));
    }
    Some(text)
}

fn header(notes: &mut Notes, ours: &Block, theirs: &Block) {
    let (o, t) = (&ours.header, &theirs.header);
    notes.differ("block", "parent", o.parent, t.parent);
    notes.differ("block", "height", o.height, t.height);
    notes.differ("block", "block_hash", o.block_hash, t.block_hash);
    notes.differ(
        "block",
        "block_time",
        shown(&o.block_time),
        shown(&t.block_time),
    );
    notes.differ(
        "block",
        "burn_block_hash",
        o.burn_block_hash,
        t.burn_block_hash,
    );
    notes.differ(
        "block",
        "burn_block_height",
        o.burn_block_height,
        t.burn_block_height,
    );
    notes.differ(
        "block",
        "burn_block_time",
        o.burn_block_time,
        t.burn_block_time,
    );
}

fn transaction(notes: &mut Notes, o: &Transaction, t: &Transaction) {
    let place = format!("transaction {}", o.tx_index);
    notes.differ(&place, "tx_index", o.tx_index, t.tx_index);
    notes.differ(&place, "txid", o.txid, t.txid);
    notes.differ(&place, "kind", o.kind.as_str(), t.kind.as_str());
    notes.differ(&place, "status", o.status.as_str(), t.status.as_str());
    notes.differ(&place, "sender", shown(&o.sender), shown(&t.sender));
    notes.differ(&place, "sponsor", shown(&o.sponsor), shown(&t.sponsor));
    notes.differ(&place, "nonce", shown(&o.nonce), shown(&t.nonce));
    notes.differ(&place, "fee", shown(&o.fee), shown(&t.fee));
    notes.differ(&place, "contract", shown(&o.contract), shown(&t.contract));
    notes.differ(&place, "function", shown(&o.function), shown(&t.function));
    notes.differ(
        &place,
        "raw_result",
        bytes(&o.raw_result),
        bytes(&t.raw_result),
    );
}

fn event(notes: &mut Notes, ours: &Event, theirs: &Event) {
    let place = format!("event {}/{}", ours.tx_index, ours.ordinal);
    let (o, t) = (&ours.body, &theirs.body);
    notes.differ(
        &place,
        "place",
        format_args!("{}/{}", ours.tx_index, ours.ordinal),
        format_args!("{}/{}", theirs.tx_index, theirs.ordinal),
    );
    notes.differ(&place, "kind", o.kind.as_str(), t.kind.as_str());
    notes.differ(&place, "contract", shown(&o.contract), shown(&t.contract));
    notes.differ(&place, "asset", shown(&o.asset), shown(&t.asset));
    notes.differ(&place, "sender", shown(&o.sender), shown(&t.sender));
    notes.differ(
        &place,
        "recipient",
        shown(&o.recipient),
        shown(&t.recipient),
    );
    notes.differ(&place, "amount", shown(&o.amount), shown(&t.amount));
    notes.differ(&place, "topic", shown(&o.topic), shown(&t.topic));
    let value = |v: &Option<Vec<u8>>| shown(&v.as_deref().map(bytes));
    notes.differ(&place, "value", value(&o.value), value(&t.value));
    notes.differ(
        &place,
        "unlock_height",
        shown(&o.unlock_height),
        shown(&t.unlock_height),
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{BlockHeader, EventBody, EventKind, IndexBlockHash};

    fn block() -> Block {
        let header = BlockHeader {
            id: IndexBlockHash([1; 32]),
            parent: IndexBlockHash([2; 32]),
            height: 7,
            block_hash: Default::default(),
            block_time: Some(5),
            burn_block_hash: Default::default(),
            burn_block_height: 100,
            burn_block_time: 4,
            consensus_hash: None,
            burn_view: None,
            miner_txid: None,
            tenure_height: None,
        };
        let events = (0..12).map(|ordinal| Event {
            tx_index: 0,
            ordinal,
            body: EventBody::new(EventKind::StxMint),
        });
        Block {
            header,
            listed_transactions: 1,
            listed_events: 1,
            transactions: Vec::new(),
            events: events.collect(),
        }
    }

    #[test]
    fn what_not_every_source_knows_does_not_count() {
        let mut other = block();
        other.header.tenure_height = Some(3);
        other.header.consensus_hash = Some(Default::default());
        other.listed_events = 99;
        assert_eq!(differences(&block(), &other), None);
    }

    #[test]
    fn every_fact_counts_and_a_long_list_is_cut() {
        let mut other = block();
        other.events[3].body.amount = Some(5);
        assert_eq!(
            differences(&block(), &other).unwrap(),
            "event 0/3: amount none against 5"
        );
        for event in &mut other.events {
            event.body.amount = Some(6);
        }
        let text = differences(&block(), &other).unwrap();
        assert!(text.ends_with("; and 4 more"), "{text}");
        other.events.pop();
        let text = differences(&block(), &other).unwrap();
        assert!(text.starts_with("block: events 12 against 11; "), "{text}");
    }
}
