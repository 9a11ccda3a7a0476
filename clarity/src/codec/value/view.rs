//! Values that borrow their input.

use crate::codec::error::DecodeError;
use crate::codec::name::{ContractName, read_clarity_name};
use crate::codec::principal::{ContractId, Principal, StandardPrincipal};
use crate::codec::reader::Reader;

use super::token::{Token, check, read_token, skip};
use super::{Value, build, prefix};

/// A value inside bytes that were checked once: copying it is free, reading a part decodes only
/// that part.
#[derive(Clone, Copy)]
pub struct ValueRef<'a> {
    bytes: &'a [u8],
    sorted: bool,
}

/// One level of a [`ValueRef`].
#[derive(Debug, Clone)]
pub enum View<'a> {
    /// `int`
    Int(i128),
    /// `uint`
    UInt(u128),
    /// `bool`
    Bool(bool),
    /// `(buff n)`
    Buffer(&'a [u8]),
    /// `(string-ascii n)`
    Ascii(&'a str),
    /// `(string-utf8 n)`
    Utf8(&'a str),
    /// `principal`, an account
    Standard(StandardPrincipal),
    /// `principal`, a contract: its issuer and its name
    Contract(StandardPrincipal, &'a str),
    /// `(ok v)`
    Ok(ValueRef<'a>),
    /// `(err v)`
    Err(ValueRef<'a>),
    /// `none`
    None,
    /// `(some v)`
    Some(ValueRef<'a>),
    /// `(list v …)`
    List(Elements<'a>),
    /// `(tuple (name v) …)`
    Tuple(Fields<'a>),
}

impl<'a> ValueRef<'a> {
    /// Checks bytes that hold one value and nothing else. Allocates nothing, unless the fields of
    /// a tuple are out of order.
    ///
    /// # Errors
    /// The bytes are no value, or something follows it.
    pub fn decode_exact(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let sorted = check(&mut reader, 0)?;
        reader.finish("value")?;
        Ok(Self { bytes, sorted })
    }

    /// Checks the value at the start of the bytes; returns it with its length in bytes.
    ///
    /// # Errors
    /// The bytes do not start with a value.
    pub fn decode_prefix(bytes: &'a [u8]) -> Result<(Self, usize), DecodeError> {
        let mut reader = Reader::new(bytes);
        let value = Self::read(&mut reader)?;
        Ok((value, reader.offset()))
    }

    pub(crate) fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let bytes = reader.rest();
        let start = reader.offset();
        let sorted = check(reader, 0)?;
        let length = reader.offset() - start;
        Ok(Self {
            bytes: bytes.get(..length).unwrap_or(bytes),
            sorted,
        })
    }

    /// Bytes that were checked before.
    pub(super) fn checked(bytes: &'a [u8], sorted: bool) -> Self {
        Self { bytes, sorted }
    }

    /// The bytes of the value.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Whether the bytes are the ones that the chain writes for the value: every tuple has its
    /// fields in order.
    pub fn is_canonical(&self) -> bool {
        self.sorted
    }

    /// The value with parts of its own.
    pub fn to_value(&self) -> Value {
        let built = build::build(&mut Reader::new(self.bytes), 0);
        debug_assert!(built.is_ok(), "checked bytes decode");
        built.unwrap_or(Value::None)
    }

    /// The head of the value and the way to its parts.
    pub fn view(&self) -> View<'a> {
        let mut reader = Reader::new(self.bytes);
        let token = read_token(&mut reader);
        debug_assert!(token.is_ok(), "checked bytes decode");
        let inner = Self {
            bytes: reader.rest(),
            sorted: self.sorted,
        };
        match token.unwrap_or(Token::None) {
            Token::Int(number) => View::Int(number),
            Token::UInt(number) => View::UInt(number),
            Token::Bool(truth) => View::Bool(truth),
            Token::Buffer(bytes) => View::Buffer(bytes),
            Token::Ascii(text) => View::Ascii(text),
            Token::Utf8(text) => View::Utf8(text),
            Token::Standard(address) => View::Standard(address),
            Token::Contract(issuer, name) => View::Contract(issuer, name),
            Token::Ok => View::Ok(inner),
            Token::Err => View::Err(inner),
            Token::None => View::None,
            Token::Some => View::Some(inner),
            Token::List(count) => View::List(Elements {
                reader,
                left: count,
                sorted: self.sorted,
            }),
            Token::Tuple(count) => View::Tuple(Fields {
                reader,
                left: count,
                sorted: self.sorted,
            }),
        }
    }

    /// The field of a tuple.
    pub fn get(&self, field: &str) -> Option<ValueRef<'a>> {
        if self.bytes.first() != Some(&prefix::TUPLE) {
            return None;
        }
        self.as_tuple()?
            .find(|(name, _)| *name == field)
            .map(|(_, value)| value)
    }

    /// The number, if this is an `int`.
    pub fn as_i128(&self) -> Option<i128> {
        match self.view() {
            View::Int(number) => Some(number),
            _ => None,
        }
    }

    /// The number, if this is a `uint`.
    pub fn as_u128(&self) -> Option<u128> {
        match self.view() {
            View::UInt(number) => Some(number),
            _ => None,
        }
    }

    /// The truth value, if this is a `bool`.
    pub fn as_bool(&self) -> Option<bool> {
        match self.view() {
            View::Bool(truth) => Some(truth),
            _ => None,
        }
    }

    /// The bytes, if this is a `buff`.
    pub fn as_buffer(&self) -> Option<&'a [u8]> {
        match self.view() {
            View::Buffer(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The text, if this is a `string-ascii`.
    pub fn as_ascii(&self) -> Option<&'a str> {
        match self.view() {
            View::Ascii(text) => Some(text),
            _ => None,
        }
    }

    /// The text, if this is a `string-utf8`.
    pub fn as_utf8(&self) -> Option<&'a str> {
        match self.view() {
            View::Utf8(text) => Some(text),
            _ => None,
        }
    }

    /// The text, if this is a string of either kind.
    pub fn as_str(&self) -> Option<&'a str> {
        match self.view() {
            View::Ascii(text) | View::Utf8(text) => Some(text),
            _ => None,
        }
    }

    /// The principal, if this is one.
    pub fn as_principal(&self) -> Option<Principal> {
        match self.view() {
            View::Standard(address) => Some(Principal::Standard(address)),
            View::Contract(issuer, name) => {
                let name = ContractName::checked(name);
                Some(Principal::Contract(ContractId { issuer, name }))
            }
            _ => None,
        }
    }

    /// The elements, if this is a list.
    pub fn as_list(&self) -> Option<Elements<'a>> {
        match self.view() {
            View::List(elements) => Some(elements),
            _ => None,
        }
    }

    /// The fields, if this is a tuple.
    pub fn as_tuple(&self) -> Option<Fields<'a>> {
        match self.view() {
            View::Tuple(fields) => Some(fields),
            _ => None,
        }
    }

    /// The value inside, if this is an `optional`.
    pub fn as_optional(&self) -> Option<Option<ValueRef<'a>>> {
        match self.view() {
            View::None => Some(None),
            View::Some(value) => Some(Some(value)),
            _ => None,
        }
    }

    /// The value inside, if this is a `response`.
    pub fn as_response(&self) -> Option<Result<ValueRef<'a>, ValueRef<'a>>> {
        match self.view() {
            View::Ok(value) => Some(Ok(value)),
            View::Err(value) => Some(Err(value)),
            _ => None,
        }
    }
}

/// Equal when the bytes are: the encoding of a value is unique, except for tuples out of order.
impl PartialEq for ValueRef<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for ValueRef<'_> {}

/// The elements of a list, in order.
#[derive(Debug, Clone)]
pub struct Elements<'a> {
    reader: Reader<'a>,
    left: u32,
    sorted: bool,
}

/// The fields of a tuple, in the order of the bytes: sorted by name in whatever the chain writes.
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    reader: Reader<'a>,
    left: u32,
    sorted: bool,
}

impl<'a> Elements<'a> {
    /// Values that follow each other without a prefix, as the arguments of a call do.
    pub(crate) fn checked(bytes: &'a [u8], count: u32, sorted: bool) -> Self {
        Self {
            reader: Reader::new(bytes),
            left: count,
            sorted,
        }
    }
}

/// The slice of the next value of checked bytes.
fn next_value<'a>(reader: &mut Reader<'a>, sorted: bool) -> Option<ValueRef<'a>> {
    let bytes = reader.rest();
    let start = reader.offset();
    skip(reader).ok()?;
    Some(ValueRef {
        bytes: bytes.get(..reader.offset() - start)?,
        sorted,
    })
}

impl<'a> Iterator for Elements<'a> {
    type Item = ValueRef<'a>;

    fn next(&mut self) -> Option<ValueRef<'a>> {
        self.left = self.left.checked_sub(1)?;
        next_value(&mut self.reader, self.sorted)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left as usize, Some(self.left as usize))
    }
}

impl ExactSizeIterator for Elements<'_> {}

impl<'a> Iterator for Fields<'a> {
    type Item = (&'a str, ValueRef<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let name = read_clarity_name(&mut self.reader, "field name").ok()?;
        Some((name, next_value(&mut self.reader, self.sorted)?))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left as usize, Some(self.left as usize))
    }
}

impl ExactSizeIterator for Fields<'_> {}
