//! What to ask for next. No I/O.

use std::time::Duration;

use crate::model::IndexBlockHash;
use crate::source::pull::{Fetched, RANGE, Tip};
use crate::store::sync::gaps::Gap;
use crate::store::sync::jobs::Job;
use crate::store::sync::{Span, Standing};

/// A question to a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// One block by its identity.
    Block(IndexBlockHash),
    /// Canonical blocks, both ends included.
    Range {
        /// Lowest height.
        from: u32,
        /// Highest height.
        to: u32,
    },
}

/// The way down from a block whose parent is not known, in pieces that grow while they fit.
#[derive(Debug, Clone)]
pub struct Descent {
    expected: IndexBlockHash,
    height: Option<u32>,
    size: u32,
    /// The source is on another branch: its heights mean other blocks, only identities serve.
    alone: bool,
}

/// What an answer on the way down is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Took {
    /// It is the next piece.
    Piece,
    /// It is of another branch: ask again, differently.
    Elsewhere,
    /// It is not what was asked for, nor any chain.
    Nonsense,
}

impl Descent {
    /// From this block down, itself included; its height where it is known.
    pub fn new(top: IndexBlockHash, height: Option<u32>) -> Self {
        Self {
            expected: top,
            height,
            size: 1,
            alone: false,
        }
    }

    /// The block that comes next.
    pub fn expected(&self) -> IndexBlockHash {
        self.expected
    }

    /// The next question.
    pub fn ask(&self) -> Ask {
        match self.height {
            Some(height) if !self.alone && self.size > 1 && height > 0 => Ask::Range {
                from: height.saturating_sub(self.size - 1),
                to: height,
            },
            _ => Ask::Block(self.expected),
        }
    }

    /// Judges an answer; a piece that fits moves on below it.
    pub fn take(&mut self, piece: &[Fetched]) -> Took {
        let (Some(lowest), Some(highest)) = (piece.first(), piece.last()) else {
            return self.elsewhere();
        };
        if !is_chain(piece) {
            return Took::Nonsense;
        }
        if highest.block.id != self.expected {
            return self.elsewhere();
        }
        if self.height.is_some_and(|h| h != highest.block.height) {
            return Took::Nonsense;
        }
        self.expected = lowest.parent;
        self.height = lowest.block.height.checked_sub(1);
        self.size = (self.size * 2).min(RANGE);
        Took::Piece
    }

    fn elsewhere(&mut self) -> Took {
        if self.alone || matches!(self.ask(), Ask::Block(_)) {
            return Took::Nonsense;
        }
        self.alone = true;
        Took::Elsewhere
    }
}

/// Is each block the child of the one before?
pub fn is_chain(blocks: &[Fetched]) -> bool {
    blocks.windows(2).all(|pair| {
        pair[1].parent == pair[0].block.id
            && pair[0].block.height.checked_add(1) == Some(pair[1].block.height)
    })
}

/// Of a piece, from the top down, the blocks above the first one that connects; and whether one does. `standing` has
/// the blocks' own, and then the lowest one's parent's.
pub fn above_known<'a>(piece: &'a [Fetched], standing: &[Standing]) -> (&'a [Fetched], bool) {
    for place in (0..piece.len()).rev() {
        if standing.get(place).is_some_and(|s| s.connects()) {
            return (&piece[place + 1..], true);
        }
    }
    (piece, standing.last().is_some_and(|s| s.connects()))
}

/// Heights in pieces that one question holds, upwards.
pub fn pieces(from_inclusive: u32, to_inclusive: u32) -> impl Iterator<Item = (u32, u32)> {
    (from_inclusive..=to_inclusive)
        .step_by(usize::try_from(RANGE).unwrap_or(1))
        .map(move |first| (first, first.saturating_add(RANGE - 1).min(to_inclusive)))
}

/// Did a source's tip go back, as far as its heights tell?
pub fn went_back(before: &Tip, now: &Tip) -> bool {
    before.block.id != now.block.id && now.block.height <= before.block.height
}

/// Is this gap one to fill? Below the mirror's origin blocks wait for a backfill, not for repair.
pub fn is_wanted(gap: &Gap, span: &Span) -> bool {
    gap.is_ripe && gap.is_due && is_above_origin(gap, span)
}

/// Does a gap lie within the mirror?
pub fn is_above_origin(gap: &Gap, span: &Span) -> bool {
    gap.waiting_height.is_none_or(|h| h > span.origin.height)
}

/// What to do after every source failed for a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AfterFailure {
    /// Is the gap given up for now?
    pub give_up: bool,
    /// How long to leave it alone.
    pub pause: Duration,
}

/// After attempt number `attempts` of `most`; `backoff` is the usual pause, `asked` what a source asked for, `rest` how
/// long a gap that was given up rests.
pub fn after_failure(
    attempts: u32,
    most: u32,
    backoff: Duration,
    asked: Option<Duration>,
    rest: Duration,
) -> AfterFailure {
    let give_up = attempts >= most;
    let usual = if give_up { rest } else { backoff };
    AfterFailure {
        give_up,
        pause: usual.max(asked.unwrap_or_default()),
    }
}

/// Where a backfill goes on whose last piece does not stand on what it stored: the source has reorganised. Each
/// mismatch in a row doubles the way back, at most to the beginning.
pub fn step_back(job: &Job, mismatches_in_a_row: u32) -> u32 {
    let back = RANGE.saturating_mul(1u32.checked_shl(mismatches_in_a_row).unwrap_or(u32::MAX));
    job.next.saturating_sub(back).max(job.order.from_inclusive)
}

/// Has a backfill that is stored whole come to lie within the mirror?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overlap {
    /// Its last block is canonical: what came after it stands on it.
    Connected,
    /// The mirror is whole there, along another branch than the one that was stored.
    OtherBranch,
    /// Not yet.
    Waiting,
}

/// Looks at a backfill that is stored whole: `last` is how its last block stands, `canonical` the mirror's block of
/// that height.
pub fn overlap(
    job: &Job,
    last: Standing,
    canonical: Option<IndexBlockHash>,
    span: Option<&Span>,
) -> Overlap {
    let begins_below = span.is_some_and(|s| s.origin.height <= job.order.from_inclusive);
    match last {
        _ if !begins_below => Overlap::Waiting,
        Standing::Applied if canonical == job.last_block => Overlap::Connected,
        // It is mirrored, with all that it stands on; what is canonical now branches off below or ends there.
        Standing::Applied => Overlap::OtherBranch,
        // Its payload cannot be read, and another source told of that height.
        Standing::Unknown if canonical.is_some() => Overlap::OtherBranch,
        Standing::Received | Standing::Detached | Standing::Unknown => Overlap::Waiting,
    }
}

/// The block from which a source is read upwards, searched downwards: heights to compare, ever further apart.
#[derive(Debug, Clone, Copy)]
pub struct Search {
    height: u32,
    stride: u32,
    lowest: u32,
}

impl Search {
    /// From this height down to where the mirror begins.
    pub fn new(highest: u32, lowest: u32) -> Self {
        Self {
            height: highest.max(lowest),
            stride: 1,
            lowest,
        }
    }

    /// The height to compare.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// The next one, when that one differed; none below the lowest.
    pub fn lower(self) -> Option<Self> {
        if self.height == self.lowest {
            return None;
        }
        Some(Self {
            height: self.height.saturating_sub(self.stride).max(self.lowest),
            stride: self.stride.saturating_mul(2),
            lowest: self.lowest,
        })
    }
}
