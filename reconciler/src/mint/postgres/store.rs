//! What is remembered, in PostgreSQL.

use std::time::Duration;

use stxworx_indexer::model::TxId;
use stxworx_indexer::store::Pool;
use stxworx_indexer::store::mint::lane::{Leased, Terms};
use stxworx_indexer::store::mint::slot::{self, End};
use stxworx_indexer::store::mint::{
    Change, Seen, Told, Written, again, book, effect, intent, lane, pause,
};

use super::super::policy::Policy;
use super::super::ports::{
    Adopted, BEHIND, Book, Effect, Known, Lease, Move, NewAttempt, PortError, SlotEnd, Store, Wrote,
};
use super::super::types::{
    Account, Answer, AwardKey, Class, Evidence, Inclusion, IntentId, IntentState, LaneId, Line,
    LineKind, PauseCode, Reason, Scope,
};
use super::rows::{book_of, unknown};
use super::{failed, height, lane_ref, seen, unusable};

/// The store.
#[derive(Debug, Clone)]
pub struct PgStore {
    pool: Pool,
    final_after: u32,
    fee_cap: u64,
    fee_budget: u128,
}

impl PgStore {
    /// On a database, where a block is final after so many Bitcoin blocks, and where the policy's limits of fees hold.
    pub fn new(pool: Pool, final_after_burn_blocks: u32, policy: &Policy) -> Self {
        Self {
            pool,
            final_after: final_after_burn_blocks,
            fee_cap: policy.fee_cap,
            fee_budget: policy.fee_budget_per_day,
        }
    }
}

type Answered<T> = Result<T, PortError>;

fn wrote<T>(written: Written<T>) -> Wrote<T> {
    match written {
        Written::Done(value) => Wrote::Done(value),
        Written::Lost => Wrote::Lost,
        Written::Stale => Wrote::Stale,
    }
}

fn change(step: &Move) -> Change<'_> {
    Change {
        intent: step.intent,
        from: step.from.as_str(),
        to: step.to.as_str(),
        reason: step.reason.map(Reason::as_str),
        note: &step.note,
        failed: step.failed,
    }
}

fn told(effect: &Effect) -> Told<'_> {
    Told {
        txid: effect.txid.as_ref().map(|t| t.as_bytes()),
        badge: effect.badge,
        ..line(&effect.line)
    }
}

fn line(line: &Line) -> Told<'_> {
    Told {
        line: &line.id,
        kind: line.kind.as_str(),
        intent: line.intent,
        body: &line.body,
        txid: None,
        badge: None,
    }
}

fn scope(scope: &Scope) -> (&'static str, &str) {
    match scope {
        Scope::Global => ("global", ""),
        Scope::Contract { contract } => ("contract", contract),
        Scope::Lane(lane) => ("lane", &lane.sender),
    }
}

impl Store for PgStore {
    async fn lease(&self, lane: &LaneId, holder: &str, ttl: Duration) -> Answered<Lease> {
        let terms = Terms {
            ttl,
            final_after: self.final_after,
            fee_budget: self.fee_budget,
        };
        let leased = lane::lease(&self.pool, lane_ref(lane), holder, terms).await;
        match leased.map_err(failed("taking a lane's lease"))? {
            Leased::Taken(epoch) => Ok(Lease::Taken { epoch }),
            Leased::Held(holder) => Ok(Lease::Held { holder }),
            Leased::Elsewhere(contract) => {
                let detail = format!(
                    "the key {} mints at {contract}, and its nonces are accounted for there; use another key",
                    lane.sender
                );
                Err(unusable("taking a lane's lease", detail))
            }
        }
    }

    async fn release(&self, lane: &LaneId, holder: &str, epoch: i64) -> Answered<()> {
        lane::release(&self.pool, lane_ref(lane), holder, epoch)
            .await
            .map_err(failed("releasing a lane"))
    }

    async fn book(&self, lane: &LaneId) -> Answered<Book> {
        let rows = book::read(&self.pool, lane_ref(lane), BEHIND).await;
        let rows = rows.map_err(failed("reading a lane"))?;
        let rows = rows.ok_or_else(|| unusable("reading a lane", "nobody ever took its lease"))?;
        book_of(rows, lane)
    }

    async fn known(&self, contract: &str, users: &[String]) -> Answered<Vec<Known>> {
        let rows = intent::known(&self.pool, contract, users).await;
        let rows = rows.map_err(failed("reading what was awarded"))?;
        rows.into_iter()
            .map(|row| {
                let state = IntentState::from_name(&row.state);
                Ok(Known {
                    award: AwardKey {
                        contract: contract.to_owned(),
                        recipient: row.recipient,
                        kind: row.kind,
                        seq: row.seq,
                    },
                    state: state.ok_or_else(|| unknown("mint_intent", &row.state))?,
                    intent: row.intent,
                })
            })
            .collect()
    }

    async fn note_account(&self, lane: &LaneId, account: &Account) -> Answered<()> {
        lane::note_account(&self.pool, lane_ref(lane), account.nonce, account.balance)
            .await
            .map_err(failed("noting an account"))
    }

    async fn open_lane(&self, lane: &LaneId, epoch: i64, base_nonce: u64) -> Answered<Wrote> {
        let done = lane::open(&self.pool, lane_ref(lane), epoch, base_nonce).await;
        done.map(wrote).map_err(failed("opening a lane"))
    }

    async fn lower_base(&self, lane: &LaneId, epoch: i64, base_nonce: u64) -> Answered<Wrote> {
        let done = lane::lower_base(&self.pool, lane_ref(lane), epoch, base_nonce).await;
        done.map(wrote).map_err(failed("lowering a lane"))
    }

    async fn upsert_award(
        &self,
        lane: &LaneId,
        epoch: i64,
        award: &AwardKey,
        evidence: &Evidence,
        state: IntentState,
    ) -> Answered<Wrote<IntentId>> {
        if award.contract != lane.contract {
            let detail = format!(
                "an award of {} in the lane of {}",
                award.contract, lane.contract
            );
            return Err(unusable("storing an award", detail));
        }
        let new = intent::NewAward {
            recipient: &award.recipient,
            kind: award.kind,
            seq: award.seq,
            evidence: &evidence.json,
            evidence_hash: &evidence.hash,
            state: state.as_str(),
        };
        let done = intent::upsert_award(&self.pool, lane_ref(lane), epoch, &new).await;
        done.map(wrote).map_err(failed("storing an award"))
    }

    async fn move_intent(&self, lane: &LaneId, epoch: i64, step: &Move) -> Answered<Wrote> {
        let done = intent::move_intent(&self.pool, lane_ref(lane), epoch, &change(step)).await;
        done.map(wrote).map_err(failed("moving an intent"))
    }

    async fn reserve(
        &self,
        lane: &LaneId,
        epoch: i64,
        intent: IntentId,
        in_flight: u32,
    ) -> Answered<Wrote<u64>> {
        let done = lane::reserve(&self.pool, lane_ref(lane), epoch, intent, in_flight).await;
        done.map(wrote).map_err(failed("reserving a nonce"))
    }

    async fn let_go(&self, lane: &LaneId, epoch: i64, nonce: u64, step: &Move) -> Answered<Wrote> {
        let done = lane::let_go(&self.pool, lane_ref(lane), epoch, nonce, &change(step)).await;
        done.map(wrote).map_err(failed("letting an intent go"))
    }

    async fn record_attempt(
        &self,
        lane: &LaneId,
        epoch: i64,
        attempt: &NewAttempt,
    ) -> Answered<Wrote> {
        let new = slot::NewAttempt {
            txid: attempt.signed.txid.as_bytes(),
            nonce: attempt.nonce,
            kind: attempt.payload.as_str(),
            fee: attempt.fee,
            fee_cap: self.fee_cap,
            raw_tx: &attempt.signed.bytes,
            height: attempt.height,
        };
        let done = slot::record_attempt(&self.pool, lane_ref(lane), epoch, &new).await;
        done.map(wrote).map_err(failed("storing signed bytes"))
    }

    async fn record_send(&self, txid: &TxId, node: usize, answer: &Answer) -> Answered<()> {
        let said = serde_json::to_value(answer)
            .map_err(|e| unusable("noting what a node said", e.to_string()))?;
        let node = u32::try_from(node).unwrap_or(u32::MAX);
        let ambiguous = answer.class() == Class::Ambiguous;
        let word = answer.as_str();
        slot::record_send(&self.pool, txid.as_bytes(), node, word, &said, ambiguous)
            .await
            .map_err(failed("noting what a node said"))
    }

    async fn observe(
        &self,
        lane: &LaneId,
        epoch: i64,
        nonce: u64,
        included: Option<&Inclusion>,
    ) -> Answered<Wrote> {
        let row = included.map(seen);
        let done = slot::observe(&self.pool, lane_ref(lane), epoch, nonce, row.as_ref()).await;
        done.map(wrote)
            .map_err(failed("noting where a slot stands"))
    }

    async fn finish(
        &self,
        lane: &LaneId,
        epoch: i64,
        nonce: u64,
        end: &SlotEnd,
        step: Option<&Move>,
        effect: Option<&Effect>,
    ) -> Answered<Wrote> {
        let row = match end {
            SlotEnd::Ours(inclusion) => seen(inclusion),
            SlotEnd::Foreign {
                txid,
                block,
                height: at,
                burn_height,
            } => Seen {
                txid: txid.as_bytes().to_vec(),
                block: block.as_bytes().to_vec(),
                height: height(*at),
                burn_height: height(*burn_height),
                verdict: None,
            },
        };
        let end = match end {
            SlotEnd::Ours(_) => End::Ours(&row),
            SlotEnd::Foreign { .. } => End::Foreign(&row),
        };
        let (step, effect) = (step.map(change), effect.map(told));
        let done = slot::finish(
            &self.pool,
            lane_ref(lane),
            epoch,
            nonce,
            end,
            step.as_ref(),
            effect.as_ref(),
        )
        .await;
        done.map(wrote).map_err(failed("ending a slot"))
    }

    async fn settle(
        &self,
        lane: &LaneId,
        epoch: i64,
        step: &Move,
        effect: &Effect,
    ) -> Answered<Wrote> {
        let (step, effect) = (change(step), told(effect));
        let done = effect::settle(&self.pool, lane_ref(lane), epoch, &step, &effect).await;
        done.map(wrote).map_err(failed("settling an intent"))
    }

    async fn retract(
        &self,
        lane: &LaneId,
        epoch: i64,
        nonce: u64,
        text: Option<&Line>,
    ) -> Answered<Wrote> {
        let text = text.map(line);
        let done = again::retract(&self.pool, lane_ref(lane), epoch, nonce, text.as_ref()).await;
        done.map(wrote).map_err(failed("retracting an effect"))
    }

    async fn reopen(&self, lane: &LaneId, epoch: i64, nonce: u64) -> Answered<Wrote> {
        let done = again::reopen(&self.pool, lane_ref(lane), epoch, nonce).await;
        done.map(wrote).map_err(failed("opening a slot again"))
    }

    async fn adopt(&self, lane: &LaneId, epoch: i64, adopted: &Adopted) -> Answered<Wrote> {
        let found = adopted.tx.as_ref().map(|tx| {
            let attempt = slot::NewAttempt {
                txid: tx.signed.txid.as_bytes(),
                nonce: adopted.nonce,
                kind: tx.payload.as_str(),
                fee: tx.fee,
                fee_cap: self.fee_cap,
                raw_tx: &tx.signed.bytes,
                height: tx.inclusion.height,
            };
            (attempt, seen(&tx.inclusion))
        });
        let found = found.as_ref().map(|(attempt, row)| (attempt, row));
        let (nonce, intent) = (adopted.nonce, adopted.intent);
        let done = slot::adopt(&self.pool, lane_ref(lane), epoch, nonce, intent, found).await;
        done.map(wrote).map_err(failed("adopting a nonce"))
    }

    async fn note_unexplained(&self, lane: &LaneId, epoch: i64, is_so: bool) -> Answered<Wrote> {
        let done = lane::note_unexplained(&self.pool, lane_ref(lane), epoch, is_so).await;
        done.map(wrote).map_err(failed("noting unexplained nonces"))
    }

    async fn pause(&self, of: &Scope, code: PauseCode, detail: &str, author: &str) -> Answered<()> {
        pause::pause(&self.pool, scope(of), code.as_str(), detail, author)
            .await
            .map(|_| ())
            .map_err(failed("pausing"))
    }

    async fn resume(&self, of: &Scope, code: PauseCode, author: &str) -> Answered<()> {
        pause::lift(&self.pool, scope(of), code.as_str(), author)
            .await
            .map(|_| ())
            .map_err(failed("lifting a pause"))
    }

    async fn untold(&self, lane: &LaneId, limit: u32) -> Answered<Vec<Line>> {
        let rows = effect::untold(&self.pool, lane_ref(lane), limit).await;
        let rows = rows.map_err(failed("reading lines"))?;
        rows.into_iter()
            .map(|row| {
                let kinds = [
                    LineKind::Minted,
                    LineKind::SatisfiedElsewhere,
                    LineKind::Retracted,
                ];
                let kind = kinds.into_iter().find(|k| k.as_str() == row.kind);
                Ok(Line {
                    id: row.id,
                    kind: kind.ok_or_else(|| unknown("mint_line", &row.kind))?,
                    intent: row.intent,
                    body: row.body,
                })
            })
            .collect()
    }

    async fn told(&self, line: &str) -> Answered<()> {
        effect::told(&self.pool, line)
            .await
            .map_err(failed("noting that a line was heard"))
    }
}
