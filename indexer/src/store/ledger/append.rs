//! Appending to the journal, in order, each with the hash that follows.

use std::collections::BTreeMap;

use sqlx::{Postgres, Transaction};

use super::chain::Row;
use super::desk::Desk;
use super::types::{Act, Line, Side};
use crate::store::StoreError;

impl Desk {
    /// Appends what follows, in this order.
    ///
    /// # Errors
    /// When a guard of the database refuses it, or the database fails.
    pub async fn append(&mut self, acts: &[Act]) -> Result<(), StoreError> {
        let named: Vec<i64> = acts
            .iter()
            .filter_map(|act| match act {
                Act::Void(seq) | Act::Reverse(seq) | Act::Post(seq) => Some(*seq),
                Act::Book(..) => None,
            })
            .collect();
        let targets = super::read::rows(&mut self.tx, &named).await?;
        let mut rows = Vec::with_capacity(acts.len());
        for act in acts {
            let seq = self.head.0 + 1;
            let row = row(act, seq, self.now_us, &targets)?;
            let hash = row.hash(&self.head.1);
            let prev = std::mem::replace(&mut self.head, (seq, hash.to_vec())).1;
            rows.push((row, prev, hash));
        }
        for part in rows.chunks(1_000) {
            insert(&mut self.tx, part).await?;
        }
        Ok(())
    }
}

pub(super) fn hash32(table: &'static str, bytes: &[u8]) -> Result<[u8; 32], StoreError> {
    bytes.try_into().map_err(|_| StoreError::Corrupt {
        table,
        detail: format!("a hash has {} bytes", bytes.len()),
    })
}

fn row(
    act: &Act,
    seq: i64,
    booked_at_us: i64,
    targets: &BTreeMap<i64, Row>,
) -> Result<Row, StoreError> {
    let target = |of: &i64| {
        targets.get(of).ok_or_else(|| StoreError::Corrupt {
            table: "journal",
            detail: format!("booking {of} is live, and not there"),
        })
    };
    let mark = |of: &i64, kind: &str| {
        Ok(Row {
            seq,
            kind: kind.to_owned(),
            event_key: None,
            of_seq: Some(*of),
            note: None,
            booked_at_us,
            lines: Vec::new(),
            ..target(of)?.clone()
        })
    };
    match act {
        Act::Post(of) => mark(of, "posted"),
        Act::Void(of) => mark(of, "void"),
        Act::Reverse(of) => {
            let reversed = target(of)?.clone();
            let lines = reversed.lines.iter().map(|line| Line {
                side: line.side.opposite(),
                ..line.clone()
            });
            Ok(Row {
                seq,
                kind: "reversal".to_owned(),
                of_seq: Some(*of),
                note: Some("its block left the chain after it was final".to_owned()),
                booked_at_us,
                lines: lines.collect(),
                ..reversed.clone()
            })
        }
        Act::Book(stamp, booking) => Ok(Row {
            seq,
            kind: booking.kind.as_str().to_owned(),
            event_key: Some(booking.event_key.clone()),
            of_seq: None,
            stamp: *stamp,
            txid: booking.txid,
            contract: booking.contract.clone(),
            project: booking.project.map(|p| p.to_string()),
            note: booking.note.clone(),
            booked_at_us,
            lines: booking.lines.clone(),
        }),
    }
}

/// One array a column: a single statement inserts any number of rows.
macro_rules! column {
    ($rows:expr, |$row:pat_param| $value:expr) => {
        $rows.iter().map(|$row| $value).collect::<Vec<_>>()
    };
}

async fn insert(
    tx: &mut Transaction<'static, Postgres>,
    rows: &[(Row, Vec<u8>, [u8; 32])],
) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into journal (seq, kind, event_key, of_seq, index_block_hash, height, burn_block_height,
             burn_block_time, txid, contract, project, note, booked_at_us, prev_hash, hash)
         select seq, kind, event_key, of_seq, block, height, burn_height, burn_time, txid, contract,
             project::numeric, note, booked_at_us, prev_hash, hash
         from unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[], $5::bytea[], $6::integer[], $7::integer[],
             $8::bigint[], $9::bytea[], $10::text[], $11::text[], $12::text[], $13::bigint[], $14::bytea[], $15::bytea[])
             as j (seq, kind, event_key, of_seq, block, height, burn_height, burn_time, txid, contract, project, note,
                 booked_at_us, prev_hash, hash)
         order by seq",
        &column!(rows, |(r, ..)| r.seq),
        &column!(rows, |(r, ..)| r.kind.clone()),
        &column!(rows, |(r, ..)| r.event_key.clone()) as &[Option<String>],
        &column!(rows, |(r, ..)| r.of_seq) as &[Option<i64>],
        &column!(rows, |(r, ..)| r.stamp.block.to_vec()),
        &column!(rows, |(r, ..)| r.stamp.height),
        &column!(rows, |(r, ..)| r.stamp.burn_height),
        &column!(rows, |(r, ..)| r.stamp.burn_time),
        &column!(rows, |(r, ..)| r.txid.to_vec()),
        &column!(rows, |(r, ..)| r.contract.clone()) as &[Option<String>],
        &column!(rows, |(r, ..)| r.project.clone()) as &[Option<String>],
        &column!(rows, |(r, ..)| r.note.clone()) as &[Option<String>],
        &column!(rows, |(r, ..)| r.booked_at_us),
        &column!(rows, |(_, prev, _)| prev.clone()),
        &column!(rows, |(.., hash)| hash.to_vec()),
    )
    .execute(&mut **tx)
    .await
    .map_err(StoreError::db("add journals"))?;
    let lines: Vec<(i64, i16, &Line)> = rows
        .iter()
        .flat_map(|(row, ..)| (1i16..).zip(&row.lines).map(|(n, line)| (row.seq, n, line)))
        .collect();
    sqlx::query!(
        "insert into posting (seq, line, account, asset, side, amount, part)
         select seq, line, account, asset, side, amount::numeric, part
         from unnest($1::bigint[], $2::smallint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[])
             as p (seq, line, account, asset, side, amount, part)",
        &column!(lines, |(seq, ..)| *seq),
        &column!(lines, |(_, n, _)| *n),
        &column!(lines, |(.., l)| l.account.clone()),
        &column!(lines, |(.., l)| l.asset.clone()),
        &column!(lines, |(.., l)| l.side.as_str().to_owned()),
        &column!(lines, |(.., l)| l.amount.to_string()),
        &column!(lines, |(.., l)| l.part.clone()),
    )
    .execute(&mut **tx)
    .await
    .map_err(StoreError::db("add postings"))?;
    Ok(())
}

/// The lines of a journal from their columns.
pub(super) fn line(
    seq: i64,
    account: String,
    asset: String,
    side: &str,
    amount: &str,
    part: String,
) -> Result<Line, StoreError> {
    let corrupt = |detail: String| StoreError::Corrupt {
        table: "posting",
        detail: format!("journal {seq}: {detail}"),
    };
    Ok(Line {
        account,
        asset,
        side: Side::from_name(side).ok_or_else(|| corrupt(format!("the side {side}")))?,
        amount: amount
            .parse()
            .map_err(|_| corrupt(format!("the amount {amount}")))?,
        part,
    })
}
