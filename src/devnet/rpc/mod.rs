//! The node's RPC, as far as followers and wallets use it.
//!
//! Paths and forms are those of stacks-node 4.0.2. `?tip=` takes an index block hash, or `latest`; where the
//! node reads its canonical tip for a malformed one, this answers 400. Not there: proofs (`proof` is empty),
//! peers, raw block bytes (`/v3/blocks/{id}` and the like: no header here is a real one), the mempool's binary
//! stream, `/v3/blocks/replay` of Bitcoin's operations.

mod chain;
mod contracts;
mod replay;
mod sortitions;
mod tenures;
mod transactions;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::Value as Json;
use stxworx_clarity::codec::{ContractId, Principal};
use stxworx_clarity::simnet::{BlockId, Simnet, SimnetError};

use super::SharedChain;
pub use replay::AUTH_TOKEN;
pub(super) use transactions::Door;

/// Largest body: a transaction of 2 MiB in hexadecimal digits, and what is around it.
const BODY_LIMIT: usize = 5 * 1024 * 1024;

/// Every route, with [`AUTH_TOKEN`] for what asks for one.
pub fn router(chain: SharedChain) -> Router {
    router_with(chain, Some(AUTH_TOKEN))
}

/// Every route. Without a token, as in a node's default configuration, what asks for one answers 400.
pub fn router_with(chain: SharedChain, auth_token: Option<&'static str>) -> Router {
    Router::new()
        .route("/v2/info", get(chain::info))
        .route("/v2/pox", get(chain::pox))
        .route("/v3/health", get(chain::health))
        .route("/v3/tenures/info", get(tenures::info))
        .route(
            "/v3/tenures/blocks/height/{height}",
            get(tenures::by_height),
        )
        .route("/v3/tenures/blocks/hash/{hash}", get(tenures::by_hash))
        .route(
            "/v3/tenures/blocks/{consensus_hash}",
            get(tenures::by_consensus_hash),
        )
        .route("/v3/sortitions", get(sortitions::newest))
        .route(
            "/v3/sortitions/latest_and_last",
            get(sortitions::latest_and_last),
        )
        .route("/v3/sortitions/{key}/{value}", get(sortitions::one))
        .route("/v3/blocks/replay/{id}", get(replay::replay))
        .route("/v3/transaction/{txid}", get(transactions::indexed))
        .route("/v2/accounts/{principal}", get(contracts::account))
        .route(
            "/v2/contracts/call-read/{address}/{contract}/{function}",
            post(contracts::call_read),
        )
        .route(
            "/v2/contracts/source/{address}/{contract}",
            get(contracts::source),
        )
        .route(
            "/v2/contracts/interface/{address}/{contract}",
            get(contracts::interface),
        )
        .route(
            "/v2/map_entry/{address}/{contract}/{map}",
            post(contracts::map_entry),
        )
        .route(
            "/v2/data_var/{address}/{contract}/{variable}",
            get(contracts::data_var),
        )
        .route("/v2/transactions", post(transactions::submit))
        .route(
            "/v2/transactions/unconfirmed/{txid}",
            get(transactions::unconfirmed),
        )
        .route("/v2/fees/transfer", get(transactions::transfer_fee))
        .route("/v2/fees/transaction", post(transactions::fee))
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(axum::Extension(replay::AuthToken(auth_token)))
        .with_state(chain)
}

/// A refusal, in the node's way: a status and a sentence.
#[derive(Debug)]
pub(super) struct Refused(StatusCode, String);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, [(header::CONTENT_TYPE, "text/plain")], self.1).into_response()
    }
}

impl From<SimnetError> for Refused {
    fn from(error: SimnetError) -> Self {
        match error {
            SimnetError::UnknownBlock(_) | SimnetError::Pruned(_) => {
                Self(StatusCode::NOT_FOUND, error.to_string())
            }
            SimnetError::Machine(_) => Self(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
        }
    }
}

type Answer = Result<axum::Json<Json>, Refused>;

fn bad(text: impl Into<String>) -> Refused {
    Refused(StatusCode::BAD_REQUEST, text.into())
}

fn missing(text: impl Into<String>) -> Refused {
    Refused(StatusCode::NOT_FOUND, text.into())
}

/// What may stand behind a question mark.
#[derive(Debug, Deserialize)]
pub(super) struct TipQuery {
    tip: Option<String>,
}

impl TipQuery {
    fn block(&self, chain: &Simnet) -> Result<BlockId, Refused> {
        match self.tip.as_deref() {
            None | Some("" | "latest") => Ok(chain.tip().header.id),
            Some(text) => block_id(text),
        }
    }
}

fn block_id(text: &str) -> Result<BlockId, Refused> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let bytes = hex::decode(digits)
        .ok()
        .and_then(|b| BlockId::try_from(b).ok());
    bytes.ok_or_else(|| {
        bad(format!(
            "{text:?} is no index block hash: 64 hexadecimal digits"
        ))
    })
}

fn burn_hash(text: &str) -> Result<[u8; 32], Refused> {
    let bytes = digits(text)?;
    bytes.try_into().map_err(|_| {
        bad(format!(
            "{text:?} is no burn block hash: 64 hexadecimal digits"
        ))
    })
}

fn consensus_hash(text: &str) -> Result<[u8; 20], Refused> {
    let bytes = digits(text)?;
    bytes.try_into().map_err(|_| {
        bad(format!(
            "{text:?} is no consensus hash: 40 hexadecimal digits"
        ))
    })
}

fn principal(text: &str) -> Result<Principal, Refused> {
    text.parse()
        .map_err(|e| bad(format!("{text:?} is no principal: {e}")))
}

fn contract(address: &str, name: &str) -> Result<ContractId, Refused> {
    match principal(&format!("{address}.{name}"))? {
        Principal::Contract(id) => Ok(id),
        Principal::Standard(_) => Err(bad(format!("{address}.{name} is no contract"))),
    }
}

fn digits(text: &str) -> Result<Vec<u8>, Refused> {
    hex::decode(text.strip_prefix("0x").unwrap_or(text))
        .map_err(|e| bad(format!("not hexadecimal: {e}")))
}

fn hex0x(bytes: &[u8]) -> String {
    format!("0x{}", hex::encode(bytes))
}

/// Runs what needs the chain where it may take its time.
async fn with_chain<R: Send + 'static>(
    chain: SharedChain,
    work: impl FnOnce(&mut Simnet) -> Result<R, Refused> + Send + 'static,
) -> Result<R, Refused> {
    let done = tokio::task::spawn_blocking(move || work(&mut chain.lock())).await;
    done.unwrap_or_else(|panic| {
        Err(Refused(
            StatusCode::INTERNAL_SERVER_ERROR,
            panic.to_string(),
        ))
    })
}
