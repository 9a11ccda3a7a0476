//! What a mirror knows about where its payloads are from, and under which rules it was built.

use stxworx_indexer::model::Mirror;
use stxworx_indexer::store::inbox::{self, Endpoint, Provenance, Source};
use stxworx_indexer::store::{StoreError, lease, load, rebuild};

use crate::support::chain::{Engine, follow};
use crate::support::db::TestDb;
use crate::support::run;
use crate::tools::small_chain;

#[test]
fn what_was_cut_down_is_not_made_into_another_mirror() {
    run(async {
        let db = TestDb::new().await;
        let follow = follow();
        let small = small_chain();
        let engine = Engine::start_with(&db, follow.clone());
        engine.feed(&db, &small.entries()).await;
        engine.stop().await;
        let mut other = follow.clone();
        other.mirror = Mirror::Followed;
        // Whole payloads serve every follow set.
        rebuild::rebuild_as(&db.pool, "devnet", &other)
            .await
            .unwrap();
        let cut = Provenance {
            source: Source::Archive,
            scope: Some(other.hash()),
        };
        let body = br#"{"cut": "down"}"#;
        inbox::put(&db.pool, Endpoint::NewBlock, cut, body)
            .await
            .unwrap();
        rebuild::rebuild_as(&db.pool, "devnet", &other)
            .await
            .unwrap();
        let refused = rebuild::rebuild_as(&db.pool, "devnet", &follow).await;
        assert!(
            matches!(refused, Err(StoreError::CutDown { payloads: 1 })),
            "{refused:?}"
        );
        let stored = load::follow_set(&db.pool).await.unwrap();
        assert_eq!(stored, Some(other), "nothing was changed");
        let source = db
            .text("select source || ' ' || octet_length(scope) from inbox where scope is not null");
        assert_eq!(source.await.as_deref(), Some("4 32"));
        db.drop().await;
    });
}

#[test]
fn digests_of_older_rules_are_refused_until_they_are_made_anew() {
    run(async {
        let db = TestDb::new().await;
        let follow = follow();
        let engine = Engine::start_with(&db, follow.clone());
        engine.quiet(&db).await;
        engine.stop().await;
        db.sql("update mirror set digest_rules = 1").await;
        let claim = async || {
            let registry = stxworx_indexer::project::registry();
            let ttl = std::time::Duration::from_secs(1);
            lease::attempt(&db.pool, "devnet", &follow, &registry, "test", ttl).await
        };
        let error = claim().await.expect_err("older rules").to_string();
        assert!(
            error.contains("digest rules") && error.contains("rebuild"),
            "{error}"
        );
        rebuild::rebuild_as(&db.pool, "devnet", &follow)
            .await
            .unwrap();
        claim().await.unwrap();
        db.drop().await;
    });
}
