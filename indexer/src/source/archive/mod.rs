//! Event archives: years of a node's payloads in one file.
//!
//! What an archive holds goes into the inbox in the form in which a node posts it, and is judged there like anything
//! else. On the way:
//!
//! ```text
//! input -> text -> whole lines -> needles, JSON, cut, zstd (several threads) -> in order -> COPY, with the position
//! ```
//!
//! * A mirror of what is followed takes of each block the header and what is followed ([`mod@cut`]); whether a row can hold
//!   anything of that is asked of its bytes first ([`needles`]).
//! * Payloads and the position in the text are committed together. Whatever ends the process, the next one goes on
//!   behind the last line that is stored.
//! * Memory is bounded: by the bytes that are read and not yet done with, and by those of one part.

pub mod cut;
mod input;
pub mod needles;
mod origin;
pub mod rows;
mod run;
mod segments;
mod wire;

use std::time::Duration;

use super::http::FetchError;
use super::recording::RecordingError;
use crate::model::{FollowSet, IndexBlockHash};
use crate::store::StoreError;
use crate::store::archive::{Counts, Hole};

pub use input::Input;
pub use run::{backfill, scan};

/// The mirror that an archive is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Name of the network: `mainnet`, `testnet` or `devnet`.
    pub network: String,
    /// What is mirrored.
    pub follow: FollowSet,
}

/// How an archive is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Lowest Stacks height to take; none for no bound. Bitcoin blocks are taken at any height.
    pub from: Option<u32>,
    /// Greatest Stacks height to take; none for no bound.
    pub to: Option<u32>,
    /// Bytes of text that one thread takes at a time.
    pub segment_bytes: usize,
    /// Bytes of text after which a part is committed.
    pub commit_bytes: u64,
    /// Threads that read lines.
    pub workers: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            from: None,
            to: None,
            segment_bytes: 1 << 20,
            commit_bytes: 32 << 20,
            workers: std::thread::available_parallelism().map_or(1, usize::from),
        }
    }
}

/// How far reading has come, for whoever watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watch {
    /// Bytes read, as the archive is stored.
    pub read_bytes: u64,
    /// Size as it is stored, where it is known.
    pub size_bytes: Option<u64>,
    /// Position in the text where this run began.
    pub began_at_bytes: u64,
    /// Bytes of text that were read, of which the last may not be committed yet.
    pub position_bytes: u64,
    /// What was met and done.
    pub counts: Counts,
    /// Time since the start.
    pub elapsed: Duration,
}

/// What a backfill came to.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Report {
    /// Was the archive read to its end?
    pub is_done: bool,
    /// Was it done before, so that nothing was read?
    pub was_done: bool,
    /// Position in the text where this run began.
    pub began_at_bytes: u64,
    /// Bytes of text that are done with.
    pub position_bytes: u64,
    /// What was met and done, over all runs.
    pub counts: Counts,
    /// Time of this run, in milliseconds.
    pub elapsed_ms: u64,
    /// Payloads in the inbox that the pipeline has not looked at.
    pub received: u64,
    /// Blocks that wait for a parent.
    pub detached: u64,
    /// The missing parents, the first ones.
    pub holes: Vec<Hole>,
}

/// Why an archive could not be read to its end. What was read before is stored, and the next run goes on behind it.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The range is none.
    #[error("--from {from} is above --to {to}: there is nothing between them")]
    Range {
        /// Lowest height.
        from: u32,
        /// Greatest height.
        to: u32,
    },
    /// It cannot be fetched.
    #[error("the archive cannot be fetched")]
    Fetch(#[from] FetchError),
    /// It cannot be opened, or a line makes no sense.
    #[error("the archive cannot be read")]
    Recording(#[from] RecordingError),
    /// It breaks off, or is damaged.
    #[error(
        "{name} breaks off or is damaged at line {line}, byte {position} of its text; what stands before is stored. \
         Get the file anew and run the same command: payloads that are there already are only counted"
    )]
    Broken {
        /// The input.
        name: String,
        /// The line that could not be read.
        line: u64,
        /// Bytes of text before it.
        position: u64,
        /// What the system or the decompressor said.
        source: std::io::Error,
    },
    /// Its transactions are for another network.
    #[error(
        "this is an archive of another network: transactions begin with {found} (version and chain id), and the \
         configured network is {network}. Nothing of this part was stored"
    )]
    OtherNetwork {
        /// The configured network.
        network: String,
        /// How a transaction begins, in hexadecimal.
        found: String,
    },
    /// Its blocks are those of another chain.
    #[error(
        "this is an archive of another chain: at height {height} the mirror has {mirror}, and none of the {compared} \
         heights that were compared agree. Nothing of this part was stored"
    )]
    OtherChain {
        /// A height where both have a block.
        height: u32,
        /// The mirror's block there.
        mirror: IndexBlockHash,
        /// Heights that were compared.
        compared: u64,
    },
    /// The database.
    #[error("the archive cannot be stored")]
    Store(#[from] StoreError),
    /// A thread of ours ended.
    #[error("a thread that read the archive ended: {0}")]
    Died(String),
}
