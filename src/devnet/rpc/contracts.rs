//! Accounts and contracts, as of any block.

use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use serde::Deserialize;
use serde_json::json;
use stxworx_clarity::codec::Value;
use stxworx_clarity::simnet::ReadError;

use super::super::SharedChain;
use super::{
    Answer, Refused, TipQuery, bad, contract, digits, hex0x, missing, principal, with_chain,
};

pub(super) async fn account(
    State(chain): State<SharedChain>,
    Path(who): Path<String>,
    Query(tip): Query<TipQuery>,
) -> Answer {
    let who = principal(&who)?;
    with_chain(chain, move |chain| {
        let account = chain.account(&tip.block(chain)?, &who)?;
        Ok(axum::Json(json!({
            "balance": format!("0x{:032x}", account.balance),
            "locked": format!("0x{:032x}", 0),
            "unlock_height": 0,
            "nonce": account.nonce,
            "balance_proof": "",
            "nonce_proof": "",
        })))
    })
    .await
}

#[derive(Debug, Deserialize)]
struct CallRead {
    sender: String,
    #[serde(default)]
    arguments: Vec<String>,
}

fn value(text: &str) -> Result<Value, Refused> {
    Value::decode_exact(&digits(text)?)
        .map_err(|e| bad(format!("{text:?} is no Clarity value: {e}")))
}

pub(super) async fn call_read(
    State(chain): State<SharedChain>,
    Path((address, name, function)): Path<(String, String, String)>,
    Query(tip): Query<TipQuery>,
    body: Bytes,
) -> Answer {
    let id = contract(&address, &name)?;
    let body: CallRead = serde_json::from_slice(&body)
        .map_err(|e| bad(format!("the body is not {{sender, arguments}}: {e}")))?;
    let sender = principal(&body.sender)?;
    let arguments = body
        .arguments
        .iter()
        .map(|a| value(a))
        .collect::<Result<Vec<_>, _>>()?;
    with_chain(chain, move |chain| {
        let at = tip.block(chain)?;
        let answer = match chain.call_read(&at, &sender, &id, &function, &arguments) {
            Ok(value) => json!({ "okay": true, "result": hex0x(&value.encode()) }),
            Err(ReadError::Block(error)) => return Err(error.into()),
            Err(error) => json!({ "okay": false, "cause": error.to_string() }),
        };
        Ok(axum::Json(answer))
    })
    .await
}

pub(super) async fn source(
    State(chain): State<SharedChain>,
    Path((address, name)): Path<(String, String)>,
    Query(tip): Query<TipQuery>,
) -> Answer {
    let id = contract(&address, &name)?;
    with_chain(chain, move |chain| {
        let at = tip.block(chain)?;
        let source = chain
            .source(&at, &id)?
            .ok_or_else(|| missing("No contract source data found"))?;
        let height = chain.published(&at, &id)?;
        Ok(axum::Json(
            json!({ "source": source, "publish_height": height, "proof": "" }),
        ))
    })
    .await
}

pub(super) async fn interface(
    State(chain): State<SharedChain>,
    Path((address, name)): Path<(String, String)>,
    Query(tip): Query<TipQuery>,
) -> Answer {
    let id = contract(&address, &name)?;
    with_chain(chain, move |chain| {
        let at = tip.block(chain)?;
        let interface = chain
            .interface(&at, &id)?
            .ok_or_else(|| missing("No contract interface data found"))?;
        Ok(axum::Json(interface))
    })
    .await
}

pub(super) async fn map_entry(
    State(chain): State<SharedChain>,
    Path((address, name, map)): Path<(String, String, String)>,
    Query(tip): Query<TipQuery>,
    body: Bytes,
) -> Answer {
    let id = contract(&address, &name)?;
    let text: String = serde_json::from_slice(&body)
        .map_err(|e| bad(format!("the body is no JSON text with a key: {e}")))?;
    let key = value(&text)?;
    with_chain(chain, move |chain| {
        let at = tip.block(chain)?;
        let entry = chain.map_entry(&at, &id, &map, &key).map_err(|e| match e {
            ReadError::Block(error) => error.into(),
            other => bad(other.to_string()),
        })?;
        let none = Value::None.encode();
        Ok(axum::Json(
            json!({ "data": hex0x(&entry.unwrap_or(none)), "proof": "" }),
        ))
    })
    .await
}

pub(super) async fn data_var(
    State(chain): State<SharedChain>,
    Path((address, name, variable)): Path<(String, String, String)>,
    Query(tip): Query<TipQuery>,
) -> Answer {
    let id = contract(&address, &name)?;
    with_chain(chain, move |chain| {
        let at = tip.block(chain)?;
        let data = chain
            .data_var(&at, &id, &variable)?
            .ok_or_else(|| missing("Data var not found"))?;
        Ok(axum::Json(json!({ "data": hex0x(&data), "proof": "" })))
    })
    .await
}
