//! What stops the mints, and why.

use serde::{Deserialize, Serialize};

use super::{LaneId, Seconds};

/// What a pause stops.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "scope")]
pub enum Scope {
    /// Everything.
    Global,
    /// A contract.
    Contract {
        /// Which.
        contract: String,
    },
    /// A lane.
    Lane(LaneId),
}

impl Scope {
    /// Does it stop this lane?
    pub fn stops(&self, lane: &LaneId) -> bool {
        match self {
            Self::Global => true,
            Self::Contract { contract } => *contract == lane.contract,
            Self::Lane(other) => other == lane,
        }
    }
}

/// Why something is paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PauseCode {
    /// An operator said so.
    Manual,
    /// The key was used by somebody else.
    ForeignUse,
    /// Our key is no minter of the contract.
    NotMinter,
    /// The chain left what was final.
    DeepReorg,
    /// A transaction of ours was dropped or skipped as problematic.
    Problematic,
    /// Another transaction of the key that is not ours holds a nonce in the mempool.
    Occupied,
    /// The key's account cannot pay.
    NoFunds,
    /// A break about custody, the mirror or the key is open.
    OpenBreak,
    /// The mirror violates one of its invariants.
    Violation,
    /// The day's budget for fees is used up, but for what is kept for the head of the line.
    FeeBudget,
}

impl PauseCode {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Manual,
        Self::ForeignUse,
        Self::NotMinter,
        Self::DeepReorg,
        Self::Problematic,
        Self::Occupied,
        Self::NoFunds,
        Self::OpenBreak,
        Self::Violation,
        Self::FeeBudget,
    ];

    /// Its name in the store and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Manual => "manual",
            Self::ForeignUse => "foreign_use",
            Self::NotMinter => "not_minter",
            Self::DeepReorg => "deep_reorg",
            Self::Problematic => "problematic",
            Self::Occupied => "occupied",
            Self::NoFunds => "no_funds",
            Self::OpenBreak => "open_break",
            Self::Violation => "violation",
            Self::FeeBudget => "fee_budget",
        }
    }

    /// The code of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|c| c.as_str() == name)
    }

    /// Are stored bytes sent on while it lasts? A node's "no" for want of funds, or for another transaction in its
    /// mempool, is asked for again until it is gone.
    pub fn lets_send(self) -> bool {
        matches!(self, Self::NoFunds | Self::Occupied | Self::FeeBudget)
    }

    /// Must a person lift it? The others go when their cause does.
    pub fn is_sticky(self) -> bool {
        matches!(
            self,
            Self::Manual | Self::ForeignUse | Self::DeepReorg | Self::Problematic
        )
    }
}

/// A pause that is in force. There is one at most of each scope and code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    /// What it stops.
    pub scope: Scope,
    /// Why.
    pub code: PauseCode,
    /// In words.
    pub detail: String,
    /// Who: an operator, or `minter`.
    pub author: String,
    /// Since when.
    pub since_s: Seconds,
}
