//! The routes. Those that read the chain are bounded in number and time; health checks are not.

mod audit_log;
mod blocks;
mod breaks;
mod completeness;
mod console;
mod coverage;
mod decide;
mod contracts;
mod docs;
pub(super) mod events;
mod health;
mod keys;
mod market;
pub(super) mod mints;
mod projections;
mod reorgs;
mod status;
mod stream;
mod sync;
mod transactions;
mod treasury;
mod webhooks;
mod whoami;
mod why;

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
        .routes(routes!(completeness::completeness))
        .merge(marketplace())
        .merge(streams())
}

/// Routes that read the marketplace.
fn marketplace() -> OpenApiRouter<ApiState> {
    OpenApiRouter::default()
        .routes(routes!(market::projects::list))
        .routes(routes!(market::projects::project))
        .routes(routes!(market::timeline::timeline))
        .routes(routes!(market::milestones::of_project))
        .routes(routes!(market::milestones::disputes))
        .routes(routes!(market::milestones::settlements))
        .routes(routes!(market::people::list))
        .routes(routes!(market::profiles::profile))
        .routes(routes!(market::badges::list))
        .routes(routes!(market::badges::badge))
        .routes(routes!(market::eligibility::of_user))
        .routes(routes!(market::metadata::metadata))
        .routes(routes!(market::metadata::image))
        .routes(routes!(mints::list))
        .routes(routes!(mints::one))
        .routes(routes!(market::leaderboards::board))
        .routes(routes!(market::leaderboards::proof))
        .routes(routes!(market::governance::actions))
        .routes(routes!(market::governance::action))
        .routes(routes!(market::governance::signers))
        .routes(routes!(market::money::assets))
        .routes(routes!(market::money::treasury))
        .routes(routes!(market::fees::list))
        .routes(routes!(treasury::ledger::list))
        .routes(routes!(treasury::statements::list))
        .routes(routes!(treasury::statements::one))
        .routes(routes!(treasury::dao::figures))
        .routes(routes!(market::stats::series))
        .routes(routes!(market::money::settings))
}

/// Routes that tell of changes as they happen.
fn streams() -> OpenApiRouter<ApiState> {
    OpenApiRouter::default()
        .routes(routes!(stream::events))
        .routes(routes!(stream::websocket))
}

/// Routes for those who run the service. Each one names the role it wants.
pub(super) fn administration() -> OpenApiRouter<ApiState> {
    OpenApiRouter::default()
        .routes(routes!(audit_log::list))
        .routes(routes!(breaks::list))
        .routes(routes!(breaks::one))
        .routes(routes!(decide::decide))
        .routes(routes!(breaks::coverage))
        .routes(routes!(why::why))
        .routes(routes!(whoami::whoami))
        .routes(routes!(keys::list))
        .routes(routes!(keys::revoke))
        .routes(routes!(webhooks::list, webhooks::create))
        .routes(routes!(webhooks::one, webhooks::change, webhooks::remove))
        .routes(routes!(webhooks::rotate))
        .routes(routes!(webhooks::deliveries))
        .routes(routes!(webhooks::dead_letters))
        .routes(routes!(webhooks::redrive))
        .routes(routes!(webhooks::test))
}

/// Routes that answer under any load.
pub(super) fn open() -> OpenApiRouter<ApiState> {
    OpenApiRouter::default()
        .routes(routes!(docs::openapi_json))
        .routes(routes!(docs::page))
        .routes(routes!(console::page))
        .routes(routes!(console::part))
        .routes(routes!(health::live))
        .routes(routes!(health::ready))
        .routes(routes!(health::lag))
}
