//! `stxworx adopt`: a platform that ran before the mirror did. Looks at what is deployed and what is mirrored, says or does
//! what is missing, and reports which rows of the platform link to the chain. The platform is read and never written.

mod badges;
mod plan;
mod report;

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use stxworx_clarity::codec::ContractId;
use stxworx_indexer::metrics::Metrics;
use stxworx_indexer::store::inbox::Source;
use stxworx_indexer::store::{self, Access, lease, migrate};
use stxworx_reconciler::adopt::{self as link, Deployment};
use stxworx_reconciler::platform::postgres::Platform;
use stxworx_reconciler::rules::AssetNames;
use tokio_util::sync::CancellationToken;

use crate::cli::{CommandError, Outcome};
use crate::config::Config;
use crate::daemon::sources::AnySource;
use crate::daemon::{Daemon, Database, Role};
use plan::Plan;
use report::Adoption;

/// Options of `adopt`.
#[derive(Debug, Args)]
pub struct AdoptArgs {
    /// Deployment of freelance-logic that the platform's numbers mean, with the Stacks height from which on it was used where
    /// there are several. May be given several times.
    #[arg(long = "contract", value_name = "CONTRACT[@HEIGHT]", required = true, value_parser = deployment)]
    pub contracts: Vec<DeploymentArg>,
    /// Who is asked for what is missing: node or api; by default the one that is set up, the node first.
    #[arg(long, value_enum, value_name = "SOURCE")]
    pub source: Option<AskedSource>,
    /// Fetch what is missing before linking; without this, only say how.
    #[arg(long)]
    pub yes: bool,
    /// Examples of each class.
    #[arg(long, value_name = "NUMBER", default_value_t = 5)]
    pub examples: usize,
    /// How the report is printed.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = ReportFormat::Text)]
    pub output: ReportFormat,
    /// Write the report to this file instead.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// Who is asked for history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AskedSource {
    /// A node's RPC.
    Node,
    /// A Stacks API.
    Api,
}

impl AskedSource {
    fn as_str(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Api => "api",
        }
    }
}

/// Forms of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// For a terminal.
    Text,
    /// For a machine.
    Json,
    /// For a page.
    Markdown,
}

/// A deployment as it is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeploymentArg {
    id: ContractId,
    from_height: u32,
}

fn deployment(text: &str) -> Result<DeploymentArg, String> {
    let (id, height) = text.split_once('@').unwrap_or((text, "0"));
    let id: ContractId = id
        .parse()
        .map_err(|e| format!("{id:?} is no contract: {e}"))?;
    if id.name.as_str() != "freelance-logic" {
        return Err(format!(
            "{id} is no deployment of freelance-logic, which numbers the projects"
        ));
    }
    let from_height = height
        .parse()
        .map_err(|_| format!("{height:?} is no Stacks height"))?;
    Ok(DeploymentArg { id, from_height })
}

/// The deployments, in the order of their use.
fn deployments(args: &AdoptArgs) -> Result<Vec<DeploymentArg>, CommandError> {
    let mut all = args.contracts.clone();
    all.sort_by_key(|it| it.from_height);
    for pair in all.windows(2) {
        if pair[0].from_height == pair[1].from_height {
            return Err(CommandError::Usage(format!(
                "{} and {} are both used from height {} on: say @HEIGHT for the later one",
                pair[0].id, pair[1].id, pair[0].from_height
            )));
        }
        if pair[0].id == pair[1].id {
            return Err(CommandError::Usage(format!(
                "{} is given twice",
                pair[0].id
            )));
        }
    }
    Ok(all)
}

/// Looks, perhaps fetches, and links. [`Outcome::Unsound`] while something is missing or does not link.
///
/// # Errors
/// When no platform is configured, or either side cannot be read.
pub async fn adopt(
    config: &Config,
    args: &AdoptArgs,
    cancel: &CancellationToken,
) -> Result<Outcome, CommandError> {
    let wanted = deployments(args)?;
    if config.platform.is_none() {
        return Err(CommandError::Usage(
            "no platform to adopt: set platform.url, a role that may only read".to_owned(),
        ));
    }
    let database = Database::attach(config)
        .await
        .map_err(CommandError::other)?;
    let adoption = with(config, database.url(), args, &wanted, cancel).await;
    database.close().await;
    let adoption = adoption?;
    say(&adoption, args)?;
    Ok(if adoption.is_whole() {
        Outcome::Done
    } else {
        Outcome::Unsound
    })
}

async fn with(
    config: &Config,
    url: &str,
    args: &AdoptArgs,
    wanted: &[DeploymentArg],
    cancel: &CancellationToken,
) -> Result<Adoption, CommandError> {
    let writer = store::pool(url, Access::Write, 2).map_err(CommandError::other)?;
    migrate::migrate(&writer)
        .await
        .map_err(CommandError::other)?;
    let mut plan = Plan::look(config, &writer, args, wanted).await?;
    if args.yes && plan.lacks_history() {
        let source = plan.source.ok_or_else(|| {
            CommandError::Usage("nobody to ask for history: set node.rpc_url with node.auth_token, or api_source.urls".to_owned())
        })?;
        fetch(config, url, source, plan.first_height(), cancel).await?;
        plan = Plan::look(config, &writer, args, wanted).await?;
    }
    let linked = if plan.has_tip {
        Some(link_rows(config, &writer, args, wanted).await?)
    } else {
        None
    };
    writer.close().await;
    Ok(Adoption { plan, linked })
}

/// Backfills, with a writer of our own where nobody else writes.
async fn fetch(
    config: &Config,
    url: &str,
    source: AskedSource,
    from: u32,
    cancel: &CancellationToken,
) -> Result<(), CommandError> {
    let pool = store::pool(url, Access::Read, 1).map_err(CommandError::other)?;
    let held = lease::is_held(&pool).await.map_err(CommandError::other)?;
    pool.close().await;
    let ending = cancel.child_token();
    let daemon = if held {
        None
    } else {
        let roles = [Role::Indexer].into();
        let daemon = Daemon::start(config, &roles, url, ending.clone()).await;
        Some(tokio::spawn(daemon.map_err(CommandError::other)?.wait()))
    };
    let fetched = from_source(config, url, source, from, cancel).await;
    ending.cancel();
    if let Some(daemon) = daemon {
        let ended = daemon.await.map_err(CommandError::other)?;
        ended.map_err(CommandError::other)?;
    }
    // The report alone goes to standard output.
    eprintln!("{}", fetched?);
    Ok(())
}

async fn from_source(
    config: &Config,
    url: &str,
    source: AskedSource,
    from: u32,
    cancel: &CancellationToken,
) -> Result<String, CommandError> {
    let kind = match source {
        AskedSource::Node => Source::Node,
        AskedSource::Api => Source::Api,
    };
    let metrics = Arc::new(Metrics::new().map_err(CommandError::other)?);
    let source = AnySource::required(config, kind, &metrics, "--source");
    let source = source.map_err(CommandError::other)?;
    super::backfill::to_tip(&source, url, config, from, cancel).await
}

async fn link_rows(
    config: &Config,
    pool: &store::Pool,
    args: &AdoptArgs,
    wanted: &[DeploymentArg],
) -> Result<link::AdoptReport, CommandError> {
    let Some(settings) = config.platform.as_ref().map(|p| &p.settings) else {
        return Err(CommandError::Usage("set platform.url".to_owned()));
    };
    let platform = Platform::open(&settings.source)
        .await
        .map_err(CommandError::other)?;
    let deployments: Vec<Deployment> = wanted
        .iter()
        .map(|it| Deployment {
            contract: it.id.to_string(),
            from_height: it.from_height,
        })
        .collect();
    let assets = settings.assets.iter().map(|(a, b)| (a.clone(), b.clone()));
    let names = AssetNames::new(assets);
    link::adopt(pool, platform, &deployments, names, args.examples)
        .await
        .map_err(CommandError::other)
}

/// A report that could not be written.
#[derive(Debug, thiserror::Error)]
#[error("the report cannot be written to {}", path.display())]
struct Unwritten {
    path: PathBuf,
    source: std::io::Error,
}

fn say(adoption: &Adoption, args: &AdoptArgs) -> Result<(), CommandError> {
    let text = match args.output {
        ReportFormat::Text => adoption.text(),
        ReportFormat::Markdown => adoption.markdown(),
        ReportFormat::Json => {
            let json = serde_json::to_string_pretty(adoption).map_err(CommandError::other)?;
            json + "\n"
        }
    };
    match &args.out {
        None => crate::cli::say_text(&text),
        Some(path) => std::fs::write(path, text).map_err(|source| {
            CommandError::other(Unwritten {
                path: path.clone(),
                source,
            })
        })?,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deployments_are_read_with_their_heights() {
        const ID: &str = "ST394RB768S5VJ9TX9VP73ZM6C4MMC1F85N54FS3A.freelance-logic";
        let at = deployment(&format!("{ID}@150000")).unwrap();
        assert_eq!((at.id.to_string().as_str(), at.from_height), (ID, 150_000));
        assert_eq!(deployment(ID).unwrap().from_height, 0);
        for (wrong, says) in [
            (
                ID.replace("logic", "data"),
                "is no deployment of freelance-logic",
            ),
            (format!("{ID}@soon"), "is no Stacks height"),
            ("x".to_owned(), "is no contract"),
        ] {
            assert!(deployment(&wrong).unwrap_err().contains(says), "{wrong}");
        }
    }
}
