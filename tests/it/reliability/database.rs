//! A database that restarts, freezes, fills up or is slow, under a daemon that nobody restarts.

use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sqlx::{Connection as _, PgConnection};
use stxworx::daemon::Role;
use stxworx::embedded::{Durability, EmbeddedPostgres, Options};
use stxworx::post::Order;
use stxworx::recording::Entry;
use stxworx::workload::Block;

use crate::database_faults::{long_chain, post_all};
use crate::large::peak_mb;
use crate::support::app::{App, config};
use crate::support::db::TestDb;
use crate::support::mirror::{assert_verifies, fingerprint, settled, tip};
use crate::support::{eventually, run};
use crate::tools::{Daemon, deliver, get, noise, request, small_chain, stxworx, trade};

/// A server that belongs to the test alone.
struct Server {
    running: Option<EmbeddedPostgres>,
    folder: tempfile::TempDir,
}

impl Server {
    async fn start() -> Self {
        let mut server = Self {
            running: None,
            folder: tempfile::tempdir().unwrap(),
        };
        server.resume().await;
        server
    }

    async fn resume(&mut self) {
        let mut options = Options::new(self.folder.path(), "mirror");
        options.durability = Durability::Off;
        self.running = Some(EmbeddedPostgres::start(options).await.unwrap());
    }

    fn running(&self) -> &EmbeddedPostgres {
        self.running.as_ref().unwrap()
    }

    /// In order, as for maintenance.
    async fn stop(&mut self) {
        self.running.take().unwrap().stop().await.unwrap();
    }

    /// At once, as in a crash; the next start recovers.
    fn crash(&mut self) {
        drop(self.running.take());
    }

    /// The server and all its children.
    fn processes(&self) -> Vec<i32> {
        let server = self.running().pid();
        let mut all = vec![server];
        for entry in std::fs::read_dir("/proc").unwrap().map_while(Result::ok) {
            let Ok(pid) = entry.file_name().to_string_lossy().parse::<i32>() else {
                continue;
            };
            // A process may end while its line is read.
            let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
            let parent = stat
                .rsplit(')')
                .next()
                .and_then(|rest| rest.split_whitespace().nth(1))
                .and_then(|parent| parent.parse::<i32>().ok());
            if parent == Some(server) {
                all.push(pid);
            }
        }
        all
    }

    fn signal(&self, signal: Signal) {
        for process in self.processes() {
            // A connection's process may have ended meanwhile.
            let _ = kill(Pid::from_raw(process), signal);
        }
    }
}

async fn at_least(db: &TestDb, count: i64) {
    eventually("payloads", || async {
        let stored = db.number("select count(*) from inbox").await;
        (stored >= count).then_some(()).ok_or(stored.to_string())
    })
    .await;
}

/// What a daemon makes of these payloads when nothing happens.
async fn undisturbed(payloads: Vec<Entry>) -> (String, String) {
    let db = TestDb::new().await;
    let app = App::start(&db, &config(&[])).await;
    app.post(payloads, Order::default()).await;
    settled(&db).await;
    app.stop().await.unwrap();
    let seen = fingerprint(&db).await;
    db.drop().await;
    seen
}

async fn assert_whole(db: &TestDb, expected: &(String, String)) {
    assert_eq!(fingerprint(db).await, *expected, "lost or changed");
    let doubled = "select count(*) - count(distinct index_block_hash) from block";
    assert_eq!(db.number(doubled).await, 0);
    assert_verifies(db).await;
}

#[test]
fn the_server_restarts_in_the_middle_and_at_the_tip() {
    run(async {
        let mut server = Server::start().await;
        let db = TestDb::of(server.running()).await;
        let app = App::try_start(&db.url, &config(&[]), &[Role::Indexer])
            .await
            .unwrap();
        let payloads = long_chain();
        let (first, rest) = payloads.split_at(payloads.len() - 3);
        let posting = tokio::spawn(post_all(app.observer_url(), first.to_vec()));
        at_least(&db, 15).await;
        server.crash();
        server.resume().await;
        at_least(&db, 35).await;
        server.stop().await;
        server.resume().await;
        posting.await.unwrap();
        settled(&db).await;
        // At the tip nothing is under way when the server goes, and the next block comes as ever.
        server.crash();
        server.resume().await;
        post_all(app.observer_url(), rest.to_vec()).await;
        settled(&db).await;
        assert_whole(&db, &undisturbed(payloads).await).await;
        app.stop().await.unwrap();
    });
}

/// A server that neither answers nor closes its connections.
#[test]
fn a_frozen_server_is_waited_for() {
    run(async {
        let server = Server::start().await;
        let db = TestDb::of(server.running()).await;
        let app = App::try_start(&db.url, &config(&[]), &[Role::Indexer])
            .await
            .unwrap();
        let small = small_chain();
        let payloads = small.entries();
        for entry in &payloads[..4] {
            assert_eq!(deliver(&app, entry).await.status(), 200);
        }
        server.signal(Signal::SIGSTOP);
        let mut answer = Box::pin(deliver(&app, &payloads[4]));
        let early = tokio::time::timeout(Duration::from_secs(2), &mut answer).await;
        server.signal(Signal::SIGCONT);
        assert!(
            early.is_err(),
            "answered while the database was frozen: {early:?}"
        );
        assert_eq!(answer.await.status(), 200);
        for entry in &payloads[5..] {
            assert_eq!(deliver(&app, entry).await.status(), 200);
        }
        settled(&db).await;
        assert_whole(&db, &undisturbed(payloads).await).await;
        app.stop().await.unwrap();
    });
}

/// Refuses as a server does whose disk is full, at first for what arrives, then for what is derived.
#[test]
fn a_full_disk_is_waited_for_and_nothing_is_acknowledged_meanwhile() {
    run(async {
        let db = TestDb::new().await;
        let app = App::start(&db, &config(&[])).await;
        let small = small_chain();
        let payloads = small.entries();
        assert_eq!(deliver(&app, &payloads[0]).await.status(), 200);
        settled(&db).await;
        db.sql(
            "create function full_disk() returns trigger language plpgsql as $$
             begin raise exception 'could not extend file: No space left on device' using errcode = '53100'; end $$;
             create trigger full_disk before insert on inbox for each statement execute function full_disk()",
        )
        .await;
        let refused = tokio::time::timeout(Duration::from_secs(2), deliver(&app, &payloads[1]));
        if let Ok(reply) = refused.await {
            assert_ne!(reply.status(), 200, "{}", reply.status_line);
        }
        assert_eq!(db.number("select count(*) from inbox").await, 1);
        db.sql(
            "drop trigger full_disk on inbox;
             create trigger full_disk before insert on block for each statement execute function full_disk()",
        )
        .await;
        for entry in &payloads[1..] {
            assert_eq!(deliver(&app, entry).await.status(), 200);
        }
        eventually("that the writer says why it waits", || async {
            let ready = get(app.addresses.api.unwrap(), "/health/lag").await.text();
            let waiting = db
                .number("select count(*) from inbox where state = 0")
                .await;
            (waiting > 0).then_some(()).ok_or(ready)
        })
        .await;
        assert_eq!(db.number("select count(*) from block").await, 1);
        db.sql("drop trigger full_disk on block").await;
        settled(&db).await;
        assert_eq!(tip(&db).await, Some(small.tip()));
        app.stop().await.unwrap();
        assert_whole(&db, &undisturbed(payloads).await).await;
        db.drop().await;
    });
}

/// Blocks of a megabyte each, of which the mirror reads little.
fn bulky(count: u64) -> Vec<Entry> {
    let chain = small_chain().chain;
    let mut blocks = vec![chain.root()];
    for number in 0..count {
        let padding = String::from_utf8(noise(number, 1_000_000)).unwrap();
        let block = trade(&chain, blocks.last().unwrap(), number).field("padding", padding.into());
        let entry = block.build();
        blocks.push(entry);
    }
    blocks.iter().map(Block::entry).collect()
}

/// The writer stands for as long as its table is locked. What arrives is stored and not held; and while nothing can be
/// stored, the node waits.
#[test]
fn a_slow_database_holds_the_node_back_and_memory_stays_bounded() {
    run(async {
        let db = TestDb::new().await;
        let mut command = stxworx(&["run"]);
        command.env("DATABASE_URL", &db.url);
        let mut daemon = Daemon::spawn(command);
        let at = daemon.address("observer").await;
        let payloads = bulky(150);
        let last = payloads.last().unwrap().clone();
        let post = async |entry: &Entry| request(at, "POST", &entry.path, &entry.body).await;
        assert_eq!(post(&payloads[0]).await.status(), 200);
        settled(&db).await;
        let mut lock = PgConnection::connect(&db.url).await.unwrap();
        sqlx::raw_sql("begin; lock table block in access exclusive mode")
            .execute(&mut lock)
            .await
            .unwrap();
        for entry in &payloads[1..payloads.len() - 1] {
            assert_eq!(post(entry).await.status(), 200);
        }
        let standing = peak_mb(daemon.pid());
        sqlx::raw_sql("rollback; begin; lock table inbox in access exclusive mode")
            .execute(&mut lock)
            .await
            .unwrap();
        let mut answer = Box::pin(post(&last));
        let early = tokio::time::timeout(Duration::from_secs(1), &mut answer).await;
        assert!(early.is_err(), "answered before it was stored: {early:?}");
        sqlx::raw_sql("rollback").execute(&mut lock).await.unwrap();
        assert_eq!(answer.await.status(), 200);
        eventually("everything", || async {
            let blocks = db.number("select count(*) from canonical").await;
            (blocks == 151).then_some(()).ok_or(blocks.to_string())
        })
        .await;
        let caught_up = peak_mb(daemon.pid());
        println!("peak memory: {standing} MB with 149 MB waiting, {caught_up} MB when caught up");
        assert!(standing < 250, "{standing} MB while 149 MB wait");
        assert!(caught_up < 400, "{caught_up} MB to catch up with 149 MB");
        lock.close().await.unwrap();
        assert_eq!(daemon.interrupt().await, Some(0));
        db.drop().await;
    });
}
