//! What the books say: balances, journals, statements, and the walk over the hash chain.

use std::collections::BTreeMap;

use futures::TryStreamExt as _;
use serde::Serialize;
use sqlx::{PgConnection, PgPool};

use super::append::{hash32, line};
use super::chain::{Fault, Row, Walk};
use super::types::{Line, Stamp};
use crate::store::StoreError;

/// What an account holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Balance {
    /// The account.
    pub account: String,
    /// The asset.
    pub asset: String,
    /// By final blocks, base units.
    pub posted: String,
    /// By blocks that are not final yet, base units.
    pub pending: String,
}

/// How the books stand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// Lines of the outbox that are not booked.
    pub unbooked: i64,
    /// Bookings whose block is not final.
    pub pending: i64,
    /// Suspense accounts that are not empty.
    pub suspense: i64,
    /// The last journal.
    pub last: i64,
    /// Its hash, with 0x.
    pub head: String,
    /// Height of the tip when all was booked last.
    pub booked_height: Option<i32>,
    /// That tip, with 0x.
    pub booked_block: Option<String>,
}

/// How the books stand.
///
/// # Errors
/// When the database fails.
pub async fn standing(pool: &PgPool) -> Result<Standing, StoreError> {
    sqlx::query_as!(
        Standing,
        r#"select (select count(*) from outbox o where o.id > p.outbox_watermark) as "unbooked!",
               (select count(*) from live_event where pending) as "pending!",
               (select count(*) from (
                   select from posting s join ledger_booking b on b.seq = s.seq
                   where s.account like 'suspense:%' and b.state <> 'void' group by s.account, s.asset
                   having sum(case s.side when 'debit' then s.amount else -s.amount end) <> 0) open) as "suspense!",
               h.count as last, '0x' || encode(h.hash, 'hex') as "head!", p.booked_height,
               '0x' || encode(p.booked_block, 'hex') as booked_block
           from ledger_head h, ledger_progress p"#
    )
    .fetch_one(pool)
    .await
    .map_err(StoreError::db("say how the books stand"))
}

/// Balances that are not zero, of accounts that begin with a prefix.
///
/// # Errors
/// When the database fails.
pub async fn balances(
    pool: &PgPool,
    prefix: &str,
    asset: Option<&str>,
) -> Result<Vec<Balance>, StoreError> {
    sqlx::query_as!(
        Balance,
        r#"select account as "account!", asset as "asset!", posted::text as "posted!", pending::text as "pending!"
           from ledger_balance
           where starts_with(account, $1) and ($2::text is null or asset = $2) and (posted <> 0 or pending <> 0)
           order by account collate "C", asset collate "C""#,
        prefix,
        asset
    )
    .fetch_all(pool)
    .await
    .map_err(StoreError::db("read the balances"))
}

/// Debits less credits of each asset over everything: zero, or the books are broken.
///
/// # Errors
/// When the database fails.
pub async fn trial_balance(pool: &PgPool) -> Result<Vec<(String, String)>, StoreError> {
    let rows = sqlx::query!(
        r#"select asset as "asset!", sum(posted + pending)::text as "off!" from ledger_balance group by asset order by 1"#
    )
    .fetch_all(pool)
    .await
    .map_err(StoreError::db("draw the trial balance"))?;
    Ok(rows.into_iter().map(|r| (r.asset, r.off)).collect())
}

/// A booking with what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = JournalBooking)]
pub struct Booked {
    /// Its journal.
    pub seq: i64,
    /// What it is about.
    pub kind: String,
    /// `pending`, `posted` or `void`.
    pub state: String,
    /// The event.
    pub event_key: String,
    /// What it reverses.
    pub of_seq: Option<i64>,
    /// The journal that reverses it: its block left the chain after it was posted.
    pub reversed_by: Option<i64>,
    /// The block, with 0x.
    pub block: String,
    /// Its height.
    pub height: i32,
    /// Height of its Bitcoin block.
    pub burn_height: i32,
    /// Unix seconds of that.
    pub burn_time: i64,
    /// The day of that, UTC.
    pub date: String,
    /// The transaction, with 0x.
    pub txid: String,
    /// The contract.
    pub contract: Option<String>,
    /// The project.
    pub project: Option<String>,
    /// What does not add up.
    pub note: Option<String>,
    /// The journal's hash, with 0x.
    pub hash: String,
    /// The closed period to which it belongs.
    pub period: Option<i32>,
    /// Its lines.
    pub lines: Vec<Line>,
}

/// Which bookings.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// With a line on an account that begins so.
    pub account: Option<String>,
    /// In this state.
    pub state: Option<String>,
    /// Of this closed period.
    pub period: Option<i32>,
    /// Not higher than this.
    pub until: Option<i32>,
    /// Behind this journal.
    pub after: i64,
    /// At most so many.
    pub limit: i64,
}

/// Bookings, in order.
///
/// # Errors
/// When the database fails.
pub async fn booked(pool: &PgPool, filter: &Filter) -> Result<Vec<Booked>, StoreError> {
    let rows = sqlx::query!(
        r#"select b.seq as "seq!", b.kind as "kind!", b.state as "state!", b.event_key as "event_key!", b.of_seq,
               (select r.seq from journal r where r.of_seq = b.seq and r.kind = 'reversal') as reversed_by,
               '0x' || encode(b.index_block_hash, 'hex') as "block!", b.height as "height!",
               b.burn_block_height as "burn_height!", b.burn_block_time as "burn_time!",
               to_char(to_timestamp(b.burn_block_time) at time zone 'UTC', 'YYYY-MM-DD') as "date!",
               '0x' || encode(b.txid, 'hex') as "txid!", b.contract, b.project::text as project, b.note,
               '0x' || encode(b.hash, 'hex') as "hash!", s.number as period
           from ledger_booking b
           left join lateral (select min(number) as number from period_seal s
                where s.until_height >= b.height and s.head_count >= b.posted_seq) s on true
           where b.seq > $1 and ($2::text is null or b.state = $2) and ($3::integer is null or s.number = $3)
             and ($4::integer is null or b.height <= $4)
             and ($5::text is null or exists (select from posting p where p.seq = b.seq and starts_with(p.account, $5)))
           order by b.seq limit $6"#,
        filter.after,
        filter.state,
        filter.period,
        filter.until,
        filter.account,
        filter.limit
    )
    .fetch_all(pool)
    .await
    .map_err(StoreError::db("read the journal"))?;
    let mut connection = pool
        .acquire()
        .await
        .map_err(StoreError::db("read the journal"))?;
    let seqs: Vec<i64> = rows.iter().map(|r| r.seq).collect();
    let mut lines = lines(&mut connection, &seqs).await?;
    Ok(rows
        .into_iter()
        .map(|r| Booked {
            lines: lines.remove(&r.seq).unwrap_or_default(),
            seq: r.seq,
            kind: r.kind,
            state: r.state,
            event_key: r.event_key,
            of_seq: r.of_seq,
            reversed_by: r.reversed_by,
            block: r.block,
            height: r.height,
            burn_height: r.burn_height,
            burn_time: r.burn_time,
            date: r.date,
            txid: r.txid,
            contract: r.contract,
            project: r.project,
            note: r.note,
            hash: r.hash,
            period: r.period,
        })
        .collect())
}

pub(super) async fn lines(
    connection: &mut PgConnection,
    seqs: &[i64],
) -> Result<BTreeMap<i64, Vec<Line>>, StoreError> {
    let rows = sqlx::query!(
        r#"select seq, account, asset, side, amount::text as "amount!", part from posting
           where seq = any($1) order by seq, line"#,
        seqs
    )
    .fetch_all(connection)
    .await
    .map_err(StoreError::db("read postings"))?;
    let mut all: BTreeMap<i64, Vec<Line>> = BTreeMap::new();
    for r in rows {
        let line = line(r.seq, r.account, r.asset, &r.side, &r.amount, r.part)?;
        all.entry(r.seq).or_default().push(line);
    }
    Ok(all)
}

type Stored = (Row, Vec<u8>, Vec<u8>);

/// Journals by number, each with the hash before and its own.
async fn stored(connection: &mut PgConnection, seqs: &[i64]) -> Result<Vec<Stored>, StoreError> {
    let mut lines = lines(&mut *connection, seqs).await?;
    let rows = sqlx::query!(
        r#"select seq, kind, event_key, of_seq, index_block_hash, height, burn_block_height, burn_block_time, txid,
               contract, project::text as project, note, booked_at_us, prev_hash, hash
           from journal where seq = any($1) order by seq"#,
        seqs
    )
    .fetch_all(connection)
    .await
    .map_err(StoreError::db("read journals"))?;
    rows.into_iter()
        .map(|r| {
            let row = Row {
                seq: r.seq,
                kind: r.kind,
                event_key: r.event_key,
                of_seq: r.of_seq,
                stamp: Stamp {
                    block: hash32("journal", &r.index_block_hash)?,
                    height: r.height,
                    burn_height: r.burn_block_height,
                    burn_time: r.burn_block_time,
                },
                txid: hash32("journal", &r.txid)?,
                contract: r.contract,
                project: r.project,
                note: r.note,
                booked_at_us: r.booked_at_us,
                lines: lines.remove(&r.seq).unwrap_or_default(),
            };
            Ok((row, r.prev_hash, r.hash))
        })
        .collect()
}

pub(super) async fn rows(
    connection: &mut PgConnection,
    seqs: &[i64],
) -> Result<BTreeMap<i64, Row>, StoreError> {
    if seqs.is_empty() {
        return Ok(BTreeMap::new());
    }
    let stored = stored(connection, seqs).await?;
    Ok(stored.into_iter().map(|(row, ..)| (row.seq, row)).collect())
}

/// Journals read at once while the chain is walked.
const STRETCH: usize = 2_000;

/// Walks the whole hash chain, the head and the seals; the number of journals, and what is wrong.
///
/// # Errors
/// When the database fails.
pub async fn walk(pool: &PgPool) -> Result<(i64, Vec<Fault>), StoreError> {
    let mut tx = crate::store::begin(pool, "begin isolation level repeatable read, read only")
        .await
        .map_err(StoreError::db("begin"))?;
    let seqs: Vec<i64> = sqlx::query_scalar!("select seq from journal order by seq")
        .fetch(&mut *tx)
        .try_collect()
        .await
        .map_err(StoreError::db("count the journals"))?;
    let seals = super::seal::all(&mut tx).await?;
    let mut walk = Walk::default();
    for part in seqs.chunks(STRETCH) {
        for (row, prev, hash) in stored(&mut tx, part).await? {
            walk.take(&row, &prev, &hash);
        }
    }
    let head = sqlx::query!("select count, hash from ledger_head")
        .fetch_optional(&mut *tx)
        .await
        .map_err(StoreError::db("read the head of the books"))?;
    match head {
        Some(head) => walk.end(head.count, &head.hash),
        None => walk.end(-1, &[]),
    }
    let mut faults = walk.faults;
    let mut hashes = BTreeMap::new();
    for seal in &seals {
        let at: Vec<i64> = vec![seal.head_count];
        for (row, _, hash) in stored(&mut tx, &at).await? {
            hashes.insert(row.seq, hash);
        }
    }
    faults.extend(super::seal::faults(&seals, |seq| hashes.get(&seq).cloned()));
    Ok((i64::try_from(seqs.len()).unwrap_or(i64::MAX), faults))
}
