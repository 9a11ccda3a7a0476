//! Milestones: of one project, in dispute, and settled.

use axum::extract::{Path, State};
use axum::response::Response;
use serde::Serialize;
use stxworx_clarity::events::logic::LogicEvent;
use utoipa::ToSchema;

use super::{
    Changed, ContractParams, contract_of, deployment, number, principal_filter, state_of, typed,
    word,
};
use crate::api::error::{ApiError, Early, Problem, Problems};
use crate::api::params::{self, AtBlockParams, OrderParams, PageParams, Params};
use crate::api::reader::Reader;
use crate::api::state::ApiState;
use crate::api::view::{Answer, Page};
use crate::store::read::Order;
use crate::store::read::market::{
    Milestone, MilestoneStatus, PROJECTS, ProjectState, ProjectStatus,
};
use crate::store::read::milestones::{self, MilestoneFilter, MilestoneRow, Stage};

/// What a milestone belongs to.
#[derive(Debug, Serialize, ToSchema)]
struct Whose {
    /// Number of the project.
    project: u64,
    /// The escrow.
    contract: String,
    /// Who pays.
    client: String,
    /// Who works.
    freelancer: String,
    /// Who rules.
    arbiter: String,
    /// `STX` or the token's contract.
    asset: String,
    /// Where the project stands.
    project_status: ProjectStatus,
}

impl Whose {
    fn new(state: &ProjectState) -> Self {
        Self {
            project: state.id,
            contract: state.contract.clone(),
            client: state.client.clone(),
            freelancer: state.freelancer.clone(),
            arbiter: state.arbiter.clone(),
            asset: state.asset.clone(),
            project_status: state.status,
        }
    }
}

/// What must happen until when, while a milestone is open.
#[derive(Debug, Serialize, ToSchema)]
struct Deadline {
    /// What ends: `work`, `review` or `ruling`.
    what: &'static str,
    /// Last Bitcoin height for it.
    until: u64,
    /// Bitcoin blocks left until then; 0 at the last one, negative when it is over.
    blocks_left: i64,
}

impl Deadline {
    fn new(milestone: &Milestone, state: &ProjectState, reader: &Reader) -> Option<Self> {
        if milestone.settled.is_some()
            || !matches!(state.status, ProjectStatus::Open | ProjectStatus::Active)
        {
            return None;
        }
        let (what, until) = match milestone.status {
            MilestoneStatus::Disputed => ("ruling", milestone.resolve_until?),
            MilestoneStatus::Submitted => ("review", milestone.review_until?),
            _ => ("work", milestone.due),
        };
        let left = i128::from(until) - i128::from(reader.burn_now());
        Some(Self {
            what,
            until,
            blocks_left: left.try_into().unwrap_or(i64::MAX),
        })
    }
}

/// A milestone of a project.
#[derive(Debug, Serialize, ToSchema)]
struct MilestoneView {
    #[serde(flatten)]
    milestone: Milestone,
    /// What must happen until when; null once it is settled.
    deadline: Option<Deadline>,
}

/// A project's milestones.
#[derive(Debug, Serialize, ToSchema)]
struct MilestonesView {
    #[serde(flatten)]
    whose: Whose,
    /// Its milestones, from 1.
    milestones: Vec<MilestoneView>,
    /// What made them so.
    changed: Changed,
}

/// Where and when something began.
#[derive(Debug, Serialize, ToSchema)]
struct Since {
    /// Height of the block.
    height: u32,
    /// Its clock, unix seconds.
    time: u64,
    /// `seen`, `burn_n` with the depth in Bitcoin blocks, or `final`.
    finality: Option<String>,
}

/// A milestone in dispute, or one on which was ruled.
#[derive(Debug, Serialize, ToSchema)]
struct DisputeView {
    #[serde(flatten)]
    whose: Whose,
    /// `open`, or `ruled` once the milestone is settled, for whatever `milestone.cause`.
    status: &'static str,
    /// When the arbiter was called.
    opened: Option<Since>,
    /// Until when the arbiter can rule; null once it is settled.
    deadline: Option<Deadline>,
    /// The milestone.
    milestone: Milestone,
}

/// A milestone that was settled, or a live offer to settle one.
#[derive(Debug, Serialize, ToSchema)]
struct SettlementView {
    #[serde(flatten)]
    whose: Whose,
    /// `offered` or `settled`.
    status: &'static str,
    /// When it was settled, or offered.
    since: Option<Since>,
    /// Bitcoin blocks that an offer is left to be accepted in; negative when it is over. Null once settled.
    blocks_left: Option<i64>,
    /// The milestone.
    milestone: Milestone,
}

/// The milestones of a project, with what must happen until when.
#[utoipa::path(
    get, path = "/v1/projects/{id}/milestones", tag = "marketplace", operation_id = "project_milestones",
    params(("id" = String, Path, description = "The project's number, decimal"), ContractParams, AtBlockParams),
    responses(
        (status = 200, description = "The milestones", body = Answer<MilestonesView>),
        (status = 304, description = "The client's copy is current"),
        (status = 404, description = "`not_found`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`fork_changed`", body = Problem, content_type = "application/problem+json"),
        Problems,
    )
)]
pub(in crate::api::routes) async fn of_project(
    State(state): State<ApiState>,
    Path(id): Path<String>,
    params: Params,
) -> Result<Response, Early> {
    params.allow(&[&["contract"], params::AT_BLOCK])?;
    let id = number("id", &id)?;
    let contract = contract_of(&params, LogicEvent::CONTRACT)?;
    let mut reader = Reader::open(&state, &params).await?;
    reader.stand_at(&params).await?;
    let missing = || ApiError::not_found(format!("there is no project {id} at this block"));
    let contract = deployment(&mut reader, contract, LogicEvent::CONTRACT)
        .await?
        .ok_or_else(missing)?;
    let row = state_of(&mut reader, PROJECTS, format!("{contract}/{id}"))
        .await?
        .ok_or_else(missing)?;
    let project: ProjectState = typed(&row.state)?;
    let milestones = project.milestones.iter().map(|milestone| MilestoneView {
        milestone: milestone.clone(),
        deadline: Deadline::new(milestone, &project, &reader),
    });
    let view = MilestonesView {
        whose: Whose::new(&project),
        milestones: milestones.collect(),
        changed: Changed::new(&row, &reader),
    };
    Ok(reader.answer(view))
}

/// A row's project and milestone, and since when it is so; none for a row that only says how far was looked.
fn parts(
    row: &MilestoneRow,
    reader: &Reader,
) -> Result<Option<(ProjectState, Milestone, Option<Since>)>, ApiError> {
    let (Some(m), Some(state)) = (row.m, &row.state) else {
        return Ok(None);
    };
    let state: ProjectState = typed(state)?;
    let m = u64::try_from(m).unwrap_or_default();
    let Some(milestone) = state.milestones.iter().find(|one| one.m == m).cloned() else {
        return Ok(None);
    };
    let since = row.height.zip(row.time).map(|(height, time)| Since {
        height: height.0,
        time: time.0,
        finality: row
            .burn_block_height
            .and_then(|burn| reader.finality(true, burn.0)),
    });
    Ok(Some((state, milestone, since)))
}

/// Answers with a page of milestones. The filter's place and bound are filled in here.
async fn answer<V: Serialize>(
    mut reader: Reader,
    params: &Params,
    mut filter: MilestoneFilter,
    view: impl Fn(ProjectState, Milestone, Option<Since>, &Reader) -> V,
) -> Result<Response, Early> {
    let page = params.page()?;
    reader.stand_at(params).await?;
    let (m, entity) = reader
        .walk(page.cursor.as_deref(), (0, String::new()))
        .await?;
    filter.after = (entity, m);
    filter.at = reader.bound();
    let found = milestones::page(reader.connection(), &filter).await?;
    let next = found.rows.last().filter(|_| found.more).and_then(|row| {
        // A project that was only looked at is behind us with all of its milestones.
        let end = if filter.order == Order::Asc {
            i32::MAX
        } else {
            0
        };
        let m = row.m.map_or(Some(end), |m| m.try_into().ok())?;
        reader.cursor_behind((m, row.entity.clone()))
    });
    let mut data = Vec::new();
    for row in &found.rows {
        if let Some((state, milestone, since)) = parts(row, &reader)? {
            data.push(view(state, milestone, since, &reader));
        }
    }
    Ok(reader.page(data, next))
}

/// Milestones that were disputed, newest project first. A milestone can be disputed once.
#[utoipa::path(
    get, path = "/v1/disputes", tag = "marketplace", operation_id = "disputes",
    params(
        ("status" = Option<String>, Query, description = "`open` or `ruled`"),
        ("arbiter" = Option<String>, Query, description = "Of projects that this principal rules on"),
        ("participant" = Option<String>, Query, description = "Of projects with this client, freelancer or arbiter"),
        OrderParams, ContractParams, AtBlockParams, PageParams,
    ),
    responses(
        (status = 200, description = "A page of disputes", body = Page<DisputeView>),
        (status = 304, description = "The client's copy is current"),
        (status = 409, description = "`fork_changed`", body = Problem, content_type = "application/problem+json"),
        Problems,
    )
)]
pub(in crate::api::routes) async fn disputes(
    State(state): State<ApiState>,
    params: Params,
) -> Result<Response, Early> {
    let own: &[&str] = &["status", "arbiter", "participant", "contract"];
    params.allow(&[own, params::ORDER, params::AT_BLOCK, params::PAGE])?;
    let filter = MilestoneFilter {
        at: -1,
        stage: Stage::Disputed,
        contract: contract_of(&params, LogicEvent::CONTRACT)?.map(str::to_owned),
        arbiter: principal_filter(&params, "arbiter")?,
        participant: principal_filter(&params, "participant")?,
        cause: None,
        settled: word(&params, "status", &["open", "ruled"])?.map(|word| word == "ruled"),
        order: params.order()?.order,
        after: Default::default(),
        limit: params.page()?.limit,
    };
    let reader = Reader::open(&state, &params).await?;
    answer(
        reader,
        &params,
        filter,
        |state, milestone, since, reader| DisputeView {
            whose: Whose::new(&state),
            status: if milestone.settled.is_some() {
                "ruled"
            } else {
                "open"
            },
            opened: since,
            deadline: Deadline::new(&milestone, &state, reader),
            milestone,
        },
    )
    .await
}

/// How a milestone can end.
const CAUSES: [&str; 6] = ["release", "timeout", "expired", "ruling", "stale", "settle"];

/// Milestones that were settled, or offers to settle that are live, newest project first.
#[utoipa::path(
    get, path = "/v1/settlements", tag = "marketplace", operation_id = "settlements",
    params(
        ("status" = Option<String>, Query, description = "`settled` (default): money has left the escrow. `offered`: a party offers a share"),
        ("cause" = Option<String>, Query, description = "Settled by `release`, `timeout`, `expired`, `ruling`, `stale` or `settle` (an offer that was accepted)"),
        ("participant" = Option<String>, Query, description = "Of projects with this client, freelancer or arbiter"),
        OrderParams, ContractParams, AtBlockParams, PageParams,
    ),
    responses(
        (status = 200, description = "A page of settlements", body = Page<SettlementView>),
        (status = 304, description = "The client's copy is current"),
        (status = 409, description = "`fork_changed`", body = Problem, content_type = "application/problem+json"),
        Problems,
    )
)]
pub(in crate::api::routes) async fn settlements(
    State(state): State<ApiState>,
    params: Params,
) -> Result<Response, Early> {
    let own: &[&str] = &["status", "cause", "participant", "contract"];
    params.allow(&[own, params::ORDER, params::AT_BLOCK, params::PAGE])?;
    let offered = word(&params, "status", &["settled", "offered"])? == Some("offered");
    let filter = MilestoneFilter {
        at: -1,
        stage: if offered {
            Stage::Offered
        } else {
            Stage::Settled
        },
        contract: contract_of(&params, LogicEvent::CONTRACT)?.map(str::to_owned),
        arbiter: None,
        participant: principal_filter(&params, "participant")?,
        cause: word(&params, "cause", &CAUSES)?.map(str::to_owned),
        settled: None,
        order: params.order()?.order,
        after: Default::default(),
        limit: params.page()?.limit,
    };
    let reader = Reader::open(&state, &params).await?;
    answer(
        reader,
        &params,
        filter,
        |state, milestone, since, reader| {
            let left = milestone.offer.as_ref().map(|offer| {
                let left = i128::from(offer.until) - i128::from(reader.burn_now());
                left.try_into().unwrap_or(i64::MAX)
            });
            SettlementView {
                whose: Whose::new(&state),
                status: if milestone.settled.is_some() {
                    "settled"
                } else {
                    "offered"
                },
                since,
                blocks_left: left,
                milestone,
            }
        },
    )
    .await
}
