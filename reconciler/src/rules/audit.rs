//! What audits of the mirror against a node came to.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::rule::{Class, Fault, Finding, Lag, RuleInfo, Skip, Subject, Verdict};

/// A comparison of a part of the mirror with a node, at one block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audited {
    /// A projection's name, `balances`, `contract` or `block`.
    pub kind: String,
    /// Which.
    pub subject: String,
    /// The block.
    pub block: String,
    /// Its height.
    pub height: u32,
    /// `agrees`, `differs` or `unavailable`.
    pub verdict: String,
    /// What differs, or why there is no answer.
    pub detail: Option<String>,
    /// Where it differs: is the mirror's row what the stored payloads make it? None where nobody looked.
    pub mirror_holds: Option<bool>,
}

impl Audited {
    /// What it is about.
    pub fn about(&self) -> Subject {
        let kind = match self.kind.as_str() {
            "projects" => "project",
            "assets" => "asset",
            "badges" => "token",
            "balances" => "balance",
            other => other,
        };
        Subject::new(kind, self.subject.clone())
    }

    /// The audit's word for the kind of a subject.
    pub fn kind_of(subject_kind: &str) -> &str {
        match subject_kind {
            "project" => "projects",
            "asset" => "assets",
            "token" => "badges",
            "balance" => "balances",
            other => other,
        }
    }
}

/// The card of E18.
pub static E18: RuleInfo = RuleInfo {
    id: "E18",
    version: 1,
    class: Class::Mirror,
    must_hold: "what the mirror says is what the node says at the same block, field by field",
    reads: &[],
};

/// What E18 says. A mirror whose row is what its payloads make it is right: then the node does not say what it delivered.
pub fn judge_audited(it: &Audited) -> Verdict {
    match it.verdict.as_str() {
        "agrees" => Verdict::Matched,
        "differs" => {
            let detail = it.detail.clone().unwrap_or_default();
            let fault = match it.mirror_holds {
                Some(true) => Fault::Node,
                _ => Fault::Mirror,
            };
            Verdict::of(vec![Finding {
                what: "at the node".to_owned(),
                fault,
                expected: "what the node says".to_owned(),
                found: detail,
                at_risk: None,
                facts: serde_json::to_value(it).unwrap_or(Value::Null),
                repair: None,
                lag: Lag::None,
                platform_hash: [0; 32],
            }])
        }
        _ => Verdict::Skipped {
            reason: Skip::NodeError,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn audited(verdict: &str, mirror_holds: Option<bool>) -> Verdict {
        judge_audited(&Audited {
            kind: "projects".to_owned(),
            subject: "ST1.freelance-logic/4".to_owned(),
            block: "0x00".to_owned(),
            height: 4,
            verdict: verdict.to_owned(),
            detail: Some("paid: the mirror says 1, the contract 2".to_owned()),
            mirror_holds,
        })
    }

    #[test]
    fn who_is_wrong_depends_on_what_the_payloads_say() {
        assert_eq!(audited("agrees", None), Verdict::Matched);
        assert!(matches!(
            audited("unavailable", None),
            Verdict::Skipped { .. }
        ));
        for (holds, fault) in [
            (None, Fault::Mirror),
            (Some(false), Fault::Mirror),
            (Some(true), Fault::Node),
        ] {
            let Verdict::Broken { findings } = audited("differs", holds) else {
                panic!("it differs")
            };
            assert_eq!(findings[0].fault, fault);
        }
    }
}
