//! The model against the contracts on the simnet: the marketplace with forks, and random calls.

mod marketplace;
mod random;

use std::collections::{BTreeMap, HashMap};

use super::*;
use crate::codec::ContractId;
use crate::codec::transaction::Payload;
use crate::market::Actor;
use crate::simnet::{BlockId, Receipt, SealedBlock, Simnet, TxStatus};

/// State of the contracts as the chain keeps it: map and key, or variable, to value.
type Image = BTreeMap<(Principal, &'static str, Vec<u8>), Vec<u8>>;

/// The model as of every block of a chain, of all its forks.
struct Shadow {
    models: HashMap<BlockId, Model>,
    /// Functions called, with how they ended: `ok`, a code, `none` for a broken call, `post`.
    seen: BTreeMap<(String, String), u64>,
}

fn contract(who: &Principal) -> &ContractId {
    who.as_contract().expect("a contract")
}

impl Shadow {
    /// Starts at the genesis block, before the contracts are there; until then their state is not
    /// looked at.
    fn new(chain: &Simnet, genesis: &[(Principal, u128)]) -> Self {
        let signers: Vec<_> = (1..=5)
            .map(|n| Actor::of(&format!("signer-{n}")).principal())
            .collect();
        let contracts = Contracts::of(Actor::of("deployer").address);
        let mut model = Model::deployed(contracts, &signers);
        for (who, amount) in genesis {
            model.ledger.credit_stx(who, *amount);
        }
        Self {
            models: HashMap::from([(chain.tip().header.id, model)]),
            seen: BTreeMap::new(),
        }
    }

    fn model(&self, id: &BlockId) -> &Model {
        &self.models[id]
    }

    /// Predicts every receipt of a new block, then compares the state that changed.
    fn follow(&mut self, chain: &Simnet, block: &SealedBlock) {
        let header = &block.header;
        let before = &self.models[&header.parent];
        let mut after = before.clone();
        for receipt in &block.receipts {
            let verdict = after.apply(&receipt.transaction, header.burn.height);
            check_receipt(receipt, &verdict);
            if let Some(key) = outcome(receipt, &verdict, &after) {
                *self.seen.entry(key).or_default() += 1;
            }
        }
        let deployed = chain
            .source(&header.id, contract(&after.contracts.security))
            .expect("a state")
            .is_some();
        if deployed {
            let fresh = header.height <= 1;
            compare(
                chain,
                &header.id,
                &if fresh { Image::new() } else { image(before) },
                &after,
            );
        }
        self.models.insert(header.id, after);
    }
}

/// The function, or the kind of an executed action, and how the call ended.
fn outcome(receipt: &Receipt, verdict: &Verdict, after: &Model) -> Option<(String, String)> {
    let Payload::ContractCall {
        function,
        arguments,
        ..
    } = &receipt.transaction.payload
    else {
        return None;
    };
    let id = arguments.iter().next().and_then(|v| v.to_value().as_u128());
    let name = match id.and_then(|id| after.security.actions.get(&id)) {
        Some(action) if function.as_str() == "execute" => format!("execute-{}", action.kind),
        _ => function.to_string(),
    };
    let end = match verdict {
        Verdict::Success(_) => "ok".to_owned(),
        Verdict::PostCondition(_) => "post".to_owned(),
        Verdict::Refused(value) => match value.as_response() {
            Some(Err(Value::UInt(code))) => code.to_string(),
            _ => "none".to_owned(),
        },
    };
    Some((name, end))
}

fn check_receipt(receipt: &Receipt, verdict: &Verdict) {
    let what = match &receipt.transaction.payload {
        Payload::ContractCall {
            contract,
            function,
            arguments,
        } => format!("{contract} {function} {arguments:?}"),
        Payload::TokenTransfer { .. } => "a transfer".to_owned(),
        _ => {
            assert_eq!(receipt.status, TxStatus::Success, "{:?}", receipt.vm_error);
            return;
        }
    };
    let (status, value) = match verdict {
        Verdict::Success(value) => (TxStatus::Success, value),
        Verdict::Refused(value) => (TxStatus::AbortByResponse, value),
        Verdict::PostCondition(value) => (TxStatus::AbortByPostCondition, value),
    };
    let who = receipt.transaction.origin_address();
    let found = Value::decode_exact(&receipt.raw_result).expect("a value");
    assert_eq!(
        (receipt.status, &found),
        (status, value),
        "{what} of {who}: {:?}",
        receipt.vm_error
    );
}

fn image(model: &Model) -> Image {
    let entries = model.entries().expect("legal values");
    entries
        .into_iter()
        .map(|e| ((e.contract, e.map, e.key.encode()), e.value.encode()))
        .collect()
}

/// Compares what the model says that changed since `before`, all variables, and what the contracts
/// hold, with the chain.
fn compare(chain: &Simnet, at: &BlockId, before: &Image, model: &Model) {
    let after = image(model);
    for (place, value) in &after {
        if before.get(place) != Some(value) {
            expect_entry(chain, at, place, Some(value));
        }
    }
    for place in before.keys() {
        if !after.contains_key(place) {
            expect_entry(chain, at, place, None);
        }
    }
    for variable in model.variables().expect("legal values") {
        let id = contract(&variable.contract);
        let found = chain.data_var(at, id, variable.name).expect("a state");
        assert_eq!(
            found.map(|raw| Value::decode_exact(&raw).expect("a value")),
            Some(variable.value),
            "{id} {}",
            variable.name
        );
    }
    for who in [&model.contracts.logic, &model.contracts.security] {
        let found = chain.account(at, who).expect("a state").balance;
        assert_eq!(found, model.balance(&None, who), "STX of {who}");
    }
    for asset in model.logic.assets.keys() {
        assert!(
            model.unattributed(asset).is_some(),
            "the escrow owes more than it has"
        );
    }
}

fn expect_entry(
    chain: &Simnet,
    at: &BlockId,
    (place, map, key): &(Principal, &'static str, Vec<u8>),
    value: Option<&Vec<u8>>,
) {
    let key = Value::decode_exact(key).expect("a key");
    let found = chain
        .map_entry(at, contract(place), map, &key)
        .expect("a state");
    let found = found.map(|raw| Value::decode_exact(&raw).expect("a value"));
    let expected = match value {
        None => Value::None,
        Some(raw) => Value::some(Value::decode_exact(raw).expect("a value")),
    };
    assert_eq!(
        found.unwrap_or(Value::None),
        expected,
        "{place} {map} {key}"
    );
}

/// Compares everybody's balances with the chain.
fn compare_balances(chain: &mut Simnet, at: &BlockId, model: &Model) {
    for (who, amount) in model.ledger.holders(&None) {
        let found = chain.account(at, who).expect("a state").balance;
        assert_eq!(found, amount, "STX of {who}");
    }
    let token = model.contracts.token.clone();
    for (who, amount) in model.ledger.holders(&Some(token.clone())) {
        let args = [Value::Principal(who.clone())];
        let found = chain
            .call_read(at, who, contract(&token), "get-balance", &args)
            .expect("a balance");
        assert_eq!(found, Value::ok(Value::UInt(amount)), "tokens of {who}");
    }
}
