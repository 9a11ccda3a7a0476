//! `stxworx reindex`.

use std::time::Duration;

use clap::Args;
use stxworx_indexer::reindex::{self, Ending, Options, Progress, ReindexError, Report, SHOWN};
use stxworx_indexer::store::reindex::swap::Swapped;
use stxworx_indexer::store::{self, Access, migrate};
use tokio_util::sync::CancellationToken;

use super::progress::Line;
use crate::cli::{CommandError, Outcome};
use crate::config::Config;
use crate::daemon::Database;
use crate::post::OutputFormat;

/// Options of `reindex`.
#[derive(Debug, Args)]
pub struct ReindexArgs {
    /// First height.
    #[arg(long, value_name = "HEIGHT", required_unless_present = "undo")]
    pub from: Option<u32>,
    /// Last height.
    #[arg(long, value_name = "HEIGHT", required_unless_present = "undo")]
    pub to: Option<u32>,
    /// Only rows and states of this contract; refused where others differ in the same block.
    #[arg(long, value_name = "CONTRACT")]
    pub contract: Option<String>,
    /// Swap what differs, in one transaction; without this, only say what differs.
    #[arg(long)]
    pub apply: bool,
    /// Put back what the last swap replaced, if nothing has moved over it since.
    #[arg(long, conflicts_with_all = ["from", "to", "contract", "apply"])]
    pub undo: bool,
    /// How the result is printed.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = OutputFormat::Text)]
    pub output: OutputFormat,
}

/// Compares a range of heights with its stored payloads, and swaps what differs, or puts a swap back.
///
/// # Errors
/// When the range, the rules or the role forbid it, or the database fails. Differences that stay are no error but
/// [`Outcome::Unsound`].
pub async fn reindex(
    config: &Config,
    args: &ReindexArgs,
    cancel: CancellationToken,
) -> Result<Outcome, CommandError> {
    let database = Database::attach(config)
        .await
        .map_err(CommandError::other)?;
    let result = if args.undo {
        undo(database.url(), args.output).await
    } else {
        run(database.url(), args, &cancel).await
    };
    database.close().await;
    result.map_err(CommandError::other)
}

async fn open(url: &str) -> Result<store::Pool, ReindexError> {
    let pool = store::pool(url, Access::Write, 4)?;
    migrate::migrate(&pool).await?;
    Ok(pool)
}

async fn run(
    url: &str,
    args: &ReindexArgs,
    cancel: &CancellationToken,
) -> Result<Outcome, ReindexError> {
    let pool = open(url).await?;
    let options = Options {
        from: args.from.unwrap_or_default(),
        to: args.to.unwrap_or_default(),
        contract: args.contract.clone(),
        apply: args.apply,
    };
    let mut line = Line::new();
    let started = std::time::Instant::now();
    let mut first = None;
    let report = reindex::run(&pool, &options, cancel, &mut |p: Progress| {
        let begun = *first.get_or_insert(p.blocks.saturating_sub(1));
        line.show(&progress(p, p.blocks - begun, started.elapsed()));
    })
    .await;
    line.end();
    pool.close().await;
    let report = report?;
    match args.output {
        OutputFormat::Json => crate::cli::say!("{:#}", serde_json::json!(report)),
        OutputFormat::Text => crate::cli::say_text(&text(&report)),
    }
    Ok(match report.ending {
        Ending::Clean | Ending::Applied { .. } | Ending::Stopped => Outcome::Done,
        Ending::Compared | Ending::Refused { .. } => Outcome::Unsound,
    })
}

fn progress(p: Progress, done: u64, elapsed: Duration) -> String {
    let millis = u64::try_from(elapsed.as_millis())
        .unwrap_or(u64::MAX)
        .max(1);
    let left = p.of.saturating_sub(p.blocks);
    let seconds = left.saturating_mul(millis) / done.max(1) / 1000;
    format!(
        "{} of {} blocks compared, {} differ, about {seconds} s left",
        p.blocks, p.of, p.differing
    )
}

async fn undo(url: &str, output: OutputFormat) -> Result<Outcome, ReindexError> {
    let pool = open(url).await?;
    let swapped = reindex::undo(&pool).await;
    pool.close().await;
    let (outcome, text, json) = match swapped? {
        Swapped::Done {
            job,
            blocks,
            digests,
        } => (
            Outcome::Done,
            format!(
                "what run {job} replaced was put back: {blocks} blocks, {digests} digests above them; the mirror is \
                 as wrong as before\n"
            ),
            serde_json::json!({"outcome": "undone", "job": job, "exchanged": blocks, "digests": digests}),
        ),
        Swapped::Refused(reason) => (
            Outcome::Unsound,
            format!("refused: {reason}; nothing was changed\n"),
            serde_json::json!({"outcome": "refused", "reason": reason}),
        ),
    };
    match output {
        OutputFormat::Json => crate::cli::say!("{json:#}"),
        OutputFormat::Text => crate::cli::say_text(&text),
    }
    Ok(outcome)
}

fn text(report: &Report) -> String {
    let mut text = String::new();
    for m in &report.shown {
        let place = match m.block.as_str() {
            "0x" => String::new(),
            block => format!("block {block} (height {}), ", m.height),
        };
        text.push_str(&format!(
            "{place}table {}, row {}, {}: stored {}, recomputed {}\n",
            m.table, m.row, m.column, m.stored, m.expected
        ));
    }
    if report.shown.len() >= SHOWN {
        text.push_str(&format!("only the first {SHOWN} differences are shown\n"));
    }
    let resumed = if report.resumed { ", resumed" } else { "" };
    text.push_str(&format!(
        "run {}{resumed}: heights {} to {}: {} blocks, {} rows compared; {} blocks differ, {} differences\n",
        report.job,
        report.from,
        report.to,
        report.blocks,
        report.rows,
        report.differing_blocks,
        report.differences
    ));
    if report.others > 0 {
        text.push_str(&format!(
            "{} more blocks have wrong rows, but none of this contract; run without --contract to see them\n",
            report.others
        ));
    }
    if let Some(height) = report.later_height {
        text.push_str(&format!(
            "{} states above the range, up to height {height}, are of entities whose states differ inside: compare \
             --from {} --to {height} as well\n",
            report.later_versions,
            report.to.saturating_add(1)
        ));
    }
    text.push_str(&match &report.ending {
        Ending::Clean => "nothing differs\n".to_owned(),
        Ending::Compared => "nothing was changed; add --apply to swap what differs\n".to_owned(),
        Ending::Applied { exchanged, digests } => format!(
            "swapped: {exchanged} blocks, {digests} digests above them; `stxworx reindex --undo` puts it back\n"
        ),
        Ending::Refused { reason } => format!("refused: {reason}\n"),
        Ending::Stopped => "stopped; the same command goes on here\n".to_owned(),
    });
    text
}
