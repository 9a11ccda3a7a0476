//! How far each followed contract's prints are mirrored, as a count and a hash chain.
//!
//! `head` after a print is SHA-256(`head` before ‖ raw value), from 32 zero bytes. Two mirrors that
//! saw the same prints of a contract have the same (`prints`, `head`), whatever else they follow.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{Fact, Projection};
use crate::model::change::position;
use crate::model::{Block, Digest, EventKind, FollowSet};

/// Projection `contract_cursor`; the entity is the contract id.
#[derive(Debug)]
pub struct ContractCursor;

/// Where a contract's prints stand.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CursorState {
    /// Prints so far.
    pub prints: u64,
    /// The hash chain's head.
    pub head: Digest,
    /// Height of the block with the last print.
    pub height: u32,
}

impl Projection for ContractCursor {
    type State = CursorState;
    type Fact = Vec<u8>;

    const ID: i16 = 1;
    const NAME: &'static str = "contract_cursor";
    const VERSION: i32 = 1;

    fn facts(&self, block: &Block, follow: &FollowSet) -> Vec<Fact<Vec<u8>>> {
        let prints = block
            .events
            .iter()
            .filter(|e| e.body.kind == EventKind::Contract);
        prints
            .filter_map(|event| {
                let contract = event
                    .body
                    .contract
                    .as_ref()
                    .filter(|c| follow.follows_contract(c))?;
                Some(Fact {
                    entity: contract.clone(),
                    // One version a block: a print's own place is in its event.
                    position: position(0, 0),
                    fact: event.body.value.clone().unwrap_or_default(),
                })
            })
            .collect()
    }

    fn fold(&self, state: &mut CursorState, block: &Block, value: &Vec<u8>) -> Result<(), String> {
        let mut hasher = Sha256::new();
        hasher.update(state.head.as_bytes());
        hasher.update(value);
        state.head = Digest(hasher.finalize().into());
        state.prints += 1;
        state.height = block.header.height;
        Ok(())
    }
}
