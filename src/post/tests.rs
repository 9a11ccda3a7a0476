//! Posting against a small server.

use super::*;
use crate::recording::{Bytes, Entry, RecordingError};
use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// What the server does with the next request; when nothing is left, it answers 200.
enum Answer {
    Status(u16),
    Html,
    Hang,
}

#[derive(Default)]
struct Seen {
    answers: VecDeque<Answer>,
    requests: Vec<(String, String, Option<String>, Bytes)>,
}

type Shared = Arc<Mutex<Seen>>;

async fn handle(State(shared): State<Shared>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let header = |name: &str| {
        parts
            .headers
            .get(name)
            .map(|value| value.to_str().unwrap().to_owned())
    };
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    assert_eq!(header("content-type").as_deref(), Some("application/json"));
    assert_eq!(header("content-length"), Some(body.len().to_string()));
    assert_eq!(header("accept-encoding"), None);
    let answer = {
        let mut seen = shared.lock().unwrap();
        let version = format!("{:?}", parts.version);
        seen.requests.push((
            parts.uri.path().to_owned(),
            version,
            header("connection"),
            body,
        ));
        seen.answers.pop_front()
    };
    match answer {
        None => "ok".into_response(),
        Some(Answer::Status(status)) => axum::http::StatusCode::from_u16(status)
            .unwrap()
            .into_response(),
        Some(Answer::Html) => axum::response::Html("ok").into_response(),
        Some(Answer::Hang) => std::future::pending().await,
    }
}

async fn server(answers: Vec<Answer>) -> (PostOptions, Shared) {
    let shared = Shared::default();
    shared.lock().unwrap().answers = answers.into();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().fallback(handle).with_state(shared.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let observer = ObserverUrl::parse(&format!("http://{address}")).unwrap();
    (
        PostOptions {
            timeout: Duration::from_millis(300),
            ..PostOptions::new(observer)
        },
        shared,
    )
}

fn source(count: usize) -> impl Iterator<Item = Result<Entry, RecordingError>> + Send + 'static {
    (0..count).map(|number| {
        let path = if number % 2 == 0 {
            "/new_burn_block"
        } else {
            "/new_block"
        };
        Ok(Entry::new(path, format!("{{\"number\": {number}}}")))
    })
}

async fn post_all(count: usize, options: &PostOptions) -> Result<PostSummary, PostError> {
    post(
        source(count),
        options,
        &CancellationToken::new(),
        &mut |_| {},
    )
    .await
}

#[tokio::test]
async fn posts_in_order_and_byte_exact_on_a_connection_each() {
    let (options, shared) = server(vec![]).await;
    let summary = post_all(5, &options).await.unwrap();
    let seen = shared.lock().unwrap();
    for (number, (path, version, connection, body)) in seen.requests.iter().enumerate() {
        assert_eq!(
            path,
            if number % 2 == 0 {
                "/new_burn_block"
            } else {
                "/new_block"
            }
        );
        assert_eq!(
            (version.as_str(), connection.as_deref()),
            ("HTTP/1.1", Some("close"))
        );
        assert_eq!(body, &format!("{{\"number\": {number}}}"));
    }
    assert_eq!(
        (
            summary.payloads,
            summary.blocks,
            summary.bytes,
            summary.retries
        ),
        (5, 2, 65, 0)
    );
    assert!(
        summary.p50_ms > 0.0
            && summary.p50_ms <= summary.p99_ms
            && summary.p99_ms <= summary.max_ms
    );
    assert!(!summary.cancelled);
}

#[tokio::test]
async fn keeps_the_connection_on_demand() {
    let (options, shared) = server(vec![]).await;
    post_all(
        3,
        &PostOptions {
            keep_alive: true,
            ..options
        },
    )
    .await
    .unwrap();
    assert!(
        shared
            .lock()
            .unwrap()
            .requests
            .iter()
            .all(|request| request.2.is_none())
    );
}

#[tokio::test]
async fn retries_whatever_a_node_does_not_take_for_delivery() {
    let answers = vec![
        Answer::Status(500),
        Answer::Status(500),
        Answer::Status(201),
        Answer::Html,
        Answer::Status(301),
    ];
    let (options, shared) = server(answers).await;
    let mut waits = Vec::new();
    let mut note = |progress: &PostProgress<'_>| {
        if let PostState::Waiting {
            refusal,
            attempts,
            retry_in,
        } = progress.state
        {
            waits.push((refusal.explained(), attempts, retry_in));
        }
    };
    let summary = post(source(2), &options, &CancellationToken::new(), &mut note)
        .await
        .unwrap();
    assert_eq!((summary.payloads, summary.retries), (2, 5));
    let seen = shared.lock().unwrap();
    assert_eq!(seen.requests.len(), 7);
    assert!(
        seen.requests[..6]
            .iter()
            .all(|request| request.3 == seen.requests[0].3)
    );
    assert_eq!(
        waits[0],
        (
            "the observer answered 500 and not 200".into(),
            1,
            Duration::from_millis(100)
        )
    );
    assert!(waits[1].2 >= Duration::from_millis(200));
    assert_eq!(waits[2].0, "the observer answered 201 and not 200");
    assert!(waits[3].0.contains("Content-Type"), "{}", waits[3].0);
    assert_eq!(waits[4].0, "the observer answered 301 and not 200");
}

#[tokio::test]
async fn a_hanging_observer_gets_the_payload_again() {
    let (options, shared) = server(vec![Answer::Hang]).await;
    let mut reasons = Vec::new();
    let mut note = |progress: &PostProgress<'_>| {
        if let PostState::Waiting { refusal, .. } = progress.state {
            reasons.push(refusal.to_string());
        }
    };
    let summary = post(source(1), &options, &CancellationToken::new(), &mut note)
        .await
        .unwrap();
    assert_eq!(summary.retries, 1);
    assert_eq!(reasons, ["the observer did not answer within 300 ms"]);
    assert_eq!(shared.lock().unwrap().requests.len(), 2);
}

/// An address at which nothing listens.
async fn nobody() -> PostOptions {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let observer =
        ObserverUrl::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    PostOptions::new(observer)
}

#[tokio::test]
async fn an_absent_observer_is_waited_for_until_told_otherwise() {
    let options = PostOptions {
        give_up_after: Some(Duration::from_millis(250)),
        ..nobody().await
    };
    let error = post_all(1, &options).await.unwrap_err();
    assert!(
        matches!(
            &error,
            PostError::GaveUp {
                number: 1,
                attempts: 3,
                ..
            }
        ),
        "{error:?}"
    );
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(source, "the observer cannot be reached");
}

#[tokio::test]
async fn cancelling_ends_waiting_and_hanging() {
    let (hanging, _shared) = server(vec![Answer::Hang]).await;
    let hanging = PostOptions {
        timeout: Duration::from_secs(60),
        ..hanging
    };
    let slow = PostOptions {
        rate_per_second: NonZeroU32::new(1),
        ..server(vec![]).await.0
    };
    for options in [hanging, slow, nobody().await] {
        let cancel = CancellationToken::new();
        let later = cancel.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(150)).await;
            later.cancel();
        });
        let started = Instant::now();
        let summary = post(source(3), &options, &cancel, &mut |_| {})
            .await
            .unwrap();
        assert!(summary.cancelled && summary.payloads <= 1, "{summary:?}");
        assert!(started.elapsed() < Duration::from_secs(5));
    }
}

#[tokio::test]
async fn the_rate_is_kept() {
    let (options, _shared) = server(vec![]).await;
    let started = Instant::now();
    post_all(
        6,
        &PostOptions {
            rate_per_second: NonZeroU32::new(20),
            ..options
        },
    )
    .await
    .unwrap();
    assert!(started.elapsed() >= Duration::from_millis(250));
}

#[tokio::test]
async fn repeats_are_counted() {
    let (options, shared) = server(vec![]).await;
    let order = Order {
        duplicate_percent: 100,
        shuffle_window: 4,
        ..Order::default()
    };
    let summary = post_all(10, &PostOptions { order, ..options })
        .await
        .unwrap();
    assert_eq!(
        (summary.payloads, summary.duplicates_sent, summary.blocks),
        (20, 10, 10)
    );
    assert_eq!(shared.lock().unwrap().requests.len(), 20);
}

#[tokio::test]
async fn a_damaged_recording_ends_posting_after_what_came_before() {
    let (options, shared) = server(vec![]).await;
    let damage = || Err(RecordingError::Columns { line: 3, found: 1 });
    let source = source(2).chain(std::iter::once_with(damage));
    let error = post(source, &options, &CancellationToken::new(), &mut |_| {})
        .await
        .unwrap_err();
    assert!(matches!(error, PostError::Recording { .. }));
    assert_eq!(shared.lock().unwrap().requests.len(), 2);
}

#[test]
fn observer_addresses() {
    let accepted = |text: &str| ObserverUrl::parse(text).unwrap().with_path("/new_block");
    assert_eq!(
        accepted("http://127.0.0.1:3700"),
        "http://127.0.0.1:3700/new_block"
    );
    assert_eq!(
        accepted("http://host/prefix/"),
        "http://host/prefix/new_block"
    );
    for refused in [
        "https://host",
        "127.0.0.1:3700",
        "localhost:3700",
        "http://",
        "http://h/?q",
        "http://u:p@h",
        "",
    ] {
        let error = ObserverUrl::parse(refused).unwrap_err();
        assert!(matches!(error, PostError::Observer { .. }), "{refused}");
    }
}

#[test]
fn the_command_line() {
    #[derive(clap::Parser)]
    struct Command {
        #[command(flatten)]
        args: PostArgs,
    }
    let parse = |line: &str| {
        let command: Result<Command, _> = clap::Parser::try_parse_from(line.split(' '));
        command.map(|command| command.args)
    };
    let args = parse(
        "post - --observer http://h:1 --paths /new_block,/new_burn_block --rate 5 --duplicate 3",
    )
    .unwrap();
    let options = args.options().unwrap();
    assert_eq!(options.order.paths, ["/new_block", "/new_burn_block"]);
    assert_eq!(options.rate_per_second, NonZeroU32::new(5));
    assert_eq!(
        (options.order.duplicate_percent, options.give_up_after),
        (3, None)
    );
    assert!(parse("post x --observer http://h --duplicate 101").is_err());
    assert!(parse("post x").is_err());
}

#[test]
fn the_summary_text() {
    let summary = PostSummary {
        payloads: 1200,
        blocks: 407,
        bytes: 35_100_000,
        retries: 2,
        duplicates_sent: 3,
        seconds: 4.0,
        p50_ms: 1.25,
        p99_ms: 4.5,
        max_ms: 12.0,
        cancelled: false,
    };
    assert_eq!(
        summary.text(),
        "posted 1200 payloads (407 blocks, 35.1 MB) in 4.0 s, 300/s\n\
         failed attempts 2, sent twice 3; answered in 1.25 ms (median), 4.50 ms (99 %), 12.00 ms (longest)"
    );
}
