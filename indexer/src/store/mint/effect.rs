//! Effects, and the lines that tell of them.

use sqlx::PgPool;

use super::intent::{change, stands};
use super::{Change, Halt, LaneRef, Told, Tx, Written, commit, held, step_of};
use crate::store::StoreError;

/// Stores an effect with its line, unless one stands.
pub(super) async fn store(
    tx: &mut Tx,
    lane: LaneRef<'_>,
    told: &Told<'_>,
) -> Result<(), StoreError> {
    let stored = sqlx::query!(
        "insert into mint_effect (intent_id, kind, txid, badge_id) values ($1, $2, $3, $4::text::numeric)
         on conflict (intent_id) where taken_back_at is null do nothing",
        told.intent,
        told.kind,
        told.txid,
        told.badge.map(|b| b.to_string())
    )
    .execute(&mut **tx)
    .await
    .map_err(StoreError::db("store an effect"))?;
    if stored.rows_affected() == 1 {
        line(tx, lane, told).await?;
    }
    Ok(())
}

/// A line of this name says the same.
pub(super) async fn line(
    tx: &mut Tx,
    lane: LaneRef<'_>,
    told: &Told<'_>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into mint_line (id, kind, intent_id, sender, body) values ($1, $2, $3, $4, $5)
         on conflict (id) do nothing",
        told.line,
        told.kind,
        told.intent,
        lane.sender,
        told.body
    )
    .execute(&mut **tx)
    .await
    .map_err(StoreError::db("write a line about a mint"))?;
    Ok(())
}

/// Takes the standing effect back, if there is one.
pub(super) async fn take_back(tx: &mut Tx, intent: i64) -> Result<(), StoreError> {
    sqlx::query!(
        "update mint_effect set taken_back_at = clock_timestamp() where intent_id = $1 and taken_back_at is null",
        intent
    )
    .execute(&mut **tx)
    .await
    .map_err(StoreError::db("take an effect back"))?;
    Ok(())
}

/// Moves an intent without a slot to its end, with its effect.
///
/// # Errors
/// When the database fails or a guard refuses.
pub async fn settle(
    pool: &PgPool,
    lane: LaneRef<'_>,
    epoch: i64,
    step: &Change<'_>,
    told: &Told<'_>,
) -> Result<Written, StoreError> {
    step_of(async {
        let mut tx = held(pool, lane, epoch).await?;
        if !change(&mut tx, step).await? && !stands(&mut tx, step).await? {
            return Err(Halt::Stale);
        }
        store(&mut tx, lane, told).await?;
        commit(tx, ()).await
    })
    .await
}

/// A line that nobody confirmed.
#[derive(Debug, Clone, PartialEq)]
pub struct LineRow {
    /// What a listener knows it by.
    pub id: String,
    /// `minted`, `satisfied_elsewhere` or `retracted`.
    pub kind: String,
    /// Which intent.
    pub intent: i64,
    /// What is said.
    pub body: serde_json::Value,
}

/// Lines that nobody confirmed, oldest first.
///
/// # Errors
/// When the database fails.
pub async fn untold(
    pool: &PgPool,
    lane: LaneRef<'_>,
    limit: u32,
) -> Result<Vec<LineRow>, StoreError> {
    sqlx::query_as!(
        LineRow,
        "select id, kind, intent_id as intent, body from mint_line
         where sender = $1 and told_at is null order by seq limit $2",
        lane.sender,
        i64::from(limit)
    )
    .fetch_all(pool)
    .await
    .map_err(StoreError::db("read lines about mints"))
}

/// A line was heard.
///
/// # Errors
/// When the database fails.
pub async fn told(pool: &PgPool, line: &str) -> Result<(), StoreError> {
    sqlx::query!(
        "update mint_line set told_at = clock_timestamp() where id = $1 and told_at is null",
        line
    )
    .execute(pool)
    .await
    .map_err(StoreError::db("note that a line was heard"))?;
    Ok(())
}
