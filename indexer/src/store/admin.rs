//! The log of administrative actions: appended to in the transaction of the change that is described.

use serde_json::Value;
use sqlx::{PgConnection, PgPool};

use super::StoreError;
use super::read::{ReadError, Rows, Ulong, collect};
use crate::model::access::Caller;

/// Begins a transaction for a change and the line that describes it.
///
/// # Errors
/// When the database cannot be reached.
pub async fn begin(
    pool: &PgPool,
) -> Result<sqlx::Transaction<'static, sqlx::Postgres>, StoreError> {
    super::begin(pool, "begin")
        .await
        .map_err(StoreError::db("begin an administrative action"))
}

/// Notes who did what, in the transaction of the change itself: one is never there without the other.
/// `action` is `thing.verb` in lower case. Neither `before` nor `after` may hold a secret.
///
/// # Errors
/// When the database refuses.
pub async fn record(
    transaction: &mut PgConnection,
    caller: &Caller,
    action: &str,
    target: &str,
    before: Option<&Value>,
    after: Option<&Value>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into admin_action (actor, kind, role, action, target, before, after)
         values ($1, $2, $3, $4, $5, $6, $7)",
        caller.name,
        caller.kind.as_str(),
        caller.role.as_str(),
        action,
        target,
        before,
        after,
    )
    .execute(transaction)
    .await
    .map_err(StoreError::db("note an administrative action"))?;
    Ok(())
}

/// Something that was done.
#[derive(Debug)]
pub struct ActionRow {
    /// Its number.
    pub id: Ulong,
    /// RFC 3339.
    pub at: String,
    /// Who.
    pub actor: String,
    /// How the actor was known.
    pub kind: String,
    /// What the actor was allowed.
    pub role: String,
    /// What was done.
    pub action: String,
    /// To what.
    pub target: String,
    /// The target before.
    pub before: Option<Value>,
    /// The target after.
    pub after: Option<Value>,
}

/// Which actions, and from where.
#[derive(Debug, Default)]
pub struct ActionFilter {
    /// By whom.
    pub actor: Option<String>,
    /// What was done.
    pub action: Option<String>,
    /// To what.
    pub target: Option<String>,
    /// Only older ones than this number.
    pub below: i64,
    /// At most so many.
    pub limit: u32,
}

/// A page of actions, newest first.
///
/// # Errors
/// When the database cannot be read.
pub async fn page(
    connection: &mut PgConnection,
    filter: &ActionFilter,
) -> Result<Rows<ActionRow>, ReadError> {
    let rows = sqlx::query_as!(
        ActionRow,
        r#"
        select id as "id!: Ulong",
               to_char(at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as "at!",
               actor, kind, role, action, target, before, after
        from admin_action
        where id < $1
          and ($2::text is null or actor = $2)
          and ($3::text is null or action = $3)
          and ($4::text is null or target = $4)
        order by id desc
        limit $5
        "#,
        filter.below,
        filter.actor,
        filter.action,
        filter.target,
        i64::from(filter.limit) + 1,
    )
    .fetch(connection);
    let bytes = |row: &ActionRow| {
        let of = |value: &Option<Value>| value.as_ref().map_or(0, |v| v.to_string().len());
        of(&row.before) + of(&row.after)
    };
    collect(rows, filter.limit, bytes)
        .await
        .map_err(ReadError::reading("the log of administrative actions"))
}
