//! Carries out what operators decide about breaks over the API.

use stxworx_indexer::api::desk::{BreakDesk, Deciding, Decision, Undecided};
use stxworx_indexer::error_chain;
use stxworx_indexer::model::access::Caller;
use stxworx_indexer::store::Pool;
use stxworx_indexer::store::reconcile::breaks::{self, StoredBreak};
use stxworx_reconciler::breaks::Action;
use stxworx_reconciler::engine::{ActError, act_as, stored};

/// The reconciler's own machine of breaks.
pub(super) struct Desk;

async fn action(pool: &Pool, decision: &Decision) -> Result<Action, Undecided> {
    Ok(match decision {
        Decision::Acknowledge => Action::Acknowledge,
        Decision::Accept { note, for_seconds } => {
            let now = breaks::now_s(pool).await;
            let now = now.map_err(|error| Undecided::Failed(error_chain(&error).to_string()))?;
            Action::Accept {
                note: note.clone(),
                until_s: u64::try_from(now).unwrap_or(0).saturating_add(*for_seconds),
            }
        }
        Decision::Resolve { note, onchain } => Action::Resolve {
            note: note.clone(),
            onchain: *onchain,
        },
        Decision::FalsePositive { note } => Action::FalsePositive { note: note.clone() },
        Decision::Reopen => Action::Reopen,
    })
}

async fn decide(
    pool: &Pool,
    caller: &Caller,
    id: &str,
    decision: &Decision,
) -> Result<StoredBreak, Undecided> {
    let action = action(pool, decision).await?;
    let noted = Some((caller, decision.name()));
    let after = act_as(pool, id, &caller.name, &action, noted).await;
    let after = after.map_err(|error| match error {
        ActError::Unknown(_) => Undecided::Unknown,
        ActError::Ambiguous(_) => Undecided::Ambiguous,
        ActError::Refused(why) => Undecided::Refused(why.to_string()),
        ActError::Engine(error) => Undecided::Failed(error_chain(&error).to_string()),
    })?;
    stored(&after).map_err(|error| Undecided::Failed(error_chain(&error).to_string()))
}

impl BreakDesk for Desk {
    fn decide<'a>(
        &'a self,
        pool: &'a Pool,
        caller: &'a Caller,
        id: &'a str,
        decision: &'a Decision,
    ) -> Deciding<'a> {
        Box::pin(decide(pool, caller, id, decision))
    }
}
