use super::*;
use crate::codec::error::{DecodeReason, NameReason};

fn bytes(hex_text: &str) -> Vec<u8> {
    hex::decode(hex_text).expect("hex in a test")
}

fn sample() -> Value {
    Value::tuple([
        (
            "who",
            Value::Principal("SP000000000000000000002Q6VF78.pox".parse().expect("legal")),
        ),
        ("amount", Value::UInt(u128::MAX)),
        ("delta", Value::Int(-7)),
        ("note", Value::Utf8("a\"é\n".to_owned())),
        ("topic", Value::ascii("pay\"out\n").expect("legal")),
        ("raw", Value::Buffer(vec![0, 0xff])),
        (
            "tags",
            Value::List(vec![Value::some(Value::Bool(true)), Value::None]),
        ),
        ("result", Value::ok(Value::err(Value::Bool(false)))),
    ])
    .expect("legal")
}

#[test]
fn every_prefix_goes_both_ways() {
    for (hex_text, text) in [
        ("00ffffffffffffffffffffffffffffffff", "-1"),
        ("0100000000000000000000000000000001", "u1"),
        ("0200000002beef", "0xbeef"),
        ("03", "true"),
        ("04", "false"),
        (
            "05160000000000000000000000000000000000000000",
            "SP000000000000000000002Q6VF78",
        ),
        (
            "0616000000000000000000000000000000000000000003706f78",
            "SP000000000000000000002Q6VF78.pox",
        ),
        ("0703", "(ok true)"),
        ("0809", "(err none)"),
        ("09", "none"),
        ("0a0a04", "(some (some false))"),
        ("0b000000020304", "(true false)"),
        ("0b00000000", "()"),
        ("0c000000020161030162040a", "?"),
        (
            "0c0000000201610301620a04",
            "(tuple (a true) (b (some false)))",
        ),
        ("0d00000003612262", "\"a\\\"b\""),
        ("0e00000003c3a961", "u\"\\u{c3a9}a\""),
    ] {
        let bytes = bytes(hex_text);
        if text == "?" {
            assert!(Value::decode_exact(&bytes).is_err());
            continue;
        }
        let value = Value::decode_exact(&bytes).expect(hex_text);
        let borrowed = ValueRef::decode_exact(&bytes).expect(hex_text);
        assert_eq!(value.encode(), bytes);
        assert_eq!(borrowed.to_value(), value);
        assert_eq!(value.to_string(), text);
        assert_eq!(borrowed.to_string(), text);
        for length in 0..bytes.len() {
            let head = bytes.get(..length).expect("in range");
            assert_eq!(
                Value::decode_exact(head),
                Err(ValueRef::decode_exact(head).expect_err("short"))
            );
        }
    }
}

#[test]
fn trailing_bytes() {
    let input = bytes("0309");
    let error = Value::decode_exact(&input).expect_err("trailing");
    assert_eq!(
        (error.offset, error.reason),
        (1, DecodeReason::TrailingBytes { count: 1 })
    );
    assert_eq!(Value::decode_prefix(&input), Ok((Value::Bool(true), 1)));
    assert_eq!(
        ValueRef::decode_prefix(&input).map(|(_, length)| length),
        Ok(1)
    );
}

#[test]
fn refusals_are_typed() {
    let reason = |hex_text: &str| {
        let owned = Value::decode_exact(&bytes(hex_text)).expect_err(hex_text);
        assert_eq!(
            ValueRef::decode_exact(&bytes(hex_text)).expect_err(hex_text),
            owned
        );
        owned.reason
    };
    assert_eq!(reason("0f"), DecodeReason::UnknownPrefix { found: 15 });
    assert_eq!(reason("0c00000000"), DecodeReason::EmptyTuple);
    assert_eq!(reason("0c00000002016103016104"), DecodeReason::DuplicateKey);
    assert_eq!(
        reason("0c00000003016203016103016204"),
        DecodeReason::DuplicateKey
    );
    assert_eq!(
        reason("0c00000001000303"),
        DecodeReason::Name(NameReason::Empty)
    );
    assert_eq!(reason("0d000000010b"), DecodeReason::NotAscii { found: 11 });
    assert_eq!(
        reason("0e00000001ff"),
        DecodeReason::NotUtf8 { valid_up_to: 0 }
    );
    assert!(matches!(reason("02ffffffff"), DecodeReason::TooLong { .. }));
    assert!(matches!(
        reason("0bffffffff"),
        DecodeReason::UnexpectedEnd { .. }
    ));
}

#[test]
fn nesting_is_bounded() {
    let nested = |levels: usize| [vec![prefix::SOME; levels - 1], vec![prefix::NONE]].concat();
    assert!(Value::decode_exact(&nested(MAX_DEPTH)).is_ok());
    let error = Value::decode_exact(&nested(MAX_DEPTH + 1)).expect_err("too deep");
    assert_eq!(error.reason, DecodeReason::TooDeep { limit: MAX_DEPTH });
    assert!(ValueRef::decode_exact(&vec![prefix::SOME; 1 << 20]).is_err());
    let lists: Vec<u8> = [prefix::LIST, 0, 0, 1, 0].repeat(1 << 16);
    assert!(Value::decode_exact(&lists).is_err());
}

#[test]
fn tuples_out_of_order_are_read_and_sorted() {
    let input = bytes("0c0000000201620301610a0c00000002016404016309");
    let borrowed = ValueRef::decode_exact(&input).expect("legal");
    let value = borrowed.to_value();
    assert!(!borrowed.is_canonical());
    assert_eq!(
        borrowed.to_string(),
        "(tuple (a (some (tuple (c none) (d false)))) (b true))"
    );
    assert_eq!(borrowed.to_string(), value.to_string());
    assert_eq!(
        borrowed.get("b").and_then(|field| field.as_bool()),
        Some(true)
    );
    assert_ne!(value.encode(), input);
    assert_eq!(Value::decode_exact(&value.encode()), Ok(value));
}

#[test]
fn fields_are_found_and_typed() {
    let value = sample();
    let encoded = value.encode();
    let borrowed = ValueRef::decode_exact(&encoded).expect("legal");
    assert!(borrowed.is_canonical());
    assert_eq!(
        borrowed.get("amount").and_then(|field| field.as_u128()),
        Some(u128::MAX)
    );
    assert_eq!(
        borrowed.get("delta").and_then(|field| field.as_i128()),
        Some(-7)
    );
    assert_eq!(
        borrowed.get("note").and_then(|field| field.as_str()),
        Some("a\"é\n")
    );
    assert_eq!(
        borrowed.get("topic").and_then(|field| field.as_ascii()),
        Some("pay\"out\n")
    );
    assert_eq!(
        borrowed.get("raw").and_then(|field| field.as_buffer()),
        Some([0, 0xff].as_slice())
    );
    assert_eq!(
        borrowed
            .get("who")
            .and_then(|field| field.as_principal())
            .as_ref(),
        value.get("who").and_then(Value::as_principal)
    );
    let tags: Vec<_> = borrowed
        .get("tags")
        .and_then(|field| field.as_list())
        .expect("a list")
        .collect();
    assert_eq!(tags.len(), 2);
    assert_eq!(
        tags.first()
            .and_then(ValueRef::as_optional)
            .flatten()
            .and_then(|tag| tag.as_bool()),
        Some(true)
    );
    let result = borrowed
        .get("result")
        .and_then(|field| field.as_response())
        .expect("a response");
    assert!(matches!(
        result.map(|inner| inner.as_response()),
        Ok(Some(Err(_)))
    ));
    assert!(borrowed.get("missing").is_none());
    assert!(
        borrowed
            .get("delta")
            .and_then(|field| field.as_u128())
            .is_none()
    );
    assert_eq!(borrowed.as_tuple().map(|fields| fields.len()), Some(8));
}

#[test]
fn json_of_every_kind() {
    let value = sample();
    let expected = serde_json::json!({
        "amount": "340282366920938463463374607431768211455",
        "delta": "-7",
        "note": "a\"é\n",
        "raw": "0x00ff",
        "result": {"ok": {"err": false}},
        "tags": [true, null],
        "topic": "pay\"out\n",
        "who": "SP000000000000000000002Q6VF78.pox",
    });
    assert_eq!(serde_json::to_value(&value).expect("json"), expected);
    let encoded = value.encode();
    let borrowed = ValueRef::decode_exact(&encoded).expect("legal");
    assert_eq!(serde_json::to_value(borrowed).expect("json"), expected);
}

#[test]
fn building_refuses_what_the_chain_refuses() {
    assert!(matches!(
        Value::ascii("é"),
        Err(BuildError::NotAscii { position: 0, .. })
    ));
    assert!(matches!(
        Value::tuple([("1", Value::None)]),
        Err(BuildError::Name(_))
    ));
    assert!(matches!(Value::tuple([]), Err(BuildError::EmptyTuple)));
    let twice = Value::tuple([("a", Value::None), ("a", Value::None)]);
    assert!(matches!(twice, Err(BuildError::DuplicateKey { name }) if name == "a"));
}
