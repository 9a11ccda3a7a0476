//! Events of the canonical chain.

use sqlx::PgConnection;

use super::{Hex, Order, ReadError, Rows, Uint, collect};

/// An event at its place in the chain.
#[derive(Debug)]
pub struct EventRow {
    /// The block.
    pub block: Hex,
    /// Its height.
    pub height: Uint,
    /// Bitcoin height of the block's sortition.
    pub burn_block_height: Uint,
    /// The transaction.
    pub txid: Hex,
    /// Its position in the block.
    pub tx_index: Uint,
    /// Position among the transaction's committed events.
    pub ordinal: Uint,
    /// Code of the kind.
    pub kind: i16,
    /// The contract that printed, defines the token, or locked.
    pub contract: Option<String>,
    /// The token's name within its contract.
    pub asset: Option<String>,
    /// Who lost.
    pub sender: Option<String>,
    /// Who received.
    pub recipient: Option<String>,
    /// Base units, decimal.
    pub amount: Option<String>,
    /// Burn height, decimal.
    pub unlock_height: Option<String>,
    /// Topic of a printed tuple.
    pub topic: Option<String>,
    /// Serialised value, memo, or JSON.
    pub value: Option<Hex>,
}

/// Which canonical events, and where the page begins.
#[derive(Debug, Clone)]
pub struct EventFilter {
    /// Local number of the contract.
    pub contract: Option<i32>,
    /// Topic of a printed tuple.
    pub topic: Option<String>,
    /// Code of the kind.
    pub kind: Option<i16>,
    /// The transaction.
    pub txid: Option<Vec<u8>>,
    /// Lowest height.
    pub from: i32,
    /// Highest height.
    pub to: i32,
    /// Direction.
    pub order: Order,
    /// Rows behind this (height, `tx_index`, ordinal) only.
    pub after: (i32, i32, i32),
    /// At most this many.
    pub limit: u32,
}

// The page is cut first, on events and the canonical chain alone, and only its rows are completed.
// `canonical` is joined by its unique block number and nothing else: with the height as a second
// condition Postgres believes that hardly a row will match, and sorts the whole table.
macro_rules! event_query {
    ($from:literal, $height:literal, $compare:literal, $direction:literal, $filter:expr $(, $key:expr)?) => {{
        let (height, tx_index, ordinal) = $filter.after;
        sqlx::query_as!(
            EventRow,
            r#"
            select b.index_block_hash as "block!: Hex", e.height as "height!: Uint",
                   b.burn_block_height as "burn_block_height!: Uint",
                   (select t.txid from transaction t
                    where t.block_id = e.block_id and t.tx_index = e.tx_index) as "txid!: Hex",
                   e.tx_index as "tx_index!: Uint", e.ordinal as "ordinal!: Uint", e.kind as "kind!",
                   (select p.name from principal p where p.id = e.contract) as "contract?",
                   e.asset as "asset?",
                   (select p.name from principal p where p.id = e.sender) as "sender?",
                   (select p.name from principal p where p.id = e.recipient) as "recipient?",
                   e.amount::text as "amount?", e.unlock_height::text as "unlock_height?",
                   e.topic as "topic?", e.value as "value?: Hex"
            from (
                select e.* from "# + $from + r#"
                  and ($2::text is null or e.topic = $2) and ($3::smallint is null or e.kind = $3)
                  and ($4::integer is null or e.contract = $4)
                  and "# + $height + " between $5 and $6 and ("
                  + $height + ", e.tx_index, e.ordinal)" + $compare + "($7::integer, $8::integer, $9::integer)
                order by " + $height + $direction + ", e.tx_index" + $direction + ", e.ordinal" + $direction + "
                limit $1
            ) e
            join block b on b.id = e.block_id
            order by e.height" + $direction + ", e.tx_index" + $direction + ", e.ordinal" + $direction,
            i64::from($filter.limit) + 1,
            $filter.topic.as_deref(),
            $filter.kind,
            $filter.contract,
            $filter.from,
            $filter.to,
            height,
            tx_index,
            ordinal
            $(, $key)?
        )
    }};
}

/// The same way in both directions.
macro_rules! both_ways {
    ($connection:expr, $from:literal, $height:literal, $filter:expr $(, $key:expr)?) => {
        match $filter.order {
            Order::Asc => event_query!($from, $height, ">", "", $filter $(, $key)?).fetch($connection),
            Order::Desc => {
                event_query!($from, $height, "<", " desc", $filter $(, $key)?).fetch($connection)
            }
        }
    };
}

/// A page of canonical events in chain order.
///
/// # Errors
/// When the database cannot be read.
pub async fn page(
    connection: &mut PgConnection,
    filter: &EventFilter,
) -> Result<Rows<EventRow>, ReadError> {
    let rows = if let Some(txid) = &filter.txid {
        both_ways!(
            connection,
            "transaction t
             join canonical c on c.block_id = t.block_id
             join event e on e.block_id = t.block_id and e.tx_index = t.tx_index
             where t.txid = $10",
            "e.height",
            filter,
            txid
        )
    } else if filter.contract.is_some() {
        both_ways!(
            connection,
            "event e join canonical c on c.block_id = e.block_id where true",
            "e.height",
            filter
        )
    } else {
        both_ways!(
            connection,
            "canonical c join event e on e.block_id = c.block_id where true",
            "c.height",
            filter
        )
    };
    collect(rows, filter.limit, |row| {
        row.value.as_ref().map_or(0, |value| value.0.len())
    })
    .await
    .map_err(ReadError::reading("events"))
}
