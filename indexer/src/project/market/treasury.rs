//! What treasuries earned in fees, and what the governed one spent.

use serde::{Deserialize, Serialize};
use stxworx_clarity::events::logic::LogicEvent;
use stxworx_clarity::events::security::SecurityEvent;
use stxworx_clarity::events::{self, Event as Typed};
use utoipa::ToSchema;

use super::{Units, asset_name, name_of, prints};
use crate::model::change::position;
use crate::model::{Block, FollowSet, TxId};
use crate::project::{Fact, Projection};

/// Projection `treasury`; the entity is `PRINCIPAL|ASSET`, the asset being `STX` or a token's contract.
#[derive(Debug)]
pub struct Treasury;

/// A treasury's income and spending in one asset, base units.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TreasuryState {
    /// Fees of settled milestones.
    pub fees: Units,
    /// Milestones that paid a fee.
    pub fee_count: u64,
    /// Paid out by governed actions.
    pub spent: Units,
    /// How many such payments.
    pub spend_count: u64,
    /// The last movement.
    #[schema(value_type = Option<String>)]
    pub last: Option<TxId>,
}

/// A fee in, or a payment out.
#[derive(Debug)]
pub struct TreasuryFact {
    txid: TxId,
    fee: Option<u128>,
    spent: Option<u128>,
}

impl Projection for Treasury {
    type State = TreasuryState;
    type Fact = TreasuryFact;

    const ID: i16 = 17;
    const NAME: &'static str = "treasury";
    const VERSION: i32 = 1;

    fn facts(&self, block: &Block, follow: &FollowSet) -> Vec<Fact<TreasuryFact>> {
        let mut facts = Vec::new();
        for (event, contract, raw, txid) in prints(block, follow) {
            let name = name_of(contract);
            if ![LogicEvent::CONTRACT, SecurityEvent::CONTRACT].contains(&name) {
                continue;
            }
            let Ok(envelope) = events::decode(name, raw) else {
                continue;
            };
            let (treasury, asset, fee, spent) = match &envelope.event {
                Typed::Logic(LogicEvent::MilestoneSettled(e)) if e.fee.0 > 0 => {
                    (e.treasury.to_string(), &e.asset, Some(e.fee.0), None)
                }
                Typed::Security(SecurityEvent::Spent(e)) => {
                    (contract.to_owned(), &e.asset, None, Some(e.amount.0))
                }
                _ => continue,
            };
            facts.push(Fact {
                entity: format!("{treasury}|{}", asset_name(asset.as_ref())),
                position: position(event.tx_index, event.ordinal),
                fact: TreasuryFact { txid, fee, spent },
            });
        }
        facts
    }

    fn fold(
        &self,
        state: &mut TreasuryState,
        _: &Block,
        fact: &TreasuryFact,
    ) -> Result<(), String> {
        if let Some(fee) = fact.fee {
            state.fees.add(fee)?;
            state.fee_count += 1;
        }
        if let Some(spent) = fact.spent {
            state.spent.add(spent)?;
            state.spend_count += 1;
        }
        state.last = Some(fact.txid);
        Ok(())
    }
}
