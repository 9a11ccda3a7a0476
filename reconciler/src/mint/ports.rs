//! What the mints reach out to. Everything that decides is on this side of it.
//!
//! Every writing method of [`Store`] is one transaction, can be repeated without harm, and carries the epoch of the
//! lease: after it was lost, nothing is written and [`Wrote::Lost`] comes back. The one exception is
//! [`Store::record_send`]: what a node said is so, whoever asked.

use std::future::Future;
use std::time::Duration;

use stxworx_indexer::model::{IndexBlockHash, TxId};

use super::types::{
    Account, Answer, AwardKey, ChainView, Evidence, Fee, Inclusion, Intent, IntentId, IntentState,
    LaneId, Line, LineKind, Pause, PauseCode, Payload, Preflight, Presence, Reason, Scope, Seconds,
    Signed, Slot, SlotState, UnsignedMint, Wanted,
};

/// What went wrong behind a port. Whether it was done all the same is not known, except where a method says so.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// Nothing is wrong with what was asked: again, later.
    #[error("{what} failed; it is tried again")]
    Passing {
        /// What was asked.
        what: &'static str,
        /// What happened.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The store refused what would break one of its rules. Trying again does not help.
    #[error("{what} was refused, because it would break rule {rule}: this is a defect, report it")]
    Refused {
        /// What was asked.
        what: &'static str,
        /// The rule or the constraint.
        rule: String,
    },
    /// What is configured cannot work.
    #[error("{what} cannot work: {detail}")]
    Unusable {
        /// What was asked.
        what: &'static str,
        /// What to change.
        detail: String,
    },
}

/// What came of a write that carries an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrote<T = ()> {
    /// Done, or it was so already.
    Done(T),
    /// The lease is another's now: nothing was written.
    Lost,
    /// What it rested on has changed meanwhile (a state, a pause, a limit): nothing was written.
    Stale,
}

/// What came of asking for a lane's lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lease {
    /// Ours, with an epoch greater than all before.
    Taken {
        /// It.
        epoch: i64,
    },
    /// Somebody else has it.
    Held {
        /// Who.
        holder: String,
    },
}

/// What a lane has used, by the store's clock.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Used {
    /// Over the slots with an attempt signed in the last 24 hours: the sum of each one's dearest attempt, micro-STX.
    pub fees_per_day: u128,
    /// Slots given to mints in the last hour.
    pub mints_per_hour: u32,
    /// Slots given to mints in the last 24 hours, by recipient.
    pub mints_per_recipient: Vec<(String, u32)>,
    /// How many intents of a kind ever left `eligible`, or began behind it.
    pub approved_per_kind: Vec<(u64, u32)>,
}

/// All that the store knows of a lane and is not over for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Book {
    /// The store's clock.
    pub now_s: Seconds,
    /// The lane's epoch now.
    pub epoch: i64,
    /// The first nonce that was given out here; none before the lane was opened.
    pub base_nonce: Option<u64>,
    /// The next nonce to be given out.
    pub next_nonce: u64,
    /// Since when the chain shows nonces that nothing here explains.
    pub unexplained_since_s: Option<Seconds>,
    /// Pauses that stop this lane.
    pub pauses: Vec<Pause>,
    /// Intents that are not over, and those of `slots`.
    pub intents: Vec<Intent>,
    /// Open slots, and the newest [`BEHIND`] others, by nonce.
    pub slots: Vec<Slot>,
    /// What was used.
    pub used: Used,
}

/// How many slots that are over a [`Book`] shows: what a deep fork may bring back.
pub const BEHIND: u32 = 50;

/// What is known of awards by user: for the walk over all users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The award.
    pub award: AwardKey,
    /// Where its intent stands.
    pub state: IntentState,
    /// Its intent.
    pub intent: IntentId,
}

/// A signed attempt to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAttempt {
    /// Which slot.
    pub nonce: u64,
    /// Its payload: [`Payload::Mint`] only while the slot has an intent and no noop.
    pub payload: Payload,
    /// The fee, greater than that of every attempt of the slot.
    pub fee: Fee,
    /// Bytes and id.
    pub signed: Signed,
    /// Height of the mirror's tip.
    pub height: u32,
}

/// A nonce that the chain shows to be used, and that was not given out here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adopted {
    /// The nonce: the lane's next one, or that of an open slot whose intent is the same.
    pub nonce: u64,
    /// The intent whose mint it is; none for a noop or for what an operator accepted as somebody else's.
    pub intent: Option<IntentId>,
    /// The transaction; none when only the account's nonce shows it, and an operator accepted that.
    pub tx: Option<AdoptedTx>,
}

/// The transaction that is adopted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdoptedTx {
    /// What it is.
    pub payload: Payload,
    /// Its fee.
    pub fee: Fee,
    /// Bytes and id.
    pub signed: Signed,
    /// Where it stands.
    pub inclusion: Inclusion,
}

/// How a slot ends, with the evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SlotEnd {
    /// One of its attempts is final: [`SlotState::Consumed`].
    Ours(Inclusion),
    /// Another transaction of the key with this nonce is final: [`SlotState::Dead`].
    Foreign {
        /// Which.
        txid: TxId,
        /// Its block.
        block: IndexBlockHash,
        /// Its height.
        height: u32,
        /// The block's Bitcoin height.
        burn_height: u32,
    },
}

impl SlotEnd {
    /// The slot's state after it.
    pub fn state(&self) -> SlotState {
        match self {
            Self::Ours(_) => SlotState::Consumed,
            Self::Foreign { .. } => SlotState::Dead,
        }
    }
}

/// A change of an intent: only from the state in which it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// Which.
    pub intent: IntentId,
    /// The state in which it was seen.
    pub from: IntentState,
    /// The new one.
    pub to: IntentState,
    /// Why.
    pub reason: Option<Reason>,
    /// Why, in words, for the history.
    pub note: String,
    /// Does a failure on the chain count?
    pub failed: bool,
}

/// What is stored once, when an intent's end is final.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effect {
    /// What is told.
    pub line: Line,
    /// The transaction that minted the badge, ours or not.
    pub txid: Option<TxId>,
    /// The token's number.
    pub badge: Option<u64>,
}

type Answered<T> = Result<T, PortError>;

/// What is remembered. PostgreSQL in earnest, memory in tests.
pub trait Store: Send + Sync {
    /// Takes or renews the lease of a lane. A holder that has it keeps its epoch; a new one gets a greater epoch.
    fn lease(
        &self,
        lane: &LaneId,
        holder: &str,
        ttl: Duration,
    ) -> impl Future<Output = Answered<Lease>> + Send;

    /// Lets go of it.
    fn release(
        &self,
        lane: &LaneId,
        holder: &str,
        epoch: i64,
    ) -> impl Future<Output = Answered<()>> + Send;

    /// Everything about a lane, in one snapshot.
    fn book(&self, lane: &LaneId) -> impl Future<Output = Answered<Book>> + Send;

    /// The newest award of each kind of these users, over or not.
    fn known(
        &self,
        contract: &str,
        users: &[String],
    ) -> impl Future<Output = Answered<Vec<Known>>> + Send;

    /// Notes what a node said of the key's account, for people and metrics. Carries no epoch: it decides nothing.
    fn note_account(
        &self,
        lane: &LaneId,
        account: &Account,
    ) -> impl Future<Output = Answered<()>> + Send;

    /// Opens a lane whose first nonce is this one. Nothing when it is open.
    fn open_lane(
        &self,
        lane: &LaneId,
        epoch: i64,
        base_nonce: u64,
    ) -> impl Future<Output = Answered<Wrote>> + Send;

    /// Lowers a lane's first nonce: it was opened on a nonce that the chain then took back, or that a node invented. The
    /// nonces between get reserved slots without an intent, with the epoch of the lowest slot (the present one if there is
    /// none), so that a noop fills each. [`Wrote::Stale`] when the first nonce is not above this one.
    fn lower_base(
        &self,
        lane: &LaneId,
        epoch: i64,
        base_nonce: u64,
    ) -> impl Future<Output = Answered<Wrote>> + Send;

    /// Stores an award with its evidence and its intent. An award that exists keeps what it has.
    fn upsert_award(
        &self,
        lane: &LaneId,
        epoch: i64,
        award: &AwardKey,
        evidence: &Evidence,
        state: IntentState,
    ) -> impl Future<Output = Answered<Wrote<IntentId>>> + Send;

    /// Changes an intent; [`Wrote::Stale`] when it is not in the state in which it was seen. Only states without a slot
    /// are reached this way, and only from such states.
    fn move_intent(
        &self,
        lane: &LaneId,
        epoch: i64,
        change: &Move,
    ) -> impl Future<Output = Answered<Wrote>> + Send;

    /// Gives the lane's next nonce to a queued intent, which is then submitting. [`Wrote::Stale`] when it is not queued,
    /// when a pause stops the lane, or when so many slots are open.
    fn reserve(
        &self,
        lane: &LaneId,
        epoch: i64,
        intent: IntentId,
        in_flight: u32,
    ) -> impl Future<Output = Answered<Wrote<u64>>> + Send;

    /// Lets a submitting intent go from a reserved slot, which then takes a noop only. [`Wrote::Stale`] when anything
    /// was signed.
    fn let_go(
        &self,
        lane: &LaneId,
        epoch: i64,
        nonce: u64,
        change: &Move,
    ) -> impl Future<Output = Answered<Wrote>> + Send;

    /// Stores signed bytes; the slot is live then. After this returned, and not before, they may be sent. [`Wrote::Stale`]
    /// when a pause stops the lane, but for one for want of budget.
    fn record_attempt(
        &self,
        lane: &LaneId,
        epoch: i64,
        attempt: &NewAttempt,
    ) -> impl Future<Output = Answered<Wrote>> + Send;

    /// Stores what a node said to an attempt. Carries no epoch.
    fn record_send(
        &self,
        txid: &TxId,
        node: usize,
        answer: &Answer,
    ) -> impl Future<Output = Answered<()>> + Send;

    /// Stores where a slot's attempt stands on the canonical chain, or that none does; its intent is included or
    /// submitting accordingly. [`Wrote::Stale`] when the slot is over.
    fn observe(
        &self,
        lane: &LaneId,
        epoch: i64,
        nonce: u64,
        seen: Option<&Inclusion>,
    ) -> impl Future<Output = Answered<Wrote>> + Send;

    /// Ends a slot, and moves its intent, with its effect if it has one, in one transaction. An effect that exists is
    /// kept. The move of a slot without an intent is none.
    fn finish(
        &self,
        lane: &LaneId,
        epoch: i64,
        nonce: u64,
        end: &SlotEnd,
        change: Option<&Move>,
        effect: Option<&Effect>,
    ) -> impl Future<Output = Answered<Wrote>> + Send;

    /// Moves an intent without a slot to its end, with its effect: a badge from elsewhere.
    fn settle(
        &self,
        lane: &LaneId,
        epoch: i64,
        change: &Move,
        effect: &Effect,
    ) -> impl Future<Output = Answered<Wrote>> + Send;

    /// Takes back what was final and is not any more: marks the consumed slot, and stores a line that retracts its
    /// effect, if it has one. [`Wrote::Stale`] when it is marked.
    fn retract(
        &self,
        lane: &LaneId,
        epoch: i64,
        nonce: u64,
        line: Option<&Line>,
    ) -> impl Future<Output = Answered<Wrote>> + Send;

    /// Makes a marked slot live again, and its intent submitting: the same bytes must be sent again. Its effect goes, so
    /// that it can come again, and its intent's count of retractions rises. [`Wrote::Stale`] when the slot is not marked,
    /// or when its intent has another open slot.
    fn reopen(
        &self,
        lane: &LaneId,
        epoch: i64,
        nonce: u64,
    ) -> impl Future<Output = Answered<Wrote>> + Send;

    /// Takes over a nonce that the chain shows to be used: with a transaction, the slot is live with it as an attempt,
    /// included, and so is its intent; without one, the slot is dead. [`Wrote::Stale`] when the nonce is neither the lane's
    /// next one nor an open slot of the same intent, or when the intent has another open slot or is over.
    fn adopt(
        &self,
        lane: &LaneId,
        epoch: i64,
        adopted: &Adopted,
    ) -> impl Future<Output = Answered<Wrote>> + Send;

    /// Notes since when nonces are unexplained, by the store's clock; `false` clears it.
    fn note_unexplained(
        &self,
        lane: &LaneId,
        epoch: i64,
        is_so: bool,
    ) -> impl Future<Output = Answered<Wrote>> + Send;

    /// Pauses, once per scope and code.
    fn pause(
        &self,
        scope: &Scope,
        code: PauseCode,
        detail: &str,
        author: &str,
    ) -> impl Future<Output = Answered<()>> + Send;

    /// Lifts a pause.
    fn resume(
        &self,
        scope: &Scope,
        code: PauseCode,
        author: &str,
    ) -> impl Future<Output = Answered<()>> + Send;

    /// Lines that nobody confirmed yet, oldest first.
    fn untold(&self, lane: &LaneId, limit: u32)
    -> impl Future<Output = Answered<Vec<Line>>> + Send;

    /// A line was heard.
    fn told(&self, line: &str) -> impl Future<Output = Answered<()>> + Send;
}

/// Who has the key. The key never leaves it.
pub trait Signer: Send + Sync {
    /// The address of the key.
    fn address(&self) -> &str;

    /// Signs. The same transaction may get other bytes each time: nobody asks twice for what was stored.
    fn sign(&self, unsigned: &UnsignedMint) -> impl Future<Output = Answered<Signed>> + Send;
}

/// A Stacks node. Everything it says is a hint.
pub trait Node: Send + Sync {
    /// An account, at the node's tip.
    fn account(&self, address: &str) -> impl Future<Output = Answered<Account>> + Send;

    /// What a transaction of this kind should cost.
    fn fee(&self, unsigned: &UnsignedMint) -> impl Future<Output = Answered<Fee>> + Send;

    /// Sends bytes. Whatever happens is an answer.
    fn submit(&self, signed: &Signed) -> impl Future<Output = Answer> + Send;

    /// Does it have this transaction in its mempool?
    fn mempool(&self, txid: &TxId) -> impl Future<Output = Presence> + Send;

    /// Read-only calls about an award, at the node's tip.
    fn preflight(
        &self,
        lane: &LaneId,
        recipient: &str,
        kind: u64,
    ) -> impl Future<Output = Answered<Preflight>> + Send;
}

/// The mirror, on one block at a time.
pub trait Mirror: Send + Sync {
    /// Everything that is wanted, of one moment.
    fn look(&self, wanted: &Wanted) -> impl Future<Output = Answered<ChainView>> + Send;
}

/// Who is told of what happened: heard is what returned without an error.
pub trait Outlet: Send + Sync {
    /// Tells a line. It may come again, with the same id.
    fn tell(&self, line: &Line) -> impl Future<Output = Answered<()>> + Send;
}

/// The kinds of lines that take part in deciding whether an effect exists.
pub const EFFECTS: [LineKind; 2] = [LineKind::Minted, LineKind::SatisfiedElsewhere];
