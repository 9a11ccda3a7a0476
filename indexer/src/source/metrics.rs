//! Metrics of sources and of what brings their payloads.

use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

use crate::model::handover::HandOver;
use crate::store::inbox::Source;

/// Metrics of the sources that are asked.
#[derive(Debug)]
pub struct SourceMetrics {
    /// Blocks put into the inbox, by who was asked.
    pub fetched: IntCounterVec,
    /// Questions that failed, by kind.
    pub failures: IntCounterVec,
    /// Stacks height of the source's tip, by source.
    pub tip: IntGaugeVec,
    /// Tips that went back without anything new behind it, by source.
    pub false_reorgs: IntCounterVec,
    /// Payloads that say otherwise than the applied one, by who delivered them.
    pub disagreements: IntCounterVec,
    /// Gaps that are being filled, or were given up, by state.
    pub gaps: IntGaugeVec,
    /// Age of the oldest gap in seconds.
    pub oldest_gap: IntGauge,
    /// Blocks fetched to fill gaps, by who was asked.
    pub repaired: IntCounterVec,
    /// Attempts at a gap that failed, by kind.
    pub repair_failures: IntCounterVec,
    /// Gaps given up for the time being.
    pub repairs_given_up: IntCounter,
    /// 1 for the state of the hand-over.
    pub state: IntGaugeVec,
}

impl SourceMetrics {
    /// All of them, on this registry.
    ///
    /// # Errors
    /// When a name is taken.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counters = |name: &str, help: &str, label: &str| {
            let metric = IntCounterVec::new(Opts::new(name, help), &[label])?;
            registry.register(Box::new(metric.clone()))?;
            Ok::<_, prometheus::Error>(metric)
        };
        let gauges = |name: &str, help: &str, label: &str| {
            let metric = IntGaugeVec::new(Opts::new(name, help), &[label])?;
            registry.register(Box::new(metric.clone()))?;
            Ok::<_, prometheus::Error>(metric)
        };
        let oldest_gap = IntGauge::new(
            "stxworx_oldest_gap_seconds",
            "How long the oldest waiting block has waited for its parent; 0 for no gap.",
        )?;
        registry.register(Box::new(oldest_gap.clone()))?;
        let repairs_given_up = IntCounter::new(
            "stxworx_repairs_given_up_total",
            "Gaps that no source could fill, given up until the next try.",
        )?;
        registry.register(Box::new(repairs_given_up.clone()))?;
        let metrics = Self {
            fetched: counters(
                "stxworx_fetched_blocks_total",
                "Blocks that a source was asked for and that were stored.",
                "source",
            )?,
            failures: counters(
                "stxworx_source_failures_total",
                "Questions to a source that failed.",
                "kind",
            )?,
            tip: gauges(
                "stxworx_source_tip_height",
                "Stacks height at which a source's chain ends, as it says; 0 before it was asked.",
                "source",
            )?,
            false_reorgs: counters(
                "stxworx_false_reorgs_total",
                "Tips of a source that went back with nothing new behind it.",
                "source",
            )?,
            disagreements: counters(
                "stxworx_source_disagreements_total",
                "Payloads that tell other facts of a block than the one that is mirrored.",
                "source",
            )?,
            gaps: gauges(
                "stxworx_gaps",
                "Missing blocks that others wait for.",
                "state",
            )?,
            oldest_gap,
            repaired: counters(
                "stxworx_repaired_blocks_total",
                "Blocks fetched because others waited for them.",
                "source",
            )?,
            repair_failures: counters(
                "stxworx_repair_failures_total",
                "Attempts to fetch a missing block that failed.",
                "kind",
            )?,
            repairs_given_up,
            state: gauges(
                "stxworx_sync_state",
                "1 for what filling the mirror is busy with.",
                "state",
            )?,
        };
        metrics.expose();
        Ok(metrics)
    }

    /// From the start, so that a rate over the first sample is one.
    fn expose(&self) {
        for source in [Source::Node, Source::Api] {
            let source = [source.as_str()];
            self.fetched.with_label_values(&source);
            self.tip.with_label_values(&source);
            self.false_reorgs.with_label_values(&source);
            self.disagreements.with_label_values(&source);
            self.repaired.with_label_values(&source);
        }
        for kind in ["unreachable", "busy", "unusable"] {
            self.failures.with_label_values(&[kind]);
            self.repair_failures.with_label_values(&[kind]);
        }
        for state in ["open", "given_up"] {
            self.gaps.with_label_values(&[state]);
        }
        self.set_state(&HandOver::Idle);
    }

    /// Enters a state of the hand-over.
    pub fn set_state(&self, now: &HandOver) {
        for state in HandOver::NAMES {
            self.state
                .with_label_values(&[state])
                .set(i64::from(state == now.as_str()));
        }
    }
}
