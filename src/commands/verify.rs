//! `stxworx verify`.

use std::io::{IsTerminal as _, Write as _};

use stxworx_indexer::store::{self, Access, StoreError};
use stxworx_indexer::verify::{self as proof, Report};

use crate::cli::{CommandError, Outcome};
use crate::config::Config;
use crate::daemon::Database;
use crate::post::OutputFormat;

/// Compares the mirror with what its stored payloads say.
///
/// # Errors
/// When the database cannot be read. Differences are no error but [`Outcome::Unsound`].
pub async fn verify(config: &Config, output: OutputFormat) -> Result<Outcome, CommandError> {
    let database = Database::attach(config)
        .await
        .map_err(CommandError::other)?;
    let result = run(database.url()).await;
    database.close().await;
    let report = result.map_err(CommandError::other)?;
    match output {
        OutputFormat::Json => {
            let json = serde_json::to_value(&report).map_err(CommandError::other)?;
            crate::cli::say!("{json:#}");
        }
        OutputFormat::Text => crate::cli::say_text(&text(&report)),
    }
    Ok(if report.mismatches.is_empty() {
        Outcome::Done
    } else {
        Outcome::Unsound
    })
}

async fn run(url: &str) -> Result<Report, StoreError> {
    let pool = store::pool(url, Access::Write, 4)?;
    let live = std::io::stderr().is_terminal();
    let mut progress = |blocks: u64| {
        if live {
            eprint!("\r{blocks} blocks verified");
            let _ = std::io::stderr().flush();
        }
    };
    let report = proof::verify(&pool, &mut progress).await;
    if live {
        eprintln!();
    }
    pool.close().await;
    report
}

fn text(report: &Report) -> String {
    let mut text = String::new();
    for m in &report.mismatches {
        text.push_str(&format!(
            "block {} (height {}), table {}, row {}, {}: expected {}, stored {}\n",
            m.block, m.height, m.table, m.row, m.column, m.expected, m.stored
        ));
    }
    let none = "none".to_owned();
    text.push_str(&format!(
        "{} blocks, {} rows, {} differences; tip {}, digest {}\n",
        report.blocks,
        report.rows,
        report.mismatches.len(),
        report.tip.as_ref().unwrap_or(&none),
        report.tip_digest.as_ref().unwrap_or(&none),
    ));
    text
}
