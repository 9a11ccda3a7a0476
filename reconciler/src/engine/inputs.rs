//! What a run is told besides both sides, kept with it so that it can be carried out again.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use stxworx_indexer::audit::{self, NodeError, NodeReader};
use stxworx_indexer::model::IndexBlockHash;
use stxworx_indexer::store::Pool;
use stxworx_indexer::store::reconcile::image::Scope;
use stxworx_indexer::store::reconcile::{audited, breaks};
use stxworx_indexer::verify;

use super::apply::unstored;
use super::error::EngineError;
use super::ground::Ground;
use super::subjects::{self, asset_states};
use crate::breaks::Policy;
use crate::rule::Skip;
use crate::rules::{Audited, adds_up};

/// Results of audits that a run looks at.
const AUDITED: i64 = 2_000;
/// Newest changes of an entity that are made anew to see whether its row holds.
const CHANGES: i64 = 32;
/// Differences for which that is done in one run, of audits and of breaks.
const LOOKED_INTO: usize = 20;
/// Breaks that are read to find those.
const DOUBTED: i64 = 500;
/// Rules about what the chain says of a project: whoever breaks one, it is not the platform.
const OF_THE_CHAIN: [&str; 4] = ["E1", "E3", "E7", "E11"];

/// A node's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Balance {
    /// Base units.
    Units { units: String },
    /// It has none.
    None(Skip),
}

impl Balance {
    pub(super) fn read(&self) -> Result<u128, Skip> {
        match self {
            Self::Units { units } => units.parse().map_err(|_| Skip::NodeError),
            Self::None(skip) => Err(*skip),
        }
    }
}

/// All of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Inputs {
    /// Balances of escrows at the run's block, by asset entity.
    pub balances: BTreeMap<String, Balance>,
    /// Entities of the mirror that were looked into: is the newest state what the payloads make it?
    pub holds: BTreeMap<String, bool>,
    /// Results of audits.
    pub audited: Vec<Audited>,
    /// There were more results than a run looks at.
    pub audits_cut: bool,
    /// When the newest audit was made that was there, Unix microseconds.
    pub audited_us: i64,
    /// Users and kinds that have breaks: they are looked at even where neither side has them any more.
    pub badges: BTreeMap<String, BTreeSet<u64>>,
    /// Likewise users.
    pub users: BTreeSet<String>,
    /// Likewise transactions of the treasury.
    pub transfers: BTreeSet<String>,
    /// Greatest `updated_at` of badges, users and transfers.
    pub marks: BTreeMap<String, String>,
}

impl Inputs {
    pub(super) fn value(&self) -> Value {
        // Text, whole numbers and lists serialise.
        serde_json::to_value(self).unwrap_or(Value::Null)
    }

    pub(super) fn of(value: Value) -> Result<Self, EngineError> {
        match value {
            Value::Null => Ok(Self::default()),
            value => serde_json::from_value(value).map_err(EngineError::stored("a run's inputs")),
        }
    }
}

/// What an incremental run looks at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Scopes {
    pub projects: Scope,
    pub badges: Vec<String>,
    pub users: Vec<String>,
    pub transfers: Vec<String>,
    pub assets: bool,
}

impl Scopes {
    pub(super) fn value(&self) -> Value {
        json!({
            "places": self.projects.places_text(), "keys": self.projects.keys, "badges": self.badges,
            "users": self.users, "transfers": self.transfers, "assets": self.assets,
        })
    }

    pub(super) fn of(value: &Value) -> Self {
        let texts = |name: &str| {
            let list = value[name].as_array().cloned().unwrap_or_default();
            list.into_iter()
                .filter_map(|text| text.as_str().map(str::to_owned))
                .collect::<Vec<_>>()
        };
        Self {
            projects: Scope {
                places: texts("places")
                    .iter()
                    .filter_map(|p| p.parse().ok())
                    .collect(),
                keys: texts("keys"),
            },
            badges: texts("badges"),
            users: texts("users"),
            transfers: texts("transfers"),
            assets: value["assets"].as_bool().unwrap_or(false),
        }
    }
}

/// Asks the node for the balances of an escrow, at the run's block. Where the mirror does not agree with that or with
/// itself, it looks at itself.
pub(super) async fn ask(
    pool: &Pool,
    node: Option<&NodeReader>,
    ground: &mut Ground,
    inputs: &mut Inputs,
) -> Result<(), EngineError> {
    for asset in asset_states(ground).await? {
        let (entity, state) = (asset.entity, asset.state);
        let seen = state.received.0.checked_sub(state.sent.0);
        let mut same = true;
        let balance = match node {
            _ if asset.is_unreadable => Balance::None(Skip::Unreadable),
            None => Balance::None(Skip::NoNode),
            Some(node) => {
                let block = ground.anchor.block;
                match audit::balance(node, &state.contract, &state.asset, &block).await {
                    Ok(Some(units)) => {
                        same = state.partial || seen == Some(units);
                        let units = units.to_string();
                        Balance::Units { units }
                    }
                    Ok(None) => Balance::None(Skip::NodeError),
                    Err(error) => Balance::None(refused(&error, &entity, &block)),
                }
            }
        };
        if (!same || !adds_up(&state))
            && let Some(holds) = holds(pool, ground, "assets", &entity).await?
        {
            inputs.holds.insert(entity.clone(), holds);
        }
        inputs.balances.insert(entity, balance);
    }
    Ok(())
}

fn refused(error: &NodeError, entity: &str, block: &IndexBlockHash) -> Skip {
    tracing::debug!(entity, %block, %error, "the node does not tell a balance");
    match error {
        // It may be behind, or the block may have left its chain.
        NodeError::UnknownTip { .. } => Skip::BlockGone,
        _ => Skip::NodeError,
    }
}

/// Is the newest state of an entity what its payloads make it? None where it has none.
async fn holds(
    pool: &Pool,
    ground: &mut Ground,
    projection: &str,
    entity: &str,
) -> Result<Option<bool>, EngineError> {
    let up_to = ground.at.canonical_to;
    let connection = ground.snapshot.connection();
    let heights = audited::changed_at(connection, projection, entity, up_to, CHANGES).await?;
    if heights.is_empty() {
        return Ok(None);
    }
    Ok(Some(verify::holds(pool, entity, &heights).await?))
}

/// What audits came to: every difference, what has a break, and what is newer than the last run saw.
pub(super) async fn audits(
    pool: &Pool,
    ground: &mut Ground,
    since_us: i64,
    inputs: &mut Inputs,
) -> Result<(), EngineError> {
    let live = subjects::live_of_rule(ground, "E18").await?;
    let (kinds, keys): (Vec<_>, Vec<_>) = live
        .iter()
        .map(|(kind, key)| (Audited::kind_of(kind).to_owned(), key.clone()))
        .unzip();
    let at = ground.at.clone();
    let connection = ground.snapshot.connection();
    inputs.audited_us = audited::newest_us(connection).await?;
    let rows = audited::results(connection, &at, (&kinds, &keys), since_us, AUDITED).await?;
    inputs.audits_cut = i64::try_from(rows.len()).is_ok_and(|n| n == AUDITED);
    let mut all = Vec::with_capacity(rows.len());
    let mut looked_into = 0;
    for row in rows {
        let projection = match row.kind.as_str() {
            "balances" => Some("assets"),
            "contract" => Some("event_chain"),
            state @ ("projects" | "assets" | "badges" | "treasury") => Some(state),
            _ => None,
        };
        let mirror_holds = match projection {
            Some(projection) if row.verdict == "differs" && looked_into < LOOKED_INTO => {
                looked_into += 1;
                holds(pool, ground, projection, &row.subject).await?
            }
            _ => None,
        };
        all.push(Audited {
            kind: row.kind,
            subject: row.subject,
            block: row.block,
            height: u32::try_from(row.height).unwrap_or(0),
            verdict: row.verdict,
            detail: row.detail,
            mirror_holds,
        });
    }
    all.sort_by(|a, b| (&a.kind, &a.subject).cmp(&(&b.kind, &b.subject)));
    inputs.audited = all;
    Ok(())
}

impl Inputs {
    /// What could not be looked at.
    pub(super) fn notes(&self) -> Option<Value> {
        let says = format!(
            "audits came to more than {AUDITED} results: those that differ and those of breaks were looked at, and the \
             rest, which agree, were not counted"
        );
        let note = json!({ "kind": "not_compared", "says": says });
        self.audits_cut.then_some(note)
    }
}

/// What audits and breaks make doubtful of the mirror's own rows: it looks at itself before somebody else is blamed, and
/// again while it is blamed. Of the rest, this program's word is taken.
pub(super) async fn doubts(
    pool: &Pool,
    ground: &mut Ground,
    policy: &Policy,
    inputs: &mut Inputs,
) -> Result<(), EngineError> {
    for it in &inputs.audited {
        if let Some(holds) = it.mirror_holds {
            let known = inputs.holds.entry(it.subject.clone()).or_insert(holds);
            *known &= holds;
        }
    }
    let rows = breaks::doubted(ground.snapshot.connection(), &OF_THE_CHAIN, DOUBTED).await?;
    let mut looked_into = 0;
    for row in rows {
        let projection = match row.subject_kind.as_str() {
            "project" => "projects",
            _ => "profiles",
        };
        let entity = row.subject_key.clone();
        let ripe = unstored(row)?.would_open(policy, &ground.anchor);
        if !ripe || inputs.holds.contains_key(&entity) {
            continue;
        }
        if looked_into == LOOKED_INTO {
            break;
        }
        looked_into += 1;
        if let Some(holds) = holds(pool, ground, projection, &entity).await? {
            inputs.holds.insert(entity, holds);
        }
    }
    Ok(())
}
