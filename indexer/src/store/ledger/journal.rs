//! The journal page by page, as it was at one moment.
//!
//! A moment of the books is their head: what was booked up to it never changes, and neither does what had become of
//! that by then. So a walk that carries the head reads one unchanging journal, whatever is booked meanwhile and whatever
//! forks there are.

use sqlx::PgConnection;

use super::append::hash32;
use super::read::{Booked, lines};
use crate::store::StoreError;

/// A moment of the books.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Journals.
    pub count: i64,
    /// Hash of the last one.
    pub hash: [u8; 32],
    /// Closed periods.
    pub seals: i32,
    /// Height of the mirror's tip when all was booked last.
    pub booked_height: Option<i32>,
    /// That tip.
    pub booked_block: Option<[u8; 32]>,
}

/// The books as they are now.
///
/// # Errors
/// When the database fails.
pub async fn head(connection: &mut PgConnection) -> Result<Head, StoreError> {
    let row = sqlx::query!(
        r#"select h.count, h.hash, (select coalesce(max(number), 0) from period_seal) as "seals!", p.booked_height,
               p.booked_block
           from ledger_head h, ledger_progress p"#
    )
    .fetch_one(connection)
    .await
    .map_err(StoreError::db("read the head of the books"))?;
    let block = row.booked_block.as_deref();
    Ok(Head {
        count: row.count,
        hash: hash32("ledger_head", &row.hash)?,
        seals: row.seals,
        booked_height: row.booked_height,
        booked_block: block.map(|b| hash32("ledger_progress", b)).transpose()?,
    })
}

/// Does the journal have this hash at this place? Not where it was written anew.
///
/// # Errors
/// When the database fails.
pub async fn has(
    connection: &mut PgConnection,
    count: i64,
    hash: &[u8; 32],
) -> Result<bool, StoreError> {
    if count == 0 {
        return Ok(*hash == super::chain::ZERO);
    }
    let found = sqlx::query_scalar!("select hash from journal where seq = $1", count)
        .fetch_optional(connection)
        .await
        .map_err(StoreError::db("look for a journal"))?;
    Ok(found.is_some_and(|found| found == hash))
}

/// Which bookings, and where the page begins.
#[derive(Debug, Clone)]
pub struct JournalFilter {
    /// Journals up to this one, and what had become of them by then.
    pub until: i64,
    /// Periods up to this one.
    pub seals: i32,
    /// Behind this one only.
    pub after: i64,
    /// The newest first?
    pub newest_first: bool,
    /// With a line on an account that begins so.
    pub account: Option<String>,
    /// With a line in this asset; on such an account, if one is given.
    pub asset: Option<String>,
    /// Of this contract.
    pub contract: Option<String>,
    /// Of this project, in decimal digits.
    pub project: Option<String>,
    /// Of this kind.
    pub kind: Option<String>,
    /// Pending, posted or void.
    pub state: Option<String>,
    /// Of this closed period.
    pub period: Option<i32>,
    /// Lowest and highest height.
    pub heights: (i32, i32),
    /// At most so many.
    pub limit: i64,
}

macro_rules! journal_query {
    ($compare:literal, $direction:literal, $f:expr) => {
        sqlx::query!(
            r#"select j.seq as "seq!", j.kind as "kind!",
                   case when j.kind = 'reversal' then 'posted' else coalesce(m.kind, 'pending') end as "state!",
                   j.event_key as "event_key!", j.of_seq, r.seq as "reversed_by?",
                   '0x' || encode(j.index_block_hash, 'hex') as "block!", j.height as "height!",
                   j.burn_block_height as "burn_height!", j.burn_block_time as "burn_time!",
                   to_char(to_timestamp(j.burn_block_time) at time zone 'UTC', 'YYYY-MM-DD') as "date!",
                   '0x' || encode(j.txid, 'hex') as "txid!", j.contract, j.project::text as project, j.note,
                   '0x' || encode(j.hash, 'hex') as "hash!", s.number as period
               from journal j
               left join journal m on m.of_seq = j.seq and m.kind in ('posted', 'void') and m.seq <= $1
               left join journal r on r.of_seq = j.seq and r.kind = 'reversal' and r.seq <= $1
               left join lateral (select min(number) as number from period_seal s
                    where s.number <= $2 and s.until_height >= j.height
                      and s.head_count >= case when j.kind = 'reversal' then j.seq when m.kind = 'posted' then m.seq end
                   ) s on true
               where j.seq <= $1 and j.kind not in ('posted', 'void') and j.seq "# + $compare + r#" $3
                 and ($4::text is null and $5::text is null or exists (select from posting p where p.seq = j.seq
                      and ($4::text is null or starts_with(p.account, $4)) and ($5::text is null or p.asset = $5)))
                 and ($6::text is null or j.contract = $6) and ($7::text is null or j.project = $7::text::numeric)
                 and ($8::text is null or j.kind = $8)
                 and ($9::text is null or case when j.kind = 'reversal' then 'posted' else coalesce(m.kind, 'pending') end = $9)
                 and ($10::integer is null or s.number = $10) and j.height between $11 and $12
               order by j.seq "# + $direction + " limit $13",
            $f.until,
            $f.seals,
            $f.after,
            $f.account,
            $f.asset,
            $f.contract,
            $f.project,
            $f.kind,
            $f.state,
            $f.period,
            $f.heights.0,
            $f.heights.1,
            $f.limit + 1,
        )
    };
}

macro_rules! booked {
    ($rows:expr) => {
        $rows
            .into_iter()
            .map(|r| Booked {
                lines: Vec::new(),
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
            .collect::<Vec<_>>()
    };
}

/// A page of bookings with their lines, and whether there are more.
///
/// # Errors
/// When the database fails.
pub async fn page(
    connection: &mut PgConnection,
    filter: &JournalFilter,
) -> Result<(Vec<Booked>, bool), StoreError> {
    let failed = |error| StoreError::db("read a page of the journal")(error);
    let mut rows = if filter.newest_first {
        let found = journal_query!("<", "desc", filter).fetch_all(&mut *connection);
        booked!(found.await.map_err(failed)?)
    } else {
        let found = journal_query!(">", "", filter).fetch_all(&mut *connection);
        booked!(found.await.map_err(failed)?)
    };
    let limit = usize::try_from(filter.limit).unwrap_or(usize::MAX);
    let more = rows.len() > limit;
    rows.truncate(limit);
    let seqs: Vec<i64> = rows.iter().map(|r| r.seq).collect();
    let mut of = lines(connection, &seqs).await?;
    for row in &mut rows {
        row.lines = of.remove(&row.seq).unwrap_or_default();
    }
    Ok((rows, more))
}
