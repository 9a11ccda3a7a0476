//! Which events of a transaction made a version. Pure.

use stxworx_clarity::codec::Value;
use stxworx_clarity::events;

use super::{EventView, Subject};
use crate::model::EventKind;
use crate::store::read::explain::{CauseRow, LineVersion};

/// Transaction and ordinal in a version's position.
pub(super) fn place(position: i64) -> (i32, i32) {
    let low = position & i64::from(u32::MAX);
    (
        i32::try_from(position >> 32).unwrap_or(i32::MAX),
        i32::try_from(low).unwrap_or(i32::MAX),
    )
}

/// The events that made a version. Most have a version for each event; badges and assets have one for each
/// transaction, in which events and transfers are held against each other.
pub(super) fn of(
    subject: &Subject,
    entity: &str,
    version: &LineVersion,
    events: &[CauseRow],
) -> Vec<EventView> {
    let (tx_index, ordinal) = place(version.position);
    let in_transaction = events
        .iter()
        .filter(|e| e.block_id == version.block_id && e.tx_index == tx_index);
    let chosen: Vec<&CauseRow> = match subject {
        Subject::Badge(id) => in_transaction
            .filter(|e| is_of_badge(entity, id, e))
            .collect(),
        Subject::Asset(asset) => in_transaction
            .filter(|e| is_of_asset(entity, asset, e))
            .collect(),
        _ => in_transaction.filter(|e| e.ordinal == ordinal).collect(),
    };
    chosen.into_iter().map(EventView::new).collect()
}

/// A field of a typed print.
fn print_field(event: &CauseRow, field: &str) -> Option<serde_json::Value> {
    let contract = event.contract.as_deref()?;
    let (_, name) = contract.split_once('.')?;
    let envelope = events::decode(name, event.value.as_deref()?).ok()?;
    let json = serde_json::to_value(&envelope.event).ok()?;
    json.get(field).cloned()
}

fn is_print(event: &CauseRow) -> bool {
    event.kind == EventKind::Contract as i16
}

fn is_of_badge(entity: &str, id: &str, event: &CauseRow) -> bool {
    let contract = entity.strip_suffix(id).and_then(|c| c.strip_suffix('/'));
    if event.contract.as_deref() != contract {
        return false;
    }
    if is_print(event) {
        return print_field(event, "id").is_some_and(|found| found == *id);
    }
    let value = event
        .value
        .as_deref()
        .and_then(|v| Value::decode_exact(v).ok());
    value
        .and_then(|v| v.as_u128())
        .is_some_and(|found| found.to_string() == *id)
}

fn is_of_asset(entity: &str, asset: &str, event: &CauseRow) -> bool {
    let Some(escrow) = entity.strip_suffix(asset).and_then(|c| c.strip_suffix('|')) else {
        return false;
    };
    if is_print(event) {
        let named = event.contract.as_deref() == Some(escrow);
        return named
            && print_field(event, "asset")
                .is_some_and(|found| found.as_str().unwrap_or("STX") == asset);
    }
    let moves = [&event.sender, &event.recipient]
        .iter()
        .any(|who| who.as_deref() == Some(escrow));
    moves && event.contract.as_deref().unwrap_or("STX") == asset
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::read::Hex;

    fn transfer(sender: &str, contract: Option<&str>) -> CauseRow {
        CauseRow {
            block_id: 1,
            tx_index: 2,
            ordinal: 0,
            kind: EventKind::StxTransfer as i16,
            contract: contract.map(str::to_owned),
            sender: Some(sender.to_owned()),
            recipient: Some("ST2".to_owned()),
            amount: Some("5".to_owned()),
            asset: None,
            topic: None,
            value: None,
            txid: Hex(vec![0; 32]),
        }
    }

    #[test]
    fn a_position_is_taken_apart() {
        assert_eq!(place((7 << 32) | 3), (7, 3));
    }

    #[test]
    fn a_transfer_belongs_to_the_escrow_that_it_touches() {
        let entity = "ST1.freelance-logic|STX";
        assert!(is_of_asset(
            entity,
            "STX",
            &transfer("ST1.freelance-logic", None)
        ));
        assert!(!is_of_asset(entity, "STX", &transfer("ST3", None)));
        let token = transfer("ST1.freelance-logic", Some("ST1.token"));
        assert!(!is_of_asset(entity, "STX", &token));
        assert!(is_of_asset(
            "ST1.freelance-logic|ST1.token",
            "ST1.token",
            &token
        ));
    }
}
