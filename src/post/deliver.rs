//! One attempt to deliver one payload.

use super::reply::{ReplyFault, judge};
use super::{PostError, PostOptions};
use crate::recording::Entry;
use reqwest::header::{CONNECTION, CONTENT_TYPE, HeaderValue};
use std::time::{Duration, Instant};

/// Why one attempt did not deliver a payload. None of these ends posting: the payload is sent again.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// No connection, or it broke.
    #[error("the observer cannot be reached")]
    Unreachable {
        /// What the network said.
        source: reqwest::Error,
    },
    /// No whole reply within the timeout. The observer may well have kept the payload.
    #[error("the observer did not answer within {timeout_ms} ms")]
    TimedOut {
        /// The timeout in force.
        timeout_ms: u128,
    },
    /// A status other than 200.
    #[error("the observer answered {status} and not 200")]
    Status {
        /// The status.
        status: u16,
    },
    /// Status 200 in a reply that the node's HTTP parser refuses.
    #[error("a node cannot read the observer's reply: {reason}")]
    Reply {
        /// What is wrong with it.
        reason: &'static str,
    },
}

impl Refusal {
    /// One line with the innermost cause, such as `the observer cannot be reached (Connection refused)`.
    pub fn explained(&self) -> String {
        let mut cause: &dyn std::error::Error = self;
        while let Some(source) = cause.source() {
            cause = source;
        }
        match self {
            Self::Unreachable { .. } => format!("{self} ({cause})"),
            Self::TimedOut { .. } | Self::Status { .. } | Self::Reply { .. } => self.to_string(),
        }
    }
}

/// An HTTP client that behaves as a node's.
pub(super) struct Observer {
    client: reqwest::Client,
    options: PostOptions,
}

impl Observer {
    pub(super) fn new(options: &PostOptions) -> Result<Self, PostError> {
        // The client wants a TLS provider even for plain HTTP; if one is installed already, that one serves.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .user_agent(concat!("stxworx/", env!("CARGO_PKG_VERSION")))
            .http1_only()
            .no_proxy()
            .no_gzip()
            .tls_certs_only(std::iter::empty::<reqwest::Certificate>())
            .redirect(reqwest::redirect::Policy::none())
            .pool_max_idle_per_host(usize::from(options.keep_alive))
            .timeout(options.timeout)
            .build()
            .map_err(|source| PostError::Client { source })?;
        Ok(Self {
            client,
            options: options.clone(),
        })
    }

    /// Sends a payload once. Returns the time from sending to the end of the reply.
    pub(super) async fn attempt(&self, entry: &Entry) -> Result<Duration, Refusal> {
        let started = Instant::now();
        let mut request = self
            .client
            .post(self.options.observer.with_path(&entry.path))
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .body(entry.body.clone());
        if !self.options.keep_alive {
            request = request.header(CONNECTION, HeaderValue::from_static("close"));
        }
        let response = request.send().await.map_err(|error| self.refusal(error))?;
        let verdict = judge(response.status(), response.headers());
        // The node reads the reply to its end before it judges it.
        response
            .bytes()
            .await
            .map_err(|error| self.refusal(error))?;
        match verdict {
            Ok(()) => Ok(started.elapsed()),
            Err(ReplyFault::Status(status)) => Err(Refusal::Status { status }),
            Err(ReplyFault::Unreadable(reason)) => Err(Refusal::Reply { reason }),
        }
    }

    fn refusal(&self, error: reqwest::Error) -> Refusal {
        if error.is_timeout() {
            Refusal::TimedOut {
                timeout_ms: self.options.timeout.as_millis(),
            }
        } else {
            Refusal::Unreachable {
                source: error.without_url(),
            }
        }
    }
}
