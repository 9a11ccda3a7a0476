//! Does the platform think that a project stands where it stands?

use stxworx_indexer::project::market::projects::{Milestone, MilestoneStatus};
use stxworx_indexer::store::read::market::{ProjectState, ProjectStatus};

use super::{ProjectCase, ProjectRule, about_row, set_column};
use crate::platform::{Cell, PlatformStatus};
use crate::rule::{Class, Lag, RuleInfo, Verdict};

/// P3.
pub(super) struct Status;

static P3: RuleInfo = RuleInfo {
    id: "P3",
    version: 1,
    class: Class::MoneyState,
    must_hold: "the platform's status of a project is one that its state on the chain allows",
    reads: &["projects.status"],
};

/// The statuses that the platform may show for a project of the chain. The first is the best.
pub fn allowed(chain: &ProjectState) -> Vec<PlatformStatus> {
    use PlatformStatus as P;
    let any = |status| chain.milestones.iter().any(|m| m.status == status);
    match chain.status {
        // Money is locked: the platform's first version has no word between pending and active.
        ProjectStatus::Open => vec![P::Open, P::Active],
        ProjectStatus::Active => {
            let mut all = vec![P::Active];
            if any(MilestoneStatus::Submitted) {
                all.insert(0, P::UnderReview);
            }
            if any(MilestoneStatus::Disputed) {
                all.insert(0, P::Disputed);
                // Its first version has no word for disputes.
                all.push(P::UnderReview);
            }
            all
        }
        ProjectStatus::Completed => vec![P::Completed],
        ProjectStatus::Refunded => vec![P::Refunded],
        ProjectStatus::Settled => vec![P::Settled],
        ProjectStatus::Cancelled => vec![P::Cancelled, P::Refunded],
    }
}

/// How far a project has come: a status of a lower rank is behind one of a higher.
fn rank(status: PlatformStatus) -> u8 {
    use PlatformStatus as P;
    match status {
        P::Pending => 0,
        P::Open => 1,
        P::Active => 2,
        P::UnderReview => 3,
        P::Disputed => 4,
        P::Completed | P::Refunded | P::Settled | P::Cancelled => 5,
    }
}

impl ProjectRule for Status {
    fn info(&self) -> &'static RuleInfo {
        &P3
    }

    fn judge(&self, case: &ProjectCase<'_>) -> Verdict {
        let Some(chain) = case.chain else {
            return Verdict::Matched;
        };
        let allowed = allowed(chain);
        let findings = case.platform.iter().filter_map(|row| {
            let is_right = match &row.status {
                Cell::Is(status) => allowed.contains(status),
                Cell::Absent => false,
                Cell::Bad { .. } => true,
            };
            if is_right {
                return None;
            }
            let words: Vec<_> = allowed.iter().map(ToString::to_string).collect();
            let what = format!("row {} status", row.key);
            let mut finding = about_row(case, row, what, words.join(" or "), &row.status);
            let best = allowed.first()?;
            let ahead = row
                .status
                .value()
                .is_some_and(|status| rank(*status) > rank(*best));
            finding.lag = if ahead {
                Lag::PlatformAhead
            } else {
                Lag::PlatformBehind
            };
            finding.repair = Some(set_column(case, row, "status", best));
            Some(finding)
        });
        Verdict::of(findings.collect())
    }
}

/// P11.
pub(super) struct Flags;

static P11: RuleInfo = RuleInfo {
    id: "P11",
    version: 1,
    class: Class::MoneyState,
    must_hold: "the platform's milestones are funded, complete and released when they are so on the chain",
    reads: &[
        "projects.milestone_1_funded",
        "projects.milestone_1_complete",
        "projects.milestone_1_released",
    ],
};

/// What the platform must say of a milestone: funded, complete, released. None where it may say either.
fn flags(chain: &ProjectState, it: &Milestone) -> [(&'static str, Option<bool>); 3] {
    use MilestoneStatus as M;
    let is_cancelled = chain.status == ProjectStatus::Cancelled;
    let (complete, released) = match it.status {
        M::Funded => (Some(false), Some(false)),
        M::Submitted => (Some(true), Some(false)),
        // It may have been called before or after work was handed in.
        M::Disputed => (None, Some(false)),
        M::Released => (Some(true), Some(true)),
        M::Refunded => (None, Some(false)),
        // Part of it was paid: the platform has no word for that.
        M::Split => (None, None),
    };
    let funded = if is_cancelled { None } else { Some(true) };
    [
        ("funded", funded),
        ("complete", complete),
        ("released", released),
    ]
}

impl ProjectRule for Flags {
    fn info(&self) -> &'static RuleInfo {
        &P11
    }

    fn judge(&self, case: &ProjectCase<'_>) -> Verdict {
        let Some(chain) = case.chain else {
            return Verdict::Matched;
        };
        let mut findings = Vec::new();
        for row in case.platform {
            for ours in &chain.milestones {
                let Some(theirs) = row.milestones.iter().find(|it| it.m == ours.m) else {
                    continue;
                };
                for (name, expected) in flags(chain, ours) {
                    let cell = match name {
                        "funded" => &theirs.funded,
                        "complete" => &theirs.complete,
                        _ => &theirs.released,
                    };
                    let Some(expected) = expected else { continue };
                    // Null is what a column says that was never set.
                    let says = match cell {
                        Cell::Is(says) => *says,
                        Cell::Absent => false,
                        Cell::Bad { .. } => continue,
                    };
                    if says == expected {
                        continue;
                    }
                    let column = format!("milestone_{}_{name}", ours.m);
                    let what = format!("row {} {column}", row.key);
                    let mut finding = about_row(case, row, what, expected, cell);
                    finding.lag = if says {
                        Lag::PlatformAhead
                    } else {
                        Lag::PlatformBehind
                    };
                    finding.repair = Some(set_column(case, row, &column, expected));
                    findings.push(finding);
                }
            }
        }
        Verdict::of(findings)
    }
}
