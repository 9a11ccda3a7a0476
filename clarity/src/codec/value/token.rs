//! The grammar of values: one token at a time, checked as the chain's own decoder checks it.
//!
//! Decoding, rendering and building all read through [`read_token`], so there is one place that
//! knows the format.

use crate::codec::error::{DecodeError, DecodeReason};
use crate::codec::name::{self, MAX_NAME_LENGTH, read_clarity_name};
use crate::codec::principal::StandardPrincipal;
use crate::codec::reader::Reader;

use super::prefix;

/// Deepest nesting of a legal value: a type has at most 32 levels (clarity-vm `MAX_TYPE_DEPTH`) and
/// a value at least one type level per level of its own.
pub const MAX_DEPTH: usize = 32;
/// Longest buffer or string in bytes, most elements of a list (clarity-vm `MAX_VALUE_SIZE`).
pub const MAX_LENGTH: usize = 1024 * 1024;
/// Most code points in a string-utf8: the chain accounts four bytes for each.
const MAX_CODE_POINTS: usize = MAX_LENGTH / 4;

/// The head of a value. The elements of containers follow it in the input.
pub(crate) enum Token<'a> {
    Int(i128),
    UInt(u128),
    Bool(bool),
    Buffer(&'a [u8]),
    Ascii(&'a str),
    Utf8(&'a str),
    Standard(StandardPrincipal),
    Contract(StandardPrincipal, &'a str),
    Ok,
    Err,
    None,
    Some,
    List(u32),
    Tuple(u32),
}

/// Reads and checks the head of one value.
#[inline]
pub(crate) fn read_token<'a>(reader: &mut Reader<'a>) -> Result<Token<'a>, DecodeError> {
    let start = reader.clone();
    Ok(match reader.u8("type prefix")? {
        prefix::INT => Token::Int(i128::from_be_bytes(*reader.array("int")?)),
        prefix::UINT => Token::UInt(u128::from_be_bytes(*reader.array("uint")?)),
        prefix::BUFFER => Token::Buffer(read_bytes(reader, "buffer")?),
        prefix::TRUE => Token::Bool(true),
        prefix::FALSE => Token::Bool(false),
        prefix::STANDARD_PRINCIPAL => {
            Token::Standard(StandardPrincipal::read(reader, "principal")?)
        }
        prefix::CONTRACT_PRINCIPAL => {
            let issuer = StandardPrincipal::read(reader, "contract principal")?;
            Token::Contract(
                issuer,
                name::read_contract_name(reader, "contract name", MAX_NAME_LENGTH)?,
            )
        }
        prefix::OK => Token::Ok,
        prefix::ERR => Token::Err,
        prefix::NONE => Token::None,
        prefix::SOME => Token::Some,
        prefix::LIST => Token::List(read_count(reader, "list length", 1)?),
        // A field takes a length, a character and a value at least.
        prefix::TUPLE => match read_count(reader, "tuple length", 3)? {
            0 => return Err(start.error("tuple", DecodeReason::EmptyTuple)),
            count => Token::Tuple(count),
        },
        prefix::ASCII => Token::Ascii(read_ascii(reader)?),
        prefix::UTF8 => Token::Utf8(read_utf8(reader)?),
        found => return Err(start.error("type prefix", DecodeReason::UnknownPrefix { found })),
    })
}

#[inline]
fn read_bytes<'a>(reader: &mut Reader<'a>, what: &'static str) -> Result<&'a [u8], DecodeError> {
    let length = reader.length(what, MAX_LENGTH)?;
    reader.take(what, length)
}

#[inline]
fn read_count(
    reader: &mut Reader<'_>,
    what: &'static str,
    each: usize,
) -> Result<u32, DecodeError> {
    let start = reader.clone();
    let count = reader.count(what, each)?;
    if count as usize > MAX_LENGTH {
        let reason = DecodeReason::TooLong {
            length: count as usize,
            limit: MAX_LENGTH,
        };
        return Err(start.error(what, reason));
    }
    Ok(count)
}

/// Whether a string-ascii may hold the byte: letters, digits, punctuation, and white space other
/// than the vertical tab (clarity-vm `Value::string_ascii_from_bytes`).
#[inline]
pub(crate) fn is_string_ascii(byte: u8) -> bool {
    matches!(byte, b' '..=b'~' | b'\t' | b'\n' | b'\x0c' | b'\r')
}

#[inline]
fn read_ascii<'a>(reader: &mut Reader<'a>) -> Result<&'a str, DecodeError> {
    let start = reader.clone();
    let bytes = read_bytes(reader, "string-ascii")?;
    if let Some(found) = bytes.iter().copied().find(|byte| !is_string_ascii(*byte)) {
        return Err(start.error("string-ascii", DecodeReason::NotAscii { found }));
    }
    text(bytes, &start, "string-ascii")
}

#[inline]
fn read_utf8<'a>(reader: &mut Reader<'a>) -> Result<&'a str, DecodeError> {
    let start = reader.clone();
    let bytes = read_bytes(reader, "string-utf8")?;
    let text = text(bytes, &start, "string-utf8")?;
    if bytes.len() > MAX_CODE_POINTS {
        let length = text.chars().count();
        if length > MAX_CODE_POINTS {
            let reason = DecodeReason::TooLong {
                length,
                limit: MAX_CODE_POINTS,
            };
            return Err(start.error("string-utf8", reason));
        }
    }
    Ok(text)
}

#[inline]
fn text<'a>(
    bytes: &'a [u8],
    start: &Reader<'_>,
    what: &'static str,
) -> Result<&'a str, DecodeError> {
    std::str::from_utf8(bytes).map_err(|error| {
        start.error(
            what,
            DecodeReason::NotUtf8 {
                valid_up_to: error.valid_up_to(),
            },
        )
    })
}

/// Refuses a level that no legal value has, before its value is read.
#[inline]
pub(crate) fn check_depth(reader: &Reader<'_>, depth: usize) -> Result<(), DecodeError> {
    if depth < MAX_DEPTH {
        Ok(())
    } else {
        Err(reader.error("value", DecodeReason::TooDeep { limit: MAX_DEPTH }))
    }
}

/// Reads one value to its end and checks all of it, without allocating. Says whether the fields of
/// every tuple stand in order, as the chain writes them.
///
/// Recursion is bounded by [`MAX_DEPTH`].
pub(crate) fn check(reader: &mut Reader<'_>, depth: usize) -> Result<bool, DecodeError> {
    check_depth(reader, depth)?;
    if let Some(length) = plain_length(reader.rest()) {
        return reader.take("value", length).map(|_| true);
    }
    match read_token(reader)? {
        Token::Ok | Token::Err | Token::Some => check(reader, depth + 1),
        Token::List(count) => {
            let mut sorted = true;
            for _ in 0..count {
                sorted &= check(reader, depth + 1)?;
            }
            Ok(sorted)
        }
        Token::Tuple(count) => check_tuple(reader, count, depth),
        _ => Ok(true),
    }
}

/// Length of a value that has nothing to check but its length, if all of it is there: most values
/// of most events, and the rest of the grammar is slow for them. A cut one is left to
/// [`read_token`], whose error is the better one.
#[inline]
fn plain_length(bytes: &[u8]) -> Option<usize> {
    match *bytes.first()? {
        prefix::INT | prefix::UINT if bytes.len() >= 17 => Some(17),
        prefix::TRUE | prefix::FALSE | prefix::NONE => Some(1),
        _ => None,
    }
}

fn check_tuple(reader: &mut Reader<'_>, count: u32, depth: usize) -> Result<bool, DecodeError> {
    let fields = reader.clone();
    let mut previous = "";
    let mut rising = true;
    let mut sorted = true;
    for _ in 0..count {
        let name = read_clarity_name(reader, "field name")?;
        rising &= previous < name;
        previous = name;
        sorted &= check(reader, depth + 1)?;
    }
    if !rising {
        check_unique(fields, count)?;
    }
    Ok(sorted && rising)
}

/// Refuses a tuple with a field given twice. Only tuples out of order come here: strictly rising
/// names are unique.
#[cold]
fn check_unique(mut fields: Reader<'_>, count: u32) -> Result<(), DecodeError> {
    let start = fields.clone();
    let mut names = Vec::new();
    for _ in 0..count {
        names.push(read_clarity_name(&mut fields, "field name")?);
        skip(&mut fields)?;
    }
    names.sort_unstable();
    if names
        .windows(2)
        .any(|pair| matches!(pair, [one, two] if one == two))
    {
        return Err(start.error("tuple", DecodeReason::DuplicateKey));
    }
    Ok(())
}

/// Steps over one value that [`check`] has accepted, looking at prefixes and lengths only.
pub(crate) fn skip(reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    let mut pending = 1_u64;
    // Fields still to come per open tuple are not tracked: a name has no prefix, so tuples recurse.
    while pending > 0 {
        pending -= 1;
        match reader.u8("type prefix")? {
            prefix::INT | prefix::UINT => {
                reader.take("integer", 16)?;
            }
            prefix::BUFFER | prefix::ASCII | prefix::UTF8 => {
                let length = reader.u32("length")? as usize;
                reader.take("bytes", length)?;
            }
            prefix::STANDARD_PRINCIPAL => {
                reader.take("principal", 21)?;
            }
            prefix::CONTRACT_PRINCIPAL => {
                reader.take("principal", 21)?;
                skip_name(reader)?;
            }
            prefix::OK | prefix::ERR | prefix::SOME => pending += 1,
            prefix::LIST => pending += u64::from(reader.u32("list length")?),
            prefix::TUPLE => {
                for _ in 0..reader.u32("tuple length")? {
                    skip_name(reader)?;
                    skip(reader)?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn skip_name(reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    let length = usize::from(reader.u8("name")?);
    reader.take("name", length).map(|_| ())
}
