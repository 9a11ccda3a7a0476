//! The node's payloads, as sent (stacks-core, `stacks-node/src/event_dispatcher/payloads.rs` and
//! `clarity/src/vm/events.rs`).
//!
//! Texts are borrowed from the body. Unknown fields are tolerated; fields that nodes of some version
//! leave out are optional. Amounts are texts, because they are `u128`.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::{Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Body of `/new_block`.
#[derive(Debug, Deserialize)]
pub struct NewBlock<'a> {
    #[serde(borrow)]
    pub index_block_hash: Cow<'a, str>,
    #[serde(borrow)]
    pub parent_index_block_hash: Cow<'a, str>,
    pub block_height: u64,
    #[serde(borrow)]
    pub block_hash: Cow<'a, str>,
    #[serde(default)]
    pub block_time: Option<u64>,
    #[serde(borrow)]
    pub burn_block_hash: Cow<'a, str>,
    pub burn_block_height: u64,
    #[serde(default)]
    pub burn_block_time: u64,
    #[serde(borrow, default)]
    pub consensus_hash: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub miner_txid: Option<Cow<'a, str>>,
    #[serde(default)]
    pub tenure_height: Option<u64>,
    /// What a tenure change says, for a source that does not know its bytes. A node does not write it.
    #[serde(borrow, default)]
    pub burn_view: Option<Cow<'a, str>>,
    /// How many there were before the payload was cut down to what is followed. A node does not write it.
    #[serde(default)]
    pub listed_transactions: Option<u32>,
    /// The same for events.
    #[serde(default)]
    pub listed_events: Option<u32>,
    #[serde(borrow)]
    pub transactions: Vec<Transaction<'a>>,
    #[serde(borrow)]
    pub events: Vec<Event<'a>>,
}

/// One element of `transactions`.
#[derive(Debug, Deserialize)]
pub struct Transaction<'a> {
    #[serde(borrow)]
    pub txid: Cow<'a, str>,
    pub tx_index: u64,
    #[serde(borrow)]
    pub status: Cow<'a, str>,
    #[serde(borrow)]
    pub raw_result: Cow<'a, str>,
    #[serde(borrow)]
    pub raw_tx: Cow<'a, str>,
    #[serde(borrow, default)]
    pub burnchain_op: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub vm_error: Option<Cow<'a, str>>,
    /// What its bytes would say, where `raw_tx` is empty because the source does not know them. A node does not write it.
    #[serde(borrow, default)]
    pub facts: Option<Facts<'a>>,
}

/// What a transaction is, without its bytes.
#[derive(Debug, Deserialize)]
pub struct Facts<'a> {
    /// The codec's name for the kind of payload.
    #[serde(borrow)]
    pub kind: Cow<'a, str>,
    #[serde(borrow)]
    pub sender: Cow<'a, str>,
    #[serde(borrow, default)]
    pub sponsor: Option<Cow<'a, str>>,
    pub nonce: u64,
    pub fee: u64,
    #[serde(borrow, default)]
    pub contract: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub function: Option<Cow<'a, str>>,
}

/// One element of `events`: the common fields, and one typed body under the name that `type` gives.
#[derive(Debug)]
pub struct Event<'a> {
    pub txid: Cow<'a, str>,
    pub event_index: u64,
    pub committed: bool,
    pub kind: Cow<'a, str>,
    pub body: Body<'a>,
}

/// The typed body.
#[derive(Debug)]
pub enum Body<'a> {
    Contract(ContractEvent<'a>),
    Lock(StxLock<'a>),
    /// With the name of the field that held it.
    Movement(Cow<'a, str>, Movement<'a>),
    /// Of a kind that this version does not know.
    Unknown(&'a RawValue),
    None,
}

impl<'a> Body<'a> {
    /// The JSON of a body of unknown kind.
    pub fn unknown(&self) -> Option<&'a str> {
        match self {
            Self::Unknown(raw) => Some(raw.get()),
            _ => None,
        }
    }

    /// The contract, sender and recipient that it names; what decides whether it concerns a mirror.
    pub fn names(&self) -> [Option<&str>; 3] {
        match self {
            Self::Contract(e) => [Some(&e.contract_identifier), None, None],
            Self::Lock(e) => [
                e.contract_identifier.as_deref(),
                Some(&e.locked_address),
                None,
            ],
            Self::Movement(_, e) => {
                let contract = e.asset_identifier.as_deref();
                let contract = contract.map(|a| a.split_once("::").map_or(a, |(c, _)| c));
                [contract, e.sender.as_deref(), e.recipient.as_deref()]
            }
            Self::Unknown(_) | Self::None => [None; 3],
        }
    }
}

/// Reads an event in one pass. Deriving it would need a field for each kind, and with eleven of them
/// most of an event's bytes would be empty options that are moved about.
impl<'de: 'a, 'a> Deserialize<'de> for Event<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EventVisitor)
    }
}

struct EventVisitor;

/// A text borrowed from the body where it has no escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Visitor<'de> for EventVisitor {
    type Value = Event<'de>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an event")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Event<'de>, A::Error> {
        let (mut txid, mut event_index, mut committed, mut kind) = (None, None, None, None);
        let mut body = Body::None;
        let mut unknown = None;
        while let Some(Text(key)) = map.next_key::<Text<'de>>()? {
            match key.as_ref() {
                "txid" => txid = Some(map.next_value::<Text<'de>>()?.0),
                "event_index" => event_index = Some(map.next_value()?),
                "committed" => committed = Some(map.next_value()?),
                "type" => kind = Some(map.next_value::<Text<'de>>()?.0),
                "contract_event" => body = Body::Contract(map.next_value()?),
                "stx_lock_event" => body = Body::Lock(map.next_value()?),
                "stx_transfer_event" | "stx_mint_event" | "stx_burn_event"
                | "ft_transfer_event" | "ft_mint_event" | "ft_burn_event"
                | "nft_transfer_event" | "nft_mint_event" | "nft_burn_event" => {
                    body = Body::Movement(key, map.next_value()?)
                }
                _ => unknown = Some(map.next_value::<&'de RawValue>()?),
            }
        }
        if let (Body::None, Some(raw)) = (&body, unknown) {
            body = Body::Unknown(raw);
        }
        Ok(Event {
            txid: txid.ok_or_else(|| A::Error::missing_field("txid"))?,
            event_index: event_index.ok_or_else(|| A::Error::missing_field("event_index"))?,
            committed: committed.ok_or_else(|| A::Error::missing_field("committed"))?,
            kind: kind.ok_or_else(|| A::Error::missing_field("type"))?,
            body,
        })
    }
}

/// `contract_event`.
#[derive(Debug, Deserialize)]
pub struct ContractEvent<'a> {
    #[serde(borrow)]
    pub contract_identifier: Cow<'a, str>,
    #[serde(borrow)]
    pub raw_value: Cow<'a, str>,
}

/// Any event that moves an asset; which fields are present depends on the kind.
#[derive(Debug, Deserialize)]
pub struct Movement<'a> {
    #[serde(borrow, default)]
    pub asset_identifier: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub sender: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub recipient: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub amount: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub memo: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub raw_value: Option<Cow<'a, str>>,
}

/// `stx_lock_event`.
#[derive(Debug, Deserialize)]
pub struct StxLock<'a> {
    #[serde(borrow)]
    pub locked_amount: Cow<'a, str>,
    #[serde(borrow)]
    pub unlock_height: Cow<'a, str>,
    #[serde(borrow)]
    pub locked_address: Cow<'a, str>,
    #[serde(borrow, default)]
    pub contract_identifier: Option<Cow<'a, str>>,
}

/// Body of `/new_burn_block`.
#[derive(Debug, Deserialize)]
pub struct NewBurnBlock<'a> {
    #[serde(borrow)]
    pub burn_block_hash: Cow<'a, str>,
    pub burn_block_height: u64,
    #[serde(borrow, default)]
    pub parent_burn_block_hash: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub consensus_hash: Option<Cow<'a, str>>,
}

/// Body of `/drop_mempool_tx`.
#[derive(Debug, Deserialize)]
pub struct DropMempoolTx<'a> {
    #[serde(borrow)]
    pub dropped_txids: Vec<Cow<'a, str>>,
    #[serde(borrow)]
    pub reason: Cow<'a, str>,
    #[serde(borrow, default)]
    pub new_txid: Option<Cow<'a, str>>,
}
