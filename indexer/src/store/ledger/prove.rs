//! The books against the mirror they are made of, told another way: by what each project has locked, and by every
//! transfer from and to those who hold money.

use sqlx::PgPool;

use crate::store::StoreError;

/// What a holder has of an asset, told twice.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Held {
    /// The escrow or the treasury.
    pub holder: String,
    /// The asset.
    pub asset: String,
    /// By the books, base units.
    pub booked: String,
    /// By the transfers of the mirror, base units.
    pub counted: String,
}

impl Held {
    /// Who holds, and what.
    pub fn pair(&self) -> super::proof::Pair {
        (self.holder.clone(), self.asset.clone())
    }
}

/// A project's account and what the mirror says is locked.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Locked {
    /// The escrow.
    pub contract: String,
    /// The project.
    pub project: String,
    /// By the books, base units.
    pub booked: String,
    /// By the projection, base units.
    pub locked: String,
}

/// Both sides of the proof, in one snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sides {
    /// The canonical tip: height and index block hash.
    pub tip: Option<(i32, Vec<u8>)>,
    /// Lines of the outbox that are not booked; the sides need not agree while there are any.
    pub unbooked: i64,
    /// For each holder and asset.
    pub held: Vec<Held>,
    /// Projects that differ.
    pub locked: Vec<Locked>,
    /// How many projects were compared.
    pub projects: i64,
}

/// Reads both sides. `holders` are principals whose every transfer the mirror has; `at` limits both to that height.
///
/// # Errors
/// When the database fails.
pub async fn sides(
    pool: &PgPool,
    holders: &[String],
    at: Option<i32>,
) -> Result<Sides, StoreError> {
    let mut tx = crate::store::begin(pool, "begin isolation level repeatable read, read only")
        .await
        .map_err(StoreError::db("begin"))?;
    let place = sqlx::query!(
        r#"select b.height as "height?", b.index_block_hash as "hash?",
               (select count(*) from outbox o where o.id > p.outbox_watermark) as "unbooked!"
           from ledger_progress p
           left join canonical c on c.height = coalesce($1, (select max(height) from canonical))
           left join block b on b.id = c.block_id"#,
        at
    )
    .fetch_one(&mut *tx)
    .await
    .map_err(StoreError::db("read where the books stand"))?;
    let held = sqlx::query_file_as!(Held, "src/store/ledger/held.sql", holders, at)
        .fetch_all(&mut *tx)
        .await
        .map_err(StoreError::db("count the transfers of holders"))?;
    let rows = sqlx::query_file!("src/store/ledger/locked.sql")
        .fetch_all(&mut *tx)
        .await
        .map_err(StoreError::db("compare projects with their accounts"))?;
    let projects = i64::try_from(rows.len()).unwrap_or(i64::MAX);
    let locked = rows
        .into_iter()
        .filter(|r| r.booked != r.locked)
        .map(|r| Locked {
            contract: r.contract,
            project: r.project,
            booked: r.booked,
            locked: r.locked,
        });
    Ok(Sides {
        tip: place.height.zip(place.hash),
        unbooked: place.unbooked,
        held,
        locked: locked.collect(),
        projects,
    })
}

/// What the mirror follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Followed {
    /// What it was told to.
    pub follow: crate::model::FollowSet,
    /// Contracts of the names asked for that it knows of.
    pub known: Vec<String>,
    /// Whose network fees are booked.
    pub fee_payers: Vec<String>,
}

/// What the mirror follows, and every contract of these names that it knows of; none before a daemon has begun it.
///
/// # Errors
/// When the database fails.
pub async fn followed(pool: &PgPool, names: &[String]) -> Result<Option<Followed>, StoreError> {
    let row = sqlx::query!(
        r#"select follow, array(select name from principal where split_part(name, '.', 2) = any($1) order by name)
               as "known!: Vec<String>", p.fee_payers
           from mirror, ledger_progress p"#,
        names
    )
    .fetch_optional(pool)
    .await
    .map_err(StoreError::db("read what the mirror follows"))?;
    row.map(|row| {
        let follow = serde_json::from_value(row.follow).map_err(|e| StoreError::Corrupt {
            table: "mirror",
            detail: e.to_string(),
        })?;
        Ok(Followed {
            follow,
            known: row.known,
            fee_payers: row.fee_payers,
        })
    })
    .transpose()
}
