//! A private PostgreSQL cluster for one process.
//!
//! [`EmbeddedPostgres::start`] makes a cluster in a data folder on the first run, starts a real
//! PostgreSQL server on it, and hands out a URL. What holds:
//!
//! * **Private.** The server listens on a unix socket only, in a folder of mode 0700. There is no
//!   TCP port and no password.
//! * **One at a time.** A second start on the same data folder is refused with the process id of
//!   the first. The kernel drops the lock when its holder ends, even by `kill -9`.
//! * **Never wedged.** A killed run leaves its server behind; the next start stops that server in
//!   order and goes on with the same data.
//! * **Not as root.** PostgreSQL refuses root, so a root process runs it as `postgres` or `nobody`.
//!   If that account cannot reach the data folder, the cluster is kept under `/var/lib/stxworx`
//!   and the data folder holds a link to it.
//!
//! Only the programs `postgres` and `initdb` are needed, version 15 or newer; [`Search`] says where
//! they are looked for.

mod account;
mod cluster;
mod discover;
mod error;
mod socket;
#[cfg(test)]
mod tests;

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;
use sqlx::{
    AssertSqlSafe, Connection, PgConnection,
    postgres::{PgConnectOptions, PgSslMode},
};
use tokio::{process::Child, time};

pub use discover::{Binaries, MINIMUM_MAJOR, Search, Version};
pub use error::EmbeddedError;

use account::Account;
use error::file;
use socket::SocketDir;

/// The name of the superuser that the cluster is made with.
pub const SUPERUSER: &str = "stxworx";

/// How long a stop waits for open transactions to be rolled back and a checkpoint to be written.
const FAST_STOP: Duration = Duration::from_secs(30);
/// How long a stop waits after it has told the server to drop everything.
const IMMEDIATE_STOP: Duration = Duration::from_secs(5);
/// Pause between two looks at a server that is starting.
const POLL: Duration = Duration::from_millis(25);

/// What a committed transaction survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// A loss of power: every commit is on disk before it is acknowledged.
    #[default]
    Full,
    /// The end of any process, but not of the machine, after which the cluster may be corrupt.
    /// For tests and throw-away data only: it saves the waits for the disk.
    Off,
}

/// How to start a private cluster. `Options::new` fills in what is usual.
#[derive(Debug, Clone)]
pub struct Options {
    /// The folder for the cluster, its lock and its log; made if missing.
    pub data_dir: PathBuf,
    /// The database that the URL leads to; made if missing. Lower-case letters, digits and `_`.
    pub database: String,
    /// What a commit survives.
    pub durability: Durability,
    /// How long to wait for the server to accept connections. Recovery after a crash counts.
    pub start_timeout: Duration,
    /// Server settings that replace or add to the usual ones.
    pub settings: Vec<(String, String)>,
    /// Where to look for the programs.
    pub search: Search,
}

impl Options {
    /// Full durability, 60 s to start, programs from the usual places.
    pub fn new(data_dir: impl Into<PathBuf>, database: impl Into<String>) -> Self {
        Self {
            data_dir: data_dir.into(),
            database: database.into(),
            durability: Durability::Full,
            start_timeout: Duration::from_secs(60),
            settings: Vec::new(),
            search: Search::from_env(),
        }
    }
}

/// A running private cluster. Call [`stop`](Self::stop) to end it in order.
///
/// Dropping it ends the server at once; committed data survives and the next start recovers it.
#[derive(Debug)]
#[must_use = "dropping it stops the server"]
pub struct EmbeddedPostgres {
    server: Option<Child>,
    pid: i32,
    home: PathBuf,
    data_dir: PathBuf,
    log: PathBuf,
    database: String,
    version: Version,
    sockets: SocketDir,
    // Last, so that the folder is ours until everything else is gone.
    _lock: cluster::Lock,
}

impl EmbeddedPostgres {
    /// Makes the cluster if there is none, ends what an earlier run left behind, starts the server,
    /// waits until it accepts connections, and makes the database if there is none.
    ///
    /// # Errors
    /// One variant of [`EmbeddedError`] per step. If the server does not start, the error holds the
    /// end of its log. Nothing is left running after an error.
    pub async fn start(options: Options) -> Result<Self, EmbeddedError> {
        check_name(&options.database)?;
        fs::create_dir_all(&options.data_dir).map_err(file("make", &options.data_dir))?;
        let data_dir =
            fs::canonicalize(&options.data_dir).map_err(file("read", &options.data_dir))?;
        let lock = cluster::lock(&data_dir)?;

        let account = Account::choose(&data_dir.join("pgdata"))?;
        let home = account::home_for(&data_dir, account)?;
        let pgdata = home.join("pgdata");
        let major = cluster::major_of(&pgdata)?;
        let mut binaries = options
            .search
            .find(major.map(|major| (major, pgdata.as_path())))?;
        if let Some(account) = account {
            let root = account::reachable_copy(&binaries.root, account)?;
            let inside = binaries
                .bin_dir
                .strip_prefix(&binaries.root)
                .map(|dir| root.join(dir));
            binaries.bin_dir = inside.unwrap_or(binaries.bin_dir);
        }

        let sockets = SocketDir::make(&home, account)?;
        if major.is_none() {
            cluster::init(&home, &binaries, account, options.durability).await?;
        } else {
            cluster::clear_orphan(&pgdata, &sockets.path).await?;
        }

        let log = data_dir.join("postgres.log");
        let server = launch(&options, &binaries, account, &pgdata, &sockets.path, &log).await?;
        let pid = server
            .id()
            .and_then(|pid| i32::try_from(pid).ok())
            .unwrap_or_default();
        let mut running = Self {
            server: Some(server),
            pid,
            home,
            data_dir,
            log,
            database: options.database,
            version: binaries.version,
            sockets,
            _lock: lock,
        };
        running.wait_until_ready(options.start_timeout).await?;
        running.create_database().await?;
        tracing::info!(
            pid,
            version = %running.version,
            pgdata = %pgdata.display(),
            durability = ?options.durability,
            "embedded PostgreSQL is ready",
        );
        Ok(running)
    }

    /// A URL for sqlx and libpq, e.g. `postgres:///db?host=/data/sock&port=5432&user=stxworx&sslmode=disable`.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_of(&self.database)
    }

    /// The same for another database of the cluster.
    #[must_use]
    pub fn url_of(&self, database: &str) -> String {
        socket::url(&self.sockets.path, database)
    }

    /// The version of the server.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// The process id of the server.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// The server's log.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Waits until the server ends without being asked to, and says how. Safe to cancel.
    ///
    /// The process that needs the database should end when this returns.
    pub async fn died(&mut self) -> EmbeddedError {
        let Some(server) = &mut self.server else {
            return std::future::pending().await;
        };
        match server.wait().await {
            Ok(status) => EmbeddedError::Died {
                status,
                log: self.log.clone(),
                tail: cluster::tail(&self.log),
            },
            Err(source) => EmbeddedError::Wait {
                pid: self.pid,
                source,
            },
        }
    }

    /// Stops the server: open transactions are rolled back, connections are closed, a checkpoint
    /// is written. If that takes more than 30 s, everything is dropped; the next start recovers.
    ///
    /// # Errors
    /// [`EmbeddedError::Signal`] or [`EmbeddedError::Wait`], after which the drop of the value ends
    /// the server.
    pub async fn stop(mut self) -> Result<(), EmbeddedError> {
        self.shut_down().await
    }

    /// Stops the server and removes the cluster with all its data.
    ///
    /// # Errors
    /// As [`stop`](Self::stop), and [`EmbeddedError::File`] if something cannot be removed.
    pub async fn destroy(mut self) -> Result<(), EmbeddedError> {
        self.shut_down().await?;
        let link = self.data_dir.join("pgdata");
        if link.is_symlink() {
            fs::remove_file(&link).map_err(file("remove", &link))?;
            return fs::remove_dir_all(&self.home).map_err(file("remove", &self.home));
        }
        for name in ["pgdata", "sock"] {
            let path = self.home.join(name);
            if path.exists() {
                fs::remove_dir_all(&path).map_err(file("remove", &path))?;
            }
        }
        Ok(())
    }

    async fn shut_down(&mut self) -> Result<(), EmbeddedError> {
        let Some(server) = &mut self.server else {
            return Ok(());
        };
        let pid = self.pid;
        let wait_error = |source| EmbeddedError::Wait { pid, source };
        for (signal, wait) in [
            (Signal::SIGINT, FAST_STOP),
            (Signal::SIGQUIT, IMMEDIATE_STOP),
        ] {
            // Until it is waited for, the id is ours and cannot be another process's.
            if server.try_wait().map_err(wait_error)?.is_none() {
                cluster::send(pid, signal)?;
            }
            if let Ok(ended) = time::timeout(wait, server.wait()).await {
                let status = ended.map_err(wait_error)?;
                tracing::info!(pid, %status, "embedded PostgreSQL has stopped");
                self.server = None;
                return Ok(());
            }
            tracing::warn!(
                pid,
                ?signal,
                waited_s = wait.as_secs(),
                "PostgreSQL does not stop"
            );
        }
        server.kill().await.map_err(wait_error)?;
        self.server = None;
        Ok(())
    }

    fn connect_options(&self, database: &str) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .socket(&self.sockets.path)
            .port(5432)
            .username(SUPERUSER)
            .database(database)
            .ssl_mode(PgSslMode::Disable)
    }

    async fn wait_until_ready(&mut self, limit: Duration) -> Result<(), EmbeddedError> {
        let deadline = Instant::now() + limit;
        let options = self.connect_options("postgres");
        loop {
            if let Some(server) = &mut self.server
                && let Some(status) = server.try_wait().map_err(|source| EmbeddedError::Wait {
                    pid: self.pid,
                    source,
                })?
            {
                self.server = None;
                let tail = cluster::tail(&self.log);
                return Err(EmbeddedError::Start {
                    status,
                    log: self.log.clone(),
                    tail,
                });
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let attempt = time::timeout(left.max(POLL), PgConnection::connect_with(&options));
            let source = match attempt.await {
                Ok(Ok(connection)) => {
                    // Closing is a courtesy: the server is up, which is what was asked.
                    let _ = connection.close().await;
                    return Ok(());
                }
                Ok(Err(source)) => source,
                Err(_elapsed) => sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()),
            };
            if Instant::now() >= deadline {
                return Err(EmbeddedError::NotReady {
                    waited: limit,
                    log: self.log.clone(),
                    tail: cluster::tail(&self.log),
                    source,
                });
            }
            time::sleep(POLL).await;
        }
    }

    async fn create_database(&self) -> Result<(), EmbeddedError> {
        let failed = |source| EmbeddedError::CreateDatabase {
            database: self.database.clone(),
            source,
        };
        match PgConnection::connect_with(&self.connect_options(&self.database)).await {
            Ok(connection) => return connection.close().await.map_err(failed),
            // invalid_catalog_name: there is no such database.
            Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("3D000") => {}
            Err(error) => return Err(failed(error)),
        }
        let mut connection = PgConnection::connect_with(&self.connect_options("postgres"))
            .await
            .map_err(failed)?;
        // A name cannot be a bind parameter; `check_name` has let only plain identifiers through.
        let statement = format!("CREATE DATABASE \"{}\" TEMPLATE template0", self.database);
        sqlx::raw_sql(AssertSqlSafe(statement))
            .execute(&mut connection)
            .await
            .map_err(failed)?;
        connection.close().await.map_err(failed)
    }
}

impl Drop for EmbeddedPostgres {
    /// Ends the server at once if it still runs. Waits a moment for it, so that the lock is not
    /// free before the server is gone.
    fn drop(&mut self) {
        let Some(mut server) = self.server.take() else {
            return;
        };
        if matches!(server.try_wait(), Ok(Some(_))) {
            return;
        }
        // Nobody is left to report to: if the signal fails, the kill below is next.
        let _ = cluster::send(self.pid, Signal::SIGQUIT);
        let deadline = Instant::now() + IMMEDIATE_STOP;
        while Instant::now() < deadline {
            if matches!(server.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = server.start_kill();
    }
}

/// Starts the server process in a process group of its own: a Ctrl-C at the terminal is for us,
/// and we stop the server when nothing needs it any more.
async fn launch(
    options: &Options,
    binaries: &Binaries,
    account: Option<Account>,
    pgdata: &Path,
    sockets: &Path,
    log: &Path,
) -> Result<Child, EmbeddedError> {
    let program = binaries.bin_dir.join("postgres");
    let mut command = account::command(&program, account);
    command.arg("-D").arg(pgdata).arg("-k").arg(sockets);
    for (name, value) in usual_settings(options.durability) {
        command.arg("-c").arg(format!("{name}={value}"));
    }
    let compression = wal_compression(&program, account, pgdata).await;
    command
        .arg("-c")
        .arg(format!("wal_compression={compression}"));
    for (name, value) in &options.settings {
        command.arg("-c").arg(format!("{name}={value}"));
    }
    command
        .stdout(cluster::open_log(log)?)
        .stderr(cluster::open_log(log)?)
        .process_group(0)
        .spawn()
        .map_err(|source| EmbeddedError::Spawn { program, source })
}

/// Settings for a small machine (2 cores, a few GiB) with one busy writer.
fn usual_settings(durability: Durability) -> Vec<(&'static str, &'static str)> {
    let mut settings = vec![
        ("listen_addresses", ""),
        ("unix_socket_permissions", "0700"),
        ("max_connections", "100"),
        ("shared_buffers", "256MB"),
        ("effective_cache_size", "1GB"),
        ("work_mem", "16MB"),
        ("maintenance_work_mem", "128MB"),
        ("max_wal_size", "2GB"),
        ("checkpoint_timeout", "15min"),
        ("random_page_cost", "1.1"),
        ("jit", "off"),
        ("timezone", "UTC"),
        ("log_timezone", "UTC"),
        ("logging_collector", "off"),
        ("log_destination", "stderr"),
        ("log_line_prefix", "%m [%p] "),
        ("log_min_duration_statement", "5s"),
    ];
    // With `Off` a commit still waits for its write-ahead log to be handed to the system, which is
    // cheap: without that, the end of the server process would lose acknowledged commits.
    settings.extend(match durability {
        Durability::Full => [
            ("fsync", "on"),
            ("full_page_writes", "on"),
            ("synchronous_commit", "on"),
        ],
        Durability::Off => [
            ("fsync", "off"),
            ("full_page_writes", "off"),
            ("synchronous_commit", "on"),
        ],
    });
    settings
}

/// The best compression of the write-ahead log that this build has: builds differ.
async fn wal_compression(program: &Path, account: Option<Account>, pgdata: &Path) -> &'static str {
    for method in ["zstd", "lz4"] {
        let setting = format!("wal_compression={method}");
        let checked = account::command(program, account)
            .arg("-D")
            .arg(pgdata)
            .args(["-c", &setting, "-C", "wal_compression"])
            .output()
            .await;
        if checked.is_ok_and(|output| output.status.success()) {
            return method;
        }
    }
    "on"
}

fn check_name(database: &str) -> Result<(), EmbeddedError> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if (1..=63).contains(&database.len()) && database.bytes().all(plain) {
        return Ok(());
    }
    Err(EmbeddedError::Option {
        option: "database",
        value: database.to_owned(),
        reason: "it must be 1 to 63 lower-case letters, digits or underscores",
    })
}
