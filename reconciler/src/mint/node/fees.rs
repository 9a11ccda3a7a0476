//! What to pay: the node's estimate, within bounds, and what was good last when the estimate is not.

use crate::mint::types::Fee;

/// Micro-STX per byte that a node wants at least (stacks-core `MINIMUM_TX_FEE_RATE_PER_BYTE`).
const PER_BYTE: u64 = 1;
/// An estimate of more than so many times the cap is no storm but a broken estimator.
const ABSURD: u64 = 10;

/// The bounds of a fee.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeePolicy {
    /// Never less, micro-STX.
    pub floor: Fee,
    /// Never more, micro-STX.
    pub cap: Fee,
}

/// Where a fee comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FeeSource {
    /// The estimate as it is.
    Estimate,
    /// The estimate was below the floor, or below what a node takes for so many bytes.
    Floor,
    /// The estimate was above the cap.
    Cap,
    /// There was no estimate, or none that can be meant: the last one that could.
    LastGood,
    /// There never was one: the floor.
    NoEstimate,
}

impl FeeSource {
    /// Its name in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Estimate => "estimate",
            Self::Floor => "floor",
            Self::Cap => "cap",
            Self::LastGood => "last_good",
            Self::NoEstimate => "no_estimate",
        }
    }
}

/// A fee, and where it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quote {
    /// Micro-STX for the whole transaction.
    pub fee: Fee,
    /// Where from.
    pub source: FeeSource,
}

impl FeePolicy {
    /// The fee of a transaction of so many bytes. `last_good` is the estimate that was usable last, and is replaced by
    /// this one if it is.
    pub fn quote(self, estimate: Option<Fee>, length: u64, last_good: &mut Option<Fee>) -> Quote {
        let usable = estimate.filter(|fee| *fee > 0 && *fee <= self.cap.saturating_mul(ABSURD));
        if usable.is_some() {
            *last_good = usable;
        }
        let (wanted, fallback) = match (usable, *last_good) {
            (Some(fee), _) => (fee, None),
            (None, Some(fee)) => (fee, Some(FeeSource::LastGood)),
            (None, None) => (self.floor, Some(FeeSource::NoEstimate)),
        };
        let floor = self.floor.max(length.saturating_mul(PER_BYTE));
        // The cap holds in any case; one below the floor is the operator's word for "do not".
        let fee = wanted.max(floor).min(self.cap);
        let source = fallback.unwrap_or(if wanted > self.cap {
            FeeSource::Cap
        } else if wanted < floor {
            FeeSource::Floor
        } else {
            FeeSource::Estimate
        });
        Quote { fee, source }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const POLICY: FeePolicy = FeePolicy {
        floor: 300,
        cap: 10_000,
    };

    fn quote(estimate: Option<Fee>, last: Option<Fee>) -> (Fee, FeeSource, Option<Fee>) {
        let mut last = last;
        let quote = POLICY.quote(estimate, 200, &mut last);
        (quote.fee, quote.source, last)
    }

    #[test]
    fn an_estimate_is_held_between_its_bounds() {
        use FeeSource::{Cap, Estimate, Floor, LastGood, NoEstimate};
        assert_eq!(quote(Some(900), None), (900, Estimate, Some(900)));
        assert_eq!(quote(Some(100), Some(900)), (300, Floor, Some(100)));
        // A storm: ten thousand, and then nothing more.
        assert_eq!(quote(Some(50_000), None), (10_000, Cap, Some(50_000)));
        // A broken estimator, or none.
        for absurd in [Some(0), Some(u64::MAX), Some(100_001), None] {
            assert_eq!(quote(absurd, Some(700)), (700, LastGood, Some(700)));
            assert_eq!(quote(absurd, None), (300, NoEstimate, None));
        }
    }

    #[test]
    fn a_node_wants_one_a_byte() {
        let mut last = None;
        let quote = POLICY.quote(Some(10), 420, &mut last);
        assert_eq!((quote.fee, quote.source), (420, FeeSource::Floor));
    }

    proptest! {
        #[test]
        fn no_fee_is_above_the_cap(estimate in any::<Option<u64>>(), last in any::<Option<u64>>(), length in any::<u64>(), floor in any::<u64>(), cap in any::<u64>()) {
            let mut last = last;
            let quote = FeePolicy { floor, cap }.quote(estimate, length, &mut last);
            prop_assert!(quote.fee <= cap);
            prop_assert!(quote.fee >= floor.min(cap));
        }
    }
}
