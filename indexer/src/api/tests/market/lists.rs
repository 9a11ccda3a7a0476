//! Pages: filters, order, walks, time travel, forks, and parameters that are not valid.

use std::collections::BTreeSet;

use serde_json::json;

use super::super::pages::walk;
use super::super::{OTHER, hash};
use super::seed::{SECOND, TOKEN, escrow, second, who};
use super::{fair, ids};
use crate::project::market::testing::contract;

/// Every list, with what tells its rows apart.
const LISTS: [(&str, &str, usize); 16] = [
    ("/v1/projects?", "id", 13),
    ("/v1/badges?", "id", 3),
    ("/v1/governance/actions?", "id", 2),
    ("/v1/governance/signers?", "contract", 1),
    ("/v1/assets?", "asset", 2),
    ("/v1/treasury?", "treasury", 2),
    ("/v1/settings?", "topic", 6),
    ("/v1/projects?sort=opened&", "id", 13),
    ("/v1/projects?sort=opened&order=asc&", "id", 13),
    ("/v1/projects?sort=updated&", "id", 13),
    ("/v1/projects?sort=updated&order=asc&", "id", 13),
    ("/v1/projects?sort=total&", "id", 13),
    ("/v1/projects?order=desc&", "id", 13),
    ("/v1/settlements?", "project", 2),
    ("/v1/profiles?", "user", 1),
    ("/v1/treasury/fees?", "m", 2),
];

#[tokio::test]
async fn projects_come_by_number_and_every_filter_chooses() {
    let Some(bed) = fair("market_filters").await else {
        return;
    };
    let all: Vec<u64> = (1..=13).collect();
    let chosen = |choose: fn(&u64) -> bool| -> Vec<u64> { (1..=13).filter(choose).collect() };
    let (client, freelancer, arbiter) = (who(1), who(2), who(3));
    let unknown = who(99);
    for (query, expected) in [
        (String::new(), all.clone()),
        (format!("client={client}"), chosen(|n| n % 2 == 1)),
        (format!("freelancer={freelancer}"), chosen(|n| *n <= 6)),
        (format!("arbiter={arbiter}"), chosen(|n| n % 3 == 0)),
        (format!("client={unknown}"), vec![]),
        ("status=completed".into(), vec![1]),
        ("status=active".into(), vec![2]),
        ("status=open".into(), chosen(|n| *n > 2)),
        ("status=cancelled".into(), vec![]),
        (format!("asset={TOKEN}"), vec![4, 8]),
        ("asset=stx".into(), chosen(|n| *n != 4 && *n != 8)),
        ("asset=STX&status=open&limit=1".into(), vec![3]),
        (
            format!(
                "client={client}&freelancer={freelancer}&arbiter={arbiter}&asset=stx&status=open"
            ),
            vec![3],
        ),
        (format!("contract={}", escrow()), all),
        (format!("contract={SECOND}.freelance-logic"), vec![]),
    ] {
        let page = bed.get(&format!("/v1/projects?{query}")).await;
        assert_eq!(page.status, 200, "{query}: {}", page.text);
        assert_eq!(ids(&page), expected, "{query}");
    }
    // An address is found however its look-alikes and its case are written.
    let spelled = client.to_lowercase().replacen('s', "S", 1);
    let page = bed.get(&format!("/v1/projects?client={spelled}")).await;
    assert_eq!(ids(&page).len(), 7);
    bed.finish().await;
}

#[tokio::test]
async fn a_common_party_is_found_like_a_rare_one() {
    let Some(bed) = fair("market_common").await else {
        return;
    };
    let path = format!("/v1/projects?client={}&limit=3", who(1));
    let rare = walk(&bed, &path, "id").await;
    // So many versions on another fork that the index of parties is not asked any more.
    bed.run(format!(
        "insert into projection_version select 100000 + n, 10, 16, 6, 1000 + n, '{}/1', '{{\"client\": \"{}\"}}' \
         from generate_series(1, 4100) n",
        escrow(),
        who(1)
    ))
    .await;
    assert_eq!(walk(&bed, &path, "id").await, rare);
    assert_eq!(rare.len(), 7);
    bed.finish().await;
}

#[tokio::test]
async fn the_other_lists_filter_too() {
    let Some(bed) = fair("market_filters_more").await else {
        return;
    };
    let data = contract("freelance-data");
    let badges = contract("freelance-badges");
    let security = contract("freelance-security");
    for (path, expected) in [
        (format!("/v1/badges?owner={}", who(2)), vec![1]),
        (
            format!("/v1/badges?owner={}&at_block=4", who(2)),
            vec![1, 2],
        ),
        (format!("/v1/badges?owner={}", who(99)), vec![]),
        ("/v1/badges?kind=1".into(), vec![1, 3]),
        (format!("/v1/badges?kind=1&owner={}", who(1)), vec![3]),
        (format!("/v1/badges?contract={badges}"), vec![1, 2, 3]),
        (format!("/v1/badges?kind={}", u64::MAX), vec![]),
        ("/v1/governance/actions?status=pending".into(), vec![2]),
        ("/v1/governance/actions?status=executed".into(), vec![1]),
        ("/v1/governance/actions?kind=pause".into(), vec![2]),
        (
            "/v1/governance/actions?kind=none&status=pending".into(),
            vec![],
        ),
        (
            format!("/v1/governance/actions?contract={security}&at_block=3"),
            vec![],
        ),
    ] {
        let page = bed.get(&path).await;
        assert_eq!(page.status, 200, "{path}: {}", page.text);
        assert_eq!(ids(&page), expected, "{path}");
    }
    for (path, field, expected) in [
        (
            format!("/v1/assets?contract={}", escrow()),
            "asset",
            vec![json!(TOKEN), json!("STX")],
        ),
        (
            format!("/v1/assets?contract={SECOND}.freelance-logic"),
            "asset",
            vec![],
        ),
        (
            "/v1/settings?topic=asset-set".into(),
            "key",
            vec![json!(TOKEN), json!("STX")],
        ),
        (
            format!("/v1/settings?contract={security}"),
            "topic",
            vec![json!("budget-set"), json!("genesis")],
        ),
        (format!("/v1/settings?contract={data}"), "topic", vec![]),
        (
            format!("/v1/governance/signers?contract={security}"),
            "contract",
            vec![json!(security)],
        ),
        (
            format!("/v1/treasury?treasury={}", who(8)),
            "treasury",
            vec![json!(who(8))],
        ),
        (
            format!("/v1/treasury?treasury={}", who(99)),
            "treasury",
            vec![],
        ),
    ] {
        let page = bed.get(&path).await;
        assert_eq!(page.status, 200, "{path}: {}", page.text);
        assert_eq!(page.column(field), expected, "{path}");
    }
    bed.finish().await;
}

#[tokio::test]
async fn walks_meet_every_row_once() {
    let Some(bed) = fair("market_walks").await else {
        return;
    };
    second(&bed).await;
    for (path, _, alone) in LISTS {
        let whole = bed.get(path).await;
        let rows = whole.json["data"].as_array().expect("a page").clone();
        assert!(rows.len() >= alone, "{path}: {}", whole.text);
        for limit in [1, 2, 5] {
            let mut walked = Vec::new();
            let mut cursor = String::new();
            loop {
                let page = bed.get(&format!("{path}limit={limit}{cursor}")).await;
                assert_eq!(page.status, 200, "{path}: {}", page.text);
                let found = page.json["data"].as_array().expect("a page");
                assert!(found.len() <= limit, "{path}");
                walked.extend(found.clone());
                if page.next().is_empty() {
                    break;
                }
                cursor = format!("&cursor={}", page.next());
            }
            assert_eq!(walked, rows, "{path} by {limit}");
            let told: BTreeSet<_> = walked.iter().map(ToString::to_string).collect();
            assert_eq!(told.len(), walked.len(), "{path}: a row came twice");
        }
    }
    // Contract by contract, and by number within each: 10 comes behind 9.
    let projects = walk(&bed, "/v1/projects?limit=4", "id").await;
    let (usual, other) = projects.split_at(13);
    assert_eq!(usual, (1..=13).map(|n| json!(n)).collect::<Vec<_>>());
    assert_eq!(other, [json!(1)]);
    let filtered = walk(
        &bed,
        &format!("/v1/projects?limit=2&client={}", who(1)),
        "id",
    )
    .await;
    assert_eq!(filtered, [1, 3, 5, 7, 9, 11, 13, 1].map(|n| json!(n)));
    bed.finish().await;
}

#[tokio::test]
async fn lists_go_back_in_time() {
    let Some(bed) = fair("market_travel").await else {
        return;
    };
    let twelve: Vec<u64> = (1..=12).collect();
    for (query, expected) in [
        ("at_block=1".to_owned(), vec![]),
        ("at_block=2&status=open".into(), twelve.clone()),
        (format!("at_block={}", hash("a3")), twelve.clone()),
        ("at_block=3&status=active".into(), vec![1, 2]),
        ("at_block=4&status=completed".into(), vec![]),
        (
            format!("at_block=5&client={}", who(1)),
            vec![1, 3, 5, 7, 9, 11],
        ),
    ] {
        let page = bed.get(&format!("/v1/projects?{query}")).await;
        assert_eq!(ids(&page), expected, "{query}: {}", page.text);
    }
    let assets = bed.get("/v1/assets?at_block=1").await;
    assert_eq!(assets.column("locked"), ["0", "0"]);
    let before = bed.get("/v1/treasury?at_block=3").await;
    assert_eq!(before.column("fees"), ["0"]);
    assert_eq!(before.json["data"][0]["changed"], json!(null));
    assert_eq!(before.json["data"][0]["budget"]["amount"], "9000");
    // A walk through the past stays there.
    let first = bed.get("/v1/projects?at_block=2&limit=7").await;
    assert_eq!(first.json["as_of"]["height"], 2);
    bed.extend().await;
    let path = format!("/v1/projects?at_block=2&limit=7&cursor={}", first.next());
    let second = bed.get(&path).await;
    assert_eq!(ids(&second), [8, 9, 10, 11, 12]);
    assert!(second.next().is_empty());
    bed.finish().await;
}

#[tokio::test]
async fn a_fork_ends_every_walk_and_changes_every_list() {
    let Some(bed) = fair("market_fork").await else {
        return;
    };
    let mut cursors = Vec::new();
    for (path, ..) in LISTS {
        cursors.push(bed.get(&format!("{path}limit=1")).await.next().to_owned());
    }
    let timeline = "/v1/projects/1/timeline?limit=1";
    let cursor = bed.get(timeline).await.next().to_owned();
    bed.switch().await;
    for ((path, ..), cursor) in LISTS.iter().zip(&cursors).filter(|(_, c)| !c.is_empty()) {
        let page = bed.get(&format!("{path}limit=1&cursor={cursor}")).await;
        assert_eq!(
            (page.status.as_u16(), page.code()),
            (409, "fork_changed"),
            "{path}"
        );
        assert_eq!(page.json["common_ancestor"]["height"], 4, "{path}");
    }
    let page = bed.get(&format!("{timeline}&cursor={cursor}")).await;
    assert_eq!(page.code(), "fork_changed");
    for (query, expected) in [
        ("status=cancelled", vec![3]),
        ("status=completed", vec![]),
        ("status=active", vec![1, 2]),
        ("", (1..=12).collect()),
    ] {
        let page = bed.get(&format!("/v1/projects?{query}")).await;
        assert_eq!(ids(&page), expected, "{query}");
    }
    let held = bed.get(&format!("/v1/badges?owner={}", who(2))).await;
    assert_eq!(ids(&held), [1, 2]);
    assert_eq!(bed.get("/v1/projects/13").await.code(), "not_found");
    let side = bed
        .get(&format!("/v1/projects?at_block={}", hash("a5")))
        .await;
    assert_eq!(side.code(), "fork_changed");
    bed.finish().await;
}

#[tokio::test]
async fn what_is_not_valid_is_named() {
    let Some(bed) = fair("market_refused").await else {
        return;
    };
    let long = "1".repeat(500);
    let beyond = format!("{}0", u128::MAX);
    let cases = [
        ("/v1/projects?client=bob".to_owned(), "client"),
        (format!("/v1/projects?client={}X", who(1)), "client"),
        ("/v1/projects?freelancer=".into(), "freelancer"),
        ("/v1/projects?arbiter=%C2%B5".into(), "arbiter"),
        (format!("/v1/projects?arbiter=S{long}"), "arbiter"),
        ("/v1/projects?status=done".into(), "status"),
        ("/v1/projects?status=OPEN".into(), "status"),
        ("/v1/projects?asset=gold".into(), "asset"),
        (format!("/v1/projects?contract={OTHER}"), "contract"),
        ("/v1/projects?contract=freelance-logic".into(), "contract"),
        ("/v1/projects?owner=x".into(), "owner"),
        ("/v1/projects?limit=201".into(), "limit"),
        ("/v1/projects?at_block=latest".into(), "at_block"),
        ("/v1/projects/one".into(), "id"),
        ("/v1/projects/-1".into(), "id"),
        ("/v1/projects/+1".into(), "id"),
        ("/v1/projects/1.0".into(), "id"),
        ("/v1/projects/%D9%A1".into(), "id"),
        (format!("/v1/projects/{beyond}"), "id"),
        (format!("/v1/projects/{long}/timeline"), "id"),
        ("/v1/projects/1/timeline?order=asc".into(), "order"),
        ("/v1/projects/1?limit=1".into(), "limit"),
        (
            format!("/v1/projects/1?contract={SECOND}.freelance-data"),
            "contract",
        ),
        ("/v1/badges?kind=first".into(), "kind"),
        (format!("/v1/badges?kind={}", u128::MAX), "kind"),
        ("/v1/badges?owner=nobody".into(), "owner"),
        ("/v1/badges/x".into(), "id"),
        ("/v1/governance/actions?status=expired".into(), "status"),
        ("/v1/governance/actions?kind=".into(), "kind"),
        ("/v1/governance/actions/0x1".into(), "id"),
        ("/v1/governance/signers?status=x".into(), "status"),
        ("/v1/profiles/ada".into(), "principal"),
        ("/v1/profiles/%E2%9C%93".into(), "principal"),
        (format!("/v1/profiles/S{long}"), "principal"),
        ("/v1/assets?asset=stx".into(), "asset"),
        ("/v1/treasury?treasury=mine".into(), "treasury"),
        ("/v1/settings?topic=a%00b".into(), "topic"),
        (format!("/v1/settings?topic={long}"), "topic"),
        ("/v1/completeness?contract=x".into(), "contract"),
    ];
    for (path, parameter) in cases {
        let reply = bed.get(&path).await;
        assert_eq!(
            (
                reply.status.as_u16(),
                reply.code(),
                &reply.json["parameter"]
            ),
            (400, "invalid_parameter", &json!(parameter)),
            "{path}: {}",
            reply.text
        );
        assert!(
            !reply.json["expected"]
                .as_str()
                .unwrap_or_default()
                .is_empty(),
            "{path}"
        );
    }
    // A cursor of another list, and of the same list with another filter.
    let cursor = bed.get("/v1/projects?limit=1").await.next().to_owned();
    for path in [
        "/v1/badges?",
        "/v1/projects?status=open&",
        "/v1/projects?at_block=2&",
    ] {
        let reply = bed.get(&format!("{path}cursor={cursor}")).await;
        assert_eq!(
            (reply.status.as_u16(), reply.code()),
            (400, "bad_cursor"),
            "{path}"
        );
    }
    bed.finish().await;
}

#[tokio::test]
async fn lists_of_an_empty_mirror_are_empty() {
    let Some(bed) = fair("market_empty").await else {
        return;
    };
    bed.sql("select test_canonical('{}'); update mirror set tip_block_id = null, origin = null")
        .await;
    for (path, ..) in LISTS {
        let page = bed.get(path).await;
        assert_eq!(
            (page.status.as_u16(), &page.json["data"]),
            (200, &json!([])),
            "{path}"
        );
        assert_eq!(page.json["as_of"], json!(null));
    }
    assert_eq!(bed.get("/v1/projects/1").await.code(), "not_found");
    let verdict = bed.get("/v1/completeness").await;
    assert_eq!(verdict.json["data"]["complete"], false, "{}", verdict.text);
    bed.finish().await;
}
