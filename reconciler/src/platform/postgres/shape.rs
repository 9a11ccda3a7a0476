//! What the platform's query gives, and the statements that read it.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest as _, Sha256};
use sqlx::{
    AssertSqlSafe, Column as _, Executor as _, PgPool, SqlSafeStr as _, Statement as _,
    TypeInfo as _,
};
use stxworx_indexer::store::reconcile::image::NOWHERE;

use super::entity::{Entity, Table};
use super::{Filter, PlatformError};

/// A row larger than this, in bytes of JSON, has its long values cut.
const LARGE_ROW: usize = 65_536;
/// A setting that says that the platform keeps no such rows.
const OFF: &str = "off";
/// An address, as far as the order of rows needs to know.
const ADDRESS: &str = r"^S[0-9A-Z]{20,60}(\.[a-zA-Z][a-zA-Z0-9_-]{0,127})?$";
/// A transaction's id, likewise.
const TXID: &str = "^(0x)?[0-9a-fA-F]{64}$";
/// A row whose long values are cut.
const CUT: &str = "(select json_object_agg(e.key, case when length(e.value) > 1000
    then left(e.value, 1000) || ' … ' || md5(e.value) else e.value end)::text from json_each_text(o.cells::json) as e)";
/// Rows may be committed so much later than their `updated_at` says.
const LATE: &str = "10 minutes";

/// What the platform's query gives: its columns, and what is wrong with them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// What its rows are about.
    pub entity: Entity,
    /// The platform keeps no such rows: it has no such table, or the setting says so.
    pub is_off: bool,
    pub(super) query: String,
    /// Columns by name, with their types.
    pub columns: BTreeMap<String, String>,
    /// Why nothing of the query can be read.
    pub broken: Option<String>,
}

/// What all queries give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shapes(pub Vec<Shape>);

impl Shapes {
    /// The one of an entity; none where it was not looked at.
    pub fn of(&self, entity: Entity) -> Option<&Shape> {
        self.0.iter().find(|shape| shape.entity == entity)
    }

    /// SHA-256 over all of them.
    pub fn fingerprint(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        for shape in &self.0 {
            hash.update(shape.entity.name());
            hash.update([u8::from(shape.is_off)]);
            hash.update(shape.fingerprint());
        }
        hash.finalize().into()
    }

    /// Columns with their types and the fingerprint over them, by query.
    pub fn columns(&self) -> serde_json::Value {
        let of = |shape: &Shape| {
            let value = serde_json::json!({
                "columns": shape.columns,
                "fingerprint": hex::encode(shape.fingerprint()),
                "off": shape.is_off,
            });
            (shape.entity.name().to_owned(), value)
        };
        serde_json::Value::Object(self.0.iter().map(of).collect())
    }

    /// Of the columns that a rule reads, those that it cannot; each with the reason.
    pub fn lacks(&self, reads: &[&'static str]) -> Vec<String> {
        let all = self.0.iter().flat_map(|shape| shape.lacks(reads));
        all.collect()
    }

    /// Entities of which the platform keeps nothing.
    pub fn off(&self) -> Vec<&'static str> {
        let off = self.0.iter().filter(|shape| shape.is_off);
        off.map(|shape| shape.entity.name()).collect()
    }
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
    pub fn lacks(&self, reads: &[&'static str]) -> Vec<String> {
        let of_it = |name: &&'static str| {
            let (entity, column) = name.split_once('.')?;
            (entity == self.entity.name()).then_some(column)
        };
        let columns: Vec<_> = reads.iter().filter_map(of_it).collect();
        if columns.is_empty() || self.is_off {
            return Vec::new();
        }
        if let Some(broken) = &self.broken {
            return vec![broken.clone()];
        }
        let wanted: BTreeSet<&str> = self.entity.needs().into_iter().chain(columns).collect();
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

    /// The statement that reads rows, in order; the filter's values are bound.
    pub(super) fn rows_sql(&self, filter: &Filter) -> String {
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
        if self.entity != Entity::Projects {
            return self.grouped_sql(filter, key);
        }
        let place = format!(
            "coalesce(case when n.t ~ '^[0-9]{{1,20}}$' then
                 case when n.t::numeric <= {} then n.t::numeric end end, {NOWHERE})",
            u64::MAX
        );
        // What is left out is left out before it is made into JSON.
        let wanted = match filter {
            Filter::All => String::new(),
            Filter::Changed { .. } => self.since(),
            Filter::Of(scope) => self.of_places(&place, key, scope.keys.is_empty()),
            Filter::Keys(_) => format!("where btrim({key}, E' \\t\\r\\n') = any($1::text[])"),
        };
        let mut sql = format!(
            "select o.place::text as place, o.key as key, case when octet_length(o.cells) > {LARGE_ROW} then {CUT}
                 else o.cells end as cells
             from (
                 select {place} as place, {key} collate \"C\" as key, to_json(q)::text collate \"C\" as cells
                 from ({}) as q cross join lateral (select {number} as t) as n {wanted}
             ) as o",
            self.query
        );
        sql.push_str(" order by o.place, o.key, o.cells");
        sql
    }

    /// Rows of badges and users, by address and key; of transfers, by transaction and key.
    fn grouped_sql(&self, filter: &Filter, key: &str) -> String {
        let [_, address] = self.entity.needs();
        let address = if self.has(address) {
            format!(r#"btrim(q."{address}"::text, E' \t\r\n')"#)
        } else {
            "null::text".to_owned()
        };
        let group = match self.entity {
            Entity::Transfers => {
                format!("case when n.t ~ '{TXID}' then '0x' || lower(right(n.t, 64)) end")
            }
            _ => format!("case when n.t ~ '{ADDRESS}' then n.t end"),
        };
        let wanted = match filter {
            Filter::All => String::new(),
            Filter::Changed { .. } => self.since(),
            // Both values are always bound.
            Filter::Of(_) => format!(
                "where $1::text[] is not null and coalesce({group}, ' ' || {key}) = any($2::text[])"
            ),
            Filter::Keys(_) => format!("where btrim({key}, E' \\t\\r\\n') = any($1::text[])"),
        };
        format!(
            "select '{NOWHERE}' as place, o.key as key, case when octet_length(o.cells) > {LARGE_ROW} then {CUT}
                 else o.cells end as cells
             from (
                 select (coalesce({group}, '') || ' ' || {key}) collate \"C\" as key,
                        to_json(q)::text collate \"C\" as cells
                 from ({}) as q cross join lateral (select {address} as t) as n {wanted}
             ) as o order by o.key, o.cells",
            self.query
        )
    }

    /// Rows that changed lately, or that do not say when they did.
    fn since(&self) -> String {
        let kind = self.update_type().unwrap_or("timestamptz");
        format!(
            "where q.updated_at is null or q.updated_at >= $1::text::{kind} - interval '{LATE}'"
        )
    }

    /// Rows of some places, and rows without one by key. Where numbers are of a plain type, an index can find them.
    fn of_places(&self, place: &str, key: &str, no_keys: bool) -> String {
        let kind = match self.columns.get("on_chain_id").map(String::as_str) {
            Some("INT2") => Some(("smallint", "32767")),
            Some("INT4") => Some(("integer", "2147483647")),
            Some("INT8") => Some(("bigint", "9223372036854775807")),
            _ => None,
        };
        let by_place = match kind {
            Some((kind, most)) => format!(
                "q.on_chain_id = any(array(select p::{kind} from unnest($1::text[]) as p where p::numeric <= {most}))"
            ),
            None => {
                format!("{place} = any(array(select p::numeric from unnest($1::text[]) as p))")
            }
        };
        // Both values are always bound.
        if no_keys {
            return format!("where {by_place} and $2::text[] is not null");
        }
        format!("where {by_place} or ({place} = {NOWHERE} and {key} = any($2::text[]))")
    }
}

/// Names and types of what a query gives.
async fn columns(pool: &PgPool, query: &str) -> Result<Table, sqlx::Error> {
    let sql = AssertSqlSafe(format!("select * from ({query}) as q limit 0"));
    let mut connection = pool.acquire().await?;
    let statement = (&mut *connection).prepare(sql.into_sql_str()).await?;
    Ok(statement
        .columns()
        .iter()
        .map(|c| (c.name().to_owned(), c.type_info().name().to_owned()))
        .collect())
}

/// The platform's own tables that a default query needs, those that are there.
async fn tables(
    pool: &PgPool,
    entity: Entity,
) -> Result<BTreeMap<&'static str, Table>, PlatformError> {
    let mut there = BTreeMap::new();
    for name in std::iter::once(&entity.table()).chain(entity.beside()) {
        match columns(pool, &format!("select * from {name}")).await {
            Ok(columns) => {
                there.insert(*name, columns);
            }
            Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("42P01") => {}
            Err(error) => return Err(refused(entity, error)),
        }
    }
    Ok(there)
}

fn shape_of(entity: Entity, query: &str, columns: Table) -> Shape {
    Shape {
        entity,
        is_off: false,
        query: query.to_owned(),
        columns,
        broken: None,
    }
}

/// Looks at what a configured query gives, or the platform's own table, there with the names of X accounts if they are
/// wanted.
pub(super) async fn shape(
    pool: &PgPool,
    entity: Entity,
    configured: &str,
    handles: bool,
) -> Result<Shape, PlatformError> {
    let none = "select null::text as key where false";
    let off = || Shape {
        is_off: true,
        ..shape_of(entity, none, BTreeMap::new())
    };
    let broken = |why: String| Shape {
        broken: Some(why),
        ..shape_of(entity, none, BTreeMap::new())
    };
    let configured = configured.trim().trim_end_matches(';');
    let query = match configured {
        OFF => return Ok(off()),
        "" => {
            let tables = tables(pool, entity).await?;
            if !tables.contains_key(entity.table()) && entity != Entity::Projects {
                return Ok(off());
            }
            match entity.default_query(&tables, handles) {
                Some(query) => query,
                None if tables.is_empty() => {
                    let why = format!("there is no table {}", entity.table());
                    return Ok(broken(why));
                }
                None => {
                    let table = entity.table();
                    let why =
                        format!("the table {table} has none of the columns that are compared");
                    return Ok(broken(why));
                }
            }
        }
        configured => configured.to_owned(),
    };
    match columns(pool, &query).await {
        Ok(columns) => Ok(shape_of(entity, &query, columns)),
        // A column that the query names is not there any more.
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("42703") => {
            Ok(broken(error.message().to_owned()))
        }
        Err(error) => Err(refused(entity, error)),
    }
}

/// A refusal of the server is about the query; anything else is about reaching it.
fn refused(entity: Entity, error: sqlx::Error) -> PlatformError {
    match &error {
        sqlx::Error::Database(d)
            if d.code()
                .is_some_and(|c| c.starts_with("42") || c.starts_with("25")) =>
        {
            PlatformError::Query {
                setting: entity.setting(),
                source: error,
            }
        }
        _ => PlatformError::Database {
            operation: "be reached",
            source: error,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(columns: &[(&str, &str)]) -> Shape {
        let column = |(name, kind): &(&str, &str)| ((*name).to_owned(), (*kind).to_owned());
        shape_of(
            Entity::Projects,
            "select 1",
            columns.iter().map(column).collect(),
        )
    }

    #[test]
    fn a_rule_lacks_what_is_not_there_or_is_inexact() {
        let shape = shape(&[
            ("key", "TEXT"),
            ("on_chain_id", "INT4"),
            ("total", "FLOAT8"),
        ]);
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
        assert_eq!(
            one.fingerprint(),
            shape(&[("b", "INT4"), ("a", "TEXT")]).fingerprint()
        );
        assert_ne!(
            one.fingerprint(),
            shape(&[("a", "TEXT"), ("b", "INT8")]).fingerprint()
        );
    }
}
