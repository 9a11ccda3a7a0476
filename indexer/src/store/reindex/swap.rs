//! Recomputed rows in, stored rows out, and back: each in one transaction that moves the mirror's position.
//!
//! The mirror's row is locked first, as by every commit of the writer, so that nothing is committed in between. A
//! writer that runs finds the position moved, loads it anew and goes on; its epoch stays.

use serde_json::Value;
use sqlx::{PgConnection, PgPool};

use super::super::StoreError;
use super::super::commit::move_watermark;
use super::super::load::{self, Position};
use super::exchange::{
    add_principals, chain_new_blocks, entities_of, follow_digests, install, keep, point, put_back,
    remove,
};
use super::{finish, rules};
use crate::project::EntityKey;

/// What a swap or an undo came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Swapped {
    /// Done: blocks whose rows were exchanged, and blocks above of which only the digest was.
    Done {
        /// The run whose rows were exchanged.
        job: i64,
        /// Blocks.
        blocks: i64,
        /// Digests of blocks above.
        digests: i64,
    },
    /// Nothing was changed, for this reason.
    Refused(String),
}

/// Begins, waits a little for the writer's commit, and holds the mirror's row.
async fn begin(
    pool: &PgPool,
) -> Result<(sqlx::Transaction<'static, sqlx::Postgres>, Position), StoreError> {
    let mut tx = super::super::begin(pool, "begin")
        .await
        .map_err(StoreError::db("begin"))?;
    sqlx::query!("set local lock_timeout = '30s'")
        .execute(&mut *tx)
        .await
        .map_err(StoreError::db("limit the wait for the writer"))?;
    sqlx::query!("select only_row from mirror for update")
        .fetch_one(&mut *tx)
        .await
        .map_err(StoreError::db("hold the mirror's position"))?;
    let position = load::position(&mut tx).await?;
    Ok((tx, position))
}

async fn moved(tx: &mut PgConnection, from: &Position) -> Result<(), StoreError> {
    let to = Position {
        generation: from.generation + 1,
        ..from.clone()
    };
    move_watermark(tx, from, &to).await
}

/// Blocks of a run that were selected: local numbers of all of them, and of those whose rows are exchanged.
async fn selected(tx: &mut PgConnection, job: i64) -> Result<(Vec<i64>, Vec<i64>), StoreError> {
    let rows = sqlx::query!(
        "select block_id, whole from reindex_block where job_id = $1 and selected order by block_id",
        job
    )
    .fetch_all(tx)
    .await
    .map_err(StoreError::db("read the selected blocks"))?;
    let whole = rows
        .iter()
        .filter(|r| r.whole)
        .map(|r| r.block_id)
        .collect();
    Ok((rows.iter().map(|r| r.block_id).collect(), whole))
}

/// Selected blocks that are not there any more, or are others: a rebuild numbers them anew.
async fn strangers(tx: &mut PgConnection, job: i64) -> Result<i64, StoreError> {
    sqlx::query_scalar!(
        r#"select count(*) as "count!" from reindex_block r
           where r.job_id = $1 and r.selected and not exists (
               select from block b where b.id = r.block_id and b.index_block_hash = r.index_block_hash)"#,
        job
    )
    .fetch_one(tx)
    .await
    .map_err(StoreError::db("look the selected blocks up"))
}

/// Swaps the selected blocks' rows, the digests that follow, and the pointers that refer to them; `pointers` are
/// further entities to be pointed anew. What was there is kept until the next swap.
///
/// # Errors
/// When the database fails; nothing is changed then.
pub async fn apply(
    pool: &PgPool,
    job: i64,
    under: &Value,
    pointers: &[EntityKey],
) -> Result<Swapped, StoreError> {
    let (mut tx, position) = begin(pool).await?;
    if rules(&mut *tx).await?.as_ref() != Some(under) {
        let reason = "what is followed, or by which rules, has changed since the comparison began";
        return Ok(Swapped::Refused(reason.to_owned()));
    }
    let strangers = strangers(&mut tx, job).await?;
    if strangers > 0 {
        return Ok(Swapped::Refused(format!(
            "{strangers} of the blocks are not in the mirror any more, which was rebuilt meanwhile"
        )));
    }
    let (all, whole) = selected(&mut tx, job).await?;
    let mut entities = entities_of(&mut tx, &whole).await?;
    keep(&mut tx, job, &all, &whole).await?;
    add_principals(&mut tx, job, &position).await?;
    remove(&mut tx, &whole).await?;
    install(&mut tx, job, &position).await?;
    let digests = follow_digests(&mut tx, job).await?;
    entities.extend(entities_of(&mut tx, &whole).await?);
    entities.extend(pointers.iter().cloned());
    point(&mut tx, entities).await?;
    sqlx::query!(
        "update reindex_block set fingerprint = block_fingerprint(block_id) where job_id = $1 and selected",
        job
    )
    .execute(&mut *tx)
    .await
    .map_err(StoreError::db("note how the swap left the blocks"))?;
    sqlx::query!(
        "update reindex_job set newest_block_id = $2 where id = $1",
        job,
        position.next_block_id - 1
    )
    .execute(&mut *tx)
    .await
    .map_err(StoreError::db("note the newest block"))?;
    moved(&mut tx, &position).await?;
    let blocks = i64::try_from(all.len()).unwrap_or(i64::MAX);
    let result = format!(
        "{blocks} blocks exchanged, {digests} digests above them, {} pointers looked at besides",
        pointers.len()
    );
    finish(&mut tx, job, "applied", &result).await?;
    tx.commit()
        .await
        .map_err(StoreError::db("commit the swap"))?;
    Ok(Swapped::Done {
        job,
        blocks,
        digests,
    })
}

/// Puts back what the last swap replaced, if nothing has moved over it since. The mirror is then as wrong as before.
///
/// # Errors
/// When the database fails; nothing is changed then.
pub async fn undo(pool: &PgPool) -> Result<Swapped, StoreError> {
    let refused = |reason: String| Ok(Swapped::Refused(reason));
    let (mut tx, position) = begin(pool).await?;
    let last = sqlx::query!(
        "select id, rules, newest_block_id from reindex_job j
         where state = 'applied' and exists (select from reindex_row r where r.job_id = j.id and r.replaced)
         order by id desc limit 1"
    )
    .fetch_optional(&mut *tx)
    .await
    .map_err(StoreError::db("look for the last swap"))?;
    let Some(last) = last else {
        return refused("there is no swap whose replaced rows are still kept".to_owned());
    };
    let job = last.id;
    if rules(&mut *tx).await? != Some(last.rules) || strangers(&mut tx, job).await? > 0 {
        return refused(format!("the mirror was rebuilt since run {job}"));
    }
    let touched = sqlx::query_scalar!(
        "select height from reindex_block where job_id = $1 and selected
             and fingerprint is distinct from block_fingerprint(block_id) order by height limit 1",
        job
    )
    .fetch_optional(&mut *tx)
    .await
    .map_err(StoreError::db("compare the blocks with what the swap left"))?;
    if let Some(height) = touched {
        return refused(format!(
            "rows of a block at height {height} have changed since run {job} put them there"
        ));
    }
    let (all, whole) = selected(&mut tx, job).await?;
    let taken = sqlx::query_scalar!(
        r#"select count(*) as "count!" from reindex_row r
           join projection_version v on v.id = (r.content ->> 'id')::bigint
           where r.job_id = $1 and r.replaced and r.relation = 'projection_version' and v.block_id <> all ($2)"#,
        job,
        &whole
    )
    .fetch_one(&mut *tx)
    .await
    .map_err(StoreError::db("look for numbers that were taken"))?;
    if taken > 0 {
        return refused(format!(
            "{taken} replaced versions have lost their numbers to newer ones since run {job}"
        ));
    }
    let mut entities = entities_of(&mut tx, &whole).await?;
    remove(&mut tx, &whole).await?;
    let digests = put_back(&mut tx, job).await?;
    let newest = last.newest_block_id.unwrap_or(i64::MAX);
    chain_new_blocks(&mut tx, job, newest).await?;
    entities.extend(entities_of(&mut tx, &whole).await?);
    point(&mut tx, entities).await?;
    sqlx::query!("delete from reindex_row where job_id = $1", job)
        .execute(&mut *tx)
        .await
        .map_err(StoreError::db("forget the replaced rows"))?;
    moved(&mut tx, &position).await?;
    finish(&mut tx, job, "undone", "what it replaced was put back").await?;
    tx.commit()
        .await
        .map_err(StoreError::db("commit the undo"))?;
    let blocks = i64::try_from(all.len()).unwrap_or(i64::MAX);
    Ok(Swapped::Done {
        job,
        blocks,
        digests,
    })
}
