//! Chain in, mirror out.
//!
//! The modules in the order in which a payload meets them:
//! [`source`] receives and stores it, [`decode`] makes a block of it, [`chain`] decides which blocks
//! are canonical, [`project`] derives the states of entities, [`store`] writes all of it in one
//! transaction, [`books`] sums up what the DAO's books say, [`api`] serves it, [`webhook`] tells receivers, [`audit`] proves it against the chain. [`pipeline`] wires the middle of that; [`verify`] proves the result
//! against the stored payloads, [`reindex`] repairs it from them, and [`explain`] says where a state comes from. [`model`] is what they all speak.
//!
//! `model`, `decode`, `chain` and `project` are pure: no clock, no I/O, no configuration, no SQL.

pub mod model;
pub mod source;
pub mod decode;
pub mod chain;
pub mod project;
pub mod store;
pub mod books;
pub mod pipeline;
pub mod api;
pub mod webhook;
pub mod audit;
pub mod verify;
pub mod reindex;
pub mod explain;
pub mod metrics;
mod mint_metrics;
mod reconcile_metrics;
pub mod retry;
pub mod watch_metrics;

mod error;

pub use error::error_chain;
