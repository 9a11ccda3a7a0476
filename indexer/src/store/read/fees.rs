//! Fees, one by one, with the events that tell of them.

use sqlx::PgConnection;

use super::{Hex, Order, ReadError, Rows, Uint, Ulong, collect};

/// The event of a settled milestone that paid a fee, as it is stored.
#[derive(Debug)]
pub struct FeeRow {
    /// The escrow.
    pub contract: String,
    /// The block.
    pub block: Hex,
    /// Its height.
    pub height: Uint,
    /// Its clock, unix seconds.
    pub time: Ulong,
    /// Bitcoin height of the block's sortition.
    pub burn_block_height: Uint,
    /// The transaction.
    pub txid: Hex,
    /// Place of the event in the block: `tx_index * 2^32 + ordinal`.
    pub position: Ulong,
    /// What was printed.
    pub value: Hex,
}

/// Which fees, and where the page begins.
#[derive(Debug, Clone)]
pub struct FeeFilter {
    /// Up to this canonical height.
    pub at: i32,
    /// To this treasury.
    pub treasury: Option<String>,
    /// In this asset.
    pub asset: Option<String>,
    /// Lowest height.
    pub from: i32,
    /// Highest height.
    pub to: i32,
    /// Direction.
    pub order: Order,
    /// Behind this (height, position) only.
    pub after: (i32, i64),
    /// At most this many.
    pub limit: u32,
}

macro_rules! fee_query {
    ($compare:literal, $direction:literal, $f:expr) => {
        sqlx::query_as!(
            FeeRow,
            r#"
            select k.name as "contract!", b.index_block_hash as "block!: Hex", v.height as "height!: Uint",
                   coalesce(b.block_time, b.burn_block_time) as "time!: Ulong",
                   b.burn_block_height as "burn_block_height!: Uint", t.txid as "txid!: Hex",
                   v.position as "position!: Ulong", e.value as "value!: Hex"
            from projection_version v
            join canonical c on c.block_id = v.block_id
            join block b on b.id = v.block_id
            join event e on e.block_id = v.block_id and e.tx_index = (v.position >> 32)::integer
                        and e.ordinal = (v.position & 4294967295)::integer
            join transaction t on t.block_id = e.block_id and t.tx_index = e.tx_index
            join principal k on k.id = e.contract
            where v.projection = 17 and v.height between $1::integer and least($2::integer, $3::integer) and e.topic = 'milestone-settled'
              and ($4::text is null or split_part(v.entity, '|', 1) = $4)
              and ($5::text is null or split_part(v.entity, '|', 2) = $5)
              and (v.height, v.position) "# + $compare + " ($6::integer, $7::bigint)
            order by v.height " + $direction + ", v.position " + $direction + " limit $8",
            $f.from,
            $f.to,
            $f.at,
            $f.treasury.as_deref(),
            $f.asset.as_deref(),
            $f.after.0,
            $f.after.1,
            i64::from($f.limit) + 1,
        )
    };
}

/// A page of fees in chain order.
///
/// # Errors
/// When the database cannot be read.
pub async fn page(
    connection: &mut PgConnection,
    filter: &FeeFilter,
) -> Result<Rows<FeeRow>, ReadError> {
    let rows = match filter.order {
        Order::Asc => fee_query!(">", "", filter).fetch(connection),
        Order::Desc => fee_query!("<", "desc", filter).fetch(connection),
    };
    collect(rows, filter.limit, |row| row.value.0.len())
        .await
        .map_err(ReadError::reading("fees"))
}
