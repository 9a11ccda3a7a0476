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
        minters: ["STM".to_owned()].into(),
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

fn parties(contract: &str, project: u128) -> Option<Terms> {
    (contract == ESCROW && project == 7).then(|| Terms {
        client: "STC".into(),
        freelancer: "STF".into(),
        fee_bps: None,
    })
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

fn at_five_percent(transfers: Vec<Transfer>, told: Vec<Told>) -> Vec<Booking> {
    let money = Money {
        txid: [0xAB; 32],
        transfers,
        told,
        fee: None,
    };
    let terms = |_: &str, _: u128| {
        Some(Terms {
            client: "STC".into(),
            freelancer: "STF".into(),
            fee_bps: Some(500),
        })
    };
    bookings(&money, &holders(), &terms)
}

#[test]
fn a_fee_that_does_not_follow_the_rule_stands_in_the_treasurys_suspense() {
    let pays = |payout: u128, fee: u128| {
        let mut transfers = vec![transfer(0, "STX", ESCROW, "STF", payout)];
        if fee > 0 {
            transfers.push(transfer(1, "STX", ESCROW, TREASURY, fee));
        }
        at_five_percent(
            transfers,
            vec![told(2, settled(payout + fee, payout, fee, 0))],
        )
    };
    let (project, treasury) = (
        "escrow:ST1.freelance-logic:7",
        "treasury:ST1.freelance-security",
    );
    let suspense = "suspense:ST1.freelance-security";
    // Five percent of 119, rounded down, is 5.
    let right = pays(114, 5);
    assert_eq!(right[0].note, None);
    expect(
        &right,
        [(project, "-119"), ("external:STF", "114"), (treasury, "5")],
    );
    let more = pays(90, 10);
    assert_eq!(
        more[0].note.as_deref(),
        Some("the fee of 10 is not 5, which is due of 100 at 500 basis points")
    );
    expect(
        &more,
        [
            (project, "-100"),
            ("external:STF", "90"),
            (treasury, "5"),
            (suspense, "5"),
        ],
    );
    let less = pays(98, 2);
    expect(
        &less,
        [
            (project, "-100"),
            ("external:STF", "98"),
            (treasury, "5"),
            (suspense, "-3"),
        ],
    );
    let none = pays(100, 0);
    assert_eq!(
        none[0].note.as_deref(),
        Some("no fee was paid, and 5 is due of 100 at 500 basis points")
    );
    expect(
        &none,
        [
            (project, "-100"),
            ("external:STF", "100"),
            (treasury, "5"),
            (suspense, "-5"),
        ],
    );
    let unasked = pays(9, 1);
    expect(
        &unasked,
        [(project, "-10"), ("external:STF", "9"), (suspense, "1")],
    );
    // What the treasury has is what came to it, whatever is due.
    for (bookings, fee) in [(&more, "10"), (&less, "2"), (&unasked, "1")] {
        let held = held(bookings);
        let of = |account: &str| held.get(account).map_or(0, |n| n.parse::<i64>().unwrap());
        assert_eq!((of(treasury) + of(suspense)).to_string(), fee);
    }
    let most = at_five_percent(vec![], vec![told(0, settled(u128::MAX, u128::MAX, 1, 0))]);
    assert!(most[0].note.as_ref().unwrap().contains("do not add up"));
    held(&most);
}

#[test]
fn a_minters_fees_and_transfers_have_an_account_of_their_own() {
    let money = Money {
        txid: [1; 32],
        transfers: vec![
            transfer(0, "STX", TREASURY, "STM", 70),
            transfer(1, "STX", "STM", "STX1", 4),
        ],
        told: vec![told(
            2,
            Says::Spent {
                asset: "STX".into(),
                amount: 70,
                to: "STM".into(),
            },
        )],
        fee: Some(("STM".into(), 300)),
    };
    let booked = bookings(&money, &holders(), &parties);
    let kinds: Vec<_> = booked.iter().map(|b| b.kind).collect();
    assert_eq!(kinds, [Kind::Spend, Kind::Outflow, Kind::NetworkFee]);
    expect(
        &booked,
        [
            ("treasury:ST1.freelance-security", "-70"),
            ("minter:STM", "-234"),
            ("external:STX1", "4"),
            ("external:miners", "300"),
        ],
    );
}
