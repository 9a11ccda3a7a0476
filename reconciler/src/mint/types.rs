//! What the mints are made of.

use std::fmt;

use serde::{Deserialize, Serialize};
use stxworx_indexer::model::{IndexBlockHash, TxId};

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

/// How a transaction ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "verdict")]
pub enum Verdict {
    /// A mint: the badge exists by both the contract's event and the token's. A noop: the transfer happened.
    Success {
        /// The token's number; none for a noop.
        badge: Option<u64>,
    },
    /// The contract refused.
    Aborted {
        /// Its code: 1301 and so on; none when the result is no such code.
        code: Option<u64>,
    },
    /// Post-conditions stopped it.
    PostCondition,
    /// Not executed, fee and nonce taken.
    Skipped,
    /// A success whose events do not show the badge, or a status that is not known: nothing may be concluded.
    Odd {
        /// What was seen.
        detail: String,
    },
}

/// Where an attempt stands on the canonical chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inclusion {
    /// The transaction.
    pub txid: TxId,
    /// The block.
    pub block: IndexBlockHash,
    /// Its Stacks height.
    pub height: u32,
    /// Bitcoin height of its tenure's election.
    pub burn_height: u32,
    /// How it ended.
    pub verdict: Verdict,
}

/// What a transaction of our key is, by its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meaning {
    /// `mint` of the badge contract.
    Mint {
        /// Whose badge.
        recipient: String,
        /// Which kind.
        kind: u64,
    },
    /// The transfer that is our noop.
    Noop,
    /// Anything else.
    Other,
}

/// A transaction of our key on the canonical chain, as the mirror has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnTx {
    /// Its nonce.
    pub nonce: u64,
    /// Its fee.
    pub fee: Fee,
    /// Its bytes, if the mirror's source had them.
    pub bytes: Vec<u8>,
    /// What it is.
    pub meaning: Meaning,
    /// Where it stands, and how it ended.
    pub inclusion: Inclusion,
}

/// The block on which everything that was read from the mirror stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tip {
    /// The block.
    pub block: IndexBlockHash,
    /// Its height.
    pub height: u32,
    /// The greatest Bitcoin height known.
    pub burn_height: u32,
    /// Greatest Stacks height that is final; none while nothing is.
    pub final_height: Option<u32>,
    /// The burn height at which what is final stands.
    pub final_burn_height: u32,
}

impl Tip {
    /// Is a block of the canonical chain at this height final?
    pub fn is_final(&self, height: u32) -> bool {
        self.final_height.is_some_and(|last| height <= last)
    }
}

/// What a kind of badge asks for, as the contract says at final depth.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kind {
    /// Its number.
    pub kind: u64,
    /// Its name.
    pub name: String,
    /// Completed projects.
    pub projects: u64,
    /// Average rating times 100; 0 asks for none.
    pub rating: u64,
    /// Is an attested X account asked for?
    pub needs_x: bool,
    /// Height of the block that said so last.
    pub changed_height: u32,
}

/// A user's deeds at final depth, and what was awarded already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// Who.
    pub user: String,
    /// Projects that ended with every milestone paid in full.
    pub completed: u64,
    /// Stars received.
    pub rating_sum: u64,
    /// Ratings received.
    pub rating_count: u64,
    /// Last burn height for which the X attestation holds; none without one.
    pub x_expires: Option<u64>,
    /// Height of the block that changed these deeds last, final.
    pub changed_height: u32,
    /// That block.
    pub changed_block: IndexBlockHash,
    /// That block's transaction which did.
    pub changed_txid: Option<TxId>,
    /// The badges of this contract that the user has, or had, at the tip.
    pub badges: Vec<Held>,
}

/// A badge that somebody has or had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Its kind.
    pub kind: u64,
    /// The token's number.
    pub id: u64,
    /// The transaction that minted it.
    pub minted: Option<TxId>,
    /// Height of the block that minted it.
    pub minted_height: u32,
    /// Was it revoked, or moved to another address? Both bar the user from the kind.
    pub gone: bool,
}

/// What the mirror says, all of it on one block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainView {
    /// The block.
    pub tip: Tip,
    /// Is our key a minter of the contract, at the tip?
    pub minter: bool,
    /// The kinds of badges, at final depth.
    pub kinds: Vec<Kind>,
    /// Canonical transactions of our key from the wanted nonce on, by nonce.
    pub own: Vec<OwnTx>,
    /// The users that were asked for, and one page of the walk over all.
    pub people: Vec<Person>,
    /// Where the walk goes on; none at its end.
    pub next: Option<String>,
    /// Open breaks about custody, the mirror or the key's use: their rules' ids.
    pub breaks: Vec<String>,
    /// Invariants of the mirror that are violated now: their ids.
    pub violations: Vec<String>,
}

/// What is wanted of the mirror.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Whose transactions, of which contract.
    pub lane: LaneId,
    /// Transactions from this nonce on.
    pub from_nonce: u64,
    /// Users to be told of in any case.
    pub users: Vec<String>,
    /// A page of all users who may have earned something: behind this one, at most so many.
    pub walk: Option<(Option<String>, u32)>,
}

/// An account, as a node has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account {
    /// Next nonce, by what is confirmed.
    pub nonce: u64,
    /// Micro-STX.
    pub balance: u128,
    /// The node's height when it said so.
    pub height: u32,
    /// The node's Bitcoin height when it said so.
    pub burn_height: u32,
}

/// What a node's read-only calls say of an award, at its tip. A hint: it can hold an intent, never end one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preflight {
    /// `minter?` of our key.
    pub minter: bool,
    /// Is there a `get-kind`?
    pub kind_known: bool,
    /// `earned?`.
    pub earned: bool,
    /// `badge-of`: the token's number.
    pub badge: Option<u64>,
    /// `barred?`.
    pub barred: bool,
}

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
