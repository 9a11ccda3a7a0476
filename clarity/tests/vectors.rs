//! Values and transactions as `@stacks/transactions` encodes them: `vectors/generate.mjs` wrote
//! `vectors/stacks_transactions.json`.

use serde::Deserialize;
use stxworx_clarity::codec::transaction::{Authorization, HighS, PostConditionMode, SignerKey};
use stxworx_clarity::codec::{Transaction, Value, ValueRef};

/// The library sorts the fields of a tuple as a dictionary does, the chain by byte: upper case in a
/// field's name gives bytes that the node accepts and rewrites.
const LOCALE_ORDER: &str = "tuple of names that sort by byte";

#[derive(Deserialize)]
struct Vectors {
    values: Vec<ValueVector>,
    transactions: Vec<TransactionVector>,
}

#[derive(Deserialize)]
struct ValueVector {
    name: String,
    hex: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TransactionVector {
    name: String,
    hex: String,
    txid: String,
    fee: String,
    nonce: String,
    kind: String,
    sender: Option<String>,
    sponsor: Option<String>,
    contract: Option<String>,
    conditions: Option<usize>,
    mode: Option<u8>,
    keys: Vec<String>,
    #[serde(default)]
    sponsor_keys: Vec<String>,
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("vectors/stacks_transactions.json")).expect("the vectors")
}

fn keys(keys: &[SignerKey]) -> Vec<String> {
    keys.iter()
        .map(|key| hex::encode(key.key.serialize()))
        .collect()
}

#[test]
fn values_go_both_ways() {
    let vectors = vectors();
    assert!(vectors.values.len() > 20);
    for vector in vectors.values {
        let bytes = hex::decode(&vector.hex).expect("hex");
        let value =
            Value::decode_exact(&bytes).unwrap_or_else(|error| panic!("{}: {error}", vector.name));
        let borrowed = ValueRef::decode_exact(&bytes).expect("the same grammar");
        assert_eq!(borrowed.to_value(), value, "{}", vector.name);
        if vector.name == LOCALE_ORDER {
            assert!(!borrowed.is_canonical());
            assert_eq!(Value::decode_exact(&value.encode()), Ok(value));
        } else {
            assert!(borrowed.is_canonical(), "{}", vector.name);
            assert_eq!(hex::encode(value.encode()), vector.hex, "{}", vector.name);
        }
    }
}

#[test]
fn the_fields_of_an_event() {
    let event = vectors()
        .values
        .into_iter()
        .find(|vector| vector.name == "print event")
        .expect("there");
    let bytes = hex::decode(event.hex).expect("hex");
    let event = ValueRef::decode_exact(&bytes).expect("legal");
    assert_eq!(
        event.get("topic").and_then(|topic| topic.as_ascii()),
        Some("project-funded")
    );
    assert_eq!(event.get("seq").and_then(|seq| seq.as_u128()), Some(42));
    let data = event.get("data").expect("there");
    assert_eq!(
        data.get("note").and_then(|note| note.as_utf8()),
        Some("zweite Rate – fällig")
    );
    let due: Vec<_> = data
        .get("milestones")
        .and_then(|milestones| milestones.as_list())
        .expect("a list")
        .filter_map(|milestone| milestone.get("due")?.as_u128())
        .collect();
    assert_eq!(due, [1, 2]);
}

#[test]
fn transactions_go_both_ways() {
    let vectors = vectors();
    assert!(vectors.transactions.len() > 40);
    for vector in vectors.transactions {
        let name = &vector.name;
        let bytes = hex::decode(&vector.hex).expect("hex");
        let transaction =
            Transaction::decode(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(hex::encode(transaction.encode()), vector.hex, "{name}");
        assert_eq!(hex::encode(transaction.txid()), vector.txid, "{name}");
        assert_eq!(transaction.fee().to_string(), vector.fee, "{name}");
        assert_eq!(transaction.nonce().to_string(), vector.nonce, "{name}");
        assert_eq!(transaction.payload_kind().as_str(), vector.kind, "{name}");
        assert_eq!(
            transaction.is_mainnet(),
            !vector.name.contains("testnet") && transaction.chain_id == 1
        );
        if let Some(sender) = vector.sender {
            assert_eq!(transaction.origin_address().to_string(), sender, "{name}");
        }
        assert_eq!(
            transaction
                .sponsor_address()
                .map(|sponsor| sponsor.to_string()),
            vector.sponsor,
            "{name}"
        );
        assert_eq!(
            transaction
                .contract_id()
                .map(|contract| contract.to_string()),
            vector.contract,
            "{name}"
        );
        if let Some(count) = vector.conditions {
            assert_eq!(transaction.post_conditions.len(), count, "{name}");
            assert!(
                !format!("{:?}", transaction.post_conditions).contains("Unknown"),
                "{name}"
            );
        }
        if let Some(mode) = vector.mode {
            assert_eq!(
                transaction.post_condition_mode,
                PostConditionMode::from_byte(mode),
                "{name}"
            );
        }
        let signers = transaction
            .verify(HighS::Refuse)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(keys(&signers.origin), vector.keys, "{name}");
        assert_eq!(keys(&signers.sponsor), vector.sponsor_keys, "{name}");
    }
}

/// Their signatures are deterministic too: signing the same transaction gives the same bytes.
#[test]
fn signing_gives_their_bytes() {
    let mut signed = 0;
    for vector in vectors().transactions {
        let theirs = Transaction::decode(&hex::decode(&vector.hex).expect("hex")).expect("legal");
        let mut ours = theirs.clone();
        let single = matches!(
            theirs.auth.origin().authorization,
            Authorization::Single { .. }
        );
        if !single || theirs.auth.sponsor().is_some() {
            continue;
        }
        let secret = secp256k1::SecretKey::from_byte_array([1; 32]).expect("in range");
        ours.sign(stxworx_clarity::codec::transaction::Role::Origin, &secret)
            .expect("signed");
        assert_eq!(ours, theirs, "{}", vector.name);
        signed += 1;
    }
    assert!(signed > 30);
}
