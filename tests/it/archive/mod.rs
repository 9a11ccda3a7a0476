//! Archives of events: what they come to in the mirror is what the observer comes to.

mod cut;
mod faults;
mod runs;
mod same;

use std::io::Write as _;
use std::path::{Path, PathBuf};

use flate2::write::GzEncoder;
use stxworx::recording::Entry;
use stxworx_indexer::model::{FollowSet, Mirror};
use stxworx_indexer::source::archive::{ArchiveError, Input, Options, Report, Target, backfill};
use tokio_util::sync::CancellationToken;

use crate::support::db::TestDb;

/// Entries as the table of a Stacks API is exported: COPY text, ids from 1.
fn tsv<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Vec<u8> {
    let mut text = Vec::new();
    for (id, entry) in (1..).zip(entries) {
        text.extend_from_slice(&row(id, entry));
    }
    text
}

fn row(id: u64, entry: &Entry) -> Vec<u8> {
    let mut row = format!("{id}\t2026-01-01 00:00:00.000001+00\t{}\t", entry.path).into_bytes();
    for byte in entry.body.iter() {
        match byte {
            b'\\' => row.extend_from_slice(br"\\"),
            b'\n' => row.extend_from_slice(br"\n"),
            b'\t' => row.extend_from_slice(br"\t"),
            other => row.push(*other),
        }
    }
    row.push(b'\n');
    row
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// A file that goes with its folder.
struct Archive {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

impl Archive {
    fn of(content: &[u8]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("archive");
        std::fs::write(&path, content).unwrap();
        Self {
            _folder: folder,
            path,
        }
    }

    fn source(&self) -> String {
        format!("archive:{}", self.path.display())
    }
}

fn target(network: &str, follow: &FollowSet) -> Target {
    Target {
        network: network.to_owned(),
        follow: follow.clone(),
    }
}

fn everything() -> FollowSet {
    FollowSet {
        mirror: Mirror::All,
        contracts: ["*".to_owned()].into(),
        principals: [].into(),
    }
}

/// Small parts, so that short archives have many.
fn small_parts() -> Options {
    Options {
        segment_bytes: 50_000,
        commit_bytes: 200_000,
        workers: 3,
        ..Options::default()
    }
}

async fn read(
    db: &TestDb,
    target: &Target,
    path: &Path,
    options: &Options,
) -> Result<Report, ArchiveError> {
    let input = Input::parse(&path.display().to_string());
    read_input(db, target, &input, options).await
}

async fn read_input(
    db: &TestDb,
    target: &Target,
    input: &Input,
    options: &Options,
) -> Result<Report, ArchiveError> {
    let cancel = CancellationToken::new();
    backfill(&db.pool, target, input, options, &mut |_| {}, &cancel).await
}
