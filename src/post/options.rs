//! What `post` is asked to do, and why it can fail.

use super::{Order, Refusal};
use crate::recording::RecordingError;
use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

/// Why posting ended before the recording did.
#[derive(Debug, thiserror::Error)]
pub enum PostError {
    /// The observer's address cannot be used.
    #[error(
        "the observer must be an address like http://127.0.0.1:3700 (a node does not speak TLS), not {given:?}: {reason}"
    )]
    Observer {
        /// The address given.
        given: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The HTTP client could not be set up.
    #[error("cannot set up the HTTP client")]
    Client {
        /// The client's answer.
        source: reqwest::Error,
    },
    /// The recording is missing or damaged. Everything before the damage has been posted.
    #[error("the recording cannot be read")]
    Recording {
        /// Where and why.
        #[from]
        source: RecordingError,
    },
    /// The thread that reads the recording could not be started.
    #[error("cannot start reading the recording")]
    Reader {
        /// The system's answer.
        source: std::io::Error,
    },
    /// The observer refused one payload for longer than allowed.
    #[error("gave up on payload {number} ({path}) after {attempts} attempts in {seconds} s")]
    GaveUp {
        /// Position of the payload among those sent, starting at 1.
        number: u64,
        /// Its path.
        path: String,
        /// Attempts made.
        attempts: u64,
        /// Whole seconds since the first attempt.
        seconds: u64,
        /// The last refusal.
        source: Refusal,
    },
    /// The result could not be printed.
    #[error("cannot print the result")]
    Output {
        /// The system's answer.
        source: std::io::Error,
    },
}

/// An observer's address that a node could be configured with: `http://`, a host, perhaps a port and a path prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObserverUrl(String);

impl ObserverUrl {
    /// Checks an address.
    ///
    /// # Errors
    /// [`PostError::Observer`] with the reason.
    pub fn parse(text: &str) -> Result<Self, PostError> {
        let refused = |reason| PostError::Observer {
            given: text.to_owned(),
            reason,
        };
        if !text.contains("://") {
            return Err(refused("it does not begin with http://"));
        }
        let url = reqwest::Url::parse(text).map_err(|_| refused("it is not a URL"))?;
        if url.scheme() != "http" {
            return Err(refused("only http:// is possible"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(refused("a query or a fragment is not possible"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refused("a node sends no user name and no password"));
        }
        Ok(Self(url.as_str().trim_end_matches('/').to_owned()))
    }

    /// The full URL of a payload's path, which begins with a slash.
    pub fn with_path(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }
}

impl fmt::Display for ObserverUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// What [`super::post`] is to do.
#[derive(Clone, Debug)]
pub struct PostOptions {
    /// Where to.
    pub observer: ObserverUrl,
    /// Payloads per second at most; nothing: as fast as the observer answers.
    pub rate_per_second: Option<NonZeroU32>,
    /// Which payloads, in which order.
    pub order: Order,
    /// Time for one attempt.
    pub timeout: Duration,
    /// One connection for all payloads instead of one for each.
    pub keep_alive: bool,
    /// How long one payload may be refused; nothing: for ever.
    pub give_up_after: Option<Duration>,
}

impl PostOptions {
    /// Everything in order, as fast as answered, a timeout of 5 s, a connection per payload, retrying for ever.
    pub fn new(observer: ObserverUrl) -> Self {
        Self {
            observer,
            rate_per_second: None,
            order: Order::default(),
            timeout: Duration::from_secs(5),
            keep_alive: false,
            give_up_after: None,
        }
    }
}
