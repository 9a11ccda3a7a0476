//! Judging cases: pure. What is counted, what is hashed, and the difference that a run puts in itself to see whether it
//! would be found.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use stxworx_indexer::store::read::market::ProjectState;

use crate::anchor::Anchor;
use crate::evidence;
use crate::platform::{Cell, PlatformProject, Row};
use crate::rule::{Fault, RuleInfo, Skip, Subject, Verdict};
use crate::rules::{AssetNames, Claims, ProjectCase, ProjectRule, cards, project_rules};

/// Rules that do not need to know what the chain says of a project, only whether it is there. The others cannot look at
/// one that was opened before the mirror began: its state is a part of the story.
const OF_ROWS: [&str; 3] = ["P1", "P8", "P9"];
/// Rules that look at the platform's rows alone: what they find is the platform's fault whatever the mirror says.
const OF_PLATFORM: [&str; 7] = ["P1", "P8", "P9", "P14", "B8", "B10", "F6"];

/// The chain's side of a case.
#[derive(Debug, Clone, PartialEq)]
pub struct Chain {
    /// `CONTRACT/NUMBER`.
    pub entity: String,
    /// As of the run's block.
    pub state: ProjectState,
    /// SHA-256 of its text.
    pub hash: [u8; 32],
    /// The text is no state that this program knows: nothing is compared with it.
    pub is_unreadable: bool,
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
    /// Entities of the mirror that were looked into: is the newest state what the payloads make it?
    pub holds: BTreeMap<String, bool>,
    /// `none`, `found` or `missed`.
    pub canary: &'static str,
    rules: Vec<&'static dyn ProjectRule>,
    skips: BTreeMap<&'static str, Skip>,
    digest: Sha256,
    noted: Vec<u8>,
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
        digest.update(b"stxworx/verdicts/3");
        let mut judge = Self {
            anchor,
            assets,
            drifted,
            off,
            holds: BTreeMap::new(),
            canary: "none",
            rules: project_rules(),
            skips: BTreeMap::new(),
            digest,
            noted: Vec::new(),
        };
        let cards = cards().into_iter();
        let skips = cards.filter_map(|(_, info)| Some((info.id, judge.why_not(info)?)));
        judge.skips = skips.collect();
        judge
    }

    /// Number of rules that look at an entity's rows.
    pub fn rules_of(&self, entity: &str) -> u64 {
        let reads = |info: &RuleInfo| info.reads.iter().any(|name| is_of(name, entity));
        let count = cards().iter().filter(|(_, info)| reads(info)).count();
        u64::try_from(count).unwrap_or(u64::MAX)
    }

    /// Why a rule cannot look at all, whatever its subject.
    pub fn skip(&self, info: &RuleInfo) -> Option<Skip> {
        self.skips.get(info.id).copied()
    }

    fn why_not(&self, info: &RuleInfo) -> Option<Skip> {
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
        let is_unreadable = case.chain.as_ref().is_some_and(|chain| chain.is_unreadable);
        let is_partial = case.chain.as_ref().is_some_and(|chain| chain.state.partial);
        let holds = self.holds_of(case.chain.as_ref().map(|chain| chain.entity.as_str()));
        self.rules
            .iter()
            .map(|rule| {
                let info = rule.info();
                let partial = is_partial && !OF_ROWS.contains(&info.id);
                let unreadable = is_unreadable.then_some(Skip::Unreadable);
                let reason = self.skip(info).or(unreadable);
                let reason = reason.or(partial.then_some(Skip::Incomplete));
                let verdict = reason.map(|reason| Verdict::Skipped { reason });
                let verdict = verdict.unwrap_or_else(|| guarded(|| rule.judge(&given)));
                (info, laid(info, verdict, holds))
            })
            .collect()
    }

    /// Are all of these, as far as they were looked into, what the payloads make them? None where none was.
    pub fn holds_of<'e>(&self, entities: impl IntoIterator<Item = &'e str>) -> Option<bool> {
        let known = entities.into_iter().filter_map(|it| self.holds.get(it));
        known.copied().reduce(|all, one| all && one)
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
        fn part(to: &mut Vec<u8>, bytes: &[u8]) {
            let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            to.extend(length.to_be_bytes());
            to.extend(bytes);
        }
        let noted = &mut self.noted;
        noted.clear();
        part(noted, judged.subject.kind.as_bytes());
        part(noted, judged.subject.key.as_bytes());
        let count = u64::try_from(judged.verdicts.len()).unwrap_or(u64::MAX);
        noted.extend(count.to_be_bytes());
        for (info, verdict) in &judged.verdicts {
            part(noted, info.id.as_bytes());
            noted.extend(info.version.to_be_bytes());
            match verdict {
                Verdict::Matched => part(noted, b"matched"),
                other => {
                    let value = serde_json::to_value(other).unwrap_or(Value::Null);
                    part(noted, canonical(&value).as_bytes());
                }
            }
        }
        self.digest.update(&*noted);
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

/// What a rule says. One that fails says nothing, and ends nothing: the others go on.
pub(super) fn guarded(rule: impl FnOnce() -> Verdict) -> Verdict {
    let said = std::panic::catch_unwind(std::panic::AssertUnwindSafe(rule));
    said.unwrap_or(Verdict::Skipped {
        reason: Skip::RuleFailed,
    })
}

/// A verdict with its findings at the right door. Where the mirror's row is not what its payloads make it, what differs
/// from it is the mirror's fault, and nobody is told to change a thing for it. Where it is, what it says wrong is what it
/// was told.
pub(super) fn laid(info: &RuleInfo, verdict: Verdict, holds: Option<bool>) -> Verdict {
    let Some(holds) = holds else {
        return verdict;
    };
    let Verdict::Broken { mut findings } = verdict else {
        return verdict;
    };
    for it in &mut findings {
        match (holds, it.fault) {
            (true, Fault::Mirror) => it.fault = Fault::Node,
            (false, Fault::Node) => it.fault = Fault::Mirror,
            (false, Fault::Platform) => {
                // What would be set might be the mirror's own error.
                it.repair = None;
                if !OF_PLATFORM.contains(&info.id) {
                    it.fault = Fault::Mirror;
                }
            }
            _ => {}
        }
    }
    Verdict::Broken { findings }
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
mod tests;
