//! Figures of the streams.

use prometheus::{
    Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

use super::frame::Cut;

const DELAYS: [f64; 11] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 10.0, 60.0,
];

/// How a follower is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// Server-sent events.
    Sse,
    /// A websocket.
    Ws,
}

impl Transport {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sse => "sse",
            Self::Ws => "ws",
        }
    }
}

/// Figures of the streams.
#[derive(Debug, Clone)]
pub struct StreamMetrics {
    /// Followers, by transport.
    pub clients: IntGaugeVec,
    /// Frames handed to followers.
    pub frames: IntCounter,
    /// Messages about mints handed to followers.
    pub mints: IntCounter,
    /// Followers that the server ended, by reason.
    pub cuts: IntCounterVec,
    /// Followers that found every place taken.
    pub refused: IntCounter,
    /// Followers that read what is old.
    pub catching_up: IntGauge,
    /// From the commit to the feed.
    pub delay_seconds: Histogram,
}

impl StreamMetrics {
    /// Figures at zero, on a registry.
    ///
    /// # Errors
    /// When two metrics share a name, which a test excludes.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            clients: IntGaugeVec::new(
                Opts::new(
                    "stxworx_stream_clients",
                    "Connected followers of the stream.",
                ),
                &["transport"],
            )?,
            frames: IntCounter::new("stxworx_stream_frames_total", "Frames handed to followers.")?,
            mints: IntCounter::new(
                "stxworx_stream_mints_total",
                "Messages about mints handed to followers.",
            )?,
            cuts: IntCounterVec::new(
                Opts::new(
                    "stxworx_stream_cuts_total",
                    "Followers whose connection the server ended.",
                ),
                &["reason"],
            )?,
            refused: IntCounter::new(
                "stxworx_stream_refused_total",
                "Followers that found every place taken.",
            )?,
            catching_up: IntGauge::new(
                "stxworx_stream_catching_up",
                "Followers that read what is old, by pages of their own.",
            )?,
            delay_seconds: Histogram::with_opts(
                HistogramOpts::new(
                    "stxworx_stream_delay_seconds",
                    "From the commit of a line of the outbox to the feed that tells it.",
                )
                .buckets(DELAYS.to_vec()),
            )?,
        };
        registry.register(Box::new(metrics.clients.clone()))?;
        registry.register(Box::new(metrics.frames.clone()))?;
        registry.register(Box::new(metrics.mints.clone()))?;
        registry.register(Box::new(metrics.cuts.clone()))?;
        registry.register(Box::new(metrics.refused.clone()))?;
        registry.register(Box::new(metrics.catching_up.clone()))?;
        registry.register(Box::new(metrics.delay_seconds.clone()))?;
        for transport in [Transport::Sse, Transport::Ws] {
            metrics.clients.with_label_values(&[transport.as_str()]);
        }
        for reason in Cut::ALL {
            metrics.cuts.with_label_values(&[reason.as_str()]);
        }
        Ok(metrics)
    }

    /// Figures that nobody reads.
    ///
    /// # Panics
    /// Never: on a registry of their own no two names are the same.
    pub fn unregistered() -> Self {
        Self::new(&Registry::new()).expect("a registry of its own takes every name")
    }

    /// Notes that a line was told so many milliseconds after its commit.
    pub(super) fn told(&self, age_ms: i64) {
        let age = u32::try_from(age_ms).unwrap_or(u32::MAX);
        self.delay_seconds.observe(f64::from(age) / 1000.0);
    }
}
