//! The life of a break: from a first suspicion until it is over, and back when it was not.
//!
//! Pure: an observation and what was known before give what is known after. Rows and people are elsewhere.

mod action;
mod policy;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::anchor::Anchor;
use crate::rule::{Fault, Finding, RuleInfo, Severity, Subject};
pub use action::{Action, Refused};
pub use policy::{Policy, Windows};

/// Where a break stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum State {
    /// Seen, and it may pass by itself. Visible, and no one is called.
    Suspected,
    /// It is one.
    Open,
    /// Somebody looks at it.
    Acknowledged {
        /// Who.
        by: String,
    },
    /// Over.
    Resolved {
        /// How.
        how: Resolution,
    },
}

/// How a break ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "how")]
pub enum Resolution {
    /// The rule looked again and passed, and neither side's own data had changed.
    AutoHealed,
    /// The rule passed after the chain had moved on.
    FixedOnchain,
    /// The rule passed after the platform's row had changed.
    FixedOffchain,
    /// Somebody lives with it, until then or until it changes.
    Accepted {
        /// Who.
        by: String,
        /// Why.
        note: String,
        /// Until this moment of the platform's clock, Unix seconds.
        until_s: u64,
    },
    /// The rule was wrong.
    FalsePositive {
        /// Who says so.
        by: String,
        /// Why.
        note: String,
        /// Of this version of the rule; a later one may open it again.
        rule_version: u32,
    },
}

/// Identity of a break: it stays the same when it is opened again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BreakId(pub [u8; 32]);

impl BreakId {
    /// Of a rule, a subject, what differs and a period. A length before each part keeps them apart.
    pub fn of(rule: &str, subject: &Subject, what: &str, period: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"stxworx/break/1");
        for part in [rule, &subject.kind, &subject.key, what, period] {
            let length = u64::try_from(part.len()).unwrap_or(u64::MAX);
            hash.update(length.to_be_bytes());
            hash.update(part.as_bytes());
        }
        Self(hash.finalize().into())
    }
}

impl std::fmt::Display for BreakId {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&hex::encode(&self.0[..8]))
    }
}

/// A break.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Break {
    /// Identity.
    pub id: BreakId,
    /// The rule, and the version that looked last.
    pub rule: String,
    /// See `rule`.
    pub rule_version: u32,
    /// What it is about.
    pub subject: Subject,
    /// Where it stands.
    #[serde(flatten)]
    pub state: State,
    /// How bad it is. It never falls while the break is open.
    pub severity: Severity,
    /// As it was seen last. Frozen while accepted.
    pub finding: Finding,
    /// First seen, in its present life.
    pub first_seen: Anchor,
    /// Last seen.
    pub last_seen: Anchor,
    /// Opened, in its present life.
    pub opened: Option<Anchor>,
    /// Observations in a row with the same platform row.
    pub sightings: u64,
    /// Observations in which it was there, over all its lives.
    pub occurrences: u64,
    /// Passes in a row since it was last seen.
    pub passes: u32,
    /// How often it came back.
    pub reopened: u32,
    /// What the chain's side hashed to when it was last seen.
    pub chain_hash: [u8; 32],
}

/// What an evaluation says of one possible break.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observation {
    /// It is there.
    Failed(Box<Finding>),
    /// The rule looked at its subject again, and it is not there.
    Passed {
        /// What the platform says now.
        platform_hash: [u8; 32],
    },
    /// The rule could not look, or the subject was not met.
    Unseen,
}

/// What happened to a break.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Seen for the first time.
    Suspected,
    /// A suspicion that was none.
    Dropped,
    /// Now it is one.
    Opened,
    /// It came back.
    Reopened,
    /// It is over.
    Resolved,
    /// Still there, and worse or of another amount.
    Changed,
}

/// What is known after an observation: the break, none when there is none, and what happened, if anything did.
pub type Step = (Option<Break>, Option<Change>);

/// What an observation makes of what was known.
pub struct Observer<'a> {
    /// The rule that looked.
    pub rule: &'a RuleInfo,
    /// Limits.
    pub policy: &'a Policy,
    /// When it looked.
    pub now: Anchor,
}

impl Observer<'_> {
    /// The next step. `subject` and `period` name the break when there is none yet; `chain_hash` is what the chain's
    /// side hashes to now.
    pub fn observe(
        &self,
        known: Option<Break>,
        (subject, period): (&Subject, &str),
        observation: Observation,
        chain_hash: [u8; 32],
    ) -> Step {
        match (known, observation) {
            (known, Observation::Unseen) => (known, None),
            (None, Observation::Passed { .. }) => (None, None),
            (None, Observation::Failed(finding)) => {
                let id = BreakId::of(self.rule.id, subject, &finding.what, period);
                let mut fresh = Break {
                    id,
                    rule: self.rule.id.to_owned(),
                    rule_version: self.rule.version,
                    subject: subject.clone(),
                    state: State::Suspected,
                    severity: self.rule.class.floor(),
                    finding: *finding,
                    first_seen: self.now,
                    last_seen: self.now,
                    opened: None,
                    sightings: 1,
                    occurrences: 1,
                    passes: 0,
                    reopened: 0,
                    chain_hash,
                };
                self.weigh(&mut fresh);
                let opened = self.ripen(&mut fresh);
                let change = if opened {
                    Change::Opened
                } else {
                    Change::Suspected
                };
                (Some(fresh), Some(change))
            }
            (Some(known), Observation::Passed { platform_hash }) => {
                self.pass(known, platform_hash, chain_hash)
            }
            (Some(known), Observation::Failed(finding)) => self.fail(known, *finding, chain_hash),
        }
    }

    fn weigh(&self, it: &mut Break) {
        let class = self.rule.class;
        let at_risk = it.finding.at_risk.as_ref();
        let severity = self
            .policy
            .severity(class, at_risk, &it.first_seen, &self.now);
        it.severity = it.severity.max(severity);
    }

    /// Opens a suspicion when its time has come.
    fn ripen(&self, it: &mut Break) -> bool {
        let is_immediate = self.rule.class.is_immediate();
        let window = self.policy.windows.of(it.finding.lag);
        let waited = window.is_over(&it.first_seen, &self.now);
        if !is_immediate && (it.sightings < self.policy.sightings || !waited) {
            return false;
        }
        it.state = State::Open;
        it.opened = Some(self.now);
        true
    }

    fn fail(&self, mut it: Break, finding: Finding, chain_hash: [u8; 32]) -> Step {
        it.occurrences += 1;
        match it.state.clone() {
            State::Suspected => {
                // A row that changed meanwhile is another difference: its time begins anew.
                if it.finding.platform_hash != finding.platform_hash {
                    it.first_seen = self.now;
                }
                self.see(&mut it, finding, chain_hash);
                let opened = self.ripen(&mut it);
                (Some(it), opened.then_some(Change::Opened))
            }
            State::Open | State::Acknowledged { .. } => {
                let before = (it.severity, it.finding.at_risk.clone());
                self.see(&mut it, finding, chain_hash);
                let changed = before != (it.severity, it.finding.at_risk.clone());
                (Some(it), changed.then_some(Change::Changed))
            }
            State::Resolved { how } => self.fail_after(it, &how, finding, chain_hash),
        }
    }

    fn fail_after(
        &self,
        mut it: Break,
        how: &Resolution,
        finding: Finding,
        chain_hash: [u8; 32],
    ) -> Step {
        let stays = match how {
            Resolution::Accepted { until_s, .. } => {
                self.now.platform_time_s < *until_s && it.finding.at_risk == finding.at_risk
            }
            Resolution::FalsePositive { rule_version, .. } => *rule_version == self.rule.version,
            _ => false,
        };
        if stays {
            it.last_seen = self.now;
            return (Some(it), None);
        }
        it.first_seen = self.now;
        it.opened = Some(self.now);
        it.state = State::Open;
        it.reopened += 1;
        it.severity = self.rule.class.floor();
        self.see(&mut it, finding, chain_hash);
        (Some(it), Some(Change::Reopened))
    }

    fn see(&self, it: &mut Break, finding: Finding, chain_hash: [u8; 32]) {
        let same = it.finding.platform_hash == finding.platform_hash;
        it.sightings = if same { it.sightings + 1 } else { 1 };
        it.finding = finding;
        it.chain_hash = chain_hash;
        it.rule_version = self.rule.version;
        it.last_seen = self.now;
        it.passes = 0;
        self.weigh(it);
    }

    fn pass(&self, mut it: Break, platform_hash: [u8; 32], chain_hash: [u8; 32]) -> Step {
        match it.state {
            State::Suspected => (None, Some(Change::Dropped)),
            State::Resolved { .. } => (Some(it), None),
            State::Open | State::Acknowledged { .. } => {
                it.passes += 1;
                // Only what is final may end it: a fork could bring it back.
                if it.passes < self.policy.passes || !self.now.is_final(it.last_seen.height) {
                    return (Some(it), None);
                }
                let how = if it.finding.platform_hash != platform_hash {
                    Resolution::FixedOffchain
                } else if it.chain_hash != chain_hash {
                    Resolution::FixedOnchain
                } else {
                    Resolution::AutoHealed
                };
                it.state = State::Resolved { how };
                (Some(it), Some(Change::Resolved))
            }
        }
    }
}

impl Break {
    /// Does somebody have to look at it?
    pub fn is_open(&self) -> bool {
        matches!(self.state, State::Open | State::Acknowledged { .. })
    }

    /// Is it open, or would it be if it were seen once more at this moment?
    pub fn would_open(&self, policy: &Policy, now: &Anchor) -> bool {
        let window = policy.windows.of(self.finding.lag);
        let is_ripe = self.sightings.saturating_add(1) >= policy.sightings;
        self.is_open() || (is_ripe && window.is_over(&self.first_seen, now))
    }

    /// Who is wrong.
    pub fn fault(&self) -> Fault {
        self.finding.fault
    }
}

#[cfg(test)]
mod tests;
