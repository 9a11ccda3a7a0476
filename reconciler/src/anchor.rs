//! The moment to which a comparison is pinned, and time limits counted from one.

use serde::{Deserialize, Serialize};
use stxworx_indexer::model::IndexBlockHash;

/// A moment of the chain and of the platform. Everything that a rule sees is of this moment; no rule looks at a clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anchor {
    /// The block on which the chain's side stands.
    pub block: IndexBlockHash,
    /// Its Stacks height.
    pub height: u32,
    /// The newest Bitcoin height known then.
    pub burn_height: u32,
    /// Highest Stacks height that was final then; none while nothing was.
    pub final_height: Option<u32>,
    /// When the platform's side was read, Unix seconds, by the clock of the platform's database.
    pub platform_time_s: u64,
}

impl Anchor {
    /// Was a block of this height final?
    pub fn is_final(&self, height: u32) -> bool {
        self.final_height.is_some_and(|last| height <= last)
    }
}

/// How long a difference may last without being one: on time, never on amounts. Both must have passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Window {
    /// Bitcoin blocks.
    pub burn_blocks: u32,
    /// Seconds.
    pub seconds: u64,
}

impl Window {
    /// No time at all.
    pub const NONE: Self = Self {
        burn_blocks: 0,
        seconds: 0,
    };

    /// Is it over, counted from `since`?
    pub fn is_over(self, since: &Anchor, now: &Anchor) -> bool {
        let blocks = now.burn_height.saturating_sub(since.burn_height);
        let seconds = now.platform_time_s.saturating_sub(since.platform_time_s);
        blocks >= self.burn_blocks && seconds >= self.seconds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(burn_height: u32, platform_time_s: u64) -> Anchor {
        Anchor {
            block: IndexBlockHash::GENESIS,
            height: 7,
            burn_height,
            final_height: Some(5),
            platform_time_s,
        }
    }

    #[test]
    fn a_window_is_over_when_both_its_limits_are() {
        let window = Window {
            burn_blocks: 3,
            seconds: 60,
        };
        let since = at(100, 1_000);
        assert!(!window.is_over(&since, &at(103, 1_059)));
        assert!(!window.is_over(&since, &at(102, 9_999)));
        assert!(window.is_over(&since, &at(103, 1_060)));
        // A clock that went back does not end it.
        assert!(!window.is_over(&since, &at(200, 900)));
        assert!(Window::NONE.is_over(&since, &at(1, 1)));
    }

    #[test]
    fn final_is_what_lies_at_or_below_the_final_height() {
        assert!(at(1, 1).is_final(5));
        assert!(!at(1, 1).is_final(6));
    }
}
