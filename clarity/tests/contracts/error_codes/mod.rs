//! Every error code, from every contract, by a call that meets it.

pub mod logic;
mod others;

use std::collections::BTreeSet;

use stxworx_clarity::market::SOURCES;

use crate::world::*;

/// Codes that no call can return, and why.
const UNREACHABLE: &[(u128, &str)] = &[(1308, "nft-mint? of a fresh number never fails")];

/// The codes that the sources define.
fn defined() -> BTreeSet<u128> {
    let mut codes = BTreeSet::new();
    for (name, source) in SOURCES {
        if name == "test-token" {
            continue;
        }
        for line in source
            .lines()
            .filter(|l| l.starts_with("(define-constant ERR-"))
        {
            let code = line
                .split("(err u")
                .nth(1)
                .and_then(|rest| rest.split(')').next())
                .expect("a code");
            assert!(
                codes.insert(code.parse().expect("a number")),
                "{code} is used twice"
            );
        }
    }
    codes
}

#[test]
fn every_code_is_met() {
    let mut seen = BTreeSet::new();
    for contract in [
        logic::logic as fn(&mut World),
        logic::money,
        others::data,
        others::badges,
        others::security,
    ] {
        let mut world = World::ready();
        contract(&mut world);
        check_chains(&world);
        seen.extend(world.seen);
    }
    let unreachable: BTreeSet<u128> = UNREACHABLE.iter().map(|(code, _)| *code).collect();
    let missing: Vec<_> = defined()
        .difference(&seen)
        .filter(|c| !unreachable.contains(c))
        .copied()
        .collect();
    assert!(missing.is_empty(), "never met: {missing:?}");
    let wrong: Vec<_> = seen.intersection(&unreachable).collect();
    assert!(
        wrong.is_empty(),
        "said to be unreachable, but met: {wrong:?}"
    );
}
