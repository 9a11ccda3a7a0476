//! Servers that fail, lag and lie: nothing crashes, nothing wrong is stored, and it is seen.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use stxworx_indexer::metrics::Metrics;
use stxworx_indexer::source::api::{ApiSource, Standing};
use stxworx_indexer::source::http::FetchError;
use stxworx_indexer::source::pull::Pull as _;

use super::story::{Mischief, Served, Story};
use super::{Filler, config};
use crate::support::chain::Engine;
use crate::support::db::TestDb;
use crate::support::mirror::canonical_digests;
use crate::support::{eventually, run};
use tokio::sync::Notify;

/// Changes the first row of a list, or the row itself.
fn row(answer: &mut Json) -> &mut Json {
    match answer.get("results").and_then(Json::as_array).map(Vec::len) {
        Some(0) | None => answer,
        Some(_) => &mut answer["results"][0],
    }
}

fn amount_as_number(answer: &mut Json) {
    for event in answer["results"].as_array_mut().into_iter().flatten() {
        for kind in ["stx_asset", "ft_asset"] {
            if let Some(amount) = event.get_mut(kind).and_then(|e| e.get_mut("amount")) {
                *amount = json!(18_446_744_073_709_551_615_u64);
            }
        }
    }
}

/// A name, the questions that are answered so, and what is changed of the answer.
type Lie = (&'static str, &'static str, fn(&mut Json));

const LIES: &[Lie] = &[
    ("a short hash", "/v2/blocks?", |a| {
        row(a)["index_block_hash"] = json!("0x1234")
    }),
    ("a hash of another block", "/v2/blocks?", |a| {
        row(a)["index_block_hash"] = json!(format!("0x{}", "ab".repeat(32)));
    }),
    ("a broken link", "/v2/blocks?", |a| {
        row(a)["parent_index_block_hash"] = json!(format!("0x{}", "cd".repeat(32)));
    }),
    ("a height that does not fit", "/v2/blocks?", |a| {
        row(a)["height"] = json!(3)
    }),
    ("fewer blocks than asked", "/v2/blocks?", |a| {
        a["results"].as_array_mut().unwrap().pop();
    }),
    ("an amount as a number", "/events", amount_as_number),
    ("a negative amount", "/events", |a| {
        for event in a["results"].as_array_mut().into_iter().flatten() {
            if let Some(asset) = event.get_mut("stx_asset") {
                asset["amount"] = json!("-5");
            }
        }
    }),
    ("an event that is not there", "/events", |a| {
        a["results"].as_array_mut().unwrap().pop();
    }),
    ("an event twice", "/events", |a| {
        row(a)["event_index"] = json!(1)
    }),
    ("a value that is none", "/events", |a| {
        for event in a["results"].as_array_mut().into_iter().flatten() {
            if let Some(log) = event.get_mut("contract_log") {
                log["value"]["hex"] = json!("0xzz");
            }
        }
    }),
    ("a transaction of an unknown block", "include=", |a| {
        a["block"]["index_hash"] = json!(format!("0x{}", "ef".repeat(32)));
    }),
    ("another transaction", "include=", |a| {
        a["tx_id"] = json!(format!("0x{}", "11".repeat(32)))
    }),
    ("a transaction that is in no block", "include=", |a| {
        a.as_object_mut().unwrap().remove("block");
    }),
    ("a transaction beyond the block's last", "include=", |a| {
        a["block"]["tx_index"] = json!(9_999)
    }),
    ("a sender that is no address", "include=", |a| {
        a["sender"]["address"] = json!("SPNOBODY")
    }),
    ("a fee that is no number", "include=", |a| {
        a["fee_rate"] = json!("12.5")
    }),
    ("no result", "include=", |a| {
        a.as_object_mut().unwrap().remove("result");
    }),
    ("logs of another contract", "/logs", |a| {
        row(a)["contract_log"]["contract_id"] = json!("ST000000000000000000002AMW42H.other");
    }),
    ("a cursor that is an address", "/logs", |a| {
        a["prev_cursor"] = json!("../../etc")
    }),
    ("a list that is not in order", "/principals/", |a| {
        if let Some(rows) = a["results"].as_array_mut() {
            rows.reverse();
        }
    }),
    ("a cursor that is a question", "/principals/", |a| {
        a["cursor"]["next"] = json!("1:2:3&limit=1")
    }),
    ("a tip without a hash", "/extended", |a| {
        if a.get("chain_tip").is_some() {
            a["chain_tip"]["index_block_hash"] = json!("0x");
        }
    }),
];

#[test]
fn lies_are_refused_one_by_one_and_nothing_of_them_is_stored() {
    run(async {
        let mut story = Story::new(41);
        story.grow(45);
        let by_node = TestDb::new().await;
        let node = Engine::start_with(&by_node, story.follow());
        node.feed(&by_node, &story.said()).await;
        let expected = canonical_digests(&by_node).await;
        let served = Served::start(story.chain.clone()).await;
        for (name, path, edit) in LIES {
            let metrics = Arc::new(Metrics::new().unwrap());
            let source = ApiSource::new(&config(&[served.url()]), story.follow(), metrics).unwrap();
            served.plan(path, Mischief::Edit(*edit), u32::MAX);
            let top = story.height();
            let told = async {
                source.tip().await?;
                source.range(top - 29, top).await
            };
            let error = told.await.expect_err(name);
            assert!(
                matches!(error, FetchError::Unusable { .. }),
                "{name}: {error}"
            );
            assert_eq!(source.standings()[0].1, Standing::Bad, "{name}");
            served.behave();
        }
        // The same lies one after the other, to a mirror that is being filled.
        let mut filler = Filler::new(&[served.url()], story.follow()).await;
        for (name, path, edit) in LIES {
            served.plan(path, Mischief::Edit(*edit), 1);
            if let Err(error) = filler.catch_up().await {
                assert!(error.is_transient(), "{name}: {error}");
            }
        }
        served.behave();
        filler.catch_up_in_the_end().await;
        assert_eq!(canonical_digests(&filler.db).await, expected);
        filler.end().await;
        node.stop().await;
        by_node.drop().await;
    });
}

#[test]
fn a_broken_server_costs_time_and_nothing_else() {
    run(async {
        let mut story = Story::new(42);
        story.grow(40);
        let by_node = TestDb::new().await;
        let node = Engine::start_with(&by_node, story.follow());
        let served = Served::start(story.chain.clone()).await;
        let mut filler = Filler::new(&[served.url()], story.follow()).await;
        let breakages = [
            ("HTML with 200", Mischief::Html, "unusable"),
            (
                "a gzip that breaks off",
                Mischief::TruncatedGzip,
                "unreachable",
            ),
            ("a body without end", Mischief::Endless, "too_large"),
            ("500", Mischief::Status(500), "status"),
            ("503", Mischief::Status(503), "busy"),
        ];
        for (name, mischief, outcome) in breakages {
            for path in [
                "/extended",
                "/v2/blocks",
                "/principals/",
                "/logs",
                "/v3/transactions",
            ] {
                let before = filler.requests(outcome);
                story.grow(2);
                node.feed(&by_node, &story.said()).await;
                served.plan(path, mischief.clone(), 2);
                let error = loop {
                    match filler.catch_up().await {
                        Err(error) if error.kind() == outcome => break error,
                        // Whoever asks during the pause is told of it.
                        Err(error) if error.kind() == "busy" => {
                            tokio::time::sleep(error.retry_after().unwrap()).await;
                        }
                        other => panic!("{name} at {path}: {other:?}"),
                    }
                };
                assert!(
                    filler.requests(outcome) > before,
                    "{name} at {path}: {error}"
                );
                served.behave();
                // A body that is too long is no transient failure, but this server's next one is short.
                while let Err(error) = filler.catch_up().await {
                    tokio::time::sleep(error.retry_after().unwrap_or(Duration::from_millis(20)))
                        .await;
                }
            }
        }
        filler.engine.quiet(&filler.db).await;
        let expected = canonical_digests(&by_node).await;
        assert_eq!(canonical_digests(&filler.db).await, expected);
        filler.end().await;
        node.stop().await;
        by_node.drop().await;
    });
}

#[test]
fn a_server_that_asks_for_a_pause_gets_it() {
    run(async {
        let mut story = Story::new(43);
        story.grow(10);
        let served = Served::start(story.chain.clone()).await;
        let metrics = Arc::new(Metrics::new().unwrap());
        let source = ApiSource::new(&config(&[served.url()]), story.follow(), metrics).unwrap();
        served.plan("/extended", Mischief::Busy { seconds: 2 }, 1);
        let began = Instant::now();
        let error = source.tip().await.unwrap_err();
        assert_eq!(error.retry_after(), Some(Duration::from_secs(2)), "{error}");
        served.asked();
        // However often it is asked meanwhile, the server is not.
        while let Err(error) = source.tip().await {
            let left = error.retry_after().unwrap();
            assert!(left <= Duration::from_secs(2), "{error}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert!(began.elapsed() >= Duration::from_secs(2));
        assert_eq!(served.asked(), ["/extended"]);
    });
}

#[test]
fn a_question_that_is_not_offered_any_more_is_said_to_be() {
    run(async {
        let mut story = Story::new(44);
        story.grow(20);
        let served = Served::start(story.chain.clone()).await;
        let metrics = Arc::new(Metrics::new().unwrap());
        let source = ApiSource::new(&config(&[served.url()]), story.follow(), metrics).unwrap();
        served.plan("/principals/", Mischief::Status(410), 1);
        source.tip().await.unwrap();
        let error = source.range(1, 20).await.unwrap_err();
        assert!(
            matches!(error, FetchError::NotOffered { status: 410, .. }),
            "{error}"
        );
        assert!(error.to_string().contains("/principals/"), "{error}");
        assert_eq!(source.standings()[0].1, Standing::Bad);
        // Only its operator can help: the next one to ask hears of a long pause.
        let pause = source
            .range(1, 20)
            .await
            .unwrap_err()
            .retry_after()
            .unwrap();
        assert!(pause > Duration::from_secs(200), "{pause:?}");
        // A list that is not there at all is no empty list.
        let metrics = Arc::new(Metrics::new().unwrap());
        let source = ApiSource::new(&config(&[served.url()]), story.follow(), metrics).unwrap();
        served.plan("/logs", Mischief::Status(404), u32::MAX);
        source.tip().await.unwrap();
        let error = source.range(1, 20).await.unwrap_err();
        assert!(
            matches!(error, FetchError::NotOffered { status: 404, .. }),
            "{error}"
        );
    });
}

#[test]
fn of_several_servers_the_one_that_is_sound_is_asked() {
    run(async {
        let mut story = Story::new(45);
        story.grow(20);
        // The same chain once more, and then left behind.
        let mut stale = Story::new(45);
        stale.grow(20);
        story.grow(20);
        let by_node = TestDb::new().await;
        let node = Engine::start_with(&by_node, story.follow());
        node.feed(&by_node, &story.said()).await;
        let slow = Served::start(stale.chain.clone()).await;
        let liar = Served::start(story.chain.clone()).await;
        let sound = Served::start(story.chain.clone()).await;
        let urls = [slow.url(), liar.url(), sound.url()];
        let mut filler = Filler::new(&urls, story.follow()).await;
        liar.plan("/v2/blocks?", Mischief::Edit(LIES[2].2), u32::MAX);
        filler.catch_up_in_the_end().await;
        let expected = canonical_digests(&by_node).await;
        assert_eq!(canonical_digests(&filler.db).await, expected);
        let standings: Vec<_> = filler.source.standings().iter().map(|(_, s)| *s).collect();
        assert_eq!(
            standings,
            [Standing::Suspect, Standing::Bad, Standing::Good]
        );
        assert!(filler.troubles("lagging") == 1 && filler.troubles("left") >= 1);

        // Then the sound one is gone, and the liar has mended its ways.
        sound.plan("", Mischief::Status(500), u32::MAX);
        liar.behave();
        story.grow(3);
        node.feed(&by_node, &story.said()).await;
        filler.catch_up_in_the_end().await;
        let expected = canonical_digests(&by_node).await;
        assert_eq!(canonical_digests(&filler.db).await, expected);
        assert_eq!(filler.source.standings()[1].1, Standing::Good);
        filler.end().await;
        node.stop().await;
        by_node.drop().await;
    });
}

#[test]
fn a_tip_that_goes_back_is_counted_and_does_no_harm() {
    run(async {
        let mut story = Story::new(46);
        story.grow(30);
        let served = Served::start(story.chain.clone()).await;
        let mut filler = Filler::new(&[served.url()], story.follow()).await;
        filler.catch_up_in_the_end().await;
        let before = canonical_digests(&filler.db).await;
        served.plan(
            "/extended",
            Mischief::Edit(|a| {
                if let Some(tip) = a.get_mut("chain_tip") {
                    tip["block_height"] = json!(5);
                }
            }),
            1,
        );
        // The height is a lie, the hash is not: the range below it is read and is what it was.
        let _ = filler.catch_up().await;
        assert_eq!(filler.troubles("tip_went_back"), 1);
        served.behave();
        filler.catch_up_in_the_end().await;
        assert_eq!(canonical_digests(&filler.db).await, before);
        filler.end().await;
    });
}

/// The chain is left while a range is read: either the range is read again, or nothing is given.
#[test]
fn a_reorg_under_a_range_is_noticed() {
    run(async {
        let mut story = Story::new(47);
        story.grow(30);
        let served = Served::start(story.chain.clone()).await;
        let metrics = Arc::new(Metrics::new().unwrap());
        let source = ApiSource::new(
            &config(&[served.url()]),
            story.follow(),
            Arc::clone(&metrics),
        )
        .unwrap();
        let top = source.tip().await.unwrap().block.height;
        // A list is asked for under the old chain, and answered under the new one.
        let release = Arc::new(Notify::new());
        served.plan("/logs", Mischief::Wait(Arc::clone(&release)), 1);
        let reading = source.range(top - 10, top);
        let forking = async {
            eventually("a question", || async {
                let asked = served.asked();
                if asked.iter().any(|p| p.contains("/logs")) {
                    return Ok(());
                }
                Err(format!("{asked:?}"))
            })
            .await;
            let story = tokio::task::spawn_blocking(move || {
                story.fork(5);
                story
            });
            let story = story.await.unwrap();
            release.notify_one();
            story
        };
        let (blocks, story) = tokio::join!(reading, forking);
        for block in blocks.unwrap() {
            let chain = story.chain.lock();
            let now = chain.at_height(block.block.height).unwrap();
            assert_eq!(block.block.id.as_bytes(), now.header.id);
        }
        let moved = metrics
            .api_source_troubles
            .with_label_values(&["moved"])
            .get();
        assert!(moved >= 1, "the reorg was not noticed");
    });
}
