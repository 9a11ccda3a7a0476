//! The role that mints badges: the only one that reads a key.

use std::sync::Arc;
use std::time::Duration;

use stxworx_clarity::codec::ContractId;
use stxworx_clarity::events::badges::BadgesEvent;
use stxworx_indexer::error_chain;
use stxworx_indexer::pipeline::Candidate;
use stxworx_indexer::retry::Backoff;
use stxworx_indexer::store::Pool;
use stxworx_indexer::store::read::{ReadError, Snapshot, market};
#[cfg(debug_assertions)]
use stxworx_reconciler::mint::crash;
use stxworx_reconciler::mint::daemon::{self, LogOutlet};
use stxworx_reconciler::mint::exec::{Minter, Ports};
use stxworx_reconciler::mint::node::NodeClient;
use stxworx_reconciler::mint::postgres::{PgMirror, PgStore};
use stxworx_reconciler::mint::signer::{AnySigner, Bounds, Key, LocalSigner};
use tokio_util::sync::CancellationToken;

use super::mint_parts::{self, MintPartsError};
use super::{Daemon, DaemonError};
use crate::config::Config;

/// Why nothing can be minted.
#[derive(Debug, thiserror::Error)]
pub enum MinterError {
    /// The key, or the nodes.
    #[error(transparent)]
    Parts(#[from] MintPartsError),
    /// The place at which it is to die.
    #[cfg(debug_assertions)]
    #[error(transparent)]
    Crash(#[from] crash::NoSuchPoint),
}

#[cfg(not(debug_assertions))]
type ThisMinter = daemon::PgMinter<AnySigner, NodeClient>;
#[cfg(debug_assertions)]
type ThisMinter = crash::MortalMinter<AnySigner, NodeClient>;

struct Starting {
    config: Config,
    pool: Pool,
    stop: CancellationToken,
}

impl Daemon {
    /// Mints from now on: with this key, or with the configured one.
    ///
    /// # Errors
    /// When there is no key, or no node to send to.
    pub fn start_minter(&mut self, config: &Config, key: Option<Key>) -> Result<(), DaemonError> {
        if key.is_none() && config.mint.key.is_none() {
            return Err(MinterError::from(MintPartsError::NoKey).into());
        }
        if config.mint.node_urls.is_empty() {
            return Err(MinterError::from(MintPartsError::NoNode).into());
        }
        let starting = Starting {
            config: config.clone(),
            pool: self.writer.clone(),
            stop: self.cancel.clone(),
        };
        let (metrics, stop) = (Arc::clone(&self.metrics), self.cancel.clone());
        self.tasks.spawn(async move {
            let (pool, pause) = (starting.pool.clone(), starting.config.mint.pause);
            match starting.minter(key).await {
                Ok(Some(minter)) => daemon::run(minter, pool, pause, metrics, stop).await,
                Ok(None) => {}
                Err(error) => return ("the minter", Err(error.into())),
            }
            ("the minter", Ok(()))
        });
        Ok(())
    }
}

/// The place at which this process is to die, by the environment.
#[cfg(debug_assertions)]
fn fuse() -> Result<crash::Fuse, crash::NoSuchPoint> {
    let named = std::env::var(crash::VARIABLE).ok();
    let point = named
        .filter(|text| !text.is_empty())
        .map(|t| t.parse::<crash::Point>());
    Ok(crash::Fuse::new(point.transpose()?))
}

/// Between two renewals of the lease a node may be asked about a dozen things, each of which may take its time. A lease
/// that is lost all the same costs a pass and nothing else.
const ANSWERS_IN_A_PASS: u32 = 10;

impl Starting {
    /// The minter, once the badges' contract is known; none when it is told to stop before.
    async fn minter(self, key: Option<Key>) -> Result<Option<ThisMinter>, MinterError> {
        let Some(badges) = self.badges().await else {
            return Ok(None);
        };
        let contract = badges.to_string();
        let policy = self.config.mint.policy(&contract);
        let bounds = mint_parts::bounds(&self.config, badges)?;
        let signer = match key {
            Some(key) => AnySigner::Local(LocalSigner::new(key, bounds)),
            None => match self.signer(bounds).await? {
                Some(signer) => signer,
                None => return Ok(None),
            },
        };
        let allowed = match &signer {
            AnySigner::Local(signer) => signer.allowed(),
            AnySigner::Remote(signer) => signer.allowed(),
        };
        let nodes = mint_parts::nodes(&self.config, allowed)?;
        let finality = self
            .config
            .mint
            .finality_burn_blocks
            .unwrap_or(self.config.finality_burn_blocks);
        let ports = Ports {
            store: PgStore::new(self.pool.clone(), finality, &policy),
            signer,
            nodes,
            mirror: PgMirror::new(self.pool.clone(), finality),
            outlet: LogOutlet,
        };
        #[cfg(debug_assertions)]
        let ports = crash::ports(ports, fuse()?);
        let holder = Candidate::new(self.config.lease_ttl).holder;
        let answers = self.config.node_timeout * ANSWERS_IN_A_PASS;
        let ttl = self.config.lease_ttl.max(answers);
        Ok(Some(Minter::new(ports, policy, &contract, &holder, ttl)))
    }

    /// The configured signer. One on another machine may be away for now.
    async fn signer(&self, bounds: Bounds) -> Result<Option<AnySigner>, MinterError> {
        let mut backoff = Backoff::between(Duration::from_millis(500), Duration::from_secs(30));
        while !self.stop.is_cancelled() {
            match mint_parts::signer(&self.config, bounds.clone()).await {
                Ok(signer) => return Ok(Some(signer)),
                Err(MintPartsError::Signer(error)) => {
                    let error = error_chain(&error).to_string();
                    tracing::warn!(
                        error,
                        "the signer does not answer as it should; nothing is minted until it does"
                    );
                }
                Err(error) => return Err(error.into()),
            }
            self.wait(&mut backoff).await;
        }
        Ok(None)
    }

    async fn wait(&self, backoff: &mut Backoff) {
        tokio::select! {
            () = tokio::time::sleep(backoff.next_delay()) => {}
            () = self.stop.cancelled() => {}
        }
    }

    /// The configured badges' contract, or the only one that the mirror has.
    async fn badges(&self) -> Option<ContractId> {
        let mut backoff = Backoff::between(Duration::from_millis(200), Duration::from_secs(10));
        let mut told = false;
        while !self.stop.is_cancelled() {
            let found = match &self.config.mint.badges {
                Some(name) => vec![name.clone()],
                None => deployed(&self.pool).await.unwrap_or_else(|error| {
                    let error = error_chain(&error).to_string();
                    tracing::debug!(error, "the mirror does not say which contract has badges");
                    Vec::new()
                }),
            };
            if let [name] = &found[..]
                && let Ok(contract) = name.parse()
            {
                return Some(contract);
            }
            if !told && found.len() > 1 {
                tracing::warn!(
                    "the mirror has several badges' contracts; name one with mint.badges"
                );
                told = true;
            }
            self.wait(&mut backoff).await;
        }
        None
    }
}

async fn deployed(pool: &Pool) -> Result<Vec<String>, ReadError> {
    let mut snapshot = Snapshot::open(pool).await?;
    let name = BadgesEvent::CONTRACT;
    market::deployments(snapshot.connection(), name, i32::MAX, 3).await
}
