//! Short ways to write Clarity values in code, and the JSON that old nodes made of them.

use super::json::{Json, object};
use serde_json::json;
use stxworx_clarity::codec::Value;
use stxworx_clarity::codec::{Principal, StandardPrincipal};

/// `uint`.
pub fn uint(number: impl Into<u128>) -> Value {
    Value::UInt(number.into())
}

/// `string-ascii` of a text written in the code.
///
/// # Panics
/// If a character is not printable ASCII or white space.
pub fn ascii(text: &str) -> Value {
    Value::ascii(text).expect("ASCII text")
}

/// `principal` of an account.
pub fn account(address: &StandardPrincipal) -> Value {
    Value::Principal(Principal::Standard(*address))
}

/// A tuple whose field names are written in the code.
///
/// # Panics
/// If a name is not legal or stands twice, or there is none.
pub fn tuple<'a>(fields: impl IntoIterator<Item = (&'a str, Value)>) -> Value {
    Value::tuple(fields).expect("legal, different field names")
}

/// A printed event as the marketplace's contracts write it: `{event: "…", …}`.
///
/// # Panics
/// As [`tuple()`].
pub fn event<'a>(name: &str, fields: impl IntoIterator<Item = (&'a str, Value)>) -> Value {
    tuple(fields.into_iter().chain([("event", ascii(name))]))
}

/// The decoded `value` that nodes before 3.4.0.0.2 sent beside `raw_value`: the serde form of clarity's own type.
pub(super) fn legacy_json(value: &Value) -> Json {
    match value {
        Value::Int(number) => json!({ "Int": legacy_number(i64::try_from(*number).ok(), number) }),
        Value::UInt(number) => {
            json!({ "UInt": legacy_number(u64::try_from(*number).ok(), number) })
        }
        Value::Bool(is_true) => json!({ "Bool": is_true }),
        Value::Buffer(bytes) => json!({ "Sequence": { "Buffer": { "data": bytes } } }),
        Value::Ascii(text) => {
            json!({ "Sequence": { "String": { "ASCII": { "data": text.as_str().as_bytes() } } } })
        }
        Value::Utf8(text) => {
            let data: Vec<_> = text.chars().map(|c| c.to_string().into_bytes()).collect();
            json!({ "Sequence": { "String": { "UTF8": { "data": data } } } })
        }
        Value::Principal(principal) => json!({ "Principal": legacy_principal(principal) }),
        Value::Ok(value) => legacy_response(true, value),
        Value::Err(value) => legacy_response(false, value),
        Value::None => json!({ "Optional": { "data": null } }),
        Value::Some(value) => json!({ "Optional": { "data": legacy_json(value) } }),
        Value::List(elements) => {
            let data: Vec<_> = elements.iter().map(legacy_json).collect();
            let entry_type = elements.first().map_or(json!("NoType"), legacy_type);
            let signature = object([
                ("entry_type", entry_type),
                ("max_len", json!(elements.len())),
            ]);
            json!({ "Sequence": { "List": object([("data", Json::Array(data)), ("type_signature", signature)]) } })
        }
        Value::Tuple(tuple) => {
            let data = object(
                tuple
                    .fields()
                    .iter()
                    .map(|(name, value)| (name.as_str(), legacy_json(value))),
            );
            let signature = object([("type_map", legacy_type_map(tuple.fields()))]);
            json!({ "Tuple": object([("data_map", data), ("type_signature", signature)]) })
        }
    }
}

/// JSON numbers of archives beyond 64 bits are rounded, as those written by jsonb and JavaScript are.
fn legacy_number<N: Into<Json>>(exact: Option<N>, number: &impl ToString) -> Json {
    match exact {
        Some(exact) => exact.into(),
        None => number
            .to_string()
            .parse::<f64>()
            .map_or(Json::Null, Json::from),
    }
}

fn legacy_response(committed: bool, value: &Value) -> Json {
    json!({ "Response": object([("committed", json!(committed)), ("data", legacy_json(value))]) })
}

fn legacy_principal(principal: &Principal) -> Json {
    let issuer = |address: &StandardPrincipal| json!([address.version(), address.hash160()]);
    match principal {
        Principal::Standard(address) => json!({ "Standard": issuer(address) }),
        Principal::Contract(contract) => {
            let name = json!(contract.name.as_str());
            json!({ "Contract": object([("issuer", issuer(&contract.issuer)), ("name", name)]) })
        }
    }
}

fn legacy_type_map<N>(fields: &[(N, Value)]) -> Json
where
    N: std::ops::Deref<Target = str>,
{
    object(
        fields
            .iter()
            .map(|(name, value)| (&**name, legacy_type(value))),
    )
}

fn legacy_type(value: &Value) -> Json {
    match value {
        Value::Int(_) => json!("IntType"),
        Value::UInt(_) => json!("UIntType"),
        Value::Bool(_) => json!("BoolType"),
        Value::Buffer(bytes) => json!({ "SequenceType": { "BufferType": bytes.len() } }),
        Value::Ascii(text) => {
            json!({ "SequenceType": { "StringType": { "ASCII": text.as_str().len() } } })
        }
        Value::Utf8(text) => {
            json!({ "SequenceType": { "StringType": { "UTF8": text.chars().count() } } })
        }
        Value::Principal(_) => json!("PrincipalType"),
        Value::Ok(value) => json!({ "ResponseType": [legacy_type(value), "NoType"] }),
        Value::Err(value) => json!({ "ResponseType": ["NoType", legacy_type(value)] }),
        Value::None => json!({ "OptionalType": "NoType" }),
        Value::Some(value) => json!({ "OptionalType": legacy_type(value) }),
        Value::List(elements) => {
            let entry_type = elements.first().map_or(json!("NoType"), legacy_type);
            let signature = object([
                ("entry_type", entry_type),
                ("max_len", json!(elements.len())),
            ]);
            json!({ "SequenceType": { "ListType": signature } })
        }
        Value::Tuple(tuple) => {
            json!({ "TupleType": { "type_map": legacy_type_map(tuple.fields()) } })
        }
    }
}
