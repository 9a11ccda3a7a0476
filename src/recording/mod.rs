//! Recordings of what a stacks-node posted to its event observer: written here, read by the indexer's sources.

mod writer;

#[cfg(test)]
pub(crate) mod fixture_tests;
#[cfg(test)]
mod tests;

pub use stxworx_indexer::source::recording::{
    Bytes, CopyText, Entry, Escapes, Format, MAX_LINE_BYTES, Recording, RecordingError,
};
pub use writer::{Compression, RecordingWriter, Sink};
