//! Which payloads are sent, and in which order: selection, shuffling, repetition. No time and no network here.

use crate::recording::{Entry, RecordingError};
use crate::workload::SeededRng;
use std::collections::VecDeque;

/// A repeated payload comes at most this many payloads later when nothing is shuffled.
const MIN_REPEAT_WINDOW: usize = 8;

/// Which payloads of a recording are sent, and in which order. The default is all of them, in file order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Order {
    /// Only these paths; empty: all.
    pub paths: Vec<String>,
    /// Leave out the first so many of the selected payloads.
    pub skip: u64,
    /// At most so many payloads of the recording; repeated ones are not counted.
    pub limit: Option<u64>,
    /// Payloads leave in random order, none of them moved by this many places or more. 0 and 1 keep the order.
    /// So many payloads are held in memory.
    pub shuffle_window: usize,
    /// Percentage of payloads that are sent again, at most `shuffle_window` (and at least 8) payloads later.
    pub duplicate_percent: u8,
    /// Seed of both.
    pub seed: u64,
}

/// A payload to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// What to send where.
    pub entry: Entry,
    /// Whether it has been sent before.
    pub is_repeat: bool,
}

/// The payloads of a source in the order in which they are to be sent.
///
/// An error of the source comes last: what was read before it is sent first.
pub struct Ordered<S> {
    source: S,
    order: Order,
    rng: SeededRng,
    taken: u64,
    skipped: u64,
    window: VecDeque<(u64, Entry)>,
    emitted: u64,
    repeats: VecDeque<(u64, Entry)>,
    sent: u64,
    failure: Option<RecordingError>,
    source_ended: bool,
}

impl<S> Ordered<S>
where
    S: Iterator<Item = Result<Entry, RecordingError>>,
{
    /// Orders a source.
    pub fn new(source: S, order: Order) -> Self {
        let rng = SeededRng::new(order.seed);
        Self {
            source,
            order,
            rng,
            taken: 0,
            skipped: 0,
            window: VecDeque::new(),
            emitted: 0,
            repeats: VecDeque::new(),
            sent: 0,
            failure: None,
            source_ended: false,
        }
    }

    /// The next selected entry with its position among the selected.
    fn next_selected(&mut self) -> Option<(u64, Entry)> {
        while !self.source_ended && self.order.limit.is_none_or(|limit| self.taken < limit) {
            match self.source.next() {
                Some(Ok(entry)) => {
                    if !self.order.paths.is_empty() && !self.order.paths.contains(&entry.path) {
                        continue;
                    }
                    if self.skipped < self.order.skip {
                        self.skipped += 1;
                        continue;
                    }
                    self.taken += 1;
                    return Some((self.taken - 1, entry));
                }
                Some(Err(error)) => {
                    self.failure = Some(error);
                    self.source_ended = true;
                }
                None => self.source_ended = true,
            }
        }
        None
    }

    /// The next entry out of the shuffling window, which holds entries in the order of their positions.
    fn next_shuffled(&mut self) -> Option<Entry> {
        let size = self.order.shuffle_window.max(1);
        while self.window.len() < size {
            match self.next_selected() {
                Some(next) => self.window.push_back(next),
                None => break,
            }
        }
        let width = u64::try_from(size).unwrap_or(u64::MAX);
        // Without this the oldest entry could stay behind for as long as luck has it.
        let is_due =
            |(position, _): &(u64, Entry)| position.saturating_add(width - 1) <= self.emitted;
        let index = match self.window.front() {
            Some(oldest) if is_due(oldest) => 0,
            _ => self.rng.index(self.window.len()),
        };
        let (_, entry) = self.window.remove(index)?;
        self.emitted += 1;
        Some(entry)
    }

    fn schedule_repeat(&mut self, entry: &Entry) {
        if self.order.duplicate_percent == 0 || !self.rng.percent(self.order.duplicate_percent) {
            return;
        }
        let window = self.order.shuffle_window.max(MIN_REPEAT_WINDOW);
        let later = self
            .rng
            .between(1, u64::try_from(window).unwrap_or(u64::MAX));
        let due = self.sent.saturating_add(later);
        let at = self.repeats.partition_point(|(other, _)| *other <= due);
        self.repeats.insert(at, (due, entry.clone()));
    }
}

impl<S> Iterator for Ordered<S>
where
    S: Iterator<Item = Result<Entry, RecordingError>>,
{
    type Item = Result<Delivery, RecordingError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self
            .repeats
            .front()
            .is_some_and(|(due, _)| *due <= self.sent)
            && let Some((_, entry)) = self.repeats.pop_front()
        {
            self.sent += 1;
            return Some(Ok(Delivery {
                entry,
                is_repeat: true,
            }));
        }
        if let Some(entry) = self.next_shuffled() {
            self.sent += 1;
            self.schedule_repeat(&entry);
            return Some(Ok(Delivery {
                entry,
                is_repeat: false,
            }));
        }
        if let Some((_, entry)) = self.repeats.pop_front() {
            self.sent += 1;
            return Some(Ok(Delivery {
                entry,
                is_repeat: true,
            }));
        }
        self.failure.take().map(Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(count: usize) -> impl Iterator<Item = Result<Entry, RecordingError>> {
        (0..count).map(|number| {
            let path = if number % 3 == 0 {
                "/new_burn_block"
            } else {
                "/new_block"
            };
            Ok(Entry::new(path, number.to_string()))
        })
    }

    fn number(delivery: &Delivery) -> usize {
        std::str::from_utf8(&delivery.entry.body)
            .unwrap()
            .parse()
            .unwrap()
    }

    fn ordered(count: usize, order: Order) -> Vec<Delivery> {
        Ordered::new(source(count), order)
            .map(Result::unwrap)
            .collect()
    }

    fn numbers(count: usize, order: Order) -> Vec<usize> {
        ordered(count, order).iter().map(number).collect()
    }

    #[test]
    fn the_default_is_file_order() {
        assert_eq!(numbers(50, Order::default()), (0..50).collect::<Vec<_>>());
    }

    #[test]
    fn shuffling_permutes_within_the_window_and_by_seed() {
        for window in [2, 3, 8, 100] {
            let order = Order {
                shuffle_window: window,
                seed: 5,
                ..Order::default()
            };
            let shuffled = numbers(60, order.clone());
            assert_ne!(shuffled, (0..60).collect::<Vec<_>>());
            assert!(
                shuffled
                    .iter()
                    .enumerate()
                    .all(|(at, number)| at.abs_diff(*number) < window),
                "{window}"
            );
            let mut sorted = shuffled.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..60).collect::<Vec<_>>());
            assert_eq!(numbers(60, order.clone()), shuffled);
            assert_ne!(numbers(60, Order { seed: 6, ..order }), shuffled);
        }
    }

    #[test]
    fn repeats_come_later_within_the_window_and_only_once() {
        let order = Order {
            duplicate_percent: 30,
            seed: 3,
            ..Order::default()
        };
        let sent = ordered(500, order.clone());
        assert_eq!(sent, ordered(500, order));
        let repeats: Vec<_> = sent
            .iter()
            .enumerate()
            .filter(|(_, delivery)| delivery.is_repeat)
            .collect();
        assert!((100..200).contains(&repeats.len()), "{}", repeats.len());
        for (at, repeat) in repeats {
            let twins: Vec<_> = (0..sent.len())
                .filter(|i| sent[*i].entry == repeat.entry)
                .collect();
            assert_eq!(twins.len(), 2);
            assert!(twins[0] < at && twins[1] == at && !sent[twins[0]].is_repeat);
            // Repeats that are due at the same place wait for each other.
            assert!(at - twins[0] <= 2 * MIN_REPEAT_WINDOW);
        }
        let all = ordered(
            20,
            Order {
                duplicate_percent: 100,
                ..Order::default()
            },
        );
        assert_eq!(all.len(), 40);
    }

    #[test]
    fn selection_counts_only_what_is_selected() {
        let order = Order {
            paths: vec!["/new_burn_block".into()],
            skip: 1,
            limit: Some(2),
            ..Order::default()
        };
        assert_eq!(numbers(50, order), [3, 6]);
        assert_eq!(
            numbers(
                5,
                Order {
                    limit: Some(0),
                    ..Order::default()
                }
            ),
            [0; 0]
        );
        let order = Order {
            limit: Some(3),
            duplicate_percent: 100,
            ..Order::default()
        };
        assert_eq!(ordered(50, order).len(), 6);
    }

    #[test]
    fn an_error_comes_after_everything_before_it() {
        let damaged = || RecordingError::Columns { line: 4, found: 1 };
        let source = source(3).chain(std::iter::once_with(move || Err(damaged())));
        let results: Vec<_> = Ordered::new(
            source,
            Order {
                shuffle_window: 8,
                ..Order::default()
            },
        )
        .collect();
        assert_eq!(results.len(), 4);
        assert!(results[..3].iter().all(Result::is_ok));
        assert!(results[3].is_err());
    }
}
