//! The DAO's books.
//!
//! [`booker`] makes bookings of one transaction's events and transfers, and [`plan`] says what has to be added to the
//! journal so that it is about the canonical chain alone; both are pure. [`keep`] reads the mirror's outbox and books,
//! [`proof`] holds the books against the mirror's transfers and a node's balances, [`prover`] does so
//! after every block that moved money, [`close`] seals periods, and
//! [`statement`] and [`export`] write what others read.

pub mod account;
pub mod money;
pub mod booker;
pub mod plan;
pub mod rounding;
pub mod keep;
pub mod proof;
pub mod prover;
mod alarm;
pub mod html;
pub mod close;
pub mod export;
#[cfg(test)]
mod model_tests;

pub use stxworx_indexer::store::ledger::statement;
