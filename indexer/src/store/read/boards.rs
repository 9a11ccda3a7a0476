//! Scores of users, from the projections' own versions: what a user had at one height less what he had at another.

use sqlx::PgConnection;

use super::{Hex, ReadError};

/// A user's score.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScoreRow {
    /// The user.
    pub user: String,
    /// The score, digits.
    pub score: String,
}

/// What is scored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Measure {
    /// Base units earned in an asset, fee included.
    Earnings,
    /// Projects completed.
    Completions,
    /// Average of the stars received, times 100, cut.
    Ratings,
}

impl Measure {
    fn as_str(self) -> &'static str {
        match self {
            Self::Earnings => "earnings",
            Self::Completions => "completions",
            Self::Ratings => "ratings",
        }
    }
}

/// Between which states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Span {
    /// What was there at this canonical height does not count; -1 for nothing.
    pub after: i32,
    /// As of this canonical height.
    pub at: i32,
}

/// The last canonical block, at a height or below, that changed a user: what boards say of users is the same from
/// there on.
///
/// # Errors
/// When the database cannot be read.
pub async fn last_change(
    connection: &mut PgConnection,
    at: i32,
) -> Result<Option<(i32, Hex)>, ReadError> {
    let row = sqlx::query!(
        r#"
        select v.height, b.digest as "digest!: Hex"
        from projection_version v
        join canonical c on c.block_id = v.block_id
        join block b on b.id = v.block_id
        where v.projection = 12 and v.height <= $1
        order by v.height desc
        limit 1
        "#,
        at,
    )
    .fetch_optional(connection)
    .await
    .map_err(ReadError::reading("the last change of a user"))?;
    Ok(row.map(|row| (row.height, row.digest)))
}

/// Users with a score, best first, then by name; at most `limit`. `newest`: the span ends where the canonical chain
/// does, as far as users are concerned, so that the current states are the ones.
///
/// # Errors
/// When the database cannot be read.
pub async fn scores(
    connection: &mut PgConnection,
    contract: &str,
    measure: Measure,
    asset: &str,
    (span, newest): (Span, bool),
    limit: i64,
) -> Result<Vec<ScoreRow>, ReadError> {
    // Over all time every user is asked for; else those who did something in the span, by an index on heights.
    sqlx::query_as!(
        ScoreRow,
        r#"
        select substr(s.entity, length($1) + 2) as "user!", s.score::text as "score!"
        from (
            select u.entity,
                   case $2::text
                       when 'earnings' then coalesce((n.state -> 'earned' ->> $3)::numeric, 0)
                                          - coalesce((o.state -> 'earned' ->> $3)::numeric, 0)
                       when 'completions' then (n.state ->> 'completed')::numeric - coalesce((o.state ->> 'completed')::numeric, 0)
                       else div(100 * ((n.state ->> 'rating_sum')::numeric - coalesce((o.state ->> 'rating_sum')::numeric, 0)),
                                nullif((n.state ->> 'rating_count')::numeric - coalesce((o.state ->> 'rating_count')::numeric, 0), 0))
                   end as score
            from (
                select k.entity, k.version_id from projection_current k
                where k.projection = 12 and starts_with(k.entity, $1 || '/')
                  and ($4::integer < 0 or k.entity in (
                      select v.entity from projection_version v
                      where v.projection = 12 and v.height > $4 and v.height <= $5))
            ) u
            cross join lateral (
                select v.state from projection_version v where $7::boolean and v.id = u.version_id
                union all
                (select v.state
                 from projection_version v
                 join canonical c on c.block_id = v.block_id
                 where not $7 and v.projection = 12 and v.entity = u.entity and v.height <= $5
                 order by v.height desc, v.position desc
                 limit 1)
            ) n
            left join lateral (
                select v.state
                from projection_version v
                join canonical c on c.block_id = v.block_id
                where v.projection = 12 and v.entity = u.entity and v.height <= $4
                order by v.height desc, v.position desc
                limit 1
            ) o on true
        ) s
        where s.score > 0
        order by s.score desc, s.entity collate "C"
        limit $6
        "#,
        contract,
        measure.as_str(),
        asset,
        span.after,
        span.at,
        limit,
        newest,
    )
    .fetch_all(connection)
    .await
    .map_err(ReadError::reading("scores"))
}

/// Users by the weight of the badges that they have and that were minted in the span; best first, then by name.
/// `names` and `weights` go together; a kind of any other name weighs 1.
///
/// # Errors
/// When the database cannot be read.
pub async fn badge_scores(
    connection: &mut PgConnection,
    contract: &str,
    (names, weights): (&[String], &[i64]),
    span: Span,
    limit: i64,
) -> Result<Vec<ScoreRow>, ReadError> {
    sqlx::query_as!(
        ScoreRow,
        r#"
        select s.owner as "user!", sum(coalesce(w.weight, 1))::text as "score!"
        from (
            select n.state ->> 'owner' as owner, n.state ->> 'kind' as kind
            from projection_current k
            cross join lateral (
                select v.state
                from projection_version v
                join canonical c on c.block_id = v.block_id
                where v.projection = 13 and v.entity = k.entity and v.height <= $5
                order by v.height desc, v.position desc
                limit 1
            ) n
            where k.projection = 13 and split_part(k.entity, '/', 1) = $1
              and n.state ->> 'owner' is not null and (n.state ->> 'minted_height')::integer > $4
        ) s
        left join lateral (
            select v.state -> 'value' ->> 'name' as name
            from projection_version v
            join canonical c on c.block_id = v.block_id
            where v.projection = 16 and v.entity = $1 || '/kind-set/' || s.kind and v.height <= $5
            order by v.height desc, v.position desc
            limit 1
        ) k on true
        left join unnest($2::text[], $3::bigint[]) w (name, weight) on w.name = k.name
        group by s.owner
        order by sum(coalesce(w.weight, 1)) desc, s.owner collate "C"
        limit $6
        "#,
        contract,
        names,
        weights,
        span.after,
        span.at,
        limit,
    )
    .fetch_all(connection)
    .await
    .map_err(ReadError::reading("the weights of badges"))
}
