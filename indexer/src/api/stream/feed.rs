//! One reader of the outbox for all who follow at the same depth.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::broadcast;

use super::Streams;
use super::frame::Part;
use super::source::{Source, SourceError, Standing};
use crate::retry::Backoff;

/// Lines read at once.
const LINES: usize = 64;
/// How long a feed reads on for nobody.
const IDLE: Duration = Duration::from_secs(10);

/// What a feed says.
#[derive(Clone)]
pub enum Told {
    /// A line, or a part of one.
    Part(Arc<Part>),
    /// What was told before does not hold any more.
    Gone,
}

/// A follower's end of a feed.
pub struct Joined {
    /// What comes from now on.
    pub news: broadcast::Receiver<Told>,
    /// Where the feed was at that moment.
    pub head: Standing,
}

/// A feed.
pub struct Feed {
    source: Source,
    head: Mutex<Standing>,
    news: broadcast::Sender<Told>,
}

impl Feed {
    /// A feed that begins behind a line, and keeps so many parts for those who are late.
    pub(super) fn new(source: Source, head: Standing, queue: usize) -> Arc<Self> {
        Arc::new(Self {
            source,
            head: Mutex::new(head),
            news: broadcast::Sender::new(queue.max(1)),
        })
    }

    pub(super) fn depth(&self) -> u32 {
        self.source.depth
    }

    pub(super) fn followers(&self) -> usize {
        self.news.receiver_count()
    }

    /// Joins; what is said afterwards is what comes behind the head.
    pub(super) fn join(&self) -> Joined {
        let head = self.head.lock().unwrap_or_else(PoisonError::into_inner);
        Joined {
            news: self.news.subscribe(),
            head: head.clone(),
        }
    }

    /// Says a part. What is read behind the head follows on it, or the outbox is not what it was.
    fn say(&self, part: Part) -> Result<(), SourceError> {
        let mut head = self.head.lock().unwrap_or_else(PoisonError::into_inner);
        if !head.take(&part) {
            return Err(SourceError::Gone);
        }
        // Nobody may be there to hear it.
        let _ = self.news.send(Told::Part(Arc::new(part)));
        Ok(())
    }

    fn begin_anew(&self, at: Standing) {
        let mut head = self.head.lock().unwrap_or_else(PoisonError::into_inner);
        *head = at;
        let _ = self.news.send(Told::Gone);
    }

    /// Reads on until nobody follows, or the streams end.
    pub(super) async fn run(self: Arc<Self>, streams: Arc<Streams>) {
        let mut notices = streams.notices();
        let mut backoff = Backoff::default();
        let mut followed = Instant::now();
        while !streams.stop.is_cancelled() {
            if self.followers() > 0 {
                followed = Instant::now();
            } else if followed.elapsed() > IDLE && streams.retire(&self) {
                return;
            }
            notices.mark_unchanged();
            match self.read(&streams).await {
                Ok(true) => backoff.reset(),
                Ok(false) => {
                    backoff.reset();
                    streams.next_look(&mut notices).await;
                }
                Err(SourceError::Gone) => match self.source.newest().await {
                    Ok(newest) => {
                        tracing::warn!("the outbox is not what it was; who follows it begins anew");
                        self.begin_anew(newest);
                    }
                    Err(error) => wait(&streams, &mut backoff, &error.into()).await,
                },
                Err(error) => wait(&streams, &mut backoff, &error).await,
            }
        }
    }

    /// Tells what is new. False when there is nothing.
    async fn read(&self, streams: &Streams) -> Result<bool, SourceError> {
        let at = self
            .head
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let lines = self.source.behind(&at, LINES).await?;
        let any = !lines.is_empty();
        for line in lines {
            let mut skip = if line.id.0 == at.position.line {
                at.position.part
            } else {
                0
            };
            let mut parts = self.source.parts(line);
            while let Some(part) = parts.next().await? {
                if skip > 0 {
                    skip -= 1;
                    continue;
                }
                streams.metrics.told(part.age_ms);
                self.say(part)?;
            }
        }
        Ok(any)
    }
}

async fn wait(streams: &Streams, backoff: &mut Backoff, error: &SourceError) {
    let error = crate::error_chain(error).to_string();
    tracing::warn!(error, "the outbox cannot be read; trying again");
    tokio::select! {
        () = tokio::time::sleep(backoff.next_delay()) => {}
        () = streams.stop.cancelled() => {}
    }
}
