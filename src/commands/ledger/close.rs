//! `stxworx ledger close`.

use std::path::PathBuf;

use clap::Args;
use stxworx_indexer::store::Pool;
use stxworx_indexer::store::ledger::seal;
use stxworx_reconciler::ledger::close::{self, Request, SealFile, Signer};
use stxworx_reconciler::ledger::statement::Statement;

use super::{LedgerError, node};
use crate::cli::Outcome;
use crate::commands::finality;
use crate::config::Config;

/// Options of `ledger close`.
#[derive(Debug, Args)]
pub struct CloseArgs {
    /// The last Stacks height of the period; or its last day (YYYY-MM-DD, UTC), by the time of the Bitcoin blocks.
    #[arg(long, value_name = "HEIGHT|DATE")]
    pub until: String,
    /// Close it. Without this, nothing changes and the statement is shown.
    #[arg(long)]
    pub yes: bool,
    /// Write the seal to this file (JSON), to be published; it must not exist.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Sign the seal with the Ed25519 key in this file: 64 hexadecimal digits, or PEM (openssl genpkey -algorithm ed25519).
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// The node whose balances have to agree (RPC, http://HOST:PORT); without it node.rpc_url, if that is set.
    #[arg(long, value_name = "URL")]
    pub node: Option<String>,
    /// Close although something stands in suspense.
    #[arg(long)]
    pub with_suspense: bool,
}

/// Has it the form of a day? Whether there is such a day, the database says.
pub(super) fn is_day(text: &str) -> bool {
    text.len() == 10
        && text.chars().enumerate().all(|(n, c)| match n {
            4 | 7 => c == '-',
            _ => c.is_ascii_digit(),
        })
}

async fn height(pool: &Pool, until: &str) -> Result<i32, LedgerError> {
    if let Ok(height) = until.parse() {
        return Ok(height);
    }
    if !is_day(until) {
        return Err(LedgerError::Refused(format!(
            "--until {until:?} is neither a height nor a day; write 120 or 2026-11-30"
        )));
    }
    seal::height_of_day(pool, until).await?.ok_or_else(|| {
        LedgerError::Refused(format!("the mirror has no block up to the end of {until}"))
    })
}

pub(super) async fn close(
    config: &Config,
    pool: &Pool,
    args: &CloseArgs,
) -> Result<Outcome, LedgerError> {
    let signer = match &args.key {
        Some(path) => {
            let text = std::fs::read_to_string(path).map_err(LedgerError::file(path, "read"))?;
            Some(Signer::from_text(&text)?)
        }
        None => None,
    };
    // A seal that cannot be written must not be made.
    if let Some(path) = args.out.as_ref().filter(|p| p.exists()) {
        return Err(LedgerError::Refused(format!(
            "{} exists, and seals are not written over; choose another name",
            path.display()
        )));
    }
    let node = node(config, args.node.as_deref())?;
    let request = Request {
        until: height(pool, &args.until).await?,
        finality: finality::in_force(config, pool).await?,
        with_suspense: args.with_suspense,
        node: node.as_ref(),
        signer: signer.as_ref(),
    };
    let seal = if args.yes {
        close::close(pool, &request).await?
    } else {
        close::preview(pool, &request).await?
    };
    let statement: Statement = serde_json::from_str(&seal.statement)?;
    crate::cli::say_text(&statement.text());
    if !args.yes {
        crate::cli::say!("\nnothing was closed; add --yes to do it");
        return Ok(Outcome::Done);
    }
    let file = serde_json::to_string_pretty(&SealFile::from(&seal))? + "\n";
    if let Some(path) = &args.out {
        std::fs::write(path, &file).map_err(LedgerError::file(path, "written"))?;
    }
    crate::cli::say!(
        "\nperiod {} is closed; seal 0x{}",
        seal.number,
        hex::encode(seal.seal)
    );
    Ok(Outcome::Done)
}
