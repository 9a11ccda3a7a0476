//! SIP-005 transactions.
//!
//! Decoding is total where the chain can grow: an unknown payload, post-condition or value type
//! leaves the header and the authorization decoded and the rest in [`Payload::Unknown`]; an unknown
//! mode, code, cause or Clarity version keeps its byte in an `Unknown(byte)` variant. Either way
//! the transaction encodes to the bytes it came from.
//!
//! The arguments of a call and the assets of non-fungible post-conditions stay encoded: they have
//! to be checked to find their end, which allocates nothing, and a reader that wants one argument
//! decodes that one ([`Arguments`], [`EncodedValue`]).
//!
//! The decoder is laxer than the node's where that costs no meaning, because it reads what the
//! chain has accepted and what wallets are still signing. It does not check the number of
//! signatures, that keys and VRF proofs are points on their curves, that a SegWit condition has
//! compressed keys, that the headers of a poison-microblock pair fork, and it keeps reserved bits of
//! the version byte. [`Transaction::verify`] checks what concerns signatures.
//!
//! Transactions out of a node are in canonical form: version 0x00 or 0x80, tuples in order. A node
//! that is handed another form rewrites it before hashing, so for such bytes [`Transaction::txid`],
//! which hashes the bytes as they are, is not the id that the node reports.

mod arguments;
mod auth;
mod condition;
mod kind;
mod payload;
mod sighash;
mod sign;

pub use arguments::Arguments;
pub use auth::{
    Auth, AuthField, Authorization, KeyEncoding, MessageSignature, MultiSigMode, SingleSigMode,
    SpendingCondition,
};
pub use condition::{
    Asset, ConditionPrincipal, FungibleCode, NonFungibleCode, PostCondition, PostConditionMode,
    PoxCode,
};
pub use kind::PayloadKind;
pub use payload::{
    ClarityVersion, MicroblockHeader, Payload, TenureCause, TenureChange, UnknownPayload,
};
pub use sighash::{Role, postsign, presign};
pub use sign::{HighS, SignatureError, SignerKey, Signers};

pub use super::value::EncodedValue;

use super::error::{DecodeError, DecodeReason};
use super::hash::sha512_256;
use super::principal::{
    ContractId, MAINNET_MULTI_SIG, MAINNET_SINGLE_SIG, Principal, StandardPrincipal,
    TESTNET_MULTI_SIG, TESTNET_SINGLE_SIG,
};
use super::reader::{Reader, put_length};

/// Longest transaction in bytes, that of a block (stacks-core `MAX_TRANSACTION_LEN`).
pub const MAX_TRANSACTION_LENGTH: usize = 2 * 1024 * 1024;
/// Version byte of mainnet transactions (SIP-005).
pub const MAINNET_VERSION: u8 = 0x00;
/// Version byte of transactions on testnets (SIP-005).
pub const TESTNET_VERSION: u8 = 0x80;
/// Chain id of mainnet (stacks-core `CHAIN_ID_MAINNET`).
pub const MAINNET_CHAIN_ID: u32 = 0x0000_0001;
/// Chain id of the testnet and of local networks (stacks-core `CHAIN_ID_TESTNET`).
pub const TESTNET_CHAIN_ID: u32 = 0x8000_0000;

/// An enumeration of bytes that the chain may extend.
macro_rules! open_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $byte:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
            /// A byte that this code does not know.
            Unknown(u8),
        }

        impl $name {
            /// The variant of a byte.
            pub fn from_byte(byte: u8) -> Self {
                match byte {
                    $($byte => Self::$variant,)*
                    other => Self::Unknown(other),
                }
            }

            /// The byte of the variant.
            pub fn to_byte(self) -> u8 {
                match self {
                    $(Self::$variant => $byte,)*
                    Self::Unknown(byte) => byte,
                }
            }
        }
    };
}
use open_enum;

open_enum! {
    /// Where a transaction could be mined before Nakamoto; written but without effect since.
    AnchorMode {
        /// In an anchored block only.
        OnChainOnly = 1,
        /// In a microblock only.
        OffChainOnly = 2,
        /// In either.
        Any = 3,
    }
}

/// A transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction {
    /// [`MAINNET_VERSION`] or [`TESTNET_VERSION`]; the chain looks at the highest bit only.
    pub version: u8,
    /// [`MAINNET_CHAIN_ID`], [`TESTNET_CHAIN_ID`] or that of another network.
    pub chain_id: u32,
    /// Who signs and who pays.
    pub auth: Auth,
    /// Where the transaction could be mined.
    pub anchor_mode: AnchorMode,
    /// What happens to assets that no post-condition names.
    pub post_condition_mode: PostConditionMode,
    /// What may leave whom. When the payload is unknown, conditions may be missing here:
    /// [`UnknownPayload::unread_conditions`].
    pub post_conditions: Vec<PostCondition>,
    /// What the transaction does.
    pub payload: Payload,
}

impl Transaction {
    /// Decodes bytes that hold one transaction and nothing else.
    ///
    /// # Errors
    /// The bytes are longer than [`MAX_TRANSACTION_LENGTH`], short, followed by others, or malformed.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        if bytes.len() > MAX_TRANSACTION_LENGTH {
            let reason = DecodeReason::TooLong {
                length: bytes.len(),
                limit: MAX_TRANSACTION_LENGTH,
            };
            return Err(reader.error("transaction", reason));
        }
        let transaction = Self::read(&mut reader)?;
        reader.finish("transaction")?;
        Ok(transaction)
    }

    /// Decodes the transaction at the start of the bytes, as they follow each other in a block;
    /// returns it with its length in bytes. A transaction of an unknown kind has no visible end and
    /// takes all the bytes.
    ///
    /// # Errors
    /// The bytes do not start with a transaction.
    pub fn decode_prefix(bytes: &[u8]) -> Result<(Self, usize), DecodeError> {
        let window = bytes.get(..MAX_TRANSACTION_LENGTH).unwrap_or(bytes);
        let mut reader = Reader::new(window);
        let transaction = Self::read(&mut reader)?;
        Ok((transaction, reader.offset()))
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let version = reader.u8("version")?;
        let chain_id = reader.u32("chain id")?;
        let auth = Auth::read(reader)?;
        let anchor_mode = AnchorMode::from_byte(reader.u8("anchor mode")?);
        let post_condition_mode = PostConditionMode::from_byte(reader.u8("post-condition mode")?);
        let count = reader.count("number of post-conditions", 1)?;
        let mut post_conditions = Vec::new();
        for at in 0..count {
            let start = reader.clone();
            match PostCondition::read(reader) {
                Ok(condition) => post_conditions.push(condition),
                Err(reason) if is_unknown_variant(&reason) => {
                    *reader = start;
                    let payload =
                        Payload::Unknown(UnknownPayload::rest(reader, reason, count - at));
                    return Ok(Self {
                        version,
                        chain_id,
                        auth,
                        anchor_mode,
                        post_condition_mode,
                        post_conditions,
                        payload,
                    });
                }
                Err(error) => return Err(error),
            }
        }
        let payload = Payload::read(reader)?;
        Ok(Self {
            version,
            chain_id,
            auth,
            anchor_mode,
            post_condition_mode,
            post_conditions,
            payload,
        })
    }

    /// The bytes of the transaction.
    pub fn encode(&self) -> Vec<u8> {
        self.encode_with(|out| self.auth.put(out))
    }

    /// The bytes of the transaction with another authorization in place of its own.
    fn encode_with(&self, put_auth: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        out.push(self.version);
        out.extend_from_slice(&self.chain_id.to_be_bytes());
        put_auth(&mut out);
        out.push(self.anchor_mode.to_byte());
        out.push(self.post_condition_mode.to_byte());
        let unread = match &self.payload {
            Payload::Unknown(unknown) => unknown.unread_conditions as usize,
            _ => 0,
        };
        put_length(&mut out, self.post_conditions.len().saturating_add(unread));
        for condition in &self.post_conditions {
            condition.put(&mut out);
        }
        self.payload.put(&mut out);
        out
    }

    /// The id of the transaction: SHA-512/256 of its bytes.
    pub fn txid(&self) -> [u8; 32] {
        sha512_256(&self.encode())
    }

    /// Whether the version is that of mainnet.
    pub fn is_mainnet(&self) -> bool {
        self.version & TESTNET_VERSION == 0
    }

    /// The account that acts.
    pub fn origin_address(&self) -> Principal {
        Principal::Standard(self.address_of(self.auth.origin()))
    }

    /// The account that pays for another, if one does.
    pub fn sponsor_address(&self) -> Option<Principal> {
        self.auth
            .sponsor()
            .map(|sponsor| Principal::Standard(self.address_of(sponsor)))
    }

    /// The sequence number of the origin's transaction.
    pub fn nonce(&self) -> u64 {
        self.auth.origin().nonce
    }

    /// The fee in micro-STX, all of it, paid by the sponsor if there is one.
    pub fn fee(&self) -> u64 {
        self.auth.payer().fee
    }

    /// What kind of transaction this is.
    pub fn payload_kind(&self) -> PayloadKind {
        self.payload.kind()
    }

    /// The contract that a call calls or that a deployment creates.
    pub fn contract_id(&self) -> Option<ContractId> {
        match &self.payload {
            Payload::ContractCall { contract, .. } => Some(contract.clone()),
            Payload::SmartContract { name, .. } => {
                let issuer = self.address_of(self.auth.origin());
                Some(ContractId {
                    issuer,
                    name: name.clone(),
                })
            }
            _ => None,
        }
    }

    /// Versions follow the script, not the number of keys: pay-to-witness-public-key-hash has one
    /// key and a multi-signature version (stacks-core `AddressHashMode::to_version_mainnet`).
    fn address_of(&self, condition: &SpendingCondition) -> StandardPrincipal {
        let pays_to_key_hash = matches!(
            condition.authorization,
            Authorization::Single {
                mode: SingleSigMode::P2pkh,
                ..
            }
        );
        let version = match (self.is_mainnet(), pays_to_key_hash) {
            (true, true) => MAINNET_SINGLE_SIG,
            (true, false) => MAINNET_MULTI_SIG,
            (false, true) => TESTNET_SINGLE_SIG,
            (false, false) => TESTNET_MULTI_SIG,
        };
        StandardPrincipal::of_known_version(version, condition.signer)
    }
}

/// Whether an error means that the chain has a variant that this code does not know, rather than
/// that the bytes are broken.
fn is_unknown_variant(error: &DecodeError) -> bool {
    matches!(
        error.reason,
        DecodeReason::UnknownTag { .. } | DecodeReason::UnknownPrefix { .. }
    )
}

#[cfg(test)]
mod tests;
