//! Projects with their milestones.

use axum::extract::{Path, State};
use axum::response::Response;
use stxworx_clarity::events::logic::LogicEvent;

use super::{
    ContractParams, Stated, containing, contract_of, number, numbered_one, numbered_page,
    principal_filter, word,
};
use crate::api::error::{ApiError, Early, Problem, Problems};
use crate::api::params::{self, AtBlockParams, PageParams, Params};
use crate::api::reader::Reader;
use crate::api::state::ApiState;
use crate::api::view::{Answer, Page};
use crate::store::read::market::{NumberedFilter, PROJECTS, Part, ProjectState, ProjectStatus};

/// The words of [`ProjectStatus`].
const STATUSES: [&str; 6] = [
    "open",
    "active",
    "completed",
    "refunded",
    "settled",
    "cancelled",
];

/// The asset of a filter, as states name it.
fn asset(params: &Params) -> Result<Option<String>, ApiError> {
    match params.get("asset") {
        Some(given) if given.eq_ignore_ascii_case("stx") => Ok(Some("STX".to_owned())),
        None => Ok(None),
        Some(given) => params::contract("asset", given)
            .map(|id| Some(id.to_owned()))
            .map_err(|_| {
                ApiError::parameter(
                    "asset",
                    given,
                    "`stx`, or the id of a token's contract: ADDRESS.name",
                )
            }),
    }
}

/// Projects by contract and number.
#[utoipa::path(
    get, path = "/v1/projects", tag = "marketplace", operation_id = "projects",
    params(
        ("client" = Option<String>, Query, description = "Projects that this principal pays for"),
        ("freelancer" = Option<String>, Query, description = "Projects that this principal works on"),
        ("arbiter" = Option<String>, Query, description = "Projects that this principal rules on"),
        ("status" = Option<ProjectStatus>, Query, description = "Where they stand"),
        ("asset" = Option<String>, Query, description = "`stx`, or the id of a token's contract"),
        ContractParams, AtBlockParams, PageParams,
    ),
    responses(
        (status = 200, description = "A page of projects", body = Page<Stated<ProjectState>>),
        (status = 304, description = "The client's copy is current"),
        (status = 409, description = "`fork_changed`", body = Problem, content_type = "application/problem+json"),
        Problems,
    )
)]
pub(in crate::api::routes) async fn list(
    State(state): State<ApiState>,
    params: Params,
) -> Result<Response, Early> {
    let own: &[&str] = &[
        "client",
        "freelancer",
        "arbiter",
        "status",
        "asset",
        "contract",
    ];
    params.allow(&[own, params::AT_BLOCK, params::PAGE])?;
    params.page()?;
    let who = |name| principal_filter(&params, name);
    let (client, freelancer, arbiter) = (who("client")?, who("freelancer")?, who("arbiter")?);
    let status = word(&params, "status", &STATUSES)?;
    let contract = contract_of(&params, LogicEvent::CONTRACT)?;
    let filter = NumberedFilter {
        projection: PROJECTS.id,
        contract: contract.map(str::to_owned),
        matching: containing([
            ("client", client.clone().map(Into::into)),
            ("freelancer", freelancer.clone().map(Into::into)),
            ("arbiter", arbiter.clone().map(Into::into)),
            ("status", status.map(Into::into)),
            ("asset", asset(&params)?.map(Into::into)),
        ]),
        parts: [
            (Part::Client, client),
            (Part::Freelancer, freelancer),
            (Part::Arbiter, arbiter),
        ]
        .into_iter()
        .filter_map(|(part, who)| Some((part, who?)))
        .collect(),
        ..NumberedFilter::default()
    };
    let reader = Reader::open(&state, &params).await?;
    numbered_page::<ProjectState>(reader, &params, filter).await
}

/// One project with its milestones.
#[utoipa::path(
    get, path = "/v1/projects/{id}", tag = "marketplace", operation_id = "project",
    params(("id" = String, Path, description = "The project's number, decimal"), ContractParams, AtBlockParams),
    responses(
        (status = 200, description = "The project", body = Answer<Stated<ProjectState>>),
        (status = 304, description = "The client's copy is current"),
        (status = 404, description = "`not_found`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`fork_changed`", body = Problem, content_type = "application/problem+json"),
        Problems,
    )
)]
pub(in crate::api::routes) async fn project(
    State(state): State<ApiState>,
    Path(id): Path<String>,
    params: Params,
) -> Result<Response, Early> {
    params.allow(&[&["contract"], params::AT_BLOCK])?;
    let id = number("id", &id)?;
    let contract = contract_of(&params, LogicEvent::CONTRACT)?;
    let reader = Reader::open(&state, &params).await?;
    numbered_one::<ProjectState>(
        reader,
        &params,
        PROJECTS,
        (contract, LogicEvent::CONTRACT),
        ("project", id),
    )
    .await
}
