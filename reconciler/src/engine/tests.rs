use serde_json::json;
use stxworx_indexer::model::IndexBlockHash;

use super::{event, stored, unstored};
use crate::anchor::Anchor;
use crate::breaks::{Break, BreakId, Resolution, State};
use crate::rule::{Fault, Finding, Lag, Money, Repair, Severity, Subject};

fn a_break(state: State, units: u128) -> Break {
    let anchor = Anchor {
        block: IndexBlockHash([3; 32]),
        height: 7,
        burn_height: 9,
        final_height: Some(5),
        platform_time_s: u64::from(u32::MAX) + 7,
    };
    let subject = Subject::new("project", "ST1.freelance-logic/7");
    Break {
        id: BreakId::of("P2", &subject, "row k total", ""),
        rule: "P2".to_owned(),
        rule_version: 1,
        subject,
        state,
        severity: Severity::High,
        finding: Finding {
            what: "row k total".to_owned(),
            fault: Fault::Platform,
            expected: "1".to_owned(),
            found: "2".to_owned(),
            at_risk: Some(Money {
                units,
                asset: "STX".to_owned(),
            }),
            facts: json!({"chain": {"id": u64::MAX}, "platform": {"key": "k", "x": null}}),
            repair: Some(Repair {
                kind: "total".to_owned(),
                says: "set it".to_owned(),
                sql: "update …".to_owned(),
            }),
            lag: Lag::PlatformBehind,
            platform_hash: [9; 32],
        },
        first_seen: anchor,
        last_seen: anchor,
        opened: None,
        sightings: u64::MAX,
        occurrences: 2,
        passes: 1,
        reopened: 0,
        chain_hash: [1; 32],
    }
}

fn states() -> Vec<(State, &'static str, Option<&'static str>)> {
    let resolved = |how| State::Resolved { how };
    let (by, note) = ("ann".to_owned(), "why".to_owned());
    vec![
        (State::Suspected, "suspected", None),
        (State::Open, "open", None),
        (State::Acknowledged { by: by.clone() }, "acknowledged", None),
        (
            resolved(Resolution::AutoHealed),
            "resolved",
            Some("auto_healed"),
        ),
        (
            resolved(Resolution::FixedOnchain),
            "resolved",
            Some("fixed_onchain"),
        ),
        (
            resolved(Resolution::FixedOffchain),
            "resolved",
            Some("fixed_offchain"),
        ),
        (
            resolved(Resolution::Accepted {
                by: by.clone(),
                note: note.clone(),
                until_s: u64::MAX,
            }),
            "resolved",
            Some("accepted"),
        ),
        (
            resolved(Resolution::FalsePositive {
                by,
                note,
                rule_version: 1,
            }),
            "resolved",
            Some("false_positive"),
        ),
    ]
}

/// The words of columns are those that the schema's checks know, and nothing is lost on the way.
#[test]
fn a_break_is_stored_and_read_back_in_every_state() {
    for (state, word, how) in states() {
        for units in [0, u128::MAX] {
            let before = a_break(state.clone(), units);
            let row = stored(&before).unwrap();
            assert_eq!((row.state.as_str(), row.resolution.as_deref()), (word, how));
            assert_eq!(
                (row.severity.as_str(), row.fault.as_str()),
                ("high", "platform")
            );
            assert_eq!(row.amount, Some(units.to_string()));
            // As the database gives it back: its keys in another order.
            let text = row.body.to_string();
            let mut again = row.clone();
            again.body = serde_json::from_str(&text).unwrap();
            assert_eq!(unstored(again).unwrap(), before);
        }
    }
}

#[test]
fn a_line_of_history_holds_the_break_and_what_was_said() {
    let it = a_break(State::Open, 5);
    let line = event(
        &it,
        "ann",
        "acknowledged",
        Some(json!({"action": "acknowledge"})),
    )
    .unwrap();
    assert_eq!(line.break_id, it.id.0);
    let evidence: serde_json::Value = serde_json::from_str(&line.evidence).unwrap();
    assert_eq!(evidence["action"]["action"], "acknowledge");
    assert_eq!(evidence["break"], serde_json::to_value(&it).unwrap());
    assert_eq!(
        crate::evidence::canonical(&evidence).unwrap(),
        line.evidence
    );
}
