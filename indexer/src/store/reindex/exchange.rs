//! The steps of a swap and of an undo, each a statement or a few, inside their transaction.

use sqlx::PgConnection;

use super::super::StoreError;
use super::super::load::Position;
use crate::project::EntityKey;

/// Entities with a version in one of the blocks.
pub(super) async fn entities_of(
    tx: &mut PgConnection,
    blocks: &[i64],
) -> Result<Vec<EntityKey>, StoreError> {
    let rows = sqlx::query!(
        "select distinct projection, entity from projection_version where block_id = any ($1)",
        blocks
    )
    .fetch_all(tx)
    .await
    .map_err(StoreError::db("read the blocks' entities"))?;
    Ok(rows.into_iter().map(|r| (r.projection, r.entity)).collect())
}

/// Keeps the rows as they stand; what an earlier swap kept goes.
pub(super) async fn keep(
    tx: &mut PgConnection,
    job: i64,
    all: &[i64],
    whole: &[i64],
) -> Result<(), StoreError> {
    sqlx::query!("delete from reindex_row where replaced")
        .execute(&mut *tx)
        .await
        .map_err(StoreError::db("forget what an earlier swap replaced"))?;
    sqlx::query!(
        "insert into reindex_row (job_id, replaced, block_id, relation, content)
         select $1::bigint, true, id, 'block', to_jsonb(b) from block b where id = any ($2)
         union all
         select $1, true, block_id, 'transaction', to_jsonb(t) from transaction t where block_id = any ($3)
         union all
         select $1, true, block_id, 'event', to_jsonb(e) from event e where block_id = any ($3)
         union all
         select $1, true, block_id, 'projection_version', to_jsonb(v) from projection_version v
         where block_id = any ($3)",
        job,
        all,
        whole
    )
    .execute(tx)
    .await
    .map_err(StoreError::db("keep the rows that are replaced"))?;
    Ok(())
}

/// Numbers for principals that recomputed rows name and the mirror does not have.
pub(super) async fn add_principals(
    tx: &mut PgConnection,
    job: i64,
    position: &Position,
) -> Result<(), StoreError> {
    sqlx::query!(
        r#"with named as (
               select distinct name from reindex_row s
               join reindex_block k on k.job_id = s.job_id and k.block_id = s.block_id and k.selected
               cross join lateral unnest(array[s.content ->> 'sender', s.content ->> 'sponsor',
                   s.content ->> 'contract', s.content ->> 'recipient']) as n (name)
               where s.job_id = $1 and not s.replaced and s.relation in ('transaction', 'event') and name is not null
           )
           insert into principal (id, name)
           select ($2 + row_number() over (order by name) - 1)::integer, name from named n
           where not exists (select from principal p where p.name = n.name)"#,
        job,
        i64::from(position.next_principal_id)
    )
    .execute(tx)
    .await
    .map_err(StoreError::db("add principals"))?;
    Ok(())
}

pub(super) async fn remove(tx: &mut PgConnection, blocks: &[i64]) -> Result<(), StoreError> {
    let failed = || StoreError::db("take rows out");
    sqlx::query!("delete from transaction where block_id = any ($1)", blocks)
        .execute(&mut *tx)
        .await
        .map_err(failed())?;
    sqlx::query!("delete from event where block_id = any ($1)", blocks)
        .execute(&mut *tx)
        .await
        .map_err(failed())?;
    sqlx::query!(
        "delete from projection_version where block_id = any ($1)",
        blocks
    )
    .execute(tx)
    .await
    .map_err(failed())?;
    Ok(())
}

/// Puts the recomputed rows in. A version that was there keeps its number, so that pointers to it stay.
pub(super) async fn install(
    tx: &mut PgConnection,
    job: i64,
    position: &Position,
) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into transaction select r.* from reindex_row s
         join reindex_block k on k.job_id = s.job_id and k.block_id = s.block_id and k.selected
         left join principal a on a.name = s.content ->> 'sender'
         left join principal b on b.name = s.content ->> 'sponsor'
         left join principal c on c.name = s.content ->> 'contract'
         cross join lateral jsonb_populate_record(null::transaction, s.content || jsonb_build_object(
             'block_id', s.block_id, 'sender', a.id, 'sponsor', b.id, 'contract', c.id)) r
         where s.job_id = $1 and not s.replaced and s.relation = 'transaction'",
        job
    )
    .execute(&mut *tx)
    .await
    .map_err(StoreError::db("put transactions in"))?;
    sqlx::query!(
        "insert into event select r.* from reindex_row s
         join reindex_block k on k.job_id = s.job_id and k.block_id = s.block_id and k.selected
         left join principal a on a.name = s.content ->> 'contract'
         left join principal b on b.name = s.content ->> 'sender'
         left join principal c on c.name = s.content ->> 'recipient'
         cross join lateral jsonb_populate_record(null::event, s.content || jsonb_build_object(
             'block_id', s.block_id, 'contract', a.id, 'sender', b.id, 'recipient', c.id)) r
         where s.job_id = $1 and not s.replaced and s.relation = 'event'",
        job
    )
    .execute(&mut *tx)
    .await
    .map_err(StoreError::db("put events in"))?;
    sqlx::query!(
        "insert into projection_version select r.* from (
             select s.block_id, s.content, (o.content ->> 'id')::bigint as old,
                    row_number() over (order by s.block_id, s.content ->> 'position') as number
             from reindex_row s
             join reindex_block k on k.job_id = s.job_id and k.block_id = s.block_id and k.selected
             left join reindex_row o on o.job_id = $1 and o.replaced and o.relation = 'projection_version'
               and o.block_id = s.block_id and o.content -> 'projection' = s.content -> 'projection'
               and o.content -> 'entity' = s.content -> 'entity' and o.content -> 'position' = s.content -> 'position'
             where s.job_id = $1 and not s.replaced and s.relation = 'projection_version'
         ) n
         cross join lateral jsonb_populate_record(null::projection_version, n.content || jsonb_build_object(
             'block_id', n.block_id, 'id', coalesce(n.old, $2 + n.number - 1))) r",
        job,
        position.next_version_id
    )
    .execute(&mut *tx)
    .await
    .map_err(StoreError::db("put versions in"))?;
    install_headers(tx, job).await
}

async fn install_headers(tx: &mut PgConnection, job: i64) -> Result<(), StoreError> {
    sqlx::query!(
        "update block b set parent = r.parent, height = r.height, block_hash = r.block_hash,
             block_time = r.block_time, burn_block_hash = r.burn_block_hash,
             burn_block_height = r.burn_block_height, burn_block_time = r.burn_block_time,
             consensus_hash = r.consensus_hash, burn_view = r.burn_view, miner_txid = r.miner_txid,
             tenure_height = r.tenure_height, listed_transactions = r.listed_transactions,
             listed_events = r.listed_events
         from reindex_row s
         join reindex_block k on k.job_id = s.job_id and k.block_id = s.block_id and k.selected
         cross join lateral jsonb_populate_record(null::block, s.content) r
         where s.job_id = $1 and not s.replaced and s.relation = 'block' and b.id = s.block_id",
        job
    )
    .execute(&mut *tx)
    .await
    .map_err(StoreError::db("correct headers"))?;
    sqlx::query!(
        "update block b set rows_digest = r.rows_digest, digest = r.digest from reindex_block r
         where r.job_id = $1 and r.selected and b.id = r.block_id",
        job
    )
    .execute(tx)
    .await
    .map_err(StoreError::db("correct digests"))?;
    Ok(())
}

/// Follows the digest chain upwards from the selected blocks, on every fork, as long as it changes.
pub(super) async fn follow_digests(tx: &mut PgConnection, job: i64) -> Result<i64, StoreError> {
    let changed = sqlx::query!(
        "with recursive chain (id, index_block_hash, digest) as (
             select b.id, b.index_block_hash, b.digest from reindex_block r join block b on b.id = r.block_id
             where r.job_id = $1 and r.selected
             union
             select b.id, b.index_block_hash, sha256(c.digest || b.index_block_hash || b.rows_digest)
             from chain c join block b on b.parent = c.index_block_hash
             where b.digest <> sha256(c.digest || b.index_block_hash || b.rows_digest)
         ), changed as (
             select c.id, c.digest, b.digest as before from chain c join block b on b.id = c.id
             where b.digest <> c.digest
         ), kept as (
             insert into reindex_row (job_id, replaced, block_id, relation, content)
             select $1, true, id, 'digest', jsonb_build_object('digest', before) from changed
         )
         update block b set digest = c.digest from changed c where b.id = c.id",
        job
    )
    .execute(tx)
    .await
    .map_err(StoreError::db("follow the digest chain"))?;
    Ok(i64::try_from(changed.rows_affected()).unwrap_or(i64::MAX))
}

/// Puts the replaced rows in again, as they were; how many digests of blocks above were.
pub(super) async fn put_back(tx: &mut PgConnection, job: i64) -> Result<i64, StoreError> {
    let failed = || StoreError::db("put rows back");
    sqlx::query!(
        "insert into transaction select r.* from reindex_row s
         cross join lateral jsonb_populate_record(null::transaction, s.content) r
         where s.job_id = $1 and s.replaced and s.relation = 'transaction'",
        job
    )
    .execute(&mut *tx)
    .await
    .map_err(failed())?;
    sqlx::query!(
        "insert into event select r.* from reindex_row s
         cross join lateral jsonb_populate_record(null::event, s.content) r
         where s.job_id = $1 and s.replaced and s.relation = 'event'",
        job
    )
    .execute(&mut *tx)
    .await
    .map_err(failed())?;
    sqlx::query!(
        "insert into projection_version select r.* from reindex_row s
         cross join lateral jsonb_populate_record(null::projection_version, s.content) r
         where s.job_id = $1 and s.replaced and s.relation = 'projection_version'",
        job
    )
    .execute(&mut *tx)
    .await
    .map_err(failed())?;
    sqlx::query!(
        "update block b set parent = r.parent, height = r.height, block_hash = r.block_hash,
             block_time = r.block_time, burn_block_hash = r.burn_block_hash,
             burn_block_height = r.burn_block_height, burn_block_time = r.burn_block_time,
             consensus_hash = r.consensus_hash, burn_view = r.burn_view, miner_txid = r.miner_txid,
             tenure_height = r.tenure_height, listed_transactions = r.listed_transactions,
             listed_events = r.listed_events, rows_digest = r.rows_digest, digest = r.digest
         from reindex_row s cross join lateral jsonb_populate_record(null::block, s.content) r
         where s.job_id = $1 and s.replaced and s.relation = 'block' and b.id = s.block_id",
        job
    )
    .execute(&mut *tx)
    .await
    .map_err(failed())?;
    let digests = sqlx::query!(
        "update block b set digest = (s.content ->> 'digest')::bytea from reindex_row s
         where s.job_id = $1 and s.replaced and s.relation = 'digest' and b.id = s.block_id",
        job
    )
    .execute(tx)
    .await
    .map_err(failed())?;
    Ok(i64::try_from(digests.rows_affected()).unwrap_or(i64::MAX))
}

/// Blocks that came after the swap stand on digests that were just put back: they follow. Older blocks do not: they
/// are as they were.
pub(super) async fn chain_new_blocks(
    tx: &mut PgConnection,
    job: i64,
    newest: i64,
) -> Result<(), StoreError> {
    sqlx::query!(
        "with recursive chain (id, index_block_hash, digest) as (
             select b.id, b.index_block_hash, b.digest from block b
             where b.id in (select block_id from reindex_row where job_id = $1 and replaced
                            and relation in ('block', 'digest'))
             union
             select b.id, b.index_block_hash, sha256(c.digest || b.index_block_hash || b.rows_digest)
             from chain c join block b on b.parent = c.index_block_hash
             where b.id > $2 and b.digest <> sha256(c.digest || b.index_block_hash || b.rows_digest)
         )
         update block b set digest = c.digest from chain c where b.id = c.id and b.digest <> c.digest",
        job,
        newest
    )
    .execute(tx)
    .await
    .map_err(StoreError::db("follow the digest chain"))?;
    Ok(())
}

/// Points entities at their newest canonical version, or nowhere.
pub(super) async fn point(
    tx: &mut PgConnection,
    mut entities: Vec<EntityKey>,
) -> Result<(), StoreError> {
    entities.sort_unstable();
    entities.dedup();
    let (projections, names): (Vec<i16>, Vec<String>) = entities.into_iter().unzip();
    sqlx::query!(
        "with newest as (
             select t.projection, t.entity, n.id
             from unnest($1::smallint[], $2::text[]) as t (projection, entity)
             left join lateral (
                 select v.id from projection_version v
                 join canonical c on c.height = v.height and c.block_id = v.block_id
                 where v.projection = t.projection and v.entity = t.entity
                 order by v.height desc, v.position desc limit 1
             ) n on true
         ), gone as (
             delete from projection_current p using newest n
             where n.id is null and p.projection = n.projection and p.entity = n.entity
         )
         insert into projection_current (projection, entity, version_id)
         select projection, entity, id from newest where id is not null
         on conflict (projection, entity) do update set version_id = excluded.version_id",
        &projections,
        &names
    )
    .execute(tx)
    .await
    .map_err(StoreError::db("move the projection pointers"))?;
    Ok(())
}
