//! Three streams in one order: the chain's projects, the platform's rows, and the rows as the last run saw them.

use std::collections::VecDeque;

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use stxworx_indexer::store::read::Snapshot;
use stxworx_indexer::store::read::market::ProjectState;
use stxworx_indexer::store::reconcile::image::{self, Image, NOWHERE, NewImage, Scope, Spot};
use stxworx_indexer::store::reconcile::mirror::{self, Standing, StateRow};

use super::error::EngineError;
use super::judge::Chain;
use crate::platform::Row;
use crate::platform::postgres::{Entity, Filter, Platform, RowAt};

/// Projects, as images name them.
pub(super) const PROJECTS: &str = "projects";
/// Projects, and images, of a page.
const PAGE: u32 = 1_000;

/// The chain's projects, by number.
pub(super) struct ChainStream {
    contract: String,
    at: Standing,
    /// Numbers still to be asked for; none for all.
    wanted: Option<VecDeque<u128>>,
    after: String,
    more: bool,
    ready: VecDeque<(u128, Chain)>,
    /// States whose names have no number.
    pub(super) nameless: u64,
}

/// None where its name has no number. A state that cannot be read is known in no part.
fn chain_of(row: StateRow) -> Option<(u128, Chain)> {
    let (_, number) = row.entity.rsplit_once('/')?;
    let number = number.parse().ok()?;
    let state = serde_json::from_str(&row.state);
    if let Err(error) = &state {
        tracing::warn!(entity = row.entity, %error, "a state of the mirror cannot be read, and is not compared");
    }
    let is_unreadable = state.is_err();
    let state = state.unwrap_or_else(|_| ProjectState {
        partial: true,
        ..ProjectState::default()
    });
    let chain = Chain {
        hash: Sha256::digest(row.state.as_bytes()).into(),
        entity: row.entity,
        state,
        is_unreadable,
    };
    Some((number, chain))
}

impl ChainStream {
    pub(super) fn new(contract: &str, at: Standing, scope: Option<&Scope>) -> Self {
        let wanted = scope.map(|scope| {
            let mut places = scope.places.clone();
            places.sort_unstable();
            places.dedup();
            places.into_iter().filter(|p| *p != NOWHERE).collect()
        });
        Self {
            contract: contract.to_owned(),
            at,
            wanted,
            after: String::new(),
            more: true,
            ready: VecDeque::new(),
            nameless: 0,
        }
    }

    /// The number of the next project.
    pub(super) async fn peek(
        &mut self,
        snapshot: &mut Snapshot,
    ) -> Result<Option<u128>, EngineError> {
        while self.ready.is_empty() && self.more {
            let rows = self.fetch(snapshot).await?;
            for row in rows {
                match chain_of(row) {
                    Some(one) => self.ready.push_back(one),
                    None => self.nameless += 1,
                }
            }
        }
        Ok(self.ready.front().map(|(number, _)| *number))
    }

    async fn fetch(&mut self, snapshot: &mut Snapshot) -> Result<Vec<StateRow>, EngineError> {
        let connection = snapshot.connection();
        if let Some(wanted) = &mut self.wanted {
            let some = wanted.len().min(PAGE as usize);
            let names: Vec<_> = wanted
                .drain(..some)
                .map(|number| format!("{}/{number}", self.contract))
                .collect();
            self.more = !wanted.is_empty();
            return Ok(mirror::projects_named(connection, &names, &self.at).await?);
        }
        let (rows, more) =
            mirror::projects(connection, &self.contract, &self.at, &self.after, PAGE).await?;
        self.more = more;
        if let Some(last) = rows.last() {
            self.after.clone_from(&last.entity);
        }
        Ok(rows)
    }

    pub(super) fn take(&mut self) -> Option<Chain> {
        self.ready.pop_front().map(|(_, chain)| chain)
    }
}

/// Where the platform's rows come from: as they are, or as a run saw them.
pub(super) enum RowSource<'a> {
    Live(&'a mut Platform),
    Stored(i64),
}

impl RowSource<'_> {
    /// The rows of an entity.
    pub(super) async fn rows(
        &mut self,
        entity: Entity,
        scope: Option<&Scope>,
    ) -> Result<RowStream<'_>, EngineError> {
        let source = match self {
            Self::Stored(run) => Reading::Stored(*run, scope.cloned()),
            Self::Live(platform) => {
                let filter = scope.map_or(Filter::All, |scope| Filter::Of(scope.clone()));
                platform.read(entity, &filter).await?;
                Reading::Live(platform)
            }
        };
        Ok(RowStream {
            entity: entity.name(),
            source,
            after: Spot::first(),
            ended: false,
            ready: VecDeque::new(),
        })
    }
}

enum Reading<'a> {
    Live(&'a mut Platform),
    Stored(i64, Option<Scope>),
}

/// The platform's rows, by place and key.
pub(super) struct RowStream<'a> {
    entity: &'static str,
    source: Reading<'a>,
    after: Spot,
    ended: bool,
    ready: VecDeque<RowAt>,
}

impl RowStream<'_> {
    pub(super) async fn peek(
        &mut self,
        snapshot: &mut Snapshot,
    ) -> Result<Option<&RowAt>, EngineError> {
        if self.ready.is_empty() && !self.ended {
            let rows = match &mut self.source {
                Reading::Live(platform) => platform.page().await?,
                Reading::Stored(run, scope) => {
                    let connection = snapshot.connection();
                    let limit = i64::from(PAGE);
                    let images = image::at_run(
                        connection,
                        self.entity,
                        *run,
                        scope.as_ref(),
                        &self.after,
                        limit,
                    )
                    .await?;
                    images.into_iter().map(row_of).collect::<Result<_, _>>()?
                }
            };
            self.ended = rows.is_empty();
            if let Some(last) = rows.last() {
                self.after = last.spot.clone();
            }
            self.ready = rows.into();
        }
        Ok(self.ready.front())
    }

    pub(super) fn take(&mut self) -> Option<RowAt> {
        self.ready.pop_front()
    }
}

fn row_of(image: Image) -> Result<RowAt, EngineError> {
    let what = format!("platform row {}", image.id);
    let cells = image.cells.unwrap_or_default();
    let row: Row = serde_json::from_value(cells).map_err(EngineError::stored(&what))?;
    Ok(RowAt {
        spot: image.spot,
        row,
    })
}

/// Rows as the last run saw them, without their cells.
pub(super) struct ImageStream {
    entity: &'static str,
    scope: Option<Scope>,
    after: Spot,
    ended: bool,
    ready: VecDeque<Image>,
}

impl ImageStream {
    pub(super) fn new(entity: &'static str, scope: Option<Scope>) -> Self {
        Self {
            entity,
            scope,
            after: Spot::first(),
            ended: false,
            ready: VecDeque::new(),
        }
    }

    async fn peek(&mut self, snapshot: &mut Snapshot) -> Result<Option<&Image>, EngineError> {
        if self.ready.is_empty() && !self.ended {
            let connection = snapshot.connection();
            let (scope, limit) = (self.scope.as_ref(), i64::from(PAGE));
            let images =
                image::standing(connection, self.entity, scope, &self.after, limit).await?;
            self.ended = images.is_empty();
            if let Some(last) = images.last() {
                self.after = last.spot.clone();
            }
            self.ready = images.into();
        }
        Ok(self.ready.front())
    }

    /// Rows of the last run that stand before this one, which therefore are not there any more, and whether this one is
    /// as it was.
    pub(super) async fn meet(
        &mut self,
        snapshot: &mut Snapshot,
        spot: &Spot,
        hash: &[u8; 32],
    ) -> Result<Meeting, EngineError> {
        let mut meeting = Meeting {
            gone: Vec::new(),
            same: false,
        };
        while let Some(image) = self.peek(snapshot).await? {
            if image.spot > *spot {
                break;
            }
            let (is_it, same) = (image.spot == *spot, image.hash == hash);
            let image = self.ready.pop_front();
            if is_it && same {
                meeting.same = true;
                break;
            }
            meeting.gone.extend(image);
            if is_it {
                break;
            }
        }
        Ok(meeting)
    }

    /// Compares a row with its image, and notes what changed.
    pub(super) async fn note(
        &mut self,
        snapshot: &mut Snapshot,
        at: &RowAt,
        marks: &mut Marks,
    ) -> Result<(), EngineError> {
        let hash = at.row.hash();
        let meeting = self.meet(snapshot, &at.spot, &hash).await?;
        marks.gone.extend(meeting.gone.iter().map(|image| image.id));
        if !meeting.same {
            let cells = serde_json::to_value(&at.row);
            marks.new.push(NewImage {
                place: at.spot.place.to_string(),
                key: at.spot.key.clone(),
                copy: at.spot.copy,
                hash: hex::encode(hash),
                // Text and nothing serialise.
                cells: cells.unwrap_or(Value::Null),
            });
        }
        Ok(())
    }

    /// What is left when the platform has no more rows.
    pub(super) async fn rest(
        &mut self,
        snapshot: &mut Snapshot,
    ) -> Result<Vec<Image>, EngineError> {
        self.peek(snapshot).await?;
        Ok(std::mem::take(&mut self.ready).into())
    }
}

/// What was met beside cases.
#[derive(Default)]
pub(super) struct Marks {
    /// Rows that cannot be compared: without a key, or too many for one subject.
    pub nameless: u64,
    /// See `nameless`.
    pub left_out: u64,
    /// Images that do not stand any more, and new ones.
    pub gone: Vec<i64>,
    pub new: Vec<NewImage>,
}

/// What a row of the platform means for the rows of the last run.
pub(super) struct Meeting {
    /// They are not there any more, or are otherwise.
    pub gone: Vec<Image>,
    /// The row is as it was.
    pub same: bool,
}
