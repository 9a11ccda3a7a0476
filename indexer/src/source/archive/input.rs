//! Where an archive is read from, and how its text is had at a position.

use std::fs::File;
use std::io::{self, BufRead, Cursor, Read, Seek as _, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;

use super::ArchiveError;
use crate::source::http::{Download, without_secrets};
use crate::source::recording::{Bytes, RecordingError, Source, decompressed};

/// Where an archive is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// Standard input.
    Stdin,
    /// A file.
    File(PathBuf),
    /// A file on an HTTP server.
    Url(String),
}

impl Input {
    /// As written on a command line: `-`, a URL, or a path.
    pub fn parse(text: &str) -> Self {
        if text == "-" {
            Self::Stdin
        } else if text.starts_with("http://") || text.starts_with("https://") {
            Self::Url(text.to_owned())
        } else {
            Self::File(PathBuf::from(text))
        }
    }

    /// Its name in messages, without secrets.
    pub fn name(&self) -> String {
        match self {
            Self::Stdin => "standard input".to_owned(),
            Self::File(path) => path.display().to_string(),
            Self::Url(url) => without_secrets(url),
        }
    }
}

/// So much of the beginning of a file tells it from others.
const HEAD_BYTES: u64 = 1 << 20;
/// Longest silence of a server before a download counts as broken off.
const IDLE: Duration = Duration::from_secs(60);
/// Pieces of a download that wait to be read.
const PIECES: usize = 16;

/// An input that was opened and whose beginning was read.
pub(super) struct Opened {
    head: Vec<u8>,
    rest: Rest,
    /// Size as it is stored, where it is known.
    pub(super) size_bytes: Option<u64>,
    /// Bytes read so far, as they are stored.
    pub(super) read_bytes: Arc<AtomicU64>,
}

enum Rest {
    File(File),
    Other(Source),
}

impl Opened {
    /// Opens an input.
    pub(super) async fn open(input: &Input) -> Result<Self, ArchiveError> {
        let (rest, size_bytes) = match input {
            Input::Stdin => (Rest::Other(Box::new(io::stdin())), None),
            Input::File(path) => {
                let name = input.name();
                let opened = File::open(path).and_then(|f| f.metadata().map(|m| (f, m)));
                let (file, metadata) =
                    opened.map_err(|source| RecordingError::Open { name, source })?;
                // A pipe has no size.
                let size = metadata.is_file().then_some(metadata.len());
                let rest = match size {
                    Some(_) => Rest::File(file),
                    None => Rest::Other(Box::new(file)),
                };
                (rest, size)
            }
            Input::Url(url) => {
                let download = Download::start(url, IDLE).await?;
                let size = download.size_bytes();
                (Rest::Other(Box::new(Pieces::of(download))), size)
            }
        };
        let name = input.name();
        let read = tokio::task::spawn_blocking(move || Self::begin(rest, size_bytes));
        let opened = read.await.map_err(|e| ArchiveError::Died(e.to_string()))?;
        opened.map_err(|source| {
            let line = 1;
            RecordingError::Read { name, line, source }.into()
        })
    }

    fn begin(mut rest: Rest, size_bytes: Option<u64>) -> io::Result<Self> {
        let mut head = Vec::new();
        let source: &mut dyn Read = match &mut rest {
            Rest::File(file) => file,
            Rest::Other(source) => source,
        };
        source.take(HEAD_BYTES).read_to_end(&mut head)?;
        Ok(Self {
            head,
            rest,
            size_bytes,
            read_bytes: Arc::new(AtomicU64::new(0)),
        })
    }

    /// SHA-256 of the first MiB.
    pub(super) fn head_sha256(&self) -> [u8; 32] {
        Sha256::digest(&self.head).into()
    }

    /// The text from this position on. Costs time where it is compressed: the text before it has to be made, too.
    pub(super) fn text_at(self, position: u64) -> io::Result<Box<dyn BufRead + Send>> {
        let is_packed = [&[0x1f, 0x8b][..], &[0x28, 0xb5, 0x2f, 0xfd]]
            .iter()
            .any(|magic| self.head.starts_with(magic));
        let read_bytes = self.read_bytes;
        let source: Source = match self.rest {
            Rest::File(mut file) if !is_packed => {
                file.seek(SeekFrom::Start(position))?;
                read_bytes.store(position, Ordering::Relaxed);
                // Cut off since: nothing of it is left to read, and that is told by its text ending early.
                let source: Source = Box::new(Counted {
                    source: file,
                    read_bytes,
                });
                return decompressed_plain(source);
            }
            Rest::File(file) => Box::new(Cursor::new(self.head).chain(file)),
            Rest::Other(source) => Box::new(Cursor::new(self.head).chain(source)),
        };
        let mut text = decompressed(Box::new(Counted { source, read_bytes }))?;
        let skipped = io::copy(&mut text.by_ref().take(position), &mut io::sink())?;
        if skipped < position {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("it ends at byte {skipped} of its text, before byte {position}"),
            ));
        }
        Ok(text)
    }
}

/// Text that is known not to be compressed, whatever bytes stand at the position.
fn decompressed_plain(source: Source) -> io::Result<Box<dyn BufRead + Send>> {
    Ok(Box::new(io::BufReader::new(source)))
}

/// Counts what is read.
struct Counted<R> {
    source: R,
    read_bytes: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(buffer)?;
        self.read_bytes.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

/// A download, read by a thread that may wait.
struct Pieces {
    pieces: mpsc::Receiver<io::Result<Bytes>>,
    piece: Bytes,
}

impl Pieces {
    fn of(mut download: Download) -> Self {
        let (sender, pieces) = mpsc::channel(PIECES);
        tokio::spawn(async move {
            loop {
                let piece = match download.next().await {
                    Ok(None) => return,
                    Ok(Some(piece)) => Ok(Bytes::copy_from_slice(piece.as_ref())),
                    Err(error) => Err(io::Error::other(error)),
                };
                let broken = piece.is_err();
                if sender.send(piece).await.is_err() || broken {
                    return;
                }
            }
        });
        Self {
            pieces,
            piece: Bytes::new(),
        }
    }
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.pieces.blocking_recv() {
                None => return Ok(0),
                Some(piece) => self.piece = piece?,
            }
        }
        let taken = buffer.len().min(self.piece.len());
        buffer[..taken].copy_from_slice(&self.piece.split_to(taken));
        Ok(taken)
    }
}
