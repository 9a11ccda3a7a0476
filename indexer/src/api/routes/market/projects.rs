//! Projects with their milestones.

use axum::extract::{Path, State};
use axum::response::Response;
use stxworx_clarity::events::logic::LogicEvent;

use utoipa::ToSchema;

use super::{
    ContractParams, Stated, asset, containing, contract_of, number, numbered_one, principal_filter,
    word,
};
use crate::api::clock;
use crate::api::error::{ApiError, Early, ErrorCode, Problem, Problems};
use crate::api::params::{self, AtBlockParams, OrderParams, PageParams, Params};
use crate::api::reader::Reader;
use crate::api::state::ApiState;
use crate::api::view::{Answer, Page};
use crate::store::read::Order;
use crate::store::read::market::{PROJECTS, Part, ProjectState, ProjectStatus};
use crate::store::read::projects::{self, ProjectFilter, ProjectKey, Sort};

/// The words of [`ProjectStatus`].
const STATUSES: [&str; 6] = [
    "open",
    "active",
    "completed",
    "refunded",
    "settled",
    "cancelled",
];

/// The words of [`Sort`].
const SORTS: [&str; 4] = ["id", "opened", "updated", "total"];

/// What projects are ordered by.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[allow(dead_code, reason = "names the words in the documentation")]
enum ProjectSort {
    /// Contract and number; ascending unless `order` says otherwise.
    Id,
    /// When they were opened.
    Opened,
    /// When they last changed.
    Updated,
    /// Their amount, in base units; sensible within one `asset`.
    Total,
}

/// The filters and the order of a list of projects.
fn filter(params: &Params) -> Result<ProjectFilter, ApiError> {
    let who = |name| principal_filter(params, name);
    let (client, freelancer, arbiter) = (who("client")?, who("freelancer")?, who("arbiter")?);
    let status = word(params, "status", &STATUSES)?;
    let heights = params.named_heights("opened_from_height", "opened_to_height")?;
    let amount = |name: &str, default: u128| -> Result<String, ApiError> {
        let given = params.get(name).map(|given| number(name, given));
        Ok(given.transpose()?.unwrap_or(default).to_string())
    };
    let sort = match word(params, "sort", &SORTS)? {
        Some("opened") => Sort::Opened,
        Some("updated") => Sort::Updated,
        Some("total") => Sort::Total,
        _ => Sort::Number,
    };
    let order = match params.get("order") {
        None if sort == Sort::Number => Order::Asc,
        _ => params.order()?.order,
    };
    Ok(ProjectFilter {
        at: -1,
        contract: contract_of(params, LogicEvent::CONTRACT)?.map(str::to_owned),
        matching: containing([
            ("client", client.clone().map(Into::into)),
            ("freelancer", freelancer.clone().map(Into::into)),
            ("arbiter", arbiter.clone().map(Into::into)),
            ("status", status.map(Into::into)),
            ("asset", asset(params)?.map(Into::into)),
        ]),
        participant: who("participant")?,
        parts: [
            (Part::Client, client),
            (Part::Freelancer, freelancer),
            (Part::Arbiter, arbiter),
        ]
        .into_iter()
        .filter_map(|(part, who)| Some((part, who?)))
        .collect(),
        opened_from: heights.from_height,
        opened_to: heights.to_height,
        least: amount("min_total", 0)?,
        most: amount("max_total", u128::MAX)?,
        sort,
        order,
        after: None,
        limit: params.page()?.limit,
    })
}

/// A place in the order as a cursor's text, and back.
fn place_text(key: &ProjectKey) -> String {
    format!(
        "{}|{}|{}|{}",
        key.total, key.height, key.position, key.entity
    )
}

fn place_of(text: &str) -> Option<ProjectKey> {
    let mut parts = text.splitn(4, '|');
    let total: u128 = parts.next()?.parse().ok()?;
    Some(ProjectKey {
        total: total.to_string(),
        height: parts.next()?.parse().ok()?,
        position: parts.next()?.parse().ok()?,
        entity: parts.next()?.to_owned(),
    })
}

/// Projects, by contract and number unless another order is asked for. Behind a filter that few projects pass, a
/// page may be short or empty and still have a `next_cursor`: the walk goes on.
#[utoipa::path(
    get, path = "/v1/projects", tag = "marketplace", operation_id = "projects",
    params(
        ("client" = Option<String>, Query, description = "Projects that this principal pays for"),
        ("freelancer" = Option<String>, Query, description = "Projects that this principal works on"),
        ("arbiter" = Option<String>, Query, description = "Projects that this principal rules on"),
        ("participant" = Option<String>, Query, description = "Projects that this principal has any of these parts in"),
        ("status" = Option<ProjectStatus>, Query, description = "Where they stand"),
        ("asset" = Option<String>, Query, description = "`stx`, or the id of a token's contract"),
        ("opened_from_height" = Option<u32>, Query, description = "Lowest Stacks height of the block that opened them", maximum = 2147483647),
        ("opened_to_height" = Option<u32>, Query, description = "Highest Stacks height of it", maximum = 2147483647),
        ("opened_from" = Option<String>, Query, description = "Opened at this time or later: RFC 3339 or unix seconds, by the clock of `at_time`"),
        ("opened_to" = Option<String>, Query, description = "Opened at this time or earlier"),
        ("min_total" = Option<String>, Query, description = "Least amount, base units, decimal"),
        ("max_total" = Option<String>, Query, description = "Greatest amount, base units, decimal"),
        ("sort" = inline(Option<ProjectSort>), Query, description = "What they are ordered by; `id` by default. A project whose opening is not mirrored has no place in `opened` and `total`"),
        OrderParams, ContractParams, AtBlockParams, PageParams,
    ),
    responses(
        (status = 200, description = "A page of projects", body = Page<Stated<ProjectState>>),
        (status = 304, description = "The client's copy is current"),
        (status = 409, description = "`fork_changed`", body = Problem, content_type = "application/problem+json"),
        Problems,
    )
)]
pub(in crate::api::routes) async fn list(
    State(state): State<ApiState>,
    params: Params,
) -> Result<Response, Early> {
    let own: &[&str] = &[
        "client",
        "freelancer",
        "arbiter",
        "participant",
        "status",
        "asset",
        "opened_from_height",
        "opened_to_height",
        "opened_from",
        "opened_to",
        "min_total",
        "max_total",
        "sort",
        "contract",
    ];
    params.allow(&[own, params::ORDER, params::AT_BLOCK, params::PAGE])?;
    let mut filter = filter(&params)?;
    let (from, to) = (time(&params, "opened_from")?, time(&params, "opened_to")?);
    let mut reader = Reader::open(&state, &params).await?;
    reader.stand_at(&params).await?;
    let page = params.page()?;
    let start = reader.walk(page.cursor.as_deref(), String::new()).await?;
    if !start.is_empty() {
        let refused = || ApiError::new(ErrorCode::BadCursor, "the cursor names no place");
        filter.after = Some(place_of(&start).ok_or_else(refused)?);
    }
    filter.at = reader.bound();
    if let Some(from) = from {
        // The first block whose clock is at `from` or later is the one behind the last that is earlier.
        let before = reader.height_by_time(from - 1).await?;
        filter.opened_from = filter.opened_from.max(before.saturating_add(1));
    }
    if let Some(to) = to {
        let last = reader.height_by_time(to).await?;
        filter.opened_to = filter.opened_to.min(last);
    }
    let found = projects::page(reader.connection(), &filter).await?;
    let next = found
        .next
        .and_then(|key| reader.cursor_behind(place_text(&key)));
    let data: Result<Vec<_>, _> = found
        .rows
        .iter()
        .map(|row| Stated::<ProjectState>::new(row, &reader))
        .collect();
    Ok(reader.page(data?, next))
}

/// A time of a filter.
fn time(params: &Params, name: &str) -> Result<Option<i64>, ApiError> {
    let read = |given| {
        clock::parse_time(given).ok_or_else(|| {
            let expected = "a time of RFC 3339, for instance 2026-01-31T12:00:00Z, or unix seconds";
            ApiError::parameter(name, given, expected)
        })
    };
    params.get(name).map(read).transpose()
}

/// One project with its milestones.
#[utoipa::path(
    get, path = "/v1/projects/{id}", tag = "marketplace", operation_id = "project",
    params(("id" = String, Path, description = "The project's number, decimal"), ContractParams, AtBlockParams),
    responses(
        (status = 200, description = "The project", body = Answer<Stated<ProjectState>>),
        (status = 304, description = "The client's copy is current"),
        (status = 404, description = "`not_found`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`fork_changed`", body = Problem, content_type = "application/problem+json"),
        Problems,
    )
)]
pub(in crate::api::routes) async fn project(
    State(state): State<ApiState>,
    Path(id): Path<String>,
    params: Params,
) -> Result<Response, Early> {
    params.allow(&[&["contract"], params::AT_BLOCK])?;
    let id = number("id", &id)?;
    let contract = contract_of(&params, LogicEvent::CONTRACT)?;
    let reader = Reader::open(&state, &params).await?;
    numbered_one::<ProjectState>(
        reader,
        &params,
        PROJECTS,
        (contract, LogicEvent::CONTRACT),
        ("project", id),
    )
    .await
}
