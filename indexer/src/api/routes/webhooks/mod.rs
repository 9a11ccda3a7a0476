//! Webhooks, for those who run the service.

mod view;

use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use serde_json::json;

pub(super) use self::view::PlainPage;
use self::view::{
    ChangedWebhook, DeliveryView, NewWebhook, Plain, Rotation, WebhookView, WithSecret, body,
    delivery_name, logged,
};
use crate::api::access::{Caller, Operator, Refusals};
use crate::api::error::{ApiError, ErrorCode, Problem, Problems};
use crate::api::params::{self, PageParams, Params};
use crate::api::state::ApiState;
use crate::store::webhook::delivery::{self, Key};
use crate::store::webhook::{self as store, WebhookRow};
use crate::store::{StoreError, admin};
use crate::webhook::{MAX_WEBHOOKS, sign};

/// Longest time for which two secrets sign.
const LONGEST_GRACE_S: u64 = 30 * 86_400;

fn failed(error: StoreError) -> ApiError {
    ApiError::from(crate::store::read::ReadError::from(error))
}

fn missing(id: i64) -> ApiError {
    ApiError::not_found(format!("there is no webhook {id}"))
}

/// These answers hold what is not for caches.
fn answer<T: Serialize>(status: StatusCode, answer: T) -> Response {
    let mut response = (status, Json(answer)).into_response();
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn number(text: &str) -> Result<i64, ApiError> {
    text.parse()
        .ok()
        .filter(|id| *id > 0)
        .ok_or_else(|| ApiError::parameter("id", text, "the number of a webhook"))
}

fn target(id: i64) -> String {
    format!("webhook/{id}")
}

fn new_secret() -> Result<String, ApiError> {
    sign::new_secret().map_err(|error| ApiError::new(ErrorCode::Unavailable, error.to_string()))
}

async fn read(tx: &mut sqlx::PgConnection, id: i64) -> Result<WebhookRow, ApiError> {
    store::one(tx, id)
        .await
        .map_err(failed)?
        .ok_or_else(|| missing(id))
}

/// Makes a webhook. The secret in the answer is not shown again.
#[utoipa::path(
    post, path = "/v1/webhooks", tag = "stream", operation_id = "createWebhook",
    request_body = NewWebhook, security(("bearer" = []), ("api_key" = [])),
    responses((status = 201, description = "It was made", body = Plain<WithSecret>), Refusals, Problems)
)]
pub(super) async fn create(
    Operator(caller): Operator,
    State(state): State<ApiState>,
    params: Params,
    bytes: Bytes,
) -> Result<Response, ApiError> {
    params.allow(&[])?;
    let pool = state.writing()?;
    let new: NewWebhook = body(&bytes)?;
    let wish = new.wish(&state)?;
    let [active, paused, disabled] = store::count(pool).await.map_err(failed)?;
    if active + paused + disabled >= MAX_WEBHOOKS {
        let detail = format!("there are {MAX_WEBHOOKS} webhooks already; remove one first");
        return Err(ApiError::new(ErrorCode::BadRequest, detail));
    }
    let position = new.begins(&state, &wish.min_finality).await?;
    let secret = new_secret()?;
    let mut tx = admin::begin(pool).await.map_err(failed)?;
    let id = store::create(&mut tx, &wish, &position.to_string(), &caller.name, &secret)
        .await
        .map_err(failed)?;
    let row = read(&mut tx, id).await?;
    admin::record(
        &mut tx,
        &caller,
        "webhook.create",
        &target(id),
        None,
        Some(&logged(&row)),
    )
    .await
    .map_err(failed)?;
    commit(tx).await?;
    let webhook = row.into();
    Ok(answer(
        StatusCode::CREATED,
        Plain {
            data: WithSecret { webhook, secret },
        },
    ))
}

async fn commit(tx: sqlx::Transaction<'static, sqlx::Postgres>) -> Result<(), ApiError> {
    tx.commit()
        .await
        .map_err(StoreError::db("commit an administrative action"))
        .map_err(failed)
}

/// Webhooks, in order of their numbers.
#[utoipa::path(
    get, path = "/v1/webhooks", tag = "stream", operation_id = "webhooks",
    params(PageParams), security(("bearer" = []), ("api_key" = [])),
    responses((status = 200, description = "A page of webhooks", body = PlainPage<WebhookView>), Refusals, Problems)
)]
pub(super) async fn list(
    _: Operator,
    State(state): State<ApiState>,
    params: Params,
) -> Result<Response, ApiError> {
    params.allow(&[params::PAGE])?;
    let page = params.page()?;
    let after = match page.cursor.as_deref() {
        None => 0,
        Some(text) => text.parse().map_err(|_| {
            ApiError::new(
                ErrorCode::BadCursor,
                "the cursor was not made by this route",
            )
        })?,
    };
    let rows = store::page(state.writing()?, after, page.limit)
        .await
        .map_err(failed)?;
    let (rows, next_cursor) = cut(rows, page.limit, |row| row.id.to_string());
    let data: Vec<WebhookView> = rows.into_iter().map(Into::into).collect();
    Ok(answer(StatusCode::OK, PlainPage { data, next_cursor }))
}

fn cut<T>(mut rows: Vec<T>, limit: u32, cursor: impl Fn(&T) -> String) -> (Vec<T>, Option<String>) {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(cursor);
    (rows, next)
}

/// One webhook.
#[utoipa::path(
    get, path = "/v1/webhooks/{id}", tag = "stream", operation_id = "webhook",
    params(("id" = i64, Path, description = "Its number")), security(("bearer" = []), ("api_key" = [])),
    responses(
        (status = 200, description = "The webhook", body = Plain<WebhookView>),
        (status = 404, description = "`not_found`", body = Problem, content_type = "application/problem+json"),
        Refusals, Problems,
    )
)]
pub(super) async fn one(
    _: Operator,
    State(state): State<ApiState>,
    Path(id): Path<String>,
    params: Params,
) -> Result<Response, ApiError> {
    params.allow(&[])?;
    let id = number(&id)?;
    let mut tx = admin::begin(state.writing()?).await.map_err(failed)?;
    let data: WebhookView = read(&mut tx, id).await?.into();
    Ok(answer(StatusCode::OK, Plain { data }))
}

/// Changes a webhook. It goes on where it was, with what is changed.
#[utoipa::path(
    patch, path = "/v1/webhooks/{id}", tag = "stream", operation_id = "changeWebhook",
    params(("id" = i64, Path, description = "Its number")),
    request_body = ChangedWebhook, security(("bearer" = []), ("api_key" = [])),
    responses(
        (status = 200, description = "The webhook as it is now", body = Plain<WebhookView>),
        (status = 404, description = "`not_found`", body = Problem, content_type = "application/problem+json"),
        Refusals, Problems,
    )
)]
pub(super) async fn change(
    Operator(caller): Operator,
    State(state): State<ApiState>,
    Path(id): Path<String>,
    params: Params,
    bytes: Bytes,
) -> Result<Response, ApiError> {
    params.allow(&[])?;
    let id = number(&id)?;
    let changed: ChangedWebhook = body(&bytes)?;
    let mut tx = admin::begin(state.writing()?).await.map_err(failed)?;
    let before = read(&mut tx, id).await?;
    let wish = changed.wish(&state, &before)?;
    store::update(&mut tx, id, &wish).await.map_err(failed)?;
    let row = read(&mut tx, id).await?;
    let (old, new) = (logged(&before), logged(&row));
    admin::record(
        &mut tx,
        &caller,
        "webhook.change",
        &target(id),
        Some(&old),
        Some(&new),
    )
    .await
    .map_err(failed)?;
    commit(tx).await?;
    Ok(answer(
        StatusCode::OK,
        Plain {
            data: WebhookView::from(row),
        },
    ))
}

/// Removes a webhook, with its secrets and deliveries.
#[utoipa::path(
    delete, path = "/v1/webhooks/{id}", tag = "stream", operation_id = "removeWebhook",
    params(("id" = i64, Path, description = "Its number")), security(("bearer" = []), ("api_key" = [])),
    responses(
        (status = 204, description = "It is gone"),
        (status = 404, description = "`not_found`", body = Problem, content_type = "application/problem+json"),
        Refusals, Problems,
    )
)]
pub(super) async fn remove(
    Operator(caller): Operator,
    State(state): State<ApiState>,
    Path(id): Path<String>,
    params: Params,
) -> Result<Response, ApiError> {
    params.allow(&[])?;
    let id = number(&id)?;
    let mut tx = admin::begin(state.writing()?).await.map_err(failed)?;
    let before = read(&mut tx, id).await?;
    store::delete(&mut tx, id).await.map_err(failed)?;
    admin::record(
        &mut tx,
        &caller,
        "webhook.remove",
        &target(id),
        Some(&logged(&before)),
        None,
    )
    .await
    .map_err(failed)?;
    commit(tx).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Makes a new secret. The old one goes on signing beside it for a while, so that the receiver can change over.
#[utoipa::path(
    post, path = "/v1/webhooks/{id}/rotate", tag = "stream", operation_id = "rotateWebhook",
    params(("id" = i64, Path, description = "Its number")),
    request_body = Rotation, security(("bearer" = []), ("api_key" = [])),
    responses(
        (status = 200, description = "The new secret", body = Plain<WithSecret>),
        (status = 404, description = "`not_found`", body = Problem, content_type = "application/problem+json"),
        Refusals, Problems,
    )
)]
pub(super) async fn rotate(
    Operator(caller): Operator,
    State(state): State<ApiState>,
    Path(id): Path<String>,
    params: Params,
    bytes: Bytes,
) -> Result<Response, ApiError> {
    params.allow(&[])?;
    let id = number(&id)?;
    let rotation: Rotation = body(&bytes)?;
    let grace = rotation.grace_s.unwrap_or(state.webhooks.grace.as_secs());
    if grace > LONGEST_GRACE_S {
        let expected = format!("seconds, at most {LONGEST_GRACE_S}");
        return Err(ApiError::parameter("grace_s", &grace.to_string(), expected));
    }
    let secret = new_secret()?;
    let mut tx = admin::begin(state.writing()?).await.map_err(failed)?;
    read(&mut tx, id).await?;
    store::add_secret(&mut tx, id, &secret, Duration::from_secs(grace))
        .await
        .map_err(failed)?;
    let after = json!({ "grace_s": grace });
    admin::record(
        &mut tx,
        &caller,
        "webhook.rotate",
        &target(id),
        None,
        Some(&after),
    )
    .await
    .map_err(failed)?;
    let row = read(&mut tx, id).await?;
    commit(tx).await?;
    let webhook = row.into();
    Ok(answer(
        StatusCode::OK,
        Plain {
            data: WithSecret { webhook, secret },
        },
    ))
}

/// A webhook's deliveries, the newest lines first. Those that were taken are kept for a week.
#[utoipa::path(
    get, path = "/v1/webhooks/{id}/deliveries", tag = "stream", operation_id = "webhookDeliveries",
    params(("id" = i64, Path, description = "Its number"), PageParams),
    security(("bearer" = []), ("api_key" = [])),
    responses(
        (status = 200, description = "A page of deliveries", body = PlainPage<DeliveryView>),
        (status = 404, description = "`not_found`", body = Problem, content_type = "application/problem+json"),
        Refusals, Problems,
    )
)]
pub(super) async fn deliveries(
    _: Operator,
    State(state): State<ApiState>,
    Path(id): Path<String>,
    params: Params,
) -> Result<Response, ApiError> {
    letters(&state, &id, &params, false).await
}

/// A webhook's dead letters, the newest lines first.
#[utoipa::path(
    get, path = "/v1/webhooks/{id}/dead-letters", tag = "stream", operation_id = "webhookDeadLetters",
    params(("id" = i64, Path, description = "Its number"), PageParams),
    security(("bearer" = []), ("api_key" = [])),
    responses(
        (status = 200, description = "A page of deliveries that were given up", body = PlainPage<DeliveryView>),
        (status = 404, description = "`not_found`", body = Problem, content_type = "application/problem+json"),
        Refusals, Problems,
    )
)]
pub(super) async fn dead_letters(
    _: Operator,
    State(state): State<ApiState>,
    Path(id): Path<String>,
    params: Params,
) -> Result<Response, ApiError> {
    letters(&state, &id, &params, true).await
}

async fn letters(
    state: &ApiState,
    id: &str,
    params: &Params,
    dead: bool,
) -> Result<Response, ApiError> {
    params.allow(&[params::PAGE])?;
    let (id, page) = (number(id)?, params.page()?);
    let below = match page.cursor.as_deref() {
        None => (i64::MAX, i32::MAX),
        Some(text) => delivery_name("cursor", text).map_err(|_| {
            ApiError::new(
                ErrorCode::BadCursor,
                "the cursor was not made by this route",
            )
        })?,
    };
    let pool = state.writing()?;
    let mut tx = admin::begin(pool).await.map_err(failed)?;
    let resets = read(&mut tx, id).await?.resets;
    drop(tx);
    let rows = delivery::page(pool, id, dead, below, page.limit)
        .await
        .map_err(failed)?;
    let (rows, next_cursor) = cut(rows, page.limit, |row| format!("{}.{}", row.line, row.part));
    let data: Vec<_> = rows
        .into_iter()
        .map(|row| DeliveryView::new(row, resets))
        .collect();
    Ok(answer(StatusCode::OK, PlainPage { data, next_cursor }))
}

/// Sends a dead letter again, out of its order and with the same event id.
#[utoipa::path(
    post, path = "/v1/webhooks/{id}/dead-letters/{delivery}/redrive", tag = "stream", operation_id = "redriveDeadLetter",
    params(
        ("id" = i64, Path, description = "The webhook's number"),
        ("delivery" = String, Path, description = "The delivery, as the list names it"),
    ),
    security(("bearer" = []), ("api_key" = [])),
    responses(
        (status = 202, description = "It will be sent", body = Plain<DeliveryView>),
        (status = 404, description = "`not_found`", body = Problem, content_type = "application/problem+json"),
        Refusals, Problems,
    )
)]
pub(super) async fn redrive(
    Operator(caller): Operator,
    State(state): State<ApiState>,
    Path((id, name)): Path<(String, String)>,
    params: Params,
) -> Result<Response, ApiError> {
    params.allow(&[])?;
    let webhook = number(&id)?;
    let (line, part) = delivery_name("delivery", &name)?;
    let key = Key {
        webhook,
        line,
        part,
    };
    let mut tx = admin::begin(state.writing()?).await.map_err(failed)?;
    let row = read(&mut tx, webhook).await?;
    let dead = delivery::one(&mut tx, key).await.map_err(failed)?;
    if dead.is_none_or(|delivery| delivery.state != "dead") {
        return Err(ApiError::not_found("there is no such dead letter"));
    }
    delivery::redrive(&mut tx, key).await.map_err(failed)?;
    note(
        &mut tx,
        &caller,
        "webhook.redrive",
        webhook,
        &json!({ "delivery": name }),
    )
    .await?;
    let now = delivery::one(&mut tx, key).await.map_err(failed)?;
    commit(tx).await?;
    let data = now.map(|delivery| DeliveryView::new(delivery, row.resets));
    Ok(answer(StatusCode::ACCEPTED, Plain { data }))
}

/// Sends a letter of the kind `test`, out of order and once. Its end is among the deliveries.
#[utoipa::path(
    post, path = "/v1/webhooks/{id}/test", tag = "stream", operation_id = "testWebhook",
    params(("id" = i64, Path, description = "Its number")), security(("bearer" = []), ("api_key" = [])),
    responses(
        (status = 202, description = "It will be sent", body = Plain<DeliveryView>),
        (status = 404, description = "`not_found`", body = Problem, content_type = "application/problem+json"),
        Refusals, Problems,
    )
)]
pub(super) async fn test(
    Operator(caller): Operator,
    State(state): State<ApiState>,
    Path(id): Path<String>,
    params: Params,
) -> Result<Response, ApiError> {
    params.allow(&[])?;
    let webhook = number(&id)?;
    let mut tx = admin::begin(state.writing()?).await.map_err(failed)?;
    let row = read(&mut tx, webhook).await?;
    let part = delivery::ask_test(&mut tx, webhook).await.map_err(failed)?;
    note(
        &mut tx,
        &caller,
        "webhook.test",
        webhook,
        &json!({ "test": part }),
    )
    .await?;
    let key = Key {
        webhook,
        line: -1,
        part,
    };
    let asked = delivery::one(&mut tx, key).await.map_err(failed)?;
    commit(tx).await?;
    let data = asked.map(|delivery| DeliveryView::new(delivery, row.resets));
    Ok(answer(StatusCode::ACCEPTED, Plain { data }))
}

async fn note(
    tx: &mut sqlx::PgConnection,
    caller: &Caller,
    action: &str,
    webhook: i64,
    after: &serde_json::Value,
) -> Result<(), ApiError> {
    admin::record(tx, caller, action, &target(webhook), None, Some(after))
        .await
        .map_err(failed)
}
