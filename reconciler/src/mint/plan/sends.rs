//! What is sent, to whom, and when again.

use super::{Plan, Step, View};
use crate::mint::policy::Policy;
use crate::mint::types::{Account, Attempt, Presence, Seconds, Slot, SlotState};

/// Longest pause between two sendings of the same bytes.
const LONGEST_S: Seconds = 3_600;
/// Sendings in one plan.
const IN_A_PASS: usize = 20;

/// Nodes that answer and are not far behind.
pub(super) fn usable<'a>(
    view: &'a View,
    policy: &'a Policy,
) -> impl Iterator<Item = (usize, &'a Account)> {
    view.accounts(policy)
}

/// Sends the newest attempt of each slot that is not on the chain, lowest nonce first.
pub(super) fn send(view: &View, policy: &Policy, plan: &mut Plan) {
    let mut left = IN_A_PASS;
    for slot in view.open_slots() {
        if left == 0 {
            return;
        }
        if slot.state != SlotState::Live || view.own(slot.nonce).is_some() || is_signed(plan, slot)
        {
            continue;
        }
        let Some(newest) = slot.newest() else {
            continue;
        };
        // The mirror's source may not have had the bytes of what was taken over.
        if newest.bytes.is_empty() || !is_due(view, policy, newest) {
            continue;
        }
        if let Some(node) = whom(view, policy, newest) {
            plan.push(Step::Send {
                nonce: slot.nonce,
                txid: newest.txid,
                node,
            });
            left -= 1;
        }
    }
}

/// A dearer attempt is signed in this plan: that one is sent, by the next.
fn is_signed(plan: &Plan, slot: &Slot) -> bool {
    plan.steps
        .iter()
        .any(|s| matches!(s, Step::Sign { nonce, .. } if *nonce == slot.nonce))
}

fn is_due(view: &View, policy: &Policy, newest: &Attempt) -> bool {
    let Some(last) = newest.sends.last() else {
        return true;
    };
    let seen = view
        .presences(&newest.txid)
        .any(|(_, p)| *p == Presence::Pending);
    let doublings = u32::try_from(newest.sends.len().saturating_sub(1))
        .unwrap_or(u32::MAX)
        .min(6);
    let pause = policy
        .grace_s
        .saturating_mul(1 << doublings)
        .min(LONGEST_S.max(policy.grace_s));
    // A node that has it is believed for longer, and not for ever.
    let pause = if seen {
        pause.max(policy.bump_after_s)
    } else {
        pause
    };
    view.book.now_s.saturating_sub(last.at_s) >= pause
}

/// The node that heard of it longest ago; one that never did is first.
fn whom(view: &View, policy: &Policy, newest: &Attempt) -> Option<usize> {
    usable(view, policy)
        .map(|(node, _)| node)
        .min_by_key(|node| {
            let mut sends = newest.sends.iter().enumerate().rev();
            let last = sends.find(|(_, s)| s.node == *node).map(|(at, _)| at + 1);
            (last.unwrap_or(0), *node)
        })
}
