//! The Bitcoin chain as the node evaluated it, and which Stacks blocks it contradicts.
//!
//! A node announces each sortition once (`/new_burn_block`) and says nothing when it leaves one. The
//! view is therefore rebuilt from all announcements: the highest one is the tip, and its ancestors
//! are canonical. Payloads of nodes before 3.1 name no parent; those link to the only known block one
//! height below. A Bitcoin block that was never announced contradicts nothing, because an observer may have
//! been attached late, and a mocknet announces none; but it is contradicted where another one is *surely* canonical at
//! its height, by parents that were named from the tip down: its announcement may have been lost, and a tenure on it
//! must not outlive the view. What was linked by height alone is no such proof.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::model::{BurnBlock, BurnBlockHash, ConsensusHash};

/// What an announcement changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Shift {
    /// Did an announced block begin or cease to be contradicted?
    pub announced: bool,
    /// The lowest height at which another block is canonical now, or one where none was known.
    pub from: Option<u32>,
}

fn lowest_difference(
    old: &BTreeMap<u32, BurnBlockHash>,
    new: &BTreeMap<u32, BurnBlockHash>,
) -> Option<u32> {
    let differs = |(height, hash): (&u32, &BurnBlockHash), other: &BTreeMap<u32, BurnBlockHash>| {
        (other.get(height) != Some(hash)).then_some(*height)
    };
    let gone = old.iter().find_map(|entry| differs(entry, new));
    let come = new.iter().find_map(|entry| differs(entry, old));
    gone.into_iter().chain(come).min()
}

/// Announced Bitcoin blocks, and the canonical ones among them.
#[derive(Debug, Clone, Default)]
pub struct BurnView {
    blocks: HashMap<BurnBlockHash, BurnBlock>,
    by_height: BTreeMap<u32, Vec<BurnBlockHash>>,
    by_consensus_hash: HashMap<ConsensusHash, BurnBlockHash>,
    canonical: BTreeMap<u32, BurnBlockHash>,
    /// Those of the canonical ones that parents lead to, from the tip down without a guess.
    sure: BTreeMap<u32, BurnBlockHash>,
    dead: HashSet<BurnBlockHash>,
}

impl BurnView {
    /// Adds an announcement, and says what must be judged again because of it.
    pub fn insert(&mut self, block: BurnBlock) -> Shift {
        if self.blocks.contains_key(&block.hash) {
            return Shift::default();
        }
        if let Some(consensus_hash) = block.consensus_hash {
            self.by_consensus_hash.insert(consensus_hash, block.hash);
        }
        self.by_height
            .entry(block.height)
            .or_default()
            .push(block.hash);
        let extends_tip = self.extends_tip(&block);
        let (hash, height) = (block.hash, block.height);
        self.blocks.insert(hash, block);
        if extends_tip {
            self.canonical.insert(height, hash);
            self.sure.insert(height, hash);
            return Shift {
                announced: false,
                from: Some(height),
            };
        }
        self.rebuild()
    }

    /// The plain case: the next height, on the present tip, which is sure, with no rival.
    fn extends_tip(&self, block: &BurnBlock) -> bool {
        let Some((height, tip)) = self.canonical.last_key_value() else {
            return false;
        };
        self.sure.contains_key(height)
            && height + 1 == block.height
            && block.parent.is_some_and(|parent| parent == *tip)
            && self
                .by_height
                .get(&block.height)
                .is_none_or(|rivals| rivals.len() == 1)
    }

    /// Judges everything anew, after a bulk of insertions.
    pub fn rebuild_all(&mut self) {
        self.rebuild();
    }

    fn rebuild(&mut self) -> Shift {
        let (mut canonical, mut sure) = (BTreeMap::new(), BTreeMap::new());
        let mut linked = true;
        // Equal height: Bitcoin decides with its next block; until then the choice only has to be
        // the same on every replica.
        let mut cursor = self
            .by_height
            .last_key_value()
            .and_then(|(_, hashes)| hashes.iter().min().copied());
        while let Some(hash) = cursor {
            let Some(block) = self.blocks.get(&hash) else {
                break;
            };
            canonical.insert(block.height, hash);
            // A tip is sure if it names its parent, as newer nodes do; what it leads to, then, is too.
            if linked && (block.parent.is_some() || !sure.is_empty()) {
                sure.insert(block.height, hash);
            }
            linked = linked && block.parent.is_some();
            cursor = self.parent_of(block);
        }
        let dead = self
            .blocks
            .values()
            .filter(|b| canonical.get(&b.height).is_some_and(|c| *c != b.hash))
            .map(|b| b.hash)
            .collect();
        let shift = Shift {
            announced: dead != self.dead,
            from: lowest_difference(&self.sure, &sure),
        };
        self.canonical = canonical;
        self.sure = sure;
        self.dead = dead;
        shift
    }

    fn parent_of(&self, block: &BurnBlock) -> Option<BurnBlockHash> {
        if let Some(parent) = block.parent {
            return self.blocks.contains_key(&parent).then_some(parent);
        }
        let below = block.height.checked_sub(1)?;
        match self.by_height.get(&below).map(Vec::as_slice) {
            Some([only]) => Some(*only),
            _ => None,
        }
    }

    /// Is the Bitcoin block of this height, announced or not, surely another one?
    pub fn differs_at(&self, height: u32, hash: &BurnBlockHash) -> bool {
        self.sure.get(&height).is_some_and(|c| c != hash)
    }

    /// Is this announced Bitcoin block known to be off the canonical Bitcoin chain?
    pub fn contradicts(&self, hash: &BurnBlockHash) -> bool {
        self.dead.contains(hash)
    }

    /// Is the sortition of this consensus hash known to be off the canonical Bitcoin chain?
    pub fn contradicts_sortition(&self, consensus_hash: &ConsensusHash) -> bool {
        self.by_consensus_hash
            .get(consensus_hash)
            .is_some_and(|hash| self.contradicts(hash))
    }

    /// Height of the highest announced Bitcoin block.
    pub fn tip_height(&self) -> Option<u32> {
        self.canonical.last_key_value().map(|(height, _)| *height)
    }

    /// The canonical Bitcoin block at a height, if announced.
    pub fn at_height(&self, height: u32) -> Option<BurnBlockHash> {
        self.canonical.get(&height).copied()
    }

    /// Forgets announcements below a height; nothing judged from now on may refer to them.
    pub fn prune_below(&mut self, height: u32) {
        let kept = self.by_height.split_off(&height);
        for hash in std::mem::replace(&mut self.by_height, kept)
            .into_values()
            .flatten()
        {
            if let Some(block) = self.blocks.remove(&hash)
                && let Some(consensus_hash) = block.consensus_hash
            {
                self.by_consensus_hash.remove(&consensus_hash);
            }
            self.dead.remove(&hash);
        }
        self.canonical = self.canonical.split_off(&height);
        self.sure = self.sure.split_off(&height);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(label: u8) -> BurnBlockHash {
        BurnBlockHash([label; 32])
    }

    fn block(label: u8, height: u32, parent: Option<u8>) -> BurnBlock {
        BurnBlock {
            hash: hash(label),
            height,
            parent: parent.map(hash),
            consensus_hash: Some(ConsensusHash([label; 20])),
        }
    }

    #[test]
    fn a_longer_branch_leaves_the_shorter_one_dead() {
        let mut view = BurnView::default();
        for b in [
            block(1, 10, None),
            block(2, 11, Some(1)),
            block(3, 12, Some(2)),
        ] {
            assert!(!view.insert(b).announced);
        }
        view.insert(block(12, 11, Some(1)));
        assert!(!view.contradicts(&hash(2)));
        assert!(view.contradicts(&hash(12)));
        view.insert(block(13, 12, Some(12)));
        assert!(view.insert(block(14, 13, Some(13))).announced);
        assert!(view.contradicts(&hash(2)) && view.contradicts(&hash(3)));
        assert!(view.contradicts_sortition(&ConsensusHash([3; 20])));
        assert!(!view.contradicts(&hash(12)));
        assert_eq!(view.tip_height(), Some(13));
    }

    #[test]
    fn what_was_never_announced_contradicts_nothing() {
        let mut view = BurnView::default();
        view.insert(block(1, 10, None));
        assert!(!view.contradicts(&hash(99)));
        assert!(!view.contradicts_sortition(&ConsensusHash([99; 20])));
    }

    #[test]
    fn what_was_never_announced_is_contradicted_where_another_is_canonical() {
        let mut view = BurnView::default();
        // One that names no parent is of an old node, and proves nothing.
        view.insert(block(5, 9, None));
        assert!(!view.differs_at(9, &hash(99)));
        view.insert(block(1, 10, Some(5)));
        assert!(view.differs_at(10, &hash(99)));
        assert!(!view.differs_at(11, &hash(99)));
        // A hole hides what is below it, and its filling shows it.
        let shift = view.insert(block(3, 12, Some(2)));
        assert_eq!(shift.from, Some(9));
        assert!(!view.differs_at(10, &hash(99)));
        let shift = view.insert(block(2, 11, Some(1)));
        assert_eq!((shift.announced, shift.from), (false, Some(9)));
        assert!(view.differs_at(10, &hash(99)) && view.differs_at(11, &hash(99)));
    }

    #[test]
    fn blocks_without_parents_link_by_height() {
        let mut view = BurnView::default();
        for b in [block(1, 10, None), block(2, 11, None), block(3, 12, None)] {
            view.insert(b);
        }
        assert_eq!(view.at_height(10), Some(hash(1)));
        assert_eq!(view.at_height(12), Some(hash(3)));
    }

    #[test]
    fn the_order_of_announcements_does_not_matter() {
        let blocks = [
            block(1, 10, None),
            block(2, 11, Some(1)),
            block(12, 11, Some(1)),
            block(13, 12, Some(12)),
        ];
        let mut forward = BurnView::default();
        blocks.iter().cloned().for_each(|b| {
            forward.insert(b);
        });
        let mut backward = BurnView::default();
        blocks.iter().rev().cloned().for_each(|b| {
            backward.insert(b);
        });
        assert_eq!(forward.canonical, backward.canonical);
        assert_eq!(forward.dead, backward.dead);
    }
}
