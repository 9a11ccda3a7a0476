//! Between the chain and a delivery: a bounded queue, at which the chain waits as a node does.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use crate::recording::{Entry, RecordingError};
use crate::workload::SeededRng;

/// Payloads that may wait before the chain does.
const BOUND: usize = 64;
/// A payload that was held back goes out after so many others at the latest.
const HELD_FOR: u64 = 40;

/// What the chain says to a delivery.
pub(super) enum Said {
    /// A payload.
    Payload(Entry),
    /// The node was restarted: what was held back goes out now.
    Restart,
}

/// Payloads for one observer; ends when the chain does.
pub(super) struct Source {
    receiver: Receiver<Said>,
    lost_percent: u8,
    rng: SeededRng,
    held: VecDeque<(u64, Entry)>,
    ready: VecDeque<Entry>,
    count: u64,
}

/// A queue and its far end.
pub(super) fn queue(lost_percent: u8, seed: u64) -> (SyncSender<Said>, Source) {
    let (sender, receiver) = sync_channel(BOUND);
    let source = Source {
        receiver,
        lost_percent,
        rng: SeededRng::new(seed ^ 0x10_57),
        held: VecDeque::new(),
        ready: VecDeque::new(),
        count: 0,
    };
    (sender, source)
}

impl Iterator for Source {
    type Item = Result<Entry, RecordingError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(entry) = self.ready.pop_front() {
                return Some(Ok(entry));
            }
            if self.held.front().is_some_and(|(due, _)| *due <= self.count) {
                return self.held.pop_front().map(|(_, entry)| Ok(entry));
            }
            match self.receiver.recv() {
                Ok(Said::Payload(entry)) => {
                    self.count += 1;
                    if self.rng.percent(self.lost_percent) {
                        self.held.push_back((self.count + HELD_FOR, entry));
                    } else {
                        return Some(Ok(entry));
                    }
                }
                Ok(Said::Restart) => self
                    .ready
                    .extend(self.held.drain(..).map(|(_, entry)| entry)),
                // The chain ended; what was held back is still owed.
                Err(_) => return self.held.pop_front().map(|(_, entry)| Ok(entry)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_back_comes_after_all() {
        let (sender, source) = queue(50, 3);
        let names: Vec<String> = (0..60).map(|n| format!("/{n}")).collect();
        let feeder = std::thread::spawn({
            let names = names.clone();
            move || {
                for name in names {
                    sender
                        .send(Said::Payload(Entry::new(name, "")))
                        .expect("somebody listens");
                }
            }
        });
        let got: Vec<String> = source.map(|e| e.expect("an entry").path).collect();
        feeder.join().expect("all sent");
        assert_ne!(got, names, "nothing was held back");
        let mut sorted = got.clone();
        sorted.sort();
        let mut expected = names;
        expected.sort();
        assert_eq!(sorted, expected);
    }
}
