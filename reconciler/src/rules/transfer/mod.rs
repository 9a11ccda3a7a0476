//! Does the platform record what came to the treasury and went from it?

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use stxworx_indexer::model::TxId;

use super::{AssetNames, Claim, literal, update};
use crate::anchor::Anchor;
use crate::platform::{Cell, PlatformTransfer};
use crate::rule::{Class, Fault, Finding, Lag, Money, Repair, RuleInfo, Skip, Verdict};

/// The platform's own table.
const TABLE: &str = "dao_transactions";

/// A transfer to or from a treasury.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    /// Among the events of its transaction.
    pub ordinal: i32,
    /// Who sent it.
    pub from: String,
    /// Who received it.
    pub to: String,
    /// `STX`, or the token's contract.
    pub asset: String,
    /// Base units.
    pub amount: String,
    /// A fee, or a payment that was decided: the platform has to have a row of it. Of what somebody gave it may.
    pub owed: bool,
}

/// What one transaction moved of treasuries, from both sides.
#[derive(Debug, Clone, Copy)]
pub struct TransferCase<'a> {
    /// The moment.
    pub anchor: &'a Anchor,
    /// The transaction; none of a row that names none.
    pub txid: Option<&'a TxId>,
    /// What the chain moved, in order.
    pub chain: &'a [Move],
    /// The platform's rows about it.
    pub platform: &'a [PlatformTransfer],
    /// Names of assets.
    pub assets: &'a AssetNames,
    /// What is known of a transaction that moved nothing.
    pub claim: Option<&'a Claim>,
    /// The mirror has the whole story of the escrow.
    pub is_whole: bool,
}

/// A rule about transfers.
pub trait TransferRule: Sync {
    /// Its card.
    fn info(&self) -> &'static RuleInfo;

    /// What it says.
    fn judge(&self, case: &TransferCase<'_>) -> Verdict;
}

/// The rules about transfers, by id.
pub fn transfer_rules() -> Vec<&'static dyn TransferRule> {
    vec![&Recorded, &Readable]
}

fn finding(
    case: &TransferCase<'_>,
    what: String,
    expected: impl ToString,
    found: impl ToString,
) -> Finding {
    let rows: Vec<_> = case.platform.iter().map(|row| row.row.image()).collect();
    Finding {
        what,
        fault: Fault::Platform,
        expected: expected.to_string(),
        found: found.to_string(),
        at_risk: None,
        facts: json!({
            "txid": case.txid.map(ToString::to_string),
            "chain": serde_json::to_value(case.chain).unwrap_or(Value::Null),
            "platform_rows": rows,
        }),
        repair: None,
        lag: Lag::None,
        platform_hash: [0; 32],
    }
}

/// A finding about one row of the platform.
fn about_row(
    case: &TransferCase<'_>,
    row: &PlatformTransfer,
    what: &str,
    expected: impl ToString,
    found: impl ToString,
) -> Finding {
    let what = match what {
        "" => format!("row {}", row.key),
        what => format!("row {} {what}", row.key),
    };
    let mut it = finding(case, what, expected, found);
    it.facts["platform"] = row.row.image();
    it.platform_hash = row.row.hash();
    it
}

fn money(it: &Move) -> Option<Money> {
    Some(Money {
        units: it.amount.parse().ok()?,
        asset: it.asset.clone(),
    })
}

fn set_column(row: &PlatformTransfer, column: &str, value: &str) -> Repair {
    let own = match column {
        "from" => "from_address",
        "to" => "to_address",
        "asset" => "token_type",
        other => other,
    };
    Repair {
        kind: column.to_owned(),
        says: format!(
            "set {own} of the platform's transfer {} to {value}",
            row.key
        ),
        sql: update((TABLE, "id"), &row.key, own, value, row.row.text(column)),
    }
}

/// F4.
struct Recorded;

static F4: RuleInfo = RuleInfo {
    id: "F4",
    version: 1,
    class: Class::MoneyState,
    must_hold: "the platform records each fee and each payment of a treasury once, with the parties, the asset and the amount of its transfer, and nothing else",
    reads: &[
        "transfers.tx_id",
        "transfers.to",
        "transfers.asset",
        "transfers.amount",
    ],
};

/// Where a row says otherwise than a transfer: column, what must be, what is. What cannot be read is F6's, and who sent
/// may be left out.
fn unlike(
    row: &PlatformTransfer,
    it: &Move,
    assets: &AssetNames,
) -> Vec<(&'static str, String, String)> {
    let mut unlike = Vec::new();
    let mut note = |column, expected: &str, found: String| {
        unlike.push((column, expected.to_owned(), found));
    };
    match &row.amount {
        Cell::Is(units) if units.to_string() == it.amount => {}
        Cell::Bad { .. } => {}
        other => note("amount", &it.amount, other.to_string()),
    }
    match &row.asset {
        Cell::Is(name) if assets.on_chain(name).as_deref() == Some(&it.asset) => {}
        Cell::Bad { .. } => {}
        other => note("asset", &it.asset, other.to_string()),
    }
    match &row.to {
        Cell::Is(to) if to.to_string() == it.to => {}
        Cell::Bad { .. } => {}
        other => note("to", &it.to, other.to_string()),
    }
    match &row.from {
        Cell::Is(from) if from.to_string() != it.from => note("from", &it.from, from.to_string()),
        _ => {}
    }
    unlike
}

impl TransferRule for Recorded {
    fn info(&self) -> &'static RuleInfo {
        &F4
    }

    fn judge(&self, case: &TransferCase<'_>) -> Verdict {
        if case.txid.is_none() {
            let reason = Skip::Unreadable;
            return Verdict::Skipped { reason };
        }
        let is_unknown = case.chain.is_empty() && case.claim.is_none();
        if is_unknown && !case.is_whole {
            // It may lie before the mirror's first block.
            let reason = Skip::Incomplete;
            return Verdict::Skipped { reason };
        }
        let mut moves: Vec<&Move> = case.chain.iter().collect();
        let mut rows = Vec::new();
        for row in case.platform {
            let same = |it: &&Move| unlike(row, it, case.assets).is_empty();
            match moves.iter().position(same) {
                Some(place) => drop(moves.remove(place)),
                None => rows.push(row),
            }
        }
        let mut findings = Vec::new();
        let mut moves = moves.into_iter();
        for row in rows {
            match moves.next() {
                Some(it) => findings.extend(differences(case, row, it)),
                None => findings.push(surplus(case, row)),
            }
        }
        findings.extend(moves.filter(|it| it.owed).map(|it| missing(case, it)));
        Verdict::of(findings)
    }
}

fn differences(case: &TransferCase<'_>, row: &PlatformTransfer, it: &Move) -> Vec<Finding> {
    let unlike = unlike(row, it, case.assets).into_iter();
    unlike
        .map(|(column, expected, found)| {
            let mut finding = about_row(case, row, column, &expected, found);
            finding.at_risk = money(it);
            let value = match column {
                "asset" => case.assets.of_platform(&expected),
                _ => expected,
            };
            finding.repair = Some(set_column(row, column, &value));
            finding
        })
        .collect()
}

/// A row without a transfer.
fn surplus(case: &TransferCase<'_>, row: &PlatformTransfer) -> Finding {
    let (expected, found) = match (case.chain.is_empty(), case.claim) {
        (true, None) => ("a transaction of the chain", "one that is not there"),
        (true, Some(_)) => ("no row", "one of a transaction that moved nothing of it"),
        (false, _) => ("no row more than transfers", "one more"),
    };
    let mut it = about_row(case, row, "", expected, found);
    if case.chain.is_empty() && case.claim.is_none() {
        it.lag = Lag::PlatformAhead;
    }
    it.repair = Some(Repair {
        kind: "delete".to_owned(),
        says: format!("remove the platform's transfer {}", row.key),
        sql: format!("delete from {TABLE} where id = {};", literal(&row.key)),
    });
    it
}

/// A transfer without a row.
fn missing(case: &TransferCase<'_>, it: &Move) -> Finding {
    let told = format!(
        "{} of {} from {} to {}",
        it.amount, it.asset, it.from, it.to
    );
    let what = format!("transfer {}", it.ordinal);
    let mut finding = finding(case, what, format!("a row: {told}"), "none");
    finding.at_risk = money(it);
    finding.lag = Lag::PlatformBehind;
    let txid = case.txid.map(ToString::to_string).unwrap_or_default();
    let asset = case.assets.of_platform(&it.asset);
    let [from, to, asset, txid] = [&it.from, &it.to, &asset, &txid].map(|text| literal(text));
    finding.repair = Some(Repair {
        kind: "insert".to_owned(),
        says: format!("add the transfer of {told} to the platform"),
        sql: format!(
            "insert into {TABLE} (from_address, to_address, amount, token_type, tx_id) \
             select {from}, {to}, {amount}, {asset}, {txid} where not exists (select from {TABLE} \
             where tx_id = {txid} and to_address = {to} and amount = {amount});",
            amount = it.amount
        ),
    });
    finding
}

/// F6.
struct Readable;

static F6: RuleInfo = RuleInfo {
    id: "F6",
    version: 1,
    class: Class::Link,
    must_hold: "every value of a transfer that the platform records can be read, amounts are whole base units, and it names its transaction",
    reads: &["transfers.tx_id", "transfers.amount"],
};

impl TransferRule for Readable {
    fn info(&self) -> &'static RuleInfo {
        &F6
    }

    fn judge(&self, case: &TransferCase<'_>) -> Verdict {
        let mut findings = Vec::new();
        for row in case.platform {
            let mut note = |column: &str, found: String| {
                findings.push(about_row(case, row, column, "a value", found));
            };
            if row.tx_id.value().is_none() {
                note("tx_id", row.tx_id.to_string());
            }
            if row.amount.is_bad() {
                note("amount", row.amount.to_string());
            }
            if row.from.is_bad() {
                note("from", row.from.to_string());
            }
            if row.to.is_bad() {
                note("to", row.to.to_string());
            }
        }
        Verdict::of(findings)
    }
}

#[cfg(test)]
mod tests;
