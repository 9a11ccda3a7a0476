//! A segment's lines to payloads for the inbox. Runs on several threads; nothing here knows of other segments.

use serde::Deserialize;

use super::cut::{Outline, cut, outline};
use super::needles::Needles;
use super::segments::Segment;
use super::wire::{NETWORK_DIGITS, Text};
use crate::model::{FollowSet, Mirror};
use crate::source::recording::{
    Columns, Escapes, Format, Reading, RecordingError, checked_path, columns, object,
};
use crate::store::StoreError;
use crate::store::archive::Counts;
use crate::store::archive::Place;
use crate::store::bulk::{Packer, Payload};
use crate::store::inbox::{Endpoint, Provenance, Source};

/// What is taken from an archive, and how.
#[derive(Debug)]
pub struct Taken {
    follow: FollowSet,
    needles: Needles,
    scope: Option<[u8; 32]>,
    from: u32,
    to: u32,
}

impl Taken {
    /// What a mirror of this follow set takes of these heights, both included.
    pub fn new(follow: &FollowSet, from: Option<u32>, to: Option<u32>) -> Self {
        let is_cut = follow.mirror == Mirror::Followed;
        Self {
            needles: Needles::new(follow),
            scope: is_cut.then(|| follow.hash()),
            follow: follow.clone(),
            from: from.unwrap_or(0),
            to: to.unwrap_or(u32::MAX),
        }
    }

    /// The same, but without looking at the bytes before they are read; for comparison.
    pub fn without_needles(mut self) -> Self {
        self.needles = Needles::none();
        self
    }

    /// What payloads are cut down to; none where they stay whole.
    pub fn scope(&self) -> Option<[u8; 32]> {
        self.scope
    }
}

/// A row that is one of two things: which, is known from the rows before.
pub(super) struct Undecided {
    pub(super) endpoint: Endpoint,
    pub(super) as_it_stands: Vec<u8>,
    pub(super) undone: Vec<u8>,
}

/// Something for the inbox, in the order of the lines.
pub(super) enum Found {
    Payload(Payload),
    Undecided(Undecided),
    /// From here on the file has proved this about its escapes.
    Proof(Escapes),
}

/// What a segment holds.
#[derive(Default)]
pub(super) struct Parsed {
    pub(super) found: Vec<Found>,
    /// Row ids, as far as they are numbers.
    pub(super) ids: Vec<u64>,
    pub(super) counts: Counts,
    /// Blocks, for comparison with the mirror.
    pub(super) blocks: Vec<Place>,
    /// Version and chain id of some transactions.
    pub(super) networks: Vec<[u8; NETWORK_DIGITS]>,
    /// Bytes that are done with: the end of the last good line.
    pub(super) bytes: u64,
    /// The end mark of COPY was met: what follows is none of the archive.
    pub(super) is_end: bool,
    /// Why the lines after are not read. Lines are numbered within the segment.
    pub(super) fault: Option<RecordingError>,
}

/// Reads the lines of a segment.
pub(super) fn parse(segment: &Segment, taken: &Taken) -> Result<Parsed, StoreError> {
    let mut parser = Parser {
        taken,
        packer: Packer::new()?,
        parsed: Parsed::default(),
    };
    let Some(format) = segment.format else {
        parser.parsed.bytes = segment.bytes.len() as u64;
        parser.parsed.counts.lines = segment.bytes.iter().filter(|b| **b == b'\n').count() as u64;
        return Ok(parser.parsed);
    };
    let mut at = 0;
    while at < segment.bytes.len() && !parser.parsed.is_end {
        let rest = &segment.bytes[at..];
        let (line, next) = match memchr::memchr(b'\n', rest) {
            Some(end) => (&rest[..end], at + end + 1),
            None => (rest, segment.bytes.len()),
        };
        let is_open = segment.ends_open && next == segment.bytes.len();
        if let Err(fault) = parser.line(line, format, is_open)? {
            parser.parsed.fault = Some(fault);
            break;
        }
        parser.parsed.counts.lines += 1;
        parser.parsed.bytes = next as u64;
        at = next;
    }
    Ok(parser.parsed)
}

/// Packs a payload of which the reading was decided.
pub(super) fn decided(
    endpoint: Endpoint,
    body: &[u8],
    taken: &Taken,
) -> Result<Parsed, StoreError> {
    let mut parser = Parser {
        taken,
        packer: Packer::new()?,
        parsed: Parsed::default(),
    };
    parser.payload(endpoint, body)?;
    Ok(parser.parsed)
}

struct Parser<'t> {
    taken: &'t Taken,
    packer: Packer,
    parsed: Parsed,
}

/// The end of an archive in the middle of a line.
fn cut_off(line: u64) -> RecordingError {
    RecordingError::CutOff { line }
}

impl Parser<'_> {
    /// Takes a line. The outer error is ours, the inner one the line's.
    fn line(
        &mut self,
        line: &[u8],
        format: Format,
        is_open: bool,
    ) -> Result<Result<(), RecordingError>, StoreError> {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let number = self.parsed.counts.lines + 1;
        if line.iter().all(u8::is_ascii_whitespace) {
            return Ok(Ok(()));
        }
        let bad_before = self.parsed.counts.bad_rows;
        let result = match format {
            Format::Tsv if line == br"\." => {
                self.parsed.is_end = true;
                return Ok(Ok(()));
            }
            Format::Tsv => self.tsv(line, number)?,
            Format::Ndjson => self.ndjson(line, number)?,
        };
        // A last line without an end that makes no sense was not written to its end.
        if is_open && (result.is_err() || self.parsed.counts.bad_rows > bad_before) {
            if result.is_ok() {
                self.parsed.counts.bad_rows = bad_before;
                self.parsed.found.pop();
            }
            return Ok(Err(cut_off(number)));
        }
        Ok(result)
    }

    fn tsv(&mut self, line: &[u8], number: u64) -> Result<Result<(), RecordingError>, StoreError> {
        let Columns { id, path, json } = match columns(line, number) {
            Ok(columns) => columns,
            Err(error) => return Ok(Err(error)),
        };
        let endpoint = match endpoint(path, number) {
            Ok(endpoint) => endpoint,
            Err(error) => return Ok(Err(error)),
        };
        let id = std::str::from_utf8(id).ok().map(str::parse::<u64>);
        self.parsed.ids.extend(id.and_then(Result::ok));
        let Some(endpoint) = endpoint else {
            self.parsed.counts.skipped += 1;
            return Ok(Ok(()));
        };
        if memchr::memchr(b'\\', json).is_none() {
            return self.payload(endpoint, json).map(Ok);
        }
        match Reading::of(json) {
            Ok(Reading::Plain) => self.payload(endpoint, json)?,
            Ok(Reading::AsItStands) => {
                self.parsed.found.push(Found::Proof(Escapes::Absent));
                self.payload(endpoint, json)?;
            }
            Ok(Reading::Undone(undone)) => {
                self.parsed.found.push(Found::Proof(Escapes::Present));
                self.payload(endpoint, &undone)?;
            }
            Ok(Reading::Either(undone)) => self.parsed.found.push(Found::Undecided(Undecided {
                endpoint,
                as_it_stands: json.to_vec(),
                undone,
            })),
            Err(_) => self.bad(endpoint, json)?,
        }
        Ok(Ok(()))
    }

    fn ndjson(
        &mut self,
        line: &[u8],
        number: u64,
    ) -> Result<Result<(), RecordingError>, StoreError> {
        let parts = match object(line, number) {
            Ok(parts) => parts,
            Err(error) => return Ok(Err(error)),
        };
        match endpoint(parts.path.as_bytes(), number) {
            Ok(Some(endpoint)) => self.payload(endpoint, parts.body.get().as_bytes())?,
            Ok(None) => self.parsed.counts.skipped += 1,
            Err(error) => return Ok(Err(error)),
        }
        Ok(Ok(()))
    }

    /// Takes a payload, cut down where it can be.
    fn payload(&mut self, endpoint: Endpoint, body: &[u8]) -> Result<(), StoreError> {
        if endpoint != Endpoint::NewBlock {
            if serde_json::from_slice::<BurnBlock<'_>>(body).is_err() {
                return self.bad(endpoint, body);
            }
            self.parsed.counts.burn_blocks += 1;
            return self.store(endpoint, None, body);
        }
        let (outline, left) = match self.taken.scope {
            None => (outline(body), None),
            Some(_) => match cut(body, &self.taken.follow, &self.taken.needles) {
                Some(cut) => (Some(cut.outline), cut.body),
                None => (None, None),
            },
        };
        let Some(Outline {
            block,
            parent,
            networks,
        }) = outline
        else {
            return self.bad(endpoint, body);
        };
        let counts = &mut self.parsed.counts;
        let (low, high) = counts.heights.unwrap_or((block.height, block.height));
        counts.heights = Some((low.min(block.height), high.max(block.height)));
        self.parsed.networks.extend(networks);
        let (height, id) = (block.height, block.id);
        self.parsed.blocks.push(Place { height, id, parent });
        if block.height < self.taken.from || block.height > self.taken.to {
            counts.out_of_range += 1;
            return Ok(());
        }
        counts.blocks += 1;
        match left {
            Some(left) => self.store(endpoint, self.taken.scope, &left),
            None => {
                counts.whole += u64::from(self.taken.scope.is_some());
                self.store(endpoint, None, body)
            }
        }
    }

    /// Takes a payload that is not what its path promises, as it is: what is wrong with it is found where payloads are
    /// judged.
    fn bad(&mut self, endpoint: Endpoint, body: &[u8]) -> Result<(), StoreError> {
        self.parsed.counts.bad_rows += 1;
        self.store(endpoint, None, body)
    }

    fn store(
        &mut self,
        endpoint: Endpoint,
        scope: Option<[u8; 32]>,
        body: &[u8],
    ) -> Result<(), StoreError> {
        let from = Provenance {
            source: Source::Archive,
            scope,
        };
        let payload = self.packer.pack(endpoint, from, body)?;
        self.parsed.found.push(Found::Payload(payload));
        Ok(())
    }
}

/// What a Bitcoin block must say to be one.
#[derive(Deserialize)]
struct BurnBlock<'a> {
    #[serde(borrow, rename = "burn_block_hash")]
    _hash: Text<'a>,
    #[serde(rename = "burn_block_height")]
    _height: u64,
}

/// The endpoint that a row is for, if an archive is read for it.
fn endpoint(path: &[u8], number: u64) -> Result<Option<Endpoint>, RecordingError> {
    Ok(match path {
        b"/new_block" => Some(Endpoint::NewBlock),
        b"/new_burn_block" => Some(Endpoint::NewBurnBlock),
        other => {
            checked_path(other, number)?;
            None
        }
    })
}

/// The reading of a row that is one of two things.
pub(super) fn decide(row: &Undecided, evidence: Option<Escapes>) -> &[u8] {
    match evidence {
        Some(Escapes::Absent) => &row.as_it_stands,
        Some(Escapes::Present) | None => &row.undone,
    }
}
