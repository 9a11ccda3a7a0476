//! Three streams in one order: the chain's projects, the platform's rows, and the rows as the last run saw them.

use std::collections::VecDeque;

use sha2::{Digest as _, Sha256};
use stxworx_indexer::store::read::Snapshot;
use stxworx_indexer::store::reconcile::image::{self, Image, NOWHERE, Scope, Spot};
use stxworx_indexer::store::reconcile::mirror::{self, Standing, StateRow};

use super::error::EngineError;
use super::judge::Chain;
use crate::platform::Row;
use crate::platform::postgres::{Filter, Platform, RowAt};

/// The one entity that is compared so far, as images name it.
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
}

fn chain_of(row: StateRow) -> Result<(u128, Chain), EngineError> {
    let what = || format!("the state of {}", row.entity);
    let state = serde_json::from_str(&row.state).map_err(EngineError::stored(&what()))?;
    let number = row
        .entity
        .rsplit_once('/')
        .and_then(|(_, n)| n.parse().ok());
    let number = number.ok_or_else(|| EngineError::Stored {
        what: what(),
        detail: "its name has no number".to_owned(),
    })?;
    let hash = Sha256::digest(row.state.as_bytes()).into();
    Ok((
        number,
        Chain {
            entity: row.entity,
            state,
            hash,
        },
    ))
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
                self.ready.push_back(chain_of(row)?);
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

/// The platform's rows: as they are, or as a run saw them.
pub(super) enum RowSource {
    Live(Platform),
    Stored { run: i64, scope: Option<Scope> },
}

/// The platform's rows, by place and key.
pub(super) struct RowStream {
    source: RowSource,
    after: Spot,
    ended: bool,
    ready: VecDeque<RowAt>,
}

impl RowStream {
    pub(super) fn stored(run: i64, scope: Option<Scope>) -> Self {
        Self::of(RowSource::Stored { run, scope })
    }

    pub(super) async fn live(
        mut platform: Platform,
        scope: Option<&Scope>,
    ) -> Result<Self, EngineError> {
        let filter = scope.map_or(Filter::All, |scope| Filter::Of(scope.clone()));
        platform.read(&filter).await?;
        Ok(Self::of(RowSource::Live(platform)))
    }

    fn of(source: RowSource) -> Self {
        Self {
            source,
            after: Spot::first(),
            ended: false,
            ready: VecDeque::new(),
        }
    }

    pub(super) async fn peek(
        &mut self,
        snapshot: &mut Snapshot,
    ) -> Result<Option<&RowAt>, EngineError> {
        if self.ready.is_empty() && !self.ended {
            let rows = match &mut self.source {
                RowSource::Live(platform) => platform.page().await?,
                RowSource::Stored { run, scope } => {
                    let connection = snapshot.connection();
                    let limit = i64::from(PAGE);
                    let images = image::at_run(
                        connection,
                        PROJECTS,
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

    pub(super) async fn close(self) {
        if let RowSource::Live(platform) = self.source {
            platform.close().await;
        }
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
    scope: Option<Scope>,
    after: Spot,
    ended: bool,
    ready: VecDeque<Image>,
}

impl ImageStream {
    pub(super) fn new(scope: Option<Scope>) -> Self {
        Self {
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
            let images = image::standing(connection, PROJECTS, scope, &self.after, limit).await?;
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

    /// What is left when the platform has no more rows.
    pub(super) async fn rest(
        &mut self,
        snapshot: &mut Snapshot,
    ) -> Result<Vec<Image>, EngineError> {
        self.peek(snapshot).await?;
        Ok(std::mem::take(&mut self.ready).into())
    }
}

/// What a row of the platform means for the rows of the last run.
pub(super) struct Meeting {
    /// They are not there any more, or are otherwise.
    pub gone: Vec<Image>,
    /// The row is as it was.
    pub same: bool,
}
