use std::collections::BTreeSet;

use stxworx_indexer::model::IndexBlockHash;
use stxworx_indexer::project::market::projects::{Milestone, MilestoneStatus};
use stxworx_indexer::store::read::market::{ProjectStatus, Units};

use stxworx_reconciler::anchor::Anchor;
use stxworx_reconciler::platform::{PlatformProject, Row};
use stxworx_reconciler::rule::Verdict;
use stxworx_reconciler::rules::{AssetNames, ProjectCase, project_rules};

use super::*;

fn state(id: u64, status: ProjectStatus, milestones: &[MilestoneStatus]) -> ProjectState {
    ProjectState {
        id,
        contract: "ST1.freelance-logic".to_owned(),
        client: "ST1PQHQKV0RJXZFY1DGX8MNSNYVE3VGZJSRTPGZGM".to_owned(),
        freelancer: "ST2CY5V39NHDPWSXMW9QDT3HC3GD6Q6XX4CFRK9AG".to_owned(),
        asset: "STX".to_owned(),
        status,
        total: Units(5_000_000_000),
        milestones: (1..)
            .zip(milestones)
            .map(|(m, status)| Milestone {
                m,
                amount: Units(2_500_000_000),
                status: *status,
                ..Milestone::default()
            })
            .collect(),
        ..ProjectState::default()
    }
}

#[test]
fn every_way_to_err_happens_and_most_rows_are_right() {
    let all: Vec<_> = (1..=500).map(|id| Persona::of(7, id)).collect();
    let kinds: BTreeSet<_> = all.iter().collect();
    assert_eq!(kinds.len(), 9);
    let right = all.iter().filter(|p| **p == Persona::Right).count();
    assert!((250..350).contains(&right), "{right}");
    assert_eq!(
        all,
        (1..=500).map(|id| Persona::of(7, id)).collect::<Vec<_>>()
    );
    assert_ne!(
        all,
        (1..=500).map(|id| Persona::of(8, id)).collect::<Vec<_>>()
    );
}

#[test]
fn each_error_shows_in_the_row_and_nowhere_else() {
    use MilestoneStatus as M;
    let active = state(3, ProjectStatus::Active, &[M::Released, M::Submitted]);
    let right = of_project(Persona::Right, &active);
    assert_eq!(right[0].status, "UNDER_REVIEW");
    assert_eq!(right[0].milestones[0].as_ref().unwrap().0, "2500000000");
    let of = |persona| of_project(persona, &active);
    assert_eq!(of(Persona::Overflow)[0].total, "2147483647");
    assert_eq!(of(Persona::TwiceLinked).len(), 2);
    assert_eq!(of(Persona::EndMissed), right, "it has not ended");
    let claimed = of(Persona::ClaimedEarly);
    assert!(claimed[0].milestones[1].as_ref().unwrap().3);
    assert_eq!(claimed[0].milestones[0], right[0].milestones[0]);
    assert_eq!(of(Persona::WrongLink)[0].on_chain_id, Some(1_000_003));
    assert_eq!(of(Persona::Orphan), []);
    assert_ne!(of(Persona::BadPrincipal)[0].client, active.client);
    let over = state(3, ProjectStatus::Refunded, &[M::Refunded]);
    assert_eq!(of_project(Persona::Right, &over)[0].status, "REFUNDED");
    assert_eq!(of_project(Persona::EndMissed, &over)[0].status, "ACTIVE");
    let done = state(3, ProjectStatus::Completed, &[M::Released]);
    assert_eq!(
        of_project(Persona::NeverCompleted, &done)[0].status,
        "ACTIVE"
    );
}

#[test]
fn fees_are_noted_and_some_are_forgotten_or_too_many() {
    let mut ways = BTreeSet::new();
    for id in 1..=100 {
        let mut paid = state(id, ProjectStatus::Completed, &[MilestoneStatus::Released]);
        assert_eq!(rows::of_fees(7, &paid), [], "nothing was paid");
        paid.milestones[0].fee = Units(500);
        paid.milestones[0].settled = Some(stxworx_indexer::model::TxId([3; 32]));
        let fees = rows::of_fees(7, &paid);
        ways.insert(fees.first().map(|fee| fee.amount.clone()));
    }
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(ways, BTreeSet::from([None, text("500"), text("501")]));
}

#[test]
fn keys_are_the_same_each_time_and_have_the_form_of_one() {
    let key = uuid("ST1.freelance-logic/3/0");
    assert_eq!(key, uuid("ST1.freelance-logic/3/0"));
    assert_eq!(
        key.split('-').map(str::len).collect::<Vec<_>>(),
        [8, 4, 4, 4, 12]
    );
    assert_ne!(key, uuid("ST1.freelance-logic/3/1"));
}

/// A row as the reconciler reads it.
fn read(row: &ProjectRow) -> PlatformProject {
    let mut cells = std::collections::BTreeMap::new();
    let mut set = |name: &str, text: Option<String>| {
        cells.insert(name.to_owned(), text);
    };
    set("key", Some(format!("k{}", row.copy)));
    set("on_chain_id", row.on_chain_id.map(|id| id.to_string()));
    set("client", Some(row.client.clone()));
    set("freelancer", Some(row.freelancer.clone()));
    set("asset", Some(row.token.clone()));
    set("total", Some(row.total.clone()));
    set("status", Some(row.status.to_owned()));
    for (number, place) in (1..).zip(&row.milestones) {
        let Some((amount, funded, complete, released)) = place else {
            continue;
        };
        let name = |part: &str| format!("milestone_{number}_{part}");
        set(&name("amount"), Some(amount.clone()));
        set(&name("funded"), Some(funded.to_string()));
        set(&name("complete"), Some(complete.to_string()));
        set(&name("released"), Some(released.to_string()));
    }
    PlatformProject::read(Row(cells)).unwrap()
}

/// The rules that find something in the rows of a project, or in those that point nowhere.
fn broken(chain: &ProjectState, rows: &[ProjectRow]) -> Vec<&'static str> {
    let anchor = Anchor {
        block: IndexBlockHash([1; 32]),
        height: 9,
        burn_height: 5,
        final_height: Some(9),
        platform_time_s: 0,
    };
    let assets = AssetNames::default();
    let (linked, astray): (Vec<_>, Vec<_>) = rows
        .iter()
        .map(read)
        .partition(|row| row.on_chain_id.value() == Some(&chain.id));
    let judge = |chain, platform: &[PlatformProject]| -> Vec<&'static str> {
        let case = ProjectCase {
            anchor: &anchor,
            chain,
            platform,
            assets: &assets,
            claims: &stxworx_reconciler::rules::Claims::new(),
        };
        // Those of the chain's side are not what a backend gets wrong, and these states are not whole.
        let rules = project_rules()
            .into_iter()
            .filter(|rule| rule.info().id.starts_with('P'));
        rules
            .filter(|rule| matches!(rule.judge(&case), Verdict::Broken { .. }))
            .map(|rule| rule.info().id)
            .collect()
    };
    let mut all = judge(Some(chain), &linked);
    for row in astray {
        all.extend(judge(None, std::slice::from_ref(&row)));
    }
    all
}

#[test]
fn each_way_to_err_breaks_the_rule_that_is_meant_for_it() {
    use MilestoneStatus as M;
    let active = state(3, ProjectStatus::Active, &[M::Released, M::Submitted]);
    let refunded = state(3, ProjectStatus::Refunded, &[M::Refunded, M::Refunded]);
    let completed = state(3, ProjectStatus::Completed, &[M::Released, M::Released]);
    let open = state(3, ProjectStatus::Open, &[M::Funded]);
    for chain in [&active, &refunded, &completed, &open] {
        assert_eq!(broken(chain, &of_project(Persona::Right, chain)), [""; 0]);
    }
    for (persona, chain, rules) in [
        (Persona::Overflow, &active, &["P2"][..]),
        (Persona::TwiceLinked, &active, &["P1"]),
        (Persona::EndMissed, &refunded, &["P3"]),
        (Persona::ClaimedEarly, &active, &["P11"]),
        (Persona::ClaimedEarly, &refunded, &["P11"]),
        (Persona::WrongLink, &open, &["P9", "P9"]),
        (Persona::Orphan, &open, &["P9"]),
        (Persona::BadPrincipal, &completed, &["P8"]),
        (Persona::NeverCompleted, &completed, &["P3"]),
    ] {
        let rows = of_project(persona, chain);
        assert_eq!(broken(chain, &rows), rules, "{persona:?}");
    }
}
