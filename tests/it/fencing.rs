//! Two writers on one mirror: the later one holds it.

use stxworx::daemon::DaemonError;
use stxworx::post::Order;
use stxworx::workload::Block;
use stxworx_indexer::pipeline::PipelineError;
use stxworx_indexer::store::StoreError;

use crate::support::app::{App, config};
use crate::support::db::TestDb;
use crate::support::eventually;
use crate::support::mirror::{assert_verifies, settled, tip};
use crate::support::run;
use crate::tools::{Daemon, deliver, small_chain, stxworx, trade};

/// Delivers further blocks to a fenced daemon until it tries to commit one and finds out. Returns the last.
async fn deliver_until(
    small: &crate::tools::SmallChain,
    mut ended: impl FnMut() -> bool,
    at: std::net::SocketAddr,
) -> Block {
    let mut last = small.fork.last().unwrap().clone();
    for number in 100..400 {
        if ended() {
            break;
        }
        let next = trade(&small.chain, &last, number).build();
        // It may end while it answers; the node would deliver again.
        let reply = tokio::net::TcpStream::connect(at).await;
        if reply.is_err() {
            break;
        }
        drop(reply);
        let entry = next.entry();
        let sent = tokio::spawn(async move {
            crate::tools::request(at, "POST", &entry.path, &entry.body)
                .await
                .status()
        });
        if sent.await.is_ok_and(|status| status == 200) {
            last = next;
        } else {
            break;
        }
    }
    last
}

#[test]
fn the_first_writer_ends_when_a_second_has_claimed() {
    run(async {
        let (db, small) = (TestDb::new().await, small_chain());
        let first = App::start(&db, &config(&[])).await;
        first.post(small.entries(), Order::default()).await;
        settled(&db).await;
        let second = App::start(&db, &config(&[])).await;
        eventually("the second claim", || async {
            let epoch = db.number("select writer_epoch from mirror").await;
            if epoch == 2 {
                Ok(())
            } else {
                Err(epoch.to_string())
            }
        })
        .await;
        let cancel = first.cancel.clone();
        let at = first.addresses.observer.unwrap();
        let last = deliver_until(&small, || cancel.is_cancelled(), at).await;
        match first.ended().await {
            Err(DaemonError::Pipeline(PipelineError::Store(StoreError::LostWatermark))) => {}
            other => panic!("{other:?}"),
        }
        // What the first one acknowledged, the second one mirrors.
        settled(&db).await;
        assert_eq!(tip(&db).await, Some(last.id()));
        let next = trade(&small.chain, &last, 500).build();
        assert_eq!(deliver(&second, &next.entry()).await.status(), 200);
        settled(&db).await;
        assert_eq!(tip(&db).await, Some(next.id()));
        second.stop().await.unwrap();
        assert_verifies(&db).await;
        db.drop().await;
    });
}

#[test]
fn a_fenced_process_says_why_and_exits_with_1() {
    run(async {
        let (db, small) = (TestDb::new().await, small_chain());
        let mut command = stxworx(&["run"]);
        command.env("DATABASE_URL", &db.url);
        let mut first = Daemon::spawn(command);
        first.says("ready").await;
        let at = first.address("observer").await;
        for entry in small.entries() {
            assert_eq!(
                crate::tools::request(at, "POST", &entry.path, &entry.body)
                    .await
                    .status(),
                200
            );
        }
        settled(&db).await;
        let second = App::start(&db, &config(&[])).await;
        eventually("the second claim", || async {
            let epoch = db.number("select writer_epoch from mirror").await;
            if epoch == 2 {
                Ok(())
            } else {
                Err(epoch.to_string())
            }
        })
        .await;
        deliver_until(&small, || first.has_ended(), at).await;
        assert_eq!(first.ended().await, Some(1));
        first.says("error: the indexer stopped: the mirror cannot be written: another writer has taken over this mirror; only one may write").await;
        settled(&db).await;
        second.stop().await.unwrap();
        assert_verifies(&db).await;
        db.drop().await;
    });
}
