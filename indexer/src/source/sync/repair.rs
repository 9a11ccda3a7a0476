//! Filling gaps: a block waits for a parent that did not come, so it is asked for.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::plan::{self, Ask, Descent, Took};
use super::shelf::Shelf;
use super::{SyncError, bitcoin, store};
use crate::metrics::Metrics;
use crate::model::IndexBlockHash;
use crate::model::handover::HandOver;
use crate::retry::Backoff;
use crate::source::http::FetchError;
use crate::source::pull::{Fetched, Pull};
use crate::store::StoreError;
use crate::store::sync::Span;
use crate::store::sync::gaps::Gap;
use crate::store::sync::jobs::JobState;

/// Bounds of repair.
#[derive(Debug, Clone, Copy)]
pub struct RepairSettings {
    /// How long a block may be late before it counts as missing.
    pub grace: Duration,
    /// Blocks fetched for one gap at most, before it is given up for a while.
    pub blocks: u32,
    /// Attempts at one block, each at every source, before the gap is given up for a while.
    pub attempts: u32,
    /// How long a gap that was given up rests.
    pub rest: Duration,
}

/// What a round did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Round {
    /// Gaps within the mirror.
    pub gaps: u32,
    /// Blocks fetched.
    pub fetched: u32,
    /// Gaps given up in this round.
    pub given_up: u32,
}

/// Fills gaps from several sources, the first one first.
#[derive(Debug)]
pub struct Repairer {
    metrics: Arc<Metrics>,
    settings: RepairSettings,
    pauses: HashMap<IndexBlockHash, Backoff>,
}

/// How a piece of a gap went.
enum Filled {
    /// What was fetched connects.
    Whole(u32),
    /// So many were fetched, and the next one is missing.
    Deeper(u32, IndexBlockHash, Option<u32>),
}

impl Repairer {
    /// Knows of no gap yet.
    pub fn new(metrics: Arc<Metrics>, settings: RepairSettings) -> Self {
        Self {
            metrics,
            settings,
            pauses: HashMap::new(),
        }
    }

    /// Looks for gaps and fills those that are due.
    ///
    /// # Errors
    /// When the database fails. Sources that fail are written down with the gap.
    pub async fn round<P: Pull, S: Shelf>(
        &mut self,
        sources: &[P],
        shelf: &S,
    ) -> Result<Round, StoreError> {
        shelf.close_filled().await?;
        self.finish_jobs(shelf).await?;
        let mut round = Round::default();
        if let Some(span) = shelf.span().await? {
            let gaps = shelf.gaps(self.settings.grace, span.origin.height).await?;
            self.pauses
                .retain(|missing, _| gaps.iter().any(|g| g.missing == *missing));
            let within: Vec<&Gap> = gaps
                .iter()
                .filter(|g| plan::is_above_origin(g, &span))
                .collect();
            round.gaps = u32::try_from(within.len()).unwrap_or(u32::MAX);
            self.show(&within);
            // What waits while history is stored waits for that; what is not decoded yet may be what is missing.
            let wait = sources.is_empty()
                || shelf.is_backfilling().await?
                || shelf.is_behind(self.settings.grace).await?;
            if !wait {
                for gap in gaps.into_iter().filter(|g| plan::is_wanted(g, &span)) {
                    self.fill(sources, shelf, gap, &span, &mut round).await?;
                }
            }
        } else {
            self.show(&[]);
        }
        let now = HandOver::of(&shelf.facts().await?);
        self.metrics.sources.set_state(&now);
        Ok(round)
    }

    fn show(&self, gaps: &[&Gap]) {
        let metrics = &self.metrics.sources;
        let count = |given_up| {
            let found = gaps.iter().filter(|g| g.given_up == given_up).count();
            i64::try_from(found).unwrap_or(i64::MAX)
        };
        metrics.gaps.with_label_values(&["open"]).set(count(false));
        metrics
            .gaps
            .with_label_values(&["given_up"])
            .set(count(true));
        let oldest = gaps.iter().map(|g| g.age_seconds).max().unwrap_or(0);
        metrics
            .oldest_gap
            .set(i64::try_from(oldest).unwrap_or(i64::MAX));
    }

    /// Ends backfills whose last block has come to lie within the mirror.
    async fn finish_jobs<S: Shelf>(&self, shelf: &S) -> Result<(), StoreError> {
        for mut job in shelf.jobs().await? {
            if job.state == JobState::Overlapping
                && super::backfill::settle(shelf, &mut job).await?
            {
                tracing::info!(
                    job = job.id,
                    next = job.next,
                    note = job.error,
                    "a backfill has come to lie within the mirror"
                );
            }
        }
        Ok(())
    }

    /// Fetches downwards from the missing block until something known, a failure everywhere, or a bound.
    async fn fill<P: Pull, S: Shelf>(
        &mut self,
        sources: &[P],
        shelf: &S,
        mut gap: Gap,
        span: &Span,
        round: &mut Round,
    ) -> Result<(), StoreError> {
        let below = gap.waiting_height.and_then(|h| h.checked_sub(1));
        let mut descent = Descent::new(gap.missing, below);
        let mut fetched_now = 0u32;
        if gap.given_up {
            gap.given_up = false;
            gap.attempts = 0;
        }
        loop {
            let was = gap.missing;
            match self.piece(sources, shelf, &mut descent, span).await {
                Ok(Filled::Whole(count)) => {
                    round.fetched += count;
                    gap.fetched = gap.fetched.saturating_add(count);
                    tracing::info!(waiting = %gap.waiting, blocks = gap.fetched, "a gap is filled");
                    self.pauses.remove(&was);
                    return Ok(());
                }
                Ok(Filled::Deeper(count, missing, height)) => {
                    round.fetched += count;
                    fetched_now = fetched_now.saturating_add(count);
                    gap.fetched = gap.fetched.saturating_add(count);
                    gap.missing = missing;
                    gap.waiting_height = height.or(gap.waiting_height);
                    (gap.attempts, gap.last_error) = (0, None);
                    self.pauses.remove(&was);
                    if fetched_now >= self.settings.blocks {
                        let most = self.settings.blocks;
                        gap.last_error = Some(format!(
                            "more than {most} blocks are missing; fill them with `stxworx backfill`, or raise sources.repair_blocks"
                        ));
                        return self
                            .give_up(shelf, &was, gap, self.settings.rest, round)
                            .await;
                    }
                    shelf.note_gap(&was, &gap, Duration::ZERO).await?;
                }
                Err(Failure::Store(error)) => return Err(error),
                Err(Failure::Sources { why, asked }) => {
                    gap.attempts += 1;
                    gap.last_error = Some(why);
                    let backoff = self.pauses.entry(gap.missing).or_default().next_delay();
                    let (most, rest) = (self.settings.attempts, self.settings.rest);
                    let after = plan::after_failure(gap.attempts, most, backoff, asked, rest);
                    if after.give_up {
                        return self.give_up(shelf, &was, gap, after.pause, round).await;
                    }
                    return shelf.note_gap(&was, &gap, after.pause).await;
                }
            }
        }
    }

    async fn give_up<S: Shelf>(
        &mut self,
        shelf: &S,
        was: &IndexBlockHash,
        mut gap: Gap,
        pause: Duration,
        round: &mut Round,
    ) -> Result<(), StoreError> {
        gap.given_up = true;
        round.given_up += 1;
        self.metrics.sources.repairs_given_up.inc();
        self.pauses.remove(was);
        tracing::error!(missing = %gap.missing, waiting = %gap.waiting, error = gap.last_error,
            again_in_seconds = pause.as_secs(), "a gap is given up for now; see `stxworx gaps`");
        shelf.note_gap(was, &gap, pause).await
    }

    /// One piece, from the first source that has it.
    async fn piece<P: Pull, S: Shelf>(
        &self,
        sources: &[P],
        shelf: &S,
        descent: &mut Descent,
        span: &Span,
    ) -> Result<Filled, Failure> {
        let (mut why, mut asked) = (Vec::new(), None::<Duration>);
        for source in sources {
            let mut trial = descent.clone();
            match self.ask(source, shelf, &mut trial, span).await {
                Ok(filled) => {
                    *descent = trial;
                    return Ok(filled);
                }
                Err(SyncError::Store(error)) => return Err(Failure::Store(error)),
                Err(error) => {
                    let kind = [error.kind()];
                    self.metrics
                        .sources
                        .repair_failures
                        .with_label_values(&kind)
                        .inc();
                    asked = asked.max(error.retry_after());
                    why.push(format!("{}: {}", source.name(), crate::error_chain(&error)));
                }
            }
        }
        Err(Failure::Sources {
            why: why.join("; "),
            asked,
        })
    }

    async fn ask<P: Pull, S: Shelf>(
        &self,
        source: &P,
        shelf: &S,
        descent: &mut Descent,
        span: &Span,
    ) -> Result<Filled, SyncError> {
        let piece = ask(source, descent).await?;
        let mut ids: Vec<_> = piece.iter().map(|b| b.block.id).collect();
        ids.push(descent.expected());
        let standing = shelf.standing(&ids).await?;
        let (above, connected) = plan::above_known(&piece, &standing);
        let lowest = above.first().or(piece.first());
        let lowest_height = lowest.map(|b| b.block.height);
        if !connected && lowest_height.is_some_and(|h| h <= span.origin.height) {
            return Err(SyncError::Apart {
                height: span.origin.height,
            });
        }
        if let Some((low, high)) = bitcoin::heights(above)? {
            let floor = shelf.trunk_burn_height(span.origin.id).await?;
            let heights = bitcoin::Heights {
                from_inclusive: low,
                to_inclusive: high,
                floor: floor.unwrap_or(low),
            };
            bitcoin::store(source, shelf, &self.metrics.sources, heights).await?;
        }
        let new = store(source, shelf, above).await?;
        let metrics = &self.metrics.sources;
        let of = [source.source().as_str()];
        metrics.repaired.with_label_values(&of).inc_by(new.into());
        metrics.fetched.with_label_values(&of).inc_by(new.into());
        if connected {
            return Ok(Filled::Whole(new));
        }
        Ok(Filled::Deeper(new, descent.expected(), lowest_height))
    }
}

enum Failure {
    Store(StoreError),
    Sources {
        why: String,
        asked: Option<Duration>,
    },
}

/// The next piece down, from this source.
async fn ask<P: Pull>(source: &P, descent: &mut Descent) -> Result<Vec<Fetched>, SyncError> {
    // Twice at most: by height, and, where the source is on another branch, by identity.
    for _ in 0..2 {
        let piece = match descent.ask() {
            Ask::Block(id) => vec![source.block(&id).await?],
            Ask::Range { from, to } => source.range(from, to).await?,
        };
        match descent.take(&piece) {
            Took::Piece => return Ok(piece),
            Took::Elsewhere => {}
            Took::Nonsense => break,
        }
    }
    let what = format!("{} at {}", descent.expected(), source.name());
    let why = "what came is not that block and its ancestors";
    Err(FetchError::unusable(what, why).into())
}
