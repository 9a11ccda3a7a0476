//! The schema comes to be, stays, and is refused where it does not fit.

use std::process::Output;

use stxworx::post::Order;
use stxworx_indexer::store::migrate;

use crate::support::app::{App, config};
use crate::support::db::TestDb;
use crate::support::mirror::{assert_verifies, fingerprint, settled};
use crate::support::run;
use crate::tools::{small_chain, stderr, stdout, stxworx, stxworx_on};

/// Every object of the schema with its definition, as text.
async fn schema(db: &TestDb) -> String {
    let columns = "select string_agg(format('%s.%s %s %s %s', table_name, column_name, data_type, is_nullable, column_default), E'\\n'
                       order by table_name, ordinal_position) from information_schema.columns where table_schema = 'public'";
    let rest = "select (select string_agg(indexdef, E'\\n' order by indexname) from pg_indexes where schemaname = 'public')
                    || (select string_agg(pg_get_constraintdef(oid) || conrelid::regclass, E'\\n' order by conname, oid) from pg_constraint where connamespace = 'public'::regnamespace)";
    format!(
        "{}\n{}",
        db.text(columns).await.unwrap(),
        db.text(rest).await.unwrap()
    )
}

async fn applied(db: &TestDb) -> String {
    db.text("select string_agg(version || ' ' || success || ' ' || installed_on, ',' order by version) from _sqlx_migrations")
        .await
        .unwrap()
}

#[test]
fn an_empty_database_gets_the_schema_and_a_second_time_changes_nothing() {
    run(async {
        let (empty, expected) = (TestDb::empty().await, TestDb::new().await);
        let first = stxworx_on(&empty, &["migrate"]).await;
        assert_eq!(first.status.code(), Some(0), "{first:?}");
        assert_eq!(
            stdout(&first),
            format!("the schema is at {}\n", migrate::latest_version())
        );
        assert_eq!(schema(&empty).await, schema(&expected).await);
        let before = (schema(&empty).await, applied(&empty).await);
        let second = stxworx_on(&empty, &["migrate"]).await;
        assert_eq!(
            (second.status.code(), stdout(&second)),
            (Some(0), stdout(&first))
        );
        assert_eq!((schema(&empty).await, applied(&empty).await), before);
        empty.drop().await;
        expected.drop().await;
    });
}

#[test]
fn several_daemons_migrate_one_empty_database_at_once() {
    run(async {
        let db = TestDb::empty().await;
        let all = (0..4).map(|_| stxworx_on(&db, &["migrate"]));
        for output in futures::future::join_all(all).await {
            assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        }
        let versions = db
            .number("select count(*) from _sqlx_migrations where success")
            .await;
        assert_eq!(
            versions,
            db.number("select count(distinct version) from _sqlx_migrations")
                .await
        );
        db.drop().await;
    });
}

/// A mirror of the small chain with this configuration; the daemon has ended.
async fn filled(settings: &[(&'static str, &str)]) -> TestDb {
    let db = TestDb::new().await;
    let app = App::start(&db, &config(settings)).await;
    app.post(small_chain().entries(), Order::default()).await;
    settled(&db).await;
    app.stop().await.unwrap();
    db
}

#[test]
fn migrating_a_filled_database_loses_nothing() {
    run(async {
        let db = filled(&[]).await;
        let before = (fingerprint(&db).await, schema(&db).await);
        migrate::migrate(&db.pool).await.unwrap();
        assert_eq!((fingerprint(&db).await, schema(&db).await), before);
        assert_verifies(&db).await;
        db.drop().await;
    });
}

#[test]
fn a_database_of_a_later_version_is_refused() {
    run(async {
        let db = TestDb::new().await;
        let later = migrate::latest_version() + 1;
        db.sql(format!(
            "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
             values ({later}, 'of tomorrow', true, '\\x00', 0)"
        ))
        .await;
        let expected = format!(
            "the database has migration {later}, which this version does not know: it was written by a later one. \
             Run that version, or restore a backup made before the upgrade"
        );
        for command in ["migrate", "run", "rebuild"] {
            let refused = stxworx_on(&db, &[command]).await;
            assert_eq!(refused.status.code(), Some(1), "{command}: {refused:?}");
            assert!(
                stderr(&refused).contains(&expected),
                "{command}: {}",
                stderr(&refused)
            );
        }
        let error = App::start_error(&db, &config(&[])).await;
        assert!(error.contains(&expected), "{error}");
        db.drop().await;
    });
}

impl App {
    /// Why a daemon does not start.
    async fn start_error(db: &TestDb, config: &stxworx::config::Config) -> String {
        let roles = [stxworx::daemon::Role::Indexer];
        match Self::try_start(&db.url, config, &roles).await {
            Ok(app) => panic!("it started and ended with {:?}", app.stop().await),
            Err(error) => stxworx_indexer::error_chain(&error).to_string(),
        }
    }
}

/// Names, one a line.
async fn listed(db: &TestDb, query: &str) -> String {
    db.text(format!(
        "select coalesce(string_agg(name, E'\\n' order by name), '') from ({query}) named"
    ))
    .await
    .unwrap()
}

#[test]
fn every_table_and_view_and_every_measure_has_a_comment() {
    run(async {
        let db = TestDb::new().await;
        let tables = "select c.relname::text as name from pg_class c
                      where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'v', 'p')
                        and c.relname not like '\\_sqlx%' and obj_description(c.oid, 'pg_class') is null";
        assert_eq!(listed(&db, tables).await, "", "without a comment");
        // Amounts, times and sizes mean nothing without their unit.
        let measures = "select c.relname || '.' || a.attname as name from pg_class c
                        join pg_attribute a on a.attrelid = c.oid
                        where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' and a.attnum > 0
                          and a.attname in ('fee', 'amount', 'body_bytes', 'block_time', 'burn_block_time', 'depth', 'position')
                          and col_description(c.oid, a.attnum) is null";
        assert_eq!(listed(&db, measures).await, "", "without a comment");
        db.drop().await;
    });
}

async fn run_until_refused(db: &TestDb, env: &[(&str, &str)]) -> Output {
    let mut command = stxworx(&["run", "--roles", "indexer"]);
    command
        .env("DATABASE_URL", &db.url)
        .envs(env.iter().copied());
    crate::tools::output(command).await
}

#[test]
fn a_mirror_of_something_else_is_refused_and_not_fenced() {
    run(async {
        let db = filled(&[("follow.mirror", "\"followed\"")]).await;
        let before = (
            fingerprint(&db).await,
            db.number("select writer_epoch from mirror").await,
        );
        let other_set = run_until_refused(&db, &[("STXWORX_FOLLOW_MIRROR", "all")]).await;
        assert_eq!(other_set.status.code(), Some(1), "{other_set:?}");
        let said = stderr(&other_set);
        assert!(
            said.contains("this mirror was built with follow set {"),
            "{said}"
        );
        assert!(
            said.contains("set it back, or rebuild with `stxworx rebuild --yes`"),
            "{said}"
        );
        let network = [
            ("STXWORX_FOLLOW_MIRROR", "followed"),
            ("STXWORX_NETWORK", "mainnet"),
        ];
        let other_network = run_until_refused(&db, &network).await;
        assert_eq!(other_network.status.code(), Some(1));
        let said = stderr(&other_network);
        let expected =
            "this mirror was built with network devnet, but the configuration says mainnet";
        assert!(said.contains(expected), "{said}");
        let after = (
            fingerprint(&db).await,
            db.number("select writer_epoch from mirror").await,
        );
        assert_eq!(after, before, "a refused daemon claims nothing");
        db.drop().await;
    });
}

#[test]
fn a_rebuild_adopts_another_follow_set_when_told_so() {
    run(async {
        let db = filled(&[]).await;
        let (before, payloads) = (
            fingerprint(&db).await,
            db.number("select count(*) from inbox").await,
        );
        let rebuild = |arguments: &'static [&'static str]| {
            let mut command = stxworx(arguments);
            command
                .env("DATABASE_URL", &db.url)
                .env("STXWORX_FOLLOW_MIRROR", "followed");
            command
                .env("STXWORX_FOLLOW_CONTRACTS", "")
                .env("STXWORX_FOLLOW_PRINCIPALS", "");
            crate::tools::output(command)
        };
        let dry = rebuild(&["rebuild"]).await;
        assert_eq!(dry.status.code(), Some(0), "{dry:?}");
        let said = format!(
            "would empty the derived tables and mark {payloads} stored payloads as not yet processed; add --yes to do it\n"
        );
        assert_eq!(stdout(&dry), said);
        assert_eq!(
            fingerprint(&db).await,
            before,
            "a rehearsal changes nothing"
        );
        assert_eq!(
            db.number("select count(*) from inbox where state = 0")
                .await,
            0
        );

        let done = rebuild(&["rebuild", "--yes"]).await;
        assert_eq!(done.status.code(), Some(0), "{done:?}");
        assert!(stdout(&done).starts_with(&format!("{payloads} payloads will be processed anew")));
        assert_eq!(db.number("select count(*) from block").await, 0);
        let none = [
            ("follow.mirror", "\"followed\""),
            ("follow.contracts", "[]"),
        ];
        let app = App::start(&db, &config(&none)).await;
        settled(&db).await;
        app.stop().await.unwrap();
        assert_eq!(
            db.number("select count(*) from block").await,
            7,
            "every header is kept"
        );
        assert_eq!(
            db.number("select count(*) from event").await,
            0,
            "nothing is followed"
        );
        assert_ne!(fingerprint(&db).await, before);
        assert_verifies(&db).await;
        db.drop().await;
    });
}
