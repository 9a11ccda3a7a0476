//! Users: what they say of themselves, what was attested, and what the escrow reported of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use stxworx_clarity::events::Event as Typed;
use stxworx_clarity::events::data::DataEvent;
use utoipa::ToSchema;

use super::{Units, asset_name, hex0x, seen, small};
use crate::model::{Block, FollowSet};
use crate::project::{Fact, Projection};

/// Projection `profiles`; the entity is `CONTRACT/PRINCIPAL`, the contract being freelance-data.
#[derive(Debug)]
pub struct Profiles;

/// A user.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProfileState {
    /// Who.
    pub user: String,
    /// The name that the user took; unique among users.
    pub handle: Option<String>,
    /// Hash of the profile's metadata.
    pub meta: Option<String>,
    /// The attested X account, while it is.
    pub x: Option<XAccount>,
    /// Projects that ended with every milestone paid in full.
    pub completed: u64,
    /// Milestones that were settled, however.
    pub settled: u64,
    /// Disputes that the user was a party of.
    pub disputes: u64,
    /// Rulings against the user.
    pub lost: u64,
    /// Stars received.
    pub rating_sum: u64,
    /// Ratings received.
    pub rating_count: u64,
    /// Earned per asset, base units, fee included.
    pub earned: BTreeMap<String, Units>,
}

/// An attestation.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct XAccount {
    /// Hash of the account's name.
    pub handle_hash: String,
    /// Last burn height for which it holds.
    pub expires: u64,
}

/// An event about a user.
#[derive(Debug)]
pub struct ProfileFact {
    user: String,
    event: DataEvent,
}

fn users(event: &DataEvent) -> Vec<String> {
    let mut users = match event {
        DataEvent::ProfileSet(e) => vec![e.user.to_string()],
        DataEvent::XAttested(e) => vec![e.user.to_string()],
        DataEvent::XRevoked(e) => vec![e.user.to_string()],
        DataEvent::PaidRecorded(e) => {
            let lost = e.lost.iter().map(ToString::to_string);
            std::iter::once(e.user.to_string()).chain(lost).collect()
        }
        DataEvent::DisputeRecorded(e) => vec![e.client.to_string(), e.freelancer.to_string()],
        DataEvent::Rated(e) => vec![e.to.to_string()],
        _ => Vec::new(),
    };
    users.dedup();
    users
}

impl Projection for Profiles {
    type State = ProfileState;
    type Fact = ProfileFact;

    const ID: i16 = 12;
    const NAME: &'static str = "profiles";
    const VERSION: i32 = 1;

    fn facts(&self, block: &Block, follow: &FollowSet) -> Vec<Fact<ProfileFact>> {
        let mut facts = Vec::new();
        for seen in seen(block, follow, DataEvent::CONTRACT) {
            let Typed::Data(event) = &seen.envelope.event else {
                continue;
            };
            for user in users(event) {
                let fact = ProfileFact {
                    user: user.clone(),
                    event: event.clone(),
                };
                facts.push(Fact {
                    entity: seen.entity(&user),
                    position: seen.position(),
                    fact,
                });
            }
        }
        facts
    }

    fn fold(&self, state: &mut ProfileState, _: &Block, fact: &ProfileFact) -> Result<(), String> {
        state.user.clone_from(&fact.user);
        match &fact.event {
            DataEvent::ProfileSet(e) => {
                state.handle = Some(e.handle.0.clone());
                state.meta = Some(hex0x(&e.meta.0));
            }
            DataEvent::XAttested(e) => {
                state.x = Some(XAccount {
                    handle_hash: hex0x(&e.handle_hash.0),
                    expires: small(e.expires.0),
                });
            }
            DataEvent::XRevoked(_) => state.x = None,
            DataEvent::PaidRecorded(e) => {
                if fact.user == e.user.to_string() {
                    state.completed += u64::from(e.completed);
                    state.settled += 1;
                    state
                        .earned
                        .entry(asset_name(e.asset.as_ref()))
                        .or_default()
                        .add(e.gross.0)?;
                }
                if e.lost.as_ref().is_some_and(|l| l.to_string() == fact.user) {
                    state.lost += 1;
                }
            }
            DataEvent::DisputeRecorded(_) => state.disputes += 1,
            DataEvent::Rated(e) => {
                state.rating_sum = state.rating_sum.saturating_add(small(e.stars.0));
                state.rating_count += 1;
            }
            _ => {}
        }
        Ok(())
    }
}
