//! `stxworx ledger export`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use stxworx_indexer::audit::NodeReader;
use stxworx_indexer::retry::Backoff;
use stxworx_indexer::store::Pool;
use stxworx_indexer::store::ledger::Net;
use stxworx_indexer::store::ledger::read::{self, Booked, Filter};
use stxworx_reconciler::ledger::export::{self, Books, CSV_HEADER};
use stxworx_reconciler::ledger::proof::{self, Told};

use super::{LedgerError, node};
use crate::cli::Outcome;
use crate::config::Config;

/// For which program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// One posting a line (RFC 4180).
    Csv,
    /// hledger; `hledger check --strict`.
    Hledger,
    /// beancount; `bean-check`.
    Beancount,
    /// Parquet, one posting a row. Needs --out.
    Parquet,
}

/// Options of `ledger export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// For which program.
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub format: Format,
    /// Up to this Stacks height; without it, up to the newest block that is booked.
    #[arg(long, value_name = "HEIGHT")]
    pub until: Option<i32>,
    /// The node whose balances are asserted (RPC, http://HOST:PORT); without it node.rpc_url, else the mirror's transfers.
    #[arg(long, value_name = "URL")]
    pub node: Option<String>,
    /// Write to this file instead of printing.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// Bookings read at once, and held at most.
const PAGE: i64 = 10_000;
const MOST: usize = 1_000_000;
/// The chain may change while it is read.
const ATTEMPTS: u32 = 8;

pub(super) async fn export(
    config: &Config,
    pool: &Pool,
    args: &ExportArgs,
) -> Result<Outcome, LedgerError> {
    if args.format == Format::Parquet && args.out.is_none() {
        return Err(LedgerError::Refused(
            "a Parquet file is not for a terminal: name it with --out FILE".to_owned(),
        ));
    }
    let node = node(config, args.node.as_deref())?;
    let books = books(pool, node.as_ref(), args.until).await?;
    let file = match args.format {
        Format::Csv => (CSV_HEADER.to_owned() + &export::csv(&books.bookings)).into_bytes(),
        Format::Hledger => export::hledger(&books).into_bytes(),
        Format::Beancount => export::beancount(&books)?.into_bytes(),
        Format::Parquet => export::parquet(&books.bookings)?,
    };
    match &args.out {
        Some(path) => std::fs::write(path, file).map_err(LedgerError::file(path, "written"))?,
        None => crate::cli::say_text(&String::from_utf8_lossy(&file)),
    }
    Ok(Outcome::Done)
}

/// Bookings and balances of one block. The daemon may book meanwhile: bookings that do not sum up to what the books said
/// with the balances are of another moment, and read again.
async fn books(
    pool: &Pool,
    node: Option<&NodeReader>,
    until: Option<i32>,
) -> Result<Books, LedgerError> {
    let mut backoff = Backoff::default();
    for _ in 0..ATTEMPTS {
        let standing = read::standing(pool).await?;
        let booked_height = standing.booked_height.ok_or_else(|| {
            LedgerError::Refused(
                "nothing is booked yet: let the daemon run, or `stxworx ledger book`".to_owned(),
            )
        })?;
        let height = until.unwrap_or(booked_height);
        if height > booked_height {
            return Err(LedgerError::Refused(format!(
                "--until {height} is beyond what is booked, which ends at height {booked_height}"
            )));
        }
        let proof = proof::prove(pool, node, Some(height)).await?;
        let bookings = all(pool, height).await?;
        // While lines are not booked, what is booked up to a height may be of a fork that was left.
        let is_whole = until.is_some() || proof.unbooked == 0;
        if let Some(block) = proof.block
            && is_whole
            && same_moment(&bookings, &proof.holders)
        {
            return Ok(Books {
                bookings,
                told: proof.holders,
                block,
                height,
            });
        }
        tokio::time::sleep(backoff.next_delay()).await;
    }
    Err(LedgerError::Refused(
        "the chain changed under every attempt to read the books, or they are behind the mirror; try again, or name a \
         final height with --until"
            .to_owned(),
    ))
}

async fn all(pool: &Pool, height: i32) -> Result<Vec<Booked>, LedgerError> {
    let mut filter = Filter {
        until: Some(height),
        limit: PAGE,
        ..Filter::default()
    };
    let mut bookings = Vec::new();
    loop {
        let page = read::booked(pool, &filter).await?;
        let Some(last) = page.last() else {
            return Ok(bookings);
        };
        filter.after = last.seq;
        bookings.extend(page.into_iter().filter(|b| b.state != "void"));
        if bookings.len() > MOST {
            return Err(LedgerError::Refused(format!(
                "more than {MOST} bookings cannot be held at once; export less with --until"
            )));
        }
    }
}

fn same_moment(bookings: &[Booked], told: &[Told]) -> bool {
    let mut nets: BTreeMap<(&str, &str), Net> = BTreeMap::new();
    for line in bookings.iter().flat_map(|b| &b.lines) {
        let mut parts = line.account.split(':');
        if let (Some("escrow" | "treasury" | "minter" | "suspense"), Some(who)) =
            (parts.next(), parts.next())
        {
            let net = nets.entry((who, line.asset.as_str())).or_default();
            net.add(line.side, line.amount);
        }
    }
    told.iter().all(|t| {
        let net = nets.get(&(t.holder.as_str(), t.asset.as_str()));
        net.copied().unwrap_or_default().to_string() == t.booked
    })
}
