//! The shortest way through everything.

use stxworx::post::Order;
use stxworx::recording::Recording;

use crate::support::app::{App, config};
use crate::support::db::TestDb;
use crate::support::mirror::{assert_verifies, settled, tip};
use crate::support::{fixtures, run};

#[test]
fn a_real_recording_becomes_a_mirror() {
    let Some(fixtures) = fixtures() else { return };
    run(async {
        let db = TestDb::new().await;
        let app = App::start(&db, &config(&[])).await;
        let recording = Recording::open(&fixtures.join("mocknet.ndjson.gz")).unwrap();
        app.post_from(recording, Order::default()).await;
        settled(&db).await;
        assert!(tip(&db).await.unwrap().starts_with("0x36141dc7"));
        assert_verifies(&db).await;
        app.stop().await.unwrap();
        db.drop().await;
    });
}
