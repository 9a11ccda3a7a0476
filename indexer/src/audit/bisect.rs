//! Where a chain of events first went wrong: the lowest block at which mirror and contract differ.

use sqlx::PgPool;

use super::node::{NodeError, NodeReader};
use super::{AuditError, cursor_at, hex0x};
use crate::model::BlockRef;
use crate::project::market::event_chain::EventChainState;
use crate::store::StoreError;
use crate::store::evidence::{canonical_ends, state_at};

/// The first block from which on a contract's chain is not the contract's own.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct FirstBad {
    /// The contract.
    pub contract: String,
    /// The block, with 0x.
    pub index_block_hash: String,
    /// Its height.
    pub height: u32,
    /// Is the block below known to be right? Not where the node has no state there, or the mirror no block.
    pub below_is_right: bool,
    /// What differs there, in words.
    pub detail: String,
    /// Blocks that were compared.
    pub compared: u32,
}

enum At {
    Same,
    Differs(BlockRef, String),
    /// The node has no state of that block.
    Unknown,
}

async fn compare(
    pool: &PgPool,
    node: &NodeReader,
    contract: &str,
    height: u32,
) -> Result<At, AuditError> {
    let Some(then) = state_at(pool, "event_chain", contract, height).await? else {
        return Ok(At::Unknown);
    };
    let theirs = match cursor_at(node, contract, &then.block.id).await {
        Ok(cursor) => cursor.map(|(seq, head)| (seq.to_string(), hex0x(&head))),
        Err(NodeError::UnknownTip { .. }) => return Ok(At::Unknown),
        Err(error) => return Err(error.into()),
    };
    let ours = then.state.map(serde_json::from_value::<EventChainState>);
    let ours = ours.transpose().map_err(|e| StoreError::Corrupt {
        table: "projection_version",
        detail: e.to_string(),
    })?;
    let ours = ours.map(|state| (state.seq.to_string(), state.head.to_string()));
    if ours == theirs {
        return Ok(At::Same);
    }
    let say = |cursor: &Option<(String, String)>| {
        let said = cursor.as_ref();
        said.map_or_else(
            || "none".to_owned(),
            |(seq, head)| format!("{seq} events up to {head}"),
        )
    };
    let detail = format!(
        "the mirror has {}, the contract {}",
        say(&ours),
        say(&theirs)
    );
    Ok(At::Differs(then.block, detail))
}

/// Finds the first bad block of a contract's chain by halving canonical heights; none if its newest is right. Of a
/// chain that was wrong, right and wrong again it finds one beginning.
///
/// # Errors
/// When mirror or node cannot be read.
pub async fn bisect(
    pool: &PgPool,
    node: &NodeReader,
    contract: &str,
) -> Result<Option<FirstBad>, AuditError> {
    let Some((low, high)) = canonical_ends(pool).await? else {
        return Ok(None);
    };
    let At::Differs(block, detail) = compare(pool, node, contract, high.height).await? else {
        return Ok(None);
    };
    let mut compared = 1;
    let mut worst = (block, detail);
    // Below the mirror's first block nothing is known.
    let (mut right, mut below_is_right) = (i64::from(low.height) - 1, false);
    while i64::from(worst.0.height) - right > 1 {
        let middle = right + (i64::from(worst.0.height) - right) / 2;
        let Ok(height) = u32::try_from(middle) else {
            break;
        };
        compared += 1;
        match compare(pool, node, contract, height).await? {
            At::Differs(block, detail) => worst = (block, detail),
            At::Same => (right, below_is_right) = (middle, true),
            At::Unknown => (right, below_is_right) = (middle, false),
        }
    }
    let (block, detail) = worst;
    Ok(Some(FirstBad {
        contract: contract.to_owned(),
        index_block_hash: block.id.to_string(),
        height: block.height,
        below_is_right,
        detail,
        compared,
    }))
}
