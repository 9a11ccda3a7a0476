//! Reconciling all the time: what changed after a short pause, everything after a long one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use stxworx_indexer::error_chain;
use stxworx_indexer::metrics::Metrics;
use stxworx_indexer::store::Pool;
use stxworx_indexer::store::read::ReadError;
use stxworx_indexer::store::reconcile::{breaks, run};
use tokio_util::sync::CancellationToken;

use super::prune::{Bounds, Pruned, prune};
use super::repair::{Repairs, repair};
use super::{EngineError, RunReport, Settings, Wanted, reconcile};

/// How often, and how long what was seen is kept.
#[derive(Debug, Clone, Copy)]
pub struct Pauses {
    /// Between two looks at what changed.
    pub incremental: Duration,
    /// Between two looks at everything.
    pub sweep: Duration,
    /// Days in which a run can be carried out again; none for ever.
    pub keep_days: Option<u32>,
}

/// Runs until it is told to stop. A run that fails is noted and comes again after the pause: a platform that is away
/// ends nothing. Where another process reconciles, this one stands by.
pub async fn run(
    pool: Pool,
    settings: Settings,
    (pauses, repairs): (Pauses, Option<Repairs>),
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) {
    let mut swept: Option<Instant> = None;
    let mut is_more = false;
    while !stop.is_cancelled() {
        let due = swept.is_none_or(|at| at.elapsed() >= pauses.sweep);
        let wanted = if due {
            Wanted::Sweep
        } else {
            Wanted::Incremental
        };
        let result = tokio::select! {
            result = reconcile(&pool, &settings, &wanted) => result,
            () = stop.cancelled() => return,
        };
        note(&metrics, &result);
        if let Ok(report) = &result {
            if report.kind == "sweep" {
                swept = Some(Instant::now());
            }
            if let Some(days) = pauses.keep_days
                && (is_more || report.kind == "sweep")
            {
                is_more = tidy_up(&pool, days, &metrics).await;
            }
            if let Some(repairs) = &repairs {
                heal(&pool, repairs, report.run, &metrics).await;
            }
        }
        if let Err(error) = show(&pool, &metrics).await {
            tracing::warn!(error = %error_chain(&error), "the breaks could not be counted");
        }
        tokio::select! {
            () = tokio::time::sleep(pauses.incremental) => {}
            () = stop.cancelled() => {}
        }
    }
}

/// Is there more to remove? What fails is tried after the next sweep.
async fn tidy_up(pool: &Pool, days: u32, metrics: &Metrics) -> bool {
    match prune(pool, days, Bounds::default()).await {
        Ok(pruned) => {
            metrics.reconcile.pruned("rows", pruned.rows);
            metrics.reconcile.pruned("runs", pruned.runs);
            if pruned != Pruned::default() {
                tracing::debug!(
                    rows = pruned.rows,
                    emptied = pruned.emptied,
                    runs = pruned.runs,
                    more = pruned.more,
                    "removed what old reconciliations saw"
                );
            }
            pruned.more
        }
        Err(error) => {
            metrics.reconcile.prune_failed();
            tracing::warn!(error = %error_chain(&error), "what old reconciliations saw could not be removed");
            false
        }
    }
}

/// What fails here is tried after the next run; a repair that was begun is not.
async fn heal(pool: &Pool, repairs: &Repairs, run: i64, metrics: &Metrics) {
    match repair(pool, repairs, run).await {
        Ok(came) => {
            for (outcome, count) in [
                ("done", came.done),
                ("refused", came.refused),
                ("failed", came.failed),
                ("verified", came.verified),
                ("ineffective", came.ineffective),
                ("unknown", came.unknown),
            ] {
                metrics.reconcile.repairs(outcome, count);
                if count > 0 && !matches!(outcome, "done" | "verified") {
                    tracing::warn!(
                        run,
                        outcome,
                        count,
                        "repairs of the platform need a look: see repair_outbox"
                    );
                }
            }
        }
        Err(error) => {
            tracing::warn!(error = %error_chain(&error), "repairs of the platform could not be noted");
        }
    }
}

fn note(metrics: &Metrics, result: &Result<RunReport, EngineError>) {
    let of = &metrics.reconcile;
    match result {
        Ok(report) => {
            of.run(report.kind, "done");
            for note in &report.notes {
                let kind = note["kind"].as_str().unwrap_or("other");
                let says = note["says"].as_str().unwrap_or_default();
                of.note(kind);
                tracing::warn!(run = report.run, kind, "{says}");
            }
            of.skips(&report.skips);
            if report.kind == "sweep" {
                of.coverage(&report.coverage);
            }
            tracing::debug!(
                run = report.run,
                kind = report.kind,
                considered = report.considered,
                broken = report.broken,
                "reconciled"
            );
        }
        Err(EngineError::Busy) => of.run("any", "busy"),
        // A mirror that begins: there will be something soon.
        Err(EngineError::Empty | EngineError::Read(ReadError::NotInitialised)) => {
            tracing::debug!("there is nothing to reconcile yet")
        }
        Err(error) => {
            of.run("any", "failed");
            tracing::warn!(error = %error_chain(error), "a reconciliation failed; nothing was changed by it");
        }
    }
}

/// Shows what the database says: another process may have run.
async fn show(pool: &Pool, metrics: &Metrics) -> Result<(), stxworx_indexer::store::StoreError> {
    let of = &metrics.reconcile;
    let now = breaks::now_s(pool).await?;
    let counts = breaks::live_counts(pool).await?;
    of.breaks(&counts, now);
    if let Some(last) = run::last_good(pool, None).await? {
        of.last_good(last.finished_s.unwrap_or(0));
    }
    Ok(())
}
