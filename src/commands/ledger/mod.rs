//! `stxworx ledger`.

mod close;
mod dao;
mod export;
mod look;
mod verify;

use std::path::Path;

use clap::{Args, Subcommand};
use stxworx_indexer::audit::{NodeError, NodeReader};
use stxworx_indexer::store::{self, Access, Pool, StoreError};
use stxworx_reconciler::ledger::close::CloseError;
use stxworx_reconciler::ledger::export::ExportError;
use stxworx_reconciler::ledger::keep;
use stxworx_reconciler::ledger::proof::ProofError;

use crate::cli::{CommandError, Outcome};
use crate::commands::finality;
use crate::config::Config;
use crate::daemon::Database;
use crate::post::OutputFormat;

/// What to do with the books.
#[derive(Debug, Subcommand)]
pub enum LedgerCommand {
    /// What each account holds: by final blocks, and by those that are not final yet.
    Balances(look::BalancesArgs),
    /// Bookings with their lines, and what became of them.
    Journal(look::JournalArgs),
    /// A period: opening, what moved, fees by project, closing. The open one by default.
    Statement(look::StatementArgs),
    /// What the DAO earned by day, category and client, its budgets, and governed actions about money.
    Dao(dao::DaoArgs),
    /// Close the open period: check, prove, seal. Without --yes it only shows what would be sealed.
    Close(close::CloseArgs),
    /// Walk the hash chain and the seals; compare with the mirror's transfers, and with a node's balances.
    Verify(verify::VerifyArgs),
    /// Write the books for other programs, with balances to assert from a node.
    Export(export::ExportArgs),
    /// Book what the mirror has and the books have not; the daemon does this by itself.
    Book(BookArgs),
}

/// Options of `ledger book`.
#[derive(Debug, Args)]
pub struct BookArgs {
    /// Look at every block again, and book what differs.
    #[arg(long)]
    pub again: bool,
    /// How the result is printed.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = OutputFormat::Text)]
    pub output: OutputFormat,
}

/// Why a command of the books failed.
#[derive(Debug, thiserror::Error)]
enum LedgerError {
    #[error("the books cannot be read")]
    Store(#[from] StoreError),
    #[error(transparent)]
    Close(#[from] CloseError),
    #[error(transparent)]
    Proof(#[from] ProofError),
    #[error(transparent)]
    Export(#[from] ExportError),
    #[error("the node cannot be asked")]
    Node(#[from] NodeError),
    #[error("{0}")]
    Refused(String),
    #[error("{path} cannot be {what}")]
    File {
        path: String,
        what: &'static str,
        source: std::io::Error,
    },
    #[error("the result cannot be written as JSON")]
    Json(#[from] serde_json::Error),
}

impl LedgerError {
    fn file(path: &Path, what: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.display().to_string();
        move |source| Self::File { path, what, source }
    }
}

/// Runs a command of the books.
///
/// # Errors
/// When books or node cannot be asked. What differs is no error but [`Outcome::Unsound`].
pub async fn ledger(config: &Config, command: &LedgerCommand) -> Result<Outcome, CommandError> {
    let database = Database::attach(config)
        .await
        .map_err(CommandError::other)?;
    let result = match store::pool(database.url(), Access::Write, 2) {
        Ok(pool) => {
            let result = run(config, &pool, command).await;
            pool.close().await;
            result
        }
        Err(error) => Err(error.into()),
    };
    database.close().await;
    result.map_err(CommandError::other)
}

async fn run(
    config: &Config,
    pool: &Pool,
    command: &LedgerCommand,
) -> Result<Outcome, LedgerError> {
    match command {
        LedgerCommand::Balances(args) => look::balances(pool, args).await,
        LedgerCommand::Journal(args) => look::journal(pool, args).await,
        LedgerCommand::Statement(args) => look::statement(pool, args).await,
        LedgerCommand::Dao(args) => dao::dao(pool, args).await,
        LedgerCommand::Close(args) => close::close(config, pool, args).await,
        LedgerCommand::Verify(args) => verify::verify(config, pool, args).await,
        LedgerCommand::Export(args) => export::export(config, pool, args).await,
        LedgerCommand::Book(args) => book(config, pool, args).await,
    }
}

/// The node that is given, else the configured one.
fn node(config: &Config, given: Option<&str>) -> Result<Option<NodeReader>, LedgerError> {
    let url = given.or(config.node_url.as_deref());
    let node = url.map(|url| NodeReader::new(url, config.node_timeout));
    Ok(node.transpose()?)
}

fn say<T: serde::Serialize>(
    output: OutputFormat,
    value: &T,
    text: impl FnOnce(&T) -> String,
) -> Result<(), LedgerError> {
    match output {
        OutputFormat::Json => {
            let json = serde_json::to_value(value)?;
            crate::cli::say!("{json:#}");
        }
        OutputFormat::Text => crate::cli::say_text(&text(value)),
    }
    Ok(())
}

async fn book(config: &Config, pool: &Pool, args: &BookArgs) -> Result<Outcome, LedgerError> {
    if args.again {
        store::ledger::desk::look_again(pool).await?;
    }
    let rules = keep::Rules {
        finality: finality::in_force(config, pool).await?,
        fee_payers: config.ledger_fee_payers.clone(),
    };
    let done = keep::catch_up(pool, rules, true).await?;
    say(args.output, &done, |done| {
        format!(
            "{} lines of the outbox: {} booked, {} posted, {} void, {} reversed\n",
            done.lines, done.booked, done.posted, done.voided, done.reversed
        )
    })?;
    Ok(Outcome::Done)
}
