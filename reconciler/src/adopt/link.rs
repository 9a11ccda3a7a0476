//! Which project a row means. Pure.

use serde::Serialize;
use stxworx_indexer::store::read::market::ProjectState;

use super::Counts;
use crate::platform::{Cell, PlatformProject, PlatformStatus};
use crate::rules::AssetNames;

/// A deployment of `freelance-logic`, and from which height on the platform used it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployment {
    /// The contract.
    pub contract: String,
    /// Stacks height, included.
    pub from_height: u32,
}

/// What became of a row, or of a project without one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// It points to a project, and both say the same.
    Linked,
    /// Not on the chain yet, or never to be: pending or called off, without a number.
    OffChain,
    /// It points to a project with other amounts.
    AmountsDiffer,
    /// It points to a project of others.
    PartiesDiffer,
    /// It points to a project in another asset.
    AssetDiffers,
    /// Several rows point to one project.
    Twice,
    /// Several deployments have a project of its number, and nothing in the row tells them apart.
    Ambiguous,
    /// It has no number, and by its status should have one.
    WithoutNumber,
    /// No deployment has a project of its number.
    PointsNowhere,
    /// Its number cannot be read.
    Unreadable,
    /// A project of the chain that no row points to.
    WithoutRow,
}

impl Class {
    /// Every one, in order.
    pub const ALL: [Self; 11] = [
        Self::Linked,
        Self::OffChain,
        Self::AmountsDiffer,
        Self::PartiesDiffer,
        Self::AssetDiffers,
        Self::Twice,
        Self::Ambiguous,
        Self::WithoutNumber,
        Self::PointsNowhere,
        Self::Unreadable,
        Self::WithoutRow,
    ];

    /// What it means, for a report.
    pub fn says(self) -> &'static str {
        match self {
            Self::Linked => "rows that link to a project and agree with it",
            Self::OffChain => "rows that are not on the chain and need not be",
            Self::AmountsDiffer => "rows that link to a project with other amounts",
            Self::PartiesDiffer => "rows that link to a project of other people",
            Self::AssetDiffers => "rows that link to a project in another asset",
            Self::Twice => "rows that share a project with another row",
            Self::Ambiguous => "rows whose number several deployments have",
            Self::WithoutNumber => "rows without a number that should have one",
            Self::PointsNowhere => "rows whose number no deployment has",
            Self::Unreadable => "rows whose number cannot be read",
            Self::WithoutRow => "projects of the chain without a row",
        }
    }

    /// Is it something to mend?
    pub fn is_wrong(self) -> bool {
        !matches!(self, Self::Linked | Self::OffChain)
    }
}

/// A project of the chain, and whether a row means it.
#[derive(Debug, Clone)]
pub struct Linked {
    /// Which deployment, by its place.
    pub deployment: usize,
    /// Its state.
    pub state: ProjectState,
    /// Rows that mean it.
    pub rows: u64,
}

/// Weighs the rows of one number against the projects of that number, one of each deployment at most. Notes what became of
/// each; the projects say afterwards which of them are meant.
pub fn weigh(
    rows: &[PlatformProject],
    projects: &mut [Linked],
    deployments: &[Deployment],
    names: &AssetNames,
    counts: &mut Counts,
) {
    let chosen: Vec<Option<usize>> = rows
        .iter()
        .map(|row| choose(row, projects, names))
        .collect();
    for place in chosen.iter().flatten() {
        projects[*place].rows += 1;
    }
    for (row, chosen) in rows.iter().zip(chosen) {
        let Some(project) = chosen.map(|place| &projects[place]) else {
            let class = if projects.is_empty() {
                Class::PointsNowhere
            } else {
                Class::Ambiguous
            };
            counts.note(class, || {
                format!("row {}, number {}", row.key, row.on_chain_id)
            });
            continue;
        };
        let contract = &deployments[project.deployment].contract;
        let name = format!("row {}, {contract}/{}", row.key, project.state.id);
        if project.rows > 1 {
            counts.note(Class::Twice, || {
                format!("{name}: {} rows point to it", project.rows)
            });
            continue;
        }
        match differences(row, &project.state, names) {
            None => counts.note(Class::Linked, || name),
            Some((class, what)) => counts.note(class, || format!("{name}: {what}")),
        }
    }
}

/// A row without a number.
pub(super) fn numberless(row: &PlatformProject, counts: &mut Counts, hint: Option<String>) {
    if let Cell::Bad { text, why } = &row.on_chain_id {
        counts.note(Class::Unreadable, || {
            format!("row {}, number {text:?}: {why}", row.key)
        });
        return;
    }
    let off_chain = matches!(
        row.status,
        Cell::Absent | Cell::Is(PlatformStatus::Pending | PlatformStatus::Cancelled)
    );
    if off_chain {
        counts.note(Class::OffChain, || {
            format!("row {}, {}", row.key, row.status)
        });
        return;
    }
    counts.note(Class::WithoutNumber, || {
        let hint = hint.map_or(String::new(), |hint| format!("; perhaps {hint}"));
        format!("row {}, {}{hint}", row.key, row.status)
    });
}

/// The project that a row means: the one that its transaction opened; the only one; the only one with its terms.
fn choose(row: &PlatformProject, projects: &[Linked], names: &AssetNames) -> Option<usize> {
    let only = |wanted: &dyn Fn(&ProjectState) -> bool| {
        let mut fitting = (0..projects.len()).filter(|place| wanted(&projects[*place].state));
        let first = fitting.next();
        first.filter(|_| fitting.next().is_none())
    };
    let by_transaction = row
        .tx_id
        .value()
        .and_then(|tx| only(&|state| state.opened == Some(*tx)));
    by_transaction
        .or_else(|| (projects.len() == 1).then_some(0))
        .or_else(|| only(&|state| differences(row, state, names).is_none()))
        .or_else(|| only(&|state| same_parties(row, state)))
}

/// Do client and freelancer of the row, as far as they can be read, be those of the project?
pub(super) fn same_parties(row: &PlatformProject, state: &ProjectState) -> bool {
    let same = |cell: &Cell<_>, theirs: &str| match cell {
        Cell::Is(principal) => ToString::to_string(principal) == *theirs,
        _ => false,
    };
    same(&row.client, &state.client) && same(&row.freelancer, &state.freelancer)
}

/// The gravest difference, and all of them in words.
fn differences(
    row: &PlatformProject,
    state: &ProjectState,
    names: &AssetNames,
) -> Option<(Class, String)> {
    let mut found: Vec<(Class, String)> = Vec::new();
    if row.total != Cell::Is(state.total.0) {
        let text = format!("total {}, the chain says {}", row.total, state.total);
        found.push((Class::AmountsDiffer, text));
    }
    for (m, theirs) in row.milestones.iter().map(|it| (it.m, &it.amount)) {
        let ours = state.milestones.iter().find(|it| it.m == m);
        let ours = ours.map_or(0, |it| it.amount.0);
        let same = matches!(theirs, Cell::Is(units) if *units == ours)
            || (matches!(theirs, Cell::Absent) && ours == 0);
        if !same {
            let text = format!("milestone {m} {theirs}, the chain says {ours}");
            found.push((Class::AmountsDiffer, text));
        }
    }
    for (what, theirs, ours) in [
        ("client", &row.client, &state.client),
        ("freelancer", &row.freelancer, &state.freelancer),
    ] {
        if !matches!(theirs, Cell::Is(principal) if principal.to_string() == **ours) {
            let text = format!("{what} {theirs}, the chain says {ours}");
            found.push((Class::PartiesDiffer, text));
        }
    }
    let asset = row.asset.value().and_then(|name| names.on_chain(name));
    if asset.as_deref() != Some(state.asset.as_str()) {
        let text = format!("asset {}, the chain says {}", row.asset, state.asset);
        found.push((Class::AssetDiffers, text));
    }
    let worst = found.iter().map(|(class, _)| *class).min()?;
    let words: Vec<_> = found.into_iter().map(|(_, text)| text).collect();
    Some((worst, words.join("; ")))
}
