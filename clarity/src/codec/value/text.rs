//! Values as the text that a Clarity prompt prints, letter by letter what clarity-vm's `Display`
//! writes.

use std::fmt::{self, Write};

use crate::codec::name::read_clarity_name;
use crate::codec::reader::Reader;

use super::token::{Token, read_token};
use super::{Value, ValueRef};

impl fmt::Display for Value {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_value(&mut Reader::new(&self.encode()), out)
    }
}

impl fmt::Display for ValueRef<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_canonical() {
            write_value(&mut Reader::new(self.as_bytes()), out)
        } else {
            // The chain prints fields in order whatever the order of the bytes.
            self.to_value().fmt(out)
        }
    }
}

impl fmt::Debug for ValueRef<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

fn write_value(reader: &mut Reader<'_>, out: &mut fmt::Formatter<'_>) -> fmt::Result {
    match read_token(reader) {
        Ok(token) => write_token(token, reader, out),
        // Only a value built by hand past the limits of the format comes here.
        Err(error) => write!(out, "({error})"),
    }
}

fn write_token(
    token: Token<'_>,
    reader: &mut Reader<'_>,
    out: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    match token {
        Token::Int(number) => write!(out, "{number}"),
        Token::UInt(number) => write!(out, "u{number}"),
        Token::Bool(truth) => write!(out, "{truth}"),
        Token::Buffer(bytes) => {
            out.write_str("0x")?;
            write_hex(bytes, out)
        }
        Token::Ascii(text) => write!(out, "\"{}\"", text.as_bytes().escape_ascii()),
        Token::Utf8(text) => write_utf8(text, out),
        Token::Standard(address) => write!(out, "{address}"),
        Token::Contract(issuer, name) => write!(out, "{issuer}.{name}"),
        Token::Ok => write_wrapped("ok", reader, out),
        Token::Err => write_wrapped("err", reader, out),
        Token::None => out.write_str("none"),
        Token::Some => write_wrapped("some", reader, out),
        Token::List(count) => {
            out.write_char('(')?;
            for at in 0..count {
                if at > 0 {
                    out.write_char(' ')?;
                }
                write_value(reader, out)?;
            }
            out.write_char(')')
        }
        Token::Tuple(count) => write_tuple(count, reader, out),
    }
}

fn write_wrapped(word: &str, reader: &mut Reader<'_>, out: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(out, "({word} ")?;
    write_value(reader, out)?;
    out.write_char(')')
}

fn write_tuple(count: u32, reader: &mut Reader<'_>, out: &mut fmt::Formatter<'_>) -> fmt::Result {
    out.write_str("(tuple")?;
    for _ in 0..count {
        match read_clarity_name(reader, "field name") {
            Ok(name) => write!(out, " ({name} ")?,
            Err(error) => return write!(out, " ({error})"),
        }
        write_value(reader, out)?;
        out.write_char(')')?;
    }
    out.write_char(')')
}

/// ASCII is escaped as in Rust, everything else is written as the hex of its UTF-8 bytes.
fn write_utf8(text: &str, out: &mut fmt::Formatter<'_>) -> fmt::Result {
    out.write_str("u\"")?;
    for character in text.chars() {
        match u8::try_from(character) {
            Ok(byte) if byte.is_ascii() => write!(out, "{}", std::ascii::escape_default(byte))?,
            _ => {
                out.write_str("\\u{")?;
                write_hex(character.encode_utf8(&mut [0; 4]).as_bytes(), out)?;
                out.write_char('}')?;
            }
        }
    }
    out.write_char('"')
}

pub(super) fn write_hex(bytes: &[u8], out: &mut impl Write) -> fmt::Result {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        out.write_char(char::from(DIGITS[usize::from(byte >> 4)]))?;
        out.write_char(char::from(DIGITS[usize::from(byte & 15)]))?;
    }
    Ok(())
}
