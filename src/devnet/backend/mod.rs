//! A platform beside the devnet: a small database of its own, kept by a scripted backend that hears of the marketplace
//! and errs, now and then, in the ways of real ones. So that there is something to reconcile.
//!
//! The same seed errs in the same places.

mod rows;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::time::Duration;

use sqlx::{Connection as _, PgConnection, PgPool};
use stxworx_clarity::codec::sha512_256;
use stxworx_indexer::store::read::market::{
    BADGES, BadgeState, NumberedFilter, PROJECTS, ProfileState, ProjectState,
};
use stxworx_indexer::store::read::projection::{EntityFilter, VersionRow, entities};
use stxworx_indexer::store::read::{ReadError, Snapshot, market};
use tokio_util::sync::CancellationToken;

pub use rows::{Persona, ProjectRow, of_project};

/// Entities read at once.
const PAGE: u32 = 200;

/// Why the backend stands still.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// Its own database.
    #[error("the platform's database failed to {doing}")]
    Platform {
        /// What it was at.
        doing: &'static str,
        /// Why.
        #[source]
        source: sqlx::Error,
    },
    /// What it hears from.
    #[error("the platform's backend cannot read what happened")]
    Mirror(#[from] ReadError),
    /// A state that is none.
    #[error("the platform's backend cannot read the state of {entity}")]
    State {
        /// Whose.
        entity: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
}

fn failed(doing: &'static str) -> impl FnOnce(sqlx::Error) -> BackendError {
    move |source| BackendError::Platform { doing, source }
}

/// The backend.
pub struct Backend {
    /// What it hears from. A real backend hears from wallets and browsers, and worse.
    mirror: PgPool,
    platform: PgPool,
    seed: u64,
    /// Where each entity stood when it was written, so that only changes are.
    written: HashMap<(&'static str, String), (u32, u64)>,
}

impl Backend {
    /// One that hears from this mirror. Nothing is connected yet.
    ///
    /// # Errors
    /// When the address of the platform's database is none.
    pub fn new(mirror: PgPool, url: &str, seed: u64) -> Result<Self, BackendError> {
        let options: sqlx::postgres::PgConnectOptions =
            url.parse().map_err(failed("read its address"))?;
        let platform = sqlx::postgres::PgPoolOptions::new()
            .max_connections(2)
            .connect_lazy_with(options.application_name("platform-backend"));
        Ok(Self {
            mirror,
            platform,
            seed,
            written: HashMap::new(),
        })
    }

    /// Hears and writes until it is told to stop. What fails is tried again: a platform without its backend is no reason
    /// to end.
    pub async fn run(mut self, pause: Duration, cancel: CancellationToken) {
        let mut quiet = false;
        while !cancel.is_cancelled() {
            match self.step().await {
                Ok(_) => quiet = false,
                Err(error) if !quiet => {
                    quiet = true;
                    tracing::warn!(error = %stxworx_indexer::error_chain(&error), "the platform's backend stands still");
                }
                Err(_) => {}
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = cancel.cancelled() => {}
            }
        }
        self.platform.close().await;
    }

    /// Writes what changed since the last step; how many entities.
    ///
    /// # Errors
    /// When either database fails; the next step does it again.
    pub async fn step(&mut self) -> Result<usize, BackendError> {
        let mut snapshot = match Snapshot::open(&self.mirror).await {
            Err(ReadError::NotInitialised) => return Ok(0),
            opened => opened?,
        };
        let Some(tip) = snapshot.tip.clone() else {
            return Ok(0);
        };
        let at = i32::try_from(tip.height).unwrap_or(i32::MAX);
        let mut changed = 0;
        let users = all_entities(&mut snapshot, "profiles", at).await?;
        let projects = all_numbered(&mut snapshot, PROJECTS.id, at).await?;
        let badges = all_numbered(&mut snapshot, BADGES.id, at).await?;
        drop(snapshot);
        let mut tx = self.platform.begin().await.map_err(failed("begin"))?;
        let mut now = self.written.clone();
        for (kind, rows) in [("user", users), ("project", projects), ("badge", badges)] {
            for row in rows {
                let key = (kind, row.entity.clone());
                let stands = (row.height.0, row.position.0);
                if now.insert(key, stands) == Some(stands) {
                    continue;
                }
                changed += 1;
                match kind {
                    "user" => {
                        write_user(&mut tx, self.seed, &state(&row)?, tip.burn_height).await?
                    }
                    "project" => {
                        let state = state(&row)?;
                        write_project(&mut tx, self.seed, &state).await?;
                        write_fees(&mut tx, self.seed, &state).await?;
                    }
                    _ => write_badge(&mut tx, self.seed, &state(&row)?).await?,
                }
            }
        }
        tx.commit().await.map_err(failed("commit"))?;
        self.written = now;
        Ok(changed)
    }
}

fn state<T: serde::de::DeserializeOwned>(row: &VersionRow) -> Result<T, BackendError> {
    serde_json::from_str(&row.state).map_err(|source| BackendError::State {
        entity: row.entity.clone(),
        source,
    })
}

async fn all_numbered(
    snapshot: &mut Snapshot,
    projection: i16,
    at: i32,
) -> Result<Vec<VersionRow>, BackendError> {
    let mut filter = NumberedFilter {
        projection,
        at,
        limit: PAGE,
        ..NumberedFilter::default()
    };
    let mut all = Vec::new();
    loop {
        let page = market::numbered(snapshot.connection(), &filter).await?;
        let (more, last) = (page.more, page.rows.last().map(|row| row.entity.clone()));
        all.extend(page.rows);
        match last {
            Some(last) if more => filter.after = last,
            _ => return Ok(all),
        }
    }
}

async fn all_entities(
    snapshot: &mut Snapshot,
    name: &str,
    at: i32,
) -> Result<Vec<VersionRow>, BackendError> {
    let connection = snapshot.connection();
    let Some(projection) = stxworx_indexer::store::read::projection::id(connection, name).await?
    else {
        return Ok(Vec::new());
    };
    let mut filter = EntityFilter {
        projection,
        at,
        limit: PAGE,
        ..EntityFilter::default()
    };
    let mut all = Vec::new();
    loop {
        let page = entities(snapshot.connection(), &filter).await?;
        let (more, last) = (page.more, page.rows.last().map(|row| row.entity.clone()));
        all.extend(page.rows);
        match last {
            Some(last) if more => filter.after = last,
            _ => return Ok(all),
        }
    }
}

/// A key that is the same for the same thing: the tables' keys are random only for rows that somebody else adds.
fn uuid(name: &str) -> String {
    let hash = hex::encode(&sha512_256(name.as_bytes())[..16]);
    format!(
        "{}-{}-{}-{}-{}",
        &hash[..8],
        &hash[8..12],
        &hash[12..16],
        &hash[16..20],
        &hash[20..]
    )
}

#[expect(
    clippy::disallowed_methods,
    reason = "the platform's schema is not this project's"
)]
async fn write_user(
    tx: &mut PgConnection,
    seed: u64,
    state: &ProfileState,
    burn_height: u32,
) -> Result<(), BackendError> {
    let (earned, completed, verified) = rows::of_user(seed, state, burn_height);
    let id = uuid(&state.user);
    sqlx::query(
        "insert into users (id, username, stx_address, total_earned, completed_projects)
         values ($1::uuid, $2, $2, $3::numeric, $4)
         on conflict (id) do update set total_earned = excluded.total_earned,
             completed_projects = excluded.completed_projects",
    )
    .bind(&id)
    .bind(&state.user)
    .bind(earned)
    .bind(i32::try_from(completed).unwrap_or(i32::MAX))
    .execute(&mut *tx)
    .await
    .map_err(failed("write a user"))?;
    sqlx::query(
        "insert into x_integrations (user_id, verified, handle) values ($1::uuid, $2, $3)
         on conflict (user_id) do update set verified = excluded.verified",
    )
    .bind(&id)
    .bind(verified)
    .bind(rows::handle_of(&state.user))
    .execute(tx)
    .await
    .map_err(failed("write an X account"))?;
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "the platform's schema is not this project's"
)]
async fn write_project(
    tx: &mut PgConnection,
    seed: u64,
    state: &ProjectState,
) -> Result<(), BackendError> {
    let persona = Persona::of(seed, state.id);
    for row in of_project(persona, state) {
        let id = uuid(&format!("{}/{}/{}", state.contract, state.id, row.copy));
        let of = |number: usize| row.milestones.get(number).cloned().flatten();
        let mut query = sqlx::query(PROJECT)
            .bind(id)
            .bind(row.on_chain_id)
            .bind(row.tx_id.clone())
            .bind(row.client.clone())
            .bind(row.freelancer.clone())
            .bind(row.total.clone())
            .bind(row.token.clone())
            .bind(row.status);
        for number in 0..4 {
            let (amount, funded, complete, released) = of(number)
                .map_or((None, false, false, false), |(amount, f, c, r)| {
                    (Some(amount), f, c, r)
                });
            query = query
                .bind(amount)
                .bind(funded)
                .bind(complete)
                .bind(released);
        }
        query
            .execute(&mut *tx)
            .await
            .map_err(failed("write a project"))?;
    }
    Ok(())
}

/// Fees are noted when they are heard of, and never looked at again.
#[expect(
    clippy::disallowed_methods,
    reason = "the platform's schema is not this project's"
)]
async fn write_fees(
    tx: &mut PgConnection,
    seed: u64,
    state: &ProjectState,
) -> Result<(), BackendError> {
    let (deployer, _) = state.contract.split_once('.').unwrap_or_default();
    for row in rows::of_fees(seed, state) {
        sqlx::query(
            "insert into dao_transactions (id, from_address, to_address, amount, token_type, transaction_type, tx_id)
             values ($1::uuid, $2, $3, $4::numeric, $5, 'fee', $6)
             on conflict (id) do update set tx_id = excluded.tx_id, amount = excluded.amount",
        )
        .bind(uuid(&format!("{}/{}/fee/{}", state.contract, state.id, row.m)))
        .bind(&state.contract)
        .bind(format!("{deployer}.freelance-security"))
        .bind(row.amount)
        .bind(&state.asset)
        .bind(row.tx_id)
        .execute(&mut *tx)
        .await
        .map_err(failed("write a fee"))?;
    }
    Ok(())
}

const PROJECT: &str = "insert into projects (id, on_chain_id, tx_id, client_address, freelancer_address, total_amount, \
    token_type, status, milestone_1_amount, milestone_1_funded, milestone_1_complete, milestone_1_released, \
    milestone_2_amount, milestone_2_funded, milestone_2_complete, milestone_2_released, milestone_3_amount, \
    milestone_3_funded, milestone_3_complete, milestone_3_released, milestone_4_amount, milestone_4_funded, \
    milestone_4_complete, milestone_4_released) \
    values ($1::uuid, $2, $3, $4, $5, $6::numeric, $7, $8, $9::numeric, $10, $11, $12, $13::numeric, $14, $15, $16, \
    $17::numeric, $18, $19, $20, $21::numeric, $22, $23, $24) \
    on conflict (id) do update set status = excluded.status, updated_at = clock_timestamp(), \
    milestone_1_complete = excluded.milestone_1_complete, milestone_1_released = excluded.milestone_1_released, \
    milestone_2_complete = excluded.milestone_2_complete, milestone_2_released = excluded.milestone_2_released, \
    milestone_3_complete = excluded.milestone_3_complete, milestone_3_released = excluded.milestone_3_released, \
    milestone_4_complete = excluded.milestone_4_complete, milestone_4_released = excluded.milestone_4_released";

#[expect(
    clippy::disallowed_methods,
    reason = "the platform's schema is not this project's"
)]
async fn write_badge(
    tx: &mut PgConnection,
    seed: u64,
    state: &BadgeState,
) -> Result<(), BackendError> {
    for (copy, row) in rows::of_badge(seed, state).into_iter().enumerate() {
        let user = uuid(&row.user);
        sqlx::query(
            "insert into users (id, username, stx_address) values ($1::uuid, $2, $2) on conflict (id) do nothing",
        )
        .bind(&user)
        .bind(&row.user)
        .execute(&mut *tx)
        .await
        .map_err(failed("write a user"))?;
        sqlx::query(
            "insert into nft_achievements (id, user_id, token_id, achievement_type)
             values ($1::uuid, $2::uuid, $3, $4) on conflict (id) do nothing",
        )
        .bind(uuid(&format!("{}/{}/{copy}", state.contract, state.id)))
        .bind(user)
        .bind(row.token)
        .bind(rows::kind_name(row.kind))
        .execute(&mut *tx)
        .await
        .map_err(failed("write a badge"))?;
    }
    Ok(())
}

/// Makes the platform's database and its tables, if they are not there: on this server, under this name, at this
/// address.
///
/// # Errors
/// When the server cannot be reached or refuses.
#[expect(
    clippy::disallowed_methods,
    reason = "a database cannot be made by a checked statement"
)]
pub async fn prepare(server: &str, name: &'static str, url: &str) -> Result<(), BackendError> {
    let mut connection = PgConnection::connect(server)
        .await
        .map_err(failed("connect to its server"))?;
    let exists: bool =
        sqlx::query_scalar("select exists (select from pg_database where datname = $1)")
            .bind(name)
            .fetch_one(&mut connection)
            .await
            .map_err(failed("look for its database"))?;
    if !exists {
        sqlx::raw_sql(sqlx::AssertSqlSafe(format!("create database {name}")))
            .execute(&mut connection)
            .await
            .map_err(failed("make its database"))?;
    }
    connection.close().await.map_err(failed("disconnect"))?;
    let mut connection = PgConnection::connect(url)
        .await
        .map_err(failed("connect"))?;
    sqlx::raw_sql(include_str!("schema.sql"))
        .execute(&mut connection)
        .await
        .map_err(failed("make its tables"))?;
    connection.close().await.map_err(failed("disconnect"))
}
