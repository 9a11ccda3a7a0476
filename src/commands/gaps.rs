//! `stxworx gaps`.

use std::time::Duration;

use serde::Serialize;
use stxworx_indexer::store::sync::gaps::{self, Gap};
use stxworx_indexer::store::sync::jobs::{self, Job, JobState};
use stxworx_indexer::store::sync::{self, Span};
use stxworx_indexer::store::{self, Access, StoreError};

use crate::cli::{CommandError, Outcome};
use crate::config::Config;
use crate::daemon::Database;
use crate::post::OutputFormat;

/// All that is missing.
#[derive(Debug, Serialize)]
struct Missing {
    /// Blocks that others wait for.
    gaps: Vec<GapLine>,
    /// Heights between the mirror's ends without a canonical block.
    heights: Vec<HeightsLine>,
    /// Backfills that are not over.
    backfills: Vec<JobLine>,
}

#[derive(Debug, Serialize)]
struct GapLine {
    missing: String,
    waiting: String,
    waiting_height: Option<u32>,
    waits_seconds: u64,
    /// Above the mirror's origin: it is repaired. Below, it waits for a backfill.
    within_mirror: bool,
    /// `late`, `open` or `given_up`.
    state: &'static str,
    attempts: u32,
    fetched: u32,
    error: Option<String>,
}

#[derive(Debug, Serialize)]
struct HeightsLine {
    from: u32,
    to: u32,
}

#[derive(Debug, Serialize)]
struct JobLine {
    id: i64,
    source: &'static str,
    from: u32,
    to: Option<u32>,
    next: u32,
    state: &'static str,
    error: Option<String>,
}

/// Lists what is missing. [`Outcome::Unsound`] when anything is, but for what is only late.
///
/// # Errors
/// When the database cannot be read.
pub async fn gaps(config: &Config, output: OutputFormat) -> Result<Outcome, CommandError> {
    let database = Database::attach(config)
        .await
        .map_err(CommandError::other)?;
    let found = look(database.url(), config.sources.repairing.grace).await;
    database.close().await;
    let missing = found.map_err(CommandError::other)?;
    match output {
        OutputFormat::Json => {
            let json = serde_json::to_value(&missing).map_err(CommandError::other)?;
            crate::cli::say!("{json:#}");
        }
        OutputFormat::Text => crate::cli::say_text(&text(&missing)),
    }
    Ok(if missing.is_whole() {
        Outcome::Done
    } else {
        Outcome::Unsound
    })
}

async fn look(url: &str, grace: Duration) -> Result<Missing, StoreError> {
    let pool = store::pool(url, Access::Read, 2)?;
    let span = sync::span(&pool).await?;
    let found = gaps::gaps(&pool, grace, None).await?;
    let missing = Missing {
        gaps: found
            .into_iter()
            .map(|g| gap_line(g, span.as_ref()))
            .collect(),
        heights: gaps::holes(&pool)
            .await?
            .into_iter()
            .map(|(from, to)| HeightsLine { from, to })
            .collect(),
        backfills: jobs::unfinished(&pool)
            .await?
            .into_iter()
            .map(job_line)
            .collect(),
    };
    pool.close().await;
    Ok(missing)
}

fn gap_line(gap: Gap, span: Option<&Span>) -> GapLine {
    let above = |s: &Span| gap.waiting_height.is_none_or(|h| h > s.origin.height);
    GapLine {
        missing: gap.missing.to_string(),
        waiting: gap.waiting.to_string(),
        waiting_height: gap.waiting_height,
        waits_seconds: gap.age_seconds,
        within_mirror: span.is_some_and(above),
        state: match (gap.given_up, gap.is_ripe) {
            (true, _) => "given_up",
            (false, true) => "open",
            (false, false) => "late",
        },
        attempts: gap.attempts,
        fetched: gap.fetched,
        error: gap.last_error,
    }
}

fn job_line(job: Job) -> JobLine {
    JobLine {
        id: job.id,
        source: job.order.source.as_str(),
        from: job.order.from_inclusive,
        to: job.order.to_inclusive,
        next: job.next,
        state: job.state.as_str(),
        error: job.error,
    }
}

impl Missing {
    fn is_whole(&self) -> bool {
        let running = JobState::Running.as_str();
        self.gaps.iter().all(|g| g.state == "late")
            && self.heights.is_empty()
            && self.backfills.iter().all(|j| j.state == running)
    }
}

fn text(missing: &Missing) -> String {
    let mut text = String::new();
    for g in &missing.gaps {
        let height = g
            .waiting_height
            .map_or_else(String::new, |h| format!(" (height {h})"));
        let place = if g.within_mirror {
            ""
        } else {
            ", below the mirror's origin"
        };
        text.push_str(&format!(
            "block {} is missing: {}{height} waits for it since {} s{place}; {}, {} attempts, {} blocks fetched{}\n",
            g.missing,
            g.waiting,
            g.waits_seconds,
            g.state.replace('_', " "),
            g.attempts,
            g.fetched,
            g.error.as_ref().map_or_else(String::new, |e| format!("; {e}")),
        ));
    }
    for h in &missing.heights {
        text.push_str(&format!(
            "heights {} to {} have no canonical block; run `stxworx verify`\n",
            h.from, h.to
        ));
    }
    for j in &missing.backfills {
        let to = j.to.map_or_else(|| "tip".to_owned(), |to| to.to_string());
        text.push_str(&format!(
            "backfill {} from {}, heights {} to {to}: {} before height {}{}\n",
            j.id,
            j.source,
            j.from,
            j.state,
            j.next,
            j.error
                .as_ref()
                .map_or_else(String::new, |e| format!("; {e}")),
        ));
    }
    text.push_str(&format!(
        "{} blocks missing, {} ranges of heights without a block, {} backfills not over\n",
        missing.gaps.len(),
        missing.heights.len(),
        missing.backfills.len()
    ));
    text
}
