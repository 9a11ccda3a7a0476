//! Sources that are asked for blocks.

use std::future::Future;

use super::http::FetchError;
use crate::model::{BlockRef, IndexBlockHash};
use crate::store::inbox::{Endpoint, Source};

/// Where a source says that its chain ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tip {
    /// The newest block of its canonical chain.
    pub block: BlockRef,
    /// The greatest Bitcoin height that it knows.
    pub burn_height: u32,
}

/// A block as it goes into the inbox, and its place, so that whoever fetched it can see how it connects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The block.
    pub block: BlockRef,
    /// Its parent.
    pub parent: IndexBlockHash,
    /// Body in the form of `/new_block`.
    pub body: Vec<u8>,
}

/// A source that is asked. What it says is taken into the inbox and judged there; it may lie, lag and fail.
///
/// Implementations check what an answer claims against what was asked (the identity, the height, the links within a
/// range) and return [`FetchError::Unusable`] where it does not fit.
pub trait Pull: Send + Sync {
    /// Who it is, for the inbox.
    fn source(&self) -> Source;

    /// Names it in messages and metrics: its address, without secrets.
    fn name(&self) -> &str;

    /// [`crate::model::FollowSet::hash`] of what its payloads are cut down to; none where they are whole.
    fn scope(&self) -> Option<[u8; 32]>;

    /// The end of its canonical chain.
    fn tip(&self) -> impl Future<Output = Result<Tip, FetchError>> + Send;

    /// Its canonical blocks from one height to another, both included, lowest first, each the child of the one
    /// before. At most [`RANGE`] of them are asked for at once.
    fn range(
        &self,
        from_inclusive: u32,
        to_inclusive: u32,
    ) -> impl Future<Output = Result<Vec<Fetched>, FetchError>> + Send;

    /// One block by its identity, of whichever fork; [`FetchError::NotFound`] where it does not know it.
    fn block(
        &self,
        id: &IndexBlockHash,
    ) -> impl Future<Output = Result<Fetched, FetchError>> + Send;

    /// Its canonical Bitcoin blocks from one height to another, both included, lowest first: bodies in the form of
    /// `/new_burn_block`. Heights that it does not know are left out.
    fn burn_blocks(
        &self,
        from_inclusive: u32,
        to_inclusive: u32,
    ) -> impl Future<Output = Result<Vec<Vec<u8>>, FetchError>> + Send;
}

/// Most heights in a [`Pull::range`].
pub const RANGE: u32 = 30;

/// The endpoint of what [`Pull::range`] and [`Pull::block`] bring.
pub const BLOCKS: Endpoint = Endpoint::NewBlock;
/// The endpoint of what [`Pull::burn_blocks`] brings.
pub const BURN_BLOCKS: Endpoint = Endpoint::NewBurnBlock;
