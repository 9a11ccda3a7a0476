//! What a node can do for us.

use serde::Serialize;

use super::NodeSource;
use super::wire::Pox;
use crate::source::http::FetchError;

/// What an operator has to do where a node does not replay.
pub(super) const SET_TOKEN: &str =
    "set connection_options.auth_token in the node and node.auth_token here to the same text";

/// Does a node replay blocks for us?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Replay {
    /// It did.
    Yes,
    /// It does not know how, or not for its own tip.
    No,
    /// It has no token, or another one than we.
    Denied,
}

/// What a node can do for us.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Probe {
    /// Its words about its version.
    pub server_version: String,
    /// Its network.
    pub network_id: u32,
    /// Does it replay blocks?
    pub replay: Replay,
    /// Does it find transactions by id? None where it did not say.
    pub txindex: Option<bool>,
    /// Bitcoin height from which on blocks can be replayed: where epoch 3.0 begins. None where it did not say. A
    /// pruned chainstate begins higher, which only a replay shows.
    pub replay_from_burn_height: Option<u32>,
    /// Height of its newest block, which is as far as it can replay.
    pub tip_height: u32,
    /// What is missing, and what to do, for the operator.
    pub missing: Vec<String>,
}

impl NodeSource {
    /// Asks what the node can do. Replays its newest block.
    ///
    /// # Errors
    /// When it cannot be asked at all, or is of another network.
    pub async fn probe(&self) -> Result<Probe, FetchError> {
        let (tenure, info) = self.tenure_tip().await?;
        let mut missing = Vec::new();
        let replay = match self.replay(&tenure.tip_block_id).await {
            Ok(_) => Replay::Yes,
            Err(FetchError::Unfit { .. }) => {
                missing.push(format!("it does not replay blocks for us: {SET_TOKEN}"));
                Replay::Denied
            }
            Err(FetchError::NotFound { .. } | FetchError::NotOffered { .. }) => {
                missing.push(
                    "it does not know /v3/blocks/replay, or not its own tip by it; it takes stacks-node 3.2.0.0.2 or later, in epoch 3.0 or later"
                        .to_owned(),
                );
                Replay::No
            }
            Err(error) => return Err(error),
        };
        let nowhere = format!("/v3/transaction/{}", "0".repeat(64));
        let txindex = match self.server.get::<serde_json::Value>(&nowhere).await {
            Ok(_) | Err(FetchError::NotFound { .. }) => Some(true),
            Err(FetchError::NotOffered { .. }) => Some(false),
            Err(FetchError::Unreachable { what, source }) => {
                return Err(FetchError::Unreachable { what, source });
            }
            Err(_) => None,
        };
        let pox = self.server.get::<Pox>("/v2/pox").await;
        let epochs = pox.map(|p| p.epochs).unwrap_or_default();
        let nakamoto = epochs.iter().find(|e| e.epoch_id == "Epoch30");
        Ok(Probe {
            server_version: info.server_version,
            network_id: info.network_id,
            replay,
            txindex,
            replay_from_burn_height: nakamoto.map(|e| e.start_height),
            tip_height: tenure.tip_height,
            missing,
        })
    }
}
