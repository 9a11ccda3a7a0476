//! Closed periods: what they hold, and the chain of their seals.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use sqlx::{PgConnection, PgPool};
use utoipa::ToSchema;

use super::append::hash32;
use super::chain::{Fault, ZERO};
use crate::store::StoreError;

/// A closed period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seal {
    /// Its number, from 1.
    pub number: i32,
    /// Its first Stacks height.
    pub from_height: i32,
    /// Its last.
    pub until_height: i32,
    /// The block there.
    pub until_block: [u8; 32],
    /// Unix seconds of that block's Bitcoin block.
    pub until_time: i64,
    /// Journals when it was closed.
    pub head_count: i64,
    /// Hash of the last one.
    pub head_hash: [u8; 32],
    /// Seal of the period before; zeros for the first.
    pub prev_seal: [u8; 32],
    /// The statement, byte for byte.
    pub statement: String,
    /// Ed25519 public key and signature over the seal.
    pub signed: Option<([u8; 32], Vec<u8>)>,
    /// The seal as stored; [`Seal::hash`] says what it has to be.
    pub seal: [u8; 32],
}

impl Seal {
    /// SHA-256 over everything that the period is.
    pub fn hash(&self) -> [u8; 32] {
        let statement: [u8; 32] = Sha256::digest(self.statement.as_bytes()).into();
        let text = format!(
            "stxworx period seal 1\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n",
            self.number,
            self.from_height,
            self.until_height,
            hex::encode(self.until_block),
            self.until_time,
            self.head_count,
            hex::encode(self.head_hash),
            hex::encode(self.prev_seal),
            hex::encode(statement)
        );
        Sha256::digest(text.as_bytes()).into()
    }
}

/// Every closed period, in order.
///
/// # Errors
/// When the database fails.
pub async fn all(connection: &mut PgConnection) -> Result<Vec<Seal>, StoreError> {
    let rows = sqlx::query!(
        "select number, from_height, until_height, until_block, until_time, head_count, head_hash, prev_seal, statement,
             seal, public_key, signature from period_seal order by number"
    )
    .fetch_all(connection)
    .await
    .map_err(StoreError::db("read the closed periods"))?;
    let hash = |bytes: &[u8]| hash32("period_seal", bytes);
    rows.into_iter()
        .map(|r| {
            Ok(Seal {
                number: r.number,
                from_height: r.from_height,
                until_height: r.until_height,
                until_block: hash(&r.until_block)?,
                until_time: r.until_time,
                head_count: r.head_count,
                head_hash: hash(&r.head_hash)?,
                prev_seal: hash(&r.prev_seal)?,
                statement: r.statement,
                signed: match r.public_key.zip(r.signature) {
                    Some((key, signature)) => Some((hash(&key)?, signature)),
                    None => None,
                },
                seal: hash(&r.seal)?,
            })
        })
        .collect()
}

/// The same from a pool.
///
/// # Errors
/// When the database fails.
pub async fn list(pool: &PgPool) -> Result<Vec<Seal>, StoreError> {
    let mut connection = pool
        .acquire()
        .await
        .map_err(StoreError::db("read the closed periods"))?;
    all(&mut connection).await
}

/// Where the seals do not follow one another, are not over what they hold, or over a head that the journal has not.
pub fn faults(seals: &[Seal], hash_of: impl Fn(i64) -> Option<Vec<u8>>) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut prev = ZERO;
    for (number, seal) in (1..).zip(seals) {
        let head = if seal.head_count == 0 {
            Some(ZERO.to_vec())
        } else {
            hash_of(seal.head_count)
        };
        let detail = if seal.number != number {
            Some(format!("period {number} is missing"))
        } else if seal.seal != seal.hash() {
            Some("the period was edited after it was sealed".to_owned())
        } else if seal.prev_seal != prev {
            Some("it does not follow the seal before".to_owned())
        } else {
            match head {
                None => Some(format!(
                    "it was over {} journals, and the last of them is gone",
                    seal.head_count
                )),
                Some(hash) if hash != seal.head_hash => {
                    Some(format!("journal {} had another hash", seal.head_count))
                }
                Some(_) => None,
            }
        };
        faults.extend(detail.map(|detail| Fault::Sealed {
            period: seal.number,
            detail,
        }));
        prev = seal.seal;
    }
    faults
}

/// What a period would be closed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Its number.
    pub number: i32,
    /// Its first height.
    pub from_height: i32,
    /// The canonical block at which it ends.
    pub until_height: i32,
    /// That block.
    pub until_block: [u8; 32],
    /// Height of its Bitcoin block.
    pub until_burn_height: i32,
    /// Unix seconds of that.
    pub until_time: i64,
    /// Journals so far.
    pub head_count: i64,
    /// Hash of the last one.
    pub head_hash: [u8; 32],
    /// Seal of the period before.
    pub prev_seal: [u8; 32],
    /// Height of the newest Bitcoin block known.
    pub burn_height: i32,
    /// Lines of the outbox that are not booked.
    pub unbooked: i64,
    /// Bookings up to there that are not final.
    pub pending: i64,
    /// Contracts whose chain of events has breaks.
    pub broken_chains: i64,
    /// Payloads that nobody could read, and blocks that wait for their parent.
    pub unread: i64,
}

/// The height of the last canonical block of a day (`YYYY-MM-DD`, UTC), by the time of its Bitcoin block.
///
/// # Errors
/// When that is no day, or the database fails.
pub async fn height_of_day(pool: &PgPool, day: &str) -> Result<Option<i32>, StoreError> {
    sqlx::query_scalar!(
        "select max(c.height) from canonical c join block b on b.id = c.block_id
         where b.burn_block_time < extract(epoch from (($1::text)::date + 1)::timestamp at time zone 'UTC')",
        day
    )
    .fetch_one(pool)
    .await
    .map_err(StoreError::db("find the last block of a day"))
}

/// What closing at a height would be over; none if no canonical block is there.
///
/// # Errors
/// When the database fails.
pub async fn candidate(pool: &PgPool, until: i32) -> Result<Option<Candidate>, StoreError> {
    let mut connection = pool
        .acquire()
        .await
        .map_err(StoreError::db("look at a period before it is closed"))?;
    candidate_in(&mut connection, until).await
}

/// The same in a snapshot.
///
/// # Errors
/// When the database fails.
pub async fn candidate_in(
    connection: &mut PgConnection,
    until: i32,
) -> Result<Option<Candidate>, StoreError> {
    let row = sqlx::query!(
        r#"select coalesce(s.number, 0) + 1 as "number!",
               coalesce(s.until_height + 1, (select min(height) from canonical)) as "from_height!",
               b.height, b.index_block_hash, b.burn_block_height, b.burn_block_time, h.count, h.hash,
               coalesce(s.seal, decode(repeat('00', 32), 'hex')) as "prev_seal!",
               greatest((select max(height) from burn_block), b.burn_block_height) as "burn_height!",
               (select count(*) from outbox o, ledger_progress p where o.id > p.outbox_watermark) as "unbooked!",
               (select count(*) from live_event l join journal j on j.seq = l.seq
                where l.pending and j.height <= $1) as "pending!",
               (select count(*) from projection_current c join projection_version v on v.id = c.version_id
                where c.projection = (select id from projection where name = 'event_chain')
                  and coalesce((v.state ->> 'breaks')::numeric, 0) > 0) as "broken_chains!",
               (select count(*) from inbox where state in (3, 4)) as "unread!"
           from canonical c join block b on b.id = c.block_id
           cross join ledger_head h
           left join (select * from period_seal order by number desc limit 1) s on true
           where c.height = $1"#,
        until
    )
    .fetch_optional(connection)
    .await
    .map_err(StoreError::db("look at a period before it is closed"))?;
    let hash = |bytes: &[u8]| hash32("period_seal", bytes);
    row.map(|r| {
        Ok(Candidate {
            number: r.number,
            from_height: r.from_height,
            until_height: r.height,
            until_block: hash(&r.index_block_hash)?,
            until_burn_height: r.burn_block_height,
            until_time: r.burn_block_time,
            head_count: r.count,
            head_hash: hash(&r.hash)?,
            prev_seal: hash(&r.prev_seal)?,
            burn_height: r.burn_height,
            unbooked: r.unbooked,
            pending: r.pending,
            broken_chains: r.broken_chains,
            unread: r.unread,
        })
    })
    .transpose()
}

/// Closes a period.
///
/// # Errors
/// When something was booked since the candidate was looked at, or another guard refuses it, or the database fails.
pub async fn insert(pool: &PgPool, seal: &Seal) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into period_seal (number, from_height, until_height, until_block, until_time, head_count, head_hash,
             prev_seal, statement, seal, public_key, signature, sealed_at_us)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12,
             (extract(epoch from clock_timestamp()) * 1000000)::bigint)",
        seal.number,
        seal.from_height,
        seal.until_height,
        &seal.until_block[..],
        seal.until_time,
        seal.head_count,
        &seal.head_hash[..],
        &seal.prev_seal[..],
        seal.statement,
        &seal.seal[..],
        seal.signed.as_ref().map(|(key, _)| key.to_vec()),
        seal.signed.as_ref().map(|(_, signature)| signature.clone())
    )
    .execute(pool)
    .await
    .map_err(StoreError::db("close the period"))?;
    Ok(())
}

/// What moved on a holder's accounts in a period, by part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Flow {
    /// `treasury:PRINCIPAL`, `escrow:CONTRACT` or `suspense:HOLDER`.
    pub holder: String,
    /// The asset.
    pub asset: String,
    /// What the lines are of their journals; a reversal's are `reversed_` and that.
    pub part: String,
    /// Into the account, base units.
    pub came: String,
    /// Out of it, base units.
    pub went: String,
    /// Lines.
    pub lines: i64,
}

/// A holder's balance at both ends of a period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Ends {
    /// `treasury:PRINCIPAL`, `escrow:CONTRACT` or `suspense:HOLDER`.
    pub holder: String,
    /// The asset.
    pub asset: String,
    /// At its beginning, base units.
    pub opening: String,
    /// At its end, base units.
    pub closing: String,
}

/// What one project paid in fees in a period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProjectFees {
    /// Whose they are.
    pub treasury: String,
    /// The asset.
    pub asset: String,
    /// The contract.
    pub contract: String,
    /// The project.
    pub project: String,
    /// Milestones that paid a fee.
    pub settlements: i64,
    /// What these fees are of: payouts and fees, base units.
    pub gross: String,
    /// Base units.
    pub fees: String,
    /// The project's fee in basis points, if the mirror knows it.
    pub fee_bps: Option<String>,
    /// The fee of the sum, rounded down once; the contract rounds down for each milestone.
    pub floor_of_sum: Option<String>,
}

/// A snapshot to read a statement from.
///
/// # Errors
/// When the database fails.
pub async fn snapshot(
    pool: &PgPool,
) -> Result<sqlx::Transaction<'static, sqlx::Postgres>, StoreError> {
    crate::store::begin(pool, "begin isolation level repeatable read, read only")
        .await
        .map_err(StoreError::db("begin"))
}

/// A statement's numbers, in a snapshot of the caller's. `number` may be that of the open period: then what is posted,
/// and not in a closed one.
///
/// # Errors
/// When the database fails.
pub async fn figures(
    connection: &mut PgConnection,
    number: i32,
    until: i32,
) -> Result<(Vec<Ends>, Vec<Flow>, Vec<ProjectFees>), StoreError> {
    let ends = sqlx::query_file_as!(Ends, "src/store/ledger/ends.sql", number, until)
        .fetch_all(&mut *connection)
        .await
        .map_err(StoreError::db("read both ends of a period"))?;
    let flows = sqlx::query_file_as!(Flow, "src/store/ledger/flows.sql", number, until)
        .fetch_all(&mut *connection)
        .await
        .map_err(StoreError::db("read what moved in a period"))?;
    let fees = sqlx::query_file_as!(ProjectFees, "src/store/ledger/fees.sql", number, until)
        .fetch_all(connection)
        .await
        .map_err(StoreError::db("read the fees of a period"))?;
    Ok((ends, flows, fees))
}
