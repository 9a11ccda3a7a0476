//! Transactions with what came of them.

use super::SeededRng;
use super::event::Event;
use super::json::{Json, hex0x, object};
use super::network::Network;
use super::raw_tx;
use super::values::uint;
use crate::recording::Bytes;
use serde_json::json;
use stxworx_clarity::codec::{ContractId, StandardPrincipal, Value, sha512_256};

/// How a transaction ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It took effect.
    Success,
    /// The contract answered `(err …)`, or failed while running. It has no events.
    AbortByResponse {
        /// What failed while running, such as `DivisionByZero`; nothing for an ordinary `(err …)`.
        vm_error: Option<String>,
    },
    /// A post-condition did not hold. A 4.0 node sends no events; nodes before 3.4 sent them as not committed.
    AbortByPostCondition,
}

/// A transaction with its result and events, ready to be mined in any number of blocks: the same value in two
/// competing blocks has the same transaction id.
#[derive(Clone, Debug, PartialEq)]
pub struct Tx {
    pub(super) raw: Bytes,
    pub(super) txid: [u8; 32],
    pub(super) outcome: Outcome,
    pub(super) result: Value,
    pub(super) events: Vec<Event>,
    pub(super) contract_interface: Json,
    pub(super) burnchain_op: Json,
    /// Only calls and deployments have execution costs.
    pub(super) has_cost: bool,
}

impl Tx {
    /// A transaction of these bytes that succeeded with `(ok true)`, without events.
    pub fn from_raw(raw: impl Into<Bytes>) -> Self {
        let raw = raw.into();
        let txid = sha512_256(&raw);
        Self {
            raw,
            txid,
            outcome: Outcome::Success,
            result: Value::ok(Value::Bool(true)),
            events: Vec::new(),
            contract_interface: Json::Null,
            burnchain_op: Json::Null,
            has_cost: false,
        }
    }

    /// An STX transfer that was written on Bitcoin: raw bytes `0x00`, the Bitcoin transaction's id as id.
    pub fn bitcoin_transfer(
        sender: &StandardPrincipal,
        recipient: &StandardPrincipal,
        micro_stx: u64,
        burn_block_height: u64,
    ) -> Self {
        let what = format!("{sender} {recipient} {micro_stx} {burn_block_height}");
        let burn_txid = sha512_256(what.as_bytes());
        let party = |address: &StandardPrincipal| {
            object([
                ("address", json!(address.to_string())),
                ("address_hash_bytes", json!(hex0x(address.hash160()))),
                ("address_version", json!(address.version())),
            ])
        };
        let transfer = object([
            ("burn_block_height", json!(burn_block_height)),
            ("burn_txid", json!(hex::encode(burn_txid))),
            ("memo", json!("0x")),
            ("recipient", party(recipient)),
            ("sender", party(sender)),
            ("transfered_ustx", json!(micro_stx)),
        ]);
        let event = Event::stx_transfer(sender, recipient, u128::from(micro_stx));
        Self {
            txid: burn_txid,
            burnchain_op: json!({ "transfer_stx": transfer }),
            ..Self::from_raw(vec![0])
        }
        .event(event)
    }

    /// The synthetic transfer of nothing that a node appends when events of a block belong to no transaction.
    pub fn phantom_unlock(network: Network, block_height: u64, events: Vec<Event>) -> Self {
        Self {
            events,
            ..Self::from_raw(raw_tx::phantom_unlock(network, block_height))
        }
    }

    /// Sets the value after `(ok`.
    #[must_use]
    pub fn ok(mut self, value: Value) -> Self {
        self.result = Value::ok(value);
        self
    }

    /// The contract refused with `(err uN)`: status `abort_by_response`.
    #[must_use]
    pub fn refused(mut self, code: u128) -> Self {
        self.result = Value::err(uint(code));
        self.outcome = Outcome::AbortByResponse { vm_error: None };
        self
    }

    /// The contract failed while running: status `abort_by_response`, result `(err none)`.
    #[must_use]
    pub fn runtime_error(mut self, vm_error: &str) -> Self {
        self.result = Value::err(Value::None);
        self.outcome = Outcome::AbortByResponse {
            vm_error: Some(vm_error.to_owned()),
        };
        self
    }

    /// A post-condition did not hold. The result stays what the contract answered.
    #[must_use]
    pub fn post_condition_failed(mut self) -> Self {
        self.outcome = Outcome::AbortByPostCondition;
        self
    }

    /// Appends an event.
    #[must_use]
    pub fn event(mut self, event: Event) -> Self {
        self.events.push(event);
        self
    }

    /// Appends events.
    #[must_use]
    pub fn events(mut self, events: impl IntoIterator<Item = Event>) -> Self {
        self.events.extend(events);
        self
    }

    /// Appends a print.
    #[must_use]
    pub fn print(self, contract: &ContractId, value: Value) -> Self {
        self.event(Event::print(contract, value))
    }

    /// Sets the contract interface of a deployment, as JSON.
    #[must_use]
    pub fn contract_interface(mut self, interface: Json) -> Self {
        self.contract_interface = interface;
        self
    }

    /// The transaction id: SHA-512/256 of the raw bytes, or the Bitcoin transaction's id.
    pub fn txid(&self) -> &[u8; 32] {
        &self.txid
    }

    /// The transaction id as a node writes it.
    pub fn id(&self) -> String {
        hex0x(self.txid)
    }

    /// The serialized transaction; the single byte 0x00 for one that was written on Bitcoin.
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// Whether it was written on Bitcoin.
    pub fn is_bitcoin_op(&self) -> bool {
        !self.burnchain_op.is_null()
    }

    /// How it ended.
    pub fn outcome(&self) -> &Outcome {
        &self.outcome
    }

    /// Its events, also those that are not sent because it aborted.
    pub fn all_events(&self) -> &[Event] {
        &self.events
    }

    /// The status as a node writes it.
    pub fn status(&self) -> &'static str {
        match self.outcome {
            Outcome::Success => "success",
            Outcome::AbortByResponse { .. } => "abort_by_response",
            Outcome::AbortByPostCondition => "abort_by_post_condition",
        }
    }

    pub(super) fn vm_error(&self) -> Json {
        match &self.outcome {
            Outcome::Success => Json::Null,
            Outcome::AbortByResponse { vm_error } => json!(vm_error),
            Outcome::AbortByPostCondition => json!("post-condition check failed"),
        }
    }

    pub(super) fn cost(&self) -> Cost {
        if self.has_cost {
            Cost::made_up(&self.txid)
        } else {
            Cost::default()
        }
    }
}

/// An execution cost, in the chain's five dimensions.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cost([u64; 5]);

impl Cost {
    const NAMES: [&'static str; 5] = [
        "read_count",
        "read_length",
        "runtime",
        "write_count",
        "write_length",
    ];

    /// Plausible numbers that are always the same for the same transaction.
    fn made_up(txid: &[u8; 32]) -> Self {
        let mut rng = seeded_by(txid);
        Self([
            rng.between(3, 60),
            rng.between(1_000, 90_000),
            rng.between(10_000, 10_000_000),
            rng.between(1, 12),
            rng.between(10, 2_000),
        ])
    }

    pub(super) fn add(&mut self, other: Self) {
        for (sum, part) in self.0.iter_mut().zip(other.0) {
            *sum += part;
        }
    }

    pub(super) fn json(self) -> Json {
        object(Self::NAMES.into_iter().zip(self.0.map(Json::from)))
    }
}

/// Numbers that depend on some bytes only.
pub(super) fn seeded_by(digest: &[u8; 32]) -> SeededRng {
    let seed = digest
        .iter()
        .take(8)
        .fold(0, |seed, byte| seed << 8 | u64::from(*byte));
    SeededRng::new(seed)
}
