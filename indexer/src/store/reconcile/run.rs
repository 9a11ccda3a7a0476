//! Runs.

use serde_json::Value;
use sqlx::PgPool;

use super::Writing;
use crate::store::StoreError;

/// A run.
#[derive(Debug, Clone, PartialEq)]
pub struct RunRow {
    /// Its number.
    pub id: i64,
    /// `sweep`, `incremental` or `rerun`.
    pub kind: String,
    /// What a rerun repeats.
    pub of_run: Option<i64>,
    /// Did it move breaks?
    pub applies: bool,
    /// Begun, Unix seconds by this database's clock.
    pub started_s: i64,
    /// Ended, likewise.
    pub finished_s: Option<i64>,
    /// `running`, `done` or `failed`.
    pub state: String,
    /// Why it failed.
    pub error: Option<String>,
    /// The contract.
    pub contract: Option<String>,
    /// The moment.
    pub anchor: Option<Value>,
    /// What verdicts depend on besides both sides.
    pub basis: Option<Value>,
    /// What it looked at; none for everything.
    pub subjects: Option<Value>,
    /// What it was told besides both sides.
    pub inputs: Value,
    /// The platform's columns with their types, by query.
    pub columns: Option<Value>,
    /// Pairs of a rule and a subject.
    pub considered: i64,
    /// Of these, equal.
    pub matched: i64,
    /// Of these, different and given time.
    pub tolerated: i64,
    /// Of these, different.
    pub broken: i64,
    /// Of these, not comparable.
    pub skipped: i64,
    /// Why.
    pub skips: Value,
    /// Locked and compared, by asset.
    pub coverage: Value,
    /// Breaks by what happened to them.
    pub changes: Value,
    /// What the control could not do.
    pub notes: Value,
    /// `none`, `found` or `missed`.
    pub canary: String,
    /// Over all verdicts.
    pub verdict_digest: Option<Vec<u8>>,
    /// Fingerprint of the platform's columns.
    pub schema_fingerprint: Option<Vec<u8>>,
    /// Last line of the outbox seen.
    pub outbox_id: Option<i64>,
    /// Greatest `updated_at` of the platform.
    pub platform_mark: Option<String>,
    /// What it stood on was removed: it cannot be carried out again.
    pub is_pruned: bool,
}

macro_rules! run_query {
    ($tail:literal $(, $args:expr)*) => {
        sqlx::query_as!(
            RunRow,
            r#"select id, kind, of_run, applies, extract(epoch from started_at)::bigint as "started_s!",
                      extract(epoch from finished_at)::bigint as finished_s, state, error, contract, anchor, basis,
                      subjects, inputs, columns, considered, matched, tolerated, broken, skipped, skips, coverage, changes, notes,
                      canary, verdict_digest, schema_fingerprint, outbox_id, platform_mark,
                      pruned_at is not null as "is_pruned!"
               from reconcile_run "# + $tail
            $(, $args)*
        )
    };
}

/// Notes that a run begins; its number. Runs that never ended are marked as failed: the caller holds the lock
/// ([`Writing::begin`]), so nobody works on them. A run that does not write needs no lock, and marks nothing.
///
/// # Errors
/// When the database fails.
pub async fn begin(
    pool: &PgPool,
    kind: &str,
    of_run: Option<i64>,
    applies: bool,
) -> Result<i64, StoreError> {
    if applies {
        sqlx::query!(
            "update reconcile_run set state = 'failed', finished_at = clock_timestamp(),
                    error = 'it was interrupted; nothing of it was stored'
             where state = 'running' and applies"
        )
        .execute(pool)
        .await
        .map_err(StoreError::db("mark interrupted runs"))?;
    }
    sqlx::query_scalar!(
        "insert into reconcile_run (kind, of_run, applies) values ($1, $2, $3) returning id",
        kind,
        of_run,
        applies
    )
    .fetch_one(pool)
    .await
    .map_err(StoreError::db("begin a run"))
}

/// What a run came to.
#[derive(Debug, Clone, Default)]
pub struct Ending {
    /// What it became: an incremental run may have to look at everything.
    pub kind: &'static str,
    /// The contract.
    pub contract: String,
    /// The moment.
    pub anchor: Value,
    /// What verdicts depend on besides both sides.
    pub basis: Value,
    /// The platform's columns with their types.
    pub columns: Value,
    /// SHA-256 over them.
    pub schema_fingerprint: Option<[u8; 32]>,
    /// What it looked at; none for everything.
    pub subjects: Option<Value>,
    /// What it was told besides both sides.
    pub inputs: Value,
    /// Considered, matched, tolerated, broken, skipped.
    pub counts: [i64; 5],
    /// Why what was skipped.
    pub skips: Value,
    /// Locked and compared, by asset.
    pub coverage: Value,
    /// Breaks by what happened to them.
    pub changes: Value,
    /// What the control could not do.
    pub notes: Value,
    /// `none`, `found` or `missed`.
    pub canary: &'static str,
    /// Over all verdicts.
    pub verdict_digest: [u8; 32],
    /// Last line of the outbox seen.
    pub outbox_id: Option<i64>,
    /// Greatest `updated_at` of the platform.
    pub platform_mark: Option<String>,
}

async fn end<'c>(
    to: impl sqlx::PgExecutor<'c>,
    run: i64,
    ending: &Ending,
) -> Result<(), StoreError> {
    let [considered, matched, tolerated, broken, skipped] = ending.counts;
    sqlx::query_file!(
        "src/store/reconcile/end_run.sql",
        run,
        ending.contract,
        ending.anchor,
        ending.basis,
        ending.columns,
        ending.schema_fingerprint.as_ref().map(<[u8; 32]>::as_slice),
        ending.subjects,
        considered,
        matched,
        tolerated,
        broken,
        skipped,
        ending.skips,
        ending.coverage,
        ending.changes,
        ending.notes,
        ending.canary,
        ending.verdict_digest.as_slice(),
        ending.outbox_id,
        ending.platform_mark,
        ending.kind,
        ending.inputs,
    )
    .execute(to)
    .await
    .map_err(StoreError::db("end a run"))?;
    Ok(())
}

impl Writing {
    /// Ends a run, together with all that it changed.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn end_run(&mut self, run: i64, ending: &Ending) -> Result<(), StoreError> {
        end(&mut *self.tx, run, ending).await
    }
}

/// Ends a run that changed nothing.
///
/// # Errors
/// When the database fails.
pub async fn end_judged(pool: &PgPool, run: i64, ending: &Ending) -> Result<(), StoreError> {
    end(pool, run, ending).await
}

/// Ends a run that failed.
///
/// # Errors
/// When the database fails.
pub async fn fail(pool: &PgPool, run: i64, error: &str) -> Result<(), StoreError> {
    sqlx::query!(
        "update reconcile_run set state = 'failed', finished_at = clock_timestamp(), error = $2
         where id = $1 and state = 'running'",
        run,
        error
    )
    .execute(pool)
    .await
    .map_err(StoreError::db("note a run that failed"))?;
    Ok(())
}

/// A run by its number.
///
/// # Errors
/// When the database fails.
pub async fn get(pool: &PgPool, id: i64) -> Result<Option<RunRow>, StoreError> {
    run_query!("where id = $1", id)
        .fetch_optional(pool)
        .await
        .map_err(StoreError::db("read a run"))
}

/// The newest run that moved breaks and ended well; of one kind, if one is named.
///
/// # Errors
/// When the database fails.
pub async fn last_good(pool: &PgPool, kind: Option<&str>) -> Result<Option<RunRow>, StoreError> {
    run_query!(
        "where state = 'done' and applies and ($1::text is null or kind = $1) order by id desc limit 1",
        kind
    )
    .fetch_optional(pool)
    .await
    .map_err(StoreError::db("read the last good run"))
}

/// The newest runs.
///
/// # Errors
/// When the database fails.
pub async fn newest(pool: &PgPool, limit: i64) -> Result<Vec<RunRow>, StoreError> {
    run_query!("order by id desc limit $1", limit)
        .fetch_all(pool)
        .await
        .map_err(StoreError::db("read runs"))
}
