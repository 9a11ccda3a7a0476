//! What the mints are made of.

mod state;
mod answer;
mod chain;
mod pause;

use serde::{Deserialize, Serialize};
use stxworx_indexer::model::TxId;

pub use answer::{Answer, Class, Dropped, Presence};
pub use chain::{
    Account, ChainView, Held, Inclusion, Kind, Meaning, OwnTx, Person, Preflight, Tip, Verdict,
    Wanted,
};
pub use pause::{Pause, PauseCode, Scope};
pub use state::{IntentState, Reason};

/// Number of an intent in the store.
pub type IntentId = i64;
/// Micro-STX of one transaction. A transaction has 64 bits for its fee.
pub type Fee = u64;
/// Unix seconds by the store's clock, which alone decides leases, timers and budgets.
pub type Seconds = u64;

/// The lane in which nonces are given out: one per badge contract and key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LaneId {
    /// The badge contract, `ADDRESS.NAME`.
    pub contract: String,
    /// The minter's address.
    pub sender: String,
}

/// What somebody earned. Unique.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AwardKey {
    /// The badge contract.
    pub contract: String,
    /// Who earned it.
    pub recipient: String,
    /// What for; see the contract's `kind-set`.
    pub kind: u64,
    /// From 1; rises only after the contract revoked the badge in a way that does not bar its owner.
    pub seq: u32,
}

/// The final facts on which an award rests, as canonical JSON with its hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// RFC 8785 text.
    pub json: String,
    /// SHA-256 of it.
    pub hash: [u8; 32],
}

/// The work of minting one award.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intent {
    /// Its number.
    pub id: IntentId,
    /// What is minted.
    pub award: AwardKey,
    /// Where it stands.
    pub state: IntentState,
    /// Why, where the state wants a reason.
    pub reason: Option<Reason>,
    /// Since when it stands there.
    pub since_s: Seconds,
    /// An operator wants it gone: who. Bytes that exist already may win all the same.
    pub cancel: Option<String>,
    /// How many of its slots ended in a failure on the chain.
    pub failures: u32,
    /// How often what was final was taken back; a part of its lines' ids.
    pub retractions: u32,
}

/// What kind of transaction an attempt is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Payload {
    /// `mint` of the intent's award.
    Mint,
    /// One micro-STX to the followed treasury: it uses the nonce up, and the mirror sees it.
    Noop,
}

impl Payload {
    /// Its name in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mint => "mint",
            Self::Noop => "noop",
        }
    }
}

/// Where a nonce stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SlotState {
    /// Given out; nothing is signed, so that nothing can be on its way.
    Reserved,
    /// At least one attempt is stored, and may be on its way.
    Live,
    /// One of our attempts used it up, at final depth.
    Consumed,
    /// Something else used it up, at final depth.
    Dead,
}

impl SlotState {
    /// Its name in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reserved => "reserved",
            Self::Live => "live",
            Self::Consumed => "consumed",
            Self::Dead => "dead",
        }
    }

    /// Can its nonce still be used by us?
    pub fn is_open(self) -> bool {
        matches!(self, Self::Reserved | Self::Live)
    }
}

/// A nonce, and what it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// The nonce. With the lane it is the slot's identity.
    pub nonce: u64,
    /// For whom; none when its intent was let go before anything was signed, so that only a noop may be signed.
    pub intent: Option<IntentId>,
    /// Where it stands.
    pub state: SlotState,
    /// Given out under this epoch of the lease. It never falls as the nonce rises.
    pub epoch: i64,
    /// When it was given out.
    pub reserved_s: Seconds,
    /// The attempt that is on the canonical chain, as it was seen last. Of a consumed slot, the final one.
    pub included: Option<Inclusion>,
    /// Was it consumed, and did the chain then leave what was final? Waits for a person.
    pub left_final: bool,
    /// Signed transactions, oldest and cheapest first.
    pub attempts: Vec<Attempt>,
}

impl Slot {
    /// The newest attempt, which is the dearest.
    pub fn newest(&self) -> Option<&Attempt> {
        self.attempts.last()
    }

    /// The attempt of this transaction.
    pub fn attempt(&self, txid: &TxId) -> Option<&Attempt> {
        self.attempts.iter().find(|a| a.txid == *txid)
    }
}

/// A signed transaction. Its bytes never change and are never removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Its id.
    pub txid: TxId,
    /// What it does.
    pub payload: Payload,
    /// What it costs.
    pub fee: Fee,
    /// SIP-005 bytes with the signature.
    pub bytes: Vec<u8>,
    /// When it was stored.
    pub signed_s: Seconds,
    /// Height of the mirror's tip then: while the chain stands still, nothing is too old.
    pub signed_height: u32,
    /// Was it taken over from the chain, and not signed by what is stored here?
    pub adopted: bool,
    /// What nodes said, oldest first. May be cut to the newest few.
    pub sends: Vec<Send>,
}

/// One sending of an attempt's bytes to one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Send {
    /// Which node, by its number in the configuration.
    pub node: usize,
    /// When the answer was stored.
    pub at_s: Seconds,
    /// What it said.
    pub answer: Answer,
}

/// A transaction to be signed. Nothing else can be: the list of what is allowed is this type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnsignedMint {
    /// The badge contract, `ADDRESS.NAME`.
    pub contract: String,
    /// What it does.
    pub call: Call,
    /// The nonce.
    pub nonce: u64,
    /// The fee.
    pub fee: Fee,
}

/// What may be signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// `mint(recipient, kind)` of the badge contract, Deny mode, no post-conditions.
    Mint {
        /// Whose badge.
        recipient: String,
        /// Which kind.
        kind: u64,
    },
    /// A transfer of one micro-STX to the treasury, Deny mode.
    Noop {
        /// The treasury contract, followed by the mirror.
        treasury: String,
    },
}

impl Call {
    /// Its kind.
    pub fn payload(&self) -> Payload {
        match self {
            Self::Mint { .. } => Payload::Mint,
            Self::Noop { .. } => Payload::Noop,
        }
    }
}

/// A signed transaction that is not stored yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// Its id.
    pub txid: TxId,
    /// SIP-005 bytes.
    pub bytes: Vec<u8>,
}

/// What nobody can find out from the chain, to be told outside once: a line with an id that stays the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// `mint-INTENT-N` or `mint-INTENT-N-retracted`, N being 0 until something is retracted: whoever hears it twice knows
    /// it by this.
    pub id: String,
    /// `minted`, `satisfied_elsewhere` or `retracted`.
    pub kind: LineKind,
    /// Which intent.
    pub intent: IntentId,
    /// What is said.
    pub body: serde_json::Value,
}

/// What a line says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LineKind {
    /// Minted by us, final.
    Minted,
    /// The owner has it from elsewhere, final.
    SatisfiedElsewhere,
    /// What was told is not so any more: the chain left what was final.
    Retracted,
}

impl LineKind {
    /// Its name in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Minted => "minted",
            Self::SatisfiedElsewhere => "satisfied_elsewhere",
            Self::Retracted => "retracted",
        }
    }
}
