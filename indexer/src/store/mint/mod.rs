//! Badges that this service mints: lanes, awards, intents, slots, attempts, effects.
//!
//! Every writing function is one transaction that begins with the lane's lease: with another epoch nothing is written.
//! The schema's guards hold the rules; what they refuse is a defect of the caller.

pub mod act;
pub mod again;
pub mod attest;
pub mod book;
pub mod chain;
pub mod effect;
pub mod intent;
pub mod lane;
pub mod look;
pub mod pause;
pub mod slot;

use sqlx::{PgPool, Postgres, Transaction};

use super::StoreError;

/// A key, and the badges' contract at which it mints.
#[derive(Debug, Clone, Copy)]
pub struct LaneRef<'a> {
    /// `ADDRESS.NAME`.
    pub contract: &'a str,
    /// Address of the key.
    pub sender: &'a str,
}

/// What came of a write that names an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written<T = ()> {
    /// Done, or it was so already.
    Done(T),
    /// The lease is another's: nothing was written.
    Lost,
    /// What it rested on has changed: nothing was written.
    Stale,
}

/// A transaction in a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The transaction.
    pub txid: Vec<u8>,
    /// Index block hash.
    pub block: Vec<u8>,
    /// Stacks height.
    pub height: i32,
    /// Bitcoin height.
    pub burn_height: i32,
    /// How it ended, if it is ours: JSON with `verdict`.
    pub verdict: Option<serde_json::Value>,
}

/// A change of an intent.
#[derive(Debug, Clone, Copy)]
pub struct Change<'a> {
    /// Which.
    pub intent: i64,
    /// The state in which it was seen.
    pub from: &'a str,
    /// The new one.
    pub to: &'a str,
    /// Why, in a word.
    pub reason: Option<&'a str>,
    /// Why, for people.
    pub note: &'a str,
    /// Did it fail on the chain?
    pub failed: bool,
}

/// An effect and the line that tells of it.
#[derive(Debug, Clone, Copy)]
pub struct Told<'a> {
    /// What a listener knows it by.
    pub line: &'a str,
    /// `minted`, `satisfied_elsewhere` or `retracted`.
    pub kind: &'a str,
    /// The intent.
    pub intent: i64,
    /// What is said.
    pub body: &'a serde_json::Value,
    /// The transaction that minted the badge, where it is known.
    pub txid: Option<&'a [u8]>,
    /// The token's number, where it is known.
    pub badge: Option<u64>,
}

type Tx = Transaction<'static, Postgres>;

/// Why a step was not done. Nothing of it was written.
enum Halt {
    /// The lease is another's.
    Lost,
    /// What it rested on has changed.
    Stale,
    /// The database failed, or a guard refused.
    Failed(StoreError),
}

impl From<StoreError> for Halt {
    fn from(error: StoreError) -> Self {
        Self::Failed(error)
    }
}

/// A step of the mints: from [`held`] to [`commit`], or to where it halts.
async fn step_of<T>(work: impl Future<Output = Result<T, Halt>>) -> Result<Written<T>, StoreError> {
    match work.await {
        Ok(value) => Ok(Written::Done(value)),
        Err(Halt::Lost) => Ok(Written::Lost),
        Err(Halt::Stale) => Ok(Written::Stale),
        Err(Halt::Failed(error)) => Err(error),
    }
}

/// Begins a step, with the lane's row locked. Lost when the lease is another's.
async fn held(pool: &PgPool, lane: LaneRef<'_>, epoch: i64) -> Result<Tx, Halt> {
    let mut tx = super::begin(pool, "begin")
        .await
        .map_err(StoreError::db("begin"))?;
    let ours = sqlx::query_scalar!(
        r#"select epoch = $3 as "ours!" from mint_lane where sender = $1 and contract = $2 for update"#,
        lane.sender,
        lane.contract,
        epoch
    )
    .fetch_optional(&mut *tx)
    .await
    .map_err(StoreError::db("look at the lease of the mints"))?;
    if ours == Some(true) {
        Ok(tx)
    } else {
        Err(Halt::Lost)
    }
}

/// Ends a step: what it wrote stands.
async fn commit<T>(tx: Tx, value: T) -> Result<T, Halt> {
    tx.commit()
        .await
        .map_err(StoreError::db("commit a step of the mints"))?;
    Ok(value)
}

/// Names who does what follows in this transaction, for the history.
async fn as_person(tx: &mut Tx, who: &str) -> Result<(), StoreError> {
    sqlx::query!(
        r#"select set_config('stxworx.who', $1, true) as "set""#,
        who
    )
    .fetch_one(&mut **tx)
    .await
    .map_err(StoreError::db("name who acts"))?;
    Ok(())
}

/// A nonce as the schema has it.
fn nonce_of(nonce: u64) -> Result<i64, StoreError> {
    i64::try_from(nonce).map_err(|_| StoreError::Corrupt {
        table: "nonce_slot",
        detail: format!("{nonce} is no nonce that a slot can have"),
    })
}

fn number<T: std::str::FromStr>(table: &'static str, text: &str) -> Result<T, StoreError> {
    text.parse().map_err(|_| StoreError::Corrupt {
        table,
        detail: format!("{text:?} is no number of this size"),
    })
}

fn natural(table: &'static str, number: i64) -> Result<u64, StoreError> {
    u64::try_from(number).map_err(|_| StoreError::Corrupt {
        table,
        detail: format!("{number} is below zero"),
    })
}
