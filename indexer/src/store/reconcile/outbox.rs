//! Repairs of the platform that the configuration allows: decided here, carried out there, at most once.

use sqlx::PgPool;

use super::Writing;
use crate::store::StoreError;

/// A repair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepairRow {
    /// Its number.
    pub id: i64,
    /// The break.
    pub break_id: Vec<u8>,
    /// The rule.
    pub rule: String,
    /// What kind of repair.
    pub repair: String,
    /// The statement.
    pub sql: String,
}

/// Notes repairs of open breaks of the platform's fault: those of these rules and kinds, side by side. A break has one
/// repair under way; a statement that did not help is not wanted again. How many were noted.
///
/// # Errors
/// When the database fails.
pub async fn want(
    pool: &PgPool,
    run: i64,
    (rules, repairs): (&[String], &[String]),
    limit: i64,
) -> Result<u64, StoreError> {
    let done = sqlx::query!(
        "insert into repair_outbox (break_id, rule, repair, sql, run_id)
         select b.id, b.rule, b.body #>> '{finding,repair,kind}', b.body #>> '{finding,repair,sql}', $1
         from break b join unnest($2::text[], $3::text[]) as a (rule, repair)
             on a.rule = b.rule and a.repair = b.body #>> '{finding,repair,kind}'
         where b.state = 'open' and b.fault = 'platform'
           and not exists (select from repair_outbox o where o.break_id = b.id
                           and (o.state in ('wanted', 'executing', 'done')
                                or (o.state <> 'verified' and o.sql = b.body #>> '{finding,repair,sql}')))
         order by b.id limit $4
         on conflict do nothing",
        run,
        rules,
        repairs,
        limit
    )
    .execute(pool)
    .await
    .map_err(StoreError::db("note wanted repairs"))?;
    Ok(done.rows_affected())
}

/// Takes the next repair; nobody else gets it, and it is not given out again, whatever happens.
///
/// # Errors
/// When the database fails.
pub async fn take(pool: &PgPool) -> Result<Option<RepairRow>, StoreError> {
    sqlx::query_as!(
        RepairRow,
        "update repair_outbox set state = 'executing', executed_at = clock_timestamp()
         where id = (select id from repair_outbox where state = 'wanted' order by id limit 1 for update skip locked)
         returning id, break_id, rule, repair, sql"
    )
    .fetch_optional(pool)
    .await
    .map_err(StoreError::db("take a repair"))
}

/// Repairs that somebody began and did not end, longer ago than any statement may take, are of unknown outcome. Those
/// that were done are verified when their break is over, and ineffective when a later run saw it still. How many of each.
///
/// # Errors
/// When the database fails.
pub async fn judge(pool: &PgPool, stale_s: i64) -> Result<[u64; 3], StoreError> {
    let unknown = sqlx::query!(
        "update repair_outbox set state = 'unknown', detail = 'the program ended while it was executing'
         where state = 'executing' and executed_at < clock_timestamp() - make_interval(secs => $1::bigint)",
        stale_s
    )
    .execute(pool)
    .await
    .map_err(StoreError::db("find repairs that did not end"))?;
    let verified = sqlx::query!(
        "update repair_outbox o set state = 'verified'
         where state = 'done' and not exists (select from break b where b.id = o.break_id and b.state <> 'resolved')"
    )
    .execute(pool)
    .await
    .map_err(StoreError::db("verify repairs"))?;
    let ineffective = sqlx::query!(
        "update repair_outbox o set state = 'ineffective', detail = 'the rule found the break again'
         from break b
         where o.state = 'done' and b.id = o.break_id and b.state <> 'resolved' and (b.body ->> 'passes')::bigint = 0
           and exists (select from reconcile_run r where r.id = b.run_id and r.started_at > o.executed_at)"
    )
    .execute(pool)
    .await
    .map_err(StoreError::db("find repairs that did not help"))?;
    Ok([
        unknown.rows_affected(),
        verified.rows_affected(),
        ineffective.rows_affected(),
    ])
}

impl Writing {
    /// Notes what came of a repair.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn end_repair(
        &mut self,
        id: i64,
        state: &str,
        detail: Option<&str>,
    ) -> Result<(), StoreError> {
        sqlx::query!(
            "update repair_outbox set state = $2, detail = $3 where id = $1 and state = 'executing'",
            id,
            state,
            detail
        )
        .execute(&mut *self.tx)
        .await
        .map_err(StoreError::db("note what came of a repair"))?;
        Ok(())
    }
}
