//! A cursor that cannot leave its input.

use super::error::{DecodeError, DecodeReason};

/// Reads big-endian fields from a slice; every read says what it reads, for the error.
#[derive(Debug, Clone)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    total: usize,
}

impl<'a> Reader<'a> {
    /// Starts at the first byte.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self {
            rest: bytes,
            total: bytes.len(),
        }
    }

    /// Bytes read so far.
    pub(crate) fn offset(&self) -> usize {
        self.total - self.rest.len()
    }

    /// Bytes not read yet.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The same input with nothing left to read.
    pub(crate) fn at_end(&self) -> Self {
        Self {
            rest: &[],
            total: self.total,
        }
    }

    /// An error about the thing that starts at the cursor.
    #[cold]
    pub(crate) fn error(&self, what: &'static str, reason: DecodeReason) -> DecodeError {
        DecodeError {
            what,
            offset: self.offset(),
            reason,
        }
    }

    #[cold]
    fn short(&self, what: &'static str, needed: usize) -> DecodeError {
        self.error(
            what,
            DecodeReason::UnexpectedEnd {
                needed,
                remaining: self.rest.len(),
            },
        )
    }

    /// The next `length` bytes.
    #[inline]
    pub(crate) fn take(
        &mut self,
        what: &'static str,
        length: usize,
    ) -> Result<&'a [u8], DecodeError> {
        match self.rest.split_at_checked(length) {
            Some((head, tail)) => {
                self.rest = tail;
                Ok(head)
            }
            None => Err(self.short(what, length)),
        }
    }

    /// The next `N` bytes, by reference.
    #[inline]
    pub(crate) fn array<const N: usize>(
        &mut self,
        what: &'static str,
    ) -> Result<&'a [u8; N], DecodeError> {
        match self.rest.split_first_chunk::<N>() {
            Some((head, tail)) => {
                self.rest = tail;
                Ok(head)
            }
            None => Err(self.short(what, N)),
        }
    }

    /// The next byte.
    #[inline]
    pub(crate) fn u8(&mut self, what: &'static str) -> Result<u8, DecodeError> {
        match self.rest.split_first() {
            Some((head, tail)) => {
                self.rest = tail;
                Ok(*head)
            }
            None => Err(self.short(what, 1)),
        }
    }

    /// The next two bytes.
    pub(crate) fn u16(&mut self, what: &'static str) -> Result<u16, DecodeError> {
        self.array(what).map(|bytes| u16::from_be_bytes(*bytes))
    }

    /// The next four bytes.
    #[inline]
    pub(crate) fn u32(&mut self, what: &'static str) -> Result<u32, DecodeError> {
        self.array(what).map(|bytes| u32::from_be_bytes(*bytes))
    }

    /// The next eight bytes.
    pub(crate) fn u64(&mut self, what: &'static str) -> Result<u64, DecodeError> {
        self.array(what).map(|bytes| u64::from_be_bytes(*bytes))
    }

    /// The next four bytes as a length of at most `limit`.
    #[inline]
    pub(crate) fn length(
        &mut self,
        what: &'static str,
        limit: usize,
    ) -> Result<usize, DecodeError> {
        let start = self.clone();
        let length = self.u32(what)? as usize;
        if length > limit {
            return Err(start.error(what, DecodeReason::TooLong { length, limit }));
        }
        Ok(length)
    }

    /// The next four bytes as a count of things that take at least `each` bytes: a count that the
    /// rest of the input cannot hold is refused before anything is allocated for it.
    #[inline]
    pub(crate) fn count(&mut self, what: &'static str, each: usize) -> Result<u32, DecodeError> {
        let count = self.u32(what)?;
        let needed = (count as usize).saturating_mul(each);
        if needed > self.rest.len() {
            return Err(self.short(what, needed));
        }
        Ok(count)
    }

    /// Refuses anything that is left.
    pub(crate) fn finish(&self, what: &'static str) -> Result<(), DecodeError> {
        match self.rest.len() {
            0 => Ok(()),
            count => Err(self.error(what, DecodeReason::TrailingBytes { count })),
        }
    }
}

/// Writes a length or count as four bytes. Nothing in memory is longer than a u32 can say unless it
/// was built so by hand; the largest length is written then, which no decoder accepts.
pub(crate) fn put_length(out: &mut Vec<u8>, length: usize) {
    out.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_read_says_where_and_how_much() {
        let mut reader = Reader::new(&[1, 2, 3]);
        assert_eq!(reader.u8("first"), Ok(1));
        let error = reader.u32("second").expect_err("too short");
        assert_eq!(error.offset, 1);
        assert_eq!(
            error.reason,
            DecodeReason::UnexpectedEnd {
                needed: 4,
                remaining: 2
            }
        );
        assert_eq!(
            error.to_string(),
            "cannot read second at byte 1: it needs 4 bytes and 2 are left"
        );
    }

    #[test]
    fn a_count_cannot_promise_more_than_the_input_holds() {
        let mut reader = Reader::new(&[0xff, 0xff, 0xff, 0xff, 0]);
        assert!(reader.count("list", 1).is_err());
    }
}
