//! From streams to cases: which rows belong to which project, and which rows changed since the last run.

use stxworx_indexer::store::read::Snapshot;
use stxworx_indexer::store::reconcile::image::NOWHERE;

use super::error::EngineError;
use super::judge::Case;
use super::stream::{ChainStream, ImageStream, Marks, RowStream};
use crate::platform::postgres::RowAt;
use crate::platform::{Cell, PlatformProject};

/// Cases of a page, and rows read for them.
const CASES: usize = 300;
const ROWS: usize = 2_000;
/// Rows that may point to one project. More are counted, and not compared.
const ROWS_OF_ONE: usize = 100;

/// All streams of a run.
pub(super) struct Walk<'a> {
    pub snapshot: &'a mut Snapshot,
    pub chain: ChainStream,
    pub rows: RowStream<'a>,
    /// Where rows are compared with those of the last run.
    pub images: Option<ImageStream>,
    surplus: Option<u128>,
    ended: bool,
}

/// Some cases, and what else was met on the way.
#[derive(Default)]
pub(super) struct Page {
    pub cases: Vec<Case>,
    pub marks: Marks,
    rows: usize,
}

/// A row as it is read. Whether its number is one, the order of the rows says.
pub(super) fn project_of(at: RowAt) -> Option<PlatformProject> {
    let place = at.spot.place;
    let mut project = PlatformProject::read(at.row)?;
    if place == NOWHERE && project.on_chain_id.value().is_some() {
        project.on_chain_id = Cell::Bad {
            text: project
                .row
                .text("on_chain_id")
                .unwrap_or_default()
                .to_owned(),
            why: "it is not written as a plain number".to_owned(),
        };
    }
    Some(project)
}

impl<'a> Walk<'a> {
    pub(super) fn new(
        snapshot: &'a mut Snapshot,
        chain: ChainStream,
        rows: RowStream<'a>,
        images: Option<ImageStream>,
    ) -> Self {
        Self {
            snapshot,
            chain,
            rows,
            images,
            surplus: None,
            ended: false,
        }
    }

    /// The next cases; none when both sides have ended.
    pub(super) async fn page(&mut self) -> Result<Option<Page>, EngineError> {
        if self.ended {
            return Ok(None);
        }
        let mut page = Page::default();
        while page.cases.len() < CASES && page.rows < ROWS {
            let number = self.chain.peek(self.snapshot).await?;
            let place = self.place().await?;
            let next = match (number, place) {
                (Some(number), Some(place)) => number.min(place),
                (Some(one), None) | (None, Some(one)) => one,
                (None, None) => {
                    self.finish(&mut page).await?;
                    return Ok(Some(page));
                }
            };
            if number != Some(next) {
                self.lone_row(next, &mut page).await?;
                continue;
            }
            let mut case = Case {
                chain: self.chain.take(),
                ..Case::default()
            };
            // Rows without a key count for nothing, and are many, perhaps.
            let most = ROWS + ROWS_OF_ONE;
            while case.rows.len() < ROWS_OF_ONE
                && page.rows < most
                && self.place().await? == Some(next)
            {
                case.rows.extend(self.row(&mut page).await?);
            }
            if self.place().await? == Some(next) {
                case.cut = true;
                self.surplus = Some(next);
            }
            page.cases.push(case);
        }
        Ok(Some(page))
    }

    async fn place(&mut self) -> Result<Option<u128>, EngineError> {
        let row = self.rows.peek(self.snapshot).await?;
        Ok(row.map(|row| row.spot.place))
    }

    async fn lone_row(&mut self, place: u128, page: &mut Page) -> Result<(), EngineError> {
        let Some(row) = self.row(page).await? else {
            return Ok(());
        };
        if self.surplus == Some(place) {
            page.marks.left_out += 1;
            return Ok(());
        }
        page.cases.push(Case {
            rows: vec![row],
            ..Case::default()
        });
        Ok(())
    }

    /// Takes a row, and compares it with its image.
    async fn row(&mut self, page: &mut Page) -> Result<Option<PlatformProject>, EngineError> {
        let Some(at) = self.rows.take() else {
            return Ok(None);
        };
        page.rows += 1;
        if let Some(images) = &mut self.images {
            images.note(self.snapshot, &at, &mut page.marks).await?;
        }
        let project = project_of(at);
        if project.is_none() {
            page.marks.nameless += 1;
        }
        Ok(project)
    }

    async fn finish(&mut self, page: &mut Page) -> Result<(), EngineError> {
        if let Some(images) = &mut self.images {
            let rest = images.rest(self.snapshot).await?;
            if !rest.is_empty() {
                // Perhaps there are more: the next page asks again.
                page.marks.gone.extend(rest.iter().map(|image| image.id));
                return Ok(());
            }
        }
        page.marks.nameless += std::mem::take(&mut self.chain.nameless);
        self.ended = true;
        Ok(())
    }
}
