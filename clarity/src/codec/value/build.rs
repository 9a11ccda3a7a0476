//! Bytes into owned values.

use crate::codec::error::{DecodeError, DecodeReason};
use crate::codec::name::{ClarityName, ContractName, read_clarity_name};
use crate::codec::principal::{ContractId, Principal};
use crate::codec::reader::Reader;

use super::token::{Token, check_depth, read_token};
use super::{AsciiString, Tuple, Value};

/// Elements for which room is made before they are read. A count is bounded by the bytes left, but
/// nested lists can promise the same bytes many times over.
const MAX_PREALLOCATED: usize = 256;

/// Reads one value. Recursion is bounded by [`super::MAX_DEPTH`].
pub(super) fn build(reader: &mut Reader<'_>, depth: usize) -> Result<Value, DecodeError> {
    check_depth(reader, depth)?;
    Ok(match read_token(reader)? {
        Token::Int(number) => Value::Int(number),
        Token::UInt(number) => Value::UInt(number),
        Token::Bool(truth) => Value::Bool(truth),
        Token::Buffer(bytes) => Value::Buffer(bytes.to_vec()),
        Token::Ascii(text) => Value::Ascii(AsciiString(text.to_owned())),
        Token::Utf8(text) => Value::Utf8(text.to_owned()),
        Token::Standard(address) => Value::Principal(Principal::Standard(address)),
        Token::Contract(issuer, name) => {
            let name = ContractName::checked(name);
            Value::Principal(Principal::Contract(ContractId { issuer, name }))
        }
        Token::Ok => Value::Ok(boxed(reader, depth)?),
        Token::Err => Value::Err(boxed(reader, depth)?),
        Token::None => Value::None,
        Token::Some => Value::Some(boxed(reader, depth)?),
        Token::List(count) => Value::List(build_list(reader, count, depth)?),
        Token::Tuple(count) => Value::Tuple(build_tuple(reader, count, depth)?),
    })
}

fn boxed(reader: &mut Reader<'_>, depth: usize) -> Result<Box<Value>, DecodeError> {
    build(reader, depth + 1).map(Box::new)
}

fn room<T>(count: u32) -> Vec<T> {
    Vec::with_capacity((count as usize).min(MAX_PREALLOCATED))
}

fn build_list(
    reader: &mut Reader<'_>,
    count: u32,
    depth: usize,
) -> Result<Vec<Value>, DecodeError> {
    let mut elements = room(count);
    for _ in 0..count {
        elements.push(build(reader, depth + 1)?);
    }
    Ok(elements)
}

fn build_tuple(reader: &mut Reader<'_>, count: u32, depth: usize) -> Result<Tuple, DecodeError> {
    let start = reader.clone();
    let mut fields: Vec<(ClarityName, Value)> = room(count);
    let mut rising = true;
    for _ in 0..count {
        let name = read_clarity_name(reader, "field name")?;
        if let Some((previous, _)) = fields.last() {
            rising &= previous.as_str() < name;
        }
        fields.push((ClarityName::checked(name), build(reader, depth + 1)?));
    }
    if rising {
        return Ok(Tuple(fields));
    }
    Tuple::new(fields).map_err(|_| start.error("tuple", DecodeReason::DuplicateKey))
}
