//! Places of those who are told of mints as well: one among the blocks, and one among the messages about mints.

use std::fmt;
use std::str::FromStr;

use super::position::{NoPosition, Position};

/// Stands between the two places.
const BETWEEN: char = '~';

/// A place behind a message about a mint. The tag is the message's own: another database's number is not taken for one
/// of this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MintPlace {
    /// The message's number; 0 before the first.
    pub seq: u64,
    /// Its tag.
    pub tag: [u8; 4],
}

impl MintPlace {
    /// Before the first message.
    pub const START: Self = Self {
        seq: 0,
        tag: [0; 4],
    };
}

impl fmt::Display for MintPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.seq {
            0 => f.write_str("m0"),
            seq => write!(f, "m{seq}-{}", hex::encode(self.tag)),
        }
    }
}

impl FromStr for MintPlace {
    type Err = NoPosition;

    fn from_str(text: &str) -> Result<Self, NoPosition> {
        if text == "m0" {
            return Ok(Self::START);
        }
        let (seq, tag) = text
            .strip_prefix('m')
            .and_then(|rest| rest.split_once('-'))
            .ok_or(NoPosition)?;
        let place = Self {
            seq: seq.parse().map_err(|_| NoPosition)?,
            tag: hex::decode(tag)
                .ok()
                .and_then(|bytes| bytes.try_into().ok())
                .ok_or(NoPosition)?,
        };
        // One text for one place.
        if place.to_string() == text && i64::try_from(place.seq).is_ok() {
            Ok(place)
        } else {
            Err(NoPosition)
        }
    }
}

/// Where a follower is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Bookmark {
    /// Among the blocks.
    pub chain: Position,
    /// Among the messages about mints; none for who is told of none.
    pub mints: Option<MintPlace>,
}

impl fmt::Display for Bookmark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.mints {
            None => self.chain.fmt(f),
            Some(mints) => write!(f, "{}{BETWEEN}{mints}", self.chain),
        }
    }
}

impl FromStr for Bookmark {
    type Err = NoPosition;

    fn from_str(text: &str) -> Result<Self, NoPosition> {
        let (chain, mints) = match text.split_once(BETWEEN) {
            None => (text, None),
            Some((chain, mints)) => (chain, Some(mints.parse()?)),
        };
        Ok(Self {
            chain: chain.parse()?,
            mints,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_bookmark_round_trips(
            line in 1u64..=u64::MAX >> 1, part in 0u32..9, digest in any::<[u8; 8]>(),
            mints in proptest::option::of((1u64..=u64::MAX >> 1, any::<[u8; 4]>()))
        ) {
            let chain = Position { line, part, applied: true, digest };
            let mints = mints.map(|(seq, tag)| MintPlace { seq, tag });
            for chain in [chain, Position::START] {
                let bookmark = Bookmark { chain, mints };
                prop_assert_eq!(bookmark.to_string().parse(), Ok(bookmark));
            }
        }

        #[test]
        fn junk_is_refused(text in "[0-9am~.-]{0,30}") {
            if let Ok(bookmark) = text.parse::<Bookmark>() {
                prop_assert_eq!(bookmark.to_string(), text);
            }
        }
    }

    #[test]
    fn the_beginning_has_one_name() {
        let start = Bookmark {
            chain: Position::START,
            mints: Some(MintPlace::START),
        };
        assert_eq!("0~m0".parse(), Ok(start));
        for text in [
            "0~",
            "0~m",
            "0~m0-00000000",
            "0~m01-00000000",
            "0~m1",
            "~m0",
            "0~m1-0000000G",
            "0~m0~m0",
        ] {
            assert_eq!(text.parse::<Bookmark>(), Err(NoPosition), "{text}");
        }
    }
}
