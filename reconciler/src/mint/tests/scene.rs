//! A stage for one scripted story: two nodes, one user who earned a badge, one process.

use std::sync::{Arc, Mutex, MutexGuard};

use stxworx_indexer::model::TxId;

use super::chain::TREASURY;
use super::world::{At, Daemon, Shared, When, World, honest, pass};
use crate::mint::exec::Pass;
use crate::mint::policy::Policy;
use crate::mint::ports::PortError;
use crate::mint::types::{IntentState, OwnTx, Slot};

pub const ANN: &str = "STANN";
pub const BEN: &str = "STBEN";

pub struct Scene {
    pub world: Shared,
    pub policy: Policy,
    pub daemon: Daemon,
    processes: u32,
}

pub fn policy() -> Policy {
    Policy {
        bump_after_s: 300,
        ..Policy::careful(TREASURY)
    }
}

impl Scene {
    /// Ann's deeds are final, and nothing was done about them.
    pub fn new() -> Self {
        Self::with(policy(), true)
    }

    /// With the contract's own guard against a second badge, or without.
    pub fn with(policy: Policy, careless: bool) -> Self {
        let mut world = World::new(1, 2, careless);
        world.chain.deserve(ANN, 10, 45, None);
        for _ in 0..5 {
            world.mine_empty(1);
        }
        let world = Arc::new(Mutex::new(world));
        let daemon = honest(&world, 1, &policy);
        Self {
            world,
            policy,
            daemon,
            processes: 1,
        }
    }

    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    /// A pass by a process that lives: after a death, by a new one.
    pub fn pass(&mut self) -> Result<Pass, PortError> {
        let alive = self.world().alive[&self.processes];
        if !alive {
            self.restart();
        }
        pass(&mut self.daemon)
    }

    /// Kills the process, whatever it does, and starts another. The lease of the dead one is over by then.
    pub fn restart(&mut self) {
        self.processes += 1;
        self.world().db.now_s += 91;
        self.daemon = honest(&self.world, self.processes, &self.policy);
    }

    /// The process dies at the next call of this name.
    pub fn dies(&self, call: &'static str, when: When) {
        self.world().at = Some(At {
            call,
            when,
            dies: true,
        });
    }

    /// The next call of this name fails, and the process lives.
    pub fn fails(&self, call: &'static str, when: When) {
        self.world().at = Some(At {
            call,
            when,
            dies: false,
        });
    }

    /// A pass, then so many seconds.
    pub fn step(&mut self, seconds: u64) -> Option<Pass> {
        let done = self.pass().ok();
        self.world().db.now_s += seconds;
        done
    }

    /// Passes and time, and no block, until this is so.
    pub fn wait(&mut self, what: &str, until: impl Fn(&World) -> bool) {
        self.go(what, false, until);
    }

    /// Passes, time and blocks, until this is so.
    pub fn live(&mut self, what: &str, until: impl Fn(&World) -> bool) {
        self.go(what, true, until);
    }

    fn go(&mut self, what: &str, mines: bool, until: impl Fn(&World) -> bool) {
        for _ in 0..200 {
            if until(&self.world()) {
                return;
            }
            self.step(20);
            if mines {
                self.world().mine(1);
            }
        }
        let world = self.world();
        panic!("never: {what}; {}", world.story());
    }

    /// Until Ann's transaction is in a mempool.
    pub fn sent(&mut self) -> TxId {
        self.wait("sent", |w| w.nodes.iter().any(|n| !n.mempool.is_empty()));
        self.txid()
    }

    /// Until Ann's transaction is in a block, and that is written down.
    pub fn included(&mut self) -> TxId {
        let txid = self.sent();
        self.world().mine(1);
        self.wait("included", |w| w.state_of(ANN, 1) == IntentState::Included);
        txid
    }

    /// Until Ann has her badge by us, finally: once, with one effect that was told.
    pub fn minted(&mut self) {
        self.live("minted", |w| w.state_of(ANN, 1) == IntentState::FinalOk);
        self.once();
    }

    pub fn once(&mut self) {
        self.step(20);
        let world = self.world();
        assert_eq!(world.mints_of(ANN, 1), 1);
        assert_eq!(world.db.effects.len(), 1);
        let id = world.intent_of(ANN, 1).id;
        let lines = world.db.lines.iter();
        assert_eq!(lines.filter(|(l, told)| l.intent == id && *told).count(), 1);
    }

    /// The newest attempt of the newest slot.
    pub fn txid(&self) -> TxId {
        self.slot().newest().expect("an attempt").txid
    }

    pub fn slot(&self) -> Slot {
        self.world().db.slots.last().expect("a slot").clone()
    }

    pub fn slots(&self) -> usize {
        self.world().db.slots.len()
    }

    pub fn state(&self) -> IntentState {
        self.world().state_of(ANN, 1)
    }

    /// What the chain has of the key.
    pub fn own(&self) -> Vec<OwnTx> {
        let world = self.world();
        world.chain.own(world.chain.tip, 0)
    }

    pub fn height(&self) -> u32 {
        let world = self.world();
        world.chain.blocks[world.chain.tip].height
    }

    /// How often anything was sent to any node.
    pub fn sendings(&self) -> usize {
        self.world().nodes.iter().map(|n| n.submitted.len()).sum()
    }

    /// The reasons and states through which Ann's intent went.
    pub fn history(&self) -> Vec<IntentState> {
        let world = self.world();
        let id = world.intent_of(ANN, 1).id;
        let of = world.db.history.iter().filter(|(i, _, _)| *i == id);
        of.map(|(_, state, _)| *state).collect()
    }
}
