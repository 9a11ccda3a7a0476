//! Where an intent stands, and why.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Where an intent stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IntentState {
    /// Earned; waits for a person's approval.
    Eligible,
    /// Waits for a slot.
    Queued,
    /// Has a slot that is not on the canonical chain.
    Submitting,
    /// An attempt of its slot is on the canonical chain, not final.
    Included,
    /// Minted by us, at final depth. The end.
    FinalOk,
    /// Its transaction failed at final depth; what comes next is decided from here.
    FinalFailed,
    /// A person must look.
    Review,
    /// Waits for something outside; has no slot.
    Held,
    /// The owner has the badge, and none of our transactions minted it. The end.
    SatisfiedElsewhere,
    /// Called off. The end.
    Cancelled,
    /// Cannot be minted. The end, unless a person queues it again.
    Dead,
}

impl IntentState {
    /// All of them, in the order in which they are told.
    pub const ALL: [Self; 11] = [
        Self::Eligible,
        Self::Queued,
        Self::Submitting,
        Self::Included,
        Self::FinalOk,
        Self::FinalFailed,
        Self::Review,
        Self::Held,
        Self::SatisfiedElsewhere,
        Self::Cancelled,
        Self::Dead,
    ];

    /// Its name in the store, in metrics and in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Eligible => "eligible",
            Self::Queued => "queued",
            Self::Submitting => "submitting",
            Self::Included => "included",
            Self::FinalOk => "final_ok",
            Self::FinalFailed => "final_failed",
            Self::Review => "review",
            Self::Held => "held",
            Self::SatisfiedElsewhere => "satisfied_elsewhere",
            Self::Cancelled => "cancelled",
            Self::Dead => "dead",
        }
    }

    /// The state of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == name)
    }

    /// Is there nothing left to do by itself?
    pub fn is_over(self) -> bool {
        matches!(
            self,
            Self::FinalOk | Self::SatisfiedElsewhere | Self::Cancelled | Self::Dead
        )
    }

    /// Does it have a slot that may still be mined, or undone by a fork?
    pub fn has_slot(self) -> bool {
        matches!(self, Self::Submitting | Self::Included)
    }
}

impl fmt::Display for IntentState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why an intent is held, dead, in review or over: one word for metrics and filters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// What was earned when it was decided is not earned now (an average fell, an attestation ended).
    NotEarned,
    /// The contract revoked this badge and bars its owner.
    Revoked,
    /// The contract does not know the kind.
    UnknownKind,
    /// Our key is no minter of the contract.
    NotMinter,
    /// The owner has it already.
    AlreadyHeld,
    /// The node says that no such call is possible: contract, function or argument.
    Unsendable,
    /// The node dropped the transaction as problematic, or the chain skipped it.
    Problematic,
    /// Post-conditions stopped it, which a mint's empty list cannot explain.
    PostCondition,
    /// It failed in a way that the contract does not have.
    UnknownFailure,
    /// An operator called it off.
    Operator,
    /// The noop was mined in its place.
    NoopWon,
    /// Another transaction took the slot's nonce.
    NonceTaken,
    /// It failed too often.
    TooManyFailures,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::NotEarned,
        Self::Revoked,
        Self::UnknownKind,
        Self::NotMinter,
        Self::AlreadyHeld,
        Self::Unsendable,
        Self::Problematic,
        Self::PostCondition,
        Self::UnknownFailure,
        Self::Operator,
        Self::NoopWon,
        Self::NonceTaken,
        Self::TooManyFailures,
    ];

    /// Its name in the store and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotEarned => "not_earned",
            Self::Revoked => "revoked",
            Self::UnknownKind => "unknown_kind",
            Self::NotMinter => "not_minter",
            Self::AlreadyHeld => "already_held",
            Self::Unsendable => "unsendable",
            Self::Problematic => "problematic",
            Self::PostCondition => "post_condition",
            Self::UnknownFailure => "unknown_failure",
            Self::Operator => "operator",
            Self::NoopWon => "noop_won",
            Self::NonceTaken => "nonce_taken",
            Self::TooManyFailures => "too_many_failures",
        }
    }

    /// The reason of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|r| r.as_str() == name)
    }
}
