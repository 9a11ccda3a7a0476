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
mod escrow;
mod ground;
mod groups;
mod inputs;
pub mod judge;
mod people;
pub mod prune;
pub mod repair;
mod rerun;
mod session;
mod stream;
mod subjects;
pub mod tally;
#[cfg(test)]
mod tests;
mod treasury;
mod walk;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use stxworx_indexer::audit::NodeReader;
use stxworx_indexer::error_chain;
use stxworx_indexer::model::IndexBlockHash;
use stxworx_indexer::store::Pool;
use stxworx_indexer::store::reconcile::Writing;
use stxworx_indexer::store::reconcile::run::{self, Ending, RunRow};

use crate::anchor::Anchor;
use crate::breaks::Policy;
use crate::platform::postgres::{Entity, Platform, PlatformSource, Shapes};
pub use act::{ActError, act, act_as, find};
use apply::Apply;
pub use apply::{event, stored, unstored};
pub use error::EngineError;
use ground::{Basis, Ground, ground};
use inputs::{Inputs, Scopes};
use judge::Judged;
pub use rerun::{Difference, diff, rerun};
use session::{Session, Walked};
use stream::RowSource;

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
    /// The asset in which the platform sums up what users earned.
    pub earned_asset: String,
    /// Who is asked for balances; none where no node is configured.
    pub node: Option<NodeReader>,
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

/// Looks at everything that is wanted, on both sides.
async fn walk(
    session: &mut Session<'_>,
    ground: &mut Ground,
    mut rows: RowSource<'_>,
    scopes: Option<&Scopes>,
    (inputs, basis): (&Inputs, &Basis),
) -> Result<(), EngineError> {
    escrow::projects(session, ground, &mut rows, scopes).await?;
    if scopes.is_none_or(|scopes| scopes.assets) {
        escrow::assets(session, ground, inputs, scopes.is_none()).await?;
    }
    let groups = scopes.map(|scopes| scopes.badges.as_slice());
    people::badges(session, ground, &mut rows, groups, inputs).await?;
    let groups = scopes.map(|scopes| scopes.users.as_slice());
    let given = (inputs, basis.earned_asset.as_str());
    people::users(session, ground, &mut rows, groups, given).await?;
    let groups = scopes.map(|scopes| scopes.transfers.as_slice());
    treasury::transfers(session, ground, &mut rows, groups, inputs).await?;
    escrow::audits(session, inputs).await
}

/// What is asked before anything is judged. What a look at a past block asks is of that block.
async fn gather(
    pool: &Pool,
    settings: &Settings,
    ground: &mut Ground,
    (scopes, last): (Option<&Scopes>, Option<&Inputs>),
    platform: &mut Platform,
) -> Result<Inputs, EngineError> {
    let mut inputs = Inputs::default();
    if scopes.is_none_or(|scopes| scopes.assets) {
        inputs::ask(pool, settings.node.as_ref(), ground, &mut inputs).await?;
    }
    let since = last.map_or(0, |last| last.audited_us);
    inputs::audits(pool, ground, since, &mut inputs).await?;
    inputs::doubts(pool, ground, &settings.policy, &mut inputs).await?;
    let limit = i64::try_from(settings.incremental_limit).unwrap_or(i64::MAX);
    let found = subjects::with_breaks(ground, limit).await?;
    (inputs.badges, inputs.users, inputs.transfers) = (found.badges, found.users, found.transfers);
    for entity in [Entity::Badges, Entity::Users, Entity::Transfers] {
        if let Some(mark) = platform.mark(entity).await? {
            inputs.marks.insert(entity.name().to_owned(), mark);
        }
    }
    Ok(inputs)
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
    let basis = Basis::new(settings, &platform.shapes);
    let mark = platform.mark(Entity::Projects).await?;
    let last = run::last_good(pool, None).await?;
    let before = last.as_ref().map(|last| Inputs::of(last.inputs.clone()));
    let before = before.transpose()?;
    let scopes = match (wanted, &last, &before) {
        (Wanted::Incremental, Some(last), Some(before)) => {
            let sides = (&mut ground, &mut platform, &mut writing);
            changed::scopes(settings, (last, before), &basis, sides).await?
        }
        _ => None,
    };
    let asked = (scopes.as_ref(), before.as_ref());
    let inputs = gather(pool, settings, &mut ground, asked, &mut platform).await?;
    let mut notes = basis.notes();
    notes.extend(inputs.notes());
    notes.extend(drift_note(last.as_ref(), &platform.shapes));
    let mut end = ending(&ground, (&basis, &inputs), scopes.as_ref());
    end.schema_fingerprint = Some(platform.shapes.fingerprint());
    end.columns = platform.shapes.columns();
    end.platform_mark = mark;

    let (policy, limit) = (&settings.policy, settings.open_limit);
    let apply = Apply::new(&mut writing, run, policy, limit, ground.anchor);
    let mut met = |_: &Judged| Ok(());
    let mut session = Session::new(
        basis.judge(ground.anchor, &inputs),
        run,
        Some(apply),
        &mut met,
    );
    let rows = RowSource::Live(&mut platform);
    let given = (&inputs, &basis);
    walk(&mut session, &mut ground, rows, scopes.as_ref(), given).await?;
    let walked = session.finish().await?;
    let changes = session.apply.take().map(|apply| apply.changes);
    drop(session);
    platform.close().await;
    notes.extend(walked.notes.iter().cloned());
    let done = (changes.unwrap_or_default(), notes);
    let report = report(run, &mut end, ground.anchor, walked, done, true);
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
    let mut platform = Platform::open(&settings.source).await?;
    let mut ground = ground(pool, settings, Some(at), platform.time_s).await?;
    let basis = Basis::new(settings, &platform.shapes);
    let inputs = gather(pool, settings, &mut ground, (None, None), &mut platform).await?;
    let mut end = ending(&ground, (&basis, &inputs), None);
    end.schema_fingerprint = Some(platform.shapes.fingerprint());
    end.columns = platform.shapes.columns();
    let mut met = |_: &Judged| Ok(());
    let mut session = Session::new(basis.judge(ground.anchor, &inputs), run, None, &mut met);
    let rows = RowSource::Live(&mut platform);
    walk(&mut session, &mut ground, rows, None, (&inputs, &basis)).await?;
    let walked = session.finish().await?;
    drop(session);
    platform.close().await;
    let notes = basis.notes().into_iter().chain(walked.notes.clone());
    let done = (BTreeMap::new(), notes.collect());
    let report = report(run, &mut end, ground.anchor, walked, done, false);
    run::end_judged(pool, run, &end).await?;
    Ok(report)
}

fn ending(ground: &Ground, (basis, inputs): (&Basis, &Inputs), scopes: Option<&Scopes>) -> Ending {
    Ending {
        kind: if scopes.is_some() {
            "incremental"
        } else {
            "sweep"
        },
        contract: ground.contract.clone(),
        anchor: json!(ground.anchor),
        basis: basis.value(),
        subjects: scopes.map(Scopes::value),
        inputs: inputs.value(),
        outbox_id: ground.outbox.map(|(_, last)| last),
        ..Ending::default()
    }
}

fn drift_note(last: Option<&RunRow>, shapes: &Shapes) -> Option<Value> {
    let last = last?;
    if last.schema_fingerprint.as_deref()? == shapes.fingerprint() {
        return None;
    }
    let (before, now) = (last.columns.clone().unwrap_or_default(), shapes.columns());
    let changed: Vec<_> = Entity::ALL
        .into_iter()
        .filter(|entity| before[entity.name()] != now[entity.name()])
        .map(Entity::name)
        .collect();
    Some(json!({
        "kind": "schema_changed",
        "queries": changed,
        "says": format!(
            "the platform's columns are not those of the last run, of {}: see `columns` of both runs",
            changed.join(", ")
        ),
    }))
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
