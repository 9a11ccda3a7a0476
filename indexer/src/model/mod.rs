//! The types every stage speaks: ids, blocks, transactions, events, projection changes.
//!
//! Absent here on purpose: I/O, clocks, configuration, SQL and JSON of any outside party.

pub mod ids;
pub mod access;
pub mod block;
pub mod event;
pub mod change;
pub mod canonical;
pub mod differences;
pub mod follow;
pub mod handover;

pub use block::{Block, BlockHeader, BlockRef, BurnBlock, Transaction, TxKind, TxStatus};
pub use change::{Change, Version, Violation};
pub use event::{Event, EventBody, EventKind};
pub use follow::{FollowSet, Mirror};
pub use ids::{BlockHash, BurnBlockHash, ConsensusHash, Digest, HexError, IndexBlockHash, TxId};
