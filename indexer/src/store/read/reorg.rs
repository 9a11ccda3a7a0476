//! Every change of the canonical chain that was not a plain extension.

use sqlx::PgConnection;

use super::{Hex, ReadError, Rows, Uint, Ulong, collect};

/// A reorg.
#[derive(Debug)]
pub struct ReorgRow {
    /// Its number.
    pub generation: Ulong,
    /// RFC 3339.
    pub at: String,
    /// `stacks` or `burn`.
    pub cause: String,
    /// The last common block.
    pub ancestor: Option<Hex>,
    /// Its height.
    pub ancestor_height: Option<Uint>,
    /// The tip that was left.
    pub old_tip: Hex,
    /// Its height.
    pub old_tip_height: Uint,
    /// The tip that was taken.
    pub new_tip: Hex,
    /// Its height.
    pub new_tip_height: Uint,
    /// Blocks that ceased to be canonical.
    pub depth: Uint,
    /// Was a final block left?
    pub left_final: bool,
}

/// A page of reorgs, newest first, below a generation.
///
/// # Errors
/// When the database cannot be read.
pub async fn page(
    connection: &mut PgConnection,
    below: i64,
    limit: u32,
) -> Result<Rows<ReorgRow>, ReadError> {
    let rows = sqlx::query_as!(
        ReorgRow,
        r#"
        select generation as "generation!: Ulong",
               to_char(at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as "at!", cause,
               ancestor as "ancestor?: Hex", ancestor_height as "ancestor_height?: Uint",
               old_tip as "old_tip!: Hex", old_tip_height as "old_tip_height!: Uint",
               new_tip as "new_tip!: Hex", new_tip_height as "new_tip_height!: Uint",
               depth as "depth!: Uint", left_final
        from reorg
        where generation < $1
        order by generation desc
        limit $2
        "#,
        below,
        i64::from(limit) + 1,
    )
    .fetch(connection);
    collect(rows, limit, |_| 0)
        .await
        .map_err(ReadError::reading("reorgs"))
}
