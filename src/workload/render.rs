//! The JSON of `/new_block` and `/new_burn_block`, field for field as nodes send it
//! (stacks-core, `stacks-node/src/event_dispatcher/payloads.rs`).

use super::SeededRng;
use super::block::{Block, BurnBlock};
use super::event::Event;
use super::json::{Json, hex0x, object};
use super::tx::{Cost, Outcome, Tx, seeded_by};
use crate::recording::Entry;
use serde_json::{Map, json};

/// The form of a `/new_block` payload, which changed over the years.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PayloadForm {
    /// Node 4.0, Nakamoto.
    #[default]
    Nakamoto,
    /// Node 4.0, a block before Nakamoto: no signer fields, no block time.
    Epoch2,
    /// A node before 3.4 in epoch 2: also a decoded `value` in events, events of transactions whose
    /// post-conditions failed with `committed: false`, `contract_abi`, no tenure and no consensus hash.
    OldNode,
}

/// What stands in a `/new_block`.
pub(super) struct NewBlock<'a> {
    pub(super) parent: &'a Block,
    pub(super) tenure: &'a BurnBlock,
    pub(super) tenure_height: u64,
    pub(super) height: u64,
    pub(super) time: u64,
    pub(super) block_hash: [u8; 32],
    pub(super) index_block_hash: [u8; 32],
    pub(super) txs: &'a [Tx],
    pub(super) form: PayloadForm,
    pub(super) signers: u32,
    /// Puts the events out of order, as a node does, which iterates a hash set.
    pub(super) shuffle_events: bool,
    pub(super) mainnet: bool,
}

impl NewBlock<'_> {
    pub(super) fn fields(&self) -> Map<String, Json> {
        let mut cost = Cost::default();
        for tx in self.txs {
            cost.add(tx.cost());
        }
        let mut fields = vec![
            ("anchored_cost", cost.json()),
            ("block_hash", hash(self.block_hash)),
            ("block_height", json!(self.height)),
            ("confirmed_microblocks_cost", Cost::default().json()),
            ("events", Json::Array(self.events())),
            ("index_block_hash", hash(self.index_block_hash)),
            ("matured_miner_rewards", json!([])),
            ("miner_txid", hash(self.tenure.winning_txid)),
            ("parent_microblock", hash([0; 32])),
            ("parent_microblock_sequence", json!(0)),
            ("transactions", Json::Array(self.transactions())),
        ];
        self.put_links(&mut fields);
        self.put_of_newer_nodes(&mut fields);
        self.put_of_nakamoto(&mut fields);
        match object(fields) {
            Json::Object(map) => map,
            _ => Map::new(),
        }
    }

    fn put_links(&self, fields: &mut Vec<(&'static str, Json)>) {
        let (parent, tenure) = (self.parent, self.tenure);
        // A boot block has no Bitcoin block before its own.
        let parent_tenure = if self.height == 0 {
            tenure
        } else {
            &parent.tenure
        };
        fields.extend([
            ("burn_block_hash", hash(tenure.hash)),
            ("burn_block_height", json!(tenure.height)),
            ("burn_block_time", json!(tenure.time)),
            ("parent_block_hash", hash(parent.block_hash)),
            ("parent_burn_block_hash", hash(parent_tenure.hash)),
            ("parent_burn_block_height", json!(parent_tenure.height)),
            ("parent_burn_block_timestamp", json!(parent_tenure.time)),
            ("parent_index_block_hash", hash(parent.index_block_hash)),
        ]);
        let unlock_heights = if self.mainnet {
            [781_552, 787_652, 842_451]
        } else {
            [3, 4, 109]
        };
        let names = [
            "pox_v1_unlock_height",
            "pox_v2_unlock_height",
            "pox_v3_unlock_height",
        ];
        fields.extend(names.into_iter().zip(unlock_heights.map(Json::from)));
    }

    fn put_of_newer_nodes(&self, fields: &mut Vec<(&'static str, Json)>) {
        if self.form == PayloadForm::OldNode {
            return;
        }
        let is_nakamoto = self.form == PayloadForm::Nakamoto;
        fields.extend([
            (
                "block_time",
                if is_nakamoto {
                    json!(self.time)
                } else {
                    Json::Null
                },
            ),
            ("consensus_hash", json!(hex0x(self.tenure.consensus_hash))),
            ("cycle_number", Json::Null),
            (
                "pox_v4_unlock_height",
                json!(if self.mainnet {
                    u64::from(u32::MAX)
                } else {
                    10_000_008
                }),
            ),
            ("reward_set", Json::Null),
            (
                "signer_bitvec",
                if is_nakamoto {
                    json!("000f000000027fff")
                } else {
                    Json::Null
                },
            ),
            ("tenure_height", json!(self.tenure_height)),
        ]);
    }

    fn put_of_nakamoto(&self, fields: &mut Vec<(&'static str, Json)>) {
        if self.form != PayloadForm::Nakamoto {
            return;
        }
        let mut rng = seeded_by(&self.index_block_hash);
        let signatures = (0..self.signers)
            .map(|_| json!(hex::encode(signature(&mut rng))))
            .collect();
        fields.extend([
            ("miner_signature", json!(hex0x(signature(&mut rng)))),
            ("signer_signature", Json::Array(signatures)),
            ("signer_signature_hash", hash(self.block_hash)),
        ]);
    }

    fn transactions(&self) -> Vec<Json> {
        self.txs
            .iter()
            .enumerate()
            .map(|(index, tx)| self.transaction(index, tx))
            .collect()
    }

    fn transaction(&self, index: usize, tx: &Tx) -> Json {
        let is_old = self.form == PayloadForm::OldNode;
        let interface = if is_old {
            "contract_abi"
        } else {
            "contract_interface"
        };
        let mut fields = vec![
            ("burnchain_op", tx.burnchain_op.clone()),
            (interface, tx.contract_interface.clone()),
            ("execution_cost", tx.cost().json()),
            ("microblock_hash", Json::Null),
            ("microblock_parent_hash", Json::Null),
            ("microblock_sequence", Json::Null),
            ("raw_result", json!(hex0x(tx.result.encode()))),
            ("raw_tx", json!(hex0x(&tx.raw))),
            ("status", json!(tx.status())),
            ("tx_index", json!(index)),
            ("txid", json!(tx.id())),
        ];
        if !is_old {
            fields.push(("vm_error", tx.vm_error()));
        }
        object(fields)
    }

    fn events(&self) -> Vec<Json> {
        let mut events = Vec::new();
        for tx in self.txs {
            let committed = match (&tx.outcome, self.form) {
                (Outcome::Success, _) => true,
                (Outcome::AbortByPostCondition, PayloadForm::OldNode) => false,
                _ => continue,
            };
            for event in &tx.events {
                let index = events.len();
                events.push(self.event(event, index, tx, committed));
            }
        }
        if self.shuffle_events {
            seeded_by(&self.block_hash).shuffle(&mut events);
        }
        events
    }

    fn event(&self, event: &Event, index: usize, tx: &Tx, committed: bool) -> Json {
        object([
            ("committed", json!(committed)),
            ("event_index", json!(index)),
            ("txid", json!(tx.id())),
            ("type", json!(event.kind())),
            (event.kind(), event.body(self.form == PayloadForm::OldNode)),
        ])
    }
}

/// The `/new_burn_block` of a sortition.
pub(super) fn new_burn_block(
    height: u64,
    hash_: [u8; 32],
    parent_hash: [u8; 32],
    consensus_hash: [u8; 20],
    burn_amount: u64,
) -> Entry {
    let body = object([
        ("burn_amount", json!(burn_amount)),
        ("burn_block_hash", hash(hash_)),
        ("burn_block_height", json!(height)),
        ("consensus_hash", json!(hex0x(consensus_hash))),
        ("parent_burn_block_hash", hash(parent_hash)),
        ("pox_transactions", json!([])),
        ("reward_recipients", json!([])),
        ("reward_slot_holders", json!([])),
    ]);
    Entry::new("/new_burn_block", body.to_string())
}

fn hash(bytes: [u8; 32]) -> Json {
    json!(hex0x(bytes))
}

/// Bytes in the form of a recoverable signature. Nothing in a payload can be validated by them.
fn signature(rng: &mut SeededRng) -> [u8; 65] {
    let mut signature = rng.bytes::<65>();
    signature[0] &= 1;
    signature
}
