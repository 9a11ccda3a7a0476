//! Who sends. What a sender notes names the epoch of its lease, so that one that was asleep notes nothing.

use std::time::Duration;

use sqlx::PgPool;

use crate::store::StoreError;

fn seconds(ttl: Duration) -> f64 {
    f64::from(u32::try_from(ttl.as_millis()).unwrap_or(u32::MAX)) / 1000.0
}

/// Takes the lease if nobody else holds it; the epoch that came with it.
///
/// # Errors
/// When the database fails.
pub async fn take(pool: &PgPool, holder: &str, ttl: Duration) -> Result<Option<i64>, StoreError> {
    sqlx::query_scalar!(
        "insert into webhook_lease (holder, epoch, expires_at)
         values ($1, 1, clock_timestamp() + make_interval(secs => $2))
         on conflict (only_row) do update
             set holder = excluded.holder, epoch = webhook_lease.epoch + 1, expires_at = excluded.expires_at
             where webhook_lease.expires_at <= clock_timestamp()
         returning epoch",
        holder,
        seconds(ttl)
    )
    .fetch_optional(pool)
    .await
    .map_err(StoreError::db("ask for the lease of the webhooks"))
}

/// Holds it for another while. False when it is not ours any more.
///
/// # Errors
/// When the database fails.
pub async fn renew(pool: &PgPool, epoch: i64, ttl: Duration) -> Result<bool, StoreError> {
    let renewed = sqlx::query!(
        "update webhook_lease set expires_at = clock_timestamp() + make_interval(secs => $2) where epoch = $1",
        epoch,
        seconds(ttl)
    )
    .execute(pool)
    .await
    .map_err(StoreError::db("renew the lease of the webhooks"))?;
    Ok(renewed.rows_affected() == 1)
}

/// Lets go of it.
///
/// # Errors
/// When the database fails; it then expires by itself.
pub async fn release(pool: &PgPool, epoch: i64) -> Result<(), StoreError> {
    sqlx::query!(
        "update webhook_lease set expires_at = clock_timestamp() where epoch = $1",
        epoch
    )
    .execute(pool)
    .await
    .map_err(StoreError::db("release the lease of the webhooks"))?;
    Ok(())
}
