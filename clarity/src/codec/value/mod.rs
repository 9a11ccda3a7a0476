//! Clarity values: consensus bytes, text and JSON.
//!
//! Two forms of the same thing. [`ValueRef`] is a checked slice of the input: decoding it allocates
//! nothing, and fields are found when asked for. [`Value`] owns its parts, for building and keeping.
//!
//! The decoder takes any bytes: it never panics, reads nesting up to [`MAX_DEPTH`] only, and
//! allocates at most in proportion to its input. What it accepts is what the chain's decoder
//! (clarity-vm 2.1.1, untyped) accepts, except:
//!
//! - Nesting up to 32 levels is read, where the untyped decoder stops after 16: values on the chain
//!   are written with typed decoders, which go to 32.
//! - The elements of a list may be of different types, and a value may account for more than 1 MiB:
//!   telling so needs type inference, and what the chain has accepted once needs no second judge.
//! - An address version of 32 or more is refused, as today's node does; 2.1.1 takes it and then
//!   panics when the address is printed.
//!
//! Trailing bytes are an error in `decode_exact`; the chain's untyped decoder ignores them.

mod build;
mod encoded;
mod json;
pub(crate) mod prefix;
mod text;
pub(crate) mod token;
mod view;

pub use encoded::EncodedValue;
pub use token::{MAX_DEPTH, MAX_LENGTH};
pub use view::{Elements, Fields, ValueRef, View};

use super::error::{BuildError, DecodeError};
use super::name::{self, ClarityName};
use super::principal::Principal;
use super::reader::{Reader, put_length};

/// A Clarity value that owns its parts.
///
/// Text and names are checked when they are built. Lengths and nesting are not: a value built by
/// hand past [`MAX_LENGTH`] or [`MAX_DEPTH`] encodes to bytes that no decoder accepts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Value {
    /// `int`
    Int(i128),
    /// `uint`
    UInt(u128),
    /// `bool`
    Bool(bool),
    /// `(buff n)`
    Buffer(Vec<u8>),
    /// `(string-ascii n)`
    Ascii(AsciiString),
    /// `(string-utf8 n)`
    Utf8(String),
    /// `principal`; callables and trait references are written as contract principals too.
    Principal(Principal),
    /// `(ok v)`
    Ok(Box<Value>),
    /// `(err v)`
    Err(Box<Value>),
    /// `none`
    None,
    /// `(some v)`
    Some(Box<Value>),
    /// `(list v …)`
    List(Vec<Value>),
    /// `(tuple (name v) …)`
    Tuple(Tuple),
}

/// The text of a `string-ascii`: printable ASCII and white space.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AsciiString(String);

impl AsciiString {
    /// Checks a text.
    ///
    /// # Errors
    /// A character is not printable ASCII, space, tab, line feed, form feed or carriage return.
    pub fn new(text: impl Into<String>) -> Result<Self, BuildError> {
        let text = text.into();
        match text
            .bytes()
            .enumerate()
            .find(|(_, byte)| !token::is_string_ascii(*byte))
        {
            Some((position, found)) => Err(BuildError::NotAscii { found, position }),
            None => Ok(Self(text)),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The fields of a tuple: unique names, at least one, in the order in which the chain writes them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Tuple(Vec<(ClarityName, Value)>);

impl Tuple {
    /// A tuple of named values in any order.
    ///
    /// # Errors
    /// There is no field, or a name is given twice.
    pub fn new(mut fields: Vec<(ClarityName, Value)>) -> Result<Self, BuildError> {
        if fields.is_empty() {
            return Err(BuildError::EmptyTuple);
        }
        fields.sort_by(|(one, _), (two, _)| one.cmp(two));
        for pair in fields.windows(2) {
            if let [(one, _), (two, _)] = pair
                && one == two
            {
                return Err(BuildError::DuplicateKey {
                    name: one.to_string(),
                });
            }
        }
        Ok(Self(fields))
    }

    /// The fields, sorted by name.
    pub fn fields(&self) -> &[(ClarityName, Value)] {
        &self.0
    }

    /// The value of a field.
    pub fn get(&self, name: &str) -> Option<&Value> {
        let at = self
            .0
            .binary_search_by(|(field, _)| field.as_str().cmp(name))
            .ok()?;
        self.0.get(at).map(|(_, value)| value)
    }
}

impl Value {
    /// Decodes bytes that hold one value and nothing else.
    ///
    /// # Errors
    /// The bytes are no value, or something follows it.
    pub fn decode_exact(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let value = build::build(&mut reader, 0)?;
        reader.finish("value")?;
        Ok(value)
    }

    /// Decodes the value at the start of the bytes; returns it with its length in bytes.
    ///
    /// # Errors
    /// The bytes do not start with a value.
    pub fn decode_prefix(bytes: &[u8]) -> Result<(Self, usize), DecodeError> {
        let mut reader = Reader::new(bytes);
        let value = build::build(&mut reader, 0)?;
        Ok((value, reader.offset()))
    }

    /// Consensus bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.encode_into(&mut out);
        out
    }

    /// Appends the consensus bytes.
    pub fn encode_into(&self, out: &mut Vec<u8>) {
        match self {
            Self::Int(number) => put_head(out, prefix::INT, &number.to_be_bytes()),
            Self::UInt(number) => put_head(out, prefix::UINT, &number.to_be_bytes()),
            Self::Bool(true) => out.push(prefix::TRUE),
            Self::Bool(false) => out.push(prefix::FALSE),
            Self::Buffer(bytes) => put_bytes(out, prefix::BUFFER, bytes),
            Self::Ascii(text) => put_bytes(out, prefix::ASCII, text.0.as_bytes()),
            Self::Utf8(text) => put_bytes(out, prefix::UTF8, text.as_bytes()),
            Self::Principal(principal) => principal.put(out),
            Self::Ok(value) => put_wrapped(out, prefix::OK, value),
            Self::Err(value) => put_wrapped(out, prefix::ERR, value),
            Self::None => out.push(prefix::NONE),
            Self::Some(value) => put_wrapped(out, prefix::SOME, value),
            Self::List(elements) => {
                out.push(prefix::LIST);
                put_length(out, elements.len());
                for element in elements {
                    element.encode_into(out);
                }
            }
            Self::Tuple(tuple) => {
                out.push(prefix::TUPLE);
                put_length(out, tuple.0.len());
                for (field, value) in &tuple.0 {
                    name::put_name(out, field);
                    value.encode_into(out);
                }
            }
        }
    }
}

fn put_head(out: &mut Vec<u8>, prefix: u8, body: &[u8]) {
    out.push(prefix);
    out.extend_from_slice(body);
}

fn put_bytes(out: &mut Vec<u8>, prefix: u8, bytes: &[u8]) {
    out.push(prefix);
    put_length(out, bytes.len());
    out.extend_from_slice(bytes);
}

fn put_wrapped(out: &mut Vec<u8>, prefix: u8, value: &Value) {
    out.push(prefix);
    value.encode_into(out);
}

/// Building and taking apart.
impl Value {
    /// `(string-ascii n)` of a text.
    ///
    /// # Errors
    /// A character is not allowed, see [`AsciiString::new`].
    pub fn ascii(text: impl Into<String>) -> Result<Self, BuildError> {
        AsciiString::new(text).map(Self::Ascii)
    }

    /// `(some value)`
    pub fn some(value: Value) -> Self {
        Self::Some(Box::new(value))
    }

    /// `(ok value)`
    pub fn ok(value: Value) -> Self {
        Self::Ok(Box::new(value))
    }

    /// `(err value)`
    pub fn err(value: Value) -> Self {
        Self::Err(Box::new(value))
    }

    /// A tuple of named values in any order.
    ///
    /// # Errors
    /// There is no field, a name is not legal or is given twice.
    pub fn tuple<'a>(
        fields: impl IntoIterator<Item = (&'a str, Value)>,
    ) -> Result<Self, BuildError> {
        let named = |(name, value)| Ok((ClarityName::new(name)?, value));
        let fields = fields
            .into_iter()
            .map(named)
            .collect::<Result<Vec<_>, BuildError>>()?;
        Tuple::new(fields).map(Self::Tuple)
    }

    /// The field of a tuple.
    pub fn get(&self, field: &str) -> Option<&Value> {
        match self {
            Self::Tuple(tuple) => tuple.get(field),
            _ => None,
        }
    }

    /// The number, if this is an `int`.
    pub fn as_i128(&self) -> Option<i128> {
        match self {
            Self::Int(number) => Some(*number),
            _ => None,
        }
    }

    /// The number, if this is a `uint`.
    pub fn as_u128(&self) -> Option<u128> {
        match self {
            Self::UInt(number) => Some(*number),
            _ => None,
        }
    }

    /// The truth value, if this is a `bool`.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(truth) => Some(*truth),
            _ => None,
        }
    }

    /// The bytes, if this is a `buff`.
    pub fn as_buffer(&self) -> Option<&[u8]> {
        match self {
            Self::Buffer(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The text, if this is a `string-ascii`.
    pub fn as_ascii(&self) -> Option<&str> {
        match self {
            Self::Ascii(text) => Some(text.as_str()),
            _ => None,
        }
    }

    /// The text, if this is a `string-utf8`.
    pub fn as_utf8(&self) -> Option<&str> {
        match self {
            Self::Utf8(text) => Some(text),
            _ => None,
        }
    }

    /// The text, if this is a string of either kind.
    pub fn as_str(&self) -> Option<&str> {
        self.as_ascii().or_else(|| self.as_utf8())
    }

    /// The principal, if this is one.
    pub fn as_principal(&self) -> Option<&Principal> {
        match self {
            Self::Principal(principal) => Some(principal),
            _ => None,
        }
    }

    /// The elements, if this is a list.
    pub fn as_list(&self) -> Option<&[Value]> {
        match self {
            Self::List(elements) => Some(elements),
            _ => None,
        }
    }

    /// The fields, if this is a tuple.
    pub fn as_tuple(&self) -> Option<&Tuple> {
        match self {
            Self::Tuple(tuple) => Some(tuple),
            _ => None,
        }
    }

    /// The value inside, if this is an `optional`.
    pub fn as_optional(&self) -> Option<Option<&Value>> {
        match self {
            Self::None => Some(None),
            Self::Some(value) => Some(Some(value)),
            _ => None,
        }
    }

    /// The value inside, if this is a `response`.
    pub fn as_response(&self) -> Option<Result<&Value, &Value>> {
        match self {
            Self::Ok(value) => Some(Ok(value)),
            Self::Err(value) => Some(Err(value)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
