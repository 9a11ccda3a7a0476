//! Several processes on one mirror: one writes, the others stand by.

use std::time::Instant;

use nix::sys::signal::Signal;
use stxworx::post::Order;
use stxworx::workload::Block;

use crate::support::app::{App, config};
use crate::support::db::TestDb;
use crate::support::eventually;
use crate::support::mirror::{assert_verifies, fingerprint, settled, tip};
use crate::support::run;
use crate::tools::{
    Daemon, SmallChain, deliver, get, metric, request, small_chain, status, stxworx, stxworx_on,
    trade,
};

async fn epoch(db: &TestDb) -> i64 {
    db.number("select coalesce((select writer_epoch from mirror), 0)")
        .await
}

/// Waits for a writer of this epoch, or a later one.
async fn written_by(db: &TestDb, wanted: i64) {
    eventually("the claim", || async {
        let now = epoch(db).await;
        if now >= wanted {
            Ok(())
        } else {
            Err(now.to_string())
        }
    })
    .await;
}

async fn leads(app: &App, wanted: f64) {
    eventually("who leads", || async {
        let leader = metric(app, "stxworx_leader").await;
        #[expect(clippy::float_cmp, reason = "0 or 1")]
        if leader == wanted {
            Ok(())
        } else {
            Err(leader.to_string())
        }
    })
    .await;
}

async fn arrived(db: &TestDb, block: &Block) {
    eventually("the tip", || async {
        let now = tip(db).await;
        if now == Some(block.id()) {
            Ok(())
        } else {
            Err(format!("{now:?}"))
        }
    })
    .await;
}

/// The next blocks, delivered to these observers in turn.
async fn deliver_to(
    small: &SmallChain,
    last: &Block,
    observers: &[std::net::SocketAddr],
    numbers: std::ops::Range<u64>,
) -> Block {
    let mut last = last.clone();
    for (number, at) in numbers.zip(observers.iter().cycle()) {
        let next = trade(&small.chain, &last, number).build();
        let entry = next.entry();
        let reply = request(*at, "POST", &entry.path, &entry.body).await;
        assert_eq!(reply.status(), 200);
        last = next;
    }
    last
}

#[test]
fn a_second_process_receives_and_writes_only_when_the_first_has_ended() {
    run(async {
        let (db, small) = (TestDb::new().await, small_chain());
        let first = App::start(&db, &config(&[])).await;
        leads(&first, 1.0).await;
        let second = App::start(&db, &config(&[])).await;
        first.post(small.entries(), Order::default()).await;
        let at = [&first, &second].map(|app| app.addresses.observer.unwrap());
        let last = deliver_to(&small, small.fork.last().unwrap(), &at, 100..110).await;
        arrived(&db, &last).await;
        assert_eq!(epoch(&db).await, 1, "the second one wrote");
        leads(&second, 0.0).await;
        let standing = "stxworx_stage{stage=\"standby\"}";
        eventually("the second one in its stage", || async {
            let stage = metric(&second, standing).await;
            (stage > 0.0).then_some(()).ok_or(stage.to_string())
        })
        .await;
        // A standby is healthy: it stands still by design.
        let lag = get(second.addresses.api.unwrap(), "/health/lag").await;
        assert_eq!(lag.status(), 200, "{}", lag.text());
        let lease = status(&second).await["sync"]["lease"].clone();
        assert_eq!((&lease["epoch"], &lease["held"]), (&1.into(), &true.into()));

        first.stop().await.unwrap();
        leads(&second, 1.0).await;
        assert_eq!(epoch(&db).await, 2);
        let last = deliver_to(&small, &last, &at[1..], 110..115).await;
        arrived(&db, &last).await;
        second.stop().await.unwrap();
        assert_eq!(
            db.number("select count(*) from lease where expires_at > clock_timestamp()")
                .await,
            0,
            "the lease is released"
        );
        assert_verifies(&db).await;
        db.drop().await;
    });
}

#[test]
fn an_operators_claim_ends_the_writers_turn_and_not_the_process() {
    run(async {
        let (db, small) = (TestDb::new().await, small_chain());
        let app = App::start(&db, &config(&[])).await;
        app.post(small.entries(), Order::default()).await;
        settled(&db).await;
        db.sql("update mirror set writer_epoch = writer_epoch + 1")
            .await;
        written_by(&db, 3).await;
        leads(&app, 1.0).await;
        let lost = metric(&app, "stxworx_lease_changes_total{what=\"lost\"}").await;
        assert!(lost > 0.0, "it can be seen that the turn was lost");
        let at = [app.addresses.observer.unwrap()];
        let last = deliver_to(&small, small.fork.last().unwrap(), &at, 200..205).await;
        arrived(&db, &last).await;
        app.stop().await.unwrap();
        assert_verifies(&db).await;
        db.drop().await;
    });
}

#[test]
fn a_rebuild_beside_a_running_daemon_is_taken_up_by_it() {
    run(async {
        let (db, small) = (TestDb::new().await, small_chain());
        let app = App::start(&db, &config(&[])).await;
        app.post(small.entries(), Order::default()).await;
        settled(&db).await;
        let before = fingerprint(&db).await;
        let rebuilt = stxworx_on(&db, &["rebuild", "--yes"]).await;
        assert_eq!(rebuilt.status.code(), Some(0), "{rebuilt:?}");
        eventually("the mirror again", || async {
            let waiting = db
                .number("select count(*) from inbox where state = 0")
                .await;
            let same = fingerprint(&db).await == before;
            if waiting == 0 && same {
                Ok(())
            } else {
                Err(format!("{waiting} payloads wait"))
            }
        })
        .await;
        assert!(epoch(&db).await >= 3);
        app.stop().await.unwrap();
        assert_verifies(&db).await;
        db.drop().await;
    });
}

/// Two daemons as processes of their own; the first one leads.
async fn two_processes(db: &TestDb) -> (Daemon, Daemon) {
    let spawn = || {
        let mut command = stxworx(&["run"]);
        command.env("DATABASE_URL", &db.url);
        Daemon::spawn(command)
    };
    let first = spawn();
    first.says("this process writes the mirror").await;
    first.says(" ready ").await;
    let second = spawn();
    second
        .says("another process writes the mirror; standing by")
        .await;
    second.says(" ready ").await;
    (first, second)
}

#[test]
fn a_standby_takes_over_from_a_process_that_is_killed() {
    run(async {
        let (db, small) = (TestDb::new().await, small_chain());
        let (mut first, mut second) = two_processes(&db).await;
        let at = [
            first.address("observer").await,
            second.address("observer").await,
        ];
        for entry in small.entries() {
            let reply = request(at[0], "POST", &entry.path, &entry.body).await;
            assert_eq!(reply.status(), 200);
        }
        let last = deliver_to(&small, small.fork.last().unwrap(), &at, 300..330).await;
        // In the middle of its work, as far as that can be had.
        let killed = Instant::now();
        first.signal(Signal::SIGKILL);
        let last = deliver_to(&small, &last, &at[1..], 330..360).await;
        written_by(&db, 2).await;
        println!(
            "taken over {} ms after the kill",
            killed.elapsed().as_millis()
        );
        arrived(&db, &last).await;
        println!(
            "at the tip {} ms after the kill",
            killed.elapsed().as_millis()
        );
        second.says("this process writes the mirror").await;
        assert_eq!(epoch(&db).await, 2);
        let doubled = "select count(*) - count(distinct index_block_hash) from block";
        assert_eq!(db.number(doubled).await, 0);
        first.ended().await;
        assert_eq!(second.interrupt().await, Some(0));
        assert_verifies(&db).await;
        db.drop().await;
    });
}

#[test]
fn a_writer_that_slept_over_its_lease_stands_by_when_it_wakes() {
    run(async {
        let (db, small) = (TestDb::new().await, small_chain());
        let (mut first, mut second) = two_processes(&db).await;
        let at = [
            first.address("observer").await,
            second.address("observer").await,
        ];
        for entry in small.entries() {
            let reply = request(at[0], "POST", &entry.path, &entry.body).await;
            assert_eq!(reply.status(), 200);
        }
        first.signal(Signal::SIGSTOP);
        written_by(&db, 2).await;
        let last = deliver_to(&small, small.fork.last().unwrap(), &at[1..], 400..410).await;
        arrived(&db, &last).await;
        first.signal(Signal::SIGCONT);
        first
            .says("another writer has taken over this mirror; this process stands by")
            .await;
        // It receives, as before.
        let last = deliver_to(&small, &last, &at, 410..420).await;
        arrived(&db, &last).await;
        assert_eq!(epoch(&db).await, 2);
        assert_eq!(second.interrupt().await, Some(0));
        written_by(&db, 3).await;
        let last = deliver_to(&small, &last, &at[..1], 420..425).await;
        arrived(&db, &last).await;
        assert_eq!(first.interrupt().await, Some(0));
        assert_verifies(&db).await;
        db.drop().await;
    });
}

/// Waiting for a lease is only for those who could use it.
#[test]
fn a_process_for_another_mirror_does_not_stand_by() {
    run(async {
        let db = TestDb::new().await;
        let app = App::start(&db, &config(&[])).await;
        leads(&app, 1.0).await;
        let mut command = stxworx(&["run", "--roles", "indexer"]);
        command
            .env("DATABASE_URL", &db.url)
            .env("STXWORX_NETWORK", "mainnet");
        let refused = crate::tools::output(command).await;
        assert_eq!(refused.status.code(), Some(1), "{refused:?}");
        let said = crate::tools::stderr(&refused);
        assert!(
            said.contains("this mirror was built with network devnet"),
            "{said}"
        );
        assert_eq!(epoch(&db).await, 1);
        let _ = deliver(&app, &small_chain().entries()[0]).await;
        app.stop().await.unwrap();
        db.drop().await;
    });
}
