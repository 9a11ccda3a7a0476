//! One value of a row, and the row.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::evidence;

/// A value of a platform's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell<T> {
    /// Null, or the column is not there.
    Absent,
    /// It is this.
    Is(T),
    /// It cannot be read.
    Bad {
        /// As it stands there.
        text: String,
        /// Why.
        why: String,
    },
}

impl<T> Cell<T> {
    /// The value, if it is one.
    pub fn value(&self) -> Option<&T> {
        match self {
            Self::Is(value) => Some(value),
            Self::Absent | Self::Bad { .. } => None,
        }
    }

    /// Can it not be read?
    pub fn is_bad(&self) -> bool {
        matches!(self, Self::Bad { .. })
    }
}

impl<T: Display> Display for Cell<T> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Absent => out.write_str("nothing"),
            Self::Is(value) => value.fmt(out),
            Self::Bad { text, why } => write!(out, "{text:?} ({why})"),
        }
    }
}

/// A row: its columns as text. The image of it that evidence keeps.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Row(pub BTreeMap<String, Option<String>>);

/// Longest text of a cell that evidence keeps.
const KEPT: usize = 400;

impl Row {
    /// The text of a column; none for null, for an empty text, and for a column that is not there.
    pub fn text(&self, column: &str) -> Option<&str> {
        self.0
            .get(column)
            .and_then(Option::as_deref)
            .map(str::trim)
            .filter(|text| !text.is_empty())
    }

    /// Reads a column.
    pub fn read<T>(&self, column: &str, read: impl FnOnce(&str) -> Result<T, String>) -> Cell<T> {
        match self.text(column) {
            None => Cell::Absent,
            Some(text) => match read(text) {
                Ok(value) => Cell::Is(value),
                Err(why) => Cell::Bad {
                    text: cut(text),
                    why,
                },
            },
        }
    }

    /// Reads a column as whatever is read from text.
    pub fn parse<T: FromStr<Err: Display>>(&self, column: &str) -> Cell<T> {
        self.read(column, |text| text.parse::<T>().map_err(|e| e.to_string()))
    }

    /// Reads an amount of base units. Postgres writes whole numbers of type numeric with a fraction of zeros where the
    /// column has a scale; any other fraction is refused.
    pub fn units(&self, column: &str) -> Cell<u128> {
        self.read(column, |text| {
            let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
            if fraction.bytes().any(|b| b != b'0') {
                return Err("it has a fraction, and base units have none".to_owned());
            }
            if whole.starts_with('-') {
                return Err("it is negative".to_owned());
            }
            let is_number = !whole.is_empty() && whole.bytes().all(|b| b.is_ascii_digit());
            if !is_number {
                return Err("it is no number".to_owned());
            }
            whole.parse().map_err(|_| "it exceeds 2^128 - 1".to_owned())
        })
    }

    /// Reads a truth value in any of the forms that databases and programs write.
    pub fn flag(&self, column: &str) -> Cell<bool> {
        self.read(column, |text| match text.to_ascii_lowercase().as_str() {
            "t" | "true" | "1" | "yes" => Ok(true),
            "f" | "false" | "0" | "no" => Ok(false),
            _ => Err("it is neither true nor false".to_owned()),
        })
    }

    /// The row as evidence shows it, long texts cut.
    pub fn image(&self) -> Value {
        let cell = |text: &Option<String>| text.as_deref().map_or(Value::Null, |t| cut(t).into());
        self.0
            .iter()
            .map(|(name, text)| (name.clone(), cell(text)))
            .collect::<serde_json::Map<_, _>>()
            .into()
    }

    /// SHA-256 over the whole row, nothing cut: of the canonical form, as evidence has it.
    pub fn hash(&self) -> [u8; 32] {
        // A sweep does this for every row: names of ASCII are in order as they are, and are written as they stand.
        if self.0.keys().all(|name| name.is_ascii())
            && let Ok(text) = self.plain()
        {
            return Sha256::digest(text).into();
        }
        let whole: Value = self
            .0
            .iter()
            .map(|(name, text)| (name.clone(), Value::from(text.clone())))
            .collect::<serde_json::Map<_, _>>()
            .into();
        // Text and null have a canonical form, always.
        evidence::hash(&whole).unwrap_or_else(|_| Sha256::digest(whole.to_string()).into())
    }
}

impl Row {
    fn plain(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut text = Vec::with_capacity(64 * self.0.len());
        for (name, cell) in &self.0 {
            text.push(if text.is_empty() { b'{' } else { b',' });
            serde_json::to_writer(&mut text, name)?;
            text.push(b':');
            serde_json::to_writer(&mut text, cell)?;
        }
        if text.is_empty() {
            text.push(b'{');
        }
        text.push(b'}');
        Ok(text)
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(KEPT) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::btree_map;
    use proptest::option;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_short_way_to_a_hash_gives_that_of_the_canonical_form(
            cells in btree_map("[ -~]{0,6}|\\PC{0,4}", option::of("\\PC{0,12}|[\\x00-\\x7f]{0,8}"), 0..9),
        ) {
            let value: Value = cells
                .iter()
                .map(|(name, text)| (name.clone(), Value::from(text.clone())))
                .collect::<serde_json::Map<_, _>>()
                .into();
            prop_assert_eq!(Row(cells).hash(), evidence::hash(&value).unwrap());
        }
    }
}
