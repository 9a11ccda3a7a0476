//! Removes what no rerun needs any more: rows of the platform as old runs saw them, and those runs themselves.
//!
//! Each statement removes a bounded number, in a transaction of its own. A rerun under way reads its own snapshot.

use sqlx::PgPool;

use crate::store::StoreError;

/// The oldest run that must stay repeatable: of those of so many days, or the last good one, or the last good sweep,
/// whichever is the oldest. None while there is no run.
///
/// # Errors
/// When the database fails.
pub async fn oldest_kept(pool: &PgPool, days: u32) -> Result<Option<i64>, StoreError> {
    sqlx::query_scalar!(
        "select least(
             (select min(id) from reconcile_run where started_at >= now() - make_interval(days => $1)),
             (select max(id) from reconcile_run where state = 'done' and applies),
             (select max(id) from reconcile_run where state = 'done' and applies and kind = 'sweep')) as oldest",
        i32::try_from(days).unwrap_or(i32::MAX)
    )
    .fetch_one(pool)
    .await
    .map_err(StoreError::db("find the oldest run that is kept"))
}

/// Removes rows that had gone when that run began, but for those of breaks that are not over; how many.
///
/// # Errors
/// When the database fails.
pub async fn rows(pool: &PgPool, oldest_kept: i64, limit: i64) -> Result<u64, StoreError> {
    let done = sqlx::query_file!("src/store/reconcile/prune_rows.sql", oldest_kept, limit)
        .execute(pool)
        .await
        .map_err(StoreError::db("remove old rows of the platform"))?;
    Ok(done.rows_affected())
}

/// Marks runs before that one as not repeatable, and empties them of what only a rerun reads; how many.
///
/// # Errors
/// When the database fails.
pub async fn empty(pool: &PgPool, oldest_kept: i64, limit: i64) -> Result<u64, StoreError> {
    let done = sqlx::query!(
        "update reconcile_run
         set pruned_at = clock_timestamp(), inputs = '{}', basis = null, subjects = null, columns = null
         where id in (select id from reconcile_run
                      where id < $1 and pruned_at is null and state <> 'running' order by id limit $2)",
        oldest_kept,
        limit
    )
    .execute(pool)
    .await
    .map_err(StoreError::db("empty old runs"))?;
    Ok(done.rows_affected())
}

/// Removes emptied runs that no row, break, line of the history, repair or rerun names; how many.
///
/// # Errors
/// When the database fails.
pub async fn runs(pool: &PgPool, oldest_kept: i64, limit: i64) -> Result<u64, StoreError> {
    let done = sqlx::query!(
        "delete from reconcile_run where id in (
             select id from reconcile_run r
             where id < $1 and pruned_at is not null
               and not exists (select from platform_row x where x.from_run = r.id)
               and not exists (select from platform_row x where x.to_run = r.id)
               and not exists (select from break_event x where x.run_id = r.id)
               and not exists (select from break x where x.run_id = r.id)
               and not exists (select from repair_outbox x where x.run_id = r.id)
               and not exists (select from reconcile_run x where x.of_run = r.id)
             order by id limit $2)",
        oldest_kept,
        limit
    )
    .execute(pool)
    .await
    .map_err(StoreError::db("remove old runs"))?;
    Ok(done.rows_affected())
}
