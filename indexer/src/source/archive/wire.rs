//! The part of `/new_block` that decides what a mirror keeps of it, and no more.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use stxworx_clarity::codec::Transaction as StacksTransaction;
use stxworx_clarity::codec::transaction::Payload;

use crate::model::ConsensusHash;

/// A text borrowed from the payload where it has no escapes.
#[derive(Deserialize)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

/// The header's fields as they are written, so that they are handed on as they are.
#[derive(Deserialize)]
pub(super) struct Block<'a, T, E> {
    #[serde(borrow)]
    pub(super) index_block_hash: &'a RawValue,
    #[serde(borrow)]
    pub(super) parent_index_block_hash: &'a RawValue,
    #[serde(borrow)]
    pub(super) block_height: &'a RawValue,
    #[serde(borrow)]
    pub(super) block_hash: &'a RawValue,
    #[serde(borrow, default, deserialize_with = "present")]
    pub(super) block_time: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) burn_block_hash: &'a RawValue,
    #[serde(borrow)]
    pub(super) burn_block_height: &'a RawValue,
    #[serde(borrow, default, deserialize_with = "present")]
    pub(super) burn_block_time: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    pub(super) consensus_hash: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    pub(super) miner_txid: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    pub(super) tenure_height: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    pub(super) burn_view: Option<&'a RawValue>,
    #[serde(default)]
    pub(super) listed_transactions: Option<u32>,
    #[serde(default)]
    pub(super) listed_events: Option<u32>,
    pub(super) transactions: T,
    pub(super) events: E,
}

/// A field that is there, also where it is null: what it means is not decided here.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&'de RawValue>::deserialize(deserializer).map(Some)
}

/// A block of which nothing is kept but the header.
pub(super) type Skimmed<'a> = Block<'a, SkimmedTransactions, Count>;
/// A block whose transactions and events are looked at one by one.
pub(super) type Listed<'a> = Block<'a, Vec<Transaction<'a>>, Vec<Event<'a>>>;

/// How many elements a list has.
pub(super) struct Count(pub(super) usize);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Counter;
        impl<'de> Visitor<'de> for Counter {
            type Value = Count;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a list")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Count, A::Error> {
                let mut count = 0;
                while list.next_element::<IgnoredAny>()?.is_some() {
                    count += 1;
                }
                Ok(Count(count))
            }
        }
        deserializer.deserialize_seq(Counter)
    }
}

/// Version and chain id of a transaction, in digits.
pub(super) const NETWORK_DIGITS: usize = 10;
/// Of so many transactions in a block the network is noted.
pub(super) const NETWORK_SAMPLES: usize = 4;

/// What has to be known of transactions of which none is kept.
#[derive(Default)]
pub(super) struct SkimmedTransactions {
    pub(super) count: usize,
    /// One of them is written so that a needle could be missed in it.
    pub(super) is_odd: bool,
    /// What the last change of the tenure among them says, and its place.
    pub(super) burn_view: Option<(u64, ConsensusHash)>,
    /// Version and chain id of some.
    pub(super) networks: Vec<[u8; NETWORK_DIGITS]>,
}

impl SkimmedTransactions {
    fn add(&mut self, transaction: &Brief<'_>) {
        self.count += 1;
        let digits = without_prefix(&transaction.raw_tx);
        self.is_odd |= !is_lower_hex(digits);
        if self.networks.len() < NETWORK_SAMPLES
            && let Some(begins) = digits.first_chunk()
        {
            self.networks.push(*begins);
        }
        if let Some(view) = tenure_change(digits)
            && self
                .burn_view
                .is_none_or(|(at, _)| at <= transaction.tx_index)
        {
            self.burn_view = Some((transaction.tx_index, view));
        }
    }
}

/// The digits of a text that may begin with `0x`.
pub(super) fn without_prefix(text: &str) -> &[u8] {
    text.strip_prefix("0x").unwrap_or(text).as_bytes()
}

impl<'de> Deserialize<'de> for SkimmedTransactions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Skimmer;
        impl<'de> Visitor<'de> for Skimmer {
            type Value = SkimmedTransactions;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a list of transactions")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut skimmed = SkimmedTransactions::default();
                while let Some(transaction) = list.next_element::<Brief<'de>>()? {
                    skimmed.add(&transaction);
                }
                Ok(skimmed)
            }
        }
        deserializer.deserialize_seq(Skimmer)
    }
}

/// Bytes of a tenure change's payload; it is the last part of a transaction.
const TENURE_CHANGE_BYTES: usize = 1 + 3 * 20 + 32 + 4 + 1 + 20;
/// How such a payload begins.
const TENURE_CHANGE_DIGITS: &[u8] = b"07";

/// The sortition that a change of the tenure says it has seen, if these are the digits of one.
pub(super) fn tenure_change(digits: &[u8]) -> Option<ConsensusHash> {
    // One in 256 others looks like it.
    let at = digits.len().checked_sub(2 * TENURE_CHANGE_BYTES)?;
    if !digits[at..].starts_with(TENURE_CHANGE_DIGITS) {
        return None;
    }
    let decoded = StacksTransaction::decode(&hex::decode(digits).ok()?).ok()?;
    match decoded.payload {
        Payload::TenureChange(change) => Some(ConsensusHash(change.burn_view_consensus_hash)),
        _ => None,
    }
}

/// Digits with none in capitals, at least one; written so that it is done many at a time.
fn is_lower_hex(digits: &[u8]) -> bool {
    let odd = digits
        .iter()
        .fold(0, |odd, b| odd | u8::from(b.is_ascii_uppercase()));
    odd == 0 && !digits.is_empty()
}

/// Of one transaction, what is needed where none is kept.
struct Brief<'a> {
    raw_tx: Cow<'a, str>,
    tx_index: u64,
}

impl<'de: 'a, 'a> Deserialize<'de> for Brief<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Brief<'de>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a transaction")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Brief<'de>, A::Error> {
                let (mut raw_tx, mut tx_index) = (None, None);
                while let Some(Text(key)) = map.next_key::<Text<'de>>()? {
                    match key.as_ref() {
                        "raw_tx" => raw_tx = Some(map.next_value::<Text<'de>>()?.0),
                        "tx_index" => tx_index = Some(map.next_value()?),
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(Brief {
                    raw_tx: raw_tx.ok_or_else(|| A::Error::missing_field("raw_tx"))?,
                    tx_index: tx_index.ok_or_else(|| A::Error::missing_field("tx_index"))?,
                })
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

/// A transaction, as far as it decides whether it is kept, and all of it as it is written.
pub(super) struct Transaction<'a> {
    pub(super) raw: &'a RawValue,
    pub(super) fields: TransactionFields<'a>,
}

#[derive(Deserialize)]
pub(super) struct TransactionFields<'a> {
    #[serde(borrow)]
    pub(super) txid: Cow<'a, str>,
    pub(super) tx_index: u64,
    #[serde(borrow)]
    pub(super) status: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) raw_tx: Cow<'a, str>,
    /// What a transaction without bytes says of itself. A node does not write it.
    #[serde(default)]
    pub(super) facts: Option<IgnoredAny>,
}

/// An event, as far as it decides what is kept, and all of it as it is written.
pub(super) struct Event<'a> {
    pub(super) raw: &'a RawValue,
    pub(super) fields: EventFields<'a>,
}

pub(super) struct EventFields<'a> {
    pub(super) txid: Cow<'a, str>,
    pub(super) event_index: u64,
    pub(super) committed: bool,
    pub(super) names: Names<'a>,
}

/// What an event's body can name.
#[derive(Default, Deserialize)]
pub(super) struct Names<'a> {
    #[serde(borrow, default)]
    contract_identifier: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    asset_identifier: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    sender: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    recipient: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    locked_address: Option<Cow<'a, str>>,
}

impl Names<'_> {
    /// Contract, sender and recipient, as the mirror's own decoder takes them from a body of this name.
    fn of_kind(mut self, key: &str) -> Self {
        match key {
            "contract_event" => {
                (self.asset_identifier, self.sender) = (None, None);
                (self.recipient, self.locked_address) = (None, None);
            }
            "stx_lock_event" => {
                (self.asset_identifier, self.recipient) = (None, None);
                self.sender = self.locked_address.take();
            }
            _ => (self.contract_identifier, self.locked_address) = (None, None),
        }
        self
    }

    /// Contract, sender and recipient.
    pub(super) fn names(&self) -> [Option<&str>; 3] {
        let of_asset = self.asset_identifier.as_deref();
        let of_asset = of_asset.map(|a| a.split_once("::").map_or(a, |(contract, _)| contract));
        let contract = self.contract_identifier.as_deref().or(of_asset);
        [contract, self.sender.as_deref(), self.recipient.as_deref()]
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Transaction<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&'de RawValue>::deserialize(deserializer)?;
        let fields = serde_json::from_str(raw.get()).map_err(D::Error::custom)?;
        Ok(Self { raw, fields })
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Event<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&'de RawValue>::deserialize(deserializer)?;
        let fields = serde_json::from_str(raw.get()).map_err(D::Error::custom)?;
        Ok(Self { raw, fields })
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for EventFields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EventVisitor)
    }
}

struct EventVisitor;

impl<'de> Visitor<'de> for EventVisitor {
    type Value = EventFields<'de>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an event")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<EventFields<'de>, A::Error> {
        let (mut txid, mut event_index, mut committed) = (None, None, None);
        let mut names = Names::default();
        while let Some(Text(key)) = map.next_key::<Text<'de>>()? {
            match key.as_ref() {
                "txid" => txid = Some(map.next_value::<Text<'de>>()?.0),
                "event_index" => event_index = Some(map.next_value()?),
                "committed" => committed = Some(map.next_value()?),
                "contract_event" | "stx_lock_event" | "stx_transfer_event" | "stx_mint_event"
                | "stx_burn_event" | "ft_transfer_event" | "ft_mint_event" | "ft_burn_event"
                | "nft_transfer_event" | "nft_mint_event" | "nft_burn_event" => {
                    names = map.next_value::<Names<'de>>()?.of_kind(&key);
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(EventFields {
            txid: txid.ok_or_else(|| A::Error::missing_field("txid"))?,
            event_index: event_index.ok_or_else(|| A::Error::missing_field("event_index"))?,
            committed: committed.ok_or_else(|| A::Error::missing_field("committed"))?,
            names,
        })
    }
}
