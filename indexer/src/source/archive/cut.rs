//! Cutting a block's payload down to its header and what is followed.
//!
//! The rule is that of the mirror: a payload that was cut down decodes to the same block as the whole one. Where that
//! cannot be had, or the payload is not what it should be, it stays whole: what is wrong with it is then found where
//! payloads are judged.

use std::collections::{HashMap, HashSet};

use serde_json::value::RawValue;
use stxworx_clarity::codec::Transaction as StacksTransaction;
use stxworx_clarity::codec::transaction::Payload;

use super::needles::Needles;
use super::wire::{
    Block, Listed, NETWORK_DIGITS, NETWORK_SAMPLES, Skimmed, Text, Transaction, without_prefix,
};
use crate::model::{BlockRef, ConsensusHash, FollowSet, IndexBlockHash, TxId};

/// What a payload says about where its block stands, for those who must not look further.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outline {
    /// The block.
    pub block: BlockRef,
    /// Its parent.
    pub parent: IndexBlockHash,
    /// Version and chain id of some of its transactions, in hexadecimal.
    pub networks: Vec<[u8; NETWORK_DIGITS]>,
}

/// A payload of `/new_block` that was looked at.
#[derive(Debug)]
pub struct Cut {
    /// What it says about where its block stands.
    pub outline: Outline,
    /// What is left of it; none where it stays whole.
    pub body: Option<Vec<u8>>,
}

/// Reads a payload's outline without touching its contents; none where it is no such payload.
pub fn outline(body: &[u8]) -> Option<Outline> {
    let block: Skimmed<'_> = serde_json::from_slice(body).ok()?;
    outline_of(&block, block.transactions.networks.clone())
}

/// Cuts a payload down to what is followed; none where it is no such payload.
pub fn cut(body: &[u8], follow: &FollowSet, needles: &Needles) -> Option<Cut> {
    if !needles.may_hold(body) {
        let block: Skimmed<'_> = serde_json::from_slice(body).ok()?;
        let outline = outline_of(&block, block.transactions.networks.clone())?;
        if !block.transactions.is_odd {
            let listed = (count(block.transactions.count)?, count(block.events.0)?);
            let burn_view = block.transactions.burn_view.map(|(_, view)| view);
            let body = Some(write(&block, listed, burn_view, &[], &[]));
            return Some(Cut { outline, body });
        }
    }
    let Ok(block) = serde_json::from_slice::<Listed<'_>>(body) else {
        let outline = outline(body)?;
        return Some(Cut {
            outline,
            body: None,
        });
    };
    let digits = block.transactions.iter();
    let digits = digits.map(|t| without_prefix(&t.fields.raw_tx));
    let networks = digits.filter_map(|d| d.first_chunk().copied());
    let outline = outline_of(&block, networks.take(NETWORK_SAMPLES).collect())?;
    let body = select(block, follow);
    Some(Cut { outline, body })
}

fn outline_of<T, E>(
    block: &Block<'_, T, E>,
    networks: Vec<[u8; NETWORK_DIGITS]>,
) -> Option<Outline> {
    let id: IndexBlockHash = text(block.index_block_hash)?.parse().ok()?;
    let height: u32 = block.block_height.get().parse().ok()?;
    Some(Outline {
        block: BlockRef { id, height },
        parent: text(block.parent_index_block_hash)?.parse().ok()?,
        networks,
    })
}

fn text(raw: &RawValue) -> Option<String> {
    let Text(text) = serde_json::from_str(raw.get()).ok()?;
    Some(text.into_owned())
}

fn count(length: usize) -> Option<u32> {
    u32::try_from(length).ok()
}

/// What a transaction's bytes say, as far as it matters.
#[derive(Default)]
struct Said {
    contract: Option<String>,
    sender: Option<String>,
    sponsor: Option<String>,
    burn_view: Option<ConsensusHash>,
}

impl Said {
    fn concerns(&self, follow: &FollowSet) -> bool {
        let watched = |name: &Option<String>| name.as_deref().is_some_and(|n| follow.watches(n));
        let contract = self.contract.as_deref();
        contract.is_some_and(|c| follow.follows_contract(c))
            || watched(&self.sender)
            || watched(&self.sponsor)
    }
}

/// Nothing where it is not for us to say.
fn said(transaction: &Transaction<'_>) -> Option<Said> {
    if transaction.fields.facts.is_some() {
        return None;
    }
    let digits = without_prefix(&transaction.fields.raw_tx);
    if digits.starts_with(b"0x") {
        return None;
    }
    let bytes = hex::decode(digits).ok()?;
    let Ok(decoded) = StacksTransaction::decode(&bytes) else {
        return Some(Said::default());
    };
    let burn_view = match &decoded.payload {
        Payload::TenureChange(change) => Some(ConsensusHash(change.burn_view_consensus_hash)),
        _ => None,
    };
    Some(Said {
        contract: decoded.contract_id().map(|c| c.to_string()),
        sender: Some(decoded.origin_address().to_string()),
        sponsor: decoded.sponsor_address().map(|p| p.to_string()),
        burn_view,
    })
}

/// The payload without what is not followed; none where it must stay whole.
fn select(mut block: Listed<'_>, follow: &FollowSet) -> Option<Vec<u8>> {
    let listed = (count(block.transactions.len())?, count(block.events.len())?);
    block.transactions.sort_by_key(|t| t.fields.tx_index);
    let said: Vec<Said> = block.transactions.iter().map(said).collect::<Option<_>>()?;
    let places = places(&block.transactions)?;
    let concerned = (0..said.len()).filter(|at| said[*at].concerns(follow));
    let mut kept: HashSet<usize> = concerned.collect();
    let mut effective = Vec::new();
    for event in block.events.iter().filter(|e| e.fields.committed) {
        let is_followed = follow.concerns_names(event.fields.names.names());
        let Some(place) = places.get(&event.fields.txid.parse().ok()?) else {
            // The mirror makes a stand-in for its transaction, numbered after all that are listed.
            if is_followed {
                return None;
            }
            continue;
        };
        if block.transactions[*place].fields.status == "success" {
            effective.push((*place, event));
            if is_followed {
                kept.insert(*place);
            }
        }
    }
    let changes: Vec<usize> = (0..said.len())
        .filter(|at| said[*at].burn_view.is_some())
        .collect();
    let last_change = changes.last().copied();
    if changes.iter().any(|at| kept.contains(at))
        && !last_change.is_some_and(|at| kept.contains(&at))
    {
        // What an earlier change says would win over the header.
        return None;
    }
    let burn_view = last_change.and_then(|at| said[at].burn_view);
    effective.retain(|(place, _)| kept.contains(place));
    effective.sort_by_key(|(_, e)| e.fields.event_index);
    let transactions: Vec<&RawValue> = (0..said.len())
        .filter(|at| kept.contains(at))
        .map(|at| block.transactions[at].raw)
        .collect();
    let events: Vec<&RawValue> = effective.iter().map(|(_, e)| e.raw).collect();
    Some(write(&block, listed, burn_view, &transactions, &events))
}

/// Transactions by id, in order of their places; none where two share one or the other: whose events are whose is not
/// for us to say then.
fn places(transactions: &[Transaction<'_>]) -> Option<HashMap<TxId, usize>> {
    let mut places = HashMap::with_capacity(transactions.len());
    let mut last = None;
    for (place, transaction) in transactions.iter().enumerate() {
        let fields = &transaction.fields;
        if last == Some(fields.tx_index)
            || places.insert(fields.txid.parse().ok()?, place).is_some()
        {
            return None;
        }
        last = Some(fields.tx_index);
    }
    Some(places)
}

fn write<T, E>(
    block: &Block<'_, T, E>,
    listed: (u32, u32),
    burn_view: Option<ConsensusHash>,
    transactions: &[&RawValue],
    events: &[&RawValue],
) -> Vec<u8> {
    let contents: usize = transactions
        .iter()
        .chain(events)
        .map(|r| r.get().len() + 1)
        .sum();
    let mut out = Vec::with_capacity(1024 + contents);
    let mut field = |name: &str, value: &str| {
        out.push(if out.is_empty() { b'{' } else { b',' });
        for part in ["\"", name, "\":", value] {
            out.extend_from_slice(part.as_bytes());
        }
    };
    field("index_block_hash", block.index_block_hash.get());
    field(
        "parent_index_block_hash",
        block.parent_index_block_hash.get(),
    );
    field("block_height", block.block_height.get());
    field("block_hash", block.block_hash.get());
    field("burn_block_hash", block.burn_block_hash.get());
    field("burn_block_height", block.burn_block_height.get());
    for (name, value) in [
        ("block_time", block.block_time),
        ("burn_block_time", block.burn_block_time),
        ("consensus_hash", block.consensus_hash),
        ("miner_txid", block.miner_txid),
        ("tenure_height", block.tenure_height),
    ] {
        if let Some(value) = value {
            field(name, value.get());
        }
    }
    match burn_view {
        Some(view) => field("burn_view", &format!("\"{view}\"")),
        None => {
            if let Some(view) = block.burn_view {
                field("burn_view", view.get());
            }
        }
    }
    let listed_transactions = block.listed_transactions.unwrap_or(listed.0);
    let listed_events = block.listed_events.unwrap_or(listed.1);
    field("listed_transactions", &listed_transactions.to_string());
    field("listed_events", &listed_events.to_string());
    out.extend_from_slice(b",\"transactions\":");
    list(&mut out, transactions);
    out.extend_from_slice(b",\"events\":");
    list(&mut out, events);
    out.push(b'}');
    out
}

fn list(out: &mut Vec<u8>, elements: &[&RawValue]) {
    out.push(b'[');
    for (at, element) in elements.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        out.extend_from_slice(element.get().as_bytes());
    }
    out.push(b']');
}
