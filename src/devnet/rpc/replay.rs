//! Blocks replayed: the only way to a block's events by RPC.

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use serde_json::{Value as Json, json};
use stxworx_clarity::simnet::{Receipt, SealedBlock, TxStatus};

use super::super::SharedChain;
use super::{Answer, Refused, bad, block_id, hex0x, missing, with_chain};

/// The token that a devnet asks for where a node wants one; it keeps nobody out.
pub const AUTH_TOKEN: &str = "devnet";

/// The token of this node; none where its configuration has none.
#[derive(Debug, Clone, Copy)]
pub(super) struct AuthToken(pub Option<&'static str>);

pub(super) async fn replay(
    State(chain): State<SharedChain>,
    Extension(auth): Extension<AuthToken>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Answer {
    let Some(expected) = auth.0 else {
        return Err(bad("Bad Request."));
    };
    // The token as it is: no scheme stands before it.
    let token = headers
        .get(header::AUTHORIZATION)
        .and_then(|v| v.to_str().ok());
    if token != Some(expected) {
        return Err(Refused(StatusCode::UNAUTHORIZED, "Unauthorized".to_owned()));
    }
    let id = block_id(&id)?;
    with_chain(chain, move |chain| {
        let block = chain.block(&id).ok_or_else(|| missing("No such block"))?;
        // Block 0 is of epoch 2: it cannot be replayed.
        if block.header.height == 0 {
            return Err(missing("No such block"));
        }
        chain.account(&id, &nobody()?)?;
        Ok(axum::Json(replayed(&block)))
    })
    .await
}

fn nobody() -> Result<stxworx_clarity::codec::Principal, Refused> {
    super::principal("ST000000000000000000002AMW42H")
}

fn replayed(block: &SealedBlock) -> Json {
    let header = &block.header;
    json!({
        "block_id": hex::encode(header.id),
        "block_hash": hex::encode(header.block_hash),
        "block_height": header.height,
        "parent_block_id": hex::encode(header.parent),
        "consensus_hash": hex::encode(header.burn.consensus_hash),
        "fees": block.receipts.iter().map(|r| u128::from(r.transaction.fee())).sum::<u128>().to_string(),
        "tx_merkle_root": hex::encode([0; 32]),
        "state_index_root": hex::encode([0; 32]),
        "timestamp": header.time,
        "miner_signature": hex::encode([0; 65]),
        "signer_signature": [],
        "valid_merkle_root": true,
        "transactions": block.receipts.iter().map(replayed_transaction).collect::<Vec<_>>(),
    })
}

fn replayed_transaction(receipt: &Receipt) -> Json {
    let events: Vec<Json> = (0u32..)
        .zip(&receipt.events)
        .map(|(index, event)| {
            let mut object = serde_json::Map::new();
            object.insert("txid".into(), json!(hex0x(&receipt.txid)));
            object.insert("event_index".into(), json!(index));
            object.insert("committed".into(), json!(true));
            object.insert("type".into(), json!(event.kind));
            object.insert(event.kind.into(), event.body.clone());
            Json::Object(object)
        })
        .collect();
    json!({
        "txid": hex::encode(receipt.txid),
        // The node does not set it on this path either.
        "tx_index": 0,
        "data": null,
        "hex": hex::encode(receipt.transaction.encode()),
        "result_hex": hex0x(&receipt.raw_result),
        "stx_burned": 0,
        "execution_cost": { "read_count": 0, "read_length": 0, "runtime": 0, "write_count": 0, "write_length": 0 },
        "events": events,
        "post_condition_aborted": receipt.status == TxStatus::AbortByPostCondition,
        "vm_error": receipt.vm_error,
        "profiler": null,
        "execution_stats": { "secs": 0, "nanos": 0 },
    })
}
