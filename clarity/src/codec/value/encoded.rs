//! A checked value that keeps its bytes.

use crate::codec::error::DecodeError;
use crate::codec::reader::Reader;

use super::{Value, ValueRef};

/// The bytes of one value, checked when they were read and decoded when asked for.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct EncodedValue {
    bytes: Box<[u8]>,
    sorted: bool,
}

impl EncodedValue {
    /// Checks bytes that hold one value and nothing else.
    ///
    /// # Errors
    /// The bytes are no value, or something follows it.
    pub fn new(bytes: &[u8]) -> Result<Self, DecodeError> {
        ValueRef::decode_exact(bytes).map(Self::of)
    }

    /// The value.
    pub fn value(&self) -> ValueRef<'_> {
        ValueRef::checked(&self.bytes, self.sorted)
    }

    /// The bytes of the value.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        ValueRef::read(reader).map(Self::of)
    }

    fn of(value: ValueRef<'_>) -> Self {
        Self {
            bytes: value.as_bytes().into(),
            sorted: value.is_canonical(),
        }
    }
}

impl TryFrom<&Value> for EncodedValue {
    type Error = DecodeError;

    /// Fails for a value that was built past the limits of the format.
    fn try_from(value: &Value) -> Result<Self, DecodeError> {
        Self::new(&value.encode())
    }
}

impl std::fmt::Debug for EncodedValue {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.value().fmt(out)
    }
}
