//! Lanes: who holds them, and which nonces were given out.

use std::time::Duration;

use sqlx::PgPool;

use super::intent::{self, change};
use super::{Change, Halt, LaneRef, Written, commit, held, nonce_of, step_of};
use crate::store::StoreError;

/// What came of asking for a lane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leased {
    /// It is the holder's, with this epoch.
    Taken(i64),
    /// Somebody else has it.
    Held(String),
    /// The key mints at another contract: this one.
    Elsewhere(String),
}

/// What a holder of a lane goes by.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// How long the lease lasts unless it is renewed.
    pub ttl: Duration,
    /// Bitcoin blocks after which a block is final.
    pub final_after: u32,
    /// Micro-STX of fees in any 24 hours.
    pub fee_budget: u128,
}

/// Takes the lane's lease, or renews it. A holder that has it keeps its epoch; another one gets a greater one.
///
/// # Errors
/// When the database fails.
pub async fn lease(
    pool: &PgPool,
    lane: LaneRef<'_>,
    holder: &str,
    terms: Terms,
) -> Result<Leased, StoreError> {
    let taken = sqlx::query_scalar!(
        "insert into mint_lane (sender, contract, holder, expires_at, final_after, fee_budget)
         values ($1, $2, $3, clock_timestamp() + make_interval(secs => $4), $5, $6::text::numeric)
         on conflict (sender) do update
             set epoch = mint_lane.epoch + (mint_lane.holder <> excluded.holder)::integer, holder = excluded.holder,
                 expires_at = excluded.expires_at, final_after = excluded.final_after, fee_budget = excluded.fee_budget
             where mint_lane.contract = excluded.contract
               and (mint_lane.holder = excluded.holder or mint_lane.expires_at <= clock_timestamp())
         returning epoch",
        lane.sender,
        lane.contract,
        holder,
        terms.ttl.as_secs_f64(),
        i32::try_from(terms.final_after).unwrap_or(i32::MAX),
        terms.fee_budget.to_string(),
    )
    .fetch_optional(pool)
    .await
    .map_err(StoreError::db("ask for the lease of a lane"))?;
    if let Some(epoch) = taken {
        return Ok(Leased::Taken(epoch));
    }
    let row = sqlx::query!(
        "select holder, contract from mint_lane where sender = $1",
        lane.sender
    )
    .fetch_one(pool)
    .await
    .map_err(StoreError::db("see who holds a lane"))?;
    Ok(if row.contract == lane.contract {
        Leased::Held(row.holder)
    } else {
        Leased::Elsewhere(row.contract)
    })
}

/// Lets go of it, so that another process need not wait.
///
/// # Errors
/// When the database fails; it then expires by itself.
pub async fn release(
    pool: &PgPool,
    lane: LaneRef<'_>,
    holder: &str,
    epoch: i64,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update mint_lane set expires_at = clock_timestamp()
         where sender = $1 and contract = $2 and holder = $3 and epoch = $4",
        lane.sender,
        lane.contract,
        holder,
        epoch
    )
    .execute(pool)
    .await
    .map_err(StoreError::db("release a lane"))?;
    Ok(())
}

/// Notes the first nonce that is accounted for. Nothing when there is one.
///
/// # Errors
/// When the database fails.
pub async fn open(
    pool: &PgPool,
    lane: LaneRef<'_>,
    epoch: i64,
    base_nonce: u64,
) -> Result<Written, StoreError> {
    let base = nonce_of(base_nonce)?;
    step_of(async {
        let mut tx = held(pool, lane, epoch).await?;
        sqlx::query!(
            "update mint_lane l set base_nonce = $2, next_nonce = $2,
                 opened_height = coalesce((
                     select max(c.height) from canonical c join block b on b.id = c.block_id
                     where b.burn_block_height <= (select coalesce(max(height), 0) from burn_block) - l.final_after), 0)
             where sender = $1 and base_nonce is null",
            lane.sender,
            base
        )
        .execute(&mut *tx)
        .await
        .map_err(StoreError::db("open a lane"))?;
        commit(tx, ()).await
    })
    .await
}

/// Lowers the first nonce that is accounted for: the lane was opened too high. The nonces between get slots for noops,
/// unless nothing was given out yet. Stale when it is not above this one.
///
/// # Errors
/// When the database fails.
pub async fn lower_base(
    pool: &PgPool,
    lane: LaneRef<'_>,
    epoch: i64,
    base_nonce: u64,
) -> Result<Written, StoreError> {
    let base = nonce_of(base_nonce)?;
    step_of(async {
        let mut tx = held(pool, lane, epoch).await?;
        let lowered = sqlx::query!(
            "update mint_lane l set base_nonce = $2,
                 next_nonce = case when exists (select from nonce_slot s where s.sender = l.sender) then next_nonce else $2 end
             where sender = $1 and base_nonce > $2",
            lane.sender,
            base
        )
        .execute(&mut *tx)
        .await
        .map_err(StoreError::db("lower a lane's first nonce"))?;
        if lowered.rows_affected() == 0 {
            return Err(Halt::Stale);
        }
        // From above, so that each lies right below the lowest.
        sqlx::query!(
            "insert into nonce_slot (sender, nonce, epoch)
             select l.sender, n, l.epoch
             from (select sender, nonce, epoch from nonce_slot where sender = $1 order by nonce limit 1) l
             cross join lateral generate_series(l.nonce - 1, $2, -1) n order by n desc",
            lane.sender,
            base
        )
        .execute(&mut *tx)
        .await
        .map_err(StoreError::db("fill a lane below its first nonce"))?;
        commit(tx, ()).await
    })
    .await
}

/// Notes since when nonces are unexplained, or that they are not.
///
/// # Errors
/// When the database fails.
pub async fn note_unexplained(
    pool: &PgPool,
    lane: LaneRef<'_>,
    epoch: i64,
    is_so: bool,
) -> Result<Written, StoreError> {
    step_of(async {
        let mut tx = held(pool, lane, epoch).await?;
        sqlx::query!(
            "update mint_lane set unexplained_since = case when $2 then coalesce(unexplained_since, clock_timestamp()) end
             where sender = $1",
            lane.sender,
            is_so
        )
        .execute(&mut *tx)
        .await
        .map_err(StoreError::db("note unexplained nonces"))?;
        commit(tx, ()).await
    })
    .await
}

/// Notes what a node said of the key's account. A hint, for people and metrics.
///
/// # Errors
/// When the database fails.
pub async fn note_account(
    pool: &PgPool,
    lane: LaneRef<'_>,
    nonce: u64,
    balance: u128,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update mint_lane set node_nonce = $3::text::numeric, balance = $4::text::numeric, observed_at = clock_timestamp()
         where sender = $1 and contract = $2",
        lane.sender,
        lane.contract,
        nonce.to_string(),
        balance.to_string()
    )
    .execute(pool)
    .await
    .map_err(StoreError::db("note the account of a key"))?;
    Ok(())
}

/// Gives the next nonce to a queued intent, which is then submitting. Stale when it is not queued, when a pause stops
/// the lane, or when so many slots are open.
///
/// # Errors
/// When the database fails or a guard refuses.
pub async fn reserve(
    pool: &PgPool,
    lane: LaneRef<'_>,
    epoch: i64,
    intent: i64,
    in_flight: u32,
) -> Result<Written<u64>, StoreError> {
    step_of(async {
        let mut tx = held(pool, lane, epoch).await?;
        let nonce = sqlx::query_scalar!(
            r#"update mint_lane l set next_nonce = next_nonce + 1
               where sender = $1 and epoch = $2 and base_nonce is not null
                 and not exists (
                     select from mint_pause where lifted_at is null
                       and (scope = 'global' or (scope = 'contract' and subject = l.contract)
                            or (scope = 'lane' and subject = l.sender)))
                 and (select count(*) from nonce_slot s where s.sender = l.sender and s.state in ('reserved', 'live')) < $4
                 and exists (
                     select from mint_intent i join mint_award a on a.id = i.award_id
                     where i.id = $3 and i.state = 'queued' and i.cancel_by is null and a.contract = l.contract)
               returning next_nonce - 1 as "nonce!""#,
            lane.sender,
            epoch,
            intent,
            i64::from(in_flight)
        )
        .fetch_optional(&mut *tx)
        .await
        .map_err(StoreError::db("reserve a nonce"))?;
        let Some(nonce) = nonce else {
            return Err(Halt::Stale);
        };
        sqlx::query!(
            "insert into nonce_slot (sender, nonce, intent_id, epoch) values ($1, $2, $3, $4)",
            lane.sender,
            nonce,
            intent,
            epoch
        )
        .execute(&mut *tx)
        .await
        .map_err(StoreError::db("reserve a slot"))?;
        let submitting = Change {
            intent,
            from: "queued",
            to: "submitting",
            reason: None,
            note: &format!("has nonce {nonce}"),
            failed: false,
        };
        if !change(&mut tx, &submitting).await? {
            return Err(Halt::Stale);
        }
        commit(tx, super::natural("nonce_slot", nonce)?).await
    })
    .await
}

/// Lets an intent go from a reserved slot, which then takes a noop only. Stale when anything was signed.
///
/// # Errors
/// When the database fails or a guard refuses.
pub async fn let_go(
    pool: &PgPool,
    lane: LaneRef<'_>,
    epoch: i64,
    nonce: u64,
    step: &Change<'_>,
) -> Result<Written, StoreError> {
    let nonce = nonce_of(nonce)?;
    step_of(async {
        let mut tx = held(pool, lane, epoch).await?;
        let slot = sqlx::query!(
            "select state, intent_id from nonce_slot where sender = $1 and nonce = $2 for update",
            lane.sender,
            nonce
        )
        .fetch_optional(&mut *tx)
        .await
        .map_err(StoreError::db("look at a slot"))?;
        let Some(slot) = slot.filter(|s| s.state == "reserved") else {
            return Err(Halt::Stale);
        };
        if slot.intent_id.is_none() && intent::stands(&mut tx, step).await? {
            return commit(tx, ()).await;
        }
        if slot.intent_id != Some(step.intent) {
            return Err(Halt::Stale);
        }
        sqlx::query!(
            "update nonce_slot set intent_id = null where sender = $1 and nonce = $2",
            lane.sender,
            nonce
        )
        .execute(&mut *tx)
        .await
        .map_err(StoreError::db("let an intent go from a slot"))?;
        if !change(&mut tx, step).await? {
            return Err(Halt::Stale);
        }
        commit(tx, ()).await
    })
    .await
}
