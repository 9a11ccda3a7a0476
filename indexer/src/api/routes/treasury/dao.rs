//! What the DAO asks of its books.

use axum::extract::State;
use axum::response::Response;

use super::{BooksAnswer, BooksAt, open, problem};
use crate::api::clock::Day;
use crate::api::error::{ApiError, Early, Problems};
use crate::api::params::Params;
use crate::api::state::ApiState;
use crate::books::{self, DaoView};
use crate::store::ledger::dao::Days;

/// Days at once at most.
const MOST_DAYS: i64 = 366;

fn day(params: &Params, name: &str) -> Result<Option<Day>, ApiError> {
    let read = |given| {
        Day::parse(given)
            .ok_or_else(|| ApiError::parameter(name, given, "a day from 1970-01-01 on: YYYY-MM-DD"))
    };
    params.get(name).map(read).transpose()
}

/// What the DAO earned and spent on some days: fees by day, category, client and treasury with the effective rate, from
/// the books, pending bookings included; budgets of governed treasuries with what was spent and what is proposed; and
/// the governed actions that touched money, with who approved them. Amounts are of the whole life of the chain where
/// they are about budgets and actions.
#[utoipa::path(
    get, path = "/v1/treasury/dao", tag = "marketplace", operation_id = "treasury_dao",
    params(
        ("from" = Option<String>, Query, description = "First day, `YYYY-MM-DD`; 365 days before the last one by default, and at the earliest: the answer says which days it is about"),
        ("to" = Option<String>, Query, description = "Last day; that of the newest block by default"),
    ),
    responses(
        (status = 200, description = "The figures", body = BooksAnswer<DaoView>),
        (status = 304, description = "The client's copy is current"),
        Problems,
    )
)]
pub(in crate::api::routes) async fn figures(
    State(state): State<ApiState>,
    params: Params,
) -> Result<Response, Early> {
    params.allow(&[&["from", "to"]])?;
    let (from, to) = (day(&params, "from")?, day(&params, "to")?);
    let (mut reader, head) = open(&state, &params).await?;
    let time = reader.as_of().map_or(0, |as_of| as_of.time);
    // A Bitcoin block's clock may be ahead of the Stacks block's that it elected.
    let today = Day(Day::of(i64::try_from(time).unwrap_or(0)).0 + 1);
    let to = to.unwrap_or(today);
    let earliest = Day((to.0 - MOST_DAYS + 1).max(0));
    let from = from.filter(|from| from.0 > earliest.0).unwrap_or(earliest);
    let days = Days {
        from: Some(from.to_string()),
        to: Some(to.to_string()),
    };
    let data = books::view(reader.connection(), days)
        .await
        .map_err(problem)?;
    let books = BooksAt::from(&head);
    Ok(reader.respond(|as_of| BooksAnswer { as_of, books, data }))
}
