//! Writing recordings as NDJSON.

use super::{Entry, RecordingError};
use flate2::write::GzEncoder;
use serde_json::value::RawValue;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// Whether a recording is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Plain text.
    None,
    /// gzip at the best level, without a time stamp, so that equal entries give equal files.
    Gzip,
}

impl Compression {
    /// What a file name asks for: gzip for `….gz`, else none.
    pub fn of_name(path: &Path) -> Self {
        match path.extension() {
            Some(extension) if extension.eq_ignore_ascii_case("gz") => Self::Gzip,
            _ => Self::None,
        }
    }
}

/// The file behind a [`RecordingWriter`] made by [`RecordingWriter::create`].
pub enum Sink {
    /// Plain text.
    Plain(BufWriter<File>),
    /// gzip.
    Gzip(Box<GzEncoder<BufWriter<File>>>),
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(file) => file.write(bytes),
            Self::Gzip(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(file) => file.flush(),
            Self::Gzip(file) => file.flush(),
        }
    }
}

/// Writes entries as NDJSON lines, with `seq` counting from 1.
pub struct RecordingWriter<W: Write> {
    sink: W,
    seq: u64,
}

impl RecordingWriter<Sink> {
    /// Creates or truncates a file.
    ///
    /// # Errors
    /// [`RecordingError::Write`] if the file cannot be created.
    pub fn create(path: &Path, compression: Compression) -> Result<Self, RecordingError> {
        let file = BufWriter::new(File::create(path)?);
        Ok(Self::new(match compression {
            Compression::None => Sink::Plain(file),
            Compression::Gzip => {
                Sink::Gzip(Box::new(GzEncoder::new(file, flate2::Compression::best())))
            }
        }))
    }

    /// Ends the file and returns the number of entries in it. Without this call a gzip file is cut short.
    ///
    /// # Errors
    /// [`RecordingError::Write`] if the last bytes cannot be written.
    pub fn finish(self) -> Result<u64, RecordingError> {
        let mut file = match self.sink {
            Sink::Plain(file) => file,
            Sink::Gzip(gzip) => gzip.finish()?,
        };
        file.flush()?;
        Ok(self.seq)
    }
}

impl<W: Write> RecordingWriter<W> {
    /// Writes to any sink.
    pub fn new(sink: W) -> Self {
        Self { sink, seq: 0 }
    }

    /// Appends one entry. `received_ms` is the time of receipt in Unix milliseconds, `status` the answer given.
    ///
    /// The body goes into the file byte for byte, but for line breaks between its tokens, which become spaces.
    ///
    /// # Errors
    /// [`RecordingError::BodyNotJson`] for a body that NDJSON cannot hold, [`RecordingError::Write`].
    pub fn write(
        &mut self,
        entry: &Entry,
        received_ms: u64,
        status: u16,
    ) -> Result<(), RecordingError> {
        let body: &RawValue =
            serde_json::from_slice(&entry.body).map_err(|source| RecordingError::BodyNotJson {
                path: entry.path.clone(),
                source,
            })?;
        self.seq += 1;
        let path = serde_json::Value::from(entry.path.as_str());
        let (seconds, millis) = (received_ms / 1000, received_ms % 1000);
        let seq = self.seq;
        write!(
            self.sink,
            r#"{{"seq":{seq},"path":{path},"ts":{seconds}.{millis:03},"status":{status},"body":"#
        )?;
        write_on_one_line(&mut self.sink, body.get())?;
        self.sink.write_all(b"}\n")?;
        Ok(())
    }

    /// The sink, unflushed.
    pub fn into_inner(self) -> W {
        self.sink
    }
}

/// A JSON string never holds a raw line break, so each one stands between tokens, where a space means the same.
fn write_on_one_line(sink: &mut impl Write, json: &str) -> io::Result<()> {
    let mut first = true;
    for part in json.split(['\n', '\r']) {
        if !first {
            sink.write_all(b" ")?;
        }
        first = false;
        sink.write_all(part.as_bytes())?;
    }
    Ok(())
}
