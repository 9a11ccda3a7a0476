//! The tree over a board: every entry is provable against one root. Pure.
//!
//! An entry is hashed as a contract can hash it: a leaf is SHA-256 over the byte 0x00 and the consensus
//! serialisation of the tuple `{board, domain, rank, score, user}`; a node is SHA-256 over the byte 0x01 and both of
//! its children. A node without a neighbour moves up as it is, so that the tree is that of RFC 6962.

use sha2::{Digest as _, Sha256};
use stxworx_clarity::codec::value::AsciiString;
use stxworx_clarity::codec::{Principal, Value};

/// Keeps these hashes apart from all others.
pub const DOMAIN: &str = "stxworx-board-1";
/// Name of this encoding where a root is anchored.
pub const ALGORITHM: &str = "sha256-v1";

/// A SHA-256 hash.
pub type Hash = [u8; 32];

/// The hash of an entry; none for a user whose name is no principal, or a board whose name is not ASCII.
pub fn leaf(board: &str, user: &str, rank: u64, score: u128) -> Option<Hash> {
    let user: Principal = user.parse().ok()?;
    let ascii = |text: &str| Some(Value::Ascii(AsciiString::new(text).ok()?));
    let fields = [
        ("board", ascii(board)?),
        ("domain", ascii(DOMAIN)?),
        ("rank", Value::UInt(rank.into())),
        ("score", Value::UInt(score)),
        ("user", Value::Principal(user)),
    ];
    let tuple = Value::tuple(fields).ok()?;
    let mut hasher = Sha256::new();
    hasher.update([0]);
    hasher.update(tuple.encode());
    Some(hasher.finalize().into())
}

fn node(left: &Hash, right: &Hash) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update([1]);
    hasher.update(left);
    hasher.update(right);
    hasher.finalize().into()
}

/// The level above.
fn above(level: &[Hash]) -> Vec<Hash> {
    level
        .chunks(2)
        .map(|pair| match pair {
            [left, right] => node(left, right),
            alone => alone.first().copied().unwrap_or_default(),
        })
        .collect()
}

/// The root over leaves in order; none without any.
pub fn root(leaves: &[Hash]) -> Option<Hash> {
    let mut level = leaves.to_vec();
    while level.len() > 1 {
        level = above(&level);
    }
    level.first().copied()
}

/// A neighbour on the way from a leaf to the root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Does it stand on the left?
    pub left: bool,
    /// Its hash.
    pub hash: Hash,
}

/// The neighbours of a leaf, lowest first; none for a place behind the last leaf.
pub fn path(leaves: &[Hash], place: usize) -> Option<Vec<Step>> {
    if place >= leaves.len() {
        return None;
    }
    let (mut level, mut place, mut steps) = (leaves.to_vec(), place, Vec::new());
    while level.len() > 1 {
        let left = place % 2 == 1;
        let neighbour = if left { place - 1 } else { place + 1 };
        if let Some(hash) = level.get(neighbour) {
            steps.push(Step { left, hash: *hash });
        }
        level = above(&level);
        place /= 2;
    }
    Some(steps)
}

/// The root to which a leaf and its neighbours lead, as whoever checks a proof computes it.
#[cfg(test)]
pub fn climb(leaf: Hash, steps: &[Step]) -> Hash {
    steps.iter().fold(leaf, |hash, step| {
        if step.left {
            node(&step.hash, &hash)
        } else {
            node(&hash, &step.hash)
        }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn leaves(count: usize) -> Vec<Hash> {
        (0..count)
            .map(|n| Sha256::digest(n.to_be_bytes()).into())
            .collect()
    }

    /// RFC 6962, word for word: split at the largest power of two below the count.
    fn by_the_book(leaves: &[Hash]) -> Hash {
        if let [one] = leaves {
            return *one;
        }
        let split = leaves.len().next_power_of_two() / 2;
        node(
            &by_the_book(&leaves[..split]),
            &by_the_book(&leaves[split..]),
        )
    }

    proptest! {
        #[test]
        fn every_leaf_is_proved_and_no_other(count in 1usize..70, place in 0usize..70, other in 0usize..70) {
            let all = leaves(count);
            let top = root(&all).unwrap();
            prop_assert_eq!(top, by_the_book(&all));
            let steps = path(&all, place);
            prop_assert_eq!(steps.is_some(), place < count);
            if let Some(steps) = steps {
                prop_assert_eq!(climb(all[place], &steps), top);
                if other < count && other != place {
                    prop_assert_ne!(climb(all[other], &steps), top);
                }
            }
        }
    }

    #[test]
    fn nothing_has_no_root() {
        assert_eq!(root(&[]), None);
        assert_eq!(path(&[], 0), None);
    }

    #[test]
    fn a_leaf_is_what_a_contract_computes() {
        // (sha256 (concat 0x00 (unwrap-panic (to-consensus-buff? {board: "earnings", domain: "stxworx-board-1",
        //   rank: u1, score: u1000000, user: 'ST000000000000000000002AMW42H}))))
        let user = "ST000000000000000000002AMW42H";
        let mut bytes = vec![0];
        bytes.extend(hex::decode("0c00000005").unwrap());
        for (name, value) in [
            ("board", "0d000000086561726e696e6773".to_owned()),
            ("domain", format!("0d0000000f{}", hex::encode(DOMAIN))),
            ("rank", format!("01{:032x}", 1)),
            ("score", format!("01{:032x}", 1_000_000)),
            ("user", format!("051a{}", "00".repeat(20))),
        ] {
            bytes.push(u8::try_from(name.len()).unwrap());
            bytes.extend(name.bytes());
            bytes.extend(hex::decode(value).unwrap());
        }
        let expected: Hash = Sha256::digest(&bytes).into();
        assert_eq!(leaf("earnings", user, 1, 1_000_000), Some(expected));
        assert_ne!(leaf("earnings", user, 2, 1_000_000), Some(expected));
        assert_eq!(leaf("earnings", "nobody", 1, 1), None);
    }
}
