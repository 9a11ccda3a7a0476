//! Figures per UTC day. What is summed up on chain (money, openings) is the difference of two states, of the
//! day's end and of its beginning; how projects ended is counted.

use sqlx::PgConnection;

use super::ReadError;

/// A figure of a day.
#[derive(Debug, PartialEq, Eq)]
pub struct Figure {
    /// The day, counted from 1970-01-01.
    pub day: i64,
    /// The asset, or the status.
    pub key: String,
    /// The figure, digits.
    pub value: String,
}

/// Which days.
#[derive(Debug, Clone)]
pub struct SeriesFilter {
    /// As of this canonical height.
    pub at: i32,
    /// First day, counted from 1970-01-01.
    pub from: i64,
    /// Last day.
    pub to: i64,
    /// Of this escrow.
    pub contract: Option<String>,
    /// In this asset.
    pub asset: Option<String>,
}

/// Growth per day of fields of the escrows' assets, for every asset that there was on the day.
///
/// # Errors
/// When the database cannot be read.
pub async fn growth(
    connection: &mut PgConnection,
    filter: &SeriesFilter,
    fields: &[String],
) -> Result<Vec<Figure>, ReadError> {
    sqlx::query_as!(
        Figure,
        r#"
        with edge as materialized (
            select d.day, coalesce((
                select b.height from block b
                join canonical c on c.block_id = b.id
                where coalesce(b.block_time, b.burn_block_time) < (d.day + 1) * 86400 and b.height <= $1
                order by coalesce(b.block_time, b.burn_block_time) desc, b.height desc
                limit 1), -1) as height
            from generate_series($2::bigint - 1, $3::bigint) d (day)
        ), stood as materialized (
            select e.day, k.entity, split_part(k.entity, '|', 2) as asset,
                   (select sum((v.state ->> f.name)::numeric) from unnest($6::text[]) f (name)) as value
            from edge e
            cross join projection_current k
            cross join lateral (
                select v.state
                from projection_version v
                join canonical c on c.block_id = v.block_id
                where v.projection = k.projection and v.entity = k.entity and v.height <= e.height
                order by v.height desc, v.position desc
                limit 1
            ) v
            where k.projection = 11
              and ($4::text is null or split_part(k.entity, '|', 1) = $4)
              and ($5::text is null or split_part(k.entity, '|', 2) = $5)
        )
        select s.day as "day!", s.asset as "key!", sum(s.value - coalesce(p.value, 0))::text as "value!"
        from stood s
        left join stood p on p.day = s.day - 1 and p.entity = s.entity
        where s.day >= $2
        group by s.day, s.asset
        order by s.day, s.asset collate "C"
        "#,
        filter.at,
        filter.from,
        filter.to,
        filter.contract.as_deref(),
        filter.asset.as_deref(),
        fields,
    )
    .fetch_all(connection)
    .await
    .map_err(ReadError::reading("figures by day"))
}

/// Projects that ended, by day and status. Days on which none did are missing.
///
/// # Errors
/// When the database cannot be read.
pub async fn closings(
    connection: &mut PgConnection,
    filter: &SeriesFilter,
) -> Result<Vec<Figure>, ReadError> {
    sqlx::query_as!(
        Figure,
        r#"
        with span as materialized (
            select coalesce((
                select b.height from block b
                join canonical c on c.block_id = b.id
                where coalesce(b.block_time, b.burn_block_time) < $2::bigint * 86400 and b.height <= $1
                order by coalesce(b.block_time, b.burn_block_time) desc, b.height desc
                limit 1), -1) as low, coalesce((
                select b.height from block b
                join canonical c on c.block_id = b.id
                where coalesce(b.block_time, b.burn_block_time) < ($3::bigint + 1) * 86400 and b.height <= $1
                order by coalesce(b.block_time, b.burn_block_time) desc, b.height desc
                limit 1), -1) as high
        )
        select coalesce(b.block_time, b.burn_block_time) / 86400 as "day!", v.state ->> 'status' as "key!",
               count(*)::text as "value!"
        from span s
        join projection_version v on v.projection = 10 and v.state ->> 'closed' is not null
                                 and v.height > s.low and v.height <= s.high
        join canonical c on c.block_id = v.block_id
        join block b on b.id = v.block_id
        where ($4::text is null or split_part(v.entity, '/', 1) = $4)
          and ($5::text is null or v.state ->> 'asset' = $5)
        group by 1, 2
        order by 1, 2
        "#,
        filter.at,
        filter.from,
        filter.to,
        filter.contract.as_deref(),
        filter.asset.as_deref(),
    )
    .fetch_all(connection)
    .await
    .map_err(ReadError::reading("ends by day"))
}
