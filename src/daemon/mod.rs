//! The life of the process: which roles run, how they start, and how they end together.
//!
//! Every role is a task of one group. The first that ends, for whatever reason, ends the group: the
//! observer stops taking deliveries, the pipeline finishes its commit, the API closes, the database is
//! released, and the process reports the failure with a non-zero code.

mod database;
mod desk;
mod ledger;
mod listen;
mod live;
pub mod mint_parts;
pub mod minter;
pub mod reconciler;
mod serve;
mod watch;
pub mod signer;
pub mod sources;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;
use stxworx_indexer::api::access::AccessRules;
use stxworx_indexer::api::stream::Streams;
use stxworx_indexer::api::{self, ApiState, WebhookRules};
use stxworx_indexer::audit::{self, NodeError, NodeReader};
use stxworx_indexer::metrics::Metrics;
use stxworx_indexer::pipeline::{self, Candidate, PipelineConfig, PipelineError};
use stxworx_indexer::source::node::NodeSource;
use stxworx_indexer::source::observer::Observer;
use stxworx_indexer::source::sync::run::Turn;
use stxworx_indexer::store::{self, Access, StoreError, migrate};
use stxworx_indexer::webhook::{NoClient, Webhooks};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::config::{Config, TokenSetupError};
pub use database::{Database, DatabaseError};
pub use listen::ListenError;
pub use live::ProcessLive;
pub use serve::{ServeLimits, ServeMetrics};
pub use sources::SourceError;

/// A part of the daemon that can run in a process of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Role {
    /// Receives payloads and writes the mirror.
    Indexer,
    /// Serves reads.
    Api,
    /// Sends webhooks.
    Webhooks,
    /// Compares the platform with the chain, where platform.url is set.
    Reconciler,
    /// Mints badges. Reads the key: give it a process of its own.
    Minter,
}

/// Why the daemon ended.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// No database.
    #[error("the database is not usable")]
    Database(#[from] DatabaseError),
    /// The schema or a pool.
    #[error("the mirror's schema is not usable")]
    Store(#[from] StoreError),
    /// A port.
    #[error("a service cannot listen")]
    Listen(#[from] ListenError),
    /// The node's address.
    #[error("node.rpc_url cannot be used")]
    Node(#[from] NodeError),
    /// A key of tokens.
    #[error("tokens cannot be checked")]
    Tokens(#[from] TokenSetupError),
    /// A source that is asked.
    #[error("a source cannot be used")]
    Source(#[from] SourceError),
    /// The sender of webhooks.
    #[error("webhooks cannot be sent")]
    Webhooks(#[from] NoClient),
    /// The writer.
    #[error("the indexer stopped")]
    Pipeline(#[from] PipelineError),
    /// A role that ended without being asked.
    #[error("{role} ended unexpectedly{}", detail.as_ref().map(|d| format!(": {d}")).unwrap_or_default())]
    Ended {
        /// Which.
        role: &'static str,
        /// How, if it panicked.
        detail: Option<String>,
    },
    /// Nothing to compare with.
    #[error("the role reconciler alone has nothing to do: set platform.url")]
    NoPlatform,
    /// The key, or the nodes.
    #[error("badges cannot be minted")]
    Minter(#[from] minter::MinterError),
    /// Metrics could not be set up.
    #[error("the metrics cannot be registered")]
    Metrics(#[from] prometheus::Error),
}

/// The addresses in use.
#[derive(Debug, Clone, Copy, Default)]
pub struct Addresses {
    /// Where a node posts to.
    pub observer: Option<SocketAddr>,
    /// Where the API is.
    pub api: Option<SocketAddr>,
    /// Where metrics are.
    pub metrics: Option<SocketAddr>,
}

/// A running daemon.
pub struct Daemon {
    /// Where it listens.
    pub addresses: Addresses,
    /// Its metrics.
    pub metrics: Arc<Metrics>,
    /// A read-only pool, for those who look from inside.
    pub reader: PgPool,
    writer: PgPool,
    watched: Vec<(&'static str, PgPool)>,
    leading: Option<tokio::sync::watch::Receiver<Option<i64>>>,
    tasks: JoinSet<(&'static str, Result<(), DaemonError>)>,
    cancel: CancellationToken,
}

/// How long roles may take to end once asked.
const GRACE: Duration = Duration::from_secs(10);
/// Connections for the API's administrative routes. They are opened when they are needed.
const ADMIN_CONNECTIONS: u32 = 3;
/// How long a connection to the database is waited for before a line is logged again.
const DATABASE_NOTICE: Duration = Duration::from_secs(2);

impl Daemon {
    /// Starts the roles. Waits for a database that is away, and brings its schema to this version.
    ///
    /// # Errors
    /// When a port is taken, or the database was written by a later version or for another mirror.
    pub async fn start(
        config: &Config,
        roles: &BTreeSet<Role>,
        url: &str,
        cancel: CancellationToken,
    ) -> Result<Self, DaemonError> {
        let metrics = Arc::new(Metrics::new()?);
        // Ports first: a taken one should be known before anything is waited for.
        let mut listeners = listen::Listeners::default();
        if roles.contains(&Role::Indexer) {
            listeners.observer = Some(listen::bind("observer", config.observer_listen).await?);
        }
        if roles.contains(&Role::Api) {
            listeners.api = Some(listen::bind("api", config.api_listen).await?);
        }
        listeners.metrics = Some(listen::bind("metrics", config.metrics_listen).await?);
        let addresses = listeners.addresses();

        let writer = store::pool(url, Access::Write, config.database_connections)?;
        let reader = store::pool(url, Access::Read, config.database_connections)?;
        wait_and_migrate(&writer, roles, &cancel).await?;

        let mut daemon = Self {
            addresses,
            metrics,
            watched: vec![("writer", writer.clone()), ("reader", reader.clone())],
            reader,
            writer: writer.clone(),
            leading: None,
            tasks: JoinSet::new(),
            cancel,
        };
        daemon.start_indexer(config, writer, listeners.observer)?;
        if let Some(url) = config
            .node_url
            .as_deref()
            .filter(|_| roles.contains(&Role::Indexer))
        {
            daemon.start_audit(config, url)?;
        }
        let talks = listeners.api.is_some() || roles.contains(&Role::Webhooks);
        let streams = talks.then(|| daemon.start_streams(config));
        if let Some(streams) = streams.as_ref().filter(|_| roles.contains(&Role::Webhooks)) {
            daemon.start_webhooks(config, Arc::clone(streams));
        }
        if roles.contains(&Role::Reconciler) {
            daemon.start_reconciler(config, roles)?;
        }
        if roles.contains(&Role::Minter) {
            daemon.start_minter(config, None)?;
        }
        daemon.start_api(config, url, listeners.api, streams)?;
        daemon.start_watch(config, url)?;
        daemon.start_metrics(listeners.metrics);
        Ok(daemon)
    }

    fn start_indexer(
        &mut self,
        config: &Config,
        pool: PgPool,
        listener: Option<tokio::net::TcpListener>,
    ) -> Result<(), DaemonError> {
        let Some(listener) = listener else {
            return Ok(());
        };
        let sync = sources::Sync::new(config, &self.metrics)?;
        let wake = Arc::new(Notify::new());
        let observer = Observer {
            pool: pool.clone(),
            body_limit: config.observer_body_limit,
            metrics: Arc::clone(&self.metrics),
            wake: Arc::clone(&wake),
        };
        let stop = self.cancel.clone();
        self.tasks.spawn(async move {
            (
                "the observer",
                listen::serve(listener, observer.router(), stop)
                    .await
                    .map_err(Into::into),
            )
        });
        let pipeline_config = PipelineConfig {
            network: config.network.as_str().to_owned(),
            follow: config.follow.clone(),
            finality_burn_blocks: config.finality_burn_blocks,
        };
        let candidate = Candidate::new(config.lease_ttl);
        let turn = Turn {
            leading: candidate.leading.subscribe(),
            stop: self.cancel.clone(),
        };
        self.start_ledger(config, pool.clone(), &candidate.leading);
        let shelf = sources::shelf(pool.clone(), Arc::clone(&wake));
        let hint = Arc::new(Notify::new());
        sources::listen_for_hints(config, &self.metrics, &hint, &turn, &mut self.tasks)?;
        sources::start(
            (sync.follow, sync.repair),
            &shelf,
            config,
            &self.metrics,
            &hint,
            &turn,
            &mut self.tasks,
        );
        let (metrics, stop) = (Arc::clone(&self.metrics), self.cancel.clone());
        self.tasks.spawn(async move {
            let result =
                pipeline::run_as(candidate, pool, pipeline_config, metrics, wake, stop).await;
            ("the pipeline", result.map_err(Into::into))
        });
        Ok(())
    }

    /// Compares contracts and books with a node from now on.
    ///
    /// # Errors
    /// When the URL is none.
    pub fn start_audit(&mut self, config: &Config, url: &str) -> Result<(), DaemonError> {
        let node = NodeReader::new(url, config.node_timeout)?;
        // Without a token a node replays nothing.
        let options = config.node_options(url);
        let source = match &options.auth_token {
            Some(_) => Some(NodeSource::new(&options).map_err(NodeError::from)?),
            None => None,
        };
        let (pool, pause) = (self.writer.clone(), config.audit_pause);
        let (metrics, stop) = (Arc::clone(&self.metrics), self.cancel.clone());
        self.tasks.spawn(async move {
            audit::run(pool, node, source, pause, metrics, stop).await;
            ("the audit", Ok(()))
        });
        self.start_prover(config, url)
    }

    fn start_api(
        &mut self,
        config: &Config,
        url: &str,
        listener: Option<tokio::net::TcpListener>,
        streams: Option<Arc<Streams>>,
    ) -> Result<(), DaemonError> {
        let live = Arc::new(ProcessLive::new(Arc::clone(&self.metrics)));
        let (pool, watch, stop) = (self.reader.clone(), Arc::clone(&live), self.cancel.clone());
        self.tasks.spawn(async move {
            watch.watch(pool, stop).await;
            ("the watch", Ok(()))
        });
        let Some(listener) = listener else {
            return Ok(());
        };
        let mut state = api_state(config, self.reader.clone(), live);
        if let Some(streams) = streams {
            state.streams = streams;
        }
        state.webhooks = WebhookRules {
            allow_private: config.webhooks.allow_private,
            grace: config.webhook_grace,
        };
        let rules = AccessRules {
            tokens: config.api.tokens.verifier()?,
            ..config.api.rules.clone()
        };
        let refused = self.metrics.api_refused.clone();
        state.access = Arc::new(api::access::Access::new(rules, Some(refused)));
        state.cors = config.api.cors.clone();
        state.metrics = Some(self.metrics.api.clone());
        if config.api.administrative {
            let admin = store::pool(url, Access::Admin, ADMIN_CONNECTIONS)?;
            self.watched.push(("admin", admin.clone()));
            state.admin = Some(admin);
            state.desk = Some(Arc::new(desk::Desk));
        }
        let metrics = ServeMetrics {
            open: self.metrics.api_connections.clone(),
            ended: self.metrics.api_connections_ended.clone(),
        };
        let (limits, stop) = (config.api.serve, self.cancel.clone());
        self.tasks.spawn(async move {
            serve::serve(listener, api::router(state), limits, metrics, stop).await;
            ("the api", Ok(()))
        });
        Ok(())
    }

    fn start_streams(&mut self, config: &Config) -> Arc<Streams> {
        let streams = Streams::new(
            self.reader.clone(),
            render_clarity,
            config.finality_burn_blocks,
            config.stream.clone(),
            self.metrics.streams.clone(),
            self.cancel.clone(),
        );
        let running = Arc::clone(&streams);
        self.tasks.spawn(async move {
            running.run().await;
            ("the streams", Ok(()))
        });
        streams
    }

    fn start_webhooks(&mut self, config: &Config, streams: Arc<Streams>) {
        let webhooks = Webhooks {
            pool: self.writer.clone(),
            streams,
            settings: config.webhooks.clone(),
            metrics: self.metrics.webhooks.clone(),
            // The name that this process has in the other lease, too.
            holder: Candidate::new(config.lease_ttl).holder,
        };
        let stop = self.cancel.clone();
        self.tasks.spawn(async move {
            let ended = webhooks.run(stop).await;
            ("the webhooks", ended.map_err(Into::into))
        });
    }

    fn start_metrics(&mut self, listener: Option<tokio::net::TcpListener>) {
        let Some(listener) = listener else { return };
        let (router, stop) = (
            listen::metrics_router(Arc::clone(&self.metrics)),
            self.cancel.clone(),
        );
        self.tasks.spawn(async move {
            (
                "the metrics",
                listen::serve(listener, router, stop)
                    .await
                    .map_err(Into::into),
            )
        });
    }

    /// Waits until some role ends or the daemon is cancelled, then ends all of them in order.
    ///
    /// # Errors
    /// The failure of the first role that failed.
    pub async fn wait(mut self) -> Result<(), DaemonError> {
        let mut outcome = Ok(());
        tokio::select! {
            () = self.cancel.cancelled() => {}
            Some(ended) = self.tasks.join_next() => {
                if !self.cancel.is_cancelled() {
                    outcome = failure(ended);
                }
            }
        }
        self.cancel.cancel();
        let rest = async {
            while let Some(ended) = self.tasks.join_next().await {
                // A role that ends without a word may have waited for the one that failed.
                if matches!(
                    outcome,
                    Ok(()) | Err(DaemonError::Ended { detail: None, .. })
                ) && let Ok((_, Err(error))) = ended
                {
                    outcome = Err(error);
                }
            }
        };
        if tokio::time::timeout(GRACE, rest).await.is_err() {
            tracing::warn!(
                seconds = GRACE.as_secs(),
                "some roles did not end in time and are cut off"
            );
            self.tasks.abort_all();
        }
        self.reader.close().await;
        outcome
    }
}

fn failure(
    ended: Result<(&'static str, Result<(), DaemonError>), tokio::task::JoinError>,
) -> Result<(), DaemonError> {
    match ended {
        Ok((_, Err(error))) => Err(error),
        Ok((role, Ok(()))) => Err(DaemonError::Ended { role, detail: None }),
        Err(join) => Err(DaemonError::Ended {
            role: "a role",
            detail: Some(join.to_string()),
        }),
    }
}

/// What the API is given.
pub fn api_state(config: &Config, pool: PgPool, live: Arc<ProcessLive>) -> ApiState {
    let mut state = ApiState::new(
        pool,
        config.network.as_str().to_owned(),
        render_clarity,
        config.finality_burn_blocks,
        live,
    );
    state.statement_page = Some(stxworx_reconciler::ledger::html::page);
    state
}

fn render_clarity(bytes: &[u8]) -> Option<Box<serde_json::value::RawValue>> {
    let value = stxworx_clarity::codec::ValueRef::decode_exact(bytes).ok()?;
    serde_json::value::to_raw_value(&value).ok()
}

/// Waits for the database, then migrates if this process may write.
async fn wait_and_migrate(
    pool: &PgPool,
    roles: &BTreeSet<Role>,
    cancel: &CancellationToken,
) -> Result<(), StoreError> {
    let mut backoff = stxworx_indexer::retry::Backoff::default();
    let mut told: Option<std::time::Instant> = None;
    loop {
        let result = if roles.contains(&Role::Indexer) {
            migrate::migrate(pool).await
        } else {
            store::ping(pool).await
        };
        match result {
            Err(error) if error.is_transient() && !cancel.is_cancelled() => {
                if told.is_none_or(|t| t.elapsed() > DATABASE_NOTICE) {
                    let error = stxworx_indexer::error_chain(&error).to_string();
                    tracing::warn!(error, "the database is away; waiting for it");
                    told = Some(std::time::Instant::now());
                }
                tokio::select! {
                    () = tokio::time::sleep(backoff.next_delay()) => {}
                    () = cancel.cancelled() => {}
                }
            }
            other => return other,
        }
    }
}
