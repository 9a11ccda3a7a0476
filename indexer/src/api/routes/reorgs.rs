//! The history of the canonical pointer.

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::error::{Early, Problems};
use crate::api::params::{self, PageParams, Params};
use crate::api::reader::Reader;
use crate::api::state::ApiState;
use crate::api::view::{BlockName, Page};
use crate::store::read::reorg;
use crate::store::read::reorg::ReorgRow;

/// A change of the canonical chain that was not a plain extension.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ReorgView {
    /// Its number; the mirror's generation after it.
    generation: u64,
    /// When the mirror switched, RFC 3339.
    at: String,
    /// `stacks`: a block made another branch better. `burn`: Bitcoin left the blocks behind.
    cause: String,
    /// The last block that both branches share; null when they part below the lowest mirrored block.
    common_ancestor: Option<BlockName>,
    /// The tip that was left.
    old_tip: BlockName,
    /// The tip that was taken.
    new_tip: BlockName,
    /// Blocks that ceased to be canonical.
    depth: u32,
    /// Was a block left that had counted as final?
    left_final: bool,
}

impl From<ReorgRow> for ReorgView {
    fn from(row: ReorgRow) -> Self {
        let name = |id: String, height: u32| BlockName {
            index_block_hash: id,
            height,
        };
        Self {
            generation: row.generation.0,
            at: row.at,
            cause: row.cause,
            common_ancestor: row
                .ancestor
                .zip(row.ancestor_height)
                .map(|(id, height)| name(id.to_string(), height.0)),
            old_tip: name(row.old_tip.to_string(), row.old_tip_height.0),
            new_tip: name(row.new_tip.to_string(), row.new_tip_height.0),
            depth: row.depth.0,
            left_final: row.left_final,
        }
    }
}

/// Reorgs, newest first. This list only grows, so its cursors outlive any fork.
#[utoipa::path(
    get, path = "/v1/reorgs", tag = "mirror", operation_id = "reorgs",
    params(PageParams),
    responses(
        (status = 200, description = "A page of reorgs", body = Page<ReorgView>),
        (status = 304, description = "The client's copy is current"),
        Problems,
    )
)]
pub(super) async fn list(State(state): State<ApiState>, params: Params) -> Result<Response, Early> {
    params.allow(&[params::PAGE])?;
    let page = params.page()?;
    let mut reader = Reader::open(&state, &params).await?;
    let below = reader.walk_unbound(page.cursor.as_deref(), i64::MAX)?;
    let found = reorg::page(reader.connection(), below, page.limit).await?;
    let last = found
        .rows
        .last()
        .filter(|_| found.more)
        .map(|row| row.generation.0);
    let next = last
        .and_then(|n| i64::try_from(n).ok())
        .and_then(|n| reader.cursor_behind(n));
    let data: Vec<ReorgView> = found.rows.into_iter().map(Into::into).collect();
    Ok(reader.page(data, next))
}
