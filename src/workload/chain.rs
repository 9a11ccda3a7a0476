//! Building two linked chains of blocks, block by block.

use super::SeededRng;
use super::block::{Block, BurnBlock};
use super::block_builder::BlockBuilder;
use super::event::Event;
use super::json::{Json, hex0x, object};
use super::network::{Network, contract};
use super::raw_tx::{self, Origin};
use super::render::{self, NewBlock, PayloadForm};
use super::tx::Tx;
use crate::recording::Entry;
use serde_json::json;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use stxworx_clarity::codec::{ContractId, StandardPrincipal, Value, index_block_hash, sha512_256};

/// Start of the made-up time, 2026-01-01, in Unix seconds.
const EPOCH_SECONDS: u64 = 1_767_225_600;
const BITCOIN_SECONDS: u64 = 600;
/// Bitcoin blocks remembered, for reorganizations.
const KEPT_BURN_BLOCKS: usize = 4_096;

/// What is the same for all blocks of a [`ChainBuilder`].
#[derive(Clone, Debug, PartialEq)]
pub struct ChainOptions {
    /// Addresses and version bytes.
    pub network: Network,
    /// The same seed and the same calls give the same bytes.
    pub seed: u64,
    /// Height of the block that [`ChainBuilder::root`] carries; 0 makes it the genesis block.
    pub root_height: u64,
    /// Bitcoin height before the first tenure.
    pub burn_height: u64,
    /// Signatures per block.
    pub signers: u32,
    /// Whether the `events` array is out of order, as a node sends it.
    pub shuffle_events: bool,
}

impl Default for ChainOptions {
    /// Testnet from genesis, Bitcoin height 100, one signer, events out of order.
    fn default() -> Self {
        Self {
            network: Network::Testnet,
            seed: 1,
            root_height: 0,
            burn_height: 100,
            signers: 1,
            shuffle_events: true,
        }
    }
}

/// Builds blocks that link to each other and the payloads that announce them.
///
/// Every method takes `&self`, so that transactions can be made while a block is being built.
///
/// ```
/// use stxworx::workload::{ChainBuilder, ChainOptions, event, uint};
///
/// let chain = ChainBuilder::new(ChainOptions::default());
/// let [_, logic, ..] = chain.network().followed_contracts();
/// let alice = chain.account("alice");
/// let pay = chain.call(&alice, &logic, "pay", &[uint(5u8)]);
/// let a1 = chain
///     .block(&chain.root())
///     .label("a1")
///     .tx(pay.print(&logic, event("paid", [("amount", uint(5u8))])))
///     .build();
/// // A competing block in a tenure of its own.
/// let b1 = chain.block(&chain.root()).tenure(&chain.burn_block(&a1.tenure)).build();
/// assert_ne!(a1.id(), b1.id());
/// ```
///
/// What is true to a node: ids, links, heights, `txid = SHA-512/256(raw_tx)`, block ids, event numbers, field
/// names. What is not: header hashes are made up, signatures are random bytes, costs are random.
#[derive(Debug)]
pub struct ChainBuilder {
    options: ChainOptions,
    root: Block,
    first_tenure: BurnBlock,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    rng: SeededRng,
    nonces: HashMap<StandardPrincipal, u64>,
    made: u64,
    /// The last Bitcoin blocks made, oldest first.
    burns: VecDeque<BurnBlock>,
}

impl ChainBuilder {
    /// A chain that consists of its root.
    pub fn new(options: ChainOptions) -> Self {
        let rng = SeededRng::new(options.seed);
        let root = root_block(&options);
        let burns = VecDeque::from([root.tenure.clone()]);
        let state = State {
            rng,
            nonces: HashMap::new(),
            made: 0,
            burns,
        };
        let first_tenure = root.tenure.clone();
        let mut chain = Self {
            options,
            root,
            first_tenure,
            state: Mutex::new(state),
        };
        chain.first_tenure = chain.burn_block(&chain.root.tenure);
        chain
    }

    /// What the chain was made with.
    pub fn options(&self) -> &ChainOptions {
        &self.options
    }

    /// Addresses and version bytes in use.
    pub fn network(&self) -> Network {
        self.options.network
    }

    /// The account of a name.
    pub fn account(&self, name: &str) -> StandardPrincipal {
        self.options.network.account(name)
    }

    /// The block below all others: genesis (block 0) with its boot transactions and mints, or, with a
    /// [`ChainOptions::root_height`] above 0, an unannounced ancestor.
    pub fn root(&self) -> Block {
        self.root.clone()
    }

    /// Genesis as a node announces it at every further start: the same block without transactions and events.
    pub fn genesis_again(&self) -> Entry {
        let options = ChainOptions {
            root_height: 0,
            ..self.options.clone()
        };
        genesis(&options, &[]).entry
    }

    /// The Bitcoin block of the first tenure, in which a block on the root is unless told otherwise.
    pub fn first_tenure(&self) -> BurnBlock {
        self.first_tenure.clone()
    }

    /// A new Bitcoin block on another. Called twice on the same parent, it makes two competing ones.
    pub fn burn_block(&self, parent: &BurnBlock) -> BurnBlock {
        let (salt, burn_amount) = {
            let mut state = self.state();
            (state.next_number(), state.rng.below(100_000))
        };
        let height = parent.height + 1;
        let hash = self.digest("burn block", &[&parent.hash, &height.to_be_bytes(), &salt]);
        let consensus_hash = shortened(self.digest("consensus", &[&hash]));
        let block = BurnBlock {
            height,
            hash,
            parent_hash: parent.hash,
            consensus_hash,
            winning_txid: self.digest("winner", &[&hash]),
            time: parent.time + BITCOIN_SECONDS,
            entry: render::new_burn_block(height, hash, parent.hash, consensus_hash, burn_amount),
        };
        let mut state = self.state();
        if state.burns.len() >= KEPT_BURN_BLOCKS {
            state.burns.pop_front();
        }
        state.burns.push_back(block.clone());
        block
    }

    /// The Bitcoin block made last, on which [`ChainBuilder::fork`] and its neighbours build.
    pub fn burn_tip(&self) -> BurnBlock {
        self.state()
            .burns
            .back()
            .unwrap_or(&self.root.tenure)
            .clone()
    }

    /// The Bitcoin block so many blocks below [`ChainBuilder::burn_tip`], or the lowest known one.
    pub(super) fn burn_ancestor(&self, depth: u64) -> BurnBlock {
        let mut block = self.burn_tip();
        let state = self.state();
        for _ in 0..depth {
            match state
                .burns
                .iter()
                .rev()
                .find(|other| other.hash == block.parent_hash)
            {
                Some(parent) => block = parent.clone(),
                None => break,
            }
        }
        block
    }

    /// Begins a block on another one, in the parent's tenure unless told otherwise.
    pub fn block(&self, parent: &Block) -> BlockBuilder<'_> {
        BlockBuilder::new(self, parent)
    }

    /// Blocks on another one, of which each is the parent of the next; the first begins a tenure.
    pub fn branch(&self, parent: &Block, tenure: &BurnBlock, count: usize) -> Vec<Block> {
        let mut blocks: Vec<Block> = Vec::with_capacity(count);
        while blocks.len() < count {
            let block = match blocks.last() {
                None => self.block(parent).tenure(tenure),
                Some(last) => self.block(last),
            };
            blocks.push(block.build());
        }
        blocks
    }

    /// A contract call with the sender's next nonce. It succeeds with `(ok true)` until told otherwise.
    pub fn call(
        &self,
        sender: &StandardPrincipal,
        contract: &ContractId,
        function: &str,
        arguments: &[Value],
    ) -> Tx {
        let raw = raw_tx::call(&self.origin(sender), contract, function, arguments);
        Tx {
            has_cost: true,
            ..Tx::from_raw(raw)
        }
    }

    /// A transfer of STX with the sender's next nonce, and its event.
    pub fn transfer(
        &self,
        sender: &StandardPrincipal,
        recipient: &StandardPrincipal,
        micro_stx: u64,
        memo: &str,
    ) -> Tx {
        let memo = raw_tx::memo(memo);
        let raw = raw_tx::transfer(&self.origin(sender), recipient, micro_stx, memo);
        let (sender, recipient) = (sender.to_string(), recipient.to_string());
        let amount = u128::from(micro_stx);
        Tx::from_raw(raw).event(Event::StxTransfer {
            sender,
            recipient,
            amount,
            memo: memo.to_vec(),
        })
    }

    /// A deployment with the sender's next nonce, with an interface of one function.
    pub fn deploy(&self, sender: &StandardPrincipal, name: &str, code: &str) -> Tx {
        let raw = raw_tx::deploy(&self.origin(sender), &contract(sender, name).name, code);
        Tx {
            has_cost: true,
            ..Tx::from_raw(raw)
        }
        .contract_interface(interface())
    }

    /// A `/new_mempool_tx` that announces transactions.
    pub fn mempool(&self, txs: &[Tx]) -> Entry {
        let raw: Vec<_> = txs.iter().map(|tx| json!(hex0x(tx.raw()))).collect();
        Entry::new("/new_mempool_tx", Json::Array(raw).to_string())
    }

    /// A `/drop_mempool_tx`: the transaction was replaced by another one with the same nonce and a higher fee.
    pub fn replaced(&self, dropped: &Tx, by: &Tx) -> Entry {
        drop_entry(dropped, "ReplaceByFee", json!(by.id()))
    }

    /// A `/drop_mempool_tx`: the transaction waited for too long.
    pub fn stale(&self, dropped: &Tx) -> Entry {
        drop_entry(dropped, "StaleGarbageCollect", Json::Null)
    }

    /// The nonce of the account's next transaction.
    pub fn nonce(&self, account: &StandardPrincipal) -> u64 {
        self.state().nonces.get(account).copied().unwrap_or(0)
    }

    /// The account's nonce for its next transaction becomes this, as for a replacement.
    pub fn set_nonce(&self, account: &StandardPrincipal, nonce: u64) {
        self.state().nonces.insert(*account, nonce);
    }

    pub(super) fn origin(&self, sender: &StandardPrincipal) -> Origin {
        let mut state = self.state();
        let fee = state.rng.between(1_000, 50_000);
        let next = state.nonces.entry(*sender).or_insert(0);
        let nonce = *next;
        *next += 1;
        Origin {
            network: self.options.network,
            sender: *sender,
            nonce,
            fee,
        }
    }

    /// Bytes that no other block of this chain gets.
    pub(super) fn salt(&self) -> [u8; 8] {
        self.state().next_number()
    }

    pub(super) fn digest(&self, domain: &str, parts: &[&[u8]]) -> [u8; 32] {
        let seed = self.options.seed.to_be_bytes();
        let mut bytes = domain.as_bytes().to_vec();
        bytes.extend_from_slice(&seed);
        for part in parts {
            bytes.extend_from_slice(part);
        }
        sha512_256(&bytes)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere cannot leave these counters half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn next_number(&mut self) -> [u8; 8] {
        self.made += 1;
        self.made.to_be_bytes()
    }
}

fn drop_entry(dropped: &Tx, reason: &str, new_txid: Json) -> Entry {
    let body = object([
        ("dropped_txids", json!([dropped.id()])),
        ("new_txid", new_txid),
        ("reason", json!(reason)),
    ]);
    Entry::new("/drop_mempool_tx", body.to_string())
}

fn shortened(digest: [u8; 32]) -> [u8; 20] {
    let mut short = [0; 20];
    short.copy_from_slice(&digest[..20]);
    short
}

fn root_block(options: &ChainOptions) -> Block {
    if options.root_height == 0 {
        let boot = boot_transactions(options.network);
        return genesis(options, &boot);
    }
    let block_hash = sha512_256(&options.root_height.to_be_bytes());
    let mut block = genesis(options, &[]).without_payload();
    block.height = options.root_height;
    block.block_hash = block_hash;
    block.index_block_hash = index_block_hash(&block_hash, &block.tenure.consensus_hash);
    block
}

/// Block 0 as a node announces it (stacks-core `announce_boot_receipts`): all hashes zero, the parent's all ones.
fn genesis(options: &ChainOptions, txs: &[Tx]) -> Block {
    let hash = sha512_256(b"genesis burn block");
    let tenure = BurnBlock {
        height: options.burn_height,
        hash,
        parent_hash: [0; 32],
        consensus_hash: [0; 20],
        winning_txid: [0; 32],
        time: EPOCH_SECONDS,
        entry: render::new_burn_block(options.burn_height, hash, [0; 32], [0; 20], 0),
    };
    let mut block = Block {
        label: "genesis".to_owned(),
        height: 0,
        block_hash: [0xff; 32],
        index_block_hash: [0xff; 32],
        parent_index_block_hash: [0xff; 32],
        time: EPOCH_SECONDS,
        tenure,
        tenure_height: 0,
        tenure_blocks: 0,
        txs: Arc::from(txs),
        entry: Entry::new("/new_block", Vec::new()),
    };
    let payload = NewBlock {
        parent: &block,
        tenure: &block.tenure,
        tenure_height: 0,
        height: 0,
        time: EPOCH_SECONDS,
        block_hash: [0; 32],
        index_block_hash: index_block_hash(&[0; 32], &[0; 20]),
        txs,
        form: PayloadForm::Epoch2,
        signers: 0,
        shuffle_events: options.shuffle_events,
        mainnet: options.network == Network::Mainnet,
    };
    let body = Json::Object(payload.fields()).to_string();
    block.block_hash = [0; 32];
    block.index_block_hash = index_block_hash(&[0; 32], &[0; 20]);
    block.entry = Entry::new("/new_block", body);
    block
}

/// A boot contract and the first balances.
fn boot_transactions(network: Network) -> [Tx; 2] {
    const BALANCES: u64 = 12;
    let boot = network.boot_address();
    let origin = |nonce| Origin {
        network,
        sender: boot,
        nonce,
        fee: 0,
    };
    let code = ";; A stand-in for the boot contracts.\n(define-read-only (get-version) u1)\n";
    let pox = raw_tx::deploy(&origin(0), &contract(&boot, "pox").name, code);
    let mints = (0..BALANCES).map(|number| {
        let recipient = network.account(&format!("user-{number}")).to_string();
        Event::StxMint {
            recipient,
            amount: 100_000_000_000_000 + u128::from(number),
        }
    });
    let balances = raw_tx::transfer(&origin(1), &boot, 0, raw_tx::memo("initial balances"));
    [
        Tx::from_raw(pox).contract_interface(interface()),
        Tx::from_raw(balances).events(mints),
    ]
}

fn interface() -> Json {
    let outputs = json!({ "type": { "response": { "error": "none", "ok": "bool" } } });
    let function = object([
        ("access", json!("public")),
        ("args", json!([])),
        ("name", json!("noop")),
        ("outputs", outputs),
    ]);
    object([
        ("clarity_version", json!("Clarity3")),
        ("epoch", json!("Epoch30")),
        ("functions", json!([function])),
        ("fungible_tokens", json!([])),
        ("maps", json!([])),
        ("non_fungible_tokens", json!([])),
        ("variables", json!([])),
    ])
}
