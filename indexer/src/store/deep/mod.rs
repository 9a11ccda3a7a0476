//! What a deep verification reads: rules between tables, payloads one by one, the outbox, indexes.

use std::collections::HashMap;

use sqlx::PgPool;

use super::StoreError;
use crate::model::IndexBlockHash;

/// A row that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Oddity {
    /// The table.
    pub table: String,
    /// The row.
    pub row: String,
    /// The column.
    pub column: String,
    /// What the rule asks for.
    pub expected: String,
    /// What is there.
    pub stored: String,
    /// Height of the block it belongs to; 0 for none.
    pub height: i32,
}

/// Rows that break rules between tables: orphans, inbox states, positions, sequences, reorgs.
///
/// # Errors
/// When the database fails.
pub async fn inconsistent(pool: &PgPool) -> Result<Vec<Oddity>, StoreError> {
    sqlx::query_file_as!(
        Oddity,
        "src/store/deep/consistency.sql",
        IndexBlockHash::GENESIS.as_bytes()
    )
    .fetch_all(pool)
    .await
    .map_err(StoreError::db("check the rules between tables"))
}

/// An index of the schema as the server has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexState {
    /// Its name.
    pub name: String,
    /// May the planner use it, and does it hold every row?
    pub valid: bool,
}

/// Every index of the mirror's schema.
///
/// # Errors
/// When the database fails.
pub async fn indexes(pool: &PgPool) -> Result<Vec<IndexState>, StoreError> {
    sqlx::query_as!(
        IndexState,
        r#"select c.relname::text as "name!", (i.indisvalid and i.indisready and i.indislive) as "valid!"
           from pg_index i join pg_class c on c.oid = i.indexrelid
           where c.relnamespace = current_schema()::regnamespace order by 1"#
    )
    .fetch_all(pool)
    .await
    .map_err(StoreError::db("look at its indexes"))
}

/// A transaction with its bytes.
#[derive(Debug, Clone)]
pub struct StoredTransaction {
    /// The block's local number.
    pub block_id: i64,
    /// Its place.
    pub tx_index: i32,
    /// Its id.
    pub txid: Vec<u8>,
    /// Its bytes.
    pub raw_tx: Vec<u8>,
    /// The block.
    pub index_block_hash: Vec<u8>,
    /// The block's height.
    pub height: i32,
}

/// The next transactions that have bytes of their own, behind (block, place), within heights.
///
/// # Errors
/// When the database fails.
pub async fn transactions(
    pool: &PgPool,
    heights: (i32, i32),
    after: (i64, i32),
) -> Result<Vec<StoredTransaction>, StoreError> {
    sqlx::query_as!(
        StoredTransaction,
        "select t.block_id, t.tx_index, t.txid, t.raw_tx, b.index_block_hash, b.height
         from transaction t join block b on b.id = t.block_id
         where (t.block_id, t.tx_index) > ($1, $2) and b.height between $3 and $4
           and t.raw_tx <> '' and t.kind <> 'burnchain_op'
         order by t.block_id, t.tx_index limit 200",
        after.0,
        after.1,
        heights.0,
        heights.1
    )
    .fetch_all(pool)
    .await
    .map_err(StoreError::db("read transactions"))
}

/// What a block's identity is made of.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Local number.
    pub id: i64,
    /// The identity.
    pub index_block_hash: Vec<u8>,
    /// Its height.
    pub height: i32,
    /// Hash of the header.
    pub block_hash: Vec<u8>,
    /// The tenure.
    pub consensus_hash: Vec<u8>,
}

/// The next blocks whose tenure is known, within heights.
///
/// # Errors
/// When the database fails.
pub async fn identities(
    pool: &PgPool,
    heights: (i32, i32),
    after: i64,
) -> Result<Vec<Identity>, StoreError> {
    sqlx::query_as!(
        Identity,
        r#"select id, index_block_hash, height, block_hash, consensus_hash as "consensus_hash!" from block
           where id > $1 and height between $2 and $3 and consensus_hash is not null order by id limit 1000"#,
        after,
        heights.0,
        heights.1
    )
    .fetch_all(pool)
    .await
    .map_err(StoreError::db("read identities"))
}

/// What the inbox says of a payload.
#[derive(Debug, Clone)]
pub struct PayloadRow {
    /// Its place.
    pub id: i64,
    /// Code of the endpoint.
    pub endpoint: i16,
    /// Code of what became of it.
    pub state: i16,
    /// Size of the body as it arrived.
    pub body_bytes: i64,
    /// Hash of the body.
    pub sha256: Vec<u8>,
    /// The block that it carries.
    pub index_block_hash: Option<Vec<u8>>,
    /// Its parent.
    pub parent_index_block_hash: Option<Vec<u8>>,
    /// What it was cut down to.
    pub scope: Option<Vec<u8>>,
}

/// The next payloads' rows, without bodies.
///
/// # Errors
/// When the database fails.
pub async fn payloads(pool: &PgPool, after: i64) -> Result<Vec<PayloadRow>, StoreError> {
    sqlx::query_as!(
        PayloadRow,
        "select id, endpoint, state, body_bytes, sha256, index_block_hash, parent_index_block_hash, scope
         from inbox where id > $1 order by id limit 200",
        after
    )
    .fetch_all(pool)
    .await
    .map_err(StoreError::db("read the inbox"))
}

/// Is this Bitcoin block stored?
///
/// # Errors
/// When the database fails.
pub async fn has_burn_block(pool: &PgPool, hash: &[u8]) -> Result<bool, StoreError> {
    sqlx::query_scalar!(
        r#"select exists (select from burn_block where hash = $1) as "there!""#,
        hash
    )
    .fetch_one(pool)
    .await
    .map_err(StoreError::db("look a Bitcoin block up"))
}

/// How many of these transactions were never noted in the mempool.
///
/// # Errors
/// When the database fails.
pub async fn unsighted(pool: &PgPool, txids: &[Vec<u8>]) -> Result<i64, StoreError> {
    sqlx::query_scalar!(
        r#"select count(*) as "count!" from unnest($1::bytea[]) as t (txid)
           where not exists (select from mempool_sighting m where m.txid = t.txid)"#,
        txids
    )
    .fetch_one(pool)
    .await
    .map_err(StoreError::db("look mempool transactions up"))
}

/// Follows the outbox from its beginning and compares where it leads with the canonical chain: what a subscriber
/// believes. One snapshot; memory grows with the canonical chain.
///
/// # Errors
/// When the database fails.
pub async fn replay_outbox(pool: &PgPool) -> Result<Vec<Oddity>, StoreError> {
    let failed = || StoreError::db("replay the outbox");
    let mut tx = super::begin(pool, "begin isolation level repeatable read, read only")
        .await
        .map_err(failed())?;
    let odd = |row: String, expected: String, stored: String| Oddity {
        table: "outbox".to_owned(),
        row,
        column: "block_id".to_owned(),
        expected,
        stored,
        height: 0,
    };
    let (mut oddities, mut after) = (Vec::new(), 0);
    let mut chain: Vec<i64> = Vec::new();
    loop {
        let lines = sqlx::query!(
            r#"select o.id, o.kind, o.block_id, p.id as "parent?"
               from outbox o left join block b on b.id = o.block_id
               left join block p on p.index_block_hash = b.parent
               where o.id > $1 order by o.id limit 5000"#,
            after
        )
        .fetch_all(&mut *tx)
        .await
        .map_err(failed())?;
        let Some(last) = lines.last() else { break };
        after = last.id;
        for line in lines {
            let top = chain.last().copied();
            if line.kind == "applied" {
                if top.is_some() && top != line.parent {
                    let expected = format!("a child of block {}", top.unwrap_or(0));
                    oddities.push(odd(
                        line.id.to_string(),
                        expected,
                        line.block_id.to_string(),
                    ));
                }
                chain.push(line.block_id);
            } else if chain.pop() != Some(line.block_id) {
                let expected = format!("block {}, the last one applied", top.unwrap_or(0));
                oddities.push(odd(
                    line.id.to_string(),
                    expected,
                    line.block_id.to_string(),
                ));
            }
            if oddities.len() >= 20 {
                return Ok(oddities);
            }
        }
    }
    let canonical = sqlx::query!("select height, block_id from canonical order by height")
        .fetch_all(&mut *tx)
        .await
        .map_err(failed())?;
    let led: HashMap<usize, i64> = chain.iter().copied().enumerate().collect();
    let wrong = canonical
        .iter()
        .enumerate()
        .find(|(place, row)| led.get(place) != Some(&row.block_id));
    if let Some((place, row)) = wrong {
        let stored = led
            .get(&place)
            .map_or("nothing".to_owned(), |id| format!("block {id}"));
        oddities.push(Oddity {
            height: row.height,
            ..odd(
                "replayed to its end".to_owned(),
                format!("block {} at height {}", row.block_id, row.height),
                stored,
            )
        });
    } else if chain.len() > canonical.len() {
        oddities.push(odd(
            "replayed to its end".to_owned(),
            format!("{} blocks", canonical.len()),
            format!("{} blocks", chain.len()),
        ));
    }
    Ok(oddities)
}
