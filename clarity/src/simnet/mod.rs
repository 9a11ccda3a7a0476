//! A chain made of real Clarity execution, for devnets and tests: deterministic, and forked at no cost.
//!
//! Contracts run in clarity-vm over a store of our own. Around it are the parts of a node that a
//! follower can see: signatures, nonces, fees, post-conditions, a mempool with the node's reasons to
//! refuse, tenures on Bitcoin blocks, forks of both, and payloads of the event observer in the node's
//! form. What a node has beside that is not there: costs, stacking, microblocks, miners.
//!
//! The same configuration and the same calls give the same bytes. Nothing here knows a clock, a
//! network or a file; the one thread that is started is the machine's deep stack.

mod apply;
mod block;
mod convert;
mod machine;
mod mempool;
mod payload;
mod post_conditions;
mod store;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use clarity::types::chainstate::StacksBlockId;
use secp256k1::SecretKey;

pub use block::{
    BlockId, BurnBlock, GENESIS_PARENT, Header, Receipt, SealedBlock, SimEvent, TxId, TxStatus,
};
pub use convert::ConvertError;
pub use mempool::{Dropped, MAX_CHAINING, Rejection};
pub use payload::new_mempool_tx_payload;

use crate::codec::transaction::{HighS, Payload, TESTNET_CHAIN_ID, Transaction};
use crate::codec::{ContractId, Principal, Value};
use apply::Applied;
use machine::{CallCheck, Failure, Machine};
use mempool::Mempool;
use store::{Meta, State};

/// How a chain begins.
#[derive(Debug, Clone)]
pub struct SimnetConfig {
    /// Makes its hashes differ from those of other chains.
    pub seed: u64,
    /// Who owns what at the start, micro-STX.
    pub genesis: Vec<(Principal, u128)>,
    /// Height of the Bitcoin block that elects the first tenure.
    pub first_burn_height: u32,
    /// Time of that block, Unix seconds.
    pub genesis_time: u64,
    /// Blocks below the tip whose state stays readable and on which a fork may build.
    pub keep_states: u32,
    /// The lowest fee that is admitted, micro-STX for a whole transaction.
    pub minimum_fee: u64,
}

impl Default for SimnetConfig {
    fn default() -> Self {
        Self {
            seed: 0,
            genesis: Vec::new(),
            first_burn_height: 100,
            genesis_time: 1_700_000_000,
            keep_states: 1_000,
            minimum_fee: 180,
        }
    }
}

/// What cannot be done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SimnetError {
    /// The block is not of this chain.
    #[error("block 0x{} is not known", hex::encode(.0))]
    UnknownBlock(BlockId),
    /// The block is known, its state was given up.
    #[error("the state of block 0x{} is not kept any more", hex::encode(.0))]
    Pruned(BlockId),
    /// The machine would not start.
    #[error("the machine does not start: {0}")]
    Machine(String),
}

/// Why a read has no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The block.
    #[error(transparent)]
    Block(#[from] SimnetError),
    /// The function writes.
    #[error("NotReadOnly")]
    NotReadOnly,
    /// The function is not there, failed, or was given what it does not take; the machine's words.
    #[error("{0}")]
    Execution(String),
    /// An argument is no value of the machine.
    #[error(transparent)]
    Convert(#[from] ConvertError),
}

impl From<Failure> for ReadError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::NotReadOnly => Self::NotReadOnly,
            other => Self::Execution(other.vm_error()),
        }
    }
}

/// An account at a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Account {
    /// Micro-STX.
    pub balance: u128,
    /// The next nonce.
    pub nonce: u64,
}

/// A block and what can still be done with it.
struct Node {
    sealed: Arc<SealedBlock>,
    state: Option<State>,
}

/// The chain, with all its forks.
pub struct Simnet {
    config: SimnetConfig,
    blocks: HashMap<BlockId, Node>,
    metas: HashMap<StacksBlockId, Meta>,
    tip: BlockId,
    /// Canonical Bitcoin blocks; the first is at `first_burn_height - 1`.
    burns: Vec<Arc<BurnBlock>>,
    burn_salt: u64,
    mempool: Mempool,
    /// Makes the ids of blocks under construction differ.
    attempts: u64,
    miner: SecretKey,
}

impl std::fmt::Debug for Simnet {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Simnet")
            .field("tip", &hex::encode(self.tip))
            .field("blocks", &self.blocks.len())
            .finish_non_exhaustive()
    }
}

/// Seconds between Bitcoin blocks, and between Stacks blocks.
const BURN_SECONDS: u64 = 600;
const BLOCK_SECONDS: u64 = 10;

impl Simnet {
    /// A chain with its block 0.
    ///
    /// # Errors
    /// When the machine does not start.
    pub fn new(config: SimnetConfig) -> Result<Self, SimnetError> {
        let burn_height = config.first_burn_height.saturating_sub(1);
        let burn = Arc::new(BurnBlock::derive(
            config.seed,
            [0; 32],
            burn_height,
            config.genesis_time,
            0,
        ));
        let miner = crate::market::secret_key(&format!("miner {}", config.seed));
        let mut chain = Self {
            config,
            blocks: HashMap::new(),
            metas: HashMap::new(),
            tip: [0; 32],
            burns: vec![burn],
            burn_salt: 0,
            mempool: Mempool::default(),
            attempts: 0,
            miner,
        };
        chain.make_genesis()?;
        Ok(chain)
    }

    fn make_genesis(&mut self) -> Result<(), SimnetError> {
        let block_hash = [0; 32];
        let id = crate::codec::index_block_hash(&block_hash, &[0; 20]);
        let nowhere = Arc::new(BurnBlock {
            hash: [0; 32],
            height: 0,
            parent_hash: [0; 32],
            consensus_hash: [0; 20],
            time: 0,
            miner_txid: [0; 32],
        });
        let meta = Meta {
            id: StacksBlockId(id),
            parent: StacksBlockId(GENESIS_PARENT),
            height: 0,
            burn_height: self.burns[0].height,
            time: self.config.genesis_time,
        };
        self.metas.insert(meta.id, meta);
        let open = Meta {
            id: StacksBlockId([0xee; 32]),
            parent: meta.id,
            height: 1,
            ..meta
        };
        let grants = self.config.genesis.clone();
        let machine = Machine {
            metas: &self.metas,
            open,
        };
        let ((), state) = machine
            .database(&State::new(), |database| {
                database.set_clarity_epoch_version(store::EPOCH);
                for (who, amount) in &grants {
                    let mut account = database.get_stx_balance_snapshot(&convert::principal(who));
                    account.credit(*amount);
                    account.save();
                    // Fails only past the supply of all STX.
                    let _ = database.increment_ustx_liquid_supply(*amount);
                }
            })
            .map_err(|e| SimnetError::Machine(e.vm_error()))?;
        let header = Header {
            id,
            block_hash,
            height: 0,
            parent: GENESIS_PARENT,
            parent_block_hash: [0; 32],
            time: None,
            burn: Arc::clone(&nowhere),
            parent_burn: nowhere,
            tenure_height: 0,
        };
        let receipts = apply::genesis_receipts(&self.config.genesis);
        self.blocks.insert(
            id,
            Node {
                sealed: Arc::new(SealedBlock { header, receipts }),
                state: Some(state),
            },
        );
        self.tip = id;
        Ok(())
    }

    /// The block that the next one builds on.
    pub fn tip(&self) -> Arc<SealedBlock> {
        Arc::clone(&self.blocks[&self.tip].sealed)
    }

    /// A block of any fork, unless it was given up long ago.
    pub fn block(&self, id: &BlockId) -> Option<Arc<SealedBlock>> {
        self.blocks.get(id).map(|n| Arc::clone(&n.sealed))
    }

    /// The ancestor of the tip at a height.
    pub fn at_height(&self, height: u32) -> Option<Arc<SealedBlock>> {
        let mut id = self.tip;
        loop {
            let node = self.blocks.get(&id)?;
            let header = &node.sealed.header;
            if header.height <= height {
                return (header.height == height).then(|| Arc::clone(&node.sealed));
            }
            id = header.parent;
        }
    }

    /// The newest Bitcoin block.
    pub fn burn_tip(&self) -> Arc<BurnBlock> {
        Arc::clone(&self.burns[self.burns.len() - 1])
    }

    /// A canonical Bitcoin block by height.
    pub fn burn_at(&self, height: u32) -> Option<Arc<BurnBlock>> {
        let first = self.burns.first()?.height;
        let place = usize::try_from(height.checked_sub(first)?).ok()?;
        self.burns.get(place).cloned()
    }

    /// Bitcoin goes on by `count` blocks; the last one elects the next block's tenure.
    pub fn burn(&mut self, count: u32) -> Vec<Arc<BurnBlock>> {
        let mut new = Vec::new();
        for _ in 0..count {
            let below = self.burn_tip();
            let next = BurnBlock::derive(
                self.config.seed,
                below.hash,
                below.height + 1,
                below.time + BURN_SECONDS,
                self.burn_salt,
            );
            let next = Arc::new(next);
            self.burns.push(Arc::clone(&next));
            new.push(next);
        }
        new
    }

    /// Bitcoin loses its `depth` newest blocks, and the chain the tenures that they elected. The next
    /// calls of [`Simnet::burn`] make other blocks there. Returns how many were lost; the oldest one stays.
    pub fn reorg_burn(&mut self, depth: u32) -> u32 {
        let keep = self
            .burns
            .len()
            .saturating_sub(usize::try_from(depth).unwrap_or(usize::MAX))
            .max(1);
        let lost = self.burns.len() - keep;
        self.burns.truncate(keep);
        self.burn_salt += 1;
        let old = self.tip;
        while !self.elected_here(&self.tip) {
            let parent = self.blocks[&self.tip].sealed.header.parent;
            if !self.blocks.contains_key(&parent) {
                break;
            }
            self.tip = parent;
        }
        self.return_transactions(old);
        u32::try_from(lost).unwrap_or(u32::MAX)
    }

    fn elected_here(&self, id: &BlockId) -> bool {
        let header = &self.blocks[id].sealed.header;
        header.height == 0
            || self
                .burn_at(header.burn.height)
                .is_some_and(|b| b.hash == header.burn.hash)
    }

    /// The next block builds on this one. What was mined above the common ancestor waits again.
    ///
    /// # Errors
    /// When the block is not known or its state not kept.
    pub fn fork_to(&mut self, id: &BlockId) -> Result<(), SimnetError> {
        self.state_at(id)?;
        let old = std::mem::replace(&mut self.tip, *id);
        self.return_transactions(old);
        Ok(())
    }

    /// Puts back what was mined on the branch of `old` and is not on that of the tip.
    fn return_transactions(&mut self, old: BlockId) {
        let mut kept = HashSet::new();
        let (mut left, mut stays) = (self.blocks.get(&old), self.blocks.get(&self.tip));
        let mut returned = Vec::new();
        while let (Some(l), Some(s)) = (left, stays) {
            let (lh, sh) = (&l.sealed.header, &s.sealed.header);
            if lh.id == sh.id {
                break;
            }
            if lh.height >= sh.height {
                returned.push(Arc::clone(&l.sealed));
                left = self.blocks.get(&lh.parent);
            } else {
                kept.extend(s.sealed.receipts.iter().map(|r| r.txid));
                stays = self.blocks.get(&sh.parent);
            }
        }
        for block in returned.iter().rev() {
            for receipt in &block.receipts {
                let minted = matches!(
                    receipt.transaction.payload,
                    Payload::TenureChange(_) | Payload::NakamotoCoinbase { .. }
                );
                if !minted && !kept.contains(&receipt.txid) {
                    let origin = receipt.transaction.origin_address();
                    if self
                        .mempool
                        .get(&origin, receipt.transaction.nonce())
                        .is_none()
                    {
                        self.mempool
                            .insert(&origin, receipt.txid, receipt.transaction.clone());
                    }
                }
            }
        }
    }

    fn state_at(&self, id: &BlockId) -> Result<&State, SimnetError> {
        let node = self.blocks.get(id).ok_or(SimnetError::UnknownBlock(*id))?;
        node.state.as_ref().ok_or(SimnetError::Pruned(*id))
    }

    /// Mines the next block out of what waits, at most `limit` transactions beside the tenure's own.
    ///
    /// # Errors
    /// When the tip's state is not there, which a chain that is used as documented does not meet.
    pub fn mine(&mut self, limit: usize) -> Result<Arc<SealedBlock>, SimnetError> {
        let parent = self.tip();
        let mut state = self.state_at(&self.tip)?.clone();
        let burn = self.burn_tip();
        let starts = burn.consensus_hash != parent.header.burn.consensus_hash;
        let time = self.next_time(&parent, &burn);
        let open = self.open(&parent, &burn, time);
        let mut receipts = Vec::new();
        if starts {
            let blocks = self.tenure_length(&parent);
            receipts.extend(apply::tenure_receipts(
                &self.miner,
                &parent.header,
                &burn,
                blocks,
            ));
        }
        let machine = Machine {
            metas: &self.metas,
            open,
        };
        let mut mined = 0;
        loop {
            let mut progressed = false;
            for waiting in self.mempool.heads() {
                let origin = waiting.transaction.origin_address();
                let next = apply::account(&state, &origin).nonce;
                let nonce = waiting.transaction.nonce();
                if nonce < next {
                    self.mempool.remove(&origin, nonce);
                    progressed = true;
                    continue;
                }
                if nonce > next || mined >= limit {
                    continue;
                }
                self.mempool.remove(&origin, nonce);
                progressed = true;
                if let Applied::Included(receipt, after) = apply::apply(&machine, &state, &waiting)
                {
                    receipts.push(*receipt);
                    state = after;
                    mined += 1;
                }
            }
            if !progressed {
                break;
            }
        }
        Ok(self.seal(&parent, burn, time, starts, receipts, state))
    }

    fn next_time(&self, parent: &SealedBlock, burn: &BurnBlock) -> u64 {
        let after_parent = parent.header.time.map_or(0, |t| t + BLOCK_SECONDS);
        after_parent.max(burn.time + 1)
    }

    fn tenure_length(&self, last: &SealedBlock) -> u32 {
        let mut count = 0;
        let mut at = Some(last.header.id);
        while let Some(node) = at.and_then(|id| self.blocks.get(&id)) {
            if node.sealed.header.burn.hash != last.header.burn.hash {
                break;
            }
            count += 1;
            at = Some(node.sealed.header.parent);
        }
        count
    }

    fn open(&mut self, parent: &SealedBlock, burn: &BurnBlock, time: u64) -> Meta {
        self.attempts += 1;
        let mut bytes = b"open".to_vec();
        bytes.extend_from_slice(&parent.header.id);
        bytes.extend_from_slice(&self.attempts.to_be_bytes());
        Meta {
            id: StacksBlockId(crate::codec::sha512_256(&bytes)),
            parent: StacksBlockId(parent.header.id),
            height: parent.header.height + 1,
            burn_height: burn.height,
            time,
        }
    }

    fn seal(
        &mut self,
        parent: &SealedBlock,
        burn: Arc<BurnBlock>,
        time: u64,
        starts: bool,
        receipts: Vec<Receipt>,
        state: State,
    ) -> Arc<SealedBlock> {
        let height = parent.header.height + 1;
        let block_hash = SealedBlock::hash_of(
            self.config.seed,
            &parent.header.id,
            height,
            time,
            &burn,
            &receipts,
        );
        let id = SealedBlock::id_of(&block_hash, &burn);
        let meta = Meta {
            id: StacksBlockId(id),
            parent: StacksBlockId(parent.header.id),
            height,
            burn_height: burn.height,
            time,
        };
        let header = Header {
            id,
            block_hash,
            height,
            parent: parent.header.id,
            parent_block_hash: parent.header.block_hash,
            time: Some(time),
            burn,
            parent_burn: Arc::clone(&parent.header.burn),
            tenure_height: parent.header.tenure_height + u32::from(starts),
        };
        let sealed = Arc::new(SealedBlock { header, receipts });
        self.metas.insert(meta.id, meta);
        self.blocks.insert(
            id,
            Node {
                sealed: Arc::clone(&sealed),
                state: Some(state),
            },
        );
        self.tip = id;
        self.prune(height);
        sealed
    }

    /// Gives up states, and whole blocks, that are far below the tip. Their headers stay.
    fn prune(&mut self, height: u32) {
        let Some(edge) = height.checked_sub(self.config.keep_states) else {
            return;
        };
        if edge == 0 || !edge.is_multiple_of(64) {
            return;
        }
        for node in self.blocks.values_mut() {
            if node.sealed.header.height < edge && node.state.is_some() {
                node.state = None;
                let header = node.sealed.header.clone();
                node.sealed = Arc::new(SealedBlock {
                    header,
                    receipts: Vec::new(),
                });
            }
        }
    }

    /// Admits a transaction to the mempool, by the node's rules and in their order.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn submit(&mut self, raw: &[u8]) -> Result<TxId, Rejection> {
        let transaction =
            Transaction::decode(raw).map_err(|e| Rejection::Deserialization(e.to_string()))?;
        let txid = transaction.txid();
        let origin = transaction.origin_address();
        if self
            .mempool
            .get(&origin, transaction.nonce())
            .is_some_and(|w| w.txid == txid)
        {
            return Ok(txid);
        }
        match &transaction.payload {
            Payload::NakamotoCoinbase { .. }
            | Payload::Coinbase { .. }
            | Payload::CoinbaseToAltRecipient { .. } => {
                return Err(Rejection::NoCoinbaseViaMempool);
            }
            Payload::TenureChange(_) => return Err(Rejection::NoTenureChangeViaMempool),
            Payload::PoisonMicroblock { .. } | Payload::Unknown(_) => {
                return Err(Rejection::ServerFailureOther(
                    "Transaction is not supported in this epoch".into(),
                ));
            }
            _ => {}
        }
        transaction
            .verify(HighS::Refuse)
            .map_err(|e| Rejection::SignatureValidation(e.to_string()))?;
        self.check_money(&transaction, &origin)?;
        self.check_payload(&transaction, &origin)?;
        if let Some(waiting) = self.mempool.get(&origin, transaction.nonce())
            && waiting.transaction.fee() >= transaction.fee()
        {
            return Err(Rejection::ConflictingNonceInMempool);
        }
        self.mempool.insert(&origin, txid, transaction);
        Ok(txid)
    }

    fn check_money(&self, transaction: &Transaction, origin: &Principal) -> Result<(), Rejection> {
        if transaction.fee() < self.config.minimum_fee {
            return Err(Rejection::FeeTooLow {
                expected: self.config.minimum_fee,
                actual: transaction.fee(),
            });
        }
        let state = self
            .state_at(&self.tip)
            .map_err(|e| Rejection::ServerFailureOther(e.to_string()))?;
        let account = apply::account(state, origin);
        check_nonce(transaction.nonce(), account.nonce, origin, true)?;
        let sponsor = transaction.sponsor_address();
        if let (Some(sponsor), Some(condition)) = (&sponsor, transaction.auth.sponsor()) {
            check_nonce(
                condition.nonce,
                apply::account(state, sponsor).nonce,
                sponsor,
                false,
            )?;
        }
        if transaction.is_mainnet() || transaction.chain_id != TESTNET_CHAIN_ID {
            return Err(Rejection::BadTransactionVersion);
        }
        let payer = sponsor.as_ref().unwrap_or(origin);
        let sends = match &transaction.payload {
            Payload::TokenTransfer { amount, .. } if sponsor.is_none() => *amount,
            _ => 0,
        };
        let expected = u128::from(transaction.fee()) + u128::from(sends);
        let actual = apply::account(state, payer).balance;
        if actual < expected {
            return Err(Rejection::NotEnoughFunds { expected, actual });
        }
        Ok(())
    }

    fn check_payload(
        &mut self,
        transaction: &Transaction,
        origin: &Principal,
    ) -> Result<(), Rejection> {
        let other = |e: &dyn std::fmt::Display| Rejection::ServerFailureOther(e.to_string());
        let parent = self.tip();
        let open = self.open(&parent, &self.burn_tip(), 0);
        let state = self.state_at(&self.tip).map_err(|e| other(&e))?;
        let machine = Machine {
            metas: &self.metas,
            open,
        };
        match &transaction.payload {
            Payload::TokenTransfer {
                recipient, amount, ..
            } => {
                if !recipient.address().is_testnet() {
                    return Err(Rejection::BadAddressVersionByte);
                }
                if recipient == origin {
                    return Err(Rejection::TransferRecipientCannotEqualSender(
                        recipient.to_string(),
                    ));
                }
                if *amount == 0 {
                    return Err(Rejection::TransferAmountMustBePositive);
                }
                Ok(())
            }
            Payload::ContractCall {
                contract,
                function,
                arguments,
            } => {
                if !contract.issuer.is_testnet() {
                    return Err(Rejection::BadAddressVersionByte);
                }
                let values = apply::arguments(arguments)
                    .map_err(|e| Rejection::BadFunctionArgument(e.to_string()))?;
                let checked = machine.check_call(
                    state,
                    &convert::contract(contract),
                    function.as_str(),
                    &values,
                );
                match checked.map_err(|e| other(&e.vm_error()))? {
                    CallCheck::Fits => Ok(()),
                    CallCheck::NoContract => Err(Rejection::NoSuchContract),
                    CallCheck::NoFunction => Err(Rejection::NoSuchPublicFunction),
                    CallCheck::BadArguments(message) => {
                        Err(Rejection::BadFunctionArgument(message))
                    }
                }
            }
            Payload::SmartContract { .. } => match transaction.contract_id() {
                Some(id) if apply::has_contract(state, &id) => {
                    Err(Rejection::ContractAlreadyExists(id.to_string()))
                }
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }

    /// How many transactions wait.
    pub fn waiting(&self) -> usize {
        self.mempool.len()
    }

    /// A transaction that waits.
    pub fn waiting_transaction(&self, txid: &TxId) -> Option<Arc<Transaction>> {
        self.mempool.find(txid).map(|w| Arc::clone(&w.transaction))
    }

    /// The nonce to sign with: after all that is mined and all that waits.
    pub fn next_nonce(&self, who: &Principal) -> u64 {
        let mined = self
            .state_at(&self.tip)
            .map_or(0, |s| apply::account(s, who).nonce);
        self.mempool.next_nonce(who, mined)
    }

    /// What was dropped since this was last asked.
    pub fn take_dropped(&mut self) -> Vec<Dropped> {
        std::mem::take(&mut self.mempool.dropped)
    }

    /// An account as of a block.
    ///
    /// # Errors
    /// When the block is not known or its state not kept.
    pub fn account(&self, at: &BlockId, who: &Principal) -> Result<Account, SimnetError> {
        Ok(apply::account(self.state_at(at)?, who))
    }

    fn machine_at(&self, at: &BlockId) -> Result<(Machine<'_>, &State), SimnetError> {
        let state = self.state_at(at)?;
        let block = self.blocks.get(at).ok_or(SimnetError::UnknownBlock(*at))?;
        let header = &block.sealed.header;
        // At the tip a read sees Bitcoin as the next transaction would.
        let burn_height = if *at == self.tip {
            self.burn_tip().height
        } else {
            header.burn.height
        };
        let open = Meta {
            id: StacksBlockId([0xdd; 32]),
            parent: StacksBlockId(*at),
            height: header.height + 1,
            burn_height,
            time: header.time.unwrap_or(self.config.genesis_time),
        };
        Ok((
            Machine {
                metas: &self.metas,
                open,
            },
            state,
        ))
    }

    /// Evaluates a function that does not write, as of a block.
    ///
    /// # Errors
    /// When there is no such block or function, or the function writes or fails.
    pub fn call_read(
        &self,
        at: &BlockId,
        sender: &Principal,
        contract: &ContractId,
        function: &str,
        arguments: &[Value],
    ) -> Result<Value, ReadError> {
        let (machine, state) = self.machine_at(at)?;
        let values: Result<Vec<_>, _> = arguments
            .iter()
            .map(|v| convert::to_machine(&v.encode()))
            .collect();
        let value = machine.read(
            state,
            &convert::principal(sender),
            &convert::contract(contract),
            function,
            values?,
        )?;
        Ok(convert::from_machine(&value)?)
    }

    /// The serialised value of a data variable as of a block.
    ///
    /// # Errors
    /// When the block is not known or its state not kept.
    pub fn data_var(
        &self,
        at: &BlockId,
        contract: &ContractId,
        variable: &str,
    ) -> Result<Option<Vec<u8>>, SimnetError> {
        let key = machine::variable_key(&convert::contract(contract), variable);
        Ok(self
            .state_at(at)?
            .get(key.as_str())
            .and_then(|v| hex::decode(v.as_bytes()).ok()))
    }

    /// The serialised entry of a map as of a block: `some` or `none`.
    ///
    /// # Errors
    /// When the block is not usable or the key no value.
    pub fn map_entry(
        &self,
        at: &BlockId,
        contract: &ContractId,
        map: &str,
        key: &Value,
    ) -> Result<Option<Vec<u8>>, ReadError> {
        let key = convert::to_machine(&key.encode())?;
        let key = machine::entry_key(&convert::contract(contract), map, &key);
        Ok(self
            .state_at(at)?
            .get(key.as_str())
            .and_then(|v| hex::decode(v.as_bytes()).ok()))
    }

    /// The source of a contract as of a block.
    ///
    /// # Errors
    /// When the block is not known or its state not kept.
    pub fn source(
        &self,
        at: &BlockId,
        contract: &ContractId,
    ) -> Result<Option<String>, SimnetError> {
        Ok(apply::source(self.state_at(at)?, contract))
    }

    /// The interface of a contract as of a block, as a node reports it.
    ///
    /// # Errors
    /// When the block is not known or its state not kept.
    pub fn interface(
        &self,
        at: &BlockId,
        contract: &ContractId,
    ) -> Result<Option<serde_json::Value>, SimnetError> {
        let (machine, state) = self.machine_at(at)?;
        Ok(machine.interface(state, &convert::contract(contract)))
    }

    /// Keys and values of a contract's data as of a block, for those who compare states.
    ///
    /// # Errors
    /// When the block is not known or its state not kept.
    pub fn contract_data(
        &self,
        at: &BlockId,
        contract: &ContractId,
    ) -> Result<std::collections::BTreeMap<String, String>, SimnetError> {
        let prefix = format!("vm::{}::", convert::contract(contract));
        let state = self.state_at(at)?;
        let entries = state.iter().filter(|(k, _)| k.starts_with(&prefix));
        Ok(entries
            .map(|(k, v)| (k.to_string(), v.to_string()))
            .collect())
    }
}

fn check_nonce(actual: u64, next: u64, who: &Principal, is_origin: bool) -> Result<(), Rejection> {
    let principal = who.to_string();
    if actual < next {
        return Err(Rejection::BadNonce {
            expected: next,
            actual,
            principal,
            is_origin,
        });
    }
    if actual - next > MAX_CHAINING {
        let expected = next + MAX_CHAINING;
        return Err(Rejection::TooMuchChaining {
            expected,
            actual,
            principal,
            is_origin,
        });
    }
    Ok(())
}
