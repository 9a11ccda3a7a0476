//! Undoing PostgreSQL COPY text escapes, only where they are present.

use serde::de::IgnoredAny;
use std::borrow::Cow;

/// Whether the JSON column of a TSV archive still carries COPY escapes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escapes {
    /// The column is raw `COPY … TO` text: `\"` of the JSON is written `\\"`.
    Present,
    /// The column is plain JSON.
    Absent,
}

/// Decides, row by row, whether the JSON column carries COPY escapes, and undoes them.
///
/// # The rule
///
/// `COPY … TO` in text format writes a backslash as `\\` and the control characters as `\b \f \n \r \t \v`.
/// A JSON text needs no raw control characters, so what matters is the backslash. For each row:
///
/// 1. Without a backslash there is nothing to decide.
/// 2. If only one reading (as it stands, or undone) is valid JSON, that one is right, and the row is
///    *evidence* for the file. `"say \"hi\""` undone is not JSON; `"say \\"hi\\""` as it stands is not.
/// 3. If both are valid, as for `"a\\nb"`, the latest evidence seen in this file decides; without any,
///    the row is taken as COPY text, because that is the archive's published form.
/// 4. If neither is valid, the row is malformed.
///
/// The default value is a file without evidence so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct CopyText {
    evidence: Option<Escapes>,
}

impl CopyText {
    /// What the rows so far have proved, if anything.
    pub fn evidence(&self) -> Option<Escapes> {
        self.evidence
    }

    /// A file of which rows before these proved this much.
    pub fn with_evidence(evidence: Option<Escapes>) -> Self {
        Self { evidence }
    }

    /// The JSON of one column.
    ///
    /// # Errors
    /// The parser's complaint about the column as it stands, when neither reading is JSON.
    pub fn json<'a>(&mut self, column: &'a [u8]) -> Result<Cow<'a, [u8]>, serde_json::Error> {
        Ok(match Reading::of(column)? {
            Reading::Plain => Cow::Borrowed(column),
            Reading::AsItStands => {
                self.evidence = Some(Escapes::Absent);
                Cow::Borrowed(column)
            }
            Reading::Undone(text) => {
                self.evidence = Some(Escapes::Present);
                Cow::Owned(text)
            }
            Reading::Either(text) => match self.evidence {
                Some(Escapes::Absent) => Cow::Borrowed(column),
                Some(Escapes::Present) | None => Cow::Owned(text),
            },
        })
    }
}

/// What one column alone says about its escapes.
#[derive(Debug)]
pub(in crate::source) enum Reading {
    /// It has no backslash.
    Plain,
    /// It is JSON only as it stands.
    AsItStands,
    /// It is JSON only with the escapes undone, as here.
    Undone(Vec<u8>),
    /// It is JSON both ways; undone it is this.
    Either(Vec<u8>),
}

impl Reading {
    /// Reads one column.
    pub(in crate::source) fn of(column: &[u8]) -> Result<Self, serde_json::Error> {
        let as_it_stands = valid(column);
        if !column.contains(&b'\\') {
            return as_it_stands.map(|()| Self::Plain);
        }
        let undone = undo(column).filter(|text| valid(text).is_ok());
        match (as_it_stands, undone) {
            (Ok(()), None) => Ok(Self::AsItStands),
            (Err(_), Some(text)) => Ok(Self::Undone(text)),
            (Ok(()), Some(text)) => Ok(Self::Either(text)),
            (Err(error), None) => Err(error),
        }
    }
}

fn valid(json: &[u8]) -> Result<(), serde_json::Error> {
    serde_json::from_slice::<IgnoredAny>(json).map(|_| ())
}

/// The text without COPY escapes, or nothing if it holds a sequence that COPY never writes.
fn undo(column: &[u8]) -> Option<Vec<u8>> {
    let mut text = Vec::with_capacity(column.len());
    let mut rest = column;
    while let Some(at) = rest.iter().position(|byte| *byte == b'\\') {
        text.extend_from_slice(&rest[..at]);
        text.push(match rest.get(at + 1)? {
            b'\\' => b'\\',
            b'n' => b'\n',
            b't' => b'\t',
            b'r' => b'\r',
            b'b' => 0x08,
            b'f' => 0x0c,
            b'v' => 0x0b,
            _ => return None,
        });
        rest = &rest[at + 2..];
    }
    text.extend_from_slice(rest);
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(state: &mut CopyText, column: &str) -> String {
        String::from_utf8(state.json(column.as_bytes()).unwrap().into_owned()).unwrap()
    }

    #[test]
    fn a_row_without_backslashes_is_left_alone() {
        let mut state = CopyText::default();
        assert_eq!(read(&mut state, r#"{"a":"b"}"#), r#"{"a":"b"}"#);
        assert_eq!(state.evidence(), None);
    }

    #[test]
    fn a_quote_proves_one_reading() {
        let mut state = CopyText::default();
        assert_eq!(
            read(&mut state, r#"{"a":"say \\"hi\\""}"#),
            r#"{"a":"say \"hi\""}"#
        );
        assert_eq!(state.evidence(), Some(Escapes::Present));
        assert_eq!(
            read(&mut state, r#"{"a":"say \"hi\""}"#),
            r#"{"a":"say \"hi\""}"#
        );
        assert_eq!(state.evidence(), Some(Escapes::Absent));
    }

    #[test]
    fn a_single_backslash_before_n_or_u_is_json() {
        for plain in [r#"{"a":"x\ny"}"#, r#"{"a":"\u0041"}"#, r#"{"a":"\/"}"#] {
            let mut state = CopyText::default();
            assert_eq!(read(&mut state, plain), plain);
            assert_eq!(state.evidence(), Some(Escapes::Absent), "{plain}");
        }
    }

    #[test]
    fn an_ambiguous_row_follows_the_evidence_and_else_the_published_form() {
        let ambiguous = r#"{"a":"x\\ny"}"#;
        let mut state = CopyText::default();
        assert_eq!(read(&mut state, ambiguous), r#"{"a":"x\ny"}"#);
        read(&mut state, r#"{"a":"\""}"#);
        assert_eq!(read(&mut state, ambiguous), ambiguous);
        read(&mut state, r#"{"a":"\\""}"#);
        assert_eq!(read(&mut state, ambiguous), r#"{"a":"x\ny"}"#);
    }

    #[test]
    fn whitespace_between_tokens_may_be_escaped() {
        let mut state = CopyText::default();
        assert_eq!(read(&mut state, r#"{\n\t"a":1}"#), "{\n\t\"a\":1}");
    }

    #[test]
    fn a_windows_path_survives_both_forms() {
        let json = r#"{"a":"C:\\dir\\new"}"#;
        let mut state = CopyText::default();
        assert_eq!(read(&mut state, &json.replace('\\', r"\\")), json);
        let mut state = CopyText::default();
        // `\d` is no JSON escape, so only the reading as it stands is possible.
        assert_eq!(read(&mut state, json), json);
    }

    #[test]
    fn neither_reading_is_an_error() {
        let mut state = CopyText::default();
        assert!(state.json(br#"{"a":"\\q\"#).is_err());
        assert!(state.json(b"nonsense").is_err());
        assert!(state.json(b"").is_err());
    }
}
