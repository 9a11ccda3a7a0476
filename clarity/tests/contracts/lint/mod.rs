//! What the contracts' sources must look like, read with clarity-vm's parser.
//!
//! Each rule is a function from a source to what it finds there. The sources have no findings; sources with a planted
//! fault have theirs, so that a rule that sees nothing is found out.

mod pages;
mod prints;
mod rules;
mod source;

use crate::world::{CONTRACTS, source as text_of};
use source::Source;

type Rule = fn(&Source) -> Vec<String>;

const RULES: [(&str, Rule); 6] = [
    ("one print per change", prints::one_print_per_change),
    ("words", rules::forbidden_words),
    ("errors", rules::error_codes),
    ("topics", rules::topics_are_the_catalogues),
    ("size", rules::size),
    ("page", pages::says_all_and_no_more),
];

#[test]
fn the_sources_have_no_findings() {
    let mut found = Vec::new();
    for name in CONTRACTS {
        let source = Source::read(name, text_of(name));
        for (rule, check) in RULES {
            found.extend(
                check(&source)
                    .into_iter()
                    .map(|f| format!("{name}: {rule}: {f}")),
            );
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// A source with `from` replaced by `to` has a finding of the rule with these words in it.
#[track_caller]
fn finds(rule: Rule, name: &str, from: &str, to: &str, words: &str) {
    let text = text_of(name);
    assert!(text.contains(from), "{name} has no {from}");
    let found = rule(&Source::read(name, &text.replacen(from, to, 1)));
    assert!(
        found.iter().any(|f| f.contains(words)),
        "{to}: expected {words}, found {found:?}"
    );
}

#[test]
fn a_missing_or_second_print_is_found() {
    let rule = prints::one_print_per_change;
    let print = "      (print ev))\n    (ok id)))";
    finds(
        rule,
        "freelance-logic",
        print,
        "      true)\n    (ok id)))",
        "open-project",
    );
    finds(
        rule,
        "freelance-logic",
        print,
        "      (print ev) (print ev))\n    (ok id)))",
        "open-project",
    );
    // A change before a print that is only made if something holds.
    finds(
        rule,
        "freelance-badges",
        "    (var-set uri new)\n    (let ((ev (merge (hdr \"uri-set\") {data: {uri: new}})))\n      (var-set head (sha256 (unwrap-panic (to-consensus-buff? ev))))\n      (print ev))",
        "    (var-set uri new)\n    (if (is-eq new FIRST-URI) true (let ((ev (merge (hdr \"uri-set\") {data: {uri: new}})))\n      (var-set head (sha256 (unwrap-panic (to-consensus-buff? ev))))\n      (print ev) true))",
        "set-uri",
    );
    // A number taken and never used.
    finds(
        rule,
        "freelance-security",
        "(define-read-only (get-epoch)",
        "(define-public (poke) (begin (hdr \"poke\") (ok true)))\n(define-read-only (get-epoch)",
        "poke",
    );
    // A helper that changes and does not tell makes its caller silent.
    finds(
        rule,
        "freelance-data",
        "(define-read-only (writer? ",
        "(define-public (lose) (begin (add-lost contract-caller) (ok true)))\n(define-read-only (writer? ",
        "lose",
    );
    finds(
        rule,
        "freelance-data",
        "(map-set writers WRITER true)\n",
        "(map-set writers WRITER true)\n(print u1)\n",
        "at deployment",
    );
}

#[test]
fn a_forbidden_word_is_found() {
    let rule = rules::forbidden_words;
    let read = "(define-read-only (get-cursor)";
    for (expression, words) in [
        ("block-height", "block-height"),
        ("tenure-height", "tenure-height"),
        ("tx-sender", "tx-sender"),
        ("(get-block-info? time u1)", "get-block-info?"),
        (
            "(unwrap-panic (map-get? minters 'ST000000000000000000002AMW42H))",
            "unwrap-panic",
        ),
        (
            "(as-contract (contract-call? .freelance-data get-cursor))",
            "as-contract",
        ),
    ] {
        let planted = format!("(define-private (planted) {expression})\n{read}");
        finds(rule, "freelance-badges", read, &planted, words);
    }
}

#[test]
fn a_shared_unused_or_foreign_code_is_found() {
    let rule = rules::error_codes;
    let first = "(define-constant ERR-NOT-GOVERNOR (err u1300))";
    for (second, words) in [
        (
            "(define-constant ERR-OTHER (err u1301))",
            "u1301 is used twice",
        ),
        (
            "(define-constant ERR-OTHER (err u1250))",
            "u1250 is not its own",
        ),
        (
            "(define-constant ERR-OTHER (err u1399))",
            "ERR-OTHER is not used",
        ),
        ("(define-private (leak) (err u7))", "outside of a constant"),
    ] {
        finds(
            rule,
            "freelance-badges",
            first,
            &format!("{first}\n{second}"),
            words,
        );
    }
}

#[test]
fn a_topic_or_field_that_the_catalogue_has_not_is_found() {
    let rule = rules::topics_are_the_catalogues;
    finds(
        rule,
        "freelance-badges",
        "\"uri-set\"",
        "\"uri-changed\"",
        "uri-changed",
    );
    finds(
        rule,
        "freelance-badges",
        "\"uri-set\"",
        "\"uri-changed\"",
        "uri-set is never printed",
    );
    finds(
        rule,
        "freelance-badges",
        "{data: {uri: new}}",
        "{data: {link: new}}",
        "uri-set",
    );
    finds(
        rule,
        "freelance-logic",
        "(merge {asset: asset} a)",
        "(merge {asset: asset, more: 1} a)",
        "asset-set",
    );
}

#[test]
fn a_source_that_grows_is_found() {
    let read = "(define-read-only (get-cursor)";
    let padded = format!(";; {}\n{read}", "x".repeat(5_000));
    finds(rules::size, "freelance-badges", read, &padded, "bytes");
}

#[test]
fn a_function_code_or_topic_without_a_word_about_it_is_found() {
    let rule = pages::says_all_and_no_more;
    let read = "(define-read-only (get-cursor)";
    let planted = format!("(define-read-only (get-planted) true)\n{read}");
    finds(rule, "freelance-badges", read, &planted, "get-planted");
    finds(rule, "freelance-badges", "u1309", "u1399", "u1399");
    finds(
        rule,
        "freelance-badges",
        "u1309",
        "u1399",
        "speaks of `u1309`",
    );
    finds(
        rule,
        "freelance-badges",
        "\"uri-set\"",
        "\"uri-changed\"",
        "uri-changed",
    );
}
