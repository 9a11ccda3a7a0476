//! Rows of the store, as what they stand for.

use stxworx_indexer::store::mint::book::{AttemptRow, BookRows, IntentRow, SlotRow};
use stxworx_indexer::store::mint::pause::PauseRow;

use super::super::ports::{Book, PortError, Used};
use super::super::types::{
    Answer, Attempt, AwardKey, Intent, IntentState, LaneId, Pause, PauseCode, Payload, Reason,
    Scope, Send, Slot, SlotState,
};
use super::{inclusion, txid, unusable};

type Answered<T> = Result<T, PortError>;

fn seconds(at: i64) -> u64 {
    u64::try_from(at).unwrap_or(0)
}

pub(super) fn unknown(table: &'static str, word: &str) -> PortError {
    let detail = format!("{table} holds {word:?}, which this version does not know");
    unusable("reading what is remembered", detail)
}

fn intent_of(row: IntentRow) -> Answered<Intent> {
    let state = IntentState::from_name(&row.state);
    let reason = row
        .reason
        .map(|r| Reason::from_name(&r).ok_or_else(|| unknown("mint_intent", &r)));
    Ok(Intent {
        id: row.id,
        award: AwardKey {
            contract: row.contract,
            recipient: row.recipient,
            kind: row.kind,
            seq: row.seq,
        },
        state: state.ok_or_else(|| unknown("mint_intent", &row.state))?,
        reason: reason.transpose()?,
        since_s: seconds(row.since_s),
        cancel: row.cancel,
        failures: row.failures,
        retractions: row.retractions,
    })
}

fn attempt_of(row: AttemptRow) -> Answered<Attempt> {
    let sends = row.sends.into_iter().map(|send| {
        let answer: Answer = serde_json::from_value(send.said)
            .map_err(|e| unusable("reading what a node said", e.to_string()))?;
        Ok(Send {
            node: usize::try_from(send.node).unwrap_or(usize::MAX),
            at_s: seconds(send.at_s),
            answer,
        })
    });
    Ok(Attempt {
        sends: sends.collect::<Answered<_>>()?,
        txid: txid(&row.txid)?,
        payload: payload(&row.kind)?,
        fee: row.fee,
        bytes: row.raw_tx,
        signed_s: seconds(row.signed_s),
        signed_height: row.signed_height,
        adopted: row.adopted,
    })
}

fn payload(kind: &str) -> Answered<Payload> {
    match kind {
        "mint" => Ok(Payload::Mint),
        "noop" => Ok(Payload::Noop),
        other => Err(unknown("tx_attempt", other)),
    }
}

fn slot_of(row: SlotRow) -> Answered<Slot> {
    let state = match row.state.as_str() {
        "reserved" => SlotState::Reserved,
        "live" => SlotState::Live,
        "consumed" => SlotState::Consumed,
        "dead" => SlotState::Dead,
        other => return Err(unknown("nonce_slot", other)),
    };
    // What killed a slot is another's, and no inclusion of ours.
    let included = row.seen.as_ref().filter(|_| state != SlotState::Dead);
    Ok(Slot {
        nonce: row.nonce,
        intent: row.intent,
        state,
        epoch: row.epoch,
        reserved_s: seconds(row.reserved_s),
        included: included.map(inclusion).transpose()?,
        left_final: row.left_final,
        attempts: row
            .attempts
            .into_iter()
            .map(attempt_of)
            .collect::<Answered<_>>()?,
    })
}

fn pause_of(row: PauseRow, lane: &LaneId) -> Answered<Pause> {
    let scope = match row.scope.as_str() {
        "global" => Scope::Global,
        "contract" => Scope::Contract {
            contract: row.subject,
        },
        _ => Scope::Lane(LaneId {
            contract: lane.contract.clone(),
            sender: row.subject,
        }),
    };
    Ok(Pause {
        scope,
        code: PauseCode::from_name(&row.reason)
            .ok_or_else(|| unknown("mint_pause", &row.reason))?,
        detail: row.note,
        author: row.author,
        since_s: seconds(row.since_s),
    })
}

pub(super) fn book_of(rows: BookRows, lane: &LaneId) -> Answered<Book> {
    let pauses = rows.pauses.into_iter().map(|p| pause_of(p, lane));
    Ok(Book {
        now_s: seconds(rows.lane.now_s),
        epoch: rows.lane.epoch,
        base_nonce: rows.lane.base_nonce,
        next_nonce: rows.lane.next_nonce,
        unexplained_since_s: rows.lane.unexplained_since_s.map(seconds),
        pauses: pauses.collect::<Answered<_>>()?,
        intents: rows
            .intents
            .into_iter()
            .map(intent_of)
            .collect::<Answered<_>>()?,
        slots: rows
            .slots
            .into_iter()
            .map(slot_of)
            .collect::<Answered<_>>()?,
        used: Used {
            fees_per_day: rows.used.fees_per_day,
            mints_per_hour: rows.used.mints_per_hour,
            mints_per_recipient: rows.used.mints_per_recipient,
            approved_per_kind: rows.used.approved_per_kind,
        },
    })
}
