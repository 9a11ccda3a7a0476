//! One throw-away cluster for all tests of the run, one database for each test.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::{Connection as _, PgConnection, PgPool};
use stxworx::embedded::{Durability, EmbeddedPostgres, Options};
use stxworx_indexer::store::{self, Access, migrate};

struct Cluster {
    server: EmbeddedPostgres,
    // Ends the server and removes its folder when this process ends, however it ends.
    _janitor: std::process::Child,
    // The server's task watches its child on this runtime, which must outlive the tests'.
    _runtime: tokio::runtime::Runtime,
}

/// A static is never dropped, and a test run may be killed: the end of this process closes the pipe.
fn janitor(server: i32, folder: &std::path::Path) -> std::process::Child {
    let script = r#"read -r _; kill -QUIT "$0"; while kill -0 "$0" 2>/dev/null; do sleep 0.1; done; rm -rf "$1""#;
    std::process::Command::new("sh")
        .args(["-c", script, &server.to_string()])
        .arg(folder)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap()
}

const TEMPLATE: &str = "template_mirror";

fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        std::thread::spawn(|| {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(1)
                .enable_all()
                .build()
                .unwrap();
            let folder = tempfile::tempdir().unwrap();
            let server = runtime.block_on(async {
                let mut options = Options::new(folder.path(), TEMPLATE);
                options.durability = Durability::Off;
                options
                    .settings
                    .push(("max_connections".into(), "200".into()));
                let server = EmbeddedPostgres::start(options).await.unwrap();
                let pool = store::pool(&server.url(), Access::Write, 2).unwrap();
                migrate::migrate(&pool).await.unwrap();
                pool.close().await;
                server
            });
            let janitor = janitor(server.pid(), &folder.keep());
            Cluster {
                server,
                _janitor: janitor,
                _runtime: runtime,
            }
        })
        .join()
        .unwrap()
    })
}

/// A database with the schema, dropped at the end.
pub struct TestDb {
    name: String,
    pub url: String,
    pub pool: PgPool,
}

impl TestDb {
    /// A migrated database.
    pub async fn new() -> Self {
        Self::from_template(&format!("template {TEMPLATE} strategy file_copy")).await
    }

    /// A database without any schema.
    pub async fn empty() -> Self {
        Self::from_template("template template0").await
    }

    /// The database of a cluster that belongs to the test alone; it goes with its cluster.
    pub async fn of(server: &EmbeddedPostgres) -> Self {
        let url = server.url();
        let pool = store::pool(&url, Access::Write, 8).unwrap();
        migrate::migrate(&pool).await.unwrap();
        Self {
            name: String::new(),
            url,
            pool,
        }
    }

    async fn from_template(clause: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        static ONE_AT_A_TIME: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
        let server = tokio::task::spawn_blocking(|| &cluster().server)
            .await
            .unwrap();
        let name = format!("t{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let lock = ONE_AT_A_TIME.lock().await;
        let mut admin = PgConnection::connect(&server.url_of("postgres"))
            .await
            .unwrap();
        let sql = format!("create database {name} {clause}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
            .execute(&mut admin)
            .await
            .unwrap();
        drop(lock);
        let url = server.url_of(&name);
        let pool = store::pool(&url, Access::Write, 8).unwrap();
        Self { name, url, pool }
    }

    /// Runs statements as they are, for arranging what no code path would do.
    pub async fn sql(&self, statements: impl Into<String>) {
        let statements = sqlx::AssertSqlSafe(statements.into());
        sqlx::raw_sql(statements).execute(&self.pool).await.unwrap();
    }

    /// The single text (or null) that a query gives; cast to text in the query.
    pub async fn text(&self, query: impl Into<String>) -> Option<String> {
        use sqlx::Row as _;
        let query = sqlx::AssertSqlSafe(query.into());
        let rows = sqlx::raw_sql(query).fetch_all(&self.pool).await.unwrap();
        rows.first().and_then(|row| row.get::<Option<String>, _>(0))
    }

    /// The single number that a query gives; cast to text in the query.
    pub async fn number(&self, query: &str) -> i64 {
        let text = self.text(format!("select ({query})::text")).await;
        text.expect("a number").parse().expect("a number")
    }

    /// Ends all connections and drops the database.
    pub async fn drop(self) {
        self.pool.close().await;
        let server = &cluster().server;
        let mut admin = PgConnection::connect(&server.url_of("postgres"))
            .await
            .unwrap();
        let sql = sqlx::AssertSqlSafe(format!("drop database {} with (force)", self.name));
        sqlx::raw_sql(sql).execute(&mut admin).await.unwrap();
    }
}
