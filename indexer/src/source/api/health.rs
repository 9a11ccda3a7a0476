//! What is thought of a server, and when it may be asked again.

use std::time::{Duration, Instant};

use crate::retry::Backoff;
use crate::source::http::FetchError;

/// What is thought of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// It answers, and what it says fits.
    Good,
    /// It failed lately, is busy, or lags behind the others.
    Suspect,
    /// It does not answer, or what it says cannot be.
    Bad,
}

impl Standing {
    /// Every standing.
    pub const ALL: [Self; 3] = [Self::Good, Self::Suspect, Self::Bad];

    /// Name in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Suspect => "suspect",
            Self::Bad => "bad",
        }
    }
}

/// Failures in a row after which a server is bad.
const PATIENCE: u32 = 3;
/// Pause where only its operator can help.
const LONG_PAUSE: Duration = Duration::from_secs(300);

/// The health of one server.
#[derive(Debug, Default)]
pub(super) struct Health {
    failures: u32,
    /// What it says contradicts itself or cannot be read; only a delivery that fits clears that.
    lied: bool,
    lagging: bool,
    paused_until: Option<Instant>,
    backoff: Backoff,
    /// The cause that was logged last, so that it is logged once.
    told: Option<&'static str>,
}

impl Health {
    pub(super) fn standing(&self) -> Standing {
        if self.lied || self.failures >= PATIENCE {
            Standing::Bad
        } else if self.lagging || self.failures > 0 {
            Standing::Suspect
        } else {
            Standing::Good
        }
    }

    pub(super) fn is_lagging(&self) -> bool {
        self.lagging
    }

    /// How long it is to be left alone from now on.
    pub(super) fn pause(&self, now: Instant) -> Option<Duration> {
        let left = self.paused_until?.checked_duration_since(now)?;
        (!left.is_zero()).then_some(left)
    }

    /// It said where its chain ends.
    pub(super) fn answered(&mut self) {
        if !self.lied {
            self.delivered();
        }
    }

    /// It gave what was asked for, and it fitted. Returns whether it had been in disgrace.
    pub(super) fn delivered(&mut self) -> bool {
        let before = self.told.take().is_some();
        self.failures = 0;
        self.lied = false;
        self.paused_until = None;
        self.backoff.reset();
        before
    }

    /// It failed. Returns the cause if it was not told of yet.
    pub(super) fn failed(&mut self, error: &FetchError, now: Instant) -> Option<&'static str> {
        // What was under way when it failed fails as well, and says nothing new.
        if self.pause(now).is_none() || error.retry_after().is_some() {
            let pause = match error {
                FetchError::NotOffered { .. } | FetchError::Denied { .. } => LONG_PAUSE,
                FetchError::Busy { retry_after, .. } => {
                    retry_after.unwrap_or_else(|| self.backoff.next_delay())
                }
                _ => self.backoff.next_delay(),
            };
            let until = now + pause;
            self.paused_until = Some(self.paused_until.map_or(until, |old| old.max(until)));
            self.failures = match error {
                FetchError::Busy { .. } => self.failures.max(1),
                FetchError::NotOffered { .. } | FetchError::Denied { .. } => PATIENCE,
                _ => self.failures.saturating_add(1),
            };
        }
        let lie = matches!(
            error,
            FetchError::Unusable { .. } | FetchError::TooLarge { .. }
        );
        self.lied |= lie;
        let cause = error.kind();
        (self.told.replace(cause) != Some(cause)).then_some(cause)
    }

    /// Whether it is far behind the best of the others. Returns whether that is new.
    pub(super) fn lags(&mut self, lagging: bool) -> bool {
        let new = lagging && !self.lagging;
        self.lagging = lagging;
        new
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn unreachable() -> FetchError {
        FetchError::Status {
            what: "x".into(),
            status: 500,
            excerpt: String::new(),
        }
    }

    fn error(kind: u8) -> FetchError {
        let what = || "x".to_owned();
        match kind {
            0 => unreachable(),
            1 => FetchError::unusable("x", "lie"),
            2 => FetchError::Busy {
                what: what(),
                status: 429,
                retry_after: Some(Duration::from_secs(7)),
            },
            3 => FetchError::Busy {
                what: what(),
                status: 503,
                retry_after: None,
            },
            4 => FetchError::NotOffered {
                what: what(),
                status: 410,
            },
            _ => FetchError::TooLarge {
                what: what(),
                limit: 1,
            },
        }
    }

    #[test]
    fn one_failure_is_suspect_and_three_are_bad() {
        let mut health = Health::default();
        let mut now = Instant::now();
        for expected in [Standing::Suspect, Standing::Suspect, Standing::Bad] {
            health.failed(&unreachable(), now);
            assert_eq!(health.standing(), expected);
            // A second failure of the same moment is the same failure.
            health.failed(&unreachable(), now);
            assert_eq!(health.standing(), expected);
            now += Duration::from_secs(20);
        }
        health.answered();
        assert_eq!(health.standing(), Standing::Good);
    }

    #[test]
    fn a_lie_is_forgiven_only_for_a_delivery() {
        let mut health = Health::default();
        let now = Instant::now();
        assert_eq!(health.failed(&error(1), now), Some("unusable"));
        assert_eq!(health.failed(&error(1), now), None, "told once");
        health.answered();
        assert_eq!(health.standing(), Standing::Bad);
        assert!(health.delivered());
        assert_eq!(health.standing(), Standing::Good);
    }

    #[test]
    fn a_busy_server_gets_the_pause_that_it_asked_for() {
        let mut health = Health::default();
        let now = Instant::now();
        health.failed(&error(2), now);
        assert_eq!(health.pause(now), Some(Duration::from_secs(7)));
        assert_eq!(health.pause(now + Duration::from_secs(7)), None);
        assert_eq!(health.standing(), Standing::Suspect);
    }

    proptest! {
        /// Whatever happens, a failure is followed by a pause, no pause is longer than the longest, and a
        /// delivery clears everything.
        #[test]
        fn every_failure_pauses_and_every_delivery_clears(steps in prop::collection::vec((0u8..6, 0u64..400), 1..60)) {
            let mut health = Health::default();
            let mut now = Instant::now();
            for (kind, wait) in steps {
                health.failed(&error(kind), now);
                let pause = health.pause(now);
                prop_assert!(pause.is_some());
                prop_assert!(pause <= Some(LONG_PAUSE));
                prop_assert!(health.standing() != Standing::Good);
                now += Duration::from_secs(wait);
            }
            health.delivered();
            prop_assert_eq!(health.pause(now), None);
            prop_assert_eq!(health.standing(), Standing::Good);
        }
    }
}
