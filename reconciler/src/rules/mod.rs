//! The rules: pure functions over what both sides say of one subject at one moment.

mod asset;
mod audit;
mod badge;
mod books;
mod claim;
mod conserve;
mod link;
mod status;
mod transfer;
mod user;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use stxworx_indexer::store::read::market::ProjectState;

use crate::anchor::Anchor;
use crate::platform::PlatformProject;
use crate::rule::{Fault, Finding, Lag, Money, Repair, RuleInfo, Verdict};
pub(crate) use asset::adds_up;
pub use asset::{AssetCase, AssetRule, asset_rules};
pub use audit::{Audited, E18, judge_audited};
pub use badge::{BadgeCase, BadgeRule, badge_rules};
pub use claim::{Claim, Claims};
pub use transfer::{Move, TransferCase, TransferRule, transfer_rules};
pub use user::{UserCase, UserRule, user_rules};

/// What the platform calls an asset, and what the chain does: `sBTC` and `ST….sbtc-token`. `STX` is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AssetNames {
    on_chain: BTreeMap<String, String>,
    named: BTreeMap<String, String>,
}

impl AssetNames {
    /// From pairs of the platform's name and the chain's.
    pub fn new(names: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut all = Self::default();
        for (name, asset) in names {
            let lower = name.to_ascii_lowercase();
            all.named.entry(asset.clone()).or_insert(name);
            all.on_chain.insert(lower, asset);
        }
        all
    }

    /// The chain's name for an asset of the platform: itself where it is a contract's id.
    pub fn on_chain(&self, name: &str) -> Option<String> {
        let lower = name.to_ascii_lowercase();
        match self.on_chain.get(&lower) {
            Some(asset) => Some(asset.clone()),
            None if lower == "stx" => Some("STX".to_owned()),
            None if name.contains('.') => Some(name.to_owned()),
            None => None,
        }
    }

    /// What the platform calls an asset of the chain: its id where it has no name there.
    pub fn of_platform(&self, asset: &str) -> String {
        let named = self.named.get(asset).cloned();
        named.unwrap_or_else(|| asset.to_owned())
    }
}

/// A project, as far as either side knows it.
#[derive(Debug, Clone, Copy)]
pub struct ProjectCase<'a> {
    /// The moment.
    pub anchor: &'a Anchor,
    /// What the chain says through its mirror; none where it has no such project.
    pub chain: Option<&'a ProjectState>,
    /// The platform's rows that point to it; or one row that points nowhere.
    pub platform: &'a [PlatformProject],
    /// Names of assets.
    pub assets: &'a AssetNames,
    /// What is known of the transactions that the rows name.
    pub claims: &'a Claims,
}

/// A rule about projects.
pub trait ProjectRule: Sync {
    /// Its card.
    fn info(&self) -> &'static RuleInfo;

    /// What it says. Pure: the same case gives the same verdict, byte for byte.
    fn judge(&self, case: &ProjectCase<'_>) -> Verdict;
}

/// The rules about projects, by id.
pub fn project_rules() -> Vec<&'static dyn ProjectRule> {
    vec![
        &conserve::Conserved,
        &conserve::Milestones,
        &conserve::Fees,
        &conserve::Ended,
        &link::OneRow,
        &link::Agrees,
        &claim::Opening,
        &link::Known,
        &link::Readable,
        &status::Status,
        &status::Flags,
    ]
}

/// The cards of all rules, by kind of subject and id.
pub fn cards() -> Vec<(&'static str, &'static RuleInfo)> {
    let projects = project_rules().into_iter().map(|r| ("project", r.info()));
    let assets = asset_rules().into_iter().map(|r| ("asset", r.info()));
    let badges = badge_rules().into_iter().map(|r| ("badge", r.info()));
    let users = user_rules().into_iter().map(|r| ("user", r.info()));
    let books = [("treasury", &books::F5), ("minter", &books::F14)];
    let transfers = transfer_rules().into_iter().map(|r| ("transfer", r.info()));
    let runs = projects.chain(assets).chain(badges).chain(users);
    let runs = runs.chain(transfers);
    runs.chain(books).chain([("audit", &E18)]).collect()
}

/// The cards about what the books say that treasuries and minters have.
pub(crate) fn ledger_cards() -> (&'static RuleInfo, &'static RuleInfo) {
    (&books::F5, &books::F14)
}

/// A finding about a row of the platform.
fn about_row(
    case: &ProjectCase<'_>,
    row: &PlatformProject,
    what: impl Into<String>,
    expected: impl ToString,
    found: impl ToString,
) -> Finding {
    Finding {
        what: what.into(),
        fault: Fault::Platform,
        expected: expected.to_string(),
        found: found.to_string(),
        at_risk: case.chain.and_then(locked),
        facts: json!({
            "chain": case.chain.map(chain_facts),
            "platform": row.row.image(),
        }),
        repair: None,
        lag: Lag::None,
        platform_hash: row.row.hash(),
    }
}

/// A finding about the chain's side alone.
fn about_chain(
    state: &ProjectState,
    fault: Fault,
    what: impl Into<String>,
    expected: impl ToString,
    found: impl ToString,
) -> Finding {
    Finding {
        what: what.into(),
        fault,
        expected: expected.to_string(),
        found: found.to_string(),
        at_risk: Some(Money {
            units: state.total.0,
            asset: state.asset.clone(),
        }),
        facts: json!({ "chain": chain_facts(state) }),
        repair: None,
        lag: Lag::None,
        platform_hash: [0; 32],
    }
}

/// What the chain says, for evidence.
fn chain_facts(state: &ProjectState) -> Value {
    // Serialising a state of text, whole numbers and lists cannot fail.
    serde_json::to_value(state).unwrap_or(Value::Null)
}

/// What is still locked in a project; none when nothing is.
fn locked(state: &ProjectState) -> Option<Money> {
    let left = [state.paid, state.fees, state.refunded]
        .iter()
        .try_fold(state.total.0, |left, part| left.checked_sub(part.0))?;
    (left > 0).then(|| Money {
        units: left,
        asset: state.asset.clone(),
    })
}

/// The column of the platform's own schema behind one of ours.
fn own_column(ours: &str) -> &str {
    match ours {
        "client" => "client_address",
        "freelancer" => "freelancer_address",
        "asset" => "token_type",
        "total" => "total_amount",
        other => other,
    }
}

/// A change of one column of the platform's project, as its own schema names table, key and column.
fn set_column(
    case: &ProjectCase<'_>,
    row: &PlatformProject,
    column: &str,
    value: impl ToString,
) -> Repair {
    let own = own_column(column);
    let mut value = value.to_string();
    let before = row.row.text(column);
    match column {
        // As the platform writes its words.
        "status" if before.is_none_or(|text| !text.chars().any(char::is_lowercase)) => {
            value = value.to_ascii_uppercase();
        }
        "asset" => value = case.assets.of_platform(&value),
        _ => {}
    }
    Repair {
        kind: column.to_owned(),
        says: format!("set {own} of the platform's project {} to {value}", row.key),
        sql: update(("projects", "id"), &row.key, own, &value, before),
    }
}

/// A change of one value, only where nobody changed it since: the rule looks again in any case.
fn update(
    (table, id): (&str, &str),
    key: &str,
    column: &str,
    value: &str,
    before: Option<&str>,
) -> String {
    let (key, value) = (literal(key), literal(value));
    let before = before.map_or("is null".to_owned(), |text| format!("= {}", literal(text)));
    format!("update {table} set {column} = {value} where {id} = {key} and {column} {before};")
}

/// A text as a literal of SQL.
fn literal(text: &str) -> String {
    // With an E and doubled backslashes it means the same whatever `standard_conforming_strings` says.
    if text.contains('\\') {
        return format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"));
    }
    format!("'{}'", text.replace('\'', "''"))
}
