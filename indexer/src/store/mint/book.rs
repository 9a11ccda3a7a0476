//! Everything about a lane that is not over, in one snapshot.

use sqlx::PgPool;

use super::pause::PauseRow;
use super::{LaneRef, Seen, Tx, natural, number};
use crate::store::StoreError;

/// Intents of a lane that are read at once. What is behind them waits until some are over.
const INTENTS: i64 = 5_000;
/// Answers of nodes that are read of a transaction: the newest.
const SENDS: i64 = 20;

/// A lane's own row, and the clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneRow {
    /// The database's clock, Unix seconds.
    pub now_s: i64,
    /// Epoch of the lease.
    pub epoch: i64,
    /// First nonce that is accounted for.
    pub base_nonce: Option<u64>,
    /// Next one to reserve.
    pub next_nonce: u64,
    /// Since when nonces are unexplained, Unix seconds.
    pub unexplained_since_s: Option<i64>,
}

/// An intent with its award.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntentRow {
    /// Its number.
    pub id: i64,
    /// The badges' contract.
    pub contract: String,
    /// Who earned it.
    pub recipient: String,
    /// What for.
    pub kind: u64,
    /// From 1.
    pub seq: u32,
    /// Where it stands.
    pub state: String,
    /// Why, in a word.
    pub reason: Option<String>,
    /// Since when, Unix seconds.
    pub since_s: i64,
    /// Who wants it gone.
    pub cancel: Option<String>,
    /// Slots that ended in a failure.
    pub failures: u32,
    /// How often what was final was taken back.
    pub retractions: u32,
}

/// A signed transaction.
#[derive(Debug, Clone, PartialEq)]
pub struct AttemptRow {
    /// The transaction.
    pub txid: Vec<u8>,
    /// `mint` or `noop`.
    pub kind: String,
    /// Micro-STX.
    pub fee: u64,
    /// The bytes.
    pub raw_tx: Vec<u8>,
    /// Found on the chain?
    pub adopted: bool,
    /// When, Unix seconds.
    pub signed_s: i64,
    /// Stacks height of the mirror's tip then.
    pub signed_height: u32,
    /// What nodes said, oldest first.
    pub sends: Vec<SendRow>,
}

/// What a node said.
#[derive(Debug, Clone, PartialEq)]
pub struct SendRow {
    /// Number of the node.
    pub node: u32,
    /// When, Unix seconds.
    pub at_s: i64,
    /// The answer with its values.
    pub said: serde_json::Value,
}

/// A slot with what is signed in it.
#[derive(Debug, Clone, PartialEq)]
pub struct SlotRow {
    /// The nonce.
    pub nonce: u64,
    /// For which intent.
    pub intent: Option<i64>,
    /// Where it stands.
    pub state: String,
    /// Epoch under which it was reserved.
    pub epoch: i64,
    /// When, Unix seconds.
    pub reserved_s: i64,
    /// The canonical transaction with this nonce, as it was seen last.
    pub seen: Option<Seen>,
    /// Did the chain leave the block that had been final?
    pub left_final: bool,
    /// Oldest and cheapest first.
    pub attempts: Vec<AttemptRow>,
}

/// What a lane has used.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UsedRow {
    /// Micro-STX: the dearest attempt of each slot in which something was signed within 24 hours.
    pub fees_per_day: u128,
    /// Slots given to mints within an hour.
    pub mints_per_hour: u32,
    /// Slots given to mints within 24 hours, by recipient.
    pub mints_per_recipient: Vec<(String, u32)>,
    /// Intents that left `eligible`, or began behind it, by kind.
    pub approved_per_kind: Vec<(u64, u32)>,
}

/// All of it.
#[derive(Debug, Clone, PartialEq)]
pub struct BookRows {
    /// The lane.
    pub lane: LaneRow,
    /// Pauses that stop it.
    pub pauses: Vec<PauseRow>,
    /// Intents that are not over, and those of the slots.
    pub intents: Vec<IntentRow>,
    /// Open slots and the newest others, by nonce.
    pub slots: Vec<SlotRow>,
    /// What was used.
    pub used: UsedRow,
}

/// Reads a lane, with so many slots that are over. None when nobody ever leased it.
///
/// # Errors
/// When the database fails, or holds what this version does not know.
pub async fn read(
    pool: &PgPool,
    lane: LaneRef<'_>,
    behind: u32,
) -> Result<Option<BookRows>, StoreError> {
    let mut tx = crate::store::begin(pool, "begin isolation level repeatable read read only")
        .await
        .map_err(StoreError::db("begin"))?;
    let Some(row) = own_row(&mut tx, lane).await? else {
        return Ok(None);
    };
    let slots = slots(&mut tx, lane, behind).await?;
    let of_slots: Vec<i64> = slots.iter().filter_map(|s| s.intent).collect();
    Ok(Some(BookRows {
        pauses: pauses(&mut tx, lane).await?,
        intents: intents(&mut tx, lane, &of_slots).await?,
        used: used(&mut tx, lane).await?,
        lane: row,
        slots,
    }))
}

async fn own_row(tx: &mut Tx, lane: LaneRef<'_>) -> Result<Option<LaneRow>, StoreError> {
    let row = sqlx::query!(
        r#"select extract(epoch from clock_timestamp())::bigint as "now_s!", epoch, base_nonce, next_nonce,
               extract(epoch from unexplained_since)::bigint as unexplained_s
           from mint_lane where sender = $1 and contract = $2"#,
        lane.sender,
        lane.contract
    )
    .fetch_optional(&mut **tx)
    .await
    .map_err(StoreError::db("read a lane"))?;
    row.map(|r| {
        Ok(LaneRow {
            now_s: r.now_s,
            epoch: r.epoch,
            base_nonce: r.base_nonce.map(|n| natural("mint_lane", n)).transpose()?,
            next_nonce: natural("mint_lane", r.next_nonce)?,
            unexplained_since_s: r.unexplained_s,
        })
    })
    .transpose()
}

async fn pauses(tx: &mut Tx, lane: LaneRef<'_>) -> Result<Vec<PauseRow>, StoreError> {
    sqlx::query_as!(
        PauseRow,
        r#"select scope, subject, reason, note, author, extract(epoch from at)::bigint as "since_s!"
           from mint_pause
           where lifted_at is null and (scope = 'global' or (scope = 'contract' and subject = $1)
                                        or (scope = 'lane' and subject = $2))
           order by id"#,
        lane.contract,
        lane.sender
    )
    .fetch_all(&mut **tx)
    .await
    .map_err(StoreError::db("read the pauses of a lane"))
}

async fn intents(
    tx: &mut Tx,
    lane: LaneRef<'_>,
    of_slots: &[i64],
) -> Result<Vec<IntentRow>, StoreError> {
    let rows = sqlx::query!(
        r#"select i.id as "id!", a.contract as "contract!", a.recipient as "recipient!", a.kind::text as "kind!",
               a.award_seq as "award_seq!", i.state as "state!", i.reason,
               extract(epoch from i.changed_at)::bigint as "since_s!", i.cancel_by, i.failures as "failures!",
               i.retractions as "retractions!"
           from (
               select * from (
                   select i.id from mint_intent i join mint_award a on a.id = i.award_id
                   where i.state not in ('final_ok', 'satisfied_elsewhere', 'cancelled', 'dead') and a.contract = $1
                   order by i.state = 'eligible', i.id limit $3) waiting
               union select unnest($2::bigint[])
           ) w
           join mint_intent i on i.id = w.id
           join mint_award a on a.id = i.award_id
           order by i.id"#,
        lane.contract,
        of_slots,
        INTENTS
    )
    .fetch_all(&mut **tx)
    .await
    .map_err(StoreError::db("read the intents of a lane"))?;
    rows.into_iter()
        .map(|r| {
            Ok(IntentRow {
                id: r.id,
                contract: r.contract,
                recipient: r.recipient,
                kind: number("mint_award", &r.kind)?,
                seq: u32::try_from(r.award_seq).unwrap_or(0),
                state: r.state,
                reason: r.reason,
                since_s: r.since_s,
                cancel: r.cancel_by,
                failures: u32::try_from(r.failures).unwrap_or(0),
                retractions: u32::try_from(r.retractions).unwrap_or(0),
            })
        })
        .collect()
}

async fn slots(tx: &mut Tx, lane: LaneRef<'_>, behind: u32) -> Result<Vec<SlotRow>, StoreError> {
    let rows = sqlx::query!(
        r#"select nonce as "nonce!", intent_id, state as "state!", epoch as "epoch!",
               extract(epoch from reserved_at)::bigint as "reserved_s!", by_txid, by_block, by_height, by_burn_height,
               by_verdict, left_final as "left_final!"
           from (
               (select * from nonce_slot where sender = $1 and (state in ('reserved', 'live') or left_final))
               union all
               (select * from nonce_slot where sender = $1 and state not in ('reserved', 'live') and not left_final
                order by nonce desc limit $2)) s
           order by nonce"#,
        lane.sender,
        i64::from(behind)
    )
    .fetch_all(&mut **tx)
    .await
    .map_err(StoreError::db("read the slots of a lane"))?;
    let nonces: Vec<i64> = rows.iter().map(|r| r.nonce).collect();
    let mut attempts = attempts(tx, lane, &nonces).await?;
    rows.into_iter()
        .map(|r| {
            let seen = match (r.by_txid, r.by_block, r.by_height, r.by_burn_height) {
                (Some(txid), Some(block), Some(height), Some(burn_height)) => Some(Seen {
                    txid,
                    block,
                    height,
                    burn_height,
                    verdict: r.by_verdict,
                }),
                _ => None,
            };
            let (own, rest) = attempts.drain(..).partition(|(n, _)| *n == r.nonce);
            attempts = rest;
            let own: Vec<(i64, AttemptRow)> = own;
            Ok(SlotRow {
                nonce: natural("nonce_slot", r.nonce)?,
                intent: r.intent_id,
                state: r.state,
                epoch: r.epoch,
                reserved_s: r.reserved_s,
                left_final: r.left_final,
                seen,
                attempts: own.into_iter().map(|(_, a)| a).collect(),
            })
        })
        .collect()
}

async fn attempts(
    tx: &mut Tx,
    lane: LaneRef<'_>,
    nonces: &[i64],
) -> Result<Vec<(i64, AttemptRow)>, StoreError> {
    let rows = sqlx::query!(
        r#"select nonce, txid, kind, fee::text as "fee!", raw_tx, adopted,
               extract(epoch from signed_at)::bigint as "signed_s!", signed_height
           from tx_attempt where sender = $1 and nonce = any($2) order by nonce, fee, txid"#,
        lane.sender,
        nonces
    )
    .fetch_all(&mut **tx)
    .await
    .map_err(StoreError::db("read signed transactions"))?;
    let txids: Vec<Vec<u8>> = rows.iter().map(|r| r.txid.clone()).collect();
    let sends = sqlx::query!(
        r#"select s.txid as "txid!", s.node as "node!", extract(epoch from s.at)::bigint as "at_s!", s.said as "said!"
           from unnest($1::bytea[]) as t (txid)
           cross join lateral (
               select * from tx_send s where s.txid = t.txid order by s.id desc limit $2) s
           order by s.id"#,
        &txids,
        SENDS
    )
    .fetch_all(&mut **tx)
    .await
    .map_err(StoreError::db("read what nodes said"))?;
    rows.into_iter()
        .map(|r| {
            let of_it = sends.iter().filter(|s| s.txid == r.txid);
            let sends = of_it.map(|s| SendRow {
                node: u32::try_from(s.node).unwrap_or(u32::MAX),
                at_s: s.at_s,
                said: s.said.clone(),
            });
            let row = AttemptRow {
                sends: sends.collect(),
                kind: r.kind,
                fee: number("tx_attempt", &r.fee)?,
                raw_tx: r.raw_tx,
                adopted: r.adopted,
                signed_s: r.signed_s,
                signed_height: u32::try_from(r.signed_height).unwrap_or(0),
                txid: r.txid,
            };
            Ok((r.nonce, row))
        })
        .collect()
}

async fn used(tx: &mut Tx, lane: LaneRef<'_>) -> Result<UsedRow, StoreError> {
    let sums = sqlx::query!(
        r#"select
               (select coalesce(sum(dearest), 0)::text from (
                    select max(a.fee) as dearest from tx_attempt a
                    where a.sender = $1 and not a.adopted and a.nonce in (
                        select nonce from tx_attempt
                        where sender = $1 and not adopted and signed_at > clock_timestamp() - interval '24 hours')
                    group by a.nonce) d) as "fees!",
               (select count(*) from nonce_slot s where s.sender = $1 and s.intent_id is not null
                    and s.reserved_at > clock_timestamp() - interval '1 hour') as "mints!""#,
        lane.sender
    )
    .fetch_one(&mut **tx)
    .await
    .map_err(StoreError::db("add up what a lane used"))?;
    let recipients = sqlx::query!(
        r#"select a.recipient, count(*) as "count!"
           from nonce_slot s join mint_intent i on i.id = s.intent_id join mint_award a on a.id = i.award_id
           where s.sender = $1 and s.reserved_at > clock_timestamp() - interval '24 hours'
           group by a.recipient order by a.recipient"#,
        lane.sender
    )
    .fetch_all(&mut **tx)
    .await
    .map_err(StoreError::db("count mints by recipient"))?;
    let kinds = sqlx::query!(
        r#"select a.kind::text as "kind!", count(*) as "count!"
           from mint_award a join mint_intent i on i.award_id = a.id
           where a.contract = $1 and i.state <> 'eligible'
           group by a.kind order by a.kind"#,
        lane.contract
    )
    .fetch_all(&mut **tx)
    .await
    .map_err(StoreError::db("count mints by kind"))?;
    let count = |n: i64| u32::try_from(n).unwrap_or(u32::MAX);
    Ok(UsedRow {
        fees_per_day: number("tx_attempt", &sums.fees)?,
        mints_per_hour: count(sums.mints),
        mints_per_recipient: recipients
            .into_iter()
            .map(|r| (r.recipient, count(r.count)))
            .collect(),
        approved_per_kind: kinds
            .into_iter()
            .map(|r| Ok((number("mint_award", &r.kind)?, count(r.count))))
            .collect::<Result<_, StoreError>>()?,
    })
}
