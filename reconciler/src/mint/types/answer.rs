//! What nodes say.

use serde::{Deserialize, Serialize};
use stxworx_indexer::model::TxId;

use super::Fee;

/// What a node said to a transaction. A closed set: what is not understood is [`Answer::Unclear`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "answer")]
pub enum Answer {
    /// 200 with our id: probably in its mempool.
    Accepted,
    /// The account's nonce is another.
    BadNonce {
        /// The account's.
        expected: u64,
        /// Ours.
        actual: u64,
    },
    /// Its mempool has a transaction of this nonce with at least this fee, on the same fork.
    ConflictingNonce,
    /// Less than the node wants.
    FeeTooLow {
        /// What it wants, where it says so.
        expected: Option<Fee>,
    },
    /// The key's account cannot pay.
    NotEnoughFunds,
    /// Too far above the account's nonce.
    TooMuchChaining,
    /// Can never be valid: contract, function, argument, version, signature, bytes.
    Permanent {
        /// The node's word.
        reason: String,
    },
    /// Not now: the node has it on a list of refused ones for some time.
    Later {
        /// The node's word.
        reason: String,
    },
    /// Nobody knows whether it was taken: time-out, 5xx, 429, a body that cannot be read, a connection that broke.
    Unclear {
        /// What happened.
        reason: String,
    },
}

/// What follows from an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Taken, it says.
    Accepted,
    /// It may have it.
    Ambiguous,
    /// This node does not have it. That says nothing of another node.
    Definite,
    /// No node will ever have it, this one says.
    Permanent,
}

impl Answer {
    /// Its class.
    pub fn class(&self) -> Class {
        match self {
            Self::Accepted => Class::Accepted,
            Self::Unclear { .. } => Class::Ambiguous,
            Self::Permanent { .. } => Class::Permanent,
            Self::BadNonce { .. }
            | Self::ConflictingNonce
            | Self::FeeTooLow { .. }
            | Self::NotEnoughFunds
            | Self::TooMuchChaining
            | Self::Later { .. } => Class::Definite,
        }
    }

    /// Its name in the store and in metrics.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::BadNonce { .. } => "bad_nonce",
            Self::ConflictingNonce => "conflicting_nonce",
            Self::FeeTooLow { .. } => "fee_too_low",
            Self::NotEnoughFunds => "not_enough_funds",
            Self::TooMuchChaining => "too_much_chaining",
            Self::Permanent { .. } => "permanent",
            Self::Later { .. } => "later",
            Self::Unclear { .. } => "unclear",
        }
    }
}

/// Does a node have a transaction in its mempool?
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Presence {
    /// Yes.
    Pending,
    /// It does not know it, which is no proof that it was dropped.
    Absent,
    /// It said that it dropped it.
    Dropped(Dropped),
    /// It did not say.
    Unknown,
}

/// Why a node dropped a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dropped {
    /// Another one with a higher fee.
    ReplacedByFee {
        /// Which, where it says so.
        by: Option<TxId>,
    },
    /// Another one, on another fork.
    ReplacedAcrossFork,
    /// It would use too much of a block.
    TooExpensive,
    /// It waited too long.
    Stale,
    /// It is a danger to the node.
    Problematic,
}
