//! Keys of the API, for those who decide who may do what. They are made on the command line only, so that no secret
//! passes through a browser.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::webhooks::PlainPage;
use crate::api::access::{Admin, Refusals};
use crate::api::error::{ApiError, ErrorCode, Problem, Problems};
use crate::api::params::{self, PageParams, Params};
use crate::api::state::ApiState;
use crate::store::keys::{self, KeyInfo, Revoked};

/// A key. Its secret is not stored.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct KeyView {
    /// The public part.
    id: String,
    /// Whose.
    name: String,
    /// What its bearer may do: `reader`, `operator` or `admin`.
    role: String,
    /// When it was made, RFC 3339.
    created_at: String,
    /// When it ceases to be valid, RFC 3339; null for never.
    expires_at: Option<String>,
    /// When it was revoked, RFC 3339; null while in force.
    revoked_at: Option<String>,
    /// When it was used last, RFC 3339, to some minutes; null for never.
    last_used_at: Option<String>,
}

impl From<KeyInfo> for KeyView {
    fn from(key: KeyInfo) -> Self {
        Self {
            id: key.id,
            name: key.name,
            role: key.role,
            created_at: key.created_at,
            expires_at: key.expires_at,
            revoked_at: key.revoked_at,
            last_used_at: key.last_used_at,
        }
    }
}

/// Keys, the newest first.
#[utoipa::path(
    get, path = "/v1/keys", tag = "administration", operation_id = "keys",
    params(PageParams), security(("bearer" = []), ("api_key" = [])),
    responses((status = 200, description = "A page of keys", body = PlainPage<KeyView>), Refusals, Problems)
)]
pub(super) async fn list(
    _: Admin,
    State(state): State<ApiState>,
    params: Params,
) -> Result<Response, ApiError> {
    params.allow(&[params::PAGE])?;
    let page = params.page()?;
    let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
    let mut rows = keys::list(&state.pool).await?;
    if let Some(cursor) = page.cursor.as_deref() {
        let place = rows.iter().position(|key| key.id == cursor);
        let place = place.ok_or_else(|| {
            ApiError::new(
                ErrorCode::BadCursor,
                "the cursor was not made by this route",
            )
        })?;
        rows.drain(..=place);
    }
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next_cursor = rows.last().filter(|_| more).map(|key| key.id.clone());
    let data: Vec<KeyView> = rows.into_iter().map(Into::into).collect();
    let mut response = Json(PlainPage { data, next_cursor }).into_response();
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// Revokes a key, for good. Running processes refuse it some seconds later. One that is revoked already stays as it is.
#[utoipa::path(
    delete, path = "/v1/keys/{id}", tag = "administration", operation_id = "revokeKey",
    params(("id" = String, Path, description = "Its public part, 16 hexadecimal digits")),
    security(("bearer" = []), ("api_key" = [])),
    responses(
        (status = 204, description = "It is revoked"),
        (status = 404, description = "`not_found`", body = Problem, content_type = "application/problem+json"),
        Refusals, Problems,
    )
)]
pub(super) async fn revoke(
    Admin(caller): Admin,
    State(state): State<ApiState>,
    Path(id): Path<String>,
    params: Params,
) -> Result<Response, ApiError> {
    params.allow(&[])?;
    let is_id = id.len() == 16 && id.bytes().all(|b| b.is_ascii_hexdigit());
    if !is_id {
        return Err(ApiError::parameter("id", &id, "16 hexadecimal digits"));
    }
    match keys::revoke(state.writing()?, &caller, &id).await? {
        Revoked::Now | Revoked::Before => Ok(StatusCode::NO_CONTENT.into_response()),
        Revoked::Unknown => Err(ApiError::not_found(format!("there is no key {id}"))),
    }
}
