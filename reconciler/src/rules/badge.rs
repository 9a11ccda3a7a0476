//! Are the badges that the platform shows the ones that the chain has?

use serde_json::{Value, json};
use stxworx_indexer::store::read::market::BadgeState;

use crate::anchor::Anchor;
use crate::platform::{Cell, PlatformBadge};
use crate::rule::{Class, Fault, Finding, Lag, Repair, RuleInfo, Verdict};

/// The badges of one user of one kind, from both sides.
#[derive(Debug, Clone, Copy)]
pub struct BadgeCase<'a> {
    /// The moment.
    pub anchor: &'a Anchor,
    /// The user's principal; empty of a row that names none.
    pub user: &'a str,
    /// The kind's number; none where the rows name no kind that is known.
    pub kind: Option<u64>,
    /// What the kind is called on the chain, if it is called anything.
    pub kind_name: Option<&'a str>,
    /// Badges of this user and kind, live ones and revoked ones.
    pub chain: &'a [BadgeState],
    /// The platform's rows about it.
    pub platform: &'a [PlatformBadge],
}

/// A rule about badges.
pub trait BadgeRule: Sync {
    /// Its card.
    fn info(&self) -> &'static RuleInfo;

    /// What it says.
    fn judge(&self, case: &BadgeCase<'_>) -> Verdict;
}

/// The rules about badges, by id.
pub fn badge_rules() -> Vec<&'static dyn BadgeRule> {
    vec![&OneLive, &Readable, &Native, &Exists, &OneRow]
}

fn live<'a>(case: &BadgeCase<'a>) -> impl Iterator<Item = &'a BadgeState> {
    case.chain.iter().filter(|badge| badge.owner.is_some())
}

fn finding(
    case: &BadgeCase<'_>,
    fault: Fault,
    what: String,
    expected: impl ToString,
    found: impl ToString,
) -> Finding {
    let rows: Vec<_> = case.platform.iter().map(|row| row.row.image()).collect();
    Finding {
        what,
        fault,
        expected: expected.to_string(),
        found: found.to_string(),
        at_risk: None,
        facts: json!({
            "user": case.user,
            "kind": case.kind,
            "chain": serde_json::to_value(case.chain).unwrap_or(Value::Null),
            "platform_rows": rows,
        }),
        repair: None,
        lag: Lag::None,
        platform_hash: [0; 32],
    }
}

/// A finding about one row of the platform.
fn about_row(
    case: &BadgeCase<'_>,
    row: &PlatformBadge,
    what: &str,
    expected: impl ToString,
    found: impl ToString,
) -> Finding {
    let what = match what {
        "" => format!("row {}", row.key),
        what => format!("row {} {what}", row.key),
    };
    let mut it = finding(case, Fault::Platform, what, expected, found);
    it.facts["platform"] = row.row.image();
    it.platform_hash = row.row.hash();
    it
}

fn set_column(row: &PlatformBadge, column: &str, own: &str, value: &str) -> Repair {
    let table = ("nft_achievements", "id");
    Repair {
        kind: column.to_owned(),
        says: format!("set {own} of the platform's badge {} to {value}", row.key),
        sql: super::update(table, &row.key, own, value, row.row.text(column)),
    }
}

/// B10.
struct Readable;

static B10: RuleInfo = RuleInfo {
    id: "B10",
    version: 1,
    class: Class::Badge,
    must_hold: "every value of a badge of the platform can be read, and it says whose the badge is, and of which kind",
    reads: &["badges.user", "badges.kind"],
};

impl BadgeRule for Readable {
    fn info(&self) -> &'static RuleInfo {
        &B10
    }

    fn judge(&self, case: &BadgeCase<'_>) -> Verdict {
        let mut findings = Vec::new();
        for row in case.platform {
            let mut note = |column: &str, found: String| {
                findings.push(about_row(case, row, column, "a value", found));
            };
            if row.user.value().is_none() {
                note("user", row.user.to_string());
            }
            if row.kind == Cell::Absent || case.kind.is_none() {
                note("kind", row.kind.to_string());
            }
            if row.token_id.is_bad() {
                note("token_id", row.token_id.to_string());
            }
            if row.tx_id.is_bad() {
                note("tx_id", row.tx_id.to_string());
            }
        }
        Verdict::of(findings)
    }
}

/// B1.
struct OneLive;

static B1: RuleInfo = RuleInfo {
    id: "B1",
    version: 1,
    class: Class::Badge,
    must_hold: "a user has at most one live badge of a kind",
    reads: &[],
};

impl BadgeRule for OneLive {
    fn info(&self) -> &'static RuleInfo {
        &B1
    }

    fn judge(&self, case: &BadgeCase<'_>) -> Verdict {
        let ids: Vec<_> = live(case).map(|badge| badge.id.to_string()).collect();
        if ids.len() < 2 {
            return Verdict::Matched;
        }
        let found = ids.join(", ");
        Verdict::of(vec![finding(
            case,
            Fault::Node,
            "live".to_owned(),
            "one badge",
            found,
        )])
    }
}

/// B6.
struct Native;

static B6: RuleInfo = RuleInfo {
    id: "B6",
    version: 1,
    class: Class::Mirror,
    must_hold: "the owner of a badge is the same by the contract's events and by the token's own",
    reads: &[],
};

impl BadgeRule for Native {
    fn info(&self) -> &'static RuleInfo {
        &B6
    }

    fn judge(&self, case: &BadgeCase<'_>) -> Verdict {
        let of = |owner: &Option<String>| owner.clone().unwrap_or("nobody".to_owned());
        let wrong = case.chain.iter().filter(|b| b.owner != b.native_owner);
        Verdict::of(
            wrong
                .map(|badge| {
                    let what = format!("owner of {}", badge.id);
                    let (native, told) = (of(&badge.native_owner), of(&badge.owner));
                    finding(case, Fault::Mirror, what, native, told)
                })
                .collect(),
        )
    }
}

/// B7.
struct Exists;

static B7: RuleInfo = RuleInfo {
    id: "B7",
    version: 2,
    class: Class::Badge,
    must_hold: "a badge that the platform shows is a live token of that user and kind, with that number and that transaction",
    reads: &["badges.user", "badges.kind", "badges.token_id"],
};

impl BadgeRule for Exists {
    fn info(&self) -> &'static RuleInfo {
        &B7
    }

    fn judge(&self, case: &BadgeCase<'_>) -> Verdict {
        let Some(_) = case.kind else {
            return Verdict::Matched;
        };
        let badge = live(case).next();
        let mut findings = Vec::new();
        for row in case.platform {
            let Some(badge) = badge else {
                let mut it = about_row(case, row, "", "no badge", "one");
                // It may be recorded before its transaction is final.
                it.lag = Lag::BadgePending;
                let key = super::literal(&row.key);
                it.repair = Some(Repair {
                    kind: "delete".to_owned(),
                    says: format!("remove the platform's badge {}", row.key),
                    sql: format!("delete from nft_achievements where id = {key};"),
                });
                findings.push(it);
                continue;
            };
            if !row.token_id.is_bad() && row.token_id != Cell::Is(badge.id) {
                let (expected, found) = (
                    format!("token {}", badge.id),
                    format!("token {}", row.token_id),
                );
                let mut it = about_row(case, row, "", expected, found);
                it.repair = Some(set_column(
                    row,
                    "token_id",
                    "token_id",
                    &badge.id.to_string(),
                ));
                findings.push(it);
            }
            if let (Cell::Is(claimed), Some(minted)) = (&row.tx_id, &badge.minted)
                && claimed != minted
            {
                let mut it = about_row(case, row, "tx_id", minted, claimed);
                it.repair = Some(set_column(row, "tx_id", "mint_tx_id", &minted.to_string()));
                findings.push(it);
            }
        }
        Verdict::of(findings)
    }
}

/// B8.
struct OneRow;

static B8: RuleInfo = RuleInfo {
    id: "B8",
    version: 1,
    class: Class::Badge,
    must_hold: "the platform shows a user's badge of a kind once, and shows it when the chain has it",
    reads: &["badges.user", "badges.kind"],
};

impl BadgeRule for OneRow {
    fn info(&self) -> &'static RuleInfo {
        &B8
    }

    fn judge(&self, case: &BadgeCase<'_>) -> Verdict {
        // What is no kind is another rule's, row by row.
        let Some(kind) = case.kind else {
            return Verdict::Matched;
        };
        let keys: Vec<_> = case.platform.iter().map(|row| row.key.as_str()).collect();
        let is_live = live(case).next().is_some();
        let mut found = match (keys.len(), is_live) {
            (0, true) => finding(case, Fault::Platform, "row".to_owned(), "a row", "none"),
            (0 | 1, _) => return Verdict::Matched,
            _ => {
                let keys = keys.join(", ");
                finding(case, Fault::Platform, "rows".to_owned(), "one row", keys)
            }
        };
        if keys.is_empty() {
            found.lag = Lag::PlatformBehind;
            found.repair = missing(case, kind);
        }
        Verdict::of(vec![found])
    }
}

/// The row that the platform lacks.
fn missing(case: &BadgeCase<'_>, kind: u64) -> Option<Repair> {
    let badge = live(case).next()?;
    let name = case
        .kind_name
        .map_or_else(|| kind.to_string(), str::to_owned);
    let (user, name) = (super::literal(case.user), super::literal(&name));
    Some(Repair {
        kind: "insert".to_owned(),
        says: format!("add badge {} to the platform", badge.id),
        sql: format!(
            "insert into nft_achievements (user_id, token_id, achievement_type) \
             select u.id, {id}, {name} from users u where u.stx_address = {user} \
             and not exists (select from nft_achievements a where a.user_id = u.id and a.achievement_type = {name});",
            id = badge.id
        ),
    })
}

#[cfg(test)]
mod tests {
    use stxworx_indexer::model::IndexBlockHash;

    use super::*;
    use crate::platform::Row;

    const USER: &str = "ST1PQHQKV0RJXZFY1DGX8MNSNYVE3VGZJSRTPGZGM";

    fn badge(id: u64, live: bool) -> BadgeState {
        let owner = live.then(|| USER.to_owned());
        BadgeState {
            id,
            kind: 1,
            owner: owner.clone(),
            native_owner: owner,
            ..BadgeState::default()
        }
    }

    fn row(key: &str, token: &str) -> PlatformBadge {
        let cells = [
            ("key", key),
            ("user", USER),
            ("kind", "bronze"),
            ("token_id", token),
        ];
        let cell = |(name, text): (&str, &str)| (name.to_owned(), Some(text.to_owned()));
        PlatformBadge::read(Row(cells.map(cell).into())).unwrap()
    }

    fn broken(chain: &[BadgeState], platform: &[PlatformBadge]) -> Vec<&'static str> {
        let anchor = Anchor {
            block: IndexBlockHash([1; 32]),
            height: 9,
            burn_height: 5,
            final_height: None,
            platform_time_s: 0,
        };
        let case = BadgeCase {
            anchor: &anchor,
            user: USER,
            kind: Some(1),
            kind_name: Some("bronze"),
            chain,
            platform,
        };
        let rules = badge_rules();
        rules
            .iter()
            .filter(|rule| matches!(rule.judge(&case), Verdict::Broken { .. }))
            .map(|rule| rule.info().id)
            .collect()
    }

    #[test]
    fn what_agrees_breaks_nothing() {
        assert_eq!(broken(&[], &[]), [""; 0]);
        assert_eq!(broken(&[badge(3, true)], &[row("a", "3")]), [""; 0]);
        // A revoked one and the one that follows it.
        let both = [badge(3, false), badge(8, true)];
        assert_eq!(broken(&both, &[row("a", "8")]), [""; 0]);
        assert_eq!(broken(&[badge(3, false)], &[]), [""; 0]);
    }

    #[test]
    fn each_fault_has_its_rule() {
        let two = [badge(3, true), badge(4, true)];
        assert_eq!(broken(&two, &[row("a", "3")]), ["B1"]);
        let mut odd = badge(3, true);
        odd.native_owner = None;
        assert_eq!(broken(&[odd], &[row("a", "3")]), ["B6"]);
        // Claimed and never minted; a number that was made up; revoked since.
        assert_eq!(broken(&[], &[row("a", "1700000000000")]), ["B7"]);
        assert_eq!(
            broken(&[badge(3, true)], &[row("a", "1700000000000")]),
            ["B7"]
        );
        assert_eq!(broken(&[badge(3, false)], &[row("a", "3")]), ["B7"]);
        assert_eq!(broken(&[badge(3, true)], &[row("a", "")]), ["B7"]);
        assert_eq!(
            broken(&[badge(3, true)], &[row("a", "3"), row("b", "3")]),
            ["B8"]
        );
        assert_eq!(broken(&[badge(3, true)], &[]), ["B8"]);
    }
}
