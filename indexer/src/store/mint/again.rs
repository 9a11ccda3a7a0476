//! What was final and is not any more: it is taken back, and taken up again when a person says so.

use sqlx::PgPool;

use super::effect::{line as write_line, take_back};
use super::{Halt, LaneRef, Told, Written, commit, held, nonce_of, step_of};
use crate::store::StoreError;

/// Marks a consumed slot: the chain left what was final. Writes the line that takes back what was told. Stale when the
/// slot is marked, or was not consumed.
///
/// # Errors
/// When the database fails or a guard refuses.
pub async fn retract(
    pool: &PgPool,
    lane: LaneRef<'_>,
    epoch: i64,
    nonce: u64,
    told: Option<&Told<'_>>,
) -> Result<Written, StoreError> {
    step_of(async {
        let mut tx = held(pool, lane, epoch).await?;
        let marked = sqlx::query!(
            "update nonce_slot set left_final = true
             where sender = $1 and nonce = $2 and state = 'consumed' and not left_final",
            lane.sender,
            nonce_of(nonce)?
        )
        .execute(&mut *tx)
        .await
        .map_err(StoreError::db("mark a slot that left what was final"))?;
        if marked.rows_affected() == 0 {
            return Err(Halt::Stale);
        }
        if let Some(told) = told {
            write_line(&mut tx, lane, told).await?;
        }
        commit(tx, ()).await
    })
    .await
}

/// Makes a marked slot live again, and its intent submitting: the same bytes are to be sent again. The effect does not
/// stand any more. Stale when the slot is not marked, or its intent has another open slot.
///
/// # Errors
/// When the database fails or a guard refuses.
pub async fn reopen(
    pool: &PgPool,
    lane: LaneRef<'_>,
    epoch: i64,
    nonce: u64,
) -> Result<Written, StoreError> {
    let nonce = nonce_of(nonce)?;
    step_of(async {
        let mut tx = held(pool, lane, epoch).await?;
        let slot = sqlx::query!(
            r#"select intent_id, exists (
                   select from nonce_slot o where o.intent_id = s.intent_id and (o.sender, o.nonce) <> (s.sender, s.nonce)
                     and (o.state in ('reserved', 'live') or o.minted)) as "other!"
               from nonce_slot s where sender = $1 and nonce = $2 and state = 'consumed' and left_final"#,
            lane.sender,
            nonce
        )
        .fetch_optional(&mut *tx)
        .await
        .map_err(StoreError::db("look at a slot"))?;
        let Some(slot) = slot.filter(|s| !s.other) else {
            return Err(Halt::Stale);
        };
        if let Some(intent) = slot.intent_id {
            take_back(&mut tx, intent).await?;
        }
        sqlx::query!(
            "update nonce_slot set state = 'live', by_txid = null, by_block = null, by_height = null, by_burn_height = null,
                 by_verdict = null, seen_burn_height = null, minted = false, left_final = false
             where sender = $1 and nonce = $2",
            lane.sender,
            nonce
        )
        .execute(&mut *tx)
        .await
        .map_err(StoreError::db("open a slot again"))?;
        if let Some(intent) = slot.intent_id {
            sqlx::query!(
                "update mint_intent set state = 'submitting', reason = null, retractions = retractions + 1,
                     note = 'the chain left what was final'
                 where id = $1",
                intent
            )
            .execute(&mut *tx)
            .await
            .map_err(StoreError::db("take an intent up again"))?;
        }
        commit(tx, ()).await
    })
    .await
}
