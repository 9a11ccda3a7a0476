//! Webhooks and their receivers.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use serde_json::{Value as Json, json};
use stxworx::post::Order;
use stxworx_clarity::rng::SeededRng;
use stxworx_indexer::store::webhook::{self as store, Wish, delivery};
use stxworx_indexer::webhook::sign;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::client::Beliefs;
use crate::support::app::{App, config};
use crate::support::db::TestDb;
use crate::support::mirror::{settled, tip};
use crate::support::{eventually, run};
use crate::tools::{metric, small_chain};

/// Makes a webhook from the first line on; its secret.
pub async fn hook(
    db: &TestDb,
    url: &str,
    filter: &str,
    min_finality: &str,
    on_failure: &str,
    max_attempts: i32,
) -> String {
    let secret = sign::new_secret().unwrap();
    let wish = Wish {
        url: url.to_owned(),
        filter: serde_json::from_str(filter).unwrap(),
        min_finality: min_finality.to_owned(),
        on_failure: on_failure.to_owned(),
        max_attempts,
        state: "active".to_owned(),
    };
    let mut tx = db.pool.begin().await.unwrap();
    store::create(&mut tx, &wish, "0", "test", &secret)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    secret
}

#[derive(Default)]
struct Taken {
    secrets: Vec<String>,
    beliefs: Beliefs,
    /// Body by event id.
    seen: HashMap<String, Vec<u8>>,
    attempts: usize,
    doubled: usize,
    failed: usize,
    resets: usize,
    tests: usize,
    /// Messages about mints.
    mints: Vec<Json>,
    /// Letters that the newest of several secrets signed.
    by_new: usize,
    /// Every answer is this, if it is set.
    always: Option<u16>,
}

/// A receiver that fails so many times of ten.
pub struct Receiver {
    at: SocketAddr,
    taken: Arc<Mutex<Taken>>,
}

impl Receiver {
    pub async fn start(fails_of_ten: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let taken = Arc::new(Mutex::new(Taken::default()));
        let shared = Arc::clone(&taken);
        tokio::spawn(async move {
            let mut rng = SeededRng::new(9);
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let fate = if rng.between(0, 9) < fails_of_ten {
                    rng.between(1, 5)
                } else {
                    0
                };
                tokio::spawn(serve(socket, Arc::clone(&shared), fate));
            }
        });
        Self { at, taken }
    }

    pub fn url(&self) -> String {
        format!("http://{}/hook", self.at)
    }

    pub fn trust(&self, secret: &str) {
        self.taken.lock().unwrap().secrets.push(secret.to_owned());
    }

    pub fn trusted(&self) -> usize {
        self.taken.lock().unwrap().secrets.len()
    }

    pub fn always(&self, status: Option<u16>) {
        self.taken.lock().unwrap().always = status;
    }

    /// Messages about mints, in the order in which they came first.
    pub fn mints(&self) -> Vec<Json> {
        self.taken.lock().unwrap().mints.clone()
    }

    pub fn top(&self) -> Option<String> {
        self.taken.lock().unwrap().beliefs.chain.last().cloned()
    }

    pub fn assert_believes(&self, states: &BTreeMap<(String, String), Json>) {
        assert!(
            self.taken.lock().unwrap().by_new > 0,
            "the new secret signed nothing"
        );
        assert_eq!(self.taken.lock().unwrap().beliefs.states, *states);
    }

    pub fn summary(&self) -> String {
        let taken = self.taken.lock().unwrap();
        format!(
            "{} letters ({} of them signed by the new secret, too) in {} attempts, {} failed, {} came again",
            taken.seen.len(),
            taken.by_new,
            taken.attempts,
            taken.failed,
            taken.doubled
        )
    }
}

/// Reads a request: headers by lower-case name, and the body.
async fn read(socket: &mut TcpStream) -> Option<(HashMap<String, String>, Vec<u8>)> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            break end + 4;
        }
        if socket.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let headers: HashMap<_, _> = head
        .lines()
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let length: usize = headers["content-length"].parse().unwrap();
    while bytes.len() < end + length {
        if socket.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    Some((headers, bytes.split_off(end)))
}

async fn serve(mut socket: TcpStream, shared: Arc<Mutex<Taken>>, fate: u64) {
    let Some((headers, body)) = read(&mut socket).await else {
        return;
    };
    let status = {
        let mut taken = shared.lock().unwrap();
        taken.attempts += 1;
        taken.failed += usize::from(fate > 0);
        // 1 fails before, 2 and 3 after what was told is taken; 4 and 5 before.
        if [0, 2, 3].contains(&fate) && taken.always.is_none() {
            taken.take(&headers, &body);
        }
        match taken.always {
            Some(status) => status,
            None if fate == 0 => 200,
            None => 500,
        }
    };
    match fate {
        // Hangs until the sender is tired of it.
        3 | 4 => {
            let mut sink = [0; 1];
            let _ = socket.read(&mut sink).await;
        }
        // Cuts the connection.
        5 => drop(socket),
        _ => {
            let reply = format!(
                "HTTP/1.1 {status} X\r\ncontent-length: 4\r\nconnection: close\r\n\r\nsaid"
            );
            let _ = socket.write_all(reply.as_bytes()).await;
        }
    }
}

impl Taken {
    fn take(&mut self, headers: &HashMap<String, String>, body: &[u8]) {
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap();
        let signature = &headers["stxworx-signature"];
        for secret in self.secrets.iter().rev().take(2) {
            // During a rotation, the old secret signs as well as the new one.
            let good = sign::verify(signature, body, secret, now.as_secs(), 300);
            let is_new = self.secrets.len() > 1 && Some(secret) == self.secrets.last();
            assert!(good || is_new, "{signature}");
            self.by_new += usize::from(good && is_new);
        }
        let json: Json = serde_json::from_slice(body).unwrap();
        let id = json["id"].as_str().unwrap();
        assert_eq!(headers["stxworx-event-id"], id);
        assert!(headers["stxworx-delivery-attempt"].parse::<u32>().unwrap() > 0);
        if let Some(before) = self.seen.insert(id.to_owned(), body.to_vec()) {
            assert_eq!(before, body, "the same id with another body");
            self.doubled += 1;
            return;
        }
        match json["event"].as_str().unwrap() {
            "frame" => self.beliefs.take(&json["data"]),
            "reset" => {
                self.beliefs = Beliefs::default();
                self.resets += 1;
            }
            "test" => self.tests += 1,
            "mint" => self.mints.push(json["data"].clone()),
            other => panic!("{other}"),
        }
    }
}

pub fn settings() -> stxworx::config::Config {
    config(&[
        ("webhooks.allow_private", "true"),
        ("webhooks.timeout_ms", "2000"),
        ("webhooks.first_pause_ms", "5"),
        ("webhooks.longest_pause_ms", "20"),
        ("webhooks.lease_ms", "300"),
    ])
}

async fn dead(db: &TestDb) -> i64 {
    db.number("select count(*) from webhook_delivery where state = 'dead'")
        .await
}

#[test]
fn what_is_given_up_is_listed_and_driven_again() {
    run(async {
        let (db, small) = (TestDb::new().await, small_chain());
        let app = App::start(&db, &settings()).await;
        let receiver = Receiver::start(0).await;
        receiver.always(Some(503));
        let secret = hook(&db, &receiver.url(), "{}", "seen", "skip", 3).await;
        receiver.trust(&secret);
        app.post(small.entries(), Order::default()).await;
        settled(&db).await;
        let lines = db.number("select count(*) from outbox").await;
        eventually("dead letters", || async {
            let found = dead(&db).await;
            if found == lines {
                Ok(())
            } else {
                Err(found.to_string())
            }
        })
        .await;
        let kept = db
            .text("select distinct last_error || attempts || response_code from webhook_delivery")
            .await;
        assert_eq!(kept.as_deref(), Some("answered 503: said3503"));
        // In the order of their lines, so that the receiver ends where the mirror is.
        receiver.always(None);
        let rows = delivery::page(&db.pool, 1, true, (i64::MAX, i32::MAX), 200)
            .await
            .unwrap();
        for row in rows.iter().rev() {
            let mut tx = db.pool.begin().await.unwrap();
            delivery::redrive(&mut tx, row.key()).await.unwrap();
            tx.commit().await.unwrap();
            eventually("the letter", || async {
                let left = db
                    .number("select count(*) from webhook_delivery where state = 'pending'")
                    .await;
                if left == 0 {
                    Ok(())
                } else {
                    Err(left.to_string())
                }
            })
            .await;
        }
        assert_eq!(dead(&db).await, 0);
        assert_eq!(receiver.top(), tip(&db).await);
        assert!(metric(&app, "stxworx_webhook_given_up_total").await > 0.0);
        app.stop().await.unwrap();
        db.drop().await;
    });
}

#[test]
fn a_webhook_that_pauses_waits_behind_its_dead_letter() {
    run(async {
        let (db, small) = (TestDb::new().await, small_chain());
        let app = App::start(&db, &settings()).await;
        let receiver = Receiver::start(0).await;
        receiver.always(Some(302));
        let secret = hook(&db, &receiver.url(), "{}", "seen", "pause", 2).await;
        receiver.trust(&secret);
        app.post(small.entries(), Order::default()).await;
        settled(&db).await;
        let state = async || {
            db.text("select state || ' ' || coalesce(reason, '') from webhook")
                .await
        };
        eventually("a pause", || async {
            let state = state().await.unwrap();
            if state.contains("paused") {
                Ok(())
            } else {
                Err(state)
            }
        })
        .await;
        assert!(
            state()
                .await
                .unwrap()
                .contains("redirects are not followed")
        );
        assert_eq!(dead(&db).await, 1);
        receiver.always(None);
        let mut tx = db.pool.begin().await.unwrap();
        let first = delivery::page(&db.pool, 1, true, (i64::MAX, i32::MAX), 1)
            .await
            .unwrap();
        delivery::redrive(&mut tx, first[0].key()).await.unwrap();
        let row = store::one(&mut tx, 1).await.unwrap().unwrap();
        let wish = Wish {
            url: row.url,
            filter: row.filter,
            min_finality: row.min_finality,
            on_failure: row.on_failure,
            max_attempts: row.max_attempts,
            state: "active".to_owned(),
        };
        store::update(&mut tx, 1, &wish).await.unwrap();
        tx.commit().await.unwrap();
        let wanted = tip(&db).await;
        eventually("the tip", || async {
            let top = receiver.top();
            if top == wanted {
                Ok(())
            } else {
                Err(format!("{top:?}"))
            }
        })
        .await;
        app.stop().await.unwrap();
        db.drop().await;
    });
}

async fn hears(receiver: &Receiver, messages: usize) {
    eventually("messages about mints", || async {
        let heard = receiver.mints();
        if heard.len() == messages {
            Ok(())
        } else {
            Err(format!("{heard:?}"))
        }
    })
    .await;
}

#[test]
fn a_mirror_made_anew_is_told_and_tests_are_sent() {
    run(async {
        let (db, small) = (TestDb::new().await, small_chain());
        let app = App::start(&db, &settings()).await;
        let receiver = Receiver::start(0).await;
        let secret = hook(
            &db,
            &receiver.url(),
            "{\"mint\":[\"all\"]}",
            "seen",
            "skip",
            3,
        )
        .await;
        receiver.trust(&secret);
        app.post(small.entries(), Order::default()).await;
        settled(&db).await;
        let wanted = tip(&db).await;
        let arrives = async |what: &str| {
            eventually(what, || async {
                let top = receiver.top();
                let moved = db
                    .number("select count(*) from webhook_delivery where state = 'pending'")
                    .await;
                if top == wanted && moved == 0 {
                    Ok(())
                } else {
                    Err(format!("{top:?} {moved}"))
                }
            })
            .await;
        };
        arrives("the tip").await;
        let mut tx = db.pool.begin().await.unwrap();
        delivery::ask_test(&mut tx, 1).await.unwrap();
        tx.commit().await.unwrap();
        eventually("the test", || async {
            let tests = receiver.taken.lock().unwrap().tests;
            if tests == 1 {
                Ok(())
            } else {
                Err(tests.to_string())
            }
        })
        .await;
        // Messages about mints are no part of the mirror: they go on where they were.
        let message =
            "insert into mint_pause (scope, reason, author) values ('global', 'manual', 'ann')";
        db.sql(message).await;
        hears(&receiver, 1).await;
        app.stop().await.unwrap();
        let rebuilt = crate::tools::stxworx_on(&db, &["rebuild", "--yes"]).await;
        assert_eq!(rebuilt.status.code(), Some(0), "{rebuilt:?}");
        let app = App::start(&db, &settings()).await;
        settled(&db).await;
        eventually("the reset", || async {
            let resets = receiver.taken.lock().unwrap().resets;
            if resets == 1 {
                Ok(())
            } else {
                Err(resets.to_string())
            }
        })
        .await;
        arrives("the tip again").await;
        db.sql("update mint_pause set lifted_at = now(), lifted_by = 'ann'")
            .await;
        hears(&receiver, 2).await;
        assert_eq!(
            json!(db.number("select resets from webhook").await),
            json!(1)
        );
        app.stop().await.unwrap();
        db.drop().await;
    });
}

#[test]
fn two_processes_send_once() {
    run(async {
        let (db, small) = (TestDb::new().await, small_chain());
        let first = App::start(&db, &settings()).await;
        let second = App::start(&db, &settings()).await;
        let receiver = Receiver::start(0).await;
        let secret = hook(&db, &receiver.url(), "{}", "seen", "skip", 3).await;
        receiver.trust(&secret);
        first.post(small.entries(), Order::default()).await;
        settled(&db).await;
        let wanted = tip(&db).await;
        eventually("the tip", || async {
            let top = receiver.top();
            if top == wanted {
                Ok(())
            } else {
                Err(format!("{top:?}"))
            }
        })
        .await;
        let lines = db.number("select count(*) from outbox").await;
        assert_eq!(
            receiver.taken.lock().unwrap().attempts,
            usize::try_from(lines).unwrap()
        );
        let sending = async |app: &App| metric(app, "stxworx_webhook_sender").await;
        assert_eq!(sending(&first).await + sending(&second).await, 1.0);
        // Whoever sends ends; the other one takes over.
        let (ends, stays) = if sending(&first).await == 1.0 {
            (first, second)
        } else {
            (second, first)
        };
        ends.stop().await.unwrap();
        eventually("the other one", || async {
            let sends = sending(&stays).await;
            if sends == 1.0 {
                Ok(())
            } else {
                Err(sends.to_string())
            }
        })
        .await;
        stays.stop().await.unwrap();
        db.drop().await;
    });
}
