//! Lines of a plain or compressed byte stream, one at a time, with a length limit.

use super::RecordingError;
use flate2::bufread::MultiGzDecoder;
use std::io::{self, BufRead, BufReader, Cursor, Read};

/// A source of bytes that may move to the thread that reads it.
pub(in crate::source) type Source = Box<dyn Read + Send>;

const BUFFER_BYTES: usize = 64 * 1024;
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Reads lines; looks at the bytes only when the first line is asked for, so that opening
/// standard input never blocks.
pub(super) struct Lines {
    name: String,
    source: Option<Source>,
    text: Option<Box<dyn BufRead + Send>>,
    limit_bytes: u64,
    line: u64,
}

impl Lines {
    pub(super) fn new(name: String, source: Source, limit_bytes: u64) -> Self {
        Self {
            name,
            source: Some(source),
            text: None,
            limit_bytes,
            line: 0,
        }
    }

    pub(super) fn set_limit(&mut self, limit_bytes: u64) {
        self.limit_bytes = limit_bytes;
    }

    /// Number of the line read last, 0 before the first.
    pub(super) fn number(&self) -> u64 {
        self.line
    }

    /// The next line with content, without its line end.
    pub(super) fn next_line(&mut self) -> Result<Option<Vec<u8>>, RecordingError> {
        loop {
            self.line += 1;
            let mut line = Vec::new();
            if !self.read_into(&mut line)? {
                return Ok(None);
            }
            if !line.iter().all(u8::is_ascii_whitespace) {
                return Ok(Some(line));
            }
        }
    }

    fn read_into(&mut self, line: &mut Vec<u8>) -> Result<bool, RecordingError> {
        let (number, limit_bytes) = (self.line, self.limit_bytes);
        let name = self.name.clone();
        let read = move |source| RecordingError::Read {
            name,
            line: number,
            source,
        };
        let text = match (&mut self.text, self.source.take()) {
            (Some(text), _) => text,
            (none, Some(source)) => match decompressed(source) {
                Ok(text) => none.insert(text),
                Err(source) => return Err(read(source)),
            },
            (None, None) => return Ok(false),
        };
        // One more than the limit, for the line end.
        let taken = text
            .take(limit_bytes.saturating_add(1))
            .read_until(b'\n', line)
            .map_err(read)?;
        if line.last() == Some(&b'\n') {
            line.pop();
            if line.last() == Some(&b'\r') {
                line.pop();
            }
        } else if u64::try_from(line.len()).unwrap_or(u64::MAX) > limit_bytes {
            return Err(RecordingError::LineTooLong {
                line: number,
                limit_bytes,
            });
        }
        Ok(taken > 0)
    }
}

/// The text of a stream, whatever of the known kinds compressed it: told by its first bytes.
pub(in crate::source) fn decompressed(mut source: Source) -> io::Result<Box<dyn BufRead + Send>> {
    let mut first = Vec::with_capacity(ZSTD_MAGIC.len());
    source
        .by_ref()
        .take(ZSTD_MAGIC.len() as u64)
        .read_to_end(&mut first)?;
    let (is_gzip, is_zstd) = (first.starts_with(&GZIP_MAGIC), first == ZSTD_MAGIC);
    let whole = BufReader::with_capacity(BUFFER_BYTES, Cursor::new(first).chain(source));
    if is_gzip {
        return Ok(Box::new(BufReader::with_capacity(
            BUFFER_BYTES,
            MultiGzDecoder::new(whole),
        )));
    }
    if is_zstd {
        let decoder = zstd::stream::read::Decoder::with_buffer(whole)?;
        return Ok(Box::new(BufReader::with_capacity(BUFFER_BYTES, decoder)));
    }
    Ok(Box::new(whole))
}
