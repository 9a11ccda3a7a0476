//! The events of the platform's contracts, typed.
//!
//! [`schema`] is the one table of topics and fields. The types in [`data`], [`logic`], [`badges`] and
//! [`security`] come from it, and the check of the contracts' sources reads it, so that the three agree.
//!
//! Every state change of a contract prints one tuple, the [`Envelope`]. SHA-256 of its bytes is the
//! `prev` of the next one, and the head that the contract's `get-cursor` returns.

mod catalogue;
pub mod field;
mod schema;
#[cfg(test)]
mod tests;

pub use catalogue::{ActionArgs, MilestoneTerms, badges, data, logic, schema, security};
pub use schema::{ContractSchema, TopicSchema};

use field::{Ascii, Field as _, Hash, Uint};

use crate::codec::{Principal, Value, ValueRef};

/// What surrounds the data of every event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header<'a> {
    /// Its name.
    pub topic: &'a str,
    /// Version of its data.
    pub version: u128,
    /// Count of the contract's events, from 1, without gaps.
    pub seq: u128,
    /// SHA-256 of the event before; zeros before the first.
    pub prev: [u8; 32],
    /// Burn block height.
    pub burn_height: u128,
    /// Who called the contract.
    pub by: Principal,
    /// The data, undecoded.
    pub data: ValueRef<'a>,
}

/// An event with all of it decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// Count of the contract's events, from 1, without gaps.
    pub seq: u128,
    /// SHA-256 of the event before; zeros before the first.
    pub prev: [u8; 32],
    /// Burn block height.
    pub burn_height: u128,
    /// Who called the contract.
    pub by: Principal,
    /// What happened.
    pub event: Event,
}

/// An event of one of the contracts.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(untagged)]
pub enum Event {
    /// freelance-data
    Data(data::DataEvent),
    /// freelance-logic
    Logic(logic::LogicEvent),
    /// freelance-badges
    Badges(badges::BadgesEvent),
    /// freelance-security
    Security(security::SecurityEvent),
}

/// Why a print is not an event of the catalogue. It is kept all the same.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// Not of the contracts of the catalogue.
    #[error("the contract is not of the catalogue")]
    Contract,
    /// Not a tuple with the fields of the envelope.
    #[error("the print is no event envelope")]
    Envelope,
    /// A topic that is not there.
    #[error("the topic is not of the catalogue")]
    Topic,
    /// A version that is not there.
    #[error("version {0} of the topic is not of the catalogue")]
    Version(u128),
    /// Fields that are missing, more, or of other types.
    #[error("the fields are not those of the topic")]
    Shape,
}

/// The envelope of a print, whatever its topic; `None` for a print that has none.
pub fn header(raw: &[u8]) -> Option<Header<'_>> {
    let value = ValueRef::decode_exact(raw).ok()?;
    (field::width(value)? == 7).then_some(())?;
    Some(Header {
        topic: value.get("topic")?.as_ascii()?,
        version: value.get("v")?.as_u128()?,
        seq: value.get("seq")?.as_u128()?,
        prev: Hash::read(value.get("prev")?)?.0,
        burn_height: value.get("bh")?.as_u128()?,
        by: <Principal as field::Field>::read(value.get("by")?)?,
        data: value.get("data")?,
    })
}

/// Decodes a print of the contract of this name (`freelance-logic`, without its address).
///
/// # Errors
/// When the catalogue does not have it; see [`Reason`].
pub fn decode(contract: &str, raw: &[u8]) -> Result<Envelope, Reason> {
    if !is_known(contract) {
        return Err(Reason::Contract);
    }
    let header = header(raw).ok_or(Reason::Envelope)?;
    let (topic, version, data) = (header.topic, header.version, header.data);
    let event = match contract {
        data::DataEvent::CONTRACT => Event::Data(data::DataEvent::read(topic, version, data)?),
        logic::LogicEvent::CONTRACT => Event::Logic(logic::LogicEvent::read(topic, version, data)?),
        badges::BadgesEvent::CONTRACT => {
            Event::Badges(badges::BadgesEvent::read(topic, version, data)?)
        }
        _ => Event::Security(security::SecurityEvent::read(topic, version, data)?),
    };
    Ok(Envelope {
        seq: header.seq,
        prev: header.prev,
        burn_height: header.burn_height,
        by: header.by,
        event,
    })
}

/// Whether the catalogue has a contract of this name.
pub fn is_known(contract: &str) -> bool {
    [
        data::DataEvent::CONTRACT,
        logic::LogicEvent::CONTRACT,
        badges::BadgesEvent::CONTRACT,
        security::SecurityEvent::CONTRACT,
    ]
    .contains(&contract)
}

impl Event {
    /// As printed.
    pub fn topic(&self) -> &'static str {
        match self {
            Self::Data(event) => event.topic(),
            Self::Logic(event) => event.topic(),
            Self::Badges(event) => event.topic(),
            Self::Security(event) => event.topic(),
        }
    }
}

impl Envelope {
    /// The tuple that a contract would print; `None` for a text that is no `string-ascii`.
    pub fn write(&self) -> Option<Value> {
        let (version, data) = match &self.event {
            Event::Data(event) => event.write()?,
            Event::Logic(event) => event.write()?,
            Event::Badges(event) => event.write()?,
            Event::Security(event) => event.write()?,
        };
        Value::tuple([
            ("topic", Ascii(self.event.topic().to_owned()).write()?),
            ("v", Value::UInt(version)),
            ("seq", Uint(self.seq).write()?),
            ("prev", Hash(self.prev).write()?),
            ("bh", Uint(self.burn_height).write()?),
            ("by", self.by.write()?),
            ("data", data),
        ])
        .ok()
    }
}
