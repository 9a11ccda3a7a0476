//! What can go wrong with a recording.

use std::io;

/// Why a recording could not be read or written. Line numbers start at 1 and count physical lines
/// of the uncompressed text.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// The file could not be opened.
    #[error("cannot open the recording {name}")]
    Open {
        /// The file as named by the caller.
        name: String,
        /// The system's answer.
        source: io::Error,
    },
    /// Reading failed, or the compressed data is damaged or cut short.
    #[error("cannot read {name} at line {line}")]
    Read {
        /// The file as named by the caller, or `standard input`.
        name: String,
        /// The line that was being read.
        line: u64,
        /// The system's or the decompressor's answer.
        source: io::Error,
    },
    /// A line is longer than the limit.
    #[error("line {line} is longer than the limit of {limit_bytes} bytes")]
    LineTooLong {
        /// The line.
        line: u64,
        /// The limit in force.
        limit_bytes: u64,
    },
    /// The first line is of neither format.
    #[error(
        "line {line} is neither NDJSON (an object with \"path\" and \"body\") nor a TSV archive \
         (id, timestamp, path, JSON separated by tabs); it begins with {begins:?}"
    )]
    UnknownFormat {
        /// The first line with content.
        line: u64,
        /// Its first characters.
        begins: String,
    },
    /// An NDJSON line is not an object with `path` and `body`.
    #[error("line {line}: expected a JSON object with a string \"path\" and a \"body\"")]
    Object {
        /// The line.
        line: u64,
        /// What the JSON parser missed.
        source: serde_json::Error,
    },
    /// A TSV line has too few columns.
    #[error(
        "line {line}: expected 4 columns (id, timestamp, path, JSON) separated by tabs, found {found}"
    )]
    Columns {
        /// The line.
        line: u64,
        /// Number of columns found.
        found: usize,
    },
    /// A path that cannot be posted to.
    #[error(
        "line {line}: expected a path that starts with a slash and has no spaces, found {found:?}"
    )]
    Path {
        /// The line.
        line: u64,
        /// The first characters of what stood there.
        found: String,
    },
    /// The fourth column of a TSV line is not JSON, neither as it stands nor with COPY escapes undone.
    #[error("line {line}: expected JSON in the fourth column, with or without COPY escapes")]
    Body {
        /// The line.
        line: u64,
        /// What the JSON parser missed in the column as it stands.
        source: serde_json::Error,
    },
    /// The file ends in the middle of a line.
    #[error("the file ends in the middle of line {line}: it was not written to its end")]
    CutOff {
        /// The line.
        line: u64,
    },
    /// An entry whose body is not JSON was to be written.
    #[error("an NDJSON recording holds only JSON bodies, this one for {path} is not")]
    BodyNotJson {
        /// Path of the entry.
        path: String,
        /// What the JSON parser missed.
        source: serde_json::Error,
    },
    /// Writing failed.
    #[error("cannot write the recording")]
    Write {
        /// The system's answer.
        #[from]
        source: io::Error,
    },
}

impl RecordingError {
    /// The same of a line that so many others stand before.
    pub(in crate::source) fn after(mut self, before: u64) -> Self {
        match &mut self {
            Self::Read { line, .. }
            | Self::LineTooLong { line, .. }
            | Self::UnknownFormat { line, .. }
            | Self::Object { line, .. }
            | Self::Columns { line, .. }
            | Self::Path { line, .. }
            | Self::CutOff { line }
            | Self::Body { line, .. } => *line += before,
            Self::Open { .. } | Self::BodyNotJson { .. } | Self::Write { .. } => {}
        }
        self
    }
}

/// The beginning of some foreign text, short enough for an error message.
pub(super) fn clip(text: &[u8]) -> String {
    const SHOWN: usize = 40;
    String::from_utf8_lossy(text).chars().take(SHOWN).collect()
}
