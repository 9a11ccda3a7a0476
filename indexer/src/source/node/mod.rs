//! A node's RPC as a source: blocks replayed, sortitions, tenures.
//!
//! `/v3/blocks/replay` executes a stored block once more and tells its events; with the sortition of its tenure that
//! makes the payload of an observer, transactions' bytes included. Payloads are whole, but for what a replay does
//! not tell, and what it cannot tell of is refused:
//!
//! | not told | so |
//! |---|---|
//! | operations sent on Bitcoin, phantom unlocks, matured rewards | they can only happen in a block that starts or extends a tenure; its payload says `may_lack`, and the positions of its transactions may be lower than an observer's |
//! | the commit on Bitcoin, the tenure's height | left out; no digest has them |
//! | block 0 and blocks of epoch 2.x | refused: [`FetchError::NotFound`] or [`FetchError::NotOffered`] |
//! | blocks below a pruned chainstate's edge | refused by the node: [`FetchError::NotFound`] |

mod assemble;
mod probe;
#[cfg(test)]
mod tests;
mod walk;
mod wire;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::AUTHORIZATION;
use stxworx_clarity::codec::index_block_hash;

pub use probe::{Probe, Replay};

use super::http::{FetchError, Server};
use super::pull::{Fetched, Pull, RANGE, Tip};
use crate::model::{BlockRef, ConsensusHash, IndexBlockHash};
use crate::store::inbox::Source;
use wire::{Info, Replayed, Sortition, Sortitions, TenureInfo};

/// Largest answer that is read, bytes. A node lets a block have 50 MiB of receipts, which double in hexadecimal
/// digits; decoded contracts come on top.
const ANSWER_LIMIT: usize = 512 << 20;
/// Sortitions that are remembered: blocks of a tenure come one after the other.
const REMEMBERED: usize = 64;
/// Most Bitcoin heights that are asked for at once.
const BURN_RANGE: u32 = 1_000;
/// A chain that grows between two questions is asked again, so many times.
const TIP_ATTEMPTS: u32 = 3;

/// What a node is asked with.
#[derive(Clone)]
pub struct NodeOptions {
    /// Base URL of its RPC.
    pub url: String,
    /// How long it may take for an answer.
    pub timeout: Duration,
    /// Its `connection_options.auth_token`, without which it replays nothing. Secret: never printed.
    pub auth_token: Option<String>,
    /// The network that it must be of: 1 for mainnet, 0x80000000 for testnets and devnets.
    pub network_id: u32,
}

impl std::fmt::Debug for NodeOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NodeOptions")
            .field("url", &self.url)
            .field("auth_token", &self.auth_token.is_some())
            .field("network_id", &self.network_id)
            .finish_non_exhaustive()
    }
}

/// A node that is asked.
#[derive(Debug)]
pub struct NodeSource {
    server: Server,
    network_id: u32,
    has_token: bool,
    /// A node replays under a lock of its own: a second replay at once only waits there.
    replaying: tokio::sync::Mutex<()>,
    sortitions: Mutex<BTreeMap<ConsensusHash, Sortition>>,
    /// A block at whose height a walk ended, and the Bitcoin height of its tenure: the next one begins there.
    hint: Mutex<Option<(u32, u32)>>,
}

impl NodeSource {
    /// A client of a node.
    ///
    /// # Errors
    /// When the URL or the token cannot be used.
    pub fn new(options: &NodeOptions) -> Result<Self, FetchError> {
        let key = options.auth_token.as_deref().map(|t| (AUTHORIZATION, t));
        Ok(Self {
            server: Server::new(&options.url, options.timeout, ANSWER_LIMIT, key)?,
            network_id: options.network_id,
            has_token: options.auth_token.is_some(),
            replaying: tokio::sync::Mutex::default(),
            sortitions: Mutex::default(),
            hint: Mutex::default(),
        })
    }

    /// `/v2/info`, of the right network.
    async fn info(&self) -> Result<Info, FetchError> {
        let info: Info = self.server.get("/v2/info").await?;
        if info.network_id != self.network_id {
            return Err(FetchError::Unfit {
                base: self.server.base().to_owned(),
                why: format!(
                    "it is a node of network {:#x}, and this mirror is of network {:#x}; set node.rpc_url to another node, or network to its network",
                    info.network_id, self.network_id
                ),
            });
        }
        Ok(info)
    }

    /// `/v3/blocks/replay`, one at a time. What is needed for it is said where it is refused.
    async fn replay(&self, id: &IndexBlockHash) -> Result<Replayed, FetchError> {
        let path = format!("/v3/blocks/replay/{}", hex::encode(id.as_bytes()));
        let _one_at_a_time = self.replaying.lock().await;
        let answer = self.server.get(&path).await;
        answer.map_err(|error| match error {
            FetchError::Status { status: 400, .. } | FetchError::Denied { .. } => {
                FetchError::Unfit {
                    base: self.server.base().to_owned(),
                    why: format!(
                        "it does not replay block {id} for us{}; {}",
                        if self.has_token {
                            " with this token"
                        } else {
                            " without a token"
                        },
                        probe::SET_TOKEN
                    ),
                }
            }
            FetchError::NotFound { .. } => FetchError::NotFound {
                what: format!(
                    "block {id} (a node replays blocks of epoch 3.0 and later, whose parent's state it has)"
                ),
            },
            other => other,
        })
    }

    /// The sortition of a tenure, of whichever Bitcoin fork.
    async fn sortition_of(&self, tenure: ConsensusHash) -> Result<Sortition, FetchError> {
        let known = self.remembered().get(&tenure).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let path = format!(
            "/v3/sortitions/consensus/{}",
            hex::encode(tenure.as_bytes())
        );
        let sortition = self.sortition(&path).await?;
        if sortition.consensus_hash != tenure {
            return Err(FetchError::unusable(
                &path,
                format!("it is about {}", sortition.consensus_hash),
            ));
        }
        let mut remembered = self.remembered();
        if remembered.len() >= REMEMBERED {
            remembered.clear();
        }
        remembered.insert(tenure, sortition.clone());
        Ok(sortition)
    }

    fn remembered(&self) -> std::sync::MutexGuard<'_, BTreeMap<ConsensusHash, Sortition>> {
        self.sortitions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    async fn sortition(&self, path: &str) -> Result<Sortition, FetchError> {
        let answer: Sortitions = self.server.get(path).await?;
        answer
            .one()
            .ok_or_else(|| FetchError::unusable(path, "it lists no sortition"))
    }

    /// The canonical sortition at a Bitcoin height; none where the node knows none.
    async fn sortition_at(&self, height: u32) -> Result<Option<Sortition>, FetchError> {
        let path = format!("/v3/sortitions/burn_height/{height}");
        match self.sortition(&path).await {
            Ok(sortition) if sortition.burn_block_height == height => Ok(Some(sortition)),
            Ok(other) => Err(FetchError::unusable(
                &path,
                format!("it is about height {}", other.burn_block_height),
            )),
            Err(FetchError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The node's own tip, with the tenure that it is in.
    async fn tenure_tip(&self) -> Result<(TenureInfo, Info), FetchError> {
        let mut attempt = 1;
        loop {
            let info = self.info().await?;
            let tenure: TenureInfo = self.server.get("/v3/tenures/info").await?;
            let told = index_block_hash(&info.stacks_tip.0, &info.stacks_tip_consensus_hash.0);
            if told == tenure.tip_block_id.0 && info.stacks_tip_height == tenure.tip_height {
                return Ok((tenure, info));
            }
            if attempt >= TIP_ATTEMPTS {
                return Err(FetchError::unusable(
                    "/v3/tenures/info",
                    format!(
                        "its tip is {} at height {}, and that of /v2/info 0x{} at height {}",
                        tenure.tip_block_id,
                        tenure.tip_height,
                        hex::encode(told),
                        info.stacks_tip_height
                    ),
                ));
            }
            attempt += 1;
        }
    }

    /// A block replayed and put into the observer's form, checked against what was asked.
    async fn fetch(&self, id: &IndexBlockHash) -> Result<Fetched, FetchError> {
        let replayed = self.replay(id).await?;
        let what = format!("/v3/blocks/replay/{}", hex::encode(id.as_bytes()));
        if replayed.block_id != *id {
            return Err(FetchError::unusable(
                what,
                format!("it is about block {}", replayed.block_id),
            ));
        }
        let sortition = self.sortition_of(replayed.consensus_hash).await?;
        assemble::new_block(&replayed, &sortition).map_err(|why| FetchError::unusable(what, why))
    }
}

impl Pull for NodeSource {
    fn source(&self) -> Source {
        Source::Node
    }

    fn name(&self) -> &str {
        self.server.base()
    }

    fn scope(&self) -> Option<[u8; 32]> {
        None
    }

    async fn tip(&self) -> Result<Tip, FetchError> {
        let (tenure, info) = self.tenure_tip().await?;
        Ok(Tip {
            block: BlockRef {
                id: tenure.tip_block_id,
                height: tenure.tip_height,
            },
            burn_height: info.burn_block_height,
        })
    }

    async fn range(
        &self,
        from_inclusive: u32,
        to_inclusive: u32,
    ) -> Result<Vec<Fetched>, FetchError> {
        let what = format!("blocks {from_inclusive} to {to_inclusive}");
        if from_inclusive > to_inclusive || to_inclusive - from_inclusive >= RANGE {
            return Err(FetchError::unusable(
                what,
                format!("a range is of 1 to {RANGE} heights"),
            ));
        }
        let headers = self.walk(from_inclusive, to_inclusive).await?;
        let mut blocks: Vec<Fetched> = Vec::with_capacity(headers.len());
        for header in headers {
            let block = self.fetch(&header.block_id).await?;
            if block.block.height != header.height || block.parent != header.parent_block_id {
                return Err(FetchError::unusable(
                    what,
                    format!(
                        "block {} is at height {} on {} in its tenure, and at height {} on {} when replayed",
                        header.block_id,
                        header.height,
                        header.parent_block_id,
                        block.block.height,
                        block.parent
                    ),
                ));
            }
            blocks.push(block);
        }
        Ok(blocks)
    }

    async fn block(&self, id: &IndexBlockHash) -> Result<Fetched, FetchError> {
        self.fetch(id).await
    }

    async fn burn_blocks(
        &self,
        from_inclusive: u32,
        to_inclusive: u32,
    ) -> Result<Vec<Vec<u8>>, FetchError> {
        let what = format!("burn blocks {from_inclusive} to {to_inclusive}");
        if from_inclusive > to_inclusive || to_inclusive - from_inclusive >= BURN_RANGE {
            return Err(FetchError::unusable(
                what,
                format!("a range is of 1 to {BURN_RANGE} heights"),
            ));
        }
        let mut below: Option<Sortition> = match from_inclusive.checked_sub(1) {
            Some(height) => self.sortition_at(height).await?,
            None => None,
        };
        let mut bodies = Vec::new();
        for height in from_inclusive..=to_inclusive {
            let Some(here) = self.sortition_at(height).await? else {
                below = None;
                continue;
            };
            if let Some(below) = &below
                && here.parent_sortition_id != below.sortition_id
            {
                return Err(FetchError::unusable(
                    what,
                    format!("Bitcoin changed below height {height} while it was asked for"),
                ));
            }
            bodies.push(assemble::new_burn_block(&here, below.as_ref()));
            below = Some(here);
        }
        Ok(bodies)
    }
}
