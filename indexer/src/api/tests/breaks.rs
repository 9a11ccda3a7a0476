//! What operators are shown of reconciliation.

use serde_json::{Value, json};

use super::market::seed::marketplace;
use super::{Bed, get, known_as};
use crate::api::access::Role;
use crate::project::market::testing::contract;

/// The beginning of the break's identity.
pub(super) const ID: &str = "abababab";

/// A run that saw one row of the platform, and one break about it.
pub(super) async fn reconciled(bed: &Bed) {
    let project = format!("{}/1", contract("freelance-logic"));
    let body = json!({
        "finding": { "expected": "ann", "found": "bob", "repair": { "says": "", "sql": "update projects …" } }
    });
    bed.run(format!(
        "insert into reconcile_run (kind, applies, state, finished_at, anchor, verdict_digest, considered, matched,
             tolerated, broken, skipped, canary)
         values ('sweep', true, 'done', clock_timestamp(), '{{}}', sha256('v'), 10, 7, 1, 1, 1, 'found');
         insert into platform_row (entity, place, key, copy, hash, cells, from_run)
         select 'projects', 1, 'row-7', 0, sha256('r'), '{{\"client\": \"bob\"}}', max(id) from reconcile_run;
         insert into break (id, rule, rule_version, subject_kind, subject_key, what, state, severity, fault, amount,
             asset, first_seen_s, last_seen_s, opened_s, body, evidence_hash)
         values (decode(repeat('ab', 32), 'hex'), 'P2', 1, 'project', '{project}', 'row row-7 client', 'open', 'high',
             'platform', 340282366920938463463374607431768211455, 'STX', 1700000000, 1700000009, 1700000005, '{body}',
             sha256('e'));
         insert into break_event (seq, break_id, at_us, who, change, evidence, prev, hash)
         values (1, decode(repeat('ab', 32), 'hex'), 1700000005000000, 'reconciler', 'opened', '{{}}',
             decode(repeat('00', 32), 'hex'), sha256('1'))"
    ))
    .await;
}

#[tokio::test]
async fn operators_see_breaks_and_nobody_else_does() {
    let Some(bed) = Bed::new("breaks").await else {
        return;
    };
    marketplace(&bed).await;
    bed.switch().await;
    reconciled(&bed).await;
    let routes = [
        "/v1/breaks",
        "/v1/breaks/abababab",
        "/v1/coverage",
        "/v1/projects/1/why",
    ];
    let reader = known_as(&bed.router, Role::Reader);
    for route in routes {
        assert_eq!(bed.get(route).await.status, 401, "{route}");
        assert_eq!(get(&reader, route).await.status, 403, "{route}");
    }
    let operator = known_as(&bed.router, Role::Operator);
    let list = get(&operator, "/v1/breaks").await;
    let first = &list.json["data"][0];
    assert_eq!(first["amount"], "340282366920938463463374607431768211455");
    assert_eq!(
        (&first["expected"], &first["found"]),
        (&json!("ann"), &json!("bob"))
    );
    for (query, count) in [
        ("state=open", 1),
        ("state=resolved", 0),
        ("severity=medium", 1),
        ("severity=critical", 0),
        ("fault=mirror", 0),
        ("rule=P2&subject=logic/1", 1),
    ] {
        let found = get(&operator, &format!("/v1/breaks?{query}")).await;
        assert_eq!(
            found.json["data"].as_array().map(Vec::len),
            Some(count),
            "{query}"
        );
    }
    let one = get(&operator, &format!("/v1/breaks/{}", &ID[..6])).await;
    assert_eq!(one.json["data"]["history"][0]["change"], "opened");
    assert_eq!(one.json["data"]["body"]["finding"]["found"], "bob");
    let coverage = get(&operator, "/v1/coverage").await;
    assert_eq!(coverage.json["data"]["sweep"]["considered"], 10);
    let why = get(&operator, "/v1/projects/1/why").await;
    let from = |who: &str| {
        let entries = why.json["data"]["entries"].as_array().unwrap();
        entries
            .iter()
            .filter(|entry| entry["said"]["from"] == who)
            .count()
    };
    assert_eq!((from("platform"), from("break")), (1, 1), "{}", why.text);
    assert!(from("chain") > 0, "{}", why.text);
    assert_eq!(why.json["data"]["open"][0]["rule"], "P2");
    bed.finish().await;
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    let Some(bed) = Bed::new("breaks_refused").await else {
        return;
    };
    let operator = known_as(&bed.router, Role::Operator);
    for (path, status, code) in [
        ("/v1/breaks?state=shut", 400, "invalid_parameter"),
        ("/v1/breaks?severity=HIGH", 400, "invalid_parameter"),
        ("/v1/breaks?limit=0", 400, "invalid_parameter"),
        ("/v1/breaks?cursor=x", 400, "invalid_parameter"),
        ("/v1/breaks/xyz", 400, "invalid_parameter"),
        ("/v1/breaks/abc", 400, "invalid_parameter"),
        ("/v1/breaks/abcdef", 404, "not_found"),
        ("/v1/projects/99999/why", 404, "not_found"),
        ("/v1/projects/-1/why", 400, "invalid_parameter"),
    ] {
        let reply = get(&operator, path).await;
        assert_eq!(
            (reply.status.as_u16(), reply.code()),
            (status, code),
            "{path}"
        );
    }
    let coverage = get(&operator, "/v1/coverage").await;
    assert_eq!(coverage.json["data"]["sweep"], Value::Null);
    bed.finish().await;
}
