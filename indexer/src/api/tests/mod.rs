//! The API on a real database, through its router. Without `STXWORX_TEST_DATABASE_URL` (a server where
//! databases may be created) the tests that need one say so and pass.

mod answers;
mod breaks;
mod console;
mod frame;
mod market;
mod mints;
mod pages;
mod schema;

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use serde_json::Value;
use serde_json::value::RawValue;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tower::ServiceExt as _;

use super::access::{Caller, CallerKind, Role};
use super::{ApiState, Live, LiveStatus};
use crate::store::read::connect_options;

const SEED: &str = include_str!("seed.sql");
pub(super) const CONTRACT: &str = "ST1PQHQKV0RJXZFY1DGX8MNSNYVE3VGZJSRTPGZGM.freelance-logic";
pub(super) const OTHER: &str = "ST1PQHQKV0RJXZFY1DGX8MNSNYVE3VGZJSRTPGZGM.token";

/// A daemon in whatever state a test needs.
pub(super) struct Fixed(pub(super) Live);

impl LiveStatus for Fixed {
    fn live(&self) -> Live {
        self.0.clone()
    }
}

pub(super) fn well() -> Live {
    Live {
        received: 7,
        last_received_at: Some(SystemTime::now()),
        database_reachable: true,
        schema_current: true,
        ..Live::default()
    }
}

/// Renders anything that begins like a tuple; panics on a byte that no value begins with.
pub(super) fn render(bytes: &[u8]) -> Option<Box<RawValue>> {
    assert_ne!(bytes, [0xff], "a decoder's fault");
    let tuple = RawValue::from_string("{\"type\":\"tuple\"}".to_owned()).unwrap();
    (bytes.first() == Some(&0x0c)).then_some(tuple)
}

pub(super) fn state(pool: PgPool, live: Live) -> ApiState {
    ApiState::new(pool, "devnet".to_owned(), render, 6, Arc::new(Fixed(live)))
}

/// A seeded database of its own, and the API on it.
pub(super) struct Bed {
    pub(super) router: Router,
    writer: PgPool,
    reader: PgPool,
    server: PgConnectOptions,
    name: String,
}

/// What the API answered.
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) json: Value,
    pub(super) text: String,
}

impl Reply {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// A field of every row of a page.
    pub(super) fn column(&self, field: &str) -> Vec<Value> {
        let rows = self.json["data"]
            .as_array()
            .unwrap_or_else(|| panic!("no page: {}", self.text));
        rows.iter().map(|row| row[field].clone()).collect()
    }

    pub(super) fn heights(&self) -> Vec<u64> {
        self.column("height")
            .iter()
            .map(|height| height.as_u64().unwrap())
            .collect()
    }

    pub(super) fn next(&self) -> &str {
        self.json["next_cursor"].as_str().unwrap_or_default()
    }

    pub(super) fn code(&self) -> &str {
        self.json["code"].as_str().unwrap_or_default()
    }
}

pub(super) async fn send(router: &Router, request: Request<Body>) -> Reply {
    let response = router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    let json = serde_json::from_str(&text).unwrap_or_default();
    Reply {
        status: parts.status,
        headers: parts.headers,
        json,
        text,
    }
}

/// The same API, asked by somebody of this role.
pub(super) fn known_as(router: &Router, role: Role) -> Router {
    router.clone().layer(axum::Extension(Caller {
        role,
        name: "tester".to_owned(),
        kind: CallerKind::Key,
    }))
}

pub(super) async fn get(router: &Router, path: &str) -> Reply {
    send(router, Request::get(path).body(Body::empty()).unwrap()).await
}

impl Bed {
    /// None, with a printed reason, when no server is given.
    pub(super) async fn new(test: &str) -> Option<Self> {
        let Ok(url) = std::env::var("STXWORX_TEST_DATABASE_URL") else {
            println!("skipped: STXWORX_TEST_DATABASE_URL is not set");
            return None;
        };
        let server: PgConnectOptions = url.parse().unwrap();
        let name = format!("stxworx_api_{test}");
        let mut admin = PgConnection::connect_with(&server).await.unwrap();
        for statement in [
            format!("drop database if exists {name} with (force)"),
            format!("create database {name}"),
        ] {
            sqlx::raw_sql(AssertSqlSafe(statement))
                .execute(&mut admin)
                .await
                .unwrap();
        }
        let options = server.clone().database(&name);
        let writer = PgPoolOptions::new()
            .max_connections(1)
            .connect_with(options.clone())
            .await
            .unwrap();
        migrate(&writer).await;
        sqlx::raw_sql(SEED).execute(&writer).await.unwrap();
        let reader = PgPoolOptions::new()
            .max_connections(4)
            .connect_with(connect_options(options))
            .await
            .unwrap();
        let router = crate::api::router(state(reader.clone(), well()));
        Some(Self {
            router,
            writer,
            reader,
            server,
            name,
        })
    }

    pub(super) async fn get(&self, path: &str) -> Reply {
        get(&self.router, path).await
    }

    pub(super) async fn sql(&self, statements: &'static str) {
        sqlx::raw_sql(statements)
            .execute(&self.writer)
            .await
            .unwrap();
    }

    pub(super) async fn run(&self, statements: String) {
        sqlx::raw_sql(AssertSqlSafe(statements))
            .execute(&self.writer)
            .await
            .unwrap();
    }

    /// Runs a statement as the API's connections do.
    pub(super) async fn read(&self, statement: &'static str) {
        sqlx::raw_sql(statement)
            .execute(&self.reader)
            .await
            .unwrap();
    }

    /// How to reach the database without the API.
    pub(super) fn options(&self) -> PgConnectOptions {
        self.server.clone().database(&self.name)
    }

    /// Lets the API's connections report what they read: each does so when it is asked to.
    pub(super) async fn flush_statistics(&self) {
        for _ in 0..4 {
            sqlx::raw_sql("select pg_stat_force_next_flush()")
                .execute(&self.reader)
                .await
                .unwrap();
        }
    }

    /// The other fork becomes canonical: blocks 5 and 6 give way to 5', 6' and 7'.
    pub(super) async fn switch(&self) {
        self.sql("select test_switch()").await;
    }

    /// Block 7 extends the chain.
    pub(super) async fn extend(&self) {
        self.sql("select test_extend()").await;
    }

    pub(super) async fn finish(self) {
        drop(self.router);
        self.reader.close().await;
        self.writer.close().await;
        let mut admin = PgConnection::connect_with(&self.server).await.unwrap();
        let statement = format!("drop database if exists {} with (force)", self.name);
        sqlx::raw_sql(AssertSqlSafe(statement))
            .execute(&mut admin)
            .await
            .unwrap();
    }
}

async fn migrate(pool: &PgPool) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "sql"))
        .collect();
    files.sort();
    for file in files {
        let text = std::fs::read_to_string(file).unwrap();
        sqlx::raw_sql(AssertSqlSafe(text))
            .execute(pool)
            .await
            .unwrap();
    }
}

/// The hash that the seed gives to a name, as the API prints it.
pub(super) fn hash(name: &str) -> String {
    use sha2::{Digest as _, Sha256};
    format!("0x{}", hex::encode(Sha256::digest(name)))
}
