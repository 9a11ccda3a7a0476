//! Breaks: the newest form of each.

use serde::Serialize;
use serde_json::Value;
use sqlx::{PgConnection, PgPool};

use super::Writing;
use crate::store::StoreError;

/// A break as it is stored: its JSON, and what it is looked up by.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StoredBreak {
    /// Identity, hexadecimal.
    pub id: String,
    /// The rule.
    pub rule: String,
    /// The version that looked last.
    pub rule_version: i32,
    /// Kind of the subject.
    pub subject_kind: String,
    /// Key of the subject.
    pub subject_key: String,
    /// What differs.
    pub what: String,
    /// `suspected`, `open`, `acknowledged` or `resolved`.
    pub state: String,
    /// How it was resolved.
    pub resolution: Option<String>,
    /// `low`, `medium`, `high` or `critical`.
    pub severity: String,
    /// `node`, `mirror` or `platform`.
    pub fault: String,
    /// Money at risk, base units.
    pub amount: Option<String>,
    /// Of what.
    pub asset: Option<String>,
    /// First seen, Unix seconds.
    pub first_seen_s: i64,
    /// Last seen, Unix seconds.
    pub last_seen_s: i64,
    /// Opened, Unix seconds.
    pub opened_s: Option<i64>,
    /// The break.
    pub body: Value,
    /// SHA-256 of the canonical form of the body, hexadecimal.
    pub evidence_hash: String,
}

macro_rules! break_query {
    ($tail:literal $(, $args:expr)*) => {
        sqlx::query_as!(
            StoredBreak,
            r#"select encode(b.id, 'hex') as "id!", rule, rule_version, subject_kind, subject_key, what, state, resolution,
                      severity, fault, amount::text as amount, asset, first_seen_s, last_seen_s, opened_s, body,
                      encode(evidence_hash, 'hex') as "evidence_hash!"
               from break b "# + $tail
            $(, $args)*
        )
    };
}

/// Which breaks.
#[derive(Debug, Clone, Default)]
pub struct BreakFilter {
    /// In these states; empty for any.
    pub states: Vec<String>,
    /// Of this rule.
    pub rule: Option<String>,
    /// Of this severity or worse.
    pub severity: Option<String>,
    /// Of this fault.
    pub fault: Option<String>,
    /// About this subject: a part of its key.
    pub subject: Option<String>,
    /// At most so many.
    pub limit: i64,
}

/// Breaks, the worst and oldest first.
///
/// # Errors
/// When the database fails.
pub async fn list(pool: &PgPool, filter: &BreakFilter) -> Result<Vec<StoredBreak>, StoreError> {
    break_query!(
        "where (cardinality($1::text[]) = 0 or state = any($1)) and ($2::text is null or rule = $2)
           and ($3::text is null or array_position(array['low', 'medium', 'high', 'critical'], severity)
                                    >= array_position(array['low', 'medium', 'high', 'critical'], $3))
           and ($4::text is null or fault = $4) and ($5::text is null or strpos(subject_key, $5) > 0)
         order by array_position(array['critical', 'high', 'medium', 'low'], severity), first_seen_s, b.id
         limit $6",
        &filter.states,
        filter.rule.as_deref(),
        filter.severity.as_deref(),
        filter.fault.as_deref(),
        filter.subject.as_deref(),
        filter.limit
    )
    .fetch_all(pool)
    .await
    .map_err(StoreError::db("list breaks"))
}

/// Breaks whose identity begins so, in hexadecimal; two are enough to know that it is not one.
///
/// # Errors
/// When the database fails.
pub async fn by_prefix(pool: &PgPool, prefix: &str) -> Result<Vec<StoredBreak>, StoreError> {
    break_query!(
        "where starts_with(encode(b.id, 'hex'), $1) order by b.id limit 2",
        prefix
    )
    .fetch_all(pool)
    .await
    .map_err(StoreError::db("find a break"))
}

/// What a run has to look at again: subjects of breaks (of one rule, if it is named) that are not over, and of those
/// that somebody accepted for a time. Kind and key.
///
/// # Errors
/// When the database fails.
pub async fn live_subjects(
    connection: &mut PgConnection,
    rule: Option<&str>,
    limit: i64,
) -> Result<Vec<(String, String)>, StoreError> {
    let rows = sqlx::query!(
        "select distinct subject_kind, subject_key from break
         where (state <> 'resolved' or resolution = 'accepted') and ($2::text is null or rule = $2)
         order by 1, 2 limit $1",
        limit,
        rule
    )
    .fetch_all(connection)
    .await
    .map_err(StoreError::db("read the subjects of live breaks"))?;
    Ok(rows
        .into_iter()
        .map(|row| (row.subject_kind, row.subject_key))
        .collect())
}

/// Breaks of projects and users of which it is not known whether the mirror is at fault: suspicions, what is laid at the
/// mirror's door, and those of some rules. Those that are open come first, then the oldest.
///
/// # Errors
/// When the database fails.
pub async fn doubted(
    connection: &mut PgConnection,
    rules: &[&str],
    limit: i64,
) -> Result<Vec<StoredBreak>, StoreError> {
    break_query!(
        "where state <> 'resolved' and subject_kind in ('project', 'user')
           and (state = 'suspected' or fault = 'mirror' or rule = any($1))
         order by state = 'suspected', first_seen_s, b.id limit $2",
        rules as _,
        limit
    )
    .fetch_all(connection)
    .await
    .map_err(StoreError::db("read the breaks that may be the mirror's"))
}

impl Writing {
    /// The breaks of some subjects (kinds and keys, side by side). Nobody else changes them until the run ends.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn breaks_of(
        &mut self,
        kinds: &[String],
        keys: &[String],
    ) -> Result<Vec<StoredBreak>, StoreError> {
        break_query!(
            "join unnest($1::text[], $2::text[]) as s (kind, key)
                 on b.subject_kind = s.kind and b.subject_key = s.key
             order by b.id for update of b",
            kinds,
            keys
        )
        .fetch_all(&mut *self.tx)
        .await
        .map_err(StoreError::db("read the breaks of subjects"))
    }

    /// Subjects of all breaks, kind and key; none where there are more than so many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn subjects_of_breaks(
        &mut self,
        limit: i64,
    ) -> Result<Option<Vec<(String, String)>>, StoreError> {
        let rows = sqlx::query!(
            "select distinct subject_kind, subject_key from break limit $1",
            limit.saturating_add(1)
        )
        .fetch_all(&mut *self.tx)
        .await
        .map_err(StoreError::db("read the subjects of breaks"))?;
        let fits = i64::try_from(rows.len()).is_ok_and(|count| count <= limit);
        let subjects = rows
            .into_iter()
            .map(|row| (row.subject_kind, row.subject_key));
        Ok(fits.then(|| subjects.collect()))
    }

    /// One break, held until the end. None when there is none.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn break_by_id(&mut self, id: &[u8]) -> Result<Option<StoredBreak>, StoreError> {
        break_query!("where b.id = $1 for update", id)
            .fetch_optional(&mut *self.tx)
            .await
            .map_err(StoreError::db("read a break"))
    }

    /// Writes breaks; `run` is none where a person changed them.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn put_breaks(
        &mut self,
        breaks: &[StoredBreak],
        run: Option<i64>,
    ) -> Result<(), StoreError> {
        let rows = serde_json::to_value(breaks).map_err(|error| StoreError::Corrupt {
            table: "break",
            detail: error.to_string(),
        })?;
        sqlx::query_file!("src/store/reconcile/put_breaks.sql", rows, run)
            .execute(&mut *self.tx)
            .await
            .map_err(StoreError::db("write breaks"))?;
        Ok(())
    }

    /// Removes suspicions that were none; their history stays.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn drop_suspicions(&mut self, ids: &[Vec<u8>]) -> Result<(), StoreError> {
        sqlx::query!(
            "delete from break where id = any($1) and state = 'suspected'",
            ids
        )
        .execute(&mut *self.tx)
        .await
        .map_err(StoreError::db("remove suspicions"))?;
        Ok(())
    }
}

/// Live breaks by what they are, for metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveCount {
    /// The rule.
    pub rule: String,
    /// How bad.
    pub severity: String,
    /// Who is wrong.
    pub fault: String,
    /// `suspected`, or `open` for those that somebody should look at.
    pub open: bool,
    /// How many.
    pub count: i64,
    /// When the oldest was first seen, Unix seconds.
    pub oldest_s: i64,
}

/// Counts what is not over.
///
/// # Errors
/// When the database fails.
pub async fn live_counts(pool: &PgPool) -> Result<Vec<LiveCount>, StoreError> {
    sqlx::query_as!(
        LiveCount,
        r#"select rule, severity, fault, state <> 'suspected' as "open!", count(*) as "count!",
                  min(first_seen_s) as "oldest_s!"
           from break where state <> 'resolved' group by 1, 2, 3, 4 order by 1, 2, 3, 4"#
    )
    .fetch_all(pool)
    .await
    .map_err(StoreError::db("count breaks"))
}

/// This database's clock, Unix seconds.
///
/// # Errors
/// When the database fails.
pub async fn now_s(pool: &PgPool) -> Result<i64, StoreError> {
    sqlx::query_scalar!(r#"select extract(epoch from clock_timestamp())::bigint as "now!""#)
        .fetch_one(pool)
        .await
        .map_err(StoreError::db("say what time it is"))
}
