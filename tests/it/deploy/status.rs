//! One screen for a person, one object for a machine, and both again and again.

use serde_json::Value as Json;
use stxworx::post::Order;

use crate::support::app::{App, config};
use crate::support::db::TestDb;
use crate::support::mirror::{settled, tip};
use crate::support::{eventually, run};
use crate::tools::{small_chain, stdout, stxworx, stxworx_on};

#[test]
fn a_screen_says_what_the_writer_counts_as_final() {
    run(async {
        let db = TestDb::new().await;
        let app = App::start(&db, &config(&[("chain.finality_burn_blocks", "9")])).await;
        app.post(small_chain().entries(), Order::default()).await;
        settled(&db).await;
        let json = stxworx_on(&db, &["status", "--output", "json"]).await;
        let json: Json = serde_json::from_str(&stdout(&json)).unwrap();
        assert_eq!(json["data"]["finality_burn_blocks"], 9);
        let screen = stdout(&stxworx_on(&db, &["status"]).await);
        let block = tip(&db).await.unwrap();
        for line in [
            "on devnet, mirrors all: *".to_owned(),
            format!("height 4, block {}", &block[..18]),
            "after 9 Bitcoin blocks".to_owned(),
            "0 waiting, 0 detached, 0 quarantined, processed 9 of 9".to_owned(),
            "last reorg  ".to_owned(),
            " lines are not booked".to_owned(),
            "never compared".to_owned(),
        ] {
            assert!(screen.contains(&line), "{line}: {screen}");
        }
        assert!(screen.lines().count() <= 24, "more than a screen: {screen}");
        app.stop().await.unwrap();
        let left = stdout(&stxworx_on(&db, &["status"]).await);
        assert!(left.contains("writer      NOBODY"), "{left}");
        db.drop().await;
    });
}

#[test]
fn watching_is_a_line_a_look_where_there_is_no_terminal() {
    run(async {
        let db = TestDb::new().await;
        let app = App::start(&db, &config(&[])).await;
        app.post(small_chain().entries(), Order::default()).await;
        settled(&db).await;
        app.stop().await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("said");
        let mut command = stxworx(&["status", "--watch", "--every", "0s"]);
        command.env("DATABASE_URL", &db.url);
        command.stdout(std::fs::File::create(&path).unwrap());
        let mut child = command.spawn().unwrap();
        let said = eventually("three looks", || async {
            let said = std::fs::read_to_string(&path).unwrap();
            if said.lines().count() >= 3 {
                Ok(said)
            } else {
                Err(said)
            }
        })
        .await;
        let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
        let ended = tokio::task::spawn_blocking(move || child.wait().unwrap())
            .await
            .unwrap();
        assert_eq!(ended.code(), Some(0));
        for line in said.lines() {
            assert!(line.starts_with("height 4  final "), "{line}");
        }
        assert!(!said.contains('\x1b'), "{said}");
        db.drop().await;
    });
}
