use stxworx_indexer::model::IndexBlockHash;

use super::*;
use crate::platform::Row;

const ESCROW: &str = "ST1PQHQKV0RJXZFY1DGX8MNSNYVE3VGZJSRTPGZGM.freelance-logic";
const TREASURY: &str = "ST1PQHQKV0RJXZFY1DGX8MNSNYVE3VGZJSRTPGZGM.freelance-security";

fn fee(ordinal: i32, amount: u128, owed: bool) -> Move {
    Move {
        ordinal,
        from: ESCROW.to_owned(),
        to: TREASURY.to_owned(),
        asset: "STX".to_owned(),
        amount: amount.to_string(),
        owed,
    }
}

fn row(key: &str, changed: &[(&str, Option<&str>)]) -> PlatformTransfer {
    let txid = TxId([7; 32]).to_string();
    let mut cells: std::collections::BTreeMap<_, _> = [
        ("key", Some(key)),
        ("from", Some(ESCROW)),
        ("to", Some(TREASURY)),
        ("asset", Some("stx")),
        ("amount", Some("50")),
        ("tx_id", Some(txid.as_str())),
    ]
    .into();
    cells.extend(changed.iter().copied());
    let own = |(name, text): (&str, Option<&str>)| (name.to_owned(), text.map(str::to_owned));
    PlatformTransfer::read(Row(cells.into_iter().map(own).collect())).unwrap()
}

struct Told {
    claim: Option<Claim>,
    is_whole: bool,
}

const WHOLE: Told = Told {
    claim: None,
    is_whole: true,
};

fn judged(
    chain: &[Move],
    platform: &[PlatformTransfer],
    told: &Told,
) -> Vec<(&'static str, Verdict)> {
    let anchor = Anchor {
        block: IndexBlockHash([1; 32]),
        height: 9,
        burn_height: 5,
        final_height: None,
        platform_time_s: 0,
    };
    let txid = TxId([7; 32]);
    let named = platform
        .first()
        .is_none_or(|row| row.tx_id.value().is_some());
    let case = TransferCase {
        anchor: &anchor,
        txid: named.then_some(&txid),
        chain,
        platform,
        assets: &AssetNames::default(),
        claim: told.claim.as_ref(),
        is_whole: told.is_whole,
    };
    let rules = transfer_rules();
    let judge = |rule: &&'static dyn TransferRule| (rule.info().id, rule.judge(&case));
    rules.iter().map(judge).collect()
}

/// Rules with what they find.
fn found(verdicts: Vec<(&'static str, Verdict)>) -> Vec<String> {
    let findings = |(id, verdict)| match verdict {
        Verdict::Broken { findings } => findings
            .into_iter()
            .map(|it| format!("{id} {}", it.what))
            .collect(),
        Verdict::Skipped { reason } => vec![format!("{id} skipped {reason:?}")],
        Verdict::Matched => Vec::new(),
    };
    verdicts.into_iter().flat_map(findings).collect()
}

#[test]
fn what_is_recorded_once_as_it_moved_is_right() {
    let right = row("a", &[]);
    assert_eq!(
        found(judged(
            &[fee(3, 50, true)],
            std::slice::from_ref(&right),
            &WHOLE
        )),
        [""; 0]
    );
    // Two fees of one transaction, in any order; and who sent it may be left out.
    let two = [fee(3, 50, true), fee(8, 60, true)];
    let rows = [row("b", &[("amount", Some("60")), ("from", None)]), right];
    assert_eq!(found(judged(&two, &rows, &WHOLE)), [""; 0]);
    // A gift may be recorded, and need not be.
    let gift = [fee(3, 50, false)];
    assert_eq!(found(judged(&gift, &[row("a", &[])], &WHOLE)), [""; 0]);
    assert_eq!(found(judged(&gift, &[], &WHOLE)), [""; 0]);
}

#[test]
fn each_difference_is_named() {
    let one = [fee(3, 50, true)];
    let of = |changed| found(judged(&one, &[row("a", &[changed])], &WHOLE));
    assert_eq!(of(("amount", Some("49"))), ["F4 row a amount"]);
    assert_eq!(of(("amount", None)), ["F4 row a amount"]);
    assert_eq!(of(("asset", Some("sBTC"))), ["F4 row a asset"]);
    assert_eq!(of(("to", Some(ESCROW))), ["F4 row a to"]);
    assert_eq!(of(("from", Some(TREASURY))), ["F4 row a from"]);
    // What cannot be read is one finding and not two.
    assert_eq!(of(("amount", Some("0.5"))), ["F6 row a amount"]);
    // An address of more than fifty characters, cut off by the column.
    let cut = "ST1PQHQKV0RJXZFY1DGX8MNSNYVE3VGZJSRTPGZGM.freelanc";
    assert_eq!(of(("to", Some(cut))), ["F4 row a to"]);
    assert_eq!(found(judged(&one, &[], &WHOLE)), ["F4 transfer 3"]);
    let twice = [row("a", &[]), row("b", &[])];
    assert_eq!(found(judged(&one, &twice, &WHOLE)), ["F4 row b"]);
    let unnamed = [row("a", &[("tx_id", None)])];
    assert_eq!(
        found(judged(&[], &unnamed, &WHOLE)),
        ["F4 skipped Unreadable", "F6 row a tx_id"]
    );
}

#[test]
fn a_row_of_a_transaction_that_moved_nothing_waits_only_if_it_may_still_be_mined() {
    let lag = |told: &Told| match &judged(&[], &[row("a", &[])], told)[0].1 {
        Verdict::Broken { findings } => Some(findings[0].lag),
        _ => None,
    };
    assert_eq!(lag(&WHOLE), Some(Lag::PlatformAhead));
    let claim = Claim {
        height: 5,
        status: "success".to_owned(),
        call: None,
        opened: None,
    };
    let mined = Told {
        claim: Some(claim),
        is_whole: false,
    };
    assert_eq!(lag(&mined), Some(Lag::None));
    let late = Told {
        claim: None,
        is_whole: false,
    };
    assert_eq!(
        found(judged(&[], &[row("a", &[])], &late)),
        ["F4 skipped Incomplete"]
    );
}

#[test]
fn a_repair_says_what_it_replaces() {
    let repair = |chain: &[Move], platform: &[PlatformTransfer]| {
        let Verdict::Broken { findings } = &judged(chain, platform, &WHOLE)[0].1 else {
            panic!("it differs")
        };
        findings[0].repair.clone().unwrap()
    };
    let amount = repair(&[fee(3, 50, true)], &[row("a", &[("amount", Some("49"))])]);
    assert_eq!(
        (amount.kind.as_str(), amount.sql.as_str()),
        (
            "amount",
            "update dao_transactions set amount = '50' where id = 'a' and amount = '49';"
        )
    );
    assert_eq!(repair(&[fee(3, 50, true)], &[]).kind, "insert");
    assert_eq!(repair(&[], &[row("a", &[])]).kind, "delete");
}
