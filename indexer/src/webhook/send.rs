//! One attempt at a delivery.

use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode};

use super::guard::{Refused, Resolver, check_url};

/// Longest part of an answer that is read.
const MAX_ANSWER: usize = 1_024;
/// Longest text that is kept of a failure.
const MAX_ERROR: usize = 300;
/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(5);

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// One of [`OUTCOMES`].
    pub outcome: &'static str,
    /// The status, if there was an answer.
    pub code: Option<u16>,
    /// Why it failed.
    pub error: Option<String>,
}

/// The client cannot be made: the machine lacks what TLS needs.
#[derive(Debug, thiserror::Error)]
#[error(
    "the HTTP client of the webhooks cannot be made; see whether the system has root certificates"
)]
pub struct NoClient(#[source] reqwest::Error);

/// How attempts end, for the metrics.
pub const OUTCOMES: [&str; 5] = ["delivered", "refused", "timeout", "unreachable", "blocked"];

/// What is sent.
#[derive(Debug)]
pub struct Letter<'a> {
    /// To whom.
    pub url: &'a str,
    /// Stable id of what it tells.
    pub event_id: &'a str,
    /// Number of this attempt, from 1.
    pub attempt: i32,
    /// The header that signs it.
    pub signature: &'a str,
    /// JSON.
    pub body: Vec<u8>,
}

/// Sends letters.
#[derive(Debug, Clone)]
pub struct Sender {
    client: Client,
    allow_private: bool,
}

impl Sender {
    /// A sender that waits so long for an answer.
    ///
    /// # Errors
    /// When the client cannot be made.
    pub fn new(timeout: Duration, allow_private: bool) -> Result<Self, NoClient> {
        // One provider serves every client of the process; a second installation is no error.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .user_agent(concat!("stxworx/", env!("CARGO_PKG_VERSION")))
            .timeout(timeout)
            .connect_timeout(CONNECT.min(timeout))
            // A redirect or a proxy would lead to an address that nobody has looked at.
            .redirect(Policy::none())
            .no_proxy()
            .dns_resolver(std::sync::Arc::new(Resolver { allow_private }))
            .build()
            .map_err(NoClient)?;
        Ok(Self {
            client,
            allow_private,
        })
    }

    /// Sends, once.
    pub async fn send(&self, letter: Letter<'_>) -> Attempt {
        let failed = |outcome, code, error: String| Attempt {
            outcome,
            code,
            error: Some(cut(&error)),
        };
        let url = match check_url(letter.url, self.allow_private) {
            Ok(url) => url,
            Err(refused) => return failed("blocked", None, refused.to_string()),
        };
        let request = self
            .client
            .post(url)
            .header("content-type", "application/json")
            .header("stxworx-signature", letter.signature)
            .header("stxworx-event-id", letter.event_id)
            .header("stxworx-delivery-attempt", letter.attempt)
            .body(letter.body);
        let mut response = match request.send().await {
            Ok(response) => response,
            Err(error) => {
                let outcome = outcome_of(&error);
                // The address may hold a secret of the receiver.
                let error = crate::error_chain(&error.without_url()).to_string();
                return failed(outcome, None, error);
            }
        };
        let status = response.status();
        if status.is_success() {
            // What a receiver says beyond that is not read.
            return Attempt {
                outcome: "delivered",
                code: Some(status.as_u16()),
                error: None,
            };
        }
        let mut said = Vec::new();
        while said.len() < MAX_ANSWER
            && let Ok(Some(piece)) = response.chunk().await
        {
            said.extend_from_slice(piece.get(..MAX_ANSWER).unwrap_or(&piece));
        }
        let said = String::from_utf8_lossy(&said);
        failed("refused", Some(status.as_u16()), refusal(status, &said))
    }
}

fn refusal(status: StatusCode, said: &str) -> String {
    let hint = if status.is_redirection() {
        " (redirects are not followed: give the address that it leads to)"
    } else {
        ""
    };
    let said: String = said
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    format!("answered {}{hint}: {}", status.as_u16(), said.trim())
}

fn outcome_of(error: &reqwest::Error) -> &'static str {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if let Some(Refused::Inside { .. }) = cause.downcast_ref::<Refused>() {
            return "blocked";
        }
        source = cause.source();
    }
    if error.is_timeout() {
        "timeout"
    } else {
        "unreachable"
    }
}

fn cut(text: &str) -> String {
    text.chars().take(MAX_ERROR).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(url: &str) -> Letter<'_> {
        Letter {
            url,
            event_id: "w1.0-1.1",
            attempt: 1,
            signature: "t=1",
            body: Vec::new(),
        }
    }

    #[tokio::test]
    async fn a_name_inside_is_blocked_before_anything_is_sent() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let sender = Sender::new(Duration::from_secs(5), false).unwrap();
        let attempt = sender
            .send(letter(&format!("https://localhost:{port}/secret")))
            .await;
        assert_eq!(attempt.outcome, "blocked", "{attempt:?}");
        assert!(!attempt.error.unwrap().contains("secret"));
        assert!(listener.accept().is_err(), "somebody connected");
        let attempt = sender
            .send(letter(&format!("https://127.0.0.1:{port}/")))
            .await;
        assert_eq!(attempt.outcome, "blocked");
    }

    #[test]
    fn what_a_receiver_says_is_kept_short() {
        let text = refusal(StatusCode::FOUND, &"x\n".repeat(1_000));
        assert!(text.contains("redirects are not followed"));
        assert_eq!(cut(&text).chars().count(), MAX_ERROR);
        assert!(!text.contains('\n'));
    }
}
