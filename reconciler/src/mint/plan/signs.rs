//! Slots, and what is signed in them.

use super::pauses::{Stops, has_no_node, wants_noop};
use super::{Note, Plan, Step, View, change, desired, fees};
use crate::mint::eligibility;
use crate::mint::policy::{MOST_ATTEMPTS, MOST_IN_FLIGHT, Policy};
use crate::mint::types::{
    Answer, Attempt, Fee, Intent, IntentState, Payload, Presence, Reason, Slot, SlotState,
};

/// Slots given out in one plan.
const IN_A_PASS: usize = 5;

/// Do all nodes that may say so call this slot's mint impossible? One node's word is not enough where there are more.
pub(super) fn unsendable(view: &View, slot: &Slot) -> bool {
    let Some(mint) = slot
        .attempts
        .iter()
        .rev()
        .find(|a| a.payload == Payload::Mint)
    else {
        return false;
    };
    let last = |node| mint.sends.iter().rev().find(|s| s.node == node);
    let said = (0..view.nodes.len()).filter_map(last);
    let (mut permanent, mut other) = (0, 0);
    for send in said {
        match send.answer {
            Answer::Permanent { .. } => permanent += 1,
            _ => other += 1,
        }
    }
    other == 0 && permanent >= view.nodes.len().clamp(1, 2)
}

/// Takes intents out of slots in which nothing was signed, when they should not be minted any more.
pub(super) fn let_go(view: &View, plan: &mut Plan) {
    for slot in view.open_slots() {
        if slot.state != SlotState::Reserved || view.own(slot.nonce).is_some() {
            continue;
        }
        let Some(intent) = view.intent_of(slot) else {
            continue;
        };
        if let Some(step) = gone(view, slot, intent) {
            plan.push(step);
        }
    }
}

fn gone(view: &View, slot: &Slot, intent: &Intent) -> Option<Step> {
    let change = if let Some(author) = &intent.cancel {
        let note = format!("called off by {author} before anything was signed");
        change(intent, IntentState::Cancelled, Some(Reason::Operator), note)
    } else if has_badge(view, intent) {
        let note = "the badge is there already";
        change(intent, IntentState::Held, Some(Reason::AlreadyHeld), note)
    } else if !is_earned(view, intent) {
        let note = "what was earned is not earned now";
        change(intent, IntentState::Held, Some(Reason::NotEarned), note)
    } else {
        return None;
    };
    Some(Step::LetGo {
        nonce: slot.nonce,
        change,
    })
}

fn has_badge(view: &View, intent: &Intent) -> bool {
    let person = view.person(&intent.award.recipient);
    person.is_some_and(|p| p.badges.iter().any(|b| b.kind == intent.award.kind))
}

/// By final facts. A user who is not in the view was not looked at: nothing speaks against it.
fn is_earned(view: &View, intent: &Intent) -> bool {
    let Some(person) = view.person(&intent.award.recipient) else {
        return true;
    };
    let mut kinds = view.chain.kinds.iter();
    kinds
        .find(|k| k.kind == intent.award.kind)
        .is_some_and(|k| eligibility::missing(person, k, &view.chain.tip).is_empty())
}

/// Would a mint succeed at a node's tip? None when no node said.
fn preflight(view: &View, intent: &Intent, plan: &mut Plan) -> Option<bool> {
    let said = view.preflights.get(&intent.id)?;
    let reason = if said.badge.is_some() {
        Reason::AlreadyHeld
    } else if said.barred {
        Reason::Revoked
    } else if !said.kind_known {
        Reason::UnknownKind
    } else if !said.minter {
        Reason::NotMinter
    } else if !said.earned {
        Reason::NotEarned
    } else {
        return Some(true);
    };
    plan.notes.insert(Note::Preflight {
        intent: intent.id,
        reason,
    });
    Some(false)
}

/// Signs first attempts, noops, and dearer attempts for the head of the line.
pub(super) fn sign(view: &View, policy: &Policy, stops: Stops, plan: &mut Plan) {
    if has_no_node(view, policy) {
        if view.open_slots().next().is_some() {
            plan.notes.insert(Note::NoNode);
        }
        return;
    }
    let head = view.head();
    let mut spent = view.book.used.fees_per_day;
    for slot in view.open_slots() {
        if view.own(slot.nonce).is_some() || is_let_go(plan, slot) {
            continue;
        }
        let is_head = head == Some(slot.nonce);
        if !is_head && !stops.may_sign {
            continue;
        }
        let Some((payload, fee)) = wanted(view, policy, slot, is_head, plan) else {
            continue;
        };
        let added = fees::added(view, slot.newest(), fee);
        let limit = if is_head {
            policy.fee_budget_per_day
        } else {
            policy.budget_for_new()
        };
        if spent.saturating_add(added) > limit {
            plan.notes.insert(Note::Budget {
                nonce: Some(slot.nonce),
            });
            continue;
        }
        spent = spent.saturating_add(added);
        let award = match payload {
            Payload::Mint => view.intent_of(slot).map(|i| i.award.clone()),
            Payload::Noop => None,
        };
        plan.push(Step::Sign {
            nonce: slot.nonce,
            award,
            fee,
        });
    }
}

fn is_let_go(plan: &Plan, slot: &Slot) -> bool {
    plan.steps
        .iter()
        .any(|s| matches!(s, Step::LetGo { nonce, .. } if *nonce == slot.nonce))
}

/// What a slot needs signed now.
fn wanted(
    view: &View,
    policy: &Policy,
    slot: &Slot,
    is_head: bool,
    plan: &mut Plan,
) -> Option<(Payload, Fee)> {
    let payload = desired(view, slot);
    let Some(newest) = slot.newest() else {
        return first(view, policy, slot, payload, plan);
    };
    if unsendable(view, slot) {
        plan.notes.insert(Note::Unsendable { nonce: slot.nonce });
    }
    let at_least = match newest.sends.last().map(|s| &s.answer) {
        Some(Answer::FeeTooLow { expected }) if !is_pending(view, newest) => {
            Some(expected.unwrap_or(0))
        }
        _ => None,
    };
    let due = wants_noop(view, slot)
        || at_least.is_some()
        || (is_head && is_old(view, policy, slot, newest));
    if !due {
        return None;
    }
    if slot.attempts.len() >= MOST_ATTEMPTS {
        plan.notes
            .insert(Note::TooManyAttempts { nonce: slot.nonce });
        return None;
    }
    let fee = fees::raised(view, policy, newest.fee, at_least);
    if fee.is_none() {
        plan.notes.insert(Note::AtCap { nonce: slot.nonce });
    }
    Some((payload, fee?))
}

fn first(
    view: &View,
    policy: &Policy,
    slot: &Slot,
    payload: Payload,
    plan: &mut Plan,
) -> Option<(Payload, Fee)> {
    let fee = fees::estimate(view, policy);
    let Some(intent) = view.intent_of(slot) else {
        return Some((Payload::Noop, fee));
    };
    match preflight(view, intent, plan) {
        Some(true) => Some((payload, fee)),
        // A node's word ends nothing: it waits a while in its slot, so that a lie costs no more than time. What the
        // mirror says takes it out of the slot.
        Some(false) | None => None,
    }
}

fn is_pending(view: &View, attempt: &Attempt) -> bool {
    view.presences(&attempt.txid)
        .any(|(_, p)| *p == Presence::Pending)
}

/// Has it waited long enough, in seconds and by a block at least? A chain that stands still makes nothing dear, and what a
/// fork took out of a block begins to wait anew.
fn is_old(view: &View, policy: &Policy, slot: &Slot, newest: &Attempt) -> bool {
    let orphaned = view.intent_of(slot).map_or(0, |i| i.since_s);
    let since = newest.signed_s.max(orphaned);
    let waited = view.book.now_s.saturating_sub(since) >= policy.bump_after_s;
    waited
        && slot.included.is_none()
        && !newest.sends.is_empty()
        && view.chain.tip.height > newest.signed_height
}

/// Gives slots to intents that wait.
pub(super) fn reserve(view: &View, policy: &Policy, plan: &mut Plan) {
    let queued: Vec<&Intent> = view
        .book
        .intents
        .iter()
        .filter(|i| i.state == IntentState::Queued && i.cancel.is_none())
        .filter(|i| !is_moved(plan, i))
        .collect();
    if queued.is_empty() {
        return;
    }
    if has_no_node(view, policy) {
        plan.notes.insert(Note::NoNode);
        return;
    }
    let open = view.open_slots().count();
    let room = usize::try_from(policy.in_flight.min(MOST_IN_FLIGHT)).unwrap_or(0);
    let mut room = room.saturating_sub(open).min(IN_A_PASS);
    let fee = u128::from(fees::estimate(view, policy));
    let unsigned = view.open_slots().filter(|s| s.attempts.is_empty()).count();
    let unsigned = u128::try_from(unsigned).unwrap_or(u128::MAX);
    let mut spent = view.book.used.fees_per_day + unsigned.saturating_mul(fee);
    let mut begun = view.book.used.mints_per_hour;
    let mut of = view.book.used.mints_per_recipient.clone();
    for intent in queued {
        if room == 0 {
            return;
        }
        if begun >= policy.per_hour {
            plan.notes.insert(Note::PerHour);
            return;
        }
        if spent.saturating_add(fee) > policy.budget_for_new() {
            plan.notes.insert(Note::Budget { nonce: None });
            return;
        }
        if !may_begin(view, policy, intent, &of, plan) {
            continue;
        }
        plan.push(Step::Reserve { intent: intent.id });
        count(&mut of, &intent.award.recipient);
        (room, begun, spent) = (room - 1, begun + 1, spent + fee);
    }
}

fn is_moved(plan: &Plan, intent: &Intent) -> bool {
    plan.steps.iter().any(|step| match step {
        Step::Move(change) | Step::Settle { change, .. } => change.intent == intent.id,
        _ => false,
    })
}

fn may_begin(
    view: &View,
    policy: &Policy,
    intent: &Intent,
    of: &[(String, u32)],
    plan: &mut Plan,
) -> bool {
    let recipient = &intent.award.recipient;
    let begun = of
        .iter()
        .find(|(r, _)| r == recipient)
        .map_or(0, |(_, n)| *n);
    if begun >= policy.per_recipient_per_day {
        plan.notes.insert(Note::PerRecipient { intent: intent.id });
        return false;
    }
    // Nothing begins for somebody whose facts were not looked at.
    let known = view.person(recipient).is_some();
    known
        && is_earned(view, intent)
        && !has_badge(view, intent)
        && preflight(view, intent, plan) == Some(true)
}

fn count(of: &mut Vec<(String, u32)>, recipient: &str) {
    match of.iter_mut().find(|(r, _)| r == recipient) {
        Some((_, n)) => *n += 1,
        None => of.push((recipient.to_owned(), 1)),
    }
}
