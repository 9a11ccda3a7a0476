//! What a run makes of verdicts: breaks move, and each move is a line of their history.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::{Value, json};
use stxworx_indexer::store::reconcile::Writing;
use stxworx_indexer::store::reconcile::breaks::StoredBreak;
use stxworx_indexer::store::reconcile::events::NewEvent;

use super::error::EngineError;
use super::judge::{Judged, RowMark};
use super::tally::Standing;
use crate::anchor::Anchor;
use crate::breaks::{Break, BreakId, Change, Observation, Observer, Policy};
use crate::evidence;
use crate::rule::{Finding, RuleInfo, Subject, Verdict};

/// The period of rules about states: a state has none.
const PERIOD: &str = "";
/// Keys looked up at once.
const KEYS: usize = 1_000;
/// Subjects with breaks that are held in memory, so that pages without any ask for none. If there are more, each asks.
const HELD: i64 = 20_000;
/// Lines of the history held back.
const EVENTS: usize = 5_000;

/// The form in which a break is stored.
///
/// # Errors
/// When a rule's facts have no canonical form.
pub fn stored(it: &Break) -> Result<StoredBreak, EngineError> {
    let evidence = |source| EngineError::Evidence {
        rule: it.rule.clone(),
        source,
    };
    let body = serde_json::to_value(it).map_err(EngineError::stored("a break"))?;
    let hash = evidence::hash(&body).map_err(evidence)?;
    let name = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let seconds = |anchor: &Anchor| i64::try_from(anchor.platform_time_s).unwrap_or(i64::MAX);
    let at_risk = it.finding.at_risk.as_ref();
    Ok(StoredBreak {
        id: hex::encode(it.id.0),
        rule: it.rule.clone(),
        rule_version: i32::try_from(it.rule_version).unwrap_or(i32::MAX),
        subject_kind: it.subject.kind.clone(),
        subject_key: it.subject.key.clone(),
        what: it.finding.what.clone(),
        state: name(&body["state"]),
        resolution: body["how"]["how"].as_str().map(str::to_owned),
        severity: name(&body["severity"]),
        fault: name(&body["finding"]["fault"]),
        amount: at_risk.map(|money| money.units.to_string()),
        asset: at_risk.map(|money| money.asset.clone()),
        first_seen_s: seconds(&it.first_seen),
        last_seen_s: seconds(&it.last_seen),
        opened_s: it.opened.as_ref().map(seconds),
        body,
        evidence_hash: hex::encode(hash),
    })
}

/// A break as it was stored.
///
/// # Errors
/// When it cannot be read.
pub fn unstored(row: StoredBreak) -> Result<Break, EngineError> {
    let what = format!("break {}", row.id);
    serde_json::from_value(row.body).map_err(EngineError::stored(&what))
}

/// A line of the history.
///
/// # Errors
/// When a rule's facts have no canonical form.
pub fn event(
    it: &Break,
    who: &str,
    change: &str,
    said: Option<Value>,
) -> Result<NewEvent, EngineError> {
    let body = serde_json::to_value(it).map_err(EngineError::stored("a break"))?;
    let evidence = match said {
        None => json!({ "break": body }),
        Some(said) => json!({ "break": body, "action": said }),
    };
    Ok(NewEvent {
        break_id: it.id.0,
        who: who.to_owned(),
        change: change.to_owned(),
        evidence: evidence::canonical(&evidence).map_err(|source| EngineError::Evidence {
            rule: it.rule.clone(),
            source,
        })?,
    })
}

fn change_name(change: Change) -> &'static str {
    match change {
        Change::Suspected => "suspected",
        Change::Dropped => "dropped",
        Change::Opened => "opened",
        Change::Reopened => "reopened",
        Change::Resolved => "resolved",
        Change::Changed => "changed",
    }
}

/// Breaks that one rule would open in this run.
#[derive(Default)]
struct Opening {
    count: usize,
    breaks: Vec<(Break, Change)>,
}

/// A break whose row did not come with its subject: it may be elsewhere, or gone.
struct Absent {
    it: Break,
    rule: &'static RuleInfo,
    key: String,
    chain_hash: [u8; 32],
    entity: &'static str,
}

/// Moves breaks.
pub(super) struct Apply<'a> {
    pub writing: &'a mut Writing,
    run: i64,
    policy: &'a Policy,
    now: Anchor,
    open_limit: usize,
    openings: BTreeMap<&'static str, Opening>,
    /// Breaks that failed in this run: a row that comes twice is one observation.
    failed: HashSet<BreakId>,
    absent: Vec<Absent>,
    /// Subjects that have breaks; none until it is asked for, and where they are too many.
    with_breaks: Option<Option<HashSet<Subject>>>,
    puts: BTreeMap<BreakId, StoredBreak>,
    drops: Vec<Vec<u8>>,
    events: Vec<NewEvent>,
    /// What happened, by name.
    pub changes: BTreeMap<&'static str, u64>,
}

type Known = HashMap<Subject, Vec<Break>>;

impl<'a> Apply<'a> {
    pub(super) fn new(
        writing: &'a mut Writing,
        run: i64,
        policy: &'a Policy,
        open_limit: usize,
        now: Anchor,
    ) -> Self {
        Self {
            writing,
            run,
            policy,
            now,
            open_limit,
            openings: BTreeMap::new(),
            failed: HashSet::new(),
            absent: Vec::new(),
            with_breaks: None,
            puts: BTreeMap::new(),
            drops: Vec::new(),
            events: Vec::new(),
            changes: BTreeMap::new(),
        }
    }

    /// Subjects with breaks: only runs make breaks, and this is the only run.
    async fn with_breaks(&mut self) -> Result<Option<&HashSet<Subject>>, EngineError> {
        if self.with_breaks.is_none() {
            let all = self.writing.subjects_of_breaks(HELD).await?;
            let set = all.map(|all| {
                let subjects = all.into_iter().map(|(kind, key)| Subject { kind, key });
                subjects.collect()
            });
            self.with_breaks = Some(set);
        }
        Ok(self.with_breaks.as_ref().and_then(Option::as_ref))
    }

    async fn known(&mut self, page: &[Judged]) -> Result<Known, EngineError> {
        let with_breaks = self.with_breaks().await?;
        if with_breaks.is_some_and(HashSet::is_empty) {
            return Ok(Known::new());
        }
        let has = |subject: &Subject| with_breaks.is_none_or(|all| all.contains(subject));
        let mut subjects: Vec<Subject> = Vec::new();
        for judged in page {
            subjects.push(judged.subject.clone());
            // A row that pointed nowhere before has breaks of its own.
            subjects.extend(judged.rows.iter().map(RowMark::subject));
        }
        subjects.retain(has);
        if subjects.is_empty() {
            return Ok(Known::new());
        }
        subjects.sort();
        subjects.dedup();
        let (kinds, keys): (Vec<_>, Vec<_>) = subjects.into_iter().map(|s| (s.kind, s.key)).unzip();
        let mut known = Known::new();
        for row in self.writing.breaks_of(&kinds, &keys).await? {
            let it = unstored(row)?;
            known.entry(it.subject.clone()).or_default().push(it);
        }
        Ok(known)
    }

    /// Observes what rules said of some cases; for each case and rule, how it is counted.
    pub(super) async fn observe(
        &mut self,
        page: &[Judged],
    ) -> Result<Vec<Vec<Standing>>, EngineError> {
        let mut known = self.known(page).await?;
        let mut standings = Vec::with_capacity(page.len());
        for judged in page {
            let mut of_it = known.remove(&judged.subject).unwrap_or_default();
            let mut row = Vec::with_capacity(judged.verdicts.len());
            for (rule, verdict) in &judged.verdicts {
                let (mine, others) = of_it.into_iter().partition(|it| it.rule == rule.id);
                of_it = others;
                row.push(self.observe_rule(judged, rule, verdict, mine)?);
            }
            standings.push(row);
            if judged.is_found {
                self.found_their_project(judged, &mut known)?;
            }
        }
        self.flush(false).await?;
        Ok(standings)
    }

    /// Breaks of rows that pointed nowhere, and point to a project now.
    fn found_their_project(
        &mut self,
        judged: &Judged,
        known: &mut Known,
    ) -> Result<(), EngineError> {
        for row in &judged.rows {
            for it in known.remove(&row.subject()).unwrap_or_default() {
                let rule = judged.verdicts.iter().find(|(r, _)| r.id == it.rule);
                let Some((rule, verdict)) = rule else {
                    continue;
                };
                if matches!(verdict, Verdict::Skipped { .. }) {
                    continue;
                }
                let platform_hash = row.row.hash();
                let passed = Observation::Passed { platform_hash };
                self.step(rule, Some(it), judged, passed)?;
            }
        }
        Ok(())
    }

    fn observe_rule(
        &mut self,
        judged: &Judged,
        rule: &'static RuleInfo,
        verdict: &Verdict,
        mut known: Vec<Break>,
    ) -> Result<Standing, EngineError> {
        let findings: &[Finding] = match verdict {
            Verdict::Skipped { reason } => return Ok(Standing::Skipped(*reason)),
            Verdict::Matched => &[],
            Verdict::Broken { findings } => findings,
        };
        let mut standing = Standing::Matched;
        for finding in findings {
            let id = BreakId::of(rule.id, &judged.subject, &finding.what, PERIOD);
            let before = known.iter().position(|it| it.id == id);
            let before = before.map(|place| known.swap_remove(place));
            if !self.failed.insert(id) {
                continue;
            }
            let failed = Observation::Failed(Box::new(finding.clone()));
            let is_open = self.step(rule, before, judged, failed)?;
            if is_open {
                standing = Standing::Broken;
            } else if standing == Standing::Matched {
                standing = Standing::Tolerated;
            }
        }
        if !findings.is_empty() && standing == Standing::Matched {
            standing = Standing::Tolerated;
        }
        for it in known {
            if !self.failed.contains(&it.id) {
                self.pass(rule, it, judged)?;
            }
        }
        Ok(standing)
    }

    /// A break that the rule did not find again. Only if the rule looked at the same row it passed.
    fn pass(
        &mut self,
        rule: &'static RuleInfo,
        it: Break,
        judged: &Judged,
    ) -> Result<(), EngineError> {
        let rows = &judged.rows;
        let key = it.finding.facts["platform"]["key"]
            .as_str()
            .map(str::to_owned);
        let platform_hash = match &key {
            Some(key) => match rows.iter().find(|row| row.key == key.trim()) {
                Some(row) => row.row.hash(),
                None if judged.cut => return Ok(()),
                None => {
                    self.absent.push(Absent {
                        it,
                        rule,
                        key: key.clone(),
                        chain_hash: judged.chain_hash,
                        entity: judged.entity,
                    });
                    return Ok(());
                }
            },
            // About the chain alone, or about a row that was not there.
            None if rule.reads.is_empty() => it.finding.platform_hash,
            None => rows.first().map_or([0; 32], |row| row.row.hash()),
        };
        let passed = Observation::Passed { platform_hash };
        self.step(rule, Some(it), judged, passed)?;
        Ok(())
    }

    /// One step of a break; is it open afterwards?
    fn step(
        &mut self,
        rule: &'static RuleInfo,
        before: Option<Break>,
        judged: &Judged,
        observation: Observation,
    ) -> Result<bool, EngineError> {
        let subject = before
            .as_ref()
            .map_or(&judged.subject, |it| &it.subject)
            .clone();
        let chain_hash = judged.chain_hash;
        self.move_break(rule, before, &subject, observation, chain_hash)
    }

    fn move_break(
        &mut self,
        rule: &'static RuleInfo,
        before: Option<Break>,
        subject: &Subject,
        observation: Observation,
        chain_hash: [u8; 32],
    ) -> Result<bool, EngineError> {
        let observer = Observer {
            rule,
            policy: self.policy,
            now: self.now,
        };
        let was = before.clone();
        let (after, change) = observer.observe(before, (subject, PERIOD), observation, chain_hash);
        let is_open = after.as_ref().is_some_and(Break::is_open);
        if let (Some(change @ (Change::Opened | Change::Reopened)), Some(it)) = (change, &after) {
            let opening = self.openings.entry(rule.id).or_default();
            opening.count += 1;
            if opening.count <= self.open_limit {
                opening.breaks.push((it.clone(), change));
            } else {
                opening.breaks = Vec::new();
            }
            return Ok(is_open);
        }
        match (&after, &was) {
            (Some(it), was) if was.as_ref() != Some(it) => {
                self.puts.insert(it.id, stored(it)?);
            }
            (None, Some(was)) => self.drops.push(was.id.0.to_vec()),
            _ => {}
        }
        if let (Some(change), Some(it)) = (change, after.or(was)) {
            self.note(&it, change)?;
        }
        Ok(is_open)
    }

    fn note(&mut self, it: &Break, change: Change) -> Result<(), EngineError> {
        let name = change_name(change);
        *self.changes.entry(name).or_default() += 1;
        self.events.push(event(it, "reconciler", name, None)?);
        Ok(())
    }

    async fn flush(&mut self, at_the_end: bool) -> Result<(), EngineError> {
        let run = Some(self.run);
        if !self.drops.is_empty() {
            self.writing.drop_suspicions(&self.drops).await?;
            self.drops.clear();
        }
        if !self.puts.is_empty() {
            let puts: Vec<_> = std::mem::take(&mut self.puts).into_values().collect();
            if let Some(Some(all)) = &mut self.with_breaks {
                let subjects = puts.iter().map(|it| Subject {
                    kind: it.subject_kind.clone(),
                    key: it.subject_key.clone(),
                });
                all.extend(subjects);
            }
            self.writing.put_breaks(&puts, run).await?;
        }
        // Whoever adds to the history makes all others wait: as late as memory allows.
        if self.events.len() >= EVENTS || at_the_end {
            self.writing.add_events(run, &self.events).await?;
            self.events.clear();
        }
        Ok(())
    }

    /// Breaks whose row is elsewhere pass.
    async fn elsewhere(&mut self, some: &[Absent]) -> Result<(), EngineError> {
        let Some(entity) = some.first().map(|absent| absent.entity) else {
            return Ok(());
        };
        let keys: Vec<_> = some.iter().map(|absent| absent.key.clone()).collect();
        let mut standing = HashMap::new();
        for image in self.writing.standing_keys(entity, &keys).await? {
            standing.insert(image.spot.own_key(entity).to_owned(), image.hash);
        }
        for absent in some {
            let hash = standing
                .get(&absent.key)
                .map(|hash| hash.as_slice().try_into());
            let Some(Ok(platform_hash)) = hash else {
                continue;
            };
            let passed = Observation::Passed { platform_hash };
            let (it, subject) = (absent.it.clone(), absent.it.subject.clone());
            self.move_break(absent.rule, Some(it), &subject, passed, absent.chain_hash)?;
        }
        Ok(())
    }

    /// Ends: breaks whose row is elsewhere pass; those whose row is gone stay. What would open is opened, unless it is so
    /// much of one rule that the rule, or the platform's schema, is the more likely cause: then nothing of it is, and a
    /// note says so.
    pub(super) async fn finish(&mut self) -> Result<Vec<Value>, EngineError> {
        let absent = std::mem::take(&mut self.absent);
        for some in absent.chunk_by(|a, b| a.entity == b.entity) {
            for some in some.chunks(KEYS) {
                self.elsewhere(some).await?;
            }
        }
        let mut notes = Vec::new();
        for (rule, opening) in std::mem::take(&mut self.openings) {
            if opening.count > self.open_limit {
                notes.push(json!({
                    "kind": "too_many",
                    "rule": rule,
                    "count": opening.count,
                    "says": format!(
                        "rule {rule} would open {} breaks at once, more than {}: none was opened. Look for a change of \
                         the platform's schema, or raise platform.open_limit",
                        opening.count, self.open_limit
                    ),
                }));
                continue;
            }
            for (it, change) in opening.breaks {
                self.puts.insert(it.id, stored(&it)?);
                self.note(&it, change)?;
            }
        }
        self.flush(true).await?;
        Ok(notes)
    }
}
