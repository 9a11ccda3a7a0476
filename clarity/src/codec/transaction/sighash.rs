//! The hashes that keys sign.
//!
//! Signatures are not over the transaction id, which contains them, but over a chain of hashes that
//! starts at the transaction with its authorization cleared and takes in each account's fee, nonce
//! and signature in turn (SIP-005; stacks-core `TransactionSpendingCondition`).

use crate::codec::hash::sha512_256;
use crate::codec::reader::put_length;

use super::Transaction;
use super::auth::{
    self, Auth, Authorization, KeyEncoding, MessageSignature, SingleSigMode, SpendingCondition,
};

/// For which part of the authorization a key signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// For the account that acts.
    Origin,
    /// For the account that pays for another.
    Sponsor,
}

impl Role {
    /// The byte that goes into the hash. The origin signs with the flag of a standard authorization
    /// in a sponsored transaction too.
    fn flag(self) -> u8 {
        match self {
            Self::Origin => auth::STANDARD,
            Self::Sponsor => auth::SPONSORED,
        }
    }
}

impl Transaction {
    /// The hash at which the chain of signatures starts: the transaction without fees, nonces and
    /// signatures, and with a sentinel in place of the sponsor, whom the origin need not know.
    pub fn initial_sighash(&self) -> [u8; 32] {
        let cleared = self.encode_with(|out| match &self.auth {
            Auth::Standard(origin) => {
                out.push(auth::STANDARD);
                put_cleared(origin, out);
            }
            Auth::Sponsored { origin, .. } => {
                out.push(auth::SPONSORED);
                put_cleared(origin, out);
                put_sentinel(out);
            }
        });
        sha512_256(&cleared)
    }
}

fn put_cleared(condition: &SpendingCondition, out: &mut Vec<u8>) {
    out.push(condition.hash_mode());
    out.extend_from_slice(&condition.signer);
    out.extend_from_slice(&[0; 16]);
    match &condition.authorization {
        Authorization::Single { key_encoding, .. } => {
            out.push(key_encoding.to_byte());
            out.extend_from_slice(&MessageSignature::EMPTY.0);
        }
        Authorization::Multi {
            signatures_required,
            ..
        } => {
            put_length(out, 0);
            out.extend_from_slice(&signatures_required.to_be_bytes());
        }
    }
}

fn put_sentinel(out: &mut Vec<u8>) {
    let authorization = Authorization::Single {
        mode: SingleSigMode::P2pkh,
        key_encoding: KeyEncoding::Compressed,
        signature: MessageSignature::EMPTY,
    };
    SpendingCondition {
        signer: [0; 20],
        nonce: 0,
        fee: 0,
        authorization,
    }
    .put(out);
}

/// The hash that a key signs, from the hash before it: the fee, in micro-STX, goes in before the
/// nonce, other than in the transaction.
pub fn presign(sighash: &[u8; 32], role: Role, fee: u64, nonce: u64) -> [u8; 32] {
    let mut bytes = [0; 49];
    let (head, tail) = bytes.split_at_mut(33);
    head[..32].copy_from_slice(sighash);
    head[32] = role.flag();
    tail[..8].copy_from_slice(&fee.to_be_bytes());
    tail[8..].copy_from_slice(&nonce.to_be_bytes());
    sha512_256(&bytes)
}

/// The hash after a signature, at which the next key starts.
pub fn postsign(
    presign: &[u8; 32],
    encoding: KeyEncoding,
    signature: &MessageSignature,
) -> [u8; 32] {
    let mut bytes = [0; 98];
    bytes[..32].copy_from_slice(presign);
    bytes[32] = encoding.to_byte();
    bytes[33..].copy_from_slice(&signature.0);
    sha512_256(&bytes)
}
