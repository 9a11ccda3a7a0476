//! What audits against a node came to, for a run to look at.

use sqlx::PgConnection;

use super::mirror::Standing;
use crate::store::StoreError;

/// The newest comparison of a part of the mirror with a node, at a block of the run's own chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditedRow {
    /// A projection's name, `balances`, `contract` or `block`.
    pub kind: String,
    /// Which.
    pub subject: String,
    /// The block, hexadecimal with 0x.
    pub block: String,
    /// Its height.
    pub height: i32,
    /// `agrees`, `differs` or `unavailable`.
    pub verdict: String,
    /// What differs, or why there is no answer.
    pub detail: Option<String>,
}

/// Results that differ, those of named subjects (kinds and subjects, side by side), and those that are newer than a
/// moment (Unix microseconds), at blocks of the run's chain; and the moment of the newest.
///
/// # Errors
/// When the database fails.
pub async fn results(
    connection: &mut PgConnection,
    at: &Standing,
    (kinds, subjects): (&[String], &[String]),
    since_us: i64,
    limit: i64,
) -> Result<Vec<AuditedRow>, StoreError> {
    sqlx::query_as!(
        AuditedRow,
        r#"
        select r.subject_kind as "kind!", r.subject as "subject!", '0x' || encode(r.index_block_hash, 'hex') as "block!", r.height as "height!",
               r.verdict as "verdict!", r.detail
        from (
            select subject_kind, subject, index_block_hash, height, verdict, detail, checked_at from audit_result
            union all
            select 'contract', contract, index_block_hash, height,
                   case verdict when 'proved' then 'agrees' when 'differs' then 'differs' else 'unavailable' end,
                   case when verdict = 'differs' then last_difference end, checked_at
            from cursor_proof where verdict <> 'no_cursor'
        ) r
        join block b on b.index_block_hash = r.index_block_hash
        left join canonical c on c.block_id = b.id
        where (b.id = any($1) or (c.block_id is not null and r.height <= $2))
          and (r.verdict = 'differs'
               or (r.subject_kind, r.subject) in (select * from unnest($3::text[], $4::text[]))
               or r.checked_at >= to_timestamp($5::bigint / 1000000.0))
        order by (r.verdict <> 'differs'),
                 (r.subject_kind, r.subject) not in (select * from unnest($3::text[], $4::text[])), r.subject_kind, r.subject limit $6
        "#,
        &at.fork,
        at.canonical_to,
        kinds,
        subjects,
        since_us,
        limit,
    )
    .fetch_all(connection)
    .await
    .map_err(StoreError::db("read the results of audits"))
}

/// When the newest audit was made, Unix microseconds; 0 for none.
///
/// # Errors
/// When the database fails.
pub async fn newest_us(connection: &mut PgConnection) -> Result<i64, StoreError> {
    sqlx::query_scalar!(
        r#"select coalesce((extract(epoch from max(at)) * 1000000)::bigint, 0) as "at!"
           from (select max(checked_at) as at from audit_result
                 union all select max(checked_at) from cursor_proof) as newest"#
    )
    .fetch_one(connection)
    .await
    .map_err(StoreError::db("read when the newest audit was made"))
}

/// Heights of the newest canonical changes of an entity, up to a height.
///
/// # Errors
/// When the database fails.
pub async fn changed_at(
    connection: &mut PgConnection,
    projection: &str,
    entity: &str,
    up_to: i32,
    limit: i64,
) -> Result<Vec<i32>, StoreError> {
    sqlx::query_scalar!(
        "select distinct v.height from projection_version v join canonical c on c.block_id = v.block_id
         where v.projection = (select id from projection where name = $1) and v.entity = $2 and v.height <= $3
         order by v.height desc limit $4",
        projection,
        entity,
        up_to,
        limit
    )
    .fetch_all(connection)
    .await
    .map_err(StoreError::db("read when an entity changed"))
}
