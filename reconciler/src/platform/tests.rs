use proptest::prelude::*;

use super::*;

fn row(cells: &[(&str, &str)]) -> Row {
    let cell = |(name, text): &(&str, &str)| ((*name).to_owned(), Some((*text).to_owned()));
    Row(cells.iter().map(cell).collect())
}

#[test]
fn amounts_are_whole_and_exact_at_any_size() {
    let read = |text| row(&[("a", text)]).units("a");
    assert_eq!(
        read("340282366920938463463374607431768211455"),
        Cell::Is(u128::MAX)
    );
    assert_eq!(read("7.000"), Cell::Is(7));
    assert_eq!(read(" "), Cell::Absent);
    for (text, why) in [
        ("1.5", "fraction"),
        ("-1", "negative"),
        ("1e6", "no number"),
        ("NaN", "no number"),
        ("+1", "no number"),
        ("٣", "no number"),
        (".0", "no number"),
        ("340282366920938463463374607431768211456", "2^128"),
    ] {
        let Cell::Bad {
            text: kept,
            why: said,
        } = read(text)
        else {
            panic!("{text} was read");
        };
        assert_eq!(kept, text);
        assert!(said.contains(why), "{text}: {said}");
    }
}

#[test]
fn a_row_without_a_key_has_no_name_and_is_none() {
    assert_eq!(PlatformProject::read(row(&[("on_chain_id", "1")])), None);
    assert_eq!(PlatformProject::read(row(&[("key", " ")])), None);
}

#[test]
fn bad_cells_are_kept_with_their_reason_and_the_others_are_read() {
    let project = PlatformProject::read(row(&[
        ("key", "k"),
        ("on_chain_id", "99999999999999999999"),
        ("client", "ST1PQHQKV0RJXZFY1DGX8MNSNYVE3VGZJSRTPGZGX"),
        ("freelancer", "ST1PQHQKV0RJXZFY1DGX8MNSNYVE3VGZJSRTPGZGM"),
        ("tx_id", "0xabc123..."),
        ("status", "ON FIRE"),
        ("total", "5"),
        ("milestone_1_amount", "5"),
        ("milestone_1_released", "maybe"),
        ("milestone_2_amount", "0"),
        ("milestone_2_released", "f"),
    ]))
    .unwrap();
    let columns: Vec<_> = project
        .bad_cells()
        .into_iter()
        .map(|(column, ..)| column)
        .collect();
    assert_eq!(
        columns,
        [
            "on_chain_id",
            "tx_id",
            "client",
            "status",
            "milestone_1_released"
        ]
    );
    assert!(project.freelancer.value().is_some());
    assert_eq!(project.milestones.len(), 1, "an empty milestone is none");
}

#[test]
fn the_words_of_a_status_are_read_in_any_case() {
    for (text, status) in [
        ("PENDING", PlatformStatus::Pending),
        ("UNDER_REVIEW", PlatformStatus::UnderReview),
        ("Canceled", PlatformStatus::Cancelled),
        ("funded", PlatformStatus::Open),
    ] {
        assert_eq!(PlatformStatus::read(text), Ok(status));
    }
}

#[test]
fn evidence_cuts_what_is_long_and_the_hash_does_not() {
    let long = "é".repeat(5_000);
    let one = row(&[("description", &long)]);
    let other = row(&[("description", &format!("{long}x"))]);
    assert_eq!(one.image(), other.image());
    assert!(one.image()["description"].as_str().unwrap().chars().count() < 500);
    assert_ne!(one.hash(), other.hash());
    // Nothing and an empty text are two things.
    let null = Row([("a".to_owned(), None)].into());
    assert_ne!(null.hash(), row(&[("a", "")]).hash());
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused_and_never_lost(text in ".*", column in "[a-z_]{1,20}") {
        let row = row(&[("key", "k"), (&column, &text)]);
        for cell in [row.units(&column).map_text(), row.flag(&column).map_text(), row.parse::<u64>(&column).map_text()] {
            match cell {
                Cell::Absent => prop_assert!(text.trim().is_empty()),
                Cell::Is(_) => {}
                Cell::Bad { text: kept, .. } => prop_assert!(text.contains(kept.trim_end_matches('…'))),
            }
        }
        prop_assert!(PlatformProject::read(row).is_some());
    }

    #[test]
    fn every_amount_reads_back(units in any::<u128>(), zeros in 0..4usize) {
        let fraction = if zeros == 0 { String::new() } else { format!(".{}", "0".repeat(zeros)) };
        let row = row(&[("a", &format!("{units}{fraction}"))]);
        prop_assert_eq!(row.units("a"), Cell::Is(units));
    }
}

impl<T: std::fmt::Display> Cell<T> {
    fn map_text(self) -> Cell<String> {
        match self {
            Cell::Absent => Cell::Absent,
            Cell::Is(value) => Cell::Is(value.to_string()),
            Cell::Bad { text, why } => Cell::Bad { text, why },
        }
    }
}
