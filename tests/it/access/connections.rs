//! Strangers who hold connections open.

use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::ask;
use crate::support::app::{App, config};
use crate::support::db::TestDb;
use crate::support::{eventually, run};
use crate::tools::metric;

/// As many as two thirds of the files that this process may open allow: each connection has two ends here, and other
/// tests run beside this one.
fn many() -> usize {
    let (soft, _) =
        nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE).unwrap();
    usize::try_from(soft / 3).unwrap().min(10_000)
}

async fn open(at: std::net::SocketAddr, count: usize, bytes: &[u8]) -> Vec<TcpStream> {
    let mut all = Vec::with_capacity(count);
    for _ in 0..count {
        let mut stream = TcpStream::connect(at).await.unwrap();
        // One that made room already is closed at the other end.
        let _ = stream.write_all(bytes).await;
        all.push(stream);
    }
    all
}

#[test]
fn thousands_of_idle_and_slow_connections_hold_nobody_up() {
    run(async {
        let count = many();
        let db = TestDb::new().await;
        let places = (count * 2).to_string();
        let settings = [
            ("api.max_connections", places.as_str()),
            ("api.header_timeout_ms", "3000"),
        ];
        let app = App::start(&db, &config(&settings)).await;
        let at = app.addresses.api.unwrap();
        let idle = open(at, count * 9 / 10, b"").await;
        let slow = open(
            at,
            count / 10,
            b"GET /v1/status HTTP/1.1\r\nhost: x\r\nx-slow: ",
        )
        .await;
        println!("{} idle and {} slow connections", idle.len(), slow.len());
        let held = metric(&app, "stxworx_api_connections").await;
        for _ in 0..20 {
            assert_eq!(ask(at, "/health/live", &[]).await.status(), 200);
            assert_ne!(ask(at, "/v1/status", &[]).await.status() / 100, 5);
        }
        assert!(held >= idle.len() as f64, "{held} of {count} were held");
        eventually("the end of the slow ones", || async {
            let open = metric(&app, "stxworx_api_connections").await;
            let evicted = metric(
                &app,
                "stxworx_api_connections_ended_total{reason=\"evicted\"}",
            )
            .await;
            assert_eq!(evicted, 0.0);
            if open <= idle.len() as f64 + 2.0 {
                Ok(())
            } else {
                Err(open.to_string())
            }
        })
        .await;
        drop((idle, slow));
        app.stop().await.unwrap();
        db.drop().await;
    });
}

#[test]
fn when_all_places_are_held_the_idle_ones_make_room() {
    run(async {
        let db = TestDb::new().await;
        let app = App::start(&db, &config(&[("api.max_connections", "50")])).await;
        let at = app.addresses.api.unwrap();
        let idle = open(at, 300, b"").await;
        for _ in 0..20 {
            assert_eq!(ask(at, "/health/live", &[]).await.status(), 200);
        }
        let evicted = metric(
            &app,
            "stxworx_api_connections_ended_total{reason=\"evicted\"}",
        )
        .await;
        assert!(evicted >= 250.0, "{evicted}");
        eventually("no more connections than places", || async {
            let open = metric(&app, "stxworx_api_connections").await;
            if open <= 50.0 {
                Ok(())
            } else {
                Err(open.to_string())
            }
        })
        .await;
        drop(idle);
        app.stop().await.unwrap();
        db.drop().await;
    });
}

#[test]
fn the_daemon_ends_although_connections_are_held() {
    run(async {
        let db = TestDb::new().await;
        let app = App::start(&db, &config(&[])).await;
        let idle = open(app.addresses.api.unwrap(), 100, b"").await;
        let slow = open(app.addresses.api.unwrap(), 100, b"GET / HTTP/1.1\r\n").await;
        // Well below the time after which roles are cut off.
        tokio::time::timeout(Duration::from_secs(60), app.stop())
            .await
            .unwrap()
            .unwrap();
        drop((idle, slow));
        db.drop().await;
    });
}
