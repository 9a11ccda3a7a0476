//! Whom an attestor should attest, by a platform's word: proposed, with the call that the contract takes, and never more.

use std::process::Command;

use serde_json::Value as Json;
use stxworx_clarity::codec::Value;
use stxworx_reconciler::mint::attest::{handle_hash, hex0x};

use super::faces::prepared;
use crate::support::db::TestDb;
use crate::support::run;
use crate::tools::{output, stderr, stdout, stxworx};

const SCHEMA: &str = "
    create table users (id text primary key, stx_address text);
    create table x_integrations (user_id text primary key, handle varchar(50), verified boolean);";

/// The command on a mirror and a platform.
fn asking(db: &TestDb, platform: &str, args: &[&str]) -> Command {
    let mut all = vec!["mints"];
    all.extend(args);
    let mut command = stxworx(&all);
    command.env("DATABASE_URL", &db.url);
    command.env("STXWORX_PLATFORM_URL", platform);
    command
}

async fn json(db: &TestDb, platform: &str, args: &[&str]) -> Json {
    let output = output(asking(db, platform, args)).await;
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Users of the mirror without an attestation that holds.
async fn unattested(db: &TestDb) -> Vec<String> {
    let text = db
        .text(
            "select string_agg(split_part(k.entity, '/', 2), ' ' order by k.entity)
             from projection_current k join projection_version v on v.id = k.version_id
             where k.projection = (select id from projection where name = 'profiles') and v.state ->> 'x' is null
               and not exists (select from projection_version b where b.projection = 13
                               and b.state ->> 'owner' = split_part(k.entity, '/', 2))",
        )
        .await
        .unwrap();
    text.split(' ').map(str::to_owned).collect()
}

#[test]
fn those_whom_the_platform_calls_verified_are_proposed_with_the_call_to_sign() {
    run(async {
        let (db, _) = prepared().await;
        let platform = TestDb::empty().await;
        let users = unattested(&db).await;
        let [ann, bob, cat, dan, ..] = &users[..] else {
            panic!("{users:?}")
        };
        // One whom the chain has never heard of.
        let new = stxworx_clarity::market::Actor::of("newcomer")
            .principal()
            .to_string();
        let rows = [
            ("1", ann.as_str(), "'@Ann_X'", true),
            ("2", bob, "'Twin'", true),
            ("3", cat, "'twin'", true),
            ("4", dan, "'dan'", false),
            ("5", &new, "'new_one'", true),
            ("6", "", "'ghost'", true),
            ("7", &users[4], "null", true),
        ];
        let rows = rows.map(|(id, user, handle, verified)| {
            format!(
                "insert into users values ('{id}', '{user}'); insert into x_integrations values ('{id}', {handle}, {verified});"
            )
        });
        platform.sql(format!("{SCHEMA} {}", rows.concat())).await;
        let before = platform.text("select string_agg(u::text || x::text, ',' order by id) from users u join x_integrations x on user_id = id").await;

        let found = json(&db, &platform.url, &["attestations", "--json"]).await;
        assert_eq!(found["platform_verified"], 6);
        assert!(!found["attestors"].as_array().unwrap().is_empty());
        let proposals = found["proposals"].as_array().unwrap();
        let of = |key: &str| {
            let mut all = proposals.iter().filter(|p| p["platform_key"] == key);
            all.next()
                .unwrap_or_else(|| panic!("row {key} is not proposed: {found:#}"))
        };
        let burn_height = found["tip"]["burn_height"].as_u64().unwrap();
        for (key, user, handle) in [("1", ann, "ann_x"), ("5", &new, "new_one")] {
            let (it, call) = (of(key), &of(key)["call"]);
            assert_eq!(it["user"], user.as_str());
            assert!(
                it["waits"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .any(|w| w["kind"] == 5),
                "{it}"
            );
            assert_eq!(call["function"], "attest-x");
            assert!(
                call["contract"]
                    .as_str()
                    .unwrap()
                    .ends_with(".freelance-data")
            );
            let value = |at: usize| {
                let bytes = call["arguments"][at]["hex"].as_str().unwrap();
                Value::decode_exact(&hex::decode(&bytes[2..]).unwrap()).unwrap()
            };
            assert_eq!(value(0).as_principal().unwrap().to_string(), *user);
            assert_eq!(value(1).as_buffer().unwrap(), handle_hash(handle));
            assert_eq!(value(2).as_u128(), Some(u128::from(burn_height) + 52_560));
        }
        for (key, problem) in [
            ("2", "shared_handle"),
            ("3", "shared_handle"),
            ("6", "no_address"),
            ("7", "no_handle"),
        ] {
            assert_eq!(
                (&of(key)["problem"], &of(key)["call"]),
                (&problem.into(), &Json::Null)
            );
        }
        assert!(
            proposals.iter().all(|p| p["platform_key"] != "4"),
            "the platform does not call dan verified"
        );

        let text = output(asking(
            &db,
            &platform.url,
            &["attestations", "--for-blocks", "10"],
        ))
        .await;
        let said = stdout(&text);
        let call = format!(" {} u{})", hex0x(&handle_hash("ann_x")), burn_height + 10);
        assert!(
            said.contains(&call) && said.contains("2 calls to sign"),
            "{said}"
        );
        let report = json(&db, &platform.url, &["report", "--output", "json"]).await;
        let counts = &report["attestations"];
        assert_eq!(counts["proposed"], 5, "of those with an address");
        assert!(counts["waiting"].as_u64().unwrap() > 0);
        let after = platform.text("select string_agg(u::text || x::text, ',' order by id) from users u join x_integrations x on user_id = id").await;
        assert_eq!(before, after, "the platform is only read");
        db.drop().await;
        platform.drop().await;
    });
}

#[test]
fn without_a_platform_or_its_names_it_says_so() {
    run(async {
        let (db, user) = prepared().await;
        let report = output(asking(&db, "", &["report"])).await;
        assert!(
            stdout(&report).contains("no platform is configured"),
            "{}",
            stdout(&report)
        );
        let platform = TestDb::empty().await;
        platform
            .sql("create table users (id text primary key, stx_address text)")
            .await;
        let refused = output(asking(&db, &platform.url, &["attestations"])).await;
        assert_eq!(refused.status.code(), Some(2));
        assert!(
            stderr(&refused).contains("there is no column x_verified"),
            "{}",
            stderr(&refused)
        );
        let report = output(asking(&db, &platform.url, &["report"])).await;
        assert_eq!(
            report.status.code(),
            Some(0),
            "a report does not need the platform"
        );
        assert!(
            stdout(&report).contains("x_verified"),
            "{}",
            stdout(&report)
        );
        // An own query that knows no names: whom, and that there is no call.
        platform
            .sql(format!("insert into users values ('1', '{user}')"))
            .await;
        let mut command = asking(&db, &platform.url, &["attestations", "--json"]);
        command.env(
            "STXWORX_PLATFORM_USERS_QUERY",
            "select id as key, stx_address as principal, true as x_verified from users",
        );
        let found = output(command).await;
        let found: Json = serde_json::from_slice(&found.stdout).unwrap();
        let problems = found["proposals"].as_array().unwrap();
        assert!(
            problems.iter().all(|p| p["problem"] == "no_handle"),
            "{found}"
        );
        db.drop().await;
        platform.drop().await;
    });
}
