//! Metrics of the books.

use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry};

use super::read::Standing;

/// How the books stand, and what was done with them.
#[derive(Debug)]
pub struct LedgerMetrics {
    /// Lines of the outbox that are not booked.
    pub unbooked: IntGauge,
    /// Bookings whose block is not final.
    pub pending: IntGauge,
    /// Suspense accounts that are not empty.
    pub suspense: IntGauge,
    /// The last journal.
    pub last: IntGauge,
    /// Bookings, by what was done.
    pub acts: IntCounterVec,
    /// Steps that failed.
    pub failures: IntCounter,
    /// Height of the newest block at which a node was asked.
    pub proved_height: IntGauge,
    /// Balances that a node was asked for, by verdict.
    pub proofs: IntCounterVec,
    /// Holders and assets whose newest proof does not agree.
    pub differing: IntGauge,
    /// Blocks whose proof was left to a later one.
    pub proofs_left_to_later: IntCounter,
    /// Rounds of proofs that failed.
    pub proof_failures: IntCounter,
}

impl LedgerMetrics {
    /// All of them, on this registry.
    ///
    /// # Errors
    /// When a name is taken.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let gauge = |name: &str, help: &str| {
            let metric = IntGauge::new(name, help)?;
            registry.register(Box::new(metric.clone()))?;
            Ok::<_, prometheus::Error>(metric)
        };
        let acts = IntCounterVec::new(
            Opts::new(
                "stxworx_ledger_bookings_total",
                "Bookings, by what was done.",
            ),
            &["act"],
        )?;
        registry.register(Box::new(acts.clone()))?;
        for act in ["booked", "posted", "voided", "reversed"] {
            acts.with_label_values(&[act]);
        }
        let failures = IntCounter::new(
            "stxworx_ledger_failures_total",
            "Steps of the books that failed.",
        )?;
        registry.register(Box::new(failures.clone()))?;
        let proofs = IntCounterVec::new(
            Opts::new(
                "stxworx_ledger_proofs_total",
                "Balances that a node was asked for after blocks that moved money, by verdict.",
            ),
            &["verdict"],
        )?;
        registry.register(Box::new(proofs.clone()))?;
        for verdict in ["agrees", "differs", "untold"] {
            proofs.with_label_values(&[verdict]);
        }
        let counter = |name: &str, help: &str| {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        Ok(Self {
            proved_height: gauge(
                "stxworx_ledger_proved_height",
                "Stacks height of the newest block at which the books were compared with a node.",
            )?,
            proofs,
            differing: gauge(
                "stxworx_ledger_differing_balances",
                "Holders and assets whose newest balance by a node is not what the books say.",
            )?,
            proofs_left_to_later: counter(
                "stxworx_ledger_proofs_left_to_later_total",
                "Blocks whose proof was left to that of a later block, because too many waited.",
            )?,
            proof_failures: counter(
                "stxworx_ledger_proof_failures_total",
                "Rounds of proofs that failed, mostly because the node was away.",
            )?,
            unbooked: gauge(
                "stxworx_ledger_unbooked_lines",
                "Lines of the outbox that are not booked.",
            )?,
            pending: gauge(
                "stxworx_ledger_pending_bookings",
                "Bookings whose block is not final.",
            )?,
            suspense: gauge(
                "stxworx_ledger_suspense_accounts",
                "Suspense accounts that are not empty.",
            )?,
            last: gauge("stxworx_ledger_last_journal", "Number of the last journal.")?,
            acts,
            failures,
        })
    }

    /// Notes how the books stand.
    pub fn stands(&self, standing: &Standing) {
        self.unbooked.set(standing.unbooked);
        self.pending.set(standing.pending);
        self.suspense.set(standing.suspense);
        self.last.set(standing.last);
    }
}
