//! Single answers: blocks, transactions, events, contracts, states, status and health.

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};

use super::{Bed, CONTRACT, OTHER, hash, send};

#[tokio::test]
async fn blocks_of_every_fork_are_found_and_told_apart() {
    let Some(bed) = Bed::new("blocks").await else {
        return;
    };
    let latest = bed.get("/v1/blocks/latest").await;
    assert_eq!(latest.json["data"]["index_block_hash"], hash("a6"));
    assert_eq!(latest.json["data"]["mirrored_events"], 5);
    assert_eq!(latest.json["data"]["finality"], "seen");
    assert_eq!(
        latest.json["as_of"],
        json!({
            "index_block_hash": hash("a6"), "height": 6, "time": 1_700_000_006, "finality": "seen",
            "burn_height": 108, "finality_height": 2,
            "digest": hash("digesta6"), "generation": 0
        })
    );
    for (id, finality) in [("2", json!("final")), ("3", json!("burn_5"))] {
        assert_eq!(
            bed.get(&format!("/v1/blocks/{id}")).await.json["data"]["finality"],
            finality
        );
    }
    let side = bed.get(&format!("/v1/blocks/{}", hash("b5"))).await;
    assert_eq!(side.json["data"]["canonical"], false);
    assert_eq!(side.json["data"]["finality"], Value::Null);
    assert_eq!(side.json["data"]["parent_index_block_hash"], hash("a4"));
    assert_eq!(bed.get("/v1/blocks/7").await.code(), "not_found");
    assert_eq!(
        bed.get(&format!("/v1/blocks/{}", hash("x"))).await.code(),
        "not_found"
    );
    bed.finish().await;
}

#[tokio::test]
async fn finality_is_found_wherever_the_border_lies() {
    let Some(bed) = Bed::new("border").await else {
        return;
    };
    // The seed's sortitions: 100, 102, 103, 105, 106, 108.
    for (burn, expected) in [
        (108, 2),
        (109, 3),
        (110, 3),
        (111, 4),
        (112, 5),
        (114, 6),
        (999, 6),
    ] {
        let statement = format!(
            "delete from burn_block; insert into burn_block (hash, height, inbox_id) values (h('x'), {burn}, 1)"
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement))
            .execute(&bed.writer)
            .await
            .unwrap();
        let as_of = bed.get("/v1/blocks/latest").await.json["as_of"].clone();
        assert_eq!(as_of["finality_height"], expected, "Bitcoin at {burn}");
    }
    // A gap in the chain, and a chain of which nothing is final yet.
    bed.sql("delete from canonical where height in (3, 4); update burn_block set height = 111")
        .await;
    assert_eq!(
        bed.get("/v1/blocks/latest").await.json["as_of"]["finality_height"],
        4
    );
    bed.sql("update block set burn_block_height = 108; update burn_block set height = 113")
        .await;
    let as_of = bed.get("/v1/blocks/latest").await.json["as_of"].clone();
    assert_eq!(as_of["finality_height"], Value::Null);
    bed.finish().await;
}

#[tokio::test]
async fn a_transaction_is_told_with_all_its_forks() {
    let Some(bed) = Bed::new("transaction").await else {
        return;
    };
    let path = format!("/v1/transactions/{}", hash("txa5.0"));
    let before = bed.get(&path).await;
    assert_eq!(before.json["data"]["canonical"]["status"], "success");
    assert_eq!(
        before.json["data"]["canonical"]["nonce"],
        "18446744073709551615"
    );
    assert_eq!(before.json["data"]["canonical"]["raw_tx"], "0x8080");
    assert_eq!(
        before.json["data"]["other_forks"][0]["index_block_hash"],
        hash("b5")
    );
    assert_eq!(
        before.json["data"]["other_forks"][0]["status"],
        "abort_by_response"
    );
    bed.switch().await;
    let after = bed.get(&path).await;
    assert_eq!(
        after.json["data"]["canonical"]["index_block_hash"],
        hash("b5")
    );
    assert_eq!(
        after.json["data"]["other_forks"][0]["index_block_hash"],
        hash("a5")
    );
    let left = bed
        .get(&format!("/v1/transactions/{}", hash("txa6.0")))
        .await;
    assert_eq!(left.json["data"]["standing"], "other_forks");
    assert_eq!(
        left.json["data"]["mempool"]["first_seen"],
        "2026-01-02T03:04:05.000Z"
    );
    for (name, standing) in [("waiting", "mempool"), ("dropped", "dropped")] {
        let reply = bed.get(&format!("/v1/transactions/{}", hash(name))).await;
        assert_eq!(reply.json["data"]["standing"], standing);
        assert_eq!(reply.header("etag"), "");
    }
    assert_eq!(
        bed.get(&format!("/v1/transactions/{}", hash("x")))
            .await
            .code(),
        "not_found"
    );
    assert_eq!(
        bed.get(&format!("/v1/transactions/{}/events", hash("txa6.0")))
            .await
            .code(),
        "not_found"
    );
    bed.finish().await;
}

#[tokio::test]
async fn filters_choose_events() {
    let Some(bed) = Bed::new("filters").await else {
        return;
    };
    let events = |query: String| {
        let bed = &bed;
        async move { bed.get(&format!("/v1/events?{query}")).await }
    };
    assert_eq!(
        events(format!("contract={CONTRACT}")).await.heights(),
        [6, 5, 4, 3, 2, 1]
    );
    assert_eq!(
        events("topic=funded&order=asc".into()).await.heights(),
        [2, 4, 6]
    );
    assert_eq!(
        events(format!(
            "contract={OTHER}&type=ft_transfer_event&from_height=2&to_height=3"
        ))
        .await
        .heights(),
        [3, 2]
    );
    assert_eq!(
        events(format!("txid={}", hash("txa3.0")))
            .await
            .column("ordinal"),
        [2, 1, 0]
    );
    assert_eq!(
        events("contract=SP1.nobody".into()).await.heights(),
        [0u64; 0]
    );
    let one = events(format!("txid={}&order=asc", hash("txa3.0"))).await;
    assert_eq!(
        one.json["data"][0]["value"],
        json!({"hex": "0x0c00000000", "decoded": {"type": "tuple"}})
    );
    assert_eq!(
        one.json["data"][1]["amount"],
        "340282366920938463463374607431768211455"
    );
    assert_eq!(one.json["data"][1]["memo"], "0x6d656d6f");
    assert_eq!(
        one.json["data"][2]["asset_identifier"],
        format!("{OTHER}::badge")
    );
    let novel = events("type=other_event&limit=1".into()).await;
    assert_eq!(novel.json["data"][0]["other"], json!({"novel": [1]}));
    bed.finish().await;
}

#[tokio::test]
async fn filters_choose_transactions_and_blocks() {
    let Some(bed) = Bed::new("filters_more").await else {
        return;
    };
    let transactions = |query: String| {
        let bed = &bed;
        async move { bed.get(&format!("/v1/transactions?{query}")).await }
    };
    let found = transactions(format!("contract={CONTRACT}&from_height=5")).await;
    assert_eq!(found.heights(), [6, 5]);
    assert_eq!(found.json["data"][0].get("raw_tx"), None);
    assert_eq!(
        transactions("status=abort_by_response".into())
            .await
            .heights(),
        [0u64; 0]
    );
    assert_eq!(
        transactions("kind=contract_call&to_height=1".into())
            .await
            .heights(),
        [1, 1]
    );
    bed.switch().await;
    assert_eq!(
        transactions("status=abort_by_response".into())
            .await
            .heights(),
        [7, 6, 5]
    );
    assert_eq!(
        bed.get("/v1/blocks?from_height=2&to_height=3&order=asc")
            .await
            .heights(),
        [2, 3]
    );
    bed.finish().await;
}

#[tokio::test]
async fn states_are_told_for_any_canonical_block() {
    let Some(bed) = Bed::new("travel").await else {
        return;
    };
    let path = format!("/v1/contracts/{CONTRACT}");
    let now = bed.get(&path).await;
    assert_eq!(
        now.json["data"]["cursor"]["state"],
        json!({"seq": "6", "fork": "a"})
    );
    assert_eq!(now.json["data"]["followed"], true);
    for at in ["3".to_owned(), hash("a3")] {
        let then = bed.get(&format!("{path}?at_block={at}")).await;
        assert_eq!(then.json["data"]["cursor"]["state"]["seq"], "3");
        assert_eq!(then.json["as_of"]["index_block_hash"], hash("a3"));
        let cursor = bed.get(&format!("{path}/cursor?at_block={at}")).await;
        assert_eq!(cursor.json["data"]["index_block_hash"], hash("a3"));
    }
    let token = bed.get(&format!("/v1/contracts/{OTHER}")).await;
    assert_eq!(token.json["data"]["activity"]["tx_index"], 1);
    assert_eq!(token.json["data"]["activity"]["ordinal"], 1);
    assert_eq!(token.json["data"]["followed"], false);
    let history = bed
        .get(&format!(
            "/v1/projections/contract_cursor/{CONTRACT}/history?at_block=4"
        ))
        .await;
    assert_eq!(history.heights(), [4, 3, 2, 1]);
    let side = bed.get(&format!("{path}?at_block={}", hash("b6"))).await;
    assert_eq!((side.status.as_u16(), side.code()), (409, "fork_changed"));
    assert_eq!(side.json["common_ancestor"]["height"], 4);
    assert_eq!(
        bed.get(&format!("{path}?at_block=9")).await.code(),
        "not_found"
    );
    let states = bed
        .get("/v1/projections/transfers?limit=1&at_block=3")
        .await;
    assert_eq!(states.json["data"][0]["state"]["block"], "a3");
    assert_eq!(bed.get("/v1/projections/none").await.code(), "not_found");
    assert_eq!(
        bed.get("/v1/projections/transfers/none").await.code(),
        "not_found"
    );
    assert_eq!(
        bed.get("/v1/contracts/SP1.nobody").await.code(),
        "not_found"
    );
    assert_eq!(
        bed.get(&format!("/v1/contracts/{OTHER}/cursor"))
            .await
            .code(),
        "not_found"
    );
    bed.finish().await;
}

#[tokio::test]
async fn a_current_copy_is_not_sent_again() {
    let Some(bed) = Bed::new("etag").await else {
        return;
    };
    let ask = |path: &'static str, tag: String| {
        let request = Request::get(path)
            .header("if-none-match", tag)
            .body(Body::empty())
            .unwrap();
        send(&bed.router, request)
    };
    let mut tags = Vec::new();
    for change in [
        "select 1",
        "select test_extend()",
        "insert into burn_block (hash, height, inbox_id) values (h('new'), 109, 1)",
        "update block set digest = h('re-indexed') where id = 7",
        "update mirror set generation = 1",
    ] {
        bed.sql(change).await;
        let fresh = bed.get("/v1/blocks").await;
        let tag = fresh.header("etag").to_owned();
        assert_eq!(fresh.header("cache-control"), "no-cache");
        assert!(!tags.contains(&tag), "{change} must show in the tag");
        let again = ask("/v1/blocks", format!("\"x\", W/{tag}")).await;
        assert_eq!((again.status.as_u16(), again.text.as_str()), (304, ""));
        assert_eq!(again.header("etag"), tag);
        for old in &tags {
            assert_eq!(ask("/v1/blocks", String::clone(old)).await.status, 200);
        }
        tags.push(tag);
    }
    bed.finish().await;
}

#[tokio::test]
async fn status_and_health_tell_what_waits() {
    let Some(bed) = Bed::new("status").await else {
        return;
    };
    let status = bed.get("/v1/status").await.json["data"].clone();
    assert_eq!(status["inbox"]["received"], 1);
    assert_eq!(status["inbox"]["watermark"], 8);
    assert_eq!(status["quarantined"][0]["error"], "no such field");
    assert_eq!(status["quarantined"][0]["endpoint"], "new_burn_block");
    assert_eq!(status["detached"][0]["missing_parent"], hash("c8"));
    assert_eq!(status["mempool"], json!({"seen": 2, "dropped": 1}));
    assert_eq!(status["projections"]["transfers"], 2);
    assert_eq!(status["origin"], hash("a1"));
    assert_eq!(status["follow"]["mirror"], "followed");
    assert_eq!(bed.get("/health/ready").await.json["ready"], true);
    let lag = bed.get("/health/lag").await;
    assert_eq!(
        (lag.status.as_u16(), &lag.json["backlog"]),
        (200, &json!(1))
    );
    // An empty mirror answers, and says that it is empty.
    bed.sql("update mirror set tip_block_id = null; delete from canonical")
        .await;
    assert_eq!(bed.get("/v1/status").await.json["as_of"], Value::Null);
    assert_eq!(bed.get("/v1/events").await.json["data"], json!([]));
    assert_eq!(bed.get("/v1/blocks/latest").await.code(), "not_found");
    assert_eq!(bed.get("/health/ready").await.status, 200);
    // A schema without a mirror in it is not ready.
    bed.sql("delete from mirror").await;
    assert_eq!(bed.get("/v1/status").await.code(), "not_ready");
    assert_eq!(bed.get("/health/ready").await.status, 503);
    bed.finish().await;
}

#[tokio::test]
async fn a_panic_is_a_problem_of_its_own_request_only() {
    let Some(bed) = Bed::new("panic").await else {
        return;
    };
    bed.sql("update event set value = '\\xff' where kind = 1 and height = 2")
        .await;
    let reply = bed.get("/v1/events?topic=funded").await;
    assert_eq!((reply.status.as_u16(), reply.code()), (500, "internal"));
    assert!(!reply.text.contains("decoder"));
    assert_eq!(bed.get("/v1/events?topic=created").await.status, 200);
    bed.finish().await;
}
