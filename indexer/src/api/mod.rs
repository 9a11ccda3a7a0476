//! The HTTP API: it serves what is indexed and decides nothing.
//!
//! Each request reads one snapshot and says in `as_of` for which block its answer is true. Pages are
//! walked with cursors that stand on a block: when that block leaves the canonical chain the walk ends
//! with `409 fork_changed`, so that no client ever joins pages of two forks.

pub mod access;
mod art;
mod cursor;
pub mod desk;
mod error;
mod forms;
mod examples;
mod layers;
pub mod metrics;
mod params;
pub mod read;
mod reader;
mod routes;
mod boards;
mod clock;
mod standing;
mod state;
pub mod stream;
#[cfg(test)]
mod tests;
mod view;

use access::Schemes;
pub use error::{ApiError, ErrorCode, Problem};
pub use state::{
    ApiState, Blocked, CorsOrigins, LagLimits, Limits, Live, LiveStatus, NoOrigin, RenderClarity,
    StatementPage, WebhookRules,
};

use std::sync::Arc;

use axum::Router;
use axum::middleware;
use tokio::sync::Semaphore;
use utoipa::{Modify as _, OpenApi as _};
use utoipa_axum::router::OpenApiRouter;

/// The document around the routes; these add themselves.
#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "stxworx",
        description = "A fork-safe mirror of contracts on the Stacks chain. Every answer says in `as_of` \
                       for which block it is true. Amounts are decimal text in base units."
    ),
    tags(
        (name = "chain", description = "Blocks, transactions and events"),
        (name = "contracts", description = "Followed contracts and projected states"),
        (name = "marketplace", description = "Projects, users, badges, governance and money, as the contracts tell of them"),
        (name = "stream", description = "Changes as they happen: server-sent events, a websocket, webhooks"),
        (name = "mirror", description = "The mirror itself"),
        (name = "administration", description = "For those who run the service; each route names the role it wants"),
        (name = "health", description = "For probes and monitors"),
        (name = "documentation", description = "This document")
    ),
    modifiers(&Schemes),
    components(schemas(
        Problem, ErrorCode, params::Direction, stream::frame::Hello, stream::frame::CutFrame, stream::mints::MintMessage,
    ))
)]
struct Document;

fn documented(state: &ApiState) -> OpenApiRouter<ApiState> {
    let bounded = middleware::from_fn_with_state(state.clone(), layers::bounded);
    let known = middleware::from_fn_with_state(state.clone(), access::known);
    let guarded = routes::reading().merge(routes::administration());
    OpenApiRouter::with_openapi(Document::openapi())
        // The last layer is the outermost: who asks too often takes no slot from others.
        .merge(guarded.layer(bounded).layer(known))
        .merge(routes::open())
}

/// The API as a service.
pub fn router(mut state: ApiState) -> Router {
    state.slots = Arc::new(Semaphore::new(state.limits.concurrent_requests));
    let (router, _) = documented(&state).split_for_parts();
    layers::surround(router.with_state(state.clone()), &state)
}

/// The description of the API, OpenAPI 3.1.
pub fn openapi() -> utoipa::openapi::OpenApi {
    let mut document = Document::openapi();
    document.merge(routes::reading().into_openapi());
    document.merge(routes::administration().into_openapi());
    document.merge(routes::open().into_openapi());
    forms::Forms.modify(&mut document);
    examples::add(&mut document);
    document
}
