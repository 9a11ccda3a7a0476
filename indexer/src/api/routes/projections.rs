//! Projected states, for any projection by its name: now, at a block, and over time.

use axum::extract::{Path, State};
use axum::response::Response;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::api::error::{ApiError, Early, Problem, Problems};
use crate::api::params::{self, AtBlockParams, OrderParams, PageParams, Params};
use crate::api::reader::Reader;
use crate::api::state::ApiState;
use crate::api::view::{Answer, Page, raw_json};
use crate::store::read::projection::{EntityFilter, HistoryFilter, VersionRow};
use crate::store::read::{Order, projection};

/// The state of an entity, and what made it so.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct StateView {
    /// The entity's key within the projection.
    pub(super) entity: String,
    /// The state. Its form is the projection's own.
    #[schema(value_type = Object)]
    state: Box<RawValue>,
    /// The block with the last change.
    index_block_hash: String,
    /// Its height.
    height: u32,
    /// Transaction of the change, by its position in the block.
    tx_index: u32,
    /// Event of the change, by its position in the transaction.
    ordinal: u32,
    /// `seen`, `burn_n` with the depth in Bitcoin blocks, or `final`: of the last change.
    finality: Option<String>,
}

impl StateView {
    pub(super) fn new(row: VersionRow, reader: &Reader) -> Result<Self, ApiError> {
        let [a, b, c, d, e, f, g, h] = row.position.0.to_be_bytes();
        Ok(Self {
            entity: row.entity,
            state: raw_json(row.state)?,
            index_block_hash: row.block.to_string(),
            height: row.height.0,
            tx_index: u32::from_be_bytes([a, b, c, d]),
            ordinal: u32::from_be_bytes([e, f, g, h]),
            finality: reader.finality(true, row.burn_block_height.0),
        })
    }
}

async fn projection_id(reader: &mut Reader, name: &str) -> Result<i16, Early> {
    let id = projection::id(reader.connection(), name).await?;
    Ok(id.ok_or_else(|| {
        ApiError::not_found("no such projection; /v1/status lists those of this mirror")
    })?)
}

/// Entities of a projection by name, each with its state.
#[utoipa::path(
    get, path = "/v1/projections/{name}", tag = "contracts", operation_id = "projection",
    params(("name" = String, Path, description = "Name of the projection"), AtBlockParams, PageParams),
    responses(
        (status = 200, description = "A page of states", body = Page<StateView>),
        (status = 304, description = "The client's copy is current"),
        (status = 404, description = "`not_found`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`fork_changed`", body = Problem, content_type = "application/problem+json"),
        Problems,
    )
)]
pub(super) async fn entities(
    State(state): State<ApiState>,
    Path(name): Path<String>,
    params: Params,
) -> Result<Response, Early> {
    params.allow(&[params::AT_BLOCK, params::PAGE])?;
    let (name, page) = (params::text("name", &name)?, params.page()?);
    let mut reader = Reader::open(&state, &params).await?;
    let projection = projection_id(&mut reader, name).await?;
    reader.stand_at(&params).await?;
    let after = reader.walk(page.cursor.as_deref(), String::new()).await?;
    let filter = EntityFilter {
        projection,
        at: reader.bound(),
        after,
        limit: page.limit,
        ..EntityFilter::default()
    };
    let found = projection::entities(reader.connection(), &filter).await?;
    let last = found
        .rows
        .last()
        .filter(|_| found.more)
        .map(|row| row.entity.clone());
    let next = last.and_then(|entity| reader.cursor_behind(entity));
    let data: Result<Vec<_>, _> = found
        .rows
        .into_iter()
        .map(|row| StateView::new(row, &reader))
        .collect();
    Ok(reader.page(data?, next))
}

/// The state of one entity.
#[utoipa::path(
    get, path = "/v1/projections/{name}/{entity}", tag = "contracts", operation_id = "projection_entity",
    params(
        ("name" = String, Path, description = "Name of the projection"),
        ("entity" = String, Path, description = "The entity's key, percent-encoded"),
        AtBlockParams,
    ),
    responses(
        (status = 200, description = "The state", body = Answer<StateView>),
        (status = 304, description = "The client's copy is current"),
        (status = 404, description = "`not_found`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`fork_changed`", body = Problem, content_type = "application/problem+json"),
        Problems,
    )
)]
pub(super) async fn entity(
    State(state): State<ApiState>,
    Path((name, entity)): Path<(String, String)>,
    params: Params,
) -> Result<Response, Early> {
    params.allow(&[params::AT_BLOCK])?;
    let name = params::text("name", &name)?;
    let entity = params::text("entity", &entity)?;
    let mut reader = Reader::open(&state, &params).await?;
    reader.stand_at(&params).await?;
    let view = one(&mut reader, name, entity).await?;
    let view = view.ok_or_else(|| ApiError::not_found("no such entity has a state there"))?;
    Ok(reader.answer(view))
}

/// The state of one entity on the block where the reader stands.
pub(super) async fn one(
    reader: &mut Reader,
    projection: &str,
    entity: &str,
) -> Result<Option<StateView>, Early> {
    let (names, entities) = ([projection.to_owned()], [entity.to_owned()]);
    let height = reader.bound();
    let mut rows = projection::at_height(reader.connection(), &names, &entities, height).await?;
    Ok(rows
        .pop()
        .map(|row| StateView::new(row, reader))
        .transpose()?)
}

/// Every state of one entity, newest first.
#[utoipa::path(
    get, path = "/v1/projections/{name}/{entity}/history", tag = "contracts", operation_id = "projection_history",
    params(
        ("name" = String, Path, description = "Name of the projection"),
        ("entity" = String, Path, description = "The entity's key, percent-encoded"),
        AtBlockParams, OrderParams, PageParams,
    ),
    responses(
        (status = 200, description = "A page of states", body = Page<StateView>),
        (status = 304, description = "The client's copy is current"),
        (status = 404, description = "`not_found`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`fork_changed`", body = Problem, content_type = "application/problem+json"),
        Problems,
    )
)]
pub(super) async fn history(
    State(state): State<ApiState>,
    Path((name, entity)): Path<(String, String)>,
    params: Params,
) -> Result<Response, Early> {
    params.allow(&[params::AT_BLOCK, params::ORDER, params::PAGE])?;
    let name = params::text("name", &name)?;
    let entity = params::text("entity", &entity)?.to_owned();
    let (page, order) = (params.page()?, params.order()?.order);
    let mut reader = Reader::open(&state, &params).await?;
    let projection = projection_id(&mut reader, name).await?;
    reader.stand_at(&params).await?;
    let start = if order == Order::Asc {
        (-1, -1)
    } else {
        (i32::MAX, i64::MAX)
    };
    let after = reader.walk(page.cursor.as_deref(), start).await?;
    let at = reader.bound();
    let filter = HistoryFilter {
        projection,
        entity,
        at,
        order,
        after,
        limit: page.limit,
    };
    let found = projection::history(reader.connection(), &filter).await?;
    if found.rows.is_empty() && page.cursor.is_none() {
        return Err(ApiError::not_found("no such entity has a state there").into());
    }
    let next = found.rows.last().filter(|_| found.more).and_then(|row| {
        let key = (
            i32::try_from(row.height.0).ok()?,
            i64::try_from(row.position.0).ok()?,
        );
        reader.cursor_behind(key)
    });
    let data: Result<Vec<_>, _> = found
        .rows
        .into_iter()
        .map(|row| StateView::new(row, &reader))
        .collect();
    Ok(reader.page(data?, next))
}
