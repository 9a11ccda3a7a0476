//! Metrics of what a daemon looks at every few seconds: its database, its way behind the chain, its pools, its process.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus::{Counter, Gauge, GaugeVec, IntGauge, IntGaugeVec, Opts, Registry};

use crate::metrics::Stage;
use crate::store::inbox::Source;
use crate::store::watch::{Look, Sizes};

/// States of a payload that has an age.
const WAITING: [&str; 3] = ["received", "detached", "quarantined"];
/// What a writer can be blocked on: its stages that have work, and a block that does not come.
const BLOCKS: [&str; 6] = ["decode", "apply", "commit", "database", "stopped", "parent"];
/// What of the books can differ.
const DIFFERENCES: [&str; 3] = ["holder", "project", "trial_balance"];

/// How many connections a pool has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolUse {
    /// At work.
    pub used: i64,
    /// Open, and free.
    pub idle: i64,
    /// At most.
    pub most: i64,
}

/// Figures of the process, as the system has them; what it does not tell is zero.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ProcessUse {
    /// Processor time since its start, seconds.
    pub cpu_seconds: f64,
    /// Memory that is resident, bytes.
    pub resident_bytes: i64,
    /// Open file descriptors.
    pub open_fds: i64,
    /// Descriptors that it may open.
    pub max_fds: i64,
    /// Threads.
    pub threads: i64,
}

/// Metrics of what is looked at.
#[derive(Debug)]
pub struct WatchMetrics {
    database_up: IntGauge,
    look_seconds: Gauge,
    tip_time: IntGauge,
    last_received: IntGauge,
    waiting: IntGaugeVec,
    blocked: GaugeVec,
    /// Greatest height that was decoded, by who delivered it.
    pub source_height: IntGaugeVec,
    /// How far the database is behind the greatest height that is known.
    pub lag_blocks: IntGauge,
    lag_seconds: IntGauge,
    outbox: IntGaugeVec,
    lease_held: IntGauge,
    epoch_in_db: IntGauge,
    checkpoint_height: IntGauge,
    checkpoint: IntGauge,
    connections: IntGaugeVec,
    connections_most: IntGaugeVec,
    database_bytes: IntGauge,
    table_bytes: IntGaugeVec,
    folder: IntGaugeVec,
    differences: IntGaugeVec,
    proved: IntGauge,
    cpu: Counter,
    resident: IntGauge,
    open_fds: IntGauge,
    max_fds: IntGauge,
    threads: IntGauge,
}

/// Seconds since 1970 by this machine's clock.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |t| i64::try_from(t.as_secs()).unwrap_or(i64::MAX))
}

impl WatchMetrics {
    /// All of them, on this registry.
    ///
    /// # Errors
    /// When a name is taken.
    #[expect(clippy::too_many_lines, reason = "one entry for each metric")]
    pub(crate) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let gauge = |name: &str, help: &str| {
            let metric = IntGauge::new(name, help)?;
            registry.register(Box::new(metric.clone()))?;
            Ok::<_, prometheus::Error>(metric)
        };
        let gauges = |name: &str, help: &str, labels: &[&str]| {
            let metric = IntGaugeVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(metric.clone()))?;
            Ok::<_, prometheus::Error>(metric)
        };
        let look_seconds = Gauge::new(
            "stxworx_database_look_seconds",
            "How long the last look at the database took, waiting for a connection included.",
        )?;
        registry.register(Box::new(look_seconds.clone()))?;
        let blocked = GaugeVec::new(
            Opts::new(
                "stxworx_blocked_on_seconds",
                "How long the writer has been at one piece of work; 0 for what it does not wait for.",
            ),
            &["stage"],
        )?;
        registry.register(Box::new(blocked.clone()))?;
        let cpu = Counter::new(
            "process_cpu_seconds_total",
            "Processor time of the process, in seconds.",
        )?;
        registry.register(Box::new(cpu.clone()))?;
        let build = gauges(
            "stxworx_build_info",
            "1; the version is a label.",
            &["version"],
        )?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        gauge(
            "process_start_time_seconds",
            "When the process began, Unix seconds.",
        )?
        .set(now());
        let metrics = Self {
            database_up: gauge(
                "stxworx_database_up",
                "1 while the database answers this process.",
            )?,
            look_seconds,
            tip_time: gauge(
                "stxworx_tip_timestamp_seconds",
                "Time of the canonical tip's block, Unix seconds; 0 for none.",
            )?,
            last_received: gauge(
                "stxworx_last_received_timestamp_seconds",
                "When the newest payload was stored, by any process, Unix seconds; 0 for never.",
            )?,
            waiting: gauges(
                "stxworx_oldest_payload_seconds",
                "Age of the oldest payload in a state; 0 for none.",
                &["state"],
            )?,
            blocked,
            source_height: gauges(
                "stxworx_source_height",
                "Greatest Stacks height that this writer decoded, by who delivered it.",
                &["source"],
            )?,
            lag_blocks: gauge(
                "stxworx_lag_blocks",
                "Blocks from the database's tip to the greatest height that a source told of.",
            )?,
            lag_seconds: gauge("stxworx_lag_seconds", "Age of the canonical tip's block.")?,
            outbox: gauges(
                "stxworx_outbox_oldest_seconds",
                "Age of the oldest line of the outbox that a reader has not taken; 0 for none.",
                &["reader"],
            )?,
            lease_held: gauge("stxworx_lease_held", "1 while a process has the lease.")?,
            epoch_in_db: gauge(
                "stxworx_writer_epoch_in_db",
                "The epoch that a commit must name.",
            )?,
            checkpoint_height: gauge(
                "stxworx_digest_checkpoint_height",
                "The height of the digest that is shown; a multiple of 100.",
            )?,
            checkpoint: gauge(
                "stxworx_digest_checkpoint",
                "The first six bytes of the digest at that height, as a number.",
            )?,
            connections: gauges(
                "stxworx_db_connections",
                "Connections to the database.",
                &["pool", "state"],
            )?,
            connections_most: gauges(
                "stxworx_db_connections_max",
                "Connections to the database that a pool may open.",
                &["pool"],
            )?,
            database_bytes: gauge("stxworx_database_bytes", "Size of the database.")?,
            table_bytes: gauges(
                "stxworx_table_bytes",
                "Size of the largest tables, indexes included.",
                &["table"],
            )?,
            folder: gauges(
                "stxworx_data_folder_bytes",
                "Space of the file system with the embedded database.",
                &["space"],
            )?,
            differences: gauges(
                "stxworx_ledger_differences",
                "What differs between the books and the chain, by the last proof.",
                &["what"],
            )?,
            proved: gauge(
                "stxworx_ledger_proved_timestamp_seconds",
                "When the books were proved last, Unix seconds; 0 for never.",
            )?,
            cpu,
            resident: gauge("process_resident_memory_bytes", "Memory that is resident.")?,
            open_fds: gauge("process_open_fds", "Open file descriptors.")?,
            max_fds: gauge("process_max_fds", "Descriptors that may be open.")?,
            threads: gauge("process_threads", "Threads.")?,
        };
        metrics.expose();
        Ok(metrics)
    }

    /// From the start, so that a rule over a label finds it.
    fn expose(&self) {
        for state in WAITING {
            self.waiting.with_label_values(&[state]);
        }
        for stage in BLOCKS {
            self.blocked.with_label_values(&[stage]);
        }
        for source in Source::ALL {
            self.source_height.with_label_values(&[source.as_str()]);
        }
        for reader in ["ledger", "reconciler"] {
            self.outbox.with_label_values(&[reader]);
        }
        for what in DIFFERENCES {
            self.differences.with_label_values(&[what]);
        }
    }

    /// The database did not answer.
    pub fn away(&self) {
        self.database_up.set(0);
    }

    /// The database said how it is.
    pub fn looked(&self, look: &Look, took: Duration) {
        self.database_up.set(1);
        self.look_seconds.set(took.as_secs_f64());
        self.tip_time.set(look.tip_time.unwrap_or(0));
        let behind = look.tip_time.map_or(0, |time| (now() - time).max(0));
        self.lag_seconds.set(behind);
        self.last_received.set(look.last_received);
        for (state, seconds) in WAITING.iter().zip([
            look.oldest_received,
            look.oldest_detached,
            look.oldest_quarantined,
        ]) {
            self.waiting.with_label_values(&[state]).set(seconds);
        }
        #[expect(clippy::cast_precision_loss, reason = "seconds")]
        self.blocked
            .with_label_values(&["parent"])
            .set(look.oldest_detached as f64);
        self.outbox
            .with_label_values(&["ledger"])
            .set(look.unbooked_seconds);
        self.outbox
            .with_label_values(&["reconciler"])
            .set(look.unreconciled_seconds);
        self.lease_held.set(i64::from(look.lease_held));
        self.epoch_in_db.set(look.epoch);
        self.checkpoint_height.set(look.checkpoint_height);
        self.checkpoint.set(look.checkpoint);
    }

    /// Says how long the writer has been at its stage.
    pub(crate) fn stage_is(&self, now: Stage, since: Duration) {
        for stage in BLOCKS.into_iter().filter(|stage| *stage != "parent") {
            let seconds = if stage == now.as_str() {
                since.as_secs_f64()
            } else {
                0.0
            };
            self.blocked.with_label_values(&[stage]).set(seconds);
        }
    }

    /// A block of this height was decoded.
    pub(crate) fn decoded(&self, source: Source, height: u32) {
        let gauge = self.source_height.with_label_values(&[source.as_str()]);
        gauge.set(gauge.get().max(i64::from(height)));
    }

    /// Greatest height that was decoded, from any source.
    pub fn greatest_decoded(&self) -> i64 {
        let of = |s: &Source| self.source_height.with_label_values(&[s.as_str()]).get();
        Source::ALL.iter().map(of).max().unwrap_or(0)
    }

    /// How a pool is used.
    pub fn pool(&self, name: &str, pool: PoolUse) {
        let of = |state| self.connections.with_label_values(&[name, state]);
        of("used").set(pool.used);
        of("idle").set(pool.idle);
        self.connections_most
            .with_label_values(&[name])
            .set(pool.most);
    }

    /// How large the database is.
    pub fn sizes(&self, sizes: &Sizes) {
        self.database_bytes.set(sizes.database_bytes);
        for (table, bytes) in &sizes.tables {
            self.table_bytes.with_label_values(&[table]).set(*bytes);
        }
    }

    /// Space where the embedded database is.
    pub fn folder(&self, free_bytes: i64, total_bytes: i64) {
        self.folder.with_label_values(&["free"]).set(free_bytes);
        self.folder.with_label_values(&["total"]).set(total_bytes);
    }

    /// What a proof of the books came to: holders, projects and assets that differ.
    pub fn proved(&self, differences: [usize; 3]) {
        for (what, count) in DIFFERENCES.iter().zip(differences) {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            self.differences.with_label_values(&[what]).set(count);
        }
        self.proved.set(now());
    }

    /// What the process uses.
    pub fn process(&self, process: ProcessUse) {
        self.cpu
            .inc_by((process.cpu_seconds - self.cpu.get()).max(0.0));
        self.resident.set(process.resident_bytes);
        self.open_fds.set(process.open_fds);
        self.max_fds.set(process.max_fds);
        self.threads.set(process.threads);
    }
}
