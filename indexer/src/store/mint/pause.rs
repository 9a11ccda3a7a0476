//! Pauses.

use sqlx::PgPool;

use crate::store::StoreError;

/// A pause that is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PauseRow {
    /// `global`, `contract` or `lane`.
    pub scope: String,
    /// The contract or the key's address; empty for everything.
    pub subject: String,
    /// Why, in a word.
    pub reason: String,
    /// Why, for people.
    pub note: String,
    /// Who said so.
    pub author: String,
    /// Since when, Unix seconds.
    pub since_s: i64,
}

/// Pauses, once for each reason. False when it is so already.
///
/// # Errors
/// When the database fails.
pub async fn pause(
    pool: &PgPool,
    (scope, subject): (&str, &str),
    reason: &str,
    note: &str,
    author: &str,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "insert into mint_pause (scope, subject, reason, note, author) values ($1, $2, $3, $4, $5)
         on conflict (scope, subject, reason) where lifted_at is null do nothing",
        scope,
        subject,
        reason,
        note,
        author
    )
    .execute(pool)
    .await
    .map_err(StoreError::db("pause the mints"))?;
    Ok(done.rows_affected() == 1)
}

/// Lifts a pause. False when there is none.
///
/// # Errors
/// When the database fails.
pub async fn lift(
    pool: &PgPool,
    (scope, subject): (&str, &str),
    reason: &str,
    author: &str,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "update mint_pause set lifted_at = clock_timestamp(), lifted_by = $4
         where scope = $1 and subject = $2 and reason = $3 and lifted_at is null",
        scope,
        subject,
        reason,
        author
    )
    .execute(pool)
    .await
    .map_err(StoreError::db("lift a pause of the mints"))?;
    Ok(done.rows_affected() > 0)
}

/// All that are in force, oldest first. A few at most: one for each reason and subject.
///
/// # Errors
/// When the database fails.
pub async fn in_force(pool: &PgPool) -> Result<Vec<PauseRow>, StoreError> {
    sqlx::query_as!(
        PauseRow,
        r#"select scope, subject, reason, note, author, extract(epoch from at)::bigint as "since_s!"
           from mint_pause where lifted_at is null order by id limit 1000"#
    )
    .fetch_all(pool)
    .await
    .map_err(StoreError::db("read the pauses of the mints"))
}
