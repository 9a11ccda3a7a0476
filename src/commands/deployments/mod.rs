//! `stxworx deployments verify`: is what runs on the chain what this version was written for?

mod constants;
mod minters;
mod source;

use std::collections::BTreeSet;

use clap::{Args, Subcommand};
use serde::Serialize;
use stxworx_clarity::codec::{ContractId, StandardPrincipal, index_block_hash};
use stxworx_clarity::contracts::SOURCES;
use stxworx_indexer::audit::{NodeError, NodeReader};
use stxworx_indexer::model::IndexBlockHash;
use stxworx_indexer::source::http::{FetchError, Server};

use crate::cli::{CommandError, Outcome};
use crate::config::Config;
use crate::post::OutputFormat;
use constants::{Constant, Known};
use source::SourceReport;

/// About the contracts that are followed.
#[derive(Debug, Subcommand)]
pub enum DeploymentsCommand {
    /// Compare each contract's source on the chain with this version's, byte by byte, and read the constants that matter.
    Verify(VerifyDeploymentsArgs),
}

/// Options of `deployments verify`.
#[derive(Debug, Args)]
pub struct VerifyDeploymentsArgs {
    /// Contract to compare; may be given several times. By default the followed ones with a name of this version's.
    #[arg(long = "contract", value_name = "CONTRACT")]
    pub contracts: Vec<String>,
    /// Compare every contract of this version below this address.
    #[arg(long, value_name = "ADDRESS", conflicts_with = "contracts")]
    pub deployer: Option<String>,
    /// Node or Stacks API to ask (http://HOST:PORT); by default node.rpc_url, else the first of api_source.urls.
    #[arg(long, value_name = "URL")]
    pub node: Option<String>,
    /// How the result is printed.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = OutputFormat::Text)]
    pub output: OutputFormat,
}

/// Why nothing could be compared.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}")]
    Usage(String),
    #[error("the server at {server} cannot say what is deployed")]
    Fetch { server: String, source: FetchError },
    #[error("the server at {server} cannot read a contract")]
    Read { server: String, source: NodeError },
}

/// All that was compared.
#[derive(Debug, Serialize)]
struct Report {
    /// Who was asked.
    server: String,
    /// The block at which constants were read.
    tip: String,
    /// Is everything as it must be?
    sound: bool,
    contracts: Vec<ContractReport>,
}

/// A contract.
#[derive(Debug, Serialize)]
struct ContractReport {
    contract: String,
    #[serde(flatten)]
    source: SourceReport,
    constants: Vec<Constant>,
}

impl ContractReport {
    fn is_sound(&self) -> bool {
        self.source.is_sound() && self.constants.iter().all(|c| c.wrong.is_none())
    }
}

/// Longest answer that is read, in bytes: a contract's source has at most 100 kB, an interface some more.
const LONGEST: usize = 4 << 20;

/// Carries a command of `deployments` out.
///
/// # Errors
/// When nothing is named that could be compared, or the server does not answer. A difference is no error but
/// [`Outcome::Unsound`].
pub async fn deployments(
    config: &Config,
    command: &DeploymentsCommand,
) -> Result<Outcome, CommandError> {
    let DeploymentsCommand::Verify(args) = command;
    let report = compare(config, args).await.map_err(|error| match error {
        Failure::Usage(text) => CommandError::Usage(text),
        other => CommandError::other(other),
    })?;
    match args.output {
        OutputFormat::Json => {
            let json = serde_json::to_string_pretty(&report).map_err(CommandError::other)?;
            crate::cli::say!("{json}");
        }
        OutputFormat::Text => crate::cli::say_text(&text(&report)),
    }
    Ok(if report.sound {
        Outcome::Done
    } else {
        Outcome::Unsound
    })
}

/// Which contracts, in the order of deployment below each address.
fn wanted(config: &Config, args: &VerifyDeploymentsArgs) -> Result<Vec<ContractId>, Failure> {
    let parsed = |text: &str| {
        text.parse::<ContractId>()
            .map_err(|e| Failure::Usage(format!("{text:?} is no contract: {e}")))
    };
    if !args.contracts.is_empty() {
        return args.contracts.iter().map(|text| parsed(text)).collect();
    }
    if let Some(deployer) = &args.deployer {
        // A network of value has no test token.
        let names = SOURCES.iter().map(|(name, _)| *name);
        let names = names.filter(|name| *name != "test-token");
        return names
            .map(|name| parsed(&format!("{deployer}.{name}")))
            .collect();
    }
    let followed: Vec<ContractId> = config
        .follow
        .contracts
        .iter()
        .filter_map(|id| id.parse::<ContractId>().ok())
        .collect();
    let known = |id: &&ContractId| SOURCES.iter().any(|(name, _)| *name == id.name.as_str());
    let issuers: BTreeSet<&StandardPrincipal> =
        followed.iter().filter(known).map(|id| &id.issuer).collect();
    let mut wanted = Vec::new();
    for issuer in issuers {
        for (name, _) in SOURCES {
            let is_followed = followed
                .iter()
                .any(|id| id.issuer == *issuer && id.name.as_str() == name);
            // What the others name without printing anything themselves.
            if is_followed || name == "freelance-traits" {
                wanted.push(parsed(&format!("{issuer}.{name}"))?);
            }
        }
    }
    if wanted.is_empty() {
        return Err(Failure::Usage(
            "follow.contracts names no contract of this version: give --deployer ADDRESS, or --contract".to_owned(),
        ));
    }
    Ok(wanted)
}

async fn compare(config: &Config, args: &VerifyDeploymentsArgs) -> Result<Report, Failure> {
    let wanted = wanted(config, args)?;
    let api = config.api_source.as_ref();
    let base = args
        .node
        .clone()
        .or_else(|| config.node_url.clone())
        .or_else(|| api.and_then(|api| api.urls.first().cloned()));
    let Some(base) = base else {
        return Err(Failure::Usage(
            "nobody to ask: give --node URL, or set node.rpc_url or api_source.urls".to_owned(),
        ));
    };
    let fetch = |source| Failure::Fetch {
        server: base.clone(),
        source,
    };
    let server = Server::new(&base, config.node_timeout, LONGEST, None).map_err(fetch)?;
    let reader = NodeReader::new(&base, config.node_timeout).map_err(|source| Failure::Read {
        server: base.clone(),
        source,
    })?;
    let tip = tip(&server).await.map_err(fetch)?;
    let mut contracts = Vec::new();
    for id in wanted {
        let source = source::compare(&server, config.network, &id)
            .await
            .map_err(fetch)?;
        let constants = if source.is_there() {
            let known = Known {
                signers: source.signers(),
                minters: minters::of(config, &id).await,
            };
            constants::read(&reader, &tip, &id, &known)
                .await
                .map_err(|source| Failure::Read {
                    server: base.clone(),
                    source,
                })?
        } else {
            Vec::new()
        };
        contracts.push(ContractReport {
            contract: id.to_string(),
            source,
            constants,
        });
    }
    Ok(Report {
        server: base.clone(),
        tip: tip.to_string(),
        sound: contracts.iter().all(ContractReport::is_sound),
        contracts,
    })
}

#[derive(serde::Deserialize)]
struct Info {
    stacks_tip: String,
    stacks_tip_consensus_hash: String,
}

/// The newest block, by which everything is read: contracts of one moment.
async fn tip(server: &Server) -> Result<IndexBlockHash, FetchError> {
    const PATH: &str = "/v2/info";
    let info: Info = server.get(PATH).await?;
    let bytes = |text: &str| hex::decode(text.trim_start_matches("0x"));
    let block = bytes(&info.stacks_tip).ok().and_then(|b| b.try_into().ok());
    let consensus = bytes(&info.stacks_tip_consensus_hash)
        .ok()
        .and_then(|b| b.try_into().ok());
    let (Some(block), Some(consensus)) = (block, consensus) else {
        return Err(FetchError::unusable(PATH, "the tip is no pair of hashes"));
    };
    IndexBlockHash::from_slice(&index_block_hash(&block, &consensus))
        .map_err(|e| FetchError::unusable(PATH, e))
}

fn text(report: &Report) -> String {
    let mut text = format!("{} at block {}\n", report.server, report.tip);
    for it in &report.contracts {
        text.push_str(&format!("{}: {}\n", it.contract, it.source));
        for constant in &it.constants {
            text.push_str(&format!("  {:<22} {}\n", constant.name, constant.value));
            if let Some(wrong) = &constant.wrong {
                text.push_str(&format!("  {:<22} WRONG: {wrong}\n", ""));
            }
        }
    }
    text.push_str(if report.sound {
        "what runs is what this version was written for\n"
    } else {
        "WHAT RUNS IS NOT WHAT THIS VERSION WAS WRITTEN FOR\n"
    });
    text
}
