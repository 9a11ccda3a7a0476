use proptest::prelude::*;
use secp256k1::SecretKey;
use stxworx_clarity::codec::hash160;
use stxworx_clarity::codec::transaction::{
    ConditionPrincipal, FungibleCode, PostCondition, SignerKey, TESTNET_CHAIN_ID,
};

use super::*;

fn secret(seed: u8) -> SecretKey {
    SecretKey::from_byte_array([seed.max(1); 32]).expect("in range")
}

fn signer(seed: u8) -> [u8; 20] {
    hash160(&SignerKey::of_secret(&secret(seed)).key.serialize())
}

fn contract(chain_id: u32, name: &str) -> ContractId {
    account(chain_id, [7; 20]).contract(name).expect("legal")
}

fn allowed(chain_id: u32, seed: u8) -> Allowed {
    Allowed {
        chain_id,
        signer: signer(seed),
        badges: contract(chain_id, "freelance-badges"),
        noop_to: contract(chain_id, "freelance-security"),
        fee_cap: 1_000_000,
    }
}

fn sign(mut transaction: Transaction, seed: u8) -> Vec<u8> {
    transaction
        .sign(Role::Origin, &secret(seed))
        .expect("a fresh signature");
    transaction.encode()
}

fn unsigned() -> impl Strategy<Value = (UnsignedTx, u8)> {
    let chain = prop_oneof![Just(MAINNET_CHAIN_ID), Just(TESTNET_CHAIN_ID)];
    let recipient = (any::<[u8; 20]>(), any::<bool>());
    let kind = prop_oneof![1..=5u128, Just(u128::MAX), any::<u128>()];
    let rest = (1..=1_000_000u64, any::<u64>(), 1..=254u8, any::<bool>());
    (chain, recipient, kind, rest).prop_map(
        |(chain_id, (hash, is_contract), kind, (fee, nonce, seed, noop))| {
            let list = allowed(chain_id, seed);
            let who = account(chain_id, hash);
            let recipient = if is_contract {
                Principal::Contract(who.contract("wallet").expect("legal"))
            } else {
                Principal::Standard(who)
            };
            let call = if noop {
                Call::Noop { to: list.noop_to }
            } else {
                Call::Mint {
                    contract: list.badges,
                    recipient,
                    kind,
                }
            };
            let unsigned = UnsignedTx {
                chain_id,
                signer: list.signer,
                nonce,
                fee,
                call,
            };
            (unsigned, seed)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn what_is_made_here_may_be_sent_and_no_neighbour_of_it((unsigned, seed) in unsigned(), at in any::<prop::sample::Index>(), bit in 0..8u8) {
        let list = allowed(unsigned.chain_id, seed);
        prop_assert_eq!(UnsignedTx::decode(&unsigned.encode()), Ok(unsigned.clone()));
        let bytes = sign(unsigned.with(MessageSignature::EMPTY), seed);
        let signed = list.check(&bytes).expect("one of ours");
        prop_assert_eq!(&signed.unsigned, &unsigned);
        prop_assert_eq!(&signed.bytes, &bytes);
        prop_assert_eq!(bytes.len(), unsigned.encode().len());
        // No bit may be another one.
        let mut other = bytes.clone();
        other[at.index(bytes.len())] ^= 1 << bit;
        prop_assert!(list.check(&other).is_err(), "byte {} of {}", at.index(bytes.len()), hex::encode(other));
        // Nothing may follow, nothing may lack.
        other = bytes.clone();
        other.push(0);
        prop_assert!(list.check(&other).is_err());
        prop_assert!(list.check(&bytes[..bytes.len() - 1]).is_err());
    }

    #[test]
    fn any_bytes_are_refused_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(allowed(TESTNET_CHAIN_ID, 1).check(&bytes).is_err());
        prop_assert!(UnsignedTx::decode(&bytes).is_err());
    }

    /// Signed with the right key, and all the same not one of the two.
    #[test]
    fn nothing_else_may_be_sent(what in 0..12usize, seed in 1..=254u8) {
        let list = allowed(TESTNET_CHAIN_ID, seed);
        let mint = UnsignedTx {
            chain_id: list.chain_id,
            signer: list.signer,
            nonce: 3,
            fee: 400,
            call: Call::Mint { contract: list.badges.clone(), recipient: Principal::Contract(list.noop_to.clone()), kind: 1 },
        };
        let mut tx = mint.with(MessageSignature::EMPTY);
        let payload = |contract: &ContractId, function: &str, arguments: &[Value]| Payload::ContractCall {
            contract: contract.clone(),
            function: ClarityName::new(function).expect("legal"),
            arguments: Arguments::new(arguments).expect("legal"),
        };
        let who = Value::Principal(Principal::Contract(list.noop_to.clone()));
        match what {
            0 => tx.post_condition_mode = PostConditionMode::Allow,
            1 => tx.post_conditions.push(PostCondition::Stx {
                principal: ConditionPrincipal::Origin,
                code: FungibleCode::LessOrEqual,
                amount: 7,
            }),
            2 => tx.payload = payload(&list.badges, "claim", &[Value::UInt(1)]),
            3 => tx.payload = payload(&list.badges, "set-minter", &[who, Value::Bool(true)]),
            4 => tx.payload = payload(&list.noop_to, MINT, &[who, Value::UInt(1)]),
            5 => tx.payload = payload(&list.badges, MINT, &[who]),
            6 => tx.payload = payload(&list.badges, MINT, &[who, Value::UInt(1), Value::UInt(1)]),
            7 => tx.payload = payload(&list.badges, MINT, &[Value::UInt(1), who]),
            8 => tx.payload = Payload::TokenTransfer { recipient: Principal::Contract(list.noop_to.clone()), amount: 2, memo: noop_memo() },
            9 => tx.payload = Payload::TokenTransfer { recipient: Principal::Standard(list.noop_to.issuer), amount: 1, memo: noop_memo() },
            10 => tx.payload = Payload::TokenTransfer { recipient: Principal::Contract(list.badges.clone()), amount: 1, memo: noop_memo() },
            _ => tx.anchor_mode = AnchorMode::OnChainOnly,
        }
        let refused = list.check(&sign(tx, seed));
        prop_assert!(refused.is_err(), "{refused:?}");
    }
}

#[test]
fn each_bound_has_its_words() {
    let list = allowed(TESTNET_CHAIN_ID, 1);
    let good = UnsignedTx {
        chain_id: list.chain_id,
        signer: list.signer,
        nonce: 0,
        fee: 400,
        call: Call::Mint {
            contract: list.badges.clone(),
            recipient: Principal::Standard(account(TESTNET_CHAIN_ID, [1; 20])),
            kind: 1,
        },
    };
    assert_eq!(list.permits(&good), Ok(()));
    let with_fee = |fee| UnsignedTx {
        fee,
        ..good.clone()
    };
    for fee in [0, 1_000_001] {
        let refused = list.permits(&with_fee(fee)).unwrap_err();
        assert_eq!(
            refused,
            TxRefused::Fee {
                fee,
                cap: 1_000_000
            }
        );
    }
    let other_key = UnsignedTx {
        signer: signer(2),
        ..good.clone()
    };
    assert!(matches!(
        list.permits(&other_key),
        Err(TxRefused::Sender { .. })
    ));
    let elsewhere = UnsignedTx {
        chain_id: MAINNET_CHAIN_ID,
        ..good.clone()
    };
    assert!(matches!(
        list.permits(&elsewhere),
        Err(TxRefused::Chain { .. })
    ));
    // A mainnet address on a testnet: a node would refuse it for good.
    let to_mainnet = UnsignedTx {
        call: Call::Mint {
            contract: list.badges.clone(),
            recipient: Principal::Standard(account(MAINNET_CHAIN_ID, [1; 20])),
            kind: 1,
        },
        ..good.clone()
    };
    assert!(matches!(
        list.permits(&to_mainnet),
        Err(TxRefused::Chain { .. })
    ));
    // Signed by another key, in the name of this one.
    let bytes = sign(good.with(MessageSignature::EMPTY), 2);
    assert!(matches!(list.check(&bytes), Err(TxRefused::Signature(_))));
}

#[test]
fn a_high_s_is_refused_as_a_node_refuses_it() {
    let list = allowed(TESTNET_CHAIN_ID, 1);
    let noop = UnsignedTx {
        chain_id: list.chain_id,
        signer: list.signer,
        nonce: 9,
        fee: 180,
        call: Call::Noop {
            to: list.noop_to.clone(),
        },
    };
    let bytes = sign(noop.with(MessageSignature::EMPTY), 1);
    let signed = Transaction::decode(&bytes).expect("legal");
    let Authorization::Single {
        signature: MessageSignature(mut twin),
        ..
    } = signed.auth.origin().authorization
    else {
        panic!("one key");
    };
    // n - s, with the other recovery id, is as good a signature to everybody but the node.
    let order = hex::decode("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141")
        .expect("hex in a test");
    let mut borrow = 0i16;
    for at in (0..32).rev() {
        let digit = i16::from(order[at]) - i16::from(twin[33 + at]) - borrow;
        borrow = i16::from(digit < 0);
        twin[33 + at] = u8::try_from(digit.rem_euclid(256)).expect("a byte");
    }
    twin[0] ^= 1;
    let refused = noop.signed(MessageSignature(twin)).unwrap_err();
    assert!(
        matches!(refused, TxRefused::Signature(SignatureError::HighS { .. })),
        "{refused}"
    );
}

/// Transactions that @stacks/transactions made; `scripts/mint-parity --write` makes the list.
#[test]
fn the_bytes_are_those_of_the_wallets_library() {
    let list = include_str!("vectors.ndjson");
    let mut calls = std::collections::BTreeSet::new();
    for line in list.lines() {
        let given: serde_json::Value = serde_json::from_str(line).expect("JSON");
        let text = |name: &str| given[name].as_str().expect("a text");
        let contract: ContractId = text("contract").parse().expect("a contract");
        let chain_id =
            u32::try_from(given["chain_id"].as_u64().expect("a number")).expect("32 bits");
        let call = match text("call") {
            "noop" => Call::Noop { to: contract },
            _ => Call::Mint {
                contract,
                recipient: text("recipient").parse().expect("a principal"),
                kind: text("kind").parse().expect("a number"),
            },
        };
        let mut key = [0; 32];
        hex::decode_to_slice(text("secret"), &mut key).expect("hex in a test");
        let secret = SecretKey::from_byte_array(key).expect("in range");
        let unsigned = UnsignedTx {
            chain_id,
            signer: hash160(&SignerKey::of_secret(&secret).key.serialize()),
            nonce: text("nonce").parse().expect("a number"),
            fee: text("fee").parse().expect("a number"),
            call,
        };
        let mut transaction = unsigned.with(MessageSignature::EMPTY);
        transaction.sign(Role::Origin, &secret).expect("fresh");
        assert_eq!(hex::encode(transaction.encode()), text("bytes"));
        assert_eq!(hex::encode(transaction.txid()), text("txid"));
        calls.insert((chain_id, text("call").to_owned()));
    }
    assert_eq!(calls.len(), 4, "both calls on both chains");
}
