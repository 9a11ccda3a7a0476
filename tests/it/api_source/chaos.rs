//! Servers whose answers go wrong at random, say nothing, or never come.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value as Json, json};
use stxworx::workload::SeededRng;
use stxworx_indexer::metrics::Metrics;
use stxworx_indexer::source::api::{ApiConfig, ApiSource};
use stxworx_indexer::source::http::FetchError;
use stxworx_indexer::source::pull::Pull as _;

use super::story::{Mischief, Served, Story};
use super::{Filler, config};
use crate::support::chain::Engine;
use crate::support::db::TestDb;
use crate::support::mirror::canonical_digests;
use crate::support::run;

/// Gives up soon, so that silence costs little.
fn hasty(urls: &[String]) -> ApiConfig {
    ApiConfig {
        timeout: Duration::from_millis(300),
        ..config(urls)
    }
}

/// What a node's own telling makes of the story so far.
async fn expected(story: &mut Story) -> String {
    let by_node = TestDb::new().await;
    let node = Engine::start_with(&by_node, story.follow());
    node.feed(&by_node, &story.said()).await;
    node.stop().await;
    let digests = canonical_digests(&by_node).await;
    by_node.drop().await;
    digests
}

#[test]
fn one_answer_in_eight_goes_wrong_and_nothing_is_lost_or_doubled() {
    run(async {
        for seed in 91..93 {
            let mut story = Story::new(seed);
            story.grow(12);
            story.fork(4);
            let expected = expected(&mut story).await;
            let served = Served::start(story.chain.clone()).await;
            let mut filler = Filler::with(&hasty(&[served.url()]), story.follow()).await;
            let rng = Arc::new(Mutex::new(SeededRng::new(seed)));
            served.plan("", Mischief::OneInEight(rng), u32::MAX);
            filler.catch_up_in_the_end().await;
            assert_eq!(canonical_digests(&filler.db).await, expected, "seed {seed}");
            let doubled = "select count(*) - count(distinct index_block_hash) from block";
            assert_eq!(filler.db.number(doubled).await, 0);
            let failed: u64 = ["status", "busy", "unusable", "unreachable"]
                .iter()
                .map(|outcome| filler.requests(outcome))
                .sum();
            println!(
                "seed {seed}: {} questions, {failed} answers went wrong",
                served.asked().len()
            );
            assert!(failed > 0, "nothing went wrong");
            filler.end().await;
        }
    });
}

/// Changes the whole answer.
type Edit = fn(&mut Json);

const NOTHING: [Edit; 3] = [
    |answer| *answer = Json::Null,
    |answer| *answer = json!({}),
    |answer| {
        if let Some(results) = answer.get_mut("results") {
            *results = json!([]);
        } else {
            *answer = json!([]);
        }
    },
];

const PATHS: [&str; 3] = ["/extended", "/v2/blocks", "include="];

#[test]
fn null_and_empty_answers_are_no_blocks() {
    run(async {
        let mut story = Story::new(95);
        story.grow(20);
        let served = Served::start(story.chain.clone()).await;
        let top = story.height();
        for path in PATHS {
            for (number, edit) in NOTHING.into_iter().enumerate() {
                let metrics = Arc::new(Metrics::new().unwrap());
                let source =
                    ApiSource::new(&config(&[served.url()]), story.follow(), metrics).unwrap();
                served.plan(path, Mischief::Edit(edit), u32::MAX);
                let told = async {
                    source.tip().await?;
                    source.range(1, top).await
                };
                let error = told.await.expect_err(path);
                assert!(
                    matches!(error, FetchError::Unusable { .. }),
                    "{path}, {number}: {error}"
                );
                served.behave();
            }
        }
        // The same, once each, to a mirror that is being filled.
        let mut filler = Filler::new(&[served.url()], story.follow()).await;
        for path in PATHS {
            for edit in NOTHING {
                let before = filler.requests("unusable");
                served.plan(path, Mischief::Edit(edit), 1);
                filler.catch_up_in_the_end().await;
                assert!(filler.requests("unusable") > before, "{path} was not asked");
                served.behave();
                story.grow(2);
            }
        }
        filler.catch_up_in_the_end().await;
        let expected = expected(&mut story).await;
        assert_eq!(canonical_digests(&filler.db).await, expected);
        filler.end().await;
    });
}

#[test]
fn a_question_that_is_never_answered_is_given_up_and_asked_again() {
    run(async {
        let mut story = Story::new(96);
        story.grow(12);
        let served = Served::start(story.chain.clone()).await;
        let mut filler = Filler::with(&hasty(&[served.url()]), story.follow()).await;
        for path in PATHS {
            let before = filler.requests("unreachable");
            served.plan(path, Mischief::Silence, 1);
            filler.catch_up_in_the_end().await;
            assert!(
                filler.requests("unreachable") > before,
                "{path} was not given up"
            );
            served.behave();
            story.grow(2);
        }
        filler.catch_up_in_the_end().await;
        let expected = expected(&mut story).await;
        assert_eq!(canonical_digests(&filler.db).await, expected);
        filler.end().await;
    });
}
