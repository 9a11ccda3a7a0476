//! Who earned what, and what becomes of intents that have no slot.

use super::{Plan, Step, View, change, finals};
use crate::mint::eligibility::{self, Standing};
use crate::mint::policy::Policy;
use crate::mint::types::{Intent, IntentState, Person, Reason};

/// Writes down what people earned and nobody wrote down yet.
pub(super) fn awards(view: &View, policy: &Policy, plan: &mut Plan) {
    let tip = &view.chain.tip;
    let mut begun: Vec<(u64, u32)> = view.book.used.approved_per_kind.clone();
    for person in &view.chain.people {
        for kind in &view.chain.kinds {
            let known = eligibility::known_of(&view.known, &person.user, kind.kind);
            if eligibility::standing(person, kind, tip, known, policy) != Standing::Would {
                continue;
            }
            let Ok(evidence) = eligibility::evidence(person, kind, tip) else {
                continue;
            };
            let approved = begun.iter_mut().find(|(k, _)| *k == kind.kind);
            let count = approved.as_ref().map_or(0, |(_, count)| *count);
            let state = if count < policy.approve_first {
                IntentState::Eligible
            } else {
                IntentState::Queued
            };
            if let (IntentState::Queued, Some((_, count))) = (state, approved) {
                *count = count.saturating_add(1);
            }
            plan.push(Step::Award {
                award: eligibility::award(&view.lane.contract, &person.user, kind.kind),
                evidence,
                state,
            });
        }
    }
}

/// Moves intents that have no slot by what is final now.
pub(super) fn moves(view: &View, policy: &Policy, plan: &mut Plan) {
    for intent in &view.book.intents {
        if intent.state.is_over() || intent.state.has_slot() {
            continue;
        }
        if let Some(author) = &intent.cancel {
            let note = format!("called off by {author}; nothing is on its way");
            plan.push(Step::Move(change(
                intent,
                IntentState::Cancelled,
                Some(Reason::Operator),
                note,
            )));
            continue;
        }
        let Some(person) = view.person(&intent.award.recipient) else {
            continue;
        };
        if let Some(step) = by_badge(view, intent, person) {
            plan.push(step);
            continue;
        }
        if has_badge(intent, person) {
            // There, and not final: nothing is decided.
            continue;
        }
        if let Some((to, reason, note)) = next(view, policy, intent, person) {
            plan.push(Step::Move(change(intent, to, reason, note)));
        }
    }
}

fn has_badge(intent: &Intent, person: &Person) -> bool {
    person.badges.iter().any(|b| b.kind == intent.award.kind)
}

/// The badge is there, or was, at final depth: the intent ends.
fn by_badge(view: &View, intent: &Intent, person: &Person) -> Option<Step> {
    let badge = person
        .badges
        .iter()
        .filter(|b| b.kind == intent.award.kind)
        .max_by_key(|b| !b.gone)?;
    if badge.gone {
        let note = format!(
            "badge {} was revoked or moved away; the contract bars its owner",
            badge.id
        );
        return Some(Step::Move(change(
            intent,
            IntentState::Dead,
            Some(Reason::Revoked),
            note,
        )));
    }
    let ours = badge.minted.is_some_and(|txid| {
        let mut open = view.open_slots();
        open.any(|slot| slot.attempt(&txid).is_some())
    });
    let is_final = view.chain.tip.is_final(badge.minted_height);
    (is_final && !ours).then(|| finals::elsewhere(intent, badge))
}

type Next = (IntentState, Option<Reason>, String);

fn next(view: &View, policy: &Policy, intent: &Intent, person: &Person) -> Option<Next> {
    let kind = view
        .chain
        .kinds
        .iter()
        .find(|k| k.kind == intent.award.kind);
    let earned = kind.is_some_and(|k| eligibility::missing(person, k, &view.chain.tip).is_empty());
    match intent.state {
        IntentState::Queued if !earned => Some((
            IntentState::Held,
            Some(Reason::NotEarned),
            "what was earned is not earned now".to_owned(),
        )),
        IntentState::Held => {
            let ready = match intent.reason {
                Some(Reason::NotMinter) => earned && view.chain.minter,
                _ => earned,
            };
            ready.then(|| {
                let note = "what it waited for is there".to_owned();
                (IntentState::Queued, None, note)
            })
        }
        IntentState::FinalFailed => Some(after_failure(policy, intent)),
        _ => None,
    }
}

/// What follows from a failure that is final.
fn after_failure(policy: &Policy, intent: &Intent) -> Next {
    let reason = intent.reason.unwrap_or(Reason::UnknownFailure);
    if intent.failures >= policy.max_failures {
        let note = format!(
            "{} failures; the last one: {}",
            intent.failures,
            reason.as_str()
        );
        return (IntentState::Review, Some(Reason::TooManyFailures), note);
    }
    match reason {
        Reason::NotEarned | Reason::NotMinter => (
            IntentState::Held,
            Some(reason),
            "waits until it can succeed".to_owned(),
        ),
        Reason::Revoked | Reason::UnknownKind => (
            IntentState::Dead,
            Some(reason),
            "the contract will not take it".to_owned(),
        ),
        Reason::PostCondition => (
            IntentState::Queued,
            Some(reason),
            "looked at again, in a new slot".to_owned(),
        ),
        // "Held already", and the mirror shows no badge: one of the two is wrong.
        _ => (
            IntentState::Review,
            Some(reason),
            "a person must look".to_owned(),
        ),
    }
}
