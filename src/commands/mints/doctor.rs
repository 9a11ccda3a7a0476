//! `stxworx mints doctor`: what keeps mints from being made.

use clap::Args;
use stxworx_indexer::store::Pool;

use super::checks::{self, Check};
use crate::cli::{CommandError, Outcome};
use crate::config::Config;
use crate::post::OutputFormat;

/// Options of `doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Address of the key, if it never minted here.
    #[arg(long, value_name = "ADDRESS", value_parser = super::address)]
    pub sender: Option<String>,
}

pub(super) async fn doctor(
    pool: &Pool,
    config: &Config,
    args: &DoctorArgs,
    output: OutputFormat,
) -> Result<Outcome, CommandError> {
    let contract = super::contract(pool, config).await?;
    let checks = checks::look(pool, config, &contract, args.sender.as_deref()).await;
    let checks = checks.map_err(CommandError::other)?;
    let well = checks.0.iter().all(|c| c.well);
    match output {
        OutputFormat::Json => {
            let value =
                serde_json::json!({ "well": well, "contract": contract, "checks": checks.0 });
            crate::cli::say!("{value:#}");
        }
        OutputFormat::Text => {
            let line = |c: &Check| {
                let mark = if c.well { "ok  " } else { "WRONG" };
                format!("{mark} {}: {}\n", c.what, c.says)
            };
            crate::cli::say_text(&checks.0.iter().map(line).collect::<String>());
        }
    }
    Ok(if well {
        Outcome::Done
    } else {
        Outcome::Unsound
    })
}
