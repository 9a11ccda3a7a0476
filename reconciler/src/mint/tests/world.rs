//! The world in which minters run: a chain, nodes, a store, a clock, and the places where a process may die.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use stxworx_clarity::rng::SeededRng;
use stxworx_indexer::model::TxId;

use super::chain::{CONTRACT, Chain, Does, KEY, TREASURY, Tx};
use super::memory::Memory;
use super::node::SimNode;
use crate::mint::exec::{Minter, Pass, Planner, Ports};
use crate::mint::plan;
use crate::mint::policy::Policy;
use crate::mint::ports::{
    Adopted, Book, Effect, Known, Lease, Mirror, Move, NewAttempt, Node, Outlet, PortError, Signer,
    SlotEnd, Store, Wrote,
};
use crate::mint::types::{
    Account, Answer, AwardKey, Call, ChainView, Evidence, Fee, Inclusion, IntentId, IntentState,
    LaneId, Line, PauseCode, Preflight, Presence, Scope, Signed, UnsignedMint, Wanted,
};

/// When a process dies, or a port fails, at a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    Before,
    After,
}

/// What is scripted to happen at the next call of this name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct At {
    pub call: &'static str,
    pub when: When,
    /// The process dies; else it only sees an error.
    pub dies: bool,
}

#[derive(Debug)]
pub struct World {
    pub rng: SeededRng,
    pub chain: Chain,
    pub nodes: Vec<SimNode>,
    pub db: Memory,
    /// Blocks by which the mirror is behind.
    pub mirror_lag: usize,
    pub breaks: Vec<String>,
    pub violations: Vec<String>,
    pub at: Option<At>,
    /// Of a thousand calls, so many kill the process.
    pub crash_per_mille: u64,
    /// Of a thousand calls, so many fail although they may have been done.
    pub error_per_mille: u64,
    /// Processes that live, by their number.
    pub alive: BTreeMap<u32, bool>,
    /// Lines heard, with how often.
    /// How often a block of another branch has what the mempools have.
    pub include_percent: u8,
    /// At the next call of this name the process sleeps until its lease is another's.
    pub sleeps_at: Option<&'static str>,
    pub heard: Vec<String>,
    pub deaf: bool,
    pub signatures: u64,
    /// Signatures by others with the same key.
    pub hands: u64,
    pub calls: u64,
    pub crashes: u64,
    pub forks: u64,
    pub orphaned: u64,
}

pub type Shared = Arc<Mutex<World>>;

/// The ports of one process.
#[derive(Debug, Clone)]
pub struct Hand {
    pub world: Shared,
    pub process: u32,
    pub node: usize,
}

pub type Daemon = Minter<Hand, Hand, Hand, Hand, Hand>;

fn failed(what: &'static str) -> PortError {
    PortError::Passing {
        what,
        source: "scripted".into(),
    }
}

impl World {
    pub fn new(seed: u64, nodes: usize, careless: bool) -> Self {
        let db = Memory {
            now_s: 1_000_000,
            budget: Policy::careful(TREASURY).fee_budget_per_day,
            fee_cap: Policy::careful(TREASURY).fee_cap,
            ..Memory::default()
        };
        let nodes = (0..nodes)
            .map(|_| SimNode {
                min_fee: 1,
                fee: Some(2_000),
                ..SimNode::default()
            })
            .collect();
        Self {
            rng: SeededRng::new(seed),
            chain: Chain::new(careless),
            nodes,
            db,
            mirror_lag: 0,
            breaks: Vec::new(),
            violations: Vec::new(),
            at: None,
            crash_per_mille: 0,
            error_per_mille: 0,
            alive: BTreeMap::new(),
            include_percent: 50,
            sleeps_at: None,
            heard: Vec::new(),
            deaf: false,
            signatures: 0,
            hands: 0,
            calls: 0,
            crashes: 0,
            forks: 0,
            orphaned: 0,
        }
    }

    /// A block on the tip, with what a miner finds in the mempools.
    pub fn mine(&mut self, burn: u32) {
        let txs = self.found(self.chain.tip, 0, 3);
        self.extend(burn, txs);
    }

    /// A block in which nothing of the key is.
    pub fn mine_empty(&mut self, burn: u32) {
        self.extend(burn, Vec::new());
    }

    pub fn extend(&mut self, burn: u32, txs: Vec<Tx>) {
        let tip = self.chain.tip;
        self.chain.tip = self.chain.build(tip, burn, txs);
        self.sweep();
    }

    /// What a miner takes: of each nonce any transaction that some node has, not always the dearest.
    pub fn found(&mut self, parent: usize, min_fee: Fee, most: usize) -> Vec<Tx> {
        let mut nonce = self.chain.blocks[parent].state.nonce;
        let mut txs = Vec::new();
        while txs.len() < most {
            let mut at: Vec<Tx> = Vec::new();
            for node in self.nodes.iter().filter(|n| !n.down) {
                at.extend(
                    node.mempool
                        .get(&nonce)
                        .filter(|t| t.fee >= min_fee)
                        .cloned(),
                );
            }
            let Some(tx) = self.rng.pick(&at).cloned() else {
                break;
            };
            txs.push(tx);
            nonce += 1;
        }
        txs
    }

    /// Mempools forget what can never be mined on the tip.
    fn sweep(&mut self) {
        let nonce = self.chain.state().nonce;
        for node in &mut self.nodes {
            node.mempool = node.mempool.split_off(&nonce);
        }
    }

    /// Another branch from so many blocks back, higher than the one it leaves. Of what it leaves, so many percent come
    /// back into a mempool.
    pub fn fork(&mut self, back: usize, replay_percent: u8, burn_each: u32) {
        let old = self.chain.tip;
        let base = self.chain.ancestor(old, back);
        let base_height = self.chain.blocks[base].height;
        let orphans: Vec<Tx> = self
            .chain
            .line(old)
            .take_while(|b| b.height > base_height)
            .flat_map(|b| b.mined.iter().map(|m| m.tx.clone()))
            .collect();
        self.forks += 1;
        self.orphaned += u64::try_from(orphans.len()).unwrap();
        for tx in orphans {
            if self.rng.percent(replay_percent) {
                let node = self.rng.index(self.nodes.len());
                self.nodes[node].mempool.entry(tx.nonce).or_insert(tx);
            }
        }
        let (height, burn) = {
            let of = &self.chain.blocks[old];
            (of.height, of.burn_height)
        };
        self.chain.tip = base;
        while self.chain.blocks[self.chain.tip].height <= height {
            let txs = if self.rng.percent(self.include_percent) {
                self.found(self.chain.tip, 0, 2)
            } else {
                Vec::new()
            };
            let tip = self.chain.tip;
            // The winning branch is never lower in Bitcoin.
            let last = self.chain.blocks[tip].height == height;
            let lacks = burn.saturating_sub(self.chain.blocks[tip].burn_height);
            let step = if last {
                lacks.max(burn_each)
            } else {
                burn_each.min(lacks)
            };
            self.chain.tip = self.chain.build(tip, step, txs);
        }
        self.sweep();
    }

    /// The key is used by somebody else: straight into a block.
    pub fn foreign(&mut self, does: Does) -> Tx {
        self.hands += 1;
        let tx = Tx {
            nonce: self.chain.state().nonce,
            fee: 3_000,
            does,
            salt: 1_000_000 + self.hands,
        };
        self.extend(0, vec![tx.clone()]);
        tx
    }

    pub fn mints_of(&self, user: &str, kind: u64) -> usize {
        let mints = &self.chain.state().mints;
        mints
            .iter()
            .filter(|(u, k)| u == user && *k == kind)
            .count()
    }

    pub fn paused(&self, code: PauseCode) -> bool {
        self.db.pauses.iter().any(|p| p.code == code)
    }

    /// What is not over, short enough to be read.
    pub fn story(&self) -> String {
        let mut text = format!(
            "nonce {} of the chain, next {}, base {:?}, unexplained {:?}\n",
            self.chain.state().nonce,
            self.db.next,
            self.db.base,
            self.db.unexplained_s
        );
        for pause in &self.db.pauses {
            text += &format!("pause {:?}: {}\n", pause.code, pause.detail);
        }
        for intent in self.db.intents.iter().filter(|i| !i.state.is_over()) {
            let (award, state) = (&intent.award, intent.state);
            text += &format!(
                "intent {} {} {} {state} {:?} cancel {:?}\n",
                intent.id, award.recipient, award.kind, intent.reason, intent.cancel
            );
        }
        for slot in self.db.slots.iter().filter(|s| s.state.is_open()) {
            text += &format!("slot {} {:?} {:?}\n", slot.nonce, slot.state, slot.intent);
            for attempt in &slot.attempts {
                let last: Vec<_> = attempt.sends.iter().rev().take(3).collect();
                text += &format!("  {:?} {} {last:?}\n", attempt.payload, attempt.fee);
            }
        }
        for own in self.chain.own(self.chain.tip, 0) {
            let seen = &own.inclusion;
            text += &format!("own {} {:?} {:?}\n", own.nonce, own.meaning, seen.verdict);
        }
        text
    }

    /// The one intent of a user and kind.
    pub fn intent_of(&self, user: &str, kind: u64) -> &crate::mint::types::Intent {
        let mut of = self.db.intents.iter();
        of.find(|i| i.award.recipient == user && i.award.kind == kind)
            .unwrap_or_else(|| panic!("no award of {user} and {kind}"))
    }

    /// Where it stands; as if it were to be approved, while there is none.
    pub fn state_of(&self, user: &str, kind: u64) -> IntentState {
        let mut of = self.db.intents.iter();
        of.find(|i| i.award.recipient == user && i.award.kind == kind)
            .map_or(IntentState::Eligible, |i| i.state)
    }
}

/// Everything here is ready at once.
pub fn now<F: Future>(future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    match future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("nothing here waits"),
    }
}

/// A new process. It knows nothing that is not stored.
pub fn daemon(world: &Shared, process: u32, policy: &Policy, planner: Planner) -> Daemon {
    let nodes = {
        let mut world = world.lock().unwrap();
        world.alive.insert(process, true);
        world.db.budget = policy.fee_budget_per_day;
        world.db.fee_cap = policy.fee_cap;
        world.nodes.len()
    };
    let hand = |node| Hand {
        world: Arc::clone(world),
        process,
        node,
    };
    let ports = Ports {
        store: hand(0),
        signer: hand(0),
        nodes: (0..nodes).map(hand).collect(),
        mirror: hand(0),
        outlet: hand(0),
    };
    let mut minter = Minter::new(
        ports,
        policy.clone(),
        CONTRACT,
        &format!("process {process}"),
        Duration::from_secs(90),
    );
    minter.planner = planner;
    minter
}

/// A process with the right plans.
pub fn honest(world: &Shared, process: u32, policy: &Policy) -> Daemon {
    daemon(world, process, policy, plan::plan)
}

impl Hand {
    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    fn trip(&self, call: &'static str, when: When) -> Result<(), PortError> {
        let mut guard = self.world();
        let world = &mut *guard;
        if !world.alive[&self.process] {
            return Err(failed("a dead process"));
        }
        world.calls += 1;
        if world.sleeps_at == Some(call) && when == When::Before {
            world.sleeps_at = None;
            world.db.now_s += 100;
            world.db.lease("somebody else", 90);
        }
        let mut dies = world.crash_per_mille > 0 && world.rng.below(1000) < world.crash_per_mille;
        let mut errs = world.error_per_mille > 0 && world.rng.below(1000) < world.error_per_mille;
        if let Some(at) = world.at
            && at.call == call
            && at.when == when
        {
            world.at = None;
            (dies, errs) = (dies || at.dies, true);
        }
        if dies {
            world.alive.insert(self.process, false);
            world.crashes += 1;
        }
        if dies || errs {
            return Err(failed(call));
        }
        Ok(())
    }

    fn call<T>(
        &self,
        name: &'static str,
        work: impl FnOnce(&mut World) -> T,
    ) -> Result<T, PortError> {
        self.trip(name, When::Before)?;
        let done = work(&mut self.world());
        self.trip(name, When::After)?;
        Ok(done)
    }
}

impl Store for Hand {
    async fn lease(&self, _: &LaneId, holder: &str, ttl: Duration) -> Result<Lease, PortError> {
        self.call("lease", |w| w.db.lease(holder, ttl.as_secs()))
    }

    async fn release(&self, _: &LaneId, holder: &str, epoch: i64) -> Result<(), PortError> {
        self.call("release", |w| w.db.release(holder, epoch))
    }

    async fn book(&self, lane: &LaneId) -> Result<Book, PortError> {
        self.call("book", |w| w.db.book(lane))
    }

    async fn known(&self, _: &str, users: &[String]) -> Result<Vec<Known>, PortError> {
        self.call("known", |w| w.db.known(users))
    }

    async fn note_account(&self, _: &LaneId, _: &Account) -> Result<(), PortError> {
        self.call("note_account", |_| ())
    }

    async fn open_lane(&self, _: &LaneId, epoch: i64, base: u64) -> Result<Wrote, PortError> {
        self.call("open_lane", |w| w.db.open_lane(epoch, base))?
    }

    async fn lower_base(&self, _: &LaneId, epoch: i64, base: u64) -> Result<Wrote, PortError> {
        self.call("lower_base", |w| w.db.lower_base(epoch, base))?
    }

    async fn upsert_award(
        &self,
        _: &LaneId,
        epoch: i64,
        award: &AwardKey,
        evidence: &Evidence,
        state: IntentState,
    ) -> Result<Wrote<IntentId>, PortError> {
        self.call("upsert_award", |w| {
            w.db.upsert_award(epoch, award, evidence, state)
        })?
    }

    async fn move_intent(&self, _: &LaneId, epoch: i64, m: &Move) -> Result<Wrote, PortError> {
        self.call("move_intent", |w| w.db.move_intent(epoch, m))?
    }

    async fn reserve(
        &self,
        _: &LaneId,
        epoch: i64,
        intent: IntentId,
        in_flight: u32,
    ) -> Result<Wrote<u64>, PortError> {
        self.call("reserve", |w| w.db.reserve(epoch, intent, in_flight))?
    }

    async fn let_go(
        &self,
        _: &LaneId,
        epoch: i64,
        nonce: u64,
        change: &Move,
    ) -> Result<Wrote, PortError> {
        self.call("let_go", |w| w.db.let_go(epoch, nonce, change))?
    }

    async fn record_attempt(
        &self,
        _: &LaneId,
        epoch: i64,
        attempt: &NewAttempt,
    ) -> Result<Wrote, PortError> {
        self.call("record_attempt", |w| w.db.record_attempt(epoch, attempt))?
    }

    async fn record_send(&self, txid: &TxId, node: usize, said: &Answer) -> Result<(), PortError> {
        self.call("record_send", |w| w.db.record_send(txid, node, said))
    }

    async fn observe(
        &self,
        _: &LaneId,
        epoch: i64,
        nonce: u64,
        seen: Option<&Inclusion>,
    ) -> Result<Wrote, PortError> {
        self.call("observe", |w| w.db.observe(epoch, nonce, seen))?
    }

    async fn finish(
        &self,
        _: &LaneId,
        epoch: i64,
        nonce: u64,
        end: &SlotEnd,
        change: Option<&Move>,
        effect: Option<&Effect>,
    ) -> Result<Wrote, PortError> {
        self.call("finish", |w| {
            // T9: what ends a slot is on the chain, and final.
            let height = match end {
                SlotEnd::Ours(seen) => seen.height,
                SlotEnd::Foreign { height, .. } => *height,
            };
            assert!(w.chain.tip_of(w.chain.tip).is_final(height) || w.mirror_lag > 0);
            w.db.finish(epoch, nonce, end, change, effect)
        })?
    }

    async fn settle(
        &self,
        _: &LaneId,
        epoch: i64,
        change: &Move,
        effect: &Effect,
    ) -> Result<Wrote, PortError> {
        self.call("settle", |w| w.db.settle(epoch, change, effect))?
    }

    async fn retract(
        &self,
        _: &LaneId,
        epoch: i64,
        nonce: u64,
        line: Option<&Line>,
    ) -> Result<Wrote, PortError> {
        self.call("retract", |w| w.db.retract(epoch, nonce, line))?
    }

    async fn reopen(&self, _: &LaneId, epoch: i64, nonce: u64) -> Result<Wrote, PortError> {
        self.call("reopen", |w| w.db.reopen(epoch, nonce))?
    }

    async fn adopt(&self, _: &LaneId, epoch: i64, adopted: &Adopted) -> Result<Wrote, PortError> {
        self.call("adopt", |w| w.db.adopt(epoch, adopted))?
    }

    async fn note_unexplained(&self, _: &LaneId, epoch: i64, so: bool) -> Result<Wrote, PortError> {
        self.call("note_unexplained", |w| w.db.note_unexplained(epoch, so))?
    }

    async fn pause(
        &self,
        scope: &Scope,
        code: PauseCode,
        detail: &str,
        author: &str,
    ) -> Result<(), PortError> {
        self.call("pause", |w| w.db.pause(scope, code, detail, author))
    }

    async fn resume(&self, scope: &Scope, code: PauseCode, _: &str) -> Result<(), PortError> {
        self.call("resume", |w| w.db.resume(scope, code))
    }

    async fn untold(&self, _: &LaneId, limit: u32) -> Result<Vec<Line>, PortError> {
        self.call("untold", |w| {
            let untold = w.db.lines.iter().filter(|(_, told)| !told);
            let most = usize::try_from(limit).unwrap();
            untold.map(|(line, _)| line.clone()).take(most).collect()
        })
    }

    async fn told(&self, line: &str) -> Result<(), PortError> {
        self.call("told", |w| {
            for (of, told) in &mut w.db.lines {
                *told = *told || of.id == line;
            }
        })
    }
}

impl Signer for Hand {
    fn address(&self) -> &str {
        KEY
    }

    async fn sign(&self, unsigned: &UnsignedMint) -> Result<Signed, PortError> {
        self.call("sign", |w| {
            w.signatures += 1;
            let does = match &unsigned.call {
                Call::Mint { recipient, kind } => Does::Mint {
                    user: recipient.clone(),
                    kind: *kind,
                },
                Call::Noop { treasury } => {
                    assert_eq!(treasury, TREASURY);
                    Does::Noop
                }
            };
            let tx = Tx {
                nonce: unsigned.nonce,
                fee: unsigned.fee,
                does,
                salt: w.signatures,
            };
            Signed {
                txid: tx.txid(),
                bytes: tx.bytes(),
            }
        })
    }
}

impl Node for Hand {
    async fn account(&self, _: &str) -> Result<Account, PortError> {
        let said = self.call("account", |w| {
            w.nodes[self.node].account(&w.chain, &mut w.rng)
        })?;
        said.ok_or_else(|| failed("asking a node for the account"))
    }

    async fn fee(&self, _: &UnsignedMint) -> Result<Fee, PortError> {
        let said = self.call("fee", |w| w.nodes[self.node].fee)?;
        said.ok_or_else(|| failed("asking a node for the fee"))
    }

    async fn submit(&self, signed: &Signed) -> Answer {
        let said = self.call("submit", |w| {
            // Nothing is sent that is not stored: whatever is on its way is known after any crash.
            let mut stored = w.db.slots.iter().flat_map(|s| &s.attempts);
            assert!(
                w.db.unguarded || stored.any(|a| a.bytes == signed.bytes),
                "T6"
            );
            let tx = Tx::parse(&signed.bytes);
            w.nodes[self.node].submit(&w.chain, &mut w.rng, &tx)
        });
        said.unwrap_or_else(|_| Answer::Unclear {
            reason: "the connection broke".to_owned(),
        })
    }

    async fn mempool(&self, txid: &TxId) -> Presence {
        let said = self.call("mempool", |w| w.nodes[self.node].presence(&mut w.rng, txid));
        said.unwrap_or(Presence::Unknown)
    }

    async fn preflight(&self, _: &LaneId, user: &str, kind: u64) -> Result<Preflight, PortError> {
        let said = self.call("preflight", |w| {
            w.nodes[self.node].preflight(&w.chain, &mut w.rng, user, kind)
        })?;
        said.ok_or_else(|| failed("asking a node about an award"))
    }
}

impl Mirror for Hand {
    async fn look(&self, wanted: &Wanted) -> Result<ChainView, PortError> {
        self.call("look", |w| {
            let at = w.chain.ancestor(w.chain.tip, w.mirror_lag);
            let tip = w.chain.tip_of(at);
            let kinds = w.chain.blocks[at].state.kinds.values().cloned().collect();
            ChainView {
                tip,
                minter: w.chain.blocks[at].state.minter,
                kinds,
                own: w.chain.own(at, wanted.from_nonce),
                people: w.chain.people(at),
                next: None,
                breaks: w.breaks.clone(),
                violations: w.violations.clone(),
            }
        })
    }
}

impl Outlet for Hand {
    async fn tell(&self, line: &Line) -> Result<(), PortError> {
        self.call("tell", |w| {
            if w.deaf {
                return Err(failed("telling a line"));
            }
            w.heard.push(line.id.clone());
            Ok(())
        })?
    }
}

/// One pass; an error is what a process survives.
pub fn pass(daemon: &mut Daemon) -> Result<Pass, PortError> {
    let done = now(daemon.pass());
    if let Err(error @ PortError::Refused { .. }) = &done {
        panic!("the store refused: {error}");
    }
    done
}
