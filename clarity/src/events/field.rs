//! The types of fields, and how each is read from and written to a Clarity value.

use serde::{Serialize, Serializer};

use crate::codec::value::{AsciiString, View};
use crate::codec::{Principal, Value, ValueRef};

/// `uint`: an amount in base units, a height in burn blocks, basis points, a number. Text in JSON,
/// where numbers do not hold 128 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Uint(pub u128);

/// `(string-ascii n)`
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize)]
#[serde(transparent)]
pub struct Ascii(pub String);

/// `(buff 32)`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Hash(pub [u8; 32]);

impl Serialize for Uint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("0x{}", hex::encode(self.0)))
    }
}

/// The type of a field, as the contracts' sources say it; lengths aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldType {
    /// `uint`
    Uint,
    /// `bool`
    Bool,
    /// `(string-ascii n)`
    Ascii,
    /// `(buff 32)`
    Buffer,
    /// `principal`
    Principal,
    /// `(optional t)`
    Optional(Box<FieldType>),
    /// `(list n t)`
    List(Box<FieldType>),
    /// A tuple, by the contracts' field names.
    Tuple(Vec<(String, FieldType)>),
}

/// What a field can be.
pub trait Field: Sized {
    /// Its type.
    fn field_type() -> FieldType;
    /// From a value; `None` when it is of another type.
    fn read(value: ValueRef<'_>) -> Option<Self>;
    /// As a value; `None` for a text that is no `string-ascii`.
    fn write(&self) -> Option<Value>;
}

impl Field for Uint {
    fn field_type() -> FieldType {
        FieldType::Uint
    }

    fn read(value: ValueRef<'_>) -> Option<Self> {
        value.as_u128().map(Self)
    }

    fn write(&self) -> Option<Value> {
        Some(Value::UInt(self.0))
    }
}

impl Field for bool {
    fn field_type() -> FieldType {
        FieldType::Bool
    }

    fn read(value: ValueRef<'_>) -> Option<Self> {
        value.as_bool()
    }

    fn write(&self) -> Option<Value> {
        Some(Value::Bool(*self))
    }
}

impl Field for Ascii {
    fn field_type() -> FieldType {
        FieldType::Ascii
    }

    fn read(value: ValueRef<'_>) -> Option<Self> {
        value.as_ascii().map(|text| Self(text.to_owned()))
    }

    fn write(&self) -> Option<Value> {
        AsciiString::new(self.0.as_str()).ok().map(Value::Ascii)
    }
}

impl Field for Hash {
    fn field_type() -> FieldType {
        FieldType::Buffer
    }

    fn read(value: ValueRef<'_>) -> Option<Self> {
        value.as_buffer()?.try_into().ok().map(Self)
    }

    fn write(&self) -> Option<Value> {
        Some(Value::Buffer(self.0.to_vec()))
    }
}

impl Field for Principal {
    fn field_type() -> FieldType {
        FieldType::Principal
    }

    fn read(value: ValueRef<'_>) -> Option<Self> {
        match value.to_value() {
            Value::Principal(principal) => Some(principal),
            _ => None,
        }
    }

    fn write(&self) -> Option<Value> {
        Some(Value::Principal(self.clone()))
    }
}

impl<T: Field> Field for Option<T> {
    fn field_type() -> FieldType {
        FieldType::Optional(Box::new(T::field_type()))
    }

    fn read(value: ValueRef<'_>) -> Option<Self> {
        match value.view() {
            View::None => Some(None),
            View::Some(inner) => T::read(inner).map(Some),
            _ => None,
        }
    }

    fn write(&self) -> Option<Value> {
        match self {
            None => Some(Value::None),
            Some(inner) => inner.write().map(|v| Value::Some(Box::new(v))),
        }
    }
}

impl<T: Field> Field for Vec<T> {
    fn field_type() -> FieldType {
        FieldType::List(Box::new(T::field_type()))
    }

    fn read(value: ValueRef<'_>) -> Option<Self> {
        match value.view() {
            View::List(elements) => elements.map(T::read).collect(),
            _ => None,
        }
    }

    fn write(&self) -> Option<Value> {
        self.iter()
            .map(T::write)
            .collect::<Option<_>>()
            .map(Value::List)
    }
}

/// The contract's name of a field: `_` stands for `-`.
pub(in crate::events) fn name(rust: &str) -> String {
    rust.replace('_', "-")
}

/// A field of a tuple.
pub(in crate::events) fn read_named<T: Field>(tuple: ValueRef<'_>, rust: &str) -> Option<T> {
    let field = if rust.contains('_') {
        tuple.get(&name(rust))
    } else {
        tuple.get(rust)
    };
    T::read(field?)
}

/// How many fields a tuple has; none for what is no tuple.
pub(in crate::events) fn width(value: ValueRef<'_>) -> Option<usize> {
    match value.view() {
        View::Tuple(fields) => Some(fields.count()),
        _ => None,
    }
}
