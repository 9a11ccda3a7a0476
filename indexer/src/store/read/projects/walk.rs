//! The statements: one for each order and direction, and one for projects that are known by name.

use sqlx::PgConnection;

use super::{ProjectFilter, Row, Sort, WINDOW};
use crate::store::read::{Hex, Order, Uint, Ulong};

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
                "select k.entity, split_part(k.entity, '/', 1) as contract, length(k.entity) as len, 0::numeric as total, 0 as height, 0::bigint as position, row_number() over (order by split_part(k.entity, '/', 1)",
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
                "order by w.contract",
                $direction,
                ", w.len",
                $direction,
                ", w.entity",
                $direction
            ],
            $f,
            $after
        )
    };
}

pub(super) async fn by_number(
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

pub(super) async fn by_opening(
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

pub(super) async fn by_change(
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

pub(super) async fn by_total(
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

pub(super) async fn named(
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
