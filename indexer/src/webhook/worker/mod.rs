//! One webhook, from line to line.

mod advance;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio_util::sync::CancellationToken;

use super::Shared;
use super::send::{Attempt, Letter};
use super::sign;
use crate::api::stream::bookmark::{Bookmark, MintPlace};
use crate::api::stream::filter::Filter;
use crate::api::stream::mints;
use crate::api::stream::position::Position;
use crate::api::stream::source::{Source, SourceError, Standing, depth_of};
use crate::retry::Backoff;
use crate::store::StoreError;
use crate::store::webhook::delivery::{self, DeliveryRow, Ended, Key};
use crate::store::webhook::{self as store, WebhookRow};

/// Deliveries looked at together: the one in order, tests, and dead letters that are sent again.
const OPEN: i64 = 16;

/// Why a worker cannot go on for now.
#[derive(Debug, thiserror::Error)]
enum WorkError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error("the messages about mints up to the webhook's position are not those of this database")]
    MessagesGone,
    #[error("the webhook's row says {0:?}, which this version does not understand")]
    Unknown(String),
}

/// What is to be done next.
enum Next {
    /// Look again at once.
    Again,
    /// Nothing before this time or the next notice.
    Wait(Duration),
    /// The lease is lost, or the webhook is gone or stopped.
    Over,
}

/// Where a webhook is.
#[derive(Clone)]
struct Place {
    chain: Standing,
    mints: Option<MintPlace>,
}

impl Place {
    fn bookmark(&self) -> Bookmark {
        Bookmark {
            chain: self.chain.position,
            mints: self.mints,
        }
    }
}

/// The worker of one webhook.
pub(super) struct Worker {
    shared: Arc<Shared>,
    row: WebhookRow,
    standing: Option<Place>,
    /// What was rendered last, because it is sent next.
    at_hand: Option<(Key, Vec<u8>)>,
}

/// How long is waited without a notice.
const LOOK: Duration = Duration::from_secs(1);

impl Worker {
    pub(super) fn new(shared: Arc<Shared>, row: WebhookRow) -> Self {
        Self {
            shared,
            row,
            standing: None,
            at_hand: None,
        }
    }

    /// Works until stopped; a letter under way is waited for.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut notices = self.shared.streams.notices();
        let mut backoff = Backoff::default();
        while !stop.is_cancelled() {
            notices.mark_unchanged();
            let pause = match self.step().await {
                Ok(Next::Again) => {
                    backoff.reset();
                    continue;
                }
                Ok(Next::Wait(pause)) => {
                    backoff.reset();
                    pause
                }
                Ok(Next::Over) => return,
                Err(error) => {
                    let webhook = self.row.id;
                    let error = crate::error_chain(&error).to_string();
                    tracing::warn!(webhook, error, "a webhook waits");
                    self.standing = None;
                    backoff.next_delay()
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = notices.changed() => {}
                () = stop.cancelled() => {}
            }
        }
    }

    fn source(&self) -> Result<(Source, Filter), WorkError> {
        let name = &self.row.min_finality;
        let depth = depth_of(name, self.shared.streams.final_depth)
            .ok_or_else(|| WorkError::Unknown(name.clone()))?;
        let filter = serde_json::from_value(self.row.filter.clone())
            .map_err(|_| WorkError::Unknown(self.row.filter.to_string()))?;
        Ok((self.shared.streams.source(depth), filter))
    }

    async fn step(&mut self) -> Result<Next, WorkError> {
        let open = delivery::open(&self.shared.pool, self.row.id, OPEN).await?;
        let mut soonest = LOOK;
        let mut in_order = false;
        for one in open {
            in_order |= one.is_in_order();
            if one.due_in_ms > 0 {
                let due = u64::try_from(one.due_in_ms).unwrap_or(u64::MAX);
                soonest = soonest.min(Duration::from_millis(due));
                continue;
            }
            return self.deliver(&one).await;
        }
        if in_order {
            return Ok(Next::Wait(soonest));
        }
        match self.advance().await {
            Err(WorkError::Source(SourceError::Gone)) => self.reset(false).await,
            Err(WorkError::MessagesGone) => self.reset(true).await,
            Ok(Next::Wait(_)) => Ok(Next::Wait(soonest)),
            other => other,
        }
    }

    /// Where the webhook is, as it is stored; none when it is gone or not active.
    async fn stored_position(&mut self) -> Result<Option<Bookmark>, WorkError> {
        let mut tx = crate::store::begin(&self.shared.pool, "begin")
            .await
            .map_err(StoreError::db("read a webhook"))?;
        // One that was paused while its worker was made is left alone.
        let row = store::one(&mut tx, self.row.id).await?;
        let Some(row) = row.filter(|row| row.state == "active") else {
            return Ok(None);
        };
        self.row.resets = row.resets;
        // What cannot be read is no place of this mirror.
        row.position
            .parse()
            .map(Some)
            .map_err(|_| SourceError::Gone.into())
    }

    /// The mirror is not the one that was told of. Messages about mints are no part of it, unless they are gone as well.
    async fn reset(&mut self, messages_too: bool) -> Result<Next, WorkError> {
        let webhook = self.row.id;
        tracing::warn!(
            webhook,
            "the mirror was made anew; a webhook is told so, and begins anew"
        );
        self.standing = None;
        self.at_hand = None;
        let stored = match self.stored_position().await {
            Ok(Some(stored)) => Some(stored),
            Ok(None) => return Ok(Next::Over),
            Err(WorkError::Source(SourceError::Gone)) => None,
            Err(error) => return Err(error),
        };
        let kept = stored.and_then(|stored| stored.mints);
        let start = Bookmark {
            chain: Position::START,
            mints: kept.map(|place| {
                if messages_too {
                    MintPlace::START
                } else {
                    place
                }
            }),
        };
        let (pool, epoch) = (&self.shared.pool, self.shared.epoch);
        let position = start.to_string();
        let done = delivery::reset(pool, epoch, webhook, &position, messages_too).await?;
        if done {
            self.shared.metrics.resets.inc();
        }
        // The row's number of resets is read anew with its position.
        self.row.resets = self.row.resets.saturating_add(1);
        Ok(if done { Next::Again } else { Next::Over })
    }

    /// The id of what a delivery tells: the same for every attempt.
    fn event_id(&self, one: &DeliveryRow) -> String {
        event_id(self.row.id, self.row.resets, one)
    }

    /// The frame or message of a delivery; none when it is not there any more.
    async fn frame(&mut self, one: &DeliveryRow) -> Result<Option<Vec<u8>>, WorkError> {
        if let Some((key, body)) = &self.at_hand
            && *key == one.key()
        {
            return Ok(Some(body.clone()));
        }
        let (source, filter) = self.source()?;
        let Ok(bookmark) = one.position.parse::<Bookmark>() else {
            return Ok(None);
        };
        if one.kind == mints::EVENT {
            let Some(place) = bookmark.mints else {
                return Ok(None);
            };
            return match mints::at(&source.pool, place).await {
                Ok(message) => Ok(Some(message.render(&bookmark).json.to_vec())),
                Err(SourceError::Gone) => Ok(None),
                Err(error) => Err(error.into()),
            };
        }
        let line = match source.line(bookmark.chain).await {
            Ok(line) => line,
            Err(SourceError::Gone) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let mut parts = source.parts(line);
        while let Some(part) = parts.next().await.map_err(SourceError::from)? {
            if i32::try_from(part.number) == Ok(one.part) {
                // The filter may have been changed since: then the frame is what is left of it.
                let told = part.render(&filter).or_else(|| {
                    let open = Filter {
                        empty: true,
                        ..filter.clone()
                    };
                    part.render(&open)
                });
                return Ok(told.map(|frame| frame.placed(&bookmark).json.to_vec()));
            }
        }
        Ok(None)
    }

    async fn deliver(&mut self, one: &DeliveryRow) -> Result<Next, WorkError> {
        let (event, data) = match one.kind.as_str() {
            kind @ ("frame" | mints::EVENT) => match self.frame(one).await? {
                Some(frame) if kind == "frame" => ("frame", frame),
                Some(message) => (mints::EVENT, message),
                None if one.is_in_order() => return self.reset(kind == mints::EVENT).await,
                None => {
                    let error =
                        "what it tells is not there any more: the mirror was made anew".to_owned();
                    return self.set_aside(one, None, error).await;
                }
            },
            "reset" => ("reset", b"null".to_vec()),
            _ => ("test", b"null".to_vec()),
        };
        let event_id = self.event_id(one);
        let mut body = format!(
            "{{\"id\":\"{event_id}\",\"webhook\":{},\"event\":\"{event}\",\"data\":",
            self.row.id
        )
        .into_bytes();
        body.extend_from_slice(&data);
        body.push(b'}');
        let attempt = self.send(one, &event_id, body).await?;
        self.shared
            .metrics
            .attempts
            .with_label_values(&[attempt.outcome])
            .inc();
        self.conclude(one, attempt).await
    }

    async fn send(
        &self,
        one: &DeliveryRow,
        event_id: &str,
        body: Vec<u8>,
    ) -> Result<Attempt, WorkError> {
        let secrets = store::secrets(&self.shared.pool, self.row.id).await?;
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let signature = sign::header(&secrets, now.as_secs(), &body);
        let _slot = self.shared.slots.acquire().await;
        let letter = Letter {
            url: &self.row.url,
            event_id,
            attempt: one.attempts.saturating_add(1),
            signature: &signature,
            body,
        };
        Ok(self.shared.sender.send(letter).await)
    }

    async fn conclude(&mut self, one: &DeliveryRow, attempt: Attempt) -> Result<Next, WorkError> {
        let code = attempt.code.map(i32::from);
        let ended = match (attempt.error, code) {
            (None, Some(code)) => Ended::Delivered { code },
            (error, code) => {
                let error = error.unwrap_or_default();
                // A test is asked for again by whoever wants to know.
                let last =
                    one.attempts.saturating_add(1) >= self.row.max_attempts || one.kind == "test";
                if last {
                    return self.set_aside(one, code, error).await;
                }
                Ended::Failed {
                    code,
                    error,
                    again_in: self.pause(one.attempts),
                }
            }
        };
        self.end(one, &ended).await
    }

    async fn set_aside(
        &mut self,
        one: &DeliveryRow,
        code: Option<i32>,
        error: String,
    ) -> Result<Next, WorkError> {
        self.shared.metrics.dead.inc();
        // A receiver who does not know that all begins anew must not be told what follows.
        let pause = one.is_in_order() && (self.row.on_failure == "pause" || one.kind == "reset");
        let (webhook, line, part) = (one.webhook_id, one.line, one.part);
        tracing::warn!(webhook, line, part, pause, error, "a delivery was given up");
        let over = self.end(one, &Ended::Dead { code, error, pause }).await?;
        Ok(if pause { Next::Over } else { over })
    }

    async fn end(&mut self, one: &DeliveryRow, ended: &Ended) -> Result<Next, WorkError> {
        let noted = delivery::end(&self.shared.pool, self.shared.epoch, one, ended).await?;
        if !matches!(ended, Ended::Failed { .. }) {
            self.at_hand = None;
            let stands = self.standing.as_ref().map(|at| at.bookmark().to_string());
            if one.is_in_order() && stands.as_deref() != Some(one.position.as_str()) {
                self.standing = None;
            }
        }
        Ok(if noted { Next::Again } else { Next::Over })
    }

    /// The pause after so many failures: growing, and never quite the same.
    fn pause(&self, failures: i32) -> Duration {
        let settings = &self.shared.settings;
        let mut backoff = Backoff::between(settings.first_pause, settings.longest_pause);
        let mut pause = backoff.next_delay();
        for _ in 0..failures.min(30) {
            pause = backoff.next_delay();
        }
        pause
    }
}

/// The id of what a delivery tells: webhook, line and part; and how often all began anew, since what is told again
/// after that is news. Of a message about a mint, webhook and the message's own id.
pub fn event_id(webhook: i64, resets: i32, one: &DeliveryRow) -> String {
    let bookmark = one.position.parse::<Bookmark>().ok();
    match one.kind.as_str() {
        mints::EVENT => match bookmark.and_then(|bookmark| bookmark.mints) {
            Some(place) => format!("w{webhook}-{place}"),
            None => format!("w{webhook}-m{}", one.line),
        },
        "test" => format!("w{webhook}-test-{}", one.part),
        "reset" => format!("w{webhook}-reset-{}", one.part),
        _ => format!("w{webhook}.{resets}-{}.{}", one.line, one.part),
    }
}
