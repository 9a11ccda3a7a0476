//! What an explanation reads: an entity's versions on one branch, what caused them, and where that came from.

use serde_json::Value;
use sqlx::PgConnection;

use super::{Hex, ReadError, Uint};

/// A version on the branch of a block.
#[derive(Debug, Clone)]
pub struct LineVersion {
    /// Local number of its block.
    pub block_id: i64,
    /// Height of its block.
    pub height: i32,
    /// `tx_index * 2^32 + ordinal` of the cause.
    pub position: i64,
    /// The state.
    pub state: Value,
}

/// Entities of a projection whose name ends so, at most five.
///
/// # Errors
/// When the database cannot be read.
pub async fn entities_ending(
    connection: &mut PgConnection,
    projection: &str,
    ending: &str,
) -> Result<Vec<String>, ReadError> {
    sqlx::query_scalar!(
        "select distinct v.entity from projection_version v join projection p on p.id = v.projection
         where p.name = $1 and right(v.entity, length($2)) = $2 order by 1 limit 5",
        projection,
        ending
    )
    .fetch_all(connection)
    .await
    .map_err(ReadError::reading("entities"))
}

/// Versions of an entity on the branch that ends at a block, newest first, below (height, position).
///
/// # Errors
/// When the database cannot be read.
pub async fn versions(
    connection: &mut PgConnection,
    block: &[u8],
    (projection, entity): (&str, &str),
    below: (i32, i64),
    limit: i64,
) -> Result<Vec<LineVersion>, ReadError> {
    sqlx::query_as!(
        LineVersion,
        r#"with recursive branch as (
               select b.id, b.parent, b.height,
                      exists (select from canonical c where c.block_id = b.id) as canonical
               from block b where b.index_block_hash = $1
               union all
               select p.id, p.parent, p.height, exists (select from canonical c where c.block_id = p.id)
               from branch b join block p on p.index_block_hash = b.parent where not b.canonical
           ), side as materialized (
               select coalesce(array_agg(id), '{}') as ids from branch where not canonical
           ), trunk as materialized (
               select coalesce(max(height), -1) as height from branch where canonical
           )
           select v.block_id as "block_id!", v.height as "height!", v.position as "position!", v.state as "state!"
           from side, trunk, projection_version v
           where v.projection = (select id from projection where name = $2) and v.entity = $3
             and (v.height, v.position) < ($4::integer, $5::bigint)
             and (v.block_id = any (side.ids) or (v.height <= trunk.height and exists (
                 select from canonical c where c.height = v.height and c.block_id = v.block_id)))
           order by v.height desc, v.position desc limit $6"#,
        block,
        projection,
        entity,
        below.0,
        below.1,
        limit
    )
    .fetch_all(connection)
    .await
    .map_err(ReadError::reading("an entity's versions"))
}

/// An event that may have caused a version.
#[derive(Debug, Clone)]
pub struct CauseRow {
    /// Local number of its block.
    pub block_id: i64,
    /// Its transaction's place.
    pub tx_index: i32,
    /// Its place in the transaction.
    pub ordinal: i32,
    /// Code of its kind.
    pub kind: i16,
    /// Contract that printed or defines the asset.
    pub contract: Option<String>,
    /// Who gave.
    pub sender: Option<String>,
    /// Who received.
    pub recipient: Option<String>,
    /// Base units.
    pub amount: Option<String>,
    /// Name of the asset.
    pub asset: Option<String>,
    /// Topic of a print.
    pub topic: Option<String>,
    /// Serialised value.
    pub value: Option<Vec<u8>>,
    /// The transaction.
    pub txid: Hex,
}

/// Events of some transactions, given as (block, place), in chain order.
///
/// # Errors
/// When the database cannot be read.
pub async fn causes(
    connection: &mut PgConnection,
    transactions: &[(i64, i32)],
) -> Result<Vec<CauseRow>, ReadError> {
    let (blocks, places): (Vec<i64>, Vec<i32>) = transactions.iter().copied().unzip();
    sqlx::query_as!(
        CauseRow,
        r#"select e.block_id, e.tx_index, e.ordinal, e.kind, k.name as "contract?", s.name as "sender?",
                  r.name as "recipient?", e.amount::text, e.asset, e.topic, e.value, t.txid as "txid!: Hex"
           from (select distinct * from unnest($1::bigint[], $2::integer[])) w (block_id, tx_index)
           join transaction t on t.block_id = w.block_id and t.tx_index = w.tx_index
           join event e on e.block_id = t.block_id and e.tx_index = t.tx_index
           left join principal k on k.id = e.contract
           left join principal s on s.id = e.sender
           left join principal r on r.id = e.recipient
           order by e.height, e.block_id, e.tx_index, e.ordinal"#,
        &blocks,
        &places
    )
    .fetch_all(connection)
    .await
    .map_err(ReadError::reading("the events behind a state"))
}

/// A block and the payload that it came of.
#[derive(Debug, Clone)]
pub struct OriginOfBlock {
    /// Local number.
    pub block_id: i64,
    /// The block.
    pub block: Hex,
    /// Its height.
    pub height: Uint,
    /// Bitcoin height of its sortition.
    pub burn_block_height: Uint,
    /// Is it canonical?
    pub canonical: bool,
    /// Its payload.
    pub inbox_id: i64,
    /// When that came; none if the payload is gone.
    pub received_at: Option<String>,
    /// Its hash.
    pub sha256: Option<Hex>,
    /// Code of the source.
    pub source: Option<i16>,
    /// How often it came.
    pub deliveries: Option<i32>,
    /// Was it cut down to what is followed?
    pub cut_down: Option<bool>,
}

/// Blocks by local number, with their payloads.
///
/// # Errors
/// When the database cannot be read.
pub async fn origins(
    connection: &mut PgConnection,
    blocks: &[i64],
) -> Result<Vec<OriginOfBlock>, ReadError> {
    sqlx::query_as!(
        OriginOfBlock,
        r#"select b.id as block_id, b.index_block_hash as "block!: Hex", b.height as "height!: Uint",
                  b.burn_block_height as "burn_block_height!: Uint",
                  exists (select from canonical c where c.block_id = b.id) as "canonical!", b.inbox_id,
                  to_char(i.received_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as "received_at?",
                  i.sha256 as "sha256?: Hex", i.source as "source?", i.deliveries as "deliveries?",
                  i.scope is not null as "cut_down?"
           from block b left join inbox i on i.id = b.inbox_id
           where b.id = any ($1) order by b.height, b.id"#,
        blocks
    )
    .fetch_all(connection)
    .await
    .map_err(ReadError::reading("where blocks came from"))
}

/// Where a transaction stands.
#[derive(Debug, Clone)]
pub struct Standing {
    /// Local number of the block.
    pub block_id: i64,
    /// The block.
    pub block: Hex,
    /// Its height.
    pub height: i32,
    /// Its place in the block.
    pub tx_index: i32,
    /// What it is.
    pub kind: String,
    /// What became of it.
    pub status: String,
    /// Who sent it.
    pub sender: Option<String>,
    /// What it called.
    pub contract: Option<String>,
    /// Which function.
    pub function: Option<String>,
}

/// Every block, of any fork, in which a transaction stands; at most twenty.
///
/// # Errors
/// When the database cannot be read.
pub async fn standings(
    connection: &mut PgConnection,
    txid: &[u8],
) -> Result<Vec<Standing>, ReadError> {
    sqlx::query_as!(
        Standing,
        r#"select t.block_id, b.index_block_hash as "block!: Hex", b.height, t.tx_index, t.kind, t.status,
                  s.name as "sender?", k.name as "contract?", t.function
           from transaction t join block b on b.id = t.block_id
           left join principal s on s.id = t.sender
           left join principal k on k.id = t.contract
           where t.txid = $1 order by b.height, b.id limit 20"#,
        txid
    )
    .fetch_all(connection)
    .await
    .map_err(ReadError::reading("where a transaction stands"))
}

/// A version that a transaction made.
#[derive(Debug, Clone)]
pub struct MadeVersion {
    /// Name of the projection.
    pub projection: String,
    /// The entity.
    pub entity: String,
    /// Its place.
    pub position: i64,
    /// The state.
    pub state: Value,
}

/// Versions with a cause in a transaction; those that sum up a whole block are left out.
///
/// # Errors
/// When the database cannot be read.
pub async fn made_by(
    connection: &mut PgConnection,
    block_id: i64,
    tx_index: i32,
) -> Result<Vec<MadeVersion>, ReadError> {
    sqlx::query_as!(
        MadeVersion,
        r#"select p.name as projection, v.entity, v.position, v.state
           from projection_version v join projection p on p.id = v.projection
           where v.block_id = $1 and v.position >> 32 = $2::integer
             and p.name not in ('contract_cursor', 'contract_activity')
           order by v.position, p.id, v.entity collate "C""#,
        block_id,
        tx_index
    )
    .fetch_all(connection)
    .await
    .map_err(ReadError::reading("what a transaction changed"))
}
