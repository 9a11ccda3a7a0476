//! The moment on which a run stands, and what its verdicts depend on besides.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use stxworx_indexer::model::IndexBlockHash;
use stxworx_indexer::store::Pool;
use stxworx_indexer::store::read::{Snapshot, market};
use stxworx_indexer::store::reconcile::mirror::{self, Standing};

use super::error::EngineError;
use super::inputs::Inputs;
use super::judge::{self, Judge};
use super::{At, Settings};
use crate::anchor::Anchor;
use crate::platform::postgres::Shapes;
use crate::rules::{AssetNames, cards};

/// The contract that the platform's numbers belong to, by its name.
const CONTRACT: &str = "freelance-logic";
/// Deployments of it that an error lists.
const DEPLOYMENTS: i64 = 20;

/// A moment of the mirror.
pub(super) struct Ground {
    pub(super) snapshot: Snapshot,
    pub(super) contract: String,
    pub(super) at: Standing,
    pub(super) anchor: Anchor,
    pub(super) outbox: Option<(i64, i64)>,
}

/// The mirror as it is, or as it was at a block.
pub(super) async fn ground(
    pool: &Pool,
    settings: &Settings,
    at: Option<&At>,
    platform_time_s: u64,
) -> Result<Ground, EngineError> {
    let mut snapshot = Snapshot::open(pool).await?;
    let tip = snapshot.tip.clone().ok_or(EngineError::Empty)?;
    let block = match at {
        None => tip.id.0.clone(),
        Some(At::Block(id)) => id.as_bytes().to_vec(),
        Some(At::Height(height)) => {
            let at = i32::try_from(*height).unwrap_or(i32::MAX);
            let block = snapshot.block_by_height(at).await?;
            block
                .ok_or_else(|| EngineError::NoBlock(height.to_string()))?
                .id
                .0
        }
    };
    let name = || EngineError::NoBlock(format!("0x{}", hex::encode(&block)));
    let id = IndexBlockHash::from_slice(&block).map_err(|_| name())?;
    let standing = mirror::standing(&mut snapshot, &block)
        .await?
        .ok_or_else(name)?;
    let final_height = snapshot
        .height_at_burn_depth(tip.burn_height, settings.finality_burn_blocks)
        .await?;
    let contract = contract(&mut snapshot, settings, standing.height).await?;
    let outbox = mirror::outbox_ends(snapshot.connection()).await?;
    Ok(Ground {
        anchor: Anchor {
            block: id,
            height: u32::try_from(standing.height).unwrap_or(0),
            burn_height: tip.burn_height,
            final_height,
            platform_time_s,
        },
        snapshot,
        contract,
        at: standing,
        outbox,
    })
}

async fn contract(
    snapshot: &mut Snapshot,
    settings: &Settings,
    height: i32,
) -> Result<String, EngineError> {
    let mut known =
        market::deployments(snapshot.connection(), CONTRACT, height, DEPLOYMENTS).await?;
    let listed = match known.as_slice() {
        [] => "none".to_owned(),
        all => all.join(", "),
    };
    match &settings.contract {
        Some(wanted) if known.contains(wanted) => Ok(wanted.clone()),
        Some(wanted) => Err(EngineError::NoContract {
            wanted: wanted.clone(),
            known: listed,
        }),
        None if known.len() > 1 => Err(EngineError::Ambiguous { known: listed }),
        None => known.pop().ok_or(EngineError::NoContract {
            wanted: CONTRACT.to_owned(),
            known: listed,
        }),
    }
}

/// What verdicts depend on besides both sides and the moment.
pub(super) struct Basis {
    pub(super) assets: BTreeMap<String, String>,
    /// Rules that cannot read the platform, with the reasons.
    pub(super) drift: BTreeMap<String, Vec<String>>,
    /// Entities of which the platform keeps nothing.
    pub(super) off: BTreeSet<String>,
    /// The asset in which the platform sums up what users earned.
    pub(super) earned_asset: String,
}

impl Basis {
    pub(super) fn new(settings: &Settings, shapes: &Shapes) -> Self {
        let drift = cards()
            .iter()
            .map(|(_, info)| (info.id.to_owned(), shapes.lacks(info.reads)))
            .filter(|(_, lacks)| !lacks.is_empty())
            .collect();
        Self {
            assets: settings.assets.clone(),
            drift,
            off: shapes.off().into_iter().map(str::to_owned).collect(),
            earned_asset: settings.earned_asset.clone(),
        }
    }

    pub(super) fn value(&self) -> Value {
        json!({
            "assets": self.assets, "drift": self.drift, "off": self.off, "earned_asset": self.earned_asset,
            "rules": judge::rule_versions(),
        })
    }

    /// As a run stored it.
    pub(super) fn of(value: &Value) -> Result<Self, EngineError> {
        fn part<T: serde::de::DeserializeOwned>(
            value: &Value,
            name: &str,
        ) -> Result<T, EngineError> {
            let read = EngineError::stored("a run's basis");
            serde_json::from_value(value[name].clone()).map_err(read)
        }
        Ok(Self {
            assets: part(value, "assets")?,
            drift: part(value, "drift")?,
            off: part(value, "off")?,
            earned_asset: part(value, "earned_asset")?,
        })
    }

    pub(super) fn judge(&self, anchor: Anchor, inputs: &Inputs) -> Judge {
        let drifted: BTreeSet<_> = self.drift.keys().cloned().collect();
        let assets = self.assets.iter().map(|(a, b)| (a.clone(), b.clone()));
        let mut judge = Judge::new(anchor, AssetNames::new(assets), drifted, self.off.clone());
        judge.holds.clone_from(&inputs.holds);
        judge
    }

    pub(super) fn notes(&self) -> Vec<Value> {
        self.drift
            .iter()
            .map(|(rule, lacks)| {
                json!({
                    "kind": "rule_broken",
                    "rule": rule,
                    "says": format!("rule {rule} cannot read the platform: {}", lacks.join("; ")),
                })
            })
            .collect()
    }
}
