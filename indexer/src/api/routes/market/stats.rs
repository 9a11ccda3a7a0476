//! Figures per UTC day, for charts.

use axum::extract::{Path, State};
use axum::response::Response;
use serde::Serialize;
use stxworx_clarity::events::logic::LogicEvent;
use utoipa::ToSchema;

use super::{ContractParams, asset, contract_of};
use crate::api::clock::Day;
use crate::api::error::{ApiError, Early, Problem, Problems};
use crate::api::params::{self, AtBlockParams, Params};
use crate::api::reader::Reader;
use crate::api::state::ApiState;
use crate::api::view::Answer;
use crate::store::read::series::{self, SeriesFilter};

/// Days of a series unless the client says otherwise.
const DEFAULT_DAYS: i64 = 30;
/// Days of a series at most.
const MAX_DAYS: i64 = 366;

/// What is counted or summed.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[allow(dead_code, reason = "names the words in the documentation")]
enum SeriesName {
    /// Projects opened, by asset.
    Opened,
    /// Projects that ended, by status: `completed`, `refunded`, `settled` or `cancelled`.
    Closed,
    /// Milestones settled, by asset.
    Settled,
    /// Base units locked, by asset.
    Deposited,
    /// Base units earned by freelancers, fee included, by asset.
    Volume,
    /// Base units of fees, by asset.
    Fees,
    /// Base units given back to clients, by asset.
    Refunded,
}

/// The words of [`SeriesName`], with the fields of an asset's state that are summed; none where ends are counted.
const SERIES: [(&str, &[&str]); 7] = [
    ("opened", &["projects"]),
    ("closed", &[]),
    ("settled", &["settlements"]),
    ("deposited", &["deposited"]),
    ("volume", &["paid", "fees"]),
    ("fees", &["fees"]),
    ("refunded", &["refunded"]),
];

/// A figure of a day.
#[derive(Debug, Serialize, ToSchema)]
struct FigureView {
    /// The UTC day, `YYYY-MM-DD`.
    day: String,
    /// The asset, or for `closed` the status.
    key: String,
    /// The figure, decimal.
    value: String,
}

/// Figures of some days.
#[derive(Debug, Serialize, ToSchema)]
struct SeriesView {
    /// What is counted or summed.
    series: String,
    /// First day.
    from: String,
    /// Last day; it may not be over yet.
    to: String,
    /// In the order of days and keys. Amounts have a figure for each asset that there was on the day; `closed` has
    /// none where no project ended.
    figures: Vec<FigureView>,
}

fn day(params: &Params, name: &str) -> Result<Option<Day>, ApiError> {
    let read = |given| {
        Day::parse(given)
            .ok_or_else(|| ApiError::parameter(name, given, "a day from 1970-01-01 on: YYYY-MM-DD"))
    };
    params.get(name).map(read).transpose()
}

/// The days asked for, ending no later than the block where the reader stands.
fn span(params: &Params, today: Day) -> Result<(Day, Day), ApiError> {
    let to = day(params, "to")?.unwrap_or(today).min(today);
    let from = match day(params, "from")? {
        None => Day(to.0 - DEFAULT_DAYS + 1),
        Some(from) => from,
    };
    if to.0 - from.0 >= MAX_DAYS {
        let given = params.get("from").unwrap_or_default();
        let expected = format!("a day at most {} before `to` ({to})", MAX_DAYS - 1);
        return Err(ApiError::parameter("from", given, expected));
    }
    Ok((from, to))
}

/// A figure for each UTC day. A block belongs to the day of its clock (`as_of.time` is that of the block on which the
/// answer stands).
#[utoipa::path(
    get, path = "/v1/stats/{series}", tag = "marketplace", operation_id = "stats",
    params(
        ("series" = inline(SeriesName), Path, description = "What is counted or summed"),
        ("from" = Option<String>, Query, description = "First day, `YYYY-MM-DD`; 29 days before the last one by default, 365 at most"),
        ("to" = Option<String>, Query, description = "Last day; that of the block on which the answer stands by default"),
        ("asset" = Option<String>, Query, description = "`stx`, or the id of a token's contract"),
        ContractParams, AtBlockParams,
    ),
    responses(
        (status = 200, description = "The figures", body = Answer<SeriesView>),
        (status = 304, description = "The client's copy is current"),
        (status = 409, description = "`fork_changed`", body = Problem, content_type = "application/problem+json"),
        Problems,
    )
)]
pub(in crate::api::routes) async fn series(
    State(state): State<ApiState>,
    Path(name): Path<String>,
    params: Params,
) -> Result<Response, Early> {
    let own: &[&str] = &["from", "to", "asset", "contract"];
    params.allow(&[own, params::AT_BLOCK])?;
    let known = SERIES.iter().find(|(word, _)| *word == name);
    let (_, fields) = known.ok_or_else(|| {
        let words = SERIES.map(|(word, _)| word);
        ApiError::parameter("series", &name, format!("one of {}", words.join(", ")))
    })?;
    let contract = contract_of(&params, LogicEvent::CONTRACT)?;
    let asset = asset(&params)?;
    // What cannot be read is refused before anything is read.
    day(&params, "from")?;
    day(&params, "to")?;
    let mut reader = Reader::open(&state, &params).await?;
    reader.stand_at(&params).await?;
    let now = reader
        .as_of()
        .and_then(|as_of| i64::try_from(as_of.time).ok());
    let (from, to) = span(&params, Day::of(now.unwrap_or_default()))?;
    let filter = SeriesFilter {
        at: reader.bound(),
        from: from.0,
        to: to.0,
        contract: contract.map(str::to_owned),
        asset,
    };
    let figures = if fields.is_empty() {
        series::closings(reader.connection(), &filter).await?
    } else {
        let fields: Vec<_> = fields.iter().map(|field| (*field).to_owned()).collect();
        series::growth(reader.connection(), &filter, &fields).await?
    };
    let view = SeriesView {
        series: name,
        from: from.to_string(),
        to: to.to_string(),
        figures: figures
            .into_iter()
            .map(|figure| FigureView {
                day: Day(figure.day).to_string(),
                key: figure.key,
                value: figure.value,
            })
            .collect(),
    };
    Ok(reader.answer(view))
}
