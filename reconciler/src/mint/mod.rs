//! Badges, minted once each, whatever happens.
//!
//! An **award** (contract, recipient, kind, number) is what somebody earned. It has one **intent**, which is the work of
//! minting it. An intent gets a **slot**: a nonce of the minter's key, reserved for this payload for ever. A slot gets
//! **attempts**: signed transactions of one nonce that differ in their fee, whose bytes are stored before they are sent
//! and sent again as they are. When the chain's answer is final there is one **effect**.
//!
//! What decides is pure: eligibility and plans are functions of what was read. The ports ([`ports`]) are what reaches out;
//! the same code runs against memory, PostgreSQL and faults.

pub mod types;
pub mod policy;
pub mod ports;
pub mod eligibility;
pub mod attest;
pub mod plan;
pub mod exec;
pub mod tx;
pub mod signer;
pub mod node;
pub mod daemon;
pub mod postgres;
#[cfg(debug_assertions)]
pub mod crash;

#[cfg(test)]
mod tests;
