//! What projections produce.

use serde_json::Value;

/// Place of a cause within its block: `tx_index * 2^32 + ordinal`.
pub fn position(tx_index: u32, ordinal: u32) -> u64 {
    (u64::from(tx_index) << 32) | u64::from(ordinal)
}

/// One entity's state after a change in some block. True for that block for ever, because it
/// depends on the block's ancestry alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Which projection; see [`crate::project::registry`].
    pub projection: i16,
    /// The entity's key within the projection.
    pub entity: String,
    /// Where in the block; see [`position`].
    pub position: u64,
    /// The state. Strings and small integers only; money is text.
    pub state: Value,
}

/// All that one block contributes: its versions, sorted by (projection, entity, position).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Change {
    /// The versions.
    pub versions: Vec<Version>,
    /// The invariants that they break. Not stored: the states say so, too.
    pub violations: Vec<Violation>,
}

/// An invariant that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Its id, for instance `MO-1`.
    pub id: &'static str,
    /// What is wrong, with the numbers.
    pub detail: String,
}
