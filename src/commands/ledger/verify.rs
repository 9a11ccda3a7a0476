//! `stxworx ledger verify`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use stxworx_indexer::retry::Backoff;
use stxworx_indexer::store::Pool;
use stxworx_indexer::store::ledger::chain::Fault;
use stxworx_indexer::store::ledger::{read, seal};
use stxworx_reconciler::ledger::close::SealFile;
use stxworx_reconciler::ledger::proof::{self, Proof, Told};

use super::{LedgerError, node, say};
use crate::cli::Outcome;
use crate::config::Config;
use crate::post::OutputFormat;

/// Options of `ledger verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The node whose balances are compared (RPC, http://HOST:PORT); without it node.rpc_url, if that is set.
    #[arg(long, value_name = "URL")]
    pub node: Option<String>,
    /// A seal's file, as `ledger close` wrote it: it must be whole, and the books must still have it.
    #[arg(long, value_name = "FILE")]
    pub seal: Option<PathBuf>,
    /// How the result is printed.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = OutputFormat::Text)]
    pub output: OutputFormat,
}

#[derive(Debug, Serialize)]
struct Report {
    journals: i64,
    faults: Vec<Fault>,
    seal_file: Option<String>,
    proof: Proof,
}

impl Report {
    /// Nothing is wrong with the books by themselves.
    fn is_whole(&self) -> bool {
        self.faults.is_empty() && self.seal_file.is_none() && self.proof.trial_balance.is_empty()
    }
}

/// The daemon may be in the middle of booking.
const LOOKS: u32 = 6;

async fn proved(
    pool: &Pool,
    node: Option<&stxworx_indexer::audit::NodeReader>,
) -> Result<Proof, LedgerError> {
    let mut backoff = Backoff::default();
    let mut proof = proof::prove(pool, node, None).await?;
    for _ in 0..LOOKS {
        if proof.unbooked == 0 {
            break;
        }
        tokio::time::sleep(backoff.next_delay()).await;
        proof = proof::prove(pool, node, None).await?;
    }
    Ok(proof)
}

pub(super) async fn verify(
    config: &Config,
    pool: &Pool,
    args: &VerifyArgs,
) -> Result<Outcome, LedgerError> {
    let node = node(config, args.node.as_deref())?;
    let (journals, faults) = read::walk(pool).await?;
    let seal_file = match &args.seal {
        Some(path) => against_file(pool, path).await?,
        None => None,
    };
    let report = Report {
        journals,
        faults,
        seal_file,
        proof: proved(pool, node.as_ref()).await?,
    };
    say(args.output, &report, text)?;
    let behind = report.proof.unbooked;
    if report.is_whole() && behind > 0 {
        return Err(LedgerError::Refused(format!(
            "{behind} lines of the outbox are not booked, so that nothing could be compared: let the daemon catch up, or \
             run `stxworx ledger book`"
        )));
    }
    Ok(if report.is_whole() && report.proof.holds() {
        Outcome::Done
    } else {
        Outcome::Unsound
    })
}

/// What is wrong with a seal's file, or with the books if the file is right.
async fn against_file(pool: &Pool, path: &Path) -> Result<Option<String>, LedgerError> {
    let text = std::fs::read_to_string(path).map_err(LedgerError::file(path, "read"))?;
    let file: SealFile = serde_json::from_str(&text)?;
    if let Some(fault) = file.fault() {
        return Ok(Some(format!("{}: {fault}", path.display())));
    }
    let seals = seal::list(pool).await?;
    Ok(match seals.iter().find(|s| s.number == file.period) {
        None => Some(format!("the books have no closed period {}", file.period)),
        Some(ours) if hex::encode(ours.seal) != file.seal => Some(format!(
            "period {} of the books has another seal than {}",
            file.period,
            path.display()
        )),
        Some(_) => None,
    })
}

fn text(report: &Report) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write(report, &mut text);
    text
}

/// What the node counts, and nothing that the mirror has seen.
fn opening(held: &Told) -> String {
    match held.opening.as_str() {
        "0" => String::new(),
        opening => format!(" of which {opening} from before the mirror"),
    }
}

fn write(report: &Report, text: &mut String) -> std::fmt::Result {
    match report.faults.len() {
        0 => writeln!(text, "{} journals, every hash follows", report.journals)?,
        n => writeln!(text, "{} journals, {n} faults", report.journals)?,
    }
    for fault in &report.faults {
        writeln!(text, "{fault}")?;
    }
    if let Some(fault) = &report.seal_file {
        writeln!(text, "{fault}")?;
    }
    let proof = &report.proof;
    let Some((block, height)) = proof.block.as_ref().zip(proof.height) else {
        return writeln!(text, "the mirror is empty: there is nothing to compare");
    };
    writeln!(text, "at block {block} (height {height}), in base units:")?;
    for (asset, off) in &proof.trial_balance {
        writeln!(text, "the trial balance of {asset} is off by {off}")?;
    }
    if proof.unbooked > 0 {
        return writeln!(text, "not compared: the books are behind the mirror");
    }
    for held in &proof.holders {
        let node = held.node.as_deref().unwrap_or("not asked");
        let verdict = if held.agrees() { "agree" } else { "DIFFER" };
        writeln!(
            text,
            "{} in {}: books {}, transfers {}, node {node}{}: {verdict}",
            held.holder,
            held.asset,
            held.booked,
            held.counted,
            opening(held)
        )?;
    }
    for project in &proof.projects {
        writeln!(
            text,
            "project {} of {}: books {}, locked by the mirror {}: DIFFER",
            project.project, project.contract, project.booked, project.locked
        )?;
    }
    let compared = proof.projects_compared;
    writeln!(
        text,
        "{compared} projects compared, {} differ",
        proof.projects.len()
    )
}
