//! The ports with a place to die at before and behind each call.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use stxworx_indexer::model::TxId;

use super::super::daemon::LogOutlet;
use super::super::exec::{Minter, Ports};
use super::super::ports::{
    Adopted, Book, Effect, Known, Lease, Mirror, Move, NewAttempt, Node, Outlet, PortError, Signer,
    SlotEnd, Store, Wrote,
};
use super::super::postgres::{PgMirror, PgStore};
use super::super::types::{
    Account, Answer, AwardKey, ChainView, Evidence, Fee, Inclusion, IntentId, IntentState, LaneId,
    Line, PauseCode, Preflight, Presence, Scope, Signed, UnsignedMint, Wanted,
};
use super::{Call, Fuse, When};

/// A port whose process may die at it.
#[derive(Debug, Clone)]
pub struct Mortal<P> {
    inner: P,
    fuse: Arc<Fuse>,
}

/// A minter that may die at any call.
pub type MortalMinter<K, N> =
    Minter<Mortal<PgStore>, Mortal<K>, Mortal<N>, Mortal<PgMirror>, Mortal<LogOutlet>>;

/// The ports of such a minter.
pub type MortalPorts<S, K, N, M, O> = Ports<Mortal<S>, Mortal<K>, Mortal<N>, Mortal<M>, Mortal<O>>;

/// All ports of a minter, with one fuse.
pub fn ports<S, K, N, M, O>(ports: Ports<S, K, N, M, O>, fuse: Fuse) -> MortalPorts<S, K, N, M, O> {
    let fuse = Arc::new(fuse);
    let nodes = ports.nodes.into_iter();
    Ports {
        store: Mortal::new(ports.store, &fuse),
        signer: Mortal::new(ports.signer, &fuse),
        nodes: nodes.map(|node| Mortal::new(node, &fuse)).collect(),
        mirror: Mortal::new(ports.mirror, &fuse),
        outlet: Mortal::new(ports.outlet, &fuse),
    }
}

type Answered<T> = Result<T, PortError>;

impl<P> Mortal<P> {
    fn new(inner: P, fuse: &Arc<Fuse>) -> Self {
        Self {
            inner,
            fuse: Arc::clone(fuse),
        }
    }

    /// Dies before the work, or behind it if it was done.
    async fn at<T>(
        &self,
        call: Call,
        work: impl Future<Output = T>,
        is_done: impl FnOnce(&T) -> bool,
    ) -> T {
        self.fuse.pass(call, When::Before);
        let came = work.await;
        if is_done(&came) {
            self.fuse.pass(call, When::After);
        }
        came
    }

    /// A call that is over whatever came of it.
    async fn said<T>(&self, call: Call, work: impl Future<Output = T>) -> T {
        self.at(call, work, |_| true).await
    }

    /// A call that was done unless it failed.
    async fn done<T>(&self, call: Call, work: impl Future<Output = Answered<T>>) -> Answered<T> {
        self.at(call, work, Result::is_ok).await
    }

    /// A write under the lease, which may have found that it must not be done.
    async fn wrote<T>(
        &self,
        call: Call,
        work: impl Future<Output = Answered<Wrote<T>>>,
    ) -> Answered<Wrote<T>> {
        let is_done = |came: &Answered<Wrote<T>>| matches!(came, Ok(Wrote::Done(_)));
        self.at(call, work, is_done).await
    }
}

impl<S: Store> Store for Mortal<S> {
    async fn lease(&self, lane: &LaneId, holder: &str, ttl: Duration) -> Answered<Lease> {
        let is_ours = |came: &Answered<Lease>| matches!(came, Ok(Lease::Taken { .. }));
        let work = self.inner.lease(lane, holder, ttl);
        self.at(Call::Lease, work, is_ours).await
    }

    async fn release(&self, lane: &LaneId, holder: &str, epoch: i64) -> Answered<()> {
        self.done(Call::Release, self.inner.release(lane, holder, epoch))
            .await
    }

    async fn book(&self, lane: &LaneId) -> Answered<Book> {
        self.done(Call::Book, self.inner.book(lane)).await
    }

    async fn known(&self, contract: &str, users: &[String]) -> Answered<Vec<Known>> {
        self.done(Call::Known, self.inner.known(contract, users))
            .await
    }

    async fn note_account(&self, lane: &LaneId, account: &Account) -> Answered<()> {
        self.done(Call::NoteAccount, self.inner.note_account(lane, account))
            .await
    }

    async fn open_lane(&self, lane: &LaneId, epoch: i64, base_nonce: u64) -> Answered<Wrote> {
        let work = self.inner.open_lane(lane, epoch, base_nonce);
        self.wrote(Call::OpenLane, work).await
    }

    async fn lower_base(&self, lane: &LaneId, epoch: i64, base_nonce: u64) -> Answered<Wrote> {
        let work = self.inner.lower_base(lane, epoch, base_nonce);
        self.wrote(Call::LowerBase, work).await
    }

    async fn upsert_award(
        &self,
        lane: &LaneId,
        epoch: i64,
        award: &AwardKey,
        evidence: &Evidence,
        state: IntentState,
    ) -> Answered<Wrote<IntentId>> {
        let work = self.inner.upsert_award(lane, epoch, award, evidence, state);
        self.wrote(Call::UpsertAward, work).await
    }

    async fn move_intent(&self, lane: &LaneId, epoch: i64, change: &Move) -> Answered<Wrote> {
        let work = self.inner.move_intent(lane, epoch, change);
        self.wrote(Call::MoveIntent, work).await
    }

    async fn reserve(
        &self,
        lane: &LaneId,
        epoch: i64,
        intent: IntentId,
        in_flight: u32,
    ) -> Answered<Wrote<u64>> {
        let work = self.inner.reserve(lane, epoch, intent, in_flight);
        self.wrote(Call::Reserve, work).await
    }

    async fn let_go(
        &self,
        lane: &LaneId,
        epoch: i64,
        nonce: u64,
        change: &Move,
    ) -> Answered<Wrote> {
        let work = self.inner.let_go(lane, epoch, nonce, change);
        self.wrote(Call::LetGo, work).await
    }

    async fn record_attempt(
        &self,
        lane: &LaneId,
        epoch: i64,
        attempt: &NewAttempt,
    ) -> Answered<Wrote> {
        let work = self.inner.record_attempt(lane, epoch, attempt);
        self.wrote(Call::RecordAttempt, work).await
    }

    async fn record_send(&self, txid: &TxId, node: usize, answer: &Answer) -> Answered<()> {
        let work = self.inner.record_send(txid, node, answer);
        self.done(Call::RecordSend, work).await
    }

    async fn observe(
        &self,
        lane: &LaneId,
        epoch: i64,
        nonce: u64,
        seen: Option<&Inclusion>,
    ) -> Answered<Wrote> {
        let work = self.inner.observe(lane, epoch, nonce, seen);
        self.wrote(Call::Observe, work).await
    }

    async fn finish(
        &self,
        lane: &LaneId,
        epoch: i64,
        nonce: u64,
        end: &SlotEnd,
        change: Option<&Move>,
        effect: Option<&Effect>,
    ) -> Answered<Wrote> {
        let work = self.inner.finish(lane, epoch, nonce, end, change, effect);
        self.wrote(Call::Finish, work).await
    }

    async fn settle(
        &self,
        lane: &LaneId,
        epoch: i64,
        change: &Move,
        effect: &Effect,
    ) -> Answered<Wrote> {
        let work = self.inner.settle(lane, epoch, change, effect);
        self.wrote(Call::Settle, work).await
    }

    async fn retract(
        &self,
        lane: &LaneId,
        epoch: i64,
        nonce: u64,
        line: Option<&Line>,
    ) -> Answered<Wrote> {
        let work = self.inner.retract(lane, epoch, nonce, line);
        self.wrote(Call::Retract, work).await
    }

    async fn reopen(&self, lane: &LaneId, epoch: i64, nonce: u64) -> Answered<Wrote> {
        let work = self.inner.reopen(lane, epoch, nonce);
        self.wrote(Call::Reopen, work).await
    }

    async fn adopt(&self, lane: &LaneId, epoch: i64, adopted: &Adopted) -> Answered<Wrote> {
        let work = self.inner.adopt(lane, epoch, adopted);
        self.wrote(Call::Adopt, work).await
    }

    async fn note_unexplained(&self, lane: &LaneId, epoch: i64, is_so: bool) -> Answered<Wrote> {
        let work = self.inner.note_unexplained(lane, epoch, is_so);
        self.wrote(Call::NoteUnexplained, work).await
    }

    async fn pause(
        &self,
        scope: &Scope,
        code: PauseCode,
        detail: &str,
        author: &str,
    ) -> Answered<()> {
        let work = self.inner.pause(scope, code, detail, author);
        self.done(Call::Pause, work).await
    }

    async fn resume(&self, scope: &Scope, code: PauseCode, author: &str) -> Answered<()> {
        self.done(Call::Resume, self.inner.resume(scope, code, author))
            .await
    }

    async fn untold(&self, lane: &LaneId, limit: u32) -> Answered<Vec<Line>> {
        self.done(Call::Untold, self.inner.untold(lane, limit))
            .await
    }

    async fn told(&self, line: &str) -> Answered<()> {
        self.done(Call::Told, self.inner.told(line)).await
    }
}

impl<K: Signer> Signer for Mortal<K> {
    fn address(&self) -> &str {
        self.inner.address()
    }

    async fn sign(&self, unsigned: &UnsignedMint) -> Answered<Signed> {
        self.done(Call::Sign, self.inner.sign(unsigned)).await
    }
}

impl<N: Node> Node for Mortal<N> {
    async fn account(&self, address: &str) -> Answered<Account> {
        self.done(Call::Account, self.inner.account(address)).await
    }

    async fn fee(&self, unsigned: &UnsignedMint) -> Answered<Fee> {
        self.done(Call::Fee, self.inner.fee(unsigned)).await
    }

    async fn submit(&self, signed: &Signed) -> Answer {
        self.said(Call::Submit, self.inner.submit(signed)).await
    }

    async fn mempool(&self, txid: &TxId) -> Presence {
        self.said(Call::Mempool, self.inner.mempool(txid)).await
    }

    async fn preflight(&self, lane: &LaneId, recipient: &str, kind: u64) -> Answered<Preflight> {
        let work = self.inner.preflight(lane, recipient, kind);
        self.done(Call::Preflight, work).await
    }
}

impl<M: Mirror> Mirror for Mortal<M> {
    async fn look(&self, wanted: &Wanted) -> Answered<ChainView> {
        self.done(Call::Look, self.inner.look(wanted)).await
    }
}

impl<O: Outlet> Outlet for Mortal<O> {
    async fn tell(&self, line: &Line) -> Answered<()> {
        self.done(Call::Tell, self.inner.tell(line)).await
    }
}
