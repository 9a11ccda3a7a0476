//! What is told of one line of the outbox.

use std::collections::HashMap;
use std::fmt::{Display, Write as _};
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::filter::Filter;
use super::position::Position;
use crate::api::routes::events::EventView;
use crate::api::state::RenderClarity;
use crate::store::read::event::EventRow;
use crate::store::read::outbox::{LineRow, TouchedRow};
use crate::store::read::{Hex, Uint, Ulong};

/// The block of a frame.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct FrameBlock {
    /// Its identity.
    pub index_block_hash: String,
    /// The block below it.
    pub parent: String,
    /// Its Stacks height.
    pub height: u32,
    /// Unix seconds; null before epoch 3.0.
    pub block_time: Option<u64>,
    /// Height of the Bitcoin block that elected its miner.
    pub burn_block_height: u32,
    /// Digest chain at the block.
    pub digest: String,
}

/// What made a state so.
#[derive(Debug, Serialize, ToSchema)]
pub struct FrameCause {
    /// The block with the last change.
    index_block_hash: String,
    /// Its height.
    height: u32,
    /// Transaction of the change, by its position in the block.
    tx_index: u32,
    /// Event of the change, by its position in the transaction.
    ordinal: u32,
}

impl FrameCause {
    fn new(block: &Hex, height: Uint, position: Ulong) -> Self {
        let [a, b, c, d, e, f, g, h] = position.0.to_be_bytes();
        Self {
            index_block_hash: block.to_string(),
            height: height.0,
            tx_index: u32::from_be_bytes([a, b, c, d]),
            ordinal: u32::from_be_bytes([e, f, g, h]),
        }
    }
}

/// How an entity stands behind the frame.
#[derive(Debug, Serialize, ToSchema)]
pub struct FrameState {
    /// Name of the projection, for instance `projects`.
    projection: String,
    /// The entity.
    entity: String,
    /// Its state behind the frame; null: it is not there any more. To take it over is all that a follower has to do.
    #[schema(value_type = Option<Object>)]
    state: Option<Box<RawValue>>,
    /// What made it so.
    changed: Option<FrameCause>,
}

/// A block that became canonical, or ceased to be. Applying frames in their order, each `states` over the ones
/// before, leads to what the mirror shows.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "describes what `Part::render` writes")]
pub struct Frame {
    /// The position behind this frame: where to go on from.
    position: String,
    /// `applied`: the block became canonical. `retracted`: it was the tip, and ceased to be.
    kind: String,
    /// Number of reorgs at that time.
    generation: u64,
    /// The block.
    block: FrameBlock,
    /// A large block comes in several frames; the number of this one, from 1.
    part: u32,
    /// Is this the last frame of the block?
    last: bool,
    /// Events of the block that pass the filter: they happened, or with `retracted` never did.
    events: Vec<EventView>,
    /// Entities that the block changed: how they stand now, after it was applied or taken back.
    states: Vec<FrameState>,
}

/// The first frame of a connection.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Hello {
    /// Where the stream begins.
    pub position: String,
    /// The block on which a follower stands there; null before the first block. For the state to begin with, ask
    /// with `at_block` for it.
    pub as_of: Option<FrameBlock>,
    /// `seen`, `burn_n` or `final`.
    pub min_finality: String,
    /// Seconds between signs of life.
    pub heartbeat_s: u64,
    /// Milliseconds to wait before connecting again.
    pub retry_ms: u64,
}

/// The last frame of a connection that the server ends.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CutFrame {
    /// `slow`: frames were taken too slowly. `shutdown`: the server ends. `position_gone`: what was told before does
    /// not hold any more; begin without a position. `unavailable`: the database was away for long.
    pub reason: Cut,
    /// Where to go on from.
    pub position: String,
}

/// Why the server ended a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Cut {
    /// Frames were taken too slowly.
    Slow,
    /// The server ends.
    Shutdown,
    /// What was told before does not hold any more.
    PositionGone,
    /// The database was away for long.
    Unavailable,
}

impl Cut {
    /// Every reason.
    pub const ALL: [Self; 4] = [
        Self::Slow,
        Self::Shutdown,
        Self::PositionGone,
        Self::Unavailable,
    ];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Slow => "slow",
            Self::Shutdown => "shutdown",
            Self::PositionGone => "position_gone",
            Self::Unavailable => "unavailable",
        }
    }
}

impl FrameBlock {
    /// The block of a line.
    pub fn of(line: &LineRow) -> Self {
        Self {
            index_block_hash: line.block.to_string(),
            parent: line.parent.to_string(),
            height: line.height.0,
            block_time: line.block_time.map(|time| time.0),
            burn_block_height: line.burn_block_height.0,
            digest: line.digest.to_string(),
        }
    }
}

/// The position behind all of a line.
pub fn behind(line: &LineRow) -> Position {
    let mut digest = [0; 8];
    for (to, from) in digest.iter_mut().zip(&line.digest.0) {
        *to = *from;
    }
    Position {
        line: line.id.0,
        part: 0,
        applied: line.applied,
        digest,
    }
}

struct EventItem {
    contract: Option<String>,
    topic: Option<String>,
    json: String,
}

struct StateItem {
    projection: String,
    entity: String,
    /// After the block, and before it.
    states: [Option<String>; 2],
    json: String,
}

/// What is told of a line, or of a part of a large one, before anybody's filter.
pub struct Part {
    /// The position behind it.
    pub position: Position,
    /// The block.
    pub block: Hex,
    /// The block below it.
    pub parent: Hex,
    /// Its number, from 1.
    pub number: u32,
    /// Milliseconds from the commit to when it was read, by the database's clock.
    pub age_ms: i64,
    head: String,
    events: Vec<EventItem>,
    states: Vec<StateItem>,
    rendered: Mutex<HashMap<Filter, Option<Arc<Rendered>>>>,
}

/// What is told, as one filter lets it through.
#[derive(Debug)]
pub struct Rendered {
    /// `applied`, `retracted` or `mint`.
    pub event: &'static str,
    /// JSON of a [`Frame`], or of a message about a mint.
    pub json: Bytes,
    /// The same as a server-sent event.
    pub sse: Bytes,
    /// Where in the JSON that begins what comes behind the position.
    tail: usize,
}

impl Rendered {
    /// What is told, for who is at this place behind it; the tail is JSON of an object without its beginning.
    pub fn new(event: &'static str, at: &impl Display, tail: &str) -> Self {
        let head = format!("{{\"position\":\"{at}\",");
        let json = format!("{head}{tail}");
        Self {
            event,
            sse: sse(Some(at), event, &json),
            json: json.into(),
            tail: head.len(),
        }
    }

    /// The same for who is at another place.
    pub fn placed(&self, at: &impl Display) -> Self {
        let tail = self.json.get(self.tail..).unwrap_or_default();
        Self::new(self.event, at, &String::from_utf8_lossy(tail))
    }
}

/// JSON of what always has one: keys are texts, numbers are whole.
pub fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_else(|error| {
        tracing::error!(%error, "a frame could not be written as JSON");
        "null".to_owned()
    })
}

impl Part {
    /// A part of a line; the rows are those of this part.
    pub fn new(
        line: &LineRow,
        (number, last): (u32, bool),
        events: Vec<EventRow>,
        states: Vec<TouchedRow>,
        render: RenderClarity,
    ) -> Self {
        let mut position = behind(line);
        if !last {
            position.part = number;
        }
        let kind = if line.applied { "applied" } else { "retracted" };
        let head = format!(
            "\"kind\":\"{kind}\",\"generation\":{},\"block\":{},\"part\":{number},\"last\":{last}",
            line.generation.0,
            json(&FrameBlock::of(line))
        );
        let events = events.into_iter().map(|row| EventItem {
            contract: row.contract.clone(),
            topic: row.topic.clone(),
            json: json(&EventView::told(row, render)),
        });
        Self {
            position,
            block: line.block.clone(),
            parent: line.parent.clone(),
            number,
            age_ms: line.age_ms,
            head,
            events: events.collect(),
            states: states.into_iter().map(|row| state(line, row)).collect(),
            rendered: Mutex::default(),
        }
    }

    /// Where a follower stands behind this part of the line.
    pub fn stands_on(&self) -> &Hex {
        if self.position.applied {
            &self.block
        } else {
            &self.parent
        }
    }

    /// Where a follower must stand before it.
    pub fn comes_after(&self) -> &Hex {
        match (self.position.applied, self.number) {
            (true, 1) => &self.parent,
            _ => &self.block,
        }
    }

    /// The frame for a filter; none when nothing passes it. Rendered once for all who have the same filter.
    pub fn render(&self, filter: &Filter) -> Option<Arc<Rendered>> {
        let mut rendered = self.rendered.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = rendered.get(filter) {
            return known.clone();
        }
        let made = self.make(filter).map(Arc::new);
        rendered.insert(filter.clone(), made.clone());
        made
    }

    fn make(&self, filter: &Filter) -> Option<Rendered> {
        let events: Vec<_> = self
            .events
            .iter()
            .filter(|e| filter.takes_event(e.contract.as_deref(), e.topic.as_deref(), &e.json))
            .map(|e| e.json.as_str())
            .collect();
        let states: Vec<_> = self
            .states
            .iter()
            .filter(|s| {
                let [after, before] = &s.states;
                filter.takes_state(
                    &s.projection,
                    &s.entity,
                    [after.as_deref(), before.as_deref()],
                )
            })
            .map(|s| s.json.as_str())
            .collect();
        if events.is_empty() && states.is_empty() && !filter.is_open() {
            return None;
        }
        let tail = format!(
            "{},\"events\":[{}],\"states\":[{}]}}",
            self.head,
            events.join(","),
            states.join(",")
        );
        let kind = if self.position.applied {
            "applied"
        } else {
            "retracted"
        };
        Some(Rendered::new(kind, &self.position, &tail))
    }
}

fn state(line: &LineRow, row: TouchedRow) -> StateItem {
    let (told, changed) = if line.applied {
        let cause = FrameCause::new(&line.block, line.height, row.position);
        (Some(row.after.clone()), Some(cause))
    } else {
        let cause = match (&row.before_block, row.before_height, row.before_position) {
            (Some(block), Some(height), Some(position)) => {
                Some(FrameCause::new(block, height, position))
            }
            _ => None,
        };
        (row.before.clone(), cause)
    };
    let view = FrameState {
        projection: row.name.clone(),
        entity: row.entity.clone(),
        // Postgres wrote it.
        state: told.and_then(|text| RawValue::from_string(text).ok()),
        changed,
    };
    StateItem {
        json: json(&view),
        projection: row.name,
        entity: row.entity,
        states: [Some(row.after), row.before],
    }
}

/// A server-sent event.
pub fn sse(position: Option<&impl Display>, event: &str, json: &str) -> Bytes {
    let mut text = String::with_capacity(json.len() + 96);
    if let Some(position) = position {
        let _ = writeln!(text, "id: {position}");
    }
    let _ = write!(text, "event: {event}\ndata: {json}\n\n");
    text.into()
}
