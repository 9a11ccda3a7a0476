//! Bringing what sources that are asked know, into the inbox: following a tip, filling gaps, storing history.
//!
//! Nothing here decides what is true. A block that is stored too much is a side fork or a duplicate; one that is stored
//! in a wrong order waits; a source that goes back removes nothing. What must hold is only that every block of the
//! source's chain comes to be stored, and that Bitcoin blocks come before the Stacks blocks that stand on them, so
//! that the fork tree sees a Bitcoin reorg when it is there.
//!
//! [`plan`] and [`follow`], [`repair`], [`backfill`] are written against [`Pull`] and [`Shelf`], so that all of it runs
//! in memory against scripted chains.

pub mod plan;
pub mod shelf;
pub mod bitcoin;
pub mod follow;
pub mod repair;
pub mod backfill;
pub mod check;
pub mod run;
#[cfg(test)]
mod tests;

use std::time::Duration;

use super::http::FetchError;
use super::pull::{Fetched, Pull};
use crate::model::IndexBlockHash;
use crate::store::StoreError;
use crate::store::inbox::Provenance;

pub use shelf::{PgShelf, Shelf};

/// Why a step was not finished.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// The source.
    #[error("the source did not answer as it should")]
    Fetch(#[from] FetchError),
    /// The database.
    #[error("what the source sent could not be stored")]
    Store(#[from] StoreError),
    /// Its chain changed between two questions.
    #[error("the source's chain changed while it was read at height {height}; reading again")]
    Moved {
        /// Where.
        height: u32,
    },
    /// It has no block in common with the mirror.
    #[error(
        "the source has another block than the mirror at height {height}, where the mirror begins: it is of another \
         network, or of a fork from before that"
    )]
    Apart {
        /// Where the mirror begins.
        height: u32,
    },
}

impl SyncError {
    /// A word for metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Fetch(error) => error.kind(),
            Self::Store(_) => "store",
            Self::Moved { .. } => "moved",
            Self::Apart { .. } => "apart",
        }
    }

    /// How long the source asks us to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Fetch(error) => error.retry_after(),
            _ => None,
        }
    }
}

/// How a source's payloads are marked.
fn from(source: &impl Pull) -> Provenance {
    Provenance {
        source: source.source(),
        scope: source.scope(),
    }
}

/// Stores blocks in their order, those left out that are there. Returns how many were new.
async fn store<P: Pull, S: Shelf>(
    source: &P,
    shelf: &S,
    blocks: &[Fetched],
) -> Result<u32, StoreError> {
    let ids: Vec<IndexBlockHash> = blocks.iter().map(|b| b.block.id).collect();
    let standing = shelf.standing(&ids).await?;
    let mut new = 0;
    for (block, standing) in blocks.iter().zip(standing) {
        if !standing.is_stored() && shelf.put_block(from(source), block).await? {
            new += 1;
        }
    }
    if new > 0 {
        shelf.wake();
    }
    Ok(new)
}
