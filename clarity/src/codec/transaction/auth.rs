//! Who signs a transaction and who pays for it.

use std::fmt;

use crate::codec::error::{DecodeError, DecodeReason};
use crate::codec::reader::{Reader, put_length};

/// Authorization flag: the origin pays (SIP-005).
pub(super) const STANDARD: u8 = 0x04;
/// Authorization flag: a sponsor pays (SIP-005).
pub(super) const SPONSORED: u8 = 0x05;

const FIELD_KEY_COMPRESSED: u8 = 0x00;
const FIELD_KEY_UNCOMPRESSED: u8 = 0x01;
const FIELD_SIGNATURE_COMPRESSED: u8 = 0x02;
const FIELD_SIGNATURE_UNCOMPRESSED: u8 = 0x03;
/// Bytes of the shortest field of a multi-signature condition: an id and a public key.
const SHORTEST_FIELD: usize = 34;

/// The authorization of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Auth {
    /// The origin acts and pays.
    Standard(SpendingCondition),
    /// The origin acts, the sponsor pays.
    Sponsored {
        /// The account that acts.
        origin: SpendingCondition,
        /// The account that pays.
        sponsor: SpendingCondition,
    },
}

/// One account's part of an authorization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpendingCondition {
    /// The hash160 that is the account's address.
    pub signer: [u8; 20],
    /// The account's sequence number for this transaction, from 0.
    pub nonce: u64,
    /// The fee that the account offers, in micro-STX for the whole transaction.
    pub fee: u64,
    /// The keys and signatures.
    pub authorization: Authorization,
}

/// Keys and signatures of a spending condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authorization {
    /// One key.
    Single {
        /// How the key became the address.
        mode: SingleSigMode,
        /// How the key was written when it was hashed.
        key_encoding: KeyEncoding,
        /// The signature; zeroes when there is none yet.
        signature: MessageSignature,
    },
    /// Several keys, of which some number must sign.
    Multi {
        /// How the keys became the address, and in which order they sign.
        mode: MultiSigMode,
        /// Every key of the account in order: as a signature, or as itself if it did not sign.
        fields: Vec<AuthField>,
        /// How many keys must sign.
        signatures_required: u16,
    },
}

/// How one key becomes an address (stacks-core `SinglesigHashMode`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SingleSigMode {
    /// 0x00, hash of the key.
    P2pkh,
    /// 0x02, hash of a SegWit script of the key.
    P2wpkh,
}

/// How several keys become an address (stacks-core `MultisigHashMode` and
/// `OrderIndependentMultisigHashMode`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MultiSigMode {
    /// 0x01, hash of a script; each signs over the signatures before.
    P2sh,
    /// 0x03, hash of a SegWit script; each signs over the signatures before.
    P2wsh,
    /// 0x05, as 0x01, but each signs the same hash (since epoch 3.0).
    P2shOrderIndependent,
    /// 0x07, as 0x03, but each signs the same hash (since epoch 3.0).
    P2wshOrderIndependent,
}

impl MultiSigMode {
    /// Whether all keys sign the same hash.
    pub fn is_order_independent(self) -> bool {
        matches!(
            self,
            Self::P2shOrderIndependent | Self::P2wshOrderIndependent
        )
    }

    /// Whether the script is a SegWit one, which takes compressed keys only.
    pub fn is_segwit(self) -> bool {
        matches!(self, Self::P2wsh | Self::P2wshOrderIndependent)
    }
}

/// How a public key is written when it is hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyEncoding {
    /// 33 bytes.
    Compressed,
    /// 65 bytes.
    Uncompressed,
}

impl KeyEncoding {
    /// 0 compressed, 1 uncompressed.
    pub fn to_byte(self) -> u8 {
        match self {
            Self::Compressed => 0,
            Self::Uncompressed => 1,
        }
    }
}

/// A recoverable secp256k1 signature: recovery id, r, s.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct MessageSignature(pub [u8; 65]);

impl MessageSignature {
    /// The zeroes that stand for a missing signature.
    pub const EMPTY: Self = Self([0; 65]);
}

impl fmt::Debug for MessageSignature {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&hex::encode(self.0))
    }
}

/// One key of a multi-signature account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthField {
    /// A key that did not sign.
    PublicKey {
        /// How the key is written when it is hashed.
        encoding: KeyEncoding,
        /// The key, compressed whatever the encoding; not checked to be on the curve.
        key: [u8; 33],
    },
    /// The signature of a key.
    Signature {
        /// How the key is written when it is hashed.
        encoding: KeyEncoding,
        /// The signature, from which the key is recovered.
        signature: MessageSignature,
    },
}

impl Auth {
    /// The account that acts.
    pub fn origin(&self) -> &SpendingCondition {
        match self {
            Self::Standard(origin) | Self::Sponsored { origin, .. } => origin,
        }
    }

    /// The account that acts.
    pub fn origin_mut(&mut self) -> &mut SpendingCondition {
        match self {
            Self::Standard(origin) | Self::Sponsored { origin, .. } => origin,
        }
    }

    /// The account that pays for another, if one does.
    pub fn sponsor(&self) -> Option<&SpendingCondition> {
        match self {
            Self::Standard(_) => None,
            Self::Sponsored { sponsor, .. } => Some(sponsor),
        }
    }

    /// The account that pays for another, if one does.
    pub fn sponsor_mut(&mut self) -> Option<&mut SpendingCondition> {
        match self {
            Self::Standard(_) => None,
            Self::Sponsored { sponsor, .. } => Some(sponsor),
        }
    }

    /// The account that pays: the sponsor, or the origin without one.
    pub fn payer(&self) -> &SpendingCondition {
        self.sponsor().unwrap_or_else(|| self.origin())
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let start = reader.clone();
        match reader.u8("authorization flag")? {
            STANDARD => SpendingCondition::read(reader).map(Self::Standard),
            SPONSORED => Ok(Self::Sponsored {
                origin: SpendingCondition::read(reader)?,
                sponsor: SpendingCondition::read(reader)?,
            }),
            found => {
                let expected = "0x04 (standard) or 0x05 (sponsored)";
                Err(start.error(
                    "authorization flag",
                    DecodeReason::UnknownTag { found, expected },
                ))
            }
        }
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Standard(origin) => {
                out.push(STANDARD);
                origin.put(out);
            }
            Self::Sponsored { origin, sponsor } => {
                out.push(SPONSORED);
                origin.put(out);
                sponsor.put(out);
            }
        }
    }
}

/// What a hash mode byte announces.
enum Mode {
    Single(SingleSigMode),
    Multi(MultiSigMode),
}

fn read_mode(reader: &mut Reader<'_>) -> Result<Mode, DecodeError> {
    let start = reader.clone();
    Ok(match reader.u8("hash mode")? {
        0x00 => Mode::Single(SingleSigMode::P2pkh),
        0x01 => Mode::Multi(MultiSigMode::P2sh),
        0x02 => Mode::Single(SingleSigMode::P2wpkh),
        0x03 => Mode::Multi(MultiSigMode::P2wsh),
        0x05 => Mode::Multi(MultiSigMode::P2shOrderIndependent),
        0x07 => Mode::Multi(MultiSigMode::P2wshOrderIndependent),
        found => {
            let expected = "0x00 to 0x03, 0x05 or 0x07";
            return Err(start.error("hash mode", DecodeReason::UnknownTag { found, expected }));
        }
    })
}

fn read_key_encoding(reader: &mut Reader<'_>) -> Result<KeyEncoding, DecodeError> {
    let start = reader.clone();
    match reader.u8("key encoding")? {
        0 => Ok(KeyEncoding::Compressed),
        1 => Ok(KeyEncoding::Uncompressed),
        found => {
            let expected = "0 (compressed) or 1 (uncompressed)";
            Err(start.error("key encoding", DecodeReason::UnknownTag { found, expected }))
        }
    }
}

fn read_signature(reader: &mut Reader<'_>) -> Result<MessageSignature, DecodeError> {
    reader.array("signature").copied().map(MessageSignature)
}

impl SpendingCondition {
    /// The byte of the hash mode (SIP-005).
    pub fn hash_mode(&self) -> u8 {
        match self.authorization {
            Authorization::Single {
                mode: SingleSigMode::P2pkh,
                ..
            } => 0x00,
            Authorization::Single {
                mode: SingleSigMode::P2wpkh,
                ..
            } => 0x02,
            Authorization::Multi {
                mode: MultiSigMode::P2sh,
                ..
            } => 0x01,
            Authorization::Multi {
                mode: MultiSigMode::P2wsh,
                ..
            } => 0x03,
            Authorization::Multi {
                mode: MultiSigMode::P2shOrderIndependent,
                ..
            } => 0x05,
            Authorization::Multi {
                mode: MultiSigMode::P2wshOrderIndependent,
                ..
            } => 0x07,
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mode = read_mode(reader)?;
        let signer = *reader.array("signer")?;
        let nonce = reader.u64("nonce")?;
        let fee = reader.u64("fee")?;
        let authorization = match mode {
            Mode::Single(mode) => Authorization::Single {
                mode,
                key_encoding: read_key_encoding(reader)?,
                signature: read_signature(reader)?,
            },
            Mode::Multi(mode) => Authorization::Multi {
                mode,
                fields: read_fields(reader)?,
                signatures_required: reader.u16("number of signatures required")?,
            },
        };
        Ok(Self {
            signer,
            nonce,
            fee,
            authorization,
        })
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) {
        out.push(self.hash_mode());
        out.extend_from_slice(&self.signer);
        out.extend_from_slice(&self.nonce.to_be_bytes());
        out.extend_from_slice(&self.fee.to_be_bytes());
        match &self.authorization {
            Authorization::Single {
                key_encoding,
                signature,
                ..
            } => {
                out.push(key_encoding.to_byte());
                out.extend_from_slice(&signature.0);
            }
            Authorization::Multi {
                fields,
                signatures_required,
                ..
            } => {
                put_length(out, fields.len());
                for field in fields {
                    field.put(out);
                }
                out.extend_from_slice(&signatures_required.to_be_bytes());
            }
        }
    }
}

fn read_fields(reader: &mut Reader<'_>) -> Result<Vec<AuthField>, DecodeError> {
    let count = reader.count("number of keys", SHORTEST_FIELD)?;
    let mut fields = Vec::with_capacity(count as usize);
    for _ in 0..count {
        fields.push(AuthField::read(reader)?);
    }
    Ok(fields)
}

impl AuthField {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let start = reader.clone();
        let id = reader.u8("key field")?;
        let encoding = match id {
            FIELD_KEY_COMPRESSED | FIELD_SIGNATURE_COMPRESSED => KeyEncoding::Compressed,
            _ => KeyEncoding::Uncompressed,
        };
        match id {
            FIELD_KEY_COMPRESSED | FIELD_KEY_UNCOMPRESSED => Ok(Self::PublicKey {
                encoding,
                key: *reader.array("public key")?,
            }),
            FIELD_SIGNATURE_COMPRESSED | FIELD_SIGNATURE_UNCOMPRESSED => Ok(Self::Signature {
                encoding,
                signature: read_signature(reader)?,
            }),
            found => {
                let expected = "0x00 or 0x01 (public key), 0x02 or 0x03 (signature)";
                Err(start.error("key field", DecodeReason::UnknownTag { found, expected }))
            }
        }
    }

    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::PublicKey { encoding, key } => {
                out.push(FIELD_KEY_COMPRESSED + encoding.to_byte());
                out.extend_from_slice(key);
            }
            Self::Signature {
                encoding,
                signature,
            } => {
                out.push(FIELD_SIGNATURE_COMPRESSED + encoding.to_byte());
                out.extend_from_slice(&signature.0);
            }
        }
    }
}
