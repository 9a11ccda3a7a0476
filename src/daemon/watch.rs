//! What a process looks at every few seconds for its metrics: the database, its pools, the disk, itself; and now and
//! then the books.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::PgPool;
use stxworx_indexer::metrics::Metrics;
use stxworx_indexer::store::{Access, watch as store};
use stxworx_indexer::watch_metrics::{PoolUse, ProcessUse};
use stxworx_reconciler::ledger::proof;
use tokio_util::sync::CancellationToken;

use super::{Daemon, DaemonError};
use crate::config::Config;

/// How often the database is asked.
const EVERY: Duration = Duration::from_secs(2);
/// Connections of its own: one for the look, for sizes and for proofs, none of which waits for the others.
const CONNECTIONS: u32 = 3;
/// How long a look may take before the database counts as away.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often its size is measured.
const SIZES_EVERY: Duration = Duration::from_secs(30);
/// How often the books are proved at most; a proof that takes long is made less often.
const PROVE_EVERY: Duration = Duration::from_secs(30);
/// Of the time at most this part is spent on proofs.
const PROVE_SHARE: u32 = 50;
/// Names of sources in the metric of their tips.
const ASKED: [&str; 2] = ["node", "api"];

struct Watch {
    metrics: Arc<Metrics>,
    /// Not the readers': an API that is asked too much must not hide how the mirror stands. Its statements end after a
    /// while, for even the size of a table waits for who has locked it.
    pool: PgPool,
    pools: Vec<(&'static str, PgPool)>,
    /// Of an embedded database.
    folder: Option<PathBuf>,
}

impl Daemon {
    /// Looks at everything from now on.
    ///
    /// # Errors
    /// When the URL is none.
    pub(super) fn start_watch(&mut self, config: &Config, url: &str) -> Result<(), DaemonError> {
        let pool = stxworx_indexer::store::pool(url, Access::Read, CONNECTIONS)?;
        self.watched.push(("watch", pool.clone()));
        let embedded = config.database_url.is_none();
        let watch = Watch {
            metrics: Arc::clone(&self.metrics),
            pool,
            pools: self.watched.clone(),
            folder: embedded.then(|| config.data_dir.clone()),
        };
        let stop = self.cancel.clone();
        self.tasks.spawn(async move {
            // One that waits for the database must not hide what the others see.
            tokio::join!(
                watch.ask(&stop),
                watch.measure(&stop),
                watch.books(&stop),
                watch.see(&stop)
            );
            ("the watch of the metrics", Ok(()))
        });
        Ok(())
    }
}

/// Waits, unless it is over.
async fn pause(time: Duration, stop: &CancellationToken) {
    tokio::select! {
        () = tokio::time::sleep(time) => {}
        () = stop.cancelled() => {}
    }
}

impl Watch {
    /// Asks the database until cancelled.
    async fn ask(&self, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            self.look().await;
            pause(EVERY, stop).await;
        }
    }

    /// Measures the database until cancelled.
    async fn measure(&self, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            if let Ok(sizes) = store::sizes(&self.pool).await {
                self.metrics.watch.sizes(&sizes);
            }
            pause(SIZES_EVERY, stop).await;
        }
    }

    /// Proves the books while this process writes, until cancelled.
    async fn books(&self, stop: &CancellationToken) {
        let mut rest = PROVE_EVERY;
        while !stop.is_cancelled() {
            pause(rest, stop).await;
            if self.metrics.leader.get() == 1 && !stop.is_cancelled() {
                let began = Instant::now();
                // Where blocks come all the time, something is often not booked yet: a moment later it is.
                let least = if self.prove().await {
                    PROVE_EVERY
                } else {
                    EVERY
                };
                rest = (began.elapsed() * PROVE_SHARE).max(least);
            }
        }
    }

    async fn look(&self) {
        let began = Instant::now();
        let watch = &self.metrics.watch;
        match tokio::time::timeout(PATIENCE, store::look(&self.pool)).await {
            Ok(Ok(look)) => watch.looked(&look, began.elapsed()),
            Ok(Err(error)) => {
                watch.away();
                let error = stxworx_indexer::error_chain(&error).to_string();
                tracing::debug!(error, "the database did not say how far it is");
                return;
            }
            Err(_elapsed) => {
                watch.away();
                tracing::debug!("the database takes too long to say how far it is");
                return;
            }
        }
        self.lanes().await;
        let tips = &self.metrics.sources.tip;
        let told = ASKED.map(|source| tips.with_label_values(&[source]).get());
        let greatest = told.into_iter().fold(watch.greatest_decoded(), i64::max);
        let height = self.metrics.height.with_label_values(&["in_db"]).get();
        watch.lag_blocks.set((greatest - height).max(0));
    }

    /// Sees who mints. A minter that is gone says so to nobody; the other processes do.
    async fn lanes(&self) {
        let look = stxworx_indexer::store::mint::look::held(&self.pool);
        match tokio::time::timeout(PATIENCE, look).await {
            Ok(Ok(lanes)) => self.metrics.mints.held(&lanes),
            Ok(Err(error)) => {
                let error = stxworx_indexer::error_chain(&error).to_string();
                tracing::debug!(error, "the database did not say who mints");
            }
            Err(_elapsed) => tracing::debug!("the database takes too long to say who mints"),
        }
    }

    /// Proves the books against the mirror. While something is not booked, nothing need agree, and nothing is proved.
    async fn prove(&self) -> bool {
        match proof::prove(&self.pool, None, None).await {
            Ok(proof) if proof.unbooked == 0 => {
                let holders = proof.holders.iter().filter(|h| !h.agrees()).count();
                let differ = [holders, proof.projects.len(), proof.trial_balance.len()];
                self.metrics.watch.proved(differ);
                if differ != [0; 3] {
                    tracing::error!(
                        holders,
                        projects = differ[1],
                        assets = differ[2],
                        "the books differ from the chain; see `stxworx ledger verify`"
                    );
                }
                true
            }
            Ok(_) => false,
            Err(error) => {
                let error = stxworx_indexer::error_chain(&error).to_string();
                tracing::warn!(error, "the books could not be proved; it is tried again");
                true
            }
        }
    }

    /// Sees what needs no database, until cancelled.
    async fn see(&self, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            for (name, pool) in &self.pools {
                let idle = i64::try_from(pool.num_idle()).unwrap_or(i64::MAX);
                let used = (i64::from(pool.size()) - idle).max(0);
                let most = i64::from(pool.options().get_max_connections());
                self.metrics.watch.pool(name, PoolUse { used, idle, most });
            }
            if let Some((free, total)) = self.folder.as_ref().and_then(space) {
                self.metrics.watch.folder(free, total);
            }
            self.metrics.watch.process(process());
            pause(EVERY, stop).await;
        }
    }
}

/// Free and all bytes of the file system of a folder; none where it does not tell.
fn space(folder: &PathBuf) -> Option<(i64, i64)> {
    let told = nix::sys::statvfs::statvfs(folder).ok()?;
    let bytes = |blocks: u64| {
        let bytes = blocks.saturating_mul(told.fragment_size());
        i64::try_from(bytes).unwrap_or(i64::MAX)
    };
    Some((bytes(told.blocks_available()), bytes(told.blocks())))
}

/// What this process uses. Memory, threads and descriptors are those of Linux's `/proc`.
fn process() -> ProcessUse {
    use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage};
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<i64>().ok()
    };
    #[expect(clippy::cast_precision_loss, reason = "seconds with a fraction")]
    let cpu_seconds = getrusage(UsageWho::RUSAGE_SELF).map_or(0.0, |usage| {
        let [user, system] = [usage.user_time(), usage.system_time()];
        (user.tv_sec() + system.tv_sec()) as f64
            + (user.tv_usec() + system.tv_usec()) as f64 / 1_000_000.0
    });
    let open = std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    let limit = getrlimit(Resource::RLIMIT_NOFILE).map_or(0, |(soft, _)| soft);
    ProcessUse {
        cpu_seconds,
        resident_bytes: field("VmRSS:").unwrap_or(0).saturating_mul(1024),
        open_fds: i64::try_from(open).unwrap_or(i64::MAX),
        max_fds: i64::try_from(limit).unwrap_or(i64::MAX),
        threads: field("Threads:").unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_knows_what_it_uses() {
        let used = process();
        assert!(used.max_fds > 0, "{used:?}");
        if cfg!(target_os = "linux") {
            assert!(used.resident_bytes > 1_000_000, "{used:?}");
            assert!(used.open_fds > 2 && used.threads > 0, "{used:?}");
        }
        let (free, total) = space(&PathBuf::from("/")).unwrap();
        assert!(total > 0 && free <= total);
        assert_eq!(space(&PathBuf::from("/no/such/folder")), None);
    }
}
