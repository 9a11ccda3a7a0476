//! Does a project's money add up? Of the chain's side alone.

use stxworx_indexer::store::read::market::{ProjectState, ProjectStatus};

use super::{ProjectCase, ProjectRule, about_chain};
use crate::rule::{Class, Fault, Finding, RuleInfo, Skip, Verdict};

/// Looks at the state, unless the mirror has only a part of its story.
fn look(case: &ProjectCase<'_>, judge: impl FnOnce(&ProjectState, &mut Vec<Finding>)) -> Verdict {
    match case.chain {
        None => Verdict::Matched,
        Some(state) if state.partial => Verdict::Skipped {
            reason: Skip::Incomplete,
        },
        Some(state) => {
            let mut findings = Vec::new();
            judge(state, &mut findings);
            Verdict::of(findings)
        }
    }
}

/// Sums amounts; none above 2^128.
fn sum(parts: impl IntoIterator<Item = u128>) -> Option<u128> {
    parts.into_iter().try_fold(0u128, u128::checked_add)
}

fn shown(sum: Option<u128>) -> String {
    sum.map_or("more than 2^128".to_owned(), |s| s.to_string())
}

fn is_settled(status: stxworx_indexer::project::market::projects::MilestoneStatus) -> bool {
    use stxworx_indexer::project::market::projects::MilestoneStatus as S;
    matches!(status, S::Released | S::Refunded | S::Split)
}

/// E1, E2.
pub(super) struct Conserved;

static E1: RuleInfo = RuleInfo {
    id: "E1",
    version: 1,
    class: Class::Custody,
    must_hold: "what a project paid out, gave back and still locks is what was put in",
    reads: &[],
};

impl ProjectRule for Conserved {
    fn info(&self) -> &'static RuleInfo {
        &E1
    }

    fn judge(&self, case: &ProjectCase<'_>) -> Verdict {
        look(case, |state, findings| {
            let gone = sum([state.paid.0, state.fees.0, state.refunded.0]);
            let open = state.milestones.iter().filter(|m| !is_settled(m.status));
            // A cancelled project gave everything back, and its milestones stay as they were.
            let locked = match state.status {
                ProjectStatus::Cancelled => Some(0),
                _ => sum(open.map(|m| m.amount.0)),
            };
            let all = gone
                .zip(locked)
                .and_then(|(gone, locked)| gone.checked_add(locked));
            if all != Some(state.total.0) {
                findings.push(about_chain(
                    state,
                    Fault::Mirror,
                    "sum",
                    state.total,
                    shown(all),
                ));
            }
            for (name, part, of_milestones) in [
                (
                    "paid",
                    state.paid.0,
                    sum(state.milestones.iter().map(|m| m.payout.0)),
                ),
                (
                    "fees",
                    state.fees.0,
                    sum(state.milestones.iter().map(|m| m.fee.0)),
                ),
            ] {
                if of_milestones != Some(part) {
                    let found = shown(of_milestones);
                    findings.push(about_chain(
                        state,
                        Fault::Mirror,
                        format!("{name} of milestones"),
                        part,
                        found,
                    ));
                }
            }
        })
    }
}

/// E3, E4, E6.
pub(super) struct Milestones;

static E3: RuleInfo = RuleInfo {
    id: "E3",
    version: 1,
    class: Class::Custody,
    must_hold: "a project has milestones 1 to n without a hole, which together are what was put in, and each is settled once and whole",
    reads: &[],
};

impl ProjectRule for Milestones {
    fn info(&self) -> &'static RuleInfo {
        &E3
    }

    fn judge(&self, case: &ProjectCase<'_>) -> Verdict {
        look(case, |state, findings| {
            let all = sum(state.milestones.iter().map(|m| m.amount.0));
            if all != Some(state.total.0) {
                findings.push(about_chain(
                    state,
                    Fault::Mirror,
                    "milestones",
                    state.total,
                    shown(all),
                ));
            }
            for (number, it) in (1u64..).zip(&state.milestones) {
                if it.m != number {
                    findings.push(about_chain(
                        state,
                        Fault::Mirror,
                        format!("number of milestone {number}"),
                        number,
                        it.m,
                    ));
                }
                let gone = sum([it.payout.0, it.fee.0, it.refund.0]);
                let expected = if is_settled(it.status) {
                    it.amount.0
                } else {
                    0
                };
                if gone != Some(expected) {
                    findings.push(about_chain(
                        state,
                        Fault::Mirror,
                        format!("settlement of milestone {number}"),
                        expected,
                        shown(gone),
                    ));
                }
            }
        })
    }
}

/// E7, F10.
pub(super) struct Fees;

static E7: RuleInfo = RuleInfo {
    id: "E7",
    version: 2,
    class: Class::MoneyState,
    must_hold: "a milestone's fee is its freelancer's gross share times the project's rate, rounded down",
    reads: &[],
};

/// `gross · bps div 10000`, without overflow.
pub(super) fn fee_of(gross: u128, bps: u64) -> Option<u128> {
    let bps = u128::from(bps);
    // Both parts fit: bps is at most 10000.
    if bps > 10_000 {
        return None;
    }
    let whole = (gross / 10_000).checked_mul(bps)?;
    whole.checked_add((gross % 10_000) * bps / 10_000)
}

impl ProjectRule for Fees {
    fn info(&self) -> &'static RuleInfo {
        &E7
    }

    fn judge(&self, case: &ProjectCase<'_>) -> Verdict {
        look(case, |state, findings| {
            for it in state.milestones.iter().filter(|m| is_settled(m.status)) {
                let gross = it.payout.0.checked_add(it.fee.0);
                let expected = gross.and_then(|gross| fee_of(gross, state.fee_bps));
                if expected != Some(it.fee.0) {
                    let what = format!("fee of milestone {}", it.m);
                    findings.push(about_chain(
                        state,
                        Fault::Mirror,
                        what,
                        shown(expected),
                        it.fee,
                    ));
                }
            }
        })
    }
}

/// E10, E11.
pub(super) struct Ended;

static E11: RuleInfo = RuleInfo {
    id: "E11",
    version: 1,
    class: Class::MoneyState,
    must_hold: "a project is over when all its milestones are, and then locks nothing",
    reads: &[],
};

impl ProjectRule for Ended {
    fn info(&self) -> &'static RuleInfo {
        &E11
    }

    fn judge(&self, case: &ProjectCase<'_>) -> Verdict {
        use ProjectStatus as S;
        use stxworx_indexer::project::market::projects::MilestoneStatus as M;
        look(case, |state, findings| {
            let all = |wanted: &[M]| state.milestones.iter().all(|m| wanted.contains(&m.status));
            let settled = state.milestones.iter().all(|m| is_settled(m.status));
            let right = match state.status {
                S::Open => !state.milestones.iter().any(|m| is_settled(m.status)),
                S::Active => !settled,
                S::Completed => all(&[M::Released]),
                S::Refunded => all(&[M::Refunded]),
                S::Settled => settled && !all(&[M::Released]) && !all(&[M::Refunded]),
                S::Cancelled => {
                    state.paid.0 == 0 && state.fees.0 == 0 && state.refunded == state.total
                }
            };
            if !right {
                let milestones: Vec<_> = state
                    .milestones
                    .iter()
                    .map(|m| format!("{:?}", m.status).to_lowercase())
                    .collect();
                findings.push(about_chain(
                    state,
                    Fault::Mirror,
                    "status",
                    format!(
                        "a status that follows from milestones {}",
                        milestones.join(", ")
                    ),
                    format!("{:?}", state.status).to_lowercase(),
                ));
            }
        })
    }
}
