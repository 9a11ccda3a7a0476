//! Blocks that wait for their parent.

use std::collections::HashMap;

use crate::model::IndexBlockHash;

/// Waiting blocks, by the parent they wait for and by their own identity.
#[derive(Debug, Default)]
pub(super) struct Detached {
    waiting: HashMap<IndexBlockHash, Vec<i64>>,
    parents: HashMap<IndexBlockHash, IndexBlockHash>,
}

impl Detached {
    pub(super) fn add(&mut self, inbox_id: i64, block: IndexBlockHash, parent: IndexBlockHash) {
        self.waiting.entry(parent).or_default().push(inbox_id);
        self.parents.insert(block, parent);
    }

    /// Payloads that waited for this block, in order of arrival.
    pub(super) fn take(&mut self, parent: &IndexBlockHash) -> Vec<i64> {
        let taken = self.waiting.remove(parent).unwrap_or_default();
        if !taken.is_empty() {
            self.parents.retain(|_, p| p != parent);
        }
        taken
    }

    /// The lowest waiting block on the way down from this one, if it waits itself.
    pub(super) fn lowest_from(&self, block: IndexBlockHash) -> Option<IndexBlockHash> {
        let mut lowest = None;
        let mut cursor = block;
        // No chain is longer than what waits; blocks that name each other as parents would have no end.
        for _ in 0..self.parents.len() {
            let Some(parent) = self.parents.get(&cursor) else {
                break;
            };
            lowest = Some(cursor);
            cursor = *parent;
        }
        lowest
    }

    pub(super) fn len(&self) -> usize {
        self.parents.len()
    }
}
