//! The one write transaction of the mirror.
//!
//! Rows, digests, the canonical pointer, projection pointers, outbox, the inbox's states and the
//! watermark move together (WM-1), and only from the position that this writer left (WM-2).
//!
//! A batch does not wait for the disk. What it writes follows from the inbox, which does: should the
//! *server* crash, its last batches are gone as a whole, watermark included, and are made again from the
//! same payloads. Whoever acts on a row outside the database first commits something durable of his own,
//! and with it everything before.

use sqlx::{PgConnection, PgPool};

use super::StoreError;
use super::batch::{Batch, BlockRows, InboxUpdate, Mempool, OutboxRow, Pointer, ReorgRow};
use super::load::Position;
use crate::model::BurnBlock;

fn int(value: u32) -> i32 {
    // Heights and indexes are checked to fit when a payload is decoded.
    i32::try_from(value).unwrap_or(i32::MAX)
}

fn long(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Writes a batch; `number` gives the local number of a principal that the batch names.
///
/// # Errors
/// [`StoreError::Moved`] when the mirror is not at `from`; otherwise when the database fails.
/// Nothing is written then.
pub async fn commit(
    pool: &PgPool,
    from: &Position,
    to: &Position,
    batch: &Batch,
    number: &(dyn Fn(&str) -> Option<i32> + Sync),
) -> Result<(), StoreError> {
    let mut tx = super::begin(pool, "begin")
        .await
        .map_err(StoreError::db("begin"))?;
    sqlx::query!(
        r#"select set_config('synchronous_commit', 'off', true) as "commit!",
               set_config('idle_in_transaction_session_timeout', $1, true) as "idle!""#,
        super::lease::ASLEEP
    )
    .fetch_one(&mut *tx)
    .await
    .map_err(StoreError::db("choose how to commit"))?;
    move_watermark(&mut tx, from, to).await?;
    insert_principals(&mut tx, &batch.principals).await?;
    insert_burn_blocks(&mut tx, &batch.burn_blocks).await?;
    if !batch.blocks.is_empty() {
        insert_blocks(&mut tx, &batch.blocks).await?;
        insert_transactions(&mut tx, &batch.blocks, number).await?;
        insert_events(&mut tx, &batch.blocks, number).await?;
        insert_versions(&mut tx, from, &batch.blocks).await?;
    }
    if let Some(pointer) = &batch.pointer {
        move_pointer(&mut tx, pointer).await?;
    }
    insert_reorgs(&mut tx, &batch.reorgs).await?;
    insert_outbox(&mut tx, &batch.outbox).await?;
    write_mempool(&mut tx, &batch.mempool).await?;
    update_inbox(&mut tx, &batch.inbox).await?;
    super::sync::insert_disagreements(&mut tx, &batch.disagreements).await?;
    tx.commit().await.map_err(StoreError::db("commit a batch"))
}

pub(super) async fn move_watermark(
    tx: &mut PgConnection,
    from: &Position,
    to: &Position,
) -> Result<(), StoreError> {
    let moved = sqlx::query!(
        "update mirror set commits = commits + 1, generation = $1, tip_block_id = $2,
             inbox_watermark = $3, origin = $4
         where writer_epoch = $5 and commits = $6",
        to.generation,
        to.tip_block_id,
        to.inbox_watermark,
        to.origin.as_ref().map(|o| o.as_bytes()),
        from.epoch,
        from.commits
    )
    .execute(tx)
    .await
    .map_err(StoreError::db("move the watermark"))?;
    if moved.rows_affected() != 1 {
        return Err(StoreError::Moved);
    }
    Ok(())
}

async fn insert_principals(
    tx: &mut PgConnection,
    principals: &[(i32, String)],
) -> Result<(), StoreError> {
    if principals.is_empty() {
        return Ok(());
    }
    let (ids, names): (Vec<i32>, Vec<String>) = principals.iter().cloned().unzip();
    sqlx::query!(
        "insert into principal (id, name) select * from unnest($1::integer[], $2::text[])",
        &ids,
        &names
    )
    .execute(tx)
    .await
    .map_err(StoreError::db("add principals"))?;
    Ok(())
}

async fn insert_burn_blocks(
    tx: &mut PgConnection,
    blocks: &[(BurnBlock, i64)],
) -> Result<(), StoreError> {
    for (block, inbox_id) in blocks {
        sqlx::query!(
            "insert into burn_block (hash, height, parent, consensus_hash, inbox_id)
             values ($1, $2, $3, $4, $5) on conflict do nothing",
            block.hash.as_bytes(),
            int(block.height),
            block.parent.as_ref().map(|h| h.as_bytes()),
            block.consensus_hash.as_ref().map(|h| h.as_bytes()),
            inbox_id
        )
        .execute(&mut *tx)
        .await
        .map_err(StoreError::db("add a Bitcoin block"))?;
    }
    Ok(())
}

/// One array a column: a single statement inserts any number of rows.
macro_rules! column {
    ($rows:expr, |$row:pat_param| $value:expr) => {
        $rows.iter().map(|$row| $value).collect::<Vec<_>>()
    };
}

async fn insert_blocks(tx: &mut PgConnection, blocks: &[BlockRows]) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into block (id, index_block_hash, parent, height, block_hash, block_time,
             burn_block_hash, burn_block_height, burn_block_time, consensus_hash, burn_view, miner_txid,
             tenure_height, listed_transactions, listed_events, rows_digest, digest, inbox_id)
         select * from unnest($1::bigint[], $2::bytea[], $3::bytea[], $4::integer[], $5::bytea[],
             $6::bigint[], $7::bytea[], $8::integer[], $9::bigint[], $10::bytea[], $11::bytea[],
             $12::bytea[], $13::integer[], $14::integer[], $15::integer[], $16::bytea[], $17::bytea[],
             $18::bigint[])",
        &column!(blocks, |b| b.id),
        &column!(blocks, |b| b.block.header.id.0.to_vec()),
        &column!(blocks, |b| b.block.header.parent.0.to_vec()),
        &column!(blocks, |b| int(b.block.header.height)),
        &column!(blocks, |b| b.block.header.block_hash.0.to_vec()),
        &column!(blocks, |b| b.block.header.block_time.map(long)) as &[Option<i64>],
        &column!(blocks, |b| b.block.header.burn_block_hash.0.to_vec()),
        &column!(blocks, |b| int(b.block.header.burn_block_height)),
        &column!(blocks, |b| long(b.block.header.burn_block_time)),
        &column!(blocks, |b| b.block.header.consensus_hash.map(|h| h.0.to_vec())) as &[Option<Vec<u8>>],
        &column!(blocks, |b| b.block.header.burn_view.map(|h| h.0.to_vec())) as &[Option<Vec<u8>>],
        &column!(blocks, |b| b.block.header.miner_txid.map(|t| t.0.to_vec())) as &[Option<Vec<u8>>],
        &column!(blocks, |b| b.block.header.tenure_height.map(int)) as &[Option<i32>],
        &column!(blocks, |b| int(b.block.listed_transactions)),
        &column!(blocks, |b| int(b.block.listed_events)),
        &column!(blocks, |b| b.rows_digest.0.to_vec()),
        &column!(blocks, |b| b.digest.0.to_vec()),
        &column!(blocks, |b| b.inbox_id),
    )
    .execute(tx)
    .await
    .map_err(StoreError::db("add blocks"))?;
    Ok(())
}

async fn insert_transactions(
    tx: &mut PgConnection,
    blocks: &[BlockRows],
    number: &(dyn Fn(&str) -> Option<i32> + Sync),
) -> Result<(), StoreError> {
    let rows: Vec<_> = blocks
        .iter()
        .flat_map(|b| b.block.transactions.iter().map(move |t| (b, t)))
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    let named = |name: &Option<String>| name.as_deref().and_then(number);
    sqlx::query!(
        "insert into transaction (block_id, tx_index, height, txid, kind, status, sender, sponsor,
             contract, nonce, fee, function, raw_tx, raw_result, burnchain_op, vm_error)
         select block_id, tx_index, height, txid, kind, status, sender, sponsor, contract,
             nonce::numeric, fee::numeric, function, raw_tx, raw_result, burnchain_op, vm_error
         from unnest($1::bigint[], $2::integer[], $3::integer[], $4::bytea[], $5::text[], $6::text[],
             $7::integer[], $8::integer[], $9::integer[], $10::text[], $11::text[], $12::text[],
             $13::bytea[], $14::bytea[], $15::text[], $16::text[])
           as t (block_id, tx_index, height, txid, kind, status, sender, sponsor, contract, nonce, fee,
             function, raw_tx, raw_result, burnchain_op, vm_error)",
        &column!(rows, |(b, _)| b.id),
        &column!(rows, |(_, t)| int(t.tx_index)),
        &column!(rows, |(b, _)| int(b.block.header.height)),
        &column!(rows, |(_, t)| t.txid.0.to_vec()),
        &column!(rows, |(_, t)| t.kind.as_str().to_owned()),
        &column!(rows, |(_, t)| t.status.as_str().to_owned()),
        &column!(rows, |(_, t)| named(&t.sender)) as &[Option<i32>],
        &column!(rows, |(_, t)| named(&t.sponsor)) as &[Option<i32>],
        &column!(rows, |(_, t)| named(&t.contract)) as &[Option<i32>],
        &column!(rows, |(_, t)| t.nonce.map(|n| n.to_string())) as &[Option<String>],
        &column!(rows, |(_, t)| t.fee.map(|n| n.to_string())) as &[Option<String>],
        &column!(rows, |(_, t)| t.function.clone()) as &[Option<String>],
        &column!(rows, |(_, t)| t.raw_tx.clone()),
        &column!(rows, |(_, t)| t.raw_result.clone()),
        &column!(rows, |(_, t)| t.burnchain_op.clone()) as &[Option<String>],
        &column!(rows, |(_, t)| t.vm_error.clone()) as &[Option<String>],
    )
    .execute(tx)
    .await
    .map_err(StoreError::db("add transactions"))?;
    Ok(())
}

async fn insert_events(
    tx: &mut PgConnection,
    blocks: &[BlockRows],
    number: &(dyn Fn(&str) -> Option<i32> + Sync),
) -> Result<(), StoreError> {
    let rows: Vec<_> = blocks
        .iter()
        .flat_map(|b| b.block.events.iter().map(move |e| (b, e)))
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    let named = |name: &Option<String>| name.as_deref().and_then(number);
    sqlx::query!(
        "insert into event (block_id, tx_index, ordinal, height, kind, contract, sender, recipient,
             amount, unlock_height, asset, topic, value)
         select block_id, tx_index, ordinal, height, kind, contract, sender, recipient,
             amount::numeric, unlock_height::numeric, asset, topic, value
         from unnest($1::bigint[], $2::integer[], $3::integer[], $4::integer[], $5::smallint[],
             $6::integer[], $7::integer[], $8::integer[], $9::text[], $10::text[], $11::text[],
             $12::text[], $13::bytea[])
           as e (block_id, tx_index, ordinal, height, kind, contract, sender, recipient, amount,
             unlock_height, asset, topic, value)",
        &column!(rows, |(b, _)| b.id),
        &column!(rows, |(_, e)| int(e.tx_index)),
        &column!(rows, |(_, e)| int(e.ordinal)),
        &column!(rows, |(b, _)| int(b.block.header.height)),
        &column!(rows, |(_, e)| e.body.kind.code()),
        &column!(rows, |(_, e)| named(&e.body.contract)) as &[Option<i32>],
        &column!(rows, |(_, e)| named(&e.body.sender)) as &[Option<i32>],
        &column!(rows, |(_, e)| named(&e.body.recipient)) as &[Option<i32>],
        &column!(rows, |(_, e)| e.body.amount.map(|n| n.to_string())) as &[Option<String>],
        &column!(rows, |(_, e)| e.body.unlock_height.map(|n| n.to_string())) as &[Option<String>],
        &column!(rows, |(_, e)| e.body.asset.clone()) as &[Option<String>],
        &column!(rows, |(_, e)| e.body.topic.clone()) as &[Option<String>],
        &column!(rows, |(_, e)| e.body.value.clone()) as &[Option<Vec<u8>>],
    )
    .execute(tx)
    .await
    .map_err(StoreError::db("add events"))?;
    Ok(())
}

async fn insert_versions(
    tx: &mut PgConnection,
    from: &Position,
    blocks: &[BlockRows],
) -> Result<(), StoreError> {
    let rows: Vec<_> = blocks
        .iter()
        .flat_map(|b| b.change.versions.iter().map(move |v| (b, v)))
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "insert into projection_version (id, projection, block_id, height, position, entity, state)
         select $1 + ordinality - 1, projection, block_id, height, position, entity, state
         from unnest($2::smallint[], $3::bigint[], $4::integer[], $5::bigint[], $6::text[], $7::jsonb[])
           with ordinality as v (projection, block_id, height, position, entity, state, ordinality)",
        from.next_version_id,
        &column!(rows, |(_, v)| v.projection),
        &column!(rows, |(b, _)| b.id),
        &column!(rows, |(b, _)| int(b.block.header.height)),
        &column!(rows, |(_, v)| long(v.position)),
        &column!(rows, |(_, v)| v.entity.clone()),
        &column!(rows, |(_, v)| v.state.clone()),
    )
    .execute(tx)
    .await
    .map_err(StoreError::db("add projection versions"))?;
    Ok(())
}

async fn move_pointer(tx: &mut PgConnection, pointer: &Pointer) -> Result<(), StoreError> {
    if pointer.unwinds {
        sqlx::query!(
            "delete from canonical where height > $1::bigint",
            pointer.above
        )
        .execute(&mut *tx)
        .await
        .map_err(StoreError::db("unwind the canonical chain"))?;
    }
    let (heights, ids): (Vec<i32>, Vec<i64>) = pointer.blocks.iter().copied().unzip();
    sqlx::query!(
        "insert into canonical (height, block_id) select * from unnest($1::integer[], $2::bigint[])",
        &heights,
        &ids
    )
    .execute(&mut *tx)
    .await
    .map_err(StoreError::db("extend the canonical chain"))?;
    // Each entity that a switched block touches points at its newest canonical version, or goes.
    sqlx::query!(
        "with touched as (
             select distinct projection, entity from projection_version where block_id = any ($1)
         ), newest as (
             select t.projection, t.entity, n.id
             from touched t left join lateral (
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
        &pointer.switched
    )
    .execute(tx)
    .await
    .map_err(StoreError::db("move the projection pointers"))?;
    Ok(())
}

async fn insert_reorgs(tx: &mut PgConnection, reorgs: &[ReorgRow]) -> Result<(), StoreError> {
    for r in reorgs {
        sqlx::query!(
            "insert into reorg (generation, cause, ancestor, ancestor_height, old_tip, old_tip_height,
                 new_tip, new_tip_height, depth, left_final)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
            r.generation,
            if r.by_burn { "burn" } else { "stacks" },
            r.ancestor.as_ref().map(|a| a.id.as_bytes()),
            r.ancestor.map(|a| int(a.height)),
            r.old_tip.id.as_bytes(),
            int(r.old_tip.height),
            r.new_tip.id.as_bytes(),
            int(r.new_tip.height),
            r.depth,
            r.left_final
        )
        .execute(&mut *tx)
        .await
        .map_err(StoreError::db("record a reorg"))?;
    }
    Ok(())
}

async fn insert_outbox(tx: &mut PgConnection, rows: &[OutboxRow]) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "insert into outbox (generation, kind, block_id)
         select * from unnest($1::bigint[], $2::text[], $3::bigint[])",
        &column!(rows, |r| r.generation),
        &column!(rows, |r| if r.applied { "applied" } else { "retracted" }
            .to_owned()),
        &column!(rows, |r| r.block_id),
    )
    .execute(tx)
    .await
    .map_err(StoreError::db("fill the outbox"))?;
    Ok(())
}

async fn write_mempool(tx: &mut PgConnection, mempool: &Mempool) -> Result<(), StoreError> {
    if !mempool.seen.is_empty() {
        sqlx::query!(
            "insert into mempool_sighting (txid, inbox_id, first_seen)
             select txid, inbox_id, to_timestamp(us / 1000000.0)
             from unnest($1::bytea[], $2::bigint[], $3::bigint[]) as s (txid, inbox_id, us)
             on conflict do nothing",
            &column!(mempool.seen, |s| s.0.0.to_vec()),
            &column!(mempool.seen, |s| s.1),
            &column!(mempool.seen, |s| s.2),
        )
        .execute(&mut *tx)
        .await
        .map_err(StoreError::db("note mempool transactions"))?;
    }
    for (drop, us) in &mempool.dropped {
        sqlx::query!(
            "update mempool_sighting
             set dropped_at = to_timestamp($1::bigint / 1000000.0), drop_reason = $2, replaced_by = $3
             where txid = any ($4)",
            us,
            drop.reason,
            drop.replaced_by.as_ref().map(|t| t.as_bytes()),
            &column!(drop.txids, |t| t.0.to_vec()),
        )
        .execute(&mut *tx)
        .await
        .map_err(StoreError::db("note dropped transactions"))?;
    }
    Ok(())
}

async fn update_inbox(tx: &mut PgConnection, rows: &[InboxUpdate]) -> Result<(), StoreError> {
    sqlx::query!(
        "update inbox i set state = u.state, error = u.error, index_block_hash = u.block,
             parent_index_block_hash = u.parent, block_height = u.height
         from unnest($1::bigint[], $2::smallint[], $3::bytea[], $4::bytea[], $5::text[], $6::integer[])
           as u (id, state, block, parent, error, height)
         where i.id = u.id",
        &column!(rows, |u| u.id),
        &column!(rows, |u| u.state as i16),
        &column!(rows, |u| u.block.map(|b| b.0.id.0.to_vec())) as &[Option<Vec<u8>>],
        &column!(rows, |u| u.block.map(|b| b.1.0.to_vec())) as &[Option<Vec<u8>>],
        &column!(rows, |u| u.error.clone()) as &[Option<String>],
        &column!(rows, |u| u.block.map(|b| int(b.0.height))) as &[Option<i32>],
    )
    .execute(tx)
    .await
    .map_err(StoreError::db("mark inbox rows"))?;
    Ok(())
}
