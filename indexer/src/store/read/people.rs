//! Users: lists of them, their projects counted, and the badges that they had.

use sqlx::PgConnection;

use super::projection::VersionRow;
use super::{Hex, ReadError, Uint, Ulong};

/// Users that one page reads at most.
const WINDOW: i64 = 5_000;
/// Projects of a user that are counted at most.
pub const COUNTED: i64 = 10_000;

/// Which users, and where the page begins.
#[derive(Debug, Clone, Default)]
pub struct UserFilter {
    /// As of this canonical height.
    pub at: i32,
    /// Of this contract.
    pub contract: Option<String>,
    /// Who was settled with.
    pub freelancer: bool,
    /// Who opened a project.
    pub client: bool,
    /// Whose handle begins so: a pattern of `like`.
    pub handle: Option<String>,
    /// Behind this name only.
    pub after: String,
    /// At most this many.
    pub limit: u32,
}

/// A page of users.
#[derive(Debug)]
pub struct UserPage {
    /// The users.
    pub rows: Vec<VersionRow>,
    /// Where the next page begins; none at the end.
    pub next: Option<String>,
}

/// A user, or only the place up to which the page has looked.
struct Row {
    entity: String,
    state: Option<String>,
    block: Option<Hex>,
    height: Option<Uint>,
    burn_block_height: Option<Uint>,
    position: Option<Ulong>,
    last: bool,
}

impl Row {
    fn version(self) -> Option<VersionRow> {
        Some(VersionRow {
            projection: "profiles".to_owned(),
            entity: self.entity,
            state: self.state?,
            block: self.block?,
            height: self.height?,
            burn_block_height: self.burn_block_height?,
            position: self.position?,
        })
    }
}

macro_rules! users_query {
    ($base:literal, $f:expr) => {
        sqlx::query_as!(
            Row,
            r#"
            select w.entity as "entity!", v.state::text as state, b.index_block_hash as "block?: Hex",
                   v.height as "height?: Uint", b.burn_block_height as "burn_block_height?: Uint",
                   v.position as "position?: Ulong", w.n = $8 as "last!"
            from (
                select g.entity, row_number() over (order by g.entity) as n
                from ("# + $base + r#") g
            ) w
            left join lateral (
                select n.state, n.height, n.position, n.block_id
                from (
                    select v.state, v.height, v.position, v.block_id
                    from projection_version v
                    join canonical c on c.block_id = v.block_id
                    where v.projection = 12 and v.entity = w.entity and v.height <= $1
                    order by v.height desc, v.position desc
                    limit 1
                ) n
                where ($3::text is null or n.state ->> 'handle' like $3)
                  and (not $5::boolean or (n.state ->> 'settled')::numeric > 0)
                  and (not $6::boolean or exists (
                      select from projection_version o
                      join canonical c on c.block_id = o.block_id
                      where o.projection = 10 and o.state ->> 'client' = n.state ->> 'user' and o.height <= $1))
            ) v on true
            left join block b on b.id = v.block_id
            where v.state is not null or w.n = $8
            order by w.entity
            limit $7
            "#,
            $f.at,
            $f.after,
            $f.handle.as_deref(),
            $f.contract.as_deref(),
            $f.freelancer,
            $f.client,
            i64::from($f.limit) + 1,
            WINDOW,
        )
    };
}

/// A page of users by contract and name.
///
/// # Errors
/// When the database cannot be read.
pub async fn page(
    connection: &mut PgConnection,
    filter: &UserFilter,
) -> Result<UserPage, ReadError> {
    let found = if filter.handle.is_some() {
        users_query!(
            "select distinct h.entity from projection_version h
             where h.projection = 12 and h.state ->> 'handle' is not null and h.state ->> 'handle' like $3
               and h.entity > $2 and ($4::text is null or starts_with(h.entity, $4 || '/'))
             order by h.entity
             limit $8",
            filter
        )
        .fetch_all(connection)
        .await
    } else {
        users_query!(
            "select k.entity from projection_current k
             where k.projection = 12 and k.entity > $2 and ($4::text is null or starts_with(k.entity, $4 || '/'))
             order by k.entity
             limit $8",
            filter
        )
        .fetch_all(connection)
        .await
    };
    let mut rows = found.map_err(ReadError::reading("users"))?;
    let limit = usize::try_from(filter.limit).unwrap_or(usize::MAX);
    let more = rows.len() > limit || rows.last().is_some_and(|row| row.last);
    rows.truncate(limit);
    Ok(UserPage {
        next: rows.last().filter(|_| more).map(|row| row.entity.clone()),
        rows: rows.into_iter().filter_map(Row::version).collect(),
    })
}

/// How many projects a user has in a part and a status.
#[derive(Debug, PartialEq, Eq)]
pub struct PartCount {
    /// `client` or `freelancer`.
    pub part: String,
    /// The status.
    pub status: String,
    /// Projects.
    pub count: i64,
}

/// A user's projects by part and status, of the escrow of a deployment; of the first [`COUNTED`] candidates.
///
/// # Errors
/// When the database cannot be read.
pub async fn project_counts(
    connection: &mut PgConnection,
    escrow: &str,
    user: &str,
    at: i32,
) -> Result<Vec<PartCount>, ReadError> {
    sqlx::query_as!(
        PartCount,
        r#"
        select p.part as "part!", v.state ->> 'status' as "status!", count(*) as "count!"
        from (
            select g.entity from (
                select o.entity from projection_version o where o.projection = 10 and o.state ->> 'client' = $2
                union
                select o.entity from projection_version o where o.projection = 10 and o.state ->> 'freelancer' = $2
            ) g
            where split_part(g.entity, '/', 1) = $1
            limit $4
        ) w
        cross join lateral (
            select v.state
            from projection_version v
            join canonical c on c.block_id = v.block_id
            where v.projection = 10 and v.entity = w.entity and v.height <= $3
            order by v.height desc, v.position desc
            limit 1
        ) v
        cross join lateral (values ('client'), ('freelancer')) p (part)
        where v.state ->> p.part = $2
        group by 1, 2
        order by 1, 2
        "#,
        escrow,
        user,
        at,
        COUNTED,
    )
    .fetch_all(connection)
    .await
    .map_err(ReadError::reading("a user's projects"))
}

/// A badge that a user had at some time, and who has it now.
#[derive(Debug, PartialEq, Eq)]
pub struct HeldBadge {
    /// Its number.
    pub id: Ulong,
    /// Its kind.
    pub kind: Ulong,
    /// Does the user have it at the height?
    pub held: bool,
}

/// Badges that a user had at a canonical height or below: what is not held any more can never be earned again.
///
/// # Errors
/// When the database cannot be read.
pub async fn badges_had(
    connection: &mut PgConnection,
    contract: &str,
    user: &str,
    at: i32,
) -> Result<Vec<HeldBadge>, ReadError> {
    sqlx::query_as!(
        HeldBadge,
        r#"
        select (n.state ->> 'id')::bigint as "id!: Ulong", (n.state ->> 'kind')::bigint as "kind!: Ulong",
               coalesce(n.state ->> 'owner' = $2, false) as "held!"
        from (
            select distinct v.entity
            from projection_version v
            join canonical c on c.block_id = v.block_id
            where v.projection = 13 and v.state ->> 'owner' = $2 and v.height <= $3
              and split_part(v.entity, '/', 1) = $1
        ) w
        cross join lateral (
            select v.state
            from projection_version v
            join canonical c on c.block_id = v.block_id
            where v.projection = 13 and v.entity = w.entity and v.height <= $3
            order by v.height desc, v.position desc
            limit 1
        ) n
        order by 1
        limit 1000
        "#,
        contract,
        user,
        at,
    )
    .fetch_all(connection)
    .await
    .map_err(ReadError::reading("a user's badges"))
}
