//! Repairs that the configuration allows, carried out on the platform: once, and looked at afterwards by the rule that
//! wanted them.
//!
//! A repair is decided in this database before it is carried out in the other. One that was begun and whose end is not
//! known is never tried again: a person looks at it. Each statement names the value that it replaces, so that it does
//! nothing where somebody was faster.

use std::time::Duration;

use serde_json::json;
use stxworx_indexer::error_chain;
use stxworx_indexer::model::access::{Caller, CallerKind, Role};
use stxworx_indexer::store::Pool;
use stxworx_indexer::store::reconcile::Writing;
use stxworx_indexer::store::reconcile::outbox::{self, RepairRow};

use super::apply::{event, unstored};
use super::error::EngineError;
use crate::platform::postgres::Writer;

/// Repairs of one step.
const MOST: i64 = 20;

/// What may be repaired, and where.
#[derive(Clone)]
pub struct Repairs {
    /// Postgres URL of a role that may change what the statements change. Secret.
    pub url: String,
    /// Rules with kinds of repairs, side by side.
    pub allowed: Vec<(String, String)>,
    /// Limit of one statement.
    pub statement_timeout: Duration,
}

impl std::fmt::Debug for Repairs {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Repairs")
            .field("allowed", &self.allowed)
            .finish_non_exhaustive()
    }
}

/// What a step did: by what came of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Repaired {
    /// Changed one row.
    pub done: u64,
    /// The row was not as it was seen.
    pub refused: u64,
    /// The platform said no.
    pub failed: u64,
    /// The rule passed afterwards.
    pub verified: u64,
    /// The rule did not.
    pub ineffective: u64,
    /// Begun, and not known to have ended.
    pub unknown: u64,
}

/// Notes what a run's open breaks want, carries out a few of them, and looks at what became of earlier ones.
///
/// # Errors
/// When this database fails. What the platform refuses is no error but noted.
pub async fn repair(pool: &Pool, repairs: &Repairs, run: i64) -> Result<Repaired, EngineError> {
    let stale = repairs.statement_timeout.as_secs().saturating_mul(2) + 60;
    let stale = i64::try_from(stale).unwrap_or(i64::MAX);
    let [unknown, verified, ineffective] = outbox::judge(pool, stale).await?;
    let mut came = Repaired {
        unknown,
        verified,
        ineffective,
        ..Repaired::default()
    };
    let (rules, kinds): (Vec<_>, Vec<_>) = repairs.allowed.iter().cloned().unzip();
    outbox::want(pool, run, (&rules, &kinds), MOST).await?;
    let platform = Writer::new(&repairs.url, repairs.statement_timeout)?;
    for _ in 0..MOST {
        let Some(row) = outbox::take(pool).await? else {
            break;
        };
        let (state, detail) = match platform.change_one(&row.sql).await {
            Ok(true) => ("done", None),
            Ok(false) => {
                let why = "it would not have changed exactly one row: nothing was changed";
                ("refused", Some(why.to_owned()))
            }
            Err(error) => ("failed", Some(error_chain(&error).to_string())),
        };
        match state {
            "done" => came.done += 1,
            "refused" => came.refused += 1,
            _ => came.failed += 1,
        }
        note(pool, &row, state, detail.as_deref()).await?;
    }
    platform.close().await;
    Ok(came)
}

/// The outcome, the line of the break's history, and the log of administrative actions: all or none.
async fn note(
    pool: &Pool,
    row: &RepairRow,
    state: &str,
    detail: Option<&str>,
) -> Result<(), EngineError> {
    let mut writing = Writing::begin_act(pool).await?;
    writing.end_repair(row.id, state, detail).await?;
    let said = json!({ "repair": row.id, "sql": row.sql, "state": state, "detail": detail });
    if let Some(stored) = writing.break_by_id(&row.break_id).await? {
        let it = unstored(stored)?;
        let line = event(&it, "reconciler", "repaired", Some(said.clone()))?;
        writing.add_events(None, &[line]).await?;
    }
    let caller = Caller {
        role: Role::Operator,
        name: "reconciler".to_owned(),
        kind: CallerKind::Cli,
    };
    let target = format!("break/{}", hex::encode(&row.break_id));
    let before = json!({ "rule": row.rule, "repair": row.repair });
    writing
        .note(&caller, "break.repair", &target, (&before, &said))
        .await?;
    writing.commit().await?;
    Ok(())
}
