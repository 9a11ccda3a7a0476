//! The real binary: killed, asked to stop, and beside a daemon that follows.

use std::process::Stdio;
use std::time::Duration;

use stxworx::post::Order;
use stxworx::workload::{Network, Params, Workload};
use tokio::io::AsyncWriteExt as _;

use super::same::lively;
use super::*;
use crate::large::peak_mb;
use crate::support::app::{App, config};
use crate::support::chain::in_state;
use crate::support::mirror::{assert_verifies, fingerprint, settled};
use crate::support::{eventually, run};
use crate::tools::{Daemon, output, stderr, stdout, stxworx};

/// Blocks of the archive that is killed: some 11 MB; 12,500 make a gigabyte. Others by STXWORX_ARCHIVE_BLOCKS.
fn blocks() -> u64 {
    std::env::var("STXWORX_ARCHIVE_BLOCKS")
        .ok()
        .map_or(140, |n| n.parse().unwrap())
}

/// Memory of a process that reads an archive of any size, in MB. A debug build.
const MEMORY_MB: u64 = 150;

/// Some megabytes with forks.
fn large(blocks: u64) -> Vec<Entry> {
    let params = Params {
        network: Network::Testnet,
        blocks,
        txs: 30,
        events: 60,
        share: 0.2,
        reorg_every: 20,
        mempool_percent: 10,
        ..Params::default()
    };
    Workload::new(params).collect()
}

async fn position(db: &TestDb) -> i64 {
    db.number("select coalesce(max(position_bytes), 0) from archive_job")
        .await
}

async fn position_above(db: &TestDb, bytes: i64) -> i64 {
    eventually("more of the archive", || async {
        let at = position(db).await;
        (at > bytes).then_some(at).ok_or_else(|| at.to_string())
    })
    .await
}

#[test]
fn killed_three_times_then_followed_live() {
    run(async {
        let entries = large(blocks());
        let (history, live) = entries.split_at(entries.len() * 4 / 5);
        let text = tsv(history);
        let archive = Archive::of(&gzip(&text));
        let length = i64::try_from(text.len()).unwrap();
        let contracts = Network::Testnet.followed_contracts().map(|c| c.to_string());
        let contracts = format!("{contracts:?}");
        let settings = [
            ("follow.mirror", "\"followed\""),
            ("follow.contracts", contracts.as_str()),
        ];
        let undisturbed = TestDb::new().await;
        let app = App::start(&undisturbed, &config(&settings)).await;
        app.post(entries.clone(), Order::default()).await;
        settled(&undisturbed).await;
        app.stop().await.unwrap();

        let db = TestDb::new().await;
        let app = App::start(&db, &config(&settings)).await;
        let commit_bytes = (length / 110).to_string();
        let command = || {
            let source = archive.source();
            let arguments = [
                "backfill",
                "--source",
                &source,
                "--commit-bytes",
                &commit_bytes,
            ];
            let mut command = stxworx(&arguments);
            command
                .env("DATABASE_URL", &db.url)
                .env("STXWORX_FOLLOW_MIRROR", "followed")
                .env(
                    "STXWORX_FOLLOW_CONTRACTS",
                    contracts.trim_matches(['[', ']']).replace(['"', ' '], ""),
                );
            command
        };
        let (mut kills, mut memory) = (Vec::new(), Vec::new());
        for share in 1..=3 {
            let mut process = Daemon::spawn(command());
            let at = position_above(&db, length * share / 5).await;
            assert!(
                !process.has_ended(),
                "it ended before it was killed, at {at}"
            );
            memory.push(peak_mb(process.pid()));
            drop(process);
            kills.push(position(&db).await);
        }
        println!("killed at bytes {kills:?} of {length}, having used {memory:?} MB");
        assert!(memory.iter().all(|mb| *mb < MEMORY_MB), "{memory:?} MB");
        assert!(kills.is_sorted() && kills[2] < length);
        let last = output(command()).await;
        assert_eq!(last.status.code(), Some(0), "{}", stderr(&last));
        let rows = history
            .iter()
            .filter(|e| ["/new_block", "/new_burn_block"].contains(&e.path.as_str()))
            .count();
        let sum = db.number("select stored + repeated from archive_job").await;
        assert_eq!(usize::try_from(sum).unwrap(), rows, "each row counted once");
        assert_eq!(position(&db).await, length);
        assert_eq!(db.number("select count(*) from archive_job").await, 1);

        app.post(live.to_vec(), Order::default()).await;
        settled(&db).await;
        app.stop().await.unwrap();
        assert!(
            fingerprint(&db).await == fingerprint(&undisturbed).await,
            "other digests"
        );
        assert_eq!(in_state(&db, 3).await, 0);
        assert_verifies(&db).await;
        db.drop().await;
        undisturbed.drop().await;
    });
}

#[test]
fn asked_to_stop_it_keeps_what_it_read_and_goes_on_later() {
    run(async {
        let (entries, _) = lively(200);
        let text = tsv(&entries);
        assert!(text.len() > 1_100_000, "{}", text.len());
        let db = TestDb::new().await;
        let command = || {
            let mut command = stxworx(&[
                "backfill",
                "--source",
                "archive:-",
                "--commit-bytes",
                "1000",
            ]);
            command.env("DATABASE_URL", &db.url);
            command
        };
        let mut child = tokio::process::Command::from(command())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        // All but the end, and the pipe stays open: it cannot be done before it is asked.
        let mut pipe = child.stdin.take().unwrap();
        pipe.write_all(&text[..text.len() - 1000]).await.unwrap();
        pipe.flush().await.unwrap();
        let at = position_above(&db, 500_000).await;
        let pid = i32::try_from(child.id().unwrap()).unwrap();
        nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(pid),
            nix::sys::signal::Signal::SIGINT,
        )
        .unwrap();
        let ended = tokio::time::timeout(Duration::from_secs(60), child.wait_with_output());
        let ended = ended.await.expect("an end").unwrap();
        assert_eq!(ended.status.code(), Some(0));
        assert!(
            stdout(&ended)
                .starts_with("stopped before the end of the archive; the same command goes on"),
            "{}",
            stdout(&ended)
        );
        drop(pipe);
        let stopped = position(&db).await;
        assert!(stopped >= at);

        let mut child = tokio::process::Command::from(command())
            .arg("--output")
            .arg("json")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut pipe = child.stdin.take().unwrap();
        pipe.write_all(&text).await.unwrap();
        drop(pipe);
        let ended = child.wait_with_output().await.unwrap();
        let report: serde_json::Value = serde_json::from_slice(&ended.stdout).unwrap();
        assert_eq!(report["began_at_bytes"], stopped);
        assert_eq!(report["is_done"], true);
        assert_eq!(report["counts"]["lines"], entries.len());
        assert_eq!(report["received"], report["counts"]["stored"]);
        db.drop().await;
    });
}
