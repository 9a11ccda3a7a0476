//! Every used nonce of the key is explained before anything is signed.

use serde_json::json;

use super::{Note, Plan, Step, View};
use crate::evidence;
use crate::mint::eligibility::{award, known_of};
use crate::mint::policy::{MOST_IN_FLIGHT, Policy};
use crate::mint::ports::{Adopted, AdoptedTx};
use crate::mint::types::{
    Evidence, IntentId, IntentState, Meaning, OwnTx, PauseCode, Payload, Scope, Signed, Slot,
    Verdict,
};

/// Is every nonce explained? Opens a lane, and takes over what can be understood.
pub(super) fn explain(view: &View, policy: &Policy, plan: &mut Plan) -> bool {
    for (node, of) in view.nodes.iter().enumerate() {
        if of
            .account
            .as_ref()
            .is_some_and(|a| view.is_behind(a, policy))
        {
            plan.notes.insert(Note::NodeBehind { node });
        }
    }
    let by_chain = view.chain.own.last().map_or(0, |t| t.nonce + 1);
    if view.book.base_nonce.is_none() {
        // What the key did before this lane was opened is no business of ours; from here on, all of it is.
        let mut nonces: Vec<u64> = view.accounts(policy).map(|(_, a)| a.nonce).collect();
        nonces.dedup();
        match nonces[..] {
            // One that the mirror is ahead of, or that another node contradicts, is asked again.
            [nonce] if nonce >= by_chain => plan.push(Step::OpenLane { base_nonce: nonce }),
            [] => _ = plan.notes.insert(Note::NoNode),
            _ => _ = plan.notes.insert(Note::Unexplained),
        }
        return false;
    }
    let taken_over = take_over(view, plan);
    let foreign = in_slots(view, plan);
    let gaps = unseen(view, policy, by_chain, plan);
    taken_over && foreign && gaps
}

/// Nonces that were never given out here, as far as the mirror shows them.
fn take_over(view: &View, plan: &mut Plan) -> bool {
    let next = view.book.next_nonce;
    let Some(tx) = view.own(next) else {
        return view.chain.own.iter().all(|t| t.nonce < next);
    };
    match &tx.meaning {
        Meaning::Noop => adopt(plan, tx, None, Payload::Noop),
        Meaning::Mint { recipient, kind } => {
            let known = known_of(&view.known, recipient, *kind);
            match known {
                Some(known) if !known.state.is_over() && !known.state.has_slot() => {
                    adopt(plan, tx, Some(known.intent), Payload::Mint);
                }
                None if matches!(tx.inclusion.verdict, Verdict::Success { .. }) => {
                    new_award(view, plan, tx, recipient, *kind);
                }
                // It is understood, and belongs to nothing here: the nonce is gone, which must be final first.
                _ => give_up(view, plan, tx),
            }
        }
        Meaning::Other => {
            foreign(view, plan, tx);
            if is_paused(view) {
                give_up(view, plan, tx);
            }
        }
    }
    false
}

fn adopt(plan: &mut Plan, tx: &OwnTx, intent: Option<IntentId>, payload: Payload) {
    plan.push(Step::Adopt(Box::new(Adopted {
        nonce: tx.nonce,
        intent,
        tx: Some(AdoptedTx {
            payload,
            fee: tx.fee,
            signed: Signed {
                txid: tx.inclusion.txid,
                bytes: tx.bytes.clone(),
            },
            inclusion: tx.inclusion.clone(),
        }),
    })));
}

fn new_award(view: &View, plan: &mut Plan, tx: &OwnTx, recipient: &str, kind: u64) {
    let body = json!({ "v": 1, "adopted": tx.inclusion.txid.to_string(), "nonce": tx.nonce });
    let (Ok(json), Ok(hash)) = (evidence::canonical(&body), evidence::hash(&body)) else {
        return;
    };
    plan.push(Step::Award {
        award: award(&view.lane.contract, recipient, kind),
        evidence: Evidence { json, hash },
        state: IntentState::Queued,
    });
}

/// A used nonce that is not ours to explain: once that is final, the lane goes on behind it.
fn give_up(view: &View, plan: &mut Plan, tx: &OwnTx) {
    if view.chain.tip.is_final(tx.inclusion.height) {
        plan.push(Step::Adopt(Box::new(Adopted {
            nonce: tx.nonce,
            intent: None,
            tx: None,
        })));
    }
}

fn is_paused(view: &View) -> bool {
    view.book
        .pauses
        .iter()
        .any(|p| p.code == PauseCode::ForeignUse)
}

fn foreign(view: &View, plan: &mut Plan, tx: &OwnTx) {
    if is_paused(view) {
        return;
    }
    plan.push(Step::Pause {
        scope: Scope::Lane(view.lane.clone()),
        code: PauseCode::ForeignUse,
        detail: format!(
            "transaction {} with nonce {} of {} was not made here: find out who has the key, rotate it if nobody should, \
             then resume",
            tx.inclusion.txid, tx.nonce, view.lane.sender
        ),
    });
}

/// Transactions on the chain in our open slots that are none of our attempts.
fn in_slots(view: &View, plan: &mut Plan) -> bool {
    let mut explained = true;
    for slot in view.open_slots() {
        let Some(tx) = view.own(slot.nonce) else {
            continue;
        };
        if slot.attempt(&tx.inclusion.txid).is_some() {
            continue;
        }
        match ours_after_all(view, slot, tx) {
            Some(payload) => adopt(plan, tx, slot.intent, payload),
            None if tx.meaning == Meaning::Other => foreign(view, plan, tx),
            // A mint of another award with this key: bytes that a lost database knew. It ends the slot when it is final.
            None => {}
        }
        explained = false;
    }
    explained
}

/// Bytes of this slot that were lost with a database.
pub(super) fn ours_after_all(view: &View, slot: &Slot, tx: &OwnTx) -> Option<Payload> {
    match &tx.meaning {
        Meaning::Noop => Some(Payload::Noop),
        Meaning::Mint { recipient, kind } => {
            let of = &view.intent_of(slot)?.award;
            (of.recipient == *recipient && of.kind == *kind).then_some(Payload::Mint)
        }
        Meaning::Other => None,
    }
}

/// Nonces that are used, as nodes or later nonces say, by transactions that the mirror does not show.
fn unseen(view: &View, policy: &Policy, by_chain: u64, plan: &mut Plan) -> bool {
    let lowest = view.open_slots().map(|s| s.nonce).min();
    let lowest = lowest.map_or(view.book.next_nonce, |n| n.min(view.book.next_nonce));
    let is_unseen = |below: u64| {
        (lowest..below).any(|nonce| {
            let slot = view.book.slots.iter().find(|s| s.nonce == nonce);
            view.own(nonce).is_none() && slot.is_none_or(|s| s.state.is_open())
        })
    };
    // A node that is ahead of the mirror may well know more than it.
    let nonces: Vec<u64> = view
        .accounts(policy)
        .filter(|(_, a)| a.height <= view.chain.tip.height)
        .map(|(_, a)| a.nonce)
        .collect();
    let (least, most) = (nonces.iter().min(), nonces.iter().max());
    let by_any = by_chain.max(most.copied().unwrap_or(0));
    let by_all = by_chain.max(least.copied().unwrap_or(0));
    let hole = hole(view, nonces.iter().max().copied());
    let (any, all) = (
        is_unseen(by_any) || hole.is_some(),
        is_unseen(by_all) || hole.is_some(),
    );
    let since = view.book.unexplained_since_s;
    // Where no node was heard, what was unexplained still is: on a chain that grows, a node is ahead every few looks.
    let still = nonces.is_empty() && since.is_some();
    if (all || still) != since.is_some() {
        plan.push(Step::NoteUnexplained { is_so: all });
    }
    if any || still {
        plan.notes.insert(Note::Unexplained);
    }
    let over = since.is_some_and(|s| view.book.now_s.saturating_sub(s) >= policy.unexplained_s);
    if let (Some(base_nonce), true) = (hole, over) {
        plan.push(Step::LowerBase { base_nonce });
    } else if all && over && !is_paused(view) {
        plan.push(Step::Pause {
            scope: Scope::Lane(view.lane.clone()),
            code: PauseCode::ForeignUse,
            detail: format!(
                "nonces of {} below {by_all} are used by transactions that the mirror does not show: find out who has the key, \
                 then accept these nonces and resume",
                view.lane.sender
            ),
        });
    }
    !any && !still
}

/// The account's nonce by all nodes, where it is below the first one that was given out here: a fork took back what the
/// key had done before, or a node had said too much. Nothing of ours can be mined until that is filled.
fn hole(view: &View, most: Option<u64>) -> Option<u64> {
    let base = view.book.base_nonce?;
    let nonce = most.filter(|n| *n < base && view.chain.own.is_empty())?;
    Some(nonce.max(base.saturating_sub(u64::from(MOST_IN_FLIGHT))))
}

/// Writes down where the slots' attempts stand.
pub(super) fn observe(view: &View, plan: &mut Plan) {
    for slot in view.open_slots() {
        let tx = view.own(slot.nonce);
        let seen = tx
            .map(|t| &t.inclusion)
            .filter(|i| slot.attempt(&i.txid).is_some());
        if seen == slot.included.as_ref() {
            continue;
        }
        // A mirror that is made anew, or that stands on a shorter chain for now, has not said that it is gone.
        let reaches = |height| view.chain.tip.height >= height;
        let knows = slot.included.as_ref().is_none_or(|i| reaches(i.height));
        if seen.is_some() || knows {
            plan.push(Step::Observe {
                nonce: slot.nonce,
                seen: seen.cloned(),
            });
        }
    }
}
