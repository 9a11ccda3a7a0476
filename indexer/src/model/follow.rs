//! What a mirror keeps.

use std::collections::BTreeSet;

use sha2::{Digest as _, Sha256};

use super::block::{Block, Transaction};
use super::event::Event;

/// How much of the chain is mirrored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mirror {
    /// Every transaction and event.
    All,
    /// Those that touch a followed contract or a watched principal, with all events of such a
    /// transaction as context. Every block's header is kept either way.
    Followed,
}

/// The contracts and principals that a mirror is about.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FollowSet {
    /// How much is mirrored.
    pub mirror: Mirror,
    /// Contract ids, as text; `*` stands for every contract.
    pub contracts: BTreeSet<String>,
    /// Principals whose transfers are projected.
    pub principals: BTreeSet<String>,
}

impl FollowSet {
    /// SHA-256 over its parts: names what a payload was cut down to.
    pub fn hash(&self) -> [u8; 32] {
        let mut hasher = Sha256::new();
        hasher.update([u8::from(self.mirror == Mirror::All)]);
        for names in [&self.contracts, &self.principals] {
            for name in names {
                hasher.update(name.as_bytes());
                hasher.update([0]);
            }
            hasher.update([1]);
        }
        hasher.finalize().into()
    }

    /// Is this contract followed?
    pub fn follows_contract(&self, contract: &str) -> bool {
        self.contracts.contains(contract) || self.contracts.contains("*")
    }

    /// Is this principal watched? A followed contract holds money, so it is watched as well.
    pub fn watches(&self, principal: &str) -> bool {
        self.principals.contains(principal) || self.contracts.contains(principal)
    }

    fn concerns_principal(&self, principal: Option<&str>) -> bool {
        principal.is_some_and(|p| self.watches(p))
    }

    /// Does an event that names this contract, sender and recipient touch what is followed?
    pub fn concerns_names(&self, [contract, sender, recipient]: [Option<&str>; 3]) -> bool {
        contract.is_some_and(|c| self.follows_contract(c))
            || self.concerns_principal(sender)
            || self.concerns_principal(recipient)
    }

    /// Does this event touch what is followed?
    pub fn concerns_event(&self, event: &Event) -> bool {
        let body = &event.body;
        self.concerns_names([&body.contract, &body.sender, &body.recipient].map(|n| n.as_deref()))
    }

    /// Does this transaction, taken without its events, touch what is followed?
    pub fn concerns_transaction(&self, transaction: &Transaction) -> bool {
        transaction
            .contract
            .as_deref()
            .is_some_and(|c| self.follows_contract(c))
            || self.concerns_principal(transaction.sender.as_deref())
            || self.concerns_principal(transaction.sponsor.as_deref())
    }

    /// Drops from a block what this mirror does not keep.
    pub fn select(&self, block: &mut Block) {
        if self.mirror == Mirror::All {
            return;
        }
        let mut kept: BTreeSet<u32> = block
            .transactions
            .iter()
            .filter(|t| self.concerns_transaction(t))
            .map(|t| t.tx_index)
            .collect();
        kept.extend(
            block
                .events
                .iter()
                .filter(|e| self.concerns_event(e))
                .map(|e| e.tx_index),
        );
        block.transactions.retain(|t| kept.contains(&t.tx_index));
        block.events.retain(|e| kept.contains(&e.tx_index));
    }
}
