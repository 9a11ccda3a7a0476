//! Rows by what they mean. The names of the columns are those of the queries in the configuration.

use std::fmt::{self, Display};

use stxworx_clarity::codec::Principal;
use stxworx_indexer::model::TxId;

use super::cell::{Cell, Row};

/// Milestones that a platform's project may have.
const MILESTONES: u64 = 10;

/// Where the platform thinks a project stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PlatformStatus {
    /// Not on the chain yet: being written, or its transaction is under way.
    Pending,
    /// Money is locked, and it was not accepted yet.
    Open,
    /// Under way.
    Active,
    /// Work was handed in.
    UnderReview,
    /// The arbiter was called.
    Disputed,
    /// Paid in full.
    Completed,
    /// Given back.
    Refunded,
    /// Divided.
    Settled,
    /// Called off.
    Cancelled,
}

impl PlatformStatus {
    /// Reads the words of the platform's versions, in any case.
    pub fn read(text: &str) -> Result<Self, String> {
        Ok(match text.to_ascii_lowercase().as_str() {
            "pending" | "draft" | "funding" => Self::Pending,
            "open" | "created" | "funded" => Self::Open,
            "active" | "in_progress" => Self::Active,
            "under_review" | "in_review" => Self::UnderReview,
            "disputed" => Self::Disputed,
            "completed" | "released" => Self::Completed,
            "refunded" => Self::Refunded,
            "settled" => Self::Settled,
            "cancelled" | "canceled" | "declined" => Self::Cancelled,
            _ => return Err("it is no status that this program knows".to_owned()),
        })
    }
}

impl Display for PlatformStatus {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Pending => "pending",
            Self::Open => "open",
            Self::Active => "active",
            Self::UnderReview => "under_review",
            Self::Disputed => "disputed",
            Self::Completed => "completed",
            Self::Refunded => "refunded",
            Self::Settled => "settled",
            Self::Cancelled => "cancelled",
        })
    }
}

/// A project of the platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlatformProject {
    /// The platform's own key. Never empty.
    pub key: String,
    /// Its number at the contract.
    pub on_chain_id: Cell<u64>,
    /// The transaction that is said to have opened it.
    pub tx_id: Cell<TxId>,
    /// Who pays.
    pub client: Cell<Principal>,
    /// Who works.
    pub freelancer: Cell<Principal>,
    /// `STX`, or what the platform calls a token: its contract or a short name of the configuration.
    pub asset: Cell<String>,
    /// Base units.
    pub total: Cell<u128>,
    /// Where it is thought to stand.
    pub status: Cell<PlatformStatus>,
    /// Those that have any column that is not null.
    pub milestones: Vec<PlatformMilestone>,
    /// The row.
    pub row: Row,
}

/// A milestone of a project's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlatformMilestone {
    /// Its number, from 1.
    pub m: u64,
    /// Base units.
    pub amount: Cell<u128>,
    /// Is money locked for it?
    pub funded: Cell<bool>,
    /// Was work handed in?
    pub complete: Cell<bool>,
    /// Was it paid?
    pub released: Cell<bool>,
}

impl PlatformMilestone {
    fn read(row: &Row, m: u64) -> Option<Self> {
        let prefix = format!("milestone_{m}_");
        // Most platforms have four of ten.
        let first = row.0.range(prefix.clone()..).next();
        if first.is_none_or(|(name, _)| !name.starts_with(&prefix)) {
            return None;
        }
        let name = |part: &str| format!("{prefix}{part}");
        let it = Self {
            m,
            amount: row.units(&name("amount")),
            funded: row.flag(&name("funded")),
            complete: row.flag(&name("complete")),
            released: row.flag(&name("released")),
        };
        let is_empty = matches!(it.amount, Cell::Absent | Cell::Is(0))
            && [&it.funded, &it.complete, &it.released]
                .iter()
                .all(|flag| matches!(flag, Cell::Absent | Cell::Is(false)));
        (!is_empty).then_some(it)
    }
}

impl PlatformProject {
    /// Reads a row with the columns `key`, `on_chain_id`, `tx_id`, `client`, `freelancer`, `asset`, `total`, `status` and
    /// `milestone_N_amount`, `_funded`, `_complete`, `_released`. None without a key: such a row cannot be named.
    pub fn read(row: Row) -> Option<Self> {
        Some(Self {
            key: row.text("key")?.to_owned(),
            on_chain_id: row.parse("on_chain_id"),
            tx_id: row.parse("tx_id"),
            client: row.parse("client"),
            freelancer: row.parse("freelancer"),
            asset: row.read("asset", |text| Ok(text.to_owned())),
            total: row.units("total"),
            status: row.read("status", PlatformStatus::read),
            milestones: (1..=MILESTONES)
                .filter_map(|m| PlatformMilestone::read(&row, m))
                .collect(),
            row,
        })
    }

    /// Its cells that cannot be read: column, text, reason.
    pub fn bad_cells(&self) -> Vec<(String, String, String)> {
        fn note<T>(bad: &mut Vec<(String, String, String)>, column: &str, cell: &Cell<T>) {
            if let Cell::Bad { text, why } = cell {
                bad.push((column.to_owned(), text.clone(), why.clone()));
            }
        }
        let mut bad = Vec::new();
        note(&mut bad, "on_chain_id", &self.on_chain_id);
        note(&mut bad, "tx_id", &self.tx_id);
        note(&mut bad, "client", &self.client);
        note(&mut bad, "freelancer", &self.freelancer);
        note(&mut bad, "total", &self.total);
        note(&mut bad, "status", &self.status);
        let is_bad = |it: &&PlatformMilestone| {
            let flags = [&it.funded, &it.complete, &it.released];
            it.amount.is_bad() || flags.iter().any(|flag| flag.is_bad())
        };
        for it in self.milestones.iter().filter(is_bad) {
            let name = |part: &str| format!("milestone_{}_{part}", it.m);
            note(&mut bad, &name("amount"), &it.amount);
            note(&mut bad, &name("funded"), &it.funded);
            note(&mut bad, &name("complete"), &it.complete);
            note(&mut bad, &name("released"), &it.released);
        }
        bad
    }
}

/// A badge that the platform believes in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlatformBadge {
    /// The platform's own key.
    pub key: String,
    /// Whose.
    pub user: Cell<Principal>,
    /// The kind's number at the contract, or its name there.
    pub kind: Cell<String>,
    /// The token's number.
    pub token_id: Cell<u64>,
    /// The transaction that is said to have minted it.
    pub tx_id: Cell<TxId>,
    /// The row.
    pub row: Row,
}

impl PlatformBadge {
    /// Reads a row with the columns `key`, `user`, `kind`, `token_id`, `tx_id`.
    pub fn read(row: Row) -> Option<Self> {
        Some(Self {
            key: row.text("key")?.to_owned(),
            user: row.parse("user"),
            kind: row.read("kind", |text| Ok(text.to_ascii_lowercase())),
            token_id: row.parse("token_id"),
            tx_id: row.parse("tx_id"),
            row,
        })
    }
}

/// A movement of the treasury that the platform believes in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlatformTransfer {
    /// The platform's own key.
    pub key: String,
    /// From whom.
    pub from: Cell<Principal>,
    /// To whom.
    pub to: Cell<Principal>,
    /// Base units.
    pub amount: Cell<u128>,
    /// Of what.
    pub asset: Cell<String>,
    /// The transaction.
    pub tx_id: Cell<TxId>,
    /// The row.
    pub row: Row,
}

impl PlatformTransfer {
    /// Reads a row with the columns `key`, `from`, `to`, `amount`, `asset`, `tx_id`.
    pub fn read(row: Row) -> Option<Self> {
        Some(Self {
            key: row.text("key")?.to_owned(),
            from: row.parse("from"),
            to: row.parse("to"),
            amount: row.units("amount"),
            asset: row.read("asset", |text| Ok(text.to_owned())),
            tx_id: row.parse("tx_id"),
            row,
        })
    }
}

/// A user of the platform, and what it shows of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlatformUser {
    /// The platform's own key.
    pub key: String,
    /// Their address.
    pub principal: Cell<Principal>,
    /// Earned, base units of one asset: what the platform sums up.
    pub earned: Cell<u128>,
    /// Projects completed.
    pub completed: Cell<u64>,
    /// Is their X account verified, as the platform thinks?
    pub x_verified: Cell<bool>,
    /// The row.
    pub row: Row,
}

impl PlatformUser {
    /// Reads a row with the columns `key`, `principal`, `earned`, `completed`, `x_verified`.
    pub fn read(row: Row) -> Option<Self> {
        Some(Self {
            key: row.text("key")?.to_owned(),
            principal: row.parse("principal"),
            earned: row.units("earned"),
            completed: row.parse("completed"),
            x_verified: row.flag("x_verified"),
            row,
        })
    }
}
