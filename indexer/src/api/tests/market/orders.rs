//! On which block an answer stands, and in which order projects come.

use serde_json::{Value, json};

use super::super::pages::walk;
use super::super::{Bed, hash};
use super::seed::{TOKEN, who};
use super::{fair, ids};

/// The height and finality on which an answer to this query stands, or the problem's code.
async fn stands(bed: &Bed, path: &str, query: &str) -> String {
    let reply = bed.get(&format!("{path}?{query}")).await;
    if reply.status != 200 {
        return reply.code().to_owned();
    }
    let as_of = &reply.json["as_of"];
    format!(
        "{} {}",
        as_of["height"],
        as_of["finality"].as_str().unwrap()
    )
}

#[tokio::test]
async fn an_answer_stands_on_a_time_or_a_depth() {
    let Some(bed) = fair("market_standing").await else {
        return;
    };
    // Block n has time 1700000000 + n; the sortitions are 100, 102, 103, 105, 106, 108, and Bitcoin is at 108.
    for (query, expected) in [
        ("", "6 seen"),
        ("at_time=1700000004", "4 burn_3"),
        ("at_time=2023-11-14T22:13:24Z", "4 burn_3"),
        ("at_time=2023-11-14T23:13:24.5%2B01:00", "4 burn_3"),
        ("at_time=1800000000", "6 seen"),
        ("at_time=1700000000", "not_found"),
        ("at_time=yesterday", "invalid_parameter"),
        ("at_time=1700000004&at_block=4", "invalid_parameter"),
        ("min_finality=seen", "6 seen"),
        ("min_finality=burn_1", "5 burn_2"),
        ("min_finality=burn_2", "5 burn_2"),
        ("min_finality=burn_3", "4 burn_3"),
        ("min_finality=final", "2 final"),
        ("min_finality=burn_9", "not_found"),
        ("min_finality=deep", "invalid_parameter"),
        ("min_finality=final&at_block=5", "2 final"),
        ("min_finality=final&at_block=1", "1 final"),
        ("min_finality=burn_2&at_time=1700000003", "3 burn_5"),
    ] {
        for path in [
            "/v1/projects",
            "/v1/blocks",
            "/v1/events",
            "/v1/transactions",
            "/v1/stats/fees",
        ] {
            assert_eq!(stands(&bed, path, query).await, expected, "{path}?{query}");
        }
    }
    let blocks = bed.get("/v1/blocks?min_finality=burn_3").await;
    assert_eq!(blocks.heights(), [4, 3, 2, 1]);
    let projects = bed.get("/v1/projects?at_time=1700000002&status=open").await;
    assert_eq!(ids(&projects).len(), 12);
    // A block of another fork has a time, too, and is not found by it.
    bed.switch().await;
    let block = bed.get("/v1/projects?at_time=1700000005").await;
    assert_eq!(block.json["as_of"]["index_block_hash"], hash("b5"));
    bed.finish().await;
}

#[tokio::test]
async fn projects_come_in_every_order() {
    let Some(bed) = fair("market_orders").await else {
        return;
    };
    // Project 13 came in a6; 1 changed last in a5, 2 in a3.
    let opened: Vec<u64> = (1..=13).collect();
    let back: Vec<u64> = opened.iter().rev().copied().collect();
    let mut changed = vec![13, 1, 2];
    changed.extend((3..=12).rev());
    for (query, expected) in [
        ("sort=opened&order=asc", opened.clone()),
        ("sort=opened", back.clone()),
        ("sort=updated", changed.clone()),
        (
            "sort=updated&order=asc",
            changed.iter().rev().copied().collect(),
        ),
        ("sort=total&order=asc", opened.clone()),
        ("sort=total", back.clone()),
        ("sort=id", opened.clone()),
        ("order=desc", back.clone()),
    ] {
        let page = bed.get(&format!("/v1/projects?{query}")).await;
        assert_eq!(ids(&page), expected, "{query}: {}", page.text);
        // The same, by the way of someone's few projects, page by page.
        for (name, among) in [
            (
                "client",
                back.iter()
                    .filter(|n| *n % 2 == 1)
                    .copied()
                    .collect::<Vec<_>>(),
            ),
            ("participant", (1..=6).collect()),
        ] {
            let whom = if name == "client" { who(1) } else { who(2) };
            let path = format!("/v1/projects?{query}&{name}={whom}&limit=2");
            let told: Vec<u64> = walk(&bed, &path, "id")
                .await
                .iter()
                .map(|v| v.as_u64().unwrap())
                .collect();
            let wanted: Vec<u64> = expected
                .iter()
                .filter(|n| among.contains(n))
                .copied()
                .collect();
            assert_eq!(told, wanted, "{path}");
        }
    }
    bed.finish().await;
}

#[tokio::test]
async fn projects_are_chosen_by_time_and_amount() {
    let Some(bed) = fair("market_ranges").await else {
        return;
    };
    bed.run(format!(
        "update projection_version set state = jsonb_set(state, '{{total}}', '\"{}\"') where projection = 10 and entity like '%/7'",
        u128::MAX
    ))
    .await;
    let most = u128::MAX.to_string();
    let all_but = |one: u64| (1..=13).filter(|n| *n != one).collect::<Vec<u64>>();
    for (query, expected) in [
        ("opened_from_height=3".to_owned(), vec![13]),
        ("opened_to_height=5".into(), (1..=12).collect()),
        ("opened_from_height=3&opened_to_height=5".into(), vec![]),
        ("opened_from=1700000006".into(), vec![13]),
        ("opened_from=1700000007".into(), vec![]),
        ("opened_to=1700000005".into(), (1..=12).collect()),
        (
            "opened_from=2023-11-14T22:13:22Z&opened_to=2023-11-14T22:13:22Z".into(),
            (1..=12).collect(),
        ),
        ("opened_to=0".into(), vec![]),
        ("min_total=5001".into(), vec![7]),
        (format!("min_total={most}&max_total={most}"), vec![7]),
        ("max_total=5000".into(), all_but(7)),
        ("max_total=4999".into(), vec![]),
        (format!("participant={}", who(3)), vec![3, 6, 9, 12]),
        (format!("participant={}&asset={TOKEN}", who(11)), vec![4, 8]),
        (format!("participant={}", who(99)), vec![]),
    ] {
        for order in ["", "&sort=opened&order=asc", "&sort=updated", "&sort=total"] {
            let page = bed.get(&format!("/v1/projects?{query}{order}")).await;
            assert_eq!(page.status, 200, "{query}{order}: {}", page.text);
            let mut told = ids(&page);
            if order == "&sort=total" && told.contains(&7) {
                assert_eq!(told[0], 7, "the greatest comes first");
            }
            told.sort_unstable();
            assert_eq!(told, expected, "{query}{order}");
        }
    }
    for query in [
        "min_total=-1",
        "max_total=x",
        "opened_from=x",
        "sort=name",
        "participant=bob",
        "opened_from_height=-1",
    ] {
        let page = bed.get(&format!("/v1/projects?{query}")).await;
        let name = query.split_once('=').unwrap().0;
        assert_eq!(
            (page.code(), &page.json["parameter"]),
            ("invalid_parameter", &json!(name)),
            "{query}"
        );
    }
    bed.finish().await;
}

/// A filter that nobody passes: the page looks at so many and no more, and the walk still comes to its end.
#[tokio::test]
async fn a_page_looks_at_so_many_and_goes_on() {
    let Some(bed) = fair("market_window").await else {
        return;
    };
    // Six thousand more projects, of which the last one alone is paid for by somebody else.
    bed.run(format!(
        "insert into projection_version
             select 200000 + n, 10, 6, 6, (1000 + n)::bigint << 32, split_part(v.entity, '/', 1) || '/' || (100 + n),
                    v.state || jsonb_build_object('id', 100 + n, 'opened_height', 6, 'status', 'open',
                        'asset', case when n = 6000 then 'STX' else '{TOKEN}' end)
             from projection_version v cross join generate_series(1, 6000) n
             where v.projection = 10 and v.entity like '%/13' and v.block_id = 6;
         select test_canonical('{{1,2,3,4,5,6}}');"
    ))
    .await;
    for order in [
        "sort=id&order=asc",
        "sort=opened&order=asc",
        "sort=updated&order=asc",
        "sort=total&order=asc",
    ] {
        let path = format!("/v1/projects?{order}&asset=stx&limit=50");
        let first = bed.get(&path).await;
        let (early, next) = (ids(&first), first.next().to_owned());
        assert!(!next.is_empty() && early.len() < 50, "{order}: {early:?}");
        let all: Vec<Value> = walk(&bed, &path, "id").await;
        assert_eq!(all.len(), 12, "{order}: {all:?}");
        assert_eq!(all.last(), Some(&json!(6_100)), "{order}");
    }
    bed.finish().await;
}
