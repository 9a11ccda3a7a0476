//! Bitcoin blocks, as far as the API has them: those that elected a Stacks block.

use std::collections::BTreeMap;

use serde_json::json;

use super::ATTEMPTS;
use super::memory::Memory;
use super::pool::Host;
use super::wire::{BurnRow, Page};
use crate::model::BurnBlockHash;
use crate::source::http::{Conditional, FetchError};

/// Largest page.
const PAGE: u64 = 30;
/// Most pages for one question: some to find the place, the rest to read.
const MAX_PAGES: u32 = 2_000;

struct List {
    rows: Vec<BurnRow>,
    total: Option<u64>,
    tag: Option<String>,
}

async fn list(host: &Host, offset: u64) -> Result<List, FetchError> {
    let path = format!("/extended/v2/burn-blocks?limit={PAGE}&offset={offset}");
    let (page, tag): (Page<BurnRow>, _) = match host.get_if_new(&path, None).await? {
        Conditional::New(page, tag) => (page, tag),
        Conditional::Same => return Err(FetchError::unusable(path, "nothing to be the same as")),
    };
    let falls = page
        .results
        .windows(2)
        .all(|pair| pair[0].burn_block_height > pair[1].burn_block_height);
    if !falls || u64::try_from(page.results.len()).is_ok_and(|n| n > PAGE) {
        return Err(FetchError::unusable(path, "its rows are not newest first"));
    }
    Ok(List {
        rows: page.results,
        total: page.total,
        tag,
    })
}

/// Bodies of `/new_burn_block`, lowest first. A parent is named where the API has the block one below: its list
/// is one chain.
pub(super) async fn burn_blocks(
    host: &Host,
    from: u32,
    to: u32,
) -> Result<Vec<Vec<u8>>, FetchError> {
    let mut memory = host.memory.lock().await;
    for _ in 0..ATTEMPTS {
        if let Some(found) = read(host, &mut memory, from, to).await? {
            let heights = found.range(from..=to);
            return Ok(heights
                .map(|(height, hash)| body(*height, hash, &found))
                .collect());
        }
        memory.burn_row = None;
    }
    let what = format!("Bitcoin blocks {from} to {to}");
    let why = format!("the tip changed under each of {ATTEMPTS} attempts");
    Err(FetchError::unusable(what, why))
}

fn body(height: u32, hash: &BurnBlockHash, found: &BTreeMap<u32, BurnBlockHash>) -> Vec<u8> {
    let below = height.checked_sub(1).and_then(|below| found.get(&below));
    let mut body = json!({ "burn_block_hash": hash, "burn_block_height": height });
    if let (Some(parent), Some(object)) = (below, body.as_object_mut()) {
        object.insert("parent_burn_block_hash".to_owned(), json!(parent));
    }
    body.to_string().into_bytes()
}

/// Where in the list a height must be, as far as it is known.
struct Seek {
    /// Every row before this offset is above the height.
    floor: u64,
    /// The row at this offset is below it, or there is none.
    ceiling: Option<u64>,
    steps: u32,
}

/// Steps by what the heights suggest; gaps in the list may mislead, and then the rest is halved.
const GUESSES: u32 = 6;

impl Seek {
    fn next(&mut self, guess: u64) -> u64 {
        self.steps += 1;
        let Some(ceiling) = self.ceiling else {
            return guess.max(self.floor);
        };
        let highest = ceiling.saturating_sub(1).max(self.floor);
        if self.steps > GUESSES {
            return self.floor.midpoint(highest);
        }
        guess.clamp(self.floor, highest)
    }
}

/// The blocks between, and the one below if there is one; none when the tip changed on the way.
async fn read(
    host: &Host,
    memory: &mut Memory,
    from: u32,
    to: u32,
) -> Result<Option<BTreeMap<u32, BurnBlockHash>>, FetchError> {
    let mut offset = memory.burn_row.map_or(0, |(offset, height)| {
        let down = u64::from(height.saturating_sub(to));
        (offset + down).saturating_sub(u64::from(to.saturating_sub(height)))
    });
    let mut seek = Seek {
        floor: 0,
        ceiling: None,
        steps: 0,
    };
    let mut found = BTreeMap::new();
    let mut tag: Option<Option<String>> = None;
    for _ in 0..MAX_PAGES {
        let page = list(host, offset).await?;
        if *tag.get_or_insert_with(|| page.tag.clone()) != page.tag {
            return Ok(None);
        }
        let rows = u64::try_from(page.rows.len()).unwrap_or(PAGE);
        let (Some(first), Some(last)) = (page.rows.first(), page.rows.last()) else {
            if offset <= seek.floor || !found.is_empty() {
                return Ok(Some(found));
            }
            let end = page.total.unwrap_or(offset).min(offset);
            seek.ceiling = Some(end);
            offset = seek.next(end.saturating_sub(PAGE));
            continue;
        };
        let (high, low) = (first.burn_block_height, last.burn_block_height);
        if found.is_empty() && high < to && offset > seek.floor {
            seek.ceiling = Some(offset);
            offset = seek.next(offset.saturating_sub(u64::from(to - high)));
            continue;
        }
        if low > to && rows == PAGE {
            seek.floor = offset + rows;
            offset = seek.next(offset + u64::from(low - to));
            continue;
        }
        memory.burn_row = Some((offset, high));
        for row in page.rows.iter().filter(|r| r.burn_block_height <= to) {
            found.insert(row.burn_block_height, row.burn_block_hash);
        }
        if low < from || rows < PAGE {
            return Ok(Some(found));
        }
        offset += PAGE;
        seek.floor = offset;
    }
    let what = format!("Bitcoin blocks {from} to {to}");
    Err(FetchError::unusable(
        what,
        format!("not found within {MAX_PAGES} pages"),
    ))
}
