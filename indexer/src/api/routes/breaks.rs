//! What does not agree between the chain, its mirror and the platform: for those who run the service.

use axum::extract::{Path, State};
use axum::response::Response;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::market::word;
use crate::api::access::{Operator, Refusals};
use crate::api::error::{ApiError, Early, ErrorCode, Problem, Problems};
use crate::api::params::Params;
use crate::api::reader::Reader;
use crate::api::state::ApiState;
use crate::api::view::{Answer, Page};
use crate::store::reconcile::breaks::{self, BreakFilter, StoredBreak};
use crate::store::reconcile::run;

const STATES: [&str; 4] = ["suspected", "open", "acknowledged", "resolved"];
const SEVERITIES: [&str; 4] = ["low", "medium", "high", "critical"];
const FAULTS: [&str; 3] = ["node", "mirror", "platform"];

/// Something that differs.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct BreakView {
    /// Its identity, hexadecimal; the same when it comes back.
    id: String,
    /// The rule.
    rule: String,
    /// The version of the rule that looked last.
    rule_version: i32,
    /// Kind of what it is about, for instance `project`.
    subject_kind: String,
    /// Key of what it is about.
    subject_key: String,
    /// What of it differs.
    what: String,
    /// `suspected`, `open`, `acknowledged` or `resolved`.
    state: String,
    /// How it was resolved.
    resolution: Option<String>,
    /// `low`, `medium`, `high` or `critical`.
    severity: String,
    /// Who is wrong: `node`, `mirror` or `platform`.
    fault: String,
    /// What must be.
    expected: Option<String>,
    /// What is.
    found: Option<String>,
    /// Money at risk, base units, decimal.
    amount: Option<String>,
    /// Of what.
    asset: Option<String>,
    /// First seen in its present life, Unix seconds by the platform's clock.
    first_seen_s: i64,
    /// Last seen, likewise.
    last_seen_s: i64,
    /// Opened, likewise.
    opened_s: Option<i64>,
    /// A statement that would end it, if there is one. Nothing carries it out.
    repair_sql: Option<String>,
    /// SHA-256 of the canonical form of its evidence, hexadecimal.
    evidence_hash: String,
}

impl From<StoredBreak> for BreakView {
    fn from(row: StoredBreak) -> Self {
        let finding = &row.body["finding"];
        let text = |value: &Value| value.as_str().map(str::to_owned);
        Self {
            expected: text(&finding["expected"]),
            found: text(&finding["found"]),
            repair_sql: text(&finding["repair"]["sql"]),
            id: row.id,
            rule: row.rule,
            rule_version: row.rule_version,
            subject_kind: row.subject_kind,
            subject_key: row.subject_key,
            what: row.what,
            state: row.state,
            resolution: row.resolution,
            severity: row.severity,
            fault: row.fault,
            amount: row.amount,
            asset: row.asset,
            first_seen_s: row.first_seen_s,
            last_seen_s: row.last_seen_s,
            opened_s: row.opened_s,
            evidence_hash: row.evidence_hash,
        }
    }
}

/// A break with its evidence and its history.
#[derive(Debug, Serialize, ToSchema)]
struct BreakDetail {
    /// The break.
    #[serde(flatten)]
    of: BreakView,
    /// Both sides' facts, and everything that is known of it.
    #[schema(value_type = Object)]
    body: Value,
    /// What happened to it, the first change first; a thousand changes at most.
    history: Vec<BreakChange>,
}

/// A change of a break.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct BreakChange {
    /// Its number among all changes of all breaks.
    pub(super) seq: i64,
    /// When, Unix seconds by this service's database.
    pub(super) at_s: i64,
    /// A person, or `reconciler`.
    pub(super) who: String,
    /// What happened.
    pub(super) change: String,
    /// The run that saw it; null when a person changed it.
    pub(super) run: Option<i64>,
}

/// Breaks, the worst and oldest first: those that are not over, unless `state` says otherwise.
#[utoipa::path(
    get, path = "/v1/breaks", tag = "administration", operation_id = "breaks",
    params(
        ("state" = Option<String>, Query, description = "`suspected`, `open`, `acknowledged` or `resolved`"),
        ("severity" = Option<String>, Query, description = "This bad or worse: `low`, `medium`, `high` or `critical`"),
        ("fault" = Option<String>, Query, description = "Who is wrong: `node`, `mirror` or `platform`"),
        ("rule" = Option<String>, Query, description = "Of this rule, for instance `P2`"),
        ("subject" = Option<String>, Query, description = "About what has this in its key"),
        ("limit" = Option<u32>, Query, description = "How many at most", minimum = 1, maximum = 200),
    ),
    security(("bearer" = []), ("api_key" = [])),
    responses(
        (status = 200, description = "Breaks", body = Page<BreakView>),
        Refusals,
        Problems,
    )
)]
pub(super) async fn list(
    _caller: Operator,
    State(state): State<ApiState>,
    params: Params,
) -> Result<Response, Early> {
    params.allow(&[&["state", "severity", "fault", "rule", "subject", "limit"]])?;
    let page = params.page()?;
    let text = |name: &str| Ok::<_, Early>(params.text(name)?.map(str::to_owned));
    let states = match word(&params, "state", &STATES)? {
        Some(state) => vec![state.to_owned()],
        None => STATES[..3].iter().map(ToString::to_string).collect(),
    };
    let filter = BreakFilter {
        states,
        rule: text("rule")?,
        severity: word(&params, "severity", &SEVERITIES)?.map(str::to_owned),
        fault: word(&params, "fault", &FAULTS)?.map(str::to_owned),
        subject: text("subject")?,
        limit: i64::from(page.limit),
    };
    let reader = Reader::open_untagged(&state, &params).await?;
    let found = breaks::list(&state.pool, &filter)
        .await
        .map_err(ApiError::from)?;
    let data: Vec<BreakView> = found.into_iter().map(Into::into).collect();
    Ok(reader.page(data, None))
}

/// Changes that are shown of one break.
const CHANGES: i64 = 1_000;

/// The history of a break.
pub(super) async fn history(state: &ApiState, id: &str) -> Result<Vec<BreakChange>, Early> {
    let bytes = hex::decode(id).map_err(|_| {
        ApiError::new(
            ErrorCode::Internal,
            "the identity of a break is no hexadecimal text",
        )
    })?;
    let rows = crate::store::reconcile::events::of_break(&state.pool, &bytes, CHANGES)
        .await
        .map_err(ApiError::from)?;
    Ok(rows
        .into_iter()
        .map(|row| BreakChange {
            seq: row.seq,
            at_s: row.at_us / 1_000_000,
            who: row.who,
            change: row.change,
            run: row.run_id,
        })
        .collect())
}

/// The beginning of an identity.
pub(super) fn identity(id: &str) -> Result<String, ApiError> {
    let is_name = (6..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_hexdigit());
    if !is_name {
        let expected = "6 to 64 hexadecimal digits";
        return Err(ApiError::parameter("id", id, expected));
    }
    Ok(id.to_ascii_lowercase())
}

/// One break, with both sides' facts and its history.
#[utoipa::path(
    get, path = "/v1/breaks/{id}", tag = "administration", operation_id = "break",
    params(("id" = String, Path, description = "Its identity, or the beginning of it: at least 6 hexadecimal digits")),
    security(("bearer" = []), ("api_key" = [])),
    responses(
        (status = 200, description = "The break", body = Answer<BreakDetail>),
        (status = 404, description = "`not_found`", body = Problem, content_type = "application/problem+json"),
        Refusals,
        Problems,
    )
)]
pub(super) async fn one(
    _caller: Operator,
    State(state): State<ApiState>,
    Path(id): Path<String>,
    params: Params,
) -> Result<Response, Early> {
    params.allow(&[])?;
    let prefix = identity(&id)?;
    let reader = Reader::open_untagged(&state, &params).await?;
    let mut found = breaks::by_prefix(&state.pool, &prefix)
        .await
        .map_err(ApiError::from)?;
    if found.len() > 1 {
        let expected = "more digits: several breaks begin like this";
        return Err(ApiError::parameter("id", &id, expected).into());
    }
    let row = found
        .pop()
        .ok_or_else(|| ApiError::not_found("no such break"))?;
    let history = history(&state, &row.id).await?;
    let body = row.body.clone();
    Ok(reader.answer(BreakDetail {
        of: row.into(),
        body,
        history,
    }))
}

/// What the last good comparisons covered.
#[derive(Debug, Serialize, ToSchema)]
struct ReconcileCoverage {
    /// The newest good run; null before any.
    newest: Option<RunView>,
    /// The newest good sweep over everything; null before any.
    sweep: Option<RunView>,
}

/// A comparison of the platform with the mirror.
#[derive(Debug, Serialize, ToSchema)]
struct RunView {
    /// Its number.
    id: i64,
    /// `sweep` or `incremental`.
    kind: String,
    /// When it ended, Unix seconds.
    finished_s: Option<i64>,
    /// Pairs of a rule and a subject that were looked at: the sum of the next four.
    considered: i64,
    /// Of these, equal.
    matched: i64,
    /// Of these, different and given time.
    tolerated: i64,
    /// Of these, different.
    broken: i64,
    /// Of these, not comparable.
    skipped: i64,
    /// Why they were not, and how many.
    #[schema(value_type = Object)]
    skips: Value,
    /// Money locked, and how much of it every rule could compare, by asset.
    #[schema(value_type = Object)]
    coverage: Value,
    /// What the control could not do.
    #[schema(value_type = Vec<Object>)]
    notes: Value,
    /// Whether the fault was found that each run makes up to test itself: `found`, `missed`, or `none` when there was
    /// nothing to copy.
    canary: String,
    /// SHA-256 over all verdicts, hexadecimal: what a rerun has to come to.
    verdict_digest: Option<String>,
}

impl From<run::RunRow> for RunView {
    fn from(row: run::RunRow) -> Self {
        Self {
            id: row.id,
            kind: row.kind,
            finished_s: row.finished_s,
            considered: row.considered,
            matched: row.matched,
            tolerated: row.tolerated,
            broken: row.broken,
            skipped: row.skipped,
            skips: row.skips,
            coverage: row.coverage,
            notes: row.notes,
            canary: row.canary,
            verdict_digest: row.verdict_digest.map(hex::encode),
        }
    }
}

/// How much of the platform was compared, when, and what could not be.
#[utoipa::path(
    get, path = "/v1/coverage", tag = "administration", operation_id = "coverage",
    security(("bearer" = []), ("api_key" = [])),
    responses(
        (status = 200, description = "The last good runs", body = Answer<ReconcileCoverage>),
        Refusals,
        Problems,
    )
)]
pub(super) async fn coverage(
    _caller: Operator,
    State(state): State<ApiState>,
    params: Params,
) -> Result<Response, Early> {
    params.allow(&[])?;
    let reader = Reader::open_untagged(&state, &params).await?;
    let newest = run::last_good(&state.pool, None)
        .await
        .map_err(ApiError::from)?;
    let sweep = run::last_good(&state.pool, Some("sweep"))
        .await
        .map_err(ApiError::from)?;
    Ok(reader.answer(ReconcileCoverage {
        newest: newest.map(Into::into),
        sweep: sweep.map(Into::into),
    }))
}
