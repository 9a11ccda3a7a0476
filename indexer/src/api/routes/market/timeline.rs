//! What happened to a project, event by event.

use axum::extract::{Path, State};
use axum::response::Response;
use serde::Serialize;
use stxworx_clarity::events::logic::LogicEvent;
use stxworx_clarity::events::{self, Event};
use utoipa::ToSchema;

use super::{ContractParams, contract_of, deployment, number};
use crate::api::error::{ApiError, Early, ErrorCode, Problem, Problems};
use crate::api::params::{self, AtBlockParams, PageParams, Params};
use crate::api::reader::Reader;
use crate::api::state::ApiState;
use crate::api::view::Page;
use crate::store::read::market::{self, TimelineFilter, TimelineRow};

/// An event of a project.
#[derive(Debug, Serialize, ToSchema)]
struct TimelineView {
    /// Its number among the contract's events, decimal, from 1.
    seq: String,
    /// What happened, for instance `milestone-settled`.
    topic: &'static str,
    /// Who called the contract.
    by: String,
    /// Bitcoin height that the contract saw, decimal.
    burn_height: String,
    /// The block.
    index_block_hash: String,
    /// Its height.
    height: u32,
    /// The transaction.
    txid: String,
    /// Its position in the block.
    tx_index: u32,
    /// Position among the committed events of the transaction.
    ordinal: u32,
    /// The event's fields by the contract's names with `_` for `-`; numbers are decimal text, hashes
    /// hexadecimal.
    #[schema(value_type = Object)]
    data: Event,
    /// `seen`, `burn_n` with the depth in Bitcoin blocks, or `final`.
    finality: Option<String>,
}

impl TimelineView {
    fn new(row: &TimelineRow, reader: &Reader) -> Result<Self, ApiError> {
        // The projection read the same bytes when it made the row that led here.
        let envelope = events::decode(LogicEvent::CONTRACT, &row.value.0).map_err(|reason| {
            let detail = format!(
                "the stored event {} of transaction {} cannot be read: {reason}; `stxworx verify` tells more",
                row.ordinal.0, row.txid
            );
            ApiError::new(ErrorCode::Internal, detail)
        })?;
        Ok(Self {
            seq: envelope.seq.to_string(),
            topic: envelope.event.topic(),
            by: envelope.by.to_string(),
            burn_height: envelope.burn_height.to_string(),
            index_block_hash: row.block.to_string(),
            height: row.height.0,
            txid: row.txid.to_string(),
            tx_index: row.tx_index.0,
            ordinal: row.ordinal.0,
            data: envelope.event,
            finality: reader.finality(true, row.burn_block_height.0),
        })
    }
}

/// Events of a project in chain order, as the escrow's contract printed them.
#[utoipa::path(
    get, path = "/v1/projects/{id}/timeline", tag = "marketplace", operation_id = "project_timeline",
    params(
        ("id" = String, Path, description = "The project's number, decimal"),
        ContractParams, AtBlockParams, PageParams,
    ),
    responses(
        (status = 200, description = "A page of events", body = Page<TimelineView>),
        (status = 304, description = "The client's copy is current"),
        (status = 404, description = "`not_found`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`fork_changed`", body = Problem, content_type = "application/problem+json"),
        Problems,
    )
)]
pub(in crate::api::routes) async fn timeline(
    State(state): State<ApiState>,
    Path(id): Path<String>,
    params: Params,
) -> Result<Response, Early> {
    params.allow(&[&["contract"], params::AT_BLOCK, params::PAGE])?;
    let (id, page) = (number("id", &id)?, params.page()?);
    let contract = contract_of(&params, LogicEvent::CONTRACT)?;
    let mut reader = Reader::open(&state, &params).await?;
    reader.stand_at(&params).await?;
    let after = reader.walk(page.cursor.as_deref(), (-1, -1)).await?;
    let missing = || ApiError::not_found(format!("there is no project {id} at this block"));
    let contract = deployment(&mut reader, contract, LogicEvent::CONTRACT)
        .await?
        .ok_or_else(missing)?;
    let filter = TimelineFilter {
        project: format!("{contract}/{id}"),
        at: reader.bound(),
        after,
        limit: page.limit,
    };
    let found = market::timeline(reader.connection(), &filter).await?;
    if found.rows.is_empty() && page.cursor.is_none() {
        return Err(missing().into());
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
        .iter()
        .map(|row| TimelineView::new(row, &reader))
        .collect();
    Ok(reader.page(data?, next))
}
