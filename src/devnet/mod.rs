//! A Stacks node of one's own: the simnet with a marketplace on it, seen from outside as a node is seen.
//!
//! It posts to event observers with a node's patience, order and retries, and answers a node's RPC. Whoever
//! follows it cannot tell it from a node by what it says, but for what it lacks: costs, stacking, peers, and
//! a Bitcoin chain that anybody else could look at.

pub mod api;
pub mod backend;
mod dials;
mod faults;
mod gate;
mod producer;
mod queue;
pub mod rpc;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stxworx_clarity::market::Marketplace;
use stxworx_clarity::simnet::{Simnet, SimnetConfig, SimnetError};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use faults::Faults;
use gate::Gate;

use crate::post::{ObserverUrl, Order, PostError, PostOptions, post};

pub use dials::{Dials, DialsError};
pub use faults::RpcFaults;
pub use producer::{Produced, Progress};

/// Why a devnet does not run.
#[derive(Debug, thiserror::Error)]
pub enum DevnetError {
    /// The chain.
    #[error("the chain cannot begin")]
    Chain(#[from] SimnetError),
    /// The port.
    #[error(
        "the devnet's RPC cannot listen on {address}; choose another address, or port 0 for any"
    )]
    Bind {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The journal of what came from outside.
    #[error(
        "the devnet's journal {} cannot be used; remove the folder with its mirror (`make clean-data`), which belong together",
        path.display()
    )]
    Journal {
        /// Which.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The RPC server broke off.
    #[error("the devnet's RPC broke off")]
    Serve(#[source] std::io::Error),
    /// Deliveries.
    #[error("the devnet cannot deliver to an observer")]
    Deliver(#[from] PostError),
    /// The thread that makes blocks.
    #[error("the thread that makes blocks cannot be started")]
    Thread(#[source] std::io::Error),
    /// The thread that makes blocks ended.
    #[error("the chain stopped: {0}")]
    Stopped(String),
}

/// The chain, for those who read it between two blocks.
#[derive(Clone)]
pub struct SharedChain(Arc<Mutex<Simnet>>);

impl SharedChain {
    /// A chain that others may read, for those who drive it by hand.
    pub fn new(chain: Simnet) -> Self {
        Self(Arc::new(Mutex::new(chain)))
    }

    /// Waits for the block under construction, if there is one.
    pub fn lock(&self) -> MutexGuard<'_, Simnet> {
        // A panic while a block is made leaves the blocks before it as they are.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running devnet.
pub struct Devnet {
    /// Where its RPC listens.
    pub rpc: SocketAddr,
    /// The chain itself.
    pub chain: SharedChain,
    /// How far it is.
    pub progress: Progress,
    tasks: JoinSet<Result<(), DevnetError>>,
    cancel: CancellationToken,
}

/// How long an observer may take for one payload, as a node's default allows for; it is sent again then.
const TIMEOUT: std::time::Duration = std::time::Duration::from_secs(20);

impl Devnet {
    /// Starts the chain, its RPC, and a delivery to each observer. `cancel` ends all of it; `producing` ends the
    /// making of blocks only: what was made is still delivered and can be read.
    ///
    /// # Errors
    /// When the port is taken or the chain does not begin.
    pub async fn start(
        dials: Dials,
        bind: SocketAddr,
        observers: Vec<ObserverUrl>,
        cancel: CancellationToken,
        producing: CancellationToken,
    ) -> Result<Self, DevnetError> {
        Self::start_with(dials, bind, observers, (cancel, producing), None).await
    }

    /// The same, with a journal of the transactions that come from outside: a devnet with the same dials and the same
    /// journal is the same chain.
    ///
    /// # Errors
    /// When the port is taken, the journal cannot be read, or the chain does not begin.
    pub async fn start_with(
        dials: Dials,
        bind: SocketAddr,
        observers: Vec<ObserverUrl>,
        (cancel, producing): (CancellationToken, CancellationToken),
        journal: Option<&Path>,
    ) -> Result<Self, DevnetError> {
        let gate = Arc::new(Gate::new(journal, dials.hurry_to)?);
        let listener = TcpListener::bind(bind)
            .await
            .map_err(|source| DevnetError::Bind {
                address: bind,
                source,
            })?;
        let rpc = listener.local_addr().map_err(|source| DevnetError::Bind {
            address: bind,
            source,
        })?;
        let mut market = Marketplace::new(dials.seed);
        if dials.minter_apart {
            market = market.with_the_minter_apart();
        }
        let config = SimnetConfig {
            seed: dials.seed,
            genesis: market.genesis(),
            ..SimnetConfig::default()
        };
        let chain = SharedChain::new(Simnet::new(config)?);
        let progress = Progress::default();
        let mut tasks = JoinSet::new();
        let mut queues = Vec::new();
        for observer in observers {
            let (sender, source) = queue::queue(dials.lost_percent, dials.seed);
            queues.push(sender);
            let options = PostOptions {
                observer,
                rate_per_second: None,
                order: Order {
                    shuffle_window: dials.late_by,
                    duplicate_percent: dials.doubled_percent,
                    seed: dials.seed,
                    ..Order::default()
                },
                timeout: TIMEOUT,
                keep_alive: false,
                give_up_after: None,
            };
            let stop = cancel.clone();
            tasks.spawn(async move {
                post(source, &options, &stop, &mut |_| {}).await?;
                stop.cancelled().await;
                Ok(())
            });
        }
        let ended = producer::start(producer::Producer {
            chain: chain.clone(),
            market,
            gate: Arc::clone(&gate),
            dials,
            queues,
            progress: progress.clone(),
            cancel: producing,
        })
        .map_err(DevnetError::Thread)?;
        tasks.spawn(async move {
            match ended.await {
                Ok(Ok(())) => Ok(()),
                Ok(Err(error)) => Err(DevnetError::Chain(error)),
                Err(_) => Err(DevnetError::Stopped(
                    "the thread that makes blocks panicked".to_owned(),
                )),
            }
        });
        let api = api::Api::new(chain.clone());
        let faults = Arc::new(Faults::new(dials.faults, dials.seed));
        let router = rpc::router(chain.clone())
            .layer(axum::Extension(rpc::Door { gate, faults }))
            .merge(api.clone().router());
        let stop = cancel.clone();
        tasks.spawn(async move {
            api.refresh(stop).await;
            Ok(())
        });
        let stop = cancel.clone();
        tasks.spawn(async move {
            axum::serve(listener, router)
                .with_graceful_shutdown(async move { stop.cancelled().await })
                .await
                .map_err(DevnetError::Serve)
        });
        Ok(Self {
            rpc,
            chain,
            progress,
            tasks,
            cancel,
        })
    }

    /// Runs until it is cancelled or a part fails.
    ///
    /// # Errors
    /// The failure of the first part that failed.
    pub async fn wait(&mut self) -> Result<(), DevnetError> {
        while let Some(ended) = self.tasks.join_next().await {
            match ended {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    self.cancel.cancel();
                    return Err(error);
                }
                Err(panic) => {
                    self.cancel.cancel();
                    return Err(DevnetError::Stopped(panic.to_string()));
                }
            }
        }
        Ok(())
    }
}
