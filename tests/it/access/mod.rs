//! Who may ask, as what, and how often; and what strangers may send.

mod connections;
mod hostile;

use std::net::SocketAddr;

use serde_json::Value as Json;
use stxworx::post::Order;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::app::{App, config};
use crate::support::db::TestDb;
use crate::support::mirror::settled;
use crate::support::{eventually, run};
use crate::tools::{Daemon, Reply, small_chain, stderr, stdout, stxworx, stxworx_on};

const SECRET: &str = "0123456789abcdef0123456789abcdef-of-a-test";

/// One request on a connection of its own, with these headers. None when the server closed without an answer.
pub(super) async fn try_ask(
    at: SocketAddr,
    target: &[u8],
    headers: &[(&str, &str)],
) -> Option<Reply> {
    let mut stream = TcpStream::connect(at).await.ok()?;
    let mut bytes = b"GET ".to_vec();
    bytes.extend_from_slice(target);
    bytes.extend_from_slice(b" HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n");
    for (name, value) in headers {
        bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    // A refusal may come before all of it is through.
    let _ = stream.write_all(&bytes).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    (!answer.is_empty()).then(|| Reply::parse(&answer))
}

pub(super) async fn ask(at: SocketAddr, target: &str, headers: &[(&str, &str)]) -> Reply {
    try_ask(at, target.as_bytes(), headers)
        .await
        .unwrap_or_else(|| panic!("no answer to {target}"))
}

/// A key made by the command.
pub(super) async fn key(db: &TestDb, name: &str, role: &str) -> String {
    let made = stxworx_on(db, &["keys", "create", "--name", name, "--role", role]).await;
    assert_eq!(made.status.code(), Some(0), "{}", stderr(&made));
    stdout(&made).trim().to_owned()
}

pub(super) fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

/// Waits until a writer has taken the mirror up; before, nothing is read from it.
async fn begun(db: &TestDb) {
    eventually("the beginning of the mirror", || async {
        match db.number("select count(*) from mirror").await {
            1 => Ok(()),
            n => Err(n.to_string()),
        }
    })
    .await;
}

fn id(key: &str) -> &str {
    key.split('_').nth(1).unwrap()
}

fn column<'a>(page: &'a Json, field: &str) -> Vec<&'a str> {
    let rows = page["data"].as_array().unwrap();
    rows.iter()
        .map(|row| row[field].as_str().unwrap())
        .collect()
}

#[test]
fn a_key_opens_what_its_role_may_see_until_it_is_revoked() {
    run(async {
        let db = TestDb::new().await;
        let secret = format!("{SECRET:?}");
        let app = App::start(&db, &config(&[("api.jwt_secret", &secret)])).await;
        let at = app.addresses.api.unwrap();
        begun(&db).await;
        let nobody = ask(at, "/v1/audit-log", &[]).await;
        assert_eq!(
            (nobody.status(), nobody.header("www-authenticate")),
            (401, Some("Bearer"))
        );
        assert_eq!(nobody.json()["code"], "unauthorized");

        let (operator, reader) = (
            key(&db, "ops", "operator").await,
            key(&db, "web", "reader").await,
        );
        let low = ask(at, "/v1/audit-log", &[("authorization", &bearer(&reader))]).await;
        assert_eq!(
            (low.status(), low.json()["code"].as_str()),
            (403, Some("forbidden"))
        );
        let log = ask(
            at,
            "/v1/audit-log",
            &[("authorization", &bearer(&operator))],
        )
        .await;
        assert_eq!(log.status(), 200, "{}", log.text());
        let page = log.json();
        assert_eq!(column(&page, "action"), ["key.create", "key.create"]);
        assert_eq!(column(&page, "target"), [id(&reader), id(&operator)]);
        assert_eq!(column(&page, "kind"), ["cli", "cli"]);
        assert_eq!(page["data"][0]["after"]["role"], "reader");
        assert!(!log.text().contains(operator.rsplit('_').next().unwrap()));

        let revoked = stxworx_on(&db, &["keys", "revoke", id(&operator)]).await;
        assert_eq!(revoked.status.code(), Some(0), "{}", stderr(&revoked));
        eventually("the end of the key", || async {
            let reply = ask(at, "/v1/audit-log", &[("x-api-key", &operator)]).await;
            match reply.status() {
                401 => Ok(()),
                other => Err(other.to_string()),
            }
        })
        .await;

        let mut command = stxworx(&[
            "keys", "token", "--name", "ann", "--role", "operator", "--for", "1h",
        ]);
        command.env("STXWORX_API_JWT_SECRET", SECRET);
        let token = stdout(&crate::tools::output(command).await)
            .trim()
            .to_owned();
        let by = bearer(&token);
        let filtered = format!("/v1/audit-log?action=key.revoke&target={}", id(&operator));
        let log = ask(at, &filtered, &[("authorization", &by)]).await.json();
        assert_eq!(column(&log, "action"), ["key.revoke"]);
        assert_eq!(
            (
                &log["data"][0]["before"]["revoked"],
                &log["data"][0]["after"]["revoked"]
            ),
            (&false.into(), &true.into())
        );
        let first = ask(at, "/v1/audit-log?limit=2", &[("authorization", &by)])
            .await
            .json();
        let next = first["next_cursor"].as_str().unwrap();
        let rest = ask(
            at,
            &format!("/v1/audit-log?limit=2&cursor={next}"),
            &[("authorization", &by)],
        )
        .await
        .json();
        assert_eq!(first["data"].as_array().unwrap().len(), 2);
        assert_eq!(rest["data"].as_array().unwrap().len(), 1);
        assert!(rest["next_cursor"].is_null());
        app.stop().await.unwrap();
        db.drop().await;
    });
}

#[test]
fn what_administrators_did_cannot_be_undone_in_the_log() {
    run(async {
        let db = TestDb::new().await;
        let made = key(&db, "ops", "admin").await;
        for change in [
            "update admin_action set actor = 'nobody'",
            "delete from admin_action",
            "truncate admin_action",
        ] {
            let refused = sqlx::raw_sql(change).execute(&db.pool).await.unwrap_err();
            assert!(
                refused.to_string().contains("only appended to"),
                "{change}: {refused}"
            );
        }
        assert_eq!(db.number("select count(*) from admin_action").await, 1);
        for (role, change) in [
            ("stxworx_writer", "update admin_action set actor = 'nobody'"),
            ("stxworx_writer", "delete from admin_action"),
            ("stxworx_writer", "update api_key set role = 'admin'"),
            ("stxworx_writer", "delete from api_key"),
            ("stxworx_reader", "update api_key set revoked_at = null"),
            (
                "stxworx_reader",
                "insert into admin_action (actor, kind, role, action, target) values ('a', 'cli', 'admin', 'a', 'a')",
            ),
        ] {
            let as_role = sqlx::AssertSqlSafe(format!("set local role {role}; {change}"));
            let refused = sqlx::raw_sql(as_role).execute(&db.pool).await.unwrap_err();
            assert!(
                refused.to_string().contains("permission denied"),
                "{change}: {refused}"
            );
        }
        // At rest there is the hash alone.
        let secret = made.rsplit('_').next().unwrap();
        let stored = db
            .text("select string_agg(k::text, ' ') from api_key k")
            .await
            .unwrap();
        assert!(stored.contains(id(&made)) && !stored.contains(secret));
        let again = stxworx_on(&db, &["keys", "revoke", &made]).await;
        assert_eq!(stdout(&again), format!("key {} is revoked\n", id(&made)));
        let again = stxworx_on(&db, &["keys", "revoke", id(&made)]).await;
        assert_eq!(
            stdout(&again),
            format!("key {} was revoked before\n", id(&made))
        );
        assert_eq!(db.number("select count(*) from admin_action").await, 2);
        let unknown = stxworx_on(&db, &["keys", "revoke", "0000000000000000"]).await;
        assert_eq!(unknown.status.code(), Some(2));
        let list = stxworx_on(&db, &["keys", "list"]).await;
        assert!(
            stdout(&list).contains("revoked") && stdout(&list).ends_with("1 keys\n"),
            "{list:?}"
        );
        db.drop().await;
    });
}

#[test]
fn a_service_may_answer_only_to_those_it_knows() {
    run(async {
        let db = TestDb::new().await;
        let app = App::start(&db, &config(&[("api.require_key", "true")])).await;
        app.post(small_chain().entries(), Order::default()).await;
        settled(&db).await;
        let at = app.addresses.api.unwrap();
        let reader = key(&db, "web", "reader").await;
        let wrong = format!(
            "{}{}",
            &reader[..reader.len() - 1],
            if reader.ends_with('0') { '1' } else { '0' }
        );
        for (headers, status) in [
            (vec![], 401),
            (vec![("x-api-key", reader.as_str())], 200),
            (vec![("x-api-key", wrong.as_str())], 401),
            (vec![("x-api-key", "stxworx_0000000000000000_00")], 401),
            (vec![("authorization", "Basic YTpi")], 401),
            (
                vec![("authorization", "Bearer eyJhbGciOiJub25lIn0.e30.")],
                401,
            ),
            (vec![("authorization", "Bearer")], 401),
            (
                vec![
                    ("x-api-key", reader.as_str()),
                    ("authorization", "Bearer x"),
                ],
                401,
            ),
            (
                vec![
                    ("x-api-key", reader.as_str()),
                    ("x-api-key", reader.as_str()),
                ],
                401,
            ),
        ] {
            let reply = ask(at, "/v1/blocks", &headers).await;
            assert_eq!(reply.status(), status, "{headers:?}: {}", reply.text());
        }
        for open in ["/health/live", "/docs", "/v1/openapi.json"] {
            assert_eq!(ask(at, open, &[]).await.status(), 200, "{open}");
        }
        assert!(
            db.number("select count(*) from api_key where last_used_at is not null")
                .await
                <= 1
        );
        eventually("a note of the key's use", || async {
            match db
                .number("select count(*) from api_key where last_used_at is not null")
                .await
            {
                1 => Ok(()),
                n => Err(n.to_string()),
            }
        })
        .await;
        app.stop().await.unwrap();
        db.drop().await;
    });
}

#[test]
fn who_asks_too_often_waits_and_others_do_not() {
    run(async {
        let db = TestDb::new().await;
        let settings = [
            ("api.address_rate_per_second", "1"),
            ("api.address_burst", "3"),
            ("api.trusted_proxies", "[\"127.0.0.1\"]"),
        ];
        let app = App::start(&db, &config(&settings)).await;
        let at = app.addresses.api.unwrap();
        let reader = key(&db, "web", "reader").await;
        let from = |address: &'static str| async move {
            let mut last = ask(at, "/v1/reorgs", &[("x-forwarded-for", address)]).await;
            for _ in 0..30 {
                if last.status() == 429 {
                    break;
                }
                last = ask(at, "/v1/reorgs", &[("x-forwarded-for", address)]).await;
            }
            last
        };
        let first = ask(at, "/v1/reorgs", &[("x-forwarded-for", "192.0.2.9")]).await;
        assert_eq!(
            (
                first.header("ratelimit-limit"),
                first.header("ratelimit-remaining")
            ),
            (Some("3"), Some("2"))
        );
        let refused = from("192.0.2.1").await;
        assert_eq!(
            (refused.status(), refused.json()["code"].as_str()),
            (429, Some("rate_limited"))
        );
        assert_eq!(refused.header("retry-after"), Some("1"));
        assert_eq!(refused.header("ratelimit-remaining"), Some("0"));
        // Another address, one that is far away in the same /64, a key, and a probe.
        assert_ne!(
            ask(at, "/v1/reorgs", &[("x-forwarded-for", "192.0.2.2")])
                .await
                .status(),
            429
        );
        assert_eq!(from("2001:db8::1").await.status(), 429);
        assert_ne!(
            ask(at, "/v1/reorgs", &[("x-forwarded-for", "2001:db8:0:1::1")])
                .await
                .status(),
            429
        );
        let known = [
            ("x-forwarded-for", "192.0.2.77"),
            ("x-api-key", reader.as_str()),
        ];
        for _ in 0..20 {
            assert_eq!(
                ask(at, "/v1/reorgs", &known)
                    .await
                    .header("ratelimit-limit"),
                Some("20000")
            );
        }
        assert_eq!(
            ask(at, "/health/live", &[("x-forwarded-for", "192.0.2.1")])
                .await
                .status(),
            200
        );
        app.stop().await.unwrap();
        db.drop().await;
    });
}

#[test]
fn a_secret_is_in_no_log_line_and_in_no_dump() {
    run(async {
        let db = TestDb::new().await;
        let made = key(&db, "ops", "operator").await;
        let mut command = stxworx(&["run"]);
        command
            .env("DATABASE_URL", &db.url)
            .env("STXWORX_API_JWT_SECRET", SECRET)
            .env("STXWORX_LOG_LEVEL", "trace");
        let mut daemon = Daemon::spawn(command);
        let at = daemon.address("api").await;
        begun(&db).await;
        let token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJzZWNyZXQifQ.c2VjcmV0c2VjcmV0";
        assert_eq!(
            ask(at, "/v1/audit-log", &[("authorization", &bearer(&made))])
                .await
                .status(),
            200
        );
        assert_eq!(
            ask(at, "/v1/audit-log", &[("x-api-key", &made)])
                .await
                .status(),
            200
        );
        assert_eq!(
            ask(at, "/v1/audit-log", &[("authorization", &bearer(token))])
                .await
                .status(),
            401
        );
        // A key at the wrong place is refused, and not written down either.
        let misplaced = format!("/v1/reorgs?api_key={made}");
        assert_eq!(
            ask(at, &misplaced, &[("x-request-id", "the-last-one")])
                .await
                .status(),
            400
        );
        daemon.says("the-last-one").await;
        assert_eq!(daemon.interrupt().await, Some(0));
        let (secret, lines) = (made.rsplit('_').next().unwrap().to_owned(), daemon.lines());
        assert!(lines.len() > 10, "{lines:?}");
        for line in lines {
            for hidden in [secret.as_str(), "c2VjcmV0c2VjcmV0", SECRET] {
                assert!(!line.contains(hidden), "{line}");
            }
        }
        let mut dump = stxworx(&["config", "dump"]);
        dump.env("STXWORX_API_JWT_SECRET", SECRET);
        let dump = crate::tools::output(dump).await;
        assert!(stdout(&dump).contains("api.jwt_secret") && !stdout(&dump).contains(SECRET));
        db.drop().await;
    });
}

#[test]
fn wrong_settings_are_refused_at_the_start() {
    run(async {
        let db = TestDb::new().await;
        let short = config_error(&["api.jwt_secret", "\"short\""]);
        assert!(
            short.contains("at least 32 bytes") && !short.contains("\"short\""),
            "{short}"
        );
        let proxies = config_error(&["api.trusted_proxies", "[\"10.0.0.0/99\"]"]);
        assert!(proxies.contains("10.0.0.0/99"), "{proxies}");
        let origins = config_error(&["api.cors_origins", "[\"https://a.example/path\"]"]);
        assert!(origins.contains("without a path"), "{origins}");
        let settings = [("api.jwt_public_key_file", "\"/nowhere/key.pem\"")];
        let failed =
            App::try_start(&db.url, &config(&settings), &[stxworx::daemon::Role::Api]).await;
        let text = failed
            .err()
            .map(|e| stxworx_indexer::error_chain(&e).to_string());
        assert!(text.unwrap().contains("/nowhere/key.pem"));
        db.drop().await;
    });
}

/// What a wrong setting is answered with.
fn config_error(setting: &[&'static str; 2]) -> String {
    let mut table: toml::Table = format!("v = {}", setting[1]).parse().unwrap();
    let loaded = stxworx::config::Config::load(&stxworx::config::Sources {
        file: None,
        env: &|_| None,
        flags: vec![(setting[0], table.remove("v").unwrap())],
    });
    loaded.err().expect("a refusal").to_string()
}
