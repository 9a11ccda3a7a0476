//! Assets of the escrows, treasuries, and what is set.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use stxworx_clarity::events::logic::LogicEvent;
use utoipa::ToSchema;

use super::{
    Changed, ContractParams, Stated, contract_of, named_page, principal_filter, typed, unreadable,
};
use crate::api::error::{ApiError, Early, Problem, Problems};
use crate::api::params::{self, AtBlockParams, PageParams, Params};
use crate::api::reader::Reader;
use crate::api::state::ApiState;
use crate::api::view::Page;
use crate::store::read::market::{
    self, ASSETS, AssetState, SETTINGS, SettingState, TREASURY, TreasuryState, Units,
};
use crate::store::read::projection::{self, EntityFilter, VersionRow};

/// Between the contract and the asset in the name of a setting.
const BUDGET: &str = "/budget-set/";

/// A treasury's income and spending in one asset.
#[derive(Debug, Serialize, ToSchema)]
struct TreasuryView {
    /// The principal that receives the fees, or the contract that pays.
    treasury: String,
    /// `STX` or the token's contract.
    asset: String,
    #[serde(flatten)]
    state: TreasuryState,
    /// What the governed treasury may pay; null without a budget.
    budget: Option<BudgetView>,
    /// What made the sums so; null while there are none.
    changed: Option<Changed>,
}

/// What may be paid per period.
#[derive(Debug, Serialize, ToSchema)]
struct BudgetView {
    /// Base units per period.
    amount: Units,
    /// Burn blocks, decimal.
    period: String,
    /// What set it.
    changed: Changed,
}

/// The part of `budget-set` that a budget is.
#[derive(Deserialize)]
struct Budget {
    amount: Units,
    period: String,
}

/// A setting of a contract.
#[derive(Debug, Serialize, ToSchema)]
struct SettingView {
    /// The contract.
    contract: String,
    /// What tells it from others of its topic, for instance the asset or the kind; null where there is
    /// one only.
    key: Option<String>,
    #[serde(flatten)]
    state: SettingState,
    /// What made it so.
    changed: Changed,
}

/// Assets by contract and name: their terms, and where the money is.
#[utoipa::path(
    get, path = "/v1/assets", tag = "marketplace", operation_id = "assets",
    params(ContractParams, AtBlockParams, PageParams),
    responses(
        (status = 200, description = "A page of assets", body = Page<Stated<AssetState>>),
        (status = 304, description = "The client's copy is current"),
        (status = 409, description = "`fork_changed`", body = Problem, content_type = "application/problem+json"),
        Problems,
    )
)]
pub(in crate::api::routes) async fn assets(
    State(state): State<ApiState>,
    params: Params,
) -> Result<Response, Early> {
    params.allow(&[&["contract"], params::AT_BLOCK, params::PAGE])?;
    params.page()?;
    let contract = contract_of(&params, LogicEvent::CONTRACT)?;
    let filter = EntityFilter {
        projection: ASSETS.id,
        prefix: contract.map(|id| format!("{id}|")),
        ..EntityFilter::default()
    };
    let reader = Reader::open(&state, &params).await?;
    named_page(reader, &params, filter, Stated::<AssetState>::new).await
}

/// Settings by contract, topic and key: what the governor and the attestors set.
#[utoipa::path(
    get, path = "/v1/settings", tag = "marketplace", operation_id = "settings",
    params(
        ("contract" = Option<String>, Query, description = "Settings of this contract"),
        ("topic" = Option<String>, Query, description = "The event that sets it, for instance `fee-set`"),
        AtBlockParams, PageParams,
    ),
    responses(
        (status = 200, description = "A page of settings", body = Page<SettingView>),
        (status = 304, description = "The client's copy is current"),
        (status = 409, description = "`fork_changed`", body = Problem, content_type = "application/problem+json"),
        Problems,
    )
)]
pub(in crate::api::routes) async fn settings(
    State(state): State<ApiState>,
    params: Params,
) -> Result<Response, Early> {
    params.allow(&[&["contract", "topic"], params::AT_BLOCK, params::PAGE])?;
    params.page()?;
    let contract = params.contract("contract")?;
    let topic = params.text("topic")?;
    let filter = EntityFilter {
        projection: SETTINGS.id,
        prefix: contract.map(|id| format!("{id}/")),
        matching: super::containing([("topic", topic.map(Into::into))]),
        ..EntityFilter::default()
    };
    let reader = Reader::open(&state, &params).await?;
    named_page(reader, &params, filter, |row, reader| {
        let mut parts = row.entity.splitn(3, '/');
        let contract = parts.next().unwrap_or_default().to_owned();
        Ok(SettingView {
            contract,
            key: parts.nth(1).map(str::to_owned),
            state: typed::<SettingState>(&row.state)?,
            changed: Changed::new(row, reader),
        })
    })
    .await
}

/// Treasuries by name and asset: fees received, payments made, and the budget of the governed one.
#[utoipa::path(
    get, path = "/v1/treasury", tag = "marketplace", operation_id = "treasury",
    params(
        ("treasury" = Option<String>, Query, description = "This principal's only"),
        AtBlockParams, PageParams,
    ),
    responses(
        (status = 200, description = "A page of treasuries, one row for each of their assets", body = Page<TreasuryView>),
        (status = 304, description = "The client's copy is current"),
        (status = 409, description = "`fork_changed`", body = Problem, content_type = "application/problem+json"),
        Problems,
    )
)]
pub(in crate::api::routes) async fn treasury(
    State(state): State<ApiState>,
    params: Params,
) -> Result<Response, Early> {
    params.allow(&[&["treasury"], params::AT_BLOCK, params::PAGE])?;
    let page = params.page()?;
    let prefix = principal_filter(&params, "treasury")?.map(|id| format!("{id}|"));
    let mut reader = Reader::open(&state, &params).await?;
    reader.stand_at(&params).await?;
    let after = reader.walk(page.cursor.as_deref(), String::new()).await?;
    let connection = reader.connection();
    let found = market::treasuries(connection, prefix.as_deref(), &after, page.limit).await?;
    let next = found
        .rows
        .last()
        .filter(|_| found.more)
        .and_then(|entity| reader.cursor_behind(entity.clone()));
    let mut states = treasury_states(&mut reader, &found.rows).await?;
    let mut data = Vec::new();
    for entity in &found.rows {
        // What had neither at the block was not there yet.
        data.extend(treasury_view(&mut states, entity, &reader)?);
    }
    Ok(reader.page(data, next))
}

/// What the projections say of these treasuries, by projection and entity.
async fn treasury_states(
    reader: &mut Reader,
    treasuries: &[String],
) -> Result<BTreeMap<(String, String), VersionRow>, Early> {
    let names = [TREASURY.name.to_owned(), SETTINGS.name.to_owned()];
    let budgets = treasuries.iter().map(|entity| budget_of(entity));
    let entities: Vec<_> = treasuries.iter().cloned().chain(budgets).collect();
    let at = reader.bound();
    let rows = projection::at_height(reader.connection(), &names, &entities, at).await?;
    Ok(rows
        .into_iter()
        .map(|row| ((row.projection.clone(), row.entity.clone()), row))
        .collect())
}

/// The setting with the budget of a treasury's asset.
fn budget_of(treasury: &str) -> String {
    treasury.replacen('|', BUDGET, 1)
}

fn treasury_view(
    states: &mut BTreeMap<(String, String), VersionRow>,
    entity: &str,
    reader: &Reader,
) -> Result<Option<TreasuryView>, ApiError> {
    let sums = states.remove(&(TREASURY.name.to_owned(), entity.to_owned()));
    let budget = states.remove(&(SETTINGS.name.to_owned(), budget_of(entity)));
    if sums.is_none() && budget.is_none() {
        return Ok(None);
    }
    let (treasury, asset) = entity.split_once('|').unwrap_or((entity, ""));
    let state = sums
        .as_ref()
        .map(|row| typed::<TreasuryState>(&row.state))
        .transpose()?;
    let budget = match &budget {
        None => None,
        Some(row) => {
            let setting: SettingState = typed(&row.state)?;
            let budget = Budget::deserialize(&setting.value).map_err(|e| unreadable(&e))?;
            Some(BudgetView {
                amount: budget.amount,
                period: budget.period,
                changed: Changed::new(row, reader),
            })
        }
    };
    Ok(Some(TreasuryView {
        treasury: treasury.to_owned(),
        asset: asset.to_owned(),
        state: state.unwrap_or_default(),
        budget,
        changed: sums.as_ref().map(|row| Changed::new(row, reader)),
    }))
}
