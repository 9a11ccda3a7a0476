//! What the DAO asks of its books: what it earned, from whom and by what, what it may spend, and who decided so.
//!
//! [`income`] and [`budget`] are pure; [`view`] reads what they are given.

pub mod income;
pub mod budget;

use serde::Serialize;
use stxworx_clarity::events::security::SecurityEvent;
use utoipa::ToSchema;

use crate::store::StoreError;
use crate::store::ledger::dao::{self, Days, Snapshot};
use budget::{BudgetUse, Budgets};
use income::{Income, IncomeRow, TreasuryTotals};

/// Kinds of governed actions that are about money: they pay, say what may be paid, or say what is earned, in what and
/// by whom.
pub const ABOUT_MONEY: [&str; 6] = [
    "spend",
    "set-budget",
    "set-fee",
    "set-treasury",
    "set-asset",
    "disable-asset",
];
/// Actions that are listed at most.
const ACTIONS: i64 = 100;
/// Clients that are listed for each asset; the others share a row.
pub const CLIENTS: usize = 100;

/// The DAO's money on some days. Of bookings that count, pending ones among them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct DaoView {
    /// First day, UTC; null from the beginning on.
    pub from: Option<String>,
    /// Last day; null up to now.
    pub to: Option<String>,
    /// Height of the newest Bitcoin block known.
    pub burn_height: Option<i32>,
    /// What each treasury earned and spent, by asset.
    pub treasuries: Vec<TreasuryTotals>,
    /// Fees by day of the Bitcoin block, UTC.
    pub by_day: Vec<IncomeRow>,
    /// Fees by category. No project has a category on the chain (its description is a hash), so that this is what the
    /// settlement came of: release, timeout, expired, ruling, stale or settle.
    pub by_category: Vec<IncomeRow>,
    /// Fees by client: the largest hundred of each asset, and the others together.
    pub by_client: Vec<IncomeRow>,
    /// What governed treasuries may spend, did, and have proposed, whatever the days.
    pub budgets: Vec<BudgetUse>,
    /// Governed actions about money: pending ones, then those that changed last, whatever the days.
    pub actions: Vec<MoneyAction>,
    /// There are more actions than these hundred: `/v1/governance/actions` has all.
    pub more_actions: bool,
}

/// A governed action about money, with who stands behind it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct MoneyAction {
    /// The governed contract.
    pub contract: String,
    /// The action's number.
    pub id: u64,
    /// What it does, for instance `spend`.
    pub kind: String,
    /// Its arguments, by the contract's names.
    #[schema(value_type = Object)]
    pub args: serde_json::Value,
    /// `pending`, `executed` or `cancelled`; pending ones may have lapsed: see `live`.
    pub status: String,
    /// May it still be approved and executed?
    pub live: bool,
    /// Who proposed it.
    pub proposer: String,
    /// Who approved it.
    pub approvals: Vec<String>,
    /// Who is against it.
    pub rejections: Vec<String>,
    /// First burn height of its execution.
    pub eta: u64,
    /// Last one.
    pub expires: u64,
    /// The transaction that executed it.
    pub executed: Option<String>,
    /// Stacks height of its last change.
    pub height: i32,
    /// Bookings of what it paid.
    pub journals: Vec<i64>,
}

/// The DAO's money on some days, in a snapshot of the caller's.
///
/// # Errors
/// When the database fails, or a row cannot be read.
pub async fn view(connection: &mut Snapshot, days: Days) -> Result<DaoView, StoreError> {
    let mut income = Income::default();
    dao::fees(connection, &days, |line| income.take(line)).await?;
    for moved in dao::moved(connection, &days).await? {
        income.move_money(&moved)?;
    }
    let burn_height = dao::burn_height(connection).await?;
    let mut budgets = Budgets::default();
    for said in dao::said(connection, SecurityEvent::CONTRACT).await? {
        budgets.take(&said.contract, &said.value);
    }
    let kinds = ABOUT_MONEY.map(str::to_owned);
    let (rows, more_actions) = dao::actions(connection, &kinds, ACTIONS).await?;
    let now = u64::try_from(burn_height.unwrap_or(0)).unwrap_or(0);
    let actions = rows.iter().map(|row| budgets.action(row, now));
    let actions = actions.collect::<Result<Vec<_>, _>>()?;
    Ok(DaoView {
        from: days.from,
        to: days.to,
        burn_height,
        budgets: budgets.rows(now, &actions),
        actions,
        more_actions,
        treasuries: income.treasuries(),
        by_day: income.by_day(),
        by_category: income.by_category(),
        by_client: income.by_client(CLIENTS),
    })
}
