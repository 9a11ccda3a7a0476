//! The platform's Postgres database, read and never written, but for repairs that are allowed one by one ([`Writer`]).
//!
//! Four things hold the last part, whatever rights the role has: connections are read only by default, the transaction of
//! a run is declared read only, a configured query stands as a part of a statement of ours, which the protocol sends
//! alone, and the transaction is never committed (servers before version 16 make large objects in a read-only one).
//!
//! A run reads everything in one `repeatable read` transaction, by a cursor, a page at a time: rows of the same moment,
//! in bounded memory, each value as text or null.

mod entity;
mod rights;
mod shape;
mod writer;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::value::RawValue;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgRow};
use sqlx::{AssertSqlSafe, PgPool, Postgres, Transaction};
use stxworx_indexer::store::reconcile::image::{NOWHERE, Scope, Spot};

use super::Row;
pub use entity::Entity;
use shape::shape;
pub use shape::{Shape, Shapes};
pub use writer::Writer;

/// Rows of a page.
const PAGE: usize = 1_000;

/// How to reach the platform, and what to ask.
#[derive(Clone, Default)]
pub struct PlatformSource {
    /// Postgres URL. Secret.
    pub url: String,
    /// A query of projects with the columns of [`super::PlatformProject::read`]; empty for the table `projects` of the
    /// platform's own schema.
    pub projects_query: String,
    /// A query of badges with the columns of [`super::PlatformBadge::read`]; empty for the table `nft_achievements`,
    /// `off` where the platform keeps none.
    pub badges_query: String,
    /// A query of users with the columns of [`super::PlatformUser::read`]; empty for the table `users`, `off` where the
    /// platform keeps none.
    pub users_query: String,
    /// A query of transfers with the columns of [`super::PlatformTransfer::read`]; empty for the table
    /// `dao_transactions`, `off` where the platform keeps none.
    pub transfers_query: String,
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
    #[error("the platform's database could not {operation}; nothing was opened and nothing healed")]
    Database {
        /// What was being done.
        operation: &'static str,
        /// Why.
        source: sqlx::Error,
    },
    /// The query is none.
    #[error("the platform's database refuses {setting}: run it there by hand, as the same role")]
    Query {
        /// The setting with the query.
        setting: &'static str,
        /// Why.
        source: sqlx::Error,
    },
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
    /// What its queries give.
    pub shapes: Shapes,
    last: Option<Spot>,
    reading: Entity,
}

/// Connections that cannot write by mistake, and do not wait for ever.
fn pool(source: &PlatformSource) -> Result<PgPool, PlatformError> {
    let options: PgConnectOptions = source.url.parse().map_err(PlatformError::Url)?;
    let statement = source.statement_timeout.as_millis().to_string();
    let options = options.application_name("stxworx reconciler").options([
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

impl PlatformSource {
    fn query(&self, entity: Entity) -> &str {
        match entity {
            Entity::Projects => &self.projects_query,
            Entity::Badges => &self.badges_query,
            Entity::Users => &self.users_query,
            Entity::Transfers => &self.transfers_query,
        }
    }
}

impl Platform {
    /// What is being read.
    pub fn reading(&self) -> Entity {
        self.reading
    }

    /// Connects, looks at the columns, and begins the transaction in which everything is read.
    ///
    /// # Errors
    /// When the database cannot be reached, or refuses the query.
    pub async fn open(source: &PlatformSource) -> Result<Self, PlatformError> {
        let pool = pool(source)?;
        let mut shapes = Vec::new();
        for entity in Entity::ALL {
            shapes.push(shape(&pool, entity, source.query(entity), false).await?);
        }
        Self::begin(pool, shapes).await
    }

    /// The same for users alone, with the names of their X accounts (`x_handle`), which no comparison needs and no image
    /// keeps.
    ///
    /// # Errors
    /// When the database cannot be reached, or refuses the query.
    pub async fn open_users(source: &PlatformSource) -> Result<Self, PlatformError> {
        let pool = pool(source)?;
        let query = source.query(Entity::Users);
        let users = shape(&pool, Entity::Users, query, true).await?;
        Self::begin(pool, vec![users]).await
    }

    async fn begin(pool: PgPool, shapes: Vec<Shape>) -> Result<Self, PlatformError> {
        let mut tx = pool
            .begin_with("begin isolation level repeatable read, read only")
            .await
            .map_err(PlatformError::database("begin a snapshot"))?;
        // The first statement makes the snapshot; nothing after it can make the transaction writable.
        let row = dynamic::plain("select extract(epoch from now())::bigint::text".to_owned())
            .fetch_one(&mut *tx)
            .await
            .map_err(PlatformError::database("say what time it is"))?;
        let time =
            dynamic::text(&row, 0).map_err(PlatformError::database("say what time it is"))?;
        let time_s = time.and_then(|text| text.parse().ok()).unwrap_or(0);
        Ok(Self {
            tx,
            pool,
            time_s,
            shapes: Shapes(shapes),
            last: None,
            reading: Entity::Projects,
        })
    }

    /// Greatest `updated_at`, as text; none where there is no such column or no row.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn mark(&mut self, entity: Entity) -> Result<Option<String>, PlatformError> {
        let shape = self.shapes.of(entity).filter(|s| s.tells_changes());
        let Some(shape) = shape else {
            return Ok(None);
        };
        let sql = format!("select max(q.updated_at)::text from ({}) as q", shape.query);
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
    pub async fn read(&mut self, entity: Entity, filter: &Filter) -> Result<(), PlatformError> {
        let failed = || PlatformError::database("begin to read rows");
        if self.last.take().is_some() {
            dynamic::plain("close stxworx_rows".to_owned())
                .execute(&mut *self.tx)
                .await
                .map_err(failed())?;
        }
        self.reading = entity;
        let shape = self.shapes.of(entity).filter(|shape| !shape.is_off);
        let Some(shape) = shape else {
            return Ok(());
        };
        let sql = format!(
            "declare stxworx_rows no scroll cursor for {}",
            shape.rows_sql(filter)
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
        // Of what is not kept there is nothing to read.
        if self.last.is_none() {
            return Ok(Vec::new());
        }
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
        // Rolled back, never committed.
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
}
