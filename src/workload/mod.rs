//! A deterministic generator of what a stacks-node posts to its event observer.
//!
//! * [`ChainBuilder`] builds single blocks of any shape, for tests: competing branches, Bitcoin
//!   reorganizations, failed transactions, payloads of old nodes, damaged payloads.
//! * [`Workload`] is an endless or finite stream of such payloads about a made-up marketplace, for benchmarks
//!   and for the shipped recording.
//!
//! Ids, links, numbering and field names are those of a node (4.0 unless asked otherwise): the transaction id is
//! the hash of real transaction bytes, the block id is the hash of header hash and consensus hash. Header
//! hashes, signatures and costs are made up: nothing here would pass consensus.

mod args;
mod block;
mod block_builder;
mod chain;
mod event;
mod fork;
mod generator;
mod json;
mod market;
mod network;
mod params;
mod raw_tx;
mod render;
mod summary;
mod tx;
mod values;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod chain_tests;

pub use args::{WorkloadArgs, WorkloadError, run, write_file};
pub use block::{Block, BurnBlock};
pub use block_builder::BlockBuilder;
pub use chain::{ChainBuilder, ChainOptions};
pub use event::{Action, Event, asset};
pub use fork::Fork;
pub use generator::Workload;
pub use network::{FOLLOWED, Network, contract};
pub use params::{Happening, HappeningError, Params};
pub use render::PayloadForm;
pub use stxworx_clarity::rng::SeededRng;
pub use summary::WorkloadSummary;
pub use tx::{Outcome, Tx};
pub use values::{account, ascii, event, tuple, uint};
