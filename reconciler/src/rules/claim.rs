//! Is the transaction that a row names the one that did it?

use std::collections::BTreeMap;

use serde::Serialize;
use stxworx_indexer::model::TxId;

use super::{ProjectCase, ProjectRule, about_row, set_column};
use crate::platform::{Cell, PlatformProject, PlatformStatus};
use crate::rule::{Class, Finding, Lag, RuleInfo, Verdict};

/// What a transaction came to, in the chain of the run's block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Claim {
    /// Height of its block.
    pub height: u32,
    /// The node's word for what came of it.
    pub status: String,
    /// What it calls, as `CONTRACT function`.
    pub call: Option<String>,
    /// The project that it opened: `CONTRACT/NUMBER`.
    pub opened: Option<String>,
}

/// Transactions that rows name; what is not here is not in the chain, as far as it is mirrored.
pub type Claims = BTreeMap<TxId, Claim>;

/// P4.
pub(super) struct Opening;

static P4: RuleInfo = RuleInfo {
    id: "P4",
    version: 1,
    class: Class::Link,
    must_hold: "the transaction that a row names opened the project that the row points to, and no other row's",
    reads: &["projects.tx_id", "projects.on_chain_id", "projects.status"],
};

impl ProjectRule for Opening {
    fn info(&self) -> &'static RuleInfo {
        &P4
    }

    fn judge(&self, case: &ProjectCase<'_>) -> Verdict {
        let named = case.platform.iter().filter_map(|row| match &row.tx_id {
            Cell::Is(txid) => Some((row, txid)),
            // One that cannot be read is another rule's; one that is not kept says nothing.
            Cell::Absent | Cell::Bad { .. } => None,
        });
        let findings = named.filter_map(|(row, txid)| match case.chain {
            Some(chain) => {
                let opened = chain.opened.as_ref()?;
                (opened != txid).then(|| wrong(case, row, txid, opened))
            }
            None => nowhere(case, row, txid),
        });
        Verdict::of(findings.collect())
    }
}

/// What the transaction is, for a person.
fn told(claim: Option<&Claim>, txid: &TxId) -> String {
    let Some(claim) = claim else {
        return format!("{txid}, which is not in the chain");
    };
    let what = match (&claim.opened, &claim.call) {
        (Some(project), _) => format!("opened {project}"),
        (None, Some(call)) => format!("calls {call}"),
        (None, None) => "calls nothing that is followed".to_owned(),
    };
    format!(
        "{txid}, which {what} ({} at height {})",
        claim.status, claim.height
    )
}

fn finding(
    case: &ProjectCase<'_>,
    row: &PlatformProject,
    txid: &TxId,
    expected: String,
) -> Finding {
    let claim = case.claims.get(txid);
    let what = format!("row {} tx_id", row.key);
    let mut finding = about_row(case, row, what, expected, told(claim, txid));
    finding.facts["transaction"] = serde_json::to_value(claim).unwrap_or_default();
    // It may still be mined.
    finding.lag = if claim.is_none() {
        Lag::PlatformAhead
    } else {
        Lag::None
    };
    finding
}

fn wrong(case: &ProjectCase<'_>, row: &PlatformProject, txid: &TxId, opened: &TxId) -> Finding {
    let mut finding = finding(case, row, txid, opened.to_string());
    // The project is there: no transaction to come can be the one that opened it.
    finding.lag = Lag::None;
    finding.repair = Some(set_column(case, row, "tx_id", opened));
    finding
}

/// A row that points to no project of the chain, and names a transaction.
fn nowhere(case: &ProjectCase<'_>, row: &PlatformProject, txid: &TxId) -> Option<Finding> {
    let over = matches!(row.status, Cell::Is(PlatformStatus::Cancelled));
    match case.claims.get(txid) {
        // What was never mined, or failed, is the end that it should have.
        None if over => None,
        Some(claim) if over && claim.opened.is_none() => None,
        None => {
            let expected = "a transaction of the chain".to_owned();
            Some(finding(case, row, txid, expected))
        }
        Some(claim) => {
            let number = claim
                .opened
                .as_ref()
                .and_then(|entity| entity.rsplit_once('/'));
            let expected = match number {
                Some((_, number)) => format!("a row that points to {number}"),
                None => "a transaction that opened a project".to_owned(),
            };
            let mut it = finding(case, row, txid, expected);
            if let Some((_, number)) = number
                && row.on_chain_id == Cell::Absent
            {
                it.repair = Some(set_column(case, row, "on_chain_id", number));
            }
            Some(it)
        }
    }
}
