//! What can go wrong with the private cluster: one variant per operation that failed.

use std::{io, path::PathBuf, process::ExitStatus, time::Duration};

/// Why the private cluster could not be found, made, started or stopped.
///
/// The text of a variant never repeats its source: print the whole chain to see both.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmbeddedError {
    /// No usable PostgreSQL was found in any of the places that are searched.
    #[error(
        "no PostgreSQL {minimum} or newer was found (searched: {}); run `make setup`, or set \
         DATABASE_URL to use a server of your own",
        searched.join("; ")
    )]
    BinariesNotFound {
        /// The oldest major version that will do.
        minimum: u32,
        /// Each place with what was found there.
        searched: Vec<String>,
    },
    /// `PG_BIN_DIR` names a folder that holds no usable PostgreSQL.
    #[error("PG_BIN_DIR={} cannot be used: {reason}", path.display())]
    BinDirUnusable {
        /// The folder that `PG_BIN_DIR` names.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The cluster was made by a major version that is not installed.
    #[error(
        "the cluster in {} was made by PostgreSQL {cluster}, but only {found} was found; install \
         PostgreSQL {cluster} or set PG_BIN_DIR to it, or move the data away and index anew",
        pgdata.display()
    )]
    MajorVersion {
        /// The data folder of the cluster.
        pgdata: PathBuf,
        /// The major version that made the cluster.
        cluster: u32,
        /// The versions that were found.
        found: String,
    },
    /// `PG_VERSION` of an existing cluster cannot be understood.
    #[error("{} does not hold a major version: {text:?}", path.display())]
    ClusterVersion {
        /// The `PG_VERSION` file.
        path: PathBuf,
        /// What it holds.
        text: String,
    },
    /// Another process of ours holds the data folder.
    #[error(
        "{} is in use by process {}; stop it first, or use another data folder",
        data_dir.display(),
        pid.map_or_else(|| "(unknown)".to_owned(), |pid| pid.to_string())
    )]
    Locked {
        /// The data folder.
        data_dir: PathBuf,
        /// The process that holds it, if it wrote its id.
        pid: Option<u32>,
    },
    /// An option has a value that cannot be used.
    #[error("{option} cannot be {value:?}: {reason}")]
    Option {
        /// The field of `Options`.
        option: &'static str,
        /// Its value.
        value: String,
        /// What would be allowed.
        reason: &'static str,
    },
    /// A file or folder could not be read, made or changed.
    #[error("could not {operation} {}", path.display())]
    File {
        /// What was tried, as a verb.
        operation: &'static str,
        /// On which path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The process is root, and there is no other account to run Postgres as.
    #[error("PostgreSQL refuses to run as root, and there is no account {} to run it as", tried.join(" or "))]
    NoAccount {
        /// The accounts that were looked up.
        tried: Vec<String>,
    },
    /// An account could not be looked up.
    #[error("could not look up the account {name}")]
    Account {
        /// The account.
        name: String,
        /// What the system said.
        source: nix::Error,
    },
    /// The cluster belongs to another account.
    #[error(
        "{} belongs to user id {owner}, but this process runs as user id {ours}",
        pgdata.display()
    )]
    NotOurs {
        /// The data folder of the cluster.
        pgdata: PathBuf,
        /// Who owns it.
        owner: u32,
        /// Who we are.
        ours: u32,
    },
    /// A program could not be run at all.
    #[error("could not run {}", program.display())]
    Spawn {
        /// The program.
        program: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// `initdb` ended with a failure.
    #[error("initdb could not make a cluster in {} ({status}):\n{output}", pgdata.display())]
    InitDb {
        /// Where the cluster was to be.
        pgdata: PathBuf,
        /// How it ended.
        status: ExitStatus,
        /// The end of what it printed.
        output: String,
    },
    /// The server ended while we waited for it to accept connections.
    #[error("PostgreSQL did not start ({status}); the end of {}:\n{tail}", log.display())]
    Start {
        /// How it ended.
        status: ExitStatus,
        /// Its log.
        log: PathBuf,
        /// The last lines of the log.
        tail: String,
    },
    /// The server runs but accepted no connection in time.
    #[error(
        "PostgreSQL accepted no connection within {} s; the end of {}:\n{tail}",
        waited.as_secs(),
        log.display()
    )]
    NotReady {
        /// How long was waited.
        waited: Duration,
        /// Its log.
        log: PathBuf,
        /// The last lines of the log.
        tail: String,
        /// What the last attempt said.
        source: sqlx::Error,
    },
    /// The database could not be made.
    #[error("could not create the database {database}")]
    CreateDatabase {
        /// Its name.
        database: String,
        /// What the server said.
        source: sqlx::Error,
    },
    /// A server that an earlier run left behind would not stop.
    #[error(
        "a PostgreSQL server of an earlier run (process {pid}) holds {} and did not stop within {} s; \
         stop it by hand",
        pgdata.display(),
        waited.as_secs()
    )]
    Orphan {
        /// The server's process.
        pid: i32,
        /// The data folder of the cluster.
        pgdata: PathBuf,
        /// How long was waited.
        waited: Duration,
    },
    /// A signal could not be sent.
    #[error("could not send {signal} to process {pid}")]
    Signal {
        /// The signal.
        signal: &'static str,
        /// The process.
        pid: i32,
        /// What the system said.
        source: nix::Error,
    },
    /// The end of the server could not be waited for.
    #[error("could not wait for process {pid}")]
    Wait {
        /// The process.
        pid: i32,
        /// What the system said.
        source: io::Error,
    },
    /// The running server ended without being asked to.
    #[error("PostgreSQL ended by itself ({status}); the end of {}:\n{tail}", log.display())]
    Died {
        /// How it ended.
        status: ExitStatus,
        /// Its log.
        log: PathBuf,
        /// The last lines of the log.
        tail: String,
    },
}

/// Attaches the operation and the path to an I/O error.
pub(super) fn file(
    operation: &'static str,
    path: impl Into<PathBuf>,
) -> impl FnOnce(io::Error) -> EmbeddedError {
    let path = path.into();
    move |source| EmbeddedError::File {
        operation,
        path,
        source,
    }
}
