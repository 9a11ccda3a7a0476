//! What a transaction costs.

use super::View;
use crate::mint::policy::Policy;
use crate::mint::types::{Attempt, Fee, Seconds};

const DAY_S: Seconds = 86_400;

/// What a mint should cost: the middle of what the nodes say, else what was good last. Within the limits, so that a node
/// that says something absurd changes little.
pub(super) fn estimate(view: &View, policy: &Policy) -> Fee {
    let mut said: Vec<Fee> = view.nodes.iter().filter_map(|n| n.fee).collect();
    said.sort_unstable();
    let middle = said.get(said.len() / 2).copied();
    let last_good = || {
        let attempts = view.book.slots.iter().filter_map(|s| s.newest());
        let last = attempts.max_by_key(|a| a.signed_s).map(|a| a.fee);
        last.unwrap_or(policy.fee_floor.saturating_mul(2))
    };
    policy.within(middle.unwrap_or_else(last_good))
}

/// The fee of the next attempt of a slot: a quarter above the estimate, and a quarter above the one before, which the
/// estimate had not helped. None at the cap.
pub(super) fn raised(view: &View, policy: &Policy, old: Fee, at_least: Option<Fee>) -> Option<Fee> {
    let quarter_above = estimate(view, policy).saturating_mul(5).div_ceil(4);
    let wanted = quarter_above
        .max(at_least.unwrap_or(0))
        .max(old.saturating_mul(5).div_ceil(4))
        .max(old.saturating_add(1));
    let fee = policy.within(wanted);
    (fee > old).then_some(fee)
}

/// What an attempt adds to the fees of the last 24 hours: only one of a slot's attempts can be mined.
pub(super) fn added(view: &View, newest: Option<&Attempt>, fee: Fee) -> u128 {
    let counted = newest
        .filter(|a| a.signed_s.saturating_add(DAY_S) > view.book.now_s)
        .map_or(0, |a| a.fee);
    u128::from(fee.saturating_sub(counted))
}
