//! Seeded worlds, delivered in any order, to a pipeline that is killed again and again.
//!
//! `STXWORX_SIM_STEPS` sets how many steps are made at least (a step is a delivery or a crash),
//! `STXWORX_SIM_SEED` the first seed. A failure names its seed; the same seed makes the same world and
//! the same deliveries, but a killed task ends where the machine's timing has it.

use std::time::{Duration, Instant};

use stxworx::recording::Entry;
use stxworx::workload::{Block, BurnBlock, ChainBuilder, ChainOptions, SeededRng};

use crate::support::chain::{
    Engine, assert_outbox_leads_here, break_commits, busy_tx, commits, in_state, mirror_of, put,
    tenure_extend,
};
use crate::support::db::TestDb;
use crate::support::mirror::{assert_verifies, fingerprint};
use crate::support::run;

const DEFAULT_STEPS: u64 = 500;
/// Orders of delivery tried with each world.
const RUNS_PER_WORLD: u64 = 4;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| {
        text.parse().unwrap_or_else(|_| panic!("{name}={text:?}"))
    })
}

/// A chain in the making: Bitcoin with forks, Stacks with more of them.
pub struct World {
    pub chain: ChainBuilder,
    rng: SeededRng,
    pub burns: Vec<BurnBlock>,
    pub blocks: Vec<Block>,
    /// What a node tells, in order.
    pub payloads: Vec<Entry>,
}

/// One of the last few, mostly the very last.
fn recent<'a, T>(rng: &mut SeededRng, items: &'a [T], reach: usize) -> &'a T {
    let back = if rng.percent(60) {
        0
    } else {
        rng.index(reach.min(items.len()))
    };
    &items[items.len() - 1 - back]
}

impl World {
    pub fn new(seed: u64) -> Self {
        let chain = ChainBuilder::new(ChainOptions {
            seed,
            ..ChainOptions::default()
        });
        let first = chain.first_tenure();
        let payloads = vec![chain.root().entry(), first.entry()];
        let mut world = Self {
            rng: SeededRng::new(seed),
            burns: vec![first],
            blocks: vec![chain.root()],
            payloads,
            chain,
        };
        let count = world.rng.between(20, 60);
        while world.blocks.len() as u64 <= count {
            world.grow();
        }
        world.payloads.push(world.chain.genesis_again());
        world
    }

    fn grow(&mut self) {
        if self.rng.percent(20) {
            let parent = recent(&mut self.rng, &self.burns, 4).clone();
            let burn = self.chain.burn_block(&parent);
            self.payloads.push(burn.entry());
            self.burns.push(burn);
            return;
        }
        let parent = recent(&mut self.rng, &self.blocks, 12).clone();
        let block = self.block_on(&parent);
        self.payloads.push(block.entry());
        self.blocks.push(block);
    }

    fn block_on(&mut self, parent: &Block) -> Block {
        let mut block = self.chain.block(parent);
        if self.rng.percent(30) {
            block = block.tenure(recent(&mut self.rng, &self.burns, 4));
        } else if parent.height > 0 && self.rng.percent(10) {
            let view = recent(&mut self.rng, &self.burns, 3);
            block = block.tx(tenure_extend(&self.chain, parent, view));
        }
        for _ in 0..self.rng.below(3) {
            let mut tx = busy_tx(&self.chain, self.rng.below(1000).into());
            if self.rng.percent(20) {
                tx = tx.refused(1);
            }
            block = block.tx(tx);
        }
        // Some are mined on more than one branch.
        if self.rng.percent(30)
            && let Some(tx) = recent(&mut self.rng, &self.blocks, 12).txs.first()
        {
            block = block.tx(tx.clone());
        }
        block.build()
    }

    /// Every payload, some of them twice, some far from their place, genesis perhaps empty first.
    fn deliveries(&self, rng: &mut SeededRng) -> Vec<Entry> {
        let reach = [1, 4, 16, 200][rng.index(4)];
        let mut placed: Vec<(u64, &Entry)> = Vec::new();
        for (place, entry) in (0u64..).zip(&self.payloads) {
            placed.push((place + rng.below(reach), entry));
            if rng.percent(15) {
                placed.push((place + rng.below(40), entry));
            }
        }
        if rng.percent(30) {
            placed.push((0, &self.payloads[self.payloads.len() - 1]));
        }
        placed.sort_by_key(|(place, _)| *place);
        placed.into_iter().map(|(_, entry)| entry.clone()).collect()
    }
}

/// Deliveries and crashes so far.
#[derive(Debug, Default)]
struct Steps {
    deliveries: u64,
    crashes: u64,
    broken_commits: u64,
}

impl Steps {
    fn total(&self) -> u64 {
        self.deliveries + self.crashes + self.broken_commits
    }
}

/// Some time passes, mostly hardly any.
async fn pause(rng: &mut SeededRng) {
    let micros = [0, 200, 2_000, 20_000][rng.index(4)];
    tokio::time::sleep(Duration::from_micros(rng.below(micros + 1))).await;
}

async fn deliver_with_faults(
    db: &TestDb,
    deliveries: &[Entry],
    rng: &mut SeededRng,
    steps: &mut Steps,
) {
    // Few, because the writer waits longer after each in a row.
    let broken: Vec<u64> = (0..2).map(|_| rng.between(1, 40)).collect();
    break_commits(db, &broken).await;
    let mut engine = Engine::start(db);
    for entry in deliveries {
        put(&db.pool, entry).await;
        engine.wake.notify_one();
        steps.deliveries += 1;
        if rng.percent(20) {
            pause(rng).await;
        }
        if rng.percent(6) {
            engine.crash().await;
            engine = Engine::start(db);
            steps.crashes += 1;
        }
    }
    engine.quiet(db).await;
    engine.stop().await;
    let attempted = commits(db).await;
    steps.broken_commits += broken.iter().filter(|number| **number <= attempted).count() as u64;
}

/// Says which seed failed.
struct Named(u64, u64);

impl Drop for Named {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "failed: STXWORX_SIM_SEED={}, delivery {} of {RUNS_PER_WORLD}",
                self.0, self.1
            );
        }
    }
}

async fn simulate(seed: u64, steps: &mut Steps) {
    let mut named = Named(seed, 0);
    let world = World::new(seed);
    let reference = TestDb::new().await;
    mirror_of(&reference, &world.payloads).await;
    assert_eq!(
        (in_state(&reference, 3).await, in_state(&reference, 4).await),
        (0, 0)
    );
    assert_verifies(&reference).await;
    let expected = fingerprint(&reference).await;
    assert!(expected.0.lines().count() == world.blocks.len());
    for number in 1..=RUNS_PER_WORLD {
        named.1 = number;
        let mut rng = SeededRng::new(seed * 1_000 + number);
        let deliveries = world.deliveries(&mut rng);
        let db = TestDb::new().await;
        deliver_with_faults(&db, &deliveries, &mut rng, steps).await;
        let waiting = (in_state(&db, 3).await, in_state(&db, 4).await);
        assert_eq!(
            waiting,
            (0, 0),
            "(detached, quarantined) payloads, seed {seed}, delivery {number}"
        );
        assert_eq!(
            fingerprint(&db).await,
            expected,
            "seed {seed}, delivery {number}"
        );
        assert_verifies(&db).await;
        assert_outbox_leads_here(&db).await;
        db.drop().await;
    }
    reference.drop().await;
}

#[test]
fn any_world_in_any_order_with_any_faults_gives_the_same_mirror() {
    run(async {
        let wanted = setting("STXWORX_SIM_STEPS", DEFAULT_STEPS);
        let mut seed = setting("STXWORX_SIM_SEED", 1);
        let (mut steps, started) = (Steps::default(), Instant::now());
        while steps.total() < wanted {
            simulate(seed, &mut steps).await;
            seed += 1;
        }
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let rate = steps.total() as f64 / started.elapsed().as_secs_f64();
        println!("{} steps, {rate:.0}/s: {steps:?}", steps.total());
    });
}
