//! Many payloads at once into the inbox: by binary COPY into a staging table, and from there in one statement.

use sha2::{Digest as _, Sha256};
use sqlx::PgConnection;

use super::StoreError;
use super::inbox::{Endpoint, Provenance};

/// As in the inbox: fast, and nearly as small as slower levels.
const ZSTD_LEVEL: i32 = 1;
/// Bytes handed to the connection at once.
const SEND_BYTES: usize = 256 << 10;

/// A payload as the inbox holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload {
    /// The endpoint of a node's observer that it is for.
    pub endpoint: Endpoint,
    /// Where it is from, and how much of it there is.
    pub from: Provenance,
    /// How often it arrived.
    pub deliveries: i32,
    /// Size of the body, uncompressed.
    pub body_bytes: u64,
    /// SHA-256 of the body, uncompressed.
    pub sha256: [u8; 32],
    /// The body as a zstd frame.
    pub packed: Vec<u8>,
}

/// Makes [`Payload`]s; costs time, so off the async threads.
pub struct Packer(zstd::bulk::Compressor<'static>);

impl Packer {
    /// A packer.
    ///
    /// # Errors
    /// When the compressor cannot be set up (out of memory).
    pub fn new() -> Result<Self, StoreError> {
        zstd::bulk::Compressor::new(ZSTD_LEVEL)
            .map(Self)
            .map_err(compression_failed)
    }

    /// Compresses and hashes a body.
    ///
    /// # Errors
    /// When the compressor fails (out of memory).
    pub fn pack(
        &mut self,
        endpoint: Endpoint,
        from: Provenance,
        body: &[u8],
    ) -> Result<Payload, StoreError> {
        Ok(Payload {
            endpoint,
            from,
            deliveries: 1,
            body_bytes: body.len() as u64,
            sha256: Sha256::digest(body).into(),
            packed: self.0.compress(body).map_err(compression_failed)?,
        })
    }
}

impl std::fmt::Debug for Packer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Packer").finish_non_exhaustive()
    }
}

fn compression_failed(source: std::io::Error) -> StoreError {
    StoreError::Body {
        inbox_id: 0,
        source,
    }
}

const COPY: &str = "copy archive_staging (seq, endpoint, deliveries, body_bytes, sha256, source, scope, body) \
                    from stdin (format binary)";
const COPY_HEAD: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const COPY_END: &[u8] = &(-1_i16).to_be_bytes();
const COLUMNS: i16 = 8;

fn put(out: &mut Vec<u8>, value: &[u8]) -> Result<(), StoreError> {
    let length = i32::try_from(value.len()).map_err(|_| StoreError::Corrupt {
        table: "archive_staging",
        detail: format!(
            "a value of {} bytes is longer than COPY can take",
            value.len()
        ),
    })?;
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(value);
    Ok(())
}

/// Appends a row in the binary form of COPY.
fn put_row(out: &mut Vec<u8>, seq: i32, payload: &Payload) -> Result<(), StoreError> {
    let bytes = i64::try_from(payload.body_bytes).unwrap_or(i64::MAX);
    out.extend_from_slice(&COLUMNS.to_be_bytes());
    put(out, &seq.to_be_bytes())?;
    put(out, &(payload.endpoint as i16).to_be_bytes())?;
    put(out, &payload.deliveries.to_be_bytes())?;
    put(out, &bytes.to_be_bytes())?;
    put(out, &payload.sha256)?;
    put(out, &(payload.from.source as i16).to_be_bytes())?;
    match &payload.from.scope {
        Some(scope) => put(out, scope)?,
        None => out.extend_from_slice(&(-1_i32).to_be_bytes()),
    }
    put(out, &payload.packed)
}

/// Stores payloads in their order, each of other bytes than the rest; returns how many were new, and how many were
/// there before and had their deliveries counted.
///
/// # Errors
/// When the database fails; the transaction must not be committed then.
pub(super) async fn store(
    transaction: &mut PgConnection,
    payloads: &[Payload],
) -> Result<(u64, u64), StoreError> {
    // One at a time, and those who wait hold nothing: the table is emptied by whoever fills it.
    sqlx::query!("lock table archive_staging in share row exclusive mode")
        .execute(&mut *transaction)
        .await
        .map_err(StoreError::db("reserve the staging table"))?;
    copy(transaction, payloads).await?;
    let stored = sqlx::query!(
        r#"with stored as (
               insert into inbox (endpoint, deliveries, body_bytes, sha256, source, scope, body)
               select endpoint, deliveries, body_bytes, sha256, source, scope, body from archive_staging order by seq
               on conflict (sha256) do update set deliveries = inbox.deliveries + excluded.deliveries
               returning xmax = 0 as new)
           select count(*) filter (where new) as "new!", count(*) filter (where not new) as "again!" from stored"#
    )
    .fetch_one(&mut *transaction)
    .await
    .map_err(StoreError::db("store payloads of an archive"))?;
    sqlx::query!("truncate archive_staging")
        .execute(&mut *transaction)
        .await
        .map_err(StoreError::db("empty the staging table"))?;
    let count = |n: i64| u64::try_from(n).unwrap_or(0);
    Ok((count(stored.new), count(stored.again)))
}

async fn copy(transaction: &mut PgConnection, payloads: &[Payload]) -> Result<(), StoreError> {
    let failed = StoreError::db("copy payloads of an archive");
    let mut copy = transaction.copy_in_raw(COPY).await.map_err(failed)?;
    let mut buffer = Vec::with_capacity(2 * SEND_BYTES);
    buffer.extend_from_slice(COPY_HEAD);
    for (seq, payload) in (0_i32..).zip(payloads) {
        put_row(&mut buffer, seq, payload)?;
        if buffer.len() >= SEND_BYTES {
            let failed = StoreError::db("copy payloads of an archive");
            copy.send(buffer.as_slice()).await.map_err(failed)?;
            buffer.clear();
        }
    }
    buffer.extend_from_slice(COPY_END);
    let failed = StoreError::db("copy payloads of an archive");
    copy.send(buffer.as_slice()).await.map_err(failed)?;
    copy.finish()
        .await
        .map_err(StoreError::db("end the copy of payloads of an archive"))?;
    Ok(())
}
