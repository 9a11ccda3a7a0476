//! What a re-index of a range reads and notes: its journal, and states as they should have been.

mod exchange;
pub mod report;
pub mod swap;

use serde_json::Value;
use sqlx::{Connection as _, PgConnection, PgExecutor, PgPool};

use super::StoreError;
use super::load::corrupt;
use super::proof::BlockHead;
use crate::model::{Digest, IndexBlockHash};
use crate::project::{EntityKey, States};

/// What a run is asked to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    /// First height.
    pub from: i32,
    /// Last height.
    pub to: i32,
    /// Only rows of this contract.
    pub contract: Option<String>,
    /// Swap what differs.
    pub applies: bool,
}

/// A run, new or resumed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its number in the journal.
    pub id: i64,
    /// Local number of the last block compared.
    pub after: i64,
    /// Blocks compared so far.
    pub blocks: i64,
    /// Rows compared so far.
    pub rows: i64,
    /// Does it go on where an earlier process stopped?
    pub resumed: bool,
}

/// A block that is not what its payload says, to be noted.
#[derive(Debug, Default)]
pub struct Finding {
    /// Some row differs, and not only digests.
    pub whole: bool,
    /// To be swapped.
    pub selected: bool,
    /// Nothing could be recomputed.
    pub fault: bool,
    /// As recomputed.
    pub rows_digest: Option<Digest>,
    /// As recomputed.
    pub digest: Option<Digest>,
    /// How many differences there are.
    pub count: i64,
    /// The first of them.
    pub differences: Value,
    /// Recomputed rows, by table, if the block is `whole`.
    pub rows: Vec<(&'static str, Value)>,
}

/// The lock of the one run at a time. Dropped, the server frees it when it notices; see [`Lock::release`].
#[derive(Debug)]
pub struct Lock(PgConnection);

impl Lock {
    /// Frees it now.
    pub async fn release(mut self) {
        let freed = sqlx::query_scalar!(
            r#"select pg_advisory_unlock(hashtext('reindex'), hashtext(current_schema())) as "freed!""#
        )
        .fetch_one(&mut self.0)
        .await;
        if let Err(error) = freed {
            tracing::debug!(%error, "the lock is freed with its connection");
        }
        if let Err(error) = self.0.close().await {
            tracing::debug!(%error, "the connection that held the lock was gone");
        }
    }
}

/// Takes the lock; none when another run holds it. It ends with its connection, however the process ends.
///
/// # Errors
/// When the database fails.
pub async fn lock(pool: &PgPool) -> Result<Option<Lock>, StoreError> {
    let pooled = pool.acquire().await.map_err(StoreError::db("connect"))?;
    let mut connection = pooled.detach();
    let held = sqlx::query_scalar!(
        r#"select pg_try_advisory_lock(hashtext('reindex'), hashtext(current_schema())) as "held!""#
    )
    .fetch_one(&mut connection)
    .await
    .map_err(StoreError::db("lock the re-indexing"))?;
    Ok(held.then_some(Lock(connection)))
}

/// Does this connection's role own the mirror's tables?
///
/// # Errors
/// When the database fails.
pub async fn is_owner(pool: &PgPool) -> Result<bool, StoreError> {
    sqlx::query_scalar!(
        r#"select pg_has_role(current_user, relowner, 'usage') as "owner!" from pg_class
           where oid = to_regclass('event')"#
    )
    .fetch_optional(pool)
    .await
    .map(|owner| owner.unwrap_or(false))
    .map_err(StoreError::db("look for the owner of its tables"))
}

/// What decides which rows a payload gives: network, follow set, rules of digests and projections, origin. None
/// while there is no mirror.
///
/// # Errors
/// When the database fails.
pub async fn rules(connection: impl PgExecutor<'_>) -> Result<Option<Value>, StoreError> {
    sqlx::query_scalar!(
        r#"select jsonb_build_object('network', network, 'follow', follow, 'digest_rules', digest_rules,
               'origin', encode(origin, 'hex'),
               'projections', (select coalesce(jsonb_object_agg(name, version), '{}') from projection)) as "rules!"
           from mirror"#
    )
    .fetch_optional(connection)
    .await
    .map_err(StoreError::db("read the mirror's rules"))
}

/// Lowest and highest height of a stored block, of any fork.
///
/// # Errors
/// When the database fails.
pub async fn heights(pool: &PgPool) -> Result<Option<(i32, i32)>, StoreError> {
    let row = sqlx::query!("select min(height) as low, max(height) as high from block")
        .fetch_one(pool)
        .await
        .map_err(StoreError::db("read the mirror's heights"))?;
    Ok(row.low.zip(row.high))
}

/// Begins a run, or goes on with one of the same kind that did not come to its end.
///
/// # Errors
/// When the database fails.
pub async fn begin(pool: &PgPool, range: &Range, rules: &Value) -> Result<Job, StoreError> {
    let failed = || StoreError::db("begin a run in the journal");
    let mut tx = super::begin(pool, "begin").await.map_err(failed())?;
    let found = sqlx::query!(
        r#"select j.id, j.last_block_id, j.blocks, j.compared_rows from reindex_job j
           where j.state = 'running' and j.from_height = $1 and j.to_height = $2
             and j.contract is not distinct from $3 and j.applies = $4 and j.rules = $5
             and (j.last_block_id = 0 or exists (
                 select from block b where b.id = j.last_block_id and b.index_block_hash = j.last_block))
           order by j.id desc limit 1"#,
        range.from,
        range.to,
        range.contract,
        range.applies,
        rules
    )
    .fetch_optional(&mut *tx)
    .await
    .map_err(failed())?;
    let job = match found {
        Some(row) => Job {
            id: row.id,
            after: row.last_block_id,
            blocks: row.blocks,
            rows: row.compared_rows,
            resumed: true,
        },
        None => Job {
            id: sqlx::query_scalar!(
                "insert into reindex_job (from_height, to_height, contract, applies, rules)
                 values ($1, $2, $3, $4, $5) returning id",
                range.from,
                range.to,
                range.contract,
                range.applies,
                rules
            )
            .fetch_one(&mut *tx)
            .await
            .map_err(failed())?,
            after: 0,
            blocks: 0,
            rows: 0,
            resumed: false,
        },
    };
    sqlx::query!(
        "update reindex_job set state = 'abandoned', finished_at = clock_timestamp(), result = 'another run was begun'
         where state = 'running' and id <> $1",
        job.id
    )
    .execute(&mut *tx)
    .await
    .map_err(failed())?;
    sqlx::query!(
        "delete from reindex_row where not replaced and job_id <> $1",
        job.id
    )
    .execute(&mut *tx)
    .await
    .map_err(failed())?;
    tx.commit().await.map_err(failed())?;
    Ok(job)
}

/// The next blocks of a range of heights, of every fork, parents first.
///
/// # Errors
/// When the database fails.
pub async fn blocks(
    pool: &PgPool,
    range: (i32, i32),
    after: i64,
    limit: i64,
) -> Result<Vec<BlockHead>, StoreError> {
    sqlx::query_as!(
        BlockHead,
        "select id, inbox_id, index_block_hash, height, rows_digest, digest from block
         where id > $1 and height between $2 and $3 order by id limit $4",
        after,
        range.0,
        range.1,
        limit
    )
    .fetch_all(pool)
    .await
    .map_err(StoreError::db("read the blocks of a range"))
}

/// How many blocks a range holds behind a local number.
///
/// # Errors
/// When the database fails.
pub async fn count(pool: &PgPool, range: (i32, i32), after: i64) -> Result<i64, StoreError> {
    sqlx::query_scalar!(
        r#"select count(*) as "count!" from block where id > $1 and height between $2 and $3"#,
        after,
        range.0,
        range.1
    )
    .fetch_one(pool)
    .await
    .map_err(StoreError::db("count the blocks of a range"))
}

/// What a payload was cut down to; none for a whole one.
///
/// # Errors
/// When the database fails.
pub async fn scope_of(pool: &PgPool, inbox_id: i64) -> Result<Option<Vec<u8>>, StoreError> {
    sqlx::query_scalar!("select scope from inbox where id = $1", inbox_id)
        .fetch_optional(pool)
        .await
        .map(Option::flatten)
        .map_err(StoreError::db("read a payload's scope"))
}

/// The digest of a block as the run recomputed it, or else as it is stored.
///
/// # Errors
/// When the database fails or holds an unreadable row.
pub async fn digest_of(
    pool: &PgPool,
    job: i64,
    id: IndexBlockHash,
) -> Result<Option<Digest>, StoreError> {
    let digest = sqlx::query_scalar!(
        r#"select coalesce(r.digest, b.digest) as "digest!" from block b
           left join reindex_block r on r.job_id = $1 and r.block_id = b.id
           where b.index_block_hash = $2"#,
        job,
        id.as_bytes()
    )
    .fetch_optional(pool)
    .await
    .map_err(StoreError::db("read a digest"))?;
    digest
        .map(|d| Digest::from_slice(&d).map_err(corrupt("block")))
        .transpose()
}

/// States of entities as of a block, on whichever fork it lies: as the run recomputed them where a block differs,
/// from the mirror everywhere else. One statement, so of one moment: the chain may switch meanwhile.
///
/// # Errors
/// When the database fails.
pub async fn states(
    pool: &PgPool,
    job: i64,
    at: IndexBlockHash,
    keys: &[EntityKey],
) -> Result<States, StoreError> {
    let (projections, names): (Vec<i16>, Vec<String>) = keys.iter().cloned().unzip();
    let rows = sqlx::query!(
        r#"with recursive branch as (
               select b.id, b.parent, b.height,
                      exists (select from canonical c where c.block_id = b.id) as canonical
               from block b where b.index_block_hash = $2
               union all
               select p.id, p.parent, p.height, exists (select from canonical c where c.block_id = p.id)
               from branch b join block p on p.index_block_hash = b.parent where not b.canonical
           ), side as materialized (
               select coalesce(array_agg(id), '{}') as ids from branch where not canonical
           ), trunk as materialized (
               select coalesce(max(height), -1) as height from branch where canonical
           )
           select k.projection as "projection!", k.entity as "entity!", newest.state as "state!"
           from side, trunk, unnest($3::smallint[], $4::text[]) as k (projection, entity)
           cross join lateral (
               select found.state from (
                   (select v.state, v.height, v.position from projection_version v
                    where v.projection = k.projection and v.entity = k.entity
                      and (v.block_id = any (side.ids) or (v.height <= trunk.height and exists (
                          select from canonical c where c.height = v.height and c.block_id = v.block_id)))
                      and not exists (
                          select from reindex_block r where r.job_id = $1 and r.block_id = v.block_id and r.whole)
                    order by v.height desc, v.position desc limit 1)
                   union all
                   (select s.content -> 'state', b.height, (s.content ->> 'position')::bigint
                    from reindex_row s join block b on b.id = s.block_id
                    where s.job_id = $1 and s.relation = 'projection_version' and not s.replaced
                      and s.content ->> 'entity' = k.entity and s.content ->> 'projection' = k.projection::text
                      and (s.block_id = any (side.ids) or (b.height <= trunk.height and exists (
                          select from canonical c where c.block_id = s.block_id)))
                    order by b.height desc, 3 desc limit 1)
               ) found
               order by found.height desc, found.position desc limit 1
           ) newest"#,
        job,
        at.as_bytes(),
        &projections,
        &names
    )
    .fetch_all(pool)
    .await
    .map_err(StoreError::db("load prior states"))?;
    Ok(rows
        .into_iter()
        .map(|row| ((row.projection, row.entity), row.state))
        .collect())
}

/// Notes that a block was compared, and what was found. From here a killed run goes on.
///
/// # Errors
/// When the database fails.
pub async fn note(
    pool: &PgPool,
    job: i64,
    head: &BlockHead,
    rows: i64,
    finding: Option<&Finding>,
) -> Result<(), StoreError> {
    let failed = || StoreError::db("note a compared block");
    let mut tx = super::begin(pool, "begin").await.map_err(failed())?;
    // What a crash of the server takes back is compared again.
    sqlx::query!("set local synchronous_commit = off")
        .execute(&mut *tx)
        .await
        .map_err(failed())?;
    let shown = finding.filter(|f| f.selected || f.fault);
    sqlx::query!(
        "update reindex_job set last_block_id = $2, last_block = $3, blocks = blocks + 1,
             compared_rows = compared_rows + $4, differing_blocks = differing_blocks + $5,
             differences = differences + $6
         where id = $1",
        job,
        head.id,
        head.index_block_hash,
        rows,
        i64::from(shown.is_some()),
        shown.map_or(0, |f| f.count)
    )
    .execute(&mut *tx)
    .await
    .map_err(failed())?;
    if let Some(f) = finding {
        sqlx::query!(
            "insert into reindex_block (job_id, block_id, index_block_hash, height, whole, selected, fault,
                 rows_digest, digest, differences)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
            job,
            head.id,
            head.index_block_hash,
            head.height,
            f.whole,
            f.selected,
            f.fault,
            f.rows_digest.as_ref().map(|d| d.as_bytes()),
            f.digest.as_ref().map(|d| d.as_bytes()),
            f.differences
        )
        .execute(&mut *tx)
        .await
        .map_err(failed())?;
        let (relations, contents): (Vec<String>, Vec<Value>) = f
            .rows
            .iter()
            .map(|(relation, content)| ((*relation).to_owned(), content.clone()))
            .unzip();
        sqlx::query!(
            "insert into reindex_row (job_id, replaced, block_id, relation, content)
             select $1, false, $2, * from unnest($3::text[], $4::jsonb[])",
            job,
            head.id,
            &relations,
            &contents
        )
        .execute(&mut *tx)
        .await
        .map_err(failed())?;
    }
    tx.commit().await.map_err(failed())
}

/// Ends a run without a swap.
///
/// # Errors
/// When the database fails.
pub async fn end(
    pool: &PgPool,
    job: i64,
    state: &'static str,
    result: &str,
) -> Result<(), StoreError> {
    let failed = || StoreError::db("end a run in the journal");
    let mut tx = super::begin(pool, "begin").await.map_err(failed())?;
    finish(&mut tx, job, state, result).await?;
    tx.commit().await.map_err(failed())
}

async fn finish(
    tx: &mut PgConnection,
    job: i64,
    state: &'static str,
    result: &str,
) -> Result<(), StoreError> {
    let failed = || StoreError::db("end a run in the journal");
    sqlx::query!(
        "update reindex_job set state = $2, result = $3, finished_at = clock_timestamp() where id = $1",
        job,
        state,
        result
    )
    .execute(&mut *tx)
    .await
    .map_err(failed())?;
    sqlx::query!(
        "delete from reindex_row where job_id = $1 and not replaced",
        job
    )
    .execute(tx)
    .await
    .map_err(failed())?;
    Ok(())
}
