//! Deliveries of webhooks.
//!
//! What moves a webhook's position is committed durably, and with it everything that was committed before: what was
//! told to somebody outside does not vanish with a crash of the server.

use std::time::Duration;

use sqlx::{PgConnection, PgPool};

use crate::store::StoreError;

/// Names a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key {
    /// The webhook.
    pub webhook: i64,
    /// Line of the outbox, or number of a message about a mint; 0 for a reset, -1 for a test.
    pub line: i64,
    /// Part of the line, 0 for a message about a mint, or the number of the reset or test.
    pub part: i32,
}

/// A delivery.
#[derive(Debug, Clone)]
pub struct DeliveryRow {
    /// The webhook.
    pub webhook_id: i64,
    /// Line of the outbox, or number of a message about a mint; 0 for a reset, -1 for a test.
    pub line: i64,
    /// Part of the line, 0 for a message about a mint, or the number of the reset or test.
    pub part: i32,
    /// `frame`, `mint`, `reset` or `test`.
    pub kind: String,
    /// The stream's position behind it.
    pub position: String,
    /// `pending`, `delivered` or `dead`.
    pub state: String,
    /// A dead letter that is sent again.
    pub redriven: bool,
    /// Attempts so far.
    pub attempts: i32,
    /// Milliseconds until the next attempt.
    pub due_in_ms: i64,
    /// RFC 3339.
    pub created_at: String,
    /// RFC 3339.
    pub next_attempt_at: String,
    /// RFC 3339.
    pub ended_at: Option<String>,
    /// HTTP status of the last answer.
    pub response_code: Option<i32>,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
}

impl DeliveryRow {
    /// Its name.
    pub fn key(&self) -> Key {
        Key {
            webhook: self.webhook_id,
            line: self.line,
            part: self.part,
        }
    }

    /// Does the next line wait for it?
    pub fn is_in_order(&self) -> bool {
        !self.redriven && self.kind != "test"
    }
}

macro_rules! delivery_query {
    ($tail:literal $(, $args:expr)*) => {
        sqlx::query_as!(
            DeliveryRow,
            r#"
            select d.webhook_id, d.line, d.part, d.kind, d.position, d.state, d.redriven, d.attempts,
                   greatest(0, extract(epoch from d.next_attempt_at - clock_timestamp()) * 1000)::bigint
                       as "due_in_ms!",
                   to_char(d.created_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as "created_at!",
                   to_char(d.next_attempt_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
                       as "next_attempt_at!",
                   to_char(d.ended_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as "ended_at?",
                   d.response_code, d.last_error
            from webhook_delivery d "# + $tail,
            $($args),*
        )
    };
}

/// Deliveries of a webhook that have not ended, the one that is in order first; at most so many.
///
/// # Errors
/// When the database fails.
pub async fn open(pool: &PgPool, webhook: i64, limit: i64) -> Result<Vec<DeliveryRow>, StoreError> {
    delivery_query!(
        "where d.webhook_id = $1 and d.state = 'pending'
         order by d.redriven or d.kind = 'test', d.next_attempt_at, d.line, d.part limit $2",
        webhook,
        limit
    )
    .fetch_all(pool)
    .await
    .map_err(StoreError::db("read what is to be delivered"))
}

/// One delivery, for a change.
///
/// # Errors
/// When the database fails.
pub async fn one(tx: &mut PgConnection, key: Key) -> Result<Option<DeliveryRow>, StoreError> {
    delivery_query!(
        "where d.webhook_id = $1 and d.line = $2 and d.part = $3 for update",
        key.webhook,
        key.line,
        key.part
    )
    .fetch_optional(tx)
    .await
    .map_err(StoreError::db("read a delivery"))
}

/// A page of a webhook's deliveries, the newest lines first, below a place; one more than `limit` says that there
/// are more. `dead` keeps dead letters alone.
///
/// # Errors
/// When the database fails.
pub async fn page(
    pool: &PgPool,
    webhook: i64,
    dead: bool,
    below: (i64, i32),
    limit: u32,
) -> Result<Vec<DeliveryRow>, StoreError> {
    delivery_query!(
        "where d.webhook_id = $1 and (d.line, d.part) < ($2::bigint, $3::integer)
           and (not $4 or d.state = 'dead')
         order by d.line desc, d.part desc limit $5",
        webhook,
        below.0,
        below.1,
        dead,
        i64::from(limit) + 1
    )
    .fetch_all(pool)
    .await
    .map_err(StoreError::db("list deliveries"))
}

/// Notes that something is to be delivered, before it is sent. True when it was noted and has not ended; false when
/// the lease is lost or the webhook is gone.
///
/// # Errors
/// When the database fails.
pub async fn begin(
    pool: &PgPool,
    epoch: i64,
    key: Key,
    kind: &str,
    position: &str,
) -> Result<bool, StoreError> {
    let begun = sqlx::query!(
        "insert into webhook_delivery (webhook_id, line, part, kind, position, state)
         select w.id, $2, $3, $6, $4, 'pending' from webhook w
         where w.id = $1 and (select l.epoch from webhook_lease l) = $5
         on conflict do nothing",
        key.webhook,
        key.line,
        key.part,
        position,
        epoch,
        kind
    )
    .execute(pool)
    .await
    .map_err(StoreError::db("note a delivery"))?;
    Ok(begun.rows_affected() == 1)
}

/// How an attempt ended.
#[derive(Debug)]
pub enum Ended {
    /// Answered with 2xx.
    Delivered {
        /// The status.
        code: i32,
    },
    /// It will be tried again.
    Failed {
        /// The status, if there was an answer.
        code: Option<i32>,
        /// Why.
        error: String,
        /// After how long.
        again_in: Duration,
    },
    /// It is given up.
    Dead {
        /// The status, if there was an answer.
        code: Option<i32>,
        /// Why.
        error: String,
        /// Does the webhook stop?
        pause: bool,
    },
}

/// Notes how an attempt ended, and moves the webhook's position behind what is over and in order. False when the
/// lease is lost, or the delivery is not there any more.
///
/// # Errors
/// When the database fails.
pub async fn end(
    pool: &PgPool,
    epoch: i64,
    delivery: &DeliveryRow,
    ended: &Ended,
) -> Result<bool, StoreError> {
    let failed = || StoreError::db("note how a delivery ended");
    let (state, code, error, again_in) = match ended {
        Ended::Delivered { code } => ("delivered", Some(*code), None, None),
        Ended::Failed {
            code,
            error,
            again_in,
        } => ("pending", *code, Some(error), Some(*again_in)),
        Ended::Dead { code, error, .. } => ("dead", *code, Some(error), None),
    };
    let again_s = again_in.map_or(0.0, |delay| delay.as_secs_f64());
    let mut tx = crate::store::begin(pool, "begin").await.map_err(failed())?;
    let noted = sqlx::query!(
        "update webhook_delivery set state = $4, attempts = attempts + 1, response_code = $5, last_error = $6,
             next_attempt_at = clock_timestamp() + make_interval(secs => $7),
             ended_at = case when $4 = 'pending' then null else clock_timestamp() end
         where webhook_id = $1 and line = $2 and part = $3 and state = 'pending'
           and (select l.epoch from webhook_lease l) = $8",
        delivery.webhook_id,
        delivery.line,
        delivery.part,
        state,
        code,
        error,
        again_s,
        epoch
    )
    .execute(&mut *tx)
    .await
    .map_err(failed())?;
    if noted.rows_affected() != 1 {
        return Ok(false);
    }
    if state != "pending" && delivery.is_in_order() {
        sqlx::query!(
            "update webhook set position = $2 where id = $1",
            delivery.webhook_id,
            delivery.position
        )
        .execute(&mut *tx)
        .await
        .map_err(failed())?;
    }
    if let Ended::Dead {
        pause: true, error, ..
    } = ended
    {
        sqlx::query!(
            "update webhook set state = 'paused', reason = $2 where id = $1 and state = 'active'",
            delivery.webhook_id,
            error
        )
        .execute(&mut *tx)
        .await
        .map_err(failed())?;
    }
    tx.commit().await.map_err(failed())?;
    Ok(true)
}

/// Moves a webhook's position behind what its filter left out. False when the lease is lost or it is gone.
///
/// # Errors
/// When the database fails.
pub async fn pass(
    pool: &PgPool,
    epoch: i64,
    webhook: i64,
    position: &str,
) -> Result<bool, StoreError> {
    let moved = sqlx::query!(
        "update webhook set position = $2 where id = $1 and (select l.epoch from webhook_lease l) = $3",
        webhook,
        position,
        epoch
    )
    .execute(pool)
    .await
    .map_err(StoreError::db("move a webhook on"))?;
    Ok(moved.rows_affected() == 1)
}

/// The mirror was made anew: what was told does not hold, and everything is told again from this position on. What was
/// to be delivered of before goes; of messages about mints only if they are gone, too. False when the lease is lost or
/// the webhook is gone.
///
/// # Errors
/// When the database fails.
pub async fn reset(
    pool: &PgPool,
    epoch: i64,
    webhook: i64,
    position: &str,
    messages_too: bool,
) -> Result<bool, StoreError> {
    let failed = || StoreError::db("reset a webhook");
    let mut tx = crate::store::begin(pool, "begin").await.map_err(failed())?;
    let resets = sqlx::query_scalar!(
        "update webhook set position = $3, resets = resets + 1
         where id = $1 and (select l.epoch from webhook_lease l) = $2 returning resets",
        webhook,
        epoch,
        position
    )
    .fetch_optional(&mut *tx)
    .await
    .map_err(failed())?;
    let Some(resets) = resets else {
        return Ok(false);
    };
    sqlx::query!(
        "delete from webhook_delivery where webhook_id = $1 and kind <> 'test' and (kind <> 'mint' or $2)",
        webhook,
        messages_too
    )
    .execute(&mut *tx)
    .await
    .map_err(failed())?;
    sqlx::query!(
        "insert into webhook_delivery (webhook_id, line, part, kind, position, state)
         values ($1, 0, $2, 'reset', $3, 'pending')",
        webhook,
        resets,
        position
    )
    .execute(&mut *tx)
    .await
    .map_err(failed())?;
    tx.commit().await.map_err(failed())?;
    Ok(true)
}

/// Asks for a test delivery; its number.
///
/// # Errors
/// When the database fails.
pub async fn ask_test(tx: &mut PgConnection, webhook: i64) -> Result<i32, StoreError> {
    let failed = || StoreError::db("ask for a test delivery");
    let number = sqlx::query_scalar!(
        "update webhook set tests = tests + 1 where id = $1 returning tests",
        webhook
    )
    .fetch_one(&mut *tx)
    .await
    .map_err(failed())?;
    sqlx::query!(
        "insert into webhook_delivery (webhook_id, line, part, kind, position, state)
         values ($1, -1, $2, 'test', '0', 'pending')",
        webhook,
        number
    )
    .execute(tx)
    .await
    .map_err(failed())?;
    Ok(number)
}

/// Has a dead letter sent again.
///
/// # Errors
/// When the database fails.
pub async fn redrive(tx: &mut PgConnection, key: Key) -> Result<(), StoreError> {
    sqlx::query!(
        "update webhook_delivery set state = 'pending', redriven = true, attempts = 0, ended_at = null,
             next_attempt_at = clock_timestamp()
         where webhook_id = $1 and line = $2 and part = $3 and state = 'dead'",
        key.webhook,
        key.line,
        key.part
    )
    .execute(tx)
    .await
    .map_err(StoreError::db("send a dead letter again"))?;
    Ok(())
}

/// Forgets what was delivered before so many days. Returns how many rows went.
///
/// # Errors
/// When the database fails.
pub async fn forget(pool: &PgPool, days: i32) -> Result<u64, StoreError> {
    let gone = sqlx::query!(
        "delete from webhook_delivery
         where state = 'delivered' and ended_at < clock_timestamp() - make_interval(days => $1)",
        days
    )
    .execute(pool)
    .await
    .map_err(StoreError::db("forget old deliveries"))?;
    Ok(gone.rows_affected())
}

/// Seconds since the oldest delivery that waits was noted, and how many dead letters there are.
///
/// # Errors
/// When the database fails.
pub async fn waiting(pool: &PgPool) -> Result<(i64, i64), StoreError> {
    let row = sqlx::query!(
        r#"select coalesce(extract(epoch from clock_timestamp() - min(created_at) filter (where state = 'pending')), 0)::bigint
                      as "oldest!",
                  count(*) filter (where state = 'dead') as "dead!"
           from webhook_delivery where state in ('pending', 'dead')"#
    )
    .fetch_one(pool)
    .await
    .map_err(StoreError::db("see what waits to be delivered"))?;
    Ok((row.oldest, row.dead))
}
