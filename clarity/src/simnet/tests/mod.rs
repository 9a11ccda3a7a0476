//! The chain from outside: the platform's contracts on it, forks, and what is refused.

mod execution;
mod forks;
mod refused;

use sha2::{Digest as _, Sha256};

use super::*;
use crate::codec::Value;
use crate::codec::transaction::{ConditionPrincipal, FungibleCode, Payload, PostCondition};
use crate::market::{Actor, Conditions, SOURCES, call, deploy};

const MILLION_STX: u128 = 1_000_000_000_000;

fn funded(roles: &[&str]) -> Simnet {
    let genesis = roles
        .iter()
        .map(|r| (Actor::of(r).principal(), MILLION_STX))
        .collect();
    Simnet::new(SimnetConfig {
        genesis,
        ..SimnetConfig::default()
    })
    .expect("a chain")
}

fn send(chain: &mut Simnet, who: &Actor, payload: Payload, conditions: Conditions) -> TxId {
    let nonce = chain.next_nonce(&who.principal());
    let tx = who.sign(nonce, 1_000, payload, conditions);
    chain.submit(&tx.encode()).unwrap_or_else(|e| panic!("{e}"))
}

/// A chain with the contracts deployed.
fn marketplace() -> Simnet {
    let mut chain = funded(&["deployer", "client-1", "freelancer-1"]);
    chain.burn(1);
    for (name, source) in SOURCES {
        send(
            &mut chain,
            &Actor::of("deployer"),
            deploy(name, source),
            Conditions::None,
        );
    }
    let block = chain.mine(100).expect("a block");
    for receipt in &block.receipts {
        assert_eq!(receipt.status, TxStatus::Success, "{:?}", receipt.vm_error);
    }
    chain
}

fn uint(n: u128) -> Value {
    Value::UInt(n)
}

fn tuple(fields: &[(&str, Value)]) -> Value {
    Value::tuple(fields.iter().map(|(n, v)| (*n, v.clone()))).expect("a tuple")
}

fn open_project(due: u32) -> Payload {
    let terms = tuple(&[("amount", uint(5_000)), ("due", uint(due.into()))]);
    let arguments = [
        Value::Principal(Actor::of("freelancer-1").principal()),
        Value::None,
        Value::List(vec![terms]),
        uint(5_000),
        Value::Buffer(vec![7; 32]),
        Value::None,
    ];
    call(
        &Actor::of("deployer").contract("freelance-logic"),
        "open-project",
        &arguments,
    )
}

#[test]
fn a_project_is_opened_and_its_events_are_chained() {
    let mut chain = marketplace();
    let client = Actor::of("client-1");
    let logic = Actor::of("deployer").contract("freelance-logic");
    let exact = PostCondition::Stx {
        principal: ConditionPrincipal::Origin,
        code: FungibleCode::Equal,
        amount: 5_000,
    };
    send(
        &mut chain,
        &client,
        open_project(200),
        Conditions::Exactly(vec![exact]),
    );
    let block = chain.mine(10).expect("a block");
    let receipt = &block.receipts[block.receipts.len() - 1];
    assert_eq!(receipt.status, TxStatus::Success, "{:?}", receipt.vm_error);
    let (contract, raw) = receipt
        .events
        .iter()
        .find_map(SimEvent::print)
        .expect("a print");
    assert_eq!(contract, logic.to_string());
    let cursor = chain
        .call_read(
            &block.header.id,
            &client.principal(),
            &logic,
            "get-cursor",
            &[],
        )
        .expect("a cursor");
    let expected = tuple(&[
        ("head", Value::Buffer(Sha256::digest(&raw).to_vec())),
        ("seq", uint(3)),
    ]);
    assert_eq!(cursor, expected);
    let escrow = chain
        .account(&block.header.id, &Principal::Contract(logic))
        .expect("an account");
    assert_eq!(escrow.balance, 5_000);
}
