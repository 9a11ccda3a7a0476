//! What happens at each followed contract, in numbers.

use serde::{Deserialize, Serialize};

use super::{Fact, Projection};
use crate::model::change::position;
use crate::model::{Block, EventKind, FollowSet, TxStatus};

/// Projection `contract_activity`; the entity is the contract id.
#[derive(Debug)]
pub struct ContractActivity;

/// Counts since the mirror's origin.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActivityState {
    /// Height of the first block in which the contract occurs.
    pub first_height: Option<u32>,
    /// Height of the last one.
    pub last_height: u32,
    /// Transactions that called it, or deployed it, and succeeded.
    pub calls_succeeded: u64,
    /// Transactions that called it, or tried to deploy it, and did not succeed.
    pub calls_failed: u64,
    /// Prints.
    pub prints: u64,
    /// Other events: of its tokens, and of assets that it sent or received.
    pub movements: u64,
}

/// What is counted.
#[derive(Debug)]
pub enum Activity {
    /// A transaction named the contract.
    Call {
        /// Did it succeed?
        succeeded: bool,
    },
    /// The contract printed.
    Print,
    /// Its token, or an asset of its own, moved.
    Movement,
}

impl Projection for ContractActivity {
    type State = ActivityState;
    type Fact = Activity;

    const ID: i16 = 2;
    const NAME: &'static str = "contract_activity";
    const VERSION: i32 = 1;

    fn facts(&self, block: &Block, follow: &FollowSet) -> Vec<Fact<Activity>> {
        let fact = |contract: &str, fact| Fact {
            entity: contract.to_owned(),
            position: position(0, 0),
            fact,
        };
        let mut facts = Vec::new();
        for transaction in &block.transactions {
            if let Some(contract) = transaction
                .contract
                .as_deref()
                .filter(|c| follow.follows_contract(c))
            {
                let succeeded = transaction.status == TxStatus::Success;
                facts.push(fact(contract, Activity::Call { succeeded }));
            }
        }
        for event in &block.events {
            if event.body.kind == EventKind::Contract {
                if let Some(contract) = event
                    .body
                    .contract
                    .as_deref()
                    .filter(|c| follow.follows_contract(c))
                {
                    facts.push(fact(contract, Activity::Print));
                }
                continue;
            }
            let mut concerned: Vec<&str> = [
                &event.body.contract,
                &event.body.sender,
                &event.body.recipient,
            ]
            .into_iter()
            .filter_map(|name| name.as_deref())
            .filter(|name| name.contains('.') && follow.follows_contract(name))
            .collect();
            concerned.sort_unstable();
            concerned.dedup();
            facts.extend(
                concerned
                    .into_iter()
                    .map(|contract| fact(contract, Activity::Movement)),
            );
        }
        facts
    }

    fn fold(
        &self,
        state: &mut ActivityState,
        block: &Block,
        fact: &Activity,
    ) -> Result<(), String> {
        let height = block.header.height;
        state.first_height.get_or_insert(height);
        state.last_height = height;
        match fact {
            Activity::Call { succeeded: true } => state.calls_succeeded += 1,
            Activity::Call { succeeded: false } => state.calls_failed += 1,
            Activity::Print => state.prints += 1,
            Activity::Movement => state.movements += 1,
        }
        Ok(())
    }
}
