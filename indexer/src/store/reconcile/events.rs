//! The history of breaks: one chain of hashes over all of them, so that a changed or a missing line shows. A chain
//! does not show that its end was cut off; its newest hash, kept elsewhere, does.

use sha2::{Digest as _, Sha256};
use sqlx::PgPool;

use super::Writing;
use crate::store::StoreError;

/// Key of the lock that whoever adds to the chain holds.
const ADDING: i64 = 0x7374_7865_7674;
/// Lines read at once when the chain is walked.
const PAGE: i64 = 2_000;

/// The end of the chain.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head {
    seq: i64,
    hash: [u8; 32],
    now_us: i64,
}

/// What is to be added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// The break.
    pub break_id: [u8; 32],
    /// Who.
    pub who: String,
    /// What happened.
    pub change: String,
    /// Canonical JSON.
    pub evidence: String,
}

/// A line of the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRow {
    /// Its number, from 1.
    pub seq: i64,
    /// The break.
    pub break_id: Vec<u8>,
    /// The run.
    pub run_id: Option<i64>,
    /// Unix microseconds.
    pub at_us: i64,
    /// Who.
    pub who: String,
    /// What happened.
    pub change: String,
    /// Canonical JSON.
    pub evidence: String,
    /// Hash of the line before.
    pub prev: Vec<u8>,
    /// Its own.
    pub hash: Vec<u8>,
}

impl EventRow {
    /// What the hash has to be.
    fn computed(&self) -> [u8; 32] {
        let run = self.run_id.map(|id| id.to_string()).unwrap_or_default();
        let mut hash = Sha256::new();
        hash.update(b"stxworx/break-event/1");
        for part in [
            self.prev.as_slice(),
            self.seq.to_string().as_bytes(),
            &self.break_id,
            run.as_bytes(),
            self.at_us.to_string().as_bytes(),
            self.who.as_bytes(),
            self.change.as_bytes(),
            self.evidence.as_bytes(),
        ] {
            hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(part);
        }
        hash.finalize().into()
    }
}

impl Writing {
    /// Waits until nobody else adds to the chain, and reads its end.
    async fn chain_head(&mut self) -> Result<Head, StoreError> {
        if let Some(head) = self.head {
            return Ok(head);
        }
        sqlx::query!("select pg_advisory_xact_lock($1)", ADDING)
            .execute(&mut *self.tx)
            .await
            .map_err(StoreError::db("wait for the history"))?;
        let row = sqlx::query!(
            r#"select (extract(epoch from clock_timestamp()) * 1000000)::bigint as "now_us!", e.seq as "seq?",
                      e.hash as "hash?"
               from (select 1) as one
               left join (select seq, hash from break_event order by seq desc limit 1) e on true"#
        )
        .fetch_one(&mut *self.tx)
        .await
        .map_err(StoreError::db("read the end of the history"))?;
        let hash = row.hash.map_or(Ok([0; 32]), <[u8; 32]>::try_from);
        Ok(Head {
            seq: row.seq.unwrap_or(0),
            hash: hash.map_err(|_| StoreError::Corrupt {
                table: "break_event",
                detail: "a hash has not 32 bytes".to_owned(),
            })?,
            now_us: row.now_us,
        })
    }

    /// Adds lines to the history. Others who want to wait until this ends.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn add_events(
        &mut self,
        run: Option<i64>,
        events: &[NewEvent],
    ) -> Result<(), StoreError> {
        if events.is_empty() {
            return Ok(());
        }
        let mut head = self.chain_head().await?;
        let mut rows = Vec::with_capacity(events.len());
        for event in events {
            let mut row = EventRow {
                seq: head.seq + 1,
                break_id: event.break_id.to_vec(),
                run_id: run,
                at_us: head.now_us,
                who: event.who.clone(),
                change: event.change.clone(),
                evidence: event.evidence.clone(),
                prev: head.hash.to_vec(),
                hash: Vec::new(),
            };
            head.seq = row.seq;
            head.hash = row.computed();
            row.hash = head.hash.to_vec();
            rows.push(row);
        }
        let column = |of: fn(&EventRow) -> Vec<u8>| rows.iter().map(of).collect::<Vec<_>>();
        let texts = |of: fn(&EventRow) -> String| rows.iter().map(of).collect::<Vec<_>>();
        sqlx::query!(
            "insert into break_event (seq, break_id, run_id, at_us, who, change, evidence, prev, hash)
             select seq, break_id, $3, $4, who, change, evidence, prev, hash
             from unnest($1::bigint[], $2::bytea[], $5::text[], $6::text[], $7::text[], $8::bytea[], $9::bytea[])
                  as e (seq, break_id, who, change, evidence, prev, hash)",
            &rows.iter().map(|row| row.seq).collect::<Vec<_>>(),
            &column(|row| row.break_id.clone()),
            run,
            head.now_us,
            &texts(|row| row.who.clone()),
            &texts(|row| row.change.clone()),
            &texts(|row| row.evidence.clone()),
            &column(|row| row.prev.clone()),
            &column(|row| row.hash.clone()),
        )
        .execute(&mut *self.tx)
        .await
        .map_err(StoreError::db("add to the history"))?;
        self.head = Some(head);
        Ok(())
    }
}

/// The history of a break.
///
/// # Errors
/// When the database fails.
pub async fn of_break(pool: &PgPool, id: &[u8], limit: i64) -> Result<Vec<EventRow>, StoreError> {
    sqlx::query_as!(
        EventRow,
        "select seq, break_id, run_id, at_us, who, change, evidence, prev, hash from break_event
         where break_id = $1 order by seq limit $2",
        id,
        limit
    )
    .fetch_all(pool)
    .await
    .map_err(StoreError::db("read the history of a break"))
}

/// What a walk over the chain found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Walk {
    /// Lines that hold.
    pub lines: i64,
    /// Hash of the last of them, hexadecimal; zeros for none.
    pub head: String,
    /// The first line that does not hold, and why.
    pub fault: Option<String>,
}

/// Walks the whole chain, up to the first line that does not hold.
///
/// # Errors
/// When the database fails.
pub async fn verify(pool: &PgPool) -> Result<Walk, StoreError> {
    let (mut lines, mut prev) = (0i64, vec![0u8; 32]);
    loop {
        let page = sqlx::query_as!(
            EventRow,
            "select seq, break_id, run_id, at_us, who, change, evidence, prev, hash from break_event
             where seq > $1 order by seq limit $2",
            lines,
            PAGE
        )
        .fetch_all(pool)
        .await
        .map_err(StoreError::db("walk the history"))?;
        if page.is_empty() {
            break;
        }
        for row in page {
            let fault = if row.seq != lines + 1 {
                Some(format!("line {} is missing", lines + 1))
            } else if row.prev != prev {
                Some(format!("line {} does not follow the one before", row.seq))
            } else if row.computed().as_slice() != row.hash {
                Some(format!("line {} is not what its hash says", row.seq))
            } else {
                None
            };
            if fault.is_some() {
                return Ok(Walk {
                    lines,
                    head: hex::encode(&prev),
                    fault,
                });
            }
            lines = row.seq;
            prev = row.hash;
        }
    }
    Ok(Walk {
        lines,
        head: hex::encode(&prev),
        fault: None,
    })
}
