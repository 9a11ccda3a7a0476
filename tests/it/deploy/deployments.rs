//! The contracts on the chain against this version's: equal on the devnet, and each lie of a server in between is named.

use std::process::Output;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{Method, Uri};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value as Json, json};
use stxworx::recording::Entry;
use stxworx_clarity::contracts::SOURCES;
use stxworx_clarity::market::Actor;

use crate::devnet::history::History;
use crate::devnet::node_source::{Served, serve};
use crate::support::chain::Engine;
use crate::support::db::TestDb;
use crate::support::run;
use crate::tools::{output, stderr, stdout, stxworx};

type Lie = fn(&str, Json) -> Json;

/// Stands before a node and changes what it answers.
async fn between(node: &str, lie: Lie) -> String {
    // A second installation is no error.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let router = Router::new()
        .fallback(pass)
        .with_state((node.to_owned(), lie));
    format!("http://{}", serve(router).await)
}

async fn pass(
    State((node, lie)): State<(String, Lie)>,
    method: Method,
    uri: Uri,
    body: Bytes,
) -> Response {
    let client = reqwest::Client::new();
    let request = client
        .request(method, format!("{node}{uri}"))
        .header("content-type", "application/json")
        .body(body);
    let answer = request.send().await.unwrap();
    let status = answer.status();
    let bytes = answer.bytes().await.unwrap();
    match serde_json::from_slice(&bytes) {
        Ok(json) => (status, axum::Json(lie(uri.path(), json))).into_response(),
        Err(_) => (status, bytes).into_response(),
    }
}

async fn verify(node: &str, more: &[&str]) -> Output {
    let mut arguments = vec!["deployments", "verify", "--node", node];
    arguments.extend(more);
    let mut command = stxworx(&arguments);
    command.env("STXWORX_DATA_DIR", "/nonexistent");
    output(command).await
}

async fn report(node: &str, deployer: &str) -> (Option<i32>, Json) {
    let done = verify(node, &["--deployer", deployer, "--output", "json"]).await;
    let json = serde_json::from_str(&stdout(&done));
    (
        done.status.code(),
        json.unwrap_or_else(|e| panic!("{e}: {}", stderr(&done))),
    )
}

fn contract<'a>(report: &'a Json, name: &str) -> &'a Json {
    let all = report["contracts"].as_array().unwrap();
    let found = all
        .iter()
        .find(|c| c["contract"].as_str().unwrap().ends_with(name));
    found.unwrap_or_else(|| panic!("{name}: {report:#}"))
}

fn constant<'a>(of: &'a Json, name: &str) -> &'a Json {
    let all = of["constants"].as_array().unwrap();
    let found = all.iter().find(|c| c["name"] == name);
    found.unwrap_or_else(|| panic!("{name}: {of:#}"))
}

/// A chain on which everything is deployed.
async fn deployed() -> (Served, String, Vec<Entry>) {
    let mut history = History::new(33, 30);
    history.grow(30);
    let said = history.said();
    (
        Served::new(history).await,
        Actor::of("deployer").address.to_string(),
        said,
    )
}

#[test]
fn what_the_devnet_runs_is_this_versions() {
    run(async {
        let (served, deployer, said) = deployed().await;
        let (code, report) = report(&served.url, &deployer).await;
        assert_eq!(code, Some(0), "{report:#}");
        assert_eq!(
            report["contracts"].as_array().unwrap().len(),
            SOURCES.len() - 1
        );
        for of in report["contracts"].as_array().unwrap() {
            assert_eq!(of["verdict"], "equal");
            assert!(of["clarity_version"].is_string());
            assert!(of["publish_height"].is_u64());
        }
        let security = contract(&report, "freelance-security");
        assert_eq!(constant(security, "timelock, critical")["value"], "u144");
        assert_eq!(constant(security, "approvals, routine")["value"], "u2");
        assert_eq!(security["first_signers"].as_array().unwrap().len(), 5);
        let model = served.history.model(&served.chain.lock().tip().header.id);
        let fee = constant(contract(&report, "freelance-logic"), "fee-bps");
        assert_eq!(fee["value"], format!("u{}", model.logic.config.fee_bps));
        let writes = constant(
            contract(&report, "freelance-data"),
            "freelance-logic writes",
        );
        assert_eq!(writes["value"], "true");

        // By what is followed, with what only the mirror knows: who was ever named a minter.
        let db = TestDb::new().await;
        let engine = Engine::start_with(&db, served.history.follow());
        engine.feed(&db, &said).await;
        engine.stop().await;
        let follow = served.history.follow();
        let contracts: Vec<_> = follow.contracts.into_iter().collect();
        let mut command = stxworx(&["deployments", "verify"]);
        command
            .env("DATABASE_URL", &db.url)
            .env("STXWORX_NODE_RPC_URL", &served.url)
            .env("STXWORX_FOLLOW_CONTRACTS", contracts.join(","));
        let done = output(command).await;
        let text = stdout(&done);
        assert_eq!(done.status.code(), Some(0), "{text}{}", stderr(&done));
        assert!(
            text.contains("freelance-traits: equal, byte by byte"),
            "{text}"
        );
        let minters = db
            .number("select count(*) from projection_current where projection = 16 and entity like '%/minter-set/%'")
            .await;
        let told = text
            .lines()
            .filter(|l| l.trim_start().starts_with("mints: "));
        assert_eq!(i64::try_from(told.count()).unwrap(), minters, "{text}");
        assert!(minters > 0, "nobody was named a minter");
        db.drop().await;
    });
}

#[test]
fn each_thing_that_is_not_so_is_named_and_exits_with_3() {
    run(async {
        let (served, deployer, _) = deployed().await;
        // One byte of one contract.
        let byte: Lie = |path, mut json| {
            if path.starts_with("/v2/contracts/source/") && path.ends_with("/freelance-logic") {
                let source = json["source"].as_str().unwrap();
                json["source"] = json!(source.replacen(
                    "(define-constant MAX-FEE-BPS u1000)",
                    "(define-constant MAX-FEE-BPS u9000)",
                    1
                ));
            }
            json
        };
        let (code, said) = report(&between(&served.url, byte).await, &deployer).await;
        assert_eq!(code, Some(3));
        let logic = contract(&said, "freelance-logic");
        let line = SOURCES[3]
            .1
            .lines()
            .position(|l| l.contains("MAX-FEE-BPS u1000"))
            .unwrap()
            + 1;
        assert_eq!(
            (&logic["verdict"], &logic["difference"]["line"]),
            (&json!("differs"), &json!(line)),
            "{logic:#}"
        );
        assert_eq!(
            logic["difference"]["found"],
            "(define-constant MAX-FEE-BPS u9000)\n"
        );
        assert_eq!(contract(&said, "freelance-data")["verdict"], "equal");

        // The same contracts, if they were on a network of value: with signers that everybody is, of another Clarity.
        let mut command = stxworx(&["deployments", "verify", "--node", &served.url]);
        command
            .args(["--deployer", &deployer, "--output", "json"])
            .env("STXWORX_NETWORK", "testnet")
            .env("STXWORX_DATA_DIR", "/nonexistent");
        let done = output(command).await;
        assert_eq!(done.status.code(), Some(3));
        let said: Json = serde_json::from_str(&stdout(&done)).unwrap();
        let wrong = |name| contract(&said, name)["wrong"].as_array().unwrap().clone();
        assert_eq!(
            wrong("freelance-badges"),
            ["published as Clarity2, not as Clarity3"]
        );
        let signers = wrong("freelance-security")[0].as_str().unwrap().to_owned();
        assert!(signers.contains("whose key everybody has"), "{signers}");

        let timelock: Lie = |path, mut json| {
            if path.ends_with("/freelance-security/delay") {
                // The value u0.
                json["result"] = json!(format!("0x01{}", "00".repeat(16)));
            }
            json
        };
        let (code, said) = report(&between(&served.url, timelock).await, &deployer).await;
        assert_eq!(code, Some(3));
        let security = contract(&said, "freelance-security");
        assert_eq!(security["verdict"], "equal");
        assert_eq!(
            constant(security, "timelock, critical")["wrong"],
            "it must be u144"
        );
        assert_eq!(constant(security, "timelock, emergency").get("wrong"), None);

        // A contract that is not there, one that is unknown, and nobody to ask.
        let nobody = Actor::of("nobody").address.to_string();
        let absent = verify(
            &served.url,
            &["--contract", &format!("{nobody}.freelance-logic")],
        )
        .await;
        assert_eq!(absent.status.code(), Some(3));
        assert!(stdout(&absent).contains("ABSENT"), "{}", stdout(&absent));
        let none = output(stxworx(&["deployments", "verify", "--deployer", &nobody])).await;
        assert_eq!(none.status.code(), Some(2));
        assert!(stderr(&none).contains("nobody to ask"), "{}", stderr(&none));
        let closed = verify("http://127.0.0.1:1", &["--deployer", &nobody]).await;
        assert_eq!(closed.status.code(), Some(1), "{}", stderr(&closed));
    });
}
