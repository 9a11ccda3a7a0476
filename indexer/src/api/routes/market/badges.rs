//! Soul-bound badges.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::{Path, State};
use axum::response::Response;
use serde::Serialize;
use stxworx_clarity::events::badges::BadgesEvent;
use utoipa::ToSchema;

use super::{
    ContractParams, Stated, containing, contract_of, finish, number, numbered_row,
    principal_filter, typed,
};
use crate::api::error::{ApiError, Early, Problem, Problems};
use crate::api::params::{self, AtBlockParams, PageParams, Params};
use crate::api::reader::Reader;
use crate::api::state::ApiState;
use crate::api::view::{Answer, Page};
use crate::model::TxId;
use crate::store::read::market::{
    self, BADGES, BadgeState, NumberedFilter, Part, SETTINGS, SettingState,
};
use crate::store::read::projection::{self, VersionRow};

/// The kind of a filter. No kind that a state can hold is larger.
fn kind(params: &Params) -> Result<Option<u64>, ApiError> {
    params
        .get("kind")
        .map(|given| {
            let kind = number("kind", given).ok();
            kind.and_then(|kind| u64::try_from(kind).ok())
                .ok_or_else(|| {
                    let expected = format!("a whole number from 0 to {}", u64::MAX);
                    ApiError::parameter("kind", given, expected)
                })
        })
        .transpose()
}

/// What a wallet shows, in the form of SIP-016.
#[derive(Debug, Serialize, ToSchema)]
struct Metadata {
    /// Number of the standard: 16.
    sip: u32,
    /// Name of the badge.
    name: String,
    /// What a wallet may show beside it.
    attributes: Vec<Attribute>,
    /// What else there is to know.
    properties: Properties,
}

/// A trait of a badge.
#[derive(Debug, Serialize, ToSchema)]
struct Attribute {
    /// Its name.
    trait_type: &'static str,
    /// How `value` is meant: `string` or `number`.
    display_type: &'static str,
    /// Its value, as text.
    value: String,
}

/// What SIP-016 leaves to the publisher.
#[derive(Debug, Serialize, ToSchema)]
struct Properties {
    /// The badges' contract.
    collection: String,
    /// A badge cannot be transferred.
    soul_bound: bool,
    /// Number of the kind.
    kind: u64,
    /// The transaction that minted it.
    #[schema(value_type = Option<String>)]
    minted: Option<TxId>,
}

/// A badge, with what a wallet shows of it.
#[derive(Debug, Serialize, ToSchema)]
struct BadgeView {
    #[serde(flatten)]
    stated: Stated<BadgeState>,
    /// Name of its kind, for instance `gold`; null when the kind is not known here.
    kind_name: Option<String>,
    /// Where the contract says that metadata is, with the number filled in; null once it is revoked.
    token_uri: Option<String>,
    /// Metadata by what the contract itself says of the badge.
    metadata: Metadata,
}

impl BadgeView {
    fn new(row: &VersionRow, names: &Names, reader: &Reader) -> Result<Self, ApiError> {
        let state: BadgeState = typed(&row.state)?;
        let kind_name = names.kind(&state.contract, state.kind);
        let shown = kind_name
            .clone()
            .unwrap_or_else(|| format!("kind {}", state.kind));
        let uri = names.uri(&state.contract).filter(|_| state.owner.is_some());
        let attribute = |trait_type, display_type, value: String| Attribute {
            trait_type,
            display_type,
            value,
        };
        let metadata = Metadata {
            sip: 16,
            name: format!("{shown} #{}", state.id),
            attributes: vec![
                attribute("kind", "string", shown),
                attribute("via", "string", state.via.clone()),
                attribute("minted_height", "number", state.minted_height.to_string()),
            ],
            properties: Properties {
                collection: state.contract.clone(),
                soul_bound: true,
                kind: state.kind,
                minted: state.minted,
            },
        };
        Ok(Self {
            kind_name,
            token_uri: uri.map(|uri| uri.replace("{id}", &state.id.to_string())),
            metadata,
            stated: Stated::new(row, reader)?,
        })
    }
}

/// What the badges' contracts say of their kinds and of the place of metadata.
#[derive(Default)]
struct Names(BTreeMap<String, SettingState>);

impl Names {
    /// Reads what these badges need, as of the block where the reader stands.
    async fn of(reader: &mut Reader, rows: &[VersionRow]) -> Result<Self, Early> {
        let mut names = BTreeSet::new();
        for row in rows {
            let state: BadgeState = typed(&row.state)?;
            let contract = state.contract;
            names.insert(format!("{contract}/kind-set/{}", state.kind));
            names.insert(format!("{contract}/uri-set"));
            names.insert(format!("{contract}/genesis"));
        }
        let names: Vec<_> = names.into_iter().collect();
        let (projections, at) = ([SETTINGS.name.to_owned()], reader.bound());
        let rows = projection::at_height(reader.connection(), &projections, &names, at).await?;
        let mut found = BTreeMap::new();
        for row in rows {
            found.insert(row.entity, typed(&row.state)?);
        }
        Ok(Self(found))
    }

    fn text(&self, entity: &str, field: &str) -> Option<String> {
        let value = self.0.get(entity)?.value.get(field)?;
        value.as_str().map(str::to_owned)
    }

    fn kind(&self, contract: &str, kind: u64) -> Option<String> {
        self.text(&format!("{contract}/kind-set/{kind}"), "name")
    }

    fn uri(&self, contract: &str) -> Option<String> {
        self.text(&format!("{contract}/uri-set"), "uri")
            .or_else(|| self.text(&format!("{contract}/genesis"), "uri"))
    }
}

/// Badges by contract and number; revoked ones are among them, without an owner.
#[utoipa::path(
    get, path = "/v1/badges", tag = "marketplace", operation_id = "badges",
    params(
        ("owner" = Option<String>, Query, description = "Badges that this principal has"),
        ("kind" = Option<u64>, Query, description = "Badges of this kind; see topic `kind-set` of /v1/settings"),
        ContractParams, AtBlockParams, PageParams,
    ),
    responses(
        (status = 200, description = "A page of badges", body = Page<BadgeView>),
        (status = 304, description = "The client's copy is current"),
        (status = 409, description = "`fork_changed`", body = Problem, content_type = "application/problem+json"),
        Problems,
    )
)]
pub(in crate::api::routes) async fn list(
    State(state): State<ApiState>,
    params: Params,
) -> Result<Response, Early> {
    let own: &[&str] = &["owner", "kind", "contract"];
    params.allow(&[own, params::AT_BLOCK, params::PAGE])?;
    let owner = principal_filter(&params, "owner")?;
    let kind = kind(&params)?;
    let contract = contract_of(&params, BadgesEvent::CONTRACT)?;
    let page = params.page()?;
    let mut filter = NumberedFilter {
        projection: BADGES.id,
        contract: contract.map(str::to_owned),
        matching: containing([
            ("owner", owner.clone().map(Into::into)),
            ("kind", kind.map(Into::into)),
        ]),
        parts: owner.into_iter().map(|who| (Part::Owner, who)).collect(),
        ..NumberedFilter::default()
    };
    let mut reader = Reader::open(&state, &params).await?;
    reader.stand_at(&params).await?;
    filter.after = reader.walk(page.cursor.as_deref(), String::new()).await?;
    filter.at = reader.bound();
    filter.limit = page.limit;
    let found = market::numbered(reader.connection(), &filter).await?;
    let names = Names::of(&mut reader, &found.rows).await?;
    finish(reader, found, |row, reader| {
        BadgeView::new(row, &names, reader)
    })
}

/// One badge.
#[utoipa::path(
    get, path = "/v1/badges/{id}", tag = "marketplace", operation_id = "badge",
    params(("id" = String, Path, description = "The token's number, decimal"), ContractParams, AtBlockParams),
    responses(
        (status = 200, description = "The badge", body = Answer<BadgeView>),
        (status = 304, description = "The client's copy is current"),
        (status = 404, description = "`not_found`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`fork_changed`", body = Problem, content_type = "application/problem+json"),
        Problems,
    )
)]
pub(in crate::api::routes) async fn badge(
    State(state): State<ApiState>,
    Path(id): Path<String>,
    params: Params,
) -> Result<Response, Early> {
    params.allow(&[&["contract"], params::AT_BLOCK])?;
    let id = number("id", &id)?;
    let contract = contract_of(&params, BadgesEvent::CONTRACT)?;
    let mut reader = Reader::open(&state, &params).await?;
    reader.stand_at(&params).await?;
    let whose = (contract, BadgesEvent::CONTRACT);
    let row = numbered_row(&mut reader, BADGES, whose, ("badge", id)).await?;
    let names = Names::of(&mut reader, std::slice::from_ref(&row)).await?;
    let view = BadgeView::new(&row, &names, &reader)?;
    Ok(reader.answer(view))
}
