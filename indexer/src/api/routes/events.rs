//! Events of the canonical chain.

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::error::{ApiError, Early, Problem, Problems};
use crate::api::params::{self, AtBlockParams, HeightParams, OrderParams, PageParams, Params};
use crate::api::reader::Reader;
use crate::api::state::{ApiState, RenderClarity};
use crate::api::view::{ClarityView, Page, lenient_json};
use crate::model::event::EventKind;
use crate::store::read::event::{EventFilter, EventRow};
use crate::store::read::{Order, event, transaction};

/// Something that happened in a transaction, and was committed.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct EventView {
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
    /// The node's name for the kind of event, for instance `contract_event`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The contract that printed, defines the token, or locked.
    contract: Option<String>,
    /// The token: contract, `::`, and its name. Null for STX and for prints.
    asset_identifier: Option<String>,
    /// Who lost the asset, or whose STX were locked.
    sender: Option<String>,
    /// Who received the asset.
    recipient: Option<String>,
    /// Base units, decimal.
    amount: Option<String>,
    /// Bitcoin height at which locked STX unlock, decimal.
    unlock_height: Option<String>,
    /// Field `topic` (or `event`) of a printed tuple.
    topic: Option<String>,
    /// What was printed, or the id of a non-fungible token.
    value: Option<ClarityView>,
    /// Memo of an STX transfer, hexadecimal.
    memo: Option<String>,
    /// The node's JSON of an event that this version does not know.
    #[schema(value_type = Option<Object>)]
    other: Option<serde_json::Value>,
    /// `seen`, `burn_n` with the depth in Bitcoin blocks, or `final`. Null in a stream: it changes afterwards.
    finality: Option<String>,
}

impl EventView {
    fn new(row: EventRow, reader: &Reader) -> Self {
        let finality = reader.finality(true, row.burn_block_height.0);
        Self::with(row, finality, |bytes| reader.clarity(bytes))
    }

    /// The event as it is told when it happens: how settled it is changes afterwards.
    pub(in crate::api) fn told(row: EventRow, render: RenderClarity) -> Self {
        Self::with(row, None, |bytes| ClarityView::new(bytes, render))
    }

    fn with(
        row: EventRow,
        finality: Option<String>,
        clarity: impl Fn(&[u8]) -> ClarityView,
    ) -> Self {
        let kind = EventKind::from_code(row.kind).unwrap_or(EventKind::Other);
        let asset_identifier = match (&row.contract, &row.asset) {
            (Some(contract), Some(asset)) => Some(format!("{contract}::{asset}")),
            _ => None,
        };
        let mut view = Self {
            index_block_hash: row.block.to_string(),
            height: row.height.0,
            txid: row.txid.to_string(),
            tx_index: row.tx_index.0,
            ordinal: row.ordinal.0,
            kind: kind.as_str(),
            contract: row.contract,
            asset_identifier,
            sender: row.sender,
            recipient: row.recipient,
            amount: row.amount,
            unlock_height: row.unlock_height,
            topic: row.topic,
            value: None,
            memo: None,
            other: None,
            finality,
        };
        let Some(value) = row.value else { return view };
        match kind {
            EventKind::Contract
            | EventKind::NftTransfer
            | EventKind::NftMint
            | EventKind::NftBurn => view.value = Some(clarity(&value.0)),
            EventKind::Other => {
                view.other = Some(lenient_json(&String::from_utf8_lossy(&value.0)));
            }
            EventKind::StxTransfer
            | EventKind::StxMint
            | EventKind::StxBurn
            | EventKind::StxLock
            | EventKind::FtTransfer
            | EventKind::FtMint
            | EventKind::FtBurn => view.memo = Some(value.to_string()),
        }
        view
    }
}

/// The place of an event on the chain.
type EventKey = (i32, (i32, i32));

/// Answers with a page of events. The filter's place and bound are filled in here.
pub(super) async fn page(
    mut reader: Reader,
    page: &PageParams,
    mut filter: EventFilter,
) -> Result<Response, Early> {
    let end = if filter.order == Order::Asc {
        -1
    } else {
        i32::MAX
    };
    let start: EventKey = (end, (end, end));
    let (height, (tx_index, ordinal)) = reader.walk(page.cursor.as_deref(), start).await?;
    filter.after = (height, tx_index, ordinal);
    filter.to = filter.to.min(reader.bound());
    let found = event::page(reader.connection(), &filter).await?;
    let next = found.rows.last().filter(|_| found.more).and_then(|row| {
        let place = |number: u32| i32::try_from(number).ok();
        let key: EventKey = (
            place(row.height.0)?,
            (place(row.tx_index.0)?, place(row.ordinal.0)?),
        );
        reader.cursor_behind(key)
    });
    let data = found
        .rows
        .into_iter()
        .map(|row| EventView::new(row, &reader))
        .collect();
    Ok(reader.page(data, next))
}

/// Events of the canonical chain, newest first.
#[utoipa::path(
    get, path = "/v1/events", tag = "chain", operation_id = "events",
    params(
        ("contract" = Option<String>, Query, description = "Events of this contract: its prints, its tokens, its locks"),
        ("topic" = Option<String>, Query, description = "Printed tuples with this `topic` (or `event`)"),
        ("type" = Option<String>, Query, description = "The node's name of a kind of event, for instance `contract_event`"),
        ("txid" = Option<String>, Query, description = "Events of this transaction"),
        HeightParams, OrderParams, AtBlockParams, PageParams,
    ),
    responses(
        (status = 200, description = "A page of events", body = Page<EventView>),
        (status = 304, description = "The client's copy is current"),
        (status = 409, description = "`fork_changed`", body = Problem, content_type = "application/problem+json"),
        Problems,
    )
)]
pub(super) async fn list(State(state): State<ApiState>, params: Params) -> Result<Response, Early> {
    let own: &[&str] = &["contract", "topic", "type", "txid"];
    params.allow(&[
        own,
        params::HEIGHTS,
        params::ORDER,
        params::AT_BLOCK,
        params::PAGE,
    ])?;
    let (page_params, heights) = (params.page()?, params.heights()?);
    let contract = params.contract("contract")?;
    let mut filter = EventFilter {
        contract: None,
        topic: params.text("topic")?.map(str::to_owned),
        kind: params.get("type").map(kind_code).transpose()?,
        txid: params
            .get("txid")
            .map(|text| params::txid("txid", text).map(|id| id.as_bytes().to_vec()))
            .transpose()?,
        from: heights.from_height,
        to: heights.to_height,
        order: params.order()?.order,
        after: (0, 0, 0),
        limit: page_params.limit,
    };
    let mut reader = Reader::open(&state, &params).await?;
    reader.stand_at(&params).await?;
    if let Some(contract) = contract {
        filter.contract = transaction::principal_id(reader.connection(), contract).await?;
        if filter.contract.is_none() {
            // No row names it, so nothing of it can have been mirrored. A cursor is judged all the same.
            let cursor = page_params.cursor.as_deref();
            reader.walk::<EventKey>(cursor, (0, (0, 0))).await?;
            return Ok(reader.page(Vec::<EventView>::new(), None));
        }
    }
    page(reader, &page_params, filter).await
}

fn kind_code(name: &str) -> Result<i16, ApiError> {
    EventKind::from_name(name)
        .map(EventKind::code)
        .ok_or_else(|| {
            let names: Vec<_> = EventKind::ALL.iter().map(|kind| kind.as_str()).collect();
            ApiError::parameter("type", name, format!("one of {}", names.join(", ")))
        })
}
