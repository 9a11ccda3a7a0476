//! What reconciliation keeps: its runs, breaks with their history, and the platform's rows as they were seen.
//!
//! A break's own form is the reconciler's; here it is JSON with the columns that it is looked up by.
//!
//! What a run changes is one transaction ([`Writing`]), which also holds the lock that lets one run at a time: a run
//! that is killed leaves a row `running` and nothing else, and the next one says so.

pub mod audited;
pub mod breaks;
pub mod events;
pub mod image;
pub mod mirror;
pub mod moves;
pub mod outbox;
pub mod prune;
pub mod run;
pub mod states;

use serde_json::Value;
use sqlx::{PgPool, Postgres, Transaction};

use super::StoreError;
use crate::model::access::Caller;

/// Key of the lock that one run holds; any number that nothing else uses.
const ONE_AT_A_TIME: i64 = 0x7374_7872_6563;

/// How long a run may say nothing in the middle of its transaction: it waits for the platform, whose own statements
/// are limited.
const SILENT: &str = "15min";

/// All that a run changes, and the right to be the only one.
#[derive(Debug)]
pub struct Writing {
    tx: Transaction<'static, Postgres>,
    head: Option<events::Head>,
}

impl Writing {
    /// Begins, unless another run is at work: then none.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn begin(pool: &PgPool) -> Result<Option<Self>, StoreError> {
        let mut tx = super::begin(pool, "begin")
            .await
            .map_err(StoreError::db("begin a run"))?;
        sqlx::query!(
            r#"select set_config('idle_in_transaction_session_timeout', $1, true) as "idle!""#,
            SILENT
        )
        .fetch_one(&mut *tx)
        .await
        .map_err(StoreError::db("limit how long a run may be silent"))?;
        let alone = sqlx::query_scalar!(
            r#"select pg_try_advisory_xact_lock($1) as "alone!""#,
            ONE_AT_A_TIME
        )
        .fetch_one(&mut *tx)
        .await
        .map_err(StoreError::db("see whether another run is at work"))?;
        Ok(alone.then_some(Self { tx, head: None }))
    }

    /// Begins what a person does. It waits for a run that holds the same break, at most half a minute.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn begin_act(pool: &PgPool) -> Result<Self, StoreError> {
        let mut tx = super::begin(pool, "begin")
            .await
            .map_err(StoreError::db("begin to change a break"))?;
        sqlx::query!(r#"select set_config('lock_timeout', '30s', true) as "wait!""#)
            .fetch_one(&mut *tx)
            .await
            .map_err(StoreError::db("limit how long a run is waited for"))?;
        Ok(Self { tx, head: None })
    }

    /// Notes in the log of administrative actions what is done here.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn note(
        &mut self,
        caller: &Caller,
        action: &str,
        target: &str,
        (before, after): (&Value, &Value),
    ) -> Result<(), StoreError> {
        let (before, after) = (Some(before), Some(after));
        super::admin::record(&mut self.tx, caller, action, target, before, after).await
    }

    /// Makes all of it so.
    ///
    /// # Errors
    /// When the database fails: then nothing of it is so, or all of it.
    pub async fn commit(self) -> Result<(), StoreError> {
        self.tx
            .commit()
            .await
            .map_err(StoreError::db("commit a run"))
    }
}
