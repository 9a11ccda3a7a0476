//! The platform's rows as runs saw them: what changed since the last one, and what was there at an earlier one.
//!
//! Rows are in the order of place, key (by bytes) and copy, as the platform's reader gives them, so that both sides
//! are merged as streams.

use serde::Serialize;
use serde_json::Value;
use sqlx::PgConnection;

use super::Writing;
use crate::store::StoreError;

/// The place of a row that has no number, or none that can be read: behind every number.
pub const NOWHERE: u128 = 99_999_999_999_999_999_999;

/// Where a row stands in the order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Spot {
    /// Its number at the contract, or [`NOWHERE`].
    pub place: u128,
    /// The platform's key; empty where there is none.
    pub key: String,
    /// From 0, among rows of one place and key; -1 is before all of them.
    pub copy: i32,
}

impl Spot {
    /// The platform's own key: of badges and users, what stands behind the address.
    pub fn own_key(&self, entity: &str) -> &str {
        match self.key.split_once(' ') {
            Some((_, own)) if entity != "projects" => own,
            _ => &self.key,
        }
    }

    /// What a badge or a user is looked at with: an address, or a space and the key of a row that has none.
    pub fn group(&self) -> &str {
        match self.key.split_once(' ') {
            Some((group, _)) if !group.is_empty() => group,
            _ => &self.key,
        }
    }

    /// Before every row.
    pub fn first() -> Self {
        Self {
            place: 0,
            key: String::new(),
            copy: -1,
        }
    }
}

/// A stored row.
#[derive(Debug, Clone, PartialEq)]
pub struct Image {
    /// Its number in the table.
    pub id: i64,
    /// Where it stands.
    pub spot: Spot,
    /// Of its cells.
    pub hash: Vec<u8>,
    /// Column to text or null; none where it was not asked for.
    pub cells: Option<Value>,
}

/// Rows of a few places, and rows without a place by key; of badges and users, rows of addresses, and rows without one
/// by a space and their key. None for all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// Places.
    pub places: Vec<u128>,
    /// Keys of rows without a place.
    pub keys: Vec<String>,
}

impl Scope {
    /// Places as they are written.
    pub fn places_text(&self) -> Vec<String> {
        self.places.iter().map(u128::to_string).collect()
    }

    /// Places to look at, [`NOWHERE`] among them where rows are wanted by key.
    pub fn looked_at(&self) -> Vec<String> {
        let mut places = self.places_text();
        if !self.keys.is_empty() {
            places.push(NOWHERE.to_string());
        }
        places
    }
}

struct Raw {
    id: i64,
    place: String,
    key: String,
    copy: i32,
    hash: Vec<u8>,
    cells: Option<Value>,
}

fn image(raw: Raw) -> Result<Image, StoreError> {
    let place = raw.place.parse().map_err(|_| StoreError::Corrupt {
        table: "platform_row",
        detail: format!("the place {} is no whole number", raw.place),
    })?;
    Ok(Image {
        id: raw.id,
        spot: Spot {
            place,
            key: raw.key,
            copy: raw.copy,
        },
        hash: raw.hash,
        cells: raw.cells,
    })
}

// Places come as text, and are cast once, not for every row: hence the array of a subquery.
macro_rules! image_query {
    ($cells:literal, $tail:literal, $entity:expr, $after:expr, $limit:expr $(, $args:expr)*) => {
        sqlx::query_as!(
            Raw,
            r#"select id, place::text as "place!", key, copy, hash, "# + $cells + r#" as cells
               from platform_row
               where entity = $1 and (place, key, copy) > ($2::text::numeric, $3::text, $4::integer) "#
                + $tail + " order by place, key, copy limit $5",
            $entity,
            $after.place.to_string() as _,
            $after.key,
            $after.copy,
            $limit
            $(, $args)*
        )
    };
}

/// Rows that stand now, behind a spot, without their cells.
///
/// # Errors
/// When the database fails.
pub async fn standing(
    connection: &mut PgConnection,
    entity: &str,
    scope: Option<&Scope>,
    after: &Spot,
    limit: i64,
) -> Result<Vec<Image>, StoreError> {
    let rows = match scope {
        None => {
            image_query!("null::jsonb", "and to_run is null", entity, after, limit)
                .fetch_all(connection)
                .await
        }
        Some(scope) => {
            image_query!(
            "null::jsonb",
            "and to_run is null and place = any(array(select p::numeric from unnest($6::text[]) p))
                 and (place <> 99999999999999999999 or key = any($7)
                      or ($1 <> 'projects' and split_part(key, ' ', 1) = any($7)))",
            entity,
            after,
            limit,
            &scope.looked_at(),
            &scope.keys
        )
            .fetch_all(connection)
            .await
        }
    };
    let rows = rows.map_err(StoreError::db("read the platform's rows as they were seen"))?;
    rows.into_iter().map(image).collect()
}

/// Rows as a run saw them, behind a spot, with their cells.
///
/// # Errors
/// When the database fails.
pub async fn at_run(
    connection: &mut PgConnection,
    entity: &str,
    run: i64,
    scope: Option<&Scope>,
    after: &Spot,
    limit: i64,
) -> Result<Vec<Image>, StoreError> {
    let rows = match scope {
        None => {
            image_query!(
                "cells",
                "and from_run <= $6 and (to_run is null or to_run > $6)",
                entity,
                after,
                limit,
                run
            )
            .fetch_all(connection)
            .await
        }
        Some(scope) => {
            image_query!(
                "cells",
                "and from_run <= $6 and (to_run is null or to_run > $6)
                 and place = any(array(select p::numeric from unnest($7::text[]) p))
                 and (place <> 99999999999999999999 or key = any($8)
                      or ($1 <> 'projects' and split_part(key, ' ', 1) = any($8)))",
                entity,
                after,
                limit,
                run,
                &scope.looked_at(),
                &scope.keys
            )
            .fetch_all(connection)
            .await
        }
    };
    let rows = rows.map_err(StoreError::db("read the platform's rows of a run"))?;
    rows.into_iter().map(image).collect()
}

/// A row that a run saw for the first time, or otherwise than before.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NewImage {
    /// Its place, as text.
    pub place: String,
    /// The platform's key.
    pub key: String,
    /// Among rows of one place and key.
    pub copy: i32,
    /// Of its cells, hexadecimal.
    pub hash: String,
    /// Column to text or null.
    pub cells: Value,
}

impl Writing {
    /// Notes that rows do not stand any more, and that others do.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn change_images(
        &mut self,
        entity: &str,
        run: i64,
        gone: &[i64],
        new: &[NewImage],
    ) -> Result<(), StoreError> {
        let failed = || StoreError::db("keep the platform's rows");
        if !gone.is_empty() {
            sqlx::query!(
                "update platform_row set to_run = $1 where id = any($2)",
                run,
                gone
            )
            .execute(&mut *self.tx)
            .await
            .map_err(failed())?;
        }
        if !new.is_empty() {
            let rows = serde_json::to_value(new).map_err(|error| StoreError::Corrupt {
                table: "platform_row",
                detail: error.to_string(),
            })?;
            sqlx::query!(
                "insert into platform_row (entity, place, key, copy, hash, cells, from_run)
                 select $1, r.place, r.key, r.copy, decode(r.hash, 'hex'), r.cells, $2
                 from jsonb_to_recordset($3::jsonb)
                      as r (place numeric(20, 0), key text, copy integer, hash text, cells jsonb)",
                entity,
                run,
                rows
            )
            .execute(&mut *self.tx)
            .await
            .map_err(failed())?;
        }
        Ok(())
    }

    /// The rows that stand now with one of these keys of the platform's own, without their cells.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn standing_keys(
        &mut self,
        entity: &str,
        keys: &[String],
    ) -> Result<Vec<Image>, StoreError> {
        let failed = || StoreError::db("look for rows by key");
        let rows = if entity == "projects" {
            sqlx::query_as!(
                Raw,
                r#"select id, place::text as "place!", key, copy, hash, null::jsonb as cells
                   from (select distinct k collate "C" as k from unnest($2::text[]) as k) w
                   join platform_row r on r.key = w.k
                   where entity = $1 and to_run is null order by key, place, copy"#,
                entity,
                keys
            )
            .fetch_all(&mut *self.tx)
            .await
            .map_err(failed())?
        } else {
            sqlx::query_as!(
                Raw,
                r#"select id, place::text as "place!", key, copy, hash, null::jsonb as cells
                   from platform_row r
                   where entity = $1 and to_run is null and entity <> 'projects'
                     and substr(key, strpos(key, ' ') + 1) = any($2) order by key, place, copy"#,
                entity,
                keys
            )
            .fetch_all(&mut *self.tx)
            .await
            .map_err(failed())?
        };
        rows.into_iter().map(image).collect()
    }
}

/// A row of the platform that pointed to a project, and when it stood so.
#[derive(Debug)]
pub struct Sighting {
    /// The platform's key.
    pub key: String,
    /// Column to text or null.
    pub cells: Value,
    /// The run that saw it first.
    pub from_run: i64,
    /// When that run began, Unix seconds.
    pub from_s: i64,
    /// When a run did not see it so any more; none while it stands.
    pub to_s: Option<i64>,
}

/// The rows of the platform that pointed to a project's number, as runs saw them, the newest of them if they are many.
///
/// # Errors
/// When the database fails.
pub async fn sightings(
    pool: &sqlx::PgPool,
    number: u128,
    limit: i64,
) -> Result<Vec<Sighting>, StoreError> {
    sqlx::query_as!(
        Sighting,
        r#"select r.key, r.cells, r.from_run, extract(epoch from f.started_at)::bigint as "from_s!",
                  extract(epoch from t.started_at)::bigint as "to_s?"
           from platform_row r
           join reconcile_run f on f.id = r.from_run
           left join reconcile_run t on t.id = r.to_run
           where r.entity = 'projects' and r.place = $1::text::numeric
           order by r.from_run desc, r.key, r.copy limit $2"#,
        number.to_string(),
        limit
    )
    .fetch_all(pool)
    .await
    .map_err(StoreError::db("read what the platform said of a project"))
}
