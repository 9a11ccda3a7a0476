//! What a call may do: all of it or nothing, never more than allowed, and never end the chain.

use proptest::prelude::*;

use super::*;
use crate::codec::ContractId;
use crate::codec::transaction::{Asset, NonFungibleCode};
use crate::codec::value::EncodedValue;

const VAULT: &str = "
(define-fungible-token coin)
(define-non-fungible-token card uint)
(define-data-var calls uint u0)
(define-private (count) (var-set calls (+ u1 (var-get calls))))
(define-public (send-stx (amount uint) (to principal)) (begin (count) (stx-transfer? amount tx-sender to)))
(define-public (send-twice (amount uint) (to principal))
  (begin (count) (try! (stx-transfer? amount tx-sender to)) (stx-transfer? amount tx-sender to)))
(define-public (send-coin (amount uint) (to principal)) (begin (count) (ft-transfer? coin amount tx-sender to)))
(define-public (send-card (id uint) (to principal)) (begin (count) (nft-transfer? card id tx-sender to)))
(define-public (then-fail (amount uint) (to principal))
  (begin (count) (try! (stx-transfer? amount tx-sender to)) (if (> amount u0) (err u7) (ok true))))
(define-public (then-break (amount uint) (to principal))
  (begin (count) (try! (stx-transfer? amount tx-sender to)) (ok (is-eq u1 (/ amount u0)))))
(ft-mint? coin u1000 'CLIENT)
(nft-mint? card u1 'CLIENT)
";

fn client() -> Actor {
    Actor::of("client-1")
}

fn vault() -> ContractId {
    Actor::of("deployer").contract("vault")
}

fn with_vault() -> Simnet {
    let mut chain = funded(&["deployer", "client-1", "freelancer-1"]);
    chain.burn(1);
    let source = VAULT.replace("CLIENT", &client().principal().to_string());
    send(
        &mut chain,
        &Actor::of("deployer"),
        deploy("vault", &source),
        Conditions::None,
    );
    let block = chain.mine(10).expect("a block");
    assert!(
        block.receipts.iter().all(|r| r.status == TxStatus::Success),
        "{block:?}"
    );
    chain
}

/// Calls the vault; the status, and the STX that reached the other side.
fn called(
    chain: &mut Simnet,
    function: &str,
    amount: u128,
    conditions: Conditions,
) -> (Receipt, u128, u128) {
    let to = Actor::of("freelancer-1").principal();
    let arguments = [uint(amount), Value::Principal(to.clone())];
    send(
        chain,
        &client(),
        call(&vault(), function, &arguments),
        conditions,
    );
    let block = chain.mine(10).expect("a block");
    let receipt = block.receipts[block.receipts.len() - 1].clone();
    let moved = chain
        .account(&block.header.id, &to)
        .expect("a state")
        .balance
        - MILLION_STX;
    let calls = chain
        .data_var(&block.header.id, &vault(), "calls")
        .expect("a state")
        .expect("there");
    let calls = Value::decode_exact(&calls)
        .expect("a value")
        .as_u128()
        .expect("a number");
    (receipt, moved, calls)
}

fn stx(code: FungibleCode, amount: u64) -> PostCondition {
    PostCondition::Stx {
        principal: ConditionPrincipal::Origin,
        code,
        amount,
    }
}

fn asset(name: &str) -> Asset {
    Asset {
        contract: vault(),
        name: crate::codec::ClarityName::new(name).expect("a name"),
    }
}

#[test]
fn a_call_that_fails_or_breaks_leaves_its_fee_and_nothing_else() {
    for function in ["then-fail", "then-break"] {
        let mut chain = with_vault();
        let (receipt, moved, calls) = called(&mut chain, function, 40, Conditions::None);
        assert_eq!(receipt.status, TxStatus::AbortByResponse, "{function}");
        assert_eq!(
            (moved, calls, receipt.events.len()),
            (0, 0, 0),
            "{function}"
        );
        let account = chain.account(&chain.tip().header.id, &client().principal());
        let account = account.expect("a state");
        assert_eq!((account.balance, account.nonce), (MILLION_STX - 1_000, 1));
        let broke = function == "then-break";
        assert_eq!(receipt.vm_error.is_some(), broke, "{:?}", receipt.vm_error);
        // The chain goes on.
        let (receipt, moved, calls) = called(&mut chain, "send-stx", 5, Conditions::None);
        assert_eq!((receipt.status, moved, calls), (TxStatus::Success, 5, 1));
    }
}

#[test]
fn post_conditions_of_every_kind_hold_or_undo() {
    use FungibleCode::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual};
    let coin = |code, amount| PostCondition::Fungible {
        principal: ConditionPrincipal::Origin,
        asset: asset("coin"),
        code,
        amount,
    };
    let card = |code| PostCondition::NonFungible {
        principal: ConditionPrincipal::Origin,
        asset: asset("card"),
        id: EncodedValue::new(&uint(1).encode()).expect("a value"),
        code,
    };
    let cases = [
        ("send-stx", 5, vec![], false),
        ("send-stx", 5, vec![stx(Equal, 5)], true),
        ("send-stx", 5, vec![stx(Equal, 4)], false),
        ("send-stx", 5, vec![stx(Greater, 5)], false),
        ("send-stx", 5, vec![stx(Greater, 4)], true),
        ("send-stx", 5, vec![stx(GreaterOrEqual, 5)], true),
        ("send-stx", 5, vec![stx(Less, 5)], false),
        ("send-stx", 5, vec![stx(LessOrEqual, 5)], true),
        // Both halves together are what counts.
        ("send-twice", 5, vec![stx(Equal, 5)], false),
        ("send-twice", 5, vec![stx(Equal, 10)], true),
        ("send-coin", 5, vec![stx(Equal, 0)], false),
        ("send-coin", 5, vec![coin(Equal, 5)], true),
        ("send-coin", 5, vec![coin(Equal, 6)], false),
        ("send-card", 1, vec![], false),
        ("send-card", 1, vec![card(NonFungibleCode::Sent)], true),
        ("send-card", 1, vec![card(NonFungibleCode::NotSent)], false),
    ];
    for (function, amount, conditions, holds) in cases {
        let mut chain = with_vault();
        let words = format!("{function} {amount} {conditions:?}");
        let (receipt, moved, calls) = called(
            &mut chain,
            function,
            amount,
            Conditions::Exactly(conditions),
        );
        let status = if holds {
            TxStatus::Success
        } else {
            TxStatus::AbortByPostCondition
        };
        assert_eq!(receipt.status, status, "{words}");
        assert_eq!(calls, u128::from(holds), "{words}");
        assert_eq!(receipt.events.is_empty(), !holds, "{words}");
        assert!(holds || moved == 0, "{words}");
    }
}

#[test]
fn values_at_their_limits_pass_through() {
    let mut chain = with_vault();
    let (receipt, moved, _) = called(&mut chain, "send-stx", u128::MAX, Conditions::None);
    assert_eq!((receipt.status, moved), (TxStatus::AbortByResponse, 0));
    let echo = "(define-public (echo (t (string-utf8 40)) (n int) (b (buff 4))) (begin (print {t: t, n: n, b: b}) (ok t)))";
    send(
        &mut chain,
        &client(),
        deploy("echo", echo),
        Conditions::None,
    );
    chain.mine(10).expect("a block");
    let text = Value::Utf8("żółć 🎩 \u{10ffff}".into());
    let arguments = [
        text.clone(),
        Value::Int(i128::MIN),
        Value::Buffer(vec![0, 255]),
    ];
    let payload = call(&client().contract("echo"), "echo", &arguments);
    send(&mut chain, &client(), payload, Conditions::None);
    let block = chain.mine(10).expect("a block");
    let receipt = &block.receipts[block.receipts.len() - 1];
    assert_eq!(receipt.status, TxStatus::Success, "{:?}", receipt.vm_error);
    assert_eq!(
        Value::decode_exact(&receipt.raw_result),
        Ok(Value::ok(text))
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    /// Fees leave; nothing else is made or lost, whatever is sent to whom.
    #[test]
    fn micro_stx_are_conserved(sends in proptest::collection::vec((0usize..3, 0usize..3, 0u64..2_000_000_000_000, 180u64..5_000), 1..30)) {
        let roles = ["client-1", "freelancer-1", "deployer"];
        let mut chain = funded(&roles);
        chain.burn(1);
        let mut fees = 0;
        for (from, to, amount, fee) in sends {
            let (from, to) = (Actor::of(roles[from]), Actor::of(roles[to]));
            let nonce = chain.next_nonce(&from.principal());
            let payload = Payload::TokenTransfer { recipient: to.principal(), amount, memo: [0; 34] };
            // Refused ones cost nothing.
            let _ = chain.submit(&from.sign(nonce, fee, payload, Conditions::None).encode());
            if nonce.is_multiple_of(3) {
                fees += fees_of(&chain.mine(50).expect("a block"));
            }
        }
        fees += fees_of(&chain.mine(50).expect("a block"));
        let tip = chain.tip().header.id;
        let held: u128 = roles
            .iter()
            .map(|r| chain.account(&tip, &Actor::of(r).principal()).expect("a state").balance)
            .sum();
        prop_assert_eq!(held + fees, 3 * MILLION_STX);
    }
}

fn fees_of(block: &SealedBlock) -> u128 {
    block
        .receipts
        .iter()
        .map(|r| u128::from(r.transaction.fee()))
        .sum()
}

/// A wallet's transfers are in Deny mode, and have no conditions: the chain allows none.
#[test]
fn a_transfer_is_not_held_against_its_mode() {
    let mut chain = funded(&["client-1", "freelancer-1"]);
    chain.burn(1);
    let to = Actor::of("freelancer-1").principal();
    let payload = Payload::TokenTransfer {
        recipient: to.clone(),
        amount: 5,
        memo: [0; 34],
    };
    let txid = send(
        &mut chain,
        &client(),
        payload,
        Conditions::Exactly(Vec::new()),
    );
    let block = chain.mine(10).expect("a block");
    let receipt = block
        .receipts
        .iter()
        .find(|r| r.transaction.txid() == txid)
        .expect("its receipt");
    assert_eq!(receipt.status, TxStatus::Success, "{:?}", receipt.vm_error);
    let account = chain.account(&block.header.id, &to).expect("an account");
    assert_eq!(account.balance, MILLION_STX + 5);
}
