//! The marketplace on the devnet's chain, mirrored: real Clarity on one side, the model on the other.

mod audit;
mod backend;
mod compare;
pub mod history;
mod node;
pub mod node_source;
mod resources;
mod shape;
mod storm;

use stxworx::post::Order;
use stxworx::recording::Entry;

use crate::support::app::{App, config};
use crate::support::chain::Engine;
use crate::support::db::TestDb;
use crate::support::mirror::{assert_verifies, canonical_digests, settled};
use crate::support::run;
use compare::{assert_cursors, assert_projections_are_the_models, assert_treasury};
use history::History;

/// Steps of the chain; more by STXWORX_DEVNET_BLOCKS.
fn steps() -> u32 {
    std::env::var("STXWORX_DEVNET_BLOCKS")
        .ok()
        .map_or(300, |n| n.parse().unwrap())
}

/// No invariant is violated. That blocks were left which counted as final is no wonder: some forks are deep.
fn assert_sound(engine: &Engine) {
    let mut violated = engine.metrics.violations();
    violated.retain(|(id, _)| id != "CH-3");
    assert_eq!(violated, []);
}

/// Mirrors entries that come in pieces.
async fn mirrored(history: &History, pieces: impl Iterator<Item = Vec<Entry>>) -> TestDb {
    let db = TestDb::new().await;
    let engine = Engine::start_with(&db, history.follow());
    for piece in pieces {
        engine.feed(&db, &piece).await;
    }
    assert_sound(&engine);
    engine.stop().await;
    db
}

fn pieces(entries: impl Iterator<Item = Entry>) -> impl Iterator<Item = Vec<Entry>> {
    let mut entries = entries.peekable();
    std::iter::from_fn(move || {
        entries.peek()?;
        Some(entries.by_ref().take(200).collect())
    })
}

#[test]
fn a_chain_of_forks_is_mirrored_as_its_canonical_part_and_as_the_model() {
    run(async {
        let steps = steps();
        let mut history = History::new(21, steps);
        let db = TestDb::new().await;
        let engine = Engine::start_with(&db, history.follow());
        let mut left = steps;
        while left > 0 {
            let some = left.min(100);
            history.grow(some);
            engine.feed(&db, &history.said()).await;
            left -= some;
        }
        assert_sound(&engine);
        engine.stop().await;
        let (forks, replaced) = history.forks;
        assert!(forks >= steps / 10, "{forks} forks");

        let plain = mirrored(&history, pieces(history.canonical_entries())).await;
        let digests = canonical_digests(&db).await;
        assert_eq!(digests.lines().count(), history.canonical().len());
        assert_eq!(digests, canonical_digests(&plain).await);
        plain.drop().await;

        let compared = assert_projections_are_the_models(&db, &history).await;
        assert_cursors(&db, &history).await;
        assert_treasury(&db, &history).await;
        assert_verifies(&db).await;
        println!(
            "{} canonical blocks, {forks} forks that replaced {replaced}, {compared} states compared",
            history.canonical().len()
        );
        db.drop().await;
    });
}

#[test]
fn deliveries_in_disorder_and_twice_end_in_the_same_mirror() {
    run(async {
        let mut history = History::new(22, 120);
        history.grow(120);
        let said = history.said();
        let in_order = mirrored(&history, std::iter::once(said.clone())).await;
        let expected = canonical_digests(&in_order).await;
        in_order.drop().await;
        let follow = history.follow();
        let contracts = format!("{:?}", follow.contracts.iter().collect::<Vec<_>>());
        let principals = format!("{:?}", follow.principals.iter().collect::<Vec<_>>());
        let config = config(&[
            ("follow.mirror", "\"followed\""),
            ("follow.contracts", &contracts),
            ("follow.principals", &principals),
        ]);
        for seed in [1, 2] {
            let order = Order {
                shuffle_window: 30,
                duplicate_percent: 30,
                seed,
                ..Order::default()
            };
            let db = TestDb::new().await;
            let app = App::start(&db, &config).await;
            app.post(said.clone(), order).await;
            settled(&db).await;
            app.stop().await.unwrap();
            assert_eq!(canonical_digests(&db).await, expected);
            db.drop().await;
        }
    });
}
