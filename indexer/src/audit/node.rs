//! A node's RPC, as far as proofs need it.

use std::time::Duration;

use serde::Deserialize;
use serde_json::json;
use stxworx_clarity::codec::Value;

/// Why a node has no answer.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The address cannot be used.
    #[error("{given:?} is no address of a node's RPC; write http://HOST:PORT")]
    Address {
        /// What was given.
        given: String,
    },
    /// The client cannot be made.
    #[error("the HTTP client cannot be set up")]
    Client(#[source] reqwest::Error),
    /// No answer.
    #[error("no answer to {what}")]
    Unreachable {
        /// What was asked.
        what: String,
        /// Why.
        source: reqwest::Error,
    },
    /// The node does not have that block (any more).
    #[error("the node does not know block {tip}; it may be behind, or have left the block's fork")]
    UnknownTip {
        /// Which.
        tip: String,
    },
    /// The function is not there, or failed.
    #[error("the node refused {what}: {cause}")]
    Refused {
        /// What was asked.
        what: String,
        /// The node's words.
        cause: String,
    },
    /// An answer that is none.
    #[error("the answer to {what} cannot be used: {why}")]
    Unusable {
        /// What was asked.
        what: String,
        /// Why.
        why: String,
    },
}

/// A client of one node.
#[derive(Debug, Clone)]
pub struct NodeReader {
    base: String,
    client: reqwest::Client,
}

#[derive(Debug, Deserialize)]
struct CallRead {
    okay: bool,
    result: Option<String>,
    cause: Option<String>,
}

/// Largest answer that is read, bytes: a Clarity value of 1 MiB in hexadecimal digits, and its frame.
const MAX_ANSWER: usize = 4 * 1024 * 1024;

impl NodeReader {
    /// A client of the node at this base URL.
    ///
    /// # Errors
    /// When the URL is none, or the client cannot be made.
    pub fn new(base: &str, timeout: Duration) -> Result<Self, NodeError> {
        let base = base.trim_end_matches('/');
        let usable = reqwest::Url::parse(base)
            .is_ok_and(|u| matches!(u.scheme(), "http" | "https") && u.has_host());
        if !usable {
            return Err(NodeError::Address {
                given: base.to_owned(),
            });
        }
        // One provider serves every client of the process; a second installation is no error.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .timeout(timeout)
            .build()
            .map_err(NodeError::Client)?;
        Ok(Self {
            base: base.to_owned(),
            client,
        })
    }

    /// Evaluates a read-only function as of a block.
    ///
    /// # Errors
    /// When the node does not answer, does not know the block, or the function has no value.
    pub async fn call_read(
        &self,
        contract: &str,
        function: &str,
        arguments: &[Value],
        tip: &[u8],
    ) -> Result<Value, NodeError> {
        let what = format!("{contract} {function}");
        let unusable = |why: String| NodeError::Unusable {
            what: what.clone(),
            why,
        };
        let (address, name) = contract
            .split_once('.')
            .ok_or_else(|| unusable("the contract's id has no name".to_owned()))?;
        let tip = hex::encode(tip);
        let url = format!(
            "{}/v2/contracts/call-read/{address}/{name}/{function}?tip={tip}",
            self.base
        );
        let arguments: Vec<String> = arguments
            .iter()
            .map(|v| format!("0x{}", hex::encode(v.encode())))
            .collect();
        let body = json!({ "sender": address, "arguments": arguments });
        let unreachable = |source| NodeError::Unreachable {
            what: what.clone(),
            source,
        };
        let mut response = self
            .client
            .post(url)
            .json(&body)
            .send()
            .await
            .map_err(unreachable)?;
        if response.status() == reqwest::StatusCode::NOT_FOUND {
            return Err(NodeError::UnknownTip { tip });
        }
        if !response.status().is_success() {
            return Err(unusable(format!("the node answered {}", response.status())));
        }
        let mut bytes = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(unreachable)? {
            bytes.extend_from_slice(&piece);
            if bytes.len() > MAX_ANSWER {
                return Err(unusable(format!("it is longer than {MAX_ANSWER} bytes")));
            }
        }
        let answer: CallRead =
            serde_json::from_slice(&bytes).map_err(|e| unusable(e.to_string()))?;
        match answer.result {
            Some(result) if answer.okay => {
                let digits = result.strip_prefix("0x").unwrap_or(&result);
                let bytes = hex::decode(digits).map_err(|e| unusable(e.to_string()))?;
                Value::decode_exact(&bytes).map_err(|e| unusable(e.to_string()))
            }
            _ => Err(NodeError::Refused {
                what,
                cause: answer.cause.unwrap_or_default(),
            }),
        }
    }
}
