//! Names of contracts, functions and tuple fields.

use std::fmt;
use std::ops::Deref;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::error::{DecodeError, DecodeReason, NameError, NameReason, cut};
use super::reader::Reader;

/// Longest name of any kind, in bytes (clarity-vm `MAX_STRING_LEN`). Contract names up to this
/// length stand in old blocks, so values keep reading them.
pub const MAX_NAME_LENGTH: usize = 128;
/// Longest contract name in a transaction, in bytes (clarity-vm `CONTRACT_MAX_NAME_LENGTH`).
pub const MAX_CONTRACT_NAME_LENGTH: usize = 40;
/// A name that no source code can write and that the node uses for code that it evaluates itself.
const TRANSIENT: &[u8] = b"__transient";

const LETTER: u8 = 1;
const CONTRACT_TAIL: u8 = 2;
const CLARITY_TAIL: u8 = 4;
const CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [0u8; 256];
    let mut byte = 0u8;
    loop {
        let mut class = 0;
        if byte.is_ascii_alphabetic() {
            class |= LETTER;
        }
        if byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_' {
            class |= CONTRACT_TAIL | CLARITY_TAIL;
        }
        if matches!(byte, b'!' | b'?' | b'+' | b'<' | b'>' | b'=' | b'/' | b'*') {
            class |= CLARITY_TAIL;
        }
        table[byte as usize] = class;
        if byte == u8::MAX {
            return table;
        }
        byte += 1;
    }
}

#[inline]
fn has(byte: u8, class: u8) -> bool {
    CLASSES[usize::from(byte)] & class != 0
}

/// Place of the first byte that breaks "a letter, then `tail`".
#[inline]
fn first_bad(name: &[u8], tail: u8) -> Option<usize> {
    let (first, others) = name.split_first()?;
    if !has(*first, LETTER) {
        return Some(0);
    }
    others
        .iter()
        .position(|byte| !has(*byte, tail))
        .map(|at| at + 1)
}

#[inline]
fn check_length(name: &[u8], limit: usize) -> Result<(), NameReason> {
    match name.len() {
        0 => Err(NameReason::Empty),
        length if length > limit => Err(NameReason::TooLong { length, limit }),
        _ => Ok(()),
    }
}

fn byte_at(name: &[u8], position: usize) -> u8 {
    name.get(position).copied().unwrap_or_default()
}

pub(crate) fn check_contract_name(name: &[u8], limit: usize) -> Result<(), NameReason> {
    check_length(name, limit)?;
    match first_bad(name, CONTRACT_TAIL) {
        Some(position) if name != TRANSIENT => Err(NameReason::ContractCharacter {
            found: byte_at(name, position),
            position,
        }),
        _ => Ok(()),
    }
}

#[inline]
pub(crate) fn check_clarity_name(name: &[u8]) -> Result<(), NameReason> {
    check_length(name, MAX_NAME_LENGTH)?;
    match first_bad(name, CLARITY_TAIL) {
        None => Ok(()),
        Some(_)
            if matches!(
                name,
                b"-" | b"+" | b"=" | b"/" | b"*" | b"<" | b">" | b"<=" | b">="
            ) =>
        {
            Ok(())
        }
        Some(position) => Err(NameReason::ClarityCharacter {
            found: byte_at(name, position),
            position,
        }),
    }
}

/// Reads a length byte and that many bytes, which `check` must accept; names are ASCII then.
#[inline]
fn read_with<'a>(
    reader: &mut Reader<'a>,
    what: &'static str,
    check: impl FnOnce(&[u8]) -> Result<(), NameReason>,
) -> Result<&'a str, DecodeError> {
    let start = reader.clone();
    let length = usize::from(reader.u8(what)?);
    let name = reader.take(what, length)?;
    check(name).map_err(|reason| start.error(what, DecodeReason::Name(reason)))?;
    std::str::from_utf8(name).map_err(|error| {
        start.error(
            what,
            DecodeReason::NotUtf8 {
                valid_up_to: error.valid_up_to(),
            },
        )
    })
}

#[inline]
pub(crate) fn read_clarity_name<'a>(
    reader: &mut Reader<'a>,
    what: &'static str,
) -> Result<&'a str, DecodeError> {
    read_with(reader, what, check_clarity_name)
}

pub(crate) fn read_contract_name<'a>(
    reader: &mut Reader<'a>,
    what: &'static str,
    limit: usize,
) -> Result<&'a str, DecodeError> {
    read_with(reader, what, |name| check_contract_name(name, limit))
}

/// Writes a length byte and the name. Names are at most 128 bytes by construction.
pub(crate) fn put_name(out: &mut Vec<u8>, name: &str) {
    out.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
    out.extend_from_slice(name.as_bytes());
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Box<str>);

        impl $name {
            /// Checks a name.
            ///
            /// # Errors
            /// The name is empty, too long, or has a character that is not allowed.
            pub fn new(name: &str) -> Result<Self, NameError> {
                let check: fn(&[u8]) -> Result<(), NameReason> = $check;
                match check(name.as_bytes()) {
                    Ok(()) => Ok(Self(name.into())),
                    Err(reason) => Err(NameError { text: cut(name, 140), reason }),
                }
            }

            /// A name that the reader has checked.
            pub(crate) fn checked(name: &str) -> Self {
                Self(name.into())
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl Deref for $name {
            type Target = str;
            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, out)
            }
        }

        impl FromStr for $name {
            type Err = NameError;
            fn from_str(name: &str) -> Result<Self, NameError> {
                Self::new(name)
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(name: String) -> Result<Self, NameError> {
                Self::new(&name)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0.into()
            }
        }
    };
}

name_type!(
    /// Name of a function, an asset or a tuple field: a letter, then letters, digits and
    /// `-_!?+<>=/*`, or an operator alone; 1 to 128 bytes (clarity-vm `ClarityName`).
    ClarityName,
    check_clarity_name
);

name_type!(
    /// Name of a contract: a letter, then letters, digits, `-` and `_`; 1 to 128 bytes, of which
    /// a transaction may use 40 (clarity-vm `ContractName`).
    ContractName,
    |name| check_contract_name(name, MAX_NAME_LENGTH)
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contract_names() {
        for good in ["a", "A-1_b", "__transient", &"x".repeat(128)] {
            assert!(ContractName::new(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "1a",
            "-a",
            "a.b",
            "a!",
            "é",
            "__transient$",
            &"x".repeat(129),
        ] {
            assert!(ContractName::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn clarity_names() {
        for good in ["a", "is-ok?", "a<=b", "+", "<", ">=", &"x".repeat(128)] {
            assert!(ClarityName::new(good).is_ok(), "{good}");
        }
        for bad in ["", "1", "--", "!", "=>", "a b", "é", &"x".repeat(129)] {
            assert!(ClarityName::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_error_says_which_character() {
        let error = ContractName::new("my.token").expect_err("a dot");
        assert_eq!(
            error.reason,
            NameReason::ContractCharacter {
                found: b'.',
                position: 2
            }
        );
    }
}
