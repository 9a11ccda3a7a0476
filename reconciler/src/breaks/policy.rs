//! How much time a difference gets, and how bad it is.

use serde::{Deserialize, Serialize};

use crate::anchor::{Anchor, Window};
use crate::rule::{Class, Lag, Money, Severity};

/// How long a difference may last for each [`Lag`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Windows {
    /// See [`Lag::PlatformBehind`].
    pub platform_behind: Window,
    /// See [`Lag::PlatformAhead`].
    pub platform_ahead: Window,
    /// See [`Lag::BadgePending`].
    pub badge_pending: Window,
    /// See [`Lag::Unattributed`].
    pub unattributed: Window,
}

impl Default for Windows {
    /// With six Bitcoin blocks for finality. A node drops a transaction from its mempool after 256 Bitcoin blocks
    /// (`MEMPOOL_MAX_TRANSACTION_AGE`, stacks-core `stackslib/src/core/mempool.rs`): until then it may be mined.
    fn default() -> Self {
        let window = |burn_blocks, minutes: u64| Window {
            burn_blocks,
            seconds: minutes * 60,
        };
        Self {
            platform_behind: window(6, 10),
            platform_ahead: window(262, 0),
            badge_pending: window(6, 30),
            unattributed: window(0, 72 * 60),
        }
    }
}

impl Windows {
    /// The one of a lag.
    pub fn of(&self, lag: Lag) -> Window {
        match lag {
            Lag::None => Window::NONE,
            Lag::PlatformBehind => self.platform_behind,
            Lag::PlatformAhead => self.platform_ahead,
            Lag::BadgePending => self.badge_pending,
            Lag::Unattributed => self.unattributed,
        }
    }
}

/// Limits of the machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Time for what may pass by itself.
    pub windows: Windows,
    /// Evaluations with the same platform row before a difference that may not be immediate is opened.
    pub sightings: u64,
    /// Passes in a row that end a break.
    pub passes: u32,
    /// Age in Bitcoin blocks at which a break rises by one step, and again at twice that.
    pub age_step_burn_blocks: u32,
    /// Amounts of assets from which a break is at least high, and at least critical. Base units.
    pub amounts: std::collections::BTreeMap<String, (u128, u128)>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            windows: Windows::default(),
            sightings: 2,
            passes: 2,
            age_step_burn_blocks: 432,
            amounts: std::collections::BTreeMap::from([(
                "STX".to_owned(),
                (1_000_000_000, 100_000_000_000),
            )]),
        }
    }
}

impl Policy {
    /// The floor of the class, raised by the amount or by age, whichever raises it more.
    pub fn severity(
        &self,
        class: Class,
        at_risk: Option<&Money>,
        since: &Anchor,
        now: &Anchor,
    ) -> Severity {
        let floor = class.floor();
        let by_amount = at_risk.and_then(|money| {
            let (high, critical) = self.amounts.get(&money.asset)?;
            match money.units {
                units if units >= *critical => Some(Severity::Critical),
                units if units >= *high => Some(Severity::High),
                _ => None,
            }
        });
        let age = now.burn_height.saturating_sub(since.burn_height);
        let steps = age.checked_div(self.age_step_burn_blocks).unwrap_or(0);
        let by_age = (0..steps.min(3)).fold(floor, |severity, _| raised(severity));
        floor.max(by_age).max(by_amount.unwrap_or(floor))
    }
}

fn raised(severity: Severity) -> Severity {
    match severity {
        Severity::Low => Severity::Medium,
        Severity::Medium => Severity::High,
        Severity::High | Severity::Critical => Severity::Critical,
    }
}
