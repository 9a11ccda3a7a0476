//! States of entities as of the block that is being added to.

use std::collections::{HashMap, HashSet};

use sqlx::PgPool;

use crate::chain::ForkTree;
use crate::model::IndexBlockHash;
use crate::project::{EntityKey, States};
use crate::store::window::Known;
use crate::store::{StoreError, load};

/// Entities remembered before the cache is begun anew.
const MAX_STATES: usize = 100_000;

/// States as of one block. An entity that is missing has not changed since the base, and is read as of
/// the base: the place where the block's branch was committed when the cache was begun.
#[derive(Debug, Default)]
pub(super) struct StateCache {
    /// The block whose states these are; none when nothing is known.
    at: Option<IndexBlockHash>,
    /// By entity.
    pub states: States,
    /// Local numbers of the non-canonical blocks from the base down to the trunk.
    branch: Vec<i64>,
    /// Height of the highest canonical block below; none at the mirror's origin.
    trunk_height: Option<i32>,
    /// Entities that were read and have no state.
    absent: HashSet<EntityKey>,
}

impl StateCache {
    /// A cache as of a block that is committed, or as of nothing.
    pub(super) fn begin_at(
        block: IndexBlockHash,
        tree: &ForkTree,
        known: &HashMap<IndexBlockHash, Known>,
    ) -> Self {
        let mut branch = Vec::new();
        let mut cursor = block;
        while let Some(node) = tree.get(&cursor)
            && !tree.is_canonical(&cursor)
        {
            branch.extend(known.get(&cursor).map(|k| k.id));
            cursor = node.parent;
        }
        let trunk = tree.get(&cursor);
        let trunk_height = trunk.map(|n| i32::try_from(n.block.height).unwrap_or(i32::MAX));
        Self {
            at: Some(block),
            branch,
            trunk_height,
            ..Self::default()
        }
    }

    /// Can a child of this block be added to what is remembered?
    pub(super) fn serves(&self, parent: IndexBlockHash) -> bool {
        self.at == Some(parent) && self.states.len() + self.absent.len() < MAX_STATES
    }

    /// The states are this block's from now on.
    pub(super) fn advance(&mut self, block: IndexBlockHash) {
        self.at = Some(block);
    }

    /// Reads the states of these entities, as far as they are not remembered.
    ///
    /// # Errors
    /// When the database fails.
    pub(super) async fn load(
        &mut self,
        pool: &PgPool,
        keys: Vec<EntityKey>,
    ) -> Result<(), StoreError> {
        if self.trunk_height.is_none() && self.branch.is_empty() {
            return Ok(());
        }
        let remembered = |k: &EntityKey| self.states.contains_key(k) || self.absent.contains(k);
        let mut missing: Vec<_> = keys.into_iter().filter(|k| !remembered(k)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        missing.sort_unstable();
        missing.dedup();
        let trunk_height = self.trunk_height.unwrap_or(-1);
        self.states
            .extend(load::states(pool, &missing, &self.branch, trunk_height).await?);
        self.absent
            .extend(missing.into_iter().filter(|k| !self.states.contains_key(k)));
        Ok(())
    }
}
