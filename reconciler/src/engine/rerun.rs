//! An earlier run again: the chain as of its block, the platform's rows as it saw them. The same verdicts, byte for
//! byte, as long as the rules are the same.

use std::collections::{BTreeMap, BTreeSet};

use stxworx_indexer::store::Pool;
use stxworx_indexer::store::read::Snapshot;
use stxworx_indexer::store::reconcile::mirror;
use stxworx_indexer::store::reconcile::run::{self, RunRow};

use super::error::EngineError;
use super::inputs::{Inputs, Scopes};
use super::judge::Judged;
use super::session::{Met, Session, Walked};
use super::stream::RowSource;
use super::{Basis, Ground, RunReport, ending, judge, note_failure, report};
use crate::anchor::Anchor;
use crate::rule::Verdict;

/// Differences of one run that are held to compare it with another.
const HELD: usize = 100_000;

/// What the past run stood on.
struct Past {
    run: i64,
    contract: String,
    anchor: Anchor,
    basis: Basis,
    scopes: Option<Scopes>,
    inputs: Inputs,
    digest: Vec<u8>,
}

fn past(row: RunRow) -> Result<Past, EngineError> {
    let refuse = |why: &str| EngineError::NotRepeatable {
        run: row.id,
        why: why.to_owned(),
    };
    if row.is_pruned {
        return Err(refuse(
            "what it stood on is older than platform.keep_days and was removed; name a newer run",
        ));
    }
    if row.state != "done" {
        return Err(refuse("it did not end well"));
    }
    if !row.applies {
        return Err(refuse(
            "it only judged, and the platform's rows were not kept; name a sweep or an incremental run",
        ));
    }
    let basis = row.basis.unwrap_or_default();
    if basis["rules"] != judge::rule_versions() {
        return Err(refuse("the rules are not those of then"));
    }
    let read = EngineError::stored("a run's moment");
    let anchor = serde_json::from_value(row.anchor.unwrap_or_default()).map_err(read)?;
    Ok(Past {
        run: row.id,
        contract: row.contract.unwrap_or_default(),
        anchor,
        basis: Basis::of(&basis)?,
        scopes: row.subjects.as_ref().map(Scopes::of),
        inputs: Inputs::of(row.inputs)?,
        digest: row.verdict_digest.unwrap_or_default(),
    })
}

async fn find(pool: &Pool, id: i64) -> Result<Past, EngineError> {
    let row = run::get(pool, id).await?;
    past(row.ok_or_else(|| {
        EngineError::NotRepeatable {
            run: id,
            why: "there is no such run, or it is older than platform.keep_days and was removed"
                .to_owned(),
        }
    })?)
}

async fn again(pool: &Pool, past: &Past, met: Met<'_>) -> Result<(Ground, Walked), EngineError> {
    let mut snapshot = Snapshot::open(pool).await?;
    let block = past.anchor.block;
    let at = mirror::standing(&mut snapshot, block.as_bytes())
        .await?
        .ok_or_else(|| EngineError::NoBlock(block.to_string()))?;
    let mut ground = Ground {
        snapshot,
        contract: past.contract.clone(),
        at,
        anchor: past.anchor,
        outbox: None,
    };
    let mut session = Session::new(
        past.basis.judge(past.anchor, &past.inputs),
        past.run,
        None,
        met,
    );
    let rows = RowSource::Stored(past.run);
    let given = (&past.inputs, &past.basis);
    super::walk(&mut session, &mut ground, rows, past.scopes.as_ref(), given).await?;
    let walked = session.finish().await?;
    Ok((ground, walked))
}

/// Carries an earlier run out again. The flag says whether its verdicts are the same.
///
/// # Errors
/// When there is no such run, its block is not stored any more, or the rules are others.
pub async fn rerun(pool: &Pool, id: i64) -> Result<(RunReport, bool), EngineError> {
    let past = find(pool, id).await?;
    let run = run::begin(pool, "rerun", Some(id), false).await?;
    let result = repeat(pool, run, &past).await;
    note_failure(pool, run, &result).await;
    result
}

async fn repeat(pool: &Pool, run: i64, past: &Past) -> Result<(RunReport, bool), EngineError> {
    let (ground, walked) = again(pool, past, &mut |_| Ok(())).await?;
    let same = walked.digest.as_slice() == past.digest;
    let given = (&past.basis, &past.inputs);
    let mut end = ending(&ground, given, past.scopes.as_ref());
    end.kind = "rerun";
    let notes = past
        .basis
        .notes()
        .into_iter()
        .chain(walked.notes.clone())
        .collect();
    let made = report(
        run,
        &mut end,
        past.anchor,
        walked,
        (BTreeMap::new(), notes),
        false,
    );
    run::end_judged(pool, run, &end).await?;
    Ok((made, same))
}

/// What one run says and another does not.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Difference {
    /// Kind of the subject.
    pub subject_kind: String,
    /// Key of the subject.
    pub subject_key: String,
    /// The rule.
    pub rule: String,
    /// What differed; empty where the rule could not look.
    pub what: String,
    /// What the first run says; none where it finds nothing.
    pub first: Option<String>,
    /// What the second one says.
    pub second: Option<String>,
}

type Said = BTreeMap<(String, String, String, String), String>;

async fn said(pool: &Pool, id: i64) -> Result<Said, EngineError> {
    let past = find(pool, id).await?;
    let mut said = Said::new();
    let mut meet = |judged: &Judged| {
        for (rule, verdict) in &judged.verdicts {
            let key = |what: &str| {
                let subject = &judged.subject;
                let rule = rule.id.to_owned();
                (
                    subject.kind.clone(),
                    subject.key.clone(),
                    rule,
                    what.to_owned(),
                )
            };
            match verdict {
                Verdict::Matched => {}
                Verdict::Skipped { reason } => {
                    let reason = serde_json::to_value(reason).unwrap_or_default();
                    let reason = reason.as_str().unwrap_or_default();
                    said.insert(key(""), format!("not compared: {reason}"));
                }
                Verdict::Broken { findings } => {
                    for it in findings {
                        let text = format!("expected {}, found {}", it.expected, it.found);
                        said.insert(key(&it.what), text);
                    }
                }
            }
        }
        if said.len() > HELD {
            return Err(EngineError::TooMany {
                run: id,
                limit: HELD,
            });
        }
        Ok(())
    };
    again(pool, &past, &mut meet).await?;
    Ok(said)
}

/// What two runs say differently, by subject. Both are carried out again for it.
///
/// # Errors
/// As [`rerun`], and when there are too many differences to hold.
pub async fn diff(pool: &Pool, first: i64, second: i64) -> Result<Vec<Difference>, EngineError> {
    let (first, second) = (said(pool, first).await?, said(pool, second).await?);
    let keys: BTreeSet<_> = first.keys().chain(second.keys()).collect();
    let differences = keys.into_iter().filter_map(|key| {
        let (a, b) = (first.get(key), second.get(key));
        let (subject_kind, subject_key, rule, what) = key.clone();
        (a != b).then(|| Difference {
            subject_kind,
            subject_key,
            rule,
            what,
            first: a.cloned(),
            second: b.cloned(),
        })
    });
    Ok(differences.collect())
}
