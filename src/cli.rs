//! The command line.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use stxworx_indexer::error_chain;
use tokio_util::sync::CancellationToken;

use crate::commands;
use crate::commands::backfill::BackfillArgs;
use crate::config::{Config, ConfigError, Sources};
use crate::daemon::Role;
use crate::post::{OutputFormat, PostArgs};
use crate::workload::WorkloadArgs;

#[cfg(feature = "devnet")]
pub use crate::commands::devnet::{DevnetArgs, DialArgs};
use crate::commands::explain::ExplainArgs;
use crate::commands::reindex::ReindexArgs;
use crate::commands::verify::VerifyArgs;

const EXIT_CODES: &str = "Exit codes: 0 done; 1 failed; 2 wrong usage or configuration; \
    3 the mirror is not what it should be (a verification or an audit that found differences, a violated invariant).";

/// Follows contracts on the Stacks chain and keeps a fork-safe mirror of them in Postgres.
#[derive(Debug, Parser)]
#[command(name = "stxworx", version, after_help = EXIT_CODES)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Args)]
struct Global {
    /// Configuration file (TOML); `stxworx config example` prints one.
    #[arg(long, global = true, env = "STXWORX_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Folder of the embedded Postgres, used while no DATABASE_URL is set.
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// How much to log, for instance warn, info or stxworx_indexer=debug.
    #[arg(long, global = true, value_name = "FILTER")]
    log_level: Option<String>,
    /// How log lines look: pretty or json.
    #[arg(long, global = true, value_name = "FORMAT")]
    log_format: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start everything on this machine: embedded Postgres, a devnet with a marketplace on it, indexer, API.
    Up(UpArgs),
    /// Run the devnet alone: a Stacks node of one's own, for this or any other tool.
    #[cfg(feature = "devnet")]
    Devnet(DevnetArgs),
    /// Run the daemon, or some of its roles.
    Run(RunArgs),
    /// Bring the database's schema to this version.
    Migrate,
    /// Say where the mirror stands and what waits, on one screen; with --watch again and again.
    Status(commands::status::StatusArgs),
    /// Examine configuration, database, sources, clocks, ports and disk, and say what to do.
    Doctor(commands::doctor::DoctorArgs),
    /// Recompute every row and digest from the stored payloads and compare; walk the contracts' chains of events.
    Verify(VerifyArgs),
    /// Compare the mirror with a node: the contracts' cursors, and if asked for their states, balances and blocks.
    Audit(commands::audit::AuditArgs),
    /// Build the mirror anew from its stored payloads, for instance after a change of what it follows.
    Rebuild(RebuildArgs),
    /// Store history from a source that is asked, while a daemon may go on following. Ctrl-C stops it, and the same
    /// command goes on from there.
    Backfill(BackfillArgs),
    /// List what is missing: blocks that others wait for, heights without a block, backfills that are not over.
    Gaps(OutputArgs),
    /// Replay the stored payloads of a range of heights, compare, and swap what differs; following goes on.
    Reindex(ReindexArgs),
    /// Say where a state comes from: each field from its event, block, payload and source.
    Explain(ExplainArgs),
    /// The DAO's books: balances, journal, statements, closed periods, proofs and exports.
    #[command(subcommand)]
    Ledger(commands::ledger::LedgerCommand),
    /// Take over a platform that ran before: what links to the chain, what does not, and how to fill the mirror.
    Adopt(commands::adopt::AdoptArgs),
    /// Compare the platform's database with the chain, and follow every difference until it is gone.
    Reconcile(commands::reconcile::ReconcileArgs),
    /// List, show and decide what reconciliation found.
    Breaks(commands::breaks::BreaksArgs),
    /// Badges that this service mints: list, show and decide them, pause it, and keep its key.
    Mints(commands::mints::MintsArgs),
    /// Send a recording to an event observer, as a stacks-node does.
    Post(PostArgs),
    /// Make a recording of an invented chain, for tests and benchmarks.
    Workload(WorkloadArgs),
    /// Prepare the platform's contracts for a deployment.
    #[command(subcommand)]
    Contracts(ContractsCommand),
    /// Compare the contracts on the chain with this version's.
    #[command(subcommand)]
    Deployments(commands::deployments::DeploymentsCommand),
    /// Make, list and revoke keys of the API, and sign tokens.
    #[command(subcommand)]
    Keys(commands::keys::KeysCommand),
    /// Show the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print the description of the API (OpenAPI 3.1).
    Openapi,
}

impl Command {
    /// Long work tells how it goes.
    fn tells(&self) -> bool {
        match self {
            Self::Run(_) | Self::Up(_) | Self::Adopt(_) | Self::Backfill(_) | Self::Reindex(_) => {
                true
            }
            Self::Mints(args) => args.tells(),
            Self::Verify(args) => args.deep,
            _ => false,
        }
    }
}

/// Options of `up`.
#[derive(Debug, Args)]
pub struct UpArgs {
    /// Feed this recording to the observer instead of running a devnet.
    #[arg(long, value_name = "FILE")]
    pub post: Option<PathBuf>,
    /// End by itself after this time, with a summary; for instance 60s, 5m, 1h.
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    pub run_for: Option<Duration>,
    /// How the summary of `--for` is printed.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = OutputFormat::Text)]
    pub output: OutputFormat,
    /// Run no devnet: wait for a node, or for `stxworx post`.
    #[arg(long)]
    pub no_devnet: bool,
    /// Mint no badges: leave that to the devnet's people.
    #[cfg(feature = "devnet")]
    #[arg(long)]
    pub no_mints: bool,
    /// Where the devnet's RPC listens.
    #[cfg(feature = "devnet")]
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:20443")]
    pub devnet_bind: std::net::SocketAddr,
    /// How the devnet behaves.
    #[cfg(feature = "devnet")]
    #[command(flatten)]
    pub dials: DialArgs,
}

/// Options of `run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Which parts to run, separated by commas.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Role::Indexer, Role::Api, Role::Webhooks, Role::Reconciler])]
    pub roles: Vec<Role>,
}

/// Options of commands that print data.
#[derive(Debug, Args)]
pub struct OutputArgs {
    /// How the result is printed.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = OutputFormat::Text)]
    pub output: OutputFormat,
}

/// Options of `rebuild`.
#[derive(Debug, Args)]
pub struct RebuildArgs {
    /// Really do it; without this, only say what would be done.
    #[arg(long)]
    pub yes: bool,
}

#[derive(Debug, Subcommand)]
enum ContractsCommand {
    /// Write the sources to deploy on a network of value: without the test token, and with your signers.
    Render(RenderArgs),
}

/// Options of `contracts render`.
#[derive(Debug, Args)]
pub struct RenderArgs {
    /// Where to: testnet or mainnet.
    #[arg(long, value_enum)]
    pub network: DeployTo,
    /// One of the five first signers: an address, or a contract that signs. Give it five times.
    #[arg(long = "signer", value_name = "PRINCIPAL", required = true)]
    pub signers: Vec<String>,
    /// Folder for the sources; it is made if it is not there.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

/// A network to deploy on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DeployTo {
    /// Addresses ST and SN.
    Testnet,
    /// Addresses SP and SM.
    Mainnet,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Every setting as it is in force, with its origin; secrets hidden.
    Dump(OutputArgs),
    /// A configuration file with every setting, its meaning and default.
    Example,
}

/// Reads a time: 60s, 5m, 1h or 30d.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits
        .parse()
        .map_err(|_| format!("{text:?} is no time; write 60s, 5m or 1h"))?;
    let seconds = match &text[digits.len()..] {
        "s" | "" => Some(number),
        "m" => number.checked_mul(60),
        "h" => number.checked_mul(3600),
        "d" => number.checked_mul(24 * 3600),
        unit => {
            return Err(format!(
                "{unit:?} is no unit of time; write 60s, 5m, 1h or 30d"
            ));
        }
    };
    seconds
        .map(Duration::from_secs)
        .ok_or_else(|| format!("{text:?} is too long"))
}

/// Prints a result. A reader that has seen enough (`| head`) is no failure.
pub fn say_text(text: &str) {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    if let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush())
        && error.kind() != std::io::ErrorKind::BrokenPipe
    {
        eprintln!("error: the result could not be printed: {error}");
    }
}

/// Prints a line of a result.
macro_rules! say {
    ($($format:tt)*) => {
        $crate::cli::say_text(&format!("{}\n", format_args!($($format)*)))
    };
}
pub(crate) use say;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// As wished.
    Done,
    /// The mirror is not what it should be.
    Unsound,
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The configuration.
    #[error("the configuration cannot be used")]
    Config(#[from] ConfigError),
    /// Options that do not go together.
    #[error("{0}")]
    Usage(String),
    /// Anything else.
    #[error(transparent)]
    Other(Box<dyn std::error::Error + Send + Sync>),
}

impl CommandError {
    /// Wraps an error of a library.
    pub fn other(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Other(Box::new(error))
    }
}

/// Runs the command; the exit code says how it ended.
pub fn execute(cli: Cli) -> ExitCode {
    let result = start(cli);
    match result {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Unsound) => ExitCode::from(3),
        Err(error) => {
            eprintln!("error: {}", error_chain(&error));
            let usage = matches!(error, CommandError::Config(_) | CommandError::Usage(_));
            ExitCode::from(if usage { 2 } else { 1 })
        }
    }
}

fn start(cli: Cli) -> Result<Outcome, CommandError> {
    let config = match (load_config(&cli.global), &cli.command) {
        (Ok(config), _) => config,
        (Err(error), command) => {
            if let Command::Doctor(args) = command {
                commands::doctor::no_configuration(&error, args);
            }
            return Err(error.into());
        }
    };
    crate::process::init_logging(&config, !cli.command.tells());
    // Both reqwest and sqlx speak TLS through rustls; one provider serves them all.
    if rustls::crypto::ring::default_provider()
        .install_default()
        .is_err()
    {
        tracing::debug!("a TLS provider was installed before");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(CommandError::other)?;
    let outcome = runtime.block_on(async {
        let cancel = CancellationToken::new();
        crate::process::cancel_on_signal(cancel.clone());
        dispatch(cli.command, &config, cancel).await
    });
    // A blocking read (of a terminal, of a slow file) must not hold the process.
    runtime.shutdown_timeout(Duration::from_secs(2));
    outcome
}

async fn dispatch(
    command: Command,
    config: &Config,
    cancel: CancellationToken,
) -> Result<Outcome, CommandError> {
    match command {
        Command::Up(args) => commands::up::up(config, &args, cancel).await,
        #[cfg(feature = "devnet")]
        Command::Devnet(args) => commands::devnet::devnet(&args, cancel).await,
        Command::Run(args) => commands::run::run(config, &args, cancel).await,
        Command::Migrate => commands::migrate::migrate(config).await,
        Command::Status(args) => commands::status::status(config, &args, cancel).await,
        Command::Doctor(args) => commands::doctor::doctor(config, &args).await,
        Command::Verify(args) => commands::verify::verify(config, &args).await,
        Command::Audit(args) => commands::audit::audit(config, &args).await,
        Command::Rebuild(args) => commands::rebuild::rebuild(config, args.yes).await,
        Command::Backfill(args) => commands::backfill::backfill(config, &args, &cancel).await,
        Command::Gaps(args) => commands::gaps::gaps(config, args.output).await,
        Command::Reindex(args) => commands::reindex::reindex(config, &args, cancel).await,
        Command::Explain(args) => commands::explain::explain(config, &args).await,
        Command::Ledger(command) => commands::ledger::ledger(config, &command).await,
        Command::Deployments(command) => commands::deployments::deployments(config, &command).await,
        Command::Keys(command) => commands::keys::keys(config, &command).await,
        Command::Adopt(args) => commands::adopt::adopt(config, &args, &cancel).await,
        Command::Reconcile(args) => commands::reconcile::reconcile(config, &args).await,
        Command::Breaks(args) => commands::breaks::breaks(config, &args).await,
        Command::Mints(args) => commands::mints::mints(config, &args, cancel).await,
        Command::Post(args) => {
            crate::post::run(&args, &cancel)
                .await
                .map_err(CommandError::other)?;
            Ok(Outcome::Done)
        }
        Command::Workload(args) => {
            crate::workload::run(&args).map_err(CommandError::other)?;
            Ok(Outcome::Done)
        }
        Command::Contracts(ContractsCommand::Render(args)) => commands::contracts::render(&args),
        Command::Config(ConfigCommand::Dump(args)) => {
            commands::config::dump(config, args.output);
            Ok(Outcome::Done)
        }
        Command::Config(ConfigCommand::Example) => {
            crate::cli::say_text(&crate::config::example());
            Ok(Outcome::Done)
        }
        Command::Openapi => {
            let text = stxworx_indexer::api::openapi()
                .to_pretty_json()
                .map_err(CommandError::other)?;
            crate::cli::say!("{text}");
            Ok(Outcome::Done)
        }
    }
}

fn load_config(global: &Global) -> Result<Config, ConfigError> {
    let text = |value: &str| toml::Value::String(value.to_owned());
    let mut flags = Vec::new();
    if let Some(dir) = &global.data_dir {
        flags.push(("data_dir", text(&dir.to_string_lossy())));
    }
    if let Some(level) = &global.log_level {
        flags.push(("log.level", text(level)));
    }
    if let Some(format) = &global.log_format {
        flags.push(("log.format", text(format)));
    }
    let env = |name: &str| std::env::var(name).ok();
    Config::load(&Sources {
        file: global.config.as_deref(),
        env: &env,
        flags,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn times_are_read_with_units() {
        assert_eq!(duration("60s"), Ok(Duration::from_secs(60)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(duration("7"), Ok(Duration::from_secs(7)));
        assert!(duration("soon").unwrap_err().contains("60s, 5m or 1h"));
        assert_eq!(duration("30d"), Ok(Duration::from_secs(30 * 86_400)));
        assert!(duration("5w").unwrap_err().contains("no unit"));
    }
}
