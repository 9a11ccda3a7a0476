//! Badges: the contract's own event and the token's native event, which must say the same.

use serde::{Deserialize, Serialize};
use stxworx_clarity::codec::Value;
use stxworx_clarity::events::badges::BadgesEvent;
use stxworx_clarity::events::{self, Event as Typed};
use utoipa::ToSchema;

use super::{hex0x, name_of, prints, seen, small};
use crate::model::change::position;
use crate::model::{Block, Event, EventKind, FollowSet, TxId};
use crate::project::{Fact, Projection, Violation};

/// Projection `badges`; the entity is `CONTRACT/ID`.
#[derive(Debug)]
pub struct Badges;

/// Name of the token in the contract.
const TOKEN: &str = "badge";

/// A badge.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BadgeState {
    /// The token's number.
    pub id: u64,
    /// The contract's id.
    pub contract: String,
    /// What it is for; see the contract's `kind-set`.
    pub kind: u64,
    /// Who has it; none once it is revoked.
    pub owner: Option<String>,
    /// `mint` or `claim`.
    pub via: String,
    /// The transaction that minted it.
    #[schema(value_type = Option<String>)]
    pub minted: Option<TxId>,
    /// Height of the block that minted it.
    pub minted_height: u32,
    /// Why it was revoked, as a hash.
    pub revoked: Option<String>,
    /// Owner by the token's native events.
    pub native_owner: Option<String>,
    /// What this very transaction broke.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub violation: Option<String>,
}

/// What a transaction did to a badge.
#[derive(Debug, Default)]
pub struct BadgeFact {
    contract: String,
    id: u64,
    txid: TxId,
    events: Vec<BadgesEvent>,
    /// Owner after each native event.
    natives: Vec<Option<String>>,
    /// The contract printed something here that the catalogue does not have: nothing to compare with.
    foreign: bool,
}

fn badge_of(event: &BadgesEvent) -> Option<u128> {
    Some(match event {
        BadgesEvent::BadgeMinted(e) => e.id.0,
        BadgesEvent::BadgeRevoked(e) => e.id.0,
        BadgesEvent::BadgeMigrated(e) => e.id.0,
        _ => return None,
    })
}

/// Contract, number and new owner of a native event of a badge.
fn native<'a>(event: &'a Event, follow: &FollowSet) -> Option<(&'a str, u128, Option<String>)> {
    let body = &event.body;
    let owner = match body.kind {
        EventKind::NftMint | EventKind::NftTransfer => body.recipient.clone(),
        EventKind::NftBurn => None,
        _ => return None,
    };
    let contract = body.contract.as_deref()?;
    if name_of(contract) != BadgesEvent::CONTRACT
        || body.asset.as_deref() != Some(TOKEN)
        || !follow.follows_contract(contract)
    {
        return None;
    }
    let id = Value::decode_exact(body.value.as_deref()?)
        .ok()?
        .as_u128()?;
    Some((contract, id, owner))
}

fn place<'a>(
    facts: &'a mut Vec<Fact<BadgeFact>>,
    tx_index: u32,
    contract: &str,
    id: u128,
    txid: TxId,
) -> &'a mut BadgeFact {
    let entity = format!("{contract}/{id}");
    let position = position(tx_index, 0);
    let at = facts
        .iter()
        .position(|f| f.entity == entity && f.position == position);
    let at = at.unwrap_or_else(|| {
        let fact = BadgeFact {
            contract: contract.to_owned(),
            id: small(id),
            txid,
            ..BadgeFact::default()
        };
        facts.push(Fact {
            entity,
            position,
            fact,
        });
        facts.len() - 1
    });
    &mut facts[at].fact
}

impl Projection for Badges {
    type State = BadgeState;
    type Fact = BadgeFact;

    const ID: i16 = 13;
    const NAME: &'static str = "badges";
    const VERSION: i32 = 1;

    fn facts(&self, block: &Block, follow: &FollowSet) -> Vec<Fact<BadgeFact>> {
        let mut facts = Vec::new();
        for seen in seen(block, follow, BadgesEvent::CONTRACT) {
            let Typed::Badges(event) = &seen.envelope.event else {
                continue;
            };
            if let Some(id) = badge_of(event) {
                place(
                    &mut facts,
                    seen.event.tx_index,
                    seen.contract,
                    id,
                    seen.txid,
                )
                .events
                .push(event.clone());
            }
        }
        for event in &block.events {
            let Some((contract, id, owner)) = native(event, follow) else {
                continue;
            };
            let Some(txid) = super::transaction_of(block, event) else {
                continue;
            };
            let fact = place(&mut facts, event.tx_index, contract, id, txid);
            fact.natives.push(owner);
            fact.foreign = prints(block, follow).any(|(print, by, raw, _)| {
                print.tx_index == event.tx_index
                    && by == contract
                    && events::decode(BadgesEvent::CONTRACT, raw).is_err()
            });
        }
        facts.sort_by_key(|f| f.position);
        facts
    }

    fn fold(&self, state: &mut BadgeState, block: &Block, fact: &BadgeFact) -> Result<(), String> {
        (state.id, state.contract) = (fact.id, fact.contract.clone());
        for event in &fact.events {
            match event {
                BadgesEvent::BadgeMinted(e) => {
                    state.kind = small(e.kind.0);
                    state.owner = Some(e.owner.to_string());
                    state.via.clone_from(&e.via.0);
                    state.minted = Some(fact.txid);
                    state.minted_height = block.header.height;
                }
                BadgesEvent::BadgeRevoked(e) => {
                    state.kind = small(e.kind.0);
                    state.owner = None;
                    state.revoked = Some(hex0x(&e.reason.0));
                }
                BadgesEvent::BadgeMigrated(e) => {
                    state.kind = small(e.kind.0);
                    state.owner = Some(e.to.to_string());
                }
                _ => {}
            }
        }
        if let Some(owner) = fact.natives.last() {
            state.native_owner.clone_from(owner);
        }
        let agrees = state.owner == state.native_owner && fact.events.len() == fact.natives.len();
        state.violation = (!agrees && !fact.foreign).then(|| {
            format!(
                "transaction {} has {} events of the contract and {} of the token; the owner is {:?} by the first and {:?} by the second",
                fact.txid,
                fact.events.len(),
                fact.natives.len(),
                state.owner,
                state.native_owner
            )
        });
        Ok(())
    }

    fn violation(state: &BadgeState) -> Option<Violation> {
        let detail = format!(
            "badge {} of {}: {}",
            state.id,
            state.contract,
            state.violation.as_ref()?
        );
        Some(Violation { id: "BA-1", detail })
    }
}
