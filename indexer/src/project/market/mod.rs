//! The platform's contracts: their events folded into what people ask for.
//!
//! A contract is known by the name in its id (`freelance-logic` and so on), whatever its address, so
//! that a second deployment is followed beside the first. Entities begin with the contract's id.

pub mod actions;
pub mod assets;
pub mod badges;
pub mod event_chain;
pub mod profiles;
pub mod projects;
pub mod settings;
pub mod signers;
pub mod treasury;
pub mod unrecognised;
mod units;

use stxworx_clarity::codec::Principal;
use stxworx_clarity::events::{self, Envelope};

pub use units::Units;

use crate::model::change::position;
use crate::model::{Block, Event, EventKind, FollowSet, TxId};

/// A typed event at its place.
pub(super) struct Seen<'a> {
    pub event: &'a Event,
    /// The contract's id.
    pub contract: &'a str,
    pub txid: TxId,
    pub envelope: Envelope,
}

impl Seen<'_> {
    pub(super) fn position(&self) -> u64 {
        position(self.event.tx_index, self.event.ordinal)
    }

    pub(super) fn entity(&self, key: &dyn std::fmt::Display) -> String {
        format!("{}/{key}", self.contract)
    }
}

/// Every print of a followed contract of the catalogue, with its transaction and raw value.
pub(super) fn prints<'a>(
    block: &'a Block,
    follow: &'a FollowSet,
) -> impl Iterator<Item = (&'a Event, &'a str, &'a [u8], TxId)> {
    block.events.iter().filter_map(move |event| {
        if event.body.kind != EventKind::Contract {
            return None;
        }
        let contract = event.body.contract.as_deref()?;
        if !events::is_known(name_of(contract)) || !follow.follows_contract(contract) {
            return None;
        }
        let txid = transaction_of(block, event)?;
        Some((
            event,
            contract,
            event.body.value.as_deref().unwrap_or_default(),
            txid,
        ))
    })
}

/// The typed events of contracts of this name.
pub(super) fn seen<'a>(
    block: &'a Block,
    follow: &'a FollowSet,
    name: &'a str,
) -> impl Iterator<Item = Seen<'a>> {
    prints(block, follow)
        .filter(move |(_, contract, ..)| name_of(contract) == name)
        .filter_map(move |(event, contract, raw, txid)| {
            let envelope = events::decode(name, raw).ok()?;
            Some(Seen {
                event,
                contract,
                txid,
                envelope,
            })
        })
}

pub(super) fn transaction_of(block: &Block, event: &Event) -> Option<TxId> {
    let place = block
        .transactions
        .binary_search_by_key(&event.tx_index, |t| t.tx_index)
        .ok()?;
    Some(block.transactions[place].txid)
}

/// The name in a contract's id.
pub(super) fn name_of(contract: &str) -> &str {
    contract.split_once('.').map_or("", |(_, name)| name)
}

/// The name of an asset: `STX`, or the id of the token's contract.
pub(super) fn asset_name(asset: Option<&Principal>) -> String {
    asset.map_or_else(|| "STX".to_owned(), ToString::to_string)
}

/// A hash as text.
pub(super) fn hex0x(bytes: &[u8; 32]) -> String {
    format!("0x{}", hex::encode(bytes))
}

/// A `uint` that is small by the contract's rules; the largest value stands for one that is not.
pub(super) fn small(value: u128) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}

#[cfg(test)]
pub mod testing;
#[cfg(test)]
mod tests;
