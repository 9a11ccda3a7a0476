//! Coming back, bad questions, and followers that are too slow.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value as Json;
use stxworx::post::Order;
use stxworx_clarity::rng::SeededRng;
use stxworx_indexer::api::stream::filter::Filter;
use stxworx_indexer::api::stream::follow::{Follower, Out};
use stxworx_indexer::api::stream::frame::Cut;
use stxworx_indexer::api::stream::metrics::{StreamMetrics, Transport};
use stxworx_indexer::api::stream::position::Position;
use stxworx_indexer::api::stream::source::{Standing, Wanted};
use stxworx_indexer::api::stream::{StreamSettings, Streams};
use stxworx_indexer::store::{self, Access};
use tokio_util::sync::CancellationToken;

use super::client::{Beliefs, Sse};
use crate::support::app::{App, config};
use crate::support::chain::busy;
use crate::support::db::TestDb;
use crate::support::mirror::{settled, tip};
use crate::support::{eventually, run};
use crate::tools::{get, metric, small_chain};

/// All frames from the beginning, until the mirror's tip stands.
async fn all(app: &App, db: &TestDb) -> Vec<Json> {
    let wanted = tip(db).await;
    let mut stream = Sse::open(app.addresses.api.unwrap(), "?after=0", None)
        .await
        .map_err(|e| format!("{e:?}"))
        .unwrap();
    let (mut frames, mut beliefs) = (Vec::new(), Beliefs::default());
    let lines = db.number("select max(id) from outbox").await;
    loop {
        let frame = stream.frame().await;
        beliefs.take(&frame);
        let line: i64 = frame["position"]
            .as_str()
            .unwrap()
            .split(['.', '-'])
            .next()
            .unwrap()
            .parse()
            .unwrap();
        let over = line == lines && frame["last"] == true;
        frames.push(frame);
        if over {
            assert_eq!(beliefs.chain.last(), wanted.as_ref());
            return frames;
        }
    }
}

#[test]
fn every_position_leads_to_exactly_the_rest() {
    run(async {
        let (db, small) = (TestDb::new().await, small_chain());
        let app = App::start(&db, &config(&[])).await;
        app.post(small.entries(), Order::default()).await;
        // A block with more rows than one frame takes.
        let large = busy(&small.chain, small.fork.last().unwrap(), 400).build();
        app.post(vec![large.entry()], Order::default()).await;
        settled(&db).await;
        let frames = all(&app, &db).await;
        assert!(frames.iter().any(|f| f["part"] == 3), "no large block");
        assert!(frames.iter().any(|f| f["kind"] == "retracted"), "no fork");
        for place in 0..frames.len() - 1 {
            let id = frames[place]["position"].as_str().unwrap();
            // The header wins over what the query says.
            let opened = Sse::open(app.addresses.api.unwrap(), "?after=0", Some(id)).await;
            let mut stream = opened.map_err(|e| format!("{e:?}")).unwrap();
            for frame in &frames[place + 1..] {
                assert_eq!(stream.frame().await, *frame, "after {id}");
            }
        }
        app.stop().await.unwrap();
        db.drop().await;
    });
}

#[test]
fn what_is_asked_wrongly_is_refused_by_name() {
    run(async {
        let (db, small) = (TestDb::new().await, small_chain());
        let app = App::start(&db, &config(&[("stream.max_clients", "1")])).await;
        app.post(small.entries(), Order::default()).await;
        settled(&db).await;
        let at = app.addresses.api.unwrap();
        let long = "a".repeat(3_000);
        for (query, status, code) in [
            ("?after=1", 400, "invalid_parameter"),
            ("?after=-5", 400, "invalid_parameter"),
            (
                "?after=99999999999999999999-a0000000000000000",
                400,
                "invalid_parameter",
            ),
            ("?after=1-a0000000000000000", 410, "position_gone"),
            ("?after=99999-a0000000000000000", 410, "position_gone"),
            ("?min_finality=burn_0", 400, "invalid_parameter"),
            ("?min_finality=burn_7", 400, "invalid_parameter"),
            ("?min_finality=soon", 400, "invalid_parameter"),
            ("?contract=nobody", 400, "invalid_parameter"),
            ("?contract=,", 400, "invalid_parameter"),
            ("?principal=ST000", 400, "invalid_parameter"),
            ("?include=all", 400, "invalid_parameter"),
            ("?empty=1", 400, "invalid_parameter"),
            ("?topic=a%00b", 400, "invalid_parameter"),
            (&format!("?entity={long}"), 400, "invalid_parameter"),
            ("?limit=3", 400, "invalid_parameter"),
            ("?after=0&after=0", 400, "invalid_parameter"),
        ] {
            for path in ["/v1/stream", "/v1/stream/ws"] {
                if path.ends_with("ws") && query != "?limit=3" {
                    continue;
                }
                let reply = get(at, &format!("{path}{query}")).await;
                assert_eq!(
                    (reply.status(), reply.json()["code"].as_str()),
                    (status, Some(code)),
                    "{path}{query}"
                );
            }
        }
        let plain = get(at, "/v1/stream/ws").await;
        assert_eq!(plain.json()["code"], "bad_request");
        // The one place is taken, and free again when its follower leaves.
        let taken = Sse::open(at, "", None)
            .await
            .map_err(|e| format!("{e:?}"))
            .unwrap();
        let refused = Sse::open(at, "", None).await.err().flatten().unwrap();
        assert_eq!(
            (refused.0, refused.1["code"].as_str()),
            (503, Some("unavailable"))
        );
        assert_eq!(metric(&app, "stxworx_stream_refused_total").await, 1.0);
        drop(taken);
        eventually("a free place", || async {
            match Sse::open(at, "", None).await {
                Ok(_) => Ok(()),
                Err(refused) => Err(format!("{refused:?}")),
            }
        })
        .await;
        app.stop().await.unwrap();
        db.drop().await;
    });
}

#[test]
fn a_stream_begins_with_a_hello_and_ends_with_a_reason() {
    run(async {
        let (db, small) = (TestDb::new().await, small_chain());
        let app = App::start(&db, &config(&[])).await;
        app.post(small.entries(), Order::default()).await;
        settled(&db).await;
        let opened = Sse::open(app.addresses.api.unwrap(), "", None).await;
        let mut stream = opened.map_err(|e| format!("{e:?}")).unwrap();
        let hello = stream.next().await.unwrap();
        assert_eq!(hello.kind.as_deref(), Some("hello"));
        let json = hello.json();
        assert_eq!(
            json["as_of"]["index_block_hash"].as_str(),
            tip(&db).await.as_deref()
        );
        assert_eq!(json["position"].as_str(), hello.id.as_deref());
        app.stop().await.unwrap();
        let cut = stream.next().await.unwrap();
        assert_eq!(cut.kind.as_deref(), Some("cut"));
        assert_eq!(cut.json()["reason"], "shutdown");
        assert_eq!(cut.json()["position"], json["position"]);
        assert!(stream.next().await.is_none());
        db.drop().await;
    });
}

#[test]
fn a_mirror_made_anew_ends_what_was_followed() {
    run(async {
        let (db, small) = (TestDb::new().await, small_chain());
        let app = App::start(&db, &config(&[])).await;
        app.post(small.entries(), Order::default()).await;
        settled(&db).await;
        let at = app.addresses.api.unwrap();
        let opened = Sse::open(at, "", None).await;
        let mut stream = opened.map_err(|e| format!("{e:?}")).unwrap();
        let hello = stream.next().await.unwrap().id.unwrap();
        let rebuilt = crate::tools::stxworx_on(&db, &["rebuild", "--yes"]).await;
        assert_eq!(rebuilt.status.code(), Some(0), "{rebuilt:?}");
        let cut = stream.next().await.unwrap();
        assert_eq!(
            (cut.kind.as_deref(), cut.json()["reason"].as_str()),
            (Some("cut"), Some("position_gone"))
        );
        settled(&db).await;
        let refused = Sse::open(at, "", Some(&hello))
            .await
            .err()
            .flatten()
            .unwrap();
        assert_eq!(
            (refused.0, refused.1["code"].as_str()),
            (410, Some("position_gone"))
        );
        app.stop().await.unwrap();
        db.drop().await;
    });
}

#[test]
fn who_takes_frames_too_slowly_is_cut_and_holds_nobody_up() {
    run(async {
        let (db, small) = (TestDb::new().await, small_chain());
        let app = App::start(&db, &config(&[])).await;
        let entries = small.entries();
        app.post(entries[..2].to_vec(), Order::default()).await;
        settled(&db).await;
        let reader = store::pool(&db.url, Access::Read, 4).unwrap();
        let stop = CancellationToken::new();
        let streams = Streams::new(
            reader.clone(),
            |_| None,
            6,
            StreamSettings::default(),
            StreamMetrics::unregistered(),
            stop.clone(),
        );
        let standing = streams.source(0).newest().await.unwrap();
        let follower = |standing: Standing| Follower {
            streams: Arc::clone(&streams),
            wanted: Wanted {
                filter: Filter::default(),
                depth: 0,
                is_operator: false,
            },
            standing,
            mints: None,
            transport: Transport::Sse,
            place: streams.admit().unwrap(),
        };
        let (slow, mut asleep) = tokio::sync::mpsc::channel(1);
        let (quick, mut awake) = tokio::sync::mpsc::channel(100);
        let tasks = [
            tokio::spawn(follower(standing.clone()).run(slow)),
            tokio::spawn(follower(standing).run(quick)),
        ];
        eventually("both at the feed", || async {
            let clients = streams.metrics.clients.with_label_values(&["sse"]).get();
            let behind = streams.metrics.catching_up.get();
            if clients == 2 && behind == 0 {
                Ok(())
            } else {
                Err(format!("{clients} {behind}"))
            }
        })
        .await;
        app.post(entries[2..].to_vec(), Order::default()).await;
        settled(&db).await;
        let wanted = db.number("select max(id) from outbox").await;
        let mut last = 0;
        while i64::try_from(last).unwrap() < wanted {
            match awake.recv().await {
                Some(Out::Frame(frame)) => {
                    let json: Json = serde_json::from_slice(&frame.json).unwrap();
                    last = json["position"]
                        .as_str()
                        .unwrap()
                        .split('-')
                        .next()
                        .unwrap()
                        .parse::<u64>()
                        .unwrap();
                }
                other => panic!("{other:?}"),
            }
        }
        let Some(Out::Frame(first)) = asleep.recv().await else {
            panic!("no frame")
        };
        let Some(Out::Cut(Cut::Slow, position)) = asleep.recv().await else {
            panic!("no cut")
        };
        assert!(asleep.recv().await.is_none());
        // The cut stands behind the last frame that was queued: nothing is lost to who goes on from there.
        let first: Json = serde_json::from_slice(&first.json).unwrap();
        assert_eq!(first["position"], position.to_string());
        stop.cancel();
        for task in tasks {
            drop(awake.try_recv());
            task.await.unwrap();
        }
        reader.close().await;
        app.stop().await.unwrap();
        db.drop().await;
    });
}

#[test]
fn nobody_needs_a_chain_to_follow_it() {
    run(async {
        let db = TestDb::new().await;
        let app = App::start(&db, &config(&[])).await;
        let at = app.addresses.api.unwrap();
        let mut stream = eventually("a mirror", || async {
            Sse::open(at, "", None).await.map_err(|e| format!("{e:?}"))
        })
        .await;
        let hello = stream.next().await.unwrap().json();
        assert_eq!(
            (hello["position"].as_str(), &hello["as_of"]),
            (Some("0"), &Json::Null)
        );
        app.post(small_chain().entries(), Order::default()).await;
        let first = stream.frame().await;
        assert_eq!(first["kind"], "applied");
        app.stop().await.unwrap();
        db.drop().await;
    });
}

/// Whatever a follower does - hang up, take too slowly, ask with another queue - the frames that it takes, joined, are
/// those of the outbox: none is missing, and none comes twice.
#[test]
fn hanging_up_and_being_cut_loses_and_doubles_nothing() {
    run(async {
        let (db, small) = (TestDb::new().await, small_chain());
        let app = App::start(&db, &config(&[])).await;
        app.post(small.entries(), Order::default()).await;
        let large = busy(&small.chain, small.fork.last().unwrap(), 400).build();
        app.post(vec![large.entry()], Order::default()).await;
        settled(&db).await;
        let expected: Vec<String> = all(&app, &db)
            .await
            .iter()
            .map(|frame| frame["position"].as_str().unwrap().to_owned())
            .collect();
        let reader = store::pool(&db.url, Access::Read, 4).unwrap();
        let mut rng = SeededRng::new(77);
        for round in 0..30 {
            let settings = StreamSettings {
                queue: usize::try_from(rng.between(1, 4)).unwrap(),
                patience: Duration::from_millis(20),
                ..StreamSettings::default()
            };
            let queue = settings.queue;
            let stop = CancellationToken::new();
            let metrics = StreamMetrics::unregistered();
            let streams =
                Streams::new(reader.clone(), |_| None, 6, settings, metrics, stop.clone());
            let mut standing = Standing::START;
            let mut taken: Vec<String> = Vec::new();
            while taken.len() < expected.len() {
                let (sender, mut receiver) = tokio::sync::mpsc::channel(queue);
                let follower = Follower {
                    streams: Arc::clone(&streams),
                    wanted: Wanted {
                        filter: Filter::default(),
                        depth: 0,
                        is_operator: false,
                    },
                    standing,
                    mints: None,
                    transport: Transport::Ws,
                    place: streams.admit().unwrap(),
                };
                let task = tokio::spawn(follower.run(sender));
                let mut patience = rng.between(1, 6);
                let mut last = taken.last().cloned();
                while let Some(out) = receiver.recv().await {
                    match out {
                        Out::Frame(frame) => {
                            let json: Json = serde_json::from_slice(&frame.json).unwrap();
                            let position = json["position"].as_str().unwrap().to_owned();
                            taken.push(position.clone());
                            last = Some(position);
                        }
                        Out::Beat(position) => last = Some(position.to_string()),
                        Out::Cut(reason, position) => {
                            assert_eq!(reason, Cut::Slow);
                            let stood = last.clone().unwrap_or_else(|| "0".to_owned());
                            assert_eq!(position.to_string(), stood, "round {round}");
                            break;
                        }
                    }
                    patience -= 1;
                    if patience == 0 || taken.len() == expected.len() {
                        // Sometimes it sleeps until it is cut, and sometimes it just goes.
                        if rng.between(0, 1) == 0 {
                            break;
                        }
                        patience = 1_000;
                        tokio::time::sleep(Duration::from_millis(30)).await;
                        if taken.len() == expected.len() {
                            break;
                        }
                    }
                }
                drop(receiver);
                task.await.unwrap();
                let position = last.map_or(Position::START, |text| text.parse().unwrap());
                standing = streams.source(0).resume(position).await.unwrap().0;
            }
            assert_eq!(taken, expected, "round {round}");
            stop.cancel();
        }
        reader.close().await;
        app.stop().await.unwrap();
        db.drop().await;
    });
}
