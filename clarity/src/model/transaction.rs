//! Whole transactions: fee, call or transfer, post-conditions.

use std::collections::BTreeMap;

use crate::codec::transaction::{
    ConditionPrincipal, FungibleCode, NonFungibleCode, Payload, PostCondition, PostConditionMode,
};
use crate::codec::{Principal, Transaction, Value};

use super::ledger::Movement;
use super::{Asset, Call, Failure, Model};

/// How a transaction ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It took effect; the value is the whole response.
    Success(Value),
    /// The function answered with an error, which is the value, or broke: `(err none)`.
    Refused(Value),
    /// It would have moved more, or other things, than its post-conditions allow. The value is what
    /// the function answered.
    PostCondition(Value),
}

impl Model {
    /// Applies a mined transaction: takes the fee, carries it out, and undoes all but the fee if a
    /// post-condition does not hold. Coinbases, tenure changes and deployments cost their fee only.
    pub fn apply(&mut self, transaction: &Transaction, burn_height: u32) -> Verdict {
        let origin = transaction.origin_address();
        let payer = transaction.sponsor_address().unwrap_or(origin.clone());
        self.ledger.debit_stx(&payer, u128::from(transaction.fee()));
        let before = self.clone();
        let response = self.carry_out(transaction, &origin, burn_height);
        match response {
            Err(Failure::Code(code)) => Verdict::Refused(Value::err(Value::UInt(code))),
            Err(Failure::Aborted) => Verdict::Refused(Value::err(Value::None)),
            Ok(value) => {
                let value = Value::ok(value);
                if self.conditions_hold(transaction, &origin) {
                    Verdict::Success(value)
                } else {
                    *self = before;
                    Verdict::PostCondition(value)
                }
            }
        }
    }

    fn carry_out(
        &mut self,
        transaction: &Transaction,
        origin: &Principal,
        burn_height: u32,
    ) -> Result<Value, Failure> {
        match &transaction.payload {
            Payload::ContractCall {
                contract,
                function,
                arguments,
            } => {
                let arguments: Vec<_> = arguments.iter().map(|value| value.to_value()).collect();
                let call = Call {
                    caller: origin.clone(),
                    burn_height: u128::from(burn_height),
                };
                let contract = Principal::Contract(contract.clone());
                self.call(&call, &contract, function.as_str(), &arguments)
            }
            Payload::TokenTransfer {
                recipient, amount, ..
            } => {
                self.ledger.movements.clear();
                let amount = u128::from(*amount);
                self.ledger.transfer(&None, amount, origin, recipient)?;
                // The node checks no post-conditions on a plain transfer.
                self.ledger.movements.clear();
                Ok(Value::Bool(true))
            }
            _ => {
                self.ledger.movements.clear();
                Ok(Value::Bool(true))
            }
        }
    }

    fn conditions_hold(&self, transaction: &Transaction, origin: &Principal) -> bool {
        if !matches!(transaction.payload, Payload::ContractCall { .. }) {
            return true;
        }
        let mut sent: BTreeMap<(Asset, Principal), u128> = BTreeMap::new();
        let mut badges: BTreeMap<(u128, Principal), bool> = BTreeMap::new();
        for movement in self.movements() {
            match movement {
                Movement::Fungible {
                    asset,
                    from,
                    amount,
                } => {
                    let total = sent.entry((asset.clone(), from.clone())).or_default();
                    *total = total.saturating_add(*amount);
                }
                Movement::Badge { id, from } => {
                    badges.insert((*id, from.clone()), false);
                }
            }
        }
        let mut covered = Vec::new();
        for condition in &transaction.post_conditions {
            match condition {
                PostCondition::Stx {
                    principal,
                    code,
                    amount,
                } => {
                    let key = (None, whose(principal, origin));
                    let moved = sent.get(&key).copied().unwrap_or_default();
                    if !compares(*code, moved, u128::from(*amount)) {
                        return false;
                    }
                    covered.push(key);
                }
                PostCondition::Fungible {
                    principal,
                    asset,
                    code,
                    amount,
                } => {
                    let token = Principal::Contract(asset.contract.clone());
                    let key = (Some(token), whose(principal, origin));
                    let moved = sent.get(&key).copied().unwrap_or_default();
                    if !compares(*code, moved, u128::from(*amount)) {
                        return false;
                    }
                    covered.push(key);
                }
                PostCondition::NonFungible {
                    principal,
                    id,
                    code,
                    ..
                } => {
                    let id = id.value().to_value().as_u128().unwrap_or_default();
                    let moved = badges.get_mut(&(id, whose(principal, origin)));
                    let holds = match code {
                        NonFungibleCode::Sent => moved.is_some(),
                        NonFungibleCode::NotSent => moved.is_none(),
                        _ => true,
                    };
                    if !holds {
                        return false;
                    }
                    if let Some(seen) = moved {
                        *seen = true;
                    }
                }
                // No contract of the model stacks.
                PostCondition::Staking { .. } | PostCondition::Pox { .. } => {}
            }
        }
        transaction.post_condition_mode != PostConditionMode::Deny
            || sent.keys().all(|key| covered.contains(key)) && badges.values().all(|seen| *seen)
    }
}

fn whose(principal: &ConditionPrincipal, origin: &Principal) -> Principal {
    match principal {
        ConditionPrincipal::Origin => origin.clone(),
        ConditionPrincipal::Standard(address) => Principal::Standard(*address),
        ConditionPrincipal::Contract(contract) => Principal::Contract(contract.clone()),
    }
}

fn compares(code: FungibleCode, moved: u128, amount: u128) -> bool {
    match code {
        FungibleCode::Equal => moved == amount,
        FungibleCode::Greater => moved > amount,
        FungibleCode::GreaterOrEqual => moved >= amount,
        FungibleCode::Less => moved < amount,
        FungibleCode::LessOrEqual => moved <= amount,
        FungibleCode::Unknown(_) => false,
    }
}
