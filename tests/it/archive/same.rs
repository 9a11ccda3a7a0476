//! The same mirror, whether payloads come from an archive or from a node.

use std::collections::BTreeSet;
use std::path::Path;

use sha2::{Digest as _, Sha256};
use stxworx::config::Config;
use stxworx::post::Order;
use stxworx::recording::{Entry, Recording};
use stxworx::workload::{Network, Params, Workload};
use stxworx_indexer::model::FollowSet;
use stxworx_indexer::source::archive::Input;
use stxworx_indexer::store::inbox::{self, Endpoint, Provenance, Source};
use stxworx_indexer::store::{archive, bulk};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;
use crate::support::app::{App, config};
use crate::support::chain::{Engine, in_state};
use crate::support::mirror::{assert_verifies, fingerprint, settled};
use crate::support::{fixtures, run};

fn config_for(network: &str, follow: &FollowSet) -> Config {
    let mirror = match follow.mirror {
        Mirror::All => "\"all\"",
        Mirror::Followed => "\"followed\"",
    };
    let contracts = format!("{:?}", follow.contracts.iter().collect::<Vec<_>>());
    let principals = format!("{:?}", follow.principals.iter().collect::<Vec<_>>());
    config(&[
        ("network", &format!("\"{network}\"")),
        ("follow.mirror", mirror),
        ("follow.contracts", &contracts),
        ("follow.principals", &principals),
    ])
}

/// Digests of a mirror that a node fed.
async fn observed(config: &Config, entries: Vec<Entry>) -> (String, String) {
    let db = TestDb::new().await;
    let app = App::start(&db, config).await;
    app.post(entries, Order::default()).await;
    settled(&db).await;
    app.stop().await.unwrap();
    let seen = fingerprint(&db).await;
    db.drop().await;
    seen
}

/// Reads an archive, lets the pipeline work, and checks the mirror.
async fn mirrored(file: &Path, network: &str, follow: &FollowSet) -> (TestDb, Report) {
    let db = TestDb::new().await;
    let to = target(network, follow);
    let report = read(&db, &to, file, &small_parts()).await.unwrap();
    let app = App::start(&db, &config_for(network, follow)).await;
    settled(&db).await;
    app.stop().await.unwrap();
    (db, report)
}

const DEPLOYER: &str = "ST3YQGBH9XW55MCH5G02ZXJJJ730ZV4BNC7CJ9F4M";

fn case(file: &str, network: &str, contracts: &[String]) {
    let Some(folder) = fixtures() else { return };
    let path = folder.join(file);
    let entries: Vec<Entry> = Recording::open(&path)
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let decoded = |e: &&Entry| ["/new_block", "/new_burn_block"].contains(&e.path.as_str());
    let hashes: BTreeSet<String> = entries
        .iter()
        .filter(decoded)
        .map(|e| hex::encode(Sha256::digest(&e.body)))
        .collect();
    let skipped = entries.iter().filter(|e| !decoded(e)).count() as u64;
    let rows = entries.iter().filter(decoded).count() as u64;
    run(async move {
        let some = FollowSet {
            mirror: Mirror::Followed,
            contracts: contracts.iter().cloned().collect(),
            principals: [DEPLOYER.to_owned()].into(),
        };
        for follow in [everything(), some] {
            let expected = observed(&config_for(network, &follow), entries.clone()).await;
            let (db, report) = mirrored(&path, network, &follow).await;
            assert!(report.is_done);
            let counts = report.counts;
            assert_eq!(
                (counts.skipped, counts.bad_rows, counts.whole),
                (skipped, 0, 0)
            );
            assert_eq!(counts.blocks + counts.burn_blocks, rows);
            assert_eq!(counts.stored + counts.repeated, rows);
            assert!(fingerprint(&db).await == expected, "{file}: other digests");
            assert_eq!((in_state(&db, 3).await, in_state(&db, 4).await), (0, 0));
            assert_verifies(&db).await;
            let sources = db.text("select string_agg(distinct source::text, ',') from inbox");
            assert_eq!(sources.await.as_deref(), Some("4"));
            let bytes = db.number("select sum(body_bytes) from inbox").await;
            println!(
                "{file} {:?}: {rows} payloads, {bytes} bytes in the inbox",
                follow.mirror
            );
            if follow.mirror == Mirror::All {
                let lines = db.text("select string_agg(encode(sha256, 'hex'), ',') from inbox");
                let stored = lines.await.unwrap();
                let stored: BTreeSet<String> = stored.split(',').map(str::to_owned).collect();
                assert!(
                    stored == hashes,
                    "{file}: other bytes than `stxworx post` would send"
                );
            }
            db.drop().await;
        }
    });
}

#[test]
fn an_archive_of_the_third_epochs_beginning() {
    case("archive-epoch-3-transition.tsv.gz", "devnet", &[]);
}

#[test]
fn an_archive_of_mainnet_with_a_reorg() {
    case(
        "archive-mainnet-reorg.tsv.gz",
        "mainnet",
        &["SP000000000000000000002Q6VF78.pox".to_owned()],
    );
}

#[test]
fn an_archive_of_an_old_mocknet() {
    case("archive-mocknet.tsv.gz", "devnet", &[]);
}

#[test]
fn a_recording_of_a_nakamoto_chain() {
    let contracts = ["escrow-multi-token", "freelance-data", "achievement-nfts"];
    let contracts = contracts.map(|name| format!("{DEPLOYER}.{name}"));
    case("nakamoto.ndjson.gz", "devnet", &contracts);
}

/// A chain with forks, a Bitcoin reorg, repeated payloads and announced transactions.
pub(super) fn lively(blocks: u64) -> (Vec<Entry>, FollowSet) {
    let params = Params {
        blocks,
        ..Params::demo()
    };
    let workload = Workload::new(params);
    let contracts = Network::Testnet.followed_contracts();
    let follow = FollowSet {
        mirror: Mirror::Followed,
        contracts: contracts[..2].iter().map(ToString::to_string).collect(),
        principals: [Network::Testnet.account("user-1").to_string()].into(),
    };
    (workload.collect(), follow)
}

#[test]
fn all_forks_and_everything_twice() {
    run(async {
        let (entries, some) = lively(240);
        // Each row twice, the second time under a number that was there, and all of it once more.
        let mut text = Vec::new();
        for _ in 0..2 {
            for (id, entry) in (1..).zip(&entries) {
                text.extend(row(id, entry));
                text.extend(row(id, entry));
            }
        }
        let archive = Archive::of(&gzip(&text));
        for follow in [everything(), some] {
            let expected = observed(&config_for("devnet", &follow), entries.clone()).await;
            let (db, report) = mirrored(&archive.path, "devnet", &follow).await;
            let counts = report.counts;
            assert_eq!(counts.repeated_ids, entries.len() as u64 * 3);
            assert_eq!(
                counts.stored + counts.repeated,
                counts.blocks + counts.burn_blocks
            );
            assert!(counts.repeated >= counts.stored * 3);
            let deliveries = db.number("select sum(deliveries) from inbox").await;
            assert_eq!(
                u64::try_from(deliveries).unwrap(),
                counts.stored + counts.repeated
            );
            assert!(fingerprint(&db).await == expected, "other digests");
            assert_verifies(&db).await;
            let to = target("devnet", &follow);
            let again = read(&db, &to, &archive.path, &small_parts()).await.unwrap();
            assert!(again.was_done && again.is_done);
            assert_eq!(again.counts, counts);
            db.drop().await;
        }
    });
}

#[test]
fn a_range_of_heights_and_what_follows_it() {
    run(async {
        let (entries, _) = lively(120);
        let archive = Archive::of(&tsv(&entries));
        let db = TestDb::new().await;
        let engine = Engine::start_with(&db, everything());
        let to = target("devnet", &everything());
        for (from, until) in [(Some(61), None), (None, Some(60))] {
            let options = Options {
                from,
                to: until,
                ..small_parts()
            };
            let report = read(&db, &to, &archive.path, &options).await.unwrap();
            assert!(report.counts.out_of_range > 50, "{:?}", report.counts);
            assert_eq!(report.counts.heights, Some((0, 120)));
            engine.quiet(&db).await;
        }
        let expected = observed(&config_for("devnet", &everything()), entries).await;
        assert!(fingerprint(&db).await == expected, "other digests");
        engine.stop().await;
        db.drop().await;
    });
}

#[test]
fn a_missing_block_shows_as_a_hole() {
    run(async {
        let (entries, _) = lively(30);
        let mut kept = entries.clone();
        let lost = kept.iter().position(|e| {
            e.is_block() && String::from_utf8_lossy(&e.body).contains("\"block_height\":20,")
        });
        let lost = kept.remove(lost.unwrap());
        let archive = Archive::of(&tsv(&kept));
        let (db, _) = mirrored(&archive.path, "devnet", &everything()).await;
        let to = target("devnet", &everything());
        let report = read(&db, &to, &archive.path, &small_parts()).await.unwrap();
        assert_eq!(report.detached, 10);
        let parent: serde_json::Value = serde_json::from_slice(&lost.body).unwrap();
        assert_eq!(report.holes.len(), 1);
        assert_eq!(
            report.holes[0].parent.to_string(),
            parent["index_block_hash"].as_str().unwrap()
        );
        // The lost row alone is an archive, too.
        let rest = Archive::of(&tsv([&lost]));
        let engine = Engine::start_with(&db, everything());
        read(&db, &to, &rest.path, &small_parts()).await.unwrap();
        engine.quiet(&db).await;
        engine.stop().await;
        assert_eq!(in_state(&db, 3).await, 0);
        db.drop().await;
    });
}

/// A server that sends one file, whatever is asked.
async fn serve(content: Vec<u8>) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut question = [0; 1024];
            let _ = stream.read(&mut question).await;
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
                content.len()
            );
            let _ = stream.write_all(head.as_bytes()).await;
            let _ = stream.write_all(&content).await;
        }
    });
    format!("http://user:secret@{address}/archive?key=secret")
}

#[test]
fn plain_gzip_zstd_ndjson_and_a_server_hold_the_same() {
    run(async {
        let (entries, _) = lively(60);
        let text = tsv(&entries);
        let mut ndjson = stxworx::recording::RecordingWriter::new(Vec::new());
        entries
            .iter()
            .for_each(|e| ndjson.write(e, 0, 200).unwrap());
        let forms = [
            text.clone(),
            gzip(&text),
            zstd::stream::encode_all(text.as_slice(), 3).unwrap(),
            ndjson.into_inner(),
        ];
        let to = target("devnet", &everything());
        let mut seen = BTreeSet::new();
        for form in &forms {
            let archive = Archive::of(form);
            let url = serve(form.clone()).await;
            for input in [Input::File(archive.path.clone()), Input::parse(&url)] {
                let db = TestDb::new().await;
                let report = read_input(&db, &to, &input, &small_parts()).await.unwrap();
                assert!(report.is_done);
                let stored =
                    db.text("select string_agg(encode(sha256, 'hex'), ',' order by id) from inbox");
                seen.insert(stored.await.unwrap());
                let name = db.text("select name from archive_job").await.unwrap();
                assert!(!name.contains("secret"), "{name}");
                db.drop().await;
            }
        }
        assert_eq!(seen.len(), 1, "another order, or other bytes");
    });
}

#[test]
fn what_is_copied_in_bulk_reads_back_as_it_was() {
    run(async {
        let db = TestDb::new().await;
        let bodies: [&[u8]; 4] = [b"", b"\0\n\t\\\xff", &[7; 300_000], b"{\"a\": \"\\u0000\"}"];
        let mut packer = bulk::Packer::new().unwrap();
        let mut payloads = Vec::new();
        for (number, body) in bodies.iter().enumerate() {
            let endpoint = Endpoint::ALL[number];
            let scope = (number % 2 == 1).then_some([u8::try_from(number).unwrap(); 32]);
            let from = Provenance {
                source: Source::ALL[number],
                scope,
            };
            payloads.push(packer.pack(endpoint, from, body).unwrap());
        }
        payloads[2].deliveries = 5;
        let key = archive::JobKey {
            size_bytes: None,
            head_sha256: [1; 32],
            scope: None,
            from: None,
            to: None,
        };
        let job = archive::open(&db.pool, "bulk", &key).await.unwrap();
        let to = archive::Progress {
            position_bytes: 10,
            ..job.progress
        };
        let stored = archive::advance(&db.pool, job.id, 0, to, false, &payloads).await;
        assert_eq!(stored.unwrap().counts.stored, 4);
        let ids = db
            .text("select string_agg(id::text, ',' order by id) from inbox")
            .await;
        let ids: Vec<i64> = ids
            .unwrap()
            .split(',')
            .map(|id| id.parse().unwrap())
            .collect();
        for ((id, body), payload) in ids.iter().zip(bodies).zip(&payloads) {
            let row = inbox::fetch_one(&db.pool, *id)
                .await
                .unwrap()
                .unpack()
                .unwrap();
            assert_eq!(
                (row.body.as_slice(), row.endpoint),
                (body, payload.endpoint)
            );
            let sha256 = inbox::sha256_of(&db.pool, *id).await.unwrap();
            assert_eq!(sha256, Sha256::digest(body).to_vec());
            let columns = db.text(format!(
                "select concat_ws(' ', source, deliveries, body_bytes, coalesce(encode(scope, 'hex'), 'none'), state)
                 from inbox where id = {id}"
            ));
            let scope = payload.from.scope.map_or("none".to_owned(), hex::encode);
            let expected = format!(
                "{} {} {} {scope} 0",
                payload.from.source as i16,
                payload.deliveries,
                body.len()
            );
            assert_eq!(columns.await, Some(expected));
        }
        // The same bytes through the one-by-one way are the same row.
        let from = Provenance::whole(Source::Observer);
        let again = inbox::put(&db.pool, Endpoint::NewBlock, from, bodies[2]).await;
        assert_eq!(again.unwrap(), inbox::Stored::Again(ids[2]));
        // And again in bulk: counted, not stored; from a position that is not there: nothing at all.
        let to = archive::Progress {
            position_bytes: 20,
            ..to
        };
        let again = archive::advance(&db.pool, job.id, 10, to, true, &payloads)
            .await
            .unwrap();
        assert_eq!((again.counts.stored, again.counts.repeated), (0, 4));
        let lost = archive::advance(&db.pool, job.id, 10, to, true, &payloads).await;
        assert!(matches!(
            lost,
            Err(stxworx_indexer::store::StoreError::OtherBackfill)
        ));
        assert_eq!(
            db.number("select sum(deliveries) from inbox").await,
            8 + 1 + 8
        );
        assert_eq!(db.number("select count(*) from archive_staging").await, 0);
        db.drop().await;
    });
}

/// Rows of which some prove how the file is escaped, and some can be read both ways.
fn escaped_rows(seed: u64) -> Vec<u8> {
    let mut rng = stxworx::workload::SeededRng::new(seed);
    let mut text = Vec::new();
    for number in 0..60 {
        let json = match rng.index(4) {
            0 => format!(r#"{{"n":{number}}}"#),
            1 => format!(r#"{{"n":{number},"a":"say \"hi\""}}"#),
            // Doubled or not, this is JSON.
            2 => format!(r#"{{"n":{number},"a":"x\\ny"}}"#),
            _ => format!(r#"{{"n":{number},"a":"\u0041"}}"#),
        };
        let is_escaped = rng.index(3) > 0;
        let json = match is_escaped {
            true => json.replace('\\', r"\\"),
            false => json,
        };
        text.extend_from_slice(format!("{number}\tt\t/new_block\t{json}\n").as_bytes());
    }
    text
}

#[test]
fn rows_of_either_reading_are_read_as_post_reads_them_however_often_interrupted() {
    run(async {
        for seed in 0..6 {
            let text = escaped_rows(seed);
            let archive = Archive::of(&text);
            let entries = Recording::open(&archive.path).unwrap();
            let bodies: Vec<_> = entries.map(|e| e.unwrap().body).collect();
            let db = TestDb::new().await;
            let to = target("devnet", &everything());
            let options = Options {
                segment_bytes: 1,
                commit_bytes: 1,
                workers: 3,
                ..Options::default()
            };
            let input = Input::File(archive.path.clone());
            let mut runs = 0;
            loop {
                runs += 1;
                let cancel = CancellationToken::new();
                let (mut told, stop) = (0, cancel.clone());
                let mut tell = move |_: &stxworx_indexer::source::archive::Watch| {
                    told += 1;
                    if told == 15 {
                        stop.cancel();
                    }
                };
                let report = backfill(&db.pool, &to, &input, &options, &mut tell, &cancel);
                if report.await.unwrap().is_done {
                    break;
                }
            }
            assert!(runs > 3, "{runs}");
            let ids = db
                .text("select string_agg(id::text, ',' order by id) from inbox")
                .await;
            let mut stored = Vec::new();
            for id in ids.unwrap().split(',') {
                let row = inbox::fetch_one(&db.pool, id.parse().unwrap())
                    .await
                    .unwrap();
                stored.push(row.unpack().unwrap().body);
            }
            let same = stored.iter().zip(&bodies).all(|(a, b)| a == b);
            assert!(same && stored.len() == bodies.len(), "seed {seed}");
            db.drop().await;
        }
    });
}
