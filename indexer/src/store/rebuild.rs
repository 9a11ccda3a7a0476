//! Beginning anew: everything that derives from the inbox is emptied, to be made again from it.

use sqlx::{PgConnection, PgPool};

use super::StoreError;
use super::commit::move_watermark;
use super::load::{self, Position};
use crate::model::canonical::DIGEST_RULES;
use crate::model::{FollowSet, IndexBlockHash};

/// Empties everything that derives from the inbox and marks every payload as not yet looked at.
/// `origin` is where the mirror begins from now on; none for the first block that comes.
///
/// # Errors
/// When another writer has taken over, or the database fails. Nothing changes then.
pub async fn rebuild(
    pool: &PgPool,
    from: &Position,
    origin: Option<IndexBlockHash>,
) -> Result<(), StoreError> {
    let mut tx = super::begin(pool, "begin")
        .await
        .map_err(StoreError::db("begin"))?;
    empty(&mut tx, from, origin).await?;
    tx.commit()
        .await
        .map_err(StoreError::db("commit the rebuild"))
}

/// The same for a mirror that is to follow something else, or elsewhere.
///
/// # Errors
/// When the database fails. Nothing changes then.
pub async fn rebuild_as(
    pool: &PgPool,
    network: &str,
    follow: &FollowSet,
) -> Result<(), StoreError> {
    let scope = follow.hash();
    let follow = load::follow_json(follow)?;
    let mut tx = super::begin(pool, "begin")
        .await
        .map_err(StoreError::db("begin"))?;
    let short = sqlx::query_scalar!(
        r#"select count(*) as "short!" from inbox where scope is not null and scope <> $1"#,
        &scope[..]
    )
    .fetch_one(&mut *tx)
    .await
    .map_err(StoreError::db("look for payloads that were cut down"))?;
    if short > 0 {
        return Err(StoreError::CutDown { payloads: short });
    }
    sqlx::query!(
        "insert into mirror (network, follow, digest_rules) values ($1, $2, $3)
         on conflict (only_row) do update set network = excluded.network, follow = excluded.follow,
             digest_rules = excluded.digest_rules, writer_epoch = mirror.writer_epoch + 1",
        network,
        follow,
        DIGEST_RULES
    )
    .execute(&mut *tx)
    .await
    .map_err(StoreError::db("adopt another follow set"))?;
    let from = load::position(&mut tx).await?;
    empty(&mut tx, &from, None).await?;
    sqlx::query!("delete from projection")
        .execute(&mut *tx)
        .await
        .map_err(StoreError::db("forget the projections"))?;
    tx.commit()
        .await
        .map_err(StoreError::db("commit the rebuild"))
}

async fn empty(
    tx: &mut PgConnection,
    from: &Position,
    origin: Option<IndexBlockHash>,
) -> Result<(), StoreError> {
    let to = Position {
        tip_block_id: None,
        inbox_watermark: 0,
        origin,
        ..from.clone()
    };
    move_watermark(tx, from, &to).await?;
    sqlx::query!("select empty_derived_tables($1)", from.epoch)
        .execute(&mut *tx)
        .await
        .map_err(StoreError::db("empty the derived tables"))?;
    sqlx::query!("update inbox set state = 0, error = null where state <> 0")
        .execute(tx)
        .await
        .map_err(StoreError::db("reset the inbox"))?;
    Ok(())
}
