//! One block in the making.

use super::block::{Block, BurnBlock};
use super::chain::ChainBuilder;
use super::event::Event;
use super::json::Json;
use super::network::Network;
use super::raw_tx;
use super::render::{NewBlock, PayloadForm};
use super::tx::Tx;
use crate::recording::Entry;
use std::sync::Arc;
use stxworx_clarity::codec::{ContractId, StandardPrincipal, Value, index_block_hash};

/// Blocks of a tenure are so many seconds apart.
const BLOCK_SECONDS: u64 = 5;

/// A block being built by [`ChainBuilder::block`]. Nothing happens to the chain before [`BlockBuilder::build`].
#[derive(Debug)]
#[must_use = "a block exists only after `build`"]
pub struct BlockBuilder<'a> {
    chain: &'a ChainBuilder,
    parent: Block,
    label: String,
    tenure: Option<BurnBlock>,
    txs: Vec<Tx>,
    form: PayloadForm,
    edits: Vec<(String, Option<Json>)>,
}

impl<'a> BlockBuilder<'a> {
    pub(super) fn new(chain: &'a ChainBuilder, parent: &Block) -> Self {
        Self {
            chain,
            parent: parent.clone(),
            label: String::new(),
            tenure: None,
            txs: Vec::new(),
            form: PayloadForm::Nakamoto,
            edits: Vec::new(),
        }
    }

    /// Names the block, for messages of tests.
    pub fn label(mut self, label: &str) -> Self {
        self.label = label.to_owned();
        self
    }

    /// The block begins the tenure of this sortition, with a tenure change and a coinbase.
    pub fn tenure(mut self, tenure: &BurnBlock) -> Self {
        self.tenure = Some(tenure.clone());
        self
    }

    /// Appends a transaction.
    pub fn tx(mut self, tx: Tx) -> Self {
        self.txs.push(tx);
        self
    }

    /// Appends transactions.
    pub fn txs(mut self, txs: impl IntoIterator<Item = Tx>) -> Self {
        self.txs.extend(txs);
        self
    }

    /// Appends an event to the last transaction; without one, to a call of `freelance-logic` made for it.
    pub fn event(mut self, event: Event) -> Self {
        let tx = match self.txs.pop() {
            Some(tx) => tx,
            None => {
                let [_, logic, ..] = self.chain.network().followed_contracts();
                self.chain
                    .call(&self.chain.account("someone"), &logic, "act", &[])
            }
        };
        self.tx(tx.event(event))
    }

    /// Appends a call of this contract that prints this value.
    pub fn print(self, contract: &ContractId, value: Value) -> Self {
        let tx = self
            .chain
            .call(&self.chain.account("someone"), contract, "act", &[]);
        self.tx(tx.print(contract, value))
    }

    /// Appends a transfer of STX.
    pub fn transfer(
        self,
        sender: &StandardPrincipal,
        recipient: &StandardPrincipal,
        micro_stx: u64,
    ) -> Self {
        let tx = self.chain.transfer(sender, recipient, micro_stx, "");
        self.tx(tx)
    }

    /// Sets the form of the payload.
    pub fn form(mut self, form: PayloadForm) -> Self {
        self.form = form;
        self
    }

    /// Replaces or adds a field of the finished payload, whatever it does to its sense.
    pub fn field(mut self, name: &str, value: Json) -> Self {
        self.edits.push((name.to_owned(), Some(value)));
        self
    }

    /// Removes a field of the finished payload.
    pub fn without_field(mut self, name: &str) -> Self {
        self.edits.push((name.to_owned(), None));
        self
    }

    /// The block.
    pub fn build(mut self) -> Block {
        let chain = self.chain;
        let is_first = self.parent.tenure_blocks == 0;
        let begins = self
            .tenure
            .take()
            .or_else(|| is_first.then(|| chain.first_tenure()));
        let tenure = begins.clone().unwrap_or_else(|| self.parent.tenure.clone());
        let (tenure_height, tenure_blocks) = match begins {
            Some(_) => (self.parent.tenure_height + 1, 1),
            None => (self.parent.tenure_height, self.parent.tenure_blocks + 1),
        };
        let height = self.parent.height + 1;
        let time = self.parent.time.max(tenure.time) + BLOCK_SECONDS;
        // The node puts what was written on Bitcoin before the block's own transactions.
        let (bitcoin_ops, own): (Vec<_>, Vec<_>) =
            self.txs.iter().cloned().partition(Tx::is_bitcoin_op);
        let mut txs = bitcoin_ops;
        if begins.is_some() && self.form == PayloadForm::Nakamoto {
            txs.extend(self.begin_tenure(&tenure));
        }
        txs.extend(own);
        let block_hash = self.header_hash(height, &txs);
        let index_block_hash = index_block_hash(&block_hash, &tenure.consensus_hash);
        let mut fields = NewBlock {
            parent: &self.parent,
            tenure: &tenure,
            tenure_height,
            height,
            time,
            block_hash,
            index_block_hash,
            txs: &txs,
            form: self.form,
            signers: chain.options().signers,
            shuffle_events: chain.options().shuffle_events,
            mainnet: chain.network() == Network::Mainnet,
        }
        .fields();
        for (name, value) in self.edits {
            match value {
                Some(value) => fields.insert(name, value),
                None => fields.remove(&name),
            };
        }
        Block {
            label: self.label,
            height,
            block_hash,
            index_block_hash,
            parent_index_block_hash: self.parent.index_block_hash,
            time,
            tenure,
            tenure_height,
            tenure_blocks,
            txs: Arc::from(self.txs),
            entry: Entry::new("/new_block", Json::Object(fields).to_string()),
        }
    }

    /// The tenure change and the coinbase of the miner elected by the sortition.
    fn begin_tenure(&self, tenure: &BurnBlock) -> [Tx; 2] {
        let chain = self.chain;
        let miner = chain.account(&format!("miner-{}", tenure.height % 5));
        let change = raw_tx::tenure_change(
            &chain.origin(&miner),
            &tenure.consensus_hash,
            &self.parent.tenure.consensus_hash,
            &self.parent.index_block_hash,
            self.parent.tenure_blocks,
        );
        let coinbase = raw_tx::coinbase(&chain.origin(&miner));
        [Tx::from_raw(change), Tx::from_raw(coinbase)]
    }

    fn header_hash(&self, height: u64, txs: &[Tx]) -> [u8; 32] {
        let mut contents = self.chain.salt().to_vec();
        contents.extend_from_slice(&height.to_be_bytes());
        for tx in txs {
            contents.extend_from_slice(tx.txid());
        }
        self.chain
            .digest("header", &[&self.parent.index_block_hash, &contents])
    }
}
