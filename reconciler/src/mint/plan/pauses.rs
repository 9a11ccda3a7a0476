//! What stops a lane, and what lets it go on.

use super::{Note, Plan, Step, View, desired, fees, sends};
use crate::mint::policy::Policy;
use crate::mint::types::{Answer, Dropped, IntentState, PauseCode, Payload, Presence, Scope, Slot};

/// What may be done now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stops {
    /// Give slots to intents.
    pub may_begin: bool,
    /// Sign in slots that exist.
    pub may_bump: bool,
    /// Sign for others than the head of the line.
    pub may_sign: bool,
    /// Send stored bytes.
    pub may_send: bool,
}

/// Pauses with a cause that is there, lifts those whose cause is gone, and says what is stopped.
pub(super) fn pauses(view: &View, policy: &Policy, plan: &mut Plan) -> Stops {
    let causes = causes(view, policy, plan);
    let scope = Scope::Lane(view.lane.clone());
    let of_lane = |code| {
        view.book
            .pauses
            .iter()
            .any(|p| p.code == code && p.scope == scope)
    };
    for (code, detail) in &causes {
        if !of_lane(*code) {
            plan.push(Step::Pause {
                scope: scope.clone(),
                code: *code,
                detail: detail.clone(),
            });
        }
    }
    let mut codes: Vec<PauseCode> = causes.iter().map(|(code, _)| *code).collect();
    for pause in &view.book.pauses {
        let by_itself = pause.scope == scope && !pause.code.is_sticky();
        if by_itself && !codes.contains(&pause.code) {
            plan.push(Step::Resume {
                scope: scope.clone(),
                code: pause.code,
            });
        } else {
            codes.push(pause.code);
        }
    }
    codes.extend(plan.steps.iter().filter_map(|step| match step {
        Step::Pause { code, .. } => Some(*code),
        _ => None,
    }));
    Stops {
        may_begin: codes.is_empty(),
        may_bump: codes.iter().all(|c| *c == PauseCode::FeeBudget),
        may_sign: codes.is_empty(),
        may_send: codes.iter().all(|c| c.lets_send()),
    }
}

fn causes(view: &View, policy: &Policy, plan: &mut Plan) -> Vec<(PauseCode, String)> {
    let mut causes = Vec::new();
    if !view.chain.breaks.is_empty() {
        let detail = format!(
            "breaks of {} are open: settle them with `stxworx breaks`",
            view.chain.breaks.join(", ")
        );
        causes.push((PauseCode::OpenBreak, detail));
    }
    if !view.chain.violations.is_empty() {
        let detail = format!(
            "the mirror violates {}: `stxworx verify`",
            view.chain.violations.join(", ")
        );
        causes.push((PauseCode::Violation, detail));
    }
    if !view.chain.minter {
        let detail = format!(
            "{} is no minter of {}: the governor's signers must set it",
            view.lane.sender, view.lane.contract
        );
        causes.push((PauseCode::NotMinter, detail));
    }
    if let Some(detail) = no_funds(view, policy, plan) {
        causes.push((PauseCode::NoFunds, detail));
    }
    if let Some(detail) = view.open_slots().find_map(|slot| occupied(view, slot)) {
        causes.push((PauseCode::Occupied, detail));
    }
    if let Some(detail) = view.open_slots().find_map(|slot| problematic(view, slot)) {
        causes.push((PauseCode::Problematic, detail));
    }
    if let Some(detail) = over_budget(view, policy) {
        causes.push((PauseCode::FeeBudget, detail));
    }
    causes
}

/// Slots that wait for the chain.
fn is_waiting(view: &View, slot: &Slot) -> bool {
    slot.state.is_open() && view.own(slot.nonce).is_none()
}

/// A node refused for want of funds, and the account is as poor as that; or it is too poor to begin anything.
fn no_funds(view: &View, policy: &Policy, plan: &mut Plan) -> Option<String> {
    let balance = view.accounts(policy).map(|(_, a)| a.balance).max()?;
    let next = u128::from(fees::estimate(view, policy));
    let refused = view
        .open_slots()
        .filter(|s| is_waiting(view, s))
        .filter_map(|s| s.newest())
        .filter(|a| matches!(a.sends.last(), Some(s) if s.answer == Answer::NotEnoughFunds))
        .map(|a| u128::from(a.fee) + 1)
        .find(|needed| balance < *needed);
    let needed = refused.or((balance <= next).then_some(next))?;
    plan.notes.insert(Note::Poor);
    Some(format!(
        "{} has {balance} micro-STX and needs more than {needed} for its next transaction: top it up",
        view.lane.sender
    ))
}

/// A node's mempool has a transaction of this nonce which it does not know to be one of ours.
fn occupied(view: &View, slot: &Slot) -> Option<String> {
    let newest = slot.newest()?;
    let last = newest.sends.last()?;
    if !is_waiting(view, slot) || last.answer != Answer::ConflictingNonce {
        return None;
    }
    let ours = slot.attempts.iter().any(|a| {
        view.nodes
            .get(last.node)
            .and_then(|n| n.mempool.get(&a.txid))
            == Some(&Presence::Pending)
    });
    (!ours).then(|| {
        format!(
            "node {} holds another transaction with nonce {} of {}: find out whose it is",
            last.node, slot.nonce, view.lane.sender
        )
    })
}

/// A node dropped what is to be mined as a danger to itself.
fn problematic(view: &View, slot: &Slot) -> Option<String> {
    let newest = slot.newest()?;
    if !is_waiting(view, slot) || desired(view, slot) != newest.payload {
        return None;
    }
    let mut dropped = view.presences(&newest.txid);
    let (node, _) = dropped.find(|(_, p)| **p == Presence::Dropped(Dropped::Problematic))?;
    Some(format!(
        "node {node} dropped {} as problematic: cancel its intent or find out why, then resume",
        newest.txid
    ))
}

/// What is left of the day's budget does not pay for a new mint, and one is wanted.
fn over_budget(view: &View, policy: &Policy) -> Option<String> {
    let mut intents = view.book.intents.iter();
    let wanted = intents.any(|i| i.state == IntentState::Queued)
        || view.open_slots().any(|s| s.attempts.is_empty());
    let next = u128::from(fees::estimate(view, policy));
    let over = view.book.used.fees_per_day.saturating_add(next) > policy.budget_for_new();
    (wanted && over).then(|| {
        format!(
            "{} of {} micro-STX for fees in 24 hours are used, and a tenth is kept for the head of the line: wait, or raise \
             mint.fee_budget_per_day",
            view.book.used.fees_per_day, policy.fee_budget_per_day
        )
    })
}

/// Is there a slot whose head waits to be sent, for want of nodes?
pub(super) fn has_no_node(view: &View, policy: &Policy) -> bool {
    sends::usable(view, policy).next().is_none()
}

/// Does a slot hold a payload that is not the one that is wanted now?
pub(super) fn wants_noop(view: &View, slot: &Slot) -> bool {
    desired(view, slot) == Payload::Noop && slot.newest().is_none_or(|a| a.payload != Payload::Noop)
}
