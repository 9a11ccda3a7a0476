//! The page beside each source names everything that callers meet, and nothing that is not there.

use std::collections::BTreeSet;

use super::rules::{errors_of, topics_of};
use super::source::{Access, Source};

/// What stands in backticks.
fn quoted(page: &str) -> BTreeSet<&str> {
    page.split('`').skip(1).step_by(2).collect()
}

fn is_code(word: &str) -> bool {
    word.len() == 5 && word.starts_with("u1") && word[1..].bytes().all(|b| b.is_ascii_digit())
}

/// The rule.
pub fn says_all_and_no_more(source: &Source) -> Vec<String> {
    let path = format!(
        "{}/contracts/{}.md",
        env!("CARGO_MANIFEST_DIR"),
        source.name
    );
    let page = match std::fs::read_to_string(&path) {
        Ok(page) => page,
        Err(error) => return vec![format!("{path}: {error}")],
    };
    let quoted = quoted(&page);
    let functions = source.functions.iter();
    let functions = functions
        .filter(|(_, f)| f.access != Access::Private)
        .map(|(name, _)| name.clone());
    let errors = errors_of(source);
    let names: BTreeSet<String> = errors.keys().map(ToString::to_string).collect();
    let codes: BTreeSet<String> = errors.values().map(|code| format!("u{code}")).collect();
    let mut wanted: BTreeSet<String> = functions.collect();
    wanted.extend(topics_of(source).into_keys());
    wanted.extend(names.iter().chain(&codes).cloned());
    // A function may stand with its arguments: `(release p m token)`, `release(p, m, token)`.
    let said = |word: &str| {
        quoted.iter().any(|q| {
            let rest = q.trim_start_matches('(').strip_prefix(word);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '(', ')']))
        })
    };
    let mut found: Vec<String> = wanted
        .iter()
        .filter(|word| !said(word))
        .map(|word| format!("the page says nothing of `{word}`"))
        .collect();
    let strange = quoted.iter().filter(|q| {
        (q.starts_with("ERR-") && !names.contains(**q)) || (is_code(q) && !codes.contains(**q))
    });
    found.extend(strange.map(|q| format!("the page speaks of `{q}`, which is not there")));
    found
}
