//! Fifty forks and ten restarts.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use futures::StreamExt as _;
use serde_json::Value as Json;
use stxworx::post::Order;
use stxworx_clarity::rng::SeededRng;
use tokio::sync::watch;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use super::client::{Beliefs, Sse, projects};
use super::hooks::{Receiver, hook};
use crate::devnet::history::History;
use crate::support::app::{App, config};
use crate::support::db::TestDb;
use crate::support::mirror::{settled, tip};
use crate::support::{eventually, run};
use crate::tools::metric;

const FORKS: u32 = 50;
const RESTARTS: u32 = 10;

/// A follower that comes back whenever it is cut, and hangs up now and then by itself.
struct Consumer {
    beliefs: Arc<Mutex<Beliefs>>,
    task: tokio::task::JoinHandle<()>,
}

impl Consumer {
    fn over_sse(query: &'static str, api: watch::Receiver<SocketAddr>, seed: u64) -> Self {
        let beliefs = Arc::new(Mutex::new(Beliefs::default()));
        let taken = Arc::clone(&beliefs);
        let task = tokio::spawn(async move {
            let mut rng = SeededRng::new(seed);
            let mut last = "0".to_owned();
            loop {
                let at = *api.borrow();
                let mut stream = match Sse::open(at, query, Some(&last)).await {
                    Ok(stream) => stream,
                    Err(None | Some((503, _))) => {
                        tokio::task::yield_now().await;
                        continue;
                    }
                    Err(Some((status, body))) => panic!("{status}: {body}"),
                };
                let mut patience = rng.between(1, 120);
                while let Some(event) = stream.next().await {
                    let kind = event.kind.as_deref();
                    if kind == Some("cut") {
                        assert!(event.data.contains("shutdown"), "{}", event.data);
                    }
                    if matches!(kind, Some("applied" | "retracted")) {
                        taken.lock().unwrap().take(&event.json());
                        patience -= 1;
                    }
                    last = event.id.unwrap_or(last);
                    if patience == 0 {
                        break;
                    }
                }
            }
        });
        Self { beliefs, task }
    }

    fn over_websocket(api: watch::Receiver<SocketAddr>) -> Self {
        let beliefs = Arc::new(Mutex::new(Beliefs::default()));
        let taken = Arc::clone(&beliefs);
        let task = tokio::spawn(async move {
            let mut last = "0".to_owned();
            loop {
                let url = format!("ws://{}/v1/stream/ws?after={last}", *api.borrow());
                let request = url.into_client_request().unwrap();
                let Ok((mut socket, _)) = tokio_tungstenite::connect_async(request).await else {
                    tokio::task::yield_now().await;
                    continue;
                };
                while let Some(Ok(message)) = socket.next().await {
                    let Ok(text) = message.into_text() else {
                        continue;
                    };
                    let Ok(json) = serde_json::from_str::<Json>(&text) else {
                        continue;
                    };
                    if matches!(json["event"].as_str(), Some("applied" | "retracted")) {
                        taken.lock().unwrap().take(&json["data"]);
                    }
                    if let Some(position) = json["data"]["position"].as_str() {
                        last = position.to_owned();
                    }
                }
            }
        });
        Self { beliefs, task }
    }

    fn top(&self) -> Option<String> {
        self.beliefs.lock().unwrap().chain.last().cloned()
    }
}

async fn arrives(what: &str, wanted: &str, top: impl Fn() -> Option<String>) {
    eventually(what, || async {
        match top() {
            Some(top) if top == wanted => Ok(()),
            other => Err(format!("{other:?} of {wanted}")),
        }
    })
    .await;
}

/// What the mirror has at its tip, of every projection.
async fn current(db: &TestDb) -> BTreeMap<(String, String), Json> {
    let text = db
        .text(
            "select coalesce(jsonb_agg(jsonb_build_array(p.name, c.entity, v.state)), '[]')::text
             from projection_current c join projection_version v on v.id = c.version_id
             join projection p on p.id = c.projection",
        )
        .await;
    let rows: Vec<(String, String, Json)> = serde_json::from_str(&text.unwrap()).unwrap();
    rows.into_iter().map(|(p, e, s)| ((p, e), s)).collect()
}

#[test]
fn followers_and_receivers_end_with_what_the_mirror_shows() {
    run(async {
        let mut history = History::new(31, 800);
        let db = TestDb::new().await;
        let follow = history.follow();
        let settings = config(&[
            ("follow.mirror", "\"followed\""),
            (
                "follow.contracts",
                &format!("{:?}", follow.contracts.iter().collect::<Vec<_>>()),
            ),
            (
                "follow.principals",
                &format!("{:?}", follow.principals.iter().collect::<Vec<_>>()),
            ),
            ("chain.finality_burn_blocks", "6"),
            ("webhooks.allow_private", "true"),
            ("webhooks.timeout_ms", "100"),
            ("webhooks.first_pause_ms", "5"),
            ("webhooks.longest_pause_ms", "50"),
            ("webhooks.lease_ms", "300"),
        ]);
        let mut app = App::start(&db, &settings).await;
        let (address, api) = watch::channel(app.addresses.api.unwrap());
        let receiver = Receiver::start(4).await;
        let secret = hook(&db, &receiver.url(), "{}", "seen", "skip", 1_000).await;
        receiver.trust(&secret);
        let consumers = [
            Consumer::over_sse("", api.clone(), 1),
            Consumer::over_sse(
                "?projection=projects&include=states&min_finality=seen",
                api.clone(),
                2,
            ),
            Consumer::over_websocket(api.clone()),
            Consumer::over_sse("?min_finality=burn_2", api.clone(), 3),
        ];
        let mut restarts = 0;
        while history.forks.0 < FORKS || restarts < RESTARTS {
            history.grow(16);
            app.post(history.said(), Order::default()).await;
            if history.forks.0 / 5 > restarts || history.forks.0 >= FORKS {
                // In the middle of whatever it is doing.
                app.stop().await.unwrap();
                app = App::start(&db, &settings).await;
                address.send_replace(app.addresses.api.unwrap());
                restarts += 1;
            }
            if restarts == RESTARTS / 2 && receiver.trusted() == 1 {
                let id = 1;
                let mut tx = db.pool.begin().await.unwrap();
                let new = stxworx_indexer::webhook::sign::new_secret().unwrap();
                let grace = std::time::Duration::from_secs(3_600);
                stxworx_indexer::store::webhook::add_secret(&mut tx, id, &new, grace)
                    .await
                    .unwrap();
                receiver.trust(&new);
                tx.commit().await.unwrap();
            }
        }
        settled(&db).await;
        let wanted = tip(&db).await.unwrap();
        let at = app.addresses.api.unwrap();
        for consumer in &consumers[..1] {
            arrives("the stream's tip", &wanted, || consumer.top()).await;
        }
        arrives("the websocket's tip", &wanted, || consumers[2].top()).await;
        arrives("the receiver's tip", &wanted, || receiver.top()).await;
        let shown = projects(at, &wanted).await;
        assert!(shown.len() > 20, "{} projects", shown.len());
        let everything = current(&db).await;
        for consumer in [&consumers[0], &consumers[2]] {
            assert!(!consumer.task.is_finished());
            let beliefs = consumer.beliefs.lock().unwrap();
            assert_eq!(beliefs.of("projects"), shown);
            assert_eq!(beliefs.states, everything);
            assert!(beliefs.retracted > 50, "{}", beliefs.retracted);
        }
        receiver.assert_believes(&everything);
        // With a filter, blocks of which nothing is told are left out: the states say all.
        eventually("the filtered states", || async {
            let projects = consumers[1].beliefs.lock().unwrap().of("projects");
            if projects == shown {
                Ok(())
            } else {
                Err(projects.len().to_string())
            }
        })
        .await;
        deep_one_stands(&db, at, &consumers[3]).await;
        let (forks, replaced) = history.forks;
        println!(
            "{forks} forks that replaced {replaced} blocks, {restarts} restarts, {} states; the receiver: {}; {} frames since the last start",
            everything.len(),
            receiver.summary(),
            metric(&app, "stxworx_stream_frames_total").await
        );
        for consumer in consumers {
            consumer.task.abort();
        }
        app.stop().await.unwrap();
        db.drop().await;
    });
}

/// A follower of what lies two Bitcoin blocks deep stands on the highest such block, with its states.
async fn deep_one_stands(db: &TestDb, at: SocketAddr, consumer: &Consumer) {
    let wanted = db
        .text(
            "select '0x' || encode(b.index_block_hash, 'hex') from canonical c join block b on b.id = c.block_id
             where b.burn_block_height <= (select max(height) from burn_block) - 2 order by c.height desc limit 1",
        )
        .await
        .unwrap();
    arrives("the deep tip", &wanted, || consumer.top()).await;
    let beliefs = consumer.beliefs.lock().unwrap().of("projects");
    assert_eq!(beliefs, projects(at, &wanted).await);
}
