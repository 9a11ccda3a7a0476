//! What treasuries earned, fee by fee.

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use stxworx_clarity::events::logic::LogicEvent;
use stxworx_clarity::events::{self, Event};
use utoipa::ToSchema;

use super::{asset, place, principal_filter};
use crate::api::error::{ApiError, Early, ErrorCode, Problem, Problems};
use crate::api::params::{self, AtBlockParams, HeightParams, OrderParams, PageParams, Params};
use crate::api::reader::Reader;
use crate::api::state::ApiState;
use crate::api::view::Page;
use crate::store::read::Order;
use crate::store::read::fees::{self, FeeFilter, FeeRow};
use crate::store::read::market::Units;

/// A fee: what a settled milestone paid to the treasury.
#[derive(Debug, Serialize, ToSchema)]
struct FeeView {
    /// Who received it.
    treasury: String,
    /// `STX` or the token's contract.
    asset: String,
    /// Base units.
    fee: Units,
    /// The escrow.
    contract: String,
    /// Number of the project, decimal.
    project: String,
    /// Number of the milestone, decimal.
    m: String,
    /// Base units of the milestone, of which this is the fee.
    amount: Units,
    /// Base units that the freelancer received.
    payout: Units,
    /// Why the milestone was settled.
    cause: String,
    /// The block.
    index_block_hash: String,
    /// Its height.
    height: u32,
    /// Its clock, unix seconds.
    time: u64,
    /// The transaction.
    txid: String,
    /// Its position in the block.
    tx_index: u32,
    /// Position of the event in the transaction.
    ordinal: u32,
    /// `seen`, `burn_n` with the depth in Bitcoin blocks, or `final`.
    finality: Option<String>,
}

impl FeeView {
    fn new(row: &FeeRow, reader: &Reader) -> Result<Self, ApiError> {
        let unreadable = |why: String| {
            let detail = format!(
                "the stored event of a fee in transaction {} cannot be read: {why}; `stxworx verify` tells more",
                row.txid
            );
            ApiError::new(ErrorCode::Internal, detail)
        };
        let envelope = events::decode(LogicEvent::CONTRACT, &row.value.0)
            .map_err(|reason| unreadable(reason.to_string()))?;
        let Event::Logic(LogicEvent::MilestoneSettled(e)) = envelope.event else {
            return Err(unreadable("it is another event".to_owned()));
        };
        let (tx_index, ordinal) = place(row.position);
        Ok(Self {
            treasury: e.treasury.to_string(),
            asset: e
                .asset
                .as_ref()
                .map_or_else(|| "STX".to_owned(), ToString::to_string),
            fee: Units(e.fee.0),
            contract: row.contract.clone(),
            project: e.project.0.to_string(),
            m: e.m.0.to_string(),
            amount: Units(e.amount.0),
            payout: Units(e.payout.0),
            cause: e.cause.0,
            index_block_hash: row.block.to_string(),
            height: row.height.0,
            time: row.time.0,
            txid: row.txid.to_string(),
            tx_index,
            ordinal,
            finality: reader.finality(true, row.burn_block_height.0),
        })
    }
}

/// Fees in chain order, newest first. What a project paid in all is its `fees`.
#[utoipa::path(
    get, path = "/v1/treasury/fees", tag = "marketplace", operation_id = "treasury_fees",
    params(
        ("treasury" = Option<String>, Query, description = "Received by this principal"),
        ("asset" = Option<String>, Query, description = "`stx`, or the id of a token's contract"),
        HeightParams, OrderParams, AtBlockParams, PageParams,
    ),
    responses(
        (status = 200, description = "A page of fees", body = Page<FeeView>),
        (status = 304, description = "The client's copy is current"),
        (status = 409, description = "`fork_changed`", body = Problem, content_type = "application/problem+json"),
        Problems,
    )
)]
pub(in crate::api::routes) async fn list(
    State(state): State<ApiState>,
    params: Params,
) -> Result<Response, Early> {
    let own: &[&str] = &["treasury", "asset"];
    params.allow(&[
        own,
        params::HEIGHTS,
        params::ORDER,
        params::AT_BLOCK,
        params::PAGE,
    ])?;
    let (page, heights, order) = (params.page()?, params.heights()?, params.order()?.order);
    let (treasury, asset) = (principal_filter(&params, "treasury")?, asset(&params)?);
    let mut reader = Reader::open(&state, &params).await?;
    reader.stand_at(&params).await?;
    let start = match order {
        Order::Asc => (-1, -1i64),
        Order::Desc => (i32::MAX, i64::MAX),
    };
    let filter = FeeFilter {
        treasury,
        asset,
        from: heights.from_height,
        to: heights.to_height,
        order,
        after: reader.walk(page.cursor.as_deref(), start).await?,
        at: reader.bound(),
        limit: page.limit,
    };
    let found = fees::page(reader.connection(), &filter).await?;
    let next = found.rows.last().filter(|_| found.more).and_then(|row| {
        let height = i32::try_from(row.height.0).ok()?;
        reader.cursor_behind((height, i64::try_from(row.position.0).ok()?))
    });
    let data: Result<Vec<_>, _> = found
        .rows
        .iter()
        .map(|row| FeeView::new(row, &reader))
        .collect();
    Ok(reader.page(data?, next))
}
