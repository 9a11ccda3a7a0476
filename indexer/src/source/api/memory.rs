//! What one server said that need not be asked again while its chain only grows.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use super::feeds::Feed;
use super::wire::{RawEvent, TxRow};
use crate::model::{BlockRef, IndexBlockHash, TxId};

/// A transaction, and its events once they were asked for.
#[derive(Debug, Clone)]
pub(super) struct Joined {
    pub row: Arc<TxRow>,
    pub events: Option<Arc<[RawEvent]>>,
}

/// Most bytes of transactions that are kept.
const KEPT_BYTES: usize = 64 << 20;
/// What a row takes beside its events, about.
const ROW_BYTES: usize = 1024;
/// Most blocks that are remembered as having been canonical.
const MAX_SEEN: usize = 4_096;

/// What is remembered of a server.
#[derive(Default)]
pub(super) struct Memory {
    /// The tip under which all of this was said, or one that it became an ancestor of.
    pub tip: Option<(BlockRef, String)>,
    /// The cursor of the page of blocks that comes next on the way up, and the height of its first row.
    pub next_page: Option<(u32, IndexBlockHash)>,
    /// Offset and height of a Bitcoin block in the list.
    pub burn_row: Option<(u64, u32)>,
    /// Blocks that were canonical once, by height: where to look for what a reorg has left alone.
    seen: BTreeMap<u32, IndexBlockHash>,
    /// Who did what when, of each contract and principal.
    pub feeds: Vec<Feed>,
    joined: HashMap<TxId, Joined>,
    oldest: VecDeque<(TxId, usize)>,
    bytes: usize,
}

impl Memory {
    /// The chain is another one than thought: nothing that was said of it holds.
    pub(super) fn forget(&mut self) {
        self.tip = None;
        self.next_page = None;
        self.burn_row = None;
        self.seen.clear();
        self.joined.clear();
        self.oldest.clear();
        self.bytes = 0;
        for feed in &mut self.feeds {
            feed.forget();
        }
    }

    /// Notes a canonical block.
    pub(super) fn see(&mut self, block: BlockRef) {
        self.seen.insert(block.height, block.id);
        if self.seen.len() > MAX_SEEN {
            self.seen.pop_first();
        }
    }

    /// The newest block below a height that was seen to be canonical.
    pub(super) fn seen_below(&self, height: u32) -> Option<BlockRef> {
        let (height, id) = self.seen.range(..height).next_back()?;
        Some(BlockRef {
            id: *id,
            height: *height,
        })
    }

    /// The chain has left everything above this height; what was said of it up to there still holds.
    pub(super) fn retreat(&mut self, height: u32) {
        self.burn_row = None;
        self.seen.retain(|at, _| *at <= height);
        let placed = |j: &Joined| j.row.block.is_some_and(|place| place.height <= height);
        self.joined.retain(|_, j| placed(j));
        for feed in &mut self.feeds {
            feed.retreat(height, |txid| self.joined.contains_key(txid));
        }
    }

    pub(super) fn joined(&self, txid: &TxId) -> Option<&Joined> {
        self.joined.get(txid)
    }

    /// Keeps a transaction.
    pub(super) fn keep(&mut self, joined: Joined) {
        let events = joined.events.as_deref().unwrap_or_default();
        let size = ROW_BYTES + events.iter().map(|e| e.get().len()).sum::<usize>();
        let txid = joined.row.tx_id;
        self.joined.insert(txid, joined);
        self.oldest.push_back((txid, size));
        self.bytes += size;
    }

    /// Gives up the oldest transactions where there are too many. Done between two ranges: within one, all are needed.
    pub(super) fn trim(&mut self) {
        while self.bytes > KEPT_BYTES {
            let Some((txid, size)) = self.oldest.pop_front() else {
                break;
            };
            self.bytes = self.bytes.saturating_sub(size);
            self.joined.remove(&txid);
        }
    }
}
