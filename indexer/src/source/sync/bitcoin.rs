//! Bitcoin blocks, stored before the Stacks blocks that stand on them.

use serde::Deserialize;

use super::shelf::Shelf;
use super::{SyncError, from};
use crate::model::BurnBlockHash;
use crate::source::http::FetchError;
use crate::source::metrics::SourceMetrics;
use crate::source::pull::{Fetched, Pull};

/// Heights asked for at once.
const AT_ONCE: u32 = 50;
/// Heights that are asked for at most for one change of the tip; more is a backfill's work.
const MOST: u32 = 20_000;
/// Where nothing tells how deep a source's Bitcoin chain may have changed, so many heights are read again.
pub const AGAIN: u32 = 10;

#[derive(Deserialize)]
struct Tenure {
    burn_block_height: u32,
}

#[derive(Deserialize)]
struct Announced {
    burn_block_hash: BurnBlockHash,
    burn_block_height: u32,
    #[serde(default)]
    parent_burn_block_hash: Option<BurnBlockHash>,
}

fn unreadable(what: &str, error: serde_json::Error) -> SyncError {
    FetchError::unusable(what, error).into()
}

/// The lowest and the highest Bitcoin height on which these blocks' tenures stand.
pub fn heights(blocks: &[Fetched]) -> Result<Option<(u32, u32)>, SyncError> {
    let mut ends: Option<(u32, u32)> = None;
    for block in blocks {
        let tenure: Tenure = serde_json::from_slice(&block.body)
            .map_err(|e| unreadable(&format!("block {}", block.block.id), e))?;
        let height = tenure.burn_block_height;
        let (low, high) = ends.unwrap_or((height, height));
        ends = Some((low.min(height), high.max(height)));
    }
    Ok(ends)
}

/// Which Bitcoin blocks to bring.
#[derive(Debug, Clone, Copy)]
pub struct Heights {
    /// Lowest height.
    pub from_inclusive: u32,
    /// Highest height.
    pub to_inclusive: u32,
    /// Where the lowest one's parent is not mirrored, lower ones are brought as well, down to this height: announcements
    /// that were lost would leave a Bitcoin reorg half seen.
    pub floor: u32,
}

/// Stores the source's Bitcoin blocks of these heights, upwards, as far as they are not mirrored. A source that has none
/// to offer is no failure: the Stacks blocks say enough for all but a Bitcoin reorg without one.
pub async fn store<P: Pull, S: Shelf>(
    source: &P,
    shelf: &S,
    metrics: &SourceMetrics,
    heights: Heights,
) -> Result<u32, SyncError> {
    let Heights {
        from_inclusive,
        to_inclusive,
        floor,
    } = heights;
    let lowest = to_inclusive.saturating_sub(MOST).max(from_inclusive);
    if lowest > from_inclusive {
        tracing::warn!(
            source = source.name(),
            from_inclusive,
            lowest,
            "so many Bitcoin blocks are not read for one change of the tip; the oldest are left out"
        );
    }
    let mut new = 0;
    let mut first = lowest;
    while first <= to_inclusive {
        let last = first.saturating_add(AT_ONCE - 1).min(to_inclusive);
        let Some(mut bodies) = fetch(source, metrics, first, last).await? else {
            break;
        };
        if first == lowest {
            bodies = with_lower(source, shelf, metrics, bodies, first, floor).await?;
        }
        for body in &bodies {
            let hash = read(body)?.burn_block_hash;
            if !shelf.knows_burn_block(&hash).await?
                && shelf.put_burn_block(from(source), body).await?
            {
                new += 1;
            }
        }
        let Some(next) = last.checked_add(1) else {
            break;
        };
        first = next;
    }
    if new > 0 {
        shelf.wake();
    }
    Ok(new)
}

/// None where the source has none to offer.
async fn fetch<P: Pull>(
    source: &P,
    metrics: &SourceMetrics,
    first: u32,
    last: u32,
) -> Result<Option<Vec<Vec<u8>>>, SyncError> {
    match source.burn_blocks(first, last).await {
        Ok(bodies) => Ok(Some(bodies)),
        Err(error @ (FetchError::NotOffered { .. } | FetchError::NotFound { .. })) => {
            metrics.failures.with_label_values(&[error.kind()]).inc();
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

fn read(body: &[u8]) -> Result<Announced, SyncError> {
    serde_json::from_slice(body).map_err(|e| unreadable("a Bitcoin block", e))
}

/// Puts lower blocks before these, until the lowest one's parent is mirrored.
async fn with_lower<P: Pull, S: Shelf>(
    source: &P,
    shelf: &S,
    metrics: &SourceMetrics,
    mut bodies: Vec<Vec<u8>>,
    first: u32,
    floor: u32,
) -> Result<Vec<Vec<u8>>, SyncError> {
    let mut first = first;
    let mut reach = AGAIN;
    while first > floor && first > 0 {
        let Some(lowest) = bodies.first().map(|b| read(b)).transpose()? else {
            break;
        };
        // Old payloads name no parent: then height links them, and there is nothing to look for.
        let Some(parent) = lowest.parent_burn_block_hash else {
            break;
        };
        if lowest.burn_block_height <= floor || shelf.knows_burn_block(&parent).await? {
            break;
        }
        let lower = first.saturating_sub(reach.min(AT_ONCE)).max(floor);
        let Some(mut below) = fetch(source, metrics, lower, first - 1).await? else {
            break;
        };
        below.append(&mut bodies);
        bodies = below;
        first = lower;
        reach = reach.saturating_mul(2);
    }
    Ok(bodies)
}
