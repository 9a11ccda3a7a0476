//! What people do with breaks, as rows and lines of the history.

use serde_json::json;
use stxworx_indexer::model::access::Caller;
use stxworx_indexer::store::reconcile::Writing;
use stxworx_indexer::store::reconcile::breaks::{self, StoredBreak};
use stxworx_indexer::store::{Pool, StoreError};

use super::apply::{event, stored, unstored};
use super::error::EngineError;
use crate::breaks::{Action, Break, Refused};

/// Shortest beginning of an identity that may name a break.
const SHORTEST: usize = 6;

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
pub enum ActError {
    /// Not found.
    #[error("no break begins with {0}; `stxworx breaks list` has them")]
    Unknown(String),
    /// Found twice.
    #[error("several breaks begin with {0}; give more of it")]
    Ambiguous(String),
    /// It makes no sense there.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The database, or what is in it.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl From<StoreError> for ActError {
    fn from(error: StoreError) -> Self {
        Self::Engine(error.into())
    }
}

/// Finds a break by the beginning of its identity.
///
/// # Errors
/// When there is none, or more than one.
pub async fn find(pool: &Pool, prefix: &str) -> Result<StoredBreak, ActError> {
    let prefix = prefix.trim().trim_start_matches("0x").to_ascii_lowercase();
    let usable = prefix.len() >= SHORTEST && prefix.bytes().all(|b| b.is_ascii_hexdigit());
    if !usable {
        return Err(ActError::Unknown(prefix));
    }
    let mut found = breaks::by_prefix(pool, &prefix).await?;
    match (found.pop(), found.is_empty()) {
        (Some(one), true) => Ok(one),
        (Some(_), false) => Err(ActError::Ambiguous(prefix)),
        (None, _) => Err(ActError::Unknown(prefix)),
    }
}

fn name(action: &Action) -> &'static str {
    match action {
        Action::Acknowledge => "acknowledged",
        Action::Accept { .. } => "accepted",
        Action::Resolve { .. } => "resolved_by_hand",
        Action::FalsePositive { .. } => "false_positive",
        Action::Reopen => "reopened_by_hand",
    }
}

/// Carries an action out, and adds it to the history; the break afterwards.
///
/// # Errors
/// When there is no such break, or the action makes no sense there: then nothing is changed.
pub async fn act(pool: &Pool, prefix: &str, by: &str, action: &Action) -> Result<Break, ActError> {
    act_as(pool, prefix, by, action, None).await
}

/// The same, for somebody whose word was checked: it is noted in the log of administrative actions under this name, too.
///
/// # Errors
/// As [`act`].
pub async fn act_as(
    pool: &Pool,
    prefix: &str,
    by: &str,
    action: &Action,
    noted: Option<(&Caller, &str)>,
) -> Result<Break, ActError> {
    let id = find(pool, prefix).await?.id;
    let bytes = hex::decode(&id).map_err(|_| ActError::Unknown(id.clone()))?;
    let now_s = u64::try_from(breaks::now_s(pool).await?).unwrap_or(0);
    let mut writing = Writing::begin_act(pool).await?;
    let row = writing.break_by_id(&bytes).await?;
    let before = unstored(row.ok_or_else(|| ActError::Unknown(id.clone()))?)?;
    let was = json!(before.state);
    let after = before.act(by, action, now_s)?;
    let line = event(&after, by, name(action), Some(json!(action)))?;
    writing.put_breaks(&[stored(&after)?], None).await?;
    if let Some((caller, name)) = noted {
        let target = format!("break/{id}");
        let is = json!(after.state);
        writing.note(caller, name, &target, (&was, &is)).await?;
    }
    writing.add_events(None, &[line]).await?;
    writing.commit().await?;
    Ok(after)
}
