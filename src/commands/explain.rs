//! `stxworx explain`.

use std::fmt::Write as _;

use clap::{Args, Subcommand};
use serde_json::Value;
use stxworx_indexer::explain::{
    self, At, Audit, BlockView, Change, EventView, ExplainError, Explanation, Subject,
    TransactionView,
};
use stxworx_indexer::model::TxId;
use stxworx_indexer::store::{self, Access, StoreError};

use crate::cli::{CommandError, Outcome};
use crate::config::Config;
use crate::daemon::Database;
use crate::post::OutputFormat;

/// Options of `explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// What is to be explained.
    #[command(subcommand)]
    pub what: ExplainWhat,
    /// The contract, where several deployments are followed.
    #[arg(long, global = true, value_name = "CONTRACT")]
    pub contract: Option<String>,
    /// As of this block: a height, or an index block hash of any fork; the tip otherwise.
    #[arg(long, global = true, value_name = "BLOCK", value_parser = at_block)]
    pub at_block: Option<At>,
    /// How the result is printed.
    #[arg(long, global = true, value_enum, value_name = "FORMAT", default_value_t = OutputFormat::Text)]
    pub output: OutputFormat,
}

/// What can be explained.
#[derive(Debug, Subcommand)]
pub enum ExplainWhat {
    /// A project, by its number.
    Project {
        /// Its number.
        id: u128,
    },
    /// A badge, by its number.
    Badge {
        /// Its number.
        id: u128,
    },
    /// A governed action, by its number.
    Action {
        /// Its number.
        id: u128,
    },
    /// A user.
    Profile {
        /// The user's address.
        principal: String,
    },
    /// An asset of the escrow.
    Asset {
        /// STX, or the token's contract.
        asset: String,
    },
    /// A transaction: where it stands, its events, and what they changed.
    Transaction {
        /// Its id.
        txid: TxId,
    },
}

fn at_block(text: &str) -> Result<At, String> {
    if text.len() >= 64 {
        return text.parse().map(At::Block).map_err(|e| format!("{e}"));
    }
    text.parse()
        .map(At::Height)
        .map_err(|_| format!("{text:?} is no block; give a height, or 64 hexadecimal digits"))
}

/// Why nothing could be explained.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// The database.
    #[error("the mirror cannot be opened")]
    Store(#[from] StoreError),
    /// The question.
    #[error(transparent)]
    Explain(#[from] ExplainError),
}

/// Says where a state, or a transaction's effect, comes from.
///
/// # Errors
/// When there is no such thing, or the database fails.
pub async fn explain(config: &Config, args: &ExplainArgs) -> Result<Outcome, CommandError> {
    let database = Database::attach(config)
        .await
        .map_err(CommandError::other)?;
    let result = ask(database.url(), config, args).await;
    database.close().await;
    let (json, text) = result.map_err(CommandError::other)?;
    match args.output {
        OutputFormat::Json => crate::cli::say!("{json:#}"),
        OutputFormat::Text => crate::cli::say_text(&text),
    }
    Ok(Outcome::Done)
}

async fn ask(url: &str, config: &Config, args: &ExplainArgs) -> Result<(Value, String), Failure> {
    let pool = store::pool(url, Access::Read, 2)?;
    let finality = super::status::finality(config, &pool).await;
    let contract = args.contract.as_deref();
    let subject = match &args.what {
        ExplainWhat::Project { id } => Subject::Project(id.to_string()),
        ExplainWhat::Badge { id } => Subject::Badge(id.to_string()),
        ExplainWhat::Action { id } => Subject::Action(id.to_string()),
        ExplainWhat::Profile { principal } => Subject::Profile(principal.clone()),
        ExplainWhat::Asset { asset } => Subject::Asset(asset.clone()),
        ExplainWhat::Transaction { txid } => {
            let answer = transaction(&pool, *txid, finality).await;
            pool.close().await;
            return answer;
        }
    };
    let answer = explain::explain(&pool, &subject, contract, args.at_block, finality).await;
    pool.close().await;
    let answer = answer?;
    Ok((serde_json::json!(answer), state_text(&answer)))
}

async fn transaction(
    pool: &store::Pool,
    txid: TxId,
    finality: u32,
) -> Result<(Value, String), Failure> {
    let views = explain::explain_transaction(pool, txid, finality).await?;
    let text = views.iter().map(transaction_text).collect::<String>();
    Ok((serde_json::json!(views), text))
}

/// A value for people: texts without quotes.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "none".to_owned(),
        other => other.to_string(),
    }
}

fn event_text(event: &EventView) -> String {
    let what = event.topic.as_deref().unwrap_or(&event.kind);
    let mut text = what.to_owned();
    if let Some(seq) = &event.seq {
        let _ = write!(text, ", event {seq}");
    }
    if let Some(contract) = &event.contract {
        let _ = write!(text, " of {contract}");
    }
    if let Some(amount) = &event.amount {
        let name = |who: &Option<String>| who.clone().unwrap_or_else(|| "nobody".to_owned());
        let (from, to) = (name(&event.sender), name(&event.recipient));
        let _ = write!(text, ", {amount} from {from} to {to}");
    }
    if let Some(by) = &event.by {
        let _ = write!(text, ", called by {by}");
    }
    text
}

fn finality_text(finality: Option<&str>) -> &str {
    finality.unwrap_or("not canonical")
}

fn state_text(e: &Explanation) -> String {
    let mut text = format!(
        "{} ({}) as of block {} (height {}{})\n\nfields\n",
        e.subject,
        e.entity,
        e.as_of,
        e.as_of_height,
        if e.as_of_canonical {
            ""
        } else {
            ", not canonical"
        }
    );
    for field in &e.fields {
        let by = field.set_by.map_or_else(
            || "older than the versions that were walked".to_owned(),
            |change| format!("[{}]", change + 1),
        );
        let _ = writeln!(text, "  {} = {} <- {by}", field.path, plain(&field.value));
    }
    text.push_str("\nchanges\n");
    for (number, change) in (1..).zip(&e.changes) {
        change_text(&mut text, number, change);
    }
    text.push_str("\npayloads\n");
    e.blocks.iter().for_each(|b| payload_text(&mut text, b));
    audits_text(&mut text, &e.audits);
    text
}

fn change_text(text: &mut String, number: usize, change: &Change) {
    let finality = finality_text(change.finality.as_deref());
    let _ = writeln!(
        text,
        "  [{number}] block {} (height {}, {finality})",
        change.block, change.height
    );
    for event in &change.events {
        let _ = writeln!(
            text,
            "      <- {}; transaction {}, place {}",
            event_text(event),
            event.txid,
            event.ordinal
        );
    }
}

fn payload_text(text: &mut String, block: &BlockView) {
    let unknown = || "unknown".to_owned();
    let _ = writeln!(
        text,
        "  block {} (height {}) <- payload {}, received {}, sha256 {}, from {}{}, delivered {} times",
        block.index_block_hash,
        block.height,
        block.inbox_id,
        block
            .received_at
            .clone()
            .unwrap_or_else(|| "never (it is gone)".to_owned()),
        block.sha256.clone().unwrap_or_else(unknown),
        block.source.unwrap_or("unknown"),
        if block.cut_down {
            ", cut down to what is followed"
        } else {
            ""
        },
        block.deliveries.map_or_else(unknown, |n| n.to_string()),
    );
}

fn audits_text(text: &mut String, audits: &[Audit]) {
    text.push_str("\naudits\n");
    for audit in audits {
        let said = match (&audit.verdict, &audit.seq, audit.height) {
            (Some(verdict), Some(seq), Some(height)) => format!(
                "{verdict} up to event {seq} at height {height}, {}",
                audit.checked_at.as_deref().unwrap_or("at an unknown time")
            ),
            _ => "not compared with a node yet".to_owned(),
        };
        let _ = writeln!(text, "  {}: {said}", audit.contract);
    }
}

fn transaction_text(view: &TransactionView) -> String {
    let mut text = format!(
        "transaction {} in block {} (height {}, {}), place {}: {} {}\n",
        view.txid,
        view.block.index_block_hash,
        view.block.height,
        finality_text(view.block.finality.as_deref()),
        view.tx_index,
        view.kind,
        view.status
    );
    if let Some(sender) = &view.sender {
        let _ = writeln!(
            text,
            "  sent by {sender}{}",
            match (&view.contract, &view.function) {
                (Some(contract), Some(function)) => format!(", calls {function} of {contract}"),
                (Some(contract), None) => format!(", of {contract}"),
                _ => String::new(),
            }
        );
    }
    text.push_str("\nevents\n");
    for event in &view.events {
        let _ = writeln!(text, "  {}: {}", event.ordinal, event_text(event));
    }
    text.push_str("\nchanges\n");
    for touched in &view.touched {
        let _ = writeln!(text, "  {} {}", touched.projection, touched.entity);
        for field in &touched.fields {
            let show = |value: &Option<Value>| value.as_ref().map_or("nothing".to_owned(), plain);
            let (before, after) = (show(&field.before), show(&field.after));
            let _ = writeln!(text, "    {}: {before} -> {after}", field.path);
        }
    }
    text.push_str("\npayloads\n");
    payload_text(&mut text, &view.block);
    audits_text(&mut text, &view.audits);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_a_height_or_a_hash() {
        assert_eq!(at_block("17"), Ok(At::Height(17)));
        let hash = format!("0x{}", "07".repeat(32));
        assert!(matches!(at_block(&hash), Ok(At::Block(id)) if id.to_string() == hash));
        assert!(at_block("0x12").is_err() && at_block(&"g".repeat(64)).is_err());
    }
}
