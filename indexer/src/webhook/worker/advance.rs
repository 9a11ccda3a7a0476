//! What a webhook is told next.

use super::{LOOK, Next, Place, WorkError, Worker};
use crate::api::stream::bookmark::{Bookmark, MintPlace};
use crate::api::stream::filter::Filter;
use crate::api::stream::frame::Part;
use crate::api::stream::mints::{self, Message};
use crate::api::stream::position::Position;
use crate::api::stream::source::{Source, SourceError, Standing};
use crate::store::webhook::delivery::{self, Key};

/// Lines read at once.
const PAGE: usize = 16;

fn of_mints(error: SourceError) -> WorkError {
    match error {
        SourceError::Gone => WorkError::MessagesGone,
        SourceError::Read(_) => error.into(),
    }
}

impl Worker {
    /// Goes on to what comes next and passes the filter, and notes it as a delivery.
    pub(super) async fn advance(&mut self) -> Result<Next, WorkError> {
        let (source, filter) = self.source()?;
        let mut at = match self.standing.take() {
            Some(at) => at,
            // As the database has it: whatever ended since moved it.
            None => match self.place(&source, &filter).await? {
                Some(at) => at,
                None => return Ok(Next::Over),
            },
        };
        // Messages are few.
        if let Some(next) = self.advance_mints(&mut at, &source, &filter).await? {
            return Ok(next);
        }
        let lines = if filter.takes_blocks() {
            source.behind(&at.chain, PAGE).await?
        } else {
            Vec::new()
        };
        if lines.is_empty() {
            self.standing = Some(at);
            return Ok(Next::Wait(LOOK));
        }
        let began = at.chain.position;
        for line in lines {
            let told = if line.id.0 == began.line {
                began.part
            } else {
                0
            };
            let mut parts = source.parts(line);
            while let Some(part) = parts.next().await.map_err(SourceError::from)? {
                if part.number <= told {
                    continue;
                }
                if !at.chain.take(&part) {
                    return Err(SourceError::Gone.into());
                }
                if let Some(frame) = part.render(&filter) {
                    let bookmark = at.bookmark();
                    self.standing = Some(at);
                    let body = frame.placed(&bookmark).json.to_vec();
                    return self.note("frame", self.key(&part), &bookmark, body).await;
                }
            }
        }
        self.pass(at).await
    }

    /// Goes on among the messages about mints. None when there is nothing new.
    async fn advance_mints(
        &mut self,
        at: &mut Place,
        source: &Source,
        filter: &Filter,
    ) -> Result<Option<Next>, WorkError> {
        let Some(from) = at.mints else {
            return Ok(None);
        };
        let messages = mints::behind(&source.pool, from).await.map_err(of_mints)?;
        if messages.is_empty() {
            return Ok(None);
        }
        for message in messages {
            at.mints = Some(message.place);
            // Webhooks are made by operators.
            if message.passes(filter, true) {
                let bookmark = at.bookmark();
                self.standing = Some(at.clone());
                let body = message.render(&bookmark).json.to_vec();
                let key = self.message_key(&message);
                return self
                    .note(mints::EVENT, key, &bookmark, body)
                    .await
                    .map(Some);
            }
        }
        self.pass(at.clone()).await.map(Some)
    }

    /// Moves the webhook behind what its filter left out.
    async fn pass(&mut self, at: Place) -> Result<Next, WorkError> {
        let position = at.bookmark().to_string();
        self.standing = Some(at);
        let (pool, epoch) = (&self.shared.pool, self.shared.epoch);
        let passed = delivery::pass(pool, epoch, self.row.id, &position).await?;
        Ok(if passed { Next::Again } else { Next::Over })
    }

    fn key(&self, part: &Part) -> Key {
        Key {
            webhook: self.row.id,
            line: i64::try_from(part.position.line).unwrap_or(i64::MAX),
            part: i32::try_from(part.number).unwrap_or(i32::MAX),
        }
    }

    fn message_key(&self, message: &Message) -> Key {
        Key {
            webhook: self.row.id,
            line: i64::try_from(message.place.seq).unwrap_or(i64::MAX),
            part: 0,
        }
    }

    async fn note(
        &mut self,
        kind: &str,
        key: Key,
        position: &Bookmark,
        body: Vec<u8>,
    ) -> Result<Next, WorkError> {
        let position = position.to_string();
        let (pool, epoch) = (&self.shared.pool, self.shared.epoch);
        if !delivery::begin(pool, epoch, key, kind, &position).await? {
            return Ok(Next::Over);
        }
        self.at_hand = Some((key, body));
        Ok(Next::Again)
    }

    /// Where the webhook is, as it is stored; none when the webhook is gone.
    async fn place(
        &mut self,
        source: &Source,
        filter: &Filter,
    ) -> Result<Option<Place>, WorkError> {
        let Some(stored) = self.stored_position().await? else {
            return Ok(None);
        };
        let mints = match stored.mints {
            _ if !filter.takes_mints() => None,
            Some(place) => Some(place),
            None if stored.chain == Position::START => Some(MintPlace::START),
            // Messages were not asked for when the position was stored.
            None => Some(
                mints::newest(&source.pool)
                    .await
                    .map_err(SourceError::from)?,
            ),
        };
        let chain = if filter.takes_blocks() {
            source.resume(stored.chain).await?.0
        } else {
            Standing::START
        };
        let at = Place { chain, mints };
        if at.mints != stored.mints {
            let (pool, epoch) = (&self.shared.pool, self.shared.epoch);
            let position = at.bookmark().to_string();
            if !delivery::pass(pool, epoch, self.row.id, &position).await? {
                return Ok(None);
            }
        }
        Ok(Some(at))
    }
}
