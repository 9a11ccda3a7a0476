//! Storing history, upwards, in pieces that are fetched ahead and stored in order.

use std::time::{Duration, Instant};

use futures::StreamExt as _;
use tokio_util::sync::CancellationToken;

use super::plan::{self, Overlap};
use super::shelf::Shelf;
use super::{SyncError, bitcoin, store};
use crate::metrics::Metrics;
use crate::retry::Backoff;
use crate::source::http::FetchError;
use crate::source::pull::{Fetched, Pull};
use crate::store::StoreError;
use crate::store::sync::Standing;
use crate::store::sync::jobs::{Job, JobState};

/// Bounds of a backfill.
#[derive(Debug, Clone, Copy)]
pub struct BackfillSettings {
    /// Pieces fetched at the same time; as many are held in memory.
    pub ahead: usize,
    /// Attempts at one piece.
    pub attempts: u32,
}

impl Default for BackfillSettings {
    fn default() -> Self {
        Self {
            ahead: 4,
            attempts: 8,
        }
    }
}

/// How far a backfill has come.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// First height of this run.
    pub began_at: u32,
    /// The next height.
    pub next: u32,
    /// The last height, as far as it is known.
    pub to: u32,
    /// Blocks that were not there before.
    pub new: u64,
    /// Time since this run began.
    pub elapsed: Duration,
}

impl Progress {
    /// Heights per second in this run, rounded down.
    pub fn per_second(&self) -> u64 {
        let done = u64::from(self.next.saturating_sub(self.began_at));
        let millis = u64::try_from(self.elapsed.as_millis()).unwrap_or(u64::MAX);
        done.saturating_mul(1000) / millis.max(1)
    }

    /// Time that the rest takes at this rate; none before there is a rate.
    pub fn remaining(&self) -> Option<Duration> {
        let done = self.next.saturating_sub(self.began_at);
        let rest = self.to.saturating_add(1).saturating_sub(self.next);
        (done > 0).then(|| self.elapsed.mul_f64(f64::from(rest) / f64::from(done)))
    }
}

/// How a run ended without a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finished {
    /// Everything is stored.
    Stored,
    /// It was asked to stop; the job goes on from where it is.
    Stopped,
}

/// Runs a job to its end, or until it is asked to stop. The journal is right at every moment: whatever happens, the
/// same job goes on with the first piece that is not stored.
///
/// # Errors
/// When the source fails again and again, or the database does. The job is then stopped, with the reason.
pub async fn backfill<P: Pull, S: Shelf>(
    source: &P,
    shelf: &S,
    job: &mut Job,
    settings: BackfillSettings,
    metrics: &Metrics,
    progress: &mut (dyn FnMut(&Progress) + Send),
    cancel: &CancellationToken,
) -> Result<Finished, SyncError> {
    let mut run = Run {
        source,
        shelf,
        settings,
        metrics,
        progress,
        cancel,
        began_at: job.next,
        new: 0,
        burned: None,
        started: Instant::now(),
    };
    let result = run.all(job).await;
    match &result {
        Ok(Finished::Stored) => job.state = JobState::Overlapping,
        Ok(Finished::Stopped) => job.state = JobState::Stopped,
        Err(error) => {
            job.state = JobState::Stopped;
            job.error = Some(crate::error_chain(error).to_string());
        }
    }
    shelf.note_job(job).await?;
    result
}

struct Run<'a, P, S> {
    source: &'a P,
    shelf: &'a S,
    settings: BackfillSettings,
    metrics: &'a Metrics,
    progress: &'a mut (dyn FnMut(&Progress) + Send),
    cancel: &'a CancellationToken,
    began_at: u32,
    new: u64,
    /// The highest Bitcoin height so far.
    burned: Option<u32>,
    started: Instant,
}

/// How a pass over what is left ended.
enum Pass {
    Done,
    Stopped,
    /// The source's chain does not stand on what was stored.
    Mismatch,
}

impl<P: Pull, S: Shelf> Run<'_, P, S> {
    async fn all(&mut self, job: &mut Job) -> Result<Finished, SyncError> {
        let mut mismatches = 0;
        loop {
            let to = match job.order.to_inclusive {
                Some(to) => to,
                None => self.tip().await?,
            };
            if job.next > to {
                return Ok(Finished::Stored);
            }
            let before = job.next;
            match self.pass(job, to).await? {
                Pass::Done => mismatches = 0,
                Pass::Stopped => return Ok(Finished::Stopped),
                Pass::Mismatch => {
                    if job.next > before {
                        mismatches = 0;
                    }
                    let height = job.next;
                    job.next = plan::step_back(job, mismatches);
                    job.last_block = None;
                    mismatches += 1;
                    tracing::warn!(
                        height,
                        again_from = job.next,
                        "the source's chain changed below; reading again"
                    );
                    self.shelf.note_job(job).await?;
                }
            }
        }
    }

    async fn tip(&self) -> Result<u32, SyncError> {
        let mut backoff = Backoff::default();
        let mut attempts = 0;
        loop {
            match self.source.tip().await {
                Ok(tip) => return Ok(tip.block.height),
                Err(error) => {
                    attempts += 1;
                    let settings = (self.settings.attempts, self.cancel);
                    wait(error, attempts, settings, &mut backoff, self.metrics).await?;
                }
            }
        }
    }

    /// Stores what is left, up to a height.
    async fn pass(&mut self, job: &mut Job, to: u32) -> Result<Pass, SyncError> {
        let (source, metrics) = (self.source, self.metrics);
        let settings = (self.settings.attempts, self.cancel);
        let pieces = plan::pieces(job.next, to)
            .map(|(first, last)| fetch(source, first, last, settings, metrics));
        let mut pieces = futures::stream::iter(pieces).buffered(self.settings.ahead.max(1));
        loop {
            let piece = tokio::select! {
                biased;
                () = self.cancel.cancelled() => return Ok(Pass::Stopped),
                piece = pieces.next() => piece,
            };
            let Some(piece) = piece else {
                return Ok(Pass::Done);
            };
            let piece = piece?;
            if !self.stands(job, &piece).await? {
                return Ok(Pass::Mismatch);
            }
            if let Some((low, high)) = bitcoin::heights(&piece)? {
                let heights = bitcoin::Heights {
                    from_inclusive: low,
                    to_inclusive: high,
                    floor: self.burned.unwrap_or(low),
                };
                bitcoin::store(source, self.shelf, &metrics.sources, heights).await?;
                self.burned = Some(high);
            }
            let new = store(source, self.shelf, &piece).await?;
            let of = [source.source().as_str()];
            metrics
                .sources
                .fetched
                .with_label_values(&of)
                .inc_by(new.into());
            self.new += u64::from(new);
            if let Some(last) = piece.last() {
                job.next = last.block.height.saturating_add(1);
                job.last_block = Some(last.block.id);
            }
            self.shelf.note_job(job).await?;
            (self.progress)(&Progress {
                began_at: self.began_at,
                next: job.next,
                to,
                new: self.new,
                elapsed: self.started.elapsed(),
            });
        }
    }

    /// Does a piece stand on what is stored?
    async fn stands(&self, job: &Job, piece: &[Fetched]) -> Result<bool, SyncError> {
        let Some(first) = piece.first() else {
            return Ok(false);
        };
        if first.block.height == job.order.from_inclusive || job.last_block == Some(first.parent) {
            return Ok(true);
        }
        let standing = self.shelf.standing(&[first.parent]).await?;
        Ok(standing.first().is_some_and(|s| s.is_stored()))
    }
}

/// A piece, over failures that pass.
async fn fetch<P: Pull>(
    source: &P,
    first: u32,
    last: u32,
    settings: (u32, &CancellationToken),
    metrics: &Metrics,
) -> Result<Vec<Fetched>, SyncError> {
    let mut backoff = Backoff::default();
    let mut attempts = 0;
    loop {
        let error = match source.range(first, last).await {
            Ok(piece) if is_whole(&piece, first, last) => return Ok(piece),
            Ok(piece) => FetchError::unusable(
                format!("blocks {first} to {last} of {}", source.name()),
                format!("{} blocks came, or they are no chain", piece.len()),
            ),
            Err(error) => error,
        };
        attempts += 1;
        wait(error, attempts, settings, &mut backoff, metrics).await?;
    }
}

fn is_whole(piece: &[Fetched], first: u32, last: u32) -> bool {
    piece.first().is_some_and(|b| b.block.height == first)
        && piece.last().is_some_and(|b| b.block.height == last)
        && plan::is_chain(piece)
}

/// Waits before the next attempt; the error where there is none.
async fn wait(
    error: FetchError,
    attempts: u32,
    (most, cancel): (u32, &CancellationToken),
    backoff: &mut Backoff,
    metrics: &Metrics,
) -> Result<(), SyncError> {
    let kind = [error.kind()];
    metrics.sources.failures.with_label_values(&kind).inc();
    if !error.is_transient() || attempts >= most || cancel.is_cancelled() {
        return Err(error.into());
    }
    let pause = backoff
        .next_delay()
        .max(error.retry_after().unwrap_or_default());
    tracing::warn!(error = %crate::error_chain(&error), attempts, retry_in_ms = pause.as_millis(),
        "the source failed; trying again");
    tokio::select! {
        () = tokio::time::sleep(pause) => Ok(()),
        () = cancel.cancelled() => Err(error.into()),
    }
}

/// The overlap check: ends a job that is stored whole once the mirror is whole from its first height to beyond its last.
/// True when it has ended.
///
/// # Errors
/// When the database fails.
pub async fn settle<S: Shelf>(shelf: &S, job: &mut Job) -> Result<bool, StoreError> {
    let Some(last_height) = job.next.checked_sub(1) else {
        return Ok(false);
    };
    let standing = match job.last_block {
        Some(last) => shelf.standing(&[last]).await?.first().copied(),
        None => None,
    };
    let span = shelf.span().await?;
    let canonical = shelf.canonical_at(last_height).await?;
    let standing = standing.unwrap_or(Standing::Unknown);
    match plan::overlap(job, standing, canonical, span.as_ref()) {
        Overlap::Waiting => return Ok(false),
        Overlap::Connected => job.error = None,
        Overlap::OtherBranch => {
            job.error = Some(format!(
                "at height {last_height} another branch became canonical meanwhile; the mirror is whole along that one"
            ));
        }
    }
    job.state = JobState::Done;
    shelf.note_job(job).await?;
    Ok(true)
}
