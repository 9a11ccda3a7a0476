//! What a wallet asks of a kind of badge: metadata by SIP-016, and a picture.

use axum::extract::{Path, State};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use stxworx_clarity::events::badges::BadgesEvent;
use utoipa::ToSchema;

use super::eligibility::{KindTerms, kinds};
use super::{ContractParams, contract_of, deployment, number};
use crate::api::art::{self, Badge};
use crate::api::error::{ApiError, Early, ErrorCode, Problem, Problems};
use crate::api::params::{self, AtBlockParams, Params};
use crate::api::reader::Reader;
use crate::api::state::ApiState;

/// Metadata of a kind of badge, in the form of SIP-016.
#[derive(Debug, Serialize, ToSchema)]
struct KindMetadata {
    /// Number of the standard: 16.
    sip: u32,
    /// Name of the badge.
    name: String,
    /// What it stands for.
    description: String,
    /// Its picture: a `data:` address with the whole SVG, so that it needs no other host.
    image: String,
    /// What a wallet may show beside it.
    attributes: Vec<KindAttribute>,
    /// What else there is to know.
    properties: KindProperties,
}

/// A trait of a kind.
#[derive(Debug, Serialize, ToSchema)]
struct KindAttribute {
    /// Its name.
    trait_type: &'static str,
    /// How `value` is meant: `string` or `number`.
    display_type: &'static str,
    /// Its value, as text.
    value: String,
}

/// What SIP-016 leaves to the publisher.
#[derive(Debug, Serialize, ToSchema)]
struct KindProperties {
    /// The badges' contract.
    collection: String,
    /// A badge cannot be transferred.
    soul_bound: bool,
    /// Number of the kind, decimal.
    kind: String,
    /// Completed projects that it asks for, decimal.
    projects: String,
    /// Average rating that it asks for, times 100, decimal; 0 for none.
    rating: String,
    /// Does it ask for an attested X account?
    x: bool,
}

/// Reads the kind that a file is about, as of the block where the reader then stands.
async fn asked(
    state: &ApiState,
    params: &Params,
    (file, ending): (&str, &str),
) -> Result<(Reader, String, KindTerms), Early> {
    params.allow(&[&["contract"], params::AT_BLOCK])?;
    let expected = || ApiError::parameter("file", file, format!("NUMBER{ending}"));
    let digits = file.strip_suffix(ending).ok_or_else(expected)?;
    let wanted = number("file", digits).map_err(|_| expected())?;
    let contract = contract_of(params, BadgesEvent::CONTRACT)?;
    let mut reader = Reader::open(state, params).await?;
    reader.stand_at(params).await?;
    let missing =
        || ApiError::not_found(format!("there is no kind {wanted} of badges at this block"));
    let contract = deployment(&mut reader, contract, BadgesEvent::CONTRACT)
        .await?
        .ok_or_else(missing)?;
    let mut all = kinds(&mut reader, &contract).await?;
    let terms = all.remove(&wanted).ok_or_else(missing)?;
    Ok((reader, contract, terms))
}

fn badge(terms: &KindTerms) -> Result<Badge<'_>, ApiError> {
    let parsed = |text: &str| {
        text.parse::<u128>().map_err(|_| {
            let detail = "the stored terms of a kind of badge are no numbers";
            ApiError::new(ErrorCode::Internal, detail)
        })
    };
    Ok(Badge {
        kind: parsed(&terms.kind)?,
        name: &terms.name,
        projects: parsed(&terms.projects)?,
        rating: parsed(&terms.rating)?,
        needs_x: terms.needs_x,
    })
}

/// Metadata of a kind of badge by SIP-016, by what the contract says of it. The answer is the bare metadata, as wallets
/// expect it.
#[utoipa::path(
    get, path = "/v1/badges/metadata/{file}", tag = "marketplace", operation_id = "badge_metadata",
    params(
        ("file" = String, Path, description = "`NUMBER.json`: the number of the kind"),
        ContractParams, AtBlockParams,
    ),
    responses(
        (status = 200, description = "The metadata", body = KindMetadata),
        (status = 304, description = "The client's copy is current"),
        (status = 404, description = "`not_found`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`fork_changed`", body = Problem, content_type = "application/problem+json"),
        Problems,
    )
)]
pub(in crate::api::routes) async fn metadata(
    State(state): State<ApiState>,
    Path(file): Path<String>,
    params: Params,
) -> Result<Response, Early> {
    let (reader, contract, terms) = asked(&state, &params, (&file, ".json")).await?;
    let badge = badge(&terms)?;
    let picture = STANDARD.encode(art::svg(&badge));
    let attribute = |trait_type, display_type, value: &str| KindAttribute {
        trait_type,
        display_type,
        value: value.to_owned(),
    };
    let body = KindMetadata {
        sip: 16,
        name: art::title(&badge),
        description: art::description(&badge),
        image: format!("data:image/svg+xml;base64,{picture}"),
        attributes: vec![
            attribute("kind", "string", &terms.name),
            attribute("projects", "number", &terms.projects),
            attribute("rating", "number", &terms.rating),
            attribute(
                "x",
                "string",
                if terms.needs_x { "attested" } else { "none" },
            ),
        ],
        properties: KindProperties {
            collection: contract,
            soul_bound: true,
            kind: terms.kind.clone(),
            projects: terms.projects.clone(),
            rating: terms.rating.clone(),
            x: terms.needs_x,
        },
    };
    Ok(reader.respond(|_| body))
}

/// Picture of a kind of badge: an SVG that needs no other file, with a title and a description for those who do not see
/// it.
#[utoipa::path(
    get, path = "/v1/badges/images/{file}", tag = "marketplace", operation_id = "badge_image",
    params(
        ("file" = String, Path, description = "`NUMBER.svg`: the number of the kind"),
        ContractParams, AtBlockParams,
    ),
    responses(
        (status = 200, description = "The picture", body = String, content_type = "image/svg+xml"),
        (status = 304, description = "The client's copy is current"),
        (status = 404, description = "`not_found`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`fork_changed`", body = Problem, content_type = "application/problem+json"),
        Problems,
    )
)]
pub(in crate::api::routes) async fn image(
    State(state): State<ApiState>,
    Path(file): Path<String>,
    params: Params,
) -> Result<Response, Early> {
    let (reader, _, terms) = asked(&state, &params, (&file, ".svg")).await?;
    let picture = art::svg(&badge(&terms)?);
    Ok(reader.send("image/svg+xml; charset=utf-8", picture))
}
