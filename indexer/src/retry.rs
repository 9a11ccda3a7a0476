//! Waiting with backoff, in one place.
//!
//! The crate behind it is unmaintained; everything that waits does so through here, so that it can be
//! replaced in one file.

use std::time::Duration;

use backoff::ExponentialBackoff;
use backoff::backoff::Backoff as _;

/// Delays that grow from 50 ms to 5 s with jitter, for ever.
#[derive(Debug)]
pub struct Backoff(ExponentialBackoff);

impl Default for Backoff {
    fn default() -> Self {
        Self::between(Duration::from_millis(50), Duration::from_secs(5))
    }
}

impl Backoff {
    /// Delays that grow from one to another.
    pub fn between(first: Duration, longest: Duration) -> Self {
        Self(ExponentialBackoff {
            initial_interval: first,
            current_interval: first,
            max_interval: longest,
            multiplier: 2.0,
            max_elapsed_time: None,
            ..ExponentialBackoff::default()
        })
    }

    /// The next delay.
    pub fn next_delay(&mut self) -> Duration {
        self.0.next_backoff().unwrap_or(self.0.max_interval)
    }

    /// Begin anew, after a success.
    pub fn reset(&mut self) {
        self.0.reset();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_and_stay_bounded() {
        let mut backoff = Backoff::default();
        assert!(backoff.next_delay() < Duration::from_millis(100));
        for _ in 0..50 {
            assert!(backoff.next_delay() < Duration::from_secs(10));
        }
        backoff.reset();
        assert!(backoff.next_delay() < Duration::from_millis(100));
    }
}
