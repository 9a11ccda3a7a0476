//! Transactions of every shape go both ways, and no bytes break the decoder.

use proptest::prelude::*;
use stxworx_clarity::codec::transaction::*;
use stxworx_clarity::codec::{
    ClarityName, ContractId, Principal, StandardPrincipal, Transaction, Value,
};

fn address() -> impl Strategy<Value = StandardPrincipal> {
    (0_u8..32, any::<[u8; 20]>())
        .prop_map(|(version, hash)| StandardPrincipal::new(version, hash).expect("legal"))
}

fn contract() -> impl Strategy<Value = ContractId> {
    (address(), "[a-z][a-z0-9-]{0,39}")
        .prop_map(|(issuer, name)| issuer.contract(&name).expect("legal"))
}

fn principal() -> impl Strategy<Value = Principal> {
    prop_oneof![
        address().prop_map(Principal::Standard),
        contract().prop_map(Principal::Contract)
    ]
}

fn name() -> impl Strategy<Value = ClarityName> {
    "[a-z][a-z0-9!?-]{0,60}".prop_map(|name| ClarityName::new(&name).expect("legal"))
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<u128>().prop_map(Value::UInt),
        prop::collection::vec(any::<u8>(), 0..9).prop_map(Value::Buffer),
        principal().prop_map(Value::Principal),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            inner.clone().prop_map(Value::some),
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::List),
            inner
                .prop_map(|value| Value::tuple([("b", Value::None), ("a", value)]).expect("legal")),
        ]
    })
}

fn bytes<const N: usize>() -> impl Strategy<Value = [u8; N]> {
    prop::collection::vec(any::<u8>(), N).prop_map(|bytes| bytes.try_into().expect("N bytes"))
}

fn signature() -> impl Strategy<Value = MessageSignature> {
    bytes::<65>().prop_map(MessageSignature)
}

fn encoding() -> impl Strategy<Value = KeyEncoding> {
    prop_oneof![
        Just(KeyEncoding::Compressed),
        Just(KeyEncoding::Uncompressed)
    ]
}

fn field() -> impl Strategy<Value = AuthField> {
    prop_oneof![
        (encoding(), bytes::<33>())
            .prop_map(|(encoding, key)| AuthField::PublicKey { encoding, key }),
        (encoding(), signature()).prop_map(|(encoding, signature)| AuthField::Signature {
            encoding,
            signature
        }),
    ]
}

fn authorization() -> impl Strategy<Value = Authorization> {
    let single = prop_oneof![Just(SingleSigMode::P2pkh), Just(SingleSigMode::P2wpkh)];
    let multi = prop_oneof![
        Just(MultiSigMode::P2sh),
        Just(MultiSigMode::P2wsh),
        Just(MultiSigMode::P2shOrderIndependent),
        Just(MultiSigMode::P2wshOrderIndependent),
    ];
    prop_oneof![
        (single, encoding(), signature()).prop_map(|(mode, key_encoding, signature)| {
            Authorization::Single {
                mode,
                key_encoding,
                signature,
            }
        }),
        (multi, prop::collection::vec(field(), 0..5), any::<u16>()).prop_map(
            |(mode, fields, signatures_required)| Authorization::Multi {
                mode,
                fields,
                signatures_required
            }
        ),
    ]
}

fn condition() -> impl Strategy<Value = SpendingCondition> {
    (
        any::<[u8; 20]>(),
        any::<u64>(),
        any::<u64>(),
        authorization(),
    )
        .prop_map(|(signer, nonce, fee, authorization)| SpendingCondition {
            signer,
            nonce,
            fee,
            authorization,
        })
}

fn auth() -> impl Strategy<Value = Auth> {
    prop_oneof![
        condition().prop_map(Auth::Standard),
        (condition(), condition())
            .prop_map(|(origin, sponsor)| Auth::Sponsored { origin, sponsor }),
    ]
}

fn post_condition() -> impl Strategy<Value = PostCondition> {
    let whose = prop_oneof![
        Just(ConditionPrincipal::Origin),
        address().prop_map(ConditionPrincipal::Standard),
        contract().prop_map(ConditionPrincipal::Contract),
    ];
    let asset = (contract(), name()).prop_map(|(contract, name)| Asset { contract, name });
    (0..5, whose, asset, value(), any::<u8>(), any::<u64>()).prop_map(
        |(kind, principal, asset, id, code, amount)| {
            let fungible = FungibleCode::from_byte(code);
            match kind {
                0 => PostCondition::Stx {
                    principal,
                    code: fungible,
                    amount,
                },
                1 => PostCondition::Fungible {
                    principal,
                    asset,
                    code: fungible,
                    amount,
                },
                2 => PostCondition::NonFungible {
                    principal,
                    asset,
                    id: EncodedValue::try_from(&id).expect("legal"),
                    code: NonFungibleCode::from_byte(code),
                },
                3 => PostCondition::Staking {
                    principal,
                    code: fungible,
                    amount,
                },
                _ => PostCondition::Pox {
                    principal,
                    code: PoxCode::from_byte(code),
                },
            }
        },
    )
}

fn microblock_header() -> impl Strategy<Value = MicroblockHeader> {
    (
        any::<u8>(),
        any::<u16>(),
        bytes::<32>(),
        bytes::<32>(),
        signature(),
    )
        .prop_map(
            |(version, sequence, previous_block, transactions_root, signature)| MicroblockHeader {
                version,
                sequence,
                previous_block,
                transactions_root,
                signature,
            },
        )
}

fn payload() -> impl Strategy<Value = Payload> {
    let tenure = (bytes::<20>(), bytes::<32>(), any::<u32>(), any::<u8>()).prop_map(
        |(hash, end, blocks, cause)| {
            Payload::TenureChange(TenureChange {
                tenure_consensus_hash: hash,
                previous_tenure_consensus_hash: hash,
                burn_view_consensus_hash: hash,
                previous_tenure_end: end,
                previous_tenure_blocks: blocks,
                cause: TenureCause::from_byte(cause),
                public_key_hash: hash,
            })
        },
    );
    prop_oneof![
        (principal(), any::<u64>(), bytes::<34>()).prop_map(|(recipient, amount, memo)| {
            Payload::TokenTransfer {
                recipient,
                amount,
                memo,
            }
        }),
        (prop::option::of(any::<u8>()), contract(), "\\PC{0,80}").prop_map(
            |(version, contract, code)| {
                Payload::SmartContract {
                    version: version.map(ClarityVersion::from_byte),
                    name: contract.name,
                    code,
                }
            }
        ),
        (contract(), name(), prop::collection::vec(value(), 0..5)).prop_map(
            |(contract, function, values)| {
                Payload::ContractCall {
                    contract,
                    function,
                    arguments: Arguments::new(&values).expect("legal"),
                }
            }
        ),
        (microblock_header(), microblock_header()).prop_map(|(one, two)| {
            Payload::PoisonMicroblock {
                headers: Box::new([one, two]),
            }
        }),
        bytes::<32>().prop_map(|data| Payload::Coinbase { data }),
        (bytes::<32>(), principal())
            .prop_map(|(data, recipient)| Payload::CoinbaseToAltRecipient { data, recipient }),
        (bytes::<32>(), prop::option::of(principal()), bytes::<80>()).prop_map(
            |(data, recipient, proof)| {
                Payload::NakamotoCoinbase {
                    data,
                    recipient,
                    vrf_proof: Box::new(proof),
                }
            }
        ),
        tenure,
    ]
}

fn transaction() -> impl Strategy<Value = Transaction> {
    let conditions = prop::collection::vec(post_condition(), 0..4);
    (any::<(u8, u32, u8, u8)>(), auth(), conditions, payload()).prop_map(
        |(head, auth, post_conditions, payload)| Transaction {
            version: head.0,
            chain_id: head.1,
            auth,
            anchor_mode: AnchorMode::from_byte(head.2),
            post_condition_mode: PostConditionMode::from_byte(head.3),
            post_conditions,
            payload,
        },
    )
}

/// Whatever is accepted encodes to the bytes it came from, and every question has an answer.
fn check(bytes: &[u8]) {
    let Ok(transaction) = Transaction::decode(bytes) else {
        return;
    };
    assert_eq!(transaction.encode(), bytes);
    assert_eq!(
        transaction.origin_address().address().hash160(),
        &transaction.auth.origin().signer
    );
    let _ = (
        transaction.verify(HighS::Allow),
        transaction.contract_id(),
        transaction.fee(),
    );
    let _ = format!("{transaction:?}");
}

proptest! {
    #[test]
    fn transactions_go_both_ways(transaction in transaction()) {
        let bytes = transaction.encode();
        prop_assert_eq!(Transaction::decode(&bytes), Ok(transaction.clone()));
        prop_assert_eq!(Transaction::decode_prefix(&bytes), Ok((transaction, bytes.len())));
        check(&bytes);
    }

    #[test]
    fn mutated_transactions_are_decoded_or_refused(
        transaction in transaction(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in 0_usize..3,
    ) {
        let mut bytes = transaction.encode();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.truncate(bytes.len() - cut);
        check(&bytes);
    }

    #[test]
    fn arbitrary_bytes_are_decoded_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        check(&bytes);
    }
}
