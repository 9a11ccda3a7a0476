//! One transaction of the books: what the outbox says, the events behind it, and the journals that follow.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::{PgPool, Postgres, Transaction};

use super::append::hash32;
use super::types::{Kind, Live, Stamp};
use crate::model::FollowSet;
use crate::store::StoreError;

/// A line of the outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxLine {
    /// Its place.
    pub id: i64,
    /// Became canonical, or ceased to be.
    pub applied: bool,
    /// Local number of the block.
    pub block_id: i64,
    /// The block.
    pub stamp: Stamp,
    /// Is it canonical now? A line that was overtaken says what was.
    pub canonical: bool,
}

/// An event that moves money or tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRow {
    /// Local number of the block.
    pub block_id: i64,
    /// Place of the transaction.
    pub tx_index: i32,
    /// Place among the transaction's events.
    pub ordinal: i32,
    /// The transaction.
    pub txid: Vec<u8>,
    /// As `event.kind`: 1 print, 2 to 4 STX, 6 to 8 tokens.
    pub kind: i16,
    /// Who printed, or defines the token.
    pub contract: Option<String>,
    /// Whom it left.
    pub sender: Option<String>,
    /// Whom it reached.
    pub recipient: Option<String>,
    /// Base units.
    pub amount: Option<String>,
    /// What was printed.
    pub value: Option<Vec<u8>>,
}

/// What somebody paid for a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeeRow {
    /// Local number of the block.
    pub block_id: i64,
    /// The transaction.
    pub txid: Vec<u8>,
    /// Who paid: the sponsor, else the sender.
    pub payer: String,
    /// Micro-STX.
    pub fee: String,
}

/// What the booker has to know of a project.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Terms {
    /// Who pays.
    pub client: String,
    /// Who works.
    pub freelancer: String,
    /// The project's fee in basis points; none where the mirror does not know it.
    pub fee_bps: Option<u16>,
}

/// An open transaction of the books. Dropping it undoes everything.
#[derive(Debug)]
pub struct Desk {
    pub(super) tx: Transaction<'static, Postgres>,
    /// What the mirror follows.
    pub follow: FollowSet,
    /// Every outbox row up to here was booked.
    pub watermark: i64,
    /// Whose network fees were booked, as of the last step.
    pub fee_payers: Vec<String>,
    /// Newest outbox row; the watermark, where there is none.
    pub newest: i64,
    /// The canonical tip.
    pub tip: Option<(i32, Vec<u8>)>,
    /// Height of the newest Bitcoin block known.
    pub burn_height: i32,
    pub(super) now_us: i64,
    pub(super) head: (i64, Vec<u8>),
}

/// So many events are held at once.
const MOST_ROWS: usize = 200_000;

impl Desk {
    /// Opens the books. One desk is open at a time: another one waits, and then fails as transient.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn open(pool: &PgPool) -> Result<Option<Self>, StoreError> {
        let mut tx = crate::store::begin(pool, "begin isolation level repeatable read")
            .await
            .map_err(StoreError::db("begin"))?;
        let progress = sqlx::query!(
            r#"select p.outbox_watermark, p.fee_payers, (extract(epoch from clock_timestamp()) * 1000000)::bigint as "now_us!",
                   coalesce((select max(id) from outbox), 0) as "newest!", h.count, h.hash
               from ledger_progress p, ledger_head h for update of p"#
        )
        .fetch_one(&mut *tx)
        .await
        .map_err(StoreError::db("open the books"))?;
        let mirror = sqlx::query!(
            r#"select m.follow, b.height as "height?", b.index_block_hash as "hash?",
                   greatest((select max(height) from burn_block), b.burn_block_height) as burn_height
               from mirror m left join block b on b.id = m.tip_block_id"#
        )
        .fetch_optional(&mut *tx)
        .await
        .map_err(StoreError::db("read the mirror's position for the books"))?;
        let Some(mirror) = mirror else {
            return Ok(None);
        };
        let follow = serde_json::from_value(mirror.follow).map_err(|e| StoreError::Corrupt {
            table: "mirror",
            detail: e.to_string(),
        })?;
        Ok(Some(Self {
            tx,
            follow,
            watermark: progress.outbox_watermark,
            fee_payers: progress.fee_payers,
            newest: progress.newest.max(progress.outbox_watermark),
            tip: mirror.height.zip(mirror.hash),
            burn_height: mirror.burn_height.unwrap_or(0),
            now_us: progress.now_us,
            head: (progress.count, progress.hash),
        }))
    }

    /// The next lines of the outbox.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn lines(&mut self, limit: i64) -> Result<Vec<OutboxLine>, StoreError> {
        let rows = sqlx::query!(
            r#"select o.id, o.kind, o.block_id, b.index_block_hash, b.height, b.burn_block_height, b.burn_block_time,
                   exists (select from canonical c where c.block_id = o.block_id) as "canonical!"
               from outbox o join block b on b.id = o.block_id
               where o.id > $1 order by o.id limit $2"#,
            self.watermark,
            limit
        )
        .fetch_all(&mut *self.tx)
        .await
        .map_err(StoreError::db("read the outbox for the books"))?;
        rows.into_iter()
            .map(|r| {
                Ok(OutboxLine {
                    id: r.id,
                    applied: r.kind == "applied",
                    block_id: r.block_id,
                    stamp: Stamp {
                        block: hash32("block", &r.index_block_hash)?,
                        height: r.height,
                        burn_height: r.burn_block_height,
                        burn_time: r.burn_block_time,
                    },
                    canonical: r.canonical,
                })
            })
            .collect()
    }

    /// Every contract of these names that the mirror knows of.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn contracts_named(&mut self, names: &[String]) -> Result<Vec<String>, StoreError> {
        sqlx::query_scalar!(
            "select name from principal where split_part(name, '.', 2) = any($1) order by name",
            names
        )
        .fetch_all(&mut *self.tx)
        .await
        .map_err(StoreError::db("find the contracts that hold money"))
    }

    /// Events of transactions in these blocks that touch one of these holders. None when they are too many to be held
    /// at once.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn events(
        &mut self,
        blocks: &[i64],
        holders: &[String],
    ) -> Result<Option<Vec<EventRow>>, StoreError> {
        let rows = sqlx::query_as!(
            EventRow,
            r#"with held as (select id from principal where name = any($2)),
               touched as (
                   select distinct e.block_id, e.tx_index from event e
                   where e.block_id = any($1) and e.kind in (1, 2, 3, 4, 6, 7, 8)
                     and ((e.kind = 1 and e.contract in (select id from held))
                          or e.sender in (select id from held) or e.recipient in (select id from held)))
               select e.block_id, e.tx_index, e.ordinal, t.txid, e.kind, k.name as "contract?", s.name as "sender?",
                   r.name as "recipient?", e.amount::text as amount,
                   case when e.kind = 1 and e.contract in (select id from held) then e.value end as value
               from touched h
               join event e on e.block_id = h.block_id and e.tx_index = h.tx_index
               join transaction t on t.block_id = e.block_id and t.tx_index = e.tx_index
               left join principal k on k.id = e.contract
               left join principal s on s.id = e.sender
               left join principal r on r.id = e.recipient
               where e.kind in (1, 2, 3, 4, 6, 7, 8)
               order by e.block_id, e.tx_index, e.ordinal limit $3"#,
            blocks,
            holders,
            i64::try_from(MOST_ROWS).unwrap_or(i64::MAX)
        )
        .fetch_all(&mut *self.tx)
        .await
        .map_err(StoreError::db("read the events that move money"))?;
        Ok((rows.len() < MOST_ROWS).then_some(rows))
    }

    /// What these principals paid for transactions in these blocks, whatever came of them.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn fees(
        &mut self,
        blocks: &[i64],
        payers: &[String],
    ) -> Result<Vec<FeeRow>, StoreError> {
        sqlx::query_as!(
            FeeRow,
            r#"select t.block_id, t.txid, p.name as payer, t.fee::text as "fee!"
               from transaction t join principal p on p.id = coalesce(t.sponsor, t.sender)
               where t.block_id = any($1) and p.name = any($2) and t.fee > 0
               order by t.block_id, t.tx_index"#,
            blocks,
            payers
        )
        .fetch_all(&mut *self.tx)
        .await
        .map_err(StoreError::db("read the fees of treasuries"))
    }

    /// Client, freelancer and fee rate of projects (`CONTRACT/NUMBER`), as far as they are known.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn parties(
        &mut self,
        projects: &[String],
    ) -> Result<BTreeMap<String, Terms>, StoreError> {
        let rows = sqlx::query!(
            r#"select c.entity, v.state ->> 'client' as "client!", v.state ->> 'freelancer' as "freelancer!",
                   v.state ->> 'fee_bps' as fee_bps
               from projection_current c join projection_version v on v.id = c.version_id
               where c.projection = (select id from projection where name = 'projects') and c.entity = any($1)
                 and coalesce(v.state ->> 'client', '') <> ''"#,
            projects
        )
        .fetch_all(&mut *self.tx)
        .await
        .map_err(StoreError::db("read the parties of projects"))?;
        Ok(rows
            .into_iter()
            .map(|r| {
                let terms = Terms {
                    client: r.client,
                    freelancer: r.freelancer,
                    fee_bps: r.fee_bps.and_then(|bps| bps.parse().ok()),
                };
                (r.entity, terms)
            })
            .collect())
    }

    /// From now on the fees of these are booked: every block is looked at again.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn pay_for(&mut self, fee_payers: &[String]) -> Result<(), StoreError> {
        sqlx::query!(
            "update ledger_progress set fee_payers = $1, outbox_watermark = 0",
            fee_payers
        )
        .execute(&mut *self.tx)
        .await
        .map_err(StoreError::db("note whose fees are booked"))?;
        self.watermark = 0;
        self.fee_payers = fee_payers.to_vec();
        Ok(())
    }

    /// Live bookings of these blocks, and of these events in whatever block.
    ///
    /// # Errors
    /// When the database fails, or a row has a kind that this version does not know.
    pub async fn live(
        &mut self,
        blocks: &BTreeSet<[u8; 32]>,
        events: &BTreeSet<String>,
    ) -> Result<Vec<Live>, StoreError> {
        let blocks: Vec<Vec<u8>> = blocks.iter().map(|b| b.to_vec()).collect();
        let events: Vec<String> = events.iter().cloned().collect();
        let seqs = sqlx::query_scalar!(
            r#"select l.seq as "seq!" from live_event l join journal j on j.seq = l.seq
               where j.index_block_hash = any($1)
               union select seq from live_event where event_key = any($2)"#,
            &blocks,
            &events
        )
        .fetch_all(&mut *self.tx)
        .await
        .map_err(StoreError::db("find live bookings"))?;
        self.live_of(&seqs).await
    }

    /// Live bookings whose height has another canonical block now: what a line of the outbox would say that was lost
    /// when the mirror was made anew. `all` looks at posted ones, too.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn displaced(&mut self, all: bool) -> Result<Vec<Live>, StoreError> {
        let seqs = sqlx::query_scalar!(
            r#"select l.seq from live_event l join journal j on j.seq = l.seq
               join canonical c on c.height = j.height join block b on b.id = c.block_id
               where (l.pending or $1) and b.index_block_hash <> j.index_block_hash"#,
            all
        )
        .fetch_all(&mut *self.tx)
        .await
        .map_err(StoreError::db("find bookings of blocks that left"))?;
        self.live_of(&seqs).await
    }

    /// Pending bookings of canonical blocks at least so many Bitcoin blocks deep, oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn ripe(&mut self, depth: u32, limit: i64) -> Result<Vec<i64>, StoreError> {
        let until = self
            .burn_height
            .saturating_sub(i32::try_from(depth).unwrap_or(i32::MAX));
        sqlx::query_scalar!(
            "select l.seq from live_event l join journal j on j.seq = l.seq
             join block b on b.index_block_hash = j.index_block_hash
             join canonical c on c.height = j.height and c.block_id = b.id
             where l.pending and j.burn_block_height <= $1 order by l.seq limit $2",
            until,
            limit
        )
        .fetch_all(&mut *self.tx)
        .await
        .map_err(StoreError::db("find bookings that are final"))
    }

    async fn live_of(&mut self, seqs: &[i64]) -> Result<Vec<Live>, StoreError> {
        let rows = sqlx::query!(
            r#"select l.seq, l.event_key, l.kind, l.pending, j.index_block_hash,
                   (select string_agg(concat_ws(E'\t', p.line, p.account, p.asset, p.side, p.amount, p.part) || E'\n', ''
                        order by p.line) from posting p where p.seq = l.seq) as "lines!"
               from live_event l join journal j on j.seq = l.seq where l.seq = any($1) order by l.seq"#,
            seqs
        )
        .fetch_all(&mut *self.tx)
        .await
        .map_err(StoreError::db("read live bookings"))?;
        rows.into_iter()
            .map(|r| {
                Ok(Live {
                    seq: r.seq,
                    kind: Kind::from_name(&r.kind).ok_or_else(|| StoreError::Corrupt {
                        table: "live_event",
                        detail: format!("booking {} is of the unknown kind {}", r.seq, r.kind),
                    })?,
                    event_key: r.event_key,
                    block: hash32("journal", &r.index_block_hash)?,
                    pending: r.pending,
                    lines: r.lines,
                })
            })
            .collect()
    }

    /// Moves the watermark and commits, durably: with it everything that the mirror committed before.
    ///
    /// # Errors
    /// When a guard refuses a journal, or the database fails. Nothing is booked then.
    pub async fn close(mut self, watermark: i64) -> Result<(), StoreError> {
        let drained = watermark >= self.newest;
        let tip = self.tip.as_ref().filter(|_| drained);
        sqlx::query!(
            "update ledger_progress set outbox_watermark = $1, booked_height = coalesce($2, booked_height),
                 booked_block = coalesce($3, booked_block)",
            watermark,
            tip.map(|t| t.0),
            tip.map(|t| t.1.clone())
        )
        .execute(&mut *self.tx)
        .await
        .map_err(StoreError::db("move the books' watermark"))?;
        self.tx
            .commit()
            .await
            .map_err(StoreError::db("commit the books"))
    }
}

/// Sets the watermark back, so that every block is looked at again. What is booked rightly stays as it is.
///
/// # Errors
/// When the database fails.
pub async fn look_again(pool: &PgPool) -> Result<(), StoreError> {
    sqlx::query!("update ledger_progress set outbox_watermark = 0")
        .execute(pool)
        .await
        .map_err(StoreError::db("set the books' watermark back"))?;
    Ok(())
}
