use secp256k1::SecretKey;

use super::*;
use crate::codec::hash::hash160;
use crate::codec::name::ClarityName;
use crate::codec::value::Value;

/// The transfer in stacks-core's `docs/event-dispatcher.md`.
const TRANSFER: &str = "80800000000400f942874ce525e87f21bbe8c121b12fac831d02f4000000000000000000000000000003e8\
    00006ae29867aec4b0e4f776bebdcea7f6d9a24eeff370c8c739defadfcbb52659b30736ad4af021e8fb741520a6c65da419\
    fdec01989fdf0032fc1838f427a9a36102010000000000051ac2d519faccba2e435f3272ff042b89435fd160ff0000000000\
    0003e800000000000000000000000000000000000000000000000000000000000000000000";

fn transfer() -> Vec<u8> {
    hex::decode(TRANSFER).expect("hex in a test")
}

fn secret(seed: u8) -> SecretKey {
    SecretKey::from_byte_array([seed; 32]).expect("in range")
}

fn key(seed: u8) -> SignerKey {
    SignerKey::of_secret(&secret(seed))
}

fn call(auth: Auth) -> Transaction {
    Transaction {
        version: TESTNET_VERSION,
        chain_id: TESTNET_CHAIN_ID,
        auth,
        anchor_mode: AnchorMode::Any,
        post_condition_mode: PostConditionMode::Deny,
        post_conditions: vec![PostCondition::Stx {
            principal: ConditionPrincipal::Origin,
            code: FungibleCode::LessOrEqual,
            amount: 7,
        }],
        payload: Payload::ContractCall {
            contract: "ST000000000000000000002AMW42H.escrow"
                .parse()
                .expect("legal"),
            function: ClarityName::new("open!").expect("legal"),
            arguments: Arguments::new(&[Value::UInt(1), Value::None]).expect("legal"),
        },
    }
}

#[test]
fn the_documented_transfer() {
    let transaction = Transaction::decode(&transfer()).expect("legal");
    assert_eq!(transaction.encode(), transfer());
    assert_eq!(
        hex::encode(transaction.txid()),
        "738e4d44636023efa08374033428e44eca490582bd39a6e61f3b6cf749b4214c"
    );
    assert_eq!(
        transaction.origin_address().to_string(),
        "ST3WM51TCWMJYGZS1QFMC28DH5YP86782YGR113C1"
    );
    assert_eq!(transaction.sponsor_address(), None);
    assert_eq!((transaction.nonce(), transaction.fee()), (0, 1000));
    assert_eq!(transaction.payload_kind().as_str(), "token_transfer");
    assert!(!transaction.is_mainnet());
    assert!(matches!(
        transaction.payload,
        Payload::TokenTransfer { amount: 1000, .. }
    ));
}

#[test]
fn the_documented_signature() {
    let transaction = Transaction::decode(&transfer()).expect("legal");
    let initial = transaction.initial_sighash();
    assert_eq!(
        hex::encode(initial),
        "a4935f33f402d9c37b8beb8f1579ca8a9af9e84bddcb200143f9c455c39888eb"
    );
    let digest = presign(&initial, Role::Origin, 1000, 0);
    assert_eq!(
        hex::encode(digest),
        "5271e644f568f346c4c028b51de22f60aaa6ad6425e0df246713de86f197b3f6"
    );
    let signers = transaction.verify(HighS::Refuse).expect("signed");
    let [signer] = signers.origin.as_slice() else {
        panic!("one key")
    };
    assert_eq!(
        hex::encode(hash160(&signer.key.serialize())),
        "f942874ce525e87f21bbe8c121b12fac831d02f4"
    );
    assert!(signers.sponsor.is_empty());
}

#[test]
fn any_change_breaks_the_signature() {
    for change in 0..8 {
        let mut transaction = Transaction::decode(&transfer()).expect("legal");
        match change {
            0 => transaction.chain_id += 1,
            1 => transaction.auth.origin_mut().fee += 1,
            2 => transaction.auth.origin_mut().nonce += 1,
            3 => transaction.post_condition_mode = PostConditionMode::Deny,
            4 => transaction.anchor_mode = AnchorMode::Any,
            5 => transaction.payload = Payload::Coinbase { data: [0; 32] },
            6 => transaction.auth.origin_mut().signer = [0; 20],
            _ => {
                let origin = transaction.auth.origin().clone();
                transaction.auth = Auth::Sponsored {
                    origin: origin.clone(),
                    sponsor: origin,
                };
            }
        }
        assert!(transaction.verify(HighS::Allow).is_err(), "change {change}");
    }
}

#[test]
fn single_and_sponsored_signatures() {
    let mut standard = call(Auth::Standard(SpendingCondition::single_sig(
        key(1),
        3,
        400,
    )));
    assert!(standard.verify(HighS::Refuse).is_err());
    standard.sign(Role::Origin, &secret(1)).expect("signed");
    assert_eq!(
        standard.verify(HighS::Refuse).expect("signed").origin,
        [key(1)]
    );
    assert_eq!(
        standard.sign(Role::Sponsor, &secret(2)),
        Err(SignatureError::NotSponsored)
    );

    let mut sponsored = call(Auth::Sponsored {
        origin: SpendingCondition::single_sig(key(1), 3, 0),
        sponsor: SpendingCondition::single_sig(key(2), 9, 500),
    });
    sponsored.sign(Role::Origin, &secret(1)).expect("signed");
    sponsored.sign(Role::Sponsor, &secret(2)).expect("signed");
    let signers = sponsored.verify(HighS::Refuse).expect("signed");
    assert_eq!(
        (signers.origin, signers.sponsor),
        (vec![key(1)], vec![key(2)])
    );
    assert_eq!((sponsored.fee(), sponsored.nonce()), (500, 3));
    // The sponsor can change its offer without the origin.
    if let Some(sponsor) = sponsored.auth.sponsor_mut() {
        sponsor.fee = 600;
    }
    let wrong = sponsored
        .verify(HighS::Refuse)
        .expect_err("signed for another fee");
    assert!(matches!(
        wrong,
        SignatureError::Signer {
            role: Role::Sponsor,
            ..
        }
    ));
    sponsored.sign(Role::Sponsor, &secret(2)).expect("signed");
    assert!(sponsored.verify(HighS::Refuse).is_ok());
    assert_eq!(Transaction::decode(&sponsored.encode()), Ok(sponsored));
}

#[test]
fn multi_signatures_of_every_mode() {
    let keys = [key(1), key(2), key(3)];
    for mode in [
        MultiSigMode::P2sh,
        MultiSigMode::P2wsh,
        MultiSigMode::P2shOrderIndependent,
        MultiSigMode::P2wshOrderIndependent,
    ] {
        let mut transaction = call(Auth::Standard(SpendingCondition::multi_sig(
            mode, 2, &keys, 0, 300,
        )));
        transaction.sign(Role::Origin, &secret(1)).expect("signed");
        transaction.list_key(Role::Origin, key(2)).expect("listed");
        let short = transaction.verify(HighS::Refuse).expect_err("one of two");
        assert_eq!(
            short,
            SignatureError::Count {
                role: Role::Origin,
                found: 1,
                required: 2
            }
        );
        transaction.sign(Role::Origin, &secret(3)).expect("signed");
        assert_eq!(
            transaction.verify(HighS::Refuse).expect("signed").origin,
            keys
        );
        assert!(transaction.origin_address().to_string().starts_with("SN"));
        assert_eq!(
            Transaction::decode(&transaction.encode()).as_ref(),
            Ok(&transaction)
        );

        let mut eager = call(Auth::Standard(SpendingCondition::multi_sig(
            mode, 1, &keys, 0, 300,
        )));
        for seed in 1..=3 {
            eager.sign(Role::Origin, &secret(seed)).expect("signed");
        }
        assert_eq!(
            eager.verify(HighS::Refuse).is_ok(),
            mode.is_order_independent()
        );
    }
}

#[test]
fn unknown_variants_keep_their_bytes() {
    let known = call(Auth::Standard(SpendingCondition::single_sig(
        key(1),
        3,
        400,
    )));
    let base = known.encode();
    let conditions = 111;
    let payload = conditions + 4 + 11;
    let with = |at: usize, byte: u8| {
        let mut bytes = base.clone();
        bytes[at] = byte;
        let decoded = Transaction::decode(&bytes).expect("unknown is not broken");
        assert_eq!(decoded.encode(), bytes, "byte {at}");
        assert_eq!(decoded.nonce(), 3);
        assert_eq!(decoded.origin_address(), known.origin_address());
        decoded
    };
    assert_eq!(with(109, 9).anchor_mode, AnchorMode::Unknown(9));
    assert_eq!(
        with(110, 9).post_condition_mode,
        PostConditionMode::Unknown(9)
    );
    assert_eq!(with(payload, 9).payload_kind(), PayloadKind::Unknown);
    let unread = with(conditions + 4, 9);
    assert!(unread.post_conditions.is_empty());
    assert!(matches!(
        unread.payload,
        Payload::Unknown(UnknownPayload {
            unread_conditions: 1,
            ..
        })
    ));
    assert_eq!(with(conditions + 5, 9).payload_kind(), PayloadKind::Unknown);
    let code = with(conditions + 6, 9);
    assert!(matches!(
        code.post_conditions.as_slice(),
        [PostCondition::Stx {
            code: FungibleCode::Unknown(9),
            ..
        }]
    ));
    assert_eq!(code.payload_kind(), PayloadKind::ContractCall);
    assert_eq!(
        with(base.len() - 1, 0x0f).payload_kind(),
        PayloadKind::Unknown
    );
}

#[test]
fn broken_bytes_are_refused() {
    let base = transfer();
    for length in 0..base.len() {
        let error = Transaction::decode(base.get(..length).expect("in range")).expect_err("short");
        assert!(
            matches!(error.reason, DecodeReason::UnexpectedEnd { .. }),
            "{error}"
        );
    }
    let mut long = base.clone();
    long.push(0);
    assert!(matches!(
        Transaction::decode(&long).expect_err("long").reason,
        DecodeReason::TrailingBytes { count: 1 }
    ));
    assert_eq!(
        Transaction::decode_prefix(&long).map(|(_, length)| length),
        Ok(base.len())
    );
    let mut flag = base.clone();
    flag[5] = 6;
    assert_eq!(Transaction::decode(&flag).expect_err("flag").offset, 5);
    let huge = vec![0; MAX_TRANSACTION_LENGTH + 1];
    assert!(matches!(
        Transaction::decode(&huge).expect_err("huge").reason,
        DecodeReason::TooLong { .. }
    ));
}

#[test]
fn contracts_are_named() {
    let condition = SpendingCondition::single_sig(key(1), 3, 400);
    let mut transaction = call(Auth::Standard(condition));
    let called = transaction
        .contract_id()
        .map(|contract| contract.to_string());
    assert_eq!(
        called.as_deref(),
        Some("ST000000000000000000002AMW42H.escrow")
    );
    transaction.payload = Payload::SmartContract {
        version: Some(ClarityVersion::Clarity3),
        name: "market".parse().expect("legal"),
        code: "(print u1)".to_owned(),
    };
    let deployed = transaction
        .contract_id()
        .map(|contract| contract.to_string());
    assert_eq!(
        deployed,
        Some(format!("{}.market", transaction.origin_address()))
    );
    assert_eq!(
        transaction.payload_kind().as_str(),
        "versioned_smart_contract"
    );
    assert_eq!(Transaction::decode(&transaction.encode()), Ok(transaction));
}
