//! Servers whose answers go wrong at random, say nothing, or never come.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value as Json, json};
use stxworx::workload::SeededRng;
use stxworx_indexer::source::api::ApiConfig;

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
        for seed in 91..94 {
            let mut story = Story::new(seed);
            story.grow(25);
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

#[test]
fn null_and_empty_answers_are_no_blocks() {
    run(async {
        let mut story = Story::new(95);
        story.grow(20);
        let expected = expected(&mut story).await;
        let served = Served::start(story.chain.clone()).await;
        let mut filler = Filler::new(&[served.url()], story.follow()).await;
        let edits: [fn(&mut Json); 3] = [
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
        for path in ["/extended", "/v2/blocks", "/v3/transactions"] {
            for edit in edits {
                let before = filler.db.number("select count(*) from inbox").await;
                served.plan(path, Mischief::Edit(edit), 1);
                if let Err(error) = filler.catch_up().await {
                    assert!(error.is_transient(), "{path}: {error}");
                    // Of what was asked for, nothing was taken for an empty block.
                    let stored = filler.db.number("select count(*) from inbox").await;
                    println!("{path}: {error}; {} payloads more", stored - before);
                }
                served.behave();
            }
        }
        filler.catch_up_in_the_end().await;
        assert_eq!(canonical_digests(&filler.db).await, expected);
        filler.end().await;
    });
}

#[test]
fn a_question_that_is_never_answered_is_given_up_and_asked_again() {
    run(async {
        let mut story = Story::new(96);
        story.grow(12);
        let expected = expected(&mut story).await;
        let served = Served::start(story.chain.clone()).await;
        let mut filler = Filler::with(&hasty(&[served.url()]), story.follow()).await;
        for path in ["/extended", "/v2/blocks", "/v3/transactions"] {
            served.plan(path, Mischief::Silence, 1);
            // Either this attempt fails, or the question was asked again within it.
            if let Err(error) = filler.catch_up().await {
                assert!(error.is_transient(), "{path}: {error}");
            }
            served.behave();
        }
        assert!(filler.requests("unreachable") > 0, "nothing timed out");
        filler.catch_up_in_the_end().await;
        assert_eq!(canonical_digests(&filler.db).await, expected);
        filler.end().await;
    });
}
