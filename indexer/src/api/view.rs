//! Shapes shared by the answers. Money and other numbers that may exceed 53 bits are sent as text.

use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::error::{ApiError, ErrorCode};
use super::state::RenderClarity;
use crate::store::read::{BlockAt, Hex};

/// The state of the chain for which an answer is true.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct AsOf {
    /// The block on which the answer stands: the canonical tip, the tip of a walk's first page, or the
    /// block asked for with `at_block`, `at_time` or `min_finality`.
    pub index_block_hash: String,
    /// Its Stacks height.
    pub height: u32,
    /// Its clock, unix seconds: its own time, or its Bitcoin block's before epoch 3.0.
    pub time: u64,
    /// How settled it is: `seen`, `burn_n` with its depth in Bitcoin blocks, or `final`. Whatever the answer
    /// says is at least as settled.
    pub finality: String,
    /// Height of the newest Bitcoin block known.
    pub burn_height: u32,
    /// Stacks height up to which this chain is final; none while nothing is.
    pub finality_height: Option<u32>,
    /// Digest chain at the block. Two mirrors that agree on it hold the same rows.
    pub digest: String,
    /// Number of reorgs that the mirror has seen.
    pub generation: u64,
}

/// One thing, and what it is true for.
#[derive(Debug, Serialize, ToSchema)]
pub struct Answer<T> {
    /// What the answer is true for; null while the mirror is empty.
    pub as_of: Option<AsOf>,
    /// The thing.
    pub data: T,
}

/// A page of things, and what they are true for.
#[derive(Debug, Serialize, ToSchema)]
pub struct Page<T> {
    /// What the page is true for; null while the mirror is empty.
    pub as_of: Option<AsOf>,
    /// The things, in order.
    pub data: Vec<T>,
    /// Continues behind the last one; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// Names a block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct BlockName {
    /// Its identity.
    pub index_block_hash: String,
    /// Its Stacks height.
    pub height: u32,
}

impl From<BlockAt> for BlockName {
    fn from(block: BlockAt) -> Self {
        Self {
            index_block_hash: block.id.to_string(),
            height: block.height.0,
        }
    }
}

/// A serialised Clarity value.
#[derive(Debug, Serialize, ToSchema)]
pub struct ClarityView {
    /// Consensus serialisation.
    pub hex: String,
    /// The same as JSON; null when it cannot be decoded.
    #[schema(value_type = Value)]
    pub decoded: Option<Box<RawValue>>,
}

impl ClarityView {
    /// The bytes, and their JSON where they can be decoded.
    pub(super) fn new(bytes: &[u8], render: RenderClarity) -> Self {
        Self {
            hex: format!("0x{}", hex::encode(bytes)),
            decoded: render(bytes),
        }
    }
}

/// JSON as the database gave it, passed on unread.
pub(super) fn raw_json(text: String) -> Result<Box<RawValue>, ApiError> {
    RawValue::from_string(text)
        .map_err(|_| ApiError::new(ErrorCode::Internal, "a stored state is not JSON"))
}

/// JSON from outside the mirror; text that is none is passed on as text.
pub(super) fn lenient_json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_else(|_| text.into())
}

/// Hexadecimal text of a column.
pub(super) fn hex(bytes: Option<&Hex>) -> Option<String> {
    bytes.map(Hex::to_string)
}
