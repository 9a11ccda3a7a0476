//! Where the chain stands.

use axum::extract::State;
use serde_json::json;

use super::super::SharedChain;
use super::{Answer, with_chain};

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

/// Where Bitcoin and the epochs stand; what stacking would say is not there.
pub(super) async fn pox(State(chain): State<SharedChain>) -> Answer {
    with_chain(chain, |chain| {
        let (first, burn) = (chain.first_burn_height(), chain.burn_tip());
        Ok(axum::Json(json!({
            "contract_id": "ST000000000000000000002AMW42H.pox-4",
            "first_burnchain_block_height": first,
            "current_burnchain_block_height": burn.height,
            "prepare_phase_block_length": 5,
            "reward_phase_block_length": 15,
            "current_epoch": "Epoch30",
            "epochs": [
                { "epoch_id": "Epoch30", "start_height": first, "end_height": 9_223_372_036_854_775_807_u64 },
            ],
        })))
    })
    .await
}
