//! A block read again from its stored payload.

use sha2::{Digest as _, Sha256};
use sqlx::PgPool;

use super::hexed;
use crate::decode::decode_block_for;
use crate::model::{Block, FollowSet};
use crate::store::{StoreError, inbox};

/// What is wrong with a stored payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The column of `inbox`, or `missing`.
    pub column: &'static str,
    /// What it should be.
    pub expected: String,
    /// What it is.
    pub stored: String,
}

impl Fault {
    fn new(column: &'static str, expected: &str, stored: impl Into<String>) -> Self {
        Self {
            column,
            expected: expected.to_owned(),
            stored: stored.into(),
        }
    }
}

/// The block of an inbox row, if it can be read, and what is wrong with the payload.
///
/// # Errors
/// When the database fails; a bad payload is no error.
pub async fn block_of(
    pool: &PgPool,
    inbox_id: i64,
    follow: &FollowSet,
) -> Result<(Option<Block>, Vec<Fault>), StoreError> {
    let packed = match inbox::fetch_one(pool, inbox_id).await {
        Ok(packed) => packed,
        Err(StoreError::Db {
            source: sqlx::Error::RowNotFound,
            ..
        }) => {
            let missing = Fault::new("missing", "a payload", "none");
            return Ok((None, vec![missing]));
        }
        Err(error) => return Err(error),
    };
    let sha256 = inbox::sha256_of(pool, inbox_id).await?;
    let row = match packed.unpack() {
        Ok(row) => row,
        Err(error) => {
            let error = crate::error_chain(&error).to_string();
            return Ok((None, vec![Fault::new("body", "a zstd frame", error)]));
        }
    };
    let mut faults = Vec::new();
    let actual = Sha256::digest(&row.body);
    if actual.as_slice() != sha256 {
        faults.push(Fault::new("sha256", &hexed(&actual), hexed(&sha256)));
    }
    match decode_block_for(&row.body, follow) {
        Ok(block) => Ok((Some(block), faults)),
        Err(error) => {
            let error = crate::error_chain(&error).to_string();
            faults.push(Fault::new("body", "a new_block payload", error));
            Ok((None, faults))
        }
    }
}
