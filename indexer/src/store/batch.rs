//! What one commit writes, in the model's terms.

use super::inbox::{InboxState, Source};
use crate::decode::MempoolDrop;
use crate::model::{Block, BlockRef, BurnBlock, Change, Digest, IndexBlockHash, TxId};

/// A block with all that it contributes.
#[derive(Debug)]
pub struct BlockRows {
    /// Its local number.
    pub id: i64,
    /// Where its payload lies.
    pub inbox_id: i64,
    /// The block.
    pub block: Block,
    /// Its versions.
    pub change: Change,
    /// Digest over its rows.
    pub rows_digest: Digest,
    /// The digest chain up to it.
    pub digest: Digest,
}

/// What becomes of an inbox row.
#[derive(Debug)]
pub struct InboxUpdate {
    /// The row.
    pub id: i64,
    /// Its new state.
    pub state: InboxState,
    /// The block that it carries, and its parent, if it was decoded.
    pub block: Option<(BlockRef, IndexBlockHash)>,
    /// Why it is quarantined.
    pub error: Option<String>,
}

/// One line of the outbox.
#[derive(Debug, Clone, Copy)]
pub struct OutboxRow {
    /// As of which reorg count.
    pub generation: i64,
    /// Became canonical, or ceased to be.
    pub applied: bool,
    /// The block's local number.
    pub block_id: i64,
}

/// A change of the canonical chain that was not a plain extension.
#[derive(Debug)]
pub struct ReorgRow {
    /// Its number.
    pub generation: i64,
    /// Did Bitcoin cause it, and not a Stacks block?
    pub by_burn: bool,
    /// The highest block on both sides.
    pub ancestor: Option<BlockRef>,
    /// The tip before.
    pub old_tip: BlockRef,
    /// The tip after.
    pub new_tip: BlockRef,
    /// Blocks that ceased to be canonical.
    pub depth: i32,
    /// Was one of them final?
    pub left_final: bool,
}

/// The canonical chain above a height, to replace what is there.
#[derive(Debug, Default)]
pub struct Pointer {
    /// Heights above this one are replaced.
    pub above: i64,
    /// Did anything there cease to be canonical?
    pub unwinds: bool,
    /// (height, local number), upwards.
    pub blocks: Vec<(i32, i64)>,
    /// Local numbers of every block that switched, in either direction.
    pub switched: Vec<i64>,
}

/// Mempool rows.
#[derive(Debug, Default)]
pub struct Mempool {
    /// (transaction, inbox row, Unix microseconds).
    pub seen: Vec<(TxId, i64, i64)>,
    /// Drops with the time, Unix microseconds.
    pub dropped: Vec<(MempoolDrop, i64)>,
}

/// Two sources that tell different facts of one block.
#[derive(Debug)]
pub struct Disagreement {
    /// The payload whose facts are mirrored.
    pub applied_inbox_id: i64,
    /// The one that says otherwise.
    pub other_inbox_id: i64,
    /// The block.
    pub block: BlockRef,
    /// Who delivered the first.
    pub applied_source: Source,
    /// Who delivered the second.
    pub other_source: Source,
    /// What differs, in words.
    pub differences: String,
}

/// All that one commit writes.
#[derive(Debug, Default)]
pub struct Batch {
    /// New blocks of any fork, parents first.
    pub blocks: Vec<BlockRows>,
    /// New Bitcoin blocks and their inbox rows.
    pub burn_blocks: Vec<(BurnBlock, i64)>,
    /// New principals with their numbers.
    pub principals: Vec<(i32, String)>,
    /// The pointer's move, if any.
    pub pointer: Option<Pointer>,
    /// Reorgs, in order.
    pub reorgs: Vec<ReorgRow>,
    /// Outbox, in order.
    pub outbox: Vec<OutboxRow>,
    /// Inbox rows that were processed.
    pub inbox: Vec<InboxUpdate>,
    /// Mempool rows.
    pub mempool: Mempool,
    /// Sources that disagree.
    pub disagreements: Vec<Disagreement>,
}
