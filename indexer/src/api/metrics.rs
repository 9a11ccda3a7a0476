//! Figures of requests.

use std::time::Duration;

use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry};

const SECONDS: [f64; 9] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 15.0];
/// Classes of answers.
const CLASSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];

/// Figures of requests. A route is the pattern, never the path, so that their number is bounded.
#[derive(Debug, Clone)]
pub struct ApiMetrics {
    requests: IntCounterVec,
    seconds: HistogramVec,
}

impl ApiMetrics {
    /// Figures at zero, on a registry.
    ///
    /// # Errors
    /// When two metrics share a name, which a test excludes.
    pub(crate) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self::made()?;
        registry.register(Box::new(metrics.requests.clone()))?;
        registry.register(Box::new(metrics.seconds.clone()))?;
        // From the start, so that a rate over the first failure is one.
        for class in CLASSES {
            metrics.requests.with_label_values(&[class, "/v1/status"]);
        }
        metrics.seconds.with_label_values(&["/v1/status"]);
        Ok(metrics)
    }

    fn made() -> Result<Self, prometheus::Error> {
        Ok(Self {
            requests: IntCounterVec::new(
                Opts::new(
                    "stxworx_api_requests_total",
                    "Requests to the API that were answered.",
                ),
                &["class", "route"],
            )?,
            seconds: HistogramVec::new(
                HistogramOpts::new(
                    "stxworx_api_request_seconds",
                    "From a request's arrival to the head of its answer.",
                )
                .buckets(SECONDS.to_vec()),
                &["route"],
            )?,
        })
    }

    /// A request was answered.
    pub(super) fn answered(&self, route: &str, status: u16, took: Duration) {
        let class = match status {
            0..=299 => CLASSES[0],
            300..=399 => CLASSES[1],
            400..=499 => CLASSES[2],
            _ => CLASSES[3],
        };
        // A rate needs a sample from before: the first failure of a route must count as one.
        self.requests.with_label_values(&[CLASSES[3], route]);
        self.requests.with_label_values(&[class, route]).inc();
        self.seconds
            .with_label_values(&[route])
            .observe(took.as_secs_f64());
    }
}
