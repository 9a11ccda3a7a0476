//! Inbox to mirror: the one loop that decides and writes.
//!
//! Per round: fetch payloads, decode them (in parallel), then one by one ask the fork tree, apply the
//! projections, and gather a [`Batch`]; commit it. Everything in memory is a cache of the database: after
//! any failed commit it is loaded anew and the round is done again (CH-4).

mod batch;
mod count;
mod decode;
mod detached;
mod disagree;
mod lead;
mod states;
mod writer;

use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::metrics::{Metrics, Stage};
use crate::model::FollowSet;
use crate::project::ProjectError;
use crate::retry::Backoff;
use crate::store::{StoreError, lease};

pub use lead::{Candidate, DEFAULT_TTL};
use writer::Writer;

/// What a pipeline needs to know.
#[derive(Debug, Clone)]
pub struct PipelineConfig {
    /// Name of the network, for instance `mainnet`.
    pub network: String,
    /// What is mirrored.
    pub follow: FollowSet,
    /// Bitcoin blocks after which a block counts as final.
    pub finality_burn_blocks: u32,
}

/// Why the pipeline stopped.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// The store refused for good.
    #[error("the mirror cannot be written")]
    Store(#[from] StoreError),
    /// A projection met what it cannot hold.
    #[error("the mirror cannot go on")]
    Project(#[from] ProjectError),
}

impl PipelineError {
    fn is_transient(&self) -> bool {
        matches!(self, Self::Store(e) if e.is_transient())
    }
}

/// How long to wait for a wake-up before looking anyway: another process may have filled the inbox.
const POLL: Duration = Duration::from_millis(500);

/// Runs until cancelled or until it cannot go on, as a candidate with the usual lease.
///
/// # Errors
/// As [`run_as`].
pub async fn run(
    pool: PgPool,
    config: PipelineConfig,
    metrics: Arc<Metrics>,
    wake: Arc<Notify>,
    cancel: CancellationToken,
) -> Result<(), PipelineError> {
    run_as(Candidate::default(), pool, config, metrics, wake, cancel).await
}

/// Runs until cancelled or until it cannot go on: writes the mirror while it holds the lease, and stands by while
/// somebody else does.
///
/// # Errors
/// When the configuration does not fit the mirror, or when a block cannot be applied. A database that is away is
/// waited for.
pub async fn run_as(
    candidate: Candidate,
    pool: PgPool,
    config: PipelineConfig,
    metrics: Arc<Metrics>,
    wake: Arc<Notify>,
    cancel: CancellationToken,
) -> Result<(), PipelineError> {
    let mut backoff = Backoff::default();
    while !cancel.is_cancelled() {
        let term = lead::stand_by(&pool, &config, &candidate, &metrics, &cancel).await;
        let result = match term {
            Ok(None) => break,
            Ok(Some(term)) => {
                let result = write(
                    &pool,
                    &config,
                    &metrics,
                    &wake,
                    &cancel,
                    &term,
                    &mut backoff,
                )
                .await;
                let lost = matches!(result, Ok(Ended::Lost));
                lead::end(&candidate, &metrics, lost);
                if lost {
                    tracing::warn!(
                        epoch = term.epoch,
                        "another writer has taken over this mirror; this process stands by"
                    );
                } else if let Err(error) =
                    lease::release(&pool, &candidate.holder, term.epoch).await
                {
                    let error = crate::error_chain(&error).to_string();
                    tracing::warn!(error, "the lease is not released and has to run out");
                }
                result.map(|_| ())
            }
            Err(error) => Err(error),
        };
        match result {
            Ok(()) => {}
            Err(error) if error.is_transient() => {
                pause(&error, &metrics, &mut backoff, &cancel).await;
            }
            Err(error) => {
                metrics.set_stage(Stage::Stopped);
                return Err(error);
            }
        }
    }
    metrics.set_stage(Stage::Idle);
    Ok(())
}

/// How a term of writing ended without a failure.
enum Ended {
    /// It was asked to.
    Asked,
    /// The mirror is somebody else's.
    Lost,
}

async fn pause(
    error: &PipelineError,
    metrics: &Metrics,
    backoff: &mut Backoff,
    cancel: &CancellationToken,
) {
    metrics.set_stage(Stage::Database);
    let delay = backoff.next_delay();
    tracing::warn!(
        error = %crate::error_chain(error),
        retry_in_ms = delay.as_millis(),
        "the database failed; nothing is lost, trying again"
    );
    tokio::select! {
        () = tokio::time::sleep(delay) => {}
        () = cancel.cancelled() => {}
    }
}

/// Writes for a term, over failures of the database.
async fn write(
    pool: &PgPool,
    config: &PipelineConfig,
    metrics: &Arc<Metrics>,
    wake: &Notify,
    cancel: &CancellationToken,
    term: &lead::Term,
    backoff: &mut Backoff,
) -> Result<Ended, PipelineError> {
    loop {
        if term.lost.is_cancelled() {
            return Ok(Ended::Lost);
        }
        if cancel.is_cancelled() {
            return Ok(Ended::Asked);
        }
        match follow(pool, config, metrics, wake, cancel, term, backoff).await {
            Ok(ended) => return Ok(ended),
            Err(PipelineError::Store(StoreError::LostWatermark)) => return Ok(Ended::Lost),
            Err(error) if error.is_transient() => pause(&error, metrics, backoff, cancel).await,
            Err(error) => return Err(error),
        }
    }
}

/// One life of a [`Writer`]: from loading to the first failure, or to the end.
async fn follow(
    pool: &PgPool,
    config: &PipelineConfig,
    metrics: &Arc<Metrics>,
    wake: &Notify,
    cancel: &CancellationToken,
    term: &lead::Term,
    backoff: &mut Backoff,
) -> Result<Ended, PipelineError> {
    let mut writer = Writer::load(pool, config, metrics, term.epoch).await?;
    let mut reader = decode::Reader::new(pool.clone(), config.follow.clone());
    loop {
        if cancel.is_cancelled() {
            return Ok(Ended::Asked);
        }
        if term.lost.is_cancelled() {
            return Ok(Ended::Lost);
        }
        metrics.set_stage(Stage::Decode);
        let payloads = reader.next().await?;
        if payloads.is_empty() {
            metrics.set_stage(Stage::Idle);
            metrics.backlog.set(0);
            tokio::select! {
                () = wake.notified() => {}
                () = tokio::time::sleep(POLL) => {}
                () = cancel.cancelled() => {}
                () = term.lost.cancelled() => {}
            }
            reader.rewind();
            continue;
        }
        let again = writer.process(payloads).await?;
        backoff.reset();
        if again {
            // The mirror was emptied to begin lower; all payloads are to be read once more.
            writer = Writer::load(pool, config, metrics, term.epoch).await?;
            reader = decode::Reader::new(pool.clone(), config.follow.clone());
        }
    }
}
