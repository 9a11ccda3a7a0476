//! The `stxworx` command: reads the configuration, starts the roles, serves operators.
//!
//! Thin on purpose: what the daemon does to the chain's data is in `stxworx-indexer`. Here are the command
//! line ([`cli`]), the configuration ([`config`]), the life of the process ([`daemon`]), the private
//! Postgres ([`embedded`]), and what feeds an observer without a node: [`recording`], [`post`], [`workload`].

pub mod cli;
pub mod commands;
pub mod config;
pub mod daemon;
#[cfg(feature = "devnet")]
pub mod devnet;
pub mod embedded;
pub mod post;
pub mod process;
pub mod recording;
pub mod secrets;
pub mod workload;
