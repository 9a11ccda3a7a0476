//! Projects in any order: by number, opening, last change or amount.
//!
//! A page reads at most [`WINDOW`] candidates of its order, whatever the filters are: behind a rare filter it may
//! be short, or empty, and still go on. A party's projects are few as a rule and are then read by name.

use serde_json::Value;
use sqlx::PgConnection;

use super::market::{Part, candidates};
use super::projection::VersionRow;
use super::{Hex, Order, ReadError, Uint, Ulong};

/// Candidates that one page reads at most.
pub const WINDOW: i64 = 5_000;

/// What projects are ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sort {
    /// Contract and number.
    #[default]
    Number,
    /// Place of the event that opened it.
    Opened,
    /// Place of its last change.
    Updated,
    /// Amount, then the opening.
    Total,
}

/// Place of a project in an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectKey {
    /// `CONTRACT/NUMBER`.
    pub entity: String,
    /// Its amount where that is the order, else 0.
    pub total: String,
    /// Height of the opening or of the last change.
    pub height: i32,
    /// Position there.
    pub position: i64,
}

/// Which projects, in which order, and where the page begins.
#[derive(Debug, Clone)]
pub struct ProjectFilter {
    /// As of this canonical height.
    pub at: i32,
    /// Of this contract.
    pub contract: Option<String>,
    /// States that contain this JSON.
    pub matching: Option<Value>,
    /// Someone who is client, freelancer or arbiter.
    pub participant: Option<String>,
    /// Who has which part; a hint for what `matching` and `participant` say as well.
    pub parts: Vec<(Part, String)>,
    /// Lowest height of the opening.
    pub opened_from: i32,
    /// Highest height of the opening.
    pub opened_to: i32,
    /// Least amount, digits.
    pub least: String,
    /// Greatest amount, digits.
    pub most: String,
    /// The order.
    pub sort: Sort,
    /// Its direction.
    pub order: Order,
    /// Behind this one only.
    pub after: Option<ProjectKey>,
    /// At most this many.
    pub limit: u32,
}

/// A project of a page, or only the place up to which the page has looked.
struct Row {
    entity: String,
    state: Option<String>,
    block: Option<Hex>,
    height: Option<Uint>,
    burn_block_height: Option<Uint>,
    position: Option<Ulong>,
    last: bool,
    key_total: String,
    key_height: i32,
    key_position: i64,
}

impl Row {
    fn key(&self) -> ProjectKey {
        ProjectKey {
            entity: self.entity.clone(),
            total: self.key_total.clone(),
            height: self.key_height,
            position: self.key_position,
        }
    }

    fn version(self) -> Option<VersionRow> {
        Some(VersionRow {
            projection: "projects".to_owned(),
            entity: self.entity,
            state: self.state?,
            block: self.block?,
            height: self.height?,
            burn_block_height: self.burn_block_height?,
            position: self.position?,
        })
    }
}

/// A page of projects.
#[derive(Debug)]
pub struct ProjectPage {
    /// The projects.
    pub rows: Vec<VersionRow>,
    /// Where the next page begins; none at the end.
    pub next: Option<ProjectKey>,
}

/// The state at a height and what chooses among states. `$1` height, `$2` contract, `$3` JSON, `$4` participant,
/// `$5` and `$6` opening, `$7` and `$8` amount.
macro_rules! walk_query {
    ([$($base:literal),+], $also:literal, [$($order:literal),+], $f:expr, $($args:expr),*) => {
        sqlx::query_as!(
            Row,
            r#"
            select w.entity as "entity!", v.state::text as state, b.index_block_hash as "block?: Hex",
                   v.height as "height?: Uint", b.burn_block_height as "burn_block_height?: Uint",
                   v.position as "position?: Ulong", w.n = $9 as "last!",
                   w.total::text as "key_total!", w.height as "key_height!", w.position as "key_position!"
            from ("# $(+ $base)+ + r#") w
            left join lateral (
                select n.state, n.height, n.position, n.block_id
                from (
                    select n.state, n.height, n.position, n.block_id
                    from projection_version n
                    join canonical c on c.block_id = n.block_id
                    where n.projection = 10 and n.entity = w.entity and n.height <= $1
                    order by n.height desc, n.position desc
                    limit 1
                ) n
                where ($2::text is null or split_part(w.entity, '/', 1) = $2)
                  and ($3::jsonb is null or n.state @> $3)
                  and ($4::text is null or $4 in (n.state ->> 'client', n.state ->> 'freelancer', n.state ->> 'arbiter'))
                  and (n.state ->> 'opened_height')::integer between $5 and $6
                  and (n.state ->> 'total')::numeric between $7::text::numeric and $8::text::numeric
                "# + $also + r#"
            ) v on true
            left join block b on b.id = v.block_id
            where v.state is not null or w.n = $9
            "# $(+ $order)+ + " limit $10",
            $f.at,
            $f.contract.as_deref(),
            $f.matching.as_ref(),
            $f.participant.as_deref(),
            $f.opened_from,
            $f.opened_to,
            $f.least.as_str(),
            $f.most.as_str(),
            WINDOW,
            i64::from($f.limit) + 1,
            $($args),*
        )
    };
}

/// Entities in which every named party may have a part; none when they are many.
async fn few(
    connection: &mut PgConnection,
    filter: &ProjectFilter,
) -> Result<Option<Vec<String>>, ReadError> {
    let mut chosen = None;
    for part in &filter.parts {
        let Some(found) = candidates(&mut *connection, 10, part).await? else {
            continue;
        };
        if chosen
            .as_ref()
            .is_none_or(|c: &Vec<String>| found.len() < c.len())
        {
            chosen = Some(found.into_iter().collect());
        }
    }
    if chosen.is_none()
        && let Some(who) = &filter.participant
    {
        let mut all = std::collections::BTreeSet::new();
        for part in [Part::Client, Part::Freelancer, Part::Arbiter] {
            match candidates(&mut *connection, 10, &(part, who.clone())).await? {
                Some(found) => all.extend(found),
                None => return Ok(None),
            }
        }
        chosen = Some(all.into_iter().collect());
    }
    Ok(chosen)
}

/// A page of projects, each with its state at a canonical height.
///
/// # Errors
/// When the database cannot be read.
pub async fn page(
    connection: &mut PgConnection,
    filter: &ProjectFilter,
) -> Result<ProjectPage, ReadError> {
    let found = match few(&mut *connection, filter).await? {
        Some(names) => named(connection, filter, &names).await,
        None => match filter.sort {
            Sort::Number => by_number(connection, filter).await,
            Sort::Opened => by_opening(connection, filter).await,
            Sort::Updated => by_change(connection, filter).await,
            Sort::Total => by_total(connection, filter).await,
        },
    };
    let mut found = found.map_err(ReadError::reading("projects"))?;
    let limit = usize::try_from(filter.limit).unwrap_or(usize::MAX);
    let mut next = None;
    if found.len() > limit {
        found.truncate(limit);
        next = found.last().map(Row::key);
    } else if let Some(last) = found.last().filter(|row| row.last) {
        // The window is full: there may be more behind it.
        next = Some(last.key());
    }
    Ok(ProjectPage {
        rows: found.into_iter().filter_map(Row::version).collect(),
        next,
    })
}

/// Parts of the key that a comparison takes: entity, amount, height, position; beyond every one at the start.
fn start(filter: &ProjectFilter) -> (String, String, i32, i64) {
    match (&filter.after, filter.order) {
        (Some(key), _) => (
            key.entity.clone(),
            key.total.clone(),
            key.height,
            key.position,
        ),
        (None, Order::Asc) => (String::new(), "-1".to_owned(), -1, -1),
        // Above 2^128.
        (None, Order::Desc) => (String::new(), format!("{}0", u128::MAX), i32::MAX, i64::MAX),
    }
}

macro_rules! by_number_query {
    ($compare:literal, $direction:literal, $f:expr, $after:expr) => {
        walk_query!(
            [
                "select k.entity, 0::numeric as total, 0 as height, 0::bigint as position, row_number() over (order by split_part(k.entity, '/', 1)",
                $direction,
                ", length(k.entity)",
                $direction,
                ", k.entity",
                $direction,
                ") as n
                 from projection_current k
                 where k.projection = 10
                   and ($11::text is null or (split_part(k.entity, '/', 1), length(k.entity), k.entity)",
                $compare,
                "(split_part($11, '/', 1), length($11), $11))
                   and ($2::text is null or split_part(k.entity, '/', 1) = $2)
                 order by split_part(k.entity, '/', 1)",
                $direction,
                ", length(k.entity)",
                $direction,
                ", k.entity",
                $direction,
                "limit $9"
            ],
            "",
            [
                "order by split_part(w.entity, '/', 1)",
                $direction,
                ", length(w.entity)",
                $direction,
                ", w.entity",
                $direction
            ],
            $f,
            $after
        )
    };
}

async fn by_number(
    connection: &mut PgConnection,
    filter: &ProjectFilter,
) -> Result<Vec<Row>, sqlx::Error> {
    // Numbers have no leading zeros, so the longer name of two is the higher number.
    let after = filter.after.as_ref().map(|key| key.entity.as_str());
    match filter.order {
        Order::Asc => {
            by_number_query!(" > ", " ", filter, after)
                .fetch_all(connection)
                .await
        }
        Order::Desc => {
            by_number_query!(" < ", " desc ", filter, after)
                .fetch_all(connection)
                .await
        }
    }
}

/// Projects in the order of places, of the versions that a condition chooses.
macro_rules! by_place_query {
    ($compare:literal, $direction:literal, $which:literal, $also:literal, $f:expr, $height:expr, $position:expr) => {
        walk_query!(
            [
                "select o.entity, 0::numeric as total, o.height, o.position, row_number() over (order by o.height",
                $direction,
                ", o.position",
                $direction,
                ") as n
                 from projection_version o
                 join canonical c on c.block_id = o.block_id
                 where o.projection = 10 and o.height <= $1 and (o.height, o.position)",
                $compare,
                "($11::integer, $12::bigint)",
                $which,
                "order by o.height",
                $direction,
                ", o.position",
                $direction,
                "limit $9"
            ],
            $also,
            ["order by w.height", $direction, ", w.position", $direction],
            $f,
            $height,
            $position
        )
    };
}

async fn by_opening(
    connection: &mut PgConnection,
    filter: &ProjectFilter,
) -> Result<Vec<Row>, sqlx::Error> {
    let (_, _, height, position) = start(filter);
    match filter.order {
        Order::Asc => {
            by_place_query!(
                " > ", " ",
                " and (o.state ->> 'opened_height')::integer = o.height and o.state ->> 'status' = 'open'
                  and o.height between $5 and $6 ",
                "", filter, height, position
            )
            .fetch_all(connection)
            .await
        }
        Order::Desc => {
            by_place_query!(
                " < ", " desc ",
                " and (o.state ->> 'opened_height')::integer = o.height and o.state ->> 'status' = 'open'
                  and o.height between $5 and $6 ",
                "", filter, height, position
            )
            .fetch_all(connection)
            .await
        }
    }
}

async fn by_change(
    connection: &mut PgConnection,
    filter: &ProjectFilter,
) -> Result<Vec<Row>, sqlx::Error> {
    let (_, _, height, position) = start(filter);
    match filter.order {
        Order::Asc => {
            by_place_query!(
                " > ",
                " ",
                " ",
                "and n.height = w.height and n.position = w.position",
                filter,
                height,
                position
            )
            .fetch_all(connection)
            .await
        }
        Order::Desc => {
            by_place_query!(
                " < ",
                " desc ",
                " ",
                "and n.height = w.height and n.position = w.position",
                filter,
                height,
                position
            )
            .fetch_all(connection)
            .await
        }
    }
}

macro_rules! by_total_query {
    ($compare:literal, $direction:literal, $f:expr, $total:expr, $height:expr, $position:expr) => {
        walk_query!(
            [
                "select o.entity, (o.state ->> 'total')::numeric as total, o.height, o.position,
                        row_number() over (order by (o.state ->> 'total')::numeric",
                $direction,
                ", o.height",
                $direction,
                ", o.position",
                $direction,
                ") as n
                 from projection_version o
                 join canonical c on c.block_id = o.block_id
                 where o.projection = 10 and o.height <= $1
                   and (o.state ->> 'opened_height')::integer = o.height and o.state ->> 'status' = 'open'
                   and (o.state ->> 'total')::numeric between $7::text::numeric and $8::text::numeric
                   and ((o.state ->> 'total')::numeric, o.height, o.position)",
                $compare,
                "($11::text::numeric, $12::integer, $13::bigint)
                 order by (o.state ->> 'total')::numeric",
                $direction,
                ", o.height",
                $direction,
                ", o.position",
                $direction,
                "limit $9"
            ],
            "",
            [
                "order by w.total",
                $direction,
                ", w.height",
                $direction,
                ", w.position",
                $direction
            ],
            $f,
            $total,
            $height,
            $position
        )
    };
}

async fn by_total(
    connection: &mut PgConnection,
    filter: &ProjectFilter,
) -> Result<Vec<Row>, sqlx::Error> {
    let (_, total, height, position) = start(filter);
    match filter.order {
        Order::Asc => {
            by_total_query!(" > ", " ", filter, total, height, position)
                .fetch_all(connection)
                .await
        }
        Order::Desc => {
            by_total_query!(" < ", " desc ", filter, total, height, position)
                .fetch_all(connection)
                .await
        }
    }
}

/// Projects of these names: all of their places are looked up, and then put in order.
macro_rules! named_query {
    ($compare:literal, $direction:literal, $f:expr, $names:expr, $start:expr) => {{
        let (entity, total, height, position) = $start;
        let sort = match $f.sort {
            Sort::Number => "number",
            Sort::Opened => "opened",
            Sort::Updated => "updated",
            Sort::Total => "total",
        };
        walk_query!(
            [
                "select z.entity, z.total, z.height, z.position, 0::bigint as n
                 from (
                    select x.entity,
                           case $12::text when 'total' then (f.state ->> 'total')::numeric else 0 end as total,
                           case $12 when 'number' then 0 when 'updated' then l.height else f.height end as height,
                           case $12 when 'number' then 0 when 'updated' then l.position else f.position end as position
                    from unnest($11::text[]) x (entity)
                    cross join lateral (
                        select f.state, f.height, f.position
                        from projection_version f
                        join canonical c on c.block_id = f.block_id
                        where f.projection = 10 and f.entity = x.entity and f.height <= $1
                        order by f.height, f.position
                        limit 1
                    ) f
                    cross join lateral (
                        select l.height, l.position
                        from projection_version l
                        join canonical c on c.block_id = l.block_id
                        where l.projection = 10 and l.entity = x.entity and l.height <= $1
                        order by l.height desc, l.position desc
                        limit 1
                    ) l
                    where $12 in ('number', 'updated') or (f.state ->> 'opened_height')::integer = f.height
                 ) z
                 where case when $12 <> 'number' then (z.total, z.height, z.position)",
                $compare,
                "($14::text::numeric, $15::integer, $16::bigint)
                       when $13::text = '' then true
                       else (split_part(z.entity, '/', 1), length(z.entity), z.entity)",
                $compare,
                "(split_part($13, '/', 1), length($13), $13) end"
            ],
            "",
            [
                "order by w.total",
                $direction,
                ", w.height",
                $direction,
                ", w.position",
                $direction,
                ", split_part(w.entity, '/', 1)",
                $direction,
                ", length(w.entity)",
                $direction,
                ", w.entity",
                $direction
            ],
            $f,
            $names,
            sort,
            entity,
            total,
            height,
            position
        )
    }};
}

async fn named(
    connection: &mut PgConnection,
    filter: &ProjectFilter,
    names: &[String],
) -> Result<Vec<Row>, sqlx::Error> {
    match filter.order {
        Order::Asc => {
            named_query!(" > ", " ", filter, names, start(filter))
                .fetch_all(connection)
                .await
        }
        Order::Desc => {
            named_query!(" < ", " desc ", filter, names, start(filter))
                .fetch_all(connection)
                .await
        }
    }
}
