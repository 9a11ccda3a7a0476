//! Projects in any order: by number, opening, last change or amount.
//!
//! A page reads at most [`WINDOW`] candidates of its order, whatever the filters are: behind a rare filter it may
//! be short, or empty, and still go on. A party's projects are few as a rule and are then read by name.

mod walk;

use serde_json::Value;
use sqlx::PgConnection;

use super::market::{Part, candidates};
use super::projection::VersionRow;
use super::{Hex, Order, ReadError, Uint, Ulong};

/// Candidates that one page reads at most.
pub const WINDOW: i64 = 5_000;

/// What projects are ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sort {
    /// Contract and number.
    #[default]
    Number,
    /// Place of the event that opened it.
    Opened,
    /// Place of its last change.
    Updated,
    /// Amount, then the opening.
    Total,
}

/// Place of a project in an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectKey {
    /// `CONTRACT/NUMBER`.
    pub entity: String,
    /// Its amount where that is the order, else 0.
    pub total: String,
    /// Height of the opening or of the last change.
    pub height: i32,
    /// Position there.
    pub position: i64,
}

/// Which projects, in which order, and where the page begins.
#[derive(Debug, Clone)]
pub struct ProjectFilter {
    /// As of this canonical height.
    pub at: i32,
    /// Of this contract.
    pub contract: Option<String>,
    /// States that contain this JSON.
    pub matching: Option<Value>,
    /// Someone who is client, freelancer or arbiter.
    pub participant: Option<String>,
    /// Who has which part; a hint for what `matching` and `participant` say as well.
    pub parts: Vec<(Part, String)>,
    /// Lowest height of the opening.
    pub opened_from: i32,
    /// Highest height of the opening.
    pub opened_to: i32,
    /// Least amount, digits.
    pub least: String,
    /// Greatest amount, digits.
    pub most: String,
    /// The order.
    pub sort: Sort,
    /// Its direction.
    pub order: Order,
    /// Behind this one only.
    pub after: Option<ProjectKey>,
    /// At most this many.
    pub limit: u32,
}

/// A project of a page, or only the place up to which the page has looked.
struct Row {
    entity: String,
    state: Option<String>,
    block: Option<Hex>,
    height: Option<Uint>,
    burn_block_height: Option<Uint>,
    position: Option<Ulong>,
    last: bool,
    key_total: String,
    key_height: i32,
    key_position: i64,
}

impl Row {
    fn key(&self) -> ProjectKey {
        ProjectKey {
            entity: self.entity.clone(),
            total: self.key_total.clone(),
            height: self.key_height,
            position: self.key_position,
        }
    }

    fn version(self) -> Option<VersionRow> {
        Some(VersionRow {
            projection: "projects".to_owned(),
            entity: self.entity,
            state: self.state?,
            block: self.block?,
            height: self.height?,
            burn_block_height: self.burn_block_height?,
            position: self.position?,
        })
    }
}

/// A page of projects.
#[derive(Debug)]
pub struct ProjectPage {
    /// The projects.
    pub rows: Vec<VersionRow>,
    /// Where the next page begins; none at the end.
    pub next: Option<ProjectKey>,
}

/// Entities in which every named party may have a part; none when they are many.
async fn few(
    connection: &mut PgConnection,
    filter: &ProjectFilter,
) -> Result<Option<Vec<String>>, ReadError> {
    let mut chosen = None;
    for part in &filter.parts {
        let Some(found) = candidates(&mut *connection, 10, part).await? else {
            continue;
        };
        if chosen
            .as_ref()
            .is_none_or(|c: &Vec<String>| found.len() < c.len())
        {
            chosen = Some(found.into_iter().collect());
        }
    }
    if chosen.is_none()
        && let Some(who) = &filter.participant
    {
        let mut all = std::collections::BTreeSet::new();
        for part in [Part::Client, Part::Freelancer, Part::Arbiter] {
            match candidates(&mut *connection, 10, &(part, who.clone())).await? {
                Some(found) => all.extend(found),
                None => return Ok(None),
            }
        }
        chosen = Some(all.into_iter().collect());
    }
    Ok(chosen)
}

/// A page of projects, each with its state at a canonical height.
///
/// # Errors
/// When the database cannot be read.
pub async fn page(
    connection: &mut PgConnection,
    filter: &ProjectFilter,
) -> Result<ProjectPage, ReadError> {
    let found = match few(&mut *connection, filter).await? {
        Some(names) => walk::named(connection, filter, &names).await,
        None => match filter.sort {
            Sort::Number => walk::by_number(connection, filter).await,
            Sort::Opened => walk::by_opening(connection, filter).await,
            Sort::Updated => walk::by_change(connection, filter).await,
            Sort::Total => walk::by_total(connection, filter).await,
        },
    };
    let mut found = found.map_err(ReadError::reading("projects"))?;
    let limit = usize::try_from(filter.limit).unwrap_or(usize::MAX);
    let mut next = None;
    if found.len() > limit {
        found.truncate(limit);
        next = found.last().map(Row::key);
    } else if let Some(last) = found.last().filter(|row| row.last) {
        // The window is full: there may be more behind it.
        next = Some(last.key());
    }
    Ok(ProjectPage {
        rows: found.into_iter().filter_map(Row::version).collect(),
        next,
    })
}
