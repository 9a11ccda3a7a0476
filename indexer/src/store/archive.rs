//! Backfills from archives: how far each has come, and many payloads at once into the inbox.

use sha2::{Digest as _, Sha256};
use sqlx::PgPool;

use super::StoreError;
use super::bulk::{self, Payload};
use super::load::unsigned;
use crate::model::{FollowSet, IndexBlockHash};

/// What makes a job the same one when it is begun again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobKey {
    /// Size of the file as it is stored; none where it is not known beforehand.
    pub size_bytes: Option<u64>,
    /// SHA-256 of its first MiB.
    pub head_sha256: [u8; 32],
    /// What payloads are cut down to; none where they stay whole.
    pub scope: Option<[u8; 32]>,
    /// Lowest height that is taken.
    pub from: Option<u32>,
    /// Greatest height that is taken.
    pub to: Option<u32>,
}

impl JobKey {
    fn fingerprint(&self) -> [u8; 32] {
        let mut hasher = Sha256::new();
        hasher.update(self.head_sha256);
        for part in [
            self.size_bytes,
            self.from.map(u64::from),
            self.to.map(u64::from),
        ] {
            hasher.update([u8::from(part.is_some())]);
            hasher.update(part.unwrap_or(0).to_be_bytes());
        }
        hasher.update(self.scope.unwrap_or([0; 32]));
        hasher.update([u8::from(self.scope.is_some())]);
        hasher.finalize().into()
    }
}

/// What was met and done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// Lines.
    pub lines: u64,
    /// Payloads of Stacks blocks taken.
    pub blocks: u64,
    /// Payloads of Bitcoin blocks taken.
    pub burn_blocks: u64,
    /// Of the blocks, those that could not be cut down and stay whole.
    pub whole: u64,
    /// Payloads that were new in the inbox.
    pub stored: u64,
    /// Payloads that were in the inbox before.
    pub repeated: u64,
    /// Rows whose id is not above all before.
    pub repeated_ids: u64,
    /// Rows of other paths.
    pub skipped: u64,
    /// Blocks outside the range of heights.
    pub out_of_range: u64,
    /// Payloads that are not what their path promises.
    pub bad_rows: u64,
    /// Lowest and greatest Stacks height met.
    pub heights: Option<(u32, u32)>,
}

/// How far a job has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of text that are done with.
    pub position_bytes: u64,
    /// What the newest row that proved it said about the file: its JSON stands without COPY escapes.
    pub plain_json: Option<bool>,
    /// Greatest row id.
    pub last_row_id: Option<u64>,
    /// What was met and done.
    pub counts: Counts,
}

/// A job as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its number.
    pub id: i64,
    /// Was it read to the end?
    pub is_done: bool,
    /// How far it has come.
    pub progress: Progress,
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn count(value: i64) -> Result<u64, StoreError> {
    u64::try_from(value).map_err(|_| StoreError::Corrupt {
        table: "archive_job",
        detail: format!("{value} is negative"),
    })
}

fn level(height: Option<u32>) -> Option<i32> {
    height.and_then(|h| i32::try_from(h).ok())
}

/// Refuses a mirror that was built for something else. An empty database fits everything.
///
/// # Errors
/// When the mirror's network or follow set is another one, or the database fails.
pub async fn fits(pool: &PgPool, network: &str, follow: &FollowSet) -> Result<(), StoreError> {
    let row = sqlx::query!("select network, follow from mirror")
        .fetch_optional(pool)
        .await
        .map_err(StoreError::db("read what the mirror follows"))?;
    let Some(row) = row else { return Ok(()) };
    let wanted = super::load::follow_json(follow)?;
    let (what, stored, configured) = if row.network != network {
        ("network", row.network, network.to_owned())
    } else if row.follow != wanted {
        ("follow set", row.follow.to_string(), wanted.to_string())
    } else {
        return Ok(());
    };
    Err(StoreError::OtherMirror {
        what,
        stored,
        configured,
    })
}

/// The job of this input, begun or taken up again.
///
/// # Errors
/// When the database fails or holds an unreadable row.
pub async fn open(pool: &PgPool, name: &str, key: &JobKey) -> Result<Job, StoreError> {
    let fingerprint = key.fingerprint();
    sqlx::query!(
        "insert into archive_job (fingerprint, name, size_bytes, head_sha256, scope, from_height, to_height)
         values ($1, $2, $3, $4, $5, $6, $7) on conflict (fingerprint) do nothing",
        &fingerprint[..],
        name.replace('\0', "\u{fffd}"),
        key.size_bytes.map(signed),
        &key.head_sha256[..],
        key.scope.as_ref().map(|s| &s[..]),
        level(key.from),
        level(key.to)
    )
    .execute(pool)
    .await
    .map_err(StoreError::db("begin a backfill"))?;
    let row = sqlx::query!(
        "select id, state, position_bytes, lines, plain_json, last_row_id, lowest_height, greatest_height, blocks,
             burn_blocks, whole, stored, repeated, repeated_ids, skipped, out_of_range, bad_rows
         from archive_job where fingerprint = $1",
        &fingerprint[..]
    )
    .fetch_one(pool)
    .await
    .map_err(StoreError::db("read how far a backfill has come"))?;
    let height = |h: Option<i32>| h.map(|h| unsigned("archive_job", h)).transpose();
    Ok(Job {
        id: row.id,
        is_done: row.state == 1,
        progress: Progress {
            position_bytes: count(row.position_bytes)?,
            plain_json: row.plain_json,
            last_row_id: row.last_row_id.map(count).transpose()?,
            counts: Counts {
                lines: count(row.lines)?,
                blocks: count(row.blocks)?,
                burn_blocks: count(row.burn_blocks)?,
                whole: count(row.whole)?,
                stored: count(row.stored)?,
                repeated: count(row.repeated)?,
                repeated_ids: count(row.repeated_ids)?,
                skipped: count(row.skipped)?,
                out_of_range: count(row.out_of_range)?,
                bad_rows: count(row.bad_rows)?,
                heights: height(row.lowest_height)?.zip(height(row.greatest_height)?),
            },
        },
    })
}

/// Stores payloads and moves the job, in one transaction; when this returns it is durable. The position moves from
/// where it is expected, or nothing happens. Returns the progress with what was new counted in.
///
/// # Errors
/// When the database fails; [`StoreError::OtherBackfill`] when the job is not where this process left it.
pub async fn advance(
    pool: &PgPool,
    job: i64,
    from_position: u64,
    mut to: Progress,
    is_done: bool,
    payloads: &[Payload],
) -> Result<Progress, StoreError> {
    let mut tx = super::begin(pool, "begin")
        .await
        .map_err(StoreError::db("begin to store a part of an archive"))?;
    if !payloads.is_empty() {
        let (new, again) = bulk::store(&mut tx, payloads).await?;
        to.counts.stored += new;
        to.counts.repeated += again;
    }
    let counts = &to.counts;
    let moved = sqlx::query!(
        "update archive_job set position_bytes = $3, lines = $4, plain_json = $5, last_row_id = $6, blocks = $7,
             burn_blocks = $8, whole = $9, stored = $10, repeated = $11, repeated_ids = $12, skipped = $13,
             out_of_range = $14, bad_rows = $15, lowest_height = $16, greatest_height = $17, state = $18,
             updated_at = clock_timestamp()
         where id = $1 and position_bytes = $2 and state = 0",
        job,
        signed(from_position),
        signed(to.position_bytes),
        signed(counts.lines),
        to.plain_json,
        to.last_row_id.map(signed),
        signed(counts.blocks),
        signed(counts.burn_blocks),
        signed(counts.whole),
        signed(counts.stored),
        signed(counts.repeated),
        signed(counts.repeated_ids),
        signed(counts.skipped),
        signed(counts.out_of_range),
        signed(counts.bad_rows),
        level(counts.heights.map(|h| h.0)),
        level(counts.heights.map(|h| h.1)),
        i16::from(is_done)
    )
    .execute(&mut *tx)
    .await
    .map_err(StoreError::db("note how far a backfill has come"))?;
    if moved.rows_affected() != 1 {
        return Err(StoreError::OtherBackfill);
    }
    tx.commit()
        .await
        .map_err(StoreError::db("commit a part of an archive"))?;
    Ok(to)
}

/// How blocks of an archive compare with the mirror's canonical chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreement {
    /// At how many of the heights the mirror has a canonical block.
    pub compared: u64,
    /// How many of the blocks and of their parents the mirror has, on whichever fork.
    pub known: u64,
    /// One where they differ: the height, and the mirror's block there.
    pub example: Option<(u32, IndexBlockHash)>,
}

/// A block and where it says that it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Its height.
    pub height: u32,
    /// Its identity.
    pub id: IndexBlockHash,
    /// Its parent.
    pub parent: IndexBlockHash,
}

/// Compares blocks with the mirror; block 0 is the same on every network and says nothing.
///
/// # Errors
/// When the database fails or holds an unreadable row.
pub async fn agreement(pool: &PgPool, blocks: &[Place]) -> Result<Agreement, StoreError> {
    let blocks = blocks.iter().filter(|block| block.height > 0);
    let heights: Vec<i32> = blocks
        .clone()
        .filter_map(|b| i32::try_from(b.height).ok())
        .collect();
    let ids: Vec<Vec<u8>> = blocks
        .flat_map(|b| [b.id, b.parent])
        .filter(|id| *id != IndexBlockHash::GENESIS)
        .map(|id| id.as_bytes().to_vec())
        .collect();
    let row = sqlx::query!(
        r#"select (select count(distinct c.height) from canonical c where c.height = any ($1)) as "compared!",
                  (select count(*) from block b where b.index_block_hash = any ($2)) as "known!",
                  e.height as "height?", e.index_block_hash as "index_block_hash?"
           from (select) one left join lateral (
               select c.height, b.index_block_hash from canonical c join block b on b.id = c.block_id
               where c.height = any ($1) order by c.height limit 1) e on true"#,
        &heights,
        &ids
    )
    .fetch_one(pool)
    .await
    .map_err(StoreError::db("compare an archive with the mirror"))?;
    let example = match (row.height, row.index_block_hash) {
        (Some(height), Some(id)) => Some((
            unsigned("canonical", height)?,
            IndexBlockHash::from_slice(&id).map_err(super::load::corrupt("block"))?,
        )),
        _ => None,
    };
    Ok(Agreement {
        compared: count(row.compared)?,
        known: count(row.known)?,
        example,
    })
}

/// Blocks that wait, by the parent that is missing.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Hole {
    /// The block that nobody delivered.
    pub parent: IndexBlockHash,
    /// How many blocks name it.
    pub waiting: u64,
}

/// Parents that blocks wait for and that wait for nothing themselves, at most `limit` of them.
///
/// # Errors
/// When the database fails or holds an unreadable row.
pub async fn holes(pool: &PgPool, limit: i64) -> Result<Vec<Hole>, StoreError> {
    let rows = sqlx::query!(
        r#"select parent_index_block_hash as "parent!", count(*) as "waiting!" from inbox i
           where state = 3 and not exists (
               select from inbox p where p.state = 3 and p.index_block_hash = i.parent_index_block_hash)
           group by 1 order by min(id) limit $1"#,
        limit
    )
    .fetch_all(pool)
    .await
    .map_err(StoreError::db("look for what blocks wait for"))?;
    rows.into_iter()
        .map(|row| {
            Ok(Hole {
                parent: IndexBlockHash::from_slice(&row.parent)
                    .map_err(super::load::corrupt("inbox"))?,
                waiting: count(row.waiting)?,
            })
        })
        .collect()
}
