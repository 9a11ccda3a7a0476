//! What has to be added to the journal so that what counts in it is about the canonical chain alone.

use std::collections::{BTreeMap, BTreeSet};

use stxworx_indexer::store::ledger::{Act, Booking, Kind, Live, Stamp, lines_text};

/// What is to count of one block: its bookings while it is canonical, nothing once it has left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// The block.
    pub stamp: Stamp,
    /// Its bookings.
    pub bookings: Vec<Booking>,
}

/// The acts, in order: first what does not count any more, then what is new.
///
/// `live` are the live bookings of the wishes' blocks, and those of their events in whatever block: the same
/// transaction stands in another block of another fork, and counts once. `gone` are others whose block has left.
pub fn plan(live: &[Live], gone: &[Live], wishes: &[Wish]) -> Vec<Act> {
    let mut wanted: BTreeMap<(&str, Kind), (Stamp, &Booking)> = BTreeMap::new();
    let mut order = Vec::new();
    let touched: BTreeSet<[u8; 32]> = wishes.iter().map(|w| w.stamp.block).collect();
    for wish in wishes {
        for booking in &wish.bookings {
            let key = (booking.event_key.as_str(), booking.kind);
            if wanted.insert(key, (wish.stamp, booking)).is_none() {
                order.push(key);
            }
        }
    }
    let left: BTreeSet<i64> = gone.iter().map(|g| g.seq).collect();
    let mut acts = Vec::new();
    let mut seen = BTreeSet::new();
    for booking in live.iter().chain(gone) {
        if !seen.insert(booking.seq) {
            continue;
        }
        let key = (booking.event_key.as_str(), booking.kind);
        let same = wanted.get(&key).is_some_and(|(stamp, wish)| {
            stamp.block == booking.block && lines_text(&wish.lines) == booking.lines
        });
        if same {
            wanted.remove(&key);
        } else if wanted.contains_key(&key)
            || touched.contains(&booking.block)
            || left.contains(&booking.seq)
        {
            acts.push(if booking.pending {
                Act::Void(booking.seq)
            } else {
                Act::Reverse(booking.seq)
            });
        }
    }
    let new = order.iter().filter_map(|key| wanted.get(key));
    acts.extend(new.map(|(stamp, booking)| Act::Book(*stamp, Box::new((*booking).clone()))));
    acts
}
