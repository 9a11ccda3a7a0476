//! Every block of the recent chain, which of them are canonical, and what a new one changes.
//!
//! Fork choice is the node's (stacks-core, `set_stacks_block_accepted_at_tip`): among blocks that the
//! Bitcoin view does not contradict, the greatest height; at equal height, the later sortition. A
//! Bitcoin reorg can thus make a *lower* block canonical, without any message about a Stacks block.
//! The node keeps the first of two equals; a mirror that may see them in another order than the node
//! takes the smaller id, so that every replica agrees.
//!
//! The tree holds a window: from `base` upwards. Below it everything is canonical, and
//! [`ForkTree::graft`] brings older blocks back when a branch grows out of them.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use super::burn_view::BurnView;
use crate::model::{
    BlockHeader, BlockRef, BurnBlock, BurnBlockHash, ConsensusHash, IndexBlockHash,
};

/// What the tree remembers of a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// The block.
    pub block: BlockRef,
    /// Its parent.
    pub parent: IndexBlockHash,
    /// The Bitcoin block that elected its tenure.
    pub burn_block_hash: BurnBlockHash,
    /// Its height.
    pub burn_block_height: u32,
    /// The tenure, where the payload told.
    pub consensus_hash: Option<ConsensusHash>,
    /// The Bitcoin view that a tenure change in this very block names.
    pub burn_view: Option<ConsensusHash>,
}

impl From<&BlockHeader> for Node {
    fn from(h: &BlockHeader) -> Self {
        Self {
            block: h.block_ref(),
            parent: h.parent,
            burn_block_hash: h.burn_block_hash,
            burn_block_height: h.burn_block_height,
            consensus_hash: h.consensus_hash,
            burn_view: h.burn_view,
        }
    }
}

/// A change of the canonical chain: blocks that left it and blocks that joined it, both upwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Switch {
    /// The highest block on both sides; none only when the chain began anew.
    pub ancestor: Option<BlockRef>,
    /// What ceased to be canonical.
    pub old: Vec<BlockRef>,
    /// What became canonical.
    pub new: Vec<BlockRef>,
}

impl Switch {
    /// The same change backwards.
    pub fn inverse(&self) -> Self {
        Self {
            ancestor: self.ancestor,
            old: self.new.clone(),
            new: self.old.clone(),
        }
    }
}

/// What a block means to the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The first block of an empty tree.
    Origin,
    /// On top of the tip.
    Extended,
    /// Another branch became better.
    Reorged(Switch),
    /// On a branch that is not better.
    SideFork,
    /// Known already.
    Duplicate,
    /// Its parent is not in the tree.
    Detached {
        /// The block that must come first.
        missing_parent: IndexBlockHash,
    },
}

#[derive(Debug, Clone)]
struct Entry {
    node: Node,
    /// The view the block inherits from its tenure, if it names none itself.
    view: Option<ConsensusHash>,
    live: bool,
    canonical: bool,
}

/// The recent chain with all its forks.
#[derive(Debug, Clone, Default)]
pub struct ForkTree {
    entries: HashMap<IndexBlockHash, Entry>,
    burn: BurnView,
    tip: Option<IndexBlockHash>,
    base: Option<IndexBlockHash>,
    /// The greatest Bitcoin height that a block's tenure ever stood on.
    highest_tenure: u32,
}

impl ForkTree {
    /// The canonical tip.
    pub fn tip(&self) -> Option<BlockRef> {
        self.tip
            .and_then(|id| self.entries.get(&id))
            .map(|e| e.node.block)
    }

    /// The Bitcoin view.
    pub fn burn_view(&self) -> &BurnView {
        &self.burn
    }

    /// The greatest Bitcoin height that finality may be counted from.
    pub fn burn_tip_height(&self) -> u32 {
        let of_tip = self
            .tip
            .and_then(|id| self.entries.get(&id))
            .map(|e| e.node.burn_block_height);
        self.burn.tip_height().max(of_tip).unwrap_or(0)
    }

    /// Is the block in the window?
    pub fn contains(&self, id: &IndexBlockHash) -> bool {
        self.entries.contains_key(id)
    }

    /// A block of the window.
    pub fn get(&self, id: &IndexBlockHash) -> Option<&Node> {
        self.entries.get(id).map(|e| &e.node)
    }

    /// Is the block of the window canonical?
    pub fn is_canonical(&self, id: &IndexBlockHash) -> bool {
        self.entries.get(id).is_some_and(|e| e.canonical)
    }

    /// The lowest block of the window.
    pub fn base(&self) -> Option<BlockRef> {
        self.base
            .and_then(|id| self.entries.get(&id))
            .map(|e| e.node.block)
    }

    /// How many blocks the window holds.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// How many blocks the Bitcoin view does not contradict.
    #[cfg(test)]
    pub(super) fn entries_alive(&self) -> usize {
        self.entries.values().filter(|e| e.live).count()
    }

    /// Is the tree empty?
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What would this block mean? Changes nothing.
    pub fn plan(&self, node: &Node) -> Outcome {
        if self.entries.contains_key(&node.block.id) {
            return Outcome::Duplicate;
        }
        let Some(tip) = self.tip else {
            return Outcome::Origin;
        };
        let Some(parent) = self.entries.get(&node.parent) else {
            return Outcome::Detached {
                missing_parent: node.parent,
            };
        };
        let entry = self.entry_on(node.clone(), Some(parent));
        if !is_better(&entry, self.entries.get(&tip)) {
            return Outcome::SideFork;
        }
        if node.parent == tip {
            return Outcome::Extended;
        }
        let mut switch = self.switch(Some(tip), node.parent);
        switch.new.push(node.block);
        Outcome::Reorged(switch)
    }

    /// Adds a block and moves the canonical pointer as [`ForkTree::plan`] said.
    pub fn insert(&mut self, node: Node) -> Outcome {
        let outcome = self.plan(&node);
        let id = node.block.id;
        match &outcome {
            Outcome::Duplicate | Outcome::Detached { .. } => return outcome,
            Outcome::Origin => {
                self.base = Some(id);
                let entry = self.entry_on(node, None);
                self.keep(entry);
                self.adopt(&[id]);
            }
            Outcome::SideFork => self.hang(node),
            Outcome::Extended => {
                self.hang(node);
                self.adopt(&[id]);
            }
            Outcome::Reorged(switch) => {
                self.hang(node);
                self.apply(switch);
            }
        }
        outcome
    }

    /// Adds a Bitcoin block. When the view changed so that another branch is better, moves the
    /// pointer and says how.
    pub fn insert_burn_block(&mut self, block: BurnBlock) -> Option<Switch> {
        let shift = self.burn.insert(block);
        // The usual announcement comes before any block stands on it.
        if !shift.announced && shift.from.is_none_or(|from| from > self.highest_tenure) {
            return None;
        }
        self.judge_again();
        let old_tip = self.tip?;
        let best = self
            .entries
            .values()
            .max_by_key(|e| (e.live, rank(&e.node)))
            .map(|e| e.node.block.id)?;
        if best == old_tip {
            return None;
        }
        let switch = self.switch(Some(old_tip), best);
        self.apply(&switch);
        Some(switch)
    }

    /// Rebuilds the window from stored blocks, parents before children, the first one being the base.
    /// `canonical` says which of them the stored pointer holds.
    pub fn restore(
        burn_blocks: impl IntoIterator<Item = BurnBlock>,
        nodes: impl IntoIterator<Item = Node>,
        canonical: &HashSet<IndexBlockHash>,
    ) -> Self {
        let mut tree = Self::default();
        for block in burn_blocks {
            tree.burn.insert(block);
        }
        tree.burn.rebuild_all();
        let mut tip: Option<BlockRef> = None;
        for node in nodes {
            let block = node.block;
            tree.base.get_or_insert(block.id);
            let parent = tree.entries.get(&node.parent);
            let mut entry = tree.entry_on(node, parent);
            entry.canonical = canonical.contains(&block.id);
            if entry.canonical && tip.is_none_or(|t| t.height < block.height) {
                tip = Some(block);
            }
            tree.keep(entry);
        }
        tree.tip = tip.map(|t| t.id);
        tree
    }

    /// Puts stored blocks from below the base back into the window. They must be connected, lead up
    /// to the base or branch off from what leads up to it, and come parents first.
    pub fn graft(&mut self, nodes: Vec<Node>, canonical: &HashSet<IndexBlockHash>) {
        if let Some(first) = nodes.first() {
            self.base = Some(first.block.id);
        }
        for node in nodes {
            let id = node.block.id;
            if self.entries.contains_key(&id) {
                continue;
            }
            let parent = self.entries.get(&node.parent);
            let mut entry = self.entry_on(node, parent);
            entry.canonical = canonical.contains(&id);
            self.keep(entry);
        }
    }

    /// Forgets blocks below a height. Branches that hang on forgotten blocks go as well; a later
    /// block on them brings them back through [`ForkTree::graft`].
    pub fn prune_below(&mut self, height: u32) {
        let Some(base) = self
            .entries
            .values()
            .find(|e| e.canonical && e.node.block.height == height)
        else {
            return;
        };
        let base = base.node.block.id;
        self.entries.retain(|_, e| e.node.block.height >= height);
        let mut heights: Vec<_> = self
            .entries
            .values()
            .map(|e| (e.node.block.height, e.node.block.id, e.node.parent))
            .collect();
        heights.sort_unstable();
        for (_, id, parent) in heights {
            if id != base && !self.entries.contains_key(&parent) {
                self.entries.remove(&id);
            }
        }
        self.base = Some(base);
        if let Some(burn_height) = self.entries.get(&base).map(|e| e.node.burn_block_height) {
            self.burn
                .prune_below(burn_height.saturating_sub(BURN_BLOCKS_BELOW_BASE));
        }
    }

    fn keep(&mut self, entry: Entry) {
        self.highest_tenure = self.highest_tenure.max(entry.node.burn_block_height);
        self.entries.insert(entry.node.block.id, entry);
    }

    fn entry_on(&self, node: Node, parent: Option<&Entry>) -> Entry {
        let inherited = parent
            .filter(|p| p.node.consensus_hash == node.consensus_hash)
            .and_then(|p| p.view);
        let view = node.burn_view.or(inherited).or(node.consensus_hash);
        let live = parent.is_none_or(|p| p.live) && !self.contradicted(&node, view);
        Entry {
            node,
            view,
            live,
            canonical: false,
        }
    }

    fn contradicted(&self, node: &Node, view: Option<ConsensusHash>) -> bool {
        self.burn.contradicts(&node.burn_block_hash)
            || self
                .burn
                .differs_at(node.burn_block_height, &node.burn_block_hash)
            || view.is_some_and(|v| self.burn.contradicts_sortition(&v))
    }

    fn hang(&mut self, node: Node) {
        let entry = self.entry_on(node.clone(), self.entries.get(&node.parent));
        self.keep(entry);
    }

    /// Liveness of every block, parents first.
    fn judge_again(&mut self) {
        let mut order: Vec<_> = self
            .entries
            .values()
            .map(|e| (e.node.block.height, e.node.block.id))
            .collect();
        order.sort_unstable();
        for (_, id) in order {
            let Some(entry) = self.entries.get(&id) else {
                continue;
            };
            let mut judged =
                self.entry_on(entry.node.clone(), self.entries.get(&entry.node.parent));
            if !self.entries.contains_key(&judged.node.parent) {
                // The base's parent has left the window; what it handed down is remembered.
                judged.view = entry.view;
                judged.live = !self.contradicted(&judged.node, entry.view);
            }
            if let Some(entry) = self.entries.get_mut(&id) {
                entry.live = judged.live;
                entry.view = judged.view;
            }
        }
    }

    /// From one block to another by way of their highest common ancestor.
    fn switch(&self, from: Option<IndexBlockHash>, to: IndexBlockHash) -> Switch {
        let mut new = Vec::new();
        let mut cursor = self.entries.get(&to);
        while let Some(entry) = cursor
            && !entry.canonical
        {
            new.push(entry.node.block);
            cursor = self.entries.get(&entry.node.parent);
        }
        let ancestor = cursor.map(|e| e.node.block);
        let mut old = Vec::new();
        let mut cursor = from.and_then(|id| self.entries.get(&id));
        while let Some(entry) = cursor
            && Some(entry.node.block) != ancestor
        {
            old.push(entry.node.block);
            cursor = self.entries.get(&entry.node.parent);
        }
        old.reverse();
        new.reverse();
        Switch { ancestor, old, new }
    }

    fn apply(&mut self, switch: &Switch) {
        for block in &switch.old {
            if let Some(entry) = self.entries.get_mut(&block.id) {
                entry.canonical = false;
            }
        }
        if let Some(ancestor) = switch.ancestor {
            self.tip = Some(ancestor.id);
        }
        let new: Vec<_> = switch.new.iter().map(|b| b.id).collect();
        self.adopt(&new);
    }

    fn adopt(&mut self, upwards: &[IndexBlockHash]) {
        for id in upwards {
            if let Some(entry) = self.entries.get_mut(id) {
                entry.canonical = true;
                self.tip = Some(*id);
            }
        }
    }
}

/// Bitcoin blocks that stay known below the window: a tenure may be that old and still be extended.
const BURN_BLOCKS_BELOW_BASE: u32 = 1000;

/// What Bitcoin contradicts is worse than anything else. Where it contradicts everything that is known, the best of it
/// is followed all the same: to stand still would depend on what came first.
fn is_better(entry: &Entry, tip: Option<&Entry>) -> bool {
    tip.is_none_or(|tip| (entry.live, rank(&entry.node)) > (tip.live, rank(&tip.node)))
}

/// Greater is better.
fn rank(node: &Node) -> (u32, u32, Reverse<IndexBlockHash>) {
    (
        node.block.height,
        node.burn_block_height,
        Reverse(node.block.id),
    )
}
