//! Recordings of real nodes, read where they are present.

use super::*;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The folder of recordings of real nodes, if this machine has it.
pub(crate) fn fixtures() -> Option<PathBuf> {
    let folder = match std::env::var_os("STXWORX_FIXTURES") {
        Some(folder) => PathBuf::from(folder),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/fixtures"),
    };
    if folder.is_dir() {
        return Some(folder);
    }
    println!(
        "skipped: no recordings in {} (set STXWORX_FIXTURES)",
        folder.display()
    );
    None
}

fn check(file: &str, format: Format, expected: &[(&str, u64)]) {
    let Some(folder) = fixtures() else { return };
    let mut recording = Recording::open(&folder.join(file)).unwrap();
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for entry in recording.by_ref() {
        let entry = entry.unwrap();
        serde_json::from_slice::<serde::de::IgnoredAny>(&entry.body).unwrap();
        *counts.entry(entry.path).or_default() += 1;
    }
    let expected: BTreeMap<String, u64> = expected
        .iter()
        .map(|(path, count)| ((*path).to_owned(), *count))
        .collect();
    assert_eq!(counts, expected, "{file}");
    assert_eq!(recording.format(), Some(format));
}

#[test]
fn nakamoto() {
    let expected = [
        ("/new_block", 407),
        ("/new_burn_block", 192),
        ("/new_mempool_tx", 737),
        ("/drop_mempool_tx", 1),
        ("/stackerdb_chunks", 1_599),
        ("/proposal_response", 367),
    ];
    check("nakamoto.ndjson.gz", Format::Ndjson, &expected);
}

#[test]
fn mocknet() {
    check(
        "mocknet.ndjson.gz",
        Format::Ndjson,
        &[("/new_block", 383), ("/new_mempool_tx", 794)],
    );
}

#[test]
fn archives() {
    check(
        "archive-epoch-3-transition.tsv.gz",
        Format::Tsv,
        &[
            ("/new_block", 52),
            ("/new_burn_block", 136),
            ("/new_mempool_tx", 50),
        ],
    );
    check(
        "archive-mainnet-reorg.tsv.gz",
        Format::Tsv,
        &[
            ("/new_block", 50),
            ("/new_burn_block", 96),
            ("/new_microblocks", 3),
        ],
    );
    check(
        "archive-mocknet.tsv.gz",
        Format::Tsv,
        &[("/new_block", 28), ("/new_microblocks", 1)],
    );
}
