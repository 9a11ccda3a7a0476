//! Rules that look at words, numbers and names.

use std::collections::{BTreeMap, BTreeSet};

use stxworx_clarity::events;

use super::source::{Node, Source};

/// Words that are not in the common subset of Clarity 2 and 3, or that tie a contract to something other than its
/// caller and Bitcoin's height.
const FORBIDDEN: [&str; 13] = [
    "block-height",
    "stacks-block-height",
    "tenure-height",
    "at-block",
    "get-block-info?",
    "get-stacks-block-info?",
    "get-tenure-info?",
    "get-burn-block-info?",
    "tx-sponsor?",
    "is-in-mainnet",
    "chain-id",
    "unwrap-err-panic",
    "stx-account",
];

/// The rule: no forbidden word, `tx-sender` and `as-contract` only where the contract names itself or pays, and no
/// panic but on the size of an event, which is bounded by its type. Nobody else's code runs `as-contract`.
pub fn forbidden_words(source: &Source) -> Vec<String> {
    let mut found = Vec::new();
    for (place, node) in source.places() {
        words(place, node, false, &mut found);
    }
    found
}

fn words(place: &str, node: &Node, as_contract: bool, found: &mut Vec<String>) {
    if let Some(atom) = node.atom() {
        if FORBIDDEN.contains(&atom) || (atom == "tx-sender" && !as_contract) {
            found.push(format!("{atom} in {place}"));
        }
        return;
    }
    let mut inside = as_contract;
    if let Some((head, rest)) = node.form() {
        match head {
            "unwrap-panic"
                if rest[0]
                    .form()
                    .is_none_or(|(h, _)| h != "to-consensus-buff?") =>
            {
                found.push(format!("unwrap-panic in {place}"));
            }
            "as-contract" => {
                inside = true;
                if !names_itself_or_pays_stx(&rest[0]) {
                    found.push(format!(
                        "as-contract for something else than a payment in STX in {place}"
                    ));
                }
            }
            _ => {}
        }
    }
    for item in node.list() {
        words(place, item, inside, found);
    }
}

fn names_itself_or_pays_stx(node: &Node) -> bool {
    match node.form() {
        None => node.atom() == Some("tx-sender"),
        Some((head, _)) => head == "stx-transfer?",
    }
}

/// Hundreds of the error codes, by contract.
const HUNDREDS: [(&str, u128); 4] = [
    ("freelance-data", 11),
    ("freelance-logic", 12),
    ("freelance-badges", 13),
    ("freelance-security", 15),
];

/// Name and number of each error.
pub fn errors_of(source: &Source) -> BTreeMap<&str, u128> {
    let code = |node: &Node| match node.form()? {
        ("err", [Node::Literal(number)]) => number.strip_prefix('u')?.parse().ok(),
        _ => None,
    };
    let errors = source.constants.iter();
    errors
        .filter_map(|(name, node)| Some((name.as_str(), code(node)?)))
        .collect()
}

/// The rule: each code once, in the contract's own hundred, named by a constant that is used.
pub fn error_codes(source: &Source) -> Vec<String> {
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    let hundred = HUNDREDS
        .iter()
        .find(|(name, _)| *name == source.name)
        .expect("a contract of the platform")
        .1;
    let mut used = BTreeSet::new();
    for (place, node) in source.places() {
        let defines = source.constants.contains_key(place);
        node.walk(&mut |n| {
            if let Some(atom) = n.atom() {
                used.insert(atom);
            }
            if !defines && n.form().is_some_and(|(head, _)| head == "err") {
                found.push(format!("an error outside of a constant, in {place}"));
            }
        });
    }
    for (name, code) in errors_of(source) {
        if !name.starts_with("ERR-") {
            found.push(format!("{name} is an error by another name"));
        }
        if !seen.insert(code) {
            found.push(format!("u{code} is used twice"));
        }
        if code / 100 != hundred {
            found.push(format!("u{code} is not its own: {hundred}xx"));
        }
        if !used.contains(name) {
            found.push(format!("{name} is not used"));
        }
    }
    found
}

/// Topics with the names of their fields, as they stand in the source.
pub fn topics_of(source: &Source) -> BTreeMap<String, BTreeSet<String>> {
    let mut topics = BTreeMap::new();
    for (place, node) in source.places() {
        node.walk(&mut |n| {
            let Some(("merge", [header, data])) = n.form() else {
                return;
            };
            let (Some(("hdr", [Node::Literal(topic)])), Some(("tuple", fields))) =
                (header.form(), data.form())
            else {
                return;
            };
            let data = fields
                .iter()
                .find(|f| f.list()[0].atom() == Some("data"))
                .expect("data");
            let names = field_names(source, place, &data.list()[1]);
            topics.insert(topic.trim_matches('"').to_owned(), names);
        });
    }
    topics
}

/// The names in a tuple, in a merge of such, or in a parameter of a tuple's type.
fn field_names(source: &Source, place: &str, node: &Node) -> BTreeSet<String> {
    match node.form() {
        Some(("tuple", fields)) => fields
            .iter()
            .map(|f| f.list()[0].atom().expect("a name").to_owned())
            .collect(),
        Some(("merge", parts)) => parts
            .iter()
            .flat_map(|p| field_names(source, place, p))
            .collect(),
        Some((other, _)) => panic!("{place}: the data of an event comes from {other}"),
        None => {
            let name = node.atom().expect("a name");
            field_names(source, place, &source.functions[place].parameters[name])
        }
    }
}

/// The rule: the topics are the catalogue's, with its fields, and all of them are printed.
pub fn topics_are_the_catalogues(source: &Source) -> Vec<String> {
    let mut found = Vec::new();
    let schema = events::schema()
        .into_iter()
        .find(|c| c.contract == source.name)
        .expect("a contract of the catalogue");
    let printed = topics_of(source);
    for topic in &schema.topics {
        let fields: BTreeSet<String> = topic.fields.iter().map(|(name, _)| name.clone()).collect();
        match printed.get(topic.topic) {
            None => found.push(format!("{} is never printed", topic.topic)),
            Some(names) if *names != fields => {
                found.push(format!(
                    "{} has {names:?}, in the catalogue {fields:?}",
                    topic.topic
                ));
            }
            Some(_) => {}
        }
    }
    for topic in printed.keys() {
        if !schema.topics.iter().any(|t| t.topic == topic) {
            found.push(format!("{topic} is not in the catalogue"));
        }
    }
    found
}

/// Largest source in bytes: the Clarity machine reads a whole contract for each call of it, and a fee is by length.
const BUDGET: [(&str, usize); 4] = [
    ("freelance-data", 11_200),
    ("freelance-logic", 27_000),
    ("freelance-badges", 7_500),
    ("freelance-security", 14_000),
];

/// The rule.
pub fn size(source: &Source) -> Vec<String> {
    let budget = BUDGET
        .iter()
        .find(|(name, _)| *name == source.name)
        .expect("a contract of the platform")
        .1;
    let bytes = source.text.len();
    let over = (bytes > budget).then(|| format!("{bytes} bytes, of {budget}"));
    over.into_iter().collect()
}
