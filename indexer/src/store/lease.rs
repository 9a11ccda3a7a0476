//! Who writes. The lease says who should, by time; the epoch that comes with it holds everybody else to it, in every
//! commit, whatever the clocks say.

use std::time::Duration;

use sqlx::PgPool;

use super::StoreError;
use super::load::{self, Position};
use crate::model::FollowSet;
use crate::project::AnyProjection;

/// A writer that falls asleep in the middle of a transaction (a machine that is suspended) would hold the mirror's row,
/// and with it everybody else, for as long as it sleeps. The server ends such a transaction after this time; between two
/// statements of a writer that is awake there are milliseconds.
pub(super) const ASLEEP: &str = "3s";

/// What came of asking for the lease.
#[derive(Debug)]
pub enum Attempt {
    /// It is ours, with a new epoch.
    Taken(Position),
    /// Somebody else has it.
    Held {
        /// Who.
        holder: String,
        /// With which epoch.
        epoch: i64,
        /// How long it lasts unless it is renewed.
        expires_in: Duration,
    },
}

fn interval(ttl: Duration) -> Result<sqlx::postgres::types::PgInterval, StoreError> {
    // A lease is seconds, not centuries.
    ttl.try_into().map_err(|_| StoreError::Corrupt {
        table: "lease",
        detail: format!("{ttl:?} is no time to hold a lease for"),
    })
}

/// Takes the lease if nobody else holds it, and claims the mirror with it: the epoch rises, so that every earlier
/// writer's next commit fails. Creates the mirror's row on an empty database.
///
/// # Errors
/// When the mirror was built for another network, follow set or rules: then nothing is taken, and there is nothing to
/// wait for.
pub async fn attempt(
    pool: &PgPool,
    network: &str,
    follow: &FollowSet,
    registry: &[Box<dyn AnyProjection>],
    holder: &str,
    ttl: Duration,
) -> Result<Attempt, StoreError> {
    load::check(pool, network, follow).await?;
    let ttl = interval(ttl)?;
    let mut tx = super::begin(pool, "begin")
        .await
        .map_err(StoreError::db("begin"))?;
    sqlx::query!(
        r#"select set_config('idle_in_transaction_session_timeout', $1, true) as "idle!""#,
        ASLEEP
    )
    .fetch_one(&mut *tx)
    .await
    .map_err(StoreError::db("limit how long the claim may take"))?;
    let taken = sqlx::query_scalar!(
        "insert into lease (holder, epoch, expires_at) values ($1, 0, clock_timestamp() + $2)
         on conflict (only_row) do update
             set holder = excluded.holder, taken_at = clock_timestamp(), renewed_at = clock_timestamp(),
                 expires_at = clock_timestamp() + $2
             where lease.expires_at <= clock_timestamp() or lease.holder = excluded.holder
         returning holder",
        holder,
        ttl
    )
    .fetch_optional(&mut *tx)
    .await
    .map_err(StoreError::db("ask for the lease"))?;
    if taken.is_none() {
        let row = sqlx::query!(
            r#"select holder, epoch,
                   greatest(0, extract(epoch from expires_at - clock_timestamp()) * 1000)::bigint as "ms!"
               from lease"#
        )
        .fetch_one(&mut *tx)
        .await
        .map_err(StoreError::db("see who holds the lease"))?;
        return Ok(Attempt::Held {
            holder: row.holder,
            epoch: row.epoch,
            expires_in: Duration::from_millis(u64::try_from(row.ms).unwrap_or(0)),
        });
    }
    let epoch = load::claim(&mut tx, network, follow, registry).await?;
    sqlx::query!(
        "update lease set epoch = $1, renewed_at = clock_timestamp(), expires_at = clock_timestamp() + $2",
        epoch,
        ttl
    )
    .execute(&mut *tx)
    .await
    .map_err(StoreError::db("note the epoch of the lease"))?;
    tx.commit()
        .await
        .map_err(StoreError::db("commit the claim"))?;
    Ok(Attempt::Taken(load::resume(pool, epoch).await?))
}

/// Holds it for another while. False when it is not ours any more.
///
/// # Errors
/// When the database fails: then nobody knows, and the next renewal tells.
pub async fn renew(
    pool: &PgPool,
    holder: &str,
    epoch: i64,
    ttl: Duration,
) -> Result<bool, StoreError> {
    let renewed = sqlx::query!(
        "update lease set renewed_at = clock_timestamp(), expires_at = clock_timestamp() + $3
         where holder = $1 and epoch = $2 and epoch = (select writer_epoch from mirror)",
        holder,
        epoch,
        interval(ttl)?
    )
    .execute(pool)
    .await
    .map_err(StoreError::db("renew the lease"))?;
    Ok(renewed.rows_affected() == 1)
}

/// Lets go of it, so that another process need not wait.
///
/// # Errors
/// When the database fails; it then expires by itself.
pub async fn release(pool: &PgPool, holder: &str, epoch: i64) -> Result<(), StoreError> {
    sqlx::query!(
        "update lease set expires_at = clock_timestamp() where holder = $1 and epoch = $2",
        holder,
        epoch
    )
    .execute(pool)
    .await
    .map_err(StoreError::db("release the lease"))?;
    Ok(())
}

/// Notes from which depth on this writer counts a block as final, for those who look at the mirror from outside.
///
/// # Errors
/// When the database fails.
pub async fn note_finality(
    pool: &PgPool,
    holder: &str,
    epoch: i64,
    burn_blocks: u32,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update lease set finality_burn_blocks = $3 where holder = $1 and epoch = $2",
        holder,
        epoch,
        i32::try_from(burn_blocks).unwrap_or(i32::MAX)
    )
    .execute(pool)
    .await
    .map_err(StoreError::db("note what counts as final"))?;
    Ok(())
}

/// From which depth on the newest writer counts a block as final; none where it did not say, or nobody ever wrote.
///
/// # Errors
/// When the database fails.
pub async fn finality(pool: &PgPool) -> Result<Option<u32>, StoreError> {
    let noted = sqlx::query_scalar!("select finality_burn_blocks from lease")
        .fetch_optional(pool)
        .await
        .map_err(StoreError::db("read what counts as final"))?;
    noted
        .flatten()
        .map(|blocks| load::unsigned("lease", blocks))
        .transpose()
}

/// Does somebody hold the lease?
///
/// # Errors
/// When the database fails.
pub async fn is_held(pool: &PgPool) -> Result<bool, StoreError> {
    let held = sqlx::query_scalar!(
        r#"select exists (select from lease where expires_at > clock_timestamp()) as "held!""#
    )
    .fetch_one(pool)
    .await;
    held.map_err(StoreError::db("see whether somebody writes"))
}
