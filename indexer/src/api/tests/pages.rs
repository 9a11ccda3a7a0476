//! Walking pages: over new blocks, over forks, and with cursors that belong elsewhere.

use super::{Bed, CONTRACT, OTHER, hash};

/// Reads every page behind `path`, doing `between` after the first.
pub(super) async fn walk(bed: &Bed, path: &str, field: &str) -> Vec<serde_json::Value> {
    let mut rows = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = bed.get(&format!("{path}{cursor}")).await;
        assert_eq!(page.status, 200, "{path}: {}", page.text);
        rows.extend(page.column(field));
        if page.next().is_empty() {
            return rows;
        }
        cursor = format!("&cursor={}", page.next());
    }
}

#[tokio::test]
async fn pages_join_to_the_whole_in_both_directions() {
    let Some(bed) = Bed::new("joined").await else {
        return;
    };
    for (path, field) in [
        ("/v1/blocks", "index_block_hash"),
        ("/v1/transactions", "txid"),
        ("/v1/events", "ordinal"),
        (
            "/v1/projections/contract_cursor/ST1PQHQKV0RJXZFY1DGX8MNSNYVE3VGZJSRTPGZGM.freelance-logic/history",
            "height",
        ),
    ] {
        let whole = bed.get(&format!("{path}?order=asc")).await.column(field);
        let ascending = walk(&bed, &format!("{path}?order=asc&limit=2"), field).await;
        let mut descending = walk(&bed, &format!("{path}?limit=4"), field).await;
        descending.reverse();
        assert!(whole.len() >= 6, "{path}");
        assert_eq!(ascending, whole, "{path}");
        assert_eq!(descending, whole, "{path}");
    }
    let contracts = walk(&bed, "/v1/contracts?limit=1", "id").await;
    assert_eq!(
        contracts,
        [
            CONTRACT,
            &CONTRACT.replace("freelance-logic", "quiet"),
            OTHER
        ]
    );
    bed.finish().await;
}

#[tokio::test]
async fn a_walk_is_one_state_although_blocks_arrive() {
    let Some(bed) = Bed::new("steady").await else {
        return;
    };
    let first = bed.get("/v1/blocks?order=asc&limit=4").await;
    bed.extend().await;
    let second = bed
        .get(&format!(
            "/v1/blocks?order=asc&limit=4&cursor={}",
            first.next()
        ))
        .await;
    assert_eq!(second.heights(), [5, 6]);
    assert_eq!(second.json["as_of"]["index_block_hash"], hash("a6"));
    assert_eq!(second.json["as_of"]["digest"], hash("digesta6"));
    assert_eq!(
        bed.get("/v1/blocks?order=asc&from_height=6")
            .await
            .heights(),
        [6, 7]
    );
    bed.finish().await;
}

#[tokio::test]
async fn a_fork_under_a_walk_is_a_conflict_that_names_the_ancestor() {
    let Some(bed) = Bed::new("forked").await else {
        return;
    };
    let paths = [
        "/v1/blocks?limit=2".to_owned(),
        "/v1/transactions?limit=2".to_owned(),
        format!("/v1/events?limit=2&contract={OTHER}"),
        "/v1/contracts?limit=1".to_owned(),
        format!("/v1/projections/contract_cursor/{CONTRACT}/history?limit=2"),
        format!("/v1/transactions/{}/events?limit=1", hash("txa6.0")),
    ];
    let mut cursors = Vec::new();
    for path in &paths {
        cursors.push(bed.get(path).await.next().to_owned());
    }
    bed.switch().await;
    for (path, cursor) in paths.iter().zip(&cursors) {
        let page = bed.get(&format!("{path}&cursor={cursor}")).await;
        assert_eq!(
            (page.status.as_u16(), page.code()),
            (409, "fork_changed"),
            "{path}"
        );
        assert_eq!(
            page.json["common_ancestor"]["index_block_hash"],
            hash("a4"),
            "{path}"
        );
        assert_eq!(page.json["common_ancestor"]["height"], 4);
        assert_eq!(page.header("content-type"), "application/problem+json");
    }
    assert_eq!(bed.get("/v1/blocks?limit=3").await.heights(), [7, 6, 5]);
    bed.finish().await;
}

#[tokio::test]
async fn a_fork_above_the_cursors_block_does_not_disturb() {
    let Some(bed) = Bed::new("above").await else {
        return;
    };
    let path = format!("/v1/projections/contract_cursor/{CONTRACT}/history?at_block=4&limit=2");
    let first = bed.get(&path).await;
    assert_eq!(first.heights(), [4, 3]);
    assert_eq!(first.json["as_of"]["index_block_hash"], hash("a4"));
    bed.switch().await;
    let second = bed.get(&format!("{path}&cursor={}", first.next())).await;
    assert_eq!(
        (second.status.as_u16(), second.heights()),
        (200, vec![2, 1])
    );
    let state = bed
        .get(&format!(
            "/v1/projections/transfers/{}?at_block=4",
            entity()
        ))
        .await;
    assert_eq!(state.json["data"]["state"]["block"], "a4");
    // A cursor made at a4, before the chain grew into either fork.
    bed.sql("select test_canonical('{1,2,3,4}')").await;
    let path = "/v1/blocks?limit=3";
    let cursor = bed.get(path).await.next().to_owned();
    bed.sql("select test_canonical('{1,2,3,4,15,16,17}')").await;
    let page = bed.get(&format!("{path}&cursor={cursor}")).await;
    assert_eq!((page.status.as_u16(), page.heights()), (200, vec![1]));
    bed.finish().await;
}

/// An entity whose key needs every kind of percent-encoding.
fn entity() -> &'static str {
    "ST2CY5V39NHDPWSXMW9QDT3HC3GD6Q6XX4CFRK9AG%7Cstx%2F%C2%B5"
}

#[tokio::test]
async fn a_cursor_serves_only_the_question_that_made_it() {
    let Some(bed) = Bed::new("foreign").await else {
        return;
    };
    let cursor = bed.get("/v1/events?limit=1").await.next().to_owned();
    for path in [
        format!("/v1/events?topic=created&cursor={cursor}"),
        format!("/v1/events?order=asc&cursor={cursor}"),
        format!("/v1/transactions?cursor={cursor}"),
        format!("/v1/events?cursor={}", &cursor[..cursor.len() - 2]),
        "/v1/events?cursor=boom".to_owned(),
        "/v1/events?cursor=".to_owned(),
        "/v1/reorgs?cursor=boom".to_owned(),
    ] {
        let page = bed.get(&path).await;
        assert_eq!(
            (page.status.as_u16(), page.code()),
            (400, "bad_cursor"),
            "{path}"
        );
    }
    // Another page size is the same question.
    assert_eq!(
        bed.get(&format!("/v1/events?limit=200&cursor={cursor}"))
            .await
            .status,
        200
    );
    // A mirror that has not seen the cursor's block: behind, or another chain altogether.
    bed.extend().await;
    let cursor = bed.get("/v1/blocks?limit=1").await.next().to_owned();
    bed.sql("select test_canonical('{1,2,3,4,5,6}'); delete from block where id = 7")
        .await;
    let page = bed
        .get(&format!("/v1/blocks?limit=1&cursor={cursor}"))
        .await;
    assert_eq!((page.status.as_u16(), page.code()), (503, "not_ready"));
    bed.finish().await;
}

#[tokio::test]
async fn reorgs_are_a_list_that_outlives_forks() {
    let Some(bed) = Bed::new("reorgs").await else {
        return;
    };
    assert_eq!(
        bed.get("/v1/reorgs").await.json["data"],
        serde_json::json!([])
    );
    bed.switch().await;
    bed.sql("insert into reorg select 2, at, 'burn', null, null, new_tip, 7, old_tip, 6, 7, true from reorg; update mirror set generation = 2")
        .await;
    let first = bed.get("/v1/reorgs?limit=1").await;
    assert_eq!(first.json["data"][0]["generation"], 2);
    assert_eq!(
        first.json["data"][0]["common_ancestor"],
        serde_json::Value::Null
    );
    bed.sql("select test_canonical('{1,2,3,4,5,6}')").await;
    let second = bed
        .get(&format!("/v1/reorgs?limit=1&cursor={}", first.next()))
        .await;
    assert_eq!(second.json["data"][0]["at"], "2026-01-02T03:04:05.678Z");
    assert_eq!(
        second.json["data"][0]["common_ancestor"]["index_block_hash"],
        hash("a4")
    );
    assert!(second.next().is_empty());
    bed.finish().await;
}
