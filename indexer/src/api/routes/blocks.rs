//! Blocks: the canonical chain as a list, and any block of any fork by its hash.

use axum::extract::{Path, State};
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::error::{ApiError, Early, Problem, Problems};
use crate::api::params::{
    self, AtBlockParams, BlockId, HeightParams, OrderParams, PageParams, Params,
};
use crate::api::reader::Reader;
use crate::api::state::ApiState;
use crate::api::view::{Answer, Page, hex};
use crate::store::read::block::{BlockFilter, BlockRow};
use crate::store::read::{Order, block};

/// A Stacks block.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct BlockView {
    /// The identity.
    index_block_hash: String,
    /// The identity of the parent.
    parent_index_block_hash: String,
    /// Stacks height.
    height: u32,
    /// Header hash. Not unique over forks.
    block_hash: String,
    /// Unix seconds; null before epoch 3.0.
    block_time: Option<u64>,
    /// Bitcoin block of the sortition that elected the tenure.
    burn_block: BurnBlockView,
    /// The tenure.
    consensus_hash: Option<String>,
    /// Coinbase height.
    tenure_height: Option<u32>,
    /// Winning block-commit on Bitcoin; null where the source did not know it.
    miner_txid: Option<String>,
    /// Transactions in the block.
    listed_transactions: u32,
    /// Events in the block.
    listed_events: u32,
    /// Transactions that the mirror keeps.
    mirrored_transactions: u64,
    /// Events that the mirror keeps.
    mirrored_events: u64,
    /// SHA-256 over the mirrored rows of this block.
    rows_digest: String,
    /// Digest chain: SHA-256 over the parent's digest, the identity and `rows_digest`.
    digest: String,
    /// When the mirror took the block in, RFC 3339.
    seen_at: String,
    /// Is it on the canonical chain?
    canonical: bool,
    /// `seen`, `burn_n` with the depth in Bitcoin blocks, or `final`; null off the canonical chain.
    finality: Option<String>,
}

/// A Bitcoin block.
#[derive(Debug, Serialize, ToSchema)]
struct BurnBlockView {
    /// Its hash.
    hash: String,
    /// Its height.
    height: u32,
    /// Its time, Unix seconds.
    time: u64,
}

impl BlockView {
    fn new(row: BlockRow, reader: &Reader) -> Self {
        Self {
            index_block_hash: row.id.to_string(),
            parent_index_block_hash: row.parent.to_string(),
            height: row.height.0,
            block_hash: row.block_hash.to_string(),
            block_time: row.block_time.map(|time| time.0),
            burn_block: BurnBlockView {
                hash: row.burn_block_hash.to_string(),
                height: row.burn_block_height.0,
                time: row.burn_block_time.0,
            },
            consensus_hash: hex(row.consensus_hash.as_ref()),
            tenure_height: row.tenure_height.map(|height| height.0),
            miner_txid: hex(row.miner_txid.as_ref()),
            listed_transactions: row.listed_transactions.0,
            listed_events: row.listed_events.0,
            mirrored_transactions: row.mirrored_transactions.0,
            mirrored_events: row.mirrored_events.0,
            rows_digest: row.rows_digest.to_string(),
            digest: row.digest.to_string(),
            seen_at: row.seen_at,
            canonical: row.canonical,
            finality: reader.finality(row.canonical, row.burn_block_height.0),
        }
    }
}

/// Canonical blocks by height, newest first.
#[utoipa::path(
    get, path = "/v1/blocks", tag = "chain", operation_id = "blocks",
    params(PageParams, OrderParams, HeightParams, AtBlockParams),
    responses(
        (status = 200, description = "A page of blocks", body = Page<BlockView>),
        (status = 304, description = "The client's copy is current"),
        (status = 409, description = "`fork_changed`", body = Problem, content_type = "application/problem+json"),
        Problems,
    )
)]
pub(super) async fn list(State(state): State<ApiState>, params: Params) -> Result<Response, Early> {
    params.allow(&[
        params::PAGE,
        params::ORDER,
        params::HEIGHTS,
        params::AT_BLOCK,
    ])?;
    let (page, order, heights) = (params.page()?, params.order()?.order, params.heights()?);
    let mut reader = Reader::open(&state, &params).await?;
    reader.stand_at(&params).await?;
    let start = if order == Order::Asc { -1 } else { i32::MAX };
    let after = reader.walk(page.cursor.as_deref(), start).await?;
    let to = heights.to_height.min(reader.bound());
    let filter = BlockFilter {
        from: heights.from_height,
        to,
        order,
        after,
        limit: page.limit,
    };
    let found = block::page(reader.connection(), &filter).await?;
    let last = found
        .rows
        .last()
        .filter(|_| found.more)
        .map(|row| row.height.0);
    let next = last
        .and_then(|height| i32::try_from(height).ok())
        .and_then(|h| reader.cursor_behind(h));
    let data = found
        .rows
        .into_iter()
        .map(|row| BlockView::new(row, &reader))
        .collect();
    Ok(reader.page(data, next))
}

/// One block: a canonical one by height or `latest`, one of any fork by its index block hash.
#[utoipa::path(
    get, path = "/v1/blocks/{id}", tag = "chain", operation_id = "block",
    params(("id" = String, Path, description = "Index block hash, height, or `latest`")),
    responses(
        (status = 200, description = "The block", body = Answer<BlockView>),
        (status = 304, description = "The client's copy is current"),
        (status = 404, description = "`not_found`", body = Problem, content_type = "application/problem+json"),
        Problems,
    )
)]
pub(super) async fn block(
    State(state): State<ApiState>,
    Path(id): Path<String>,
    params: Params,
) -> Result<Response, Early> {
    params.allow(&[])?;
    let id = BlockId::from_path(&id)?;
    let mut reader = Reader::open(&state, &params).await?;
    let bound = reader.bound();
    let connection = reader.connection();
    let row = match id {
        BlockId::Latest => block::by_height(connection, bound).await?,
        BlockId::Height(height) => block::by_height(connection, height).await?,
        BlockId::Hash(hash) => block::by_hash(connection, hash.as_bytes()).await?,
    };
    let row = row.ok_or_else(|| ApiError::not_found("no such block is mirrored"))?;
    let view = BlockView::new(row, &reader);
    Ok(reader.answer(view))
}
