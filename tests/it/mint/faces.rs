//! `stxworx mints`: what operators see and do.

use serde_json::Value;

use crate::devnet::history::History;
use crate::support::chain::Engine;
use crate::support::db::TestDb;
use crate::support::run;
use crate::tools::{stderr, stdout, stxworx_on};

/// A mirror of a marketplace with some mints at its badges' contract: 1 eligible, 2 held, 3 in review.
pub async fn prepared() -> (TestDb, String) {
    let mut history = History::new(72, 50);
    let db = TestDb::new().await;
    let engine = Engine::start_with(&db, history.follow());
    history.grow(50);
    engine.feed(&db, &history.said()).await;
    engine.stop().await;
    let contract = history.contracts().badges.to_string();
    let user = db
        .text(
            "select split_part(entity, '/', 2) from projection_current
             where projection = (select id from projection where name = 'profiles') order by entity limit 1",
        )
        .await
        .unwrap();
    let award = |kind: u32| {
        format!("('{contract}', '{user}', {kind}, 1, '{{\"v\":1}}', sha256('{{\"v\":1}}'))")
    };
    db.sql(format!(
        "insert into mint_award (contract, recipient, kind, award_seq, evidence, evidence_hash) values {}, {}, {};
         insert into mint_intent (award_id, state, reason) values
             (1, 'eligible', null), (2, 'held', 'not_earned'), (3, 'review', 'problematic')",
        award(1),
        award(2),
        award(3)
    ))
    .await;
    (db, user)
}

async fn mints(db: &TestDb, args: &[&str]) -> (Option<i32>, String, String) {
    let mut all = vec!["mints"];
    all.extend(args);
    let output = stxworx_on(db, &all).await;
    (output.status.code(), stdout(&output), stderr(&output))
}

async fn json(db: &TestDb, args: &[&str]) -> Value {
    let mut all = args.to_vec();
    all.extend(["--output", "json"]);
    let (code, out, err) = mints(db, &all).await;
    serde_json::from_str(&out).unwrap_or_else(|e| panic!("{args:?} {code:?} {e}: {out} {err}"))
}

async fn state(db: &TestDb, id: i64) -> String {
    db.text(format!("select state from mint_intent where id = {id}"))
        .await
        .unwrap()
}

#[test]
fn operators_list_show_and_decide_and_nothing_happens_without_yes() {
    run(async {
        let (db, user) = prepared().await;
        let all = json(&db, &["list"]).await;
        let ids: Vec<_> = all
            .as_array()
            .unwrap()
            .iter()
            .map(|m| m["id"].as_i64().unwrap())
            .collect();
        assert_eq!(ids, [3, 2, 1]);
        let (code, out, _) = mints(&db, &["list", "--state", "held", "--recipient", &user]).await;
        assert_eq!(code, Some(0));
        assert!(
            out.starts_with("2 held kind 2 to ") && out.ends_with("1 mints\n"),
            "{out}"
        );
        let (code, _, err) = mints(&db, &["list", "--state", "lost"]).await;
        assert_eq!(code, Some(2), "{err}");
        let (_, out, _) = mints(&db, &["approve", "1", "--by", "ann"]).await;
        assert_eq!(out, "mint 1 would be queued; say --yes to do it\n");
        assert_eq!(state(&db, 1).await, "eligible");
        let (_, out, _) = mints(&db, &["approve", "1", "--by", "ann", "--yes"]).await;
        assert_eq!(out, "mint 1 is queued\n");
        let (code, _, err) = mints(&db, &["approve", "1", "--by", "ann", "--yes"]).await;
        assert!(
            code == Some(2) && err.contains("approve is for what is eligible"),
            "{err}"
        );
        let (_, out, _) = mints(
            &db,
            &["retry", "3", "--by", "ann", "--note", "looked", "--yes"],
        )
        .await;
        assert_eq!(out, "mint 3 is queued\n");
        let (_, out, _) = mints(&db, &["cancel", "2", "--by", "bob", "--yes"]).await;
        assert_eq!(out, "mint 2 is cancelled\n");
        for args in [
            ["cancel", "99", "--by", "bob"],
            ["cancel", "1", "--by", " "],
        ] {
            assert_eq!(mints(&db, &args).await.0, Some(2), "{args:?}");
        }
        let shown = json(&db, &["show", "3"]).await;
        assert_eq!(shown["evidence"]["v"], 1);
        let last = shown["history"].as_array().unwrap().last().unwrap();
        assert_eq!(
            (&last["who"], &last["to"], &last["note"]),
            (&"ann".into(), &"queued".into(), &"looked".into())
        );
        let (code, out, _) = mints(&db, &["show", "1"]).await;
        assert!(
            code == Some(0) && out.contains("eligible -> queued by ann"),
            "{out}"
        );
        db.drop().await;
    });
}

#[test]
fn the_report_and_the_doctor_say_what_is_and_what_is_missing() {
    run(async {
        let (db, user) = prepared().await;
        let report = json(&db, &["report", "--all"]).await;
        let lines = report["lines"].as_array().unwrap();
        let people = db
            .number("select count(*) from projection_current where projection = (select id from projection where name = 'profiles')")
            .await;
        assert_eq!(
            i64::try_from(lines.len()).unwrap(),
            people * 5,
            "every user with every kind"
        );
        let of_user = lines.iter().filter(|l| l["user"] == user.as_str());
        let known = of_user.filter(|l| l["standing"] == "known").count();
        assert_eq!(known, 3);
        assert!(
            lines
                .iter()
                .any(|l| l["standing"] == "not" && !l["missing"].as_array().unwrap().is_empty())
        );
        let (code, out, _) = mints(&db, &["report", "--user", &user]).await;
        assert!(code == Some(0) && out.contains("on its way, held"), "{out}");
        assert_eq!(
            db.number("select count(*) from mint_award").await,
            3,
            "a report changes nothing"
        );
        let (code, out, _) = mints(&db, &["doctor"]).await;
        assert_eq!(code, Some(3), "{out}");
        assert!(out.contains("WRONG configuration: no key"), "{out}");
        assert!(out.contains("WRONG key: its address is not known"), "{out}");
        let (_, out, _) = mints(&db, &["pause", "--by", "ann", "--note", "storm"]).await;
        assert_eq!(out, "all mints are paused\n");
        let (_, out, _) = mints(&db, &["pause", "--by", "bob"]).await;
        assert_eq!(out, "all mints are paused already\n");
        let doctor = json(&db, &["doctor", "--sender", &user]).await;
        let check = |what: &str| {
            let all = doctor["checks"].as_array().unwrap();
            all.iter()
                .find(|c| c["what"] == what)
                .unwrap_or_else(|| panic!("{what}: {doctor}"))
                .clone()
        };
        assert_eq!(check("pauses")["well"], false);
        assert_eq!(check("authorisation")["well"], false);
        assert_eq!(check("breaks")["well"], true);
        let (_, out, _) = mints(&db, &["resume", "--by", "ann"]).await;
        assert!(
            out.starts_with("would lift the pause of all mints"),
            "{out}"
        );
        mints(&db, &["resume", "--by", "ann", "--yes"]).await;
        assert_eq!(
            db.number("select count(*) from mint_pause where lifted_at is null")
                .await,
            0
        );
        let (code, _, err) = mints(&db, &["resume", "--by", "ann", "--yes"]).await;
        assert!(code == Some(2) && err.contains("not paused"), "{err}");
        db.drop().await;
    });
}

#[test]
fn what_nobody_can_have_meant_is_refused_with_the_reason() {
    run(async {
        let (db, user) = prepared().await;
        let contract = db
            .text("select contract from mint_award limit 1")
            .await
            .unwrap();
        let lower = user.to_lowercase();
        for (args, words) in [
            (&["report", "--user", "nobody"][..], "nobody"),
            (&["report", "--user", &lower], "cannot read"),
            (&["list", "--recipient", "nobody"], "nobody"),
            (&["list", "--limit", "0"], "0 is not in"),
            (&["list", "--kind", "-1"], "-1"),
            (
                &["list", "--kind", "18446744073709551616"],
                "number too large",
            ),
            (&["list", "--reason", "bad luck"], "it is one of"),
            (&["show", "0"], "there is no mint 0"),
            (&["show", "x"], "invalid digit"),
            (
                &["pause", "--by", "ann", "--contract", "freelance-badges"],
                "freelance-badges",
            ),
            (
                &["pause", "--by", "ann", "--contract", &user],
                "it is no contract",
            ),
            (
                &["pause", "--by", "ann", "--lane", &contract],
                "no address of a key",
            ),
            (
                &[
                    "pause",
                    "--by",
                    "ann",
                    "--lane",
                    &user,
                    "--contract",
                    &contract,
                ],
                "cannot be used with",
            ),
            (
                &["accept", "--by", "ann", "--lane", &user, "--nonce", "-1"],
                "-1",
            ),
            (
                &["accept", "--by", "ann", "--lane", &user, "--nonce", "7"],
                "neither the next nonce",
            ),
            (&["doctor", "--sender", "nobody"], "nobody"),
            (&["attestations"], "set platform.url"),
            (&["attestations", "--for-blocks", "0"], "0 is not in"),
        ] {
            let (code, out, err) = mints(&db, args).await;
            assert!(
                code == Some(2) && err.contains(words),
                "{args:?}: {code:?} {out} {err}"
            );
        }
        assert_eq!(db.number("select count(*) from mint_pause").await, 0);
        // Nobody mints with that key: it is said, and paused all the same.
        let (_, out, _) = mints(&db, &["pause", "--by", "ann", "--lane", &user]).await;
        assert!(out.contains("nothing was minted there until now"), "{out}");
        db.drop().await;
    });
}
