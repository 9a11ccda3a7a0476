//! Bytes of the chain into types and back: Clarity values and SIP-005 transactions.
//!
//! Everything here is pure and total. Any bytes are either decoded or refused with a
//! [`DecodeError`] that says what was being read, at which byte, and what was expected; nothing
//! panics, nothing recurses or allocates past a fixed bound. What was decoded encodes to the same
//! bytes, also where the chain has grown variants that this code does not know.
//!
//! Amounts and fees are in micro-STX.

mod error;
pub mod hash;
mod name;
mod principal;
mod reader;
pub mod transaction;
pub mod value;

pub use error::{
    BuildError, DecodeError, DecodeReason, NameError, NameReason, PrincipalError, PrincipalReason,
};
pub use hash::{hash160, index_block_hash, sha512_256};
pub use name::{ClarityName, ContractName, MAX_CONTRACT_NAME_LENGTH, MAX_NAME_LENGTH};
pub use principal::{
    ContractId, MAINNET_MULTI_SIG, MAINNET_SINGLE_SIG, Principal, StandardPrincipal,
    TESTNET_MULTI_SIG, TESTNET_SINGLE_SIG,
};
pub use transaction::{PayloadKind, Transaction};
pub use value::{Value, ValueRef};
