//! Blocks to versions of entities. Pure.
//!
//! A [`Projection`] says which facts a block holds and how a fact changes an entity's state. The frame
//! around it ([`registry`]) does the rest for all of them alike: which prior states are needed, the
//! versions, their order. Because a version depends on its block's ancestry alone, it is computed
//! once, for whichever fork the block lies on, and a reorg only moves pointers.

pub mod activity;
pub mod cursor;
pub mod market;
pub mod transfers;
#[cfg(test)]
mod suite;

use std::collections::{BTreeMap, HashMap};

use serde::de::DeserializeOwned;
use serde::{Deserialize as _, Serialize};
use serde_json::Value;

pub use crate::model::Violation;
use crate::model::{Block, Change, FollowSet, Version};

/// One cause of change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact<F> {
    /// The entity that changes.
    pub entity: String,
    /// Where in the block; see [`crate::model::change::position`]. Facts of one entity at one
    /// position fold into one version.
    pub position: u64,
    /// What happened.
    pub fact: F,
}

/// A view of the chain as entities with states.
pub trait Projection: Send + Sync {
    /// State of an entity; the default is that of an entity before its first fact. Keep it small:
    /// each change stores it whole. Amounts are texts, because JSON numbers do not hold a `u128`.
    type State: Default + Serialize + DeserializeOwned;
    /// What changes it.
    type Fact;

    /// Stored with each version; never reused.
    const ID: i16;
    /// Name in the API and the database.
    const NAME: &'static str;
    /// Raise when the same chain would give other versions.
    const VERSION: i32;

    /// The facts of a block, in order of position.
    fn facts(&self, block: &Block, follow: &FollowSet) -> Vec<Fact<Self::Fact>>;

    /// Applies one fact.
    ///
    /// # Errors
    /// When the state cannot take the fact, for instance on overflow; the message says why.
    fn fold(&self, state: &mut Self::State, block: &Block, fact: &Self::Fact)
    -> Result<(), String>;

    /// The invariant that the last fact broke, if one. It is counted when the block is taken in; the
    /// mirror goes on, because it must equal the chain, whatever the chain does.
    fn violation(_state: &Self::State) -> Option<Violation> {
        None
    }
}

/// A projection that met what it cannot hold. Stops the pipeline: skipping would make the mirror lie.
#[derive(Debug, thiserror::Error)]
#[error("projection {projection} cannot apply block {block} to entity {entity:?}: {reason}")]
pub struct ProjectError {
    /// The projection's name.
    pub projection: &'static str,
    /// The block, as text.
    pub block: String,
    /// The entity.
    pub entity: String,
    /// Why.
    pub reason: String,
}

/// Names an entity of some projection.
pub type EntityKey = (i16, String);

/// States by entity.
pub type States = HashMap<EntityKey, Value>;

/// A projection with its types erased, as the pipeline sees it.
pub trait AnyProjection: Send + Sync {
    /// [`Projection::ID`].
    fn id(&self) -> i16;
    /// [`Projection::NAME`].
    fn name(&self) -> &'static str;
    /// [`Projection::VERSION`].
    fn version(&self) -> i32;
    /// The entities whose prior state `apply` needs.
    fn touched(&self, block: &Block, follow: &FollowSet) -> Vec<String>;
    /// The block's versions and what they break; `states` goes from the parent's to the block's.
    ///
    /// # Errors
    /// When a state cannot take a fact.
    fn apply(
        &self,
        block: &Block,
        follow: &FollowSet,
        states: &mut States,
    ) -> Result<Change, ProjectError>;
}

impl<P: Projection> AnyProjection for P {
    fn id(&self) -> i16 {
        P::ID
    }

    fn name(&self) -> &'static str {
        P::NAME
    }

    fn version(&self) -> i32 {
        P::VERSION
    }

    fn touched(&self, block: &Block, follow: &FollowSet) -> Vec<String> {
        let mut entities: Vec<_> = self
            .facts(block, follow)
            .into_iter()
            .map(|f| f.entity)
            .collect();
        entities.sort_unstable();
        entities.dedup();
        entities
    }

    fn apply(
        &self,
        block: &Block,
        follow: &FollowSet,
        states: &mut States,
    ) -> Result<Change, ProjectError> {
        let error = |entity: &str, reason: String| ProjectError {
            projection: P::NAME,
            block: block.header.id.to_string(),
            entity: entity.to_owned(),
            reason,
        };
        let mut working: BTreeMap<String, P::State> = BTreeMap::new();
        let mut versions: BTreeMap<(String, u64), Value> = BTreeMap::new();
        let mut violations = Vec::new();
        for Fact {
            entity,
            position,
            fact,
        } in self.facts(block, follow)
        {
            if !working.contains_key(&entity) {
                let prior = match states.get(&(P::ID, entity.clone())) {
                    Some(value) => P::State::deserialize(value).map_err(|e| {
                        error(&entity, format!("its stored state is not readable: {e}"))
                    })?,
                    None => P::State::default(),
                };
                working.insert(entity.clone(), prior);
            }
            let Some(state) = working.get_mut(&entity) else {
                continue;
            };
            self.fold(state, block, &fact)
                .map_err(|reason| error(&entity, reason))?;
            violations.extend(P::violation(state));
            let value = serde_json::to_value(&*state)
                .map_err(|e| error(&entity, format!("its state is not JSON: {e}")))?;
            states.insert((P::ID, entity.clone()), value.clone());
            versions.insert((entity, position), value);
        }
        let versions = versions
            .into_iter()
            .map(|((entity, position), state)| Version {
                projection: P::ID,
                entity,
                position,
                state,
            })
            .collect();
        Ok(Change {
            versions,
            violations,
        })
    }
}

/// Every projection of this build, by id.
pub fn registry() -> Vec<Box<dyn AnyProjection>> {
    vec![
        Box::new(cursor::ContractCursor),
        Box::new(activity::ContractActivity),
        Box::new(transfers::Transfers),
        Box::new(market::event_chain::EventChain),
        Box::new(market::unrecognised::Unrecognised),
        Box::new(market::projects::Projects),
        Box::new(market::assets::Assets),
        Box::new(market::profiles::Profiles),
        Box::new(market::badges::Badges),
        Box::new(market::actions::Actions),
        Box::new(market::signers::Signers),
        Box::new(market::settings::Settings),
        Box::new(market::treasury::Treasury),
    ]
}

/// The entities whose prior states [`apply_all`] needs.
pub fn touched(
    registry: &[Box<dyn AnyProjection>],
    block: &Block,
    follow: &FollowSet,
) -> Vec<EntityKey> {
    registry
        .iter()
        .flat_map(|p| {
            p.touched(block, follow)
                .into_iter()
                .map(|entity| (p.id(), entity))
        })
        .collect()
}

/// The block's versions over all projections, sorted by (projection, entity, position).
///
/// # Errors
/// When some projection cannot take the block.
pub fn apply_all(
    registry: &[Box<dyn AnyProjection>],
    block: &Block,
    follow: &FollowSet,
    states: &mut States,
) -> Result<Change, ProjectError> {
    let mut change = Change::default();
    for projection in registry {
        let of_one = projection.apply(block, follow, states)?;
        change.versions.extend(of_one.versions);
        change.violations.extend(of_one.violations);
    }
    Ok(change)
}

/// Adds to a total that is kept as text. It has no limit: a token's contract may mint and burn 2^128 units again and
/// again, and no stranger's token may stop a mirror.
pub(crate) fn sum(total: &mut String, amount: u128) -> Result<(), String> {
    if total.bytes().any(|digit| !digit.is_ascii_digit()) {
        return Err(format!("{total:?} is not an amount"));
    }
    let amount = amount.to_string();
    let (mut old, mut added) = (total.bytes().rev(), amount.bytes().rev());
    let (mut digits, mut carry) = (Vec::with_capacity(total.len() + 1), 0);
    loop {
        let (old, added) = (old.next(), added.next());
        if old.is_none() && added.is_none() && carry == 0 {
            break;
        }
        let value = |digit: Option<u8>| digit.map_or(0, |d| d - b'0');
        let sum = value(old) + value(added) + carry;
        digits.push(char::from(b'0' + sum % 10));
        carry = sum / 10;
    }
    *total = digits.into_iter().rev().collect();
    Ok(())
}
