//! Contracts: the followed ones, and all that have a projected state.

use std::collections::BTreeMap;

use axum::extract::{Path, State};
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::completeness::{self, ProofView};
use super::projections::{self, StateView};
use crate::api::error::{ApiError, Early, Problem, Problems};
use crate::api::params::{self, AtBlockParams, PageParams, Params};
use crate::api::reader::Reader;
use crate::api::state::ApiState;
use crate::api::view::{Answer, Page};
use crate::store::read::completeness::EVENT_CHAIN;
use crate::store::read::contract::{ACTIVITY, CURSOR};
use crate::store::read::{contract, projection};

/// A contract as the mirror knows it.
#[derive(Debug, Serialize, ToSchema)]
struct ContractView {
    /// Its id.
    id: String,
    /// Is it followed?
    followed: bool,
    /// What has happened at it; null before the first event.
    activity: Option<StateView>,
    /// How many of its prints are mirrored, and the head of a hash chain over them; null before the first.
    /// Two mirrors that agree on it have the same prints.
    cursor: Option<StateView>,
}

/// The projected states of some contracts, by (contract, projection).
async fn states(
    reader: &mut Reader,
    names: &[String],
) -> Result<BTreeMap<(String, String), StateView>, Early> {
    let projections = [ACTIVITY.to_owned(), CURSOR.to_owned()];
    let height = reader.bound();
    let rows = projection::at_height(reader.connection(), &projections, names, height).await?;
    let mut states = BTreeMap::new();
    for row in rows {
        let key = (row.entity.clone(), row.projection.clone());
        states.insert(key, StateView::new(row, reader)?);
    }
    Ok(states)
}

fn view(
    id: String,
    followed: bool,
    states: &mut BTreeMap<(String, String), StateView>,
) -> ContractView {
    let activity = states.remove(&(id.clone(), ACTIVITY.to_owned()));
    let cursor = states.remove(&(id.clone(), CURSOR.to_owned()));
    ContractView {
        id,
        followed,
        activity,
        cursor,
    }
}

/// Contracts by name: the followed ones, and all that have a projected state.
#[utoipa::path(
    get, path = "/v1/contracts", tag = "contracts", operation_id = "contracts",
    params(AtBlockParams, PageParams),
    responses(
        (status = 200, description = "A page of contracts", body = Page<ContractView>),
        (status = 304, description = "The client's copy is current"),
        (status = 409, description = "`fork_changed`", body = Problem, content_type = "application/problem+json"),
        Problems,
    )
)]
pub(super) async fn list(State(state): State<ApiState>, params: Params) -> Result<Response, Early> {
    params.allow(&[params::AT_BLOCK, params::PAGE])?;
    let page = params.page()?;
    let mut reader = Reader::open(&state, &params).await?;
    reader.stand_at(&params).await?;
    let after = reader.walk(page.cursor.as_deref(), String::new()).await?;
    let found = contract::page(reader.connection(), &after, page.limit).await?;
    let last = found
        .rows
        .last()
        .filter(|_| found.more)
        .map(|row| row.name.clone());
    let next = last.and_then(|name| reader.cursor_behind(name));
    let names: Vec<_> = found.rows.iter().map(|row| row.name.clone()).collect();
    let mut states = states(&mut reader, &names).await?;
    let data: Vec<_> = found
        .rows
        .into_iter()
        .map(|row| view(row.name, row.followed, &mut states))
        // A contract that is not followed and had no state at the block was not there yet.
        .filter(|view| view.followed || view.activity.is_some() || view.cursor.is_some())
        .collect();
    Ok(reader.page(data, next))
}

/// One contract.
#[utoipa::path(
    get, path = "/v1/contracts/{id}", tag = "contracts", operation_id = "contract",
    params(("id" = String, Path, description = "The contract id"), AtBlockParams),
    responses(
        (status = 200, description = "The contract", body = Answer<ContractView>),
        (status = 304, description = "The client's copy is current"),
        (status = 404, description = "`not_found`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`fork_changed`", body = Problem, content_type = "application/problem+json"),
        Problems,
    )
)]
pub(super) async fn contract(
    State(state): State<ApiState>,
    Path(id): Path<String>,
    params: Params,
) -> Result<Response, Early> {
    params.allow(&[params::AT_BLOCK])?;
    let id = params::contract("id", &id)?.to_owned();
    let mut reader = Reader::open(&state, &params).await?;
    reader.stand_at(&params).await?;
    let followed = contract::followed(reader.connection(), &id).await?;
    let mut states = states(&mut reader, std::slice::from_ref(&id)).await?;
    if !followed.by_name && states.is_empty() {
        return Err(ApiError::not_found("the mirror knows no such contract").into());
    }
    let view = view(id, followed.by_name || followed.by_wildcard, &mut states);
    Ok(reader.answer(view))
}

/// How far a contract's prints are mirrored, and the proof of it.
#[derive(Debug, Serialize, ToSchema)]
struct CursorView {
    #[serde(flatten)]
    state: StateView,
    /// The chain of events that the contract itself keeps, as the mirror has it: `seq` and `head` are
    /// what its `get-cursor` returns at the same block. Null if the contract keeps none.
    event_chain: Option<StateView>,
    /// The newest comparison of that chain with the contract's own cursor, made by asking a node. It does
    /// not go back with `at_block`. Null before the first.
    proof: Option<ProofView>,
}

/// How far a contract's prints are mirrored: their count and hash chain, the chain that the contract keeps
/// itself, and its newest proof.
#[utoipa::path(
    get, path = "/v1/contracts/{id}/cursor", tag = "contracts", operation_id = "contract_cursor",
    params(("id" = String, Path, description = "The contract id"), AtBlockParams),
    responses(
        (status = 200, description = "The cursor", body = Answer<CursorView>),
        (status = 304, description = "The client's copy is current"),
        (status = 404, description = "`not_found`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`fork_changed`", body = Problem, content_type = "application/problem+json"),
        Problems,
    )
)]
pub(super) async fn cursor(
    State(state): State<ApiState>,
    Path(id): Path<String>,
    params: Params,
) -> Result<Response, Early> {
    params.allow(&[params::AT_BLOCK])?;
    let id = params::contract("id", &id)?;
    let mut reader = Reader::open_untagged(&state, &params).await?;
    let mut proofs = completeness::proof(&mut reader, id).await?;
    reader.tag(&params, &completeness::tag(&proofs))?;
    reader.stand_at(&params).await?;
    let state = projections::one(&mut reader, CURSOR, id)
        .await?
        .ok_or_else(|| ApiError::not_found("no print of this contract is mirrored"))?;
    let view = CursorView {
        state,
        event_chain: projections::one(&mut reader, EVENT_CHAIN, id).await?,
        proof: proofs.pop().map(ProofView::try_from).transpose()?,
    };
    Ok(reader.answer(view))
}
