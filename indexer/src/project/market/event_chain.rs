//! The hash chain that each contract keeps over its own events, followed event by event.
//!
//! A contract's `get-cursor` returns `{seq, head}`; `head` is SHA-256 of its newest event. When ours
//! equal the contract's at the same block, and every link held, nothing is missing and nothing altered.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use utoipa::ToSchema;

use super::{Units, prints};
use crate::model::change::position;
use crate::model::{Block, Digest, FollowSet, TxId};
use crate::project::{Fact, Projection, Violation};

/// Projection `event_chain`; the entity is the contract's id.
#[derive(Debug)]
pub struct EventChain;

/// Where a contract's chain of events stands.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EventChainState {
    /// Number of the newest event.
    pub seq: Units,
    /// SHA-256 of the newest event.
    #[schema(value_type = String)]
    pub head: Digest,
    /// The first number that this mirror saw: 1, unless it began after the contract's deployment.
    pub from_seq: Units,
    /// Height of the block with the newest event.
    pub height: u32,
    /// Links that did not hold so far.
    pub breaks: u64,
    /// The last of them, in words.
    pub last_break: Option<String>,
    /// What this very block broke.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub violation: Option<String>,
}

/// One enveloped print.
#[derive(Debug)]
pub struct Link {
    txid: TxId,
    ordinal: u32,
    seq: u128,
    prev: [u8; 32],
    hash: [u8; 32],
}

impl Projection for EventChain {
    type State = EventChainState;
    type Fact = Vec<Link>;

    const ID: i16 = 4;
    const NAME: &'static str = "event_chain";
    const VERSION: i32 = 1;

    fn facts(&self, block: &Block, follow: &FollowSet) -> Vec<Fact<Vec<Link>>> {
        let mut facts: Vec<Fact<Vec<Link>>> = Vec::new();
        for (event, contract, raw, txid) in prints(block, follow) {
            // Prints without an envelope are counted by `unrecognised`.
            let Some(header) = stxworx_clarity::events::header(raw) else {
                continue;
            };
            let link = Link {
                txid,
                ordinal: event.ordinal,
                seq: header.seq,
                prev: header.prev,
                hash: Sha256::digest(raw).into(),
            };
            match facts.iter_mut().find(|f| f.entity == contract) {
                Some(fact) => fact.fact.push(link),
                // One version a block: an event's own place is in its event.
                None => facts.push(Fact {
                    entity: contract.to_owned(),
                    position: position(0, 0),
                    fact: vec![link],
                }),
            }
        }
        facts
    }

    fn fold(
        &self,
        state: &mut EventChainState,
        block: &Block,
        links: &Vec<Link>,
    ) -> Result<(), String> {
        state.violation = None;
        for link in links {
            let first = state.from_seq.0 == 0;
            let expected = state.seq.0.saturating_add(1);
            let zeros = [0; 32];
            let broken = if first {
                (link.seq == 1 && link.prev != zeros)
                    .then(|| "the first event names one before it".to_owned())
            } else if link.seq != expected {
                Some(format!("seq {} where {expected} was due", link.seq))
            } else if link.prev != state.head.0 {
                Some(format!(
                    "seq {} names 0x{} as the event before it, which is 0x{}",
                    link.seq,
                    hex::encode(link.prev),
                    hex::encode(state.head.0)
                ))
            } else {
                None
            };
            if first {
                state.from_seq = Units(link.seq);
            }
            if let Some(why) = broken {
                let place = format!(
                    "{why} (block {}, transaction {}, event {})",
                    block.header.id, link.txid, link.ordinal
                );
                state.breaks += 1;
                state.last_break = Some(place.clone());
                state.violation = Some(place);
            }
            state.seq = Units(link.seq);
            state.head = Digest(link.hash);
        }
        state.height = block.header.height;
        Ok(())
    }

    fn violation(state: &EventChainState) -> Option<Violation> {
        let detail = state.violation.clone()?;
        Some(Violation { id: "EV-1", detail })
    }
}
