//! Does a row name anything that is followed? Asked of its bytes, before any JSON is read.
//!
//! "No" must be certain; "yes" only costs reading the row. What a mirror follows can stand in a payload as the text of
//! a principal (in events, and in what a transaction without bytes says of itself), or inside a transaction's bytes,
//! which hold addresses as 20 bytes and are written in hexadecimal. JSON may spell any character as `\uXXXX`: a row
//! with such a spelling is not judged here. Digits in capitals are looked for where transactions are read.

use aho_corasick::{AhoCorasick, MatchKind};
use stxworx_clarity::codec::Principal;

use crate::model::FollowSet;

/// What to look for; or the knowledge that looking is of no use.
#[derive(Debug)]
pub struct Needles {
    finder: Option<AhoCorasick>,
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
        let finder = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostFirst)
            .build(&forms);
        Self {
            finder: finder.ok(),
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
            Some(finder) => finder.is_match(bytes) || spells_characters(bytes),
        }
    }
}

/// Is there a `\u`? A backslash alone is common in no payload, so it is looked for first.
fn spells_characters(bytes: &[u8]) -> bool {
    memchr::memchr(b'\\', bytes)
        .is_some_and(|at| memchr::memmem::find(&bytes[at..], br"\u").is_some())
}
