//! `/new_block` to [`Block`].

use std::collections::{HashMap, HashSet};

use stxworx_clarity::codec::transaction::{Payload, PayloadKind, Transaction as StacksTransaction};

use super::event::decode_event;
use super::payload::{Event as RawEvent, Facts, NewBlock, Transaction as RawTransaction};
use super::{DecodeError, Place, field, hash, height, hex_bytes};
use crate::model::{
    Block, BlockHeader, ConsensusHash, Event, FollowSet, Mirror, Transaction, TxId, TxKind,
    TxStatus,
};

/// What a node puts for a transaction that was sent on Bitcoin and so has no SIP-005 bytes.
const BURNCHAIN_RAW_TX: [u8; 1] = [0];

/// Decodes the body of `/new_block`, whole.
///
/// Events are put in order of their `event_index` (a node sends them in none), those that were not
/// committed or whose transaction failed are dropped, and the rest is numbered within its transaction.
///
/// # Errors
/// When the body is not such a payload. What only this version cannot read (a transaction or an event
/// of a later kind) is no error: it is kept raw.
pub fn decode_block(body: &[u8]) -> Result<Block, DecodeError> {
    decode(body, None)
}

/// The same as [`decode_block`] followed by [`FollowSet::select`], without the work for what is not kept.
///
/// # Errors
/// As [`decode_block`]; what is not kept is only looked at as far as the choice needs.
pub fn decode_block_for(body: &[u8], follow: &FollowSet) -> Result<Block, DecodeError> {
    decode(body, Some(follow).filter(|f| f.mirror == Mirror::Followed))
}

fn decode(body: &[u8], follow: Option<&FollowSet>) -> Result<Block, DecodeError> {
    let mut p: NewBlock<'_> = serde_json::from_slice(body).map_err(|source| DecodeError::Json {
        endpoint: "new_block",
        source,
    })?;
    let mut header = decode_header(&p)?;
    let listed_transactions = match p.listed_transactions {
        Some(listed) => listed,
        None => count("transactions", p.transactions.len())?,
    };
    let listed_events = match p.listed_events {
        Some(listed) => listed,
        None => count("events", p.events.len())?,
    };

    p.transactions.sort_by_key(|t| t.tx_index);
    if let Some(pair) = p
        .transactions
        .windows(2)
        .find(|w| w[0].tx_index == w[1].tx_index)
    {
        return Err(DecodeError::Inconsistent(format!(
            "transactions {} and {} both have tx_index {}",
            pair[0].txid, pair[1].txid, pair[0].tx_index
        )));
    }
    let mut transactions = Vec::with_capacity(p.transactions.len() + 1);
    for raw in &p.transactions {
        let (transaction, burn_view) = decode_transaction(raw)?;
        header.burn_view = burn_view.or(header.burn_view);
        transactions.push(transaction);
    }
    let events = effective_events(&p, &mut transactions)?;
    let kept = follow.map(|follow| concerned(follow, &transactions, &events));
    let keeps = |at: usize| kept.as_ref().is_none_or(|kept| kept.contains(&at));
    let events = decode_events(&events, &transactions, keeps)?;
    let mut at = 0;
    transactions.retain(|_| {
        at += 1;
        keeps(at - 1)
    });
    for transaction in &mut transactions {
        complete(transaction, &p.transactions)?;
    }
    Ok(Block {
        header,
        listed_transactions,
        listed_events,
        transactions,
        events,
    })
}

fn count(name: &'static str, len: usize) -> Result<u32, DecodeError> {
    u32::try_from(len).map_err(|_| field(Place::Block, name, "fewer than 2^32 elements", len))
}

fn decode_header(p: &NewBlock<'_>) -> Result<BlockHeader, DecodeError> {
    let place = Place::Block;
    Ok(BlockHeader {
        id: hash(place, "index_block_hash", &p.index_block_hash)?,
        parent: hash(place, "parent_index_block_hash", &p.parent_index_block_hash)?,
        height: height(place, "block_height", p.block_height)?,
        block_hash: hash(place, "block_hash", &p.block_hash)?,
        block_time: p.block_time.map(|t| seconds("block_time", t)).transpose()?,
        burn_block_hash: hash(place, "burn_block_hash", &p.burn_block_hash)?,
        burn_block_height: height(place, "burn_block_height", p.burn_block_height)?,
        burn_block_time: seconds("burn_block_time", p.burn_block_time)?,
        consensus_hash: p
            .consensus_hash
            .as_deref()
            .map(|text| hash(place, "consensus_hash", text))
            .transpose()?,
        burn_view: p
            .burn_view
            .as_deref()
            .map(|text| hash(place, "burn_view", text))
            .transpose()?,
        miner_txid: p
            .miner_txid
            .as_deref()
            .map(|text| hash(place, "miner_txid", text))
            .transpose()?,
        tenure_height: p
            .tenure_height
            .map(|h| height(place, "tenure_height", h))
            .transpose()?,
    })
}

fn seconds(name: &'static str, value: u64) -> Result<u64, DecodeError> {
    if i64::try_from(value).is_err() {
        return Err(field(Place::Block, name, "Unix seconds below 2^63", value));
    }
    Ok(value)
}

fn decode_transaction(
    raw: &RawTransaction<'_>,
) -> Result<(Transaction, Option<ConsensusHash>), DecodeError> {
    let place = Place::Transaction(raw.tx_index);
    let mut transaction = Transaction {
        tx_index: height(place, "tx_index", raw.tx_index)?,
        txid: hash(place, "txid", &raw.txid)?,
        kind: TxKind::Undecoded,
        status: TxStatus::from_name(&clean(&raw.status)),
        sender: None,
        sponsor: None,
        nonce: None,
        fee: None,
        contract: None,
        function: None,
        raw_tx: hex_bytes(place, "raw_tx", &raw.raw_tx)?,
        raw_result: Vec::new(),
        burnchain_op: None,
        vm_error: None,
    };
    if let (Some(facts), true) = (&raw.facts, transaction.raw_tx.is_empty()) {
        fill_from_facts(&mut transaction, facts, place)?;
        return Ok((transaction, None));
    }
    if transaction.raw_tx == BURNCHAIN_RAW_TX {
        transaction.kind = TxKind::BurnchainOp;
        return Ok((transaction, None));
    }
    let burn_view = match StacksTransaction::decode(&transaction.raw_tx) {
        Ok(decoded) => fill(&mut transaction, &decoded),
        // A transaction of a later epoch must not stop the mirror: it stays, raw.
        Err(_) => None,
    };
    Ok((transaction, burn_view))
}

/// Postgres text holds no NUL; the node's prose could.
pub(super) fn clean(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

fn fill_from_facts(
    transaction: &mut Transaction,
    facts: &Facts<'_>,
    place: Place,
) -> Result<(), DecodeError> {
    let kind = PayloadKind::ALL
        .into_iter()
        .find(|k| k.as_str() == facts.kind)
        .ok_or_else(|| field(place, "facts.kind", "a kind of payload", &facts.kind))?;
    let text = |text: &Option<std::borrow::Cow<'_, str>>| text.as_deref().map(clean);
    transaction.kind = TxKind::Stacks(kind);
    transaction.sender = Some(clean(&facts.sender));
    transaction.sponsor = text(&facts.sponsor);
    transaction.nonce = Some(facts.nonce);
    transaction.fee = Some(facts.fee);
    transaction.contract = text(&facts.contract);
    transaction.function = text(&facts.function);
    Ok(())
}

fn fill(transaction: &mut Transaction, decoded: &StacksTransaction) -> Option<ConsensusHash> {
    transaction.kind = TxKind::Stacks(decoded.payload_kind());
    transaction.sender = Some(decoded.origin_address().to_string());
    transaction.sponsor = decoded.sponsor_address().map(|p| p.to_string());
    transaction.nonce = Some(decoded.nonce());
    transaction.fee = Some(decoded.fee());
    transaction.contract = decoded.contract_id().map(|id| id.to_string());
    match &decoded.payload {
        Payload::ContractCall { function, .. } => {
            transaction.function = Some(clean(function.as_str()));
            None
        }
        Payload::TenureChange(change) => Some(ConsensusHash(change.burn_view_consensus_hash)),
        _ => None,
    }
}

/// The rest of a transaction that is kept.
fn complete(transaction: &mut Transaction, raw: &[RawTransaction<'_>]) -> Result<(), DecodeError> {
    let index = u64::from(transaction.tx_index);
    let Ok(at) = raw.binary_search_by_key(&index, |t| t.tx_index) else {
        return Ok(());
    };
    let Some(raw) = raw.get(at) else {
        return Ok(());
    };
    transaction.raw_result = hex_bytes(Place::Transaction(index), "raw_result", &raw.raw_result)?;
    let op = raw.burnchain_op.map(|v| v.get()).filter(|v| *v != "null");
    transaction.burnchain_op = op.map(clean);
    transaction.vm_error = raw.vm_error.as_deref().map(clean);
    Ok(())
}

/// Committed events of successful transactions in their order, each with its transaction's place. An
/// event of a transaction that is not listed adds a stand-in for it.
fn effective_events<'p, 'a>(
    p: &'p NewBlock<'a>,
    transactions: &mut Vec<Transaction>,
) -> Result<Vec<(usize, &'p RawEvent<'a>)>, DecodeError> {
    let mut by_txid: HashMap<TxId, usize> = HashMap::with_capacity(transactions.len());
    for (place, transaction) in transactions.iter().enumerate() {
        by_txid.entry(transaction.txid).or_insert(place);
    }
    let mut committed: Vec<_> = p.events.iter().filter(|e| e.committed).collect();
    committed.sort_by_key(|e| e.event_index);
    let mut effective = Vec::with_capacity(committed.len());
    for event in committed {
        let txid: TxId = hash(Place::Event(event.event_index), "txid", &event.txid)?;
        let at = match by_txid.get(&txid) {
            Some(at) => *at,
            None => {
                transactions.push(unlisted(txid, transactions.last())?);
                by_txid.insert(txid, transactions.len() - 1);
                transactions.len() - 1
            }
        };
        if transactions
            .get(at)
            .is_some_and(|t| t.status == TxStatus::Success)
        {
            effective.push((at, event));
        }
    }
    Ok(effective)
}

/// Places of the transactions that a mirror of what is followed keeps.
fn concerned(
    follow: &FollowSet,
    transactions: &[Transaction],
    events: &[(usize, &RawEvent<'_>)],
) -> HashSet<usize> {
    let called = transactions
        .iter()
        .enumerate()
        .filter(|(_, t)| follow.concerns_transaction(t));
    let mut kept: HashSet<usize> = called.map(|(at, _)| at).collect();
    let touched = events
        .iter()
        .filter(|(_, e)| follow.concerns_names(e.body.names()));
    kept.extend(touched.map(|(at, _)| *at));
    kept
}

fn decode_events(
    events: &[(usize, &RawEvent<'_>)],
    transactions: &[Transaction],
    keeps: impl Fn(usize) -> bool,
) -> Result<Vec<Event>, DecodeError> {
    let mut next_ordinal: HashMap<usize, u32> = HashMap::new();
    let mut decoded = Vec::with_capacity(events.len());
    for (at, event) in events.iter().filter(|(at, _)| keeps(*at)) {
        let Some(transaction) = transactions.get(*at) else {
            continue;
        };
        let ordinal = next_ordinal.entry(*at).or_default();
        decoded.push(Event {
            tx_index: transaction.tx_index,
            ordinal: *ordinal,
            body: decode_event(Place::Event(event.event_index), event)?,
        });
        *ordinal += 1;
    }
    decoded.sort_by_key(|e| (e.tx_index, e.ordinal));
    Ok(decoded)
}

/// A stand-in for a transaction that only an event names, after all listed ones.
fn unlisted(txid: TxId, last: Option<&Transaction>) -> Result<Transaction, DecodeError> {
    let tx_index = last.map_or(0, |t| u64::from(t.tx_index) + 1);
    Ok(Transaction {
        tx_index: height(Place::Transaction(tx_index), "tx_index", tx_index)?,
        txid,
        kind: TxKind::Unlisted,
        status: TxStatus::Success,
        sender: None,
        sponsor: None,
        nonce: None,
        fee: None,
        contract: None,
        function: None,
        raw_tx: Vec::new(),
        raw_result: Vec::new(),
        burnchain_op: None,
        vm_error: None,
    })
}
