//! The real binary, killed and asked to end while a node delivers.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};
use stxworx::post::{ObserverUrl, PostOptions, PostSummary, post};
use stxworx::recording::{Entry, Recording, RecordingError};
use stxworx::workload::{ChainBuilder, ChainOptions, SeededRng};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::app::{App, config};
use crate::support::chain::{busy_branch, entries, in_state};
use crate::support::db::TestDb;
use crate::support::mirror::{assert_verifies, fingerprint};
use crate::support::{eventually, fixtures, run};

/// Ports that were free a moment ago. The daemon keeps them over its restarts, as a node expects.
struct Ports([u16; 3]);

impl Ports {
    fn pick() -> Self {
        let sockets = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        Self(sockets.map(|socket| socket.local_addr().unwrap().port()))
    }

    fn observer(&self) -> ObserverUrl {
        ObserverUrl::parse(&format!("http://127.0.0.1:{}", self.0[0])).unwrap()
    }
}

/// A process that does not outlive its test.
struct Process(Child);

impl Process {
    fn start(db: &TestDb, ports: &Ports) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stxworx"));
        command
            .arg("run")
            .env_clear()
            .env("DATABASE_URL", &db.url)
            .env("STXWORX_LOG_LEVEL", "error");
        let names = [
            "STXWORX_OBSERVER_LISTEN",
            "STXWORX_API_LISTEN",
            "STXWORX_METRICS_LISTEN",
        ];
        for (name, port) in names.iter().zip(ports.0) {
            command.env(name, format!("127.0.0.1:{port}"));
        }
        Self(
            command
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .spawn()
                .unwrap(),
        )
    }

    fn kill(mut self) {
        assert_eq!(self.0.try_wait().unwrap(), None, "it ended by itself");
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    fn ask_to_end(&self) {
        let id = nix::unistd::Pid::from_raw(i32::try_from(self.0.id()).unwrap());
        nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGTERM).unwrap();
    }

    async fn ended(&mut self) -> ExitStatus {
        let mut status = None;
        while status.is_none() {
            status = self.0.try_wait().unwrap();
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        status.unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a node delivers: a recording, or a chain made here where there is none.
fn payloads() -> Vec<Entry> {
    if let Some(folder) = fixtures() {
        let recording = Recording::open(&folder.join("nakamoto.ndjson.gz")).unwrap();
        return recording.map(Result::unwrap).collect();
    }
    let chain = ChainBuilder::new(ChainOptions::default());
    let mut blocks = vec![chain.root()];
    blocks.extend(busy_branch(
        &chain,
        &chain.root(),
        &chain.first_tenure(),
        1_500,
    ));
    entries(&blocks)
}

/// Delivers as a node does: again and again until each payload is taken.
fn deliver(
    payloads: &[Entry],
    ports: &Ports,
    cancel: &CancellationToken,
) -> JoinHandle<PostSummary> {
    let payloads = payloads.to_vec();
    let source = payloads.into_iter().map(Ok::<_, RecordingError>);
    // A short timeout makes the waiting times between attempts short.
    let options = PostOptions {
        timeout: Duration::from_secs(1),
        ..PostOptions::new(ports.observer())
    };
    let cancel = cancel.clone();
    tokio::spawn(async move { post(source, &options, &cancel, &mut |_| {}).await.unwrap() })
}

async fn in_inbox(db: &TestDb) -> usize {
    usize::try_from(db.number("select count(*) from inbox").await).unwrap()
}

async fn at_least(db: &TestDb, count: usize) {
    eventually("deliveries", || async {
        let there = in_inbox(db).await;
        if there >= count {
            Ok(())
        } else {
            Err(format!("{there} of {count}"))
        }
    })
    .await;
}

/// Each payload once, as its hash.
fn hashes(payloads: &[Entry]) -> BTreeSet<String> {
    payloads
        .iter()
        .map(|entry| hex::encode(Sha256::digest(&entry.body)))
        .collect()
}

async fn stored_hashes(db: &TestDb) -> BTreeSet<String> {
    let lines = db
        .text("select string_agg(encode(sha256, 'hex'), E'\\n') from inbox")
        .await;
    lines
        .unwrap_or_default()
        .lines()
        .map(str::to_owned)
        .collect()
}

async fn undisturbed(payloads: &[Entry]) -> (String, String) {
    let db = TestDb::new().await;
    let app = App::start(&db, &config(&[])).await;
    let payloads = payloads.to_vec();
    let source = payloads.into_iter().map(Ok::<_, RecordingError>);
    app.post_from(source, Default::default()).await;
    crate::support::mirror::settled(&db).await;
    app.stop().await.unwrap();
    let seen = fingerprint(&db).await;
    db.drop().await;
    seen
}

const KILLS: usize = 5;

#[test]
fn killed_five_times_and_nothing_is_lost() {
    run(async {
        let payloads = payloads();
        let distinct = hashes(&payloads);
        let expected = undisturbed(&payloads).await;
        let (db, ports, mut rng) = (TestDb::new().await, Ports::pick(), SeededRng::new(20));
        let delivery = deliver(&payloads, &ports, &CancellationToken::new());
        let mut process = Process::start(&db, &ports);
        let share = distinct.len() / (KILLS + 1);
        for kill in 0..KILLS {
            at_least(&db, kill * share + rng.index(share)).await;
            process.kill();
            // What is visible in between is whole, too.
            assert_verifies(&db).await;
            process = Process::start(&db, &ports);
        }
        let summary = delivery.await.unwrap();
        println!(
            "{} payloads delivered, {} attempts failed",
            summary.payloads, summary.retries
        );
        assert!(summary.retries > 0, "no kill was felt");
        eventually("the undisturbed mirror", || async {
            let waiting = in_state(&db, 0).await;
            let same = waiting == 0 && fingerprint(&db).await == expected;
            if same {
                Ok(())
            } else {
                Err(format!("{waiting} payloads wait, or the digests differ"))
            }
        })
        .await;
        assert!(
            stored_hashes(&db).await == distinct,
            "the inbox holds other payloads than were delivered"
        );
        assert_verifies(&db).await;
        process.kill();
        db.drop().await;
    });
}

#[test]
fn asked_to_end_under_load_it_ends_in_order() {
    run(async {
        let payloads = payloads();
        let (db, ports, cancel) = (TestDb::new().await, Ports::pick(), CancellationToken::new());
        let delivery = deliver(&payloads, &ports, &cancel);
        let mut process = Process::start(&db, &ports);
        at_least(&db, 200).await;
        process.ask_to_end();
        let asked = Instant::now();
        let ended = tokio::time::timeout(Duration::from_secs(10), process.ended()).await;
        let status = ended.expect("an end within ten seconds");
        println!(
            "ended {:.0} ms after SIGTERM: {status}",
            asked.elapsed().as_secs_f64() * 1000.0
        );
        assert_eq!(status.code(), Some(0));
        cancel.cancel();
        assert!(
            delivery.await.unwrap().cancelled,
            "the load was over before the end"
        );
        assert_verifies(&db).await;
        db.drop().await;
    });
}
