//! Whether anything is missing: the followed contracts' chains of events, and what a node said of them.

use sqlx::PgConnection;

use super::{Hex, ReadError, Rows, Uint, Ulong, collect};

pub use crate::project::market::event_chain::EventChainState;
pub use crate::project::market::unrecognised::UnrecognisedState;
pub use crate::store::audit::Verdict;

/// Projection of the contracts' own hash chains; the entity is the contract's id.
pub const EVENT_CHAIN: &str = "event_chain";
/// Projection of prints that are not of the catalogue; the entity is the contract's id.
pub const UNRECOGNISED: &str = "unrecognised";

/// Where the mirror begins.
#[derive(Debug)]
pub struct OriginRow {
    /// Index block hash of the lowest mirrored block.
    pub origin: Option<Hex>,
    /// Its height.
    pub height: Option<Uint>,
}

/// Reads where the mirror begins.
///
/// # Errors
/// When the database cannot be read.
pub async fn origin(connection: &mut PgConnection) -> Result<OriginRow, ReadError> {
    sqlx::query_as!(
        OriginRow,
        r#"
        select m.origin as "origin?: Hex", b.height as "height?: Uint"
        from mirror m
        left join block b on b.index_block_hash = m.origin
        "#
    )
    .fetch_one(connection)
    .await
    .map_err(ReadError::reading("the mirror's origin"))
}

/// Contracts of the catalogue's names by id: those of the follow set, and those that have printed.
///
/// # Errors
/// When the database cannot be read.
pub async fn contracts(
    connection: &mut PgConnection,
    names: &[String],
    only: Option<&str>,
    limit: u32,
) -> Result<Rows<String>, ReadError> {
    let rows = sqlx::query_scalar!(
        r#"
        select n.name as "name!"
        from (
            select f.name
            from mirror m cross join lateral jsonb_array_elements_text(m.follow -> 'contracts') as f (name)
            where split_part(f.name, '.', 2) = any($1)
            union
            select k.entity from projection_current k
            where k.projection in (select id from projection where name in ('event_chain', 'unrecognised'))
        ) n
        where $2::text is null or n.name = $2
        order by n.name
        limit $3
        "#,
        names,
        only,
        i64::from(limit) + 1,
    )
    .fetch(connection);
    collect(rows, limit, |_| 0)
        .await
        .map_err(ReadError::reading("the followed contracts"))
}

/// The newest comparison of a contract's chain of events with the contract's own cursor.
#[derive(Debug)]
pub struct ProofRow {
    /// The contract.
    pub contract: String,
    /// The block at which they were compared.
    pub block: Hex,
    /// Its height.
    pub height: Uint,
    /// Is that block canonical?
    pub canonical: bool,
    /// Number of the newest event in the mirror.
    pub seq: String,
    /// Hash of that event.
    pub head: Hex,
    /// The contract's own number.
    pub node_seq: Option<String>,
    /// The contract's own hash.
    pub node_head: Option<Hex>,
    /// What it came to, as stored.
    pub verdict: String,
    /// RFC 3339.
    pub checked_at: String,
    /// The same in microseconds since 1970.
    pub checked_micros: Ulong,
    /// The last difference ever seen, in words.
    pub last_difference: Option<String>,
}

/// The newest comparisons of some contracts, by contract.
///
/// # Errors
/// When the database cannot be read.
pub async fn proofs(
    connection: &mut PgConnection,
    contracts: &[String],
) -> Result<Vec<ProofRow>, ReadError> {
    sqlx::query_as!(
        ProofRow,
        r#"
        select p.contract, p.index_block_hash as "block!: Hex", p.height as "height!: Uint",
               exists (select from block b join canonical c on c.block_id = b.id
                       where b.index_block_hash = p.index_block_hash) as "canonical!",
               p.seq::text as "seq!", p.head as "head!: Hex", p.node_seq::text as "node_seq?",
               p.node_head as "node_head?: Hex", p.verdict,
               to_char(p.checked_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as "checked_at!",
               (extract(epoch from p.checked_at) * 1000000)::bigint as "checked_micros!: Ulong",
               p.last_difference as "last_difference?"
        from cursor_proof p
        where p.contract = any($1)
        order by p.contract
        "#,
        contracts,
    )
    .fetch_all(connection)
    .await
    .map_err(ReadError::reading("the proofs"))
}

/// A height at which a node agreed with something.
#[derive(Debug)]
pub struct AuditedRow {
    /// The height.
    pub height: Uint,
    /// What that shows, as stored.
    pub evidence: String,
    /// The first of such comparisons, RFC 3339.
    pub checked_at: String,
}

/// When a node was last asked about anything beyond cursors, in microseconds since 1970; 0 for never.
///
/// # Errors
/// When the database cannot be read.
pub async fn newest_audit(connection: &mut PgConnection) -> Result<Ulong, ReadError> {
    sqlx::query_scalar!(
        r#"
        select coalesce((extract(epoch from max(checked_at)) * 1000000)::bigint, 0) as "newest!: Ulong"
        from audit_result
        "#
    )
    .fetch_one(connection)
    .await
    .map_err(ReadError::reading("the newest audit"))
}

/// Canonical heights at which a node agreed, the highest first. Where something of a kind differs, nothing of that
/// kind counts.
///
/// # Errors
/// When the database cannot be read.
pub async fn audited(
    connection: &mut PgConnection,
    up_to: i32,
    limit: u32,
) -> Result<Rows<AuditedRow>, ReadError> {
    let rows = sqlx::query_as!(
        AuditedRow,
        r#"
        select r.height as "height!: Uint", r.evidence,
               to_char(min(r.checked_at) at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as "checked_at!"
        from audit_result r
        join block b on b.index_block_hash = r.index_block_hash
        join canonical c on c.block_id = b.id
        where r.verdict = 'agrees' and r.height <= $1
          and not exists (select from audit_result d
                          where d.verdict = 'differs' and d.height = r.height and d.evidence = r.evidence)
        group by r.height, r.evidence
        order by r.height desc, r.evidence
        limit $2
        "#,
        up_to,
        i64::from(limit) + 1,
    )
    .fetch(connection);
    collect(rows, limit, |_| 0)
        .await
        .map_err(ReadError::reading("the audits"))
}
