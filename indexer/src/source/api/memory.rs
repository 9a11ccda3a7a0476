//! What one server said that need not be asked again while its chain only grows.

use std::collections::{HashMap, VecDeque};
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

/// What is remembered of a server.
#[derive(Default)]
pub(super) struct Memory {
    /// The tip under which all of this was said, or one that it became an ancestor of.
    pub tip: Option<(BlockRef, String)>,
    /// The cursor of the page of blocks that comes next on the way up, and the height of its first row.
    pub next_page: Option<(u32, IndexBlockHash)>,
    /// Offset and height of a Bitcoin block in the list.
    pub burn_row: Option<(u64, u32)>,
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
        self.joined.clear();
        self.oldest.clear();
        self.bytes = 0;
        for feed in &mut self.feeds {
            feed.forget();
        }
    }

    pub(super) fn joined(&self, txid: &TxId) -> Option<&Joined> {
        self.joined.get(txid)
    }

    /// Keeps a transaction, and gives up the oldest ones for it.
    pub(super) fn keep(&mut self, joined: Joined) {
        let events = joined.events.as_deref().unwrap_or_default();
        let size = ROW_BYTES + events.iter().map(|e| e.get().len()).sum::<usize>();
        let txid = joined.row.tx_id;
        self.joined.insert(txid, joined);
        self.oldest.push_back((txid, size));
        self.bytes += size;
        while self.bytes > KEPT_BYTES {
            let Some((old, size)) = self.oldest.pop_front() else {
                break;
            };
            self.bytes = self.bytes.saturating_sub(size);
            if old != txid {
                self.joined.remove(&old);
            }
        }
    }
}
