//! `stxworx backfill`.

use std::io::{IsTerminal as _, Write as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use stxworx_indexer::metrics::Metrics;
use stxworx_indexer::source::pull::Pull;
use stxworx_indexer::source::sync::PgShelf;
use stxworx_indexer::source::sync::backfill::{self, BackfillSettings, Finished, Progress};
use stxworx_indexer::source::sync::check::check;
use stxworx_indexer::store::inbox::Source;
use stxworx_indexer::store::sync::jobs::{self, Job, JobLock, Order};
use stxworx_indexer::store::{self, Access, StoreError, lease, load, migrate};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::cli::{CommandError, Outcome};
use crate::config::Config;
use crate::daemon::Database;
use crate::daemon::sources::AnySource;
use crate::post::OutputFormat;

/// Options of `backfill`.
#[derive(Debug, Args)]
pub struct BackfillArgs {
    /// First Stacks height; an archive is read from its beginning without it.
    #[arg(long, value_name = "HEIGHT")]
    pub from: Option<u32>,
    /// Last Stacks height, or tip for the end of the source's chain at that time.
    #[arg(long, value_name = "HEIGHT|tip", value_parser = last_height, default_value = "tip")]
    pub to: LastHeight,
    /// Who is asked: node, api, or archive:FILE, an event archive (TSV or NDJSON; plain, gzip or zstd; FILE may be `-` or a
    /// URL).
    #[arg(long, value_name = "SOURCE", value_parser = backfill_source)]
    pub source: BackfillSource,
    /// Archive: commit after so many bytes of its text. A run that is interrupted goes on at the last commit.
    #[arg(long, value_name = "BYTES", default_value_t = 32 << 20, value_parser = clap::value_parser!(u64).range(1..))]
    pub commit_bytes: u64,
    /// Archive: how the result is printed.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = OutputFormat::Text)]
    pub output: OutputFormat,
}

/// Where a backfill ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LastHeight {
    /// At this height, included.
    Height(u32),
    /// At the end of the source's chain.
    Tip,
}

/// Who is asked for history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BackfillSource {
    /// A node's RPC.
    Node,
    /// A Stacks API.
    Api,
    /// A file, a URL, or `-`.
    Archive(String),
}

fn last_height(text: &str) -> Result<LastHeight, String> {
    if text == "tip" {
        return Ok(LastHeight::Tip);
    }
    let height = text.parse().map(LastHeight::Height);
    height.map_err(|_| format!("{text:?} is no height; write a whole number, or tip"))
}

fn backfill_source(text: &str) -> Result<BackfillSource, String> {
    match (text, text.strip_prefix("archive:")) {
        ("node", _) => Ok(BackfillSource::Node),
        ("api", _) => Ok(BackfillSource::Api),
        (_, Some(file)) if !file.is_empty() => Ok(BackfillSource::Archive(file.into())),
        _ => Err(format!(
            "{text:?} is no source; write node, api, or archive:FILE"
        )),
    }
}

/// Why a backfill does not begin.
#[derive(Debug, thiserror::Error)]
enum NoBackfill {
    /// Another process has the job.
    #[error("another process is at this backfill (job {job}); see `stxworx status`")]
    Taken {
        /// Which.
        job: i64,
    },
    /// The mirror follows something else.
    #[error(
        "the mirror follows something else than the configuration: what a source leaves out would be missing without \
         a trace. Set the follow set back, or rebuild with `stxworx rebuild --yes`"
    )]
    OtherFollowSet,
}

/// Stores history from a source, and waits until the mirror holds it if a daemon is there to mirror it.
///
/// # Errors
/// When it makes no sense, when the source fails again and again, or when the database does.
pub async fn backfill(
    config: &Config,
    args: &BackfillArgs,
    cancel: &CancellationToken,
) -> Result<Outcome, CommandError> {
    let to_inclusive = match args.to {
        LastHeight::Tip => None,
        LastHeight::Height(to) if args.from.is_some_and(|from| from > to) => {
            let from = args.from.unwrap_or_default();
            let text = format!("--from {from} lies after --to {to}: there is nothing between them");
            return Err(CommandError::Usage(text));
        }
        LastHeight::Height(to) => Some(to),
    };
    let kind = match &args.source {
        BackfillSource::Node => Source::Node,
        BackfillSource::Api => Source::Api,
        BackfillSource::Archive(file) => {
            let range = (args.from, to_inclusive);
            return super::backfill_archive::backfill(config, args, file, range, cancel).await;
        }
    };
    let Some(from) = args.from else {
        let text = format!(
            "--from is needed for --source {}: the first Stacks height",
            kind.as_str()
        );
        return Err(CommandError::Usage(text));
    };
    let metrics = Arc::new(Metrics::new().map_err(CommandError::other)?);
    let source = AnySource::required(config, kind, &metrics, "--source");
    let source = source.map_err(CommandError::other)?;
    let database = Database::attach(config)
        .await
        .map_err(CommandError::other)?;
    let range = (from, to_inclusive);
    let result = from_source(&source, database.url(), config, range, cancel).await;
    database.close().await;
    result
}

/// Stores a range of heights, the last one none for the source's tip, into the database at this URL.
///
/// # Errors
/// As [`backfill`].
pub async fn from_source<P: Pull>(
    source: &P,
    url: &str,
    config: &Config,
    (from_inclusive, to_inclusive): (u32, Option<u32>),
    cancel: &CancellationToken,
) -> Result<Outcome, CommandError> {
    let pool = store::pool(url, Access::Write, 6).map_err(CommandError::other)?;
    migrate::migrate(&pool).await.map_err(CommandError::other)?;
    let shelf = PgShelf {
        pool,
        wake: Arc::new(Notify::new()),
    };
    let order = Order {
        source: source.source(),
        place: source.name().to_owned(),
        from_inclusive,
        to_inclusive,
    };
    let result = run(source, &shelf, config, &order, cancel).await;
    shelf.pool.close().await;
    crate::cli::say!("{}", result?);
    Ok(Outcome::Done)
}

/// The same, to the source's tip, for a command that says something else on standard output. What it came to, in words.
///
/// # Errors
/// As [`backfill`].
pub async fn to_tip<P: Pull>(
    source: &P,
    url: &str,
    config: &Config,
    from_inclusive: u32,
    cancel: &CancellationToken,
) -> Result<String, CommandError> {
    let shelf = PgShelf {
        pool: store::pool(url, Access::Write, 6).map_err(CommandError::other)?,
        wake: Arc::new(Notify::new()),
    };
    let order = Order {
        source: source.source(),
        place: source.name().to_owned(),
        from_inclusive,
        to_inclusive: None,
    };
    let result = run(source, &shelf, config, &order, cancel).await;
    shelf.pool.close().await;
    result
}

/// What it came to, in words.
async fn run<P: Pull>(
    source: &P,
    shelf: &PgShelf,
    config: &Config,
    order: &Order,
    cancel: &CancellationToken,
) -> Result<String, CommandError> {
    let followed = load::follow_set(&shelf.pool).await;
    if followed
        .map_err(CommandError::other)?
        .is_some_and(|f| f != config.follow)
    {
        return Err(CommandError::other(NoBackfill::OtherFollowSet));
    }
    let finality = super::finality::in_force(config, &shelf.pool).await;
    let finality = finality.map_err(CommandError::other)?;
    let landmark = store::sync::landmark(&shelf.pool, finality)
        .await
        .map_err(CommandError::other)?;
    check(source, shelf, order, &config.follow, landmark)
        .await
        .map_err(CommandError::other)?;
    let mut job = jobs::open(&shelf.pool, order)
        .await
        .map_err(CommandError::other)?;
    let lock = JobLock::take(&shelf.pool, job.id).await;
    let Some(lock) = lock.map_err(CommandError::other)? else {
        return Err(CommandError::other(NoBackfill::Taken { job: job.id }));
    };
    if job.next > order.from_inclusive {
        eprintln!("job {} goes on at height {}", job.id, job.next);
    }
    let metrics = Metrics::new().map_err(CommandError::other)?;
    let mut report = Report::new();
    let settings = BackfillSettings::default();
    let mut progress = |p: &Progress| report.update(p);
    let finished = backfill::backfill(
        source,
        shelf,
        &mut job,
        settings,
        &metrics,
        &mut progress,
        cancel,
    )
    .await;
    report.end();
    let finished = finished.map_err(CommandError::other)?;
    let result = conclude(shelf, &mut job, finished, cancel).await;
    lock.release().await;
    result.map_err(CommandError::other)
}

/// Says how it ended, after waiting for a daemon to mirror what was stored.
async fn conclude(
    shelf: &PgShelf,
    job: &mut Job,
    finished: Finished,
    cancel: &CancellationToken,
) -> Result<String, StoreError> {
    let (from, next) = (job.order.from_inclusive, job.next);
    if finished == Finished::Stopped {
        return Ok(format!(
            "stopped before height {next}; the same command goes on there (job {})",
            job.id
        ));
    }
    let stored = match next.checked_sub(1) {
        Some(last) if last >= from => format!("heights {from} to {last} are stored"),
        _ => "nothing was to be stored".to_owned(),
    };
    loop {
        if backfill::settle(shelf, job).await? {
            return Ok(match &job.error {
                Some(note) => format!("{stored}; {note}"),
                None => format!("{stored}, and the mirror holds them"),
            });
        }
        let idle = store::health(&shelf.pool).await?.received == 0;
        if !lease::is_held(&shelf.pool).await? {
            return Ok(format!("{stored}; the next `stxworx run` mirrors them"));
        }
        if cancel.is_cancelled() || idle {
            // What was stored last may have been mirrored since the look above.
            return Ok(if backfill::settle(shelf, job).await? {
                format!("{stored}, and the mirror holds them")
            } else {
                format!("{stored}; they do not connect with the mirror yet, see `stxworx gaps`")
            });
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(200)) => {}
            () = cancel.cancelled() => {}
        }
    }
}

/// A bar on a terminal; elsewhere a line now and then.
struct Report {
    on_terminal: bool,
    shown: Option<Instant>,
}

const LIVE_EVERY: Duration = Duration::from_millis(200);
const LINE_EVERY: Duration = Duration::from_secs(5);
const BAR: u64 = 30;

impl Report {
    fn new() -> Self {
        Self {
            on_terminal: std::io::stderr().is_terminal(),
            shown: None,
        }
    }

    fn update(&mut self, progress: &Progress) {
        let every = if self.on_terminal {
            LIVE_EVERY
        } else {
            LINE_EVERY
        };
        let is_last = progress.next > progress.to;
        if !is_last && self.shown.is_some_and(|at| at.elapsed() < every) {
            return;
        }
        self.shown = Some(Instant::now());
        if self.on_terminal {
            eprint!("\r\x1b[K{}", line(progress, true));
            let _ = std::io::stderr().flush();
        } else {
            eprintln!("{}", line(progress, false));
        }
    }

    fn end(&self) {
        if self.on_terminal && self.shown.is_some() {
            eprintln!();
        }
    }
}

/// `[=====>    ] 1200 of 5000 heights, 24 %, 310/s, 12 s left, 1100 new`.
fn line(progress: &Progress, with_bar: bool) -> String {
    let began = progress.began_at;
    let all = u64::from(progress.to.saturating_add(1).saturating_sub(began)).max(1);
    let done = u64::from(progress.next.saturating_sub(began));
    let mut text = String::new();
    if with_bar {
        let full = usize::try_from(done * BAR / all).unwrap_or(0);
        let width = usize::try_from(BAR).unwrap_or(0);
        text.push_str(&format!("[{:<width$}] ", "=".repeat(full)));
    }
    let (percent, rate) = (done * 100 / all, progress.per_second());
    text.push_str(&format!("{done} of {all} heights, {percent} %, {rate}/s"));
    if let Some(left) = progress.remaining() {
        text.push_str(&format!(", {} s left", left.as_secs()));
    }
    text.push_str(&format!(", {} new", progress.new));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_and_an_end_are_read() {
        assert_eq!(last_height("tip"), Ok(LastHeight::Tip));
        assert_eq!(last_height("7"), Ok(LastHeight::Height(7)));
        assert!(last_height("-1").unwrap_err().contains("or tip"));
        assert_eq!(backfill_source("node"), Ok(BackfillSource::Node));
        let file = BackfillSource::Archive("a:b.tsv".into());
        assert_eq!(backfill_source("archive:a:b.tsv"), Ok(file));
        for wrong in ["archive:", "archive", "nodes", ""] {
            assert!(backfill_source(wrong).unwrap_err().contains("archive:FILE"));
        }
    }

    #[test]
    fn progress_has_a_bar_a_rate_and_what_is_left() {
        let progress = Progress {
            began_at: 100,
            next: 350,
            to: 1099,
            new: 240,
            elapsed: Duration::from_secs(5),
        };
        assert_eq!(
            line(&progress, true),
            "[=======                       ] 250 of 1000 heights, 25 %, 50/s, 15 s left, 240 new"
        );
        assert!(line(&progress, false).starts_with("250 of 1000"));
    }
}
