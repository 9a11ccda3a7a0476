//! The text of an archive in pieces of whole lines.

use std::io::{self, BufRead, Read as _};
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use crate::source::recording::{Format, MAX_LINE_BYTES, RecordingError, detect};

/// Whole lines that follow one another.
pub(super) struct Segment {
    /// The lines, with their ends; the last one of an archive may have none.
    pub(super) bytes: Vec<u8>,
    /// What they are written in; none while all lines so far were empty.
    pub(super) format: Option<Format>,
    /// Does the archive end here in the middle of a line?
    pub(super) ends_open: bool,
    /// Held until the segment is done with: bounds what is in memory.
    pub(super) _room: OwnedSemaphorePermit,
}

/// Why there are no more segments.
pub(super) enum Fault {
    /// The source broke off, or what it holds is damaged.
    Broken(io::Error),
    /// A line, counted from the first after the last segment.
    Line(RecordingError),
}

/// Bytes in flight between the reader and the end of the line.
pub(super) const IN_FLIGHT_BYTES: usize = 32 << 20;
/// Room is counted in pieces of so many bytes.
const ROOM_UNIT: usize = 1 << 10;

/// Reads to the end, or until nobody listens; blocking.
pub(super) fn read(
    text: Box<dyn BufRead + Send>,
    segment_bytes: usize,
    out: &mpsc::Sender<Result<Segment, Fault>>,
    cancel: &CancellationToken,
) {
    let room = Arc::new(Semaphore::new(IN_FLIGHT_BYTES / ROOM_UNIT));
    let handle = tokio::runtime::Handle::current();
    let mut splitter = Splitter {
        text,
        segment_bytes: segment_bytes.max(1),
        carried: Vec::new(),
        damage: None,
        format: None,
    };
    while !cancel.is_cancelled() {
        let next = splitter.next();
        let result = next.map(|bytes| {
            if bytes.is_empty() {
                return None;
            }
            // One line longer than the bound passes alone.
            let units = (bytes.len() / ROOM_UNIT + 1).min(IN_FLIGHT_BYTES / ROOM_UNIT);
            let units = u32::try_from(units).unwrap_or(u32::MAX);
            let room = handle.block_on(Arc::clone(&room).acquire_many_owned(units));
            room.ok().map(|_room| Segment {
                ends_open: bytes.last() != Some(&b'\n'),
                format: splitter.format,
                bytes,
                _room,
            })
        });
        let Some(result) = result.transpose() else {
            return;
        };
        let is_fault = result.is_err();
        if out.blocking_send(result).is_err() || is_fault {
            return;
        }
    }
}

struct Splitter {
    text: Box<dyn BufRead + Send>,
    segment_bytes: usize,
    carried: Vec<u8>,
    damage: Option<io::Error>,
    format: Option<Format>,
}

impl Splitter {
    /// The next whole lines; nothing at the end.
    fn next(&mut self) -> Result<Vec<u8>, Fault> {
        let bytes = self.lines()?;
        if self.format.is_none() {
            self.format = find_format(&bytes).map_err(Fault::Line)?;
        }
        Ok(bytes)
    }

    fn lines(&mut self) -> Result<Vec<u8>, Fault> {
        if let Some(damage) = self.damage.take() {
            return Err(Fault::Broken(damage));
        }
        let mut bytes = std::mem::take(&mut self.carried);
        let mut searched = 0;
        loop {
            let wanted = self.segment_bytes as u64;
            let read = (&mut self.text).take(wanted).read_to_end(&mut bytes);
            let end = memchr::memrchr(b'\n', &bytes[searched..]).map(|at| searched + at + 1);
            match (read, end) {
                (Err(damage), None) => return Err(Fault::Broken(damage)),
                (Err(damage), Some(end)) => {
                    // Whole lines that came before the damage are good.
                    self.damage = Some(damage);
                    bytes.truncate(end);
                    return Ok(bytes);
                }
                (Ok(0), _) => return Ok(bytes),
                (Ok(_), Some(end)) => {
                    self.carried.extend_from_slice(&bytes[end..]);
                    bytes.truncate(end);
                    return Ok(bytes);
                }
                (Ok(_), None) => searched = bytes.len(),
            }
            if bytes.len() as u64 > MAX_LINE_BYTES {
                let (line, limit_bytes) = (1, MAX_LINE_BYTES);
                return Err(Fault::Line(RecordingError::LineTooLong {
                    line,
                    limit_bytes,
                }));
            }
        }
    }
}

fn find_format(bytes: &[u8]) -> Result<Option<Format>, RecordingError> {
    for (number, line) in (1..).zip(bytes.split(|b| *b == b'\n')) {
        if !line.iter().all(u8::is_ascii_whitespace) {
            return detect(line, number).map(Some);
        }
    }
    Ok(None)
}
