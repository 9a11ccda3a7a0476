//! Reads, plans, and does what the plan says, one step after the other. Between any two steps the process may die.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::plan::{self, NodeView, Note, Plan, Step, View};
use super::policy::Policy;
use super::ports::{
    Book, Lease, Mirror, NewAttempt, Node, Outlet, PortError, Signer, Store, Wrote,
};
use super::types::{
    AwardKey, Call, ChainView, Fee, IntentId, LaneId, Meaning, Preflight, Signed, SlotState,
    UnsignedMint, Wanted,
};

/// Intents looked at by read-only calls in one pass, besides those in slots.
const PREFLIGHTS: usize = 5;
/// Lines told in one pass.
const LINES: u32 = 50;
/// Author of pauses that are made here.
pub const AUTHOR: &str = "minter";

/// What plans. There is one, but for tests that show what a wrong one does.
pub type Planner = fn(&View, &Policy) -> Plan;

/// One lane's minter.
#[derive(Debug)]
pub struct Minter<S, K, N, M, O> {
    /// What is remembered.
    pub store: S,
    /// Who has the key.
    pub signer: K,
    /// Nodes, the first one preferred.
    pub nodes: Vec<N>,
    /// The chain.
    pub mirror: M,
    /// Who is told.
    pub outlet: O,
    /// What is allowed.
    pub policy: Policy,
    /// The lane.
    pub lane: LaneId,
    /// This process, in the lease.
    pub holder: String,
    /// How long the lease lasts unless it is renewed.
    pub ttl: Duration,
    /// What plans.
    pub planner: Planner,
    /// Where the walk over all users goes on.
    walk: Option<String>,
    passes: usize,
    stopping: bool,
}

/// What came of a pass.
#[derive(Debug, Default)]
pub struct Pass {
    /// Another process has the lease: who.
    pub standby: Option<String>,
    /// Steps that were done.
    pub done: usize,
    /// Steps whose ground had changed meanwhile.
    pub stale: usize,
    /// The lease was lost in the middle.
    pub lost: bool,
    /// What an operator should see.
    pub notes: BTreeSet<Note>,
    /// What was read, if that came about.
    pub view: Option<View>,
    /// Lines that were heard.
    pub told: usize,
    /// A line was not heard; it is told again.
    pub unheard: bool,
}

enum Done {
    Yes,
    Stale,
    Lost,
}

impl From<Wrote> for Done {
    fn from(wrote: Wrote) -> Self {
        match wrote {
            Wrote::Done(()) => Self::Yes,
            Wrote::Stale => Self::Stale,
            Wrote::Lost => Self::Lost,
        }
    }
}

/// Everything that a [`Minter`] is made of, but for its policy.
#[derive(Debug)]
pub struct Ports<S, K, N, M, O> {
    /// What is remembered.
    pub store: S,
    /// Who has the key.
    pub signer: K,
    /// Nodes, the first one preferred.
    pub nodes: Vec<N>,
    /// The chain.
    pub mirror: M,
    /// Who is told.
    pub outlet: O,
}

impl<S: Store, K: Signer, N: Node, M: Mirror, O: Outlet> Minter<S, K, N, M, O> {
    /// A minter for a badge contract, which has done nothing yet.
    pub fn new(
        ports: Ports<S, K, N, M, O>,
        policy: Policy,
        contract: &str,
        holder: &str,
        ttl: Duration,
    ) -> Self {
        let lane = LaneId {
            contract: contract.to_owned(),
            sender: ports.signer.address().to_owned(),
        };
        Self {
            store: ports.store,
            signer: ports.signer,
            nodes: ports.nodes,
            mirror: ports.mirror,
            outlet: ports.outlet,
            policy,
            lane,
            holder: holder.to_owned(),
            ttl,
            planner: plan::plan,
            walk: None,
            passes: 0,
            stopping: false,
        }
    }

    /// Reads, plans, and does what the plan says.
    ///
    /// # Errors
    /// When a port fails: nothing is concluded from that, and the next pass begins anew.
    pub async fn pass(&mut self) -> Result<Pass, PortError> {
        let epoch = match self.store.lease(&self.lane, &self.holder, self.ttl).await? {
            Lease::Taken { epoch } => epoch,
            Lease::Held { holder } => {
                return Ok(Pass {
                    standby: Some(holder),
                    ..Pass::default()
                });
            }
        };
        let Some(view) = self.read(epoch).await? else {
            return Ok(Pass {
                lost: true,
                ..Pass::default()
            });
        };
        let plan = (self.planner)(&view, &self.policy);
        let mut pass = Pass {
            notes: plan.notes,
            ..Pass::default()
        };
        for step in &plan.steps {
            let reaches_out = matches!(step, Step::Sign { .. } | Step::Send { .. });
            if reaches_out && !self.renew(epoch).await? {
                pass.lost = true;
                break;
            }
            match self.step(epoch, &view, step).await? {
                Done::Yes => pass.done += 1,
                Done::Stale => pass.stale += 1,
                Done::Lost => {
                    pass.lost = true;
                    break;
                }
            }
        }
        self.walk.clone_from(&view.chain.next);
        pass.view = Some(view);
        if !pass.lost {
            self.tell(&mut pass).await?;
        }
        Ok(pass)
    }

    /// Ends in order: sends what is stored and was not sent, begins nothing, and lets go of the lease.
    ///
    /// # Errors
    /// When a port fails: the lease then ends by itself, and whoever takes it finds everything stored.
    pub async fn stop(&mut self) -> Result<(), PortError> {
        self.stopping = true;
        self.pass().await?;
        if let Lease::Taken { epoch } = self.store.lease(&self.lane, &self.holder, self.ttl).await?
        {
            self.store.release(&self.lane, &self.holder, epoch).await?;
        }
        Ok(())
    }

    /// Holds the lane for another while. Whoever waits for it would else take it from one that is only slow, and be as
    /// slow itself. False when it is another's.
    async fn renew(&self, epoch: i64) -> Result<bool, PortError> {
        let lease = self.store.lease(&self.lane, &self.holder, self.ttl).await?;
        Ok(lease == Lease::Taken { epoch })
    }

    /// Everything that a plan is made of; none when the lane is another's meanwhile.
    async fn read(&mut self, epoch: i64) -> Result<Option<View>, PortError> {
        self.passes = self.passes.wrapping_add(1);
        let book = self.store.book(&self.lane).await?;
        let users: BTreeSet<String> = book
            .intents
            .iter()
            .filter(|i| !i.state.is_over())
            .map(|i| i.award.recipient.clone())
            .collect();
        let from_nonce = if book.base_nonce.is_some() {
            let slots = book.slots.iter().map(|s| s.nonce);
            slots.min().unwrap_or(book.next_nonce)
        } else {
            0
        };
        let wanted = Wanted {
            lane: self.lane.clone(),
            from_nonce,
            users: users.into_iter().collect(),
            walk: Some((self.walk.clone(), self.policy.page)),
        };
        let chain = self.mirror.look(&wanted).await?;
        let known = self.known(&book, &chain).await?;
        let mut nodes = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            nodes.push(self.ask(node, &book, &chain).await);
            if !self.renew(epoch).await? {
                return Ok(None);
            }
        }
        let preflights = self.preflights(&book).await;
        if !self.renew(epoch).await? {
            return Ok(None);
        }
        Ok(Some(View {
            lane: self.lane.clone(),
            book,
            chain,
            known,
            nodes,
            preflights,
        }))
    }

    async fn known(
        &self,
        book: &Book,
        chain: &ChainView,
    ) -> Result<Vec<super::ports::Known>, PortError> {
        let mut users: BTreeSet<String> = chain.people.iter().map(|p| p.user.clone()).collect();
        for tx in chain.own.iter().filter(|t| t.nonce >= book.next_nonce) {
            if let Meaning::Mint { recipient, .. } = &tx.meaning {
                users.insert(recipient.clone());
            }
        }
        let users: Vec<String> = users.into_iter().collect();
        self.store.known(&self.lane.contract, &users).await
    }

    /// What one node says; what it does not say is left out.
    async fn ask(&self, node: &N, book: &Book, chain: &ChainView) -> NodeView {
        let account = node.account(&self.lane.sender).await.ok();
        let mut view = NodeView {
            account,
            ..NodeView::default()
        };
        if account.is_none() {
            return view;
        }
        let sample = book.intents.first().map_or_else(
            || self.unsigned(None, 0, self.policy.fee_floor),
            |i| self.unsigned(Some(&i.award), 0, self.policy.fee_floor),
        );
        view.fee = node.fee(&sample).await.ok();
        for slot in book.slots.iter().filter(|s| s.state == SlotState::Live) {
            if chain.own.iter().any(|t| t.nonce == slot.nonce) {
                continue;
            }
            for attempt in slot.attempts.iter().filter(|a| !a.sends.is_empty()) {
                view.mempool
                    .insert(attempt.txid, node.mempool(&attempt.txid).await);
            }
        }
        view
    }

    /// Asks another node first in each pass, so that one that lies cannot hold up an intent for ever.
    async fn preflights(&self, book: &Book) -> BTreeMap<IntentId, Preflight> {
        let mut said = BTreeMap::new();
        let count = self.nodes.len().max(1);
        for id in plan::preflights_wanted(book, PREFLIGHTS) {
            let Some(intent) = book.intents.iter().find(|i| i.id == id) else {
                continue;
            };
            for turn in 0..self.nodes.len() {
                let node = &self.nodes[(self.passes + turn) % count];
                let (recipient, kind) = (&intent.award.recipient, intent.award.kind);
                if let Ok(preflight) = node.preflight(&self.lane, recipient, kind).await {
                    said.insert(id, preflight);
                    break;
                }
            }
        }
        said
    }

    fn unsigned(&self, award: Option<&AwardKey>, nonce: u64, fee: Fee) -> UnsignedMint {
        let call = match award {
            Some(award) => Call::Mint {
                recipient: award.recipient.clone(),
                kind: award.kind,
            },
            None => Call::Noop {
                treasury: self.policy.treasury.clone(),
            },
        };
        UnsignedMint {
            contract: self.lane.contract.clone(),
            call,
            nonce,
            fee,
        }
    }

    async fn step(&self, epoch: i64, view: &View, step: &Step) -> Result<Done, PortError> {
        let (store, lane) = (&self.store, &self.lane);
        Ok(match step {
            Step::OpenLane { base_nonce } => {
                store.open_lane(lane, epoch, *base_nonce).await?.into()
            }
            Step::LowerBase { base_nonce } => {
                store.lower_base(lane, epoch, *base_nonce).await?.into()
            }
            Step::NoteUnexplained { is_so } => {
                store.note_unexplained(lane, epoch, *is_so).await?.into()
            }
            Step::Adopt(adopted) => store.adopt(lane, epoch, adopted).await?.into(),
            Step::Observe { nonce, seen } => store
                .observe(lane, epoch, *nonce, seen.as_ref())
                .await?
                .into(),
            Step::Finish {
                nonce,
                end,
                change,
                effect,
            } => store
                .finish(lane, epoch, *nonce, end, change.as_ref(), effect.as_deref())
                .await?
                .into(),
            Step::Settle { change, effect } => {
                store.settle(lane, epoch, change, effect).await?.into()
            }
            Step::Retract { nonce, line } => store
                .retract(lane, epoch, *nonce, line.as_ref())
                .await?
                .into(),
            Step::Reopen { nonce } => store.reopen(lane, epoch, *nonce).await?.into(),
            Step::Pause {
                scope,
                code,
                detail,
            } => {
                store.pause(scope, *code, detail, AUTHOR).await?;
                Done::Yes
            }
            Step::Resume { scope, code } => {
                store.resume(scope, *code, AUTHOR).await?;
                Done::Yes
            }
            Step::Award {
                award,
                evidence,
                state,
            } => match store
                .upsert_award(lane, epoch, award, evidence, *state)
                .await?
            {
                Wrote::Done(_) => Done::Yes,
                Wrote::Stale => Done::Stale,
                Wrote::Lost => Done::Lost,
            },
            Step::Move(change) => store.move_intent(lane, epoch, change).await?.into(),
            Step::LetGo { nonce, change } => {
                store.let_go(lane, epoch, *nonce, change).await?.into()
            }
            Step::Reserve { .. } | Step::Sign { .. } if self.stopping => Done::Stale,
            Step::Reserve { intent } => {
                let wrote = store
                    .reserve(lane, epoch, *intent, self.policy.in_flight)
                    .await?;
                match wrote {
                    Wrote::Done(_) => Done::Yes,
                    Wrote::Stale => Done::Stale,
                    Wrote::Lost => Done::Lost,
                }
            }
            Step::Sign { nonce, award, fee } => {
                self.sign(epoch, view, *nonce, award.as_ref(), *fee).await?
            }
            Step::Send { nonce, txid, node } => self.send(view, *nonce, txid, *node).await?,
        })
    }

    /// Signs and stores. Nothing is sent here: the next plan finds the bytes where every later one finds them.
    async fn sign(
        &self,
        epoch: i64,
        view: &View,
        nonce: u64,
        award: Option<&AwardKey>,
        fee: Fee,
    ) -> Result<Done, PortError> {
        let unsigned = self.unsigned(award, nonce, fee);
        if !self.policy.allows(&self.lane.contract, &unsigned) {
            return Err(PortError::Refused {
                what: "signing",
                rule: "the list of allowed calls and the fee cap".to_owned(),
            });
        }
        let payload = unsigned.call.payload();
        let signed = self.signer.sign(&unsigned).await?;
        let attempt = NewAttempt {
            nonce,
            payload,
            fee,
            signed,
            height: view.chain.tip.height,
        };
        let wrote = self
            .store
            .record_attempt(&self.lane, epoch, &attempt)
            .await?;
        Ok(wrote.into())
    }

    async fn send(
        &self,
        view: &View,
        nonce: u64,
        txid: &stxworx_indexer::model::TxId,
        node: usize,
    ) -> Result<Done, PortError> {
        let slot = view.book.slots.iter().find(|s| s.nonce == nonce);
        let attempt = slot.and_then(|s| s.attempt(txid));
        let (Some(attempt), Some(to)) = (attempt, self.nodes.get(node)) else {
            return Ok(Done::Stale);
        };
        if self.policy.dry_run {
            return Ok(Done::Stale);
        }
        let signed = Signed {
            txid: attempt.txid,
            bytes: attempt.bytes.clone(),
        };
        let answer = to.submit(&signed).await;
        self.store.record_send(txid, node, &answer).await?;
        Ok(Done::Yes)
    }

    async fn tell(&self, pass: &mut Pass) -> Result<(), PortError> {
        for line in self.store.untold(&self.lane, LINES).await? {
            // In order, so that a retraction never comes before what it takes back.
            if self.outlet.tell(&line).await.is_err() {
                pass.unheard = true;
                return Ok(());
            }
            self.store.told(&line.id).await?;
            pass.told += 1;
        }
        Ok(())
    }
}
