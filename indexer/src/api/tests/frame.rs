//! What surrounds the routes, on a database that is not there.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request};
use sqlx::postgres::PgPoolOptions;

use super::super::{Blocked, CorsOrigins, Limits, Live};
use super::{Reply, get, send, state, well};

fn unreachable(live: Live, limits: Limits) -> Router {
    let pool = PgPoolOptions::new()
        .acquire_timeout(Duration::from_millis(200))
        .connect_lazy("postgres://nobody@127.0.0.1:1/none")
        .unwrap();
    let mut state = state(pool, live);
    state.limits = limits;
    crate::api::router(state)
}

async fn ask(router: &Router, request: axum::http::request::Builder) -> Reply {
    send(router, request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn without_a_database_the_process_lives_and_says_so() {
    let router = unreachable(well(), Limits::default());
    assert_eq!(get(&router, "/health/live").await.status, 200);
    assert_eq!(get(&router, "/health/ready").await.json["database"], false);
    let lag = get(&router, "/health/lag").await;
    assert_eq!(
        (lag.status.as_u16(), &lag.json["behind"]),
        (503, &true.into())
    );
    let read = get(&router, "/v1/blocks").await;
    assert_eq!((read.status.as_u16(), read.code()), (503, "unavailable"));
    assert!(!read.header("retry-after").is_empty());
    assert!(!read.text.contains("127.0.0.1"));
}

#[tokio::test]
async fn a_blocked_stage_is_named() {
    let blocked = Some(Blocked {
        stage: "decode".to_owned(),
        seconds: 90,
    });
    let router = unreachable(Live { blocked, ..well() }, Limits::default());
    let lag = get(&router, "/health/lag").await;
    assert_eq!(lag.json["blocked"]["stage"], "decode");
    assert!(lag.text.contains("decode stands still"));
}

#[tokio::test]
async fn what_no_route_takes_is_a_problem_too() {
    let router = unreachable(well(), Limits::default());
    let cases = [
        (Request::get("/v2/blocks"), 404, "not_found"),
        (Request::get("/v1/blocks/"), 404, "not_found"),
        (Request::post("/v1/blocks"), 405, "method_not_allowed"),
        (Request::delete("/health/live"), 405, "method_not_allowed"),
        (
            Request::get("/v1/blocks").header("content-length", "999999"),
            413,
            "too_large",
        ),
        (Request::get("/v1/contracts/%FF"), 400, "bad_request"),
        (Request::get("/v1/blocks?limit=0"), 400, "invalid_parameter"),
        (
            Request::get("/v1/blocks?colour=red"),
            400,
            "invalid_parameter",
        ),
        (Request::get("/v1/blocks/tip"), 400, "invalid_parameter"),
        (
            Request::get("/v1/events?type=print"),
            400,
            "invalid_parameter",
        ),
        (
            Request::get("/v1/projections/a%00b"),
            400,
            "invalid_parameter",
        ),
        (
            Request::get("/v1/status?verbose=1"),
            400,
            "invalid_parameter",
        ),
    ];
    for (request, status, code) in cases {
        let shown = format!("{:?} {:?}", request.method_ref(), request.uri_ref());
        let reply = ask(&router, request).await;
        assert_eq!(
            (reply.status.as_u16(), reply.code()),
            (status, code),
            "{shown}"
        );
        assert_eq!(
            reply.header("content-type"),
            "application/problem+json",
            "{shown}"
        );
        assert_eq!(reply.json["status"], status, "{shown}");
        if status == 405 {
            assert!(reply.header("allow").contains("GET"), "{shown}");
        }
    }
    let reply = get(&router, "/v1/events?limit=many").await;
    assert_eq!(reply.json["parameter"], "limit");
    assert_eq!(reply.json["given"], "many");
    assert_eq!(reply.json["expected"], "a whole number from 1 to 200");
}

#[tokio::test]
async fn request_ids_are_kept_when_plain_and_made_when_not() {
    let router = unreachable(well(), Limits::default());
    let id = |given: &'static str| {
        let router = router.clone();
        async move {
            let request = Request::get("/health/live").header("x-request-id", given);
            ask(&router, request)
                .await
                .header("x-request-id")
                .to_owned()
        }
    };
    assert_eq!(id("abc-1").await, "abc-1");
    assert_ne!(id("a b").await, "a b");
    assert_eq!(get(&router, "/none").await.header("x-request-id").len(), 36);
}

#[tokio::test]
async fn every_answer_carries_the_headers() {
    let router = unreachable(well(), Limits::default());
    for path in ["/health/live", "/v1/blocks", "/none", "/docs"] {
        let reply = get(&router, path).await;
        assert_eq!(reply.header("x-content-type-options"), "nosniff", "{path}");
        assert!(
            reply
                .header("content-security-policy")
                .contains("default-src 'none'"),
            "{path}"
        );
    }
    let cross = Request::get("/none").header("origin", "https://one.example");
    assert_eq!(
        ask(&router, cross)
            .await
            .header("access-control-allow-origin"),
        "*"
    );
    let preflight = Request::builder()
        .method(Method::OPTIONS)
        .uri("/v1/blocks")
        .header("origin", "https://one.example")
        .header("access-control-request-method", "GET");
    let reply = ask(&router, preflight).await;
    assert_eq!(reply.status, 200);
    assert!(reply.header("access-control-allow-methods").contains("GET"));
    for name in ["authorization", "x-api-key", "last-event-id"] {
        assert!(
            reply.header("access-control-allow-headers").contains(name),
            "{name}"
        );
    }
}

#[tokio::test]
async fn listed_origins_are_the_only_ones() {
    let pool = PgPoolOptions::new()
        .connect_lazy("postgres://nobody@127.0.0.1:1/none")
        .unwrap();
    let mut state = state(pool, well());
    state.cors = CorsOrigins::List(vec!["https://one.example".parse().unwrap()]);
    let router = crate::api::router(state);
    for (origin, allowed) in [
        ("https://one.example", "https://one.example"),
        ("https://two.example", ""),
    ] {
        let reply = ask(
            &router,
            Request::get("/health/live").header("origin", origin),
        )
        .await;
        assert_eq!(reply.header("access-control-allow-origin"), allowed);
    }
}

#[tokio::test]
async fn too_many_and_too_slow_are_refused_and_health_is_not() {
    let none = Limits {
        concurrent_requests: 0,
        ..Limits::default()
    };
    let router = unreachable(well(), none);
    assert_eq!(get(&router, "/v1/blocks").await.code(), "unavailable");
    assert_eq!(get(&router, "/health/live").await.status, 200);
    let hasty = Limits {
        request_timeout: Duration::from_millis(5),
        ..Limits::default()
    };
    let reply = get(&unreachable(well(), hasty), "/v1/blocks").await;
    assert!(reply.json["detail"].as_str().unwrap().contains("too long"));
}

#[tokio::test]
async fn answers_are_compressed_on_demand() {
    let router = unreachable(well(), Limits::default());
    let request = Request::get("/v1/openapi.json").header("accept-encoding", "gzip");
    let response = tower::ServiceExt::oneshot(router, request.body(Body::empty()).unwrap())
        .await
        .unwrap();
    assert_eq!(response.headers()["content-encoding"], "gzip");
}
