//! Messages about mints: in the order of commits, once each, to those who asked for them.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt as _;
use nix::sys::signal::Signal;
use serde_json::Value as Json;
use stxworx::daemon::Role;
use stxworx_clarity::rng::SeededRng;
use stxworx_indexer::api::stream::bookmark::MintPlace;
use stxworx_indexer::api::stream::mints;
use stxworx_indexer::store::mint::pause;
use tokio::sync::watch;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_util::sync::CancellationToken;

use super::ended::{minted, story};
use super::live::{dials, indexer, minter, start_until};
use crate::streams::client::{Beliefs, Sse};
use crate::streams::hooks::{Receiver, hook, settings};
use crate::support::app::App;
use crate::support::db::TestDb;
use crate::support::mirror::tip;
use crate::support::{eventually, run};
use crate::tools::Daemon;

const CONTRACT: &str = "ST2.freelance-badges";

/// Awards 1 to 3 with an intent each.
async fn three_intents(db: &TestDb) {
    for recipient in ["ST3", "ST4", "ST5"] {
        db.sql(format!(
            "with award as (
                 insert into mint_award (contract, recipient, kind, award_seq, evidence, evidence_hash)
                 values ('{CONTRACT}', '{recipient}', 1, 1, '{{}}', sha256('{{}}')) returning id)
             insert into mint_intent (award_id, state, reason) select id, 'queued', 'r' from award"
        ))
        .await;
    }
}

async fn held(tx: &mut sqlx::PgConnection, intent: i64) {
    let sql =
        format!("update mint_intent set state = 'held', reason = 'not_earned' where id = {intent}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
        .execute(tx)
        .await
        .unwrap();
}

/// Kinds and subjects, in order.
async fn told(db: &TestDb) -> String {
    let text = db
        .text(
            "select string_agg(kind || ' ' || coalesce(intent_id::text || ' ' || recipient, body ->> 'reason'), ', '
                 order by seq) from mint_message",
        )
        .await;
    text.unwrap_or_default()
}

#[test]
fn messages_are_numbered_as_they_are_committed() {
    run(async {
        let db = TestDb::new().await;
        three_intents(&db).await;
        assert_eq!(told(&db).await, "queued 1 ST3, queued 2 ST4, queued 3 ST5");
        let seen = mints::newest(&db.pool).await.unwrap();
        let mut first = db.pool.begin().await.unwrap();
        let mut second = db.pool.begin().await.unwrap();
        let mut third = db.pool.begin().await.unwrap();
        held(&mut first, 1).await;
        held(&mut second, 2).await;
        held(&mut third, 3).await;
        second.commit().await.unwrap();
        let behind = mints::behind(&db.pool, seen).await.unwrap();
        let [of_second] = &behind[..] else {
            panic!("{behind:?}")
        };
        let seen = of_second.place;
        third.rollback().await.unwrap();
        // It began first, and is committed last.
        first.commit().await.unwrap();
        let behind = mints::behind(&db.pool, seen).await.unwrap();
        assert_eq!(behind.len(), 1, "{behind:?}");
        assert!(behind[0].place.seq > seen.seq);
        assert!(told(&db).await.ends_with("held 2 ST4, held 1 ST3"));
        let other = MintPlace {
            tag: [seen.tag[0] ^ 1, 0, 0, 0],
            ..seen
        };
        assert!(
            mints::behind(&db.pool, other).await.is_err(),
            "another database's"
        );
        let beyond = MintPlace {
            seq: seen.seq + 1_000,
            ..seen
        };
        assert!(
            mints::behind(&db.pool, beyond).await.is_err(),
            "it lost its newest commits"
        );
        db.drop().await;
    });
}

#[test]
fn every_state_has_its_kind_and_pauses_are_told() {
    run(async {
        let db = TestDb::new().await;
        three_intents(&db).await;
        db.sql("update mint_intent set note = 'x' where id = 1")
            .await;
        for state in ["review", "dead", "queued", "cancelled"] {
            db.sql(format!(
                "update mint_intent set state = '{state}', reason = null where id = 1"
            ))
            .await;
        }
        db.sql(format!(
            "insert into mint_lane (sender, contract, holder, expires_at, final_after)
             values ('ST1', '{CONTRACT}', 'h', now(), 6)"
        ))
        .await;
        let lane = ("lane", "ST1");
        for _ in 0..2 {
            pause::pause(&db.pool, lane, "manual", "", "ann")
                .await
                .unwrap();
        }
        pause::lift(&db.pool, lane, "manual", "ann").await.unwrap();
        db.sql(
            "begin;
             insert into mint_effect (intent_id, kind) values (2, 'satisfied_elsewhere');
             update mint_intent set state = 'satisfied_elsewhere', reason = null where id = 2;
             insert into mint_line (id, kind, intent_id, sender, body) values ('a', 'satisfied_elsewhere', 2, 'ST1', '{}');
             commit;
             insert into mint_line (id, kind, intent_id, sender, body) values ('b', 'retracted', 2, 'ST1', '{}')",
        )
        .await;
        assert_eq!(
            told(&db).await,
            "queued 1 ST3, queued 2 ST4, queued 3 ST5, needs_review 1 ST3, dead 1 ST3, queued 1 ST3, cancelled 1 ST3, \
             paused manual, resumed manual, satisfied_elsewhere 2 ST4, retracted 2 ST4"
        );
        let body = db
            .text("select body::text from mint_message where kind = 'needs_review'")
            .await;
        let body: Json = serde_json::from_str(&body.unwrap()).unwrap();
        assert_eq!(
            body,
            serde_json::json!({
                "id": 1, "contract": CONTRACT, "recipient": "ST3", "kind": "1", "award_seq": 1, "state": "review",
                "from": "queued", "reason": null, "txid": null, "index_block_hash": null, "height": null, "badge": null
            })
        );
        let paused = db
            .text("select contract || ' ' || (body ->> 'subject') from mint_message where kind = 'paused'")
            .await;
        assert_eq!(paused.as_deref(), Some("ST2.freelance-badges ST1"));
        db.drop().await;
    });
}

/// What somebody was told, in order.
type Heard = Arc<Mutex<Vec<Json>>>;

/// Follows as long as the scenario lasts: comes back whenever it is cut, and hangs up now and then by itself.
fn follow(
    query: &'static str,
    api: watch::Receiver<SocketAddr>,
    seed: u64,
) -> (Heard, Arc<Mutex<Beliefs>>) {
    let (heard, beliefs) = (Heard::default(), Arc::new(Mutex::new(Beliefs::default())));
    let (messages, frames) = (Arc::clone(&heard), Arc::clone(&beliefs));
    tokio::spawn(async move {
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
            let mut patience = rng.between(1, 60);
            while let Some(event) = stream.next().await {
                match event.kind.as_deref() {
                    Some("mint") => messages.lock().unwrap().push(event.json()),
                    Some("applied" | "retracted") => frames.lock().unwrap().take(&event.json()),
                    _ => {}
                }
                last = event.id.unwrap_or(last);
                patience -= 1;
                if patience == 0 {
                    break;
                }
            }
        }
    });
    (heard, beliefs)
}

/// The same over a websocket.
fn follow_socket(query: &'static str, api: watch::Receiver<SocketAddr>) -> Heard {
    let heard = Heard::default();
    let messages = Arc::clone(&heard);
    tokio::spawn(async move {
        let mut last = "0".to_owned();
        loop {
            let url = format!("ws://{}/v1/stream/ws{query}&after={last}", *api.borrow());
            let request = url.into_client_request().unwrap();
            let Ok((mut socket, _)) = tokio_tungstenite::connect_async(request).await else {
                tokio::task::yield_now().await;
                continue;
            };
            while let Some(Ok(message)) = socket.next().await {
                let Ok(json) = serde_json::from_str::<Json>(message.to_text().unwrap_or_default())
                else {
                    continue;
                };
                if json["event"] == "mint" {
                    messages.lock().unwrap().push(json["data"].clone());
                }
                if let Some(position) = json["data"]["position"].as_str() {
                    last = position.to_owned();
                }
            }
        }
    });
    heard
}

fn ids(messages: &[Json]) -> Vec<String> {
    let id = |message: &Json| message["id"].as_str().unwrap().to_owned();
    messages.iter().map(id).collect()
}

/// Ids of what was written, of these kinds, in order.
async fn written(db: &TestDb, kinds: &str) -> Vec<String> {
    let text = db
        .text(format!(
            "select coalesce(string_agg('m' || seq || '-' || tag, ' ' order by seq), '') from mint_message where {kinds}"
        ))
        .await
        .unwrap();
    text.split_whitespace().map(str::to_owned).collect()
}

async fn hears(what: &str, wanted: &[String], heard: impl Fn() -> Vec<Json>) {
    eventually(what, || async {
        let ids = ids(&heard());
        if ids == wanted {
            Ok(())
        } else {
            Err(format!(
                "{} of {}: {:?}",
                ids.len(),
                wanted.len(),
                ids.last()
            ))
        }
    })
    .await;
}

/// Each message of a mint goes on from where the one before left it.
fn assert_each_life_is_whole(messages: &[Json]) {
    let mut states = std::collections::BTreeMap::new();
    for message in messages {
        let (mint, kind) = (&message["mint"], message["kind"].as_str().unwrap());
        let before = states.insert(mint["id"].as_i64().unwrap(), mint["state"].clone());
        assert_eq!(before.unwrap_or_default(), mint["from"], "{message}");
        if kind == "minted" {
            assert!(
                mint["txid"].is_string() && mint["badge"].is_string(),
                "{message}"
            );
        }
    }
}

#[test]
fn followers_hear_each_mints_life_once_and_in_order_whoever_is_killed() {
    run(async {
        let db = TestDb::new().await;
        let app = App::try_start(&db.url, &indexer(), &[Role::Indexer])
            .await
            .unwrap();
        let roles = [Role::Api, Role::Webhooks];
        let mut teller = App::try_start(&db.url, &settings(), &roles).await.unwrap();
        let (address, api) = watch::channel(teller.addresses.api.unwrap());
        let receiver = Receiver::start(2).await;
        receiver.trust(
            &hook(
                &db,
                &receiver.url(),
                "{\"mint\":[\"all\"]}",
                "seen",
                "skip",
                1_000,
            )
            .await,
        );
        let (alone, _) = follow("?include=mints", api.clone(), 1);
        let (both, beliefs) = follow("?mint=all", api.clone(), 2);
        let ends = follow_socket("?include=mints&mint=minted,held", api);
        let cancel = CancellationToken::new();
        let producing = cancel.child_token();
        let mut devnet = start_until(&app, dials(), &cancel, producing.clone()).await;
        let node = format!("http://{}", devnet.rpc);
        let mut mints = Daemon::spawn(minter(&db, &node));
        for round in 0..3 {
            eventually("mints", || async {
                match minted(&db).await {
                    count if count > round => Ok(()),
                    _ => Err(story(&db).await),
                }
            })
            .await;
            mints.signal(Signal::SIGKILL);
            assert_eq!(mints.ended().await, None);
            mints = Daemon::spawn(minter(&db, &node));
            teller.stop().await.unwrap();
            teller = App::try_start(&db.url, &settings(), &roles).await.unwrap();
            address.send(teller.addresses.api.unwrap()).unwrap();
        }
        pause::pause(&db.pool, ("global", ""), "manual", "", "ann")
            .await
            .unwrap();
        pause::lift(&db.pool, ("global", ""), "manual", "ann")
            .await
            .unwrap();
        mints.signal(Signal::SIGTERM);
        assert_eq!(mints.ended().await, Some(0));
        producing.cancel();
        let all = written(&db, "true").await;
        let of_mints = written(&db, "intent_id is not null").await;
        let some = written(&db, "kind in ('minted', 'held')").await;
        assert!(all.len() >= of_mints.len() + 2 && !some.is_empty());
        let events = db.number("select count(*) from mint_event").await;
        assert_eq!(
            db.number("select count(*) from mint_message where intent_id is not null and kind <> 'retracted'")
                .await,
            events
        );
        hears("the webhook's letters", &all, || receiver.mints()).await;
        hears("messages alone", &of_mints, || {
            alone.lock().unwrap().clone()
        })
        .await;
        hears("messages among blocks", &of_mints, || {
            both.lock().unwrap().clone()
        })
        .await;
        hears("minted and held", &some, || ends.lock().unwrap().clone()).await;
        assert_each_life_is_whole(&alone.lock().unwrap());
        eventually("the blocks", || async {
            let (wanted, top) = (
                tip(&db).await,
                beliefs.lock().unwrap().chain.last().cloned(),
            );
            let letters = receiver.top();
            if wanted == top && wanted == letters {
                Ok(())
            } else {
                Err(format!("{top:?} and {letters:?} of {wanted:?}"))
            }
        })
        .await;
        println!(
            "{} messages, {} mints; letters: {}",
            all.len(),
            minted(&db).await,
            receiver.summary()
        );
        cancel.cancel();
        devnet.wait().await.unwrap();
        teller.stop().await.unwrap();
        app.stop().await.unwrap();
        db.drop().await;
    });
}

#[test]
fn pauses_are_for_operators_and_junk_is_refused() {
    run(async {
        let db = TestDb::new().await;
        let app = App::try_start(&db.url, &settings(), &[Role::Api])
            .await
            .unwrap();
        let api = app.addresses.api.unwrap();
        three_intents(&db).await;
        for (query, status, code) in [
            ("?mint=paused", 403, "forbidden"),
            ("?mint=sung", 400, "invalid_parameter"),
            ("?mint=", 400, "invalid_parameter"),
            ("?mint=minted,,held", 400, "invalid_parameter"),
            ("?include=everything", 400, "invalid_parameter"),
            ("?mint=all&after=0~", 400, "invalid_parameter"),
            ("?mint=all&after=0~m1", 400, "invalid_parameter"),
            ("?include=mints&after=0~m1-00000000", 410, "position_gone"),
            (
                "?include=mints&mint=held&after=0~m99-00000000",
                410,
                "position_gone",
            ),
        ] {
            let refused = Sse::open(api, query, None).await.unwrap_err().unwrap();
            assert_eq!(
                (refused.0, refused.1["code"].as_str()),
                (status, Some(code)),
                "{query}"
            );
        }
        let first = |query: &'static str| async move {
            let mut stream = Sse::open(api, query, None).await.unwrap();
            loop {
                let event = stream.next().await.unwrap();
                if event.kind.as_deref() == Some("mint") {
                    assert_eq!(event.id.as_deref(), event.json()["position"].as_str());
                    return event.json()["mint"]["recipient"]
                        .as_str()
                        .unwrap()
                        .to_owned();
                }
            }
        };
        assert_eq!(first("?include=mints&after=0").await, "ST3");
        assert_eq!(first("?include=mints&mint=queued&after=0~m0").await, "ST3");
        // Without a place it begins with what comes next.
        let mut later = Sse::open(api, "?include=mints", None).await.unwrap();
        let hello = later.next().await.unwrap().json();
        let newest = mints::newest(&db.pool).await.unwrap();
        assert_eq!(hello["position"], format!("0~{newest}"));
        tokio::time::timeout(Duration::from_secs(60), async {
            db.sql("update mint_intent set state = 'held', reason = 'not_earned' where id = 2")
                .await;
            let event = later.next().await.unwrap();
            assert_eq!(event.json()["kind"], "held");
        })
        .await
        .unwrap();
        app.stop().await.unwrap();
        db.drop().await;
    });
}
