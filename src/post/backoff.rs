//! The waiting times of a stacks-node whose observer does not answer.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(100);
/// Jitter added to each doubled wait is below this many milliseconds.
pub(super) const JITTER_MS: u64 = 100;
const CAP_IN_TIMEOUTS: u32 = 3;

/// The wait before the next attempt: 100 ms after the first failure (`previous` is nothing), then twice the
/// previous wait plus jitter, never more than three timeouts.
///
/// `jitter` is the caller's random part, from 0 to 100 ms. The rule is the node's own: with a timeout of 5 s
/// the waits are about 0.1, 0.25, 0.55, 1.15, 2.35, 4.75, 9.55 and then 15 s.
pub fn node_backoff(previous: Option<Duration>, jitter: Duration, timeout: Duration) -> Duration {
    let cap = timeout.saturating_mul(CAP_IN_TIMEOUTS);
    match previous {
        None => FIRST.min(cap),
        Some(previous) => previous.saturating_mul(2).saturating_add(jitter).min(cap),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(jitter_ms: u64, timeout_ms: u64) -> Vec<u128> {
        let jitter = Duration::from_millis(jitter_ms);
        let timeout = Duration::from_millis(timeout_ms);
        let mut previous = None;
        let next = || {
            previous = Some(node_backoff(previous, jitter, timeout));
            previous.map(|wait| wait.as_millis())
        };
        std::iter::from_fn(next).take(9).collect()
    }

    #[test]
    fn doubles_up_to_three_timeouts() {
        assert_eq!(
            waits(0, 5_000),
            [100, 200, 400, 800, 1600, 3200, 6400, 12800, 15000]
        );
        assert_eq!(
            waits(50, 5_000),
            [100, 250, 550, 1150, 2350, 4750, 9550, 15000, 15000]
        );
        assert_eq!(waits(0, 10), [30; 9]);
    }

    #[test]
    fn never_overflows() {
        assert_eq!(
            node_backoff(Some(Duration::MAX), Duration::MAX, Duration::MAX),
            Duration::MAX
        );
    }
}
