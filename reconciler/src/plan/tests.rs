//! The merge against maps that hold both sides at once.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::io;

use proptest::prelude::*;
use stxworx_indexer::model::Digest;

use super::*;

type Model = BTreeMap<String, u8>;

fn digest(state: u8) -> Digest {
    Digest([state; 32])
}

fn entry(key: &str, state: u8) -> Result<Entry<String>, io::Error> {
    Ok(Entry {
        key: key.to_owned(),
        state: digest(state),
    })
}

fn stream(model: &Model) -> impl Iterator<Item = Result<Entry<String>, io::Error>> {
    model.iter().map(|(key, state)| entry(key, *state))
}

/// What the differences are, said with both sides in memory.
fn expected(left: &Model, right: &Model) -> Vec<Difference<String>> {
    let keys: BTreeSet<_> = left.keys().chain(right.keys()).cloned().collect();
    let difference = |key: String| match (left.get(&key).copied(), right.get(&key).copied()) {
        (Some(l), Some(r)) if l != r => Some(Difference::Differing {
            key,
            left: digest(l),
            right: digest(r),
        }),
        (Some(l), None) => Some(Difference::MissingRight {
            key,
            left: digest(l),
        }),
        (None, Some(r)) => Some(Difference::MissingLeft {
            key,
            right: digest(r),
        }),
        _ => None,
    };
    keys.into_iter().filter_map(difference).collect()
}

/// Few keys and states, so that many meet.
fn model() -> impl Strategy<Value = Model> {
    prop::collection::btree_map("[a-c]{0,3}", 0u8..3, 0..30)
}

proptest! {
    #[test]
    fn the_merge_finds_what_the_maps_say(left in model(), right in model()) {
        let mut comparison = compare(stream(&left), stream(&right));
        let found: Vec<_> = comparison.by_ref().map(Result::unwrap).collect();
        prop_assert_eq!(&found, &expected(&left, &right));
        let equal = left.iter().filter(|(key, state)| right.get(*key) == Some(*state)).count();
        prop_assert_eq!(comparison.equal(), equal as u64);
        prop_assert!(comparison.next().is_none());
    }

    #[test]
    fn exchanged_sides_give_mirrored_differences(left in model(), right in model()) {
        let there: Vec<_> = compare(stream(&left), stream(&right)).map(Result::unwrap).collect();
        let back: Vec<_> =
            compare(stream(&right), stream(&left)).map(|d| d.unwrap().mirrored()).collect();
        prop_assert_eq!(there, back);
    }

    #[test]
    fn a_snapshot_equals_itself(model in model()) {
        let mut comparison = compare(stream(&model), stream(&model));
        prop_assert!(comparison.next().is_none());
        prop_assert_eq!(comparison.equal(), model.len() as u64);
    }

    #[test]
    fn the_first_wrong_key_ends_it_and_what_came_before_is_true(
        keys in prop::collection::vec("[a-c]{0,2}", 2..12),
    ) {
        let sorted = keys.windows(2).position(|pair| pair[0] >= pair[1]).map_or(keys.len(), |at| at + 1);
        let left = keys.iter().map(|key| entry(key, 1));
        let items: Vec<_> = compare(left, std::iter::empty()).collect();
        let before: Vec<_> = items.iter().map_while(|i| i.as_ref().ok()).map(|d| d.key()).collect();
        prop_assert_eq!(before, keys[..sorted].iter().collect::<Vec<_>>());
        prop_assert_eq!(items.len(), keys.len().min(sorted + 1));
        if sorted < keys.len() {
            let side = match items.last() {
                Some(Err(CompareError::Order { side, .. })) => Some(*side),
                _ => None,
            };
            prop_assert_eq!(side, Some(Side::Left));
        }
    }
}

#[test]
fn a_failed_read_names_the_side_and_is_the_last_item() {
    let left = [entry("a", 1), entry("c", 1)];
    let right = [entry("b", 1), Err(io::Error::other("gone")), entry("d", 1)];
    let items: Vec<_> = compare(left, right).collect();
    assert_eq!(items.len(), 3);
    assert_eq!(items[0].as_ref().unwrap().key(), "a");
    assert_eq!(items[1].as_ref().unwrap().key(), "b");
    assert_eq!(
        items[2].as_ref().unwrap_err().to_string(),
        "the right snapshot cannot be read"
    );
}

#[test]
fn one_key_twice_is_an_error() {
    let mut items = compare([entry("a", 1), entry("a", 2)], [entry("a", 1)]);
    assert_eq!(
        items.next().unwrap().unwrap_err().to_string(),
        r#"the left snapshot is not sorted: "a" follows "a""#
    );
    assert!(items.next().is_none());
}

#[test]
fn no_side_is_read_further_than_one_entry_ahead() {
    let read = Cell::new(0u32);
    let left = (0..1000u32).map(|key| {
        read.set(read.get() + 1);
        Ok::<_, io::Error>(Entry {
            key,
            state: digest(1),
        })
    });
    let comparison = compare(left, std::iter::empty());
    for (yielded, item) in (1u32..).zip(comparison) {
        assert!(item.is_ok());
        assert_eq!(read.get(), yielded);
    }
    assert_eq!(read.get(), 1000);
}
