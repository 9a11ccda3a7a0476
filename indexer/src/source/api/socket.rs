//! The websocket of a Stacks API: a hint that there is a new block, and nothing else.
//!
//! It drops messages and subscriptions without a word, repeats nothing and knows no reorgs. So what it says is not
//! looked at, and whoever listens polls all the same, only later.

use std::sync::Arc;
use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _};
use serde::Deserialize;
use tokio::sync::Notify;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_util::sync::CancellationToken;

use super::{ApiError, KEY_HEADER};
use crate::metrics::Metrics;
use crate::retry::Backoff;
use crate::source::http::FetchError;

/// Largest message; a block lists its transactions.
const MAX_MESSAGE: usize = 8 << 20;
/// A server pings every few seconds. One that is silent for so long has forgotten us.
const SILENCE: Duration = Duration::from_secs(60);
/// How long connecting may take.
const PATIENCE: Duration = Duration::from_secs(20);

const SUBSCRIBE: &str =
    r#"{"jsonrpc":"2.0","id":1,"method":"subscribe","params":{"event":"block"}}"#;

/// Where to listen.
pub struct Socket {
    request: tokio_tungstenite::tungstenite::handshake::client::Request,
}

#[derive(Deserialize)]
struct Note {
    #[serde(default)]
    method: Option<String>,
}

impl Socket {
    /// A listener at this address, `ws://HOST/extended/v1/ws` or `wss://...`.
    ///
    /// # Errors
    /// When that is no such address, or the key cannot be sent.
    pub fn new(url: &str, key: Option<&str>) -> Result<Self, ApiError> {
        let address = || FetchError::Address {
            given: url.to_owned(),
        };
        if !url.starts_with("ws://") && !url.starts_with("wss://") {
            return Err(address().into());
        }
        let mut request = url.into_client_request().map_err(|_| address())?;
        if let Some(key) = key {
            let mut value = HeaderValue::from_str(key).map_err(|_| FetchError::Key {
                base: url.to_owned(),
            })?;
            value.set_sensitive(true);
            request.headers_mut().insert(KEY_HEADER, value);
        }
        Ok(Self { request })
    }

    /// Wakes whoever waits, at each hint, until cancelled. A connection that ends is made again.
    pub async fn listen(self, wake: Arc<Notify>, metrics: Arc<Metrics>, cancel: CancellationToken) {
        // One provider serves every client of the process; a second installation is no error.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut backoff = Backoff::default();
        let mut told = false;
        loop {
            let ended = tokio::select! {
                ended = self.session(&wake, &metrics, &mut backoff) => ended,
                () = cancel.cancelled() => {
                    metrics.api_source_websocket.set(0);
                    return;
                }
            };
            metrics.api_source_websocket.set(0);
            metrics.api_trouble("websocket");
            let delay = backoff.next_delay();
            if !std::mem::replace(&mut told, true) {
                tracing::warn!(
                    reason = %ended,
                    host = self.request.uri().host().unwrap_or_default(),
                    "the websocket of the Stacks API is gone; blocks are polled for all the same"
                );
            }
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                () = cancel.cancelled() => return,
            }
        }
    }

    /// One connection, to its end.
    async fn session(&self, wake: &Notify, metrics: &Metrics, backoff: &mut Backoff) -> Ended {
        let config = WebSocketConfig::default()
            .max_message_size(Some(MAX_MESSAGE))
            .max_frame_size(Some(MAX_MESSAGE));
        let connect =
            tokio_tungstenite::connect_async_with_config(self.request.clone(), Some(config), false);
        let (mut socket, _) = match tokio::time::timeout(PATIENCE, connect).await {
            Ok(Ok(connected)) => connected,
            Ok(Err(error)) => return error.into(),
            Err(_) => return Ended::Silent,
        };
        if let Err(error) = socket.send(Message::text(SUBSCRIBE)).await {
            return error.into();
        }
        metrics.api_source_websocket.set(1);
        loop {
            let message = match tokio::time::timeout(SILENCE, socket.next()).await {
                Ok(Some(Ok(message))) => message,
                Ok(Some(Err(error))) => return error.into(),
                Ok(None) => return Ended::Closed,
                Err(_) => return Ended::Silent,
            };
            let Message::Text(text) = message else {
                continue;
            };
            let note = serde_json::from_str::<Note>(&text)
                .ok()
                .and_then(|n| n.method);
            if note.as_deref() == Some("block") {
                backoff.reset();
                metrics.api_source_hints.inc();
                wake.notify_one();
            }
        }
    }
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("{0}")]
    Failed(#[from] Error),
    #[error("the server closed it")]
    Closed,
    #[error("the server is silent")]
    Silent,
}
