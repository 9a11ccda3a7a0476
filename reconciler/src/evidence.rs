//! What a verdict rests on, in bytes that do not depend on who wrote them.

use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// JSON with sorted keys and without spaces (the order and form of RFC 8785, for values without fractions). Two equal
/// values give the same bytes.
///
/// # Errors
/// With the path of a number that is no integer: its text would depend on the writer. Amounts are text.
pub fn canonical(value: &Value) -> Result<String, NotCanonical> {
    let mut text = String::new();
    write(value, &mut text, &mut String::from("$"))?;
    Ok(text)
}

/// SHA-256 of the canonical form.
///
/// # Errors
/// As [`canonical`].
pub fn hash(value: &Value) -> Result<[u8; 32], NotCanonical> {
    Ok(Sha256::digest(canonical(value)?.as_bytes()).into())
}

/// A number that has no one form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("evidence holds {number} at {path}, which is no integer: write it as text")]
pub struct NotCanonical {
    /// Where.
    pub path: String,
    /// What.
    pub number: String,
}

fn write(value: &Value, out: &mut String, path: &mut String) -> Result<(), NotCanonical> {
    match value {
        Value::Array(items) => {
            out.push('[');
            for (place, item) in items.iter().enumerate() {
                if place > 0 {
                    out.push(',');
                }
                within(path, &format!("[{place}]"), |path| write(item, out, path))?;
            }
            out.push(']');
        }
        Value::Object(fields) => {
            // By UTF-16 units, as the RFC wants it; for ASCII that is the order of bytes.
            let mut names: Vec<_> = fields.keys().collect();
            names.sort_by(|a, b| a.encode_utf16().cmp(b.encode_utf16()));
            out.push('{');
            for (place, name) in names.into_iter().enumerate() {
                if place > 0 {
                    out.push(',');
                }
                out.push_str(&Value::from(name.as_str()).to_string());
                out.push(':');
                within(path, &format!(".{name}"), |path| {
                    write(&fields[name], out, path)
                })?;
            }
            out.push('}');
        }
        Value::Number(number) if number.as_i64().is_none() && number.as_u64().is_none() => {
            return Err(NotCanonical {
                path: path.clone(),
                number: number.to_string(),
            });
        }
        Value::Number(number) => out.push_str(&number.to_string()),
        // serde_json escapes what must be escaped and nothing else, in one way.
        Value::Null | Value::Bool(_) | Value::String(_) => out.push_str(&value.to_string()),
    }
    Ok(())
}

fn within<T>(path: &mut String, step: &str, work: impl FnOnce(&mut String) -> T) -> T {
    let length = path.len();
    path.push_str(step);
    let result = work(path);
    path.truncate(length);
    result
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_are_sorted_at_every_depth_and_spaces_are_gone() {
        let value =
            json!({"b": [1, {"z": null, "a": "é\n"}], "a": true, "\u{10000}": 1, "\u{ffff}": 2});
        assert_eq!(
            canonical(&value).unwrap(),
            "{\"a\":true,\"b\":[1,{\"a\":\"é\\n\",\"z\":null}],\"\u{10000}\":1,\"\u{ffff}\":2}"
        );
    }

    #[test]
    fn a_fraction_is_refused_with_its_place() {
        let error = canonical(&json!({"a": [0, 1.5]})).unwrap_err();
        assert_eq!(error.path, "$.a[1]");
        assert!(error.to_string().contains("1.5"), "{error}");
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map(any::<String>(), inner, 0..5)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn the_form_reads_back_as_the_value_and_is_its_own_form(value in value()) {
            let text = canonical(&value).unwrap();
            let read: Value = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(&read, &value);
            prop_assert_eq!(canonical(&read).unwrap(), text);
        }
    }
}
