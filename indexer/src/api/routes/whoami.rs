//! Who the service takes the caller for.

use axum::Json;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::access::{Caller, Reader, Refusals};
use crate::api::error::{ApiError, Problems};
use crate::api::params::Params;

/// The caller.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct WhoView {
    /// The name of the key, or the subject of the token.
    name: String,
    /// How the caller is known: `key` or `token`.
    kind: &'static str,
    /// What the caller may do: `reader`, `operator` or `admin`.
    role: &'static str,
}

impl From<Caller> for WhoView {
    fn from(caller: Caller) -> Self {
        Self {
            kind: caller.kind.as_str(),
            role: caller.role.as_str(),
            name: caller.name,
        }
    }
}

/// The answer, which stands on no block.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct WhoAnswer {
    /// The caller.
    data: WhoView,
}

/// Who asks, by the key or token that was sent, and what they may do. Refused where none was sent.
#[utoipa::path(
    get, path = "/v1/whoami", tag = "administration", operation_id = "whoami",
    security(("bearer" = []), ("api_key" = [])),
    responses((status = 200, description = "The caller", body = WhoAnswer), Refusals, Problems)
)]
pub(super) async fn whoami(Reader(caller): Reader, params: Params) -> Result<Response, ApiError> {
    params.allow(&[])?;
    let mut response = Json(WhoAnswer {
        data: caller.into(),
    })
    .into_response();
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}
