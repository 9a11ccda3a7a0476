//! Fees summed up by day, category, client and treasury. Pure.

use std::collections::BTreeMap;

use serde::Serialize;
use stxworx_clarity::events::logic::LogicEvent;
use stxworx_clarity::events::{self, Event};
use utoipa::ToSchema;

use crate::store::StoreError;
use crate::store::ledger::dao::{FeeLine, Moved};
use crate::store::ledger::{Net, Side};

/// Fees of one asset, and of one day, category or client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct IncomeRow {
    /// `STX`, or the id of a token's contract.
    pub asset: String,
    /// The day, category or client; null where `keys` of them share the row.
    pub key: Option<String>,
    /// How many days, categories or clients the row is about.
    pub keys: usize,
    /// Milestones of which somebody was paid, with a fee or without.
    pub settlements: u64,
    /// What the fees are of: payouts and fees, base units.
    pub gross: String,
    /// Base units.
    pub fees: String,
    /// The effective rate, `fees` of `gross` in millionths, rounded down.
    pub rate_ppm: Option<u64>,
}

/// A treasury's income and spending in an asset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct TreasuryTotals {
    /// The principal.
    pub treasury: String,
    /// `STX`, or the id of a token's contract.
    pub asset: String,
    /// Milestones of which somebody was paid, with a fee or without.
    pub settlements: u64,
    /// What the fees are of: payouts and fees, base units.
    pub gross: String,
    /// Fees, base units.
    pub fees: String,
    /// The effective rate, `fees` of `gross` in millionths, rounded down.
    pub rate_ppm: Option<u64>,
    /// What came besides: gifts and the like, base units.
    pub other_in: String,
    /// Paid by governed actions, base units.
    pub spent: String,
    /// Paid for transactions of its own, micro-STX.
    pub network_fees: String,
    /// What went besides, base units.
    pub other_out: String,
}

#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    settlements: u64,
    gross: Net,
    fees: Net,
}

impl Sum {
    fn merge(&mut self, other: Self) {
        self.settlements += other.settlements;
        self.gross.merge(other.gross);
        self.fees.merge(other.fees);
    }
}

#[derive(Debug, Default)]
struct Totals {
    sum: Sum,
    other_in: Net,
    spent: Net,
    network_fees: Net,
    other_out: Net,
}

/// By asset and something else.
type Sums = BTreeMap<(String, String), Sum>;

/// Sums of fees, as they come.
#[derive(Debug, Default)]
pub struct Income {
    days: Sums,
    categories: Sums,
    clients: Sums,
    treasuries: BTreeMap<(String, String), Totals>,
}

fn units(text: &str) -> Result<u128, StoreError> {
    text.parse().map_err(|_| StoreError::Corrupt {
        table: "posting",
        detail: format!("the amount {text} has more than 128 bits"),
    })
}

/// Adds a sum of any size, in decimal digits.
fn add(net: &mut Net, text: &str) -> Result<(), StoreError> {
    if text == "0" {
        return Ok(());
    }
    let sum = Net::from_decimal(text).ok_or_else(|| StoreError::Corrupt {
        table: "posting",
        detail: format!("the sum {text} cannot be read"),
    })?;
    net.merge(sum);
    Ok(())
}

const UNKNOWN: &str = "unknown";

/// What a settlement came of, and whose a fee would have been, as its event says.
fn told(value: Option<&[u8]>) -> (String, String) {
    let envelope = value.and_then(|raw| events::decode(LogicEvent::CONTRACT, raw).ok());
    match envelope.map(|e| e.event) {
        Some(Event::Logic(LogicEvent::MilestoneSettled(e))) => (e.cause.0, e.treasury.to_string()),
        _ => (UNKNOWN.to_owned(), UNKNOWN.to_owned()),
    }
}

impl Income {
    /// Adds a settlement. One that gave all back paid nobody, and is left out.
    ///
    /// # Errors
    /// When an amount cannot be read.
    pub fn take(&mut self, line: &FeeLine) -> Result<(), StoreError> {
        let (fee, payout) = (units(&line.fee)?, units(&line.payout)?);
        if fee == 0 && payout == 0 {
            return Ok(());
        }
        let (category, treasury) = told(line.value.as_deref());
        let mut sum = Sum {
            settlements: 1,
            ..Sum::default()
        };
        sum.fees.add(Side::Debit, fee);
        sum.gross.add(Side::Debit, fee);
        sum.gross.add(Side::Debit, payout);
        let client = line.client.clone().unwrap_or_else(|| UNKNOWN.to_owned());
        for (sums, key) in [
            (&mut self.days, line.day.clone()),
            (&mut self.categories, category),
            (&mut self.clients, client),
        ] {
            sums.entry((line.asset.clone(), key))
                .or_default()
                .merge(sum);
        }
        let key = (
            line.treasury.clone().unwrap_or(treasury),
            line.asset.clone(),
        );
        self.treasuries.entry(key).or_default().sum.merge(sum);
        Ok(())
    }

    /// Adds what moved on a treasury's account besides fees of settlements.
    ///
    /// # Errors
    /// When a sum cannot be read.
    pub fn move_money(&mut self, moved: &Moved) -> Result<(), StoreError> {
        let key = (moved.treasury.clone(), moved.asset.clone());
        let totals = self.treasuries.entry(key).or_default();
        match moved.part.as_str() {
            // Its fees came one by one.
            "fee" => {}
            "spend" => {
                add(&mut totals.spent, &moved.went)?;
                add(&mut totals.other_in, &moved.came)?;
            }
            "network_fee" => add(&mut totals.network_fees, &moved.went)?,
            _ => {
                add(&mut totals.other_in, &moved.came)?;
                add(&mut totals.other_out, &moved.went)?;
            }
        }
        Ok(())
    }

    /// By day.
    pub fn by_day(&self) -> Vec<IncomeRow> {
        rows(&self.days)
    }

    /// By what the settlement came of.
    pub fn by_category(&self) -> Vec<IncomeRow> {
        rows(&self.categories)
    }

    /// By client: the largest of each asset, the largest first, and the others in one row.
    pub fn by_client(&self, most: usize) -> Vec<IncomeRow> {
        let mut of_asset: BTreeMap<&str, Vec<(&str, Sum)>> = BTreeMap::new();
        for ((asset, client), sum) in &self.clients {
            let clients = of_asset.entry(asset).or_default();
            clients.push((client, *sum));
        }
        let mut rows = Vec::new();
        for (asset, mut clients) in of_asset {
            clients.sort_by(|a, b| b.1.fees.cmp(&a.1.fees).then_with(|| a.0.cmp(b.0)));
            let others = clients.split_off(most.min(clients.len()));
            rows.extend(
                clients
                    .iter()
                    .map(|(key, sum)| row(asset, Some(key), 1, sum)),
            );
            let mut rest = Sum::default();
            others.iter().for_each(|(_, sum)| rest.merge(*sum));
            if !others.is_empty() {
                rows.push(row(asset, None, others.len(), &rest));
            }
        }
        rows
    }

    /// By treasury.
    pub fn treasuries(&self) -> Vec<TreasuryTotals> {
        let of = |((treasury, asset), t): (&(String, String), &Totals)| TreasuryTotals {
            treasury: treasury.clone(),
            asset: asset.clone(),
            settlements: t.sum.settlements,
            gross: t.sum.gross.to_string(),
            fees: t.sum.fees.to_string(),
            rate_ppm: t.sum.fees.millionths_of(t.sum.gross),
            other_in: t.other_in.to_string(),
            spent: t.spent.to_string(),
            network_fees: t.network_fees.to_string(),
            other_out: t.other_out.to_string(),
        };
        self.treasuries.iter().map(of).collect()
    }
}

fn row(asset: &str, key: Option<&str>, keys: usize, sum: &Sum) -> IncomeRow {
    IncomeRow {
        asset: asset.to_owned(),
        key: key.map(str::to_owned),
        keys,
        settlements: sum.settlements,
        gross: sum.gross.to_string(),
        fees: sum.fees.to_string(),
        rate_ppm: sum.fees.millionths_of(sum.gross),
    }
}

fn rows(sums: &Sums) -> Vec<IncomeRow> {
    sums.iter()
        .map(|((asset, key), sum)| row(asset, Some(key), 1, sum))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fee(client: &str, fee: u128, payout: u128) -> FeeLine {
        FeeLine {
            day: "2026-11-25".into(),
            treasury: Some("ST1".into()),
            asset: "STX".into(),
            fee: fee.to_string(),
            payout: payout.to_string(),
            client: Some(client.into()),
            value: None,
        }
    }

    #[test]
    fn the_largest_clients_are_named_and_the_others_counted() {
        let mut income = Income::default();
        for (client, paid) in [("a", 5), ("b", 9), ("c", 1), ("a", 5), ("d", 2)] {
            income.take(&fee(client, paid, 19 * paid)).unwrap();
        }
        income.take(&fee("e", 0, 0)).unwrap();
        let rows = income.by_client(2);
        let named: Vec<_> = rows
            .iter()
            .map(|r| (r.key.as_deref(), r.keys, r.fees.as_str()))
            .collect();
        assert_eq!(
            named,
            [(Some("a"), 1, "10"), (Some("b"), 1, "9"), (None, 2, "3")]
        );
        assert!(rows.iter().all(|r| r.rate_ppm == Some(50_000)));
        let day = &income.by_day()[0];
        assert_eq!((day.settlements, day.gross.as_str()), (5, "440"));
        assert_eq!(
            income.by_category()[0].key.as_deref(),
            Some("unknown"),
            "an event that cannot be read is counted"
        );
    }

    #[test]
    fn sums_pass_128_bits_and_what_is_no_fee_is_told_apart() {
        let mut income = Income::default();
        for _ in 0..3 {
            income.take(&fee("a", u128::MAX, u128::MAX)).unwrap();
        }
        let moved = |part: &str, came: &str, went: &str| Moved {
            treasury: "ST1".into(),
            asset: "STX".into(),
            part: part.into(),
            came: came.into(),
            went: went.into(),
        };
        let three = "1020847100762815390390123822295304634365";
        for (part, came, went) in [
            ("fee", three, "0"),
            ("spend", "1", "7"),
            ("transfer", three, "2"),
            ("network_fee", "0", "300"),
        ] {
            income.move_money(&moved(part, came, went)).unwrap();
        }
        let of = &income.treasuries()[0];
        assert_eq!((of.fees.as_str(), of.rate_ppm), (three, Some(500_000)));
        assert_eq!(of.other_in, "1020847100762815390390123822295304634366");
        assert_eq!(
            (
                of.spent.as_str(),
                of.network_fees.as_str(),
                of.other_out.as_str()
            ),
            ("7", "300", "2")
        );
        assert!(income.move_money(&moved("transfer", "x", "0")).is_err());
        assert!(
            income
                .take(&FeeLine {
                    fee: three.into(),
                    ..fee("a", 1, 1)
                })
                .is_err()
        );
    }
}
