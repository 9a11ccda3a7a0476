//! Page cursors: opaque to clients, bound to a block and to the question that was asked.
//!
//! A cursor names the block on which the first page stood. While that block is canonical its ancestry is
//! fixed, so a walk over many pages reads one unchanging state although new blocks arrive. A checksum
//! over the route, the filters and the order keeps a cursor from being used for another question. It
//! guards against mistakes, not against forgery: there is nothing to gain, every row is public.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

const FORMAT: u8 = 1;
const CHECKSUM_BYTES: usize = 8;
/// Longer than any cursor made here: the longest key is an entity's name.
const MAX_TEXT: usize = 4096;

/// The question that a cursor continues: path, filters and order, without `cursor` and `limit`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope([u8; 32]);

impl Scope {
    /// The scope of a path and its filters, in whatever order these were given.
    pub fn new<'a>(path: &str, filters: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let mut filters: Vec<_> = filters.collect();
        filters.sort_unstable();
        let mut hasher = Sha256::new();
        let texts = filters.iter().flat_map(|(name, value)| [*name, *value]);
        for text in std::iter::once(path).chain(texts) {
            // The length in front keeps neighbours from trading bytes.
            hasher.update(text.len().to_be_bytes());
            hasher.update(text);
        }
        Self(hasher.finalize().into())
    }
}

/// The place of a row in the order of a route.
pub trait Key: Sized {
    /// Appends the key's bytes.
    fn write(&self, out: &mut Vec<u8>);
    /// Reads a key that takes up all of `bytes`.
    fn read(bytes: &[u8]) -> Option<Self>;
}

impl Key for i32 {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_be_bytes());
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self::from_be_bytes)
    }
}

impl Key for i64 {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_be_bytes());
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self::from_be_bytes)
    }
}

impl Key for (i64, i64) {
    fn write(&self, out: &mut Vec<u8>) {
        self.0.write(out);
        self.1.write(out);
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (first, rest) = bytes.split_at_checked(8)?;
        Some((i64::read(first)?, i64::read(rest)?))
    }
}

impl Key for String {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.as_bytes());
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        // Postgres refuses a zero byte in text.
        Self::from_utf8(bytes.to_vec())
            .ok()
            .filter(|text| !text.contains('\0'))
    }
}

impl<T: Key> Key for (i32, T) {
    fn write(&self, out: &mut Vec<u8>) {
        self.0.write(out);
        self.1.write(out);
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (first, rest) = bytes.split_at_checked(4)?;
        Some((i32::read(first)?, T::read(rest)?))
    }
}

/// A place in a walk, and the block on which the walk stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor<K> {
    /// Index block hash of the block on which the first page stood.
    pub tip: [u8; 32],
    /// Its height.
    pub height: u32,
    /// The last row given out.
    pub key: K,
}

impl<K: Key> Cursor<K> {
    /// The text that a client gets.
    pub fn encode(&self, scope: &Scope) -> String {
        let mut bytes = vec![FORMAT];
        bytes.extend_from_slice(&self.tip);
        bytes.extend_from_slice(&self.height.to_be_bytes());
        self.key.write(&mut bytes);
        let checksum = checksum(scope, &bytes);
        bytes.extend_from_slice(&checksum);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a client's text; none unless this scope made it.
    pub fn decode(text: &str, scope: &Scope) -> Option<Self> {
        if text.len() > MAX_TEXT {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (payload, sum) = bytes.split_at_checked(bytes.len().checked_sub(CHECKSUM_BYTES)?)?;
        if sum != checksum(scope, payload) {
            return None;
        }
        let (&format, rest) = payload.split_first()?;
        let (tip, rest) = rest.split_at_checked(32)?;
        let (height, key) = rest.split_at_checked(4)?;
        if format != FORMAT {
            return None;
        }
        Some(Self {
            tip: tip.try_into().ok()?,
            height: u32::from_be_bytes(height.try_into().ok()?),
            key: K::read(key)?,
        })
    }
}

fn checksum(scope: &Scope, payload: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let digest: [u8; 32] = Sha256::new()
        .chain_update(scope.0)
        .chain_update(payload)
        .finalize()
        .into();
    let mut sum = [0; CHECKSUM_BYTES];
    sum.copy_from_slice(&digest[..CHECKSUM_BYTES]);
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn scope(filters: &[(&'static str, &'static str)]) -> Scope {
        Scope::new("/v1/events", filters.iter().copied())
    }

    #[test]
    fn a_scope_knows_its_filters_but_not_their_order() {
        assert_eq!(
            scope(&[("a", "1"), ("b", "2")]),
            scope(&[("b", "2"), ("a", "1")])
        );
        assert_ne!(scope(&[("a", "1")]), scope(&[("a", "2")]));
        assert_ne!(scope(&[("a", "1b")]), scope(&[("a1", "b")]));
    }

    proptest! {
        #[test]
        fn a_cursor_round_trips_in_its_own_scope_only(
            tip in any::<[u8; 32]>(), height in any::<u32>(), event in any::<(i32, (i32, i32))>(), name in "[^\0]{0,40}"
        ) {
            let (own, other) = (scope(&[("topic", "a")]), scope(&[("topic", "b")]));
            let cursor = Cursor { tip, height, key: event };
            let text = cursor.encode(&own);
            prop_assert_eq!(Cursor::decode(&text, &own), Some(cursor));
            prop_assert_eq!(Cursor::<(i32, (i32, i32))>::decode(&text, &other), None);
            prop_assert_eq!(Cursor::<i32>::decode(&text, &own), None);
            let cursor = Cursor { tip, height, key: name };
            prop_assert_eq!(Cursor::decode(&cursor.encode(&own), &own), Some(cursor));
        }

        #[test]
        fn junk_is_refused(text in ".{0,200}", bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(Cursor::<i32>::decode(&text, &scope(&[])), None);
            prop_assert_eq!(Cursor::<String>::decode(&URL_SAFE_NO_PAD.encode(bytes), &scope(&[])), None);
        }

        #[test]
        fn a_changed_bit_is_refused(place in 0usize..49 * 8) {
            let cursor = Cursor { tip: [3; 32], height: 9, key: 7i32 };
            let own = scope(&[]);
            let mut bytes = URL_SAFE_NO_PAD.decode(cursor.encode(&own)).unwrap();
            bytes[place / 8] ^= 1 << (place % 8);
            prop_assert_eq!(Cursor::<i32>::decode(&URL_SAFE_NO_PAD.encode(bytes), &own), None);
        }
    }
}
