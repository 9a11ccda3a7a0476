//! What each escrow holds of each asset, told twice: by its events and by the transfers of its money.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use stxworx_clarity::events::Event as Typed;
use stxworx_clarity::events::logic::LogicEvent;
use utoipa::ToSchema;

use super::{Units, asset_name, name_of, seen, small};
use crate::model::change::position;
use crate::model::{Block, EventKind, FollowSet};
use crate::project::{Fact, Projection, Violation};

/// Projection `assets`; the entity is `CONTRACT|ASSET`, the asset being `STX` or a token's contract.
#[derive(Debug)]
pub struct Assets;

/// An asset of an escrow, in base units.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AssetState {
    /// The escrow.
    pub contract: String,
    /// `STX` or the token's contract.
    pub asset: String,
    /// May be escrowed.
    pub enabled: bool,
    /// Largest milestone.
    pub max: Units,
    /// Digits after the point.
    pub decimals: u64,
    /// In milestones that are not settled, as the contract counts.
    pub locked: Units,
    /// Ever locked.
    pub deposited: Units,
    /// To freelancers.
    pub paid: Units,
    /// To the treasury.
    pub fees: Units,
    /// Back to clients.
    pub refunded: Units,
    /// Transferred to the escrow, for whatever reason.
    pub received: Units,
    /// Transferred from the escrow.
    pub sent: Units,
    /// Projects opened.
    pub projects: u64,
    /// Milestones settled.
    pub settlements: u64,
    /// The mirror began after the first deposit: sums count from there and are not checked.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
    /// What this very transaction broke: the invariant and the words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub violation: Option<(String, String)>,
}

/// What one transaction did to one asset of an escrow.
#[derive(Debug, Default)]
pub struct Movement {
    contract: String,
    asset: String,
    received: u128,
    sent: u128,
    events: Vec<LogicEvent>,
}

impl Movement {
    fn of<'a>(
        movements: &'a mut BTreeMap<(u32, String), Movement>,
        tx: u32,
        contract: &str,
        asset: &str,
    ) -> &'a mut Self {
        movements
            .entry((tx, format!("{contract}|{asset}")))
            .or_insert_with(|| Movement {
                contract: contract.to_owned(),
                asset: asset.to_owned(),
                ..Movement::default()
            })
    }
}

fn asset_of(event: &LogicEvent) -> Option<String> {
    Some(match event {
        LogicEvent::AssetSet(e) => asset_name(e.asset.as_ref()),
        LogicEvent::ProjectOpened(e) => asset_name(e.asset.as_ref()),
        LogicEvent::ProjectCancelled(e) => asset_name(e.asset.as_ref()),
        LogicEvent::MilestoneSettled(e) => asset_name(e.asset.as_ref()),
        _ => return None,
    })
}

impl Projection for Assets {
    type State = AssetState;
    type Fact = Movement;

    const ID: i16 = 11;
    const NAME: &'static str = "assets";
    const VERSION: i32 = 1;

    fn facts(&self, block: &Block, follow: &FollowSet) -> Vec<Fact<Movement>> {
        let mut movements = BTreeMap::new();
        for seen in seen(block, follow, LogicEvent::CONTRACT) {
            let Typed::Logic(event) = seen.envelope.event else {
                continue;
            };
            if let Some(asset) = asset_of(&event) {
                Movement::of(&mut movements, seen.event.tx_index, seen.contract, &asset)
                    .events
                    .push(event);
            }
        }
        let escrow = |who: &Option<String>| {
            let who = who.as_deref()?;
            (name_of(who) == LogicEvent::CONTRACT && follow.follows_contract(who))
                .then(|| who.to_owned())
        };
        for event in &block.events {
            let body = &event.body;
            let asset = match body.kind {
                EventKind::StxTransfer => "STX",
                EventKind::FtTransfer | EventKind::FtMint => {
                    body.contract.as_deref().unwrap_or_default()
                }
                _ => continue,
            };
            let amount = body.amount.unwrap_or(0);
            if let Some(contract) = escrow(&body.recipient) {
                let movement = Movement::of(&mut movements, event.tx_index, &contract, asset);
                movement.received = movement.received.saturating_add(amount);
            }
            if let Some(contract) = escrow(&body.sender) {
                let movement = Movement::of(&mut movements, event.tx_index, &contract, asset);
                movement.sent = movement.sent.saturating_add(amount);
            }
        }
        movements
            .into_iter()
            .map(|((tx_index, entity), fact)| Fact {
                entity,
                position: position(tx_index, 0),
                fact,
            })
            .collect()
    }

    fn fold(&self, state: &mut AssetState, _: &Block, fact: &Movement) -> Result<(), String> {
        state.contract.clone_from(&fact.contract);
        state.asset.clone_from(&fact.asset);
        state.violation = None;
        let before = state.locked.0;
        let mut told = before;
        for event in &fact.events {
            told = state.apply(event)?.unwrap_or(told);
        }
        state.received.add(fact.received)?;
        state.sent.add(fact.sent)?;
        state.violation = state.check(fact, before, told);
        // What the contract says is what goes on from here.
        state.locked = Units(told);
        Ok(())
    }

    fn violation(state: &AssetState) -> Option<Violation> {
        let (id, detail) = state.violation.as_ref()?;
        let id = ["MO-1", "MO-2", "MO-3"]
            .into_iter()
            .find(|known| known == id)?;
        let detail = format!("{} of {}: {detail}", state.asset, state.contract);
        Some(Violation { id, detail })
    }
}

impl AssetState {
    /// What is locked afterwards, as the event says.
    fn apply(&mut self, event: &LogicEvent) -> Result<Option<u128>, String> {
        Ok(match event {
            LogicEvent::AssetSet(e) => {
                (self.enabled, self.max, self.decimals) =
                    (e.enabled, Units(e.max.0), small(e.decimals.0));
                None
            }
            LogicEvent::ProjectOpened(e) => {
                if self.projects == 0 && e.locked_after.0 != e.total.0 {
                    self.partial = true;
                }
                self.deposited.add(e.total.0)?;
                self.projects += 1;
                Some(e.locked_after.0)
            }
            LogicEvent::ProjectCancelled(e) => {
                self.partial |= self.projects == 0;
                self.refunded.add(e.refunded.0)?;
                Some(e.locked_after.0)
            }
            LogicEvent::MilestoneSettled(e) => {
                self.partial |= self.projects == 0;
                self.paid.add(e.payout.0)?;
                self.fees.add(e.fee.0)?;
                self.refunded.add(e.refund.0)?;
                self.settlements += 1;
                Some(e.locked_after.0)
            }
            _ => None,
        })
    }

    fn check(&self, fact: &Movement, before: u128, told: u128) -> Option<(String, String)> {
        // Without a word from the contract there is nothing to hold its money against.
        if self.partial || self.projects == 0 {
            return None;
        }
        let violation = |id: &str, detail: String| Some((id.to_owned(), detail));
        let accounted = Units::sum(&[Units(told), self.paid, self.fees, self.refunded]);
        if accounted != Some(self.deposited.0) {
            let detail = format!(
                "{} were deposited; {told} are locked, {} paid, {} fees, {} refunded",
                self.deposited, self.paid, self.fees, self.refunded
            );
            return violation("MO-1", detail);
        }
        if !fact.events.is_empty()
            && before.checked_add(fact.received) != told.checked_add(fact.sent)
        {
            let detail = format!(
                "{} came and {} went, but what is locked went from {before} to {told}",
                fact.received, fact.sent
            );
            return violation("MO-3", detail);
        }
        match self.received.0.checked_sub(self.sent.0) {
            Some(balance) if balance >= told => None,
            balance => violation(
                "MO-2",
                format!("{told} are locked, and the balance is {balance:?}"),
            ),
        }
    }
}
