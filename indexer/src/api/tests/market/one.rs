//! Single things: a project, its timeline, a user, a badge, an action; one deployment and two.

use serde_json::json;

use super::super::hash;
use super::fair;
use super::seed::{SECOND, TOKEN, escrow, second, who};
use crate::project::market::testing::contract;

#[tokio::test]
async fn a_project_is_told_with_its_milestones() {
    let Some(bed) = fair("market_project").await else {
        return;
    };
    let now = bed.get("/v1/projects/1").await;
    let data = &now.json["data"];
    for (field, expected) in [
        ("id", json!(1)),
        ("contract", json!(escrow())),
        ("client", json!(who(1))),
        ("freelancer", json!(who(2))),
        ("arbiter", json!(who(13))),
        ("asset", json!("STX")),
        ("status", json!("completed")),
        ("total", json!("5000")),
        ("paid", json!("4500")),
        ("fees", json!("500")),
        ("refunded", json!("0")),
        ("opened", json!(hash("market2.2"))),
        ("opened_height", json!(2)),
        ("closed", json!(hash("market5.2"))),
    ] {
        assert_eq!(data[field], expected, "{field}: {}", now.text);
    }
    assert_eq!(data["milestones"][0]["payout"], "1800");
    assert_eq!(data["milestones"][1]["amount"], "3000");
    assert_eq!(
        data["changed"],
        json!({"index_block_hash": hash("a5"), "height": 5, "tx_index": 2, "ordinal": 2, "finality": "burn_2"})
    );
    assert_eq!(now.json["as_of"]["index_block_hash"], hash("a6"));
    assert!(!now.header("etag").is_empty());
    for (at, status, paid) in [(2, "open", "0"), (3, "active", "0"), (4, "active", "1800")] {
        let then = bed.get(&format!("/v1/projects/1?at_block={at}")).await;
        assert_eq!(then.json["data"]["status"], status, "{at}");
        assert_eq!(then.json["data"]["paid"], paid, "{at}");
        assert_eq!(then.json["as_of"]["height"], at);
    }
    // Leading zeros are the same number.
    assert_eq!(bed.get("/v1/projects/007").await.json["data"]["id"], 7);
    bed.switch().await;
    let other = bed.get("/v1/projects/3").await;
    assert_eq!(other.json["data"]["status"], "cancelled");
    assert_eq!(other.json["data"]["refunded"], "5000");
    bed.finish().await;
}

#[tokio::test]
async fn a_timeline_is_in_chain_order() {
    let Some(bed) = fair("market_timeline").await else {
        return;
    };
    let whole = bed.get("/v1/projects/1/timeline").await;
    let topics = [
        "project-opened",
        "project-accepted",
        "milestone-settled",
        "milestone-settled",
    ];
    assert_eq!(whole.column("topic"), topics, "{}", whole.text);
    assert_eq!(whole.heights(), [2, 3, 4, 5]);
    let first = &whole.json["data"][0];
    assert_eq!(first["by"], who(9));
    assert_eq!(first["burn_height"], "100");
    assert_eq!(first["index_block_hash"], hash("a2"));
    assert_eq!(first["txid"], hash("market2.2"));
    assert_eq!(
        (&first["tx_index"], &first["ordinal"]),
        (&json!(2), &json!(1))
    );
    assert_eq!(first["finality"], "final");
    assert_eq!(first["data"]["client"], who(1));
    assert_eq!(first["data"]["total"], "5000");
    assert_eq!(whole.json["data"][3]["data"]["payout"], "2700");
    let numbers: Vec<u64> = whole
        .column("seq")
        .iter()
        .map(|seq| seq.as_str().expect("text").parse().expect("a number"))
        .collect();
    assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
    let paged = super::super::pages::walk(&bed, "/v1/projects/1/timeline?limit=3", "seq").await;
    assert_eq!(paged, whole.column("seq"));
    let then = bed.get("/v1/projects/1/timeline?at_block=3").await;
    assert_eq!(then.column("topic"), topics[..2]);
    // Two events of one block, one of each project.
    let second = bed.get("/v1/projects/2/timeline?at_block=3").await;
    assert_eq!(second.column("ordinal"), [1, 1]);
    bed.switch().await;
    let other = bed.get("/v1/projects/3/timeline").await;
    assert_eq!(
        other.column("topic"),
        ["project-opened", "project-cancelled"]
    );
    assert_eq!(other.json["data"][1]["index_block_hash"], hash("b5"));
    assert_eq!(
        bed.get("/v1/projects/1/timeline").await.heights(),
        [2, 3, 4]
    );
    bed.finish().await;
}

#[tokio::test]
async fn an_event_that_was_altered_is_no_timeline() {
    let Some(bed) = fair("market_altered").await else {
        return;
    };
    bed.sql("update event set value = '\\x03' where topic = 'project-accepted'")
        .await;
    let reply = bed.get("/v1/projects/1/timeline").await;
    assert_eq!((reply.status.as_u16(), reply.code()), (500, "internal"));
    assert_eq!(bed.get("/v1/projects/3/timeline").await.status, 200);
    bed.finish().await;
}

#[tokio::test]
async fn a_user_is_told_with_earnings_and_badges() {
    let Some(bed) = fair("market_profile").await else {
        return;
    };
    let path = format!("/v1/profiles/{}", who(2));
    let now = bed.get(&path).await;
    let data = &now.json["data"];
    for (field, expected) in [
        ("contract", json!(contract("freelance-data"))),
        ("user", json!(who(2))),
        ("handle", json!("ada")),
        ("completed", json!(1)),
        ("settled", json!(2)),
        ("rating_sum", json!(5)),
        ("rating_count", json!(1)),
        ("earned", json!({"STX": "5000"})),
        ("more_badges", json!(false)),
    ] {
        assert_eq!(data[field], expected, "{field}: {}", now.text);
    }
    assert_eq!(data["badges"].as_array().map(Vec::len), Some(1));
    assert_eq!(data["badges"][0]["id"], 1);
    let then = bed.get(&format!("{path}?at_block=4")).await;
    assert_eq!(then.json["data"]["earned"], json!({"STX": "2000"}));
    assert_eq!(then.json["data"]["badges"][1]["id"], 2);
    assert_eq!(
        bed.get(&format!("{path}?at_block=1")).await.code(),
        "not_found"
    );
    bed.finish().await;
}

#[tokio::test]
async fn badges_and_actions_are_told_one_by_one() {
    let Some(bed) = fair("market_ones").await else {
        return;
    };
    let badge = bed.get("/v1/badges/2").await;
    assert_eq!(badge.json["data"]["owner"], json!(null));
    assert_eq!(
        badge.json["data"]["revoked"],
        format!("0x{}", "07".repeat(32))
    );
    let before = bed.get("/v1/badges/2?at_block=4").await;
    assert_eq!(before.json["data"]["owner"], who(2));
    assert_eq!(before.json["data"]["minted"], hash("market4.4"));
    let action = bed.get("/v1/governance/actions/1").await;
    assert_eq!(action.json["data"]["kind"], "set-fee");
    assert_eq!(action.json["data"]["args"]["n1"], "500");
    assert_eq!(action.json["data"]["status"], "executed");
    let before = bed.get("/v1/governance/actions/1?at_block=4").await;
    assert_eq!(before.json["data"]["status"], "pending");
    assert_eq!(before.json["data"]["approvals"], json!([who(9)]));
    for path in [
        "/v1/projects/99".to_owned(),
        format!("/v1/projects/{}", u128::MAX),
        "/v1/projects/0".into(),
        "/v1/projects/13?at_block=5".into(),
        "/v1/projects/99/timeline".into(),
        "/v1/projects/1/timeline?at_block=1".into(),
        format!("/v1/projects/1?contract={SECOND}.freelance-logic"),
        "/v1/badges/4".into(),
        "/v1/badges/1?at_block=3".into(),
        "/v1/governance/actions/3".into(),
        format!("/v1/profiles/{}", who(99)),
        format!("/v1/profiles/{}", contract("freelance-logic")),
        format!("/v1/completeness?contract={TOKEN}"),
    ] {
        let reply = bed.get(&path).await;
        assert_eq!(
            (reply.status.as_u16(), reply.code()),
            (404, "not_found"),
            "{path}"
        );
    }
    let missing = bed.get("/v1/projects/99").await;
    assert_eq!(
        missing.json["detail"],
        "there is no project 99 at this block"
    );
    bed.finish().await;
}

#[tokio::test]
async fn two_deployments_are_told_apart() {
    let Some(bed) = fair("market_second").await else {
        return;
    };
    second(&bed).await;
    let other = format!("{SECOND}.freelance-logic");
    for path in [
        "/v1/projects/1",
        "/v1/projects/13",
        "/v1/projects/1/timeline",
    ] {
        let vague = bed.get(path).await;
        assert_eq!(
            (vague.status.as_u16(), vague.code()),
            (400, "invalid_parameter"),
            "{path}"
        );
        assert_eq!(vague.json["parameter"], "contract");
        for named in [&escrow(), &other] {
            assert!(
                vague.text.contains(named.as_str()),
                "{path}: {}",
                vague.text
            );
        }
    }
    for (contract, status) in [(&escrow(), "completed"), (&other, "open")] {
        let one = bed
            .get(&format!("/v1/projects/1?contract={contract}"))
            .await;
        assert_eq!(one.json["data"]["status"], status);
        assert_eq!(one.json["data"]["contract"], *contract);
    }
    let timeline = bed
        .get(&format!("/v1/projects/1/timeline?contract={other}"))
        .await;
    assert_eq!(timeline.heights(), [5]);
    // Before the second one was there, the first is the only one.
    let before = bed.get("/v1/projects/1?at_block=4").await;
    assert_eq!(before.json["data"]["contract"], escrow());
    // The other contracts have one deployment still.
    assert_eq!(bed.get("/v1/badges/1").await.status, 200);
    assert_eq!(
        bed.get(&format!("/v1/profiles/{}", who(2))).await.status,
        200
    );
    let assets = bed.get("/v1/assets").await;
    assert_eq!(assets.column("contract"), [escrow(), escrow(), other]);
    bed.finish().await;
}
