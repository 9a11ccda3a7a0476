//! What can go wrong between bytes, text and types.
//!
//! [`DecodeError`] is small and `Copy`: refusing hostile input must cost no allocation.

use thiserror::Error;

/// Reading bytes failed: what was being read, where, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("cannot read {what} at byte {offset}: {reason}")]
pub struct DecodeError {
    /// The thing that was being read, in words ("list length", "fee").
    pub what: &'static str,
    /// Where it starts, counted from the first byte given to the decoder.
    pub offset: usize,
    /// Why it could not be read.
    pub reason: DecodeReason,
}

/// The reason inside a [`DecodeError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DecodeReason {
    /// The input stops early.
    #[error("it needs {needed} bytes and {remaining} are left")]
    UnexpectedEnd {
        /// Bytes that the thing needs at least.
        needed: usize,
        /// Bytes that are left.
        remaining: usize,
    },
    /// An exact decode left something over.
    #[error("{count} bytes follow the end, expected none")]
    TrailingBytes {
        /// Number of bytes left over.
        count: usize,
    },
    /// The byte is no Clarity type prefix.
    #[error("0x{found:02x} is no type prefix, expected 0x00 to 0x0e")]
    UnknownPrefix {
        /// The byte found.
        found: u8,
    },
    /// The byte is not one of the values that the format defines here.
    #[error("found 0x{found:02x}, expected {expected}")]
    UnknownTag {
        /// The byte found.
        found: u8,
        /// The values that the format defines.
        expected: &'static str,
    },
    /// Values are nested deeper than any legal value.
    #[error("it is nested deeper than {limit} levels")]
    TooDeep {
        /// The deepest nesting that is read.
        limit: usize,
    },
    /// A length or count is over the limit of the format.
    #[error("its length is {length}, expected at most {limit}")]
    TooLong {
        /// The length found.
        length: usize,
        /// The largest length that is legal.
        limit: usize,
    },
    /// A name is not a legal name.
    #[error("{0}")]
    Name(NameReason),
    /// A tuple without fields, which the chain does not allow.
    #[error("the tuple has no fields, expected at least one")]
    EmptyTuple,
    /// Two fields of a tuple have the same name.
    #[error("two fields of the tuple have the same name")]
    DuplicateKey,
    /// A byte that a string-ascii must not hold.
    #[error("byte 0x{found:02x} is not allowed, expected printable ASCII or white space")]
    NotAscii {
        /// The byte found.
        found: u8,
    },
    /// Text that is not UTF-8.
    #[error("the text is not UTF-8 after {valid_up_to} bytes")]
    NotUtf8 {
        /// How many bytes from the start of the text are fine.
        valid_up_to: usize,
    },
    /// An address version that c32 cannot write.
    #[error("the address version is {found}, expected 0 to 31")]
    AddressVersion {
        /// The version found.
        found: u8,
    },
}

/// Why a name is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NameReason {
    /// The name has no characters.
    #[error("the name is empty, expected at least one character")]
    Empty,
    /// The name is longer than its place allows.
    #[error("the name has {length} bytes, expected at most {limit}")]
    TooLong {
        /// Length found, in bytes.
        length: usize,
        /// Longest length that is legal here.
        limit: usize,
    },
    /// A character that is not legal in a contract name.
    #[error(
        "byte 0x{found:02x} at {position} is not allowed, expected a letter and then letters, digits, '-' or '_'"
    )]
    ContractCharacter {
        /// The byte found.
        found: u8,
        /// Its place in the name.
        position: usize,
    },
    /// A character that is not legal in a Clarity name.
    #[error(
        "byte 0x{found:02x} at {position} is not allowed, expected a letter and then letters, digits or -_!?+<>=/*, or an operator alone"
    )]
    ClarityCharacter {
        /// The byte found.
        found: u8,
        /// Its place in the name.
        position: usize,
    },
}

/// A name was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("cannot use {text:?} as a name: {reason}")]
pub struct NameError {
    /// The text given, cut after 140 characters.
    pub text: String,
    /// Why it is refused.
    pub reason: NameReason,
}

/// Text that is no principal.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("cannot read {text:?} as a principal: {reason}")]
pub struct PrincipalError {
    /// The text given, cut after 200 characters.
    pub text: String,
    /// Why it is refused.
    pub reason: PrincipalReason,
}

/// The reason inside a [`PrincipalError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PrincipalReason {
    /// The address does not start with `S`.
    #[error("expected the address to start with 'S'")]
    Prefix,
    /// A character outside the c32 alphabet, or an address far too short.
    #[error("expected 'S' and then c32 characters (0-9 A-Z without I, L, O, U)")]
    Alphabet,
    /// The checksum is wrong, most often a mistyped character.
    #[error("the checksum is {found:08x}, expected {expected:08x}")]
    Checksum {
        /// The checksum written in the text.
        found: u32,
        /// The checksum computed from the rest of the text.
        expected: u32,
    },
    /// The version is out of range.
    #[error("the address version is {found}, expected 0 to 31")]
    Version {
        /// The version found.
        found: u8,
    },
    /// The address holds something else than a hash160.
    #[error("the address holds {found} bytes, expected 20")]
    Length {
        /// The number of bytes found.
        found: usize,
    },
    /// The contract's name is not legal.
    #[error("{0}")]
    Name(NameReason),
    /// A contract was expected and the text has no `.name`.
    #[error("expected a contract (ADDRESS.name), found an address alone")]
    NotContract,
}

/// A value could not be built from its parts.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BuildError {
    /// A name in it is not legal.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A character that a string-ascii must not hold.
    #[error(
        "cannot build a string-ascii: byte 0x{found:02x} at {position} is not allowed, expected printable ASCII or white space"
    )]
    NotAscii {
        /// The byte found.
        found: u8,
        /// Its place in the text.
        position: usize,
    },
    /// Two fields of a tuple have the same name.
    #[error("cannot build a tuple: the field {name:?} is given twice")]
    DuplicateKey {
        /// The name given twice.
        name: String,
    },
    /// A tuple without fields.
    #[error("cannot build a tuple: it has no fields, expected at least one")]
    EmptyTuple,
}

/// Cuts hostile text before it goes into an error.
pub(crate) fn cut(text: &str, characters: usize) -> String {
    text.chars().take(characters).collect()
}
