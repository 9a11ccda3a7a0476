//! Recordings: what a stacks-node posted to its event observer, kept in a file.
//!
//! A recording is read as a stream of [`Entry`] values in file order, one line in memory at a time.
//! Two formats are understood, plain, gzip or zstd, told apart by content and never by file name:
//!
//! * **NDJSON**, one object per line: `{"seq":1,"path":"/new_block","ts":1795380249.679,"status":200,"body":{…}}`.
//!   `path` and `body` are required, other fields are ignored. The body is handed on byte for byte as it
//!   stands in the file: no number is rounded and no key is reordered.
//! * **TSV**, the event archive of a Stacks API (`event_observer_requests`), four columns without a header:
//!   `id`, `receive_timestamp`, `event_path`, `payload`. Such a file is PostgreSQL `COPY … TO` text, in which
//!   every backslash of the JSON is doubled, but tools that rewrote it often undid that. See [`CopyText`]
//!   for the rule that decides.
//!
//! Lines may be large (the genesis block of mainnet is about 80 MB): the line buffer grows as needed, up to
//! [`MAX_LINE_BYTES`]. Nothing here judges the payloads: a body is any JSON.

mod copy_text;
mod error;
mod lines;
mod reader;

pub use axum::body::Bytes;
pub use copy_text::{CopyText, Escapes};
pub use error::RecordingError;
pub use reader::{Format, Recording};

pub(super) use copy_text::Reading;
pub(super) use lines::{Source, decompressed};
pub(super) use reader::{Columns, checked_path, columns, detect, object};

/// Longest line accepted by default, in bytes (1 GiB).
pub const MAX_LINE_BYTES: u64 = 1 << 30;

/// One payload of a recording: where it was posted, and the exact bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Path below the observer's address, with its leading slash, such as `/new_block`.
    pub path: String,
    /// The request body, normally JSON.
    pub body: Bytes,
}

impl Entry {
    /// An entry of this path and body.
    pub fn new(path: impl Into<String>, body: impl Into<Bytes>) -> Self {
        Self {
            path: path.into(),
            body: body.into(),
        }
    }

    /// Whether this payload announces a Stacks block.
    pub fn is_block(&self) -> bool {
        self.path == "/new_block"
    }
}
