//! A Stacks API as a source, for those who have no node.
//!
//! Headers come by pages of `v2/blocks`. Contents come from what is followed: the logs of each followed
//! contract, and the transactions of each followed contract and watched principal; each transaction that they
//! name is read once, with its events, and put into the form of `/new_block` with `facts` in place of bytes. So
//! the cost grows with the headers and with what is followed, not with what else happens on the chain.
//!
//! What the API answers of the rule by which a followed mirror chooses:
//!
//! | a transaction is kept because | found in |
//! |---|---|
//! | it calls or deploys a followed contract | the contract's transactions |
//! | a watched principal sends or sponsors it | the principal's transactions |
//! | a watched principal or followed contract gives or takes an asset in it | their transactions |
//! | a followed contract prints in it, whoever called | the contract's logs |
//!
//! What it cannot answer, or answers otherwise than a node:
//!
//! - A token of a followed contract that is moved by way of a third contract, between principals that are not
//!   watched, and without a print of the followed contract: no list names such a transaction.
//! - Locked STX: the event does not name the contract that locked. It is taken to be the stacking contract that
//!   prints in the same transaction, or is called by it.
//! - Operations sent on Bitcoin look like transfers and calls. One without fee, nonce and sponsor that is not the
//!   chain's own is taken to be one.
//! - Microblocks (before epoch 3.0), what a transaction's bytes say beyond `facts`, the number of a block's events.
//! - Bitcoin blocks that elected no Stacks block, and the parent of one that stands alone.
//! - Forks: it shows the canonical chain only, and as its own rule has it: the greatest height. A mirror follows it
//!   through a Bitcoin reorg as soon as the Bitcoin blocks say so, or the new branch is higher.
//!
//! Nothing announces a reorg. A range of blocks is read under one tip: the tip's tag comes with the headers and is
//! compared at the end; if it has changed and the range is not canonical any more, the range is read again. A chain
//! that left and came back between the two would not be seen; what it may have hidden, the audit finds.

mod assemble;
mod burns;
mod feeds;
mod headers;
mod health;
mod join;
mod limit;
mod memory;
mod pool;
pub mod socket;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::HeaderName;

use crate::metrics::Metrics;
use crate::model::{FollowSet, IndexBlockHash, Mirror};
use crate::source::http::{FetchError, Server};
use crate::source::pull::{Fetched, Pull, RANGE, Tip};
use crate::store::inbox::Source;

pub use health::Standing;
use pool::ApiPool;

/// The header that a key is sent in.
const KEY_HEADER: &str = "x-api-key";
/// Longest answer that is read usually, in bytes: a page of a hundred events of 300 kB each.
pub const LONGEST_ANSWER: usize = 64 << 20;
/// How often a range is read again because the chain changed under it.
const ATTEMPTS: u32 = 3;

/// Where the API is.
#[derive(Clone)]
pub struct ApiConfig {
    /// Base URLs, the preferred one first.
    pub urls: Vec<String>,
    /// Key for all of them. Secret.
    pub key: Option<String>,
    /// How long an answer may take.
    pub timeout: Duration,
    /// Most questions at the same time, of each server.
    pub concurrency: usize,
    /// Longest answer that is read, in bytes; [`LONGEST_ANSWER`] but for tests.
    pub answer_limit: usize,
}

/// Why there is no such source.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// No server.
    #[error("no Stacks API is named; set api_source.urls")]
    NoUrls,
    /// Everything is wanted.
    #[error(
        "a Stacks API cannot fill a mirror of everything: it would have to be asked for every transaction, and does not \
         know their bytes. Set follow.mirror to \"followed\" and name the contracts in follow.contracts, or use a node"
    )]
    Everything,
    /// A server.
    #[error("a Stacks API in api_source.urls cannot be asked")]
    Server(#[from] FetchError),
}

/// Why an attempt ended.
#[derive(Debug)]
enum Cut {
    /// The chain is not what it was when the attempt began.
    Moved(&'static str),
    /// Anything else.
    Fetch(FetchError),
}

impl From<FetchError> for Cut {
    fn from(error: FetchError) -> Self {
        Self::Fetch(error)
    }
}

fn moved(why: &'static str) -> Cut {
    Cut::Moved(why)
}

/// A Stacks API, asked for what is followed.
pub struct ApiSource {
    pool: ApiPool,
    name: String,
    scope: [u8; 32],
    follow: Arc<FollowSet>,
    metrics: Arc<Metrics>,
}

impl ApiSource {
    /// A source for this follow set.
    ///
    /// # Errors
    /// When no server is named, one of them has no usable address, or everything is to be mirrored.
    pub fn new(
        config: &ApiConfig,
        follow: FollowSet,
        metrics: Arc<Metrics>,
    ) -> Result<Self, ApiError> {
        if follow.mirror == Mirror::All || follow.contracts.contains("*") {
            return Err(ApiError::Everything);
        }
        if config.urls.is_empty() {
            return Err(ApiError::NoUrls);
        }
        let mut servers = Vec::new();
        for url in &config.urls {
            let key = config.key.as_deref();
            let key = key.map(|k| (HeaderName::from_static(KEY_HEADER), k));
            servers.push(Server::new(url, config.timeout, config.answer_limit, key)?);
        }
        let names: Vec<&str> = servers.iter().map(Server::base).collect();
        Ok(Self {
            name: names.join(", "),
            scope: follow.hash(),
            follow: Arc::new(follow),
            pool: ApiPool::new(servers, config.concurrency, Arc::clone(&metrics)),
            metrics,
        })
    }

    /// What is thought of each server, in the order of the configuration.
    pub fn standings(&self) -> Vec<(&str, Standing)> {
        self.pool.standings()
    }

    async fn range_of(
        &self,
        host: &pool::Host,
        from: u32,
        to: u32,
    ) -> Result<Vec<Fetched>, FetchError> {
        let mut memory = host.memory.lock().await;
        let mut why = "";
        for _ in 0..ATTEMPTS {
            let read = headers::range(host, &mut memory, from, to).await;
            match self.contents(host, &mut memory, read).await {
                Ok(blocks) => return Ok(blocks),
                Err(Cut::Fetch(error)) => return Err(error),
                Err(Cut::Moved(reason)) => {
                    self.metrics.api_trouble("moved");
                    tracing::debug!(
                        from,
                        to,
                        reason,
                        "the chain changed under a range; it is read again"
                    );
                    memory.forget();
                    why = reason;
                }
            }
        }
        Err(unsteady(&format!("blocks {from} to {to}"), why))
    }

    async fn block_of(
        &self,
        host: &pool::Host,
        id: &IndexBlockHash,
    ) -> Result<Fetched, FetchError> {
        let mut memory = host.memory.lock().await;
        let mut why = "";
        for _ in 0..ATTEMPTS {
            let read = headers::one(host, id).await.map_err(Cut::from);
            match self.contents(host, &mut memory, read).await {
                Ok(mut blocks) => match blocks.pop() {
                    Some(block) => return Ok(block),
                    None => why = "there is no such block",
                },
                Err(Cut::Fetch(error)) => return Err(error),
                Err(Cut::Moved(reason)) => {
                    self.metrics.api_trouble("moved");
                    memory.forget();
                    why = reason;
                }
            }
        }
        Err(unsteady(&format!("block {id}"), why))
    }

    /// The blocks of these headers, with what is followed in them.
    async fn contents(
        &self,
        host: &pool::Host,
        memory: &mut memory::Memory,
        read: Result<headers::Headers, Cut>,
    ) -> Result<Vec<Fetched>, Cut> {
        let headers = read?;
        let before = host.asked();
        let tip = headers::settle(host, memory, &headers).await?;
        let joined = join::joined(host, memory, &self.follow, &headers, tip).await?;
        let blocks = assemble::blocks(&headers.rows, &joined)?;
        // Headers are one answer; what needed more must have been said of the same chain.
        if host.asked() != before || !headers.is_of(memory) {
            headers::still_canonical(host, &headers).await?;
        }
        for block in &blocks {
            memory.see(block.block);
        }
        Ok(blocks)
    }
}

fn unsteady(what: &str, why: &str) -> FetchError {
    FetchError::unusable(
        what,
        format!("it changed under each of {ATTEMPTS} attempts, the last time because {why}"),
    )
}

impl Pull for ApiSource {
    fn source(&self) -> Source {
        Source::Api
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn scope(&self) -> Option<[u8; 32]> {
        Some(self.scope)
    }

    async fn tip(&self) -> Result<Tip, FetchError> {
        self.pool.tip().await
    }

    async fn range(
        &self,
        from_inclusive: u32,
        to_inclusive: u32,
    ) -> Result<Vec<Fetched>, FetchError> {
        let what = format!("blocks {from_inclusive} to {to_inclusive}");
        if to_inclusive
            .checked_sub(from_inclusive)
            .is_none_or(|n| n >= RANGE)
        {
            let why = format!("a range has 1 to {RANGE} heights, lowest first");
            return Err(FetchError::unusable(what, why));
        }
        let ask = self.pool.ask(&what, |host| {
            Box::pin(self.range_of(host, from_inclusive, to_inclusive))
        });
        ask.await
    }

    async fn block(&self, id: &IndexBlockHash) -> Result<Fetched, FetchError> {
        let what = format!("block {id}");
        let ask = self
            .pool
            .ask(&what, |host| Box::pin(self.block_of(host, id)));
        ask.await
    }

    async fn burn_blocks(
        &self,
        from_inclusive: u32,
        to_inclusive: u32,
    ) -> Result<Vec<Vec<u8>>, FetchError> {
        let what = format!("Bitcoin blocks {from_inclusive} to {to_inclusive}");
        let ask = self.pool.ask(&what, |host| {
            Box::pin(burns::burn_blocks(host, from_inclusive, to_inclusive))
        });
        ask.await
    }
}
