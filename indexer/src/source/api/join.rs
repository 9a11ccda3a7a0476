//! From the lists to the transactions that they name.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use futures::StreamExt as _;

use super::feeds::{Feed, Mention, Of};
use super::headers::Headers;
use super::memory::{Joined, Memory};
use super::pool::Host;
use super::wire::{PageV3, RawEvent, TxPlace, TxRow};
use super::{Cut, moved};
use crate::model::{FollowSet, TxId};
use crate::source::http::FetchError;

/// Largest page of events.
const EVENTS: usize = 100;
/// Most events of a transaction; a block's budget allows far fewer.
const MAX_EVENTS: usize = 100_000;

/// Height of the block and index in it.
type Place = (u32, u32);

/// The lists that have to be read for a follow set.
fn feeds(follow: &FollowSet) -> Vec<Feed> {
    let logs = follow.contracts.iter().cloned().map(Of::Logs);
    let all = follow.contracts.union(&follow.principals).cloned();
    logs.chain(all.map(Of::Transactions))
        .map(Feed::new)
        .collect()
}

/// Every followed transaction of these blocks with its events, by height and index.
pub(super) async fn joined(
    host: &Host,
    memory: &mut Memory,
    follow: &FollowSet,
    headers: &Headers,
    tip: u32,
) -> Result<BTreeMap<Place, Joined>, Cut> {
    let (Some(first), Some(last)) = (headers.first(), headers.last()) else {
        return Ok(BTreeMap::new());
    };
    let (from, to) = (first.height, last.height);
    memory.trim();
    if memory.feeds.is_empty() {
        memory.feeds = feeds(follow);
    }
    for feed in &mut memory.feeds {
        feed.know(host, from, to, tip).await?;
    }
    let mentions = merged(memory, from, to)?;
    read_rows(host, memory, &mentions).await?;
    let found = in_range(memory, &mentions, headers)?;
    read_events(host, memory, &found).await?;
    let mut joined = BTreeMap::new();
    for (place, txid) in found {
        let whole = memory.joined(&txid).cloned();
        let whole = whole.ok_or_else(|| moved("a transaction was given up while it was needed"))?;
        if joined.insert(place, whole).is_some() {
            let what = format!("transaction {txid}");
            let why = format!("another one stands at {place:?} as well");
            return Err(FetchError::unusable(what, why).into());
        }
    }
    Ok(joined)
}

/// What the lists say of each transaction, together.
fn merged(memory: &Memory, from: u32, to: u32) -> Result<HashMap<TxId, Mention>, Cut> {
    let mut merged: HashMap<TxId, Mention> = HashMap::new();
    for mention in memory.feeds.iter().flat_map(|f| f.mentions(from, to)) {
        let all = merged
            .entry(mention.txid)
            .or_insert_with(|| mention.clone());
        if all.block.is_some() && mention.block.is_some() && all.block != mention.block {
            return Err(moved("two lists name two blocks of one transaction"));
        }
        all.low = all.low.max(mention.low);
        all.high = all.high.min(mention.high);
        all.block = all.block.or(mention.block);
        if all.low > all.high {
            return Err(moved("two lists name two heights of one transaction"));
        }
    }
    merged.retain(|_, m| m.low <= to && from <= m.high);
    Ok(merged)
}

/// Reads the transactions that are not remembered.
async fn read_rows(
    host: &Host,
    memory: &mut Memory,
    mentions: &HashMap<TxId, Mention>,
) -> Result<(), Cut> {
    let mut missing: Vec<TxId> = mentions
        .keys()
        .filter(|txid| memory.joined(txid).is_none())
        .copied()
        .collect();
    missing.sort_unstable();
    let rows = missing.into_iter().map(|txid| row(host, txid));
    let mut rows = futures::stream::iter(rows).buffer_unordered(host.concurrency());
    while let Some(row) = rows.next().await {
        memory.keep(Joined {
            row: Arc::new(row?),
            events: None,
        });
    }
    Ok(())
}

async fn row(host: &Host, txid: TxId) -> Result<TxRow, Cut> {
    let path = format!("/extended/v3/transactions/{txid}?include=function_args,result");
    let row: TxRow = match host.get(&path).await {
        Err(FetchError::NotFound { .. }) => return Err(moved("a listed transaction is gone")),
        row => row?,
    };
    if row.tx_id != txid {
        let why = format!("it is transaction {}", row.tx_id);
        return Err(FetchError::unusable(path, why).into());
    }
    Ok(row)
}

/// The places of those that stand in these blocks, checked against the headers and the lists.
fn in_range(
    memory: &mut Memory,
    mentions: &HashMap<TxId, Mention>,
    headers: &Headers,
) -> Result<Vec<(Place, TxId)>, Cut> {
    let mut found = Vec::new();
    for (txid, mention) in mentions {
        let Some(place) = memory.joined(txid).map(|j| j.row.block) else {
            return Err(moved("a transaction was given up while it was needed"));
        };
        let Some(TxPlace {
            height,
            index_hash,
            tx_index,
        }) = place
        else {
            return Err(moved("a listed transaction is not mined any more"));
        };
        let elsewhere = mention.block.is_some_and(|id| id != index_hash);
        if elsewhere || !(mention.low..=mention.high).contains(&height) {
            return Err(moved("a transaction is not where the lists say"));
        }
        for feed in &mut memory.feeds {
            feed.place(txid, height, index_hash);
        }
        let Some(header) = headers.at(height) else {
            continue;
        };
        if header.index_block_hash != index_hash {
            return Err(moved(
                "a transaction names a block that the headers do not have",
            ));
        }
        found.push(((height, tx_index), *txid));
    }
    Ok(found)
}

async fn read_events(host: &Host, memory: &mut Memory, found: &[(Place, TxId)]) -> Result<(), Cut> {
    let missing: Vec<Arc<TxRow>> = found
        .iter()
        .filter_map(|(_, txid)| memory.joined(txid))
        // What failed has no effect, and so no events, whatever an old node once wrote.
        .filter(|j| j.events.is_none() && j.row.event_count > 0 && j.row.status == "success")
        .map(|j| Arc::clone(&j.row))
        .collect();
    let events = missing.into_iter().map(|row| async move {
        let events = events(host, &row).await;
        events.map(|events| (row, events))
    });
    let mut events = futures::stream::iter(events).buffer_unordered(host.concurrency());
    while let Some(read) = events.next().await {
        let (row, events) = read?;
        memory.keep(Joined {
            row,
            events: Some(events.into()),
        });
    }
    Ok(())
}

async fn events(host: &Host, row: &TxRow) -> Result<Vec<RawEvent>, Cut> {
    let wanted = usize::try_from(row.event_count).unwrap_or(usize::MAX);
    let base = format!("/extended/v3/transactions/{}/events", row.tx_id);
    if wanted > MAX_EVENTS {
        let why = format!("{wanted} events are more than {MAX_EVENTS}");
        return Err(FetchError::unusable(base, why).into());
    }
    let mut events: Vec<RawEvent> = Vec::new();
    while events.len() < wanted {
        // The cursor is an event's index, and these count from 0 without a gap.
        let path = format!("{base}?limit={EVENTS}&cursor={}", events.len());
        let page: PageV3<RawEvent> = match host.get(&path).await {
            Err(FetchError::NotFound { .. }) => return Err(moved("a listed transaction is gone")),
            page => page?,
        };
        if page.results.is_empty() || page.results.len() > EVENTS {
            let why = format!(
                "{} events at {} of {wanted}",
                page.results.len(),
                events.len()
            );
            return Err(FetchError::unusable(path, why).into());
        }
        events.extend(page.results);
    }
    if events.len() != wanted {
        let why = format!(
            "{} events, where the transaction counts {wanted}",
            events.len()
        );
        return Err(FetchError::unusable(base, why).into());
    }
    Ok(events)
}
