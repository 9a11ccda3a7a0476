//! What the mirror knows of attestations: who may give them, and which X accounts are taken.

use sqlx::PgConnection;

use crate::store::StoreError;

/// Rows of either kind that are read at most.
const ROWS: i64 = 20_000;

/// An X account that a user has by an attestation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnerRow {
    /// Hash of the account's name, `0x` and hexadecimal.
    pub hash: String,
    /// Who has it.
    pub user: String,
    /// Last burn height for which it holds, decimal.
    pub expires: String,
}

/// Who may attest now, by address. `data` is the contract that keeps profiles.
///
/// # Errors
/// When the database fails.
pub async fn attestors(
    connection: &mut PgConnection,
    data: &str,
) -> Result<Vec<String>, StoreError> {
    sqlx::query_scalar!(
        r#"select substr(k.entity, length($1::text) + length('/attestor-set/') + 1) as "who!"
           from projection_current k join projection_version v on v.id = k.version_id
           where k.projection = (select id from projection where name = 'settings')
             and starts_with(k.entity, $1::text || '/attestor-set/') and (v.state #>> '{value,on}')::boolean
           order by 1 limit $2"#,
        data,
        ROWS
    )
    .fetch_all(connection)
    .await
    .map_err(StoreError::db("read who may attest"))
}

/// Who has the X accounts with these hashes now.
///
/// # Errors
/// When the database fails.
pub async fn owners(
    connection: &mut PgConnection,
    data: &str,
    hashes: &[String],
) -> Result<Vec<OwnerRow>, StoreError> {
    sqlx::query_as!(
        OwnerRow,
        r#"select v.state #>> '{x,handle_hash}' as "hash!",
               substr(k.entity, length($1::text) + 2) as "user!", coalesce(v.state #>> '{x,expires}', '0') as "expires!"
           from projection_current k join projection_version v on v.id = k.version_id
           where k.projection = (select id from projection where name = 'profiles')
             and starts_with(k.entity, $1::text || '/') and v.state #>> '{x,handle_hash}' = any($2)
           order by 1, 2 limit $3"#,
        data,
        hashes,
        ROWS
    )
    .fetch_all(connection)
    .await
    .map_err(StoreError::db("read who has an X account"))
}
