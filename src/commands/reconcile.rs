//! `stxworx reconcile`.

use clap::{Args, Subcommand};
use serde_json::json;
use stxworx_indexer::store::reconcile::breaks::{self, BreakFilter};
use stxworx_indexer::store::{self, Access, Pool};
use stxworx_reconciler::engine::{self, At, Difference, EngineError, RunReport, Wanted};

use crate::cli::{CommandError, Outcome};
use crate::config::Config;
use crate::daemon::Database;
use crate::daemon::reconciler::asked;
use crate::post::OutputFormat;

/// Options of `reconcile`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct ReconcileArgs {
    /// Something about earlier runs.
    #[command(subcommand)]
    pub what: Option<ReconcileWhat>,
    /// Compare once, and end: exit code 3 if breaks are open. All the time, `stxworx run` does it.
    #[arg(long, required = true)]
    pub once: bool,
    /// Only what changed since the last run.
    #[arg(long, conflicts_with = "at_block")]
    pub incremental: bool,
    /// With the chain as it was at this block (a height, or an index block hash of any fork): breaks stay as they are.
    #[arg(long, value_name = "BLOCK", value_parser = at_block)]
    pub at_block: Option<At>,
    /// How the result is printed.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = OutputFormat::Text)]
    pub output: OutputFormat,
}

/// About earlier runs.
#[derive(Debug, Subcommand)]
pub enum ReconcileWhat {
    /// Carry a run out again, from what is stored: exit code 3 unless its verdicts are the same.
    Rerun {
        /// The run's number.
        run: i64,
        /// How the result is printed.
        #[arg(long, value_enum, value_name = "FORMAT", default_value_t = OutputFormat::Text)]
        output: OutputFormat,
    },
    /// Say what two runs found differently.
    Diff {
        /// The run's number.
        first: i64,
        /// The other run's number.
        second: i64,
        /// How the result is printed.
        #[arg(long, value_enum, value_name = "FORMAT", default_value_t = OutputFormat::Text)]
        output: OutputFormat,
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

/// Compares the platform with the chain, or looks at earlier comparisons.
///
/// # Errors
/// When one side cannot be read. Open breaks are no error but [`Outcome::Unsound`].
pub async fn reconcile(config: &Config, args: &ReconcileArgs) -> Result<Outcome, CommandError> {
    let database = Database::attach(config)
        .await
        .map_err(CommandError::other)?;
    let result = run(config, database.url(), args).await;
    database.close().await;
    result
}

async fn run(config: &Config, url: &str, args: &ReconcileArgs) -> Result<Outcome, CommandError> {
    let pool = store::pool(url, Access::Write, 4).map_err(CommandError::other)?;
    let result = match &args.what {
        None => once(config, &pool, args).await,
        Some(ReconcileWhat::Rerun { run, output }) => rerun(&pool, *run, *output).await,
        Some(ReconcileWhat::Diff {
            first,
            second,
            output,
        }) => engine::diff(&pool, *first, *second)
            .await
            .map(|found| show_diff(&found, *output))
            .map_err(CommandError::other),
    };
    pool.close().await;
    result
}

async fn once(config: &Config, pool: &Pool, args: &ReconcileArgs) -> Result<Outcome, CommandError> {
    let platform = config.platform.as_ref().ok_or_else(|| {
        CommandError::Usage("no platform to compare with: set platform.url".to_owned())
    })?;
    let wanted = match &args.at_block {
        Some(at) => Wanted::At(at.clone()),
        None if args.incremental => Wanted::Incremental,
        None => Wanted::Sweep,
    };
    let mut settings = platform.settings.clone();
    settings.node = asked(config, platform).map_err(CommandError::other)?;
    let report = engine::reconcile(pool, &settings, &wanted)
        .await
        .map_err(CommandError::other)?;
    let filter = BreakFilter {
        states: vec!["open".to_owned(), "acknowledged".to_owned()],
        limit: 10_001,
        ..BreakFilter::default()
    };
    let open = breaks::list(pool, &filter)
        .await
        .map_err(CommandError::other)?
        .len();
    match args.output {
        OutputFormat::Json => {
            let value = json!({ "report": report, "open_breaks": open });
            crate::cli::say!("{value:#}");
        }
        OutputFormat::Text => crate::cli::say_text(&text(&report, Some(open))),
    }
    let found = if report.applies {
        open > 0
    } else {
        report.broken > 0
    };
    Ok(if found || is_blind(&report) {
        Outcome::Unsound
    } else {
        Outcome::Done
    })
}

/// Could the control itself not do its work?
fn is_blind(report: &RunReport) -> bool {
    report
        .notes
        .iter()
        .any(|note| note["kind"] != "schema_changed")
}

async fn rerun(pool: &Pool, run: i64, output: OutputFormat) -> Result<Outcome, CommandError> {
    let result: Result<_, EngineError> = engine::rerun(pool, run).await;
    let (report, same) = result.map_err(CommandError::other)?;
    match output {
        OutputFormat::Json => {
            let value = json!({ "report": report, "of_run": run, "same": same });
            crate::cli::say!("{value:#}");
        }
        OutputFormat::Text => {
            let says = if same {
                "the same verdicts, byte for byte"
            } else {
                "OTHER VERDICTS: the mirror or what was kept of the platform was changed since; see `stxworx verify`"
            };
            crate::cli::say_text(&format!("{}run {run} again: {says}\n", text(&report, None)));
        }
    }
    Ok(if same {
        Outcome::Done
    } else {
        Outcome::Unsound
    })
}

fn show_diff(found: &[Difference], output: OutputFormat) -> Outcome {
    match output {
        OutputFormat::Json => crate::cli::say!("{:#}", json!(found)),
        OutputFormat::Text => {
            let mut text = String::new();
            for it in found {
                let says =
                    |said: &Option<String>| said.clone().unwrap_or_else(|| "nothing".to_owned());
                text.push_str(&format!(
                    "{} {} {} {}: {} -> {}\n",
                    it.rule,
                    it.subject_kind,
                    it.subject_key,
                    it.what,
                    says(&it.first),
                    says(&it.second)
                ));
            }
            text.push_str(&format!("{} differences\n", found.len()));
            crate::cli::say_text(&text);
        }
    }
    Outcome::Done
}

/// A run for a person.
fn text(report: &RunReport, open: Option<usize>) -> String {
    let anchor = &report.anchor;
    let mut text = format!(
        "run {} ({}): {} at block {} (height {}, Bitcoin height {}), platform read at {}\n\
         {} considered: {} matched, {} tolerated, {} broken, {} skipped\n",
        report.run,
        report.kind,
        report.contract,
        anchor.block,
        anchor.height,
        anchor.burn_height,
        anchor.platform_time_s,
        report.considered,
        report.matched,
        report.tolerated,
        report.broken,
        report.skipped,
    );
    for (reason, count) in report.skips.as_object().into_iter().flatten() {
        text.push_str(&format!("  skipped, {reason}: {count}\n"));
    }
    for (asset, sums) in report.coverage.as_object().into_iter().flatten() {
        let units = |name: &str| sums[name].as_str().unwrap_or("?").to_owned();
        text.push_str(&format!(
            "  {asset}: {} of {} locked compared\n",
            units("compared"),
            units("locked")
        ));
    }
    if !report.changes.is_empty() {
        let changes: Vec<_> = report
            .changes
            .iter()
            .map(|(what, count)| format!("{count} {what}"))
            .collect();
        text.push_str(&format!("breaks: {}\n", changes.join(", ")));
    }
    for note in &report.notes {
        text.push_str(&format!(
            "NOTE {}\n",
            note["says"].as_str().unwrap_or_default()
        ));
    }
    text.push_str(&format!(
        "canary {}, verdicts {}\n",
        report.canary, report.verdict_digest
    ));
    if let Some(open) = open {
        text.push_str(&format!("{open} open breaks\n"));
    }
    text
}
