//! Metrics, on one explicit registry.
//!
//! Pairs tell a stall from idleness: `received` against `committed`, and how long a stage has been
//! at the same work.

use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Instant;

use prometheus::{
    Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};

use crate::api::metrics::ApiMetrics;
use crate::api::stream::metrics::StreamMetrics;
use crate::mint_metrics::MintMetrics;
use crate::reconcile_metrics::ReconcileMetrics;
use crate::source::metrics::SourceMetrics;
use crate::store::inbox::Source;
use crate::store::ledger::metrics::LedgerMetrics;
use crate::watch_metrics::WatchMetrics;
use crate::webhook::metrics::WebhookMetrics;

/// What the writer is busy with. One that does not change while there is work to do is a stall.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Nothing to do.
    Idle,
    /// Reading and decoding payloads.
    Decode,
    /// Fork choice and projections.
    Apply,
    /// Writing to the database.
    Commit,
    /// Another process writes; this one waits for its turn.
    Standby,
    /// Waiting for the database to come back.
    Database,
    /// Stopped by what it cannot do.
    Stopped,
}

impl Stage {
    /// Name in metrics and in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Decode => "decode",
            Self::Apply => "apply",
            Self::Commit => "commit",
            Self::Standby => "standby",
            Self::Database => "database",
            Self::Stopped => "stopped",
        }
    }
}

/// All metrics of the process.
pub struct Metrics {
    registry: Registry,
    /// Payloads stored, by endpoint.
    pub received: IntCounterVec,
    /// Deliveries of bytes that were stored before, by endpoint.
    pub repeated: IntCounterVec,
    /// Requests that were refused, by reason.
    pub refused: IntCounterVec,
    /// Seconds from the request's arrival to durability.
    pub store_seconds: Histogram,
    /// Payloads received and not yet processed.
    pub backlog: IntGauge,
    /// Blocks that wait for their parent.
    pub detached: IntGauge,
    /// Payloads that could not be decoded.
    pub quarantined: IntGauge,
    /// Greatest Stacks height by stage of processing.
    pub height: IntGaugeVec,
    /// Bitcoin height of the view.
    pub burn_height: IntGauge,
    /// Payloads processed.
    pub processed: IntCounter,
    /// Blocks added to the mirror.
    pub blocks: IntCounter,
    /// Transactions and events added, by table.
    pub rows: IntCounterVec,
    /// Things kept raw because this version cannot read them, by kind.
    pub undecoded: IntCounterVec,
    /// Changes of the canonical chain that were no extension.
    pub reorgs: IntCounterVec,
    /// Blocks that a reorg left behind.
    pub reorg_depth: Histogram,
    /// Seconds a commit took.
    pub commit_seconds: Histogram,
    /// Violated invariants, by id.
    pub invariant_violations: IntCounterVec,
    /// Comparisons with the contracts' own cursors, by verdict.
    pub cursor_proofs: IntCounterVec,
    /// Height of the newest block at which every contract was compared.
    pub cursor_proof_height: IntGauge,
    /// States, balances and blocks compared with a node, by verdict.
    pub audit_results: IntCounterVec,
    /// Questions to Stacks APIs, by how they ended.
    pub api_source_requests: IntCounterVec,
    /// What went wrong with Stacks APIs beyond a question, by cause.
    pub api_source_troubles: IntCounterVec,
    /// Stacks APIs, by what is thought of them.
    pub api_source_servers: IntGaugeVec,
    /// 1 while a Stacks API's websocket is connected.
    pub api_source_websocket: IntGauge,
    /// Hints of new blocks that came by it.
    pub api_source_hints: IntCounter,
    /// Requests to the API that were refused to whoever sent them, by reason.
    pub api_refused: IntCounterVec,
    /// Connections to the API.
    pub api_connections: IntGauge,
    /// Connections that the API ended, by reason.
    pub api_connections_ended: IntCounterVec,
    /// 1 for the stage the writer is in.
    pub stage: IntGaugeVec,
    /// Epoch of this writer.
    pub writer_epoch: IntGauge,
    /// 1 while this process writes the mirror.
    pub leader: IntGauge,
    /// When its lease was renewed last, Unix seconds.
    pub lease_renewed: IntGauge,
    /// Leases taken, lost and released by this process.
    pub lease_changes: IntCounterVec,
    /// Of the sources that are asked.
    pub sources: SourceMetrics,
    /// The books.
    pub ledger: LedgerMetrics,
    /// Of the stream.
    pub streams: StreamMetrics,
    /// Of the webhooks.
    pub webhooks: WebhookMetrics,
    /// Of reconciliation.
    pub reconcile: ReconcileMetrics,
    /// Of requests to the API.
    pub api: ApiMetrics,
    /// Of what is looked at every few seconds.
    pub watch: WatchMetrics,
    /// Badges that are minted.
    pub mints: MintMetrics,
    stage_now: Mutex<(Stage, Instant)>,
    last_received_unix: AtomicI64,
}

const SECONDS: [f64; 12] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0,
];
const BLOCKS: [f64; 10] = [
    1.0, 2.0, 3.0, 5.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 10000.0,
];

/// Why the observer refuses a delivery.
const OBSERVER_REFUSALS: [&str; 6] = [
    "too_large",
    "unknown_path",
    "wrong_method",
    "broken_off",
    "unavailable",
    "not_stored",
];
/// Causes of trouble with Stacks APIs.
const API_TROUBLES: [&str; 5] = ["moved", "left", "lagging", "tip_went_back", "websocket"];

impl Metrics {
    /// All metrics, at zero, on a registry of their own.
    ///
    /// # Errors
    /// When two metrics share a name, which a test excludes.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let counter = |name: &str, help: &str| -> Result<IntCounter, prometheus::Error> {
            let metric = IntCounter::new(name, help)?;
            registry.register(Box::new(metric.clone()))?;
            Ok(metric)
        };
        let counters = |name: &str, help: &str, label: &str| {
            let metric = IntCounterVec::new(Opts::new(name, help), &[label])?;
            registry.register(Box::new(metric.clone()))?;
            Ok::<_, prometheus::Error>(metric)
        };
        let gauge = |name: &str, help: &str| {
            let metric = IntGauge::new(name, help)?;
            registry.register(Box::new(metric.clone()))?;
            Ok::<_, prometheus::Error>(metric)
        };
        let gauges = |name: &str, help: &str, label: &str| {
            let metric = IntGaugeVec::new(Opts::new(name, help), &[label])?;
            registry.register(Box::new(metric.clone()))?;
            Ok::<_, prometheus::Error>(metric)
        };
        let histogram = |name: &str, help: &str, buckets: &[f64]| {
            let opts = HistogramOpts::new(name, help).buckets(buckets.to_vec());
            let metric = Histogram::with_opts(opts)?;
            registry.register(Box::new(metric.clone()))?;
            Ok::<_, prometheus::Error>(metric)
        };
        let metrics = Self {
            received: counters(
                "stxworx_received_total",
                "Payloads stored in the inbox.",
                "endpoint",
            )?,
            repeated: counters(
                "stxworx_repeated_total",
                "Deliveries of bytes that were stored before.",
                "endpoint",
            )?,
            refused: counters(
                "stxworx_refused_total",
                "Requests to the observer that were refused.",
                "reason",
            )?,
            store_seconds: histogram(
                "stxworx_store_seconds",
                "From a request's arrival to durability.",
                &SECONDS,
            )?,
            backlog: gauge(
                "stxworx_backlog",
                "Payloads received and not yet processed.",
            )?,
            detached: gauge(
                "stxworx_detached_blocks",
                "Blocks that wait for their parent.",
            )?,
            quarantined: gauge("stxworx_quarantined", "Payloads that could not be decoded.")?,
            height: gauges(
                "stxworx_height",
                "Greatest Stacks height, by stage.",
                "stage",
            )?,
            burn_height: gauge("stxworx_burn_height", "Bitcoin height of the view.")?,
            processed: counter("stxworx_processed_total", "Payloads processed.")?,
            blocks: counter(
                "stxworx_blocks_total",
                "Blocks added to the mirror, of any fork.",
            )?,
            rows: counters("stxworx_rows_total", "Rows added to the mirror.", "table")?,
            undecoded: counters(
                "stxworx_undecoded_total",
                "Things kept raw because this version cannot read them.",
                "kind",
            )?,
            reorgs: counters(
                "stxworx_reorgs_total",
                "Changes of the canonical chain that were no extension.",
                "cause",
            )?,
            reorg_depth: histogram(
                "stxworx_reorg_depth_blocks",
                "Blocks that a reorg left behind.",
                &BLOCKS,
            )?,
            commit_seconds: histogram("stxworx_commit_seconds", "Time of a commit.", &SECONDS)?,
            invariant_violations: counters(
                "stxworx_invariant_violation_total",
                "Violated invariants.",
                "id",
            )?,
            cursor_proofs: counters(
                "stxworx_cursor_proofs_total",
                "Comparisons of a contract's chain of events with the contract's own cursor.",
                "verdict",
            )?,
            cursor_proof_height: gauge(
                "stxworx_cursor_proof_height",
                "Height of the newest block at which every contract was compared; 0 for none.",
            )?,
            audit_results: counters(
                "stxworx_audit_results_total",
                "States, balances and blocks compared with a node.",
                "verdict",
            )?,
            api_source_requests: counters(
                "stxworx_api_source_requests_total",
                "Questions to Stacks APIs, by how they ended.",
                "outcome",
            )?,
            api_source_troubles: counters(
                "stxworx_api_source_troubles_total",
                "What went wrong with Stacks APIs beyond a single question.",
                "cause",
            )?,
            api_source_servers: gauges(
                "stxworx_api_source_servers",
                "Stacks APIs, by what is thought of them.",
                "standing",
            )?,
            api_source_websocket: gauge(
                "stxworx_api_source_websocket",
                "1 while a Stacks API's websocket is connected.",
            )?,
            api_source_hints: counter(
                "stxworx_api_source_hints_total",
                "Hints of new blocks that came by websocket.",
            )?,
            api_refused: counters(
                "stxworx_api_refused_total",
                "Requests to the API that were refused to whoever sent them.",
                "reason",
            )?,
            api_connections: gauge("stxworx_api_connections", "Connections to the API.")?,
            api_connections_ended: counters(
                "stxworx_api_connections_ended_total",
                "Connections that the API ended or turned away.",
                "reason",
            )?,
            stage: gauges(
                "stxworx_stage",
                "1 for the stage that the writer is in.",
                "stage",
            )?,
            writer_epoch: gauge(
                "stxworx_writer_epoch",
                "Epoch of this writer; 0 when it does not write.",
            )?,
            leader: gauge(
                "stxworx_leader",
                "1 while this process writes the mirror; 0 while it stands by.",
            )?,
            lease_renewed: gauge(
                "stxworx_lease_renewed_timestamp_seconds",
                "When this process renewed its lease last, Unix seconds; 0 for never.",
            )?,
            lease_changes: counters(
                "stxworx_lease_changes_total",
                "Leases that this process took, lost to another, and released.",
                "what",
            )?,
            sources: SourceMetrics::new(&registry)?,
            ledger: LedgerMetrics::new(&registry)?,
            streams: StreamMetrics::new(&registry)?,
            webhooks: WebhookMetrics::new(&registry)?,
            reconcile: ReconcileMetrics::new(&registry)?,
            api: ApiMetrics::new(&registry)?,
            watch: WatchMetrics::new(&registry)?,
            mints: MintMetrics::new(&registry)?,
            stage_now: Mutex::new((Stage::Idle, Instant::now())),
            last_received_unix: AtomicI64::new(0),
            registry,
        };
        metrics.set_stage(Stage::Idle);
        // Exposed from the start, so that a rate over the first verdict is one.
        for verdict in ["proved", "differs", "no_cursor", "unavailable"] {
            metrics.cursor_proofs.with_label_values(&[verdict]);
        }
        for verdict in ["agrees", "differs", "unavailable"] {
            metrics.audit_results.with_label_values(&[verdict]);
        }
        for reason in OBSERVER_REFUSALS {
            metrics.refused.with_label_values(&[reason]);
        }
        for reason in ["rate_address", "rate_key", "unauthorized"] {
            metrics.api_refused.with_label_values(&[reason]);
        }
        for reason in ["idle", "evicted", "full"] {
            metrics.api_connections_ended.with_label_values(&[reason]);
        }
        metrics.api_source_requests.with_label_values(&["ok"]);
        for cause in API_TROUBLES {
            metrics.api_source_troubles.with_label_values(&[cause]);
        }
        for standing in crate::source::api::Standing::ALL {
            let standing = standing.as_str();
            metrics.api_source_servers.with_label_values(&[standing]);
        }
        for what in ["taken", "lost", "released"] {
            metrics.lease_changes.with_label_values(&[what]);
        }
        Ok(metrics)
    }

    /// Enters a stage.
    pub fn set_stage(&self, stage: Stage) {
        let mut now = self
            .stage_now
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if now.0 != stage {
            self.stage.with_label_values(&[now.0.as_str()]).set(0);
            *now = (stage, Instant::now());
        }
        self.stage.with_label_values(&[stage.as_str()]).set(1);
    }

    /// The stage, and since when.
    pub fn stage_now(&self) -> (Stage, std::time::Duration) {
        let now = self
            .stage_now
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        (now.0, now.1.elapsed())
    }

    /// A block was decoded.
    pub(crate) fn decoded(&self, source: Source, height: u32) {
        self.watch.decoded(source, height);
        self.height
            .with_label_values(&["decoded"])
            .set(self.watch.greatest_decoded());
    }

    /// Notes that a payload arrived just now, given as Unix seconds.
    pub fn note_received(&self, unix_seconds: i64) {
        self.last_received_unix
            .store(unix_seconds, Ordering::Relaxed);
    }

    /// When the last payload arrived, Unix seconds; 0 for never.
    pub fn last_received_unix(&self) -> i64 {
        self.last_received_unix.load(Ordering::Relaxed)
    }

    /// Counts what went wrong with a Stacks API; one of [`API_TROUBLES`].
    pub(crate) fn api_trouble(&self, cause: &'static str) {
        self.api_source_troubles.with_label_values(&[cause]).inc();
    }

    /// Counts a violated invariant and says so in the log.
    pub fn violated(&self, id: &'static str, detail: &str) {
        self.invariant_violations.with_label_values(&[id]).inc();
        tracing::error!(invariant = id, detail, "an invariant is violated");
    }

    /// Payloads stored since the process began.
    pub fn received_total(&self) -> u64 {
        let all = crate::store::inbox::Endpoint::ALL;
        all.iter()
            .map(|e| self.received.with_label_values(&[e.path()]).get())
            .sum()
    }

    /// How many violations of every invariant together.
    pub fn violations(&self) -> Vec<(String, u64)> {
        let mut found = Vec::new();
        for family in self.registry.gather() {
            if family.name() == "stxworx_invariant_violation_total" {
                for metric in family.get_metric() {
                    let id = metric.get_label().first().map(|l| l.value().to_owned());
                    #[expect(
                        clippy::cast_possible_truncation,
                        clippy::cast_sign_loss,
                        reason = "a counter"
                    )]
                    found.push((
                        id.unwrap_or_default(),
                        metric.get_counter().get_value() as u64,
                    ));
                }
            }
        }
        found
    }

    /// The exposition text.
    ///
    /// # Errors
    /// When a metric cannot be written as text.
    pub fn text(&self) -> Result<String, prometheus::Error> {
        let (stage, since) = self.stage_now();
        self.watch.stage_is(stage, since);
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_registers_once_and_prints() {
        let metrics = Metrics::new().unwrap();
        metrics.violated("CH-3", "test");
        assert!(
            metrics
                .text()
                .unwrap()
                .contains("stxworx_invariant_violation_total{id=\"CH-3\"} 1")
        );
        assert_eq!(metrics.violations(), [("CH-3".to_owned(), 1)]);
    }
}
