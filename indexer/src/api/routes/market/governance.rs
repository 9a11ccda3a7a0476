//! Governed actions and their signers.

use axum::extract::{Path, State};
use axum::response::Response;
use serde::Serialize;
use stxworx_clarity::events::security::SecurityEvent;
use utoipa::ToSchema;

use super::{
    Changed, ContractParams, Stated, containing, contract_of, named_page, number, numbered_one,
    numbered_page, typed, word,
};
use crate::api::error::{Early, Problem, Problems};
use crate::api::params::{self, AtBlockParams, PageParams, Params};
use crate::api::reader::Reader;
use crate::api::state::ApiState;
use crate::api::view::{Answer, Page};
use crate::store::read::market::{
    ACTIONS, ActionState, ActionStatus, NumberedFilter, SIGNERS, SignersState,
};
use crate::store::read::projection::EntityFilter;

/// The words of [`ActionStatus`].
const STATUSES: [&str; 3] = ["pending", "executed", "cancelled"];

/// Who signs for a contract.
#[derive(Debug, Serialize, ToSchema)]
struct SignersView {
    /// The contract.
    contract: String,
    #[serde(flatten)]
    state: SignersState,
    /// What made it so.
    changed: Changed,
}

/// Governed actions by contract and number.
#[utoipa::path(
    get, path = "/v1/governance/actions", tag = "marketplace", operation_id = "governance_actions",
    params(
        ("status" = Option<ActionStatus>, Query, description = "Where they stand; a pending one may have expired, compare `expires` with `as_of.burn_height`"),
        ("kind" = Option<String>, Query, description = "What they do, for instance `set-fee`"),
        ContractParams, AtBlockParams, PageParams,
    ),
    responses(
        (status = 200, description = "A page of actions", body = Page<Stated<ActionState>>),
        (status = 304, description = "The client's copy is current"),
        (status = 409, description = "`fork_changed`", body = Problem, content_type = "application/problem+json"),
        Problems,
    )
)]
pub(in crate::api::routes) async fn actions(
    State(state): State<ApiState>,
    params: Params,
) -> Result<Response, Early> {
    let own: &[&str] = &["status", "kind", "contract"];
    params.allow(&[own, params::AT_BLOCK, params::PAGE])?;
    params.page()?;
    let status = word(&params, "status", &STATUSES)?;
    let kind = params.text("kind")?;
    let contract = contract_of(&params, SecurityEvent::CONTRACT)?;
    let filter = NumberedFilter {
        projection: ACTIONS.id,
        contract: contract.map(str::to_owned),
        matching: containing([
            ("status", status.map(Into::into)),
            ("kind", kind.map(Into::into)),
        ]),
        ..NumberedFilter::default()
    };
    let reader = Reader::open(&state, &params).await?;
    numbered_page::<ActionState>(reader, &params, filter).await
}

/// One governed action.
#[utoipa::path(
    get, path = "/v1/governance/actions/{id}", tag = "marketplace", operation_id = "governance_action",
    params(("id" = String, Path, description = "The action's number, decimal"), ContractParams, AtBlockParams),
    responses(
        (status = 200, description = "The action", body = Answer<Stated<ActionState>>),
        (status = 304, description = "The client's copy is current"),
        (status = 404, description = "`not_found`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`fork_changed`", body = Problem, content_type = "application/problem+json"),
        Problems,
    )
)]
pub(in crate::api::routes) async fn action(
    State(state): State<ApiState>,
    Path(id): Path<String>,
    params: Params,
) -> Result<Response, Early> {
    params.allow(&[&["contract"], params::AT_BLOCK])?;
    let id = number("id", &id)?;
    let contract = contract_of(&params, SecurityEvent::CONTRACT)?;
    let reader = Reader::open(&state, &params).await?;
    let whose = (contract, SecurityEvent::CONTRACT);
    numbered_one::<ActionState>(reader, &params, ACTIONS, whose, ("action", id)).await
}

/// Who signs, contract by contract.
#[utoipa::path(
    get, path = "/v1/governance/signers", tag = "marketplace", operation_id = "governance_signers",
    params(ContractParams, AtBlockParams, PageParams),
    responses(
        (status = 200, description = "A page of contracts with their signers", body = Page<SignersView>),
        (status = 304, description = "The client's copy is current"),
        (status = 409, description = "`fork_changed`", body = Problem, content_type = "application/problem+json"),
        Problems,
    )
)]
pub(in crate::api::routes) async fn signers(
    State(state): State<ApiState>,
    params: Params,
) -> Result<Response, Early> {
    params.allow(&[&["contract"], params::AT_BLOCK, params::PAGE])?;
    params.page()?;
    let contract = contract_of(&params, SecurityEvent::CONTRACT)?;
    let filter = EntityFilter {
        projection: SIGNERS.id,
        // The whole name: no entity goes on behind it.
        prefix: contract.map(str::to_owned),
        ..EntityFilter::default()
    };
    let reader = Reader::open(&state, &params).await?;
    named_page(reader, &params, filter, |row, reader| {
        Ok(SignersView {
            contract: row.entity.clone(),
            state: typed::<SignersState>(&row.state)?,
            changed: Changed::new(row, reader),
        })
    })
    .await
}
