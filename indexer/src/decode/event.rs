//! One element of `events` to [`EventBody`].

use stxworx_clarity::codec::value::ValueRef;

use super::block::clean;
use super::payload::{Body, ContractEvent, Event, Movement, StxLock};
use super::{DecodeError, Place, field, hex_bytes};
use crate::model::{EventBody, EventKind};

/// Longest topic that is kept as such; longer texts are data, not names.
const MAX_TOPIC_CHARS: usize = 128;

pub(super) fn decode_event(place: Place, event: &Event<'_>) -> Result<EventBody, DecodeError> {
    let Some(kind) = EventKind::from_name(&event.kind) else {
        // A kind of a later node: its name is kept here, its content in the stored payload.
        let mut body = EventBody::new(EventKind::Other);
        body.topic = Some(clean(&event.kind));
        body.value = event.body.unknown().map(|json| json.as_bytes().to_vec());
        return Ok(body);
    };
    match (kind, &event.body) {
        (EventKind::Contract, Body::Contract(event)) => contract_event(place, event),
        (EventKind::StxLock, Body::Lock(event)) => stx_lock(place, event),
        (EventKind::Contract | EventKind::StxLock, _) | (_, Body::None | Body::Unknown(_)) => {
            Err(field(
                place,
                "type",
                "the name of a field that is present",
                &event.kind,
            ))
        }
        (_, Body::Movement(name, event)) if *name == kind.as_str() => {
            asset_movement(place, kind, event)
        }
        (_, Body::Movement(..) | Body::Contract(_) | Body::Lock(_)) => Err(field(
            place,
            "type",
            "the name of the field beside it",
            &event.kind,
        )),
    }
}

fn contract_event(place: Place, event: &ContractEvent<'_>) -> Result<EventBody, DecodeError> {
    let mut body = EventBody::new(EventKind::Contract);
    let value = hex_bytes(place, "raw_value", &event.raw_value)?;
    body.contract = Some(name(
        place,
        "contract_identifier",
        &event.contract_identifier,
    )?);
    body.topic = topic(&value);
    body.value = Some(value);
    Ok(body)
}

/// A print's name by convention: the text `topic`, or else `event`, of a printed tuple.
fn topic(value: &[u8]) -> Option<String> {
    let value = ValueRef::decode_exact(value).ok()?;
    let text = value
        .get("topic")
        .or_else(|| value.get("event"))?
        .as_str()?;
    (text.chars().count() <= MAX_TOPIC_CHARS).then(|| clean(text))
}

fn stx_lock(place: Place, event: &StxLock<'_>) -> Result<EventBody, DecodeError> {
    let mut body = EventBody::new(EventKind::StxLock);
    body.amount = Some(amount(place, "locked_amount", &event.locked_amount)?);
    body.sender = Some(name(place, "locked_address", &event.locked_address)?);
    body.contract = optional_name(
        place,
        "contract_identifier",
        event.contract_identifier.as_deref(),
    )?;
    body.unlock_height = Some(event.unlock_height.parse().map_err(|_| {
        field(
            place,
            "unlock_height",
            "a burn height",
            &event.unlock_height,
        )
    })?);
    Ok(body)
}

/// Longest name of a principal or an asset: an address has 41 characters, and the chain allows 128 for
/// the name of a contract and of an asset. An index could not hold much more.
const MAX_NAME_BYTES: usize = 256;

fn name(place: Place, what: &'static str, text: &str) -> Result<String, DecodeError> {
    if text.len() > MAX_NAME_BYTES {
        return Err(field(place, what, "at most 256 bytes long", text));
    }
    Ok(clean(text))
}

fn optional_name(
    place: Place,
    what: &'static str,
    text: Option<&str>,
) -> Result<Option<String>, DecodeError> {
    text.map(|text| name(place, what, text)).transpose()
}

fn amount(place: Place, name: &'static str, text: &str) -> Result<u128, DecodeError> {
    text.parse()
        .map_err(|_| field(place, name, "an unsigned integer below 2^128", text))
}

fn asset_movement(
    place: Place,
    kind: EventKind,
    event: &Movement<'_>,
) -> Result<EventBody, DecodeError> {
    let mut body = EventBody::new(kind);
    if let Some(identifier) = &event.asset_identifier {
        let (contract, asset) = identifier
            .split_once("::")
            .ok_or_else(|| field(place, "asset_identifier", "CONTRACT::asset", identifier))?;
        body.contract = Some(name(place, "asset_identifier", contract)?);
        body.asset = Some(name(place, "asset_identifier", asset)?);
    }
    body.sender = optional_name(place, "sender", event.sender.as_deref())?;
    body.recipient = optional_name(place, "recipient", event.recipient.as_deref())?;
    body.amount = event
        .amount
        .as_deref()
        .map(|a| amount(place, "amount", a))
        .transpose()?;
    body.value = match (&event.raw_value, event.memo.as_deref()) {
        (Some(raw), _) => Some(hex_bytes(place, "raw_value", raw)?),
        (None, Some(memo)) if !memo.is_empty() => Some(hex_bytes(place, "memo", memo)?),
        _ => None,
    };
    Ok(body)
}
