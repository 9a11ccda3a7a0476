//! The codec against the chain's own: the same bytes for the same value, the same verdict on any
//! bytes.

use clarity::vm::types::{
    PrincipalData, QualifiedContractIdentifier, SequenceData, StandardPrincipalData, TupleData,
};
use clarity::vm::{ClarityName as VmName, ContractName as VmContractName, Value as VmValue};
use proptest::prelude::*;
use stxworx_clarity::codec::{Principal, StandardPrincipal, Value, ValueRef};

fn address() -> impl Strategy<Value = StandardPrincipal> {
    (0_u8..32, any::<[u8; 20]>())
        .prop_map(|(version, hash)| StandardPrincipal::new(version, hash).expect("legal"))
}

fn principal() -> impl Strategy<Value = Principal> {
    let contract = (address(), "[a-zA-Z][a-zA-Z0-9_-]{0,127}")
        .prop_map(|(issuer, name)| Principal::Contract(issuer.contract(&name).expect("legal")));
    prop_oneof![address().prop_map(Principal::Standard), contract]
}

fn leaf() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<i128>().prop_map(Value::Int),
        any::<u128>().prop_map(Value::UInt),
        any::<bool>().prop_map(Value::Bool),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(Value::Buffer),
        "[ -~\t\n\r]{0,40}".prop_map(|text| Value::ascii(text).expect("legal")),
        "\\PC{0,20}".prop_map(Value::Utf8),
        principal().prop_map(Value::Principal),
        Just(Value::None),
    ]
}

/// Any value of ours; lists may hold different types, which the chain does not build.
fn tree() -> impl Strategy<Value = Value> {
    leaf().prop_recursive(6, 60, 6, |inner| {
        prop_oneof![
            inner.clone().prop_map(Value::some),
            inner.clone().prop_map(Value::ok),
            inner.clone().prop_map(Value::err),
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::List),
            prop::collection::btree_map("[a-zA-Z][a-zA-Z0-9!?<>=/*+_-]{0,20}", inner, 1..6)
                .prop_map(|fields| {
                    let fields: Vec<_> = fields.into_iter().rev().collect();
                    Value::tuple(
                        fields
                            .iter()
                            .map(|(name, value)| (name.as_str(), value.clone())),
                    )
                    .expect("legal")
                }),
        ]
    })
}

/// The same value in the chain's types, where it can be built.
fn to_vm(value: &Value) -> Option<VmValue> {
    Some(match value {
        Value::Int(number) => VmValue::Int(*number),
        Value::UInt(number) => VmValue::UInt(*number),
        Value::Bool(truth) => VmValue::Bool(*truth),
        Value::Buffer(bytes) => VmValue::buff_from(bytes.clone()).ok()?,
        Value::Ascii(text) => {
            VmValue::string_ascii_from_bytes(text.as_str().as_bytes().to_vec()).ok()?
        }
        Value::Utf8(text) => VmValue::string_utf8_from_bytes(text.as_bytes().to_vec()).ok()?,
        Value::Principal(principal) => VmValue::Principal(principal_to_vm(principal)),
        Value::Ok(inner) => VmValue::okay(to_vm(inner)?).ok()?,
        Value::Err(inner) => VmValue::error(to_vm(inner)?).ok()?,
        Value::None => VmValue::none(),
        Value::Some(inner) => VmValue::some(to_vm(inner)?).ok()?,
        Value::List(elements) => {
            VmValue::list_from(elements.iter().map(to_vm).collect::<Option<Vec<_>>>()?).ok()?
        }
        Value::Tuple(tuple) => {
            let field = |(name, value): &(stxworx_clarity::codec::ClarityName, Value)| {
                Some((vm_name(name), to_vm(value)?))
            };
            let fields = tuple
                .fields()
                .iter()
                .map(field)
                .collect::<Option<Vec<_>>>()?;
            VmValue::Tuple(TupleData::from_data(fields).ok()?)
        }
    })
}

fn vm_name(name: &str) -> VmName {
    VmName::try_from(name.to_owned()).expect("a name of ours is a name of theirs")
}

fn principal_to_vm(principal: &Principal) -> PrincipalData {
    let standard =
        |address: &StandardPrincipal| StandardPrincipalData(address.version(), *address.hash160());
    match principal {
        Principal::Standard(address) => PrincipalData::Standard(standard(address)),
        Principal::Contract(contract) => PrincipalData::Contract(QualifiedContractIdentifier {
            issuer: standard(&contract.issuer),
            name: VmContractName::try_from(contract.name.to_string()).expect("a name of theirs"),
        }),
    }
}

/// Decodes with the chain's decoder; it also says how many bytes it read.
fn vm_decode(bytes: &[u8]) -> Result<(VmValue, usize), String> {
    VmValue::deserialize_read_count(&mut &*bytes, None)
        .map(|(value, length)| (value, usize::try_from(length).expect("a length")))
        .map_err(|error| error.to_string())
}

fn vm_encode(value: &VmValue) -> Vec<u8> {
    let mut bytes = Vec::new();
    value.serialize_write(&mut bytes).expect("memory");
    bytes
}

/// Whether an address in the value has a version that c32 cannot write.
fn has_unwritable_address(value: &VmValue) -> bool {
    match value {
        VmValue::Principal(principal) => principal.version() >= 32,
        VmValue::Optional(optional) => optional.data.as_deref().is_some_and(has_unwritable_address),
        VmValue::Response(response) => has_unwritable_address(&response.data),
        VmValue::Tuple(tuple) => tuple.data_map.values().any(has_unwritable_address),
        VmValue::Sequence(SequenceData::List(list)) => list.data.iter().any(has_unwritable_address),
        _ => false,
    }
}

/// The verdicts on some bytes agree, up to the differences that the codec documents.
fn compare(bytes: &[u8]) {
    let ours = Value::decode_prefix(bytes);
    let borrowed = ValueRef::decode_prefix(bytes);
    match (&ours, &borrowed) {
        (Ok((value, length)), Ok((view, view_length))) => {
            assert_eq!(length, view_length);
            assert_eq!(&view.to_value(), value);
            assert_eq!(view.to_string(), value.to_string());
            let encoded = value.encode();
            assert_eq!(Value::decode_exact(&encoded).as_ref(), Ok(value));
            assert_eq!(view.is_canonical(), encoded == bytes[..*length]);
            assert_eq!(
                serde_json::to_value(view).expect("json"),
                serde_json::to_value(value).expect("json")
            );
        }
        (Err(error), Err(view_error)) => assert_eq!(error, view_error),
        _ => panic!("owned {ours:?}, borrowed {borrowed:?}"),
    }
    match (ours, vm_decode(bytes)) {
        (Ok((value, length)), Ok((theirs, their_length))) => {
            assert_eq!(length, their_length);
            assert_eq!(value.encode(), vm_encode(&theirs));
            assert_eq!(value.to_string(), theirs.to_string());
        }
        (Err(error), Ok((theirs, _))) => {
            assert!(
                has_unwritable_address(&theirs),
                "{theirs:?} refused: {error}"
            );
        }
        (Ok((value, _)), Err(error)) => {
            // Mixed lists, values over 1 MiB, nesting between 16 and 32.
            let known = [
                "Illegal list type",
                "Value too large",
                "TypeSignatureTooDeep",
            ];
            assert!(
                known.iter().any(|known| error.contains(known)),
                "{value} accepted, not by the chain: {error}"
            );
        }
        (Err(_), Err(_)) => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn values_have_the_same_bytes_and_text(value in tree()) {
        let bytes = value.encode();
        prop_assert_eq!(Value::decode_exact(&bytes), Ok(value.clone()));
        compare(&bytes);
        if let Some(theirs) = to_vm(&value) {
            prop_assert_eq!(&bytes, &vm_encode(&theirs));
            prop_assert_eq!(value.to_string(), theirs.to_string());
        }
    }

    #[test]
    fn arbitrary_bytes_get_the_same_verdict(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        compare(&bytes);
    }

    /// Bytes that look like values: prefixes, small lengths and letters.
    #[test]
    fn plausible_bytes_get_the_same_verdict(
        bytes in prop::collection::vec(prop_oneof![4 => 0_u8..16, 2 => Just(0_u8), 1 => b'a'..b'd', 1 => any::<u8>()], 0..120)
    ) {
        compare(&bytes);
    }

    #[test]
    fn mutated_values_get_the_same_verdict(value in tree(), at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in 0_usize..4) {
        let mut bytes = value.encode();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        bytes.truncate(bytes.len() - cut.min(bytes.len() - 1));
        compare(&bytes);
    }
}

#[test]
fn names_that_the_chain_takes_and_refuses() {
    for name in [
        "a",
        "+",
        "<=",
        "=>",
        "a-b",
        "1a",
        "a.b",
        "__transient",
        "__transient$",
        "-a",
        "",
    ] {
        let ours = stxworx_clarity::codec::ClarityName::new(name).is_ok();
        assert_eq!(ours, VmName::try_from(name.to_owned()).is_ok(), "{name}");
        let ours = stxworx_clarity::codec::ContractName::new(name).is_ok();
        assert_eq!(
            ours,
            VmContractName::try_from(name.to_owned()).is_ok(),
            "{name}"
        );
    }
}
