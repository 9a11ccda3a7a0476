//! What a devnet's RPC does wrong, if it is asked to: the ways in which nodes, and what stands in front of them, mislead
//! those who send transactions.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use stxworx_clarity::simnet::{BlockId, TxId};

use crate::workload::SeededRng;

/// How often, each in percent of what is asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RpcFaults {
    /// A transaction is answered with 200 and its id, and not stored.
    pub swallowed_percent: u8,
    /// The same, but it can be seen waiting until the next block.
    pub lost_percent: u8,
    /// A transaction is stored, and the answer does not come.
    pub unanswered_percent: u8,
    /// 500; half of the transactions are stored all the same.
    pub failed_percent: u8,
    /// An estimate of a fee is 0, or more than anybody has, or an error.
    pub absurd_fees_percent: u8,
}

impl RpcFaults {
    /// Each with the name of its option.
    pub(super) fn named(self) -> [(&'static str, u8); 5] {
        [
            ("--rpc-swallowed", self.swallowed_percent),
            ("--rpc-lost", self.lost_percent),
            ("--rpc-unanswered", self.unanswered_percent),
            ("--rpc-failed", self.failed_percent),
            ("--rpc-absurd-fees", self.absurd_fees_percent),
        ]
    }
}

/// What happens to one transaction that is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SubmitFault {
    None,
    Swallowed,
    Lost,
    Unanswered,
    FailedBefore,
    FailedAfter,
}

/// What happens to one question for a fee.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FeeFault {
    None,
    Zero,
    Endless,
    Failed,
}

/// The dice, and what was lost lately.
#[derive(Debug)]
pub(super) struct Faults {
    faults: RpcFaults,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    rng: SeededRng,
    /// What was lost, with the tip at which it was sent: at another one it is gone.
    lost: HashMap<TxId, (BlockId, Vec<u8>)>,
}

/// Lost transactions that can still be seen.
const LOST: usize = 1_000;

impl Faults {
    pub(super) fn new(faults: RpcFaults, seed: u64) -> Self {
        Self {
            faults,
            state: Mutex::new(State {
                rng: SeededRng::new(seed ^ 0xfa_17),
                lost: HashMap::new(),
            }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn of_submit(&self) -> SubmitFault {
        let mut state = self.state();
        let mut happens = |percent| percent > 0 && state.rng.percent(percent);
        if happens(self.faults.swallowed_percent) {
            SubmitFault::Swallowed
        } else if happens(self.faults.lost_percent) {
            SubmitFault::Lost
        } else if happens(self.faults.unanswered_percent) {
            SubmitFault::Unanswered
        } else if happens(self.faults.failed_percent) {
            if happens(50) {
                SubmitFault::FailedAfter
            } else {
                SubmitFault::FailedBefore
            }
        } else {
            SubmitFault::None
        }
    }

    pub(super) fn of_fee(&self) -> FeeFault {
        let mut state = self.state();
        if !state.rng.percent(self.faults.absurd_fees_percent) {
            return FeeFault::None;
        }
        [FeeFault::Zero, FeeFault::Endless, FeeFault::Failed][state.rng.index(3)]
    }

    pub(super) fn lose(&self, txid: TxId, tip: BlockId, bytes: Vec<u8>) {
        let mut state = self.state();
        state.lost.retain(|_, (at, _)| *at == tip);
        if state.lost.len() < LOST {
            state.lost.insert(txid, (tip, bytes));
        }
    }

    /// A lost transaction that can still be seen.
    pub(super) fn seen(&self, txid: &TxId, tip: &BlockId) -> Option<Vec<u8>> {
        let state = self.state();
        let (at, bytes) = state.lost.get(txid)?;
        (at == tip).then(|| bytes.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_faults_nothing_happens_and_with_all_each_does() {
        let none = Faults::new(RpcFaults::default(), 1);
        for _ in 0..1_000 {
            assert_eq!(none.of_submit(), SubmitFault::None);
            assert_eq!(none.of_fee(), FeeFault::None);
        }
        let all = Faults::new(
            RpcFaults {
                swallowed_percent: 20,
                lost_percent: 20,
                unanswered_percent: 20,
                failed_percent: 40,
                absurd_fees_percent: 60,
            },
            1,
        );
        let (mut submits, mut fees) = (Vec::new(), Vec::new());
        for _ in 0..1_000 {
            let (submit, fee) = (all.of_submit(), all.of_fee());
            if !submits.contains(&submit) {
                submits.push(submit);
            }
            if !fees.contains(&fee) {
                fees.push(fee);
            }
        }
        assert_eq!((submits.len(), fees.len()), (6, 4));
    }

    #[test]
    fn what_is_lost_is_seen_until_the_next_block() {
        let faults = Faults::new(RpcFaults::default(), 1);
        faults.lose([1; 32], [7; 32], vec![1]);
        assert_eq!(faults.seen(&[1; 32], &[7; 32]), Some(vec![1]));
        assert_eq!(faults.seen(&[1; 32], &[8; 32]), None);
        faults.lose([2; 32], [8; 32], vec![2]);
        assert_eq!(faults.state().lost.len(), 1);
    }
}
