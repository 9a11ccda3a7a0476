//! One follower: pages until he meets the feed, then the feed.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc::{Sender, error::TrySendError};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::Streams;
use super::feed::{Joined, Told};
use super::frame::{Cut, Part, Rendered};
use super::metrics::Transport;
use super::position::Position;
use super::source::{SourceError, Standing, Wanted};
use crate::retry::Backoff;

/// Lines read at once by a follower who is behind.
const PAGE: usize = 32;
/// Failures of the database in a row after which a follower is cut.
const FAILURES: u32 = 8;

/// What a follower's transport has to send.
#[derive(Debug, Clone)]
pub enum Out {
    /// A frame.
    Frame(Arc<Rendered>),
    /// A sign of life, and how far the follower is: frames that his filter left out count.
    Beat(Position),
    /// The end.
    Cut(Cut, Position),
}

/// Why following ended.
enum End {
    /// The follower is gone.
    Left,
    /// The server ends it.
    Cut(Cut),
}

/// A follower, from where he is.
pub struct Follower {
    /// The streams.
    pub streams: Arc<Streams>,
    /// What he wants.
    pub wanted: Wanted,
    /// Where he is.
    pub standing: Standing,
    /// How he is connected.
    pub transport: Transport,
    /// His place among the followers.
    pub place: OwnedSemaphorePermit,
}

impl Follower {
    /// Tells him what he wants until he leaves or is cut. His place is free again then, whether or not he has taken
    /// what was told.
    pub async fn run(mut self, out: Sender<Out>) {
        let streams = Arc::clone(&self.streams);
        let clients = streams
            .metrics
            .clients
            .with_label_values(&[self.transport.as_str()]);
        clients.inc();
        if let End::Cut(reason) = self.follow(&out).await {
            streams
                .metrics
                .cuts
                .with_label_values(&[reason.as_str()])
                .inc();
            let last = Out::Cut(reason, self.standing.position);
            // A full queue has no room for it, and what is not taken is not waited for long.
            drop(self.place);
            let patience = streams.settings.patience;
            if tokio::time::timeout(patience, out.send(last))
                .await
                .is_err()
            {
                tracing::debug!("a follower that was cut takes nothing any more");
            }
        }
        clients.dec();
    }

    async fn follow(&mut self, out: &Sender<Out>) -> End {
        let mut failures = 0;
        let mut backoff = Backoff::default();
        let stop = self.streams.stop.clone();
        loop {
            let met = tokio::select! {
                met = self.meet(out) => met,
                () = out.closed() => return End::Left,
                () = stop.cancelled() => return End::Cut(Cut::Shutdown),
            };
            match met {
                Ok(Ok(joined)) => {
                    failures = 0;
                    backoff.reset();
                    if let Some(end) = self.live(joined, out).await {
                        return end;
                    }
                }
                Ok(Err(end)) => return end,
                Err(SourceError::Gone) => return End::Cut(Cut::PositionGone),
                Err(SourceError::Read(error)) => {
                    failures += 1;
                    if failures >= FAILURES {
                        let error = crate::error_chain(&error).to_string();
                        tracing::warn!(
                            error,
                            "a follower is cut because the outbox cannot be read"
                        );
                        return End::Cut(Cut::Unavailable);
                    }
                    tokio::time::sleep(backoff.next_delay()).await;
                }
            }
        }
    }

    /// Reads pages until nothing lies between the follower and the feed.
    async fn meet(&mut self, out: &Sender<Out>) -> Result<Result<Joined, End>, SourceError> {
        let catching_up = Counted::new(&self.streams.metrics.catching_up);
        loop {
            let joined = self.streams.feed(self.wanted.depth).await?;
            if self.has_met(&joined.head) {
                return Ok(Ok(joined));
            }
            // Not kept while pages are read: the feed's memory is for those who are near.
            drop(joined);
            let source = self.streams.source(self.wanted.depth);
            let lines = {
                let _paging = self.streams.paging.acquire().await;
                source.behind(&self.standing, PAGE).await?
            };
            if lines.is_empty() {
                // The feed says what comes next, wherever it is: what does not follow leads back here.
                return Ok(Ok(self.streams.feed(self.wanted.depth).await?));
            }
            let at = self.standing.position;
            for line in lines {
                let mut skip = if line.id.0 == at.line { at.part } else { 0 };
                let mut parts = source.parts(line);
                loop {
                    let part = {
                        let _paging = self.streams.paging.acquire().await;
                        parts.next().await?
                    };
                    let Some(part) = part else { break };
                    if skip > 0 {
                        skip -= 1;
                        continue;
                    }
                    if let Err(end) = self.page(&part, out).await {
                        drop(catching_up);
                        return Ok(Err(end));
                    }
                }
            }
        }
    }

    /// In a stream of depth the feed may have gone round a fork that the follower went through: then their numbers
    /// say nothing.
    fn has_met(&self, head: &Standing) -> bool {
        match self.wanted.depth {
            0 => self.standing.position.rank() >= head.position.rank(),
            _ => self.standing.on == head.on,
        }
    }

    /// Hands out a part of a page, as fast as the follower takes it.
    async fn page(&mut self, part: &Part, out: &Sender<Out>) -> Result<(), End> {
        let before = self.standing.clone();
        if !self.standing.take(part) {
            tracing::error!(position = %part.position, "a page does not follow on the one before");
            return Err(End::Cut(Cut::PositionGone));
        }
        let Some(frame) = part.render(&self.wanted.filter) else {
            return Ok(());
        };
        let patience = self.streams.settings.patience;
        match tokio::time::timeout(patience, out.send(Out::Frame(frame))).await {
            Ok(Ok(())) => {
                self.streams.metrics.frames.inc();
                Ok(())
            }
            Ok(Err(_)) => Err(End::Left),
            Err(_) => {
                // It was not told: who comes back gets it.
                self.standing = before;
                Err(End::Cut(Cut::Slow))
            }
        }
    }

    /// Hands out what the feed says. None when the follower has to read pages again.
    async fn live(&mut self, mut joined: Joined, out: &Sender<Out>) -> Option<End> {
        let every = self
            .streams
            .settings
            .heartbeat
            .max(Duration::from_millis(1));
        let mut beat = interval_at(Instant::now() + every, every);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let stop = self.streams.stop.clone();
        loop {
            let told = tokio::select! {
                told = joined.news.recv() => told,
                _ = beat.tick() => {
                    match out.try_send(Out::Beat(self.standing.position)) {
                        Ok(()) => continue,
                        Err(TrySendError::Closed(_)) => return Some(End::Left),
                        Err(TrySendError::Full(_)) => return Some(End::Cut(Cut::Slow)),
                    }
                }
                () = out.closed() => return Some(End::Left),
                () = stop.cancelled() => return Some(End::Cut(Cut::Shutdown)),
            };
            let part = match told {
                Ok(Told::Part(part)) => part,
                Ok(Told::Gone) => return Some(End::Cut(Cut::PositionGone)),
                Err(RecvError::Lagged(_) | RecvError::Closed) => return None,
            };
            if part.position.rank() <= self.standing.position.rank() {
                continue;
            }
            let before = self.standing.clone();
            // In a stream of depth, feed and pages may have gone different ways round a fork.
            if !self.standing.take(&part) {
                return None;
            }
            let Some(frame) = part.render(&self.wanted.filter) else {
                continue;
            };
            match out.try_send(Out::Frame(frame)) {
                Ok(()) => self.streams.metrics.frames.inc(),
                Err(TrySendError::Closed(_)) => return Some(End::Left),
                Err(TrySendError::Full(_)) => {
                    self.standing = before;
                    return Some(End::Cut(Cut::Slow));
                }
            }
        }
    }
}

/// Counts while it lives.
struct Counted(prometheus::IntGauge);

impl Counted {
    fn new(gauge: &prometheus::IntGauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}
