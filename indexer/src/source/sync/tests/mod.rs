//! The engine against scripted worlds, in memory.

mod world;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::*;
use tokio_util::sync::CancellationToken;

use self::world::{Made, Memory, Scripted, World};
use super::Shelf as _;
use super::backfill::{BackfillSettings, Finished, backfill, settle};
use super::check::{Refused, check};
use super::follow::Follower;
use super::repair::{RepairSettings, Repairer};
use crate::metrics::Metrics;
use crate::model::handover::HandOver;
use crate::model::{BlockRef, FollowSet, IndexBlockHash, Mirror as HowMuch};
use crate::source::pull::Pull as _;
use crate::store::inbox::Source;
use crate::store::sync::jobs::{Job, JobState, Order};

/// What happens next; numbers are taken modulo what there is.
#[derive(Debug, Clone)]
enum Event {
    Grow {
        back: usize,
        tenure: Option<usize>,
    },
    GrowBurn {
        back: usize,
    },
    /// The node tells of everything new; some of it is lost, late or doubled.
    Observe {
        fate: Vec<u8>,
    },
    Process {
        payloads: usize,
    },
    /// A source sees so much less than there is.
    See {
        source: usize,
        less: usize,
    },
    /// What a source sees changes between questions.
    Wobble {
        source: usize,
        less: Vec<usize>,
    },
    Fail {
        source: usize,
        fails: Vec<bool>,
    },
    Follow {
        source: usize,
    },
    Repair,
    RestartEngine,
    /// A backfill runs; it is stopped after some pieces.
    Backfill {
        pieces: usize,
    },
}

fn event() -> impl Strategy<Value = Event> {
    let few = || prop_oneof![4 => Just(0usize), 2 => Just(1), 1 => 2usize..8];
    prop_oneof![
        10 => (few(), prop::option::weighted(0.4, few()))
            .prop_map(|(back, tenure)| Event::Grow { back, tenure }),
        4 => few().prop_map(|back| Event::GrowBurn { back }),
        6 => prop::collection::vec(any::<u8>(), 1..8).prop_map(|fate| Event::Observe { fate }),
        6 => (1usize..12).prop_map(|payloads| Event::Process { payloads }),
        4 => (0usize..2, 0usize..12).prop_map(|(source, less)| Event::See { source, less }),
        2 => (0usize..2, prop::collection::vec(0usize..12, 1..6))
            .prop_map(|(source, less)| Event::Wobble { source, less }),
        2 => (0usize..2, prop::collection::vec(any::<bool>(), 1..6))
            .prop_map(|(source, fails)| Event::Fail { source, fails }),
        6 => (0usize..2).prop_map(|source| Event::Follow { source }),
        3 => Just(Event::Repair),
        2 => Just(Event::RestartEngine),
        1 => (0usize..3).prop_map(|pieces| Event::Backfill { pieces }),
    ]
}

struct Play {
    world: Arc<Mutex<World>>,
    memory: Memory,
    sources: [Scripted; 2],
    metrics: Arc<Metrics>,
    follower: Follower,
    repairer: Repairer,
    /// So much of the world was told of by the node, or lost.
    told: usize,
    late: Vec<Made>,
    walk: u32,
    job: Job,
}

const REPAIR: RepairSettings = RepairSettings {
    grace: Duration::ZERO,
    blocks: 7,
    attempts: 2,
    rest: Duration::ZERO,
};

fn job(from_inclusive: u32, to_inclusive: Option<u32>) -> Job {
    Job {
        id: 1,
        order: Order {
            source: Source::Node,
            place: "scripted".into(),
            from_inclusive,
            to_inclusive,
        },
        next: from_inclusive,
        last_block: None,
        state: JobState::Running,
        error: None,
    }
}

impl Play {
    fn new(walk: u32) -> Self {
        let world = Arc::new(Mutex::new(World::new()));
        let metrics = Arc::new(Metrics::new().unwrap());
        let memory = Memory::new(&world);
        // Mirrors of this harness begin at the root: elsewhere two of them may begin at different blocks.
        for made in &world.lock().unwrap().made {
            memory.observe(made);
        }
        memory.process(2);
        Self {
            sources: [Scripted::new(&world), Scripted::new(&world)],
            follower: Follower::new(Arc::clone(&metrics), walk),
            repairer: Repairer::new(Arc::clone(&metrics), REPAIR),
            told: 2,
            late: Vec::new(),
            world,
            memory,
            metrics,
            walk,
            job: job(0, None),
        }
    }

    fn made(&self) -> usize {
        self.world.lock().unwrap().made.len()
    }

    fn restart(&mut self) {
        self.follower = Follower::new(Arc::clone(&self.metrics), self.walk);
        self.repairer = Repairer::new(Arc::clone(&self.metrics), REPAIR);
    }

    fn observe(&mut self, fate: &[u8]) {
        let made = self.world.lock().unwrap().made[self.told..].to_vec();
        for late in std::mem::take(&mut self.late) {
            self.memory.observe(&late);
        }
        for (place, made) in made.iter().enumerate() {
            match fate[place % fate.len()] % 8 {
                0 | 1 => {} // lost
                2 => self.late.push(made.clone()),
                3 => {
                    self.memory.observe(made);
                    self.memory.observe(made);
                }
                _ => self.memory.observe(made),
            }
        }
        self.told += made.len();
    }

    async fn backfill(&mut self, pieces: Option<usize>) -> Result<Finished, super::SyncError> {
        let cancel = CancellationToken::new();
        let mut left = pieces;
        if left == Some(0) {
            cancel.cancel();
        }
        let stop = cancel.clone();
        let mut progress = move |_: &super::backfill::Progress| {
            left = left.map(|l| l - 1);
            if left == Some(0) {
                stop.cancel();
            }
        };
        self.job.state = JobState::Running;
        self.memory.add_job(self.job.clone());
        let settings = BackfillSettings {
            ahead: 2,
            attempts: 1,
        };
        let (source, metrics) = (&self.sources[0], &self.metrics);
        let memory = &self.memory;
        backfill(
            source,
            memory,
            &mut self.job,
            settings,
            metrics,
            &mut progress,
            &cancel,
        )
        .await
    }

    async fn happen(&mut self, event: &Event) {
        let made = self.made();
        match event {
            Event::Grow { back, tenure } => self.world.lock().unwrap().grow(*back, *tenure),
            Event::GrowBurn { back } => self.world.lock().unwrap().grow_burn(*back),
            Event::Observe { fate } => self.observe(fate),
            Event::Process { payloads } => {
                self.memory.process(*payloads);
            }
            Event::See { source, less } => {
                self.sources[*source].script.lock().unwrap().sees = made.saturating_sub(*less);
            }
            Event::Wobble { source, less } => {
                let views = less.iter().map(|l| made.saturating_sub(*l)).collect();
                self.sources[*source].script.lock().unwrap().views = views;
            }
            Event::Fail { source, fails } => {
                self.sources[*source].script.lock().unwrap().fails = fails.clone().into();
            }
            Event::Follow { source } => {
                // Failures are what the script is for; a step that failed is made again.
                let _ = self
                    .follower
                    .step(&self.sources[*source], &self.memory)
                    .await;
            }
            Event::Repair => {
                self.repairer
                    .round(&self.sources, &self.memory)
                    .await
                    .unwrap();
            }
            Event::RestartEngine => self.restart(),
            Event::Backfill { pieces } => {
                let _ = self.backfill(Some(*pieces)).await;
            }
        }
    }

    /// Everything calms down; the node tells nothing more, so what it lost stays lost.
    async fn settle(&mut self) {
        self.sources.iter().for_each(Scripted::heal);
        let mut quiet_rounds = 0;
        for _ in 0..200 {
            while self.memory.process(100) {}
            let step = self.follower.step(&self.sources[0], &self.memory).await;
            let round = self
                .repairer
                .round(&self.sources, &self.memory)
                .await
                .unwrap();
            let step = step.unwrap();
            let nothing_new = step.blocks == 0 && step.burn_blocks == 0 && round.fetched == 0;
            let quiet = nothing_new && !self.memory.process(100);
            quiet_rounds = if quiet { quiet_rounds + 1 } else { 0 };
            // Long enough for the follower to look again at a tip that is not the mirror's.
            if quiet_rounds > 12 {
                return;
            }
        }
        panic!("it does not come to rest");
    }

    fn model(&self) -> Vec<IndexBlockHash> {
        let world = self.world.lock().unwrap();
        let chain = world.canonical(world.made.len());
        chain.iter().map(|n| n.block.id).collect()
    }
}

fn now<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(future)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, max_shrink_iters: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_chain_arrives_whole_and_once(
        events in prop::collection::vec(event(), 1..120),
        walk in prop_oneof![Just(1u32), Just(5), Just(200)],
    ) {
        now(async {
            let mut play = Play::new(walk);
            for event in &events {
                play.happen(event).await;
            }
            if play.model().is_empty() {
                return Ok(());
            }
            // A backfill that was stopped is resumed by somebody.
            if play.job.state == JobState::Stopped {
                play.sources.iter().for_each(Scripted::heal);
                let finished = play.backfill(None).await.unwrap();
                prop_assert_eq!(finished, Finished::Stored);
            }
            play.settle().await;
            prop_assert_eq!(play.memory.canonical(), play.model());
            let mut applied = play.memory.applied();
            let all = applied.len();
            applied.sort_unstable();
            applied.dedup();
            prop_assert_eq!(applied.len(), all, "a block was applied twice");
            prop_assert_eq!(play.memory.detached(), 0, "a block was lost");
            let open = play.memory.jobs().await.unwrap();
            prop_assert!(open.is_empty(), "a backfill does not end: {:?}", open);
            let state = HandOver::of(&play.memory.facts().await.unwrap());
            prop_assert_eq!(state, HandOver::Following);
            Ok(())
        })?;
    }
}

#[test]
fn a_tip_that_goes_back_removes_nothing_and_is_counted() {
    now(async {
        let mut play = Play::new(50);
        for _ in 0..9 {
            play.world.lock().unwrap().grow(0, None);
        }
        play.settle().await;
        let before = play.memory.canonical();
        assert_eq!(before.len(), 10);
        play.sources[0].script.lock().unwrap().sees = 5;
        let step = play.follower.step(&play.sources[0], &play.memory).await;
        assert!(step.unwrap().false_reorg);
        assert_eq!(play.memory.canonical(), before);
        let counted = play
            .metrics
            .sources
            .false_reorgs
            .with_label_values(&["node"]);
        assert_eq!(counted.get(), 1);
    });
}

#[test]
fn a_bitcoin_reorg_makes_a_lower_tip_canonical_and_is_no_false_one() {
    now(async {
        let mut play = Play::new(50);
        {
            let mut world = play.world.lock().unwrap();
            world.grow_burn(0);
            for _ in 0..5 {
                world.grow(0, Some(0));
            }
        }
        play.settle().await;
        assert_eq!(play.memory.canonical().len(), 6);
        {
            // 101 of the tenures is replaced; the root stays, and nothing stands on it yet.
            let mut world = play.world.lock().unwrap();
            world.grow_burn(1);
            world.grow_burn(0);
        }
        play.sources[0].heal();
        let step = play
            .follower
            .step(&play.sources[0], &play.memory)
            .await
            .unwrap();
        assert_eq!(
            (step.blocks, step.burn_blocks, step.false_reorg),
            (0, 2, false)
        );
        while play.memory.process(10) {}
        assert_eq!(play.memory.canonical().len(), 1);
    });
}

/// The fourth question of every step fails, and the way down takes more.
#[test]
fn a_long_way_down_is_seen_through_over_failures() {
    now(async {
        let mut play = Play::new(200);
        for _ in 0..150 {
            play.world.lock().unwrap().grow(0, None);
        }
        let mut steps = 0;
        while play.memory.canonical() != play.model() {
            steps += 1;
            assert!(steps < 20, "it begins again and again");
            if steps < 10 {
                // The tip moves on all the while.
                play.world.lock().unwrap().grow(0, None);
            }
            let source = &play.sources[0];
            source.heal();
            source.script.lock().unwrap().fails = vec![false, false, false, true].into();
            let _ = play.follower.step(source, &play.memory).await;
            while play.memory.process(100) {}
        }
    });
}

#[test]
fn a_gap_is_given_up_after_its_bound_and_taken_up_again() {
    now(async {
        let mut play = Play::new(50);
        for _ in 0..20 {
            play.world.lock().unwrap().grow(0, None);
        }
        let last = play.world.lock().unwrap().made.last().cloned().unwrap();
        play.memory.observe(&last);
        while play.memory.process(10) {}
        // Sources that fail: every attempt is counted, the last one gives up.
        for source in &play.sources {
            source.heal();
            source.script.lock().unwrap().fails = vec![true; 4].into();
        }
        let first = play
            .repairer
            .round(&play.sources, &play.memory)
            .await
            .unwrap();
        assert_eq!((first.gaps, first.fetched, first.given_up), (1, 0, 0));
        let second = play
            .repairer
            .round(&play.sources, &play.memory)
            .await
            .unwrap();
        assert_eq!((second.fetched, second.given_up), (0, 1));
        let gap = play.memory.gaps(Duration::ZERO, 0).await.unwrap().remove(0);
        assert!(gap.given_up && gap.attempts == 2);
        // They are back: the bound of seven blocks ends the next try, and the one after it goes on below.
        play.sources.iter().for_each(Scripted::heal);
        let third = play
            .repairer
            .round(&play.sources, &play.memory)
            .await
            .unwrap();
        assert_eq!((third.fetched, third.given_up), (7, 1));
        while play.memory.process(10) {}
        let fourth = play
            .repairer
            .round(&play.sources, &play.memory)
            .await
            .unwrap();
        assert!(fourth.fetched > 0);
        play.settle().await;
        assert_eq!(play.memory.canonical(), play.model());
    });
}

#[test]
fn a_backfill_resumes_where_it_stopped_and_asks_for_nothing_twice() {
    now(async {
        let mut play = Play::new(50);
        for _ in 0..200 {
            play.world.lock().unwrap().grow(0, None);
        }
        play.sources.iter().for_each(Scripted::heal);
        assert_eq!(play.backfill(Some(2)).await.unwrap(), Finished::Stopped);
        assert_eq!((play.job.next, play.job.state), (60, JobState::Stopped));
        play.sources[0].script.lock().unwrap().asked = 0;
        assert_eq!(play.backfill(None).await.unwrap(), Finished::Stored);
        assert_eq!(
            (play.job.next, play.job.state),
            (201, JobState::Overlapping)
        );
        // Five pieces, each with its Bitcoin block, and the tip before and after.
        assert_eq!(play.sources[0].script.lock().unwrap().asked, 12);
        assert!(!settle(&play.memory, &mut play.job).await.unwrap());
        while play.memory.process(1000) {}
        assert!(settle(&play.memory, &mut play.job).await.unwrap());
        assert_eq!(
            (play.job.state, play.job.error.take()),
            (JobState::Done, None)
        );
        assert_eq!(play.memory.canonical().len(), 201);
    });
}

#[test]
fn a_backfill_that_makes_no_sense_is_refused_with_the_reason() {
    now(async {
        let mut play = Play::new(50);
        for _ in 0..9 {
            play.world.lock().unwrap().grow(0, None);
        }
        play.settle().await;
        let everything = FollowSet {
            mirror: HowMuch::All,
            contracts: ["*".to_owned()].into(),
            principals: Default::default(),
        };
        let (source, memory) = (&play.sources[0], &play.memory);
        let refused = async |from, to, landmark| {
            let order = job(from, to).order;
            check(source, memory, &order, &everything, landmark).await
        };
        let fits = BlockRef {
            id: play.memory.canonical()[3],
            height: 3,
        };
        assert!(refused(0, Some(9), Some(fits)).await.is_ok());
        let backwards = refused(5, Some(4), Some(fits)).await.unwrap_err();
        assert_eq!(
            backwards.to_string(),
            "--from 5 lies after --to 4: there is nothing between them"
        );
        for (from, to) in [(0, Some(10)), (10, None)] {
            let beyond = refused(from, to, Some(fits)).await.unwrap_err();
            assert!(
                matches!(
                    beyond,
                    Refused::Beyond {
                        height: 10,
                        tip: 9,
                        ..
                    }
                ),
                "{beyond}"
            );
        }
        let other = BlockRef {
            id: IndexBlockHash([9; 32]),
            height: 3,
        };
        let other = refused(0, None, Some(other)).await.unwrap_err();
        assert!(
            matches!(other, Refused::OtherNetwork { height: 3, .. }),
            "{other}"
        );
        // The harness' root is not genesis: an empty mirror would not take it for any Stacks chain.
        let empty = refused(0, None, None).await.unwrap_err();
        assert!(
            matches!(empty, Refused::OtherNetwork { height: 0, .. }),
            "{empty}"
        );
        assert!(source.tip().await.is_ok());
    });
}
