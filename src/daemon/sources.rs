//! The sources that are asked: which there are, and what each is for.

use std::sync::Arc;

use stxworx_indexer::metrics::Metrics;
use stxworx_indexer::model::IndexBlockHash;
use stxworx_indexer::source::http::FetchError;
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
        source: FetchError,
    },
}

/// Any source that is asked. Each variant is one of [`Source`]'s.
#[derive(Debug)]
pub enum AnySource {}

impl AnySource {
    /// The source of this kind, as it is set up; none where it is not.
    ///
    /// # Errors
    /// When its settings cannot be used.
    pub fn set_up(_config: &Config, kind: Source) -> Result<Option<Self>, SourceError> {
        match kind {
            // The observer is posted to, and an archive is read by `backfill` alone.
            Source::Observer | Source::Archive | Source::Node | Source::Api => Ok(None),
        }
    }

    /// The same, where it must be there.
    ///
    /// # Errors
    /// When it is not set up, or cannot be.
    pub fn required(
        config: &Config,
        kind: Source,
        asked_by: &'static str,
    ) -> Result<Self, SourceError> {
        let source_name = kind.as_str();
        Self::set_up(config, kind)?.ok_or(SourceError::NotSetUp {
            asked_by,
            source_name,
        })
    }
}

impl Pull for AnySource {
    fn source(&self) -> Source {
        match *self {}
    }

    fn name(&self) -> &str {
        match *self {}
    }

    fn scope(&self) -> Option<[u8; 32]> {
        match *self {}
    }

    async fn tip(&self) -> Result<Tip, FetchError> {
        match *self {}
    }

    async fn range(&self, _: u32, _: u32) -> Result<Vec<Fetched>, FetchError> {
        match *self {}
    }

    async fn block(&self, _: &IndexBlockHash) -> Result<Fetched, FetchError> {
        match *self {}
    }

    async fn burn_blocks(&self, _: u32, _: u32) -> Result<Vec<Vec<u8>>, FetchError> {
        match *self {}
    }
}

/// What follows and repairs with the sources of the configuration.
#[derive(Debug)]
pub(super) struct Sync {
    pub follow: Option<AnySource>,
    pub repair: Vec<AnySource>,
}

impl Sync {
    /// Sets the sources up.
    pub(super) fn new(config: &Config) -> Result<Self, SourceError> {
        let follow = config.sources.follow;
        let follow = follow
            .map(|kind| AnySource::required(config, kind, "sources.follow"))
            .transpose()?;
        let mut repair = Vec::new();
        for kind in &config.sources.repair {
            repair.extend(AnySource::set_up(config, *kind)?);
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

/// The database as those who fill it see it.
pub(super) fn shelf(pool: sqlx::PgPool, wake: Arc<Notify>) -> PgShelf {
    PgShelf { pool, wake }
}
