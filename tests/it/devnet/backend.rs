//! The platform beside the devnet: what its backend writes of a mirror.

use stxworx::devnet::backend::{Backend, Persona, prepare};

use super::History;
use crate::support::chain::Engine;
use crate::support::db::TestDb;
use crate::support::run;

#[test]
fn the_backend_writes_what_it_heard_with_its_errors_and_only_once() {
    run(async {
        const SEED: u64 = 5;
        let mut history = History::new(24, 60);
        history.grow(60);
        let (mirror, platform) = (TestDb::new().await, TestDb::empty().await);
        let engine = Engine::start_with(&mirror, history.follow());
        engine.feed(&mirror, &history.said()).await;
        engine.stop().await;
        // The database is there; its tables are made, and a second time changes nothing.
        for _ in 0..2 {
            prepare(&platform.url, "postgres", &platform.url)
                .await
                .unwrap();
        }
        let mut backend = Backend::new(mirror.pool.clone(), &platform.url, SEED).unwrap();
        assert!(backend.step().await.unwrap() > 0);
        assert_eq!(backend.step().await.unwrap(), 0, "nothing has changed");

        let model = history.model(&history.chain.tip().header.id);
        let rows_of = |id: &u128| match Persona::of(SEED, u64::try_from(*id).unwrap()) {
            Persona::Orphan => 0,
            Persona::TwiceLinked => 2,
            _ => 1,
        };
        let expected: i64 = model.logic.projects.keys().map(rows_of).sum();
        let projects = model.logic.projects.len();
        assert!(
            expected != i64::try_from(projects).unwrap(),
            "no error in {projects}"
        );
        assert_eq!(
            platform.number("select count(*) from projects").await,
            expected
        );
        assert!(platform.number("select count(*) from users").await > 0);
        let fees = "select count(*) from dao_transactions where tx_id like '0x%'";
        assert!(platform.number(fees).await > 0);
        // A backend that begins anew writes the same rows.
        let mut anew = Backend::new(mirror.pool.clone(), &platform.url, SEED).unwrap();
        assert!(anew.step().await.unwrap() > 0);
        assert_eq!(
            platform.number("select count(*) from projects").await,
            expected
        );
        drop((backend, anew));
        mirror.drop().await;
        platform.drop().await;
    });
}
