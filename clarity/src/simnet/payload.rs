//! What a node posts about its blocks: fields and forms of stacks-node 4.0.2's event observer.

use serde_json::{Value as Json, json};

use super::block::{BurnBlock, Receipt, SealedBlock, TxId};
use super::{Dropped, apply};
use crate::codec::sha512_256;

fn hex0x(bytes: &[u8]) -> String {
    format!("0x{}", hex::encode(bytes))
}

impl SealedBlock {
    /// The body of `POST /new_block`. The node's events are in no order; neither are these, though
    /// always in the same one.
    pub fn new_block_payload(&self) -> Json {
        self.payload(&self.receipts)
    }

    /// Block 0 as a node sends it again when it starts: without its contents.
    pub fn empty_payload(&self) -> Json {
        self.payload(&[])
    }

    fn payload(&self, receipts: &[Receipt]) -> Json {
        let header = &self.header;
        let mut body = json!({
            "anchored_cost": apply::no_cost(),
            "block_hash": hex0x(&header.block_hash),
            "block_height": header.height,
            "block_time": header.time,
            "burn_block_hash": hex0x(&header.burn.hash),
            "burn_block_height": header.burn.height,
            "burn_block_time": header.burn.time,
            "confirmed_microblocks_cost": apply::no_cost(),
            "consensus_hash": hex0x(&header.burn.consensus_hash),
            "cycle_number": null,
            "events": self.events(receipts),
            "index_block_hash": hex0x(&header.id),
            "matured_miner_rewards": [],
            "miner_txid": hex0x(&header.burn.miner_txid),
            "parent_block_hash": hex0x(&header.parent_block_hash),
            "parent_burn_block_hash": hex0x(&header.parent_burn.hash),
            "parent_burn_block_height": header.parent_burn.height,
            "parent_burn_block_timestamp": header.parent_burn.time,
            "parent_index_block_hash": hex0x(&header.parent),
            "parent_microblock": hex0x(&[0; 32]),
            "parent_microblock_sequence": 0,
            "pox_v1_unlock_height": 1,
            "pox_v2_unlock_height": 2,
            "pox_v3_unlock_height": 3,
            "pox_v4_unlock_height": 4,
            "reward_set": null,
            "signer_bitvec": null,
            "tenure_height": header.tenure_height,
            "transactions": receipts.iter().zip(0u32..).map(|(r, i)| transaction(r, i)).collect::<Vec<_>>(),
        });
        if header.height > 0
            && let Some(object) = body.as_object_mut()
        {
            // No miner and no signers are here: the forms are right, the signatures sign nothing.
            let signature = signature_of(&header.block_hash);
            object.insert("signer_bitvec".into(), json!("00010000000101"));
            object.insert(
                "signer_signature_hash".into(),
                json!(hex0x(&header.block_hash)),
            );
            object.insert("miner_signature".into(), json!(hex0x(&signature)));
            object.insert("signer_signature".into(), json!([hex::encode(signature)]));
        }
        body
    }

    fn events(&self, receipts: &[Receipt]) -> Vec<Json> {
        let mut events = Vec::new();
        for receipt in receipts {
            for event in &receipt.events {
                let mut object = serde_json::Map::new();
                object.insert("txid".into(), json!(hex0x(&receipt.txid)));
                object.insert("event_index".into(), json!(events.len()));
                object.insert("committed".into(), json!(true));
                object.insert("type".into(), json!(event.kind));
                object.insert(event.kind.into(), event.body.clone());
                events.push(Json::Object(object));
            }
        }
        let mut places: Vec<([u8; 32], Json)> = (0u64..)
            .zip(events)
            .map(|(i, event)| {
                (
                    sha512_256(&[&self.header.id[..], &i.to_be_bytes()].concat()),
                    event,
                )
            })
            .collect();
        places.sort_by_key(|(place, _)| *place);
        places.into_iter().map(|(_, event)| event).collect()
    }
}

fn signature_of(hash: &[u8; 32]) -> [u8; 65] {
    let mut signature = [0; 65];
    signature[1..33].copy_from_slice(hash);
    signature[33..].copy_from_slice(&sha512_256(hash));
    signature
}

fn transaction(receipt: &Receipt, index: u32) -> Json {
    json!({
        "burnchain_op": null,
        "contract_interface": receipt.interface,
        "execution_cost": apply::no_cost(),
        "microblock_hash": null,
        "microblock_parent_hash": null,
        "microblock_sequence": null,
        "raw_result": hex0x(&receipt.raw_result),
        "raw_tx": hex0x(&receipt.transaction.encode()),
        "status": receipt.status.as_str(),
        "tx_index": index,
        "txid": hex0x(&receipt.txid),
        "vm_error": receipt.vm_error,
    })
}

impl BurnBlock {
    /// The body of `POST /new_burn_block`.
    pub fn new_burn_block_payload(&self) -> Json {
        json!({
            "burn_amount": 0,
            "burn_block_hash": hex0x(&self.hash),
            "burn_block_height": self.height,
            "consensus_hash": hex0x(&self.consensus_hash),
            "parent_burn_block_hash": hex0x(&self.parent_hash),
            "pox_transactions": [],
            "reward_recipients": [],
            "reward_slot_holders": [],
        })
    }
}

/// The body of `POST /new_mempool_tx`.
pub fn new_mempool_tx_payload(raw: &[Vec<u8>]) -> Json {
    raw.iter().map(|tx| Json::String(hex0x(tx))).collect()
}

impl Dropped {
    /// The body of `POST /drop_mempool_tx`, for one transaction.
    pub fn payload(&self) -> Json {
        let new: Option<&TxId> = self.new_txid.as_ref();
        json!({ "dropped_txids": [hex0x(&self.txid)], "reason": self.reason, "new_txid": new.map(|t| hex0x(t)) })
    }
}
