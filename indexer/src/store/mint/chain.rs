//! What the mirror knows that mints rest on: the key's transactions, users, badges, what is violated.

use sqlx::PgConnection;

use super::{LaneRef, number};
use crate::store::StoreError;

/// Transactions of a key that are read at once.
const OWN: i64 = 500;
/// Badges of the users of one look.
const BADGES: i64 = 20_000;

/// A canonical transaction of the key.
#[derive(Debug, Clone, PartialEq)]
pub struct OwnRow {
    /// Its nonce.
    pub nonce: u64,
    /// Micro-STX.
    pub fee: u64,
    /// Its bytes, if the source had them.
    pub raw_tx: Vec<u8>,
    /// The contract that it calls.
    pub contract: Option<String>,
    /// The function that it calls.
    pub function: Option<String>,
    /// The node's word for how it ended.
    pub status: String,
    /// The result, serialised.
    pub raw_result: Vec<u8>,
    /// The transaction.
    pub txid: Vec<u8>,
    /// Index block hash.
    pub block: Vec<u8>,
    /// Stacks height.
    pub height: i32,
    /// Bitcoin height.
    pub burn_height: i32,
    /// Events of the badges' contract in it, and transfers of STX.
    pub events: Vec<OwnEvent>,
}

/// An event of such a transaction.
#[derive(Debug, Clone, PartialEq)]
pub struct OwnEvent {
    /// As `event.kind`: 1 print, 2 transfer of STX, 10 mint of a token.
    pub kind: i16,
    /// Who printed, or defines the token.
    pub contract: Option<String>,
    /// Name of the token.
    pub asset: Option<String>,
    /// Whom it reached.
    pub recipient: Option<String>,
    /// Base units.
    pub amount: Option<String>,
    /// What was printed, or the token's number.
    pub value: Option<Vec<u8>>,
}

/// The height from which transactions of a key can be that no slot knows: that of the newest slot that is over and still
/// canonical, or the one that was final when the lane was opened. None for a lane that is not open.
///
/// # Errors
/// When the database fails.
pub async fn lower_bound(
    connection: &mut PgConnection,
    lane: LaneRef<'_>,
) -> Result<Option<i32>, StoreError> {
    sqlx::query_scalar!(
        r#"select coalesce(
               (select max(o.by_height) from (
                    select s.by_height, s.by_block from nonce_slot s
                    where s.sender = $1 and s.state in ('consumed', 'dead') and s.by_block is not null
                      and s.nonce < (select coalesce(min(w.nonce), 9223372036854775807) from nonce_slot w
                                     where w.sender = $1 and w.state in ('reserved', 'live'))
                    order by s.nonce desc limit 50) o
                join block b on b.index_block_hash = o.by_block join canonical c on c.block_id = b.id),
               (select opened_height from mint_lane where sender = $1)) as bound"#,
        lane.sender
    )
    .fetch_one(connection)
    .await
    .map_err(StoreError::db("find where a key's transactions begin"))
}

/// Canonical transactions of a key from a nonce on, by nonce: all that slots know, and others at this height or above.
///
/// # Errors
/// When the database fails.
pub async fn own(
    connection: &mut PgConnection,
    lane: LaneRef<'_>,
    from_nonce: u64,
    from_height: i32,
) -> Result<Vec<OwnRow>, StoreError> {
    let rows = sqlx::query!(
        r#"select t.block_id as "block_id!", t.tx_index as "tx_index!", t.nonce::text as "nonce!",
               coalesce(t.fee, 0)::text as "fee!", t.raw_tx as "raw_tx!", k.name as "contract?", t.function,
               t.status as "status!", t.raw_result as "raw_result!", t.txid as "txid!", b.index_block_hash as "block!",
               b.height as "height!", b.burn_block_height as "burn_height!"
           from (
               select t.block_id, t.tx_index from canonical c join transaction t on t.block_id = c.block_id
               where c.height >= $3 and t.sender = (select id from principal where name = $1)
               union
               select t.block_id, t.tx_index
               from (select txid from tx_attempt where sender = $1 and nonce >= $2::text::numeric
                     union select by_txid from nonce_slot
                     where sender = $1 and nonce >= $2::text::numeric and by_txid is not null) known
               join transaction t on t.txid = known.txid join canonical c on c.block_id = t.block_id
           ) w
           join block b on b.id = w.block_id
           join transaction t on t.block_id = w.block_id and t.tx_index = w.tx_index
           left join principal k on k.id = t.contract
           where t.nonce >= $2::text::numeric
           order by t.nonce, b.height limit $4"#,
        lane.sender,
        from_nonce.to_string(),
        from_height,
        OWN
    )
    .fetch_all(&mut *connection)
    .await
    .map_err(StoreError::db("read the transactions of a key"))?;
    let (blocks, indexes): (Vec<i64>, Vec<i32>) =
        rows.iter().map(|r| (r.block_id, r.tx_index)).unzip();
    let events = sqlx::query!(
        r#"select e.block_id as "block_id!", e.tx_index as "tx_index!", e.kind as "kind!", k.name as "contract?", e.asset,
               r.name as "recipient?", e.amount::text as amount, e.value
           from unnest($1::bigint[], $2::integer[]) as w (block_id, tx_index)
           join event e on e.block_id = w.block_id and e.tx_index = w.tx_index
           left join principal k on k.id = e.contract
           left join principal r on r.id = e.recipient
           where e.kind = 2 or k.name = $3
           order by e.block_id, e.tx_index, e.ordinal"#,
        &blocks,
        &indexes,
        lane.contract
    )
    .fetch_all(&mut *connection)
    .await
    .map_err(StoreError::db("read the events of a key's transactions"))?;
    rows.into_iter()
        .map(|r| {
            let of_it = events
                .iter()
                .filter(|e| (e.block_id, e.tx_index) == (r.block_id, r.tx_index));
            let of_it = of_it.map(|e| OwnEvent {
                kind: e.kind,
                contract: e.contract.clone(),
                asset: e.asset.clone(),
                recipient: e.recipient.clone(),
                amount: e.amount.clone(),
                value: e.value.clone(),
            });
            Ok(OwnRow {
                events: of_it.collect(),
                nonce: number("transaction", &r.nonce)?,
                fee: number("transaction", &r.fee)?,
                raw_tx: r.raw_tx,
                contract: r.contract,
                function: r.function,
                status: r.status,
                raw_result: r.raw_result,
                txid: r.txid,
                block: r.block,
                height: r.height,
                burn_height: r.burn_height,
            })
        })
        .collect()
}

/// A user, as of a height, and what changed it last.
#[derive(Debug, Clone, PartialEq)]
pub struct PersonRow {
    /// Who.
    pub user: String,
    /// The profile's state, JSON; none for somebody without one.
    pub state: Option<String>,
    /// Height of the last change.
    pub height: Option<i32>,
    /// Its block.
    pub block: Option<Vec<u8>>,
    /// Its transaction.
    pub txid: Option<Vec<u8>>,
}

/// These users, and a page of all users behind one, as of a canonical height. `data` is the contract that keeps profiles.
///
/// # Errors
/// When the database fails.
pub async fn people(
    connection: &mut PgConnection,
    data: &str,
    users: &[String],
    page: Option<(&str, u32)>,
    at: i32,
) -> Result<Vec<PersonRow>, StoreError> {
    let (after, limit) = page.unwrap_or(("", 0));
    sqlx::query_as!(
        PersonRow,
        r#"select w.name as "user!", v.state::text as state, v.height as "height?", b.index_block_hash as "block?",
               t.txid as "txid?"
           from (
               select unnest($2::text[]) as name
               union
               select p.name from (
                   select substr(k.entity, length($1::text) + 2) as name from projection_current k
                   where k.projection = (select id from projection where name = 'profiles')
                     and k.entity > $1::text || '/' || $3::text and starts_with(k.entity, $1::text || '/')
                   order by k.entity limit $4) p
           ) w
           left join lateral (
               select v.state, v.height, v.position, v.block_id
               from projection_version v join canonical c on c.block_id = v.block_id
               where v.projection = (select id from projection where name = 'profiles')
                 and v.entity = $1::text || '/' || w.name and v.height <= $5
               order by v.height desc, v.position desc limit 1) v on true
           left join block b on b.id = v.block_id
           left join transaction t on t.block_id = v.block_id and t.tx_index = (v.position >> 32)::integer
           order by w.name"#,
        data,
        users,
        after,
        i64::from(limit),
        at
    )
    .fetch_all(connection)
    .await
    .map_err(StoreError::db("read users for the mints"))
}

/// The last user of a page behind one; none at the end.
///
/// # Errors
/// When the database fails.
pub async fn page_end(
    connection: &mut PgConnection,
    data: &str,
    after: &str,
    limit: u32,
) -> Result<Option<String>, StoreError> {
    sqlx::query_scalar!(
        r#"select substr(k.entity, length($1::text) + 2) as "name!" from projection_current k
           where k.projection = (select id from projection where name = 'profiles')
             and k.entity > $1::text || '/' || $2::text and starts_with(k.entity, $1::text || '/')
           order by k.entity offset greatest($3::bigint - 1, 0) limit 1"#,
        data,
        after,
        i64::from(limit)
    )
    .fetch_optional(connection)
    .await
    .map_err(StoreError::db("walk over users for the mints"))
}

/// A badge that somebody has or had.
#[derive(Debug, Clone, PartialEq)]
pub struct BadgeRow {
    /// Who.
    pub user: String,
    /// Its newest state, JSON.
    pub state: String,
    /// Does the user have it now?
    pub held: bool,
}

/// The badges of a contract that these users have or had, as of a canonical height.
///
/// # Errors
/// When the database fails.
pub async fn badges(
    connection: &mut PgConnection,
    contract: &str,
    users: &[String],
    at: i32,
) -> Result<Vec<BadgeRow>, StoreError> {
    sqlx::query_as!(
        BadgeRow,
        r#"select w.owner as "user!", n.state::text as "state!",
               coalesce(n.state ->> 'owner' = w.owner, false) as "held!"
           from (
               select distinct v.entity, v.state ->> 'owner' as owner
               from projection_version v join canonical c on c.block_id = v.block_id
               where v.projection = 13 and v.state ->> 'owner' = any($2) and v.height <= $3
                 and split_part(v.entity, '/', 1) = $1) w
           cross join lateral (
               select v.state from projection_version v join canonical c on c.block_id = v.block_id
               where v.projection = 13 and v.entity = w.entity and v.height <= $3
               order by v.height desc, v.position desc limit 1) n
           order by 1, n.state ->> 'minted_height', 2 limit $4"#,
        contract,
        users,
        at,
        BADGES
    )
    .fetch_all(connection)
    .await
    .map_err(StoreError::db("read badges for the mints"))
}

/// Rules of these that have a break which is not over.
///
/// # Errors
/// When the database fails.
pub async fn open_breaks(
    connection: &mut PgConnection,
    rules: &[String],
) -> Result<Vec<String>, StoreError> {
    sqlx::query_scalar!(
        "select distinct rule from break where state in ('open', 'acknowledged') and rule = any($1) order by rule",
        rules
    )
    .fetch_all(connection)
    .await
    .map_err(StoreError::db("read open breaks for the mints"))
}

/// Invariants that the mirror violates now, for contracts of this address.
///
/// # Errors
/// When the database fails.
pub async fn violations(
    connection: &mut PgConnection,
    address: &str,
) -> Result<Vec<String>, StoreError> {
    sqlx::query_scalar!(
        r#"select id as "id!" from (
               select 'EV-1' as id where exists (
                   select from projection_current k join projection_version v on v.id = k.version_id
                   where k.projection = (select id from projection where name = 'event_chain')
                     and starts_with(k.entity, $1::text || '.') and (v.state ->> 'breaks')::numeric > 0)
               union all
               select 'EV-2' where exists (
                   select from cursor_proof where verdict = 'differs' and starts_with(contract, $1::text || '.'))
               union all
               select 'AU-1' where exists (select from audit_result where verdict = 'differs')
               union all
               select 'BA-1' where exists (
                   select from projection_current k join projection_version v on v.id = k.version_id
                   where k.projection = 13 and starts_with(k.entity, $1::text || '.')
                     and v.state ->> 'violation' is not null)
           ) found order by id"#,
        address
    )
    .fetch_all(connection)
    .await
    .map_err(StoreError::db("look for violated invariants"))
}
