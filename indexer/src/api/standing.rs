//! On which block an answer stands: `at_block`, `at_time` and `min_finality`.

use super::clock;
use super::error::ApiError;
use super::params::{BlockId, Params};

/// What a client named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A block.
    At(BlockId),
    /// Unix seconds.
    Time(i64),
}

/// How deep the block is to lie, in Bitcoin blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// So many.
    Burn(u32),
    /// As many as make a block final.
    Final,
}

impl Depth {
    /// Bitcoin blocks.
    pub fn blocks(self, final_at: u32) -> u32 {
        match self {
            Self::Burn(depth) => depth,
            Self::Final => final_at,
        }
    }

    fn parse(text: &str) -> Option<Self> {
        match text {
            "seen" => Some(Self::Burn(0)),
            "final" => Some(Self::Final),
            _ => {
                let digits = text.strip_prefix("burn_")?;
                let plain = digits.bytes().all(|b| b.is_ascii_digit()) && digits.len() <= 6;
                digits.parse().ok().filter(|_| plain).map(Self::Burn)
            }
        }
    }
}

/// Where an answer is to stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The block or time; none for the tip.
    pub place: Option<Place>,
    /// How deep at least.
    pub depth: Option<Depth>,
}

impl Standing {
    /// Reads the three parameters.
    pub fn read(params: &Params) -> Result<Self, ApiError> {
        let block = params.at_block()?.map(Place::At);
        let time = match params.get("at_time") {
            None => None,
            Some(given) => {
                let expected =
                    "a time of RFC 3339, for instance 2026-01-31T12:00:00Z, or unix seconds";
                let refused = |expected| ApiError::parameter("at_time", given, expected);
                if block.is_some() {
                    return Err(refused("left out where `at_block` is given"));
                }
                Some(Place::Time(
                    clock::parse_time(given).ok_or_else(|| refused(expected))?,
                ))
            }
        };
        let depth = params.get("min_finality").map(|given| {
            Depth::parse(given).ok_or_else(|| {
                let expected = "`seen`, `final`, or `burn_N` with N from 0 to 999999";
                ApiError::parameter("min_finality", given, expected)
            })
        });
        Ok(Self {
            place: block.or(time),
            depth: depth.transpose()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depths_are_words() {
        for (text, depth) in [
            ("seen", Some(Depth::Burn(0))),
            ("burn_0", Some(Depth::Burn(0))),
            ("burn_12", Some(Depth::Burn(12))),
            ("final", Some(Depth::Final)),
            ("burn_", None),
            ("burn_+1", None),
            ("burn_1000000", None),
            ("FINAL", None),
            ("", None),
        ] {
            assert_eq!(Depth::parse(text), depth, "{text}");
        }
        assert_eq!(Depth::Final.blocks(6), 6);
    }
}
