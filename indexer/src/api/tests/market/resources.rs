//! Milestones, disputes, settlements, boards, fees, figures, eligibility, and what can be done with an action.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::super::{Bed, hash};
use super::fair;
use super::seed::{TOKEN, escrow, second, who};
use crate::project::market::testing::contract;

/// Project 2 in dispute since a6 and project 5 with an offer.
async fn quarrel(bed: &Bed) {
    bed.run(format!(
        "insert into projection_version
             select 300000, 10, 6, 6, 50::bigint << 32, v.entity,
                    jsonb_set(v.state, '{{milestones,0}}', (v.state #> '{{milestones,0}}')
                        || '{{\"status\": \"disputed\", \"disputed_by\": \"client\", \"resolve_until\": 110}}')
             from projection_version v where v.projection = 10 and v.entity = '{0}/2' order by v.height desc limit 1;
         insert into projection_version
             select 300001, 10, 6, 6, 51::bigint << 32, v.entity,
                    jsonb_set(v.state, '{{milestones,1,offer}}', '{{\"by\": \"{1}\", \"bps\": 2500, \"until\": 107}}')
             from projection_version v where v.projection = 10 and v.entity = '{0}/5' order by v.height desc limit 1;
         select test_canonical('{{1,2,3,4,5,6}}');",
        escrow(),
        who(2)
    ))
    .await;
}

#[tokio::test]
async fn milestones_say_what_is_due() {
    let Some(bed) = fair("market_milestones").await else {
        return;
    };
    quarrel(&bed).await;
    let of = bed.get("/v1/projects/2/milestones").await;
    let data = &of.json["data"];
    assert_eq!(
        (&data["project"], &data["project_status"]),
        (&json!(2), &json!("active"))
    );
    let first = &data["milestones"][0];
    assert_eq!(
        (&first["m"], &first["status"]),
        (&json!(1), &json!("disputed"))
    );
    assert_eq!(
        first["deadline"],
        json!({"what": "ruling", "until": 110, "blocks_left": 2})
    );
    assert_eq!(data["milestones"][1]["deadline"]["what"], "work");
    let ended = bed.get("/v1/projects/1/milestones").await;
    assert_eq!(ended.json["data"]["milestones"][0]["deadline"], Value::Null);
    assert_eq!(
        bed.get("/v1/projects/99/milestones").await.code(),
        "not_found"
    );
    // In the past, the past's Bitcoin height counts.
    let then = bed.get("/v1/projects/2/milestones?at_block=3").await;
    let due = then.json["data"]["milestones"][0]["deadline"].clone();
    assert_eq!(
        due["blocks_left"].as_i64(),
        due["until"].as_i64().map(|until| until - 103)
    );
    bed.finish().await;
}

#[tokio::test]
async fn disputes_and_settlements_are_told() {
    let Some(bed) = fair("market_disputes").await else {
        return;
    };
    quarrel(&bed).await;
    let disputes = bed.get("/v1/disputes").await;
    let row = &disputes.json["data"][0];
    assert_eq!(disputes.column("project"), [json!(2)], "{}", disputes.text);
    assert_eq!(
        (&row["status"], &row["milestone"]["disputed_by"]),
        (&json!("open"), &json!("client"))
    );
    assert_eq!(
        row["opened"],
        json!({"height": 6, "time": 1_700_000_006, "finality": "seen"})
    );
    assert_eq!(row["deadline"]["blocks_left"], 2);
    let arbiter = row["arbiter"].as_str().unwrap();
    for (query, count) in [
        ("status=open".to_owned(), 1),
        ("status=ruled".into(), 0),
        (format!("arbiter={arbiter}&order=asc"), 1),
        (format!("arbiter={}", who(3)), 0),
        (format!("participant={}", who(2)), 1),
        ("at_block=5".into(), 0),
        (format!("contract={}", escrow()), 1),
    ] {
        let page = bed.get(&format!("/v1/disputes?{query}")).await;
        assert_eq!(
            page.column("project").len(),
            count,
            "{query}: {}",
            page.text
        );
    }
    let settled = bed.get("/v1/settlements?order=asc").await;
    let seen: Vec<_> = settled.json["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            (
                row["project"].clone(),
                row["milestone"]["m"].clone(),
                row["since"]["height"].clone(),
            )
        })
        .collect();
    assert_eq!(
        seen,
        [
            (json!(1), json!(1), json!(4)),
            (json!(1), json!(2), json!(5))
        ]
    );
    assert_eq!(settled.json["data"][0]["milestone"]["payout"], "1800");
    let offered = bed.get("/v1/settlements?status=offered").await;
    assert_eq!(offered.column("project"), [json!(5)]);
    // Bitcoin is at 108, past 107.
    assert_eq!(offered.column("blocks_left"), [json!(-1)]);
    for (query, count) in [
        ("cause=release", 2),
        ("cause=ruling", 0),
        ("at_block=4", 1),
        ("status=offered&at_block=5", 0),
    ] {
        let page = bed.get(&format!("/v1/settlements?{query}")).await;
        assert_eq!(
            page.column("project").len(),
            count,
            "{query}: {}",
            page.text
        );
    }
    for path in [
        "/v1/disputes?status=closed",
        "/v1/settlements?status=open",
        "/v1/settlements?cause=x",
    ] {
        assert_eq!(bed.get(path).await.code(), "invalid_parameter", "{path}");
    }
    bed.finish().await;
}

fn sha(parts: &[&[u8]]) -> [u8; 32] {
    Sha256::digest(parts.concat()).into()
}

/// More users with scores: 21 and 22 with the same, 23 with less.
async fn scores(bed: &Bed) {
    let mut sql = String::new();
    for (n, stx, token, completed, sum, count) in [
        (21u8, 9_000u32, 7u32, 4, 9, 2),
        (22, 9_000, 0, 3, 14, 3),
        (23, 100, 8, 4, 0, 0),
    ] {
        let state = json!({
            "user": who(n), "handle": format!("user-{n}"), "meta": null, "x": null, "completed": completed, "settled": 5,
            "disputes": 0, "lost": 0, "rating_sum": sum, "rating_count": count,
            "earned": {"STX": stx.to_string(), TOKEN: token.to_string()},
        });
        sql += &format!(
            "insert into projection_version values ({}, 12, 3, 3, {}, '{}/{}', '{state}');",
            400_000 + u32::from(n),
            u64::from(n) << 32,
            contract("freelance-data"),
            who(n)
        );
    }
    bed.run(sql + "select test_canonical('{1,2,3,4,5,6}');")
        .await;
}

fn places(reply: &super::Reply) -> Vec<(u64, String, String)> {
    let rows = reply.json["data"]
        .as_array()
        .unwrap_or_else(|| panic!("{}", reply.text));
    rows.iter()
        .map(|row| {
            let text = |name: &str| row[name].as_str().unwrap().to_owned();
            (row["rank"].as_u64().unwrap(), text("user"), text("score"))
        })
        .collect()
}

#[tokio::test]
async fn boards_rank_users_and_prove_it() {
    let Some(bed) = fair("market_boards").await else {
        return;
    };
    scores(&bed).await;
    let place = |rank: u64, n: u8, score: &str| (rank, who(n), score.to_owned());
    let mut first = [who(21), who(22)];
    first.sort();
    let stx = bed.get("/v1/leaderboards/earnings?asset=stx").await;
    let expected = vec![
        (1, first[0].clone(), "9000".to_owned()),
        (1, first[1].clone(), "9000".to_owned()),
        place(3, 2, "5000"),
        place(4, 23, "100"),
    ];
    assert_eq!(places(&stx), expected, "{}", stx.text);
    let mut walked = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = bed
            .get(&format!(
                "/v1/leaderboards/earnings?asset=stx&limit=1{cursor}"
            ))
            .await;
        walked.extend(places(&page));
        if page.next().is_empty() {
            break;
        }
        cursor = format!("&cursor={}", page.next());
    }
    assert_eq!(walked, expected);
    let token = bed
        .get(&format!("/v1/leaderboards/earnings?asset={TOKEN}"))
        .await;
    assert_eq!(places(&token), [place(1, 23, "8"), place(2, 21, "7")]);
    let ratings = bed.get("/v1/leaderboards/ratings").await;
    // 5.00, 4.66 and 4.50 stars; who has no rating has no rank.
    assert_eq!(
        places(&ratings),
        [place(1, 2, "500"), place(2, 22, "466"), place(3, 21, "450")]
    );
    let badges = bed.get("/v1/leaderboards/badges").await;
    assert_eq!(
        places(&badges).iter().map(|p| p.0).collect::<Vec<_>>(),
        [1, 1]
    );
    // Everybody is proved, by the recipe in the documentation alone.
    let root = stx.json["board"]["root"].as_str().unwrap();
    for (_, user, score) in &expected {
        let proof = bed
            .get(&format!(
                "/v1/leaderboards/earnings/proof?asset=stx&principal={user}"
            ))
            .await;
        let data = &proof.json["data"];
        assert_eq!(data["entry"]["score"], json!(score));
        let unhex = |value: &Value| hex::decode(value.as_str().unwrap()).unwrap();
        let mut hash = unhex(&data["leaf"]);
        for step in data["path"].as_array().unwrap() {
            let other = unhex(&step["hash"]);
            let (left, right) = if step["side"] == "left" {
                (&other, &hash)
            } else {
                (&hash, &other)
            };
            hash = sha(&[&[1], left, right]).to_vec();
        }
        assert_eq!(format!("0x{}", hex::encode(hash)), root, "{user}");
    }
    for (path, code) in [
        ("/v1/leaderboards/earnings".to_owned(), "invalid_parameter"),
        (
            "/v1/leaderboards/ratings?asset=stx".into(),
            "invalid_parameter",
        ),
        ("/v1/leaderboards/luck".into(), "invalid_parameter"),
        (
            "/v1/leaderboards/ratings?window=1d".into(),
            "invalid_parameter",
        ),
        (
            "/v1/leaderboards/ratings?window=burn:9-8".into(),
            "invalid_parameter",
        ),
        (
            "/v1/leaderboards/ratings?window=epoch:-1".into(),
            "invalid_parameter",
        ),
        (
            "/v1/leaderboards/ratings?window=epoch:7".into(),
            "not_found",
        ),
        ("/v1/leaderboards/ratings/proof".into(), "invalid_parameter"),
        (
            format!("/v1/leaderboards/ratings/proof?principal={}", who(23)),
            "not_found",
        ),
    ] {
        assert_eq!(bed.get(&path).await.code(), code, "{path}");
    }
    bed.finish().await;
}

#[tokio::test]
async fn a_window_counts_what_happened_in_it() {
    let Some(bed) = fair("market_boards_window").await else {
        return;
    };
    scores(&bed).await;
    // Sortitions: a3 103, a4 105 (2000 earned), a5 106 (3000 earned, completed, rated).
    for (query, expected) in [
        ("window=burn:106-106", vec![("3000", 2)]),
        ("window=burn:105-105", vec![("2000", 2)]),
        ("window=burn:104-200", vec![("5000", 2)]),
        (
            "window=burn:0-104",
            vec![("9000", 0), ("9000", 0), ("100", 23)],
        ),
        ("window=burn:107-200", vec![]),
        (
            "at_block=4",
            vec![("9000", 0), ("9000", 0), ("2000", 2), ("100", 23)],
        ),
        (
            "window=30d",
            vec![("9000", 0), ("9000", 0), ("5000", 2), ("100", 23)],
        ),
    ] {
        let board = bed
            .get(&format!("/v1/leaderboards/earnings?asset=stx&{query}"))
            .await;
        let told = places(&board);
        assert_eq!(told.len(), expected.len(), "{query}: {}", board.text);
        for ((_, user, score), (expected, n)) in told.iter().zip(expected) {
            assert_eq!(score, expected, "{query}");
            assert!(n == 0 || *user == who(n), "{query}");
        }
    }
    // 30 days: what was there when they began does not count.
    bed.sql("update block set block_time = block_time + 30 * 86400 where height > 3")
        .await;
    let month = bed
        .get("/v1/leaderboards/earnings?asset=stx&window=30d")
        .await;
    assert_eq!(places(&month), [(1, who(2), "5000".to_owned())]);
    assert_eq!(month.json["board"]["after_height"], 3);
    bed.finish().await;
}

#[tokio::test]
async fn an_anchored_root_is_compared() {
    let Some(bed) = fair("market_anchor").await else {
        return;
    };
    scores(&bed).await;
    let span = bed
        .get("/v1/leaderboards/completions?window=burn:0-106")
        .await;
    let (root, count) = (
        span.json["board"]["root"].clone(),
        span.json["board"]["count"].clone(),
    );
    for (epoch, root, algo) in [
        (1, root.clone(), "sha256-v1"),
        (2, json!(hash("other")), "sha256-v1"),
        (3, root, "other"),
    ] {
        let state = json!({
            "topic": "leaderboard-anchored", "burn_height": 106, "txid": null,
            "value": {"epoch": epoch.to_string(), "board": "completions", "root": root, "count": count.to_string(),
                      "algo": algo, "from_bh": "0", "to_bh": "106"},
        });
        bed.run(format!(
            "insert into projection_version values ({}, 16, 6, 6, {epoch}, '{}/leaderboard-anchored/{epoch}/completions', '{state}');
             select test_canonical('{{1,2,3,4,5,6}}');",
            500_000 + epoch, contract("freelance-data")
        )).await;
    }
    for (epoch, agrees) in [(1, true), (2, false), (3, false)] {
        let board = bed
            .get(&format!(
                "/v1/leaderboards/completions?window=epoch:{epoch}"
            ))
            .await;
        assert_eq!(
            board.json["board"]["agrees"],
            json!(agrees),
            "{}",
            board.text
        );
        assert_eq!(board.json["board"]["anchor"]["to_burn_height"], "106");
        assert_eq!(board.json["data"], span.json["data"]);
    }
    let earlier = bed
        .get("/v1/leaderboards/completions?window=epoch:1&at_block=5")
        .await;
    assert_eq!(earlier.code(), "not_found");
    bed.finish().await;
}

#[tokio::test]
async fn users_are_listed_by_name_and_by_score() {
    let Some(bed) = fair("market_users").await else {
        return;
    };
    scores(&bed).await;
    let users = |reply: &super::Reply| reply.column("user");
    let mut names: Vec<_> = [2, 21, 22, 23].map(who).into();
    names.sort();
    assert_eq!(users(&bed.get("/v1/profiles").await), names);
    for (query, expected) in [
        ("handle=user-", vec![21, 22, 23]),
        ("handle=user-22", vec![22]),
        ("handle=ada", vec![2]),
        ("handle=%25da", vec![]),
        ("handle=use_-", vec![]),
        ("role=freelancer", vec![2, 21, 22, 23]),
        ("role=client", vec![]),
    ] {
        let page = bed.get(&format!("/v1/profiles?{query}")).await;
        let mut expected: Vec<_> = expected.into_iter().map(who).collect();
        expected.sort();
        assert_eq!(users(&page), expected, "{query}: {}", page.text);
    }
    let best = bed.get("/v1/profiles?sort=ratings&limit=2").await;
    assert_eq!(users(&best), [who(2), who(22)]);
    assert_eq!(best.column("rank"), [1, 2]);
    let rest = bed
        .get(&format!(
            "/v1/profiles?sort=ratings&limit=2&cursor={}",
            best.next()
        ))
        .await;
    assert_eq!(users(&rest), [who(21)]);
    assert_eq!(
        users(
            &bed.get("/v1/profiles?sort=earnings&asset=stx&limit=1&at_block=3")
                .await
        )
        .len(),
        1
    );
    for query in [
        "handle=us",
        "sort=earnings",
        "sort=ratings&role=client",
        "asset=stx",
        "role=arbiter",
    ] {
        assert_eq!(
            bed.get(&format!("/v1/profiles?{query}")).await.code(),
            "invalid_parameter",
            "{query}"
        );
    }
    let one = bed.get(&format!("/v1/profiles/{}", who(2))).await;
    let counted = &one.json["data"]["projects"];
    assert_eq!(
        counted,
        &json!([
            {"part": "freelancer", "status": "active", "count": 1},
            {"part": "freelancer", "status": "completed", "count": 1},
            {"part": "freelancer", "status": "open", "count": 4},
        ])
    );
    bed.finish().await;
}

#[tokio::test]
async fn fees_are_told_one_by_one() {
    let Some(bed) = fair("market_fees").await else {
        return;
    };
    let fees = bed.get("/v1/treasury/fees").await;
    assert_eq!(fees.column("fee"), ["300", "200"], "{}", fees.text);
    let row = &fees.json["data"][0];
    for (field, expected) in [
        ("treasury", json!(who(8))),
        ("asset", json!("STX")),
        ("project", json!("1")),
        ("m", json!("2")),
        ("amount", json!("3000")),
        ("payout", json!("2700")),
        ("contract", json!(escrow())),
        ("height", json!(5)),
        ("time", json!(1_700_000_005)),
        ("index_block_hash", json!(hash("a5"))),
    ] {
        assert_eq!(row[field], expected, "{field}");
    }
    for (query, expected) in [
        ("order=asc".to_owned(), vec!["200", "300"]),
        ("at_block=4".into(), vec!["200"]),
        ("from_height=5".into(), vec!["300"]),
        ("to_height=3".into(), vec![]),
        (format!("treasury={}", who(8)), vec!["300", "200"]),
        (format!("treasury={}", who(9)), vec![]),
        (format!("asset={TOKEN}"), vec![]),
    ] {
        let page = bed.get(&format!("/v1/treasury/fees?{query}")).await;
        assert_eq!(page.column("fee"), expected, "{query}: {}", page.text);
    }
    bed.finish().await;
}

#[tokio::test]
async fn figures_are_told_by_day() {
    let Some(bed) = fair("market_stats").await else {
        return;
    };
    second(&bed).await;
    // a1 to a3 on 2023-11-14, a4 and later two days after.
    bed.sql("update block set block_time = block_time + 2 * 86400 where height > 3")
        .await;
    let told = |reply: super::Reply| -> Vec<String> {
        let figures = reply.json["data"]["figures"]
            .as_array()
            .unwrap_or_else(|| panic!("{}", reply.text))
            .clone();
        figures
            .iter()
            .filter(|f| f["value"] != "0")
            .map(|f| {
                format!(
                    "{} {} {}",
                    &f["day"].as_str().unwrap()[8..],
                    f["key"].as_str().unwrap().rsplit('.').next().unwrap(),
                    f["value"].as_str().unwrap()
                )
            })
            .collect()
    };
    for (query, expected) in [
        ("opened?", vec!["14 STX 10", "14 token 2", "16 STX 2"]),
        ("opened?asset=stx", vec!["14 STX 10", "16 STX 2"]),
        ("opened?from=2023-11-15", vec!["16 STX 2"]),
        (
            "opened?from=2023-11-14&to=2023-11-14",
            vec!["14 STX 10", "14 token 2"],
        ),
        ("opened?to=2023-11-13", vec![]),
        ("settled?", vec!["16 STX 2"]),
        ("closed?", vec!["16 completed 1"]),
        ("closed?to=2023-11-15", vec![]),
        ("volume?", vec!["16 STX 5000"]),
        ("fees?", vec!["16 STX 500"]),
        ("fees?at_block=4", vec!["16 STX 200"]),
        (
            "deposited?at_block=3",
            vec!["14 STX 50000", "14 token 10000"],
        ),
        ("refunded?", vec![]),
    ] {
        let query = format!("/v1/stats/{query}&contract={}", escrow());
        let expected: Vec<_> = expected
            .into_iter()
            .map(|line| {
                if line == "16 STX 2" && query.contains("opened") {
                    // The second deployment's project is not of this contract.
                    "16 STX 1".to_owned()
                } else {
                    line.to_owned()
                }
            })
            .collect();
        let mut figures = told(bed.get(&query).await);
        figures.sort();
        assert_eq!(figures, expected, "{query}");
    }
    let mut figures = told(bed.get("/v1/stats/opened").await);
    figures.sort();
    assert_eq!(figures, ["14 STX 10", "14 token 2", "16 STX 2"]);
    for (query, name) in [
        ("opened?from=2020-01-01", "from"),
        ("opened?from=x", "from"),
        ("opened?to=2023-02-30", "to"),
        ("joy?", "series"),
    ] {
        let reply = bed.get(&format!("/v1/stats/{query}")).await;
        assert_eq!(reply.json["parameter"], name, "{query}: {}", reply.text);
    }
    bed.finish().await;
}

#[tokio::test]
async fn what_lacks_for_a_badge_is_the_contracts_own_rule() {
    let Some(bed) = fair("market_eligible").await else {
        return;
    };
    let kinds = [
        ("2", "silver", "4", "450", true),
        ("3", "gold", "0", "0", true),
    ];
    for (kind, name, projects, rating, needs_x) in kinds {
        let state = json!({
            "topic": "kind-set", "burn_height": 100, "txid": null,
            "value": {"kind": kind, "name": name, "projects": projects, "rating": rating, "needs_x": needs_x},
        });
        bed.run(format!(
            "insert into projection_version values (60000{kind}, 16, 1, 1, {kind}, '{}/kind-set/{kind}', '{state}');
             select test_canonical('{{1,2,3,4,5,6}}');",
            contract("freelance-badges")
        )).await;
    }
    let of = |n: u8| format!("/v1/badges/{}/eligibility", who(n));
    let reply = bed.get(&of(2)).await;
    let kinds = reply.json["data"]["kinds"]
        .as_array()
        .unwrap_or_else(|| panic!("{}", reply.text));
    let standing: Vec<_> = kinds
        .iter()
        .map(|k| (k["name"].clone(), k["standing"].clone()))
        .collect();
    // Badge 2 was revoked in a5.
    assert_eq!(
        standing,
        [
            (json!("first"), json!("held")),
            (json!("silver"), json!("barred")),
            (json!("gold"), json!("missing"))
        ]
    );
    assert_eq!(kinds[0]["badge"], 1);
    assert_eq!(
        kinds[1]["requirements"],
        json!([
            {"what": "projects", "needed": "4", "have": "1", "missing": "3", "met": false},
            {"what": "rating", "needed": "450", "have": "500", "missing": "0", "met": true},
            {"what": "x", "needed": "1", "have": "0", "missing": "1", "met": false},
        ])
    );
    let before = bed.get(&format!("{}?at_block=4", of(2))).await;
    assert_eq!(before.json["data"]["kinds"][1]["standing"], "held");
    // An attested account holds up to its last height.
    for (expires, standing) in [(108, "earned"), (107, "missing")] {
        bed.run(format!(
            "update projection_version set state = state || '{{\"x\": {{\"handle_hash\": \"0x\", \"expires\": {expires}}}}}' where projection = 12"
        )).await;
        let reply = bed.get(&of(2)).await;
        assert_eq!(
            reply.json["data"]["kinds"][2]["standing"], standing,
            "{}",
            reply.text
        );
    }
    let nobody = bed.get(&of(99)).await;
    assert_eq!(nobody.json["data"]["kinds"][0]["standing"], "missing");
    assert_eq!(
        bed.get("/v1/badges/7x/eligibility").await.code(),
        "invalid_parameter"
    );
    // A number is still a badge.
    let badge = bed.get("/v1/badges/1").await;
    assert_eq!(badge.json["data"]["kind_name"], "first");
    assert_eq!(badge.json["data"]["metadata"]["sip"], 16);
    assert_eq!(badge.json["data"]["metadata"]["name"], "first #1");
    bed.finish().await;
}

#[tokio::test]
async fn an_action_says_what_can_be_done_with_it() {
    let Some(bed) = fair("market_actions").await else {
        return;
    };
    let action = async |query: &str| {
        bed.get(&format!("/v1/governance/actions/2{query}"))
            .await
            .json["data"]
            .clone()
    };
    let now = action("").await;
    assert_eq!(
        (&now["standing"], &now["approvals_needed"]),
        (&json!("collecting"), &json!(3))
    );
    assert_eq!(
        (&now["blocks_to_eta"], &now["blocks_to_expiry"]),
        (&json!(136), &json!(2_152))
    );
    let change = async |state: Value| {
        bed.run(format!("update projection_version set state = state || '{state}' where projection = 14 and entity like '%/2'")).await;
    };
    change(json!({"approvals": [who(5), who(6), who(7)]})).await;
    assert_eq!(action("").await["standing"], "waiting");
    change(json!({"eta": 108})).await;
    assert_eq!(action("").await["standing"], "ready");
    // In a4 Bitcoin stood at 105.
    assert_eq!(action("?at_block=4").await["standing"], "waiting");
    change(json!({"expires": 107})).await;
    assert_eq!(action("").await["standing"], "expired");
    change(json!({"epoch": 9})).await;
    assert_eq!(action("").await["standing"], "lapsed");
    let list = bed.get("/v1/governance/actions").await;
    assert_eq!(list.column("standing"), ["executed", "lapsed"]);
    assert_eq!(list.json["data"][0]["blocks_to_eta"], Value::Null);
    bed.finish().await;
}
