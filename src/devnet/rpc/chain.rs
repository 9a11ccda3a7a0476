//! Where the chain stands, and its blocks.

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use serde_json::{Value as Json, json};
use stxworx_clarity::simnet::{Receipt, SealedBlock, Simnet, TxStatus};

use super::super::SharedChain;
use super::{Answer, Refused, block_id, hex0x, missing, with_chain};

pub(super) async fn info(State(chain): State<SharedChain>) -> Answer {
    with_chain(chain, |chain| {
        let (tip, burn) = (chain.tip().header.clone(), chain.burn_tip());
        Ok(axum::Json(json!({
            "peer_version": 402_653_199,
            "pox_consensus": hex::encode(burn.consensus_hash),
            "burn_block_height": burn.height,
            "stable_pox_consensus": hex::encode(burn.consensus_hash),
            "stable_burn_block_height": burn.height.saturating_sub(1),
            "server_version": concat!("stxworx-devnet ", env!("CARGO_PKG_VERSION")),
            "network_id": 2_147_483_648_u32,
            "parent_network_id": 3_669_344_250_u32,
            "stacks_tip_height": tip.height,
            "stacks_tip": hex::encode(tip.block_hash),
            "stacks_tip_consensus_hash": hex::encode(tip.burn.consensus_hash),
            "genesis_chainstate_hash": hex::encode([0; 32]),
            "unanchored_tip": null,
            "unanchored_seq": null,
            "tenure_height": tip.tenure_height,
            "exit_at_block_height": null,
            "is_fully_synced": true,
            "node_public_key": null,
            "node_public_key_hash": null,
            "last_pox_anchor": null,
            "stackerdbs": [],
        })))
    })
    .await
}

pub(super) async fn health(State(chain): State<SharedChain>) -> Answer {
    with_chain(chain, |chain| {
        let height = chain.tip().header.height;
        Ok(axum::Json(json!({
            "difference_from_max_peer": 0, "max_stacks_height_of_neighbors": height, "node_stacks_tip_height": height
        })))
    })
    .await
}

/// The first block of a block's tenure.
fn tenure_start(chain: &Simnet, block: &SealedBlock) -> SealedBlock {
    let mut start = block.clone();
    while let Some(parent) = chain.block(&start.header.parent) {
        if parent.header.burn.hash != start.header.burn.hash || parent.header.height == 0 {
            break;
        }
        start = (*parent).clone();
    }
    start
}

pub(super) async fn tenure_info(State(chain): State<SharedChain>) -> Answer {
    with_chain(chain, |chain| {
        let tip = chain.tip();
        let start = tenure_start(chain, &tip);
        let parent = chain
            .block(&start.header.parent)
            .unwrap_or_else(|| chain.tip());
        let parent_start = tenure_start(chain, &parent);
        Ok(axum::Json(json!({
            "consensus_hash": hex::encode(tip.header.burn.consensus_hash),
            "tenure_start_block_id": hex::encode(start.header.id),
            "parent_consensus_hash": hex::encode(parent.header.burn.consensus_hash),
            "parent_tenure_start_block_id": hex::encode(parent_start.header.id),
            "tip_block_id": hex::encode(tip.header.id),
            "tip_height": tip.header.height,
            "reward_cycle": tip.header.burn.height / 20,
        })))
    })
    .await
}

pub(super) async fn tenure_blocks(
    State(chain): State<SharedChain>,
    Path(height): Path<String>,
) -> Answer {
    let height: u32 = height
        .parse()
        .map_err(|_| super::bad(format!("{height:?} is no burn height")))?;
    with_chain(chain, move |chain| {
        let burn = chain
            .burn_at(height)
            .ok_or_else(|| missing("No such burn block"))?;
        let before = chain.burn_at(height.saturating_sub(1));
        let mut blocks = Vec::new();
        let mut at = Some(chain.tip());
        while let Some(block) = at {
            if block.header.burn.height < height {
                break;
            }
            if block.header.burn.hash == burn.hash {
                blocks.push(json!({
                    "block_id": hex::encode(block.header.id),
                    "header_type": "nakamoto",
                    "block_hash": hex::encode(block.header.block_hash),
                    "parent_block_id": hex::encode(block.header.parent),
                    "height": block.header.height,
                }));
            }
            at = chain.block(&block.header.parent);
        }
        Ok(axum::Json(json!({
            "consensus_hash": hex::encode(burn.consensus_hash),
            "last_sortition_ch": before.map(|b| hex::encode(b.consensus_hash)),
            "burn_block_height": burn.height,
            "burn_block_hash": hex::encode(burn.hash),
            "stacks_blocks": blocks,
        })))
    })
    .await
}

/// The token that a devnet asks for where a node wants one; it keeps nobody out.
pub const AUTH_TOKEN: &str = "devnet";

pub(super) async fn replay(
    State(chain): State<SharedChain>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Answer {
    let token = headers
        .get(header::AUTHORIZATION)
        .and_then(|v| v.to_str().ok());
    if token != Some(AUTH_TOKEN) {
        return Err(Refused(
            StatusCode::UNAUTHORIZED,
            "the authorization header must be the token: devnet".to_owned(),
        ));
    }
    let id = block_id(&id)?;
    with_chain(chain, move |chain| {
        let block = chain.block(&id).ok_or_else(|| missing("No such block"))?;
        if block.header.height > 0
            && block.receipts.is_empty()
            && chain.account(&id, &nobody()?).is_err()
        {
            return Err(missing("the block's contents are not kept any more"));
        }
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
    })
}
