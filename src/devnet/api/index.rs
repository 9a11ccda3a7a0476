//! The canonical chain as an API's tables hold it: by height, by transaction, by principal, by contract.
//!
//! It is brought up to date before each answer. What a reorg leaves is taken out without a trace, as it is
//! in the API: whoever asks finds other rows, and is not told.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use stxworx_clarity::codec::transaction::Payload;
use stxworx_clarity::simnet::{BlockId, Receipt, SealedBlock, Simnet, TxId};

/// Place of a transaction: height and index in the block.
pub(super) type Place = (u32, u32);
/// Place of an event: height, index of the transaction, index in the transaction.
pub(super) type LogPlace = (u32, u32, u32);

/// Tables over the canonical chain.
#[derive(Default)]
pub(super) struct Index {
    /// By height, from block 0 on.
    blocks: Vec<Arc<SealedBlock>>,
    /// By index block hash and by block hash.
    heights: HashMap<BlockId, u32>,
    transactions: HashMap<TxId, Place>,
    principals: HashMap<String, Vec<Place>>,
    logs: HashMap<String, Vec<LogPlace>>,
}

impl Index {
    /// Follows the chain to its tip.
    pub(super) fn update(&mut self, chain: &Simnet) {
        let mut new = Vec::new();
        let mut at = Some(chain.tip());
        let mut kept = 0;
        while let Some(block) = at {
            let header = &block.header;
            if self
                .at(header.height)
                .is_some_and(|b| b.header.id == header.id)
            {
                kept = usize::try_from(header.height).unwrap_or(usize::MAX) + 1;
                break;
            }
            at = chain.block(&header.parent);
            new.push(block);
        }
        while self.blocks.len() > kept {
            self.pop();
        }
        for block in new.into_iter().rev() {
            self.push(block);
        }
    }

    fn pop(&mut self) {
        let Some(block) = self.blocks.pop() else {
            return;
        };
        let height = block.header.height;
        self.heights.remove(&block.header.id);
        self.heights.remove(&block.header.block_hash);
        for receipt in &block.receipts {
            self.transactions.remove(&receipt.txid);
            for name in principals(receipt) {
                if let Some(places) = self.principals.get_mut(&name) {
                    places.retain(|(at, _)| *at < height);
                }
            }
            for (contract, _) in prints(receipt) {
                if let Some(places) = self.logs.get_mut(&contract) {
                    places.retain(|(at, ..)| *at < height);
                }
            }
        }
    }

    fn push(&mut self, block: Arc<SealedBlock>) {
        let height = block.header.height;
        self.heights.insert(block.header.id, height);
        self.heights.insert(block.header.block_hash, height);
        for (index, receipt) in (0u32..).zip(&block.receipts) {
            self.transactions.insert(receipt.txid, (height, index));
            for name in principals(receipt) {
                self.principals
                    .entry(name)
                    .or_default()
                    .push((height, index));
            }
            for (contract, event) in prints(receipt) {
                self.logs
                    .entry(contract)
                    .or_default()
                    .push((height, index, event));
            }
        }
        self.blocks.push(block);
    }

    /// The canonical block at a height.
    pub(super) fn at(&self, height: u32) -> Option<&Arc<SealedBlock>> {
        self.blocks.get(usize::try_from(height).ok()?)
    }

    /// The newest block.
    pub(super) fn tip(&self) -> Option<&Arc<SealedBlock>> {
        self.blocks.last()
    }

    /// How many blocks there are.
    pub(super) fn len(&self) -> usize {
        self.blocks.len()
    }

    /// Every block, the newest first.
    pub(super) fn newest_first(&self) -> impl Iterator<Item = &Arc<SealedBlock>> {
        self.blocks.iter().rev()
    }

    /// A canonical block by either of its hashes.
    pub(super) fn by_hash(&self, hash: &BlockId) -> Option<&Arc<SealedBlock>> {
        self.at(*self.heights.get(hash)?)
    }

    /// A canonical transaction: its block, its index, and what became of it.
    pub(super) fn transaction(&self, txid: &TxId) -> Option<(&SealedBlock, u32, &Receipt)> {
        let place = self.transactions.get(txid)?;
        self.receipt(*place)
    }

    /// What stands at a place.
    pub(super) fn receipt(&self, (height, index): Place) -> Option<(&SealedBlock, u32, &Receipt)> {
        let block = self.at(height)?;
        let receipt = block.receipts.get(usize::try_from(index).ok()?)?;
        Some((block, index, receipt))
    }

    /// Where a principal is concerned, the oldest first.
    pub(super) fn of_principal(&self, name: &str) -> &[Place] {
        self.principals.get(name).map_or(&[], Vec::as_slice)
    }

    /// Where a contract printed, the oldest first.
    pub(super) fn logs_of(&self, contract: &str) -> &[LogPlace] {
        self.logs.get(contract).map_or(&[], Vec::as_slice)
    }
}

/// What the API's table of principals and their transactions holds: who sent it, paid for it, is called or
/// deployed by it, or gives or takes an asset in it. A contract that only prints is not among them.
fn principals(receipt: &Receipt) -> BTreeSet<String> {
    let transaction = &receipt.transaction;
    let mut names = BTreeSet::from([transaction.origin_address().to_string()]);
    names.extend(transaction.sponsor_address().map(|p| p.to_string()));
    names.extend(transaction.contract_id().map(|c| c.to_string()));
    if let Payload::TokenTransfer { recipient, .. } = &transaction.payload {
        names.insert(recipient.to_string());
    }
    for event in &receipt.events {
        for field in ["sender", "recipient", "locked_address"] {
            let name = event.body.get(field).and_then(|v| v.as_str());
            names.extend(name.map(str::to_owned));
        }
    }
    names
}

/// Contracts that printed, with the events' places in the transaction.
fn prints(receipt: &Receipt) -> Vec<(String, u32)> {
    (0u32..)
        .zip(&receipt.events)
        .filter_map(|(index, event)| Some((event.print()?.0.to_owned(), index)))
        .collect()
}
