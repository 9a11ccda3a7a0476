//! What people do with breaks.

use serde::{Deserialize, Serialize};

use super::{Break, Resolution, State};

/// What a person may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "action")]
pub enum Action {
    /// Looks at it.
    Acknowledge,
    /// Lives with it.
    Accept {
        /// Why.
        note: String,
        /// Until then, Unix seconds.
        until_s: u64,
    },
    /// Says that it is over. The rule opens it again if it is not.
    Resolve {
        /// What was done.
        note: String,
        /// On the chain, or on the platform.
        onchain: bool,
    },
    /// Says that the rule is wrong.
    FalsePositive {
        /// Why.
        note: String,
    },
    /// Takes an acceptance or a resolution back.
    Reopen,
}

/// Why an action is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is over, or was never open.
    #[error("the break is not open: see `stxworx breaks show`")]
    NotOpen,
    /// It is open.
    #[error("the break is open already")]
    NotResolved,
    /// Without a reason nobody can judge it later.
    #[error("a note is needed: say why")]
    NoNote,
    /// An acceptance without an end would be forgotten.
    #[error("the acceptance ends in the past: give a later time")]
    Expired,
}

impl Break {
    /// Carries an action out.
    ///
    /// # Errors
    /// When the break does not stand where that makes sense, or a reason is missing.
    pub fn act(mut self, by: &str, action: &Action, now_s: u64) -> Result<Self, Refused> {
        let noted = |note: &str| match note.trim() {
            "" => Err(Refused::NoNote),
            note => Ok(note.to_owned()),
        };
        let is_live = !matches!(self.state, State::Resolved { .. });
        let by = by.to_owned();
        let how = match action {
            Action::Reopen if is_live => return Err(Refused::NotResolved),
            Action::Reopen => {
                self.state = State::Open;
                self.reopened += 1;
                self.passes = 0;
                return Ok(self);
            }
            _ if !is_live => return Err(Refused::NotOpen),
            Action::Acknowledge if self.state == State::Suspected => return Err(Refused::NotOpen),
            Action::Acknowledge => {
                self.state = State::Acknowledged { by };
                return Ok(self);
            }
            Action::Accept { note, until_s } => {
                let note = noted(note)?;
                if *until_s <= now_s {
                    return Err(Refused::Expired);
                }
                Resolution::Accepted {
                    by,
                    note,
                    until_s: *until_s,
                }
            }
            Action::FalsePositive { note } => Resolution::FalsePositive {
                by,
                note: noted(note)?,
                rule_version: self.rule_version,
            },
            Action::Resolve { note, onchain } => {
                noted(note)?;
                if *onchain {
                    Resolution::FixedOnchain
                } else {
                    Resolution::FixedOffchain
                }
            }
        };
        self.state = State::Resolved { how };
        Ok(self)
    }
}
