//! The ports that are PostgreSQL: what is remembered, and the mirror.

mod attest;
mod mirror;
mod rows;
mod store;

pub use mirror::PgMirror;
pub use store::PgStore;

use stxworx_indexer::model::{IndexBlockHash, TxId};
use stxworx_indexer::store::StoreError;
use stxworx_indexer::store::mint::{LaneRef, Seen};
use stxworx_indexer::store::read::ReadError;

use super::ports::PortError;
use super::types::{Inclusion, LaneId, Verdict};

fn failed(what: &'static str) -> impl FnOnce(StoreError) -> PortError {
    move |error| {
        if error.is_refusal() {
            let rule = stxworx_indexer::error_chain(&error).to_string();
            return PortError::Refused { what, rule };
        }
        PortError::Passing {
            what,
            source: Box::new(error),
        }
    }
}

fn unread(what: &'static str) -> impl FnOnce(ReadError) -> PortError {
    move |error| PortError::Passing {
        what,
        source: Box::new(error),
    }
}

/// A row that this version did not write, or an id that is none.
fn unusable(what: &'static str, detail: impl Into<String>) -> PortError {
    PortError::Unusable {
        what,
        detail: detail.into(),
    }
}

fn lane_ref(lane: &LaneId) -> LaneRef<'_> {
    LaneRef {
        contract: &lane.contract,
        sender: &lane.sender,
    }
}

fn txid(bytes: &[u8]) -> Result<TxId, PortError> {
    let bytes = bytes
        .try_into()
        .map_err(|_| unusable("reading a txid", "it has not 32 bytes"))?;
    Ok(TxId(bytes))
}

fn block(bytes: &[u8]) -> Result<IndexBlockHash, PortError> {
    let bytes = bytes
        .try_into()
        .map_err(|_| unusable("reading a block's id", "it has not 32 bytes"))?;
    Ok(IndexBlockHash(bytes))
}

fn small(number: i32) -> u32 {
    u32::try_from(number).unwrap_or(0)
}

fn height(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

fn seen(inclusion: &Inclusion) -> Seen {
    Seen {
        txid: inclusion.txid.as_bytes().to_vec(),
        block: inclusion.block.as_bytes().to_vec(),
        height: height(inclusion.height),
        burn_height: height(inclusion.burn_height),
        verdict: serde_json::to_value(&inclusion.verdict).ok(),
    }
}

fn inclusion(seen: &Seen) -> Result<Inclusion, PortError> {
    let verdict = match &seen.verdict {
        Some(value) => serde_json::from_value(value.clone())
            .map_err(|e| unusable("reading how a transaction ended", e.to_string()))?,
        None => Verdict::Odd {
            detail: "another's transaction".to_owned(),
        },
    };
    Ok(Inclusion {
        txid: txid(&seen.txid)?,
        block: block(&seen.block)?,
        height: small(seen.height),
        burn_height: small(seen.burn_height),
        verdict,
    })
}
