//! `stxworx mints list` and `show`.

use std::fmt::Write as _;

use serde_json::{Value, json};
use stxworx_indexer::store::Pool;
use stxworx_indexer::store::mint::look::{self, EventRow, MintFilter, MintRow, SignedRow};
use stxworx_reconciler::mint::types::IntentState;

use super::ListArgs;
use crate::cli::{CommandError, Outcome};
use crate::post::OutputFormat;

/// Lines of a mint's history that are shown.
const LINES: i64 = 200;

fn hex(bytes: Option<&Vec<u8>>) -> Option<String> {
    bytes.map(|b| format!("0x{}", hex::encode(b)))
}

/// A mint as JSON.
fn value(row: &MintRow) -> Value {
    json!({
        "id": row.id, "contract": row.contract, "recipient": row.recipient, "kind": row.kind,
        "award_seq": row.award_seq, "state": row.state, "reason": row.reason, "note": row.note,
        "cancel_by": row.cancel_by, "failures": row.failures, "made_s": row.made_s, "changed_s": row.changed_s,
        "sender": row.sender, "nonce": row.nonce, "attempts": row.attempts.unwrap_or(0),
        "txid": hex(row.txid.as_ref()), "fee": row.fee, "included_txid": hex(row.by_txid.as_ref()),
        "included_block": hex(row.by_block.as_ref()), "included_height": row.by_height, "effect": row.effect,
        "minted_txid": hex(row.minted_txid.as_ref()), "badge": row.badge_id, "approved_by": row.approved_by,
    })
}

/// A mint in one line.
fn line(row: &MintRow) -> String {
    let mut text = format!(
        "{} {} kind {} to {}",
        row.id, row.state, row.kind, row.recipient
    );
    if let Some(reason) = &row.reason {
        let _ = write!(text, " ({reason})");
    }
    if let Some(badge) = &row.badge_id {
        let _ = write!(text, ", badge {badge}");
    } else if let Some(nonce) = row.nonce {
        let attempts = row.attempts.unwrap_or(0);
        let _ = write!(text, ", nonce {nonce}, {attempts} transactions");
    }
    if let Some(who) = &row.cancel_by {
        let _ = write!(text, ", given up by {who}");
    }
    text
}

pub(super) async fn list(
    pool: &Pool,
    args: &ListArgs,
    output: OutputFormat,
) -> Result<Outcome, CommandError> {
    let open = IntentState::ALL.into_iter().filter(|s| !s.is_over());
    let states: Vec<IntentState> = if args.state.is_empty() {
        open.collect()
    } else {
        args.state.clone()
    };
    let filter = MintFilter {
        states: states.iter().map(ToString::to_string).collect(),
        reason: args.reason.map(|r| r.as_str().to_owned()),
        recipient: args.recipient.clone(),
        kind: args.kind,
        contract: None,
        below: i64::MAX,
        limit: i64::from(args.limit),
    };
    let mut connection = pool.acquire().await.map_err(CommandError::other)?;
    let found = look::list(&mut connection, &filter)
        .await
        .map_err(CommandError::other)?;
    match output {
        OutputFormat::Json => {
            let all: Vec<_> = found.iter().map(value).collect();
            crate::cli::say!("{:#}", json!(all));
        }
        OutputFormat::Text => {
            let mut text: String = found.iter().map(|row| line(row) + "\n").collect();
            let _ = writeln!(text, "{} mints", found.len());
            crate::cli::say_text(&text);
        }
    }
    Ok(Outcome::Done)
}

pub(super) async fn show(
    pool: &Pool,
    id: i64,
    output: OutputFormat,
) -> Result<Outcome, CommandError> {
    let mut connection = pool.acquire().await.map_err(CommandError::other)?;
    let row = look::one(&mut connection, id)
        .await
        .map_err(CommandError::other)?;
    let row =
        row.ok_or_else(|| CommandError::Usage(format!("there is no mint {id}; see `mints list`")))?;
    let signed = look::signed(&mut connection, id, LINES)
        .await
        .map_err(CommandError::other)?;
    let (history, evidence) = look::history(&mut connection, id, LINES)
        .await
        .map_err(CommandError::other)?;
    let evidence: Value = evidence
        .and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or_default();
    match output {
        OutputFormat::Json => {
            let transactions: Vec<_> = signed.iter().map(transaction).collect();
            let history: Vec<_> = history.iter().map(event).collect();
            let all = json!({
                "mint": value(&row), "evidence": evidence, "transactions": transactions, "history": history,
            });
            crate::cli::say!("{all:#}");
        }
        OutputFormat::Text => crate::cli::say_text(&text(&row, &evidence, &signed, &history)),
    }
    Ok(Outcome::Done)
}

fn transaction(row: &SignedRow) -> Value {
    json!({
        "txid": hex(Some(&row.txid)), "nonce": row.nonce, "kind": row.kind, "fee": row.fee, "adopted": row.adopted,
        "signed_s": row.signed_s, "sends": row.sends,
    })
}

fn event(row: &EventRow) -> Value {
    json!({
        "at_s": row.at_s, "who": row.who, "from": row.from_state, "to": row.to_state, "reason": row.reason,
        "note": row.note,
    })
}

fn text(row: &MintRow, evidence: &Value, signed: &[SignedRow], history: &[EventRow]) -> String {
    let mut text = format!("{}\ncontract {}\n", line(row), row.contract);
    if !row.note.is_empty() {
        let _ = writeln!(text, "{}", row.note);
    }
    if let (Some(txid), Some(height)) = (hex(row.by_txid.as_ref()), row.by_height) {
        let _ = writeln!(text, "in a block: {txid} at height {height}");
    }
    let _ = writeln!(text, "facts: {evidence:#}\ntransactions:");
    for tx in signed {
        let txid = hex::encode(&tx.txid);
        let adopted = if tx.adopted {
            ", found on the chain"
        } else {
            ""
        };
        let _ = writeln!(
            text,
            "  0x{txid} {} at nonce {} for {} micro-STX{adopted}",
            tx.kind, tx.nonce, tx.fee
        );
        for send in tx.sends.as_array().into_iter().flatten() {
            let answer = send["answer"].as_str().unwrap_or_default();
            let _ = writeln!(text, "    node {} said {answer}", send["node"]);
        }
    }
    text.push_str("history:\n");
    for event in history {
        let from = event.from_state.as_deref().unwrap_or("nothing");
        let reason = event.reason.as_ref().map(|r| format!(" ({r})"));
        let _ = writeln!(
            text,
            "  {from} -> {}{} by {}: {}",
            event.to_state,
            reason.unwrap_or_default(),
            event.who,
            event.note
        );
    }
    text
}
