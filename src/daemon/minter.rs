//! The role that mints badges: the only one that reads a key.

use std::sync::Arc;
use std::time::Duration;

use stxworx_clarity::codec::ContractId;
use stxworx_clarity::events::badges::BadgesEvent;
use stxworx_indexer::error_chain;
use stxworx_indexer::pipeline::Candidate;
use stxworx_indexer::retry::Backoff;
use stxworx_indexer::source::http::FetchError;
use stxworx_indexer::store::Pool;
use stxworx_indexer::store::read::{ReadError, Snapshot, market};
use stxworx_reconciler::mint::daemon::{self, LogOutlet};
use stxworx_reconciler::mint::exec::{Minter, Ports};
use stxworx_reconciler::mint::node::fees::FeePolicy;
use stxworx_reconciler::mint::node::{NodeClient, NodeOptions};
use stxworx_reconciler::mint::postgres::{PgMirror, PgStore};
use stxworx_reconciler::mint::signer::{
    AnySigner, Bounds, Key, KeyError, LocalSigner, RemoteError, RemoteOptions, RemoteSigner,
    SharedSecret, SharedSecretError,
};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use super::{Daemon, DaemonError};
use crate::commands::mint_key::{SecretError, open_key, read_secret};
use crate::config::Config;
use crate::config::mint::{KeySource, MintConfig};

/// Why nothing can be minted.
#[derive(Debug, thiserror::Error)]
pub enum MinterError {
    /// No key is configured.
    #[error("there is no key: set mint.key_file, mint.key_env or mint.signer_url")]
    NoKey,
    /// No node is configured.
    #[error("there is no node to send to: set mint.node_urls or node.rpc_url")]
    NoNode,
    /// A file with a secret.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The environment has no key.
    #[error("the environment variable {name} of mint.key_env is not set, or is no text")]
    NoVariable {
        /// Which.
        name: String,
    },
    /// What should be a key is none.
    #[error("the environment variable {name} of mint.key_env holds no key")]
    Variable {
        /// Which.
        name: String,
        /// Why.
        source: KeyError,
    },
    /// The secret of a remote signer.
    #[error("mint.signer_secret_file cannot be used")]
    Shared(#[from] SharedSecretError),
    /// A node's address.
    #[error("{url} of mint.node_urls cannot be used")]
    Node {
        /// Which.
        url: String,
        /// Why.
        source: FetchError,
    },
}

/// The key, or who has it.
pub enum KeyHolder {
    /// It is here.
    Here(Key),
    /// A signer has it.
    Signer {
        /// Its URL.
        url: String,
        /// What both know; read anew for each attempt to connect.
        secret: Zeroizing<String>,
    },
}

/// Reads the configured key.
///
/// # Errors
/// When there is none, or it cannot be read.
pub fn key(config: &Config) -> Result<KeyHolder, MinterError> {
    match config.mint.key.as_ref().ok_or(MinterError::NoKey)? {
        KeySource::File {
            file,
            passphrase_file,
        } => Ok(KeyHolder::Here(open_key(file, Some(passphrase_file))?)),
        KeySource::Env(name) => {
            let text = std::env::var(name)
                .map(Zeroizing::new)
                .map_err(|_| MinterError::NoVariable { name: name.clone() })?;
            let key = Key::parse(text.trim()).map_err(|source| MinterError::Variable {
                name: name.clone(),
                source,
            })?;
            Ok(KeyHolder::Here(key))
        }
        KeySource::Signer { url, secret_file } => {
            let secret = read_secret(secret_file)?;
            SharedSecret::new(secret.to_string())?;
            Ok(KeyHolder::Signer {
                url: url.clone(),
                secret,
            })
        }
    }
}

struct Starting {
    config: Config,
    mint: MintConfig,
    pool: Pool,
    stop: CancellationToken,
}

impl Daemon {
    /// Mints from now on, with this key and these settings.
    ///
    /// # Errors
    /// When there is no node to send to.
    pub fn start_minter(
        &mut self,
        config: &Config,
        key: KeyHolder,
        mint: MintConfig,
    ) -> Result<(), DaemonError> {
        if mint.node_urls.is_empty() {
            return Err(MinterError::NoNode.into());
        }
        let starting = Starting {
            config: config.clone(),
            mint,
            pool: self.writer.clone(),
            stop: self.cancel.clone(),
        };
        let (metrics, stop) = (Arc::clone(&self.metrics), self.cancel.clone());
        self.tasks.spawn(async move {
            let (pool, pause) = (starting.pool.clone(), starting.mint.pause);
            let minter = match starting.minter(key).await {
                Ok(Some(minter)) => minter,
                Ok(None) => return ("the minter", Ok(())),
                Err(error) => return ("the minter", Err(error.into())),
            };
            daemon::run(minter, pool, pause, metrics, stop).await;
            ("the minter", Ok(()))
        });
        Ok(())
    }
}

impl Starting {
    /// The minter, once the badges' contract is known; none when it is told to stop before.
    async fn minter(
        self,
        key: KeyHolder,
    ) -> Result<Option<daemon::PgMinter<AnySigner, NodeClient>>, MinterError> {
        let Some(badges) = self.badges().await else {
            return Ok(None);
        };
        let policy = self.mint.policy(&badges.to_string());
        let bounds = Bounds {
            chain_id: self.config.network.id(),
            noop_to: ContractId {
                issuer: badges.issuer,
                name: treasury(&policy.treasury),
            },
            badges: badges.clone(),
            fee_cap: policy.fee_cap,
        };
        let Some(signer) = self.signer(key, bounds).await? else {
            return Ok(None);
        };
        let allowed = match &signer {
            AnySigner::Local(signer) => signer.allowed().clone(),
            AnySigner::Remote(signer) => signer.allowed().clone(),
        };
        let mut nodes = Vec::new();
        for url in &self.mint.node_urls {
            let options = NodeOptions {
                url: url.clone(),
                timeout: self.config.node_timeout,
                fees: FeePolicy {
                    floor: policy.fee_floor,
                    cap: policy.fee_cap,
                },
                allowed: allowed.clone(),
            };
            nodes.push(
                NodeClient::new(options).map_err(|source| MinterError::Node {
                    url: url.clone(),
                    source,
                })?,
            );
        }
        let finality = self
            .mint
            .finality_burn_blocks
            .unwrap_or(self.config.finality_burn_blocks);
        let ports = Ports {
            store: PgStore::new(self.pool.clone(), finality, policy.fee_cap),
            signer,
            nodes,
            mirror: PgMirror::new(self.pool.clone(), finality),
            outlet: LogOutlet,
        };
        let candidate = Candidate::new(self.config.lease_ttl);
        // Longer than a pass with nodes that do not answer, which renews it only once.
        let ttl = self.config.lease_ttl.max(SHORTEST_LEASE);
        Ok(Some(Minter::new(
            ports,
            policy,
            &badges.to_string(),
            &candidate.holder,
            ttl,
        )))
    }

    /// The configured badges' contract, or the only one that the mirror has.
    async fn badges(&self) -> Option<ContractId> {
        let mut backoff = Backoff::between(Duration::from_millis(200), Duration::from_secs(10));
        let mut told = false;
        while !self.stop.is_cancelled() {
            let found = match &self.mint.badges {
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
            tokio::select! {
                () = tokio::time::sleep(backoff.next_delay()) => {}
                () = self.stop.cancelled() => {}
            }
        }
        None
    }

    async fn signer(
        &self,
        key: KeyHolder,
        bounds: Bounds,
    ) -> Result<Option<AnySigner>, MinterError> {
        let (url, secret) = match key {
            KeyHolder::Here(key) => {
                return Ok(Some(AnySigner::Local(LocalSigner::new(key, bounds))));
            }
            KeyHolder::Signer { url, secret } => (url, secret),
        };
        let mut backoff = Backoff::between(Duration::from_millis(500), Duration::from_secs(30));
        while !self.stop.is_cancelled() {
            let options = RemoteOptions {
                url: url.clone(),
                secret: SharedSecret::new(secret.to_string())?,
                authorities: None,
                identity: None,
                timeout: self.config.node_timeout,
            };
            match RemoteSigner::connect(options, bounds.clone()).await {
                Ok(signer) => return Ok(Some(AnySigner::Remote(signer))),
                Err(error) => not_there(&error),
            }
            tokio::select! {
                () = tokio::time::sleep(backoff.next_delay()) => {}
                () = self.stop.cancelled() => {}
            }
        }
        Ok(None)
    }
}

/// A pass asks several nodes, each of which may take its time.
const SHORTEST_LEASE: Duration = Duration::from_secs(30);

fn not_there(error: &RemoteError) {
    let error = error_chain(error).to_string();
    tracing::warn!(
        error,
        "the signer does not answer; nothing is minted until it does"
    );
}

fn treasury(id: &str) -> stxworx_clarity::codec::ContractName {
    let name = id.split_once('.').map_or(id, |(_, name)| name);
    stxworx_clarity::codec::ContractName::new(name)
        .unwrap_or_else(|_| unreachable!("{id} is written in the code"))
}

async fn deployed(pool: &Pool) -> Result<Vec<String>, ReadError> {
    let mut snapshot = Snapshot::open(pool).await?;
    let name = BadgesEvent::CONTRACT;
    market::deployments(snapshot.connection(), name, i32::MAX, 3).await
}
