//! The journal of backfills.

use sqlx::{Connection as _, PgConnection, PgPool};

use super::super::StoreError;
use super::super::inbox::Source;
use super::super::load::{corrupt, unsigned};
use crate::model::IndexBlockHash;

/// How a backfill stands. Names are those of the column `backfill_job.state`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobState {
    /// It is under way.
    Running,
    /// It was stopped, or failed; the same command resumes it.
    Stopped,
    /// Everything is stored, and not yet seen to connect with the mirror.
    Overlapping,
    /// It is over.
    Done,
}

impl JobState {
    /// Name in the database and for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Stopped => "stopped",
            Self::Overlapping => "overlapping",
            Self::Done => "done",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::Running, Self::Stopped, Self::Overlapping, Self::Done]
            .into_iter()
            .find(|s| s.as_str() == name)
    }
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// From whom.
    pub source: Source,
    /// Its address, without secrets.
    pub place: String,
    /// First height.
    pub from_inclusive: u32,
    /// Last height; none for the tip.
    pub to_inclusive: Option<u32>,
}

/// A backfill and how far it has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its number.
    pub id: i64,
    /// What was asked for.
    pub order: Order,
    /// Everything from the first height to below this one is stored.
    pub next: u32,
    /// The block at `next - 1`.
    pub last_block: Option<IndexBlockHash>,
    /// How it stands.
    pub state: JobState,
    /// Why it stopped.
    pub error: Option<String>,
}

struct Row {
    id: i64,
    source: String,
    place: String,
    from_height: i32,
    to_height: Option<i32>,
    next_height: i32,
    last_block: Option<Vec<u8>>,
    state: String,
    error: Option<String>,
}

impl Row {
    fn job(self) -> Result<Job, StoreError> {
        let unreadable = |what: &str, value: &str| StoreError::Corrupt {
            table: "backfill_job",
            detail: format!("job {} has {what} {value:?}", self.id),
        };
        let source = Source::ALL.into_iter().find(|s| s.as_str() == self.source);
        let last = self.last_block.as_deref().map(IndexBlockHash::from_slice);
        Ok(Job {
            id: self.id,
            order: Order {
                source: source.ok_or_else(|| unreadable("source", &self.source))?,
                from_inclusive: unsigned("backfill_job", self.from_height)?,
                to_inclusive: self
                    .to_height
                    .map(|h| unsigned("backfill_job", h))
                    .transpose()?,
                place: self.place,
            },
            next: unsigned("backfill_job", self.next_height)?,
            last_block: last.transpose().map_err(corrupt("backfill_job"))?,
            state: JobState::from_name(&self.state)
                .ok_or_else(|| unreadable("state", &self.state))?,
            error: self.error,
        })
    }
}

fn int(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

/// Jobs that are not done, oldest first. One that has written nothing down for two minutes died without a word: it is
/// stopped.
///
/// # Errors
/// When the database fails or holds an unreadable row.
pub async fn unfinished(pool: &PgPool) -> Result<Vec<Job>, StoreError> {
    let rows = sqlx::query_as!(
        Row,
        r#"select id, source, place, from_height, to_height, next_height, last_block, error,
               case when state = 'running' and changed_at < clock_timestamp() - interval '2 minutes'
                   then 'stopped' else state end as "state!"
           from backfill_job where state <> 'done' order by id"#
    )
    .fetch_all(pool)
    .await
    .map_err(StoreError::db("read the journal of backfills"))?;
    rows.into_iter().map(Row::job).collect()
}

/// The stopped or running job of the same order, to be resumed, or a new one. Marks it as running.
///
/// # Errors
/// When the database fails or holds an unreadable row.
pub async fn open(pool: &PgPool, order: &Order) -> Result<Job, StoreError> {
    let resumed = sqlx::query_as!(
        Row,
        "update backfill_job set state = 'running', error = null, changed_at = clock_timestamp()
         where id = (select max(id) from backfill_job
             where source = $1 and from_height = $2 and to_height is not distinct from $3 and place = $4
               and state in ('running', 'stopped'))
         returning id, source, place, from_height, to_height, next_height, last_block, state, error",
        order.source.as_str(),
        int(order.from_inclusive),
        order.to_inclusive.map(int),
        order.place
    )
    .fetch_optional(pool)
    .await
    .map_err(StoreError::db("resume a backfill"))?;
    if let Some(row) = resumed {
        return row.job();
    }
    let row = sqlx::query_as!(
        Row,
        "insert into backfill_job (source, place, from_height, to_height, next_height, state)
         values ($1, $2, $3, $4, $3, 'running')
         returning id, source, place, from_height, to_height, next_height, last_block, state, error",
        order.source.as_str(),
        order.place,
        int(order.from_inclusive),
        order.to_inclusive.map(int)
    )
    .fetch_one(pool)
    .await
    .map_err(StoreError::db("begin a backfill"))?;
    row.job()
}

/// Writes down how far a job has come.
///
/// # Errors
/// When the database fails.
pub async fn note(pool: &PgPool, job: &Job) -> Result<(), StoreError> {
    sqlx::query!(
        "update backfill_job set next_height = $2, last_block = $3, state = $4, error = $5,
             changed_at = clock_timestamp(),
             finished_at = case when $4 = 'done' then clock_timestamp() end
         where id = $1",
        job.id,
        int(job.next),
        job.last_block.as_ref().map(|b| b.as_bytes()),
        job.state.as_str(),
        job.error.as_deref().map(|e| e.replace('\0', "\u{fffd}"))
    )
    .execute(pool)
    .await
    .map_err(StoreError::db("write down how far a backfill has come"))?;
    Ok(())
}

/// Keeps a second process away from a job, as long as it lives.
#[derive(Debug)]
#[must_use = "dropping it lets go of the job"]
pub struct JobLock {
    connection: PgConnection,
}

/// First key of the advisory locks of backfills; the second is the job.
const LOCK_CLASS: i32 = 0x7374_7862;

impl JobLock {
    /// Takes the job; none when another process has it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn take(pool: &PgPool, job: i64) -> Result<Option<Self>, StoreError> {
        let connection = pool.acquire().await.map_err(StoreError::db("connect"))?;
        // Its own connection: the lock goes with it.
        let mut connection = connection.detach();
        let taken = sqlx::query_scalar!(
            r#"select pg_try_advisory_lock($1, $2) as "taken!""#,
            LOCK_CLASS,
            i32::try_from(job).unwrap_or(i32::MAX)
        )
        .fetch_one(&mut connection)
        .await
        .map_err(StoreError::db("lock a backfill"))?;
        Ok(taken.then_some(Self { connection }))
    }

    /// Lets go of it.
    pub async fn release(self) {
        // The server forgets the lock with the connection, in order or not.
        let _ = self.connection.close().await;
    }
}

/// Is a backfill under way, in any process? One that has written nothing down for two minutes is not.
///
/// # Errors
/// When the database fails.
pub async fn is_running(pool: &PgPool) -> Result<bool, StoreError> {
    let running = sqlx::query_scalar!(
        r#"select exists (
               select from backfill_job j where j.state = 'running'
                 and j.changed_at > clock_timestamp() - interval '2 minutes') as "running!""#
    )
    .fetch_one(pool)
    .await;
    running.map_err(StoreError::db("see whether a backfill is under way"))
}
