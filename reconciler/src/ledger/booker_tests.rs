use std::collections::BTreeMap;

use stxworx_indexer::store::ledger::Net;
use stxworx_indexer::store::ledger::chain::balances;

use super::*;

const ESCROW: &str = "ST1.freelance-logic";
const TREASURY: &str = "ST1.freelance-security";
const TOKEN: &str = "ST9.token";

fn holders() -> Holders {
    Holders {
        escrows: [ESCROW.to_owned()].into(),
        treasuries: [TREASURY.to_owned(), "ST8".to_owned()].into(),
    }
}

fn transfer(ordinal: i32, asset: &str, from: &str, to: &str, amount: u128) -> Transfer {
    Transfer {
        ordinal,
        asset: asset.into(),
        from: from.into(),
        to: to.into(),
        amount,
    }
}

fn told(ordinal: i32, says: Says) -> Told {
    let contract = match says {
        Says::Spent { .. } => TREASURY,
        _ => ESCROW,
    };
    Told {
        ordinal,
        contract: contract.into(),
        says,
    }
}

fn settled(amount: u128, payout: u128, fee: u128, refund: u128) -> Says {
    Says::Settled {
        project: 7,
        asset: "STX".into(),
        amount,
        payout,
        fee,
        refund,
        treasury: TREASURY.into(),
    }
}

fn opened(asset: &str, total: u128) -> Says {
    Says::Opened {
        project: 7,
        client: "STC".into(),
        asset: asset.into(),
        total,
    }
}

fn parties(contract: &str, project: u128) -> Option<(String, String)> {
    (contract == ESCROW && project == 7).then(|| ("STC".into(), "STF".into()))
}

fn book(transfers: Vec<Transfer>, told: Vec<Told>) -> Vec<Booking> {
    let money = Money {
        txid: [0xAB; 32],
        transfers,
        told,
        fee: None,
    };
    bookings(&money, &holders(), &parties)
}

/// Accounts with what they hold of STX, in text; empty ones left out.
fn held(bookings: &[Booking]) -> BTreeMap<String, String> {
    let mut nets: BTreeMap<String, Net> = BTreeMap::new();
    for booking in bookings {
        assert!(balances(&booking.lines), "{booking:?}");
        assert!(booking.lines.len() >= 2);
        for line in &booking.lines {
            nets.entry(line.account.clone())
                .or_default()
                .add(line.side, line.amount);
        }
    }
    nets.retain(|_, net| !net.is_zero());
    nets.into_iter().map(|(a, n)| (a, n.to_string())).collect()
}

fn expect<const N: usize>(bookings: &[Booking], accounts: [(&str, &str); N]) {
    let expected: BTreeMap<String, String> = accounts
        .iter()
        .map(|(a, n)| ((*a).to_owned(), (*n).to_owned()))
        .collect();
    assert_eq!(held(bookings), expected, "{bookings:?}");
}

#[test]
fn a_projects_whole_way_is_booked_between_named_accounts() {
    let deposit = book(
        vec![transfer(0, "STX", "STC", ESCROW, 100)],
        vec![told(1, opened("STX", 100))],
    );
    assert_eq!(
        deposit[0].event_key,
        format!("{ESCROW}:0x{}:1", "ab".repeat(32))
    );
    assert_eq!(
        (deposit[0].project, deposit[0].note.clone()),
        (Some(7), None)
    );
    expect(
        &deposit,
        [
            ("external:STC", "-100"),
            ("escrow:ST1.freelance-logic:7", "100"),
        ],
    );
    let ruling = book(
        vec![
            transfer(0, "STX", ESCROW, "STF", 57),
            transfer(1, "STX", ESCROW, TREASURY, 3),
            transfer(2, "STX", ESCROW, "STC", 40),
        ],
        vec![told(3, settled(100, 57, 3, 40))],
    );
    assert_eq!((ruling.len(), ruling[0].note.clone()), (1, None));
    expect(
        &ruling,
        [
            ("escrow:ST1.freelance-logic:7", "-100"),
            ("external:STC", "40"),
            ("external:STF", "57"),
            ("treasury:ST1.freelance-security", "3"),
        ],
    );
    let spend = book(
        vec![transfer(0, "STX", TREASURY, "STX1", 3)],
        vec![told(
            1,
            Says::Spent {
                asset: "STX".into(),
                amount: 3,
                to: "STX1".into(),
            },
        )],
    );
    expect(
        &spend,
        [
            ("treasury:ST1.freelance-security", "-3"),
            ("external:STX1", "3"),
        ],
    );
}

#[test]
fn the_treasury_is_the_one_of_the_event() {
    let Says::Settled { .. } = settled(1, 1, 0, 0) else {
        unreachable!()
    };
    let mut says = settled(100, 95, 5, 0);
    if let Says::Settled { treasury, .. } = &mut says {
        *treasury = "STOLD".into();
    }
    let booked = book(
        vec![
            transfer(0, "STX", ESCROW, "STF", 95),
            transfer(1, "STX", ESCROW, "STOLD", 5),
        ],
        vec![told(2, says)],
    );
    assert_eq!(booked[0].note, None);
    assert_eq!(held(&booked)["treasury:STOLD"], "5");
}

#[test]
fn a_part_without_its_transfer_stands_in_suspense() {
    let booked = book(
        vec![transfer(0, "STX", ESCROW, "STF", 95)],
        vec![told(1, settled(100, 95, 5, 0))],
    );
    assert_eq!(
        booked[0].note.as_deref(),
        Some("the fee of 5 has no transfer")
    );
    expect(
        &booked,
        [
            ("escrow:ST1.freelance-logic:7", "-100"),
            ("external:STF", "95"),
            ("suspense:ST1.freelance-logic", "5"),
        ],
    );
    let nothing = book(vec![], vec![told(0, opened("ST9", 9))]);
    assert_eq!(
        nothing[0].note.as_deref(),
        Some("ST9 is no token; the deposit of 9 has no transfer")
    );
    expect(
        &nothing,
        [
            ("suspense:ST1.freelance-logic", "-9"),
            ("escrow:ST1.freelance-logic:7", "9"),
        ],
    );
    // The fee went to somebody else: it is nobody's fee, and the transfer is not explained.
    let astray = book(
        vec![
            transfer(0, "STX", ESCROW, "STF", 95),
            transfer(1, "STX", ESCROW, "STX2", 5),
        ],
        vec![told(2, settled(100, 95, 5, 0))],
    );
    assert_eq!(astray.len(), 2);
    assert_eq!(astray[1].kind, Kind::Outflow);
    expect(
        &astray,
        [
            ("escrow:ST1.freelance-logic:7", "-100"),
            ("external:STF", "95"),
            ("external:STX2", "5"),
        ],
    );
    // To whom a payout went is booked as it was, and said.
    let other = book(
        vec![transfer(0, "STX", ESCROW, "STX2", 100)],
        vec![told(1, settled(100, 100, 0, 0))],
    );
    assert_eq!(
        other[0].note.as_deref(),
        Some("the payout went to STX2 and not to STF")
    );
    assert_eq!(held(&other)["external:STX2"], "100");
}

#[test]
fn what_no_event_speaks_of_is_booked_by_its_transfer() {
    let booked = book(
        vec![
            transfer(0, "STX", "STX1", ESCROW, 4),
            transfer(1, TOKEN, "STX1", TREASURY, 6),
            transfer(2, "STX", "STX1", "STX2", 8),
            transfer(3, "STX", ESCROW, "STX2", 1),
            transfer(4, "STX", "ST8", "STX2", 2),
            transfer(5, "STX", TREASURY, ESCROW, 3),
        ],
        vec![],
    );
    let kinds: Vec<_> = booked.iter().map(|b| b.kind).collect();
    use Kind::{Outflow, Unattributed};
    assert_eq!(
        kinds,
        [Unattributed, Unattributed, Outflow, Outflow, Outflow]
    );
    let noted: Vec<_> = booked.iter().map(|b| b.note.is_some()).collect();
    assert_eq!(noted, [false, false, true, false, true]);
    assert_eq!(booked[1].lines[0].asset, TOKEN);
    expect(
        &booked,
        [
            ("escrow:ST1.freelance-logic:unattributed", "7"),
            ("external:STX1", "-10"),
            ("external:STX2", "3"),
            ("suspense:ST1.freelance-logic", "-1"),
            ("suspense:ST1.freelance-security", "-3"),
            ("treasury:ST1.freelance-security", "6"),
            ("treasury:ST8", "-2"),
        ],
    );
}

#[test]
fn amounts_fill_128_bits_and_parts_that_do_not_add_up_are_said() {
    let most = u128::MAX;
    let booked = book(
        vec![transfer(0, "STX", "STC", ESCROW, most)],
        vec![told(1, opened("STX", most))],
    );
    assert_eq!(
        held(&booked)["escrow:ST1.freelance-logic:7"],
        most.to_string()
    );
    let booked = book(
        vec![
            transfer(0, "STX", ESCROW, "STF", most),
            transfer(1, "STX", ESCROW, TREASURY, most),
            transfer(2, "STX", ESCROW, "STC", most),
        ],
        vec![told(3, settled(5, most, most, most))],
    );
    let note = booked[0].note.clone().unwrap();
    assert!(note.ends_with("its parts do not add up to 5"), "{note}");
    assert_eq!(held(&booked)["external:STF"], most.to_string());
    let less = book(
        vec![transfer(0, "STX", ESCROW, "STF", 60)],
        vec![told(1, settled(100, 60, 0, 0))],
    );
    assert_eq!(held(&less)["suspense:ST1.freelance-logic"], "40");
    // An event of nothing moves nothing.
    assert_eq!(book(vec![], vec![told(0, settled(0, 0, 0, 0))]), []);
}

#[test]
fn two_equal_settlements_in_one_transaction_take_a_transfer_each() {
    let transfers = vec![
        transfer(0, "STX", ESCROW, "STF", 10),
        transfer(2, "STX", ESCROW, "STF", 10),
    ];
    let events = vec![
        told(1, settled(10, 10, 0, 0)),
        told(3, settled(10, 10, 0, 0)),
    ];
    let booked = book(transfers.clone(), events.clone());
    assert_eq!(booked.len(), 2);
    assert!(booked.iter().all(|b| b.note.is_none()));
    let booked = book(transfers[..1].to_vec(), events);
    assert_eq!(held(&booked)["suspense:ST1.freelance-logic"], "10");
}

#[test]
fn a_token_on_trial_comes_and_goes() {
    let says = Says::Admitted {
        asset: TOKEN.into(),
    };
    let back = vec![
        transfer(0, TOKEN, "STX1", ESCROW, 1),
        transfer(1, TOKEN, ESCROW, "STX1", 1),
    ];
    let booked = book(back.clone(), vec![told(2, says.clone())]);
    assert_eq!(
        (booked.len(), booked[0].kind, &booked[0].note),
        (1, Kind::Trial, &None)
    );
    expect(&booked, []);
    let kept = book(back[..1].to_vec(), vec![told(2, says)]);
    assert_eq!(kept[0].kind, Kind::Unattributed);
}

#[test]
fn a_treasury_that_is_an_account_pays_for_its_transactions() {
    let money = Money {
        txid: [1; 32],
        fee: Some(("ST8".into(), 300)),
        ..Money::default()
    };
    let booked = bookings(&money, &holders(), &parties);
    assert_eq!(booked[0].kind, Kind::NetworkFee);
    expect(
        &booked,
        [("treasury:ST8", "-300"), ("external:miners", "300")],
    );
}
