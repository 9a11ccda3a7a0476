//! Lists of what was done: by a contract's prints, by a principal's transactions.
//!
//! Both are newest first. A principal's list can be entered at any height; a contract's logs only at a cursor
//! that exists, and their rows do not name their block. So cursors are collected on the way, and what is known
//! of a row is between which heights it stands.
//!
//! A list is read for a window of heights that is much wider than what is asked for, the wider the less is in
//! it: then a quiet contract costs a question per thousands of blocks, and a busy one a question per page.

use std::collections::{BTreeMap, HashMap};

use super::pool::Host;
use super::wire::{LogRow, Page, PageV3, PrincipalRow};
use super::{Cut, moved};
use crate::model::{IndexBlockHash, TxId};
use crate::source::http::FetchError;

/// Largest pages of these lists.
const LOGS: usize = 100;
const TRANSACTIONS: usize = 50;
/// Rows in a window above which a narrower one is read.
const CROWDED: usize = 2_000;
/// Most pages for what was asked for.
const MAX_PAGES: usize = 20_000;
/// Width of the first window, in blocks.
const FIRST_SPAN: u32 = 4_096;
const SMALLEST_SPAN: u32 = 64;
const WIDEST_SPAN: u32 = 1 << 24;
/// How far below what is asked for a window begins: whoever looks for a common ancestor asks downwards.
const LOOK_BACK: u32 = 60;
/// Most cursors that are remembered of a contract's logs.
const MAX_STARTS: usize = 65_536;

/// Whose list it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Of {
    /// What a contract printed.
    Logs(String),
    /// Where a principal is concerned.
    Transactions(String),
}

/// A transaction that a list names, and the heights between which it stands, both included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mention {
    pub txid: TxId,
    pub low: u32,
    pub high: u32,
    /// Its block, where the list tells.
    pub block: Option<IndexBlockHash>,
}

/// All mentions from one height to another.
#[derive(Debug)]
struct Window {
    low: u32,
    high: u32,
    mentions: Vec<Mention>,
}

/// A list, as far as it is known.
#[derive(Debug)]
pub(super) struct Feed {
    of: Of,
    window: Option<Window>,
    span: u32,
    /// Cursors that existed, by height.
    starts: BTreeMap<u32, String>,
}

/// What a walk through a list came to.
enum Walk {
    Done(Vec<Mention>),
    Crowded,
}

impl Feed {
    pub(super) fn new(of: Of) -> Self {
        Self {
            of,
            window: None,
            span: FIRST_SPAN,
            starts: BTreeMap::new(),
        }
    }

    /// The chain changed. Cursors are tried all the same: one that is gone is refused.
    pub(super) fn forget(&mut self) {
        self.window = None;
    }

    /// The chain has left everything above this height. `below` tells of transactions that stand at or below it.
    pub(super) fn retreat(&mut self, height: u32, below: impl Fn(&TxId) -> bool) {
        let Some(mut window) = self.window.take().filter(|w| w.low <= height) else {
            return;
        };
        window.high = window.high.min(height);
        window.mentions.retain(|m| m.low <= height);
        // Of one that may stand on either side there is no telling, unless its transaction is known.
        let certain = |m: &Mention| m.high <= height || below(&m.txid);
        self.window = Some(window).filter(|w| w.mentions.iter().all(certain));
    }

    /// Mentions that may stand between two heights, both included, and which [`Feed::know`] has made known.
    pub(super) fn mentions(&self, from: u32, to: u32) -> impl Iterator<Item = &Mention> {
        let all = self.window.iter().flat_map(|w| &w.mentions);
        all.filter(move |m| m.low <= to && from <= m.high)
    }

    /// Notes where a transaction stands.
    pub(super) fn place(&mut self, txid: &TxId, height: u32, block: IndexBlockHash) {
        let all = self.window.iter_mut().flat_map(|w| &mut w.mentions);
        for mention in all.filter(|m| m.txid == *txid) {
            (mention.low, mention.high, mention.block) = (height, height, Some(block));
        }
    }

    /// Reads what is missing of these heights, both included. `tip` is the height of the server's tip.
    pub(super) async fn know(
        &mut self,
        host: &Host,
        from: u32,
        to: u32,
        tip: u32,
    ) -> Result<(), Cut> {
        let known = self
            .window
            .as_ref()
            .filter(|w| w.low <= from && from <= w.high.saturating_add(1));
        if known.is_some_and(|w| to <= w.high) {
            return Ok(());
        }
        let begin = known.map_or(from.saturating_sub(LOOK_BACK), |w| w.high.saturating_add(1));
        let extends = known.is_some();
        let mut end = begin.saturating_add(self.span - 1).min(tip).max(to);
        let found = loop {
            match self.walk(host, begin, end, tip, end > to).await? {
                Walk::Done(found) => break found,
                Walk::Crowded => {
                    end = begin.saturating_add((end - begin) / 8).max(to);
                    self.span = (self.span / 8).max(SMALLEST_SPAN);
                }
            }
        };
        if found.len() < CROWDED / 20 {
            self.span = self.span.saturating_mul(4).min(WIDEST_SPAN);
        } else if found.len() > CROWDED / 2 {
            self.span = (self.span / 2).max(SMALLEST_SPAN);
        }
        match &mut self.window {
            Some(window) if extends => {
                let low = window.low.max(from.saturating_sub(LOOK_BACK));
                window.mentions.retain(|m| m.high >= low);
                window.mentions.extend(found);
                (window.low, window.high) = (low, end);
            }
            window => {
                *window = Some(Window {
                    low: begin,
                    high: end,
                    mentions: found,
                });
            }
        }
        Ok(())
    }

    async fn walk(
        &mut self,
        host: &Host,
        begin: u32,
        end: u32,
        tip: u32,
        may_narrow: bool,
    ) -> Result<Walk, Cut> {
        match self.of.clone() {
            Of::Transactions(name) => transactions(host, &name, begin, end, tip, may_narrow).await,
            Of::Logs(contract) => {
                self.logs(host, &contract, begin, end, tip, may_narrow)
                    .await
            }
        }
    }

    /// Where to enter the logs so that nothing at or below this height is missed.
    fn start(&self, height: u32) -> Option<(u32, String)> {
        let above = height.checked_add(1)?;
        let (height, cursor) = self.starts.range(above..).next()?;
        Some((*height, cursor.clone()))
    }

    fn remember(&mut self, height: u32, cursor: &str) {
        self.starts.insert(height, cursor.to_owned());
        if self.starts.len() > MAX_STARTS {
            let mut odd = false;
            self.starts.retain(|_, _| {
                odd = !odd;
                odd
            });
        }
    }

    async fn logs(
        &mut self,
        host: &Host,
        contract: &str,
        begin: u32,
        end: u32,
        tip: u32,
        may_narrow: bool,
    ) -> Result<Walk, Cut> {
        let mut found = Found::default();
        let mut at = (end < tip).then(|| self.start(end)).flatten();
        let mut entered = false;
        for _ in 0..MAX_PAGES {
            let (path, page) = match log_page(host, contract, at.as_ref().map(|(_, c)| &**c)).await
            {
                Ok(page) => page,
                Err(FetchError::NotFound { what }) => {
                    let Some((height, _)) = at.take() else {
                        // Whoever has no such list has an empty one; there is no such question here.
                        return Err(FetchError::NotOffered { what, status: 404 }.into());
                    };
                    self.starts.remove(&height);
                    if entered {
                        return Err(moved("a cursor of a page of logs is gone"));
                    }
                    at = self.start(end);
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            entered = true;
            let first = match &page.cursor {
                Some(cursor) => log_height(&path, cursor)?,
                // Blocks may have come since the tip was named.
                None => at.as_ref().map_or(u32::MAX, |(height, _)| *height),
            };
            if let Some(cursor) = &page.cursor {
                self.remember(first, cursor);
            }
            let older = match &page.prev_cursor {
                Some(cursor) => Some((log_height(&path, cursor)?, cursor.clone())),
                None => None,
            };
            let low = older.as_ref().map_or(0, |(height, _)| *height);
            if low > first {
                return Err(FetchError::unusable(path, "its older page is newer").into());
            }
            if low <= end {
                for row in &page.results {
                    found.add(row.tx_id, low, first);
                }
            }
            if let Some((height, cursor)) = &older {
                self.remember(*height, cursor);
            }
            if low < begin || older.is_none() {
                return Ok(Walk::Done(found.into_mentions(begin, end)));
            }
            if may_narrow && found.len() > CROWDED {
                return Ok(Walk::Crowded);
            }
            if older.as_ref().map(|(_, c)| c) == at.as_ref().map(|(_, c)| c) {
                return Err(FetchError::unusable(path, "its older page is itself").into());
            }
            at = older;
        }
        let what = format!("the logs of {contract}");
        Err(FetchError::unusable(what, format!("they have more than {MAX_PAGES} pages")).into())
    }
}

/// Mentions of logs: a transaction has several, on pages that overlap.
#[derive(Default)]
struct Found {
    order: Vec<TxId>,
    spans: HashMap<TxId, (u32, u32)>,
}

impl Found {
    fn len(&self) -> usize {
        self.order.len()
    }

    fn add(&mut self, txid: TxId, low: u32, high: u32) {
        let span = self.spans.entry(txid).or_insert_with(|| {
            self.order.push(txid);
            (low, high)
        });
        *span = (span.0.max(low), span.1.min(high));
    }

    fn into_mentions(self, begin: u32, end: u32) -> Vec<Mention> {
        let mentions = self.order.iter().filter_map(|txid| {
            let (low, high) = *self.spans.get(txid)?;
            (low <= end && begin <= high).then_some(Mention {
                txid: *txid,
                low,
                high,
                block: None,
            })
        });
        mentions.collect()
    }
}

async fn log_page(
    host: &Host,
    contract: &str,
    cursor: Option<&str>,
) -> Result<(String, Page<LogRow>), FetchError> {
    let mut path = format!("/extended/v2/smart-contracts/{contract}/logs?limit={LOGS}");
    if let Some(cursor) = cursor {
        path = format!("{path}&cursor={cursor}");
    }
    let page: Page<LogRow> = host.get(&path).await?;
    if page.results.len() > LOGS {
        return Err(FetchError::unusable(path, "the page is longer than asked"));
    }
    if page
        .results
        .iter()
        .any(|r| r.contract_log.contract_id != contract)
    {
        return Err(FetchError::unusable(path, "a row is of another contract"));
    }
    if page.results.is_empty() && page.prev_cursor.is_some() {
        return Err(FetchError::unusable(
            path,
            "the page is empty and not the last",
        ));
    }
    Ok((path, page))
}

/// The height in a cursor of logs, which is all that tells of a block there.
fn log_height(path: &str, cursor: &str) -> Result<u32, FetchError> {
    let numbers: Vec<&str> = cursor.split(':').collect();
    let digits = |text: &&str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let height = numbers.first().and_then(|text| text.parse().ok());
    match height {
        Some(height) if numbers.len() == 4 && numbers.iter().all(digits) => Ok(height),
        _ => {
            let cursor: String = cursor.chars().take(80).collect();
            Err(FetchError::unusable(
                path,
                format!("{cursor:?} is no cursor of logs"),
            ))
        }
    }
}

async fn transactions(
    host: &Host,
    name: &str,
    begin: u32,
    end: u32,
    tip: u32,
    may_narrow: bool,
) -> Result<Walk, Cut> {
    let base = format!("/extended/v3/principals/{name}/transactions?limit={TRANSACTIONS}");
    // `H:0:0` stands for the top of block H, unless something stands exactly there: entering one block higher
    // is right either way.
    let above = end.saturating_add(1);
    let mut cursor = (end < tip).then(|| format!("{above}:0:0"));
    let mut found = Vec::new();
    let mut last: Option<(u32, u32)> = None;
    for _ in 0..MAX_PAGES {
        let path = match &cursor {
            Some(cursor) => format!("{base}&cursor={cursor}"),
            None => base.clone(),
        };
        let page: PageV3<PrincipalRow> = match host.get(&path).await {
            Err(FetchError::NotFound { what }) => {
                return Err(FetchError::NotOffered { what, status: 404 }.into());
            }
            page => page?,
        };
        if page.results.len() > TRANSACTIONS {
            return Err(FetchError::unusable(path, "the page is longer than asked").into());
        }
        if page.results.is_empty() && page.cursor.next.is_some() {
            return Err(FetchError::unusable(path, "the page is empty and not the last").into());
        }
        for row in page.results {
            let place = row.transaction.block;
            let order = (place.height, place.tx_index);
            if last.replace(order).is_some_and(|last| order >= last) {
                return Err(FetchError::unusable(path, "its rows are not newest first").into());
            }
            if place.height < begin {
                return Ok(Walk::Done(found));
            }
            if place.height <= end {
                found.push(Mention {
                    txid: row.transaction.tx_id,
                    low: place.height,
                    high: place.height,
                    block: Some(place.index_hash),
                });
            }
        }
        if may_narrow && found.len() > CROWDED {
            return Ok(Walk::Crowded);
        }
        let Some(next) = page.cursor.next else {
            return Ok(Walk::Done(found));
        };
        // It becomes part of an address.
        if next.len() > 64 || !next.bytes().all(|b| b.is_ascii_digit() || b == b':') {
            return Err(FetchError::unusable(path, "its next cursor is none").into());
        }
        cursor = Some(next);
    }
    let what = format!("the transactions of {name}");
    Err(FetchError::unusable(what, format!("they have more than {MAX_PAGES} pages")).into())
}
