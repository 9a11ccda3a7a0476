//! The canonical chain between two heights. A node lists blocks by tenure, and tenures by Bitcoin height; which
//! tenure has a Stacks height must be searched for.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use super::NodeSource;
use super::wire::{Tenure, TenureBlock};
use crate::model::IndexBlockHash;
use crate::source::http::FetchError;

/// Most questions for one walk. A search from the tip takes some dozens; Bitcoin heights without a block cost one each.
const QUESTIONS: u32 = 1_500;
/// So many Bitcoin heights without a block in a row: what is searched for lies above.
const EMPTY: u32 = 200;
/// Most tenures below those that should do, when a block's parent is in none of them.
const OLDER: u32 = 64;
/// Tenures above a range that decide what of it is canonical: a tenure, or several, may have been left by a later one.
/// A fork over more tenures than these would be told as canonical, and joins the mirror as the fork that it is.
const ABOVE: u32 = 16;

/// Counts the questions of one walk.
struct Walk<'a> {
    node: &'a NodeSource,
    what: String,
    left: u32,
}

impl Walk<'_> {
    /// A tenure's blocks, the highest first; none where the node lists none.
    async fn tenure(&mut self, path: &str) -> Result<Option<Tenure>, FetchError> {
        self.left = self.left.checked_sub(1).ok_or_else(|| {
            FetchError::unusable(
                &self.what,
                format!("it was not found with {QUESTIONS} questions for tenures"),
            )
        })?;
        match self.node.server.get::<Tenure>(path).await {
            Ok(tenure) if tenure.stacks_blocks.is_empty() => Ok(None),
            Ok(tenure) => {
                linked(&tenure).map_err(|why| FetchError::unusable(path, why))?;
                Ok(Some(tenure))
            }
            Err(FetchError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn at(&mut self, burn_height: u32) -> Result<Option<Tenure>, FetchError> {
        let path = format!("/v3/tenures/blocks/height/{burn_height}");
        let tenure = self.tenure(&path).await?;
        match tenure {
            Some(other) if other.burn_block_height != burn_height => Err(FetchError::unusable(
                path,
                format!("it is about Bitcoin height {}", other.burn_block_height),
            )),
            tenure => Ok(tenure),
        }
    }

    /// The newest tenure with blocks at or below a Bitcoin height; none within [`EMPTY`] heights.
    async fn below(&mut self, burn_height: u32) -> Result<Option<Tenure>, FetchError> {
        for height in (0..=burn_height).rev().take(EMPTY as usize) {
            if let Some(tenure) = self.at(height).await? {
                return Ok(Some(tenure));
            }
        }
        Ok(None)
    }

    /// A Bitcoin height from which on every tenure is needed that reaches a Stacks height: its tenure, or one below.
    async fn locate(&mut self, height: u32, newest: u32) -> Result<u32, FetchError> {
        if let Some(hint) = self.hinted(height).await? {
            return Ok(hint);
        }
        // Bitcoin heights: at or below `low` a tenure begins at or below `height`, above `high` none does.
        let (mut low, mut high, mut step) = (0, newest, 1u32);
        while let Some(probe) = high.checked_sub(step) {
            match self.below(probe).await? {
                Some(tenure) if lowest(&tenure) > height => {
                    high = tenure.burn_block_height;
                    step = step.saturating_mul(2);
                }
                Some(tenure) => {
                    low = tenure.burn_block_height;
                    break;
                }
                None => {
                    low = probe;
                    break;
                }
            }
        }
        while high.saturating_sub(low) > 1 {
            let middle = low + (high - low) / 2;
            match self.below(middle).await? {
                Some(tenure) if tenure.burn_block_height <= low => low = middle,
                Some(tenure) if lowest(&tenure) > height => high = tenure.burn_block_height,
                _ => low = middle,
            }
        }
        Ok(self
            .below(low)
            .await?
            .map_or(low, |tenure| tenure.burn_block_height))
    }

    /// Where the last walk ended, if this one begins at or above.
    async fn hinted(&mut self, height: u32) -> Result<Option<u32>, FetchError> {
        let hint = *self
            .node
            .hint
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let Some((_, burn)) = hint.filter(|(known, _)| *known <= height) else {
            return Ok(None);
        };
        let tenure = self.at(burn).await?;
        Ok(tenure.filter(|t| lowest(t) <= height).map(|_| burn))
    }
}

fn lowest(tenure: &Tenure) -> u32 {
    tenure.stacks_blocks.last().map_or(0, |b| b.height)
}

/// A tenure's list is a chain, downwards.
fn linked(tenure: &Tenure) -> Result<(), String> {
    for pair in tenure.stacks_blocks.windows(2) {
        if pair[0].parent_block_id != pair[1].block_id
            || pair[1].height.checked_add(1) != Some(pair[0].height)
        {
            return Err(format!(
                "block {} does not stand on the next one listed, {}",
                pair[0].block_id, pair[1].block_id
            ));
        }
    }
    Ok(())
}

impl NodeSource {
    /// Headers of canonical blocks, lowest first, linked, as far up as the node's chain reaches.
    pub(super) async fn walk(&self, from: u32, to: u32) -> Result<Vec<TenureBlock>, FetchError> {
        let what = format!("blocks {from} to {to}");
        if from == 0 {
            return Err(FetchError::NotOffered {
                what: "the replay of block 0".to_owned(),
                status: 404,
            });
        }
        let (tip, _) = self.tenure_tip().await?;
        let to = to.min(tip.tip_height);
        if from > to {
            return Ok(Vec::new());
        }
        let newest = self.sortition_of(tip.consensus_hash).await?;
        let newest = newest.burn_block_height;
        let mut walk = Walk {
            node: self,
            what: what.clone(),
            left: QUESTIONS,
        };
        let mut headers = Headers::new();
        // The tip's tenure by its own name: Bitcoin may have another block at its height by now.
        let path = format!(
            "/v3/tenures/blocks/{}",
            hex::encode(tip.consensus_hash.as_bytes())
        );
        let top = walk.tenure(&path).await?;
        let top_lowest = top.as_ref().map_or(u32::MAX, lowest);
        headers.extend(top.into_iter().flat_map(blocks));
        let (mut anchor, mut reached) = (tip.tip_block_id, newest);
        if top_lowest > from {
            reached = walk.locate(from, newest).await?;
            let above = walk.upwards(reached..newest, to, &mut headers).await?;
            anchor = above.unwrap_or(anchor);
        }
        let chain = walk.down(&mut headers, anchor, from, to, reached).await?;
        let is_old = |b: &TenureBlock| b.header_type.as_deref() == Some("epoch2");
        if let Some((block, _)) = chain.iter().find(|(b, _)| is_old(b)) {
            let (id, height) = (block.block_id, block.height);
            return Err(FetchError::NotOffered {
                what: format!("the replay of block {id} at height {height}, of epoch 2.x,"),
                status: 404,
            });
        }
        if let Some((block, burn)) = chain.last() {
            *self.hint.lock().unwrap_or_else(PoisonError::into_inner) = Some((block.height, *burn));
        }
        Ok(chain.into_iter().map(|(block, _)| block).collect())
    }
}

impl Walk<'_> {
    /// Lists the tenures of a range of Bitcoin heights until enough of them lie above a Stacks height; the last block
    /// of the last one then, none if the range ended before.
    async fn upwards(
        &mut self,
        burns: std::ops::Range<u32>,
        to: u32,
        headers: &mut Headers,
    ) -> Result<Option<IndexBlockHash>, FetchError> {
        let mut above = 0;
        for burn in burns {
            let Some(tenure) = self.at(burn).await? else {
                continue;
            };
            let highest = tenure.stacks_blocks.first().map(|b| b.block_id);
            above += u32::from(lowest(&tenure) > to);
            headers.extend(blocks(tenure));
            if above >= ABOVE {
                return Ok(highest);
            }
        }
        Ok(None)
    }

    /// The ancestors of a block, with the tenures below `reached` that they turn out to be in.
    async fn down(
        &mut self,
        headers: &mut Headers,
        anchor: IndexBlockHash,
        from: u32,
        to: u32,
        mut reached: u32,
    ) -> Result<Vec<(TenureBlock, u32)>, FetchError> {
        for _ in 0..OLDER {
            match descend(headers, anchor, from, to) {
                Ok(chain) => return Ok(chain),
                // A tenure that was left behind may begin lower than the one that went on.
                Err(Broken::Missing(_)) if reached > 0 => {
                    let Some(tenure) = self.below(reached - 1).await? else {
                        break;
                    };
                    reached = tenure.burn_block_height;
                    headers.extend(blocks(tenure));
                }
                Err(_) => break,
            }
        }
        descend(headers, anchor, from, to).map_err(|why| FetchError::unusable(&self.what, why))
    }
}

/// Blocks of tenures, each with the Bitcoin height of its tenure.
type Headers = BTreeMap<IndexBlockHash, (TenureBlock, u32)>;

fn blocks(tenure: Tenure) -> impl Iterator<Item = (IndexBlockHash, (TenureBlock, u32))> {
    let burn = tenure.burn_block_height;
    let listed = tenure.stacks_blocks.into_iter();
    listed.map(move |b| (b.block_id, (b, burn)))
}

/// Why there is no way down.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum Broken {
    #[error(
        "block {0} is in none of the tenures listed; the chain changed meanwhile, or the node leaves it out"
    )]
    Missing(IndexBlockHash),
    #[error("block {id} is at height {height}, which is not one below its child's")]
    Height { id: IndexBlockHash, height: u32 },
    #[error("no block is at height {0}")]
    NotReached(u32),
}

/// The ancestors of a block between two heights, lowest first.
fn descend(
    headers: &Headers,
    anchor: IndexBlockHash,
    from: u32,
    to: u32,
) -> Result<Vec<(TenureBlock, u32)>, Broken> {
    let mut chain = Vec::new();
    let (mut at, mut above) = (anchor, None::<u32>);
    loop {
        let (block, burn) = headers.get(&at).ok_or(Broken::Missing(at))?;
        if above.is_some_and(|a| block.height.checked_add(1) != Some(a)) {
            let height = block.height;
            return Err(Broken::Height { id: at, height });
        }
        if block.height <= to {
            chain.push((block.clone(), *burn));
        }
        if block.height <= from {
            break;
        }
        (at, above) = (block.parent_block_id, Some(block.height));
    }
    if chain.last().is_none_or(|(block, _)| block.height != from) {
        return Err(Broken::NotReached(from));
    }
    chain.reverse();
    Ok(chain)
}
