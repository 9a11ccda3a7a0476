//! What a round gathers before it is committed.

use std::collections::HashMap;

use crate::chain::{ForkTree, Switch, is_final};
use crate::model::{BlockRef, IndexBlockHash};
use crate::store::batch::{Batch, OutboxRow, Pointer, ReorgRow};
use crate::store::load::Position;
use crate::store::window::Known;

/// Rows that one commit may carry before it is cut.
const MAX_ROWS: usize = 20_000;

/// A batch in the making, with what must be known to move the pointer at its end.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub batch: Batch,
    rows: usize,
    /// Highest height that no switch of this draft reached.
    floor: Option<i64>,
    unwinds: bool,
}

impl Draft {
    pub(super) fn is_empty(&self) -> bool {
        self.batch.inbox.is_empty() && self.batch.blocks.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.rows >= MAX_ROWS
    }

    pub(super) fn add_rows(&mut self, rows: usize) {
        self.rows += rows;
    }

    /// A block became canonical on top of what was.
    pub(super) fn extend(&mut self, block: BlockRef, id: i64, generation: i64) {
        self.lower_floor(i64::from(block.height) - 1);
        self.batch.outbox.push(OutboxRow {
            generation,
            applied: true,
            block_id: id,
        });
    }

    fn lower_floor(&mut self, height: i64) {
        self.floor = Some(self.floor.map_or(height, |f| f.min(height)));
    }

    /// The canonical chain switched; `number` gives local numbers.
    pub(super) fn switch(
        &mut self,
        switch: &Switch,
        by_burn: bool,
        generation: i64,
        number: impl Fn(&IndexBlockHash) -> Option<i64>,
        left_final: bool,
    ) {
        self.lower_floor(switch.ancestor.map_or(-1, |a| i64::from(a.height)));
        self.unwinds = true;
        let mut tell = |block: &BlockRef, applied| {
            if let Some(block_id) = number(&block.id) {
                self.batch.outbox.push(OutboxRow {
                    generation,
                    applied,
                    block_id,
                });
            }
        };
        switch.old.iter().rev().for_each(|b| tell(b, false));
        switch.new.iter().for_each(|b| tell(b, true));
        let tip = |side: &[BlockRef]| side.last().copied().or(switch.ancestor);
        if let (Some(old_tip), Some(new_tip)) = (tip(&switch.old), tip(&switch.new)) {
            self.batch.reorgs.push(ReorgRow {
                generation,
                by_burn,
                ancestor: switch.ancestor,
                old_tip,
                new_tip,
                depth: i32::try_from(switch.old.len()).unwrap_or(i32::MAX),
                left_final,
            });
        }
    }

    /// Closes the draft: the pointer's move follows from where the tree's tip now is.
    pub(super) fn close(
        mut self,
        tree: &ForkTree,
        known: &HashMap<IndexBlockHash, Known>,
        from: &Position,
    ) -> (Batch, Position) {
        let mut to = Position {
            commits: from.commits + 1,
            ..from.clone()
        };
        let tip = tree.tip().and_then(|tip| known.get(&tip.id));
        to.tip_block_id = tip.map(|k| k.id).or(from.tip_block_id);
        // A payload that waited and was freed within this draft has two updates; the last one holds.
        let mut seen = std::collections::HashSet::new();
        self.batch.inbox.reverse();
        self.batch.inbox.retain(|u| seen.insert(u.id));
        if let Some(last) = self.batch.inbox.iter().map(|u| u.id).max() {
            to.inbox_watermark = to.inbox_watermark.max(last);
        }
        let versions: usize = self
            .batch
            .blocks
            .iter()
            .map(|b| b.change.versions.len())
            .sum();
        to.next_version_id += i64::try_from(versions).unwrap_or(0);
        if let Some(floor) = self.floor {
            let mut pointer = Pointer {
                above: floor,
                unwinds: self.unwinds,
                ..Pointer::default()
            };
            let mut cursor = tree.tip().and_then(|tip| tree.get(&tip.id));
            while let Some(node) = cursor
                && i64::from(node.block.height) > floor
            {
                if let Some(known) = known.get(&node.block.id) {
                    let height = i32::try_from(node.block.height).unwrap_or(i32::MAX);
                    pointer.blocks.push((height, known.id));
                }
                cursor = tree.get(&node.parent);
            }
            pointer.blocks.reverse();
            pointer.switched = self.batch.outbox.iter().map(|o| o.block_id).collect();
            pointer.switched.sort_unstable();
            pointer.switched.dedup();
            self.batch.pointer = Some(pointer);
        }
        (self.batch, to)
    }
}

/// Did the switch leave a block that counted as final?
pub(super) fn left_final(tree: &ForkTree, switch: &Switch, finality_burn_blocks: u32) -> bool {
    let burn_tip = tree.burn_tip_height();
    switch.old.iter().any(|b| {
        tree.get(&b.id)
            .is_some_and(|n| is_final(burn_tip, n.burn_block_height, finality_burn_blocks))
    })
}
