//! Reads that the API serves. Every read runs in one read-only snapshot ([`Snapshot`]), every statement
//! is checked at compile time, and every page is a keyset served by an index.
//!
//! Optional filters are written `($n::int is null or column = $n)`. Postgres folds such a condition away
//! only when it plans for the values at hand, hence [`connect_options`].

pub mod block;
pub mod boards;
pub mod contract;
pub mod completeness;
pub mod event;
pub mod fees;
pub mod explain;
pub mod market;
pub mod messages;
pub mod outbox;
pub mod milestones;
pub mod people;
pub mod projection;
pub mod projects;
pub mod reorg;
pub mod series;
pub mod snapshot;
pub mod status;
pub mod sync;
pub mod transaction;
mod types;

pub use snapshot::{BlockAt, Snapshot, Tip};
pub use types::{Hex, Uint, Ulong};

use sqlx::postgres::PgConnectOptions;

use super::StoreError;

/// How long one statement of the API may run, in milliseconds. Below the API's own time limit, so that
/// the database stops working for a reader who is gone.
pub const STATEMENT_TIMEOUT_MS: u32 = 10_000;

/// A read that failed.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The database refused, or could not be reached.
    #[error("reading {what} failed")]
    Database {
        /// What was being read.
        what: &'static str,
        /// Why.
        #[source]
        source: sqlx::Error,
    },
    /// The schema is there, but no daemon has begun this mirror yet.
    #[error("the mirror has not been initialised")]
    NotInitialised,
}

impl ReadError {
    /// Wraps a database error with what was being read.
    pub(crate) fn reading(what: &'static str) -> impl FnOnce(sqlx::Error) -> Self {
        move |source| Self::Database { what, source }
    }
}

impl From<StoreError> for ReadError {
    fn from(error: StoreError) -> Self {
        let source = match error {
            StoreError::Db { source, .. } => source,
            other => sqlx::Error::Decode(Box::new(other)),
        };
        Self::Database {
            what: "how the mirror is being filled",
            source,
        }
    }
}

/// Direction of a page walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Oldest, lowest or first name first.
    Asc,
    /// Newest first.
    Desc,
}

/// The settings that connections of the API need: plans for the values at hand, read-only by default,
/// and a limit on the time of a statement.
pub fn connect_options(options: PgConnectOptions) -> PgConnectOptions {
    options.options([
        ("plan_cache_mode", "force_custom_plan"),
        ("default_transaction_read_only", "on"),
        ("statement_timeout", &STATEMENT_TIMEOUT_MS.to_string()),
    ])
}

/// Rows of a page, cut at a number of rows and at a number of bytes.
#[derive(Debug)]
pub struct Rows<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// Are there more behind the last one?
    pub more: bool,
}

/// Collects at most `limit` rows, and fewer when they are very large: a value may have a megabyte, and
/// an answer has to fit in memory many times over. At least one row is taken. The statement asks for
/// `limit + 1` rows, so that the end is known.
pub(crate) async fn collect<T>(
    rows: impl futures::Stream<Item = Result<T, sqlx::Error>>,
    limit: u32,
    bytes_of: impl Fn(&T) -> usize,
) -> Result<Rows<T>, sqlx::Error> {
    collect_within(rows, limit, 8 << 20, bytes_of).await
}

/// The same with another number of bytes.
pub(crate) async fn collect_within<T>(
    rows: impl futures::Stream<Item = Result<T, sqlx::Error>>,
    limit: u32,
    most_bytes: usize,
    bytes_of: impl Fn(&T) -> usize,
) -> Result<Rows<T>, sqlx::Error> {
    use futures::TryStreamExt as _;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut page = Rows {
        rows: Vec::with_capacity(limit.min(256)),
        more: false,
    };
    let mut bytes = 0usize;
    futures::pin_mut!(rows);
    while let Some(row) = rows.try_next().await? {
        bytes = bytes.saturating_add(bytes_of(&row));
        let full = page.rows.len() >= limit || (bytes > most_bytes && !page.rows.is_empty());
        if full {
            page.more = true;
            break;
        }
        page.rows.push(row);
    }
    Ok(page)
}
