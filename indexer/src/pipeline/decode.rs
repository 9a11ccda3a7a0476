//! Reading ahead: the next payloads are fetched and decoded while the last ones are written.

use std::time::Duration;

use futures::StreamExt as _;
use sqlx::PgPool;
use tokio::task::JoinHandle;

use crate::decode::{
    DecodeError, MempoolDrop, decode_block_for, decode_burn_block, decode_mempool,
    decode_mempool_drop,
};
use crate::model::{Block, BurnBlock, FollowSet, TxId};
use crate::store::StoreError;
use crate::store::inbox::{self, Endpoint, PackedRow, Source};

/// Most payloads in a round.
const ROUND_ROWS: i64 = 128;
/// Bodies of a round, uncompressed; one larger payload makes a round of its own.
const ROUND_BYTES: i64 = 16 << 20;
/// A round of so many was probably cut off, by its rows or by its bytes.
const FULL_ROUND: usize = 32;
/// Payloads decoded at the same time.
const DECODERS: usize = 2;

/// A payload, decoded.
#[derive(Debug)]
pub(super) enum Decoded {
    Block(Box<Block>),
    BurnBlock(BurnBlock),
    Mempool(Vec<TxId>),
    MempoolDrop(MempoolDrop),
    /// Nothing derives from it yet.
    Kept,
    /// With the reason.
    Unreadable(String),
}

/// A decoded payload and where it came from.
#[derive(Debug)]
pub(super) struct Item {
    pub inbox_id: i64,
    pub source: Source,
    pub received_at_us: i64,
    pub decoded: Decoded,
}

pub(super) fn decode_row(row: PackedRow, follow: &FollowSet) -> Result<Item, StoreError> {
    let source = Source::from_code(row.source).ok_or_else(|| StoreError::Corrupt {
        table: "inbox",
        detail: format!("row {} has source {}", row.id, row.source),
    })?;
    if row.endpoint().is_some_and(|e| !e.is_decoded()) {
        let PackedRow {
            id: inbox_id,
            received_at_us,
            ..
        } = row;
        return Ok(Item {
            inbox_id,
            source,
            received_at_us,
            decoded: Decoded::Kept,
        });
    }
    let row = row.unpack()?;
    let body = row.body.as_slice();
    let decoded = match row.endpoint {
        Endpoint::NewBlock => {
            decode_block_for(body, follow).map(|block| Decoded::Block(Box::new(block)))
        }
        Endpoint::NewBurnBlock => decode_burn_block(body).map(Decoded::BurnBlock),
        Endpoint::NewMempoolTx => decode_mempool(body).map(Decoded::Mempool),
        Endpoint::DropMempoolTx => decode_mempool_drop(body).map(Decoded::MempoolDrop),
        Endpoint::NewMicroblocks
        | Endpoint::Attachments
        | Endpoint::StackerDbChunks
        | Endpoint::ProposalResponse
        | Endpoint::MinedBlock
        | Endpoint::MinedMicroblock
        | Endpoint::MinedNakamotoBlock => Ok(Decoded::Kept),
    };
    let decoded = decoded.unwrap_or_else(|error: DecodeError| {
        Decoded::Unreadable(
            crate::error_chain(&error)
                .to_string()
                .replace('\0', "\u{fffd}"),
        )
    });
    Ok(Item {
        inbox_id: row.id,
        source,
        received_at_us: row.received_at_us,
        decoded,
    })
}

async fn fetch_and_decode(
    pool: PgPool,
    follow: FollowSet,
    after: i64,
) -> Result<Vec<Item>, StoreError> {
    let rows = inbox::fetch_received(&pool, after, ROUND_ROWS, ROUND_BYTES).await?;
    let follow = &follow;
    futures::stream::iter(rows)
        .map(|row| async move {
            let follow = follow.clone();
            tokio::task::spawn_blocking(move || decode_row(row, &follow))
                .await
                .map_err(|e| StoreError::Corrupt {
                    table: "inbox",
                    detail: format!("a decoder died: {e}"),
                })?
        })
        .buffered(DECODERS)
        .collect::<Vec<_>>()
        .await
        .into_iter()
        .collect()
}

/// Rounds in a row that found something before payloads count as a stream.
const STREAM_ROUNDS: u32 = 4;
/// How long a stream's next round is left to fill. A commit costs about the same for one block as for
/// ten, and a node that catches up does not wait for it; at the tip there is no stream and no delay.
const GATHER: Duration = Duration::from_millis(5);

/// Reads the inbox in order of arrival. While more is known to wait, one round ahead.
pub(super) struct Reader {
    pool: PgPool,
    follow: FollowSet,
    after: i64,
    rounds: u32,
    ahead: Option<JoinHandle<Result<Vec<Item>, StoreError>>>,
}

impl Reader {
    pub(super) fn new(pool: PgPool, follow: FollowSet) -> Self {
        Self {
            pool,
            follow,
            after: 0,
            rounds: 0,
            ahead: None,
        }
    }

    /// Looks again from the beginning: a row numbered earlier may have been committed later.
    pub(super) fn rewind(&mut self) {
        self.after = 0;
        self.drop_ahead();
    }

    fn drop_ahead(&mut self) {
        if let Some(task) = self.ahead.take() {
            task.abort();
        }
    }

    fn start(&self) -> JoinHandle<Result<Vec<Item>, StoreError>> {
        tokio::spawn(fetch_and_decode(
            self.pool.clone(),
            self.follow.clone(),
            self.after,
        ))
    }

    /// The next round; empty when there is nothing more.
    pub(super) async fn next(&mut self) -> Result<Vec<Item>, StoreError> {
        let task = match self.ahead.take() {
            Some(task) => task,
            None => {
                if self.rounds >= STREAM_ROUNDS {
                    tokio::time::sleep(GATHER).await;
                }
                self.start()
            }
        };
        let items = task.await.map_err(|e| StoreError::Corrupt {
            table: "inbox",
            detail: format!("the reader died: {e}"),
        })??;
        let Some(last) = items.last() else {
            self.rounds = 0;
            return Ok(items);
        };
        self.after = last.inbox_id;
        self.rounds = self.rounds.saturating_add(1);
        if items.len() >= FULL_ROUND {
            self.ahead = Some(self.start());
        }
        Ok(items)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.drop_ahead();
    }
}
