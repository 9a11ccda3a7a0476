//! Each fault that can be caused is found, and hides no other.

use std::net::TcpListener;

use axum::Router;
use axum::http::header;
use axum::routing::get;
use serde_json::{Value as Json, json};
use stxworx::post::Order;
use stxworx_clarity::market::Actor;
use stxworx_indexer::store::doctor;

use crate::support::app::{App, config};
use crate::support::db::TestDb;
use crate::support::mirror::settled;
use crate::support::{eventually, run};
use crate::tools::{Daemon, output, small_chain, stderr, stdout, stxworx};

/// What `doctor` says with this environment.
async fn said(environment: &[(&str, &str)], more: &[&str]) -> (Option<i32>, Json) {
    let mut arguments = vec!["doctor", "--output", "json"];
    arguments.extend(more);
    let mut command = stxworx(&arguments);
    command.envs(environment.iter().copied());
    let done = output(command).await;
    let report = serde_json::from_str(&stdout(&done))
        .unwrap_or_else(|e| panic!("{e}: {} {}", stdout(&done), stderr(&done)));
    (done.status.code(), report)
}

async fn of(db: &TestDb) -> Json {
    said(&[("DATABASE_URL", &db.url)], &[]).await.1
}

/// Severities and texts of a check.
fn found(report: &Json, check: &str) -> Vec<(String, String)> {
    let all = report["findings"].as_array().unwrap().iter();
    let text = |f: &Json, name: &str| f[name].as_str().unwrap().to_owned();
    all.filter(|f| f["check"] == check)
        .map(|f| (text(f, "severity"), text(f, "what")))
        .collect()
}

#[track_caller]
fn has(report: &Json, check: &str, severity: &str, words: &str) {
    let found = found(report, check);
    let is = |(s, what): &(String, String)| s == severity && what.contains(words);
    assert!(
        found.iter().any(is),
        "{check} {severity} {words}: {report:#}"
    );
}

/// A mirror of the small chain whose writer has ended.
async fn filled(settings: &[(&'static str, &str)]) -> TestDb {
    let db = TestDb::new().await;
    let app = App::start(&db, &config(settings)).await;
    app.post(small_chain().entries(), Order::default()).await;
    settled(&db).await;
    app.stop().await.unwrap();
    // A writer that had no time to let go of its lease holds it a little longer.
    eventually("a lease that nobody holds", || async {
        let held = "select count(*) from lease where expires_at > clock_timestamp()";
        match db.number(held).await {
            0 => Ok(()),
            held => Err(held.to_string()),
        }
    })
    .await;
    db
}

#[test]
fn a_good_database_has_one_fault_that_the_tests_give_it() {
    run(async {
        let db = filled(&[]).await;
        let (code, report) = said(&[("DATABASE_URL", &db.url)], &[]).await;
        // The tests' clusters do not wait for the disk.
        has(&report, "database.durability", "fault", "fsync is off");
        assert_eq!(code, Some(3), "{report:#}");
        for check in [
            "config",
            "database.version",
            "database.encoding",
            "database.schema",
            "database.grants",
            "database.indexes",
            "database.bloat",
            "database.connections",
            "clock.database",
            "mirror.kind",
            "mirror.tip",
            "mirror.inbox",
            "mirror.proofs",
            "webhooks",
            "ledger",
        ] {
            let severities: Vec<_> = found(&report, check).into_iter().map(|f| f.0).collect();
            assert_eq!(severities, ["fine"], "{check}: {report:#}");
        }
        has(&report, "mirror.writer", "warning", "nobody writes");
        has(&report, "source.node", "skipped", "node.rpc_url is empty");
        has(&report, "minter", "skipped", "nobody mints");
        // Each finding that is not fine says why, and what to do; each page that it names is there.
        for finding in report["findings"].as_array().unwrap() {
            if finding["severity"] == "warning" || finding["severity"] == "fault" {
                assert!(
                    finding["why"].is_string() && finding["do"].is_string(),
                    "{finding}"
                );
            }
        }
        db.drop().await;
    });
}

#[test]
fn a_minter_is_examined_by_its_own_checks() {
    run(async {
        let db = filled(&[]).await;
        let of = async |settings: &[(&str, &str)]| {
            let mut all = vec![("DATABASE_URL", db.url.as_str())];
            all.extend(settings);
            said(&all, &[]).await.1
        };
        let key = ("STXWORX_MINT_KEY_FILE", "/nonexistent/minter.key");
        let report = of(&[key]).await;
        has(&report, "minter", "warning", "no badges' contract yet");
        let badges = Actor::of("deployer").contract("freelance-badges");
        let badges = badges.to_string();
        let named = ("STXWORX_MINT_BADGES", badges.as_str());
        let report = of(&[key, named]).await;
        has(&report, "minter", "fault", "key file: ");
        has(&report, "minter", "fault", "nodes: none");
        let secret = hex::encode(Actor::of("minter").secret.secret_bytes());
        let of_env = [
            ("STXWORX_MINT_KEY_ENV", "EXAMINED_KEY"),
            ("EXAMINED_KEY", secret.as_str()),
            ("STXWORX_MINT_NODE_URLS", "http://127.0.0.1:1"),
            named,
        ];
        let report = of(&of_env).await;
        has(&report, "minter", "fault", "node: http://127.0.0.1:1");
        assert!(
            !report.to_string().contains(&secret),
            "the key is in the report"
        );
        db.drop().await;
    });
}

#[test]
fn rights_indexes_and_what_was_found_wrong() {
    run(async {
        let db = filled(&[]).await;
        db.sql(
            "grant insert on block to stxworx_reader; grant select on webhook_secret to stxworx_reader;
             revoke select on mirror from stxworx_reader; grant delete on event to stxworx_writer;
             drop index event_contract;
             update pg_index set indisvalid = false where indexrelid = 'canonical_pkey'::regclass;
             insert into cursor_proof (contract, index_block_hash, height, seq, head, verdict)
                 values ('c', decode(repeat('01', 32), 'hex'), 1, 1, decode(repeat('02', 32), 'hex'), 'differs');
             insert into webhook (url, filter, min_finality, on_failure, max_attempts, state, position, owner)
                 values ('https://x', '{}', 'seen', 'skip', 1, 'paused', 'p', 'o');
             insert into webhook_delivery (webhook_id, line, part, kind, position, state)
                 select id, 1, 0, 'frame', 'p', 'dead' from webhook;
             update inbox set state = 4 where id = (select max(id) from inbox);",
        )
        .await;
        let report = of(&db).await;
        has(
            &report,
            "database.grants",
            "fault",
            "stxworx_reader may change block",
        );
        has(&report, "database.grants", "fault", "raw: webhook_secret");
        has(
            &report,
            "database.grants",
            "fault",
            "stxworx_reader may not read mirror",
        );
        has(
            &report,
            "database.grants",
            "fault",
            "stxworx_writer may change or remove facts: event",
        );
        has(
            &report,
            "database.indexes",
            "fault",
            "canonical_pkey is not valid",
        );
        has(
            &report,
            "database.indexes",
            "fault",
            "event_contract is missing",
        );
        has(&report, "mirror.proofs", "fault", "1 contracts");
        has(&report, "webhooks", "warning", "1 dead letters");
        has(&report, "webhooks", "warning", "1 webhooks are paused");
        has(
            &report,
            "mirror.inbox",
            "warning",
            "1 payloads could not be read",
        );
        // What the tests broke in the catalogue is mended before the database goes.
        db.sql(
            "update pg_index set indisvalid = true where indexrelid = 'canonical_pkey'::regclass",
        )
        .await;
        db.drop().await;
    });
}

#[test]
fn schemas_of_other_versions_and_other_mirrors() {
    run(async {
        let db = filled(&[]).await;
        let environment = [
            ("DATABASE_URL", db.url.as_str()),
            ("STXWORX_NETWORK", "testnet"),
        ];
        let other = said(&environment, &[]).await.1;
        has(&other, "mirror.kind", "fault", "built with network devnet");
        db.sql("delete from _sqlx_migrations where version = (select max(version) from _sqlx_migrations)")
            .await;
        has(
            &of(&db).await,
            "database.schema",
            "warning",
            "migrations are missing",
        );
        db.sql(
            "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
             values (99999999999999, 'of tomorrow', true, '\\x00', 0)",
        )
        .await;
        has(&of(&db).await, "database.schema", "fault", "99999999999999");
        db.drop().await;

        let empty = TestDb::empty().await;
        let report = of(&empty).await;
        has(&report, "database.schema", "fault", "there is no schema");
        empty
            .sql("create database of_ascii encoding 'SQL_ASCII' lc_collate 'C' lc_ctype 'C' template template0")
            .await;
        let (head, tail) = empty.url.split_once("://").unwrap();
        let (place, options) = tail.split_once('?').unwrap_or((tail, ""));
        let place = place.rsplit_once('/').unwrap().0;
        let url = format!("{head}://{place}/of_ascii?{options}");
        let report = said(&[("DATABASE_URL", &url)], &[]).await.1;
        has(&report, "database.encoding", "fault", "SQL_ASCII");
        empty.sql("drop database of_ascii with (force)").await;
        empty.drop().await;
    });
}

#[test]
fn a_database_that_is_away_or_says_nothing_hides_nothing_else() {
    run(async {
        let closed = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = closed.local_addr().unwrap();
        drop(closed);
        let url = format!("postgres://u@{address}/d?sslmode=disable");
        let (code, report) = said(&[("DATABASE_URL", &url)], &["--timeout", "2s"]).await;
        assert_eq!(code, Some(3));
        let database = found(&report, "database");
        assert_eq!(database[0].0, "fault", "{report:#}");
        has(&report, "config", "fine", "without a contradiction");
        has(&report, "host.files", "fine", "may be open");

        // It takes the connection and never answers.
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!(
            "postgres://u@{}/d?sslmode=disable",
            silent.local_addr().unwrap()
        );
        let node = format!("http://{}", silent.local_addr().unwrap());
        let environment = [
            ("DATABASE_URL", url.as_str()),
            ("STXWORX_NODE_RPC_URL", &node),
        ];
        let (code, report) = said(&environment, &["--timeout", "1s"]).await;
        assert_eq!(code, Some(3));
        has(&report, "database", "fault", "no answer within 1 s");
        has(&report, "source.node", "fault", "no answer within 1 s");
        has(&report, "mirror", "skipped", "does not answer");
        has(&report, "config", "fine", "without a contradiction");
    });
}

#[test]
fn ports_of_others_and_of_ours() {
    run(async {
        let db = TestDb::new().await;
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        let taken = other.local_addr().unwrap().to_string();
        let mut command = stxworx(&["run", "--roles", "api"]);
        command.env("DATABASE_URL", &db.url);
        let mut daemon = Daemon::spawn(command);
        let api = daemon.address("api").await.to_string();
        let environment = [
            ("DATABASE_URL", db.url.as_str()),
            ("STXWORX_OBSERVER_LISTEN", &taken),
            ("STXWORX_API_LISTEN", &api),
        ];
        let report = said(&environment, &[]).await.1;
        let this = format!("process {}", std::process::id());
        has(&report, "port.observer", "fault", &this);
        let ours = format!("held by stxworx (process {})", daemon.pid());
        has(&report, "port.api", "fine", &ours);
        has(&report, "port.metrics", "skipped", "any port");
        assert_eq!(daemon.interrupt().await, Some(0));
        db.drop().await;
    });
}

#[test]
fn a_configuration_that_is_none_is_a_finding_and_exits_with_2() {
    run(async {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "[api]\nlistn = \"x\"\n").unwrap();
        let path = file.path().display().to_string();
        let (code, report) = said(&[("STXWORX_CONFIG", &path)], &[]).await;
        assert_eq!(code, Some(2));
        has(&report, "config", "fault", "did you mean \"api.listen\"?");
        // A contradiction is another thing: the rest is looked at.
        let node = [
            ("STXWORX_SOURCES_FOLLOW", "node"),
            ("STXWORX_DATA_DIR", "/nonexistent"),
        ];
        let (code, report) = said(&node, &[]).await;
        assert_eq!(code, Some(3));
        has(&report, "config", "fault", "node.rpc_url is empty");
        has(
            &report,
            "database",
            "skipped",
            "there is none in /nonexistent yet",
        );
    });
}

#[test]
fn clocks_of_others_and_roles_that_may_too_much() {
    run(async {
        let db = TestDb::new().await;
        let late = Router::new().route(
            "/extended",
            get(|| async {
                let answer =
                    json!({ "server_version": "an api", "chain_tip": { "block_height": 7 } });
                (
                    [(header::DATE, "Sun, 06 Nov 1994 08:49:37 GMT")],
                    axum::Json(answer),
                )
            }),
        );
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(async move { axum::serve(listener, late).await });
        db.sql("create table projects (id text, on_chain_id bigint)")
            .await;
        let environment = [
            ("DATABASE_URL", db.url.as_str()),
            ("STXWORX_API_SOURCE_URLS", &url),
            ("STXWORX_PLATFORM_URL", &db.url),
        ];
        let report = said(&environment, &[]).await.1;
        has(&report, "clock.api", "fault", "behind this machine's");
        has(&report, "source.api", "fine", "an api, height 7");
        has(
            &report,
            "source.api",
            "fault",
            "cannot fill a mirror of everything",
        );
        // What it gives of a project is too little, and its role is the owner of everything.
        has(
            &report,
            "source.platform",
            "warning",
            "rules cannot read it",
        );
        has(&report, "platform.role", "warning", "may change");
        has(
            &report,
            "reconciler",
            "warning",
            "no run has ended well yet",
        );
        server.abort();
        db.drop().await;
    });
}

#[test]
fn a_transaction_that_nobody_ends_is_found() {
    run(async {
        let db = TestDb::new().await;
        let mut open = db.pool.begin().await.unwrap();
        sqlx::raw_sql("select 1").execute(&mut *open).await.unwrap();
        let old = doctor::old_transactions(&db.pool, 0).await.unwrap();
        assert!(
            old.iter().any(|t| t.state == "idle in transaction"),
            "{old:?}"
        );
        let young = doctor::old_transactions(&db.pool, 300).await.unwrap();
        assert!(young.is_empty(), "{young:?}");
        open.rollback().await.unwrap();
        db.drop().await;
    });
}

#[test]
fn two_processes_that_count_otherwise_are_told() {
    run(async {
        let db = TestDb::new().await;
        let app = App::start(&db, &config(&[("chain.finality_burn_blocks", "9")])).await;
        app.post(small_chain().entries(), Order::default()).await;
        settled(&db).await;
        let report = of(&db).await;
        has(
            &report,
            "mirror.writer",
            "warning",
            "after 9 Bitcoin blocks, this configuration after 6",
        );
        app.stop().await.unwrap();
        db.drop().await;
    });
}
