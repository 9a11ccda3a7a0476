//! Hashes as newtypes, so that no bare `[u8; 32]` crosses a module border.

use std::fmt;
use std::str::FromStr;

/// A hash that is not the hexadecimal text it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} must be {expected} hexadecimal digits, with or without 0x; got {got:?}")]
pub struct HexError {
    /// The kind of hash that was expected, for instance "index block hash".
    pub what: &'static str,
    /// How many digits it has.
    pub expected: usize,
    /// The text that was given, cut at 80 characters.
    pub got: String,
}

macro_rules! hash_type {
    ($(#[$doc:meta])* $name:ident, $len:literal, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub [u8; $len]);

        impl $name {
            /// All bits zero: the chain's own "none".
            pub const ZERO: Self = Self([0; $len]);

            /// The bytes in the order in which the chain prints them.
            pub fn as_bytes(&self) -> &[u8] {
                &self.0
            }

            /// From raw bytes, for instance a database column.
            ///
            /// # Errors
            /// When the length is not the length of this hash.
            pub fn from_slice(bytes: &[u8]) -> Result<Self, HexError> {
                bytes.try_into().map(Self).map_err(|_| HexError {
                    what: $what,
                    expected: $len * 2,
                    got: format!("{} bytes", bytes.len()),
                })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "0x{}", hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = HexError;

            fn from_str(text: &str) -> Result<Self, HexError> {
                let digits = text.strip_prefix("0x").unwrap_or(text);
                let mut bytes = [0u8; $len];
                // The decoder would take a second prefix for granted.
                let decoded = digits.len() == $len * 2 && hex::decode_to_slice(digits, &mut bytes).is_ok();
                if !decoded {
                    let got = text.chars().take(80).collect();
                    return Err(HexError { what: $what, expected: $len * 2, got });
                }
                Ok(Self(bytes))
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

hash_type!(
    /// The identity of a Stacks block: SHA-512/256(block hash ‖ consensus hash), `StacksBlockId` in stacks-core.
    IndexBlockHash, 32, "index block hash"
);
hash_type!(
    /// Hash of a Stacks block header. Not unique over forks of Bitcoin: never a key.
    BlockHash, 32, "block hash"
);
hash_type!(
    /// Hash of a Bitcoin block, in the byte order in which it is printed.
    BurnBlockHash, 32, "burn block hash"
);
hash_type!(
    /// Identity of a sortition, and so of a tenure.
    ConsensusHash, 20, "consensus hash"
);
hash_type!(
    /// SHA-512/256 of a serialised transaction. May occur in several blocks of different forks.
    TxId, 32, "transaction id"
);
hash_type!(
    /// SHA-256 over canonical encodings of mirrored rows; see [`crate::model::canonical`].
    Digest, 32, "digest"
);

impl IndexBlockHash {
    /// The identity of block 0, the same on every network: SHA-512/256 of 52 zero bytes
    /// (stacks-core, `StacksBlockId::new` over the boot block's zero hashes).
    pub const GENESIS: Self = Self([
        0x55, 0xc9, 0x86, 0x1b, 0xe5, 0xcf, 0xf9, 0x84, 0xa2, 0x0c, 0xe6, 0xd9, 0x9d, 0x4a, 0xa6,
        0x59, 0x41, 0x41, 0x28, 0x89, 0xbd, 0xc6, 0x65, 0x09, 0x41, 0x36, 0x42, 0x9b, 0x84, 0xf8,
        0xc2, 0xee,
    ]);

    /// What block 0 names as its parent.
    pub const BEFORE_GENESIS: Self = Self([0xff; 32]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn genesis_is_the_hash_of_zeros() {
        use sha2::{Digest as _, Sha512_256};
        assert_eq!(
            Sha512_256::digest([0u8; 52]).as_slice(),
            IndexBlockHash::GENESIS.as_bytes()
        );
    }

    #[test]
    fn text_round_trips_with_and_without_prefix() {
        let id = IndexBlockHash([7; 32]);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(hex::encode(id.0).parse(), Ok(id));
    }

    #[test]
    fn bad_text_says_what_was_expected() {
        let error = "0x12".parse::<TxId>().unwrap_err().to_string();
        assert_eq!(
            error,
            "transaction id must be 64 hexadecimal digits, with or without 0x; got \"0x12\""
        );
    }
}
