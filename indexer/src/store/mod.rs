//! All SQL of the mirror.
//!
//! Only [`commit`] opens a write transaction for facts; it moves rows, digests, pointers, outbox and
//! watermark together (WM-1), from the expected position or not at all (WM-2).

pub mod admin;
pub mod archive;
pub mod audit;
pub mod bulk;
pub mod market;
pub mod migrate;
pub mod evidence;
pub mod inbox;
pub mod keys;
pub mod load;
pub mod lease;
pub mod mint;
pub mod ledger;
pub mod webhook;
pub mod watch;
pub mod window;
pub mod batch;
pub mod commit;
pub mod rebuild;
pub mod sync;
pub mod proof;
pub mod deep;
pub mod doctor;
pub mod reconcile;
pub mod reindex;
pub mod read;

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Executor as _, PgPool};

/// Connections to the mirror's database.
pub use sqlx::PgPool as Pool;

/// A statement or a rule of the store that failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database refused or could not be reached.
    #[error("the database could not {operation}")]
    Db {
        /// What was being done, as a verb phrase.
        operation: &'static str,
        /// What the database said.
        source: sqlx::Error,
    },
    /// A migration failed.
    #[error("the schema could not be migrated")]
    Migrate(#[source] sqlx::migrate::MigrateError),
    /// The schema was made by a later version.
    #[error(
        "the database has migration {version}, which this version does not know: it was written by a \
         later one. Run that version, or restore a backup made before the upgrade"
    )]
    NewerSchema {
        /// The unknown migration.
        version: i64,
    },
    /// The mirror was built for something else.
    #[error(
        "this mirror was built with {what} {stored}, but the configuration says {configured}. Rows \
         would be missing without a trace: set it back, or rebuild with `stxworx rebuild --yes`"
    )]
    OtherMirror {
        /// Which setting.
        what: &'static str,
        /// What the database holds.
        stored: String,
        /// What the configuration says.
        configured: String,
    },
    /// The mirror is not at the position from which this batch was made (WM-2): the database lost its
    /// last commits in a crash, or another writer is at work. Reading the position again tells which.
    #[error("the watermark is not where this writer left it")]
    Moved,
    /// Payloads that hold less than another follow set needs.
    #[error(
        "{payloads} stored payloads were cut down to another follow set when they were fetched: what is to be followed \
         now is missing from them. Nothing was changed. Set the follow set back, or begin with an empty database"
    )]
    CutDown {
        /// How many.
        payloads: i64,
    },
    /// Another process works on the same archive, or the job was finished meanwhile.
    #[error(
        "the backfill is not where this process left it: another one reads the same archive. Let one of them go on"
    )]
    OtherBackfill,
    /// Another writer has claimed the mirror.
    #[error("another writer has taken over this mirror; only one may write")]
    LostWatermark,
    /// A stored row that no code path writes.
    #[error("{table} holds a row that cannot be read: {detail}. Run `stxworx verify`")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// What is wrong.
        detail: String,
    },
    /// A stored body could not be compressed or decompressed.
    #[error("the body of inbox row {inbox_id} could not be decompressed")]
    Body {
        /// The row.
        inbox_id: i64,
        /// Why.
        source: std::io::Error,
    },
}

impl StoreError {
    pub(crate) fn db(operation: &'static str) -> impl FnOnce(sqlx::Error) -> Self {
        move |source| Self::Db { operation, source }
    }

    /// Did a rule of the schema refuse the rows (a trigger, a constraint)?
    pub fn is_refusal(&self) -> bool {
        let Self::Db { source, .. } = self else {
            return false;
        };
        let code = source.as_database_error().and_then(|e| e.code());
        code.is_some_and(|c| c == "P0001" || c.starts_with("23"))
    }

    /// Will the same attempt succeed later, without anyone's doing?
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Db { source, .. } => match source {
                sqlx::Error::Io(_)
                | sqlx::Error::PoolTimedOut
                | sqlx::Error::WorkerCrashed
                | sqlx::Error::Tls(_)
                | sqlx::Error::Protocol(_) => true,
                // Classes 08 connection, 53 resources, 57 operator intervention, 40 rollback; 25P03 is a transaction
                // that the server ended because we slept in it.
                sqlx::Error::Database(e) => e.code().is_some_and(|c| {
                    ["08", "53", "57", "40", "25P03"]
                        .iter()
                        .any(|class| c.starts_with(class))
                }),
                _ => false,
            },
            Self::Moved => true,
            _ => false,
        }
    }
}

/// How a pool is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Writes the mirror.
    Write,
    /// Serves reads: read only, as the role `stxworx_reader` where it exists.
    Read,
    /// Writes for the API's administrative routes.
    Admin,
}

/// Opens a pool. Does not connect yet: the first use does, and waits at most ten seconds.
///
/// # Errors
/// When the URL is not a Postgres URL.
pub fn pool(url: &str, access: Access, max_connections: u32) -> Result<PgPool, StoreError> {
    let options: PgConnectOptions = url
        .parse()
        .map_err(StoreError::db("understand the database URL"))?;
    let options = options.application_name(match access {
        Access::Write => "stxworx writer",
        Access::Read => "stxworx reader",
        Access::Admin => "stxworx admin",
    });
    let options = match access {
        Access::Write => options,
        Access::Read => read::connect_options(options),
        Access::Admin => {
            options.options([("statement_timeout", &read::STATEMENT_TIMEOUT_MS.to_string())])
        }
    };
    let pool = PgPoolOptions::new()
        .max_connections(max_connections)
        .acquire_timeout(Duration::from_secs(10))
        .after_connect(move |connection, _| {
            Box::pin(async move {
                if access == Access::Read {
                    // Without the role (a managed server that forbids it) reads stay read only.
                    connection
                        .execute(
                            "do $$ begin if exists (select from pg_roles where rolname = 'stxworx_reader') \
                             and pg_has_role(current_user, 'stxworx_reader', 'member') \
                             then set role stxworx_reader; end if; end $$",
                        )
                        .await?;
                }
                Ok(())
            })
        })
        .connect_lazy_with(options);
    Ok(pool)
}

/// Begins a transaction with this statement, on a task of its own.
///
/// A caller that is cancelled in the middle (a client that hangs up) must not leave its connection inside
/// a transaction: sqlx 0.9 would hand it on as if it were free, and the next caller's commits would be part
/// of a transaction that nobody ends. The task is not cancelled; it drops what nobody takes, which
/// rolls back.
pub(crate) async fn begin(
    pool: &PgPool,
    statement: &'static str,
) -> Result<sqlx::Transaction<'static, sqlx::Postgres>, sqlx::Error> {
    let pool = pool.clone();
    match tokio::spawn(async move { pool.begin_with(statement).await }).await {
        Ok(begun) => begun,
        Err(_) => Err(sqlx::Error::WorkerCrashed),
    }
}

/// Does the database answer?
///
/// # Errors
/// When it does not.
pub async fn ping(pool: &PgPool) -> Result<(), StoreError> {
    sqlx::query!("select 1 as one")
        .fetch_one(pool)
        .await
        .map_err(StoreError::db("answer"))?;
    Ok(())
}

/// What a daemon watches in its database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// Has the newest migration of this version been applied?
    pub schema_current: bool,
    /// Payloads not yet processed.
    pub received: i64,
    /// Blocks that wait for their parent.
    pub detached: i64,
    /// Payloads that could not be decoded.
    pub quarantined: i64,
    /// Height of the canonical tip.
    pub tip_height: Option<i32>,
}

/// Looks at the database.
///
/// # Errors
/// When it does not answer or has no schema.
pub async fn health(pool: &PgPool) -> Result<Health, StoreError> {
    let schema_current = migrate::is_current(pool).await?;
    let row = sqlx::query!(
        r#"select (select count(*) from inbox where state = 0) as "received!",
                  (select count(*) from inbox where state = 3) as "detached!",
                  (select count(*) from inbox where state = 4) as "quarantined!",
                  (select max(height) from canonical) as tip_height"#
    )
    .fetch_one(pool)
    .await
    .map_err(StoreError::db("say how it is"))?;
    Ok(Health {
        schema_current,
        received: row.received,
        detached: row.detached,
        quarantined: row.quarantined,
        tip_height: row.tip_height,
    })
}
