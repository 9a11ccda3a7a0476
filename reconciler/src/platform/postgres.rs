//! The platform's Postgres database, read and never written.
//!
//! Three things hold the last part, each enough by itself where the role has no more rights than it needs: connections
//! are read only by default, the transaction of a run is declared read only, and a configured query stands as a part of
//! a statement of ours, which the protocol sends alone.
//!
//! A run reads everything in one `repeatable read` transaction, by a cursor, a page at a time: rows of the same moment,
//! in bounded memory, each value as text or null.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgRow};
use sqlx::{
    AssertSqlSafe, Column as _, Executor as _, PgPool, Postgres, SqlSafeStr as _,
    Statement as _, Transaction, TypeInfo as _,
};
use stxworx_indexer::store::reconcile::image::{NOWHERE, Scope, Spot};

use super::Row;

/// Rows of a page.
const PAGE: usize = 1_000;
/// A row larger than this, in bytes of JSON, has its long values cut.
const LARGE_ROW: usize = 65_536;
/// Milestones that the platform's own schema has.
const SEED_MILESTONES: u32 = 4;
/// Rows may be committed so much later than their `updated_at` says.
const LATE: &str = "10 minutes";

/// How to reach the platform, and what to ask.
#[derive(Clone)]
pub struct PlatformSource {
    /// Postgres URL. Secret.
    pub url: String,
    /// A query of projects with the columns of [`super::PlatformProject::read`]; empty for the table `projects` of the
    /// platform's own schema.
    pub projects_query: String,
    /// Limit of one statement.
    pub statement_timeout: Duration,
}

/// Why the platform cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum PlatformError {
    /// No URL.
    #[error("platform.url is no Postgres URL: postgres://USER:PASSWORD@HOST/DATABASE")]
    Url(#[source] sqlx::Error),
    /// Nobody there, or in the middle not any more.
    #[error(
        "the platform's database could not {operation}; nothing was opened and nothing healed"
    )]
    Database {
        /// What was being done.
        operation: &'static str,
        /// Why.
        source: sqlx::Error,
    },
    /// The query is none.
    #[error(
        "the platform's database refuses platform.projects_query: run it there by hand, as the same role"
    )]
    Query(#[source] sqlx::Error),
    /// A row that is no JSON object; Postgres makes no such thing.
    #[error("the platform's row {key} cannot be read: {detail}")]
    Cells {
        /// Its key.
        key: String,
        /// Why.
        detail: String,
    },
}

impl PlatformError {
    fn database(operation: &'static str) -> impl FnOnce(sqlx::Error) -> Self {
        move |source| Self::Database { operation, source }
    }
}

/// What the platform's query gives: its columns, and what is wrong with them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    query: String,
    /// Columns by name, with their types.
    pub columns: BTreeMap<String, String>,
    /// Why nothing of the query can be read.
    pub broken: Option<String>,
}

/// Amounts in a binary fraction are not what was written.
const FRACTIONS: [&str; 2] = ["FLOAT4", "FLOAT8"];

impl Shape {
    /// SHA-256 over names and types.
    pub fn fingerprint(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        for (name, kind) in &self.columns {
            hash.update(format!("{name} {kind}\n"));
        }
        hash.finalize().into()
    }

    /// Of the columns that a rule reads, those that it cannot; each with the reason.
    pub fn lacks(&self, reads: &[&str]) -> Vec<String> {
        if reads.is_empty() {
            return Vec::new();
        }
        if let Some(broken) = &self.broken {
            return vec![broken.clone()];
        }
        // Whatever a rule reads of a row, it must know which row it is, and which project it points to.
        let wanted: BTreeSet<&str> = ["key", "on_chain_id"]
            .into_iter()
            .chain(reads.iter().filter_map(|name| name.strip_prefix("projects.")))
            .collect();
        wanted
            .into_iter()
            .filter_map(|name| match self.columns.get(name) {
                None => Some(format!("there is no column {name}")),
                Some(kind) if FRACTIONS.contains(&kind.as_str()) => {
                    Some(format!("column {name} has the inexact type {kind}"))
                }
                Some(_) => None,
            })
            .collect()
    }

    fn has(&self, column: &str) -> bool {
        self.columns.contains_key(column)
    }

    /// The type of `updated_at`, if it can be compared with a time.
    fn update_type(&self) -> Option<&'static str> {
        match self.columns.get("updated_at")?.as_str() {
            "TIMESTAMPTZ" => Some("timestamptz"),
            "TIMESTAMP" => Some("timestamp"),
            _ => None,
        }
    }

    /// Can changed rows be asked for?
    pub fn tells_changes(&self) -> bool {
        self.update_type().is_some()
    }

    fn rows_sql(&self, filter: &Filter) -> String {
        let number = if self.has("on_chain_id") {
            r"btrim(q.on_chain_id::text, E' \t\r\n')"
        } else {
            "null::text"
        };
        let key = if self.has("key") {
            "coalesce(q.key::text, '')"
        } else {
            "''"
        };
        let mut sql = format!(
            "select o.place::text as place, o.key as key, case when octet_length(o.cells) > {LARGE_ROW} then (
                 select json_object_agg(e.key, case when length(e.value) > 1000
                            then left(e.value, 1000) || ' … ' || md5(e.value) else e.value end)::text
                 from json_each_text(o.cells::json) as e) else o.cells end as cells
             from (
                 select coalesce(case when n.t ~ '^[0-9]{{1,20}}$' then
                                     case when n.t::numeric <= {} then n.t::numeric end end, {NOWHERE}) as place,
                        {key} collate \"C\" as key, to_json(q)::text collate \"C\" as cells, q as q
                 from ({}) as q cross join lateral (select {number} as t) as n
             ) as o",
            u64::MAX,
            self.query
        );
        match filter {
            Filter::All => {}
            Filter::Changed { .. } => {
                let kind = self.update_type().unwrap_or("timestamptz");
                // Writing into a text cannot fail.
                let _ = write!(
                    sql,
                    " where (o.q).updated_at is null or (o.q).updated_at >= $1::text::{kind} - interval '{LATE}'"
                );
            }
            Filter::Of(_) => {
                let _ = write!(
                    sql,
                    " where o.place = any($1::text[]::numeric[]) or (o.place = {NOWHERE} and o.key = any($2::text[]))"
                );
            }
            Filter::Keys(_) => sql.push_str(" where btrim(o.key, E' \\t\\r\\n') = any($1::text[])"),
        }
        sql.push_str(" order by o.place, o.key, o.cells");
        sql
    }
}

/// Which rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filter {
    /// Every one.
    All,
    /// Those with an `updated_at` of about this or later, or none.
    Changed {
        /// As the platform wrote it.
        since: String,
    },
    /// Those of these places.
    Of(Scope),
    /// Those with these keys.
    Keys(Vec<String>),
}

/// A row, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowAt {
    /// In the order of all rows.
    pub spot: Spot,
    /// Its cells.
    pub row: Row,
}

/// The platform at one moment.
#[derive(Debug)]
pub struct Platform {
    tx: Transaction<'static, Postgres>,
    pool: PgPool,
    /// Its own clock, Unix seconds.
    pub time_s: u64,
    /// What its query gives.
    pub shape: Shape,
    last: Option<Spot>,
}

/// Connections that cannot write by mistake, and do not wait for ever.
fn pool(source: &PlatformSource) -> Result<PgPool, PlatformError> {
    let options: PgConnectOptions = source.url.parse().map_err(PlatformError::Url)?;
    let statement = source.statement_timeout.as_millis().to_string();
    let options = options
        .application_name("stxworx reconciler")
        .options([
            ("default_transaction_read_only", "on"),
            ("statement_timeout", statement.as_str()),
            ("lock_timeout", "5000"),
            // A run that hangs must not keep the platform's old rows alive for ever.
            ("idle_in_transaction_session_timeout", "300000"),
            ("timezone", "UTC"),
        ]);
    Ok(PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(Duration::from_secs(10))
        .connect_lazy_with(options))
}

/// The platform's own names of what its projects are compared by.
fn seed_columns() -> Vec<(String, String)> {
    let mut names: Vec<(String, String)> = [
        ("key", "id"),
        ("on_chain_id", "on_chain_id"),
        ("tx_id", "tx_id"),
        ("client", "client_address"),
        ("freelancer", "freelancer_address"),
        ("asset", "token_type"),
        ("total", "total_amount"),
        ("status", "status"),
        ("updated_at", "updated_at"),
    ]
    .map(|(ours, theirs)| (ours.to_owned(), theirs.to_owned()))
    .into();
    for m in 1..=SEED_MILESTONES {
        for part in ["amount", "funded", "complete", "released"] {
            let name = format!("milestone_{m}_{part}");
            names.push((name.clone(), name));
        }
    }
    names
}

#[expect(
    clippy::disallowed_methods,
    reason = "a foreign schema, known only when it is asked; tests run every form of these statements"
)]
mod dynamic {
    use super::{AssertSqlSafe, Filter, PgRow, Postgres};

    type Query<'q> = sqlx::query::Query<'q, Postgres, sqlx::postgres::PgArguments>;

    /// A statement without values.
    pub(super) fn plain(sql: String) -> Query<'static> {
        sqlx::query(AssertSqlSafe(sql)).persistent(false)
    }

    /// A statement with the values of a filter.
    pub(super) fn filtered(sql: String, filter: &Filter) -> Query<'static> {
        let query = plain(sql);
        match filter {
            Filter::All => query,
            Filter::Changed { since } => query.bind(since.clone()),
            Filter::Of(scope) => query.bind(scope.places_text()).bind(scope.keys.clone()),
            Filter::Keys(keys) => query.bind(keys.clone()),
        }
    }

    /// The text of a column.
    pub(super) fn text(row: &PgRow, column: usize) -> Result<Option<String>, sqlx::Error> {
        sqlx::Row::try_get(row, column)
    }
}

/// Names and types of what a query gives.
async fn columns(pool: &PgPool, query: &str) -> Result<BTreeMap<String, String>, sqlx::Error> {
    let sql = AssertSqlSafe(format!("select * from ({query}) as q limit 0"));
    let mut connection = pool.acquire().await?;
    let statement = (&mut *connection).prepare(sql.into_sql_str()).await?;
    Ok(statement
        .columns()
        .iter()
        .map(|c| (c.name().to_owned(), c.type_info().name().to_owned()))
        .collect())
}

async fn shape(pool: &PgPool, configured: &str) -> Result<Shape, PlatformError> {
    let configured = configured.trim().trim_end_matches(';');
    let query = if configured.is_empty() {
        let there = columns(pool, "select * from projects")
            .await
            .map_err(refused)?;
        let parts: Vec<_> = seed_columns()
            .into_iter()
            .filter(|(_, theirs)| there.contains_key(theirs))
            .map(|(ours, theirs)| format!("\"{theirs}\" as {ours}"))
            .collect();
        if parts.is_empty() {
            let why = "the table projects has none of the columns that are compared";
            return Ok(Shape {
                query: "select null::text as key".to_owned(),
                columns: BTreeMap::new(),
                broken: Some(why.to_owned()),
            });
        }
        format!("select {} from projects", parts.join(", "))
    } else {
        configured.to_owned()
    };
    match columns(pool, &query).await {
        Ok(columns) => Ok(Shape {
            query,
            columns,
            broken: None,
        }),
        // A column that the query names is not there any more.
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("42703") => Ok(Shape {
            query: "select null::text as key where false".to_owned(),
            columns: BTreeMap::new(),
            broken: Some(error.message().to_owned()),
        }),
        Err(error) => Err(refused(error)),
    }
}

/// A refusal of the server is about the query; anything else is about reaching it.
fn refused(error: sqlx::Error) -> PlatformError {
    match &error {
        sqlx::Error::Database(d) if d.code().is_some_and(|c| c.starts_with("42") || c.starts_with("25")) => {
            PlatformError::Query(error)
        }
        _ => PlatformError::Database {
            operation: "be reached",
            source: error,
        },
    }
}

impl Platform {
    /// Connects, looks at the columns, and begins the transaction in which everything is read.
    ///
    /// # Errors
    /// When the database cannot be reached, or refuses the query.
    pub async fn open(source: &PlatformSource) -> Result<Self, PlatformError> {
        let pool = pool(source)?;
        let shape = shape(&pool, &source.projects_query).await?;
        let mut tx = pool
            .begin_with("begin isolation level repeatable read, read only")
            .await
            .map_err(PlatformError::database("begin a snapshot"))?;
        // The first statement makes the snapshot; nothing after it can make the transaction writable.
        let row = dynamic::plain("select extract(epoch from now())::bigint::text".to_owned())
            .fetch_one(&mut *tx)
            .await
            .map_err(PlatformError::database("say what time it is"))?;
        let time = dynamic::text(&row, 0).map_err(PlatformError::database("say what time it is"))?;
        let time_s = time.and_then(|text| text.parse().ok()).unwrap_or(0);
        Ok(Self {
            tx,
            pool,
            time_s,
            shape,
            last: None,
        })
    }

    /// Greatest `updated_at`, as text; none where there is no such column or no row.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn mark(&mut self) -> Result<Option<String>, PlatformError> {
        if !self.shape.tells_changes() {
            return Ok(None);
        }
        let sql = format!(
            "select max(q.updated_at)::text from ({}) as q",
            self.shape.query
        );
        let failed = || PlatformError::database("say what changed last");
        let row = dynamic::plain(sql)
            .fetch_one(&mut *self.tx)
            .await
            .map_err(failed())?;
        dynamic::text(&row, 0).map_err(failed())
    }

    /// Begins to read rows, in order; [`Self::page`] gives them. Ends what was being read before.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn read(&mut self, filter: &Filter) -> Result<(), PlatformError> {
        let failed = || PlatformError::database("begin to read rows");
        if self.last.take().is_some() {
            dynamic::plain("close stxworx_rows".to_owned())
                .execute(&mut *self.tx)
                .await
                .map_err(failed())?;
        }
        let sql = format!(
            "declare stxworx_rows no scroll cursor for {}",
            self.shape.rows_sql(filter)
        );
        dynamic::filtered(sql, filter)
            .execute(&mut *self.tx)
            .await
            .map_err(failed())?;
        self.last = Some(Spot::first());
        Ok(())
    }

    /// The next rows; empty at the end.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn page(&mut self) -> Result<Vec<RowAt>, PlatformError> {
        let failed = || PlatformError::database("read rows");
        let rows = dynamic::plain(format!("fetch {PAGE} from stxworx_rows"))
            .fetch_all(&mut *self.tx)
            .await
            .map_err(failed())?;
        let mut page = Vec::with_capacity(rows.len());
        for row in rows {
            let text = |column| dynamic::text(&row, column).map(Option::unwrap_or_default);
            let (place, key, cells) = (
                text(0).map_err(failed())?,
                text(1).map_err(failed())?,
                text(2).map_err(failed())?,
            );
            let row = cells_of(&cells).map_err(|error| PlatformError::Cells {
                key: key.clone(),
                detail: error.to_string(),
            })?;
            let place = place.parse().unwrap_or(NOWHERE);
            let copy = match &self.last {
                Some(last) if last.place == place && last.key == key => last.copy + 1,
                _ => 0,
            };
            let spot = Spot { place, key, copy };
            self.last = Some(spot.clone());
            page.push(RowAt { spot, row });
        }
        Ok(page)
    }

    /// Lets go of the platform.
    pub async fn close(self) {
        // It wrote nothing: how the transaction ends makes no difference.
        drop(self.tx);
        self.pool.close().await;
    }
}

/// The values of a row of JSON as text: numbers as they are written, never through a float.
pub(crate) fn cells_of(json: &str) -> Result<Row, serde_json::Error> {
    let raw: BTreeMap<String, &RawValue> = serde_json::from_str(json)?;
    let mut cells = BTreeMap::new();
    for (name, value) in raw {
        let text = value.get();
        let text = match text.as_bytes().first() {
            Some(b'n') => None,
            Some(b'"') => Some(serde_json::from_str::<String>(text)?),
            _ => Some(text.to_owned()),
        };
        cells.insert(name, text);
    }
    Ok(Row(cells))
}

impl std::fmt::Debug for PlatformSource {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("PlatformSource")
            .field("projects_query", &self.projects_query)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(columns: &[(&str, &str)]) -> Shape {
        Shape {
            query: "select 1".to_owned(),
            columns: columns
                .iter()
                .map(|(name, kind)| ((*name).to_owned(), (*kind).to_owned()))
                .collect(),
            broken: None,
        }
    }

    #[test]
    fn numbers_are_text_as_they_were_written() {
        let row = cells_of(
            r#"{"a":340282366920938463463374607431768211455,"b":1.50,"c":null,"d":"x\"y\u00e9","e":true,"f":{"g":[1]}}"#,
        )
        .unwrap();
        let cell = |name: &str| row.0[name].as_deref();
        assert_eq!(cell("a"), Some("340282366920938463463374607431768211455"));
        assert_eq!(cell("b"), Some("1.50"));
        assert_eq!(cell("c"), None);
        assert_eq!(cell("d"), Some("x\"yé"));
        assert_eq!(cell("e"), Some("true"));
        assert_eq!(cell("f"), Some(r#"{"g":[1]}"#));
    }

    #[test]
    fn a_rule_lacks_what_is_not_there_or_is_inexact() {
        let shape = shape(&[("key", "TEXT"), ("on_chain_id", "INT4"), ("total", "FLOAT8")]);
        assert_eq!(shape.lacks(&[]), Vec::<String>::new());
        assert_eq!(shape.lacks(&["projects.key"]), Vec::<String>::new());
        assert_eq!(
            shape.lacks(&["projects.total", "projects.status"]),
            [
                "there is no column status",
                "column total has the inexact type FLOAT8"
            ]
        );
    }

    #[test]
    fn the_fingerprint_is_of_names_and_types() {
        let one = shape(&[("a", "TEXT"), ("b", "INT4")]);
        assert_eq!(one.fingerprint(), shape(&[("b", "INT4"), ("a", "TEXT")]).fingerprint());
        assert_ne!(one.fingerprint(), shape(&[("a", "TEXT"), ("b", "INT8")]).fingerprint());
    }
}
