//! What to do next: a pure function of what was read.
//!
//! A plan may be thrown away at any step: each step is checked again by the store where it matters, and the next plan
//! begins from what is so then. The order is that of trust: what the chain shows is written down first, then what is
//! final, then pauses; only behind them anything is begun, signed or sent.

mod awards;
mod explain;
mod fees;
mod finals;
mod pauses;
mod sends;
mod signs;

use std::collections::{BTreeMap, BTreeSet};

use stxworx_indexer::model::TxId;

use super::policy::Policy;
use super::ports::{Adopted, Book, Effect, Known, Move, SlotEnd};
use super::types::{
    Account, AwardKey, ChainView, Evidence, Fee, Inclusion, Intent, IntentId, IntentState, LaneId,
    Line, OwnTx, PauseCode, Payload, Person, Preflight, Presence, Reason, Scope, Slot, SlotState,
};

/// What one node said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeView {
    /// The key's account; none when the node did not answer.
    pub account: Option<Account>,
    /// What a mint should cost.
    pub fee: Option<Fee>,
    /// Of the attempts that were asked for.
    pub mempool: BTreeMap<TxId, Presence>,
}

/// Everything that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// The lane.
    pub lane: LaneId,
    /// The store.
    pub book: Book,
    /// The mirror.
    pub chain: ChainView,
    /// Awards of the people in the chain's view, and of the recipients of the key's own transactions.
    pub known: Vec<Known>,
    /// The nodes, in the order of the configuration.
    pub nodes: Vec<NodeView>,
    /// What a node's read-only calls say of intents that are about to begin.
    pub preflights: BTreeMap<IntentId, Preflight>,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Open the lane at this nonce.
    OpenLane {
        /// The first one.
        base_nonce: u64,
    },
    /// Begin at a lower nonce.
    LowerBase {
        /// The first one.
        base_nonce: u64,
    },
    /// Note that nonces are unexplained, or not any more.
    NoteUnexplained {
        /// Are they?
        is_so: bool,
    },
    /// Take over a nonce that the chain shows.
    Adopt(Box<Adopted>),
    /// Write down where a slot's attempt stands.
    Observe {
        /// The slot.
        nonce: u64,
        /// Where; none when it is not on the canonical chain any more.
        seen: Option<Inclusion>,
    },
    /// End a slot.
    Finish {
        /// The slot.
        nonce: u64,
        /// How.
        end: Box<SlotEnd>,
        /// What becomes of its intent.
        change: Option<Move>,
        /// What is told.
        effect: Option<Box<Effect>>,
    },
    /// End an intent whose badge is there from elsewhere.
    Settle {
        /// How.
        change: Move,
        /// What is told.
        effect: Box<Effect>,
    },
    /// The chain left what was final.
    Retract {
        /// The slot.
        nonce: u64,
        /// What is told, if something was.
        line: Option<Line>,
    },
    /// Begin again with the same bytes, after a person looked.
    Reopen {
        /// The slot.
        nonce: u64,
    },
    /// Pause.
    Pause {
        /// What.
        scope: Scope,
        /// Why.
        code: PauseCode,
        /// In words.
        detail: String,
    },
    /// A pause whose cause is gone.
    Resume {
        /// What.
        scope: Scope,
        /// Why it was.
        code: PauseCode,
    },
    /// Write down an award.
    Award {
        /// Which.
        award: AwardKey,
        /// What it rests on.
        evidence: Evidence,
        /// `eligible` or `queued`.
        state: IntentState,
    },
    /// Change an intent that has no slot.
    Move(Move),
    /// Take an intent out of its slot, before anything was signed.
    LetGo {
        /// The slot.
        nonce: u64,
        /// What becomes of the intent.
        change: Move,
    },
    /// Give an intent a slot.
    Reserve {
        /// Which.
        intent: IntentId,
    },
    /// Sign an attempt, and store it.
    Sign {
        /// The slot.
        nonce: u64,
        /// The award that is minted; none for a noop.
        award: Option<AwardKey>,
        /// The fee.
        fee: Fee,
    },
    /// Send stored bytes.
    Send {
        /// The slot.
        nonce: u64,
        /// The attempt.
        txid: TxId,
        /// The node.
        node: usize,
    },
}

/// Something that an operator should see, although it changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Note {
    /// A slot's fee is at the cap, and it waits.
    AtCap {
        /// Which.
        nonce: u64,
    },
    /// A slot has as many attempts as any may have.
    TooManyAttempts {
        /// Which.
        nonce: u64,
    },
    /// The fee that is needed would go beyond the day's budget.
    Budget {
        /// For which slot; none for a new one.
        nonce: Option<u64>,
    },
    /// So many were begun in the last hour.
    PerHour,
    /// So many were begun for this recipient in the last day.
    PerRecipient {
        /// Whose.
        intent: IntentId,
    },
    /// No node that may be listened to.
    NoNode,
    /// A node is far behind the mirror.
    NodeBehind {
        /// Which.
        node: usize,
    },
    /// Nonces of the key are used, and nothing explains them yet.
    Unexplained,
    /// A read-only call says no.
    Preflight {
        /// Of which intent.
        intent: IntentId,
        /// Why.
        reason: Reason,
    },
    /// All nodes call a transaction impossible.
    Unsendable {
        /// The slot.
        nonce: u64,
    },
    /// The key's account is too poor for the next mint.
    Poor,
}

/// What to do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// In this order.
    pub steps: Vec<Step>,
    /// For an operator.
    pub notes: BTreeSet<Note>,
}

impl Plan {
    fn push(&mut self, step: Step) {
        self.steps.push(step);
    }
}

/// What to do next.
pub fn plan(view: &View, policy: &Policy) -> Plan {
    let mut plan = Plan::default();
    let explained = explain::explain(view, policy, &mut plan);
    if view.book.base_nonce.is_none() {
        return plan;
    }
    explain::observe(view, &mut plan);
    finals::finish(view, &mut plan);
    finals::left_final(view, &mut plan);
    let stops = pauses::pauses(view, policy, &mut plan);
    awards::awards(view, policy, &mut plan);
    awards::moves(view, policy, &mut plan);
    if explained && stops.may_bump {
        signs::let_go(view, &mut plan);
        signs::sign(view, policy, stops, &mut plan);
    }
    if explained && stops.may_begin {
        signs::reserve(view, policy, &mut plan);
    }
    if stops.may_send {
        sends::send(view, policy, &mut plan);
    }
    plan
}

/// Intents whose read-only calls are wanted: those in reserved slots, and those that may be next.
pub fn preflights_wanted(book: &Book, in_a_pass: usize) -> Vec<IntentId> {
    let reserved = book
        .slots
        .iter()
        .filter(|s| s.state == SlotState::Reserved)
        .filter_map(|s| s.intent);
    let queued = book
        .intents
        .iter()
        .filter(|i| i.state == IntentState::Queued && i.cancel.is_none())
        .map(|i| i.id)
        .take(in_a_pass);
    reserved.chain(queued).collect()
}

impl View {
    fn intent(&self, id: IntentId) -> Option<&Intent> {
        self.book.intents.iter().find(|i| i.id == id)
    }

    fn intent_of(&self, slot: &Slot) -> Option<&Intent> {
        slot.intent.and_then(|id| self.intent(id))
    }

    fn open_slots(&self) -> impl Iterator<Item = &Slot> {
        self.book.slots.iter().filter(|s| s.state.is_open())
    }

    fn own(&self, nonce: u64) -> Option<&OwnTx> {
        self.chain.own.iter().find(|t| t.nonce == nonce)
    }

    fn person(&self, user: &str) -> Option<&Person> {
        self.chain.people.iter().find(|p| p.user == user)
    }

    /// Is a node so far behind the mirror that what it says of nonces is old?
    fn is_behind(&self, account: &Account, policy: &Policy) -> bool {
        account
            .burn_height
            .saturating_add(policy.behind_burn_blocks)
            < self.chain.tip.burn_height
    }

    /// Accounts by nodes that may be listened to.
    fn accounts<'a>(&'a self, policy: &'a Policy) -> impl Iterator<Item = (usize, &'a Account)> {
        self.nodes
            .iter()
            .enumerate()
            .filter_map(|(node, of)| Some((node, of.account.as_ref()?)))
            .filter(|(_, account)| !self.is_behind(account, policy))
    }

    /// What nodes say of an attempt.
    fn presences<'a>(&'a self, txid: &'a TxId) -> impl Iterator<Item = (usize, &'a Presence)> {
        self.nodes
            .iter()
            .enumerate()
            .filter_map(move |(node, of)| Some((node, of.mempool.get(txid)?)))
    }

    /// The lowest open slot that is not on the chain.
    fn head(&self) -> Option<u64> {
        let waiting = self.open_slots().filter(|s| self.own(s.nonce).is_none());
        waiting.map(|s| s.nonce).min()
    }
}

/// What a slot is for now: a noop once its intent is to be let go of.
fn desired(view: &View, slot: &Slot) -> Payload {
    let Some(intent) = view.intent_of(slot) else {
        return Payload::Noop;
    };
    let noop_signed = slot.attempts.iter().any(|a| a.payload == Payload::Noop);
    if intent.cancel.is_some() || noop_signed || signs::unsendable(view, slot) {
        Payload::Noop
    } else {
        Payload::Mint
    }
}

fn change(
    intent: &Intent,
    to: IntentState,
    reason: Option<Reason>,
    note: impl Into<String>,
) -> Move {
    Move {
        intent: intent.id,
        from: intent.state,
        to,
        reason,
        note: note.into(),
        failed: false,
    }
}
