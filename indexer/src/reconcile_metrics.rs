//! Metrics of reconciliation.

use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};
use serde_json::Value;

use crate::store::reconcile::breaks::LiveCount;

/// Label of the sample that stands there before anything was found.
const NONE: &str = "-";

/// Metrics of reconciliation.
#[derive(Debug)]
pub struct ReconcileMetrics {
    breaks: IntGaugeVec,
    oldest: IntGauge,
    runs: IntCounterVec,
    last_good: IntGauge,
    notes: IntCounterVec,
    skips: IntGaugeVec,
    coverage: IntGaugeVec,
    repairs: IntCounterVec,
    pruned: IntCounterVec,
    prune_failures: IntCounter,
}

impl ReconcileMetrics {
    /// All of them, at zero.
    ///
    /// # Errors
    /// When two metrics share a name, which a test excludes.
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
        let counters = |name: &str, help: &str, labels: &[&str]| {
            let metric = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(metric.clone()))?;
            Ok::<_, prometheus::Error>(metric)
        };
        let metrics = Self {
            breaks: gauges(
                "stxworx_breaks",
                "Breaks that are not over.",
                &["fault", "rule", "severity", "state"],
            )?,
            oldest: gauge(
                "stxworx_oldest_break_seconds",
                "Age of the oldest open break; 0 for none.",
            )?,
            runs: counters(
                "stxworx_reconcile_runs_total",
                "Reconciliations by this process.",
                &["kind", "outcome"],
            )?,
            last_good: gauge(
                "stxworx_reconcile_last_good_timestamp_seconds",
                "When the last reconciliation ended well, Unix seconds; 0 for never.",
            )?,
            notes: counters(
                "stxworx_reconcile_notes_total",
                "What the control itself could not do.",
                &["kind"],
            )?,
            skips: gauges(
                "stxworx_reconcile_skipped",
                "Pairs of a rule and a subject that the last run could not compare.",
                &["reason"],
            )?,
            coverage: gauges(
                "stxworx_reconcile_coverage_permille",
                "Of the locked money, what every rule could compare in the last sweep.",
                &["asset"],
            )?,
            repairs: counters(
                "stxworx_reconcile_repairs_total",
                "Repairs of the platform that were carried out, and what came of them.",
                &["outcome"],
            )?,
            pruned: counters(
                "stxworx_reconcile_pruned_total",
                "Rows of the platform and runs that were removed because no rerun needs them any more.",
                &["what"],
            )?,
            prune_failures: {
                let metric = IntCounter::new(
                    "stxworx_reconcile_prune_failures_total",
                    "Times that old rows and runs could not be removed.",
                )?;
                registry.register(Box::new(metric.clone()))?;
                metric
            },
        };
        for what in ["rows", "runs"] {
            metrics.pruned.with_label_values(&[what]);
        }
        metrics.breaks.with_label_values(&[NONE; 4]);
        metrics.skips.with_label_values(&[NONE]);
        metrics.coverage.with_label_values(&[NONE]);
        for (kind, outcome) in [
            ("sweep", "done"),
            ("incremental", "done"),
            ("any", "failed"),
            ("any", "busy"),
        ] {
            metrics.runs.with_label_values(&[kind, outcome]);
        }
        for outcome in [
            "done",
            "refused",
            "failed",
            "verified",
            "ineffective",
            "unknown",
        ] {
            metrics.repairs.with_label_values(&[outcome]);
        }
        for kind in [
            "rule_broken",
            "rule_failed",
            "too_many",
            "canary",
            "not_compared",
            "schema_changed",
        ] {
            metrics.notes.with_label_values(&[kind]);
        }
        Ok(metrics)
    }

    /// Counts what was removed: `rows` or `runs`.
    pub fn pruned(&self, what: &str, count: u64) {
        self.pruned.with_label_values(&[what]).inc_by(count);
    }

    /// Counts that nothing, or not all, could be removed.
    pub fn prune_failed(&self) {
        self.prune_failures.inc();
    }

    /// Counts a run.
    pub fn run(&self, kind: &str, outcome: &str) {
        self.runs.with_label_values(&[kind, outcome]).inc();
    }

    /// Counts repairs by what came of them.
    pub fn repairs(&self, outcome: &str, count: u64) {
        self.repairs.with_label_values(&[outcome]).inc_by(count);
    }

    /// Counts what the control could not do.
    pub fn note(&self, kind: &str) {
        self.notes.with_label_values(&[kind]).inc();
    }

    /// Shows what is not over, at this time (Unix seconds).
    pub fn breaks(&self, counts: &[LiveCount], now_s: i64) {
        self.breaks.reset();
        self.breaks.with_label_values(&[NONE; 4]);
        for it in counts {
            let state = if it.open { "open" } else { "suspected" };
            self.breaks
                .with_label_values(&[&it.fault, &it.rule, &it.severity, state])
                .set(it.count);
        }
        let oldest = counts
            .iter()
            .filter(|it| it.open)
            .map(|it| it.oldest_s)
            .min();
        self.oldest
            .set(oldest.map_or(0, |oldest| now_s.saturating_sub(oldest).max(0)));
    }

    /// Shows when a run ended well, Unix seconds.
    pub fn last_good(&self, at_s: i64) {
        self.last_good.set(at_s);
    }

    /// Shows what could not be compared: reason to number.
    pub fn skips(&self, skips: &Value) {
        self.skips.reset();
        self.skips.with_label_values(&[NONE]);
        for (reason, count) in skips.as_object().into_iter().flatten() {
            self.skips
                .with_label_values(&[reason.as_str()])
                .set(count.as_i64().unwrap_or(i64::MAX));
        }
    }

    /// Shows how much of the locked money was compared, by asset.
    pub fn coverage(&self, coverage: &Value) {
        self.coverage.reset();
        self.coverage.with_label_values(&[NONE]).set(1_000);
        for (asset, sums) in coverage.as_object().into_iter().flatten() {
            let units = |name: &str| sums[name].as_str().and_then(|t| t.parse::<u128>().ok());
            let (Some(locked), Some(compared)) = (units("locked"), units("compared")) else {
                continue;
            };
            self.coverage
                .with_label_values(&[asset.as_str()])
                .set(permille(compared, locked));
        }
    }
}

/// Of nothing, everything was compared.
fn permille(part: u128, whole: u128) -> i64 {
    // Scaled down first where the product would not fit: a thousandth more or less.
    let scaled = match part.checked_mul(1_000) {
        Some(product) => product.checked_div(whole),
        None => part.checked_div(whole / 1_000),
    };
    i64::try_from(scaled.unwrap_or(1_000)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::permille;

    #[test]
    fn coverage_is_whole_for_nothing_and_does_not_overflow() {
        assert_eq!(permille(0, 0), 1_000);
        assert_eq!(permille(1, 4), 250);
        assert_eq!(permille(u128::MAX, u128::MAX), 1_000);
        assert_eq!(permille(0, 9), 0);
    }
}
