//! Users in lists: by name, or by a score.

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use stxworx_clarity::events::data::DataEvent;
use utoipa::ToSchema;

use super::leaderboards::kept;
use super::{Changed, ContractParams, asset, contract_of, deployment, typed, word};
use crate::api::boards::Kind;
use crate::api::error::{ApiError, Early, Problem, Problems};
use crate::api::params::{self, AtBlockParams, PageParams, Params};
use crate::api::reader::Reader;
use crate::api::state::ApiState;
use crate::api::view::Page;
use crate::store::read::boards::{Measure, Span};
use crate::store::read::market::{PROFILES, ProfileState};
use crate::store::read::people::{self, UserFilter};
use crate::store::read::projection::{self, VersionRow};

/// Letters of a handle's beginning at least: shorter ones choose too many. A handle has no fewer.
const SHORTEST: usize = 3;

/// What users are ordered by.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[allow(dead_code, reason = "names the words in the documentation")]
enum UserSort {
    /// Contract and principal.
    Name,
    /// Earnings in `asset`, most first.
    Earnings,
    /// Completed projects, most first.
    Completions,
    /// Average rating, best first.
    Ratings,
}

/// A user in a list.
#[derive(Debug, Serialize, ToSchema)]
struct UserView {
    /// The contract that keeps the profile.
    contract: String,
    #[serde(flatten)]
    state: ProfileState,
    /// Rank by the order asked for: 1 and the number of users who are better. Null in the order of names.
    rank: Option<u64>,
    /// What made it so.
    changed: Changed,
}

impl UserView {
    fn new(row: &VersionRow, rank: Option<u64>, reader: &Reader) -> Result<Self, ApiError> {
        Ok(Self {
            contract: row
                .entity
                .split_once('/')
                .map_or("", |(contract, _)| contract)
                .to_owned(),
            state: typed(&row.state)?,
            rank,
            changed: Changed::new(row, reader),
        })
    }
}

/// The pattern of a handle's beginning.
fn handle(params: &Params) -> Result<Option<String>, ApiError> {
    let Some(given) = params.text("handle")? else {
        return Ok(None);
    };
    if given.len() < SHORTEST {
        let expected = format!("the first {SHORTEST} characters or more");
        return Err(ApiError::parameter("handle", given, expected));
    }
    let mut pattern = String::with_capacity(given.len() + 1);
    for c in given.chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    Ok(Some(pattern))
}

/// A page by score: places from the board, states by name.
async fn by_score(
    state: &ApiState,
    mut reader: Reader,
    params: &Params,
    (kind, asset): (Kind, &str),
) -> Result<Response, Early> {
    let page = params.page()?;
    let contract = contract_of(params, DataEvent::CONTRACT)?;
    let start = reader.walk(page.cursor.as_deref(), 0i64).await?;
    let Some(contract) = deployment(&mut reader, contract, DataEvent::CONTRACT).await? else {
        return Ok(reader.page(Vec::<UserView>::new(), None));
    };
    let span = Span {
        after: -1,
        at: reader.bound(),
    };
    let board = kept(state, &mut reader, &contract, (kind, asset), span).await?;
    let start = usize::try_from(start).unwrap_or_default();
    let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
    let places: Vec<_> = board.entries.iter().skip(start).take(limit).collect();
    let name = |user: &str| format!("{contract}/{user}");
    let names: Vec<_> = places.iter().map(|entry| name(&entry.user)).collect();
    let projections = [PROFILES.name.to_owned()];
    let at = reader.bound();
    let rows = projection::at_height(reader.connection(), &projections, &names, at).await?;
    let mut data = Vec::new();
    for (entry, name) in places.iter().zip(&names) {
        let row = rows.iter().find(|row| row.entity == *name);
        if let Some(row) = row {
            data.push(UserView::new(row, Some(entry.rank), &reader)?);
        }
    }
    let end = start.saturating_add(places.len());
    let next = (end < board.entries.len())
        .then(|| reader.cursor_behind(i64::try_from(end).ok()?))
        .flatten();
    Ok(reader.page(data, next))
}

/// Users of whom the contract has told anything: a profile, an attestation, a payment, a dispute or a rating. By a
/// score, only those who have one. Behind a filter that few users pass, a page may end early and still have a
/// `next_cursor`.
#[utoipa::path(
    get, path = "/v1/profiles", tag = "marketplace", operation_id = "profiles",
    params(
        ("role" = Option<String>, Query, description = "`freelancer`: with whom a milestone was settled. `client`: who opened a project. In the order of names only"),
        ("handle" = Option<String>, Query, description = "The first characters of the handle, 3 at least. In the order of names only"),
        ("sort" = inline(Option<UserSort>), Query, description = "`name` by default"),
        ("asset" = Option<String>, Query, description = "For `sort=earnings`, and required there: `stx`, or the id of a token's contract"),
        ContractParams, AtBlockParams, PageParams,
    ),
    responses(
        (status = 200, description = "A page of users", body = Page<UserView>),
        (status = 304, description = "The client's copy is current"),
        (status = 409, description = "`fork_changed`", body = Problem, content_type = "application/problem+json"),
        Problems,
    )
)]
pub(in crate::api::routes) async fn list(
    State(state): State<ApiState>,
    params: Params,
) -> Result<Response, Early> {
    let own: &[&str] = &["role", "handle", "sort", "asset", "contract"];
    params.allow(&[own, params::AT_BLOCK, params::PAGE])?;
    let page = params.page()?;
    let role = word(&params, "role", &["freelancer", "client"])?;
    let (handle, asset) = (handle(&params)?, asset(&params)?);
    let contract = contract_of(&params, DataEvent::CONTRACT)?;
    let sort = word(
        &params,
        "sort",
        &["name", "earnings", "completions", "ratings"],
    )?;
    let kind = sort.and_then(Kind::parse);
    let earns = kind == Some(Kind::Profile(Measure::Earnings));
    if earns != asset.is_some() {
        let expected = if earns {
            "given: `stx`, or the id of a token's contract"
        } else {
            "left out: only `sort=earnings` is told by asset"
        };
        let given = params.get("asset").unwrap_or_default();
        return Err(ApiError::parameter("asset", given, expected).into());
    }
    for name in ["role", "handle"] {
        if let (Some(given), Some(_)) = (params.get(name), kind) {
            let expected = "left out where `sort` is a score";
            return Err(ApiError::parameter(name, given, expected).into());
        }
    }
    let mut reader = Reader::open(&state, &params).await?;
    reader.stand_at(&params).await?;
    if let Some(kind) = kind {
        let asset = asset.unwrap_or_default();
        return by_score(&state, reader, &params, (kind, &asset)).await;
    }
    let filter = UserFilter {
        contract: contract.map(str::to_owned),
        freelancer: role == Some("freelancer"),
        client: role == Some("client"),
        handle,
        after: reader.walk(page.cursor.as_deref(), String::new()).await?,
        at: reader.bound(),
        limit: page.limit,
    };
    let found = people::page(reader.connection(), &filter).await?;
    let next = found.next.and_then(|entity| reader.cursor_behind(entity));
    let data: Result<Vec<_>, _> = found
        .rows
        .iter()
        .map(|row| UserView::new(row, None, &reader))
        .collect();
    Ok(reader.page(data?, next))
}
