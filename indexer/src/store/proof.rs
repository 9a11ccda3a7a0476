//! What `verify` reads: stored rows in a shape that can be compared, field by field, with rows made
//! anew from the payloads.

use sqlx::PgPool;

use super::StoreError;
use crate::model::canonical::canonical_json;
use crate::model::{Block, Version};

/// A row as the fields it is compared by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Names the row within its block and table.
    pub key: String,
    /// Column and content, in one order for expected and stored rows.
    pub fields: Vec<(&'static str, String)>,
}

/// The rows of one table that belong to one block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableRows {
    /// The table.
    pub table: &'static str,
    /// Its rows, in order of the key.
    pub rows: Vec<Row>,
}

fn opt<T: ToString>(value: &Option<T>) -> String {
    value
        .as_ref()
        .map_or_else(|| "null".to_owned(), ToString::to_string)
}

fn hex_of(bytes: &[u8]) -> String {
    format!("0x{}", hex::encode(bytes))
}

fn opt_hex(bytes: &Option<Vec<u8>>) -> String {
    bytes.as_deref().map_or_else(|| "null".to_owned(), hex_of)
}

/// The rows that a block must have, in the tables' order.
pub fn expected(block: &Block, versions: &[Version]) -> Vec<TableRows> {
    let h = &block.header;
    let header = Row {
        key: h.id.to_string(),
        fields: vec![
            ("parent", h.parent.to_string()),
            ("height", h.height.to_string()),
            ("block_hash", h.block_hash.to_string()),
            ("block_time", opt(&h.block_time)),
            ("burn_block_hash", h.burn_block_hash.to_string()),
            ("burn_block_height", h.burn_block_height.to_string()),
            ("burn_block_time", h.burn_block_time.to_string()),
            ("consensus_hash", opt(&h.consensus_hash)),
            ("burn_view", opt(&h.burn_view)),
            ("miner_txid", opt(&h.miner_txid)),
            ("tenure_height", opt(&h.tenure_height)),
            ("listed_transactions", block.listed_transactions.to_string()),
            ("listed_events", block.listed_events.to_string()),
        ],
    };
    let transactions = block.transactions.iter().map(|t| Row {
        key: format!("tx_index {}", t.tx_index),
        fields: vec![
            ("txid", t.txid.to_string()),
            ("kind", t.kind.as_str().to_owned()),
            ("status", t.status.as_str().to_owned()),
            ("sender", opt(&t.sender)),
            ("sponsor", opt(&t.sponsor)),
            ("contract", opt(&t.contract)),
            ("nonce", opt(&t.nonce)),
            ("fee", opt(&t.fee)),
            ("function", opt(&t.function)),
            ("raw_tx", hex_of(&t.raw_tx)),
            ("raw_result", hex_of(&t.raw_result)),
            ("burnchain_op", opt(&t.burnchain_op)),
            ("vm_error", opt(&t.vm_error)),
            ("height", h.height.to_string()),
        ],
    });
    let events = block.events.iter().map(|e| Row {
        key: format!("tx_index {} ordinal {}", e.tx_index, e.ordinal),
        fields: vec![
            ("kind", e.body.kind.code().to_string()),
            ("contract", opt(&e.body.contract)),
            ("sender", opt(&e.body.sender)),
            ("recipient", opt(&e.body.recipient)),
            ("amount", opt(&e.body.amount)),
            ("unlock_height", opt(&e.body.unlock_height)),
            ("asset", opt(&e.body.asset)),
            ("topic", opt(&e.body.topic)),
            ("value", opt_hex(&e.body.value)),
            ("height", h.height.to_string()),
        ],
    });
    let versions = versions.iter().map(|v| Row {
        key: format!(
            "projection {} entity {} position {}",
            v.projection, v.entity, v.position
        ),
        fields: vec![
            ("state", canonical_json(&v.state)),
            ("height", h.height.to_string()),
        ],
    });
    vec![
        TableRows {
            table: "block",
            rows: vec![header],
        },
        TableRows {
            table: "transaction",
            rows: transactions.collect(),
        },
        TableRows {
            table: "event",
            rows: events.collect(),
        },
        TableRows {
            table: "projection_version",
            rows: versions.collect(),
        },
    ]
}

/// The rows that a block has.
///
/// # Errors
/// When the database fails.
pub async fn stored(pool: &PgPool, block_id: i64) -> Result<Vec<TableRows>, StoreError> {
    Ok(vec![
        TableRows {
            table: "block",
            rows: stored_header(pool, block_id).await?,
        },
        TableRows {
            table: "transaction",
            rows: stored_transactions(pool, block_id).await?,
        },
        TableRows {
            table: "event",
            rows: stored_events(pool, block_id).await?,
        },
        TableRows {
            table: "projection_version",
            rows: stored_versions(pool, block_id).await?,
        },
    ])
}

async fn stored_header(pool: &PgPool, block_id: i64) -> Result<Vec<Row>, StoreError> {
    let rows = sqlx::query!(
        "select index_block_hash, parent, height, block_hash, block_time, burn_block_hash,
             burn_block_height, burn_block_time, consensus_hash, burn_view, miner_txid, tenure_height,
             listed_transactions, listed_events
         from block where id = $1",
        block_id
    )
    .fetch_all(pool)
    .await
    .map_err(StoreError::db("read a block's header"))?;
    let rows = rows.into_iter().map(|b| Row {
        key: hex_of(&b.index_block_hash),
        fields: vec![
            ("parent", hex_of(&b.parent)),
            ("height", b.height.to_string()),
            ("block_hash", hex_of(&b.block_hash)),
            ("block_time", opt(&b.block_time)),
            ("burn_block_hash", hex_of(&b.burn_block_hash)),
            ("burn_block_height", b.burn_block_height.to_string()),
            ("burn_block_time", b.burn_block_time.to_string()),
            ("consensus_hash", opt_hex(&b.consensus_hash)),
            ("burn_view", opt_hex(&b.burn_view)),
            ("miner_txid", opt_hex(&b.miner_txid)),
            ("tenure_height", opt(&b.tenure_height)),
            ("listed_transactions", b.listed_transactions.to_string()),
            ("listed_events", b.listed_events.to_string()),
        ],
    });
    Ok(rows.collect())
}

async fn stored_transactions(pool: &PgPool, block_id: i64) -> Result<Vec<Row>, StoreError> {
    let rows = sqlx::query!(
        r#"select t.tx_index, t.height, t.txid, t.kind, t.status, s.name as "sender?", p.name as "sponsor?",
             c.name as "contract?", t.nonce::text, t.fee::text, t.function, t.raw_tx, t.raw_result,
             t.burnchain_op, t.vm_error
         from transaction t
         left join principal s on s.id = t.sender
         left join principal p on p.id = t.sponsor
         left join principal c on c.id = t.contract
         where t.block_id = $1 order by t.tx_index"#,
        block_id
    )
    .fetch_all(pool)
    .await
    .map_err(StoreError::db("read a block's transactions"))?;
    let rows = rows.into_iter().map(|t| Row {
        key: format!("tx_index {}", t.tx_index),
        fields: vec![
            ("txid", hex_of(&t.txid)),
            ("kind", t.kind),
            ("status", t.status),
            ("sender", opt(&t.sender)),
            ("sponsor", opt(&t.sponsor)),
            ("contract", opt(&t.contract)),
            ("nonce", opt(&t.nonce)),
            ("fee", opt(&t.fee)),
            ("function", opt(&t.function)),
            ("raw_tx", hex_of(&t.raw_tx)),
            ("raw_result", hex_of(&t.raw_result)),
            ("burnchain_op", opt(&t.burnchain_op)),
            ("vm_error", opt(&t.vm_error)),
            ("height", t.height.to_string()),
        ],
    });
    Ok(rows.collect())
}

async fn stored_events(pool: &PgPool, block_id: i64) -> Result<Vec<Row>, StoreError> {
    let rows = sqlx::query!(
        r#"select e.tx_index, e.ordinal, e.height, e.kind, c.name as "contract?", s.name as "sender?",
             r.name as "recipient?", e.amount::text, e.unlock_height::text, e.asset, e.topic, e.value
         from event e
         left join principal c on c.id = e.contract
         left join principal s on s.id = e.sender
         left join principal r on r.id = e.recipient
         where e.block_id = $1 order by e.tx_index, e.ordinal"#,
        block_id
    )
    .fetch_all(pool)
    .await
    .map_err(StoreError::db("read a block's events"))?;
    let rows = rows.into_iter().map(|e| Row {
        key: format!("tx_index {} ordinal {}", e.tx_index, e.ordinal),
        fields: vec![
            ("kind", e.kind.to_string()),
            ("contract", opt(&e.contract)),
            ("sender", opt(&e.sender)),
            ("recipient", opt(&e.recipient)),
            ("amount", opt(&e.amount)),
            ("unlock_height", opt(&e.unlock_height)),
            ("asset", opt(&e.asset)),
            ("topic", opt(&e.topic)),
            ("value", opt_hex(&e.value)),
            ("height", e.height.to_string()),
        ],
    });
    Ok(rows.collect())
}

async fn stored_versions(pool: &PgPool, block_id: i64) -> Result<Vec<Row>, StoreError> {
    let rows = sqlx::query!(
        r#"select projection, entity, position, height, state from projection_version
           where block_id = $1 order by projection, entity collate "C", position"#,
        block_id
    )
    .fetch_all(pool)
    .await
    .map_err(StoreError::db("read a block's versions"))?;
    let rows = rows.into_iter().map(|v| Row {
        key: format!(
            "projection {} entity {} position {}",
            v.projection, v.entity, v.position
        ),
        fields: vec![
            ("state", canonical_json(&v.state)),
            ("height", v.height.to_string()),
        ],
    });
    Ok(rows.collect())
}

/// A block to verify.
#[derive(Debug, Clone)]
pub struct BlockHead {
    /// Local number; blocks come parents first.
    pub id: i64,
    /// Its payload.
    pub inbox_id: i64,
    /// Identity, parent, digests as stored.
    pub index_block_hash: Vec<u8>,
    /// Stacks height.
    pub height: i32,
    /// Digest of its rows.
    pub rows_digest: Vec<u8>,
    /// Digest chain.
    pub digest: Vec<u8>,
}

/// Heights at which the canonical chain is broken: a block whose parent is not canonical, a gap, or a
/// block at another height than its own (CH-1, CH-2).
///
/// # Errors
/// When the database fails.
pub async fn broken_heights(pool: &PgPool) -> Result<Vec<i32>, StoreError> {
    sqlx::query_scalar!(
        r#"select c.height from canonical c
           left join block b on b.id = c.block_id
           left join canonical pc on pc.height = c.height - 1
           left join block p on p.id = pc.block_id
           where b.height is distinct from c.height
              or (p.index_block_hash is distinct from b.parent
                  and c.height > (select min(height) from canonical))
           order by c.height limit 20"#
    )
    .fetch_all(pool)
    .await
    .map_err(StoreError::db("check the canonical chain"))
}

/// Entities whose pointer is not their newest canonical version, as `projection entity`.
///
/// # Errors
/// When the database fails.
pub async fn wrong_pointers(pool: &PgPool) -> Result<Vec<String>, StoreError> {
    sqlx::query_scalar!(
        r#"with newest as (
               select distinct on (v.projection, v.entity) v.projection, v.entity, v.id
               from projection_version v
               join canonical c on c.height = v.height and c.block_id = v.block_id
               order by v.projection, v.entity, v.height desc, v.position desc
           )
           select coalesce(n.projection, p.projection)::text || ' ' || coalesce(n.entity, p.entity) as "entity!"
           from newest n full join projection_current p using (projection, entity)
           where n.id is distinct from p.version_id limit 20"#
    )
    .fetch_all(pool)
    .await
    .map_err(StoreError::db("check the projection pointers"))
}

/// The canonical tip as the pointer says and as the mirror's row says.
///
/// # Errors
/// When the database fails.
pub async fn tips(pool: &PgPool) -> Result<(Option<Vec<u8>>, Option<Vec<u8>>), StoreError> {
    let row = sqlx::query!(
        r#"select (select b.index_block_hash from canonical c join block b on b.id = c.block_id
                   order by c.height desc limit 1) as pointer,
                  (select b.index_block_hash from mirror m join block b on b.id = m.tip_block_id) as mirror"#
    )
    .fetch_one(pool)
    .await
    .map_err(StoreError::db("read the tip"))?;
    Ok((row.pointer, row.mirror))
}

/// A stored Bitcoin block and where its payload lies.
#[derive(Debug, Clone)]
pub struct StoredBurnBlock {
    /// The identity.
    pub hash: Vec<u8>,
    /// Its height.
    pub height: i32,
    /// Its parent, if the payload named one.
    pub parent: Option<Vec<u8>>,
    /// Its sortition, if the payload named one.
    pub consensus_hash: Option<Vec<u8>>,
    /// Where the payload lies.
    pub inbox_id: i64,
}

/// Every stored Bitcoin block.
///
/// # Errors
/// When the database fails.
pub async fn burn_blocks(pool: &PgPool) -> Result<Vec<StoredBurnBlock>, StoreError> {
    sqlx::query_as!(
        StoredBurnBlock,
        "select hash, height, parent, consensus_hash, inbox_id from burn_block order by height, hash"
    )
    .fetch_all(pool)
    .await
    .map_err(StoreError::db("read the Bitcoin blocks"))
}

/// Payloads that count as applied although no block, or no Bitcoin block, came of them.
///
/// # Errors
/// When the database fails.
pub async fn without_facts(pool: &PgPool) -> Result<Vec<i64>, StoreError> {
    sqlx::query_scalar!(
        "select i.id from inbox i
         where i.state = 1
           and ((i.endpoint = 1 and not exists (
                    select from block b where b.index_block_hash = i.index_block_hash))
             or (i.endpoint = 2 and not exists (select from burn_block)))
         order by i.id limit 20"
    )
    .fetch_all(pool)
    .await
    .map_err(StoreError::db("look for payloads without facts"))
}
