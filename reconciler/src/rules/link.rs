//! Do the platform's rows point to the right projects, and say the same of them?

use std::fmt::Display;

use stxworx_indexer::store::read::market::ProjectState;

use super::status::allowed;
use super::{ProjectCase, ProjectRule, about_row, set_column};
use crate::platform::{Cell, PlatformProject, PlatformStatus};
use crate::rule::{Class, Finding, Lag, RuleInfo, Verdict};

/// P1.
pub(super) struct OneRow;

static P1: RuleInfo = RuleInfo {
    id: "P1",
    version: 1,
    class: Class::Link,
    must_hold: "at most one project of the platform points to a project of the chain",
    reads: &["projects.key", "projects.on_chain_id"],
};

impl ProjectRule for OneRow {
    fn info(&self) -> &'static RuleInfo {
        &P1
    }

    fn judge(&self, case: &ProjectCase<'_>) -> Verdict {
        let linked = case
            .platform
            .iter()
            .filter(|row| row.on_chain_id.value().is_some());
        let keys: Vec<_> = linked.clone().map(|row| row.key.as_str()).collect();
        if keys.len() < 2 {
            return Verdict::Matched;
        }
        // One finding for each row, so that each has its own history.
        let found = keys.join(", ");
        Verdict::of(
            linked
                .map(|row| about_row(case, row, format!("row {}", row.key), "one row", &found))
                .collect(),
        )
    }
}

/// P2.
pub(super) struct Agrees;

static P2: RuleInfo = RuleInfo {
    id: "P2",
    version: 1,
    class: Class::Link,
    must_hold: "a project has the same client, freelancer, asset and amounts on both sides",
    reads: &[
        "projects.client",
        "projects.freelancer",
        "projects.asset",
        "projects.total",
        "projects.milestone_1_amount",
    ],
};

impl ProjectRule for Agrees {
    fn info(&self) -> &'static RuleInfo {
        &P2
    }

    fn judge(&self, case: &ProjectCase<'_>) -> Verdict {
        let Some(chain) = case.chain else {
            return Verdict::Matched;
        };
        let mut findings = Vec::new();
        for row in case.platform {
            let mut note = |what: &str, expected: &dyn Display, found: &dyn Display| {
                let mut finding = about_row(
                    case,
                    row,
                    format!("row {} {what}", row.key),
                    expected,
                    found,
                );
                finding.repair = Some(set_column(case, row, what, expected));
                findings.push(finding);
            };
            for (what, ours, theirs) in [
                ("client", &chain.client, &row.client),
                ("freelancer", &chain.freelancer, &row.freelancer),
            ] {
                match theirs {
                    // As it is written, mostly: an address is made of its bytes only where that is not so.
                    Cell::Is(_) if row.row.text(what) == Some(ours) => {}
                    Cell::Is(theirs) if theirs.to_string() == *ours => {}
                    // What cannot be read is another rule's.
                    Cell::Bad { .. } => {}
                    theirs => note(what, ours, theirs),
                }
            }
            if let Cell::Is(name) = &row.asset
                && case.assets.on_chain(name).as_deref() != Some(chain.asset.as_str())
            {
                note("asset", &chain.asset, name);
            }
            if !row.total.is_bad() && row.total != Cell::Is(chain.total.0) {
                note("total", &chain.total, &row.total);
            }
            for ours in &chain.milestones {
                let theirs = row.milestones.iter().find(|it| it.m == ours.m);
                let amount = theirs.map_or(&Cell::Absent, |it| &it.amount);
                if !amount.is_bad() && *amount != Cell::Is(ours.amount.0) {
                    note(
                        &format!("milestone_{}_amount", ours.m),
                        &ours.amount,
                        amount,
                    );
                }
            }
            for theirs in &row.milestones {
                let has_amount = matches!(theirs.amount, Cell::Is(units) if units > 0);
                if has_amount && !chain.milestones.iter().any(|ours| ours.m == theirs.m) {
                    note(
                        &format!("milestone_{}_amount", theirs.m),
                        &0,
                        &theirs.amount,
                    );
                }
            }
        }
        Verdict::of(findings)
    }
}

/// P9.
pub(super) struct Known;

static P9: RuleInfo = RuleInfo {
    id: "P9",
    version: 1,
    class: Class::Link,
    must_hold: "a project that is not pending exists on the chain, and a project of the chain is known to the platform",
    reads: &["projects.on_chain_id", "projects.status"],
};

/// Has this row nothing to do with the chain yet, or not any more?
fn is_off_chain(row: &PlatformProject) -> bool {
    matches!(row.on_chain_id, Cell::Absent)
        && matches!(
            row.status,
            Cell::Absent | Cell::Is(PlatformStatus::Pending | PlatformStatus::Cancelled)
        )
}

impl ProjectRule for Known {
    fn info(&self) -> &'static RuleInfo {
        &P9
    }

    fn judge(&self, case: &ProjectCase<'_>) -> Verdict {
        let findings = match case.chain {
            Some(chain) if case.platform.is_empty() => {
                let mut finding = super::about_chain(
                    chain,
                    crate::rule::Fault::Platform,
                    "row",
                    "a project of the platform",
                    "none",
                );
                finding.at_risk = super::locked(chain);
                finding.lag = Lag::PlatformBehind;
                vec![finding]
            }
            Some(_) => Vec::new(),
            None => case
                .platform
                .iter()
                .filter(|row| !is_off_chain(row) && !row.on_chain_id.is_bad())
                .map(|row| self.nowhere(case, row))
                .collect(),
        };
        Verdict::of(findings)
    }
}

impl Known {
    /// A row that points to a project that does not exist, or to none although it should.
    fn nowhere(&self, case: &ProjectCase<'_>, row: &PlatformProject) -> Finding {
        let found = format!("{}, pointing to {}", row.status, row.on_chain_id);
        let what = format!("row {}", row.key);
        let mut finding = about_row(
            case,
            row,
            what,
            "a project of the chain, or a pending row",
            found,
        );
        finding.lag = Lag::PlatformAhead;
        finding
    }
}

/// What a column must hold, by the chain.
fn known(chain: &ProjectState, column: &str) -> Option<String> {
    Some(match column {
        "client" => chain.client.clone(),
        "freelancer" => chain.freelancer.clone(),
        "total" => chain.total.to_string(),
        "tx_id" => chain.opened.as_ref()?.to_string(),
        "status" => allowed(chain).first()?.to_string(),
        _ => {
            let m = column.strip_prefix("milestone_")?.strip_suffix("_amount")?;
            let m: u64 = m.parse().ok()?;
            let it = chain.milestones.iter().find(|it| it.m == m)?;
            it.amount.to_string()
        }
    })
}

/// P8.
pub(super) struct Readable;

static P8: RuleInfo = RuleInfo {
    id: "P8",
    version: 1,
    class: Class::Link,
    must_hold: "every value of the platform's row can be read",
    reads: &["projects.key"],
};

impl ProjectRule for Readable {
    fn info(&self) -> &'static RuleInfo {
        &P8
    }

    fn judge(&self, case: &ProjectCase<'_>) -> Verdict {
        let findings = case.platform.iter().flat_map(|row| {
            row.bad_cells().into_iter().map(move |(column, text, why)| {
                let what = format!("row {} {column}", row.key);
                let found = format!("{text:?}: {why}");
                let mut finding = about_row(case, row, what, "a value", found);
                finding.repair = case
                    .chain
                    .and_then(|chain| known(chain, &column))
                    .map(|value| set_column(case, row, &column, value));
                finding
            })
        });
        Verdict::of(findings.collect())
    }
}
