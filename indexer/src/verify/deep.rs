//! Beyond rows and digests: identities against their preimages, every payload, the rules between tables, the outbox,
//! and the indexes. Reads only, and trusts nothing that the writer derived.

use sha2::{Digest as _, Sha256};
use sqlx::PgPool;
use stxworx_clarity::codec::{index_block_hash, sha512_256};

use super::{MAX_MISMATCHES, Mismatch, Report, hexed};
use crate::decode::{decode_block_for, decode_burn_block, decode_mempool, decode_mempool_drop};
use crate::model::{Block, FollowSet};
use crate::store::deep::{self, Oddity, PayloadRow};
use crate::store::inbox::{self, Endpoint, InboxState};
use crate::store::{StoreError, load, migrate};

/// What a deep verification looked at, and what it found.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct DeepReport {
    /// Blocks whose identity was hashed anew.
    pub identities: u64,
    /// Transactions whose id was.
    pub transactions: u64,
    /// Payloads that were read, hashed and decoded.
    pub payloads: u64,
    /// Indexes that must be there.
    pub indexes: u64,
    /// Differences, the first hundred.
    pub mismatches: Vec<Mismatch>,
}

/// What a deep verification is busy with, and how much of it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// For instance `payloads`.
    pub name: &'static str,
    /// How many of them.
    pub done: u64,
}

struct Deep<'a> {
    pool: &'a PgPool,
    follow: FollowSet,
    report: DeepReport,
}

/// Verifies what [`super::verify`] does not. `heights` limits what belongs to blocks.
///
/// # Errors
/// When the database fails; differences are no error but the report.
pub async fn verify_deep(
    pool: &PgPool,
    heights: (i32, i32),
    progress: &mut (dyn FnMut(Step) + Send),
) -> Result<DeepReport, StoreError> {
    let Some(follow) = load::follow_set(pool).await? else {
        return Ok(DeepReport::default());
    };
    let mut deep = Deep {
        pool,
        follow,
        report: DeepReport::default(),
    };
    deep.identities(heights, progress).await?;
    deep.transactions(heights, progress).await?;
    deep.payloads(progress).await?;
    progress(Step {
        name: "rules between tables",
        done: 0,
    });
    for oddity in deep::inconsistent(pool).await? {
        deep.odd(oddity);
    }
    for oddity in deep::replay_outbox(pool).await? {
        deep.odd(oddity);
    }
    deep.indexes().await?;
    Ok(deep.report)
}

impl Report {
    /// Takes up what a deep verification found.
    pub fn and(&mut self, deep: &DeepReport) {
        let room = MAX_MISMATCHES.saturating_sub(self.mismatches.len());
        self.mismatches
            .extend(deep.mismatches.iter().take(room).cloned());
    }
}

impl Deep<'_> {
    fn is_full(&self) -> bool {
        self.report.mismatches.len() >= MAX_MISMATCHES
    }

    fn push(&mut self, mismatch: Mismatch) {
        if !self.is_full() {
            self.report.mismatches.push(mismatch);
        }
    }

    fn odd(&mut self, oddity: Oddity) {
        self.push(Mismatch {
            block: "0x".to_owned(),
            height: oddity.height,
            table: oddity.table,
            row: oddity.row,
            column: oddity.column,
            expected: oddity.expected,
            stored: oddity.stored,
        });
    }

    fn payload(&mut self, row: &PayloadRow, column: &str, expected: &str, stored: &str) {
        let cut = |text: &str| text.chars().take(200).collect::<String>();
        self.odd(Oddity {
            table: "inbox".to_owned(),
            row: row.id.to_string(),
            column: column.to_owned(),
            expected: cut(expected),
            stored: cut(stored),
            height: 0,
        });
    }

    async fn identities(
        &mut self,
        heights: (i32, i32),
        progress: &mut (dyn FnMut(Step) + Send),
    ) -> Result<(), StoreError> {
        let mut after = 0;
        while !self.is_full() {
            let page = deep::identities(self.pool, heights, after).await?;
            let Some(last) = page.last() else { break };
            after = last.id;
            for block in &page {
                self.report.identities += 1;
                let hash = <&[u8; 32]>::try_from(block.block_hash.as_slice());
                let consensus = <&[u8; 20]>::try_from(block.consensus_hash.as_slice());
                let expected = match (hash, consensus) {
                    (Ok(hash), Ok(consensus)) => hexed(&index_block_hash(hash, consensus)),
                    _ => "the hash of 32 and 20 bytes".to_owned(),
                };
                let stored = hexed(&block.index_block_hash);
                if expected != stored {
                    self.push(Mismatch {
                        block: stored.clone(),
                        height: block.height,
                        table: "block".to_owned(),
                        row: stored.clone(),
                        column: "index_block_hash".to_owned(),
                        expected,
                        stored,
                    });
                }
            }
            let done = self.report.identities;
            progress(Step {
                name: "identities",
                done,
            });
        }
        Ok(())
    }

    async fn transactions(
        &mut self,
        heights: (i32, i32),
        progress: &mut (dyn FnMut(Step) + Send),
    ) -> Result<(), StoreError> {
        let mut after = (0, -1);
        while !self.is_full() {
            let page = deep::transactions(self.pool, heights, after).await?;
            let Some(last) = page.last() else { break };
            after = (last.block_id, last.tx_index);
            for t in &page {
                self.report.transactions += 1;
                let actual = sha512_256(&t.raw_tx);
                if actual[..] != t.txid {
                    self.push(Mismatch {
                        block: hexed(&t.index_block_hash),
                        height: t.height,
                        table: "transaction".to_owned(),
                        row: format!("tx_index {}", t.tx_index),
                        column: "txid".to_owned(),
                        expected: hexed(&actual),
                        stored: hexed(&t.txid),
                    });
                }
            }
            let done = self.report.transactions;
            progress(Step {
                name: "transactions",
                done,
            });
        }
        Ok(())
    }

    async fn payloads(
        &mut self,
        progress: &mut (dyn FnMut(Step) + Send),
    ) -> Result<(), StoreError> {
        let mut after = 0;
        while !self.is_full() {
            let page = deep::payloads(self.pool, after).await?;
            let Some(last) = page.last() else { break };
            after = last.id;
            for row in &page {
                self.report.payloads += 1;
                self.one_payload(row).await?;
            }
            let done = self.report.payloads;
            progress(Step {
                name: "payloads",
                done,
            });
        }
        Ok(())
    }

    async fn one_payload(&mut self, row: &PayloadRow) -> Result<(), StoreError> {
        if let Some(scope) = row.scope.as_deref().filter(|s| **s != self.follow.hash()) {
            let expected = format!("null or {}", hexed(&self.follow.hash()));
            self.payload(row, "scope", &expected, &hexed(scope));
        }
        let packed = match inbox::fetch_one(self.pool, row.id).await {
            Ok(packed) => packed,
            // It went after the page was read.
            Err(StoreError::Db {
                source: sqlx::Error::RowNotFound,
                ..
            }) => return Ok(()),
            Err(error) => return Err(error),
        };
        let Some(endpoint) = packed.endpoint() else {
            self.payload(row, "endpoint", "1 to 11", &row.endpoint.to_string());
            return Ok(());
        };
        let body = match packed.unpack() {
            Ok(unpacked) => unpacked.body,
            Err(error) => {
                let error = crate::error_chain(&error).to_string();
                self.payload(row, "body", "a zstd frame", &error);
                return Ok(());
            }
        };
        let actual = Sha256::digest(&body);
        if actual.as_slice() != row.sha256 {
            self.payload(row, "sha256", &hexed(&actual), &hexed(&row.sha256));
        }
        if i64::try_from(body.len()) != Ok(row.body_bytes) {
            let (expected, stored) = (body.len().to_string(), row.body_bytes.to_string());
            self.payload(row, "body_bytes", &expected, &stored);
        }
        let untouched = [InboxState::Received, InboxState::Quarantined].map(|s| s as i16);
        if untouched.contains(&row.state) {
            return Ok(());
        }
        self.decoded(row, endpoint, &body).await
    }

    /// A payload that was processed can be decoded, and is where its state says.
    async fn decoded(
        &mut self,
        row: &PayloadRow,
        endpoint: Endpoint,
        body: &[u8],
    ) -> Result<(), StoreError> {
        let unreadable = match endpoint {
            Endpoint::NewBlock => match decode_block_for(body, &self.follow) {
                Ok(block) => {
                    self.carries(row, &block);
                    None
                }
                Err(error) => Some(error),
            },
            Endpoint::NewBurnBlock => match decode_burn_block(body) {
                Ok(block) => {
                    if !deep::has_burn_block(self.pool, block.hash.as_bytes()).await? {
                        let expected = format!("Bitcoin block {} that came of it", block.hash);
                        self.payload(row, "state", &expected, "none");
                    }
                    None
                }
                Err(error) => Some(error),
            },
            Endpoint::NewMempoolTx => match decode_mempool(body) {
                Ok(txids) => {
                    let txids: Vec<_> = txids.iter().map(|t| t.0.to_vec()).collect();
                    let missing = deep::unsighted(self.pool, &txids).await?;
                    if missing > 0 {
                        let stored = format!("{missing} missing");
                        self.payload(row, "state", "its mempool transactions", &stored);
                    }
                    None
                }
                Err(error) => Some(error),
            },
            Endpoint::DropMempoolTx => decode_mempool_drop(body).err(),
            _ => None,
        };
        if let Some(error) = unreadable {
            let error = crate::error_chain(&error).to_string();
            let expected = format!("a {} payload", endpoint.path());
            self.payload(row, "body", &expected, &error);
        }
        Ok(())
    }

    fn carries(&mut self, row: &PayloadRow, block: &Block) {
        let fields = [
            ("index_block_hash", block.header.id, &row.index_block_hash),
            (
                "parent_index_block_hash",
                block.header.parent,
                &row.parent_index_block_hash,
            ),
        ];
        for (column, expected, stored) in fields {
            if stored.as_deref() != Some(expected.as_bytes()) {
                let stored = stored.as_deref().map_or("null".to_owned(), hexed);
                self.payload(row, column, &expected.to_string(), &stored);
            }
        }
    }

    /// What the migrations made must be there and in use.
    async fn indexes(&mut self) -> Result<(), StoreError> {
        let found = deep::indexes(self.pool).await?;
        for name in migrate::indexes() {
            self.report.indexes += 1;
            let stored = match found.iter().find(|i| i.name == name) {
                Some(index) if index.valid => continue,
                Some(_) => "invalid",
                None => "missing",
            };
            self.odd(Oddity {
                table: "pg_index".to_owned(),
                row: name,
                column: "indisvalid".to_owned(),
                expected: "valid".to_owned(),
                stored: stored.to_owned(),
                height: 0,
            });
        }
        Ok(())
    }
}
