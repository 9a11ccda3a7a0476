//! What a run is told besides both sides, kept with it so that it can be carried out again.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use stxworx_indexer::audit::{self, NodeError, NodeReader};
use stxworx_indexer::model::IndexBlockHash;
use stxworx_indexer::store::Pool;
use stxworx_indexer::store::read::market::AssetState;
use stxworx_indexer::store::reconcile::audited;
use stxworx_indexer::store::reconcile::image::Scope;
use stxworx_indexer::verify;

use super::error::EngineError;
use super::ground::Ground;
use super::subjects::{self, asset_states};
use crate::rule::Skip;
use crate::rules::Audited;

/// Results of audits that a run looks at.
const AUDITED: i64 = 2_000;
/// Newest changes of an entity that are made anew to see whether its row holds.
const CHANGES: i64 = 32;
/// Differences for which that is done in one run.
const LOOKED_INTO: usize = 20;

/// A node's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Balance {
    /// Base units.
    Units {
        units: String,
        mirror_holds: Option<bool>,
    },
    /// It has none.
    None(Skip),
}

impl Balance {
    pub(super) fn read(&self) -> (Result<u128, Skip>, Option<bool>) {
        match self {
            Self::Units {
                units,
                mirror_holds,
            } => (units.parse().map_err(|_| Skip::NodeError), *mirror_holds),
            Self::None(skip) => (Err(*skip), None),
        }
    }
}

/// All of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Inputs {
    /// Balances of escrows at the run's block, by asset entity.
    pub balances: BTreeMap<String, Balance>,
    /// Results of audits.
    pub audited: Vec<Audited>,
    /// When the newest audit was made that was there, Unix microseconds.
    pub audited_us: i64,
    /// Users and kinds that have breaks: they are looked at even where neither side has them any more.
    pub badges: BTreeMap<String, BTreeSet<u64>>,
    /// Likewise users.
    pub users: BTreeSet<String>,
    /// Greatest `updated_at` of badges and users.
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
    pub assets: bool,
}

impl Scopes {
    pub(super) fn value(&self) -> Value {
        json!({
            "places": self.projects.places_text(), "keys": self.projects.keys, "badges": self.badges,
            "users": self.users, "assets": self.assets,
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
            assets: value["assets"].as_bool().unwrap_or(false),
        }
    }
}

/// Asks the node for the balances of an escrow, at the run's block.
pub(super) async fn ask(
    pool: &Pool,
    node: Option<&NodeReader>,
    ground: &mut Ground,
) -> Result<BTreeMap<String, Balance>, EngineError> {
    let mut balances = BTreeMap::new();
    for (entity, state, _) in asset_states(ground).await? {
        let balance = match node {
            None => Balance::None(Skip::NoNode),
            Some(node) => {
                let block = ground.anchor.block;
                match audit::balance(node, &state.contract, &state.asset, &block).await {
                    Ok(Some(units)) => weighed(pool, ground, &entity, &state, units).await?,
                    Ok(None) => Balance::None(Skip::NodeError),
                    Err(error) => Balance::None(refused(&error, &entity, &block)),
                }
            }
        };
        balances.insert(entity, balance);
    }
    Ok(balances)
}

fn refused(error: &NodeError, entity: &str, block: &IndexBlockHash) -> Skip {
    tracing::debug!(entity, %block, %error, "the node does not tell a balance");
    match error {
        // It may be behind, or the block may have left its chain.
        NodeError::UnknownTip { .. } => Skip::BlockGone,
        _ => Skip::NodeError,
    }
}

/// Where the node says otherwise than the mirror saw, the mirror looks at itself.
async fn weighed(
    pool: &Pool,
    ground: &mut Ground,
    entity: &str,
    state: &AssetState,
    units: u128,
) -> Result<Balance, EngineError> {
    let seen = state.received.0.checked_sub(state.sent.0);
    let same = state.partial || seen == Some(units);
    let mirror_holds = if same {
        None
    } else {
        holds(pool, ground, "assets", entity).await?
    };
    Ok(Balance::Units {
        units: units.to_string(),
        mirror_holds,
    })
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
) -> Result<(Vec<Audited>, i64), EngineError> {
    let live = subjects::live_of_rule(ground, "E18").await?;
    let (kinds, keys): (Vec<_>, Vec<_>) = live
        .iter()
        .map(|(kind, key)| (Audited::kind_of(kind).to_owned(), key.clone()))
        .unzip();
    let at = ground.at.clone();
    let connection = ground.snapshot.connection();
    let newest = audited::newest_us(connection).await?;
    let rows = audited::results(connection, &at, (&kinds, &keys), since_us, AUDITED).await?;
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
    Ok((all, newest))
}
