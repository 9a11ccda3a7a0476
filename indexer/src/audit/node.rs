//! A node's RPC, as far as proofs need it: reads of contracts and accounts, each as of one block.

use std::time::Duration;

use serde::Deserialize;
use serde_json::json;
use stxworx_clarity::codec::Value;

use crate::model::IndexBlockHash;
use crate::source::http::{FetchError, Server};

/// Why a node has no answer.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// It cannot be asked, or its answer is none.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The node does not have that block (any more).
    #[error("the node does not know block {tip}; it may be behind, or have left the block's fork")]
    UnknownTip {
        /// Which.
        tip: IndexBlockHash,
    },
    /// The function is not there, or failed.
    #[error("the node refused {what}: {cause}")]
    Refused {
        /// What was asked.
        what: String,
        /// The node's words.
        cause: String,
    },
}

/// A client of one node.
#[derive(Debug, Clone)]
pub struct NodeReader {
    server: Server,
}

#[derive(Debug, Deserialize)]
struct CallRead {
    okay: bool,
    result: Option<String>,
    cause: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Account {
    /// 0x and 32 hexadecimal digits.
    balance: String,
}

/// Largest answer that is read, bytes: a Clarity value of 1 MiB in hexadecimal digits, and its frame.
const MAX_ANSWER: usize = 4 * 1024 * 1024;

/// What a node is asked for a block's state with. A node that cannot read it answers for its newest block and does not
/// say so; an [`IndexBlockHash`] always has its 64 digits.
fn at(tip: &IndexBlockHash) -> String {
    format!("tip={}", hex::encode(tip.as_bytes()))
}

fn decoded(what: &str, digits: &str) -> Result<Value, NodeError> {
    let bytes = hex::decode(digits.strip_prefix("0x").unwrap_or(digits));
    let bytes = bytes.map_err(|e| FetchError::unusable(what, e))?;
    Ok(Value::decode_exact(&bytes).map_err(|e| FetchError::unusable(what, e))?)
}

/// A function's name as a part of a path: names of Clarity end in question marks, and may hold slashes.
fn in_path(function: &str) -> String {
    function.replace('?', "%3F").replace('/', "%2F")
}

/// Of what is asked at a block, only the block can be missing: unknown contracts and accounts have answers.
fn or_unknown_tip<T>(answer: Result<T, FetchError>, tip: &IndexBlockHash) -> Result<T, NodeError> {
    answer.map_err(|error| match error {
        FetchError::NotFound { .. } => NodeError::UnknownTip { tip: *tip },
        other => other.into(),
    })
}

impl NodeReader {
    /// A client of the node at this base URL.
    ///
    /// # Errors
    /// When the URL is none, or the client cannot be made.
    pub fn new(base: &str, timeout: Duration) -> Result<Self, NodeError> {
        let server = Server::new(base, timeout, MAX_ANSWER, None)?;
        Ok(Self { server })
    }

    /// Its base URL.
    pub fn base(&self) -> &str {
        self.server.base()
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
        tip: &IndexBlockHash,
    ) -> Result<Value, NodeError> {
        let what = format!("{contract} {function}");
        let (address, name) = contract
            .split_once('.')
            .ok_or_else(|| FetchError::unusable(&what, "the contract's id has no name"))?;
        let path = format!(
            "/v2/contracts/call-read/{address}/{name}/{}?{}",
            in_path(function),
            at(tip)
        );
        let arguments: Vec<String> = arguments
            .iter()
            .map(|v| format!("0x{}", hex::encode(v.encode())))
            .collect();
        let body = json!({ "sender": address, "arguments": arguments });
        let answer: CallRead = or_unknown_tip(self.server.post(&path, &body).await, tip)?;
        match answer.result {
            Some(result) if answer.okay => decoded(&what, &result),
            _ => Err(NodeError::Refused {
                what,
                cause: answer.cause.unwrap_or_default(),
            }),
        }
    }

    /// Micro-STX of a principal as of a block, locked ones left out.
    ///
    /// # Errors
    /// When the node does not answer, or does not know the block.
    pub async fn balance(&self, principal: &str, tip: &IndexBlockHash) -> Result<u128, NodeError> {
        let path = format!("/v2/accounts/{principal}?proof=0&{}", at(tip));
        let account: Account = or_unknown_tip(self.server.get(&path).await, tip)?;
        let digits = account.balance.strip_prefix("0x");
        let parsed = u128::from_str_radix(digits.unwrap_or(&account.balance), 16);
        Ok(parsed.map_err(|e| FetchError::unusable(&path, e))?)
    }
}
