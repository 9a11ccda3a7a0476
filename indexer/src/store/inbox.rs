//! The inbox: payloads as they arrived, durable before they are acknowledged (SO-1).

use std::io::Write as _;

use sha2::{Digest as _, Sha256};
use sqlx::PgPool;

use super::StoreError;

/// The endpoints of a node's event dispatcher (stacks-core, `stacks-node/src/event_dispatcher.rs`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(i16)]
pub enum Endpoint {
    /// A processed Stacks block.
    NewBlock = 1,
    /// An evaluated Bitcoin block.
    NewBurnBlock = 2,
    /// Transactions seen in the mempool.
    NewMempoolTx = 3,
    /// Transactions that left the mempool unmined.
    DropMempoolTx = 4,
    /// Microblocks, before epoch 3.0.
    NewMicroblocks = 5,
    /// Atlas attachments.
    Attachments = 6,
    /// StackerDB chunks.
    StackerDbChunks = 7,
    /// A signer's verdict on a proposed block.
    ProposalResponse = 8,
    /// A block that this node mined.
    MinedBlock = 9,
    /// A microblock that this node mined.
    MinedMicroblock = 10,
    /// A Nakamoto block that this node mined.
    MinedNakamotoBlock = 11,
}

impl Endpoint {
    /// Every endpoint.
    pub const ALL: [Self; 11] = [
        Self::NewBlock,
        Self::NewBurnBlock,
        Self::NewMempoolTx,
        Self::DropMempoolTx,
        Self::NewMicroblocks,
        Self::Attachments,
        Self::StackerDbChunks,
        Self::ProposalResponse,
        Self::MinedBlock,
        Self::MinedMicroblock,
        Self::MinedNakamotoBlock,
    ];

    /// The path that the node posts to, without the leading slash.
    pub fn path(self) -> &'static str {
        match self {
            Self::NewBlock => "new_block",
            Self::NewBurnBlock => "new_burn_block",
            Self::NewMempoolTx => "new_mempool_tx",
            Self::DropMempoolTx => "drop_mempool_tx",
            Self::NewMicroblocks => "new_microblocks",
            Self::Attachments => "attachments/new",
            Self::StackerDbChunks => "stackerdb_chunks",
            Self::ProposalResponse => "proposal_response",
            Self::MinedBlock => "mined_block",
            Self::MinedMicroblock => "mined_microblock",
            Self::MinedNakamotoBlock => "mined_nakamoto_block",
        }
    }

    /// Does anything derive from its payloads? The others are kept as they are.
    pub fn is_decoded(self) -> bool {
        (self as i16) <= LAST_DECODED
    }

    /// From the stored code.
    pub fn from_code(code: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|e| *e as i16 == code)
    }
}

/// The last endpoint, by code, whose payloads are decoded; the statement that reads the inbox knows it too.
const LAST_DECODED: i16 = Endpoint::DropMempoolTx as i16;

/// Who delivered a payload. Codes are those of the column `inbox.source`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(i16)]
pub enum Source {
    /// A node, through its event observer.
    Observer = 1,
    /// A node's RPC.
    Node = 2,
    /// A Stacks API.
    Api = 3,
    /// An archive of events.
    Archive = 4,
}

impl Source {
    /// Every source.
    pub const ALL: [Self; 4] = [Self::Observer, Self::Node, Self::Api, Self::Archive];

    /// Name in the configuration, in metrics and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Observer => "observer",
            Self::Node => "node",
            Self::Api => "api",
            Self::Archive => "archive",
        }
    }

    /// From the stored code.
    pub fn from_code(code: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|s| *s as i16 == code)
    }
}

/// Where a payload is from, and how much of it there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Provenance {
    /// Who delivered it.
    pub source: Source,
    /// None for a whole payload; else [`crate::model::FollowSet::hash`] of the follow set that it was cut down to.
    pub scope: Option<[u8; 32]>,
}

impl Provenance {
    /// A whole payload.
    pub fn whole(source: Source) -> Self {
        Self {
            source,
            scope: None,
        }
    }
}

/// What has become of a payload. Codes are those of the column `inbox.state`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(i16)]
pub enum InboxState {
    /// Stored, not yet looked at.
    Received = 0,
    /// Its facts are in the mirror.
    Applied = 1,
    /// Its block was there already.
    Duplicate = 2,
    /// Its block waits for its parent.
    Detached = 3,
    /// It could not be decoded.
    Quarantined = 4,
    /// Nothing derives from it yet.
    Kept = 5,
    /// Genesis without its contents, as a node sends it at each start.
    Superseded = 6,
}

/// Compressed bytes in a row or a chunk: small enough to hold, large enough to be few.
const CHUNK_BYTES: usize = 4 << 20;
const ZSTD_LEVEL: i32 = 1; // The slower levels save a few percent on hexadecimal text.

/// Compresses and hashes a body as it arrives, in memory bounded by a chunk.
pub struct BodyWriter {
    encoder: zstd::stream::write::Encoder<'static, Vec<u8>>,
    hasher: Sha256,
    bytes: u64,
    spilled: Option<Spill>,
}

/// A large body on its way into `inbox_chunk`.
struct Spill {
    transaction: sqlx::Transaction<'static, sqlx::Postgres>,
    inbox_id: i64,
    first: Vec<u8>,
    chunks: i32,
}

/// What storing a payload came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// A new row.
    New(i64),
    /// Exactly these bytes were there; the delivery was counted.
    Again(i64),
}

fn compression_failed(source: std::io::Error) -> StoreError {
    StoreError::Body {
        inbox_id: 0,
        source,
    }
}

impl BodyWriter {
    /// An empty body.
    ///
    /// # Errors
    /// When the compressor cannot be set up (out of memory).
    pub fn new() -> Result<Self, StoreError> {
        let encoder = zstd::stream::write::Encoder::new(Vec::new(), ZSTD_LEVEL)
            .map_err(compression_failed)?;
        Ok(Self {
            encoder,
            hasher: Sha256::new(),
            bytes: 0,
            spilled: None,
        })
    }

    /// Bytes so far, uncompressed.
    pub fn len(&self) -> u64 {
        self.bytes
    }

    /// Has nothing been written?
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Takes the next piece.
    ///
    /// # Errors
    /// When the database fails; nothing of the body is kept then.
    pub async fn write(&mut self, pool: &PgPool, piece: &[u8]) -> Result<(), StoreError> {
        self.hasher.update(piece);
        self.bytes += piece.len() as u64;
        self.encoder.write_all(piece).map_err(compression_failed)?;
        if self.encoder.get_ref().len() >= CHUNK_BYTES {
            let full = std::mem::take(self.encoder.get_mut());
            self.spill(pool, full).await?;
        }
        Ok(())
    }

    async fn spill(&mut self, pool: &PgPool, full: Vec<u8>) -> Result<(), StoreError> {
        if let Some(spill) = &mut self.spilled {
            spill.chunks += 1;
            sqlx::query!(
                "insert into inbox_chunk (inbox_id, seq, body) values ($1, $2, $3)",
                spill.inbox_id,
                spill.chunks,
                full
            )
            .execute(&mut *spill.transaction)
            .await
            .map_err(StoreError::db("store a piece of a large body"))?;
            return Ok(());
        }
        let mut transaction = super::begin(pool, "begin")
            .await
            .map_err(StoreError::db("begin to store a large body"))?;
        let inbox_id = sqlx::query_scalar!(
            r#"select nextval(pg_get_serial_sequence('inbox', 'id')) as "id!""#
        )
        .fetch_one(&mut *transaction)
        .await
        .map_err(StoreError::db("number a large body"))?;
        self.spilled = Some(Spill {
            transaction,
            inbox_id,
            first: full,
            chunks: 0,
        });
        Ok(())
    }

    /// Stores the body; when this returns it is durable.
    ///
    /// # Errors
    /// When the database fails; nothing of the body is kept then.
    pub async fn store(
        mut self,
        pool: &PgPool,
        endpoint: Endpoint,
        from: Provenance,
    ) -> Result<Stored, StoreError> {
        let scope = from.scope.as_ref().map(|s| &s[..]);
        let rest = self.encoder.finish().map_err(compression_failed)?;
        let sha256: [u8; 32] = self.hasher.finalize().into();
        let body_bytes = i64::try_from(self.bytes).unwrap_or(i64::MAX);
        let Some(mut spill) = self.spilled.take() else {
            let row = sqlx::query!(
                r#"insert into inbox (endpoint, body_bytes, sha256, body, source, scope)
                   values ($1, $2, $3, $4, $5, $6)
                   on conflict (sha256) do update set deliveries = inbox.deliveries + 1
                   returning id, deliveries = 1 as "new!""#,
                endpoint as i16,
                body_bytes,
                &sha256[..],
                rest,
                from.source as i16,
                scope
            )
            .fetch_one(pool)
            .await
            .map_err(StoreError::db("store a payload"))?;
            return Ok(if row.new {
                Stored::New(row.id)
            } else {
                Stored::Again(row.id)
            });
        };
        sqlx::query!(
            "insert into inbox_chunk (inbox_id, seq, body) values ($1, $2, $3)",
            spill.inbox_id,
            spill.chunks + 1,
            rest
        )
        .execute(&mut *spill.transaction)
        .await
        .map_err(StoreError::db("store the end of a large body"))?;
        let new = sqlx::query_scalar!(
            r#"insert into inbox (id, endpoint, body_bytes, sha256, body, source, scope)
               overriding system value values ($1, $2, $3, $4, $5, $6, $7)
               on conflict (sha256) do nothing returning id"#,
            spill.inbox_id,
            endpoint as i16,
            body_bytes,
            &sha256[..],
            spill.first,
            from.source as i16,
            scope
        )
        .fetch_optional(&mut *spill.transaction)
        .await
        .map_err(StoreError::db("store a large payload"))?;
        if let Some(id) = new {
            let commit = spill.transaction.commit().await;
            commit.map_err(StoreError::db("commit a large payload"))?;
            return Ok(Stored::New(id));
        }
        let rollback = spill.transaction.rollback().await;
        rollback.map_err(StoreError::db("forget a repeated large payload"))?;
        let id = sqlx::query_scalar!(
            "update inbox set deliveries = deliveries + 1 where sha256 = $1 returning id",
            &sha256[..]
        )
        .fetch_one(pool)
        .await
        .map_err(StoreError::db("count a repeated payload"))?;
        Ok(Stored::Again(id))
    }
}

/// Stores a payload that is in memory; when this returns it is durable.
///
/// # Errors
/// When the database fails; nothing is kept then.
pub async fn put(
    pool: &PgPool,
    endpoint: Endpoint,
    from: Provenance,
    body: &[u8],
) -> Result<Stored, StoreError> {
    let mut writer = BodyWriter::new()?;
    writer.write(pool, body).await?;
    writer.store(pool, endpoint, from).await
}

/// A stored payload, decompressed.
#[derive(Debug)]
pub struct InboxRow {
    /// Its place in the order of arrival.
    pub id: i64,
    /// Where it was posted.
    pub endpoint: Endpoint,
    /// When, as Unix microseconds.
    pub received_at_us: i64,
    /// The body as it arrived.
    pub body: Vec<u8>,
}

/// A payload still compressed.
#[derive(Debug)]
pub struct PackedRow {
    /// Its place in the order of arrival.
    pub id: i64,
    /// The endpoint's code.
    pub endpoint: i16,
    /// Who delivered it first: the source's code.
    pub source: i16,
    /// When, as Unix microseconds.
    pub received_at_us: i64,
    /// Size of the body as it arrived.
    pub body_bytes: i64,
    /// zstd frame, complete.
    pub packed: Vec<u8>,
}

impl PackedRow {
    /// The endpoint, if this version knows it.
    pub fn endpoint(&self) -> Option<Endpoint> {
        Endpoint::from_code(self.endpoint)
    }

    /// Decompresses. Costs time: off the async threads.
    ///
    /// # Errors
    /// When the stored bytes are not a zstd frame.
    pub fn unpack(self) -> Result<InboxRow, StoreError> {
        let endpoint = Endpoint::from_code(self.endpoint).ok_or_else(|| StoreError::Corrupt {
            table: "inbox",
            detail: format!("row {} has endpoint {}", self.id, self.endpoint),
        })?;
        let capacity = usize::try_from(self.body_bytes).unwrap_or(0).min(64 << 20);
        let mut body = Vec::with_capacity(capacity);
        zstd::stream::copy_decode(self.packed.as_slice(), &mut body).map_err(|source| {
            StoreError::Body {
                inbox_id: self.id,
                source,
            }
        })?;
        Ok(InboxRow {
            id: self.id,
            endpoint,
            received_at_us: self.received_at_us,
            body,
        })
    }
}

/// The next rows that were not looked at yet, by id after `after`, at most `rows` of them and about `bytes` of bodies
/// (at least one row, however large). Bodies that nothing derives from are left where they are.
///
/// # Errors
/// When the database fails.
pub async fn fetch_received(
    pool: &PgPool,
    after: i64,
    rows: i64,
    bytes: i64,
) -> Result<Vec<PackedRow>, StoreError> {
    let mut fetched = sqlx::query_as!(
        PackedRow,
        r#"select i.id, i.endpoint, i.source, i.body_bytes,
                  case when i.endpoint <= $4 then i.body else '' end as "packed!",
                  (extract(epoch from i.received_at) * 1000000)::bigint as "received_at_us!"
           from (select id, sum(body_bytes) over (order by id) - body_bytes as before
                 from inbox where state = 0 and id > $1 order by id limit $2) p
           join inbox i using (id)
           where p.before < $3
           order by i.id"#,
        after,
        rows,
        sqlx::types::BigDecimal::from(bytes),
        LAST_DECODED
    )
    .fetch_all(pool)
    .await
    .map_err(StoreError::db("read the inbox"))?;
    for row in &mut fetched {
        append_chunks(pool, row).await?;
    }
    Ok(fetched)
}

/// One row by its id.
///
/// # Errors
/// When there is none, or the database fails.
pub async fn fetch_one(pool: &PgPool, id: i64) -> Result<PackedRow, StoreError> {
    let mut row = sqlx::query_as!(
        PackedRow,
        r#"select id, endpoint, source, body_bytes, body as packed,
                  (extract(epoch from received_at) * 1000000)::bigint as "received_at_us!"
           from inbox where id = $1"#,
        id
    )
    .fetch_one(pool)
    .await
    .map_err(StoreError::db("read a payload"))?;
    append_chunks(pool, &mut row).await?;
    Ok(row)
}

async fn append_chunks(pool: &PgPool, row: &mut PackedRow) -> Result<(), StoreError> {
    if row.packed.len() < CHUNK_BYTES {
        return Ok(());
    }
    let chunks = sqlx::query_scalar!(
        "select body from inbox_chunk where inbox_id = $1 order by seq",
        row.id
    )
    .fetch_all(pool)
    .await
    .map_err(StoreError::db("read a large body"))?;
    row.packed.extend(chunks.into_iter().flatten());
    Ok(())
}

/// The hash that a payload had when it arrived.
///
/// # Errors
/// When there is no such row, or the database fails.
pub async fn sha256_of(pool: &PgPool, id: i64) -> Result<Vec<u8>, StoreError> {
    sqlx::query_scalar!("select sha256 from inbox where id = $1", id)
        .fetch_one(pool)
        .await
        .map_err(StoreError::db("read a payload's hash"))
}
