//! Money, signers, settings, and whether anything is missing.

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};

use super::super::{CONTRACT, hash, send};
use super::fair;
use super::seed::{TOKEN, escrow, who};
use crate::project::market::testing::contract;

#[tokio::test]
async fn money_is_told_by_asset() {
    let Some(bed) = fair("market_money").await else {
        return;
    };
    let assets = bed.get("/v1/assets").await;
    let stx = &assets.json["data"][1];
    assert_eq!(stx["violation"], Value::Null);
    // Eleven projects in STX, of which the first has ended.
    for (field, expected) in [
        ("contract", json!(escrow())),
        ("asset", json!("STX")),
        ("enabled", json!(true)),
        ("max", json!(u128::MAX.to_string())),
        ("decimals", json!(6)),
        ("locked", json!("50000")),
        ("deposited", json!("55000")),
        ("paid", json!("4500")),
        ("fees", json!("500")),
        ("received", json!("55000")),
        ("sent", json!("5000")),
        ("projects", json!(11)),
    ] {
        assert_eq!(stx[field], expected, "{field}: {}", assets.text);
    }
    let token = &assets.json["data"][0];
    assert_eq!(
        (&token["asset"], &token["locked"]),
        (&json!(TOKEN), &json!("10000"))
    );
    assert_eq!(token["violation"], Value::Null);
    let treasury = bed.get("/v1/treasury").await;
    let rows = treasury.json["data"].as_array().expect("a page");
    let of = |name: &str| {
        rows.iter()
            .find(|row| row["treasury"] == name)
            .expect("a treasury")
    };
    let receiver = of(&who(8));
    assert_eq!(
        (&receiver["fees"], &receiver["fee_count"]),
        (&json!("500"), &json!(2))
    );
    assert_eq!(receiver["budget"], Value::Null);
    let governed = of(&contract("freelance-security"));
    assert_eq!(
        (&governed["spent"], &governed["asset"]),
        (&json!("70"), &json!("STX"))
    );
    assert_eq!(governed["budget"]["amount"], "9000");
    assert_eq!(governed["budget"]["period"], "144");
    assert_eq!(governed["budget"]["changed"]["height"], 1);
    assert_eq!(governed["changed"]["height"], 5);
    bed.finish().await;
}

#[tokio::test]
async fn signers_and_settings_are_told() {
    let Some(bed) = fair("market_settings").await else {
        return;
    };
    let signers = bed.get("/v1/governance/signers").await;
    let row = &signers.json["data"][0];
    assert_eq!(row["contract"], contract("freelance-security"));
    assert_eq!(row["signers"], json!([who(5), who(6)]));
    assert_eq!(
        (&row["epoch"], &row["critical"], &row["routine"]),
        (&json!(1), &json!(3), &json!(2))
    );
    let fee = bed.get("/v1/settings?topic=fee-set").await;
    let row = &fee.json["data"][0];
    assert_eq!(row["contract"], escrow());
    assert_eq!(row["key"], Value::Null);
    assert_eq!(row["value"], json!({"old": "500", "new": "1000"}));
    assert_eq!(row["txid"], hash("market1.2"));
    let kind = bed.get("/v1/settings?topic=kind-set").await;
    assert_eq!(kind.column("key"), ["1"]);
    bed.finish().await;
}

#[tokio::test]
async fn completeness_names_what_is_missing() {
    let Some(bed) = fair("market_complete").await else {
        return;
    };
    let verdict = bed.get("/v1/completeness").await;
    let data = &verdict.json["data"];
    // The seed follows a contract that has printed nothing, and begins behind genesis.
    assert_eq!(data["complete"], false);
    assert_eq!(
        data["origin"],
        json!({"index_block_hash": hash("a1"), "height": 1, "genesis": false})
    );
    assert_eq!(data["unrecognised"], 1);
    let contracts = data["contracts"].as_array().expect("contracts");
    let names: Vec<_> = contracts
        .iter()
        .map(|c| c["contract"].as_str().expect("text"))
        .collect();
    let market =
        ["badges", "data", "logic", "security"].map(|n| contract(&format!("freelance-{n}")));
    assert_eq!(names[..4], market);
    assert_eq!(names[4..], [CONTRACT]);
    assert_eq!(contracts[4]["chain"], Value::Null);
    assert_eq!(contracts[4]["complete"], false);
    let gaps = data["gaps"].as_array().expect("gaps");
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    for one in &contracts[..4] {
        assert_eq!(
            (&one["complete"], &one["chain"]["from_seq"]),
            (&json!(true), &json!("1"))
        );
        assert_eq!(one["chain"]["breaks"], 0);
    }
    let logic = &contracts[2];
    assert_eq!(logic["proof"]["verdict"], "proved");
    assert_eq!(logic["proof"]["seq"], logic["chain"]["seq"]);
    assert_eq!(logic["proof"]["checked_at"], "2026-01-02T03:04:06.000Z");
    assert_eq!(logic["unrecognised"]["count"], 1);
    assert_eq!(contracts[0]["proof"], Value::Null);
    assert_eq!(data["proved"], false);
    // One contract by itself; and in the past.
    let path = format!("/v1/completeness?contract={}", escrow());
    let one = bed.get(&path).await;
    assert_eq!(one.json["data"]["complete"], true, "{}", one.text);
    assert_eq!(one.json["data"]["proved"], true);
    let then = bed.get(&format!("{path}&at_block=3")).await;
    assert_eq!(
        then.json["data"]["contracts"][0]["unrecognised"]["count"],
        0
    );
    assert_eq!(then.json["data"]["contracts"][0]["chain"]["height"], 3);
    // The proof's block leaves the chain.
    bed.switch().await;
    let one = bed.get(&path).await;
    assert_eq!(
        one.json["data"]["contracts"][0]["proof"]["canonical"],
        false
    );
    assert_eq!(one.json["data"]["proved"], false);
    bed.finish().await;
}

#[tokio::test]
async fn gaps_and_differences_are_told() {
    let Some(bed) = fair("market_gaps").await else {
        return;
    };
    let path = format!("/v1/completeness?contract={}", escrow());
    let gaps = |reply: super::super::Reply| {
        let data = reply.json["data"].clone();
        assert_eq!(data["complete"], data["gaps"] == json!([]), "{data}");
        data["gaps"].to_string()
    };
    assert_eq!(gaps(bed.get(&path).await), "[]");
    bed.sql("update cursor_proof set verdict = 'differs', node_seq = 77")
        .await;
    let said = gaps(bed.get(&path).await);
    assert!(said.contains("the contract 77"), "{said}");
    bed.sql("update cursor_proof set verdict = 'proved'; update projection_version set state = state ||
             '{\"breaks\": 2, \"last_break\": \"seq 9 where 8 was due\", \"from_seq\": \"5\"}' where projection = 4")
        .await;
    let said = gaps(bed.get(&path).await);
    assert!(
        said.contains("begins with event 5") && said.contains("seq 9 where 8"),
        "{said}"
    );
    // A mirror that begins at genesis knows that a silent contract has printed nothing.
    bed.sql("update mirror set origin = decode('55c9861be5cff984a20ce6d99d4aa65941412889bdc665094136429b84f8c2ee', 'hex')")
        .await;
    let silent = bed
        .get(&format!("/v1/completeness?contract={CONTRACT}"))
        .await;
    assert_eq!(silent.json["data"]["complete"], true, "{}", silent.text);
    bed.finish().await;
}

#[tokio::test]
async fn a_cursor_comes_with_its_proof_and_a_new_proof_is_a_new_answer() {
    let Some(bed) = fair("market_proof").await else {
        return;
    };
    for path in [
        format!("/v1/contracts/{}/cursor", escrow()),
        format!("/v1/completeness?contract={}", escrow()),
    ] {
        let ask = |tag: String| {
            let request = Request::get(&path)
                .header("if-none-match", tag)
                .body(Body::empty())
                .expect("a request");
            send(&bed.router, request)
        };
        let fresh = bed.get(&path).await;
        let tag = fresh.header("etag").to_owned();
        assert_eq!(ask(tag.clone()).await.status, 304, "{path}");
        bed.sql("update cursor_proof set checked_at = checked_at + interval '1 second'")
            .await;
        assert_eq!(ask(tag).await.status, 200, "{path}");
    }
    let cursor = bed.get(&format!("/v1/contracts/{}/cursor", escrow())).await;
    let data = &cursor.json["data"];
    assert_eq!(data["entity"], escrow());
    assert_eq!(data["proof"]["verdict"], "proved");
    assert_eq!(data["proof"]["seq"], data["event_chain"]["state"]["seq"]);
    assert_eq!(data["proof"]["head"], data["event_chain"]["state"]["head"]);
    assert!(data["state"]["prints"].is_u64());
    let plain = bed.get(&format!("/v1/contracts/{CONTRACT}/cursor")).await;
    assert_eq!(
        (
            &plain.json["data"]["proof"],
            &plain.json["data"]["event_chain"]
        ),
        (&Value::Null, &Value::Null)
    );
    bed.finish().await;
}

/// Every word that a state can have is one that its filter takes.
#[tokio::test]
async fn the_filters_know_every_status() {
    let Some(bed) = fair("market_words").await else {
        return;
    };
    let document = serde_json::to_value(crate::api::openapi()).expect("a document");
    for (schema, path) in [
        ("ProjectStatus", "/v1/projects"),
        ("ActionStatus", "/v1/governance/actions"),
    ] {
        let words = &document["components"]["schemas"][schema]["enum"];
        let words: Vec<_> = words
            .as_array()
            .expect("words")
            .iter()
            .map(Value::as_str)
            .collect();
        for word in &words {
            let word = word.expect("text");
            assert_eq!(
                bed.get(&format!("{path}?status={word}")).await.status,
                200,
                "{word}"
            );
        }
        let refused = bed.get(&format!("{path}?status=none")).await;
        let expected = refused.json["expected"].as_str().expect("text").to_owned();
        assert_eq!(expected.split(", ").count(), words.len(), "{expected}");
    }
    bed.finish().await;
}
