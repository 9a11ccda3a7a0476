//! Governed actions of freelance-security, from proposal to execution.

use serde::{Deserialize, Serialize};
use stxworx_clarity::events::Event as Typed;
use stxworx_clarity::events::security::SecurityEvent;
use utoipa::ToSchema;

use super::{seen, small};
use crate::model::{Block, FollowSet, TxId};
use crate::project::{Fact, Projection};

/// Projection `governance_actions`; the entity is `CONTRACT/ID`.
#[derive(Debug)]
pub struct Actions;

/// Where an action stands. That it has expired, or belongs to an epoch that is over, follows from
/// `expires`, `epoch` and the chain's height, and is no event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ActionStatus {
    /// May be approved, and executed when it is due.
    #[default]
    Pending,
    /// Carried out.
    Executed,
    /// Taken back by its proposer, or rejected.
    Cancelled,
}

/// An action.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ActionState {
    /// Its number.
    pub id: u64,
    /// The contract's id.
    pub contract: String,
    /// What it does, for instance `set-fee`.
    pub kind: String,
    /// 1 critical, 2 routine, 3 emergency.
    pub class: u64,
    /// Its arguments, by the contract's names.
    #[schema(value_type = Object)]
    pub args: serde_json::Value,
    /// Who proposed it.
    pub proposer: String,
    /// Who approves it now.
    pub approvals: Vec<String>,
    /// Who is against it.
    pub rejections: Vec<String>,
    /// First burn height at which it may be executed.
    pub eta: u64,
    /// Last burn height at which it may be executed.
    pub expires: u64,
    /// Epoch of the signers; another one ends it.
    pub epoch: u64,
    /// Where it stands.
    pub status: ActionStatus,
    /// The transaction that executed it.
    #[schema(value_type = Option<String>)]
    pub executed: Option<TxId>,
}

/// An event of an action.
#[derive(Debug)]
pub struct ActionFact {
    contract: String,
    by: String,
    txid: TxId,
    event: SecurityEvent,
}

fn action_of(event: &SecurityEvent) -> Option<u128> {
    Some(match event {
        SecurityEvent::ActionProposed(e) => e.id.0,
        SecurityEvent::ActionApproved(e) => e.id.0,
        SecurityEvent::ApprovalRevoked(e) => e.id.0,
        SecurityEvent::ActionRejected(e) => e.id.0,
        SecurityEvent::ActionCancelled(e) => e.id.0,
        SecurityEvent::ActionExecuted(e) => e.id.0,
        _ => return None,
    })
}

impl Projection for Actions {
    type State = ActionState;
    type Fact = ActionFact;

    const ID: i16 = 14;
    const NAME: &'static str = "governance_actions";
    const VERSION: i32 = 1;

    fn facts(&self, block: &Block, follow: &FollowSet) -> Vec<Fact<ActionFact>> {
        seen(block, follow, SecurityEvent::CONTRACT)
            .filter_map(|seen| {
                let Typed::Security(event) = &seen.envelope.event else {
                    return None;
                };
                Some(Fact {
                    entity: seen.entity(&action_of(event)?),
                    position: seen.position(),
                    fact: ActionFact {
                        contract: seen.contract.to_owned(),
                        by: seen.envelope.by.to_string(),
                        txid: seen.txid,
                        event: event.clone(),
                    },
                })
            })
            .collect()
    }

    fn fold(&self, state: &mut ActionState, _: &Block, fact: &ActionFact) -> Result<(), String> {
        match &fact.event {
            SecurityEvent::ActionProposed(e) => {
                *state = ActionState {
                    id: small(e.id.0),
                    contract: fact.contract.clone(),
                    kind: e.kind.0.clone(),
                    class: small(e.class.0),
                    args: serde_json::to_value(&e.args).map_err(|e| e.to_string())?,
                    proposer: fact.by.clone(),
                    approvals: vec![fact.by.clone()],
                    eta: small(e.eta.0),
                    expires: small(e.expires.0),
                    epoch: small(e.epoch.0),
                    ..ActionState::default()
                };
            }
            SecurityEvent::ActionApproved(_) => state.approvals.push(fact.by.clone()),
            SecurityEvent::ApprovalRevoked(_) => state.approvals.retain(|who| *who != fact.by),
            SecurityEvent::ActionRejected(e) => {
                state.rejections.push(fact.by.clone());
                if e.cancelled {
                    state.status = ActionStatus::Cancelled;
                }
            }
            SecurityEvent::ActionCancelled(_) => state.status = ActionStatus::Cancelled,
            SecurityEvent::ActionExecuted(_) => {
                state.status = ActionStatus::Executed;
                state.executed = Some(fact.txid);
            }
            _ => {}
        }
        Ok(())
    }
}
