//! Headers, and whether they are still those of the canonical chain.

use super::memory::Memory;
use super::pool::Host;
use super::wire::{BlockRow, Page};
use super::{Cut, moved};
use crate::model::{BlockRef, IndexBlockHash};
use crate::source::http::{Conditional, FetchError};

/// Headers of consecutive blocks, lowest first, and the tag of the tip under which they were read, if it was given.
#[derive(Debug)]
pub(super) struct Headers {
    pub rows: Vec<BlockRow>,
    tag: Option<String>,
}

impl Headers {
    pub(super) fn first(&self) -> Option<&BlockRow> {
        self.rows.first()
    }

    pub(super) fn last(&self) -> Option<&BlockRow> {
        self.rows.last()
    }

    pub(super) fn at(&self, height: u32) -> Option<&BlockRow> {
        let first = self.first()?.height;
        let place = usize::try_from(height.checked_sub(first)?).ok()?;
        self.rows.get(place)
    }

    /// Were they read under the tip that is remembered?
    pub(super) fn is_of(&self, memory: &Memory) -> bool {
        let known = memory.tip.as_ref().map(|(_, tag)| tag);
        self.tag.is_some() && self.tag.as_ref() == known
    }
}

/// Headers from one height to another, both included.
pub(super) async fn range(
    host: &Host,
    memory: &mut Memory,
    from: u32,
    to: u32,
) -> Result<Headers, Cut> {
    let limit = (to - from).saturating_add(1);
    let guess = memory.next_page.take().filter(|(height, _)| *height == to);
    let guess = guess.map(|(_, id)| id).or_else(|| {
        let tip = memory.tip.as_ref().map(|(tip, _)| tip);
        tip.filter(|tip| tip.height == to).map(|tip| tip.id)
    });
    if let Some(cursor) = guess
        && let Some(headers) = page(host, memory, &cursor, limit, from, to).await?
    {
        return Ok(headers);
    }
    let row: BlockRow = host.get(&format!("/extended/v2/blocks/{to}")).await?;
    if row.height != to {
        let why = format!("it is of height {}", row.height);
        return Err(FetchError::unusable(format!("block {to}"), why).into());
    }
    page(host, memory, &row.index_block_hash, limit, from, to)
        .await?
        .ok_or_else(|| moved("the highest block of the range is gone"))
}

/// A page that begins with this block; none if there is no such block, or it is not of the height that was thought.
async fn page(
    host: &Host,
    memory: &mut Memory,
    cursor: &IndexBlockHash,
    limit: u32,
    from: u32,
    to: u32,
) -> Result<Option<Headers>, FetchError> {
    let path = format!("/extended/v2/blocks?limit={limit}&cursor={cursor}");
    let (page, tag): (Page<BlockRow>, _) = match host.get_if_new(&path, None).await {
        Ok(Conditional::New(page, tag)) => (page, tag),
        Ok(Conditional::Same) => {
            return Err(FetchError::unusable(path, "nothing to be the same as"));
        }
        Err(FetchError::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut rows = page.results;
    if rows.first().is_none_or(|r| r.index_block_hash != *cursor) {
        return Err(FetchError::unusable(
            path,
            "it does not begin with the block that was asked for",
        ));
    }
    if rows.first().is_some_and(|r| r.height != to) {
        return Ok(None);
    }
    rows.reverse();
    check(&path, &rows, from, to)?;
    let next = page.next_cursor.and_then(|c| c.parse().ok());
    memory.next_page = next.map(|id| (to.saturating_add(limit), id));
    Ok(Some(Headers { rows, tag }))
}

/// Heights without a gap, each block the child of the one below.
fn check(path: &str, rows: &[BlockRow], from: u32, to: u32) -> Result<(), FetchError> {
    let heights = rows.iter().map(|r| r.height);
    if !heights.eq(from..=to) {
        let (first, last) = (
            rows.first().map(|r| r.height),
            rows.last().map(|r| r.height),
        );
        let why = format!(
            "{} blocks from {first:?} to {last:?} are no blocks {from} to {to}",
            rows.len()
        );
        return Err(FetchError::unusable(path, why));
    }
    if let Some(row) = rows.iter().find(|r| !r.canonical) {
        let why = format!("block {} is listed and not canonical", row.index_block_hash);
        return Err(FetchError::unusable(path, why));
    }
    for pair in rows.windows(2) {
        if let [below, above] = pair
            && (above.parent_index_block_hash != below.index_block_hash
                || above.parent_block_hash != below.hash)
        {
            let why = format!(
                "block {} of height {} is no child of the block below it, {}",
                above.index_block_hash, above.height, below.index_block_hash
            );
            return Err(FetchError::unusable(path, why));
        }
    }
    Ok(())
}

/// The header of one block, of the canonical chain as any that the API knows.
pub(super) async fn one(host: &Host, id: &IndexBlockHash) -> Result<Headers, FetchError> {
    let path = format!("/extended/v2/blocks/{id}");
    let row: BlockRow = host.get(&path).await?;
    // It also looks block hashes up, which are no identities.
    if row.index_block_hash != *id {
        return Err(FetchError::NotFound { what: path });
    }
    let height = row.height;
    let rows = vec![row];
    check(&path, &rows, height, height)?;
    Ok(Headers { rows, tag: None })
}

/// Makes what is remembered be of the chain to which these headers belong, and returns the height of its tip.
pub(super) async fn settle(
    host: &Host,
    memory: &mut Memory,
    headers: &Headers,
) -> Result<u32, Cut> {
    let last = headers.last().map_or(0, |r| r.height);
    let known = memory.tip.as_ref().map(|(tip, _)| tip.height);
    if let Some(height) = known.filter(|h| headers.is_of(memory) && last <= *h) {
        return Ok(height);
    }
    let (status, tag) = match host.status(None).await? {
        Conditional::New(status, tag) => (status.chain_tip, tag),
        Conditional::Same => {
            return Err(FetchError::unusable("/extended", "nothing to be the same as").into());
        }
    };
    let tip = BlockRef {
        id: status.index_block_hash,
        height: status.block_height,
    };
    if tip.height < last {
        return Err(moved("the tip is below the range"));
    }
    let tag = tag.unwrap_or_else(|| format!("\"{}\"", tip.id));
    let under_this = headers.tag.as_ref() == Some(&tag);
    if let Some((old, _)) = &memory.tip
        && old.id != tip.id
    {
        // The remembered tip must be an ancestor of the new one. The headers often tell.
        let old = *old;
        let told = headers.at(old.height).map(|r| r.index_block_hash);
        let above = old.height.checked_add(1).and_then(|h| headers.at(h));
        let told = told.or_else(|| above.map(|r| r.parent_index_block_hash));
        let extends = match told {
            Some(id) if under_this => id == old.id,
            _ => is_canonical(host, &old.id).await?,
        };
        if !extends {
            retreat(host, memory, old.height).await?;
        }
    }
    memory.see(tip);
    memory.tip = Some((tip, tag));
    Ok(tip.height)
}

/// Steps down to a block that was not left; each is twice as wide as the one before.
const STEPS: u32 = 12;

/// Forgets what was said of blocks that the chain has left.
async fn retreat(host: &Host, memory: &mut Memory, tip: u32) -> Result<(), FetchError> {
    let mut below = tip;
    for step in 0..STEPS {
        let Some(block) = memory.seen_below(below) else {
            break;
        };
        if is_canonical(host, &block.id).await? {
            memory.retreat(block.height);
            return Ok(());
        }
        below = block.height.saturating_sub((1 << step) - 1);
    }
    let next_page = memory.next_page.take();
    memory.forget();
    // It was found just now.
    memory.next_page = next_page;
    Ok(())
}

async fn is_canonical(host: &Host, id: &IndexBlockHash) -> Result<bool, FetchError> {
    match host
        .get::<BlockRow>(&format!("/extended/v2/blocks/{id}"))
        .await
    {
        Ok(row) => Ok(row.canonical && row.index_block_hash == *id),
        Err(FetchError::NotFound { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Are these still the canonical blocks? When the tip is the same, they are; else the highest one decides for all.
pub(super) async fn still_canonical(host: &Host, headers: &Headers) -> Result<(), Cut> {
    if let Some(tag) = &headers.tag
        && matches!(host.status(Some(tag)).await?, Conditional::Same)
    {
        return Ok(());
    }
    let Some(last) = headers.last() else {
        return Ok(());
    };
    if is_canonical(host, &last.index_block_hash).await? {
        Ok(())
    } else {
        Err(moved(
            "the range was left by the canonical chain while it was read",
        ))
    }
}
