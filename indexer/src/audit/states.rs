//! The mirror's states against the contracts' own maps and balances, at the mirror's block.

use stxworx_clarity::codec::{Principal, Value};
use stxworx_clarity::events::security::SecurityEvent;

use super::node::{NodeError, NodeReader};
use crate::model::{BlockRef, IndexBlockHash};
use crate::project::market::assets::AssetState;
use crate::project::market::badges::BadgeState;
use crate::project::market::projects::{Milestone, MilestoneStatus, ProjectState, ProjectStatus};
use crate::project::market::treasury::TreasuryState;
use crate::store::evidence::{AuditResult, AuditVerdict, EntityState, Evidence};

/// Projections whose states are compared.
pub(super) const PROJECTIONS: [&str; 4] = ["assets", "badges", "projects", "treasury"];
/// What an escrow has must be no less than it owes.
pub(super) const BALANCES: &str = "balances";
/// Differences of a subject that are told.
const TOLD: usize = 5;

/// The fields of one subject, ours against theirs.
#[derive(Debug, Default)]
struct Fields(Vec<String>);

impl Fields {
    fn same(&mut self, field: &str, ours: impl ToString, theirs: Option<String>) {
        let (ours, theirs) = (ours.to_string(), theirs.unwrap_or_else(|| "nothing".into()));
        if ours != theirs {
            self.0.push(format!(
                "{field}: the mirror says {ours}, the contract {theirs}"
            ));
        }
    }

    fn uint(&mut self, field: &str, ours: impl ToString, tuple: &Value, name: &str) {
        self.same(field, ours, tuple.get(name).map(text));
    }
}

/// What a comparison comes to, before it is a row.
enum Judged {
    Compared(Fields),
    NotComparable(String),
}

fn text(value: &Value) -> String {
    match value {
        Value::UInt(n) => n.to_string(),
        Value::Bool(b) => b.to_string(),
        Value::Principal(p) => p.to_string(),
        Value::Buffer(bytes) => format!("0x{}", hex::encode(bytes)),
        Value::None => "none".to_owned(),
        Value::Some(inner) => text(inner),
        other => other.to_string(),
    }
}

fn opt(value: Option<&String>) -> String {
    value.cloned().unwrap_or_else(|| "none".to_owned())
}

fn asset_key(asset: &str) -> Option<Value> {
    match asset {
        "STX" => Some(Value::None),
        id => {
            let id: Principal = id.parse().ok()?;
            Some(Value::some(Value::Principal(id)))
        }
    }
}

/// Compares one entity with the node; an asset gives two results, the second about the balance.
pub(super) async fn judge(
    node: &NodeReader,
    entity: &EntityState,
) -> Result<Vec<AuditResult>, NodeError> {
    let kind = PROJECTIONS.into_iter().find(|k| *k == entity.projection);
    let Some(kind) = kind else {
        return Ok(Vec::new());
    };
    let tip = &entity.tip;
    let mut results = Vec::new();
    let mut add = |kind, judged| results.extend(row(kind, entity, judged));
    match kind {
        "projects" => add(kind, refusable(project(node, entity, tip).await)?),
        "badges" => add(kind, refusable(badge(node, entity, tip).await)?),
        "treasury" => add(kind, refusable(treasury(node, entity, tip).await)?),
        _ => {
            add(kind, refusable(asset(node, entity, tip).await)?);
            add(
                BALANCES,
                refusable(escrow_balance(node, entity, tip).await)?,
            );
        }
    }
    Ok(results)
}

/// A contract that lacks a function is no failure of the node.
fn refusable(judged: Result<Option<Judged>, NodeError>) -> Result<Option<Judged>, NodeError> {
    match judged {
        Err(refused @ NodeError::Refused { .. }) => {
            Ok(Some(Judged::NotComparable(refused.to_string())))
        }
        other => other,
    }
}

fn row(kind: &'static str, entity: &EntityState, judged: Option<Judged>) -> Option<AuditResult> {
    let (verdict, detail) = match judged? {
        Judged::NotComparable(why) => (AuditVerdict::Unavailable, Some(why)),
        Judged::Compared(Fields(differences)) if differences.is_empty() => {
            (AuditVerdict::Agrees, None)
        }
        Judged::Compared(Fields(differences)) => {
            let more = differences.len().saturating_sub(TOLD);
            let mut told: Vec<_> = differences.into_iter().take(TOLD).collect();
            if more > 0 {
                told.push(format!("and {more} more"));
            }
            (AuditVerdict::Differs, Some(told.join("; ")))
        }
    };
    Some(AuditResult {
        subject_kind: kind,
        subject: entity.entity.clone(),
        index_block_hash: entity.tip.id,
        height: entity.tip.height,
        evidence: Evidence::StateReconciled,
        verdict,
        detail,
    })
}

/// The state in its type; one that has another form was altered by hand.
macro_rules! typed {
    ($entity:expr, $type:ty) => {
        match serde_json::from_value::<$type>($entity.state.clone()) {
            Ok(state) => state,
            Err(error) => {
                let broken =
                    format!("the stored state has not the form of its projection: {error}");
                return Ok(Some(Judged::Compared(Fields(vec![broken]))));
            }
        }
    };
}

async fn project(
    node: &NodeReader,
    entity: &EntityState,
    tip: &BlockRef,
) -> Result<Option<Judged>, NodeError> {
    let state = typed!(entity, ProjectState);
    if state.partial {
        let why = "the mirror began after the project was opened";
        return Ok(Some(Judged::NotComparable(why.to_owned())));
    }
    let id = Value::UInt(state.id.into());
    let contract = &state.contract;
    let read = async |function: &str, arguments: &[Value]| {
        node.call_read(contract, function, arguments, &tip.id).await
    };
    let mut fields = Fields::default();
    let told = read("get-project", std::slice::from_ref(&id)).await?;
    let Some(Some(told)) = told.as_optional() else {
        fields.same("project", "there is one", Some(text(&told)));
        return Ok(Some(Judged::Compared(fields)));
    };
    terms(&mut fields, &state, told);
    let listed = read("get-milestones", std::slice::from_ref(&id)).await?;
    let listed: Vec<&Value> = listed
        .as_list()
        .unwrap_or_default()
        .iter()
        .filter_map(|m| m.as_optional().flatten())
        .collect();
    fields.same(
        "milestones",
        state.milestones.len(),
        Some(listed.len().to_string()),
    );
    for (ours, theirs) in state.milestones.iter().zip(listed) {
        milestone(&mut fields, ours, theirs);
        if ours.settled.is_none() {
            let told = read("get-offer", &[id.clone(), Value::UInt(ours.m.into())]).await?;
            let theirs = told.as_optional().flatten().map(|o| {
                let of = |name| o.get(name).map(text).unwrap_or_default();
                format!("{} by {} until {}", of("bps"), of("by"), of("until"))
            });
            let offer = ours.offer.as_ref();
            let offer = offer.map(|o| format!("{} by {} until {}", o.bps, o.by, o.until));
            let none = || "none".to_owned();
            fields.same(
                &format!("offer for milestone {}", ours.m),
                offer.unwrap_or_else(none),
                Some(theirs.unwrap_or_else(none)),
            );
        }
    }
    Ok(Some(Judged::Compared(fields)))
}

fn terms(fields: &mut Fields, state: &ProjectState, told: &Value) {
    let status = match state.status {
        ProjectStatus::Open => 0,
        ProjectStatus::Active => 1,
        ProjectStatus::Completed => 2,
        ProjectStatus::Refunded => 3,
        ProjectStatus::Settled => 4,
        ProjectStatus::Cancelled => 5,
    };
    let asset = match state.asset.as_str() {
        "STX" => "none",
        token => token,
    };
    // The contract's `paid` is what left towards freelancer and treasury together.
    let paid = state.paid.0.saturating_add(state.fees.0);
    let all: [(&str, String, &str); 15] = [
        ("status", status.to_string(), "status"),
        ("client", state.client.clone(), "client"),
        ("freelancer", state.freelancer.clone(), "freelancer"),
        ("arbiter", state.arbiter.clone(), "arbiter"),
        ("asset", asset.to_owned(), "asset"),
        ("total", state.total.to_string(), "total"),
        ("paid and fees", paid.to_string(), "paid"),
        ("refunded", state.refunded.to_string(), "refunded"),
        ("fee_bps", state.fee_bps.to_string(), "fee-bps"),
        ("split_bps", state.split_bps.to_string(), "split-bps"),
        (
            "accept_until",
            state.accept_until.to_string(),
            "accept-until",
        ),
        ("review", state.review.to_string(), "review"),
        ("resolve", state.resolve.to_string(), "resolve"),
        ("grace", state.grace.to_string(), "grace"),
        ("meta", state.meta.clone(), "meta"),
    ];
    for (field, ours, name) in all {
        fields.uint(field, ours, told, name);
    }
}

fn milestone(fields: &mut Fields, ours: &Milestone, told: &Value) {
    let status = match ours.status {
        MilestoneStatus::Funded => 0,
        MilestoneStatus::Submitted => 1,
        MilestoneStatus::Disputed => 2,
        MilestoneStatus::Released => 3,
        MilestoneStatus::Refunded => 4,
        MilestoneStatus::Split => 5,
    };
    let all: [(&str, String); 9] = [
        ("amount", ours.amount.to_string()),
        ("due", ours.due.to_string()),
        ("status", status.to_string()),
        ("rev", ours.rev.to_string()),
        ("review-until", ours.review_until.unwrap_or(0).to_string()),
        ("resolve-until", ours.resolve_until.unwrap_or(0).to_string()),
        ("payout", ours.payout.to_string()),
        ("fee", ours.fee.to_string()),
        ("refund", ours.refund.to_string()),
    ];
    for (name, value) in all {
        fields.uint(&format!("milestone {} {name}", ours.m), value, told, name);
    }
}

async fn asset(
    node: &NodeReader,
    entity: &EntityState,
    tip: &BlockRef,
) -> Result<Option<Judged>, NodeError> {
    let state = typed!(entity, AssetState);
    let Some(key) = asset_key(&state.asset) else {
        let why = format!("{:?} is no asset", state.asset);
        return Ok(Some(Judged::Compared(Fields(vec![why]))));
    };
    let key = [key];
    let mut fields = Fields::default();
    let locked = node.call_read(&state.contract, "get-locked", &key, &tip.id);
    fields.same("locked", state.locked, Some(text(&locked.await?)));
    if !state.partial {
        let told = node.call_read(&state.contract, "get-asset", &key, &tip.id);
        let told = told.await?;
        let told = told.as_optional().flatten().unwrap_or(&Value::None);
        fields.uint("enabled", state.enabled, told, "enabled");
        fields.uint("max", state.max, told, "max");
        fields.uint("decimals", state.decimals, told, "decimals");
    }
    Ok(Some(Judged::Compared(fields)))
}

/// Base units of an asset that somebody has; none where the token cannot be asked.
///
/// # Errors
/// When the node does not answer, or does not know the block.
pub async fn balance(
    node: &NodeReader,
    who: &str,
    asset: &str,
    tip: &IndexBlockHash,
) -> Result<Option<u128>, NodeError> {
    if asset == "STX" {
        return node.balance(who, tip).await.map(Some);
    }
    let Ok(principal) = who.parse::<Principal>() else {
        return Ok(None);
    };
    let who = [Value::Principal(principal)];
    let told = node.call_read(asset, "get-balance", &who, tip).await?;
    Ok(told
        .as_response()
        .and_then(|r| r.ok())
        .and_then(Value::as_u128))
}

fn at_least(owed: u128, has: Option<u128>, of: String) -> Judged {
    match has {
        Some(has) if has >= owed => Judged::Compared(Fields::default()),
        Some(has) => Judged::Compared(Fields(vec![format!(
            "{of}: by the mirror it has at least {owed}, at the node {has}"
        )])),
        None => Judged::NotComparable("the token does not tell balances".to_owned()),
    }
}

/// MO-2: what is locked, and what came without a reason and did not go again, is there.
async fn escrow_balance(
    node: &NodeReader,
    entity: &EntityState,
    tip: &BlockRef,
) -> Result<Option<Judged>, NodeError> {
    let state = typed!(entity, AssetState);
    let arrived = state.received.0.saturating_sub(state.sent.0);
    let owed = if state.partial {
        state.locked.0
    } else {
        state.locked.0.max(arrived)
    };
    let has = balance(node, &state.contract, &state.asset, &tip.id).await?;
    let of = format!("balance of {} in {}", state.contract, state.asset);
    Ok(Some(at_least(owed, has, of)))
}

async fn treasury(
    node: &NodeReader,
    entity: &EntityState,
    tip: &BlockRef,
) -> Result<Option<Judged>, NodeError> {
    let state = typed!(entity, TreasuryState);
    let Some((who, asset)) = entity.entity.split_once('|') else {
        return Ok(None);
    };
    // Only the governed treasury tells of all its payments; another one may have spent its fees.
    if who.split_once('.').map(|(_, name)| name) != Some(SecurityEvent::CONTRACT) {
        return Ok(None);
    }
    let owed = state.fees.0.saturating_sub(state.spent.0);
    let has = balance(node, who, asset, &tip.id).await?;
    Ok(Some(at_least(
        owed,
        has,
        format!("balance of {who} in {asset}"),
    )))
}

async fn badge(
    node: &NodeReader,
    entity: &EntityState,
    tip: &BlockRef,
) -> Result<Option<Judged>, NodeError> {
    let state = typed!(entity, BadgeState);
    let id = [Value::UInt(state.id.into())];
    let mut fields = Fields::default();
    let told = node.call_read(&state.contract, "get-owner", &id, &tip.id);
    let told = told.await?;
    let owner = told.as_response().and_then(|r| r.ok()).map(text);
    fields.same("owner", opt(state.owner.as_ref()), owner.clone());
    fields.same("native_owner", opt(state.native_owner.as_ref()), owner);
    let told = node.call_read(&state.contract, "get-badge", &id, &tip.id);
    let told = told.await?;
    if let Some(Some(badge)) = told.as_optional() {
        fields.uint("kind", state.kind, badge, "kind");
    }
    Ok(Some(Judged::Compared(fields)))
}
