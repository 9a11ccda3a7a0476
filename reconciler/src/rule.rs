//! What a rule is, and what it may say.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Who is wrong when something differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The chain itself does not add up, or the node lies about it.
    Node,
    /// The mirror is not what the chain says: an error of this program.
    Mirror,
    /// The platform's tables are not what the chain says.
    Platform,
}

/// What kind of trouble a rule looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Money that is not where it must be.
    Custody,
    /// The mirror against the node.
    Mirror,
    /// Money that moved on one side only.
    MoneyState,
    /// Rows that point to the wrong thing.
    Link,
    /// Badges.
    Badge,
    /// What people are shown: totals, labels.
    Presentation,
}

impl Class {
    /// The least severity of a break of this class.
    pub fn floor(self) -> Severity {
        match self {
            Self::Custody | Self::Mirror => Severity::Critical,
            Self::MoneyState | Self::Link => Severity::High,
            Self::Badge => Severity::Medium,
            Self::Presentation => Severity::Low,
        }
    }

    /// Is a difference of this class a break at first sight?
    pub fn is_immediate(self) -> bool {
        matches!(self, Self::Custody | Self::Mirror)
    }
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Look at it some day.
    Low,
    /// Look at it this week.
    Medium,
    /// Look at it today.
    High,
    /// Look at it now.
    Critical,
}

/// A rule's card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuleInfo {
    /// Its id, for instance `P2`; never used again for another rule.
    pub id: &'static str,
    /// Rises whenever the same input may get another verdict.
    pub version: u32,
    /// What it looks for.
    pub class: Class,
    /// One sentence: what must hold.
    pub must_hold: &'static str,
    /// The columns of the platform that it reads, as `table.column`. When one is not there, the rule is broken, not the
    /// rows.
    pub reads: &'static [&'static str],
}

/// What is compared: its kind and its key, for instance `project` and `ST….freelance-logic/40`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Subject {
    /// `project`, `asset`, `user`, `badge`, `treasury_tx`; a row that points nowhere: `platform_project`, `platform_user`,
    /// `platform_badge`, `platform_transfer`; what only an audit looks at: `token`, `balance`, `treasury`, `contract`, `block`.
    pub kind: String,
    /// Which one.
    pub key: String,
}

impl Subject {
    /// Of this kind and key.
    pub fn new(kind: &str, key: impl Into<String>) -> Self {
        Self {
            kind: kind.to_owned(),
            key: key.into(),
        }
    }
}

/// An amount and its asset: base units, and `STX` or a token's contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Money {
    /// Base units.
    #[serde(with = "text")]
    pub units: u128,
    /// Of what.
    pub asset: String,
}

mod text {
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(units: &u128, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(units)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<u128, D::Error> {
        let text = String::deserialize(from)?;
        text.parse()
            .map_err(|_| serde::de::Error::custom(format_args!("{text:?} is not an amount")))
    }
}

/// A change of the platform that would end a break. Nothing carries it out by itself unless that is allowed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repair {
    /// What kind of repair it is, for whoever allows it: the column that is set, `insert` or `delete`.
    #[serde(default)]
    pub kind: String,
    /// For a person.
    pub says: String,
    /// The statement, with its values in place.
    pub sql: String,
}

/// Why a difference may pass by itself. Each has a window of its own in [`crate::breaks::Windows`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lag {
    /// It may not.
    None,
    /// The chain moved, and the platform has not heard of it yet.
    PlatformBehind,
    /// The platform knows of a transaction that may still be mined.
    PlatformAhead,
    /// A badge is recorded whose transaction is not final.
    BadgePending,
    /// Money came to the treasury, and it is not known yet what for.
    Unattributed,
}

/// A difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What of the subject differs, for instance `milestone 2 released`; part of the break's identity.
    pub what: String,
    /// Who is wrong.
    pub fault: Fault,
    /// What must be, for a person.
    pub expected: String,
    /// What is.
    pub found: String,
    /// Money at risk, if it can be said.
    pub at_risk: Option<Money>,
    /// The facts, both sides, without floats.
    pub facts: Value,
    /// What would end it.
    pub repair: Option<Repair>,
    /// May it be because a change is under way? Then it gets time.
    pub lag: Lag,
    /// Hash over what the platform says here: a row that changes in between is looked at anew.
    pub platform_hash: [u8; 32],
}

/// Why something could not be compared. Never a reason to call it good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Skip {
    /// The mirror has not come to the block yet.
    HeadBehind,
    /// The block left the chain.
    BlockGone,
    /// The node did not answer.
    NodeError,
    /// The platform's database did not.
    PlatformUnreadable,
    /// Columns that the rule reads are not there, or of another type.
    SchemaDrift,
    /// A contract that this program does not know.
    Unmapped,
    /// The mirror began later than the subject, or lacks blocks of it.
    Incomplete,
    /// No node is configured that could be asked.
    NoNode,
    /// The platform keeps no such rows.
    NotKept,
    /// A value that cannot be read; the break about the value itself is another rule's.
    Unreadable,
    /// The rule itself failed: an error of this program. The others went on.
    RuleFailed,
}

/// What a rule says of one subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "verdict")]
pub enum Verdict {
    /// Both sides agree.
    Matched,
    /// They differ.
    Broken {
        /// In these ways; at least one.
        findings: Vec<Finding>,
    },
    /// They could not be compared.
    Skipped {
        /// Why.
        reason: Skip,
    },
}

impl Verdict {
    /// Broken if there are findings, else matched.
    pub fn of(findings: Vec<Finding>) -> Self {
        if findings.is_empty() {
            Self::Matched
        } else {
            Self::Broken { findings }
        }
    }
}
