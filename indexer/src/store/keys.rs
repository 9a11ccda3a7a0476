//! Keys of the API. Only a hash of each is here.

use serde_json::json;
use sqlx::{PgConnection, PgPool};

use super::{StoreError, admin};
use crate::model::access::{Caller, Role};

/// A key as it is stored.
#[derive(Debug, Clone)]
pub struct KeyRow {
    /// The public part.
    pub id: String,
    /// Whose.
    pub name: String,
    /// What its bearer may do.
    pub role: Role,
    /// SHA-256 of the secret.
    pub secret_sha256: Vec<u8>,
    /// Neither revoked nor expired, by the database's clock.
    pub is_valid: bool,
    /// Unix seconds at which it expires; none for never.
    pub expires_unix: Option<i64>,
}

/// A key as people see it.
#[derive(Debug, Clone)]
pub struct KeyInfo {
    /// The public part.
    pub id: String,
    /// Whose.
    pub name: String,
    /// What its bearer may do.
    pub role: String,
    /// RFC 3339.
    pub created_at: String,
    /// RFC 3339; none for never.
    pub expires_at: Option<String>,
    /// RFC 3339; none while in force.
    pub revoked_at: Option<String>,
    /// RFC 3339, to some minutes; none for never.
    pub last_used_at: Option<String>,
}

/// A key to be stored.
#[derive(Debug)]
pub struct NewKey<'a> {
    /// The public part.
    pub id: &'a str,
    /// Whose.
    pub name: &'a str,
    /// What its bearer may do.
    pub role: Role,
    /// SHA-256 of the secret.
    pub secret_sha256: &'a [u8],
    /// Seconds from now on after which it is not valid any more.
    pub expires_in_seconds: Option<i64>,
}

/// Stores a key, and that it was made.
///
/// # Errors
/// When the database refuses.
pub async fn create(pool: &PgPool, by: &Caller, key: &NewKey<'_>) -> Result<(), StoreError> {
    let mut transaction = admin::begin(pool).await?;
    let expires_at = sqlx::query_scalar!(
        r#"insert into api_key (id, name, role, secret_sha256, expires_at)
         values ($1, $2, $3, $4, clock_timestamp() + make_interval(secs => $5::bigint::double precision))
         returning to_char(expires_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')"#,
        key.id,
        key.name,
        key.role.as_str(),
        key.secret_sha256,
        key.expires_in_seconds,
    )
    .fetch_one(&mut *transaction)
    .await
    .map_err(StoreError::db("store a key"))?;
    let after = json!({ "name": key.name, "role": key.role, "expires_at": expires_at });
    admin::record(
        &mut transaction,
        by,
        "key.create",
        key.id,
        None,
        Some(&after),
    )
    .await?;
    transaction
        .commit()
        .await
        .map_err(StoreError::db("commit a key"))
}

/// What became of a wish to revoke a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revoked {
    /// It was in force, and is not any more.
    Now,
    /// It had been revoked before; nothing was changed.
    Before,
    /// There is no such key.
    Unknown,
}

/// Revokes a key, and notes it.
///
/// # Errors
/// When the database refuses.
pub async fn revoke(pool: &PgPool, by: &Caller, id: &str) -> Result<Revoked, StoreError> {
    let mut transaction = admin::begin(pool).await?;
    let found = sqlx::query!(
        r#"select name, role, revoked_at is not null as "revoked!" from api_key where id = $1 for no key update"#,
        id
    )
    .fetch_optional(&mut *transaction)
    .await
    .map_err(StoreError::db("find a key"))?;
    let Some(key) = found else {
        return Ok(Revoked::Unknown);
    };
    if key.revoked {
        return Ok(Revoked::Before);
    }
    sqlx::query!(
        "update api_key set revoked_at = clock_timestamp() where id = $1",
        id
    )
    .execute(&mut *transaction)
    .await
    .map_err(StoreError::db("revoke a key"))?;
    let state = |revoked: bool| json!({ "name": key.name, "role": key.role, "revoked": revoked });
    admin::record(
        &mut transaction,
        by,
        "key.revoke",
        id,
        Some(&state(false)),
        Some(&state(true)),
    )
    .await?;
    transaction
        .commit()
        .await
        .map_err(StoreError::db("commit that a key is revoked"))?;
    Ok(Revoked::Now)
}

/// Every key, the newest first, at most ten thousand.
///
/// # Errors
/// When the database cannot be read.
pub async fn list(pool: &PgPool) -> Result<Vec<KeyInfo>, StoreError> {
    sqlx::query_as!(
        KeyInfo,
        r#"select id, name, role,
                  to_char(created_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as "created_at!",
                  to_char(expires_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as expires_at,
                  to_char(revoked_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as revoked_at,
                  to_char(last_used_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as last_used_at
           from api_key order by created_at desc, id limit 10000"#
    )
    .fetch_all(pool)
    .await
    .map_err(StoreError::db("list the keys"))
}

/// A key by its public part.
///
/// # Errors
/// When the database cannot be read.
pub async fn find(connection: &mut PgConnection, id: &str) -> Result<Option<KeyRow>, StoreError> {
    let row = sqlx::query!(
        r#"select id, name, role, secret_sha256,
                  (revoked_at is null and (expires_at is null or expires_at > clock_timestamp())) as "is_valid!",
                  floor(extract(epoch from expires_at))::bigint as expires_unix
           from api_key where id = $1"#,
        id
    )
    .fetch_optional(connection)
    .await
    .map_err(StoreError::db("find a key"))?;
    row.map(|row| {
        Ok(KeyRow {
            id: row.id,
            name: row.name,
            role: row.role.parse().map_err(|_| StoreError::Corrupt {
                table: "api_key",
                detail: "a role that this version does not know".to_owned(),
            })?,
            secret_sha256: row.secret_sha256,
            is_valid: row.is_valid,
            expires_unix: row.expires_unix,
        })
    })
    .transpose()
}

/// Notes that a key was used.
///
/// # Errors
/// When the database refuses.
pub async fn touch(pool: &PgPool, id: &str) -> Result<(), StoreError> {
    sqlx::query!(
        "update api_key set last_used_at = clock_timestamp()
         where id = $1 and (last_used_at is null or last_used_at < clock_timestamp() - interval '1 minute')",
        id
    )
    .execute(pool)
    .await
    .map_err(StoreError::db("note the use of a key"))?;
    Ok(())
}
