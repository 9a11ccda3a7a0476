//! The sources that are asked: which there are, and what each is for.

use std::sync::Arc;

use stxworx_indexer::metrics::Metrics;
use stxworx_indexer::model::IndexBlockHash;
use stxworx_indexer::source::api::ApiSource;
use stxworx_indexer::source::api::socket::Socket;
use stxworx_indexer::source::http::FetchError;
use stxworx_indexer::source::node::NodeSource;
use stxworx_indexer::source::pull::{Fetched, Pull, Tip};
use stxworx_indexer::source::sync::run::{self, Turn};
use stxworx_indexer::source::sync::{PgShelf, Shelf};
use stxworx_indexer::store::inbox::Source;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::config::Config;

/// A source that cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// It is named and not set up.
    #[error(
        "{asked_by} names the source {source_name:?}, which is not set up in the configuration"
    )]
    NotSetUp {
        /// Which setting or option.
        asked_by: &'static str,
        /// The source.
        source_name: &'static str,
    },
    /// Its settings cannot be used.
    #[error("the source {source_name:?} cannot be set up")]
    Unusable {
        /// The source.
        source_name: &'static str,
        /// Why.
        source: Box<dyn std::error::Error + Send + std::marker::Sync>,
    },
}

/// Any source that is asked. Each variant is one of [`Source`]'s.
pub enum AnySource {
    /// A node's RPC.
    Node(Box<NodeSource>),
    /// A Stacks API.
    Api(Box<ApiSource>),
}

impl AnySource {
    /// The source of this kind, as it is set up; none where it is not.
    ///
    /// # Errors
    /// When its settings cannot be used.
    pub fn set_up(
        config: &Config,
        kind: Source,
        metrics: &Arc<Metrics>,
    ) -> Result<Option<Self>, SourceError> {
        let unusable =
            |source: Box<dyn std::error::Error + Send + std::marker::Sync>| SourceError::Unusable {
                source_name: kind.as_str(),
                source,
            };
        match kind {
            // The observer is posted to, and an archive is read by `backfill` alone.
            Source::Observer | Source::Archive => Ok(None),
            Source::Node => {
                let url = config.node_url.as_deref();
                let node = url.map(|url| NodeSource::new(&config.node_options(url)));
                let node = node.transpose().map_err(|e| unusable(Box::new(e)))?;
                Ok(node.map(|node| Self::Node(Box::new(node))))
            }
            Source::Api => {
                let api = config.api_source.as_ref();
                let api =
                    api.map(|api| ApiSource::new(api, config.follow.clone(), Arc::clone(metrics)));
                let api = api.transpose().map_err(|e| unusable(Box::new(e)))?;
                Ok(api.map(|api| Self::Api(Box::new(api))))
            }
        }
    }

    /// The same, where it must be there.
    ///
    /// # Errors
    /// When it is not set up, or cannot be.
    pub fn required(
        config: &Config,
        kind: Source,
        metrics: &Arc<Metrics>,
        asked_by: &'static str,
    ) -> Result<Self, SourceError> {
        let source_name = kind.as_str();
        Self::set_up(config, kind, metrics)?.ok_or(SourceError::NotSetUp {
            asked_by,
            source_name,
        })
    }
}

/// The same question to whichever source it is.
macro_rules! ask {
    ($self:ident, $source:ident => $question:expr) => {
        match $self {
            AnySource::Node($source) => $question,
            AnySource::Api($source) => $question,
        }
    };
}

impl Pull for AnySource {
    fn source(&self) -> Source {
        ask!(self, s => s.source())
    }

    fn name(&self) -> &str {
        ask!(self, s => s.name())
    }

    fn scope(&self) -> Option<[u8; 32]> {
        ask!(self, s => s.scope())
    }

    async fn tip(&self) -> Result<Tip, FetchError> {
        ask!(self, s => s.tip().await)
    }

    async fn range(&self, from: u32, to: u32) -> Result<Vec<Fetched>, FetchError> {
        ask!(self, s => s.range(from, to).await)
    }

    async fn block(&self, id: &IndexBlockHash) -> Result<Fetched, FetchError> {
        ask!(self, s => s.block(id).await)
    }

    async fn burn_blocks(&self, from: u32, to: u32) -> Result<Vec<Vec<u8>>, FetchError> {
        ask!(self, s => s.burn_blocks(from, to).await)
    }
}

/// What follows and repairs with the sources of the configuration.
pub(super) struct Sync {
    pub follow: Option<AnySource>,
    pub repair: Vec<AnySource>,
}

impl Sync {
    /// Sets the sources up.
    pub(super) fn new(config: &Config, metrics: &Arc<Metrics>) -> Result<Self, SourceError> {
        let follow = config.sources.follow;
        let follow = follow
            .map(|kind| AnySource::required(config, kind, metrics, "sources.follow"))
            .transpose()?;
        let mut repair = Vec::new();
        for kind in &config.sources.repair {
            repair.extend(AnySource::set_up(config, *kind, metrics)?);
        }
        Ok(Self { follow, repair })
    }
}

/// Starts following and repairing, each a task that works while this process leads. `hint` may be notified by a source
/// that is told of news.
pub fn start<P, S, T>(
    (follow, repair): (Option<P>, Vec<P>),
    shelf: &S,
    config: &Config,
    metrics: &Arc<Metrics>,
    hint: &Arc<Notify>,
    turn: &Turn,
    tasks: &mut JoinSet<(&'static str, Result<(), T>)>,
) where
    P: Pull + 'static,
    S: Shelf + Clone + 'static,
    T: Send + 'static,
{
    if let Some(source) = follow {
        let run = run::follow(
            source,
            shelf.clone(),
            config.sources.following,
            Arc::clone(metrics),
            Arc::clone(hint),
            turn.clone(),
        );
        tasks.spawn(async move {
            run.await;
            ("the follower", Ok(()))
        });
    }
    // Without sources as well: gaps are shown, and backfills that have arrived are ended.
    let run = run::repair(
        repair,
        shelf.clone(),
        config.sources.repairing,
        Arc::clone(metrics),
        turn.clone(),
    );
    tasks.spawn(async move {
        run.await;
        ("the repair", Ok(()))
    });
}

/// Lets a Stacks API's websocket, if one is set up, wake whoever follows the API.
pub(super) fn listen_for_hints<T: Send + 'static>(
    config: &Config,
    metrics: &Arc<Metrics>,
    hint: &Arc<Notify>,
    turn: &Turn,
    tasks: &mut JoinSet<(&'static str, Result<(), T>)>,
) -> Result<(), SourceError> {
    let url = config.api_source_websocket.as_deref();
    let Some(url) = url.filter(|_| config.sources.follow == Some(Source::Api)) else {
        return Ok(());
    };
    let key = config
        .api_source
        .as_ref()
        .and_then(|api| api.key.as_deref());
    let socket = Socket::new(url, key).map_err(|error| SourceError::Unusable {
        source_name: Source::Api.as_str(),
        source: Box::new(error),
    })?;
    let (hint, metrics, stop) = (Arc::clone(hint), Arc::clone(metrics), turn.stop.clone());
    tasks.spawn(async move {
        socket.listen(hint, metrics, stop).await;
        ("the websocket", Ok(()))
    });
    Ok(())
}

/// The database as those who fill it see it.
pub(super) fn shelf(pool: sqlx::PgPool, wake: Arc<Notify>) -> PgShelf {
    PgShelf { pool, wake }
}
