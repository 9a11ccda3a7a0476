//! Mints, and what wallets are told of badges.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::market::seed::{marketplace, who};
use super::{Bed, get, known_as};
use crate::api::access::Role;
use crate::project::market::testing::contract;

/// Mint 1 is in a block with its second transaction, mint 2 is held, mint 3 came some other way.
pub(super) async fn minted(bed: &Bed) {
    let badges = contract("freelance-badges");
    let b32 = |byte: &str| format!("decode(repeat('{byte}', 32), 'hex')");
    let award = |recipient: &str, kind: u32| {
        format!("('{badges}', '{recipient}', {kind}, 1, '{{\"v\": 1}}', sha256('{{\"v\": 1}}'))")
    };
    bed.run(format!(
        "begin;
         insert into mint_award (contract, recipient, kind, award_seq, evidence, evidence_hash)
         values {}, {}, {};
         insert into mint_intent (award_id, state, reason, note) values
             (1, 'queued', null, ''), (2, 'held', 'not_earned', 'secret words'), (3, 'satisfied_elsewhere', null, '');
         insert into mint_lane (sender, contract, base_nonce, next_nonce, holder, expires_at, final_after)
         values ('STKEY', '{badges}', 7, 7, 'h', now(), 6);
         update mint_lane set next_nonce = 8;
         insert into nonce_slot (sender, nonce, intent_id, epoch) values ('STKEY', 7, 1, 1);
         insert into tx_attempt (txid, sender, nonce, kind, intent_id, fee, fee_cap, raw_tx, epoch, signed_height)
         values ({a}, 'STKEY', 7, 'mint', 1, 300, 1000, '\\x01', 1, 4),
                ({b}, 'STKEY', 7, 'mint', 1, 400, 1000, '\\x02', 1, 4);
         insert into tx_send (txid, node, answer, said, ambiguous) values ({a}, 0, 'unclear', '{{}}', true);
         update nonce_slot set state = 'live', by_txid = {b}, by_block = {c}, by_height = 4, by_burn_height = 2;
         update mint_intent set state = 'included' where id = 1;
         insert into mint_effect (intent_id, kind, badge_id) values (3, 'satisfied_elsewhere', 340);
         commit",
        award(&who(2), 1),
        award(&who(2), 2),
        award(&who(9), 1),
        a = b32("aa"),
        b = b32("bb"),
        c = b32("cc"),
    ))
    .await;
}

#[tokio::test]
async fn everybody_sees_where_mints_stand_and_operators_see_how() {
    let Some(bed) = Bed::new("mints").await else {
        return;
    };
    marketplace(&bed).await;
    minted(&bed).await;
    let all = bed.get("/v1/mints").await;
    assert_eq!(all.column("id"), [json!(3), json!(2), json!(1)]);
    let first = &all.json["data"][2];
    assert_eq!(
        (&first["state"], &first["work"]),
        (&json!("included"), &Value::Null)
    );
    assert_eq!(first["txid"], format!("0x{}", "bb".repeat(32)));
    assert!(!all.text.contains("secret words"), "{}", all.text);
    assert_eq!(all.json["data"][0]["badge"], "340");
    let operator = known_as(&bed.router, Role::Operator);
    let one = get(&operator, "/v1/mints/1").await;
    let data = &one.json["data"];
    assert_eq!(
        (&data["work"]["attempts"], &data["work"]["fee"]),
        (&json!(2), &json!("400"))
    );
    assert_eq!(data["transactions"][0]["sends"][0]["answer"], "unclear");
    assert_eq!(data["history"][0]["who"], "minter");
    assert_eq!(data["evidence"]["v"], 1);
    let public = bed.get("/v1/mints/1").await;
    assert_eq!(public.json["data"]["history"][0]["who"], Value::Null);
    assert_eq!(public.json["data"]["transactions"], json!([]));
    let reader = known_as(&bed.router, Role::Reader);
    assert_eq!(
        get(&reader, "/v1/mints/1").await.json["data"]["work"],
        Value::Null
    );
    for (query, ids) in [
        ("state=held", vec![2]),
        ("reason=not_earned", vec![2]),
        ("kind=1", vec![3, 1]),
        ("kind=1&state=dead", vec![]),
    ] {
        let found = bed.get(&format!("/v1/mints?{query}")).await;
        let ids: Vec<Value> = ids.into_iter().map(|id: i32| json!(id)).collect();
        assert_eq!(found.column("id"), ids, "{query}");
    }
    let found = bed.get(&format!("/v1/mints?recipient={}", who(9))).await;
    assert_eq!(found.column("id"), [json!(3)]);
    let page = bed.get("/v1/mints?limit=2").await;
    assert_eq!(page.column("id"), [json!(3), json!(2)]);
    let next = page.json["next_cursor"].as_str().unwrap();
    let rest = bed.get(&format!("/v1/mints?limit=2&cursor={next}")).await;
    assert_eq!(rest.column("id"), [json!(1)]);
    assert_eq!(rest.json["next_cursor"], Value::Null);
    for (path, status) in [
        ("/v1/mints?state=lost", 400),
        ("/v1/mints?kind=-1", 400),
        ("/v1/mints?kind=1.0", 400),
        ("/v1/mints?kind=18446744073709551616", 400),
        ("/v1/mints?kind=18446744073709551615", 200),
        ("/v1/mints?recipient=nobody", 400),
        ("/v1/mints?contract=nobody", 400),
        ("/v1/mints?reason=a%00b", 400),
        ("/v1/mints?state=held&state=dead", 400),
        ("/v1/mints?colour=red", 400),
        ("/v1/mints?limit=0", 400),
        ("/v1/mints?limit=201", 400),
        ("/v1/mints?cursor=junk", 400),
        ("/v1/mints/1?limit=2", 400),
        ("/v1/mints/+1", 400),
        ("/v1/mints/9223372036854775808", 400),
        ("/v1/mints/%FF", 400),
        ("/v1/mints/0", 400),
        ("/v1/mints/x", 400),
        ("/v1/mints/99", 404),
    ] {
        assert_eq!(bed.get(path).await.status, status, "{path}");
    }
    bed.finish().await;
}

#[tokio::test]
async fn eligibility_says_where_the_mint_stands_and_its_tag_moves_with_it() {
    let Some(bed) = Bed::new("mint_eligibility").await else {
        return;
    };
    marketplace(&bed).await;
    let path = format!("/v1/badges/{}/eligibility", who(2));
    let before = bed.get(&path).await;
    assert_eq!(before.json["data"]["kinds"][0]["mint"], Value::Null);
    minted(&bed).await;
    let after = bed.get(&path).await;
    let mint = &after.json["data"]["kinds"][0]["mint"];
    assert_eq!(
        (&mint["id"], &mint["state"]),
        (&json!(1), &json!("included"))
    );
    assert_ne!(before.header("etag"), after.header("etag"));
    assert!(!after.header("etag").is_empty());
    bed.finish().await;
}

#[tokio::test]
async fn wallets_get_metadata_and_a_picture_of_a_kind() {
    let Some(bed) = Bed::new("badge_metadata").await else {
        return;
    };
    marketplace(&bed).await;
    let metadata = bed.get("/v1/badges/metadata/1.json").await;
    assert_eq!(metadata.header("content-type"), "application/json");
    assert_eq!(
        (&metadata.json["sip"], &metadata.json["name"]),
        (&json!(16), &json!("STXWORX First"))
    );
    let about = metadata.json["description"].as_str().unwrap();
    assert!(
        about.starts_with("Earned with 1 completed project"),
        "{about}"
    );
    let picture = bed.get("/v1/badges/images/1.svg").await;
    assert_eq!(
        picture.header("content-type"),
        "image/svg+xml; charset=utf-8"
    );
    assert!(
        picture.text.contains("STXWORX First</title>"),
        "{}",
        picture.text
    );
    let image = metadata.json["image"].as_str().unwrap();
    let inside = image.strip_prefix("data:image/svg+xml;base64,").unwrap();
    assert_eq!(STANDARD.decode(inside).unwrap(), picture.text.as_bytes());
    for reply in [&metadata, &picture] {
        assert!(!reply.header("etag").is_empty());
    }
    for (path, status) in [
        ("/v1/badges/metadata/99.json", 404),
        ("/v1/badges/metadata/1.svg", 400),
        ("/v1/badges/metadata/1", 400),
        ("/v1/badges/metadata/x.json", 400),
        ("/v1/badges/images/99.svg", 404),
        ("/v1/badges/images/1.json", 400),
        ("/v1/badges/images/1.svg?size=2", 400),
        ("/v1/badges/images/1.svg?at_block=99", 404),
    ] {
        assert_eq!(bed.get(path).await.status, status, "{path}");
    }
    bed.finish().await;
}
