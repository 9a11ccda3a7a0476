//! Values as JSON, through serde.
//!
//! Integers are strings, since JSON readers lose bits past 53; buffers are `0x` hex, principals
//! their text, tuples objects, `none` is null, `(some v)` is `v`, and a response is `{"ok": v}` or
//! `{"err": v}`. The types are not in the JSON: `none` and `(some none)` look alike.

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use super::text::write_hex;
use super::{Value, ValueRef, View};

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Int(number) => serializer.collect_str(number),
            Self::UInt(number) => serializer.collect_str(number),
            Self::Bool(truth) => serializer.serialize_bool(*truth),
            Self::Buffer(bytes) => serializer.serialize_str(&hex_text(bytes)),
            Self::Ascii(text) => serializer.serialize_str(text.as_str()),
            Self::Utf8(text) => serializer.serialize_str(text),
            Self::Principal(principal) => principal.serialize(serializer),
            Self::Ok(value) => single("ok", value, serializer),
            Self::Err(value) => single("err", value, serializer),
            Self::None => serializer.serialize_unit(),
            Self::Some(value) => value.serialize(serializer),
            Self::List(elements) => serializer.collect_seq(elements),
            Self::Tuple(tuple) => serializer.collect_map(
                tuple
                    .fields()
                    .iter()
                    .map(|(name, value)| (name.as_str(), value)),
            ),
        }
    }
}

impl Serialize for ValueRef<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.view() {
            View::Int(number) => serializer.collect_str(&number),
            View::UInt(number) => serializer.collect_str(&number),
            View::Bool(truth) => serializer.serialize_bool(truth),
            View::Buffer(bytes) => serializer.serialize_str(&hex_text(bytes)),
            View::Ascii(text) | View::Utf8(text) => serializer.serialize_str(text),
            View::Standard(address) => address.serialize(serializer),
            View::Contract(issuer, name) => {
                serializer.collect_str(&format_args!("{issuer}.{name}"))
            }
            View::Ok(value) => single("ok", &value, serializer),
            View::Err(value) => single("err", &value, serializer),
            View::None => serializer.serialize_unit(),
            View::Some(value) => value.serialize(serializer),
            View::List(elements) => serializer.collect_seq(elements),
            View::Tuple(fields) => serializer.collect_map(fields),
        }
    }
}

fn single<S: Serializer, T: Serialize>(
    key: &str,
    value: &T,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(1))?;
    map.serialize_entry(key, value)?;
    map.end()
}

fn hex_text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 + 2 * bytes.len());
    text.push_str("0x");
    // Writing to a string cannot fail.
    let _ = write_hex(bytes, &mut text);
    text
}
