//! How many requests an address or a key may send: a bucket of tokens for each, in bounded memory.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A rate, and how much may come at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Requests per second in the long run; 0 for no limit.
    pub per_second: u32,
    /// Requests at once, after a pause.
    pub burst: u32,
}

impl Rate {
    /// No limit.
    pub const NONE: Self = Self {
        per_second: 0,
        burst: 0,
    };
}

/// What a bucket says to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// May it pass?
    pub allowed: bool,
    /// How many may come at once.
    pub limit: u32,
    /// How many more may come now.
    pub remaining: u32,
    /// Until all of `limit` may come again.
    pub reset: Duration,
    /// Until the next one may come; zero when one may come now.
    pub retry_after: Duration,
}

/// Buckets that are remembered. One that is full again is the same as none, and is forgotten first.
const REMEMBERED: usize = 50_000;
/// How often the whole table may be looked through for buckets to forget.
const SWEEP_EVERY: Duration = Duration::from_millis(500);

struct Table<K> {
    /// When each bucket will be full again, in ns since the beginning. More needs no clock of its own (GCRA).
    full_at: HashMap<K, u64>,
    /// Shared by all newcomers while the table is full of buckets in use.
    crowd: u64,
    swept: Option<Instant>,
}

/// Buckets by key.
pub(super) struct Buckets<K> {
    rate: Rate,
    began: Instant,
    table: Mutex<Table<K>>,
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl<K: Eq + Hash> Buckets<K> {
    pub(super) fn new(rate: Rate) -> Self {
        Self {
            rate,
            began: Instant::now(),
            table: Mutex::new(Table {
                full_at: HashMap::new(),
                crowd: 0,
                swept: None,
            }),
        }
    }

    /// Takes a token out of a bucket; none when there is no limit.
    pub(super) fn take(&self, key: K) -> Option<Verdict> {
        self.take_at(key, nanos(self.began.elapsed()))
    }

    fn take_at(&self, key: K, now: u64) -> Option<Verdict> {
        let per_token = 1_000_000_000u64.checked_div(u64::from(self.rate.per_second))?;
        let burst = self.rate.burst.max(1);
        let depth = per_token.saturating_mul(u64::from(burst));
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let full_at = table.slot(key, now);
        let from = (*full_at).max(now);
        let after = from.saturating_add(per_token);
        let allowed = after.saturating_sub(now) <= depth;
        if allowed {
            *full_at = after;
        }
        let full = (*full_at).max(now);
        let used = full.saturating_sub(now).div_ceil(per_token.max(1));
        let wait = after.saturating_sub(now).saturating_sub(depth);
        Some(Verdict {
            allowed,
            limit: burst,
            remaining: burst.saturating_sub(u32::try_from(used).unwrap_or(u32::MAX)),
            reset: Duration::from_nanos(full.saturating_sub(now)),
            retry_after: Duration::from_nanos(wait),
        })
    }
}

impl<K: Eq + Hash> Table<K> {
    fn slot(&mut self, key: K, now: u64) -> &mut u64 {
        if self.full_at.len() >= REMEMBERED && !self.full_at.contains_key(&key) {
            let rested = self.swept.is_none_or(|at| at.elapsed() >= SWEEP_EVERY);
            if rested {
                self.full_at.retain(|_, full_at| *full_at > now);
                self.swept = Some(Instant::now());
            }
            if self.full_at.len() >= REMEMBERED {
                return &mut self.crowd;
            }
        }
        self.full_at.entry(key).or_insert(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: u64 = 1_000_000_000;

    fn buckets(per_second: u32, burst: u32) -> Buckets<u32> {
        Buckets::new(Rate { per_second, burst })
    }

    #[test]
    fn a_burst_passes_then_the_rate() {
        let buckets = buckets(10, 5);
        for left in (0..5).rev() {
            let verdict = buckets.take_at(1, 0).unwrap();
            assert_eq!((verdict.allowed, verdict.remaining), (true, left));
        }
        let verdict = buckets.take_at(1, 0).unwrap();
        assert!(!verdict.allowed);
        assert_eq!(verdict.retry_after, Duration::from_millis(100));
        assert_eq!(verdict.reset, Duration::from_millis(500));
        assert!(buckets.take_at(2, 0).unwrap().allowed, "another bucket");
        assert!(!buckets.take_at(1, SECOND / 10 - 1).unwrap().allowed);
        assert!(buckets.take_at(1, SECOND / 10).unwrap().allowed);
        assert_eq!(buckets.take_at(1, 10 * SECOND).unwrap().remaining, 4);
    }

    #[test]
    fn no_rate_is_no_limit() {
        assert_eq!(buckets(0, 0).take_at(1, 0), None);
    }

    #[test]
    fn the_table_is_bounded_and_a_crowd_shares_one_bucket() {
        let buckets = buckets(1, 3);
        for key in 0..100_000u32 {
            buckets.take_at(key, 0);
        }
        let len = |b: &Buckets<u32>| b.table.lock().unwrap().full_at.len();
        assert_eq!(len(&buckets), REMEMBERED);
        assert!(
            !buckets.take_at(200_000, 0).unwrap().allowed,
            "the crowd's bucket is empty"
        );
        assert!(
            buckets.take_at(1, 0).unwrap().allowed,
            "a known one has its own"
        );
        buckets.table.lock().unwrap().swept = None;
        assert!(buckets.take_at(200_001, 10 * SECOND).unwrap().allowed);
        assert_eq!(len(&buckets), 1, "full buckets were forgotten");
    }

    proptest! {
        #[test]
        fn no_more_passes_than_burst_and_rate(
            per_second in 1u32..1000, burst in 1u32..50, steps in prop::collection::vec(0u64..50_000_000, 1..300)
        ) {
            let buckets = buckets(per_second, burst);
            let (mut now, mut passed) = (0u64, 0u64);
            for step in steps {
                now += step;
                let verdict = buckets.take_at(0, now).unwrap();
                passed += u64::from(verdict.allowed);
                prop_assert!(verdict.remaining < burst.max(1) + 1);
                prop_assert_eq!(verdict.allowed, verdict.retry_after.is_zero());
            }
            let per_token = SECOND / u64::from(per_second);
            prop_assert!(passed <= u64::from(burst) + now / per_token);
        }
    }
}
