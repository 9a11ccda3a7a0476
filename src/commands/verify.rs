//! `stxworx verify`.

use clap::Args;
use stxworx_indexer::audit::{self, AuditError, ChainReport, CursorProof, NodeReader};
use stxworx_indexer::store::{self, Access};
use stxworx_indexer::verify::deep::{self, DeepReport};
use stxworx_indexer::verify::{self as proof, Report};

use super::progress::Line;
use crate::cli::{CommandError, Outcome};
use crate::config::Config;
use crate::daemon::Database;
use crate::post::OutputFormat;

/// Options of `verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Also compare each contract's chain of events with the contract's cursor at this node (RPC, http://HOST:PORT).
    #[arg(long, value_name = "URL")]
    pub node: Option<String>,
    /// Also hash every transaction and identity, read every payload, and check inbox states, orphans, numbers, the
    /// outbox and the indexes.
    #[arg(long)]
    pub deep: bool,
    /// With --deep: only blocks from this height on; everything that belongs to no block is checked all the same.
    #[arg(long, value_name = "HEIGHT", requires = "deep")]
    pub from: Option<u32>,
    /// With --deep: only blocks up to this height.
    #[arg(long, value_name = "HEIGHT", requires = "deep")]
    pub to: Option<u32>,
    /// How the result is printed.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = OutputFormat::Text)]
    pub output: OutputFormat,
}

/// All that a verification found.
#[derive(Debug, serde::Serialize)]
struct Findings {
    #[serde(flatten)]
    report: Report,
    /// What was looked at besides; its differences are among the others. None without `--deep`.
    #[serde(skip_serializing_if = "Option::is_none")]
    deep: Option<DeepCounts>,
    /// The contracts' chains of events, walked anew.
    chains: Vec<ChainReport>,
    /// Each contract's chain against the contract's own cursor; none without a node.
    cursors: Option<Vec<CursorProof>>,
}

/// Heights that make no range.
#[derive(Debug, thiserror::Error)]
#[error("--from {from} is above --to {to}: give the lower height first")]
struct Backwards {
    from: u32,
    to: u32,
}

/// How much a deep verification looked at.
#[derive(Debug, serde::Serialize)]
struct DeepCounts {
    identities: u64,
    transactions: u64,
    payloads: u64,
    indexes: u64,
}

impl DeepCounts {
    fn of(report: &DeepReport) -> Self {
        Self {
            identities: report.identities,
            transactions: report.transactions,
            payloads: report.payloads,
            indexes: report.indexes,
        }
    }
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
    if let (Some(from), Some(to)) = (args.from, args.to)
        && from > to
    {
        return Err(CommandError::other(Backwards { from, to }));
    }
    let url = args.node.as_deref().or(config.node_url.as_deref());
    let node = url
        .map(|url| NodeReader::new(url, config.node_timeout))
        .transpose()
        .map_err(CommandError::other)?;
    let database = Database::attach(config)
        .await
        .map_err(CommandError::other)?;
    let result = run(database.url(), node.as_ref(), args).await;
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

async fn run(
    url: &str,
    node: Option<&NodeReader>,
    args: &VerifyArgs,
) -> Result<Findings, AuditError> {
    let pool = store::pool(url, Access::Write, 4)?;
    let (lowest, highest) = proof::ALL_HEIGHTS;
    let height = |text: Option<u32>, otherwise| {
        text.map_or(otherwise, |h| i32::try_from(h).unwrap_or(i32::MAX))
    };
    let heights = (height(args.from, lowest), height(args.to, highest));
    let mut line = Line::new();
    let report = proof::verify_heights(&pool, heights, &mut |blocks| {
        line.show(&format!("{blocks} blocks verified"));
    })
    .await;
    let deep = match &report {
        Ok(_) if args.deep => {
            let mut show = |step: deep::Step| line.show(&format!("{} {}", step.done, step.name));
            Some(deep::verify_deep(&pool, heights, &mut show).await)
        }
        _ => None,
    };
    line.end();
    let (mut report, deep) = (report?, deep.transpose()?);
    if let Some(deep) = &deep {
        report.and(deep);
    }
    let findings = Findings {
        report,
        deep: deep.as_ref().map(DeepCounts::of),
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
        let place = match m.block.as_str() {
            "0x" if m.height == 0 => String::new(),
            block => format!("block {block} (height {}), ", m.height),
        };
        text.push_str(&format!(
            "{place}table {}, row {}, {}: expected {}, stored {}\n",
            m.table, m.row, m.column, m.expected, m.stored
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
    if let Some(deep) = &findings.deep {
        text.push_str(&format!(
            "{} identities and {} transactions hashed anew, {} payloads read, {} indexes looked at\n",
            deep.identities, deep.transactions, deep.payloads, deep.indexes
        ));
    }
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
