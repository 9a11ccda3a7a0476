//! Contracts: those that the mirror follows, and those with a state in the contracts' projections.

use sqlx::PgConnection;

use super::{ReadError, Rows, collect};

/// Projection of the head of each contract's own event chain.
pub const CURSOR: &str = "contract_cursor";
/// Projection of what has happened at each contract.
pub const ACTIVITY: &str = "contract_activity";

/// A contract, and whether it is in the follow set.
#[derive(Debug)]
pub struct ContractRow {
    /// Its id.
    pub name: String,
    /// Named in the follow set, or covered by its `*`.
    pub followed: bool,
}

/// A page of contracts by name.
///
/// # Errors
/// When the database cannot be read.
pub async fn page(
    connection: &mut PgConnection,
    after: &str,
    limit: u32,
) -> Result<Rows<ContractRow>, ReadError> {
    // Each branch is cut on its own, so that a mirror of everything is not read from end to end.
    let rows = sqlx::query_as!(
        ContractRow,
        r#"
        with names as (
            (select f.name
             from mirror m cross join lateral jsonb_array_elements_text(m.follow -> 'contracts') as f (name)
             where f.name <> '*' and f.name > $1
             order by f.name limit $2)
            union
            (select k.entity from projection_current k
             where k.projection = (select id from projection where name = 'contract_activity') and k.entity > $1
             order by k.entity limit $2)
            union
            (select k.entity from projection_current k
             where k.projection = (select id from projection where name = 'contract_cursor') and k.entity > $1
             order by k.entity limit $2)
        )
        select n.name as "name!",
               m.follow -> 'contracts' ? n.name or m.follow -> 'contracts' ? '*' as "followed!"
        from names n
        cross join mirror m
        order by n.name
        limit $2
        "#,
        after,
        i64::from(limit) + 1,
    )
    .fetch(connection);
    collect(rows, limit, |_| 0)
        .await
        .map_err(ReadError::reading("contracts"))
}

/// Is this contract in the follow set by its own name, or by `*`?
///
/// # Errors
/// When the database cannot be read.
pub async fn followed(
    connection: &mut PgConnection,
    contract: &str,
) -> Result<Followed, ReadError> {
    sqlx::query_as!(
        Followed,
        r#"
        select coalesce(follow -> 'contracts' ? $1, false) as "by_name!",
               coalesce(follow -> 'contracts' ? '*', false) as "by_wildcard!"
        from mirror
        "#,
        contract,
    )
    .fetch_one(connection)
    .await
    .map_err(ReadError::reading("the follow set"))
}

/// How the follow set covers a contract.
#[derive(Debug)]
pub struct Followed {
    /// It is named.
    pub by_name: bool,
    /// Every contract is followed.
    pub by_wildcard: bool,
}
