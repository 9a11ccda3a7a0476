//! The journal.

use axum::extract::State;
use axum::response::Response;

use super::{BooksAt, BooksPage, open, problem};
use crate::api::error::{ApiError, Early, ErrorCode, Problems};
use crate::api::params::{self, HeightParams, OrderParams, PageParams, Params};
use crate::api::routes::market::{asset, number, word};
use crate::api::state::ApiState;
use crate::store::ledger::Kind;
use crate::store::ledger::journal::{self, Head, JournalFilter};
use crate::store::ledger::read::Booked;
use crate::store::read::Order;

/// What a reversal is called beside the kinds of bookings.
const REVERSAL: &str = "reversal";
const STATES: [&str; 3] = ["pending", "posted", "void"];

/// A number of a period.
pub(super) fn period(name: &str, given: &str) -> Result<i32, ApiError> {
    let plain = given.bytes().all(|b| b.is_ascii_digit());
    given.parse().ok().filter(|_| plain).ok_or_else(|| {
        ApiError::parameter(name, given, "the number of a period, from 1 to 2147483647")
    })
}

fn filter(params: &Params, head: &Head) -> Result<JournalFilter, ApiError> {
    let (page, heights) = (params.page()?, params.heights()?);
    let mut kinds = Kind::ALL.map(Kind::as_str).to_vec();
    kinds.push(REVERSAL);
    let owned = |found: Option<&str>| found.map(str::to_owned);
    let project = params.get("project").map(|p| number("project", p));
    let of_period = params.get("period").map(|p| period("period", p));
    Ok(JournalFilter {
        until: head.count,
        seals: head.seals,
        after: 0,
        newest_first: params.order()?.order == Order::Desc,
        account: owned(params.text("account")?),
        asset: asset(params)?,
        contract: owned(params.contract("contract")?),
        project: project.transpose()?.map(|p| p.to_string()),
        kind: owned(word(params, "kind", &kinds)?),
        state: owned(word(params, "state", &STATES)?),
        period: of_period.transpose()?,
        heights: (heights.from_height, heights.to_height),
        limit: i64::from(page.limit),
    })
}

/// The journal of the books: every booking with its lines, and what had become of it. A debit adds to what an account
/// holds. The walk reads the books as they were at its first page, whatever is booked meanwhile; forks do not end it,
/// because bookings of blocks that left the chain stay, as `void` or with a reversal.
#[utoipa::path(
    get, path = "/v1/treasury/ledger", tag = "marketplace", operation_id = "treasury_ledger",
    params(
        ("account" = Option<String>, Query, description = "With a line on an account that begins so: `treasury:`, `suspense:`, `escrow:CONTRACT:7`"),
        ("asset" = Option<String>, Query, description = "`stx`, or the id of a token's contract; on such an account, if one is given"),
        ("contract" = Option<String>, Query, description = "Told of by this contract"),
        ("project" = Option<String>, Query, description = "About the project of this number"),
        ("kind" = Option<String>, Query, description = "`deposit`, `settlement`, `cancellation`, `spend`, `trial`, `unattributed`, `outflow`, `network_fee` or `reversal`"),
        ("state" = Option<String>, Query, description = "`pending`: its block is not final. `posted`, or `void`: its block left before"),
        ("period" = Option<u32>, Query, description = "Of this closed period", maximum = 2147483647),
        HeightParams, OrderParams, PageParams,
    ),
    responses(
        (status = 200, description = "A page of the journal", body = BooksPage<Booked>),
        (status = 304, description = "The client's copy is current"),
        Problems,
    )
)]
pub(in crate::api::routes) async fn list(
    State(state): State<ApiState>,
    params: Params,
) -> Result<Response, Early> {
    let own: &[&str] = &[
        "account", "asset", "contract", "project", "kind", "state", "period",
    ];
    params.allow(&[own, params::HEIGHTS, params::ORDER, params::PAGE])?;
    let (mut reader, mut head) = open(&state, &params).await?;
    let mut filter = filter(&params, &head)?;
    if filter.newest_first {
        filter.after = i64::MAX;
    }
    if let Some(text) = params.get("cursor") {
        // Periods, then the head of the books and the last row given out.
        let start = reader.walk_in_books::<(i32, (i64, i64))>(text)?;
        let (hash, (seals, (count, after))) = start;
        if count > head.count || seals > head.seals {
            let detail = "the cursor's journal has not arrived here yet";
            return Err(ApiError::new(ErrorCode::NotReady, detail).into());
        }
        let connection = reader.connection();
        if !journal::has(connection, count, &hash)
            .await
            .map_err(problem)?
        {
            let detail = "these books never had the cursor's journal";
            return Err(ApiError::new(ErrorCode::BadCursor, detail).into());
        }
        (head.count, head.hash, head.seals) = (count, hash, seals);
        (filter.until, filter.seals, filter.after) = (count, seals, after);
    }
    let (data, more) = journal::page(reader.connection(), &filter)
        .await
        .map_err(problem)?;
    let next = data
        .last()
        .filter(|_| more)
        .map(|last| reader.cursor_in_books(head.hash, (head.seals, (head.count, last.seq))));
    let books = BooksAt::from(&head);
    Ok(reader.respond(|as_of| BooksPage {
        as_of,
        books,
        data,
        next_cursor: next,
    }))
}
