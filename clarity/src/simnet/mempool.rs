//! Transactions that wait, and what is said to those that may not.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::block::TxId;
use crate::codec::Principal;
use crate::codec::transaction::Transaction;

/// Transactions of one account that may wait at once (stacks-core `MAXIMUM_MEMPOOL_TX_CHAINING`).
pub const MAX_CHAINING: u64 = 25;

/// Why a transaction is not admitted; names and data are the node's (stacks-core `MemPoolRejection`).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// The bytes are no transaction.
    #[error("the bytes are no transaction: {0}")]
    Deserialization(String),
    /// A signature is not that of the account.
    #[error("a signature is not the account's: {0}")]
    SignatureValidation(String),
    /// The fee is below the floor.
    #[error("a fee of {actual} micro-STX is below {expected}")]
    FeeTooLow {
        /// The floor, micro-STX.
        expected: u64,
        /// What was offered, micro-STX.
        actual: u64,
    },
    /// The nonce was used.
    #[error("nonce {actual} of {principal} was used; the next is {expected}")]
    BadNonce {
        /// The account's next nonce.
        expected: u64,
        /// The transaction's.
        actual: u64,
        /// Whose.
        principal: String,
        /// Whether the account is the origin, not the sponsor.
        is_origin: bool,
    },
    /// Too many are waiting.
    #[error("nonce {actual} of {principal} is more than {MAX_CHAINING} ahead of {expected}")]
    TooMuchChaining {
        /// The largest nonce that would do.
        expected: u64,
        /// The transaction's.
        actual: u64,
        /// Whose.
        principal: String,
        /// Whether the account is the origin, not the sponsor.
        is_origin: bool,
    },
    /// Another one with this nonce waits and pays as much.
    #[error("another transaction with this nonce waits, and its fee is not lower")]
    ConflictingNonceInMempool,
    /// The account cannot pay fee and amount.
    #[error("the account has {actual} micro-STX and needs {expected}")]
    NotEnoughFunds {
        /// What it needs, micro-STX.
        expected: u128,
        /// What it has, micro-STX.
        actual: u128,
    },
    /// The contract is not there.
    #[error("there is no such contract")]
    NoSuchContract,
    /// The function is not there, or not public.
    #[error("there is no such public function")]
    NoSuchPublicFunction,
    /// The arguments are not the function's.
    #[error("the arguments do not fit: {0}")]
    BadFunctionArgument(String),
    /// The name is taken.
    #[error("{0} is deployed already")]
    ContractAlreadyExists(String),
    /// The transaction is for another network.
    #[error("the transaction is for another network")]
    BadTransactionVersion,
    /// An address is of another network.
    #[error("an address is of another network")]
    BadAddressVersionByte,
    /// STX to oneself.
    #[error("{0} cannot send to itself")]
    TransferRecipientCannotEqualSender(String),
    /// No STX.
    #[error("a transfer needs an amount")]
    TransferAmountMustBePositive,
    /// Miners' business.
    #[error("coinbases do not come this way")]
    NoCoinbaseViaMempool,
    /// Miners' business.
    #[error("tenure changes do not come this way")]
    NoTenureChangeViaMempool,
    /// Anything else.
    #[error("{0}")]
    ServerFailureOther(String),
}

impl Rejection {
    /// The node's `reason`.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Deserialization(_) => "Deserialization",
            Self::SignatureValidation(_) => "SignatureValidation",
            Self::FeeTooLow { .. } => "FeeTooLow",
            Self::BadNonce { .. } => "BadNonce",
            Self::TooMuchChaining { .. } => "TooMuchChaining",
            Self::ConflictingNonceInMempool => "ConflictingNonceInMempool",
            Self::NotEnoughFunds { .. } => "NotEnoughFunds",
            Self::NoSuchContract => "NoSuchContract",
            Self::NoSuchPublicFunction => "NoSuchPublicFunction",
            Self::BadFunctionArgument(_) => "BadFunctionArgument",
            Self::ContractAlreadyExists(_) => "ContractAlreadyExists",
            Self::BadTransactionVersion => "BadTransactionVersion",
            Self::BadAddressVersionByte => "BadAddressVersionByte",
            Self::TransferRecipientCannotEqualSender(_) => "TransferRecipientCannotEqualSender",
            Self::TransferAmountMustBePositive => "TransferAmountMustBePositive",
            Self::NoCoinbaseViaMempool => "NoCoinbaseViaMempool",
            Self::NoTenureChangeViaMempool => "NoTenureChangeViaMempool",
            Self::ServerFailureOther(_) => "ServerFailureOther",
        }
    }

    /// The node's answer to `POST /v2/transactions`.
    pub fn to_json(&self, txid: Option<&TxId>) -> Json {
        let data = match self {
            Self::Deserialization(message)
            | Self::SignatureValidation(message)
            | Self::BadFunctionArgument(message)
            | Self::ServerFailureOther(message) => Some(json!({ "message": message })),
            Self::FeeTooLow { expected, actual } => {
                Some(json!({ "expected": expected, "actual": actual }))
            }
            Self::BadNonce {
                expected,
                actual,
                principal,
                is_origin,
            } => Some(
                json!({ "expected": expected, "actual": actual, "principal": principal, "is_origin": is_origin }),
            ),
            Self::TooMuchChaining {
                expected,
                actual,
                principal,
                is_origin,
            } => Some(json!({
                "message": self.to_string(), "expected": expected, "actual": actual,
                "principal": principal, "is_origin": is_origin
            })),
            Self::NotEnoughFunds { expected, actual } => Some(json!({
                "expected": format!("0x{expected:032x}"), "actual": format!("0x{actual:032x}")
            })),
            Self::ContractAlreadyExists(id) => Some(json!({ "contract_identifier": id })),
            Self::TransferRecipientCannotEqualSender(recipient) => {
                Some(json!({ "recipient": recipient }))
            }
            _ => None,
        };
        let mut answer = json!({
            "error": "transaction rejected",
            "reason": self.reason(),
            "txid": txid.map(hex::encode).unwrap_or_default(),
        });
        if let (Some(data), Some(object)) = (data, answer.as_object_mut()) {
            object.insert("reason_data".to_owned(), data);
        }
        answer
    }
}

/// One that waits.
#[derive(Debug, Clone)]
pub(super) struct Waiting {
    pub txid: TxId,
    pub transaction: Arc<Transaction>,
    /// Order of arrival.
    pub arrival: u64,
}

/// A transaction that will not be mined, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dropped {
    /// Which.
    pub txid: TxId,
    /// The node's word, for instance `ReplaceByFee`.
    pub reason: &'static str,
    /// What took its place.
    pub new_txid: Option<TxId>,
}

/// All that wait, by account and nonce.
#[derive(Debug, Clone, Default)]
pub(super) struct Mempool {
    by_account: BTreeMap<String, BTreeMap<u64, Waiting>>,
    arrivals: u64,
    pub dropped: Vec<Dropped>,
}

impl Mempool {
    pub(super) fn len(&self) -> usize {
        self.by_account.values().map(BTreeMap::len).sum()
    }

    pub(super) fn get(&self, origin: &Principal, nonce: u64) -> Option<&Waiting> {
        self.by_account.get(&origin.to_string())?.get(&nonce)
    }

    pub(super) fn find(&self, txid: &TxId) -> Option<&Waiting> {
        self.by_account
            .values()
            .flat_map(BTreeMap::values)
            .find(|w| w.txid == *txid)
    }

    pub(super) fn insert(&mut self, origin: &Principal, txid: TxId, transaction: Transaction) {
        self.arrivals += 1;
        let nonce = transaction.nonce();
        let waiting = Waiting {
            txid,
            transaction: Arc::new(transaction),
            arrival: self.arrivals,
        };
        let replaced = self
            .by_account
            .entry(origin.to_string())
            .or_default()
            .insert(nonce, waiting);
        if let Some(old) = replaced.filter(|old| old.txid != txid) {
            self.dropped.push(Dropped {
                txid: old.txid,
                reason: "ReplaceByFee",
                new_txid: Some(txid),
            });
        }
    }

    /// The first nonce from `next` on that nobody waits with.
    pub(super) fn next_nonce(&self, origin: &Principal, next: u64) -> u64 {
        let Some(waiting) = self.by_account.get(&origin.to_string()) else {
            return next;
        };
        let mut nonce = next;
        while waiting.contains_key(&nonce) {
            nonce += 1;
        }
        nonce
    }

    /// Every account with its lowest waiting nonce, in order of arrival of what waits there.
    pub(super) fn heads(&self) -> Vec<Waiting> {
        let mut heads: Vec<Waiting> = self
            .by_account
            .values()
            .filter_map(|w| w.values().next().cloned())
            .collect();
        heads.sort_by_key(|w| w.arrival);
        heads
    }

    pub(super) fn remove(&mut self, origin: &Principal, nonce: u64) -> Option<Waiting> {
        let account = origin.to_string();
        let waiting = self.by_account.get_mut(&account)?;
        let removed = waiting.remove(&nonce);
        if waiting.is_empty() {
            self.by_account.remove(&account);
        }
        removed
    }
}
