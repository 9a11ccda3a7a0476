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
        Ok(Self {
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
