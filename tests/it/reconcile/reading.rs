//! Reading the platform: never written, whatever it holds.

use stxworx_reconciler::engine::Wanted;
use stxworx_reconciler::platform::postgres::{
    Entity, Filter, Platform, PlatformError, PlatformSource,
};

use super::platform::Backend;
use super::{Stage, map};
use crate::support::run;

fn source(backend: &Backend, query: &str) -> PlatformSource {
    PlatformSource {
        url: backend.db.url.clone(),
        projects_query: query.to_owned(),
        statement_timeout: std::time::Duration::from_secs(20),
        ..PlatformSource::default()
    }
}

async fn read(source: &PlatformSource) -> Result<usize, PlatformError> {
    let mut platform = Platform::open(source).await?;
    platform.read(Entity::Projects, &Filter::All).await?;
    let mut rows = 0;
    loop {
        let page = platform.page().await?;
        if page.is_empty() {
            break;
        }
        rows += page.len();
    }
    platform.close().await;
    Ok(rows)
}

/// The role owns everything, and a query tries all that SQL offers.
#[test]
fn a_role_with_all_rights_cannot_be_made_to_write() {
    run(async {
        let backend = Backend::new().await;
        backend
            .db
            .sql(
                "insert into projects (id, on_chain_id) values ('a', 1), ('b', 2);
                 create function wipe() returns text language sql as 'delete from projects returning id';
                 create function wipe_anyway() returns text language plpgsql as $$ begin
                     set transaction read write; delete from projects; return 'x'; end $$;
                 create sequence counted;",
            )
            .await;
        for query in [
            "select wipe() as key",
            "select wipe_anyway() as key",
            "select set_config('transaction_read_only', 'off', true) as key from projects",
            "select nextval('counted')::text as key",
            "delete from projects returning id as key",
            "with gone as (delete from projects returning id) select id as key from gone",
            "select id as key from projects) as q; delete from projects; --",
            "select id as key from projects for update",
        ] {
            let result = read(&source(&backend, query)).await;
            assert!(result.is_err(), "{query}: {result:?}");
            assert_eq!(
                backend.db.number("select count(*) from projects").await,
                2,
                "{query}"
            );
        }
        // Servers before version 16 let a read-only transaction make large objects: nothing is ever committed.
        let _ = read(&source(&backend, "select lo_create(7)::text as key")).await;
        let objects = "select count(*) from pg_largeobject_metadata";
        assert_eq!(backend.db.number(objects).await, 0);
        // Two statements away from a snapshot the default would be lifted; a new connection begins with it.
        let lifted = "select id as key, set_config('default_transaction_read_only', 'off', false) as status from projects";
        let _ = read(&source(&backend, lifted)).await;
        assert_eq!(
            read(&source(&backend, "select id as key from projects"))
                .await
                .unwrap(),
            2
        );
        assert!(
            read(&source(&backend, "select wipe() as key"))
                .await
                .is_err()
        );
        assert_eq!(backend.db.number("select count(*) from projects").await, 2);
        backend.db.drop().await;
    });
}

#[test]
fn values_arrive_as_they_are_and_in_order() {
    run(async {
        let backend = Backend::new().await;
        let query = "select * from (values
            ('b', '7', '340282366920938463463374607431768211455'::numeric, 1.5::float8, null::boolean),
            ('a', ' 7 ', 0.10, 'NaN', true), ('z', '+7', 1, 1, false), ('y', '99999999999999999999', 1, 1, false),
            (null, null, 1, 1, false), ('c', '007', 1, 1, false), ('d', '8', 1, 1, false), ('Ä', '8', 1, 1, false),
            ('a', '7', 2, 2, false), ('n', '-1', 1, 1, false), ('m', 'seven', 1, 1, false)
            ) as t (key, on_chain_id, total, share, flag)";
        let mut platform = Platform::open(&source(&backend, query)).await.unwrap();
        assert!(platform.time_s > 1_600_000_000);
        platform.read(Entity::Projects, &Filter::All).await.unwrap();
        let rows = platform.page().await.unwrap();
        assert!(platform.page().await.unwrap().is_empty());
        let keys: Vec<_> = rows.iter().map(|row| row.spot.key.as_str()).collect();
        assert_eq!(keys, ["a", "a", "b", "c", "d", "Ä", "", "m", "n", "y", "z"]);
        let copies: Vec<_> = rows
            .iter()
            .take(3)
            .map(|row| (row.spot.place, row.spot.copy))
            .collect();
        assert_eq!(copies, [(7, 0), (7, 1), (7, 0)]);
        assert_eq!(
            rows[2].row.0["total"].as_deref(),
            Some("340282366920938463463374607431768211455")
        );
        assert_eq!(rows[2].row.0["flag"], None);
        let mut totals: Vec<_> = rows[..2]
            .iter()
            .map(|r| r.row.0["total"].clone().unwrap())
            .collect();
        totals.sort();
        assert_eq!(totals, ["0.10", "2"]);
        assert!(
            rows[..2]
                .iter()
                .any(|r| r.row.0["share"].as_deref() == Some("NaN"))
        );
        platform.close().await;
        backend.db.drop().await;
    });
}

#[test]
fn a_column_that_is_gone_is_a_note_and_not_a_thousand_breaks() {
    run(async {
        let mut stage = Stage::new(61, 80).await;
        // The schema as it is: no query is configured.
        stage.settings.source.projects_query = String::new();
        for m in 5..=10 {
            stage
                .backend
                .db
                .sql(format!("alter table projects drop milestone_{m}_amount"))
                .await;
        }
        let few = "delete from projects where on_chain_id in (select on_chain_id from projects where false)";
        stage.backend.db.sql(few).await;
        let before = stage.sweep().await;
        assert_eq!(before.skipped, 0, "{before:?}");
        let known = stage.live().await;

        stage
            .backend
            .db
            .sql("alter table projects rename status to state_of_things")
            .await;
        let report = stage.incremental().await;
        assert_eq!(
            report.kind, "sweep",
            "other columns may mean other verdicts of everything"
        );
        let noted: Vec<_> = report
            .notes
            .iter()
            .filter(|note| note["kind"] == "rule_broken")
            .map(|note| note["rule"].as_str().unwrap().to_owned())
            .collect();
        assert!(
            noted.contains(&"P3".to_owned()) && noted.contains(&"P9".to_owned()),
            "{noted:?}"
        );
        assert!(
            report
                .notes
                .iter()
                .any(|note| note["kind"] == "schema_changed")
        );
        let skipped = report.skips["schema_drift"].as_u64().unwrap();
        assert_eq!(skipped, report.skipped);
        assert!(skipped > 0);
        assert_eq!(stage.live().await.len(), known.len());

        stage
            .backend
            .db
            .sql("alter table projects rename state_of_things to status")
            .await;
        let after = stage.incremental().await;
        assert_eq!((after.kind, after.skipped), ("sweep", 0));
        stage.end().await;
    });
}

#[test]
fn a_query_that_names_what_is_gone_skips_and_one_that_is_none_fails() {
    run(async {
        let mut stage = Stage::new(62, 60).await;
        stage.sweep().await;
        stage
            .backend
            .db
            .sql("alter table projects rename client_address to payer")
            .await;
        let report = stage.sweep().await;
        assert_eq!(report.broken + report.tolerated, 0, "{report:?}");
        assert!(report.skips["schema_drift"].as_u64().unwrap() > 0);
        assert_eq!(stage.live().await, map(&[]));
        stage.settings.source.projects_query = "select broken from".to_owned();
        let refused = stxworx_reconciler::engine::reconcile(
            &stage.mirror.pool,
            &stage.settings,
            &Wanted::Sweep,
        )
        .await;
        let error = stxworx_indexer::error_chain(&refused.expect_err("no query")).to_string();
        assert!(error.contains("platform.projects_query"), "{error}");
        stage.end().await;
    });
}

#[test]
fn rows_that_cannot_be_named_or_are_too_many_are_counted() {
    run(async {
        let mut stage = Stage::new(63, 60).await;
        let query = stage.settings.source.projects_query.clone();
        let number = stage
            .backend
            .db
            .number("select min(on_chain_id) from projects")
            .await;
        stage.backend.db.sql(format!(
            "insert into projects (id, on_chain_id) select 'x' || n, {number} from generate_series(1, 250) n;
             insert into projects (id) values (' ')"
        ))
        .await;
        stage.settings.source.projects_query = query;
        let report = stage.sweep().await;
        let notes: Vec<_> = report
            .notes
            .iter()
            .filter(|note| note["kind"] == "not_compared")
            .map(|note| note["count"].as_u64().unwrap())
            .collect();
        assert_eq!(notes, [1, 151], "{report:?}");
        assert!(report.skips["unreadable"].as_u64().unwrap() > 150);
        assert_eq!(
            stage
                .mirror
                .number("select count(*) from platform_row where key like 'x%'")
                .await,
            250
        );
        stage.end().await;
    });
}
