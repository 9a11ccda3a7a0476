//! What a minter is made of, from the configuration: its key, and its nodes.

use std::path::PathBuf;

use stxworx_clarity::codec::{ContractId, NameError};
use stxworx_indexer::source::http::FetchError;
use stxworx_reconciler::mint::node::fees::FeePolicy;
use stxworx_reconciler::mint::node::{NodeClient, NodeOptions};
use stxworx_reconciler::mint::signer::{
    AnySigner, Bounds, Key, LocalSigner, RemoteError, RemoteOptions, RemoteSigner,
};
use stxworx_reconciler::mint::tx::Allowed;
use zeroize::Zeroizing;

use crate::config::Config;
use crate::config::mint::KeySource;
use crate::secrets::{SecretError, open_key};

/// Why a minter cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum MintPartsError {
    /// Nothing says where the key is.
    #[error("there is no key to mint with; set mint.key_file, mint.key_env or mint.signer_url")]
    NoKey,
    /// The key.
    #[error("the key that mints cannot be used")]
    Key(#[from] SecretError),
    /// The signer.
    #[error("the signer of mint.signer_url cannot be used")]
    Signer(#[from] RemoteError),
    /// Its secret.
    #[error(
        "mint.signer_url is set, and mint.signer_secret is not: the signer would not know who asks"
    )]
    NoSecret,
    /// A file of certificates.
    #[error("{setting} names {}, which cannot be read", path.display())]
    Certificates {
        /// Which setting.
        setting: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The treasury's name.
    #[error("{treasury} names no contract to which a noop can be sent")]
    Treasury {
        /// It.
        treasury: String,
        /// Why.
        source: NameError,
    },
    /// No nodes.
    #[error("there is no node to send to; set mint.node_urls or node.rpc_url")]
    NoNode,
    /// A node.
    #[error("a node of mint.node_urls cannot be used")]
    Node(#[from] FetchError),
}

/// What the key may sign for a badges' contract.
///
/// # Errors
/// When the treasury of the contract's address has no usable name.
pub fn bounds(config: &Config, badges: ContractId) -> Result<Bounds, MintPartsError> {
    let policy = config.mint.policy(&badges.to_string());
    let name = policy.treasury.split_once('.').map_or("", |(_, name)| name);
    let noop_to = badges
        .issuer
        .contract(name)
        .map_err(|source| MintPartsError::Treasury {
            treasury: policy.treasury.clone(),
            source,
        })?;
    Ok(Bounds {
        chain_id: config.network.id(),
        badges,
        noop_to,
        fee_cap: policy.fee_cap,
    })
}

/// Whoever has the key. Opening a file takes a third of a second and 128 MiB; a signer is asked whose key it has.
///
/// # Errors
/// When there is no key, or it cannot be used.
pub async fn signer(config: &Config, bounds: Bounds) -> Result<AnySigner, MintPartsError> {
    let access = &config.mint.access;
    match config.mint.key.clone().ok_or(MintPartsError::NoKey)? {
        KeySource::File(path) => {
            let words = access.passphrase_file.clone();
            let key = tokio::task::spawn_blocking(move || open_key(&path, words.as_deref())).await;
            let key = key.map_err(|e| SecretError::Terminal(std::io::Error::other(e)))??;
            Ok(AnySigner::Local(LocalSigner::new(key, bounds)))
        }
        KeySource::Env(name) => {
            let secret = std::env::var(&name).map(Zeroizing::new);
            let secret = secret.map_err(|_| SecretError::Variable { name })?;
            let key = Key::parse(&secret).map_err(SecretError::from)?;
            Ok(AnySigner::Local(LocalSigner::new(key, bounds)))
        }
        KeySource::Signer(url) => {
            let file = |setting, path: &Option<PathBuf>| {
                let read = |path: &PathBuf| {
                    std::fs::read(path).map_err(|source| MintPartsError::Certificates {
                        setting,
                        path: path.clone(),
                        source,
                    })
                };
                path.as_ref().map(read).transpose()
            };
            let options = RemoteOptions {
                url,
                secret: access
                    .signer_secret
                    .clone()
                    .ok_or(MintPartsError::NoSecret)?,
                authorities: file("mint.signer_ca_file", &access.signer_ca_file)?,
                identity: file("mint.signer_identity_file", &access.signer_identity_file)?
                    .map(Zeroizing::new),
                timeout: access.signer_timeout,
            };
            Ok(AnySigner::Remote(
                RemoteSigner::connect(options, bounds).await?,
            ))
        }
    }
}

/// The nodes that are asked and sent to, in the order of the configuration.
///
/// # Errors
/// When there is none, or one has no usable address.
pub fn nodes(config: &Config, allowed: &Allowed) -> Result<Vec<NodeClient>, MintPartsError> {
    if config.mint.node_urls.is_empty() {
        return Err(MintPartsError::NoNode);
    }
    let policy = config.mint.policy(&allowed.badges.to_string());
    let fees = FeePolicy {
        floor: policy.fee_floor,
        cap: policy.fee_cap,
    };
    let node = |url: &String| {
        Ok(NodeClient::new(NodeOptions {
            url: url.clone(),
            timeout: config.node_timeout,
            fees,
            allowed: allowed.clone(),
        })?)
    };
    config.mint.node_urls.iter().map(node).collect()
}
