//! Signing, and finding out who signed.

use std::sync::LazyLock;

use secp256k1::ecdsa::{RecoverableSignature, RecoveryId};
use secp256k1::{All, Message, PublicKey, Secp256k1, SecretKey};
use thiserror::Error;

use crate::codec::hash::{hash160, sha256};

use super::auth::{
    AuthField, Authorization, KeyEncoding, MessageSignature, MultiSigMode, SingleSigMode,
    SpendingCondition,
};
use super::sighash::{Role, postsign, presign};
use super::{Auth, Transaction};

static CURVE: LazyLock<Secp256k1<All>> = LazyLock::new(Secp256k1::new);

/// Opcodes of Bitcoin's script.
const OP_CHECKMULTISIG: u8 = 0xae;
const OP_BEFORE_ONE: u8 = 0x50;

/// A public key and the way in which it is written when it is hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignerKey {
    /// The key.
    pub key: PublicKey,
    /// Compressed or not.
    pub encoding: KeyEncoding,
}

impl SignerKey {
    /// The compressed key of a secret key.
    pub fn of_secret(secret: &SecretKey) -> Self {
        Self {
            key: PublicKey::from_secret_key(&CURVE, secret),
            encoding: KeyEncoding::Compressed,
        }
    }

    fn put(&self, out: &mut Vec<u8>) {
        match self.encoding {
            KeyEncoding::Compressed => out.extend_from_slice(&self.key.serialize()),
            KeyEncoding::Uncompressed => out.extend_from_slice(&self.key.serialize_uncompressed()),
        }
    }

    fn to_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(65);
        self.put(&mut bytes);
        bytes
    }
}

/// The keys behind a transaction, in the order of its fields. Those of a multi-signature account
/// include the keys that did not sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signers {
    /// The keys of the account that acts.
    pub origin: Vec<SignerKey>,
    /// The keys of the account that pays for another; empty without one.
    pub sponsor: Vec<SignerKey>,
}

/// What to do with a signature whose `s` is in the upper half of its range. Such a signature is as
/// good as its low twin, and was legal before epoch 4.0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HighS {
    /// Accept it, as blocks before epoch 4.0 may hold it.
    Allow,
    /// Refuse it.
    Refuse,
}

/// Signing or verifying failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SignatureError {
    /// No key can be recovered from a signature.
    #[error(
        "cannot recover a key from signature {index} of the {role:?}, expected a recoverable secp256k1 signature"
    )]
    Recovery {
        /// Whose signature.
        role: Role,
        /// Place among the fields of the condition, from 0.
        index: usize,
    },
    /// The `s` of a signature is too high.
    #[error("signature {index} of the {role:?} has a high s, expected a low one")]
    HighS {
        /// Whose signature.
        role: Role,
        /// Place among the fields of the condition, from 0.
        index: usize,
    },
    /// A public key is not on the curve.
    #[error("key {index} of the {role:?} is not a point of secp256k1")]
    PublicKey {
        /// Whose key.
        role: Role,
        /// Place among the fields of the condition, from 0.
        index: usize,
    },
    /// Too few or too many keys signed.
    #[error("{found} keys of the {role:?} signed, expected {required}")]
    Count {
        /// Whose keys.
        role: Role,
        /// How many signed.
        found: usize,
        /// How many must.
        required: u16,
    },
    /// A SegWit script has an uncompressed key.
    #[error("a SegWit condition of the {role:?} has an uncompressed key, expected compressed ones")]
    Uncompressed {
        /// Whose key.
        role: Role,
    },
    /// The keys are not those of the account.
    #[error(
        "the keys of the {role:?} hash to {}, expected {}",
        hex::encode(found),
        hex::encode(expected)
    )]
    Signer {
        /// Whose keys.
        role: Role,
        /// The hash of the recovered keys.
        found: [u8; 20],
        /// The hash in the condition.
        expected: [u8; 20],
    },
    /// A sponsor was to sign a transaction that has none.
    #[error("cannot sign as a sponsor: the transaction is not a sponsored one")]
    NotSponsored,
    /// A key was to be listed in a condition that has one signature only.
    #[error("cannot list a key: the {role:?} is no multi-signature account")]
    NotMultiSig {
        /// Whose condition.
        role: Role,
    },
}

/// The hash160 of a script or key, by the way in which keys become addresses.
fn single_hash(mode: SingleSigMode, key: SignerKey) -> [u8; 20] {
    let hash = hash160(&key.to_bytes());
    match mode {
        SingleSigMode::P2pkh => hash,
        SingleSigMode::P2wpkh => hash160(&[&[0x00, 0x14], hash.as_slice()].concat()),
    }
}

fn multi_hash(mode: MultiSigMode, required: u16, keys: &[SignerKey]) -> [u8; 20] {
    let mut script = Vec::with_capacity(3 + 34 * keys.len());
    put_number(&mut script, usize::from(required));
    for key in keys {
        let bytes = key.to_bytes();
        // A push of up to 75 bytes is its length and the bytes.
        script.extend(u8::try_from(bytes.len()));
        script.extend_from_slice(&bytes);
    }
    put_number(&mut script, keys.len());
    script.push(OP_CHECKMULTISIG);
    if mode.is_segwit() {
        hash160(&[&[0x00, 0x20], sha256(&script).as_slice()].concat())
    } else {
        hash160(&script)
    }
}

/// Pushes a number as Bitcoin's script does: an opcode up to 16, little-endian bytes without
/// leading zeroes and with a sign bit above.
fn put_number(script: &mut Vec<u8>, number: usize) {
    match u8::try_from(number) {
        Ok(0) => script.push(0),
        Ok(small @ 1..=16) => script.push(OP_BEFORE_ONE + small),
        _ => {
            let mut bytes = number.to_le_bytes().to_vec();
            while bytes.last() == Some(&0) {
                bytes.pop();
            }
            if bytes.last().is_some_and(|top| top & 0x80 != 0) {
                bytes.push(0);
            }
            script.extend(u8::try_from(bytes.len()));
            script.extend(bytes);
        }
    }
}

impl SpendingCondition {
    /// An unsigned condition of one key, paying to the hash of the key. The fee is in micro-STX.
    pub fn single_sig(key: SignerKey, nonce: u64, fee: u64) -> Self {
        let mode = SingleSigMode::P2pkh;
        let authorization = Authorization::Single {
            mode,
            key_encoding: key.encoding,
            signature: MessageSignature::EMPTY,
        };
        Self {
            signer: single_hash(mode, key),
            nonce,
            fee,
            authorization,
        }
    }

    /// An unsigned condition of several keys, of which `required` must sign. The fee is in micro-STX.
    pub fn multi_sig(
        mode: MultiSigMode,
        required: u16,
        keys: &[SignerKey],
        nonce: u64,
        fee: u64,
    ) -> Self {
        let authorization = Authorization::Multi {
            mode,
            fields: Vec::new(),
            signatures_required: required,
        };
        Self {
            signer: multi_hash(mode, required, keys),
            nonce,
            fee,
            authorization,
        }
    }
}

/// What the signatures of a condition say.
struct Recovered {
    keys: Vec<SignerKey>,
    signatures: usize,
    /// The hash after the last signature.
    sighash: [u8; 32],
}

fn recover_key(
    digest: [u8; 32],
    signature: &MessageSignature,
    high_s: HighS,
) -> Result<PublicKey, Refusal> {
    let [id, compact @ ..] = &signature.0;
    let id = RecoveryId::try_from(i32::from(*id)).map_err(|_| Refusal::Recovery)?;
    let signature =
        RecoverableSignature::from_compact(compact, id).map_err(|_| Refusal::Recovery)?;
    if high_s == HighS::Refuse {
        let given = signature.to_standard();
        let mut low = given;
        low.normalize_s();
        if low != given {
            return Err(Refusal::HighS);
        }
    }
    CURVE
        .recover_ecdsa(Message::from_digest(digest), &signature)
        .map_err(|_| Refusal::Recovery)
}

/// Why one signature is refused, without its place.
enum Refusal {
    Recovery,
    HighS,
}

impl Refusal {
    fn at(self, role: Role, index: usize) -> SignatureError {
        match self {
            Self::Recovery => SignatureError::Recovery { role, index },
            Self::HighS => SignatureError::HighS { role, index },
        }
    }
}

/// Follows the chain of hashes through the signatures that a condition has so far.
fn recover(
    condition: &SpendingCondition,
    start: [u8; 32],
    role: Role,
    high_s: HighS,
) -> Result<Recovered, SignatureError> {
    let mut out = Recovered {
        keys: Vec::new(),
        signatures: 0,
        sighash: start,
    };
    let sign = |out: &mut Recovered, encoding, signature: &MessageSignature, index| {
        let digest = presign(&out.sighash, role, condition.fee, condition.nonce);
        let key =
            recover_key(digest, signature, high_s).map_err(|refusal| refusal.at(role, index))?;
        out.keys.push(SignerKey { key, encoding });
        out.signatures += 1;
        Ok(postsign(&digest, encoding, signature))
    };
    match &condition.authorization {
        Authorization::Single {
            key_encoding,
            signature,
            ..
        } => {
            out.sighash = sign(&mut out, *key_encoding, signature, 0)?;
        }
        Authorization::Multi { mode, fields, .. } => {
            for (index, field) in fields.iter().enumerate() {
                match field {
                    AuthField::PublicKey { encoding, key } => {
                        let key = PublicKey::from_slice(key)
                            .map_err(|_| SignatureError::PublicKey { role, index })?;
                        out.keys.push(SignerKey {
                            key,
                            encoding: *encoding,
                        });
                    }
                    AuthField::Signature {
                        encoding,
                        signature,
                    } => {
                        let next = sign(&mut out, *encoding, signature, index)?;
                        if !mode.is_order_independent() {
                            out.sighash = next;
                        }
                    }
                }
            }
        }
    }
    Ok(out)
}

/// Checks that the keys are the account's and that enough of them signed.
fn check(
    condition: &SpendingCondition,
    recovered: &Recovered,
    role: Role,
) -> Result<(), SignatureError> {
    let uncompressed = recovered
        .keys
        .iter()
        .any(|key| key.encoding == KeyEncoding::Uncompressed);
    let (found, segwit) = match &condition.authorization {
        Authorization::Single { mode, .. } => {
            let hash = recovered
                .keys
                .first()
                .map(|key| single_hash(*mode, *key))
                .unwrap_or_default();
            (hash, *mode == SingleSigMode::P2wpkh)
        }
        Authorization::Multi {
            mode,
            signatures_required,
            ..
        } => {
            let (found, required) = (recovered.signatures, *signatures_required);
            let enough = found == usize::from(required)
                || mode.is_order_independent() && found > usize::from(required);
            if !enough {
                return Err(SignatureError::Count {
                    role,
                    found,
                    required,
                });
            }
            (
                multi_hash(*mode, required, &recovered.keys),
                mode.is_segwit(),
            )
        }
    };
    if segwit && uncompressed {
        return Err(SignatureError::Uncompressed { role });
    }
    if found != condition.signer {
        return Err(SignatureError::Signer {
            role,
            found,
            expected: condition.signer,
        });
    }
    Ok(())
}

impl Transaction {
    /// Recovers the keys of every signature and checks that they are those of the accounts, as the
    /// node does when it accepts a transaction. Costs one recovery of a key for each signature; the
    /// longest transaction has room for some 30,000.
    ///
    /// # Errors
    /// A signature or key is malformed, the wrong number of keys signed, or the keys are not the
    /// account's, which is also what any change to a signed transaction looks like.
    pub fn verify(&self, high_s: HighS) -> Result<Signers, SignatureError> {
        let initial = self.initial_sighash();
        let condition = self.auth.origin();
        let origin = recover(condition, initial, Role::Origin, high_s)?;
        check(condition, &origin, Role::Origin)?;
        let mut signers = Signers {
            origin: origin.keys,
            sponsor: Vec::new(),
        };
        if let Some(condition) = self.auth.sponsor() {
            let sponsor = recover(condition, origin.sighash, Role::Sponsor, high_s)?;
            check(condition, &sponsor, Role::Sponsor)?;
            signers.sponsor = sponsor.keys;
        }
        Ok(signers)
    }

    /// The hash at which the next signature of a role starts.
    fn next_sighash(&self, role: Role) -> Result<[u8; 32], SignatureError> {
        let condition = self.condition(role)?;
        let before = match role {
            Role::Origin => self.initial_sighash(),
            // The sponsor signs over what the origin has signed.
            Role::Sponsor => {
                recover(
                    self.auth.origin(),
                    self.initial_sighash(),
                    Role::Origin,
                    HighS::Allow,
                )?
                .sighash
            }
        };
        match &condition.authorization {
            Authorization::Single { .. } => Ok(before),
            Authorization::Multi { .. } => {
                Ok(recover(condition, before, role, HighS::Allow)?.sighash)
            }
        }
    }

    fn condition(&self, role: Role) -> Result<&SpendingCondition, SignatureError> {
        match role {
            Role::Origin => Ok(self.auth.origin()),
            Role::Sponsor => self.auth.sponsor().ok_or(SignatureError::NotSponsored),
        }
    }

    fn condition_mut(&mut self, role: Role) -> Result<&mut SpendingCondition, SignatureError> {
        match (role, &mut self.auth) {
            (Role::Origin, auth) => Ok(auth.origin_mut()),
            (Role::Sponsor, Auth::Sponsored { sponsor, .. }) => Ok(sponsor),
            (Role::Sponsor, Auth::Standard(_)) => Err(SignatureError::NotSponsored),
        }
    }

    /// Signs with RFC 6979 and a low s: sets the signature of a single-signature condition, or adds
    /// one, of the compressed key, to a multi-signature condition, whose fields are filled in the
    /// order of the account's keys. The sponsor signs after the origin.
    ///
    /// # Errors
    /// The transaction has no sponsor, or a signature before this one is malformed.
    pub fn sign(&mut self, role: Role, secret: &SecretKey) -> Result<(), SignatureError> {
        let sighash = self.next_sighash(role)?;
        let condition = self.condition_mut(role)?;
        let digest = presign(&sighash, role, condition.fee, condition.nonce);
        let (id, compact) = CURVE
            .sign_ecdsa_recoverable(Message::from_digest(digest), secret)
            .serialize_compact();
        let mut bytes = [0; 65];
        bytes[0] = match id {
            RecoveryId::Zero => 0,
            RecoveryId::One => 1,
            RecoveryId::Two => 2,
            RecoveryId::Three => 3,
        };
        bytes[1..].copy_from_slice(&compact);
        match &mut condition.authorization {
            Authorization::Single { signature, .. } => *signature = MessageSignature(bytes),
            Authorization::Multi { fields, .. } => fields.push(AuthField::Signature {
                encoding: KeyEncoding::Compressed,
                signature: MessageSignature(bytes),
            }),
        }
        Ok(())
    }

    /// Lists a key of a multi-signature account that does not sign.
    ///
    /// # Errors
    /// The transaction has no sponsor, or the account has one key only.
    pub fn list_key(&mut self, role: Role, key: SignerKey) -> Result<(), SignatureError> {
        match &mut self.condition_mut(role)?.authorization {
            Authorization::Single { .. } => Err(SignatureError::NotMultiSig { role }),
            Authorization::Multi { fields, .. } => {
                fields.push(AuthField::PublicKey {
                    encoding: key.encoding,
                    key: key.key.serialize(),
                });
                Ok(())
            }
        }
    }
}
