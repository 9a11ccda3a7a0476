//! The console's page, and the routes that it needs and others do not.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use sqlx::postgres::PgPoolOptions;

use super::{Bed, get, known_as, send, state, well};
use crate::api::access::Role;
use crate::model::access::{Caller, CallerKind};
use crate::store::keys::{self, NewKey};

fn unreachable() -> axum::Router {
    let pool = PgPoolOptions::new()
        .connect_lazy("postgres://nobody@127.0.0.1:1/none")
        .unwrap();
    crate::api::router(state(pool, well()))
}

#[tokio::test]
async fn the_page_and_its_files_come_with_their_headers_and_without_a_database() {
    let router = unreachable();
    for (path, kind) in [
        ("/console", "text/html; charset=utf-8"),
        ("/console/main.js", "text/javascript; charset=utf-8"),
        ("/console/style.css", "text/css; charset=utf-8"),
        ("/console/icon.svg", "image/svg+xml"),
    ] {
        let reply = get(&router, path).await;
        assert_eq!(reply.status, 200, "{path}");
        assert_eq!(reply.header("content-type"), kind);
        assert_eq!(reply.header("cache-control"), "no-cache");
        assert_eq!(reply.header("x-content-type-options"), "nosniff");
        assert_eq!(reply.header("x-frame-options"), "DENY");
        let policy = reply.header("content-security-policy");
        for part in [
            "default-src 'none'",
            "script-src 'self'",
            "connect-src 'self'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
        ] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
    }
    let page = get(&router, "/console").await.text;
    assert!(page.contains("</html>") && page.contains(env!("CARGO_PKG_VERSION")));
    for word in ["/docs", "/console/main.js", "/console/style.css"] {
        assert!(page.contains(word), "{word}");
    }
    let docs = get(&router, "/docs").await.text;
    assert!(docs.contains("href: \"/console\""));
}

#[tokio::test]
async fn a_file_that_is_not_the_consoles_is_not_found() {
    let router = unreachable();
    for path in [
        "/console/page.html",
        "/console/..%2fdocs%2fpage.js",
        "/console/none.js",
    ] {
        assert_eq!(get(&router, path).await.code(), "not_found", "{path}");
    }
}

#[tokio::test]
async fn whoami_says_what_a_caller_may_do() {
    let router = unreachable();
    assert_eq!(get(&router, "/v1/whoami").await.code(), "unauthorized");
    for role in [Role::Reader, Role::Operator, Role::Admin] {
        let reply = get(&known_as(&router, role), "/v1/whoami").await;
        assert_eq!(reply.json["data"]["role"], role.as_str());
        assert_eq!(reply.json["data"]["name"], "tester");
        assert_eq!(reply.header("cache-control"), "no-store");
    }
}

async fn revoke(router: &axum::Router, id: &str) -> super::Reply {
    let request = Request::delete(format!("/v1/keys/{id}"));
    send(router, request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn keys_are_for_administrators_and_are_walked_and_revoked() {
    let Some(bed) = Bed::new("console_keys").await else {
        return;
    };
    let pool = PgPoolOptions::new()
        .max_connections(2)
        .connect_with(bed.options())
        .await
        .unwrap();
    let by = Caller {
        role: Role::Admin,
        name: "ann".to_owned(),
        kind: CallerKind::Cli,
    };
    for n in 1..=3u8 {
        let id = format!("{n:016x}");
        let key = NewKey {
            id: &id,
            name: "backend",
            role: Role::Reader,
            secret_sha256: &[n; 32],
            expires_in_seconds: None,
        };
        keys::create(&pool, &by, &key).await.unwrap();
    }
    let mut writing = state(pool.clone(), well());
    writing.admin = Some(pool.clone());
    let router = crate::api::router(writing);
    for role in [Role::Reader, Role::Operator] {
        let low = known_as(&router, role);
        assert_eq!(get(&low, "/v1/keys").await.code(), "forbidden");
        assert_eq!(revoke(&low, "0000000000000001").await.code(), "forbidden");
    }
    let admin = known_as(&router, Role::Admin);
    let mut seen = Vec::new();
    let mut path = "/v1/keys?limit=2".to_owned();
    loop {
        let page = get(&admin, &path).await;
        assert_eq!(page.status, 200, "{}", page.text);
        assert!(!page.text.contains("secret"), "{}", page.text);
        let ids = page.json["data"].as_array().unwrap().iter();
        seen.extend(ids.map(|key| key["id"].as_str().unwrap().to_owned()));
        let Some(next) = page.json["next_cursor"].as_str() else {
            break;
        };
        path = format!("/v1/keys?limit=2&cursor={next}");
    }
    seen.sort();
    assert_eq!(
        seen,
        ["0000000000000001", "0000000000000002", "0000000000000003"]
    );
    assert_eq!(get(&admin, "/v1/keys?cursor=x").await.code(), "bad_cursor");

    assert_eq!(
        revoke(&admin, "0000000000000001").await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(
        revoke(&admin, "0000000000000001").await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(revoke(&admin, "00000000000000ff").await.code(), "not_found");
    assert_eq!(revoke(&admin, "1").await.code(), "invalid_parameter");
    let all = get(&admin, "/v1/keys").await;
    for key in all.json["data"].as_array().unwrap() {
        assert_eq!(
            key["revoked_at"].is_string(),
            key["id"] == "0000000000000001",
            "{key}"
        );
    }
    let log = get(&admin, "/v1/audit-log?action=key.revoke").await;
    let actions = log.json["data"].as_array().unwrap();
    assert_eq!(actions.len(), 1, "a second revocation is no action");
    assert_eq!(actions[0]["actor"], "tester");
    assert_eq!(actions[0]["target"], "0000000000000001");
    pool.close().await;
    bed.finish().await;
}
