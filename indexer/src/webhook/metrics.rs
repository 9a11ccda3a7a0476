//! Figures of the webhooks.

use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

use super::send::OUTCOMES;

/// States of a webhook, as the database has them.
pub const STATES: [&str; 3] = ["active", "paused", "disabled"];

/// Figures of the webhooks.
#[derive(Debug, Clone)]
pub struct WebhookMetrics {
    /// Webhooks, by state.
    pub webhooks: IntGaugeVec,
    /// Attempts, by how they ended.
    pub attempts: IntCounterVec,
    /// Deliveries set aside.
    pub dead: IntCounter,
    /// Dead letters that are there.
    pub dead_letters: IntGauge,
    /// Age of the oldest delivery that waits.
    pub oldest_seconds: IntGauge,
    /// Webhooks told that everything begins anew.
    pub resets: IntCounter,
    /// 1 while this process sends.
    pub sending: IntGauge,
}

impl WebhookMetrics {
    /// Figures at zero, on a registry.
    ///
    /// # Errors
    /// When two metrics share a name, which a test excludes.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            webhooks: IntGaugeVec::new(
                Opts::new("stxworx_webhooks", "Webhooks, by state."),
                &["state"],
            )?,
            attempts: IntCounterVec::new(
                Opts::new(
                    "stxworx_webhook_attempts_total",
                    "Attempts at deliveries, by how they ended.",
                ),
                &["outcome"],
            )?,
            dead: IntCounter::new(
                "stxworx_webhook_given_up_total",
                "Deliveries that were set aside as dead letters.",
            )?,
            dead_letters: IntGauge::new(
                "stxworx_webhook_dead_letters",
                "Dead letters that are there.",
            )?,
            oldest_seconds: IntGauge::new(
                "stxworx_webhook_oldest_seconds",
                "How long the oldest delivery has waited; 0 for none.",
            )?,
            resets: IntCounter::new(
                "stxworx_webhook_resets_total",
                "Webhooks that were told to forget everything, because the mirror was made anew.",
            )?,
            sending: IntGauge::new(
                "stxworx_webhook_sender",
                "1 while this process sends webhooks; 0 while it stands by.",
            )?,
        };
        registry.register(Box::new(metrics.webhooks.clone()))?;
        registry.register(Box::new(metrics.attempts.clone()))?;
        registry.register(Box::new(metrics.dead.clone()))?;
        registry.register(Box::new(metrics.dead_letters.clone()))?;
        registry.register(Box::new(metrics.oldest_seconds.clone()))?;
        registry.register(Box::new(metrics.resets.clone()))?;
        registry.register(Box::new(metrics.sending.clone()))?;
        for state in STATES {
            metrics.webhooks.with_label_values(&[state]);
        }
        for outcome in OUTCOMES {
            metrics.attempts.with_label_values(&[outcome]);
        }
        Ok(metrics)
    }
}
