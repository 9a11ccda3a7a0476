//! Awards and their intents.

use sqlx::PgPool;

use super::{Change, Halt, LaneRef, Tx, Written, commit, held, number, step_of};
use crate::store::StoreError;

/// An award to be stored.
#[derive(Debug, Clone, Copy)]
pub struct NewAward<'a> {
    /// Who earned it.
    pub recipient: &'a str,
    /// What for.
    pub kind: u64,
    /// From 1.
    pub seq: u32,
    /// The facts, canonical JSON.
    pub evidence: &'a str,
    /// SHA-256 of it.
    pub evidence_hash: &'a [u8; 32],
    /// The intent's first state.
    pub state: &'a str,
}

/// Moves an intent. False when it is not in the state in which it was seen.
pub(super) async fn change(tx: &mut Tx, step: &Change<'_>) -> Result<bool, StoreError> {
    let moved = sqlx::query!(
        "update mint_intent set state = $3, reason = $4, note = $5, failures = failures + $6
         where id = $1 and state = $2",
        step.intent,
        step.from,
        step.to,
        step.reason,
        step.note,
        i32::from(step.failed)
    )
    .execute(&mut **tx)
    .await
    .map_err(StoreError::db("move an intent"))?;
    Ok(moved.rows_affected() == 1)
}

/// Does the intent stand where the change would bring it?
pub(super) async fn stands(tx: &mut Tx, step: &Change<'_>) -> Result<bool, StoreError> {
    let stands = sqlx::query_scalar!(
        r#"select state = $2 and reason is not distinct from $3 as "stands!" from mint_intent where id = $1"#,
        step.intent,
        step.to,
        step.reason
    )
    .fetch_optional(&mut **tx)
    .await
    .map_err(StoreError::db("look at an intent"))?;
    Ok(stands == Some(true))
}

/// Stores an award with its evidence and its intent; one that exists keeps what it has. The intent's number.
///
/// # Errors
/// When the database fails or a guard refuses.
pub async fn upsert_award(
    pool: &PgPool,
    lane: LaneRef<'_>,
    epoch: i64,
    award: &NewAward<'_>,
) -> Result<Written<i64>, StoreError> {
    step_of(async {
        let mut tx = held(pool, lane, epoch).await?;
        let (kind, seq) = (
            award.kind.to_string(),
            i32::try_from(award.seq).unwrap_or(i32::MAX),
        );
        sqlx::query!(
            "insert into mint_award (contract, recipient, kind, award_seq, evidence, evidence_hash)
             values ($1, $2, $3::text::numeric, $4, $5, $6) on conflict (contract, recipient, kind, award_seq) do nothing",
            lane.contract,
            award.recipient,
            kind,
            seq,
            award.evidence,
            award.evidence_hash
        )
        .execute(&mut *tx)
        .await
        .map_err(StoreError::db("store an award"))?;
        let award_id = sqlx::query_scalar!(
            "select id from mint_award
             where contract = $1 and recipient = $2 and kind = $3::text::numeric and award_seq = $4",
            lane.contract,
            award.recipient,
            kind,
            seq
        )
        .fetch_one(&mut *tx)
        .await
        .map_err(StoreError::db("find an award"))?;
        sqlx::query!(
            "insert into mint_intent (award_id, state) values ($1, $2) on conflict (award_id) do nothing",
            award_id,
            award.state
        )
        .execute(&mut *tx)
        .await
        .map_err(StoreError::db("store an intent"))?;
        let intent = sqlx::query_scalar!("select id from mint_intent where award_id = $1", award_id)
            .fetch_one(&mut *tx)
            .await
            .map_err(StoreError::db("find an intent"))?;
        commit(tx, intent).await
    })
    .await
}

/// Changes an intent that has no slot. Stale when it is not in the state in which it was seen.
///
/// # Errors
/// When the database fails or a guard refuses.
pub async fn move_intent(
    pool: &PgPool,
    lane: LaneRef<'_>,
    epoch: i64,
    step: &Change<'_>,
) -> Result<Written, StoreError> {
    step_of(async {
        let mut tx = held(pool, lane, epoch).await?;
        if !change(&mut tx, step).await? && !stands(&mut tx, step).await? {
            return Err(Halt::Stale);
        }
        commit(tx, ()).await
    })
    .await
}

/// The newest award of a kind to a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownAward {
    /// Who.
    pub recipient: String,
    /// Which kind.
    pub kind: u64,
    /// From 1.
    pub seq: u32,
    /// Its intent.
    pub intent: i64,
    /// Where that stands.
    pub state: String,
}

/// The newest award of each kind of these users.
///
/// # Errors
/// When the database fails.
pub async fn known(
    pool: &PgPool,
    contract: &str,
    users: &[String],
) -> Result<Vec<KnownAward>, StoreError> {
    let rows = sqlx::query!(
        r#"select distinct on (a.recipient, a.kind) a.recipient, a.kind::text as "kind!", a.award_seq, i.id, i.state
           from mint_award a join mint_intent i on i.award_id = a.id
           where a.contract = $1 and a.recipient = any($2)
           order by a.recipient, a.kind, a.award_seq desc"#,
        contract,
        users
    )
    .fetch_all(pool)
    .await
    .map_err(StoreError::db("read what was awarded"))?;
    rows.into_iter()
        .map(|r| {
            Ok(KnownAward {
                recipient: r.recipient,
                kind: number("mint_award", &r.kind)?,
                seq: u32::try_from(r.award_seq).unwrap_or(0),
                intent: r.id,
                state: r.state,
            })
        })
        .collect()
}
