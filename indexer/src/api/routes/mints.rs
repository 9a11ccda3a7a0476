//! Badges that this service mints: where each stands, and for those who run it, how.

use axum::Extension;
use axum::extract::{Path, State};
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::market::{principal_filter, word};
use crate::api::access::{Caller, Role};
use crate::api::error::{ApiError, Early, Problem, Problems};
use crate::api::params::{self, PageParams, Params};
use crate::api::reader::Reader;
use crate::api::state::ApiState;
use crate::api::view::{Answer, Page};
use crate::store::mint::look::{self, EventRow, MintFilter, MintRow, SignedRow};

/// Where a mint may stand.
pub(in crate::api) const STATES: [&str; 11] = [
    "eligible",
    "queued",
    "submitting",
    "included",
    "final_ok",
    "final_failed",
    "review",
    "held",
    "satisfied_elsewhere",
    "cancelled",
    "dead",
];

/// A badge that is being minted, or was.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MintView {
    /// Its number. Numbers rise; some are skipped.
    id: i64,
    /// The badges' contract.
    contract: String,
    /// Who earned the badge.
    recipient: String,
    /// Number of its kind, decimal.
    kind: String,
    /// `eligible` and `review` wait for an operator, `queued` for its turn, `held` for something outside; `submitting`
    /// is on its way, `included` in a block; `final_ok` is minted for good, `satisfied_elsewhere` came to the user some
    /// other way; `final_failed` and `dead` failed, `cancelled` was given up.
    state: String,
    /// Why, in a word, for instance `not_earned`.
    reason: Option<String>,
    /// When it was earned, as this service saw it, Unix seconds.
    awarded_s: i64,
    /// When it came to this state, Unix seconds.
    changed_s: i64,
    /// The transaction in a canonical block, once there is one.
    txid: Option<String>,
    /// Index block hash of that block.
    index_block_hash: Option<String>,
    /// Its Stacks height.
    height: Option<i32>,
    /// Number of the badge, decimal, once that is final.
    badge: Option<String>,
    /// How it is done, for operators; null for others.
    work: Option<MintWork>,
}

/// What operators see of a mint.
#[derive(Debug, Serialize, ToSchema)]
struct MintWork {
    /// Why it stands where it stands, in words.
    note: String,
    /// Who wants it given up.
    cancelled_by: Option<String>,
    /// Who approved it.
    approved_by: Option<String>,
    /// Nonces that ended in a failure on the chain.
    failures: i32,
    /// Address of the key.
    sender: Option<String>,
    /// Its nonce.
    nonce: Option<i64>,
    /// Transactions that were signed for that nonce.
    attempts: i64,
    /// The dearest of them.
    newest_txid: Option<String>,
    /// Its fee in micro-STX, decimal.
    fee: Option<String>,
}

fn hex0x(bytes: &Option<Vec<u8>>) -> Option<String> {
    bytes.as_ref().map(|b| format!("0x{}", hex::encode(b)))
}

impl MintView {
    fn new(row: MintRow, is_operator: bool) -> Self {
        let work = is_operator.then(|| MintWork {
            note: row.note,
            cancelled_by: row.cancel_by,
            approved_by: row.approved_by,
            failures: row.failures,
            sender: row.sender,
            nonce: row.nonce,
            attempts: row.attempts.unwrap_or(0),
            newest_txid: hex0x(&row.txid),
            fee: row.fee,
        });
        let minted = row.minted_txid.is_some();
        Self {
            txid: hex0x(if minted {
                &row.minted_txid
            } else {
                &row.by_txid
            }),
            index_block_hash: hex0x(&row.by_block),
            id: row.id,
            contract: row.contract,
            recipient: row.recipient,
            kind: row.kind,
            state: row.state,
            reason: row.reason,
            awarded_s: row.made_s,
            changed_s: row.changed_s,
            height: row.by_height,
            badge: row.badge_id,
            work,
        }
    }
}

/// A mint with its history.
#[derive(Debug, Serialize, ToSchema)]
struct MintDetail {
    /// The mint.
    #[serde(flatten)]
    of: MintView,
    /// The final facts on which it rests.
    #[schema(value_type = Object)]
    evidence: serde_json::Value,
    /// What happened to it, the first change first; two hundred changes at most.
    history: Vec<MintChange>,
    /// Its signed transactions, for operators; empty for others.
    transactions: Vec<MintTransaction>,
}

/// A change of a mint.
#[derive(Debug, Serialize, ToSchema)]
struct MintChange {
    /// When, Unix seconds.
    at_s: i64,
    /// The state before; null at its beginning.
    from: Option<String>,
    /// The state after.
    to: String,
    /// Why, in a word.
    reason: Option<String>,
    /// Who: a person, or `minter`. For operators; null for others.
    who: Option<String>,
    /// Why, in words. For operators; null for others.
    note: Option<String>,
}

impl MintChange {
    fn new(row: EventRow, is_operator: bool) -> Self {
        Self {
            at_s: row.at_s,
            from: row.from_state,
            to: row.to_state,
            reason: row.reason,
            who: is_operator.then_some(row.who),
            note: is_operator.then_some(row.note),
        }
    }
}

/// A signed transaction of a mint.
#[derive(Debug, Serialize, ToSchema)]
struct MintTransaction {
    /// Its id.
    txid: String,
    /// Its nonce.
    nonce: i64,
    /// `mint`, or `noop` for one that only uses the nonce up.
    kind: String,
    /// Its fee in micro-STX, decimal.
    fee: String,
    /// Found on the chain, and not signed by this service's history.
    adopted: bool,
    /// When it was signed, Unix seconds.
    signed_s: i64,
    /// What nodes said to it, the newest twenty: `node` (its number in the configuration), `answer`, `ambiguous`, `at_s`.
    #[schema(value_type = Vec<Object>)]
    sends: serde_json::Value,
}

impl From<SignedRow> for MintTransaction {
    fn from(row: SignedRow) -> Self {
        Self {
            txid: format!("0x{}", hex::encode(&row.txid)),
            nonce: row.nonce,
            kind: row.kind,
            fee: row.fee,
            adopted: row.adopted,
            signed_s: row.signed_s,
            sends: row.sends,
        }
    }
}

/// Whoever asks; nobody need be known.
pub(super) type MaybeCaller = Option<Extension<Caller>>;

/// Is it somebody who runs the service?
pub(super) fn is_operator(caller: &MaybeCaller) -> bool {
    caller.as_ref().is_some_and(|c| c.0.role >= Role::Operator)
}

/// Badges that this service mints, the newest first. A key of the role operator sees in `work` how each is done. The list
/// only grows, so its cursors outlive any fork.
#[utoipa::path(
    get, path = "/v1/mints", tag = "marketplace", operation_id = "mints",
    params(
        ("state" = Option<String>, Query, description = "In this state, for instance `submitting`"),
        ("reason" = Option<String>, Query, description = "For this reason, for instance `not_earned`"),
        ("recipient" = Option<String>, Query, description = "For this user"),
        ("kind" = Option<u64>, Query, description = "Of this kind; see topic `kind-set` of /v1/settings"),
        ("contract" = Option<String>, Query, description = "At this badges' contract"),
        PageParams,
    ),
    responses(
        (status = 200, description = "A page of mints", body = Page<MintView>),
        Problems,
    )
)]
pub(super) async fn list(
    caller: MaybeCaller,
    State(state): State<ApiState>,
    params: Params,
) -> Result<Response, Early> {
    let own: &[&str] = &["state", "reason", "recipient", "kind", "contract"];
    params.allow(&[own, params::PAGE])?;
    let page = params.page()?;
    let kind = params.get("kind").map(|given| {
        let expected = format!("a whole number from 0 to {}", u64::MAX);
        given
            .parse::<u64>()
            .map_err(|_| ApiError::parameter("kind", given, expected))
    });
    let mut filter = MintFilter {
        states: word(&params, "state", &STATES)?
            .map(str::to_owned)
            .into_iter()
            .collect(),
        reason: params.text("reason")?.map(str::to_owned),
        recipient: principal_filter(&params, "recipient")?,
        kind: kind.transpose()?,
        contract: params.contract("contract")?.map(str::to_owned),
        below: i64::MAX,
        limit: i64::from(page.limit) + 1,
    };
    // A mint moves without the tip, so there is no tag that would tell whether the client's copy is current.
    let mut reader = Reader::open_untagged(&state, &params).await?;
    filter.below = reader.walk_unbound(page.cursor.as_deref(), i64::MAX)?;
    let mut rows = look::list(reader.connection(), &filter)
        .await
        .map_err(ApiError::from)?;
    let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(|row| row.id);
    let next = next.map(|id| reader.cursor_unbound(id));
    let operator = is_operator(&caller);
    let data = rows.into_iter().map(|row| MintView::new(row, operator));
    Ok(reader.page(data.collect(), next))
}

/// Changes and transactions that are shown of one mint.
const SHOWN: i64 = 200;

/// One mint, with the facts on which it rests and its history.
#[utoipa::path(
    get, path = "/v1/mints/{id}", tag = "marketplace", operation_id = "mint",
    params(("id" = String, Path, description = "Its number")),
    responses(
        (status = 200, description = "The mint", body = Answer<MintDetail>),
        (status = 404, description = "`not_found`", body = Problem, content_type = "application/problem+json"),
        Problems,
    )
)]
pub(super) async fn one(
    caller: MaybeCaller,
    State(state): State<ApiState>,
    Path(id): Path<String>,
    params: Params,
) -> Result<Response, Early> {
    params.allow(&[])?;
    let number = id.parse::<i64>().ok().filter(|n| *n > 0);
    let number = number.filter(|_| id.bytes().all(|b| b.is_ascii_digit()));
    let number =
        number.ok_or_else(|| ApiError::parameter("id", &id, "a whole number from 1 on"))?;
    let mut reader = Reader::open_untagged(&state, &params).await?;
    let row = look::one(reader.connection(), number)
        .await
        .map_err(ApiError::from)?
        .ok_or_else(|| ApiError::not_found(format!("there is no mint {number}")))?;
    let (history, evidence) = look::history(reader.connection(), number, SHOWN)
        .await
        .map_err(ApiError::from)?;
    let operator = is_operator(&caller);
    let mut transactions = Vec::new();
    if operator {
        transactions = look::signed(reader.connection(), number, SHOWN)
            .await
            .map_err(ApiError::from)?;
    }
    let evidence = evidence.and_then(|text| serde_json::from_str(&text).ok());
    let history = history.into_iter().map(|e| MintChange::new(e, operator));
    Ok(reader.answer(MintDetail {
        of: MintView::new(row, operator),
        evidence: evidence.unwrap_or_default(),
        history: history.collect(),
        transactions: transactions.into_iter().map(Into::into).collect(),
    }))
}
