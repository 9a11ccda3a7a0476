//! One follower: pages until he meets the feed, then the feed.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::mpsc::{Sender, error::TrySendError};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::Streams;
use super::bookmark::{Bookmark, MintPlace};
use super::feed::{Joined, Told};
use super::frame::{Cut, Part, Rendered};
use super::metrics::Transport;
use super::mints::{self, Heard, Message, News};
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
    Beat(Bookmark),
    /// The end.
    Cut(Cut, Bookmark),
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
    /// Where he is among the blocks.
    pub standing: Standing,
    /// Where he is among the messages about mints; none for who wants none.
    pub mints: Option<MintPlace>,
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
            let last = Out::Cut(reason, self.bookmark());
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

    /// Where he is.
    fn bookmark(&self) -> Bookmark {
        Bookmark {
            chain: self.standing.position,
            mints: self.mints,
        }
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
                Ok(Ok(ears)) => {
                    failures = 0;
                    backoff.reset();
                    if let Some(end) = self.live(ears, out).await {
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

    /// Reads pages until nothing lies between the follower and the feeds.
    async fn meet(&mut self, out: &Sender<Out>) -> Result<Result<Ears, End>, SourceError> {
        let mints = match self.mints {
            None => None,
            Some(at) => match self.meet_mints(at, out).await? {
                Ok(heard) => Some(heard.news),
                Err(end) => return Ok(Err(end)),
            },
        };
        if !self.wanted.filter.takes_blocks() {
            let blocks = None;
            return Ok(Ok(Ears { blocks, mints }));
        }
        let joined = self.meet_blocks(out).await?;
        Ok(joined.map(|joined| Ears {
            blocks: Some(joined.news),
            mints,
        }))
    }

    async fn meet_mints(
        &mut self,
        mut at: MintPlace,
        out: &Sender<Out>,
    ) -> Result<Result<Heard, End>, SourceError> {
        let streams = Arc::clone(&self.streams);
        loop {
            let heard = streams.mint_feed().await?;
            if at.seq >= heard.head.seq {
                return Ok(Ok(heard));
            }
            let messages = {
                let _paging = streams.paging.acquire().await;
                mints::behind(streams.pool(), at).await?
            };
            if messages.is_empty() {
                // What the feed has heard is not there any more.
                return Err(SourceError::Gone);
            }
            for message in messages {
                let before = self.mints.replace(message.place);
                at = message.place;
                let Some(frame) = self.letter(&message) else {
                    continue;
                };
                if let Err(end) = self.page(frame, out).await {
                    self.mints = before;
                    return Ok(Err(end));
                }
                streams.metrics.mints.inc();
            }
        }
    }

    async fn meet_blocks(&mut self, out: &Sender<Out>) -> Result<Result<Joined, End>, SourceError> {
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
                    if let Err(end) = self.page_part(&part, out).await {
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

    /// What he is told of a part; none when nothing of it passes his filter.
    fn frame(&self, part: &Part) -> Option<Arc<Rendered>> {
        let frame = part.render(&self.wanted.filter)?;
        Some(match self.mints {
            None => frame,
            // His place among the messages is nobody else's.
            Some(_) => Arc::new(frame.placed(&self.bookmark())),
        })
    }

    /// What he is told of a message; none when it does not pass his filter.
    fn letter(&self, message: &Message) -> Option<Arc<Rendered>> {
        let Wanted {
            filter,
            is_operator,
            ..
        } = &self.wanted;
        let passes = message.passes(filter, *is_operator);
        passes.then(|| Arc::new(message.render(&self.bookmark())))
    }

    async fn page_part(&mut self, part: &Part, out: &Sender<Out>) -> Result<(), End> {
        let before = self.standing.clone();
        if !self.standing.take(part) {
            tracing::error!(position = %part.position, "a page does not follow on the one before");
            return Err(End::Cut(Cut::PositionGone));
        }
        let Some(frame) = self.frame(part) else {
            return Ok(());
        };
        let done = self.page(frame, out).await;
        match &done {
            Ok(()) => self.streams.metrics.frames.inc(),
            // It was not told: who comes back gets it.
            Err(_) => self.standing = before,
        }
        done
    }

    /// Hands out what is old, as fast as the follower takes it.
    async fn page(&self, frame: Arc<Rendered>, out: &Sender<Out>) -> Result<(), End> {
        let patience = self.streams.settings.patience;
        match tokio::time::timeout(patience, out.send(Out::Frame(frame))).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(End::Left),
            Err(_) => Err(End::Cut(Cut::Slow)),
        }
    }

    /// Hands out what the feeds say. None when the follower has to read pages again.
    async fn live(&mut self, mut ears: Ears, out: &Sender<Out>) -> Option<End> {
        let every = self
            .streams
            .settings
            .heartbeat
            .max(Duration::from_millis(1));
        let mut beat = interval_at(Instant::now() + every, every);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let stop = self.streams.stop.clone();
        loop {
            let taken = tokio::select! {
                told = next(&mut ears.blocks) => match told {
                    Ok(Told::Part(part)) => self.live_part(&part, out),
                    Ok(Told::Gone) => Err(Some(End::Cut(Cut::PositionGone))),
                    Err(RecvError::Lagged(_) | RecvError::Closed) => Err(None),
                },
                told = next(&mut ears.mints) => match told {
                    Ok(News::Message(message)) => self.live_message(&message, out),
                    Ok(News::Gone) => Err(Some(End::Cut(Cut::PositionGone))),
                    Err(RecvError::Lagged(_) | RecvError::Closed) => Err(None),
                },
                _ = beat.tick() => offer(out, Out::Beat(self.bookmark())).map_err(Some),
                () = out.closed() => Err(Some(End::Left)),
                () = stop.cancelled() => Err(Some(End::Cut(Cut::Shutdown))),
            };
            if let Err(end) = taken {
                return end;
            }
        }
    }

    /// Hands out a part of the feed. An error of none when the follower has to read pages again.
    fn live_part(&mut self, part: &Part, out: &Sender<Out>) -> Result<(), Option<End>> {
        if part.position.rank() <= self.standing.position.rank() {
            return Ok(());
        }
        let before = self.standing.clone();
        // In a stream of depth, feed and pages may have gone different ways round a fork.
        if !self.standing.take(part) {
            return Err(None);
        }
        let Some(frame) = self.frame(part) else {
            return Ok(());
        };
        let done = offer(out, Out::Frame(frame));
        match &done {
            Ok(()) => self.streams.metrics.frames.inc(),
            Err(_) => self.standing = before,
        }
        done.map_err(Some)
    }

    fn live_message(&mut self, message: &Message, out: &Sender<Out>) -> Result<(), Option<End>> {
        if self.mints.is_none_or(|at| message.place.seq <= at.seq) {
            return Ok(());
        }
        let before = self.mints.replace(message.place);
        let Some(frame) = self.letter(message) else {
            return Ok(());
        };
        let done = offer(out, Out::Frame(frame));
        match &done {
            Ok(()) => self.streams.metrics.mints.inc(),
            Err(_) => self.mints = before,
        }
        done.map_err(Some)
    }
}

/// What a follower listens to.
struct Ears {
    blocks: Option<broadcast::Receiver<Told>>,
    mints: Option<broadcast::Receiver<News>>,
}

/// The next of what is listened to; never, where nothing is.
async fn next<T: Clone>(news: &mut Option<broadcast::Receiver<T>>) -> Result<T, RecvError> {
    match news {
        Some(news) => news.recv().await,
        None => std::future::pending().await,
    }
}

/// Nobody is waited for.
fn offer(out: &Sender<Out>, what: Out) -> Result<(), End> {
    out.try_send(what).map_err(|error| match error {
        TrySendError::Closed(_) => End::Left,
        TrySendError::Full(_) => End::Cut(Cut::Slow),
    })
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
