//! What has to be proved against a node, and what came of it.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::{PgConnection, PgPool};

use super::append::hash32;
use crate::store::StoreError;

/// Somebody who holds money, and an asset.
pub type Pair = (String, String);

/// A block of the canonical chain.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Its height.
    pub height: i32,
    /// Index block hash.
    pub block: [u8; 32],
}

/// What is to be proved at one block, with what the books say there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// The block.
    pub at: Place,
    /// Base units by the books up to the block, pending bookings included.
    pub booked: BTreeMap<Pair, String>,
}

/// All that is to be proved now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agenda {
    /// Blocks with money that moved, oldest first; the newest one last.
    pub due: Vec<Due>,
    /// Blocks that are left to the proofs of later ones, because they are too many.
    pub left_to_later: usize,
    /// Everything up to this journal is proved with this.
    pub head: i64,
    /// The mirror's first block, and what the books say of each pair up to it.
    pub origin: Place,
    /// See `origin`.
    pub before: BTreeMap<Pair, String>,
    /// Height of the newest Bitcoin block known.
    pub burn_height: i32,
    /// Highest Stacks height that is final.
    pub final_height: Option<i32>,
}

/// What is looked at besides money that moved since the last look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Also {
    /// These pairs, at the tip.
    Pairs(BTreeSet<Pair>),
    /// Every pair that the books have, at the tip.
    Everything,
}

/// What is to be proved: each block with money that moved since the last look, `most` of them at most. Only up to where
/// no line of the outbox is left to book: there the books are those of the canonical chain. None where nothing is to be
/// done.
///
/// # Errors
/// When the database fails.
pub async fn agenda(
    pool: &PgPool,
    holders: &[String],
    finality: u32,
    also: &Also,
    most: usize,
) -> Result<Option<Agenda>, StoreError> {
    let mut tx = crate::store::begin(pool, "begin isolation level repeatable read, read only")
        .await
        .map_err(StoreError::db("begin"))?;
    let standing = sqlx::query!(
        r#"select q.proved_seq, h.count, t.height as "height?", t.index_block_hash as "tip?",
               o.height as "origin_height?", o.index_block_hash as "origin?",
               greatest((select max(height) from burn_block), n.burn_block_height) as burn_height,
               (select max(c.height) from canonical c join block b on b.id = c.block_id
                where b.burn_block_height <= greatest((select max(height) from burn_block), n.burn_block_height) - $1)
                   as final_height
           from mirror m
           cross join ledger_progress p
           cross join ledger_head h
           cross join ledger_proof_progress q
           left join block n on n.id = m.tip_block_id
           left join canonical c on c.height = coalesce(
               (select min(b.height) - 1 from outbox x join block b on b.id = x.block_id
                where x.id > p.outbox_watermark), n.height)
           left join block t on t.id = c.block_id
           left join canonical f on f.height = (select min(height) from canonical)
           left join block o on o.id = f.block_id"#,
        i32::try_from(finality).unwrap_or(i32::MAX)
    )
    .fetch_optional(&mut *tx)
    .await
    .map_err(StoreError::db("see what is to be proved"))?;
    let Some(standing) = standing else {
        return Ok(None);
    };
    let ends = standing.height.zip(standing.tip);
    let Some((tip, origin)) = ends.zip(standing.origin_height.zip(standing.origin)) else {
        return Ok(None);
    };
    let place = |(height, hash): (i32, Vec<u8>)| {
        hash32("block", &hash).map(|block| Place { height, block })
    };
    let (tip, origin) = (place(tip)?, place(origin)?);
    let mut wanted = moved(&mut tx, holders, standing.proved_seq, &tip).await?;
    let before = wanted.len();
    wanted.retain(|place, _| place.height <= tip.height);
    let all = wanted.len() == before;
    let at_tip = match also {
        Also::Pairs(pairs) => pairs.clone(),
        Also::Everything => every(&mut tx, holders).await?,
    };
    if !at_tip.is_empty() {
        wanted.entry(tip.clone()).or_default().extend(at_tip);
    }
    let head = if all {
        standing.count
    } else {
        standing.proved_seq
    };
    if wanted.is_empty() && standing.proved_seq == head {
        return Ok(None);
    }
    // The balance at a later block is over everything before it.
    let mut left_to_later = 0;
    while wanted.len() > most.max(1) {
        if let Some((_, pairs)) = wanted.pop_first()
            && let Some(mut next) = wanted.first_entry()
        {
            next.get_mut().extend(pairs);
            left_to_later += 1;
        }
    }
    let all: BTreeSet<Pair> = wanted.values().flatten().cloned().collect();
    let before = booked(&mut tx, &all, origin.height).await?;
    let mut due = Vec::with_capacity(wanted.len());
    for (at, pairs) in wanted {
        let booked = booked(&mut tx, &pairs, at.height).await?;
        due.push(Due { at, booked });
    }
    Ok(Some(Agenda {
        due,
        left_to_later,
        head,
        origin,
        before,
        burn_height: standing.burn_height.unwrap_or(0),
        final_height: standing.final_height,
    }))
}

/// Pairs that were moved by journals behind `since`, by block: the booking's, or the tip where that block has left.
async fn moved(
    connection: &mut PgConnection,
    holders: &[String],
    since: i64,
    tip: &Place,
) -> Result<BTreeMap<Place, BTreeSet<Pair>>, StoreError> {
    let rows = sqlx::query!(
        r#"select distinct split_part(p.account, ':', 2) as "holder!", p.asset,
               case when c.block_id is null then null else j.height end as height,
               case when c.block_id is null then null else j.index_block_hash end as block
           from journal j
           join posting p on p.seq = case when j.kind = 'void' then j.of_seq else j.seq end
           left join block b on b.index_block_hash = j.index_block_hash
           left join canonical c on c.height = j.height and c.block_id = b.id
           where j.seq > $1 and j.kind <> 'posted' and p.account not like 'external:%'
             and split_part(p.account, ':', 2) = any($2)"#,
        since,
        holders
    )
    .fetch_all(connection)
    .await
    .map_err(StoreError::db("find what moved since the last proof"))?;
    let mut wanted: BTreeMap<Place, BTreeSet<Pair>> = BTreeMap::new();
    for row in rows {
        let at = match (row.height, row.block) {
            (Some(height), Some(block)) => Place {
                height,
                block: hash32("journal", &block)?,
            },
            _ => tip.clone(),
        };
        wanted
            .entry(at)
            .or_default()
            .insert((row.holder, row.asset));
    }
    Ok(wanted)
}

async fn every(
    connection: &mut PgConnection,
    holders: &[String],
) -> Result<BTreeSet<Pair>, StoreError> {
    let rows = sqlx::query!(
        r#"select distinct split_part(account, ':', 2) as "holder!", asset from posting
           where account not like 'external:%' and split_part(account, ':', 2) = any($1)"#,
        holders
    )
    .fetch_all(connection)
    .await
    .map_err(StoreError::db("list who holds what"))?;
    Ok(rows.into_iter().map(|r| (r.holder, r.asset)).collect())
}

/// What the books say that pairs have up to a height.
///
/// # Errors
/// When the database fails.
pub async fn booked(
    connection: &mut PgConnection,
    pairs: &BTreeSet<Pair>,
    height: i32,
) -> Result<BTreeMap<Pair, String>, StoreError> {
    let (holders, assets): (Vec<String>, Vec<String>) = pairs.iter().cloned().unzip();
    let rows = sqlx::query!(
        r#"select w.holder as "holder!", w.asset as "asset!", coalesce((
               select sum(case p.side when 'debit' then p.amount else -p.amount end)
               from posting p
               join ledger_booking b on b.seq = p.seq
               where p.account not like 'external:%' and split_part(p.account, ':', 2) = w.holder and p.asset = w.asset
                 and b.state <> 'void' and b.height <= $3), 0)::text as "booked!"
           from unnest($1::text[], $2::text[]) as w (holder, asset)"#,
        &holders,
        &assets,
        height
    )
    .fetch_all(connection)
    .await
    .map_err(StoreError::db("draw balances at a block"))?;
    Ok(rows
        .into_iter()
        .map(|r| ((r.holder, r.asset), r.booked))
        .collect())
}

/// The mirror's first block, and what the books say of some pairs up to it; none while the mirror is empty.
///
/// # Errors
/// When the database fails.
pub async fn before(
    pool: &PgPool,
    pairs: &BTreeSet<Pair>,
) -> Result<Option<(Place, BTreeMap<Pair, String>)>, StoreError> {
    let mut tx = crate::store::begin(pool, "begin isolation level repeatable read, read only")
        .await
        .map_err(StoreError::db("begin"))?;
    let found = sqlx::query!(
        "select c.height, b.index_block_hash from canonical c join block b on b.id = c.block_id
         order by c.height limit 1"
    )
    .fetch_optional(&mut *tx)
    .await
    .map_err(StoreError::db("find the mirror's first block"))?;
    let Some(found) = found else {
        return Ok(None);
    };
    let origin = Place {
        height: found.height,
        block: hash32("block", &found.index_block_hash)?,
    };
    let booked = booked(&mut tx, pairs, origin.height).await?;
    Ok(Some((origin, booked)))
}

/// What came of one proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proved {
    /// Who holds, and what.
    pub pair: Pair,
    /// By the books, base units.
    pub booked: String,
    /// What no booking tells of, from before the mirror's first block; base units.
    pub opening: String,
    /// By the node; none where it, or the token, did not tell.
    pub node: Option<u128>,
    /// Is the node's what the books and the opening make?
    pub agrees: bool,
}

impl Proved {
    /// As stored.
    pub fn verdict(&self) -> &'static str {
        match (&self.node, self.agrees) {
            (None, _) => "untold",
            (Some(_), true) => "agrees",
            (Some(_), false) => "differs",
        }
    }
}

/// Keeps what came of the proofs at a block.
///
/// # Errors
/// When the database fails.
pub async fn keep(
    pool: &PgPool,
    at: &Place,
    until: i64,
    proved: &[Proved],
) -> Result<(), StoreError> {
    let column = |of: fn(&Proved) -> String| proved.iter().map(of).collect::<Vec<_>>();
    let node: Vec<Option<String>> = proved
        .iter()
        .map(|p| p.node.map(|n| n.to_string()))
        .collect();
    sqlx::query!(
        "insert into ledger_proof (index_block_hash, height, until_seq, holder, asset, booked, opening, node, verdict,
             proved_at_us)
         select $1, $2, $3, holder, asset, booked::numeric, opening::numeric, node::numeric, verdict,
             (extract(epoch from clock_timestamp()) * 1000000)::bigint
         from unnest($4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[])
             as p (holder, asset, booked, opening, node, verdict)
         on conflict (index_block_hash, holder, asset) do update set
             booked = excluded.booked, opening = excluded.opening, node = excluded.node, verdict = excluded.verdict,
             until_seq = excluded.until_seq, proved_at_us = excluded.proved_at_us",
        &at.block[..],
        at.height,
        until,
        &column(|p| p.pair.0.clone()),
        &column(|p| p.pair.1.clone()),
        &column(|p| p.booked.clone()),
        &column(|p| p.opening.clone()),
        &node as &[Option<String>],
        &column(|p| p.verdict().to_owned()),
    )
    .execute(pool)
    .await
    .map_err(StoreError::db("keep a proof"))?;
    Ok(())
}

/// Everything up to this journal is proved, or nobody can tell.
///
/// # Errors
/// When the database fails.
pub async fn advance(pool: &PgPool, until: i64) -> Result<(), StoreError> {
    sqlx::query!(
        "update ledger_proof_progress set proved_seq = greatest(proved_seq, $1)",
        until
    )
    .execute(pool)
    .await
    .map_err(StoreError::db("note up to where the books are proved"))?;
    Ok(())
}

/// The newest proof of each pair on the canonical chain that does not agree: how many there are.
///
/// # Errors
/// When the database fails.
pub async fn differing(pool: &PgPool) -> Result<i64, StoreError> {
    sqlx::query_scalar!(
        r#"select count(*) as "count!" from (
               select distinct on (p.holder, p.asset) p.verdict
               from ledger_proof p
               join block b on b.index_block_hash = p.index_block_hash
               join canonical c on c.block_id = b.id
               where p.verdict <> 'untold'
               order by p.holder, p.asset, p.height desc) newest
           where verdict = 'differs'"#
    )
    .fetch_one(pool)
    .await
    .map_err(StoreError::db("count proofs that differ"))
}
