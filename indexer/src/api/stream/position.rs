//! Places in the stream, as clients keep them.

use std::fmt;
use std::str::FromStr;

/// A place behind a line of the outbox, or behind a part of one.
///
/// The digest is that of the line's block: it covers every row of the chain up to there. A mirror that was made anew,
/// lost its newest commits, or had rows repaired has another digest or no such line, so that nobody goes on from
/// what is not true any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Position {
    /// The line's number; 0 for the beginning.
    pub line: u64,
    /// So many parts of the line were told; 0 for all of it.
    pub part: u32,
    /// Whether the line applies its block, or retracts it.
    pub applied: bool,
    /// The first bytes of the digest chain at the block.
    pub digest: [u8; 8],
}

impl Position {
    /// Before the first line.
    pub const START: Self = Self {
        line: 0,
        part: 0,
        applied: true,
        digest: [0; 8],
    };

    /// Order of telling.
    pub fn rank(&self) -> (u64, u32) {
        (self.line, self.part.wrapping_sub(1))
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line == 0 {
            return f.write_str("0");
        }
        write!(f, "{}", self.line)?;
        if self.part > 0 {
            write!(f, ".{}", self.part)?;
        }
        let kind = if self.applied { 'a' } else { 'r' };
        write!(f, "-{kind}{}", hex::encode(self.digest))
    }
}

/// A text that is no position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no position of a stream")]
pub struct NoPosition;

impl FromStr for Position {
    type Err = NoPosition;

    fn from_str(text: &str) -> Result<Self, NoPosition> {
        if text == "0" {
            return Ok(Self::START);
        }
        let (place, tag) = text.split_once('-').ok_or(NoPosition)?;
        let (line, part) = match place.split_once('.') {
            Some((line, part)) => (line, number(part)?.try_into().map_err(|_| NoPosition)?),
            None => (place, 0),
        };
        let (kind, digest) = tag.split_at_checked(1).ok_or(NoPosition)?;
        let position = Self {
            line: number(line)?,
            part,
            applied: match kind {
                "a" => true,
                "r" => false,
                _ => return Err(NoPosition),
            },
            digest: hex::decode(digest)
                .ok()
                .and_then(|bytes| bytes.try_into().ok())
                .ok_or(NoPosition)?,
        };
        // One text for one place.
        if position.to_string() == text && i64::try_from(position.line).is_ok() {
            Ok(position)
        } else {
            Err(NoPosition)
        }
    }
}

fn number(text: &str) -> Result<u64, NoPosition> {
    text.parse().map_err(|_| NoPosition)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_position_round_trips(
            line in 1u64..=u64::MAX >> 1, part in 0u32..9, applied in any::<bool>(), digest in any::<[u8; 8]>()
        ) {
            let position = Position { line, part, applied, digest };
            prop_assert_eq!(position.to_string().parse(), Ok(position));
        }

        #[test]
        fn junk_is_refused(text in "[0-9ar.x-]{0,30}") {
            if let Ok(position) = text.parse::<Position>() {
                prop_assert_eq!(position.to_string(), text);
            }
        }
    }

    #[test]
    fn a_whole_line_comes_behind_its_parts() {
        let at = |line, part| {
            Position {
                line,
                part,
                ..Position::START
            }
            .rank()
        };
        assert!(at(3, 1) < at(3, 2) && at(3, 2) < at(3, 0) && at(3, 0) < at(4, 1));
        assert!(Position::START.rank() < at(1, 1));
        assert_eq!("0".parse(), Ok(Position::START));
        for text in [
            "",
            "1",
            "1-a",
            "01-a0000000000000000",
            "1.0-a0000000000000000",
            "1-A0000000000000000",
        ] {
            assert_eq!(text.parse::<Position>(), Err(NoPosition), "{text}");
        }
    }
}
