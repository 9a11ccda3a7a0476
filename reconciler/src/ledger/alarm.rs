//! Breaks of the books: what a node says otherwise, and what stands in suspense.
//!
//! They are written as what a person does is, outside of runs. Their subjects are of kinds of their own, so that no run
//! takes them up, and none ends them.

use std::collections::HashMap;

use serde_json::json;
use stxworx_indexer::store::Pool;
use stxworx_indexer::store::ledger::proof::{Pair, Proved};
use stxworx_indexer::store::ledger::{Net, Side};
use stxworx_indexer::store::reconcile::Writing;
use stxworx_indexer::store::reconcile::breaks::{self, BreakFilter};

use super::account::Holders;
use super::proof;
use crate::anchor::Anchor;
use crate::breaks::{Break, BreakId, Change, Observation, Observer, Policy};
use crate::engine::{EngineError, event, stored, unstored};
use crate::rule::{Fault, Finding, Lag, Money, RuleInfo, Subject};
use crate::rules::{cards, ledger_cards};

/// What differs where a node says otherwise.
const BALANCE: &str = "balance";
/// What differs where something stands in suspense.
const SUSPENSE: &str = "suspense";
/// Who writes it down.
const WHO: &str = "ledger";
/// Live breaks of the books that are looked at again.
const LIVE: i64 = 500;
const LIVE_STATES: [&str; 3] = ["suspected", "open", "acknowledged"];

/// One look at one thing that could be wrong; it is not, where there is no finding.
#[derive(Debug)]
pub(super) struct Look {
    subject: Subject,
    rule: &'static RuleInfo,
    what: &'static str,
    finding: Option<Finding>,
}

/// Kind of a holder, as subjects have it, and the rule about it.
fn rule(holders: &Holders, who: &str) -> (&'static str, &'static RuleInfo) {
    let (treasury, minter) = ledger_cards();
    if holders.minters.contains(who) {
        return ("minter", minter);
    }
    let escrow = cards().into_iter().find(|(_, card)| card.id == "E16");
    match escrow.filter(|_| holders.escrows.contains(who)) {
        Some((_, card)) => ("escrow", card),
        None => ("treasury", treasury),
    }
}

fn key((holder, asset): &Pair) -> String {
    format!("{holder}|{asset}")
}

fn pair(key: &str) -> Option<Pair> {
    let (holder, asset) = key.split_once('|')?;
    Some((holder.to_owned(), asset.to_owned()))
}

/// Money at risk: how far a sum is from zero.
fn at_risk(net: Net, asset: &str) -> Money {
    Money {
        // More than 128 bits are as bad as can be said.
        units: net.amount().map_or(u128::MAX, |(_, amount)| amount),
        asset: asset.to_owned(),
    }
}

/// What a proof says; nothing where the node did not tell.
pub(super) fn balance(holders: &Holders, proved: &Proved) -> Option<Look> {
    let node = proved.node?;
    let (kind, rule) = rule(holders, &proved.pair.0);
    let expected = proof::sum([&proved.booked, &proved.opening]).unwrap_or_default();
    let mut off = Net::from_decimal(&expected).unwrap_or_default().negated();
    off.add(Side::Debit, node);
    let finding = (!proved.agrees).then(|| Finding {
        what: BALANCE.to_owned(),
        fault: Fault::Mirror,
        found: node.to_string(),
        at_risk: Some(at_risk(off, &proved.pair.1)),
        facts: json!({
            "booked": proved.booked,
            "opening": proved.opening,
            "node": node.to_string(),
        }),
        expected,
        repair: None,
        lag: Lag::None,
        platform_hash: [0; 32],
    });
    Some(Look {
        subject: Subject::new(kind, key(&proved.pair)),
        rule,
        what: BALANCE,
        finding,
    })
}

/// What stands in a holder's suspense account: `amount` in decimal digits, maybe below zero.
pub(super) fn suspense(holders: &Holders, of: &Pair, amount: &str) -> Look {
    let (kind, _) = rule(holders, &of.0);
    let net = Net::from_decimal(amount).unwrap_or_default();
    let finding = (!net.is_zero()).then(|| Finding {
        what: SUSPENSE.to_owned(),
        fault: Fault::Node,
        expected: "0".to_owned(),
        found: amount.to_owned(),
        at_risk: Some(at_risk(net, &of.1)),
        facts: json!({
            "account": super::account::suspense(&of.0),
            "says": "stxworx ledger journal --account suspense: has the bookings and why they are there",
        }),
        repair: None,
        lag: Lag::None,
        platform_hash: [0; 32],
    });
    Look {
        subject: Subject::new(kind, key(of)),
        rule: ledger_cards().0,
        what: SUSPENSE,
        finding,
    }
}

/// Holders and assets with a live break of the books: those whose balance differs, and those with suspense.
pub(super) async fn live(pool: &Pool) -> Result<[Vec<Pair>; 2], EngineError> {
    let mut found = [Vec::new(), Vec::new()];
    for rule in ["E16", "F5", "F14"] {
        let filter = BreakFilter {
            states: LIVE_STATES.map(str::to_owned).to_vec(),
            rule: Some(rule.to_owned()),
            limit: LIVE,
            ..BreakFilter::default()
        };
        for row in breaks::list(pool, &filter).await? {
            let ours = ["escrow", "treasury", "minter"].contains(&row.subject_kind.as_str());
            let place = usize::from(row.what == SUSPENSE);
            found[place].extend(pair(&row.subject_key).filter(|_| ours));
        }
    }
    Ok(found)
}

/// As the history of breaks has it.
fn name(change: Change) -> &'static str {
    match change {
        Change::Suspected => "suspected",
        Change::Dropped => "dropped",
        Change::Opened => "opened",
        Change::Reopened => "reopened",
        Change::Resolved => "resolved",
        Change::Changed => "changed",
    }
}

/// Writes down what was looked at, as of a moment; how many breaks are open of these afterwards.
pub(super) async fn note(pool: &Pool, now: Anchor, looks: Vec<Look>) -> Result<usize, EngineError> {
    if looks.is_empty() {
        return Ok(0);
    }
    let mut writing = Writing::begin_act(pool).await?;
    let subjects = looks
        .iter()
        .map(|l| (l.subject.kind.clone(), l.subject.key.clone()));
    let subjects: std::collections::BTreeSet<_> = subjects.collect();
    let (kinds, keys): (Vec<_>, Vec<_>) = subjects.into_iter().unzip();
    let mut known: HashMap<BreakId, Break> = HashMap::new();
    for row in writing.breaks_of(&kinds, &keys).await? {
        let it = unstored(row)?;
        known.insert(it.id, it);
    }
    let policy = Policy::default();
    let (mut touched, mut events) = (std::collections::BTreeSet::new(), Vec::new());
    for look in looks {
        let id = BreakId::of(look.rule.id, &look.subject, look.what, "");
        let observation = match look.finding {
            Some(finding) => Observation::Failed(Box::new(finding)),
            None => Observation::Passed {
                platform_hash: [0; 32],
            },
        };
        let observer = Observer {
            rule: look.rule,
            policy: &policy,
            now,
        };
        let before = known.remove(&id);
        let was = before.clone();
        let about = (&look.subject, "");
        let (after, change) = observer.observe(before, about, observation, now.block.0);
        let Some(after) = after else { continue };
        if let Some(change) = change {
            events.push(event(&after, WHO, name(change), None)?);
        }
        if was.as_ref() != Some(&after) {
            touched.insert(id);
        }
        known.insert(id, after);
    }
    let puts = touched.iter().filter_map(|id| known.get(id)).map(stored);
    let puts = puts.collect::<Result<Vec<_>, _>>()?;
    writing.put_breaks(&puts, None).await?;
    writing.add_events(None, &events).await?;
    writing.commit().await?;
    Ok(known.values().filter(|it| it.is_open()).count())
}
