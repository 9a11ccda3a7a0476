//! What came to treasuries and went from them, transaction by transaction, as of a block of any fork.

use sqlx::PgConnection;

use super::mirror::Standing;
use crate::store::StoreError;

/// A transfer to or from a treasury.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MoveRow {
    /// The transaction, hexadecimal with 0x.
    pub txid: String,
    /// Among the events of the transaction.
    pub ordinal: i32,
    /// Who sent it.
    pub sender: Option<String>,
    /// Who received it.
    pub recipient: Option<String>,
    /// `STX`, or the token's contract.
    pub asset: Option<String>,
    /// Base units.
    pub amount: Option<String>,
    /// The transaction took a fee, or carried out a payment.
    pub owed: bool,
}

/// A page of the transactions that took a fee for a treasury or paid from one, on any fork, in the order of their ids.
///
/// # Errors
/// When the database fails.
pub async fn movers(
    connection: &mut PgConnection,
    after: &str,
    limit: i64,
) -> Result<Vec<String>, StoreError> {
    sqlx::query_scalar!(
        r#"
        select distinct (state ->> 'last') collate "C" as "txid!"
        from projection_version
        where projection = 17 and (state ->> 'last') collate "C" > $1
        order by 1 limit $2
        "#,
        after,
        limit
    )
    .fetch_all(connection)
    .await
    .map_err(StoreError::db("read what moved money of treasuries"))
}

/// The transfers to and from treasuries in some transactions, as of a block; transactions that are not in the chain there
/// are left out.
///
/// # Errors
/// When the database fails.
pub async fn moves(
    connection: &mut PgConnection,
    txids: &[Vec<u8>],
    treasuries: &[String],
    at: &Standing,
) -> Result<Vec<MoveRow>, StoreError> {
    sqlx::query_file_as!(
        MoveRow,
        "src/store/reconcile/moves.sql",
        txids,
        treasuries,
        &at.fork,
        at.canonical_to,
    )
    .fetch_all(connection)
    .await
    .map_err(StoreError::db("read the transfers of treasuries"))
}

/// Transactions with transfers to or from treasuries in blocks that were applied or retracted in these lines of the outbox
/// (the first excluded).
///
/// # Errors
/// When the database fails.
pub async fn touched(
    connection: &mut PgConnection,
    treasuries: &[String],
    lines: (i64, i64),
    limit: i64,
) -> Result<Vec<String>, StoreError> {
    sqlx::query_scalar!(
        r#"
        with treasury as materialized (select id from principal where name = any($1))
        select distinct '0x' || encode(t.txid, 'hex') as "txid!"
        from outbox o
        join event e on e.block_id = o.block_id and e.kind in (2, 6)
        join transaction t on t.block_id = e.block_id and t.tx_index = e.tx_index
        where o.id > $2 and o.id <= $3
          and (e.sender in (select id from treasury) or e.recipient in (select id from treasury))
        order by 1 limit $4
        "#,
        treasuries,
        lines.0,
        lines.1,
        limit
    )
    .fetch_all(connection)
    .await
    .map_err(StoreError::db("read which transfers of treasuries changed"))
}
