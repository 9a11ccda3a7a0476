//! What the view of the DAO is made of: fees one by one, sums of treasuries, what governance said of money.

use futures::TryStreamExt as _;
use sqlx::PgConnection;

use crate::store::StoreError;

/// A connection in whose transaction every statement sees the same.
pub type Snapshot = PgConnection;

/// Days, both included, by the time of the Bitcoin block: `YYYY-MM-DD`, UTC. None is open.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Days {
    /// The first.
    pub from: Option<String>,
    /// The last.
    pub to: Option<String>,
}

/// A settlement that counts, with what its fee was: its booking is neither void nor reversed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeeLine {
    /// The day, UTC.
    pub day: String,
    /// Who received the fee; none where there was none.
    pub treasury: Option<String>,
    /// The asset.
    pub asset: String,
    /// The fee, base units; zero where none was paid.
    pub fee: String,
    /// Base units that the freelancer received.
    pub payout: String,
    /// The project's client, if the mirror knows him.
    pub client: Option<String>,
    /// The print of the contract.
    pub value: Option<Vec<u8>>,
}

/// Hands every settlement of these days to `take`, one by one.
///
/// # Errors
/// When the database fails.
pub async fn fees(
    connection: &mut PgConnection,
    days: &Days,
    mut take: impl FnMut(&FeeLine) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut rows = sqlx::query_as!(
        FeeLine,
        r#"select to_char(to_timestamp(j.burn_block_time) at time zone 'UTC', 'YYYY-MM-DD') as "day!",
               m.treasury, m.asset as "asset!", coalesce(m.fee, 0)::text as "fee!",
               coalesce(m.payout, 0)::text as "payout!", v.state ->> 'client' as client, e.value as "value?"
           from live_event l
           join journal j on j.seq = l.seq
           cross join lateral (
               select min(p.asset) as asset,
                   min(substr(p.account, 10)) filter (where p.part = 'fee' and p.account like 'treasury:%') as treasury,
                   sum(p.amount) filter (where p.part = 'fee' and p.account like 'treasury:%') as fee,
                   sum(p.amount) filter (where p.part = 'payout' and p.side = 'debit') as payout
               from posting p where p.seq = j.seq) m
           left join block b on b.index_block_hash = j.index_block_hash
           left join transaction t on t.block_id = b.id and t.txid = j.txid
           left join event e on e.block_id = b.id and e.tx_index = t.tx_index
               and e.ordinal = split_part(j.event_key, ':', 3)::integer
           left join projection_current c on c.projection = (select id from projection where name = 'projects')
               and c.entity = j.contract || '/' || j.project
           left join projection_version v on v.id = c.version_id
           where l.kind = 'settlement'
             and ($1::text is null or j.burn_block_time >= extract(epoch from ($1::text)::date::timestamp at time zone 'UTC'))
             and ($2::text is null or j.burn_block_time < extract(epoch from (($2::text)::date + 1)::timestamp at time zone 'UTC'))
           order by j.seq"#,
        days.from,
        days.to
    )
    .fetch(connection);
    let failed = StoreError::db("read the settlements of some days");
    loop {
        match rows.try_next().await {
            Ok(Some(row)) => take(&row)?,
            Ok(None) => return Ok(()),
            Err(error) => return Err(failed(error)),
        }
    }
}

/// What moved on a treasury's account, by part and direction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// The treasury.
    pub treasury: String,
    /// The asset.
    pub asset: String,
    /// What the lines are of their journals.
    pub part: String,
    /// Into the account, base units; may pass 128 bits.
    pub came: String,
    /// Out of it.
    pub went: String,
}

/// What moved on the treasuries' accounts on these days, of bookings that count.
///
/// # Errors
/// When the database fails.
pub async fn moved(connection: &mut PgConnection, days: &Days) -> Result<Vec<Moved>, StoreError> {
    sqlx::query_as!(
        Moved,
        r#"select substr(p.account, 10) as "treasury!", p.asset, p.part,
               coalesce(sum(p.amount) filter (where p.side = 'debit'), 0)::text as "came!",
               coalesce(sum(p.amount) filter (where p.side = 'credit'), 0)::text as "went!"
           from live_event l
           join journal j on j.seq = l.seq
           join posting p on p.seq = j.seq and p.account like 'treasury:%'
           where ($1::text is null or j.burn_block_time >= extract(epoch from ($1::text)::date::timestamp at time zone 'UTC'))
             and ($2::text is null or j.burn_block_time < extract(epoch from (($2::text)::date + 1)::timestamp at time zone 'UTC'))
           group by 1, 2, 3 order by 1, 2, 3"#,
        days.from,
        days.to
    )
    .fetch_all(connection)
    .await
    .map_err(StoreError::db("sum up what moved on treasuries"))
}

/// An event of the governed treasury that says what may be spent, or what was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// The contract.
    pub contract: String,
    /// The print.
    pub value: Vec<u8>,
}

/// So many are read; governance does not say more of money than that.
const MOST_SAID: i64 = 200_000;

/// What governed treasuries of this name said of budgets and payments, and which signers they have, in order.
///
/// # Errors
/// When the database fails.
pub async fn said(connection: &mut PgConnection, name: &str) -> Result<Vec<Said>, StoreError> {
    sqlx::query_as!(
        Said,
        r#"select k.name as contract, e.value as "value!"
           from principal k
           join event e on e.contract = k.id
           join canonical c on c.block_id = e.block_id
           where split_part(k.name, '.', 2) = $1 and e.kind = 1 and e.value is not null
             and e.topic in ('budget-set', 'spent', 'signers-changed')
           order by e.height, e.tx_index, e.ordinal limit $2"#,
        name,
        MOST_SAID
    )
    .fetch_all(connection)
    .await
    .map_err(StoreError::db("read what governance said of money"))
}

/// A governed action about money.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActionRow {
    /// Its state, as the projection has it.
    pub state: serde_json::Value,
    /// Height of its last change.
    pub height: i32,
    /// Journals of the transaction that executed it.
    pub journals: Vec<i64>,
}

/// Governed actions of these kinds: pending ones, then those that changed last; and whether there are more.
///
/// # Errors
/// When the database fails.
pub async fn actions(
    connection: &mut PgConnection,
    kinds: &[String],
    limit: i64,
) -> Result<(Vec<ActionRow>, bool), StoreError> {
    let mut rows = sqlx::query_as!(
        ActionRow,
        r#"select v.state, v.height,
               array(select l.seq from live_event l join journal j on j.seq = l.seq
                     where l.kind = 'spend' and '0x' || encode(j.txid, 'hex') = v.state ->> 'executed'
                       and j.contract = v.state ->> 'contract' order by l.seq) as "journals!: Vec<i64>"
           from projection_current c
           join projection_version v on v.id = c.version_id
           where c.projection = (select id from projection where name = 'governance_actions')
             and v.state ->> 'kind' = any($1)
           order by (v.state ->> 'status' = 'pending') desc, v.height desc, v.position desc, c.entity limit $2"#,
        kinds,
        limit + 1
    )
    .fetch_all(connection)
    .await
    .map_err(StoreError::db("read the actions about money"))?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = rows.len() > limit;
    rows.truncate(limit);
    Ok((rows, more))
}

/// Height of the newest Bitcoin block known; none while the mirror is empty.
///
/// # Errors
/// When the database fails.
pub async fn burn_height(connection: &mut PgConnection) -> Result<Option<i32>, StoreError> {
    sqlx::query_scalar!(
        "select greatest((select max(height) from burn_block), b.burn_block_height)
         from mirror m join block b on b.id = m.tip_block_id"
    )
    .fetch_optional(connection)
    .await
    .map(Option::flatten)
    .map_err(StoreError::db("read Bitcoin's height"))
}
