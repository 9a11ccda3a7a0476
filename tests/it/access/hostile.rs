//! Everything that a stranger can send to a route that reads.

use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value as Json;
use stxworx::post::Order;

use super::{bearer, key, try_ask};
use crate::support::app::{App, config};
use crate::support::db::TestDb;
use crate::support::mirror::settled;
use crate::support::run;
use crate::tools::small_chain;

/// Values that no parameter wants, percent-encoded where they must be.
fn values() -> Vec<String> {
    let mut all: Vec<String> = [
        "",
        "0",
        "-1",
        "-0",
        "+1",
        "1.5",
        "1e9",
        "0x10",
        "NaN",
        "null",
        "true",
        "[]",
        "{}",
        "2147483647",
        "2147483648",
        "4294967296",
        "9223372036854775807",
        "9223372036854775808",
        "340282366920938463463374607431768211456",
        "99999999999999999999999999999999999999999999",
        "latest",
        "%00",
        "a%00b",
        "%0a%0d",
        "%ff%fe",
        "%",
        "%zz",
        "%e2%82%ac",
        "%f0%9f%92%a9",
        "%c0%80",
        "%ef%bf%bf",
        "%e2%80%ae",
        "..",
        "..%2f..%2fetc%2fpasswd",
        "'%20or%20''%3d'",
        "1%3bdrop%20table%20block",
        "%25s%25n",
        "%24%7bjndi%7d",
        "%3cscript%3e",
        "SP000000000000000000002Q6VF78",
        "SP000000000000000000002Q6VF78.nowhere",
        "ST1.x",
        "SP000000000000000000002Q6VF79",
        ".",
        ".x",
        "x.",
        "0x",
        "0xzz",
        "AAAA",
        "____",
        "a,b",
        "a+b",
        "a%20b",
        "1,2",
        "*",
    ]
    .iter()
    .map(|text| (*text).to_owned())
    .collect();
    for (unit, count) in [
        ("9", 400),
        ("a", 5000),
        ("%00", 200),
        ("%e2%82%ac", 600),
        ("0", 64),
        ("f", 64),
    ] {
        all.push(unit.repeat(count));
    }
    all.push(format!("0x{}", "0".repeat(64)));
    all.push(format!("0x{}", "g".repeat(64)));
    all
}

struct Target {
    at: SocketAddr,
    key: String,
    sent: usize,
    codes: std::collections::BTreeMap<String, usize>,
}

impl Target {
    /// Sends a request and judges the answer.
    async fn send(&mut self, target: &[u8]) -> Option<Json> {
        self.sent += 1;
        let by = bearer(&self.key);
        let shown = String::from_utf8_lossy(&target[..target.len().min(300)]).into_owned();
        let Some(reply) = try_ask(self.at, target, &[("authorization", &by)]).await else {
            // Longer than the head of any request: closed, perhaps before the refusal could be read.
            assert!(target.len() > 60_000, "no answer to {shown}");
            return None;
        };
        let status = reply.status();
        *self.codes.entry(status.to_string()).or_default() += 1;
        assert!(status < 500, "{status} for {shown}: {:?}", reply.body);
        if status < 400 {
            return None;
        }
        let bare = reply.body.is_empty()
            && (target.len() > 60_000
                || !target.iter().all(u8::is_ascii_graphic)
                || shown.contains(['"', '<']));
        if bare {
            // Not HTTP, so that no route and no layer has seen it.
            assert!([400, 414, 431].contains(&status), "{status} for {shown}");
            return None;
        }
        assert_eq!(
            reply.header("content-type"),
            Some("application/problem+json"),
            "{shown}"
        );
        let problem = reply.json();
        for field in ["type", "title", "detail", "code"] {
            assert!(
                !problem[field].as_str().unwrap_or_default().is_empty(),
                "{field} of {shown}"
            );
        }
        if problem["code"] == "invalid_parameter" {
            for field in ["parameter", "expected"] {
                assert!(problem[field].is_string(), "{field} of {shown}: {problem}");
            }
        }
        *self
            .codes
            .entry(problem["code"].as_str().unwrap().to_owned())
            .or_default() += 1;
        Some(problem)
    }
}

/// The routes that read: path and names of query parameters.
async fn routes(at: SocketAddr) -> Vec<(String, Vec<String>)> {
    let document = super::ask(at, "/v1/openapi.json", &[]).await.json();
    let mut routes = Vec::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        let get = &operations["get"];
        // A stream has no end to wait for.
        let streams = get["responses"]["200"]["content"]
            .get("text/event-stream")
            .is_some()
            || get["responses"].get("101").is_some();
        if get.is_null() || streams {
            continue;
        }
        let parameters = get["parameters"].as_array().cloned().unwrap_or_default();
        let names = parameters
            .iter()
            .filter(|p| p["in"] == "query")
            .map(|p| p["name"].as_str().unwrap().to_owned());
        routes.push((path.clone(), names.collect()));
    }
    routes
}

/// A path with every place filled.
fn filled(path: &str, with: &str) -> String {
    let mut out = String::new();
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        out.push_str(with);
        rest = after.split_once('}').unwrap().1;
    }
    out + rest
}

async fn begin() -> (TestDb, App, Target) {
    let db = TestDb::new().await;
    let settings = [
        ("api.address_rate_per_second", "0"),
        ("api.key_rate_per_second", "0"),
    ];
    let app = App::start(&db, &config(&settings)).await;
    app.post(small_chain().entries(), Order::default()).await;
    settled(&db).await;
    let target = Target {
        at: app.addresses.api.unwrap(),
        key: key(&db, "hostile", "admin").await,
        sent: 0,
        codes: std::collections::BTreeMap::new(),
    };
    (db, app, target)
}

async fn end(db: TestDb, app: App, target: Target) {
    println!("{} requests: {:?}", target.sent, target.codes);
    app.stop().await.unwrap();
    db.drop().await;
}

#[test]
fn no_value_of_any_parameter_is_a_fault_of_ours() {
    run(async {
        let (db, app, mut target) = begin().await;
        let values = values();
        for (path, names) in routes(target.at).await {
            let plain = filled(&path, "1");
            for value in &values {
                if path.contains('{') {
                    target.send(filled(&path, value).as_bytes()).await;
                }
                for name in &names {
                    target
                        .send(format!("{plain}?{name}={value}").as_bytes())
                        .await;
                }
            }
        }
        assert!(target.sent > 3000, "{}", target.sent);
        end(db, app, target).await;
    });
}

#[test]
fn no_query_of_any_form_is_a_fault_of_ours() {
    run(async {
        let (db, app, mut target) = begin().await;
        let long = "x".repeat(1_000_000);
        for (path, names) in routes(target.at).await {
            let plain = filled(&path, "1");
            for query in [
                "",
                "&",
                "&&&",
                "=",
                "=1",
                "limit",
                "limit=",
                "limit&limit",
                "%=1",
                "a%00=1",
                "\u{fffd}=1",
                "limit=1;limit=2",
                "limit[]=1",
                "limit[0]=1",
                "__proto__=1",
                "undocumented=1",
                "LIMIT=1",
                " limit=1",
                "limit =1",
            ] {
                target.send(format!("{plain}?{query}").as_bytes()).await;
            }
            for name in &names {
                let problem = target
                    .send(format!("{plain}?{name}=1&{name}=1").as_bytes())
                    .await;
                let problem = problem.expect("a refusal of what is repeated");
                assert!(
                    ["invalid_parameter", "not_found"].contains(&problem["code"].as_str().unwrap()),
                    "{problem}"
                );
            }
            target.send(format!("{plain}?a={long}").as_bytes()).await;
            target
                .send(format!("{plain}?a={}", &long[..20_000]).as_bytes())
                .await;
            target
                .send(format!("{plain}?{}", "a=1&".repeat(1900)).as_bytes())
                .await;
            target.send(format!("{plain}/").as_bytes()).await;
            target.send(format!("/{plain}").as_bytes()).await;
            for byte in [0u8, 1, 0x7f, 0x80, 0xff, b' ', b'"', b'<'] {
                target
                    .send(&[plain.as_bytes(), b"?a=", &[byte], b"b"].concat())
                    .await;
            }
        }
        end(db, app, target).await;
    });
}

#[test]
fn a_cursor_that_was_changed_or_is_anothers_is_refused() {
    run(async {
        let (db, app, mut target) = begin().await;
        let mut cursors = Vec::new();
        let lists: Vec<_> = routes(target.at)
            .await
            .into_iter()
            .filter(|(path, names)| names.iter().any(|n| n == "cursor") && !path.contains('{'))
            .map(|(path, _)| path)
            .collect();
        for path in &lists {
            let by = bearer(&target.key);
            let page = super::ask(
                target.at,
                &format!("{path}?limit=1"),
                &[("authorization", &by)],
            )
            .await;
            assert_eq!(page.status(), 200, "{path}: {}", page.text());
            if let Some(cursor) = page.json()["next_cursor"].as_str() {
                cursors.push((path.clone(), cursor.to_owned()));
            }
        }
        assert!(cursors.len() >= 3, "{cursors:?}");
        for (path, cursor) in &cursors {
            for other in lists.iter().filter(|other| *other != path) {
                let problem = target
                    .send(format!("{other}?cursor={cursor}").as_bytes())
                    .await;
                assert_eq!(problem.unwrap()["code"], "bad_cursor", "{path} at {other}");
            }
            let bytes = URL_SAFE_NO_PAD.decode(cursor).unwrap();
            for place in 0..bytes.len() {
                let mut changed = bytes.clone();
                changed[place] ^= 1 << (place % 8);
                for text in [
                    URL_SAFE_NO_PAD.encode(&changed),
                    URL_SAFE_NO_PAD.encode(&bytes[..place]),
                ] {
                    let problem = target
                        .send(format!("{path}?cursor={text}").as_bytes())
                        .await;
                    assert_eq!(problem.unwrap()["code"], "bad_cursor", "{path} {text}");
                }
            }
        }
        end(db, app, target).await;
    });
}
