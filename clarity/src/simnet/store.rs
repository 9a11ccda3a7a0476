//! What the virtual machine reads and writes: one persistent map per block, so that a fork is a pointer.

use std::collections::HashMap;
use std::sync::Arc;

use clarity::consts::CHAIN_ID_TESTNET;
use clarity::types::StacksEpochId;
use clarity::types::chainstate::{
    BlockHeaderHash, BurnchainHeaderHash, ConsensusHash, SortitionId, StacksAddress, StacksBlockId,
    VRFSeed,
};
use clarity::util::hash::Sha512Trunc256Sum;
use clarity::vm::StacksEpoch;
use clarity::vm::ast::ASTRules;
use clarity::vm::database::{BurnStateDB, ClarityBackingStore, HeadersDB};
use clarity::vm::errors::{InterpreterResult, RuntimeErrorType};
use clarity::vm::types::{QualifiedContractIdentifier, TupleData};

use crate::codec::sha512_256;

/// Chain id that contracts and transactions carry.
pub(super) const CHAIN_ID: u32 = CHAIN_ID_TESTNET;
/// The rules that the machine executes by: the newest of this version of clarity-vm.
pub(super) const EPOCH: StacksEpochId = StacksEpochId::Epoch24;

/// The state of the chain after a block; a clone costs nothing.
pub(super) type State = imbl::HashMap<Arc<str>, Arc<str>>;

/// What the machine may ask about a block.
#[derive(Debug, Clone, Copy)]
pub(super) struct Meta {
    pub id: StacksBlockId,
    pub parent: StacksBlockId,
    pub height: u32,
    pub burn_height: u32,
    pub time: u64,
}

/// The state under construction, and the blocks below it.
pub(super) struct Store<'a> {
    pub state: State,
    pub open: Meta,
    pub metas: &'a HashMap<StacksBlockId, Meta>,
    view: StacksBlockId,
}

impl<'a> Store<'a> {
    pub(super) fn new(state: State, open: Meta, metas: &'a HashMap<StacksBlockId, Meta>) -> Self {
        Self {
            state,
            open,
            metas,
            view: open.id,
        }
    }

    fn metadata_key(contract: &QualifiedContractIdentifier, key: &str) -> String {
        format!("meta|{contract}|{key}")
    }
}

impl ClarityBackingStore for Store<'_> {
    fn put_all(&mut self, items: Vec<(String, String)>) {
        for (key, value) in items {
            self.state.insert(key.into(), value.into());
        }
    }

    fn get(&mut self, key: &str) -> Option<String> {
        self.state.get(key).map(ToString::to_string)
    }

    fn get_with_proof(&mut self, key: &str) -> Option<(String, Vec<u8>)> {
        self.get(key).map(|value| (value, Vec::new()))
    }

    /// Older states are not kept for `at-block`, which the contracts' subset of Clarity excludes.
    fn set_block_hash(&mut self, id: StacksBlockId) -> InterpreterResult<StacksBlockId> {
        if id == self.open.id {
            return Ok(std::mem::replace(&mut self.view, id));
        }
        Err(RuntimeErrorType::UnknownBlockHeaderHash(BlockHeaderHash(id.0)).into())
    }

    fn get_block_at_height(&mut self, height: u32) -> Option<StacksBlockId> {
        let mut id = self.open.parent;
        loop {
            let meta = self.metas.get(&id)?;
            if meta.height <= height {
                return (meta.height == height).then_some(id);
            }
            id = meta.parent;
        }
    }

    fn get_current_block_height(&mut self) -> u32 {
        self.open.height
    }

    fn get_open_chain_tip_height(&mut self) -> u32 {
        self.open.height
    }

    fn get_open_chain_tip(&mut self) -> StacksBlockId {
        self.open.id
    }

    fn get_contract_hash(
        &mut self,
        contract: &QualifiedContractIdentifier,
    ) -> InterpreterResult<(StacksBlockId, Sha512Trunc256Sum)> {
        let bytes = sha512_256(contract.to_string().as_bytes());
        Ok((self.open.id, Sha512Trunc256Sum(bytes)))
    }

    fn insert_metadata(&mut self, contract: &QualifiedContractIdentifier, key: &str, value: &str) {
        self.state
            .insert(Self::metadata_key(contract, key).into(), value.into());
    }

    fn get_metadata(
        &mut self,
        contract: &QualifiedContractIdentifier,
        key: &str,
    ) -> InterpreterResult<Option<String>> {
        Ok(self.get(&Self::metadata_key(contract, key)))
    }

    fn get_metadata_manual(
        &mut self,
        _height: u32,
        contract: &QualifiedContractIdentifier,
        key: &str,
    ) -> InterpreterResult<Option<String>> {
        self.get_metadata(contract, key)
    }
}

/// Headers and Bitcoin as the machine sees them while one block is built.
pub(super) struct Headers<'a> {
    pub open: Meta,
    pub metas: &'a HashMap<StacksBlockId, Meta>,
}

fn derived(domain: &str, bytes: &[u8]) -> [u8; 32] {
    let mut all = domain.as_bytes().to_vec();
    all.extend_from_slice(bytes);
    sha512_256(&all)
}

impl Headers<'_> {
    fn meta(&self, id: &StacksBlockId) -> Option<&Meta> {
        if *id == self.open.id {
            Some(&self.open)
        } else {
            self.metas.get(id)
        }
    }
}

impl HeadersDB for Headers<'_> {
    fn get_stacks_block_header_hash_for_block(
        &self,
        id: &StacksBlockId,
    ) -> Option<BlockHeaderHash> {
        self.meta(id)
            .map(|m| BlockHeaderHash(derived("header", &m.id.0)))
    }

    fn get_burn_header_hash_for_block(&self, id: &StacksBlockId) -> Option<BurnchainHeaderHash> {
        self.meta(id)
            .map(|m| BurnchainHeaderHash(derived("burn", &m.burn_height.to_be_bytes())))
    }

    fn get_consensus_hash_for_block(&self, id: &StacksBlockId) -> Option<ConsensusHash> {
        let meta = self.meta(id)?;
        ConsensusHash::from_bytes(&derived("sortition", &meta.burn_height.to_be_bytes())[..20])
    }

    fn get_vrf_seed_for_block(&self, id: &StacksBlockId) -> Option<VRFSeed> {
        self.meta(id).map(|m| VRFSeed(derived("seed", &m.id.0)))
    }

    fn get_burn_block_time_for_block(&self, id: &StacksBlockId) -> Option<u64> {
        self.meta(id).map(|m| m.time)
    }

    /// The machine of epoch 2.4 asks for the parent's Bitcoin height where epoch 3 takes the current
    /// tip's; answering with the latter gives `burn-block-height` the meaning that it has today.
    fn get_burn_block_height_for_block(&self, id: &StacksBlockId) -> Option<u32> {
        if *id == self.open.parent {
            return Some(self.open.burn_height);
        }
        self.meta(id).map(|m| m.burn_height)
    }

    fn get_miner_address(&self, _: &StacksBlockId) -> Option<StacksAddress> {
        Some(StacksAddress::burn_address(false))
    }

    fn get_burnchain_tokens_spent_for_block(&self, _: &StacksBlockId) -> Option<u128> {
        Some(0)
    }

    fn get_burnchain_tokens_spent_for_winning_block(&self, _: &StacksBlockId) -> Option<u128> {
        Some(0)
    }

    fn get_tokens_earned_for_block(&self, _: &StacksBlockId) -> Option<u128> {
        Some(0)
    }
}

/// Stacking does not exist here: nothing is ever locked or unlocked.
impl BurnStateDB for Headers<'_> {
    fn get_v1_unlock_height(&self) -> u32 {
        u32::MAX
    }

    fn get_v2_unlock_height(&self) -> u32 {
        u32::MAX
    }

    fn get_pox_3_activation_height(&self) -> u32 {
        u32::MAX
    }

    fn get_burn_block_height(&self, _: &SortitionId) -> Option<u32> {
        Some(self.open.burn_height)
    }

    fn get_burn_start_height(&self) -> u32 {
        0
    }

    fn get_pox_prepare_length(&self) -> u32 {
        5
    }

    fn get_pox_reward_cycle_length(&self) -> u32 {
        20
    }

    fn get_pox_rejection_fraction(&self) -> u64 {
        25
    }

    fn get_burn_header_hash(&self, height: u32, _: &SortitionId) -> Option<BurnchainHeaderHash> {
        Some(BurnchainHeaderHash(derived("burn", &height.to_be_bytes())))
    }

    fn get_sortition_id_from_consensus_hash(&self, _: &ConsensusHash) -> Option<SortitionId> {
        Some(SortitionId([0; 32]))
    }

    fn get_stacks_epoch(&self, _: u32) -> Option<StacksEpoch> {
        None
    }

    fn get_stacks_epoch_by_epoch_id(&self, _: &StacksEpochId) -> Option<StacksEpoch> {
        None
    }

    fn get_ast_rules(&self, _: u32) -> ASTRules {
        ASTRules::PrecheckSize
    }

    fn get_pox_payout_addrs(&self, _: u32, _: &SortitionId) -> Option<(Vec<TupleData>, u128)> {
        None
    }
}
