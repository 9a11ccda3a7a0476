//! Transactions: on the canonical chain, on other forks, and in the mempool.

use axum::extract::{Path, State};
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::events;
use crate::api::error::{ApiError, Early, Problem, Problems};
use crate::api::params::{self, AtBlockParams, HeightParams, OrderParams, PageParams, Params};
use crate::api::reader::Reader;
use crate::api::state::ApiState;
use crate::api::view::{Answer, ClarityView, Page, hex, lenient_json};
use crate::store::read::event::EventFilter;
use crate::store::read::transaction::{SightingRow, TransactionFilter, TransactionRow};
use crate::store::read::{Order, transaction};

/// A transaction as it stands in one block.
#[derive(Debug, Serialize, ToSchema)]
struct TransactionView {
    /// The id.
    txid: String,
    /// The block.
    index_block_hash: String,
    /// Its height.
    height: u32,
    /// Position in the block.
    tx_index: u32,
    /// Is the block canonical?
    canonical: bool,
    /// `seen`, `burn_n` with the depth in Bitcoin blocks, or `final`; null off the canonical chain.
    finality: Option<String>,
    /// What it is, for instance `contract_call`.
    kind: String,
    /// What became of it, in the node's words: `success`, `abort_by_response`, and so on.
    status: String,
    /// Who sent it.
    sender: Option<String>,
    /// Who paid for it, if not the sender.
    sponsor: Option<String>,
    /// The contract called or deployed.
    contract: Option<String>,
    /// The function called.
    function: Option<String>,
    /// The sender's nonce, decimal.
    nonce: Option<String>,
    /// Micro-STX, decimal.
    fee: Option<String>,
    /// The result. Judge by `status`: an aborted transaction may show `(ok …)` here.
    result: ClarityView,
    /// SIP-005 bytes, hexadecimal. Left out of lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    raw_tx: Option<String>,
    /// An operation sent on Bitcoin.
    #[schema(value_type = Option<Object>)]
    burnchain_op: Option<serde_json::Value>,
    /// The node's explanation of a failure. Not consensus data: nodes differ.
    vm_error: Option<String>,
}

impl TransactionView {
    fn new(row: TransactionRow, reader: &Reader) -> Self {
        Self {
            txid: row.txid.to_string(),
            index_block_hash: row.block.to_string(),
            height: row.height.0,
            tx_index: row.tx_index.0,
            canonical: row.canonical,
            finality: reader.finality(row.canonical, row.burn_block_height.0),
            kind: row.kind,
            status: row.status,
            sender: row.sender,
            sponsor: row.sponsor,
            contract: row.contract,
            function: row.function,
            nonce: row.nonce,
            fee: row.fee,
            result: reader.clarity(&row.raw_result.0),
            raw_tx: hex(row.raw_tx.as_ref()),
            burnchain_op: row.burnchain_op.as_deref().map(lenient_json),
            vm_error: row.vm_error,
        }
    }
}

/// Where a transaction stands.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Standing {
    /// In a canonical block.
    Canonical,
    /// Only in blocks of other forks.
    OtherForks,
    /// Seen in the mempool, not mined.
    Mempool,
    /// Dropped from the mempool, not mined.
    Dropped,
}

/// Everything known about a transaction id.
#[derive(Debug, Serialize, ToSchema)]
struct TransactionDetail {
    /// Where it stands.
    standing: Standing,
    /// As it stands on the canonical chain.
    canonical: Option<TransactionView>,
    /// As it stands in blocks of other forks, at most a hundred.
    other_forks: Vec<TransactionView>,
    /// What the mempool said, for one that no canonical block holds.
    mempool: Option<SightingView>,
}

/// A transaction in the mempool.
#[derive(Debug, Serialize, ToSchema)]
struct SightingView {
    /// RFC 3339.
    first_seen: String,
    /// RFC 3339; null while it waits.
    dropped_at: Option<String>,
    /// The node's word for why.
    drop_reason: Option<String>,
    /// The transaction that took its place.
    replaced_by: Option<String>,
}

impl From<SightingRow> for SightingView {
    fn from(row: SightingRow) -> Self {
        Self {
            first_seen: row.first_seen,
            dropped_at: row.dropped_at,
            drop_reason: row.drop_reason,
            replaced_by: hex(row.replaced_by.as_ref()),
        }
    }
}

/// Transactions of the canonical chain, newest first, without their raw bytes.
#[utoipa::path(
    get, path = "/v1/transactions", tag = "chain", operation_id = "transactions",
    params(
        ("contract" = Option<String>, Query, description = "Transactions that call or deploy this contract"),
        ("status" = Option<String>, Query, description = "The node's word for the outcome, for instance `success`"),
        ("kind" = Option<String>, Query, description = "What it is, for instance `contract_call`"),
        HeightParams, OrderParams, AtBlockParams, PageParams,
    ),
    responses(
        (status = 200, description = "A page of transactions", body = Page<TransactionView>),
        (status = 304, description = "The client's copy is current"),
        (status = 409, description = "`fork_changed`", body = Problem, content_type = "application/problem+json"),
        Problems,
    )
)]
pub(super) async fn list(State(state): State<ApiState>, params: Params) -> Result<Response, Early> {
    let own: &[&str] = &["contract", "status", "kind"];
    params.allow(&[
        own,
        params::HEIGHTS,
        params::ORDER,
        params::AT_BLOCK,
        params::PAGE,
    ])?;
    let (page, heights) = (params.page()?, params.heights()?);
    let contract = params.contract("contract")?;
    let mut filter = TransactionFilter {
        contract: None,
        status: params.text("status")?.map(str::to_owned),
        kind: params.text("kind")?.map(str::to_owned),
        from: heights.from_height,
        to: heights.to_height,
        order: params.order()?.order,
        after: (0, 0),
        limit: page.limit,
    };
    let mut reader = Reader::open(&state, &params).await?;
    reader.stand_at(&params).await?;
    let end = if filter.order == Order::Asc {
        -1
    } else {
        i32::MAX
    };
    filter.after = reader.walk(page.cursor.as_deref(), (end, end)).await?;
    if let Some(contract) = contract {
        filter.contract = transaction::principal_id(reader.connection(), contract).await?;
        if filter.contract.is_none() {
            // No row names it, so nothing of it can have been mirrored.
            return Ok(reader.page(Vec::<TransactionView>::new(), None));
        }
    }
    filter.to = filter.to.min(reader.bound());
    let found = transaction::page(reader.connection(), &filter).await?;
    let next = found.rows.last().filter(|_| found.more).and_then(|row| {
        let key = (
            i32::try_from(row.height.0).ok()?,
            i32::try_from(row.tx_index.0).ok()?,
        );
        reader.cursor_behind(key)
    });
    let data = found
        .rows
        .into_iter()
        .map(|row| TransactionView::new(row, &reader))
        .collect();
    Ok(reader.page(data, next))
}

/// One transaction, wherever it stands: on the canonical chain, on other forks, in the mempool.
#[utoipa::path(
    get, path = "/v1/transactions/{txid}", tag = "chain", operation_id = "transaction",
    params(("txid" = String, Path, description = "The transaction id")),
    responses(
        (status = 200, description = "The transaction", body = Answer<TransactionDetail>),
        (status = 304, description = "The client's copy is current"),
        (status = 404, description = "`not_found`", body = Problem, content_type = "application/problem+json"),
        Problems,
    )
)]
pub(super) async fn transaction(
    State(state): State<ApiState>,
    Path(txid): Path<String>,
    params: Params,
) -> Result<Response, Early> {
    params.allow(&[])?;
    let txid = params::txid("txid", &txid)?;
    let mut reader = Reader::open_untagged(&state, &params).await?;
    let rows = transaction::occurrences(reader.connection(), txid.as_bytes()).await?;
    let is_canonical = rows.first().is_some_and(|row| row.canonical);
    let mempool = if is_canonical {
        // Mined is mined; and another fork's copy may arrive without any change of the tip.
        reader.tag(&params, &format!("-{}", rows.len()))?;
        None
    } else {
        transaction::sighting(reader.connection(), txid.as_bytes()).await?
    };
    let standing = match (&mempool, rows.is_empty()) {
        _ if is_canonical => Standing::Canonical,
        (_, false) => Standing::OtherForks,
        (Some(sighting), true) if sighting.dropped_at.is_some() => Standing::Dropped,
        (Some(_), true) => Standing::Mempool,
        (None, true) => return Err(ApiError::not_found("no such transaction is mirrored").into()),
    };
    let mut views: Vec<_> = rows
        .into_iter()
        .map(|row| TransactionView::new(row, &reader))
        .collect();
    let canonical = if is_canonical {
        Some(views.remove(0))
    } else {
        None
    };
    let mempool = mempool.map(Into::into);
    Ok(reader.answer(TransactionDetail {
        standing,
        canonical,
        other_forks: views,
        mempool,
    }))
}

/// Events of one transaction of the canonical chain, in the order in which they happened.
#[utoipa::path(
    get, path = "/v1/transactions/{txid}/events", tag = "chain", operation_id = "transaction_events",
    params(("txid" = String, Path, description = "The transaction id"), PageParams),
    responses(
        (status = 200, description = "A page of events", body = Page<events::EventView>),
        (status = 304, description = "The client's copy is current"),
        (status = 404, description = "`not_found`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`fork_changed`", body = Problem, content_type = "application/problem+json"),
        Problems,
    )
)]
pub(super) async fn events(
    State(state): State<ApiState>,
    Path(txid): Path<String>,
    params: Params,
) -> Result<Response, Early> {
    params.allow(&[params::PAGE])?;
    let txid = params::txid("txid", &txid)?;
    let page = params.page()?;
    let mut reader = Reader::open(&state, &params).await?;
    // With a cursor the walk itself decides: its block is still canonical, or `fork_changed`.
    let known = page.cursor.is_some()
        || transaction::is_canonical(reader.connection(), txid.as_bytes()).await?;
    if !known {
        return Err(ApiError::not_found("no canonical block holds this transaction").into());
    }
    let filter = EventFilter {
        contract: None,
        topic: None,
        kind: None,
        txid: Some(txid.as_bytes().to_vec()),
        from: 0,
        to: i32::MAX,
        order: Order::Asc,
        after: (0, 0, 0),
        limit: page.limit,
    };
    events::page(reader, &page, filter).await
}
