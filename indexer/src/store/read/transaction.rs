//! Transactions: as they stand on the canonical chain, on other forks, and in the mempool.

use sqlx::PgConnection;

use super::{Hex, Order, ReadError, Rows, Uint, collect};

/// A transaction as it stands in one block.
#[derive(Debug)]
pub struct TransactionRow {
    /// The id.
    pub txid: Hex,
    /// The block.
    pub block: Hex,
    /// Its height.
    pub height: Uint,
    /// Bitcoin height of the block's sortition.
    pub burn_block_height: Uint,
    /// Position in the block.
    pub tx_index: Uint,
    /// Is the block canonical?
    pub canonical: bool,
    /// What it is.
    pub kind: String,
    /// What became of it.
    pub status: String,
    /// Who sent it.
    pub sender: Option<String>,
    /// Who paid for it.
    pub sponsor: Option<String>,
    /// Contract called or deployed.
    pub contract: Option<String>,
    /// Function called.
    pub function: Option<String>,
    /// Nonce, decimal.
    pub nonce: Option<String>,
    /// Micro-STX, decimal.
    pub fee: Option<String>,
    /// SIP-005 bytes; left out of lists.
    pub raw_tx: Option<Hex>,
    /// Serialised Clarity value.
    pub raw_result: Hex,
    /// JSON of an operation sent on Bitcoin.
    pub burnchain_op: Option<String>,
    /// The node's explanation of a failure.
    pub vm_error: Option<String>,
}

// Shared by all reads. `$source` yields rows `t` of `transaction` with `canonical` added; names are
// looked up for the rows of the answer only.
macro_rules! transaction_query {
    ($raw:literal, [$($source:tt)+], $order:literal, $($args:expr),*) => {
        sqlx::query_as!(
            TransactionRow,
            r#"
            select t.txid as "txid!: Hex", b.index_block_hash as "block!: Hex",
                   t.height as "height!: Uint", b.burn_block_height as "burn_block_height!: Uint",
                   t.tx_index as "tx_index!: Uint", t.canonical as "canonical!", t.kind as "kind!",
                   t.status as "status!",
                   (select p.name from principal p where p.id = t.sender) as "sender?",
                   (select p.name from principal p where p.id = t.sponsor) as "sponsor?",
                   (select p.name from principal p where p.id = t.contract) as "contract?",
                   t.function as "function?", t.nonce::text as "nonce?", t.fee::text as "fee?",
            "# + $raw + r#" as "raw_tx?: Hex",
                   t.raw_result as "raw_result!: Hex", t.burnchain_op as "burnchain_op?",
                   t.vm_error as "vm_error?"
            from ("# + $($source)+ + ") t
            join block b on b.id = t.block_id
            order by " + $order,
            $($args),*
        )
    };
}

/// Which canonical transactions, and where the page begins.
#[derive(Debug, Clone)]
pub struct TransactionFilter {
    /// Local number of the contract called or deployed.
    pub contract: Option<i32>,
    /// The node's word for the outcome.
    pub status: Option<String>,
    /// What it is.
    pub kind: Option<String>,
    /// Lowest height.
    pub from: i32,
    /// Highest height.
    pub to: i32,
    /// Direction.
    pub order: Order,
    /// Rows behind this (height, `tx_index`) only.
    pub after: (i32, i32),
    /// At most this many.
    pub limit: u32,
}

// `canonical` is joined by its unique block number and nothing else: with the height as a second
// condition Postgres believes that hardly a row will match, and sorts the whole table.
macro_rules! page_query {
    ($connection:expr, $from:literal, $height:literal, $compare:literal, $direction:literal, $order:literal, $filter:expr) => {{
        let (height, tx_index) = $filter.after;
        transaction_query!(
            "null::bytea",
            ["select t.*, true as canonical from "
                + $from
                + "
                and ($2::integer is null or t.contract = $2) and ($3::text is null or t.status = $3)
                and ($4::text is null or t.kind = $4)
                and "
                + $height
                + " between $5 and $6
                and ("
                + $height
                + ", t.tx_index) "
                + $compare
                + " ($7::integer, $8::integer)
              order by "
                + $height
                + $direction
                + ", t.tx_index"
                + $direction
                + " limit $1"],
            $order,
            i64::from($filter.limit) + 1,
            $filter.contract,
            $filter.status.as_deref(),
            $filter.kind.as_deref(),
            $filter.from,
            $filter.to,
            height,
            tx_index
        )
        .fetch($connection)
    }};
}

/// The same way in both directions.
macro_rules! both_ways {
    ($connection:expr, $from:literal, $height:literal, $filter:expr) => {
        match $filter.order {
            Order::Asc => {
                page_query!(
                    $connection,
                    $from,
                    $height,
                    ">",
                    "",
                    "t.height, t.tx_index",
                    $filter
                )
            }
            Order::Desc => page_query!(
                $connection,
                $from,
                $height,
                "<",
                " desc",
                "t.height desc, t.tx_index desc",
                $filter
            ),
        }
    };
}

/// A page of canonical transactions in chain order, without their raw bytes.
///
/// # Errors
/// When the database cannot be read.
pub async fn page(
    connection: &mut PgConnection,
    filter: &TransactionFilter,
) -> Result<Rows<TransactionRow>, ReadError> {
    let rows = if filter.contract.is_some() {
        both_ways!(
            connection,
            "transaction t join canonical c on c.block_id = t.block_id where true",
            "t.height",
            filter
        )
    } else {
        both_ways!(
            connection,
            "canonical c join transaction t on t.block_id = c.block_id where true",
            "c.height",
            filter
        )
    };
    collect(rows, filter.limit, |row| row.raw_result.0.len())
        .await
        .map_err(ReadError::reading("transactions"))
}

/// Every occurrence of a transaction, the canonical one first.
///
/// # Errors
/// When the database cannot be read.
pub async fn occurrences(
    connection: &mut PgConnection,
    txid: &[u8],
) -> Result<Vec<TransactionRow>, ReadError> {
    transaction_query!(
        "t.raw_tx",
        ["select t.*, c.block_id is not null as canonical
          from transaction t left join canonical c on c.block_id = t.block_id
          where t.txid = $1
          order by c.block_id is null, t.height desc, t.block_id desc limit 100"],
        "not t.canonical, t.height desc, t.block_id desc",
        txid
    )
    .fetch_all(connection)
    .await
    .map_err(ReadError::reading("a transaction"))
}

/// What the node said about a transaction before it was mined.
#[derive(Debug)]
pub struct SightingRow {
    /// RFC 3339.
    pub first_seen: String,
    /// RFC 3339; none while it waits.
    pub dropped_at: Option<String>,
    /// The node's word for why.
    pub drop_reason: Option<String>,
    /// The transaction that took its place.
    pub replaced_by: Option<Hex>,
}

/// The mempool's word on a transaction.
///
/// # Errors
/// When the database cannot be read.
pub async fn sighting(
    connection: &mut PgConnection,
    txid: &[u8],
) -> Result<Option<SightingRow>, ReadError> {
    sqlx::query_as!(
        SightingRow,
        r#"
        select to_char(first_seen at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as "first_seen!",
               to_char(dropped_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as "dropped_at?",
               drop_reason, replaced_by as "replaced_by?: Hex"
        from mempool_sighting
        where txid = $1
        "#,
        txid,
    )
    .fetch_optional(connection)
    .await
    .map_err(ReadError::reading("a mempool sighting"))
}

/// The local number of a principal; none when no mirrored row names it.
///
/// # Errors
/// When the database cannot be read.
pub async fn principal_id(
    connection: &mut PgConnection,
    name: &str,
) -> Result<Option<i32>, ReadError> {
    sqlx::query_scalar!("select id from principal where name = $1", name)
        .fetch_optional(connection)
        .await
        .map_err(ReadError::reading("a principal"))
}

/// Does a canonical block hold this transaction?
///
/// # Errors
/// When the database cannot be read.
pub async fn is_canonical(connection: &mut PgConnection, txid: &[u8]) -> Result<bool, ReadError> {
    sqlx::query_scalar!(
        r#"
        select exists (
            select from transaction t
            join canonical c on c.block_id = t.block_id
            where t.txid = $1
        ) as "exists!"
        "#,
        txid,
    )
    .fetch_one(connection)
    .await
    .map_err(ReadError::reading("a transaction"))
}
