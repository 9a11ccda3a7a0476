//! The hashes of the chain.

use ripemd::Ripemd160;
use sha2::{Digest, Sha256, Sha512_256};

/// SHA-512/256: transaction ids, block ids, signature hashes (SIP-005).
pub fn sha512_256(bytes: &[u8]) -> [u8; 32] {
    Sha512_256::digest(bytes).into()
}

/// RIPEMD-160 of SHA-256, Bitcoin's hash of keys and scripts; the payload of an address.
pub fn hash160(bytes: &[u8]) -> [u8; 20] {
    Ripemd160::digest(Sha256::digest(bytes)).into()
}

/// SHA-256.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// The id of a block on the chain: a block hash is unique within one sortition only, so the node
/// hashes it with the consensus hash of that sortition (stacks-core `StacksBlockId::new`).
pub fn index_block_hash(block_hash: &[u8; 32], consensus_hash: &[u8; 20]) -> [u8; 32] {
    let mut hasher = Sha512_256::new();
    hasher.update(block_hash);
    hasher.update(consensus_hash);
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_of_the_empty_string() {
        assert_eq!(
            hex::encode(sha512_256(b"")),
            "c672b8d1ef56ed28ab87c3622c5114069bdd3ad7b8f9737498d0c01ecef0967a"
        );
        assert_eq!(
            hex::encode(hash160(b"")),
            "b472a266d0bd89c13706a4132ccfb16f7c3b9fcb"
        );
    }

    #[test]
    fn the_id_of_a_block_binds_its_sortition() {
        let one = index_block_hash(&[1; 32], &[2; 20]);
        let mut joined = vec![1; 32];
        joined.extend([2; 20]);
        assert_eq!(one, sha512_256(&joined));
        assert_ne!(one, index_block_hash(&[1; 32], &[3; 20]));
    }
}
