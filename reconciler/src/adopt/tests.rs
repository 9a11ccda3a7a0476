//! Linking, without a database.

use std::collections::BTreeMap;

use proptest::prelude::*;
use stxworx_indexer::store::read::market::ProjectState;

use super::Counts;
use super::link::{Class, Deployment, Linked, weigh};
use crate::platform::{PlatformProject, Row};
use crate::rules::AssetNames;

const ANN: &str = "ST394RB768S5VJ9TX9VP73ZM6C4MMC1F85N54FS3A";
const BOB: &str = "STX0HN80F0NFJ55R81Z276DKW644A800EA1YK72W";

fn project(deployment: usize, id: u64, total: u64, client: &str, opened: u8) -> Linked {
    let state = serde_json::json!({
        "id": id, "contract": format!("d{deployment}"), "client": client, "freelancer": BOB, "arbiter": BOB,
        "asset": "STX", "status": "active", "total": total.to_string(), "paid": "0", "fees": "0", "refunded": "0",
        "fee_bps": 0, "split_bps": 0, "accept_until": 0, "review": 0, "resolve": 0, "grace": 0, "meta": "",
        "opened": format!("0x{}", hex::encode([opened; 32])), "opened_height": 1, "closed": null, "cancelled": null, "milestones": [],
    });
    let state: ProjectState = serde_json::from_value(state).unwrap();
    Linked {
        deployment,
        state,
        rows: 0,
    }
}

fn row(key: &str, id: u64, total: u64, client: &str, tx: Option<u8>) -> PlatformProject {
    let cells = [
        ("key", key.to_owned()),
        ("on_chain_id", id.to_string()),
        ("total", total.to_string()),
        ("client", client.to_owned()),
        ("freelancer", BOB.to_owned()),
        ("asset", "stx".to_owned()),
        ("status", "ACTIVE".to_owned()),
    ];
    let mut cells: BTreeMap<_, _> = cells
        .into_iter()
        .map(|(name, text)| (name.to_owned(), Some(text)))
        .collect();
    if let Some(tx) = tx {
        cells.insert("tx_id".to_owned(), Some(hex::encode([tx; 32])));
    }
    PlatformProject::read(Row(cells)).unwrap()
}

fn deployments() -> Vec<Deployment> {
    let of = |n: u32| Deployment {
        contract: format!("d{n}"),
        from_height: n * 100,
    };
    (0..3).map(of).collect()
}

/// Classes with their counts, those of nothing left out.
fn classes(rows: &[PlatformProject], projects: &mut [Linked]) -> Vec<(Class, u64)> {
    let mut counts = Counts::keeping(3);
    weigh(
        rows,
        projects,
        &deployments(),
        &AssetNames::default(),
        &mut counts,
    );
    let all = counts.reports().into_iter().filter(|c| c.count > 0);
    all.map(|c| (c.class, c.count)).collect()
}

#[test]
fn a_number_of_one_deployment_links_and_differences_are_classed() {
    let of = |row: PlatformProject| classes(&[row], &mut [project(0, 1, 50, ANN, 7)]);
    assert_eq!(of(row("a", 1, 50, ANN, None)), [(Class::Linked, 1)]);
    assert_eq!(of(row("a", 1, 51, BOB, None)), [(Class::AmountsDiffer, 1)]);
    assert_eq!(of(row("a", 1, 50, BOB, None)), [(Class::PartiesDiffer, 1)]);
    let nowhere = classes(&[row("a", 1, 50, ANN, None)], &mut []);
    assert_eq!(nowhere, [(Class::PointsNowhere, 1)]);
    let twice = [row("a", 1, 50, ANN, None), row("b", 1, 50, ANN, None)];
    assert_eq!(
        classes(&twice, &mut [project(0, 1, 50, ANN, 7)]),
        [(Class::Twice, 2)]
    );
}

#[test]
fn deployments_are_told_apart_by_the_transaction_then_by_the_terms() {
    let both = || [project(0, 1, 50, ANN, 7), project(1, 1, 50, BOB, 8)];
    let mut projects = both();
    // Its terms are those of the first; its transaction opened the second.
    let by_tx = classes(&[row("a", 1, 50, ANN, Some(8))], &mut projects);
    assert_eq!(by_tx, [(Class::PartiesDiffer, 1)]);
    assert_eq!((projects[0].rows, projects[1].rows), (0, 1));
    let mut projects = both();
    assert_eq!(
        classes(&[row("a", 1, 50, BOB, None)], &mut projects),
        [(Class::Linked, 1)]
    );
    assert_eq!((projects[0].rows, projects[1].rows), (0, 1));
    let mut same = [project(0, 1, 50, ANN, 7), project(1, 1, 50, ANN, 8)];
    assert_eq!(
        classes(&[row("a", 1, 50, ANN, None)], &mut same),
        [(Class::Ambiguous, 1)]
    );
}

proptest! {
    /// Every row is counted once, and every project has as many rows as were counted for it.
    #[test]
    fn nothing_is_lost_and_nothing_counted_twice(
        rows in prop::collection::vec((0u64..3, 0u8..2, prop::option::of(0u8..4)), 0..8),
        there in prop::collection::vec((0u64..3, 0u8..2), 0..3),
    ) {
        let who = |n: u8| if n == 0 { ANN } else { BOB };
        let rows: Vec<_> = rows
            .iter()
            .enumerate()
            .map(|(n, (total, client, tx))| row(&n.to_string(), 1, *total, who(*client), *tx))
            .collect();
        let mut projects: Vec<_> = (0u8..)
            .zip(&there)
            .map(|(n, (total, client))| project(usize::from(n), 1, *total, who(*client), n))
            .collect();
        let counted: u64 = classes(&rows, &mut projects).iter().map(|(_, n)| n).sum();
        prop_assert_eq!(counted, u64::try_from(rows.len()).unwrap());
        let meant: u64 = projects.iter().map(|p| p.rows).sum();
        prop_assert!(meant <= counted);
    }
}
