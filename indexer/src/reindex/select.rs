//! Which differences are a contract's own. Pure.

use crate::store::proof::Row;
use crate::verify::diff::Difference;

/// Is this the entity of a contract, in any projection? Entities are `CONTRACT`, `CONTRACT/KEY` or `CONTRACT|ASSET`.
pub(super) fn is_of(entity: &str, contract: &str) -> bool {
    entity
        .strip_prefix(contract)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '|']))
}

/// The entity in the key of a row of `projection_version`.
fn entity_of(key: &str) -> Option<&str> {
    let (_, rest) = key.split_once(" entity ")?;
    rest.rsplit_once(" position ").map(|(entity, _)| entity)
}

/// Does the row name the contract, as it should be or as it is stored?
pub(super) fn concerns(difference: &Difference<'_>, contract: &str) -> bool {
    let names = |row: &Row| {
        row.fields.iter().any(|(column, value)| {
            ["contract", "sender", "recipient"].contains(column) && value == contract
        })
    };
    match difference.table {
        "projection_version" => entity_of(difference.key).is_some_and(|e| is_of(e, contract)),
        "transaction" | "event" => [difference.expected_row, difference.stored_row]
            .into_iter()
            .flatten()
            .any(names),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entity_belongs_to_the_contract_that_it_begins_with() {
        assert!(is_of("ST1.logic", "ST1.logic"));
        assert!(is_of("ST1.logic/7", "ST1.logic") && is_of("ST1.logic|STX", "ST1.logic"));
        assert!(!is_of("ST1.logic-2/7", "ST1.logic") && !is_of("ST1.log", "ST1.logic"));
    }

    #[test]
    fn the_entity_is_read_from_the_key() {
        let key = "projection 16 entity ST1.x/a entity b position c position 7";
        assert_eq!(entity_of(key), Some("ST1.x/a entity b position c"));
    }

    #[test]
    fn a_row_is_the_contracts_by_either_side() {
        let row = |contract: &str| Row {
            key: "tx_index 1 ordinal 0".into(),
            fields: vec![("contract", contract.into()), ("amount", "1".into())],
        };
        let (mine, other) = (row("ST1.a"), row("ST1.b"));
        let difference = |expected, stored| Difference {
            table: "event",
            key: "tx_index 1 ordinal 0",
            column: "contract",
            expected: "",
            stored: "",
            expected_row: expected,
            stored_row: stored,
        };
        assert!(concerns(&difference(Some(&mine), Some(&other)), "ST1.a"));
        assert!(concerns(&difference(None, Some(&mine)), "ST1.a"));
        assert!(!concerns(&difference(Some(&other), None), "ST1.a"));
    }
}
