//! Payload to model. Pure, and total: any bytes give a model or an error that names the place.

mod block;
mod event;
mod payload;
#[cfg(test)]
mod tests;

use sha2::{Digest as _, Sha512_256};

use crate::model::ids::HexError;
use crate::model::{BurnBlock, TxId};

pub use block::{decode_block, decode_block_for};

/// A payload that is not what the endpoint promises.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Not JSON, or not of the payload's shape.
    #[error("the body is not a {endpoint} payload")]
    Json {
        /// Which payload was expected.
        endpoint: &'static str,
        /// Where and how it differs.
        source: serde_json::Error,
    },
    /// A field that holds something else than it should.
    #[error("{place}: {field} is not valid")]
    Hash {
        /// Which transaction or event.
        place: String,
        /// Which field.
        field: &'static str,
        /// What is wrong.
        source: HexError,
    },
    /// A field out of the range that it can have on the chain.
    #[error("{place}: {field} must be {expected}; got {got:?}")]
    Field {
        /// Which transaction or event.
        place: String,
        /// Which field.
        field: &'static str,
        /// What it should be.
        expected: &'static str,
        /// What it is, cut at 80 characters.
        got: String,
    },
    /// Two different payloads claim one identity.
    #[error("{0}")]
    Inconsistent(String),
}

/// Where in a payload something stands; becomes text only in an error.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place {
    Block,
    BurnBlock,
    Transaction(u64),
    Event(u64),
    Mempool(usize),
    MempoolDrop,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Block => f.write_str("block"),
            Self::BurnBlock => f.write_str("burn block"),
            Self::Transaction(index) => write!(f, "transaction {index}"),
            Self::Event(index) => write!(f, "event {index}"),
            Self::Mempool(index) => write!(f, "mempool transaction {index}"),
            Self::MempoolDrop => f.write_str("mempool drop"),
        }
    }
}

pub(crate) fn field(
    place: Place,
    field: &'static str,
    expected: &'static str,
    got: impl ToString,
) -> DecodeError {
    let got = got.to_string().chars().take(80).collect();
    DecodeError::Field {
        place: place.to_string(),
        field,
        expected,
        got,
    }
}

pub(crate) fn hex_bytes(
    place: Place,
    name: &'static str,
    text: &str,
) -> Result<Vec<u8>, DecodeError> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    if digits.starts_with("0x") {
        return Err(field(place, name, "hexadecimal", text));
    }
    hex::decode(digits).map_err(|_| field(place, name, "hexadecimal", text))
}

pub(crate) fn hash<T: std::str::FromStr<Err = HexError>>(
    place: Place,
    name: &'static str,
    text: &str,
) -> Result<T, DecodeError> {
    text.parse().map_err(|source| DecodeError::Hash {
        place: place.to_string(),
        field: name,
        source,
    })
}

/// Heights are `u32` here and `integer` in Postgres: Bitcoin and Stacks are 2,000 years from that.
pub(crate) fn height(place: Place, name: &'static str, value: u64) -> Result<u32, DecodeError> {
    i32::try_from(value)
        .ok()
        .and_then(|v| u32::try_from(v).ok())
        .ok_or_else(|| field(place, name, "a height below 2147483648", value))
}

/// Decodes the body of `/new_burn_block`.
///
/// # Errors
/// When the body is not such a payload.
pub fn decode_burn_block(body: &[u8]) -> Result<BurnBlock, DecodeError> {
    let p: payload::NewBurnBlock<'_> =
        serde_json::from_slice(body).map_err(|source| DecodeError::Json {
            endpoint: "new_burn_block",
            source,
        })?;
    let place = Place::BurnBlock;
    Ok(BurnBlock {
        hash: hash(place, "burn_block_hash", &p.burn_block_hash)?,
        height: height(place, "burn_block_height", p.burn_block_height)?,
        parent: p
            .parent_burn_block_hash
            .map(|text| hash(place, "parent_burn_block_hash", &text))
            .transpose()?,
        consensus_hash: p
            .consensus_hash
            .map(|text| hash(place, "consensus_hash", &text))
            .transpose()?,
    })
}

/// Decodes the body of `/new_mempool_tx`: the ids of the transactions.
///
/// # Errors
/// When the body is not an array of hexadecimal texts.
pub fn decode_mempool(body: &[u8]) -> Result<Vec<TxId>, DecodeError> {
    let raw: Vec<std::borrow::Cow<'_, str>> =
        serde_json::from_slice(body).map_err(|source| DecodeError::Json {
            endpoint: "new_mempool_tx",
            source,
        })?;
    raw.iter()
        .enumerate()
        .map(|(i, text)| {
            let bytes = hex_bytes(Place::Mempool(i), "raw_tx", text)?;
            Ok(TxId(Sha512_256::digest(&bytes).into()))
        })
        .collect()
}

/// Transactions that left the mempool without being mined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MempoolDrop {
    /// Which.
    pub txids: Vec<TxId>,
    /// The node's word for the reason.
    pub reason: String,
    /// What replaced them, if anything.
    pub replaced_by: Option<TxId>,
}

/// Decodes the body of `/drop_mempool_tx`.
///
/// # Errors
/// When the body is not such a payload.
pub fn decode_mempool_drop(body: &[u8]) -> Result<MempoolDrop, DecodeError> {
    let p: payload::DropMempoolTx<'_> =
        serde_json::from_slice(body).map_err(|source| DecodeError::Json {
            endpoint: "drop_mempool_tx",
            source,
        })?;
    let place = Place::MempoolDrop;
    Ok(MempoolDrop {
        txids: p
            .dropped_txids
            .iter()
            .map(|text| hash(place, "dropped_txids", text))
            .collect::<Result<_, _>>()?,
        reason: block::clean(&p.reason),
        replaced_by: p
            .new_txid
            .map(|text| hash(place, "new_txid", &text))
            .transpose()?,
    })
}
