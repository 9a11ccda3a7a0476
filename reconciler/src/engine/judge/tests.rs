use stxworx_indexer::model::IndexBlockHash;
use stxworx_indexer::project::market::projects::Milestone;
use stxworx_indexer::store::read::market::{ProjectStatus, Units};

use super::super::tally::Tally;
use super::*;

const CLIENT: &str = "ST1PQHQKV0RJXZFY1DGX8MNSNYVE3VGZJSRTPGZGM";

fn judge(drifted: &[&str]) -> Judge {
    let anchor = Anchor {
        block: IndexBlockHash([1; 32]),
        height: 9,
        burn_height: 9,
        final_height: None,
        platform_time_s: 9,
    };
    let drifted = drifted.iter().map(|id| (*id).to_owned()).collect();
    Judge::new(anchor, AssetNames::default(), drifted, BTreeSet::new())
}

fn case() -> Case {
    let state = ProjectState {
        id: 7,
        client: CLIENT.to_owned(),
        freelancer: CLIENT.to_owned(),
        asset: "STX".to_owned(),
        status: ProjectStatus::Active,
        total: Units(5),
        milestones: vec![Milestone {
            m: 1,
            amount: Units(5),
            ..Milestone::default()
        }],
        ..ProjectState::default()
    };
    let cells = [
        ("key", "k"),
        ("on_chain_id", "7"),
        ("client", CLIENT),
        ("freelancer", CLIENT),
        ("asset", "STX"),
        ("total", "5"),
        ("status", "ACTIVE"),
        ("milestone_1_amount", "5"),
        ("milestone_1_funded", "true"),
    ];
    let cells = cells.map(|(name, text)| (name.to_owned(), Some(text.to_owned())));
    Case {
        chain: Some(Chain {
            entity: "ST1.freelance-logic/7".to_owned(),
            state,
            hash: [7; 32],
            is_unreadable: false,
        }),
        rows: PlatformProject::read(Row(cells.into()))
            .into_iter()
            .collect(),
        cut: false,
    }
}

#[test]
fn a_wrong_unit_is_found_and_a_rule_that_cannot_look_is_not_blamed() {
    let mut all = judge(&[]);
    let judged = all.judge(case(), &Claims::new());
    assert!(judged.verdicts.iter().all(|(_, v)| *v == Verdict::Matched));
    assert_eq!(all.finds_a_wrong_unit(&case(), &judged), Some(true));
    let mut none = judge(&["P2", "E1"]);
    let judged = none.judge(case(), &Claims::new());
    assert_eq!(none.finds_a_wrong_unit(&case(), &judged), None);
    // A rule that says "equal" of anything would be noticed: here it stops looking after it matched.
    let judged = judge(&[]).judge(case(), &Claims::new());
    assert_eq!(
        judge(&["P2"]).finds_a_wrong_unit(&case(), &judged),
        Some(false)
    );
}

#[test]
fn a_project_from_before_the_mirror_is_not_compared_but_its_rows_are() {
    let mut case = case();
    if let Some(chain) = &mut case.chain {
        chain.state.partial = true;
    }
    let mut tally = Tally::default();
    let judged = judge(&[]).judge(case, &Claims::new());
    for (info, verdict) in &judged.verdicts {
        let skipped = matches!(
            verdict,
            Verdict::Skipped {
                reason: Skip::Incomplete
            }
        );
        assert_eq!(skipped, !OF_ROWS.contains(&info.id), "{}", info.id);
    }
    tally.cover(&judged);
    assert_eq!(tally.coverage["STX"], (5, 0));
}

struct Fails;

impl ProjectRule for Fails {
    fn info(&self) -> &'static RuleInfo {
        static FAILS: RuleInfo = RuleInfo {
            id: "X1",
            version: 1,
            class: crate::rule::Class::Link,
            must_hold: "nothing",
            reads: &[],
        };
        &FAILS
    }

    fn judge(&self, case: &ProjectCase<'_>) -> Verdict {
        panic!("of {} rows", case.platform.len())
    }
}

#[test]
fn a_rule_that_fails_is_skipped_and_the_others_go_on() {
    let mut judge = judge(&[]);
    judge.rules.insert(3, &Fails);
    let judged = judge.judge(case(), &Claims::new());
    for (info, verdict) in &judged.verdicts {
        let failed = Verdict::Skipped {
            reason: Skip::RuleFailed,
        };
        let expected = if info.id == "X1" {
            failed
        } else {
            Verdict::Matched
        };
        assert_eq!(*verdict, expected, "{}", info.id);
    }
    assert_eq!(judged.verdicts.len(), judge.rules.len());
}

#[test]
fn a_state_that_cannot_be_read_is_compared_with_nothing() {
    let mut case = case();
    if let Some(chain) = &mut case.chain {
        chain.is_unreadable = true;
    }
    let judged = judge(&[]).judge(case, &Claims::new());
    let unreadable = Verdict::Skipped {
        reason: Skip::Unreadable,
    };
    assert!(judged.verdicts.iter().all(|(_, it)| *it == unreadable));
}

/// Who is at fault depends on whether the mirror's row is what its payloads make it.
#[test]
fn a_mirror_that_was_looked_into_is_blamed_or_cleared() {
    let faults = |holds: Option<bool>, case: &Case| {
        let mut judge = judge(&[]);
        judge
            .holds
            .extend(holds.map(|holds| ("ST1.freelance-logic/7".to_owned(), holds)));
        let judged = judge.judge(case.clone(), &Claims::new());
        let findings = judged
            .verdicts
            .iter()
            .flat_map(|(info, verdict)| match verdict {
                Verdict::Broken { findings } => findings
                    .iter()
                    .map(|it| (info.id, it.fault, it.repair.is_some()))
                    .collect(),
                _ => Vec::new(),
            });
        findings.collect::<Vec<_>>()
    };
    let mut other = case();
    other.rows[0].total = Cell::Is(6);
    assert_eq!(faults(None, &other), [("P2", Fault::Platform, true)]);
    assert_eq!(faults(Some(true), &other), [("P2", Fault::Platform, true)]);
    // Nobody is told to change a row for what the mirror has wrong.
    assert_eq!(faults(Some(false), &other), [("P2", Fault::Mirror, false)]);
    // What cannot be read is the platform's fault whatever the mirror says.
    other.rows[0].total = Cell::Bad {
        text: "NaN".to_owned(),
        why: "no number".to_owned(),
    };
    assert_eq!(
        faults(Some(false), &other),
        [("P8", Fault::Platform, false)]
    );
    let mut lost = case();
    if let Some(chain) = &mut lost.chain {
        chain.state.paid = Units(1);
    }
    let of_e1 = |holds| faults(holds, &lost)[0];
    assert_eq!(of_e1(None), ("E1", Fault::Mirror, false));
    assert_eq!(of_e1(Some(false)), ("E1", Fault::Mirror, false));
    assert_eq!(of_e1(Some(true)), ("E1", Fault::Node, false));
}

#[test]
fn the_digest_is_of_the_verdicts_and_their_order() {
    let digest = |cases: &[Case]| {
        let mut judge = judge(&[]);
        for case in cases {
            judge.judge(case.clone(), &Claims::new());
        }
        judge.digest()
    };
    let (one, mut other) = (case(), case());
    other.rows.clear();
    assert_eq!(
        digest(&[one.clone(), other.clone()]),
        digest(&[one.clone(), other.clone()])
    );
    assert_ne!(
        digest(&[one.clone(), other.clone()]),
        digest(&[other.clone(), one.clone()])
    );
    assert_ne!(digest(&[one]), digest(&[other]));
}
