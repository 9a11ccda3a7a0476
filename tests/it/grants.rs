//! What the roles of the database may do.

use std::sync::Arc;

use stxworx::post::Order;
use stxworx_indexer::metrics::Metrics;
use stxworx_indexer::pipeline::{self, PipelineConfig};
use stxworx_indexer::store::inbox::{self, Endpoint, Provenance, Source};
use stxworx_indexer::store::{self, Access};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::support::app::{App, config};
use crate::support::db::TestDb;
use crate::support::eventually;
use crate::support::mirror::{assert_verifies, settled, tip};
use crate::support::run;
use crate::tools::{SmallChain, small_chain};

async fn filled() -> TestDb {
    let db = TestDb::new().await;
    let app = App::start(&db, &config(&[])).await;
    app.post(small_chain().entries(), Order::default()).await;
    settled(&db).await;
    app.stop().await.unwrap();
    db
}

/// Runs one statement as a role and rolls it back; the error, if it is refused.
async fn attempt(db: &TestDb, role: &str, statement: &str) -> Result<(), String> {
    let mut transaction = db.pool.begin().await.unwrap();
    let sql = format!("set local role {role}; {statement}");
    let result = sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
        .execute(&mut *transaction)
        .await;
    transaction.rollback().await.unwrap();
    result.map(|_| ()).map_err(|e| e.to_string())
}

async fn assert_denied(db: &TestDb, role: &str, statement: &str) {
    let error = attempt(db, role, statement).await.expect_err(statement);
    assert!(error.contains("permission denied"), "{statement}: {error}");
}

async fn relations(db: &TestDb, kinds: &str) -> Vec<String> {
    let names = db
        .text(format!(
            "select string_agg(relname, ',' order by relname) from pg_class
             where relnamespace = 'public'::regnamespace and relkind in ({kinds})"
        ))
        .await;
    names.unwrap().split(',').map(str::to_owned).collect()
}

#[test]
fn the_reader_reads_everything_but_raw_payloads() {
    run(async {
        let db = filled().await;
        for relation in relations(&db, "'r', 'v'").await {
            let statement = format!("select * from {relation}");
            let hidden = [
                "inbox",
                "inbox_chunk",
                "webhook",
                "webhook_secret",
                "tx_attempt",
            ];
            if hidden.contains(&relation.as_str()) {
                assert_denied(&db, "stxworx_reader", &statement).await;
            } else {
                attempt(&db, "stxworx_reader", &statement).await.unwrap();
            }
        }
        assert_denied(&db, "stxworx_reader", "select body from inbox").await;
        assert_denied(&db, "stxworx_reader", "select body from inbox_chunk").await;
        let visible = "select id, received_at, endpoint, state, deliveries, body_bytes, sha256, error from inbox";
        attempt(&db, "stxworx_reader", visible).await.unwrap();
        db.drop().await;
    });
}

#[test]
fn the_reader_writes_nothing_anywhere() {
    run(async {
        let db = filled().await;
        for table in relations(&db, "'r'").await {
            let column = db.text(format!(
                "select attname::text from pg_attribute where attrelid = 'public.{table}'::regclass and attnum = 1"
            ));
            let column = column.await.unwrap();
            let table = format!("public.{table}");
            assert_denied(
                &db,
                "stxworx_reader",
                &format!("insert into {table} default values"),
            )
            .await;
            assert_denied(
                &db,
                "stxworx_reader",
                &format!("update {table} set {column} = default"),
            )
            .await;
            assert_denied(&db, "stxworx_reader", &format!("delete from {table}")).await;
            assert_denied(&db, "stxworx_reader", &format!("truncate {table} cascade")).await;
        }
        assert_denied(&db, "stxworx_reader", "create table public.mine (x int)").await;
        db.drop().await;
    });
}

/// The single text of a query, on a pool.
async fn text(pool: &sqlx::PgPool, query: &'static str) -> String {
    use sqlx::Row as _;
    let rows = sqlx::raw_sql(query).fetch_all(pool).await.unwrap();
    rows[0].get(0)
}

#[test]
fn the_pool_of_the_api_is_the_reader() {
    run(async {
        let db = TestDb::new().await;
        let pool = store::pool(&db.url, Access::Read, 2).unwrap();
        assert_eq!(
            text(&pool, "select current_user::text").await,
            "stxworx_reader"
        );
        assert_eq!(text(&pool, "show transaction_read_only").await, "on");
        let refused = sqlx::raw_sql("delete from reorg").execute(&pool).await;
        assert!(refused.is_err());
        pool.close().await;
        db.drop().await;
    });
}

#[test]
fn the_writer_may_not_change_or_remove_facts() {
    run(async {
        let db = filled().await;
        for table in [
            "block",
            "event",
            "transaction",
            "burn_block",
            "projection_version",
            "principal",
            "reorg",
        ] {
            let column = if table == "burn_block" {
                "hash"
            } else {
                "height"
            };
            let column = match table {
                "principal" => "name",
                "reorg" => "depth",
                _ => column,
            };
            assert_denied(
                &db,
                "stxworx_writer",
                &format!("update {table} set {column} = {column}"),
            )
            .await;
            assert_denied(&db, "stxworx_writer", &format!("delete from {table}")).await;
        }
        assert_denied(&db, "stxworx_writer", "delete from inbox").await;
        assert_denied(&db, "stxworx_writer", "delete from mirror").await;
        db.drop().await;
    });
}

/// The same database, with every connection in the role of the writer.
fn as_writer(db: &TestDb) -> sqlx::PgPool {
    store::pool(
        &format!("{}&options=-c%20role=stxworx_writer", db.url),
        Access::Write,
        4,
    )
    .unwrap()
}

async fn put_all(pool: &sqlx::PgPool, small: &SmallChain) {
    for entry in small.entries() {
        let endpoint = Endpoint::ALL
            .into_iter()
            .find(|e| format!("/{}", e.path()) == entry.path)
            .unwrap();
        let from = Provenance::whole(Source::Observer);
        inbox::put(pool, endpoint, from, &entry.body)
            .await
            .unwrap_or_else(|e| panic!("{}", stxworx_indexer::error_chain(&e)));
    }
}

fn followed() -> PipelineConfig {
    let config = config(&[]);
    PipelineConfig {
        network: "devnet".into(),
        follow: config.follow,
        finality_burn_blocks: 6,
    }
}

#[test]
fn the_writer_may_do_all_that_mirroring_needs() {
    run(async {
        let (db, small) = (TestDb::new().await, small_chain());
        let pool = as_writer(&db);
        assert_eq!(
            text(&pool, "select current_user::text").await,
            "stxworx_writer"
        );
        put_all(&pool, &small).await;
        let cancel = CancellationToken::new();
        let (metrics, wake) = (Arc::new(Metrics::new().unwrap()), Arc::new(Notify::new()));
        let mut pipeline = tokio::spawn(pipeline::run(
            pool.clone(),
            followed(),
            metrics,
            wake,
            cancel.clone(),
        ));
        let arrived = eventually("the tip", || async {
            let now = tip(&db).await;
            if now == Some(small.tip()) {
                Ok(())
            } else {
                Err(format!("{now:?}"))
            }
        });
        tokio::select! {
            () = arrived => {}
            ended = &mut pipeline => {
                let error = ended.unwrap().expect_err("an error");
                panic!("{}", stxworx_indexer::error_chain(&error));
            }
        }
        cancel.cancel();
        pipeline.await.unwrap().unwrap();
        pool.close().await;
        assert_verifies(&db).await;
        db.drop().await;
    });
}

/// A daemon whose database user is no more than the writer starts on a migrated database.
#[test]
fn a_daemon_runs_as_the_writer() {
    run(async {
        let db = TestDb::new().await;
        let url = format!("{}&options=-c%20role=stxworx_writer", db.url);
        let roles = [stxworx::daemon::Role::Indexer];
        match App::try_start(&url, &config(&[]), &roles).await {
            Ok(app) => app.stop().await.unwrap(),
            Err(error) => panic!("{}", stxworx_indexer::error_chain(&error)),
        }
        db.drop().await;
    });
}
