//! Governed actions and their signers.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::{Path, State};
use axum::response::Response;
use serde::Serialize;
use stxworx_clarity::events::security::SecurityEvent;
use utoipa::ToSchema;

use super::{
    Changed, ContractParams, Stated, containing, contract_of, finish, named_page, number,
    numbered_row, typed, word,
};
use crate::api::error::{ApiError, Early, Problem, Problems};
use crate::api::params::{self, AtBlockParams, PageParams, Params};
use crate::api::reader::Reader;
use crate::api::state::ApiState;
use crate::api::view::{Answer, Page};
use crate::store::read::market::{
    self, ACTIONS, ActionState, ActionStatus, NumberedFilter, SIGNERS, SignersState,
};
use crate::store::read::projection::{self, EntityFilter, VersionRow};

/// The words of [`ActionStatus`].
const STATUSES: [&str; 3] = ["pending", "executed", "cancelled"];

/// What can be done with an action now. It follows from the events and Bitcoin's height, and is no event itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum ActionStanding {
    /// More approvals are needed.
    Collecting,
    /// Enough approvals; its time has not come.
    Waiting,
    /// A signer can execute it now.
    Ready,
    /// Its time is over.
    Expired,
    /// The signers changed since: it can never be executed.
    Lapsed,
    /// Carried out.
    Executed,
    /// Taken back, or rejected.
    Cancelled,
}

/// A governed action, and what can be done with it.
#[derive(Debug, Serialize, ToSchema)]
struct ActionView {
    #[serde(flatten)]
    stated: Stated<ActionState>,
    /// What can be done with it now.
    standing: ActionStanding,
    /// Approvals that its class needs; null where the signers are not known here.
    approvals_needed: Option<u64>,
    /// Bitcoin blocks until it may be executed; 0 from then on. Null once it is over.
    blocks_to_eta: Option<u64>,
    /// Bitcoin blocks until it expires; 0 at the last one. Null once it is over.
    blocks_to_expiry: Option<u64>,
}

impl ActionView {
    fn new(
        row: &VersionRow,
        signers: &BTreeMap<String, SignersState>,
        reader: &Reader,
    ) -> Result<Self, ApiError> {
        let state: ActionState = typed(&row.state)?;
        let now = u64::from(reader.burn_now());
        let signers = signers.get(&state.contract);
        let needed = signers.and_then(|signers| match state.class {
            1 => Some(signers.critical),
            2 => Some(signers.routine),
            3 => Some(signers.emergency),
            _ => None,
        });
        let approved = needed.is_some_and(|needed| {
            u64::try_from(state.approvals.len()).is_ok_and(|count| count >= needed)
        });
        let standing = match state.status {
            ActionStatus::Executed => ActionStanding::Executed,
            ActionStatus::Cancelled => ActionStanding::Cancelled,
            ActionStatus::Pending if signers.is_some_and(|s| s.epoch != state.epoch) => {
                ActionStanding::Lapsed
            }
            ActionStatus::Pending if now > state.expires => ActionStanding::Expired,
            ActionStatus::Pending if !approved => ActionStanding::Collecting,
            ActionStatus::Pending if now < state.eta => ActionStanding::Waiting,
            ActionStatus::Pending => ActionStanding::Ready,
        };
        let live = matches!(
            standing,
            ActionStanding::Collecting | ActionStanding::Waiting | ActionStanding::Ready
        );
        Ok(Self {
            standing,
            approvals_needed: needed,
            blocks_to_eta: live.then(|| state.eta.saturating_sub(now)),
            blocks_to_expiry: live.then(|| state.expires.saturating_sub(now)),
            stated: Stated::new(row, reader)?,
        })
    }
}

/// The signers of the contracts of these actions, as of the block where the reader stands.
async fn signers_of(
    reader: &mut Reader,
    rows: &[VersionRow],
) -> Result<BTreeMap<String, SignersState>, Early> {
    let contract = |row: &VersionRow| Some(row.entity.split_once('/')?.0.to_owned());
    let contracts: BTreeSet<String> = rows.iter().filter_map(contract).collect();
    let contracts: Vec<_> = contracts.into_iter().collect();
    let (projections, at) = ([SIGNERS.name.to_owned()], reader.bound());
    let rows = projection::at_height(reader.connection(), &projections, &contracts, at).await?;
    let mut found = BTreeMap::new();
    for row in rows {
        found.insert(row.entity, typed(&row.state)?);
    }
    Ok(found)
}

/// Who signs for a contract.
#[derive(Debug, Serialize, ToSchema)]
struct SignersView {
    /// The contract.
    contract: String,
    #[serde(flatten)]
    state: SignersState,
    /// What made it so.
    changed: Changed,
}

/// Governed actions by contract and number.
#[utoipa::path(
    get, path = "/v1/governance/actions", tag = "marketplace", operation_id = "governance_actions",
    params(
        ("status" = Option<ActionStatus>, Query, description = "Where they stand; a pending one may have expired: see `standing`"),
        ("kind" = Option<String>, Query, description = "What they do, for instance `set-fee`"),
        ContractParams, AtBlockParams, PageParams,
    ),
    responses(
        (status = 200, description = "A page of actions", body = Page<ActionView>),
        (status = 304, description = "The client's copy is current"),
        (status = 409, description = "`fork_changed`", body = Problem, content_type = "application/problem+json"),
        Problems,
    )
)]
pub(in crate::api::routes) async fn actions(
    State(state): State<ApiState>,
    params: Params,
) -> Result<Response, Early> {
    let own: &[&str] = &["status", "kind", "contract"];
    params.allow(&[own, params::AT_BLOCK, params::PAGE])?;
    let page = params.page()?;
    let status = word(&params, "status", &STATUSES)?;
    let kind = params.text("kind")?;
    let contract = contract_of(&params, SecurityEvent::CONTRACT)?;
    let mut filter = NumberedFilter {
        projection: ACTIONS.id,
        contract: contract.map(str::to_owned),
        matching: containing([
            ("status", status.map(Into::into)),
            ("kind", kind.map(Into::into)),
        ]),
        ..NumberedFilter::default()
    };
    let mut reader = Reader::open(&state, &params).await?;
    reader.stand_at(&params).await?;
    filter.after = reader.walk(page.cursor.as_deref(), String::new()).await?;
    filter.at = reader.bound();
    filter.limit = page.limit;
    let found = market::numbered(reader.connection(), &filter).await?;
    let signers = signers_of(&mut reader, &found.rows).await?;
    finish(reader, found, |row, reader| {
        ActionView::new(row, &signers, reader)
    })
}

/// One governed action.
#[utoipa::path(
    get, path = "/v1/governance/actions/{id}", tag = "marketplace", operation_id = "governance_action",
    params(("id" = String, Path, description = "The action's number, decimal"), ContractParams, AtBlockParams),
    responses(
        (status = 200, description = "The action", body = Answer<ActionView>),
        (status = 304, description = "The client's copy is current"),
        (status = 404, description = "`not_found`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`fork_changed`", body = Problem, content_type = "application/problem+json"),
        Problems,
    )
)]
pub(in crate::api::routes) async fn action(
    State(state): State<ApiState>,
    Path(id): Path<String>,
    params: Params,
) -> Result<Response, Early> {
    params.allow(&[&["contract"], params::AT_BLOCK])?;
    let id = number("id", &id)?;
    let contract = contract_of(&params, SecurityEvent::CONTRACT)?;
    let mut reader = Reader::open(&state, &params).await?;
    reader.stand_at(&params).await?;
    let whose = (contract, SecurityEvent::CONTRACT);
    let row = numbered_row(&mut reader, ACTIONS, whose, ("action", id)).await?;
    let signers = signers_of(&mut reader, std::slice::from_ref(&row)).await?;
    let view = ActionView::new(&row, &signers, &reader)?;
    Ok(reader.answer(view))
}

/// Who signs, contract by contract.
#[utoipa::path(
    get, path = "/v1/governance/signers", tag = "marketplace", operation_id = "governance_signers",
    params(ContractParams, AtBlockParams, PageParams),
    responses(
        (status = 200, description = "A page of contracts with their signers", body = Page<SignersView>),
        (status = 304, description = "The client's copy is current"),
        (status = 409, description = "`fork_changed`", body = Problem, content_type = "application/problem+json"),
        Problems,
    )
)]
pub(in crate::api::routes) async fn signers(
    State(state): State<ApiState>,
    params: Params,
) -> Result<Response, Early> {
    params.allow(&[&["contract"], params::AT_BLOCK, params::PAGE])?;
    params.page()?;
    let contract = contract_of(&params, SecurityEvent::CONTRACT)?;
    let filter = EntityFilter {
        projection: SIGNERS.id,
        // The whole name: no entity goes on behind it.
        prefix: contract.map(str::to_owned),
        ..EntityFilter::default()
    };
    let reader = Reader::open(&state, &params).await?;
    named_page(reader, &params, filter, |row, reader| {
        Ok(SignersView {
            contract: row.entity.clone(),
            state: typed::<SignersState>(&row.state)?,
            changed: Changed::new(row, reader),
        })
    })
    .await
}
