//! What people and metrics are shown.

use sqlx::{PgConnection, PgPool};

use super::number;
use crate::store::StoreError;

/// A mint, as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MintRow {
    /// Number of its intent.
    pub id: i64,
    /// The badges' contract.
    pub contract: String,
    /// Who earned it.
    pub recipient: String,
    /// What for, decimal.
    pub kind: String,
    /// From 1.
    pub award_seq: i32,
    /// Where it stands.
    pub state: String,
    /// Why, in a word.
    pub reason: Option<String>,
    /// Why, for people.
    pub note: String,
    /// Who wants it gone.
    pub cancel_by: Option<String>,
    /// Slots that ended in a failure.
    pub failures: i32,
    /// When it was earned, by the database's clock, Unix seconds.
    pub made_s: i64,
    /// When it moved last, Unix seconds.
    pub changed_s: i64,
    /// The key's address, once it has a nonce.
    pub sender: Option<String>,
    /// The nonce.
    pub nonce: Option<i64>,
    /// Transactions that were signed for that nonce.
    pub attempts: Option<i64>,
    /// The dearest of them.
    pub txid: Option<Vec<u8>>,
    /// Its fee, micro-STX, decimal.
    pub fee: Option<String>,
    /// The canonical transaction of that nonce, as it was seen last.
    pub by_txid: Option<Vec<u8>>,
    /// Its block.
    pub by_block: Option<Vec<u8>>,
    /// Its Stacks height.
    pub by_height: Option<i32>,
    /// Its Bitcoin height.
    pub by_burn_height: Option<i32>,
    /// `minted` or `satisfied_elsewhere`, once that is final.
    pub effect: Option<String>,
    /// The transaction that minted it.
    pub minted_txid: Option<Vec<u8>>,
    /// The token's number, decimal.
    pub badge_id: Option<String>,
    /// Who approved it.
    pub approved_by: Option<String>,
}

/// Which mints, and where the page begins.
#[derive(Debug, Clone, Default)]
pub struct MintFilter {
    /// In these states; empty for any.
    pub states: Vec<String>,
    /// Of this reason.
    pub reason: Option<String>,
    /// For this user.
    pub recipient: Option<String>,
    /// Of this kind.
    pub kind: Option<u64>,
    /// At this contract.
    pub contract: Option<String>,
    /// Numbers below this one only.
    pub below: i64,
    /// At most so many.
    pub limit: i64,
}

macro_rules! mint_query {
    ($tail:literal $(, $args:expr)*) => {
        sqlx::query_as!(
            MintRow,
            r#"select id as "id!", contract as "contract!", recipient as "recipient!", kind::text as "kind!",
                      award_seq as "award_seq!", state as "state!", reason, note as "note!", cancel_by,
                      failures as "failures!", extract(epoch from made_at)::bigint as "made_s!",
                      extract(epoch from changed_at)::bigint as "changed_s!", sender, nonce, attempts, txid,
                      fee::text as fee, by_txid, by_block, by_height, by_burn_height, effect, minted_txid,
                      badge_id::text as badge_id, approved_by
               from mint "# + $tail
            $(, $args)*
        )
    };
}

/// Mints, the newest first.
///
/// # Errors
/// When the database fails.
pub async fn list(
    connection: &mut PgConnection,
    filter: &MintFilter,
) -> Result<Vec<MintRow>, StoreError> {
    mint_query!(
        "where id < $1 and (cardinality($2::text[]) = 0 or state = any($2)) and ($3::text is null or reason = $3)
           and ($4::text is null or recipient = $4) and ($5::text is null or kind = $5::numeric)
           and ($6::text is null or contract = $6)
         order by id desc limit $7",
        filter.below,
        &filter.states,
        filter.reason.as_deref(),
        filter.recipient.as_deref(),
        filter.kind.map(|k| k.to_string()),
        filter.contract.as_deref(),
        filter.limit
    )
    .fetch_all(connection)
    .await
    .map_err(StoreError::db("list mints"))
}

/// One mint.
///
/// # Errors
/// When the database fails.
pub async fn one(connection: &mut PgConnection, id: i64) -> Result<Option<MintRow>, StoreError> {
    mint_query!("where id = $1", id)
        .fetch_optional(connection)
        .await
        .map_err(StoreError::db("read a mint"))
}

/// What happened to a mint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRow {
    /// When, Unix seconds.
    pub at_s: i64,
    /// A person, or `minter`.
    pub who: String,
    /// Before; none at its beginning.
    pub from_state: Option<String>,
    /// After.
    pub to_state: String,
    /// Why, in a word.
    pub reason: Option<String>,
    /// Why, for people.
    pub note: String,
}

/// A mint's history, the first event first, and the facts on which it rests, as JSON.
///
/// # Errors
/// When the database fails.
pub async fn history(
    connection: &mut PgConnection,
    id: i64,
    limit: i64,
) -> Result<(Vec<EventRow>, Option<String>), StoreError> {
    let events = sqlx::query_as!(
        EventRow,
        r#"select extract(epoch from at)::bigint as "at_s!", who, from_state, to_state, reason, note
           from mint_event where intent_id = $1 order by id limit $2"#,
        id,
        limit
    )
    .fetch_all(&mut *connection)
    .await
    .map_err(StoreError::db("read the history of a mint"))?;
    let evidence = sqlx::query_scalar!(
        "select a.evidence from mint_award a join mint_intent i on i.award_id = a.id where i.id = $1",
        id
    )
    .fetch_optional(&mut *connection)
    .await
    .map_err(StoreError::db("read the evidence of a mint"))?;
    Ok((events, evidence))
}

/// A signed transaction of a mint, without its bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct SignedRow {
    /// The transaction.
    pub txid: Vec<u8>,
    /// Its nonce.
    pub nonce: i64,
    /// `mint` or `noop`.
    pub kind: String,
    /// Micro-STX, decimal.
    pub fee: String,
    /// Found on the chain?
    pub adopted: bool,
    /// When, Unix seconds.
    pub signed_s: i64,
    /// What nodes said last: number, answer, whether ambiguous, Unix seconds.
    pub sends: serde_json::Value,
}

/// The signed transactions of a mint's slots, by nonce and fee.
///
/// # Errors
/// When the database fails.
pub async fn signed(
    connection: &mut PgConnection,
    id: i64,
    limit: i64,
) -> Result<Vec<SignedRow>, StoreError> {
    sqlx::query_as!(
        SignedRow,
        r#"select t.txid as "txid!", t.nonce as "nonce!", t.kind as "kind!", t.fee::text as "fee!", t.adopted as "adopted!",
               extract(epoch from t.signed_at)::bigint as "signed_s!",
               coalesce((select jsonb_agg(jsonb_build_object('node', s.node, 'answer', s.answer, 'ambiguous', s.ambiguous,
                             'at_s', extract(epoch from s.at)::bigint) order by s.id)
                         from (select * from tx_send s where s.txid = t.txid order by s.id desc limit 20) s), '[]')
                   as "sends!"
           from nonce_slot n join tx_attempt t on t.sender = n.sender and t.nonce = n.nonce
           where n.intent_id = $1 order by t.nonce, t.fee, t.txid limit $2"#,
        id,
        limit
    )
    .fetch_all(connection)
    .await
    .map_err(StoreError::db("read the transactions of a mint"))
}

/// Where a user's mints stand, the newest of each kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StandingRow {
    /// Who.
    pub recipient: String,
    /// Which kind, decimal.
    pub kind: String,
    /// Number of the intent.
    pub id: i64,
    /// Where it stands.
    pub state: String,
    /// Why, in a word.
    pub reason: Option<String>,
}

/// Where the mints of these users at a contract stand.
///
/// # Errors
/// When the database fails.
pub async fn standings(
    connection: &mut PgConnection,
    contract: &str,
    users: &[String],
) -> Result<Vec<StandingRow>, StoreError> {
    sqlx::query_as!(
        StandingRow,
        r#"select distinct on (a.recipient, a.kind) a.recipient, a.kind::text as "kind!", i.id, i.state, i.reason
           from mint_award a join mint_intent i on i.award_id = a.id
           where a.contract = $1 and a.recipient = any($2)
           order by a.recipient, a.kind, a.award_seq desc"#,
        contract,
        users
    )
    .fetch_all(connection)
    .await
    .map_err(StoreError::db("read where a user's mints stand"))
}

/// How many intents stand in a state for a reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateCount {
    /// The state.
    pub state: String,
    /// The reason.
    pub reason: Option<String>,
    /// How many.
    pub count: i64,
    /// Seconds since the oldest of them came there.
    pub oldest_s: i64,
}

/// A lane, for people and metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneLook {
    /// Address of the key.
    pub sender: String,
    /// The badges' contract.
    pub contract: String,
    /// First nonce that is accounted for.
    pub base_nonce: Option<i64>,
    /// Next one to reserve.
    pub next_nonce: i64,
    /// Who holds it.
    pub holder: String,
    /// Is the lease in force?
    pub held: bool,
    /// The account's nonce by a node, decimal.
    pub node_nonce: Option<String>,
    /// Micro-STX of the account by a node, decimal.
    pub balance: Option<String>,
    /// Seconds since a node was asked.
    pub observed_ago_s: Option<i64>,
    /// Seconds since nonces are unexplained.
    pub unexplained_for_s: Option<i64>,
    /// Slots in flight.
    pub in_flight: i64,
    /// Attempts in them.
    pub attempts: i64,
    /// Slots that another's transaction took.
    pub foreign: i64,
    /// Micro-STX of the dearest attempts of 24 hours, decimal.
    pub fees_per_day: String,
}

impl LaneLook {
    /// Micro-STX of 24 hours.
    ///
    /// # Errors
    /// When the database gave no number.
    pub fn spent(&self) -> Result<u128, StoreError> {
        number("tx_attempt", &self.fees_per_day)
    }

    /// Micro-STX of the account, as a node said last.
    pub fn balance(&self) -> Option<u128> {
        self.balance.as_ref().and_then(|b| b.parse().ok())
    }

    /// Days for which the balance lasts at the rate of the last 24 hours. None while nothing is spent, or the balance
    /// is not known.
    pub fn runway_days(&self) -> Option<u64> {
        let spent = self.spent().ok().filter(|spent| *spent > 0)?;
        u64::try_from(self.balance()? / spent).ok()
    }
}

/// How the mints stand.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Overview {
    /// Intents by state and reason.
    pub states: Vec<StateCount>,
    /// The lanes.
    pub lanes: Vec<LaneLook>,
    /// Lines that nobody heard yet.
    pub untold: i64,
    /// Pauses that are in force.
    pub pauses: Vec<super::pause::PauseRow>,
    /// What nodes answered to transactions within an hour, by answer; of the last 5,000 answers.
    pub answers: Vec<AnswerCount>,
    /// How long mints took.
    pub took: Took,
}

/// How often nodes gave an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnswerCount {
    /// The answer, in a word.
    pub answer: String,
    /// How often.
    pub count: i64,
}

/// How long mints took from their nonce to finality: those of 24 hours, the last 200 at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Took {
    /// Half of them took no longer, seconds; none where there are none.
    pub half_s: Option<i64>,
    /// None took longer, seconds.
    pub longest_s: Option<i64>,
}

/// Looks at everything at once.
///
/// # Errors
/// When the database fails.
pub async fn overview(pool: &PgPool) -> Result<Overview, StoreError> {
    let states = sqlx::query_as!(
        StateCount,
        r#"select state, reason, count(*) as "count!",
               extract(epoch from clock_timestamp() - min(changed_at))::bigint as "oldest_s!"
           from mint_intent group by state, reason order by state, reason"#
    )
    .fetch_all(pool)
    .await
    .map_err(StoreError::db("count mints"))?;
    let untold =
        sqlx::query_scalar!(r#"select count(*) as "n!" from mint_line where told_at is null"#)
            .fetch_one(pool)
            .await
            .map_err(StoreError::db("count lines about mints"))?;
    Ok(Overview {
        states,
        untold,
        lanes: lanes(pool).await?,
        pauses: super::pause::in_force(pool).await?,
        answers: answers(pool).await?,
        took: took(pool).await?,
    })
}

async fn answers(pool: &PgPool) -> Result<Vec<AnswerCount>, StoreError> {
    sqlx::query_as!(
        AnswerCount,
        r#"select answer, count(*) as "count!"
           from (select answer, at from tx_send order by id desc limit 5000) s
           where at > clock_timestamp() - interval '1 hour' group by answer order by answer"#
    )
    .fetch_all(pool)
    .await
    .map_err(StoreError::db("count what nodes answered"))
}

async fn took(pool: &PgPool) -> Result<Took, StoreError> {
    sqlx::query_as!(
        Took,
        r#"select (percentile_disc(0.5) within group (order by seconds))::bigint as half_s, max(seconds)::bigint as longest_s
           from (select extract(epoch from e.at - s.reserved_at) as seconds
                 from (select intent_id, kind, at from mint_effect order by id desc limit 200) e
                 join nonce_slot s on s.intent_id = e.intent_id and s.minted
                 where e.kind = 'minted' and e.at > clock_timestamp() - interval '24 hours') d"#
    )
    .fetch_one(pool)
    .await
    .map_err(StoreError::db("see how long mints took"))
}

/// Who mints: each key, and whether a process has its lane now.
///
/// # Errors
/// When the database fails.
pub async fn held(pool: &PgPool) -> Result<Vec<(String, bool)>, StoreError> {
    let rows = sqlx::query!(
        r#"select sender, expires_at > clock_timestamp() as "held!" from mint_lane order by sender"#
    )
    .fetch_all(pool)
    .await
    .map_err(StoreError::db("see who mints"))?;
    Ok(rows.into_iter().map(|r| (r.sender, r.held)).collect())
}

/// The lanes.
///
/// # Errors
/// When the database fails.
pub async fn lanes(pool: &PgPool) -> Result<Vec<LaneLook>, StoreError> {
    sqlx::query_as!(
        LaneLook,
        r#"select l.sender, l.contract, l.base_nonce, l.next_nonce, l.holder,
               l.expires_at > clock_timestamp() as "held!", l.node_nonce::text as node_nonce, l.balance::text as balance,
               extract(epoch from clock_timestamp() - l.observed_at)::bigint as observed_ago_s,
               extract(epoch from clock_timestamp() - l.unexplained_since)::bigint as unexplained_for_s,
               (select count(*) from nonce_slot s where s.sender = l.sender and s.state in ('reserved', 'live'))
                   as "in_flight!",
               (select count(*) from tx_attempt a join nonce_slot s on s.sender = a.sender and s.nonce = a.nonce
                where s.sender = l.sender and s.state = 'live') as "attempts!",
               (select count(*) from nonce_slot s where s.sender = l.sender and s.state = 'dead') as "foreign!",
               (select coalesce(sum(dearest), 0)::text from (
                    select max(a.fee) as dearest from tx_attempt a
                    where a.sender = l.sender and not a.adopted and a.nonce in (
                        select nonce from tx_attempt r where r.sender = l.sender and not r.adopted
                          and r.signed_at > clock_timestamp() - interval '24 hours')
                    group by a.nonce) d) as "fees_per_day!"
           from mint_lane l order by l.sender"#
    )
    .fetch_all(pool)
    .await
    .map_err(StoreError::db("look at the lanes"))
}

/// How many badges of a contract somebody has, on the canonical chain.
///
/// # Errors
/// When the database fails.
pub async fn badges_held(pool: &PgPool, contract: &str) -> Result<i64, StoreError> {
    sqlx::query_scalar!(
        r#"select count(*) as "n!"
           from projection_current k join projection_version v on v.id = k.version_id
           where k.projection = (select id from projection where name = 'badges')
             and split_part(k.entity, '/', 1) = $1 and v.state ->> 'owner' is not null"#,
        contract
    )
    .fetch_one(pool)
    .await
    .map_err(StoreError::db("count badges"))
}
