//! Sending transactions, and what they cost.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::json;
use stxworx_clarity::codec::sha512_256;
use stxworx_clarity::simnet::{Rejection, TxId};

use super::super::SharedChain;
use super::super::faults::{Faults, FeeFault, SubmitFault};
use super::super::gate::Gate;
use super::{Answer, Refused, bad, digits, missing, with_chain};

#[derive(Debug, Deserialize)]
struct Submission {
    tx: String,
}

/// Raw bytes, or JSON with hexadecimal digits.
fn raw(headers: &HeaderMap, body: &Bytes) -> Result<Vec<u8>, Refused> {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|v| v.to_str().ok())
        .unwrap_or_default();
    match kind.split(';').next().map(str::trim) {
        Some("application/octet-stream") => Ok(body.to_vec()),
        Some("application/json") => {
            let submission: Submission = serde_json::from_slice(body)
                .map_err(|e| bad(format!("the body is not {{tx}}: {e}")))?;
            digits(&submission.tx)
        }
        _ => Err(bad(
            "the content type must be application/octet-stream or application/json",
        )),
    }
}

/// What stands before the mempool of a devnet that runs: the journal, and the faults that it was asked for. A chain that
/// is driven by hand has neither.
#[derive(Clone)]
pub(in crate::devnet) struct Door {
    pub gate: Arc<Gate>,
    pub faults: Arc<Faults>,
}

/// How long a client waits that gets no answer; most give up before.
const SILENCE: Duration = Duration::from_secs(5);

pub(super) async fn submit(
    State(chain): State<SharedChain>,
    door: Option<Extension<Door>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let bytes = match raw(&headers, &body) {
        Ok(bytes) => bytes,
        Err(refused) => return refused.into_response(),
    };
    let txid = sha512_256(&bytes);
    let Some(Extension(door)) = door else {
        let outcome = with_chain(chain, move |chain| Ok(chain.submit(&bytes))).await;
        return answer(outcome, &txid);
    };
    let fault = door.faults.of_submit();
    match fault {
        SubmitFault::FailedBefore => return failed(),
        SubmitFault::Swallowed => return axum::Json(hex::encode(txid)).into_response(),
        SubmitFault::Lost => {
            let tip = chain.lock().tip().header.id;
            door.faults.lose(txid, tip, bytes);
            return axum::Json(hex::encode(txid)).into_response();
        }
        SubmitFault::None | SubmitFault::Unanswered | SubmitFault::FailedAfter => {}
    }
    let gate = door.gate;
    let outcome = with_chain(chain, move |chain| {
        gate.submit(chain, &bytes)
            .map_err(|closed| Refused(StatusCode::SERVICE_UNAVAILABLE, closed.to_string()))
    })
    .await;
    match fault {
        SubmitFault::FailedAfter => failed(),
        SubmitFault::Unanswered => {
            tokio::time::sleep(SILENCE).await;
            Refused(StatusCode::GATEWAY_TIMEOUT, "no answer".to_owned()).into_response()
        }
        _ => answer(outcome, &txid),
    }
}

fn failed() -> Response {
    let text = "internal error, as it was asked for".to_owned();
    Refused(StatusCode::INTERNAL_SERVER_ERROR, text).into_response()
}

fn answer(outcome: Result<Result<TxId, Rejection>, Refused>, txid: &TxId) -> Response {
    match outcome {
        Ok(Ok(txid)) => axum::Json(hex::encode(txid)).into_response(),
        Ok(Err(Rejection::Deserialization(message))) => {
            bad(format!("Failed to decode transaction: {message}")).into_response()
        }
        Ok(Err(rejection)) => (
            StatusCode::BAD_REQUEST,
            axum::Json(rejection.to_json(Some(txid))),
        )
            .into_response(),
        Err(refused) => refused.into_response(),
    }
}

pub(super) async fn unconfirmed(
    State(chain): State<SharedChain>,
    door: Option<Extension<Door>>,
    Path(txid): Path<String>,
) -> Answer {
    let id = TxId::try_from(digits(&txid)?).map_err(|_| {
        bad(format!(
            "{txid:?} is no transaction id: 64 hexadecimal digits"
        ))
    })?;
    with_chain(chain, move |chain| {
        let lost = || {
            let Extension(door) = door?;
            door.faults.seen(&id, &chain.tip().header.id)
        };
        let waiting = chain
            .waiting_transaction(&id)
            .map(|waiting| waiting.encode())
            .or_else(lost)
            .ok_or_else(|| missing("No such transaction in the mempool"))?;
        Ok(axum::Json(
            json!({ "tx": hex::encode(waiting), "status": "Mempool" }),
        ))
    })
    .await
}

/// As a node without `txindex`, which is the default.
pub(super) async fn indexed() -> Answer {
    Err(Refused(
        StatusCode::NOT_IMPLEMENTED,
        "No transaction index on this node".to_owned(),
    ))
}

/// Micro-STX per byte.
pub(super) async fn transfer_fee() -> Answer {
    Ok(axum::Json(json!(1)))
}

#[derive(Debug, Deserialize)]
struct FeeQuestion {
    transaction_payload: String,
    estimated_len: Option<u64>,
}

/// Costs are not counted here, so that an estimate follows from the length alone.
pub(super) async fn fee(door: Option<Extension<Door>>, body: Bytes) -> Answer {
    let fault = door.map_or(FeeFault::None, |Extension(door)| door.faults.of_fee());
    let question: FeeQuestion = serde_json::from_slice(&body)
        .map_err(|e| bad(format!("the body is not {{transaction_payload}}: {e}")))?;
    let payload = digits(&question.transaction_payload)?;
    let length = question
        .estimated_len
        .unwrap_or(0)
        .max(u64::try_from(payload.len()).unwrap_or(u64::MAX))
        .saturating_add(180);
    let factor = match fault {
        FeeFault::None => 1,
        FeeFault::Zero => 0,
        FeeFault::Endless => 1_000_000_000_000,
        FeeFault::Failed => return Err(bad("{\"reason\":\"NoEstimateAvailable\"}")),
    };
    let estimations: Vec<_> = [1, 2, 4]
        .map(|rate: u64| rate * factor)
        .map(|rate| json!({ "fee_rate": rate, "fee": length.saturating_mul(rate) }))
        .into();
    Ok(axum::Json(json!({
        "estimated_cost": { "read_count": 0, "read_length": 0, "runtime": 0, "write_count": 0, "write_length": 0 },
        "estimated_cost_scalar": length,
        "cost_scalar_change_by_byte": 1.0,
        "estimations": estimations,
    })))
}
