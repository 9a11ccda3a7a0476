//! What governed treasuries may spend, counted as the contract counts. Pure.
//!
//! A budget is what an executed `set-budget` says: so much of an asset in so many burn blocks. The first payment after a
//! period's end begins the next one. A proposed `spend` that is still live is planned.

use std::collections::BTreeMap;

use serde::Serialize;
use stxworx_clarity::codec::Principal;
use stxworx_clarity::events::security::SecurityEvent;
use stxworx_clarity::events::{self, Event};
use utoipa::ToSchema;

use super::MoneyAction;
use crate::store::StoreError;
use crate::store::ledger::dao::ActionRow;
use crate::store::ledger::{Net, Side};
use crate::store::read::market::{ActionState, ActionStatus};

/// A budget, and what was made of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct BudgetUse {
    /// The governed treasury.
    pub contract: String,
    /// `STX`, or the id of a token's contract.
    pub asset: String,
    /// Base units per period.
    pub amount: String,
    /// Burn blocks of a period, decimal.
    pub period: String,
    /// Burn height at which the newest period began, decimal.
    pub since: String,
    /// Burn height from which on the next payment begins a new period, decimal.
    pub until: String,
    /// Base units spent in the newest period.
    pub spent: String,
    /// Base units that may be spent now: all of it once the period is over.
    pub left: String,
    /// Base units that live proposals would pay.
    pub planned: String,
    /// How many proposals that are.
    pub planned_count: u64,
}

#[derive(Debug, Clone, Copy)]
struct Budget {
    amount: u128,
    period: u128,
    since: u128,
    spent: u128,
}

/// Budgets by contract and asset, and the epochs of signers.
#[derive(Debug, Default)]
pub struct Budgets {
    budgets: BTreeMap<(String, String), Budget>,
    epochs: BTreeMap<String, u128>,
}

fn name(asset: Option<&Principal>) -> String {
    asset.map_or_else(|| "STX".to_owned(), ToString::to_string)
}

impl Budgets {
    /// Takes the next print of a governed treasury. One that cannot be read sets nothing.
    pub fn take(&mut self, contract: &str, raw: &[u8]) {
        let Ok(envelope) = events::decode(SecurityEvent::CONTRACT, raw) else {
            return;
        };
        let Event::Security(event) = envelope.event else {
            return;
        };
        let of = |asset: Option<&Principal>| (contract.to_owned(), name(asset));
        match event {
            SecurityEvent::BudgetSet(e) => {
                let budget = Budget {
                    amount: e.amount.0,
                    period: e.period.0,
                    since: envelope.burn_height,
                    spent: 0,
                };
                self.budgets.insert(of(e.asset.as_ref()), budget);
            }
            SecurityEvent::Spent(e) => {
                if let Some(budget) = self.budgets.get_mut(&of(e.asset.as_ref())) {
                    if envelope.burn_height >= budget.end() {
                        (budget.since, budget.spent) = (envelope.burn_height, 0);
                    }
                    // The contract refuses what passes its budget.
                    budget.spent = budget.spent.saturating_add(e.amount.0);
                }
            }
            SecurityEvent::SignersChanged(e) => {
                self.epochs.insert(contract.to_owned(), e.epoch.0);
            }
            _ => {}
        }
    }

    /// An action as it is shown at this burn height.
    ///
    /// # Errors
    /// When its state cannot be read.
    pub fn action(&self, row: &ActionRow, now: u64) -> Result<MoneyAction, StoreError> {
        let state: ActionState =
            serde_json::from_value(row.state.clone()).map_err(|e| StoreError::Corrupt {
                table: "projection_version",
                detail: format!("a governed action: {e}"),
            })?;
        let epoch = self.epochs.get(&state.contract);
        let live = state.status == ActionStatus::Pending
            && now <= state.expires
            && epoch.is_none_or(|epoch| *epoch == u128::from(state.epoch));
        let status = match state.status {
            ActionStatus::Pending => "pending",
            ActionStatus::Executed => "executed",
            ActionStatus::Cancelled => "cancelled",
        };
        Ok(MoneyAction {
            live,
            status: status.to_owned(),
            contract: state.contract,
            id: state.id,
            kind: state.kind,
            args: state.args,
            proposer: state.proposer,
            approvals: state.approvals,
            rejections: state.rejections,
            eta: state.eta,
            expires: state.expires,
            executed: state.executed.map(|txid| txid.to_string()),
            height: row.height,
            journals: row.journals.clone(),
        })
    }

    /// Every budget, with what was spent of it and what is planned.
    pub fn rows(&self, now: u64, actions: &[MoneyAction]) -> Vec<BudgetUse> {
        let of = |((contract, asset), budget): (&(String, String), &Budget)| {
            let planned = actions.iter().filter(|a| {
                a.live && a.kind == "spend" && a.contract == *contract && planned_asset(a) == *asset
            });
            let (mut sum, mut count) = (Net::default(), 0);
            for amount in planned.filter_map(|a| units(&a.args["n1"])) {
                sum.add(Side::Debit, amount);
                count += 1;
            }
            let over = u128::from(now) >= budget.end();
            let spent = if over { 0 } else { budget.spent };
            BudgetUse {
                contract: contract.clone(),
                asset: asset.clone(),
                amount: budget.amount.to_string(),
                period: budget.period.to_string(),
                since: budget.since.to_string(),
                until: budget.end().to_string(),
                spent: budget.spent.to_string(),
                left: budget.amount.saturating_sub(spent).to_string(),
                planned: sum.to_string(),
                planned_count: count,
            }
        };
        self.budgets.iter().map(of).collect()
    }
}

impl Budget {
    fn end(&self) -> u128 {
        self.since.saturating_add(self.period)
    }
}

/// A number of an action's arguments, which JSON has as a number or as text.
fn units(value: &serde_json::Value) -> Option<u128> {
    match value {
        serde_json::Value::String(text) => text.parse().ok(),
        other => other.to_string().parse().ok(),
    }
}

fn planned_asset(action: &MoneyAction) -> String {
    action.args["p2"].as_str().unwrap_or("STX").to_owned()
}
