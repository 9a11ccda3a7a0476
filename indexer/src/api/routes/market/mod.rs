//! The marketplace, typed: what the contracts' projections hold, by the names that people ask for.

pub(super) mod badges;
pub(super) mod eligibility;
pub(super) mod fees;
pub(super) mod governance;
pub(super) mod leaderboards;
pub(super) mod metadata;
pub(super) mod milestones;
pub(super) mod money;
pub(super) mod people;
pub(super) mod profiles;
pub(super) mod projects;
pub(super) mod stats;
pub(super) mod timeline;

use axum::response::Response;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use stxworx_clarity::codec::Principal;
use utoipa::{IntoParams, ToSchema};

use crate::api::error::{ApiError, Early, ErrorCode};
use crate::api::params::{self, Params};
use crate::api::reader::Reader;
use crate::store::read::market::{self, Known};
use crate::store::read::projection::{self, EntityFilter, VersionRow};
use crate::store::read::{Rows, Ulong};

/// Deployments that an answer names at most.
const NAMED: i64 = 10;

/// The deployment asked about.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "describes the parameter; `contract_of` reads it")]
pub(super) struct ContractParams {
    /// The contract, when the mirror follows several of the name. A list without it has all of them.
    contract: Option<String>,
}

/// What made a state so.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct Changed {
    /// The block with the last change.
    index_block_hash: String,
    /// Its height.
    height: u32,
    /// Transaction of the change, by its position in the block.
    tx_index: u32,
    /// Event of the change, by its position in the transaction; 0 where a transaction or a block is one
    /// change.
    ordinal: u32,
    /// `seen`, `burn_n` with the depth in Bitcoin blocks, or `final`: of the last change.
    finality: Option<String>,
}

impl Changed {
    fn new(row: &VersionRow, reader: &Reader) -> Self {
        let (tx_index, ordinal) = place(row.position);
        Self {
            index_block_hash: row.block.to_string(),
            height: row.height.0,
            tx_index,
            ordinal,
            finality: reader.finality(true, row.burn_block_height.0),
        }
    }
}

/// A state, and what made it so.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Stated<T> {
    #[serde(flatten)]
    state: T,
    /// What made it so.
    changed: Changed,
}

impl<T: DeserializeOwned> Stated<T> {
    pub(super) fn new(row: &VersionRow, reader: &Reader) -> Result<Self, ApiError> {
        Ok(Self {
            state: typed(&row.state)?,
            changed: Changed::new(row, reader),
        })
    }
}

/// `tx_index` and `ordinal` of a version's position.
pub(super) fn place(position: Ulong) -> (u32, u32) {
    let [a, b, c, d, e, f, g, h] = position.0.to_be_bytes();
    (
        u32::from_be_bytes([a, b, c, d]),
        u32::from_be_bytes([e, f, g, h]),
    )
}

/// A stored state as its projection wrote it.
pub(super) fn typed<T: DeserializeOwned>(state: &str) -> Result<T, ApiError> {
    serde_json::from_str(state).map_err(|error| unreadable(&error))
}

/// The words name fields and types only, and a state is public.
fn unreadable(error: &serde_json::Error) -> ApiError {
    let detail = format!("a stored state is not of this version's form: {error}");
    ApiError::new(ErrorCode::Internal, detail)
}

/// The name in a contract's id.
fn name_of(contract: &str) -> &str {
    contract.split_once('.').map_or("", |(_, name)| name)
}

/// `contract`, which must be one of this name.
pub(super) fn contract_of<'a>(params: &'a Params, name: &str) -> Result<Option<&'a str>, ApiError> {
    let contract = params.contract("contract")?;
    match contract {
        Some(id) if name_of(id) != name => Err(ApiError::parameter(
            "contract",
            id,
            format!("the id of a contract with the name {name}"),
        )),
        _ => Ok(contract),
    }
}

/// The one contract that a request is about: the one it names, or the only one of the name. None when
/// there is none on the block where the reader stands.
pub(super) async fn deployment(
    reader: &mut Reader,
    contract: Option<&str>,
    name: &str,
) -> Result<Option<String>, Early> {
    if let Some(contract) = contract {
        return Ok(Some(contract.to_owned()));
    }
    let at = reader.bound();
    let mut found = market::deployments(reader.connection(), name, at, NAMED + 1).await?;
    if found.len() < 2 {
        return Ok(found.pop());
    }
    let more = found.len() > usize::try_from(NAMED).unwrap_or(usize::MAX);
    if more {
        found.pop();
    }
    let expected = format!(
        "given, because this mirror follows several: {}{}",
        found.join(", "),
        if more { " and more" } else { "" }
    );
    Err(ApiError::parameter("contract", "", expected).into())
}

/// Digits of 2^128 - 1.
const DIGITS: usize = 39;

/// A number from a path or a filter, as entities' names have it.
pub(in crate::api::routes) fn number(name: &str, given: &str) -> Result<u128, ApiError> {
    given
        .parse()
        .ok()
        .filter(|_| given.len() <= DIGITS && given.bytes().all(|b| b.is_ascii_digit()))
        .ok_or_else(|| {
            let expected = format!("a whole number from 0 to {}", u128::MAX);
            ApiError::parameter(name, given, expected)
        })
}

/// The asset of a filter, as states name it.
pub(in crate::api::routes) fn asset(params: &Params) -> Result<Option<String>, ApiError> {
    match params.get("asset") {
        Some(given) if given.eq_ignore_ascii_case("stx") => Ok(Some("STX".to_owned())),
        None => Ok(None),
        Some(given) => params::contract("asset", given)
            .map(|id| Some(id.to_owned()))
            .map_err(|_| {
                ApiError::parameter(
                    "asset",
                    given,
                    "`stx`, or the id of a token's contract: ADDRESS.name",
                )
            }),
    }
}

/// A principal from a path or a filter, spelled as the chain spells it.
fn principal(name: &str, given: &str) -> Result<String, ApiError> {
    params::text(name, given)?
        .parse::<Principal>()
        .map(|principal| principal.to_string())
        .map_err(|error| {
            let expected = format!(
                "an address, or ADDRESS.name of a contract; {}",
                error.reason
            );
            ApiError::parameter(name, given, expected)
        })
}

/// A filter that is a principal.
pub(super) fn principal_filter(params: &Params, name: &str) -> Result<Option<String>, ApiError> {
    params
        .get(name)
        .map(|given| principal(name, given))
        .transpose()
}

/// A filter that is one of some words.
pub(in crate::api::routes) fn word<'a>(
    params: &'a Params,
    name: &str,
    words: &[&str],
) -> Result<Option<&'a str>, ApiError> {
    match params.get(name) {
        Some(given) if !words.contains(&given) => Err(ApiError::parameter(
            name,
            given,
            format!("one of {}", words.join(", ")),
        )),
        given => Ok(given),
    }
}

/// What a state must contain; none when nothing is asked for.
fn containing(fields: impl IntoIterator<Item = (&'static str, Option<Value>)>) -> Option<Value> {
    let fields: Map<_, _> = fields
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect();
    (!fields.is_empty()).then_some(Value::Object(fields))
}

/// Answers with a page of entities by name. The filter's place and bound are filled in here.
async fn named_page<V: Serialize>(
    mut reader: Reader,
    params: &Params,
    mut filter: EntityFilter,
    view: impl Fn(&VersionRow, &Reader) -> Result<V, ApiError>,
) -> Result<Response, Early> {
    let page = params.page()?;
    reader.stand_at(params).await?;
    filter.after = reader.walk(page.cursor.as_deref(), String::new()).await?;
    filter.at = reader.bound();
    filter.limit = page.limit;
    let found = projection::entities(reader.connection(), &filter).await?;
    finish(reader, found, view)
}

fn finish<V: Serialize>(
    reader: Reader,
    found: Rows<VersionRow>,
    view: impl Fn(&VersionRow, &Reader) -> Result<V, ApiError>,
) -> Result<Response, Early> {
    let next = found
        .rows
        .last()
        .filter(|_| found.more)
        .and_then(|row| reader.cursor_behind(row.entity.clone()));
    let data: Result<Vec<_>, _> = found.rows.iter().map(|row| view(row, &reader)).collect();
    Ok(reader.page(data?, next))
}

/// One entity's state on the block where the reader stands.
async fn state_of(
    reader: &mut Reader,
    projection: Known,
    entity: String,
) -> Result<Option<VersionRow>, Early> {
    let at = reader.bound();
    let names = [projection.name.to_owned()];
    let mut rows = projection::at_height(reader.connection(), &names, &[entity], at).await?;
    Ok(rows.pop())
}

/// The state of `CONTRACT/NUMBER` on the block where the reader stands; `what` names the kind of thing.
async fn numbered_row(
    reader: &mut Reader,
    projection: Known,
    (contract, name): (Option<&str>, &str),
    (what, id): (&str, u128),
) -> Result<VersionRow, Early> {
    let missing = || ApiError::not_found(format!("there is no {what} {id} at this block"));
    let contract = deployment(reader, contract, name)
        .await?
        .ok_or_else(missing)?;
    let row = state_of(reader, projection, format!("{contract}/{id}")).await?;
    Ok(row.ok_or_else(missing)?)
}

/// The answer to a request for `CONTRACT/NUMBER`; `what` names the kind of thing.
async fn numbered_one<T: DeserializeOwned + Serialize>(
    mut reader: Reader,
    params: &Params,
    projection: Known,
    whose: (Option<&str>, &str),
    what: (&str, u128),
) -> Result<Response, Early> {
    reader.stand_at(params).await?;
    let row = numbered_row(&mut reader, projection, whose, what).await?;
    let view = Stated::<T>::new(&row, &reader)?;
    Ok(reader.answer(view))
}
