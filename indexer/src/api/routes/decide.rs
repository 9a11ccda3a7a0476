//! What operators decide about breaks.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::breaks::{BreakView, identity};
use crate::api::access::{Operator, Refusals};
use crate::api::desk::{Decision, LONGEST_S, Undecided};
use crate::api::error::{ApiError, ErrorCode, Problem, Problems};
use crate::api::params::Params;
use crate::api::state::ApiState;

/// The break after a decision.
#[derive(Debug, Serialize, ToSchema)]
struct Decided {
    /// The break.
    data: BreakView,
}

fn refused(error: &Undecided, id: &str) -> ApiError {
    match error {
        Undecided::Unknown => ApiError::not_found("no such break"),
        Undecided::Ambiguous => {
            ApiError::parameter("id", id, "more digits: several breaks begin like this")
        }
        Undecided::Refused(why) => ApiError::new(ErrorCode::BadRequest, why.clone()),
        Undecided::Failed(why) => {
            tracing::warn!(why, "a decision about a break could not be carried out");
            ApiError::new(
                ErrorCode::Unavailable,
                "the decision could not be carried out, and nothing was changed; try again",
            )
        }
    }
}

/// Decides about a break: somebody looks at it, lives with it for a time, says that it is over or never was, or takes
/// that back. It stands in the break's history and in the log of administrative actions.
#[utoipa::path(
    post, path = "/v1/breaks/{id}/decisions", tag = "administration", operation_id = "decideBreak",
    params(("id" = String, Path, description = "Its identity, or the beginning of it: at least 6 hexadecimal digits")),
    request_body = Decision, security(("bearer" = []), ("api_key" = [])),
    responses(
        (status = 200, description = "The break afterwards", body = Decided),
        (status = 404, description = "`not_found`", body = Problem, content_type = "application/problem+json"),
        Refusals,
        Problems,
    )
)]
pub(super) async fn decide(
    Operator(caller): Operator,
    State(state): State<ApiState>,
    Path(id): Path<String>,
    params: Params,
    bytes: Bytes,
) -> Result<Response, ApiError> {
    params.allow(&[])?;
    let id = identity(&id)?;
    let pool = state.writing()?;
    let desk = state.desk.as_ref().ok_or_else(|| {
        ApiError::new(
            ErrorCode::Unavailable,
            "this process carries no decisions out",
        )
    })?;
    let decision: Decision = serde_json::from_slice(&bytes).map_err(|error| {
        ApiError::new(
            ErrorCode::BadRequest,
            format!("the body is no decision: {error}"),
        )
    })?;
    if let Decision::Accept { for_seconds, .. } = &decision
        && !(1..=LONGEST_S).contains(for_seconds)
    {
        let detail = format!("`for_seconds` is a number from 1 to {LONGEST_S}");
        return Err(ApiError::new(ErrorCode::BadRequest, detail));
    }
    let after = desk
        .decide(pool, &caller, &id, &decision)
        .await
        .map_err(|error| refused(&error, &id))?;
    let mut response = Json(Decided { data: after.into() }).into_response();
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}
