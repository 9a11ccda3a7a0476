//! Following a source's tip.
//!
//! On every change of the tip the way is checked down to a block that the mirror knows, so that a branch that was
//! replaced in silence is found however deep it goes. Then Bitcoin blocks are stored, then Stacks blocks, upwards.

use std::sync::Arc;

use super::plan::{self, Ask, Descent, Search, Took};
use super::shelf::Shelf;
use super::{SyncError, bitcoin, store};
use crate::metrics::Metrics;
use crate::model::{BlockRef, IndexBlockHash};
use crate::source::http::FetchError;
use crate::source::pull::{Fetched, Pull, Tip};
use crate::store::sync::{Span, Standing};

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Step {
    /// Was the tip another one than before?
    pub changed: bool,
    /// Blocks stored.
    pub blocks: u32,
    /// Bitcoin blocks stored.
    pub burn_blocks: u32,
    /// Did the tip go back with nothing new behind it?
    pub false_reorg: bool,
    /// Is the tip left to a backfill that is under way?
    pub left_to_backfill: bool,
}

/// After so many looks at the same tip that is not the mirror's, the two are compared again.
const LOOKS: u32 = 10;

/// Follows one source.
#[derive(Debug)]
pub struct Follower {
    metrics: Arc<Metrics>,
    /// Blocks that the way down may take before the common block is searched by height. They are held in memory.
    walk: u32,
    last: Option<Tip>,
    /// Where the mirror stood then. When it stands elsewhere, it is compared again: what came meanwhile from others may
    /// have led it to where the source is not.
    stood: Option<BlockRef>,
    /// Looks in a row at the same tip that is not the mirror's.
    looked: u32,
    /// Where the way down was when a question failed: a source that fails now and then would else never see a long one
    /// through.
    walking: Option<Walking>,
}

/// A way down that is not finished.
#[derive(Debug)]
struct Walking {
    top: IndexBlockHash,
    descent: Descent,
    /// The highest first.
    pieces: Vec<Vec<Fetched>>,
    held: u32,
    /// The known block that was reached; what is above it could not be stored yet.
    reached: Option<BlockRef>,
}

impl Walking {
    fn from(top: BlockRef) -> Self {
        Self {
            top: top.id,
            descent: Descent::new(top.id, Some(top.height)),
            pieces: Vec::new(),
            held: 0,
            reached: None,
        }
    }

    /// Goes on where an earlier one stopped, if this one has come to its top.
    fn splice(&mut self, earlier: &mut Option<Self>) {
        if let Some(mut found) = earlier.take_if(|e| e.top == self.descent.expected()) {
            self.pieces.append(&mut found.pieces);
            self.held = self.held.saturating_add(found.held);
            self.descent = found.descent;
            self.reached = found.reached;
        }
    }
}

impl Walking {
    fn known(&mut self) -> Walk {
        let pieces = std::mem::take(&mut self.pieces);
        let blocks = pieces.into_iter().rev().flatten().collect();
        Walk::Known(blocks, self.reached, self.descent.clone())
    }
}

/// What the way down came to.
enum Walk {
    /// Blocks to store, upwards, and the known block below them; none at the chain's beginning.
    Known(Vec<Fetched>, Option<BlockRef>, Descent),
    /// Further than may be held.
    Far,
}

impl Follower {
    /// Has not seen a tip yet.
    pub fn new(metrics: Arc<Metrics>, walk: u32) -> Self {
        Self {
            metrics,
            walk: walk.max(1),
            last: None,
            stood: None,
            looked: 0,
            walking: None,
        }
    }

    /// Asks for the tip, and stores what leads to it.
    ///
    /// # Errors
    /// When source or database fail; the same step is then to be made again, and goes on where it was.
    pub async fn step<P: Pull, S: Shelf>(
        &mut self,
        source: &P,
        shelf: &S,
    ) -> Result<Step, SyncError> {
        let tip = source.tip().await?;
        let of = [source.source().as_str()];
        let metrics = Arc::clone(&self.metrics);
        metrics
            .sources
            .tip
            .with_label_values(&of)
            .set(i64::from(tip.block.height));
        let mut step = Step::default();
        let stands = shelf.span().await?.map(|span| span.tip);
        let agrees = stands == Some(tip.block);
        if self.last == Some(tip) && (agrees || stands == self.stood) {
            // While mirror and source stand elsewhere, Bitcoin may have changed under the same heights.
            self.looked = if agrees { 0 } else { self.looked + 1 };
            if self.looked < LOOKS {
                return Ok(step);
            }
        }
        self.looked = 0;
        step.changed = true;
        self.reach(source, shelf, &tip, &mut step).await?;
        self.stood = stands;
        if step.left_to_backfill {
            return Ok(step);
        }
        let nothing_new = step.blocks == 0 && step.burn_blocks == 0;
        if nothing_new && self.last.is_some_and(|last| plan::went_back(&last, &tip)) {
            step.false_reorg = true;
            metrics.sources.false_reorgs.with_label_values(&of).inc();
            tracing::warn!(
                source = source.name(),
                height = tip.block.height,
                "a source's tip went back with nothing new behind it; the mirror stays"
            );
        }
        self.last = Some(tip);
        Ok(step)
    }

    async fn reach<P: Pull, S: Shelf>(
        &mut self,
        source: &P,
        shelf: &S,
        tip: &Tip,
        step: &mut Step,
    ) -> Result<(), SyncError> {
        let Some(span) = shelf.span().await? else {
            // The first block of all: the mirror begins here.
            let first = source.block(&tip.block.id).await?;
            return self.put(source, shelf, tip, &[first], None, step).await;
        };
        let standing = shelf.standing(&[tip.block.id]).await?;
        if standing.first().is_some_and(|s| s.connects()) {
            return self
                .put(source, shelf, tip, &[], Some(tip.block), step)
                .await;
        }
        if tip.block.height <= span.origin.height {
            // Below the mirror, or beside its origin: nothing of it can connect.
            return Ok(());
        }
        // So far above that the way down cannot be held: it is not even begun.
        let far = tip.block.height.saturating_sub(span.tip.height) > self.walk;
        if !far
            && let Walk::Known(blocks, base, descent) =
                self.descend(source, shelf, tip, &span).await?
        {
            let done = self.put(source, shelf, tip, &blocks, base, step).await;
            if done.is_err() {
                self.walking = Some(Walking {
                    top: tip.block.id,
                    descent,
                    held: u32::try_from(blocks.len()).unwrap_or(u32::MAX),
                    pieces: vec![blocks],
                    reached: base,
                });
            }
            return done;
        }
        if shelf.is_backfilling().await? {
            step.left_to_backfill = true;
            return Ok(());
        }
        self.climb(source, shelf, tip, &span, step).await
    }

    /// The way down from the tip, by parents. When a question fails, the same tip or one above it goes on there.
    async fn descend<P: Pull, S: Shelf>(
        &mut self,
        source: &P,
        shelf: &S,
        tip: &Tip,
        span: &Span,
    ) -> Result<Walk, SyncError> {
        let mut earlier = self.walking.take();
        let mut walking = earlier
            .take_if(|w| w.top == tip.block.id)
            .unwrap_or_else(|| Walking::from(tip.block));
        loop {
            walking.splice(&mut earlier);
            if walking.reached.is_some() {
                return Ok(walking.known());
            }
            match self.descend_once(source, shelf, span, &mut walking).await {
                Ok(Some(walk)) => return Ok(walk),
                Ok(None) => {}
                Err(error) => {
                    let begun = !walking.pieces.is_empty();
                    self.walking = if begun { Some(walking) } else { earlier };
                    return Err(error);
                }
            }
        }
    }

    /// One piece further down; none while nothing known is reached.
    async fn descend_once<P: Pull, S: Shelf>(
        &self,
        source: &P,
        shelf: &S,
        span: &Span,
        walking: &mut Walking,
    ) -> Result<Option<Walk>, SyncError> {
        let piece = match walking.descent.ask() {
            Ask::Block(id) => vec![source.block(&id).await?],
            Ask::Range { from, to } => source.range(from, to).await?,
        };
        let mut below = walking.descent.clone();
        match below.take(&piece) {
            Took::Piece => {}
            Took::Elsewhere => {
                walking.descent = below;
                return Ok(None);
            }
            Took::Nonsense => return Err(nonsense(source, &below)),
        }
        let mut ids: Vec<_> = piece.iter().map(|b| b.block.id).collect();
        ids.push(below.expected());
        let standing = shelf.standing(&ids).await?;
        walking.descent = below;
        let (above, connected) = plan::above_known(&piece, &standing);
        let (dropped, lowest) = (piece.len() - above.len(), above.first().or(piece.first()));
        let base = connected.then(|| base_of(&piece, dropped)).flatten();
        let at_bottom = lowest.is_some_and(|b| b.block.height <= span.origin.height);
        walking.held += u32::try_from(above.len()).unwrap_or(u32::MAX);
        walking.pieces.push(above.to_vec());
        if connected {
            walking.reached = base;
            return Ok(Some(walking.known()));
        }
        if at_bottom {
            walking.pieces.clear();
            return Err(SyncError::Apart {
                height: span.origin.height,
            });
        }
        Ok((walking.held >= self.walk).then_some(Walk::Far))
    }

    /// The way up from the highest block that both have, in pieces that are stored as they come.
    async fn climb<P: Pull, S: Shelf>(
        &self,
        source: &P,
        shelf: &S,
        tip: &Tip,
        span: &Span,
        step: &mut Step,
    ) -> Result<(), SyncError> {
        let mut below = common_block(source, shelf, tip, span).await?;
        while below.height < tip.block.height {
            let from = below.height.saturating_add(1);
            let to = from
                .saturating_add(crate::source::pull::RANGE - 1)
                .min(tip.block.height);
            let piece = source.range(from, to).await?;
            let linked = piece.first().is_some_and(|b| b.parent == below.id);
            let Some(top) = piece.last().map(|b| b.block) else {
                return Err(SyncError::Moved { height: from });
            };
            if !linked || !plan::is_chain(&piece) {
                return Err(SyncError::Moved { height: from });
            }
            self.put(source, shelf, tip, &piece, Some(below), step)
                .await?;
            below = top;
        }
        Ok(())
    }

    /// Stores Bitcoin blocks from the known block's up, then the blocks.
    async fn put<P: Pull, S: Shelf>(
        &self,
        source: &P,
        shelf: &S,
        tip: &Tip,
        blocks: &[Fetched],
        base: Option<BlockRef>,
        step: &mut Step,
    ) -> Result<(), SyncError> {
        let ends = bitcoin::heights(blocks)?;
        let of_base = match base {
            Some(base) => shelf.trunk_burn_height(base.id).await?,
            None => None,
        };
        let is_last = blocks.last().is_none_or(|b| b.block.id == tip.block.id);
        let high = match ends {
            Some((_, high)) if !is_last => high,
            _ => tip.burn_height,
        };
        let again = || {
            let seen = self.last.map_or(high, |last| last.burn_height.min(high));
            seen.saturating_sub(bitcoin::AGAIN)
        };
        let low = match (of_base, ends) {
            (Some(low), _) => low,
            (None, Some((low, _))) => low,
            (None, None) => again(),
        };
        let metrics = &self.metrics.sources;
        let floor = match shelf.span().await? {
            Some(span) => shelf.trunk_burn_height(span.origin.id).await?,
            None => None,
        };
        let heights = bitcoin::Heights {
            from_inclusive: low,
            to_inclusive: high,
            floor: floor.unwrap_or(low),
        };
        step.burn_blocks += bitcoin::store(source, shelf, metrics, heights).await?;
        let new = store(source, shelf, blocks).await?;
        step.blocks += new;
        metrics
            .fetched
            .with_label_values(&[source.source().as_str()])
            .inc_by(u64::from(new));
        Ok(())
    }
}

fn nonsense(source: &impl Pull, descent: &Descent) -> SyncError {
    FetchError::unusable(
        format!("{} at {}", descent.expected(), source.name()),
        "what came is not that block and its ancestors",
    )
    .into()
}

/// The known block below what is above: in the piece, or the parent of its lowest.
fn base_of(piece: &[Fetched], dropped: usize) -> Option<BlockRef> {
    if let Some(known) = dropped.checked_sub(1).and_then(|place| piece.get(place)) {
        return Some(known.block);
    }
    let lowest = piece.first()?;
    Some(BlockRef {
        id: lowest.parent,
        height: lowest.block.height.checked_sub(1)?,
    })
}

/// The highest of the compared heights at which the source has a block that is known.
async fn common_block<P: Pull, S: Shelf>(
    source: &P,
    shelf: &S,
    tip: &Tip,
    span: &Span,
) -> Result<BlockRef, SyncError> {
    let lowest = span.origin.height;
    let mut search = Search::new(span.tip.height.min(tip.block.height), lowest);
    loop {
        let at = search.height();
        let found = source.range(at, at).await?;
        let Some(block) = found.first().map(|b| b.block) else {
            return Err(SyncError::Moved { height: at });
        };
        let standing = shelf.standing(&[block.id]).await?;
        if standing.first().copied().is_some_and(Standing::connects) {
            return Ok(block);
        }
        search = search.lower().ok_or(SyncError::Apart { height: lowest })?;
    }
}
