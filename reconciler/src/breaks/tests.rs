use proptest::prelude::*;
use serde_json::json;
use stxworx_indexer::model::IndexBlockHash;

use super::*;
use crate::anchor::Window;
use crate::rule::{Class, Lag, Money};

const fn rule(class: Class) -> RuleInfo {
    RuleInfo {
        id: "T1",
        version: 1,
        class,
        must_hold: "both say the same",
        reads: &[],
    }
}

fn policy() -> Policy {
    Policy {
        windows: Windows {
            platform_behind: Window {
                burn_blocks: 2,
                seconds: 60,
            },
            ..Windows::default()
        },
        ..Policy::default()
    }
}

const LINK: RuleInfo = rule(Class::Link);
const CUSTODY: RuleInfo = rule(Class::Custody);

fn at(burn_height: u32) -> Anchor {
    Anchor {
        block: IndexBlockHash([7; 32]),
        height: burn_height * 10,
        burn_height,
        final_height: Some(burn_height.saturating_sub(6) * 10),
        platform_time_s: u64::from(burn_height) * 600,
    }
}

fn finding(row: u8, units: u128) -> Finding {
    Finding {
        what: "client".to_owned(),
        fault: Fault::Platform,
        expected: "A".to_owned(),
        found: "B".to_owned(),
        at_risk: Some(Money {
            units,
            asset: "STX".to_owned(),
        }),
        facts: json!({"row": row}),
        repair: None,
        lag: Lag::PlatformBehind,
        platform_hash: [row; 32],
    }
}

fn observe(rule: &RuleInfo, known: Option<Break>, burn: u32, seen: Observation) -> Step {
    observe_by(&policy(), rule, known, burn, seen)
}

fn observe_by(
    policy: &Policy,
    rule: &RuleInfo,
    known: Option<Break>,
    burn: u32,
    seen: Observation,
) -> Step {
    let observer = Observer {
        rule,
        policy,
        now: at(burn),
    };
    observer.observe(
        known,
        (&Subject::new("project", "c/1"), "2026-11"),
        seen,
        [1; 32],
    )
}

fn failed(row: u8, units: u128) -> Observation {
    Observation::Failed(Box::new(finding(row, units)))
}

fn passed(row: u8) -> Observation {
    Observation::Passed {
        platform_hash: [row; 32],
    }
}

fn open(units: u128) -> Break {
    let (first, _) = observe(&LINK, None, 100, failed(1, units));
    let (second, change) = observe(&LINK, first, 102, failed(1, units));
    assert_eq!(change, Some(Change::Opened));
    second.unwrap()
}

#[test]
fn a_difference_is_suspected_first_and_opens_when_it_lasts() {
    let (it, change) = observe(&LINK, None, 100, failed(1, 5));
    assert_eq!(change, Some(Change::Suspected));
    let (it, change) = observe(&LINK, it, 101, failed(1, 5));
    assert_eq!(
        (it.as_ref().unwrap().is_open(), change),
        (false, None),
        "the window is not over"
    );
    let (it, change) = observe(&LINK, it, 102, failed(1, 5));
    assert_eq!(change, Some(Change::Opened));
    assert_eq!(it.unwrap().first_seen.burn_height, 100);
}

#[test]
fn a_row_that_changed_begins_its_time_anew() {
    let (it, _) = observe(&LINK, None, 100, failed(1, 5));
    let (it, change) = observe(&LINK, it, 102, failed(2, 5));
    assert_eq!(change, None);
    let (it, change) = observe(&LINK, it, 103, failed(2, 5));
    assert_eq!(change, None, "two sightings, but the window began at 102");
    let (_, change) = observe(&LINK, it, 104, failed(2, 5));
    assert_eq!(change, Some(Change::Opened));
    // Sightings of other rows do not count.
    let three = Policy {
        sightings: 3,
        ..policy()
    };
    let mut it = None;
    for (burn, row, expected) in [
        (100, 1, Some(Change::Suspected)),
        (110, 2, None),
        (120, 2, None),
        (130, 2, Some(Change::Opened)),
    ] {
        let (next, change) = observe_by(&three, &LINK, it, burn, failed(row, 5));
        assert_eq!(change, expected, "at {burn}");
        it = next;
    }
}

#[test]
fn a_suspicion_that_passes_is_dropped() {
    let (it, _) = observe(&LINK, None, 100, failed(1, 5));
    assert_eq!(
        observe(&LINK, it, 101, passed(1)),
        (None, Some(Change::Dropped))
    );
}

#[test]
fn custody_waits_for_nothing() {
    let (it, change) = observe(&CUSTODY, None, 100, failed(1, 5));
    assert_eq!(change, Some(Change::Opened));
    assert_eq!(it.unwrap().severity, Severity::Critical);
}

#[test]
fn it_ends_after_passes_at_final_blocks_only_and_says_how() {
    for (row, how) in [(1, Resolution::AutoHealed), (9, Resolution::FixedOffchain)] {
        let (it, change) = observe(&LINK, Some(open(5)), 103, passed(row));
        assert_eq!(change, None);
        let (it, change) = observe(&LINK, it, 107, passed(row));
        assert_eq!(change, None, "block 1020 is not final at 107");
        let (it, change) = observe(&LINK, it, 108, passed(row));
        assert_eq!(change, Some(Change::Resolved));
        assert_eq!(it.unwrap().state, State::Resolved { how });
    }
}

#[test]
fn one_pass_between_two_failures_ends_nothing() {
    let (it, _) = observe(&LINK, Some(open(5)), 120, passed(1));
    let (it, _) = observe(&LINK, it, 121, failed(1, 5));
    let (it, change) = observe(&LINK, it, 130, passed(1));
    assert_eq!(change, None);
    assert!(it.unwrap().is_open());
}

#[test]
fn what_comes_back_is_the_same_break() {
    let first = open(5);
    let (it, _) = observe(&LINK, Some(first.clone()), 110, passed(1));
    let (it, change) = observe(&LINK, it, 111, passed(1));
    assert_eq!(change, Some(Change::Resolved));
    let (it, change) = observe(&LINK, it, 112, failed(1, 5));
    let it = it.unwrap();
    assert_eq!(
        (change, it.id, it.reopened),
        (Some(Change::Reopened), first.id, 1)
    );
    assert!(it.is_open());
}

#[test]
fn severity_rises_with_amount_and_age_and_never_falls() {
    let policy = Policy::default();
    let rate = |units, age: u32| {
        let money = Money {
            units,
            asset: "STX".to_owned(),
        };
        policy.severity(
            Class::Presentation,
            Some(&money),
            &at(1000),
            &at(1000 + age),
        )
    };
    assert_eq!(rate(5, 0), Severity::Low);
    assert_eq!(rate(1_000_000_000, 0), Severity::High);
    assert_eq!(rate(u128::MAX, 0), Severity::Critical);
    assert_eq!(rate(5, 432), Severity::Medium);
    assert_eq!(rate(5, 864), Severity::High);
    assert_eq!(rate(5, 400_000), Severity::Critical);
    let (it, change) = observe(&LINK, Some(open(5)), 103, failed(1, 200_000_000_000));
    assert_eq!(change, Some(Change::Changed));
    let (it, _) = observe(&LINK, it, 104, failed(1, 5));
    assert_eq!(it.unwrap().severity, Severity::Critical);
}

#[test]
fn an_acceptance_ends_with_its_time_or_with_the_amount() {
    let until_s = at(200).platform_time_s;
    let accept = Action::Accept {
        note: "known".to_owned(),
        until_s,
    };
    let accepted = open(5).act("ops", &accept, 0).unwrap();
    let (it, change) = observe(&LINK, Some(accepted.clone()), 199, failed(4, 5));
    assert_eq!(change, None);
    assert_eq!(it.unwrap().finding, accepted.finding, "evidence is frozen");
    let (_, change) = observe(&LINK, Some(accepted.clone()), 150, failed(1, 6));
    assert_eq!(change, Some(Change::Reopened));
    let (_, change) = observe(&LINK, Some(accepted), 200, failed(1, 5));
    assert_eq!(change, Some(Change::Reopened));
}

#[test]
fn a_false_positive_holds_for_its_version_of_the_rule() {
    let note = "rounding".to_owned();
    let it = open(5)
        .act("ops", &Action::FalsePositive { note }, 0)
        .unwrap();
    let (it, change) = observe(&LINK, Some(it), 150, failed(1, 5));
    assert_eq!(change, None);
    let later = RuleInfo { version: 2, ..LINK };
    let (_, change) = observe(&later, it, 151, failed(1, 5));
    assert_eq!(change, Some(Change::Reopened));
}

#[test]
fn actions_that_make_no_sense_are_refused() {
    let accept = |note: &str, until_s| Action::Accept {
        note: note.to_owned(),
        until_s,
    };
    assert_eq!(open(5).act("ops", &accept(" ", 9), 0), Err(Refused::NoNote));
    assert_eq!(
        open(5).act("ops", &accept("x", 9), 9),
        Err(Refused::Expired)
    );
    assert_eq!(
        open(5).act("ops", &Action::Reopen, 0),
        Err(Refused::NotResolved)
    );
    let over = open(5).act("ops", &accept("x", 9), 0).unwrap();
    assert_eq!(
        over.clone().act("ops", &Action::Acknowledge, 0),
        Err(Refused::NotOpen)
    );
    assert!(over.act("ops", &Action::Reopen, 0).unwrap().is_open());
    let (suspected, _) = observe(&LINK, None, 100, failed(1, 5));
    let refused = suspected.unwrap().act("ops", &Action::Acknowledge, 0);
    assert_eq!(refused, Err(Refused::NotOpen));
}

#[test]
fn parts_of_an_identity_do_not_run_into_each_other() {
    let id = |rule, kind, key: &str, what| BreakId::of(rule, &Subject::new(kind, key), what, "p");
    assert_ne!(id("P1", "a", "b", "c"), id("P1", "ab", "", "c"));
    assert_ne!(id("P1", "a", "b", "c"), id("P", "1a", "b", "c"));
}

#[derive(Debug, Clone)]
enum Seen {
    Failed(u8, u128),
    Passed(u8),
    Unseen,
}

fn seen() -> impl Strategy<Value = Seen> {
    prop_oneof![
        4 => (0..3u8, prop_oneof![Just(5u128), Just(2_000_000_000)]).prop_map(|(row, units)| Seen::Failed(row, units)),
        3 => (0..3u8).prop_map(Seen::Passed),
        3 => Just(Seen::Unseen),
    ]
}

proptest! {
    #[test]
    fn nothing_ends_unseen_and_nothing_heals_without_having_passed(
        steps in prop::collection::vec((seen(), 0..5u32), 1..60),
        custody in any::<bool>(),
    ) {
        let rule = if custody { CUSTODY } else { LINK };
        let (mut known, mut burn, mut id) = (None::<Break>, 100, None);
        let mut passes = 0;
        for (seen, later) in steps {
            burn += later;
            let before = known.clone();
            let observation = match seen {
                Seen::Failed(row, units) => failed(row, units),
                Seen::Passed(row) => passed(row),
                Seen::Unseen => Observation::Unseen,
            };
            let (after, change) = observe(&rule, before.clone(), burn, observation);
            match seen {
                // A subject that is not met changes nothing at all.
                Seen::Unseen => {
                    prop_assert_eq!(&after, &before);
                    prop_assert_eq!(change, None);
                }
                Seen::Passed(_) => {
                    passes += 1;
                    if before.is_none() {
                        prop_assert!(after.is_none());
                    }
                    if change == Some(Change::Resolved) {
                        prop_assert!(before.as_ref().is_some_and(Break::is_open));
                        prop_assert!(passes >= 2, "one pass ended it");
                        let last = before.unwrap().last_seen.height;
                        prop_assert!(at(burn).is_final(last));
                    }
                }
                Seen::Failed(..) => {
                    passes = 0;
                    let now = after.as_ref().expect("a failure is never forgotten");
                    if custody {
                        prop_assert!(now.is_open(), "custody is open at once");
                    }
                    let same = before.as_ref().map_or(1, |b| b.occurrences + 1);
                    prop_assert_eq!(now.occurrences, same);
                    if before.as_ref().is_some_and(Break::is_open) {
                        prop_assert!(now.severity >= before.unwrap().severity);
                    }
                }
            }
            if let Some(now) = &after {
                prop_assert_eq!(*id.get_or_insert(now.id), now.id, "its name changed");
            }
            known = after;
        }
    }
}
