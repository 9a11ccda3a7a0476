//! Lists, in pages.

use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use stxworx_clarity::simnet::{Receipt, SealedBlock};

use super::index::{LogPlace, Place};
use super::render;
use super::rows::{elections, find};
use super::{
    Answer, Api, DEFAULT_LIMIT, MAX_BLOCKS, MAX_BURN_BLOCKS, MAX_EVENTS, MAX_TRANSACTIONS, Refused,
    bad, hash, missing, tip_tag,
};

/// What the API writes where a transaction was not in a microblock.
const ANCHORED: u32 = 0x7fff_ffff;

#[derive(Debug, Deserialize)]
pub(super) struct Paging {
    limit: Option<String>,
    offset: Option<String>,
    cursor: Option<String>,
}

impl Paging {
    fn limit(&self, max: usize) -> Result<usize, Refused> {
        let Some(text) = &self.limit else {
            return Ok(DEFAULT_LIMIT.min(max));
        };
        let limit: usize = text.parse().unwrap_or(0);
        if limit == 0 || limit > max {
            return Err(bad(format!("querystring/limit must be 1 to {max}")));
        }
        Ok(limit)
    }

    fn offset(&self) -> Result<usize, Refused> {
        let text = self.offset.as_deref().unwrap_or("0");
        text.parse()
            .map_err(|_| bad("querystring/offset must be integer"))
    }

    /// The numbers of a cursor, which stand between colons.
    fn numbers<const N: usize>(&self) -> Result<Option<[u32; N]>, Refused> {
        let Some(text) = &self.cursor else {
            return Ok(None);
        };
        let numbers: Result<Vec<u32>, _> = text.split(':').map(str::parse).collect();
        let numbers = numbers.ok().and_then(|n| <[u32; N]>::try_from(n).ok());
        numbers
            .map(Some)
            .ok_or_else(|| bad("querystring/cursor must match pattern"))
    }
}

pub(super) async fn blocks(
    State(api): State<Api>,
    headers: HeaderMap,
    Query(paging): Query<Paging>,
) -> Response {
    api.answer(headers, move |index| {
        let limit = paging.limit(MAX_BLOCKS)?;
        let top = match &paging.cursor {
            None => index.tip(),
            Some(text) => hash(text).and_then(|h| index.by_hash(&h)),
        };
        let top = top
            .ok_or_else(|| missing("Cursor not found"))?
            .header
            .height;
        let step = u32::try_from(limit).unwrap_or(u32::MAX);
        let rows: Vec<Json> = (0..=top)
            .rev()
            .take(limit)
            .filter_map(|h| index.at(h))
            .map(|b| render::block(b))
            .collect();
        let id = |height: u32| index.at(height).map(|b| render::hex0x(&b.header.id));
        let newest = u32::try_from(index.len())
            .unwrap_or(u32::MAX)
            .saturating_sub(1);
        let newer = (top < newest).then(|| top.saturating_add(step).min(newest));
        let body = json!({
            "limit": limit,
            "offset": 0,
            "total": index.len(),
            "next_cursor": newer.and_then(id),
            "prev_cursor": top.checked_sub(step).and_then(id),
            "cursor": id(top),
            "results": rows,
        });
        Ok(Answer {
            tag: tip_tag(index),
            body,
        })
    })
    .await
}

pub(super) async fn burn_blocks(
    State(api): State<Api>,
    headers: HeaderMap,
    Query(paging): Query<Paging>,
) -> Response {
    api.answer(headers, move |index| {
        let (limit, offset) = (paging.limit(MAX_BURN_BLOCKS)?, paging.offset()?);
        let rows = elections(index);
        let page = rows.iter().skip(offset).take(limit);
        let body = json!({
            "limit": limit,
            "offset": offset,
            "total": rows.len(),
            "results": page.map(|row| render::burn_block(row)).collect::<Vec<_>>(),
        });
        Ok(Answer {
            tag: tip_tag(index),
            body,
        })
    })
    .await
}

fn log_cursor((height, index, event): LogPlace) -> String {
    format!("{height}:{ANCHORED}:{index}:{event}")
}

pub(super) async fn logs(
    State(api): State<Api>,
    headers: HeaderMap,
    Path(contract): Path<String>,
    Query(paging): Query<Paging>,
) -> Response {
    api.answer(headers, move |index| {
        let limit = paging.limit(MAX_EVENTS)?;
        let places = index.logs_of(&contract);
        // Positions count from the oldest; a page goes downwards from its first.
        let first = match paging.numbers::<4>()? {
            None => places.len().checked_sub(1),
            Some([height, ANCHORED, transaction, event]) => {
                let wanted = (height, transaction, event);
                let at = places.binary_search(&wanted);
                Some(at.map_err(|_| missing("Cursor not found"))?)
            }
            Some(_) => return Err(missing("Cursor not found")),
        };
        let page: Vec<LogPlace> = first.map_or_else(Vec::new, |first| {
            places[..=first].iter().rev().take(limit).copied().collect()
        });
        let cursor = |at: usize| places.get(at).map(|p| log_cursor(*p));
        let newer = first
            .filter(|first| first + 1 < places.len())
            .map(|first| (first + limit).min(places.len() - 1));
        let older = first.and_then(|first| first.checked_sub(limit));
        let rows: Vec<Json> = page
            .iter()
            .filter_map(|(height, transaction, event)| {
                let (_, _, receipt) = index.receipt((*height, *transaction))?;
                log_row(receipt, *event)
            })
            .collect();
        let body = json!({
            "limit": limit,
            "offset": 0,
            "total": places.len(),
            "next_cursor": newer.and_then(cursor),
            "prev_cursor": older.and_then(cursor),
            "cursor": first.and_then(cursor),
            "results": rows,
        });
        Ok(Answer {
            tag: tip_tag(index),
            body,
        })
    })
    .await
}

fn log_row(receipt: &Receipt, event: u32) -> Option<Json> {
    let said = receipt.events.get(usize::try_from(event).ok()?)?;
    let row = render::event(event, said);
    Some(json!({
        "event_index": event,
        "event_type": "smart_contract_log",
        "tx_id": render::hex0x(&receipt.txid),
        "contract_log": row.get("contract_log"),
    }))
}

fn cursor_of((height, index): Place) -> String {
    format!("{height}:{ANCHORED}:{index}")
}

/// A page of places, which stand oldest first, as version 3 pages them: the newest first, `next` is older.
fn page_of_transactions(
    places: &[Place],
    paging: &Paging,
    row: impl Fn(&Place) -> Option<Json>,
) -> Result<Json, Refused> {
    let limit = paging.limit(MAX_TRANSACTIONS)?;
    let end = match paging.numbers::<3>()? {
        None => places.len(),
        // `H:0:0` stands for the top of block H; nothing here was ever in a microblock.
        Some([height, 0, 0]) => places.partition_point(|(h, _)| *h <= height),
        Some([height, _, index]) => places.partition_point(|p| *p <= (height, index)),
    };
    let page: Vec<&Place> = places[..end].iter().rev().take(limit).collect();
    let cursor = |at: usize| places.get(at).map(|p| cursor_of(*p));
    let older = end.checked_sub(limit + 1);
    let newer = (end < places.len()).then(|| (end + limit).min(places.len()) - 1);
    Ok(json!({
        "total": places.len(),
        "limit": limit,
        "cursor": {
            "next": older.and_then(cursor),
            "previous": newer.and_then(cursor),
            "current": page.first().map(|p| cursor_of(**p)),
        },
        "results": page.into_iter().filter_map(row).collect::<Vec<_>>(),
    }))
}

pub(super) async fn principal_transactions(
    State(api): State<Api>,
    headers: HeaderMap,
    Path(principal): Path<String>,
    Query(paging): Query<Paging>,
) -> Response {
    api.answer(headers, move |index| {
        if principal
            .parse::<stxworx_clarity::codec::Principal>()
            .is_err()
        {
            return Err(bad("params/principal must match pattern"));
        }
        let places = index.of_principal(&principal);
        let body = page_of_transactions(places, &paging, |place| {
            let (block, at, receipt) = index.receipt(*place)?;
            Some(principal_row(&principal, block, at, receipt))
        })?;
        let newest = places.last().map_or_else(String::new, |p| cursor_of(*p));
        Ok(Answer {
            tag: format!("{principal}:{newest}:{}", tip_tag(index)),
            body,
        })
    })
    .await
}

fn principal_row(principal: &str, block: &SealedBlock, at: u32, receipt: &Receipt) -> Json {
    let transaction = &receipt.transaction;
    let is = |who: Option<String>| who.as_deref() == Some(principal);
    let involvement = if is(Some(transaction.origin_address().to_string())) {
        "sender"
    } else if is(transaction.sponsor_address().map(|p| p.to_string())) {
        "sponsor"
    } else {
        "affected"
    };
    json!({
        "transaction": render::summary(block, at, receipt),
        "involvement": involvement,
        "balance_changes": { "stx": { "sent": "0", "received": "0", "net": "0" } },
        "affected_balances": { "stx": false, "ft": false, "nft": false },
    })
}

pub(super) async fn block_transactions(
    State(api): State<Api>,
    headers: HeaderMap,
    Path(id): Path<String>,
    Query(paging): Query<Paging>,
) -> Response {
    api.answer(headers, move |index| {
        let block = find(index, &id)?;
        let places: Vec<Place> = (0u32..)
            .zip(&block.receipts)
            .map(|(at, _)| (block.header.height, at))
            .collect();
        let body = page_of_transactions(&places, &paging, |place| {
            let (block, at, receipt) = index.receipt(*place)?;
            Some(render::summary(block, at, receipt))
        })?;
        Ok(Answer {
            tag: format!("{}:true", render::hex0x(&block.header.id)),
            body,
        })
    })
    .await
}

pub(super) async fn events(
    State(api): State<Api>,
    headers: HeaderMap,
    Path(txid): Path<String>,
    Query(paging): Query<Paging>,
) -> Response {
    api.answer(headers, move |index| {
        let limit = paging.limit(MAX_EVENTS)?;
        let id = hash(&txid).ok_or_else(|| bad("Invalid transaction id"))?;
        let first = paging.numbers::<1>()?.map_or(0, |[first]| first);
        let (block, _, receipt) = index
            .transaction(&id)
            .ok_or_else(|| missing("Transaction not found"))?;
        let rows: Vec<Json> = (0u32..)
            .zip(&receipt.events)
            .skip_while(|(at, _)| *at < first)
            .take(limit)
            .map(|(at, event)| render::event(at, event))
            .collect();
        let size = u32::try_from(limit).unwrap_or(u32::MAX);
        let after = first.saturating_add(size);
        let more = usize::try_from(after).is_ok_and(|after| after < receipt.events.len());
        let body = json!({
            "total": receipt.events.len(),
            "limit": limit,
            "cursor": {
                "next": more.then(|| after.to_string()),
                "previous": (first > 0).then(|| first.saturating_sub(size).to_string()),
                "current": (!rows.is_empty()).then(|| first.to_string()),
            },
            "results": rows,
        });
        let tag = format!(
            "{}:{}",
            render::hex0x(&receipt.txid),
            render::hex0x(&block.header.id)
        );
        Ok(Answer { tag, body })
    })
    .await
}
