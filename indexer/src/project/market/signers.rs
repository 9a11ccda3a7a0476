//! Who signs for freelance-security.

use serde::{Deserialize, Serialize};
use stxworx_clarity::events::Event as Typed;
use stxworx_clarity::events::security::SecurityEvent;
use utoipa::ToSchema;

use super::{seen, small};
use crate::model::{Block, FollowSet};
use crate::project::{Fact, Projection};

/// Projection `signers`; the entity is the contract's id.
#[derive(Debug)]
pub struct Signers;

/// The signers of now.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SignersState {
    /// Rises with each change; actions of another epoch are over.
    pub epoch: u64,
    /// Who.
    pub signers: Vec<String>,
    /// Approvals that a critical action needs.
    pub critical: u64,
    /// Approvals that a routine action needs.
    pub routine: u64,
    /// Approvals that an emergency needs.
    pub emergency: u64,
}

impl Projection for Signers {
    type State = SignersState;
    type Fact = SecurityEvent;

    const ID: i16 = 15;
    const NAME: &'static str = "signers";
    const VERSION: i32 = 1;

    fn facts(&self, block: &Block, follow: &FollowSet) -> Vec<Fact<SecurityEvent>> {
        seen(block, follow, SecurityEvent::CONTRACT)
            .filter_map(|seen| match &seen.envelope.event {
                Typed::Security(
                    event @ (SecurityEvent::Genesis(_) | SecurityEvent::SignersChanged(_)),
                ) => Some(Fact {
                    entity: seen.contract.to_owned(),
                    position: seen.position(),
                    fact: event.clone(),
                }),
                _ => None,
            })
            .collect()
    }

    fn fold(
        &self,
        state: &mut SignersState,
        _: &Block,
        fact: &SecurityEvent,
    ) -> Result<(), String> {
        match fact {
            SecurityEvent::Genesis(e) => {
                state.epoch = 1;
                state.signers = e.signers.iter().map(ToString::to_string).collect();
                (state.critical, state.routine, state.emergency) = (
                    small(e.critical.0),
                    small(e.routine.0),
                    small(e.emergency.0),
                );
            }
            SecurityEvent::SignersChanged(e) => {
                state.epoch = small(e.epoch.0);
                let (added, removed) = (e.added.to_string(), e.removed.to_string());
                state.signers.retain(|s| *s != removed);
                state.signers.push(added);
            }
            _ => {}
        }
        Ok(())
    }
}
