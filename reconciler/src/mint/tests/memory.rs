//! A store in memory that refuses what the database refuses.

use std::collections::BTreeMap;

use stxworx_indexer::model::TxId;

use super::chain::CONTRACT;
use crate::mint::policy::MOST_IN_FLIGHT;
use crate::mint::ports::{
    Adopted, BEHIND, Book, Effect, Known, Lease, Move, NewAttempt, PortError, SlotEnd, Used, Wrote,
};
use crate::mint::types::{
    Answer, Attempt, AwardKey, Evidence, Fee, Inclusion, Intent, IntentId, IntentState, LaneId,
    Line, Pause, PauseCode, Payload, Reason, Scope, Seconds, Send, Slot, SlotState, Verdict,
};

type Written<T = ()> = Result<Wrote<T>, PortError>;

/// Everything that would be in the database, of one lane. Cloned, it is a backup.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    pub now_s: Seconds,
    pub holder: String,
    pub epoch: i64,
    pub expires_s: Seconds,
    pub base: Option<u64>,
    pub next: u64,
    pub unexplained_s: Option<Seconds>,
    pub pauses: Vec<Pause>,
    pub intents: Vec<Intent>,
    pub evidence: BTreeMap<IntentId, Evidence>,
    pub slots: Vec<Slot>,
    pub effects: BTreeMap<IntentId, Effect>,
    pub lines: Vec<(Line, bool)>,
    /// How each slot that is over ended, for T3.
    pub minted_slots: Vec<IntentId>,
    /// Without the rules T3 and T4: shows that something else would not hold.
    pub unguarded: bool,
    pub budget: u128,
    pub fee_cap: Fee,
    /// Changes of intents, as the history has them.
    pub history: Vec<(IntentId, IntentState, Option<Reason>)>,
}

fn refused<T>(what: &'static str, rule: &str) -> Result<T, PortError> {
    Err(PortError::Refused {
        what,
        rule: rule.to_owned(),
    })
}

impl Memory {
    pub fn lease(&mut self, holder: &str, ttl_s: Seconds) -> Lease {
        if self.holder == holder && self.expires_s > self.now_s {
            self.expires_s = self.now_s + ttl_s;
        } else if self.expires_s <= self.now_s {
            self.holder = holder.to_owned();
            self.epoch += 1;
            self.expires_s = self.now_s + ttl_s;
        } else {
            return Lease::Held {
                holder: self.holder.clone(),
            };
        }
        Lease::Taken { epoch: self.epoch }
    }

    pub fn release(&mut self, holder: &str, epoch: i64) {
        if self.holder == holder && self.epoch == epoch {
            self.expires_s = self.now_s;
        }
    }

    fn fenced(&self, epoch: i64) -> bool {
        self.epoch == epoch
    }

    pub fn intent(&self, id: IntentId) -> &Intent {
        self.intents.iter().find(|i| i.id == id).unwrap()
    }

    pub fn intent_mut(&mut self, id: IntentId) -> &mut Intent {
        self.intents.iter_mut().find(|i| i.id == id).unwrap()
    }

    pub fn slot(&self, nonce: u64) -> Option<&Slot> {
        self.slots.iter().find(|s| s.nonce == nonce)
    }

    pub fn slot_mut(&mut self, nonce: u64) -> Option<&mut Slot> {
        self.slots.iter_mut().find(|s| s.nonce == nonce)
    }

    fn open_slot_of(&self, intent: IntentId) -> bool {
        self.slots
            .iter()
            .any(|s| s.intent == Some(intent) && s.state.is_open())
    }

    fn put(&mut self, id: IntentId, to: IntentState, reason: Option<Reason>) {
        let now_s = self.now_s;
        let intent = self.intent_mut(id);
        (intent.state, intent.reason, intent.since_s) = (to, reason, now_s);
        self.history.push((id, to, reason));
    }

    fn apply(&mut self, change: &Move) -> bool {
        if self.intent(change.intent).state != change.from {
            return false;
        }
        if change.failed {
            self.intent_mut(change.intent).failures += 1;
        }
        self.put(change.intent, change.to, change.reason);
        true
    }

    pub fn used(&self) -> Used {
        let recent = |at: Seconds, within: Seconds| at + within > self.now_s;
        let mut used = Used::default();
        let mut of: BTreeMap<String, u32> = BTreeMap::new();
        for slot in &self.slots {
            let ours = slot.attempts.iter().filter(|a| !a.adopted);
            let newest = ours.filter(|a| recent(a.signed_s, 86_400)).map(|a| a.fee);
            used.fees_per_day += u128::from(newest.max().unwrap_or(0));
            let Some(intent) = slot.intent else { continue };
            if recent(slot.reserved_s, 3_600) {
                used.mints_per_hour += 1;
            }
            if recent(slot.reserved_s, 86_400) {
                *of.entry(self.intent(intent).award.recipient.clone())
                    .or_default() += 1;
            }
        }
        used.mints_per_recipient = of.into_iter().collect();
        let mut kinds: BTreeMap<u64, u32> = BTreeMap::new();
        for intent in &self.intents {
            if intent.state != IntentState::Eligible {
                *kinds.entry(intent.award.kind).or_default() += 1;
            }
        }
        used.approved_per_kind = kinds.into_iter().collect();
        used
    }

    pub fn book(&self, lane: &LaneId) -> Book {
        let over = self.slots.iter().filter(|s| !s.state.is_open()).count();
        let skip = over.saturating_sub(usize::try_from(BEHIND).unwrap());
        let mut seen = 0;
        let slots: Vec<Slot> = self
            .slots
            .iter()
            .filter(|s| {
                seen += usize::from(!s.state.is_open());
                s.state.is_open() || seen > skip
            })
            .cloned()
            .collect();
        let named = |id| slots.iter().any(|s| s.intent == Some(id));
        Book {
            now_s: self.now_s,
            epoch: self.epoch,
            base_nonce: self.base,
            next_nonce: self.next,
            unexplained_since_s: self.unexplained_s,
            pauses: self
                .pauses
                .iter()
                .filter(|p| p.scope.stops(lane))
                .cloned()
                .collect(),
            intents: self
                .intents
                .iter()
                .filter(|i| !i.state.is_over() || named(i.id))
                .cloned()
                .collect(),
            slots,
            used: self.used(),
        }
    }

    pub fn known(&self, users: &[String]) -> Vec<Known> {
        let of = self
            .intents
            .iter()
            .filter(|i| users.contains(&i.award.recipient));
        of.map(|i| Known {
            award: i.award.clone(),
            state: i.state,
            intent: i.id,
        })
        .collect()
    }

    pub fn open_lane(&mut self, epoch: i64, base: u64) -> Written {
        if !self.fenced(epoch) {
            return Ok(Wrote::Lost);
        }
        if self.base.is_none() {
            (self.base, self.next) = (Some(base), base);
        }
        Ok(Wrote::Done(()))
    }

    pub fn lower_base(&mut self, epoch: i64, base: u64) -> Written {
        if !self.fenced(epoch) {
            return Ok(Wrote::Lost);
        }
        let Some(old) = self.base.filter(|b| base < *b) else {
            return Ok(Wrote::Stale);
        };
        let epoch = self.slots.first().map_or(epoch, |s| s.epoch);
        let below = (base..old).map(|nonce| Slot {
            nonce,
            intent: None,
            state: SlotState::Reserved,
            epoch,
            reserved_s: self.now_s,
            included: None,
            left_final: false,
            attempts: Vec::new(),
        });
        let below: Vec<Slot> = below.collect();
        self.slots.splice(0..0, below);
        self.base = Some(base);
        Ok(Wrote::Done(()))
    }

    pub fn upsert_award(
        &mut self,
        epoch: i64,
        award: &AwardKey,
        evidence: &Evidence,
        state: IntentState,
    ) -> Written<IntentId> {
        if !self.fenced(epoch) {
            return Ok(Wrote::Lost);
        }
        if let Some(there) = self.intents.iter().find(|i| i.award == *award) {
            return Ok(Wrote::Done(there.id));
        }
        assert_eq!(award.contract, CONTRACT);
        let id = i64::try_from(self.intents.len()).unwrap() + 1;
        self.intents.push(Intent {
            id,
            award: award.clone(),
            state,
            reason: None,
            since_s: self.now_s,
            cancel: None,
            failures: 0,
            retractions: 0,
        });
        self.evidence.insert(id, evidence.clone());
        self.history.push((id, state, None));
        Ok(Wrote::Done(id))
    }

    pub fn move_intent(&mut self, epoch: i64, change: &Move) -> Written {
        if !self.fenced(epoch) {
            return Ok(Wrote::Lost);
        }
        if change.to.has_slot() || change.from.has_slot() || change.from.is_over() {
            return refused("moving an intent", "states with slots belong to slots");
        }
        Ok(if self.apply(change) {
            Wrote::Done(())
        } else {
            Wrote::Stale
        })
    }

    pub fn reserve(&mut self, epoch: i64, intent: IntentId, in_flight: u32) -> Written<u64> {
        if !self.fenced(epoch) {
            return Ok(Wrote::Lost);
        }
        let open = self.slots.iter().filter(|s| s.state.is_open()).count();
        let most = usize::try_from(in_flight.min(MOST_IN_FLIGHT)).unwrap();
        let of = self.intent(intent);
        let wanted = of.state == IntentState::Queued && of.cancel.is_none();
        if !self.pauses.is_empty() || open >= most || !wanted || self.base.is_none() {
            return Ok(Wrote::Stale);
        }
        let had = self.open_slot_of(intent) || self.minted_slots.contains(&intent);
        if had && !self.unguarded {
            return refused("reserving a nonce", "T3");
        }
        if self.slots.last().is_some_and(|s| s.epoch > epoch) {
            return refused("reserving a nonce", "T11");
        }
        let nonce = self.next;
        if self.slot(nonce).is_some() {
            return refused("reserving a nonce", "T1");
        }
        if self.slots.last().is_some_and(|s| s.nonce + 1 != nonce) {
            return refused("reserving a nonce", "T2");
        }
        self.next += 1;
        self.slots.push(Slot {
            nonce,
            intent: Some(intent),
            state: SlotState::Reserved,
            epoch,
            reserved_s: self.now_s,
            included: None,
            left_final: false,
            attempts: Vec::new(),
        });
        self.put(intent, IntentState::Submitting, None);
        Ok(Wrote::Done(nonce))
    }

    pub fn let_go(&mut self, epoch: i64, nonce: u64, change: &Move) -> Written {
        if !self.fenced(epoch) {
            return Ok(Wrote::Lost);
        }
        let unguarded = self.unguarded;
        let Some(slot) = self.slot_mut(nonce) else {
            return Ok(Wrote::Stale);
        };
        let free = slot.state == SlotState::Reserved || unguarded;
        if !free || slot.intent != Some(change.intent) {
            return Ok(Wrote::Stale);
        }
        slot.intent = None;
        if !self.apply(change) {
            self.slot_mut(nonce).unwrap().intent = Some(change.intent);
            return Ok(Wrote::Stale);
        }
        Ok(Wrote::Done(()))
    }

    pub fn record_attempt(&mut self, epoch: i64, new: &NewAttempt) -> Written {
        if !self.fenced(epoch) {
            return Ok(Wrote::Lost);
        }
        let (now_s, cap, unguarded) = (self.now_s, self.fee_cap, self.unguarded);
        let paused = self.pauses.iter().any(|p| p.code != PauseCode::FeeBudget);
        let Some(slot) = self.slot_mut(new.nonce) else {
            return refused("storing an attempt", "T1");
        };
        if !slot.state.is_open() || paused {
            return Ok(Wrote::Stale);
        }
        let noop_there = slot.attempts.iter().any(|a| a.payload == Payload::Noop);
        if new.payload == Payload::Mint && (slot.intent.is_none() || noop_there) && !unguarded {
            return refused("storing an attempt", "T4");
        }
        if slot.newest().is_some_and(|a| a.fee >= new.fee) || new.fee > cap {
            return refused("storing an attempt", "T5");
        }
        if new.signed.bytes.is_empty() || slot.attempt(&new.signed.txid).is_some() {
            return refused("storing an attempt", "T6");
        }
        slot.state = SlotState::Live;
        slot.attempts.push(Attempt {
            txid: new.signed.txid,
            payload: new.payload,
            fee: new.fee,
            bytes: new.signed.bytes.clone(),
            signed_s: now_s,
            signed_height: new.height,
            adopted: false,
            sends: Vec::new(),
        });
        if self.used().fees_per_day > self.budget {
            return refused("storing an attempt", "T10");
        }
        Ok(Wrote::Done(()))
    }

    pub fn record_send(&mut self, txid: &TxId, node: usize, answer: &Answer) {
        let at_s = self.now_s;
        let attempts = self.slots.iter_mut().flat_map(|s| s.attempts.iter_mut());
        for attempt in attempts.filter(|a| a.txid == *txid) {
            attempt.sends.push(Send {
                node,
                at_s,
                answer: answer.clone(),
            });
        }
    }

    pub fn observe(&mut self, epoch: i64, nonce: u64, seen: Option<&Inclusion>) -> Written {
        if !self.fenced(epoch) {
            return Ok(Wrote::Lost);
        }
        let Some(slot) = self.slot_mut(nonce).filter(|s| s.state.is_open()) else {
            return Ok(Wrote::Stale);
        };
        if seen.is_some_and(|i| slot.attempt(&i.txid).is_none()) {
            return refused("observing", "an inclusion is of an attempt");
        }
        slot.included = seen.cloned();
        if let Some(intent) = slot.intent {
            let to = if seen.is_some() {
                IntentState::Included
            } else {
                IntentState::Submitting
            };
            self.put(intent, to, None);
        }
        Ok(Wrote::Done(()))
    }

    pub fn finish(
        &mut self,
        epoch: i64,
        nonce: u64,
        end: &SlotEnd,
        change: Option<&Move>,
        effect: Option<&Effect>,
    ) -> Written {
        if !self.fenced(epoch) {
            return Ok(Wrote::Lost);
        }
        let Some(slot) = self.slot(nonce).filter(|s| s.state.is_open()) else {
            return Ok(Wrote::Stale);
        };
        let intent = slot.intent;
        if let SlotEnd::Ours(seen) = end
            && (slot.attempt(&seen.txid).is_none() || slot.included.as_ref() != Some(seen))
        {
            return Ok(Wrote::Stale);
        }
        if intent != change.map(|c| c.intent) {
            return refused("ending a slot", "its intent moves with it");
        }
        if change.is_some_and(|c| !self.apply(c)) {
            return Ok(Wrote::Stale);
        }
        if let (SlotEnd::Ours(seen), Some(id)) = (end, intent)
            && matches!(seen.verdict, Verdict::Success { badge: Some(_) })
        {
            self.minted_slots.push(id);
        }
        let slot = self.slot_mut(nonce).unwrap();
        slot.state = end.state();
        if let Some(effect) = effect {
            self.effect(effect)?;
        }
        Ok(Wrote::Done(()))
    }

    fn effect(&mut self, effect: &Effect) -> Result<(), PortError> {
        let id = effect.line.intent;
        if self.effects.contains_key(&id) {
            return Ok(());
        }
        self.effects.insert(id, effect.clone());
        self.lines.push((effect.line.clone(), false));
        Ok(())
    }

    pub fn settle(&mut self, epoch: i64, change: &Move, effect: &Effect) -> Written {
        if !self.fenced(epoch) {
            return Ok(Wrote::Lost);
        }
        if change.from.has_slot() {
            return refused("settling", "states with slots belong to slots");
        }
        if !self.apply(change) {
            return Ok(Wrote::Stale);
        }
        self.effect(effect)?;
        Ok(Wrote::Done(()))
    }

    pub fn retract(&mut self, epoch: i64, nonce: u64, line: Option<&Line>) -> Written {
        if !self.fenced(epoch) {
            return Ok(Wrote::Lost);
        }
        let Some(slot) = self.slot_mut(nonce).filter(|s| !s.left_final) else {
            return Ok(Wrote::Stale);
        };
        slot.left_final = true;
        if let Some(line) = line
            && self.lines.iter().all(|(l, _)| l.id != line.id)
        {
            self.lines.push((line.clone(), false));
        }
        Ok(Wrote::Done(()))
    }

    pub fn reopen(&mut self, epoch: i64, nonce: u64) -> Written {
        if !self.fenced(epoch) {
            return Ok(Wrote::Lost);
        }
        let Some(slot) = self.slot(nonce).filter(|s| s.left_final) else {
            return Ok(Wrote::Stale);
        };
        let intent = slot.intent;
        if intent.is_some_and(|id| self.open_slot_of(id)) {
            return Ok(Wrote::Stale);
        }
        let slot = self.slot_mut(nonce).unwrap();
        (slot.left_final, slot.state, slot.included) = (false, SlotState::Live, None);
        if let Some(id) = intent {
            self.effects.remove(&id);
            self.minted_slots.retain(|i| *i != id);
            self.intent_mut(id).retractions += 1;
            self.put(id, IntentState::Submitting, None);
        }
        Ok(Wrote::Done(()))
    }

    pub fn adopt(&mut self, epoch: i64, adopted: &Adopted) -> Written {
        if !self.fenced(epoch) {
            return Ok(Wrote::Lost);
        }
        let at_next = self.slot(adopted.nonce).is_none();
        if at_next && (adopted.nonce != self.next || self.base.is_none()) {
            return Ok(Wrote::Stale);
        }
        let Some(tx) = &adopted.tx else {
            if !at_next {
                return Ok(Wrote::Stale);
            }
            self.push_slot(epoch, adopted.nonce, None, SlotState::Dead);
            return Ok(Wrote::Done(()));
        };
        if at_next {
            if let Some(id) = adopted.intent
                && (self.open_slot_of(id) || self.intent(id).state.is_over())
            {
                return Ok(Wrote::Stale);
            }
            self.push_slot(epoch, adopted.nonce, adopted.intent, SlotState::Live);
        }
        let now_s = self.now_s;
        let slot = self.slot_mut(adopted.nonce).unwrap();
        if !slot.state.is_open() || slot.intent != adopted.intent {
            return Ok(Wrote::Stale);
        }
        if slot.attempt(&tx.signed.txid).is_none() {
            slot.attempts.push(Attempt {
                txid: tx.signed.txid,
                payload: tx.payload,
                fee: tx.fee,
                bytes: tx.signed.bytes.clone(),
                signed_s: now_s,
                signed_height: tx.inclusion.height,
                adopted: true,
                sends: Vec::new(),
            });
            slot.attempts.sort_by_key(|a| a.fee);
        }
        slot.state = SlotState::Live;
        slot.included = Some(tx.inclusion.clone());
        if let Some(id) = adopted.intent {
            self.put(id, IntentState::Included, None);
        }
        Ok(Wrote::Done(()))
    }

    fn push_slot(&mut self, epoch: i64, nonce: u64, intent: Option<IntentId>, state: SlotState) {
        self.next = nonce + 1;
        self.slots.push(Slot {
            nonce,
            intent,
            state,
            epoch,
            reserved_s: self.now_s,
            included: None,
            left_final: false,
            attempts: Vec::new(),
        });
    }

    pub fn note_unexplained(&mut self, epoch: i64, is_so: bool) -> Written {
        if !self.fenced(epoch) {
            return Ok(Wrote::Lost);
        }
        let since = self.unexplained_s.unwrap_or(self.now_s);
        self.unexplained_s = is_so.then_some(since);
        Ok(Wrote::Done(()))
    }

    pub fn pause(&mut self, scope: &Scope, code: PauseCode, detail: &str, author: &str) {
        let mut pauses = self.pauses.iter();
        if pauses.any(|p| p.scope == *scope && p.code == code) {
            return;
        }
        self.pauses.push(Pause {
            scope: scope.clone(),
            code,
            detail: detail.to_owned(),
            author: author.to_owned(),
            since_s: self.now_s,
        });
    }

    pub fn resume(&mut self, scope: &Scope, code: PauseCode) {
        self.pauses.retain(|p| p.scope != *scope || p.code != code);
    }

    // What operators do.

    pub fn cancel(&mut self, id: IntentId, author: &str) {
        self.intent_mut(id).cancel = Some(author.to_owned());
    }

    pub fn approve(&mut self, id: IntentId) {
        if self.intent(id).state == IntentState::Eligible {
            self.put(id, IntentState::Queued, None);
        }
    }

    /// Queues an intent again that has no slot.
    pub fn retry(&mut self, id: IntentId) {
        let intent = self.intent_mut(id);
        intent.cancel = None;
        let again = [
            IntentState::Review,
            IntentState::Dead,
            IntentState::Cancelled,
        ];
        if again.contains(&intent.state) {
            intent.failures = 0;
            self.put(id, IntentState::Queued, None);
        }
    }

    /// Accepts that the nonces below this one are used by somebody else, though the mirror shows nothing.
    pub fn accept(&mut self, below: u64) {
        while self.base.is_some() && self.next < below {
            let (epoch, nonce) = (self.epoch, self.next);
            self.push_slot(epoch, nonce, None, SlotState::Dead);
        }
    }

    /// The same of a nonce that was given out here.
    pub fn accept_slot(&mut self, nonce: u64) {
        let slot = self.slot_mut(nonce).unwrap();
        assert!(slot.included.is_none());
        slot.state = SlotState::Dead;
        if let Some(id) = slot.intent {
            self.put(id, IntentState::Queued, Some(Reason::NonceTaken));
        }
    }
}
