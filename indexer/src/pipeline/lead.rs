//! Leading and standing by: of several processes on one mirror, one writes.
//!
//! The lease tells by time who should write; the epoch that came with it is in every commit, so that a writer that
//! was asleep when its lease ran out changes nothing. What is lost with a lease is never data, only the turn.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use sqlx::PgPool;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{PipelineConfig, PipelineError};
use crate::metrics::{Metrics, Stage};
use crate::project::registry;
use crate::store::lease::{self, Attempt};

/// Somebody who would write the mirror.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// Names this process, and this pipeline in it, among all that ask for the lease.
    pub holder: String,
    /// How long a lease lasts that is not renewed. It is renewed three times as often.
    pub ttl: Duration,
    /// Tells others of this process while it leads: the epoch, or none.
    pub leading: watch::Sender<Option<i64>>,
}

/// How long a lease lasts by default: another process takes over within two seconds.
pub const DEFAULT_TTL: Duration = Duration::from_millis(1500);
/// How often a standby looks, whatever the lease says: it may have been released.
const LOOK: Duration = Duration::from_millis(150);

impl Candidate {
    /// A candidate whose lease lasts so long.
    pub fn new(ttl: Duration) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let host = host.trim();
        let started = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        // Process ids come again, in containers soon: the time keeps two lives apart.
        Self {
            holder: format!(
                "{}:{}:{}.{}",
                if host.is_empty() { "host" } else { host },
                std::process::id(),
                started.as_micros(),
                NEXT.fetch_add(1, Ordering::Relaxed)
            ),
            ttl,
            leading: watch::Sender::new(None),
        }
    }
}

impl Default for Candidate {
    fn default() -> Self {
        Self::new(DEFAULT_TTL)
    }
}

/// A lease that is being renewed as long as this lives.
pub(super) struct Term {
    /// The epoch to write with.
    pub epoch: i64,
    /// Cancelled when the lease is somebody else's.
    pub lost: CancellationToken,
    // Aborted when dropped: a writer that was dropped must not hold on.
    _keeper: JoinSet<()>,
}

/// Waits for the lease. None when cancelled before.
pub(super) async fn stand_by(
    pool: &PgPool,
    config: &PipelineConfig,
    candidate: &Candidate,
    metrics: &Arc<Metrics>,
    cancel: &CancellationToken,
) -> Result<Option<Term>, PipelineError> {
    let registry = registry();
    let mut told: Option<i64> = None;
    while !cancel.is_cancelled() {
        let attempt = lease::attempt(
            pool,
            &config.network,
            &config.follow,
            &registry,
            &candidate.holder,
            candidate.ttl,
        );
        match attempt.await? {
            Attempt::Taken(position) => {
                tracing::info!(
                    epoch = position.epoch,
                    holder = candidate.holder,
                    "this process writes the mirror"
                );
                note_finality(pool, config, candidate, position.epoch).await;
                return Ok(Some(begin(pool, candidate, position.epoch, metrics)));
            }
            Attempt::Held {
                holder,
                epoch,
                expires_in,
            } => {
                metrics.set_stage(Stage::Standby);
                if told != Some(epoch) {
                    tracing::info!(
                        holder,
                        epoch,
                        "another process writes the mirror; standing by"
                    );
                    told = Some(epoch);
                }
                let wait = expires_in.clamp(Duration::from_millis(5), LOOK);
                tokio::select! {
                    () = tokio::time::sleep(wait) => {}
                    () = cancel.cancelled() => {}
                }
            }
        }
    }
    Ok(None)
}

/// For those who look from outside; a turn is not lost because it could not be noted.
async fn note_finality(pool: &PgPool, config: &PipelineConfig, candidate: &Candidate, epoch: i64) {
    let blocks = config.finality_burn_blocks;
    if let Err(error) = lease::note_finality(pool, &candidate.holder, epoch, blocks).await {
        let error = crate::error_chain(&error).to_string();
        tracing::warn!(
            error,
            "what counts as final could not be noted; `stxworx status` takes its own configuration's"
        );
    }
}

fn begin(pool: &PgPool, candidate: &Candidate, epoch: i64, metrics: &Arc<Metrics>) -> Term {
    let lost = CancellationToken::new();
    let mut keeper = JoinSet::new();
    keeper.spawn(keep(
        pool.clone(),
        candidate.clone(),
        epoch,
        Arc::clone(metrics),
        lost.clone(),
    ));
    metrics.leader.set(1);
    metrics.writer_epoch.set(epoch);
    metrics.lease_changes.with_label_values(&["taken"]).inc();
    note_renewal(metrics);
    candidate.leading.send_replace(Some(epoch));
    Term {
        epoch,
        lost,
        _keeper: keeper,
    }
}

/// The end of a term, for whichever reason.
pub(super) fn end(candidate: &Candidate, metrics: &Metrics, lost: bool) {
    candidate.leading.send_replace(None);
    metrics.leader.set(0);
    metrics.writer_epoch.set(0);
    let how = if lost { "lost" } else { "released" };
    metrics.lease_changes.with_label_values(&[how]).inc();
}

fn note_renewal(metrics: &Metrics) {
    let unix = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    metrics
        .lease_renewed
        .set(i64::try_from(unix.as_secs()).unwrap_or(i64::MAX));
}

/// Renews until the lease is lost.
async fn keep(
    pool: PgPool,
    candidate: Candidate,
    epoch: i64,
    metrics: Arc<Metrics>,
    lost: CancellationToken,
) {
    let mut failing = false;
    loop {
        tokio::time::sleep(candidate.ttl / 3).await;
        match lease::renew(&pool, &candidate.holder, epoch, candidate.ttl).await {
            Ok(true) => {
                failing = false;
                note_renewal(&metrics);
            }
            Ok(false) => {
                lost.cancel();
                return;
            }
            // Not known to be lost; whoever took it meanwhile has raised the epoch, and no commit of ours passes.
            Err(error) => {
                if !failing {
                    let error = crate::error_chain(&error).to_string();
                    tracing::warn!(error, "the lease could not be renewed; trying again");
                    failing = true;
                }
            }
        }
    }
}
