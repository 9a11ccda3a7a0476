//! The arguments of a call, decoded when asked for.

use crate::codec::error::DecodeError;
use crate::codec::reader::{Reader, put_length};
use crate::codec::value::{Elements, Value, ValueRef};

/// The arguments of a call: values one after the other, checked when they were read and decoded
/// when asked for.
#[derive(Clone, PartialEq, Eq)]
pub struct Arguments {
    bytes: Box<[u8]>,
    count: u32,
    sorted: bool,
}

impl Arguments {
    /// Encodes arguments.
    ///
    /// # Errors
    /// A value is past the limits of the format.
    pub fn new(values: &[Value]) -> Result<Self, DecodeError> {
        let mut bytes = Vec::new();
        put_length(&mut bytes, values.len());
        for value in values {
            value.encode_into(&mut bytes);
        }
        let mut reader = Reader::new(&bytes);
        let arguments = Self::read(&mut reader)?;
        reader.finish("arguments")?;
        Ok(arguments)
    }

    /// The number of arguments.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The arguments in order.
    pub fn iter(&self) -> Elements<'_> {
        Elements::checked(&self.bytes, self.count, self.sorted)
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let count = reader.count("number of arguments", 1)?;
        let (bytes, start) = (reader.rest(), reader.offset());
        let mut sorted = true;
        for _ in 0..count {
            sorted &= ValueRef::read(reader)?.is_canonical();
        }
        let bytes = bytes.get(..reader.offset() - start).unwrap_or(bytes);
        Ok(Self {
            bytes: bytes.into(),
            count,
            sorted,
        })
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.count.to_be_bytes());
        out.extend_from_slice(&self.bytes);
    }
}

impl<'a> IntoIterator for &'a Arguments {
    type Item = ValueRef<'a>;
    type IntoIter = Elements<'a>;

    fn into_iter(self) -> Elements<'a> {
        self.iter()
    }
}

impl std::fmt::Debug for Arguments {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_list().entries(self).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_decoded_one_by_one() {
        let values = [
            Value::UInt(7),
            Value::some(Value::Bool(true)),
            Value::List(vec![Value::None]),
        ];
        let arguments = Arguments::new(&values).expect("legal");
        assert_eq!((arguments.len(), arguments.is_empty()), (3, false));
        assert_eq!(
            arguments
                .iter()
                .map(|value| value.to_value())
                .collect::<Vec<_>>(),
            values
        );
        assert_eq!(
            arguments
                .iter()
                .nth(1)
                .map(|value| value.to_string())
                .as_deref(),
            Some("(some true)")
        );
        assert_eq!(format!("{arguments:?}"), "[u7, (some true), (none)]");
    }

    #[test]
    fn a_value_that_no_decoder_takes_is_no_argument() {
        let nested = (0..40).fold(Value::None, |inner, _| Value::some(inner));
        assert!(Arguments::new(&[nested]).is_err());
    }
}
