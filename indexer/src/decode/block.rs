//! `/new_block` to [`Block`].

use std::collections::HashMap;

use stxworx_clarity::codec::transaction::{Payload, Transaction as StacksTransaction};

use super::event::decode_event;
use super::payload::{NewBlock, Transaction as RawTransaction};
use super::{DecodeError, field, hash, height, hex_bytes};
use crate::model::{
    Block, BlockHeader, ConsensusHash, Event, Transaction, TxId, TxKind, TxStatus,
};

/// What a node puts for a transaction that was sent on Bitcoin and so has no SIP-005 bytes.
const BURNCHAIN_RAW_TX: [u8; 1] = [0];

/// Decodes the body of `/new_block`.
///
/// Events are put in order of their `event_index` (a node sends them in none), those that were not
/// committed or whose transaction failed are dropped, and the rest is numbered within its transaction.
///
/// # Errors
/// When the body is not such a payload. What only this version cannot read (a transaction or an event
/// of a later kind) is no error: it is kept raw.
pub fn decode_block(body: &[u8]) -> Result<Block, DecodeError> {
    let p: NewBlock<'_> = serde_json::from_slice(body)
        .map_err(|source| DecodeError::Json { endpoint: "new_block", source })?;
    let mut header = decode_header(&p)?;
    let listed_transactions = count("transactions", p.transactions.len())?;
    let listed_events = count("events", p.events.len())?;

    let mut transactions = Vec::with_capacity(p.transactions.len());
    for raw in &p.transactions {
        let (transaction, burn_view) = decode_transaction(raw)?;
        header.burn_view = burn_view.or(header.burn_view);
        transactions.push(transaction);
    }
    transactions.sort_by_key(|t| t.tx_index);
    if let Some(pair) = transactions.windows(2).find(|w| w[0].tx_index == w[1].tx_index) {
        return Err(DecodeError::Inconsistent(format!(
            "transactions {} and {} both have tx_index {}",
            pair[0].txid, pair[1].txid, pair[0].tx_index
        )));
    }
    let events = decode_events(&p, &mut transactions)?;
    Ok(Block { header, listed_transactions, listed_events, transactions, events })
}

fn count(name: &'static str, len: usize) -> Result<u32, DecodeError> {
    u32::try_from(len).map_err(|_| field("block", name, "fewer than 2^32 elements", len))
}

fn decode_header(p: &NewBlock<'_>) -> Result<BlockHeader, DecodeError> {
    let place = "block";
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
        burn_view: None,
        miner_txid: hash(place, "miner_txid", &p.miner_txid)?,
        tenure_height: p.tenure_height.map(|h| height(place, "tenure_height", h)).transpose()?,
    })
}

fn seconds(name: &'static str, value: u64) -> Result<u64, DecodeError> {
    if i64::try_from(value).is_err() {
        return Err(field("block", name, "Unix seconds below 2^63", value));
    }
    Ok(value)
}

fn decode_transaction(
    raw: &RawTransaction<'_>,
) -> Result<(Transaction, Option<ConsensusHash>), DecodeError> {
    let place = format!("transaction {}", raw.tx_index);
    let mut transaction = Transaction {
        tx_index: height(&place, "tx_index", raw.tx_index)?,
        txid: hash(&place, "txid", &raw.txid)?,
        kind: TxKind::Undecoded,
        status: TxStatus::from_name(&raw.status),
        sender: None,
        sponsor: None,
        nonce: None,
        fee: None,
        contract: None,
        function: None,
        raw_tx: hex_bytes(&place, "raw_tx", &raw.raw_tx)?,
        raw_result: hex_bytes(&place, "raw_result", &raw.raw_result)?,
        burnchain_op: raw.burnchain_op.map(|v| v.get()).filter(|v| *v != "null").map(str::to_owned),
        vm_error: raw.vm_error.as_deref().map(clean),
    };
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

fn decode_events(
    p: &NewBlock<'_>,
    transactions: &mut Vec<Transaction>,
) -> Result<Vec<Event>, DecodeError> {
    let mut by_txid: HashMap<TxId, usize> = HashMap::with_capacity(transactions.len());
    for (place, transaction) in transactions.iter().enumerate() {
        by_txid.entry(transaction.txid).or_insert(place);
    }
    let mut raw: Vec<_> = p.events.iter().filter(|e| e.committed).collect();
    raw.sort_by_key(|e| e.event_index);

    let mut next_ordinal: HashMap<usize, u32> = HashMap::new();
    let mut events = Vec::with_capacity(raw.len());
    for event in raw {
        let place = format!("event {}", event.event_index);
        let txid: TxId = hash(&place, "txid", &event.txid)?;
        let at = *by_txid.entry(txid).or_insert_with(|| {
            transactions.push(unlisted(txid, transactions.last()));
            transactions.len() - 1
        });
        let transaction = &transactions[at];
        if transaction.status != TxStatus::Success {
            continue;
        }
        let ordinal = next_ordinal.entry(at).or_default();
        events.push(Event {
            tx_index: transaction.tx_index,
            ordinal: *ordinal,
            body: decode_event(&place, event)?,
        });
        *ordinal += 1;
    }
    events.sort_by_key(|e| (e.tx_index, e.ordinal));
    Ok(events)
}

/// A stand-in for a transaction that only an event names, after all listed ones.
fn unlisted(txid: TxId, last: Option<&Transaction>) -> Transaction {
    Transaction {
        tx_index: last.map_or(0, |t| t.tx_index.saturating_add(1)),
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
    }
}
