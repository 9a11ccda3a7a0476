//! Is the money that an escrow says it holds there?

use serde_json::{Value, json};
use stxworx_indexer::store::read::market::{AssetState, Units};

use crate::anchor::Anchor;
use crate::rule::{Class, Fault, Finding, Lag, Money, RuleInfo, Skip, Verdict};

/// An asset of an escrow, from every side.
#[derive(Debug, Clone, Copy)]
pub struct AssetCase<'a> {
    /// The moment.
    pub anchor: &'a Anchor,
    /// What the mirror counted.
    pub chain: &'a AssetState,
    /// What its projects lock, summed; none above 2^128 or while one of them is known in part only.
    pub of_projects: Option<u128>,
    /// What the node says the escrow owns at the anchor's block; an error when it was asked in vain.
    pub at_node: Result<u128, Skip>,
    /// Is the mirror's state what its payloads make it? None where nobody looked.
    pub mirror_holds: Option<bool>,
}

/// A rule about assets of escrows.
pub trait AssetRule: Sync {
    /// Its card.
    fn info(&self) -> &'static RuleInfo;

    /// What it says.
    fn judge(&self, case: &AssetCase<'_>) -> Verdict;
}

/// The rules about assets, by id.
pub fn asset_rules() -> Vec<&'static dyn AssetRule> {
    vec![&OfProjects, &Moved, &AtNode]
}

fn finding(
    case: &AssetCase<'_>,
    (what, fault): (&str, Fault),
    expected: impl ToString,
    found: impl ToString,
    at_risk: u128,
) -> Finding {
    Finding {
        what: what.to_owned(),
        fault,
        expected: expected.to_string(),
        found: found.to_string(),
        at_risk: Some(Money {
            units: at_risk,
            asset: case.chain.asset.clone(),
        }),
        facts: json!({
            // A state of text, whole numbers and truth values has a form.
            "chain": serde_json::to_value(case.chain).unwrap_or(Value::Null),
            "of_projects": case.of_projects.map(|units| units.to_string()),
            "at_node": case.at_node.ok().map(|units| units.to_string()),
        }),
        repair: None,
        lag: Lag::None,
        platform_hash: [0; 32],
    }
}

/// Whose fault it is that money is not there: the chain's, unless the mirror's row is not what its payloads make it.
fn of_money(case: &AssetCase<'_>) -> Fault {
    match case.mirror_holds {
        Some(false) => Fault::Mirror,
        _ => Fault::Node,
    }
}

const INCOMPLETE: Verdict = Verdict::Skipped {
    reason: Skip::Incomplete,
};

/// F7.
struct OfProjects;

static F7: RuleInfo = RuleInfo {
    id: "F7",
    version: 1,
    class: Class::Custody,
    must_hold: "what an escrow counts as locked is what its projects lock together",
    reads: &[],
};

impl AssetRule for OfProjects {
    fn info(&self) -> &'static RuleInfo {
        &F7
    }

    fn judge(&self, case: &AssetCase<'_>) -> Verdict {
        let Some(of_projects) = case.of_projects.filter(|_| !case.chain.partial) else {
            return INCOMPLETE;
        };
        let locked = case.chain.locked.0;
        if locked == of_projects {
            return Verdict::Matched;
        }
        let at_risk = locked.abs_diff(of_projects);
        Verdict::of(vec![finding(
            case,
            ("locked", Fault::Mirror),
            of_projects,
            locked,
            at_risk,
        )])
    }
}

/// E17, summed: what came and went is what is locked, and what nobody asked for.
struct Moved;

static E17: RuleInfo = RuleInfo {
    id: "E17",
    version: 3,
    class: Class::Custody,
    must_hold: "what came to an escrow and did not go again covers what it locks; what went was paid, kept as fee or given back; what was put in and did not go is locked",
    reads: &[],
};

/// What does not add up: what, what must be, what is, and the difference.
type Odd = (&'static str, String, String, u128);

fn odd(chain: &AssetState) -> Vec<Odd> {
    let mut odd = Vec::new();
    let mut unlike = |what, expected: Option<u128>, found: u128, at_least: bool| {
        let is_right = expected.is_some_and(|it| it == found || (at_least && it < found));
        if !is_right {
            let words = if at_least { "at least " } else { "" };
            let shown = expected.map_or("what adds up".to_owned(), |it| format!("{words}{it}"));
            let at_risk = expected.unwrap_or(u128::MAX).abs_diff(found);
            odd.push((what, shown, found.to_string(), at_risk));
        }
    };
    let gone = Units::sum(&[chain.paid, chain.fees, chain.refunded]);
    let locked = gone.and_then(|gone| chain.deposited.0.checked_sub(gone));
    unlike("locked", locked, chain.locked.0, false);
    // A token that is tried out comes and goes, one unit each time; STX is not.
    unlike("sent", gone, chain.sent.0, chain.asset != "STX");
    // More than is locked is money that somebody sent unasked: no break.
    let held = chain.received.0.checked_sub(chain.sent.0);
    if held.is_none_or(|held| held < chain.locked.0) {
        let found = held.map_or("less than nothing".to_owned(), |held| held.to_string());
        let missing = chain.locked.0 - held.unwrap_or(0);
        odd.push(("held", format!("at least {}", chain.locked), found, missing));
    }
    odd
}

/// Does the state agree with itself? Where it does not, the mirror looks whether its row is what its payloads make it.
pub(crate) fn adds_up(chain: &AssetState) -> bool {
    chain.partial || odd(chain).is_empty()
}

impl AssetRule for Moved {
    fn info(&self) -> &'static RuleInfo {
        &E17
    }

    fn judge(&self, case: &AssetCase<'_>) -> Verdict {
        if case.chain.partial {
            return INCOMPLETE;
        }
        let fault = of_money(case);
        let found = odd(case.chain).into_iter();
        Verdict::of(
            found
                .map(|(what, expected, found, at_risk)| {
                    finding(case, (what, fault), expected, found, at_risk)
                })
                .collect(),
        )
    }
}

/// E16.
struct AtNode;

static E16: RuleInfo = RuleInfo {
    id: "E16",
    version: 3,
    class: Class::Custody,
    must_hold: "an escrow's balance at the node is what the mirror saw come and not go, and covers what is locked",
    reads: &[],
};

impl AssetRule for AtNode {
    fn info(&self) -> &'static RuleInfo {
        &E16
    }

    fn judge(&self, case: &AssetCase<'_>) -> Verdict {
        let at_node = match case.at_node {
            Ok(at_node) => at_node,
            Err(reason) => return Verdict::Skipped { reason },
        };
        let chain = case.chain;
        let mut findings = Vec::new();
        if at_node < chain.locked.0 {
            let expected = format!("at least {}", chain.locked);
            let missing = chain.locked.0 - at_node;
            findings.push(finding(
                case,
                ("balance", of_money(case)),
                expected,
                at_node,
                missing,
            ));
        }
        if !chain.partial {
            let held = chain.received.0.checked_sub(chain.sent.0);
            if held != Some(at_node) {
                let at_risk = held.unwrap_or(0).abs_diff(at_node);
                let seen = held.map_or("less than nothing".to_owned(), |held| held.to_string());
                // A mirror that is what it was told is right: then the node does not say what it delivered.
                let fault = match case.mirror_holds {
                    Some(true) => Fault::Node,
                    _ => Fault::Mirror,
                };
                findings.push(finding(case, ("transfers", fault), at_node, seen, at_risk));
            }
        }
        Verdict::of(findings)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use stxworx_indexer::model::IndexBlockHash;

    use super::*;

    fn anchor() -> Anchor {
        Anchor {
            block: IndexBlockHash([1; 32]),
            height: 9,
            burn_height: 5,
            final_height: None,
            platform_time_s: 0,
        }
    }

    fn judged(
        chain: &AssetState,
        of_projects: Option<u128>,
        at_node: Result<u128, Skip>,
    ) -> Vec<(&'static str, Verdict)> {
        let anchor = anchor();
        let case = AssetCase {
            anchor: &anchor,
            chain,
            of_projects,
            at_node,
            mirror_holds: None,
        };
        asset_rules()
            .iter()
            .map(|rule| (rule.info().id, rule.judge(&case)))
            .collect()
    }

    fn broken(verdicts: &[(&'static str, Verdict)]) -> Vec<&'static str> {
        verdicts
            .iter()
            .filter(|(_, verdict)| matches!(verdict, Verdict::Broken { .. }))
            .map(|(id, _)| *id)
            .collect()
    }

    /// All that went was paid, and what was put in is locked or paid.
    fn asset(locked: u128, received: u128, sent: u128) -> AssetState {
        AssetState {
            asset: "STX".to_owned(),
            locked: Units(locked),
            deposited: Units(locked.saturating_add(sent)),
            paid: Units(sent),
            received: Units(received),
            sent: Units(sent),
            ..AssetState::default()
        }
    }

    #[test]
    fn each_side_that_differs_is_named() {
        let right = asset(70, 100, 30);
        assert_eq!(
            broken(&judged(&right, Some(70), Ok(70))),
            Vec::<&str>::new()
        );
        // One unit that a stranger sent.
        let gift = asset(70, 101, 30);
        assert_eq!(broken(&judged(&gift, Some(70), Ok(71))), Vec::<&str>::new());
        assert_eq!(broken(&judged(&right, Some(71), Ok(70))), ["F7"]);
        assert_eq!(broken(&judged(&right, Some(70), Ok(69))), ["E16"]);
        assert_eq!(broken(&judged(&right, Some(70), Ok(71))), ["E16"]);
        assert_eq!(
            broken(&judged(&asset(71, 100, 30), Some(71), Ok(70))),
            ["E17", "E16"]
        );
        assert_eq!(
            broken(&judged(&asset(0, 1, 2), Some(0), Ok(0))),
            ["E17", "E16"]
        );
    }

    /// Money that nobody asked for must not hide a unit that is gone, nor one that is counted twice.
    #[test]
    fn a_gift_hides_nothing() {
        let gift = asset(70, 150, 30);
        assert!(adds_up(&gift));
        let mut more = gift.clone();
        more.locked = Units(71);
        assert_eq!(broken(&judged(&more, Some(71), Ok(120))), ["E17"]);
        let mut sent = gift.clone();
        sent.sent = Units(31);
        assert_eq!(broken(&judged(&sent, Some(70), Ok(119))), ["E17"]);
        assert!(!adds_up(&sent) && !adds_up(&more));
        // A token that was tried out: a unit more came and went.
        sent.asset = "ST1.token".to_owned();
        assert_eq!(broken(&judged(&sent, Some(70), Ok(119))), [""; 0]);
        sent.sent = Units(29);
        assert_eq!(broken(&judged(&sent, Some(70), Ok(121))), ["E17"]);
    }

    #[test]
    fn a_mirror_that_does_not_hold_is_at_fault_and_else_the_node() {
        let mut wrong = asset(70, 100, 30);
        wrong.locked = Units(71);
        for (mirror_holds, fault) in [(Some(false), Fault::Mirror), (Some(true), Fault::Node)] {
            let anchor = anchor();
            let case = AssetCase {
                anchor: &anchor,
                chain: &wrong,
                of_projects: None,
                at_node: Ok(70),
                mirror_holds,
            };
            for rule in [&Moved as &dyn AssetRule, &AtNode] {
                let Verdict::Broken { findings } = rule.judge(&case) else {
                    panic!("{} does not see it", rule.info().id)
                };
                assert!(findings.iter().all(|it| it.fault == fault), "{findings:?}");
            }
        }
    }

    #[test]
    fn a_node_that_does_not_answer_and_a_mirror_that_began_late_are_skipped() {
        let verdicts = judged(&asset(70, 100, 30), Some(70), Err(Skip::NodeError));
        let reason = Skip::NodeError;
        assert!(verdicts.contains(&("E16", Verdict::Skipped { reason })));
        let mut late = asset(70, 100, 30);
        late.partial = true;
        let verdicts = judged(&late, None, Ok(70));
        assert_eq!(broken(&verdicts), Vec::<&str>::new());
        assert_eq!(
            verdicts
                .iter()
                .filter(|(_, v)| matches!(v, Verdict::Skipped { .. }))
                .count(),
            2
        );
        // What is locked must be there however late it began.
        assert_eq!(broken(&judged(&late, None, Ok(69))), ["E16"]);
    }

    proptest! {
        #[test]
        fn custody_is_whole_or_a_rule_says_so(locked: u128, received: u128, sent: u128, at_node: u128) {
            let verdicts = judged(&asset(locked, received, sent), Some(locked), Ok(at_node));
            let whole = received.checked_sub(sent).is_some_and(|held| held == at_node && held >= locked)
                && locked.checked_add(sent).is_some();
            prop_assert_eq!(broken(&verdicts).is_empty(), whole);
        }
    }
}
