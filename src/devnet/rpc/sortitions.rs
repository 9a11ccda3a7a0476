//! Sortitions: what each Bitcoin block elected.

use axum::extract::{Path, State};
use serde_json::{Value as Json, json};
use stxworx_clarity::codec::sha512_256;
use stxworx_clarity::simnet::{BurnBlock, Simnet};

use super::super::SharedChain;
use super::{Answer, bad, burn_hash, consensus_hash, hex0x, missing, with_chain};

fn sortition_id(burn_hash: &[u8; 32]) -> String {
    hex0x(&sha512_256(&[&b"sortition id"[..], burn_hash].concat()))
}

/// Every Bitcoin block elects somebody here; hashes have a 0x, unlike most of this RPC.
fn info(chain: &Simnet, burn: &BurnBlock) -> Json {
    let before = chain.burn_by_hash(&burn.parent_hash);
    let ch = |b: &BurnBlock| hex0x(&b.consensus_hash);
    json!({
        "burn_block_hash": hex0x(&burn.hash),
        "burn_block_height": burn.height,
        "burn_header_timestamp": burn.time,
        "sortition_id": sortition_id(&burn.hash),
        "parent_sortition_id": sortition_id(&burn.parent_hash),
        "consensus_hash": ch(burn),
        "was_sortition": true,
        "miner_pk_hash160": null,
        "stacks_parent_ch": null,
        "last_sortition_ch": before.as_deref().map(ch),
        "committed_block_hash": null,
        "vrf_seed": null,
    })
}

pub(super) async fn newest(State(chain): State<SharedChain>) -> Answer {
    with_chain(chain, |chain| {
        let burn = chain.burn_tip();
        Ok(axum::Json(json!([info(chain, &burn)])))
    })
    .await
}

pub(super) async fn latest_and_last(State(chain): State<SharedChain>) -> Answer {
    with_chain(chain, |chain| {
        let burn = chain.burn_tip();
        let last = chain.burn_by_hash(&burn.parent_hash);
        let both = std::iter::once(burn).chain(last);
        let both: Vec<_> = both.map(|b| info(chain, &b)).collect();
        Ok(axum::Json(Json::Array(both)))
    })
    .await
}

/// By consensus hash a sortition of any Bitcoin fork is known, by hash or height one of the canonical only.
pub(super) async fn one(
    State(chain): State<SharedChain>,
    Path((key, value)): Path<(String, String)>,
) -> Answer {
    enum By {
        Consensus([u8; 20]),
        Hash([u8; 32]),
        Height(u32),
    }
    let by = match key.as_str() {
        "consensus" => By::Consensus(consensus_hash(&value)?),
        "burn" => By::Hash(burn_hash(&value)?),
        "burn_height" => {
            let height = value.parse();
            By::Height(height.map_err(|_| bad(format!("{value:?} is no burn height")))?)
        }
        _ => return Err(bad(format!("Unknown query param: {key}"))),
    };
    with_chain(chain, move |chain| {
        let burn = match by {
            By::Consensus(hash) => chain.sortition(&hash),
            By::Hash(hash) => chain.burn_by_hash(&hash),
            By::Height(height) => chain.burn_at(height),
        };
        let burn = burn.ok_or_else(|| missing("Could not find snapshot"))?;
        Ok(axum::Json(json!([info(chain, &burn)])))
    })
    .await
}
