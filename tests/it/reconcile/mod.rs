//! The platform against the mirror: a backend without fault, and one with each.

mod clean;
mod commands;
mod decide;
mod faults;
mod heal;
mod life;
mod mutants;
mod mutations;
mod platform;
mod reading;
mod retention;
mod together;

use std::collections::BTreeMap;

use stxworx_indexer::audit::NodeReader;
use stxworx_indexer::store::reconcile::breaks::{self, BreakFilter};
use stxworx_indexer::store::reconcile::events;
use stxworx_reconciler::engine::{RunReport, Settings, Wanted, reconcile};

use crate::devnet::history::History;
use crate::devnet::node_source::Served;
use crate::support::chain::Engine;
use crate::support::db::TestDb;
use platform::Backend;

/// A mirror, the chain that it follows, and a platform.
pub struct Stage {
    pub served: Served,
    pub mirror: TestDb,
    pub backend: Backend,
    pub settings: Settings,
    engine: Engine,
}

impl Stage {
    /// A marketplace that has grown by so many steps, and a platform that knows all of it.
    pub async fn new(seed: u64, steps: u32) -> Self {
        Self::long(seed, steps, steps + 200).await
    }

    /// The same, of which so many steps are remembered.
    pub async fn long(seed: u64, steps: u32, most: u32) -> Self {
        let served = Served::new(History::new(seed, most)).await;
        let mirror = TestDb::new().await;
        let engine = Engine::start_with(&mirror, served.history.follow());
        let backend = Backend::new().await;
        let mut settings = backend.settings();
        settings.node = Some(node(&served.url));
        let mut stage = Self {
            served,
            mirror,
            backend,
            settings,
            engine,
        };
        stage.grow(steps).await;
        stage.backend.follow(&stage.mirror).await;
        stage
    }

    /// More of the chain; the platform does not hear of it by itself.
    pub async fn grow(&mut self, steps: u32) {
        let said = self.served.with(|history| {
            history.grow(steps);
            history.said()
        });
        self.engine.feed(&self.mirror, &said).await;
    }

    pub async fn run(&self, wanted: Wanted) -> RunReport {
        match reconcile(&self.mirror.pool, &self.settings, &wanted).await {
            Ok(report) => {
                let parts = report.matched + report.tolerated + report.broken + report.skipped;
                assert_eq!(report.considered, parts, "the counts are no partition");
                report
            }
            Err(error) => panic!("{}", stxworx_indexer::error_chain(&error)),
        }
    }

    pub async fn sweep(&self) -> RunReport {
        self.run(Wanted::Sweep).await
    }

    pub async fn incremental(&self) -> RunReport {
        self.run(Wanted::Incremental).await
    }

    /// Breaks in one of these states, as `rule what` with the state.
    pub async fn breaks(&self, states: &[&str]) -> BTreeMap<String, String> {
        let filter = BreakFilter {
            states: states.iter().map(|s| (*s).to_owned()).collect(),
            limit: 10_000,
            ..BreakFilter::default()
        };
        let found = breaks::list(&self.mirror.pool, &filter).await.unwrap();
        found
            .into_iter()
            .map(|it| {
                let state = it.resolution.unwrap_or(it.state);
                (format!("{} {}", it.rule, it.what), state)
            })
            .collect()
    }

    pub async fn live(&self) -> BTreeMap<String, String> {
        self.breaks(&["suspected", "open", "acknowledged"]).await
    }

    /// The history holds.
    pub async fn assert_history(&self) {
        let walk = events::verify(&self.mirror.pool).await.unwrap();
        assert_eq!(walk.fault, None);
    }

    pub async fn end(self) {
        self.assert_history().await;
        self.engine.stop().await;
        self.mirror.drop().await;
        self.backend.db.drop().await;
    }
}

/// Asks a node.
pub fn node(url: &str) -> NodeReader {
    NodeReader::new(url, std::time::Duration::from_secs(20)).unwrap()
}

/// Names with states, for comparison.
pub fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let owned = |(a, b): &(&str, &str)| ((*a).to_owned(), (*b).to_owned());
    pairs.iter().map(owned).collect()
}
