//! `stxworx mints`.

mod act;
mod attestations;
pub(super) mod checks;
mod doctor;
mod report;
mod show;

use clap::{Args, Subcommand};
use stxworx_clarity::codec::Principal;
use stxworx_clarity::events::badges::BadgesEvent;
use stxworx_indexer::store::mint::act::Wish;
use stxworx_indexer::store::read::{Snapshot, market};
use stxworx_indexer::store::{self, Access, Pool};
use stxworx_reconciler::mint::types::{IntentState, Reason};
use tokio_util::sync::CancellationToken;

use super::mint_key::MintKeyCommand;
use super::mint_signer::SignerArgs;
use crate::cli::{CommandError, Outcome};
use crate::config::Config;
use crate::daemon::Database;
use crate::post::OutputFormat;

/// Options of `mints`.
#[derive(Debug, Args)]
pub struct MintsArgs {
    /// What to do.
    #[command(subcommand)]
    pub what: MintsWhat,
    /// How the result is printed.
    #[arg(long, global = true, value_enum, value_name = "FORMAT", default_value_t = OutputFormat::Text)]
    pub output: OutputFormat,
}

/// What can be done with mints.
#[derive(Debug, Subcommand)]
pub enum MintsWhat {
    /// List mints, the newest first; those that are not over, unless --state says otherwise.
    List(ListArgs),
    /// Show a mint with its facts, its transactions and its history.
    Show {
        /// Its number.
        id: i64,
    },
    /// Say who would get which badge, and why not; changes nothing.
    Report(report::ReportArgs),
    /// Propose whom an attestor should attest: the platform calls them verified, and badges wait for that alone. Prints the
    /// calls to sign; signs and changes nothing.
    Attestations(attestations::AttestationsArgs),
    /// Stop reserving and signing: everything, a contract or a key. What is signed already may be sent again.
    Pause(PauseArgs),
    /// Lift a pause.
    Resume(ResumeArgs),
    /// Mint it, though its kind is new.
    Approve(ActArgs),
    /// Try again what is held, in review, dead or cancelled.
    Retry(ActArgs),
    /// Give a mint up. What is signed already may still win.
    Cancel(ActArgs),
    /// Accept that a nonce was used by somebody else, though no transaction shows it. Rotate the key first.
    Accept(AcceptArgs),
    /// Look at key, nonces, balance, budget, nodes and pauses: exit code 3 if something is not as it should be.
    Doctor(doctor::DoctorArgs),
    /// The key that mints, at rest.
    #[command(subcommand)]
    Key(MintKeyCommand),
    /// Hold the key on this machine, and sign for a minter elsewhere.
    Signer(SignerArgs),
}

impl MintsArgs {
    /// Does it run for long, and tell how it goes?
    pub fn tells(&self) -> bool {
        matches!(self.what, MintsWhat::Signer(_))
    }
}

/// Which mints.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// In these states, separated by commas.
    #[arg(long, value_delimiter = ',', value_name = "STATE", value_parser = state)]
    pub state: Vec<IntentState>,
    /// For this reason.
    #[arg(long, value_name = "REASON", value_parser = reason)]
    pub reason: Option<Reason>,
    /// For this user.
    #[arg(long, value_name = "PRINCIPAL", value_parser = principal)]
    pub recipient: Option<String>,
    /// Of this kind.
    #[arg(long, value_name = "NUMBER")]
    pub kind: Option<u64>,
    /// At most so many.
    #[arg(long, value_name = "NUMBER", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub limit: u32,
}

/// A principal as the mirror writes it: another spelling would find nothing, and pause nothing.
fn principal(text: &str) -> Result<String, String> {
    let known = text
        .parse::<Principal>()
        .map_err(|error| error.to_string())?;
    if known.to_string() == text {
        Ok(text.to_owned())
    } else {
        Err(format!("write it as {known}"))
    }
}

fn contract_id(text: &str) -> Result<String, String> {
    match principal(text)?.parse() {
        Ok(Principal::Contract(_)) => Ok(text.to_owned()),
        _ => Err("it is no contract: ADDRESS.NAME is".to_owned()),
    }
}

fn address(text: &str) -> Result<String, String> {
    match principal(text)?.parse() {
        Ok(Principal::Standard(_)) => Ok(text.to_owned()),
        _ => Err("it is no address of a key".to_owned()),
    }
}

fn state(text: &str) -> Result<IntentState, String> {
    IntentState::from_name(text).ok_or_else(|| {
        let all: Vec<_> = IntentState::ALL.iter().map(|s| s.as_str()).collect();
        format!("it is one of {}", all.join(", "))
    })
}

fn reason(text: &str) -> Result<Reason, String> {
    Reason::from_name(text).ok_or_else(|| {
        let all: Vec<_> = Reason::ALL.iter().map(|r| r.as_str()).collect();
        format!("it is one of {}", all.join(", "))
    })
}

/// What is paused.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub struct ScopeArgs {
    /// The mints at this contract.
    #[arg(long, value_name = "CONTRACT", value_parser = contract_id)]
    pub contract: Option<String>,
    /// The mints of this key's address.
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    pub lane: Option<String>,
}

impl ScopeArgs {
    /// Scope and subject, as they are stored.
    fn pair(&self) -> (&'static str, &str) {
        match (&self.contract, &self.lane) {
            (Some(contract), _) => ("contract", contract),
            (None, Some(sender)) => ("lane", sender),
            (None, None) => ("global", ""),
        }
    }
}

/// Options of `pause`.
#[derive(Debug, Args)]
pub struct PauseArgs {
    /// What is paused; everything without it.
    #[command(flatten)]
    pub scope: ScopeArgs,
    /// Who does it; stands in the history.
    #[arg(long, value_name = "NAME")]
    pub by: String,
    /// Why.
    #[arg(long, default_value = "", value_name = "TEXT")]
    pub note: String,
}

/// Options of `resume`.
#[derive(Debug, Args)]
pub struct ResumeArgs {
    /// What is lifted; the pause of everything without it.
    #[command(flatten)]
    pub scope: ScopeArgs,
    /// Who does it; stands in the history.
    #[arg(long, value_name = "NAME")]
    pub by: String,
    /// The reason of the pause, as `doctor` shows it.
    #[arg(long, default_value = "manual", value_name = "REASON")]
    pub reason: String,
    /// Really do it; without this, only say what would be done.
    #[arg(long)]
    pub yes: bool,
}

/// Which mint, and who.
#[derive(Debug, Args)]
pub struct ActArgs {
    /// Its number.
    pub id: i64,
    /// Who does it; stands in the history.
    #[arg(long, value_name = "NAME")]
    pub by: String,
    /// Why.
    #[arg(long, default_value = "", value_name = "TEXT")]
    pub note: String,
    /// Really do it; without this, only say what would be done.
    #[arg(long)]
    pub yes: bool,
}

/// Which nonce, and who.
#[derive(Debug, Args)]
pub struct AcceptArgs {
    /// Address of the key.
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    pub lane: String,
    /// The nonce: the lane's next one, or one in flight of which nothing is in a block.
    #[arg(long, value_name = "NUMBER")]
    pub nonce: u64,
    /// Who does it; stands in the history.
    #[arg(long, value_name = "NAME")]
    pub by: String,
    /// Really do it; without this, only say what would be done.
    #[arg(long)]
    pub yes: bool,
}

/// Lists, shows and decides mints.
///
/// # Errors
/// When there is no such mint, the action makes no sense there, or the database fails.
pub async fn mints(
    config: &Config,
    args: &MintsArgs,
    cancel: CancellationToken,
) -> Result<Outcome, CommandError> {
    match &args.what {
        MintsWhat::Key(command) => return super::mint_key::key(command),
        MintsWhat::Signer(signer) => {
            return super::mint_signer::signer(config, signer, cancel).await;
        }
        _ => {}
    }
    let database = Database::attach(config)
        .await
        .map_err(CommandError::other)?;
    let result = match store::pool(database.url(), Access::Write, 4) {
        Ok(pool) => {
            let result = run_on(&pool, config, args).await;
            pool.close().await;
            result
        }
        Err(error) => Err(CommandError::other(error)),
    };
    database.close().await;
    result
}

async fn run_on(pool: &Pool, config: &Config, args: &MintsArgs) -> Result<Outcome, CommandError> {
    let output = args.output;
    match &args.what {
        MintsWhat::List(list) => show::list(pool, list, output).await,
        MintsWhat::Show { id } => show::show(pool, *id, output).await,
        MintsWhat::Report(report) => report::report(pool, config, report, output).await,
        MintsWhat::Attestations(args) => {
            attestations::attestations(pool, config, args, output).await
        }
        MintsWhat::Pause(pause) => act::pause(pool, pause, output).await,
        MintsWhat::Resume(resume) => act::resume(pool, resume, output).await,
        MintsWhat::Approve(act) => act::act(pool, act, Wish::Approve, output).await,
        MintsWhat::Retry(act) => act::act(pool, act, Wish::Retry, output).await,
        MintsWhat::Cancel(act) => act::act(pool, act, Wish::Cancel, output).await,
        MintsWhat::Accept(args) => act::accept(pool, args, output).await,
        MintsWhat::Doctor(args) => doctor::doctor(pool, config, args, output).await,
        // Done before, without a database.
        MintsWhat::Key(_) | MintsWhat::Signer(_) => Ok(Outcome::Done),
    }
}

/// The badges' contract: the configured one, else the only one that the mirror follows.
pub(super) async fn contract(pool: &Pool, config: &Config) -> Result<String, CommandError> {
    if let Some(contract) = &config.mint.badges {
        return Ok(contract.clone());
    }
    let mut snapshot = Snapshot::open(pool).await.map_err(CommandError::other)?;
    let name = BadgesEvent::CONTRACT;
    let mut found = market::deployments(snapshot.connection(), name, i32::MAX, 3)
        .await
        .map_err(CommandError::other)?;
    match (found.pop(), found.len()) {
        (Some(contract), 0) => Ok(contract),
        (None, _) => Err(CommandError::Usage(
            "the mirror has no badges' contract yet; name one with mint.badges".to_owned(),
        )),
        (Some(_), _) => Err(CommandError::Usage(
            "the mirror has several badges' contracts; name one with mint.badges".to_owned(),
        )),
    }
}
