//! What a user lacks for each kind of badge, by the badges' contract's own rule.

use std::collections::BTreeMap;

use axum::extract::{Path, State};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use stxworx_clarity::events::badges::BadgesEvent;
use stxworx_clarity::events::data::DataEvent;
use utoipa::ToSchema;

use super::{ContractParams, contract_of, deployment, principal, state_of, typed, unreadable};
use crate::api::error::{ApiError, Early, Problem, Problems};
use crate::api::params::{self, AtBlockParams, MAX_LIMIT, Params};
use crate::api::reader::Reader;
use crate::api::state::ApiState;
use crate::api::view::Answer;
use crate::store::mint::look::{self, StandingRow};
use crate::store::read::market::{PROFILES, ProfileState, SETTINGS, SettingState};
use crate::store::read::people::{self, HeldBadge};
use crate::store::read::projection::{self, EntityFilter};

/// A kind, as the contract has it.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct KindTerms {
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) projects: String,
    pub(super) rating: String,
    pub(super) needs_x: bool,
}

/// Where a user stands with a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum BadgeStanding {
    /// The user has it.
    Held,
    /// It can be claimed or minted now.
    Earned,
    /// Something is missing.
    Missing,
    /// It was revoked or moved to another address: the contract never gives it to this user again.
    Barred,
}

/// What the contract asks for.
#[derive(Debug, Serialize, ToSchema)]
struct Requirement {
    /// `projects` (completed), `rating` (average times 100, with at least one rating) or `x` (an attested X account,
    /// 1 while it holds).
    what: &'static str,
    /// How much is asked for, decimal.
    needed: String,
    /// How much there is, decimal.
    have: String,
    /// What lacks, decimal; 0 when it is met. A rating may lack although it lacks 0: while there is none.
    missing: String,
    /// Is it met?
    met: bool,
}

/// A kind of badge, and what a user lacks for it.
#[derive(Debug, Serialize, ToSchema)]
struct EligibilityView {
    /// Number of the kind, decimal.
    kind: String,
    /// Its name, for instance `gold`.
    name: String,
    /// Where the user stands with it.
    standing: BadgeStanding,
    /// The badge, when the user has it.
    badge: Option<u64>,
    /// Where this service is with minting it, now; null when it is not at it.
    mint: Option<MintStanding>,
    /// What the contract asks for. What a kind does not ask for is not here.
    requirements: Vec<Requirement>,
}

/// Where a mint stands.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct MintStanding {
    /// Its number; see /v1/mints.
    id: i64,
    /// Its state.
    state: String,
    /// Why, in a word.
    reason: Option<String>,
}

/// A user, and every kind of badge.
#[derive(Debug, Serialize, ToSchema)]
struct EligibilityOfUser {
    /// The user.
    user: String,
    /// The badges' contract.
    contract: String,
    /// Bitcoin's height by which an attested account holds or has lapsed.
    burn_height: u32,
    /// The kinds, by number.
    kinds: Vec<EligibilityView>,
}

/// The three conditions of `earned?` of the badges' contract.
fn requirements(
    terms: &KindTerms,
    profile: &ProfileState,
    burn_height: u32,
) -> Result<Vec<Requirement>, ApiError> {
    let parsed = |text: &str| {
        text.parse::<u128>().map_err(|_| {
            let detail = format!(
                "the stored terms of badge kind {} are no numbers",
                terms.kind
            );
            ApiError::new(crate::api::ErrorCode::Internal, detail)
        })
    };
    let (projects, rating) = (parsed(&terms.projects)?, parsed(&terms.rating)?);
    let mut all = Vec::new();
    if projects > 0 {
        let have = u128::from(profile.completed);
        all.push(Requirement {
            what: "projects",
            needed: projects.to_string(),
            have: have.to_string(),
            missing: projects.saturating_sub(have).to_string(),
            met: have >= projects,
        });
    }
    if rating > 0 {
        let (sum, count) = (
            u128::from(profile.rating_sum) * 100,
            u128::from(profile.rating_count),
        );
        let average = sum.checked_div(count).unwrap_or_default();
        all.push(Requirement {
            what: "rating",
            needed: rating.to_string(),
            have: average.to_string(),
            missing: rating.saturating_sub(average).to_string(),
            met: count > 0 && rating.checked_mul(count).is_some_and(|asked| sum >= asked),
        });
    }
    if terms.needs_x {
        let holds = profile
            .x
            .as_ref()
            .is_some_and(|account| account.expires >= u64::from(burn_height));
        all.push(Requirement {
            what: "x",
            needed: "1".to_owned(),
            have: u8::from(holds).to_string(),
            missing: u8::from(!holds).to_string(),
            met: holds,
        });
    }
    Ok(all)
}

fn eligibility(
    terms: &KindTerms,
    profile: &ProfileState,
    had: &[HeldBadge],
    mints: &[StandingRow],
    burn_height: u32,
) -> Result<EligibilityView, ApiError> {
    let requirements = requirements(terms, profile, burn_height)?;
    let of_kind = |badge: &&HeldBadge| badge.kind.0.to_string() == terms.kind;
    let held = had.iter().filter(of_kind).find(|badge| badge.held);
    let standing = if held.is_some() {
        BadgeStanding::Held
    } else if had.iter().any(|badge| of_kind(&badge)) {
        BadgeStanding::Barred
    } else if requirements.iter().all(|one| one.met) {
        BadgeStanding::Earned
    } else {
        BadgeStanding::Missing
    };
    Ok(EligibilityView {
        kind: terms.kind.clone(),
        name: terms.name.clone(),
        standing,
        badge: held.map(|badge| badge.id.0),
        mint: mints
            .iter()
            .find(|mint| mint.kind == terms.kind)
            .map(|mint| MintStanding {
                id: mint.id,
                state: mint.state.clone(),
                reason: mint.reason.clone(),
            }),
        requirements,
    })
}

/// What the tag of an answer says of mints.
fn tag(mints: &[StandingRow]) -> String {
    let mut hash = Sha256::new();
    for mint in mints {
        let reason = mint.reason.as_deref().unwrap_or_default();
        hash.update(format!("{} {} {reason}\n", mint.id, mint.state));
    }
    let digest: [u8; 32] = hash.finalize().into();
    let short = digest.get(..4).unwrap_or_default();
    format!("-m{}", hex::encode(short))
}

/// The kinds of a badges' contract on the block where the reader stands, by number; at most 200.
pub(super) async fn kinds(
    reader: &mut Reader,
    contract: &str,
) -> Result<BTreeMap<u128, KindTerms>, Early> {
    let filter = EntityFilter {
        projection: SETTINGS.id,
        at: reader.bound(),
        prefix: Some(format!("{contract}/kind-set/")),
        limit: MAX_LIMIT,
        ..EntityFilter::default()
    };
    let found = projection::entities(reader.connection(), &filter).await?;
    let mut kinds = BTreeMap::new();
    for row in &found.rows {
        let setting: SettingState = typed(&row.state)?;
        let terms = KindTerms::deserialize(&setting.value).map_err(|e| unreadable(&e))?;
        kinds.insert(terms.kind.parse().unwrap_or(u128::MAX), terms);
    }
    Ok(kinds)
}

/// What a user lacks for each kind of badge. The rule and its numbers are the contract's: completed projects, average
/// rating, and an attested X account. Nobody is unknown: who did nothing lacks everything.
#[utoipa::path(
    get, path = "/v1/badges/{principal}/eligibility", tag = "marketplace", operation_id = "badge_eligibility",
    params(("principal" = String, Path, description = "The user"), ContractParams, AtBlockParams),
    responses(
        (status = 200, description = "Every kind", body = Answer<EligibilityOfUser>),
        (status = 304, description = "The client's copy is current"),
        (status = 404, description = "`not_found`: there is no badges' contract", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`fork_changed`", body = Problem, content_type = "application/problem+json"),
        Problems,
    )
)]
pub(in crate::api::routes) async fn of_user(
    State(state): State<ApiState>,
    Path(user): Path<String>,
    params: Params,
) -> Result<Response, Early> {
    params.allow(&[&["contract"], params::AT_BLOCK])?;
    let user = principal("principal", &user)?;
    let contract = contract_of(&params, BadgesEvent::CONTRACT)?;
    let mut reader = Reader::open_untagged(&state, &params).await?;
    reader.stand_at(&params).await?;
    let missing = || ApiError::not_found("there is no badges' contract at this block");
    let contract = deployment(&mut reader, contract, BadgesEvent::CONTRACT)
        .await?
        .ok_or_else(missing)?;
    let address = contract.split_once('.').map_or("", |(address, _)| address);
    let profile = format!("{address}.{}/{user}", DataEvent::CONTRACT);
    let profile = match state_of(&mut reader, PROFILES, profile).await? {
        Some(row) => typed(&row.state)?,
        None => ProfileState::default(),
    };
    let kinds = kinds(&mut reader, &contract).await?;
    let at = reader.bound();
    let had = people::badges_had(reader.connection(), &contract, &user, at).await?;
    let users = std::slice::from_ref(&user);
    let mints = look::standings(reader.connection(), &contract, users)
        .await
        .map_err(ApiError::from)?;
    // Mints move without the tip.
    reader.tag(&params, &tag(&mints))?;
    let burn_height = reader.burn_now();
    let kinds: Result<Vec<_>, _> = kinds
        .values()
        .map(|terms| eligibility(terms, &profile, &had, &mints, burn_height))
        .collect();
    Ok(reader.answer(EligibilityOfUser {
        user,
        contract,
        burn_height,
        kinds: kinds?,
    }))
}
