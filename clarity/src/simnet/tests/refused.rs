//! What the mempool does not take, and why.

use super::*;
use crate::codec::transaction::{Auth, MAINNET_VERSION, Role, SignerKey, SpendingCondition};

fn transfer(to: &Principal, amount: u64) -> Payload {
    Payload::TokenTransfer {
        recipient: to.clone(),
        amount,
        memo: [0; 34],
    }
}

fn refusal(chain: &mut Simnet, raw: &[u8]) -> Rejection {
    let before = chain.waiting();
    let refused = chain.submit(raw).expect_err("a refusal");
    assert_eq!(chain.waiting(), before, "nothing was admitted");
    refused
}

fn refused(chain: &mut Simnet, who: &Actor, nonce: u64, fee: u64, payload: Payload) -> Rejection {
    let tx = who.sign(nonce, fee, payload, Conditions::None);
    refusal(chain, &tx.encode())
}

#[test]
fn every_reason_to_refuse_is_met() {
    let mut chain = marketplace();
    let (client, freelancer) = (Actor::of("client-1"), Actor::of("freelancer-1"));
    let to = freelancer.principal();
    let mut reasons = Vec::new();
    let mut met = |rejection: Rejection| {
        let json = rejection.to_json(None);
        assert_eq!(json["error"], "transaction rejected");
        assert_eq!(json["reason"], rejection.reason());
        assert!(!rejection.to_string().is_empty());
        reasons.push(rejection.reason());
    };

    met(refusal(&mut chain, b"no transaction"));
    let sound = client.sign(0, 1_000, transfer(&to, 5), Conditions::None);
    let mut forged = sound.clone();
    if let Payload::TokenTransfer { amount, .. } = &mut forged.payload {
        *amount = 6;
    }
    met(refusal(&mut chain, &forged.encode()));
    met(refused(&mut chain, &client, 0, 1, transfer(&to, 5)));
    met(refused(&mut chain, &client, 99, 1_000, transfer(&to, 5)));
    met(refused(
        &mut chain,
        &Actor::of("deployer"),
        0,
        1_000,
        transfer(&to, 5),
    ));
    met(refused(
        &mut chain,
        &Actor::of("nobody"),
        0,
        1_000,
        transfer(&to, 5),
    ));
    met(refused(
        &mut chain,
        &client,
        0,
        1_000,
        transfer(&client.principal(), 5),
    ));
    met(refused(&mut chain, &client, 0, 1_000, transfer(&to, 0)));
    let mainnet = "SP3FBR2AGK5H9QBDH3EEN6DF8EK8JY7RX8QJ5SVTE"
        .parse()
        .expect("an address");
    met(refused(
        &mut chain,
        &client,
        0,
        1_000,
        transfer(&mainnet, 5),
    ));

    let logic = Actor::of("deployer").contract("freelance-logic");
    let missing = Actor::of("deployer").contract("nothing");
    for (contract, function, arguments) in [
        (&missing, "release", vec![]),
        (&logic, "no-such-function", vec![]),
        (&logic, "release", vec![uint(1)]),
        (&logic, "release", vec![uint(1), uint(1), uint(1)]),
        (&logic, "pay", vec![uint(1)]),
    ] {
        met(refused(
            &mut chain,
            &client,
            0,
            1_000,
            call(contract, function, &arguments),
        ));
    }
    let (name, source) = SOURCES[0];
    let nonce = chain.next_nonce(&Actor::of("deployer").principal());
    met(refused(
        &mut chain,
        &Actor::of("deployer"),
        nonce,
        100_000,
        deploy(name, source),
    ));

    chain.submit(&sound.encode()).expect("admitted");
    assert_eq!(chain.submit(&sound.encode()), Ok(sound.txid()), "again");
    met(refused(&mut chain, &client, 0, 1_000, transfer(&to, 7)));
    let higher = client.sign(0, 2_000, transfer(&to, 7), Conditions::None);
    chain
        .submit(&higher.encode())
        .expect("replaces the cheaper one");
    assert_eq!(chain.waiting(), 1);

    let mut other_chain = client.sign(1, 1_000, transfer(&to, 5), Conditions::None);
    other_chain.version = MAINNET_VERSION;
    let key = SignerKey::of_secret(&client.secret);
    other_chain.auth = Auth::Standard(SpendingCondition::single_sig(key, 1, 1_000));
    other_chain
        .sign(Role::Origin, &client.secret)
        .expect("a signature");
    met(refusal(&mut chain, &other_chain.encode()));

    let block = chain.mine(10).expect("a block");
    let first = chain
        .block(&chain.at_height(1).expect("block 1").header.id)
        .expect("block 1");
    assert!(block.header.height > 1);
    for receipt in &first.receipts {
        if matches!(
            receipt.transaction.payload,
            Payload::TenureChange(_) | Payload::NakamotoCoinbase { .. }
        ) {
            met(refusal(&mut chain, &receipt.transaction.encode()));
        }
    }
    reasons.sort_unstable();
    reasons.dedup();
    let expected = [
        "BadAddressVersionByte",
        "BadFunctionArgument",
        "BadNonce",
        "BadTransactionVersion",
        "ConflictingNonceInMempool",
        "ContractAlreadyExists",
        "Deserialization",
        "FeeTooLow",
        "NoCoinbaseViaMempool",
        "NoSuchContract",
        "NoSuchPublicFunction",
        "NoTenureChangeViaMempool",
        "NotEnoughFunds",
        "SignatureValidation",
        "TooMuchChaining",
        "TransferAmountMustBePositive",
        "TransferRecipientCannotEqualSender",
    ];
    assert_eq!(reasons, expected);
}

#[test]
fn sources_that_are_no_contract_say_where_and_cost_their_fee() {
    for (source, place) in [
        ("(define-public (f) (ok true)", None),
        ("(ok true))", Some((1, 10))),
        (
            "(define-constant A u1)\n  (define-public (f) (ok nothing))",
            Some((2, 26)),
        ),
        ("(define-public (f)\n  (+ u1 true))", Some((2, 3))),
    ] {
        let mut chain = marketplace();
        let client = Actor::of("client-1");
        send(
            &mut chain,
            &client,
            deploy("broken", source),
            Conditions::None,
        );
        let block = chain.mine(10).expect("a block");
        let receipt = &block.receipts[block.receipts.len() - 1];
        assert_eq!(receipt.status, TxStatus::AbortByResponse, "{source}");
        let words = receipt.vm_error.clone().expect("words");
        if let Some((line, column)) = place {
            assert!(
                words.contains(&format!("{line}:{column}")),
                "{source}: {words}"
            );
        }
        let there = chain.source(&block.header.id, &client.contract("broken"));
        assert_eq!(there, Ok(None));
        let account = chain
            .account(&block.header.id, &client.principal())
            .expect("an account");
        assert_eq!((account.nonce, account.balance), (1, MILLION_STX - 1_000));
    }
}
