//! Reading a recording as a stream of entries.

use super::error::clip;
use super::lines::Lines;
use super::{Bytes, CopyText, Entry, MAX_LINE_BYTES, RecordingError};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// The format of a recording, found from its first line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object per line.
    Ndjson,
    /// The event archive: four columns separated by tabs.
    Tsv,
}

/// A recording being read: an iterator over its entries in file order, with one line in memory.
///
/// After an error the iterator ends: a recording with a damaged line is not silently shortened.
pub struct Recording {
    lines: Lines,
    format: Option<Format>,
    copy_text: CopyText,
    ended: bool,
}

impl Recording {
    /// Opens a file; `-` is standard input. Nothing is read yet.
    ///
    /// # Errors
    /// [`RecordingError::Open`] if the file cannot be opened.
    pub fn open(path: &Path) -> Result<Self, RecordingError> {
        if path.as_os_str() == "-" {
            return Ok(Self::from_reader("standard input", io::stdin()));
        }
        let name = path.display().to_string();
        match File::open(path) {
            Ok(file) => Ok(Self::from_reader(name, file)),
            Err(source) => Err(RecordingError::Open { name, source }),
        }
    }

    /// Reads from any source of bytes, plain, gzip or zstd; `name` is used in error messages.
    pub fn from_reader(name: impl Into<String>, source: impl Read + Send + 'static) -> Self {
        let lines = Lines::new(name.into(), Box::new(source), MAX_LINE_BYTES);
        Self {
            lines,
            format: None,
            copy_text: CopyText::default(),
            ended: false,
        }
    }

    /// Sets the longest line accepted, in bytes without the line end. Default [`MAX_LINE_BYTES`].
    #[must_use]
    pub fn with_line_limit(mut self, limit_bytes: u64) -> Self {
        self.lines.set_limit(limit_bytes);
        self
    }

    /// The format, once the first entry has been read.
    pub fn format(&self) -> Option<Format> {
        self.format
    }

    /// Number of the line read last, starting at 1; 0 before the first.
    pub fn line(&self) -> u64 {
        self.lines.number()
    }

    fn next_entry(&mut self) -> Result<Option<Entry>, RecordingError> {
        let Some(line) = self.lines.next_line()? else {
            return Ok(None);
        };
        let number = self.lines.number();
        let format = match self.format {
            Some(format) => format,
            None => *self.format.insert(detect(&line, number)?),
        };
        match format {
            Format::Ndjson => ndjson(line, number).map(Some),
            // The end mark that psql writes after COPY data.
            Format::Tsv if line == br"\." => Ok(None),
            Format::Tsv => tsv(line, number, &mut self.copy_text).map(Some),
        }
    }
}

impl Iterator for Recording {
    type Item = Result<Entry, RecordingError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = self.next_entry().transpose();
        self.ended = !matches!(next, Some(Ok(_)));
        next
    }
}

/// The format that a first line is of.
pub(in crate::source) fn detect(line: &[u8], number: u64) -> Result<Format, RecordingError> {
    let start = line.trim_ascii_start();
    match start.first() {
        Some(b'{') => Ok(Format::Ndjson),
        Some(b'0'..=b'9') if line.contains(&b'\t') => Ok(Format::Tsv),
        _ => Err(RecordingError::UnknownFormat {
            line: number,
            begins: clip(line),
        }),
    }
}

/// An NDJSON line, as far as it matters.
#[derive(Deserialize)]
pub(in crate::source) struct NdjsonLine<'a> {
    /// Where it was posted.
    #[serde(borrow)]
    pub(in crate::source) path: Cow<'a, str>,
    /// What was posted.
    #[serde(borrow)]
    pub(in crate::source) body: &'a RawValue,
}

/// The parts of an NDJSON line.
pub(in crate::source) fn object(
    line: &[u8],
    number: u64,
) -> Result<NdjsonLine<'_>, RecordingError> {
    serde_json::from_slice(line).map_err(|source| RecordingError::Object {
        line: number,
        source,
    })
}

/// A TSV line, as far as it matters.
pub(in crate::source) struct Columns<'a> {
    /// Number of the row in the table that it is from.
    pub(in crate::source) id: &'a [u8],
    /// Where it was posted.
    pub(in crate::source) path: &'a [u8],
    /// What was posted, with or without COPY escapes.
    pub(in crate::source) json: &'a [u8],
}

/// The columns of a TSV line.
pub(in crate::source) fn columns(line: &[u8], number: u64) -> Result<Columns<'_>, RecordingError> {
    let mut columns = line.splitn(4, |byte| *byte == b'\t');
    match (
        columns.next(),
        columns.next(),
        columns.next(),
        columns.next(),
    ) {
        (Some(id), Some(_received_at), Some(path), Some(json)) => Ok(Columns { id, path, json }),
        _ => Err(RecordingError::Columns {
            line: number,
            found: line.split(|byte| *byte == b'\t').count(),
        }),
    }
}

fn ndjson(line: Vec<u8>, number: u64) -> Result<Entry, RecordingError> {
    let line = Bytes::from(line);
    let parsed = object(&line, number)?;
    let path = checked_path(parsed.path.as_bytes(), number)?;
    // Shares the line's memory: a body of 80 MB is not copied.
    let body = line.slice_ref(parsed.body.get().as_bytes());
    Ok(Entry { path, body })
}

fn tsv(line: Vec<u8>, number: u64, copy_text: &mut CopyText) -> Result<Entry, RecordingError> {
    let line = Bytes::from(line);
    let Columns { path, json, .. } = columns(&line, number)?;
    let path = checked_path(path, number)?;
    let body = match copy_text
        .json(json)
        .map_err(|source| RecordingError::Body {
            line: number,
            source,
        })? {
        Cow::Borrowed(json) => line.slice_ref(json),
        Cow::Owned(json) => Bytes::from(json),
    };
    Ok(Entry { path, body })
}

/// A path becomes part of a URL as it stands, so it must hold nothing that would change its meaning there.
pub(in crate::source) fn checked_path(path: &[u8], number: u64) -> Result<String, RecordingError> {
    let is_plain = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#');
    match std::str::from_utf8(path) {
        Ok(text) if text.starts_with('/') && path.iter().all(is_plain) => Ok(text.to_owned()),
        _ => Err(RecordingError::Path {
            line: number,
            found: clip(path),
        }),
    }
}
