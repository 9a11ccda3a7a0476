//! How many questions a server is asked at the same time: one more after each round that went well, half as
//! many when it is overrun.

use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

#[derive(Debug)]
struct State {
    limit: usize,
    in_flight: usize,
    /// Answers since the limit was changed.
    run: usize,
}

/// Bounds questions under way.
#[derive(Debug)]
pub(super) struct Limiter {
    max: usize,
    state: Mutex<State>,
    freed: Notify,
}

/// The right to ask one question.
pub(super) struct Permit<'a>(&'a Limiter);

impl Limiter {
    /// At most `max` at the same time, and one at the beginning.
    pub(super) fn new(max: usize) -> Self {
        Self {
            max: max.max(1),
            state: Mutex::new(State {
                limit: 1,
                in_flight: 0,
                run: 0,
            }),
            freed: Notify::new(),
        }
    }

    pub(super) fn max(&self) -> usize {
        self.max
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn try_acquire(&self) -> Option<Permit<'_>> {
        let mut state = self.state();
        if state.in_flight >= state.limit {
            return None;
        }
        state.in_flight += 1;
        drop(state);
        Some(Permit(self))
    }

    /// Waits for its turn.
    pub(super) async fn acquire(&self) -> Permit<'_> {
        loop {
            let mut freed = pin!(self.freed.notified());
            // Listening before looking: a turn that comes free in between is not missed.
            freed.as_mut().enable();
            if let Some(permit) = self.try_acquire() {
                return permit;
            }
            freed.await;
        }
    }

    /// An answer came.
    pub(super) fn went_well(&self) {
        let mut state = self.state();
        state.run += 1;
        if state.run >= state.limit && state.limit < self.max {
            state.limit += 1;
            state.run = 0;
            self.freed.notify_one();
        }
    }

    /// The server is overrun.
    pub(super) fn overran(&self) {
        let mut state = self.state();
        state.limit = (state.limit / 2).max(1);
        state.run = 0;
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.0.state().in_flight -= 1;
        self.0.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_limit_stays_between_one_and_the_largest(max in 1usize..20, steps in prop::collection::vec(0u8..4, 0..300)) {
            let limiter = Limiter::new(max);
            let mut held = Vec::new();
            for step in steps {
                match step {
                    0 => held.extend(limiter.try_acquire()),
                    1 => drop(held.pop()),
                    2 => limiter.went_well(),
                    _ => limiter.overran(),
                }
                let state = limiter.state();
                prop_assert!((1..=max).contains(&state.limit));
                prop_assert_eq!(state.in_flight, held.len());
                prop_assert!(held.len() <= max);
            }
        }
    }

    #[tokio::test]
    async fn everybody_who_waits_has_a_turn() {
        let limiter = std::sync::Arc::new(Limiter::new(3));
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..200 {
            let limiter = std::sync::Arc::clone(&limiter);
            tasks.spawn(async move {
                let _permit = limiter.acquire().await;
                tokio::task::yield_now().await;
                limiter.went_well();
            });
        }
        let done = tokio::time::timeout(std::time::Duration::from_secs(30), tasks.join_all());
        assert_eq!(done.await.unwrap().len(), 200);
        assert_eq!(limiter.state().limit, 3);
    }
}
