//! The fork tree against a model that knows every block at once.

use std::collections::{HashMap, HashSet};

use proptest::prelude::*;

use super::*;
use crate::model::{BlockRef, BurnBlock, BurnBlockHash, ConsensusHash, IndexBlockHash};

/// A chain on Bitcoin with forks, as a list in which parents come first.
#[derive(Debug, Clone)]
struct World {
    burn: Vec<BurnBlock>,
    blocks: Vec<Node>,
}

fn burn_hash(label: usize) -> BurnBlockHash {
    BurnBlockHash([u8::try_from(label).unwrap(); 32])
}

fn consensus_hash(label: usize) -> ConsensusHash {
    ConsensusHash([u8::try_from(label).unwrap(); 20])
}

/// Ids that do not sort like the order of creation.
fn id(label: usize) -> IndexBlockHash {
    let scrambled = u8::try_from(label)
        .unwrap()
        .wrapping_mul(151)
        .wrapping_add(7);
    IndexBlockHash([scrambled; 32])
}

/// Choices are taken modulo what there is to choose from.
fn world() -> impl Strategy<Value = World> {
    let burn = prop::collection::vec(any::<usize>(), 1..10);
    let blocks = prop::collection::vec((any::<usize>(), any::<usize>(), any::<bool>()), 1..40);
    (burn, blocks).prop_map(|(burn_parents, choices)| {
        let mut burn: Vec<BurnBlock> = Vec::new();
        for (label, choice) in burn_parents.into_iter().enumerate() {
            // Mostly on the last one, so that forks of more than one block come about.
            let parent = burn.get(choice % (burn.len() * 3).max(1)).or(burn.last());
            burn.push(BurnBlock {
                hash: burn_hash(label),
                height: parent.map_or(100, |p| p.height + 1),
                parent: parent.map(|p| p.hash),
                consensus_hash: Some(consensus_hash(label)),
            });
        }
        let mut blocks: Vec<Node> = Vec::new();
        for (label, (parent, sortition, extends)) in choices.into_iter().enumerate() {
            let parent = blocks
                .get(parent % (blocks.len() * 2).max(1))
                .or(blocks.last());
            let elected = &burn[sortition % burn.len()];
            let same_tenure = parent.filter(|_| extends);
            let hash = same_tenure.map_or(elected.hash, |p| p.burn_block_hash);
            let height = same_tenure.map_or(elected.height, |p| p.burn_block_height);
            let tenure = same_tenure.map_or(elected.consensus_hash, |p| p.consensus_hash);
            blocks.push(Node {
                block: BlockRef {
                    id: id(label),
                    height: parent.map_or(0, |p| p.block.height + 1),
                },
                parent: parent.map_or(IndexBlockHash::BEFORE_GENESIS, |p| p.block.id),
                burn_block_hash: hash,
                burn_block_height: height,
                consensus_hash: tenure,
                // A tenure that is extended may name a later view of Bitcoin.
                burn_view: (sortition % 3 == 0)
                    .then_some(elected.consensus_hash)
                    .flatten(),
            });
        }
        World { burn, blocks }
    })
}

/// The canonical chain by definition, upwards.
fn model(world: &World) -> Vec<IndexBlockHash> {
    let by_hash: HashMap<_, _> = world.burn.iter().map(|b| (b.hash, b)).collect();
    let top = world.burn.iter().map(|b| b.height).max().unwrap();
    let mut cursor = world
        .burn
        .iter()
        .filter(|b| b.height == top)
        .min_by_key(|b| b.hash);
    let mut canonical_burn = HashSet::new();
    while let Some(block) = cursor {
        canonical_burn.insert(block.hash);
        cursor = block.parent.and_then(|p| by_hash.get(&p).copied());
    }
    let burn_of: HashMap<_, _> = world
        .burn
        .iter()
        .map(|b| (b.consensus_hash, b.hash))
        .collect();

    let mut live: HashMap<IndexBlockHash, (bool, Option<ConsensusHash>, &Node)> = HashMap::new();
    for node in &world.blocks {
        let parent = live.get(&node.parent);
        let inherited = parent
            .filter(|p| p.2.consensus_hash == node.consensus_hash)
            .and_then(|p| p.1);
        let view = node.burn_view.or(inherited).or(node.consensus_hash);
        let sound = canonical_burn.contains(&node.burn_block_hash)
            && canonical_burn.contains(&burn_of[&view]);
        live.insert(
            node.block.id,
            (sound && parent.is_none_or(|p| p.0), view, node),
        );
    }
    let best = world
        .blocks
        .iter()
        // Where Bitcoin leaves no block alive, the best of the dead.
        .max_by_key(|n| {
            (
                live[&n.block.id].0,
                n.block.height,
                n.burn_block_height,
                std::cmp::Reverse(n.block.id),
            )
        });
    let mut chain = Vec::new();
    let mut cursor = best;
    while let Some(node) = cursor {
        chain.push(node.block.id);
        cursor = live.get(&node.parent).map(|l| l.2);
    }
    chain.reverse();
    chain
}

fn canonical(tree: &ForkTree) -> Vec<IndexBlockHash> {
    let mut chain = Vec::new();
    let mut cursor = tree.tip().and_then(|t| tree.get(&t.id));
    while let Some(node) = cursor {
        assert!(tree.is_canonical(&node.block.id), "CH-1: {:?}", node.block);
        chain.push(node.block.id);
        cursor = tree.get(&node.parent);
    }
    chain.reverse();
    chain
}

/// Applies what an outcome says to a plain list, as the store does with its pointer.
fn follow(chain: &mut Vec<IndexBlockHash>, switch: &Switch) {
    for block in switch.old.iter().rev() {
        assert_eq!(chain.pop(), Some(block.id));
    }
    assert_eq!(chain.last().copied(), switch.ancestor.map(|a| a.id));
    chain.extend(switch.new.iter().map(|b| b.id));
}

enum Delivery {
    Burn(BurnBlock),
    Block(Node),
}

/// Delivers in any order; a detached block waits for its parent, as in the pipeline.
fn deliver(world: &World, order: &[usize]) -> ForkTree {
    let mut deliveries: Vec<(usize, Delivery)> = Vec::new();
    let burn = world.burn.iter().cloned().map(Delivery::Burn);
    let blocks = world.blocks.iter().cloned().map(Delivery::Block);
    for (i, delivery) in burn.chain(blocks).enumerate() {
        deliveries.push((order.get(i).copied().unwrap_or(i), delivery));
    }
    deliveries.sort_by_key(|(key, _)| *key);
    let mut tree = ForkTree::default();
    let mut chain = Vec::new();
    // The origin is the block that has no parent; the pipeline makes sure of that.
    let origin = world.blocks[0].clone();
    assert_eq!(tree.insert(origin.clone()), Outcome::Origin);
    chain.push(origin.block.id);
    let mut waiting: Vec<Node> = Vec::new();
    for (_, delivery) in deliveries {
        match delivery {
            Delivery::Burn(block) => {
                if let Some(switch) = tree.insert_burn_block(block) {
                    follow(&mut chain, &switch);
                }
            }
            Delivery::Block(node) => waiting.push(node),
        }
        loop {
            let ready = waiting
                .iter()
                .position(|n| !matches!(tree.plan(n), Outcome::Detached { .. }));
            let Some(ready) = ready else { break };
            let node = waiting.remove(ready);
            match tree.insert(node.clone()) {
                Outcome::Extended => chain.push(node.block.id),
                Outcome::Reorged(switch) => follow(&mut chain, &switch),
                _ => {}
            }
        }
        assert_eq!(canonical(&tree), chain, "the switches tell the whole story");
    }
    assert!(waiting.is_empty());
    tree
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn any_order_gives_the_model_chain(world in world(), order in prop::collection::vec(any::<usize>(), 50)) {
        let tree = deliver(&world, &order);
        prop_assert_eq!(canonical(&tree), model(&world));
    }

    /// Announcements are lost now and then; what is left must still be a function of what came, and not of its order.
    #[test]
    fn lost_announcements_do_not_bring_the_order_back(
        world in world(),
        order in prop::collection::vec(any::<usize>(), 50),
        lost in prop::collection::vec(any::<bool>(), 10),
    ) {
        let mut heard = world.clone();
        let mut fate = lost.into_iter();
        heard.burn.retain(|_| !fate.next().unwrap_or(false));
        let plain: Vec<usize> = (0..50).collect();
        let tree = deliver(&heard, &plain);
        let other = deliver(&heard, &order);
        prop_assert_eq!(canonical(&tree), canonical(&other));
        let dead = |tree: &ForkTree| tree.entries_alive() == 0;
        // No canonical block stands on a Bitcoin block that is known to be another one.
        for id in canonical(&tree) {
            let node = tree.get(&id).unwrap();
            let differs = tree.burn_view().differs_at(node.burn_block_height, &node.burn_block_hash);
            prop_assert!(!differs || dead(&tree));
        }
    }

    #[test]
    fn a_restart_rebuilds_the_same_tree(world in world(), order in prop::collection::vec(any::<usize>(), 50)) {
        let tree = deliver(&world, &order);
        let canonical_ids: HashSet<_> = canonical(&tree).into_iter().collect();
        let mut restored = ForkTree::restore(world.burn.clone(), world.blocks.clone(), &canonical_ids);
        prop_assert_eq!(canonical(&restored), canonical(&tree));
        // It must also judge what comes next alike.
        let mut tree = tree;
        let tip = tree.tip().unwrap();
        for parent in &world.blocks {
            let child = Node {
                block: BlockRef { id: id(200), height: parent.block.height + 1 },
                parent: parent.block.id,
                ..parent.clone()
            };
            prop_assert_eq!(restored.plan(&child), tree.plan(&child));
        }
        let top = world.burn.iter().max_by_key(|b| b.height).unwrap();
        let next = BurnBlock { hash: burn_hash(250), height: top.height + 1, parent: Some(top.hash), consensus_hash: None };
        prop_assert_eq!(restored.insert_burn_block(next.clone()), tree.insert_burn_block(next));
        prop_assert!(tree.tip().is_some() && tip.height < 50);
    }

    #[test]
    fn a_switch_and_its_inverse_cancel(world in world()) {
        let mut tree = ForkTree::default();
        let mut chain = vec![world.blocks[0].block.id];
        for node in world.blocks {
            if let Outcome::Reorged(switch) = tree.insert(node.clone()) {
                let before = chain.clone();
                follow(&mut chain, &switch);
                let mut back = chain.clone();
                follow(&mut back, &switch.inverse());
                prop_assert_eq!(back, before);
            } else if tree.is_canonical(&node.block.id) && chain.last() != Some(&node.block.id) {
                chain.push(node.block.id);
            }
        }
    }
}

#[test]
fn the_later_sortition_wins_at_equal_height() {
    let mut tree = ForkTree::default();
    let node = |label, parent: IndexBlockHash, height, burn_height| Node {
        block: BlockRef {
            id: id(label),
            height,
        },
        parent,
        burn_block_hash: burn_hash(label),
        burn_block_height: burn_height,
        consensus_hash: None,
        burn_view: None,
    };
    tree.insert(node(0, IndexBlockHash::BEFORE_GENESIS, 46, 666_120));
    tree.insert(node(1, id(0), 47, 666_122));
    let outcome = tree.insert(node(2, id(0), 47, 666_123));
    assert!(matches!(outcome, Outcome::Reorged(_)));
    assert_eq!(tree.tip().map(|t| t.id), Some(id(2)));
}

#[test]
fn pruning_keeps_the_tip_and_grafting_brings_old_branches_back() {
    let node = |label: usize, parent: usize, height| Node {
        block: BlockRef {
            id: id(label),
            height,
        },
        parent: id(parent),
        burn_block_hash: burn_hash(0),
        burn_block_height: 100,
        consensus_hash: None,
        burn_view: None,
    };
    let mut tree = ForkTree::default();
    let nodes: Vec<_> = (0..20)
        .map(|i| node(i, i.wrapping_sub(1).min(99), u32::try_from(i).unwrap()))
        .collect();
    nodes.iter().cloned().for_each(|n| {
        tree.insert(n);
    });
    tree.prune_below(10);
    assert_eq!(
        (
            tree.len(),
            tree.base().unwrap().height,
            tree.tip().unwrap().height
        ),
        (10, 10, 19)
    );
    let branch = node(100, 4, 5);
    assert!(matches!(tree.plan(&branch), Outcome::Detached { .. }));
    let stored: Vec<_> = nodes[4..10].to_vec();
    let canonical = stored.iter().map(|n| n.block.id).collect();
    tree.graft(stored, &canonical);
    assert_eq!(tree.insert(branch), Outcome::SideFork);
    // A branch of sixteen more blocks out of height 5 overtakes.
    let mut last = Outcome::SideFork;
    for i in 101..116 {
        last = tree.insert(node(i, i - 1, u32::try_from(i - 95).unwrap()));
    }
    let Outcome::Reorged(switch) = last else {
        panic!("{last:?}")
    };
    assert_eq!(switch.ancestor.unwrap().height, 4);
    assert_eq!((switch.old.len(), switch.new.len()), (15, 16));
}
