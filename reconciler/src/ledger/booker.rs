//! One transaction's events and transfers, as bookings.
//!
//! What an event says goes between the accounts that it names. Each of its parts must have its transfer in the same
//! transaction; a part that has none goes to the holder's suspense account, with a note, and so does a transfer that
//! leaves a contract without an event. So the accounts of a holder always sum up to its transfers, and those of its
//! projects to its events: both can be proved, and where they part is named.

use stxworx_indexer::store::ledger::desk::Terms;
use stxworx_indexer::store::ledger::{Booking, Kind, Line, Side};

use super::account::{self, Holders};
use super::money::{Money, Says, Told, Transfer};
use super::rounding;

/// Client, freelancer and fee rate of a project, if the mirror knows them.
pub type Parties<'a> = &'a dyn Fn(&str, u128) -> Option<Terms>;

/// Transfers that no event has claimed yet.
struct Unclaimed<'a>(Vec<Option<&'a Transfer>>);

impl<'a> Unclaimed<'a> {
    fn claim(&mut self, fits: impl Fn(&Transfer) -> bool) -> Option<&'a Transfer> {
        self.0
            .iter_mut()
            .find(|t| t.is_some_and(&fits))
            .and_then(Option::take)
    }

    /// The transfer of one part: between these two if they are known, else the first of that amount.
    fn of(&mut self, asset: &str, amount: u128, ends: [Option<&str>; 2]) -> Option<&'a Transfer> {
        let [from, to] = ends;
        let fits = |t: &Transfer| {
            t.asset == asset
                && t.amount == amount
                && from.is_none_or(|from| t.from == from)
                && to.is_none_or(|to| t.to == to)
        };
        self.claim(fits)
    }
}

/// Lines of one booking, in one asset.
struct Draft<'a> {
    holders: &'a Holders,
    asset: &'a str,
    lines: Vec<Line>,
    notes: Vec<String>,
}

impl<'a> Draft<'a> {
    fn new(holders: &'a Holders, asset: &'a str) -> Self {
        let mut notes = Vec::new();
        if asset != "STX" && !asset.contains('.') {
            notes.push(format!("{asset} is no token"));
        }
        Self {
            holders,
            asset,
            lines: Vec::new(),
            notes,
        }
    }

    fn line(&mut self, side: Side, account: String, amount: u128, part: &str) {
        if amount > 0 {
            self.lines.push(Line {
                account,
                asset: self.asset.to_owned(),
                side,
                amount,
                part: part.to_owned(),
            });
        }
    }

    /// A part that went to somebody; without its transfer, the money is still there.
    fn paid(&mut self, holder: &str, part: &str, amount: u128, to: Option<&Transfer>, whom: &str) {
        match to {
            Some(transfer) => {
                let account = match part {
                    "fee" => account::treasury(&transfer.to),
                    _ => self.holders.into(&transfer.to),
                };
                if !whom.is_empty() && transfer.to != whom {
                    self.notes.push(format!(
                        "the {part} went to {} and not to {whom}",
                        transfer.to
                    ));
                }
                self.line(Side::Debit, account, amount, part);
            }
            None => {
                self.notes
                    .push(format!("the {part} of {amount} has no transfer"));
                self.line(Side::Debit, account::suspense(holder), amount, part);
            }
        }
    }

    /// A fee that is not what the project's rate makes of payout and fee: the treasury has what it has, and what it has
    /// too much or too little of stands in its suspense account.
    fn rule_fee(&mut self, payout: u128, fee: u128, bps: u16, treasury: &str) {
        let Some(gross) = payout.checked_add(fee) else {
            return;
        };
        let right = rounding::fee(gross, bps);
        if right == fee {
            return;
        }
        let places = |l: &Line| l.part == "fee" && l.account.starts_with("treasury:");
        let Some(place) = self.lines.iter().position(places) else {
            // A fee without its transfer is said already.
            if fee == 0 {
                self.notes.push(format!(
                    "no fee was paid, and {right} is due of {gross} at {bps} basis points"
                ));
                self.line(Side::Debit, account::treasury(treasury), right, "fee");
                let suspense = account::suspense(treasury);
                self.line(Side::Credit, suspense, right, "fee_difference");
            }
            return;
        };
        self.notes.push(format!(
            "the fee of {fee} is not {right}, which is due of {gross} at {bps} basis points"
        ));
        let who = self.lines[place].account.clone();
        let suspense = account::suspense(who.trim_start_matches("treasury:"));
        if right > fee {
            self.lines[place].amount = right;
            self.line(Side::Credit, suspense, right - fee, "fee_difference");
        } else {
            let excess = fee - right;
            self.lines[place].amount = right;
            if right == 0 {
                self.lines.remove(place);
            }
            self.line(Side::Debit, suspense, excess, "fee_difference");
        }
    }

    /// The parts of a sum do not make it up: the rest stands in suspense. Line by line, for the parts together may pass
    /// 128 bits.
    fn make_up(&mut self, holder: &str, amount: u128, parts: &[u128]) {
        let mut left = amount;
        let mut even = true;
        for part in parts {
            match left.checked_sub(*part) {
                Some(rest) => left = rest,
                None => {
                    let excess = part - left;
                    self.line(
                        Side::Credit,
                        account::suspense(holder),
                        excess,
                        "difference",
                    );
                    (left, even) = (0, false);
                }
            }
        }
        if left > 0 {
            self.line(Side::Debit, account::suspense(holder), left, "difference");
            even = false;
        }
        if !even {
            self.notes
                .push(format!("its parts do not add up to {amount}"));
        }
    }

    fn booking(
        self,
        kind: Kind,
        money: &Money,
        told: &Told,
        project: Option<u128>,
    ) -> Option<Booking> {
        // An event of nothing moves nothing.
        (!self.lines.is_empty()).then(|| Booking {
            kind,
            event_key: event_key(&told.contract, &money.txid, told.ordinal),
            txid: money.txid,
            contract: Some(told.contract.clone()),
            project,
            note: note(&self.notes),
            lines: self.lines,
        })
    }
}

fn note(notes: &[String]) -> Option<String> {
    (!notes.is_empty()).then(|| notes.join("; "))
}

fn event_key(contract: &str, txid: &[u8; 32], position: impl std::fmt::Display) -> String {
    format!("{contract}:0x{}:{position}", hex::encode(txid))
}

/// The bookings of a transaction, in the order of its events.
pub fn bookings(money: &Money, holders: &Holders, parties: Parties<'_>) -> Vec<Booking> {
    let mut unclaimed = Unclaimed(money.transfers.iter().map(Some).collect());
    let mut bookings = Vec::new();
    for told in &money.told {
        let booking = match &told.says {
            Says::Opened { .. } => opened(money, told, holders, &mut unclaimed),
            Says::Cancelled { .. } => cancelled(money, told, holders, parties, &mut unclaimed),
            Says::Settled { .. } => settled(money, told, holders, parties, &mut unclaimed),
            Says::Admitted { asset } => tried(money, told, asset, holders, &mut unclaimed),
            Says::Spent { asset, amount, to } => {
                let mut draft = Draft::new(holders, asset);
                let found = unclaimed.of(asset, *amount, [Some(&told.contract), Some(to)]);
                draft.line(
                    Side::Credit,
                    account::treasury(&told.contract),
                    *amount,
                    "spend",
                );
                draft.paid(&told.contract, "spend", *amount, found, to);
                draft.booking(Kind::Spend, money, told, None)
            }
        };
        bookings.extend(booking);
    }
    let rest = unclaimed.0.into_iter().flatten();
    bookings.extend(rest.filter_map(|transfer| unspoken(money, transfer, holders)));
    if let Some((payer, fee)) = &money.fee
        && *fee > 0
    {
        bookings.push(network_fee(money, payer, *fee, holders));
    }
    bookings
}

fn opened(
    money: &Money,
    told: &Told,
    holders: &Holders,
    unclaimed: &mut Unclaimed<'_>,
) -> Option<Booking> {
    let Says::Opened {
        project,
        client,
        asset,
        total,
    } = &told.says
    else {
        return None;
    };
    let escrow = told.contract.as_str();
    let mut draft = Draft::new(holders, asset);
    let found = unclaimed
        .of(asset, *total, [Some(client), Some(escrow)])
        .or_else(|| unclaimed.of(asset, *total, [None, Some(escrow)]));
    let from = match found {
        Some(transfer) => {
            if transfer.from != *client {
                draft
                    .notes
                    .push(format!("{} paid, and not {client}", transfer.from));
            }
            holders.out_of(&transfer.from)
        }
        None => {
            draft
                .notes
                .push(format!("the deposit of {total} has no transfer"));
            account::suspense(escrow)
        }
    };
    draft.line(Side::Credit, from, *total, "deposit");
    draft.line(
        Side::Debit,
        account::project(escrow, *project),
        *total,
        "deposit",
    );
    draft.booking(Kind::Deposit, money, told, Some(*project))
}

fn cancelled(
    money: &Money,
    told: &Told,
    holders: &Holders,
    parties: Parties<'_>,
    unclaimed: &mut Unclaimed<'_>,
) -> Option<Booking> {
    let Says::Cancelled {
        project,
        asset,
        refunded,
    } = &told.says
    else {
        return None;
    };
    let escrow = told.contract.as_str();
    let client = parties(escrow, *project).map(|terms| terms.client);
    let mut draft = Draft::new(holders, asset);
    let found = unclaimed
        .of(asset, *refunded, [Some(escrow), client.as_deref()])
        .or_else(|| unclaimed.of(asset, *refunded, [Some(escrow), None]));
    draft.line(
        Side::Credit,
        account::project(escrow, *project),
        *refunded,
        "refund",
    );
    draft.paid(
        escrow,
        "refund",
        *refunded,
        found,
        client.as_deref().unwrap_or_default(),
    );
    draft.booking(Kind::Cancellation, money, told, Some(*project))
}

fn settled(
    money: &Money,
    told: &Told,
    holders: &Holders,
    parties: Parties<'_>,
    unclaimed: &mut Unclaimed<'_>,
) -> Option<Booking> {
    let Says::Settled {
        project,
        asset,
        amount,
        payout,
        fee,
        refund,
        treasury,
    } = &told.says
    else {
        return None;
    };
    let escrow = told.contract.as_str();
    let Terms {
        client,
        freelancer,
        fee_bps,
    } = parties(escrow, *project).unwrap_or_default();
    let known = |who: &str| (!who.is_empty()).then(|| who.to_owned());
    let mut draft = Draft::new(holders, asset);
    draft.line(
        Side::Credit,
        account::project(escrow, *project),
        *amount,
        "settled",
    );
    // Whom the contract surely names comes first, so that an equal amount to somebody else is not taken for it.
    let parts = [
        ("fee", *fee, known(treasury)),
        ("payout", *payout, known(&freelancer)),
        ("refund", *refund, known(&client)),
    ];
    let mut found = Vec::new();
    for (_, part, whom) in &parts {
        found.push(if *part == 0 {
            None
        } else {
            unclaimed.of(asset, *part, [Some(escrow), whom.as_deref()])
        });
    }
    for ((name, part, whom), mut transfer) in parts.into_iter().zip(found) {
        if part == 0 {
            continue;
        }
        // A fee that went elsewhere is no fee of that treasury's.
        if transfer.is_none() && name != "fee" {
            transfer = unclaimed.of(asset, part, [Some(escrow), None]);
        }
        draft.paid(
            escrow,
            name,
            part,
            transfer,
            whom.as_deref().unwrap_or_default(),
        );
    }
    draft.make_up(escrow, *amount, &[*payout, *fee, *refund]);
    if let Some(bps) = fee_bps {
        draft.rule_fee(*payout, *fee, bps, treasury);
    }
    draft.booking(Kind::Settlement, money, told, Some(*project))
}

/// One unit that came and went. Without both there is nothing to book here; one alone is a transfer that no event
/// speaks of.
fn tried(
    money: &Money,
    told: &Told,
    asset: &str,
    holders: &Holders,
    unclaimed: &mut Unclaimed<'_>,
) -> Option<Booking> {
    let escrow = told.contract.as_str();
    let there_and_back = money.transfers.iter().find_map(|came| {
        let fits = came.asset == asset && came.amount == 1 && came.to == escrow;
        let went = |t: &&Transfer| {
            t.asset == asset && t.amount == 1 && t.from == escrow && t.to == came.from
        };
        fits.then(|| money.transfers.iter().find(went))
            .flatten()
            .map(|_| came)
    })?;
    let who = there_and_back.from.as_str();
    unclaimed.of(asset, 1, [Some(who), Some(escrow)])?;
    unclaimed.of(asset, 1, [Some(escrow), Some(who)])?;
    let mut draft = Draft::new(holders, asset);
    for side in [Side::Debit, Side::Credit] {
        draft.line(side, account::unattributed(escrow), 1, "trial");
        draft.line(side.opposite(), account::external(who), 1, "trial");
    }
    draft.booking(Kind::Trial, money, told, None)
}

/// A transfer from or to a holder that no event speaks of.
fn unspoken(money: &Money, transfer: &Transfer, holders: &Holders) -> Option<Booking> {
    let (goes, comes) = (holders.holds(&transfer.from), holders.holds(&transfer.to));
    if !(goes || comes) || transfer.amount == 0 {
        return None;
    }
    let mut draft = Draft::new(holders, &transfer.asset);
    let from = holders.out_of(&transfer.from);
    if from == account::suspense(&transfer.from) {
        draft
            .notes
            .push(format!("it left {} and no event says why", transfer.from));
    }
    draft.line(Side::Credit, from, transfer.amount, "transfer");
    draft.line(
        Side::Debit,
        holders.into(&transfer.to),
        transfer.amount,
        "transfer",
    );
    let (kind, holder) = if goes {
        (Kind::Outflow, &transfer.from)
    } else {
        (Kind::Unattributed, &transfer.to)
    };
    Some(Booking {
        kind,
        event_key: event_key(holder, &money.txid, transfer.ordinal),
        txid: money.txid,
        contract: None,
        project: None,
        note: note(&draft.notes),
        lines: draft.lines,
    })
}

fn network_fee(money: &Money, payer: &str, fee: u128, holders: &Holders) -> Booking {
    let line = |side, account| Line {
        account,
        asset: "STX".to_owned(),
        side,
        amount: fee,
        part: "network_fee".to_owned(),
    };
    Booking {
        kind: Kind::NetworkFee,
        event_key: event_key(payer, &money.txid, "fee"),
        txid: money.txid,
        contract: None,
        project: None,
        note: None,
        lines: vec![
            line(Side::Credit, holders.out_of(payer)),
            line(Side::Debit, account::external(account::MINERS)),
        ],
    }
}

#[cfg(test)]
#[path = "booker_tests.rs"]
mod tests;
