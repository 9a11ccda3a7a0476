//! Walking over both sides, in the order of numbers, a page at a time.

use std::collections::{HashMap, VecDeque};

use stxworx_indexer::store::Pool;
use stxworx_indexer::store::read::Snapshot;
use stxworx_indexer::store::read::market::ProjectState;
use stxworx_indexer::store::reconcile::image::NOWHERE;
use stxworx_indexer::store::reconcile::mirror::{self, Standing};

use super::link::{self, Class, Deployment, Linked};
use super::{AdoptError, AdoptReport, Counts, DeploymentReport};
use crate::platform::PlatformProject;
use crate::platform::postgres::{Entity, Filter, Platform, RowAt};
use crate::rules::AssetNames;

/// Projects of a page.
const PAGE: u32 = 1_000;
/// Rows of one number that are weighed together; what is beyond is weighed as another lot.
const LOT: usize = 1_000;
/// Projects without a row that are remembered, to guess what a row without a number means.
const REMEMBERED: usize = 20_000;
/// Columns without which nothing links.
const READS: [&str; 8] = [
    "projects.key",
    "projects.on_chain_id",
    "projects.client",
    "projects.freelancer",
    "projects.asset",
    "projects.total",
    "projects.status",
    "projects.tx_id",
];

/// Projects of one deployment, by number.
struct Projects {
    contract: String,
    after: String,
    more: bool,
    ready: VecDeque<(u128, ProjectState)>,
}

impl Projects {
    async fn peek(
        &mut self,
        snapshot: &mut Snapshot,
        at: &Standing,
    ) -> Result<Option<u128>, AdoptError> {
        while self.ready.is_empty() && self.more {
            let connection = snapshot.connection();
            let (rows, more) =
                mirror::projects(connection, &self.contract, at, &self.after, PAGE).await?;
            self.more = more && !rows.is_empty();
            for row in rows {
                self.after.clone_from(&row.entity);
                let state: ProjectState =
                    serde_json::from_str(&row.state).map_err(|source| AdoptError::State {
                        entity: row.entity.clone(),
                        source,
                    })?;
                self.ready.push_back((u128::from(state.id), state));
            }
        }
        Ok(self.ready.front().map(|(number, _)| *number))
    }
}

/// Rows of the platform, by number.
struct Rows {
    platform: Platform,
    ready: VecDeque<RowAt>,
    ended: bool,
}

impl Rows {
    async fn peek(&mut self) -> Result<Option<u128>, AdoptError> {
        if self.ready.is_empty() && !self.ended {
            self.ready = self.platform.page().await?.into();
            self.ended = self.ready.is_empty();
        }
        Ok(self.ready.front().map(|row| row.spot.place))
    }
}

/// What the walk has come to.
struct Walk<'a> {
    deployments: &'a [Deployment],
    names: AssetNames,
    counts: Counts,
    tallies: Vec<DeploymentReport>,
    rows: u64,
    nameless: u64,
    /// Projects without a row, by client, freelancer and total.
    lonely: HashMap<(String, String, u128), String>,
}

/// Links a platform's rows to the mirror's projects, with at most so many examples of each class.
///
/// # Errors
/// When one of both sides cannot be read.
pub async fn adopt(
    pool: &Pool,
    platform: Platform,
    deployments: &[Deployment],
    names: AssetNames,
    examples: usize,
) -> Result<AdoptReport, AdoptError> {
    let mut snapshot = Snapshot::open(pool).await?;
    let tip = snapshot.tip.clone().ok_or(AdoptError::Empty)?;
    let at = mirror::standing(&mut snapshot, &tip.id.0).await?;
    let at = at.ok_or(AdoptError::Empty)?;
    let lacks = platform.shapes.lacks(&READS);
    let mut rows = Rows {
        platform,
        ready: VecDeque::new(),
        ended: false,
    };
    rows.platform.read(Entity::Projects, &Filter::All).await?;
    let mut projects: Vec<Projects> = deployments.iter().map(projects_of).collect();
    let mut walk = Walk {
        deployments,
        names,
        counts: Counts::keeping(examples),
        tallies: deployments.iter().map(tally_of).collect(),
        rows: 0,
        nameless: 0,
        lonely: HashMap::new(),
    };
    let walked = walk
        .over(&mut rows, &mut projects, &mut snapshot, &at)
        .await;
    rows.platform.close().await;
    walked?;
    Ok(AdoptReport {
        height: tip.height,
        block: tip.id.to_string(),
        rows: walk.rows,
        nameless: walk.nameless,
        lacks,
        deployments: walk.tallies,
        classes: walk.counts.reports(),
    })
}

fn projects_of(deployment: &Deployment) -> Projects {
    Projects {
        contract: deployment.contract.clone(),
        after: String::new(),
        more: true,
        ready: VecDeque::new(),
    }
}

fn tally_of(deployment: &Deployment) -> DeploymentReport {
    DeploymentReport {
        contract: deployment.contract.clone(),
        from_height: deployment.from_height,
        projects: 0,
        linked: 0,
        early: 0,
        late: 0,
    }
}

impl Walk<'_> {
    async fn over(
        &mut self,
        rows: &mut Rows,
        projects: &mut [Projects],
        snapshot: &mut Snapshot,
        at: &Standing,
    ) -> Result<(), AdoptError> {
        loop {
            let mut next = rows.peek().await?.filter(|place| *place != NOWHERE);
            for of in projects.iter_mut() {
                let number = of.peek(snapshot, at).await?;
                next = next.into_iter().chain(number).min();
            }
            let Some(number) = next else { break };
            let mut these = Vec::new();
            for (deployment, of) in projects.iter_mut().enumerate() {
                if of.peek(snapshot, at).await? == Some(number)
                    && let Some((_, state)) = of.ready.pop_front()
                {
                    these.push(Linked {
                        deployment,
                        state,
                        rows: 0,
                    });
                }
            }
            self.number(number, rows, &mut these).await?;
        }
        while rows.peek().await?.is_some() {
            let Some(row) = self.take(rows) else { continue };
            let hint = self.hint(&row);
            link::numberless(&row, &mut self.counts, hint);
        }
        Ok(())
    }

    /// The next row; none where it has no key.
    fn take(&mut self, rows: &mut Rows) -> Option<PlatformProject> {
        let row = PlatformProject::read(rows.ready.pop_front()?.row);
        self.rows += 1;
        self.nameless += u64::from(row.is_none());
        row
    }

    /// Everything of one number.
    async fn number(
        &mut self,
        number: u128,
        rows: &mut Rows,
        projects: &mut [Linked],
    ) -> Result<(), AdoptError> {
        loop {
            let mut lot = Vec::new();
            while lot.len() < LOT && rows.peek().await? == Some(number) {
                lot.extend(self.take(rows));
            }
            if lot.is_empty() {
                break;
            }
            let (deployments, names) = (self.deployments, &self.names);
            link::weigh(&lot, projects, deployments, names, &mut self.counts);
        }
        for project in projects {
            self.tally(project);
        }
        Ok(())
    }

    fn tally(&mut self, project: &Linked) {
        let (place, state) = (project.deployment, &project.state);
        let next = self.deployments.get(place + 1).map(|d| d.from_height);
        let tally = &mut self.tallies[place];
        tally.projects += 1;
        tally.linked += u64::from(project.rows > 0);
        tally.early += u64::from(state.opened_height < tally.from_height);
        tally.late += u64::from(next.is_some_and(|next| state.opened_height >= next));
        if project.rows > 0 {
            return;
        }
        let name = format!("{}/{}", state.contract, state.id);
        self.counts.note(Class::WithoutRow, || {
            format!(
                "{name}: {} {} from {} to {}, opened at height {}",
                state.total, state.asset, state.client, state.freelancer, state.opened_height
            )
        });
        if self.lonely.len() < REMEMBERED {
            let terms = (
                state.client.clone(),
                state.freelancer.clone(),
                state.total.0,
            );
            self.lonely.insert(terms, name);
        }
    }

    /// A project without a row that has the terms of this row.
    fn hint(&self, row: &PlatformProject) -> Option<String> {
        let terms = (
            row.client.value()?.to_string(),
            row.freelancer.value()?.to_string(),
            *row.total.value()?,
        );
        self.lonely.get(&terms).cloned()
    }
}
