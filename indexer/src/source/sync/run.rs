//! The loops: while this process leads, it follows and repairs.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::follow::Follower;
use super::repair::{RepairSettings, Repairer};
use super::shelf::Shelf;
use crate::metrics::Metrics;
use crate::retry::Backoff;
use crate::source::pull::Pull;

/// How a tip is followed.
#[derive(Debug, Clone, Copy)]
pub struct FollowSettings {
    /// Pause between two looks at the tip.
    pub poll: Duration,
    /// Blocks that the way down from a new tip may hold in memory.
    pub walk: u32,
}

/// When to work: while this process leads, until it is stopped.
#[derive(Debug, Clone)]
pub struct Turn {
    /// The epoch while it leads.
    pub leading: watch::Receiver<Option<i64>>,
    /// Ends everything.
    pub stop: CancellationToken,
}

impl Turn {
    /// Waits until this process leads. False when it is stopped.
    async fn come(&mut self) -> bool {
        tokio::select! {
            came = self.leading.wait_for(Option::is_some) => came.is_ok(),
            () = self.stop.cancelled() => false,
        }
    }

    /// Does this, unless the turn ends before; then it is dropped where it stands, which loses nothing.
    async fn within<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            done = work => Some(done),
            _ = self.leading.wait_for(Option::is_none) => None,
            () = self.stop.cancelled() => None,
        }
    }
}

/// Follows a source's tip until stopped. `hint` says that there is something new, without being believed.
pub async fn follow<P: Pull, S: Shelf>(
    source: P,
    shelf: S,
    settings: FollowSettings,
    metrics: Arc<Metrics>,
    hint: Arc<Notify>,
    mut turn: Turn,
) {
    let mut follower = Follower::new(Arc::clone(&metrics), settings.walk);
    let mut backoff = Backoff::default();
    let mut told: Option<&'static str> = None;
    while turn.come().await {
        let Some(done) = turn.within(follower.step(&source, &shelf)).await else {
            continue;
        };
        let pause = match done {
            Ok(step) => {
                if told.take().is_some() {
                    tracing::info!(source = source.name(), "the source answers again");
                }
                if step.changed {
                    tracing::debug!(source = source.name(), ?step, "a tip was followed");
                }
                backoff.reset();
                settings.poll
            }
            Err(error) => {
                let kind = error.kind();
                metrics.sources.failures.with_label_values(&[kind]).inc();
                if told != Some(kind) {
                    // Once for each cause: a source that is down for hours fills no log.
                    let error = crate::error_chain(&error).to_string();
                    tracing::warn!(
                        source = source.name(),
                        error,
                        "the tip cannot be followed; trying again"
                    );
                    told = Some(kind);
                }
                let asked = error.retry_after().unwrap_or_default();
                backoff.next_delay().max(settings.poll).max(asked)
            }
        };
        // A hint must not overrule the pause that a failing source is given.
        let hinted = async {
            if told.is_some() {
                std::future::pending::<()>().await;
            }
            hint.notified().await;
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = hinted => {}
            () = turn.stop.cancelled() => {}
        }
    }
}

/// How often gaps are looked for.
const LOOK: Duration = Duration::from_millis(500);

/// Fills gaps until stopped.
pub async fn repair<P: Pull, S: Shelf>(
    sources: Vec<P>,
    shelf: S,
    settings: RepairSettings,
    metrics: Arc<Metrics>,
    mut turn: Turn,
) {
    let mut repairer = Repairer::new(metrics, settings);
    let mut backoff = Backoff::default();
    let mut failing = false;
    while turn.come().await {
        let Some(done) = turn.within(repairer.round(&sources, &shelf)).await else {
            continue;
        };
        let pause = match done {
            Ok(_) => {
                failing = false;
                backoff.reset();
                LOOK
            }
            Err(error) => {
                if !failing {
                    let error = crate::error_chain(&error).to_string();
                    tracing::warn!(error, "gaps cannot be looked for; trying again");
                    failing = true;
                }
                backoff.next_delay().max(LOOK)
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = turn.stop.cancelled() => {}
        }
    }
}
