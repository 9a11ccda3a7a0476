//! `stxworx verify`.

use std::io::{IsTerminal as _, Write as _};

use stxworx_indexer::audit::{self, AuditError, ChainReport, CursorProof, NodeReader};
use stxworx_indexer::store::{self, Access};
use stxworx_indexer::verify::{self as proof, Report};

use crate::cli::{CommandError, Outcome, VerifyArgs};
use crate::config::Config;
use crate::daemon::Database;
use crate::post::OutputFormat;

/// All that a verification found.
#[derive(Debug, serde::Serialize)]
struct Findings {
    #[serde(flatten)]
    report: Report,
    /// The contracts' chains of events, walked anew.
    chains: Vec<ChainReport>,
    /// Each contract's chain against the contract's own cursor; none without a node.
    cursors: Option<Vec<CursorProof>>,
}

impl Findings {
    fn is_sound(&self) -> bool {
        self.report.mismatches.is_empty()
            && self.chains.iter().all(|c| c.fault.is_none())
            && self
                .cursors
                .iter()
                .flatten()
                .all(|c| c.difference().is_none())
    }
}

/// Compares the mirror with what its stored payloads say, walks the contracts' chains of events, and, if a node
/// is named, compares each with the contract's cursor there.
///
/// # Errors
/// When the database or the node cannot be read. Differences are no error but [`Outcome::Unsound`].
pub async fn verify(config: &Config, args: &VerifyArgs) -> Result<Outcome, CommandError> {
    let url = args.node.as_deref().or(config.node_url.as_deref());
    let node = url
        .map(|url| NodeReader::new(url, config.node_timeout))
        .transpose()
        .map_err(CommandError::other)?;
    let database = Database::attach(config)
        .await
        .map_err(CommandError::other)?;
    let result = run(database.url(), node.as_ref()).await;
    database.close().await;
    let findings = result.map_err(CommandError::other)?;
    match args.output {
        OutputFormat::Json => {
            let json = serde_json::to_value(&findings).map_err(CommandError::other)?;
            crate::cli::say!("{json:#}");
        }
        OutputFormat::Text => crate::cli::say_text(&text(&findings)),
    }
    Ok(if findings.is_sound() {
        Outcome::Done
    } else {
        Outcome::Unsound
    })
}

async fn run(url: &str, node: Option<&NodeReader>) -> Result<Findings, AuditError> {
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
    let findings = Findings {
        report: report?,
        chains: audit::walk(&pool).await?,
        cursors: match node {
            Some(node) => Some(audit::prove(&pool, node).await?),
            None => None,
        },
    };
    pool.close().await;
    Ok(findings)
}

fn text(findings: &Findings) -> String {
    let report = &findings.report;
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
    for chain in &findings.chains {
        match &chain.fault {
            Some(fault) => text.push_str(&format!("{}: {fault}\n", chain.contract)),
            None if chain.events == 0 => {
                text.push_str(&format!("{}: no event of the catalogue\n", chain.contract))
            }
            None => text.push_str(&format!(
                "{}: {} events, every link holds; the newest is {} with hash {}\n",
                chain.contract, chain.events, chain.seq, chain.head
            )),
        }
    }
    for proof in findings.cursors.iter().flatten() {
        text.push_str(&proof.text());
        text.push('\n');
    }
    text
}
