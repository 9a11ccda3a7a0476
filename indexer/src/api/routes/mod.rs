//! The routes. Those that read the chain are bounded in number and time; health checks are not.

mod blocks;
mod contracts;
mod docs;
mod events;
mod health;
mod projections;
mod reorgs;
mod status;
mod transactions;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::state::ApiState;

/// Routes that read the chain.
pub(super) fn reading() -> OpenApiRouter<ApiState> {
    OpenApiRouter::default()
        .routes(routes!(status::status))
        .routes(routes!(blocks::list))
        .routes(routes!(blocks::block))
        .routes(routes!(transactions::list))
        .routes(routes!(transactions::transaction))
        .routes(routes!(transactions::events))
        .routes(routes!(events::list))
        .routes(routes!(contracts::list))
        .routes(routes!(contracts::contract))
        .routes(routes!(contracts::cursor))
        .routes(routes!(projections::entities))
        .routes(routes!(projections::entity))
        .routes(routes!(projections::history))
        .routes(routes!(reorgs::list))
}

/// Routes that answer under any load.
pub(super) fn open() -> OpenApiRouter<ApiState> {
    OpenApiRouter::default()
        .routes(routes!(docs::openapi_json))
        .routes(routes!(docs::page))
        .routes(routes!(health::live))
        .routes(routes!(health::ready))
        .routes(routes!(health::lag))
}
