//! The outbox, told to many: over server-sent events, websockets, and by the webhooks.
//!
//! One task for each depth reads new lines and tells them to all who follow ([`feed`]); who is behind reads pages by
//! himself until he meets it ([`follow`]). Nobody is waited for: a follower's queue is bounded, and when it is full he
//! is cut with a reason and comes back with his position.

pub mod bookmark;
pub mod feed;
pub mod filter;
pub mod follow;
pub mod frame;
pub mod metrics;
pub mod mints;
pub mod position;
pub mod source;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_util::sync::CancellationToken;

use self::feed::Feed;
use self::metrics::StreamMetrics;
use self::mints::MintFeed;
use self::source::{Source, SourceError};
use crate::api::state::RenderClarity;
use crate::retry::Backoff;
use crate::store::Pool;
use crate::store::read::outbox::Listener;

/// How often the outbox is looked at without a notice.
const LOOK: Duration = Duration::from_millis(500);
/// Followers that read pages at the same time; the pool's connections are for others as well.
const PAGING: usize = 4;

/// Bounds of the streams.
#[derive(Debug, Clone)]
pub struct StreamSettings {
    /// Followers at once.
    pub clients: usize,
    /// Frames that wait for a follower before he is cut.
    pub queue: usize,
    /// Time between signs of life.
    pub heartbeat: Duration,
    /// How long a follower who reads what is old may take for one frame.
    pub patience: Duration,
}

impl Default for StreamSettings {
    fn default() -> Self {
        Self {
            clients: 1_000,
            queue: 256,
            heartbeat: Duration::from_secs(15),
            patience: Duration::from_secs(30),
        }
    }
}

/// The streams of a process.
pub struct Streams {
    /// Bounds.
    pub settings: StreamSettings,
    /// Figures.
    pub metrics: StreamMetrics,
    /// Depth of what is final.
    pub final_depth: u32,
    source: Source,
    feeds: Mutex<BTreeMap<u32, Arc<Feed>>>,
    mints: Mutex<Option<Arc<MintFeed>>>,
    clients: Arc<Semaphore>,
    paging: Semaphore,
    notices: watch::Sender<u64>,
    stop: CancellationToken,
}

impl Streams {
    /// Streams over a pool that reads. [`Streams::run`] hears notices for them; without it they look by themselves.
    pub fn new(
        pool: Pool,
        render: RenderClarity,
        final_depth: u32,
        settings: StreamSettings,
        metrics: StreamMetrics,
        stop: CancellationToken,
    ) -> Arc<Self> {
        Arc::new(Self {
            clients: Arc::new(Semaphore::new(settings.clients)),
            settings,
            metrics,
            final_depth,
            source: Source {
                pool,
                render,
                depth: 0,
            },
            feeds: Mutex::default(),
            mints: Mutex::default(),
            paging: Semaphore::new(PAGING),
            notices: watch::Sender::new(0),
            stop,
        })
    }

    /// Reads the outbox at a depth.
    pub fn source(&self, depth: u32) -> Source {
        Source {
            depth,
            ..self.source.clone()
        }
    }

    /// A place among the followers; none when all are taken.
    pub fn admit(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.clients).try_acquire_owned().ok()
    }

    /// Hears notices until stopped. A database without them (a standby) is looked at.
    pub async fn run(&self) {
        let mut backoff = Backoff::default();
        while !self.stop.is_cancelled() {
            let failed = tokio::select! {
                error = self.hear(&mut backoff) => error,
                () = self.stop.cancelled() => return,
            };
            let error = crate::error_chain(&failed).to_string();
            tracing::debug!(error, "no notices of the outbox; it is looked at instead");
            tokio::select! {
                () = tokio::time::sleep(backoff.next_delay()) => {}
                () = self.stop.cancelled() => {}
            }
        }
    }

    async fn hear(&self, backoff: &mut Backoff) -> crate::store::read::ReadError {
        let mut listener = match Listener::open(&self.source.pool).await {
            Ok(listener) => listener,
            Err(error) => return error,
        };
        loop {
            if let Err(error) = listener.heard().await {
                return error;
            }
            backoff.reset();
            self.notices
                .send_modify(|count| *count = count.wrapping_add(1));
        }
    }

    /// Waits for a notice, or for the time of the next look.
    pub async fn next_look(&self, notices: &mut watch::Receiver<u64>) {
        tokio::select! {
            _ = notices.changed() => {}
            () = tokio::time::sleep(LOOK) => {}
            () = self.stop.cancelled() => {}
        }
    }

    /// Notices from now on.
    pub fn notices(&self) -> watch::Receiver<u64> {
        self.notices.subscribe()
    }

    /// The feed of a depth; begins one at the newest line where there is none.
    async fn feed(self: &Arc<Self>, depth: u32) -> Result<feed::Joined, SourceError> {
        if let Some(joined) = self.joined(depth) {
            return Ok(joined);
        }
        let newest = self.source(depth).newest().await?;
        let mut feeds = self.feeds.lock().unwrap_or_else(PoisonError::into_inner);
        let feed = feeds.entry(depth).or_insert_with(|| {
            let feed = Feed::new(self.source(depth), newest, self.settings.queue);
            tokio::spawn(Arc::clone(&feed).run(Arc::clone(self)));
            feed
        });
        Ok(feed.join())
    }

    fn joined(&self, depth: u32) -> Option<feed::Joined> {
        let feeds = self.feeds.lock().unwrap_or_else(PoisonError::into_inner);
        feeds.get(&depth).map(|feed| feed.join())
    }

    /// Where messages about mints are read.
    pub fn pool(&self) -> &Pool {
        &self.source.pool
    }

    /// The feed of messages about mints; begins one at the newest where there is none.
    async fn mint_feed(self: &Arc<Self>) -> Result<mints::Heard, SourceError> {
        let joined = |feed: &Option<Arc<MintFeed>>| feed.as_ref().map(|feed| feed.join());
        let known = joined(&self.mints.lock().unwrap_or_else(PoisonError::into_inner));
        if let Some(heard) = known {
            return Ok(heard);
        }
        let newest = mints::newest(self.pool()).await?;
        let mut mints = self.mints.lock().unwrap_or_else(PoisonError::into_inner);
        let feed = mints.get_or_insert_with(|| {
            let feed = MintFeed::new(self.pool().clone(), newest, self.settings.queue);
            tokio::spawn(Arc::clone(&feed).run(Arc::clone(self)));
            feed
        });
        Ok(feed.join())
    }

    /// Forgets the feed of messages about mints when nobody follows it.
    fn retire_mints(&self, feed: &MintFeed) -> bool {
        let mut mints = self.mints.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = feed.followers() == 0;
        if idle {
            *mints = None;
        }
        idle
    }

    /// Forgets a feed that nobody follows.
    fn retire(&self, feed: &Arc<Feed>) -> bool {
        let mut feeds = self.feeds.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = feed.followers() == 0;
        if idle {
            feeds.remove(&feed.depth());
        }
        idle
    }
}
