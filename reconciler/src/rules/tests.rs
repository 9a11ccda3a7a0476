use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use stxworx_indexer::model::IndexBlockHash;
use stxworx_indexer::project::market::projects::{Milestone, MilestoneStatus};
use stxworx_indexer::store::read::market::{ProjectState, ProjectStatus, Units};

use super::*;
use crate::platform::Row;

const CLIENT: &str = "ST1PQHQKV0RJXZFY1DGX8MNSNYVE3VGZJSRTPGZGM";
const FREELANCER: &str = "ST2CY5V39NHDPWSXMW9QDT3HC3GD6Q6XX4CFRK9AG";
const TOKEN: &str = "ST1PQHQKV0RJXZFY1DGX8MNSNYVE3VGZJSRTPGZGM.sbtc-token";

fn anchor() -> Anchor {
    Anchor {
        block: IndexBlockHash([1; 32]),
        height: 900,
        burn_height: 100,
        final_height: Some(800),
        platform_time_s: 1_000_000,
    }
}

fn names() -> AssetNames {
    AssetNames::new([("sBTC".to_owned(), TOKEN.to_owned())])
}

fn milestone(m: u64, amount: u128, status: MilestoneStatus) -> Milestone {
    let fee = amount / 10;
    let (payout, fee, refund) = match status {
        MilestoneStatus::Released => (amount - fee, fee, 0),
        MilestoneStatus::Refunded => (0, 0, amount),
        MilestoneStatus::Split => {
            let gross = amount / 2;
            (gross - gross / 10, gross / 10, amount - gross)
        }
        _ => (0, 0, 0),
    };
    Milestone {
        m,
        amount: Units(amount),
        status,
        payout: Units(payout),
        fee: Units(fee),
        refund: Units(refund),
        ..Milestone::default()
    }
}

/// A project whose money adds up.
fn project(status: ProjectStatus, milestones: &[(u128, MilestoneStatus)]) -> ProjectState {
    let milestones: Vec<_> = (1..)
        .zip(milestones)
        .map(|(m, (amount, status))| milestone(m, *amount, *status))
        .collect();
    let sum = |of: fn(&Milestone) -> Units| Units(milestones.iter().map(|m| of(m).0).sum());
    let total = sum(|m| m.amount);
    let refunded = if status == ProjectStatus::Cancelled {
        total
    } else {
        sum(|m| m.refund)
    };
    ProjectState {
        id: 7,
        contract: "ST1PQHQKV0RJXZFY1DGX8MNSNYVE3VGZJSRTPGZGM.freelance-logic".to_owned(),
        client: CLIENT.to_owned(),
        freelancer: FREELANCER.to_owned(),
        asset: "STX".to_owned(),
        status,
        total,
        paid: sum(|m| m.payout),
        fees: sum(|m| m.fee),
        refunded,
        fee_bps: 1_000,
        milestones,
        ..ProjectState::default()
    }
}

fn active() -> ProjectState {
    use MilestoneStatus as M;
    project(
        ProjectStatus::Active,
        &[(1_009, M::Released), (500, M::Submitted), (77, M::Funded)],
    )
}

/// The row that a platform without fault has of a project.
fn row_of(chain: &ProjectState, key: &str) -> BTreeMap<String, Option<String>> {
    let mut row = BTreeMap::new();
    let mut set = |name: &str, text: String| {
        row.insert(name.to_owned(), Some(text));
    };
    set("key", key.to_owned());
    set("on_chain_id", chain.id.to_string());
    set("client", chain.client.clone());
    set("freelancer", chain.freelancer.clone());
    set(
        "asset",
        if chain.asset == "STX" {
            "STX".to_owned()
        } else {
            "sBTC".to_owned()
        },
    );
    set("total", chain.total.to_string());
    set(
        "status",
        status::allowed(chain)[0].to_string().to_uppercase(),
    );
    for it in &chain.milestones {
        use MilestoneStatus as M;
        let complete = matches!(it.status, M::Submitted | M::Disputed | M::Released);
        let name = |part: &str| format!("milestone_{}_{part}", it.m);
        set(&name("amount"), it.amount.to_string());
        set(&name("funded"), "t".to_owned());
        set(&name("complete"), complete.to_string());
        set(&name("released"), (it.status == M::Released).to_string());
    }
    row
}

fn read(row: BTreeMap<String, Option<String>>) -> PlatformProject {
    PlatformProject::read(Row(row)).unwrap()
}

/// The rules that find something, and what.
fn judged(
    chain: Option<&ProjectState>,
    platform: &[PlatformProject],
) -> BTreeMap<&'static str, Vec<Finding>> {
    let (anchor, assets) = (anchor(), names());
    let case = ProjectCase {
        anchor: &anchor,
        chain,
        platform,
        assets: &assets,
        claims: &Claims::new(),
    };
    let verdicts = project_rules()
        .into_iter()
        .map(|rule| (rule.info().id, rule.judge(&case)));
    verdicts
        .filter_map(|(id, verdict)| match verdict {
            Verdict::Broken { findings } => Some((id, findings)),
            Verdict::Matched => None,
            Verdict::Skipped { reason } => panic!("{id} skipped: {reason:?}"),
        })
        .collect()
}

fn ids(found: &BTreeMap<&'static str, Vec<Finding>>) -> Vec<&'static str> {
    found.keys().copied().collect()
}

#[test]
fn ids_are_unique_and_every_rule_says_what_must_hold() {
    let all = cards();
    let ids: BTreeSet<_> = all.iter().map(|(_, card)| card.id).collect();
    assert_eq!(ids.len(), all.len());
    assert!(all.iter().all(|(_, card)| card.must_hold.len() > 20));
}

/// Every injected fault of a platform's row is found by the rule that is meant for it, and by no other.
#[test]
fn each_fault_of_a_row_is_found_by_its_rule_and_laid_on_the_platform() {
    let chain = active();
    let cases: &[(&str, &str, &str)] = &[
        ("client", FREELANCER, "P2"),
        ("freelancer", CLIENT, "P2"),
        ("asset", "sBTC", "P2"),
        ("asset", "USDCx", "P2"),
        ("total", "1585", "P2"),
        ("total", "2147483647", "P2"),
        ("milestone_1_amount", "1010", "P2"),
        ("milestone_4_amount", "5", "P2"),
        ("status", "COMPLETED", "P3"),
        ("status", "PENDING", "P3"),
        ("status", "refunded", "P3"),
        ("milestone_1_released", "f", "P11"),
        ("milestone_2_released", "true", "P11"),
        ("milestone_2_complete", "0", "P11"),
        ("milestone_3_funded", "no", "P11"),
        ("client", "ST1PQHQKV0RJXZFY1DGX8MNSNYVE3VGZJSRTPGZGX", "P8"),
        ("total", "1586.5", "P8"),
        ("total", "-1", "P8"),
        ("status", "on fire", "P8"),
        ("tx_id", "0xabc123...", "P8"),
    ];
    assert_eq!(
        ids(&judged(Some(&chain), &[read(row_of(&chain, "k"))])),
        [""; 0]
    );
    for (column, text, rule) in cases {
        let mut row = row_of(&chain, "k");
        row.insert((*column).to_owned(), Some((*text).to_owned()));
        let found = judged(Some(&chain), &[read(row)]);
        assert_eq!(ids(&found), [*rule], "{column} = {text}");
        let finding = &found[rule][0];
        assert_eq!(finding.fault, Fault::Platform);
        assert!(finding.what.contains(column), "{}", finding.what);
        assert!(
            finding.found.contains(text) || *rule == "P11" || *rule == "P3" || *rule == "P8",
            "{finding:?}"
        );
        crate::evidence::hash(&finding.facts).unwrap();
    }
}

#[test]
fn columns_that_are_null_are_differences_too() {
    let chain = active();
    for (column, rule) in [
        ("client", "P2"),
        ("total", "P2"),
        ("milestone_2_amount", "P2"),
        ("status", "P3"),
        ("milestone_1_released", "P11"),
    ] {
        let mut row = row_of(&chain, "k");
        row.insert(column.to_owned(), None);
        assert_eq!(ids(&judged(Some(&chain), &[read(row)])), [rule], "{column}");
    }
}

#[test]
fn two_rows_for_one_project_are_two_findings() {
    let chain = active();
    let rows = [read(row_of(&chain, "a")), read(row_of(&chain, "b"))];
    let found = judged(Some(&chain), &rows);
    assert_eq!(ids(&found), ["P1"]);
    assert_eq!(found["P1"].len(), 2);
    assert_ne!(found["P1"][0].what, found["P1"][1].what);
}

#[test]
fn a_project_without_a_row_and_a_row_without_a_project_are_found() {
    let chain = active();
    let found = judged(Some(&chain), &[]);
    assert_eq!(ids(&found), ["P9"]);
    assert_eq!(found["P9"][0].lag, Lag::PlatformBehind);
    assert_eq!(
        found["P9"][0].at_risk.as_ref().unwrap().units,
        577,
        "what is still locked"
    );
    let found = judged(None, &[read(row_of(&chain, "k"))]);
    assert_eq!(ids(&found), ["P9"]);
    assert_eq!(found["P9"][0].lag, Lag::PlatformAhead);
    // A draft has nothing to do with the chain.
    let mut draft = row_of(&chain, "k");
    draft.insert("on_chain_id".to_owned(), None);
    draft.insert("status".to_owned(), Some("PENDING".to_owned()));
    assert_eq!(ids(&judged(None, &[read(draft.clone())])), [""; 0]);
    draft.insert("status".to_owned(), Some("COMPLETED".to_owned()));
    assert_eq!(ids(&judged(None, &[read(draft)])), ["P9"]);
}

#[test]
fn each_fault_of_the_mirror_is_found_and_not_laid_on_the_platform() {
    type Change = fn(&mut ProjectState);
    let cases: &[(&str, Change, &[&str])] = &[
        ("a payout lost", |s| s.paid.0 -= 1, &["E1"]),
        ("a payout twice", |s| s.paid.0 *= 2, &["E1"]),
        ("a refund invented", |s| s.refunded.0 = 5, &["E1"]),
        ("a total", |s| s.total.0 += 1, &["E1", "E3"]),
        ("a hole", |s| s.milestones[1].m = 4, &["E3"]),
        (
            "a payout before its time",
            |s| s.milestones[2].payout.0 = 7,
            &["E1", "E3"],
        ),
        (
            "an end too early",
            |s| s.status = ProjectStatus::Completed,
            &["E11"],
        ),
        (
            "a milestone set back",
            |s| s.milestones[0].status = MilestoneStatus::Funded,
            &["E1", "E3"],
        ),
    ];
    for (name, change, rules) in cases {
        let mut chain = active();
        change(&mut chain);
        // The rules about the chain's side look at no row.
        let found = judged(Some(&chain), &[]);
        let of_chain: Vec<_> = ids(&found)
            .into_iter()
            .filter(|id| id.starts_with('E'))
            .collect();
        assert_eq!(&of_chain, rules, "{name}");
        assert!(
            of_chain
                .iter()
                .all(|id| found[id].iter().all(|f| f.fault != Fault::Platform)),
            "{name}"
        );
    }
}

#[test]
fn a_fee_that_does_not_follow_the_rate_is_the_mirrors_until_it_looked() {
    let mut chain = active();
    let it = &mut chain.milestones[0];
    (it.fee.0, it.payout.0) = (it.fee.0 + 1, it.payout.0 - 1);
    (chain.fees.0, chain.paid.0) = (chain.fees.0 + 1, chain.paid.0 - 1);
    let found = judged(Some(&chain), &[read(row_of(&active(), "k"))]);
    assert_eq!(ids(&found), ["E7"]);
    assert_eq!(found["E7"][0].fault, Fault::Mirror);
}

#[test]
fn a_project_known_in_part_is_skipped_and_not_called_good() {
    let mut chain = active();
    chain.partial = true;
    let (anchor, assets) = (anchor(), names());
    let case = ProjectCase {
        anchor: &anchor,
        chain: Some(&chain),
        platform: &[],
        assets: &assets,
        claims: &Claims::new(),
    };
    let skipped = project_rules()
        .iter()
        .filter(|rule| matches!(rule.judge(&case), Verdict::Skipped { .. }))
        .count();
    assert_eq!(skipped, 4);
}

#[test]
fn a_repair_changes_only_the_value_that_was_judged_and_survives_any_text() {
    let chain = active();
    let mut row = row_of(&chain, "it's");
    row.insert("client".to_owned(), Some(FREELANCER.to_owned()));
    let found = judged(Some(&chain), &[read(row)]);
    let repair = found["P2"][0].repair.clone().unwrap();
    assert_eq!(
        repair.sql,
        format!(
            "update projects set client_address = '{CLIENT}' where id = 'it''s' and client_address = '{FREELANCER}';"
        )
    );
    assert_eq!(literal("a\\'b"), "E'a\\\\''b'");
}

fn any_milestone() -> impl Strategy<Value = (u128, MilestoneStatus)> {
    use MilestoneStatus as M;
    let status = prop::sample::select(vec![
        M::Funded,
        M::Submitted,
        M::Disputed,
        M::Released,
        M::Refunded,
        M::Split,
    ]);
    (1..1_000_000_000_000u128, status)
}

/// The status that milestones lead to, as the contract decides it.
fn status_of(milestones: &[(u128, MilestoneStatus)]) -> ProjectStatus {
    use MilestoneStatus as M;
    let all = |wanted: M| milestones.iter().all(|(_, status)| *status == wanted);
    let over = |status: &M| matches!(status, M::Released | M::Refunded | M::Split);
    if !milestones.iter().all(|(_, status)| over(status)) {
        ProjectStatus::Active
    } else if all(M::Released) {
        ProjectStatus::Completed
    } else if all(M::Refunded) {
        ProjectStatus::Refunded
    } else {
        ProjectStatus::Settled
    }
}

proptest! {
    #[test]
    fn a_right_row_of_a_right_project_breaks_no_rule(milestones in prop::collection::vec(any_milestone(), 1..5)) {
        let chain = project(status_of(&milestones), &milestones);
        let found = judged(Some(&chain), &[read(row_of(&chain, "k"))]);
        prop_assert!(found.is_empty(), "{found:?}");
    }

    #[test]
    fn one_unit_more_or_less_anywhere_is_found(
        milestones in prop::collection::vec(any_milestone(), 1..5),
        place in 0..8usize,
        more in any::<bool>(),
    ) {
        let right = project(status_of(&milestones), &milestones);
        let mut chain = right.clone();
        let last = chain.milestones.len() - 1;
        let amounts = [
            &mut chain.total, &mut chain.paid, &mut chain.fees, &mut chain.refunded,
        ];
        if place < 4 {
            let amount = amounts.into_iter().nth(place).unwrap();
            amount.0 = if more { amount.0 + 1 } else { amount.0.saturating_sub(1) };
        } else {
            let it = &mut chain.milestones[last];
            let amount = [&mut it.amount, &mut it.payout, &mut it.fee, &mut it.refund].into_iter().nth(place - 4).unwrap();
            amount.0 = if more { amount.0 + 1 } else { amount.0.saturating_sub(1) };
        }
        prop_assume!(chain != right);
        let found = judged(Some(&chain), &[]);
        prop_assert!(found.keys().any(|id| id.starts_with('E')), "not found: place {place}");
    }

    #[test]
    fn the_fee_is_the_one_of_wide_arithmetic(gross in any::<u128>(), bps in 0..=10_000u64) {
        // By hundredths, so that nothing overflows on the way.
        let wide = |gross: u128| -> u128 {
            let (mut rest, mut fee) = (0u128, 0u128);
            for digit in gross.to_string().bytes() {
                let product = u128::from(digit - b'0') * u128::from(bps) + rest * 10;
                fee = fee * 10 + product / 10_000;
                rest = product % 10_000;
            }
            fee
        };
        prop_assert_eq!(conserve::fee_of(gross, bps), Some(wide(gross)));
    }

    #[test]
    fn the_same_case_gives_the_same_bytes(milestones in prop::collection::vec(any_milestone(), 1..5), text in ".*") {
        let chain = project(ProjectStatus::Active, &milestones);
        let mut row = row_of(&chain, "k");
        row.insert("client".to_owned(), Some(text));
        let once = || serde_json::to_string(&judged(Some(&chain), &[read(row.clone())])).unwrap();
        prop_assert_eq!(once(), once());
    }
}

#[test]
fn every_rule_has_its_section_and_its_class_there() {
    let page = include_str!("../../../docs/rules.md");
    let sections: BTreeMap<_, _> = page
        .split("\n### ")
        .skip(1)
        .map(|section| section.split_once("\n\n").unwrap())
        .collect();
    let cards: BTreeMap<_, _> = cards()
        .into_iter()
        .map(|(_, card)| (card.id, card))
        .collect();
    assert_eq!(
        sections.keys().collect::<Vec<_>>(),
        cards.keys().collect::<Vec<_>>()
    );
    for (id, text) in sections {
        let class = serde_json::to_value(cards[id].class).unwrap();
        let class = class.as_str().unwrap().replace('_', " ");
        let first = text.split('.').next().unwrap().to_lowercase();
        assert_eq!(first, class, "{id}");
    }
}
