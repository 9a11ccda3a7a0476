//! Archives that are none, or somebody else's.

use stxworx::workload::{Network, Params, Workload};
use stxworx_indexer::error_chain;
use stxworx_indexer::store::StoreError;

use super::same::lively;
use super::*;
use crate::support::chain::{Engine, in_state};
use crate::support::mirror::fingerprint;
use crate::support::run;
use crate::tools::{noise, stderr, stxworx_on};

/// Reads content that cannot be read to its end; what is said of it.
async fn refused(db: &TestDb, content: &[u8]) -> String {
    let archive = Archive::of(content);
    let to = target("devnet", &everything());
    let error = read(db, &to, &archive.path, &small_parts())
        .await
        .unwrap_err();
    error_chain(&error)
        .to_string()
        .replace(&archive.path.display().to_string(), "FILE")
}

async fn stored(db: &TestDb) -> i64 {
    db.number("select count(*) from inbox").await
}

#[test]
fn what_is_no_archive_is_refused_with_its_line() {
    run(async {
        let db = TestDb::new().await;
        let said = refused(&db, b"\n\nid,path,json\n1,2,3\n").await;
        assert!(said.contains("line 3 is neither NDJSON"), "{said}");
        let junk: Vec<u8> = (0..300_000_u32)
            .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
            .collect();
        let said = refused(&db, &junk).await;
        assert!(said.contains("line 1 is neither NDJSON"), "{said}");
        let said = refused(&db, &gzip(&noise(1, 100_000))).await;
        assert!(said.contains("line 1 is neither NDJSON"), "{said}");
        let said = refused(&db, b"<html><body>502 Bad Gateway</body></html>").await;
        assert!(said.contains("it begins with \"<html>"), "{said}");
        assert_eq!(stored(&db).await, 0);

        let (entries, _) = lively(60);
        let good = tsv(&entries);
        let lines = entries.len() + 1;
        for (bad, expected) in [
            (&b"17\tno more\n"[..], "expected 4 columns"),
            (
                b"17\tt\tnew block\t{}\n",
                "expected a path that starts with a slash",
            ),
            (b"\x00\x01\x02\xff\n", "expected 4 columns"),
        ] {
            let db = TestDb::new().await;
            let said = refused(&db, &[&good, bad, &good].concat()).await;
            assert!(
                said.contains(&format!("line {lines}: {expected}")),
                "{said}"
            );
            // What stands before is there, and counted as done.
            let at = db.number("select position_bytes from archive_job").await;
            assert_eq!(usize::try_from(at).unwrap(), good.len());
            assert!(stored(&db).await > 60);
            db.drop().await;
        }
        let empty = Archive::of(b"");
        let to = target("devnet", &everything());
        let report = read(&db, &to, &empty.path, &small_parts()).await.unwrap();
        assert!(report.is_done && report.counts.lines == 0);
        db.drop().await;
    });
}

#[test]
fn a_truncated_file_says_where_and_keeps_what_was_read() {
    run(async {
        let (entries, _) = lively(120);
        let text = tsv(&entries);
        for packed in [
            gzip(&text),
            zstd::stream::encode_all(text.as_slice(), 3).unwrap(),
        ] {
            let db = TestDb::new().await;
            let said = refused(&db, &packed[..packed.len() / 2]).await;
            assert!(
                said.starts_with("FILE breaks off or is damaged at line "),
                "{said}"
            );
            let at = db.number("select position_bytes from archive_job").await;
            assert!(said.contains(&format!("byte {at} of its text")), "{said}");
            assert!(at > 100_000 && stored(&db).await > 10, "{at}");
            // The whole file is another job; what is there already is only counted.
            let there = u64::try_from(stored(&db).await).unwrap();
            let whole = Archive::of(&packed);
            let to = target("devnet", &everything());
            let report = read(&db, &to, &whole.path, &small_parts()).await.unwrap();
            assert!(
                report.is_done && report.counts.repeated >= there,
                "{report:?}"
            );
            db.drop().await;
        }
        // Text that ends in the middle of a row.
        let db = TestDb::new().await;
        let said = refused(&db, &text[..text.len() - 30]).await;
        let line = entries.len();
        assert!(
            said.contains(&format!("the file ends in the middle of line {line}")),
            "{said}"
        );
        let last = text[..text.len() - 1]
            .iter()
            .rposition(|b| *b == b'\n')
            .unwrap()
            + 1;
        let at = db.number("select position_bytes from archive_job").await;
        assert_eq!(usize::try_from(at).unwrap(), last);
        db.drop().await;
    });
}

#[test]
fn a_bad_row_is_kept_as_it_is_and_counted() {
    run(async {
        let (entries, some) = lively(40);
        for follow in [everything(), some] {
            let mut text = tsv(&entries);
            let bad = [
                ("/new_block", "{\"block_height\": 7}"),
                ("/new_block", "{\"index_block_hash\": \"0x12\", oops"),
                ("/new_block", "{\"a\\\\\": \"\\q\"}"),
                ("/new_burn_block", "[]"),
            ];
            for (path, body) in bad {
                text.extend_from_slice(format!("9999\tt\t{path}\t{body}\n").as_bytes());
            }
            text.extend_from_slice(b"\\.\nand what psql says after the data\n");
            let archive = Archive::of(&text);
            let db = TestDb::new().await;
            let to = target("devnet", &follow);
            let report = read(&db, &to, &archive.path, &small_parts()).await.unwrap();
            assert_eq!(report.counts.bad_rows, 4);
            assert!(report.is_done);
            let engine = Engine::start_with(&db, follow);
            engine.quiet(&db).await;
            engine.stop().await;
            assert_eq!(in_state(&db, 4).await, 4);
            for (_, body) in bad {
                let hash = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(body));
                let found = format!(
                    "select count(*) from inbox where encode(sha256, 'hex') = '{hash}' and state = 4"
                );
                assert_eq!(db.number(&found).await, 1, "{body}");
            }
            db.drop().await;
        }
    });
}

#[test]
fn an_archive_of_another_network_or_chain_is_refused_and_nothing_of_it_stored() {
    run(async {
        let db = TestDb::new().await;
        let (entries, _) = lively(40);
        let own = Archive::of(&tsv(&entries));
        let mainnet = target("mainnet", &everything());
        let error = read(&db, &mainnet, &own.path, &small_parts())
            .await
            .unwrap_err();
        assert!(
            matches!(&error, ArchiveError::OtherNetwork { found, .. } if found == "8080000000"),
            "{error}"
        );
        let foreign = |network, seed| {
            let workload = Workload::new(Params {
                network,
                seed,
                blocks: 40,
                ..Params::demo()
            });
            Archive::of(&tsv(&workload.collect::<Vec<_>>()))
        };
        let devnet = target("devnet", &everything());
        let of_mainnet = foreign(Network::Mainnet, 1);
        let error = read(&db, &devnet, &of_mainnet.path, &small_parts())
            .await
            .unwrap_err();
        assert!(
            matches!(&error, ArchiveError::OtherNetwork { .. }),
            "{error}"
        );
        assert_eq!(stored(&db).await, 0);

        // The same network, and another chain.
        let engine = Engine::start_with(&db, everything());
        read(&db, &devnet, &own.path, &small_parts()).await.unwrap();
        engine.quiet(&db).await;
        let before = (stored(&db).await, fingerprint(&db).await);
        let other = foreign(Network::Testnet, 77);
        let error = read(&db, &devnet, &other.path, &small_parts())
            .await
            .unwrap_err();
        assert!(
            matches!(&error, ArchiveError::OtherChain { height: 1, .. }),
            "{error}"
        );
        engine.quiet(&db).await;
        assert_eq!((stored(&db).await, fingerprint(&db).await), before);
        engine.stop().await;
        db.drop().await;
    });
}

#[test]
fn another_mirror_and_wrong_usage_are_refused() {
    run(async {
        let db = TestDb::new().await;
        let (entries, some) = lively(10);
        let archive = Archive::of(&tsv(&entries));
        let engine = Engine::start_with(&db, everything());
        engine.quiet(&db).await;
        engine.stop().await;
        let error = read(&db, &target("devnet", &some), &archive.path, &small_parts())
            .await
            .unwrap_err();
        assert!(
            matches!(
                &error,
                ArchiveError::Store(StoreError::OtherMirror {
                    what: "follow set",
                    ..
                })
            ),
            "{error}"
        );
        let source = archive.source();
        for (arguments, code, expected) in [
            (
                &["--source", "ftp:x"][..],
                2,
                "\"ftp:x\" is no source; write node, api, or archive:FILE",
            ),
            (
                &["--source", "archive:/nonexistent"],
                1,
                "cannot open the recording /nonexistent",
            ),
            (
                &["--source", &source, "--from", "9", "--to", "8"],
                2,
                "--from 9 lies after --to 8",
            ),
            (
                &["--source", &source, "--to", "soon"],
                2,
                "\"soon\" is no height",
            ),
            (
                &["--source", "archive:http://127.0.0.1:1/x?key=secret"],
                1,
                "no answer to http://127.0.0.1:1/x",
            ),
        ] {
            let arguments = [&["backfill"][..], arguments].concat();
            let output = stxworx_on(&db, &arguments).await;
            assert_eq!(output.status.code(), Some(code), "{arguments:?}");
            assert!(stderr(&output).contains(expected), "{}", stderr(&output));
            assert!(!stderr(&output).contains("secret"), "{}", stderr(&output));
        }
        assert_eq!(stored(&db).await, 0);
        db.drop().await;
    });
}
