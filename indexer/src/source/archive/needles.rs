//! Does a row name anything that is followed? Asked of its bytes, before any JSON is read.
//!
//! "No" must be certain; "yes" only costs reading the row. What a mirror follows can stand in a payload as the text of
//! a principal (in events, and in what a transaction without bytes says of itself), or inside a transaction's bytes,
//! which hold addresses as 20 bytes and are written in hexadecimal. JSON may spell any character as `\uXXXX`: a row
//! with such a spelling is not judged here. Digits in capitals are looked for where transactions are read.

use aho_corasick::{AhoCorasick, packed};
use stxworx_clarity::codec::Principal;

use crate::model::FollowSet;

/// What to look for; or the knowledge that looking is of no use.
#[derive(Debug)]
pub struct Needles {
    finder: Option<Finder>,
}

#[derive(Debug)]
enum Finder {
    /// Nothing is followed.
    Nothing,
    /// Many bytes at a time. An automaton's own shortcut, to look for first bytes, is of no use in text that is mostly
    /// hexadecimal digits.
    Vectors(Box<packed::Searcher>),
    /// For more names than the former can take, and for machines that it cannot run on.
    Automaton(Box<AhoCorasick>),
}

impl Finder {
    fn of(forms: &[String]) -> Option<Self> {
        if forms.is_empty() {
            return Some(Self::Nothing);
        }
        let vectors = packed::Searcher::new(forms).map(|s| Self::Vectors(Box::new(s)));
        vectors.or_else(|| {
            let automaton = AhoCorasick::builder().prefilter(false).build(forms).ok()?;
            Some(Self::Automaton(Box::new(automaton)))
        })
    }

    fn finds_in(&self, bytes: &[u8]) -> bool {
        match self {
            Self::Nothing => false,
            Self::Vectors(searcher) => searcher.find(bytes).is_some(),
            Self::Automaton(automaton) => automaton.is_match(bytes),
        }
    }
}

impl Needles {
    /// The forms in which the names of this follow set can stand in a payload.
    pub fn new(follow: &FollowSet) -> Self {
        let mut forms = Vec::new();
        for name in follow.contracts.iter().chain(&follow.principals) {
            // `*` stands for every contract, and a text that is no principal has no form in bytes that is known here.
            let Ok(principal) = name.parse::<Principal>() else {
                return Self { finder: None };
            };
            forms.push(name.clone());
            forms.push(hex::encode(principal.address().hash160()));
        }
        forms.sort();
        forms.dedup();
        Self {
            finder: Finder::of(&forms),
        }
    }

    /// Nothing is found without reading: every row may hold something.
    pub fn none() -> Self {
        Self { finder: None }
    }

    /// May these bytes, JSON with or without COPY escapes, name something that is followed?
    pub fn may_hold(&self, bytes: &[u8]) -> bool {
        match &self.finder {
            None => true,
            Some(finder) => finder.finds_in(bytes) || spells_characters(bytes),
        }
    }
}

/// Is there a `\u`? A backslash alone is common in no payload, so it is looked for first.
fn spells_characters(bytes: &[u8]) -> bool {
    memchr::memchr(b'\\', bytes)
        .is_some_and(|at| memchr::memmem::find(&bytes[at..], br"\u").is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Mirror;

    fn needles(names: &[String]) -> Needles {
        Needles::new(&FollowSet {
            mirror: Mirror::Followed,
            contracts: names.iter().cloned().collect(),
            principals: [].into(),
        })
    }

    #[test]
    fn every_form_is_found_at_every_place_with_few_names_and_with_many() {
        let address = "SP000000000000000000002Q6VF78";
        for count in [1, 4, 60, 300] {
            let names: Vec<String> = (0..count).map(|n| format!("{address}.c-{n}")).collect();
            let needles = needles(&names);
            let last = names.last().map(String::as_str).unwrap_or_default();
            let digits = "0".repeat(40);
            for form in [last, digits.as_str(), r"\u0030"] {
                for before in 0..70 {
                    for after in [0, 1, 40] {
                        let row = ["a".repeat(before), form.into(), "f".repeat(after)].concat();
                        assert!(needles.may_hold(row.as_bytes()), "{count} {row}");
                    }
                }
            }
            let other = format!("{}{}", "0".repeat(39), "1".repeat(39)).repeat(20);
            assert!(!needles.may_hold(other.as_bytes()));
            assert!(!needles.may_hold(br#"a \n"#));
        }
        assert!(!needles(&[]).may_hold(b"anything"));
        assert!(needles(&["*".to_owned()]).may_hold(b""));
    }
}
