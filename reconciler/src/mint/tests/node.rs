//! Nodes in memory: each with a mempool, a view of the chain, and habits.

use std::collections::BTreeMap;

use stxworx_clarity::rng::SeededRng;
use stxworx_indexer::model::TxId;

use super::chain::{Chain, Tx};
use crate::mint::types::{Account, Answer, Dropped, Fee, Preflight, Presence};

/// What a node does to the next transactions, before it goes back to being honest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trick {
    /// Does not take it, and does not answer.
    TimeoutBefore,
    /// Takes it, and does not answer.
    TimeoutAfter,
    /// Says 200, and throws it away.
    Lose,
    /// Says this, and does not take it.
    Say(Answer),
}

/// How often, of a thousand, a node does what.
#[derive(Debug, Clone, Default)]
pub struct Habits {
    pub timeout_before: u64,
    pub timeout_after: u64,
    pub lose: u64,
    pub error: u64,
    pub permanent: u64,
    pub lie_nonce: u64,
    pub lie_presence: u64,
    pub lie_preflight: u64,
    pub silent: u64,
    pub forget: u64,
}

#[derive(Debug, Default)]
pub struct SimNode {
    pub mempool: BTreeMap<u64, Tx>,
    pub dropped: BTreeMap<TxId, Dropped>,
    pub down: bool,
    /// Blocks behind the tip.
    pub lag: usize,
    pub min_fee: Fee,
    pub fee: Option<Fee>,
    pub tricks: Vec<Trick>,
    pub habits: Habits,
    /// Nonces that the account call adds to the truth.
    pub nonce_off: i64,
    /// Answers each call about an award with this.
    pub preflight: Option<Preflight>,
    pub submitted: Vec<TxId>,
}

fn per_mille(rng: &mut SeededRng, often: u64) -> bool {
    often > 0 && rng.below(1000) < often
}

impl SimNode {
    pub fn at(&self, chain: &Chain) -> usize {
        chain.ancestor(chain.tip, self.lag)
    }

    pub fn account(&self, chain: &Chain, rng: &mut SeededRng) -> Option<Account> {
        if self.down || per_mille(rng, self.habits.silent) {
            return None;
        }
        let block = &chain.blocks[self.at(chain)];
        let mut nonce = block.state.nonce.saturating_add_signed(self.nonce_off);
        if per_mille(rng, self.habits.lie_nonce) {
            nonce = nonce
                .saturating_add(rng.below(4))
                .saturating_sub(rng.below(4));
        }
        Some(Account {
            nonce,
            balance: block.state.balance,
            height: block.height,
            burn_height: block.burn_height,
        })
    }

    pub fn submit(&mut self, chain: &Chain, rng: &mut SeededRng, tx: &Tx) -> Answer {
        let unclear = |reason: &str| Answer::Unclear {
            reason: reason.to_owned(),
        };
        self.submitted.push(tx.txid());
        if self.down {
            return unclear("connection refused");
        }
        let trick = if self.tricks.is_empty() {
            self.habit(rng)
        } else {
            Some(self.tricks.remove(0))
        };
        match trick {
            None => self.admit(chain, tx),
            Some(Trick::TimeoutBefore) => unclear("time-out"),
            Some(Trick::TimeoutAfter) => {
                let _ = self.admit(chain, tx);
                unclear("time-out")
            }
            Some(Trick::Lose) => Answer::Accepted,
            Some(Trick::Say(answer)) => answer,
        }
    }

    fn habit(&self, rng: &mut SeededRng) -> Option<Trick> {
        let habits = &self.habits;
        if per_mille(rng, habits.timeout_before) {
            return Some(Trick::TimeoutBefore);
        }
        if per_mille(rng, habits.timeout_after) {
            return Some(Trick::TimeoutAfter);
        }
        if per_mille(rng, habits.lose) {
            return Some(Trick::Lose);
        }
        if per_mille(rng, habits.error) {
            let reason = "503".to_owned();
            return Some(Trick::Say(Answer::Unclear { reason }));
        }
        if per_mille(rng, habits.permanent) {
            let reason = "NoSuchContract".to_owned();
            return Some(Trick::Say(Answer::Permanent { reason }));
        }
        None
    }

    /// The rules of a node's mempool.
    pub fn admit(&mut self, chain: &Chain, tx: &Tx) -> Answer {
        let state = &chain.blocks[self.at(chain)].state;
        if tx.nonce < state.nonce {
            return Answer::BadNonce {
                expected: state.nonce,
                actual: tx.nonce,
            };
        }
        if tx.nonce > state.nonce + 1 + 25 {
            return Answer::TooMuchChaining;
        }
        if tx.fee < self.min_fee {
            return Answer::FeeTooLow {
                expected: Some(self.min_fee),
            };
        }
        if state.balance < u128::from(tx.fee) {
            return Answer::NotEnoughFunds;
        }
        if let Some(there) = self.mempool.get(&tx.nonce) {
            if there == tx {
                return Answer::Accepted;
            }
            if there.fee >= tx.fee {
                return Answer::ConflictingNonce;
            }
            let by = Some(tx.txid());
            self.dropped
                .insert(there.txid(), Dropped::ReplacedByFee { by });
        }
        self.dropped.remove(&tx.txid());
        self.mempool.insert(tx.nonce, tx.clone());
        Answer::Accepted
    }

    pub fn presence(&self, rng: &mut SeededRng, txid: &TxId) -> Presence {
        if self.down || per_mille(rng, self.habits.silent) {
            return Presence::Unknown;
        }
        if per_mille(rng, self.habits.lie_presence) {
            return [Presence::Pending, Presence::Absent][rng.index(2)].clone();
        }
        if self.mempool.values().any(|t| t.txid() == *txid) {
            return Presence::Pending;
        }
        match self.dropped.get(txid) {
            Some(why) => Presence::Dropped(why.clone()),
            None => Presence::Absent,
        }
    }

    pub fn preflight(
        &self,
        chain: &Chain,
        rng: &mut SeededRng,
        user: &str,
        kind: u64,
    ) -> Option<Preflight> {
        if self.down || per_mille(rng, self.habits.silent) {
            return None;
        }
        if let Some(said) = &self.preflight {
            return Some(said.clone());
        }
        let block = &chain.blocks[self.at(chain)];
        let state = &block.state;
        let row = state.badges.get(&(user.to_owned(), kind));
        let honest = Preflight {
            minter: state.minter,
            kind_known: state.kinds.contains_key(&kind),
            earned: chain.earned(state, user, kind, block.burn_height),
            badge: row.filter(|b| !b.gone).map(|b| b.id),
            barred: row.is_some_and(|b| b.gone),
        };
        if per_mille(rng, self.habits.lie_preflight) {
            return Some(Preflight {
                earned: !honest.earned,
                badge: None,
                barred: false,
                ..honest
            });
        }
        Some(honest)
    }

    /// What waits too long, or for no reason at all, is forgotten.
    pub fn age(&mut self, rng: &mut SeededRng) {
        if per_mille(rng, self.habits.forget)
            && let Some((_, tx)) = self.mempool.pop_first()
        {
            self.dropped.insert(tx.txid(), Dropped::Stale);
        }
    }
}
