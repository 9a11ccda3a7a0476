//! Scenarios over the whole daemon, on a real Postgres.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where and end"
)]

mod support;

mod access;
mod fixtures;
mod forks;
mod restart;
mod simulation;
mod smoke;
mod sql_contract;
#[cfg(feature = "devnet")]
mod api_source;
mod archive;
mod bad_input;
mod cli;
mod deep_verify;
mod deploy;
mod database_faults;
#[cfg(feature = "devnet")]
mod devnet;
#[cfg(feature = "devnet")]
mod explain;
mod fencing;
mod grants;
mod large;
#[cfg(feature = "devnet")]
mod ledger;
#[cfg(feature = "devnet")]
mod mint;
mod metrics;
#[cfg(feature = "devnet")]
mod mint_tx;
mod sync;
mod migrations;
mod provenance;
#[cfg(feature = "devnet")]
mod reconcile;
mod reindex;
mod reliability;
#[cfg(feature = "devnet")]
mod streams;
mod tamper;
mod tidy;
mod tools;
mod watch;
