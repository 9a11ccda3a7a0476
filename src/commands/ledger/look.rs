//! `stxworx ledger balances`, `journal` and `statement`.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use stxworx_indexer::store::Pool;
use stxworx_indexer::store::ledger::read::{self, Balance, Booked, Filter};
use stxworx_indexer::store::ledger::{Side, seal};
use stxworx_reconciler::ledger::html;
use stxworx_reconciler::ledger::statement::Statement;

use super::{LedgerError, say};
use crate::cli::Outcome;
use crate::post::OutputFormat;

/// Options of `ledger balances`.
#[derive(Debug, Args)]
pub struct BalancesArgs {
    /// Only accounts that begin so, for instance treasury: or suspense:.
    #[arg(long, value_name = "PREFIX", default_value = "")]
    pub account: String,
    /// Only this asset: STX, or the id of a token's contract.
    #[arg(long, value_name = "ASSET")]
    pub asset: Option<String>,
    /// How the result is printed.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = OutputFormat::Text)]
    pub output: OutputFormat,
}

pub(super) async fn balances(pool: &Pool, args: &BalancesArgs) -> Result<Outcome, LedgerError> {
    let balances = read::balances(pool, &args.account, args.asset.as_deref()).await?;
    say(args.output, &balances, |balances| {
        let mut text = String::new();
        for Balance {
            account,
            asset,
            posted,
            pending,
        } in balances
        {
            // Writing to a String cannot fail.
            let _ = write!(text, "{account}  {posted} {asset}");
            let _ = match pending.as_str() {
                "0" => writeln!(text),
                _ => writeln!(text, "  (and {pending} pending)"),
            };
        }
        text
    })?;
    Ok(Outcome::Done)
}

/// Options of `ledger journal`.
#[derive(Debug, Args)]
pub struct JournalArgs {
    /// Only bookings with a line on an account that begins so.
    #[arg(long, value_name = "PREFIX")]
    pub account: Option<String>,
    /// Only those that are pending, posted or void.
    #[arg(long, value_name = "STATE", value_parser = ["pending", "posted", "void"])]
    pub state: Option<String>,
    /// Only those of this closed period.
    #[arg(long, value_name = "NUMBER")]
    pub period: Option<i32>,
    /// Only those behind this journal.
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    pub after: i64,
    /// At most so many.
    #[arg(long, value_name = "NUMBER", default_value_t = 100, value_parser = clap::value_parser!(i64).range(1..=100_000))]
    pub limit: i64,
    /// How the result is printed.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = OutputFormat::Text)]
    pub output: OutputFormat,
}

pub(super) async fn journal(pool: &Pool, args: &JournalArgs) -> Result<Outcome, LedgerError> {
    let filter = Filter {
        account: args.account.clone(),
        state: args.state.clone(),
        period: args.period,
        until: None,
        after: args.after,
        limit: args.limit,
    };
    let booked = read::booked(pool, &filter).await?;
    say(args.output, &booked, |booked| {
        booked.iter().map(text).collect()
    })?;
    Ok(Outcome::Done)
}

fn text(booked: &Booked) -> String {
    let mut text = format!(
        "{} {} {} {} height {} {}\n",
        booked.seq, booked.date, booked.state, booked.kind, booked.height, booked.event_key
    );
    // Writing to a String cannot fail.
    if let Some(of) = booked.of_seq {
        let _ = writeln!(text, "    reverses {of}");
    }
    if let Some(note) = &booked.note {
        let _ = writeln!(text, "    note: {note}");
    }
    for line in &booked.lines {
        let sign = match line.side {
            Side::Debit => '+',
            Side::Credit => '-',
        };
        let _ = writeln!(
            text,
            "    {sign}{} {}  {}  ({})",
            line.amount, line.asset, line.account, line.part
        );
    }
    text
}

/// Options of `ledger statement`.
#[derive(Debug, Args)]
pub struct StatementArgs {
    /// A closed period; without it the open one, as far as it is final.
    #[arg(long, value_name = "NUMBER")]
    pub period: Option<i32>,
    /// Also write it to this file, as a page to print (HTML).
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// How the result is printed.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = OutputFormat::Text)]
    pub output: OutputFormat,
}

pub(super) async fn statement(pool: &Pool, args: &StatementArgs) -> Result<Outcome, LedgerError> {
    let mut sealed = None;
    let statement = match args.period {
        Some(number) => {
            let seals = seal::list(pool).await?;
            let seal = seals.iter().find(|s| s.number == number).ok_or_else(|| {
                LedgerError::Refused(format!(
                    "period {number} is not closed; {} are. Without --period the open one is shown",
                    seals.len()
                ))
            })?;
            sealed = Some(hex::encode(seal.seal));
            serde_json::from_str(&seal.statement)?
        }
        None => {
            let mut snapshot = seal::snapshot(pool).await?;
            let open = Statement::open(&mut snapshot).await?;
            open.ok_or_else(|| {
                LedgerError::Refused(
                    "nothing is booked yet: let the daemon run, or `stxworx ledger book`"
                        .to_owned(),
                )
            })?
        }
    };
    if let Some(path) = &args.html {
        let page = html::page(&statement, sealed.as_deref());
        std::fs::write(path, page).map_err(LedgerError::file(path, "written"))?;
    }
    say(args.output, &statement, Statement::text)?;
    Ok(Outcome::Done)
}
