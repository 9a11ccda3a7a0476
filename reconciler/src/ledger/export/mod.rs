//! The books for other programs. Amounts are integers of base units, so that nobody's tolerance hides a unit; the
//! balances that are asserted come from a node, or from the mirror's transfers, never from the books themselves.

mod beancount;
mod csv;
mod hledger;
mod parquet;

use std::collections::{BTreeMap, BTreeSet};

use stxworx_clarity::events::logic::LogicEvent;
use stxworx_indexer::store::ledger::read::Booked;

use super::account::name_of;
use super::proof::Told;

pub use beancount::beancount;
pub use csv::{CSV_HEADER, csv};
pub use hledger::hledger;
pub use parquet::parquet;

/// What is exported.
#[derive(Debug)]
pub struct Books {
    /// Bookings that are not void, in order.
    pub bookings: Vec<Booked>,
    /// What holders have, as others tell.
    pub told: Vec<Told>,
    /// The block at which they tell, with 0x.
    pub block: String,
    /// Its height.
    pub height: i32,
}

/// Why books cannot be exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// Too large for the program.
    #[error(
        "{what} is {amount}, and beancount keeps 28 digits: it would be rounded without a word. Export to hledger or CSV"
    )]
    TooLarge {
        /// An amount or a balance.
        what: String,
        /// How large.
        amount: String,
    },
    /// Too large for a Parquet decimal that readers share.
    #[error(
        "a line of journal {journal} is {amount}, and decimals in Parquet end at 38 digits for most readers. Export to \
         hledger or CSV"
    )]
    TooWide {
        /// The journal.
        journal: i64,
        /// Its amount.
        amount: u128,
    },
    /// The file could not be made.
    #[error("the Parquet file could not be made: {0}")]
    Parquet(#[from] ::parquet::errors::ParquetError),
}

impl Books {
    /// Assets with the names of their smallest units: `USTX`, and the names of token contracts, told apart by a number.
    fn commodities(&self) -> BTreeMap<String, String> {
        let lines = self.bookings.iter().flat_map(|b| &b.lines);
        let mut assets: BTreeSet<&str> = lines.map(|l| l.asset.as_str()).collect();
        assets.extend(self.told.iter().map(|t| t.asset.as_str()));
        let mut names = BTreeMap::new();
        let mut taken = BTreeSet::from(["USTX".to_owned()]);
        for asset in assets {
            if asset == "STX" {
                names.insert(asset.to_owned(), "USTX".to_owned());
                continue;
            }
            let name = match name_of(asset) {
                "" => asset,
                name => name,
            };
            let letters = name.chars().map(|c| match c.to_ascii_uppercase() {
                c @ ('A'..='Z' | '0'..='9') => c,
                _ => '-',
            });
            // Beancount's limits: 24 characters, a letter first, no sign at the end.
            let base: String = letters.take(16).collect();
            let base = format!("U{}", base.trim_matches('-'));
            let mut name = base.clone();
            let mut number = 2;
            while !taken.insert(name.clone()) {
                name = format!("{base}-{number}");
                number += 1;
            }
            names.insert(asset.to_owned(), name);
        }
        names
    }

    /// Those whose network fees are booked.
    fn minters(&self) -> BTreeSet<&str> {
        let lines = self.bookings.iter().flat_map(|b| &b.lines);
        lines
            .filter_map(|l| l.account.strip_prefix("minter:"))
            .collect()
    }

    /// The day of the last booking; that of the first day of time where there is none.
    fn last_day(&self) -> &str {
        let days = self.bookings.iter().map(|b| b.date.as_str());
        days.max().unwrap_or("1970-01-01")
    }
}

/// Parts of an account's name, below its holder, so that a holder's total is that of its subtree.
fn tree(account: &str) -> Vec<String> {
    let mut parts = account.splitn(3, ':');
    let (class, who) = (
        parts.next().unwrap_or_default(),
        parts.next().unwrap_or_default(),
    );
    let rest = parts.next();
    let own = |parts: &[&str]| parts.iter().map(|p| (*p).to_owned()).collect();
    match (class, rest) {
        ("escrow", Some("unattributed")) => own(&["escrow", who, "unattributed"]),
        ("escrow", Some(project)) => own(&["escrow", who, "project", project]),
        ("suspense", _) => own(&[holder_class(who, false), who, "suspense"]),
        ("treasury" | "minter", _) => own(&[class, who, "main"]),
        (class, _) => own(&[class, who]),
    }
}

fn holder_class(who: &str, mints: bool) -> &'static str {
    if name_of(who) == LogicEvent::CONTRACT {
        "escrow"
    } else if mints {
        "minter"
    } else {
        "treasury"
    }
}

#[cfg(test)]
mod tests;
