//! Sending transactions, and what they cost.

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::json;
use stxworx_clarity::codec::sha512_256;
use stxworx_clarity::simnet::{Rejection, TxId};

use super::super::SharedChain;
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

pub(super) async fn submit(
    State(chain): State<SharedChain>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let bytes = match raw(&headers, &body) {
        Ok(bytes) => bytes,
        Err(refused) => return refused.into_response(),
    };
    let txid = sha512_256(&bytes);
    let outcome = with_chain(chain, move |chain| Ok(chain.submit(&bytes))).await;
    match outcome {
        Ok(Ok(txid)) => axum::Json(hex::encode(txid)).into_response(),
        Ok(Err(Rejection::Deserialization(message))) => {
            bad(format!("Failed to decode transaction: {message}")).into_response()
        }
        Ok(Err(rejection)) => (
            StatusCode::BAD_REQUEST,
            axum::Json(rejection.to_json(Some(&txid))),
        )
            .into_response(),
        Err(refused) => refused.into_response(),
    }
}

pub(super) async fn unconfirmed(
    State(chain): State<SharedChain>,
    Path(txid): Path<String>,
) -> Answer {
    let id = TxId::try_from(digits(&txid)?).map_err(|_| {
        bad(format!(
            "{txid:?} is no transaction id: 64 hexadecimal digits"
        ))
    })?;
    with_chain(chain, move |chain| {
        let waiting = chain
            .waiting_transaction(&id)
            .ok_or_else(|| missing("No such transaction in the mempool"))?;
        Ok(axum::Json(
            json!({ "tx": hex::encode(waiting.encode()), "status": "Mempool" }),
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
pub(super) async fn fee(body: Bytes) -> Answer {
    let question: FeeQuestion = serde_json::from_slice(&body)
        .map_err(|e| bad(format!("the body is not {{transaction_payload}}: {e}")))?;
    let payload = digits(&question.transaction_payload)?;
    let length = question
        .estimated_len
        .unwrap_or(0)
        .max(u64::try_from(payload.len()).unwrap_or(u64::MAX))
        .saturating_add(180);
    let estimations: Vec<_> = [1, 2, 4]
        .map(|rate: u64| json!({ "fee_rate": rate, "fee": length.saturating_mul(rate) }))
        .into();
    Ok(axum::Json(json!({
        "estimated_cost": { "read_count": 0, "read_length": 0, "runtime": 0, "write_count": 0, "write_length": 0 },
        "estimated_cost_scalar": length,
        "cost_scalar_change_by_byte": 1.0,
        "estimations": estimations,
    })))
}
