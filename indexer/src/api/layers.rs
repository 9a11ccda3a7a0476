//! What surrounds every route: request ids, problems in place of bare errors, headers, limits, one log
//! line per request.

use std::any::Any;
use std::error::Error as _;
use std::time::Instant;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::cors::{AllowOrigin, CorsLayer};
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::request_id::{MakeRequestId as _, MakeRequestUuid};

use super::access;
use super::error::{ApiError, Cause, ErrorCode};
use super::state::{ApiState, CorsOrigins};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const MAX_REQUEST_ID: usize = 128;

/// Puts the layers around all routes; the last one is the outermost.
pub(super) fn surround(router: Router, state: &ApiState) -> Router {
    router
        .layer(RequestBodyLimitLayer::new(state.limits.body_bytes))
        .layer(middleware::from_fn_with_state(state.clone(), sized))
        .layer(cors(&state.cors))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn_with_state(state.clone(), frame))
        .layer(CompressionLayer::new())
}

/// Bounds the work of the reading routes. Health checks stay outside: they must answer under load.
pub(super) async fn bounded(
    State(state): State<ApiState>,
    request: Request,
    next: Next,
) -> Response {
    let Ok(_slot) = state.slots.try_acquire() else {
        return ApiError::new(ErrorCode::Unavailable, "too many requests are under way")
            .into_response();
    };
    match tokio::time::timeout(state.limits.request_timeout, next.run(request)).await {
        Ok(response) => response,
        Err(_elapsed) => ApiError::new(
            ErrorCode::Unavailable,
            "the request took too long; narrow it by contract or by height",
        )
        .into_response(),
    }
}

/// Refuses what is longer than any request of a client.
async fn sized(State(state): State<ApiState>, request: Request, next: Next) -> Response {
    let limits = &state.limits;
    let uri = request
        .uri()
        .path_and_query()
        .map_or(0, |text| text.as_str().len());
    if uri > limits.uri_bytes {
        let detail = format!(
            "path and query have {uri} bytes; {} are allowed",
            limits.uri_bytes
        );
        return ApiError::new(ErrorCode::UriTooLong, detail).into_response();
    }
    let headers: usize = request
        .headers()
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum();
    if headers > limits.header_bytes {
        let detail = format!(
            "the headers have {headers} bytes; {} are allowed",
            limits.header_bytes
        );
        return ApiError::new(ErrorCode::HeadersTooLarge, detail).into_response();
    }
    next.run(request).await
}

fn cors(origins: &CorsOrigins) -> CorsLayer {
    let origin = match origins {
        CorsOrigins::Any => AllowOrigin::any(),
        CorsOrigins::List(origins) => AllowOrigin::list(origins.iter().cloned()),
    };
    CorsLayer::new()
        .allow_origin(origin)
        .allow_methods([
            Method::GET,
            Method::HEAD,
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
        ])
        .allow_headers([
            header::IF_NONE_MATCH,
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            HeaderName::from_static("last-event-id"),
            access::KEY_HEADER,
            REQUEST_ID,
        ])
        .expose_headers([
            header::ETAG,
            header::RETRY_AFTER,
            header::WWW_AUTHENTICATE,
            access::LIMIT,
            access::REMAINING,
            access::RESET,
            REQUEST_ID,
        ])
}

fn panicked(panic: Box<dyn Any + Send + 'static>) -> Response {
    let message = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
    tracing::error!(message, "a request panicked");
    ApiError::new(
        ErrorCode::Internal,
        "the request failed; the request id finds it in the logs",
    )
    .into_response()
}

/// A client's own request id, if it is short and plain; else a new one.
fn request_id(request: &Request) -> HeaderValue {
    let given = request.headers().get(&REQUEST_ID).filter(|id| {
        (1..=MAX_REQUEST_ID).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic)
    });
    match given {
        Some(id) => id.clone(),
        None => MakeRequestUuid
            .make_request_id(request)
            .map_or(HeaderValue::from_static("none"), |id| {
                id.into_header_value()
            }),
    }
}

async fn frame(State(state): State<ApiState>, mut request: Request, next: Next) -> Response {
    let began = Instant::now();
    let id = request_id(&request);
    request.headers_mut().insert(REQUEST_ID, id.clone());
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map(|p| p.as_str().to_owned());

    let mut response = problem_for_bare_errors(next.run(request).await, &path);
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, id.clone());
    security_headers(headers);

    let cause = response
        .extensions()
        .get::<Cause>()
        .and_then(|cause| cause.0.clone());
    let status = response.status().as_u16();
    let latency_us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
    let request_id = id.to_str().unwrap_or_default();
    let route = route.as_deref().unwrap_or("none");
    if let Some(metrics) = &state.metrics {
        metrics.answered(route, status, began.elapsed());
    }
    if response.status().is_server_error() {
        let error = cause.as_ref().map(ToString::to_string);
        let source = cause
            .as_ref()
            .and_then(|c| c.source())
            .map(ToString::to_string);
        tracing::warn!(%method, path, route, status, latency_us, request_id, error, source, "request failed");
    } else {
        tracing::info!(%method, path, route, status, latency_us, request_id, "request");
    }
    response
}

/// Routers and layers answer errors without a body, or with plain text; clients get a problem.
fn problem_for_bare_errors(response: Response, path: &str) -> Response {
    let status = response.status();
    let is_error = status.is_client_error() || status.is_server_error();
    let speaks = response.extensions().get::<Cause>().is_some()
        || response
            .headers()
            .get(header::CONTENT_TYPE)
            .is_some_and(|kind| kind.as_bytes().ends_with(b"json"));
    if !is_error || speaks {
        return response;
    }
    let path: String = path.chars().take(120).collect();
    let detail = match status {
        StatusCode::NOT_FOUND => format!("there is no path {path}; /v1/openapi.json lists them"),
        StatusCode::METHOD_NOT_ALLOWED => {
            let allowed = response.headers().get(header::ALLOW);
            let allowed = allowed.and_then(|allow| allow.to_str().ok());
            format!("{path} takes {}", allowed.unwrap_or("another method"))
        }
        _ => "the request was refused".to_owned(),
    };
    let mut problem = ApiError::new(ErrorCode::of_status(status), detail).into_response();
    if let Some(allow) = response.headers().get(header::ALLOW) {
        problem.headers_mut().insert(header::ALLOW, allow.clone());
    }
    for (name, value) in response.headers() {
        if name.as_str().starts_with("access-control-") || name == header::VARY {
            problem.headers_mut().append(name.clone(), value.clone());
        }
    }
    problem
}

fn security_headers(headers: &mut axum::http::HeaderMap) {
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // Data is never a page; the one page brings its own policy.
    headers
        .entry(header::CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static(
            "default-src 'none'; frame-ancestors 'none'",
        ));
}
