//! How pairs of a rule and a subject are counted, and money.

use std::collections::BTreeMap;

use super::judge::Judged;
use crate::rule::{Skip, Verdict};

/// How a pair of a rule and a subject is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Equal.
    Matched,
    /// Different, and given time, or accepted.
    Tolerated,
    /// Different.
    Broken,
    /// Not comparable.
    Skipped(Skip),
}

/// Counts; the four parts are the whole, by how they are added.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Equal.
    pub matched: u64,
    /// Different, and given time.
    pub tolerated: u64,
    /// Different.
    pub broken: u64,
    /// Not comparable, by reason.
    pub skips: BTreeMap<Skip, u64>,
    /// By asset: base units locked in what was looked at, and those that every rule could compare.
    pub coverage: BTreeMap<String, (u128, u128)>,
    /// A project was met of which only a part is known.
    pub is_partial: bool,
}

impl Tally {
    /// Counts one pair.
    pub fn count(&mut self, standing: Standing) {
        match standing {
            Standing::Matched => self.matched += 1,
            Standing::Tolerated => self.tolerated += 1,
            Standing::Broken => self.broken += 1,
            Standing::Skipped(reason) => *self.skips.entry(reason).or_default() += 1,
        }
    }

    /// Of the pairs, those that could not be compared.
    pub fn skipped(&self) -> u64 {
        self.skips.values().sum()
    }

    /// All pairs.
    pub fn considered(&self) -> u64 {
        self.matched + self.tolerated + self.broken + self.skipped()
    }

    /// What all projects lock of an asset; none where that is not known.
    pub fn locked(&self, asset: &str) -> Option<u128> {
        if self.is_partial {
            return None;
        }
        let sum = self.coverage.get(asset).map_or(0, |sums| sums.0);
        (sum < u128::MAX).then_some(sum)
    }

    /// Counts the money of a case.
    pub fn cover(&mut self, judged: &Judged) {
        let Some((asset, left, is_whole)) = &judged.money else {
            return;
        };
        let left = *left;
        self.is_partial |= !is_whole;
        let compared = judged
            .verdicts
            .iter()
            .all(|(_, verdict)| !matches!(verdict, Verdict::Skipped { .. }));
        let sums = self.coverage.entry(asset.clone()).or_default();
        sums.0 = sums.0.saturating_add(left);
        if compared {
            sums.1 = sums.1.saturating_add(left);
        }
    }
}

/// How a verdict is counted where there is no history.
pub(super) fn judged_only(verdict: &Verdict) -> Standing {
    match verdict {
        Verdict::Matched => Standing::Matched,
        Verdict::Broken { .. } => Standing::Broken,
        Verdict::Skipped { reason } => Standing::Skipped(*reason),
    }
}
