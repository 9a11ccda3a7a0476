//! Reading the outbox for whoever follows it.
//!
//! There are two orders. Without a depth, the lines of the outbox are told as they were written. With one, a follower
//! stands on a block and is led to the highest canonical block that lies so deep: down by retractions while his own
//! is not canonical, then up. Both give lines of the outbox, so that a line's number is the place in either.

use super::filter::Filter;
use super::frame::{FrameBlock, Part, behind};
use super::position::Position;
use crate::api::state::RenderClarity;
use crate::store::Pool;
use crate::store::read::outbox::{self, LineRow};
use crate::store::read::{Hex, ReadError, Snapshot};

/// Rows of each kind in one part of a line.
const PART_ROWS: u32 = 500;

/// Why nothing can be told from a position.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The database.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The position is not one of this mirror, or not any more.
    #[error(
        "the position is not known: the mirror was made anew or repaired since, or it is another mirror's"
    )]
    Gone,
}

/// Where a follower is, and what he stands on.
#[derive(Debug, Clone)]
pub struct Standing {
    /// His position.
    pub position: Position,
    /// The block that is his tip; none before the first block.
    pub on: Option<Hex>,
}

impl Standing {
    /// Before the first line.
    pub const START: Self = Self {
        position: Position::START,
        on: None,
    };

    fn behind(line: &LineRow) -> Self {
        let on = if line.applied {
            &line.block
        } else {
            &line.parent
        };
        Self {
            position: behind(line),
            on: Some(on.clone()),
        }
    }

    /// Takes a part in. False when it does not follow on this block: something lies between.
    #[must_use]
    pub fn take(&mut self, part: &Part) -> bool {
        let fits = self.on.as_ref().is_none_or(|on| on == part.comes_after());
        if fits {
            self.position = part.position;
            // Until the last part of a retraction the block still stands; of an application it stands at once.
            let whole = part.position.part == 0;
            self.on = Some(if part.position.applied || whole {
                part.stands_on().clone()
            } else {
                part.block.clone()
            });
        }
        fits
    }
}

/// Reads lines and their parts.
#[derive(Clone)]
pub struct Source {
    /// Connections that read.
    pub pool: Pool,
    /// Renders Clarity values.
    pub render: RenderClarity,
    /// Bitcoin blocks that must lie on a block's own before it is told; 0 for none.
    pub depth: u32,
}

impl Source {
    /// Where a follower is who wants nothing of what was before.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn newest(&self) -> Result<Standing, ReadError> {
        let mut snapshot = Snapshot::open(&self.pool).await?;
        let line = if self.depth == 0 {
            outbox::newest(snapshot.connection()).await?
        } else {
            match snapshot.tip.as_ref().map(|tip| tip.burn_height) {
                None => None,
                Some(burn_height) => {
                    let height = snapshot
                        .height_at_burn_depth(burn_height, self.depth)
                        .await?;
                    match height {
                        None => None,
                        Some(height) => {
                            outbox::applied_at(snapshot.connection(), int(height)).await?
                        }
                    }
                }
            }
        };
        Ok(line.map_or(Standing::START, |line| Standing::behind(&line)))
    }

    /// What a position stands on, and the block there.
    ///
    /// # Errors
    /// [`SourceError::Gone`] when it is not one of this mirror.
    pub async fn resume(
        &self,
        position: Position,
    ) -> Result<(Standing, Option<FrameBlock>), SourceError> {
        if position == Position::START {
            return Ok((Standing::START, None));
        }
        let mut snapshot = Snapshot::open(&self.pool).await?;
        let line = known(&mut snapshot, position).await?;
        let mut standing = Standing::behind(&line);
        standing.position = position;
        if position.part > 0 && !line.applied {
            standing.on = Some(line.block.clone());
        }
        let block = if line.applied {
            Some(FrameBlock::of(&line))
        } else {
            let on = standing.on.clone().unwrap_or_else(|| line.parent.clone());
            outbox::block(snapshot.connection(), &on.0)
                .await?
                .map(|row| FrameBlock::of(&row))
        };
        Ok((standing, block))
    }

    /// The line of a position.
    ///
    /// # Errors
    /// [`SourceError::Gone`] when it is not one of this mirror.
    pub async fn line(&self, position: Position) -> Result<LineRow, SourceError> {
        let mut snapshot = Snapshot::open(&self.pool).await?;
        known(&mut snapshot, position).await
    }

    /// The lines behind a position, at most so many; a line of which a part was told comes first, again.
    ///
    /// # Errors
    /// [`SourceError::Gone`] when the position is not one of this mirror.
    pub async fn behind(
        &self,
        standing: &Standing,
        limit: usize,
    ) -> Result<Vec<LineRow>, SourceError> {
        let mut snapshot = Snapshot::open(&self.pool).await?;
        let position = standing.position;
        let count = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
        if self.depth == 0 {
            let from = i64::try_from(position.line).unwrap_or(i64::MAX);
            let mut lines = outbox::from(snapshot.connection(), from, count).await?;
            if position.line > 0 {
                let same = |line: &LineRow| is_same(line, position);
                if !lines.first().is_some_and(same) {
                    return Err(SourceError::Gone);
                }
                if position.part == 0 {
                    lines.remove(0);
                }
            }
            lines.truncate(limit);
            return Ok(lines);
        }
        if position.line > 0 {
            let line = known(&mut snapshot, position).await?;
            if position.part > 0 {
                return Ok(vec![line]);
            }
        }
        self.deep(&mut snapshot, standing, count).await
    }

    async fn deep(
        &self,
        snapshot: &mut Snapshot,
        standing: &Standing,
        limit: i64,
    ) -> Result<Vec<LineRow>, SourceError> {
        let Some(burn_height) = snapshot.tip.as_ref().map(|tip| tip.burn_height) else {
            return Ok(Vec::new());
        };
        let height = match &standing.on {
            None => -1,
            Some(on) => {
                if let Some(left) = outbox::left(snapshot.connection(), &on.0).await? {
                    // One at a time: where it leads to may be canonical.
                    return Ok(vec![left]);
                }
                match snapshot.block_by_hash(&on.0).await? {
                    Some(block) => int(block.height.0),
                    // Below the lowest block of the mirror.
                    None => -1,
                }
            }
        };
        let Some(deep) = burn_height.checked_sub(self.depth) else {
            return Ok(Vec::new());
        };
        Ok(outbox::deep_above(snapshot.connection(), height, int(deep), limit).await?)
    }

    /// Reads the parts of a line.
    pub fn parts(&self, line: LineRow) -> Parts {
        Parts {
            source: self.clone(),
            line,
            number: 0,
            events: Some((-1, -1)),
            states: Some((i16::MIN, String::new())),
        }
    }
}

fn int(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

fn is_same(line: &LineRow, position: Position) -> bool {
    let whole = Position {
        part: 0,
        ..position
    };
    behind(line) == whole
}

async fn known(snapshot: &mut Snapshot, position: Position) -> Result<LineRow, SourceError> {
    let line = i64::try_from(position.line).map_err(|_| SourceError::Gone)?;
    outbox::line(snapshot.connection(), line)
        .await?
        .filter(|line| is_same(line, position))
        .ok_or(SourceError::Gone)
}

/// The parts of a line, one after the other. Where it is cut depends on the block alone.
pub struct Parts {
    source: Source,
    line: LineRow,
    number: u32,
    events: Option<(i32, i32)>,
    states: Option<(i16, String)>,
}

impl Parts {
    /// The next part; none behind the last.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn next(&mut self) -> Result<Option<Part>, ReadError> {
        if self.number > 0 && self.events.is_none() && self.states.is_none() {
            return Ok(None);
        }
        self.number += 1;
        let mut snapshot = Snapshot::open(&self.source.pool).await?;
        let connection = snapshot.connection();
        let mut events = Vec::new();
        if let Some(after) = self.events {
            let page = outbox::events(connection, self.line.block_id, after, PART_ROWS).await?;
            self.events = page
                .rows
                .last()
                .filter(|_| page.more)
                .map(|row| (int(row.tx_index.0), int(row.ordinal.0)));
            events = page.rows;
        }
        let mut states = Vec::new();
        if let Some((projection, entity)) = &self.states {
            let (block, height) = (self.line.block_id, int(self.line.height.0));
            let after = (*projection, entity.as_str());
            let page = outbox::touched(connection, block, height, after, PART_ROWS).await?;
            self.states = page
                .rows
                .last()
                .filter(|_| page.more)
                .map(|row| (row.projection, row.entity.clone()));
            states = page.rows;
        }
        let last = self.events.is_none() && self.states.is_none();
        let cut = (self.number, last);
        Ok(Some(Part::new(
            &self.line,
            cut,
            events,
            states,
            self.source.render,
        )))
    }
}

/// The filter and depth of a follower.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// What is told.
    pub filter: Filter,
    /// How deep a block must lie.
    pub depth: u32,
    /// Is he told what only operators are?
    pub is_operator: bool,
}

/// `seen`, `burn_n` or `final`, as a number of Bitcoin blocks.
pub fn depth_of(name: &str, final_depth: u32) -> Option<u32> {
    match name {
        "seen" => Some(0),
        "final" => Some(final_depth),
        _ => {
            let digits = name.strip_prefix("burn_")?;
            let depth: u32 = digits.parse().ok()?;
            ((1..=final_depth).contains(&depth) && depth.to_string() == digits).then_some(depth)
        }
    }
}
