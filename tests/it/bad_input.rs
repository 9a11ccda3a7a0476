//! What no node should send, and what becomes of it: answered, stored, set aside, visible.

use serde_json::{Value as Json, json};
use stxworx::recording::Entry;
use stxworx::workload::{ChainBuilder, ChainOptions};
use stxworx_indexer::store::inbox::Endpoint;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::app::{App, config};
use crate::support::db::TestDb;
use crate::support::eventually;
use crate::support::mirror::{assert_verifies, fingerprint, settled, tip};
use crate::support::run;
use crate::tools::{
    deliver, get, head, metric, request, small_chain, status, stdout, stxworx_on, trade,
};

/// Endpoints whose payloads are decoded; those of all others are kept as they are.
const DECODED: [&str; 4] = [
    "new_block",
    "new_burn_block",
    "new_mempool_tx",
    "drop_mempool_tx",
];

fn chain() -> ChainBuilder {
    ChainBuilder::new(ChainOptions::default())
}

/// Bodies of which no endpoint can make anything; each differs by endpoint, for equal bytes are one row.
fn nonsense(endpoint: &str) -> Vec<Vec<u8>> {
    let shape = json!({"a": {"shape": ["of", "another", endpoint]}}).to_string();
    let mut not_utf8 = vec![0xff, 0xfe, 0x00];
    not_utf8.extend_from_slice(endpoint.as_bytes());
    vec![
        format!("junk for {endpoint}").into_bytes(),
        shape.into_bytes(),
        not_utf8,
    ]
}

/// A block that is fine but for one digit.
fn broken_hex() -> Vec<u8> {
    let chain = chain();
    let block = trade(&chain, &chain.root(), 1)
        .field("block_hash", json!("0xnot-hexadecimal"))
        .build();
    block.entry().body.to_vec()
}

fn assert_plain_200(reply: &crate::tools::Reply, what: &str) {
    assert_eq!(reply.status_line, "HTTP/1.1 200 OK", "{what}");
    assert_eq!(
        reply.header("content-type"),
        Some("application/json"),
        "{what}"
    );
    assert_eq!(
        reply.header("content-length"),
        Some(reply.body.len().to_string().as_str()),
        "{what}"
    );
    assert_eq!(
        reply.header("transfer-encoding"),
        None,
        "a node reads no chunks"
    );
    reply.json();
}

/// Sends every kind of nonsense to every endpoint; returns how many payloads should be quarantined and kept.
async fn send_nonsense(app: &App) -> (i64, i64) {
    let (mut quarantined, mut kept) = (0, 0);
    for endpoint in Endpoint::ALL.map(Endpoint::path) {
        let mut bodies = nonsense(endpoint);
        if endpoint == "new_block" {
            bodies.push(broken_hex());
            bodies.push(Vec::new());
        }
        for body in bodies {
            let reply = deliver(app, &Entry::new(format!("/{endpoint}"), body)).await;
            assert_plain_200(&reply, endpoint);
            *if DECODED.contains(&endpoint) {
                &mut quarantined
            } else {
                &mut kept
            } += 1;
        }
    }
    (quarantined, kept)
}

/// Every row of the inbox with what became of it.
async fn inbox(db: &TestDb) -> String {
    let rows = db.text(
        "select string_agg(id || ' ' || endpoint || ' ' || state || ' ' || coalesce(error, ''), E'\\n' order by id) from inbox",
    );
    rows.await.unwrap_or_default()
}

#[test]
fn nonsense_is_answered_stored_set_aside_and_shown() {
    run(async {
        let db = TestDb::new().await;
        let app = App::start(&db, &config(&[])).await;
        let (quarantined, kept) = send_nonsense(&app).await;
        settled(&db).await;
        assert_eq!(
            db.number("select count(*) from inbox where state = 4 and error <> ''")
                .await,
            quarantined
        );
        assert_eq!(
            db.number("select count(*) from inbox where state = 5")
                .await,
            kept
        );
        assert_eq!(
            db.number("select count(*) from inbox").await,
            quarantined + kept
        );
        assert_shown(&db, &app, quarantined).await;
        app.stop().await.unwrap();

        // A later version may be able to read what this one could not: it is tried again at every start.
        let before = inbox(&db).await;
        db.sql("update inbox set error = 'of an earlier version' where state = 4")
            .await;
        let app = App::start(&db, &config(&[])).await;
        eventually("the same verdicts", || async {
            let now = inbox(&db).await;
            if now == before { Ok(()) } else { Err(now) }
        })
        .await;
        app.stop().await.unwrap();
        assert_verifies(&db).await;
        db.drop().await;
    });
}

/// In the metrics, in `/v1/status` and in what `stxworx status` prints.
async fn assert_shown(db: &TestDb, app: &App, quarantined: i64) {
    eventually("the count in the metrics", || async {
        let counted = metric(app, "stxworx_quarantined").await;
        #[expect(clippy::cast_precision_loss, reason = "a small number")]
        if counted == quarantined as f64 {
            Ok(())
        } else {
            Err(counted.to_string())
        }
    })
    .await;
    assert_eq!(
        metric(app, "stxworx_received_total{endpoint=\"new_block\"}").await,
        5.0
    );
    let printed = stxworx_on(db, &["status", "--output", "json"]).await;
    assert_eq!(printed.status.code(), Some(0), "{printed:?}");
    let printed: Json = serde_json::from_str(&stdout(&printed)).unwrap();
    for status in [status(app).await, printed["data"].clone()] {
        assert_eq!(
            status["inbox"]["quarantined"].to_string().trim_matches('"'),
            quarantined.to_string()
        );
        let listed = status["quarantined"].as_array().unwrap();
        let shape = &listed[1];
        assert_eq!(shape["endpoint"], "new_block");
        let error = shape["error"].as_str().unwrap();
        assert!(
            error.starts_with("the body is not a new_block payload: missing field"),
            "{error}"
        );
        let errors: Vec<_> = listed.iter().filter_map(|q| q["error"].as_str()).collect();
        let hex = "block: block_hash is not valid: block hash must be 64 hexadecimal digits, with or without 0x; \
                   got \"0xnot-hexadecimal\"";
        assert!(errors.contains(&hex), "{errors:#?}");
    }
}

#[test]
fn the_children_of_an_unreadable_block_wait_visibly() {
    run(async {
        let db = TestDb::new().await;
        let app = App::start(&db, &config(&[])).await;
        let chain = chain();
        let a1 = trade(&chain, &chain.root(), 1).build();
        let broken = trade(&chain, &a1, 2)
            .field("transactions", json!("nonsense"))
            .build();
        let child = trade(&chain, &broken, 3).build();
        let grandchild = trade(&chain, &child, 4).build();
        for block in [&chain.root(), &a1, &broken, &child, &grandchild] {
            assert_plain_200(&deliver(&app, &block.entry()).await, &block.label);
        }
        settled(&db).await;
        assert_eq!(tip(&db).await, Some(a1.id()));
        let status = status(&app).await;
        assert_eq!(status["quarantined"].as_array().unwrap().len(), 1);
        let waiting: Vec<_> = status["detached"].as_array().unwrap().iter().collect();
        assert_eq!(waiting.len(), 2);
        assert_eq!(waiting[0]["index_block_hash"], child.id());
        assert_eq!(waiting[0]["missing_parent"], broken.id());
        eventually("the count in the metrics", || async {
            let waiting = metric(&app, "stxworx_detached_blocks").await;
            if waiting == 2.0 {
                Ok(())
            } else {
                Err(waiting.to_string())
            }
        })
        .await;
        app.stop().await.unwrap();
        assert_verifies(&db).await;
        db.drop().await;
    });
}

#[test]
fn refusals_name_what_to_do_and_store_nothing() {
    run(async {
        let db = TestDb::new().await;
        let app = App::start(&db, &config(&[("observer.body_limit_bytes", "1000")])).await;
        let at = app.addresses.observer.unwrap();
        let wrong_path = request(at, "POST", "/new_blocks", b"{}").await;
        assert_refused(
            &wrong_path,
            404,
            "unknown_path",
            "its endpoints are /new_block, /new_burn_block",
        );
        let root = request(at, "GET", "/", b"").await;
        assert_refused(&root, 404, "unknown_path", "no node posts to \"/\"");
        for method in ["GET", "PUT", "DELETE"] {
            let reply = request(at, method, "/new_block", b"").await;
            assert_refused(&reply, 405, "wrong_method", "POST to this path");
        }
        let too_large = request(at, "POST", "/new_block", &[b'x'; 1001]).await;
        let what_to_do = "more than 1000 bytes is refused; raise `observer.body_limit_bytes`";
        assert_refused(&too_large, 413, "too_large", what_to_do);
        assert_eq!(db.number("select count(*) from inbox").await, 0);
        assert_plain_200(
            &request(at, "POST", "/new_block", &[b'x'; 1000]).await,
            "exactly the limit",
        );
        for (reason, count) in [
            ("unknown_path", 2.0),
            ("wrong_method", 3.0),
            ("too_large", 1.0),
        ] {
            assert_eq!(
                metric(
                    &app,
                    &format!("stxworx_refused_total{{reason=\"{reason}\"}}")
                )
                .await,
                count
            );
        }
        app.stop().await.unwrap();
        db.drop().await;
    });
}

fn assert_refused(reply: &crate::tools::Reply, status: u16, error: &str, detail: &str) {
    assert_eq!(reply.status(), status, "{reply:?}");
    assert_eq!(reply.header("content-type"), Some("application/json"));
    let json = reply.json();
    assert_eq!(json["error"], error);
    assert!(json["detail"].as_str().unwrap().contains(detail), "{json}");
}

/// stacks-core reads replies with a parser of its own, which takes less than HTTP allows.
#[test]
fn the_reply_is_what_a_strict_parser_wants() {
    run(async {
        let db = TestDb::new().await;
        let app = App::start(&db, &config(&[])).await;
        let mut stream = TcpStream::connect(app.addresses.observer.unwrap())
            .await
            .unwrap();
        stream
            .write_all(head("POST", "/new_block", 2).as_bytes())
            .await
            .unwrap();
        stream.write_all(b"[]").await.unwrap();
        let mut reply = Vec::new();
        stream.read_to_end(&mut reply).await.unwrap();
        let reply = String::from_utf8(reply).unwrap();
        let (head, body) = reply.split_once("\r\n\r\n").unwrap();
        let mut lines = head.split("\r\n");
        assert_eq!(lines.next(), Some("HTTP/1.1 200 OK"));
        let mut names: Vec<_> = lines
            .map(|l| l.split_once(": ").unwrap().0.to_lowercase())
            .collect();
        names.sort_unstable();
        assert_eq!(
            names,
            ["connection", "content-length", "content-type", "date"]
        );
        assert_eq!(body, "{}");
        app.stop().await.unwrap();
        db.drop().await;
    });
}

#[test]
fn a_body_that_breaks_off_is_not_stored() {
    run(async {
        let db = TestDb::new().await;
        let app = App::start(&db, &config(&[])).await;
        for sent in [0, 10, 9_000_000] {
            let mut stream = TcpStream::connect(app.addresses.observer.unwrap())
                .await
                .unwrap();
            stream
                .write_all(head("POST", "/new_block", 20_000_000).as_bytes())
                .await
                .unwrap();
            stream.write_all(&vec![b'x'; sent]).await.unwrap();
            drop(stream);
        }
        eventually("three refusals", || async {
            let refused = metric(&app, "stxworx_refused_total{reason=\"broken_off\"}").await;
            if refused == 3.0 {
                Ok(())
            } else {
                Err(refused.to_string())
            }
        })
        .await;
        assert_eq!(
            db.number("select (select count(*) from inbox) + (select count(*) from inbox_chunk)")
                .await,
            0
        );
        app.stop().await.unwrap();
        db.drop().await;
    });
}

/// Delivers something between two good blocks; the second one must be mirrored all the same.
async fn assert_survives(what: &str, entry: &Entry) {
    let db = TestDb::new().await;
    let app = App::start(&db, &config(&[])).await;
    let chain = chain();
    let a1 = trade(&chain, &chain.root(), 1).build();
    for entry in [&chain.root().entry(), entry, &a1.entry()] {
        assert_plain_200(&deliver(&app, entry).await, what);
    }
    let arrived = eventually(what, || async {
        let (now, stopped) = (
            tip(&db).await,
            metric(&app, "stxworx_stage{stage=\"stopped\"}").await,
        );
        if now == Some(a1.id()) || stopped == 1.0 {
            Ok(now)
        } else {
            Err(format!("{now:?}"))
        }
    });
    let ended = async { app.cancel.cancelled().await };
    tokio::select! {
        now = arrived => assert_eq!(now, Some(a1.id()), "{what} stopped the writer"),
        () = ended => panic!("{what} ended the daemon"),
    }
    app.stop().await.unwrap();
    assert_verifies(&db).await;
    db.drop().await;
}

fn drop_with_reason(reason: &str) -> Entry {
    let txid = format!("0x{}", "11".repeat(32));
    let body = json!({"dropped_txids": [txid], "new_txid": null, "reason": reason});
    Entry::new("/drop_mempool_tx", body.to_string())
}

/// A block on genesis that is fine but for one value.
fn odd_block(edit: impl FnOnce(&mut Json)) -> Entry {
    let chain = ChainBuilder::new(ChainOptions {
        seed: 7,
        ..ChainOptions::default()
    });
    let entry = trade(&chain, &chain.root(), 1).build().entry();
    let mut body: Json = serde_json::from_slice(&entry.body).unwrap();
    edit(&mut body);
    Entry::new("/new_block", body.to_string())
}

#[test]
fn a_nul_in_the_reason_of_a_drop_stops_nothing() {
    run(assert_survives_owned(
        "a NUL in a drop's reason",
        drop_with_reason("a\0b"),
    ));
}

#[test]
fn a_nul_in_a_status_stops_nothing() {
    let entry = odd_block(|b| b["transactions"][0]["status"] = json!("a\0b"));
    run(assert_survives_owned("a NUL in a status", entry));
}

/// An index of Postgres takes no entry beyond 2,704 bytes.
#[test]
fn a_principal_too_long_for_an_index_stops_nothing() {
    let entry = odd_block(|b| {
        let print = b["events"]
            .as_array_mut()
            .unwrap()
            .iter_mut()
            .find(|e| e["type"] == "contract_event");
        print.unwrap()["contract_event"]["contract_identifier"] = json!(random_text(10_000));
    });
    run(assert_survives_owned(
        "a principal of 10,000 characters",
        entry,
    ));
}

#[test]
fn a_stand_in_beyond_the_last_index_stops_nothing() {
    let entry = odd_block(|b| {
        let last = b["transactions"].as_array().unwrap().len() - 1;
        b["transactions"][last]["tx_index"] = json!(i32::MAX);
        b["events"][0]["txid"] = json!(format!("0x{}", "77".repeat(32)));
    });
    run(assert_survives_owned(
        "an unlisted transaction after tx_index 2147483647",
        entry,
    ));
}

async fn assert_survives_owned(what: &'static str, entry: Entry) {
    assert_survives(what, &entry).await;
}

/// Letters that no compression makes shorter.
fn random_text(length: usize) -> String {
    let mut rng = stxworx::workload::SeededRng::new(5);
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-.";
    let letter = |n: u64| char::from(letters[usize::try_from(n).unwrap() % letters.len()]);
    (0..length).map(|_| letter(rng.below(64))).collect()
}

/// The same payload many times is one row, and its deliveries are counted.
#[test]
fn repeated_nonsense_is_one_row() {
    run(async {
        let db = TestDb::new().await;
        let app = App::start(&db, &config(&[])).await;
        for _ in 0..5 {
            let entry = Entry::new("/new_block", "junk");
            assert_plain_200(&deliver(&app, &entry).await, "junk");
        }
        settled(&db).await;
        assert_eq!(db.number("select sum(deliveries) from inbox").await, 5);
        assert_eq!(db.number("select count(*) from inbox").await, 1);
        assert_eq!(
            metric(&app, "stxworx_repeated_total{endpoint=\"new_block\"}").await,
            4.0
        );
        app.stop().await.unwrap();
        db.drop().await;
    });
}

/// Nonsense between good payloads changes nothing about the mirror.
#[test]
fn nonsense_in_between_leaves_no_trace_in_the_mirror() {
    run(async {
        let (db, clean) = (TestDb::new().await, TestDb::new().await);
        let (app, other) = (
            App::start(&db, &config(&[])).await,
            App::start(&clean, &config(&[])).await,
        );
        let entries = small_chain().entries();
        for (number, entry) in entries.iter().enumerate() {
            let junk = Entry::new("/new_block", format!("junk {number}"));
            assert_plain_200(&deliver(&app, &junk).await, "junk");
            assert_plain_200(&deliver(&app, entry).await, "good");
            assert_plain_200(&deliver(&other, entry).await, "good");
        }
        settled(&db).await;
        settled(&clean).await;
        assert_eq!(fingerprint(&db).await, fingerprint(&clean).await);
        assert_eq!(
            get(app.addresses.api.unwrap(), "/health/live")
                .await
                .status(),
            200
        );
        app.stop().await.unwrap();
        other.stop().await.unwrap();
        db.drop().await;
        clean.drop().await;
    });
}
