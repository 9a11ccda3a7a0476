//! What the process knows about itself, for health checks and status.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use sqlx::PgPool;
use stxworx_indexer::api::{Blocked, Live, LiveStatus};
use stxworx_indexer::metrics::{Metrics, Stage};
use stxworx_indexer::store;
use tokio_util::sync::CancellationToken;

/// How often the database is looked at.
const EVERY: Duration = Duration::from_secs(2);
/// A stage that takes longer than this at one piece of work stands still.
const STANDSTILL: Duration = Duration::from_secs(30);

/// Live values of this process.
#[derive(Debug)]
pub struct ProcessLive {
    metrics: Arc<Metrics>,
    reachable: AtomicBool,
    schema_current: AtomicBool,
}

impl ProcessLive {
    /// Nothing known yet about the database.
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self {
            metrics,
            reachable: AtomicBool::new(false),
            schema_current: AtomicBool::new(false),
        }
    }

    /// Looks at the database until cancelled.
    pub async fn watch(&self, pool: PgPool, stop: CancellationToken) {
        while !stop.is_cancelled() {
            self.look(&pool).await;
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    /// Looks at the database once.
    pub async fn look(&self, pool: &PgPool) {
        match store::health(pool).await {
            Ok(health) => {
                self.reachable.store(true, Ordering::Relaxed);
                self.schema_current
                    .store(health.schema_current, Ordering::Relaxed);
                self.metrics.backlog.set(health.received);
                self.metrics.quarantined.set(health.quarantined);
                self.metrics.detached.set(health.detached);
                if let Some(height) = health.tip_height {
                    self.metrics
                        .height
                        .with_label_values(&["in_db"])
                        .set(i64::from(height));
                }
            }
            Err(_) => self.reachable.store(false, Ordering::Relaxed),
        }
    }
}

impl LiveStatus for ProcessLive {
    fn live(&self) -> Live {
        let (stage, since) = self.metrics.stage_now();
        let rests = matches!(stage, Stage::Idle | Stage::Standby);
        let stands = !rests && (since > STANDSTILL || stage == Stage::Stopped);
        let last = u64::try_from(self.metrics.last_received_unix())
            .ok()
            .filter(|s| *s > 0);
        Live {
            received: self.metrics.received_total(),
            last_received_at: last.map(|s| SystemTime::UNIX_EPOCH + Duration::from_secs(s)),
            blocked: stands.then(|| Blocked {
                stage: stage.as_str().to_owned(),
                seconds: since.as_secs(),
            }),
            database_reachable: self.reachable.load(Ordering::Relaxed),
            schema_current: self.schema_current.load(Ordering::Relaxed),
            invariant_violations: self.metrics.violations().into_iter().collect(),
        }
    }
}
