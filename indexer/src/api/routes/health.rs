//! Health: alive, ready, and not behind. Three questions, because they ask for three different cures:
//! restart, wait, look.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::status::{StallView, silence};
use crate::api::error::{ApiError, Early};
use crate::api::params::Params;
use crate::api::state::ApiState;
use crate::store::read::status::WaitingRow;
use crate::store::read::{Snapshot, status};

/// How long a probe waits for the database.
const PROBE: Duration = Duration::from_secs(3);

/// The process serves.
#[derive(Debug, Serialize, ToSchema)]
struct LiveView {
    /// Always `live`.
    status: &'static str,
}

/// Can requests be sent here?
#[derive(Debug, Serialize, ToSchema)]
struct ReadyView {
    /// Yes, when all of the others are well.
    ready: bool,
    /// Does the database answer, and hold a mirror?
    database: bool,
    /// Have all migrations been applied?
    schema_current: bool,
    /// The stage that stands still; null while all move.
    blocked: Option<StallView>,
}

/// Is the mirror behind?
#[derive(Debug, Serialize, ToSchema)]
struct LagView {
    /// No, when the backlog, the silence and every stage are within bounds.
    behind: bool,
    /// Why it is behind, in words.
    reasons: Vec<String>,
    /// Unprocessed payloads; null when the database does not answer.
    backlog: Option<u64>,
    /// Seconds since the oldest of these arrived.
    oldest_received_seconds: Option<u64>,
    /// Seconds since the last payload of this process; null before the first.
    seconds_since_last_payload: Option<u64>,
    /// Age of the tip by the chain's own clock, in seconds.
    tip_age_seconds: Option<u64>,
    /// The stage that stands still; null while all move.
    blocked: Option<StallView>,
}

fn answer(well: bool, view: impl Serialize) -> Response {
    let status = if well {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, [(header::CACHE_CONTROL, "no-store")], Json(view)).into_response()
}

async fn waiting(state: &ApiState) -> Option<WaitingRow> {
    let read = async {
        let mut snapshot = Snapshot::open(&state.pool).await?;
        status::waiting(snapshot.connection()).await
    };
    match tokio::time::timeout(PROBE, read).await {
        Ok(Ok(waiting)) => Some(waiting),
        Ok(Err(error)) => {
            tracing::warn!(error = %ApiError::from(error), "a health check cannot read the database");
            None
        }
        Err(_elapsed) => None,
    }
}

/// Does the process serve? Says nothing about the database or the chain.
#[utoipa::path(
    get, path = "/health/live", tag = "health", operation_id = "live",
    responses((status = 200, description = "It serves", body = LiveView))
)]
pub(super) async fn live() -> Response {
    answer(true, LiveView { status: "live" })
}

/// Can requests be sent here? The database answers, its schema is current, and no stage is blocked.
#[utoipa::path(
    get, path = "/health/ready", tag = "health", operation_id = "ready",
    responses(
        (status = 200, description = "Yes", body = ReadyView),
        (status = 503, description = "No", body = ReadyView)
    )
)]
pub(super) async fn ready(
    State(state): State<ApiState>,
    params: Params,
) -> Result<Response, Early> {
    params.allow(&[])?;
    let live = state.live.live();
    let opened = tokio::time::timeout(PROBE, Snapshot::open(&state.pool)).await;
    let database = live.database_reachable && matches!(opened, Ok(Ok(_)));
    let ready = database && live.schema_current && live.blocked.is_none();
    Ok(answer(
        ready,
        ReadyView {
            ready,
            database,
            schema_current: live.schema_current,
            blocked: live.blocked.map(Into::into),
        },
    ))
}

/// Is the mirror behind, and where does it stand still?
#[utoipa::path(
    get, path = "/health/lag", tag = "health", operation_id = "lag",
    responses(
        (status = 200, description = "It keeps up", body = LagView),
        (status = 503, description = "It is behind", body = LagView)
    )
)]
pub(super) async fn lag(State(state): State<ApiState>, params: Params) -> Result<Response, Early> {
    params.allow(&[])?;
    let live = state.live.live();
    let waiting = waiting(&state).await;
    let silence = silence(&live);
    let limits = &state.lag;
    let mut reasons = Vec::new();
    match &waiting {
        None => reasons.push("the database does not answer".to_owned()),
        Some(w) if w.received.0 > limits.backlog => {
            reasons.push(format!("more than {} payloads wait", limits.backlog));
        }
        Some(w) if w.detached.0 > limits.detached => reasons.push(format!(
            "{} blocks wait for a parent that has not come; see /v1/status",
            w.detached.0
        )),
        Some(_) => {}
    }
    if silence.is_some_and(|seconds| seconds > limits.silence.as_secs()) {
        reasons.push(format!(
            "no payload for more than {} s",
            limits.silence.as_secs()
        ));
    }
    if let Some(blocked) = &live.blocked {
        reasons.push(format!("{} stands still", blocked.stage));
    }
    let behind = !reasons.is_empty();
    Ok(answer(
        !behind,
        LagView {
            behind,
            reasons,
            backlog: waiting.as_ref().map(|w| w.received.0),
            oldest_received_seconds: waiting
                .as_ref()
                .and_then(|w| w.oldest_received_seconds.map(|age| age.0)),
            seconds_since_last_payload: silence,
            tip_age_seconds: waiting
                .as_ref()
                .and_then(|w| w.tip_age_seconds.map(|age| age.0)),
            blocked: live.blocked.map(Into::into),
        },
    ))
}
