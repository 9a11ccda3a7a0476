//! The streaming merge.

use std::cmp::Ordering;
use std::error::Error;
use std::fmt;

use stxworx_indexer::model::Digest;

/// One key of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry<K> {
    /// What the state belongs to.
    pub key: K,
    /// Digest of the state. Both sides must hash the same encoding of the same thing: two encodings of
    /// one state are reported as a difference.
    pub state: Digest,
}

/// Which snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The first argument of [`compare`].
    Left,
    /// The second argument of [`compare`].
    Right,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Left => "left",
            Self::Right => "right",
        })
    }
}

/// A key on which the snapshots do not agree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference<K> {
    /// Only the right snapshot has the key.
    MissingLeft {
        /// The key.
        key: K,
        /// Its state on the right.
        right: Digest,
    },
    /// Only the left snapshot has the key.
    MissingRight {
        /// The key.
        key: K,
        /// Its state on the left.
        left: Digest,
    },
    /// Both have the key, with different states.
    Differing {
        /// The key.
        key: K,
        /// Its state on the left.
        left: Digest,
        /// Its state on the right.
        right: Digest,
    },
}

impl<K> Difference<K> {
    /// The key.
    pub fn key(&self) -> &K {
        match self {
            Self::MissingLeft { key, .. }
            | Self::MissingRight { key, .. }
            | Self::Differing { key, .. } => key,
        }
    }

    /// The same difference with the sides exchanged.
    #[must_use]
    pub fn mirrored(self) -> Self {
        match self {
            Self::MissingLeft { key, right } => Self::MissingRight { key, left: right },
            Self::MissingRight { key, left } => Self::MissingLeft { key, right: left },
            Self::Differing { key, left, right } => Self::Differing {
                key,
                left: right,
                right: left,
            },
        }
    }
}

/// Why a comparison ended early. What was yielded before is true; of what follows nothing is known.
#[derive(Debug, thiserror::Error)]
pub enum CompareError<K, E>
where
    K: fmt::Debug,
    E: Error + 'static,
{
    /// A snapshot could not be read on.
    #[error("the {side} snapshot cannot be read")]
    Read {
        /// Which.
        side: Side,
        /// Why.
        source: E,
    },
    /// A key that is not greater than the one before it: the stream is unsorted, or has a key twice.
    /// Going on would report differences that do not exist.
    #[error("the {side} snapshot is not sorted: {key:?} follows {previous:?}")]
    Order {
        /// Which.
        side: Side,
        /// The key before.
        previous: K,
        /// The key that must not follow it.
        key: K,
    },
}

/// Compares two snapshots; yields their differences in order of the key.
///
/// Keys must rise strictly on each side, in the order of `K`. For text that is the order of bytes: a
/// database must sort with `collate "C"`. A broken order or a failed read is yielded as the last item.
pub fn compare<K, E, L, R>(left: L, right: R) -> Compare<K, L::IntoIter, R::IntoIter>
where
    K: Ord + Clone + fmt::Debug,
    E: Error + 'static,
    L: IntoIterator<Item = Result<Entry<K>, E>>,
    R: IntoIterator<Item = Result<Entry<K>, E>>,
{
    Compare {
        left: Stream::new(Side::Left, left.into_iter()),
        right: Stream::new(Side::Right, right.into_iter()),
        equal: 0,
        ended: false,
    }
}

/// A comparison under way; see [`compare`].
#[derive(Debug)]
#[must_use = "nothing is compared until it is iterated"]
pub struct Compare<K, L, R> {
    left: Stream<K, L>,
    right: Stream<K, R>,
    equal: u64,
    ended: bool,
}

impl<K, L, R> Compare<K, L, R> {
    /// Keys found so far that have the same state on both sides.
    pub fn equal(&self) -> u64 {
        self.equal
    }
}

impl<K, E, L, R> Compare<K, L, R>
where
    K: Ord + Clone + fmt::Debug,
    E: Error + 'static,
    L: Iterator<Item = Result<Entry<K>, E>>,
    R: Iterator<Item = Result<Entry<K>, E>>,
{
    /// Looks at the lowest key that is left. None at the end of both sides.
    fn step(&mut self) -> Result<Option<Step<K>>, CompareError<K, E>> {
        self.left.fill()?;
        self.right.fill()?;
        let order = match (&self.left.head, &self.right.head) {
            (None, None) => return Ok(None),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(left), Some(right)) => left.key.cmp(&right.key),
        };
        // The lower key is taken; the higher one stays for the next step.
        let left = if order.is_le() {
            self.left.head.take()
        } else {
            None
        };
        let right = if order.is_ge() {
            self.right.head.take()
        } else {
            None
        };
        Ok(match (left, right) {
            (Some(left), Some(right)) if left.state == right.state => Some(Step::Equal),
            (Some(Entry { key, state: left }), Some(Entry { state: right, .. })) => {
                Some(Step::Different(Difference::Differing { key, left, right }))
            }
            (Some(Entry { key, state: left }), None) => {
                Some(Step::Different(Difference::MissingRight { key, left }))
            }
            (None, Some(Entry { key, state: right })) => {
                Some(Step::Different(Difference::MissingLeft { key, right }))
            }
            (None, None) => None,
        })
    }
}

impl<K, E, L, R> Iterator for Compare<K, L, R>
where
    K: Ord + Clone + fmt::Debug,
    E: Error + 'static,
    L: Iterator<Item = Result<Entry<K>, E>>,
    R: Iterator<Item = Result<Entry<K>, E>>,
{
    type Item = Result<Difference<K>, CompareError<K, E>>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.ended {
            match self.step() {
                Ok(Some(Step::Equal)) => self.equal += 1,
                Ok(Some(Step::Different(difference))) => return Some(Ok(difference)),
                Ok(None) => self.ended = true,
                Err(error) => {
                    self.ended = true;
                    return Some(Err(error));
                }
            }
        }
        None
    }
}

enum Step<K> {
    Equal,
    Different(Difference<K>),
}

/// One side: its next entry, and the key before it to check the order by.
#[derive(Debug)]
struct Stream<K, I> {
    side: Side,
    entries: I,
    head: Option<Entry<K>>,
    previous: Option<K>,
    ended: bool,
}

impl<K, I> Stream<K, I> {
    fn new(side: Side, entries: I) -> Self {
        Self {
            side,
            entries,
            head: None,
            previous: None,
            ended: false,
        }
    }
}

impl<K, E, I> Stream<K, I>
where
    K: Ord + Clone + fmt::Debug,
    E: Error + 'static,
    I: Iterator<Item = Result<Entry<K>, E>>,
{
    /// Reads the next entry unless one is held or there is none.
    fn fill(&mut self) -> Result<(), CompareError<K, E>> {
        if self.head.is_some() || self.ended {
            return Ok(());
        }
        // An iterator may yield again after its end; a snapshot does not.
        let Some(entry) = self.entries.next() else {
            self.ended = true;
            return Ok(());
        };
        let entry = entry.map_err(|source| CompareError::Read {
            side: self.side,
            source,
        })?;
        if let Some(previous) = self.previous.take_if(|previous| *previous >= entry.key) {
            return Err(CompareError::Order {
                side: self.side,
                previous,
                key: entry.key,
            });
        }
        self.previous = Some(entry.key.clone());
        self.head = Some(entry);
        Ok(())
    }
}
