//! Judging cases: pure. What is counted, what is hashed, and the difference that a run puts in itself to see whether it
//! would be found.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use stxworx_indexer::store::read::market::ProjectState;

use crate::anchor::Anchor;
use crate::evidence;
use crate::platform::{Cell, PlatformProject};
use crate::rule::{Skip, Subject, Verdict};
use crate::rules::{AssetNames, ProjectCase, ProjectRule, project_rules};

/// Rules that do not need to know what the chain says of a project, only whether it is there. The others cannot look at
/// one that was opened before the mirror began: its state is a part of the story.
const OF_ROWS: [&str; 3] = ["P1", "P8", "P9"];

/// The chain's side of a case.
#[derive(Debug, Clone, PartialEq)]
pub struct Chain {
    /// `CONTRACT/NUMBER`.
    pub entity: String,
    /// As of the run's block.
    pub state: ProjectState,
    /// SHA-256 of its text.
    pub hash: [u8; 32],
}

/// A project as both sides know it, or a row that points nowhere.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Case {
    /// The chain's side.
    pub chain: Option<Chain>,
    /// The platform's.
    pub rows: Vec<PlatformProject>,
    /// There are more rows than were taken.
    pub cut: bool,
}

impl Case {
    /// What it is about. A row that points nowhere is a subject of its own.
    pub fn subject(&self) -> Subject {
        match (&self.chain, self.rows.first()) {
            (Some(chain), _) => Subject::new("project", chain.entity.clone()),
            (None, Some(row)) => row_subject(row),
            (None, None) => Subject::new("platform_project", ""),
        }
    }

    /// What the chain's side hashes to.
    pub fn chain_hash(&self) -> [u8; 32] {
        self.chain.as_ref().map_or([0; 32], |chain| chain.hash)
    }
}

/// A row by itself.
pub fn row_subject(row: &PlatformProject) -> Subject {
    Subject::new("platform_project", row.key.clone())
}

/// A case with what each rule says of it.
pub struct Judged {
    /// The case.
    pub case: Case,
    /// What it is about.
    pub subject: Subject,
    /// By rule.
    pub verdicts: Vec<(&'static dyn ProjectRule, Verdict)>,
}

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

    /// Counts the money of a case.
    pub fn cover(&mut self, judged: &Judged) {
        let Some(chain) = &judged.case.chain else {
            return;
        };
        let state = &chain.state;
        let left = [state.paid, state.fees, state.refunded]
            .iter()
            .try_fold(state.total.0, |left, part| left.checked_sub(part.0))
            .unwrap_or(0);
        let compared = judged
            .verdicts
            .iter()
            .all(|(_, verdict)| !matches!(verdict, Verdict::Skipped { .. }));
        let sums = self.coverage.entry(state.asset.clone()).or_default();
        sums.0 = sums.0.saturating_add(left);
        if compared {
            sums.1 = sums.1.saturating_add(left);
        }
    }
}

/// The one who judges: all that verdicts depend on besides the case.
pub struct Judge {
    /// The moment.
    pub anchor: Anchor,
    /// Names of assets.
    pub assets: AssetNames,
    /// Rules that cannot read the platform.
    pub drifted: BTreeSet<String>,
    rules: Vec<&'static dyn ProjectRule>,
    digest: Sha256,
}

impl Judge {
    /// With all rules.
    pub fn new(anchor: Anchor, assets: AssetNames, drifted: BTreeSet<String>) -> Self {
        let mut digest = Sha256::new();
        digest.update(b"stxworx/verdicts/1");
        Self {
            anchor,
            assets,
            drifted,
            rules: project_rules(),
            digest,
        }
    }

    /// Number of rules that look at the platform.
    pub fn platform_rules(&self) -> u64 {
        let count = self.rules.iter().filter(|r| !r.info().reads.is_empty());
        u64::try_from(count.count()).unwrap_or(u64::MAX)
    }

    fn verdicts(&self, case: &Case) -> Vec<(&'static dyn ProjectRule, Verdict)> {
        let given = ProjectCase {
            anchor: &self.anchor,
            chain: case.chain.as_ref().map(|chain| &chain.state),
            platform: &case.rows,
            assets: &self.assets,
        };
        let is_partial = case.chain.as_ref().is_some_and(|chain| chain.state.partial);
        self.rules
            .iter()
            .map(|rule| {
                let skipped = |reason| Verdict::Skipped { reason };
                let id = rule.info().id;
                let verdict = if self.drifted.contains(id) {
                    skipped(Skip::SchemaDrift)
                } else if is_partial && !OF_ROWS.contains(&id) {
                    skipped(Skip::Incomplete)
                } else {
                    rule.judge(&given)
                };
                (*rule, verdict)
            })
            .collect()
    }

    /// Judges a case, and adds the verdicts to the digest.
    pub fn judge(&mut self, case: Case) -> Judged {
        let verdicts = self.verdicts(&case);
        let subject = case.subject();
        for (rule, verdict) in &verdicts {
            let info = rule.info();
            let said = match verdict {
                Verdict::Matched => "matched".to_owned(),
                other => canonical(&serde_json::to_value(other).unwrap_or(Value::Null)),
            };
            let version = info.version.to_string();
            for part in [
                &subject.kind,
                &subject.key,
                info.id,
                version.as_str(),
                &said,
            ] {
                let length = u64::try_from(part.len()).unwrap_or(u64::MAX);
                self.digest.update(length.to_be_bytes());
                self.digest.update(part.as_bytes());
            }
        }
        Judged {
            case,
            subject,
            verdicts,
        }
    }

    /// SHA-256 over all verdicts so far.
    pub fn digest(&self) -> [u8; 32] {
        self.digest.clone().finalize().into()
    }

    /// Would a wrong unit be found? In a copy of a case in which the rule found no difference, one unit more is put into
    /// the platform's total, and into the chain's. None where no such rule looked.
    pub fn finds_a_wrong_unit(&self, judged: &Judged) -> Option<bool> {
        let matched = |id: &str| {
            let mut all = judged.verdicts.iter();
            all.any(|(rule, verdict)| rule.info().id == id && *verdict == Verdict::Matched)
        };
        let chain = judged.case.chain.as_ref()?;
        let mut found = Vec::new();
        if let [row] = judged.case.rows.as_slice()
            && let Cell::Is(total) = row.total
            && matched("P2")
        {
            let mut wrong = judged.case.clone();
            wrong.rows[0].total = Cell::Is(total.wrapping_add(1));
            found.push(self.is_found(&wrong, "P2"));
        }
        if matched("E1") {
            let (mut wrong, mut chain) = (judged.case.clone(), chain.clone());
            chain.state.total.0 = chain.state.total.0.wrapping_add(1);
            wrong.chain = Some(chain);
            found.push(self.is_found(&wrong, "E1"));
        }
        (!found.is_empty()).then(|| found.iter().all(|found| *found))
    }

    fn is_found(&self, case: &Case, by: &str) -> bool {
        self.verdicts(case).iter().any(|(rule, verdict)| {
            rule.info().id == by
                && matches!(verdict, Verdict::Broken { findings } if !findings.is_empty())
        })
    }
}

/// The rules and their versions, as a run keeps them.
pub fn rule_versions() -> Value {
    project_rules()
        .iter()
        .map(|rule| json!([rule.info().id, rule.info().version]))
        .collect()
}

/// The canonical text; where a rule put a fraction into its facts, the text as serde writes it, which is the same for
/// the same program.
fn canonical(value: &Value) -> String {
    evidence::canonical(value).unwrap_or_else(|_| value.to_string())
}

#[cfg(test)]
mod tests {
    use stxworx_indexer::model::IndexBlockHash;
    use stxworx_indexer::project::market::projects::Milestone;
    use stxworx_indexer::store::read::market::{ProjectStatus, Units};

    use super::*;
    use crate::platform::Row;

    const CLIENT: &str = "ST1PQHQKV0RJXZFY1DGX8MNSNYVE3VGZJSRTPGZGM";

    fn judge(drifted: &[&str]) -> Judge {
        let anchor = Anchor {
            block: IndexBlockHash([1; 32]),
            height: 9,
            burn_height: 9,
            final_height: None,
            platform_time_s: 9,
        };
        let drifted = drifted.iter().map(|id| (*id).to_owned()).collect();
        Judge::new(anchor, AssetNames::default(), drifted)
    }

    fn case() -> Case {
        let state = ProjectState {
            id: 7,
            client: CLIENT.to_owned(),
            freelancer: CLIENT.to_owned(),
            asset: "STX".to_owned(),
            status: ProjectStatus::Active,
            total: Units(5),
            milestones: vec![Milestone {
                m: 1,
                amount: Units(5),
                ..Milestone::default()
            }],
            ..ProjectState::default()
        };
        let cells = [
            ("key", "k"),
            ("on_chain_id", "7"),
            ("client", CLIENT),
            ("freelancer", CLIENT),
            ("asset", "STX"),
            ("total", "5"),
            ("status", "ACTIVE"),
            ("milestone_1_amount", "5"),
            ("milestone_1_funded", "true"),
        ];
        let cells = cells.map(|(name, text)| (name.to_owned(), Some(text.to_owned())));
        Case {
            chain: Some(Chain {
                entity: "ST1.freelance-logic/7".to_owned(),
                state,
                hash: [7; 32],
            }),
            rows: PlatformProject::read(Row(cells.into()))
                .into_iter()
                .collect(),
            cut: false,
        }
    }

    #[test]
    fn a_wrong_unit_is_found_and_a_rule_that_cannot_look_is_not_blamed() {
        let mut all = judge(&[]);
        let judged = all.judge(case());
        assert!(judged.verdicts.iter().all(|(_, v)| *v == Verdict::Matched));
        assert_eq!(all.finds_a_wrong_unit(&judged), Some(true));
        let mut none = judge(&["P2", "E1"]);
        let judged = none.judge(case());
        assert_eq!(none.finds_a_wrong_unit(&judged), None);
        // A rule that says "equal" of anything would be noticed: here it stops looking after it matched.
        let judged = judge(&[]).judge(case());
        assert_eq!(judge(&["P2"]).finds_a_wrong_unit(&judged), Some(false));
    }

    #[test]
    fn a_project_from_before_the_mirror_is_not_compared_but_its_rows_are() {
        let mut case = case();
        if let Some(chain) = &mut case.chain {
            chain.state.partial = true;
        }
        let mut tally = Tally::default();
        let judged = judge(&[]).judge(case);
        for (rule, verdict) in &judged.verdicts {
            let skipped = matches!(
                verdict,
                Verdict::Skipped {
                    reason: Skip::Incomplete
                }
            );
            assert_eq!(
                skipped,
                !OF_ROWS.contains(&rule.info().id),
                "{}",
                rule.info().id
            );
        }
        tally.cover(&judged);
        assert_eq!(tally.coverage["STX"], (5, 0));
    }

    #[test]
    fn the_digest_is_of_the_verdicts_and_their_order() {
        let digest = |cases: &[Case]| {
            let mut judge = judge(&[]);
            for case in cases {
                judge.judge(case.clone());
            }
            judge.digest()
        };
        let (one, mut other) = (case(), case());
        other.rows.clear();
        assert_eq!(
            digest(&[one.clone(), other.clone()]),
            digest(&[one.clone(), other.clone()])
        );
        assert_ne!(
            digest(&[one.clone(), other.clone()]),
            digest(&[other.clone(), one.clone()])
        );
        assert_ne!(digest(&[one]), digest(&[other]));
    }
}
