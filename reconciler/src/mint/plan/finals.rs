//! What is final, and what was.

use serde_json::json;

use super::{Plan, Step, View, change, explain, signs};
use crate::mint::ports::{Effect, Move, SlotEnd};
use crate::mint::types::{
    Held, Inclusion, Intent, IntentState, Line, LineKind, OwnTx, PauseCode, Payload, Reason, Scope,
    Slot, SlotState, Verdict,
};

/// Ends slots whose nonce is used up at final depth.
pub(super) fn finish(view: &View, plan: &mut Plan) {
    for slot in view.open_slots() {
        let Some(tx) = view.own(slot.nonce) else {
            continue;
        };
        if !view.chain.tip.is_final(tx.inclusion.height) {
            continue;
        }
        match slot.attempt(&tx.inclusion.txid) {
            Some(attempt) => {
                let payload = attempt.payload;
                // What is observed in this very plan is written first: its end rests on it.
                ours(view, plan, slot, &tx.inclusion, payload);
            }
            // It is taken over first.
            None if explain::ours_after_all(view, slot, tx).is_some() => {}
            None => foreign(view, plan, slot, tx),
        }
    }
}

fn ours(view: &View, plan: &mut Plan, slot: &Slot, seen: &Inclusion, payload: Payload) {
    let Some(intent) = view.intent_of(slot) else {
        plan.push(Step::Finish {
            nonce: slot.nonce,
            end: Box::new(SlotEnd::Ours(seen.clone())),
            change: None,
            effect: None,
        });
        return;
    };
    // By then the intent is included, also where this plan is the first to see it.
    let included = Intent {
        state: IntentState::Included,
        ..intent.clone()
    };
    let (change, effect) = match payload {
        Payload::Mint => of_mint(&included, seen),
        Payload::Noop => (of_noop(view, slot, &included), None),
    };
    if seen.verdict == Verdict::Skipped {
        plan.push(Step::Pause {
            scope: Scope::Lane(view.lane.clone()),
            code: PauseCode::Problematic,
            detail: format!(
                "the chain skipped transaction {} as problematic and took its fee: find out why, then resume",
                seen.txid
            ),
        });
    }
    plan.push(Step::Finish {
        nonce: slot.nonce,
        end: Box::new(SlotEnd::Ours(seen.clone())),
        change: Some(change),
        effect: effect.map(Box::new),
    });
}

fn of_mint(intent: &Intent, seen: &Inclusion) -> (Move, Option<Effect>) {
    let failed = |reason, note: String| Move {
        failed: true,
        ..change(intent, IntentState::FinalFailed, Some(reason), note)
    };
    let change = match &seen.verdict {
        Verdict::Success { badge: Some(id) } => {
            let note = format!("badge {id} by {} is final", seen.txid);
            let effect = minted(intent, seen, *id);
            return (
                change(intent, IntentState::FinalOk, None, note),
                Some(effect),
            );
        }
        Verdict::Success { badge: None } => failed(
            Reason::UnknownFailure,
            format!("{} succeeded and shows no badge", seen.txid),
        ),
        Verdict::Odd { detail } => failed(
            Reason::UnknownFailure,
            format!("{} ended in no known way: {detail}", seen.txid),
        ),
        Verdict::Aborted { code } => failed(
            of_code(*code),
            format!("{} was refused: {code:?}", seen.txid),
        ),
        Verdict::PostCondition => failed(
            Reason::PostCondition,
            format!("{} was stopped by post-conditions", seen.txid),
        ),
        Verdict::Skipped => failed(Reason::Problematic, format!("{} was skipped", seen.txid)),
    };
    (change, None)
}

/// The badge contract's own codes.
fn of_code(code: Option<u64>) -> Reason {
    match code {
        Some(1301) => Reason::NotMinter,
        Some(1302) => Reason::UnknownKind,
        Some(1304) => Reason::NotEarned,
        Some(1305) => Reason::AlreadyHeld,
        Some(1306) => Reason::Revoked,
        _ => Reason::UnknownFailure,
    }
}

fn of_noop(view: &View, slot: &Slot, intent: &Intent) -> Move {
    if let Some(author) = &intent.cancel {
        let note = format!("called off by {author}; the noop is final");
        return change(intent, IntentState::Cancelled, Some(Reason::Operator), note);
    }
    if signs::unsendable(view, slot) {
        let note = "nodes call the transaction impossible; the noop is final";
        return change(intent, IntentState::Dead, Some(Reason::Unsendable), note);
    }
    let note = "the noop is final in the mint's place";
    change(intent, IntentState::Queued, Some(Reason::NoopWon), note)
}

fn foreign(view: &View, plan: &mut Plan, slot: &Slot, tx: &OwnTx) {
    let seen = &tx.inclusion;
    let change = view.intent_of(slot).map(|intent| {
        // By then no attempt of ours is included, also where this plan is the first to see that.
        let intent = &Intent {
            state: IntentState::Submitting,
            ..intent.clone()
        };
        let note = format!("nonce {} was used by {}", slot.nonce, seen.txid);
        if let Some(author) = &intent.cancel {
            let note = format!("{note}; called off by {author}");
            return change(intent, IntentState::Cancelled, Some(Reason::Operator), note);
        }
        change(intent, IntentState::Queued, Some(Reason::NonceTaken), note)
    });
    plan.push(Step::Finish {
        nonce: slot.nonce,
        end: Box::new(SlotEnd::Foreign {
            txid: seen.txid,
            block: seen.block,
            height: seen.height,
            burn_height: seen.burn_height,
        }),
        change,
        effect: None,
    });
}

fn line_id(intent: &Intent, suffix: &str) -> String {
    format!("mint-{}-{}{suffix}", intent.id, intent.retractions)
}

fn minted(intent: &Intent, seen: &Inclusion, badge: u64) -> Effect {
    let line = Line {
        id: line_id(intent, ""),
        kind: LineKind::Minted,
        intent: intent.id,
        body: json!({
            "recipient": intent.award.recipient, "kind": intent.award.kind, "contract": intent.award.contract,
            "award_seq": intent.award.seq, "badge": badge, "txid": seen.txid.to_string(),
            "block": seen.block.to_string(), "height": seen.height, "burn_height": seen.burn_height,
        }),
    };
    Effect {
        line,
        txid: Some(seen.txid),
        badge: Some(badge),
    }
}

/// The end of an intent whose badge is there, final, and not by us.
pub(super) fn elsewhere(intent: &Intent, badge: &Held) -> Step {
    let line = Line {
        id: line_id(intent, ""),
        kind: LineKind::SatisfiedElsewhere,
        intent: intent.id,
        body: json!({
            "recipient": intent.award.recipient, "kind": intent.award.kind, "contract": intent.award.contract,
            "award_seq": intent.award.seq, "badge": badge.id, "txid": badge.minted.map(|t| t.to_string()),
            "height": badge.minted_height,
        }),
    };
    let note = format!("badge {} is there from elsewhere", badge.id);
    Step::Settle {
        change: change(intent, IntentState::SatisfiedElsewhere, None, note),
        effect: Box::new(Effect {
            line,
            txid: badge.minted,
            badge: Some(badge.id),
        }),
    }
}

/// Slots that were over, and whose transaction the chain does not have any more.
pub(super) fn left_final(view: &View, plan: &mut Plan) {
    let stopped = view
        .book
        .pauses
        .iter()
        .any(|p| p.code == PauseCode::DeepReorg);
    for slot in &view.book.slots {
        if slot.state != SlotState::Consumed {
            continue;
        }
        let Some(was) = &slot.included else {
            continue;
        };
        // A mirror that is made anew, or whose chain stands lower for now, has not said that it is gone.
        if view.chain.tip.height < was.height {
            continue;
        }
        let is = view.own(slot.nonce).map(|t| &t.inclusion);
        let same = is.is_some_and(|i| i.txid == was.txid && i.verdict == was.verdict);
        if !slot.left_final && !same {
            retract(view, plan, slot, was);
        } else if slot.left_final && !stopped {
            plan.push(Step::Reopen { nonce: slot.nonce });
        }
    }
}

fn retract(view: &View, plan: &mut Plan, slot: &Slot, was: &Inclusion) {
    let told = view
        .intent_of(slot)
        .filter(|i| i.state == IntentState::FinalOk);
    let line = told.map(|intent| Line {
        id: line_id(intent, "-retracted"),
        kind: LineKind::Retracted,
        intent: intent.id,
        body: json!({
            "recipient": intent.award.recipient, "kind": intent.award.kind, "contract": intent.award.contract,
            "award_seq": intent.award.seq, "txid": was.txid.to_string(), "block": was.block.to_string(),
            "height": was.height,
        }),
    });
    plan.push(Step::Pause {
        scope: Scope::Global,
        code: PauseCode::DeepReorg,
        detail: format!(
            "{} in block {} was final and is not on the chain any more: compare the mirror with two nodes of others before \
             you believe it, then resume",
            was.txid, was.block
        ),
    });
    plan.push(Step::Retract {
        nonce: slot.nonce,
        line,
    });
}
