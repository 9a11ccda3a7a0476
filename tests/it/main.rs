//! Scenarios over the whole daemon, on a real Postgres.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where and end"
)]

mod support;

mod fixtures;
mod forks;
mod restart;
mod simulation;
mod smoke;
mod archive;
mod bad_input;
mod cli;
mod database_faults;
#[cfg(feature = "devnet")]
mod devnet;
mod fencing;
mod grants;
mod large;
mod metrics;
mod migrations;
mod tamper;
mod tidy;
mod tools;
