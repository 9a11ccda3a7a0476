//! Milestones of all projects that are disputed, offered to be settled, or settled.

use sqlx::PgConnection;

use super::{Order, ReadError, Rows, Uint, Ulong};

/// Projects that one page reads at most.
const WINDOW: i64 = 2_000;

/// What milestones are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The arbiter was called, and has perhaps ruled.
    Disputed,
    /// A live offer to settle.
    Offered,
    /// Money has left the escrow.
    Settled,
}

impl Stage {
    fn as_str(self) -> &'static str {
        match self {
            Self::Disputed => "disputed",
            Self::Offered => "offered",
            Self::Settled => "settled",
        }
    }
}

/// Which milestones, and where the page begins.
#[derive(Debug, Clone)]
pub struct MilestoneFilter {
    /// As of this canonical height.
    pub at: i32,
    /// Which of them.
    pub stage: Stage,
    /// Of this contract.
    pub contract: Option<String>,
    /// Of projects with this arbiter.
    pub arbiter: Option<String>,
    /// Of projects with this client, freelancer or arbiter.
    pub participant: Option<String>,
    /// Settled for this reason.
    pub cause: Option<String>,
    /// Settled, or not yet.
    pub settled: Option<bool>,
    /// By contract and number, which is by time within a contract.
    pub order: Order,
    /// Behind this project and milestone only.
    pub after: (String, i32),
    /// At most this many.
    pub limit: u32,
}

/// A milestone, with its project.
#[derive(Debug)]
pub struct MilestoneRow {
    /// `CONTRACT/NUMBER` of the project.
    pub entity: String,
    /// Number of the milestone; none where the page ended early behind this project.
    pub m: Option<i64>,
    /// The project's state, JSON.
    pub state: Option<String>,
    /// Height at which it came into this stage.
    pub height: Option<Uint>,
    /// Bitcoin height of that block.
    pub burn_block_height: Option<Uint>,
    /// Clock of that block, unix seconds.
    pub time: Option<Ulong>,
    /// The project is the last that the page looks at.
    pub last: bool,
}

macro_rules! stage_query {
    ([$($base:literal),+], $compare:literal, $direction:literal, $f:expr) => {
        sqlx::query_as!(
            MilestoneRow,
            r#"
            select w.entity as "entity!", v.m, v.state::text as state, s.height as "height?: Uint",
                   s.burn_block_height as "burn_block_height?: Uint", s.time as "time?: Ulong", w.n = $10 as "last!"
            from ("# $(+ $base)+ + r#") w
            left join lateral (
                select n.state, (ms.value ->> 'm')::bigint as m, ms.value
                from (
                    select n.state
                    from projection_version n
                    join canonical c on c.block_id = n.block_id
                    where n.projection = 10 and n.entity = w.entity and n.height <= $1
                    order by n.height desc, n.position desc
                    limit 1
                ) n
                cross join lateral jsonb_array_elements(n.state -> 'milestones') ms
                where case $2::text
                          when 'disputed' then ms.value ->> 'disputed_by' is not null
                          when 'offered' then ms.value ->> 'offer' is not null
                          else ms.value ->> 'settled' is not null
                      end
                  and ($4::text is null or n.state ->> 'arbiter' = $4)
                  and ($5::text is null or $5 in (n.state ->> 'client', n.state ->> 'freelancer', n.state ->> 'arbiter'))
                  and ($6::text is null or ms.value ->> 'cause' = $6)
                  and ($7::boolean is null or $7 = (ms.value ->> 'settled' is not null))
                  and (w.entity <> $8::text or (ms.value ->> 'm')::bigint "# + $compare + r#" $9::integer)
            ) v on true
            left join lateral (
                select d.height, b.burn_block_height, coalesce(b.block_time, b.burn_block_time) as time
                from projection_version d
                join canonical c on c.block_id = d.block_id
                join block b on b.id = d.block_id
                where d.projection = 10 and d.entity = w.entity and d.height <= $1
                  and case $2
                          when 'disputed' then d.state -> 'milestones' -> (v.m - 1)::integer ->> 'disputed_by' is not null
                          when 'offered' then d.state -> 'milestones' -> (v.m - 1)::integer -> 'offer' = v.value -> 'offer'
                          else d.state -> 'milestones' -> (v.m - 1)::integer ->> 'settled' is not null
                      end
                order by d.height, d.position
                limit 1
            ) s on true
            where v.m is not null or w.n = $10
            order by w.contract "# + $direction + ", w.len " + $direction
                + ", w.entity " + $direction + ", v.m " + $direction + " limit $11",
            $f.at,
            $f.stage.as_str(),
            $f.contract.as_deref(),
            $f.arbiter.as_deref(),
            $f.participant.as_deref(),
            $f.cause.as_deref(),
            $f.settled,
            $f.after.0.as_str(),
            $f.after.1,
            WINDOW,
            i64::from($f.limit) + 1,
        )
    };
}

macro_rules! every_query {
    ($from:literal, $compare:literal, $direction:literal, $f:expr) => {
        stage_query!(
            [
                "select k.entity, split_part(k.entity, '/', 1) as contract, length(k.entity) as len, row_number() over (order by split_part(k.entity, '/', 1)",
                $direction,
                ", length(k.entity)",
                $direction,
                ", k.entity",
                $direction,
                ") as n from ",
                $from,
                " where k.projection = 10 and ($3::text is null or split_part(k.entity, '/', 1) = $3)
                  and ($8 = '' or (split_part(k.entity, '/', 1), length(k.entity), k.entity) ",
                $compare,
                "= (split_part($8, '/', 1), length($8), $8))
                 order by split_part(k.entity, '/', 1)",
                $direction,
                ", length(k.entity)",
                $direction,
                ", k.entity",
                $direction,
                "limit $10"
            ],
            $compare,
            $direction,
            $f
        )
    };
}

/// Projects that were ever in dispute, on any fork, once each.
macro_rules! disputed_query {
    ($compare:literal, $direction:literal, $f:expr) => {
        stage_query!(
            [
                "select g.entity, g.contract, g.len, row_number() over (order by g.contract",
                $direction,
                ", g.len",
                $direction,
                ", g.entity",
                $direction,
                ") as n from (
                 select distinct split_part(k.entity, '/', 1) as contract, length(k.entity) as len, k.entity
                 from projection_version k
                 where k.projection = 10 and k.state @> '{\"milestones\": [{\"status\": \"disputed\"}]}'
                   and ($3::text is null or split_part(k.entity, '/', 1) = $3)
                   and ($8 = '' or (split_part(k.entity, '/', 1), length(k.entity), k.entity)",
                $compare,
                "= (split_part($8, '/', 1), length($8), $8))
                 order by 1",
                $direction,
                ", 2",
                $direction,
                ", 3",
                $direction,
                "limit $10) g"
            ],
            $compare,
            $direction,
            $f
        )
    };
}

/// A page of milestones by project and number. The last row may have no milestone: the page looked that far, and
/// there may be more.
///
/// # Errors
/// When the database cannot be read.
pub async fn page(
    connection: &mut PgConnection,
    filter: &MilestoneFilter,
) -> Result<Rows<MilestoneRow>, ReadError> {
    let found = match (filter.stage, filter.order) {
        (Stage::Disputed, Order::Asc) => {
            disputed_query!(">", " ", filter)
                .fetch_all(connection)
                .await
        }
        (Stage::Disputed, Order::Desc) => {
            disputed_query!("<", " desc ", filter)
                .fetch_all(connection)
                .await
        }
        (_, Order::Asc) => {
            every_query!("projection_current k", ">", " ", filter)
                .fetch_all(connection)
                .await
        }
        (_, Order::Desc) => {
            every_query!("projection_current k", "<", " desc ", filter)
                .fetch_all(connection)
                .await
        }
    };
    let mut rows = found.map_err(ReadError::reading("milestones"))?;
    let limit = usize::try_from(filter.limit).unwrap_or(usize::MAX);
    let more = rows.len() > limit || rows.last().is_some_and(|row| row.last);
    rows.truncate(limit);
    Ok(Rows { rows, more })
}
