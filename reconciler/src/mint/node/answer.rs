//! What a node said to a transaction, as one of a closed set.
//!
//! The node's words are those of stacks-core's `MemPoolRejection::into_json`. Whatever is not one of them leaves open
//! whether the transaction is on its way, and that is what is said: [`Answer::Unclear`].

use serde::Deserialize;
use stxworx_indexer::model::TxId;

use crate::mint::types::Answer;

/// Of what a node said, so many characters are kept.
const EXCERPT: usize = 160;

/// A rejection, in the node's form.
#[derive(Debug, Deserialize)]
struct Rejection {
    reason: String,
    txid: Option<String>,
    reason_data: Option<Data>,
}

/// What goes with some of the reasons.
#[derive(Debug, Default, Deserialize)]
struct Data {
    expected: Option<serde_json::Value>,
    actual: Option<serde_json::Value>,
    message: Option<String>,
    is_origin: Option<bool>,
}

/// Reasons that no later moment and no other node takes back.
const PERMANENT: [&str; 16] = [
    "Serialization",
    "Deserialization",
    "SignatureValidation",
    "NoSuchContract",
    "NoSuchPublicFunction",
    "BadFunctionArgument",
    "ContractAlreadyExists",
    "BadAddressVersionByte",
    "BadTransactionVersion",
    "TransferRecipientCannotEqualSender",
    "TransferAmountMustBePositive",
    "NoCoinbaseViaMempool",
    "NoTenureChangeViaMempool",
    "PoisonMicroblocksDoNotConflict",
    "PoisonMicroblockHasUnknownPubKeyHash",
    "PoisonMicroblockIsInvalid",
];

/// Reads the answer to `POST /v2/transactions`.
pub fn read(status: u16, body: &[u8], txid: &TxId) -> Answer {
    match status {
        200 => accepted(body, txid),
        400 => rejected(body, txid),
        _ => unclear(format!("HTTP {status}: {}", excerpt(body))),
    }
}

/// What leaves open whether it was taken.
pub fn unclear(reason: impl Into<String>) -> Answer {
    Answer::Unclear {
        reason: reason.into(),
    }
}

fn accepted(body: &[u8], txid: &TxId) -> Answer {
    match serde_json::from_slice::<String>(body) {
        Ok(told) if is_txid(&told, txid) => Answer::Accepted,
        Ok(told) => unclear(format!(
            "200 for another transaction, {}",
            excerpt(told.as_bytes())
        )),
        Err(_) => unclear(format!("200 without a txid: {}", excerpt(body))),
    }
}

fn rejected(body: &[u8], txid: &TxId) -> Answer {
    let Ok(rejection) = serde_json::from_slice::<Rejection>(body) else {
        return unclear(format!("400 without a reason: {}", excerpt(body)));
    };
    // A node that could not decode the bytes has no id for them.
    let told = rejection.txid.as_deref().unwrap_or_default();
    if !told.is_empty() && !is_txid(told, txid) {
        return unclear(format!(
            "a rejection of another transaction, {}",
            excerpt(told.as_bytes())
        ));
    }
    let reason = rejection.reason;
    let data = rejection.reason_data.unwrap_or_default();
    match reason.as_str() {
        "BadNonce" => bad_nonce(&data, reason),
        "TooMuchChaining" => Answer::TooMuchChaining,
        "ConflictingNonceInMempool" => Answer::ConflictingNonce,
        "FeeTooLow" => Answer::FeeTooLow {
            expected: data.expected.as_ref().and_then(serde_json::Value::as_u64),
        },
        "NotEnoughFunds" => Answer::NotEnoughFunds,
        "TemporarilyBlacklisted" => Answer::Later { reason },
        known if PERMANENT.contains(&known) => Answer::Permanent {
            reason: with_message(reason, &data),
        },
        // EstimatorError, ServerFailure... and what a later version may say.
        _ => unclear(with_message(reason, &data)),
    }
}

/// A nonce that is too high is one that waits for those before it.
fn bad_nonce(data: &Data, reason: String) -> Answer {
    let number = |value: &Option<serde_json::Value>| value.as_ref()?.as_u64();
    match (number(&data.expected), number(&data.actual)) {
        // Ours has no sponsor: whoever speaks of one speaks of another transaction.
        _ if data.is_origin == Some(false) => unclear(format!("{reason} of a sponsor")),
        (Some(expected), Some(actual)) if actual > expected => Answer::TooMuchChaining,
        (Some(expected), Some(actual)) => Answer::BadNonce { expected, actual },
        _ => unclear(format!("{reason} without its numbers")),
    }
}

fn with_message(reason: String, data: &Data) -> String {
    match &data.message {
        Some(message) => format!("{reason}: {}", excerpt(message.as_bytes())),
        None => excerpt(reason.as_bytes()),
    }
}

fn is_txid(told: &str, txid: &TxId) -> bool {
    let digits = told.strip_prefix("0x").unwrap_or(told);
    hex::decode(digits).is_ok_and(|bytes| bytes == txid.as_bytes())
}

pub(super) fn excerpt(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.chars()
        .filter(|c| !c.is_control())
        .take(EXCERPT)
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::mint::types::Class;

    const ID: TxId = TxId([0xab; 32]);

    fn rejection(reason: &str, data: serde_json::Value) -> Answer {
        let body = json!({
            "error": "transaction rejected", "reason": reason, "reason_data": data,
            "txid": hex::encode(ID.0)
        });
        read(400, body.to_string().as_bytes(), &ID)
    }

    #[test]
    fn every_reason_of_the_node_has_its_class() {
        use Class::{Ambiguous, Definite, Permanent};
        let none = serde_json::Value::Null;
        let message = json!({ "message": "some words" });
        let numbers = json!({ "expected": 5, "actual": 3, "principal": "ST…", "is_origin": true });
        let table = [
            ("Serialization", message.clone(), Permanent),
            ("Deserialization", message.clone(), Permanent),
            ("SignatureValidation", message.clone(), Permanent),
            (
                "FeeTooLow",
                json!({ "expected": 180, "actual": 1 }),
                Definite,
            ),
            ("BadNonce", numbers.clone(), Definite),
            ("TooMuchChaining", numbers, Definite),
            ("ConflictingNonceInMempool", none.clone(), Definite),
            (
                "NotEnoughFunds",
                json!({ "expected": "0x01", "actual": "0x00" }),
                Definite,
            ),
            ("NoSuchContract", none.clone(), Permanent),
            ("NoSuchPublicFunction", none.clone(), Permanent),
            ("BadFunctionArgument", message.clone(), Permanent),
            (
                "ContractAlreadyExists",
                json!({ "contract_identifier": "ST….a" }),
                Permanent,
            ),
            ("BadAddressVersionByte", none.clone(), Permanent),
            ("BadTransactionVersion", none.clone(), Permanent),
            (
                "TransferRecipientCannotEqualSender",
                json!({ "recipient": "ST…" }),
                Permanent,
            ),
            ("TransferAmountMustBePositive", none.clone(), Permanent),
            ("NoCoinbaseViaMempool", none.clone(), Permanent),
            ("NoTenureChangeViaMempool", none.clone(), Permanent),
            ("PoisonMicroblocksDoNotConflict", none.clone(), Permanent),
            (
                "PoisonMicroblockHasUnknownPubKeyHash",
                none.clone(),
                Permanent,
            ),
            ("PoisonMicroblockIsInvalid", none.clone(), Permanent),
            ("EstimatorError", message.clone(), Ambiguous),
            ("TemporarilyBlacklisted", none.clone(), Definite),
            ("ServerFailureNoSuchChainTip", none.clone(), Ambiguous),
            ("ServerFailureDatabase", message.clone(), Ambiguous),
            ("ServerFailureOther", message, Ambiguous),
            // What nobody has heard of yet.
            ("TheMoonIsFull", none, Ambiguous),
        ];
        for (reason, data, class) in table {
            let answer = rejection(reason, data);
            assert_eq!(answer.class(), class, "{reason}: {answer:?}");
        }
    }

    #[test]
    fn numbers_are_taken_over() {
        assert_eq!(
            rejection("FeeTooLow", json!({ "expected": 180, "actual": 1 })),
            Answer::FeeTooLow {
                expected: Some(180)
            }
        );
        let nonce = |expected: u64, actual: u64| {
            rejection(
                "BadNonce",
                json!({ "expected": expected, "actual": actual, "is_origin": true }),
            )
        };
        assert_eq!(
            nonce(7, 6),
            Answer::BadNonce {
                expected: 7,
                actual: 6
            }
        );
        // Too high: it waits for those before it, and nothing is foreign.
        assert_eq!(nonce(7, 40), Answer::TooMuchChaining);
        let sponsor = json!({ "expected": 7, "actual": 6, "is_origin": false });
        assert!(matches!(
            rejection("BadNonce", sponsor),
            Answer::Unclear { .. }
        ));
    }

    #[test]
    fn only_a_200_with_our_own_id_is_one() {
        let ours = format!("\"{}\"", hex::encode(ID.0));
        assert_eq!(read(200, ours.as_bytes(), &ID), Answer::Accepted);
        let prefixed = format!("\"0x{}\"", hex::encode(ID.0));
        assert_eq!(read(200, prefixed.as_bytes(), &ID), Answer::Accepted);
        let other = format!("\"{}\"", hex::encode([1; 32]));
        for body in [other.as_str(), "", "{}", "<html>ok</html>", "\"\""] {
            let answer = read(200, body.as_bytes(), &ID);
            assert_eq!(answer.class(), Class::Ambiguous, "{body}: {answer:?}");
        }
    }

    #[test]
    fn what_is_not_understood_leaves_everything_open() {
        for (status, body) in [
            (400, "Failed to decode transaction: short"),
            (400, "{\"error\":\"transaction rejected\"}"),
            (400, "{\"reason\": 5}"),
            (401, "no"),
            (404, "not here"),
            (413, "too large"),
            (429, "{\"reason\":\"FeeTooLow\"}"),
            (500, "{\"reason\":\"NoSuchContract\"}"),
            (502, "<html>bad gateway</html>"),
            (503, ""),
            (504, ""),
            (302, ""),
        ] {
            let answer = read(status, body.as_bytes(), &ID);
            assert_eq!(
                answer.class(),
                Class::Ambiguous,
                "{status} {body}: {answer:?}"
            );
        }
        let of_another = json!({ "reason": "NoSuchContract", "txid": hex::encode([1; 32]) });
        let answer = read(400, of_another.to_string().as_bytes(), &ID);
        assert_eq!(answer.class(), Class::Ambiguous);
    }

    proptest! {
        #[test]
        fn any_answer_is_one_of_the_set(status in 100..600u16, body in prop::collection::vec(any::<u8>(), 0..300)) {
            let answer = read(status, &body, &ID);
            prop_assert_eq!(answer.class(), Class::Ambiguous);
            let Answer::Unclear { reason } = answer else { panic!() };
            prop_assert!(reason.chars().count() < 2 * EXCERPT && !reason.contains('\n'));
        }
    }
}
