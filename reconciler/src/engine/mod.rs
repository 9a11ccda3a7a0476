//! Runs: everything (a sweep), or what changed (an incremental one), compared, and the breaks moved.
//!
//! A run stands on one moment: one snapshot of the mirror, one of the platform. What it changes is one transaction: a
//! run that fails or is killed leaves the fact that it did, and nothing else. So nothing heals because something could
//! not be read.
//!
//! Both sides and the rows of the last run are streams in one order, merged; memory does not grow with their number.

mod act;
mod apply;
mod changed;
pub mod daemon;
pub mod error;
mod ground;
pub mod judge;
mod rerun;
mod stream;
#[cfg(test)]
mod tests;
mod walk;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use stxworx_indexer::error_chain;
use stxworx_indexer::model::IndexBlockHash;
use stxworx_indexer::store::Pool;
use stxworx_indexer::store::reconcile::Writing;
use stxworx_indexer::store::reconcile::image::Scope;
use stxworx_indexer::store::reconcile::run::{self, Ending, RunRow};

use crate::anchor::Anchor;
use crate::breaks::Policy;
use crate::platform::postgres::{Platform, PlatformSource, Shape};
use crate::rule::{Skip, Verdict};
pub use act::{ActError, act, find};
use apply::Apply;
pub use apply::{event, stored, unstored};
pub use error::EngineError;
use ground::{Basis, Ground, ground};
use judge::{Judge, Judged, Standing, Tally};
pub use rerun::{Difference, diff, rerun};
use stream::{ChainStream, ImageStream, PROJECTS, RowStream};
use walk::{Page, Walk};

/// What an operator sets.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The platform's database.
    pub source: PlatformSource,
    /// The contract; none for the only one that is mirrored.
    pub contract: Option<String>,
    /// What the platform calls an asset, and what the chain does.
    pub assets: BTreeMap<String, String>,
    /// Bitcoin blocks after which a block is final.
    pub finality_burn_blocks: u32,
    /// Limits of the life of breaks.
    pub policy: Policy,
    /// Breaks of one rule that a run may open.
    pub open_limit: usize,
    /// Subjects above which an incremental run looks at everything.
    pub incremental_limit: usize,
}

/// What to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// Everything.
    Sweep,
    /// What changed since the last run; everything where that cannot be known.
    Incremental,
    /// Everything, with the chain as it was at this block: nothing is moved, as the platform is not of that time.
    At(At),
}

/// A block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum At {
    /// The canonical one of this height.
    Height(u32),
    /// Of any fork.
    Block(IndexBlockHash),
}

/// What a run came to.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct RunReport {
    /// Its number.
    pub run: i64,
    /// `sweep`, `incremental` or `rerun`.
    pub kind: &'static str,
    /// Did it move breaks?
    pub applies: bool,
    /// The contract.
    pub contract: String,
    /// The moment.
    pub anchor: Anchor,
    /// Pairs of a rule and a subject.
    pub considered: u64,
    /// Equal.
    pub matched: u64,
    /// Different, and given time.
    pub tolerated: u64,
    /// Different.
    pub broken: u64,
    /// Not comparable.
    pub skipped: u64,
    /// Why.
    pub skips: Value,
    /// Locked and compared, by asset, base units.
    pub coverage: Value,
    /// Breaks by what happened to them.
    pub changes: BTreeMap<&'static str, u64>,
    /// What the control could not do.
    pub notes: Vec<Value>,
    /// `none`, `found` or `missed`.
    pub canary: &'static str,
    /// Over all verdicts, hexadecimal.
    pub verdict_digest: String,
}

/// What came of walking over cases.
struct Walked {
    tally: Tally,
    digest: [u8; 32],
    canary: &'static str,
    notes: Vec<Value>,
}

/// Counts rows that no rule could look at.
fn count_unread(page: &Page, judge: &Judge, tally: &mut Tally) {
    let rows = page.nameless + page.left_out;
    let pairs = rows.saturating_mul(judge.platform_rules());
    if pairs > 0 {
        *tally.skips.entry(Skip::Unreadable).or_default() += pairs;
    }
}

/// Walks over all cases. Breaks are moved where `apply` is there; `met` sees every verdict.
async fn walk(
    mut walk: Walk<'_>,
    mut judge: Judge,
    (run, mut apply): (i64, Option<&mut Apply<'_>>),
    met: &mut (dyn FnMut(&Judged) -> Result<(), EngineError> + Send),
) -> Result<Walked, EngineError> {
    let (mut tally, mut notes) = (Tally::default(), Vec::new());
    let mut canary = "none";
    let (mut nameless, mut left_out) = (0u64, 0u64);
    while let Some(mut page) = walk.page().await? {
        count_unread(&page, &judge, &mut tally);
        nameless += page.nameless;
        left_out += page.left_out;
        let cases = std::mem::take(&mut page.cases);
        let judged: Vec<_> = cases.into_iter().map(|case| judge.judge(case)).collect();
        for judged in &judged {
            tally.cover(judged);
            met(judged)?;
            if canary == "none" {
                canary = match judge.finds_a_wrong_unit(judged) {
                    None => "none",
                    Some(true) => "found",
                    Some(false) => "missed",
                };
            }
        }
        match apply.as_deref_mut() {
            Some(apply) => {
                let standings = apply.observe(&judged).await?;
                standings.into_iter().flatten().for_each(|s| tally.count(s));
                apply
                    .writing
                    .change_images(PROJECTS, run, &page.gone, &page.new)
                    .await?;
            }
            None => judged
                .iter()
                .flat_map(|j| &j.verdicts)
                .for_each(|(_, verdict)| tally.count(judged_only(verdict))),
        }
        // Judging does not wait for anything: give others their turn.
        tokio::task::yield_now().await;
    }
    walk.rows.close().await;
    for (count, what) in [
        (nameless, "have no key and cannot be named"),
        (left_out, "are too many for one project"),
    ] {
        if count > 0 {
            let says = format!("{count} rows of the platform {what}; they were not compared");
            notes.push(json!({ "kind": "not_compared", "count": count, "says": says }));
        }
    }
    if canary == "missed" {
        let says = "a wrong unit that the run itself put into a copy of a project was not found: the rules are broken, \
                    and nothing that this run calls equal is known to be";
        notes.push(json!({ "kind": "canary", "says": says }));
    }
    Ok(Walked {
        tally,
        digest: judge.digest(),
        canary,
        notes,
    })
}

/// How a verdict is counted where there is no history.
fn judged_only(verdict: &Verdict) -> Standing {
    match verdict {
        Verdict::Matched => Standing::Matched,
        Verdict::Broken { .. } => Standing::Broken,
        Verdict::Skipped { reason } => Standing::Skipped(*reason),
    }
}

/// Carries a run out.
///
/// # Errors
/// When one side cannot be read, or another run is at work. Then no break was moved; the run's row says why.
pub async fn reconcile(
    pool: &Pool,
    settings: &Settings,
    wanted: &Wanted,
) -> Result<RunReport, EngineError> {
    let (kind, applies) = match wanted {
        Wanted::Sweep => ("sweep", true),
        Wanted::Incremental => ("incremental", true),
        Wanted::At(_) => ("sweep", false),
    };
    let writing = if applies {
        Some(Writing::begin(pool).await?.ok_or(EngineError::Busy)?)
    } else {
        None
    };
    let run = run::begin(pool, kind, None, applies).await?;
    let result = match (wanted, writing) {
        (Wanted::At(at), _) => look(pool, settings, run, at).await,
        (_, Some(writing)) => carry_out(pool, settings, run, wanted, writing).await,
        (_, None) => Err(EngineError::Busy),
    };
    note_failure(pool, run, &result).await;
    result
}

/// A run that failed says why. That this cannot be written is no other failure: the next run marks it.
async fn note_failure<T>(pool: &Pool, run: i64, result: &Result<T, EngineError>) {
    let Err(error) = result else { return };
    let why = error_chain(error).to_string();
    if let Err(failed) = run::fail(pool, run, &why).await {
        let error = error_chain(&failed).to_string();
        tracing::warn!(run, error, "a failed run could not be noted");
    }
}

async fn carry_out(
    pool: &Pool,
    settings: &Settings,
    run: i64,
    wanted: &Wanted,
    mut writing: Writing,
) -> Result<RunReport, EngineError> {
    let mut platform = Platform::open(&settings.source).await?;
    let mut ground = ground(pool, settings, None, platform.time_s).await?;
    let basis = Basis::new(settings, &platform.shape);
    let mark = platform.mark().await?;
    let last = run::last_good(pool, None).await?;
    let scope = match (wanted, &last) {
        (Wanted::Incremental, Some(last)) => {
            changed::scope(
                settings,
                last,
                &basis,
                &mut ground,
                &mut platform,
                &mut writing,
            )
            .await?
        }
        _ => None,
    };
    let mut notes = basis.notes();
    notes.extend(drift_note(last.as_ref(), &platform.shape));
    let mut end = ending(&ground, &basis, scope.as_ref());
    end.schema_fingerprint = Some(platform.shape.fingerprint());
    end.columns = json!(platform.shape.columns);
    end.platform_mark = mark;

    let judge = basis.judge(ground.anchor);
    let chain = ChainStream::new(&ground.contract, ground.at.clone(), scope.as_ref());
    let rows = RowStream::live(platform, scope.as_ref()).await?;
    let images = Some(ImageStream::new(scope.clone()));
    let all = Walk::new(&mut ground.snapshot, chain, rows, images);
    let mut apply = Apply::new(
        &mut writing,
        run,
        &settings.policy,
        settings.open_limit,
        ground.anchor,
    );
    let walked = walk(all, judge, (run, Some(&mut apply)), &mut |_| Ok(())).await?;
    notes.extend(walked.notes.iter().cloned());
    notes.extend(apply.finish().await?);
    let changes = std::mem::take(&mut apply.changes);
    drop(apply);
    let report = report(run, &mut end, ground.anchor, walked, (changes, notes), true);
    writing.end_run(run, &end).await?;
    writing.commit().await?;
    Ok(report)
}

/// Looks at a past block, and moves nothing.
async fn look(
    pool: &Pool,
    settings: &Settings,
    run: i64,
    at: &At,
) -> Result<RunReport, EngineError> {
    let platform = Platform::open(&settings.source).await?;
    let mut ground = ground(pool, settings, Some(at), platform.time_s).await?;
    let basis = Basis::new(settings, &platform.shape);
    let mut end = ending(&ground, &basis, None);
    end.schema_fingerprint = Some(platform.shape.fingerprint());
    end.columns = json!(platform.shape.columns);
    let judge = basis.judge(ground.anchor);
    let chain = ChainStream::new(&ground.contract, ground.at.clone(), None);
    let rows = RowStream::live(platform, None).await?;
    let all = Walk::new(&mut ground.snapshot, chain, rows, None);
    let walked = walk(all, judge, (run, None), &mut |_| Ok(())).await?;
    let notes = basis
        .notes()
        .into_iter()
        .chain(walked.notes.clone())
        .collect();
    let report = report(
        run,
        &mut end,
        ground.anchor,
        walked,
        (BTreeMap::new(), notes),
        false,
    );
    run::end_judged(pool, run, &end).await?;
    Ok(report)
}

fn ending(ground: &Ground, basis: &Basis, scope: Option<&Scope>) -> Ending {
    Ending {
        kind: if scope.is_some() {
            "incremental"
        } else {
            "sweep"
        },
        contract: ground.contract.clone(),
        anchor: json!(ground.anchor),
        basis: basis.value(),
        subjects: scope.map(|s| json!({ "places": s.places_text(), "keys": s.keys })),
        outbox_id: ground.outbox.map(|(_, last)| last),
        ..Ending::default()
    }
}

fn drift_note(last: Option<&RunRow>, shape: &Shape) -> Option<Value> {
    let before = last?.schema_fingerprint.as_deref()?;
    (before != shape.fingerprint()).then(|| {
        json!({
            "kind": "schema_changed",
            "says": "the platform's columns are not those of the last run: see `columns` of both runs",
        })
    })
}

/// The report, and the same in the run's row.
fn report(
    run: i64,
    end: &mut Ending,
    anchor: Anchor,
    walked: Walked,
    (changes, notes): (BTreeMap<&'static str, u64>, Vec<Value>),
    applies: bool,
) -> RunReport {
    let tally = &walked.tally;
    let count = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    end.counts = [
        count(tally.considered()),
        count(tally.matched),
        count(tally.tolerated),
        count(tally.broken),
        count(tally.skipped()),
    ];
    end.skips = json!(tally.skips);
    let coverage = tally.coverage.iter().map(|(asset, (locked, compared))| {
        let sums = json!({ "locked": locked.to_string(), "compared": compared.to_string() });
        (asset.clone(), sums)
    });
    end.coverage = Value::Object(coverage.collect());
    end.changes = json!(changes);
    end.notes = json!(notes);
    end.canary = walked.canary;
    end.verdict_digest = walked.digest;
    RunReport {
        run,
        kind: end.kind,
        applies,
        contract: end.contract.clone(),
        anchor,
        considered: tally.considered(),
        matched: tally.matched,
        tolerated: tally.tolerated,
        broken: tally.broken,
        skipped: tally.skipped(),
        skips: end.skips.clone(),
        coverage: end.coverage.clone(),
        changes,
        notes,
        canary: walked.canary,
        verdict_digest: hex::encode(walked.digest),
    }
}
