//! Does the platform show of its users what they earned and did?

use serde_json::{Value, json};
use stxworx_indexer::store::read::market::{ProfileState, Units};

use crate::anchor::Anchor;
use crate::platform::{Cell, PlatformUser};
use crate::rule::{Class, Fault, Finding, Lag, Repair, RuleInfo, Verdict};

/// A user, from both sides.
#[derive(Debug, Clone, Copy)]
pub struct UserCase<'a> {
    /// The moment.
    pub anchor: &'a Anchor,
    /// The user's principal.
    pub user: &'a str,
    /// What the chain says; none of whom it never told.
    pub chain: Option<&'a ProfileState>,
    /// The platform's rows.
    pub platform: &'a [PlatformUser],
    /// The asset in which the platform sums up what was earned.
    pub earned_asset: &'a str,
}

/// A rule about users.
pub trait UserRule: Sync {
    /// Its card.
    fn info(&self) -> &'static RuleInfo;

    /// What it says.
    fn judge(&self, case: &UserCase<'_>) -> Verdict;
}

/// The rules about users, by id.
pub fn user_rules() -> Vec<&'static dyn UserRule> {
    vec![&Earned, &Attested, &Readable]
}

fn finding(
    case: &UserCase<'_>,
    row: &PlatformUser,
    what: &str,
    expected: impl ToString,
    found: impl ToString,
) -> Finding {
    Finding {
        what: format!("row {} {what}", row.key),
        fault: Fault::Platform,
        expected: expected.to_string(),
        found: found.to_string(),
        at_risk: None,
        facts: json!({
            "user": case.user,
            "chain": serde_json::to_value(case.chain).unwrap_or(Value::Null),
            "platform": row.row.image(),
        }),
        repair: None,
        lag: Lag::PlatformBehind,
        platform_hash: row.row.hash(),
    }
}

/// A change of one column of the platform's user.
fn set_column(row: &PlatformUser, column: &str, value: impl ToString) -> Repair {
    let value = value.to_string();
    let (table, own) = match column {
        "earned" => (("users", "id"), "total_earned"),
        "completed" => (("users", "id"), "completed_projects"),
        _ => (("x_integrations", "user_id"), "verified"),
    };
    Repair {
        kind: column.to_owned(),
        says: format!("set {own} of the platform's user {} to {value}", row.key),
        sql: super::update(table, &row.key, own, &value, row.row.text(column)),
    }
}

/// P14.
struct Readable;

static P14: RuleInfo = RuleInfo {
    id: "P14",
    version: 1,
    class: Class::Presentation,
    must_hold: "every value of a user of the platform can be read",
    reads: &["users.principal"],
};

impl UserRule for Readable {
    fn info(&self) -> &'static RuleInfo {
        &P14
    }

    fn judge(&self, case: &UserCase<'_>) -> Verdict {
        let mut findings = Vec::new();
        for row in case.platform {
            let mut note = |column: &str, found: String| {
                let mut it = finding(case, row, column, "a value", found);
                it.lag = Lag::None;
                findings.push(it);
            };
            if row.principal.is_bad() {
                note("principal", row.principal.to_string());
            }
            if row.earned.is_bad() {
                note("earned", row.earned.to_string());
            }
            if row.completed.is_bad() {
                note("completed", row.completed.to_string());
            }
            if row.x_verified.is_bad() {
                note("x_verified", row.x_verified.to_string());
            }
        }
        Verdict::of(findings)
    }
}

/// P5.
struct Earned;

static P5: RuleInfo = RuleInfo {
    id: "P5",
    version: 1,
    class: Class::Presentation,
    must_hold: "what the platform says a user earned and completed is what the chain counted",
    reads: &["users.principal", "users.earned", "users.completed"],
};

impl UserRule for Earned {
    fn info(&self) -> &'static RuleInfo {
        &P5
    }

    fn judge(&self, case: &UserCase<'_>) -> Verdict {
        let earned = case
            .chain
            .and_then(|chain| chain.earned.get(case.earned_asset))
            .copied()
            .unwrap_or(Units(0));
        let completed = case.chain.map_or(0, |chain| chain.completed);
        let mut findings = Vec::new();
        // Of whom the row does not say who it is, nothing can be said; one that cannot be read is another rule's.
        let named = case
            .platform
            .iter()
            .filter(|row| row.principal.value().is_some());
        for row in named {
            // A column that is not kept says nothing.
            if let Cell::Is(units) = row.earned
                && units != earned.0
            {
                let mut it = finding(case, row, "earned", earned, units);
                it.repair = Some(set_column(row, "earned", earned));
                findings.push(it);
            }
            if let Cell::Is(count) = row.completed
                && count != completed
            {
                let mut it = finding(case, row, "completed", completed, count);
                it.repair = Some(set_column(row, "completed", completed));
                findings.push(it);
            }
        }
        Verdict::of(findings)
    }
}

/// P13.
struct Attested;

static P13: RuleInfo = RuleInfo {
    id: "P13",
    version: 1,
    class: Class::Presentation,
    must_hold: "a user whose X account the platform calls verified has an attestation on the chain that holds",
    reads: &["users.principal", "users.x_verified"],
};

impl UserRule for Attested {
    fn info(&self) -> &'static RuleInfo {
        &P13
    }

    fn judge(&self, case: &UserCase<'_>) -> Verdict {
        let now = u64::from(case.anchor.burn_height);
        let x = case.chain.and_then(|chain| chain.x.as_ref());
        let holds = x.is_some_and(|x| x.expires >= now);
        let wrong = case.platform.iter().filter_map(|row| {
            let says = *row.x_verified.value()?;
            if says == holds || row.principal.value().is_none() {
                return None;
            }
            let mut it = finding(case, row, "x_verified", holds, says);
            it.repair = Some(set_column(row, "x_verified", holds));
            it.lag = if says {
                Lag::PlatformAhead
            } else {
                Lag::PlatformBehind
            };
            Some(it)
        });
        Verdict::of(wrong.collect())
    }
}

#[cfg(test)]
mod tests {
    use stxworx_indexer::model::IndexBlockHash;

    use super::*;
    use crate::platform::Row;

    fn judged(chain: Option<&ProfileState>, cells: &[(&str, &str)]) -> Vec<String> {
        let anchor = Anchor {
            block: IndexBlockHash([1; 32]),
            height: 9,
            burn_height: 50,
            final_height: None,
            platform_time_s: 0,
        };
        let of = |name: &str, text: &str| (name.to_owned(), Some(text.to_owned()));
        let user = "ST1PQHQKV0RJXZFY1DGX8MNSNYVE3VGZJSRTPGZGM";
        let mut row = Row([of("key", "k"), of("principal", user)].into());
        for (name, text) in cells {
            row.0.insert((*name).to_owned(), Some((*text).to_owned()));
        }
        let case = UserCase {
            anchor: &anchor,
            user: "ST1PQHQKV0RJXZFY1DGX8MNSNYVE3VGZJSRTPGZGM",
            chain,
            platform: &[PlatformUser::read(row).unwrap()],
            earned_asset: "STX",
        };
        let verdicts = user_rules().into_iter().map(|rule| rule.judge(&case));
        verdicts
            .filter_map(|verdict| match verdict {
                Verdict::Broken { findings } => Some(findings),
                _ => None,
            })
            .flatten()
            .map(|finding| finding.what)
            .collect()
    }

    fn profile(expires: u64) -> ProfileState {
        ProfileState {
            completed: 3,
            earned: [
                ("STX".to_owned(), Units(900)),
                ("ST1.token".to_owned(), Units(7)),
            ]
            .into(),
            x: Some(stxworx_indexer::project::market::profiles::XAccount {
                handle_hash: String::new(),
                expires,
            }),
            ..ProfileState::default()
        }
    }

    #[test]
    fn sums_counts_and_attestations_are_compared() {
        let right = [("earned", "900"), ("completed", "3"), ("x_verified", "t")];
        assert_eq!(judged(Some(&profile(50)), &right), [""; 0]);
        // Assets summed up as if they were one; gross for net; a count of another thing.
        assert_eq!(
            judged(Some(&profile(50)), &[("earned", "907")]),
            ["row k earned"]
        );
        assert_eq!(
            judged(Some(&profile(50)), &[("completed", "4")]),
            ["row k completed"]
        );
        assert_eq!(
            judged(Some(&profile(49)), &[("x_verified", "t")]),
            ["row k x_verified"]
        );
        assert_eq!(
            judged(None, &[("x_verified", "t"), ("earned", "1")]),
            ["row k earned", "row k x_verified"]
        );
        assert_eq!(judged(None, &[]), [""; 0]);
    }
}
