//! Tenures and their blocks.

use axum::extract::{Path, State};
use serde_json::{Value as Json, json};
use stxworx_clarity::simnet::{BurnBlock, SealedBlock, Simnet};

use super::super::SharedChain;
use super::{Answer, bad, burn_hash, consensus_hash, missing, with_chain};

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

pub(super) async fn info(State(chain): State<SharedChain>) -> Answer {
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

pub(super) async fn by_height(
    State(chain): State<SharedChain>,
    Path(height): Path<String>,
) -> Answer {
    let height: u32 = height
        .parse()
        .map_err(|_| bad(format!("{height:?} is no burn height")))?;
    with_chain(chain, move |chain| {
        let burn = chain
            .burn_at(height)
            .ok_or_else(|| missing("No such burn block"))?;
        Ok(axum::Json(tenure(chain, &burn)))
    })
    .await
}

pub(super) async fn by_hash(State(chain): State<SharedChain>, Path(hash): Path<String>) -> Answer {
    let hash = burn_hash(&hash)?;
    with_chain(chain, move |chain| {
        let burn = chain
            .burn_by_hash(&hash)
            .ok_or_else(|| missing("No such burn block"))?;
        Ok(axum::Json(tenure(chain, &burn)))
    })
    .await
}

pub(super) async fn by_consensus_hash(
    State(chain): State<SharedChain>,
    Path(hash): Path<String>,
) -> Answer {
    let hash = consensus_hash(&hash)?;
    with_chain(chain, move |chain| {
        let burn = chain
            .sortition(&hash)
            .ok_or_else(|| missing("No such burn block"))?;
        Ok(axum::Json(tenure(chain, &burn)))
    })
    .await
}

/// The blocks of a tenure as a node lists them: from the highest that it knows, of whichever fork, down to the
/// tenure's first. The hashes have no 0x.
fn tenure(chain: &Simnet, burn: &BurnBlock) -> Json {
    let before = chain.burn_at(burn.height.saturating_sub(1));
    let mut blocks = Vec::new();
    let mut at = chain.tenure_tip(&burn.consensus_hash);
    while let Some(block) = at {
        if block.header.burn.hash != burn.hash {
            break;
        }
        blocks.push(json!({
            "block_id": hex::encode(block.header.id),
            "header_type": if block.header.height == 0 { "epoch2" } else { "nakamoto" },
            "block_hash": hex::encode(block.header.block_hash),
            "parent_block_id": hex::encode(block.header.parent),
            "height": block.header.height,
        }));
        at = chain.block(&block.header.parent);
    }
    json!({
        "consensus_hash": hex::encode(burn.consensus_hash),
        "last_sortition_ch": before.map(|b| hex::encode(b.consensus_hash)),
        "burn_block_height": burn.height,
        "burn_block_hash": hex::encode(burn.hash),
        "stacks_blocks": blocks,
    })
}
