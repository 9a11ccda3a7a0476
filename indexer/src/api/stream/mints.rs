//! Messages about mints: a second outbox, because another process writes it. Its order is that of commits.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::sync::broadcast;
use utoipa::ToSchema;

use super::Streams;
use super::bookmark::{Bookmark, MintPlace};
use super::filter::Filter;
use super::frame::{Rendered, json};
use super::source::SourceError;
use crate::retry::Backoff;
use crate::store::Pool;
use crate::store::read::ReadError;
use crate::store::read::messages::{self, MessageRow};

/// Kinds of messages.
pub const KINDS: [&str; 14] = [
    "needs_approval",
    "queued",
    "submitting",
    "included",
    "minted",
    "failed",
    "needs_review",
    "held",
    "satisfied_elsewhere",
    "cancelled",
    "dead",
    "retracted",
    "paused",
    "resumed",
];
/// Those that only operators are told.
pub const PAUSES: [&str; 2] = ["paused", "resumed"];
/// What the server-sent event, the websocket's message and the letter are called.
pub const EVENT: &str = "mint";
/// Messages read at once.
const PAGE: i64 = 64;
/// How long a feed reads on for nobody.
const IDLE: Duration = Duration::from_secs(10);

/// A mint, as it stood when the message was written.
#[derive(Debug, Serialize, ToSchema)]
#[allow(dead_code, reason = "describes what the database wrote")]
struct ToldMint {
    /// Its number, as `/v1/mints` has it.
    id: i64,
    /// The badges' contract.
    contract: String,
    /// Who earned the badge.
    recipient: String,
    /// Number of the badge's kind, decimal.
    kind: String,
    /// From 1; a next award follows only a revocation that does not bar.
    award_seq: i32,
    /// Where it stands, as in `/v1/mints`.
    state: String,
    /// Where it stood before; null at its beginning. The same as `state` when only the reason changed, or somebody asked
    /// for it to be given up.
    from: Option<String>,
    /// Why, in a word.
    reason: Option<String>,
    /// The transaction in a canonical block, once there is one.
    txid: Option<String>,
    /// Index block hash of that block.
    index_block_hash: Option<String>,
    /// Its Stacks height.
    height: Option<i32>,
    /// Number of the badge, decimal, once that is final.
    badge: Option<String>,
}

/// A pause of mints, or its end.
#[derive(Debug, Serialize, ToSchema)]
#[allow(dead_code, reason = "describes what the database wrote")]
struct ToldPause {
    /// `global`, `contract` or `lane`.
    scope: String,
    /// The contract, or the address of the key; empty for everything.
    subject: String,
    /// Why, in a word, for instance `foreign_use`.
    reason: String,
}

/// A message about a mint. It tells what was committed, and comes at least once: whoever remembers `id` knows it again.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "describes what `Message::render` writes")]
pub struct MintMessage {
    /// The position behind it: where to go on from.
    position: String,
    /// Its name, the same for ever.
    id: String,
    /// `needs_approval`, `queued`, `submitting`, `included`, `minted`, `failed`, `needs_review`, `held`,
    /// `satisfied_elsewhere`, `cancelled`, `dead`: where the mint stands now. `retracted`: the chain left what had been
    /// final. `paused`, `resumed`: for operators.
    kind: String,
    /// When it was written, Unix milliseconds.
    at_ms: i64,
    /// The mint; null for a pause.
    mint: Option<ToldMint>,
    /// The pause; null for a mint.
    pause: Option<ToldPause>,
}

/// A message before anybody's filter.
#[derive(Debug)]
pub struct Message {
    /// The place behind it.
    pub place: MintPlace,
    kind: String,
    contract: Option<String>,
    recipient: Option<String>,
    pause: bool,
    tail: String,
}

fn place(row: &MessageRow) -> MintPlace {
    let mut tag = [0; 4];
    // The schema holds the form of a tag.
    if let Err(error) = hex::decode_to_slice(&row.tag, &mut tag) {
        tracing::error!(%error, seq = row.seq, "a message about a mint has no tag");
    }
    MintPlace {
        seq: u64::try_from(row.seq).unwrap_or_default(),
        tag,
    }
}

impl Message {
    fn new(row: MessageRow) -> Self {
        let place = place(&row);
        let (mint, pause) = if row.pause {
            ("null", row.body.as_str())
        } else {
            (row.body.as_str(), "null")
        };
        let tail = format!(
            "\"id\":\"{place}\",\"kind\":{},\"at_ms\":{},\"mint\":{mint},\"pause\":{pause}}}",
            json(&row.kind),
            row.at_ms
        );
        Self {
            place,
            kind: row.kind,
            contract: row.contract,
            recipient: row.recipient,
            pause: row.pause,
            tail,
        }
    }

    /// Is it for who has this filter?
    pub fn passes(&self, filter: &Filter, is_operator: bool) -> bool {
        (is_operator || !self.pause)
            && filter.takes_message(
                &self.kind,
                self.contract.as_deref(),
                self.recipient.as_deref(),
            )
    }

    /// The message, for who is at this place behind it.
    pub fn render(&self, at: &Bookmark) -> Rendered {
        Rendered::new(EVENT, at, &self.tail)
    }
}

/// The newest message's place.
///
/// # Errors
/// When the database cannot be read.
pub async fn newest(pool: &Pool) -> Result<MintPlace, ReadError> {
    let row = messages::newest(pool).await?;
    Ok(row.map_or(MintPlace::START, |row| place(&row)))
}

/// The message of a place.
///
/// # Errors
/// [`SourceError::Gone`] when it is none of this database.
pub async fn at(pool: &Pool, wanted: MintPlace) -> Result<Message, SourceError> {
    let seq = i64::try_from(wanted.seq).map_err(|_| SourceError::Gone)?;
    messages::one(pool, seq)
        .await?
        .filter(|row| place(row) == wanted)
        .map(Message::new)
        .ok_or(SourceError::Gone)
}

/// Is it a place of this database?
///
/// # Errors
/// [`SourceError::Gone`] when it is not.
pub async fn check(pool: &Pool, place: MintPlace) -> Result<(), SourceError> {
    if place == MintPlace::START {
        return Ok(());
    }
    at(pool, place).await.map(|_| ())
}

/// The next messages behind a place.
///
/// # Errors
/// [`SourceError::Gone`] when the place is none of this database.
pub async fn behind(pool: &Pool, from: MintPlace) -> Result<Vec<Message>, SourceError> {
    let seq = i64::try_from(from.seq).map_err(|_| SourceError::Gone)?;
    let mut rows = messages::from(pool, seq, PAGE).await?;
    if from != MintPlace::START {
        if !rows.first().is_some_and(|row| place(row) == from) {
            return Err(SourceError::Gone);
        }
        rows.remove(0);
    }
    Ok(rows.into_iter().map(Message::new).collect())
}

/// What the feed says.
#[derive(Clone)]
pub enum News {
    /// A message.
    Message(Arc<Message>),
    /// What was told before is not of this database any more.
    Gone,
}

/// A follower's end of the feed.
pub struct Heard {
    /// What comes from now on.
    pub news: broadcast::Receiver<News>,
    /// Where the feed was at that moment.
    pub head: MintPlace,
}

/// One reader of the messages for all who follow.
pub struct MintFeed {
    pool: Pool,
    head: Mutex<MintPlace>,
    news: broadcast::Sender<News>,
}

impl MintFeed {
    /// A feed that begins behind a message, and keeps so many for those who are late.
    pub(super) fn new(pool: Pool, head: MintPlace, queue: usize) -> Arc<Self> {
        Arc::new(Self {
            pool,
            head: Mutex::new(head),
            news: broadcast::Sender::new(queue.max(1)),
        })
    }

    pub(super) fn followers(&self) -> usize {
        self.news.receiver_count()
    }

    /// Joins; what is said afterwards is what comes behind the head.
    pub(super) fn join(&self) -> Heard {
        let head = self.head.lock().unwrap_or_else(PoisonError::into_inner);
        Heard {
            news: self.news.subscribe(),
            head: *head,
        }
    }

    fn say(&self, at: MintPlace, news: News) {
        let mut head = self.head.lock().unwrap_or_else(PoisonError::into_inner);
        *head = at;
        // Nobody may be there to hear it.
        let _ = self.news.send(news);
    }

    /// Reads on until nobody follows, or the streams end.
    pub(super) async fn run(self: Arc<Self>, streams: Arc<Streams>) {
        let mut notices = streams.notices();
        let mut backoff = Backoff::default();
        let mut followed = Instant::now();
        while !streams.stop.is_cancelled() {
            if self.followers() > 0 {
                followed = Instant::now();
            } else if followed.elapsed() > IDLE && streams.retire_mints(&self) {
                return;
            }
            notices.mark_unchanged();
            match self.read().await {
                Ok(true) => backoff.reset(),
                Ok(false) => {
                    backoff.reset();
                    streams.next_look(&mut notices).await;
                }
                Err(error) => {
                    let error = crate::error_chain(&error).to_string();
                    tracing::warn!(error, "messages about mints cannot be read; trying again");
                    tokio::select! {
                        () = tokio::time::sleep(backoff.next_delay()) => {}
                        () = streams.stop.cancelled() => {}
                    }
                }
            }
        }
    }

    /// Tells what is new. False when there is nothing.
    async fn read(&self) -> Result<bool, ReadError> {
        let at = *self.head.lock().unwrap_or_else(PoisonError::into_inner);
        match behind(&self.pool, at).await {
            Ok(news) => {
                let any = !news.is_empty();
                for message in news {
                    self.say(message.place, News::Message(Arc::new(message)));
                }
                Ok(any)
            }
            Err(SourceError::Gone) => {
                let newest = newest(&self.pool).await?;
                tracing::warn!(
                    "the messages about mints are not what they were; who follows them begins anew"
                );
                self.say(newest, News::Gone);
                Ok(true)
            }
            Err(SourceError::Read(error)) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::stream::position::Position;

    fn message(kind: &str) -> Message {
        let pause = PAUSES.contains(&kind);
        Message::new(MessageRow {
            seq: 7,
            tag: "0a1b2c3d".to_owned(),
            kind: kind.to_owned(),
            contract: Some("ST2.freelance-badges".to_owned()),
            recipient: (!pause).then(|| "ST3".to_owned()),
            pause,
            body: "{\"a\": 1}".to_owned(),
            at_ms: 5,
        })
    }

    fn filter(kinds: &[&str]) -> Filter {
        Filter {
            mint: kinds.iter().map(|&kind| kind.to_owned()).collect(),
            ..Filter::default()
        }
    }

    #[test]
    fn it_says_where_it_stands_and_what_it_is() {
        let message = message("minted");
        let at = Bookmark {
            chain: Position::START,
            mints: Some(message.place),
        };
        let rendered = message.render(&at);
        let json: serde_json::Value = serde_json::from_slice(&rendered.json).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "position": "0~m7-0a1b2c3d", "id": "m7-0a1b2c3d", "kind": "minted", "at_ms": 5,
                "mint": {"a": 1}, "pause": null
            })
        );
        let sse = String::from_utf8(rendered.sse.to_vec()).unwrap();
        assert!(sse.starts_with("id: 0~m7-0a1b2c3d\nevent: mint\ndata: {"));
    }

    #[test]
    fn it_goes_to_those_who_want_it() {
        let (minted, paused) = (message("minted"), message("paused"));
        assert!(
            !minted.passes(&Filter::default(), true),
            "nobody asked for it"
        );
        for kinds in [&["all"][..], &["held", "minted"]] {
            assert!(minted.passes(&filter(kinds), false), "{kinds:?}");
        }
        assert!(!minted.passes(&filter(&["held"]), true));
        assert!(paused.passes(&filter(&["all"]), true));
        assert!(
            !paused.passes(&filter(&["all"]), false),
            "it is for operators"
        );
        let of = |who: &str| Filter {
            principal: Some(who.to_owned()),
            ..filter(&["all"])
        };
        assert!(minted.passes(&of("ST3"), false) && !minted.passes(&of("ST4"), false));
        assert!(!paused.passes(&of("ST3"), true), "it names nobody");
        let at = |contract: &str| Filter {
            contract: vec![contract.to_owned()],
            ..filter(&["all"])
        };
        assert!(minted.passes(&at("ST2.freelance-badges"), false));
        assert!(!minted.passes(&at("ST2.freelance-logic"), false));
        let alone = Filter {
            include: Some(crate::api::stream::filter::Include::Mints),
            ..Filter::default()
        };
        assert!(
            minted.passes(&alone, false),
            "all of them, and nothing else"
        );
    }
}
