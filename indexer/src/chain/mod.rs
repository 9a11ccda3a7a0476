//! Which block is canonical: the fork tree, the Bitcoin view it is judged by, and finality.
//!
//! Pure: no clock, no I/O. The answer is a function of the *set* of blocks and Bitcoin blocks that
//! were seen, never of the order in which they came (PR-2).

pub mod burn_view;
pub mod fork_tree;
#[cfg(test)]
mod model_tests;

pub use burn_view::BurnView;
pub use fork_tree::{ForkTree, Node, Outcome, Switch};

/// Is a block final? Depth is counted in Bitcoin blocks, because hundreds of Stacks blocks may sit
/// on one (facts of the Nakamoto release; a block leaves the chain only when Bitcoin reorganises).
///
/// `burn_tip_height` is the greatest Bitcoin height known to be on the canonical view.
pub fn is_final(burn_tip_height: u32, burn_block_height: u32, finality_burn_blocks: u32) -> bool {
    burn_tip_height.saturating_sub(burn_block_height) >= finality_burn_blocks
}
