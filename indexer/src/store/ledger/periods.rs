//! Closed periods, one by one.

use serde::Serialize;
use sqlx::PgConnection;
use utoipa::ToSchema;

use crate::store::StoreError;

/// A closed period, without its statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Period {
    /// Its number, from 1.
    pub period: i32,
    /// Its first Stacks height.
    pub from_height: i32,
    /// Its last.
    pub until_height: i32,
    /// The block there.
    pub until_block: String,
    /// Unix seconds of that block's Bitcoin block.
    pub until_time: i64,
    /// Journals when it was closed.
    pub head_count: i64,
    /// Hash of the last of them.
    pub head_hash: String,
    /// Seal of the period before; zeros for the first.
    pub prev_seal: String,
    /// SHA-256 over all that and the statement.
    pub seal: String,
    /// Ed25519 public key of who signed the seal; null where nobody did.
    pub public_key: Option<String>,
    /// The signature over the 32 bytes of the seal.
    pub signature: Option<String>,
    /// When it was closed, Unix seconds.
    pub sealed_at: i64,
}

macro_rules! period_query {
    ($tail:literal $(, $args:expr)*) => {
        sqlx::query_as!(
            Period,
            r#"select number as "period!", from_height, until_height,
                   '0x' || encode(until_block, 'hex') as "until_block!", until_time, head_count,
                   '0x' || encode(head_hash, 'hex') as "head_hash!", '0x' || encode(prev_seal, 'hex') as "prev_seal!",
                   '0x' || encode(seal, 'hex') as "seal!", '0x' || encode(public_key, 'hex') as public_key,
                   '0x' || encode(signature, 'hex') as signature, sealed_at_us / 1000000 as "sealed_at!"
               from period_seal "# + $tail
            $(, $args)*
        )
    };
}

/// Closed periods, the newest first, below a number; and whether there are more.
///
/// # Errors
/// When the database fails.
pub async fn page(
    connection: &mut PgConnection,
    below: i32,
    limit: u32,
) -> Result<(Vec<Period>, bool), StoreError> {
    let mut rows = period_query!(
        "where number < $1 order by number desc limit $2",
        below,
        i64::from(limit) + 1
    )
    .fetch_all(connection)
    .await
    .map_err(StoreError::db("read closed periods"))?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = rows.len() > limit;
    rows.truncate(limit);
    Ok((rows, more))
}

/// A closed period with its statement, as sealed; none if it is not closed.
///
/// # Errors
/// When the database fails.
pub async fn one(
    connection: &mut PgConnection,
    number: i32,
) -> Result<Option<(Period, String)>, StoreError> {
    let found = period_query!("where number = $1", number)
        .fetch_optional(&mut *connection)
        .await
        .map_err(StoreError::db("read a closed period"))?;
    let Some(period) = found else {
        return Ok(None);
    };
    let statement = sqlx::query_scalar!(
        "select statement from period_seal where number = $1",
        number
    )
    .fetch_one(connection)
    .await
    .map_err(StoreError::db("read a statement"))?;
    Ok(Some((period, statement)))
}
