//! Judging cases: pure. What is counted, what is hashed, and the difference that a run puts in itself to see whether it
//! would be found.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use stxworx_indexer::store::read::market::ProjectState;

use crate::anchor::Anchor;
use crate::evidence;
use crate::platform::{Cell, PlatformProject, Row};
use crate::rule::{RuleInfo, Skip, Subject, Verdict};
use crate::rules::{AssetNames, Claims, ProjectCase, ProjectRule, cards, project_rules};

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

/// A row of the platform, as far as the life of breaks has to know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowMark {
    /// The platform's own key.
    pub key: String,
    /// Its cells.
    pub row: Row,
    /// Kind of what it is about where it points nowhere.
    pub alone: &'static str,
}

impl RowMark {
    /// What it is about where it points nowhere.
    pub fn subject(&self) -> Subject {
        Subject::new(self.alone, self.key.clone())
    }
}

/// What each rule says of a subject.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// Whose rows they are: `projects`, `badges` or `users`.
    pub entity: &'static str,
    /// What it is about.
    pub subject: Subject,
    /// What the chain's side hashes to.
    pub chain_hash: [u8; 32],
    /// It is more than a row that points nowhere: breaks of its rows, when they were alone, are looked at here.
    pub is_found: bool,
    /// The platform's rows.
    pub rows: Vec<RowMark>,
    /// There are more rows than were taken.
    pub cut: bool,
    /// What a project locks: asset, base units, and whether all of its story is known.
    pub money: Option<(String, u128, bool)>,
    /// By rule.
    pub verdicts: Vec<(&'static RuleInfo, Verdict)>,
}

/// The one who judges: all that verdicts depend on besides the case.
pub struct Judge {
    /// The moment.
    pub anchor: Anchor,
    /// Names of assets.
    pub assets: AssetNames,
    /// Rules that cannot read the platform.
    pub drifted: BTreeSet<String>,
    /// Entities of which the platform keeps nothing.
    pub off: BTreeSet<String>,
    /// `none`, `found` or `missed`.
    pub canary: &'static str,
    rules: Vec<&'static dyn ProjectRule>,
    digest: Sha256,
}

impl Judge {
    /// With all rules.
    pub fn new(
        anchor: Anchor,
        assets: AssetNames,
        drifted: BTreeSet<String>,
        off: BTreeSet<String>,
    ) -> Self {
        let mut digest = Sha256::new();
        digest.update(b"stxworx/verdicts/2");
        Self {
            anchor,
            assets,
            drifted,
            off,
            canary: "none",
            rules: project_rules(),
            digest,
        }
    }

    /// Number of rules that look at an entity's rows.
    pub fn rules_of(&self, entity: &str) -> u64 {
        let reads = |info: &RuleInfo| info.reads.iter().any(|name| is_of(name, entity));
        let count = cards().iter().filter(|(_, info)| reads(info)).count();
        u64::try_from(count).unwrap_or(u64::MAX)
    }

    /// Why a rule cannot look at all, whatever its subject.
    pub fn skip(&self, info: &RuleInfo) -> Option<Skip> {
        if self.drifted.contains(info.id) {
            return Some(Skip::SchemaDrift);
        }
        let mut off = self.off.iter();
        let is_off = off.any(|entity| info.reads.iter().any(|name| is_of(name, entity)));
        is_off.then_some(Skip::NotKept)
    }

    fn verdicts(&self, case: &Case, claims: &Claims) -> Vec<(&'static RuleInfo, Verdict)> {
        let given = ProjectCase {
            anchor: &self.anchor,
            chain: case.chain.as_ref().map(|chain| &chain.state),
            platform: &case.rows,
            assets: &self.assets,
            claims,
        };
        let is_partial = case.chain.as_ref().is_some_and(|chain| chain.state.partial);
        self.rules
            .iter()
            .map(|rule| {
                let info = rule.info();
                let partial = is_partial && !OF_ROWS.contains(&info.id);
                let reason = self.skip(info).or(partial.then_some(Skip::Incomplete));
                let verdict = reason.map(|reason| Verdict::Skipped { reason });
                (info, verdict.unwrap_or_else(|| rule.judge(&given)))
            })
            .collect()
    }

    /// Judges a case, and adds the verdicts to the digest.
    pub fn judge(&mut self, case: Case, claims: &Claims) -> Judged {
        let mut judged = Judged {
            entity: "projects",
            subject: case.subject(),
            chain_hash: case.chain_hash(),
            is_found: case.chain.is_some(),
            rows: Vec::new(),
            cut: case.cut,
            money: case.chain.as_ref().map(locked),
            verdicts: self.verdicts(&case, claims),
        };
        self.note(&judged);
        if self.canary == "none" {
            self.canary = match self.finds_a_wrong_unit(&case, &judged) {
                None => "none",
                Some(true) => "found",
                Some(false) => "missed",
            };
        }
        let rows = case.rows.into_iter().map(|row| RowMark {
            key: row.key,
            row: row.row,
            alone: "platform_project",
        });
        judged.rows = rows.collect();
        judged
    }

    /// Adds verdicts to the digest.
    pub fn note(&mut self, judged: &Judged) {
        let subject = &judged.subject;
        for (info, verdict) in &judged.verdicts {
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
    }

    /// SHA-256 over all verdicts so far.
    pub fn digest(&self) -> [u8; 32] {
        self.digest.clone().finalize().into()
    }

    /// Would a wrong unit be found? In a copy of a case in which the rule found no difference, one unit more is put into
    /// the platform's total, and into the chain's. None where no such rule looked.
    pub fn finds_a_wrong_unit(&self, case: &Case, judged: &Judged) -> Option<bool> {
        let matched = |id: &str| {
            let mut all = judged.verdicts.iter();
            all.any(|(info, verdict)| info.id == id && *verdict == Verdict::Matched)
        };
        let chain = case.chain.as_ref()?;
        let mut found = Vec::new();
        if let [row] = case.rows.as_slice()
            && let Cell::Is(total) = row.total
            && matched("P2")
        {
            let mut wrong = case.clone();
            wrong.rows[0].total = Cell::Is(total.wrapping_add(1));
            found.push(self.is_found(&wrong, "P2"));
        }
        if matched("E1") {
            let (mut wrong, mut chain) = (case.clone(), chain.clone());
            chain.state.total.0 = chain.state.total.0.wrapping_add(1);
            wrong.chain = Some(chain);
            found.push(self.is_found(&wrong, "E1"));
        }
        (!found.is_empty()).then(|| found.iter().all(|found| *found))
    }

    fn is_found(&self, case: &Case, by: &str) -> bool {
        let verdicts = self.verdicts(case, &Claims::new());
        verdicts.iter().any(|(info, verdict)| {
            info.id == by && matches!(verdict, Verdict::Broken { findings } if !findings.is_empty())
        })
    }
}

/// Is a column that a rule reads one of this entity's?
fn is_of(name: &str, entity: &str) -> bool {
    name.split_once('.').is_some_and(|(of, _)| of == entity)
}

/// What a project locks.
fn locked(chain: &Chain) -> (String, u128, bool) {
    let state = &chain.state;
    let left = [state.paid, state.fees, state.refunded]
        .iter()
        .try_fold(state.total.0, |left, part| left.checked_sub(part.0))
        .unwrap_or(0);
    (state.asset.clone(), left, !state.partial)
}

/// The rules and their versions, as a run keeps them.
pub fn rule_versions() -> Value {
    let cards = cards().into_iter();
    cards
        .map(|(_, info)| json!([info.id, info.version]))
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

    use super::super::tally::Tally;
    use super::*;

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
        Judge::new(anchor, AssetNames::default(), drifted, BTreeSet::new())
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
        let judged = all.judge(case(), &Claims::new());
        assert!(judged.verdicts.iter().all(|(_, v)| *v == Verdict::Matched));
        assert_eq!(all.finds_a_wrong_unit(&case(), &judged), Some(true));
        let mut none = judge(&["P2", "E1"]);
        let judged = none.judge(case(), &Claims::new());
        assert_eq!(none.finds_a_wrong_unit(&case(), &judged), None);
        // A rule that says "equal" of anything would be noticed: here it stops looking after it matched.
        let judged = judge(&[]).judge(case(), &Claims::new());
        assert_eq!(
            judge(&["P2"]).finds_a_wrong_unit(&case(), &judged),
            Some(false)
        );
    }

    #[test]
    fn a_project_from_before_the_mirror_is_not_compared_but_its_rows_are() {
        let mut case = case();
        if let Some(chain) = &mut case.chain {
            chain.state.partial = true;
        }
        let mut tally = Tally::default();
        let judged = judge(&[]).judge(case, &Claims::new());
        for (info, verdict) in &judged.verdicts {
            let skipped = matches!(
                verdict,
                Verdict::Skipped {
                    reason: Skip::Incomplete
                }
            );
            assert_eq!(skipped, !OF_ROWS.contains(&info.id), "{}", info.id);
        }
        tally.cover(&judged);
        assert_eq!(tally.coverage["STX"], (5, 0));
    }

    #[test]
    fn the_digest_is_of_the_verdicts_and_their_order() {
        let digest = |cases: &[Case]| {
            let mut judge = judge(&[]);
            for case in cases {
                judge.judge(case.clone(), &Claims::new());
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
