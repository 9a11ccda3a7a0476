//! Users.

use axum::extract::{Path, State};
use axum::response::Response;
use serde::Serialize;
use serde_json::json;
use stxworx_clarity::events::badges::BadgesEvent;
use stxworx_clarity::events::data::DataEvent;
use stxworx_clarity::events::logic::LogicEvent;
use utoipa::ToSchema;

use super::{Changed, ContractParams, Stated, contract_of, deployment, principal, state_of, typed};
use crate::api::error::{ApiError, Early, Problem, Problems};
use crate::api::params::{self, AtBlockParams, MAX_LIMIT, Params};
use crate::api::reader::Reader;
use crate::api::state::ApiState;
use crate::api::view::Answer;
use crate::store::read::market::{
    self, BADGES, BadgeState, NumberedFilter, PROFILES, Part, ProfileState, ProjectStatus,
};
use crate::store::read::people;

/// A user.
#[derive(Debug, Serialize, ToSchema)]
struct ProfileView {
    /// The contract that keeps the profile.
    contract: String,
    #[serde(flatten)]
    state: ProfileState,
    /// Badges that the user has, of the badges' contract with the same address; at most 200.
    badges: Vec<Stated<BadgeState>>,
    /// Are there more? /v1/badges has them all.
    more_badges: bool,
    /// Projects by part and status, of the escrow's contract with the same address; of the first 10000.
    projects: Vec<ProjectCount>,
    /// What made the profile so; badges aside.
    changed: Changed,
}

/// How many projects a user has.
#[derive(Debug, Serialize, ToSchema)]
struct ProjectCount {
    /// `client` or `freelancer`.
    part: String,
    /// Where they stand.
    #[schema(value_type = ProjectStatus)]
    status: String,
    /// How many.
    count: u64,
}

/// One user: profile, statistics, earnings, ratings, and the badges held.
#[utoipa::path(
    get, path = "/v1/profiles/{principal}", tag = "marketplace", operation_id = "profile",
    params(("principal" = String, Path, description = "The user's principal"), ContractParams, AtBlockParams),
    responses(
        (status = 200, description = "The user", body = Answer<ProfileView>),
        (status = 304, description = "The client's copy is current"),
        (status = 404, description = "`not_found`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`fork_changed`", body = Problem, content_type = "application/problem+json"),
        Problems,
    )
)]
pub(in crate::api::routes) async fn profile(
    State(state): State<ApiState>,
    Path(user): Path<String>,
    params: Params,
) -> Result<Response, Early> {
    params.allow(&[&["contract"], params::AT_BLOCK])?;
    let user = principal("principal", &user)?;
    let contract = contract_of(&params, DataEvent::CONTRACT)?;
    let mut reader = Reader::open(&state, &params).await?;
    reader.stand_at(&params).await?;
    let missing = || ApiError::not_found(format!("{user} has no profile at this block"));
    let contract = deployment(&mut reader, contract, DataEvent::CONTRACT)
        .await?
        .ok_or_else(missing)?;
    let row = state_of(&mut reader, PROFILES, format!("{contract}/{user}"))
        .await?
        .ok_or_else(missing)?;
    let address = contract.split_once('.').map_or("", |(address, _)| address);
    let filter = NumberedFilter {
        projection: BADGES.id,
        at: reader.bound(),
        contract: Some(format!("{address}.{}", BadgesEvent::CONTRACT)),
        matching: Some(json!({ "owner": user })),
        parts: vec![(Part::Owner, user.clone())],
        limit: MAX_LIMIT,
        ..NumberedFilter::default()
    };
    let found = market::numbered(reader.connection(), &filter).await?;
    let escrow = format!("{address}.{}", LogicEvent::CONTRACT);
    let at = reader.bound();
    let counts = people::project_counts(reader.connection(), &escrow, &user, at).await?;
    let badges: Result<Vec<_>, _> = found
        .rows
        .iter()
        .map(|row| Stated::new(row, &reader))
        .collect();
    let view = ProfileView {
        state: typed(&row.state)?,
        badges: badges?,
        more_badges: found.more,
        projects: counts
            .into_iter()
            .map(|row| ProjectCount {
                part: row.part,
                status: row.status,
                count: row.count.try_into().unwrap_or_default(),
            })
            .collect(),
        changed: Changed::new(&row, &reader),
        contract,
    };
    Ok(reader.answer(view))
}
