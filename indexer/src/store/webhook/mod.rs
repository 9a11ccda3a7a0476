//! Webhooks: who is told, what of it was told, and who tells.

pub mod delivery;
pub mod lease;

use std::time::Duration;

use serde_json::Value;
use sqlx::{PgConnection, PgPool};

use super::StoreError;

/// A webhook, without its secrets.
#[derive(Debug, Clone)]
pub struct WebhookRow {
    /// Its number.
    pub id: i64,
    /// Whom it calls. May hold a secret of the receiver.
    pub url: String,
    /// What is told.
    pub filter: Value,
    /// `seen`, `burn_n` or `final`.
    pub min_finality: String,
    /// `skip` or `pause`.
    pub on_failure: String,
    /// Attempts before a delivery is set aside.
    pub max_attempts: i32,
    /// `active`, `paused` or `disabled`.
    pub state: String,
    /// Why the service paused it.
    pub reason: Option<String>,
    /// The stream's position up to which everything is told, or set aside.
    pub position: String,
    /// How often the mirror was made anew under it.
    pub resets: i32,
    /// Who made it.
    pub owner: String,
    /// RFC 3339.
    pub created_at: String,
    /// RFC 3339, to the microsecond.
    pub changed_at: String,
    /// Valid secrets.
    pub secrets: i64,
}

macro_rules! webhook_query {
    ($tail:literal $(, $args:expr)*) => {
        sqlx::query_as!(
            WebhookRow,
            r#"
            select w.id, w.url, w.filter, w.min_finality, w.on_failure, w.max_attempts, w.state, w.reason,
                   w.position, w.resets, w.owner,
                   to_char(w.created_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as "created_at!",
                   to_char(w.changed_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as "changed_at!",
                   (select count(*) from webhook_secret s where s.webhook_id = w.id
                      and (s.expires_at is null or s.expires_at > clock_timestamp())) as "secrets!"
            from webhook w "# + $tail,
            $($args),*
        )
    };
}

/// One webhook. `lock` keeps others from changing it until the transaction ends.
///
/// # Errors
/// When the database fails.
pub async fn one(connection: &mut PgConnection, id: i64) -> Result<Option<WebhookRow>, StoreError> {
    webhook_query!("where w.id = $1 for update of w", id)
        .fetch_optional(connection)
        .await
        .map_err(StoreError::db("read a webhook"))
}

/// A page of webhooks, in order of their numbers; one more than `limit` says that there are more.
///
/// # Errors
/// When the database fails.
pub async fn page(pool: &PgPool, after: i64, limit: u32) -> Result<Vec<WebhookRow>, StoreError> {
    webhook_query!(
        "where w.id > $1 order by w.id limit $2",
        after,
        i64::from(limit) + 1
    )
    .fetch_all(pool)
    .await
    .map_err(StoreError::db("list webhooks"))
}

/// The webhooks that are sent to, at most so many.
///
/// # Errors
/// When the database fails.
pub async fn active(pool: &PgPool, limit: i64) -> Result<Vec<WebhookRow>, StoreError> {
    webhook_query!("where w.state = 'active' order by w.id limit $1", limit)
        .fetch_all(pool)
        .await
        .map_err(StoreError::db("list the webhooks that are sent to"))
}

/// How many webhooks are in which state: active, paused, disabled.
///
/// # Errors
/// When the database fails.
pub async fn count(pool: &PgPool) -> Result<[i64; 3], StoreError> {
    let row = sqlx::query!(
        r#"select count(*) filter (where state = 'active') as "active!",
                  count(*) filter (where state = 'paused') as "paused!",
                  count(*) filter (where state = 'disabled') as "disabled!" from webhook"#
    )
    .fetch_one(pool)
    .await
    .map_err(StoreError::db("count webhooks"))?;
    Ok([row.active, row.paused, row.disabled])
}

/// What an operator says of a webhook.
#[derive(Debug, Clone)]
pub struct Wish {
    /// Whom it calls.
    pub url: String,
    /// What is told.
    pub filter: Value,
    /// `seen`, `burn_n` or `final`.
    pub min_finality: String,
    /// `skip` or `pause`.
    pub on_failure: String,
    /// Attempts before a delivery is set aside.
    pub max_attempts: i32,
    /// `active`, `paused` or `disabled`.
    pub state: String,
}

/// Makes a webhook that goes on behind a position. Returns its number.
///
/// # Errors
/// When the database fails.
pub async fn create(
    tx: &mut PgConnection,
    wish: &Wish,
    position: &str,
    owner: &str,
    secret: &str,
) -> Result<i64, StoreError> {
    let id = sqlx::query_scalar!(
        "insert into webhook (url, filter, min_finality, on_failure, max_attempts, state, position, owner)
         values ($1, $2, $3, $4, $5, $6, $7, $8) returning id",
        wish.url,
        wish.filter,
        wish.min_finality,
        wish.on_failure,
        wish.max_attempts,
        wish.state,
        position,
        owner
    )
    .fetch_one(&mut *tx)
    .await
    .map_err(StoreError::db("make a webhook"))?;
    add_secret(tx, id, secret, Duration::ZERO).await?;
    Ok(id)
}

/// Changes a webhook.
///
/// # Errors
/// When the database fails.
pub async fn update(tx: &mut PgConnection, id: i64, wish: &Wish) -> Result<(), StoreError> {
    sqlx::query!(
        "update webhook set url = $2, filter = $3, min_finality = $4, on_failure = $5, max_attempts = $6,
             state = $7, reason = null, changed_at = clock_timestamp()
         where id = $1",
        id,
        wish.url,
        wish.filter,
        wish.min_finality,
        wish.on_failure,
        wish.max_attempts,
        wish.state
    )
    .execute(tx)
    .await
    .map_err(StoreError::db("change a webhook"))?;
    Ok(())
}

/// Removes a webhook with its secrets and deliveries.
///
/// # Errors
/// When the database fails.
pub async fn delete(tx: &mut PgConnection, id: i64) -> Result<(), StoreError> {
    sqlx::query!("delete from webhook where id = $1", id)
        .execute(tx)
        .await
        .map_err(StoreError::db("remove a webhook"))?;
    Ok(())
}

/// Adds a secret. The newest one before it goes on signing for `grace`; older ones end at once.
///
/// # Errors
/// When the database fails.
pub async fn add_secret(
    tx: &mut PgConnection,
    id: i64,
    secret: &str,
    grace: Duration,
) -> Result<(), StoreError> {
    let grace_s = f64::from(u32::try_from(grace.as_secs()).unwrap_or(u32::MAX));
    sqlx::query!(
        "delete from webhook_secret where webhook_id = $1 and expires_at is not null",
        id
    )
    .execute(&mut *tx)
    .await
    .map_err(StoreError::db("end the older secrets of a webhook"))?;
    sqlx::query!(
        "update webhook_secret set expires_at = clock_timestamp() + make_interval(secs => $2)
         where webhook_id = $1",
        id,
        grace_s
    )
    .execute(&mut *tx)
    .await
    .map_err(StoreError::db("end the secret of a webhook"))?;
    sqlx::query!(
        "insert into webhook_secret (webhook_id, secret) values ($1, $2)",
        id,
        secret
    )
    .execute(tx)
    .await
    .map_err(StoreError::db("keep the secret of a webhook"))?;
    Ok(())
}

/// The valid secrets, the newest first.
///
/// # Errors
/// When the database fails.
pub async fn secrets(pool: &PgPool, id: i64) -> Result<Vec<String>, StoreError> {
    sqlx::query_scalar!(
        "select secret from webhook_secret
         where webhook_id = $1 and (expires_at is null or expires_at > clock_timestamp())
         order by id desc",
        id
    )
    .fetch_all(pool)
    .await
    .map_err(StoreError::db("read the secrets of a webhook"))
}
