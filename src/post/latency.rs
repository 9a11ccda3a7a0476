//! Percentiles of answer times, in whole microseconds.

use std::time::Duration;

/// Answer times of delivered payloads. Eight bytes each, so millions are no matter.
#[derive(Debug, Default)]
pub(super) struct Latencies {
    micros: Vec<u64>,
}

impl Latencies {
    pub(super) fn add(&mut self, time: Duration) {
        self.micros
            .push(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }

    pub(super) fn sort(&mut self) {
        self.micros.sort_unstable();
    }

    /// The smallest time that at least `percent` of all do not exceed, in microseconds; 0 without any.
    /// The times must be sorted.
    pub(super) fn percentile(&self, percent: usize) -> u64 {
        let rank = self
            .micros
            .len()
            .saturating_mul(percent)
            .div_ceil(100)
            .max(1);
        self.micros.get(rank - 1).copied().unwrap_or(0)
    }

    pub(super) fn max(&self) -> u64 {
        self.micros.iter().copied().max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_rank() {
        let mut latencies = Latencies::default();
        assert_eq!((latencies.percentile(50), latencies.max()), (0, 0));
        for micros in (1..=200).rev() {
            latencies.add(Duration::from_micros(micros));
        }
        latencies.sort();
        assert_eq!(latencies.percentile(50), 100);
        assert_eq!(latencies.percentile(99), 198);
        assert_eq!(latencies.percentile(100), 200);
        assert_eq!(latencies.percentile(0), 1);
        assert_eq!(latencies.max(), 200);
    }
}
