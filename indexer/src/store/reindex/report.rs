//! What a run noted, summed up, and what follows from it.

use serde_json::Value;
use sqlx::PgPool;

use super::super::StoreError;
use crate::project::EntityKey;

/// A noted block.
#[derive(Debug, Clone)]
pub struct Noted {
    /// Its identity.
    pub index_block_hash: Vec<u8>,
    /// Its height.
    pub height: i32,
    /// To be swapped.
    pub selected: bool,
    /// Nothing could be recomputed.
    pub fault: bool,
    /// The first differences.
    pub differences: Value,
}

/// The noted blocks, parents first, at most so many; and how many there are of other contracts only.
///
/// # Errors
/// When the database fails.
pub async fn noted(pool: &PgPool, job: i64, limit: i64) -> Result<(Vec<Noted>, i64), StoreError> {
    let failed = || StoreError::db("read what a run noted");
    let rows = sqlx::query_as!(
        Noted,
        "select index_block_hash, height, selected, fault, differences from reindex_block
         where job_id = $1 and (selected or fault) order by fault desc, block_id limit $2",
        job,
        limit
    )
    .fetch_all(pool)
    .await
    .map_err(failed())?;
    let others = sqlx::query_scalar!(
        r#"select count(*) as "count!" from reindex_block where job_id = $1 and not selected and not fault"#,
        job
    )
    .fetch_one(pool)
    .await
    .map_err(failed())?;
    Ok((rows, others))
}

/// How a run stands: differing blocks, differences, and blocks with a bad payload.
///
/// # Errors
/// When the database fails.
pub async fn totals(pool: &PgPool, job: i64) -> Result<(i64, i64, i64), StoreError> {
    let row = sqlx::query!(
        r#"select differing_blocks, differences,
               (select count(*) from reindex_block r where r.job_id = j.id and r.fault) as "faults!"
           from reindex_job j where id = $1"#,
        job
    )
    .fetch_one(pool)
    .await
    .map_err(StoreError::db("sum up a run"))?;
    Ok((row.differing_blocks, row.differences, row.faults))
}

/// Entities with a version in the range whose pointer is not their newest canonical version: (projection, entity).
///
/// # Errors
/// When the database fails.
pub async fn wrong_pointers(
    pool: &PgPool,
    range: (i32, i32),
    limit: i64,
) -> Result<Vec<EntityKey>, StoreError> {
    let rows = sqlx::query!(
        r#"with touched as (
               select distinct projection, entity from projection_version where height between $1 and $2
           )
           select t.projection as "projection!", t.entity as "entity!"
           from touched t
           left join lateral (
               select v.id from projection_version v
               join canonical c on c.height = v.height and c.block_id = v.block_id
               where v.projection = t.projection and v.entity = t.entity
               order by v.height desc, v.position desc limit 1
           ) newest on true
           left join projection_current p on p.projection = t.projection and p.entity = t.entity
           where newest.id is distinct from p.version_id
           order by 1, 2 limit $3"#,
        range.0,
        range.1,
        limit
    )
    .fetch_all(pool)
    .await
    .map_err(StoreError::db("check the projection pointers"))?;
    Ok(rows.into_iter().map(|r| (r.projection, r.entity)).collect())
}

/// Versions above the range of entities of which a version inside differs, and the highest such height: they may
/// follow from the wrong ones.
///
/// # Errors
/// When the database fails.
pub async fn later_versions(
    pool: &PgPool,
    job: i64,
    to: i32,
) -> Result<(i64, Option<i32>), StoreError> {
    let row = sqlx::query!(
        r#"with wrong as (
               select distinct (s.content ->> 'projection')::smallint as projection, s.content ->> 'entity' as entity
               from reindex_row s
               where s.job_id = $1 and not s.replaced and s.relation = 'projection_version' and not exists (
                   select from projection_version v
                   where v.block_id = s.block_id and v.projection = (s.content ->> 'projection')::smallint
                     and v.entity = s.content ->> 'entity' and v.position = (s.content ->> 'position')::bigint
                     and v.state = s.content -> 'state')
           )
           select count(*) as "count!", max(v.height) as highest
           from wrong w join projection_version v
             on v.projection = w.projection and v.entity = w.entity and v.height > $2"#,
        job,
        to
    )
    .fetch_one(pool)
    .await
    .map_err(StoreError::db("look for later versions"))?;
    Ok((row.count, row.highest))
}
