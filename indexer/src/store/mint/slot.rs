//! Slots: what is signed in them, what nodes say, where they stand on the chain, and how they end.

use sqlx::PgPool;

use super::effect::store as store_effect;
use super::intent::{change, stands};
use super::{Change, Halt, LaneRef, Seen, Told, Tx, Written, commit, held, nonce_of, step_of};
use crate::store::StoreError;

/// Signed bytes to be stored.
#[derive(Debug, Clone, Copy)]
pub struct NewAttempt<'a> {
    /// The transaction.
    pub txid: &'a [u8],
    /// Which slot.
    pub nonce: u64,
    /// `mint` or `noop`.
    pub kind: &'a str,
    /// Micro-STX.
    pub fee: u64,
    /// Micro-STX that may be offered.
    pub fee_cap: u64,
    /// The bytes.
    pub raw_tx: &'a [u8],
    /// Stacks height of the mirror's tip.
    pub height: u32,
}

struct SlotRow {
    state: String,
    intent_id: Option<i64>,
    by_txid: Option<Vec<u8>>,
}

async fn locked(tx: &mut Tx, lane: LaneRef<'_>, nonce: i64) -> Result<Option<SlotRow>, StoreError> {
    sqlx::query_as!(
        SlotRow,
        "select state, intent_id, by_txid from nonce_slot where sender = $1 and nonce = $2 for update",
        lane.sender,
        nonce
    )
    .fetch_optional(&mut **tx)
    .await
    .map_err(StoreError::db("look at a slot"))
}

async fn insert(
    tx: &mut Tx,
    lane: LaneRef<'_>,
    epoch: i64,
    intent: Option<i64>,
    attempt: &NewAttempt<'_>,
    adopted: bool,
) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into tx_attempt (txid, sender, nonce, kind, intent_id, fee, fee_cap, raw_tx, adopted, epoch, signed_height)
         values ($1, $2, $3, $4, $5, $6::text::numeric, $7::text::numeric, $8, $9, $10, $11)
         on conflict (txid) do nothing",
        attempt.txid,
        lane.sender,
        nonce_of(attempt.nonce)?,
        attempt.kind,
        intent.filter(|_| attempt.kind == "mint"),
        attempt.fee.to_string(),
        attempt.fee_cap.to_string(),
        attempt.raw_tx,
        adopted,
        epoch,
        i32::try_from(attempt.height).unwrap_or(i32::MAX)
    )
    .execute(&mut **tx)
    .await
    .map_err(StoreError::db("store signed bytes"))?;
    Ok(())
}

async fn set_live(tx: &mut Tx, lane: LaneRef<'_>, nonce: i64) -> Result<(), StoreError> {
    sqlx::query!(
        "update nonce_slot set state = 'live' where sender = $1 and nonce = $2 and state = 'reserved'",
        lane.sender,
        nonce
    )
    .execute(&mut **tx)
    .await
    .map_err(StoreError::db("make a slot live"))?;
    Ok(())
}

/// Is the lane paused, but for want of budget? What is kept for the head of the line may be spent then.
async fn may_not_sign(tx: &mut Tx, lane: LaneRef<'_>) -> Result<bool, StoreError> {
    sqlx::query_scalar!(
        r#"select exists (
               select from mint_pause where lifted_at is null and reason <> 'fee_budget'
                 and (scope = 'global' or (scope = 'contract' and subject = $1)
                      or (scope = 'lane' and subject = $2))) as "paused!""#,
        lane.contract,
        lane.sender
    )
    .fetch_one(&mut **tx)
    .await
    .map_err(StoreError::db("look for pauses of a lane"))
}

/// Stores signed bytes; the slot is live then. Stale when the slot is over or not there, or when a pause stops the lane.
///
/// # Errors
/// When the database fails or a guard refuses.
pub async fn record_attempt(
    pool: &PgPool,
    lane: LaneRef<'_>,
    epoch: i64,
    attempt: &NewAttempt<'_>,
) -> Result<Written, StoreError> {
    let nonce = nonce_of(attempt.nonce)?;
    step_of(async {
        let mut tx = held(pool, lane, epoch).await?;
        let slot = locked(&mut tx, lane, nonce).await?;
        let Some(slot) = slot.filter(|s| s.state == "reserved" || s.state == "live") else {
            return Err(Halt::Stale);
        };
        let stored = sqlx::query_scalar!(
            r#"select (sender = $2 and nonce = $3 and raw_tx = $4) as "same!" from tx_attempt where txid = $1"#,
            attempt.txid,
            lane.sender,
            nonce,
            attempt.raw_tx
        )
        .fetch_optional(&mut *tx)
        .await
        .map_err(StoreError::db("look for signed bytes"))?;
        if stored == Some(true) {
            return commit(tx, ()).await;
        }
        if stored.is_some() {
            return Err(Halt::Failed(StoreError::Corrupt {
                table: "tx_attempt",
                detail: format!("{} is another transaction", hex::encode(attempt.txid)),
            }));
        }
        if may_not_sign(&mut tx, lane).await? {
            return Err(Halt::Stale);
        }
        insert(&mut tx, lane, epoch, slot.intent_id, attempt, false).await?;
        set_live(&mut tx, lane, nonce).await?;
        commit(tx, ()).await
    })
    .await
}

/// Stores what a node said to a transaction. It is so, whoever asked.
///
/// # Errors
/// When the database fails.
pub async fn record_send(
    pool: &PgPool,
    txid: &[u8],
    node: u32,
    answer: &str,
    said: &serde_json::Value,
    ambiguous: bool,
) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into tx_send (txid, node, answer, said, ambiguous) values ($1, $2, $3, $4, $5)",
        txid,
        i32::try_from(node).unwrap_or(i32::MAX),
        answer,
        said,
        ambiguous
    )
    .execute(pool)
    .await
    .map_err(StoreError::db("note what a node said"))?;
    Ok(())
}

async fn put_seen(
    tx: &mut Tx,
    lane: LaneRef<'_>,
    nonce: i64,
    seen: Option<&Seen>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update nonce_slot set by_txid = $3, by_block = $4, by_height = $5, by_burn_height = $6, by_verdict = $7
         where sender = $1 and nonce = $2",
        lane.sender,
        nonce,
        seen.map(|s| s.txid.as_slice()),
        seen.map(|s| s.block.as_slice()),
        seen.map(|s| s.height),
        seen.map(|s| s.burn_height),
        seen.and_then(|s| s.verdict.as_ref())
    )
    .execute(&mut **tx)
    .await
    .map_err(StoreError::db("note where a slot stands"))?;
    Ok(())
}

/// The intent of a slot is included when something of it is canonical, else submitting.
async fn follow(tx: &mut Tx, intent: Option<i64>, seen: Option<&Seen>) -> Result<(), StoreError> {
    let (from, to) = if seen.is_some() {
        ("submitting", "included")
    } else {
        ("included", "submitting")
    };
    if let Some(intent) = intent {
        let note = seen.map_or_else(
            || "not on the canonical chain any more".to_owned(),
            |s| format!("in block {} at height {}", hex::encode(&s.block), s.height),
        );
        let step = Change {
            intent,
            from,
            to,
            reason: None,
            note: &note,
            failed: false,
        };
        change(tx, &step).await?;
    }
    Ok(())
}

/// Stores where a slot's attempt stands on the canonical chain, or that none does. Stale when the slot is over.
///
/// # Errors
/// When the database fails or a guard refuses.
pub async fn observe(
    pool: &PgPool,
    lane: LaneRef<'_>,
    epoch: i64,
    nonce: u64,
    seen: Option<&Seen>,
) -> Result<Written, StoreError> {
    let nonce = nonce_of(nonce)?;
    step_of(async {
        let mut tx = held(pool, lane, epoch).await?;
        let slot = locked(&mut tx, lane, nonce).await?;
        let Some(slot) = slot.filter(|s| s.state == "reserved" || s.state == "live") else {
            return Err(Halt::Stale);
        };
        put_seen(&mut tx, lane, nonce, seen).await?;
        follow(&mut tx, slot.intent_id, seen).await?;
        commit(tx, ()).await
    })
    .await
}

/// How a slot ends.
#[derive(Debug, Clone, Copy)]
pub enum End<'a> {
    /// One of its attempts is final.
    Ours(&'a Seen),
    /// Another transaction is.
    Foreign(&'a Seen),
}

/// Ends a slot, and moves its intent, with its effect, in one transaction. Stale when the slot ended otherwise, or the
/// intent is not in the state in which it was seen.
///
/// # Errors
/// When the database fails or a guard refuses: an end that is not final is refused.
pub async fn finish(
    pool: &PgPool,
    lane: LaneRef<'_>,
    epoch: i64,
    nonce: u64,
    end: End<'_>,
    step: Option<&Change<'_>>,
    told: Option<&Told<'_>>,
) -> Result<Written, StoreError> {
    let nonce = nonce_of(nonce)?;
    step_of(async {
        let mut tx = held(pool, lane, epoch).await?;
        let (seen, state) = match end {
            End::Ours(seen) => (seen, "consumed"),
            End::Foreign(seen) => (seen, "dead"),
        };
        let Some(slot) = locked(&mut tx, lane, nonce).await? else {
            return Err(Halt::Stale);
        };
        let over = slot.state == "consumed" || slot.state == "dead";
        if over && (slot.state != state || slot.by_txid.as_ref() != Some(&seen.txid)) {
            return Err(Halt::Stale);
        }
        if !over {
            end_slot(&mut tx, lane, nonce, end).await?;
        }
        if let Some(told) = told {
            store_effect(&mut tx, lane, told).await?;
        }
        if let Some(step) = step
            && !change(&mut tx, step).await?
            && !stands(&mut tx, step).await?
        {
            return Err(Halt::Stale);
        }
        commit(tx, ()).await
    })
    .await
}

async fn end_slot(
    tx: &mut Tx,
    lane: LaneRef<'_>,
    nonce: i64,
    end: End<'_>,
) -> Result<(), StoreError> {
    let (seen, ours) = match end {
        End::Ours(seen) => (seen, true),
        End::Foreign(seen) => (seen, false),
    };
    let known = sqlx::query_scalar!(
        r#"select greatest((select max(height) from burn_block), (
               select b.burn_block_height from mirror m join block b on b.id = m.tip_block_id), 0) as "known!""#
    )
    .fetch_one(&mut **tx)
    .await
    .map_err(StoreError::db("find the newest Bitcoin block"))?;
    let succeeded = seen
        .verdict
        .as_ref()
        .is_some_and(|v| v["verdict"] == "success");
    sqlx::query!(
        "update nonce_slot s set state = case when $8 then 'consumed' else 'dead' end,
             by_txid = $3, by_block = $4, by_height = $5, by_burn_height = $6, by_verdict = $7, seen_burn_height = $9,
             died_of = case when not $8 then 'foreign' end,
             minted = $8 and $10::boolean and exists (select from tx_attempt a where a.txid = $3 and a.kind = 'mint')
         where sender = $1 and nonce = $2",
        lane.sender,
        nonce,
        seen.txid,
        seen.block,
        seen.height,
        seen.burn_height,
        seen.verdict.as_ref(),
        ours,
        known,
        succeeded
    )
    .execute(&mut **tx)
    .await
    .map_err(StoreError::db("end a slot"))?;
    Ok(())
}

/// Takes over a nonce that the chain shows to be used: the lane's next one, or an open slot of the same intent. With a
/// transaction the slot is live, with it as an attempt, included, and so is its intent; without one, the slot is dead.
/// Stale when the nonce is another one, or the intent has another open slot or is over.
///
/// # Errors
/// When the database fails or a guard refuses.
pub async fn adopt(
    pool: &PgPool,
    lane: LaneRef<'_>,
    epoch: i64,
    nonce: u64,
    intent: Option<i64>,
    found: Option<(&NewAttempt<'_>, &Seen)>,
) -> Result<Written, StoreError> {
    let slot = nonce_of(nonce)?;
    step_of(async {
        let mut tx = held(pool, lane, epoch).await?;
        if !adoptable(&mut tx, lane, slot, intent, found.is_some()).await? {
            return Err(Halt::Stale);
        }
        if let Some((attempt, seen)) = found {
            insert(&mut tx, lane, epoch, intent, attempt, true).await?;
            set_live(&mut tx, lane, slot).await?;
            put_seen(&mut tx, lane, slot, Some(seen)).await?;
            if let Some(intent) = intent {
                sqlx::query!(
                    "update mint_intent set state = 'included', reason = null, note = 'its mint was found on the chain'
                     where id = $1",
                    intent
                )
                .execute(&mut *tx)
                .await
                .map_err(StoreError::db("adopt an intent"))?;
            }
        }
        commit(tx, ()).await
    })
    .await
}

/// Makes the slot that a found transaction belongs to, if it is not there.
async fn adoptable(
    tx: &mut Tx,
    lane: LaneRef<'_>,
    nonce: i64,
    intent: Option<i64>,
    found: bool,
) -> Result<bool, StoreError> {
    let row = sqlx::query!(
        r#"select l.next_nonce = $2 and l.base_nonce is not null as "next!", l.epoch,
               exists (select from nonce_slot s where s.sender = l.sender and s.nonce = $2
                         and s.state in ('reserved', 'live') and s.intent_id is not distinct from $3) as "open!",
               exists (select from nonce_slot s where s.intent_id = $3 and (s.sender, s.nonce) <> (l.sender, $2)
                         and (s.state in ('reserved', 'live') or s.minted))
                   or exists (select from mint_intent i where i.id = $3
                         and i.state in ('final_ok', 'satisfied_elsewhere', 'cancelled', 'dead')) as "taken!"
           from mint_lane l where l.sender = $1"#,
        lane.sender,
        nonce,
        intent
    )
    .fetch_one(&mut **tx)
    .await
    .map_err(StoreError::db("look at a nonce that is found used"))?;
    if row.taken || !(row.next || row.open) {
        return Ok(false);
    }
    if row.open {
        return Ok(found);
    }
    sqlx::query!(
        "update mint_lane set next_nonce = next_nonce + 1 where sender = $1",
        lane.sender
    )
    .execute(&mut **tx)
    .await
    .map_err(StoreError::db("adopt a nonce"))?;
    sqlx::query!(
        "insert into nonce_slot (sender, nonce, intent_id, epoch, state, died_of)
         values ($1, $2, $3, $4, case when $5 then 'reserved' else 'dead' end, case when not $5 then 'accepted' end)",
        lane.sender,
        nonce,
        intent.filter(|_| found),
        row.epoch,
        found
    )
    .execute(&mut **tx)
    .await
    .map_err(StoreError::db("adopt a slot"))?;
    Ok(true)
}
