//! The chain's side of assets, badges and users: states at a block of any fork, in the order of their bytes.

use sqlx::PgConnection;

use super::mirror::{Standing, StateRow};
use crate::store::StoreError;
use crate::store::read::market::{BADGES, PROFILES};

/// A page of states, and where the next one begins; none at the end.
#[derive(Debug, Default)]
pub struct StatePage {
    /// States, by name.
    pub rows: Vec<StateRow>,
    /// The last name looked at, while there are more.
    pub next: Option<String>,
}

/// A page of a projection's entities whose names begin with a prefix, by name, as of a block.
///
/// # Errors
/// When the database fails.
pub async fn states(
    connection: &mut PgConnection,
    projection: i16,
    prefix: &str,
    at: &Standing,
    after: &str,
    limit: i64,
) -> Result<StatePage, StoreError> {
    // Names are ASCII: what begins with the prefix lies before the prefix with a last byte that no name has.
    let (after, end) = (after.max(prefix), format!("{prefix}\u{7f}"));
    let rows = sqlx::query!(
        r#"
        select n.entity as "entity!", v.state::text as "state?"
        from (
            (select k.entity collate "C" as entity from projection_current k
             where k.projection = $1 and k.entity collate "C" > $2 and k.entity collate "C" < $3
             order by 1 limit $6)
            union
            select w.entity collate "C" from projection_version w
            where w.block_id = any($4) and w.projection = $1
              and w.entity collate "C" > $2 and w.entity collate "C" < $3
        ) n
        left join lateral (
            select v.state
            from projection_version v left join canonical c on c.block_id = v.block_id
            where v.projection = $1 and v.entity = n.entity
              and (v.block_id = any($4) or (c.block_id is not null and v.height <= $5))
            order by v.height desc, v.position desc limit 1
        ) v on true
        order by n.entity collate "C" limit $6
        "#,
        projection,
        after,
        end,
        &at.fork,
        at.canonical_to,
        limit,
    )
    .fetch_all(connection)
    .await
    .map_err(StoreError::db("read states by name"))?;
    let is_full = i64::try_from(rows.len()).is_ok_and(|n| n >= limit);
    let next = rows.last().filter(|_| is_full).map(|r| r.entity.clone());
    let rows = rows.into_iter().filter_map(|row| {
        let (entity, state) = (row.entity, row.state?);
        Some(StateRow { entity, state })
    });
    Ok(StatePage {
        rows: rows.collect(),
        next,
    })
}

/// States by name, as of a block; what was not there then is left out.
///
/// # Errors
/// When the database fails.
pub async fn states_named(
    connection: &mut PgConnection,
    projection: i16,
    entities: &[String],
    at: &Standing,
) -> Result<Vec<StateRow>, StoreError> {
    sqlx::query_as!(
        StateRow,
        r#"
        select n.entity as "entity!", v.state::text as "state!"
        from (select distinct e collate "C" as entity from unnest($2::text[]) as e) n
        cross join lateral (
            select v.state
            from projection_version v left join canonical c on c.block_id = v.block_id
            where v.projection = $1 and v.entity = n.entity
              and (v.block_id = any($3) or (c.block_id is not null and v.height <= $4))
            order by v.height desc, v.position desc limit 1
        ) v
        order by n.entity
        "#,
        projection,
        entities,
        &at.fork,
        at.canonical_to,
    )
    .fetch_all(connection)
    .await
    .map_err(StoreError::db("read states by name"))
}

/// A page of everybody who ever had a badge, on any fork, by address.
///
/// # Errors
/// When the database fails.
pub async fn holders(
    connection: &mut PgConnection,
    after: &str,
    limit: i64,
) -> Result<Vec<String>, StoreError> {
    sqlx::query_scalar!(
        r#"
        select distinct coalesce(state ->> 'owner', state ->> 'native_owner') collate "C" as "holder!"
        from projection_version
        where projection = 13 and coalesce(state ->> 'owner', state ->> 'native_owner') collate "C" > $1
        order by 1 limit $2
        "#,
        after,
        limit
    )
    .fetch_all(connection)
    .await
    .map_err(StoreError::db("read who has badges"))
}

/// Everything that one of these ever had among the badges of a contract, as of a block.
///
/// # Errors
/// When the database fails.
pub async fn badges_of(
    connection: &mut PgConnection,
    contract: &str,
    holders: &[String],
    at: &Standing,
) -> Result<Vec<StateRow>, StoreError> {
    let entities = sqlx::query_scalar!(
        r#"
        select distinct entity from projection_version
        where projection = 13 and split_part(entity, '/', 1) = $2
          and coalesce(state ->> 'owner', state ->> 'native_owner') collate "C" = any($1)
        "#,
        holders,
        contract
    )
    .fetch_all(&mut *connection)
    .await
    .map_err(StoreError::db("read the badges of some users"))?;
    states_named(connection, BADGES.id, &entities, at).await
}

/// Everybody who ever had one of these badges, on any fork.
///
/// # Errors
/// When the database fails.
pub async fn holders_of(
    connection: &mut PgConnection,
    entities: &[String],
) -> Result<Vec<String>, StoreError> {
    sqlx::query_scalar!(
        r#"
        select distinct coalesce(state ->> 'owner', state ->> 'native_owner') as "holder!"
        from projection_version
        where projection = 13 and entity = any($1) and coalesce(state ->> 'owner', state ->> 'native_owner') is not null
        "#,
        entities
    )
    .fetch_all(connection)
    .await
    .map_err(StoreError::db("read who had some badges"))
}

/// Users of a contract whose X account ceased to be attested between two Bitcoin heights, the first included.
///
/// # Errors
/// When the database fails.
pub async fn expired(
    connection: &mut PgConnection,
    contract: &str,
    heights: (u32, u32),
    limit: i64,
) -> Result<Vec<String>, StoreError> {
    sqlx::query_scalar!(
        "select k.entity from projection_current k join projection_version v on v.id = k.version_id
         where k.projection = $1 and split_part(k.entity, '/', 1) = $2
           and (v.state -> 'x' ->> 'expires')::numeric >= $3::bigint
           and (v.state -> 'x' ->> 'expires')::numeric < $4::bigint
         order by k.entity limit $5",
        PROFILES.id,
        contract,
        i64::from(heights.0),
        i64::from(heights.1),
        limit
    )
    .fetch_all(connection)
    .await
    .map_err(StoreError::db("read whose attestation ended"))
}

/// A transaction as it stands at a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimedRow {
    /// Its identity.
    pub txid: Vec<u8>,
    /// Height of its block.
    pub height: i32,
    /// The node's word for what came of it.
    pub status: String,
    /// The contract that it calls.
    pub contract: Option<String>,
    /// The function that it calls.
    pub function: Option<String>,
    /// The project that it opened.
    pub opened: Option<String>,
}

/// What some transactions came to, as of a block; those that are not in the chain there are left out.
///
/// # Errors
/// When the database fails.
pub async fn claimed(
    connection: &mut PgConnection,
    txids: &[Vec<u8>],
    at: &Standing,
) -> Result<Vec<ClaimedRow>, StoreError> {
    sqlx::query_as!(
        ClaimedRow,
        r#"
        select t.txid, t.height, t.status, p.name as "contract?", t.function,
               (select v.entity from projection_version v
                where v.block_id = t.block_id and v.projection = 10 and (v.position >> 32) = t.tx_index
                  and v.state ->> 'opened' = '0x' || encode(t.txid, 'hex')
                order by v.entity limit 1) as opened
        from transaction t
        left join canonical c on c.block_id = t.block_id
        left join principal p on p.id = t.contract
        where t.txid = any($1) and (t.block_id = any($2) or (c.block_id is not null and t.height <= $3))
        order by t.txid
        "#,
        txids,
        &at.fork,
        at.canonical_to,
    )
    .fetch_all(connection)
    .await
    .map_err(StoreError::db("read what came of transactions"))
}
