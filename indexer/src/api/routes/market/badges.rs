//! Soul-bound badges.

use axum::extract::{Path, State};
use axum::response::Response;
use stxworx_clarity::events::badges::BadgesEvent;

use super::{
    ContractParams, Stated, containing, contract_of, number, numbered_one, numbered_page,
    principal_filter,
};
use crate::api::error::{ApiError, Early, Problem, Problems};
use crate::api::params::{self, AtBlockParams, PageParams, Params};
use crate::api::reader::Reader;
use crate::api::state::ApiState;
use crate::api::view::{Answer, Page};
use crate::store::read::market::{BADGES, BadgeState, NumberedFilter, Part};

/// The kind of a filter. No kind that a state can hold is larger.
fn kind(params: &Params) -> Result<Option<u64>, ApiError> {
    params
        .get("kind")
        .map(|given| {
            let kind = number("kind", given).ok();
            kind.and_then(|kind| u64::try_from(kind).ok())
                .ok_or_else(|| {
                    let expected = format!("a whole number from 0 to {}", u64::MAX);
                    ApiError::parameter("kind", given, expected)
                })
        })
        .transpose()
}

/// Badges by contract and number; revoked ones are among them, without an owner.
#[utoipa::path(
    get, path = "/v1/badges", tag = "marketplace", operation_id = "badges",
    params(
        ("owner" = Option<String>, Query, description = "Badges that this principal has"),
        ("kind" = Option<u64>, Query, description = "Badges of this kind; see topic `kind-set` of /v1/settings"),
        ContractParams, AtBlockParams, PageParams,
    ),
    responses(
        (status = 200, description = "A page of badges", body = Page<Stated<BadgeState>>),
        (status = 304, description = "The client's copy is current"),
        (status = 409, description = "`fork_changed`", body = Problem, content_type = "application/problem+json"),
        Problems,
    )
)]
pub(in crate::api::routes) async fn list(
    State(state): State<ApiState>,
    params: Params,
) -> Result<Response, Early> {
    let own: &[&str] = &["owner", "kind", "contract"];
    params.allow(&[own, params::AT_BLOCK, params::PAGE])?;
    params.page()?;
    let owner = principal_filter(&params, "owner")?;
    let kind = kind(&params)?;
    let contract = contract_of(&params, BadgesEvent::CONTRACT)?;
    let filter = NumberedFilter {
        projection: BADGES.id,
        contract: contract.map(str::to_owned),
        matching: containing([
            ("owner", owner.clone().map(Into::into)),
            ("kind", kind.map(Into::into)),
        ]),
        parts: owner.into_iter().map(|who| (Part::Owner, who)).collect(),
        ..NumberedFilter::default()
    };
    let reader = Reader::open(&state, &params).await?;
    numbered_page::<BadgeState>(reader, &params, filter).await
}

/// One badge.
#[utoipa::path(
    get, path = "/v1/badges/{id}", tag = "marketplace", operation_id = "badge",
    params(("id" = String, Path, description = "The token's number, decimal"), ContractParams, AtBlockParams),
    responses(
        (status = 200, description = "The badge", body = Answer<Stated<BadgeState>>),
        (status = 304, description = "The client's copy is current"),
        (status = 404, description = "`not_found`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`fork_changed`", body = Problem, content_type = "application/problem+json"),
        Problems,
    )
)]
pub(in crate::api::routes) async fn badge(
    State(state): State<ApiState>,
    Path(id): Path<String>,
    params: Params,
) -> Result<Response, Early> {
    params.allow(&[&["contract"], params::AT_BLOCK])?;
    let id = number("id", &id)?;
    let contract = contract_of(&params, BadgesEvent::CONTRACT)?;
    let reader = Reader::open(&state, &params).await?;
    let whose = (contract, BadgesEvent::CONTRACT);
    numbered_one::<BadgeState>(reader, &params, BADGES, whose, ("badge", id)).await
}
