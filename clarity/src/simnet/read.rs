//! What can be read of the chain, as of any block whose state is kept.

use std::sync::Arc;

use clarity::types::chainstate::StacksBlockId;

use super::block::{BlockId, TxId};
use super::convert::{self, ConvertError};
use super::machine::{self, Failure, Machine};
use super::mempool::Dropped;
use super::store::{Meta, State};
use super::{Account, Simnet, SimnetError, apply};
use crate::codec::transaction::Transaction;
use crate::codec::{ContractId, Principal, Value};

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

impl Simnet {
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

    /// Height of the block that deployed a contract, as of a block.
    ///
    /// # Errors
    /// When the block is not known or its state not kept.
    pub fn published(
        &self,
        at: &BlockId,
        contract: &ContractId,
    ) -> Result<Option<u32>, SimnetError> {
        Ok(apply::published(self.state_at(at)?, contract))
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
